//! The simulated world as pure data: several accounts, their roles, and what each region of them holds.
//!
//! Nothing here has a clock, a task or a source of chance. Every operation takes the present moment; what would have
//! happened since the last call (an update that completes, a function that becomes active) happens first, in the order
//! in which it fell due. So a whole history of a fleet can be run in a loop, and runs the same way twice.
//!
//! The names are AWS's own. Errors carry status, code and text as AWS writes them; where a text is not known from a
//! public source, its comment says so.

mod attachment;
mod describe;
mod ec2;
mod error;
mod function;
mod iam;
mod lambda;
mod meddler;
mod permissions;
mod policies;
mod quotas;
mod sts;
#[cfg(test)]
mod tests;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use attachment::VpcConfigRequest;
pub use describe::{Describe, Filter};
pub use ec2::{Endpoint, Interface, RouteTable, SecurityGroup, Subnet, Vpc, route_state, target_kind};
pub use error::AwsError;
pub use function::{Configuration, FileSystem, Function, VpcConfig};
pub use iam::{Attachment, Overruler, Role, SimulatedAction, Summary, Trust};
pub use lambda::{CreateFunction, Environment, UpdateFunctionConfiguration};
pub use meddler::{Meddler, Meddling};
pub use permissions::{Goal, IdentityPolicy};
pub use policies::Policy;
pub use quotas::{Quotas, Rate};
pub use sts::{AssumeRole, AssumedRole, Caller};

use quotas::{Buckets, Taken};
use sts::Session;

use super::faults::{Asked, Faults};
use crate::cloud::{Alias, Failure, Service};
use crate::names::{
    AccountId, AliasName, Digest, FunctionKey, FunctionName, Network, Pair, PolicyArn, Region, RoleName, ScopeKey,
    SecurityGroupId, SubnetId, Time, Version, VpcId,
};

/// How long AWS takes for what is not done at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// From the answer to an update until it is in force, if no network interface must be made.
    pub update: Duration,
    /// The same if an interface must be made for a new pair of subnet and set of security groups.
    pub new_interface: Duration,
    /// From the attachment of a policy until Lambda notices that the role has the right.
    pub propagation: Duration,
    /// From the creation of a function until it is active.
    pub pending: Duration,
    /// From the attachment of a policy until IAM's own answers show it.
    pub iam_reads: Duration,
    /// From the acceptance of an update until single reads say how it goes; before that, nothing is said.
    pub unsaid: Duration,
    /// From the acceptance of an update until listings show it.
    pub lists: Duration,
    /// From the moment when the last function leaves a pair until Lambda gives its interface back.
    pub release: Duration,
}

/// AWS says that it takes up to twenty minutes until an interface that no function needs is gone.
const RELEASE: Duration = Duration::from_secs(20 * 60);

impl Timings {
    /// About what AWS takes: seconds for an update, more than a minute for the first interface of a pair.
    pub fn real() -> Self {
        Self {
            update: Duration::from_secs(3),
            new_interface: Duration::from_secs(90),
            propagation: Duration::from_secs(8),
            pending: Duration::from_secs(3),
            iam_reads: Duration::ZERO,
            unsaid: Duration::ZERO,
            lists: Duration::ZERO,
            release: RELEASE,
        }
    }
}

impl Default for Timings {
    /// Short enough for a person to watch, long enough to see every state.
    fn default() -> Self {
        Self {
            update: Duration::from_secs(2),
            new_interface: Duration::from_secs(6),
            propagation: Duration::from_secs(8),
            pending: Duration::from_secs(3),
            iam_reads: Duration::ZERO,
            unsaid: Duration::ZERO,
            lists: Duration::ZERO,
            release: RELEASE,
        }
    }
}

/// The whole simulated world.
#[derive(Clone, Debug)]
pub struct Aws {
    /// How long things take.
    pub timings: Timings,
    /// How much is allowed.
    pub quotas: Quotas,
    /// Operations, by AWS's names, that no caller has the right to make.
    pub denied: BTreeSet<String>,
    /// What callers may do; none for anything.
    pub permissions: Option<IdentityPolicy>,
    /// What goes wrong on purpose.
    pub faults: Faults,
    /// Runtimes, such as `nodejs12.x`, whose functions AWS no longer updates.
    pub retired_runtimes: BTreeSet<String>,
    /// Zones, by their ids, in which Lambda makes no interfaces.
    pub refused_zones: BTreeSet<String>,
    began: Time,
    home: AccountId,
    accounts: BTreeMap<AccountId, Account>,
    sessions: BTreeMap<String, Session>,
    /// What falls due when; the one order in which it happens.
    due: BTreeSet<(Time, Due)>,
    meddlers: Vec<Meddler>,
    buckets: Buckets,
    /// Why the next update that is accepted will fail, if a fault says so.
    doom: Option<Failure>,
    slow: BTreeSet<FunctionKey>,
    most_slow: usize,
    made: u64,
}

/// What can fall due. At the same moment, updates come to their end before anybody meddles.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// A creation or an update ends.
    Completion(FunctionKey),
    /// Nobody may need the interface of a pair any more.
    Release(ScopeKey, Pair),
    /// A meddler, by its number, has its turn.
    Meddler(usize),
}

/// One account: its roles and policies are global, the rest lives in regions.
#[derive(Clone, Debug)]
struct Account {
    partition: &'static str,
    roles: BTreeMap<RoleName, Role>,
    policies: BTreeMap<PolicyArn, Policy>,
    regions: BTreeMap<Region, Regional>,
}

/// What an account holds in one region.
#[derive(Clone, Debug, Default)]
struct Regional {
    functions: BTreeMap<FunctionName, Function>,
    published: BTreeMap<(FunctionName, Version), Function>,
    aliases: BTreeMap<(FunctionName, AliasName), Alias>,
    vpcs: BTreeMap<VpcId, Vpc>,
    subnets: BTreeMap<SubnetId, Subnet>,
    route_tables: BTreeMap<String, RouteTable>,
    security_groups: BTreeMap<SecurityGroupId, SecurityGroup>,
    endpoints: BTreeMap<String, Endpoint>,
    interfaces: BTreeMap<Pair, Interface>,
    /// When a function last left a pair that may be given back.
    left: BTreeMap<Pair, Time>,
}

impl Aws {
    /// A world with one empty account, to which unknown credentials belong. Its partition is that of the region.
    pub fn new(home: AccountId, region: &Region) -> Self {
        let mut aws = Self {
            timings: Timings::default(),
            quotas: Quotas::default(),
            denied: BTreeSet::new(),
            permissions: None,
            faults: Faults::default(),
            retired_runtimes: BTreeSet::new(),
            refused_zones: BTreeSet::new(),
            began: Time::default(),
            home: home.clone(),
            accounts: BTreeMap::new(),
            sessions: BTreeMap::new(),
            due: BTreeSet::new(),
            meddlers: Vec::new(),
            buckets: Buckets::default(),
            doom: None,
            slow: BTreeSet::new(),
            most_slow: 0,
            made: 0,
        };
        aws.add_account(home, region);
        aws
    }

    /// The account that unknown credentials belong to.
    pub fn home(&self) -> &AccountId {
        &self.home
    }

    /// Adds an empty account, if there is none of this id yet.
    pub fn add_account(&mut self, id: AccountId, region: &Region) {
        self.accounts.entry(id).or_insert_with(|| Account {
            partition: partition(region),
            roles: BTreeMap::new(),
            policies: BTreeMap::new(),
            regions: BTreeMap::new(),
        });
    }

    /// Lets everything happen that has fallen due. Every operation does this first; it never hurts.
    pub fn advance(&mut self, now: Time) {
        while let Some((at, due)) = self.due.first().filter(|(at, _)| *at <= now).cloned() {
            self.due.pop_first();
            match due {
                Due::Completion(key) => self.complete(&key, at),
                Due::Release(scope, pair) => self.release(&scope, pair, at),
                Due::Meddler(number) => self.meddle(number, at),
            }
        }
    }

    /// The world begins now: the times of faults are counted from here, and all meddlers have their first turn after
    /// their usual time. What has happened stays so.
    pub fn begin(&mut self, now: Time) {
        self.began = now;
        let meddlers = std::mem::take(&mut self.meddlers);
        self.dismiss_meddlers();
        for meddler in meddlers {
            self.add_meddler(meddler, now);
        }
    }

    /// From here on everything in this world happens so many times as fast, while its clock goes on as before: what AWS
    /// takes and grants, when faults begin and end, how often others interfere. Credentials last as long as ever.
    pub fn hasten(&mut self, times: u32, now: Time) {
        let times = times.max(1);
        let Timings { update, new_interface, propagation, pending, iam_reads, unsaid, lists, release } =
            &mut self.timings;
        for time in [update, new_interface, propagation, pending, iam_reads, unsaid, lists, release] {
            *time /= times;
        }
        self.quotas.hasten(times);
        self.faults.hasten(times);
        self.meddlers.iter_mut().for_each(|meddler| meddler.every /= times);
        self.begin(now);
    }

    /// How many updates that make a new interface are in progress.
    pub fn slow_updates(&self) -> usize {
        self.slow.len()
    }

    /// The most of them that were ever in progress at once.
    pub fn most_slow_updates(&self) -> usize {
        self.most_slow
    }

    /// Whether a call is within the quotas of requests and the rights of its caller.
    pub(super) fn admit(&mut self, asked: &Asked<'_>, goal: Goal<'_>, now: Time) -> Result<(), AwsError> {
        let Asked { service, operation, account, region, .. } = *asked;
        if self.buckets.take(&self.quotas, (service, operation), (account, region), now) == Taken::Refused {
            return Err(AwsError::throttled(service, None));
        }
        if self.denied.contains(operation) || !self.may(asked, goal) {
            return Err(AwsError::denied(service, operation, account, &asked.resource()));
        }
        Ok(())
    }

    /// How long ago the world began.
    pub(super) fn age(&self, now: Time) -> Duration {
        now.since(self.began)
    }

    /// Sets why the next update that is accepted will fail, and returns what was set before and not used.
    pub(super) fn doom(&mut self, next: Option<Failure>) -> Option<Failure> {
        std::mem::replace(&mut self.doom, next)
    }

    fn account(&mut self, id: &AccountId, service: Service) -> Result<&mut Account, AwsError> {
        self.accounts.get_mut(id).ok_or_else(|| AwsError::invalid_token(service))
    }

    /// What an account holds in a region, at this moment; a region that nobody has used is an empty one.
    fn regional(&mut self, at: &ScopeKey, service: Service, now: Time) -> Result<&mut Regional, AwsError> {
        self.advance(now);
        Ok(self.account(&at.account, service)?.regions.entry(at.region.clone()).or_default())
    }

    /// Hexadecimal digits that no earlier call returned, the same in every run.
    fn fresh_digits(&mut self) -> String {
        self.made += 1;
        Digest::of(format!("simulated {}", self.made).as_bytes()).as_str().to_owned()
    }

    /// An id in the shape of a UUID.
    fn fresh_uuid(&mut self) -> String {
        uuid(&self.fresh_digits())
    }
}

/// Hexadecimal digits, at least 32, in the shape of a UUID.
pub(super) fn uuid(digits: &str) -> String {
    [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| digits.get(part).unwrap_or_default()).join("-")
}

/// The partition that a region belongs to.
pub(super) fn partition(region: &Region) -> &'static str {
    const PREFIXES: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("eusc-", "aws-eusc"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-isof-", "aws-iso-f"),
    ];
    PREFIXES.iter().find(|(prefix, _)| region.as_str().starts_with(prefix)).map_or("aws", |(_, partition)| partition)
}

/// The ARN of a function, of which the errors speak.
pub(super) fn function_arn(at: &ScopeKey, name: &str) -> String {
    format!("arn:{}:lambda:{}:{}:function:{name}", partition(&at.region), at.region, at.account)
}

/// The check of a number that the service model bounds; IAM, STS and Lambda word it alike.
fn within(value: u64, member: &str, range: std::ops::RangeInclusive<u64>, code: &'static str) -> Result<(), AwsError> {
    let broken = if value < *range.start() {
        format!("greater than or equal to {}", range.start())
    } else if value > *range.end() {
        format!("less than or equal to {}", range.end())
    } else {
        return Ok(());
    };
    Err(AwsError::new(
        400,
        code,
        format!(
            "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: \
             Member must have value {broken}"
        ),
    ))
}
