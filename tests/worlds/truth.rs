//! What is true of a world as it stands, found without asking the controller.

use std::collections::BTreeSet;

use lambda_vpc_controller::cloud::State;
use lambda_vpc_controller::desired::{AttachPolicy, DesiredState, Entry, Intent, Want};
use lambda_vpc_controller::live::{Seen, VpcFacts};
use lambda_vpc_controller::names::{Network, PolicyName, RoleArn, ScopeKey, SubnetId};
use lambda_vpc_controller::plan::{Outcome, Reason, bind};
use lambda_vpc_controller::settings::Mode;
use lambda_vpc_controller::simulator::{Describe, Function, Overruler, Role};

use super::made::RETIRED;
use crate::support::stage::Stage;

/// The reasons for which a function may stand as it does; none of them means that it is in sync.
type Reasons = Vec<Option<Reason>>;

pub(super) fn of(stage: &Stage, desired: &DesiredState, entry: &Entry) -> Reasons {
    let key = &entry.key;
    let found = stage.door.with(|aws, now| aws.get_function(&key.scope, key.name.as_str(), now));
    let Ok(function) = found else { return vec![Some(Reason::FunctionNotFound)] };
    if function.excluded.is_some() {
        return vec![Some(Reason::CapacityProvider)];
    }
    let live = function.configuration.vpc_config.clone().unwrap_or_default().network();
    let mut reasons = match &entry.terms.want {
        Want::Detached => detached(stage, entry, &function, &live),
        Want::Attached(intent) => attached(stage, entry, intent, &function, &live),
        Want::Disputed(_) => vec![Some(Reason::AmbiguousPattern)],
    };
    // A listing does not show it: it comes to light only where there is a cause to look at the function.
    if matches!(function.life.state, State::Failed(_)) {
        reasons.push(Some(Reason::CreationFailed));
    }
    // Only a difference can be held back, and only if another one of the entry is really blocked.
    if !reasons.contains(&None) && is_somebody_blocked(stage, desired, entry) {
        reasons.push(Some(Reason::RolloutStopped));
    }
    reasons
}

fn detached(stage: &Stage, entry: &Entry, function: &Function, live: &Network) -> Reasons {
    if !live.is_attached() {
        return vec![None];
    }
    if !stage.limits().allow_detach {
        return vec![Some(Reason::DetachNotAllowed)];
    }
    if entry.terms.mode == Mode::Observe {
        return vec![Some(Reason::Observed)];
    }
    retired(function)
}

fn retired(function: &Function) -> Reasons {
    let retired = function.configuration.runtime == RETIRED;
    retired.then_some(Some(Reason::RuntimeRetired)).into_iter().collect()
}

fn attached(stage: &Stage, entry: &Entry, intent: &Intent, function: &Function, live: &Network) -> Reasons {
    let Seen::Present(vpc) = stage.controller.facts(&entry.key.scope).unwrap().vpc(&intent.vpc) else {
        return vec![Some(Reason::Unread)];
    };
    let to = match bind(intent, vpc, &entry.key.scope.account) {
        Ok(bound) => bound.network,
        Err(why) => return vec![Some(why.reason)],
    };
    let arn = &function.configuration.role;
    let role = stage.door.with(|aws, _| aws.role(arn.key()).cloned()).expect("nobody deletes roles");
    let policies = Policies::of(stage, entry, arn, &role);
    if *live == *to {
        return policies.where_the_network_is_right();
    }
    if !has_addresses(stage, &entry.key.scope, vpc, &to) {
        return vec![Some(Reason::NoFreeAddress)];
    }
    if entry.terms.mode == Mode::Observe {
        return vec![Some(Reason::Observed)];
    }
    let mut reasons = retired(function);
    reasons.extend(policies.where_the_network_is_to_be_set().map(Some));
    reasons
}

/// How it stands with the policy of a role.
struct Policies {
    attach: AttachPolicy,
    observed: bool,
    missing: bool,
    full: bool,
    inline: bool,
    overruled: Option<Overruler>,
}

impl Policies {
    fn of(stage: &Stage, entry: &Entry, arn: &RoleArn, role: &Role) -> Self {
        let quota = stage.door.with(|aws, _| aws.quotas.policies_per_role);
        Self {
            attach: entry.terms.attach_policy,
            observed: entry.terms.mode == Mode::Observe,
            missing: !role.attached.contains_key(&PolicyName::vpc_access().for_role(arn)),
            full: role.attached.len() >= quota,
            inline: role.inline_vpc_access,
            overruled: role.overruled,
        }
    }

    /// What keeps a missing policy from being attached, if anything does.
    fn hindrance(&self) -> Option<Reason> {
        if self.observed { Some(Reason::Observed) } else { self.full.then_some(Reason::PolicyQuota) }
    }

    fn where_the_network_is_right(&self) -> Reasons {
        match self.attach {
            AttachPolicy::Always if self.missing => self.hindrance().map(Some).into_iter().collect(),
            // The function is there, so its role suffices.
            AttachPolicy::Always | AttachPolicy::WhenNeeded | AttachPolicy::Never => vec![None],
        }
    }

    fn where_the_network_is_to_be_set(&self) -> Option<Reason> {
        let lacks = self.overruled.is_some() || (self.missing && !self.inline);
        match self.attach {
            AttachPolicy::Never if lacks && self.missing => Some(Reason::PolicyMissing),
            AttachPolicy::Always if self.missing && self.full => Some(Reason::PolicyQuota),
            AttachPolicy::WhenNeeded if lacks && self.missing && self.full => Some(Reason::PolicyQuota),
            _ => self.overruled.map(|_| Reason::RoleDenied),
        }
    }
}

/// Whether each interface that has to be made has an address.
fn has_addresses(stage: &Stage, scope: &ScopeKey, vpc: &VpcFacts, to: &Network) -> bool {
    let request = Describe::by("vpc-id", [vpc.vpc.id.to_string()]);
    let interfaces = stage.door.with(|aws, now| aws.describe_network_interfaces(scope, &request, now)).unwrap().items;
    let subnets = stage.door.with(|aws, now| aws.describe_subnets(scope, &request, now)).unwrap().items;
    let there: BTreeSet<_> = interfaces.iter().map(|it| (&it.subnet, &it.groups)).collect();
    let full = |id: &SubnetId| subnets.iter().any(|subnet| subnet.id == *id && subnet.free_addresses == 0);
    to.pairs().all(|pair| there.contains(&(&pair.subnet, &pair.security_groups)) || !full(&pair.subnet))
}

fn is_somebody_blocked(stage: &Stage, desired: &DesiredState, entry: &Entry) -> bool {
    let group = |entry: &Entry| match &entry.terms.want {
        Want::Detached | Want::Disputed(_) => None,
        Want::Attached(intent) => Some(intent.name.clone().unwrap_or_else(|| intent.vpc.to_string())),
    };
    let goes_along = |other: &Entry| other.key.scope == entry.key.scope && group(other) == group(entry);
    desired.entries.iter().filter(|other| other.key != entry.key && goes_along(other)).any(|other| {
        let line = stage.controller.line(&other.key);
        line.is_some_and(|line| matches!(line.outcome, Outcome::Blocked { .. }))
    })
}
