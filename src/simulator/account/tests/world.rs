use super::*;
use crate::simulator::WorldError;

#[track_caller]
fn wrong(text: &str, parts: &[&str]) {
    let built = World::parse(text, "world.toml").and_then(|world| world.build(Time::default()));
    let error = built.err().map(|error: WorldError| error.to_string()).unwrap_or_default();
    for part in parts {
        assert!(error.contains(part), "`{error}` does not contain `{part}`");
    }
}

#[test]
fn the_demo_holds_what_it_promises() {
    let mut stage = Stage::demo();
    let names: Vec<String> = stage
        .aws
        .list_functions(&stage.at, None, None, stage.now)
        .unwrap()
        .items
        .iter()
        .map(|function| function.name.to_string())
        .collect();
    assert_eq!(names, ["billing-report", "legacy-report", "orders-api", "orders-worker"]);
    let vpcs = stage.aws.describe_vpcs(&stage.at, &Describe::by("tag:Name", ["orders"]), stage.now).unwrap();
    assert_eq!(vpcs.items[0].id.as_str(), "vpc-0a1b2c3d4e5f60718");
    let attached = stage.get("legacy-report");
    assert_eq!(attached.life, settled());
    assert!(attached.modified < stage.now);
    assert_eq!(attached.configuration.vpc_config.unwrap().subnets.len(), 2);
    let api = stage.get("orders-api");
    assert_eq!(api.configuration.role.as_str(), "arn:aws:iam::123456789012:role/orders/orders-role");
}

#[test]
fn a_fleet_is_as_large_as_wanted() {
    let mut stage = Stage::of(&World::fleet(1001));
    let roles: std::collections::BTreeSet<String> =
        (0..1001).map(|n| stage.get(&format!("function-{n:05}")).configuration.role.key().name.to_string()).collect();
    assert_eq!(roles.len(), 51);
    assert_eq!(stage.aws.describe_vpcs(&stage.at, &Describe::default(), stage.now).unwrap().items.len(), 3);
    assert_eq!(Stage::of(&World::fleet(0)).interfaces(), []);
}

#[test]
fn accounts_and_regions_are_kept_apart() {
    let text = "[defaults]\naccount = '111111111111'\nregion = 'us-gov-west-1'\n\
                [[vpc]]\nid = 'vpc-1'\naccount = '222222222222'\nregion = 'us-gov-east-1'\n\
                [[role]]\nname = 'r'\n[[function]]\nname = 'f'\nrole = 'r'\n";
    let mut aws = World::parse(text, "test").unwrap().build(Time::default()).unwrap();
    let scope =
        |account, region| Scope { account: AccountId::parse(account).unwrap(), region: Region::parse(region).unwrap() };
    let mut count = |at: Scope| {
        let functions = aws.list_functions(&at, None, None, Time::default()).unwrap().items;
        let vpcs = aws.describe_vpcs(&at, &Describe::default(), Time::default()).unwrap().items.len();
        (functions.first().map(|function| function.configuration.role.as_str().to_owned()), vpcs)
    };
    let role = "arn:aws-us-gov:iam::111111111111:role/r".to_owned();
    assert_eq!(count(scope("111111111111", "us-gov-west-1")), (Some(role), 0));
    assert_eq!(count(scope("222222222222", "us-gov-east-1")), (None, 1));
}

#[test]
fn timings_are_seconds() {
    let aws = World::parse("[timings]\nupdate = 0.5\n", "test").unwrap().build(Time::default()).unwrap();
    assert_eq!(aws.timings, Timings { update: Duration::from_millis(500), ..Timings::default() });
}

#[test]
fn a_mistake_is_told_with_its_place() {
    wrong("[[vpc]]\nid = 'vpc-1'\ncolour = 'red'\n", &["world.toml", "line 3", "colour"]);
    wrong("[[vpc]]\nid = 'x'\n", &["world.toml: vpc `x`", "is not a VPC id"]);
    wrong("[[vpc]]\nid = 'vpc-1'\n[[vpc]]\nid = 'vpc-1'\n", &["vpc `vpc-1`", "twice"]);
    wrong("[[subnet]]\nid = 'subnet-1'\nvpc = 'vpc-1'\n", &["subnet `subnet-1`", "the VPC vpc-1 is not declared"]);
    wrong(
        "[[vpc]]\nid = 'vpc-1'\n[[subnet]]\nid = 'subnet-1'\nvpc = 'vpc-1'\nzone = 'us-east-1a'\n",
        &["`us-east-1a` is no zone of eu-west-1"],
    );
    wrong("[[function]]\nname = 'f'\nrole = 'r'\n", &["function `f`", "the role r is not declared"]);
    wrong(
        "[[role]]\nname = 'r'\n[[function]]\nname = 'f'\nrole = 'r'\nsubnets = ['subnet-1']\nsecurity_groups = ['sg-1']\n",
        &["function `f`", "The subnet ID 'subnet-1' does not exist"],
    );
    wrong("[[role]]\nname = 'r'\npolicies = ['Nothing']\n", &["role `r`", "does not exist or is not attachable"]);
    wrong("[[role]]\nname = 'r'\n[[role]]\nname = 'r'\n", &["role `r`", "twice"]);
    wrong("[timings]\nupdate = -1\n", &["timings", "-1"]);
    wrong("[defaults]\naccount = '12'\n", &["defaults", "twelve digits"]);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = World::read(std::path::Path::new("no/such/world.toml")).unwrap_err().to_string();
    assert!(error.contains("no/such/world.toml"), "{error}");
}
