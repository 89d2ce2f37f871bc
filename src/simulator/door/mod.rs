//! The doors' common part: the one place through which every operation passes, and which writes down what was called.
//!
//! The direct door ([`crate::cloud::Read`] and [`crate::cloud::Write`]) is in `direct`; the other one is
//! [`super::http`].

mod direct;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::account::{Aws, AwsError, Goal, uuid};
use super::faults::{Asked, Delivery, Misbehaviour};
use crate::cloud::Service;
use crate::names::{AccountId, Clock, Digest, FunctionKey, Region, RoleArn, ScopeKey, Time};

/// The most changes that are remembered; enough for any test, and a bound for a demo that runs for weeks.
const REMEMBERED: usize = 100_000;

/// A simulated world that can be called. Copies are the same world.
#[derive(Clone)]
pub struct Door {
    inner: Arc<Mutex<Inner>>,
    clock: Clock,
}

struct Inner {
    aws: Aws,
    requests: u64,
    counts: BTreeMap<&'static str, u64>,
    changes: VecDeque<Call>,
}

/// A call that changes the world, or was to change it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Call {
    /// When it came.
    pub at: Time,
    /// The account that it was made in.
    pub account: AccountId,
    /// The operation, by AWS's name.
    pub operation: &'static str,
    /// What was to be changed: the name of a function or of a role.
    pub subject: String,
    /// To what: the ARN of a policy, or the request of an update in one line.
    pub detail: String,
    /// AWS's error code, if it was refused.
    pub refused: Option<String>,
}

/// A call as it comes to the common part.
pub(super) struct Incoming<'a> {
    pub(super) service: Service,
    /// The operation, by AWS's name.
    pub(super) operation: &'static str,
    /// What it is about.
    pub(super) of: Target<'a>,
    /// If it changes something.
    pub(super) change: Option<Change<'a>>,
}

/// A change as it comes.
pub(super) struct Change<'a> {
    /// The name of the function or role that is to be changed.
    pub(super) subject: &'a str,
    /// To what, in one line.
    pub(super) detail: String,
    /// The same, as a policy of the caller may look at it.
    pub(super) goal: Goal<'a>,
}

/// What a call is about: the account, and where it is narrower than that, the region and the function or role.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) account: &'a AccountId,
    pub(super) region: Option<&'a Region>,
    pub(super) subject: Option<&'a str>,
}

impl<'a> From<&'a AccountId> for Target<'a> {
    fn from(account: &'a AccountId) -> Self {
        Self { account, region: None, subject: None }
    }
}

impl<'a> From<&'a ScopeKey> for Target<'a> {
    fn from(at: &'a ScopeKey) -> Self {
        Self { account: &at.account, region: Some(&at.region), subject: None }
    }
}

impl<'a> From<&'a FunctionKey> for Target<'a> {
    fn from(key: &'a FunctionKey) -> Self {
        Self { subject: Some(key.name.as_str()), ..Self::from(&key.scope) }
    }
}

impl<'a> From<&'a RoleArn> for Target<'a> {
    fn from(role: &'a RoleArn) -> Self {
        Self { subject: Some(role.key().name.as_str()), ..Self::from(&role.key().account) }
    }
}

impl Door {
    /// The door to this world, by this clock; the world begins now.
    pub fn new(mut aws: Aws, clock: Clock) -> Self {
        aws.begin(clock.now());
        let inner = Inner { aws, requests: 0, counts: BTreeMap::new(), changes: VecDeque::new() };
        Self { inner: Arc::new(Mutex::new(inner)), clock }
    }

    /// What the clock shows.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// Looks at the world or changes it from outside, as somebody else would; nothing is written down.
    pub fn with<T>(&self, act: impl FnOnce(&mut Aws, Time) -> T) -> T {
        let now = self.now();
        let mut inner = self.lock();
        inner.aws.advance(now);
        act(&mut inner.aws, now)
    }

    /// The calls that change something, in their order, the refused ones too.
    pub fn changes(&self) -> Vec<Call> {
        self.lock().changes.iter().cloned().collect()
    }

    /// How often an operation was called.
    pub fn count(&self, operation: &str) -> u64 {
        self.lock().counts.get(operation).copied().unwrap_or_default()
    }

    /// How often each operation was called.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.lock().counts.clone()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        let mut inner = self.lock();
        inner.counts.clear();
        inner.changes.clear();
    }

    /// Carries a call out and writes it down: the one way in, whichever door it came through. What goes wrong on purpose
    /// comes in here too; how the answer then gets to the caller is each door's own matter.
    pub(super) fn call<T>(
        &self,
        incoming: Incoming<'_>,
        carry_out: impl FnOnce(&mut Aws, Time) -> Result<T, AwsError>,
    ) -> (Result<T, AwsError>, Delivery) {
        let now = self.now();
        let mut inner = self.lock();
        let Incoming { service, operation, of: Target { account: owner, region, subject }, change } = incoming;
        *inner.counts.entry(operation).or_default() += 1;
        inner.aws.advance(now);
        let asked = Asked { service, operation, account: owner, region, subject };
        let goal = change.as_ref().map_or(Goal::Nothing, |change| change.goal);
        let (answer, delivery) = match inner.aws.admit(&asked, goal, now) {
            Ok(()) => inner.aws.misbehave(&asked, now, carry_out),
            Err(error) => (Err(error), Delivery::Whole),
        };
        if let Some(Change { subject, detail, goal: _ }) = change {
            let refused = answer.as_ref().err().map(|error| error.code.to_string());
            let subject = subject.to_owned();
            inner.remember(Call { at: now, account: owner.clone(), operation, subject, detail, refused });
        }
        (answer, delivery)
    }

    /// The id of a request, which no other one has.
    pub(super) fn fresh_request_id(&self) -> String {
        let mut inner = self.lock();
        inner.requests += 1;
        uuid(Digest::of(format!("request {}", inner.requests).as_bytes()).as_str())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while the world was locked is a test's that has failed already.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Aws {
    /// Carries a call out as the faults want it.
    fn misbehave<T>(
        &mut self,
        asked: &Asked<'_>,
        now: Time,
        carry_out: impl FnOnce(&mut Self, Time) -> Result<T, AwsError>,
    ) -> (Result<T, AwsError>, Delivery) {
        let age = self.age(now);
        let Some(met) = self.faults.meet(asked, age) else { return (carry_out(self, now), Delivery::Whole) };
        if let Some(error) = met.answer.error(asked) {
            return (Err(error), met.answer.delivery());
        }
        if let Misbehaviour::UpdateFails(failure) = &met.answer {
            self.doom(Some(failure.clone()));
        }
        let answer = carry_out(self, now);
        if self.doom(None).is_some() {
            self.faults.give_back(&met);
        }
        (answer, met.answer.delivery())
    }
}

impl Inner {
    fn remember(&mut self, call: Call) {
        if self.changes.len() == REMEMBERED {
            self.changes.pop_front();
        }
        self.changes.push_back(call);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cloud::{Class, Listing, Read, Write};
    use crate::names::{FunctionKey, FunctionName, Network, PolicyName, Region, ScopeKey, SecurityGroupId, SubnetId};
    use crate::simulator::{StillClock, World};

    fn stage() -> (Door, StillClock, FunctionKey) {
        let clock = StillClock::at(Time(1_795_417_200_000));
        let door = Door::new(World::demo().unwrap().build(clock.now()).unwrap(), clock.clock());
        let account = AccountId::parse("123456789012").unwrap();
        let scope = ScopeKey { account, region: Region::parse("eu-west-1").unwrap() };
        (door, clock, FunctionKey { scope, name: FunctionName::parse("orders-api").unwrap() })
    }

    fn network() -> Network {
        Network {
            subnets: [SubnetId::parse("subnet-0a1a1a1a1a1a1a1a1").unwrap()].into(),
            security_groups: [SecurityGroupId::parse("sg-0e5e5e5e5e5e5e5e5").unwrap()].into(),
            ipv6: false,
        }
    }

    #[tokio::test]
    async fn a_function_is_attached_through_the_controllers_own_door() {
        let (door, clock, key) = stage();
        let before = door.get_function(&key).await.unwrap();
        let refused = door.set_vpc(&key, &network(), before.revision.as_ref()).await.unwrap_err();
        assert_eq!(refused.class, Class::RoleDenied);
        let policy = PolicyName::vpc_access().for_role(&before.role);
        door.attach_policy(&before.role, &policy).await.unwrap();
        clock.pass(Duration::from_secs(8));
        door.set_vpc(&key, &network(), before.revision.as_ref()).await.unwrap();
        let busy = door.set_vpc(&key, &network(), None).await.unwrap_err();
        assert_eq!(busy.class, Class::Busy);
        clock.pass(Duration::from_secs(6));
        let stale = door.set_vpc(&key, &network(), before.revision.as_ref()).await.unwrap_err();
        assert_eq!(stale.class, Class::StaleRevision);
        let after = door.get_function(&key).await.unwrap();
        assert_eq!(*after.network, network());
        let shown = door.with(|aws, now| aws.get_function(&key.scope, "orders-api", now)).unwrap();
        let vpc = shown.configuration.vpc_config.unwrap().vpc.unwrap();
        assert_eq!(vpc.as_str(), "vpc-0a1b2c3d4e5f60718", "derived from the subnets");

        let changes: Vec<_> = door
            .changes()
            .into_iter()
            .map(|call| (call.operation, call.subject, call.refused.unwrap_or_default()))
            .collect();
        let update = |code: &str| ("UpdateFunctionConfiguration", "orders-api".to_owned(), code.to_owned());
        assert_eq!(
            changes,
            [
                update("InvalidParameterValueException"),
                ("AttachRolePolicy", "orders-role".to_owned(), String::new()),
                update(""),
                update("ResourceConflictException"),
                update("PreconditionFailedException"),
            ]
        );
        assert_eq!(door.count("GetFunctionConfiguration"), 2);
        assert_eq!(door.count("ListFunctions"), 0);
    }

    #[tokio::test]
    async fn a_listing_never_shows_state_and_last_update() {
        let (door, _, key) = stage();
        let page = door.list_functions(&key.scope, Listing::Latest, None).await.unwrap();
        assert_eq!(page.items.len(), 4);
        assert!(page.items.iter().all(|listed| listed.function.as_ref().is_ok_and(|function| function.life.is_none())));
        assert!(door.get_function(&key).await.unwrap().life.is_some());
    }

    #[tokio::test]
    async fn an_account_outside_the_world_is_a_fault_of_the_credentials() {
        let (door, _, key) = stage();
        let other = AccountId::parse("999999999999").unwrap();
        let region = &key.scope.region;
        let error = door.caller_identity(Some(&other), region).await.unwrap_err();
        assert_eq!(error.class, Class::Credentials);
        let own = door.caller_identity(None, region).await.unwrap();
        assert_eq!(own.account, key.scope.account);
    }
}
