//! The mind of the daemon: events in, effects out. It owns all state and does no IO, so that whole histories run in a
//! test without a runtime; "one attach per role" and "never two calls for one function" are plain reads of its memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::backoff;
use super::event::{Effect, Event, Notice, Signal};
use super::queue::Queue;
use crate::apply::Order;
use crate::board::Board;
use crate::desired::{AttachPolicy, DesiredState, Entry, LoadFailure, Want};
use crate::live::{Facts, Fault, FunctionNeeds, Looked, Needs, RoleNeeds, Seen, Simulate, Surveyed};
use crate::names::{FunctionKey, Scope, Time};
use crate::plan::{self, Answer, Cause, Change, Decision, Limits, Memory, Outcome, Pace, Reason, Verdict, Why, World};
use crate::settings::Settings;

/// The facts of a role are read again with the next look when they are older than this.
const ROLE_AGE: Duration = Duration::from_secs(60 * 60);
/// What is known of VPCs is good enough for an edited entry if it is not older than this; otherwise a sweep comes first.
const NETWORK_AGE: Duration = Duration::from_secs(10 * 60);
/// The file is looked at this often even if nothing tells of a change.
const POLL: Duration = crate::desired::POLL;
/// A person who waits for a plan waits for this many tries at a scope that fails.
const TRIES: u32 = 3;
/// After Lambda refused a network, the VPC is swept again this soon: what the entry means may have changed.
const AFTER_REFUSAL: Duration = Duration::from_secs(5);
/// A function that meets what seems to be a fault of its whole scope causes a sweep, to know; but not more often than this.
const BETWEEN_SUSPICIONS: Duration = Duration::from_secs(60);

/// How often, and how much at once.
#[derive(Clone, Copy, Debug)]
pub struct Cadence {
    /// How often each scope is swept without any cause; `None` for once only.
    pub resync: Option<Duration>,
    /// How often the file is read even if nothing tells of a change; `None` for never.
    pub poll: Option<Duration>,
    /// How many functions are worked on at the same time.
    pub workers: usize,
    /// The seed of the jitter.
    pub seed: u64,
}

impl Cadence {
    /// What the settings say, for a daemon.
    pub fn of(settings: &Settings) -> Self {
        Self {
            resync: Some(settings.resync),
            poll: Some(POLL),
            workers: settings.limits.workers,
            seed: fastrand::u64(..),
        }
    }

    /// Once only, for a person at a terminal: neither the file nor the fleet is looked at again without cause.
    pub fn once(settings: &Settings) -> Self {
        Self { resync: None, poll: None, ..Self::of(settings) }
    }
}

/// The controller.
pub struct Controller {
    limits: Limits,
    cadence: Cadence,
    desired: Option<DesiredState>,
    facts: Facts,
    memory: Memory,
    queue: Queue<FunctionKey>,
    begun: BTreeMap<FunctionKey, Time>,
    attempts: BTreeMap<FunctionKey, (Reason, u32)>,
    drifting: BTreeMap<FunctionKey, Change>,
    board: Board,
    sweeps: BTreeMap<Scope, Sweep>,
    load: Load,
    /// Whether what differs is to be looked at again, since what may be done about it has changed.
    reconsider: bool,
    rng: fastrand::Rng,
    stopping: bool,
}

/// How the sweeping of a scope stands.
#[derive(Clone, Debug, Default)]
struct Sweep {
    running: Option<Time>,
    again: bool,
    due: Option<Time>,
    faults: u32,
    /// What the whole scope suffers from, according to the last one.
    fault: Option<Reason>,
    /// When the last one ended; none before.
    answered: Option<Time>,
}

/// How the reading of the file stands.
#[derive(Clone, Debug, Default)]
struct Load {
    running: bool,
    again: bool,
    due: Option<Time>,
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
            begun: BTreeMap::new(),
            attempts: BTreeMap::new(),
            drifting: BTreeMap::new(),
            board: Board::default(),
            sweeps: BTreeMap::new(),
            load: Load::default(),
            reconsider: false,
            stopping: false,
        }
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
        let hopeless = |sweep: &Sweep| sweep.fault.is_some_and(|reason| reason.pace() == Pace::Denied);
        let done = |sweep: &Sweep| sweep.faults == 0 || sweep.faults >= TRIES || hopeless(sweep);
        let seen = |sweep: &Sweep| sweep.answered.is_some() && done(sweep);
        self.desired.is_some() && self.sweeps.values().all(seen) && self.idle()
    }

    /// Lets only these changes be made from the next event on.
    pub fn admit(&mut self, admitted: plan::Admitted) {
        self.limits.admitted = admitted;
        self.reconsider = true;
    }

    /// When the controller wants to be woken if nothing happens before.
    pub fn next_wake(&self) -> Option<Time> {
        let sweeps = self.sweeps.values().filter(|sweep| sweep.running.is_none()).filter_map(|sweep| sweep.due).min();
        let load = self.load.due.filter(|_| !self.load.running);
        let queue = self.queue.next_at().filter(|_| self.queue.processing() < self.cadence.workers);
        let lead = self.memory.rollouts.next_expiry();
        [sweeps, load, queue, lead].into_iter().flatten().min().filter(|_| !self.stopping)
    }

    /// Takes an event in, and says what is to be done.
    pub fn handle(&mut self, event: Event, now: Time) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Loaded(loaded) => self.loaded(loaded, now, &mut effects),
            Event::Surveyed(found) => self.surveyed(found, now, &mut effects),
            Event::Looked(key, found) => self.looked(key, found, now, &mut effects),
            Event::Answered(order, answer, took) => self.answered(order, answer, took, now, &mut effects),
            Event::Signal(Signal::Look) => self.load.want(now),
            Event::Signal(Signal::Reload) => {
                self.memory.forget_refusals();
                self.reconsider = true;
                self.load.want(now);
                self.sweeps.values_mut().for_each(|sweep| sweep.want(now));
            }
            Event::Signal(Signal::Stop) => self.stopping = true,
            Event::Tick => {}
        }
        match self.stopping {
            true if self.queue.processing() == 0 => effects.push(Effect::Stop),
            true => {}
            false => {
                self.take_up_again(now, &mut effects);
                self.begin_what_is_due(now, &mut effects);
            }
        }
        effects
    }

    /// Takes up those that differ again whose turn may have come: all of them if what is admitted has changed, otherwise
    /// those that wait for others where somebody has moved on.
    fn take_up_again(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let moved = self.memory.rollouts.moved(now);
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
                self.take_in_hand(&entry, change, now, effects);
            }
        }
    }

    /// A function that differs gets a pass, or is told what it waits for.
    fn take_in_hand(&mut self, entry: &Arc<Entry>, change: Change, now: Time, effects: &mut Vec<Effect>) {
        let Some(world) = self.world(now) else { return };
        let waits = plan::gate(&world, entry, &change).or_else(|| plan::turn(&world, entry, &change));
        match waits {
            Some(outcome) => self.conclude(&entry.key, outcome, Some(change), now, effects),
            None => {
                self.memory.rollouts.reserve(entry, &change, now);
                self.queue.add(entry.key.clone());
            }
        }
    }

    fn world(&self, now: Time) -> Option<World<'_>> {
        let desired = self.desired.as_ref()?;
        Some(World { desired, facts: &self.facts, memory: &self.memory, limits: &self.limits, now })
    }

    fn begin_what_is_due(&mut self, now: Time, effects: &mut Vec<Effect>) {
        if !self.load.running && self.load.due.is_some_and(|due| due <= now) {
            self.load = Load { running: true, again: false, due: None };
            effects.push(Effect::Load(self.desired.as_ref().map(|desired| desired.digest.clone())));
        }
        let due: Vec<Scope> =
            self.sweeps.iter().filter(|(_, sweep)| sweep.is_due(now)).map(|(scope, _)| scope.clone()).collect();
        for scope in due {
            let needs = self.needs(&scope);
            if let Some(sweep) = self.sweeps.get_mut(&scope) {
                *sweep = Sweep { running: Some(now), again: false, due: None, ..*sweep };
            }
            effects.push(Effect::Tell(Notice::Sweeping(scope.clone())));
            effects.push(Effect::Survey(scope, needs));
        }
        while self.queue.processing() < self.cadence.workers
            && let Some(key) = self.queue.pop(now)
        {
            // What a whole scope suffers from, its next sweep that succeeds ends, and selects anew.
            if self.sweeps.get(&key.scope).and_then(|sweep| sweep.fault).is_some_and(Reason::of_scope) {
                self.queue.done(&key);
                continue;
            }
            self.begun.insert(key.clone(), now);
            let needs = self.role_needs(&key, now);
            effects.push(Effect::Look(key, needs));
        }
    }

    /// What a sweep of this scope has to find out.
    fn needs(&self, scope: &Scope) -> Needs {
        let mut needs = Needs::default();
        for entry in self.desired.iter().flat_map(|desired| &desired.entries).filter(|e| e.key.scope == *scope) {
            needs.functions.insert(entry.key.name.clone(), function_needs(entry));
            if let Want::Attached(intent) = &entry.want {
                needs.vpcs.insert(intent.vpc.clone());
            }
        }
        let of_account = self.facts.roles.iter().filter(|(key, _)| key.account == scope.account);
        let known = of_account.filter_map(|(key, role)| match role {
            Seen::Present(facts) => Some((key.clone(), facts.clone())),
            Seen::Absent | Seen::Unknown(_) => None,
        });
        needs.roles = known.collect();
        needs
    }

    /// What a look must find out of the role: something only if that is missing, old, or called in question by Lambda.
    fn role_needs(&self, key: &FunctionKey, now: Time) -> Option<RoleNeeds> {
        let function = self.desired.as_ref()?.get(key).and_then(|entry| function_needs(entry))?;
        let doubted = self.memory.shown_to_lack_right(key, now);
        let before = match self.facts.function(key) {
            Seen::Present(function) => match self.facts.role(function.role.key()) {
                Seen::Present(facts) => Some((function.role.key().clone(), facts.clone())),
                Seen::Absent | Seen::Unknown(_) => None,
            },
            Seen::Absent | Seen::Unknown(_) => None,
        };
        let known = before.as_ref().is_some_and(|(_, role)| now.since(role.at) < ROLE_AGE);
        let simulate = match doubted {
            true if self.memory.wants_diagnosis(key, now) => Simulate::Always,
            true => Simulate::Never,
            false => function.simulate,
        };
        let function = FunctionNeeds { simulate, ..function };
        (doubted || !known).then_some(RoleNeeds { function, before })
    }

    fn loaded(&mut self, loaded: Result<Option<DesiredState>, LoadFailure>, now: Time, effects: &mut Vec<Effect>) {
        let again = std::mem::take(&mut self.load.again);
        self.load.running = false;
        self.load.due = if again { Some(now) } else { self.cadence.poll.map(|poll| now + poll) };
        let state = match loaded {
            Err(failure) => return effects.push(Effect::Tell(Notice::NotLoaded(Arc::new(failure)))),
            Ok(None) => return effects.push(Effect::Tell(Notice::Confirmed)),
            Ok(Some(state)) => state,
        };
        effects.push(Effect::Tell(Notice::Loaded {
            digest: state.digest.clone(),
            functions: state.entries.len(),
            warnings: state.warnings.clone(),
        }));
        let before = self.desired.replace(state);
        self.release(before.as_ref(), effects);
        self.take_up(before.as_ref(), now, effects);
    }

    /// Functions that left the file are told, forgotten, and left as they are.
    fn release(&mut self, before: Option<&DesiredState>, effects: &mut Vec<Effect>) {
        let Some(desired) = &self.desired else { return };
        for entry in before.iter().flat_map(|before| &before.entries) {
            if desired.get(&entry.key).is_none() {
                self.queue.remove(&entry.key);
                self.memory.forget(&entry.key);
                self.facts.forget(&entry.key);
                self.attempts.remove(&entry.key);
                self.drifting.remove(&entry.key);
                let line = self.board.released(&entry.key);
                effects.push(Effect::Tell(Notice::Released(entry.key.clone(), line)));
            }
        }
        let scopes: BTreeSet<&Scope> = desired.entries.iter().map(|entry| &entry.key.scope).collect();
        self.sweeps.retain(|scope, _| scopes.contains(scope));
        self.facts.keep_scopes(|scope| scopes.contains(scope));
    }

    /// New and edited entries get a pass; a scope of which too little is known is swept first.
    fn take_up(&mut self, before: Option<&DesiredState>, now: Time, effects: &mut Vec<Effect>) {
        let entries = self.desired.as_ref().map(|desired| desired.entries.clone()).unwrap_or_default();
        for entry in &entries {
            let fresh = self.knows_enough(entry, now);
            let sweep = self
                .sweeps
                .entry(entry.key.scope.clone())
                .or_insert_with(|| Sweep { due: Some(now), ..Sweep::default() });
            let known = before.and_then(|before| before.get(&entry.key));
            if known.is_some_and(|known| known.asks_the_same(entry)) {
                continue;
            }
            // A sweep that is under way was not asked for this entry.
            if !fresh || sweep.running.is_some() {
                sweep.want(now);
            }
            // What was waited for, and what differed, was so for the old entry.
            self.memory.edited(&entry.key);
            self.drifting.remove(&entry.key);
            self.attempts.remove(&entry.key);
            if fresh {
                self.take_up_one(entry, now, effects);
            }
        }
    }

    /// Whether an entry can be decided about without a sweep: its VPC was seen lately.
    fn knows_enough(&self, entry: &Entry, now: Time) -> bool {
        let scope = &entry.key.scope;
        let fresh = self.facts.scopes.get(scope).is_some_and(|facts| now.since(facts.at) < NETWORK_AGE);
        fresh
            && match &entry.want {
                Want::Detached => true,
                Want::Attached(intent) => matches!(self.facts.vpc(scope, &intent.vpc), Seen::Present(_)),
            }
    }

    /// An edited entry gets a pass, unless it clearly has to wait for others.
    fn take_up_one(&mut self, entry: &Arc<Entry>, now: Time, effects: &mut Vec<Effect>) {
        let Some(world) = self.world(now) else { return };
        match plan::compare(&world, entry).verdict {
            Verdict::Differs(change) if !self.queue.is_processing(&entry.key) => {
                self.note_drift(&change, effects);
                self.take_in_hand(entry, change, now, effects);
            }
            Verdict::Differs(_) | Verdict::InSync | Verdict::Stuck(_) => self.queue.add(entry.key.clone()),
        }
    }

    fn surveyed(&mut self, found: Surveyed, now: Time, effects: &mut Vec<Effect>) {
        let scope = found.scope.clone();
        let fault = fault(&found);
        let Some(sweep) = self.sweeps.get_mut(&scope) else { return };
        let took = now.since(sweep.running.take().unwrap_or(now));
        sweep.answered = Some(now);
        sweep.faults = if fault.is_some() { sweep.faults.saturating_add(1) } else { 0 };
        sweep.fault = fault.as_ref().map(|(why, _)| why.reason);
        let regular = self.cadence.resync.map(|every| now + every);
        sweep.due = match &fault {
            _ if sweep.again => Some(now),
            None => regular,
            Some((why, after)) => {
                let delay = backoff::delay(why.reason.pace(), sweep.faults - 1, &mut self.rng);
                let soon = now + after.map_or(delay, |after| delay.max(after));
                // A limited rate is not to be strained sooner than asked for.
                Some(regular.filter(|_| after.is_none()).map_or(soon, |regular| regular.min(soon)))
            }
        };
        for (role, facts) in &found.roles {
            if let Seen::Present(facts) = facts {
                self.memory.role_seen(role, facts, now);
            }
        }
        self.facts.surveyed(found);
        effects.push(Effect::Tell(Notice::Swept { scope: scope.clone(), took, fault: fault.map(|(why, _)| why) }));
        let entries: Vec<Arc<Entry>> = match &self.desired {
            Some(desired) => desired.entries.iter().filter(|e| e.key.scope == scope).cloned().collect(),
            None => Vec::new(),
        };
        // Who may be under way is known before anybody else is sent.
        for entry in &entries {
            let Some(world) = self.world(now) else { continue };
            let unfinished = plan::may_be_unfinished(&world, &entry.key);
            if let Seen::Present(function) = self.facts.function(&entry.key) {
                self.memory.seen(&entry.key, function, now);
                if unfinished {
                    self.memory.rollouts.may_lead(&entry.key, function, now);
                }
            }
        }
        for entry in entries {
            self.select(&entry, now, effects);
        }
    }

    /// What the sweep tells of one function: nothing to do, a pass, or that nothing can be done.
    fn select(&mut self, entry: &Arc<Entry>, now: Time, effects: &mut Vec<Effect>) {
        let Some(world) = self.world(now) else { return };
        let verdict = plan::compare(&world, entry).verdict;
        let unfinished = plan::may_be_unfinished(&world, &entry.key);
        if self.queue.is_processing(&entry.key) {
            return self.queue.add(entry.key.clone());
        }
        match verdict {
            Verdict::Stuck(outcome) => self.conclude(&entry.key, outcome, None, now, effects),
            Verdict::InSync if unfinished => self.queue.add(entry.key.clone()),
            Verdict::InSync => self.conclude(&entry.key, Outcome::InSync, None, now, effects),
            Verdict::Differs(change) => {
                let waiting_for_it =
                    self.drifting.get(&entry.key) == Some(&change) && self.comes_later(&entry.key, now);
                self.note_drift(&change, effects);
                // A sweep that finds nothing new does not cut a backoff short.
                if !waiting_for_it {
                    self.take_in_hand(entry, change, now, effects);
                }
            }
        }
    }

    /// Whether a function has been told when it is looked at again, and that is yet to come.
    fn comes_later(&self, key: &FunctionKey, now: Time) -> bool {
        self.board.get(key).and_then(|line| line.next).is_some_and(|next| next > now)
    }

    fn looked(&mut self, key: FunctionKey, found: Looked, now: Time, effects: &mut Vec<Effect>) {
        if let Seen::Present(function) = &found.function {
            self.memory.looked(&key, function, now);
        }
        if let Some((role, Seen::Present(facts))) = &found.role {
            self.memory.role_seen(role, facts, now);
        }
        self.facts.looked(&key, found, now);
        let Some(world) = self.world(now) else { return self.queue.done(&key) };
        let Some(entry) = world.desired.get(&key).cloned() else {
            self.begun.remove(&key);
            return self.queue.done(&key);
        };
        let entry = &entry;
        let digest = world.desired.digest.clone();
        let (was_in, goes_into) = (world.facts.vpc_of(&key).cloned(), entry.want.vpc().cloned());
        let verdict = plan::compare(&world, entry).verdict;
        let decision = plan::decide(&world, entry, &verdict);
        let change = match verdict {
            Verdict::Differs(change) => Some(change),
            Verdict::InSync | Verdict::Stuck(_) => None,
        };
        if let Some(change) = &change {
            self.note_drift(change, effects);
        }
        match decision {
            Decision::Rest(outcome) => self.conclude(&key, outcome, change, now, effects),
            Decision::Do(_) if self.stopping => self.queue.done(&key),
            Decision::Do(step) => {
                if let Some(change) = &change {
                    self.memory.rollouts.reserve(entry, change, now);
                }
                self.memory.begin(&step);
                let cause = change.map_or(Cause::File, |change| change.cause);
                effects.push(Effect::Do(Order { step, cause, digest, was_in, goes_into }));
            }
        }
    }

    fn answered(&mut self, order: Order, answer: Answer, took: Duration, now: Time, effects: &mut Vec<Effect>) {
        self.memory.answered(&order.step, &answer, now);
        let key = order.step.key().clone();
        let outcome = self.world(now).map(|world| plan::conclude(&world, &order.step, &answer));
        effects.push(Effect::Tell(Notice::Stepped { order: order.clone(), answer, took }));
        let Some(outcome) = outcome.filter(|_| self.desired.as_ref().is_some_and(|d| d.get(&key).is_some())) else {
            self.begun.remove(&key);
            return self.queue.done(&key);
        };
        if let Some(Reason::NetworkRefused) = outcome.why().map(|why| why.reason)
            && let Some(sweep) = self.sweeps.get_mut(&key.scope)
        {
            sweep.want(now + AFTER_REFUSAL);
        }
        let change = self.drifting.get(&key).cloned();
        self.conclude(&key, outcome, change, now, effects);
    }

    /// A pass has ended, or a sweep told all there is to know: the outcome goes on the board, and the function comes again
    /// when that is due.
    fn conclude(
        &mut self,
        key: &FunctionKey,
        outcome: Outcome,
        change: Option<Change>,
        now: Time,
        effects: &mut Vec<Effect>,
    ) {
        self.queue.done(key);
        if outcome == Outcome::InSync {
            self.attempts.remove(key);
            self.drifting.remove(key);
            let entry = self.desired.as_ref().and_then(|desired| desired.get(key));
            if let (Some(entry), Seen::Present(function)) = (entry, self.facts.function(key)) {
                self.memory.agreed(entry, &function.network);
            }
        }
        if let Some(entry) = self.desired.as_ref().and_then(|desired| desired.get(key)) {
            self.memory.rollouts.concluded(entry, &outcome);
        }
        let pass = self.begun.remove(key);
        if let (Outcome::Retry { why, .. }, true) = (&outcome, pass.is_some()) {
            self.suspect(&key.scope, why.reason, now);
        }
        let swept_again = self.sweeps.get(&key.scope).is_some_and(|sweep| sweep.faults > 0);
        let next = self.next_look(key, &outcome, swept_again && pass.is_none(), now);
        if let Some(at) = next {
            self.queue.add_at(key.clone(), at);
        }
        let before = self.board.concluded(key, outcome.clone(), change, next, now);
        let took = pass.map(|begun| now.since(begun));
        effects.push(Effect::Tell(Notice::Concluded { key: key.clone(), outcome, before, took }));
    }

    /// A function meets what may be a fault of its whole scope: a sweep tells.
    fn suspect(&mut self, scope: &Scope, reason: Reason, now: Time) {
        let Some(sweep) = self.sweeps.get_mut(scope).filter(|sweep| sweep.running.is_none()) else { return };
        let lately = sweep.answered.is_some_and(|at| now.since(at) < BETWEEN_SUSPICIONS);
        if reason.of_scope() && !lately {
            sweep.want(now);
        }
    }

    /// When a function is looked at again, beside the sweeps. What a whole scope suffers from, the next sweep mends.
    fn next_look(&mut self, key: &FunctionKey, outcome: &Outcome, swept_again: bool, now: Time) -> Option<Time> {
        let why = outcome.why()?;
        let attempt = match self.attempts.get(key) {
            Some((reason, count)) if *reason == why.reason => count + 1,
            _ => 0,
        };
        self.attempts.insert(key.clone(), (why.reason, attempt));
        let backoff = now + backoff::delay(why.reason.pace(), attempt, &mut self.rng);
        match outcome {
            Outcome::InSync => None,
            Outcome::Waiting { why, until } if matches!(why.reason.pace(), Pace::Invalid | Pace::Turn) => *until,
            Outcome::Waiting { until, .. } => Some(until.unwrap_or(backoff)),
            Outcome::Retry { .. } if swept_again => None,
            Outcome::Retry { after, .. } => Some(after.map_or(backoff, |after| backoff.max(now + after))),
            Outcome::Blocked { why, until: None } if why.reason.pace() == Pace::Invalid => None,
            Outcome::Blocked { until, .. } => Some(until.unwrap_or(backoff)),
        }
    }

    fn note_drift(&mut self, change: &Change, effects: &mut Vec<Effect>) {
        if self.drifting.insert(change.key.clone(), change.clone()).is_none() {
            effects.push(Effect::Tell(Notice::Drifted(change.clone())));
        }
    }
}

impl Load {
    fn want(&mut self, at: Time) {
        self.again = self.running;
        self.due = Some(at);
    }
}

impl Sweep {
    fn want(&mut self, at: Time) {
        self.again = self.running.is_some();
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    fn is_due(&self, now: Time) -> bool {
        self.running.is_none() && self.due.is_some_and(|due| due <= now)
    }
}

/// What must be known of a function's role; nothing where it shall not be in a VPC.
fn function_needs(entry: &Entry) -> Option<FunctionNeeds> {
    match &entry.want {
        Want::Detached => None,
        Want::Attached(_) => Some(FunctionNeeds {
            policies: Arc::clone(&entry.policies),
            simulate: match entry.attach_policy {
                AttachPolicy::Always => Simulate::Never,
                AttachPolicy::WhenNeeded | AttachPolicy::Never => Simulate::WherePolicyMissing,
            },
        }),
    }
}

/// What a whole scope suffers from, and how long AWS asks to wait: nobody knows whose the credentials are, no function or
/// no VPC could be read. A single function or role that could not be read is looked at again by itself.
fn fault(found: &Surveyed) -> Option<(Why, Option<Duration>)> {
    let functions = &found.facts.functions;
    let no_function = functions.values().all(|function| unread(function).is_some());
    let account = match &found.facts.identity {
        Seen::Present(identity) if identity.account != found.scope.account => {
            Some(Fault::WrongAccount(identity.account.clone()))
        }
        identity => unread(identity).cloned(),
    };
    account
        .or_else(|| functions.values().find_map(unread).filter(|_| no_function).cloned())
        .or_else(|| found.facts.vpcs.values().find_map(unread).cloned())
        .map(|fault| (Why::unread(&fault), fault.retry_after()))
}

fn unread<T>(seen: &Seen<T>) -> Option<&Fault> {
    match seen {
        Seen::Unknown(fault) => Some(fault),
        Seen::Present(_) | Seen::Absent => None,
    }
}
