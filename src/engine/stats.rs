//! What the queue counts of itself, with the meaning that Kubernetes controllers give to it.

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

#[cfg(test)]
mod tests {
    use super::*;

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
