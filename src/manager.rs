//! What belongs to no account and region: the file, the settings, and which scopes there are.
//!
//! [`Manager`] is pure like the scopes: it says which of them begin, and what each is told. [`run`] carries that out with a task
//! for each scope, so that a scope that is slow, or fails, holds up no other. [`Controller`] is manager and scopes in one value:
//! what `plan` and `apply` look at in the end, and what the tests play whole histories with, without a runtime.
//!
//! Scopes of one account share its roles. What one does about a role, the manager tells the others ([`RoleNews`]); and it keeps
//! what was done in the last hour for a scope that comes into the file, or begins anew.

mod controller;
mod load;
mod perform;
mod restarts;
mod supervise;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use self::controller::Controller;
use self::load::Reading;
pub use self::load::{Load, Loading};
use self::restarts::Restarts;
pub use self::supervise::{HEARTBEAT, Observer, Ports, Until, run};
use crate::board::FileLine;
use crate::desired::{DesiredState, LoadFailure};
use crate::file::Diagnostic;
use crate::names::{Digest, RoleKey, ScopeKey, Time, WallClock};
use crate::plan::{self, Limits, RoleNews, Roles};
use crate::reconcile::{self, Action, Cadence, Notice, Start};

/// What happens.
#[derive(Debug)]
pub enum Event {
    /// The file was read; none if it says what is in force.
    Loaded(Result<Option<DesiredState>, LoadFailure>),
    /// Somebody asks for something.
    Signal(Signal),
    /// This happens to a scope.
    Of(ScopeKey, Box<reconcile::Event>),
    /// Time has passed.
    Tick,
}

impl Event {
    /// This happens to a scope.
    pub fn of(scope: ScopeKey, event: reconcile::Event) -> Self {
        Self::Of(scope, Box::new(event))
    }
}

/// A request to the manager: from a file watch, the settings, or a person.
#[derive(Clone, Debug)]
pub enum Signal {
    /// Look at the file again.
    Look,
    /// Look at the file again, sweep everything, and try again what was refused.
    Reload,
    /// Work by these settings from now on.
    Settle(Box<Limits>, Cadence),
    /// The file of the settings was read: what is wrong with it, for people; none where it can be used.
    SettingsRead(Option<Arc<str>>),
    /// Finish what is in hand, and stop.
    Stop,
}

/// What is to be done.
#[derive(Debug)]
pub enum Effect {
    /// Read the file; what has this digest is in force.
    Load(Option<Digest>),
    /// A scope wants this to be done.
    Of(ScopeKey, Action),
    /// Tell this.
    Tell(Notice),
    /// The end: nothing is in hand any more.
    Stop,
}

/// What the manager wants.
#[derive(Debug)]
enum Order {
    Load(Option<Digest>),
    Tell(Notice),
    /// A scope begins, or begins anew.
    Begin(ScopeKey, Box<Start>, DesiredState),
    To(ScopeKey, reconcile::Event),
}

/// The file, the settings, and which scopes there are.
pub struct Manager {
    limits: Limits,
    cadence: Cadence,
    /// Whether a store keeps the records of scopes.
    kept: bool,
    /// When the process began: since then it knows what it did.
    begun: Option<Time>,
    desired: Option<DesiredState>,
    by_scope: BTreeMap<ScopeKey, Arc<DesiredState>>,
    /// The scopes that have begun and have not come to their end.
    scopes: BTreeSet<ScopeKey>,
    /// The scopes that had come to their end before: what was done there, only their records tell.
    were_there: BTreeSet<ScopeKey>,
    restarts: Restarts,
    reading: Reading,
    file: FileLine,
    settings: Option<Arc<str>>,
    /// Grows with each change of what is shown of the file and the settings.
    revision: u64,
    roles: Roles,
    /// The plans that are to be seen, in each scope in which something differs.
    plans: BTreeMap<ScopeKey, Digest>,
    stopping: bool,
    wall: WallClock,
}

impl Manager {
    fn new(limits: Limits, cadence: Cadence) -> Self {
        Self {
            limits,
            cadence,
            kept: false,
            begun: None,
            desired: None,
            by_scope: BTreeMap::new(),
            scopes: BTreeSet::new(),
            were_there: BTreeSet::new(),
            restarts: Restarts::default(),
            reading: Reading::default(),
            file: FileLine::default(),
            settings: None,
            revision: 0,
            roles: Roles::default(),
            plans: BTreeMap::new(),
            stopping: false,
            wall: WallClock::default(),
        }
    }

    /// How the desired state stands.
    pub fn file(&self) -> &FileLine {
        &self.file
    }

    /// What is wrong with the settings as they were last read, for people; none where they can be used.
    pub fn settings(&self) -> Option<&Arc<str>> {
        self.settings.as_ref()
    }

    /// Grows with each change of what is shown of the file and the settings.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How far the wall clock is ahead.
    pub fn wall_clock(&self) -> WallClock {
        self.wall
    }

    /// The scopes that the file speaks of.
    pub fn wanted(&self) -> impl Iterator<Item = &ScopeKey> {
        self.by_scope.keys()
    }

    /// Whether the file speaks of a scope, or it has not come to its end yet.
    pub fn knows(&self, scope: &ScopeKey) -> bool {
        self.scopes.contains(scope) || self.by_scope.contains_key(scope)
    }

    /// When the manager wants to be woken if nothing happens before.
    pub fn next_wake(&self) -> Option<Time> {
        [self.reading.next(), self.restarts.next()].into_iter().flatten().min().filter(|_| !self.stopping)
    }

    /// The process begins.
    fn begins(&mut self, now: Time) {
        self.begun.get_or_insert(now);
    }

    fn loaded(&mut self, loaded: Result<Option<DesiredState>, LoadFailure>, now: Time, orders: &mut Vec<Order>) {
        let refused = self.reading.ended(self.cadence.poll, now);
        match loaded {
            Err(failure) if refused.as_ref().is_some_and(|before| failure.is_still(before)) => {
                self.reading.refused = refused;
            }
            Err(failure) => {
                self.file.refused(&failure);
                self.revision += 1;
                let failure = self.reading.refused.insert(Arc::new(failure));
                orders.push(Order::Tell(Notice::NotLoaded(Arc::clone(failure))));
            }
            Ok(None) => {
                self.revision += u64::from(self.file.problem.is_some());
                self.file.confirmed();
                orders.push(Order::Tell(Notice::Confirmed));
            }
            Ok(Some(state)) => self.specified(state, now, orders),
        }
    }

    /// The file says this from now on.
    fn specified(&mut self, state: DesiredState, now: Time, orders: &mut Vec<Order>) {
        let (digest, functions, patterns) = (state.digest.clone(), state.entries.len(), state.patterns.len());
        let warnings: Vec<Diagnostic> =
            state.warnings.iter().cloned().chain(state.ended(self.wall.shows(now))).collect();
        self.file.loaded(&state, &warnings, now);
        self.revision += 1;
        self.by_scope = state.by_scope().into_iter().map(|(scope, of_scope)| (scope, Arc::new(of_scope))).collect();
        let nothing = Arc::new(state.of_nothing());
        self.desired = Some(state);
        orders.push(Order::Tell(Notice::Loaded { digest, functions, patterns, warnings }));
        for scope in self.scopes.iter().filter(|scope| !self.by_scope.contains_key(scope)) {
            orders.push(Order::To(scope.clone(), reconcile::Event::Desired(Arc::clone(&nothing))));
        }
        for scope in self.by_scope.keys().cloned().collect::<Vec<_>>() {
            if self.restarts.is_due_later(&scope) {
                continue;
            }
            self.tell_or_begin(&scope, now, orders);
        }
    }

    /// A scope is told what the file says of it; one that is not there begins.
    fn tell_or_begin(&mut self, scope: &ScopeKey, now: Time, orders: &mut Vec<Order>) {
        let Some(desired) = self.by_scope.get(scope).filter(|_| !self.stopping) else { return };
        if self.scopes.insert(scope.clone()) {
            let start = Start {
                limits: self.limits.clone(),
                cadence: self.cadence,
                since: self.begun.filter(|_| !self.were_there.contains(scope)).unwrap_or(now),
                roles: self.roles.of(&scope.account),
                kept: self.kept,
            };
            orders.push(Order::Begin(scope.clone(), Box::new(start), desired.of_nothing()));
        }
        orders.push(Order::To(scope.clone(), reconcile::Event::Desired(Arc::clone(desired))));
    }

    fn signal(&mut self, signal: Signal, now: Time, orders: &mut Vec<Order>) {
        match signal {
            Signal::Look => self.reading.want(now),
            Signal::Reload => {
                self.reading.want(now);
                self.roles.forget_refusals();
                self.to_all(|| reconcile::Event::Retry, orders);
            }
            Signal::Settle(limits, cadence) => {
                self.to_all(|| reconcile::Event::Settle(limits.clone(), cadence), orders);
                (self.limits, self.cadence) = (*limits, cadence);
                self.reading.want(now);
            }
            Signal::SettingsRead(problem) => {
                orders.push(Order::Tell(Notice::Settings { valid: problem.is_none() }));
                self.settings = problem;
                self.revision += 1;
            }
            Signal::Stop => {
                self.stopping = true;
                self.to_all(|| reconcile::Event::Stop, orders);
            }
        }
    }

    fn to_all(&self, event: impl Fn() -> reconcile::Event, orders: &mut Vec<Order>) {
        orders.extend(self.scopes.iter().map(|scope| Order::To(scope.clone(), event())));
    }

    /// What is due: the file is read, and scopes that failed begin anew.
    fn begin_what_is_due(&mut self, now: Time, orders: &mut Vec<Order>) {
        if self.stopping {
            return;
        }
        if self.reading.begins(now) {
            orders.push(Order::Load(self.desired.as_ref().map(|desired| desired.digest.clone())));
        }
        for scope in self.restarts.due(now) {
            self.tell_or_begin(&scope, now, orders);
        }
    }

    /// A scope tells of a role: all others of the account hear of it.
    fn shares(&mut self, from: &ScopeKey, role: &RoleKey, news: &RoleNews, now: Time, orders: &mut Vec<Order>) {
        self.roles.forget_what_is_over(now);
        self.roles.hears(role, news.clone());
        let others = self.scopes.iter().filter(|scope| *scope != from && scope.account == role.account);
        orders.extend(others.map(|scope| Order::To(scope.clone(), reconcile::Event::Role(role.clone(), news.clone()))));
    }

    /// A plan is to be seen in a scope. If it is another one, so is the plan of all scopes.
    fn shows(&mut self, scope: ScopeKey, id: Option<Digest>, orders: &mut Vec<Order>) {
        if self.plans.get(&scope) == id.as_ref() {
            return;
        }
        match id {
            Some(id) => drop(self.plans.insert(scope, id)),
            None => drop(self.plans.remove(&scope)),
        }
        if self.plans.len() > 1 {
            let all = plan::whole_id(&self.plans);
            let part = |(scope, id): (&ScopeKey, &Digest)| {
                Order::To(scope.clone(), reconcile::Event::PlanOfAll(id.clone(), all.clone()))
            };
            orders.extend(self.plans.iter().map(part));
        }
    }

    /// A scope that the file no longer lists, or that has failed, has ended.
    fn left(&mut self, scope: &ScopeKey) {
        self.scopes.remove(scope);
        self.were_there.insert(scope.clone());
        self.plans.remove(scope);
    }

    /// A scope has failed. It begins anew after a while, if the file speaks of it then.
    fn failed(&mut self, scope: &ScopeKey, now: Time, orders: &mut Vec<Order>) {
        self.left(scope);
        for (role, news) in self.roles.ended_with(scope, now) {
            self.shares(scope, &role, &news, now, orders);
        }
        let after = self.restarts.failed(scope, now);
        orders.push(Order::Tell(Notice::Restarts { scope: scope.clone(), after }));
    }
}
