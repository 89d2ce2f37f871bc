//! The parameters of the query protocols, where a list is a run of numbered names.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::simulator::account::{AwsError, Filter};

/// The parameters of a request.
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    /// Parses `Action=DescribeVpcs&Version=2016-11-15&…`.
    pub(super) fn parse(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// A parameter.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&str, AwsError> {
        self.text(name).ok_or_else(|| {
            AwsError::new(400, "MissingParameter", format!("The request must contain the parameter {name}"))
        })
    }

    /// A parameter that is a number, if it is there.
    pub(super) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, AwsError> {
        let malformed =
            |text: &str| AwsError::new(400, "MalformedInput", format!("`{text}` is not a number, as {name} must be"));
        self.text(name).map(|text| text.parse().map_err(|_| malformed(text))).transpose()
    }

    /// A list: `PREFIX.1`, `PREFIX.2` and so on.
    pub(super) fn list(&self, prefix: &str) -> Vec<String> {
        (1..).map_while(|n| self.text(&format!("{prefix}.{n}"))).map(str::to_owned).collect()
    }

    /// EC2's filters: `Filter.1.Name`, `Filter.1.Value.1` and so on.
    pub(super) fn filters(&self) -> Vec<Filter> {
        let filter = |n: usize| {
            let name = self.text(&format!("Filter.{n}.Name"))?.to_owned();
            Some(Filter { name, values: self.list(&format!("Filter.{n}.Value")) })
        };
        (1..).map_while(filter).collect()
    }

    /// The first parameter that is none of these and begins with none of those.
    pub(super) fn unknown(&self, names: &[&str], prefixes: &[&str]) -> Option<&str> {
        let known = |name: &str| names.contains(&name) || prefixes.iter().any(|prefix| name.starts_with(prefix));
        self.0.keys().map(String::as_str).find(|name| !known(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_filters_are_numbered() {
        let form = Form::parse(
            b"SubnetId.1=a&SubnetId.2=b%20c&SubnetId.4=x&MaxResults=7&Filter.1.Name=vpc-id&Filter.1.Value.1=v\
              &Filter.2.Name=state&Filter.2.Value.1=available&Filter.2.Value.2=pending",
        );
        assert_eq!(form.list("SubnetId"), ["a", "b c"]);
        assert_eq!(form.number::<u64>("MaxResults").unwrap(), Some(7));
        assert!(form.number::<u64>("SubnetId.1").is_err());
        let filters = form.filters();
        assert_eq!((filters.len(), filters[1].values.len()), (2, 2));
        assert_eq!(form.unknown(&["MaxResults"], &["Filter."]), Some("SubnetId.1"));
        assert_eq!(form.unknown(&["MaxResults"], &["Filter.", "SubnetId."]), None);
    }
}
