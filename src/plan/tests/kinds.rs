//! Functions of a kind of their own: another service's, such that mount a file system, idle ones.

use super::change::{NONE_TO_HOME, check};
use super::*;
use crate::cloud::Exclusion;
use crate::live::EdgeTrust;

#[test]
fn functions_whose_network_is_decided_elsewhere_are_not_touched() {
    let exclusions = [
        (Exclusion::CapacityProvider("arn:x".to_owned()), "blocked CapacityProvider", State::Excluded),
        (Exclusion::EdgeReplica("arn:x".to_owned()), "blocked EdgeReplica", State::Blocked),
    ];
    for (exclusion, expected, state) in exclusions {
        check(ORDERS, |scene| scene.api().excluded = Some(Box::new(exclusion.clone())), expected);
        check("vpc = 'none'", |scene| scene.api().excluded = Some(Box::new(exclusion.clone())), expected);
        let mut excluded = scene(ORDERS);
        excluded.api().excluded = Some(Box::new(exclusion));
        let Verdict::Stuck(outcome) = excluded.compare().verdict else { panic!("not stuck") };
        assert_eq!(outcome.state(), state);
    }
}

#[test]
fn a_function_of_lambda_at_edge_gets_no_vpc_and_one_that_has_one_is_none() {
    let edge = |trusted| move |scene: &mut Scene| scene.role().edge = Some(EdgeTrust { trusted, at: NOW });
    check(ORDERS, edge(Some(true)), "blocked EdgeMaster");
    check(ORDERS, edge(Some(false)), NONE_TO_HOME);
    check("vpc = 'none'", edge(Some(true)), "in sync");
    let mut moved = scene(ORDERS);
    edge(Some(true))(&mut moved);
    moved.api().network = network(&["subnet-a"], &["sg-default"]);
    assert_eq!(compared(&moved.compare().verdict, NOW), format!("set subnet-a/sg-default -> {HOME}"));
    let mut unknown = scene(ORDERS);
    edge(None)(&mut unknown);
    let Comparison { verdict, warnings, .. } = unknown.compare();
    assert_eq!(compared(&verdict, NOW), NONE_TO_HOME);
    assert!(warnings.iter().any(|warning| warning.contains("iam:GetRole")), "{warnings:?}");
}

#[test]
fn a_function_that_mounts_a_file_system_does_not_leave_its_vpc() {
    const POINT: &str = "arn:aws:elasticfilesystem:eu-west-1:123456789012:access-point/fsap-1";
    let mounts = |scene: &mut Scene| scene.api().mounts = Box::new([POINT.to_owned()]);
    let at_home = |scene: &mut Scene| {
        mounts(scene);
        scene.at_home();
    };
    check("vpc = 'none'", at_home, "blocked FileSystemMounted");
    check("vpc = 'none'", mounts, "in sync");
    check(ORDERS, at_home, "in sync");
    let mut leaving = scene("vpc = 'none'");
    at_home(&mut leaving);
    let Verdict::Stuck(outcome) = leaving.compare().verdict else { panic!("not stuck") };
    assert_eq!(outcome.why().unwrap().detail, POINT);
    let mut moved = scene(ORDERS);
    mounts(&mut moved);
    moved.api().network = network(&["subnet-a"], &["sg-default"]);
    assert!(moved.compare().warnings.iter().any(|warning| warning.contains(POINT)), "it may not reach it from there");
}

#[test]
fn an_idle_function_is_in_sync_and_said_to_be_idle() {
    let mut idle = scene(ORDERS);
    idle.at_home();
    idle.api().life = Some(Box::new(Life { state: Lambda::Inactive, update: Update::Successful }));
    let Comparison { verdict, warnings, .. } = idle.compare();
    assert_eq!(verdict, Verdict::InSync);
    assert!(matches!(warnings.as_slice(), [warning] if warning.contains("Inactive")), "{warnings:?}");
}
