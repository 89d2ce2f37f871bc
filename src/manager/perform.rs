//! What a scope wants to be done, as tasks whose ends are its events.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Ports;
use crate::live;
use crate::names::ScopeKey;
use crate::reconcile::{Action, Event, Recall};

/// What came of a task, and how many requests a second to Lambda were possible at its end where it was at work.
pub(super) type Ended = (Event, Option<f64>);

/// The tasks of one scope.
pub(super) struct Tasks {
    scope: ScopeKey,
    ports: Arc<Ports>,
    send: mpsc::UnboundedSender<Ended>,
    pub(super) set: JoinSet<()>,
}

impl Tasks {
    pub(super) fn new(scope: ScopeKey, ports: Arc<Ports>) -> (Self, mpsc::UnboundedReceiver<Ended>) {
        let (send, receive) = mpsc::unbounded_channel();
        (Self { scope, ports, send, set: JoinSet::new() }, receive)
    }

    /// Begins what is to be done. What belongs to the manager is handed back.
    pub(super) fn perform(&mut self, action: Action) -> Option<Action> {
        let (scope, read, clock) = (self.scope.clone(), Arc::clone(&self.ports.read), self.ports.clock.clone());
        match action {
            Action::Share(..) | Action::Shows(_) => return Some(action),
            Action::Tell(notice) => self.ports.observer.notice(&notice),
            Action::Survey(needs) => {
                self.spawn(async move { Event::Surveyed(live::survey(&*read, &scope, &needs, &clock).await) });
            }
            Action::Look(key, needs) => self.spawn(async move {
                let found = live::look(&*read, &key, needs.as_ref(), clock.now()).await;
                Event::Looked(key, found)
            }),
            Action::AskOwner(key, partition) => self.spawn(async move {
                let owner = live::owner(&*read, &key, &partition).await;
                Event::Owner(key, owner)
            }),
            Action::Do(order) => {
                let applier = Arc::clone(&self.ports.applier);
                self.spawn(async move {
                    let (answer, took) = applier.make(&order).await;
                    Event::Answered(order, answer, took)
                });
            }
            Action::Recall => {
                let records = self.ports.records.clone();
                self.spawn(async move {
                    let found = match &records {
                        Some(records) => records.load(&scope).await,
                        None => Ok(None),
                    };
                    Event::Recalled(Recall::of(&scope, found))
                });
            }
            Action::Store(record) => {
                let records = self.ports.records.clone();
                self.spawn(async move {
                    let stored = match &records {
                        Some(records) => records.store(&scope, record).await,
                        None => Ok(()),
                    };
                    Event::Stored(stored.map_err(|error| error.to_string()))
                });
            }
        }
        None
    }

    fn spawn(&mut self, task: impl Future<Output = Event> + Send + 'static) {
        let (send, applier, scope) = (self.send.clone(), Arc::clone(&self.ports.applier), self.scope.clone());
        self.set.spawn(async move {
            let event = task.await;
            // The receiver is gone only after the scope has come to its end.
            let _ = send.send((event, applier.rate(&scope)));
        });
    }
}
