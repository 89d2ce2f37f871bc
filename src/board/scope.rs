//! How an account and region stands.

use std::time::Duration;

use crate::names::{Digest, Time};
use crate::plan::{Budget, Outcome, State, Why};

/// How many functions are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([usize; State::ALL.len()]);

impl Counts {
    /// One more is in this state.
    pub fn add(&mut self, state: State) {
        self.change(state, |count| count + 1);
    }

    /// One less is in this state.
    pub(super) fn take(&mut self, state: State) {
        self.change(state, |count| count.saturating_sub(1));
    }

    fn change(&mut self, state: State, change: impl FnOnce(usize) -> usize) {
        if let Some((_, count)) = State::ALL.iter().zip(&mut self.0).find(|(of, _)| **of == state) {
            *count = change(*count);
        }
    }

    /// Each state with its count, also where that is 0.
    pub fn each(&self) -> impl Iterator<Item = (State, usize)> {
        State::ALL.into_iter().zip(self.0)
    }

    /// How many are in this state.
    pub fn of(&self, state: State) -> usize {
        self.each().find(|(of, _)| *of == state).map_or(0, |(_, count)| count)
    }
}

/// One account in one region.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeLine {
    /// How many functions are in which state, as far as something is known of them.
    pub counts: Counts,
    /// How many of them the guard holds.
    pub held_by_guard: usize,
    /// Since when it is being swept; none where it is not.
    pub sweeping: Option<Time>,
    /// The last sweep that has ended.
    pub last_sweep: Option<Swept>,
    /// When the last sweep ended that could read everything.
    pub last_success: Option<Time>,
    /// What the scope suffers from, and since when.
    pub fault: Option<(Why, Time)>,
    /// How the guard stands.
    pub guard: GuardLine,
}

/// How the guard stands in a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuardLine {
    /// What was changed in the last hour and what may be, for each cause; empty where there is no guard.
    pub budgets: Vec<Budget>,
    /// Until when less is let through, since nobody knows what was changed in the last hour; none where that is known.
    pub unknown_until: Option<Time>,
    /// The id by which exactly the changes of this scope can be approved; none where nothing differs.
    pub plan: Option<Digest>,
}

/// A sweep that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept {
    /// When.
    pub ended: Time,
    /// How long it took.
    pub took: Duration,
}

impl ScopeLine {
    pub(super) fn comes(&mut self, outcome: &Outcome) {
        self.counts.add(outcome.state());
        self.held_by_guard += usize::from(super::is_held_by_guard(outcome));
    }

    pub(super) fn leaves(&mut self, outcome: &Outcome) {
        self.counts.take(outcome.state());
        self.held_by_guard -= usize::from(super::is_held_by_guard(outcome)).min(self.held_by_guard);
    }

    pub(super) fn swept(&mut self, took: Duration, fault: Option<&Why>, now: Time) {
        self.sweeping = None;
        self.last_sweep = Some(Swept { ended: now, took });
        let before = self.fault.take();
        match fault {
            None => self.last_success = Some(now),
            Some(why) => {
                let since = before.filter(|(before, _)| before.reason == why.reason).map_or(now, |(_, since)| since);
                self.fault = Some((why.clone(), since));
            }
        }
    }
}
