//! From the words of the file to subnets and groups that EC2 has.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::egress;
use super::reason::{Reason, Why};
use crate::cloud::SecurityGroup;
use crate::desired::{Intent, Pick};
use crate::live::{SubnetFacts, VpcFacts, WayOut};
use crate::names::{AccountId, Network, Pair, SecurityGroupId, SubnetId};

/// An intent, bound: the exact configuration, and what is doubtful about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// What to set, on a function whose outbound IPv6 is not kept.
    pub network: Arc<Network>,
    /// Whether outbound IPv6 is kept as it is on each function.
    pub ipv6: Ipv6,
    /// Sentences for people.
    pub warnings: Arc<[String]>,
}

/// What becomes of the outbound IPv6 of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ipv6 {
    /// It is set, as the network has it.
    Set,
    /// It is kept in these subnets, since every one has an IPv6 range.
    Kept,
    /// It is kept only on a function that is in these subnets already: one of them has no IPv6 range.
    KeptInPlace,
}

impl Bound {
    /// Not in a VPC.
    pub(super) fn none() -> Self {
        Self { network: Arc::default(), ipv6: Ipv6::Set, warnings: Arc::default() }
    }

    /// What to set on a function that has this.
    pub fn for_one_with(&self, has: &Network) -> Arc<Network> {
        let kept = match self.ipv6 {
            Ipv6::Set => false,
            Ipv6::Kept => true,
            Ipv6::KeptInPlace => has.subnets == self.network.subnets,
        };
        match kept && has.ipv6 {
            true => Arc::new(Network { ipv6: true, ..(*self.network).clone() }),
            false => Arc::clone(&self.network),
        }
    }

    /// What is doubtful about a function that has this, beside what is so about all.
    pub(super) fn loses_ipv6(&self, has: &Network) -> Option<String> {
        let lost = self.ipv6 != Ipv6::Set && has.ipv6 && !self.for_one_with(has).ipv6;
        lost.then(|| "outbound IPv6 is allowed now and will not be: not every new subnet has an IPv6 range".to_owned())
    }
}

/// What the file's words mean at one moment. Thousands of functions share an intent, so it is bound once.
#[derive(Debug, Default)]
pub struct Bindings(RefCell<HashMap<*const Intent, Binding>>);

#[derive(Debug)]
struct Binding {
    /// Alive, so that its address is not another one's.
    _intent: Arc<Intent>,
    bound: Result<Bound, Why>,
    /// The pairs that need new interfaces, once somebody has asked.
    new_pairs: OnceCell<Arc<[Pair]>>,
}

impl Bindings {
    /// Binds an intent of an account, if that was not done before; `facts` are those of its VPC.
    pub(super) fn bind(&self, intent: &Arc<Intent>, facts: &VpcFacts, account: &AccountId) -> Result<Bound, Why> {
        let mut all = self.0.borrow_mut();
        let binding = all.entry(Arc::as_ptr(intent)).or_insert_with(|| Binding {
            _intent: Arc::clone(intent),
            bound: bind(intent, facts, account),
            new_pairs: OnceCell::new(),
        });
        binding.bound.clone()
    }

    /// The pairs for which an intent that was bound needs new interfaces, found once.
    pub(super) fn new_pairs(&self, intent: &Arc<Intent>, find: impl FnOnce() -> Arc<[Pair]>) -> Arc<[Pair]> {
        match self.0.borrow().get(&Arc::as_ptr(intent)) {
            Some(binding) => Arc::clone(binding.new_pairs.get_or_init(find)),
            None => find(),
        }
    }
}

/// The zones, by id, in which Lambda makes no interfaces. No call tells them, and AWS publishes no list; this one is known
/// from what people report of us-east-1 ("The provided subnets contain availability zone Lambda doesn't support").
const REFUSED_ZONES: &[&str] = &["use1-az3"];

/// Binds an intent of an account against a VPC as it is.
pub fn bind(intent: &Intent, facts: &VpcFacts, account: &AccountId) -> Result<Bound, Why> {
    let shared = facts.vpc.owner.as_ref().filter(|owner| *owner != account);
    bind_own(intent, facts).map_err(|why| match (shared, why.reason) {
        (Some(owner), Reason::SubnetNotFound | Reason::NoUsableSubnet | Reason::SecurityGroupNotFound) => {
            let hint = format!("the VPC is shared by account {owner}, whose names and tags cannot be seen");
            let advice =
                "and whose default group cannot be used: give ids, of groups your own or those that are shared too";
            Why::new(why.reason, format!("{}; {hint}, {advice}", why.detail))
        }
        _ => why,
    })
}

fn bind_own(intent: &Intent, facts: &VpcFacts) -> Result<Bound, Why> {
    if facts.vpc.dedicated {
        return Err(Why::new(Reason::DedicatedTenancy, facts.vpc.id.to_string()));
    }
    let mut warnings = Vec::new();
    let subnets = subnets(intent, facts, &mut warnings)?;
    let groups = security_groups(intent, facts, &mut warnings)?;
    let single = subnets.iter().find(|subnet| !subnet.subnet.ipv6);
    let ipv6 = match (intent.ipv6, &intent.subnets, single) {
        (Some(true), _, Some(single)) => {
            return Err(Why::new(Reason::NotDualStack, format!("{} has no IPv6 range", single.subnet.id)));
        }
        (Some(_), ..) | (None, Pick::Default, _) => Ipv6::Set,
        (None, _, None) => Ipv6::Kept,
        (None, _, Some(_)) => Ipv6::KeptInPlace,
    };
    let zones: BTreeSet<&str> = subnets.iter().map(|subnet| subnet.subnet.zone.as_str()).collect();
    if zones.len() == 1 {
        warnings.push("all subnets are in one availability zone: when that fails, so does the function".to_owned());
    }
    warnings.extend(controls(facts, &subnets));
    let network = Network {
        subnets: subnets.iter().map(|subnet| subnet.subnet.id.clone()).collect(),
        security_groups: groups.iter().map(|group| group.id.clone()).collect(),
        ipv6: intent.ipv6.unwrap_or_default(),
    };
    if network.subnets.len() > Network::MOST_SUBNETS {
        return Err(Why::new(Reason::TooManySubnets, format!("the entry means {} subnets", network.subnets.len())));
    }
    if network.security_groups.len() > Network::MOST_SECURITY_GROUPS {
        let detail = format!("the entry means {} security groups", network.security_groups.len());
        return Err(Why::new(Reason::TooManySecurityGroups, detail));
    }
    Ok(Bound { network: Arc::new(network), ipv6, warnings: warnings.into() })
}

/// What is told of the controls that an organisation sets over its VPCs. Lambda makes its interfaces all the same, or says itself
/// that it may not.
fn controls(facts: &VpcFacts, subnets: &[&SubnetFacts]) -> Vec<String> {
    let closed: Vec<&str> = subnets.iter().filter(|it| it.subnet.no_internet).map(|it| it.subnet.id.as_str()).collect();
    let closed = (!closed.is_empty()).then(|| {
        let mode = "VPC Block Public Access (block-bidirectional) stops all traffic with the internet, through NAT gateways too";
        format!("{mode}, in {}", closed.join(", "))
    });
    let encrypted = facts.vpc.encrypted_only.then(|| {
        let mode = format!("VPC Encryption Control of {} is in mode enforce", facts.vpc.id);
        format!("{mode} without an exclusion for Lambda: Lambda may refuse (DisallowedByVpcEncryptionControl)")
    });
    closed.into_iter().chain(encrypted).collect()
}

fn subnets<'a>(intent: &Intent, facts: &'a VpcFacts, warnings: &mut Vec<String>) -> Result<Vec<&'a SubnetFacts>, Why> {
    let available = facts.subnets.iter().filter(|subnet| subnet.subnet.available);
    let (lost, usable): (Vec<&SubnetFacts>, Vec<&SubnetFacts>) = available.partition(|subnet| unfit(subnet).is_some());
    let picked: Vec<&SubnetFacts> = match &intent.subnets {
        Pick::Default => {
            leave_out(lost.iter().filter(|subnet| subnet.way != WayOut::InternetGateway), warnings);
            egress::default_choice(intent, usable, warnings)
        }
        Pick::Ids(ids) => each(ids, |id: &SubnetId| {
            let found = facts.subnets.iter().find(|subnet| subnet.subnet.id == *id);
            match found {
                Some(subnet) if !subnet.subnet.available => {
                    Err(Why::new(Reason::SubnetNotFound, format!("{id} is not available")))
                }
                Some(subnet) => fit(subnet),
                None => Err(Why::new(Reason::SubnetNotFound, format!("{} has no subnet {id}", intent.vpc))),
            }
        })?,
        Pick::Names(names) => each(names, |name: &String| {
            let all = usable.iter().chain(&lost).copied();
            let named = all.filter(|subnet| subnet.subnet.tags.get("Name") == Some(name));
            // EC2 tells them in any order; without one of our own, two namesakes would be exchanged for ever.
            let named: BTreeMap<&SubnetId, &SubnetFacts> = named.map(|subnet| (&subnet.subnet.id, subnet)).collect();
            let none = || Why::new(Reason::SubnetNotFound, format!("{} has no subnet named {name}", intent.vpc));
            let (first, subnet) = named.first_key_value().ok_or_else(none)?;
            if named.len() > 1 {
                let ids: Vec<&str> = named.keys().map(|id| id.as_str()).collect();
                warnings.push(format!("{} are all named {name}: {first} is used; name ids or tags", ids.join(", ")));
            }
            fit(subnet)
        })?,
        Pick::Tags(tags) => {
            let tagged = |subnet: &&SubnetFacts| tags.iter().all(|(k, v)| subnet.subnet.tags.get(k) == Some(v));
            leave_out(lost.iter().filter(|subnet| tagged(subnet)), warnings);
            usable.into_iter().filter(tagged).collect()
        }
    };
    if picked.is_empty() {
        let left_out: String = warnings.iter().map(|warning| format!("; {warning}")).collect();
        let detail = format!("{}: {}{left_out}", intent.vpc, in_words(&intent.subnets));
        return Err(Why::new(Reason::NoUsableSubnet, detail));
    }
    egress::check(intent, facts, &picked, warnings)?;
    Ok(picked)
}

/// Subnets that were not named by anybody, and that Lambda does not take.
fn leave_out<'a>(lost: impl Iterator<Item = &'a &'a SubnetFacts>, warnings: &mut Vec<String>) {
    for lost in lost {
        if let Some((_, why)) = unfit(lost) {
            warnings.push(format!("{} is left out: {why}", lost.subnet.id));
        }
    }
}

fn fit(subnet: &SubnetFacts) -> Result<&SubnetFacts, Why> {
    let why = |(reason, why)| Why::new(reason, format!("{}: {why}", subnet.subnet.id));
    unfit(subnet).map(why).map_or(Ok(subnet), Err)
}

/// Why Lambda does not take a subnet. It makes its interfaces in the availability zones of a region, and each has an IPv4 address.
fn unfit(SubnetFacts { subnet, .. }: &SubnetFacts) -> Option<(Reason, String)> {
    let zone = subnet.zone.as_str();
    if REFUSED_ZONES.contains(&zone) {
        return Some((Reason::ZoneRefused, format!("Lambda does not work in the availability zone {zone}")));
    }
    if is_at_the_edge(zone) {
        let why = format!("Lambda does not work in Local and Wavelength Zones, of which {zone} is one");
        return Some((Reason::ZoneRefused, why));
    }
    if subnet.outpost {
        return Some((Reason::SubnetUnfit, "it is on an Outpost".to_owned()));
    }
    (!subnet.ipv4).then(|| (Reason::SubnetUnfit, "it is IPv6-only, and a function needs an IPv4 address".to_owned()))
}

/// Whether a zone, by its id, is a Local Zone (`euw1-dub1-az1`) or a Wavelength Zone (`euw1-wl1-dub-wlz1`). The id of an
/// availability zone has two parts (`euw1-az1`).
fn is_at_the_edge(zone: &str) -> bool {
    let parts: Vec<&str> = zone.split('-').collect();
    let numbered = |prefix: &str| {
        let number = parts.last().and_then(|last| last.strip_prefix(prefix));
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit()))
    };
    numbered("wlz") || (parts.len() > 2 && numbered("az"))
}

fn security_groups<'a>(
    intent: &Intent,
    facts: &'a VpcFacts,
    warnings: &mut Vec<String>,
) -> Result<Vec<&'a SecurityGroup>, Why> {
    let groups = &facts.security_groups;
    let named = |name: &str| {
        let none = || Why::new(Reason::SecurityGroupNotFound, no_group_named(name, facts));
        groups.iter().find(|group| group.name == name).ok_or_else(none)
    };
    let picked: Vec<&SecurityGroup> = match &intent.security_groups {
        Pick::Default => vec![named("default")?],
        Pick::Ids(ids) => each(ids, |id: &SecurityGroupId| {
            let none = || Why::new(Reason::SecurityGroupNotFound, format!("{} has no group {id}", intent.vpc));
            groups.iter().find(|group| group.id == *id).ok_or_else(none)
        })?,
        Pick::Names(names) => each(names, |name: &String| named(name))?,
        Pick::Tags(tags) => {
            groups.iter().filter(|group| tags.iter().all(|(k, v)| group.tags.get(k) == Some(v))).collect()
        }
    };
    if picked.is_empty() {
        let detail = format!("{}: {}", intent.vpc, in_words(&intent.security_groups));
        return Err(Why::new(Reason::SecurityGroupNotFound, detail));
    }
    if picked.iter().all(|group| group.lets_out == Some(false)) {
        let names: Vec<&str> = picked.iter().map(|group| group.name.as_str()).collect();
        warnings.push(format!("no group lets anything out ({}): the function can reach nothing", names.join(", ")));
    }
    Ok(picked)
}

/// A console shows the Name tag of a group before its name, which is what a file has to say.
fn no_group_named(name: &str, facts: &VpcFacts) -> String {
    let none = format!("{} has no group named {name}", facts.vpc.id);
    let tagged = facts.security_groups.iter().filter(|group| group.tags.get("Name").is_some_and(|tag| tag == name));
    // EC2 tells them in any order.
    match tagged.min_by_key(|group| &group.id) {
        Some(group) => format!("{none}; that is the Name tag of {}, whose group name is {}", group.id, group.name),
        None => none,
    }
}

fn each<'a, I, T>(wanted: &BTreeSet<I>, find: impl FnMut(&I) -> Result<&'a T, Why>) -> Result<Vec<&'a T>, Why> {
    wanted.iter().map(find).collect()
}

fn in_words<Id>(pick: &Pick<Id>) -> String {
    match pick {
        Pick::Tags(tags) => {
            let pairs: Vec<String> = tags.iter().map(|(key, value)| format!("{key} = {value}")).collect();
            format!("nothing has the tags {}", pairs.join(", "))
        }
        _ => "it has none".to_owned(),
    }
}
