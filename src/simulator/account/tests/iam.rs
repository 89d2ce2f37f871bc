use super::*;

const ORDERS: &str = "arn:aws:iam::123456789012:role/orders/orders-role";

#[test]
fn an_attached_policy_is_listed_at_once_and_a_detached_one_no_more() {
    let mut stage = Stage::demo();
    let listed = |stage: &mut Stage| {
        let page =
            stage.aws.list_attached_role_policies(&stage.at.account, "orders-role", None, None, stage.now).unwrap();
        page.items.iter().map(|policy| policy.short().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listed(&mut stage), ["AWSLambdaBasicExecutionRole"]);
    stage.attach("orders-role", VPC_ACCESS).unwrap();
    stage.attach("orders-role", VPC_ACCESS).unwrap();
    assert_eq!(listed(&mut stage), ["AWSLambdaBasicExecutionRole", "AWSLambdaVPCAccessExecutionRole"]);
    stage.aws.detach_role_policy(&stage.at.account, "orders-role", VPC_ACCESS).unwrap();
    assert_eq!(listed(&mut stage), ["AWSLambdaBasicExecutionRole"]);
    let again = stage.aws.detach_role_policy(&stage.at.account, "orders-role", VPC_ACCESS);
    refused(again, 404, "NoSuchEntity", "was not found");
}

#[test]
fn attachments_that_iam_refuses() {
    let mut stage = Stage::demo();
    let unknown = "arn:aws:iam::aws:policy/Nothing";
    let foreign = "arn:aws-cn:iam::aws:policy/AdministratorAccess";
    refused(
        stage.attach("orders-role", unknown),
        404,
        "NoSuchEntity",
        "Policy arn:aws:iam::aws:policy/Nothing does not exist or is not attachable.",
    );
    refused(stage.attach("orders-role", foreign), 404, "NoSuchEntity", "does not exist or is not attachable.");
    refused(stage.attach("nobody", VPC_ACCESS), 404, "NoSuchEntity", "The role with name nobody cannot be found.");
    refused(stage.attach("orders-role", "arn:nothing"), 400, "ValidationError", "Invalid ARN:  Could not be parsed!");
}

#[test]
fn the_eleventh_policy_is_refused() {
    let mut world = World::demo().unwrap();
    let declared: String = (0..10).map(|n| format!("[[policy]]\nname = 'own-{n}'\nactions = ['s3:Get*']\n")).collect();
    world.policies = World::parse(&declared, "test").unwrap().policies;
    let mut stage = Stage::of(&world);
    for n in 0..9 {
        stage.attach("orders-role", &format!("arn:aws:iam::123456789012:policy/own-{n}")).unwrap();
    }
    let eleventh = stage.attach("orders-role", "arn:aws:iam::123456789012:policy/own-9");
    refused(eleventh, 409, "LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10");
    stage.attach("orders-role", "arn:aws:iam::123456789012:policy/own-3").unwrap();
}

#[test]
fn the_roles_of_a_policy_come_page_by_page() {
    let mut stage = Stage::of(&World::fleet(2100));
    let basic = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";
    let (mut roles, mut from) = (Vec::new(), None::<String>);
    for expected in [100, 5] {
        let page = stage.aws.list_roles_for_policy(&stage.at.account, basic, None, from.as_deref(), stage.now).unwrap();
        assert_eq!(page.items.len(), expected);
        roles.extend(page.items.into_iter().map(|holder| holder.role));
        from = page.next.map(|marker| marker.0);
    }
    assert_eq!(from, None);
    assert!(roles.is_sorted() && roles.len() == 105);
    let account = stage.at.account.clone();
    let all = stage.aws.list_roles_for_policy(&account, basic, Some(1000), None, stage.now).unwrap();
    assert_eq!((all.items.len(), all.next), (105, None));
    let none = stage.aws.list_roles_for_policy(&account, VPC_ACCESS, None, None, stage.now).unwrap();
    assert_eq!(none.items, []);
    refused(
        stage.aws.list_roles_for_policy(&account, basic, Some(1001), None, stage.now),
        400,
        "ValidationError",
        "1000",
    );
    let unknown = "arn:aws:iam::aws:policy/Nothing";
    refused(
        stage.aws.list_roles_for_policy(&account, unknown, None, None, stage.now),
        404,
        "NoSuchEntity",
        "was not found",
    );
}

#[test]
fn a_simulation_knows_of_a_policy_at_once() {
    let mut stage = Stage::demo();
    let actions = ["ec2:CreateNetworkInterface".to_owned(), "logs:PutLogEvents".to_owned()];
    let ask = |stage: &mut Stage| {
        let account = stage.at.account.clone();
        let answers = stage.aws.simulate_principal_policy(ORDERS, (&actions, &[]), &account, stage.now).unwrap();
        answers.into_iter().map(|answer| answer.allowed).collect::<Vec<_>>()
    };
    assert_eq!(ask(&mut stage), [false, true]);
    stage.attach("orders-role", VPC_ACCESS).unwrap();
    assert_eq!(ask(&mut stage), [true, true]);
    let account = stage.at.account.clone();
    let nobody = "arn:aws:iam::123456789012:role/nobody";
    let answer = stage.aws.simulate_principal_policy(nobody, (&actions, &[]), &account, stage.now);
    refused(answer, 404, "NoSuchEntity", "nobody");
}

#[test]
fn a_role_is_made_once_whatever_the_case_of_its_name() {
    let mut stage = Stage::demo();
    let account = stage.at.account.clone();
    let made = stage.aws.create_role(&account, "new-role", "/team/", stage.now).unwrap();
    assert_eq!(stage.aws.role_arn(&account, &made), "arn:aws:iam::123456789012:role/team/new-role");
    assert_eq!(stage.aws.get_role(&account, "new-role").unwrap(), made);
    refused(stage.aws.create_role(&account, "New-Role", "/", stage.now), 409, "EntityAlreadyExists", "New-Role");
    refused(stage.aws.create_role(&account, "x", "team", stage.now), 400, "ValidationError", "path");
    refused(stage.aws.get_role(&account, "nobody"), 404, "NoSuchEntity", "nobody");
}

#[test]
fn credentials_of_a_role_belong_to_its_account_until_they_expire() {
    let text = "[[role]]\nname = 'controller'\naccount = '222222222222'\npath = '/ops/'\n";
    let mut stage = Stage::of(&World::parse(text, "test").unwrap());
    let home = stage.aws.caller("AKIAANYTHING", &stage.at.region, Service::Sts, stage.now).unwrap();
    assert_eq!(home.account.as_str(), "123456789012");
    let mut request = AssumeRole {
        role_arn: "arn:aws:iam::222222222222:role/ops/controller".to_owned(),
        session_name: "test".to_owned(),
        duration: Some(900),
        ..AssumeRole::default()
    };
    let given = stage.aws.assume_role(&home, &request, stage.now).unwrap();
    assert_eq!(given.caller.arn, "arn:aws:sts::222222222222:assumed-role/controller/test");
    let now = stage.now + Duration::from_secs(899);
    assert_eq!(stage.aws.caller(&given.access_key_id, &stage.at.region, Service::Lambda, now).unwrap(), given.caller);
    let now = stage.now + Duration::from_secs(900);
    refused(
        stage.aws.caller(&given.access_key_id, &stage.at.region, Service::Lambda, now),
        403,
        "ExpiredTokenException",
        "expired",
    );

    assert_eq!(
        stage.aws.caller("222222222222", &stage.at.region, Service::Sts, now).unwrap().account.as_str(),
        "222222222222"
    );
    refused(
        stage.aws.caller("333333333333", &stage.at.region, Service::Sts, now),
        403,
        "InvalidClientTokenId",
        "invalid",
    );
    request.duration = Some(899);
    refused(stage.aws.assume_role(&home, &request, now), 400, "ValidationError", "durationSeconds");
    request =
        AssumeRole { duration: None, role_arn: "arn:aws:iam::222222222222:role/controller".to_owned(), ..request };
    refused(stage.aws.assume_role(&home, &request, now), 403, "AccessDenied", "sts:AssumeRole");
}

#[test]
fn a_role_trusts_whom_it_names_with_what_they_know_and_no_tags_unless_it_says_so() {
    let roles = [
        ("open", ""),
        ("account", "trusts = ['123456789012']\n"),
        ("hub", "trusts = ['arn:aws:iam::123456789012:role/hub']\n"),
        ("other", "trusts = ['210987654321']\n"),
        ("knowing", "trusts = ['123456789012']\nexternal_id = 'secret'\n"),
        ("tagged", "trusts = ['123456789012']\ntag_session = true\n"),
    ];
    let text = roles.map(|(name, more)| format!("[[role]]\nname = '{name}'\naccount = '222222222222'\n{more}"));
    let stage = Stage::of(&World::parse(&text.concat(), "test").unwrap());
    let user = stage.aws.user_of(&stage.at.account).unwrap();
    let session = Caller { arn: "arn:aws:sts::123456789012:assumed-role/hub/x".to_owned(), ..user.clone() };
    let tagged = Caller { tagged: true, ..session.clone() };
    let mut aws = stage.aws;
    let mut may = |caller: &Caller, role: &str, external_id: Option<&str>| {
        let request = AssumeRole {
            role_arn: format!("arn:aws:iam::222222222222:role/{role}"),
            session_name: "test".to_owned(),
            external_id: external_id.map(str::to_owned),
            ..AssumeRole::default()
        };
        match aws.assume_role(caller, &request, Time::default()) {
            Ok(given) => Ok(given.caller.tagged),
            Err(error) => Err((error.code.to_string(), error.message)),
        }
    };
    for (caller, role, external_id, expected) in [
        (&user, "open", None, Ok(false)),
        (&user, "account", Some("whatever"), Ok(false)),
        (&user, "hub", None, Err("sts:AssumeRole")),
        (&session, "hub", None, Ok(false)),
        (&session, "other", None, Err("sts:AssumeRole")),
        (&session, "knowing", None, Err("sts:AssumeRole")),
        (&session, "knowing", Some("wrong"), Err("sts:AssumeRole")),
        (&session, "knowing", Some("secret"), Ok(false)),
        (&tagged, "account", None, Err("sts:TagSession")),
        (&tagged, "tagged", None, Ok(true)),
        (&tagged, "open", None, Ok(true)),
    ] {
        match (may(caller, role, external_id), expected) {
            (Ok(tagged), Ok(expected)) => assert_eq!(tagged, expected, "{role}"),
            (Err((code, text)), Err(action)) => {
                assert!(code == "AccessDenied" && text.contains(action), "{role}: {text}")
            }
            (found, expected) => panic!("{role} {external_id:?}: {found:?}, not {expected:?}"),
        }
    }
}

#[test]
fn no_partition_knows_the_credentials_of_another_one() {
    let stage = Stage::demo();
    for (region, known) in [("eu-west-1", true), ("us-east-1", true), ("cn-north-1", false), ("eusc-de-east-1", false)]
    {
        let region = Region::parse(region).unwrap();
        let caller = stage.aws.caller("AKIAANYTHING", &region, Service::Iam, stage.now);
        assert_eq!(caller.is_ok(), known, "{region}");
    }
}

#[test]
fn a_policy_about_some_resources_allows_nothing_that_is_asked_about_all() {
    let text = "[[policy]]\nname = 'scoped'\nactions = ['ec2:*']\nresources = ['arn:aws:ec2:eu-west-1:123456789012:*/*']\n\
                [[role]]\nname = 'r'\npolicies = ['arn:aws:iam::123456789012:policy/scoped']\n";
    let mut stage = Stage::of(&World::parse(text, "test").unwrap());
    let (account, role) = (stage.at.account.clone(), "arn:aws:iam::123456789012:role/r");
    let create = ["ec2:CreateNetworkInterface".to_owned()];
    for (resource, expected) in [
        (None, false),
        (Some("*"), false),
        (Some("arn:aws:ec2:eu-west-1:123456789012:network-interface/*"), true),
        (Some("arn:aws:ec2:us-east-1:123456789012:network-interface/*"), false),
    ] {
        let resources: Vec<String> = resource.into_iter().map(str::to_owned).collect();
        let answers = stage.aws.simulate_principal_policy(role, (&create, &resources), &account, stage.now).unwrap();
        assert_eq!((answers.len(), answers[0].allowed), (1, expected), "{resource:?}");
    }
    let describe = ["ec2:DescribeSubnets".to_owned()];
    let answers = stage.aws.simulate_principal_policy(role, (&describe, &[]), &account, stage.now).unwrap();
    assert!(answers[0].allowed, "EC2 knows no resource for this one");
}
