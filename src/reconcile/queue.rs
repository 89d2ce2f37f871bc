//! The work queue of Kubernetes controllers as one small state machine, with time passed in.
//!
//! Stingy: a key that is added twice is worked on once. Never one key twice at a time: what is added while it is worked on
//! comes again afterwards. Of two delays the earlier wins. Who came first goes first, but for what somebody waits for.
//! A key that waits for its time holds no slot.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::names::Time;

/// Who goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Somebody has edited the file and is perhaps looking on.
    Edit,
    /// A resync or a retry.
    Routine,
}

/// The work on a key, from the time it was taken until it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Which one it is of all that this queue has given out, from 1.
    pub number: u64,
    /// When it began.
    pub begun: Time,
}

/// What has happened in a queue since that was last asked, and what is in hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Keys that are due and not being worked on, or come again as soon as the work in hand on them ends.
    pub depth: usize,
    /// When the work in hand began, of each key.
    pub begun: Vec<Time>,
    /// Keys that were added since, those left out that were there already.
    pub adds: u64,
    /// Keys that were to come again after a wait.
    pub retries: u64,
    /// How long keys were due before they were worked on.
    pub queued: Vec<Duration>,
    /// How long they were worked on.
    pub worked: Vec<Duration>,
}

/// Keys that are to be worked on, now or later.
#[derive(Clone, Debug)]
pub struct Queue<K> {
    ready: BTreeMap<K, Due>,
    /// By rank in the order of their coming. May also hold keys that have been taken, removed or promoted since: only
    /// what is ready with this rank counts.
    order: BTreeMap<Rank, VecDeque<K>>,
    /// Those that are being worked on, and since when.
    processing: BTreeMap<K, Work>,
    /// How many keys were ever taken.
    taken: u64,
    /// Those that are being worked on and were added meanwhile.
    dirty: BTreeMap<K, Due>,
    waiting: BTreeMap<K, Time>,
    timers: BTreeSet<(Time, K)>,
    /// The moment of what happens now, for the statistics alone.
    now: Time,
    stats: QueueStats,
}

/// How a key that is to be worked on came to be so.
#[derive(Clone, Copy, Debug)]
struct Due {
    rank: Rank,
    since: Time,
}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Self {
            ready: BTreeMap::new(),
            order: BTreeMap::new(),
            processing: BTreeMap::new(),
            taken: 0,
            dirty: BTreeMap::new(),
            waiting: BTreeMap::new(),
            timers: BTreeSet::new(),
            now: Time::default(),
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
    pub fn add(&mut self, key: K, rank: Rank) {
        self.add_due(key, Due { rank, since: self.now });
    }

    fn add_due(&mut self, key: K, due: Due) {
        self.cancel(&key);
        self.stats.adds += u64::from(!self.ready.contains_key(&key) && !self.dirty.contains_key(&key));
        if self.processing.contains_key(&key) {
            let before = self.dirty.get(&key).copied().unwrap_or(due);
            self.dirty.insert(key, Due { rank: due.rank.min(before.rank), ..before });
        } else {
            self.is_ready(key, due);
        }
    }

    fn is_ready(&mut self, key: K, due: Due) {
        let before = self.ready.get(&key);
        if before.is_none_or(|before| due.rank < before.rank) {
            self.order.entry(due.rank).or_default().push_back(key.clone());
            self.ready.insert(key, before.map_or(due, |before| Due { since: before.since, ..due }));
        }
    }

    /// Adds a key for later. A key that is ready, or comes again anyway, stays as it is.
    pub fn add_at(&mut self, key: K, at: Time) {
        self.stats.retries += 1;
        let sooner = self.waiting.get(&key).is_some_and(|earlier| *earlier <= at);
        if sooner || self.ready.contains_key(&key) || self.dirty.contains_key(&key) {
            return;
        }
        self.cancel(&key);
        self.waiting.insert(key.clone(), at);
        self.timers.insert((at, key));
    }

    /// Takes the next key if fewer than `slots` are being worked on; it then counts as being worked on until
    /// [`Queue::done`].
    pub fn pop(&mut self, now: Time, slots: usize) -> Option<K> {
        self.at(now);
        while let Some((at, key)) = self.timers.first().cloned()
            && at <= now
        {
            self.add_due(key, Due { rank: Rank::Routine, since: at });
        }
        if self.processing.len() >= slots {
            return None;
        }
        let (key, due) = self.take()?;
        self.stats.queued.push(now.since(due.since));
        self.taken += 1;
        self.processing.insert(key.clone(), Work { number: self.taken, begun: now });
        Some(key)
    }

    fn take(&mut self) -> Option<(K, Due)> {
        for (rank, keys) in &mut self.order {
            while let Some(key) = keys.pop_front() {
                if let Some(due) = self.ready.get(&key).copied().filter(|due| due.rank == *rank) {
                    self.ready.remove(&key);
                    return Some((key, due));
                }
            }
        }
        None
    }

    /// The work on a key has ended; if it was added meanwhile, it is ready again. Returns what has ended; none if nobody
    /// worked on it.
    pub fn done(&mut self, key: &K) -> Option<Work> {
        let work = self.processing.remove(key)?;
        self.stats.worked.push(self.now.since(work.begun));
        if let Some(due) = self.dirty.remove(key) {
            self.is_ready(key.clone(), due);
        }
        Some(work)
    }

    /// What has happened since this was last asked, and what is in hand.
    pub fn take_stats(&mut self, now: Time) -> QueueStats {
        let due = self.timers.iter().take_while(|(at, _)| *at <= now).count();
        let depth = self.ready.len() + self.dirty.len() + due;
        let begun = self.processing.values().map(|work| work.begun).collect();
        QueueStats { depth, begun, ..std::mem::take(&mut self.stats) }
    }

    /// Removes a key that is not being worked on; one that is does not come again.
    pub fn remove(&mut self, key: &K) {
        self.cancel(key);
        self.dirty.remove(key);
        self.ready.remove(key);
    }

    /// When the next waiting key is due.
    pub fn next_at(&self) -> Option<Time> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// How many keys are being worked on.
    pub fn processing(&self) -> usize {
        self.processing.len()
    }

    /// The work on a key that goes on.
    pub fn work(&self, key: &K) -> Option<Work> {
        self.processing.get(key).copied()
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

    type Key = u8;

    fn queue(keys: &[Key]) -> Queue<Key> {
        let mut queue = Queue::default();
        keys.iter().for_each(|key| queue.add(*key, Rank::Routine));
        queue
    }

    /// Takes all that may be worked on, with this many slots.
    fn all(queue: &mut Queue<Key>, now: u64, slots: usize) -> Vec<Key> {
        std::iter::from_fn(|| queue.pop(Time(now), slots)).collect()
    }

    #[test]
    fn a_key_added_twice_is_worked_on_once() {
        let mut queue = queue(&[1, 1]);
        assert_eq!(all(&mut queue, 0, 9), [1]);
    }

    #[test]
    fn a_key_added_while_worked_on_comes_again_afterwards() {
        let mut queue = queue(&[1]);
        assert_eq!(all(&mut queue, 0, 9), [1]);
        queue.add(1, Rank::Routine);
        assert_eq!(all(&mut queue, 0, 9), [0; 0]);
        queue.done(&1);
        assert_eq!(all(&mut queue, 0, 9), [1]);
    }

    #[test]
    fn the_earlier_of_two_delays_wins() {
        let mut queue = queue(&[]);
        for at in [50, 20, 90] {
            queue.add_at(1, Time(at));
        }
        assert_eq!(queue.next_at(), Some(Time(20)));
        assert_eq!(all(&mut queue, 19, 9), [0; 0]);
        assert_eq!(all(&mut queue, 20, 9), [1]);
        assert_eq!(queue.next_at(), None);
    }

    #[test]
    fn a_removed_key_does_not_come_again() {
        let mut queue = queue(&[1]);
        queue.add_at(2, Time(5));
        queue.remove(&1);
        queue.remove(&2);
        assert_eq!(all(&mut queue, 9, 9), [0; 0]);
        queue.add(1, Rank::Routine);
        assert_eq!(all(&mut queue, 9, 9), [1], "unless it is added again, and then once");
    }

    #[test]
    fn no_more_are_worked_on_than_there_are_slots() {
        let mut queue = queue(&[1, 2, 3]);
        assert_eq!(all(&mut queue, 0, 2), [1, 2]);
        assert_eq!(all(&mut queue, 0, 2), [0; 0]);
        queue.done(&1);
        assert_eq!(all(&mut queue, 0, 2), [3]);
    }

    #[test]
    fn an_edit_goes_before_what_is_routine_also_when_it_was_that_before() {
        let mut queue = queue(&[1, 2, 3]);
        queue.add(9, Rank::Edit);
        queue.add(3, Rank::Edit);
        queue.add(3, Rank::Routine);
        assert_eq!(all(&mut queue, 0, 9), [9, 3, 1, 2]);
    }

    #[test]
    fn an_edit_while_it_is_worked_on_is_still_one_when_it_comes_again() {
        let mut queue = queue(&[1]);
        queue.pop(Time(0), 1);
        queue.add(1, Rank::Edit);
        queue.add(1, Rank::Routine);
        queue.add(2, Rank::Routine);
        queue.done(&1);
        assert_eq!(all(&mut queue, 0, 9), [1, 2]);
    }

    #[test]
    fn a_key_that_waits_holds_no_slot() {
        let mut queue = queue(&[1]);
        queue.pop(Time(0), 1);
        queue.done(&1);
        queue.add_at(1, Time(50));
        queue.add(2, Rank::Routine);
        assert_eq!(all(&mut queue, 0, 1), [2]);
    }

    #[test]
    fn the_numbers_mean_what_they_mean_in_kubernetes_controllers() {
        let seconds = Duration::from_secs;
        let mut queue = queue(&[]);
        queue.at(Time(1_000));
        [1, 1, 2].into_iter().for_each(|key| queue.add(key, Rank::Routine));
        let stats = queue.take_stats(Time(1_000));
        assert_eq!((stats.adds, stats.depth, stats.retries), (2, 2, 0), "what is there already is not added");

        assert_eq!(queue.pop(Time(4_000), 1), Some(1));
        let stats = queue.take_stats(Time(4_000));
        assert_eq!((stats.adds, stats.depth, stats.queued), (0, 1, vec![seconds(3)]), "each is told once");
        assert_eq!(stats.begun, [Time(4_000)], "work that is not finished");

        queue.add(1, Rank::Routine);
        assert_eq!(queue.take_stats(Time(4_000)).depth, 2, "what is added while it is worked on waits as well");
        queue.at(Time(6_000));
        queue.done(&1);
        let stats = queue.take_stats(Time(6_000));
        assert_eq!((stats.worked, stats.begun), (vec![seconds(2)], vec![]));

        queue.add_at(3, Time(9_000));
        let before = queue.take_stats(Time(8_999));
        assert_eq!((before.retries, before.depth, before.adds), (1, 2, 0), "it is not due");
        assert_eq!(queue.take_stats(Time(9_000)).depth, 3);
        assert_eq!(all(&mut queue, 10_000, 9), [2, 1, 3]);
        let stats = queue.take_stats(Time(10_000));
        assert_eq!((stats.depth, stats.adds), (0, 1));
        assert_eq!(stats.queued, [seconds(9), seconds(6), seconds(1)], "each from when it was due");
        queue.done(&9);
        assert_eq!(queue.take_stats(Time(10_000)).worked, [Duration::ZERO; 0], "nobody worked on it");
    }

    #[derive(Clone, Debug)]
    enum Op {
        Add(Key, Rank),
        AddAt(Key, u64),
        Pop,
        Done(Key),
        Remove(Key),
    }

    fn op() -> impl Strategy<Value = Op> {
        let key = || 0..6_u8;
        let rank = prop_oneof![Just(Rank::Edit), Just(Rank::Routine)];
        prop_oneof![
            3 => (key(), rank).prop_map(|(key, rank)| Op::Add(key, rank)),
            2 => (key(), 0..100_u64).prop_map(|(key, at)| Op::AddAt(key, at)),
            3 => Just(Op::Pop),
            3 => key().prop_map(Op::Done),
            1 => key().prop_map(Op::Remove),
        ]
    }

    proptest! {
        #[test]
        fn no_key_is_lost_none_comes_without_cause_and_none_twice_at_once(ops in prop::collection::vec(op(), 0..80)) {
            const SLOTS: usize = 2;
            let mut queue = Queue::default();
            let mut working: BTreeSet<Key> = BTreeSet::new();
            let mut owed: BTreeSet<Key> = BTreeSet::new();
            for op in ops {
                match op {
                    Op::Add(key, rank) => { queue.add(key, rank); owed.insert(key); }
                    Op::AddAt(key, at) => { queue.add_at(key, Time(at)); owed.insert(key); }
                    Op::Pop => if let Some(key) = queue.pop(Time(50), SLOTS) {
                        prop_assert!(working.insert(key), "{:?} is worked on twice", key);
                        prop_assert!(owed.remove(&key), "nobody asked for {:?}", key);
                        prop_assert!(working.len() <= SLOTS);
                    },
                    Op::Done(key) => if working.remove(&key) { queue.done(&key); },
                    Op::Remove(key) => { queue.remove(&key); owed.remove(&key); }
                }
            }
            for key in working { queue.done(&key); }
            while let Some(key) = queue.pop(Time(1000), SLOTS) {
                prop_assert!(owed.remove(&key), "nobody asked for {:?}", key);
                queue.done(&key);
            }
            prop_assert!(owed.is_empty(), "lost: {:?}", owed);
            prop_assert_eq!((queue.ready(), queue.processing(), queue.next_at()), (0, 0, None));
        }
    }
}
