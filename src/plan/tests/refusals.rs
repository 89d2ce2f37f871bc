//! What was refused, and when the same is tried again.

use super::decide::{TO_HOME, decides, life};
use super::*;
use crate::cloud::Failure;
use crate::cloud::Simulated;

#[test]
fn a_refused_network_is_not_tried_again_until_it_has_cooled_down() {
    for (class, reason, cool_down) in [
        (Class::Network, "NetworkRefused", 1800),
        (Class::Runtime, "RuntimeRetired", 24 * 60 * 60),
        (Class::Invalid, "Refused", 1800),
        (Class::InterfaceQuota, "InterfaceQuota", 300),
        (Class::AccessDenied, "AccessDenied", 300),
    ] {
        let mut scene = scene(ORDERS);
        scene.answer(&set_step(), failed(class));
        decides(&scene, &format!("blocked {reason} for {cool_down}s"));
        scene.wait(cool_down - 1);
        decides(&scene, &format!("blocked {reason} for 1s"));
        scene.wait(1);
        decides(&scene, TO_HOME);
    }
}

#[test]
fn a_refusal_is_dropped_with_its_target_or_when_somebody_asks() {
    let mut moved = scene(ORDERS);
    moved.answer(&set_step(), failed(Class::Network));
    moved.vpc().subnets.push(subnet("c", false));
    decides(&moved, "set none -> subnet-a,subnet-b,subnet-c/sg-default");
    let mut mended = scene(ORDERS);
    mended.answer(&set_step(), failed(Class::Runtime));
    mended.api().revision = RevisionId::parse("r2").ok();
    decides(&mended, TO_HOME);
    let mut asked = scene(ORDERS);
    asked.answer(&set_step(), failed(Class::Network));
    asked.memory.forget_refusals();
    decides(&asked, TO_HOME);
    let mut released = scene(ORDERS);
    released.answer(&set_step(), failed(Class::Network));
    released.memory.forget(&key("api"));
    decides(&released, TO_HOME);
}

#[test]
fn what_may_pass_by_itself_is_not_remembered() {
    for class in [
        Class::Busy,
        Class::StaleRevision,
        Class::Throttled,
        Class::Ec2Throttled,
        Class::Server,
        Class::Timeout,
        Class::Malformed,
        Class::Unreachable,
        // Credentials are a matter of the whole scope: with new ones every function goes on at once.
        Class::Credentials,
        // The next look sees whether the function is there; a new one of that name was never refused.
        Class::NotFound,
    ] {
        let mut scene = scene(ORDERS);
        scene.answer(&set_step(), failed(class));
        assert_eq!(decided(scene.decide().as_ref(), scene.now), TO_HOME, "{class:?}");
    }
    let mut scene = scene(ORDERS);
    scene.answer(&set_step(), Answer::NotJournaled("disk full".to_owned()));
    decides(&scene, TO_HOME);
}

#[test]
fn a_policy_that_could_not_be_attached_is_not_tried_again_for_any_function_of_the_role() {
    for (class, reason, cool_down) in [
        (Class::PolicyQuota, "PolicyQuota", 300),
        (Class::AccessDenied, "AccessDenied", 300),
        (Class::NotFound, "RoleNotFound", 300),
        (Class::RoleUnmodifiable, "RoleUnmodifiable", 1800),
        (Class::PolicyNotAttachable, "PolicyNotFound", 1800),
    ] {
        let mut scene = scene("vpc = 'orders'\n[[function]]\nname = 'other'\nvpc = 'orders'");
        scene.add("other", "api");
        scene.without_policy(Some(Simulated::Missing));
        scene.answer(&attach_step(), failed(class));
        let expected = format!("blocked {reason} for {cool_down}s");
        decides(&scene, &expected);
        assert_eq!(decided(decide(&scene.world(), &key("other")).as_ref(), scene.now), expected);
        scene.wait(cool_down);
        decides(&scene, "attach VPCAccess to api");
    }
    for class in [Class::Busy, Class::Throttled, Class::Server, Class::Timeout, Class::Unreachable, Class::Credentials]
    {
        let mut scene = scene(ORDERS);
        scene.without_policy(Some(Simulated::Missing));
        scene.answer(&attach_step(), failed(class));
        assert_eq!(decided(scene.decide().as_ref(), scene.now), "attach VPCAccess to api", "{class:?}");
    }
}

#[test]
fn an_update_of_ours_that_lambda_gave_up_is_tried_again_later() {
    for (code, cool_down, expected) in [
        ("SubnetOutOfIPAddresses", 300, "blocked NoFreeAddress for 300s"),
        ("EniLimitExceeded", 300, "blocked InterfaceQuota for 300s"),
        ("InvalidSubnet", 300, "blocked NetworkRefused for 300s"),
        ("a code that nobody knows", 300, "blocked UpdateFailed for 300s"),
        ("InternalError", 30, "retry ServerError after 30s"),
        ("KMSKeyAccessDenied", 300, "blocked KmsGrant for 300s"),
        ("DisabledKMSKey", 300, "blocked KmsKeyUnusable for 300s"),
        ("EFSMountTimeout", 300, "blocked FileSystemFailed for 300s"),
        ("ImageDeleted", 300, "blocked ImageUnusable for 300s"),
        ("FunctionError.InitTimeout", 300, "blocked StartFailed for 300s"),
        ("VcpuLimitExceeded", 300, "blocked ServiceQuota for 300s"),
        ("EC2RequestLimitExceeded", 30, "retry Ec2Throttled after 30s"),
        ("InsufficientRolePermissions", 30, "retry RoleRefused after 30s"),
    ] {
        let mut scene = scene(ORDERS);
        scene.answer(&set_step(), Answer::Done);
        assert!(scene.memory.awaits_update(&key("api")));
        let failure = Failure { code: code.to_owned(), text: "text".to_owned() };
        life(Lambda::Active, Update::Failed(failure))(&mut scene);
        let seen = scene.api().clone();
        scene.memory.looked(&key("api"), &seen, scene.now);
        assert!(!scene.memory.awaits_update(&key("api")));
        decides(&scene, expected);
        let said = scene.decide().map(|decision| format!("{decision:?}")).unwrap_or_default();
        assert!(said.contains(&format!("{code}: text")), "{said}");
        scene.wait(cool_down);
        // A second look at the same failure is not a second failure.
        scene.memory.looked(&key("api"), &seen, scene.now);
        decides(&scene, TO_HOME);
    }
}

#[test]
fn an_update_that_lambda_gives_up_for_the_roles_sake_is_blocked_when_iam_has_had_its_time() {
    let mut scene = scene(ORDERS);
    let failure = Failure { code: "InsufficientRolePermissions".to_owned(), text: "text".to_owned() };
    life(Lambda::Active, Update::Failed(failure))(&mut scene);
    for (wait, expected) in
        [(0, "retry RoleRefused after 30s"), (299, "retry RoleRefused after 30s"), (1, "blocked RoleDenied for 300s")]
    {
        scene.wait(wait);
        scene.answer(&set_step(), Answer::Done);
        let seen = scene.api().clone();
        scene.memory.looked(&key("api"), &seen, scene.now);
        decides(&scene, expected);
    }
}

#[test]
fn the_grant_for_a_role_that_was_made_anew_is_told_with_what_makes_it_again() {
    let mut scene = scene(ORDERS);
    let told = "run `aws lambda update-function-configuration --region eu-west-1 --function-name api --role ARN` twice, with \
                another role first and its own then; ";
    let outcome = scene.answer(&set_step(), failed(Class::KmsGrantVoid));
    assert!(outcome.why().unwrap().detail.starts_with(told), "{outcome:?}");
    scene.wait(60);
    decides(&scene, "blocked KmsGrantVoid for 240s");
    assert!(format!("{:?}", scene.decide()).contains(told), "nor is it forgotten while nothing is tried");
}

#[test]
fn a_right_that_was_attached_long_ago_is_not_waited_for_again() {
    let mut scene = scene(ORDERS);
    scene.answer(&attach_step(), Answer::Done);
    scene.wait(3600);
    let outcome = scene.answer(&set_step(), failed(Class::RoleDenied));
    assert_eq!(super::told(&outcome, scene.now), "waiting RoleRefused");
    assert_eq!(outcome.state(), State::Progressing);
}

#[test]
fn an_attach_whose_answer_was_lost_may_have_given_the_right_and_is_waited_for() {
    let set = |answer: Answer| {
        let mut scene = scene(ORDERS);
        scene.answer(&attach_step(), answer);
        scene.wait(5);
        let outcome = scene.answer(&set_step(), failed(Class::RoleDenied));
        super::told(&outcome, scene.now)
    };
    assert_eq!(set(failed(Class::Timeout)), "waiting RolePropagation");
    let refused = CloudError { status: Some(400), ..error(Class::Throttled) };
    assert_eq!(set(Answer::Failed(refused)), "waiting RoleRefused");
}
