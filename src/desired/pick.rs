//! Which subnets and security groups are picked.

use std::collections::{BTreeMap, BTreeSet};

use super::document::Selector;
use super::{Pick, words};
use crate::file::{Field, Reader};
use crate::names::{NameError, Network, SecurityGroupId, SubnetId};

/// AWS lets nothing have more tags.
const MOST_TAGS: usize = 50;

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
            tags.iter().map(|(key, value)| Some((key.clone(), value.parse(reader, words::name)?))).collect();
        let long = tags.keys().any(|key| key.chars().count() > words::LONGEST_KEY);
        if long || tags.len() > MOST_TAGS {
            let text =
                format!("AWS has at most {MOST_TAGS} tags, with keys of at most {} characters", words::LONGEST_KEY);
            reader.report.push(reader.error(field.span(), text, "no such tags"));
            return None;
        }
        let tags: BTreeMap<String, String> = read.into_iter().collect::<Option<_>>()?;
        return some_of(reader, tags.is_empty(), field, what).then_some(Pick::Tags(tags));
    }
    if let Some(names) = reader.get(&selector.names) {
        let read: Vec<Option<String>> = names.iter().map(|name| name.parse(reader, words::name)).collect();
        let names: BTreeSet<String> = read.into_iter().collect::<Option<_>>()?;
        not_too_many(reader, names.len(), most, field, what)?;
        return some_of(reader, names.is_empty(), field, what).then_some(Pick::Names(names));
    }
    let ids = reader.get(&selector.ids)?;
    let parsed: Vec<Option<Id>> = ids.iter().map(|id| reader.id(id, &parse)).collect();
    let ids: BTreeSet<Id> = parsed.into_iter().collect::<Option<_>>()?;
    not_too_many(reader, ids.len(), most, field, what)?;
    some_of(reader, ids.is_empty(), field, what).then_some(Pick::Ids(ids))
}

/// None where more are named than Lambda takes, which is a mistake.
fn not_too_many(reader: &mut Reader<'_>, named: usize, most: usize, field: &Field<Selector>, what: &str) -> Option<()> {
    if named > most {
        let text = format!("{named} {what}, but Lambda takes at most {most}");
        reader.report.push(reader.error(field.span(), text, "too many"));
        return None;
    }
    Some(())
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
