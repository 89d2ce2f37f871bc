//! Passes: one function, from a fresh look to an outcome.

use std::sync::Arc;
use std::time::Duration;

use super::Scope;
use crate::apply::Order;
use crate::board::Found;
use crate::cloud::{CloudError, Function};
use crate::desired::AttachPolicy;
use crate::live::{Fault, Looked, Seen};
use crate::names::{FunctionKey, Time};
use crate::plan::{self, Answer, Cause, Change, Decision, Outcome, Pace, Reason, State, Step, Verdict};
use crate::reconcile::backoff;
use crate::reconcile::event::{Action, Notice, Pass};
use crate::reconcile::queue::{Rank, Work};

/// After Lambda refused a network, the VPC is swept again this soon: what the entry means may have changed.
const AFTER_REFUSAL: Duration = Duration::from_secs(5);

impl Scope {
    /// AWS's stamps are in the time of the wall clock. One that is yet to come tells that the wall clock is behind.
    pub(super) fn in_our_time(&self, function: &mut Seen<Function>, now: Time) {
        if let Seen::Present(function) = function {
            function.modified = function.modified.map(|modified| self.wall.reaches(modified).min(now));
        }
    }

    pub(super) fn looked(&mut self, key: FunctionKey, mut found: Looked, now: Time, actions: &mut Vec<Action>) {
        self.in_our_time(&mut found.function, now);
        if let Seen::Present(function) = &found.function {
            self.memory.looked(&key, function, now);
        }
        if let Some((role, Seen::Present(facts))) = &found.role {
            self.memory.role_seen(role, facts, now);
        }
        let fault = self.no_ground(&key, &found);
        self.facts.looked(&key.name, found, now);
        self.decide(key, fault.as_ref(), now, actions);
    }

    /// Why a look is no ground to do anything, where what it was for could not be read but is known from before. A role
    /// that nothing shall be attached to need not be.
    fn no_ground(&self, key: &FunctionKey, found: &Looked) -> Option<Fault> {
        match (&found.function, &found.role) {
            (Seen::Unknown(fault), _) => Some(fault.clone()),
            (_, Some((role, Seen::Unknown(fault)))) if matches!(self.facts.role(role), Seen::Present(_)) => {
                let entry = self.desired.get(key)?;
                (entry.terms.attach_policy != AttachPolicy::Never).then(|| fault.clone())
            }
            _ => None,
        }
    }

    /// What is to be done about a function, by what is known of it now; nothing if it was looked at and could not be read.
    pub(super) fn decide(&mut self, key: FunctionKey, fault: Option<&Fault>, now: Time, actions: &mut Vec<Action>) {
        let Some(entry) = self.desired.get(&key).cloned() else {
            self.queue.done(&key.name);
            return;
        };
        let (world, entry) = (&self.world(now), &entry);
        let digest = world.desired.digest.clone();
        let (was_in, goes_into) = (world.facts.vpc_of(&key.name).cloned(), entry.terms.want.vpc().cloned());
        let comparison = plan::compare(world, entry);
        let warnings = comparison.all_warnings().cloned().collect();
        let decision = match fault {
            Some(fault) => Decision::Rest(plan::unread(world, entry, &comparison.verdict, fault)),
            None => plan::decide(world, entry, &comparison.verdict),
        };
        self.board.doubts(&key.name, warnings);
        let change = match comparison.verdict {
            Verdict::Differs(change) => Some(Arc::new(change)),
            Verdict::InSync | Verdict::Stuck(_) => None,
        };
        if let Some(change) = &change {
            self.note_drift(change, now, actions);
        }
        match decision {
            Decision::Rest(outcome) => self.pass_ends(&key, outcome, change, now, actions),
            // The sweep that comes first selects it again.
            Decision::Do(_) if self.stopping || self.sweep.outdated.is_some() => {
                self.queue.done(&key.name);
            }
            Decision::Do(step) => {
                if let Some(change) = &change {
                    self.memory.reserve(entry, change, now);
                    if self.stores_first(change) {
                        return;
                    }
                }
                self.memory.begin(&step, self.facts.role_of(&key.name), now);
                let cause = change.map_or(Cause::File, |change| change.cause);
                let pass = self.queue.work(&key.name).map_or(0, |work| work.number);
                actions.push(Action::Do(Order { pass, step, cause, digest, was_in, goes_into }));
            }
        }
    }

    pub(super) fn answered(
        &mut self,
        order: Order,
        answer: Answer,
        took: Duration,
        now: Time,
        actions: &mut Vec<Action>,
    ) {
        let role = self.facts.role_of(&order.step.key().name).cloned();
        self.memory.answered(&order.step, role.as_ref(), &answer, now);
        if let Answer::NotSent { .. } = answer {
            return self.not_sent(&order.step, &answer, now, actions);
        }
        self.board.stepped(&order, &answer, took, now);
        // Whether it was carried out, only the role itself can tell.
        if let (Step::AttachPolicy { role, .. }, Answer::Failed(CloudError { status: None, .. })) =
            (&order.step, &answer)
        {
            self.facts.roles.insert(role.key().clone(), Seen::Unknown(Fault::Unread));
        }
        let key = order.step.key().clone();
        if let Step::SetVpc { .. } = &order.step {
            self.facts.outdated(&key.name);
        }
        let outcome = plan::conclude(&self.world(now), &order.step, &answer);
        actions.push(Action::Tell(Notice::Stepped { order: order.clone(), answer, took }));
        if self.desired.get(&key).is_none() {
            self.memory.forget(&key);
            self.queue.done(&key.name);
            return;
        }
        if let (Step::SetVpc { to, .. }, Outcome::Blocked { why, .. }, Some(role)) = (&order.step, &outcome, &role)
            && matches!(why.reason, Reason::RoleDenied | Reason::RoleNotAssumable)
        {
            self.memory.role_denied(role, to, why, now);
        }
        if let Some(Reason::NetworkRefused) = outcome.why().map(|why| why.reason) {
            self.sweep.want(now + AFTER_REFUSAL);
        }
        let change = self.memory.differs(&key.name).cloned();
        self.pass_ends(&key, outcome, change, now, actions);
    }

    /// A pass has ended: nothing else ends the work on a function, so that no second call is made beside one that is out.
    pub(super) fn pass_ends(
        &mut self,
        key: &FunctionKey,
        outcome: Outcome,
        change: Option<Arc<Change>>,
        now: Time,
        actions: &mut Vec<Action>,
    ) {
        let pass = self.queue.done(&key.name);
        self.conclude(key, outcome, change, pass, now, actions);
    }

    /// A step was not made, since its turn is too far away: nothing has changed, and what it was decided on still holds.
    fn not_sent(&mut self, step: &Step, answer: &Answer, now: Time, actions: &mut Vec<Action>) {
        let key = step.key();
        if self.desired.get(key).is_none() {
            self.queue.done(&key.name);
            return self.memory.forget(key);
        }
        let outcome = plan::conclude(&self.world(now), step, answer);
        let change = self.memory.differs(&key.name).cloned();
        self.pass_ends(key, outcome, change, now, actions);
    }

    /// A pass has ended, or a sweep told all there is to know: the outcome goes on the board, and the function comes again
    /// when that is due.
    pub(super) fn conclude(
        &mut self,
        key: &FunctionKey,
        outcome: Outcome,
        change: Option<Arc<Change>>,
        pass: Option<Work>,
        now: Time,
        actions: &mut Vec<Action>,
    ) {
        if let Some(entry) = self.desired.get(key) {
            if let (Outcome::InSync, Seen::Present(function)) = (&outcome, self.facts.function(&key.name)) {
                self.memory.agreed(entry, &function.network);
            }
            self.memory.concluded(entry, &outcome, now);
        }
        if let (Outcome::Retry { why, .. } | Outcome::Unread { why, .. }, true) = (&outcome, pass.is_some()) {
            self.suspect(why.reason, now);
        }
        if outcome.why().is_some_and(|why| why.reason == Reason::Flapping) {
            self.ask_owner(key, actions);
        }
        let swept_again = self.sweep.faults > 0;
        let next = self.next_look(key, &outcome, swept_again && pass.is_none(), now);
        if let Some(at) = next {
            self.queue.add_at(key.name.clone(), at);
        }
        let before = self.goes_on_the_board(key, outcome.clone(), change, next, now);
        self.record.stir(now);
        self.moved_on(now);
        let pass = pass.map(|work| Pass { number: work.number, took: now.since(work.begun) });
        actions.push(Action::Tell(Notice::Concluded { key: key.clone(), outcome, before, pass }));
    }

    /// Somebody sets a function back: its tags may tell who. They are asked for once.
    fn ask_owner(&mut self, key: &FunctionKey, actions: &mut Vec<Action>) {
        if let (Seen::Present(function), false) =
            (self.facts.function(&key.name), self.facts.owners.contains_key(&key.name))
        {
            actions.push(Action::AskOwner(key.clone(), function.role.partition().to_owned()));
            self.facts.owners.insert(key.name.clone(), None);
        }
    }

    /// What the tags of a function tell goes on the board with its next pass, which comes now.
    pub(super) fn owner_told(&mut self, key: FunctionKey, owner: Option<String>) {
        if owner.is_some() && self.facts.owners.contains_key(&key.name) {
            self.queue.add(key.name.clone(), Rank::Routine);
            self.facts.owners.insert(key.name, owner);
        }
    }

    /// When a function is looked at again, beside the sweeps. What a whole scope suffers from, the next sweep mends.
    fn next_look(&mut self, key: &FunctionKey, outcome: &Outcome, swept_again: bool, now: Time) -> Option<Time> {
        let why = outcome.why()?;
        // Whoever waits for others has not been tried meanwhile: its next failure is as late in the row as it would have been.
        let attempt = match why.reason.pace() {
            Pace::Turn => 0,
            _ => self.memory.ended_for(key, why.reason),
        };
        let backoff = now + backoff::delay(why.reason.pace(), attempt, &mut self.rng);
        match outcome {
            Outcome::InSync => None,
            Outcome::Waiting { why, until } if matches!(why.reason.pace(), Pace::Invalid | Pace::Turn) => *until,
            Outcome::Waiting { until, .. } => Some(until.unwrap_or(backoff)),
            Outcome::Retry { .. } | Outcome::Unread { .. } if swept_again => None,
            Outcome::Retry { after, .. } | Outcome::Unread { after, .. } => {
                Some(after.map_or(backoff, |after| backoff.max(now + after)))
            }
            Outcome::Blocked { why, until: None } if why.reason.pace() == Pace::Invalid => None,
            Outcome::Blocked { until, .. } => Some(until.unwrap_or(backoff)),
        }
    }

    /// Writes on the board how a function stands. Returns the state before.
    fn goes_on_the_board(
        &mut self,
        key: &FunctionKey,
        outcome: Outcome,
        change: Option<Arc<Change>>,
        next: Option<Time>,
        now: Time,
    ) -> Option<State> {
        let live = match self.facts.function(&key.name) {
            Seen::Present(function) => Some((function.vpc.as_ref(), &function.network)),
            Seen::Absent | Seen::Unknown(_) => None,
        };
        let found = Found { outcome, change, next, live, digest: self.desired.digest.clone() };
        self.board.concluded(self.desired.get(key)?, found, now)
    }

    pub(super) fn note_drift(&mut self, change: &Arc<Change>, now: Time, actions: &mut Vec<Action>) {
        if self.memory.found_to_differ(change) {
            self.board.differs(change, now);
            actions.push(Action::Tell(Notice::Drifted(Arc::clone(change))));
        }
    }
}
