//! What decisions ask of the memory: nothing in here changes it.

use super::refusal::Refusal;
use super::{DIAGNOSIS, EVIDENCE, Memory, RoleRefused, SKEW};
use crate::cloud::Class;
use crate::names::{FunctionKey, Network, PolicyArn, RevisionId, RoleKey, Time};
use crate::plan::Change;
use crate::plan::record::Fate;
use crate::plan::setbacks::Thing;

impl Memory {
    /// Whether this policy is being attached to this role right now, for whichever function.
    pub(in crate::plan) fn attaching(&self, role: &RoleKey, policy: &PolicyArn) -> bool {
        self.roles.get(role).is_some_and(|role| role.is_attaching(policy))
    }

    /// Whether this process attached a policy to a role so lately that a read at `read` need not show it yet.
    pub(in crate::plan) fn just_attached(&self, role: &RoleKey, policy: &PolicyArn, read: Time) -> bool {
        self.roles.get(role).is_some_and(|role| role.just_attached(policy, read))
    }

    /// When this process last attached a policy to a role, or may have.
    pub(in crate::plan) fn last_asked(&self, role: &RoleKey) -> Option<Time> {
        self.roles.get(role)?.last_asked()
    }

    /// When this process last attached anything to a role.
    pub(in crate::plan) fn last_attach(&self, role: &RoleKey) -> Option<Time> {
        self.roles.get(role)?.last_attach()
    }

    /// The function by which it is being found out whether Lambda accepts a role: one try is enough for all.
    pub(in crate::plan) fn probe(&self, role: &RoleKey, now: Time) -> Option<&FunctionKey> {
        self.roles.get(role)?.probe(now)
    }

    /// When somebody who leads or probes and is not heard of is replaced.
    pub fn next_expiry(&self) -> Option<Time> {
        [self.roles.next_expiry(), self.rollouts.next_expiry()].into_iter().flatten().min()
    }

    /// Why a policy could not be attached to a role, as long as it is not to be tried again.
    pub(in crate::plan) fn not_attached(&self, role: &RoleKey, policy: &PolicyArn, now: Time) -> Option<&Refusal> {
        self.roles.get(role)?.refusal(policy, now)
    }

    /// Why Lambda refuses a network for a role's sake, as long as it is not to be tried again.
    pub(in crate::plan) fn role_denial(&self, role: &RoleKey, to: &Network, now: Time) -> Option<&Refusal> {
        self.roles.get(role)?.denial(to, now)
    }

    /// Since when Lambda refuses this function's network for its role's sake.
    pub(in crate::plan) fn refused_since(&self, key: &FunctionKey) -> Option<Time> {
        self.role_refused(key).map(|refused| refused.first)
    }

    fn role_refused(&self, key: &FunctionKey) -> Option<&RoleRefused> {
        self.functions.get(&key.name)?.role_refused.as_deref()
    }

    /// Since when Lambda is creating or waking a function, as far as looks have shown.
    pub(in crate::plan) fn pending_since(&self, key: &FunctionKey) -> Option<Time> {
        self.functions.get(&key.name)?.pending
    }

    /// Whether Lambda's last refusal says that the role lacks the right to make interfaces. That counts for an hour: where
    /// the policy cannot be attached, the role may have got the right in another way.
    pub fn shown_to_lack_right(&self, key: &FunctionKey, now: Time) -> bool {
        let refused = self.role_refused(key).filter(|refused| refused.class == Class::RoleDenied);
        refused.is_some_and(|refused| now.since(refused.last) < EVIDENCE)
    }

    /// Whether Lambda refuses the role of this function for so long that it is worth asking IAM why.
    pub fn wants_diagnosis(&self, key: &FunctionKey, now: Time) -> bool {
        let refused = self.role_refused(key).filter(|refused| refused.class == Class::RoleDenied);
        refused.is_some_and(|refused| now.since(refused.first) >= DIAGNOSIS)
    }

    /// Until when a function is left alone, since somebody sets back again and again what would be changed.
    pub(in crate::plan) fn flapping(&self, change: &Change, now: Time) -> Option<Time> {
        let network = change.network.iter().map(|_| Thing::Network(change.key.name.clone()));
        let policies = change.attach.iter().map(|it| Thing::Policy(it.role.key().clone(), it.policy.clone()));
        network.chain(policies).filter_map(|thing| self.set_backs.left_alone(&thing, now)).max()
    }

    /// Whether an update that Lambda accepted from us has not been seen to end.
    pub fn awaits_update(&self, key: &FunctionKey) -> bool {
        self.sent(key).is_some_and(|sent| sent.fate == Fate::Open)
    }

    /// Why this very network was refused for a function, as long as it is not to be tried again: until then, or until
    /// the function itself has changed.
    pub(in crate::plan) fn refusal(
        &self,
        key: &FunctionKey,
        to: &Network,
        revision: Option<&RevisionId>,
        now: Time,
    ) -> Option<&Refusal> {
        let refused = self.functions.get(&key.name)?.refused.as_deref()?;
        let same = *refused.to == *to && refused.revision.as_ref() == revision;
        (same && now < refused.refusal.until).then_some(&refused.refusal)
    }

    /// Whether a change at this moment was our own.
    pub(in crate::plan) fn ours(&self, key: &FunctionKey, modified: Time) -> bool {
        self.sent(key).is_some_and(|sent| modified <= sent.at + SKEW)
    }
}
