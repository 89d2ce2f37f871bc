//! What the callers of this world may do, where an identity policy says so.
//!
//! Of IAM's language it knows what policies for this controller need: statements with actions, resources and a few conditions
//! on single values. A document with anything else is refused, and never half understood.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::lambda::invalid;
use super::policies::matches;
use super::{Aws, AwsError, UpdateFunctionConfiguration};
use crate::cloud::Service;
use crate::names::{RoleKey, RoleName, ScopeKey};
use crate::simulator::faults::Asked;

/// A policy, as IAM writes it in JSON.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct IdentityPolicy {
    #[serde(rename = "Version")]
    _version: String,
    statement: Vec<Statement>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    #[serde(rename = "Sid", default)]
    _sid: String,
    effect: Effect,
    action: OneOrMore,
    resource: OneOrMore,
    #[serde(default)]
    condition: BTreeMap<Operator, BTreeMap<String, OneOrMore>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
enum Operator {
    StringEquals,
    StringEqualsIfExists,
    StringLike,
    ArnEquals,
    Bool,
    Null,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn each(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::More(texts) => texts,
        }
    }
}

/// What a change is to, as a condition of a policy can look at it.
#[derive(Clone, Copy, Debug)]
pub enum Goal<'a> {
    /// Nothing that a condition looks at.
    Nothing,
    /// The ARN of a managed policy.
    Policy(&'a str),
    /// New settings of a function.
    Settings(&'a UpdateFunctionConfiguration),
}

impl IdentityPolicy {
    /// Reads a policy.
    pub fn parse(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    fn allows(&self, action: &str, resource: &str, keys: &BTreeMap<&str, String>) -> bool {
        let says = |effect: Effect| {
            self.statement
                .iter()
                .any(|statement| statement.effect == effect && statement.is_about(action, resource, keys))
        };
        says(Effect::Allow) && !says(Effect::Deny)
    }
}

impl Statement {
    fn is_about(&self, action: &str, resource: &str, keys: &BTreeMap<&str, String>) -> bool {
        let Self { _sid, effect: _, action: actions, resource: resources, condition } = self;
        actions.each().iter().any(|pattern| matches(pattern, action))
            && resources.each().iter().any(|pattern| crate::names::fits(pattern, resource))
            && condition.iter().all(|(operator, tests)| {
                tests.iter().all(|(key, values)| operator.holds(keys.get(key.as_str()), values.each()))
            })
    }
}

impl Operator {
    fn holds(self, value: Option<&String>, wanted: &[String]) -> bool {
        let fits = |value: &String| wanted.contains(value);
        match self {
            Self::StringEquals | Self::Bool => value.is_some_and(fits),
            Self::StringEqualsIfExists => value.is_none_or(fits),
            Self::ArnEquals | Self::StringLike => {
                value.is_some_and(|value| wanted.iter().any(|arn| crate::names::fits(arn, value)))
            }
            Self::Null => wanted.iter().any(|wanted| *wanted == value.is_none().to_string()),
        }
    }
}

impl Aws {
    /// Whether the callers may make this call. Nobody needs a right to learn who he is; who may become a role is for its trust
    /// to say (`sts`).
    pub(super) fn may(&self, asked: &Asked<'_>, goal: Goal<'_>) -> bool {
        let Asked { service, operation, account, region, subject } = *asked;
        let Some(policy) = self.permissions.as_ref().filter(|_| service != Service::Sts) else { return true };
        let scope = region.map(|region| ScopeKey { account: account.clone(), region: region.clone() });
        let role = subject.and_then(|name| RoleName::parse(name).ok()).and_then(|name| {
            let role = self.role(&RoleKey { account: account.clone(), name })?;
            Some(self.role_arn(account, role))
        });
        let resource = match service {
            Service::Iam => role.unwrap_or_else(|| "*".to_owned()),
            _ => asked.resource(),
        };
        let keys = match (goal, scope) {
            (Goal::Policy(arn), _) => BTreeMap::from([("iam:PolicyARN", arn.to_owned())]),
            (Goal::Settings(settings), Some(scope)) => {
                let vpc = self.vpc_of(&scope, settings).map(|vpc| ("lambda:VpcIds", vpc));
                vpc.into_iter().collect()
            }
            _ => BTreeMap::new(),
        };
        policy.allows(&format!("{}:{operation}", service.name()), &resource, &keys)
    }

    /// What Lambda meets where a function has a customer's key, when it uses that in the caller's name and makes the grant for
    /// the execution role anew. That it is refused is documented; which of the caller's rights comes first is not.
    pub(super) fn check_key(&self, at: &ScopeKey, key: Option<&str>, grant_void: bool) -> Result<(), AwsError> {
        let Some(key) = key else { return Ok(()) };
        let keys = BTreeMap::from([
            ("kms:ViaService", format!("lambda.{}.amazonaws.com", at.region)),
            ("kms:GrantIsForAWSResource", "true".to_owned()),
        ]);
        let may = |action: &&str| self.permissions.as_ref().is_none_or(|policy| policy.allows(action, key, &keys));
        if let Some(action) = ["kms:Decrypt", "kms:CreateGrant"].iter().find(|action| !may(action)) {
            let user = format!("User: arn:aws:iam::{}:user/simulated", at.account);
            let why = format!("because no identity-based policy allows the {action} action");
            let text = format!("{user} is not authorized to perform: {action} on resource: {key} {why}");
            return Err(AwsError::new(403, "AccessDeniedException", text));
        }
        match grant_void {
            false => Ok(()),
            true => Err(invalid(
                "Lambda was unable to configure access to your environment variables because the KMS key is invalid for \
                 CreateGrant. KMS Exception: InvalidArnException KMS Message: ARN does not refer to a valid principal",
            )),
        }
    }

    /// Whether the callers may do what has no resource.
    pub(super) fn caller_may(&self, action: &str) -> bool {
        self.permissions.as_ref().is_none_or(|policy| policy.allows(action, "*", &BTreeMap::new()))
    }

    /// The VPC that new settings name by a subnet of it.
    fn vpc_of(&self, at: &ScopeKey, settings: &UpdateFunctionConfiguration) -> Option<String> {
        let subnets = settings.vpc_config.as_ref()?.subnet_ids.as_ref()?;
        let region = self.accounts.get(&at.account)?.regions.get(&at.region)?;
        let found = region.subnets.iter().find(|(id, _)| Some(id.as_str()) == subnets.first().map(String::as_str));
        found.map(|(_, subnet)| subnet.vpc.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_as_iam_says() {
        let policy = |condition: &str| {
            IdentityPolicy::parse(&format!(
                r#"{{"Version": "2012-10-17", "Statement": [
                    {{"Effect": "Allow", "Action": "lambda:Update*", "Resource": ["arn:*:function:orders-*"]{condition}}}]}}"#
            ))
        };
        let allows = |condition: &str, vpc: Option<&str>| {
            let keys = vpc.map(|vpc| ("lambda:VpcIds", vpc.to_owned())).into_iter().collect();
            let arn = "arn:aws:lambda:eu-west-1:1:function:orders-api";
            policy(condition).unwrap().allows("lambda:UpdateFunctionConfiguration", arn, &keys)
        };
        let equals = r#", "Condition": {"StringEquals": {"lambda:VpcIds": ["vpc-1", "vpc-2"]}}"#;
        let if_exists = r#", "Condition": {"StringEqualsIfExists": {"lambda:VpcIds": "vpc-1"}}"#;
        let there = r#", "Condition": {"Null": {"lambda:VpcIds": "false"}}"#;
        for (condition, vpc, expected) in [
            ("", None, true),
            (equals, Some("vpc-2"), true),
            (equals, Some("vpc-3"), false),
            (equals, None, false),
            (if_exists, None, true),
            (if_exists, Some("vpc-1"), true),
            (if_exists, Some("vpc-2"), false),
            (there, Some("vpc-9"), true),
            (there, None, false),
        ] {
            assert_eq!(allows(condition, vpc), expected, "{condition} {vpc:?}");
        }
        let all = BTreeMap::new();
        let allowed = policy("").unwrap();
        assert!(!allowed.allows(
            "lambda:UpdateFunctionConfiguration",
            "arn:aws:lambda:eu-west-1:1:function:other",
            &all
        ));
        assert!(!allowed.allows("lambda:DeleteFunction", "arn:aws:lambda:eu-west-1:1:function:orders-api", &all));
        assert!(policy(r#", "NotResource": "*""#).is_err(), "what is not understood is refused");
        assert!(policy(r#", "Condition": {"StringNotLike": {"lambda:VpcIds": "*"}}"#).is_err());
    }
}
