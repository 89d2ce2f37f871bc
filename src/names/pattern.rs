//! Texts with stars in them, by which people mean several names at once.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::{FunctionName, NameError};

/// A pattern of function names: `*` for any text, `?` for one character.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct NamePattern(Arc<str>);

impl NamePattern {
    /// Whether a text is meant as a pattern.
    pub fn is_meant(text: &str) -> bool {
        text.contains(['*', '?'])
    }

    /// Parses a pattern.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let rule = "a pattern has up to 64 letters, digits, hyphens and underscores, with `*` for any text and `?` for one \
                    character";
        let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'*' | b'?');
        match (1..=64).contains(&text.len()) && text.bytes().all(valid) {
            true => Ok(Self(text.into())),
            false => Err(NameError { expected: "a pattern of function names", given: text.to_owned(), rule }),
        }
    }

    /// Whether a function is meant.
    pub fn fits(&self, name: &FunctionName) -> bool {
        fits(&self.0, name.as_str())
    }

    /// The pattern itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a pattern means a function: it fits, and nothing that is left out does.
pub fn means(pattern: &NamePattern, except: &[NamePattern], name: &FunctionName) -> bool {
    pattern.fits(name) && !except.iter().any(|out| out.fits(name))
}

/// Functions that services of AWS make in an account for themselves, by how their names begin, and the service. Each sets the
/// VPC by its own configuration, and sets it back with its next deployment. Sources: the services' user guides; a stack of a
/// stack set is called `StackSet-NAME-ID`, and its functions begin with that where the template does not name them.
const OF_SERVICES: [(&str, &str); 4] = [
    ("cwsyn-", "CloudWatch Synthetics"),
    ("aws-controltower-", "AWS Control Tower"),
    ("StackSet-", "CloudFormation StackSets"),
    ("amplify-", "AWS Amplify"),
];

/// The service of AWS that made a function for itself, judging by the name.
pub fn service_of(name: &FunctionName) -> Option<&'static str> {
    let (_, service) = OF_SERVICES.iter().find(|(start, _)| name.as_str().starts_with(start))?;
    Some(service)
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a pattern with `*` and `?` fits the whole text. What is compared are bytes: names in AWS are ASCII.
pub fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on when a later byte does not fit: behind the last star, one byte further in the text.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match (pattern.get(p), retry) {
            (Some(b'*'), _) => {
                retry = Some((p + 1, t));
                p += 1;
            }
            (Some(wanted), _) if *wanted == b'?' || *wanted == text[t] => {
                p += 1;
                t += 1;
            }
            (_, Some((star, from))) => {
                retry = Some((star, from + 1));
                p = star;
                t = from + 1;
            }
            _ => return false,
        }
    }
    pattern[p..].iter().all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns_know_stars_and_question_marks() {
        for (pattern, text, expected) in [
            ("orders", "orders", true),
            ("orders", "orders-api", false),
            ("orders*", "orders-api", true),
            ("*-api", "orders-api-api", true),
            ("o?ders*", "orders", true),
            ("*", "", true),
            ("", "x", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }
}
