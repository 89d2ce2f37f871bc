//! Published versions of functions, and the aliases that lead to them.

use std::fmt;

use serde::Serialize;

use super::NameError;

/// The number of a published version of a function. What it runs never changes; only `$LATEST` does, and has no number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Version(pub u64);

impl Version {
    /// How AWS calls what updates change: not a version that was published.
    pub const LATEST: &str = "$LATEST";

    /// Parses the number.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let rule = "a published version is a number from 1 on";
        let wrong = || NameError { expected: "a published version", given: text.to_owned(), rule };
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|number| digits && *number > 0).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_is_a_published_version() {
        assert_eq!(Version::parse("12").unwrap(), Version(12));
        for text in ["", "0", "+1", "1.5", "$LATEST", "$LATEST.PUBLISHED", "live", "99999999999999999999"] {
            assert!(Version::parse(text).is_err(), "{text}");
        }
    }
}
