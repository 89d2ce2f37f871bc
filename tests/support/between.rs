//! The simulated account, with something that happens between two pages of a listing.

use std::sync::atomic::{AtomicUsize, Ordering};

use lambda_vpc_controller::cloud::{
    Alias, CloudError, Function, Identity, Interface, Listed, Listing, Marker, Page, Read, Reply, RouteTable,
    SecurityGroup, Simulated, Subnet, Tags, Vpc, VpcEndpoint,
};
use lambda_vpc_controller::names::{AccountId, FunctionKey, PolicyArn, Region, RoleArn, RoleName, ScopeKey, VpcId};
use lambda_vpc_controller::simulator::Door;

/// What happens just before a page is read: an error is its answer.
type Happening = Box<dyn Fn(&Door, usize) -> Result<(), CloudError> + Send + Sync>;

/// The direct door, and what happens before each page of ListFunctions, by its number from 0.
pub(crate) struct Between {
    door: Door,
    happening: Happening,
    pages: AtomicUsize,
}

impl Between {
    pub(crate) fn new(
        door: &Door,
        happening: impl Fn(&Door, usize) -> Result<(), CloudError> + Send + Sync + 'static,
    ) -> Self {
        Self { door: door.clone(), happening: Box::new(happening), pages: AtomicUsize::new(0) }
    }
}

impl Read for Between {
    fn list_functions<'a>(&'a self, at: &'a ScopeKey, which: Listing, from: Option<Marker>) -> Reply<'a, Page<Listed>> {
        match (self.happening)(&self.door, self.pages.fetch_add(1, Ordering::Relaxed)) {
            Ok(()) => self.door.list_functions(at, which, from),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    fn caller_identity<'a>(&'a self, account: Option<&'a AccountId>, region: &'a Region) -> Reply<'a, Identity> {
        self.door.caller_identity(account, region)
    }

    fn get_function<'a>(&'a self, key: &'a FunctionKey) -> Reply<'a, Function> {
        self.door.get_function(key)
    }

    fn list_aliases<'a>(&'a self, key: &'a FunctionKey, from: Option<Marker>) -> Reply<'a, Page<Alias>> {
        self.door.list_aliases(key, from)
    }

    fn list_tags<'a>(&'a self, key: &'a FunctionKey, partition: &'a str) -> Reply<'a, Tags> {
        self.door.list_tags(key, partition)
    }

    fn list_roles_with_policy<'a>(
        &'a self,
        account: &'a AccountId,
        policy: &'a PolicyArn,
        from: Option<Marker>,
    ) -> Reply<'a, Page<RoleName>> {
        self.door.list_roles_with_policy(account, policy, from)
    }

    fn list_attached_policies<'a>(&'a self, role: &'a RoleArn, from: Option<Marker>) -> Reply<'a, Page<PolicyArn>> {
        self.door.list_attached_policies(role, from)
    }

    fn trusts_edge<'a>(&'a self, role: &'a RoleArn) -> Reply<'a, bool> {
        self.door.trusts_edge(role)
    }

    fn simulate<'a>(&'a self, role: &'a RoleArn, region: &'a Region, actions: &'a [&'a str]) -> Reply<'a, Simulated> {
        self.door.simulate(role, region, actions)
    }

    fn describe_vpcs<'a>(&'a self, at: &'a ScopeKey, vpcs: &'a [VpcId], from: Option<Marker>) -> Reply<'a, Page<Vpc>> {
        self.door.describe_vpcs(at, vpcs, from)
    }

    fn describe_subnets<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpcs: &'a [VpcId],
        from: Option<Marker>,
    ) -> Reply<'a, Page<Subnet>> {
        self.door.describe_subnets(at, vpcs, from)
    }

    fn describe_route_tables<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpcs: &'a [VpcId],
        from: Option<Marker>,
    ) -> Reply<'a, Page<RouteTable>> {
        self.door.describe_route_tables(at, vpcs, from)
    }

    fn describe_security_groups<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpcs: &'a [VpcId],
        from: Option<Marker>,
    ) -> Reply<'a, Page<SecurityGroup>> {
        self.door.describe_security_groups(at, vpcs, from)
    }

    fn groups_for_vpc<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpc: &'a VpcId,
        from: Option<Marker>,
    ) -> Reply<'a, Page<SecurityGroup>> {
        self.door.groups_for_vpc(at, vpc, from)
    }

    fn describe_endpoints<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpcs: &'a [VpcId],
        from: Option<Marker>,
    ) -> Reply<'a, Page<VpcEndpoint>> {
        self.door.describe_endpoints(at, vpcs, from)
    }

    fn describe_interfaces<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpcs: &'a [VpcId],
        from: Option<Marker>,
    ) -> Reply<'a, Page<Interface>> {
        self.door.describe_interfaces(at, vpcs, from)
    }
}
