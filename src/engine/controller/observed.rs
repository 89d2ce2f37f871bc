//! Observations that end: from that moment on an entry is enforced like any other, which means through the guard.

use std::collections::BTreeSet;

use super::Controller;
use crate::engine::event::{Effect, Notice};
use crate::engine::queue::Rank;
use crate::names::{FunctionKey, Time};
use crate::plan;
use crate::settings::Mode;

/// The observations that are still to end, the next one first.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends(BTreeSet<(Time, FunctionKey)>);

impl Ends {
    /// When the next one ends.
    pub(super) fn next(&self) -> Option<Time> {
        self.0.first().map(|(until, _)| *until)
    }

    fn pop(&mut self, now: Time) -> Option<FunctionKey> {
        self.next().filter(|until| *until <= now)?;
        self.0.pop_first().map(|(_, key)| key)
    }
}

impl Controller {
    /// Notes the observations that will end. Of one that was over when its file was read, the file's warnings tell.
    pub(super) fn await_ends(&mut self, now: Time) {
        let entries = self.desired.iter().flat_map(|desired| &desired.entries);
        let ends =
            entries.filter_map(|entry| Some((entry.terms.until.filter(|until| *until > now)?, entry.key.clone())));
        self.ends = Ends(ends.collect());
    }

    /// Tells of the observations that have ended, and takes their functions in hand. Under the operator's ceiling such an
    /// end passes without effect.
    pub(super) fn resume(&mut self, now: Time, effects: &mut Vec<Effect>) {
        while let Some(key) = self.ends.pop(now) {
            let Some(world) = self.world(now) else { return };
            let Some(entry) = world.desired.get(&key).cloned() else { continue };
            if plan::mode(&world, &entry) == Mode::Observe {
                continue;
            }
            effects.push(Effect::Tell(Notice::Resumed(key.clone())));
            // One that is being looked at is decided about by that look.
            if let Some(change) = self.drifting.get(&key).filter(|_| !self.queue.is_processing(&key)).cloned() {
                self.queue.remove(&key);
                self.take_in_hand(&entry, change, Rank::Edit, now, effects);
            }
        }
    }
}
