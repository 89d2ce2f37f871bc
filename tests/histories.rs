//! Whole histories: the pure controller and the simulated account, in one thread, with time that is set.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use lambda_vpc_controller::cloud::Listing;
use lambda_vpc_controller::manager::{Effect, Event, Signal};
use lambda_vpc_controller::names::RolePattern;
use lambda_vpc_controller::plan::{Limits, Outcome, Reason, State, Writable};
use lambda_vpc_controller::reconcile::{Cadence, Notice};
use lambda_vpc_controller::settings::Mode;
use lambda_vpc_controller::simulator::World;

use crate::support::history::{History, desired, key, settings, somebody_detaches};
use crate::support::program;

const MINUTE: Duration = Duration::from_secs(60);

/// Two functions that share a role without the right, in the private subnets and the group `lambda`.
const ORDERS: &str = r#"
[defaults]
region = "eu-west-1"
account = "123456789012"

[[vpc]]
name = "orders"
id = "vpc-0a1b2c3d4e5f60718"
security_groups = { names = ["lambda"] }

[[function]]
name = "orders-api"
vpc = "orders"

[[function]]
name = "orders-worker"
vpc = "orders"
"#;

fn daemon() -> Limits {
    Limits::of(&settings())
}

#[test]
fn what_was_applied_is_not_planned_again() {
    let mut history = History::attended();
    history.load(ORDERS);
    history.until_rest(10 * MINUTE);
    for name in ["orders-api", "orders-worker"] {
        assert_eq!(history.outcome(name), Outcome::InSync);
        let network = history.network(name);
        assert_eq!(network.subnets.len(), 3, "{network:?}");
        assert_eq!(network.security_groups.first().unwrap().as_str(), "sg-0e5e5e5e5e5e5e5e5");
        history.assert_update_ended(name);
    }
    history.assert_nothing_left_to_do();
}

#[test]
fn two_functions_that_share_a_role_cause_one_attach_before_any_update() {
    let mut history = History::attended();
    history.load(ORDERS);
    history.until_rest(10 * MINUTE);
    let mut calls = history.accepted();
    assert_eq!(calls.remove(0), "AttachRolePolicy orders-role");
    calls.sort();
    assert_eq!(calls, ["UpdateFunctionConfiguration orders-api", "UpdateFunctionConfiguration orders-worker"]);
}

#[test]
fn the_refusal_after_a_fresh_attach_is_waited_out() {
    let mut history = History::attended();
    history.door.with(|aws, _| aws.timings.propagation = Duration::from_secs(25));
    history.load(ORDERS);
    history.until_rest(10 * MINUTE);
    let refused = history.calls().iter().filter(|call| call.contains("InvalidParameterValueException")).count();
    assert!(refused > 0, "the simulated IAM noticed the policy at once: nothing was waited out");
    assert!(refused < 10, "{refused} tries in some seconds are a storm");
}

#[test]
fn where_nobody_could_say_whether_the_right_is_there_the_refusal_shows_that_it_is_missing() {
    let mut history = History::attended();
    history.door.with(|aws, _| aws.denied.insert("SimulatePrincipalPolicy".to_owned()));
    history.load(&ORDERS.replace("orders-worker", "billing-report"));
    history.until_rest(10 * MINUTE);
    let calls = history.calls();
    assert!(calls[0].starts_with("UpdateFunctionConfiguration"), "first the network is tried: {calls:?}");
    let mut attached: Vec<_> = history.accepted().into_iter().filter(|call| call.starts_with("Attach")).collect();
    attached.sort();
    assert_eq!(attached, ["AttachRolePolicy billing-role", "AttachRolePolicy orders-role"]);
    assert_eq!(history.outcome("orders-api"), Outcome::InSync);
}

#[test]
fn attach_policy_never_reports_and_attaches_nothing() {
    let mut history = History::attended();
    history.load(&ORDERS.replace("[defaults]", "[defaults]\nattach_policy = \"never\""));
    history.until_rest(10 * MINUTE);
    assert_eq!(history.outcome("orders-api").why().unwrap().reason, Reason::PolicyMissing);
    assert_eq!(history.accepted(), Vec::<String>::new());
}

#[test]
fn attach_policy_always_attaches_to_a_role_that_has_the_right_otherwise() {
    let mut world = World::demo().unwrap();
    world.roles.iter_mut().find(|role| role.name == "orders-role").unwrap().inline_vpc_access = true;
    let mut history = History::of(world, Limits { writable: Writable::Shown, ..daemon() });
    history.load(ORDERS);
    history.until_rest(10 * MINUTE);
    let attached = |history: &History| history.accepted().iter().filter(|call| call.starts_with("Attach")).count();
    assert_eq!(attached(&history), 0, "the inline policy is enough");
    history.load(&ORDERS.replace("[defaults]", "[defaults]\nattach_policy = \"always\""));
    history.until_rest(10 * MINUTE);
    assert_eq!(attached(&history), 1);
    history.assert_nothing_left_to_do();
}

#[test]
fn a_live_change_by_somebody_else_is_put_right_at_the_next_resync_after_settling() {
    let mut history = History::new(daemon());
    history.load(ORDERS);
    history.pass(10 * MINUTE);
    let right = history.network("orders-api");
    let updates = |history: &History| {
        history.accepted().iter().filter(|call| *call == "UpdateFunctionConfiguration orders-api").count()
    };
    assert_eq!(updates(&history), 1);
    somebody_detaches(&history, "orders-api");
    history.pass(Duration::from_secs(1));
    assert!(!history.network("orders-api").is_attached());
    history.pass(10 * MINUTE);
    assert_eq!(history.network("orders-api"), right);
    assert_eq!(updates(&history), 2, "one update puts it right");
    let causes: Vec<&str> = history
        .notices
        .iter()
        .filter_map(|notice| match notice {
            Notice::Drifted(change) if change.key == key("orders-api") => Some(change.cause.name()),
            _ => None,
        })
        .collect();
    assert_eq!(causes, ["file", "live"]);
}

#[test]
fn a_function_that_somebody_just_changed_is_left_alone_for_a_while() {
    let mut history = History::new(daemon());
    somebody_detaches(&history, "legacy-report");
    history.pass(Duration::from_secs(3));
    history.load(&ORDERS.replace("orders-worker", "legacy-report"));
    history.pass(Duration::from_secs(20));
    assert_eq!(history.outcome("legacy-report").why().unwrap().reason, Reason::Settling);
    history.pass(2 * MINUTE);
    assert_eq!(history.outcome("legacy-report"), Outcome::InSync);
}

#[test]
fn the_daemon_writes_nothing_into_an_account_that_nobody_stated() {
    let mut history = History::new(daemon());
    history.load(&ORDERS.replace("account = \"123456789012\"", ""));
    history.pass(10 * MINUTE);
    assert_eq!(history.outcome("orders-api").why().unwrap().reason, Reason::AccountNotStated);
    assert_eq!(history.calls(), Vec::<String>::new());
}

#[test]
fn nothing_is_read_or_written_with_the_credentials_of_another_account() {
    let mut history = History::new(daemon());
    history.load(&ORDERS.replace("123456789012", "999999999999"));
    history.pass(10 * MINUTE);
    let plan = history.controller.plan(history.clock.now()).unwrap();
    assert!(plan.lines.iter().all(|line| line.change().is_none()));
    assert_eq!(history.calls(), Vec::<String>::new());
}

#[test]
fn an_observed_difference_is_shown_and_not_put_right() {
    let mut history = History::new(daemon());
    history.load(&ORDERS.replace("[defaults]", "[defaults]\nmode = \"observe\""));
    history.pass(10 * MINUTE);
    assert_eq!(history.outcome("orders-api").why().unwrap().reason, Reason::Observed);
    assert!(history.controller.line(&key("orders-api")).unwrap().change.is_some());
    assert_eq!(history.calls(), Vec::<String>::new());
}

#[test]
fn a_function_leaves_its_vpc_only_where_the_settings_allow_it() {
    let file = "[[function]]\nname = 'legacy-report'\nregion = 'eu-west-1'\naccount = '123456789012'\nvpc = 'none'";
    let mut history = History::new(daemon());
    history.load(file);
    history.pass(10 * MINUTE);
    assert_eq!(history.outcome("legacy-report").why().unwrap().reason, Reason::DetachNotAllowed);
    assert!(history.network("legacy-report").is_attached());
    history.restart(Limits { allow_detach: true, ..daemon() });
    history.load(file);
    history.pass(10 * MINUTE);
    assert!(!history.network("legacy-report").is_attached());
    assert_eq!(history.accepted(), ["UpdateFunctionConfiguration legacy-report"], "the policy stays on the role");
    history.assert_nothing_left_to_do();
}

#[test]
fn an_entry_that_leaves_the_file_leaves_its_function_as_it_is() {
    let mut history = History::new(daemon());
    history.load(ORDERS);
    history.pass(10 * MINUTE);
    let before = history.accepted();
    let (shorter, _) = ORDERS.split_at(ORDERS.find("[[function]]\nname = \"orders-worker\"").unwrap());
    history.load(shorter);
    history.pass(60 * MINUTE);
    assert!(history.network("orders-worker").is_attached());
    assert_eq!(history.accepted(), before);
    assert!(history.controller.line(&key("orders-worker")).is_none());
}

#[test]
fn ids_that_do_not_exist_block_before_anything_is_written() {
    for (wrong, reason) in [
        ("id = \"vpc-00000000000000000\"", Reason::VpcNotFound),
        ("id = \"vpc-0a1b2c3d4e5f60718\"\nsubnets = { ids = [\"subnet-00000000000000000\"] }", Reason::SubnetNotFound),
        ("id = \"vpc-0a1b2c3d4e5f60718\"\nsubnets = { tags = { tier = \"none\" } }", Reason::NoUsableSubnet),
    ] {
        let mut history = History::attended();
        history.load(&ORDERS.replace("id = \"vpc-0a1b2c3d4e5f60718\"", wrong));
        history.until_rest(MINUTE);
        assert_eq!(history.outcome("orders-api").why().unwrap().reason, reason);
        assert_eq!(history.calls(), Vec::<String>::new());
    }
    let mut history = History::attended();
    history.load(&ORDERS.replace("names = [\"lambda\"]", "ids = [\"sg-00000000000000000\"]"));
    history.until_rest(MINUTE);
    assert_eq!(history.outcome("orders-api").why().unwrap().reason, Reason::SecurityGroupNotFound);
    assert_eq!(history.calls(), Vec::<String>::new());
}

#[test]
fn a_function_that_does_not_exist_blocks_alone() {
    let mut history = History::attended();
    history.load(&ORDERS.replace("orders-worker", "orders-wroker"));
    history.until_rest(10 * MINUTE);
    assert_eq!(history.outcome("orders-wroker").why().unwrap().reason, Reason::FunctionNotFound);
    assert_eq!(history.outcome("orders-api"), Outcome::InSync);
}

#[test]
fn policies_roles_and_vpcs_that_the_settings_do_not_allow_are_never_used() {
    let mut history = History::attended();
    let greedy = "[defaults]\nattach_policy = \"always\"\npolicies = [\"AdministratorAccess\"]";
    history.load(&ORDERS.replace("[defaults]", greedy));
    history.until_rest(MINUTE);
    assert_eq!(history.outcome("orders-api").why().unwrap().reason, Reason::PolicyNotAllowed);
    assert_eq!(history.calls(), Vec::<String>::new());

    let roles = Some(vec![RolePattern::parse("payments-*").unwrap()]);
    let mut history = History::new(Limits { writable: Writable::Shown, allowed_roles: roles, ..daemon() });
    history.load(&ORDERS.replace("[defaults]", "[defaults]\nattach_policy = \"always\""));
    history.until_rest(MINUTE);
    let lacking = |name: &str| history.outcome(name).why().is_some_and(|why| why.reason == Reason::RoleNotAllowed);
    assert!(["orders-api", "orders-worker"].into_iter().any(lacking), "{:?}", history.outcome("orders-api"));
    assert!(!history.calls().iter().any(|call| call.starts_with("AttachRolePolicy")), "{:?}", history.calls());

    let other = lambda_vpc_controller::names::VpcId::parse("vpc-0fffffffffffffff0").unwrap();
    let limits = Limits { writable: Writable::Shown, allowed_vpcs: Some([other].into()), ..daemon() };
    let mut history = History::new(limits);
    history.load(ORDERS);
    history.until_rest(MINUTE);
    assert_eq!(history.outcome("orders-api").why().unwrap().reason, Reason::VpcNotAllowed);
    assert_eq!(history.calls(), Vec::<String>::new());
}

#[test]
fn an_update_that_goes_on_is_waited_for_across_a_restart_and_not_sent_twice() {
    let mut history = History::new(daemon());
    history.load(ORDERS);
    while !history.accepted().iter().any(|call| call == "UpdateFunctionConfiguration orders-api") {
        history.pass(Duration::from_millis(200));
    }
    history.restart(daemon());
    history.load(ORDERS);
    history.pass(10 * MINUTE);
    assert_eq!(history.outcome("orders-api"), Outcome::InSync);
    let updates = history.accepted().iter().filter(|call| *call == "UpdateFunctionConfiguration orders-api").count();
    assert_eq!(updates, 1);
}

#[test]
fn a_hangup_tries_again_at_once_what_waits_for_somebody() {
    let mut history = History::new(daemon());
    history.door.with(|aws, _| aws.denied.insert("AttachRolePolicy".to_owned()));
    history.load(ORDERS);
    history.pass(MINUTE);
    assert_eq!(history.outcome("orders-api").why().unwrap().reason, Reason::AccessDenied);
    let tries = history.calls().len();
    assert!(tries <= 4, "{tries} tries in a minute at what somebody has to mend");
    history.door.with(|aws, _| aws.denied.clear());
    history.signal(Signal::Reload);
    history.pass(MINUTE);
    assert_eq!(history.outcome("orders-api"), Outcome::InSync);
}

#[test]
fn settings_that_change_let_through_or_stop_what_the_old_ones_did_not() {
    let settle = |history: &mut History, limits: Limits| {
        let cadence = Cadence { resync: Some(5 * MINUTE), poll: None, workers: 1, listing: Listing::Latest, seed: 7 };
        history.signal(Signal::Settle(Box::new(limits), cadence));
    };
    let mut history = History::new(Limits { mode: Mode::Observe, ..daemon() });
    history.load(ORDERS);
    history.pass(10 * MINUTE);
    assert_eq!(history.calls(), [] as [&str; 0], "nothing is changed while all is observed");
    settle(&mut history, daemon());
    history.until_rest(10 * MINUTE);
    assert_eq!(history.outcome("orders-api"), Outcome::InSync);

    settle(&mut history, Limits { allowed_vpcs: Some(BTreeSet::new()), ..daemon() });
    somebody_detaches(&history, "orders-api");
    history.pass(20 * MINUTE);
    assert_eq!(history.outcome("orders-api").why().unwrap().reason, Reason::VpcNotAllowed);
    assert!(!history.network("orders-api").is_attached(), "it stays as somebody left it");
    settle(&mut history, daemon());
    history.pass(MINUTE);
    history.until_rest(10 * MINUTE);
    assert_eq!(history.outcome("orders-api"), Outcome::InSync);
}

#[test]
fn a_nudge_during_a_load_is_not_lost() {
    let mut history = History::new(daemon());
    let now = history.clock.now();
    let mut loads = |event| {
        let effects = history.controller.handle(event, now);
        effects.iter().filter(|effect| matches!(effect, Effect::Load(_))).count()
    };
    assert_eq!(loads(Event::Signal(Signal::Look)), 1);
    assert_eq!(loads(Event::Signal(Signal::Look)), 0, "never two loads at once");
    assert_eq!(loads(Event::Loaded(Ok(Some(desired(ORDERS))))), 1, "the file may have changed after it was read");
    assert_eq!(loads(Event::Loaded(Ok(None))), 0);
}

#[test]
fn a_simulation_is_asked_about_once_an_hour_for_a_role() {
    let mut history = History::new(daemon());
    history.load(&ORDERS.replace("[defaults]", "[defaults]\nmode = \"observe\""));
    history.pass(50 * MINUTE);
    assert_eq!(history.door.count("SimulatePrincipalPolicy"), 1, "two functions share one role");
    history.pass(24 * 60 * MINUTE);
    let asked = history.door.count("SimulatePrincipalPolicy");
    assert!((20..=26).contains(&asked), "asked {asked} times in a day");
}

#[test]
fn a_role_that_cannot_be_read_holds_up_its_functions_alone_and_is_tried_again() {
    let mut history = History::new(daemon());
    for operation in ["ListEntitiesForPolicy", "ListAttachedRolePolicies"] {
        history.door.with(|aws, _| aws.denied.insert(operation.to_owned()));
    }
    let detached = "[[function]]\nname = 'billing-report'\nvpc = 'none'\n";
    history.load(&format!("{ORDERS}{detached}"));
    history.pass(MINUTE);
    assert_eq!(history.outcome("orders-api").why().unwrap().reason, Reason::AccessDenied);
    assert_eq!(history.outcome("orders-api").state(), State::Blocked);
    assert_eq!(history.outcome("billing-report"), Outcome::InSync);
    assert!(history.notices.iter().all(|notice| !matches!(notice, Notice::Swept { fault: Some(_), .. })));
    assert_eq!(history.calls(), Vec::<String>::new());
    history.door.with(|aws, _| aws.denied.clear());
    history.pass(15 * MINUTE);
    assert_eq!(history.outcome("orders-api"), Outcome::InSync);
}

#[test]
fn what_ec2_refuses_to_show_is_told_and_never_absent() {
    for operation in ["DescribeVpcs", "DescribeSubnets", "DescribeRouteTables", "DescribeSecurityGroups"] {
        let mut history = History::new(daemon());
        history.door.with(|aws, _| aws.denied.insert(operation.to_owned()));
        history.load(ORDERS);
        history.pass(10 * MINUTE);
        assert_eq!(history.outcome("orders-api").why().unwrap().reason, Reason::AccessDenied, "{operation}");
        assert_eq!(history.outcome("orders-api").state(), State::Blocked, "{operation}");
        assert_eq!(history.calls(), Vec::<String>::new(), "{operation}");
        history.door.with(|aws, _| aws.denied.clear());
        history.pass(30 * MINUTE);
        assert_eq!(history.outcome("orders-api"), Outcome::InSync, "{operation}");
    }
}

#[test]
fn an_entry_that_is_edited_after_days_is_bound_against_the_network_of_today() {
    let mut history = History::new(daemon());
    history.load(ORDERS);
    history.pass(10 * MINUTE);
    // A day without any resync, as with a long one.
    history.clock.pass(Duration::from_secs(24 * 3600));
    let sweeps = history.door.count("DescribeSubnets");
    history.load(&ORDERS.replace("names = [\"lambda\"]", "names = [\"default\"]"));
    history.pass(10 * MINUTE);
    assert!(history.door.count("DescribeSubnets") > sweeps);
    assert_eq!(history.network("orders-api").security_groups.first().unwrap().as_str(), "sg-0d0d0d0d0d0d0d0d1");
}

#[test]
fn a_long_file_is_compared_by_pages_and_only_what_differs_is_looked_at() {
    let mut history = History::of(World::fleet(120), Limits { guard: None, ..daemon() });
    let entry = |number: usize| format!("[[function]]\nname = 'function-{number:05}'\nvpc = 'vpc-0f1ee700000000000'\n");
    let entries: String = (0..60).map(entry).collect();
    let file =
        |mode: &str| format!("[defaults]\nregion = 'eu-west-1'\naccount = '123456789012'\nmode = '{mode}'\n{entries}");
    history.load(&file("observe"));
    history.pass(MINUTE);
    assert_eq!(history.door.count("ListFunctions"), 2, "50 a page, and what the file lists stands on the first two");
    assert_eq!(history.door.count("GetFunctionConfiguration"), 0);
    assert_eq!(history.door.count("ListEntitiesForPolicy"), 1, "whatever the number of roles");
    assert_eq!(history.door.count("ListAttachedRolePolicies"), 0);
    history.load(&file("enforce"));
    history.pass(60 * MINUTE);
    let updates = history.accepted().iter().filter(|call| call.starts_with("Update")).count();
    let attaches = history.accepted().iter().filter(|call| call.starts_with("Attach")).count();
    assert_eq!((updates, attaches), (60, 3));
    history.door.forget_calls();
    history.assert_nothing_left_to_do();
    assert_eq!(history.door.count("GetFunctionConfiguration"), 0, "what is in sync needs no look of its own");
}

/// What `undo` prints for a function.
fn undo(history: &History, name: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let trail = folder.path().join("audit.jsonl");
    fs::write(&trail, history.audit()).unwrap();
    let output = program().args(["undo", "--function", name, "--audit"]).arg(&trail).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A file for legacy-report alone.
fn legacy_report(subnet: &str) -> String {
    format!(
        "[[function]]\nname = 'legacy-report'\nregion = 'eu-west-1'\naccount = '123456789012'\n\
         vpc = 'vpc-0a1b2c3d4e5f60718'\nsubnets = {{ ids = ['{subnet}'] }}\n"
    )
}

#[test]
fn what_was_applied_is_taken_back_by_the_entry_that_undo_prints() {
    let mut history = History::attended();
    let before = history.network("legacy-report");
    history.load(&legacy_report("subnet-0a1a1a1a1a1a1a1a1"));
    history.until_rest(10 * MINUTE);
    let between = history.network("legacy-report");
    assert!(before != between && before.is_attached());
    history.load(&undo(&history, "legacy-report"));
    history.until_rest(10 * MINUTE);
    assert_eq!(history.network("legacy-report"), before);
    history.assert_nothing_left_to_do();
    // Taking that back again gives what was between.
    history.load(&undo(&history, "legacy-report"));
    history.until_rest(10 * MINUTE);
    assert_eq!(history.network("legacy-report"), between);
}

#[test]
fn a_function_that_was_in_no_vpc_is_taken_out_again_but_keeps_its_policy() {
    let mut history =
        History::new(Limits { writable: Writable::Shown, allow_detach: true, ..Limits::attended(&settings()) });
    history.load(ORDERS);
    history.until_rest(10 * MINUTE);
    let text = undo(&history, "orders-api");
    assert!(text.contains("aws iam detach-role-policy --role-name orders-role"), "{text}");
    history.load(&text);
    history.until_rest(10 * MINUTE);
    assert!(!history.network("orders-api").is_attached());
    let attached = "AttachRolePolicy orders-role";
    assert_eq!(history.accepted().iter().filter(|call| *call == attached).count(), 1);
    assert!(!history.calls().iter().any(|call| call.contains("Detach")));
    assert!(history.network("orders-worker").is_attached(), "its entry left the file: it stays as it is");
}
