//! What this process saw, beside what AWS and the file say. Losing it costs waiting, never a wrong write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::guard::Ledger;
use super::reason::{Outcome, Pace, Reason, Why};
use super::rollout::Rollouts;
use super::setbacks::{SetBacks, Thing};
use super::{Cause, Change, Step};
use crate::cloud::{Class, CloudError, Failure, Function, Update};
use crate::desired::Entry;
use crate::live::RoleFacts;
use crate::names::{FunctionKey, Network, PolicyArn, RevisionId, RoleKey, Time};

/// What AWS answered to a step; or the journal's error, if the step was not made because it could not be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done, as far as AWS says.
    Done,
    /// AWS answered an error, or no answer came.
    Failed(CloudError),
    /// The step was not made.
    NotJournaled(String),
}

/// How long IAM may take to spread a change before a refusal counts as one. Terraform waits as long.
pub(super) const PROPAGATION: Duration = Duration::from_secs(5 * 60);
/// When a refusal has lasted so long, it is worth asking IAM why.
const DIAGNOSIS: Duration = Duration::from_secs(2 * 60);
/// How long a refusal is evidence that the role lacks a right.
const EVIDENCE: Duration = Duration::from_secs(60 * 60);
/// How long an update is not tried again that AWS refuses for the function's runtime, unless the function changes.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a refusal that somebody has to mend keeps us from trying the very same again.
const COOL_DOWN: Duration = Duration::from_secs(30 * 60);
/// The same where it is a matter of quotas and addresses, or of rights that are mended elsewhere.
const SHORT_COOL_DOWN: Duration = Duration::from_secs(5 * 60);
/// The same where it is likely to pass by itself.
const MOMENT: Duration = Duration::from_secs(30);
/// IAM's reads may lag this long behind its writes.
const READ_LAG: Duration = Duration::from_secs(60);
/// AWS's clock and ours may differ by this much when we ask whether a change was our own.
const SKEW: Duration = Duration::from_secs(10);

/// What this process saw.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    in_flight: BTreeMap<FunctionKey, Step>,
    attached: BTreeMap<(RoleKey, PolicyArn), Attached>,
    not_attached: BTreeMap<(RoleKey, PolicyArn), Refusal>,
    role_refused: BTreeMap<FunctionKey, RoleRefused>,
    /// When Lambda last accepted an update for this role's sake, so that it has the right.
    role_works: BTreeMap<RoleKey, Time>,
    sent: BTreeMap<FunctionKey, Sent>,
    refusals: BTreeMap<FunctionKey, Refused>,
    agreed: BTreeMap<FunctionKey, (Arc<Entry>, Arc<Network>)>,
    set_backs: SetBacks,
    /// Who goes first.
    pub rollouts: Rollouts,
    /// What the guard has let through.
    pub guard: Ledger,
}

/// A policy that IAM has accepted from us.
#[derive(Clone, Copy, Debug)]
struct Attached {
    at: Time,
    /// Whether somebody has taken it off again.
    set_back: bool,
}

/// An update that Lambda has accepted from us.
#[derive(Clone, Debug)]
struct Sent {
    to: Arc<Network>,
    at: Time,
    /// Whether it has not been seen to end.
    open: bool,
    /// Whether somebody has set another network since.
    set_back: bool,
    /// What Lambda had refused until it accepted: it may give the update up for the same reason.
    refused: Option<RoleRefused>,
}

/// Lambda's refusals of a function for its role's sake.
#[derive(Clone, Copy, Debug)]
struct RoleRefused {
    class: Class,
    first: Time,
    last: Time,
}

/// A network that was refused for a function as it was then.
#[derive(Clone, Debug)]
struct Refused {
    to: Arc<Network>,
    revision: Option<RevisionId>,
    refusal: Refusal,
}

/// Why something was refused, and until when the same is not tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub why: Why,
    pub until: Time,
    /// Whether it is likely to pass by itself.
    pub passing: bool,
}

impl Refusal {
    pub(super) fn outcome(&self, now: Time) -> Outcome {
        let (why, until) = (self.why.clone(), self.until);
        match self.passing {
            true => Outcome::Retry { why, after: Some(until.since(now)) },
            false => Outcome::Blocked { why, until: Some(until) },
        }
    }
}

impl Memory {
    /// A step is about to be made.
    pub fn begin(&mut self, step: &Step) {
        self.guard.made(step.key());
        if let Step::SetVpc { key, to, .. } = step {
            self.rollouts.sending(key, to);
        }
        self.in_flight.insert(step.key().clone(), step.clone());
    }

    /// A step was answered.
    pub fn answered(&mut self, step: &Step, answer: &Answer, now: Time) {
        self.in_flight.remove(step.key());
        match (step, answer) {
            (_, Answer::NotJournaled(_)) => {}
            (Step::AttachPolicy { role, policy, .. }, Answer::Done) => {
                let key = (role.key().clone(), policy.clone());
                self.not_attached.remove(&key);
                self.attached.insert(key, Attached { at: now, set_back: false });
            }
            (Step::AttachPolicy { role, policy, .. }, Answer::Failed(error)) => {
                if let Some(refusal) = refusal(Why::attaching(error), now) {
                    self.not_attached.insert((role.key().clone(), policy.clone()), refusal);
                }
            }
            (Step::SetVpc { key, to, .. }, Answer::Done) => {
                let refused = self.role_refused.remove(key);
                self.refusals.remove(key);
                let sent = Sent { to: to.clone(), at: now, open: true, set_back: false, refused };
                self.sent.insert(key.clone(), sent);
                self.rollouts.accepted(key, now);
            }
            (Step::SetVpc { key, .. }, Answer::Failed(error)) if waits_for_iam(error.class) => {
                let since = self.refuses(key, error.class, now);
                self.rollouts.refused(key, error, since);
            }
            // The next look sees whether the function is there; a new one of that name was never refused.
            (Step::SetVpc { .. }, Answer::Failed(error)) if error.class == Class::NotFound => {}
            (Step::SetVpc { key, to, revision, .. }, Answer::Failed(error)) => {
                self.rollouts.refused(key, error, now);
                if let Some(refusal) = refusal(Why::answered(error), now) {
                    let (to, revision) = (to.clone(), revision.clone());
                    self.refusals.insert(key.clone(), Refused { to, revision, refusal });
                }
            }
        }
    }

    /// Lambda has accepted to attach a function of this role to a network.
    pub fn role_works(&mut self, role: &RoleKey, now: Time) {
        self.role_works.insert(role.clone(), now);
    }

    /// A function was looked at: an update of ours may have come to its end, or been overtaken.
    pub fn looked(&mut self, key: &FunctionKey, function: &Function, now: Time) {
        self.rollouts.looked(key, function, now);
        let update = function.life.as_ref().map(|life| &life.update);
        if !matches!(update, Some(Update::Failed(_))) {
            self.seen(key, function, now);
        }
        let Some(sent) = self.sent.get_mut(key).filter(|sent| sent.open) else { return };
        match update {
            Some(Update::Successful) => sent.open = false,
            Some(Update::Failed(failure)) => {
                sent.open = false;
                let (to, refused) = (sent.to.clone(), sent.refused.take());
                if let Some(refused) = refused {
                    self.role_refused.entry(key.clone()).or_insert(refused);
                }
                self.update_failed(key, function, to, failure, now);
            }
            Some(Update::InProgress | Update::Unsaid) | None => {}
        }
    }

    /// An update of ours was accepted, and then given up by Lambda.
    fn update_failed(
        &mut self,
        key: &FunctionKey,
        function: &Function,
        to: Arc<Network>,
        failure: &Failure,
        now: Time,
    ) {
        let why = Why::failed(failure);
        let (why, passing) = match failure.class() {
            Class::Server | Class::Ec2Throttled => (why, true),
            class @ Class::RoleDenied => {
                let first = self.refuses(key, class, now);
                let since = self.last_attach(function.role.key()).map_or(first, |attached| attached.max(first));
                match now.since(since) < PROPAGATION {
                    true => (Why::new(Reason::RolePropagation, why.detail), true),
                    false => (why, false),
                }
            }
            _ => (why, false),
        };
        let until = now + if passing { MOMENT } else { SHORT_COOL_DOWN };
        let refusal = Refusal { why, until, passing };
        let revision = function.revision.clone();
        self.refusals.insert(key.clone(), Refused { to, revision, refusal });
    }

    /// A function was seen, in a sweep or by itself: somebody may have set another network than we did.
    pub fn seen(&mut self, key: &FunctionKey, function: &Function, now: Time) {
        let Some(sent) = self.sent.get_mut(key) else { return };
        // A listing does not show whether an update of ours has failed, and an answer that is older than ours tells nothing.
        let told = function.life.is_some() || !sent.open;
        let newer = function.modified.is_none_or(|modified| modified + SKEW >= sent.at);
        if told && newer && !sent.set_back && function.network != sent.to {
            (sent.set_back, sent.open) = (true, false);
            self.set_backs.note(Thing::Network(key.clone()), now);
        }
    }

    /// The policies of a role were read: somebody may have taken off what we attached.
    pub fn role_seen(&mut self, role: &RoleKey, facts: &RoleFacts, now: Time) {
        for ((of, policy), attached) in &mut self.attached {
            let gone = of == role && facts.at > attached.at + READ_LAG && facts.has(policy) == Some(false);
            if gone && !attached.set_back {
                attached.set_back = true;
                self.set_backs.note(Thing::Policy(role.clone(), policy.clone()), now);
            }
        }
    }

    /// Lambda refuses this function for its role's sake; returns since when it does.
    fn refuses(&mut self, key: &FunctionKey, class: Class, now: Time) -> Time {
        let before = self.role_refused.get(key).filter(|before| before.class == class);
        let first = before.map_or(now, |before| before.first);
        self.role_refused.insert(key.clone(), RoleRefused { class, first, last: now });
        first
    }

    /// A function is taken in hand to make this change: its place in the rollout and before the guard is reserved.
    pub fn reserve(&mut self, entry: &Entry, change: &Change, now: Time) {
        self.rollouts.reserve(entry, change, now);
        self.guard.reserve(change, now);
    }

    /// It is known how a function stands.
    pub fn concluded(&mut self, entry: &Entry, outcome: &Outcome) {
        self.rollouts.concluded(entry, outcome);
        self.guard.ended(&entry.key);
        if *outcome == Outcome::InSync {
            self.guard.settled(&entry.key);
        }
    }

    /// A function was found in sync.
    pub fn agreed(&mut self, entry: &Arc<Entry>, network: &Arc<Network>) {
        self.role_refused.remove(&entry.key);
        self.refusals.remove(&entry.key);
        self.agreed.insert(entry.key.clone(), (Arc::clone(entry), network.clone()));
    }

    /// The entry of a function is another one now.
    pub fn edited(&mut self, key: &FunctionKey) {
        self.set_backs.forget(key);
        self.guard.settled(key);
        self.rollouts.left(key);
    }

    /// Somebody asked to try everything again now.
    pub fn forget_refusals(&mut self) {
        self.rollouts.forgive();
        self.not_attached.clear();
        self.refusals.clear();
    }

    /// A function left the file.
    pub fn forget(&mut self, key: &FunctionKey) {
        self.edited(key);
        self.role_refused.remove(key);
        self.sent.remove(key);
        self.refusals.remove(key);
        self.agreed.remove(key);
    }

    /// Whether this policy is being attached to this role right now, for whichever function.
    pub(super) fn attaching(&self, to: &RoleKey, which: &PolicyArn) -> bool {
        self.in_flight.values().any(|step| match step {
            Step::AttachPolicy { role, policy, .. } => role.key() == to && policy == which,
            Step::SetVpc { .. } => false,
        })
    }

    /// Whether this process attached a policy to a role so lately that a read at `read` need not show it yet.
    pub(super) fn just_attached(&self, role: &RoleKey, policy: &PolicyArn, read: Time) -> bool {
        self.attached.get(&(role.clone(), policy.clone())).is_some_and(|attached| read <= attached.at + READ_LAG)
    }

    /// When this process last attached anything to a role.
    pub(super) fn last_attach(&self, role: &RoleKey) -> Option<Time> {
        self.attached.iter().filter(|((of, _), _)| of == role).map(|(_, attached)| attached.at).max()
    }

    /// Whether this process has attached something to a role that Lambda need not have noticed yet.
    pub(super) fn is_unproven(&self, role: &RoleKey, now: Time) -> bool {
        let attached = self.last_attach(role).filter(|at| now.since(*at) < PROPAGATION);
        attached.is_some_and(|attached| self.role_works.get(role).is_none_or(|works| *works < attached))
    }

    /// The functions by which it is being found out whether Lambda has noticed what was attached to their roles.
    pub(super) fn trying(&self) -> impl Iterator<Item = &FunctionKey> {
        let refused = self.role_refused.iter().filter(|(_, refused)| refused.class == Class::RoleDenied);
        let sending = self.in_flight.iter().filter(|(_, step)| matches!(step, Step::SetVpc { .. }));
        refused.map(|(key, _)| key).chain(sending.map(|(key, _)| key))
    }

    /// Why a policy could not be attached to a role, as long as it is not to be tried again.
    pub(super) fn not_attached(&self, role: &RoleKey, policy: &PolicyArn, now: Time) -> Option<&Refusal> {
        self.not_attached.get(&(role.clone(), policy.clone())).filter(|refusal| now < refusal.until)
    }

    /// Since when Lambda refuses this function's network for its role's sake.
    pub(super) fn refused_since(&self, key: &FunctionKey) -> Option<Time> {
        self.role_refused.get(key).map(|refused| refused.first)
    }

    /// Whether Lambda's last refusal says that the role lacks the right to make interfaces. That counts for an hour: where
    /// the policy cannot be attached, the role may have got the right in another way.
    pub fn shown_to_lack_right(&self, key: &FunctionKey, now: Time) -> bool {
        let refused = self.role_refused.get(key).filter(|refused| refused.class == Class::RoleDenied);
        refused.is_some_and(|refused| now.since(refused.last) < EVIDENCE)
    }

    /// Whether Lambda refuses the role of this function for so long that it is worth asking IAM why.
    pub fn wants_diagnosis(&self, key: &FunctionKey, now: Time) -> bool {
        let refused = self.role_refused.get(key).filter(|refused| refused.class == Class::RoleDenied);
        refused.is_some_and(|refused| now.since(refused.first) >= DIAGNOSIS)
    }

    /// Until when a function is left alone, since somebody sets back again and again what would be changed.
    pub(super) fn flapping(&self, change: &Change, now: Time) -> Option<Time> {
        let network = change.network.iter().map(|_| Thing::Network(change.key.clone()));
        let policies = change.attach.iter().map(|it| Thing::Policy(it.role.key().clone(), it.policy.clone()));
        network.chain(policies).filter_map(|thing| self.set_backs.left_alone(&thing, now)).max()
    }

    /// Whether an update that Lambda accepted from us has not been seen to end.
    pub fn awaits_update(&self, key: &FunctionKey) -> bool {
        self.sent.get(key).is_some_and(|sent| sent.open)
    }

    /// Why this very network was refused for a function, as long as it is not to be tried again: until then, or until
    /// the function itself has changed.
    pub(super) fn refusal(
        &self,
        key: &FunctionKey,
        to: &Network,
        revision: Option<&RevisionId>,
        now: Time,
    ) -> Option<&Refusal> {
        let refused = self.refusals.get(key)?;
        let same = *refused.to == *to && refused.revision.as_ref() == revision;
        (same && now < refused.refusal.until).then_some(&refused.refusal)
    }

    /// Whether a change at this moment was our own.
    pub(super) fn ours(&self, key: &FunctionKey, modified: Time) -> bool {
        self.sent.get(key).is_some_and(|sent| modified <= sent.at + SKEW)
    }

    /// Why a function differs from its entry.
    pub(super) fn cause(&self, entry: &Entry, to: &Network) -> Cause {
        match self.agreed.get(&entry.key) {
            Some((seen, _)) if !seen.asks_the_same(entry) => Cause::File,
            Some((_, network)) if **network != *to => Cause::Network,
            Some(_) => Cause::Live,
            None => Cause::File,
        }
    }
}

/// Whether waiting for IAM may be all that is needed.
pub(super) fn waits_for_iam(class: Class) -> bool {
    matches!(class, Class::RoleDenied | Class::RoleNotAssumable | Class::KmsGrant)
}

/// Until when the same is not tried again; none where the queue's own backoff is enough.
fn refusal(why: Why, now: Time) -> Option<Refusal> {
    let cool_down = match why.reason.pace() {
        // A matter of the whole scope: with new ones every function goes on.
        _ if why.reason == Reason::Credentials => return None,
        _ if why.reason == Reason::RuntimeRetired => DAY,
        Pace::Invalid => COOL_DOWN,
        Pace::Quota | Pace::Denied => SHORT_COOL_DOWN,
        Pace::Poll | Pace::Propagation | Pace::Throttled | Pace::Server | Pace::Turn => return None,
    };
    Some(Refusal { why, until: now + cool_down, passing: false })
}

impl Why {
    /// What an error of AttachRolePolicy means.
    pub(super) fn attaching(error: &CloudError) -> Self {
        match error.class {
            Class::NotFound => Self::new(Reason::RoleNotFound, error.to_string()),
            Class::Busy => Self::new(Reason::RoleBusy, error.to_string()),
            _ => Self::answered(error),
        }
    }
}
