//! The body of the daemon: performs the effects as tasks, and hands what came of them back as events.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::controller::Controller;
use super::event::{Effect, Event, Notice, Recall, Signal};
use crate::apply::Applier;
use crate::cloud::Read;
use crate::desired::{DesiredState, LoadFailure};
use crate::live;
use crate::names::{Clock, Digest, ScopeKey};
use crate::records::Records;

/// After a stop was asked for, calls in hand get this long to end; below the usual grace of 10 s.
const GRACE: Duration = Duration::from_secs(8);
/// The loop turns at least this often, so that it can be seen to live.
pub const HEARTBEAT: Duration = Duration::from_secs(5);

/// The desired state, to be awaited; none if nothing has changed.
pub type Loading<'a> = Pin<Box<dyn Future<Output = Result<Option<DesiredState>, LoadFailure>> + Send + 'a>>;

/// Reads the desired state.
pub trait Load: Send + Sync {
    /// Reads the file as it is now, and parses and resolves it unless its bytes have this digest.
    fn load(&self, in_force: Option<Digest>) -> Loading<'_>;
}

/// Told of everything that is worth telling.
pub trait Observer: Send + Sync {
    /// This has happened.
    fn notice(&self, notice: &Notice);
    /// The loop has turned.
    fn turned(&self, controller: &Controller);
    /// How soon the loop is to turn again though nothing happens: sooner for an observer that has yet to show something.
    fn turn_within(&self) -> Duration {
        HEARTBEAT
    }
}

/// What the loop works with.
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

/// Runs the controller until it is told to stop, or `until` says that it has done its work.
///
/// `first` is what happens first; `signals` is what somebody asks for while it runs.
pub async fn run(
    mut controller: Controller,
    ports: &Ports,
    first: Vec<Event>,
    mut signals: mpsc::Receiver<Signal>,
    until: impl Fn(&Controller) -> bool,
) -> Controller {
    let (send, mut events) = mpsc::unbounded_channel();
    let mut tasks = Tasks { ports, send, set: JoinSet::new() };
    let mut stop_by: Option<Instant> = None;
    let mut stopped = false;
    let mut next: Vec<Event> = first;
    loop {
        for event in next.drain(..) {
            controller.see_wall_clock(ports.clock.wall_clock());
            for effect in controller.handle(event, ports.clock.now()) {
                stopped |= matches!(effect, Effect::Stop);
                tasks.perform(effect);
            }
        }
        ports.observer.turned(&controller);
        if stopped || until(&controller) {
            break;
        }
        let wake = wake(&controller, ports);
        let event = tokio::select! {
            Some((event, left)) = events.recv() => {
                if let Some((scope, rate)) = left {
                    controller.leaves(&scope, rate);
                }
                event
            }
            Some(signal) = signals.recv(), if stop_by.is_none() => {
                if matches!(signal, Signal::Stop) {
                    stop_by = Some(Instant::now() + GRACE);
                }
                Event::Signal(signal)
            }
            Some(ended) = tasks.set.join_next() => {
                // A task that panicked would leave its function in hand for ever: better to end, and be started anew.
                if let Err(error) = ended && error.is_panic() {
                    std::panic::resume_unwind(error.into_panic());
                }
                continue;
            }
            () = tokio::time::sleep_until(stop_by.unwrap_or(wake).min(wake)) => Event::Tick,
        };
        if stop_by.is_some_and(|by| by <= Instant::now()) {
            tracing::warn!("calls to AWS that were still in hand are given up");
            break;
        }
        next.push(event);
    }
    controller
}

/// When to turn the loop at the latest.
fn wake(controller: &Controller, ports: &Ports) -> Instant {
    let most = ports.observer.turn_within();
    let wait = controller.next_wake().map_or(most, |at| at.since(ports.clock.now()).min(most));
    Instant::now() + wait
}

/// What came of a task, and how many requests a second to Lambda were possible at its end where it was at work.
type Ended = (Event, Option<(ScopeKey, f64)>);

struct Tasks<'a> {
    ports: &'a Ports,
    send: mpsc::UnboundedSender<Ended>,
    set: JoinSet<()>,
}

impl Tasks<'_> {
    fn perform(&mut self, effect: Effect) {
        let read = Arc::clone(&self.ports.read);
        let clock = self.ports.clock.clone();
        match effect {
            Effect::Tell(notice) => self.ports.observer.notice(&notice),
            Effect::Stop => {}
            Effect::Load(in_force) => {
                let load = Arc::clone(&self.ports.load);
                self.spawn(None, async move { Event::Loaded(load.load(in_force).await) });
            }
            Effect::Survey(scope, needs) => {
                let at = scope.clone();
                self.spawn(
                    Some(at),
                    async move { Event::Surveyed(live::survey(&*read, &scope, &needs, &clock).await) },
                );
            }
            Effect::Look(key, needs) => self.spawn(Some(key.scope.clone()), async move {
                let found = live::look(&*read, &key, needs.as_ref(), clock.now()).await;
                Event::Looked(key, found)
            }),
            Effect::AskOwner(key, partition) => self.spawn(Some(key.scope.clone()), async move {
                let owner = live::owner(&*read, &key, &partition).await;
                Event::Owner(key, owner)
            }),
            Effect::Do(order) => {
                let applier = Arc::clone(&self.ports.applier);
                self.spawn(Some(order.step.key().scope.clone()), async move {
                    let (answer, took) = applier.make(&order).await;
                    Event::Answered(order, answer, took)
                });
            }
            Effect::Recall(scope) => {
                let records = self.ports.records.clone();
                self.spawn(None, async move {
                    let found = match &records {
                        Some(records) => records.load(&scope).await,
                        None => Ok(None),
                    };
                    let recall = Recall::of(&scope, found);
                    Event::Recalled(scope, recall)
                });
            }
            Effect::Store(scope, record) => {
                let records = self.ports.records.clone();
                self.spawn(None, async move {
                    let stored = match &records {
                        Some(records) => records.store(&scope, record).await,
                        None => Ok(()),
                    };
                    Event::Stored(scope, stored.map_err(|error| error.to_string()))
                });
            }
        }
    }

    fn spawn(&mut self, at: Option<ScopeKey>, task: impl Future<Output = Event> + Send + 'static) {
        let (send, applier) = (self.send.clone(), Arc::clone(&self.ports.applier));
        self.set.spawn(async move {
            let event = task.await;
            let left = at.and_then(|at| applier.rate(&at).map(|rate| (at, rate)));
            // The receiver is gone only after the loop has ended.
            let _ = send.send((event, left));
        });
    }
}
