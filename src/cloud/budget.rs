//! Token buckets: how fast we allow ourselves to call, well below what AWS grants to all users of an account together.

use std::time::Duration;

use crate::names::Time;

/// A bucket that fills at a steady rate and lets through as many requests as it holds.
#[derive(Clone, Debug)]
pub struct Bucket {
    rate: f64,
    tokens: f64,
    at: Time,
}

impl Bucket {
    /// A full bucket for this many requests a second; it holds one second's worth, at least one.
    pub fn new(requests_per_second: f64, now: Time) -> Self {
        Self { rate: requests_per_second, tokens: requests_per_second.max(1.0), at: now }
    }

    /// Takes one token, and says how long to wait until it is there. Waiters are served in the order of their asking.
    pub fn take(&mut self, now: Time) -> Duration {
        let filled = self.tokens + now.since(self.at).as_secs_f64() * self.rate;
        self.tokens = filled.min(self.rate.max(1.0)) - 1.0;
        self.at = self.at.max(now);
        Duration::from_secs_f64((-self.tokens).max(0.0) / self.rate)
    }
}

impl Bucket {
    /// The same, unless the wait would be longer than this: then no token is taken, and the wait is the error.
    pub fn take_within(&mut self, now: Time, most: Duration) -> Result<Duration, Duration> {
        let before = self.clone();
        let wait = self.take(now);
        if wait <= most {
            return Ok(wait);
        }
        *self = before;
        Err(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_the_rest_goes_at_the_rate() {
        let mut bucket = Bucket::new(5.0, Time(0));
        let waits: Vec<u128> = (0..8).map(|_| bucket.take(Time(0)).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 200, 400, 600]);
        assert_eq!(bucket.take(Time(60_000)), Duration::ZERO);
    }

    #[test]
    fn who_will_not_wait_so_long_takes_nothing() {
        let mut bucket = Bucket::new(1.0, Time(0));
        assert_eq!(bucket.take_within(Time(0), Duration::ZERO), Ok(Duration::ZERO));
        assert_eq!(bucket.take_within(Time(0), Duration::ZERO), Err(Duration::from_secs(1)));
        assert_eq!(bucket.take_within(Time(0), Duration::from_secs(1)), Ok(Duration::from_secs(1)));
    }

    #[test]
    fn over_a_long_time_the_rate_is_kept() {
        let mut bucket = Bucket::new(5.0, Time(0));
        let mut now = Time(0);
        for _ in 0..1000 {
            now = now + bucket.take(now);
        }
        assert!((198.0..=200.0).contains(&now.as_seconds()), "{now:?}");
    }
}
