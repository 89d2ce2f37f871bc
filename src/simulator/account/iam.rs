//! IAM's operations, and the question that Lambda asks: may this role make a network interface?
//!
//! A policy counts for Lambda only some seconds after it was attached, since IAM tells the other services with delay.
//! IAM's own answers, and its simulation, know of it at once unless the world's timings say otherwise.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use super::policies::{aws_managed, matches};
use super::{Account, Aws, AwsError, Policy, within};
use crate::cloud::{Marker, Page, Service};
use crate::names::{AccountId, PolicyArn, RoleKey, RoleName, Time};

/// A role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    pub name: RoleName,
    /// The path before the name, `/` or `/team/x/`.
    pub path: String,
    /// Its unique id, `AROA…`.
    pub id: String,
    /// When it was made.
    pub created: Time,
    /// The managed policies that are attached, and since when.
    pub attached: BTreeMap<PolicyArn, Time>,
    /// Whether a policy of its own allows what Lambda needs for a VPC.
    pub inline_vpc_access: bool,
    /// What denies everything, whatever is attached.
    pub overruled: Option<Overruler>,
    /// Whether its trust policy names Lambda@Edge beside Lambda.
    pub edge: bool,
    /// Who may become it; whoever asks, where nobody has said.
    pub trust: Option<Trust>,
}

/// Who may become a role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Accounts by id, or users, roles and sessions by ARN, in which `*` stands for any text.
    pub principals: Vec<String>,
    /// What the caller must know.
    pub external_id: Option<String>,
    /// Whether the session may have tags (`sts:TagSession`).
    pub tags: bool,
}

/// What stands above the policies of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overruler {
    /// A permissions boundary.
    Boundary,
    /// A policy of the organisation.
    Organisation,
    /// A condition that a simulation does not see: that one says allowed, and Lambda refuses.
    Scoped,
}

impl Role {
    /// A role without any right.
    pub fn new(name: RoleName, path: &str, id: String, created: Time) -> Self {
        let path = path.to_owned();
        let attached = BTreeMap::new();
        Self { name, path, id, created, attached, inline_vpc_access: false, overruled: None, edge: false, trust: None }
    }
}

/// A role that a policy is attached to, as `ListEntitiesForPolicy` returns it: without path and ARN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    pub role: RoleName,
    /// Its unique id.
    pub id: String,
}

/// What a simulation says of one action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedAction {
    pub action: String,
    /// The resource, `*` where none was asked about.
    pub resource: String,
    /// Whether it is allowed; the other answer is an implicit denial.
    pub allowed: bool,
    /// What denies it whatever is attached, if the simulation sees such a thing.
    pub overruled_by: Option<Overruler>,
}

/// What an account holds and may hold, as far as `GetAccountSummary` is modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How many roles there are.
    pub roles: usize,
    /// How many managed policies of its own it has.
    pub policies: usize,
    /// How many managed policies a role may have.
    pub attached_policies_per_role: usize,
}

impl Account {
    /// Whether a policy allows an action on a resource; `None` if there is no such policy here. AWS's own are about all of
    /// them.
    fn allows(&self, policy: &PolicyArn, action: &str, resource: &str) -> Option<bool> {
        let of_aws = policy.as_str().strip_prefix(&format!("arn:{}:iam::aws:policy/", self.partition));
        match of_aws {
            Some(path) => aws_managed(path).map(|actions| actions.iter().any(|pattern| matches(pattern, action))),
            None => self.policies.get(policy).map(|policy| policy.allows(action, resource)),
        }
    }

    fn knows(&self, policy: &PolicyArn) -> bool {
        self.allows(policy, "", "").is_some()
    }

    fn role(&mut self, name: &str) -> Result<&mut Role, AwsError> {
        let missing = || no_entity(format!("The role with name {name} cannot be found."));
        RoleName::parse(name).ok().and_then(|name| self.roles.get_mut(&name)).ok_or_else(missing)
    }
}

/// What an inline policy for VPC access is taken to allow.
const INLINE: &str = "ec2:*NetworkInterface*";

impl Aws {
    /// Adds a policy of a customer's.
    pub fn add_policy(&mut self, account: &AccountId, policy: Policy) -> Result<(), AwsError> {
        self.account(account, Service::Iam)?.policies.insert(policy.arn.clone(), policy);
        Ok(())
    }

    /// Adds a role, or replaces the one of this name.
    pub fn add_role(&mut self, account: &AccountId, role: Role) -> Result<(), AwsError> {
        self.account(account, Service::Iam)?.roles.insert(role.name.clone(), role);
        Ok(())
    }

    /// A role, if there is one.
    pub fn role(&self, key: &RoleKey) -> Option<&Role> {
        self.accounts.get(&key.account)?.roles.get(&key.name)
    }

    /// The ARN of a role of this account.
    pub fn role_arn(&self, account: &AccountId, role: &Role) -> String {
        let partition = self.accounts.get(account).map_or("aws", |account| account.partition);
        format!("arn:{partition}:iam::{account}:role{}{}", role.path, role.name)
    }

    /// Whether Lambda finds that a role may do this to a resource.
    pub(super) fn role_may(&self, key: &RoleKey, action: &str, resource: &str, now: Time) -> bool {
        self.role(key).is_some_and(|role| role.overruled.is_none())
            && self.policies_allow(key, (action, resource), now, self.timings.propagation)
    }

    /// Whether a policy of the role's allows this, counting what was attached at least `delay` ago.
    fn policies_allow(&self, key: &RoleKey, (action, resource): (&str, &str), now: Time, delay: Duration) -> bool {
        let Some(account) = self.accounts.get(&key.account) else { return false };
        let Some(role) = account.roles.get(&key.name) else { return false };
        let effective = role.attached.iter().filter(|(_, since)| **since + delay <= now);
        (role.inline_vpc_access && matches(INLINE, action))
            || effective.into_iter().any(|(policy, _)| account.allows(policy, action, resource) == Some(true))
    }

    /// One page of the managed policies of a role.
    pub fn list_attached_role_policies(
        &mut self,
        account: &AccountId,
        role: &str,
        max_items: Option<u64>,
        from: Option<&str>,
        now: Time,
    ) -> Result<Page<PolicyArn>, AwsError> {
        let most = page_size(max_items)?;
        let delay = self.timings.iam_reads;
        let role = self.account(account, Service::Iam)?.role(role)?;
        let shown = role.attached.iter().filter(|(_, since)| **since + delay <= now);
        let shown: BTreeMap<PolicyArn, ()> = shown.map(|(policy, _)| (policy.clone(), ())).collect();
        page(&shown, most, from, |policy, ()| policy.clone(), PolicyArn::as_str, |text| PolicyArn::parse(text).ok())
    }

    /// One page of the roles that a managed policy is attached to, perhaps shorter than asked for.
    pub fn list_roles_for_policy(
        &mut self,
        account: &AccountId,
        policy: &str,
        max_items: Option<u64>,
        from: Option<&str>,
        now: Time,
    ) -> Result<Page<Attachment>, AwsError> {
        let most = page_size(max_items)?.min(self.quotas.entities_per_page.unwrap_or(usize::MAX));
        let delay = self.timings.iam_reads;
        let policy = parse_policy(policy)?;
        let account = self.account(account, Service::Iam)?;
        if !account.knows(&policy) {
            return Err(no_entity(format!("Policy {policy} was not found.")));
        }
        let holders: BTreeMap<RoleName, Attachment> = account
            .roles
            .values()
            .filter(|role| role.attached.get(&policy).is_some_and(|since| *since + delay <= now))
            .map(|role| (role.name.clone(), Attachment { role: role.name.clone(), id: role.id.clone() }))
            .collect();
        page(&holders, most, from, |_, holder| holder.clone(), RoleName::as_str, |text| RoleName::parse(text).ok())
    }

    /// Attaches a managed policy; repeating it changes nothing, and does not start the waiting anew.
    pub fn attach_role_policy(
        &mut self,
        account: &AccountId,
        role: &str,
        policy: &str,
        now: Time,
    ) -> Result<(), AwsError> {
        let most = self.quotas.policies_per_role;
        let policy = parse_policy(policy)?;
        let account = self.account(account, Service::Iam)?;
        let known = account.knows(&policy);
        let role = account.role(role)?;
        if !known {
            return Err(no_entity(format!("Policy {policy} does not exist or is not attachable.")));
        }
        if role.attached.contains_key(&policy) {
            return Ok(());
        }
        if role.attached.len() >= most {
            let text = format!("Cannot exceed quota for PoliciesPerRole: {most}");
            return Err(AwsError::new(409, "LimitExceeded", text));
        }
        role.attached.insert(policy, now);
        Ok(())
    }

    /// Detaches a managed policy, with immediate effect.
    pub fn detach_role_policy(&mut self, account: &AccountId, role: &str, policy: &str) -> Result<(), AwsError> {
        let policy = parse_policy(policy)?;
        let role = self.account(account, Service::Iam)?.role(role)?;
        match role.attached.remove(&policy) {
            Some(_) => Ok(()),
            None => Err(no_entity(format!("Policy {policy} was not found."))),
        }
    }

    /// A role by its name.
    pub fn get_role(&mut self, account: &AccountId, role: &str) -> Result<Role, AwsError> {
        self.account(account, Service::Iam)?.role(role).cloned()
    }

    /// Makes a role without rights. Names are unique whatever their case.
    pub fn create_role(&mut self, account: &AccountId, name: &str, path: &str, now: Time) -> Result<Role, AwsError> {
        let invalid = |member: &str| {
            let text = format!("The specified value for {member} is invalid.");
            AwsError::new(400, "ValidationError", text)
        };
        let parsed = RoleName::parse(name).map_err(|_| invalid("roleName"))?;
        if !path.starts_with('/') || !path.ends_with('/') {
            return Err(invalid("path"));
        }
        let id = self.fresh_role_id();
        let roles = &mut self.account(account, Service::Iam)?.roles;
        if roles.keys().any(|there| there.as_str().eq_ignore_ascii_case(name)) {
            let text = format!("Role with name {name} already exists.");
            return Err(AwsError::new(409, "EntityAlreadyExists", text));
        }
        let role = Role::new(parsed.clone(), path, id, now);
        roles.insert(parsed, role.clone());
        Ok(role)
    }

    /// What an account holds and may hold.
    pub fn account_summary(&mut self, account: &AccountId) -> Result<Summary, AwsError> {
        let attached_policies_per_role = self.quotas.policies_per_role;
        let account = self.account(account, Service::Iam)?;
        Ok(Summary { roles: account.roles.len(), policies: account.policies.len(), attached_policies_per_role })
    }

    /// What a role may do, action by action. The policies count from the moment at which IAM shows them.
    pub fn simulate_principal_policy(
        &mut self,
        role: &str,
        (actions, resources): (&[String], &[String]),
        caller: &AccountId,
        now: Time,
    ) -> Result<Vec<SimulatedAction>, AwsError> {
        let arn = crate::names::RoleArn::parse(role)
            .map_err(|_| AwsError::new(400, "InvalidInput", format!("Invalid Entity Arn: {role} is not a role.")))?;
        let Some(found) = self.role(arn.key()).filter(|_| arn.key().account == *caller) else {
            return Err(no_entity(format!("The role with name {} cannot be found.", arn.key().name)));
        };
        if actions.is_empty() {
            return Err(AwsError::new(400, "InvalidInput", "The list of actions is empty."));
        }
        let overruled_by = found.overruled.filter(|overruler| *overruler != Overruler::Scoped);
        // Without a resource, all of them are meant: a policy about some does not allow that.
        let all = ["*".to_owned()];
        let resources = if resources.is_empty() { &all[..] } else { resources };
        let simulated = |(action, resource): (&String, &String)| SimulatedAction {
            action: action.clone(),
            resource: resource.clone(),
            allowed: overruled_by.is_none()
                && self.policies_allow(arn.key(), (action, resource), now, self.timings.iam_reads),
            overruled_by,
        };
        Ok(actions
            .iter()
            .flat_map(|action| resources.iter().map(move |resource| (action, resource)))
            .map(simulated)
            .collect())
    }

    /// A role's unique id.
    pub(super) fn fresh_role_id(&mut self) -> String {
        format!("AROA{}", self.fresh_digits().get(..17).unwrap_or_default().to_ascii_uppercase())
    }
}

fn no_entity(message: String) -> AwsError {
    AwsError::new(404, "NoSuchEntity", message)
}

fn parse_policy(text: &str) -> Result<PolicyArn, AwsError> {
    let malformed = |_| AwsError::new(400, "ValidationError", "Invalid ARN:  Could not be parsed!");
    PolicyArn::parse(text).map_err(malformed)
}

fn page_size(max_items: Option<u64>) -> Result<usize, AwsError> {
    let asked = max_items.unwrap_or(100);
    within(asked, "maxItems", 1..=1000, "ValidationError")?;
    Ok(usize::try_from(asked).unwrap_or(usize::MAX))
}

/// One page of a sorted map; the marker is the last key of the page before.
fn page<K: Ord + Clone, V, T>(
    all: &BTreeMap<K, V>,
    most: usize,
    from: Option<&str>,
    item: impl Fn(&K, &V) -> T,
    text: impl Fn(&K) -> &str,
    parse: impl Fn(&str) -> Option<K>,
) -> Result<Page<T>, AwsError> {
    let after = match from {
        None => Bound::Unbounded,
        Some(marker) => Bound::Excluded(parse(marker).ok_or_else(|| {
            AwsError::new(400, "ValidationError", "Invalid Marker: it is not one that an earlier page returned.")
        })?),
    };
    let mut rest = all.range((after, Bound::Unbounded)).peekable();
    let mut items = Vec::new();
    let mut last = None;
    for (key, value) in rest.by_ref().take(most) {
        items.push(item(key, value));
        last = Some(key);
    }
    let next = rest.peek().and(last).map(|key| Marker(text(key).to_owned()));
    Ok(Page { items, next })
}
