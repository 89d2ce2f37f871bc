//! The words of the domain as types, each parsed once at the edge.
//!
//! A value of one of these types is known to have the right shape, so nothing further in re-checks it. Texts are kept
//! behind an `Arc`, since a fleet of ten thousand functions repeats the same few accounts, roles and networks.

mod mark;
mod network;
mod once;
mod pattern;
mod time;
mod version;

use std::fmt;
use std::sync::Arc;

pub use mark::Mark;
pub use network::{Network, Pair};
pub use once::Once;
pub use pattern::{NamePattern, fits, means, service_of};
pub use role::{AwsManaged, PolicyArn, PolicyName, RoleArn, RoleKey, RolePattern};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::Digest as _;
pub use time::{Clock, Time, WallClock, milliseconds, moment};
pub use version::Version;

use crate::text;

/// As much of a text that is no name is shown.
const LONGEST_GIVEN: usize = 200;

/// A text that is not what it should be: what was expected, what was given and the rule it breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not {expected}: {rule}", text::shown_within(given, LONGEST_GIVEN))]
pub struct NameError {
    /// What was expected, with its article: "a subnet id".
    pub expected: &'static str,
    /// What was given instead.
    pub given: String,
    /// The rule in one phrase, with an example where that helps.
    pub rule: &'static str,
}

/// Declares a text newtype: its rule, its parser, and the conversions that every name has.
macro_rules! name {
    ($(#[$doc:meta])* $Name:ident, $expected:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $Name(Arc<str>);

        impl $Name {
            /// Parses the text; the error says what was expected and why this is not it.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    return Ok(Self(text.into()));
                }
                Err(NameError { expected: $expected, given: text.to_owned(), rule: $rule })
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<'de> Deserialize<'de> for $Name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                parsed(deserializer, Self::parse)
            }
        }

        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

// After the macro, which it uses.
mod role;

/// Reads a text and parses it: what a program wrote is checked as what a person wrote.
fn parsed<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, NameError>,
) -> Result<T, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

name!(
    /// The id of an AWS account: twelve digits.
    AccountId,
    "an account id",
    "an account id is twelve digits, like 123456789012",
    |text| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
);

impl AccountId {
    /// Stands for an account that is not known yet: all zeros, an id that AWS never gives out.
    pub fn nobody() -> Self {
        Self("000000000000".into())
    }
}

name!(
    /// An AWS region, such as `eu-west-1`.
    Region,
    "a region",
    "a region looks like eu-west-1 or us-gov-west-1",
    |text| {
        let parts: Vec<&str> = text.split('-').collect();
        let word = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
        parts.len() >= 3
            && parts[..parts.len() - 1].iter().all(word)
            && parts.last().is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    }
);

name!(
    /// The name of a Lambda function, without account, region or version.
    ///
    /// A dot stands only in the names of Lambda@Edge replicas (`us-east-1.name`), which a listing returns too.
    FunctionName,
    "a function name",
    "a function name has 1 to 64 letters, digits, hyphens and underscores",
    |text| {
        let bare = text.rsplit('.').next().unwrap_or(text);
        !bare.is_empty()
            && bare.len() <= 64
            && text.len() <= 140
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    }
);

name!(
    /// The name of an alias, which leads to one or two versions of a function.
    AliasName,
    "an alias",
    "an alias has 1 to 128 letters, digits, hyphens and underscores, and is no number",
    |text| {
        (1..=128).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && !text.bytes().all(|b| b.is_ascii_digit())
    }
);

name!(
    /// The id of a VPC.
    VpcId,
    "a VPC id",
    "a VPC id is `vpc-` and 17 digits of 0-9 and a-f, like vpc-0a1b2c3d4e5f60718",
    |text| resource_id(text, "vpc-")
);

name!(
    /// The id of a subnet.
    SubnetId,
    "a subnet id",
    "a subnet id is `subnet-` and 17 digits of 0-9 and a-f, like subnet-0a1b2c3d4e5f60718",
    |text| resource_id(text, "subnet-")
);

name!(
    /// The id of a security group.
    SecurityGroupId,
    "a security group id",
    "a security group id is `sg-` and 17 digits of 0-9 and a-f, like sg-0a1b2c3d4e5f60718",
    |text| resource_id(text, "sg-")
);

name!(
    /// The name of an IAM role, without its path.
    RoleName,
    "a role name",
    "a role name has 1 to 64 letters, digits and `+=,.@_-`",
    |text| {
        !text.is_empty()
            && text.len() <= 64
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b))
    }
);

name!(
    /// The revision of a function's configuration: it changes twice per update, once at the answer and once at the end.
    RevisionId,
    "a revision id",
    "a revision id has 1 to 256 characters that can be seen",
    |text| (1..=256).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
);

/// Lambda's own patterns: `subnet-[0-9a-z]*` and `sg-[0-9a-zA-Z]*`; an empty rest is refused here, since no such id exists. Some
/// emulators answer ids of other lengths than AWS, which a file may not have: `file::Reader::id`.
fn resource_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| (1..=40).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// One account in one region: what is swept together, and what AWS counts requests for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ScopeKey {
    /// The account.
    pub account: AccountId,
    /// The region.
    pub region: Region,
}

impl fmt::Display for ScopeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.region)
    }
}

/// What identifies a function: account, region and name. Only `$LATEST` is meant; published versions are frozen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct FunctionKey {
    /// Where it lives.
    #[serde(flatten)]
    pub scope: ScopeKey,
    /// Its name.
    pub name: FunctionName,
}

impl FunctionKey {
    /// Parses the three parts of what [`FunctionKey`] displays.
    pub fn parse(account: &str, region: &str, name: &str) -> Result<Self, NameError> {
        let scope = ScopeKey { account: AccountId::parse(account)?, region: Region::parse(region)? };
        Ok(Self { scope, name: FunctionName::parse(name)? })
    }
}

impl fmt::Display for FunctionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.scope, self.name)
    }
}

/// The ARN of a function as a person may write it in place of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionArn {
    /// The account, region and name it speaks of.
    pub key: FunctionKey,
}

impl FunctionArn {
    /// Parses `arn:aws:lambda:REGION:ACCOUNT:function:NAME`; a version or alias behind it is refused.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let wrong = |rule| NameError { expected: "a function ARN", given: text.to_owned(), rule };
        let shape = "it looks like arn:aws:lambda:eu-west-1:123456789012:function:orders-api";
        let parts: Vec<&str> = text.split(':').collect();
        let [arn, partition, lambda, region, account, function, name, qualifier @ ..] = parts.as_slice() else {
            return Err(wrong(shape));
        };
        if *arn != "arn" || !partition.starts_with("aws") || *lambda != "lambda" || *function != "function" {
            return Err(wrong(shape));
        }
        if !qualifier.is_empty() {
            return Err(wrong("versions and aliases cannot be attached: leave out what follows the name"));
        }
        Ok(Self { key: FunctionKey::parse(account, region, name)? })
    }
}

/// The SHA-256 of some bytes, in hexadecimal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Digest(Arc<str>);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let hash = sha2::Sha256::digest(bytes);
        Self(hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into())
    }

    /// Parses the 64 digits.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 64 && text.bytes().all(digit) {
            return Ok(Self(text.into()));
        }
        let rule = "it has 64 hexadecimal digits, in small letters";
        Err(NameError { expected: "a SHA-256 digest", given: text.to_owned(), rule })
    }

    /// All 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits: enough for a person to compare.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, Self::parse)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_wrong_shape_are_refused() {
        assert!(AccountId::parse("12345678901").is_err());
        assert!(Region::parse("eu-west").is_err());
        assert!(Region::parse("us-gov-west-1").is_ok());
        assert!(VpcId::parse("vpc-").is_err());
        assert!(SubnetId::parse("sg-1").is_err());
        assert!(FunctionName::parse("").is_err());
        assert!(FunctionName::parse("a b").is_err());
        assert!(FunctionName::parse("us-east-1.edge").is_ok());
        assert!(RoleArn::parse("arn:aws:iam::123456789012:user/x").is_err());
        assert!(PolicyName::parse("AWSLambdaVPCAccessExecutionRole").is_ok());
        assert!(PolicyName::parse("arn:aws:iam::aws:policy/").is_err());
        assert!(FunctionArn::parse("arn:aws:lambda:eu-west-1:123456789012:function:f:3").is_err());
    }
}
