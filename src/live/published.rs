//! Published versions, which no update reaches: what networks they run in, and which aliases lead to them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::look::{AT_ONCE, seen};
use super::pages::all_pages;
use super::{Fault, Needs, Seen};
use crate::cloud::{Alias, Function, Operation, Read};
use crate::names::{FunctionKey, FunctionName, Network, ScopeKey, Time, Version};

/// An answer about aliases is used again for this long.
const ALIASES_AGE: Duration = Duration::from_secs(60 * 60);

/// What was published of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The network of each version. Most have one in common, which is kept once.
    pub versions: BTreeMap<Version, Arc<Network>>,
    /// Its aliases. They are read where a version runs another network than `$LATEST`.
    pub aliases: Seen<Arc<[Alias]>>,
    /// When they were asked for; none if they were not.
    pub asked: Option<Time>,
}

/// What was published of those functions of a scope that have versions.
pub type PublishedByName = BTreeMap<FunctionName, Arc<Published>>;

/// Collects the versions that a listing shows.
#[derive(Default)]
pub(super) struct Versions {
    by_name: BTreeMap<FunctionName, BTreeMap<Version, Arc<Network>>>,
}

impl Versions {
    /// Takes one in. Of one that cannot be understood nobody knows where it runs.
    pub(super) fn take(&mut self, name: FunctionName, version: Version, network: Option<Arc<Network>>) {
        let versions = self.by_name.entry(name).or_default();
        if let Some(network) = network {
            versions.insert(version, network);
        }
    }

    /// Reads the aliases of the functions with a version that runs another network than `$LATEST`: once an hour, and
    /// again when another version was published. What may succeed at another time is asked for again by the next sweep.
    pub(super) async fn with_aliases(
        self,
        cloud: &dyn Read,
        scope: &ScopeKey,
        needs: &Needs,
        functions: &BTreeMap<FunctionName, Seen<Function>>,
        now: Time,
    ) -> PublishedByName {
        stream::iter(self.by_name)
            .map(|(name, versions)| async move {
                let lags = lags(&versions, functions.get(&name));
                let before = needs.published.get(&name).filter(|before| before.still_counts(&versions, now));
                let (aliases, asked) = match before {
                    _ if !lags => (Seen::Unknown(Fault::Unread), None),
                    Some(before) => (before.aliases.clone(), before.asked),
                    None => (aliases(cloud, scope, &name).await, Some(now)),
                };
                (name, Arc::new(Published { versions, aliases, asked }))
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await
    }
}

/// Whether a version runs another network than `$LATEST`.
fn lags(versions: &BTreeMap<Version, Arc<Network>>, latest: Option<&Seen<Function>>) -> bool {
    match latest {
        Some(Seen::Present(latest)) => versions.values().any(|network| *network != latest.network),
        Some(Seen::Absent | Seen::Unknown(_)) | None => false,
    }
}

impl Published {
    /// Whether what is known of the aliases need not be asked for again, now that these are the versions.
    fn still_counts(&self, versions: &BTreeMap<Version, Arc<Network>>, now: Time) -> bool {
        let recent = self.asked.is_some_and(|asked| now.since(asked) < ALIASES_AGE);
        let passes = matches!(&self.aliases, Seen::Unknown(Fault::Failed(error)) if error.class.passes());
        recent && !passes && self.versions.keys().eq(versions.keys())
    }
}

async fn aliases(cloud: &dyn Read, scope: &ScopeKey, name: &FunctionName) -> Seen<Arc<[Alias]>> {
    let key = FunctionKey { scope: scope.clone(), name: name.clone() };
    let mut found = Vec::new();
    let listed =
        all_pages(Operation::ListAliases, |from| cloud.list_aliases(&key, from), |alias: Alias| found.push(alias))
            .await;
    seen(listed.map(|()| found.into()))
}
