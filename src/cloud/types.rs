//! What AWS answers, reduced to what this controller looks at. Environment values never get this far.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::error::classify_failure;
use super::{Class, CloudError};
use crate::names::{
    AccountId, AliasName, FunctionName, Network, Pair, Region, RevisionId, RoleArn, RoleKey, RoleName, SecurityGroupId,
    SubnetId, Time, Version, VpcId,
};
use crate::text::{shown, shown_within};

/// One page of a listing, and where the next begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items of this page; a page may be short or even empty although more follow.
    pub items: Vec<T>,
    /// What to pass to get the next page; `None` at the end.
    pub next: Option<Marker>,
}

/// AWS's own word for "go on from here"; opaque.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker(pub String);

/// Whose credentials a call would use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account that they belong to.
    pub account: AccountId,
    /// The ARN of the user or role session.
    pub arn: String,
}

impl Identity {
    /// The role whose session it is, as in `arn:aws:sts::123456789012:assumed-role/NAME/SESSION`; none of a user.
    pub fn role(&self) -> Option<RoleKey> {
        let session = self.arn.splitn(6, ':').nth(5)?.strip_prefix("assumed-role/")?;
        let name = RoleName::parse(session.split('/').next()?).ok()?;
        Some(RoleKey { account: self.account.clone(), name })
    }
}

/// What a listing of functions is to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listing {
    /// Each function as updates change it: `$LATEST`.
    #[default]
    Latest,
    /// Its published versions as well, each an item of its own, in any order.
    All,
}

/// An item of a listing. One that cannot be understood is known by its name, and hides no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub name: FunctionName,
    /// The version that was published; none for `$LATEST`.
    pub version: Option<Version>,
    /// Its configuration, without state and last update.
    pub function: Result<Function, CloudError>,
}

/// A name that callers use for a function, and what they get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    pub name: AliasName,
    /// The published versions that it leads to: one, or two that share the calls; none if it leads to `$LATEST`.
    pub versions: BTreeSet<Version>,
}

/// A function's configuration, as far as it concerns its network. What hardly any function of a listing
/// has is behind a pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    pub name: FunctionName,
    /// Its execution role.
    pub role: RoleArn,
    /// Its VPC configuration; absent, empty and null are the same.
    pub network: Arc<Network>,
    /// The VPC that Lambda derived from the subnets; none if it is in none.
    pub vpc: Option<VpcId>,
    /// The revision to send with an update. Some emulators have none.
    pub revision: Option<RevisionId>,
    /// When the configuration last changed.
    pub modified: Option<Time>,
    /// State and last update; `None` if this comes from a listing, which never shows them.
    pub life: Option<Box<Life>>,
    /// Why this function cannot be managed by its own VPC configuration, if that is so.
    pub excluded: Option<Box<Exclusion>>,
    /// The ARNs of the access points of EFS or S3 Files that it mounts, for which it has to be in a VPC.
    pub mounts: Box<[String]>,
}

/// Where a function stands in its life cycle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// Whether the function as a whole can be used.
    pub state: State,
    /// How the last update went.
    pub update: Update,
}

/// `State` of a function; values that this program does not know keep their text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Being created, or getting its network back after idling.
    Pending,
    /// Can be invoked.
    Active,
    /// Idle for weeks, its interfaces reclaimed; updates are accepted.
    Inactive,
    /// The creation failed; only deleting and creating it again helps.
    Failed(Failure),
    /// Being deleted, for which it may have to drain first; updates are refused with 409, as in the next three.
    Deleting,
    /// Being deactivated.
    Deactivating,
    /// Deactivated.
    Deactivated,
    /// Active, but not to be invoked.
    ActiveNonInvocable,
    /// Something else, by AWS's word.
    Other(String),
}

impl State {
    /// AWS's word for it.
    pub fn name(&self) -> &str {
        match self {
            Self::Pending => "Pending",
            Self::Active => "Active",
            Self::Inactive => "Inactive",
            Self::Failed(_) => "Failed",
            Self::Deleting => "Deleting",
            Self::Deactivating => "Deactivating",
            Self::Deactivated => "Deactivated",
            Self::ActiveNonInvocable => "ActiveNonInvocable",
            Self::Other(name) => name,
        }
    }
}

/// `LastUpdateStatus` of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// The last update is in force.
    Successful,
    /// An update is going on; another one would be refused with 409.
    InProgress,
    /// The last update was given up; what was before it stays in force.
    Failed(Failure),
    /// Lambda did not say; that happens for a while after a creation or an update.
    Unsaid,
}

/// Why a creation or an update failed, in AWS's words. The code is not from a closed list: real answers go beyond it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// The reason code, such as `SubnetOutOfIPAddresses`.
    pub code: String,
    /// The reason's text.
    pub text: String,
}

impl Failure {
    /// The class of the reason code.
    pub fn class(&self) -> Class {
        classify_failure(&self.code)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, text } = self;
        write!(f, "{}: {}", shown_within(code, 100), shown(text))
    }
}

/// Why a function's own VPC configuration is not what decides about its network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exclusion {
    /// It runs on a capacity provider, which has the network; the ARN of that.
    CapacityProvider(String),
    /// It is a replica made by Lambda@Edge; the ARN of its master.
    EdgeReplica(String),
}

/// A VPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vpc {
    pub id: VpcId,
    /// The account that owns it; another one if it is shared.
    pub owner: Option<AccountId>,
    /// Its tags; not visible in a VPC that another account shares.
    pub tags: Tags,
    /// Whether instances in it run on dedicated hardware by default; Lambda refuses such a VPC.
    pub dedicated: bool,
    /// Whether VPC Encryption Control lets nothing in that does not encrypt, and Lambda has no exclusion from that.
    pub encrypted_only: bool,
}

/// The tags of a resource.
pub type Tags = BTreeMap<String, String>;

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    pub id: SubnetId,
    /// The VPC it is in.
    pub vpc: VpcId,
    pub tags: Tags,
    /// The availability zone's id, the same for every account: `euw1-az1`.
    pub zone: String,
    /// Whether it is usable: state `available`.
    pub available: bool,
    /// How many IPv4 addresses are free.
    pub free_addresses: u32,
    /// Whether it has an IPv4 range: one that is IPv6-native has none.
    pub ipv4: bool,
    /// Whether it has an IPv6 range, as all subnets need when IPv6 is allowed.
    pub ipv6: bool,
    /// Whether it is on an Outpost, and so in somebody's own building.
    pub outpost: bool,
    /// Whether VPC Block Public Access stops all traffic with the internet, both ways. Not where that is not said.
    pub no_internet: bool,
}

/// A route table, reduced to which subnets it serves and where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTable {
    /// The VPC it belongs to.
    pub vpc: VpcId,
    /// The subnets that name it. A subnet that no table names is served by the VPC's main table.
    pub subnets: BTreeSet<SubnetId>,
    /// Whether it is the main table of its VPC.
    pub main: bool,
    pub routes: Vec<Route>,
}

/// A route: where packets to some addresses go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The addresses: an IPv4 or IPv6 range, or the id of a prefix list.
    pub destination: String,
    /// `local`, or the id of a gateway and the like, whose prefix tells what it is (`nat-…`, `igw-…`); a core network's ARN.
    pub target: String,
    /// Whether the target is gone, or cannot be reached: AWS's state `blackhole`.
    pub blackhole: bool,
}

/// A security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityGroup {
    pub id: SecurityGroupId,
    /// The VPC it was made in.
    pub vpc: VpcId,
    /// The account that owns it; in a shared VPC another one than the VPC's.
    pub owner: Option<AccountId>,
    /// Its name; unique in its VPC.
    pub name: String,
    pub tags: Tags,
    /// Whether it has any outbound rule; none where the answer did not tell.
    pub lets_out: Option<bool>,
}

/// An endpoint by which a VPC reaches a service without the internet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VpcEndpoint {
    /// The VPC it is in.
    pub vpc: VpcId,
    /// The service: `com.amazonaws.eu-west-1.s3`.
    pub service: String,
}

/// A network interface that Lambda made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The VPC it is in.
    pub vpc: VpcId,
    /// What it was made for.
    pub pair: Pair,
}

/// What a simulation said of a role's rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Simulated {
    /// The role may do all that was asked.
    Allowed,
    /// No policy allows it: attaching one that does will help.
    Missing,
    /// Something overrules what the policies allow: attaching another will not help.
    Overruled(Overruler),
    /// It depends on the request's circumstances, or nobody could say: only trying tells.
    Unclear,
}

/// What overrules the policies of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overruler {
    /// Its permissions boundary.
    Boundary,
    /// A policy of the organisation (SCP).
    Organisation,
    /// A statement that denies explicitly.
    Denial,
}

/// What AWS answered to a change, beside that it was accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The id under which AWS's support finds the call.
    pub request_id: Option<String>,
}

/// The partitions of AWS, and the region of each in which its IAM is signed: as the SDK's own rules for endpoints have it.
pub const PARTITIONS: [(&str, &str); 8] = [
    ("aws", "us-east-1"),
    ("aws-cn", "cn-north-1"),
    ("aws-us-gov", "us-gov-west-1"),
    ("aws-eusc", "eusc-de-east-1"),
    ("aws-iso", "us-iso-east-1"),
    ("aws-iso-b", "us-isob-east-1"),
    ("aws-iso-e", "eu-isoe-west-1"),
    ("aws-iso-f", "us-isof-south-1"),
];

/// The region in which a partition's IAM is signed; none of a partition that this program does not know.
pub fn iam_region(partition: &str) -> Option<Region> {
    let (_, region) = PARTITIONS.iter().find(|(name, _)| *name == partition)?;
    Region::parse(region).ok()
}
