//! Budgets: how fast we allow ourselves to call, well below what AWS grants to all users of an account together.
//!
//! AWS counts requests by families of operations, each with a limit of its own: all of Lambda's control plane together 15
//! a second for an account and region, but GetFunction by itself 100; EC2's reads 20; IAM by account, with limits that are
//! not published. One token bucket keeps each. When AWS throttles all the same, others are at work: the rate halves,
//! and creeps back.

use std::collections::HashMap;
use std::time::Duration;

use super::Operation;
use crate::names::{Scope, Time};

/// What AWS counts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Lambda's control plane, by account and region.
    Lambda,
    /// Lambda's GetFunction, by account and region.
    GetFunction,
    /// IAM, by account.
    Iam,
    /// EC2's reads, by account and region.
    Ec2,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Lambda, Self::GetFunction, Self::Iam, Self::Ec2];

    /// The name, as in metric labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lambda => "lambda",
            Self::GetFunction => "get_function",
            Self::Iam => "iam",
            Self::Ec2 => "ec2",
        }
    }

    /// The family that an operation is counted in; none for STS, which is asked once a sweep.
    pub fn of(operation: Operation) -> Option<Self> {
        match operation {
            Operation::GetCallerIdentity => None,
            Operation::ListFunctions
            | Operation::GetFunctionConfiguration
            | Operation::ListAliases
            | Operation::UpdateFunctionConfiguration => Some(Self::Lambda),
            Operation::GetFunction => Some(Self::GetFunction),
            Operation::ListEntitiesForPolicy
            | Operation::ListAttachedRolePolicies
            | Operation::SimulatePrincipalPolicy
            | Operation::AttachRolePolicy => Some(Self::Iam),
            Operation::DescribeVpcs
            | Operation::DescribeSubnets
            | Operation::DescribeRouteTables
            | Operation::DescribeSecurityGroups
            | Operation::DescribeNetworkInterfaces => Some(Self::Ec2),
        }
    }
}

/// Requests a second, by family.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// To Lambda's control plane.
    pub lambda: f64,
    /// To GetFunction, by which states are then polled; none if it is not to be used, since it also hands out a link to
    /// the function's code.
    pub get_function: Option<f64>,
    /// To IAM.
    pub iam: f64,
    /// To EC2, for reading.
    pub ec2: f64,
}

impl Default for Rates {
    /// A third of what Lambda grants, a quarter of what EC2 grants.
    fn default() -> Self {
        Self { lambda: 5.0, get_function: None, iam: 5.0, ec2: 5.0 }
    }
}

impl Rates {
    fn of(&self, family: Family) -> f64 {
        match family {
            Family::Lambda => self.lambda,
            // Without a rate of its own it is not called.
            Family::GetFunction => self.get_function.unwrap_or(self.lambda),
            Family::Iam => self.iam,
            Family::Ec2 => self.ec2,
        }
    }
}

/// The buckets of all families in all scopes.
#[derive(Debug)]
pub struct Budgets {
    rates: Rates,
    buckets: HashMap<(Family, Scope), Bucket>,
}

impl Budgets {
    /// Full buckets, wherever they will be needed.
    pub fn new(rates: Rates) -> Self {
        Self { rates, buckets: HashMap::new() }
    }

    /// The bucket of a family in a scope. IAM is counted by account: its scope is the region that its requests are
    /// signed for, which is one for all regions of a partition.
    pub fn bucket(&mut self, family: Family, at: &Scope, now: Time) -> &mut Bucket {
        let rate = self.rates.of(family);
        self.buckets.entry((family, at.clone())).or_insert_with(|| Bucket::new(rate, now))
    }
}

/// From nothing to its full rate, a bucket that was slowed needs this long.
const RECOVERY: Duration = Duration::from_secs(120);
/// Calls that were under way together are throttled together: within this time, the rate is halved once.
const TOGETHER: Duration = Duration::from_secs(2);
/// Where AWS asks to wait, all calls of the family wait, but no longer than this, so that one answer, perhaps of some proxy,
/// does not stop everybody; who was refused waits as long as was asked.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// However often it is throttled, a bucket keeps this part of its rate.
const LEAST: f64 = 1.0 / 16.0;

/// How much a bucket holds, in seconds: less than AWS's own, which hold a second's worth, so that requests that come in
/// closer together than they went out are not refused.
const HOLDS: f64 = 2.0 / 3.0;

/// A bucket that fills at a steady rate and lets through as many requests as it holds.
#[derive(Clone, Debug)]
pub struct Bucket {
    full_rate: f64,
    rate: f64,
    tokens: f64,
    at: Time,
    slowed: Option<Time>,
}

impl Bucket {
    /// A full bucket for this many requests a second; it holds at least one.
    pub fn new(requests_per_second: f64, now: Time) -> Self {
        let (full_rate, tokens) = (requests_per_second, most(requests_per_second));
        Self { full_rate, rate: full_rate, tokens, at: now, slowed: None }
    }

    /// Takes one token, and says how long to wait until it is there; waiters are served in the order of their asking. If
    /// the wait would be longer than this, no token is taken, and the wait is the error.
    pub fn take_within(&mut self, now: Time, most: Duration) -> Result<Duration, Duration> {
        self.fill(now);
        let wait = Duration::from_secs_f64((1.0 - self.tokens).max(0.0) / self.rate);
        if wait > most {
            return Err(wait);
        }
        self.tokens -= 1.0;
        Ok(wait)
    }

    /// AWS has throttled a call although there was a token for it: the rate halves, what was saved up is gone, and if AWS
    /// asks to wait, everybody does.
    pub fn throttled(&mut self, now: Time, asked: Option<Duration>) {
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
    use crate::names::{AccountId, Region};

    /// However long it takes.
    fn take(bucket: &mut Bucket, now: Time) -> Duration {
        bucket.take_within(now, Duration::MAX).unwrap()
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn seconds(from: u64, to: u64) -> impl Iterator<Item = Time> {
        (from..to).map(|second| Time(second * 1000))
    }

    #[test]
    fn a_burst_passes_and_the_rest_goes_at_the_rate() {
        let mut bucket = Bucket::new(6.0, Time(0));
        let waits: Vec<u128> = (0..7).map(|_| take(&mut bucket, Time(0)).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 166, 333, 500]);
        assert_eq!(take(&mut bucket, Time(60_000)), Duration::ZERO);
    }

    #[test]
    fn who_will_not_wait_so_long_takes_nothing() {
        let mut bucket = Bucket::new(1.0, Time(0));
        assert_eq!(bucket.take_within(Time(0), Duration::ZERO), Ok(Duration::ZERO));
        assert_eq!(bucket.take_within(Time(0), Duration::ZERO), Err(SECOND));
        assert_eq!(bucket.take_within(Time(0), SECOND), Ok(SECOND));
    }

    #[test]
    fn over_a_long_time_the_rate_is_kept() {
        let mut bucket = Bucket::new(5.0, Time(0));
        let mut now = Time(0);
        for _ in 0..1000 {
            now = now + take(&mut bucket, now);
        }
        assert!((198.0..=200.0).contains(&now.as_seconds()), "{now:?}");
    }

    #[test]
    fn a_throttled_call_halves_the_rate_once_for_all_that_were_under_way() {
        let mut bucket = Bucket::new(8.0, Time(0));
        for _ in 0..5 {
            bucket.throttled(Time(0), None);
        }
        assert_eq!(bucket.rate, 4.0);
        assert_eq!(take(&mut bucket, Time(0)).as_millis(), 250, "what was saved up is gone");
        bucket.throttled(Time(0) + TOGETHER, None);
        assert!(bucket.rate < 2.1, "{}", bucket.rate);
    }

    #[test]
    fn where_aws_asks_to_wait_all_wait_as_long_but_not_at_the_bidding_of_some_proxy() {
        for (asked, least) in [(1, 1), (3600, 2)] {
            let mut bucket = Bucket::new(8.0, Time(0));
            bucket.throttled(Time(0), Some(Duration::from_secs(asked)));
            let wait = take(&mut bucket, Time(0));
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

    #[test]
    fn what_is_throttled_in_one_account_slows_no_other_and_no_other_family() {
        let at = |account: &str| Scope {
            account: AccountId::parse(account).unwrap(),
            region: Region::parse("eu-west-1").unwrap(),
        };
        let (one, other) = (at("111111111111"), at("222222222222"));
        let mut budgets = Budgets::new(Rates { lambda: 8.0, ..Rates::default() });
        budgets.bucket(Family::Lambda, &one, Time(0)).throttled(Time(0), None);
        assert_eq!(budgets.bucket(Family::Lambda, &one, Time(0)).rate, 4.0);
        assert_eq!(budgets.bucket(Family::Lambda, &other, Time(0)).rate, 8.0);
        assert_eq!(budgets.bucket(Family::Ec2, &one, Time(0)).rate, 5.0);
    }
}
