//! The next step for one function.

use super::*;
use crate::cloud::Failure;
use crate::cloud::Simulated;

pub(super) const TO_HOME: &str = "set none -> subnet-a,subnet-b/sg-default";

/// Decides about `api`, whose entry has these lines, after something was done to the world.
#[track_caller]
fn check(entry: &str, done: impl FnOnce(&mut Scene), expected: &str) {
    let mut scene = scene(entry);
    done(&mut scene);
    decides(&scene, expected);
}

#[track_caller]
pub(super) fn decides(scene: &Scene, expected: &str) {
    assert_eq!(decided(scene.decide().as_ref(), scene.now), expected);
}

pub(super) fn as_is(_: &mut Scene) {}

pub(super) fn life(state: Lambda, update: Update) -> impl FnOnce(&mut Scene) {
    |scene| scene.api().life = Some(Box::new(Life { state, update }))
}

#[test]
fn a_function_that_the_file_does_not_list_is_not_decided_about() {
    let mut scene = scene(ORDERS);
    scene.add("other", "other");
    assert_eq!(decide(&scene.world(), &key("other")), None);
    let elsewhere = ScopeKey { region: Region::parse("us-east-1").unwrap(), ..scope() };
    assert_eq!(decide(&scene.world(), &FunctionKey { scope: elsewhere, ..key("api") }), None);
}

#[test]
fn a_difference_becomes_a_step_that_carries_what_was_read() {
    let revision = Some(RevisionId::parse("r1").unwrap());
    let step = Step::SetVpc { key: key("api"), from: Arc::default(), to: home(), revision };
    assert_eq!(scene(ORDERS).decide(), Some(Decision::Do(step)));
    let mut lacking = scene(ORDERS);
    lacking.without_policy(Some(Simulated::Missing));
    assert_eq!(lacking.decide(), Some(Decision::Do(attach_step())));
    check(ORDERS, Scene::at_home, "in sync");
}

#[test]
fn what_cannot_be_compared_rests_as_the_comparison_says() {
    check(ORDERS, |scene| scene.set_api(Seen::Absent), "blocked FunctionNotFound");
    check(ORDERS, |scene| scene.set_api(Seen::Unknown(Fault::Unread)), "unknown Unread");
    check(ORDERS, |scene| scene.set_vpc(Seen::Absent), "blocked VpcNotFound");
}

#[test]
fn while_lambda_is_at_work_on_a_function_it_is_waited_for() {
    check(ORDERS, life(Lambda::Pending, Update::Successful), "waiting FunctionPending");
    check(ORDERS, life(Lambda::Active, Update::InProgress), "waiting UpdateInProgress");
    let home_in_progress = |scene: &mut Scene| {
        scene.at_home();
        life(Lambda::Active, Update::InProgress)(scene);
    };
    check(ORDERS, home_in_progress, "waiting UpdateInProgress");
    check("vpc = 'none'", life(Lambda::Active, Update::InProgress), "waiting UpdateInProgress");
}

#[test]
fn states_in_which_lambda_takes_updates_are_no_obstacle() {
    check(ORDERS, life(Lambda::Inactive, Update::Successful), TO_HOME);
    check(ORDERS, life(Lambda::Other("SomethingNew".to_owned()), Update::Successful), TO_HOME);
    check(ORDERS, life(Lambda::Active, Update::Failed(Failure::default())), TO_HOME);
    check(ORDERS, |scene| scene.api().life = None, TO_HOME);
}

#[test]
fn a_function_that_takes_no_update_is_not_touched_and_says_so() {
    for (state, expected) in [
        (Lambda::Deleting, "blocked FunctionDeleting"),
        (Lambda::Deactivating, "blocked FunctionDeactivated"),
        (Lambda::Deactivated, "blocked FunctionDeactivated"),
        (Lambda::ActiveNonInvocable, "blocked FunctionNotInvocable"),
    ] {
        check(ORDERS, life(state.clone(), Update::Successful), expected);
        let at_home = |scene: &mut Scene| {
            scene.at_home();
            life(state, Update::Successful)(scene);
        };
        check(ORDERS, at_home, "in sync");
    }
}

#[test]
fn a_function_that_stays_pending_for_ten_minutes_needs_somebody() {
    let mut scene = scene(ORDERS);
    life(Lambda::Pending, Update::Successful)(&mut scene);
    let seen = scene.api().clone();
    scene.memory.looked(&key("api"), &seen, scene.now);
    scene.wait(599);
    scene.memory.looked(&key("api"), &seen, scene.now);
    decides(&scene, "waiting FunctionPending");
    scene.wait(1);
    decides(&scene, "blocked StaysPending");
    life(Lambda::Active, Update::Successful)(&mut scene);
    let seen = scene.api().clone();
    scene.memory.looked(&key("api"), &seen, scene.now);
    decides(&scene, TO_HOME);
}

#[test]
fn an_unsaid_update_counts_as_one_for_some_minutes_after_a_change() {
    let unsaid = |modified: Option<Time>| {
        move |scene: &mut Scene| {
            scene.limits.settle = Duration::ZERO;
            scene.api().modified = modified;
            life(Lambda::Active, Update::Unsaid)(scene);
        }
    };
    check(ORDERS, unsaid(Some(ago(10))), "waiting UpdateInProgress");
    check(ORDERS, unsaid(Some(ago(299))), "waiting UpdateInProgress");
    check(ORDERS, unsaid(Some(ago(300))), TO_HOME);
    check(ORDERS, unsaid(None), TO_HOME);
}

#[test]
fn what_is_observed_is_shown_and_left() {
    check("vpc = 'orders'\nmode = 'observe'", as_is, "waiting Observed");
    check("vpc = 'orders'\nmode = 'observe'", Scene::at_home, "in sync");
    check("vpc = 'orders'\nmode = 'enforce'", as_is, TO_HOME);
}

/// 2027-01-15T08:00:00Z is `NOW`.
fn observed_until(time: &str) -> String {
    format!("vpc = 'orders'\nmode = 'observe'\nuntil = {time}")
}

#[test]
fn an_observation_with_an_end_is_over_then() {
    assert_eq!(NOW.to_string(), "2027-01-15T08:00:00Z");
    check(&observed_until("2027-01-15T08:01:30Z"), as_is, "waiting Observed for 90s");
    check(&observed_until("2027-01-15T08:00:00Z"), as_is, TO_HOME);
    check(&observed_until("2027-01-15T07:00:00Z"), as_is, TO_HOME);
}

#[test]
fn the_operators_mode_is_a_ceiling_over_every_entrys() {
    let ceiling = |scene: &mut Scene| scene.limits.mode = Mode::Observe;
    check(ORDERS, ceiling, "waiting Observed");
    check("vpc = 'none'", |scene| scene.limits.mode = Mode::Observe, "in sync");
    // An end that has passed is nothing to wait for: the pass would be repeated at once, again and again.
    check(&observed_until("2027-01-15T07:00:00Z"), ceiling, "waiting Observed");
    check(&observed_until("2027-01-15T08:00:00Z"), ceiling, "waiting Observed");
}

#[test]
fn the_daemon_writes_only_into_stated_accounts() {
    let unstated = "defaults = { region = 'eu-west-1' }\nfunction = [{ name = 'api', vpc = 'vpc-1' }]\n";
    check(ORDERS, |scene| scene.desired = reading(unstated), "blocked AccountNotStated");
    let shown = |scene: &mut Scene| {
        scene.desired = reading(unstated);
        scene.limits.writable = Writable::Shown;
    };
    check(ORDERS, shown, TO_HOME);
    let observed = |scene: &mut Scene| {
        scene.desired = reading(unstated);
        scene.limits.mode = Mode::Observe;
    };
    check(ORDERS, observed, "waiting Observed");
}

/// Only this was agreed to: the change of a world in which the role lacks the right, with something done to it.
fn agreed_to(done: impl FnOnce(&mut Change)) -> impl FnOnce(&mut Scene) {
    |scene| {
        scene.without_policy(Some(Simulated::Missing));
        let mut change = scene.change();
        done(&mut change);
        scene.limits.admitted = Admitted::Only(BTreeMap::from([(key("api"), change)]));
    }
}

#[test]
fn what_was_agreed_to_is_done_and_nothing_else() {
    check(ORDERS, agreed_to(|_| {}), "attach VPCAccess to api");
    check(ORDERS, |scene| scene.limits.admitted = Admitted::Only(BTreeMap::new()), "waiting NotAdmitted");
    check(ORDERS, agreed_to(|change| change.network = None), "waiting NotAdmitted");
    check(ORDERS, agreed_to(|change| change.attach.clear()), "waiting NotAdmitted");
    let other_policy = |change: &mut Change| change.attach[0].policy = policy("arn:aws:iam::aws:policy/other");
    check(ORDERS, agreed_to(other_policy), "waiting NotAdmitted");
    let other_before = |change: &mut Change| change.network.as_mut().unwrap().from = network(&["subnet-x"], &["sg-x"]);
    check(ORDERS, agreed_to(other_before), "waiting NotAdmitted");
    let on_refusal = |change: &mut Change| change.attach_if_refused = std::mem::take(&mut change.attach);
    check(ORDERS, agreed_to(on_refusal), "attach VPCAccess to api");
}

#[test]
fn what_was_agreed_to_is_not_done_once_the_function_has_moved() {
    let mut scene = scene(ORDERS);
    agreed_to(|_| {})(&mut scene);
    scene.api().network = network(&["subnet-x"], &["sg-x"]);
    decides(&scene, "waiting NotAdmitted");
    scene.at_home();
    decides(&scene, "in sync");
}

#[test]
fn a_function_that_somebody_else_changed_is_left_alone_until_that_has_settled() {
    let changed = |time: u64| move |scene: &mut Scene| scene.api().modified = Some(ago(time));
    check(ORDERS, changed(0), "waiting Settling for 60s");
    check(ORDERS, changed(59), "waiting Settling for 1s");
    check(ORDERS, changed(60), TO_HOME);
    check(ORDERS, |scene| scene.api().modified = None, TO_HOME);
    let attended = |scene: &mut Scene| {
        scene.api().modified = Some(NOW);
        scene.limits.settle = Duration::ZERO;
    };
    check(ORDERS, attended, TO_HOME);
    let at_home = |scene: &mut Scene| {
        scene.at_home();
        scene.api().modified = Some(NOW);
    };
    check(ORDERS, at_home, "in sync");
}

#[test]
fn a_change_of_our_own_needs_no_settling() {
    let mut scene = scene(ORDERS);
    let elsewhere = Step::SetVpc { key: key("api"), from: home(), to: Arc::default(), revision: None };
    scene.answer(&elsewhere, Answer::Done);
    scene.api().modified = Some(NOW);
    decides(&scene, TO_HOME);
    // The clocks may differ by some seconds.
    scene.api().modified = Some(NOW + seconds(10));
    decides(&scene, TO_HOME);
    scene.wait(30);
    scene.api().modified = Some(NOW + seconds(11));
    decides(&scene, "waiting Settling for 41s");
}

#[test]
fn an_update_that_was_refused_is_no_change_of_our_own() {
    let mut scene = scene(ORDERS);
    scene.answer(&set_step(), failed(Class::Busy));
    scene.api().modified = Some(NOW);
    decides(&scene, "waiting Settling for 60s");
}

#[test]
fn the_policy_comes_before_the_network_and_the_first_try_comes_a_moment_later() {
    let mut scene = scene(ORDERS);
    scene.without_policy(Some(Simulated::Missing));
    decides(&scene, "attach VPCAccess to api");
    assert_eq!(told(&scene.answer(&attach_step(), Answer::Done), NOW), "waiting RolePropagation for 10s");
    decides(&scene, "waiting RolePropagation for 10s");
    scene.wait(9);
    decides(&scene, "waiting RolePropagation for 1s");
    scene.wait(1);
    decides(&scene, TO_HOME);
}

#[test]
fn the_moment_after_an_attach_holds_for_every_function_of_the_role_and_for_no_detach() {
    let mut scene = scene("vpc = 'orders'\n[[function]]\nname = 'other'\nvpc = 'orders'");
    scene.add("other", "api");
    scene.answer(&attach_step(), Answer::Done);
    let other = |scene: &Scene| decided(decide(&scene.world(), &key("other")).as_ref(), scene.now);
    assert_eq!(other(&scene), "waiting RolePropagation for 10s");
    scene.add("other", "other");
    assert_eq!(other(&scene), TO_HOME);
    let leaving = |scene: &mut Scene| {
        scene.at_home();
        scene.answer(&attach_step(), Answer::Done);
    };
    check("vpc = 'none'", leaving, "set subnet-a,subnet-b/sg-default -> none");
}

#[test]
fn several_policies_are_attached_one_after_the_other() {
    let own = format!("arn:aws:iam::{ACCOUNT}:policy/own");
    let mut scene = scene(&format!(
        "{ORDERS}\nattach_policy = 'always'\npolicies = ['service-role/AWSLambdaVPCAccessExecutionRole', '{own}']"
    ));
    scene.limits.allowed_policies.push(PolicyName::parse(&own).unwrap());
    scene.without_policy(None);
    decides(&scene, "attach VPCAccess to api");
    scene.answer(&attach_step(), Answer::Done);
    decides(&scene, "attach own to api");
    let own = Step::AttachPolicy { key: key("api"), role: role_arn("api"), policy: policy(&own) };
    scene.answer(&own, Answer::Done);
    scene.wait(10);
    decides(&scene, TO_HOME);
}

#[test]
fn of_the_functions_of_a_role_one_finds_out_whether_its_new_right_has_arrived() {
    let mut scene = scene("vpc = 'orders'\n[[function]]\nname = 'other'\nvpc = 'orders'");
    scene.add("other", "api");
    let other = |scene: &Scene| decided(decide(&scene.world(), &key("other")).as_ref(), scene.now);
    scene.answer(&attach_step(), Answer::Done);
    scene.wait(10);
    assert_eq!(other(&scene), TO_HOME, "nobody has tried yet");
    scene.begin(&set_step());
    assert_eq!(other(&scene), "waiting RoleProbe");
    scene.answer(&set_step(), failed(Class::RoleDenied));
    assert_eq!(other(&scene), "waiting RoleProbe", "the one that was refused tries again");
    scene.answer(&set_step(), Answer::Done);
    assert_eq!(other(&scene), TO_HOME);
    scene.wait(1);
    scene.answer(&attach_step(), Answer::Done);
    scene.wait(10);
    assert_eq!(other(&scene), TO_HOME, "another policy has to arrive, and one function finds out");
    scene.begin(&set_step());
    assert_eq!(other(&scene), "waiting RoleProbe");
    scene.wait(290);
    assert_eq!(other(&scene), TO_HOME, "it is not waited for longer than IAM takes at most");
}

/// Two functions of one role, both refused for its sake before the policy was attached.
fn both_refused() -> Scene {
    let mut scene = scene("vpc = 'orders'\n[[function]]\nname = 'other'\nvpc = 'orders'");
    scene.add("other", "api");
    for name in ["api", "other"] {
        let step = Step::SetVpc { key: key(name), from: Arc::default(), to: home(), revision: None };
        scene.answer(&step, failed(Class::RoleDenied));
    }
    scene.answer(&attach_step(), Answer::Done);
    assert!(scene.memory.moved(scene.now), "whoever waited may try with the new policy");
    scene.wait(10);
    scene
}

#[test]
fn two_functions_that_were_both_refused_before_do_not_wait_for_each_other() {
    let mut scene = both_refused();
    let of = |scene: &Scene, name: &str| decided(decide(&scene.world(), &key(name)).as_ref(), scene.now);
    assert_eq!(of(&scene, "api"), TO_HOME);
    assert_eq!(of(&scene, "other"), TO_HOME, "whoever comes first finds out");
    scene.begin(&set_step());
    assert_eq!(of(&scene, "other"), "waiting RoleProbe");
    assert!(!scene.memory.moved(scene.now), "nothing has ended since");
    scene.answer(&set_step(), Answer::Done);
    assert!(scene.memory.moved(scene.now), "nobody would be woken");
    assert_eq!(of(&scene, "other"), TO_HOME);
}

#[test]
fn a_function_that_finds_out_no_more_is_replaced() {
    let api = || Arc::clone(desired(ORDERS).get(&key("api")).unwrap());
    type End = (&'static str, fn(&mut Scene, &Entry));
    let ends: [End; 5] = [
        ("it left the file", |scene, _| scene.memory.forget(&key("api"))),
        ("its entry is another one", |scene, _| scene.memory.edited(&key("api"))),
        ("its own key is denied", |scene, _| {
            scene.answer(&set_step(), failed(Class::KmsGrant));
        }),
        ("it is blocked", |scene, entry| {
            scene.memory.concluded(entry, &Outcome::blocked(Reason::NoFreeAddress, ""), scene.now);
        }),
        ("it is not heard of", |scene, _| {
            scene.answer(&set_step(), failed(Class::RoleDenied));
            scene.wait(60);
        }),
    ];
    for (what, end) in ends {
        let mut scene = both_refused();
        scene.begin(&set_step());
        let other = |scene: &Scene| decided(decide(&scene.world(), &key("other")).as_ref(), scene.now);
        assert_eq!(other(&scene), "waiting RoleProbe");
        end(&mut scene, &api());
        assert!(scene.memory.moved(scene.now), "{what}: nobody would be woken");
        assert_eq!(other(&scene), TO_HOME, "{what}");
    }
}

#[test]
fn a_role_that_is_denied_after_iam_has_had_its_time_is_denied_for_all_its_functions_and_one_finds_out_anew() {
    let mut scene = scene("vpc = 'orders'\n[[function]]\nname = 'other'\nvpc = 'orders'");
    scene.add("other", "api");
    let of = |scene: &Scene, name: &str| decided(decide(&scene.world(), &key(name)).as_ref(), scene.now);
    let now = scene.now;
    scene.memory.role_denied(role_arn("api").key(), &home(), &Why::new(Reason::RoleDenied, "text"), now);
    assert_eq!(of(&scene, "other"), "blocked RoleDenied for 300s");
    scene.vpc().subnets.push(subnet("c", false));
    assert_eq!(
        of(&scene, "other"),
        "set none -> subnet-a,subnet-b,subnet-c/sg-default",
        "another network, another right"
    );
    scene.vpc().subnets.pop();
    scene.wait(300);
    assert_eq!(of(&scene, "other"), TO_HOME);
    scene.begin(&set_step());
    assert_eq!(of(&scene, "other"), "waiting RoleProbe");
    scene.answer(&set_step(), Answer::Done);
    assert_eq!(of(&scene, "other"), TO_HOME);
}

#[test]
fn one_attach_per_role_however_many_functions_need_it() {
    let mut scene = scene("vpc = 'orders'\n[[function]]\nname = 'other'\nvpc = 'orders'");
    scene.add("other", "api");
    scene.without_policy(Some(Simulated::Missing));
    scene.begin(&Step::AttachPolicy { key: key("other"), role: role_arn("api"), policy: policy(POLICY) });
    decides(&scene, "waiting RoleBusy for 2s");
    // The same policy for another role, and another policy for this role, are other matters.
    for (role, arn) in [("other", POLICY), ("api", "arn:aws:iam::aws:policy/other")] {
        let mut scene = self::scene("vpc = 'orders'\n[[function]]\nname = 'other'\nvpc = 'orders'");
        scene.without_policy(Some(Simulated::Missing));
        scene.begin(&Step::AttachPolicy { key: key("other"), role: role_arn(role), policy: policy(arn) });
        decides(&scene, "attach VPCAccess to api");
    }
}
