//! What tells two things apart without keeping them.

use std::fmt;
use std::fmt::Write as _;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;

use super::{NameError, parsed};

/// The first half of a SHA-256: enough that nobody finds a second thing that has it, and small enough to be kept by the
/// thousand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(u128);

impl Mark {
    /// The mark of a value, by its debug output: of names that is the names themselves.
    pub fn of(value: &impl fmt::Debug) -> Self {
        struct Hasher(sha2::Sha256);
        impl fmt::Write for Hasher {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0.update(text.as_bytes());
                Ok(())
            }
        }
        let mut hasher = Hasher(sha2::Sha256::new());
        // Writing into a hash cannot fail.
        let _ = write!(hasher, "{value:?}");
        let hash = hasher.0.finalize();
        Self(hash.iter().take(16).fold(0, |mark, byte| mark << 8 | u128::from(*byte)))
    }

    /// Parses the 32 digits.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let wrong = || NameError { expected: "a mark", given: text.to_owned(), rule: "it has 32 hexadecimal digits" };
        let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        u128::from_str_radix(text, 16).ok().filter(|_| digits).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Mark {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mark {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, Self::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_the_same_for_the_same_and_survives_being_written() {
        let (one, other) = (Mark::of(&("a", 1)), Mark::of(&("a", 2)));
        assert_eq!(one, Mark::of(&("a", 1)));
        assert_ne!(one, other);
        assert_eq!(serde_json::from_str::<Mark>(&serde_json::to_string(&one).unwrap()).unwrap(), one);
        for wrong in ["", "0", "+0000000000000000000000000000000", &"g".repeat(32)] {
            assert!(Mark::parse(wrong).is_err(), "{wrong}");
        }
    }
}
