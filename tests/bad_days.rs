//! The controller on a bad day: settings that change in the middle of a rollout, functions with troubles of their own,
//! conflicts that never end, networks that flicker.

use std::time::Duration;

use lambda_vpc_controller::board::Line;
use lambda_vpc_controller::cloud::Failure;
use lambda_vpc_controller::live::{Seen, Surveyed};
use lambda_vpc_controller::manager::Controller;
use lambda_vpc_controller::plan::{Answer, Limits, Outcome, Reason, State, Writable};
use lambda_vpc_controller::reconcile::{Cadence, Notice};
use lambda_vpc_controller::settings::Mode;
use lambda_vpc_controller::simulator::{
    Aws, DeclaredFunction, DeclaredRole, Door, Fault, Misbehaviour, StillClock, Timings, UpdateFunctionConfiguration,
    World,
};

use crate::guard::{file_with_far, with_another_region};
use crate::support::history::{BEGINNING, History, desired, key, settings, somebody_detaches};
use crate::support::stage::Stage;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const VPC_ACCESS: &str = "service-role/AWSLambdaVPCAccessExecutionRole";
const SUBNETS: [&str; 3] = ["subnet-0a1a1a1a1a1a1a1a1", "subnet-0b2b2b2b2b2b2b2b2", "subnet-0c3c3c3c3c3c3c3c3"];

fn daemon() -> Limits {
    Limits { guard: None, ..Limits::of(&settings()) }
}

/// A role with these policies.
fn role(name: &str, policies: &[&str]) -> DeclaredRole {
    let policies = policies.iter().map(ToString::to_string).collect();
    DeclaredRole { name: name.to_owned(), policies, ..DeclaredRole::default() }
}

/// Functions that are in no VPC, each with its role.
fn functions(of: &[(&str, &str)]) -> Vec<DeclaredFunction> {
    let function = |(name, role): &(&str, &str)| DeclaredFunction {
        name: (*name).to_owned(),
        role: (*role).to_owned(),
        ..DeclaredFunction::default()
    };
    of.iter().map(function).collect()
}

/// The demo's VPC with these roles and functions, in which something is done; and a daemon whose file wants all functions
/// in that VPC.
fn history(roles: Vec<DeclaredRole>, functions: Vec<DeclaredFunction>, done: impl FnOnce(&mut Aws)) -> History {
    let file = orders(&functions.iter().map(|function| function.name.as_str()).collect::<Vec<_>>());
    let mut history = History::of(World { roles, functions, ..World::demo().unwrap() }, daemon());
    history.door.with(|aws, _| done(aws));
    history.load(&file);
    history
}

/// What goes wrong with each update of these functions; of all, where none is named.
fn updates_meet(answer: &Misbehaviour, names: &[String], aws: &mut Aws) {
    let fault = || Fault::always(answer.clone()).on("UpdateFunctionConfiguration");
    names.iter().for_each(|name| aws.faults.add(fault().about(name)));
    if names.is_empty() {
        aws.faults.add(fault());
    }
}

/// One VPC entry with these functions.
fn orders(names: &[&str]) -> String {
    let function = |name: &&str| format!("[[function]]\nname = '{name}'\nvpc = 'orders'\n");
    let head = "[defaults]\nregion = 'eu-west-1'\naccount = '123456789012'\n[[vpc]]\nname = 'orders'\n\
                id = 'vpc-0a1b2c3d4e5f60718'\nsecurity_groups = { names = ['lambda'] }\n";
    names.iter().map(function).fold(head.to_owned(), |text, part| text + &part)
}

/// The updates that were sent for a function, refused or not.
fn sent(history: &History, name: &str) -> usize {
    history.calls().iter().filter(|call| call.starts_with(&format!("UpdateFunctionConfiguration {name}"))).count()
}

/// A file that wants so many functions of a fleet in the fleet's first VPC.
fn fleet(count: usize) -> String {
    let entry = |number: usize| format!("[[function]]\nname = 'function-{number:05}'\nvpc = 'vpc-0f1ee700000000000'\n");
    let entries: String = (0..count).map(entry).collect();
    format!("[defaults]\nregion = 'eu-west-1'\naccount = '123456789012'\n{entries}")
}

/// Six functions of one role that are to go into the fleet's VPC.
fn six() -> (Stage, String) {
    let file = fleet(6);
    let clock = StillClock::at(BEGINNING);
    let aws = World::fleet(6).build(BEGINNING).unwrap();
    clock.pass(Duration::from_secs(24 * 3600));
    let limits = Limits { guard: None, writable: Writable::Stated, ..Limits::of(&settings()) };
    let door = Door::new(aws, clock.clock());
    (Stage::new(door, clock, limits, Duration::from_secs(300), 7), file)
}

#[test]
fn settings_that_change_end_no_work_whose_call_is_out() {
    let (mut stage, file) = six();
    stage.load(desired(&file));
    for _ in 0..20 {
        stage.until_a_call();
        stage.mode(Mode::Observe);
        stage.mode(Mode::Enforce);
        stage.until(stage.clock.now() + Duration::from_millis(300));
    }
    assert_eq!(stage.broken, Vec::<String>::new());
}

#[test]
fn a_stop_waits_for_the_calls_that_are_out_though_nothing_may_be_changed_any_more() {
    let (mut stage, file) = six();
    stage.load(desired(&file));
    stage.until_a_call();
    stage.mode(Mode::Observe);
    stage.stop();
    assert!(!stage.stopped, "a call is out");
    stage.until(stage.clock.now() + Duration::from_secs(5));
    assert!(stage.stopped);
    assert_eq!(stage.broken, Vec::<String>::new());
}

#[test]
fn a_function_with_a_trouble_of_its_own_holds_up_nobody_else() {
    let denied = || Misbehaviour::Error {
        status: 403,
        code: "AccessDeniedException".to_owned(),
        message: "not authorized to perform: lambda:GetLayerVersion on resource: a-layer".to_owned(),
    };
    let gives_up = |code: &str| Misbehaviour::UpdateFails(Failure { code: code.to_owned(), text: "text".to_owned() });
    for trouble in [denied(), gives_up("KMSKeyAccessDenied"), gives_up("EFSMountTimeout"), gives_up("SomethingNew")] {
        let names: Vec<String> = (0..20).map(|number| format!("f{number:02}")).collect();
        let all: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "good")).collect();
        let roles = vec![role("good", &[VPC_ACCESS])];
        let mut history = history(roles, functions(&all), |aws| updates_meet(&trouble, &names[..5], aws));
        history.pass(4 * MINUTE);
        for name in &names[5..] {
            assert_eq!(history.outcome(name), Outcome::InSync, "{trouble:?} of the first five");
        }
        assert_eq!(history.outcome("f00").state(), State::Blocked, "{trouble:?}");
        assert!(names[..5].iter().all(|name| sent(&history, name) == 1), "{trouble:?}: each is tried once for now");
    }
}

#[test]
fn what_refuses_every_function_of_a_fleet_costs_a_call_a_minute_and_not_one_for_each() {
    let names: Vec<String> = (0..200).map(|number| format!("f{number:03}")).collect();
    let all: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "good")).collect();
    let refused = Misbehaviour::Error { status: 400, code: "SomethingNew".to_owned(), message: "text".to_owned() };
    let roles = vec![role("good", &[VPC_ACCESS])];
    let mut history = history(roles, functions(&all), |aws| updates_meet(&refused, &[], aws));
    history.pass(29 * MINUTE);
    assert!((10..40).contains(&history.calls().len()), "{} refused updates", history.calls().len());
    assert_eq!(history.reason("f199"), Reason::RolloutTurn);
    assert_eq!(history.detail("f199"), "`orders` pauses after a function with trouble of its own");
}

#[test]
fn a_function_that_stays_pending_is_named_and_after_ten_minutes_the_others_go_on_without_it() {
    let mut all = functions(&[("a-stuck", "r"), ("b", "r"), ("c", "r")]);
    all[0].state = Some("Pending".to_owned());
    let for_ever = |aws: &mut Aws| aws.timings.pending = Duration::from_secs(1_000_000);
    let mut history = history(vec![role("r", &[VPC_ACCESS])], all, for_ever);
    history.pass(9 * MINUTE);
    assert_eq!(history.reason("a-stuck"), Reason::FunctionPending);
    assert_eq!(history.detail("b"), "`orders` wave 1, 1 of 1 in progress: a-stuck");
    history.pass(6 * MINUTE);
    assert_eq!(history.reason("a-stuck"), Reason::StaysPending);
    assert_eq!(history.outcome("b"), Outcome::InSync);
    assert_eq!(history.outcome("c"), Outcome::InSync);
    history.pass(120 * MINUTE);
    assert!(sent(&history, "a-stuck") <= 1, "what a look saw counts, also after a resync that shows no state");
}

#[test]
fn a_function_in_a_state_that_takes_no_update_is_not_touched() {
    for state in ["Deleting", "Deactivating", "Deactivated", "ActiveNonInvocable"] {
        // Three of them, so that a resync lists them and sees no state.
        let mut all = functions(&[("a", "r"), ("b", "r"), ("c", "r")]);
        all.iter_mut().for_each(|function| function.state = Some(state.to_owned()));
        let mut history = history(vec![role("r", &[VPC_ACCESS])], all, |_| {});
        history.pass(24 * 60 * MINUTE);
        for name in ["a", "b", "c"] {
            let why = history.outcome(name).why().unwrap().clone();
            assert_eq!(history.outcome(name).state(), State::Blocked);
            assert!(why.reason.sentence().contains(state), "{state}: {why}");
            assert!(sent(&history, name) <= 1, "{state}: {} tries, and 409 each time", sent(&history, name));
        }
    }
}

#[test]
fn a_conflict_that_never_ends_is_met_less_and_less_often() {
    let conflict = Misbehaviour::Error {
        status: 409,
        code: "ResourceConflictException".to_owned(),
        message: "The operation cannot be performed at this time.".to_owned(),
    };
    let roles = vec![role("r", &[VPC_ACCESS])];
    let mut history = history(roles, functions(&[("f", "r")]), |aws| updates_meet(&conflict, &[], aws));
    history.pass(10 * MINUTE);
    assert_eq!(history.reason("f"), Reason::Conflict);
    assert!(sent(&history, "f") <= 12, "{} tries in ten minutes", sent(&history, "f"));
    let before = sent(&history, "f");
    history.pass(60 * MINUTE);
    assert!(sent(&history, "f") - before <= 20, "{} tries in an hour", sent(&history, "f") - before);
    history.door.with(|aws, _| aws.faults.clear());
    history.pass(11 * MINUTE);
    assert_eq!(history.outcome("f"), Outcome::InSync);
}

#[test]
fn an_update_that_lambda_gives_up_again_and_again_is_set_back_by_nobody() {
    let failure = Failure { code: "SubnetOutOfIPAddresses".to_owned(), text: "no address".to_owned() };
    let (all, fails) = (functions(&[("a", "r"), ("b", "r"), ("c", "r")]), Misbehaviour::UpdateFails(failure));
    let mut history = history(vec![role("r", &[VPC_ACCESS])], all, |aws| updates_meet(&fails, &["a".to_owned()], aws));
    for _ in 0..90 {
        history.pass(MINUTE);
        let why = history.outcome("a").why().unwrap().clone();
        assert_ne!(why.reason, Reason::Flapping);
    }
    assert!(sent(&history, "a") >= 3, "too few to be taken for flapping");
    history.pass(MINUTE);
    assert_eq!(history.detail("a"), "SubnetOutOfIPAddresses: no address");
}

#[test]
fn two_functions_of_a_role_that_were_both_refused_before_its_policy_came_are_done_within_two_minutes() {
    let mut all = functions(&[("a", "r"), ("b", "r")]);
    all.iter_mut().for_each(|function| function.description = "in entries of their own".to_owned());
    let world = World { roles: vec![role("r", &[])], functions: all, ..World::demo().unwrap() };
    let mut history = History::of(world, daemon());
    history.door.with(|aws, _| {
        aws.denied.insert("SimulatePrincipalPolicy".to_owned());
        aws.timings = Timings { propagation: 20 * SECOND, ..aws.timings };
    });
    // An entry of its own for each, so that no wave keeps the second one from being refused as well.
    let file = orders(&["a", "b"]).replace(
        "[[function]]\nname = 'b'\nvpc = 'orders'",
        "[[vpc]]\nname = 'again'\nid = 'vpc-0a1b2c3d4e5f60718'\nsecurity_groups = { names = ['lambda'] }\nsubnets = { \
         ids = ['subnet-0a1a1a1a1a1a1a1a1'] }\n[[function]]\nname = 'b'\nvpc = 'again'",
    );
    history.load(&file);
    history.pass(2 * MINUTE);
    assert_eq!((history.outcome("a"), history.outcome("b")), (Outcome::InSync, Outcome::InSync));
    assert_eq!(history.accepted().iter().filter(|call| call.starts_with("Attach")).count(), 1);
}

/// EC2 does not tell of the second subnet.
fn a_subnet_less(found: &mut Surveyed) {
    for vpc in found.facts.vpcs.values_mut() {
        let Seen::Present(vpc) = vpc else { continue };
        vpc.subnets.retain(|subnet| subnet.subnet.id.as_str() != SUBNETS[1]);
    }
}

/// Three functions that are where the file wants them, and a daemon that has seen them so.
fn settled() -> History {
    let mut all = functions(&[("a", "r"), ("b", "r"), ("c", "r")]);
    for function in &mut all {
        function.subnets = SUBNETS.map(str::to_owned).to_vec();
        function.security_groups = vec!["sg-0e5e5e5e5e5e5e5e5".to_owned()];
    }
    let history = history(vec![role("r", &[VPC_ACCESS])], all, |_| {});
    assert_eq!(history.outcome("a"), Outcome::InSync);
    history
}

#[test]
fn a_network_that_flickers_for_one_listing_moves_nobody() {
    let mut history = settled();
    for _ in 0..5 {
        history.alter = a_subnet_less;
        history.pass(5 * MINUTE);
        assert_eq!(history.reason("a"), Reason::NetworkUnconfirmed);
        assert_eq!(history.outcome("a").state(), State::Progressing);
        history.alter = |_| {};
        history.pass(5 * MINUTE);
        assert_eq!(history.outcome("a"), Outcome::InSync);
    }
    assert_eq!(history.calls(), Vec::<String>::new());
}

#[test]
fn a_network_that_stays_changed_is_followed_after_a_second_listing_a_resync_apart() {
    let mut history = settled();
    history.alter = a_subnet_less;
    history.pass(5 * MINUTE);
    // Somebody asks for a listing at once: it is too close to the first one to count.
    history.signal(lambda_vpc_controller::manager::Signal::Reload);
    history.pass(MINUTE);
    assert_eq!(history.calls(), Vec::<String>::new());
    history.pass(10 * MINUTE);
    for name in ["a", "b", "c"] {
        assert_eq!(history.network(name).subnets.len(), 2, "{name}");
    }
}

#[test]
fn after_a_start_a_function_in_its_vpc_is_moved_only_when_a_second_listing_says_the_same() {
    let mut history = settled();
    history.restart(daemon());
    history.alter = a_subnet_less;
    history.load(&orders(&["a", "b", "c"]));
    history.pass(4 * MINUTE);
    assert_eq!(history.reason("a"), Reason::NetworkUnconfirmed);
    history.alter = |_| {};
    history.pass(60 * MINUTE);
    assert_eq!(history.outcome("a"), Outcome::InSync);
    assert_eq!(history.calls(), Vec::<String>::new());
}

#[test]
fn an_edit_is_acted_on_at_once_by_what_the_latest_listing_says() {
    let mut history = settled();
    let edited = orders(&["a", "b", "c"])
        .replace("['lambda'] }", &format!("['lambda'] }}\nsubnets = {{ ids = ['{}'] }}", SUBNETS[0]));
    history.load(&edited);
    history.pass(30 * SECOND);
    for name in ["a", "b", "c"] {
        assert_eq!(history.network(name).subnets.len(), 1, "{name}");
    }
}

#[test]
fn a_plan_looks_at_no_function_that_the_listing_shows_as_in_sync_however_lately_it_was_changed() {
    let mut history = History::of(World::fleet(120), daemon());
    history.load(&fleet(120));
    history.pass(20 * MINUTE);
    history.door.forget_calls();
    // Another process, a moment later.
    history.controller = Controller::new(Limits::attended(&settings()), Cadence::once(&settings()));
    history.load(&fleet(120));
    history.pass(MINUTE);
    let plan = history.controller.plan(history.clock.now()).unwrap();
    assert!(plan.lines.iter().all(|line| line.outcome() == Some(&Outcome::InSync)));
    assert_eq!(history.door.count("GetFunctionConfiguration"), 0);
    assert_eq!(history.door.count("ListFunctions"), 3);
}

#[test]
fn a_revision_that_was_seen_settled_needs_no_further_look() {
    let mut history = History::of(World::fleet(120), daemon());
    history.load(&fleet(120));
    history.pass(3 * MINUTE);
    assert!(history.controller.at_rest(), "the rollout is not over");
    history.door.forget_calls();
    history.pass(30 * MINUTE);
    assert_eq!(history.door.count("GetFunctionConfiguration"), 0);
    assert_eq!(history.calls(), Vec::<String>::new());
}

#[test]
fn the_policies_that_a_rollout_needs_are_attached_ahead_of_its_waves_and_iam_is_waited_for_once() {
    let names: Vec<String> = (0..60).map(|number| format!("f{number:02}")).collect();
    let roles: Vec<String> = (0..20).map(|number| format!("r{number:02}")).collect();
    let all: Vec<(&str, &str)> = (0..60).map(|number| (names[number].as_str(), roles[number / 3].as_str())).collect();
    let mut history = history(roles.iter().map(|name| role(name, &[])).collect(), functions(&all), |_| {});
    history.pass(SECOND);
    let attached = history.accepted().iter().filter(|call| call.starts_with("Attach")).count();
    assert_eq!(attached, 20, "before any network is set");
    assert_eq!(history.accepted().len(), 20);
    let begun = history.clock.now();
    history.until_rest(10 * MINUTE);
    let took = history.clock.now().since(begun);
    assert!(took < MINUTE, "{took:?}: IAM's delay was waited for in each wave");
    assert!(names.iter().all(|name| history.outcome(name) == Outcome::InSync));
}

#[test]
fn whatever_the_wall_clock_is_set_to_resyncs_and_repairs_go_on() {
    const HOUR: i64 = 3600;
    for set in [vec![24 * HOUR, -24 * HOUR], vec![-HOUR], vec![HOUR], vec![-HOUR, HOUR, -HOUR]] {
        let mut history = settled();
        for by in &set {
            history.set_wall_clock(by * 1000);
            history.pass(4 * SECOND);
        }
        let listings = history.door.count("DescribeVpcs");
        somebody_detaches(&history, "a");
        history.pass(11 * MINUTE);
        assert!(history.door.count("DescribeVpcs") >= listings + 2, "{set:?}: resyncs stand still");
        assert_eq!(history.outcome("a"), Outcome::InSync, "{set:?}");
        assert!(history.network("a").is_attached(), "{set:?}");
    }
}

#[test]
fn what_is_known_of_roles_is_bounded_by_the_functions_that_have_them_though_these_change_every_day_for_a_year() {
    let roles = (0..40).map(|number| role(&format!("r{number:02}"), &[VPC_ACCESS])).collect();
    let mut history = history(roles, functions(&[("a", "r00"), ("b", "r01"), ("c", "r02")]), |_| {});
    history.pass(10 * MINUTE);
    for day in 0..365 {
        history.door.with(|aws, now| {
            for (number, name) in ["a", "b", "c"].into_iter().enumerate() {
                let role = Some(format!("arn:aws:iam::123456789012:role/r{:02}", (day * 3 + number) % 40));
                let request = UpdateFunctionConfiguration { role, ..UpdateFunctionConfiguration::default() };
                aws.update_function_configuration(&key(name).scope, name, &request, now).unwrap();
            }
        });
        history.pass(6 * MINUTE);
        let known = history.controller.facts(&key("x").scope).unwrap().roles.len();
        assert!(known <= 3, "{known} roles are known on day {day}, and three are in use");
    }
    assert_eq!(history.calls().len(), 3, "each function was set once");
}

#[test]
fn a_role_of_two_regions_is_tried_in_one_and_the_other_goes_on_as_soon_as_it_works() {
    let mut world = with_another_region(20);
    world.roles = vec![role("shared", &[])];
    world.functions.iter_mut().for_each(|function| function.role = "shared".to_owned());
    let mut history = History::of(world, daemon());
    // Without resyncs, which would hide that somebody is not woken.
    history.controller = Controller::new(Limits::attended(&settings()), Cadence::once(&settings()));
    history.load(&file_with_far(20, 15));
    history.pass(9 * MINUTE);
    let out_of_sync =
        |line: &Line| (line.outcome != Outcome::InSync).then(|| format!("{}: {:?}", line.entry.key, line.outcome));
    let left: Vec<String> = history.controller.lines().filter_map(out_of_sync).collect();
    assert_eq!(left, [""; 0]);
    assert_eq!(history.door.count("AttachRolePolicy"), 1, "the role belongs to both regions");
}

#[test]
fn after_a_pause_of_the_process_nothing_is_changed_by_what_was_seen_before_it() {
    let mut history = History::of(World::fleet(40), daemon());
    history.load(&crate::guard::file(0, 40));
    while updates_in_all(&history) < 5 {
        history.pass(SECOND);
    }
    let begun = updates_in_all(&history);
    assert!(begun < 40, "all are done already");
    // Stopped for less than a resync, and nothing wakes it meanwhile.
    history.notices.clear();
    history.clock.pass(MINUTE);
    history.pass(Duration::from_millis(1));
    let swept = history.notices.iter().position(|it| matches!(it, Notice::Swept { .. })).expect("no sweep came");
    let sent = history.notices.iter().position(|it| matches!(it, Notice::Stepped { answer: Answer::Done, .. }));
    assert!(sent.is_none_or(|sent| sent > swept), "a sweep comes first");
    history.pass(30 * MINUTE);
    assert_eq!(updates_in_all(&history), 40, "and then all goes on");
}

fn updates_in_all(history: &History) -> usize {
    history
        .door
        .changes()
        .iter()
        .filter(|it| it.operation == "UpdateFunctionConfiguration" && it.refused.is_none())
        .count()
}
