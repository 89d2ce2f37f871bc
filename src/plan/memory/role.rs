//! What this process saw of one execution role, which many functions share: what it attached, what was refused, and which
//! function finds out whether Lambda has noticed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::{PROPAGATION, READ_LAG, Refusal};
use crate::names::{FunctionKey, Network, PolicyArn, Time};

/// A function that probes a role and is not heard of for this long is replaced: its next try was due long before.
const PROBE: Duration = Duration::from_secs(60);

/// What this process saw of one execution role.
#[derive(Clone, Debug, Default)]
pub(super) struct RoleMemory {
    /// The policies that IAM has accepted from us.
    attached: BTreeMap<PolicyArn, Attached>,
    /// When an attachment was last asked for whose answer did not arrive: it may have been carried out.
    perhaps: Option<Time>,
    /// The policies whose attachment is being asked for right now.
    attaching: BTreeSet<PolicyArn>,
    /// The policies that could not be attached.
    refused: BTreeMap<PolicyArn, Refusal>,
    /// When Lambda last accepted to attach a function of this role to a network, so that the role has the right.
    works: Option<Time>,
    /// The network that Lambda last refused to a function for this role's sake, after IAM had had its time.
    denied: Option<(Arc<Network>, Refusal)>,
    /// The one function that finds out whether Lambda accepts the role.
    probe: Option<Probe>,
}

/// A policy that IAM has accepted from us.
#[derive(Clone, Copy, Debug)]
struct Attached {
    at: Time,
    /// Whether somebody has taken it off again.
    set_back: bool,
}

#[derive(Clone, Debug)]
struct Probe {
    who: FunctionKey,
    /// When another function may take its place; none while its call is out, which has a deadline of its own.
    until: Option<Time>,
}

impl RoleMemory {
    /// A policy is about to be attached.
    pub(super) fn attaches(&mut self, policy: &PolicyArn) {
        self.attaching.insert(policy.clone());
    }

    /// The call that attaches a policy has come to its end.
    pub(super) fn attach_ended(&mut self, policy: &PolicyArn) {
        self.attaching.remove(policy);
    }

    /// IAM has accepted a policy.
    pub(super) fn attached(&mut self, policy: &PolicyArn, now: Time) {
        self.refused.remove(policy);
        // What was denied was denied without it, and whoever tries first finds out anew.
        (self.denied, self.probe) = (None, None);
        self.attached.insert(policy.clone(), Attached { at: now, set_back: false });
    }

    /// IAM has accepted a policy from a process before this one.
    pub(super) fn recall(&mut self, policy: PolicyArn, at: Time, set_back: bool) {
        self.attached.entry(policy).or_insert(Attached { at, set_back });
    }

    /// The policies that IAM has accepted from us: when, and whether somebody has taken them off again.
    pub(super) fn accepted(&self) -> impl Iterator<Item = (&PolicyArn, Time, bool)> {
        self.attached.iter().map(|(policy, Attached { at, set_back })| (policy, *at, *set_back))
    }

    /// IAM has refused a policy.
    pub(super) fn not_attached(&mut self, policy: &PolicyArn, refusal: Refusal) {
        self.refused.insert(policy.clone(), refusal);
    }

    /// Lambda refuses a network for this role's sake, and waiting for IAM does not help.
    pub(super) fn denied(&mut self, to: &Arc<Network>, refusal: Refusal) {
        self.denied = Some((Arc::clone(to), refusal));
    }

    /// Lambda has accepted to attach a function of this role to a network.
    pub(super) fn works(&mut self, now: Time) {
        (self.works, self.denied, self.probe) = (Some(now), None, None);
    }

    /// The policies were read: returns those that somebody has taken off since we attached them.
    pub(super) fn seen(&mut self, at: Time, has: impl Fn(&PolicyArn) -> Option<bool>) -> Vec<PolicyArn> {
        let gone = self.attached.iter_mut().filter(|(policy, attached)| {
            !attached.set_back && at > attached.at + READ_LAG && has(policy) == Some(false)
        });
        gone.map(|(policy, attached)| (attached.set_back = true, policy.clone()).1).collect()
    }

    /// Everything may be tried again now.
    pub(super) fn forget_refusals(&mut self) {
        self.refused.clear();
        self.denied = None;
    }

    pub(super) fn is_attaching(&self, policy: &PolicyArn) -> bool {
        self.attaching.contains(policy)
    }

    /// Whether any call for this role is out.
    pub(super) fn is_busy(&self) -> bool {
        !self.attaching.is_empty()
    }

    /// Whether a policy was attached so lately that a read at `read` need not show it yet.
    pub(super) fn just_attached(&self, policy: &PolicyArn, read: Time) -> bool {
        self.attached.get(policy).is_some_and(|attached| read <= attached.at + READ_LAG)
    }

    /// No answer came: only the role itself can tell whether the policy is on it.
    pub(super) fn perhaps_attached(&mut self, now: Time) {
        self.perhaps = Some(now);
    }

    /// When anything was last attached, or may have been.
    pub(super) fn last_asked(&self) -> Option<Time> {
        self.last_attach().max(self.perhaps)
    }

    /// When anything was last attached.
    pub(super) fn last_attach(&self) -> Option<Time> {
        self.attached.values().map(|attached| attached.at).max()
    }

    /// Why a policy could not be attached, as long as it is not to be tried again.
    pub(super) fn refusal(&self, policy: &PolicyArn, now: Time) -> Option<&Refusal> {
        self.refused.get(policy).filter(|refusal| now < refusal.until)
    }

    /// Why Lambda refuses this network for the role's sake, as long as it is not to be tried again.
    pub(super) fn denial(&self, to: &Network, now: Time) -> Option<&Refusal> {
        let (network, refusal) = self.denied.as_ref()?;
        (**network == *to && now < refusal.until).then_some(refusal)
    }

    /// The function that finds out whether Lambda accepts the role; none where nobody does, or where that is known.
    pub(super) fn probe(&self, now: Time) -> Option<&FunctionKey> {
        let probe = self.probe.as_ref().filter(|probe| probe.until.is_none_or(|until| now < until))?;
        self.is_unproven(now).then_some(&probe.who)
    }

    /// Whether Lambda need not have noticed what was attached, or has last refused the role.
    fn is_unproven(&self, now: Time) -> bool {
        let attached = self.last_attach().filter(|at| now.since(*at) < PROPAGATION);
        let unnoticed = attached.is_some_and(|attached| self.works.is_none_or(|works| works < attached));
        unnoticed || self.denied.is_some()
    }

    /// A function of this role sends an update that attaches it: if no other function probes the role, it does. Returns
    /// whether it does.
    pub(super) fn sends(&mut self, who: &FunctionKey, now: Time) -> bool {
        let probes = self.probe(now).is_none_or(|probe| probe == who);
        if probes {
            self.probe = Some(Probe { who: who.clone(), until: None });
        }
        probes
    }

    /// The role has refused the function that probes it, which tries again.
    pub(super) fn refuses(&mut self, who: &FunctionKey, now: Time) {
        if let Some(probe) = self.probe.as_mut().filter(|probe| probe.who == *who) {
            probe.until = Some(now + PROBE);
        }
    }

    /// A function probes the role no more. Returns whether it did.
    pub(super) fn probe_ends(&mut self, who: &FunctionKey) -> bool {
        self.probe.take_if(|probe| probe.who == *who).is_some()
    }

    /// When a probe that is not heard of is replaced.
    pub(super) fn next_expiry(&self) -> Option<Time> {
        self.probe.as_ref().and_then(|probe| probe.until)
    }

    /// Forgets a probe that was not heard of. Returns its function.
    pub(super) fn expire(&mut self, now: Time) -> Option<FunctionKey> {
        self.probe.take_if(|probe| probe.until.is_some_and(|until| until <= now)).map(|probe| probe.who)
    }
}
