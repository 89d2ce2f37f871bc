//! The network as EC2 describes it: VPCs, subnets, route tables, security groups and Lambda's interfaces.

use std::collections::BTreeSet;

use super::describe::{Property, Resource, describe};
use super::{Aws, AwsError, Describe, Regional};
use crate::cloud::{Page, Route, Service, Tags};
use crate::names::{AccountId, FunctionKey, ScopeKey, SecurityGroupId, SubnetId, Time, VpcId};

/// A VPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vpc {
    pub id: VpcId,
    /// The account that owns it.
    pub owner: AccountId,
    /// Its IPv4 range.
    pub cidr: String,
    pub tags: Tags,
    /// Whether instances run on dedicated hardware unless they say otherwise.
    pub dedicated: bool,
    /// Whether it is the region's default VPC.
    pub default: bool,
    /// Whether its encryption control is enforced, which Lambda is not excluded from.
    pub encrypted_only: bool,
}

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    pub id: SubnetId,
    /// The VPC it is in.
    pub vpc: VpcId,
    /// The account that owns it.
    pub owner: AccountId,
    /// The name of its zone, such as `eu-west-1a`; differs from account to account.
    pub zone: String,
    /// The id of its zone, such as `euw1-az1`; the same everywhere.
    pub zone_id: String,
    /// Its IPv4 range, of 256 addresses.
    pub cidr: String,
    pub tags: Tags,
    /// How many addresses are free.
    pub free_addresses: u32,
    /// Whether it also has an IPv6 range.
    pub ipv6: bool,
    /// Its state, usually `available`.
    pub state: String,
    /// Whether instances get a public address at their start.
    pub public_addresses: bool,
    /// Whether it has no IPv4 range at all.
    pub ipv6_native: bool,
    /// The ARN of the Outpost that it is on.
    pub outpost: Option<String>,
    /// Whether VPC Block Public Access lets nothing in or out.
    pub no_internet: bool,
}

/// A route table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTable {
    /// Its id, `rtb-…`.
    pub id: String,
    /// The VPC it belongs to.
    pub vpc: VpcId,
    /// The account that owns it.
    pub owner: AccountId,
    /// Whether it serves the subnets that name no other.
    pub main: bool,
    /// The subnets that name it.
    pub subnets: BTreeSet<SubnetId>,
    pub routes: Vec<Route>,
    pub tags: Tags,
}

impl RouteTable {
    fn targets(&self, kind: &str) -> Vec<String> {
        let wanted = self.routes.iter().filter(|route| target_kind(&route.target) == kind);
        wanted.map(|route| route.target.clone()).collect()
    }
}

/// The member of a route that EC2 gives a target in.
pub fn target_kind(target: &str) -> &'static str {
    match target.split_once('-').map_or(target, |(prefix, _)| prefix) {
        "nat" => "natGatewayId",
        "tgw" => "transitGatewayId",
        "pcx" => "vpcPeeringConnectionId",
        "eni" => "networkInterfaceId",
        "i" => "instanceId",
        "eigw" => "egressOnlyInternetGatewayId",
        _ => "gatewayId",
    }
}

/// The state of a route.
pub fn route_state(route: &Route) -> &'static str {
    if route.blackhole { "blackhole" } else { "active" }
}

/// A security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityGroup {
    pub id: SecurityGroupId,
    /// The VPC it is in.
    pub vpc: VpcId,
    /// The account that owns it.
    pub owner: AccountId,
    pub name: String,
    /// What it is for.
    pub description: String,
    pub tags: Tags,
    /// Whether its outbound rules let everything out; otherwise it has none.
    pub lets_out: bool,
    /// The other VPCs that it is associated with.
    pub associated: BTreeSet<VpcId>,
    /// Whether its owner shares it with those who share the VPC.
    pub shared: bool,
}

impl SecurityGroup {
    /// Whether an account can use it in a VPC.
    pub(super) fn is_usable(&self, account: &AccountId, vpc: &VpcId) -> bool {
        let own = self.vpc == *vpc && (self.owner == *account || self.shared);
        own || self.associated.contains(vpc)
    }
}

/// An endpoint for a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its id, `vpce-…`.
    pub id: String,
    /// The VPC it is in.
    pub vpc: VpcId,
    /// The account that owns it.
    pub owner: AccountId,
    /// The service: `com.amazonaws.eu-west-1.s3`.
    pub service: String,
    /// Whether it is a route to the service and no interface.
    pub gateway: bool,
    pub tags: Tags,
}

/// A network interface that Lambda made. All functions with the same subnet and groups share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its id, `eni-…`.
    pub id: String,
    /// The account that owns it.
    pub owner: AccountId,
    /// The subnet it is in.
    pub subnet: SubnetId,
    pub vpc: VpcId,
    /// The zone's name.
    pub zone: String,
    pub groups: BTreeSet<SecurityGroupId>,
    /// Its private address.
    pub address: String,
    /// Which function it was made for first.
    pub description: String,
    /// When it was made.
    pub created: Time,
    tags: Tags,
}

impl Interface {
    /// The interface that Lambda makes for a function, with an address that is no longer counted as free.
    pub(super) fn of_lambda(
        digits: &str,
        key: &FunctionKey,
        subnet: &Subnet,
        groups: BTreeSet<SecurityGroupId>,
        created: Time,
    ) -> Self {
        let prefix = subnet.cidr.rsplit_once('.').map_or("10.0.0", |(prefix, _)| prefix);
        Self {
            id: format!("eni-0{}", digits.get(..16).unwrap_or_default()),
            owner: key.scope.account.clone(),
            subnet: subnet.id.clone(),
            vpc: subnet.vpc.clone(),
            zone: subnet.zone.clone(),
            groups,
            // Addresses are given out from the top, so that the count of the free ones says which is next.
            address: format!("{prefix}.{}", 4 + subnet.free_addresses % 251),
            description: format!("AWS Lambda VPC ENI-{}-{}", key.name, super::uuid(digits)),
            created,
            tags: Tags::new(),
        }
    }
}

impl Resource for Vpc {
    const PROPERTIES: &'static [Property<Self>] = &[
        ("vpc-id", |it| vec![it.id.to_string()]),
        ("owner-id", |it| vec![it.owner.to_string()]),
        ("cidr", |it| vec![it.cidr.clone()]),
        ("cidr-block-association.cidr-block", |it| vec![it.cidr.clone()]),
        ("state", |_| vec!["available".to_owned()]),
        ("is-default", |it| vec![it.default.to_string()]),
        ("isDefault", |it| vec![it.default.to_string()]),
    ];
    const NOUN: &'static str = "vpc ID";
    const NOT_FOUND: &'static str = "InvalidVpcID.NotFound";
    const LARGEST_PAGE: u64 = 1000;

    fn id(&self) -> &str {
        self.id.as_str()
    }
    fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl Resource for Subnet {
    const PROPERTIES: &'static [Property<Self>] = &[
        ("subnet-id", |it| vec![it.id.to_string()]),
        ("vpc-id", |it| vec![it.vpc.to_string()]),
        ("owner-id", |it| vec![it.owner.to_string()]),
        ("availability-zone", |it| vec![it.zone.clone()]),
        ("availabilityZone", |it| vec![it.zone.clone()]),
        ("availability-zone-id", |it| vec![it.zone_id.clone()]),
        ("available-ip-address-count", |it| vec![it.free_addresses.to_string()]),
        ("cidr-block", |it| vec![it.cidr.clone()]),
        ("state", |it| vec![it.state.clone()]),
        ("map-public-ip-on-launch", |it| vec![it.public_addresses.to_string()]),
        ("default-for-az", |_| vec!["false".to_owned()]),
        ("ipv6-native", |it| vec![it.ipv6_native.to_string()]),
        ("outpost-arn", |it| it.outpost.iter().cloned().collect()),
    ];
    const NOUN: &'static str = "subnet ID";
    const NOT_FOUND: &'static str = "InvalidSubnetID.NotFound";
    const LARGEST_PAGE: u64 = 1000;

    fn id(&self) -> &str {
        self.id.as_str()
    }
    fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl Resource for RouteTable {
    const PROPERTIES: &'static [Property<Self>] = &[
        ("route-table-id", |it| vec![it.id.clone()]),
        ("vpc-id", |it| vec![it.vpc.to_string()]),
        ("owner-id", |it| vec![it.owner.to_string()]),
        ("association.main", |it| vec![it.main.to_string()]),
        ("association.subnet-id", |it| it.subnets.iter().map(ToString::to_string).collect()),
        ("route.gateway-id", |it| it.targets("gatewayId")),
        ("route.instance-id", |it| it.targets("instanceId")),
        ("route.nat-gateway-id", |it| it.targets("natGatewayId")),
        ("route.transit-gateway-id", |it| it.targets("transitGatewayId")),
        ("route.vpc-peering-connection-id", |it| it.targets("vpcPeeringConnectionId")),
        ("route.state", |it| it.routes.iter().map(|route| route_state(route).to_owned()).collect()),
        ("route.destination-cidr-block", |it| it.routes.iter().map(|route| route.destination.clone()).collect()),
    ];
    const NOUN: &'static str = "routeTable ID";
    const NOT_FOUND: &'static str = "InvalidRouteTableID.NotFound";
    const LARGEST_PAGE: u64 = 100;

    fn id(&self) -> &str {
        &self.id
    }
    fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl Resource for SecurityGroup {
    const PROPERTIES: &'static [Property<Self>] = &[
        ("group-id", |it| vec![it.id.to_string()]),
        ("group-name", |it| vec![it.name.clone()]),
        ("vpc-id", |it| vec![it.vpc.to_string()]),
        ("owner-id", |it| vec![it.owner.to_string()]),
        ("description", |it| vec![it.description.clone()]),
    ];
    const NOUN: &'static str = "security group";
    const NOT_FOUND: &'static str = "InvalidGroup.NotFound";
    const LARGEST_PAGE: u64 = 1000;

    fn id(&self) -> &str {
        self.id.as_str()
    }
    fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl Resource for Endpoint {
    const PROPERTIES: &'static [Property<Self>] = &[
        ("vpc-endpoint-id", |it| vec![it.id.clone()]),
        ("vpc-id", |it| vec![it.vpc.to_string()]),
        ("service-name", |it| vec![it.service.clone()]),
        ("vpc-endpoint-state", |_| vec!["available".to_owned()]),
        ("vpc-endpoint-type", |it| vec![if it.gateway { "Gateway" } else { "Interface" }.to_owned()]),
    ];
    const NOUN: &'static str = "Vpc Endpoint Id";
    const NOT_FOUND: &'static str = "InvalidVpcEndpointId.NotFound";
    const LARGEST_PAGE: u64 = 1000;

    fn id(&self) -> &str {
        &self.id
    }
    fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl Resource for Interface {
    const PROPERTIES: &'static [Property<Self>] = &[
        ("network-interface-id", |it| vec![it.id.clone()]),
        ("interface-type", |_| vec!["lambda".to_owned()]),
        ("status", |_| vec!["in-use".to_owned()]),
        ("subnet-id", |it| vec![it.subnet.to_string()]),
        ("vpc-id", |it| vec![it.vpc.to_string()]),
        ("group-id", |it| it.groups.iter().map(ToString::to_string).collect()),
        ("availability-zone", |it| vec![it.zone.clone()]),
        ("description", |it| vec![it.description.clone()]),
        ("owner-id", |it| vec![it.owner.to_string()]),
        ("private-ip-address", |it| vec![it.address.clone()]),
        ("requester-managed", |_| vec!["true".to_owned()]),
    ];
    const NOUN: &'static str = "networkInterface ID";
    const NOT_FOUND: &'static str = "InvalidNetworkInterfaceID.NotFound";
    const LARGEST_PAGE: u64 = 1000;
    const PAGES_EXCLUDE_IDS: bool = true;

    fn id(&self) -> &str {
        &self.id
    }
    fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl Aws {
    /// The VPCs of a region.
    pub fn describe_vpcs(&mut self, at: &ScopeKey, request: &Describe, now: Time) -> Result<Page<Vpc>, AwsError> {
        let most = self.quotas.ec2_page;
        describe(self.ec2(at, now)?.vpcs.values(), request, most)
    }

    /// The subnets of a region.
    pub fn describe_subnets(&mut self, at: &ScopeKey, request: &Describe, now: Time) -> Result<Page<Subnet>, AwsError> {
        let most = self.quotas.ec2_page;
        describe(self.ec2(at, now)?.subnets.values(), request, most)
    }

    /// The route tables of a region, at most 100 a page.
    pub fn describe_route_tables(
        &mut self,
        at: &ScopeKey,
        request: &Describe,
        now: Time,
    ) -> Result<Page<RouteTable>, AwsError> {
        let most = self.quotas.ec2_page;
        describe(self.ec2(at, now)?.route_tables.values(), request, most)
    }

    /// The security groups of a region.
    pub fn describe_security_groups(
        &mut self,
        at: &ScopeKey,
        request: &Describe,
        now: Time,
    ) -> Result<Page<SecurityGroup>, AwsError> {
        let most = self.quotas.ec2_page;
        describe(self.ec2(at, now)?.security_groups.values(), request, most)
    }

    /// The security groups that can be used in a VPC. Filters that this model knows are those of a listing of groups.
    pub fn get_security_groups_for_vpc(
        &mut self,
        at: &ScopeKey,
        vpc: &str,
        request: &Describe,
        now: Time,
    ) -> Result<Page<SecurityGroup>, AwsError> {
        let most = self.quotas.ec2_page;
        let region = self.ec2(at, now)?;
        let not_found = || AwsError::new(400, "InvalidVpcID.NotFound", format!("The vpc ID '{vpc}' does not exist"));
        let id = VpcId::parse(vpc).ok().filter(|id| region.vpcs.contains_key(id)).ok_or_else(not_found)?;
        let usable = region.security_groups.values().filter(|group| group.is_usable(&at.account, &id));
        describe(usable, request, most)
    }

    /// The endpoints for services of a region.
    pub fn describe_vpc_endpoints(
        &mut self,
        at: &ScopeKey,
        request: &Describe,
        now: Time,
    ) -> Result<Page<Endpoint>, AwsError> {
        let most = self.quotas.ec2_page;
        describe(self.ec2(at, now)?.endpoints.values(), request, most)
    }

    /// The network interfaces of a region; all of them are Lambda's.
    pub fn describe_network_interfaces(
        &mut self,
        at: &ScopeKey,
        request: &Describe,
        now: Time,
    ) -> Result<Page<Interface>, AwsError> {
        let most = self.quotas.ec2_page;
        describe(self.ec2(at, now)?.interfaces.values(), request, most)
    }

    fn ec2(&mut self, at: &ScopeKey, now: Time) -> Result<&mut Regional, AwsError> {
        self.regional(at, Service::Ec2, now)
    }
}

/// Filling a world. What is added replaces what has the same id.
impl Aws {
    /// Adds a VPC.
    pub fn add_vpc(&mut self, at: &ScopeKey, vpc: Vpc) -> Result<(), AwsError> {
        self.ec2(at, Time::default())?.vpcs.insert(vpc.id.clone(), vpc);
        Ok(())
    }

    /// Adds a subnet.
    pub fn add_subnet(&mut self, at: &ScopeKey, subnet: Subnet) -> Result<(), AwsError> {
        self.ec2(at, Time::default())?.subnets.insert(subnet.id.clone(), subnet);
        Ok(())
    }

    /// Adds a route table.
    pub fn add_route_table(&mut self, at: &ScopeKey, table: RouteTable) -> Result<(), AwsError> {
        self.ec2(at, Time::default())?.route_tables.insert(table.id.clone(), table);
        Ok(())
    }

    /// Adds an endpoint.
    pub fn add_endpoint(&mut self, at: &ScopeKey, endpoint: Endpoint) -> Result<(), AwsError> {
        self.ec2(at, Time::default())?.endpoints.insert(endpoint.id.clone(), endpoint);
        Ok(())
    }

    /// Adds a security group.
    pub fn add_security_group(&mut self, at: &ScopeKey, group: SecurityGroup) -> Result<(), AwsError> {
        self.ec2(at, Time::default())?.security_groups.insert(group.id.clone(), group);
        Ok(())
    }
}
