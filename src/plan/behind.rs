//! Published versions that run another network than the file says. Updates reach `$LATEST` alone, so that nothing is
//! decided from this: it is shown and counted for whoever publishes.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Bound, World};
use crate::live::Seen;
use crate::names::{AliasName, FunctionName, Version};

/// A sentence lists no more versions than this.
const SHOWN: usize = 5;

/// What of a function runs another network than the file says, beside `$LATEST`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Behind {
    /// The published versions.
    pub versions: BTreeSet<Version>,
    /// The aliases that lead to one of them; none if that is not known.
    pub aliases: Option<Vec<AliasName>>,
}

/// The published versions of a function that run another network than the file says; none if they are not known.
pub(super) fn behind(w: &World<'_>, name: &FunctionName, bound: &Bound) -> Option<Behind> {
    let published = match w.facts.published(name) {
        Seen::Present(published) => published,
        Seen::Absent => return Some(Behind { versions: BTreeSet::new(), aliases: Some(Vec::new()) }),
        Seen::Unknown(_) => return None,
    };
    let elsewhere = published.versions.iter().filter(|(_, network)| **network != bound.for_one_with(network));
    let versions: BTreeSet<Version> = elsewhere.map(|(version, _)| *version).collect();
    let aliases = match &published.aliases {
        Seen::Present(aliases) => {
            let leading = aliases.iter().filter(|alias| !alias.versions.is_disjoint(&versions));
            Some(leading.map(|alias| alias.name.clone()).collect())
        }
        Seen::Absent => Some(Vec::new()),
        Seen::Unknown(_) => versions.is_empty().then(Vec::new),
    };
    Some(Behind { versions, aliases })
}

impl Behind {
    /// What is to be done about it, in a sentence; none if there is nothing to do.
    pub(super) fn warning(&self) -> Option<String> {
        let Self { versions, aliases } = self;
        let (count, newest) = (versions.len(), versions.iter().rev().take(SHOWN).map(ToString::to_string));
        let newest = newest.collect::<Vec<_>>().join(", ");
        let others = if count > SHOWN { format!(" and {} older ones", count - SHOWN) } else { String::new() };
        let which = match count {
            0 => return None,
            1 => format!("the published version {newest} runs another network"),
            _ => format!("{count} published versions ({newest}{others}) run another network"),
        };
        let publish = "publish a version once $LATEST is in sync, and move";
        Some(match aliases.as_deref() {
            None => format!("{which}, and aliases may lead there: {publish} them"),
            Some([]) => format!("{which}, but no alias leads there"),
            Some([alias]) => format!("{which}, and the alias `{alias}` leads there: {publish} it"),
            Some(several) => {
                let names: Vec<String> = several.iter().map(|alias| format!("`{alias}`")).collect();
                format!("{which}, and the aliases {} lead there: {publish} them", names.join(", "))
            }
        })
    }
}
