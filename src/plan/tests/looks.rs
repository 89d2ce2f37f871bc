//! When a function has to be looked at, and when a sweep has told enough.

use super::decide::{as_is, life};
use super::*;
use crate::cloud::Failure;

#[test]
fn what_a_sweep_cannot_tell_of_an_update_that_goes_on_needs_a_look() {
    type Done = fn(&mut Scene);
    let cases: [(Done, bool); 12] = [
        (|scene| scene.api().life = None, false),
        (|scene| (scene.api().life, scene.api().modified) = (None, Some(ago(15 * 60 - 1))), true),
        (|scene| (scene.api().life, scene.api().modified) = (None, Some(ago(15 * 60))), false),
        (|scene| (scene.api().life, scene.api().modified) = (None, None), false),
        (
            |scene| {
                scene.answer(&set_step(), Answer::Done);
                scene.api().life = None;
            },
            true,
        ),
        (as_is, false),
        (|scene| scene.api().modified = Some(NOW), false),
        (|scene| life(Lambda::Active, Update::InProgress)(scene), true),
        (|scene| life(Lambda::Active, Update::Unsaid)(scene), true),
        (|scene| life(Lambda::Pending, Update::Successful)(scene), true),
        (|scene| life(Lambda::Active, Update::Failed(Failure::default()))(scene), false),
        (|scene| scene.set_api(Seen::Absent), false),
    ];
    for (number, (done, expected)) in cases.into_iter().enumerate() {
        let mut scene = scene(ORDERS);
        done(&mut scene);
        assert_eq!(may_be_unfinished(&scene.world(), &key("api")), expected, "case {number}");
    }
}

#[test]
fn what_a_sweep_saw_a_moment_ago_and_has_a_revision_needs_no_look_before_an_update() {
    let listed = || {
        let mut scene = scene(ORDERS);
        scene.api().life = None;
        scene
    };
    let needs = |scene: &Scene| needs_look(&scene.world(), &key("api"));
    assert!(!needs(&listed()));
    let mut later = listed();
    later.wait(300);
    assert!(!needs(&later));
    type Doubt = (&'static str, fn(&mut Scene));
    let doubts: [Doubt; 9] = [
        ("it is too long ago", |scene| scene.wait(301)),
        ("we sent an update since", |scene| scene.facts.outdated(&key("api").name)),
        ("nobody knows when it changed", |scene| scene.api().modified = None),
        ("an update may be going on", |scene| scene.api().modified = Some(ago(60))),
        ("it was not seen", |scene| scene.set_api(Seen::Unknown(Fault::Unread))),
        ("its role was not seen", |scene| scene.set_role(Seen::Unknown(Fault::Unread))),
        ("its role was not asked about the policy", |scene| scene.role().asked = Asked::Only(Arc::default())),
        ("its role was seen too long ago", |scene| scene.role().at = ago(301)),
        ("Lambda refused it for its role's sake", |scene| {
            scene.answer(&set_step(), failed(Class::RoleDenied));
        }),
    ];
    for (what, done) in doubts {
        let mut scene = listed();
        done(&mut scene);
        assert!(needs(&scene), "{what}");
    }
    for (seconds_ago, needed) in [(0, false), (300, false), (301, true)] {
        let mut looked = listed();
        looked.role().at = ago(600);
        looked.facts.looked_at.insert(key("api").name, ago(seconds_ago));
        assert_eq!(needs(&looked), needed, "a look that was made {seconds_ago} s ago is as good as a sweep");
    }
    let mut detached = scene("vpc = 'none'");
    detached.set_role(Seen::Unknown(Fault::Unread));
    assert!(!needs(&detached), "a function that is to leave its VPC needs no right");
}
