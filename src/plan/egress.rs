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
    let seen = usable.iter().copied().filter(|subnet| subnet.way != WayOut::Unseen);
    let private: Vec<&SubnetFacts> = seen.filter(|subnet| subnet.way != WayOut::InternetGateway).collect();
    let wanted = |subnet: &&SubnetFacts| match (intent.egress, subnet.way) {
        (Egress::None, way) => way.leads(intent.ipv6 == Some(true)) == Leads::Nowhere,
        (Egress::Any | Egress::Required, WayOut::Blackhole) => true,
        (Egress::Any | Egress::Required, way) => way.leads(intent.ipv6 == Some(true)) == Leads::Out,
    };
    let (fitting, unfit): (Vec<&SubnetFacts>, Vec<&SubnetFacts>) = private.iter().copied().partition(wanted);
    let zones: BTreeSet<&str> = fitting.iter().map(|it| it.subnet.zone.as_str()).collect();
    let lost: Vec<&SubnetFacts> = unfit.into_iter().filter(|it| !zones.contains(it.subnet.zone.as_str())).collect();
    if !fitting.is_empty() && !lost.is_empty() {
        let need = if intent.egress == Egress::None { "lead" } else { "do not lead" };
        warnings.push(format!("zones are left out because their subnets {need} to the internet: {}", in_words(&lost)));
    }
    let unseen: Vec<&SubnetFacts> = usable.iter().copied().filter(|subnet| subnet.way == WayOut::Unseen).collect();
    let choices = [fitting, private, unseen];
    if let Some(choice) = choices.into_iter().find(|choice| !choice.is_empty()) {
        return choice;
    }
    if !usable.is_empty() {
        warnings.push(format!("{} has no private subnet: all its subnets are used", intent.vpc));
    }
    usable
}

/// What is doubtful about where the picked subnets lead; an error where functions need more than they would get.
///
/// What cannot be seen is no way out. But who names subnets by their ids is taken at their word.
pub(super) fn check(
    intent: &Intent,
    facts: &VpcFacts,
    picked: &[&SubnetFacts],
    warnings: &mut Vec<String>,
) -> Result<(), Why> {
    let by_ids = matches!(intent.subnets, Pick::Ids(_));
    let lead = |subnet: &SubnetFacts| match subnet.way.leads(intent.ipv6 == Some(true)) {
        Leads::Unknown if by_ids => Leads::Out,
        leads => leads,
    };
    let all = |wanted: Leads| picked.iter().all(|subnet| lead(subnet) == wanted);
    let ways = || in_words(picked);
    match intent.egress {
        Egress::None => {
            let out: Vec<&SubnetFacts> = picked.iter().copied().filter(|it| lead(it) == Leads::Out).collect();
            if !by_ids && !all(Leads::Nowhere)
                || out.iter().any(|it| it.way.leads(intent.ipv6 == Some(true)) == Leads::Out)
            {
                warnings.push(format!("egress = \"none\", but not all subnets are without a way out: {}", ways()));
            }
        }
        Egress::Required if !all(Leads::Out) => return Err(Why::new(Reason::NoWayOut, ways())),
        Egress::Any | Egress::Required if all(Leads::Out) => {
            let mut seen =
                picked.iter().map(|it| it.way).filter(|way| way.leads(intent.ipv6 == Some(true)) == Leads::Out);
            let first = seen.next();
            if seen.any(|way| Some(way) != first) {
                warnings.push(format!("the subnets lead to the internet by different ways: {}", ways()));
            }
        }
        Egress::Any | Egress::Required => {
            let some = picked.iter().any(|subnet| lead(subnet) == Leads::Out);
            let unknown = picked.iter().any(|subnet| lead(subnet) == Leads::Unknown);
            warnings.push(match (some, unknown) {
                (_, true) => format!("whether functions get to the internet is not known: {}", ways()),
                (true, false) => format!("functions get to the internet from some subnets only: {}", ways()),
                (false, false) => {
                    let (ways, endpoints) = (ways(), endpoints(facts));
                    let advice = "if that is wanted, say egress = \"none\"";
                    format!("functions get no way to the internet: {ways}{endpoints}; {advice}")
                }
            });
        }
    }
    Ok(())
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
    if intent.egress == Egress::None {
        return None;
    }
    let today = match &function.vpc {
        None => Some(Leads::Out),
        Some(vpc) => of_network(w, entry, vpc, &function.network).map(|(all, _)| all),
    };
    let (all, some) = of_network(w, entry, &intent.vpc, to)?;
    match (today?, all, some) {
        (Leads::Out, Leads::Nowhere, true) => {
            Some("this function gets to the internet today; then it will from some of its subnets only".to_owned())
        }
        (Leads::Out, Leads::Nowhere, false) => {
            Some("this function gets to the internet today, and loses that with this change".to_owned())
        }
        _ => None,
    }
}

/// Whether a function gets to the internet from wherever in a network it runs, and whether it does from any subnet; none
/// where nobody looked at the VPC.
fn of_network(w: &World<'_>, entry: &Entry, vpc: &VpcId, network: &Network) -> Option<(Leads, bool)> {
    let Seen::Present(VpcFacts { subnets, .. }) = w.facts.vpc(&entry.key.scope, vpc) else { return None };
    let used = || subnets.iter().filter(|it| network.subnets.contains(&it.subnet.id));
    let lead = |wanted: Leads| used().any(|it| it.way.leads(network.ipv6) == wanted);
    let all = match () {
        () if lead(Leads::Nowhere) => Leads::Nowhere,
        () if lead(Leads::Unknown) || used().next().is_none() => Leads::Unknown,
        () => Leads::Out,
    };
    Some((all, lead(Leads::Out)))
}
