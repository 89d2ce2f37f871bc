use super::*;

fn ids(page: &crate::cloud::Page<Subnet>) -> Vec<&str> {
    page.items.iter().map(|subnet| subnet.id.as_str()).collect()
}

fn subnets(stage: &mut Stage, request: &Describe) -> Result<crate::cloud::Page<Subnet>, AwsError> {
    stage.aws.describe_subnets(&stage.at, request, stage.now)
}

#[test]
fn filters_narrow_a_listing_and_all_of_them_must_hold() {
    let mut stage = Stage::demo();
    let vpc = "vpc-0a1b2c3d4e5f60718";
    for (name, value, expected) in [
        ("vpc-id", vpc, 4),
        ("vpc-id", "vpc-0", 0),
        ("tag:tier", "private", 3),
        ("tag:tier", "p*", 4),
        ("tag-key", "tier", 4),
        ("tag:Name", "orders-private-?", 3),
        ("availability-zone-id", "euw1-az1", 2),
        ("availability-zone", "eu-west-1c", 1),
        ("state", "available", 4),
        ("state", "pending", 0),
    ] {
        let page = subnets(&mut stage, &Describe::by(name, [value])).unwrap();
        assert_eq!(page.items.len(), expected, "{name}={value}");
    }
    let mut both = Describe::by("tag:tier", ["private"]);
    both.filters.extend(Describe::by("availability-zone-id", ["euw1-az1", "euw1-az2"]).filters);
    assert_eq!(ids(&subnets(&mut stage, &both).unwrap()), [SUBNET_A, SUBNET_B]);
    refused(
        subnets(&mut stage, &Describe::by("colour", ["red"])),
        400,
        "InvalidParameterValue",
        "The filter 'colour' is invalid",
    );
}

#[test]
fn an_id_that_does_not_exist_fails_the_call_and_a_filter_value_does_not() {
    let mut stage = Stage::demo();
    let by_id = |ids: &[&str]| Describe { ids: ids.iter().map(ToString::to_string).collect(), ..Describe::default() };
    assert_eq!(ids(&subnets(&mut stage, &by_id(&[SUBNET_B])).unwrap()), [SUBNET_B]);
    let missing = subnets(&mut stage, &by_id(&[SUBNET_B, "subnet-0bad"]));
    refused(missing, 400, "InvalidSubnetID.NotFound", "The subnet ID 'subnet-0bad' does not exist");
    let filtered = subnets(&mut stage, &Describe::by("subnet-id", [SUBNET_B, "subnet-0bad"])).unwrap();
    assert_eq!(ids(&filtered), [SUBNET_B]);

    let (at, now) = (stage.at.clone(), stage.now);
    let aws = &mut stage.aws;
    let bad = by_id(&["bad"]);
    refused(aws.describe_vpcs(&at, &bad, now), 400, "InvalidVpcID.NotFound", "The vpc ID 'bad'");
    refused(aws.describe_security_groups(&at, &bad, now), 400, "InvalidGroup.NotFound", "The security group 'bad'");
    refused(aws.describe_route_tables(&at, &bad, now), 400, "InvalidRouteTableID.NotFound", "'bad'");
    refused(aws.describe_network_interfaces(&at, &bad, now), 400, "InvalidNetworkInterfaceID.NotFound", "'bad'");
}

#[test]
fn listings_come_page_by_page() {
    let mut stage = Stage::of(&World::fleet(2000));
    let mut request = Describe { max_results: Some(5), ..Describe::by("tag:tier", ["private"]) };
    let mut seen = Vec::new();
    for expected in [5, 5, 2] {
        let page = subnets(&mut stage, &request).unwrap();
        assert_eq!(page.items.len(), expected);
        seen.extend(page.items.into_iter().map(|subnet| subnet.id));
        request.next_token = page.next.map(|marker| marker.0);
    }
    assert_eq!(request.next_token, None);
    assert!(seen.is_sorted() && seen.len() == 12);
    assert_eq!(subnets(&mut stage, &Describe::default()).unwrap().items.len(), 12);
}

#[test]
fn page_sizes_have_bounds_and_filters_too() {
    let mut stage = Stage::demo();
    let (at, now) = (stage.at.clone(), stage.now);
    let paged = |most| Describe { max_results: Some(most), ..Describe::default() };
    let invalid = "InvalidParameterValue";
    refused(stage.aws.describe_subnets(&at, &paged(4), now), 400, invalid, "greater than or equal to 5");
    refused(stage.aws.describe_subnets(&at, &paged(1001), now), 400, invalid, "less than or equal to 1000");
    refused(stage.aws.describe_route_tables(&at, &paged(101), now), 400, invalid, "less than or equal to 100");
    let many = Describe::by("vpc-id", (0..201).map(|n| format!("vpc-{n}")));
    refused(stage.aws.describe_subnets(&at, &many, now), 400, "FilterLimitExceeded", "200");
}

#[test]
fn the_default_group_is_found_by_its_name() {
    let mut stage = Stage::demo();
    let mut request = Describe::by("group-name", ["default"]);
    request.filters.extend(Describe::by("vpc-id", ["vpc-0a1b2c3d4e5f60718"]).filters);
    let page = stage.aws.describe_security_groups(&stage.at, &request, stage.now).unwrap();
    assert_eq!(page.items.iter().map(|group| group.id.as_str()).collect::<Vec<_>>(), [DEFAULT_GROUP]);
}

#[test]
fn private_subnets_use_the_main_table_and_public_ones_name_theirs() {
    let mut stage = Stage::demo();
    let tables = stage.aws.describe_route_tables(&stage.at, &Describe::default(), stage.now).unwrap().items;
    let (main, other): (Vec<_>, Vec<_>) = tables.iter().partition(|table| table.main);
    assert!(main[0].subnets.is_empty() && main[0].routes.iter().all(|route| !route.target.starts_with("igw-")));
    assert_eq!(other[0].subnets.iter().map(SubnetId::as_str).collect::<Vec<_>>(), ["subnet-0d4d4d4d4d4d4d4d4"]);
    assert!(other[0].routes.iter().any(|route| route.target.starts_with("igw-")));
}

#[test]
fn route_tables_are_found_by_where_they_lead() {
    let mut stage = Stage::demo();
    for (name, value, expected) in [
        ("route.gateway-id", "igw-*", 1),
        ("route.nat-gateway-id", "nat-*", 1),
        ("route.gateway-id", "nat-*", 0),
        ("association.main", "true", 1),
    ] {
        let request = Describe::by(name, [value]);
        let page = stage.aws.describe_route_tables(&stage.at, &request, stage.now).unwrap();
        assert_eq!(page.items.len(), expected, "{name}={value}");
    }
}

#[test]
fn lambdas_interfaces_are_found_by_type_subnet_and_group() {
    let mut stage = Stage::demo();
    for (name, value, expected) in
        [("interface-type", "lambda", 2), ("subnet-id", SUBNET_A, 1), ("group-id", LAMBDA_GROUP, 0)]
    {
        let request = Describe::by(name, [value]);
        let page = stage.aws.describe_network_interfaces(&stage.at, &request, stage.now).unwrap();
        assert_eq!(page.items.len(), expected, "{name}={value}");
    }
    let addresses: std::collections::BTreeSet<String> =
        stage.interfaces().into_iter().map(|interface| interface.address).collect();
    assert_eq!(addresses.len(), 2);
}
