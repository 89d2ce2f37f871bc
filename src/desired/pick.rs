//! Which subnets and security groups are picked.

use std::collections::{BTreeMap, BTreeSet};

use super::Pick;
use super::document::Selector;
use crate::file::{Field, Reader};
use crate::names::{NameError, Network, SecurityGroupId, SubnetId};

/// The subnets that a field picks, the default where there is none; none where it is mistaken.
pub(super) fn subnets(reader: &mut Reader<'_>, field: &Option<Field<Selector>>) -> Option<Pick<SubnetId>> {
    pick(reader, field, SubnetId::parse, Network::MOST_SUBNETS, "subnets")
}

/// The same for security groups.
pub(super) fn security_groups(
    reader: &mut Reader<'_>,
    field: &Option<Field<Selector>>,
) -> Option<Pick<SecurityGroupId>> {
    pick(reader, field, SecurityGroupId::parse, Network::MOST_SECURITY_GROUPS, "security groups")
}

fn pick<Id: Ord>(
    reader: &mut Reader<'_>,
    field: &Option<Field<Selector>>,
    parse: impl Fn(&str) -> Result<Id, NameError>,
    most: usize,
    what: &str,
) -> Option<Pick<Id>> {
    let Some(field) = field else { return Some(Pick::Default) };
    let selector = field.get(reader)?;
    let said = [selector.ids.is_some(), selector.names.is_some(), selector.tags.is_some()];
    if said.iter().filter(|said| **said).count() != 1 {
        let text = format!("{what} are picked in one way: by ids, by names or by tags");
        let label = if said.contains(&true) { "more than one way" } else { "nothing is picked" };
        let wrong = reader.error(field.span(), text, label);
        reader.report.push(wrong.help("for example { ids = [\"...\"] } or { tags = { tier = \"private\" } }"));
        return None;
    }
    let tags = reader.get(&selector.tags);
    if let Some(tags) = tags {
        let read: Vec<Option<(String, String)>> =
            tags.iter().map(|(key, value)| Some((key.clone(), value.get(reader)?.clone()))).collect();
        let tags: BTreeMap<String, String> = read.into_iter().collect::<Option<_>>()?;
        return some_of(reader, tags.is_empty(), field, what).then_some(Pick::Tags(tags));
    }
    if let Some(names) = reader.get(&selector.names) {
        let read: Vec<Option<String>> = names.iter().map(|name| name.get(reader).cloned()).collect();
        let names: BTreeSet<String> = read.into_iter().collect::<Option<_>>()?;
        return some_of(reader, names.is_empty(), field, what).then_some(Pick::Names(names));
    }
    let ids = reader.get(&selector.ids)?;
    let parsed: Vec<Option<Id>> = ids.iter().map(|id| id.parse(reader, &parse)).collect();
    let ids: BTreeSet<Id> = parsed.into_iter().collect::<Option<_>>()?;
    if ids.len() > most {
        let text = format!("{} {what}, but Lambda takes at most {most}", ids.len());
        reader.report.push(reader.error(field.span(), text, "too many"));
        return None;
    }
    some_of(reader, ids.is_empty(), field, what).then_some(Pick::Ids(ids))
}

/// Whether anything is picked; that nothing is, is a mistake.
fn some_of(reader: &mut Reader<'_>, empty: bool, field: &Field<Selector>, what: &str) -> bool {
    if empty {
        let text = format!("this picks no {what}");
        let wrong = reader.error(field.span(), text, "empty");
        reader.report.push(wrong.help("leave it out for the default, or say which"));
    }
    !empty
}
