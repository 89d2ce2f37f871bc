//! Manager and scopes in one value.

use std::collections::{BTreeMap, VecDeque};

use super::{Effect, Event, Manager, Observer, Order};
use crate::board::{Fleet, Line, ScopeLine};
use crate::cloud::Listing;
use crate::desired::DesiredState;
use crate::live::Facts;
use crate::names::{FunctionKey, ScopeKey, Time, WallClock};
use crate::plan::{self, Admitted, Limits};
use crate::reconcile::{self, Action, Cadence, Scope};

/// Manager and scopes in one value, without tasks: each event is taken in whole before the next.
pub struct Controller {
    pub(super) manager: Manager,
    pub(super) scopes: BTreeMap<ScopeKey, Scope>,
}

impl Controller {
    /// A controller that knows nothing yet. It begins when it is given a desired state, or told to look for one.
    pub fn new(limits: Limits, cadence: Cadence) -> Self {
        Self { manager: Manager::new(limits, cadence), scopes: BTreeMap::new() }
    }

    /// The same, but there is somebody who keeps the record of each scope: nothing is looked at in one before that was
    /// recalled, and nothing is changed that it does not tell of.
    #[must_use]
    pub fn with_records(mut self) -> Self {
        self.manager.kept = true;
        self
    }

    /// The desired state in force, as the file has it.
    pub fn desired(&self) -> Option<&DesiredState> {
        self.manager.desired.as_ref()
    }

    /// The scopes.
    pub fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.scopes.values()
    }

    /// One scope; none where the file does not speak of it.
    pub fn scope(&self, key: &ScopeKey) -> Option<&Scope> {
        self.scopes.get(key)
    }

    /// How a function stands; none if nothing is known yet.
    pub fn line(&self, key: &FunctionKey) -> Option<&Line> {
        self.scopes.get(&key.scope)?.board().get(&key.name)
    }

    /// Every function that something is known of.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.scopes.values().flat_map(|scope| scope.board().lines())
    }

    /// How an account and region stands.
    pub fn scope_line(&self, key: &ScopeKey) -> Option<&ScopeLine> {
        self.scopes.get(key).map(|scope| scope.board().scope())
    }

    /// What is known of AWS in a scope.
    pub fn facts(&self, key: &ScopeKey) -> Option<&Facts> {
        self.scopes.get(key).map(Scope::facts)
    }

    /// How everything stands, for whoever shows it.
    pub fn fleet(&self) -> Fleet {
        let pictures: Vec<_> = self.scopes.iter().map(|(key, scope)| (key, scope.board().picture())).collect();
        Fleet {
            revision: self.manager.revision + pictures.iter().map(|(_, picture)| picture.revision).sum::<u64>(),
            file: self.manager.file.clone(),
            settings: self.manager.settings.clone(),
            wall: self.manager.wall,
            ..Fleet::of(pictures.iter().map(|(key, picture)| (*key, picture)))
        }
    }

    /// The plan as things stand; none before a desired state is in force.
    pub fn plan(&self, now: Time) -> Option<plan::Plan> {
        let desired = self.desired()?;
        let plans = self.scopes.values().map(|scope| scope.plan(now));
        Some(plan::Plan::of_all(plans, desired))
    }

    /// Whether a desired state is in force and every scope has answered, or been refused, once.
    pub fn ready(&self) -> bool {
        self.desired().is_some() && self.scopes.values().all(Scope::ready)
    }

    /// Whether every function rests: in sync, or in a state that only somebody else can change.
    pub fn at_rest(&self) -> bool {
        self.desired().is_some() && self.scopes.values().all(Scope::at_rest)
    }

    /// Whether nothing is being worked on or read, or waits for a worker.
    pub fn idle(&self) -> bool {
        self.scopes.values().all(Scope::idle)
    }

    /// Whether all has been seen that is to be seen for now: no fault, or one that does not pass by itself.
    pub fn has_looked(&self) -> bool {
        self.desired().is_some() && self.scopes.values().all(Scope::has_looked)
    }

    /// Whether published versions are looked at as well.
    pub fn listing(&self) -> Listing {
        self.manager.cadence.listing
    }

    /// The wall clock is this far ahead from now on: somebody may have set it.
    pub fn see_wall_clock(&mut self, wall: WallClock) {
        self.manager.wall = wall;
        self.scopes.values_mut().for_each(|scope| scope.see_wall_clock(wall));
    }

    /// Lets only these changes be made from the next event on.
    pub fn admit(&mut self, admitted: &Admitted) {
        self.manager.limits.admitted = admitted.clone();
        self.scopes.values_mut().for_each(|scope| scope.admit(admitted.clone()));
    }

    /// When the controller wants to be woken if nothing happens before.
    pub fn next_wake(&self) -> Option<Time> {
        self.scopes.values().filter_map(Scope::next_wake).chain(self.manager.next_wake()).min()
    }

    /// So many requests a second to Lambda are possible in a scope now: others use the quota as well.
    pub fn leaves(&mut self, at: &ScopeKey, rate: f64) {
        if let Some(scope) = self.scopes.get_mut(at) {
            scope.leaves(rate);
        }
    }

    /// All of them have turned.
    pub fn turned(&mut self, observer: &dyn Observer, now: Time) {
        for scope in self.scopes.values_mut() {
            let queue = scope.take_queue_stats(now);
            // Who wants to be asked again sooner is asked with the next event.
            let _ = observer.turned(scope, queue);
        }
        observer.managed(&self.manager);
    }

    /// Takes an event in, and says what is to be done.
    pub fn handle(&mut self, event: Event, now: Time) -> Vec<Effect> {
        self.manager.begins(now);
        let (mut orders, mut effects, mut events) = (Vec::new(), Vec::new(), VecDeque::new());
        match event {
            Event::Loaded(loaded) => self.manager.loaded(loaded, now, &mut orders),
            Event::Signal(signal) => self.manager.signal(signal, now, &mut orders),
            Event::Of(scope, event) => events.push_back((scope, *event)),
            Event::Tick => events.extend(self.scopes.keys().map(|scope| (scope.clone(), reconcile::Event::Tick))),
        }
        self.manager.begin_what_is_due(now, &mut orders);
        loop {
            self.carry_out(&mut orders, &mut events, &mut effects, now);
            let Some((key, event)) = events.pop_front() else { break };
            let Some(scope) = self.scopes.get_mut(&key) else { continue };
            let actions = scope.handle(event, now);
            if scope.has_left() {
                self.scopes.remove(&key);
                self.manager.left(&key);
            }
            for action in actions {
                match action {
                    Action::Share(role, news) => self.manager.shares(&key, &role, &news, now, &mut orders),
                    Action::Shows(id) => self.manager.shows(key.clone(), id, &mut orders),
                    Action::Tell(notice) => effects.push(Effect::Tell(notice)),
                    action => effects.push(Effect::Of(key.clone(), action)),
                }
            }
        }
        if self.manager.stopping && self.scopes.values().all(Scope::has_stopped) {
            effects.push(Effect::Stop);
        }
        effects
    }

    fn carry_out(
        &mut self,
        orders: &mut Vec<Order>,
        events: &mut VecDeque<(ScopeKey, reconcile::Event)>,
        effects: &mut Vec<Effect>,
        now: Time,
    ) {
        let mut first = VecDeque::new();
        for order in orders.drain(..) {
            match order {
                Order::Load(digest) => effects.push(Effect::Load(digest)),
                Order::Tell(notice) => effects.push(Effect::Tell(notice)),
                Order::Begin(key, start, desired) => {
                    let mut scope = Scope::new(key.clone(), desired, *start, now);
                    scope.see_wall_clock(self.manager.wall);
                    self.scopes.insert(key, scope);
                }
                Order::To(key, event) => first.push_back((key, event)),
            }
        }
        // What a scope tells others is heard before anything else happens to them.
        first.append(events);
        *events = first;
    }
}
