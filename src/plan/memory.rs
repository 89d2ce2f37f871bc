//! What this process saw, beside what AWS and the file say. Losing it costs waiting, never a wrong write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

mod asked;
mod recall;
mod refusal;
mod role;

use self::recall::Recalled;
use self::refusal::{MOMENT, SHORT_COOL_DOWN, refusal};
pub(super) use self::refusal::{Refusal, waiting_for_iam, waits_for_iam};
use self::role::Heard;
pub use self::role::{AttachEnd, RoleNews, Roles};
use super::guard::Ledger;
use super::reason::{Outcome, Reason, Why};
use super::record::Fate;
use super::rollout::Rollouts;
use super::setbacks::{SetBacks, Thing};
use super::{Change, Step, Targets};
use crate::cloud::{Class, CloudError, Failure, Function, State, Update};
use crate::desired::Entry;
use crate::live::RoleFacts;
use crate::names::{FunctionKey, FunctionName, Network, PolicyArn, RevisionId, RoleKey, Time};

/// What AWS answered to a step; or why the step was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done, as far as AWS says.
    Done,
    /// AWS answered an error, or no answer came.
    Failed(CloudError),
    /// The step was not made: it could not be recorded, for this reason.
    NotJournaled(String),
    /// The step was not made: its turn in the budget of requests is this far away.
    NotSent {
        /// When its turn may come.
        after: Duration,
    },
}

/// How long IAM may take to spread a change before a refusal counts as one. Terraform waits as long.
pub(super) const PROPAGATION: Duration = Duration::from_secs(5 * 60);
/// When a refusal has lasted so long, it is worth asking IAM why.
const DIAGNOSIS: Duration = Duration::from_secs(2 * 60);
/// How long a refusal is evidence that the role lacks a right.
const EVIDENCE: Duration = Duration::from_secs(60 * 60);
/// IAM's reads may lag this long behind its writes.
const READ_LAG: Duration = Duration::from_secs(60);
/// AWS's clock and ours may differ by this much when we ask whether a change was our own.
const SKEW: Duration = Duration::from_secs(10);

/// What this process saw.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    functions: BTreeMap<FunctionName, FunctionMemory>,
    roles: Roles,
    /// What the other scopes of the account are to hear of the roles that they share.
    news: Vec<(RoleKey, RoleNews)>,
    set_backs: SetBacks,
    /// What the file's VPC entries meant at the last listings.
    pub targets: Targets,
    /// What a process before this one was in sync with.
    recalled: Option<Recalled>,
    /// Who goes first.
    pub rollouts: Rollouts,
    /// What the guard has let through.
    pub guard: Ledger,
}

/// What this process saw of one function. Boxed is what most of many thousands have not.
#[derive(Clone, Debug, Default)]
struct FunctionMemory {
    /// The entry and the network with which it was last found in sync.
    agreed: Option<(Arc<Entry>, Arc<Network>)>,
    sent: Option<Box<Sent>>,
    role_refused: Option<Box<RoleRefused>>,
    refused: Option<Box<Refused>>,
    /// Since when Lambda is creating or waking it, as far as looks have shown.
    pending: Option<Time>,
    /// The role about which it finds out whether Lambda accepts it.
    probes: Option<RoleKey>,
    /// Whether somebody asks to look at it, whatever is known of it.
    refresh: bool,
    /// What differs.
    differs: Option<Arc<Change>>,
    /// Why its passes ended as they did, and how often in a row they did so for the same reason.
    attempts: Option<(Reason, u32)>,
}

/// An update that Lambda has accepted from us.
#[derive(Clone, Debug)]
struct Sent {
    to: Arc<Network>,
    at: Time,
    fate: Fate,
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

impl Memory {
    /// A step is about to be made, for a function with this role.
    pub fn begin(&mut self, step: &Step, role: Option<&RoleKey>, now: Time) {
        self.guard.made(&step.key().name);
        match step {
            Step::AttachPolicy { key, role, policy } => {
                self.tell(role.key(), RoleNews::Attaching(policy.clone(), key.clone()));
            }
            Step::SetVpc { key, to, .. } => {
                self.rollouts.sending(&key.name, to);
                if let Some(role) = role.filter(|_| to.is_attached())
                    && self.probe(role, now).is_none_or(|probe| probe == key)
                {
                    self.tell(role, RoleNews::Probes(key.clone()));
                    self.function(key).probes = Some(role.clone());
                }
            }
        }
    }

    /// A step was answered, for a function with this role.
    pub fn answered(&mut self, step: &Step, role: Option<&RoleKey>, answer: &Answer, now: Time) {
        if matches!(answer, Answer::NotJournaled(_) | Answer::NotSent { .. }) {
            self.guard.not_made(&step.key().name);
        }
        match step {
            Step::AttachPolicy { role, policy, .. } => self.attach_answered(role.key(), policy, answer, now),
            Step::SetVpc { key, to, revision, .. } => self.update_answered(key, role, to, revision, answer, now),
        }
    }

    fn attach_answered(&mut self, role: &RoleKey, policy: &PolicyArn, answer: &Answer, now: Time) {
        let end = match answer {
            Answer::NotJournaled(_) | Answer::NotSent { .. } => AttachEnd::NotMade,
            Answer::Done => AttachEnd::Attached(now),
            Answer::Failed(error) => AttachEnd::Refused {
                // Without an answer it may have been carried out.
                perhaps: error.status.is_none().then_some(now),
                refusal: refusal(Why::attaching(error), now),
            },
        };
        self.tell(role, RoleNews::AttachEnded(policy.clone(), end));
    }

    fn update_answered(
        &mut self,
        key: &FunctionKey,
        role: Option<&RoleKey>,
        to: &Arc<Network>,
        revision: &Option<RevisionId>,
        answer: &Answer,
        now: Time,
    ) {
        match answer {
            Answer::NotJournaled(_) | Answer::NotSent { .. } => self.probe_ends(key),
            Answer::Done => {
                let function = self.function(key);
                let refused = function.role_refused.take().map(|refused| *refused);
                function.refused = None;
                function.sent = Some(Box::new(Sent { to: Arc::clone(to), at: now, fate: Fate::Open, refused }));
                if let Some(role) = role.filter(|_| to.is_attached()) {
                    self.tell(role, RoleNews::Works(now));
                }
                self.rollouts.accepted(&key.name, now);
            }
            Answer::Failed(error) if waits_for_iam(error.class) => {
                let since = self.refuses(key, error.class, now);
                match role.filter(|_| error.class != Class::KmsGrant) {
                    Some(role) => self.tell(role, RoleNews::Refuses(key.clone(), now)),
                    // The key is the function's own: it says nothing about the role.
                    None => self.probe_ends(key),
                }
                self.rollouts.refused(&key.name, error, since);
            }
            // The next look sees whether the function is there; a new one of that name was never refused.
            Answer::Failed(error) if error.class == Class::NotFound => self.probe_ends(key),
            Answer::Failed(error) => {
                self.probe_ends(key);
                self.rollouts.refused(&key.name, error, now);
                if let Some(refusal) = refusal(Why::updating(error, key), now) {
                    let (to, revision) = (Arc::clone(to), revision.clone());
                    self.function(key).refused = Some(Box::new(Refused { to, revision, refusal }));
                }
            }
        }
    }

    fn function(&mut self, key: &FunctionKey) -> &mut FunctionMemory {
        self.functions.entry(key.name.clone()).or_default()
    }

    /// Something has happened to a role, which the other scopes of the account hear of as well.
    fn tell(&mut self, role: &RoleKey, news: RoleNews) {
        self.news.push((role.clone(), news.clone()));
        if self.roles.hear(role, news) == Heard::SomethingNew {
            self.rollouts.wake();
        }
    }

    /// Another scope of the account tells of a role.
    pub fn hears(&mut self, role: &RoleKey, news: RoleNews, now: Time) {
        let set_back = match &news {
            RoleNews::SetBack(policy) => Some(Thing::Policy(role.clone(), policy.clone())),
            _ => None,
        };
        if self.roles.hear(role, news) == Heard::SomethingNew {
            self.rollouts.wake();
            if let Some(policy) = set_back {
                self.set_backs.note(policy, now);
            }
        }
    }

    /// What the other scopes of the account are to hear.
    pub fn take_news(&mut self) -> Vec<(RoleKey, RoleNews)> {
        std::mem::take(&mut self.news)
    }

    /// What is known of the account's roles from other scopes.
    pub fn with_roles(roles: Roles) -> Self {
        Self { roles, ..Self::default() }
    }

    /// A function finds out nothing about its role any more: another one may.
    fn probe_ends(&mut self, key: &FunctionKey) {
        let probed = self.functions.get_mut(&key.name).and_then(|function| function.probes.take());
        if let Some(role) = probed {
            self.tell(&role, RoleNews::ProbeEnds(key.clone()));
        }
    }

    /// A function was looked at: an update of ours may have come to its end, or been overtaken.
    pub fn looked(&mut self, key: &FunctionKey, function: &Function, now: Time) {
        self.rollouts.looked(&key.name, function, now);
        let life = function.life.as_deref();
        let pending = life.is_some_and(|life| life.state == State::Pending);
        match self.functions.get_mut(&key.name) {
            Some(known) => {
                known.pending = pending.then(|| known.pending.unwrap_or(now));
                known.refresh = false;
            }
            None if pending => self.function(key).pending = Some(now),
            None => {}
        }
        let update = life.map(|life| &life.update);
        if let Some(Update::Failed(failure)) = update {
            return self.given_up(key, function, failure, now);
        }
        self.seen(key, function, now);
        if let (Some(Update::Successful), Some(sent)) = (update, self.sent_mut(key))
            && sent.fate == Fate::Open
        {
            sent.fate = Fate::Arrived;
        }
    }

    fn sent_mut(&mut self, key: &FunctionKey) -> Option<&mut Sent> {
        self.functions.get_mut(&key.name)?.sent.as_deref_mut()
    }

    fn sent(&self, key: &FunctionKey) -> Option<&Sent> {
        self.functions.get(&key.name)?.sent.as_deref()
    }

    /// The last update of a function was given up by Lambda: if it is ours, it is told why, and tried again later.
    fn given_up(&mut self, key: &FunctionKey, function: &Function, failure: &Failure, now: Time) {
        let Some(sent) = self.sent_mut(key).filter(|sent| sent.fate == Fate::Open) else { return };
        sent.fate = Fate::GivenUp;
        let (to, refused) = (Arc::clone(&sent.to), sent.refused.take());
        if let Some(refused) = refused {
            self.function(key).role_refused.get_or_insert_with(|| Box::new(refused));
        }
        self.update_failed(key, function, to, failure, now);
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
                let (attached, refused) = (self.last_attach(function.role.key()), Some(first));
                match attached.max(refused).is_none_or(|since| now.since(since) < PROPAGATION) {
                    true => (waiting_for_iam(self.last_asked(function.role.key()), refused, why.detail), true),
                    false => (why, false),
                }
            }
            _ => (why, false),
        };
        let until = now + if passing { MOMENT } else { SHORT_COOL_DOWN };
        let refusal = Refusal { why, until, passing };
        let revision = function.revision.clone();
        self.function(key).refused = Some(Box::new(Refused { to, revision, refusal }));
    }

    /// A function was seen, in a sweep or by itself: somebody may have set another network than we did.
    pub fn seen(&mut self, key: &FunctionKey, function: &Function, now: Time) {
        let Some(sent) = self.sent_mut(key) else { return };
        // A listing does not show whether an update of ours has failed, and an answer that is older than ours tells
        // nothing.
        let told = match sent.fate {
            Fate::Arrived => true,
            Fate::Open => function.life.is_some(),
            Fate::GivenUp | Fate::SetBack => false,
        };
        let newer = function.modified.is_none_or(|modified| modified + SKEW >= sent.at);
        if told && newer && function.network != sent.to {
            sent.fate = Fate::SetBack;
            self.set_backs.note(Thing::Network(key.name.clone()), now);
        }
    }

    /// The policies of a role were read: somebody may have taken off what we attached.
    pub fn role_seen(&mut self, role: &RoleKey, facts: &RoleFacts, now: Time) {
        for policy in self.roles.seen(role, facts.at, |policy| facts.has(policy)) {
            self.set_backs.note(Thing::Policy(role.clone(), policy.clone()), now);
            self.tell(role, RoleNews::SetBack(policy));
        }
    }

    /// Lambda refuses this function for its role's sake; returns since when it does.
    fn refuses(&mut self, key: &FunctionKey, class: Class, now: Time) -> Time {
        let function = self.function(key);
        let before = function.role_refused.as_ref().filter(|before| before.class == class);
        let first = before.map_or(now, |before| before.first);
        function.role_refused = Some(Box::new(RoleRefused { class, first, last: now }));
        first
    }

    /// Lambda refuses a network for the sake of the function's role, and waiting for IAM does not help: what holds for one
    /// function of the role holds for all that shall go into the same network.
    pub fn role_denied(&mut self, role: &RoleKey, to: &Arc<Network>, why: &Why, now: Time) {
        let refusal = Refusal { why: why.clone(), until: now + SHORT_COOL_DOWN, passing: false };
        self.tell(role, RoleNews::Denied(Arc::clone(to), refusal));
    }

    /// A function is taken in hand to make this change: its place in the rollout and before the guard is reserved.
    pub fn reserve(&mut self, entry: &Entry, change: &Change, now: Time) {
        self.rollouts.reserve(entry, change, now);
        self.guard.reserve(change, now);
    }

    /// It is known how a function stands.
    pub fn concluded(&mut self, entry: &Entry, outcome: &Outcome, now: Time) {
        let is_tried_again = |reason| matches!(reason, Reason::RolePropagation | Reason::RoleRefused);
        if !matches!(outcome, Outcome::Waiting { why, .. } if is_tried_again(why.reason)) {
            self.probe_ends(&entry.key);
        }
        self.rollouts.concluded(entry, outcome, now);
        // What waits for its turn in the budget of requests is in hand.
        if !matches!(outcome, Outcome::Waiting { why, .. } if why.reason == Reason::BudgetTurn) {
            self.guard.ended(&entry.key.name);
        }
        if *outcome == Outcome::InSync {
            self.guard.settled(&entry.key.name);
            if let Some(function) = self.functions.get_mut(&entry.key.name) {
                (function.differs, function.attempts) = (None, None);
            }
        }
    }

    /// A function was found in sync.
    pub fn agreed(&mut self, entry: &Arc<Entry>, network: &Arc<Network>) {
        let function = self.function(&entry.key);
        (function.role_refused, function.refused) = (None, None);
        function.agreed = Some((Arc::clone(entry), Arc::clone(network)));
    }

    /// The entry of a function is another one now.
    pub fn edited(&mut self, key: &FunctionKey) {
        self.set_backs.forget(&key.name);
        self.guard.left(&key.name);
        self.rollouts.left(&key.name);
        self.probe_ends(key);
        // What was waited for, and what differed, was so for the old entry.
        if let Some(function) = self.functions.get_mut(&key.name) {
            (function.differs, function.attempts) = (None, None);
        }
    }

    /// Somebody asks to look at a function, whatever is known of it.
    pub fn refresh(&mut self, key: &FunctionKey) {
        self.function(key).refresh = true;
    }

    /// Whether somebody asks to look at a function that was not looked at since.
    pub(super) fn is_to_be_refreshed(&self, key: &FunctionKey) -> bool {
        self.functions.get(&key.name).is_some_and(|function| function.refresh)
    }

    /// What differs about a function, as far as that was found.
    pub fn differs(&self, name: &FunctionName) -> Option<&Arc<Change>> {
        self.functions.get(name)?.differs.as_ref()
    }

    /// All functions that differ.
    pub fn differing(&self) -> impl Iterator<Item = &FunctionName> {
        self.functions.iter().filter(|(_, function)| function.differs.is_some()).map(|(name, _)| name)
    }

    /// This differs about a function. Returns whether nothing did before.
    pub fn found_to_differ(&mut self, change: &Arc<Change>) -> bool {
        self.function(&change.key).differs.replace(Arc::clone(change)).is_none()
    }

    /// A pass has ended for this reason. Returns how often in a row it had before.
    pub fn ended_for(&mut self, key: &FunctionKey, reason: Reason) -> u32 {
        let function = self.function(key);
        let attempt = match function.attempts {
            Some((before, count)) if before == reason => count + 1,
            _ => 0,
        };
        function.attempts = Some((reason, attempt));
        attempt
    }

    /// Somebody asked to try everything again now.
    pub fn forget_refusals(&mut self) {
        self.rollouts.forgive();
        self.roles.forget_refusals();
        self.functions.values_mut().for_each(|function| function.refused = None);
    }

    /// A function left the file.
    pub fn forget(&mut self, key: &FunctionKey) {
        self.edited(key);
        self.functions.remove(&key.name);
    }

    /// Forgets the roles that no function has any more, as far as no call for them is out, and what was set back so long
    /// ago that it no longer counts.
    pub fn keep_roles(&mut self, wanted: impl Fn(&RoleKey) -> bool, now: Time) {
        self.roles.keep(wanted);
        self.set_backs.expire(now);
    }

    /// Whether somebody's turn may have come since this was last asked.
    pub fn moved(&mut self, now: Time) -> bool {
        if self.roles.expire(now) {
            self.rollouts.wake();
        }
        self.rollouts.moved(now)
    }
}
