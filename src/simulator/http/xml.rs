//! Writing XML as the query protocols want it: elements and texts, no attributes but the namespace.

use std::fmt::Display;

use quick_xml::escape::escape;

use crate::simulator::account::AwsError;

/// A document that is being written.
#[derive(Default)]
pub(super) struct Xml(String);

impl Xml {
    /// A whole document: one element in a namespace, or in none if that is empty.
    pub(super) fn document(root: &str, namespace: &str, fill: impl FnOnce(&mut Self)) -> String {
        let namespace = if namespace.is_empty() { String::new() } else { format!(" xmlns=\"{namespace}\"") };
        let mut xml = Self(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root}{namespace}>"));
        fill(&mut xml);
        format!("{}</{root}>\n", xml.0)
    }

    /// An element with a text.
    pub(super) fn text(&mut self, name: &str, text: impl Display) -> &mut Self {
        let text = text.to_string();
        self.0.push_str(&format!("<{name}>{}</{name}>", escape(&text)));
        self
    }

    /// An element with a text, if there is one.
    pub(super) fn maybe(&mut self, name: &str, text: Option<impl Display>) -> &mut Self {
        if let Some(text) = text {
            self.text(name, text);
        }
        self
    }

    /// An element with elements inside.
    pub(super) fn inside(&mut self, name: &str, fill: impl FnOnce(&mut Self)) -> &mut Self {
        self.0.push_str(&format!("<{name}>"));
        fill(self);
        self.0.push_str(&format!("</{name}>"));
        self
    }

    /// A list: an element with one element for each item, `item` in EC2 and `member` elsewhere.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        each: &str,
        items: impl IntoIterator<Item = T>,
        fill: impl Fn(&mut Self, T),
    ) -> &mut Self {
        self.inside(name, |xml| {
            for item in items {
                xml.inside(each, |xml| fill(xml, item));
            }
        })
    }
}

/// The answer of IAM or STS to an action: its result, if it has one, and the request's id.
pub(super) fn query_answer(
    namespace: &str,
    action: &str,
    request_id: &str,
    result: Option<impl FnOnce(&mut Xml)>,
) -> String {
    Xml::document(&format!("{action}Response"), namespace, |xml| {
        if let Some(fill) = result {
            xml.inside(&format!("{action}Result"), fill);
        }
        xml.inside("ResponseMetadata", |xml| {
            xml.text("RequestId", request_id);
        });
    })
}

/// An error of IAM or STS.
pub(super) fn error_body(namespace: &str, error: &AwsError, request_id: &str) -> String {
    Xml::document("ErrorResponse", namespace, |xml| {
        xml.inside("Error", |xml| {
            xml.text("Type", if error.status < 500 { "Sender" } else { "Receiver" });
            xml.text("Code", &error.code).text("Message", &error.message);
        });
        xml.text("RequestId", request_id);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped() {
        let written = Xml::document("A", "urn:x", |xml| {
            xml.text("b", "1 < 2 & \"3\"").list("c", "item", ["x", "y"], |xml, text| {
                xml.text("d", text);
            });
        });
        assert_eq!(
            written.lines().nth(1).unwrap(),
            "<A xmlns=\"urn:x\"><b>1 &lt; 2 &amp; &quot;3&quot;</b>\
             <c><item><d>x</d></item><item><d>y</d></item></c></A>"
        );
    }
}
