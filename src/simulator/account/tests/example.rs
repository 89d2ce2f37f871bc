//! The example of everything that can go wrong, as it is in the repository.

use super::*;
use crate::cloud::{Exclusion, Failure};

const EXAMPLE: &str = include_str!("../../world/faults.toml");

fn example() -> Stage {
    Stage::of(&World::parse(EXAMPLE, "faults.toml").unwrap())
}

#[test]
fn every_key_of_the_example_is_heard() {
    let mut stage = example();
    let account = stage.at.account.clone();
    let seconds = Duration::from_secs;
    let timings = Timings {
        update: seconds(3),
        new_interface: seconds(90),
        propagation: seconds(8),
        pending: seconds(3),
        iam_reads: seconds(2),
        unsaid: seconds(1),
        lists: seconds(2),
        release: seconds(600),
    };
    assert_eq!(stage.aws.timings, timings);
    let quotas = Quotas { interfaces_per_vpc: 4, entities_per_page: Some(10), ec2_page: Some(5), ..Quotas::real() };
    assert_eq!(stage.aws.quotas, quotas);
    assert_eq!(stage.aws.faults.left().count(), 14);
    let vpc = stage.aws.describe_vpcs(&stage.at, &Describe::default(), stage.now).unwrap().items.remove(0);
    assert_eq!((vpc.owner.as_str(), vpc.tags.len()), ("210987654321", 0));
    let subnets = stage.aws.describe_subnets(&stage.at, &Describe::default(), stage.now).unwrap().items;
    assert!(subnets.iter().all(|subnet| subnet.owner == vpc.owner));
    let group = stage.aws.describe_security_groups(&stage.at, &Describe::default(), stage.now).unwrap().items.remove(0);
    assert_eq!(group.owner, vpc.owner);
    let provider = "arn:aws:lambda:eu-west-1:123456789012:capacity-provider:orders".to_owned();
    assert_eq!(stage.get("provided").excluded, Some(Exclusion::CapacityProvider(provider)));
    let master = "arn:aws:lambda:us-east-1:123456789012:function:edge:3".to_owned();
    assert_eq!(stage.get("us-east-1.edge").excluded, Some(Exclusion::EdgeReplica(master)));
    assert_eq!(stage.get("idle").life.state, State::Inactive);
    let point = "arn:aws:elasticfilesystem:eu-west-1:123456789012:access-point/fsap-0f0f0f0f0f0f0f0f0";
    assert_eq!(stage.get("mounting").configuration.file_systems[0].arn, point);
    assert_eq!(stage.get("mounting").tags["aws:cloudformation:stack-name"], "orders");
    assert!(stage.get("encrypted").grant_void);
    assert!(stage.aws.get_role(&account, "edge-role").unwrap().edge);
    let why = Failure { code: "InvalidSubnet".to_owned(), text: "The subnet ID is not valid.".to_owned() };
    assert_eq!(stage.get("broken").life.state, State::Failed(why));
    let aliases = stage.aws.list_aliases(&stage.at, "published", None, None, stage.now).unwrap().items;
    let leads = |alias: &Alias| format!("{} {:?}", alias.name, alias.versions);
    assert_eq!(aliases.iter().map(leads).collect::<Vec<_>>(), ["canary {1, 2}", "live {1}"]);
}

#[test]
fn the_example_refuses_what_it_says_it_refuses() {
    let mut stage = example();
    let (subnets, groups) = ([SUBNET_A, SUBNET_B], [LAMBDA_GROUP]);
    let (invalid, no_right) = ("InvalidParameterValueException", "does not have permissions to call");
    for (name, subnets, part) in [
        ("bounded", &subnets[..], no_right),
        ("organised", &subnets, no_right),
        ("scoped", &subnets, no_right),
        ("old", &subnets, "The runtime parameter of nodejs12.x"),
        ("moved", &[SUBNET_C], "availability zone Lambda doesn't support"),
        ("encrypted", &subnets, "does not refer to a valid principal"),
    ] {
        refused(stage.set_vpc(name, subnets, &groups), 400, invalid, part);
    }
    refused(stage.set_vpc("mounting", &[], &[]), 400, invalid, "cannot be removed with access point");
}

#[test]
fn the_meddlers_of_the_example_come_in_turn() {
    let mut stage = example();
    stage.set_vpc("contested", &[SUBNET_A], &[LAMBDA_GROUP]).unwrap();
    let attached = |function: Function| function.configuration.vpc_config.is_some_and(|it| it.vpc.is_some());
    assert!(attached(stage.pass(119).get("contested")), "the first turn found it busy");
    assert!(!attached(stage.pass(1).get("contested")));
    let account = stage.at.account.clone();
    let policies = stage.aws.list_attached_role_policies(&account, "shared-role", None, None, stage.now).unwrap();
    assert_eq!(policies.items, []);
    assert!(!attached(stage.pass(3600).get("moved")), "its role has lost the right by then");
}
