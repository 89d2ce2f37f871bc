//! The least that IAM must allow a controller with these settings: made from the operations that it makes, with what the
//! settings forbid as conditions, so that a defect of the program or a hostile file could not do more either.
//!
//! What can be said by conditions is AWS's: the policies that may be attached (`iam:PolicyARN`) and the VPCs that a
//! function may be attached to (`lambda:VpcIds`), which is missing from a request that takes a function out of its VPC.
//! The roles that may get a policy are the resources of that statement. What cannot be said: an update of a function's
//! configuration may carry other settings beside its VPC, and no condition looks at those but at layers.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::cloud::Operation;
use crate::names::{AccountId, PolicyName, RoleArn, RolePattern};
use crate::settings::{Account, Mode, Settings};

/// A policy document of IAM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Policy {
    version: &'static str,
    statement: Vec<Statement>,
}

impl Policy {
    /// The same, where an update that carries layers is refused. Whether AWS takes an update of a function that has layers
    /// already for one that carries them, it does not say.
    pub fn refusing_layers(mut self) -> Self {
        for statement in self.statement.iter_mut().filter(|it| it.action.contains(&UPDATE.to_string())) {
            statement.condition.entry("Null").or_default().insert("lambda:Layer", vec!["true".to_owned()]);
        }
        self
    }

    /// The same, where this role gets no policy: one of the controller's own.
    pub fn attaching_nothing_to(mut self, role: &RoleArn) -> Self {
        const SID: &str = "AttachNothingToItsOwnRole";
        let role = role.as_str().to_owned();
        let attaches = self.statement.iter().any(|it| it.action.contains(&ATTACH.to_string()));
        match self.statement.iter_mut().find(|it| it.sid == SID) {
            Some(denied) => denied.resource.push(role),
            None if attaches => {
                let denied = Statement { resource: vec![role], ..allow(SID, vec![ATTACH.to_string()]) };
                self.statement.push(Statement { effect: "Deny", ..denied });
            }
            None => {}
        }
        self
    }

    /// How many characters IAM counts of it.
    pub fn size(&self) -> usize {
        serde_json::to_string(self).map_or(0, |text| text.len())
    }
}

/// A statement of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    sid: &'static str,
    effect: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    principal: BTreeMap<&'static str, String>,
    action: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resource: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    condition: Condition,
}

/// Operators, their keys, and the values of each.
type Condition = BTreeMap<&'static str, BTreeMap<&'static str, Vec<String>>>;

/// Where a policy is to be: the partition, and the account if it is known.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    partition: &'a str,
    account: Option<&'a AccountId>,
}

/// The account in which the controller acts as itself, if it is known; none where all that it does, it does as somebody else.
pub fn own_account(settings: &Settings) -> Option<Option<&AccountId>> {
    let (own, others): (Vec<_>, Vec<_>) = settings.accounts.iter().partition(|account| account.role.is_none());
    // The credentials belong to one account: where several are stated, all but one are mistaken.
    let only = || own.first().filter(|_| own.len() == 1).map(|account| &account.id);
    (!own.is_empty() || others.is_empty()).then(only)
}

/// The policy of the role that the controller runs under: what it needs in the account of its own credentials, unless the
/// settings state roles for all accounts, and to become those roles. `partition` is one of [`crate::cloud::PARTITIONS`].
pub fn of_controller(settings: &Settings, partition: &str) -> Policy {
    let mut statement = Vec::new();
    if let Some(account) = own_account(settings) {
        statement = in_account(settings, Place { partition, account });
    }
    let roles: BTreeSet<_> = settings.accounts.iter().filter_map(|account| account.role.as_ref()).collect();
    if !roles.is_empty() {
        statement.push(become_roles(&roles));
    }
    document(statement)
}

/// To become these roles. Many that have one name are written as one, in these accounts: each by itself takes more room than a
/// policy has. A session whose credentials come from EKS Pod Identity hands its tags on, for which AWS wants a right as well.
fn become_roles(roles: &BTreeSet<&RoleArn>) -> Statement {
    let action = [ASSUME, TAG].map(str::to_owned).into();
    let of_any_account = |role: &&RoleArn| {
        let account = role.key().account.as_str();
        role.as_str().replacen(account, "*", 1)
    };
    let names: BTreeSet<String> = roles.iter().map(of_any_account).collect();
    let accounts = roles.iter().map(|role| role.key().account.to_string()).collect();
    let (resource, condition) = match names.len() == 1 && roles.len() > ONE_BY_ONE {
        true => (
            names.into_iter().collect(),
            BTreeMap::from([("StringEquals", BTreeMap::from([("aws:ResourceAccount", accounts)]))]),
        ),
        false => (roles.iter().map(|role| role.as_str().to_owned()).collect(), BTreeMap::new()),
    };
    Statement { resource, condition, ..allow("BecomeTheRolesOfOtherAccounts", action) }
}

/// The policy of the role that the controller assumes in one of the accounts.
pub fn of_account(settings: &Settings, account: &Account, partition: &str) -> Policy {
    let policy = document(in_account(settings, Place { partition, account: Some(&account.id) }));
    match &account.role {
        Some(role) => policy.attaching_nothing_to(role),
        None => policy,
    }
}

impl Policy {
    /// With the use of the customers' keys of functions, by way of Lambda alone: Lambda reads a function's environment and makes
    /// its grant anew in the name of whoever updates the function. `account` is whose keys; none for those of any account.
    pub fn with_keys(mut self, account: Option<&AccountId>, partition: &str) -> Self {
        let account = account.map_or("*", AccountId::as_str);
        let resource = vec![format!("arn:{partition}:kms:*:{account}:key/*")];
        let by_lambda = || ("StringLike", BTreeMap::from([("kms:ViaService", vec!["lambda.*".to_owned()])]));
        let for_aws = ("Bool", BTreeMap::from([("kms:GrantIsForAWSResource", vec!["true".to_owned()])]));
        let by_it = |sid, actions: &[&str], condition| {
            let actions = actions.iter().map(ToString::to_string).collect();
            Statement { resource: resource.clone(), condition, ..allow(sid, actions) }
        };
        let reads = by_it("UseKeysOfFunctions", &["kms:Decrypt", "kms:Encrypt"], BTreeMap::from([by_lambda()]));
        let grants = by_it("GrantKeysToFunctions", &["kms:CreateGrant"], BTreeMap::from([by_lambda(), for_aws]));
        self.statement.extend([reads, grants]);
        self
    }
}

/// The trust policy of that role: who may assume it, and what must be known for it.
pub fn trust(account: &Account, controller: &RoleArn) -> Policy {
    let knows = |id: &String| BTreeMap::from([("sts:ExternalId", vec![id.clone()])]);
    let by_it = |sid, action: &str| {
        let principal = BTreeMap::from([("AWS", controller.as_str().to_owned())]);
        Statement { principal, ..allow(sid, vec![action.to_owned()]) }
    };
    let condition = account.external_id.iter().map(|id| ("StringEquals", knows(id))).collect();
    let assumed = Statement { condition, ..by_it("TheControllerAlone", ASSUME) };
    document(vec![assumed, by_it("ItsSessionMayHaveTags", TAG)])
}

const ASSUME: &str = "sts:AssumeRole";
const TAG: &str = "sts:TagSession";
const UPDATE: Operation = Operation::UpdateFunctionConfiguration;
const ATTACH: Operation = Operation::AttachRolePolicy;
/// So many roles are written one by one.
const ONE_BY_ONE: usize = 20;
/// The most characters of all inline policies of a role; a policy of its own has fewer (IAM's quotas; blanks do not count).
pub const INLINE: usize = 10_240;
/// The most of a policy of its own.
pub const MANAGED: usize = 6_144;

/// What a right is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    /// Nothing that a policy could name.
    Anything,
    /// Functions, which are read.
    Functions,
    /// Roles, which are read.
    Roles,
    /// Functions, which are changed.
    Network,
    /// Roles, which are changed.
    Attachments,
}

/// What the right to an operation is about; none where it is not needed.
fn about(operation: Operation, settings: &Settings) -> Option<About> {
    let writes = settings.mode == Mode::Enforce;
    let guard = &settings.guard;
    let attaches = !guard.allowed_policies.is_empty() && guard.allowed_roles.as_ref().is_none_or(|it| !it.is_empty());
    match operation {
        // Nobody needs a right to learn who he is.
        Operation::GetCallerIdentity => None,
        // AWS defines no resource for these, but for ListEntitiesForPolicy, which is asked about any policy that a file
        // names.
        Operation::ListFunctions
        | Operation::ListEntitiesForPolicy
        | Operation::DescribeVpcs
        | Operation::DescribeSubnets
        | Operation::DescribeRouteTables
        | Operation::DescribeSecurityGroups
        | Operation::GetSecurityGroupsForVpc
        | Operation::DescribeVpcEndpoints
        | Operation::DescribeNetworkInterfaces => Some(About::Anything),
        // One function is read in one of two ways. Whoever may call GetFunction can also read its code.
        Operation::GetFunctionConfiguration => settings.limits.rates.get_function.is_none().then_some(About::Functions),
        Operation::GetFunction => settings.limits.rates.get_function.map(|_| About::Functions),
        Operation::ListTags => Some(About::Functions),
        Operation::ListAliases => settings.versions.then_some(About::Functions),
        Operation::ListAttachedRolePolicies | Operation::GetRole | Operation::SimulatePrincipalPolicy => {
            Some(About::Roles)
        }
        Operation::UpdateFunctionConfiguration => writes.then_some(About::Network),
        Operation::AttachRolePolicy => (writes && attaches).then_some(About::Attachments),
    }
}

fn in_account(settings: &Settings, place: Place<'_>) -> Vec<Statement> {
    let mut actions: BTreeMap<About, Vec<String>> = BTreeMap::new();
    for operation in Operation::ALL {
        if let Some(about) = about(operation, settings) {
            actions.entry(about).or_default().push(operation.to_string());
        }
    }
    actions.into_iter().map(|(about, actions)| statement(about, actions, settings, place)).collect()
}

fn statement(about: About, actions: Vec<String>, settings: &Settings, place: Place<'_>) -> Statement {
    let Place { partition, account } = place;
    let account = account.map_or("*", AccountId::as_str);
    let functions = || vec![format!("arn:{partition}:lambda:*:{account}:function:*")];
    let roles = || vec![format!("arn:{partition}:iam::{account}:role/*")];
    match about {
        About::Anything => Statement { resource: vec!["*".to_owned()], ..allow("ReadWhatHasNoResource", actions) },
        About::Functions => Statement { resource: functions(), ..allow("ReadFunctions", actions) },
        About::Roles => Statement { resource: roles(), ..allow("ReadRoles", actions) },
        About::Network => {
            Statement { resource: functions(), condition: vpcs(settings), ..allow("SetTheNetworkOfFunctions", actions) }
        }
        About::Attachments => {
            let arns = settings.guard.allowed_policies.iter().map(|policy| arn(policy, partition)).collect();
            let condition = BTreeMap::from([("ArnEquals", BTreeMap::from([("iam:PolicyARN", arns)]))]);
            let resource = match &settings.guard.allowed_roles {
                None => roles(),
                Some(allowed) => {
                    let behind = allowed.iter().flat_map(RolePattern::in_arns);
                    behind.map(|behind| format!("arn:{partition}:iam::{account}:role/{behind}")).collect()
                }
            };
            Statement { resource, condition, ..allow("AttachAllowedPolicies", actions) }
        }
    }
}

/// A request that takes a function out of its VPC names none.
fn vpcs(settings: &Settings) -> Condition {
    const VPC: &str = "lambda:VpcIds";
    let guard = &settings.guard;
    let allowed = guard.allowed_vpcs.as_ref().map(|vpcs| vpcs.iter().map(ToString::to_string).collect());
    let (operator, values) = match (allowed, guard.allow_detach) {
        (Some(vpcs), false) => ("StringEquals", vpcs),
        (Some(vpcs), true) => ("StringEqualsIfExists", vpcs),
        (None, false) => ("Null", vec!["false".to_owned()]),
        (None, true) => return BTreeMap::new(),
    };
    BTreeMap::from([(operator, BTreeMap::from([(VPC, values)]))])
}

fn arn(policy: &PolicyName, partition: &str) -> String {
    match policy {
        PolicyName::Arn(arn) => arn.to_string(),
        PolicyName::AwsManaged(policy) => policy.within(partition).to_string(),
    }
}

fn allow(sid: &'static str, action: Vec<String>) -> Statement {
    let (principal, condition) = (BTreeMap::new(), BTreeMap::new());
    Statement { sid, effect: "Allow", principal, action, resource: Vec::new(), condition }
}

fn document(statement: Vec<Statement>) -> Policy {
    Policy { version: "2012-10-17", statement }
}
