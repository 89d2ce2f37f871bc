//! Tokens: a steady rate, a little saved up, and what AWS's throttling does to it.

use std::time::Duration;

use crate::names::Time;

/// From nothing to its full rate, a bucket that was slowed needs this long.
const RECOVERY: Duration = Duration::from_secs(120);
/// Calls that were under way together are throttled together: within this time, the rate is halved once.
const TOGETHER: Duration = Duration::from_secs(2);
/// Where AWS asks to wait, all calls of the family wait, but no longer than this, so that one answer, perhaps of some
/// proxy, does not stop everybody; who was refused waits as long as was asked.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// However often it is throttled, a bucket keeps this part of its rate.
const LEAST: f64 = 1.0 / 16.0;

/// How much a bucket holds, in seconds: less than AWS's own, which hold a second's worth, so that requests that come in
/// closer together than they went out are not refused.
const HOLDS: f64 = 2.0 / 3.0;

/// A bucket that fills at a steady rate and lets through as many requests as it holds.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    full_rate: f64,
    rate: f64,
    tokens: f64,
    at: Time,
    slowed: Option<Time>,
}

impl Bucket {
    /// A full bucket for this many requests a second; it holds at least one.
    pub(super) fn new(requests_per_second: f64, now: Time) -> Self {
        let (full_rate, tokens) = (requests_per_second, most(requests_per_second));
        Self { full_rate, rate: full_rate, tokens, at: now, slowed: None }
    }

    /// Takes one token; the error is how long it will take until there is one.
    pub(super) fn take(&mut self, now: Time) -> Result<(), Duration> {
        match self.wait_for(1, now) {
            Duration::ZERO => {
                self.tokens -= 1.0;
                Ok(())
            }
            wait => Err(wait),
        }
    }

    /// How long it will take until there are so many tokens for those who wait, each taken when it comes.
    pub(super) fn wait_for(&mut self, tokens: usize, now: Time) -> Duration {
        self.fill(now);
        let missing = (tokens as f64 - self.tokens).max(0.0);
        // To the full millisecond: time is counted in these.
        Duration::from_millis((missing / self.rate * 1000.0).ceil() as u64)
    }

    /// Tokens a second at this moment.
    pub(super) fn rate(&mut self, now: Time) -> f64 {
        self.fill(now);
        self.rate
    }

    /// AWS has throttled a call although there was a token for it: the rate halves, what was saved up is gone, and if AWS
    /// asks to wait, everybody does.
    pub(super) fn throttled(&mut self, now: Time, asked: Option<Duration>) {
        self.fill(now);
        if self.slowed.is_none_or(|at| now.since(at) >= TOGETHER) {
            self.slowed = Some(now);
            self.rate = (self.rate / 2.0).max(self.full_rate * LEAST);
        }
        let pause = asked.unwrap_or_default().min(LONGEST_PAUSE);
        self.tokens = self.tokens.min(-pause.as_secs_f64() * self.rate);
    }

    fn fill(&mut self, now: Time) {
        let passed = now.since(self.at).as_secs_f64();
        self.rate = (self.rate + self.full_rate * passed / RECOVERY.as_secs_f64()).min(self.full_rate);
        self.tokens = (self.tokens + passed * self.rate).min(most(self.rate));
        self.at = self.at.max(now);
    }
}

/// The most tokens that a bucket of this rate holds.
fn most(rate: f64) -> f64 {
    (rate * HOLDS).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a token as soon as there is one, and says when.
    fn take(bucket: &mut Bucket, mut now: Time) -> Time {
        while let Err(wait) = bucket.take(now) {
            now = now + wait;
        }
        now
    }

    fn seconds(from: u64, to: u64) -> impl Iterator<Item = Time> {
        (from..to).map(|second| Time(second * 1000))
    }

    #[test]
    fn a_burst_passes_and_the_rest_goes_at_the_rate() {
        let mut bucket = Bucket::new(6.0, Time(0));
        let mut now = Time(0);
        let times: Vec<u64> = (0..7)
            .map(|_| {
                now = take(&mut bucket, now);
                now.0
            })
            .collect();
        assert_eq!(times, [0, 0, 0, 0, 167, 334, 500]);
        assert_eq!(take(&mut bucket, Time(60_000)), Time(60_000));
    }

    #[test]
    fn who_cannot_have_a_token_takes_nothing_and_learns_when_there_will_be_one() {
        let mut bucket = Bucket::new(1.0, Time(0));
        assert_eq!(bucket.take(Time(0)), Ok(()));
        for _ in 0..2 {
            assert_eq!(bucket.take(Time(0)), Err(Duration::from_secs(1)));
        }
        assert_eq!(bucket.wait_for(3, Time(0)), Duration::from_secs(3));
        assert_eq!(bucket.take(Time(1000)), Ok(()));
    }

    #[test]
    fn over_a_long_time_the_rate_is_kept() {
        let mut bucket = Bucket::new(5.0, Time(0));
        let now = (0..1000).fold(Time(0), |now, _| take(&mut bucket, now));
        assert!((198.0..=200.0).contains(&now.as_seconds()), "{now:?}");
    }

    #[test]
    fn a_throttled_call_halves_the_rate_once_for_all_that_were_under_way() {
        let mut bucket = Bucket::new(8.0, Time(0));
        for _ in 0..5 {
            bucket.throttled(Time(0), None);
        }
        assert_eq!(bucket.rate, 4.0);
        assert_eq!(take(&mut bucket, Time(0)), Time(250), "what was saved up is gone");
        bucket.throttled(Time(0) + TOGETHER, None);
        assert!(bucket.rate < 2.1, "{}", bucket.rate);
    }

    #[test]
    fn where_aws_asks_to_wait_all_wait_as_long_but_not_at_the_bidding_of_some_proxy() {
        for (asked, least) in [(1, 1), (3600, 2)] {
            let mut bucket = Bucket::new(8.0, Time(0));
            bucket.throttled(Time(0), Some(Duration::from_secs(asked)));
            let wait = take(&mut bucket, Time(0)).since(Time(0));
            let most = Duration::from_secs(least) + Duration::from_millis(251);
            assert!((Duration::from_secs(least)..most).contains(&wait), "{asked}: {wait:?}");
        }
    }

    #[test]
    fn the_rate_creeps_back_and_no_further_than_it_was() {
        let mut bucket = Bucket::new(8.0, Time(0));
        bucket.throttled(Time(0), None);
        let mut rates = vec![bucket.rate];
        for now in seconds(1, 200) {
            take(&mut bucket, now);
            rates.push(bucket.rate);
        }
        assert!(rates.is_sorted(), "{rates:?}");
        assert!(rates[10] < 5.0, "slowly: {}", rates[10]);
        assert_eq!(rates.last(), Some(&8.0));
    }

    #[test]
    fn however_often_it_is_throttled_something_still_passes() {
        let mut bucket = Bucket::new(8.0, Time(0));
        for now in seconds(0, 1000).step_by(2) {
            bucket.throttled(now, None);
        }
        assert!(bucket.rate >= 0.5, "{}", bucket.rate);
    }
}
