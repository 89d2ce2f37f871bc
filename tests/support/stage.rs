//! The pure controller and the simulated account, with answers that take their time and come in any order: what is asked
//! at one moment is carried out a little later and answered later still, while other things happen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use lambda_vpc_controller::apply::{Applier, Order};
use lambda_vpc_controller::cloud::Listing;
use lambda_vpc_controller::desired::DesiredState;
use lambda_vpc_controller::live::{self, Seen, Surveyed};
use lambda_vpc_controller::manager::{Controller, Effect, Event, Signal};
use lambda_vpc_controller::names::{ScopeKey, Time, WallClock};
use lambda_vpc_controller::plan::{Limits, Step};
use lambda_vpc_controller::reconcile::{self, Action, Cadence, Recall};
use lambda_vpc_controller::settings::Mode;
use lambda_vpc_controller::simulator::{Door, StillClock};
use lambda_vpc_controller::telemetry::LogJournal;

use super::permitted::{permit, settings_of};

/// How long a call is on its way to AWS, and its answer on the way back, at most.
const ON_THE_WAY: Duration = Duration::from_millis(1500);

/// One controller, one world, and what is on its way between them.
pub(crate) struct Stage {
    pub(crate) clock: StillClock,
    pub(crate) door: Door,
    pub(crate) controller: Controller,
    limits: Limits,
    resync: Duration,
    applier: Applier,
    random: fastrand::Rng,
    coming: BTreeMap<(Time, u64), Coming>,
    numbers: u64,
    /// The records of scopes, which outlive the process.
    pub(crate) records: BTreeMap<ScopeKey, String>,
    /// The functions, and the policies of roles, that a changing call is being made for.
    in_hand: BTreeSet<String>,
    /// How far the machine's wall clock is ahead, in milliseconds.
    ahead: i64,
    /// How many times as long as in the first region answers take in another.
    pub(crate) slower: u32,
    /// Whether a listing now and then lacks the last subnet of each VPC.
    pub(crate) flickers: bool,
    /// Whether the controller has come to its end.
    pub(crate) stopped: bool,
    /// What must never happen, and has happened.
    pub(crate) broken: Vec<String>,
}

enum Coming {
    Asked(ScopeKey, Box<Action>),
    Happens(Box<Event>),
}

impl Stage {
    pub(crate) fn new(door: Door, clock: StillClock, limits: Limits, resync: Duration, seed: u64) -> Self {
        let applier = Applier::new(Arc::new(door.clone()), Arc::new(LogJournal::alone()), clock.clock());
        permit(&door, &settings_of(&limits, Listing::Latest));
        let controller = Self::fresh(&limits, resync, seed);
        Self {
            clock,
            door,
            controller,
            limits,
            resync,
            applier,
            random: fastrand::Rng::with_seed(seed),
            coming: BTreeMap::new(),
            numbers: 0,
            records: BTreeMap::new(),
            in_hand: BTreeSet::new(),
            ahead: 0,
            slower: 1,
            flickers: false,
            stopped: false,
            broken: Vec::new(),
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The operator sets the mode in the settings.
    pub(crate) fn mode(&mut self, mode: Mode) {
        self.limits.mode = mode;
        let cadence = Self::cadence(self.resync, self.random.u64(..));
        self.feed(Event::Signal(Signal::Settle(Box::new(self.limits.clone()), cadence)));
    }

    /// Somebody sets the machine's wall clock.
    pub(crate) fn set_wall_clock(&mut self, by: i64) {
        self.ahead += by;
    }

    fn cadence(resync: Duration, seed: u64) -> Cadence {
        Cadence { resync: Some(resync), poll: None, workers: 4, listing: Listing::Latest, seed }
    }

    fn fresh(limits: &Limits, resync: Duration, seed: u64) -> Controller {
        Controller::new(limits.clone(), Self::cadence(resync, seed)).with_records()
    }

    /// The process is killed: what it knew, and the answers to what it asked, are lost; what it sent is carried out. A
    /// record that it was storing is there or not.
    pub(crate) fn kill(&mut self, desired: DesiredState) {
        let seed = self.random.u64(..);
        for (_, coming) in std::mem::take(&mut self.coming) {
            let Coming::Asked(scope, action) = coming else { continue };
            match *action {
                Action::Do(order) => drop(self.carry_out(order)),
                Action::Store(record) if self.random.bool() => drop(self.records.insert(scope, record)),
                _ => {}
            }
        }
        self.in_hand.clear();
        self.controller = Self::fresh(&self.limits, self.resync, seed);
        self.load(desired);
    }

    /// The file says this from now on.
    pub(crate) fn load(&mut self, desired: DesiredState) {
        self.feed(Event::Loaded(Ok(Some(desired))));
    }

    /// Lets everything happen until a changing call is being made.
    pub(crate) fn until_a_call(&mut self) {
        let moment = Duration::from_millis(100);
        while self.in_hand.is_empty() {
            self.until(self.clock.now() + moment);
        }
    }

    /// The process is told to stop.
    pub(crate) fn stop(&mut self) {
        self.feed(Event::Signal(Signal::Stop));
    }

    /// Lets everything happen until this time.
    pub(crate) fn until(&mut self, end: Time) {
        loop {
            let next = self.coming.first_key_value().map(|((at, _), _)| *at);
            let wake = self.controller.next_wake();
            match [next, wake].into_iter().flatten().min().filter(|at| *at <= end) {
                None => return self.clock.pass(end.since(self.clock.now())),
                Some(at) => self.clock.pass(at.since(self.clock.now())),
            }
            match self.coming.first_entry().filter(|coming| coming.key().0 <= self.clock.now()) {
                Some(coming) => {
                    let coming = coming.remove();
                    self.arrives(coming);
                }
                None => self.feed(Event::Tick),
            }
        }
    }

    fn arrives(&mut self, coming: Coming) {
        let now = self.clock.now();
        let (scope, action) = match coming {
            Coming::Happens(event) => {
                if let Event::Of(_, event) = &*event
                    && let reconcile::Event::Answered(order, ..) = &**event
                {
                    for hand in hands(&order.step) {
                        self.in_hand.remove(&hand);
                    }
                }
                return self.feed(*event);
            }
            Coming::Asked(scope, action) => (scope, *action),
        };
        let event = match action {
            Action::Share(..) | Action::Shows(_) | Action::Tell(_) => return,
            Action::Survey(needs) => {
                let clock = self.clock.clock();
                let mut found = live::survey(&self.door, &scope, &needs, &clock).now_or_never().unwrap();
                if self.flickers && self.random.u8(..) < 64 {
                    flicker(&mut found);
                }
                reconcile::Event::Surveyed(found)
            }
            Action::Look(key, needs) => {
                let found = live::look(&self.door, &key, needs.as_ref(), now).now_or_never().unwrap();
                reconcile::Event::Looked(key, found)
            }
            Action::AskOwner(key, partition) => {
                let owner = live::owner(&self.door, &key, &partition).now_or_never().unwrap();
                reconcile::Event::Owner(key, owner)
            }
            Action::Do(order) => self.carry_out(order),
            Action::Recall => reconcile::Event::Recalled(Recall::of(&scope, Ok(self.records.get(&scope).cloned()))),
            Action::Store(record) => {
                self.records.insert(scope.clone(), record);
                reconcile::Event::Stored(Ok(()))
            }
        };
        self.later(Coming::Happens(Box::new(Event::of(scope, event))));
    }

    /// Makes a call, and looks at what it does to the world.
    fn carry_out(&mut self, order: Order) -> reconcile::Event {
        let live = match &order.step {
            Step::SetVpc { key, .. } => {
                let function = self.door.with(|aws, now| aws.get_function(&key.scope, key.name.as_str(), now)).ok();
                function.map(|function| function.configuration.vpc_config.unwrap_or_default().network())
            }
            Step::AttachPolicy { .. } => None,
        };
        let before = self.door.changes().len();
        let (answer, took) = self.applier.make(&order).now_or_never().unwrap();
        let accepted =
            self.door.changes().get(before..).is_some_and(|new| new.iter().any(|call| call.refused.is_none()));
        if let (Step::SetVpc { key, to, .. }, Some(live), true) = (&order.step, &live, accepted)
            && *live == **to
        {
            self.broken.push(format!("{key} got an update that is identical to what it had"));
        }
        reconcile::Event::Answered(order, answer, took)
    }

    fn later(&mut self, coming: Coming) {
        let here = super::history::key("x").scope;
        let far = match &coming {
            Coming::Asked(scope, _) => *scope != here,
            Coming::Happens(event) => matches!(&**event, Event::Of(scope, _) if *scope != here),
        };
        let wait = ON_THE_WAY.mul_f64(self.random.f64()) * if far { self.slower } else { 1 };
        self.numbers += 1;
        self.coming.insert((self.clock.now() + wait, self.numbers), coming);
    }

    fn feed(&mut self, event: Event) {
        let now = self.clock.now();
        self.controller.see_wall_clock(WallClock::of(now, Time(now.0.saturating_add_signed(self.ahead))));
        for effect in self.controller.handle(event, self.clock.now()) {
            match effect {
                Effect::Load(_) | Effect::Tell(_) => {}
                Effect::Stop if self.in_hand.is_empty() => self.stopped = true,
                Effect::Stop => self.broken.push(format!("it stops with calls in hand: {:?}", self.in_hand)),
                Effect::Of(scope, Action::Do(order)) => {
                    if self.limits.mode == Mode::Observe {
                        self.broken.push(format!("a call is made under observation: {order:?}"));
                    }
                    for hand in hands(&order.step) {
                        if !self.in_hand.insert(hand.clone()) {
                            self.broken.push(format!("two changing calls at once: {hand}"));
                        }
                    }
                    self.later(Coming::Asked(scope, Box::new(Action::Do(order))));
                }
                Effect::Of(scope, action) => self.later(Coming::Asked(scope, Box::new(action))),
            }
        }
    }
}

/// EC2 does not tell of the last subnet of a VPC that has several.
fn flicker(found: &mut Surveyed) {
    for vpc in found.facts.vpcs.values_mut() {
        if let Seen::Present(vpc) = vpc
            && vpc.subnets.len() > 1
        {
            vpc.subnets.pop();
        }
    }
}

/// What a changing call has in hand: its function, and the policy of a role.
fn hands(step: &Step) -> Vec<String> {
    match step {
        Step::SetVpc { key, .. } => vec![key.to_string()],
        Step::AttachPolicy { key, role, policy } => vec![key.to_string(), format!("{} {policy}", role.key())],
    }
}
