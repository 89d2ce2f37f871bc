//! The work queue of Kubernetes controllers as one small state machine, with time passed in.
//!
//! Stingy: a key that is added twice is worked on once. Never one key twice at a time: what is added while it is worked on
//! comes again afterwards. Of two delays the earlier wins. Fair: of each lane only so many keys are worked on at the same
//! time, lanes take turns, and within a lane who came first goes first; so a lane whose work is slow never holds up
//! another, and a key that waits for its time holds no slot.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

use super::stats::QueueStats;
use crate::names::{FunctionKey, ScopeKey, Time};

/// A key that belongs to a lane.
pub trait Keyed: Ord + Clone {
    /// What keys have in common that share slots.
    type Lane: Ord + Clone;
    /// The lane of this key.
    fn lane(&self) -> &Self::Lane;
}

impl Keyed for FunctionKey {
    type Lane = ScopeKey;
    fn lane(&self) -> &ScopeKey {
        &self.scope
    }
}

/// Who goes first within a lane.
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

/// Keys that are to be worked on, now or later.
#[derive(Clone, Debug)]
pub struct Queue<K: Keyed> {
    lanes: BTreeMap<K::Lane, Lane<K>>,
    /// The lane that was served last.
    served: Option<K::Lane>,
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

/// The keys of one lane that are ready, by rank in the order of their coming.
#[derive(Clone, Debug)]
struct Lane<K> {
    ready: BTreeMap<K, Due>,
    /// May also hold keys that have been taken, removed or promoted since: only what is ready with this rank counts.
    order: BTreeMap<Rank, VecDeque<K>>,
    processing: usize,
}

impl<K: Ord + Clone> Lane<K> {
    fn new() -> Self {
        Self { ready: BTreeMap::new(), order: BTreeMap::new(), processing: 0 }
    }

    fn add(&mut self, key: K, due: Due) {
        let before = self.ready.get(&key);
        if before.is_none_or(|before| due.rank < before.rank) {
            self.order.entry(due.rank).or_default().push_back(key.clone());
            self.ready.insert(key, before.map_or(due, |before| Due { since: before.since, ..due }));
        }
    }

    fn take(&mut self) -> Option<(K, Due)> {
        for (rank, keys) in &mut self.order {
            while let Some(key) = keys.pop_front() {
                if let Some(due) = self.ready.get(&key).copied().filter(|due| due.rank == *rank) {
                    self.ready.remove(&key);
                    self.processing += 1;
                    return Some((key, due));
                }
            }
        }
        None
    }
}

impl<K: Keyed> Default for Queue<K> {
    fn default() -> Self {
        Self {
            lanes: BTreeMap::new(),
            served: None,
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

impl<K: Keyed> Queue<K> {
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
        self.stats.adds += u64::from(!self.is_ready(&key) && !self.dirty.contains_key(&key));
        if self.processing.contains_key(&key) {
            let before = self.dirty.get(&key).copied().unwrap_or(due);
            self.dirty.insert(key, Due { rank: due.rank.min(before.rank), ..before });
        } else {
            self.lanes.entry(key.lane().clone()).or_insert_with(Lane::new).add(key, due);
        }
    }

    /// Adds a key for later. A key that is ready, or comes again anyway, stays as it is.
    pub fn add_at(&mut self, key: K, at: Time) {
        self.stats.retries += 1;
        let sooner = self.waiting.get(&key).is_some_and(|earlier| *earlier <= at);
        if sooner || self.is_ready(&key) || self.dirty.contains_key(&key) {
            return;
        }
        self.cancel(&key);
        self.waiting.insert(key.clone(), at);
        self.timers.insert((at, key));
    }

    /// Takes the next key of a lane in which fewer than `slots` are being worked on; it then counts as being worked on
    /// until [`Queue::done`].
    pub fn pop(&mut self, now: Time, slots: impl Fn(&K::Lane) -> usize) -> Option<K> {
        self.at(now);
        while let Some((at, key)) = self.timers.first().cloned()
            && at <= now
        {
            self.add_due(key, Due { rank: Rank::Routine, since: at });
        }
        let open = |(name, lane): &(&K::Lane, &mut Lane<K>)| !lane.ready.is_empty() && lane.processing < slots(name);
        let after = self.served.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let next = match self.lanes.range_mut((after, Bound::Unbounded)).find(&open) {
            Some(next) => Some(next),
            None => self.lanes.iter_mut().find(&open),
        };
        let (name, lane) = next?;
        let (key, due) = lane.take()?;
        self.served = Some(name.clone());
        self.stats.queued.add(now.since(due.since));
        self.taken += 1;
        self.processing.insert(key.clone(), Work { number: self.taken, begun: now });
        Some(key)
    }

    /// The work on a key has ended; if it was added meanwhile, it is ready again. Returns what has ended; none if nobody
    /// worked on it.
    pub fn done(&mut self, key: &K) -> Option<Work> {
        let work = self.processing.remove(key)?;
        self.stats.worked.add(self.now.since(work.begun));
        if let Some(lane) = self.lanes.get_mut(key.lane()) {
            lane.processing -= 1;
            if lane.processing == 0 && lane.ready.is_empty() {
                self.lanes.remove(key.lane());
            }
        }
        if let Some(due) = self.dirty.remove(key) {
            self.lanes.entry(key.lane().clone()).or_insert_with(Lane::new).add(key.clone(), due);
        }
        Some(work)
    }

    /// The queue in numbers, at this moment.
    pub fn stats(&self, now: Time) -> QueueStats {
        let due = self.timers.iter().take_while(|(at, _)| *at <= now).count();
        let depth = u64::try_from(self.ready() + self.dirty.len() + due).unwrap_or(u64::MAX);
        QueueStats { depth, begun: self.processing.values().map(|work| work.begun).collect(), ..self.stats.clone() }
    }

    /// Removes a key that is not being worked on; one that is does not come again.
    pub fn remove(&mut self, key: &K) {
        self.cancel(key);
        self.dirty.remove(key);
        if let Some(lane) = self.lanes.get_mut(key.lane()) {
            lane.ready.remove(key);
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
        self.lanes.values().map(|lane| lane.ready.len()).sum()
    }

    fn is_ready(&self, key: &K) -> bool {
        self.lanes.get(key.lane()).is_some_and(|lane| lane.ready.contains_key(key))
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

    /// A lane and a number.
    type Key = (char, u8);

    impl Keyed for Key {
        type Lane = char;
        fn lane(&self) -> &char {
            &self.0
        }
    }

    fn queue(keys: &[Key]) -> Queue<Key> {
        let mut queue = Queue::default();
        keys.iter().for_each(|key| queue.add(*key, Rank::Routine));
        queue
    }

    /// Takes all that may be worked on, with this many slots a lane.
    fn all(queue: &mut Queue<Key>, now: u64, slots: usize) -> Vec<Key> {
        std::iter::from_fn(|| queue.pop(Time(now), |_| slots)).collect()
    }

    #[test]
    fn a_key_added_twice_is_worked_on_once() {
        let mut queue = queue(&[('a', 1), ('a', 1)]);
        assert_eq!(all(&mut queue, 0, 9), [('a', 1)]);
    }

    #[test]
    fn a_key_added_while_worked_on_comes_again_afterwards() {
        let mut queue = queue(&[('a', 1)]);
        assert_eq!(all(&mut queue, 0, 9), [('a', 1)]);
        queue.add(('a', 1), Rank::Routine);
        assert_eq!(all(&mut queue, 0, 9), []);
        queue.done(&('a', 1));
        assert_eq!(all(&mut queue, 0, 9), [('a', 1)]);
    }

    #[test]
    fn the_earlier_of_two_delays_wins() {
        let mut queue = queue(&[]);
        for at in [50, 20, 90] {
            queue.add_at(('a', 1), Time(at));
        }
        assert_eq!(queue.next_at(), Some(Time(20)));
        assert_eq!(all(&mut queue, 19, 9), []);
        assert_eq!(all(&mut queue, 20, 9), [('a', 1)]);
        assert_eq!(queue.next_at(), None);
    }

    #[test]
    fn a_removed_key_does_not_come_again() {
        let mut queue = queue(&[('a', 1)]);
        queue.add_at(('a', 2), Time(5));
        queue.remove(&('a', 1));
        queue.remove(&('a', 2));
        assert_eq!(all(&mut queue, 9, 9), []);
        queue.add(('a', 1), Rank::Routine);
        assert_eq!(all(&mut queue, 9, 9), [('a', 1)], "unless it is added again, and then once");
    }

    #[test]
    fn a_lane_without_a_free_slot_holds_up_no_other() {
        let mut queue = queue(&[('a', 1), ('a', 2), ('a', 3), ('b', 1)]);
        assert_eq!(all(&mut queue, 0, 2), [('a', 1), ('b', 1), ('a', 2)]);
        queue.done(&('b', 1));
        assert_eq!(all(&mut queue, 0, 2), [], "a slot of one lane is no use to another");
        queue.done(&('a', 1));
        assert_eq!(all(&mut queue, 0, 2), [('a', 3)]);
    }

    #[test]
    fn lanes_take_turns() {
        let mut queue = queue(&[('a', 1), ('a', 2), ('a', 3), ('b', 1), ('b', 2), ('c', 1)]);
        let order: String = all(&mut queue, 0, 9).iter().map(|(lane, _)| *lane).collect();
        assert_eq!(order, "abcaba");
    }

    #[test]
    fn an_edit_goes_before_what_is_routine_also_when_it_was_that_before() {
        let mut queue = queue(&[('a', 1), ('a', 2), ('a', 3)]);
        queue.add(('a', 9), Rank::Edit);
        queue.add(('a', 3), Rank::Edit);
        queue.add(('a', 3), Rank::Routine);
        assert_eq!(all(&mut queue, 0, 9), [('a', 9), ('a', 3), ('a', 1), ('a', 2)]);
    }

    #[test]
    fn an_edit_while_it_is_worked_on_is_still_one_when_it_comes_again() {
        let mut queue = queue(&[('a', 1)]);
        queue.pop(Time(0), |_| 1);
        queue.add(('a', 1), Rank::Edit);
        queue.add(('a', 1), Rank::Routine);
        queue.add(('a', 2), Rank::Routine);
        queue.done(&('a', 1));
        assert_eq!(all(&mut queue, 0, 9), [('a', 1), ('a', 2)]);
    }

    #[test]
    fn a_key_that_waits_holds_no_slot() {
        let mut queue = queue(&[('a', 1)]);
        queue.pop(Time(0), |_| 1);
        queue.done(&('a', 1));
        queue.add_at(('a', 1), Time(50));
        queue.add(('a', 2), Rank::Routine);
        assert_eq!(all(&mut queue, 0, 1), [('a', 2)]);
    }

    #[test]
    fn the_numbers_mean_what_they_mean_in_kubernetes_controllers() {
        let seconds = std::time::Duration::from_secs;
        let (one, two, three) = (('a', 1), ('a', 2), ('a', 3));
        let mut queue = queue(&[]);
        queue.at(Time(1_000));
        [one, one, two].into_iter().for_each(|key| queue.add(key, Rank::Routine));
        let stats = queue.stats(Time(1_000));
        assert_eq!((stats.adds, stats.depth, stats.retries), (2, 2, 0), "what is there already is not added");

        assert_eq!(queue.pop(Time(4_000), |_| 1), Some(one));
        let stats = queue.stats(Time(4_000));
        assert_eq!((stats.depth, stats.queued.count, stats.queued.sum), (1, 1, seconds(3)));
        assert_eq!(stats.begun, [Time(4_000)], "work that is not finished");

        queue.add(one, Rank::Routine);
        assert_eq!(queue.stats(Time(4_000)).depth, 2, "what is added while it is worked on waits as well");
        queue.at(Time(6_000));
        queue.done(&one);
        let stats = queue.stats(Time(6_000));
        assert_eq!((stats.worked.count, stats.worked.sum, stats.adds), (1, seconds(2), 3));
        assert_eq!(stats.begun, []);

        queue.add_at(three, Time(9_000));
        let before = queue.stats(Time(8_999));
        assert_eq!((before.retries, before.depth, before.adds), (1, 2, 3), "it is not due");
        assert_eq!(queue.stats(Time(9_000)).depth, 3);
        assert_eq!(all(&mut queue, 10_000, 9), [two, one, three]);
        let stats = queue.stats(Time(10_000));
        assert_eq!((stats.depth, stats.adds, stats.queued.count), (0, 4, 4));
        assert_eq!(stats.queued.sum, seconds(3 + 9 + 6 + 1), "each from when it was due");
        queue.done(&('b', 9));
        assert_eq!(queue.stats(Time(10_000)).worked.count, 1, "nobody worked on it");
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
        let key = || (prop_oneof![Just('a'), Just('b')], 0..3_u8);
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
                    Op::Pop => if let Some(key) = queue.pop(Time(50), |_| SLOTS) {
                        prop_assert!(working.insert(key), "{:?} is worked on twice", key);
                        prop_assert!(owed.remove(&key), "nobody asked for {:?}", key);
                        prop_assert!(working.iter().filter(|other| other.0 == key.0).count() <= SLOTS);
                    },
                    Op::Done(key) => if working.remove(&key) { queue.done(&key); },
                    Op::Remove(key) => { queue.remove(&key); owed.remove(&key); }
                }
            }
            for key in working { queue.done(&key); }
            while let Some(key) = queue.pop(Time(1000), |_| SLOTS) {
                prop_assert!(owed.remove(&key), "nobody asked for {:?}", key);
                queue.done(&key);
            }
            prop_assert!(owed.is_empty(), "lost: {:?}", owed);
            prop_assert_eq!((queue.ready(), queue.processing(), queue.next_at()), (0, 0, None));
        }

        #[test]
        fn every_lane_with_work_and_a_free_slot_is_served_within_one_round(
            keys in prop::collection::vec((prop::char::range('a', 'e'), 0..20_u8), 1..60),
        ) {
            let mut queue = queue(&keys);
            let lanes: BTreeSet<char> = keys.iter().map(|key| key.0).collect();
            let round: BTreeSet<char> = lanes.iter().filter_map(|_| queue.pop(Time(0), |_| 99)).map(|key| key.0).collect();
            prop_assert_eq!(round, lanes);
        }
    }
}
