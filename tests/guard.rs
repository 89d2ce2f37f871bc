//! The guard, a history for each thing that it promises.

use std::time::Duration;

use lambda_vpc_controller::names::Digest;
use lambda_vpc_controller::plan::{Admitted, GuardLimits, Limits, Outcome, Reason, State};
use lambda_vpc_controller::reconcile::Notice;
use lambda_vpc_controller::simulator::{
    DeclaredRole, DeclaredSubnet, UpdateFunctionConfiguration, VpcConfigRequest, World,
};

use crate::support::history::{History, settings};

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn limits() -> Limits {
    Limits { settle: Duration::ZERO, ..Limits::of(&settings()) }
}

pub(crate) fn approving(ids: &[&Digest]) -> Limits {
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
    history.controller.scopes().map(|scope| scope.board().scope().held_by_guard).sum()
}

#[test]
fn ten_functions_of_a_scope_always_pass_in_an_hour_and_what_exceeds_is_held_and_says_what_to_do() {
    let mut history = History::of(fleet(20), limits());
    history.load(&file(0, 12));
    history.pass(30 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (10, 2), "30 % of twelve would be three");
    let line = history.controller.lines().find(|line| line.outcome != Outcome::InSync).unwrap();
    let why = line.outcome.why().unwrap();
    assert_eq!((why.reason, line.outcome.state()), (Reason::GuardHolding, State::AwaitingApproval));
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
    let id = history.plan_id();
    let other = Digest::of(b"another plan");
    history.limit(approving(&[&other]));
    history.pass(10 * MINUTE);
    assert_eq!(updated(&history), 12, "another plan's id approves nothing");
    history.limit(approving(&[&other, &id]));
    history.pass(10 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (40, 0));
    let approved = |notice: &&Notice| matches!(notice, Notice::Approved { .. });
    assert_eq!(history.notices.iter().filter(approved).count(), 1);
    // The same forty are to move again, which nobody has approved. Twelve were counted in this hour, and count once.
    history.load(&file(0, 40).replace("id = ", "security_groups = { names = ['lambda'] }\nid = "));
    history.pass(8 * MINUTE);
    assert_eq!((updated(&history) - 40, held(&history)), (12, 28));
}

#[test]
fn an_approval_is_of_what_was_shown_and_of_nothing_that_came_since() {
    let mut history = History::of(fleet(42), limits());
    history.load(&file(0, 40));
    history.pass(30 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (12, 28));
    let id = history.plan_id();
    // One leaves the file and two come.
    history.load(&file(1, 42));
    history.limit(approving(&[&id]));
    history.pass(10 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (40, 2), "the two nobody has seen");
}

#[test]
fn the_hours_own_batch_does_not_void_an_approval_that_is_being_typed() {
    let mut history = History::of(fleet(60), limits());
    history.load(&file(0, 60));
    history.pass(30 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (18, 42));
    let id = history.plan_id();
    history.pass(60 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (36, 24), "another batch");
    history.limit(approving(&[&id]));
    history.pass(10 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (60, 0));
}

#[test]
fn what_is_shown_in_the_midst_of_a_batch_can_be_approved_as_well() {
    let mut history = History::of(fleet(60), limits());
    history.load(&file(0, 60));
    let mut seen = None;
    for _ in 0..600 {
        let id = history.plan_id();
        history.pass(Duration::from_secs(1));
        // One that has been there for a second, as for whoever runs `plan`.
        if (2..18).contains(&updated(&history)) && history.plan_id() == id {
            seen = Some(id);
            break;
        }
    }
    let id = seen.expect("there was no plan in between");
    history.pass(30 * MINUTE);
    assert_eq!(updated(&history), 18);
    history.limit(approving(&[&id]));
    history.pass(10 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (60, 0));
}

#[test]
fn an_edit_that_comes_with_its_approval_is_carried_out_whole() {
    // Whoever reviews the edit sees a plan of it, against the fleet as it is.
    let mut review = History::of(fleet(40), limits());
    review.load(&file(0, 1));
    review.pass(10 * MINUTE);
    review.controller.admit(&Admitted::Only(Default::default()));
    review.load(&file(0, 40));
    review.pass(MINUTE);
    let id = review.plan_id();

    let mut history = History::of(fleet(40), limits());
    history.load(&file(0, 1));
    history.pass(10 * MINUTE);
    history.limit(approving(&[&id]));
    history.load(&file(0, 40));
    history.pass(20 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (40, 0));
}

/// The fleet, and fifteen functions in another region.
pub(crate) fn with_another_region(functions: usize) -> World {
    let mut world = fleet(functions);
    let elsewhere = |region: &str| Some(region.to_owned());
    let there = World::fleet(15);
    for mut vpc in there.vpcs {
        (vpc.id, vpc.region) = ("vpc-0e000000".to_owned(), elsewhere("us-east-1"));
        world.vpcs.push(vpc);
    }
    for subnet in there.subnets {
        let id = subnet.id.replace("subnet-0f", "subnet-0e");
        world.subnets.push(DeclaredSubnet { id, vpc: "vpc-0e000000".to_owned(), ..subnet });
    }
    for mut function in there.functions {
        (function.name, function.region) = (format!("far-{}", function.name), elsewhere("us-east-1"));
        world.functions.push(function);
    }
    world
}

/// The same file, with as many functions of the other region.
pub(crate) fn file_with_far(near: usize, far: usize) -> String {
    let far = (0..far).map(|number| {
        format!("[[function]]\nname = 'far-function-{number:05}'\nregion = 'us-east-1'\nvpc = 'vpc-0e000000'\n")
    });
    far.fold(file(0, near), |text, part| text + &part)
}

#[test]
fn a_held_scope_does_not_hold_another() {
    let mut history = History::of(with_another_region(20), limits());
    history.load(&file(0, 20));
    history.pass(30 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (10, 10));
    history.load(&file_with_far(20, 1));
    history.pass(5 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (11, 10));
}

#[test]
fn an_approval_is_of_one_scope_or_of_all_and_what_happens_in_one_does_not_void_it_in_another() {
    for which in ["near", "all"] {
        let mut history = History::of(with_another_region(20), limits());
        history.load(&file_with_far(20, 15));
        history.pass(30 * MINUTE);
        assert_eq!((updated(&history), held(&history)), (20, 15));
        let plan = history.controller.plan(history.clock.now()).unwrap();
        let near = plan.ids[&crate::support::history::key("x").scope].clone();
        assert_eq!(plan.ids.len(), 2);
        assert!(plan.ids.values().all(|id| *id != plan.id));
        // Something else differs there by now.
        history.load(&file_with_far(20, 14));
        history.pass(5 * MINUTE);
        history.limit(approving(&[if which == "near" { &near } else { &plan.id }]));
        history.pass(10 * MINUTE);
        let expected = if which == "near" { (30, 4) } else { (34, 0) };
        assert_eq!((updated(&history), held(&history)), expected, "{which}");
        let line = history.controller.scope_line(&crate::support::history::key("x").scope).unwrap();
        assert_eq!(line.guard.plan, None, "nothing differs there any more");
    }
}

/// Somebody takes these functions out of their VPC by hand.
pub(crate) fn detach(history: &History, numbers: std::ops::Range<usize>) {
    let out = UpdateFunctionConfiguration {
        vpc_config: Some(VpcConfigRequest::none()),
        ..UpdateFunctionConfiguration::default()
    };
    let scope = crate::support::history::key("x").scope;
    history.door.with(|aws, now| {
        for number in numbers {
            aws.update_function_configuration(&scope, &format!("function-{number:05}"), &out, now).unwrap();
        }
    });
}

#[test]
fn repairs_are_not_starved_by_a_rollout_nor_a_rollout_by_repairs() {
    let mut history = History::of(fleet(40), Limits { guard: None, ..limits() });
    history.load(&file(0, 20));
    history.pass(30 * MINUTE);
    history.pass(60 * MINUTE);
    history.limit(limits());
    history.load(&file(0, 40));
    history.pass(20 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (32, 8), "the rollout has used its hour up");
    detach(&history, 0..14);
    history.pass(20 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (44, 10), "twelve repairs pass, and two are held");
    let line = history.controller.scope_line(&crate::support::history::key("x").scope).unwrap();
    let budgets = line.guard.budgets.iter().map(|it| (it.cause.name(), it.changed, it.allowed)).collect::<Vec<_>>();
    assert_eq!(budgets, [("file", 12, 12), ("live", 12, 12), ("network", 0, 10)]);

    let mut history = History::of(fleet(40), Limits { guard: None, ..limits() });
    history.load(&file(0, 20));
    history.pass(90 * MINUTE);
    history.limit(limits());
    detach(&history, 0..15);
    history.pass(20 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (30, 5), "ten repairs pass where twenty are listed");
    history.load(&file(0, 40));
    history.pass(20 * MINUTE);
    assert_eq!(updated(&history), 44, "and two more where forty are, beside twelve of the rollout");
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
