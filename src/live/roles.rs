//! The execution roles of a sweep's functions: which have the policies, and where one is missing, whether that matters.
//!
//! IAM is asked per policy which roles have it, a thousand a call, and not per role which policies it has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::look::{AT_ONCE, may_be_of_edge, simulate_where_needed, with_trust};
use super::pages::all_pages;
use super::{Asked, Fault, FunctionNeeds, Needs, RoleFacts, Seen};
use crate::cloud::{CloudError, Function, Operation, Read};
use crate::names::{AccountId, FunctionName, PolicyArn, PolicyName, RoleArn, RoleKey, RoleName, ScopeKey, Time};

/// What must be known of each role, and whether that is also whether Lambda@Edge may assume it.
type Wanted = BTreeMap<RoleArn, (FunctionNeeds, bool)>;

/// Reads the roles of these functions, as far as `needs` says that they matter.
///
/// A role of another account is left out: no function of this one can be managed with it.
pub(super) async fn roles(
    cloud: &dyn Read,
    scope: &ScopeKey,
    needs: &Needs,
    functions: &BTreeMap<FunctionName, Seen<Function>>,
    now: Time,
) -> BTreeMap<RoleKey, Seen<RoleFacts>> {
    let mut wanted = Wanted::new();
    for (name, function) in functions {
        let (Seen::Present(function), Some(need)) = (function, needs.of_role(name)) else { continue };
        if function.role.key().account == scope.account {
            let edge = may_be_of_edge(&scope.region, function);
            wanted
                .entry(function.role.clone())
                .and_modify(|(all, any)| (*all, *any) = (all.with(need), *any || edge))
                .or_insert_with(|| (need.clone(), edge));
        }
    }
    let policies: BTreeSet<PolicyArn> = wanted.iter().flat_map(|(role, (need, _))| need.policies_of(role)).collect();
    let holders = &holders(cloud, &scope.account, policies).await;
    stream::iter(wanted)
        .map(|(role, (need, edge))| async move {
            let before = needs.roles.get(role.key());
            let facts = match holders.of(&role, &need) {
                Ok(attached) => {
                    let facts =
                        RoleFacts { attached, asked: holders.asked.clone(), simulation: None, edge: None, at: now };
                    simulate_where_needed(cloud, (&role, &scope.region), &need, before, facts).await
                }
                Err(fault) => Seen::Unknown(fault),
            };
            (role.key().clone(), with_trust(cloud, &role, edge, before, facts).await)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}

/// Which roles have which of the policies that were asked about.
struct Holders {
    asked: Asked,
    /// By policy: the roles as far as they were read, and what went wrong then, if anything did.
    found: Vec<(PolicyArn, BTreeSet<RoleName>, Option<CloudError>)>,
}

async fn holders(cloud: &dyn Read, account: &AccountId, policies: BTreeSet<PolicyArn>) -> Holders {
    let asked = Asked::Only(Arc::new(policies.clone()));
    let found = policies.into_iter().map(|policy| async move {
        let mut roles = BTreeSet::new();
        let listed = all_pages(
            Operation::ListEntitiesForPolicy,
            |from| cloud.list_roles_with_policy(account, &policy, from),
            |role| {
                roles.insert(role);
            },
        )
        .await;
        (policy, roles, listed.err())
    });
    Holders { asked, found: futures_util::future::join_all(found).await }
}

impl Holders {
    /// Those of the asked policies that a role has; an error if one that matters for it may have been missed.
    fn of(&self, role: &RoleArn, need: &FunctionNeeds) -> Result<BTreeSet<PolicyArn>, Fault> {
        let needed: BTreeSet<PolicyArn> = need.policies_of(role).collect();
        let mut attached = BTreeSet::new();
        for (policy, roles, error) in &self.found {
            match error {
                _ if roles.contains(&role.key().name) => {
                    attached.insert(policy.clone());
                }
                Some(error) if needed.contains(policy) => return Err(error.clone().into()),
                Some(_) | None => {}
            }
        }
        Ok(attached)
    }
}

impl FunctionNeeds {
    /// What both of two functions need of the role that they share.
    fn with(&self, other: &Self) -> Self {
        let simulate = self.simulate.max(other.simulate);
        if self.policies == other.policies {
            return Self { policies: Arc::clone(&self.policies), simulate };
        }
        let policies: BTreeSet<&PolicyName> = self.policies.iter().chain(other.policies.iter()).collect();
        Self { policies: policies.into_iter().cloned().collect(), simulate }
    }

    /// The policies, by their ARNs where this role lives.
    pub(super) fn policies_of(&self, role: &RoleArn) -> impl Iterator<Item = PolicyArn> {
        self.policies.iter().map(|policy| policy.for_role(role))
    }
}
