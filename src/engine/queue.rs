//! The work queue of Kubernetes controllers as one small state machine, with time passed in.
//!
//! Fair: first come, first served. Stingy: a key that is added twice is worked on once. Never one key twice at a time:
//! what is added while it is worked on comes again afterwards. Of two delays the earlier wins.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::stats::QueueStats;
use crate::names::Time;

/// Keys that are to be worked on, now or later.
#[derive(Clone, Debug)]
pub struct Queue<K> {
    ready: VecDeque<K>,
    /// Those that are ready, and since when.
    queued: BTreeMap<K, Time>,
    /// Those that are being worked on, and since when.
    processing: BTreeMap<K, Time>,
    /// Those that are being worked on and were added meanwhile, and when.
    dirty: BTreeMap<K, Time>,
    waiting: BTreeMap<K, Time>,
    timers: BTreeSet<(Time, K)>,
    /// The moment of what happens now, for the statistics alone.
    now: Time,
    stats: QueueStats,
}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Self {
            ready: VecDeque::new(),
            queued: BTreeMap::new(),
            processing: BTreeMap::new(),
            dirty: BTreeMap::new(),
            waiting: BTreeMap::new(),
            timers: BTreeSet::new(),
            now: Time(0),
            stats: QueueStats::default(),
        }
    }
}

impl<K: Ord + Clone> Queue<K> {
    /// It is this late now.
    pub fn at(&mut self, now: Time) {
        self.now = now;
    }

    /// Adds a key, to be worked on as soon as may be.
    pub fn add(&mut self, key: K) {
        self.add_due(key, self.now);
    }

    /// Adds a key that has been due since a moment.
    fn add_due(&mut self, key: K, since: Time) {
        self.cancel(&key);
        if self.queued.contains_key(&key) || self.dirty.contains_key(&key) {
            return;
        }
        self.stats.adds += 1;
        if self.processing.contains_key(&key) {
            self.dirty.insert(key, since);
        } else {
            self.queued.insert(key.clone(), since);
            self.ready.push_back(key);
        }
    }

    /// Adds a key for later. A key that is ready, or comes again anyway, stays as it is.
    pub fn add_at(&mut self, key: K, at: Time) {
        self.stats.retries += 1;
        let sooner = self.waiting.get(&key).is_some_and(|earlier| *earlier <= at);
        if sooner || self.queued.contains_key(&key) || self.dirty.contains_key(&key) {
            return;
        }
        self.cancel(&key);
        self.waiting.insert(key.clone(), at);
        self.timers.insert((at, key));
    }

    /// Takes the next key, which then counts as being worked on until [`Queue::done`].
    pub fn pop(&mut self, now: Time) -> Option<K> {
        self.at(now);
        while let Some((at, key)) = self.timers.first().cloned()
            && at <= now
        {
            self.add_due(key, at);
        }
        let key = self.ready.pop_front()?;
        let since = self.queued.remove(&key).unwrap_or(now);
        self.stats.queued.add(now.since(since));
        self.processing.insert(key.clone(), now);
        Some(key)
    }

    /// The work on a key has ended; if it was added meanwhile, it is ready again.
    pub fn done(&mut self, key: &K) {
        if let Some(begun) = self.processing.remove(key) {
            self.stats.worked.add(self.now.since(begun));
        }
        if let Some(since) = self.dirty.remove(key) {
            self.queued.insert(key.clone(), since);
            self.ready.push_back(key.clone());
        }
    }

    /// The queue in numbers, at this moment.
    pub fn stats(&self, now: Time) -> QueueStats {
        let due = self.timers.iter().take_while(|(at, _)| *at <= now).count();
        let depth = u64::try_from(self.ready.len() + self.dirty.len() + due).unwrap_or(u64::MAX);
        QueueStats { depth, begun: self.processing.values().copied().collect(), ..self.stats.clone() }
    }

    /// Removes a key that is not being worked on; one that is does not come again.
    pub fn remove(&mut self, key: &K) {
        self.cancel(key);
        self.dirty.remove(key);
        if self.queued.remove(key).is_some() {
            self.ready.retain(|other| other != key);
        }
    }

    /// When the next waiting key is due.
    pub fn next_at(&self) -> Option<Time> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// How many keys are being worked on.
    pub fn processing(&self) -> usize {
        self.processing.len()
    }

    /// Whether this key is being worked on.
    pub fn is_processing(&self, key: &K) -> bool {
        self.processing.contains_key(key)
    }

    /// How many keys are ready.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    fn cancel(&mut self, key: &K) {
        if let Some(at) = self.waiting.remove(key) {
            self.timers.remove(&(at, key.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_added_twice_is_worked_on_once() {
        let mut queue = Queue::default();
        queue.add(1);
        queue.add(1);
        assert_eq!(queue.pop(Time(0)), Some(1));
        assert_eq!(queue.pop(Time(0)), None);
    }

    #[test]
    fn a_key_added_while_worked_on_comes_again_afterwards() {
        let mut queue = Queue::default();
        queue.add(1);
        assert_eq!(queue.pop(Time(0)), Some(1));
        queue.add(1);
        assert_eq!(queue.pop(Time(0)), None);
        queue.done(&1);
        assert_eq!(queue.pop(Time(0)), Some(1));
    }

    #[test]
    fn the_earlier_of_two_delays_wins() {
        let mut queue = Queue::default();
        queue.add_at(1, Time(50));
        queue.add_at(1, Time(20));
        queue.add_at(1, Time(90));
        assert_eq!(queue.next_at(), Some(Time(20)));
        assert_eq!(queue.pop(Time(19)), None);
        assert_eq!(queue.pop(Time(20)), Some(1));
        assert_eq!(queue.next_at(), None);
    }

    #[test]
    fn a_removed_key_does_not_come_again() {
        let mut queue = Queue::default();
        queue.add(1);
        queue.add_at(2, Time(5));
        queue.remove(&1);
        queue.remove(&2);
        assert_eq!(queue.pop(Time(9)), None);
        assert_eq!(queue.stats(Time(9)).depth, 0);
    }

    #[test]
    fn the_numbers_mean_what_they_mean_in_kubernetes_controllers() {
        let seconds = std::time::Duration::from_secs;
        let mut queue = Queue::default();
        queue.at(Time(1_000));
        queue.add(1);
        queue.add(1);
        queue.add(2);
        let stats = queue.stats(Time(1_000));
        assert_eq!((stats.adds, stats.depth, stats.retries), (2, 2, 0), "what is there already is not added");

        assert_eq!(queue.pop(Time(4_000)), Some(1));
        let stats = queue.stats(Time(4_000));
        assert_eq!((stats.depth, stats.queued.count, stats.queued.sum), (1, 1, seconds(3)));
        assert_eq!(stats.begun, [Time(4_000)], "work that is not finished");

        queue.add(1);
        assert_eq!(queue.stats(Time(4_000)).depth, 2, "what is added while it is worked on waits as well");
        queue.at(Time(6_000));
        queue.done(&1);
        let stats = queue.stats(Time(6_000));
        assert_eq!((stats.worked.count, stats.worked.sum, stats.adds), (1, seconds(2), 3));
        assert_eq!(stats.begun, []);

        queue.add_at(3, Time(9_000));
        let before = queue.stats(Time(8_999));
        assert_eq!((before.retries, before.depth, before.adds), (1, 2, 3), "it is not due");
        assert_eq!(queue.stats(Time(9_000)).depth, 3);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop(Time(10_000))).collect();
        assert_eq!(order, [2, 1, 3]);
        let stats = queue.stats(Time(10_000));
        assert_eq!((stats.depth, stats.adds, stats.queued.count), (0, 4, 4));
        assert_eq!(stats.queued.sum, seconds(3 + 9 + 6 + 1), "each from when it was due");
        queue.done(&9);
        assert_eq!(queue.stats(Time(10_000)).worked.count, 1, "nobody worked on it");
    }

    #[derive(Clone, Debug)]
    enum Op {
        Add(u8),
        AddAt(u8, u64),
        Pop,
        Done(u8),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (0..4_u8).prop_map(Op::Add),
            (0..4_u8, 0..100_u64).prop_map(|(key, at)| Op::AddAt(key, at)),
            Just(Op::Pop),
            (0..4_u8).prop_map(Op::Done),
        ]
    }

    proptest! {
        #[test]
        fn no_key_is_lost_and_none_is_worked_on_twice_at_once(ops in prop::collection::vec(op(), 0..60)) {
            let mut queue = Queue::default();
            let mut working: BTreeSet<u8> = BTreeSet::new();
            let mut owed: BTreeSet<u8> = BTreeSet::new();
            for op in ops {
                match op {
                    Op::Add(key) => { queue.add(key); owed.insert(key); }
                    Op::AddAt(key, at) => { queue.add_at(key, Time(at)); owed.insert(key); }
                    Op::Pop => if let Some(key) = queue.pop(Time(50)) {
                        prop_assert!(working.insert(key), "{} is worked on twice", key);
                        owed.remove(&key);
                    },
                    Op::Done(key) => if working.remove(&key) { queue.done(&key) },
                }
            }
            for key in working { queue.done(&key); }
            while let Some(key) = queue.pop(Time(1000)) {
                owed.remove(&key);
                queue.done(&key);
            }
            prop_assert!(owed.is_empty(), "lost: {:?}", owed);
        }
    }
}
