//! The sweep: one look at all of a scope that the file speaks of. It selects what needs a pass; it never writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::look::{all_pages, read_role, seen};
use super::{Fault, RoleFacts, ScopeFacts, Seen, VpcFacts};
use crate::cloud::{CloudError, Function, Identity, Listed, Operation, Read, Vpc};
use crate::names::{AccountId, FunctionKey, FunctionName, PolicyName, RoleArn, RoleKey, Scope, Time, VpcId};

/// Up to this many functions are read one by one; beyond, the listing with its 50 a page costs fewer calls.
const SINGLE_READS: usize = 20;
/// How many reads of one sweep are under way at once; the budget decides how fast they go out.
const AT_ONCE: usize = 8;
/// How many values a filter gets: below the 200 that EC2 is known to take.
const FILTER_VALUES: usize = 100;

/// What the file asks about one scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The functions, and what must be known of the role of each; `None` where the role does not matter.
    pub functions: BTreeMap<FunctionName, Option<FunctionNeeds>>,
    /// The VPCs that functions shall be in.
    pub vpcs: BTreeSet<VpcId>,
    /// What was known of the roles before, so that a simulation is not asked each time.
    pub roles: BTreeMap<RoleKey, RoleFacts>,
}

/// What must be known of a function's role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionNeeds {
    /// The policies that it may have to get.
    pub policies: Arc<[PolicyName]>,
    /// When a simulation is to be asked.
    pub simulate: Simulate,
}

/// When a simulation is asked whether a role has the right, unless an earlier answer still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Simulate {
    /// Not at all.
    Never,
    /// Where one of the policies is not on the role.
    WherePolicyMissing,
    /// In any case, to find out why Lambda refuses.
    Always,
}

/// What a sweep of one scope found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surveyed {
    /// The scope.
    pub scope: Scope,
    /// What is known of it now.
    pub facts: ScopeFacts,
    /// The roles of its functions.
    pub roles: BTreeMap<RoleKey, Seen<RoleFacts>>,
}

/// Sweeps a scope. What cannot be read is Unknown, each part for itself.
pub async fn survey(cloud: &dyn Read, scope: &Scope, needs: &Needs, now: Time) -> Surveyed {
    let identity = seen(cloud.caller_identity(Some(&scope.account), &scope.region).await);
    if let Err(fault) = of_account(&identity, &scope.account) {
        let unknown = |name: &FunctionName| (name.clone(), Seen::Unknown(fault.clone()));
        let functions = needs.functions.keys().map(unknown).collect();
        let facts = ScopeFacts { identity, functions, vpcs: BTreeMap::new(), at: now };
        return Surveyed { scope: scope.clone(), facts, roles: BTreeMap::new() };
    }
    let functions = functions(cloud, scope, needs).await;
    let (roles, vpcs) = futures_util::join!(roles(cloud, needs, &functions, now), vpcs(cloud, scope, &needs.vpcs));
    let facts = ScopeFacts { identity, functions, vpcs, at: now };
    Surveyed { scope: scope.clone(), facts, roles }
}

/// Whose the credentials are; an error where they are not known to be of the scope's account.
pub(super) async fn identity(cloud: &dyn Read, scope: &Scope) -> Result<Identity, Fault> {
    let identity = seen(cloud.caller_identity(Some(&scope.account), &scope.region).await);
    of_account(&identity, &scope.account).cloned()
}

fn of_account<'a>(identity: &'a Seen<Identity>, account: &AccountId) -> Result<&'a Identity, Fault> {
    match identity {
        Seen::Present(identity) if identity.account == *account => Ok(identity),
        Seen::Present(identity) => Err(Fault::WrongAccount(identity.account.clone())),
        Seen::Absent => Err(Fault::Unread),
        Seen::Unknown(fault) => Err(fault.clone()),
    }
}

async fn functions(cloud: &dyn Read, scope: &Scope, needs: &Needs) -> BTreeMap<FunctionName, Seen<Function>> {
    if needs.functions.len() <= SINGLE_READS {
        return stream::iter(needs.functions.keys().cloned())
            .map(|name| async move {
                let key = FunctionKey { scope: scope.clone(), name };
                let function = seen(cloud.get_function(&key).await);
                (key.name, function)
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
    }
    let mut functions: BTreeMap<FunctionName, Seen<Function>> =
        needs.functions.keys().map(|name| (name.clone(), Seen::Absent)).collect();
    let operation = Operation::ListFunctions;
    let listed = all_pages(
        operation,
        |from| cloud.list_functions(scope, from),
        |listed: Listed| {
            if let Some(place) = functions.get_mut(&listed.name) {
                *place = seen(listed.function);
            }
        },
    );
    if let Err(error) = listed.await {
        for unread in functions.values_mut().filter(|seen| **seen == Seen::Absent) {
            *unread = Seen::Unknown(error.clone().into());
        }
    }
    functions
}

pub(super) async fn roles(
    cloud: &dyn Read,
    needs: &Needs,
    functions: &BTreeMap<FunctionName, Seen<Function>>,
    now: Time,
) -> BTreeMap<RoleKey, Seen<RoleFacts>> {
    let mut wanted: BTreeMap<RoleArn, FunctionNeeds> = BTreeMap::new();
    for (name, function) in functions {
        let (Seen::Present(function), Some(Some(need))) = (function, needs.functions.get(name)) else { continue };
        wanted.entry(function.role.clone()).and_modify(|all| *all = all.with(need)).or_insert_with(|| need.clone());
    }
    stream::iter(wanted)
        .map(|(role, need)| async move {
            let facts = read_role(cloud, &role, &need, needs.roles.get(role.key()), now).await;
            (role.key().clone(), facts)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}

impl FunctionNeeds {
    /// What both of two functions need of the role that they share.
    fn with(&self, other: &Self) -> Self {
        let policies: BTreeSet<&PolicyName> = self.policies.iter().chain(other.policies.iter()).collect();
        Self { policies: policies.into_iter().cloned().collect(), simulate: self.simulate.max(other.simulate) }
    }
}

pub(super) async fn vpcs(cloud: &dyn Read, scope: &Scope, wanted: &BTreeSet<VpcId>) -> BTreeMap<VpcId, Seen<VpcFacts>> {
    let wanted: Vec<VpcId> = wanted.iter().cloned().collect();
    let chunks = wanted.chunks(FILTER_VALUES).map(|chunk| async move {
        let found = networks(cloud, scope, chunk).await;
        let one = |id: &VpcId| {
            let facts = match &found {
                Ok(found) => found.get(id).map_or(Seen::Absent, |facts| Seen::Present(facts.clone())),
                Err(error) => Seen::Unknown(error.clone().into()),
            };
            (id.clone(), facts)
        };
        chunk.iter().map(one).collect::<Vec<_>>()
    });
    futures_util::future::join_all(chunks).await.into_iter().flatten().collect()
}

async fn networks(cloud: &dyn Read, scope: &Scope, ids: &[VpcId]) -> Result<BTreeMap<VpcId, VpcFacts>, CloudError> {
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
    let mut interfaces = Vec::new();
    let listed = all_pages(
        Operation::DescribeNetworkInterfaces,
        |from| cloud.describe_interfaces(scope, ids, from),
        |interface| interfaces.push(interface),
    );
    let interfaces = listed.await.map(|()| interfaces);
    let assemble = |vpc: Vpc| (vpc.id.clone(), VpcFacts::assemble(vpc, &subnets, &tables, &groups, &interfaces));
    Ok(vpcs.into_iter().map(assemble).collect())
}
