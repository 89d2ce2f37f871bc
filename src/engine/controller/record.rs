//! Records: a scope's is recalled before anything is looked at there, and has what is about to be done in it before that is
//! done. So a process that is killed at any moment is followed by one that knows no less than was done.
//!
//! Whatever needs no call is stored a little later, together with what happens meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Controller;
use crate::engine::event::{Effect, Notice, Recall};
use crate::names::{FunctionKey, Mark, ScopeKey, Time, WallClock};
use crate::plan::{Change, Outcome, Reason, ScopeRecord};

/// What happens within this time is stored together.
const TOGETHER: Duration = Duration::from_secs(10);
/// A wall clock that is set by more than this makes the moments in a record wrong: it is stored anew.
const SET: Duration = Duration::from_secs(5);
/// After the disk failed, it is tried again after this time.
const AFTER_A_FAULT: Duration = Duration::from_secs(10);

/// The records of all scopes.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    /// Whether there is anybody who keeps them.
    kept: bool,
    scopes: BTreeMap<ScopeKey, Kept>,
}

/// How the record of a scope stands.
#[derive(Clone, Debug, Default)]
struct Kept {
    asked: bool,
    recalled: bool,
    /// The number of the last entry of the guard's ledger that is in what was stored.
    stored: u64,
    /// What is being stored: the number of its last entry, and what it says.
    storing: Option<(u64, Says)>,
    /// What was stored last.
    says: Option<Says>,
    /// When it is to be stored, though no call waits for that.
    due: Option<Time>,
    /// After a fault, not before this.
    not_before: Option<Time>,
    /// The functions whose call waits for a store.
    waiting: BTreeSet<FunctionKey>,
}

/// What a record says, and what the wall clock showed when it was written: its moments are that clock's.
type Says = (Mark, WallClock);

impl Records {
    pub(super) fn kept() -> Self {
        Self { kept: true, scopes: BTreeMap::new() }
    }

    /// Whether a scope may be looked at: what is known of it was recalled, or there is nothing to recall.
    pub(super) fn knows(&self, scope: &ScopeKey) -> bool {
        !self.kept || self.scopes.get(scope).is_some_and(|kept| kept.recalled)
    }

    /// Whether the record of a scope is to be recalled now, which then is asked for.
    pub(super) fn asks_for(&mut self, scope: &ScopeKey, now: Time) -> bool {
        if !self.kept {
            return false;
        }
        let kept = self.scopes.entry(scope.clone()).or_default();
        let early = kept.not_before.is_some_and(|at| now < at);
        !early && !std::mem::replace(&mut kept.asked, true)
    }

    /// Something has happened in a scope that its record may have to tell.
    pub(super) fn stir(&mut self, scope: &ScopeKey, now: Time) {
        if let Some(kept) = self.scopes.get_mut(scope) {
            kept.due.get_or_insert(now + TOGETHER);
        }
    }

    /// When something is to be stored, or recalled once more.
    pub(super) fn next(&self) -> Option<Time> {
        let next = |kept: &Kept| match kept {
            Kept { recalled: false, asked, not_before, .. } => not_before.filter(|_| !asked),
            Kept { storing: Some(_), .. } => None,
            Kept { due, not_before, .. } => (*due).max(due.and(*not_before)),
        };
        self.scopes.values().filter_map(next).min()
    }

    /// Whether nothing is being stored.
    pub(super) fn are_stored(&self) -> bool {
        self.scopes.values().all(|kept| kept.storing.is_none())
    }

    /// These scopes are left, whose records are stored once more.
    pub(super) fn leave(&mut self, stays: impl Fn(&ScopeKey) -> bool, now: Time) {
        for (_, kept) in self.scopes.iter_mut().filter(|(scope, _)| !stays(scope)) {
            kept.due = Some(now);
        }
    }
}

impl Controller {
    /// What is known of a scope was recalled. As long as nobody can see what its record says, nothing is looked at there:
    /// it would be written over by one that knows less.
    pub(super) fn recalled(&mut self, scope: &ScopeKey, recall: Recall, now: Time, effects: &mut Vec<Effect>) {
        let Some(kept) = self.records.scopes.get_mut(scope) else { return };
        let (record, fault) = match recall {
            Recall::Unread(error) => {
                (kept.asked, kept.not_before) = (false, Some(now + AFTER_A_FAULT));
                return effects.push(Effect::Tell(Notice::RecordUnread { scope: scope.clone(), error }));
            }
            Recall::Known(record) => (Some(*record), None),
            Recall::Missing => (None, Some(None)),
            Recall::Unusable(text) => (None, Some(Some(text))),
        };
        (kept.recalled, kept.not_before) = (true, None);
        let wall = self.wall;
        let record = record.map(|record| record.with_moments(|shown| wall.reaches(shown)));
        if let Some(record) = &record {
            self.board.recalled(scope, &record.unsynced, now);
        }
        self.memory.recall(scope, record, now);
        if let Some(fault) = fault {
            let doubted = self.memory.guard.doubted(scope).to_vec();
            effects.push(Effect::Tell(Notice::NotRecalled { scope: scope.clone(), fault, doubted }));
        }
    }

    /// Whether a change has to be in the record of its scope before its call is made, and is not yet; then its function
    /// waits until it is.
    pub(super) fn stores_first(&mut self, change: &Change) -> bool {
        let entry = self.memory.guard.entry_of(change);
        let Some(kept) = self.records.scopes.get_mut(&change.key.scope) else { return false };
        let waits = entry > kept.stored;
        if waits {
            kept.waiting.insert(change.key.clone());
        }
        waits
    }

    /// A record was stored, or could not be. What waited for it is decided anew.
    pub(super) fn stored(
        &mut self,
        scope: &ScopeKey,
        stored: Result<(), String>,
        now: Time,
        effects: &mut Vec<Effect>,
    ) {
        let Some(kept) = self.records.scopes.get_mut(scope) else { return };
        let Some((entry, says)) = kept.storing.take() else { return };
        let waiting = std::mem::take(&mut kept.waiting);
        match &stored {
            Ok(()) => (kept.stored, kept.says, kept.not_before) = (entry, Some(says), None),
            Err(_) => {
                let again = now + AFTER_A_FAULT;
                (kept.says, kept.due, kept.not_before) = (None, Some(again), Some(again));
            }
        }
        effects.push(Effect::Tell(Notice::Stored { scope: scope.clone(), error: stored.as_ref().err().cloned() }));
        for key in waiting {
            match &stored {
                Ok(()) => self.decide(key, None, now, effects),
                Err(error) => {
                    let (outcome, change) =
                        (Outcome::blocked(Reason::NotStored, error), self.drifting.get(&key).cloned());
                    self.pass_ends(&key, outcome, change, now, effects);
                }
            }
        }
        let left = !self.sweeps.contains_key(scope);
        let done = |kept: &Kept| kept.due.is_none() && kept.storing.is_none();
        if left && self.records.scopes.get(scope).is_some_and(done) {
            self.records.scopes.remove(scope);
        }
    }

    /// Stores what a call waits for at once, and whatever else was to be stored by now; all of it where the end has come.
    pub(super) fn store_what_is_due(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let Some(desired) = &self.desired else { return };
        for (scope, kept) in &mut self.records.scopes {
            let entry = self.memory.guard.entries(scope);
            let set = kept.says.is_some_and(|(_, wall)| wall.apart(self.wall) > SET);
            let due = set || kept.due.is_some_and(|due| due <= now || self.stopping);
            let early = !self.stopping && kept.not_before.is_some_and(|at| now < at);
            if !kept.recalled || kept.storing.is_some() || early || !(due || entry > kept.stored) {
                continue;
            }
            kept.due = None;
            let (unsynced, synced_by) =
                self.board.unsynced(scope, desired, |key| self.memory.left_in_sync(desired, key));
            let record = ScopeRecord { unsynced, synced_by, ..self.memory.record(scope, desired, now) };
            let says = Mark::of(&record);
            let same = kept.says.is_some_and(|(before, _)| before == says);
            if same && !set && entry <= kept.stored {
                continue;
            }
            if let Ok(text) = record.with_moments(|at| self.wall.shows(at)).text() {
                kept.storing = Some((entry, (says, self.wall)));
                effects.push(Effect::Store(scope.clone(), text));
            }
        }
    }
}
