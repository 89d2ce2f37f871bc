//! When the file is read.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::desired::{DesiredState, LoadFailure};
use crate::names::{Digest, Time};

/// The desired state, to be awaited; none if nothing has changed.
pub type Loading<'a> = Pin<Box<dyn Future<Output = Result<Option<DesiredState>, LoadFailure>> + Send + 'a>>;

/// Reads the desired state.
pub trait Load: Send + Sync {
    /// Reads the file as it is now, and parses and resolves it unless its bytes have this digest.
    fn load(&self, in_force: Option<Digest>) -> Loading<'_>;
}

/// How the reading of the file stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    running: bool,
    again: bool,
    due: Option<Time>,
    /// What was wrong with the file when it was last read; none where it could be used.
    pub(super) refused: Option<Arc<LoadFailure>>,
}

impl Reading {
    /// When the file is to be read next; none while it is being read.
    pub(super) fn next(&self) -> Option<Time> {
        self.due.filter(|_| !self.running)
    }

    /// Whether it is to be read now, which then begins.
    pub(super) fn begins(&mut self, now: Time) -> bool {
        let due = self.next().is_some_and(|due| due <= now);
        if due {
            *self = Self { running: true, again: false, due: None, refused: self.refused.take() };
        }
        due
    }

    /// It was read, and is read again after this time. Returns what was wrong with it before.
    pub(super) fn ended(&mut self, poll: Option<Duration>, now: Time) -> Option<Arc<LoadFailure>> {
        self.running = false;
        self.due = if std::mem::take(&mut self.again) { Some(now) } else { poll.map(|poll| now + poll) };
        self.refused.take()
    }

    /// Somebody asks for it; one who asks while it is being read gets it again.
    pub(super) fn want(&mut self, at: Time) {
        self.again = self.running;
        self.due = Some(at);
    }
}
