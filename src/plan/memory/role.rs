//! What this process saw of one execution role, which many functions share: what it attached, what was refused, and which
//! function finds out whether Lambda has noticed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{PROPAGATION, READ_LAG, Refusal};
use crate::names::{AccountId, FunctionKey, Network, PolicyArn, RoleKey, ScopeKey, Time};

/// A function that probes a role and is not heard of for this long is replaced: its next try was due long before.
const PROBE: Duration = Duration::from_secs(60);
/// What was done longer ago than this is nothing that a scope which comes into the file has to know.
const HEARD: Duration = Duration::from_secs(60 * 60);

/// What this process saw of one execution role.
#[derive(Clone, Debug, Default)]
pub(super) struct RoleMemory {
    /// The policies that IAM has accepted from us.
    attached: BTreeMap<PolicyArn, Attached>,
    /// When an attachment was last asked for whose answer did not arrive: it may have been carried out.
    perhaps: Option<Time>,
    /// The policies whose attachment is being asked for right now.
    attaching: BTreeMap<PolicyArn, FunctionKey>,
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

/// What the scopes of one account tell each other of the roles that they share.
///
/// Each scope knows of a role what it did and saw, and what it was told. So one attaches a policy, and one function finds out
/// whether Lambda has noticed, though functions of several regions wait for it. What is told late, or never, costs a call that
/// changes nothing: IAM takes the same attachment twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleNews {
    /// A policy is about to be attached, for this function's sake.
    Attaching(PolicyArn, FunctionKey),
    /// The call that attaches a policy has come to its end.
    AttachEnded(PolicyArn, AttachEnd),
    /// Somebody has taken off a policy that was attached.
    SetBack(PolicyArn),
    /// A function sends an update, to find out whether Lambda accepts the role.
    Probes(FunctionKey),
    /// Lambda has refused the role to this function, which tries again.
    Refuses(FunctionKey, Time),
    /// A function finds out nothing any more.
    ProbeEnds(FunctionKey),
    /// Lambda has accepted to attach a function of this role to a network.
    Works(Time),
    /// Lambda refuses a network for the role's sake, and waiting for IAM does not help.
    Denied(Arc<Network>, Refusal),
}

/// How a call that attaches a policy ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttachEnd {
    /// It was not made.
    NotMade,
    /// IAM has accepted the policy.
    Attached(Time),
    /// IAM has refused it, or no answer came.
    Refused {
        /// When it was asked, where no answer came: only the role itself can tell whether the policy is on it.
        perhaps: Option<Time>,
        /// Until when it is not tried again; none where the queue's own backoff is enough.
        refusal: Option<Refusal>,
    },
}

/// Whether news change what others may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Nothing,
    SomethingNew,
}

/// The execution roles of an account, as far as something was done about them or heard of them.
#[derive(Clone, Debug, Default)]
pub struct Roles(BTreeMap<RoleKey, RoleMemory>);

impl Roles {
    /// Takes over what has happened to a role.
    pub fn hears(&mut self, role: &RoleKey, news: RoleNews) {
        self.hear(role, news);
    }

    pub(super) fn hear(&mut self, role: &RoleKey, news: RoleNews) -> Heard {
        // What somebody tells of a role that is not known is nothing to remember where it only ends something.
        if !self.0.contains_key(role) && matches!(news, RoleNews::ProbeEnds(_) | RoleNews::SetBack(_)) {
            return Heard::Nothing;
        }
        self.0.entry(role.clone()).or_default().hear(news)
    }

    /// Of each account only what was done in the last hour, or is being done.
    pub fn forget_what_is_over(&mut self, now: Time) {
        self.0.retain(|_, role| role.is_busy() || role.last_heard().is_some_and(|at| now.since(at) < HEARD));
    }

    /// A scope has failed, and tells nothing any more of the calls that it had begun: what the others are to hear in its place. A
    /// policy may have been attached.
    pub fn ended_with(&self, scope: &ScopeKey, now: Time) -> Vec<(RoleKey, RoleNews)> {
        let mut news = Vec::new();
        for (key, role) in &self.0 {
            let attaching = role.attaching.iter().filter(|(_, who)| who.scope == *scope);
            news.extend(attaching.map(|(policy, _)| {
                let end = AttachEnd::Refused { perhaps: Some(now), refusal: None };
                (key.clone(), RoleNews::AttachEnded(policy.clone(), end))
            }));
            let probe = role.probe.iter().filter(|probe| probe.who.scope == *scope);
            news.extend(probe.map(|probe| (key.clone(), RoleNews::ProbeEnds(probe.who.clone()))));
        }
        news
    }

    /// The roles of an account.
    #[must_use]
    pub fn of(&self, account: &AccountId) -> Self {
        let own = self.0.iter().filter(|(role, _)| role.account == *account);
        Self(own.map(|(role, memory)| (role.clone(), memory.clone())).collect())
    }

    pub(super) fn get(&self, role: &RoleKey) -> Option<&RoleMemory> {
        self.0.get(role)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&RoleKey, &RoleMemory)> {
        self.0.iter()
    }

    pub(super) fn recall(&mut self, role: RoleKey, policy: PolicyArn, at: Time, set_back: bool) {
        self.0.entry(role).or_default().recall(policy, at, set_back);
    }

    /// The policies of a role were read: returns those that somebody has taken off since they were attached.
    pub(super) fn seen(&self, role: &RoleKey, at: Time, has: impl Fn(&PolicyArn) -> Option<bool>) -> Vec<PolicyArn> {
        self.get(role).map_or_else(Vec::new, |role| role.seen(at, has))
    }

    /// Everything may be tried again now.
    pub fn forget_refusals(&mut self) {
        self.0.values_mut().for_each(RoleMemory::forget_refusals);
    }

    pub(super) fn keep(&mut self, wanted: impl Fn(&RoleKey) -> bool) {
        self.0.retain(|key, role| wanted(key) || role.is_busy());
    }

    pub(super) fn next_expiry(&self) -> Option<Time> {
        self.0.values().filter_map(RoleMemory::next_expiry).min()
    }

    /// Forgets probes that were not heard of. Returns whether there were any.
    pub(super) fn expire(&mut self, now: Time) -> bool {
        let mut over = false;
        self.0.values_mut().for_each(|role| over |= role.expire(now));
        over
    }
}

impl RoleMemory {
    fn hear(&mut self, news: RoleNews) -> Heard {
        match news {
            RoleNews::Attaching(policy, who) => {
                self.attaching.insert(policy, who);
                return Heard::Nothing;
            }
            RoleNews::AttachEnded(policy, end) => {
                self.attaching.remove(&policy);
                match end {
                    AttachEnd::NotMade => return Heard::Nothing,
                    AttachEnd::Attached(at) => self.attached(policy, at),
                    AttachEnd::Refused { perhaps, refusal } => {
                        self.perhaps = perhaps.or(self.perhaps);
                        self.refused.extend(refusal.map(|refusal| (policy, refusal)));
                        return Heard::Nothing;
                    }
                }
            }
            RoleNews::SetBack(policy) => match self.attached.get_mut(&policy) {
                Some(attached) if !attached.set_back => attached.set_back = true,
                _ => return Heard::Nothing,
            },
            RoleNews::Probes(who) => {
                self.probe = Some(Probe { who, until: None });
                return Heard::Nothing;
            }
            RoleNews::Refuses(who, at) => {
                if let Some(probe) = self.probe.as_mut().filter(|probe| probe.who == who) {
                    probe.until = Some(at + PROBE);
                }
                return Heard::Nothing;
            }
            RoleNews::ProbeEnds(who) => match self.probe.take_if(|probe| probe.who == who) {
                Some(_) => {}
                None => return Heard::Nothing,
            },
            RoleNews::Works(at) => (self.works, self.denied, self.probe) = (Some(at), None, None),
            RoleNews::Denied(to, refusal) => {
                self.denied = Some((to, refusal));
                return Heard::Nothing;
            }
        }
        Heard::SomethingNew
    }

    fn attached(&mut self, policy: PolicyArn, at: Time) {
        self.refused.remove(&policy);
        // What was denied was denied without it, and whoever tries first finds out anew.
        (self.denied, self.probe) = (None, None);
        self.attached.insert(policy, Attached { at, set_back: false });
    }

    /// When something was last done about it that others may have to know.
    fn last_heard(&self) -> Option<Time> {
        [self.last_asked(), self.works].into_iter().flatten().max()
    }

    /// IAM has accepted a policy from a process before this one.
    pub(super) fn recall(&mut self, policy: PolicyArn, at: Time, set_back: bool) {
        self.attached.entry(policy).or_insert(Attached { at, set_back });
    }

    /// The policies that IAM has accepted from us: when, and whether somebody has taken them off again.
    pub(super) fn accepted(&self) -> impl Iterator<Item = (&PolicyArn, Time, bool)> {
        self.attached.iter().map(|(policy, Attached { at, set_back })| (policy, *at, *set_back))
    }

    /// The policies were read: returns those that somebody has taken off since we attached them.
    fn seen(&self, at: Time, has: impl Fn(&PolicyArn) -> Option<bool>) -> Vec<PolicyArn> {
        let gone = self.attached.iter().filter(|(policy, attached)| {
            !attached.set_back && at > attached.at + READ_LAG && has(policy) == Some(false)
        });
        gone.map(|(policy, _)| policy.clone()).collect()
    }

    /// Everything may be tried again now.
    pub(super) fn forget_refusals(&mut self) {
        self.refused.clear();
        self.denied = None;
    }

    pub(super) fn is_attaching(&self, policy: &PolicyArn) -> bool {
        self.attaching.contains_key(policy)
    }

    /// Whether any call for this role is out.
    pub(super) fn is_busy(&self) -> bool {
        !self.attaching.is_empty()
    }

    /// Whether a policy was attached so lately that a read at `read` need not show it yet.
    pub(super) fn just_attached(&self, policy: &PolicyArn, read: Time) -> bool {
        self.attached.get(policy).is_some_and(|attached| read <= attached.at + READ_LAG)
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

    /// When a probe that is not heard of is replaced.
    pub(super) fn next_expiry(&self) -> Option<Time> {
        self.probe.as_ref().and_then(|probe| probe.until)
    }

    /// Forgets a probe that was not heard of. Returns whether there was one.
    fn expire(&mut self, now: Time) -> bool {
        self.probe.take_if(|probe| probe.until.is_some_and(|until| until <= now)).is_some()
    }
}
