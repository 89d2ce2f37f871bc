//! The work queue of Kubernetes controllers as one small state machine, with time passed in.
//!
//! Fair: first come, first served. Stingy: a key that is added twice is worked on once. Never one key twice at a time:
//! what is added while it is worked on comes again afterwards. Of two delays the earlier wins.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::stats::{Counter, QueueStats};
use crate::names::Time;

/// Keys that are to be worked on, now or later.
#[derive(Clone, Debug)]
pub struct Queue<K> {
    ready: VecDeque<K>,
    queued: BTreeSet<K>,
    processing: BTreeSet<K>,
    dirty: BTreeSet<K>,
    waiting: BTreeMap<K, Time>,
    timers: BTreeSet<(Time, K)>,
    counter: Counter<K>,
}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Self {
            ready: VecDeque::new(),
            queued: BTreeSet::new(),
            processing: BTreeSet::new(),
            dirty: BTreeSet::new(),
            waiting: BTreeMap::new(),
            timers: BTreeSet::new(),
            counter: Counter::default(),
        }
    }
}

impl<K: Ord + Clone> Queue<K> {
    /// It is this late now, as far as the numbers are concerned.
    pub fn at(&mut self, now: Time) {
        self.counter.at(now);
    }

    /// The queue in numbers, at this moment.
    pub fn stats(&self, now: Time) -> QueueStats {
        let due = self.timers.iter().take_while(|(at, _)| *at <= now).count();
        self.counter.stats(due)
    }

    /// Adds a key, to be worked on as soon as may be.
    pub fn add(&mut self, key: K) {
        self.counter.added(&key);
        self.cancel(&key);
        if self.processing.contains(&key) {
            self.dirty.insert(key);
        } else if self.queued.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    /// Adds a key for later. A key that is ready, or comes again anyway, stays as it is.
    pub fn add_at(&mut self, key: K, at: Time) {
        self.counter.put_off();
        let sooner = self.waiting.get(&key).is_some_and(|earlier| *earlier <= at);
        if sooner || self.queued.contains(&key) || self.dirty.contains(&key) {
            return;
        }
        self.cancel(&key);
        self.waiting.insert(key.clone(), at);
        self.timers.insert((at, key));
    }

    /// Takes the next key, which then counts as being worked on until [`Queue::done`].
    pub fn pop(&mut self, now: Time) -> Option<K> {
        self.counter.at(now);
        while let Some((at, key)) = self.timers.first().cloned()
            && at <= now
        {
            self.counter.added_since(&key, at);
            self.add(key);
        }
        let key = self.ready.pop_front()?;
        self.counter.taken(&key);
        self.queued.remove(&key);
        self.processing.insert(key.clone());
        Some(key)
    }

    /// The work on a key has ended; if it was added meanwhile, it is ready again.
    pub fn done(&mut self, key: &K) {
        self.counter.done(key);
        self.processing.remove(key);
        if self.dirty.remove(key) {
            self.add(key.clone());
        }
    }

    /// Removes a key that is not being worked on; one that is does not come again.
    pub fn remove(&mut self, key: &K) {
        self.counter.removed(key);
        self.cancel(key);
        self.dirty.remove(key);
        if self.queued.remove(key) {
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
        self.processing.contains(key)
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
