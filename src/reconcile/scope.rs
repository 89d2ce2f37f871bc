//! The reconciler of one account and region: events in, actions out. It owns all state of its functions and roles and does no
//! IO, so that whole histories run in a test without a runtime; "one attach per role" and "never two calls for one function"
//! are plain reads of its memory.
//!
//! What comes in is the file (`spec`), a person's approval (`approval`), what a sweep found (`sweep`), the ends of looks and
//! steps (`pass`), those of observations (`observed`), and what outlives the process (`record`).

mod approval;
mod observed;
mod pass;
mod record;
mod spec;
mod sweep;

use std::sync::Arc;
use std::time::Duration;

use self::observed::Ends;
use self::record::Record;
use self::sweep::Sweep;
use super::event::{Action, Event, Notice};
use super::queue::{Queue, QueueStats, Rank};
use crate::board::Board;
use crate::cloud::Listing;
use crate::desired::{self, DesiredState, Entry};
use crate::live::Facts;
use crate::names::{FunctionKey, FunctionName, ScopeKey, Time, WallClock};
use crate::plan::{self, Admitted, Bindings, Change, Limits, Memory, Roles, World};
use crate::settings::Settings;

/// The file is looked at this often even if nothing tells of a change.
pub const POLL: Duration = desired::POLL;
/// Nothing that is due waits as long for a process that runs.
const PAUSE: Duration = Duration::from_secs(30);
/// What is begun must be able to make its calls within this time, or the decision would be out of date.
const AHEAD: Duration = Duration::from_secs(4);

/// How often, how much at once, and how thoroughly.
#[derive(Clone, Copy, Debug)]
pub struct Cadence {
    /// How often each scope is swept without any cause; `None` for once only.
    pub resync: Option<Duration>,
    /// How often the file is read even if nothing tells of a change; `None` for never.
    pub poll: Option<Duration>,
    /// How many functions of a scope are worked on at the same time.
    pub workers: usize,
    /// Whether sweeps look at published versions as well.
    pub listing: Listing,
    /// The seed of the jitter.
    pub seed: u64,
}

/// How many functions are worked on at the same time, where so many requests a second are possible.
fn slots(workers: usize, rate: f64) -> usize {
    let served = (rate * AHEAD.as_secs_f64()) as usize;
    workers.min(served.max(1))
}

impl Cadence {
    /// What the settings say, for a daemon.
    pub fn of(settings: &Settings) -> Self {
        Self {
            resync: Some(settings.resync),
            poll: Some(POLL),
            workers: slots(settings.limits.workers, settings.limits.rates.lambda),
            listing: if settings.versions { Listing::All } else { Listing::Latest },
            seed: fastrand::u64(..),
        }
    }

    /// Once only, for a person at a terminal: neither the file nor the fleet is looked at again without cause.
    pub fn once(settings: &Settings) -> Self {
        Self { resync: None, poll: None, ..Self::of(settings) }
    }
}

/// What was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    /// Calls, whose answers are events.
    Calls,
    /// Decisions without a call as well, so that others may have their turn at once.
    Decisions,
}

/// The reconciler of one account and region.
pub struct Scope {
    key: ScopeKey,
    limits: Limits,
    cadence: Cadence,
    /// What the file says, with what its patterns fit; nothing where it does not speak of this scope any more.
    desired: DesiredState,
    facts: Facts,
    memory: Memory,
    queue: Queue<FunctionName>,
    board: Board,
    sweep: Sweep,
    ends: Ends,
    record: Record,
    /// When the plan is to be looked at anew.
    plan_due: Option<Time>,
    /// Whether what differs is to be looked at again, since what may be done about it has changed.
    reconsider: bool,
    leads: bool,
    rng: fastrand::Rng,
    stopping: bool,
    wall: WallClock,
}

/// With what a scope begins.
#[derive(Clone, Debug)]
pub struct Start {
    /// What the operator decided.
    pub limits: Limits,
    /// How often, how much at once, and how thoroughly.
    pub cadence: Cadence,
    /// Since when it is known what was done here, beside what the record tells: usually since the process began.
    pub since: Time,
    /// What is known of the account's roles from other scopes.
    pub roles: Roles,
    /// Whether there is somebody who keeps the record: nothing is looked at before that was recalled, and nothing is changed
    /// that it does not tell of.
    pub kept: bool,
}

impl Scope {
    /// A scope of which nothing is known yet, and of which the file says nothing.
    pub fn new(key: ScopeKey, desired: DesiredState, start: Start, now: Time) -> Self {
        let Start { limits, cadence, since, roles, kept } = start;
        let mut memory = Memory::with_roles(roles);
        memory.guard.begins(limits.guard.as_ref().map_or(&[], |guard| &guard.approved), since);
        Self {
            key,
            limits,
            rng: fastrand::Rng::with_seed(cadence.seed),
            cadence,
            desired,
            facts: Facts::default(),
            memory,
            queue: Queue::default(),
            board: Board::default(),
            sweep: Sweep { due: Some(now), ..Sweep::default() },
            ends: Ends::default(),
            record: if kept { Record::kept() } else { Record::default() },
            plan_due: None,
            reconsider: false,
            leads: true,
            stopping: false,
            wall: WallClock::default(),
        }
    }

    /// Which account and region.
    pub fn key(&self) -> &ScopeKey {
        &self.key
    }

    /// How every function stands.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// What the file says, with what its patterns fit.
    pub fn desired(&self) -> &DesiredState {
        &self.desired
    }

    /// The plan as things stand.
    pub fn plan(&self, now: Time) -> plan::Plan {
        plan::plan(&self.world(now))
    }

    /// What is known of AWS.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether AWS has answered, or refused, once.
    pub fn ready(&self) -> bool {
        self.sweep.answered.is_some()
    }

    /// Whether every function rests: in sync, or in a state that only somebody else can change.
    pub fn at_rest(&self) -> bool {
        let rests = |entry: &Arc<Entry>| self.board.get(&entry.key.name).is_some_and(|line| line.outcome.rests());
        self.idle() && self.desired.entries.iter().all(rests)
    }

    /// Whether nothing is being worked on or read, or waits for a worker.
    pub fn idle(&self) -> bool {
        self.queue.processing() == 0 && self.queue.ready() == 0 && self.sweep.running.is_none()
    }

    /// Whether all has been seen that is to be seen for now: no fault, or one that does not pass by itself.
    pub fn has_looked(&self) -> bool {
        self.sweep.has_looked() && self.idle()
    }

    /// Whether the file does not speak of this scope any more, and all that was begun has come to its end.
    pub fn has_left(&self) -> bool {
        self.desired.says_nothing() && self.queue.processing() == 0 && self.record.is_settled()
    }

    /// Whether a stop was asked for, and nothing is in hand any more.
    pub fn has_stopped(&self) -> bool {
        self.stopping && self.queue.processing() == 0 && self.record.is_stored()
    }

    /// The wall clock is this far ahead from now on: somebody may have set it.
    pub fn see_wall_clock(&mut self, wall: WallClock) {
        self.wall = wall;
    }

    /// What the work queue has to tell since it was last asked.
    pub fn take_queue_stats(&mut self, now: Time) -> QueueStats {
        self.queue.take_stats(now)
    }

    /// When the scope wants to be woken if nothing happens before.
    pub fn next_wake(&self) -> Option<Time> {
        let sweep = self.sweep.next().filter(|_| self.record.is_known() && !self.desired.says_nothing());
        let (queue, lead) = (self.queue.next_at(), self.memory.next_expiry());
        let (ends, record) = (self.ends.next(self.wall), self.record.next());
        [sweep, queue, lead, ends, record, self.plan_due].into_iter().flatten().min().filter(|_| !self.stopping)
    }

    /// So many requests a second to Lambda are possible now: others use the quota as well.
    pub fn leaves(&mut self, rate: f64) {
        self.sweep.rate = Some(rate);
    }

    /// Lets only these changes be made from the next event on.
    pub fn admit(&mut self, admitted: Admitted) {
        self.limits.admitted = admitted;
        self.reconsider = true;
    }

    /// A scope that comes this late was stopped, or the machine was suspended: everything is looked at before anything is changed.
    fn see_pause(&mut self, now: Time) {
        if self.next_wake().is_some_and(|due| now.since(due) > PAUSE) {
            self.look_before_acting(now);
        }
    }

    /// What was seen so far is no ground to act on.
    fn look_before_acting(&mut self, now: Time) {
        self.sweep.outdated = Some(now);
        self.sweep.want(now);
    }

    /// Takes an event in, and says what is to be done.
    pub fn handle(&mut self, event: Event, now: Time) -> Vec<Action> {
        self.see_pause(now);
        self.queue.at(now);
        let mut actions = Vec::new();
        if !self.stopping {
            self.resume(now, &mut actions);
        }
        match event {
            Event::Desired(desired) => self.specified(DesiredState::clone(&desired), now, &mut actions),
            Event::Surveyed(found) => self.surveyed(found, now, &mut actions),
            Event::Looked(key, found) => self.looked(key, found, now, &mut actions),
            Event::Owner(key, owner) => self.owner_told(key, owner),
            Event::Answered(order, answer, took) => self.answered(order, answer, took, now, &mut actions),
            Event::Recalled(recall) => self.recalled(recall, now, &mut actions),
            Event::Stored(stored) => self.stored(stored, now, &mut actions),
            Event::Settle(limits, cadence) => self.settle(*limits, cadence, now),
            Event::Retry => {
                self.memory.forget_refusals();
                self.reconsider = true;
                self.sweep.want(now);
            }
            Event::Lead(leads) => self.lead(leads, now),
            Event::Refresh(key) => {
                if self.desired.get(&key).is_some() {
                    self.memory.refresh(&key);
                    self.queue.add(key.name, Rank::Edit);
                }
            }
            Event::Role(role, news) => self.memory.hears(&role, news, now),
            Event::PlanOfAll(id, all) => self.part_of(&id, &all, &mut actions),
            Event::Stop => self.stopping = true,
            Event::Tick => {}
        }
        if !self.stopping {
            self.look_at_plan_that_is_due(now, &mut actions);
            loop {
                self.take_up_again(now, &mut actions);
                if self.begin_what_is_due(now, &mut actions) == Begun::Calls {
                    break;
                }
            }
        }
        self.show_guard(now);
        self.store_what_is_due(now, &mut actions);
        actions.extend(self.memory.take_news().into_iter().map(|(role, news)| Action::Share(role, news)));
        actions
    }

    /// Works by these settings from now on. What is in hand is finished; the next step of each function is decided by the new
    /// limits, and a sweep selects what they let through, or stop.
    fn settle(&mut self, limits: Limits, cadence: Cadence, now: Time) {
        self.limits = limits;
        self.memory.guard.approved(self.limits.guard.as_ref().map_or(&[], |guard| &guard.approved));
        // The jitter goes on as it began.
        self.cadence = Cadence { seed: self.cadence.seed, ..cadence };
        self.reconsider = true;
        self.sweep.want(now);
    }

    /// This process leads from now on, or does not any more. Whoever begins to lead looks before it acts: another one may have
    /// changed anything since.
    fn lead(&mut self, leads: bool, now: Time) {
        if std::mem::replace(&mut self.leads, leads) != leads {
            self.reconsider = true;
            if leads {
                self.look_before_acting(now);
            }
        }
    }

    /// The file does not speak of this scope any more: its record is stored once more.
    fn leave(&mut self, now: Time, actions: &mut Vec<Action>) {
        if self.sweep.behind.is_some() {
            actions.push(Action::Tell(Notice::Behind { scope: self.key.clone(), versions: None }));
        }
        self.facts = Facts::default();
        self.memory.targets = Default::default();
        self.sweep = Sweep::default();
        self.record.store_by(now);
    }

    /// Takes up those that differ again whose turn may have come: all of them if what is admitted has changed, otherwise
    /// those that wait for others where somebody has moved on.
    fn take_up_again(&mut self, now: Time, actions: &mut Vec<Action>) {
        let moved = self.memory.moved(now);
        let names: Vec<FunctionName> = match (std::mem::take(&mut self.reconsider), moved) {
            (true, _) => self.memory.differing().cloned().collect(),
            (false, true) => self.memory.rollouts.waiting().cloned().collect(),
            (false, false) => return,
        };
        for name in names {
            let world = self.world(now);
            let (Some(entry), Some(change)) =
                (world.desired.get(&self.function(&name)).cloned(), self.memory.differs(&name).cloned())
            else {
                continue;
            };
            let still = self.board.get(&name).map(|line| &line.outcome);
            if still.is_none() || plan::turn(&world, &entry, &change).as_ref() != still {
                self.take_in_hand(&entry, change, Rank::Routine, now, actions);
            }
        }
    }

    /// A function that differs gets a pass, or is told what it waits for. One whose pass is under way is decided about by
    /// that pass, and by another one afterwards: a call that is out must be answered before anything else is said of it.
    fn take_in_hand(
        &mut self,
        entry: &Arc<Entry>,
        change: Arc<Change>,
        rank: Rank,
        now: Time,
        actions: &mut Vec<Action>,
    ) {
        if self.queue.is_processing(&entry.key.name) {
            return self.queue.add(entry.key.name.clone(), rank);
        }
        let world = self.world(now);
        let waits = plan::gate(&world, entry, &change).or_else(|| plan::turn(&world, entry, &change));
        match waits {
            Some(outcome) => self.conclude(&entry.key, outcome, Some(change), None, now, actions),
            None => {
                self.memory.reserve(entry, &change, now);
                self.queue.add(entry.key.name.clone(), rank);
            }
        }
    }

    fn world(&self, now: Time) -> World<'_> {
        World {
            desired: &self.desired,
            facts: &self.facts,
            memory: &self.memory,
            limits: &self.limits,
            leads: self.leads,
            now,
            wall: self.wall,
            bound: Bindings::default(),
        }
    }

    fn function(&self, name: &FunctionName) -> FunctionKey {
        FunctionKey { scope: self.key.clone(), name: name.clone() }
    }

    /// How many functions the file lists.
    fn listed(&self) -> usize {
        self.desired.entries.len()
    }

    fn begin_what_is_due(&mut self, now: Time, actions: &mut Vec<Action>) -> Begun {
        if self.record.asks(now) {
            actions.push(Action::Recall);
        }
        if self.sweep.is_due(now) && self.record.is_known() && !self.desired.says_nothing() {
            let needs = self.needs();
            self.sweep.begin(now);
            self.board.sweeping(now);
            actions.push(Action::Tell(Notice::Sweeping(self.key.clone())));
            actions.push(Action::Survey(needs));
        }
        let most = self.sweep.rate.map_or(self.cadence.workers, |rate| slots(self.cadence.workers, rate));
        let mut begun = Begun::Calls;
        while let Some(name) = self.queue.pop(now, most) {
            // What a whole scope suffers from, its next sweep that succeeds ends, and selects anew.
            if self.sweep.stops {
                self.queue.done(&name);
                continue;
            }
            let key = self.function(&name);
            match plan::needs_look(&self.world(now), &key) {
                true => {
                    let needs = self.role_needs(&key, now);
                    actions.push(Action::Look(key, needs));
                }
                false => {
                    self.decide(key, None, now, actions);
                    begun = Begun::Decisions;
                }
            }
        }
        begun
    }
}
