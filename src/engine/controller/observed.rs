//! Observations that end: from that moment on an entry is enforced like any other, which means through the guard.

use std::collections::BTreeSet;

use super::Controller;
use crate::engine::event::{Effect, Notice};
use crate::engine::queue::Rank;
use crate::names::{FunctionKey, Time, WallClock};
use crate::plan;
use crate::settings::Mode;

/// The observations that are still to end, the next one first; in the time of the wall clock.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends(BTreeSet<(Time, FunctionKey)>);

impl Ends {
    /// When the next one ends, if nobody sets the wall clock before.
    pub(super) fn next(&self, wall: WallClock) -> Option<Time> {
        self.0.first().map(|(until, _)| wall.reaches(*until))
    }

    fn pop(&mut self, shown: Time) -> Option<FunctionKey> {
        self.0.first().filter(|(until, _)| *until <= shown)?;
        self.0.pop_first().map(|(_, key)| key)
    }
}

impl Controller {
    /// Notes the observations that will end. Of one that was over when its file was read, the file's warnings tell.
    pub(super) fn await_ends(&mut self, now: Time) {
        let (shown, entries) = (self.wall.shows(now), self.desired.iter().flat_map(|desired| &desired.entries));
        let ends =
            entries.filter_map(|entry| Some((entry.terms.until.filter(|until| *until > shown)?, entry.key.clone())));
        self.ends = Ends(ends.collect());
    }

    /// Tells of the observations that have ended, and takes their functions in hand. Under the operator's ceiling such an
    /// end passes without effect.
    pub(super) fn resume(&mut self, now: Time, effects: &mut Vec<Effect>) {
        while let Some(key) = self.ends.pop(self.wall.shows(now)) {
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
