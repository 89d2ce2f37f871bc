//! The only door to AWS.
//!
//! [`Read`] and [`Write`] list the operations that this controller uses and no others, so they are its least-privilege
//! policy too. Two things implement them: the SDK ([`aws`]) and the simulated account. Either way an error passes the
//! one table in [`error`].

pub mod aws;
pub mod budget;
pub mod error;
mod retry;
mod types;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

pub use budget::{Family, Kind, Rates, Turns};
pub use error::{Class, CloudError, Denier};
pub use retry::{Pause, Retrying};
pub use types::*;

use crate::names::{
    AccountId, FunctionKey, Network, PolicyArn, Region, RevisionId, RoleArn, RoleName, ScopeKey, VpcId,
};

/// A call's answer, to be awaited.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, CloudError>> + Send + 'a>>;

/// What is read. Every list is one page a call.
pub trait Read: Send + Sync {
    /// Whose credentials are used for an account; with `None`, the process's own (`sts:GetCallerIdentity`).
    fn caller_identity<'a>(&'a self, account: Option<&'a AccountId>, region: &'a Region) -> Reply<'a, Identity>;

    /// The functions of a scope, at most 50 a page, without state and last update (`lambda:ListFunctions`).
    fn list_functions<'a>(&'a self, at: &'a ScopeKey, which: Listing, from: Option<Marker>) -> Reply<'a, Page<Listed>>;

    /// One function, with state and last update (`lambda:GetFunctionConfiguration`, or `lambda:GetFunction` where the
    /// operator allows that).
    fn get_function<'a>(&'a self, key: &'a FunctionKey) -> Reply<'a, Function>;

    /// The aliases of a function (`lambda:ListAliases`).
    fn list_aliases<'a>(&'a self, key: &'a FunctionKey, from: Option<Marker>) -> Reply<'a, Page<Alias>>;

    /// The tags of a function (`lambda:ListTags`); AWS asks for its ARN, and so for the partition.
    fn list_tags<'a>(&'a self, key: &'a FunctionKey, partition: &'a str) -> Reply<'a, Tags>;

    /// The names of the roles of an account that a policy is attached to (`iam:ListEntitiesForPolicy`).
    fn list_roles_with_policy<'a>(
        &'a self,
        account: &'a AccountId,
        policy: &'a PolicyArn,
        from: Option<Marker>,
    ) -> Reply<'a, Page<RoleName>>;

    /// The managed policies that are attached to a role (`iam:ListAttachedRolePolicies`).
    fn list_attached_policies<'a>(&'a self, role: &'a RoleArn, from: Option<Marker>) -> Reply<'a, Page<PolicyArn>>;

    /// Whether the trust policy of a role names Lambda@Edge (`iam:GetRole`).
    fn trusts_edge<'a>(&'a self, role: &'a RoleArn) -> Reply<'a, bool>;

    /// Whether a role may do all of these actions to the network interfaces of its account in a region
    /// (`iam:SimulatePrincipalPolicy`).
    fn simulate<'a>(&'a self, role: &'a RoleArn, region: &'a Region, actions: &'a [&'a str]) -> Reply<'a, Simulated>;

    /// These VPCs, as far as they exist (`ec2:DescribeVpcs` by filter).
    fn describe_vpcs<'a>(&'a self, at: &'a ScopeKey, vpcs: &'a [VpcId], from: Option<Marker>) -> Reply<'a, Page<Vpc>>;

    /// The subnets of these VPCs (`ec2:DescribeSubnets` by filter).
    fn describe_subnets<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpcs: &'a [VpcId],
        from: Option<Marker>,
    ) -> Reply<'a, Page<Subnet>>;

    /// The route tables of these VPCs (`ec2:DescribeRouteTables` by filter).
    fn describe_route_tables<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpcs: &'a [VpcId],
        from: Option<Marker>,
    ) -> Reply<'a, Page<RouteTable>>;

    /// The security groups of these VPCs (`ec2:DescribeSecurityGroups` by filter).
    fn describe_security_groups<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpcs: &'a [VpcId],
        from: Option<Marker>,
    ) -> Reply<'a, Page<SecurityGroup>>;

    /// The security groups that can be used in a VPC, also those of other VPCs that are associated with it, and those that
    /// its owner shares; without their rules (`ec2:GetSecurityGroupsForVpc`).
    fn groups_for_vpc<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpc: &'a VpcId,
        from: Option<Marker>,
    ) -> Reply<'a, Page<SecurityGroup>>;

    /// The endpoints for AWS's services in these VPCs that are in use (`ec2:DescribeVpcEndpoints` by filter).
    fn describe_endpoints<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpcs: &'a [VpcId],
        from: Option<Marker>,
    ) -> Reply<'a, Page<VpcEndpoint>>;

    /// The network interfaces that Lambda made in these VPCs (`ec2:DescribeNetworkInterfaces` by filter).
    fn describe_interfaces<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpcs: &'a [VpcId],
        from: Option<Marker>,
    ) -> Reply<'a, Page<Interface>>;
}

/// What a change is made to.
#[derive(Clone, Copy, Debug)]
pub enum Changed<'a> {
    /// The policies of a role.
    Role(&'a RoleArn),
    /// The VPC configuration of a function.
    Function(&'a FunctionKey),
}

/// The turn of a change, to be awaited. The error is how far away it is, where that is too far.
pub type Turn<'a> = Pin<Box<dyn Future<Output = Result<(), Duration>> + Send + 'a>>;

/// What changes AWS. These two calls, and nothing else in the program.
pub trait Write: Send + Sync {
    /// Waits for the turn of a change and takes it, so that the call itself goes out at once. Where it is so far away that
    /// the decision could be out of date by then, nothing is waited for or taken.
    fn turn<'a>(&'a self, _of: Changed<'a>) -> Turn<'a> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// How many requests a second to Lambda's control plane are possible now; none where nobody counts them.
    fn rate(&self, _at: &ScopeKey) -> Option<f64> {
        None
    }

    /// Attaches a managed policy to a role (`iam:AttachRolePolicy`). Repeating it does no harm.
    fn attach_policy<'a>(&'a self, role: &'a RoleArn, policy: &'a PolicyArn) -> Reply<'a, Receipt>;

    /// Sets a function's VPC configuration (`lambda:UpdateFunctionConfiguration`): always both lists and the IPv6 flag,
    /// sorted, with the revision that the decision was made on, and never the role.
    fn set_vpc<'a>(&'a self, key: &'a FunctionKey, to: &'a Network, at: Option<&'a RevisionId>) -> Reply<'a, Receipt>;
}

/// Both doors of one account world.
pub trait Cloud: Read + Write {}
impl<T: Read + Write> Cloud for T {}

/// An AWS service, as far as this program calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// AWS Lambda.
    Lambda,
    /// Amazon EC2.
    Ec2,
    /// AWS IAM.
    Iam,
    /// AWS STS.
    Sts,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Lambda, Self::Ec2, Self::Iam, Self::Sts];

    /// The service's name in IAM actions and in metric labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lambda => "lambda",
            Self::Ec2 => "ec2",
            Self::Iam => "iam",
            Self::Sts => "sts",
        }
    }
}

/// Every operation that the traits above make, by AWS's own name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    GetCallerIdentity,
    ListFunctions,
    GetFunctionConfiguration,
    GetFunction,
    ListAliases,
    ListTags,
    ListEntitiesForPolicy,
    ListAttachedRolePolicies,
    GetRole,
    SimulatePrincipalPolicy,
    DescribeVpcs,
    DescribeSubnets,
    DescribeRouteTables,
    DescribeSecurityGroups,
    GetSecurityGroupsForVpc,
    DescribeVpcEndpoints,
    DescribeNetworkInterfaces,
    AttachRolePolicy,
    UpdateFunctionConfiguration,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::GetCallerIdentity,
        Self::ListFunctions,
        Self::GetFunctionConfiguration,
        Self::GetFunction,
        Self::ListAliases,
        Self::ListTags,
        Self::ListEntitiesForPolicy,
        Self::ListAttachedRolePolicies,
        Self::GetRole,
        Self::SimulatePrincipalPolicy,
        Self::DescribeVpcs,
        Self::DescribeSubnets,
        Self::DescribeRouteTables,
        Self::DescribeSecurityGroups,
        Self::GetSecurityGroupsForVpc,
        Self::DescribeVpcEndpoints,
        Self::DescribeNetworkInterfaces,
        Self::AttachRolePolicy,
        Self::UpdateFunctionConfiguration,
    ];

    /// The service that it belongs to.
    pub fn service(self) -> Service {
        match self {
            Self::GetCallerIdentity => Service::Sts,
            Self::ListFunctions
            | Self::GetFunctionConfiguration
            | Self::GetFunction
            | Self::ListAliases
            | Self::ListTags
            | Self::UpdateFunctionConfiguration => Service::Lambda,
            Self::ListEntitiesForPolicy
            | Self::ListAttachedRolePolicies
            | Self::GetRole
            | Self::SimulatePrincipalPolicy
            | Self::AttachRolePolicy => Service::Iam,
            Self::DescribeVpcs
            | Self::DescribeSubnets
            | Self::DescribeRouteTables
            | Self::DescribeSecurityGroups
            | Self::GetSecurityGroupsForVpc
            | Self::DescribeVpcEndpoints
            | Self::DescribeNetworkInterfaces => Service::Ec2,
        }
    }

    /// Its name in AWS's API.
    pub fn name(self) -> &'static str {
        match self {
            Self::GetCallerIdentity => "GetCallerIdentity",
            Self::ListFunctions => "ListFunctions",
            Self::GetFunctionConfiguration => "GetFunctionConfiguration",
            Self::GetFunction => "GetFunction",
            Self::ListAliases => "ListAliases",
            Self::ListTags => "ListTags",
            Self::ListEntitiesForPolicy => "ListEntitiesForPolicy",
            Self::ListAttachedRolePolicies => "ListAttachedRolePolicies",
            Self::GetRole => "GetRole",
            Self::SimulatePrincipalPolicy => "SimulatePrincipalPolicy",
            Self::DescribeVpcs => "DescribeVpcs",
            Self::DescribeSubnets => "DescribeSubnets",
            Self::DescribeRouteTables => "DescribeRouteTables",
            Self::DescribeSecurityGroups => "DescribeSecurityGroups",
            Self::GetSecurityGroupsForVpc => "GetSecurityGroupsForVpc",
            Self::DescribeVpcEndpoints => "DescribeVpcEndpoints",
            Self::DescribeNetworkInterfaces => "DescribeNetworkInterfaces",
            Self::AttachRolePolicy => "AttachRolePolicy",
            Self::UpdateFunctionConfiguration => "UpdateFunctionConfiguration",
        }
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.service().name(), self.name())
    }
}

/// A call to AWS that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Called<'a> {
    /// What was asked.
    pub operation: Operation,
    /// The account and the region it was signed for; none where nobody knows yet whose the credentials are.
    pub at: Option<&'a ScopeKey>,
    /// What went wrong, if anything did.
    pub error: Option<&'a CloudError>,
    /// The time until the answer, without the wait for the budget.
    pub took: Duration,
}

impl Called<'_> {
    /// `ok`, or AWS's error code.
    pub fn code(&self) -> &str {
        self.error.map_or("ok", |error| error.code.as_str())
    }
}

/// Told of every call to AWS, for the metrics.
pub trait CallObserver: Send + Sync {
    /// A call has ended.
    fn called(&self, call: &Called<'_>);
    /// A call has waited this long for the budget of its family.
    fn waits(&self, family: Family, wait: Duration);
}

/// An observer that is not interested.
pub struct Unobserved;

impl CallObserver for Unobserved {
    fn called(&self, _: &Called<'_>) {}
    fn waits(&self, _: Family, _: Duration) {}
}
