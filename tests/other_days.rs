//! AWS on the days when not all is well: slow updates, refusals, quotas, faults, and other people. Whole histories of the
//! pure controller and the simulated account, with time that is set.

use std::collections::BTreeSet;
use std::time::Duration;

use lambda_vpc_controller::cloud::Failure;
use lambda_vpc_controller::live::{Seen, Surveyed};
use lambda_vpc_controller::names::{Network, SecurityGroupId, Time};
use lambda_vpc_controller::plan::{Limits, Outcome, Reason, State, Writable};
use lambda_vpc_controller::reconcile::Notice;
use lambda_vpc_controller::simulator::{
    DeclaredFunction, DeclaredRole, Fault, Meddler, Meddling, Misbehaviour, Overruler, Rate, Timings, VpcConfigRequest,
    World,
};

use crate::support::history::{History, key, settings};

const MINUTE: Duration = Duration::from_secs(60);
const VPC_ACCESS: &str = "service-role/AWSLambdaVPCAccessExecutionRole";

fn daemon() -> Limits {
    Limits { allow_detach: true, guard: None, ..Limits::of(&settings()) }
}

/// The demo's VPC and groups, with these roles and functions; a function is its name and its role.
fn world(roles: Vec<DeclaredRole>, functions: &[(String, &str)]) -> World {
    let function = |(name, role): &(String, &str)| DeclaredFunction {
        name: name.clone(),
        role: (*role).to_owned(),
        ..DeclaredFunction::default()
    };
    World { roles, functions: functions.iter().map(function).collect(), ..World::demo().unwrap() }
}

/// A role that has the policy.
fn role(name: &str) -> DeclaredRole {
    DeclaredRole { name: name.to_owned(), policies: vec![VPC_ACCESS.to_owned()], ..DeclaredRole::default() }
}

fn overruled(name: &str, by: Overruler) -> DeclaredRole {
    DeclaredRole { overruled: Some(by), ..role(name) }
}

/// A file with these functions, each in the VPC entry that is named with it; all entries mean the same network.
fn file(functions: &[(String, String)]) -> String {
    let entries: BTreeSet<&String> = functions.iter().map(|(_, entry)| entry).collect();
    let entry = |name: &&String| {
        format!("[[vpc]]\nname = '{name}'\nid = 'vpc-0a1b2c3d4e5f60718'\nsecurity_groups = {{ names = ['lambda'] }}\n")
    };
    let function = |(name, entry): &(String, String)| format!("[[function]]\nname = '{name}'\nvpc = '{entry}'\n");
    let head = "[defaults]\nregion = 'eu-west-1'\naccount = '123456789012'\n";
    entries.iter().map(entry).chain(functions.iter().map(function)).fold(head.to_owned(), |text, part| text + &part)
}

/// One entry with these functions.
fn orders(names: &[&str]) -> String {
    file(&names.iter().map(|name| (name.to_string(), "orders".to_owned())).collect::<Vec<_>>())
}

fn updates(history: &History, name: &str) -> usize {
    history.accepted().iter().filter(|call| **call == format!("UpdateFunctionConfiguration {name}")).count()
}

fn tries(history: &History, name: &str) -> usize {
    history.calls().iter().filter(|call| call.starts_with(&format!("UpdateFunctionConfiguration {name}"))).count()
}

// Rollout.

/// A hundred functions of ten teams, whose entries all mean the same three pairs, in an account where EC2 lets Lambda make
/// few interfaces at a time. Returns the history when all is in sync, and how long that took.
fn a_hundred_functions(alter: fn(&mut Surveyed)) -> (History, Duration) {
    let names: Vec<String> = (0..100).map(|number| format!("f{number:02}")).collect();
    let functions: Vec<_> = names.iter().map(|name| (name.clone(), "r")).collect();
    let mut history = History::of(world(vec![role("r")], &functions), daemon());
    history.alter = alter;
    history.door.with(|aws, _| {
        aws.timings = Timings::real();
        aws.quotas.interface_requests = Some(Rate { per_second: 1, burst: 3 });
    });
    let team = |name: &String| (name.clone(), format!("team-{}", &name[1..2]));
    history.load(&file(&names.iter().map(team).collect::<Vec<_>>()));
    let begun = history.clock.now();
    history.until_rest(60 * MINUTE);
    for name in &names {
        assert_eq!(history.outcome(name), Outcome::InSync, "{name}");
        assert_eq!(updates(&history, name), 1, "{name}");
    }
    let took = history.clock.now().since(begun);
    (history, took)
}

/// As if all interfaces were there already, so that nobody has to lead.
fn nobody_leads(found: &mut Surveyed) {
    let group = |id: &str| BTreeSet::from([SecurityGroupId::parse(id).unwrap()]);
    for vpc in found.facts.vpcs.values_mut() {
        let Seen::Present(vpc) = vpc else { continue };
        let subnets = vpc.subnets.iter().map(|subnet| subnet.subnet.id.clone()).collect();
        let network = Network { subnets, security_groups: group("sg-0e5e5e5e5e5e5e5e5"), ipv6: false };
        vpc.interfaces = Seen::Present(network.pairs().collect());
    }
}

#[test]
fn a_hundred_functions_over_three_new_pairs_are_led_by_one_for_each_and_are_done_sooner() {
    let (mut led, with) = a_hundred_functions(|_| {});
    let (alone, without) = a_hundred_functions(nobody_leads);
    let most = |history: &History| history.door.with(|aws, _| aws.most_slow_updates());
    assert!(most(&led) <= 3, "{} slow updates at once", most(&led));
    assert!(most(&alone) >= most(&led));
    assert!(with < without, "{with:?} with leaders, {without:?} without");
    let refused = |history: &History| history.calls().iter().filter(|call| call.contains("refused")).count();
    assert_eq!(refused(&led), 0, "nobody asks EC2 for what another one is asking for");
    assert!(refused(&alone) > 0, "nothing was limited: the comparison shows nothing");
    led.assert_nothing_left_to_do();
}

#[test]
fn functions_of_one_entry_with_pairs_of_their_own_have_a_leader_for_each_pair() {
    let names: Vec<String> = (0..30).map(|number| format!("f{number:02}")).collect();
    let functions: Vec<_> = names.iter().map(|name| (name.clone(), "r")).collect();
    let mut history = History::of(world(vec![role("r")], &functions), daemon());
    history.door.with(|aws, _| aws.timings = Timings::real());
    let subnets = ["a", "b", "c"].map(subnet);
    let entry = |(number, name): (usize, &String)| {
        let subnet = subnets[number % 3];
        format!("[[function]]\nname = '{name}'\nvpc = 'orders'\nsubnets = {{ ids = ['{subnet}'] }}\n")
    };
    let entries: String = names.iter().enumerate().map(entry).collect();
    history.load(&format!(
        "{}{entries}",
        orders(&[]).replace("[defaults]", "vpc = [{ name = 'orders', id = 'vpc-0a1b2c3d4e5f60718' }]\n[defaults]")
    ));
    history.until_rest(60 * MINUTE);
    assert!(names.iter().all(|name| history.outcome(name) == Outcome::InSync));
    assert_eq!(history.door.with(|aws, _| aws.most_slow_updates()), 2, "one is the first of all, then two lead");
}

#[test]
fn a_leader_that_is_blocked_is_replaced() {
    let roles = vec![overruled("bad", Overruler::Scoped), role("good")];
    let functions = [("a".to_owned(), "bad"), ("b".to_owned(), "good"), ("c".to_owned(), "good")];
    let mut history = History::of(world(roles, &functions), daemon());
    let entry = |name: &str, entry: &str| (name.to_owned(), entry.to_owned());
    history.load(&file(&[entry("a", "first"), entry("b", "second"), entry("c", "second")]));
    history.pass(Duration::from_secs(10));
    assert_eq!(history.reason("b"), Reason::PairLead);
    assert_eq!(history.detail("b"), "a");
    history.pass(20 * MINUTE);
    assert_eq!(history.reason("a"), Reason::RoleDenied);
    assert_eq!(history.outcome("b"), Outcome::InSync);
    assert_eq!(history.outcome("c"), Outcome::InSync);
}

/// Every update of this function is accepted, and given up since its network cannot be had.
fn network_fails(history: &History, function: &str) {
    let failure = Failure { code: "InvalidSubnet".to_owned(), text: "on purpose".to_owned() };
    let fault = Fault::always(Misbehaviour::UpdateFails(failure)).about(function);
    history.door.with(|aws, _| aws.faults.add(fault));
}

#[test]
fn a_wave_with_a_failure_of_the_network_stops_the_next_and_goes_on_when_it_is_mended() {
    let functions: Vec<_> = (0..20).map(|number| (format!("f{number:02}"), "good")).collect();
    let mut history = History::of(world(vec![role("good")], &functions), daemon());
    network_fails(&history, "f01");
    let names: Vec<&str> = functions.iter().map(|(name, _)| name.as_str()).collect();
    history.load(&orders(&names));
    history.pass(30 * MINUTE);
    let in_sync = |history: &History| names.iter().filter(|name| history.outcome(name) == Outcome::InSync).count();
    assert_eq!(in_sync(&history), 10, "one, and nine of the next ten");
    assert_eq!(history.reason("f01"), Reason::NetworkRefused);
    assert_eq!(history.reason("f15"), Reason::RolloutStopped);
    assert_eq!(history.outcome("f15").state(), State::AwaitingApproval);
    assert_eq!(history.detail("f15"), "f01: NetworkRefused");
    assert_eq!(names[11..].iter().map(|name| tries(&history, name)).sum::<usize>(), 0, "nothing of the rest was tried");
    history.load(&orders(&names).replace("name = 'f01'", "name = 'f01'\nmode = 'observe'"));
    history.pass(5 * MINUTE);
    assert_eq!(in_sync(&history), 19);
}

#[test]
fn after_a_restart_an_update_under_way_still_leads() {
    let functions = [("a".to_owned(), "r"), ("b".to_owned(), "r")];
    let mut history = History::of(world(vec![role("r")], &functions), daemon());
    history.door.with(|aws, _| aws.timings = Timings::real());
    let entry = |name: &str, entry: &str| (name.to_owned(), entry.to_owned());
    let text = file(&[entry("b", "first"), entry("a", "second")]);
    history.load(&text);
    history.pass(Duration::from_secs(5));
    let begun: usize = ["a", "b"].iter().map(|name| updates(&history, name)).sum();
    assert_eq!(begun, 1, "one leads");
    history.restart(daemon());
    history.load(&text);
    history.pass(Duration::from_secs(60));
    let begun: usize = ["a", "b"].iter().map(|name| updates(&history, name)).sum();
    assert_eq!(begun, 1, "and goes on leading");
    history.pass(5 * MINUTE);
    assert_eq!(history.door.with(|aws, _| aws.most_slow_updates()), 1);
    assert!(["a", "b"].iter().all(|name| history.outcome(name) == Outcome::InSync));
}

// Why denied.

#[test]
fn a_role_that_something_overrules_is_blocked_with_what_that_is_and_tried_slowly() {
    for (by, part) in [
        (Overruler::Boundary, "the role's permissions boundary overrules its policies"),
        (Overruler::Organisation, "a policy of the organisation (SCP) overrules the role's"),
        (Overruler::Scoped, "a simulation allows it, so look for what that does not see"),
    ] {
        let mut history = History::of(world(vec![overruled("r", by)], &[("f".to_owned(), "r")]), daemon());
        history.load(&orders(&["f"]));
        history.pass(4 * MINUTE);
        assert_eq!(history.reason("f"), Reason::RoleRefused, "{by:?}: IAM may just be slow");
        history.pass(3 * MINUTE);
        assert_eq!(history.reason("f"), Reason::RoleDenied);
        assert!(history.detail("f").starts_with(part), "{}", history.detail("f"));
        assert_eq!(history.door.count("SimulatePrincipalPolicy"), 1, "once for a role");
        let before = tries(&history, "f");
        history.pass(60 * MINUTE);
        assert!(tries(&history, "f") - before <= 30, "{} tries in an hour", tries(&history, "f") - before);
        assert_eq!(history.accepted(), Vec::<String>::new());
    }
}

#[test]
fn without_the_right_to_simulate_the_refusal_is_told_all_the_same() {
    let world = world(vec![overruled("r", Overruler::Boundary)], &[("f".to_owned(), "r")]);
    let mut history = History::of(world, daemon());
    history.door.with(|aws, _| aws.denied.insert("SimulatePrincipalPolicy".to_owned()));
    history.load(&orders(&["f"]));
    history.pass(10 * MINUTE);
    assert_eq!(history.reason("f"), Reason::RoleDenied);
    assert!(history.detail("f").starts_with("a simulation could not tell why"), "{}", history.detail("f"));
}

#[test]
fn a_role_that_is_full_is_blocked_until_there_is_room() {
    let full = DeclaredRole { policies: vec!["service-role/AWSLambdaBasicExecutionRole".to_owned()], ..role("r") };
    let mut history = History::of(world(vec![full], &[("f".to_owned(), "r")]), daemon());
    history.door.with(|aws, _| aws.quotas.policies_per_role = 1);
    history.load(&orders(&["f"]));
    history.pass(10 * MINUTE);
    assert_eq!(history.reason("f"), Reason::PolicyQuota);
    assert_eq!(tries(&history, "f"), 0);
    history.door.with(|aws, _| aws.quotas.policies_per_role = 2);
    history.pass(20 * MINUTE);
    assert_eq!(history.outcome("f"), Outcome::InSync);
}

#[test]
fn what_the_controller_may_not_do_is_named_with_its_resource_and_tried_slowly() {
    for (operation, right) in [
        (
            "UpdateFunctionConfiguration",
            "lambda:UpdateFunctionConfiguration on arn:aws:lambda:eu-west-1:123456789012:function:f",
        ),
        (
            "GetFunctionConfiguration",
            "lambda:GetFunctionConfiguration on arn:aws:lambda:eu-west-1:123456789012:function:f",
        ),
        ("DescribeSubnets", "ec2:DescribeSubnets"),
    ] {
        let mut history = History::of(world(vec![role("r")], &[("f".to_owned(), "r")]), daemon());
        history.door.with(|aws, _| aws.denied.insert(operation.to_owned()));
        history.load(&orders(&["f"]));
        history.pass(MINUTE);
        assert_eq!(history.reason("f"), Reason::AccessDenied, "{operation}");
        assert!(history.detail("f").starts_with(&format!("{right}; ")), "{}", history.detail("f"));
        let before = history.door.count(operation);
        history.pass(60 * MINUTE);
        let asked = history.door.count(operation) - before;
        assert!(asked <= 40, "{operation}: asked {asked} times in an hour");
        history.door.with(|aws, _| aws.denied.clear());
        history.pass(20 * MINUTE);
        assert_eq!(history.outcome("f"), Outcome::InSync, "{operation}");
    }
}

// Before any write.

#[test]
fn a_subnet_without_a_free_address_is_found_out_before_anything_is_sent() {
    let mut world = world(vec![role("r")], &[("f".to_owned(), "r")]);
    world.subnets[1].free_addresses = Some(0);
    let mut history = History::of(world, daemon());
    history.load(&orders(&["f"]));
    history.pass(10 * MINUTE);
    assert_eq!(history.reason("f"), Reason::NoFreeAddress);
    assert_eq!(history.detail("f"), "subnet-0b2b2b2b2b2b2b2b2");
    assert_eq!(history.calls(), Vec::<String>::new());
}

#[test]
fn lambda_s_own_answer_counts_where_nobody_may_look_at_the_interfaces() {
    let mut world = world(vec![role("r")], &[("f".to_owned(), "r")]);
    world.subnets[1].free_addresses = Some(0);
    let mut history = History::of(world, daemon());
    history.door.with(|aws, _| aws.denied.insert("DescribeNetworkInterfaces".to_owned()));
    history.load(&orders(&["f"]));
    history.pass(2 * MINUTE);
    assert_eq!(history.reason("f"), Reason::NoFreeAddress);
    assert!(history.detail("f").starts_with("SubnetOutOfIPAddresses: "), "{}", history.detail("f"));
    assert_eq!(updates(&history, "f"), 1);
}

// The life of a function.

#[test]
fn functions_that_cannot_be_managed_say_why() {
    let functions = ["provided", "us-east-1.edge", "old"].map(|name| (name.to_owned(), "r"));
    let mut world = world(vec![role("r")], &functions);
    world.functions[0].capacity_provider = Some("arn:aws:lambda:eu-west-1:123456789012:capacity-provider:p".to_owned());
    world.functions[2].runtime = Some("nodejs12.x".to_owned());
    world.retired_runtimes = vec!["nodejs12.x".to_owned()];
    let mut history = History::of(world, daemon());
    history.load(&orders(&["provided", "old"]));
    history.pass(3 * 60 * MINUTE);
    for (name, why, state) in [
        ("provided", Reason::CapacityProvider, State::Excluded),
        // Somebody has to move it to another runtime, so it alerts.
        ("old", Reason::RuntimeRetired, State::Blocked),
    ] {
        assert_eq!((history.reason(name), history.outcome(name).state()), (why, state));
        assert!(!history.detail(name).is_empty());
    }
    assert_eq!(tries(&history, "provided"), 0);
    assert_eq!(tries(&history, "old"), 1, "it is not asked about again and again");
}

#[test]
fn a_failed_update_is_told_with_its_code_even_one_that_nobody_knows_and_is_tried_again() {
    for (code, reason_of_it) in [
        ("SomethingNew", Reason::UpdateFailed),
        ("InvalidSecurityGroup", Reason::NetworkRefused),
        ("EniLimitExceeded", Reason::InterfaceQuota),
        ("EC2RequestLimitExceeded", Reason::Ec2Throttled),
    ] {
        let mut history = History::of(world(vec![role("r")], &[("f".to_owned(), "r")]), daemon());
        let failure = Failure { code: code.to_owned(), text: "on purpose".to_owned() };
        history.door.with(|aws, _| aws.faults.add(Fault::always(Misbehaviour::UpdateFails(failure)).times(1)));
        history.load(&orders(&["f"]));
        history.pass(Duration::from_secs(20));
        assert_eq!(history.reason("f"), reason_of_it, "{code}");
        assert_eq!(history.detail("f"), format!("{code}: on purpose"));
        history.pass(15 * MINUTE);
        assert_eq!(history.outcome("f"), Outcome::InSync, "{code}");
        assert_eq!(updates(&history, "f"), 2, "{code}");
    }
}

#[test]
fn an_update_of_which_lambda_says_nothing_counts_as_under_way() {
    let mut history = History::of(world(vec![role("r")], &[("f".to_owned(), "r")]), daemon());
    history.door.with(|aws, _| {
        (aws.timings.unsaid, aws.timings.new_interface) = (4 * MINUTE, 4 * MINUTE);
    });
    history.load(&orders(&["f"]));
    history.pass(2 * MINUTE);
    assert_eq!(history.reason("f"), Reason::UpdateInProgress);
    assert_eq!(history.detail("f"), "Lambda does not say how it went");
    history.pass(10 * MINUTE);
    assert_eq!(history.outcome("f"), Outcome::InSync);
    assert_eq!(updates(&history, "f"), 1);
}

// What was found by chance (tests/worlds).

#[test]
fn what_an_entry_waited_for_is_nothing_to_wait_for_once_it_is_edited() {
    let mut world = world(vec![role("r")], &[("f".to_owned(), "r")]);
    world.functions[0].runtime = Some("nodejs12.x".to_owned());
    world.retired_runtimes = vec!["nodejs12.x".to_owned()];
    let mut history = History::of(world, daemon());
    history.load(&orders(&["f"]));
    history.pass(5 * MINUTE);
    assert_eq!(history.reason("f"), Reason::RuntimeRetired, "it waits for a day");
    // So long that a sweep has to come before the entry is decided about.
    history.clock.pass(11 * MINUTE);
    history.load(&orders(&["f"]).replace("name = 'f'", "name = 'f'\nmode = 'observe'"));
    history.pass(10 * MINUTE);
    assert_eq!(history.reason("f"), Reason::Observed);
}

#[test]
fn a_simulation_that_fails_in_passing_is_asked_for_again() {
    let bare = DeclaredRole { policies: Vec::new(), ..role("r") };
    let world = world(vec![bare], &[("f".to_owned(), "r")]);
    // It is only observed, so that no refusal of Lambda's shows what is missing.
    let observed = orders(&["f"]).replace("name = 'f'", "name = 'f'\nmode = 'observe'");
    for (fault, expected) in [(Misbehaviour::Throttled(None), 1), (Misbehaviour::Reset, 1), (Misbehaviour::Denied, 0)] {
        let mut history = History::of(world.clone(), daemon());
        let fault = Fault::always(fault).on("SimulatePrincipalPolicy").times(2);
        history.door.with(|aws, _| aws.faults.add(fault));
        history.load(&observed);
        history.pass(30 * MINUTE);
        let plan = history.controller.plan(history.clock.now()).unwrap();
        let change = plan.lines[0].change().unwrap();
        assert_eq!(change.attach.len(), expected, "{change:?}");
        assert_eq!(change.attach_if_refused.len(), 1 - expected, "only trying tells");
    }
}

#[test]
fn a_role_whose_function_is_in_its_vpc_gets_nothing_until_lambda_refuses_it() {
    let bare = DeclaredRole { policies: Vec::new(), ..role("r") };
    let mut world = world(vec![bare], &[("f".to_owned(), "r"), ("g".to_owned(), "r")]);
    for function in &mut world.functions {
        function.subnets = ["a", "b", "c"].map(|zone| subnet(zone).to_owned()).into();
        function.security_groups = vec!["sg-0e5e5e5e5e5e5e5e5".to_owned()];
    }
    let mut history = History::of(world, daemon());
    history.load(&orders(&["f", "g"]));
    history.pass(2 * 60 * MINUTE);
    assert_eq!(history.calls(), [""; 0], "a simulation says that the right is missing, but both are there");
    assert_eq!((history.outcome("f"), history.outcome("g")), (Outcome::InSync, Outcome::InSync));
    let always = orders(&["f", "g"]).replace("name = 'g'", "name = 'g'\nattach_policy = 'always'");
    history.load(&always);
    history.pass(10 * MINUTE);
    assert_eq!(history.calls(), ["AttachRolePolicy r"], "which wants the policy itself");
}

fn subnet(zone: &str) -> &'static str {
    match zone {
        "a" => "subnet-0a1a1a1a1a1a1a1a1",
        "b" => "subnet-0b2b2b2b2b2b2b2b2",
        _ => "subnet-0c3c3c3c3c3c3c3c3",
    }
}

#[test]
fn a_refusal_of_long_ago_is_no_evidence_where_the_policy_cannot_be_attached() {
    let full = vec!["service-role/AWSLambdaBasicExecutionRole".to_owned()];
    let inline = DeclaredRole { policies: full, inline_vpc_access: true, ..role("r") };
    let mut history = History::of(world(vec![inline], &[("f".to_owned(), "r")]), daemon());
    let failure = Failure { code: "InsufficientRolePermissions".to_owned(), text: "on purpose".to_owned() };
    history.door.with(|aws, _| {
        aws.quotas.policies_per_role = 1;
        aws.faults.add(Fault::always(Misbehaviour::UpdateFails(failure)).times(1));
    });
    history.load(&orders(&["f"]));
    history.pass(30 * MINUTE);
    assert_eq!(history.reason("f"), Reason::PolicyQuota);
    history.pass(60 * MINUTE);
    assert_eq!(history.outcome("f"), Outcome::InSync, "the role has the right in another way");
}

// Others at work.

/// Somebody takes a function out of its VPC whenever it is in one, every so often.
fn set_back(history: &History, every: Duration, times: u32) {
    let wants = Meddling::Network(key("f"), VpcConfigRequest::none());
    history.door.with(|aws, now| aws.add_meddler(Meddler { every, times: Some(times), wants }, now));
}

#[test]
fn a_function_that_is_set_back_again_and_again_is_not_fought_over_and_that_ends() {
    let mut history = History::of(world(vec![role("r")], &[("f".to_owned(), "r")]), daemon());
    history.load(&orders(&["f"]));
    history.pass(5 * MINUTE);
    set_back(&history, 2 * MINUTE, 1000);
    history.pass(50 * MINUTE);
    assert_eq!(history.reason("f"), Reason::Flapping);
    assert_eq!(updates(&history, "f"), 3, "the first, and two repairs");
    let told = |notice: &&Notice| matches!(notice, Notice::Concluded { outcome, .. } if outcome.why().is_some_and(|why| why.reason == Reason::Flapping));
    assert!(history.notices.iter().any(|notice| told(&notice)));
    history.door.with(|aws, _| aws.dismiss_meddlers());
    history.pass(80 * MINUTE);
    assert_eq!(history.outcome("f"), Outcome::InSync);
    assert_eq!(updates(&history, "f"), 4);
}

#[test]
fn an_edit_of_its_entry_ends_the_truce_at_once() {
    let mut history = History::of(world(vec![role("r")], &[("f".to_owned(), "r")]), daemon());
    history.load(&orders(&["f"]));
    history.pass(5 * MINUTE);
    set_back(&history, 2 * MINUTE, 3);
    history.pass(50 * MINUTE);
    assert_eq!(history.reason("f"), Reason::Flapping);
    history.load(&orders(&["f"]).replace("names = ['lambda']", "names = ['default']"));
    history.pass(5 * MINUTE);
    assert_eq!(history.outcome("f"), Outcome::InSync);
}

// Faults.

#[test]
fn how_long_aws_asks_to_wait_is_waited() {
    let mut history = History::of(world(vec![role("r")], &[("f".to_owned(), "r")]), daemon());
    let wait = Duration::from_secs(200);
    let fault = Fault::always(Misbehaviour::Throttled(Some(wait))).on("UpdateFunctionConfiguration").times(1);
    history.door.with(|aws, _| aws.faults.add(fault));
    history.load(&orders(&["f"]));
    history.pass(10 * MINUTE);
    let at: Vec<Time> = history.door.changes().iter().map(|call| call.at).collect();
    assert_eq!(at.len(), 2);
    assert!(at[1].since(at[0]) >= wait, "{:?}", at[1].since(at[0]));
    assert_eq!(history.outcome("f"), Outcome::InSync);
}

#[test]
fn a_sweep_that_is_throttled_waits_as_long_as_aws_asks() {
    let mut history = History::of(world(vec![role("r")], &[("f".to_owned(), "r")]), daemon());
    let fault = Fault::always(Misbehaviour::Throttled(Some(20 * MINUTE))).on("GetFunctionConfiguration").times(1);
    history.door.with(|aws, _| aws.faults.add(fault));
    history.load(&orders(&["f"]));
    history.pass(19 * MINUTE);
    assert_eq!(history.door.count("GetFunctionConfiguration"), 1);
    history.pass(5 * MINUTE);
    assert_eq!(history.outcome("f"), Outcome::InSync);
}

#[test]
fn credentials_that_expire_are_a_fault_of_the_scope_and_cost_few_calls() {
    let names: Vec<String> = (0..40).map(|number| format!("f{number:02}")).collect();
    let functions: Vec<_> = names.iter().map(|name| (name.clone(), "r")).collect();
    let mut history = History::of(world(vec![role("r")], &functions), daemon());
    let refs: Vec<&str> = names.iter().map(String::as_str).collect();
    history.load(&orders(&refs));
    history.pass(Duration::from_secs(4));
    history.door.with(|aws, _| aws.faults.add(Fault::always(Misbehaviour::Expired)));
    history.pass(10 * MINUTE);
    let calls = |history: &History| history.door.counts().values().sum::<u64>();
    let before = calls(&history);
    history.pass(60 * MINUTE);
    let more = calls(&history) - before;
    assert!(more <= 40, "{more} calls in an hour that nobody answers");
    assert!(names.iter().all(|name| history.reason(name) == Reason::Credentials));
    history.door.with(|aws, _| aws.faults.clear());
    history.pass(20 * MINUTE);
    assert!(names.iter().all(|name| history.outcome(name) == Outcome::InSync));
    assert!(names.iter().all(|name| updates(&history, name) == 1));
}

#[test]
fn a_lost_answer_does_not_lead_to_a_second_update() {
    let mut history = History::of(world(vec![role("r")], &[("f".to_owned(), "r")]), daemon());
    history
        .door
        .with(|aws, _| aws.faults.add(Fault::always(Misbehaviour::Lost).on("UpdateFunctionConfiguration").times(1)));
    history.load(&orders(&["f"]));
    history.pass(10 * MINUTE);
    assert_eq!(history.outcome("f"), Outcome::InSync);
    assert_eq!(updates(&history, "f"), 1);
}

#[test]
fn a_person_at_a_terminal_is_not_kept_waiting_by_a_stopped_rollout() {
    let functions = [("a".to_owned(), "good"), ("b".to_owned(), "good")];
    let limits = Limits { writable: Writable::Shown, ..daemon() };
    let mut history = History::of(world(vec![role("good")], &functions), limits);
    network_fails(&history, "a");
    history.load(&orders(&["a", "b"]));
    history.until_rest(15 * MINUTE);
    assert_eq!(history.reason("b"), Reason::RolloutStopped);
}
