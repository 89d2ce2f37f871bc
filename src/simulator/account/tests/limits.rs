use super::*;
use crate::cloud::Failure;

const PRIVATE: [&str; 3] = [SUBNET_A, SUBNET_B, SUBNET_C];
const INVALID: &str = "InvalidParameterValueException";

/// The demo's world with other limits; the orders' role has its right.
fn stage(limits: &str) -> Stage {
    let declared = World::parse(limits, "test").unwrap();
    let mut world = World::demo().unwrap();
    world.quotas = declared.quotas;
    world.timings = declared.timings;
    world.retired_runtimes = declared.retired_runtimes;
    world.refused_zones = declared.refused_zones;
    let mut stage = Stage::of(&world);
    stage.permit("orders-role");
    stage
}

#[test]
fn an_interface_over_the_quota_is_refused_and_one_that_is_there_is_shared() {
    let mut stage = stage("[quotas]\ninterfaces_per_vpc = 4\n");
    assert_eq!(stage.interfaces().len(), 2);
    let text = "You have exceeded the maximum limit for HyperPlane ENIs for your account.";
    refused(stage.set_vpc("orders-api", &PRIVATE, &[LAMBDA_GROUP]), 400, INVALID, text);
    assert_eq!(stage.get("orders-api").life, settled());
    stage.set_vpc("orders-api", &[SUBNET_A, SUBNET_B], &[LAMBDA_GROUP]).unwrap();
    stage.pass(60).set_vpc("orders-worker", &[SUBNET_A, SUBNET_B], &[LAMBDA_GROUP]).unwrap();
    assert_eq!(stage.pass(60).interfaces().len(), 4);
    refused(stage.set_vpc("orders-api", &[SUBNET_C], &[LAMBDA_GROUP]), 400, INVALID, text);
}

#[test]
fn two_updates_for_the_last_interface_are_both_accepted_and_the_later_one_fails() {
    let mut stage = stage("[quotas]\ninterfaces_per_vpc = 3\n");
    stage.set_vpc("orders-api", &[SUBNET_A], &[LAMBDA_GROUP]).unwrap();
    stage.set_vpc("orders-worker", &[SUBNET_B], &[LAMBDA_GROUP]).unwrap();
    assert_eq!(stage.pass(60).get("orders-api").life, settled());
    let Update::Failed(Failure { code, .. }) = stage.get("orders-worker").life.update else {
        panic!("it did not fail")
    };
    assert_eq!(code, "EniLimitExceeded");
    assert_eq!(stage.interfaces().len(), 3);
}

#[test]
fn listings_may_be_shorter_than_asked_for() {
    let mut world = World::fleet(2100);
    world.quotas = World::parse("[quotas]\nentities_per_page = 40\nec2_page = 7\n", "test").unwrap().quotas;
    let mut stage = Stage::of(&world);
    let (account, at, now) = (stage.at.account.clone(), stage.at.clone(), stage.now);
    let basic = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";
    let (mut pages, mut from) = (Vec::new(), None::<String>);
    loop {
        let page = stage.aws.list_roles_for_policy(&account, basic, Some(1000), from.as_deref(), now).unwrap();
        pages.push(page.items.len());
        from = page.next.map(|marker| marker.0);
        if from.is_none() {
            break;
        }
    }
    assert_eq!(pages, [40, 40, 25]);
    for (asked, expected) in [(None, 7), (Some(1000), 7), (Some(5), 5)] {
        let request = Describe { max_results: asked, ..Describe::default() };
        let page = stage.aws.describe_subnets(&at, &request, now).unwrap();
        assert_eq!((page.items.len(), page.next.is_some()), (expected, true), "{asked:?}");
    }
}

#[test]
fn iam_shows_an_attachment_only_after_a_while_and_repeats_it_without_a_sign() {
    let mut stage = stage("[timings]\niam_reads = 5\n");
    let account = stage.at.account.clone();
    stage.attach("billing-role", VPC_ACCESS).unwrap();
    let actions = ["ec2:CreateNetworkInterface".to_owned()];
    let arn = "arn:aws:iam::123456789012:role/billing-role";
    let shown = |stage: &mut Stage| {
        let now = stage.now;
        let attached = stage.aws.list_attached_role_policies(&account, "billing-role", None, None, now).unwrap();
        let holders = stage.aws.list_roles_for_policy(&account, VPC_ACCESS, None, None, now).unwrap();
        let simulated = stage.aws.simulate_principal_policy(arn, (&actions, &[]), &account, now).unwrap();
        let holds = holders.items.iter().any(|holder| holder.role.as_str() == "billing-role");
        (attached.items.len(), holds, simulated[0].allowed)
    };
    assert_eq!(shown(&mut stage), (1, false, false));
    assert_eq!(shown(stage.pass(4)), (1, false, false));
    assert!(stage.attach("billing-role", VPC_ACCESS).is_ok());
    assert_eq!(shown(stage.pass(1)), (2, true, true));
}

#[test]
fn nothing_is_said_of_an_update_for_a_while_and_another_one_is_refused_all_the_same() {
    let mut stage = stage("[timings]\nupdate = 5\nunsaid = 2\n");
    let deploy = UpdateFunctionConfiguration { memory_size: Some(512), ..UpdateFunctionConfiguration::default() };
    assert_eq!(stage.update("orders-api", &deploy).unwrap().life.update, Update::InProgress);
    assert_eq!(stage.pass(1).get("orders-api").life.update, Update::Unsaid);
    refused(stage.update("orders-api", &deploy), 409, "ResourceConflictException", "An update is in progress");
    assert_eq!(stage.pass(1).get("orders-api").life.update, Update::InProgress);
    assert_eq!(stage.pass(3).get("orders-api").life, settled());
}

#[test]
fn updates_that_make_an_interface_are_counted_while_they_go_on() {
    let mut stage = stage("");
    let counts = |stage: &mut Stage| {
        let now = stage.now;
        stage.aws.advance(now);
        (stage.aws.slow_updates(), stage.aws.most_slow_updates())
    };
    assert_eq!(counts(&mut stage), (0, 0));
    stage.set_vpc("orders-api", &PRIVATE, &[LAMBDA_GROUP]).unwrap();
    stage.pass(1).set_vpc("orders-worker", &PRIVATE, &[LAMBDA_GROUP]).unwrap();
    assert_eq!(counts(&mut stage), (2, 2), "the interfaces of the first are not there yet");
    assert_eq!(counts(stage.pass(5)), (1, 2));
    assert_eq!(counts(stage.pass(1)), (0, 2));
    stage.set_vpc("orders-api", &[SUBNET_A], &[LAMBDA_GROUP]).unwrap();
    assert_eq!(counts(&mut stage), (0, 2), "a known pair is quick");
}

#[test]
fn a_retired_runtime_is_not_updated_unless_the_update_changes_it() {
    let mut stage = stage("retired_runtimes = ['nodejs22.x']\n");
    let text =
        "The runtime parameter of nodejs22.x is no longer supported for creating or updating AWS Lambda functions.";
    refused(stage.set_vpc("orders-worker", &PRIVATE, &[LAMBDA_GROUP]), 400, INVALID, text);
    assert!(stage.set_vpc("orders-api", &PRIVATE, &[LAMBDA_GROUP]).is_ok());
    let newer = UpdateFunctionConfiguration {
        runtime: Some("nodejs24.x".to_owned()),
        ..UpdateFunctionConfiguration::default()
    };
    assert!(stage.update("orders-worker", &newer).is_ok());
}

#[test]
fn subnets_in_a_zone_that_lambda_does_not_support_are_refused() {
    let mut stage = stage("refused_zones = ['euw1-az3']\n");
    let text = "The provided subnets contain availability zone Lambda doesn't support. \
                Please use a different set of subnets.";
    refused(stage.set_vpc("orders-api", &PRIVATE, &[LAMBDA_GROUP]), 400, INVALID, text);
    assert!(stage.set_vpc("orders-api", &[SUBNET_A, SUBNET_B], &[LAMBDA_GROUP]).is_ok());
}

#[test]
fn who_overrules_a_role_decides_what_a_simulation_says_and_lambda_refuses_either_way() {
    let text = "The provided execution role does not have permissions to call CreateNetworkInterface on EC2";
    for (overruled, allowed, by) in [
        (Overruler::Boundary, false, Some(Overruler::Boundary)),
        (Overruler::Organisation, false, Some(Overruler::Organisation)),
        (Overruler::Scoped, true, None),
    ] {
        let mut world = World::demo().unwrap();
        world.roles[0].overruled = Some(overruled);
        let mut stage = Stage::of(&world);
        stage.permit("orders-role").pass(3600);
        refused(stage.set_vpc("orders-api", &PRIVATE, &[LAMBDA_GROUP]), 400, INVALID, text);
        let arn = "arn:aws:iam::123456789012:role/orders/orders-role";
        let actions = ["ec2:CreateNetworkInterface".to_owned()];
        let account = stage.at.account.clone();
        let answers = stage.aws.simulate_principal_policy(arn, (&actions, &[]), &account, stage.now).unwrap();
        assert_eq!((answers[0].allowed, answers[0].overruled_by), (allowed, by), "{overruled:?}");
    }
}

#[test]
fn an_inactive_function_can_be_updated_and_a_failed_one_cannot() {
    let mut world = World::demo().unwrap();
    world.functions[0].state = Some("Inactive".to_owned());
    world.functions[1].state = Some("Failed".to_owned());
    world.functions[1].state_reason_code = Some("InvalidSubnet".to_owned());
    let mut stage = Stage::of(&world);
    let deploy = UpdateFunctionConfiguration { memory_size: Some(512), ..UpdateFunctionConfiguration::default() };
    stage.update("orders-api", &deploy).unwrap();
    assert_eq!(stage.pass(10).get("orders-api").life, Life { state: State::Inactive, update: Update::Successful });
    let State::Failed(Failure { code, .. }) = stage.get("orders-worker").life.state else { panic!("it did not fail") };
    assert_eq!(code, "InvalidSubnet");
    refused(stage.update("orders-worker", &deploy), 409, "ResourceConflictException", "state: Failed");
}

#[test]
fn a_summary_tells_the_quota_of_policies() {
    let mut stage = stage("[quotas]\npolicies_per_role = 25\n");
    let summary = stage.aws.account_summary(&stage.at.account).unwrap();
    assert_eq!(summary, Summary { roles: 3, policies: 0, attached_policies_per_role: 25 });
}
