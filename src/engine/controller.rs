//! The mind of the daemon: events in, effects out. It owns all state and does no IO, so that whole histories run in a
//! test without a runtime; "one attach per role" and "never two calls for one function" are plain reads of its memory.
//!
//! What comes in is the file (`file`), the settings (`settle`), a person's approval (`approval`), what a sweep found
//! (`sweep`), the ends of looks and steps (`pass`), those of observations (`observed`), and what outlives the process
//! (`record`).

mod approval;
mod file;
mod observed;
mod pass;
mod record;
mod settle;
mod sweep;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use self::approval::Plans;
use self::file::Load;
use self::observed::Ends;
use self::record::Records;
use self::sweep::Sweep;
use super::event::{Effect, Event, Notice, Signal};
use super::queue::{Queue, Rank};
use super::stats::QueueStats;
use crate::board::Board;
use crate::cloud::Listing;
use crate::desired::{DesiredState, Entry};
use crate::live::Facts;
use crate::names::{FunctionKey, ScopeKey, Time, WallClock};
use crate::plan::{self, Bindings, Change, Limits, Memory, Reason, World};
use crate::settings::Settings;

/// The file is looked at this often even if nothing tells of a change.
const POLL: Duration = crate::desired::POLL;
/// Nothing that is due waits as long for a process that runs.
const PAUSE: Duration = Duration::from_secs(30);

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

/// What is begun must be able to make its calls within this time, or the decision would be out of date.
const AHEAD: Duration = Duration::from_secs(4);

/// How many functions of a scope are worked on at the same time, where so many requests a second are possible.
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

/// The controller.
pub struct Controller {
    limits: Limits,
    cadence: Cadence,
    desired: Option<DesiredState>,
    facts: Facts,
    memory: Memory,
    queue: Queue<FunctionKey>,
    attempts: BTreeMap<FunctionKey, (Reason, u32)>,
    drifting: BTreeMap<FunctionKey, Arc<Change>>,
    board: Board,
    sweeps: BTreeMap<ScopeKey, Sweep>,
    load: Load,
    ends: Ends,
    plans: Plans,
    records: Records,
    /// Whether what differs is to be looked at again, since what may be done about it has changed.
    reconsider: bool,
    rng: fastrand::Rng,
    stopping: bool,
    wall: WallClock,
}

impl Controller {
    /// A controller that knows nothing yet. It begins when it is given a desired state, or told to look for one.
    pub fn new(limits: Limits, cadence: Cadence) -> Self {
        Self {
            limits,
            rng: fastrand::Rng::with_seed(cadence.seed),
            cadence,
            desired: None,
            facts: Facts::default(),
            memory: Memory::default(),
            queue: Queue::default(),
            attempts: BTreeMap::new(),
            drifting: BTreeMap::new(),
            board: Board::default(),
            sweeps: BTreeMap::new(),
            load: Load::default(),
            ends: Ends::default(),
            plans: Plans::default(),
            records: Records::default(),
            reconsider: false,
            stopping: false,
            wall: WallClock::default(),
        }
    }

    /// The same, but there is somebody who keeps the record of each scope: nothing is looked at in one before that was
    /// recalled, and nothing is changed that it does not tell of.
    pub fn with_records(self) -> Self {
        Self { records: Records::kept(), ..self }
    }

    /// How every function stands.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// The desired state in force.
    pub fn desired(&self) -> Option<&DesiredState> {
        self.desired.as_ref()
    }

    /// The plan as things stand; none before a desired state is in force.
    pub fn plan(&self, now: Time) -> Option<plan::Plan> {
        self.world(now).map(|world| plan::plan(&world))
    }

    /// What is known of AWS.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether a desired state is in force and every scope has answered, or been refused, once.
    pub fn ready(&self) -> bool {
        self.desired.is_some() && self.sweeps.values().all(|sweep| sweep.answered.is_some())
    }

    /// Whether every function rests: in sync, or in a state that only somebody else can change.
    pub fn at_rest(&self) -> bool {
        let Some(desired) = &self.desired else { return false };
        let rests = |entry: &Arc<Entry>| self.board.get(&entry.key).is_some_and(|line| line.outcome.rests());
        self.idle() && desired.entries.iter().all(rests)
    }

    /// Whether nothing is being worked on or read, or waits for a worker.
    pub fn idle(&self) -> bool {
        let sweeping = self.sweeps.values().any(|sweep| sweep.running.is_some());
        self.queue.processing() == 0 && self.queue.ready() == 0 && !sweeping
    }

    /// Whether all has been seen that is to be seen for now: no fault, or one that does not pass by itself.
    pub fn has_looked(&self) -> bool {
        self.desired.is_some() && self.sweeps.values().all(Sweep::has_looked) && self.idle()
    }

    /// The wall clock is this far ahead from now on: somebody may have set it.
    pub fn see_wall_clock(&mut self, wall: WallClock) {
        self.wall = wall;
    }

    /// How far the wall clock is ahead.
    pub fn wall_clock(&self) -> WallClock {
        self.wall
    }

    /// Lets only these changes be made from the next event on.
    pub fn admit(&mut self, admitted: plan::Admitted) {
        self.limits.admitted = admitted;
        self.reconsider = true;
    }

    /// The work queue in numbers.
    pub fn queue_stats(&self, now: Time) -> QueueStats {
        self.queue.stats(now)
    }

    /// When the controller wants to be woken if nothing happens before.
    pub fn next_wake(&self) -> Option<Time> {
        let sweeps = self.sweeps.iter().filter(|(scope, _)| self.records.knows(scope));
        let sweeps = sweeps.filter_map(|(_, sweep)| sweep.next()).min();
        let load = self.load.next();
        let lead = self.memory.next_expiry();
        let (queue, ends) = (self.queue.next_at(), self.ends.next(self.wall));
        let (plans, records) = (self.plans.next(), self.records.next());
        [sweeps, load, queue, lead, ends, plans, records].into_iter().flatten().min().filter(|_| !self.stopping)
    }

    /// So many requests a second to Lambda are possible in a scope now: others use the quota as well.
    pub fn leaves(&mut self, at: &ScopeKey, rate: f64) {
        if let Some(sweep) = self.sweeps.get_mut(at) {
            sweep.rate = Some(rate);
        }
    }

    /// Whoever comes this late was stopped, or the machine was suspended: everything is looked at before anything is changed.
    fn see_pause(&mut self, now: Time) {
        if self.next_wake().is_some_and(|due| now.since(due) > PAUSE) {
            for sweep in self.sweeps.values_mut() {
                sweep.outdated = Some(now);
                sweep.want(now);
            }
        }
    }

    /// Takes an event in, and says what is to be done.
    pub fn handle(&mut self, event: Event, now: Time) -> Vec<Effect> {
        self.see_pause(now);
        self.queue.at(now);
        self.memory.guard.begins(self.limits.guard.as_ref().map_or(&[], |guard| &guard.approved), now);
        let mut effects = Vec::new();
        if !self.stopping {
            self.resume(now, &mut effects);
        }
        match event {
            Event::Loaded(loaded) => self.loaded(loaded, now, &mut effects),
            Event::Surveyed(found) => self.surveyed(found, now, &mut effects),
            Event::Looked(key, found) => self.looked(key, found, now, &mut effects),
            Event::Owner(key, owner) => self.owner_told(key, owner),
            Event::Answered(order, answer, took) => self.answered(order, answer, took, now, &mut effects),
            Event::Recalled(scope, recall) => self.recalled(&scope, recall, now, &mut effects),
            Event::Stored(scope, stored) => self.stored(&scope, stored, now, &mut effects),
            Event::Signal(Signal::Look) => self.load.want(now),
            Event::Signal(Signal::Reload) => {
                self.memory.forget_refusals();
                self.reconsider = true;
                self.load.want(now);
                self.sweeps.values_mut().for_each(|sweep| sweep.want(now));
            }
            Event::Signal(Signal::Settle(limits, cadence)) => self.settle(*limits, cadence, now),
            Event::Signal(Signal::SettingsRead(problem)) => {
                effects.push(Effect::Tell(Notice::Settings { valid: problem.is_none() }));
                self.board.settings(problem);
            }
            Event::Signal(Signal::Stop) => self.stopping = true,
            Event::Tick => {}
        }
        if !self.stopping {
            self.look_at_plans_that_are_due(now, &mut effects);
            loop {
                self.take_up_again(now, &mut effects);
                if self.begin_what_is_due(now, &mut effects) == Begun::Calls {
                    break;
                }
            }
        }
        self.show_guard(now);
        self.store_what_is_due(now, &mut effects);
        if self.stopping && self.queue.processing() == 0 && self.records.are_stored() {
            effects.push(Effect::Stop);
        }
        effects
    }

    /// Takes up those that differ again whose turn may have come: all of them if what is admitted has changed, otherwise
    /// those that wait for others where somebody has moved on.
    fn take_up_again(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let moved = self.memory.moved(now);
        let keys: Vec<FunctionKey> = match std::mem::take(&mut self.reconsider) {
            true => self.drifting.keys().cloned().collect(),
            false => moved.iter().flat_map(|scope| self.memory.rollouts.waiting(scope)).collect(),
        };
        for key in keys {
            let Some(world) = self.world(now) else { continue };
            let (Some(entry), Some(change)) = (world.desired.get(&key).cloned(), self.drifting.get(&key).cloned())
            else {
                continue;
            };
            let still = self.board.get(&key).map(|line| &line.outcome);
            if still.is_none() || plan::turn(&world, &entry, &change).as_ref() != still {
                self.take_in_hand(&entry, change, Rank::Routine, now, effects);
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
        effects: &mut Vec<Effect>,
    ) {
        if self.queue.is_processing(&entry.key) {
            return self.queue.add(entry.key.clone(), rank);
        }
        let Some(world) = self.world(now) else { return };
        let waits = plan::gate(&world, entry, &change).or_else(|| plan::turn(&world, entry, &change));
        match waits {
            Some(outcome) => self.conclude(&entry.key, outcome, Some(change), None, now, effects),
            None => {
                self.memory.reserve(entry, &change, now);
                self.queue.add(entry.key.clone(), rank);
            }
        }
    }

    fn world(&self, now: Time) -> Option<World<'_>> {
        let desired = self.desired.as_ref()?;
        Some(World {
            desired,
            facts: &self.facts,
            memory: &self.memory,
            limits: &self.limits,
            now,
            wall: self.wall,
            bound: Bindings::default(),
        })
    }

    fn begin_what_is_due(&mut self, now: Time, effects: &mut Vec<Effect>) -> Begun {
        if self.load.begins(now) {
            effects.push(Effect::Load(self.desired.as_ref().map(|desired| desired.digest.clone())));
        }
        let due: Vec<ScopeKey> =
            self.sweeps.iter().filter(|(_, sweep)| sweep.is_due(now)).map(|(scope, _)| scope.clone()).collect();
        for scope in due {
            if self.records.asks_for(&scope, now) {
                effects.push(Effect::Recall(scope.clone()));
            }
            if !self.records.knows(&scope) {
                continue;
            }
            let needs = self.needs(&scope);
            if let Some(sweep) = self.sweeps.get_mut(&scope) {
                sweep.begin(now);
            }
            self.board.sweeping(&scope, now);
            effects.push(Effect::Tell(Notice::Sweeping(scope.clone())));
            effects.push(Effect::Survey(scope, needs));
        }
        let most = self.cadence.workers;
        let mut begun = Begun::Calls;
        while let Some(key) = self.queue.pop(now, |scope| {
            self.sweeps.get(scope).and_then(|sweep| sweep.rate).map_or(most, |rate| slots(most, rate))
        }) {
            // What a whole scope suffers from, its next sweep that succeeds ends, and selects anew.
            if self.sweeps.get(&key.scope).is_some_and(|sweep| sweep.stops) {
                self.queue.done(&key);
                continue;
            }
            match self.world(now).is_none_or(|world| plan::needs_look(&world, &key)) {
                true => {
                    let needs = self.role_needs(&key, now);
                    effects.push(Effect::Look(key, needs));
                }
                false => {
                    self.decide(key, None, now, effects);
                    begun = Begun::Decisions;
                }
            }
        }
        begun
    }
}
