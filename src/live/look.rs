//! A fresh look at one function, just before something is decided about it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::pages::all_pages;
use super::{Asked, EdgeTrust, FunctionNeeds, RoleFacts, Seen, Simulate, Simulation};
use crate::cloud::{Class, CloudError, Function, Operation, Read, Simulated};
use crate::names::{FunctionKey, PolicyArn, Region, RoleArn, RoleKey, Time};

/// A simulation's answer is used again for this long.
const SIMULATION_AGE: Duration = Duration::from_secs(60 * 60);

/// How many reads of one sweep are under way at once; the budget decides how fast they go out.
pub(super) const AT_ONCE: usize = 8;

/// The rights that Lambda tries out when a function is attached, and needs to keep it so.
const INTERFACE_ACTIONS: &[&str] =
    &["ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DeleteNetworkInterface"];

/// What a look must find out of the function's role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleNeeds {
    /// The same as for a sweep.
    pub function: FunctionNeeds,
    /// What was known of the role before.
    pub before: Option<(RoleKey, RoleFacts)>,
}

/// What a look at one function found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    pub function: Seen<Function>,
    /// Its role, if that was asked for.
    pub role: Option<(RoleKey, Seen<RoleFacts>)>,
}

/// Reads one function, and its role as well if `needs` says so.
pub async fn look(cloud: &dyn Read, key: &FunctionKey, needs: Option<&RoleNeeds>, now: Time) -> Looked {
    let function = seen(cloud.get_function(key).await);
    let role = match (&function, needs) {
        (Seen::Present(function), Some(needs)) => {
            let role = &function.role;
            let before = needs.before.as_ref().filter(|(key, _)| key == role.key()).map(|(_, facts)| facts);
            let facts = read_role(cloud, (role, &key.scope.region), &needs.function, before, now).await;
            let edge = may_be_of_edge(&key.scope.region, function);
            Some((role.key().clone(), with_trust(cloud, role, edge, before, facts).await))
        }
        _ => None,
    };
    Looked { function, role }
}

/// A read's answer as a fact: only AWS's own "not found" is an absence.
pub(super) fn seen<T>(answer: Result<T, CloudError>) -> Seen<T> {
    match answer {
        Ok(value) => Seen::Present(value),
        Err(error) if error.class == Class::NotFound => Seen::Absent,
        Err(error) => Seen::Unknown(error.into()),
    }
}

/// Reads the policies of a role and, where a wanted one is missing, asks whether the role has the right all the same.
///
/// A simulation is asked once an hour for a role, and again when the policies on it change. One that the controller may
/// not make is as good as one that cannot tell: Lambda's own refusal decides then.
async fn read_role(
    cloud: &dyn Read,
    (role, region): (&RoleArn, &Region),
    needs: &FunctionNeeds,
    before: Option<&RoleFacts>,
    now: Time,
) -> Seen<RoleFacts> {
    match attached_policies(cloud, role).await {
        Ok(attached) => {
            let facts = RoleFacts { attached, asked: Asked::All, simulation: None, edge: None, at: now };
            simulate_where_needed(cloud, (role, region), needs, before, facts).await
        }
        Err(error) => seen(Err(error)),
    }
}

/// Adds what a simulation says to what was just read of a role, where one is needed. An earlier answer still counts for an
/// hour, as long as nothing is seen to have changed.
pub(super) async fn simulate_where_needed(
    cloud: &dyn Read,
    (role, region): (&RoleArn, &Region),
    needs: &FunctionNeeds,
    before: Option<&RoleFacts>,
    facts: RoleFacts,
) -> Seen<RoleFacts> {
    let same = before.filter(|before| facts.agrees_on(needs.policies_of(role), before));
    let remembered = same.and_then(|before| before.simulation);
    let remembered = remembered.filter(|simulation| facts.at.since(simulation.at) < SIMULATION_AGE);
    let wanted = match needs.simulate {
        Simulate::Never => false,
        Simulate::WherePolicyMissing => needs.policies_of(role).any(|policy| !facts.attached.contains(&policy)),
        Simulate::Always => true,
    };
    if !wanted || remembered.is_some() {
        return Seen::Present(RoleFacts { simulation: remembered, ..facts });
    }
    let said = match cloud.simulate(role, region, INTERFACE_ACTIONS).await {
        Ok(said) => Some(said),
        // Asking which roles have a policy does not tell that one is not there at all.
        Err(error) if error.class == Class::NotFound => return Seen::Absent,
        // The next look asks again.
        Err(error) if error.class.passes() => None,
        Err(_) => Some(Simulated::Unclear),
    };
    let simulation = said.map(|said| Simulation { said, at: facts.at });
    Seen::Present(RoleFacts { simulation, ..facts })
}

/// The one region whose functions CloudFront takes for Lambda@Edge (AWS's page on its restrictions).
const EDGE_REGION: &str = "us-east-1";

/// Whether a function could be one of Lambda@Edge's: CloudFront takes none that is in a VPC.
pub(super) fn may_be_of_edge(region: &Region, function: &Function) -> bool {
    region.as_str() == EDGE_REGION && !function.network.is_attached()
}

/// Adds to what was just read of a role whether Lambda@Edge may assume it, where that is wanted. An earlier answer counts for
/// as long as a simulation's.
pub(super) async fn with_trust(
    cloud: &dyn Read,
    role: &RoleArn,
    wanted: bool,
    before: Option<&RoleFacts>,
    facts: Seen<RoleFacts>,
) -> Seen<RoleFacts> {
    let Seen::Present(facts) = facts else { return facts };
    let remembered = before.and_then(|before| before.edge);
    if !wanted || remembered.is_some_and(|edge| facts.at.since(edge.at) < SIMULATION_AGE) {
        return Seen::Present(RoleFacts { edge: remembered, ..facts });
    }
    let trusted = match cloud.trusts_edge(role).await {
        Ok(trusted) => Some(trusted),
        Err(error) if error.class == Class::NotFound => return Seen::Absent,
        Err(error) if error.class.passes() => match remembered {
            Some(_) => return Seen::Present(RoleFacts { edge: remembered, ..facts }),
            None => return Seen::Unknown(error.into()),
        },
        Err(_) => None,
    };
    Seen::Present(RoleFacts { edge: Some(EdgeTrust { trusted, at: facts.at }), ..facts })
}

async fn attached_policies(cloud: &dyn Read, role: &RoleArn) -> Result<BTreeSet<PolicyArn>, CloudError> {
    let mut attached = BTreeSet::new();
    let operation = Operation::ListAttachedRolePolicies;
    all_pages(
        operation,
        |from| cloud.list_attached_policies(role, from),
        |policy| {
            attached.insert(policy);
        },
    )
    .await?;
    Ok(attached)
}
