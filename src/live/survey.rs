//! The sweep: one look at all of a scope that the file speaks of. It selects what needs a pass; it never writes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::kept::Kept;
use super::look::{AT_ONCE, seen};
use super::networks::{GroupNeeds, vpcs};
use super::pages::Pages;
use super::published::Versions;
use super::roles::roles;
use super::{Facts, Fault, OldFacts, PublishedByName, RoleFacts, ScopeFacts, Seen};
use crate::cloud::{CloudError, Function, Identity, Listed, Listing, Operation, Read};
use crate::names::{
    AccountId, Clock, FunctionKey, FunctionName, NamePattern, PolicyName, RoleKey, ScopeKey, Time, VpcId, means,
    service_of,
};

/// What the file asks about one scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The functions, and what must be known of the role of each; `None` where the role does not matter.
    pub functions: BTreeMap<FunctionName, Option<FunctionNeeds>>,
    /// The patterns that mean further functions.
    pub patterns: Vec<PatternNeeds>,
    /// The VPCs that functions shall be in, and what must be known of their security groups.
    pub vpcs: BTreeMap<VpcId, GroupNeeds>,
    /// Whether published versions matter as well.
    pub listing: Listing,
    /// How many pages of the scope's listing had to be read before, at least.
    pub pages: Option<usize>,
    /// What was known of the roles before, so that a simulation is not asked each time.
    pub roles: BTreeMap<RoleKey, RoleFacts>,
    /// What was known of published versions before, so that aliases are not asked for each time.
    pub published: PublishedByName,
    /// Whether the credentials are known to be of the scope's account, so that it can do without STS for once.
    pub identified: bool,
}

impl Needs {
    /// Whether a function is asked for.
    fn mean(&self, name: &FunctionName) -> bool {
        self.functions.contains_key(name) || self.patterns.iter().any(|pattern| pattern.means(name))
    }

    /// Whether nothing less than the whole listing will do.
    fn whole_listing(&self) -> bool {
        !self.patterns.is_empty() || self.listing == Listing::All
    }

    /// What must be known of the role of a function.
    pub(super) fn of_role(&self, name: &FunctionName) -> Option<&FunctionNeeds> {
        match self.functions.get(name) {
            Some(needs) => needs.as_ref(),
            // What a service made for itself is seen, so that it can be told, but not taken.
            None if service_of(name).is_some() => None,
            None => self.patterns.iter().find(|pattern| pattern.means(name))?.role.as_ref(),
        }
    }
}

/// A pattern that means functions which no entry names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternNeeds {
    pub name: NamePattern,
    /// What it does not mean.
    pub except: Arc<[NamePattern]>,
    /// What must be known of the role of each; `None` where the roles do not matter.
    pub role: Option<FunctionNeeds>,
}

impl PatternNeeds {
    fn means(&self, name: &FunctionName) -> bool {
        means(&self.name, &self.except, name)
    }
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
    pub scope: ScopeKey,
    /// What is known of it now.
    pub facts: ScopeFacts,
    /// The roles of its functions.
    pub roles: BTreeMap<RoleKey, Seen<RoleFacts>>,
}

impl Surveyed {
    /// Decides what to believe of the functions that the listing does not have. One that was there is believed to be gone
    /// when two listings in a row say so, or when AWS says it of that function alone: an answer may lack a part, or all.
    pub fn believe(&mut self, before: &Facts) {
        let known = before.swept.as_ref();
        for (name, function) in &mut self.facts.functions {
            let was_there = known.is_some_and(|known| {
                let was_listed = known.old.functions.get(name).is_none_or(|old| old.fault != Fault::NotListed);
                was_listed && matches!(known.functions.get(name), Some(Seen::Present(_)))
            });
            if *function == Seen::Unknown(Fault::NotListed) && !was_there {
                *function = Seen::Absent;
            }
        }
    }
}

/// Sweeps a scope. What cannot be read is Unknown, each part for itself.
pub async fn survey(cloud: &dyn Read, scope: &ScopeKey, needs: &Needs, clock: &Clock) -> Surveyed {
    let at = clock.now();
    let identity = seen(cloud.caller_identity(Some(&scope.account), &scope.region).await);
    match of_account(&identity, &scope.account) {
        Err(Fault::Failed(error)) if needs.identified && error.class.passes_unchanged() => {}
        Err(fault) => return unread(scope, needs, identity, &fault, at),
        Ok(_) => {}
    }
    let Functions { by_name: functions, versions, pages, listed } = functions(cloud, scope, needs).await;
    // A listing of many pages takes its time.
    let now = clock.now();
    let (roles, vpcs, published) = futures_util::join!(
        roles(cloud, scope, needs, &functions, now),
        vpcs(cloud, scope, &needs.vpcs),
        versions.with_aliases(cloud, scope, needs, &functions, now),
    );
    let published = match &listed {
        Seen::Present(()) if needs.listing == Listing::All => Seen::Present(published),
        Seen::Present(()) | Seen::Absent => Seen::Unknown(Fault::Unread),
        Seen::Unknown(fault) => unpublished(needs, fault.clone()),
    };
    let (took, old) = (clock.now().since(at), OldFacts::default());
    let facts = ScopeFacts { identity, functions, vpcs, pages, listed, published, at, vpcs_at: now, took, old };
    Surveyed { scope: scope.clone(), facts, roles }
}

/// A sweep that could not even tell whose the credentials are.
fn unread(scope: &ScopeKey, needs: &Needs, identity: Seen<Identity>, fault: &Fault, at: Time) -> Surveyed {
    let facts = ScopeFacts {
        identity,
        functions: needs.functions.keys().map(|name| (name.clone(), Seen::Unknown(fault.clone()))).collect(),
        vpcs: needs.vpcs.keys().map(|id| (id.clone(), Seen::Unknown(fault.clone()))).collect(),
        pages: needs.pages,
        listed: Seen::Unknown(fault.clone()),
        published: unpublished(needs, fault.clone()),
        at,
        vpcs_at: at,
        took: Duration::ZERO,
        old: OldFacts::default(),
    };
    Surveyed { scope: scope.clone(), facts, roles: BTreeMap::new() }
}

/// What is known of published versions where the listing has failed.
fn unpublished(needs: &Needs, fault: Fault) -> Seen<PublishedByName> {
    Seen::Unknown(match needs.listing {
        Listing::Latest => Fault::Unread,
        Listing::All => fault,
    })
}

/// Whose the credentials are; an error where they are not known to be of the scope's account.
pub(super) async fn identity(cloud: &dyn Read, scope: &ScopeKey) -> Result<Identity, Fault> {
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

/// What was found out about the functions of a scope.
struct Functions {
    by_name: BTreeMap<FunctionName, Seen<Function>>,
    versions: Versions,
    pages: Option<usize>,
    listed: Seen<()>,
}

/// Reads the functions that were asked for.
///
/// A listing costs a call for each fifty functions of the scope, a single read one for each that is asked for; what is
/// cheaper is known once a listing was tried. It ends when all that was asked for has been seen, and is given up when it
/// has cost as much as single reads. Patterns and published versions need the whole listing in any case.
async fn functions(cloud: &dyn Read, scope: &ScopeKey, needs: &Needs) -> Functions {
    let unread = |name: &FunctionName| (name.clone(), Seen::Unknown(Fault::Unread));
    let by_name = needs.functions.keys().map(unread).collect();
    let (versions, listed) = (Versions::default(), Seen::Unknown(Fault::Unread));
    let mut found = Functions { by_name, versions, pages: needs.pages, listed };
    let (named, must_list) = (needs.functions.len(), needs.whole_listing());
    if must_list || named > needs.pages.unwrap_or(1) {
        found.list(cloud, scope, needs, if must_list { usize::MAX } else { named }).await;
    }
    if let Seen::Unknown(Fault::Unread) = found.listed {
        found.read_singly(cloud, scope).await;
    }
    found
}

impl Functions {
    /// Lists the functions, but not more than so many pages.
    async fn list(&mut self, cloud: &dyn Read, scope: &ScopeKey, needs: &Needs, most: usize) {
        let (by_name, versions) = (&mut self.by_name, &mut self.versions);
        let mut missing = by_name.len();
        let mut kept = Kept::default();
        let listing = list(cloud, scope, needs.listing, most, |Listed { name, version, function }| {
            match (version, needs.functions.get_key_value(&name)) {
                (Some(version), _) if needs.mean(&name) => {
                    versions.take(name, version, function.ok().map(|function| kept.network(function.network)));
                }
                (Some(_), _) => {}
                (None, Some((name, _))) => {
                    let found = seen(function.map(|function| kept.function(function, name)));
                    let before = by_name.insert(name.clone(), found);
                    missing -= usize::from(before == Some(Seen::Unknown(Fault::Unread)));
                }
                (None, None) if needs.mean(&name) => {
                    let found = seen(function.map(|function| kept.function(function, &name)));
                    by_name.insert(name, found);
                }
                (None, None) => {}
            }
            missing > 0 || needs.whole_listing()
        });
        self.listed = match listing.await {
            Ok(Ended::Whole(pages)) => {
                // With published versions in it, a listing does not tell how long it is without them.
                self.pages = if needs.listing == Listing::Latest { Some(pages) } else { self.pages };
                self.unread().for_each(|function| *function = Seen::Unknown(Fault::NotListed));
                Seen::Present(())
            }
            Ok(Ended::Enough(pages)) => {
                self.pages = Some(pages);
                Seen::Unknown(Fault::Unread)
            }
            Ok(Ended::GivenUp(pages)) => {
                self.pages = Some(pages + 1);
                Seen::Unknown(Fault::Unread)
            }
            Err(error) => {
                let fault = Fault::from(error);
                self.unread().for_each(|function| *function = Seen::Unknown(fault.clone()));
                Seen::Unknown(fault)
            }
        };
    }

    /// Reads each function that was not seen yet by itself.
    async fn read_singly(&mut self, cloud: &dyn Read, scope: &ScopeKey) {
        let unread = self.by_name.iter().filter(|(_, function)| **function == Seen::Unknown(Fault::Unread));
        let names: Vec<FunctionName> = unread.map(|(name, _)| name.clone()).collect();
        let read: Vec<(FunctionName, Seen<Function>)> = stream::iter(names)
            .map(|name| async move {
                let key = FunctionKey { scope: scope.clone(), name };
                let function = seen(cloud.get_function(&key).await);
                (key.name, function)
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        self.by_name.extend(read);
    }

    fn unread(&mut self) -> impl Iterator<Item = &mut Seen<Function>> {
        self.by_name.values_mut().filter(|function| **function == Seen::Unknown(Fault::Unread))
    }
}

/// How a listing ended, after how many pages.
enum Ended {
    /// There are no more.
    Whole(usize),
    /// All was seen that was asked for.
    Enough(usize),
    /// It is longer than it should be.
    GivenUp(usize),
}

/// Lists the functions of a scope, as long as `take` wants more, but not more than so many pages.
async fn list(
    cloud: &dyn Read,
    scope: &ScopeKey,
    which: Listing,
    most: usize,
    mut take: impl FnMut(Listed) -> bool,
) -> Result<Ended, CloudError> {
    let mut pages = Pages::of(Operation::ListFunctions);
    while pages.read < most
        && let Some(items) = pages.next(|from| cloud.list_functions(scope, which, from)).await?
    {
        let mut more = true;
        items.into_iter().for_each(|item| more = take(item));
        if pages.over {
            return Ok(Ended::Whole(pages.read));
        }
        if !more {
            return Ok(Ended::Enough(pages.read));
        }
    }
    Ok(Ended::GivenUp(pages.read))
}
