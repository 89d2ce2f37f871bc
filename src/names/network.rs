//! Where a function is in a network, and what Lambda makes for that.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SecurityGroupId, SubnetId};

/// A VPC configuration: what a function has, or shall have. Both lists are sets; empty means not in a VPC.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Network {
    /// The subnets, one network interface in each.
    pub subnets: BTreeSet<SubnetId>,
    /// The security groups of those interfaces.
    pub security_groups: BTreeSet<SecurityGroupId>,
    /// Whether outbound IPv6 is allowed in dual-stack subnets.
    pub ipv6: bool,
}

impl Network {
    /// Lambda takes at most this many subnets in one configuration.
    pub const MOST_SUBNETS: usize = 16;
    /// Lambda takes at most this many security groups in one configuration.
    pub const MOST_SECURITY_GROUPS: usize = 5;

    /// Not in a VPC.
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether this is a place in a VPC at all. Lambda shows "never attached" and "detached" differently; both are no.
    pub fn is_attached(&self) -> bool {
        !self.subnets.is_empty() || !self.security_groups.is_empty()
    }

    /// The pairs of this network: one for each subnet.
    pub fn pairs(&self) -> impl Iterator<Item = Pair> {
        let pair = |subnet: &SubnetId| Pair { subnet: subnet.clone(), security_groups: self.security_groups.clone() };
        self.subnets.iter().map(pair)
    }
}

/// What Lambda makes one network interface for, shared by all functions of an account that have it in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Pair {
    /// The subnet that the interface is in.
    pub subnet: SubnetId,
    /// Its whole set of security groups.
    pub security_groups: BTreeSet<SecurityGroupId>,
}
