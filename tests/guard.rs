//! The guard, a history for each thing that it promises.

use std::time::Duration;

use lambda_vpc_controller::engine::Notice;
use lambda_vpc_controller::names::Digest;
use lambda_vpc_controller::plan::{GuardLimits, Limits, Outcome, Reason, State};
use lambda_vpc_controller::simulator::{DeclaredRole, DeclaredSubnet, World};

use crate::support::history::{History, settings};

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn limits() -> Limits {
    Limits { settle: Duration::ZERO, ..Limits::of(&settings()) }
}

fn approving(ids: &[&Digest]) -> Limits {
    let guard = limits().guard.unwrap();
    let approved = ids.iter().map(|id| id.short().to_owned()).collect();
    Limits { guard: Some(GuardLimits { approved, ..guard }), ..limits() }
}

/// A fleet whose roles have the right, so that a change is one call.
pub(crate) fn fleet(functions: usize) -> World {
    let world = World::fleet(functions);
    let policies = vec!["service-role/AWSLambdaVPCAccessExecutionRole".to_owned()];
    let role = |role: DeclaredRole| DeclaredRole { policies: policies.clone(), ..role };
    World { roles: world.roles.into_iter().map(role).collect(), ..world }
}

/// A file with the functions from `from` to `to` of a fleet; all of them belong into its first VPC.
pub(crate) fn file(from: usize, to: usize) -> String {
    let function = |number| format!("[[function]]\nname = 'function-{number:05}'\nvpc = 'fleet'\n");
    let head = "[defaults]\nregion = 'eu-west-1'\naccount = '123456789012'\n\
                [[vpc]]\nname = 'fleet'\nid = 'vpc-0f1ee700000000000'\n";
    (from..to).map(function).fold(head.to_owned(), |text, part| text + &part)
}

/// How many functions have been updated.
pub(crate) fn updated(history: &History) -> usize {
    history.accepted().iter().filter(|call| call.starts_with("Update")).count()
}

pub(crate) fn held(history: &History) -> usize {
    history.controller.board().held_by_guard().map(|(_, count)| count).sum()
}

#[test]
fn ten_functions_of_a_scope_always_pass_in_an_hour_and_what_exceeds_is_held_and_says_what_to_do() {
    let mut history = History::of(fleet(20), limits());
    history.load(&file(0, 12));
    history.pass(30 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (10, 2), "30 % of twelve would be three");
    let board = history.controller.board();
    let line = board.lines().find(|(_, line)| line.outcome != Outcome::InSync).unwrap().1;
    let why = line.outcome.why().unwrap();
    assert_eq!((why.reason, line.outcome.state()), (Reason::GuardHolding, State::Held));
    assert!(why.to_string().contains("apply --approve ID"), "{why}");
    assert!(why.detail.contains("10 an hour in 123456789012/eu-west-1"), "{}", why.detail);
}

#[test]
fn beyond_ten_it_is_the_smaller_of_a_number_and_a_share() {
    for (listed, max_changes, max_change_percent, expected) in
        [(100, 50, 30, 30), (100, 20, 30, 20), (100, 50, 100, 50), (40, 50, 30, 12), (100, 0, 0, 10)]
    {
        let guard = GuardLimits { max_changes, max_change_percent, approved: Vec::new() };
        let mut history = History::of(fleet(listed), Limits { guard: Some(guard), ..limits() });
        history.load(&file(0, listed));
        history.pass(50 * MINUTE);
        assert_eq!(updated(&history), expected, "{listed} listed, {max_changes}, {max_change_percent} %");
        assert_eq!(held(&history), listed - expected);
    }
}

#[test]
fn it_is_counted_over_a_rolling_hour() {
    let mut history = History::of(fleet(40), limits());
    history.load(&file(0, 40));
    history.pass(50 * MINUTE);
    assert_eq!(updated(&history), 12);
    history.pass(30 * MINUTE);
    assert_eq!(updated(&history), 24, "the first ones are more than an hour ago");
    history.pass(3 * 60 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (40, 0));
}

#[test]
fn functions_are_counted_and_not_calls() {
    let mut history = History::of(World::fleet(20), limits());
    history.load(&file(0, 20));
    history.pass(50 * MINUTE);
    assert_eq!(updated(&history), 10, "one of them needed a policy first");
    let attached = history.accepted().iter().filter(|call| call.starts_with("Attach")).count();
    assert_eq!(attached, 1);
}

#[test]
fn a_held_scope_does_not_hold_another() {
    let mut world = fleet(20);
    let elsewhere = |region: &str| Some(region.to_owned());
    let there = World::fleet(1);
    for mut vpc in there.vpcs {
        (vpc.id, vpc.region) = ("vpc-0e".to_owned(), elsewhere("us-east-1"));
        world.vpcs.push(vpc);
    }
    for subnet in there.subnets {
        let id = subnet.id.replace("subnet-0f", "subnet-0e");
        world.subnets.push(DeclaredSubnet { id, vpc: "vpc-0e".to_owned(), ..subnet });
    }
    for mut function in there.functions {
        (function.name, function.region) = ("far".to_owned(), elsewhere("us-east-1"));
        world.functions.push(function);
    }
    let mut history = History::of(world, limits());
    history.load(&file(0, 20));
    history.pass(30 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (10, 10));
    history.load(&format!("{}[[function]]\nname = 'far'\nregion = 'us-east-1'\nvpc = 'vpc-0e'\n", file(0, 20)));
    history.pass(5 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (11, 10));
}

#[test]
fn of_changes_that_somebody_caused_who_changed_a_vpc_never_more_than_ten_pass() {
    let mut history = History::of(fleet(100), Limits { guard: None, ..limits() });
    history.load(&file(0, 100));
    history.pass(30 * MINUTE);
    assert_eq!(updated(&history), 100);
    history.pass(2 * 60 * MINUTE);
    // The same controller goes on with a guard that would let thirty pass.
    history.limit(limits());
    history.door.with(|aws, now| {
        let scope = crate::support::history::key("x").scope;
        let all = aws.describe_subnets(&scope, &Default::default(), now).unwrap().items;
        let one = all.into_iter().find(|subnet| subnet.vpc.as_str() == "vpc-0f1ee700000000000").unwrap();
        let id = lambda_vpc_controller::names::SubnetId::parse("subnet-0ffff").unwrap();
        aws.add_subnet(&scope, lambda_vpc_controller::simulator::Subnet { id, ..one }).unwrap();
    });
    history.pass(50 * MINUTE);
    assert_eq!((updated(&history) - 100, held(&history)), (10, 90));
}

#[test]
fn an_approval_is_good_for_exactly_its_plan_and_once() {
    let mut history = History::of(fleet(40), limits());
    history.load(&file(0, 40));
    history.pass(30 * MINUTE);
    assert_eq!(updated(&history), 12);
    let id = history.controller.plan(history.clock.now()).unwrap().id;
    let other = Digest::of(b"another plan");
    history.limit(approving(&[&other]));
    history.pass(10 * MINUTE);
    assert_eq!(updated(&history), 12, "another plan's id approves nothing");
    history.limit(approving(&[&other, &id]));
    history.pass(10 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (40, 0));
    assert_eq!(history.notices.iter().filter(|notice| matches!(notice, Notice::Approved(_))).count(), 1);
    // The same forty are to move again, which nobody has approved. Twelve were counted in this hour, and count once.
    history.load(&file(0, 40).replace("id = ", "security_groups = { names = ['lambda'] }\nid = "));
    history.pass(8 * MINUTE);
    assert_eq!((updated(&history) - 40, held(&history)), (12, 28));
}

#[test]
fn an_approval_of_what_has_changed_since_approves_nothing() {
    let mut history = History::of(fleet(40), limits());
    history.load(&file(0, 40));
    history.pass(30 * MINUTE);
    let id = history.controller.plan(history.clock.now()).unwrap().id;
    history.load(&file(0, 39));
    history.limit(approving(&[&id]));
    history.pass(10 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (12, 27));
}

#[test]
fn a_restart_in_the_middle_lets_no_more_through() {
    let mut history = History::of(fleet(40), limits());
    history.load(&file(0, 40));
    history.pass(30 * MINUTE);
    assert_eq!(updated(&history), 12);
    for _ in 0..3 {
        history.restart(limits());
        history.load(&file(0, 40));
        history.pass(5 * MINUTE);
        assert_eq!(updated(&history), 12, "what was changed within the hour may have been us");
    }
    history.pass(60 * MINUTE);
    assert_eq!(updated(&history), 24);
}

#[test]
fn an_entry_that_leaves_the_file_is_told_with_what_it_has_and_left_as_it_is() {
    let mut history = History::of(fleet(3), limits());
    history.load(&file(0, 3));
    history.pass(10 * MINUTE);
    history.load(&file(0, 2));
    let released: Vec<_> = history
        .notices
        .iter()
        .filter_map(|notice| match notice {
            Notice::Released { key, network, .. } => Some((key.name.to_string(), network.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(released, [("function-00002".to_owned(), Some(history.function("function-00002").network))]);
    let before = updated(&history);
    history.pass(60 * MINUTE);
    assert_eq!(updated(&history), before);
    assert!(history.network("function-00002").is_attached());
}
