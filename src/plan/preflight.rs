//! What Lambda would refuse only after minutes, or make people regret later, told from live EC2 before any write.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Serialize;

use super::reason::{Reason, Why};
use super::{Line, World};
use crate::desired::Want;
use crate::live::{Fault, Seen, VpcFacts};
use crate::names::{Pair, ScopeKey, SubnetId, VpcId};

/// Fewer free addresses than this in a subnet are worth a warning: under load Lambda makes further interfaces.
const FEW_ADDRESSES: u32 = 8;
/// The quota of Lambda's interfaces in a VPC unless it was raised, as AWS documents it.
const USUAL_QUOTA: usize = 500;

/// Checks the subnets in which interfaces have to be made for these new pairs; returns warnings.
///
/// Where nobody can say which interfaces are there, a pair may be an old one, and Lambda itself has to tell.
pub(super) fn check(facts: &VpcFacts, new: &[Pair]) -> Result<Vec<String>, Why> {
    let mut warnings = Vec::new();
    for Pair { subnet: id, .. } in new {
        let Some(subnet) = facts.subnets.iter().map(|it| &it.subnet).find(|it| it.id == *id) else { continue };
        match (subnet.free_addresses, &facts.interfaces) {
            (0, Seen::Present(_)) => return Err(Why::new(Reason::NoFreeAddress, id.to_string())),
            (free, _) if free < FEW_ADDRESSES => {
                warnings
                    .push(format!("{id} has only {free} free addresses, and a network interface is to be made in it"));
            }
            _ => {}
        }
    }
    Ok(warnings)
}

/// The network interfaces that Lambda would have to make in one VPC for a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewInterfaces {
    /// Where the VPC is used.
    #[serde(flatten)]
    pub scope: ScopeKey,
    pub vpc: VpcId,
    /// How many are there; none if that could not be read.
    pub there: Option<usize>,
    /// How many the plan needs beside these: one for each new pair of subnet and set of security groups.
    pub new: usize,
    /// What is doubtful about that, in sentences.
    pub warnings: Vec<String>,
}

/// The new interfaces of the plan of a scope, by VPC; only the lines that would be changed count.
pub(super) fn new_interfaces(w: &World<'_>, lines: &[Line]) -> Vec<NewInterfaces> {
    let Some(scope) = lines.first().map(|line| &line.entry.key.scope) else { return Vec::new() };
    let mut needed: BTreeMap<&VpcId, BTreeSet<&Pair>> = BTreeMap::new();
    // Thousands of lines have their pairs in common.
    let mut seen: HashSet<*const Pair> = HashSet::new();
    for Line { entry, comparison, .. } in lines.iter().filter(|line| line.outcome().is_none()) {
        let pairs = &comparison.new_pairs;
        if let Want::Attached(intent) = &entry.terms.want
            && !pairs.is_empty()
            && seen.insert(pairs.as_ptr())
        {
            needed.entry(&intent.vpc).or_default().extend(pairs.iter());
        }
    }
    needed.into_iter().map(|(vpc, pairs)| in_vpc(w, scope, vpc, &pairs)).collect()
}

fn in_vpc(w: &World<'_>, scope: &ScopeKey, vpc: &VpcId, pairs: &BTreeSet<&Pair>) -> NewInterfaces {
    let new = pairs.len();
    let mut warnings = Vec::new();
    let facts = match w.facts.vpc(vpc) {
        Seen::Present(facts) => Some(facts),
        Seen::Absent | Seen::Unknown(_) => None,
    };
    let there = match facts.map(|facts| &facts.interfaces) {
        Some(Seen::Present(there)) => Some(there.count()),
        Some(Seen::Unknown(Fault::Failed(error))) => {
            warnings.push(format!("which interfaces are there already cannot be read: {error}"));
            None
        }
        _ => None,
    };
    if let Some(there) = there.filter(|there| there + new > USUAL_QUOTA) {
        let text = format!("{there} interfaces of Lambda are there and {new} are to be made");
        warnings.push(format!("{text}; the quota is {USUAL_QUOTA} in a VPC unless it was raised, and EFS shares it"));
    }
    let mut in_subnets: BTreeMap<&SubnetId, u32> = BTreeMap::new();
    pairs.iter().for_each(|pair| *in_subnets.entry(&pair.subnet).or_default() += 1);
    for subnet in facts.iter().flat_map(|facts| &facts.subnets).map(|it| &it.subnet) {
        let wanted = in_subnets.get(&subnet.id).copied().unwrap_or_default();
        if wanted > subnet.free_addresses {
            let (id, free) = (&subnet.id, subnet.free_addresses);
            warnings.push(format!("{id} has {free} free addresses, and {wanted} interfaces are to be made in it"));
        }
    }
    NewInterfaces { scope: scope.clone(), vpc: vpc.clone(), there, new, warnings }
}
