//! The words of the file that are no names of AWS's own.

use super::document::Moment;
use crate::names::{FunctionName, NameError, NamePattern, Time};

/// What an entry is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Named {
    One(FunctionName),
    All(NamePattern),
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::One(name) => write!(f, "function `{name}`"),
            Self::All(pattern) => write!(f, "the pattern `{pattern}`"),
        }
    }
}

/// Parses the name of a function, or a pattern of names.
pub(super) fn function_name(text: &str) -> Result<Named, NameError> {
    let wrong = |rule| NameError { expected: "a function name", given: text.to_owned(), rule };
    match text {
        _ if NamePattern::is_meant(text) => NamePattern::parse(text).map(Named::All),
        _ if text.starts_with("arn:") => Err(wrong("this is an ARN: write it as `arn = ...`")),
        _ if text.contains('.') => Err(wrong("a function name has letters, digits, hyphens and underscores")),
        _ => FunctionName::parse(text).map(Named::One),
    }
}

/// Parses a name for a VPC: any text that functions can refer to it by.
pub(crate) fn vpc_name(text: &str) -> Result<String, NameError> {
    let wrong = |rule| NameError { expected: "a name for a VPC", given: text.to_owned(), rule };
    match text {
        "" => Err(wrong("it must not be empty")),
        "none" => Err(wrong("\"none\" means not in a VPC: choose another name")),
        _ if text.chars().count() > LONGEST_NAME => Err(wrong("it has at most 256 characters")),
        _ if text.starts_with("vpc-") => {
            Err(wrong("it looks like an id: choose a name that tells what the VPC is for"))
        }
        _ => Ok(text.to_owned()),
    }
}

/// As long as the name of a VPC may be, and that of a subnet or a group: AWS's own bound of a tag's value.
pub(super) const LONGEST_NAME: usize = 256;
/// As long as the key of a tag may be, in AWS.
pub(super) const LONGEST_KEY: usize = 128;
/// As long as a reason may be: it is shown wherever its function is.
const LONGEST_REASON: usize = 500;

/// Parses the reason of an observation.
pub(super) fn reason(text: &str) -> Result<String, NameError> {
    bounded(text, LONGEST_REASON, "a reason", "it has at most 500 characters")
}

/// Parses the name of a subnet or of a security group, or the value of a tag.
pub(super) fn name(text: &str) -> Result<String, NameError> {
    bounded(text, LONGEST_NAME, "a name, or the value of a tag", "AWS has none of more than 256 characters")
}

fn bounded(text: &str, most: usize, expected: &'static str, rule: &'static str) -> Result<String, NameError> {
    match text.chars().count() <= most {
        true => Ok(text.to_owned()),
        false => Err(NameError { expected, given: text.to_owned(), rule }),
    }
}

/// Parses a moment: one before 1970 is taken for its beginning, which is over as well.
pub(super) fn moment(moment: &Moment) -> Result<Time, NameError> {
    let given = moment.0.to_string();
    match given.parse::<jiff::Timestamp>() {
        Ok(stamp) => Ok(Time::from_stamp(stamp).unwrap_or_default()),
        Err(_) => Err(NameError {
            expected: "a moment",
            given,
            rule: "write date, time and time zone, like 2027-01-31T00:00:00Z",
        }),
    }
}
