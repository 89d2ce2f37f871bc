//! The words of the domain as types, each parsed once at the edge.
//!
//! A value of one of these types is known to have the right shape, so nothing further in re-checks it. Texts are kept
//! behind an `Arc`, since a fleet of ten thousand functions repeats the same few accounts, roles and networks.

mod pattern;
mod version;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use pattern::{NamePattern, fits};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::Digest as _;
pub use version::Version;

/// A text that is not what it should be: what was expected, what was given and the rule it breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {expected}: {rule}")]
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
    "a VPC id is `vpc-` and hexadecimal digits, like vpc-0a1b2c3d4e5f60718",
    |text| resource_id(text, "vpc-")
);

name!(
    /// The id of a subnet.
    SubnetId,
    "a subnet id",
    "a subnet id is `subnet-` and letters or digits, like subnet-0a1b2c3d4e5f60718",
    |text| resource_id(text, "subnet-")
);

name!(
    /// The id of a security group.
    SecurityGroupId,
    "a security group id",
    "a security group id is `sg-` and letters or digits, like sg-0a1b2c3d4e5f60718",
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
    "a revision id is not empty",
    |text| !text.is_empty()
);

/// Lambda's own patterns: `subnet-[0-9a-z]*` and `sg-[0-9a-zA-Z]*`; an empty rest is refused here, since no such id exists.
fn resource_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| (1..=40).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// One account in one region: what is swept together, and what AWS counts requests for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Scope {
    /// The account.
    pub account: AccountId,
    /// The region.
    pub region: Region,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.region)
    }
}

/// What identifies a function: account, region and name. Only `$LATEST` is meant; published versions are frozen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct FunctionKey {
    /// Where it lives.
    #[serde(flatten)]
    pub scope: Scope,
    /// Its name.
    pub name: FunctionName,
}

impl FunctionKey {
    /// Parses the three parts of what [`FunctionKey`] displays.
    pub fn parse(account: &str, region: &str, name: &str) -> Result<Self, NameError> {
        let scope = Scope { account: AccountId::parse(account)?, region: Region::parse(region)? };
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
        Ok(Self {
            key: FunctionKey {
                scope: Scope { account: AccountId::parse(account)?, region: Region::parse(region)? },
                name: FunctionName::parse(name)?,
            },
        })
    }
}

/// What identifies a role: its account and its name. Roles are global, so one role serves functions in every region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RoleKey {
    /// The account that owns the role.
    pub account: AccountId,
    /// The role's name, without its path.
    pub name: RoleName,
}

impl fmt::Display for RoleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.name)
    }
}

/// The ARN of a function's execution role, as Lambda reports it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleArn {
    text: Arc<str>,
    key: RoleKey,
}

impl RoleArn {
    /// Parses `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`: the name is the last segment, since roles have paths.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let wrong = || NameError {
            expected: "a role ARN",
            given: text.to_owned(),
            rule: "it looks like arn:aws:iam::123456789012:role/orders-api",
        };
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", account, resource] = parts.as_slice() else { return Err(wrong()) };
        if !partition.starts_with("aws") || !resource.starts_with("role/") {
            return Err(wrong());
        }
        let name = resource.rsplit('/').next().unwrap_or_default();
        let key = RoleKey { account: AccountId::parse(account)?, name: RoleName::parse(name)? };
        Ok(Self { text: text.into(), key })
    }

    /// The role's account and name.
    pub fn key(&self) -> &RoleKey {
        &self.key
    }

    /// The partition: `aws`, `aws-cn` or `aws-us-gov`.
    pub fn partition(&self) -> &str {
        self.text.split(':').nth(1).unwrap_or("aws")
    }

    /// The ARN itself.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Serialize for RoleArn {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for RoleArn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, Self::parse)
    }
}

impl fmt::Debug for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

name!(
    /// The ARN of a managed policy.
    PolicyArn,
    "a policy ARN",
    "it looks like arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole",
    |text| {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        matches!(parts.as_slice(), ["arn", partition, "iam", "", account, resource]
            if partition.starts_with("aws")
                && (*account == "aws" || AccountId::parse(account).is_ok())
                && resource.strip_prefix("policy/").is_some_and(|rest| !rest.is_empty() && !rest.ends_with('/')))
    }
);

impl PolicyArn {
    /// The ARN of a policy that AWS itself manages, in the partition of the role that shall have it.
    fn managed_by_aws(path: &str, partition: &str) -> Self {
        Self(format!("arn:{partition}:iam::aws:policy/{path}").into())
    }

    /// The partition: `aws`, `aws-cn` or `aws-us-gov`.
    pub fn partition(&self) -> &str {
        self.0.split(':').nth(1).unwrap_or("aws")
    }

    /// The policy's name: the last segment.
    pub fn short(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

/// A managed policy as a person names it: in full, or by the path of one that AWS manages in every partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PolicyName {
    /// A policy by its ARN.
    Arn(PolicyArn),
    /// A policy that AWS manages, by path and name: `service-role/AWSLambdaVPCAccessExecutionRole`.
    AwsManaged(Arc<str>),
}

impl PolicyName {
    /// The policy that gives a role the right to make Lambda's network interfaces.
    pub fn vpc_access() -> Self {
        Self::AwsManaged("service-role/AWSLambdaVPCAccessExecutionRole".into())
    }

    /// Parses an ARN, or the path and name of a policy that AWS manages.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.starts_with("arn:") {
            return PolicyArn::parse(text).map(Self::Arn);
        }
        PolicyArn::parse(&format!("arn:aws:iam::aws:policy/{text}"))
            .ok()
            .filter(|_| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-/".contains(&b)))
            .map(|_| Self::AwsManaged(text.into()))
            .ok_or(NameError {
                expected: "a policy",
                given: text.to_owned(),
                rule: "write its ARN, or the path and name of one that AWS manages, \
                       like service-role/AWSLambdaVPCAccessExecutionRole",
            })
    }

    /// The ARN of this policy where the given role lives.
    pub fn for_role(&self, role: &RoleArn) -> PolicyArn {
        match self {
            Self::Arn(arn) => arn.clone(),
            Self::AwsManaged(path) => PolicyArn::managed_by_aws(path, role.partition()),
        }
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arn(arn) => arn.fmt(f),
            Self::AwsManaged(path) => f.write_str(path),
        }
    }
}

/// A VPC configuration: what a function has, or shall have. Both lists are sets; empty means not in a VPC.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Network {
    /// The subnets, one network interface in each.
    pub subnets: BTreeSet<SubnetId>,
    /// The security groups of those interfaces.
    pub security_groups: BTreeSet<SecurityGroupId>,
    /// Whether outbound IPv6 is allowed in dual-stack subnets.
    pub ipv6: bool,
}

impl Network {
    /// Lambda takes at most this many subnets in one configuration.
    pub const MOST_SUBNETS: usize = 16;
    /// Lambda takes at most this many security groups in one configuration.
    pub const MOST_SECURITY_GROUPS: usize = 5;

    /// Not in a VPC.
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether this is a place in a VPC at all. Lambda shows "never attached" and "detached" differently; both are no.
    pub fn is_attached(&self) -> bool {
        !self.subnets.is_empty() || !self.security_groups.is_empty()
    }
}

/// What Lambda makes one network interface for, shared by all functions of an account that have it in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Pair {
    /// The subnet that the interface is in.
    pub subnet: SubnetId,
    /// Its whole set of security groups.
    pub security_groups: BTreeSet<SecurityGroupId>,
}

impl Network {
    /// The pairs of this network: one for each subnet.
    pub fn pairs(&self) -> impl Iterator<Item = Pair> {
        let pair = |subnet: &SubnetId| Pair { subnet: subnet.clone(), security_groups: self.security_groups.clone() };
        self.subnets.iter().map(pair)
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

/// A moment, in milliseconds since 1970-01-01T00:00:00Z. The only time that the pure rooms know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// The moment that a system clock shows.
    pub fn from_system(time: std::time::SystemTime) -> Self {
        let since = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// How long ago `earlier` was; zero if it is yet to come.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Seconds since 1970, as Prometheus counts.
    pub fn as_seconds(self) -> f64 {
        Duration::from_millis(self.0).as_secs_f64()
    }
}

impl std::ops::Add<Duration> for Time {
    type Output = Self;
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for Time {
    /// RFC 3339 in UTC, to the second.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stamp = i64::try_from(self.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        match stamp {
            Some(stamp) => write!(f, "{}", stamp.strftime("%Y-%m-%dT%H:%M:%SZ")),
            None => write!(f, "{} ms after 1970", self.0),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stamp: jiff::Timestamp = String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)?;
        u64::try_from(stamp.as_millisecond()).map(Self).map_err(|_| serde::de::Error::custom("before 1970"))
    }
}

impl JsonSchema for Time {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let description = "A moment, in UTC, to the second.";
        schemars::json_schema!({ "type": "string", "format": "date-time", "description": description })
    }
}

/// What asks for the time: the runtime's clock, or a test's.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_with_a_path_is_named_by_its_last_segment_and_keeps_its_partition() {
        let arn = RoleArn::parse("arn:aws-cn:iam::123456789012:role/team/x/orders").unwrap();
        assert_eq!(arn.key().name.as_str(), "orders");
        assert_eq!(
            PolicyName::vpc_access().for_role(&arn).as_str(),
            "arn:aws-cn:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole"
        );
    }

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

    #[test]
    fn times_print_as_rfc_3339() {
        assert_eq!(Time(1_795_417_200_000).to_string(), "2026-11-23T07:00:00Z");
        assert_eq!(serde_json::from_str::<Time>("\"2026-11-23T07:00:00Z\"").unwrap(), Time(1_795_417_200_000));
        assert!(serde_json::from_str::<Time>("\"1969-11-23T07:00:00Z\"").is_err());
    }
}
