//! Whether functions get to the internet from the subnets that an entry means, which most people learn from timeouts.

use std::collections::{BTreeMap, BTreeSet};

use super::World;
use super::reason::{Reason, Why};
use crate::cloud::Function;
use crate::desired::{Egress, Entry, Intent, Pick, Want};
use crate::live::{Fault, Leads, Seen, SubnetFacts, VpcFacts, WayOut};
use crate::names::{Network, VpcId};

/// The subnets that are meant where nothing is said of them: the private ones that lead where the functions need it, if
/// there are any, and else the private ones. A gateway that is gone for now moves nothing: its subnets stay chosen.
pub(super) fn default_choice<'a>(
    intent: &Intent,
    usable: Vec<&'a SubnetFacts>,
    warnings: &mut Vec<String>,
) -> Vec<&'a SubnetFacts> {
    let (unseen, seen): (Vec<&SubnetFacts>, Vec<&SubnetFacts>) =
        usable.iter().copied().partition(|subnet| subnet.way == WayOut::Unseen);
    let private: Vec<&SubnetFacts> = seen.into_iter().filter(|subnet| subnet.way != WayOut::InternetGateway).collect();
    let wanted = |subnet: &&SubnetFacts| match (intent.egress, subnet.way) {
        (Egress::None, _) => leads(intent, subnet) == Leads::Nowhere,
        (Egress::Any | Egress::Required, WayOut::Blackhole) => true,
        (Egress::Any | Egress::Required, _) => leads(intent, subnet) == Leads::Out,
    };
    let (fitting, unfit): (Vec<&SubnetFacts>, Vec<&SubnetFacts>) = private.iter().copied().partition(wanted);
    let zones: BTreeSet<&str> = fitting.iter().map(|it| it.subnet.zone.as_str()).collect();
    let lost: Vec<&SubnetFacts> = unfit.into_iter().filter(|it| !zones.contains(it.subnet.zone.as_str())).collect();
    if !fitting.is_empty() && !lost.is_empty() {
        let need = if intent.egress == Egress::None { "lead" } else { "do not lead" };
        warnings.push(format!("zones are left out because their subnets {need} to the internet: {}", in_words(&lost)));
    }
    if let Some(choice) = [fitting, private, unseen].into_iter().find(|choice| !choice.is_empty()) {
        return choice;
    }
    if !usable.is_empty() {
        warnings.push(format!("{} has no private subnet: all its subnets are used", intent.vpc));
    }
    usable
}

/// What is doubtful about where the picked subnets lead; an error where functions need more than they would get.
///
/// A subnet whose route table nobody can see counts as one without a way out. But who names subnets by their ids is taken at
/// their word.
pub(super) fn check(
    intent: &Intent,
    facts: &VpcFacts,
    picked: &[&SubnetFacts],
    warnings: &mut Vec<String>,
) -> Result<(), Why> {
    let unseen = match (&intent.subnets, intent.egress) {
        (Pick::Ids(_), Egress::None) => Leads::Nowhere,
        (Pick::Ids(_), Egress::Any | Egress::Required) => Leads::Out,
        _ => Leads::Unknown,
    };
    let lead = |subnet: &SubnetFacts| match leads(intent, subnet) {
        Leads::Unknown => unseen,
        leads => leads,
    };
    let all = |wanted| picked.iter().all(|subnet| lead(subnet) == wanted);
    let any = |wanted| picked.iter().any(|subnet| lead(subnet) == wanted);
    let ways = in_words(picked);
    warnings.extend(match intent.egress {
        Egress::None if all(Leads::Nowhere) => None,
        Egress::None => Some(format!("egress = \"none\", but not all subnets are without a way out: {ways}")),
        Egress::Required if !all(Leads::Out) => return Err(Why::new(Reason::NoWayOut, ways)),
        _ if all(Leads::Out) => {
            let out = picked.iter().filter(|subnet| leads(intent, subnet) == Leads::Out);
            let different = out.map(|subnet| subnet.way).collect::<BTreeSet<_>>().len() > 1;
            different.then(|| format!("the subnets lead to the internet by different ways: {ways}"))
        }
        _ if any(Leads::Unknown) => Some(format!("whether functions get to the internet is not known: {ways}")),
        _ if any(Leads::Out) => Some(format!("functions get to the internet from some subnets only: {ways}")),
        _ => {
            let (endpoints, advice) = (endpoints(facts), "if that is wanted, say egress = \"none\"");
            Some(format!("functions get no way to the internet: {ways}{endpoints}; {advice}"))
        }
    });
    Ok(())
}

fn leads(intent: &Intent, subnet: &SubnetFacts) -> Leads {
    subnet.way.leads(intent.ipv6 == Some(true))
}

/// What is reached all the same, of AWS's own services.
fn endpoints(facts: &VpcFacts) -> String {
    match &facts.endpoints {
        Seen::Present(services) if services.is_empty() => "; it has no VPC endpoints either".to_owned(),
        Seen::Present(services) => {
            // `com.amazonaws.eu-west-1.s3`; services of others have names of another kind.
            let short = |service: &str| match service.splitn(4, '.').collect::<Vec<_>>()[..] {
                [_, "amazonaws", _, name] => name.to_owned(),
                _ => service.to_owned(),
            };
            let names: Vec<String> = services.iter().map(|service| short(service)).collect();
            format!("; its VPC endpoints let them reach {}", names.join(", "))
        }
        Seen::Unknown(Fault::Failed(error)) => format!("; which VPC endpoints it has cannot be read ({})", error.code),
        Seen::Unknown(_) | Seen::Absent => String::new(),
    }
}

/// `subnet-1, subnet-2 lead to a NAT gateway; subnet-3 leads nowhere`
fn in_words(subnets: &[&SubnetFacts]) -> String {
    let mut by_way: BTreeMap<WayOut, Vec<&str>> = BTreeMap::new();
    subnets.iter().for_each(|it| by_way.entry(it.way).or_default().push(it.subnet.id.as_str()));
    let parts = by_way.into_iter().map(|(way, mut ids)| {
        ids.sort_unstable();
        let verb = if ids.len() == 1 { "leads" } else { "lead" };
        format!("{} {verb} {}", ids.join(", "), way.in_words())
    });
    parts.collect::<Vec<_>>().join("; ")
}

/// What a function that gets to the internet today loses of that by a change of its network; none where nothing is lost,
/// or where the file wants it so.
pub(super) fn loss(w: &World<'_>, entry: &Entry, function: &Function, to: &Network) -> Option<String> {
    let Want::Attached(intent) = &entry.terms.want else { return None };
    let of = |vpc: &VpcId, network: &Network| leads_of(w, vpc, network);
    let today = function.vpc.as_ref().map_or(vec![Leads::Out], |vpc| of(vpc, &function.network));
    let then = of(&intent.vpc, to);
    let is_out = !today.is_empty() && today.iter().all(|leads| *leads == Leads::Out);
    if intent.egress == Egress::None || !is_out || !then.contains(&Leads::Nowhere) {
        return None;
    }
    let what = match then.contains(&Leads::Out) {
        true => "with this change it will from some of its subnets only",
        false => "loses that with this change",
    };
    Some(format!("this function gets to the internet today, and {what}"))
}

/// Where the subnets of a network lead; nothing where nobody looked at the VPC.
fn leads_of(w: &World<'_>, vpc: &VpcId, network: &Network) -> Vec<Leads> {
    let Seen::Present(VpcFacts { subnets, .. }) = w.facts.vpc(vpc) else { return Vec::new() };
    let used = subnets.iter().filter(|it| network.subnets.contains(&it.subnet.id));
    used.map(|it| it.way.leads(network.ipv6)).collect()
}
