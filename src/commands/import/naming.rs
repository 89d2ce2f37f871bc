//! Names for networks: what people call the VPC, and what tells two networks of one name apart.

use std::collections::{BTreeMap, BTreeSet};

use super::Regions;
use super::text::{Place, one_line};
use crate::desired::vpc_name;
use crate::names::SecurityGroupId;

/// Names of groups longer than this tell a reader less than a number does.
const LONGEST_DETAIL: usize = 40;

/// The networks by their names, each of which stands once and is one that the file takes.
pub(super) fn named<'a>(facts: &Regions, places: &'a [Place]) -> BTreeMap<String, &'a Place> {
    let mut names: Vec<String> = places.iter().map(|place| base(facts, place)).collect();
    tell_apart(&mut names, places, |place| Some(place.scope.region.to_string()));
    tell_apart(&mut names, places, |place| groups(facts, place));
    tell_apart(&mut names, places, |place| place.network.ipv6.then(|| "ipv6".to_owned()));
    number(&mut names);
    names.into_iter().zip(places).collect()
}

/// The VPC's Name tag, as far as the file takes it; otherwise the digits of its id.
fn base(facts: &Regions, place: &Place) -> String {
    let tag = place.known_vpc(facts).and_then(|vpc| vpc.vpc.tags.get("Name"));
    let tag = tag.map(|tag| one_line(tag)).unwrap_or_default();
    let mut name = tag.as_str();
    // The file takes what begins so for an id.
    while let Some(rest) = name.strip_prefix("vpc-") {
        name = rest.trim_start();
    }
    vpc_name(name).unwrap_or_else(|_| format!("network-{}", place.vpc.as_str().trim_start_matches("vpc-")))
}

/// The names of the security groups, where they are known and short.
fn groups(facts: &Regions, place: &Place) -> Option<String> {
    let all = &place.known_vpc(facts)?.security_groups;
    let name = |id: &SecurityGroupId| all.iter().find(|group| group.id == *id).map(|group| one_line(&group.name));
    let names: BTreeSet<String> = place.network.security_groups.iter().map(name).collect::<Option<_>>()?;
    let detail = names.into_iter().collect::<Vec<_>>().join("+");
    (detail.chars().count() <= LONGEST_DETAIL).then_some(detail)
}

/// Adds the detail to names that are the same, where it is not the same for all of these.
fn tell_apart(names: &mut [String], places: &[Place], detail: impl Fn(&Place) -> Option<String>) {
    let mut same: BTreeMap<&str, Vec<Option<String>>> = BTreeMap::new();
    let details: Vec<Option<String>> = places.iter().map(detail).collect();
    for (name, detail) in names.iter().zip(&details) {
        same.entry(name).or_default().push(detail.clone());
    }
    let differs = |details: &Vec<Option<String>>| details.windows(2).any(|pair| pair[0] != pair[1]);
    let unclear = same.into_iter().filter(|(_, details)| differs(details));
    let unclear: BTreeSet<String> = unclear.map(|(name, _)| name.to_owned()).collect();
    for (name, detail) in names.iter_mut().zip(details) {
        if let Some(detail) = detail.filter(|_| unclear.contains(name)) {
            *name = format!("{name}-{detail}");
        }
    }
}

/// Numbers what is still the same, from the second one on.
fn number(names: &mut [String]) {
    let mut taken = BTreeSet::new();
    let mut next: BTreeMap<String, usize> = BTreeMap::new();
    for name in names {
        let base = name.clone();
        while !taken.insert(name.clone()) {
            let number = next.entry(base.clone()).or_insert(1);
            *number += 1;
            *name = format!("{base}-{number}");
        }
    }
}
