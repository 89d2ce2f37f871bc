//! What was let through in the last hour, in one scope.

use std::collections::BTreeMap;

use super::{ALWAYS, WINDOW};
use crate::names::{FunctionName, Mark, Time};
use crate::plan::record::{ChangedFunction, ChangedRecord, HourRecord, PerhapsRecord};
use crate::plan::{Cause, Change};

/// To so many networks a function may go in an hour for edits of the file, and be counted once: one edit, and its
/// correction.
const NETWORKS: usize = 2;

/// The last hour.
#[derive(Clone, Debug, Default)]
pub(super) struct Hour {
    /// Since when a record knows all of it.
    known_since: Option<Time>,
    places: BTreeMap<FunctionName, Vec<Place>>,
    counts: BTreeMap<Cause, Counter>,
    /// Functions that somebody changed before anything was known.
    perhaps: BTreeMap<FunctionName, Time>,
}

/// A function that counts for a cause.
#[derive(Clone, Debug)]
struct Place {
    cause: Cause,
    /// The network that it had.
    from: Option<Mark>,
    /// Those that it got, or shall get; none where only a policy is missing.
    to: Vec<Mark>,
    /// When it was last asked for.
    asked: Time,
    /// When the first call was made; until then the place is only reserved.
    made: Option<Time>,
    /// How many calls were made.
    calls: u32,
    /// Its number among the entries of the scope.
    entry: u64,
}

/// How many places there are for one cause.
#[derive(Clone, Debug, Default)]
struct Counter {
    reserved: usize,
    /// When calls were made, in order.
    made: Vec<Time>,
}

fn counts(at: Time, now: Time) -> bool {
    now.since(at) < WINDOW
}

impl Counter {
    fn at(&self, now: Time) -> usize {
        self.reserved + self.made.len() - self.made.partition_point(|at| !counts(*at, now))
    }

    fn make(&mut self, at: Time) {
        let place = self.made.partition_point(|other| *other <= at);
        self.made.insert(place, at);
    }

    fn unmake(&mut self, at: Time) {
        if let Ok(place) = self.made.binary_search(&at) {
            self.made.remove(place);
        }
    }
}

impl Place {
    fn counts(&self, now: Time) -> bool {
        self.made.is_none_or(|at| counts(at, now))
    }

    /// Whether a change is what the function was counted for: it goes where it is going already, or back.
    fn is_for(&self, change: &Change) -> bool {
        let Some(network) = &change.network else { return true };
        let to = Mark::of(&*network.to);
        self.to.contains(&to) || self.from == Some(to)
    }

    /// Whether a change may be made in the same place all the same.
    fn has_room_for(&self, change: &Change) -> bool {
        (self.cause, change.cause) == (Cause::File, Cause::File) && self.to.len() < NETWORKS
    }
}

impl Hour {
    pub(super) fn known_since(&self) -> Option<Time> {
        self.known_since
    }

    /// Whether a change is one of a function that is counted for it already.
    pub(super) fn admits(&self, change: &Change, now: Time) -> bool {
        let places = self.places.get(&change.key.name).into_iter().flatten();
        let mut counting = places.filter(|place| place.counts(now));
        counting.any(|place| place.is_for(change) || place.has_room_for(change))
    }

    /// How many functions count for a cause.
    pub(super) fn changed(&self, cause: Cause, now: Time) -> usize {
        // More than always pass say no more than that.
        let perhaps = self.perhaps.values().filter(|at| counts(**at, now)).take(ALWAYS).count();
        self.counts.get(&cause).map_or(0, |counter| counter.at(now)) + perhaps
    }

    /// A function gets its place. Returns whether it is one, or for a network, that was not counted before; then it has
    /// this number.
    pub(super) fn reserve(&mut self, change: &Change, entry: u64, now: Time) -> bool {
        self.forget(now);
        let places = self.places.entry(change.key.name.clone()).or_default();
        if let Some(place) = places.iter_mut().find(|place| place.is_for(change)) {
            place.asked = now;
            return false;
        }
        let network = change.network.as_ref();
        let (from, to) = (network.map(|it| Mark::of(&*it.from)), network.map(|it| Mark::of(&*it.to)));
        if let Some(place) = places.iter_mut().find(|place| place.has_room_for(change)) {
            (place.asked, place.entry, place.from) = (now, entry, place.from.or(from));
            place.to.extend(to);
            return true;
        }
        self.perhaps.remove(&change.key.name);
        let cause = change.cause;
        places.push(Place { cause, from, to: to.into_iter().collect(), asked: now, made: None, calls: 0, entry });
        self.counts.entry(cause).or_default().reserved += 1;
        true
    }

    /// The number of the entry by which a function may be changed.
    pub(super) fn entry_of(&self, change: &Change) -> u64 {
        let places = self.places.get(&change.key.name).into_iter().flatten();
        places.filter(|place| place.is_for(change)).map(|place| place.entry).max().unwrap_or_default()
    }

    /// The place that was asked for last, and what is counted for its cause.
    fn latest(&mut self, name: &FunctionName) -> Option<(&mut Place, &mut Counter)> {
        let place = self.places.get_mut(name)?.iter_mut().max_by_key(|place| place.asked)?;
        let counter = self.counts.entry(place.cause).or_default();
        Some((place, counter))
    }

    pub(super) fn made(&mut self, name: &FunctionName) {
        let Some((place, counter)) = self.latest(name) else { return };
        place.calls += 1;
        if place.made.is_none() {
            place.made = Some(place.asked);
            counter.reserved -= 1;
            counter.make(place.asked);
        }
    }

    pub(super) fn not_made(&mut self, name: &FunctionName) {
        let Some((place, counter)) = self.latest(name) else { return };
        place.calls = place.calls.saturating_sub(1);
        if let (Some(at), 0) = (place.made, place.calls) {
            place.made = None;
            counter.unmake(at);
            counter.reserved += 1;
        }
    }

    pub(super) fn ended(&mut self, name: &FunctionName) {
        let Some(places) = self.places.get_mut(name) else { return };
        for place in places.extract_if(.., |place| place.made.is_none()) {
            if let Some(counter) = self.counts.get_mut(&place.cause) {
                counter.reserved -= 1;
            }
        }
        if places.is_empty() {
            self.places.remove(name);
        }
    }

    pub(super) fn perhaps(&mut self, name: &FunctionName, at: Time, now: Time) {
        self.perhaps.retain(|_, at| counts(*at, now));
        if !self.places.contains_key(name) {
            self.perhaps.entry(name.clone()).or_insert(at);
        }
    }

    /// Forgets what is more than an hour ago.
    fn forget(&mut self, now: Time) {
        let mut over = false;
        for counter in self.counts.values_mut() {
            let first = counter.made.partition_point(|at| !counts(*at, now));
            over |= counter.made.drain(..first).count() > 0;
        }
        if over {
            self.places.retain(|_, places| {
                places.retain(|place| place.counts(now));
                !places.is_empty()
            });
        }
    }

    pub(super) fn record(&self, now: Time) -> HourRecord {
        let mut changed: BTreeMap<(Cause, Vec<Mark>), Vec<ChangedFunction>> = BTreeMap::new();
        for (name, places) in &self.places {
            for place in places.iter().filter(|place| place.counts(now)) {
                let networks = place.from.iter().chain(&place.to).copied().collect();
                let function = ChangedFunction { name: name.clone(), at: place.made };
                changed.entry((place.cause, networks)).or_default().push(function);
            }
        }
        let changed =
            changed.into_iter().map(|((cause, networks), functions)| ChangedRecord { cause, networks, functions });
        let perhaps = self.perhaps.iter().filter(|(_, at)| counts(**at, now));
        let perhaps = perhaps.map(|(name, at)| PerhapsRecord { function: name.clone(), at: *at });
        HourRecord { known_since: self.known_since, changed: changed.collect(), perhaps: perhaps.collect() }
    }

    /// Adds what a record says. A clock that has been set back makes no hour longer, and a function that was about to be
    /// changed when the process ended may have been changed.
    pub(super) fn recall(&mut self, record: HourRecord, now: Time) {
        let HourRecord { known_since, changed, perhaps } = record;
        let known_since = known_since.map(|since| since.min(now));
        self.known_since = [self.known_since, known_since].into_iter().flatten().min();
        for ChangedRecord { cause, networks, functions } in changed {
            let (from, to) = networks.split_first().map_or((None, &[][..]), |(from, to)| (Some(*from), to));
            for ChangedFunction { name, at } in functions {
                let at = at.unwrap_or(now).min(now);
                let places = self.places.entry(name).or_default();
                let same = |place: &Place| (place.cause, place.from, place.to.as_slice()) == (cause, from, to);
                if counts(at, now) && !places.iter().any(same) {
                    self.counts.entry(cause).or_default().make(at);
                    let (to, made) = (to.to_vec(), Some(at));
                    places.push(Place { cause, from, to, asked: at, made, calls: 1, entry: 0 });
                }
            }
        }
        self.places.retain(|_, places| !places.is_empty());
        for PerhapsRecord { function, at } in perhaps {
            self.perhaps(&function, at.min(now), now);
        }
    }
}
