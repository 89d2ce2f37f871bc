//! What `iam-policy` prints: the least that is enough. That it is enough is shown by every other test, since the simulated
//! account refuses whatever this policy does not allow (`support::permitted`); here, that it is the least.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Output;
use std::time::Duration;

use futures_util::FutureExt as _;
use lambda_vpc_controller::cloud::aws::Deadlines;
use lambda_vpc_controller::cloud::{Class, Listing, Operation, Rates, Write as _};
use lambda_vpc_controller::names::{Network, PolicyName, RolePattern, SubnetId};
use lambda_vpc_controller::plan::Limits;
use lambda_vpc_controller::rights;
use lambda_vpc_controller::settings::Settings;
use lambda_vpc_controller::simulator::IdentityPolicy;
use serde_json::{Value, json};

use crate::served::{PLENTY, Served, rates};
use crate::support::history::{History, key, settings};
use crate::support::permitted::{permit, widest};
use crate::support::program;
use crate::versions::{self, published};

pub(crate) const ACCOUNTS: &str = "versions = true\nmode = 'enforce'\n[limits]\nget_function_per_second = 10\n\
    [guard]\nallowed_vpcs = ['vpc-0a1b2c3d4e5f60718', 'vpc-0c0c0c0c0c0c0c0c0']\n\
    allowed_policies = ['service-role/AWSLambdaVPCAccessExecutionRole', 'arn:aws:iam::123456789012:policy/vpc']\n\
    [[account]]\nname = 'hub'\nid = '123456789012'\n\
    [[account]]\nname = 'shop'\nid = '210987654321'\nrole_arn = 'arn:aws:iam::210987654321:role/lambda-vpc'\nexternal_id = 'blue'\n\
    [[account]]\nid = '333333333333'\nrole_arn = 'arn:aws:iam::333333333333:role/lambda-vpc'\n";
/// A file that changes nothing.
pub(crate) const DEFAULTS: &str = "resync = '5m'\n";
pub(crate) const HUB: &str = "arn:aws:iam::123456789012:role/lambda-vpc-controller";

pub(crate) fn iam_policy(settings: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("controller.toml");
    std::fs::write(&path, settings).unwrap();
    program().arg("iam-policy").arg("--config").arg(path).args(arguments).output().unwrap()
}

/// The statements, by their ids.
fn statements(settings: &str, arguments: &[&str]) -> BTreeMap<String, Value> {
    let output = iam_policy(settings, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let policy: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(policy["Version"], "2012-10-17");
    let statements = policy["Statement"].as_array().unwrap().iter();
    statements.map(|statement| (statement["Sid"].as_str().unwrap().to_owned(), statement.clone())).collect()
}

#[test]
fn by_default_it_allows_what_the_defaults_do() {
    let all = statements(DEFAULTS, &[]);
    let names: Vec<&str> = all.keys().map(String::as_str).collect();
    let expected =
        ["AttachAllowedPolicies", "ReadFunctions", "ReadRoles", "ReadWhatHasNoResource", "SetTheNetworkOfFunctions"];
    assert_eq!(names, expected);
    let read = json!(["lambda:GetFunctionConfiguration", "lambda:ListTags"]);
    assert_eq!(all["ReadFunctions"]["Action"], read, "not the code");
    assert_eq!(
        all["SetTheNetworkOfFunctions"],
        json!({
            "Sid": "SetTheNetworkOfFunctions", "Effect": "Allow",
            "Action": ["lambda:UpdateFunctionConfiguration"], "Resource": ["arn:aws:lambda:*:*:function:*"],
            "Condition": { "Null": { "lambda:VpcIds": ["false"] } }
        })
    );
    assert_eq!(
        all["AttachAllowedPolicies"]["Condition"],
        json!({ "ArnEquals": { "iam:PolicyARN": ["arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole"] } })
    );
}

#[test]
fn what_the_settings_say_becomes_conditions() {
    let vpcs = |settings: &str| statements(settings, &[])["SetTheNetworkOfFunctions"]["Condition"].clone();
    let one = json!(["vpc-0a1b2c3d4e5f60718"]);
    for (guard, expected) in [
        ("allow_detach = true", Value::Null),
        ("allowed_vpcs = ['vpc-0a1b2c3d4e5f60718']", json!({ "StringEquals": { "lambda:VpcIds": one } })),
        (
            "allow_detach = true\nallowed_vpcs = ['vpc-0a1b2c3d4e5f60718']",
            json!({ "StringEqualsIfExists": { "lambda:VpcIds": one } }),
        ),
    ] {
        assert_eq!(vpcs(&format!("[guard]\n{guard}\n")), expected, "{guard}");
    }
    let observing = statements("mode = 'observe'\n", &[]);
    let names: Vec<&str> = observing.keys().map(String::as_str).collect();
    assert_eq!(names, ["ReadFunctions", "ReadRoles", "ReadWhatHasNoResource"], "who only observes may only read");
    let china = statements(DEFAULTS, &["--partition", "aws-cn"]);
    assert_eq!(china["ReadRoles"]["Resource"], json!(["arn:aws-cn:iam::*:role/*"]));
    assert!(
        china["AttachAllowedPolicies"]["Condition"].to_string().contains("arn:aws-cn:iam::aws:policy/service-role/")
    );
}

#[test]
fn across_accounts_the_controller_may_become_their_roles_and_they_trust_it_alone() {
    let hub = statements(ACCOUNTS, &[]);
    assert_eq!(
        hub["BecomeTheRolesOfOtherAccounts"]["Resource"],
        json!(["arn:aws:iam::210987654321:role/lambda-vpc", "arn:aws:iam::333333333333:role/lambda-vpc"])
    );
    // Under EKS Pod Identity the controller's own session has tags, and hands them on.
    assert_eq!(hub["BecomeTheRolesOfOtherAccounts"]["Action"], json!(["sts:AssumeRole", "sts:TagSession"]));
    assert_eq!(hub["ReadRoles"]["Resource"], json!(["arn:aws:iam::123456789012:role/*"]));
    assert_eq!(hub["ReadFunctions"]["Action"], json!(["lambda:GetFunction", "lambda:ListAliases", "lambda:ListTags"]));
    let shop = statements(ACCOUNTS, &["--account", "shop"]);
    assert!(!shop.contains_key("BecomeTheRolesOfOtherAccounts"));
    assert_eq!(shop["SetTheNetworkOfFunctions"]["Resource"], json!(["arn:aws:lambda:*:210987654321:function:*"]));
    let trust = statements(ACCOUNTS, &["--account", "shop", "--trust", HUB]);
    assert_eq!(
        trust["TheControllerAlone"],
        json!({
            "Sid": "TheControllerAlone", "Effect": "Allow", "Principal": { "AWS": HUB }, "Action": ["sts:AssumeRole"],
            "Condition": { "StringEquals": { "sts:ExternalId": ["blue"] } }
        })
    );
    assert_eq!(
        trust["ItsSessionMayHaveTags"],
        json!({
            "Sid": "ItsSessionMayHaveTags", "Effect": "Allow", "Principal": { "AWS": HUB }, "Action": ["sts:TagSession"]
        })
    );
    let members = ACCOUNTS.replace("[[account]]\nname = 'hub'\nid = '123456789012'\n", "");
    let names: Vec<String> = statements(&members, &[]).into_keys().collect();
    assert_eq!(names, ["BecomeTheRolesOfOtherAccounts"], "all that it does, it does as somebody else");
}

#[test]
fn the_use_of_customers_keys_is_printed_where_it_is_asked_for_and_by_way_of_lambda_alone() {
    let by_lambda = json!({ "kms:ViaService": ["lambda.*"] });
    let keys = |settings: &str, arguments: &[&str]| {
        let all = statements(settings, &[arguments, &["--kms"]].concat());
        assert_eq!(all.len(), statements(settings, arguments).len() + 2);
        assert_eq!(all["UseKeysOfFunctions"]["Condition"], json!({ "StringLike": by_lambda }));
        assert_eq!(
            all["GrantKeysToFunctions"]["Condition"],
            json!({ "StringLike": by_lambda, "Bool": { "kms:GrantIsForAWSResource": ["true"] } })
        );
        all["GrantKeysToFunctions"]["Resource"].clone()
    };
    assert_eq!(keys(DEFAULTS, &[]), json!(["arn:aws:kms:*:*:key/*"]));
    assert_eq!(keys(ACCOUNTS, &[]), json!(["arn:aws:kms:*:123456789012:key/*"]));
    assert_eq!(keys(ACCOUNTS, &["--account", "shop"]), json!(["arn:aws:kms:*:210987654321:key/*"]));
    assert!(!statements(DEFAULTS, &[]).contains_key("UseKeysOfFunctions"));
    let members = ACCOUNTS.replace("[[account]]\nname = 'hub'\nid = '123456789012'\n", "");
    let names: Vec<String> = statements(&members, &["--kms"]).into_keys().collect();
    assert_eq!(names, ["BecomeTheRolesOfOtherAccounts"], "a hub that acts as others alone uses no key");
}

#[test]
fn roles_of_two_hundred_accounts_fit_into_one_policy_where_they_have_one_name() {
    let accounts = |role: fn(usize) -> String| {
        let account = |number: usize| {
            let id = 100_000_000_000 + number;
            format!("[[account]]\nid = '{id}'\nrole_arn = 'arn:aws:iam::{id}:role/{}'\n", role(number))
        };
        (0..200).map(account).collect::<String>()
    };
    let one_name = accounts(|_| "network/lambda-vpc-controller-member".to_owned());
    let hub = &statements(&one_name, &[])["BecomeTheRolesOfOtherAccounts"];
    assert_eq!(hub["Resource"], json!(["arn:aws:iam::*:role/network/lambda-vpc-controller-member"]));
    let allowed = hub["Condition"]["StringEquals"]["aws:ResourceAccount"].as_array().unwrap();
    assert_eq!((allowed.len(), &allowed[199]), (200, &json!("100000000199")), "in these accounts, and in no other");
    assert!(hub.to_string().len() < rights::MANAGED);
    let many_names = accounts(|number| format!("network/lambda-vpc-controller-member-{number}"));
    let output = iam_policy(&many_names, &[]);
    assert!(output.status.success());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("IAM takes 10240 inline"), "{told}");
}

#[test]
fn what_iam_takes_for_more_than_one_is_refused_in_the_settings() {
    for wrong in [
        "[[account]]\nid = '210987654321'\nrole_arn = 'arn:aws:iam::210987654321:role/lambda-*'\n",
        "[[account]]\nid = '210987654321'\nrole_arn = 'arn:aws:iam::210987654321:role/lambda-vp?'\n",
        "[guard]\nallowed_policies = ['service-role/AWSLambda*']\n",
        "[guard]\nallowed_policies = ['arn:aws:iam::123456789012:policy/${aws:username}']\n",
    ] {
        let output = iam_policy(wrong, &[]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && told.contains("IAM takes them for more than one"), "{wrong}: {told}");
    }
}

#[test]
fn the_roles_that_may_get_a_policy_are_the_resources_of_that_statement_alone() {
    let all = statements("[guard]\nallowed_roles = ['orders-*', '/service-role/', 'team/api']\n", &[]);
    let role = |behind: &str| format!("arn:aws:iam::*:role/{behind}");
    let expected = ["orders-*", "*/orders-*", "service-role/*", "team/api"].map(role);
    assert_eq!(all["AttachAllowedPolicies"]["Resource"], json!(expected));
    assert_eq!(all["ReadRoles"]["Resource"], json!([role("*")]), "what is read is not narrowed");
    for nothing in ["allowed_roles = []", "allowed_policies = []"] {
        let all = statements(&format!("[guard]\n{nothing}\n"), &[]);
        assert!(
            !all.contains_key("AttachAllowedPolicies") && all.contains_key("SetTheNetworkOfFunctions"),
            "{nothing}"
        );
    }
}

#[test]
fn the_controllers_own_role_is_denied_any_policy_where_it_is_known() {
    let denied = |role: &str| {
        json!({
            "Sid": "AttachNothingToItsOwnRole", "Effect": "Deny", "Action": ["iam:AttachRolePolicy"], "Resource": [role]
        })
    };
    let own = |settings: &str, arguments: &[&str]| statements(settings, arguments).remove("AttachNothingToItsOwnRole");
    assert_eq!(own(ACCOUNTS, &["--account", "shop"]), Some(denied("arn:aws:iam::210987654321:role/lambda-vpc")));
    assert_eq!(own(DEFAULTS, &["--own-role", HUB]), Some(denied(HUB)));
    let both = own(ACCOUNTS, &["--account", "shop", "--own-role", HUB]).unwrap();
    assert_eq!(both["Resource"], json!(["arn:aws:iam::210987654321:role/lambda-vpc", HUB]), "in one statement");
    assert_eq!(own(DEFAULTS, &[]), None);
    assert_eq!(own("mode = 'observe'\n", &["--own-role", HUB]), None, "it may attach nothing to anybody");
}

#[test]
fn updates_that_carry_layers_are_refused_if_that_is_asked_for() {
    let condition = |settings: &str, arguments: &[&str]| {
        statements(settings, arguments)["SetTheNetworkOfFunctions"]["Condition"].clone()
    };
    let refuse = &["--refuse-layers"];
    let vpcs =
        json!({ "StringEquals": { "lambda:VpcIds": ["vpc-0a1b2c3d4e5f60718"] }, "Null": { "lambda:Layer": ["true"] } });
    assert_eq!(condition("[guard]\nallowed_vpcs = ['vpc-0a1b2c3d4e5f60718']\n", refuse), vpcs);
    let both = json!({ "Null": { "lambda:Layer": ["true"], "lambda:VpcIds": ["false"] } });
    assert_eq!(condition(DEFAULTS, refuse), both);
    assert!(!condition(DEFAULTS, &[]).to_string().contains("lambda:Layer"), "only if it is asked for");
    assert!(condition(ACCOUNTS, &["--account", "shop", "--refuse-layers"]).to_string().contains("lambda:Layer"));
}

#[test]
fn what_is_missing_in_the_settings_is_told() {
    let told = |settings: &str, arguments: &[&str]| {
        let output = iam_policy(settings, arguments);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = told(ACCOUNTS, &["--account", "shopp"]);
    assert!(code == Some(1) && text.contains("no account `shopp`: they have hub, shop, 333333333333"), "{text}");
    let (code, text) = told(DEFAULTS, &["--account", "shop"]);
    assert!(code == Some(1) && text.contains("they have no [[account]]"), "{text}");
    let (code, text) = told(ACCOUNTS, &["--account", "hub"]);
    assert!(code == Some(1) && text.contains("account `hub` has no role_arn"), "{text}");
    let (code, text) = told(ACCOUNTS, &["--trust", HUB]);
    assert!(code == Some(1) && text.contains("--account"), "{text}");
    let (code, text) = told(ACCOUNTS, &["--account", "333333333333", "--trust", HUB]);
    assert!(code == Some(0) && text.contains("no external_id"), "{text}");
}

#[test]
fn every_right_is_used() {
    for get_function in [None, Some(PLENTY)] {
        let mut settings = widest();
        settings.limits.rates.get_function = get_function;
        let limits = Limits { guard: None, ..Limits::of(&settings) };
        let served = Served::world(&published());
        // Lambda does not notice for so long that the role is looked at by itself.
        served.door.with(|aws, _| aws.timings.propagation = Duration::from_secs(1200));
        served.clock.pass(Duration::from_secs(24 * 3600));
        let rates = Rates { get_function, ..rates() };
        let mut history = History::over_the_wire(&served, Deadlines::default(), rates, limits.clone());
        history.list(limits, Listing::All);
        history.load(versions::FILE);
        history.pass(Duration::from_secs(3600));
        assert!(
            history.calls().iter().any(|call| call == "UpdateFunctionConfiguration orders-api"),
            "{:?}",
            history.calls()
        );
        let used: BTreeSet<&str> = served.door.counts().into_keys().collect();
        let policy = serde_json::to_value(rights::of_controller(&settings, "aws")).unwrap();
        let statements = policy["Statement"].as_array().unwrap().iter();
        let actions = statements.flat_map(|statement| statement["Action"].as_array().unwrap());
        let actions: Vec<&str> = actions.map(|action| action.as_str().unwrap()).collect();
        assert_eq!(actions.len(), Operation::ALL.len() - 2, "without GetCallerIdentity, and one of two ways to read");
        let idle: Vec<_> = actions.iter().filter(|it| !used.contains(it.split_once(':').unwrap().1)).collect();
        // Asked of what this account does not have: functions that somebody sets back and roles in us-east-1 (`kinds`), and
        // networks of other kinds (`networks`).
        let seldom = ["ec2:GetSecurityGroupsForVpc", "ec2:DescribeVpcEndpoints", "lambda:ListTags", "iam:GetRole"];
        assert_eq!(idle, seldom.each_ref(), "allowed and never used");
    }
}

#[test]
fn what_the_settings_forbid_iam_refuses_as_well() {
    let history = History::new(Limits::of(&settings()));
    let mut guarded: Settings = settings();
    guarded.guard.allowed_vpcs = Some(Vec::new());
    permit(&history.door, &guarded);
    let function = history.function("orders-api");
    let subnet = SubnetId::parse("subnet-0a1a1a1a1a1a1a1a1").unwrap();
    let to = Network { subnets: [subnet].into(), ..Network::default() };
    let class = |history: &History, to: &Network| {
        history.door.set_vpc(&key("orders-api"), to, None).now_or_never().unwrap().unwrap_err().class
    };
    assert_eq!(class(&history, &to), Class::AccessDenied);
    assert_eq!(class(&history, &Network::default()), Class::AccessDenied, "nor is it taken out of any");
    let other = PolicyName::parse("AdministratorAccess").unwrap().for_role(&function.role);
    let refused = history.door.attach_policy(&function.role, &other).now_or_never().unwrap().unwrap_err();
    assert_eq!(refused.class, Class::AccessDenied);
    let allowed = PolicyName::vpc_access().for_role(&function.role);
    let attach = || history.door.attach_policy(&function.role, &allowed).now_or_never().unwrap();
    for (roles, expected) in [("other-*", false), ("orders", false), ("orders-*", true)] {
        let mut guarded = settings();
        guarded.guard.allowed_roles = Some(vec![RolePattern::parse(roles).unwrap()]);
        permit(&history.door, &guarded);
        assert_eq!(attach().is_ok(), expected, "{roles} {}", function.role.as_str());
    }
    permit(&history.door, &settings());
    attach().unwrap();
    let own = rights::of_controller(&settings(), "aws").attaching_nothing_to(&function.role);
    let own = IdentityPolicy::parse(&serde_json::to_string(&own).unwrap()).unwrap();
    history.door.with(|aws, _| aws.permissions = Some(own));
    assert_eq!(attach().unwrap_err().class, Class::AccessDenied, "a denial counts for more");
}
