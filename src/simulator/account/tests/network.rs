use super::*;
use crate::cloud::Failure;

const PRIVATE: [&str; 3] = [SUBNET_A, SUBNET_B, SUBNET_C];
const NO_RIGHT: &str = "The provided execution role does not have permissions to call CreateNetworkInterface on EC2";

fn request(subnets: Option<&[&str]>, groups: Option<&[&str]>, ipv6: Option<bool>) -> UpdateFunctionConfiguration {
    let list = |ids: Option<&[&str]>| ids.map(|ids| ids.iter().map(ToString::to_string).collect());
    let network = VpcConfigRequest {
        subnet_ids: list(subnets),
        security_group_ids: list(groups),
        ipv6_allowed_for_dual_stack: ipv6,
    };
    UpdateFunctionConfiguration { vpc_config: Some(network), ..UpdateFunctionConfiguration::default() }
}

#[test]
fn a_role_without_the_right_is_refused_until_some_seconds_after_the_policy_is_attached() {
    let mut stage = Stage::demo();
    let invalid = "InvalidParameterValueException";
    refused(stage.set_vpc("orders-api", &PRIVATE, &[LAMBDA_GROUP]), 400, invalid, NO_RIGHT);
    stage.attach("orders-role", VPC_ACCESS).unwrap();
    stage.pass(7);
    refused(stage.set_vpc("orders-api", &PRIVATE, &[LAMBDA_GROUP]), 400, invalid, NO_RIGHT);
    stage.pass(1);
    assert!(stage.set_vpc("orders-api", &PRIVATE, &[LAMBDA_GROUP]).is_ok());
}

#[test]
fn attaching_a_policy_again_does_not_start_the_waiting_anew() {
    let mut stage = Stage::demo();
    stage.attach("orders-role", VPC_ACCESS).unwrap();
    stage.pass(7).attach("orders-role", VPC_ACCESS).unwrap();
    stage.pass(1);
    assert!(stage.set_vpc("orders-api", &PRIVATE, &[LAMBDA_GROUP]).is_ok());
}

#[test]
fn any_policy_that_allows_it_will_do() {
    for policy in ["AdministratorAccess", "AmazonEC2FullAccess", "service-role/AWSLambdaENIManagementAccess"] {
        let mut stage = Stage::demo();
        stage.attach("orders-role", &format!("arn:aws:iam::aws:policy/{policy}")).unwrap();
        stage.pass(8);
        assert!(stage.set_vpc("orders-api", &PRIVATE, &[LAMBDA_GROUP]).is_ok(), "{policy}");
    }
    let mut stage = Stage::demo();
    stage.attach("orders-role", "arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess").unwrap();
    stage.pass(60);
    let answer = stage.set_vpc("orders-api", &PRIVATE, &[LAMBDA_GROUP]);
    refused(answer, 400, "InvalidParameterValueException", NO_RIGHT);
}

#[test]
fn a_role_with_its_own_policy_needs_none_attached_and_an_overruled_one_is_refused_for_ever() {
    let mut world = World::demo().unwrap();
    world.roles[0].inline_vpc_access = true;
    let mut stage = Stage::of(&world);
    assert!(stage.set_vpc("orders-api", &PRIVATE, &[LAMBDA_GROUP]).is_ok());

    world.roles[0].overruled = Some(Overruler::Organisation);
    let mut stage = Stage::of(&world);
    stage.permit("orders-role").pass(3600);
    let answer = stage.set_vpc("orders-api", &PRIVATE, &[LAMBDA_GROUP]);
    refused(answer, 400, "InvalidParameterValueException", NO_RIGHT);
}

#[test]
fn an_update_that_does_not_speak_of_the_network_asks_for_no_right() {
    let mut stage = Stage::demo();
    let deploy = UpdateFunctionConfiguration { memory_size: Some(512), ..UpdateFunctionConfiguration::default() };
    assert_eq!(stage.update("orders-api", &deploy).unwrap().configuration.memory_size, 512);
}

#[test]
fn the_first_function_of_a_pair_waits_for_its_interfaces_and_the_next_does_not() {
    let mut stage = Stage::demo();
    stage.permit("orders-role");
    let free = |stage: &mut Stage| {
        let all = stage.aws.describe_subnets(&stage.at, &Describe::by("subnet-id", [SUBNET_C]), stage.now).unwrap();
        all.items[0].free_addresses
    };
    let before = free(&mut stage);
    let there = stage.interfaces().len();
    stage.set_vpc("orders-api", &PRIVATE, &[LAMBDA_GROUP]).unwrap();
    assert_eq!(stage.pass(5).get("orders-api").life.update, Update::InProgress);
    assert_eq!(stage.interfaces().len(), there);
    assert_eq!(stage.pass(1).get("orders-api").life, settled());
    assert_eq!(stage.interfaces().len(), there + 3);
    assert_eq!(free(&mut stage), before - 1);

    stage.set_vpc("orders-worker", &PRIVATE, &[LAMBDA_GROUP]).unwrap();
    assert_eq!(stage.pass(2).get("orders-worker").life, settled());
    assert_eq!(stage.interfaces().len(), there + 3);
    assert_eq!(free(&mut stage), before - 1);
}

#[test]
fn the_same_subnets_with_other_groups_are_new_pairs() {
    let mut stage = Stage::demo();
    let there = stage.permit("orders-role").interfaces().len();
    for (seconds, groups) in
        [(6, &[LAMBDA_GROUP][..]), (6, &[LAMBDA_GROUP, DEFAULT_GROUP]), (2, &[DEFAULT_GROUP, LAMBDA_GROUP])]
    {
        stage.set_vpc("orders-api", &[SUBNET_A], groups).unwrap();
        assert_eq!(stage.pass(seconds - 1).get("orders-api").life.update, Update::InProgress, "{groups:?}");
        assert_eq!(stage.pass(1).get("orders-api").life, settled(), "{groups:?}");
    }
    assert_eq!(stage.interfaces().len(), there + 2);
}

#[test]
fn a_subnet_without_a_free_address_fails_the_update_and_the_old_network_stays() {
    let mut world = World::demo().unwrap();
    world.subnets[1].free_addresses = Some(0);
    world.functions.pop();
    let mut stage = Stage::of(&world);
    stage.permit("orders-role");
    let answered = stage.set_vpc("orders-api", &PRIVATE, &[LAMBDA_GROUP]).unwrap();
    assert!(answered.configuration.vpc_config.is_some());
    let after = stage.pass(6).get("orders-api");
    let Update::Failed(Failure { code, .. }) = after.life.update else { panic!("{:?}", after.life) };
    assert_eq!(code, "SubnetOutOfIPAddresses");
    assert_eq!(after.configuration.vpc_config, None);
    assert_eq!(stage.interfaces(), []);
    assert!(stage.set_vpc("orders-api", &[SUBNET_A], &[LAMBDA_GROUP]).is_ok(), "a failed update can be followed");
}

#[test]
fn never_attached_and_detached_look_different() {
    let mut stage = Stage::demo();
    assert_eq!(stage.get("orders-api").configuration.vpc_config, None);
    stage.set_vpc("legacy-report", &[], &[]).unwrap();
    assert_eq!(stage.pass(2).get("legacy-report").configuration.vpc_config, Some(VpcConfig::default()));
}

#[test]
fn detaching_needs_no_right() {
    let mut stage = Stage::demo();
    stage.aws.detach_role_policy(&stage.at.account, "legacy-role", VPC_ACCESS).unwrap();
    assert!(stage.set_vpc("legacy-report", &[], &[]).is_ok());
}

#[test]
fn omitted_members_keep_their_value_and_empty_lists_clear() {
    let mut stage = Stage::demo();
    let groups = stage.update("legacy-report", &request(None, Some(&[LAMBDA_GROUP]), None)).unwrap();
    let config = groups.configuration.vpc_config.unwrap();
    assert_eq!(config.subnets.iter().map(SubnetId::as_str).collect::<Vec<_>>(), [SUBNET_A, SUBNET_B]);
    assert_eq!(config.security_groups.iter().map(SecurityGroupId::as_str).collect::<Vec<_>>(), [LAMBDA_GROUP]);
    assert_eq!(config.vpc.unwrap().as_str(), "vpc-0a1b2c3d4e5f60718");
    stage.pass(10);
    refused(
        stage.update("legacy-report", &request(Some(&[]), None, None)),
        400,
        "InvalidParameterValueException",
        "SubnetIds and SecurityIds must coexist or be both empty list.",
    );
    let nothing = stage.update("legacy-report", &request(None, None, None)).unwrap();
    assert_eq!(nothing.configuration.vpc_config.unwrap().subnets.len(), 2);
}

#[test]
fn ids_given_twice_are_kept_once_in_their_order() {
    let mut stage = Stage::demo();
    stage.permit("orders-role");
    let answer = stage.set_vpc("orders-api", &[SUBNET_B, SUBNET_A, SUBNET_B], &[LAMBDA_GROUP, LAMBDA_GROUP]).unwrap();
    let config = answer.configuration.vpc_config.unwrap();
    assert_eq!(config.subnets.iter().map(SubnetId::as_str).collect::<Vec<_>>(), [SUBNET_B, SUBNET_A]);
    assert_eq!(config.security_groups.len(), 1);
}

#[test]
fn networks_that_lambda_does_not_accept() {
    let mut world = World::demo().unwrap();
    let other = World::parse(
        "[[vpc]]\nid = 'vpc-2'\n[[subnet]]\nid = 'subnet-2'\nvpc = 'vpc-2'\n\
         [[security_group]]\nid = 'sg-2'\nvpc = 'vpc-2'\n",
        "test",
    )
    .unwrap();
    world.vpcs.extend(other.vpcs);
    world.subnets.extend(other.subnets);
    world.security_groups.extend(other.security_groups);
    let mut stage = Stage::of(&world);
    stage.permit("orders-role");

    let many: Vec<String> = (0..17).map(|n| format!("subnet-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let groups: Vec<String> = (0..6).map(|n| format!("sg-{n}")).collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let (invalid, malformed) = ("InvalidParameterValueException", "ValidationException");
    for (subnets, security_groups, ipv6, code, part) in [
        (
            &["subnet-0bad"][..],
            &[LAMBDA_GROUP][..],
            false,
            invalid,
            "Error occurred while DescribeSubnets. EC2 Error Code: InvalidSubnetID.NotFound. \
             EC2 Error Message: The subnet ID 'subnet-0bad' does not exist",
        ),
        (
            &[SUBNET_A],
            &["sg-0bad"],
            false,
            invalid,
            "Error occurred while DescribeSecurityGroups. EC2 Error Code: InvalidGroup.NotFound. \
             EC2 Error Message: The security group 'sg-0bad' does not exist",
        ),
        (&[SUBNET_A], &["sg-2"], false, invalid, "Security Groups are required to be in the same VPC"),
        (&[SUBNET_A, "subnet-2"], &[LAMBDA_GROUP], false, invalid, "same VPC"),
        (&[SUBNET_A], &[], false, invalid, "SubnetIds and SecurityIds must coexist or be both empty list."),
        (&[], &[LAMBDA_GROUP], false, invalid, "SubnetIds and SecurityIds must coexist or be both empty list."),
        (&[], &[], true, invalid, "Ipv6AllowedForDualStack cannot be true without subnet or security groups."),
        (&[SUBNET_A], &[LAMBDA_GROUP], true, invalid, "Ipv6AllowedForDualStack"),
        (
            &many,
            &[LAMBDA_GROUP],
            false,
            malformed,
            "'vpcConfig.subnetIds' failed to satisfy constraint: Member must have length less than or equal to 16",
        ),
        (
            &[SUBNET_A],
            &groups,
            false,
            malformed,
            "'vpcConfig.securityGroupIds' failed to satisfy constraint: Member must have length less than or equal to 5",
        ),
        (
            &["subnet_1"],
            &[LAMBDA_GROUP],
            false,
            malformed,
            "Value '[subnet_1]' at 'vpcConfig.subnetIds' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to 0, Member must satisfy regular expression pattern: subnet-[0-9a-z]*",
        ),
        (&["x"], &["y"], false, malformed, "2 validation errors detected"),
    ] {
        let answer = stage.update("orders-api", &request(Some(subnets), Some(security_groups), Some(ipv6)));
        refused(answer, 400, code, part);
    }
    assert_eq!(stage.get("orders-api").life, settled(), "a refused update leaves nothing behind");
}

#[test]
fn ipv6_goes_with_dual_stack_subnets() {
    let mut world = World::demo().unwrap();
    world.subnets[0].ipv6 = true;
    let mut stage = Stage::of(&world);
    stage.permit("orders-role");
    stage.update("orders-api", &request(Some(&[SUBNET_A]), Some(&[LAMBDA_GROUP]), Some(true))).unwrap();
    stage.pass(10);
    // The flag is kept where it is not named, which makes the detaching fail.
    refused(
        stage.update("orders-api", &request(Some(&[]), Some(&[]), None)),
        400,
        "InvalidParameterValueException",
        "Please remove Ipv6AllowedForDualStack value from your request and try again.",
    );
    assert!(stage.set_vpc("orders-api", &[], &[]).is_ok());
}

#[test]
fn an_interface_that_nobody_needs_is_given_back_in_twenty_minutes_and_its_address_with_it() {
    let mut stage = Stage::demo();
    let free = |stage: &mut Stage| {
        let page = stage.aws.describe_subnets(&stage.at, &Describe::by("subnet-id", [SUBNET_A]), stage.now).unwrap();
        page.items[0].free_addresses
    };
    let interfaces = |stage: &mut Stage| {
        stage.aws.describe_network_interfaces(&stage.at, &Describe::default(), stage.now).unwrap().items.len()
    };
    let (there, before) = (interfaces(&mut stage), free(&mut stage));
    stage.attach("orders-role", VPC_ACCESS).unwrap();
    stage.now = stage.now + Duration::from_secs(60);
    for name in ["orders-api", "orders-worker"] {
        stage.update(name, &request(Some(&[SUBNET_A]), Some(&[LAMBDA_GROUP]), None)).unwrap();
    }
    stage.now = stage.now + Duration::from_secs(60);
    assert_eq!((interfaces(&mut stage), free(&mut stage)), (there + 1, before - 1), "two functions share one");
    for name in ["orders-api", "orders-worker"] {
        stage.update(name, &request(Some(&[]), Some(&[]), None)).unwrap();
        stage.now = stage.now + Duration::from_secs(10 * 60);
    }
    stage.now = stage.now + Duration::from_secs(9 * 60);
    assert_eq!((interfaces(&mut stage), free(&mut stage)), (there + 1, before - 1), "the last one left 19 minutes ago");
    stage.now = stage.now + Duration::from_secs(2 * 60);
    assert_eq!((interfaces(&mut stage), free(&mut stage)), (there, before));
}

#[test]
fn who_may_not_look_at_the_network_may_put_no_function_into_it() {
    for right in ["DescribeSubnets", "DescribeSecurityGroups", "DescribeVpcs", "GetSecurityGroupsForVpc"] {
        let mut stage = Stage::demo();
        stage.attach("orders-role", VPC_ACCESS).unwrap();
        stage.now = stage.now + Duration::from_secs(60);
        stage.aws.denied.insert(right.to_owned());
        let answer = stage.update("orders-api", &request(Some(&[SUBNET_A]), Some(&[LAMBDA_GROUP]), None));
        refused(answer, 403, "AccessDeniedException", "your request credentials have permission to");
        let described = UpdateFunctionConfiguration { description: Some("new".to_owned()), ..Default::default() };
        stage.update("orders-api", &described).unwrap();
    }
}
