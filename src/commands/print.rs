//! How plans and results look to people and to programs.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::Failure;
use crate::desired::{DesiredState, Pattern, Want};
use crate::file::Place;
use crate::live::{Facts, Seen, SubnetFacts, VpcFacts, WayOut};
use crate::manager::Controller;
use crate::names::{AccountId, Digest, FunctionKey, FunctionName, NamePattern, Network, Region, ScopeKey};
use crate::plan::{
    Attach, Behind, Change, Evidence, GuardLimits, LeftOut, Line, NewInterfaces, Outcome, Plan, Reason, State, Verdict,
    Why,
};
use crate::text::{shown, shown_json};

/// Writes a result to stdout. A reader that has read enough (`| head`) is no error.
pub(super) fn out(text: &str) -> Result<(), Failure> {
    write(anstream::stdout().lock(), text)
}

/// Tells something on stderr. Where nobody can read it, nobody is left to be told so.
pub(super) fn tell(text: &str) {
    let _ = std::io::Write::write_fmt(&mut anstream::stderr(), format_args!("{text}\n"));
}

/// Clears the terminal, also one that shows no colours.
pub(super) fn clear() -> Result<(), Failure> {
    write(std::io::stdout().lock(), "\x1b[2J\x1b[H")
}

fn write(mut stdout: impl std::io::Write, text: &str) -> Result<(), Failure> {
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::Other(format!("the result cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// A value as JSON; each text in it can be shown as it is.
pub(super) fn json(value: &impl Serialize) -> Result<String, Failure> {
    let json = serde_json::to_string_pretty(value);
    let json = json.map_err(|error| Failure::Other(format!("the result cannot be written: {error}")))?;
    Ok(shown_json(json) + "\n")
}

/// A value as JSON, to stdout.
pub(super) fn out_json(value: &impl Serialize) -> Result<(), Failure> {
    out(&json(value)?)
}

/// A number of things, in words: `1 function`, `2 functions`.
pub(super) fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const GREEN: Style = AnsiColor::Green.on_default();
pub(super) const YELLOW: Style = AnsiColor::Yellow.on_default();
pub(super) const RED: Style = AnsiColor::Red.on_default();

/// How many functions are in which way, and so what the exit code is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    /// As the file says.
    pub in_sync: usize,
    /// To be changed.
    pub pending: usize,
    /// Not in sync, and not to be changed now: observed, not yet settled, or in the middle of an update.
    pub waiting: usize,
    /// Somebody has to do something.
    pub blocked: usize,
    /// Not known.
    pub unknown: usize,
    /// Cannot be managed.
    pub excluded: usize,
}

impl Summary {
    pub(super) fn of(plan: &Plan) -> Self {
        let mut summary = Self::default();
        for line in &plan.lines {
            *match line.state() {
                None => &mut summary.pending,
                Some(State::InSync) => &mut summary.in_sync,
                Some(State::Progressing | State::OutOfSync | State::AwaitingApproval) => &mut summary.waiting,
                Some(State::Blocked) => &mut summary.blocked,
                Some(State::Unknown) => &mut summary.unknown,
                Some(State::Excluded) => &mut summary.excluded,
            } += 1;
        }
        summary
    }

    fn in_words(self) -> String {
        let parts = [
            (self.pending, "to change"),
            (self.waiting, "not to be changed now"),
            (self.blocked, "blocked"),
            (self.unknown, "unknown"),
            (self.excluded, "excluded"),
            (self.in_sync, "in sync"),
        ];
        let some: Vec<String> =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        if some.is_empty() { "no functions".to_owned() } else { some.join(", ") }
    }
}

/// The plan as people read it.
pub(super) fn plan(plan: &Plan, controller: &Controller, guard: &GuardLimits) -> String {
    let (mut text, nothing) = (String::new(), Facts::default());
    let mut by_scope: BTreeMap<&ScopeKey, Vec<&Line>> = BTreeMap::new();
    for line in &plan.lines {
        by_scope.entry(&line.entry.key.scope).or_default().push(line);
    }
    for (scope, lines) in by_scope {
        let _ = writeln!(text, "{BOLD}{}{BOLD:#} in account {}", scope.region, scope.account);
        let facts = controller.facts(scope).unwrap_or(&nothing);
        match common_fault(&lines) {
            Some(why) => {
                let names: Vec<&str> = lines.iter().map(|line| line.entry.key.name.as_str()).collect();
                let _ = writeln!(text, "  {RED}!{RED:#} nothing is known of {}", names.join(", "));
                let _ = writeln!(text, "      {}: {why}", why.reason.name());
            }
            None => lines.iter().for_each(|line| write_line(&mut text, line, facts)),
        }
        write_network_warnings(&mut text, &lines);
        text.push('\n');
    }
    for pattern in &plan.unmatched {
        let (name, scope, place) = (&pattern.name, &pattern.scope, pattern.terms.place());
        let _ =
            writeln!(text, "{YELLOW}warning:{YELLOW:#} the pattern `{name}` means no function of {scope} ({place})");
    }
    write_left_out(&mut text, &plan.left_out);
    plan.interfaces.iter().for_each(|interfaces| write_interfaces(&mut text, interfaces));
    let summary = Summary::of(plan);
    let digest = controller.desired().map_or("", |desired| desired.digest.short());
    let _ = writeln!(text, "{BOLD}{}{BOLD:#} (file {digest})", summary.in_words());
    if summary.pending > 0 {
        let _ = writeln!(text, "plan id {}; to carry it out: lambda-vpc-controller apply", plan.id.short());
        for (scope, id) in plan.ids.iter().filter(|_| plan.ids.len() > 1) {
            let _ = writeln!(text, "of it, {} is what changes in {scope}", id.short());
        }
    }
    write_held(&mut text, plan, guard);
    text
}

/// What is doubtful about a network: told once, not for each of its functions.
fn write_network_warnings(text: &mut String, lines: &[&Line]) {
    let mut told: BTreeSet<(&str, &str)> = BTreeSet::new();
    for line in lines {
        let network = match &line.entry.terms.want {
            Want::Attached(intent) => intent.name.as_deref().unwrap_or(intent.vpc.as_str()),
            Want::Detached | Want::Disputed(_) => continue,
        };
        for warning in line.comparison.network_warnings.iter() {
            if told.insert((network, warning)) {
                let _ = writeln!(text, "  {YELLOW}warning:{YELLOW:#} {}: {}", shown(network), shown(warning));
            }
        }
    }
}

/// What patterns leave out, by place and service.
fn write_left_out(text: &mut String, left_out: &[LeftOut]) {
    let mut names: BTreeMap<(&ScopeKey, &str), Vec<&str>> = BTreeMap::new();
    for LeftOut { key, service } in left_out {
        names.entry((&key.scope, service)).or_default().push(key.name.as_str());
    }
    for ((scope, service), names) in names {
        let names = names.join(", ");
        let _ = writeln!(
            text,
            "{YELLOW}warning:{YELLOW:#} patterns leave out what {service} made for itself in {scope}: {names}; an entry of its own \
             lists such a function all the same"
        );
    }
}

/// What the daemon would not do of it without a person's agreement.
fn write_held(text: &mut String, plan: &Plan, guard: &GuardLimits) {
    let mut pending: BTreeMap<&ScopeKey, usize> = BTreeMap::new();
    for line in plan.lines.iter().filter(|line| line.outcome().is_none()) {
        *pending.entry(&line.entry.key.scope).or_default() += 1;
    }
    let listed = |scope: &ScopeKey| plan.lines.iter().filter(|line| line.entry.key.scope == *scope).count();
    let allowed = |scope: &ScopeKey| guard.allowance(listed(scope));
    let held = pending.iter().filter(|(scope, count)| **count > allowed(scope)).collect::<Vec<_>>();
    for (scope, count) in &held {
        let allowed = allowed(scope);
        let _ = writeln!(
            text,
            "{YELLOW}guard:{YELLOW:#} of these {count} in {scope} the daemon changes {allowed} in an hour"
        );
    }
    let ids: Vec<&str> = held.iter().filter_map(|(scope, _)| plan.ids.get(*scope)).map(Digest::short).collect();
    if !ids.is_empty() {
        let (one, all) = (ids.join(" or "), ids.iter().map(|id| format!("\"{id}\"")).collect::<Vec<_>>().join(", "));
        let _ =
            writeln!(text, "to let exactly these through: apply --approve {one}, or approved = [{all}] under [guard]");
    }
}

/// What keeps a whole scope from being known: told once, not for each function.
fn common_fault<'a>(lines: &[&'a Line]) -> Option<&'a Why> {
    let mut whys = lines.iter().map(|line| match &line.comparison.verdict {
        Verdict::Stuck(outcome @ Outcome::Unread { .. }) => outcome.why(),
        _ => None,
    });
    let first = whys.next()??;
    whys.all(|why| why == Some(first)).then_some(first)
}

/// What Lambda has to make for the plan, which is what takes the time.
fn write_interfaces(text: &mut String, interfaces: &NewInterfaces) {
    let NewInterfaces { scope: ScopeKey { account, region }, vpc, there, new, warnings } = interfaces;
    let plural = if *new == 1 { "" } else { "s" };
    let there = there.map(|there| format!(" beside the {there} that it has")).unwrap_or_default();
    let _ = writeln!(text, "{vpc} in {account}/{region}: Lambda makes {new} new network interface{plural}{there}");
    for warning in warnings {
        let _ = writeln!(text, "  {YELLOW}warning:{YELLOW:#} {}", shown(warning));
    }
}

fn write_line(text: &mut String, line: &Line, facts: &Facts) {
    let name = &line.entry.key.name;
    let place = line.entry.place();
    match (&line.comparison.verdict, line.outcome()) {
        (Verdict::InSync, Some(outcome)) if *outcome != Outcome::InSync => {
            let why = outcome.why().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "  {YELLOW}…{YELLOW:#} {BOLD}{name}{BOLD:#}  {why}");
        }
        (Verdict::InSync, _) => {
            let _ = writeln!(text, "  {GREEN}={GREEN:#} {name}  {DIM}in sync{DIM:#}");
        }
        (Verdict::Differs(change), gate) => {
            let _ = writeln!(text, "  {YELLOW}~{YELLOW:#} {BOLD}{name}{BOLD:#}  {DIM}{place}{DIM:#}");
            write_change(text, line, change, facts);
            if let Some(why) = gate.and_then(Outcome::why) {
                let _ = writeln!(text, "      not now: {why}");
            }
        }
        (Verdict::Stuck(outcome), _) => {
            let word = line.state().unwrap_or(outcome.state()).words();
            let _ = writeln!(text, "  {RED}!{RED:#} {BOLD}{name}{BOLD:#}  {RED}{word}{RED:#}  {DIM}{place}{DIM:#}");
            if let Some(why) = outcome.why() {
                let _ = writeln!(text, "      {}: {why}", why.reason.name());
            }
        }
    }
    for warning in &line.comparison.warnings {
        let _ = writeln!(text, "      {YELLOW}warning:{YELLOW:#} {}", shown(warning));
    }
}

fn write_change(text: &mut String, line: &Line, change: &Change, facts: &Facts) {
    for Attach { role, policy, evidence } in change.attach.iter().chain(&change.attach_if_refused) {
        let (role, policy) = (&role.key().name, policy.short());
        let reason = match evidence {
            Evidence::Demanded => "attach_policy = \"always\", and the role does not have it",
            Evidence::Simulated => "the role may not make network interfaces without it",
            Evidence::Refused => "Lambda refused: the role may not make network interfaces",
            // Nobody expects it to be needed.
            Evidence::Doubted => continue,
            Evidence::Unknown => {
                let _ = writeln!(text, "      role {role}: attach {policy} only if Lambda refuses without it");
                continue;
            }
        };
        let _ = writeln!(text, "      role {role}: attach {policy}  {DIM}{reason}{DIM:#}");
    }
    let Some(network) = &change.network else { return };
    let vpc = line.entry.terms.want.vpc().and_then(|vpc| known_vpc(facts, vpc));
    let before = if network.from.is_attached() { "another network" } else { "no VPC" };
    match (&line.entry.terms.want, vpc) {
        (Want::Detached | Want::Disputed(_), _) => {
            let _ = writeln!(text, "      network: out of its VPC");
        }
        (Want::Attached(intent), vpc) => {
            let name = vpc
                .and_then(|vpc| vpc.vpc.tags.get("Name"))
                .map(|name| format!(" ({})", shown(name)))
                .unwrap_or_default();
            let _ = writeln!(text, "      network: from {before} to {}{name}", intent.vpc);
        }
    }
    write_network(text, &network.from, &network.to, &names(facts));
}

/// Every id that comes or goes, with its name beside it.
pub(super) fn write_network(text: &mut String, from: &Network, to: &Network, names: &BTreeMap<String, String>) {
    let ids = |network: &Network| -> Vec<String> {
        let subnets = network.subnets.iter().map(ToString::to_string);
        subnets.chain(network.security_groups.iter().map(ToString::to_string)).collect()
    };
    let (before, after) = (ids(from), ids(to));
    let gone = before.iter().filter(|id| !after.contains(id)).map(|id| (RED, '-', id));
    let kept = after.iter().filter(|id| before.contains(id)).map(|id| (DIM, ' ', id));
    let new = after.iter().filter(|id| !before.contains(id)).map(|id| (GREEN, '+', id));
    for (style, sign, id) in gone.chain(kept).chain(new) {
        let name = names.get(id).map(|name| shown(name)).unwrap_or_default();
        let _ = writeln!(text, "        {style}{sign} {id}{style:#}  {DIM}{name}{DIM:#}");
    }
    if from.ipv6 != to.ipv6 {
        let _ = writeln!(text, "        ipv6: {} to {}", from.ipv6, to.ipv6);
    }
}

/// What is known of a VPC; none where it is not.
pub(super) fn known_vpc<'a>(facts: &'a Facts, id: &crate::names::VpcId) -> Option<&'a VpcFacts> {
    match facts.vpc(id) {
        Seen::Present(vpc) => Some(vpc),
        Seen::Absent | Seen::Unknown(_) => None,
    }
}

/// The names of subnets and groups by id, as far as they are known.
fn names(facts: &Facts) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for vpc in facts.swept.iter().flat_map(|swept| swept.vpcs.values()) {
        let Seen::Present(vpc) = vpc else { continue };
        names.extend(names_in(vpc));
    }
    names
}

/// The names of a VPC's subnets and groups by id; of subnets also the zone, and whether they are public.
pub(super) fn names_in(vpc: &VpcFacts) -> BTreeMap<String, String> {
    let subnet = |SubnetFacts { subnet, way }: &SubnetFacts| {
        let name = subnet.tags.get("Name").map(String::as_str).unwrap_or_default();
        let kind = match way {
            WayOut::InternetGateway => "public",
            WayOut::Unseen => "",
            _ => "private",
        };
        (subnet.id.to_string(), format!("{name} {} {kind}", subnet.zone).trim().to_owned())
    };
    let groups = vpc.security_groups.iter().map(|group| (group.id.to_string(), group.name.clone()));
    vpc.subnets.iter().map(subnet).chain(groups).collect()
}

/// The plan for programs.
pub(super) fn plan_json(plan: &Plan, desired: &DesiredState) -> Result<String, Failure> {
    #[derive(Serialize)]
    struct Whole<'a> {
        version: u32,
        /// The id of the changes of all accounts and regions.
        plan_id: &'a Digest,
        /// Those of each account and region in which something differs.
        plans: Vec<OfScope<'a>>,
        file_digest: &'a Digest,
        summary: Summary,
        /// Published versions that run another network than the file says; left out where nobody looks for them.
        #[serde(skip_serializing_if = "Option::is_none")]
        versions_behind: Option<usize>,
        interfaces: &'a [NewInterfaces],
        /// Patterns that mean no function.
        unmatched: Vec<Unmatched<'a>>,
        /// Functions that patterns leave out, since services made them for themselves.
        left_out: Vec<Left<'a>>,
        functions: Vec<Function<'a>>,
    }
    let functions = plan.lines.iter().map(Function::of).collect();
    let plans = plan.ids.iter().map(|(scope, plan_id)| OfScope { scope, plan_id }).collect();
    let unmatched = plan.unmatched.iter().map(|pattern| Unmatched::of(pattern)).collect();
    let (plan_id, file_digest, interfaces) = (&plan.id, &desired.digest, plan.interfaces.as_slice());
    json(&Whole {
        version: 1,
        plan_id,
        plans,
        file_digest,
        summary: Summary::of(plan),
        versions_behind: plan.versions_behind(),
        interfaces,
        unmatched,
        left_out: plan.left_out.iter().map(Left::of).collect(),
        functions,
    })
}

/// The plan of an account and region, for programs.
#[derive(Serialize)]
struct OfScope<'a> {
    #[serde(flatten)]
    scope: &'a ScopeKey,
    plan_id: &'a Digest,
}

/// A pattern for programs.
#[derive(Serialize)]
struct Unmatched<'a> {
    account: &'a AccountId,
    region: &'a Region,
    pattern: &'a NamePattern,
    place: Place,
}

impl<'a> Unmatched<'a> {
    fn of(pattern: &'a Pattern) -> Self {
        let ScopeKey { account, region } = &pattern.scope;
        Self { account, region, pattern: &pattern.name, place: pattern.terms.place() }
    }
}

/// A function that patterns leave out, for programs.
#[derive(Serialize)]
struct Left<'a> {
    account: &'a AccountId,
    region: &'a Region,
    function: &'a FunctionName,
    service: &'a str,
}

impl<'a> Left<'a> {
    fn of(LeftOut { key: FunctionKey { scope, name }, service }: &'a LeftOut) -> Self {
        Self { account: &scope.account, region: &scope.region, function: name, service }
    }
}

/// A function for programs.
#[derive(Serialize)]
struct Function<'a> {
    account: &'a AccountId,
    region: &'a Region,
    function: &'a FunctionName,
    place: Place,
    /// A state, or `pending` where a change would be made.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<&'a Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The published versions that run another network than the file says, and the aliases that lead to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    behind: Option<&'a Behind>,
    warnings: Vec<Cow<'a, str>>,
}

impl<'a> Function<'a> {
    fn of(line: &'a Line) -> Self {
        let why = line.outcome().and_then(Outcome::why);
        let ScopeKey { account, region } = &line.entry.key.scope;
        Self {
            account,
            region,
            function: &line.entry.key.name,
            place: line.entry.place(),
            state: line.state().map_or("pending", State::name),
            change: line.change(),
            reason: why.map(|why| why.reason),
            message: why.map(ToString::to_string),
            behind: line.comparison.behind.as_ref().filter(|behind| !behind.versions.is_empty()),
            warnings: line.comparison.all_warnings().map(|warning| shown(warning)).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
