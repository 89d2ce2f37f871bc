//! What repeats in an answer of AWS, kept once: thousands of functions have a few dozen networks and some hundred roles.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::cloud::Function;
use crate::names::{FunctionName, Network, RoleArn, VpcId};

/// What has been seen so far.
#[derive(Default)]
pub(super) struct Kept {
    networks: BTreeSet<Arc<Network>>,
    roles: BTreeSet<RoleArn>,
    vpcs: BTreeSet<VpcId>,
}

impl Kept {
    /// The same function, made of what has been seen already; its name is known by `name`.
    pub(super) fn function(&mut self, function: Function, name: &FunctionName) -> Function {
        let Function { name: _, role, network, vpc, .. } = function;
        let vpc = vpc.map(|vpc| once(&mut self.vpcs, vpc));
        let role = once(&mut self.roles, role);
        Function { name: name.clone(), role, network: self.network(network), vpc, ..function }
    }

    /// The same network.
    pub(super) fn network(&mut self, network: Arc<Network>) -> Arc<Network> {
        once(&mut self.networks, network)
    }
}

/// The value that is equal to this one and was there first.
fn once<T: Ord + Clone>(seen: &mut BTreeSet<T>, value: T) -> T {
    match seen.get(&value) {
        Some(first) => first.clone(),
        None => {
            seen.insert(value.clone());
            value
        }
    }
}
