//! Which functions the file's patterns mean.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::desired::{DesiredState, Entry, Pattern, Terms, Want};
use crate::live::{Facts, ScopeFacts, Seen};
use crate::names::{FunctionKey, FunctionName, NamePattern, service_of};

/// The entries of those functions that patterns fit: of those that are known to be there, and those of which nobody knows.
/// What the file names is named, and no pattern's; what several patterns fit, nobody can decide.
pub fn matched(desired: &DesiredState, facts: &Facts) -> Vec<Entry> {
    let patterns = &desired.patterns;
    let (Some(pattern), Some(ScopeFacts { functions, .. })) = (patterns.first(), &facts.swept) else {
        return Vec::new();
    };
    let there = functions.iter().filter(|(_, function)| **function != Seen::Absent).map(|(name, _)| name);
    let there = there.filter(|name| service_of(name).is_none());
    let named = |key: &FunctionKey| desired.get(key).is_some_and(|entry| entry.pattern.is_none());
    let keys = there.map(|name| FunctionKey { scope: pattern.scope.clone(), name: name.clone() });
    keys.filter(|key| !named(key)).filter_map(|key| entry(patterns, key)).collect()
}

fn entry(patterns: &[Arc<Pattern>], key: FunctionKey) -> Option<Entry> {
    let mut fitting = patterns.iter().filter(|pattern| pattern.means(&key.name));
    let first = fitting.next()?;
    let others: Vec<NamePattern> = fitting.map(|pattern| pattern.name.clone()).collect();
    let terms = match others.is_empty() {
        true => Arc::clone(&first.terms),
        false => {
            let all = std::iter::once(first.name.clone()).chain(others).collect();
            Arc::new(Terms { want: Want::Disputed(all), ..(*first.terms).clone() })
        }
    };
    Some(Entry { key, pattern: Some(first.name.clone()), terms })
}

/// A function that a pattern fits and does not mean, since a service of AWS made it for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    pub key: FunctionKey,
    pub service: &'static str,
}

/// The functions that patterns leave out, of those that are known to be there.
pub fn left_out(desired: &DesiredState, facts: &Facts) -> Vec<LeftOut> {
    let functions = facts.swept.iter().flat_map(|swept| &swept.functions);
    let there = functions.filter(|(_, function)| matches!(function, Seen::Present(_)));
    let one = |(name, _): (&FunctionName, _)| {
        let service = service_of(name)?;
        let pattern = desired.patterns.iter().find(|pattern| pattern.means(name))?;
        let key = FunctionKey { scope: pattern.scope.clone(), name: name.clone() };
        desired.get(&key).is_none().then_some(LeftOut { key, service })
    };
    there.filter_map(one).collect()
}

/// The patterns by which no function is listed, once all functions have been seen: perhaps a mistake, perhaps early.
pub fn unmatched(desired: &DesiredState, facts: &Facts) -> Vec<Arc<Pattern>> {
    let listed = facts.swept.as_ref().is_some_and(|swept| swept.listed == Seen::Present(()));
    if desired.patterns.is_empty() || !listed {
        return Vec::new();
    }
    let mut used: BTreeSet<&NamePattern> = BTreeSet::new();
    for entry in &desired.entries {
        used.extend(match &entry.terms.want {
            Want::Disputed(all) => all.iter(),
            Want::Attached(_) | Want::Detached => entry.pattern.as_slice().iter(),
        });
    }
    desired.patterns.iter().filter(|pattern| !used.contains(&pattern.name)).cloned().collect()
}
