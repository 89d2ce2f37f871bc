//! What a simulated world holds at its start, as a person writes it in TOML.
//!
//! The declarations are short where AWS is long: a VPC brings its default group and its route tables, a subnet its
//! address range and its zone. References are checked when the world is built, so that a mistake is told with the item
//! it is in, before anything runs.

mod build;
mod examples;
mod faults;
mod limits;
mod networks;
mod overruler;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

pub use faults::{DeclaredAnswer, DeclaredFault, DeclaredFaults, DeclaredService};
pub use limits::{DeclaredQuotas, DeclaredRate, DeclaredTimings};

use super::Overruler;
use crate::names::NameError;

/// A world that was declared but not built yet; see [`World::build`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    /// Where the declarations come from, for the errors.
    #[serde(skip)]
    pub origin: String,
    /// What holds where an item says nothing.
    #[serde(default)]
    pub defaults: Defaults,
    /// How long things take, in seconds.
    #[serde(default)]
    pub timings: DeclaredTimings,
    /// How much is allowed.
    #[serde(default)]
    pub quotas: DeclaredQuotas,
    /// What chance begins with, for faults with a percentage.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Runtimes whose functions AWS no longer updates.
    #[serde(default)]
    pub retired_runtimes: Vec<String>,
    /// Zones, by their ids (`use1-az3`), in which Lambda makes no interfaces.
    #[serde(default)]
    pub refused_zones: Vec<String>,
    /// The VPCs.
    #[serde(default, rename = "vpc")]
    pub vpcs: Vec<DeclaredVpc>,
    /// Their subnets.
    #[serde(default, rename = "subnet")]
    pub subnets: Vec<DeclaredSubnet>,
    /// Their security groups, besides the default ones.
    #[serde(default, rename = "security_group")]
    pub security_groups: Vec<DeclaredSecurityGroup>,
    /// Endpoints for services.
    #[serde(default, rename = "endpoint")]
    pub endpoints: Vec<DeclaredEndpoint>,
    /// Managed policies of customers.
    #[serde(default, rename = "policy")]
    pub policies: Vec<DeclaredPolicy>,
    /// Roles.
    #[serde(default, rename = "role")]
    pub roles: Vec<DeclaredRole>,
    /// Functions.
    #[serde(default, rename = "function")]
    pub functions: Vec<DeclaredFunction>,
    /// What goes wrong on purpose.
    #[serde(default, rename = "fault")]
    pub faults: Vec<DeclaredFault>,
    /// Who else works on the account.
    #[serde(default, rename = "meddler")]
    pub meddlers: Vec<DeclaredMeddler>,
}

/// Account and region of items that name none.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    /// The account's id; unknown credentials belong to it.
    pub account: String,
    pub region: String,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { account: "123456789012".to_owned(), region: "eu-west-1".to_owned() }
    }
}

/// A VPC, with its default security group and its route tables.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeclaredVpc {
    pub id: String,
    /// The account that it is seen in.
    pub account: Option<String>,
    /// The account that owns it and shares it with that one, if it is another; no tags are seen then.
    pub owner: Option<String>,
    pub region: Option<String>,
    /// Its `Name` tag.
    pub name: Option<String>,
    /// Its other tags.
    pub tags: BTreeMap<String, String>,
    /// Its IPv4 range; a /16 of its own if left out.
    pub cidr: Option<String>,
    /// The id of its default group; made from the VPC's id if left out.
    pub default_security_group: Option<String>,
    /// Whether instances run on dedicated hardware.
    pub dedicated: bool,
    /// Whether it is the region's default VPC, whose main route table leads to the internet.
    pub default: bool,
    /// Whether its encryption control is enforced, which Lambda is not excluded from.
    pub encrypted_only: bool,
    /// Where its subnets lead that do not say so themselves: `"nat"`, `"transit-gateway"`, `"virtual-gateway"`,
    /// `"firewall"`, `"appliance"`, `"peering"`, `"internet-gateway"`, `"blackhole"` or `"none"`, as in a fresh VPC.
    pub default_route: Option<DefaultRoute>,
}

/// Where a subnet leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DefaultRoute {
    /// Nowhere: its table has no default route.
    #[default]
    None,
    /// To a NAT gateway.
    Nat,
    /// To a transit gateway.
    TransitGateway,
    /// To a virtual private gateway.
    VirtualGateway,
    /// To a firewall's endpoint.
    Firewall,
    /// To a network interface of an instance.
    Appliance,
    /// To a peered VPC.
    Peering,
    /// To an internet gateway.
    InternetGateway,
    /// To a NAT gateway that is gone.
    Blackhole,
}

/// A subnet.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeclaredSubnet {
    pub id: String,
    /// The id of its VPC.
    pub vpc: String,
    /// Its zone: `eu-west-1a` or just `a`; the zones a, b and c in turn if left out.
    pub zone: Option<String>,
    /// Its `Name` tag.
    pub name: Option<String>,
    /// Its other tags.
    pub tags: BTreeMap<String, String>,
    /// Its IPv4 range; the VPC's next /24 if left out.
    pub cidr: Option<String>,
    /// How many addresses are free; 251 if left out, as in a fresh /24.
    pub free_addresses: Option<u32>,
    /// The id of its zone, where that is not the usual one: of a Local Zone (`euw1-dub1-az1`), for example.
    pub zone_id: Option<String>,
    /// Whether it has an IPv6 range alone.
    pub ipv6_native: bool,
    /// The ARN of the Outpost that it is on.
    pub outpost: Option<String>,
    /// Whether VPC Block Public Access lets nothing in or out.
    pub no_internet: bool,
    /// Whether it leads to an internet gateway: short for that default route.
    pub public: bool,
    /// Where it leads; as its VPC says if left out.
    pub default_route: Option<DefaultRoute>,
    /// Whether it also has an IPv6 range.
    pub ipv6: bool,
    /// Its state; `available` if left out.
    pub state: Option<String>,
}

/// A security group.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeclaredSecurityGroup {
    pub id: String,
    /// The id of its VPC.
    pub vpc: String,
    /// Its name; the id if left out.
    pub name: Option<String>,
    /// What it is for.
    pub description: String,
    pub tags: BTreeMap<String, String>,
    /// Whether its outbound rules let everything out (they do if left out) or it has none.
    pub lets_out: Option<bool>,
    /// Other VPCs that it is associated with.
    pub associated: Vec<String>,
    /// Whether it belongs to the owner of a shared VPC, who shares it as well; in a shared VPC, groups are else the
    /// account's own, but for the default one.
    pub shared: bool,
}

/// An endpoint by which a VPC reaches a service without the internet.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeclaredEndpoint {
    /// The id of its VPC.
    pub vpc: String,
    /// The service, without what all names begin with: `s3`, `secretsmanager`.
    pub service: String,
}

/// A managed policy of a customer's.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeclaredPolicy {
    pub name: String,
    /// Its path, `/` if left out.
    pub path: Option<String>,
    /// The account that it is in.
    pub account: Option<String>,
    /// The actions that it allows, with `*` for any text.
    pub actions: Vec<String>,
    /// The ARNs of the resources that it allows them on, with `*` for any text; all if left out.
    pub resources: Option<Vec<String>>,
}

/// A role.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeclaredRole {
    pub name: String,
    /// The account that it is in.
    pub account: Option<String>,
    /// Its path, `/` if left out.
    pub path: Option<String>,
    /// The managed policies that have long been attached: ARNs, or paths and names of AWS's own.
    pub policies: Vec<String>,
    /// Whether a policy of its own allows what Lambda needs.
    pub inline_vpc_access: bool,
    /// What denies everything, whatever is attached: `"boundary"`, `"organisation"` (or `true`) or `"scoped"`.
    #[serde(deserialize_with = "overruler::deserialize")]
    pub overruled: Option<Overruler>,
    /// Who may become it: account ids, or ARNs with `*` for any text; whoever asks if left out.
    pub trusts: Option<Vec<String>>,
    /// The external id that those must know.
    pub external_id: Option<String>,
    /// Whether those may tag the session, as those must whose own session has tags that go on.
    pub tag_session: bool,
    /// Whether Lambda@Edge may assume it, too.
    pub edge: bool,
}

/// A function.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeclaredFunction {
    pub name: String,
    /// The account that it is in.
    pub account: Option<String>,
    pub region: Option<String>,
    /// The name of its role.
    pub role: String,
    /// The subnets that it is attached to; none if left out.
    pub subnets: Vec<String>,
    /// The security groups that it is attached with; none if left out.
    pub security_groups: Vec<String>,
    /// Whether outbound IPv6 is allowed.
    pub ipv6: bool,
    /// The versions that were published of it.
    pub versions: Vec<DeclaredVersion>,
    /// Its aliases: the one version that each leads to, or the two that share its calls.
    pub aliases: BTreeMap<String, DeclaredRoute>,
    pub runtime: Option<String>,
    /// What it is for.
    pub description: String,
    /// The ARN of the capacity provider that it runs on, if it does.
    pub capacity_provider: Option<String>,
    /// The ARN of its master, if it is a replica made by Lambda@Edge.
    pub master_arn: Option<String>,
    pub tags: BTreeMap<String, String>,
    /// The ARNs of the access points of EFS or S3 Files that it mounts.
    pub access_points: Vec<String>,
    /// The ARN of the customer's key for its environment variables.
    pub kms_key: Option<String>,
    /// Whether its role was made anew since the grant on that key.
    pub grant_void: bool,
    /// Its state; `Active` if left out.
    pub state: Option<String>,
    /// Why it is `Failed`: the reason code.
    pub state_reason_code: Option<String>,
    /// Why it is `Failed`: the reason's text.
    pub state_reason: Option<String>,
}

/// A published version, which has nothing of its own here but its network.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeclaredVersion {
    /// Its number.
    pub version: u64,
    /// The subnets that it is attached to; none if left out.
    pub subnets: Vec<String>,
    /// The security groups that it is attached with; none if left out.
    pub security_groups: Vec<String>,
    /// Whether outbound IPv6 is allowed.
    pub ipv6: bool,
}

/// What an alias leads to.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "the number of a version, or a list of two")]
pub enum DeclaredRoute {
    /// One version.
    One(u64),
    /// Two that share the calls.
    Shared([u64; 2]),
}

/// Somebody who sets a function or a role back, again and again.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeclaredMeddler {
    /// The account that it works in.
    pub account: Option<String>,
    /// The function's region.
    pub region: Option<String>,
    /// The function whose network it sets.
    pub function: Option<String>,
    /// `"none"`: it takes the function out of its VPC.
    pub network: Option<String>,
    /// The subnets that it gives the function instead.
    pub subnets: Vec<String>,
    /// The security groups that it gives the function instead.
    pub security_groups: Vec<String>,
    /// The role that it detaches a policy from.
    pub role: Option<String>,
    /// That policy: an ARN, or path and name of one of AWS's own.
    pub detach: Option<String>,
    /// From one turn to the next, in seconds.
    pub every: f64,
    /// How often it gets its way before it stops.
    pub times: Option<u32>,
}

/// A world that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The text is no TOML, or has a key that a world does not know; with line and column.
    #[error("{origin} does not describe a world: {error}")]
    Syntax {
        /// Where the text comes from.
        origin: String,
        /// What is wrong, and where.
        error: Box<toml::de::Error>,
    },
    /// An item contradicts itself or another.
    #[error("{origin}: {item}: {problem}")]
    Item {
        /// Where the declarations come from.
        origin: String,
        item: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// What is wrong with an item, before it is known where the item stands.
#[derive(Debug)]
struct Problem(String);

/// A number of seconds, which a person may get wrong.
fn seconds(given: f64) -> Result<Duration, Problem> {
    Duration::try_from_secs_f64(given).map_err(|error| Problem(format!("{given} is no number of seconds: {error}")))
}

impl From<NameError> for Problem {
    fn from(error: NameError) -> Self {
        Self(error.to_string())
    }
}

impl From<super::AwsError> for Problem {
    fn from(error: super::AwsError) -> Self {
        Self(error.message)
    }
}

impl World {
    /// Parses declarations that come from `origin`.
    pub fn parse(text: &str, origin: &str) -> Result<Self, WorldError> {
        let world: Self = toml::from_str(text)
            .map_err(|error| WorldError::Syntax { origin: origin.to_owned(), error: Box::new(error) })?;
        Ok(Self { origin: origin.to_owned(), ..world })
    }
}
