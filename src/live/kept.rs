//! What repeats in an answer of AWS, kept once: thousands of functions have a few dozen networks and some hundred roles.

use std::sync::Arc;

use crate::cloud::Function;
use crate::names::{FunctionName, Network, Once, RoleArn, VpcId};

/// What has been seen so far.
#[derive(Default)]
pub(super) struct Kept {
    networks: Once<Arc<Network>>,
    roles: Once<RoleArn>,
    vpcs: Once<VpcId>,
}

impl Kept {
    /// The same function, made of what has been seen already; its name is known by `name`.
    pub(super) fn function(&mut self, function: Function, name: &FunctionName) -> Function {
        let Function { name: _, role, network, vpc, .. } = function;
        let vpc = vpc.map(|vpc| self.vpcs.of(vpc));
        let role = self.roles.of(role);
        Function { name: name.clone(), role, network: self.network(network), vpc, ..function }
    }

    /// The same network.
    pub(super) fn network(&mut self, network: Arc<Network>) -> Arc<Network> {
        self.networks.of(network)
    }
}
