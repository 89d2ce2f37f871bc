//! The record: it is recalled before anything is looked at, and has what is about to be done in it before that is done. So a
//! process that is killed at any moment is followed by one that knows no less than was done.
//!
//! Whatever needs no call is stored a little later, together with what happens meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Scope;
use crate::names::{FunctionName, Mark, Time, WallClock};
use crate::plan::{Change, Outcome, Reason, ScopeRecord};
use crate::reconcile::event::{Action, Notice, Recall};

/// What happens within this time is stored together.
const TOGETHER: Duration = Duration::from_secs(10);
/// A wall clock that is set by more than this makes the moments in a record wrong: it is stored anew.
const SET: Duration = Duration::from_secs(5);
/// After the disk failed, it is tried again after this time.
const AFTER_A_FAULT: Duration = Duration::from_secs(10);

/// How the record stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    /// Whether there is anybody who keeps it.
    kept: bool,
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
    waiting: BTreeSet<FunctionName>,
}

/// What a record says, and what the wall clock showed when it was written: its moments are that clock's.
type Says = (Mark, WallClock);

impl Record {
    pub(super) fn kept() -> Self {
        Self { kept: true, ..Self::default() }
    }

    /// Whether the scope may be looked at: what is known of it was recalled, or there is nothing to recall.
    pub(super) fn is_known(&self) -> bool {
        !self.kept || self.recalled
    }

    /// Whether it is to be recalled now, which then is asked for.
    pub(super) fn asks(&mut self, now: Time) -> bool {
        let early = self.not_before.is_some_and(|at| now < at);
        self.kept && !early && !std::mem::replace(&mut self.asked, true)
    }

    /// Something has happened that the record may have to tell.
    pub(super) fn stir(&mut self, now: Time) {
        self.store_by(now + TOGETHER);
    }

    /// It is to be stored by then.
    pub(super) fn store_by(&mut self, at: Time) {
        if self.kept {
            self.due = Some(self.due.map_or(at, |due| due.min(at)));
        }
    }

    /// When something is to be stored, or recalled once more.
    pub(super) fn next(&self) -> Option<Time> {
        match self {
            Self { kept: false, .. } | Self { storing: Some(_), .. } => None,
            Self { recalled: false, asked, not_before, .. } => not_before.filter(|_| !asked),
            Self { due, not_before, .. } => (*due).max(due.and(*not_before)),
        }
    }

    /// Whether nothing is being stored.
    pub(super) fn is_stored(&self) -> bool {
        self.storing.is_none()
    }

    /// Whether nothing is to be stored any more.
    pub(super) fn is_settled(&self) -> bool {
        self.is_stored() && (self.due.is_none() || !self.is_known())
    }
}

impl Scope {
    /// What is known was recalled. As long as nobody can see what the record says, nothing is looked at: it would be written
    /// over by one that knows less.
    pub(super) fn recalled(&mut self, recall: Recall, now: Time, actions: &mut Vec<Action>) {
        let scope = self.key.clone();
        let (record, fault) = match recall {
            Recall::Unread(error) => {
                (self.record.asked, self.record.not_before) = (false, Some(now + AFTER_A_FAULT));
                return actions.push(Action::Tell(Notice::RecordUnread { scope, error }));
            }
            Recall::Known(record) => (Some(*record), None),
            Recall::Missing => (None, Some(None)),
            Recall::Unusable(text) => (None, Some(Some(text))),
        };
        (self.record.recalled, self.record.not_before) = (true, None);
        let wall = self.wall;
        let record = record.map(|record| record.with_moments(|shown| wall.reaches(shown)));
        if let Some(record) = &record {
            self.board.recalled(&record.unsynced, now);
        }
        self.memory.recall(&self.key, record, now);
        if let Some(fault) = fault {
            let doubted = self.memory.guard.doubted().to_vec();
            actions.push(Action::Tell(Notice::NotRecalled { scope, fault, doubted }));
        }
    }

    /// Whether a change has to be in the record before its call is made, and is not yet; then its function waits until it
    /// is.
    pub(super) fn stores_first(&mut self, change: &Change) -> bool {
        let waits = self.record.kept && self.memory.guard.entry_of(change) > self.record.stored;
        if waits {
            self.record.waiting.insert(change.key.name.clone());
        }
        waits
    }

    /// The record was stored, or could not be. What waited for it is decided anew.
    pub(super) fn stored(&mut self, stored: Result<(), String>, now: Time, actions: &mut Vec<Action>) {
        let record = &mut self.record;
        let Some((entry, says)) = record.storing.take() else { return };
        let waiting = std::mem::take(&mut record.waiting);
        match &stored {
            Ok(()) => (record.stored, record.says, record.not_before) = (entry, Some(says), None),
            Err(_) => {
                let again = now + AFTER_A_FAULT;
                (record.says, record.due, record.not_before) = (None, Some(again), Some(again));
            }
        }
        let error = stored.as_ref().err().cloned();
        actions.push(Action::Tell(Notice::Stored { scope: self.key.clone(), error }));
        for name in waiting {
            match &stored {
                Ok(()) => self.decide(self.function(&name), None, now, actions),
                Err(error) => {
                    let change = self.memory.differs(&name).cloned();
                    let outcome = Outcome::blocked(Reason::NotStored, error);
                    self.pass_ends(&self.function(&name), outcome, change, now, actions);
                }
            }
        }
    }

    /// Stores what a call waits for at once, and whatever else was to be stored by now; all of it where the end has come.
    pub(super) fn store_what_is_due(&mut self, now: Time, actions: &mut Vec<Action>) {
        let entry = self.memory.guard.entries();
        let record = &self.record;
        let set = record.says.is_some_and(|(_, wall)| wall.apart(self.wall) > SET);
        let due = set || record.due.is_some_and(|due| due <= now || self.stopping);
        let early = !self.stopping && record.not_before.is_some_and(|at| now < at);
        if !record.recalled || record.storing.is_some() || early || !(due || entry > record.stored) {
            return;
        }
        self.record.due = None;
        let (unsynced, synced_by) =
            self.board.unsynced(&self.desired, |key| self.memory.left_in_sync(&self.desired, key));
        let says = ScopeRecord { unsynced, synced_by, ..self.memory.record(&self.key, &self.desired, now) };
        let mark = Mark::of(&says);
        let same = self.record.says.is_some_and(|(before, _)| before == mark);
        if same && !set && entry <= self.record.stored {
            return;
        }
        if let Ok(text) = says.with_moments(|at| self.wall.shows(at)).text() {
            self.record.storing = Some((entry, (mark, self.wall)));
            actions.push(Action::Store(text));
        }
    }
}
