//! How everything stands and what happened to it: a fold over outcomes, steps, sweeps and files, in this one place. What
//! people and metrics see comes from here.
//!
//! What is shown is shared, not copied: a function's line changes only where something about it does, and a picture of
//! the whole fleet ([`Board::picture`]) is a pointer for each function. So ten thousand that are in sync cost nothing.

mod history;
mod line;
mod scope;
mod since;

use std::collections::{BTreeMap, btree_map};
use std::sync::Arc;
use std::time::Duration;

pub use history::{Event, History, What};
pub use line::{Line, Live, Made};
pub use scope::{Counts, GuardLine, ScopeLine, Swept};

use self::since::Before;
use crate::apply::Order;
use crate::desired::{DesiredState, Entry, LoadFailure};
use crate::file::Diagnostic;
use crate::names::{Digest, FunctionKey, FunctionName, Network, ScopeKey, Time, VpcId, WallClock};
use crate::plan::{Answer, Change, Outcome, Reason, State, Why, not_loaded};
use crate::text::shown;

/// The functions of one account and region as they stand.
#[derive(Clone, Debug, Default)]
pub struct Board {
    lines: BTreeMap<FunctionName, Arc<Line>>,
    scope: ScopeLine,
    /// How functions stood when a process before this one ended.
    before: BTreeMap<FunctionName, Arc<Before>>,
    revision: u64,
}

/// How the desired state stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileLine {
    /// The digest of what is in force; none before the first.
    pub digest: Option<Digest>,
    /// Since when it is in force.
    pub since: Option<Time>,
    /// What is doubtful in it, in sentences with their places.
    pub warnings: Arc<[String]>,
    /// What is wrong with the file as it was last read, for people; none where it can be used.
    pub problem: Option<Arc<str>>,
}

impl FileLine {
    /// A desired state is in force.
    pub fn loaded(&mut self, desired: &DesiredState, warnings: &[Diagnostic], now: Time) {
        let warnings = warnings.iter().map(|warning| match warning.place() {
            Some(place) => format!("{place}: {}", warning.message()),
            None => warning.message().to_owned(),
        });
        let digest = Some(desired.digest.clone());
        *self = Self { digest, since: Some(now), warnings: warnings.collect(), problem: None };
    }

    /// The file was read and says what is in force.
    pub fn confirmed(&mut self) {
        self.problem = None;
    }

    /// The file was read and cannot be used.
    pub fn refused(&mut self, failure: &LoadFailure) {
        self.problem = Some(not_loaded(failure).into());
    }
}

/// A snapshot of a board, for metrics, page and API.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// Grows with each change of anything in here.
    pub revision: u64,
    /// Every function of the file, by name.
    pub lines: Vec<Arc<Line>>,
    /// The account and region.
    pub scope: ScopeLine,
}

/// How everything stands, put together from the pictures of all scopes.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// Grows with each change of anything in here.
    pub revision: u64,
    /// Every function of the file, by account, region and name.
    pub lines: Vec<Arc<Line>>,
    /// Every account and region.
    pub scopes: BTreeMap<ScopeKey, ScopeLine>,
    /// The desired state.
    pub file: FileLine,
    /// What is wrong with the settings as they were last read, for people; none where they can be used.
    pub settings: Option<Arc<str>>,
    /// What leads from these times to those that people read.
    pub wall: WallClock,
}

/// How a pass or a sweep found a function.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// What came of it.
    pub outcome: Outcome,
    /// What differs.
    pub change: Option<Arc<Change>>,
    /// When it is looked at again, beside the sweeps.
    pub next: Option<Time>,
    /// The VPC and the network that it has, as far as they were seen.
    pub live: Option<(Option<&'a VpcId>, &'a Arc<Network>)>,
    /// The digest of the file by which this was decided.
    pub digest: Digest,
}

impl Board {
    /// A desired state is in force: what it lists is on the board from now on, though nothing may be known of it yet.
    ///
    /// An entry that asks for the same as before is as applied as it was, by the new file as by the old one.
    pub fn listed(&mut self, desired: &DesiredState, now: Time) {
        for entry in &desired.entries {
            match self.lines.get_mut(&entry.key.name) {
                None => {
                    self.lines.insert(entry.key.name.clone(), Arc::new(Line::unread(Arc::clone(entry), now)));
                }
                Some(line) => {
                    if !line.entry.asks_the_same(entry) {
                        self.before.remove(&entry.key.name);
                    }
                    Arc::make_mut(line).listed(entry, &desired.digest, now);
                }
            }
        }
        self.revision += 1;
    }

    /// A pattern of the file in force means this function, as a sweep has found.
    pub fn appeared(&mut self, entry: &Arc<Entry>, now: Time) {
        if let btree_map::Entry::Vacant(place) = self.lines.entry(entry.key.name.clone()) {
            place.insert(Arc::new(Line::unread(Arc::clone(entry), now)));
            self.revision += 1;
        }
    }

    /// A difference was found that was not there before.
    pub fn differs(&mut self, change: &Change, now: Time) {
        self.happened(&change.key.name, What::Differs(change.cause), now);
    }

    /// What is doubtful about a function's entry, as it was just compared.
    pub fn doubts(&mut self, name: &FunctionName, warnings: Vec<String>) {
        let warnings: Vec<String> = warnings.iter().map(|warning| shown(warning).into_owned()).collect();
        if let Some(line) = self.lines.get_mut(name).filter(|line| *line.warnings != *warnings) {
            Arc::make_mut(line).warnings = warnings.into();
            self.revision += 1;
        }
    }

    /// A step was answered.
    pub fn stepped(&mut self, order: &Order, answer: &Answer, took: Duration, now: Time) {
        let name = &order.step.key().name;
        self.happened(name, What::stepped(&order.step, answer, took), now);
        if let (Answer::Done, Some(line)) = (answer, self.lines.get_mut(name)) {
            let order = order.clone();
            Arc::make_mut(line).last_change = Some(Arc::new(Made { at: now, took, order }));
        }
    }

    fn happened(&mut self, name: &FunctionName, what: What, now: Time) {
        if let Some(line) = self.lines.get_mut(name) {
            Arc::make_mut(line).history.add(what, now);
            self.revision += 1;
        }
    }

    /// It is known how a function stands. Returns the state before, if one was known.
    pub fn concluded(&mut self, entry: &Arc<Entry>, found: Found<'_>, now: Time) -> Option<State> {
        let since = self.since_before(&entry.key.name, &found.outcome);
        let scope = &mut self.scope;
        let line =
            self.lines.entry(entry.key.name.clone()).or_insert_with(|| Arc::new(Line::unread(Arc::clone(entry), now)));
        let before = line.is_known().then(|| line.outcome.state());
        if line.says(entry, &found) {
            return before;
        }
        if line.is_known() {
            scope.leaves(&line.outcome);
        }
        scope.comes(&found.outcome);
        let line = Arc::make_mut(line);
        line.concluded(entry, found, now);
        line.since = since.unwrap_or(line.since);
        self.revision += 1;
        before
    }

    /// A function left the file.
    pub fn released(&mut self, name: &FunctionName) {
        self.before.remove(name);
        let Some(line) = self.lines.remove(name) else { return };
        if line.is_known() {
            self.scope.leaves(&line.outcome);
        }
        self.revision += 1;
    }

    /// A sweep begins.
    pub fn sweeping(&mut self, now: Time) {
        self.scope.sweeping = Some(now);
        self.revision += 1;
    }

    /// A sweep has ended; where something could not be read, why.
    pub fn swept(&mut self, took: Duration, fault: Option<&Why>, now: Time) {
        self.scope.swept(took, fault, now);
        self.revision += 1;
    }

    /// How the guard stands.
    pub fn guarded(&mut self, guard: GuardLine) {
        if self.scope.guard != guard {
            self.scope.guard = guard;
            self.revision += 1;
        }
    }

    /// How a function stands; none if nothing is known yet.
    pub fn get(&self, name: &FunctionName) -> Option<&Line> {
        self.lines.get(name).map(Arc::as_ref).filter(|line| line.is_known())
    }

    /// Every function that something is known of.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.values().map(Arc::as_ref).filter(|line| line.is_known())
    }

    /// The account and region.
    pub fn scope(&self) -> &ScopeLine {
        &self.scope
    }

    /// Grows with each change of anything that [`Board::picture`] shows.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How everything stands now, to be shown elsewhere while the board goes on.
    pub fn picture(&self) -> Picture {
        Picture { revision: self.revision, lines: self.lines.values().cloned().collect(), scope: self.scope.clone() }
    }
}

impl Fleet {
    /// Puts pictures together; its revision is the caller's to say.
    pub fn of<'a>(pictures: impl Iterator<Item = (&'a ScopeKey, &'a Picture)>) -> Self {
        let mut fleet = Self::default();
        for (scope, picture) in pictures {
            fleet.lines.extend(picture.lines.iter().cloned());
            fleet.scopes.insert(scope.clone(), picture.scope.clone());
        }
        fleet
    }

    /// How a function stands; none if the file does not list it.
    pub fn get(&self, key: &FunctionKey) -> Option<&Arc<Line>> {
        let place = self.lines.binary_search_by(|line| line.entry.key.cmp(key));
        place.ok().and_then(|place| self.lines.get(place))
    }

    /// How many functions are in which state, those of which nothing is known yet among the unknown.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.lines.iter().for_each(|line| counts.add(line.outcome.state()));
        counts
    }
}

fn is_held_by_guard(outcome: &Outcome) -> bool {
    outcome.why().is_some_and(|why| why.reason == Reason::GuardHolding)
}

#[cfg(test)]
mod tests;
