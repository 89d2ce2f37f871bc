//! Execution roles, and the managed policies that they may have.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{AccountId, NameError, RoleName, fits, parsed};

/// What identifies a role: its account and its name. Roles are global, so one role serves functions in every region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RoleKey {
    /// The account that owns the role.
    pub account: AccountId,
    /// The role's name, without its path.
    pub name: RoleName,
}

impl RoleKey {
    /// Whether both are one role: IAM does not tell names apart that differ in case alone.
    pub fn is(&self, other: &Self) -> bool {
        self.account == other.account && self.name.as_str().eq_ignore_ascii_case(other.name.as_str())
    }
}

impl fmt::Display for RoleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.name)
    }
}

/// The ARN of a function's execution role, as Lambda reports it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleArn(Arc<Role>);

#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Role {
    arn: Box<str>,
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
        if !partition.starts_with("aws") || !resource.starts_with("role/") || !is_arn(text) {
            return Err(wrong());
        }
        let name = resource.rsplit('/').next().unwrap_or_default();
        let key = RoleKey { account: AccountId::parse(account)?, name: RoleName::parse(name)? };
        Ok(Self(Arc::new(Role { arn: text.into(), key })))
    }

    /// The role's account and name.
    pub fn key(&self) -> &RoleKey {
        &self.0.key
    }

    /// The partition: `aws`, `aws-cn` or `aws-us-gov`.
    pub fn partition(&self) -> &str {
        self.0.arn.split(':').nth(1).unwrap_or("aws")
    }

    /// The ARN itself.
    pub fn as_str(&self) -> &str {
        &self.0.arn
    }

    /// The role's path and name, as they stand behind `role/`.
    fn path_and_name(&self) -> &str {
        self.0.arn.split_once(":role/").map_or("", |(_, rest)| rest)
    }
}

impl Serialize for RoleArn {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RoleArn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, Self::parse)
    }
}

impl fmt::Debug for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The longest ARN, and what IAM allows in a path.
fn is_arn(text: &str) -> bool {
    text.len() <= 2048 && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Roles as a person means several at once: a name, a path that ends with `/`, or a path and a name.
///
/// `*` stands for any text and `?` for one character, as IAM takes them in the ARNs of a policy: so that the controller and a
/// printed policy never differ on which roles are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolePattern(Box<str>);

impl RolePattern {
    /// Parses a pattern. IAM's paths have up to 512 characters, its names 64.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let rule = "write a role's name, a path that ends with `/`, or a path and a name: orders-*, service-role/ or \
                    team/orders-api, with `*` for any text and `?` for one character";
        let meant = text.strip_prefix('/').unwrap_or(text);
        let valid = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-/*?".contains(&b);
        match (1..=576).contains(&meant.len()) && meant.bytes().all(valid) && !meant.starts_with('/') {
            true => Ok(Self(meant.into())),
            false => Err(NameError { expected: "a pattern of roles", given: text.to_owned(), rule }),
        }
    }

    /// What stands behind `role/` in the ARNs of these roles, in IAM's own patterns. A name alone is meant with any path:
    /// names are used once in an account.
    pub fn in_arns(&self) -> Vec<String> {
        match &*self.0 {
            path if path.ends_with('/') => vec![format!("{path}*")],
            whole if whole.contains('/') || whole.starts_with('*') => vec![whole.to_owned()],
            name => vec![name.to_owned(), format!("*/{name}")],
        }
    }

    /// Whether a role is meant.
    pub fn fits(&self, role: &RoleArn) -> bool {
        self.in_arns().iter().any(|pattern| fits(pattern, role.path_and_name()))
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
            if is_arn(text) && partition.starts_with("aws")
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
    AwsManaged(AwsManaged),
}

/// A policy that AWS manages in every partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AwsManaged {
    path: Arc<str>,
    /// The ARN in the partition in which most roles live, made once.
    usual: PolicyArn,
}

impl AwsManaged {
    const USUAL: &str = "aws";

    fn new(path: &str) -> Self {
        Self { path: path.into(), usual: PolicyArn::managed_by_aws(path, Self::USUAL) }
    }

    /// Its ARN in a partition.
    pub fn within(&self, partition: &str) -> PolicyArn {
        match partition {
            Self::USUAL => self.usual.clone(),
            _ => PolicyArn::managed_by_aws(&self.path, partition),
        }
    }
}

impl PolicyName {
    /// The policy that gives a role the right to make Lambda's network interfaces.
    pub fn vpc_access() -> Self {
        Self::AwsManaged(AwsManaged::new("service-role/AWSLambdaVPCAccessExecutionRole"))
    }

    /// Parses an ARN, or the path and name of a policy that AWS manages.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.starts_with("arn:") {
            return PolicyArn::parse(text).map(Self::Arn);
        }
        PolicyArn::parse(&format!("arn:aws:iam::aws:policy/{text}"))
            .ok()
            .filter(|_| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-/".contains(&b)))
            .map(|_| Self::AwsManaged(AwsManaged::new(text)))
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
            Self::AwsManaged(policy) => policy.within(role.partition()),
        }
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arn(arn) => arn.fmt(f),
            Self::AwsManaged(policy) => f.write_str(&policy.path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_of_roles_means_names_with_any_path_or_what_is_below_a_path() {
        for (pattern, role, expected) in [
            ("orders", "orders", true),
            ("orders", "team/x/orders", true),
            ("orders", "orders-api", false),
            ("orders", "orders/admin", false),
            ("orders-*", "service-role/orders-api", true),
            ("orders-*", "service-role/my-orders-api", false),
            ("*-api", "team/orders-api", true),
            ("o?ders", "team/orders", true),
            ("service-role/", "service-role/orders", true),
            ("/service-role/", "service-role/deep/orders", true),
            ("service-role/", "service-role", false),
            ("service-role/", "my/service-role/orders", false),
            ("team/orders", "team/orders", true),
            ("team/orders", "x/team/orders", false),
            ("team/orders", "orders", false),
        ] {
            let arn = RoleArn::parse(&format!("arn:aws:iam::123456789012:role/{role}")).unwrap();
            assert_eq!(RolePattern::parse(pattern).unwrap().fits(&arn), expected, "{pattern} {role}");
        }
        for wrong in ["", "/", "//x", "a b", "${aws:username}", "arn:aws:iam::123456789012:role/orders"] {
            assert!(RolePattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_role_with_a_path_is_named_by_its_last_segment_and_keeps_its_partition() {
        let arn = RoleArn::parse("arn:aws-cn:iam::123456789012:role/team/x/orders").unwrap();
        assert_eq!(arn.key().name.as_str(), "orders");
        assert_eq!(
            PolicyName::vpc_access().for_role(&arn).as_str(),
            "arn:aws-cn:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole"
        );
    }
}
