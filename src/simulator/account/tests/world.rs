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
        .list_functions(&stage.at, Listing::Latest, None, None, stage.now)
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
    let scope = |account, region| ScopeKey {
        account: AccountId::parse(account).unwrap(),
        region: Region::parse(region).unwrap(),
    };
    let mut count = |at: ScopeKey| {
        let functions = aws.list_functions(&at, Listing::Latest, None, None, Time::default()).unwrap().items;
        let vpcs = aws.describe_vpcs(&at, &Describe::default(), Time::default()).unwrap().items.len();
        (functions.first().map(|function| function.configuration.role.as_str().to_owned()), vpcs)
    };
    let role = "arn:aws-us-gov:iam::111111111111:role/r".to_owned();
    assert_eq!(count(scope("111111111111", "us-gov-west-1")), (Some(role), 0));
    assert_eq!(count(scope("222222222222", "us-gov-east-1")), (None, 1));
}

#[test]
fn a_vpc_that_another_account_shares_shows_its_owner_and_no_tags() {
    let mut world = World::demo().unwrap();
    for (owner, tagged) in [(None, true), (Some("123456789012"), true), (Some("210987654321"), false)] {
        world.vpcs[0].owner = owner.map(str::to_owned);
        world.security_groups[0].shared = true;
        let legacy = world.functions.iter_mut().find(|it| it.name == "legacy-report").unwrap();
        legacy.security_groups = vec![world.security_groups[0].id.clone()];
        world.security_groups[0].tags.insert("team".to_owned(), "orders".to_owned());
        let mut stage = Stage::of(&world);
        let (at, now, all) = (stage.at.clone(), stage.now, Describe::default());
        let vpcs = stage.aws.describe_vpcs(&at, &all, now).unwrap().items;
        let subnets = stage.aws.describe_subnets(&at, &all, now).unwrap().items;
        let groups = stage.aws.describe_security_groups(&at, &all, now).unwrap().items;
        let tables = stage.aws.describe_route_tables(&at, &all, now).unwrap().items;
        let owners: BTreeSet<&str> = (vpcs.iter().map(|it| it.owner.as_str()))
            .chain(subnets.iter().map(|it| it.owner.as_str()))
            .chain(groups.iter().map(|it| it.owner.as_str()))
            .chain(tables.iter().map(|it| it.owner.as_str()))
            .collect();
        assert_eq!(owners, BTreeSet::from([owner.unwrap_or("123456789012")]));
        let tags = |found: bool| assert_eq!(found, tagged, "{owner:?}");
        tags(vpcs.iter().any(|it| !it.tags.is_empty()));
        tags(subnets.iter().any(|it| !it.tags.is_empty()));
        tags(groups.iter().any(|it| !it.tags.is_empty()));
        let by_tag = stage.aws.describe_subnets(&at, &Describe::by("tag:tier", ["private"]), now).unwrap().items;
        tags(!by_tag.is_empty());
        assert_eq!(tables.len(), if tagged { 2 } else { 0 }, "a participant sees no route table");
    }
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
    let published = |lines: &str| format!("[[role]]\nname = 'r'\n[[function]]\nname = 'f'\nrole = 'r'\n{lines}\n");
    wrong(&published("versions = [{ version = 0 }]"), &["function `f`", "`0` is not a published version"]);
    wrong(&published("versions = [{ version = 1 }, { version = 1 }]"), &["function `f`", "version 1", "twice"]);
    wrong(&published("versions = [{ version = 1, subnets = ['subnet-1'] }]"), &["function `f`", "must coexist"]);
    wrong(&published("aliases = { live = 2 }"), &["function `f`", "`live` leads to version 2", "not declared"]);
    wrong(&published("versions = [{ version = 1 }]\naliases = { 7 = 1 }"), &["function `f`", "is not an alias"]);
    wrong(&published("aliases = { live = [1] }"), &["line 6", "the number of a version, or a list of two"]);
    wrong("[timings]\nupdate = -1\n", &["timings", "-1"]);
    wrong("[defaults]\naccount = '12'\n", &["defaults", "twelve digits"]);
}

#[test]
fn a_mistake_in_what_is_to_go_wrong_is_told_with_its_place() {
    for (text, parts) in [
        ("[[fault]]\n", &["line 1", "missing field `answer`"][..]),
        ("[[fault]]\nanswer = 'explode'\n", &["line 2", "unknown variant `explode`", "`reset`"]),
        ("[[fault]]\nanswer = 'reset'\nservice = 's3'\n", &["line 3", "unknown variant `s3`", "`lambda`"]),
        ("[[fault]]\nanswer = 'reset'\nfunction = 'f'\n", &["line 3", "unknown field `function`", "`subject`"]),
        ("[[fault]]\nanswer = 'reset'\npercent = 101\n", &["fault 1", "0 to 100"]),
        ("[[fault]]\nanswer = 'reset'\nfrom = -1\n", &["fault 1", "-1 is no number of seconds"]),
        ("[[fault]]\nanswer = 'reset'\naccount = '12'\n", &["fault 1", "twelve digits"]),
        ("[[fault]]\nanswer = 'reset'\n[[fault]]\nanswer = 'slow'\n", &["fault 2", "needs `seconds`"]),
        ("[[fault]]\nanswer = 'update_fails'\n", &["fault 1", "needs `code`"]),
        ("[[fault]]\nanswer = 'error'\ncode = 'X'\n", &["fault 1", "needs `status`"]),
        ("[[fault]]\nanswer = 'error'\ncode = 'X'\nstatus = 200\n", &["fault 1", "400 to 599"]),
        ("[[fault]]\nanswer = 'lost'\nretry_after = 1\n", &["fault 1", "`retry_after` does not go with this answer"]),
        ("[quotas]\nec2_page = 0\n", &["quotas", "at least 1"]),
        ("[quotas]\nlambda_requests = 15\n", &["line 2", "lambda_requests"]),
        ("[[role]]\nname = 'r'\noverruled = 'me'\n", &["line 3", "\"boundary\", \"organisation\", \"scoped\""]),
        (
            "[[role]]\nname = 'r'\n[[function]]\nname = 'f'\nrole = 'r'\nstate_reason = 'x'\n",
            &["function `f`", "Failed"],
        ),
        ("[[meddler]]\nfunction = 'f'\nnetwork = 'none'\nevery = 60\n", &["meddler 1", "f is not declared"]),
        ("[[meddler]]\nrole = 'r'\ndetach = 'X'\nevery = 60\n", &["meddler 1", "r is not declared"]),
        ("[[meddler]]\nrole = 'r'\ndetach = 'X'\n", &["meddler 1", "`every`"]),
        ("[[meddler]]\nevery = 60\nrole = 'r'\n", &["meddler 1", "give either `function`"]),
        ("[[vpc]]\nid = 'vpc-1'\nowner = 'x'\n", &["vpc `vpc-1`", "twelve digits"]),
    ] {
        wrong(text, parts);
    }
    let function = "[[role]]\nname = 'r'\n[[function]]\nname = 'f'\nrole = 'r'\n";
    let meddler = format!("{function}[[meddler]]\nfunction = 'f'\nevery = 60\nsubnets = ['subnet-1']\n");
    wrong(&meddler, &["meddler 1", "both `subnets` and `security_groups`"]);
}

#[test]
fn true_and_false_say_whether_the_organisation_overrules_a_role() {
    for (text, expected) in [
        ("true", Some(Overruler::Organisation)),
        ("false", None),
        ("'boundary'", Some(Overruler::Boundary)),
        ("'organisation'", Some(Overruler::Organisation)),
        ("'scoped'", Some(Overruler::Scoped)),
    ] {
        let world = World::parse(&format!("[[role]]\nname = 'r'\noverruled = {text}\n"), "test").unwrap();
        assert_eq!(world.roles[0].overruled, expected, "{text}");
    }
}
