//! What an answer means.

use super::*;
use crate::cloud::Simulated;

const CLASSES: [Class; 31] = [
    Class::NotFound,
    Class::AccessDenied,
    Class::Credentials,
    Class::NotAssumed,
    Class::Unreachable,
    Class::Timeout,
    Class::Throttled,
    Class::Ec2Throttled,
    Class::Server,
    Class::Malformed,
    Class::Busy,
    Class::StaleRevision,
    Class::RoleDenied,
    Class::RoleNotAssumable,
    Class::KmsGrant,
    Class::KmsDenied,
    Class::KmsGrantVoid,
    Class::KmsKey,
    Class::Mounted,
    Class::FileSystem,
    Class::Image,
    Class::Startup,
    Class::Network,
    Class::NoAddress,
    Class::InterfaceQuota,
    Class::ServiceQuota,
    Class::PolicyQuota,
    Class::RoleUnmodifiable,
    Class::PolicyNotAttachable,
    Class::Runtime,
    Class::Invalid,
];

/// What a class of error means after AttachRolePolicy, and after UpdateFunctionConfiguration where the policy is on the
/// role. A new class does not compile before it stands here and above.
fn expected(class: Class) -> [&'static str; 2] {
    match class {
        Class::NotFound => ["blocked RoleNotFound", "blocked FunctionNotFound"],
        Class::AccessDenied => ["blocked AccessDenied"; 2],
        Class::Credentials => ["retry Credentials"; 2],
        Class::NotAssumed => ["retry NotAssumed"; 2],
        Class::Unreachable => ["retry Unreachable"; 2],
        Class::Timeout => ["retry Timeout"; 2],
        Class::Throttled => ["retry Throttled"; 2],
        Class::Ec2Throttled => ["retry Ec2Throttled"; 2],
        Class::Server => ["retry ServerError"; 2],
        Class::Malformed => ["retry Malformed"; 2],
        Class::Busy => ["waiting RoleBusy", "waiting Conflict"],
        Class::StaleRevision => ["retry RevisionConflict"; 2],
        Class::RoleDenied => ["blocked RoleDenied", "waiting RoleRefused"],
        Class::RoleNotAssumable => ["blocked RoleNotAssumable", "waiting RoleRefused"],
        Class::KmsGrant => ["blocked KmsGrant", "waiting RoleRefused"],
        Class::KmsDenied => ["blocked KmsAccessDenied"; 2],
        Class::KmsGrantVoid => ["blocked KmsGrantVoid"; 2],
        Class::KmsKey => ["blocked KmsKeyUnusable"; 2],
        Class::Mounted => ["blocked FileSystemMounted"; 2],
        Class::FileSystem => ["blocked FileSystemFailed"; 2],
        Class::Image => ["blocked ImageUnusable"; 2],
        Class::Startup => ["blocked StartFailed"; 2],
        Class::Network => ["blocked NetworkRefused"; 2],
        Class::NoAddress => ["blocked NoFreeAddress"; 2],
        Class::InterfaceQuota => ["blocked InterfaceQuota"; 2],
        Class::ServiceQuota => ["blocked ServiceQuota"; 2],
        Class::PolicyQuota => ["blocked PolicyQuota"; 2],
        Class::RoleUnmodifiable => ["blocked RoleUnmodifiable"; 2],
        Class::PolicyNotAttachable => ["blocked PolicyNotFound"; 2],
        Class::Runtime => ["blocked RuntimeRetired"; 2],
        Class::Invalid => ["blocked Refused"; 2],
    }
}

#[test]
fn every_class_of_error_has_its_meaning_for_both_steps() {
    for class in CLASSES {
        for (step, expected) in [attach_step(), set_step()].iter().zip(expected(class)) {
            let mut scene = scene(ORDERS);
            let outcome = scene.answer(step, failed(class));
            assert_eq!(told(&outcome, NOW), expected, "{class:?} to {}", step.name());
        }
    }
}

#[test]
fn nothing_that_passes_by_itself_is_a_matter_for_people() {
    for class in CLASSES {
        for step in [attach_step(), set_step()] {
            let mut scene = scene(ORDERS);
            let outcome = scene.answer(&step, failed(class));
            let blocked = matches!(outcome, Outcome::Blocked { .. });
            let shown = matches!(outcome.state(), State::Blocked | State::Excluded);
            // New credentials come by themselves where they are made to; where not, somebody has to see to them.
            assert_eq!(
                shown,
                blocked || matches!(class, Class::Credentials | Class::NotAssumed),
                "{class:?} to {}",
                step.name()
            );
            assert_ne!(outcome.state(), State::Unknown, "{class:?} to {}: the function is known", step.name());
            // An outcome that is tried again soon is not held back by what is remembered of it.
            if !blocked {
                scene.wait(60);
                assert!(matches!(scene.decide(), Some(Decision::Do(_))), "{class:?} to {}", step.name());
            }
        }
    }
}

#[test]
fn a_success_is_waited_for_until_it_shows() {
    let done = |step: &Step| told(&scene(ORDERS).answer(step, Answer::Done), NOW);
    assert_eq!(done(&attach_step()), "waiting RolePropagation for 10s");
    assert_eq!(done(&set_step()), "waiting UpdateInProgress for 5s");
}

#[test]
fn a_step_that_could_not_be_recorded_was_not_made() {
    for step in [attach_step(), set_step()] {
        let mut scene = scene(ORDERS);
        let outcome = scene.answer(&step, Answer::NotJournaled("disk full".to_owned()));
        assert_eq!(told(&outcome, NOW), "blocked NotJournaled");
        assert_eq!(outcome.why().unwrap().detail, "disk full");
    }
}

#[test]
fn a_step_that_was_not_sent_has_changed_nothing_and_comes_in_its_turn() {
    for step in [attach_step(), set_step()] {
        let mut scene = scene(ORDERS);
        scene.limits.guard = Some(GuardLimits { max_changes: 10, max_change_percent: 100, approved: Vec::new() });
        let change = scene.change();
        scene.memory.guard.reserve(&change, NOW);
        let outcome = scene.answer(&step, Answer::NotSent { after: seconds(12) });
        assert_eq!((told(&outcome, NOW).as_str(), outcome.state()), ("waiting BudgetTurn for 12s", State::Progressing));
        assert!(!outcome.rests());
        scene.memory.guard.ended(&key("api").name);
        assert_eq!(format!("{:?}", scene.memory.guard).matches("made: true").count(), 0, "nothing was made");
        scene.wait(12);
        assert_eq!(decided(scene.decide().as_ref(), scene.now), "set none -> subnet-a,subnet-b/sg-default");
    }
}

#[test]
fn aws_says_how_long_to_wait_and_what_went_wrong() {
    let slow = CloudError { retry_after: Some(seconds(7)), ..error(Class::Throttled) };
    let outcome = scene(ORDERS).answer(&set_step(), Answer::Failed(slow));
    assert_eq!(told(&outcome, NOW), "retry Throttled after 7s");
    assert_eq!(outcome.why().unwrap().detail, error(Class::Throttled).to_string());
}

/// Lambda refuses for the role's sake, so many seconds after the beginning; what that means.
#[track_caller]
fn refused_at(scene: &mut Scene, class: Class, time: u64, expected: &str) {
    scene.now = NOW + seconds(time);
    let outcome = scene.answer(&set_step(), failed(class));
    assert_eq!(told(&outcome, scene.now), expected);
}

#[test]
fn a_refusal_after_an_attach_is_waited_out_for_five_minutes() {
    let mut scene = scene(ORDERS);
    scene.answer(&attach_step(), Answer::Done);
    refused_at(&mut scene, Class::RoleDenied, 2, "waiting RolePropagation");
    refused_at(&mut scene, Class::RoleDenied, 60, "waiting RolePropagation");
    refused_at(&mut scene, Class::RoleDenied, 301, "waiting RolePropagation");
    refused_at(&mut scene, Class::RoleDenied, 302, "blocked RoleDenied");
    refused_at(&mut scene, Class::RoleDenied, 3000, "blocked RoleDenied");
}

#[test]
fn without_an_attach_of_ours_the_window_begins_at_the_first_refusal() {
    for (class, reason) in [
        (Class::RoleDenied, "RoleDenied"),
        (Class::RoleNotAssumable, "RoleNotAssumable"),
        (Class::KmsGrant, "KmsGrant"),
    ] {
        let mut scene = scene(ORDERS);
        refused_at(&mut scene, class, 1000, "waiting RoleRefused");
        refused_at(&mut scene, class, 1299, "waiting RoleRefused");
        refused_at(&mut scene, class, 1300, &format!("blocked {reason}"));
        let outcome = scene.answer(&set_step(), failed(class));
        let diagnosed = outcome.why().unwrap().detail.contains("simulation");
        assert_eq!(diagnosed, class == Class::RoleDenied, "what IAM allows is no matter of any other refusal");
    }
}

#[test]
fn another_attach_or_another_kind_of_refusal_begins_another_window() {
    let mut scene = scene(ORDERS);
    refused_at(&mut scene, Class::RoleNotAssumable, 0, "waiting RoleRefused");
    refused_at(&mut scene, Class::RoleDenied, 290, "waiting RoleRefused");
    refused_at(&mut scene, Class::RoleDenied, 400, "waiting RoleRefused");
    scene.answer(&attach_step(), Answer::Done);
    refused_at(&mut scene, Class::RoleDenied, 650, "waiting RolePropagation");
    refused_at(&mut scene, Class::RoleDenied, 700, "blocked RoleDenied");
}

#[test]
fn a_success_ends_the_window() {
    let mut scene = scene(ORDERS);
    refused_at(&mut scene, Class::RoleDenied, 0, "waiting RoleRefused");
    scene.answer(&set_step(), Answer::Done);
    assert!(!scene.memory.shown_to_lack_right(&key("api"), scene.now));
    refused_at(&mut scene, Class::RoleDenied, 1000, "waiting RoleRefused");
    scene.agreed();
    refused_at(&mut scene, Class::RoleDenied, 5000, "waiting RoleRefused");
}

/// A refusal where the policy is not on the role and nothing has been attached, and what is decided next.
#[track_caller]
fn refused_without_policy(entry: &str, class: Class, expected: &str, next: &str) {
    for may in [Some(Simulated::Allowed), None] {
        let mut scene = scene(entry);
        scene.without_policy(may);
        let outcome = scene.answer(&set_step(), failed(class));
        assert_eq!(told(&outcome, NOW), expected);
        assert_eq!(decided(scene.decide().as_ref(), NOW), next);
    }
}

#[test]
fn a_refusal_without_the_policy_says_that_it_is_needed_and_the_next_pass_attaches_it() {
    let always = "vpc = 'orders'\nattach_policy = 'always'";
    refused_without_policy(ORDERS, Class::RoleDenied, "waiting PolicyNeeded for 0s", "attach VPCAccess to api");
    refused_without_policy(always, Class::RoleDenied, "waiting PolicyNeeded for 0s", "attach VPCAccess to api");
}

#[test]
fn a_refusal_without_the_policy_is_reported_where_none_may_be_attached() {
    let never = "vpc = 'orders'\nattach_policy = 'never'";
    let again = "set none -> subnet-a,subnet-b/sg-default";
    refused_without_policy(never, Class::RoleDenied, "blocked PolicyMissing", again);
    // With the policy on the role it is a matter of time, then of something that overrules it.
    let mut scene = scene(never);
    refused_at(&mut scene, Class::RoleDenied, 0, "waiting RoleRefused");
    refused_at(&mut scene, Class::RoleDenied, 300, "blocked RoleDenied");
}

#[test]
fn a_role_that_lambda_cannot_assume_is_not_helped_by_a_policy() {
    let again = "set none -> subnet-a,subnet-b/sg-default";
    refused_without_policy(ORDERS, Class::RoleNotAssumable, "waiting RoleRefused", again);
    refused_without_policy(ORDERS, Class::KmsGrant, "waiting RoleRefused", again);
}

#[test]
fn a_policy_that_this_process_attached_is_not_called_missing_while_reads_lag() {
    let mut scene = scene(ORDERS);
    scene.without_policy(Some(Simulated::Missing));
    scene.answer(&attach_step(), Answer::Done);
    refused_at(&mut scene, Class::RoleDenied, 10, "waiting RolePropagation");
    assert_eq!(decided(scene.decide().as_ref(), scene.now), "set none -> subnet-a,subnet-b/sg-default");
}

#[test]
fn a_role_that_is_refused_for_long_although_it_has_the_policy_gets_a_diagnosis() {
    use crate::cloud::Overruler;
    for (said, part) in [
        (Some(Simulated::Overruled(Overruler::Boundary)), "permissions boundary overrules"),
        (Some(Simulated::Overruled(Overruler::Organisation)), "policy of the organisation (SCP) overrules"),
        (Some(Simulated::Overruled(Overruler::Denial)), "denies it explicitly"),
        (Some(Simulated::Missing), "no policy on the role allows it"),
        (Some(Simulated::Allowed), "look for what that does not see"),
        (Some(Simulated::Unclear), "could not tell why"),
        (None, "could not tell why"),
    ] {
        let mut scene = scene(ORDERS);
        scene.answer(&set_step(), failed(Class::RoleDenied));
        assert!(!scene.memory.wants_diagnosis(&key("api"), scene.now));
        scene.wait(119);
        assert!(!scene.memory.wants_diagnosis(&key("api"), scene.now));
        scene.wait(1);
        assert!(scene.memory.wants_diagnosis(&key("api"), scene.now));
        scene.role().simulation = said.map(|said| Simulation { said, at: NOW });
        scene.wait(180);
        let outcome = scene.answer(&set_step(), failed(Class::RoleDenied));
        assert_eq!(told(&outcome, scene.now), "blocked RoleDenied");
        assert!(outcome.why().unwrap().detail.contains(part), "{:?}", outcome.why());
    }
}

#[test]
fn what_the_controller_may_not_do_is_said_first() {
    let text = "User: x is not authorized to perform: lambda:UpdateFunctionConfiguration on resource: arn:x";
    let denied = CloudError { text: text.to_owned(), ..error(Class::AccessDenied) };
    let outcome = scene(ORDERS).answer(&set_step(), Answer::Failed(denied));
    let detail = &outcome.why().unwrap().detail;
    assert!(detail.starts_with("lambda:UpdateFunctionConfiguration on arn:x; "), "{detail}");
}
