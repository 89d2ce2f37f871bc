//! Published versions and aliases: what was published stays as it was, whatever becomes of `$LATEST`.

use std::ops::Bound;
use std::time::Duration;

use super::lambda::{check_idle, identify, invalid, not_found};
use super::{Aws, AwsError, Function, VpcConfigRequest, function_arn, within};
use crate::cloud::{Alias, Listing, Marker, Page, Service};
use crate::names::{FunctionKey, FunctionName, ScopeKey, Time, Version};

impl Function {
    /// What a listing shows that lags so much behind updates.
    fn as_listed(&self, now: Time, lag: Duration) -> Self {
        let mut shown = self.clone();
        if let Some((configuration, revision)) = self.listed.as_deref().filter(|_| now < self.modified + lag) {
            (shown.configuration, shown.revision) = (configuration.clone(), revision.clone());
        }
        shown
    }
}

/// The place of an item in a listing of all versions: `$LATEST` stands before those that were published.
type Place = (FunctionName, Option<Version>);

impl Aws {
    /// One page of a region's functions by name, as they were a while ago; with all versions, each is an item of its own. State and last update are
    /// not part of a listing's answer.
    pub fn list_functions(
        &mut self,
        at: &ScopeKey,
        which: Listing,
        max_items: Option<u64>,
        from: Option<&str>,
        now: Time,
    ) -> Result<Page<Function>, AwsError> {
        let most = page_size(max_items)?.min(self.quotas.functions_per_page);
        let after = match from {
            None => None,
            Some(marker) => Some(place(marker)?),
        };
        let lag = self.timings.lists;
        let regional = self.regional(at, Service::Lambda, now)?;
        let first = after.as_ref().map_or(Bound::Unbounded, |(name, _)| Bound::Included(name.clone()));
        let functions = regional.functions.range((first, Bound::Unbounded)).map(|(_, function)| function);
        let published = |function: &Function| {
            let (first, last) = ((function.name.clone(), Version(0)), (function.name.clone(), Version(u64::MAX)));
            regional.published.range(first..=last).map(|(_, version)| version)
        };
        let items = functions.flat_map(|function| {
            let versions = (which == Listing::All).then(|| published(function));
            std::iter::once(function).chain(versions.into_iter().flatten())
        });
        let mut rest =
            items.skip_while(|it| after.as_ref().is_some_and(|after| (&it.name, it.version) <= (&after.0, after.1)));
        let items: Vec<Function> = rest.by_ref().take(most).map(|it| it.as_listed(now, lag)).collect();
        let next = rest.next().and(items.last()).map(marker);
        Ok(Page { items, next })
    }

    /// One page of a function's aliases by name.
    pub fn list_aliases(
        &mut self,
        at: &ScopeKey,
        function: &str,
        max_items: Option<u64>,
        from: Option<&str>,
        now: Time,
    ) -> Result<Page<Alias>, AwsError> {
        let most = page_size(max_items)?.min(50);
        let key = identify(at, function)?;
        self.function(&key, now)?;
        let aliases = &self.regional(at, Service::Lambda, now)?.aliases;
        let of_function = aliases.iter().filter(|((name, _), _)| *name == key.name).map(|(_, alias)| alias);
        let mut rest = of_function.skip_while(|alias| from.is_some_and(|from| alias.name.as_str() <= from));
        let items: Vec<Alias> = rest.by_ref().take(most).cloned().collect();
        let next = rest.next().and(items.last()).map(|last| Marker(last.name.to_string()));
        Ok(Page { items, next })
    }

    /// Publishes what `$LATEST` is now, under the next number. That AWS does so only if code or configuration have changed
    /// since the last time is left out.
    pub fn publish_version(&mut self, at: &ScopeKey, function: &str, now: Time) -> Result<Function, AwsError> {
        let key = identify(at, function)?;
        let revision = self.fresh_uuid();
        let latest = self.function(&key, now)?;
        check_idle(latest, &key)?;
        let version = Version(latest.published + 1);
        latest.published = version.0;
        let published = Function { version: Some(version), revision, ..latest.clone() };
        self.regional(at, Service::Lambda, now)?.published.insert((key.name, version), published.clone());
        Ok(published)
    }

    /// Makes an alias, or lets one lead elsewhere: to published versions that are there, or with none to `$LATEST`.
    pub fn set_alias(&mut self, at: &ScopeKey, function: &str, alias: Alias, now: Time) -> Result<(), AwsError> {
        let key = identify(at, function)?;
        self.function(&key, now)?;
        let regional = self.regional(at, Service::Lambda, now)?;
        let missing = |version: &&Version| !regional.published.contains_key(&(key.name.clone(), **version));
        if let Some(version) = alias.versions.iter().find(missing) {
            return Err(not_found(&format!("{}:{version}", function_arn(at, key.name.as_str()))));
        }
        regional.aliases.insert((key.name, alias.name.clone()), alias);
        Ok(())
    }

    /// Fills a world with a version that was published at `made`, its interfaces with it; the network must exist.
    pub fn add_version(
        &mut self,
        key: &FunctionKey,
        version: Version,
        network: Option<&VpcConfigRequest>,
        made: Time,
    ) -> Result<(), AwsError> {
        let latest = self.function(key, made)?.clone();
        let revision = self.fresh_uuid();
        let mut published = Function { version: Some(version), revision, modified: made, ..latest };
        published.configuration.vpc_config = self.long_made(key, network, made)?;
        let latest = self.function(key, made)?;
        latest.published = latest.published.max(version.0);
        self.regional(&key.scope, Service::Lambda, made)?.published.insert((key.name.clone(), version), published);
        Ok(())
    }
}

/// How many items of a page are asked for.
fn page_size(max_items: Option<u64>) -> Result<usize, AwsError> {
    let asked = max_items.unwrap_or(50);
    within(asked, "maxItems", 1..=10_000, "ValidationException")?;
    Ok(usize::try_from(asked).unwrap_or(usize::MAX))
}

fn marker(last: &Function) -> Marker {
    Marker(last.version.map_or_else(|| last.name.to_string(), |version| format!("{}:{version}", last.name)))
}

fn place(marker: &str) -> Result<Place, AwsError> {
    let wrong = |_| invalid("The marker is not one that ListFunctions returned.");
    let (name, version) = match marker.split_once(':') {
        None => (marker, None),
        Some((name, version)) => (name, Some(Version::parse(version).map_err(wrong)?)),
    };
    Ok((FunctionName::parse(name).map_err(wrong)?, version))
}
