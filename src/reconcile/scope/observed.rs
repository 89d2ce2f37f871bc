//! Observations that end: from that moment on an entry is enforced like any other, which means through the guard.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Scope;
use crate::names::{FunctionName, Time, WallClock};
use crate::plan;
use crate::reconcile::event::{Action, Notice};
use crate::reconcile::queue::Rank;
use crate::settings::Mode;

/// The observations that are still to end, the next one first; in the time of the wall clock.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends(BTreeSet<(Time, FunctionName)>);

impl Ends {
    /// When the next one ends, if nobody sets the wall clock before.
    pub(super) fn next(&self, wall: WallClock) -> Option<Time> {
        self.0.first().map(|(until, _)| wall.reaches(*until))
    }

    fn pop(&mut self, shown: Time) -> Option<FunctionName> {
        self.0.first().filter(|(until, _)| *until <= shown)?;
        self.0.pop_first().map(|(_, name)| name)
    }
}

impl Scope {
    /// Notes the observations that will end. Of one that was over when its file was read, the file's warnings tell.
    pub(super) fn await_ends(&mut self, now: Time) {
        let shown = self.wall.shows(now);
        let ends = self
            .desired
            .entries
            .iter()
            .filter_map(|entry| Some((entry.terms.until.filter(|until| *until > shown)?, entry.key.name.clone())));
        self.ends = Ends(ends.collect());
    }

    /// Tells of the observations that have ended, and takes their functions in hand. Under the operator's ceiling such an
    /// end passes without effect.
    pub(super) fn resume(&mut self, now: Time, actions: &mut Vec<Action>) {
        while let Some(name) = self.ends.pop(self.wall.shows(now)) {
            let key = self.function(&name);
            let Some(entry) = self.desired.get(&key).cloned() else { continue };
            if plan::mode(&self.world(now), &entry) == Mode::Observe {
                continue;
            }
            actions.push(Action::Tell(Notice::Resumed(key)));
            // One that is being looked at is decided about by that look.
            if let Some(change) = self.memory.differs(&name).filter(|_| !self.queue.is_processing(&name)) {
                let change = Arc::clone(change);
                self.queue.remove(&name);
                self.take_in_hand(&entry, change, Rank::Edit, now, actions);
            }
        }
    }
}
