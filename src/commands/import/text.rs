//! From what is listed to the text of a file. It decides nothing about AWS; it is valid TOML whatever names and tags say.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::Regions;
use super::adopt::Doubt;
use super::naming::named;
use crate::cloud::Function;
use crate::commands::print;
use crate::live::{Seen, VpcFacts};
use crate::names::{FunctionKey, Network, ScopeKey, VpcId};
use crate::text::unseen;

/// What a file is written from.
#[derive(Clone, Copy)]
pub(super) struct Fleet<'a> {
    /// What AWS said.
    pub(super) facts: &'a Regions,
    /// The functions to list; with a doubt, those whose role shall be left as it is.
    pub(super) listed: &'a BTreeMap<FunctionKey, Option<Doubt>>,
    /// Those that are told of in comments alone.
    pub(super) left_out: &'a BTreeMap<FunctionKey, Doubt>,
    /// How many are in no VPC and are not listed for that reason.
    pub(super) outside: usize,
}

/// A network that functions are in: what becomes a `[[vpc]]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) scope: ScopeKey,
    pub(super) vpc: VpcId,
    pub(super) network: Arc<Network>,
}

const HEADER: &str = "\
# Lambda functions and the networks that they are in, as `lambda-vpc-controller import` found them. Networks are written by
# their ids, so that a plan changes nothing. Names or tags instead of ids let an entry follow its VPC.
";

impl Place {
    /// What is known of its VPC; none where it is not.
    pub(super) fn known_vpc<'a>(&self, facts: &'a Regions) -> Option<&'a VpcFacts> {
        print::known_vpc(facts.get(&self.scope)?, &self.vpc)
    }
}

/// A function as it was seen; none where it was not.
pub(super) fn seen<'a>(facts: &'a Regions, key: &FunctionKey) -> Option<&'a Function> {
    match facts.get(&key.scope)?.function(&key.name) {
        Seen::Present(function) => Some(function),
        Seen::Absent | Seen::Unknown(_) => None,
    }
}

/// Where a function is; none if it is in no VPC.
pub(super) fn place(facts: &Regions, key: &FunctionKey) -> Option<Place> {
    let function = seen(facts, key)?;
    let vpc = function.vpc.clone().filter(|_| function.network.is_attached())?;
    Some(Place { scope: key.scope.clone(), vpc, network: function.network.clone() })
}

/// The whole file.
pub(super) fn write(fleet: &Fleet<'_>) -> String {
    let mut groups: BTreeMap<Option<Place>, Vec<(&FunctionKey, Option<&Doubt>)>> = BTreeMap::new();
    for (key, doubt) in fleet.listed {
        groups.entry(place(fleet.facts, key)).or_default().push((key, doubt.as_ref()));
    }
    let outside = groups.remove(&None).unwrap_or_default();
    let places: Vec<Place> = groups.keys().flatten().cloned().collect();
    let by_name = named(fleet.facts, &places);

    let mut text = HEADER.to_owned();
    let shared = Shared::of(fleet.listed.keys().map(|key| &key.scope));
    shared.write(&mut text);
    for (name, place) in &by_name {
        write_vpc(&mut text, name, place, fleet.facts, &shared);
    }
    for (name, place) in by_name {
        for (key, doubt) in groups.get(&Some(place.clone())).into_iter().flatten() {
            let _ = writeln!(text, "\n[[function]]\nname = \"{}\"\nvpc = {}", key.name, quoted(&name));
            if let Some(doubt) = doubt {
                write_role_left(&mut text, doubt);
            }
        }
    }
    for (key, _) in outside {
        let _ = writeln!(text, "\n[[function]]\nname = \"{}\"\nvpc = \"none\"", key.name);
        shared.write_rest(&mut text, &key.scope);
    }
    write_left_out(&mut text, fleet);
    text
}

/// What all entries have in common, and so stands in `[defaults]` alone.
struct Shared<'a> {
    account: Option<&'a str>,
    region: Option<&'a str>,
}

impl<'a> Shared<'a> {
    fn of(scopes: impl Iterator<Item = &'a ScopeKey> + Clone) -> Self {
        let account = common(scopes.clone().map(|scope| scope.account.as_str()));
        Self { account, region: common(scopes.map(|scope| scope.region.as_str())) }
    }

    fn write(&self, text: &mut String) {
        if self.account.is_some() || self.region.is_some() {
            text.push_str("\n[defaults]\n");
        }
        let keys = [("region", self.region), ("account", self.account)];
        for (key, value) in keys.into_iter().filter_map(|(key, value)| Some((key, value?))) {
            let _ = writeln!(text, "{key} = \"{value}\"");
        }
    }

    /// What an entry of this scope has to say for itself.
    fn write_rest(&self, text: &mut String, ScopeKey { account, region }: &ScopeKey) {
        for (key, value, shared) in
            [("region", region.as_str(), self.region), ("account", account.as_str(), self.account)]
        {
            if shared.is_none() {
                let _ = writeln!(text, "{key} = \"{value}\"");
            }
        }
    }
}

/// The one value that all of them are, if there is one.
fn common<'a>(mut values: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let first = values.next()?;
    values.all(|value| value == first).then_some(first)
}

fn write_vpc(text: &mut String, name: &str, place: &Place, facts: &Regions, shared: &Shared<'_>) {
    let Place { scope, vpc, network } = place;
    let Network { subnets, security_groups, ipv6 } = &**network;
    let names = place.known_vpc(facts).map(print::names_in).unwrap_or_default();
    let _ = writeln!(text, "\n[[vpc]]\nname = {}\nid = \"{vpc}\"", quoted(name));
    shared.write_rest(text, scope);
    write_ids(text, "subnets", subnets.iter().map(|id| id.as_str()), &names);
    write_ids(text, "security_groups", security_groups.iter().map(|id| id.as_str()), &names);
    if *ipv6 {
        text.push_str("ipv6 = true\n");
    }
}

/// A selector by ids, each with its name behind it.
fn write_ids<'a>(text: &mut String, key: &str, ids: impl Iterator<Item = &'a str>, names: &BTreeMap<String, String>) {
    let _ = writeln!(text, "{key} = {{ ids = [");
    for id in ids {
        let name = names.get(id).map(|name| one_line(name)).filter(|name| !name.is_empty());
        let name = name.map(|name| format!("  # {name}")).unwrap_or_default();
        let _ = writeln!(text, "    \"{id}\",{name}");
    }
    text.push_str("] }\n");
}

/// The line by which a role is left as it is, the reason, and what would come of it without the line.
fn write_role_left(text: &mut String, doubt: &Doubt) {
    let why = one_line(&doubt.text);
    let _ = writeln!(
        text,
        "# {why}. Without the next line, a plan waits until the role can be read.\nattach_policy = \"never\""
    );
}

fn write_left_out(text: &mut String, fleet: &Fleet<'_>) {
    if !fleet.left_out.is_empty() {
        text.push_str("\n# Not listed:\n");
    }
    for (key, doubt) in fleet.left_out {
        let _ = writeln!(text, "#   {} ({}): {}", key.name, key.scope, one_line(&doubt.text));
    }
    if fleet.outside > 0 {
        let them = if fleet.outside == 1 { "function is" } else { "functions are" };
        let _ = writeln!(
            text,
            "\n# {} more {them} in no VPC and not listed: vpc = \"none\" would keep them out of every VPC. \
             With --detached they are.",
            fleet.outside
        );
    }
}

/// A text as people may have typed it, on one line, without what a terminal or an editor does not show.
pub(super) fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let seen = |word: &str| word.chars().filter(|c| !unseen(*c)).collect::<String>();
    words.map(seen).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A text on one line as a TOML string.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
