//! What the queue counts of itself, with the meaning that Kubernetes controllers give to it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::names::Time;

/// The bounds of the buckets: from a pass that needs no call to one that waits for a budget.
pub const BUCKETS: [Duration; 13] = [
    Duration::from_millis(1),
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2500),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(300),
];

/// How many durations fell between which bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    /// By bucket: each duration in the first whose bound it does not exceed.
    pub counts: [u64; BUCKETS.len()],
    /// All of them, those beyond the last bound as well.
    pub count: u64,
    /// Their sum.
    pub sum: Duration,
}

impl Durations {
    pub(super) fn add(&mut self, duration: Duration) {
        if let Some((_, count)) = BUCKETS.iter().zip(&mut self.counts).find(|(bound, _)| duration <= **bound) {
            *count += 1;
        }
        self.count += 1;
        self.sum += duration;
    }
}

/// The queue in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Keys that are due and not being worked on, or come again as soon as the work in hand on them ends.
    pub depth: u64,
    /// Keys that were added, those left out that were there already.
    pub adds: u64,
    /// Keys that were to come again after a wait.
    pub retries: u64,
    /// How long keys were due before they were worked on.
    pub queued: Durations,
    /// How long they were worked on.
    pub worked: Durations,
    /// When the work in hand began, of each key.
    pub begun: Vec<Time>,
}

/// Counts what happens to the keys of a queue. It decides nothing, and is told all by the queue.
#[derive(Clone, Debug)]
pub(super) struct Counter<K> {
    now: Time,
    /// Keys that wait to be worked on, and since when.
    due: BTreeMap<K, Time>,
    /// Keys that are being worked on, and since when.
    begun: BTreeMap<K, Time>,
    /// Those of them that come again afterwards, and since when.
    again: BTreeMap<K, Time>,
    totals: QueueStats,
}

impl<K> Default for Counter<K> {
    fn default() -> Self {
        let (due, begun, again) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { now: Time(0), due, begun, again, totals: QueueStats::default() }
    }
}

impl<K: Ord + Clone> Counter<K> {
    /// It is this late now.
    pub(super) fn at(&mut self, now: Time) {
        self.now = now;
    }

    /// A key is to be worked on now. One that waits for that already is not counted again.
    pub(super) fn added(&mut self, key: &K) {
        self.added_since(key, self.now);
    }

    /// The same, of a key that was to be worked on earlier.
    pub(super) fn added_since(&mut self, key: &K, since: Time) {
        let waits = if self.begun.contains_key(key) { &mut self.again } else { &mut self.due };
        if !waits.contains_key(key) {
            waits.insert(key.clone(), since);
            self.totals.adds += 1;
        }
    }

    /// A key is to come again after a wait.
    pub(super) fn put_off(&mut self) {
        self.totals.retries += 1;
    }

    /// The work on a key begins.
    pub(super) fn taken(&mut self, key: &K) {
        let since = self.due.remove(key).unwrap_or(self.now);
        self.totals.queued.add(self.now.since(since));
        self.begun.insert(key.clone(), self.now);
    }

    /// The work on a key has ended, if there was any.
    pub(super) fn done(&mut self, key: &K) {
        if let Some(begun) = self.begun.remove(key) {
            self.totals.worked.add(self.now.since(begun));
        }
        if let Some(since) = self.again.remove(key) {
            self.due.insert(key.clone(), since);
        }
    }

    /// A key is not to be worked on any more.
    pub(super) fn removed(&mut self, key: &K) {
        self.due.remove(key);
        self.again.remove(key);
    }

    /// The queue in numbers; so many keys whose wait is over have not been added yet.
    pub(super) fn stats(&self, over: usize) -> QueueStats {
        let depth = u64::try_from(self.due.len() + self.again.len() + over).unwrap_or(u64::MAX);
        QueueStats { depth, begun: self.begun.values().copied().collect(), ..self.totals.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_mean_what_they_mean_in_kubernetes_controllers() {
        let seconds = Duration::from_secs;
        let mut counter = Counter::default();
        counter.at(Time(1_000));
        counter.added(&1);
        counter.added(&1);
        counter.added(&2);
        let stats = counter.stats(0);
        assert_eq!((stats.adds, stats.depth, stats.retries), (2, 2, 0), "what is there already is not added");

        counter.at(Time(4_000));
        counter.taken(&1);
        let stats = counter.stats(0);
        assert_eq!((stats.depth, stats.queued.count, stats.queued.sum), (1, 1, seconds(3)));
        assert_eq!(stats.begun, [Time(4_000)], "work that is not finished");

        counter.added(&1);
        counter.added(&1);
        assert_eq!(counter.stats(0).depth, 2, "what is added while it is worked on waits as well");
        counter.at(Time(6_000));
        counter.done(&1);
        counter.added(&1);
        let stats = counter.stats(0);
        assert_eq!((stats.worked.count, stats.worked.sum, stats.adds, stats.depth), (1, seconds(2), 3, 2));
        assert_eq!(stats.begun, []);

        counter.put_off();
        let stats = counter.stats(0);
        assert_eq!((stats.retries, stats.depth, stats.adds), (1, 2, 3), "it is not due");
        assert_eq!(counter.stats(1).depth, 3, "it is, and nobody has taken it");
        counter.at(Time(10_000));
        counter.added_since(&3, Time(9_000));
        counter.removed(&2);
        for key in [1, 3] {
            counter.taken(&key);
        }
        let stats = counter.stats(0);
        assert_eq!((stats.depth, stats.adds, stats.queued.count), (0, 4, 3));
        assert_eq!(stats.queued.sum, seconds(3 + 6 + 1), "each from when it was due");
        counter.done(&9);
        assert_eq!(counter.stats(0).worked.count, 1, "nobody worked on it");
    }

    #[test]
    fn each_duration_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let mut durations = Durations::default();
        for milliseconds in [0, 1, 2, 300_000, 300_001] {
            durations.add(Duration::from_millis(milliseconds));
        }
        assert_eq!((durations.counts[0], durations.counts[1], durations.counts[12]), (2, 1, 1));
        assert_eq!((durations.count, durations.counts.iter().sum()), (5, 4), "the last is beyond all bounds");
    }
}
