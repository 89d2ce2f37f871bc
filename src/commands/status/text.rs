//! How the status looks to people: a table where there is room for one, otherwise a function in a few short lines.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anstyle::Style;

use crate::commands::print::{self, BOLD, DIM, GREEN, RED, YELLOW};
use crate::http::answer::{
    Budget, Change, Details, Event, Function, Functions, LastChange, Reason, ScopeStatus, Status, What,
};
use crate::names::{Network, Time};
use crate::plan::{Cause, Evidence, State};

/// Below this width a table of functions has no room.
const WIDE: usize = 90;
/// Where nobody says how wide the terminal is, and where there is none.
const USUAL: usize = 100;

/// The functions that are left out of a page.
pub(super) struct Left {
    /// How many they are.
    pub(super) count: usize,
    /// How many of them are not as the file says.
    pub(super) wrong: usize,
}

/// A page of text, and what it depends on.
pub(super) struct Page {
    now: Time,
    width: usize,
    text: String,
}

impl Page {
    /// A page as wide as the terminal.
    pub(super) fn here(now: Time) -> Self {
        let width = terminal_size::terminal_size().map_or(USUAL, |(width, _)| usize::from(width.0));
        Self::new(now, width)
    }

    fn new(now: Time, width: usize) -> Self {
        Self { now, width: width.max(30), text: String::new() }
    }

    /// The fleet, and the functions of it that are not in sync.
    pub(super) fn fleet(mut self, url: &str, status: &Status, wrong: &Functions) -> String {
        self.line(0, &format!("{BOLD}lambda-vpc-controller {}{BOLD:#} at {url}", status.version));
        self.file(status);
        status.scopes.iter().for_each(|scope| self.scope(scope));
        self.text.push('\n');
        if !wrong.functions.is_empty() {
            let label = if status.scopes.len() > 1 { in_full } else { by_name };
            self.functions(&wrong.functions, label);
            if wrong.total > wrong.functions.len() {
                let more = wrong.total - wrong.functions.len();
                self.line(0, &format!("{DIM}and {more} more; `--output json` has all of them{DIM:#}"));
            }
            self.text.push('\n');
        }
        self.sum(status);
        self.text
    }

    fn file(&mut self, status: &Status) {
        let desired = &status.desired;
        let text = match (&desired.digest, desired.since) {
            (Some(digest), Some(since)) => {
                format!("file {}, in force for {}, {}", digest.short(), self.lasted(since), functions(status.listed))
            }
            _ => "no desired state is in force yet".to_owned(),
        };
        self.line(0, &text);
        if let Some(problem) = &desired.problem {
            let stays = if desired.digest.is_some() {
                "what was in force before stays in force"
            } else {
                "nothing is in force"
            };
            self.line(0, &format!("{RED}the desired state cannot be used; {stays}:{RED:#}"));
            problem.lines().for_each(|line| self.as_is(&format!("  {line}")));
        }
        if let Some(problem) = &status.settings_problem {
            let stay = "those that were in force before stay in force";
            self.line(0, &format!("{RED}the settings cannot be used; {stay}:{RED:#}"));
            problem.lines().for_each(|line| self.as_is(&format!("  {line}")));
        }
        if status.behind > 0 && status.ready {
            self.line(0, &format!("{} not looked at by this file yet", functions(status.behind)));
        }
    }

    fn scope(&mut self, scope: &ScopeStatus) {
        let looked =
            scope.last_sweep.map_or("not looked at yet".to_owned(), |at| format!("looked at {}", self.ago(at)));
        let now = if scope.sweeping_since.is_some() { ", looking now" } else { "" };
        self.line(0, &format!("{BOLD}{}{BOLD:#} in account {}: {looked}{now}", scope.region, scope.account));
        if let Some(fault) = &scope.fault {
            let lasted = self.lasted(fault.since);
            self.line(2, &format!("{RED}{}{RED:#} for {lasted}: {}", fault.why.reason, sentence(&fault.why)));
        }
        if scope.held_by_guard > 0 {
            self.guard(scope);
        }
    }

    /// What the guard holds, what it let through, and how to let the rest through.
    fn guard(&mut self, scope: &ScopeStatus) {
        let spoken = |budget: &&Budget| budget.changed > 0 || budget.cause != Cause::Network;
        let budgets = scope.guard.iter().filter(spoken).map(|Budget { cause, changed, allowed }| {
            let what = match cause {
                Cause::File => "edits",
                Cause::Live => "repairs",
                Cause::Network => "changes of the VPC",
            };
            format!("{changed} of {allowed} {what}")
        });
        let budgets: Vec<String> = budgets.collect();
        let held = functions(scope.held_by_guard);
        self.line(2, &format!("{YELLOW}guard:{YELLOW:#} holds {held}; in the last hour {}", budgets.join(", ")));
        if let Some(until) = scope.guard_unknown_until {
            self.line(2, &format!("fewer are let through until {until}, since no record says what was changed before"));
        }
        if let Some(id) = &scope.plan_id {
            let id = id.short();
            let how = format!("apply --approve {id}, or approved = [\"{id}\"] under [guard]");
            self.line(2, &format!("to let exactly what differs here through: {how}"));
        }
    }

    /// A function a line, or two lines with its reason below where there is no room.
    fn functions(&mut self, functions: &[Function], label: fn(&Function) -> String) {
        let longest = |text: &dyn Fn(&Function) -> usize| functions.iter().map(text).max().unwrap_or_default();
        let name = longest(&|function| label(function).len()).max("FUNCTION".len());
        let reason = longest(&|function| function.why.as_ref().map_or(0, |why| why.reason.len())).max("WHY".len());
        let wide = self.width >= WIDE && name + reason + 40 <= self.width;
        if wide {
            let head =
                format!("{:name$}  {:11}  {:reason$}  {:>10}  {:>10}", "FUNCTION", "STATE", "WHY", "SINCE", "NEXT TRY");
            self.as_is(&format!("{DIM}{head}{DIM:#}"));
        }
        for function in functions {
            let Function { state, since, next_try, why, .. } = function;
            let style = colour(*state);
            let word = state.words();
            let why = why.as_ref().map_or("", |why| why.reason.as_str());
            let (since, next) = (self.ago(*since), next_try.map_or("–".to_owned(), |at| self.until(at)));
            if wide {
                let (function, state) = (label(function), format!("{style}{word:11}{style:#}"));
                self.as_is(&format!("{function:name$}  {state}  {why:reason$}  {since:>10}  {next:>10}"));
            } else {
                self.line(0, &format!("{BOLD}{}{BOLD:#}  {style}{word}{style:#}", label(function)));
                self.line(2, &format!("{why}, since {since}, next try {next}"));
            }
        }
    }

    fn sum(&mut self, status: &Status) {
        let some = status.states.each().into_iter().filter(|(_, count)| *count > 0);
        let some = some.map(|(state, count)| {
            let style = colour(state);
            format!("{style}{count} {}{style:#}", state.words())
        });
        let some: Vec<String> = some.collect();
        let text = if some.is_empty() { "no functions".to_owned() } else { some.join(", ") };
        self.line(0, &text);
    }

    /// Functions in full, and how many more there are.
    pub(super) fn details(mut self, found: &[Details], left: &Left) -> String {
        for (number, details) in found.iter().enumerate() {
            if number > 0 {
                self.text.push('\n');
            }
            self.one(details);
        }
        if left.count > 0 {
            let Left { count, wrong } = left;
            let how = "a narrower pattern explains them, `--output json` has all";
            self.text.push('\n');
            self.line(0, &format!("{DIM}and {count} more, {wrong} of them not as the file says: {how}{DIM:#}"));
        }
        self.text
    }

    fn one(&mut self, details: &Details) {
        let Details { function, place, change, live, .. } = details;
        let style = colour(function.state);
        self.line(
            0,
            &format!("{BOLD}{}{BOLD:#} in {} of account {}", function.name, function.region, function.account),
        );
        self.line(0, &format!("{style}{}{style:#} for {}", function.state.words(), self.lasted(function.since)));
        if let Some(why) = &function.why {
            self.line(0, &format!("{BOLD}{}{BOLD:#}: {}", why.reason, sentence(why)));
        }
        if let Some(at) = function.next_try {
            self.line(0, &format!("next try {}", self.until(at)));
        }
        let vpc = match (&function.vpc, &function.vpc_name) {
            (None, _) => "in no VPC".to_owned(),
            (Some(vpc), None) => format!("in {vpc}"),
            (Some(vpc), Some(name)) => format!("in {name}, {vpc}"),
        };
        self.line(0, &format!("the file wants it {vpc} ({place})"));
        if let Some(until) = details.observed_until {
            self.line(0, &format!("the observation ends at {until}"));
        }
        for doubt in &details.doubts {
            self.line(0, &format!("{YELLOW}warning:{YELLOW:#} {doubt}"));
        }
        if let Some(change) = change {
            self.change(change, function.cause);
        }
        if let (Some(live), true) = (live, change.as_ref().is_none_or(|change| change.to.is_none())) {
            let vpc = live.vpc.as_ref().map_or("no VPC", |vpc| vpc.as_str());
            self.line(0, &format!("it is in {vpc}"));
            ids(&live.network).iter().for_each(|id| self.as_is(&format!("    {id}")));
        }
        if let Some(made) = &details.last_change {
            self.last_change(made);
        }
        if !details.history.is_empty() {
            self.line(0, &format!("{BOLD}history{BOLD:#}, the latest first"));
            details.history.iter().for_each(|event| self.event(event));
        }
    }

    fn change(&mut self, change: &Change, cause: Option<Cause>) {
        let cause = cause.map_or(String::new(), |cause| format!(", because {}", because(cause)));
        self.line(0, &format!("{BOLD}what differs{BOLD:#}{cause}"));
        for attach in &change.attach {
            self.line(2, &format!("role {} gets {}", attach.role, attach.policy.short()));
        }
        // Nobody expects that to be needed of which a simulation says that the right is there.
        for attach in change.attach_if_refused.iter().filter(|attach| attach.evidence != Evidence::Doubted) {
            self.line(2, &format!("role {} gets {} if Lambda refuses without it", attach.role, attach.policy.short()));
        }
        if let (Some(from), Some(to)) = (&change.from, &change.to) {
            print::write_network(&mut self.text, from, to, &BTreeMap::new());
        }
    }

    fn last_change(&mut self, made: &LastChange) {
        let LastChange { at, step, role, policy, cause, .. } = made;
        let what = match (role, policy) {
            (Some(role), Some(policy)) => format!("{} for role {role}", policy.short()),
            _ => "its network".to_owned(),
        };
        let ago = self.ago(*at);
        self.line(0, &format!("last change by this controller {ago}: {step}, {what}, because {}", because(*cause)));
    }

    fn event(&mut self, event: &Event) {
        let what = match &event.what {
            What::Edited { file_digest } => format!("its entry was edited (file {})", file_digest.short()),
            What::Differs { cause } => format!("differs: {}", because(*cause)),
            What::Called { step, error: None, duration_ms } => format!("{step} accepted after {duration_ms} ms"),
            What::Called { step, error: Some(error), .. } => format!("{step} failed: {error}"),
            What::Became { state, reason, detail } => {
                let parts = [Some(state.words()), reason.as_deref(), detail.as_deref()];
                parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
            }
        };
        let times = if event.times > 1 { format!(" ({} times)", event.times) } else { String::new() };
        self.line(2, &format!("{DIM}{}{DIM:#}  {what}{times}", event.last));
    }

    /// A paragraph, broken at the width of the page, with further lines indented a little more.
    fn line(&mut self, indent: usize, text: &str) {
        let mut column = 0;
        for word in text.split(' ') {
            let width = visible(word);
            if column == 0 {
                let _ = write!(self.text, "{:indent$}{word}", "");
                column = indent + width;
            } else if column + 1 + width > self.width {
                let _ = write!(self.text, "\n{:1$}{word}", "", indent + 2);
                column = indent + 2 + width;
            } else {
                let _ = write!(self.text, " {word}");
                column += 1 + width;
            }
        }
        self.text.push('\n');
    }

    fn as_is(&mut self, text: &str) {
        self.text += text.trim_end();
        self.text.push('\n');
    }

    fn ago(&self, at: Time) -> String {
        let passed = self.now.since(at);
        if passed < Duration::from_secs(2) { "now".to_owned() } else { format!("{} ago", span(passed)) }
    }

    fn lasted(&self, since: Time) -> String {
        span(self.now.since(since))
    }

    fn until(&self, at: Time) -> String {
        let left = at.since(self.now);
        if left < Duration::from_secs(1) { "now".to_owned() } else { format!("in {}", span(left)) }
    }
}

fn functions(count: usize) -> String {
    if count == 1 { "1 function".to_owned() } else { format!("{count} functions") }
}

fn by_name(function: &Function) -> String {
    function.name.to_string()
}

/// With account and region, as `status` takes it.
fn in_full(function: &Function) -> String {
    function.key().to_string()
}

/// A time in its largest unit: enough for a person.
fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        seconds @ 3600..86400 => format!("{}h{}m", seconds / 3600, seconds % 3600 / 60),
        seconds => format!("{}d{}h", seconds / 86400, seconds % 86400 / 3600),
    }
}

/// How many columns a word takes, its colours aside.
fn visible(word: &str) -> usize {
    let mut count = 0;
    let mut escape = false;
    for character in word.chars() {
        match (escape, character) {
            (false, '\x1b') => escape = true,
            (false, _) => count += 1,
            (true, 'm') => escape = false,
            (true, _) => {}
        }
    }
    count
}

fn sentence(why: &Reason) -> String {
    match why.detail.is_empty() {
        true => why.sentence.clone(),
        false => format!("{} [{}]", why.sentence, why.detail),
    }
}

fn ids(network: &Network) -> Vec<String> {
    let subnets = network.subnets.iter().map(ToString::to_string);
    let groups = network.security_groups.iter().map(ToString::to_string);
    subnets.chain(groups).chain(network.ipv6.then(|| "ipv6".to_owned())).collect()
}

fn because(cause: Cause) -> &'static str {
    match cause {
        Cause::File => "the file asks for something else",
        Cause::Live => "somebody changed the function or its role",
        Cause::Network => "somebody changed the VPC",
    }
}

fn colour(state: State) -> Style {
    match state {
        State::InSync => GREEN,
        State::Blocked => RED,
        State::Unknown | State::AwaitingApproval | State::OutOfSync | State::Progressing => YELLOW,
        State::Excluded => DIM,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::answer::{Attach, Desired, States};
    use crate::names::{AccountId, PolicyArn, Region, RoleName};

    fn status() -> Status {
        Status {
            version: "1".to_owned(),
            ready: true,
            listed: 3,
            states: States { in_sync: 2, blocked: 1, ..States::default() },
            behind: 0,
            held_by_guard: 0,
            desired: Desired { digest: None, since: None, valid: true, problem: None, warnings: Vec::new() },
            settings_problem: None,
            scopes: Vec::new(),
        }
    }

    fn blocked() -> Functions {
        let function = serde_json::json!({
            "account": "123456789012", "region": "eu-west-1", "name": "orders-api-with-quite-a-long-name",
            "state": "blocked", "since": "2026-11-23T07:00:00Z", "next_try": "2026-11-23T07:10:30Z", "cause": "file",
            "why": { "reason": "PolicyMissing", "sentence": "x", "detail": "" },
            "vpc": null, "vpc_name": null, "mode": "enforce", "warnings": 0,
        });
        Functions { total: 7, functions: vec![serde_json::from_value(function).unwrap()], next: None }
    }

    fn scope(region: &str) -> ScopeStatus {
        ScopeStatus {
            account: AccountId::parse("123456789012").unwrap(),
            region: Region::parse(region).unwrap(),
            states: States::default(),
            held_by_guard: 0,
            sweeping_since: None,
            last_sweep: None,
            last_sweep_seconds: None,
            last_success: None,
            fault: None,
            plan_id: None,
            guard: Vec::new(),
            guard_unknown_until: None,
        }
    }

    fn empty(width: usize) -> Page {
        Page::new(Time(1_795_417_200_000) + Duration::from_secs(600), width)
    }

    fn page(width: usize, regions: &[&str]) -> String {
        let status = Status { scopes: regions.iter().map(|region| scope(region)).collect(), ..status() };
        let text = empty(width).fleet("http://daemon", &status, &blocked());
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn a_wide_terminal_has_a_table_and_a_narrow_one_short_lines() {
        let wide = page(120, &["eu-west-1"]);
        assert!(wide.contains("FUNCTION"), "{wide}");
        let row = wide.lines().find(|line| line.starts_with("orders-api")).unwrap();
        assert!(
            row.contains("blocked") && row.contains("PolicyMissing") && row.ends_with("10m ago      in 30s"),
            "{row}"
        );
        assert!(wide.contains("and 6 more") && wide.ends_with("1 blocked, 2 in sync\n"), "{wide}");
        for width in [30, 40, 60, 80] {
            let narrow = page(width, &["eu-west-1"]);
            let long: Vec<_> = narrow.lines().filter(|line| line.chars().count() > width.max(44)).collect();
            assert!(long.is_empty() && !narrow.contains("FUNCTION"), "{width}: {long:?}");
            assert!(narrow.contains("PolicyMissing, since"), "{narrow}");
        }
    }

    #[test]
    fn a_name_has_its_account_and_region_where_there_are_several() {
        for width in [30, 160] {
            let two = page(width, &["eu-west-1", "us-east-1"]);
            let in_full = |line: &str| line.starts_with("123456789012/eu-west-1/orders-api-with-quite-a-long-name");
            assert!(two.lines().any(in_full), "{two}");
            let one = page(width, &["eu-west-1"]);
            assert!(
                one.lines().any(|line| line.starts_with("orders-api-with")) && !one.contains("eu-west-1/"),
                "{one}"
            );
        }
    }

    #[test]
    fn a_policy_of_which_nobody_expects_that_it_is_needed_is_not_told() {
        let attach = |evidence| Attach {
            role: RoleName::parse("orders-role").unwrap(),
            policy: PolicyArn::parse("arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole").unwrap(),
            evidence,
        };
        for (evidence, told) in [(Evidence::Doubted, false), (Evidence::Unknown, true)] {
            let mut page = empty(100);
            let attach_if_refused = vec![attach(evidence)];
            page.change(&Change { attach: Vec::new(), attach_if_refused, from: None, to: None }, Some(Cause::File));
            assert!(page.text.contains("what differs"), "{}", page.text);
            assert_eq!(page.text.contains("if Lambda refuses"), told, "{}", page.text);
        }
    }

    #[test]
    fn times_are_told_in_one_or_two_units() {
        let told = |seconds| span(Duration::from_secs(seconds));
        assert_eq!([told(59), told(60), told(3725), told(90_000)], ["59s", "1m", "1h2m", "1d1h"]);
    }
}
