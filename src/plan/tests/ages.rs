//! How long counts what could not be read again, and what is done meanwhile.

use super::*;
use crate::live::Old;

/// What was last read at this time, and then could not be.
fn old(at: Time) -> Old {
    Old { at, fault: error(Class::Timeout).into() }
}

/// What a comparison gives when something was last read so many seconds ago.
fn compared_after(make_old: fn(&mut Scene, Old), seconds_ago: u64) -> String {
    let mut scene = scene(ORDERS);
    make_old(&mut scene, old(ago(seconds_ago)));
    compared(&scene.compare().verdict, NOW)
}

#[test]
fn what_could_not_be_read_again_counts_for_three_resyncs_and_then_tells_why_not() {
    type Row = (&'static str, fn(&mut Scene, Old), &'static str);
    let rows: [Row; 4] = [
        ("identity", |scene, old| scene.swept().old.identity = Some(old), "unknown Timeout"),
        ("function", |scene, old| scene.swept().old.functions = [(key("api").name, old)].into(), "unknown Timeout"),
        ("vpc", |scene, old| scene.swept().old.vpcs = [(vpc_id("vpc-1"), old)].into(), "unread Timeout"),
        (
            "role",
            |scene, old| {
                scene.role().at = old.at;
                scene.facts.old_roles = [(role_arn("api").key().clone(), old.fault)].into();
            },
            "unread Timeout",
        ),
    ];
    for (what, make_old, then) in rows {
        assert_eq!(compared_after(make_old, 15 * 60), "set none -> subnet-a,subnet-b/sg-default", "{what}");
        assert_eq!(compared_after(make_old, 15 * 60 + 1), then, "{what}");
    }
}

#[test]
fn how_old_it_is_stands_beside_what_is_shown() {
    let mut scene = scene(ORDERS);
    scene.at_home();
    assert_eq!(scene.compare().warnings, [] as [&str; 0]);
    scene.swept().old.functions = [(key("api").name, old(ago(60)))].into();
    scene.swept().old.vpcs = [(vpc_id("vpc-1"), old(ago(120)))].into();
    scene.role().at = ago(180);
    scene.facts.old_roles = [(role_arn("api").key().clone(), old(NOW).fault)].into();
    let told = |what: &str, at: u64| format!("{what} was last read at {}, and could not be since: Timeout", ago(at));
    assert_eq!(scene.compare().warnings, [told("it", 60), told("vpc-1", 120), told("its role api", 180)]);
    assert_eq!(scene.compare().verdict, Verdict::InSync);
}

#[test]
fn sweeps_that_take_long_come_to_their_end_less_often() {
    let mut scene = scene(ORDERS);
    scene.swept().took = seconds(10 * 60);
    scene.swept().old.functions = [(key("api").name, old(ago(45 * 60)))].into();
    assert!(matches!(scene.compare().verdict, Verdict::Differs(_)));
    scene.wait(1);
    assert!(scene.compare().verdict.is_unread());
}

#[test]
fn nothing_is_set_on_the_ground_of_a_vpc_that_was_read_too_long_ago() {
    let mut scene = scene(ORDERS);
    scene.swept().vpcs_at = ago(15 * 60);
    assert!(matches!(scene.decide(), Some(Decision::Do(Step::SetVpc { .. }))));
    scene.wait(1);
    assert_eq!(decided(scene.decide().as_ref(), scene.now), "unread Unread");
    scene.at_home();
    assert_eq!(decided(scene.decide().as_ref(), scene.now), "in sync", "it is known, and nothing is to be set");
}

#[test]
fn a_function_that_was_read_too_long_ago_is_looked_at_before_anything_is_done() {
    for (seconds_ago, needed) in [(300, false), (301, true)] {
        let mut scene = scene(ORDERS);
        scene.api().life = None;
        scene.swept().old.functions = [(key("api").name, old(ago(seconds_ago)))].into();
        assert_eq!(needs_look(&scene.world(), &key("api")), needed, "{seconds_ago}");
    }
}

#[test]
fn a_look_that_fails_changes_nothing_and_says_what_is_not_known() {
    let fault = |class: Class| Fault::from(CloudError { retry_after: Some(seconds(7)), ..error(class) });
    let after = |scene: &Scene, class: Class| {
        let (world, verdict) = (scene.world(), scene.compare().verdict);
        let outcome = unread(&world, scene.desired.get(&key("api")).unwrap(), &verdict, &fault(class));
        (told(&outcome, NOW), outcome.state())
    };
    let differs = scene(ORDERS);
    assert_eq!(after(&differs, Class::Timeout), ("retry Timeout after 7s".to_owned(), State::Progressing));
    assert_eq!(after(&differs, Class::AccessDenied), ("retry AccessDenied after 7s".to_owned(), State::Blocked));
    let mut in_sync = scene(ORDERS);
    in_sync.at_home();
    assert_eq!(after(&in_sync, Class::Timeout), ("in sync".to_owned(), State::InSync));
    in_sync.api().life = Some(Box::new(Life { state: Lambda::Active, update: Update::InProgress }));
    assert_eq!(after(&in_sync, Class::Timeout).0, "retry Timeout after 7s", "whether it has ended is not known");
    let mut gone = scene(ORDERS);
    gone.set_vpc(Seen::Absent);
    assert_eq!(after(&gone, Class::Timeout).0, "blocked VpcNotFound");
}
