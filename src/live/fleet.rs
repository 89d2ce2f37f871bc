//! A whole scope as it is, for whoever has no file yet: every function that is asked for by name or VPC, the networks
//! they are in, and their roles.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::look::seen;
use super::networks::{GroupNeeds, vpcs};
use super::pages::all_pages;
use super::roles::roles;
use super::survey::identity;
use super::{Fault, FunctionNeeds, Needs, OldFacts, ScopeFacts, Seen, Simulate, Surveyed};
use crate::cloud::{Function, Listed, Listing, Operation, Read};
use crate::names::{FunctionName, PolicyName, ScopeKey, Time};

/// Looks at the functions of a scope that are picked, as a sweep would for entries that name them.
///
/// An error means that nobody knows which functions there are. What cannot be read of those that are known is Unknown,
/// each part for itself, in the same places as in a sweep.
pub async fn fleet(
    cloud: &dyn Read,
    scope: &ScopeKey,
    picked: impl Fn(&Listed) -> bool,
    now: Time,
) -> Result<Surveyed, Fault> {
    let identity = identity(cloud, scope).await?;
    let mut functions: BTreeMap<FunctionName, Seen<Function>> = BTreeMap::new();
    let listed = all_pages(
        Operation::ListFunctions,
        |from| cloud.list_functions(scope, Listing::Latest, from),
        |listed: Listed| {
            if picked(&listed) {
                functions.insert(listed.name, seen(listed.function));
            }
        },
    );
    listed.await?;
    let needs = needs(&functions);
    let (roles, vpcs) =
        futures_util::join!(roles(cloud, scope, &needs, &functions, now), vpcs(cloud, scope, &needs.vpcs),);
    let facts = ScopeFacts {
        identity: Seen::Present(identity),
        functions,
        vpcs,
        pages: None,
        listed: Seen::Present(()),
        published: Seen::Unknown(Fault::Unread),
        at: now,
        vpcs_at: now,
        took: Duration::ZERO,
        old: OldFacts::default(),
    };
    Ok(Surveyed { scope: scope.clone(), facts, roles })
}

/// What an entry with nothing but the function's own network would need to know.
fn needs(functions: &BTreeMap<FunctionName, Seen<Function>>) -> Needs {
    let mut needs = Needs::default();
    let of_role =
        FunctionNeeds { policies: Arc::from([PolicyName::vpc_access()]), simulate: Simulate::WherePolicyMissing };
    for (name, function) in functions {
        let Seen::Present(function) = function else { continue };
        if function.network.is_attached() && function.excluded.is_none() {
            needs.functions.insert(name.clone(), Some(of_role.clone()));
            needs.vpcs.extend(function.vpc.clone().map(|vpc| (vpc, GroupNeeds::default())));
        }
    }
    needs
}
