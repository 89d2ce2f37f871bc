//! How every function stands: a fold over outcomes. What people and metrics see comes from here.

use std::collections::BTreeMap;

use crate::names::{FunctionKey, Scope, Time};
use crate::plan::{Change, Outcome, Reason, State};

/// The fleet as it stands.
#[derive(Clone, Debug, Default)]
pub struct Board {
    lines: BTreeMap<FunctionKey, Line>,
    counts: BTreeMap<(Scope, State), usize>,
    held_by_guard: BTreeMap<Scope, usize>,
}

/// How one function stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How its last pass ended.
    pub outcome: Outcome,
    /// Since when it has been in the state that this means.
    pub since: Time,
    /// When it is looked at again, beside the sweeps.
    pub next: Option<Time>,
    /// What differs.
    pub change: Option<Change>,
}

impl Board {
    /// A pass has ended. Returns the state before, if there was one.
    pub fn concluded(
        &mut self,
        key: &FunctionKey,
        outcome: Outcome,
        change: Option<Change>,
        next: Option<Time>,
        now: Time,
    ) -> Option<State> {
        let state = outcome.state();
        let before = self.lines.get(key).map(|line| (line.outcome.state(), line.since));
        self.leaves(key);
        self.count(&key.scope, state, |count| count + 1);
        if is_held_by_guard(&outcome) {
            *self.held_by_guard.entry(key.scope.clone()).or_default() += 1;
        }
        let since = before.filter(|(before, _)| *before == state).map_or(now, |(_, since)| since);
        self.lines.insert(key.clone(), Line { outcome, since, next, change });
        before.map(|(before, _)| before)
    }

    /// A function left the file.
    pub fn released(&mut self, key: &FunctionKey) -> Option<Line> {
        self.leaves(key);
        self.lines.remove(key)
    }

    /// A function is not counted any more as it was.
    fn leaves(&mut self, key: &FunctionKey) {
        let Some(outcome) = self.lines.get(key).map(|line| line.outcome.clone()) else { return };
        self.count(&key.scope, outcome.state(), |count| count.saturating_sub(1));
        if let Some(held) = self.held_by_guard.get_mut(&key.scope).filter(|_| is_held_by_guard(&outcome)) {
            *held = held.saturating_sub(1);
        }
    }

    /// How many functions the guard holds, by scope. A scope in which it holds none any more is there with 0.
    pub fn held_by_guard(&self) -> impl Iterator<Item = (&Scope, usize)> {
        self.held_by_guard.iter().map(|(scope, count)| (scope, *count))
    }

    /// How a function stands; none if nothing is known yet.
    pub fn get(&self, key: &FunctionKey) -> Option<&Line> {
        self.lines.get(key)
    }

    /// Every function that something is known of.
    pub fn lines(&self) -> impl Iterator<Item = (&FunctionKey, &Line)> {
        self.lines.iter()
    }

    /// How many functions are in which state, by scope. A state that no function is in any more is there with 0.
    pub fn counts(&self) -> impl Iterator<Item = (&Scope, State, usize)> {
        self.counts.iter().map(|((scope, state), count)| (scope, *state, *count))
    }

    fn count(&mut self, scope: &Scope, state: State, change: impl FnOnce(usize) -> usize) {
        let count = self.counts.entry((scope.clone(), state)).or_default();
        *count = change(*count);
    }
}

fn is_held_by_guard(outcome: &Outcome) -> bool {
    outcome.why().is_some_and(|why| why.reason == Reason::GuardHolding)
}
