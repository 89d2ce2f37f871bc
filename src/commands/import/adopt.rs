//! Which functions are listed, and how: those for which the plan finds nothing to do.
//!
//! Nothing of that is decided here. A file is written and planned on, like any other; where the plan would change
//! something or is stuck, the entry is taken back, and the next file is planned on, until nothing is left to do.

use std::collections::BTreeMap;
use std::path::Path;

use super::Regions;
use super::text::{self, Fleet, place, seen};
use crate::cloud::{Exclusion, Function};
use crate::desired::{Accounts, DesiredState};
use crate::file::{Source, wrong_digits};
use crate::live::Seen;
use crate::names::{FunctionKey, Network, SecurityGroupId, SubnetId, Time, VpcId, WallClock};
use crate::plan::{Bindings, Change, Limits, Memory, Outcome, State, Verdict, Why, World, compare};

/// Whether functions in no VPC are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outside {
    /// They are left alone.
    LeftOut,
    /// They are listed, and so kept out of every VPC.
    Listed,
}

/// Why a function is not listed, or its role left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    /// The reason, for people.
    pub(super) text: String,
    /// Whether the reason is that something could not be read.
    pub(super) unread: bool,
}

impl Doubt {
    fn known(text: impl Into<String>) -> Self {
        Self { text: text.into(), unread: false }
    }

    fn of(outcome: &Outcome) -> Self {
        let text = outcome.why().map(ToString::to_string).unwrap_or_default();
        Self { text, unread: matches!(outcome, Outcome::Unread { .. }) }
    }
}

/// A file on which a plan is empty, and what it could not take in.
#[derive(Debug)]
pub(super) struct Adopted {
    /// The file.
    pub(super) text: String,
    /// The functions in it; with a doubt, those whose role is left as it is.
    pub(super) listed: BTreeMap<FunctionKey, Option<Doubt>>,
    /// The functions that it tells of in comments alone.
    pub(super) left_out: BTreeMap<FunctionKey, Doubt>,
    /// How many functions are in no VPC and not listed for that reason.
    pub(super) outside: usize,
}

/// Makes a file of all functions that are known. An error, in words, is a defect of this program.
pub(super) fn adopt(facts: &Regions, outside: Outside, limits: &Limits, now: Time) -> Result<Adopted, String> {
    let mut adopted = Adopted { text: String::new(), listed: BTreeMap::new(), left_out: BTreeMap::new(), outside: 0 };
    for (scope, known) in facts {
        for (name, function) in known.swept.iter().flat_map(|swept| &swept.functions) {
            let key = FunctionKey { scope: scope.clone(), name: name.clone() };
            adopted.begin(key, function, outside);
        }
    }
    while !adopted.listed.is_empty() {
        let Adopted { listed, left_out, outside, .. } = &adopted;
        adopted.text = text::write(&Fleet { facts, listed, left_out, outside: *outside });
        let desired = read_back(&adopted.text, facts)?;
        let to_do = to_do(&desired, facts, limits, now)?;
        if to_do.is_empty() {
            let complete = desired.entries.len() == adopted.listed.len();
            return if complete { Ok(adopted) } else { Err("the file does not list every function".to_owned()) };
        }
        for (key, verdict) in to_do {
            adopted.take_back(&key, &verdict, facts);
        }
    }
    adopted.text.clear();
    Ok(adopted)
}

/// The functions that a plan on the file does not leave as they are, and why: each region is compared by itself.
fn to_do(
    desired: &DesiredState,
    facts: &Regions,
    limits: &Limits,
    now: Time,
) -> Result<Vec<(FunctionKey, Verdict)>, String> {
    let (memory, mut to_do) = (Memory::default(), Vec::new());
    for (scope, desired) in desired.by_scope() {
        let facts = facts.get(&scope).ok_or_else(|| format!("the file lists functions of {scope}, and import did not read that account and region: report this, it is a defect"))?;
        let world = World {
            desired: &desired,
            facts,
            memory: &memory,
            limits,
            leads: true,
            now,
            wall: WallClock::default(),
            bound: Bindings::default(),
        };
        let verdicts = desired.entries.iter().map(|entry| (entry.key.clone(), compare(&world, entry).verdict));
        to_do.extend(verdicts.filter(|(_, verdict)| *verdict != Verdict::InSync));
    }
    Ok(to_do)
}

fn read_back(text: &str, facts: &Regions) -> Result<DesiredState, String> {
    let source = Source::from_bytes(Path::new("import"), text.into()).map_err(|error| error.to_string())?;
    // With nothing known from elsewhere, so that the file says everything by itself; but the regions have answered.
    let new_regions = facts.keys().map(|scope| scope.region.clone()).collect();
    let accounts = Accounts { new_regions, ..Accounts::without_aws(BTreeMap::new(), None) };
    DesiredState::check(&source, &accounts).map_err(|unusable| unusable.render(false))
}

impl Adopted {
    /// What is not listed, or not as others are, and why.
    pub(super) fn doubts(&self) -> impl Iterator<Item = (&FunctionKey, &Doubt)> {
        let listed = self.listed.iter().filter_map(|(key, doubt)| Some((key, doubt.as_ref()?)));
        listed.chain(&self.left_out)
    }

    /// Every function begins as an entry with no more than its network, unless the file has no words for that.
    fn begin(&mut self, key: FunctionKey, function: &Seen<Function>, outside: Outside) {
        let function = match function {
            Seen::Present(function) => function,
            Seen::Unknown(fault) => {
                let text = Why::unread(fault).to_string();
                self.left_out.insert(key, Doubt { text, unread: true });
                return;
            }
            Seen::Absent => return,
        };
        if let Some(doubt) = beyond_words(function) {
            self.left_out.insert(key, doubt);
        } else if function.network.is_attached() || outside == Outside::Listed {
            self.listed.insert(key, None);
        } else {
            self.outside += 1;
        }
    }

    /// An entry on which a plan is stuck first leaves the role as it is. Where that does not help, there is none.
    fn take_back(&mut self, key: &FunctionKey, verdict: &Verdict, facts: &Regions) {
        let Some(doubt) = self.listed.remove(key) else { return };
        let role_may_do = doubt.is_none() && place(facts, key).is_some();
        match verdict {
            Verdict::Stuck(outcome) if role_may_do => {
                self.listed.insert(key.clone(), Some(role_left(facts, key, Doubt::of(outcome))));
            }
            Verdict::Stuck(outcome) => {
                let doubt = Doubt::of(outcome);
                let state = if doubt.unread { State::Unknown } else { outcome.state() };
                let text = format!("an entry would be {}: {}", state.name(), doubt.text);
                self.left_out.insert(key.clone(), Doubt { text, ..doubt });
            }
            Verdict::Differs(Change { network, .. }) => {
                let what = if network.is_some() { "network" } else { "role" };
                self.left_out.insert(key.clone(), Doubt::known(format!("a plan would change its {what}")));
            }
            Verdict::InSync => {}
        }
    }
}

/// Says whose role it is that is doubtful.
fn role_left(facts: &Regions, key: &FunctionKey, doubt: Doubt) -> Doubt {
    let Some(function) = seen(facts, key) else { return doubt };
    Doubt { text: format!("Role {}: {}", function.role.key().name, doubt.text), ..doubt }
}

/// Why the file has no words for where a function is.
fn beyond_words(function: &Function) -> Option<Doubt> {
    let Function { name, network, vpc, excluded, .. } = function;
    match excluded.as_deref() {
        Some(Exclusion::CapacityProvider(arn)) => {
            return Some(Doubt::known(format!("it runs on a capacity provider, which has the network: {arn}")));
        }
        Some(Exclusion::EdgeReplica(arn)) => {
            return Some(Doubt::known(format!("it is a replica that Lambda@Edge made of {arn}")));
        }
        None => {}
    }
    if name.as_str().contains('.') {
        return Some(Doubt::known("its name has a dot, as those of Lambda@Edge replicas have"));
    }
    if !network.is_attached() {
        return None;
    }
    if vpc.is_none() {
        return Some(Doubt { text: "Lambda does not say in which VPC it is".to_owned(), unread: true });
    }
    let Network { subnets, security_groups, ipv6: _ } = &**network;
    let fine = (1..=Network::MOST_SUBNETS).contains(&subnets.len())
        && (1..=Network::MOST_SECURITY_GROUPS).contains(&security_groups.len());
    let ids = subnets.iter().map(SubnetId::as_str).chain(security_groups.iter().map(SecurityGroupId::as_str));
    if let Some((id, wrong)) = ids.chain(vpc.as_ref().map(VpcId::as_str)).find_map(|id| Some((id, wrong_digits(id)?))) {
        return Some(Doubt::known(format!("no file may have the id {id}, as an emulator gives it: {wrong}")));
    }
    let odd = || format!("it has {} subnets and {} security groups", subnets.len(), security_groups.len());
    (!fine).then(|| Doubt::known(odd()))
}
