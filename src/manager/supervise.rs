//! A task for each scope, and one for the manager, which begins them, hears of them and ends them.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::perform::{Ended, Tasks};
use super::{Controller, Event, Load, Manager, Order, Signal};
use crate::apply::Applier;
use crate::cloud::Read;
use crate::desired::{DesiredState, LoadFailure};
use crate::names::{Clock, Digest, RoleKey, ScopeKey};
use crate::plan::RoleNews;
use crate::reconcile::{self, Action, Notice, QueueStats, Scope};
use crate::records::Records;

/// After a stop was asked for, calls in hand get this long to end; below the usual grace of 10 s.
const GRACE: Duration = Duration::from_secs(8);
/// A scope that is told to end while it decides gets this long to come to the end of its turn.
const LAST_TURN: Duration = Duration::from_secs(1);
/// Manager and scopes turn at least this often, so that they can be seen to live.
pub const HEARTBEAT: Duration = Duration::from_secs(5);

/// Told of everything that is worth telling.
pub trait Observer: Send + Sync {
    /// This has happened.
    fn notice(&self, notice: &Notice);
    /// A scope has turned. Returns how soon it is to turn again though nothing happens, for an observer that has yet to show
    /// something.
    fn turned(&self, _scope: &Scope, _queue: QueueStats) -> Option<Duration> {
        None
    }
    /// The manager has turned.
    fn managed(&self, _manager: &Manager) {}
}

/// What manager and scopes work with.
pub struct Ports {
    /// AWS, for reading.
    pub read: Arc<dyn Read>,
    /// AWS, for writing.
    pub applier: Arc<Applier>,
    /// The file.
    pub load: Arc<dyn Load>,
    /// What outlives the process; none where nothing does.
    pub records: Option<Arc<dyn Records>>,
    /// The time.
    pub clock: Clock,
    /// Who is told.
    pub observer: Arc<dyn Observer>,
}

/// When [`run`] ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// When it is told to stop.
    Stopped,
    /// When all has been seen that is to be seen for now, or it is told to stop.
    HasLooked,
    /// When every function rests, or it is told to stop.
    AtRest,
}

/// What a scope's task tells the manager.
enum Told {
    Share(RoleKey, RoleNews),
    Shows(Option<Digest>),
    Turned(Standing),
    /// It has failed, and what it had begun has come to its end.
    Failed(Box<dyn Any + Send>),
}

/// How a scope stands, after so many of the manager's messages.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    heard: u64,
    has_looked: bool,
    at_rest: bool,
    has_left: bool,
}

/// A scope's task, as the manager knows it.
struct Handle {
    send: mpsc::UnboundedSender<reconcile::Event>,
    sent: u64,
    standing: Standing,
}

impl Handle {
    /// Whether this is so, and nothing is on its way that may change it.
    fn is(&self, so: fn(&Standing) -> bool) -> bool {
        self.standing.heard == self.sent && so(&self.standing)
    }
}

/// Runs the controller until it is told to stop, or has done its work.
///
/// `first` is what happens first; `signals` is what somebody asks for while it runs.
pub async fn run(
    controller: Controller,
    ports: &Arc<Ports>,
    first: Vec<Event>,
    mut signals: mpsc::Receiver<Signal>,
    until: Until,
) -> Controller {
    let Controller { manager, scopes } = controller;
    let (report, mut reports) = mpsc::unbounded_channel();
    let mut supervisor = Supervisor {
        manager,
        ports: Arc::clone(ports),
        report,
        handles: BTreeMap::new(),
        scopes: JoinSet::new(),
        stopped: BTreeMap::new(),
        loads: JoinSet::new(),
        until,
    };
    for (key, scope) in scopes {
        supervisor.spawn(scope);
        // It has been there before, and goes on with what is due.
        supervisor.tell(&key, reconcile::Event::Tick);
    }

    let mut stop_by: Option<Instant> = None;
    let mut next = first;
    loop {
        for event in next.drain(..) {
            supervisor.handle(event);
        }
        while let Ok((scope, told)) = reports.try_recv() {
            supervisor.told(scope, told);
        }
        ports.observer.managed(&supervisor.manager);
        if supervisor.is_done() {
            break;
        }
        let now = ports.clock.now();
        let wait = supervisor.manager.next_wake().map_or(HEARTBEAT, |at| at.since(now).min(HEARTBEAT));
        let wake = Instant::now() + wait;
        tokio::select! {
            Some((scope, told)) = reports.recv() => supervisor.told(scope, told),
            Some(signal) = signals.recv(), if stop_by.is_none() => {
                if matches!(signal, Signal::Stop) {
                    stop_by = Some(Instant::now() + GRACE);
                }
                next.push(Event::Signal(signal));
            }
            Some(loaded) = supervisor.loads.join_next() => match loaded {
                Ok(loaded) => next.push(Event::Loaded(loaded)),
                Err(error) => panicked(error),
            },
            Some(ended) = supervisor.scopes.join_next() => match ended {
                // One that left the file is nothing to look at any more.
                Ok(scope) if supervisor.manager.stopping => {
                    supervisor.stopped.extend(scope.map(|scope| (scope.key().clone(), scope)));
                }
                Ok(_) => {}
                Err(error) => panicked(error),
            },
            () = tokio::time::sleep_until(stop_by.unwrap_or(wake).min(wake)) => next.push(Event::Tick),
        }
        if stop_by.is_some_and(|by| by <= Instant::now()) {
            tracing::warn!("calls to AWS that were still in hand are given up");
            break;
        }
    }
    supervisor.end().await
}

/// What fails outside a scope's own decisions cannot go on: better to end, and be started anew.
fn panicked(error: tokio::task::JoinError) {
    if error.is_panic() {
        resume_unwind(error.into_panic());
    }
}

struct Supervisor {
    manager: Manager,
    ports: Arc<Ports>,
    report: mpsc::UnboundedSender<(ScopeKey, Told)>,
    handles: BTreeMap<ScopeKey, Handle>,
    scopes: JoinSet<Option<Scope>>,
    /// Those that have come to their end.
    stopped: BTreeMap<ScopeKey, Scope>,
    loads: JoinSet<Result<Option<DesiredState>, LoadFailure>>,
    until: Until,
}

impl Supervisor {
    fn handle(&mut self, event: Event) {
        let now = self.ports.clock.now();
        self.manager.wall = self.ports.clock.wall_clock();
        self.manager.begins(now);
        let mut orders = Vec::new();
        match event {
            Event::Loaded(loaded) => self.manager.loaded(loaded, now, &mut orders),
            Event::Signal(signal) => self.manager.signal(signal, now, &mut orders),
            Event::Of(scope, event) => orders.push(Order::To(scope, *event)),
            Event::Tick => {}
        }
        self.manager.begin_what_is_due(now, &mut orders);
        self.carry_out(orders);
    }

    fn told(&mut self, scope: ScopeKey, told: Told) {
        let now = self.ports.clock.now();
        let mut orders = Vec::new();
        match told {
            Told::Share(role, news) => self.manager.shares(&scope, &role, &news, now, &mut orders),
            Told::Shows(id) => self.manager.shows(scope, id, &mut orders),
            Told::Turned(standing) => {
                let Some(handle) = self.handles.get_mut(&scope) else { return };
                handle.standing = standing;
                if handle.is(|standing| standing.has_left) {
                    self.handles.remove(&scope);
                    self.manager.left(&scope);
                }
            }
            Told::Failed(panic) if self.until != Until::Stopped => resume_unwind(panic),
            Told::Failed(_) => {
                self.handles.remove(&scope);
                self.manager.failed(&scope, now, &mut orders);
            }
        }
        self.carry_out(orders);
    }

    fn carry_out(&mut self, orders: Vec<Order>) {
        for order in orders {
            match order {
                Order::Tell(notice) => self.ports.observer.notice(&notice),
                Order::Load(in_force) => {
                    let load = Arc::clone(&self.ports.load);
                    self.loads.spawn(async move { load.load(in_force).await });
                }
                Order::Begin(key, start, desired) => {
                    self.spawn(Scope::new(key, desired, *start, self.ports.clock.now()));
                }
                Order::To(scope, event) => self.tell(&scope, event),
            }
        }
    }

    fn tell(&mut self, scope: &ScopeKey, event: reconcile::Event) {
        if let Some(handle) = self.handles.get_mut(scope) {
            handle.sent += 1;
            // One that has failed in this moment tells so.
            let _ = handle.send.send(event);
        }
    }

    fn spawn(&mut self, scope: Scope) {
        let key = scope.key().clone();
        let (send, events) = mpsc::unbounded_channel();
        let (tasks, answers) = Tasks::new(key.clone(), Arc::clone(&self.ports));
        let task = Task {
            scope,
            tasks,
            answers,
            events,
            report: self.report.clone(),
            ports: Arc::clone(&self.ports),
            heard: 0,
            until: self.until,
        };
        self.scopes.spawn(task.run());
        self.handles.insert(key, Handle { send, sent: 0, standing: Standing::default() });
    }

    fn is_done(&self) -> bool {
        let all =
            |so: fn(&Standing) -> bool| self.manager.desired.is_some() && self.handles.values().all(|it| it.is(so));
        match self.until {
            _ if self.manager.stopping && self.scopes.is_empty() => true,
            Until::Stopped => false,
            Until::HasLooked => all(|standing| standing.has_looked),
            Until::AtRest => all(|standing| standing.at_rest),
        }
    }

    /// Ends all tasks, and hands back what the scopes know. A daemon has no use for that, and waits for no scope that still works.
    async fn end(mut self) -> Controller {
        self.handles.clear();
        let mut scopes = self.stopped;
        let all = async {
            while let Some(ended) = self.scopes.join_next().await {
                if let Ok(Some(scope)) = ended {
                    scopes.insert(scope.key().clone(), scope);
                }
            }
        };
        // A scope that hears that nobody speaks to it any more ends in its next turn.
        match self.until {
            Until::Stopped => drop(tokio::time::timeout(LAST_TURN, all).await),
            Until::HasLooked | Until::AtRest => all.await,
        }
        scopes.retain(|scope, _| self.manager.knows(scope));
        Controller { manager: self.manager, scopes }
    }
}

/// One scope on its own.
struct Task {
    scope: Scope,
    tasks: Tasks,
    answers: mpsc::UnboundedReceiver<Ended>,
    events: mpsc::UnboundedReceiver<reconcile::Event>,
    report: mpsc::UnboundedSender<(ScopeKey, Told)>,
    ports: Arc<Ports>,
    /// How many of the manager's messages were taken in.
    heard: u64,
    until: Until,
}

impl Task {
    /// Runs the scope until nobody speaks to it any more, a stop that was asked for is done, or it fails.
    async fn run(mut self) -> Option<Scope> {
        let mut sooner = None;
        loop {
            let now = self.ports.clock.now();
            let most = sooner.unwrap_or(HEARTBEAT);
            let wait = self.scope.next_wake().map_or(most, |at| at.since(now).min(most));
            let event = tokio::select! {
                Some((event, rate)) = self.answers.recv() => {
                    if let Some(rate) = rate {
                        self.scope.leaves(rate);
                    }
                    event
                }
                event = self.events.recv() => match event {
                    Some(event) => {
                        self.heard += 1;
                        event
                    }
                    None => return Some(self.scope),
                },
                Some(ended) = self.tasks.set.join_next() => match ended {
                    Err(error) if error.is_panic() => return self.fails(error.into_panic()).await,
                    _ => continue,
                },
                () = tokio::time::sleep(wait) => reconcile::Event::Tick,
            };
            if let Err(panic) = self.turn(event) {
                return self.fails(panic).await;
            }
            let queue = self.scope.take_queue_stats(self.ports.clock.now());
            sooner = self.ports.observer.turned(&self.scope, queue);
            self.tell(Told::Turned(Standing {
                heard: self.heard,
                // Each looks at every function, so that they are asked only where somebody waits for it.
                has_looked: self.until == Until::HasLooked && self.scope.has_looked(),
                at_rest: self.until == Until::AtRest && self.scope.at_rest(),
                has_left: self.scope.has_left(),
            }));
            if self.scope.has_stopped() {
                return Some(self.scope);
            }
        }
    }

    fn turn(&mut self, event: reconcile::Event) -> std::thread::Result<()> {
        let clock = &self.ports.clock;
        self.scope.see_wall_clock(clock.wall_clock());
        // What a scope that has failed knows is thrown away.
        let actions = catch_unwind(AssertUnwindSafe(|| self.scope.handle(event, clock.now())))?;
        for action in actions {
            match self.tasks.perform(action) {
                Some(Action::Share(role, news)) => self.tell(Told::Share(role, news)),
                Some(Action::Shows(id)) => self.tell(Told::Shows(id)),
                _ => {}
            }
        }
        Ok(())
    }

    /// The scope has failed. What it had begun comes to its end first: the one that begins anew must not cross it.
    async fn fails(mut self, panic: Box<dyn Any + Send>) -> Option<Scope> {
        while self.tasks.set.join_next().await.is_some() {}
        while let Ok((event, _)) = self.answers.try_recv() {
            if let reconcile::Event::Answered(order, answer, took) = event {
                self.ports.observer.notice(&Notice::Stepped { order, answer, took });
            }
        }
        self.tell(Told::Failed(panic));
        None
    }

    fn tell(&self, told: Told) {
        // Whoever does not listen any more has ended.
        let _ = self.report.send((self.scope.key().clone(), told));
    }
}
