//! What the file's VPC entries meant at the last listings, so that a network that changes by itself is acted on only when
//! it has been seen twice.
//!
//! EC2 flickers: an answer lacks a subnet, a tag lags behind, Terraform is between a subnet and its route table. Acted on
//! at once, such an answer moves functions, and the next one moves them back. So a change that no edit asked for waits
//! until two listings, a resync apart, agree. An edit is acted on at once, by the latest listing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::desired::Intent;
use crate::names::{Network, Time};

/// What each VPC entry meant.
#[derive(Clone, Debug, Default)]
pub struct Targets(BTreeMap<Arc<Intent>, Target>);

#[derive(Clone, Debug)]
struct Target {
    network: Arc<Network>,
    /// The first and the last listing in a row that said so.
    first: Time,
    last: Time,
}

impl Targets {
    /// A listing, begun at that moment, says what the entries mean that functions have: none where it could not tell, so that
    /// the listing before still counts. Other entries are forgotten.
    pub fn listed(&mut self, at: Time, meant: BTreeMap<Arc<Intent>, Option<Arc<Network>>>) {
        let mut before = std::mem::take(&mut self.0);
        for (intent, network) in meant {
            let target = match (network, before.remove(&intent)) {
                (None, before) => before,
                (Some(network), Some(before)) if before.network == network => Some(Target { last: at, ..before }),
                (Some(network), _) => Some(Target { network, first: at, last: at }),
            };
            self.0.extend(target.map(|target| (intent, target)));
        }
    }

    /// Whether two listings that were begun this far apart, and all between them, agree that an entry means this. Whether outbound
    /// IPv6 is allowed is said by the file or the function, and by no listing of subnets.
    pub(super) fn agree(&self, intent: &Arc<Intent>, network: &Network, apart: Duration) -> bool {
        let target = self.0.get(intent);
        let same = |it: &Network| (&it.subnets, &it.security_groups) == (&network.subnets, &network.security_groups);
        target.is_some_and(|it| same(&it.network) && it.last.since(it.first) >= apart)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::Pick;
    use crate::names::{SecurityGroupId, SubnetId, VpcId};

    #[test]
    fn listings_agree_on_subnets_and_groups_whatever_outbound_ipv6_a_function_keeps() {
        let intent = Arc::new(Intent {
            name: None,
            vpc: VpcId::parse("vpc-1").unwrap(),
            subnets: Pick::Default,
            security_groups: Pick::Default,
            ipv6: None,
            egress: Default::default(),
        });
        let network = |subnet: &str, ipv6| Network {
            subnets: [SubnetId::parse(subnet).unwrap()].into(),
            security_groups: [SecurityGroupId::parse("sg-1").unwrap()].into(),
            ipv6,
        };
        let mut targets = Targets::default();
        for at in [0, 300_000] {
            let meant = Some(Arc::new(network("subnet-1", false)));
            targets.listed(Time(at), [(Arc::clone(&intent), meant)].into());
        }
        let agree = |network| targets.agree(&intent, &network, Duration::from_secs(300));
        assert!(agree(network("subnet-1", false)) && agree(network("subnet-1", true)));
        assert!(!agree(network("subnet-2", false)));
    }
}
