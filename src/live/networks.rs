//! The VPCs of a scope, with what is in them.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{join, join_all};

use super::pages::all_pages;
use super::{Fault, Leads, Listings, Seen, VpcFacts, WayOut};
use crate::cloud::{CloudError, Operation, Read, SecurityGroup, VpcEndpoint};
use crate::names::{ScopeKey, SecurityGroupId, VpcId};

/// How many values a filter gets: below the 200 that EC2 is known to take.
const FILTER_VALUES: usize = 100;

/// What the file asks for among the security groups of a VPC.
///
/// Most are the VPC's own, which one call tells for a hundred VPCs. Those of other VPCs that are associated, and those that
/// the owner of a shared VPC shares, cost a call for each VPC: they are read only where the own ones do not answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupNeeds {
    /// Groups by id.
    pub ids: BTreeSet<SecurityGroupId>,
    /// Groups by name.
    pub names: BTreeSet<String>,
    /// Whether groups are asked for by tags, which any group may have.
    pub tags: bool,
}

impl GroupNeeds {
    fn are_met_by(&self, groups: &[SecurityGroup]) -> bool {
        !self.tags
            && self.ids.iter().all(|id| groups.iter().any(|group| group.id == *id))
            && self.names.iter().all(|name| groups.iter().any(|group| group.name == *name))
    }
}

pub(super) async fn vpcs(
    cloud: &dyn Read,
    scope: &ScopeKey,
    wanted: &BTreeMap<VpcId, GroupNeeds>,
) -> BTreeMap<VpcId, Seen<VpcFacts>> {
    let ids: Vec<VpcId> = wanted.keys().cloned().collect();
    let chunks = ids.chunks(FILTER_VALUES).map(|chunk| async move {
        match in_use(cloud, scope, chunk).await {
            Ok(mut found) => {
                let one = |id: &VpcId| (id.clone(), found.remove(id).map_or(Seen::Absent, Seen::Present));
                chunk.iter().map(one).collect()
            }
            Err(error) => {
                let fault = Fault::from(error);
                chunk.iter().map(|id| (id.clone(), Seen::Unknown(fault.clone()))).collect::<Vec<_>>()
            }
        }
    });
    let mut vpcs: BTreeMap<VpcId, Seen<VpcFacts>> = join_all(chunks).await.into_iter().flatten().collect();
    let mut sealed = Vec::new();
    let mut lacking = Vec::new();
    for (id, vpc) in &mut vpcs {
        let Seen::Present(facts) = vpc else { continue };
        if is_sealed(facts) {
            sealed.push(id.clone());
        }
        if wanted.get(id).is_some_and(|needs| !needs.are_met_by(&facts.security_groups)) {
            lacking.push((id.clone(), vpc));
        }
    }
    let others = lacking.into_iter().map(|(id, vpc)| async move { add_groups(cloud, scope, &id, vpc).await });
    let (_, endpoints) = join(join_all(others), endpoints(cloud, scope, &sealed)).await;
    for id in sealed {
        if let Some(Seen::Present(facts)) = vpcs.get_mut(&id) {
            facts.endpoints = match &endpoints {
                Ok(all) => Seen::Present(all.iter().filter(|it| it.vpc == id).map(|it| it.service.clone()).collect()),
                Err(error) => Seen::Unknown(error.clone().into()),
            };
        }
    }
    vpcs
}

/// Whether there are subnets from which functions reach no more than the VPC's endpoints let them. Public ones are hardly ever
/// used where there are others.
fn is_sealed(facts: &VpcFacts) -> bool {
    let is_public = |way: WayOut| way == WayOut::InternetGateway;
    let mut ways = facts.subnets.iter().map(|it| it.way);
    ways.clone().any(|way| way.leads(false) == Leads::Nowhere && !is_public(way)) || ways.all(is_public)
}

async fn in_use(cloud: &dyn Read, scope: &ScopeKey, ids: &[VpcId]) -> Result<BTreeMap<VpcId, VpcFacts>, CloudError> {
    let (mut vpcs, mut subnets, mut tables, mut groups) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    all_pages(Operation::DescribeVpcs, |from| cloud.describe_vpcs(scope, ids, from), |vpc| vpcs.push(vpc)).await?;
    all_pages(
        Operation::DescribeSubnets,
        |from| cloud.describe_subnets(scope, ids, from),
        |subnet| subnets.push(subnet),
    )
    .await?;
    all_pages(
        Operation::DescribeRouteTables,
        |from| cloud.describe_route_tables(scope, ids, from),
        |table| tables.push(table),
    )
    .await?;
    all_pages(
        Operation::DescribeSecurityGroups,
        |from| cloud.describe_security_groups(scope, ids, from),
        |group| groups.push(group),
    )
    .await?;
    // In a VPC that is shared, one sees groups of others, which Lambda does not take.
    groups.retain(|group: &SecurityGroup| group.owner.as_ref().is_none_or(|owner| *owner == scope.account));
    let mut interfaces = Vec::new();
    let listed = all_pages(
        Operation::DescribeNetworkInterfaces,
        |from| cloud.describe_interfaces(scope, ids, from),
        |interface| interfaces.push(interface),
    );
    let interfaces = listed.await.map(|()| interfaces);
    let listings = Listings { subnets, tables, groups, interfaces };
    Ok(vpcs.into_iter().map(|vpc| (vpc.id.clone(), VpcFacts::assemble(vpc, &listings))).collect())
}

/// Adds the groups that are not the VPC's own. Without them the file's words could mean something else than they do, so
/// nothing is known of the VPC where they cannot be read.
async fn add_groups(cloud: &dyn Read, scope: &ScopeKey, id: &VpcId, vpc: &mut Seen<VpcFacts>) {
    let Seen::Present(facts) = vpc else { return };
    let mut groups = Vec::new();
    let listed = all_pages(
        Operation::GetSecurityGroupsForVpc,
        |from| cloud.groups_for_vpc(scope, id, from),
        |group: SecurityGroup| groups.push(group),
    );
    match listed.await {
        Ok(()) => {
            groups.retain(|group| facts.security_groups.iter().all(|known| known.id != group.id));
            facts.security_groups.append(&mut groups);
        }
        Err(error) if error.is_unheard_of() => {}
        Err(error) => *vpc = Seen::Unknown(error.into()),
    }
}

async fn endpoints(cloud: &dyn Read, scope: &ScopeKey, vpcs: &[VpcId]) -> Result<Vec<VpcEndpoint>, CloudError> {
    let mut endpoints = Vec::new();
    for chunk in vpcs.chunks(FILTER_VALUES) {
        let listed = all_pages(
            Operation::DescribeVpcEndpoints,
            |from| cloud.describe_endpoints(scope, chunk, from),
            |endpoint| endpoints.push(endpoint),
        );
        listed.await?;
    }
    Ok(endpoints)
}
