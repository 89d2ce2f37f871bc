//! Since when functions are out of sync, over the end of the process.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Board;
use crate::desired::DesiredState;
use crate::names::{Digest, FunctionKey, FunctionName, Time};
use crate::plan::record::UnsyncedRecord;
use crate::plan::{Cause, Outcome, Reason, State};

/// Of so many functions of a scope it is kept since when they are out of sync; of more, of those that are it longest.
const KEPT: usize = 20_000;

/// How a function stood when a process before this one ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Before {
    since: Time,
    state: State,
    reason: String,
    cause: Option<Cause>,
}

impl Before {
    /// Since when a function stands so that is found to: since before, if it stood the same then.
    fn lasts(&self, outcome: &Outcome) -> bool {
        self.state == outcome.state() && outcome.why().is_some_and(|why| why.reason.name() == self.reason)
    }
}

impl Board {
    /// What the record says.
    pub fn recalled(&mut self, unsynced: &[UnsyncedRecord], now: Time) {
        for UnsyncedRecord { state, reason, cause, since, functions } in unsynced {
            let before =
                Arc::new(Before { since: (*since).min(now), state: *state, reason: reason.clone(), cause: *cause });
            self.before.extend(functions.iter().map(|name| (name.clone(), Arc::clone(&before))));
        }
    }

    /// Since when a function stands so, if that is since before this process. What a function was before counts until it
    /// stands the same again, or comes to rest otherwise: what a new process has to find out first makes it no newer.
    pub(super) fn since_before(&mut self, name: &FunctionName, outcome: &Outcome) -> Option<Time> {
        let lasts = self.before.get(name)?.lasts(outcome);
        let before = if lasts || outcome.rests() { self.before.remove(name) } else { None };
        before.filter(|_| lasts).map(|before| before.since)
    }

    /// What belongs into the record: the functions that are not in sync, and the digest of the file by which all
    /// others are; none where that is not known of each. One that this process could not read is as it was left.
    pub fn unsynced(
        &self,
        desired: &DesiredState,
        left_in_sync: impl Fn(&FunctionKey) -> bool,
    ) -> (Vec<UnsyncedRecord>, Option<Digest>) {
        let mut groups: BTreeMap<Before, Vec<FunctionName>> = BTreeMap::new();
        let mut all_known = true;
        for entry in &desired.entries {
            let line = self.lines.get(&entry.key.name);
            let read = line.is_some_and(|line| line.outcome.state() != State::Unknown);
            if !read && !self.before.contains_key(&entry.key.name) && left_in_sync(&entry.key) {
                continue;
            }
            let Some(line) = line else {
                all_known = false;
                continue;
            };
            if line.outcome == Outcome::InSync {
                all_known &= line.applied.as_ref() == Some(&desired.digest);
                continue;
            }
            let stands = match self.before.get(&entry.key.name) {
                Some(before) => Before::clone(before),
                None => Before {
                    since: line.since,
                    state: line.outcome.state(),
                    reason: line.outcome.why().map_or(Reason::Unread, |why| why.reason).name().to_owned(),
                    cause: line.change.as_ref().map(|change| change.cause),
                },
            };
            groups.entry(stands).or_default().push(entry.key.name.clone());
        }
        let mut room = KEPT;
        let record = |(Before { since, state, reason, cause }, mut functions): (Before, Vec<FunctionName>)| {
            functions.truncate(room);
            room -= functions.len();
            UnsyncedRecord { state, reason, cause, since, functions }
        };
        let wanted: usize = groups.values().map(Vec::len).sum();
        let unsynced = groups.into_iter().map(record).filter(|it| !it.functions.is_empty()).collect();
        (unsynced, Some(desired.digest.clone()).filter(|_| all_known && wanted <= KEPT))
    }
}
