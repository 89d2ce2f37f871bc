//! Budgets: how fast we allow ourselves to call, well below what AWS grants to all users of an account together.
//!
//! AWS counts requests by families of operations, each with a limit of its own: all of Lambda's control plane together 15
//! a second for an account and region, but GetFunction by itself 100; EC2's reads 20; IAM by account, with limits that are
//! not published. One token bucket keeps each (`bucket`). When AWS throttles all the same, others are at work: the rate
//! halves, and creeps back. Where calls wait for tokens, changes go before reads (`line`), so that a resync of thousands of
//! pages does not hold up what it was made for.

mod bucket;
mod line;
mod turns;

pub use line::Kind;
pub use turns::Turns;

use super::Operation;

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
            | Operation::ListTags
            | Operation::UpdateFunctionConfiguration => Some(Self::Lambda),
            Operation::GetFunction => Some(Self::GetFunction),
            Operation::ListEntitiesForPolicy
            | Operation::ListAttachedRolePolicies
            | Operation::GetRole
            | Operation::SimulatePrincipalPolicy
            | Operation::AttachRolePolicy => Some(Self::Iam),
            Operation::DescribeVpcs
            | Operation::DescribeSubnets
            | Operation::DescribeRouteTables
            | Operation::DescribeSecurityGroups
            | Operation::GetSecurityGroupsForVpc
            | Operation::DescribeVpcEndpoints
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
