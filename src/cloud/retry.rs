//! Reads that are tried again in place.
//!
//! A read changes nothing, so it may be repeated; and each is one page from its own marker, so that a page that fails
//! costs one more call and not the listing. A call that would fail again the same way, for want of rights or
//! credentials, is not repeated, nor one where AWS asks to wait for long: then the queue comes again later. Nor are calls
//! repeated while nothing comes of it: an operation that failed in all of its tries is down, and gets one until it has
//! succeeded again. Writes pass by here: what became of one is found out by a look.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{
    Alias, CloudError, Function, Identity, Interface, Listed, Listing, Marker, Operation, Page, Read, Reply,
    RouteTable, SecurityGroup, Simulated, Subnet, Tags, Vpc, VpcEndpoint,
};
use crate::names::{AccountId, Clock, FunctionKey, PolicyArn, Region, RoleArn, RoleName, ScopeKey, VpcId};

/// How often a call is made at most.
const TRIES: u32 = 5;
/// After this time no further try begins: one that hangs lasts until its own deadline, which is a quarter of this.
const PATIENCE: Duration = Duration::from_secs(2 * 60);
/// Where AWS asks to wait longer than this, others can do something better meanwhile.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The most that is waited after the first failure; doubled after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// A pause, to be awaited.
pub type Pause = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What fails together: an operation, in an account and perhaps a region.
type Asked = (Operation, Option<AccountId>, Option<Region>);

/// A door for reading whose calls are tried again where that may help.
pub struct Retrying {
    read: Arc<dyn Read>,
    clock: Clock,
    pause: Arc<dyn Fn(Duration) -> Pause + Send + Sync>,
    down: Mutex<HashSet<Asked>>,
}

impl Retrying {
    /// A door that tries again what fails at this one, and waits in between.
    pub fn new(read: Arc<dyn Read>, clock: Clock) -> Self {
        Self::pausing(read, clock, |time| Box::pin(tokio::time::sleep(time)))
    }

    /// The same, where something else than sleep lets time pass.
    pub fn pausing(
        read: Arc<dyn Read>,
        clock: Clock,
        pause: impl Fn(Duration) -> Pause + Send + Sync + 'static,
    ) -> Self {
        Self { read, clock, pause: Arc::new(pause), down: Mutex::default() }
    }

    async fn persist<'a, T>(
        &'a self,
        asked: Asked,
        call: impl Fn(&'a dyn Read) -> Reply<'a, T> + Send,
    ) -> Result<T, CloudError> {
        let begun = self.clock.now();
        let tries = if self.down().contains(&asked) { 1 } else { TRIES };
        let mut failed = 0;
        let error = loop {
            let reply = call(&*self.read);
            let error = match reply.await {
                Ok(answer) => {
                    self.down().remove(&asked);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            failed += 1;
            let spent = self.clock.now().since(begun);
            match pause_after(&error, failed) {
                Some(pause) if failed < tries && spent < PATIENCE => (self.pause)(pause).await,
                _ => break error,
            }
        };
        match error.class.passes_unchanged() {
            true => self.down().insert(asked),
            // It has answered.
            false => self.down().remove(&asked),
        };
        Err(error)
    }

    fn down(&self) -> MutexGuard<'_, HashSet<Asked>> {
        self.down.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of_account(operation: Operation, account: &AccountId) -> Asked {
    (operation, Some(account.clone()), None)
}

fn in_scope(operation: Operation, at: &ScopeKey) -> Asked {
    (operation, Some(at.account.clone()), Some(at.region.clone()))
}

/// How long to wait after the n-th failure, from 1; none if trying again is of no use now.
fn pause_after(error: &CloudError, failed: u32) -> Option<Duration> {
    let asked = error.retry_after.unwrap_or_default();
    if !error.class.passes_unchanged() || error.is_unheard_of() || asked > LONGEST_PAUSE {
        return None;
    }
    let most = FIRST_PAUSE * 2_u32.pow(failed - 1);
    // Between half of it and all, so that calls that failed together do not come again together.
    Some(asked.max(most.mul_f64(0.5 + fastrand::f64() / 2.0)))
}

impl Read for Retrying {
    fn caller_identity<'a>(&'a self, account: Option<&'a AccountId>, region: &'a Region) -> Reply<'a, Identity> {
        let asked = (Operation::GetCallerIdentity, account.cloned(), Some(region.clone()));
        Box::pin(self.persist(asked, move |read| read.caller_identity(account, region)))
    }

    fn list_functions<'a>(&'a self, at: &'a ScopeKey, which: Listing, from: Option<Marker>) -> Reply<'a, Page<Listed>> {
        let asked = in_scope(Operation::ListFunctions, at);
        Box::pin(self.persist(asked, move |read| read.list_functions(at, which, from.clone())))
    }

    fn get_function<'a>(&'a self, key: &'a FunctionKey) -> Reply<'a, Function> {
        let asked = in_scope(Operation::GetFunctionConfiguration, &key.scope);
        Box::pin(self.persist(asked, move |read| read.get_function(key)))
    }

    fn list_aliases<'a>(&'a self, key: &'a FunctionKey, from: Option<Marker>) -> Reply<'a, Page<Alias>> {
        let asked = in_scope(Operation::ListAliases, &key.scope);
        Box::pin(self.persist(asked, move |read| read.list_aliases(key, from.clone())))
    }

    fn list_tags<'a>(&'a self, key: &'a FunctionKey, partition: &'a str) -> Reply<'a, Tags> {
        let asked = in_scope(Operation::ListTags, &key.scope);
        Box::pin(self.persist(asked, move |read| read.list_tags(key, partition)))
    }

    fn list_roles_with_policy<'a>(
        &'a self,
        account: &'a AccountId,
        policy: &'a PolicyArn,
        from: Option<Marker>,
    ) -> Reply<'a, Page<RoleName>> {
        let asked = of_account(Operation::ListEntitiesForPolicy, account);
        Box::pin(self.persist(asked, move |read| read.list_roles_with_policy(account, policy, from.clone())))
    }

    fn list_attached_policies<'a>(&'a self, role: &'a RoleArn, from: Option<Marker>) -> Reply<'a, Page<PolicyArn>> {
        let asked = of_account(Operation::ListAttachedRolePolicies, &role.key().account);
        Box::pin(self.persist(asked, move |read| read.list_attached_policies(role, from.clone())))
    }

    fn trusts_edge<'a>(&'a self, role: &'a RoleArn) -> Reply<'a, bool> {
        let asked = of_account(Operation::GetRole, &role.key().account);
        Box::pin(self.persist(asked, move |read| read.trusts_edge(role)))
    }

    fn simulate<'a>(&'a self, role: &'a RoleArn, region: &'a Region, actions: &'a [&'a str]) -> Reply<'a, Simulated> {
        let asked = of_account(Operation::SimulatePrincipalPolicy, &role.key().account);
        Box::pin(self.persist(asked, move |read| read.simulate(role, region, actions)))
    }

    fn describe_vpcs<'a>(&'a self, at: &'a ScopeKey, vpcs: &'a [VpcId], from: Option<Marker>) -> Reply<'a, Page<Vpc>> {
        let asked = in_scope(Operation::DescribeVpcs, at);
        Box::pin(self.persist(asked, move |read| read.describe_vpcs(at, vpcs, from.clone())))
    }

    fn describe_subnets<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpcs: &'a [VpcId],
        from: Option<Marker>,
    ) -> Reply<'a, Page<Subnet>> {
        let asked = in_scope(Operation::DescribeSubnets, at);
        Box::pin(self.persist(asked, move |read| read.describe_subnets(at, vpcs, from.clone())))
    }

    fn describe_route_tables<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpcs: &'a [VpcId],
        from: Option<Marker>,
    ) -> Reply<'a, Page<RouteTable>> {
        let asked = in_scope(Operation::DescribeRouteTables, at);
        Box::pin(self.persist(asked, move |read| read.describe_route_tables(at, vpcs, from.clone())))
    }

    fn describe_security_groups<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpcs: &'a [VpcId],
        from: Option<Marker>,
    ) -> Reply<'a, Page<SecurityGroup>> {
        let asked = in_scope(Operation::DescribeSecurityGroups, at);
        Box::pin(self.persist(asked, move |read| read.describe_security_groups(at, vpcs, from.clone())))
    }

    fn groups_for_vpc<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpc: &'a VpcId,
        from: Option<Marker>,
    ) -> Reply<'a, Page<SecurityGroup>> {
        let asked = in_scope(Operation::GetSecurityGroupsForVpc, at);
        Box::pin(self.persist(asked, move |read| read.groups_for_vpc(at, vpc, from.clone())))
    }

    fn describe_endpoints<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpcs: &'a [VpcId],
        from: Option<Marker>,
    ) -> Reply<'a, Page<VpcEndpoint>> {
        let asked = in_scope(Operation::DescribeVpcEndpoints, at);
        Box::pin(self.persist(asked, move |read| read.describe_endpoints(at, vpcs, from.clone())))
    }

    fn describe_interfaces<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpcs: &'a [VpcId],
        from: Option<Marker>,
    ) -> Reply<'a, Page<Interface>> {
        let asked = in_scope(Operation::DescribeNetworkInterfaces, at);
        Box::pin(self.persist(asked, move |read| read.describe_interfaces(at, vpcs, from.clone())))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::cloud::Class;
    use crate::names::{FunctionName, Time};
    use crate::simulator::{Door, Fault, Misbehaviour, StillClock, World};

    const SECOND: Duration = Duration::from_secs(1);

    /// The demo's account, where calls misbehave so, and each pause lasts so much longer than it should.
    struct Trial {
        door: Door,
        clock: StillClock,
        pauses: Arc<Mutex<Vec<Duration>>>,
        read: Retrying,
    }

    impl Trial {
        fn with(fault: Fault, longer: Duration) -> Self {
            let clock = StillClock::at(Time(1_795_417_200_000));
            let door = Door::new(World::demo().unwrap().build(clock.now()).unwrap(), clock.clock());
            door.with(|aws, _| aws.faults.add(fault));
            let pauses = Arc::<Mutex<Vec<Duration>>>::default();
            let (passing, noted) = (clock.clone(), Arc::clone(&pauses));
            let read = Retrying::pausing(Arc::new(door.clone()), clock.clock(), move |pause| {
                passing.pass(pause + longer);
                noted.lock().unwrap().push(pause);
                Box::pin(std::future::ready(()))
            });
            Self { door, clock, pauses, read }
        }

        /// Reads a function, and says after how many calls with which success.
        fn read(&self) -> (u64, Result<(), Class>) {
            let account = AccountId::parse("123456789012").unwrap();
            let scope = ScopeKey { account, region: Region::parse("eu-west-1").unwrap() };
            let key = FunctionKey { scope, name: FunctionName::parse("orders-api").unwrap() };
            let answer = self.read.get_function(&key).now_or_never().unwrap();
            (self.door.count("GetFunctionConfiguration"), answer.map(drop).map_err(|error| error.class))
        }
    }

    #[test]
    fn what_passes_by_itself_is_tried_five_times_and_what_does_not_once() {
        use Misbehaviour as M;
        let asks = |seconds| M::Throttled(Some(Duration::from_secs(seconds)));
        let error = |status, code: &str| M::Error { status, code: code.to_owned(), message: String::new() };
        for (answer, calls, class) in [
            (M::Throttled(None), 5, Class::Throttled),
            (asks(3), 5, Class::Throttled),
            (asks(6), 1, Class::Throttled),
            (M::ServerError, 5, Class::Server),
            (M::Unavailable, 5, Class::Server),
            (M::Reset, 5, Class::Unreachable),
            (M::Lost, 5, Class::Unreachable),
            (M::Slow(Duration::from_secs(60)), 5, Class::Timeout),
            (M::Truncated, 5, Class::Malformed),
            (M::Malformed, 5, Class::Malformed),
            (M::Expired, 1, Class::Credentials),
            (M::Denied, 1, Class::AccessDenied),
            (error(404, "ResourceNotFoundException"), 1, Class::NotFound),
            (error(400, "SomethingNew"), 1, Class::Invalid),
        ] {
            let trial = Trial::with(Fault::always(answer.clone()), Duration::ZERO);
            assert_eq!(trial.read(), (calls, Err(class)), "{answer:?}");
        }
    }

    #[test]
    fn a_call_that_succeeds_in_the_end_has_succeeded() {
        for failures in 0..5 {
            let trial = Trial::with(Fault::always(Misbehaviour::Reset).times(failures), Duration::ZERO);
            assert_eq!(trial.read(), (u64::from(failures) + 1, Ok(())));
        }
    }

    #[test]
    fn what_is_down_is_tried_once_until_it_has_answered_and_nothing_else_is_down_with_it() {
        let trial = Trial::with(Fault::always(Misbehaviour::ServerError).times(8), Duration::ZERO);
        for (calls, answer) in [(5, Err(Class::Server)), (6, Err(Class::Server)), (7, Err(Class::Server))] {
            assert_eq!(trial.read(), (calls, answer));
        }
        let account = AccountId::parse("123456789012").unwrap();
        let region = Region::parse("eu-west-1").unwrap();
        assert!(
            trial.read.caller_identity(Some(&account), &region).now_or_never().unwrap().is_ok(),
            "at the second try"
        );
        assert_eq!(trial.read(), (8, Ok(())));
        trial.door.with(|aws, _| aws.faults.add(Fault::always(Misbehaviour::Reset).times(4)));
        assert_eq!(trial.read(), (13, Ok(())), "again five");
        trial.door.with(|aws, _| aws.faults.add(Fault::always(Misbehaviour::Reset).times(5)));
        assert_eq!(trial.read(), (18, Err(Class::Unreachable)));
        trial.door.with(|aws, _| aws.faults.add(Fault::always(Misbehaviour::Denied).times(1)));
        assert_eq!(trial.read(), (19, Err(Class::AccessDenied)));
        trial.door.with(|aws, _| aws.faults.add(Fault::always(Misbehaviour::Reset).times(1)));
        assert_eq!(trial.read(), (21, Ok(())), "a refusal is an answer too");
    }

    #[test]
    fn pauses_grow_and_are_as_long_as_aws_asks() {
        let trial = Trial::with(Fault::always(Misbehaviour::Reset), Duration::ZERO);
        let begun = trial.clock.now();
        assert!(trial.read().1.is_err());
        let pauses = trial.pauses.lock().unwrap().clone();
        for (pause, most) in pauses.iter().zip([1, 2, 4, 8]) {
            let most = FIRST_PAUSE * most;
            assert!((most / 2..=most).contains(pause), "{pauses:?}");
        }
        assert_eq!((pauses.len(), trial.clock.now().since(begun) < 8 * SECOND), (4, true));
        let asking = Trial::with(Fault::always(Misbehaviour::Throttled(Some(3 * SECOND))), Duration::ZERO);
        assert!(asking.read().1.is_err());
        let pauses = asking.pauses.lock().unwrap();
        assert!(pauses.iter().all(|pause| *pause >= 3 * SECOND), "{pauses:?}");
    }

    #[test]
    fn calls_that_take_long_are_tried_less_often() {
        let trial = Trial::with(Fault::always(Misbehaviour::Slow(60 * SECOND)), 45 * SECOND);
        assert_eq!(trial.read(), (4, Err(Class::Timeout)));
    }
}
