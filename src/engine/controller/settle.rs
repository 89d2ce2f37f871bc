//! The settings have changed: what was held back or let through by the old ones is decided anew.

use super::{Cadence, Controller};
use crate::names::Time;
use crate::plan::Limits;

impl Controller {
    /// Works by these from now on. What is in hand is finished; the next step of each function is decided by the new
    /// limits, and a sweep selects what they let through, or stop.
    pub(super) fn settle(&mut self, limits: Limits, cadence: Cadence, now: Time) {
        self.limits = limits;
        self.memory.guard.approved(self.limits.guard.as_ref().map_or(&[], |guard| &guard.approved));
        // The jitter goes on as it began.
        self.cadence = Cadence { seed: self.cadence.seed, ..cadence };
        self.reconsider = true;
        self.load.want(now);
        self.sweeps.values_mut().for_each(|sweep| sweep.want(now));
    }
}
