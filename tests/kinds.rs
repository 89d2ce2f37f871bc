//! Functions with something of their own that keeps them where they are: file systems, customers' keys, Lambda@Edge.

use std::time::Duration;

use lambda_vpc_controller::board::Line;
use lambda_vpc_controller::names::{FunctionKey, Region, ScopeKey};
use lambda_vpc_controller::plan::{Limits, Outcome, Reason, State};
use lambda_vpc_controller::rights;
use lambda_vpc_controller::simulator::{
    DeclaredFunction, DeclaredRole, Fault, IdentityPolicy, Meddler, Meddling, Misbehaviour,
    UpdateFunctionConfiguration, VpcConfigRequest, World,
};

use crate::served::{self, Served};
use crate::support::history::{History, key, settings};

const MINUTE: Duration = Duration::from_secs(60);
const VPC_ACCESS: &str = "service-role/AWSLambdaVPCAccessExecutionRole";
const SUBNETS: [&str; 3] = ["subnet-0a1a1a1a1a1a1a1a1", "subnet-0b2b2b2b2b2b2b2b2", "subnet-0c3c3c3c3c3c3c3c3"];
const GROUP: &str = "sg-0d0d0d0d0d0d0d0d1";
const POINT: &str = "arn:aws:elasticfilesystem:eu-west-1:123456789012:access-point/fsap-0f0f0f0f0f0f0f0f0";
const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/0a0a0a0a-1b1b-2c2c-3d3d-4e4e4e4e4e4e";

fn daemon() -> Limits {
    Limits { guard: None, allow_detach: true, ..Limits::of(&settings()) }
}

fn function(name: &str) -> DeclaredFunction {
    DeclaredFunction { name: name.to_owned(), role: "r".to_owned(), ..DeclaredFunction::default() }
}

fn attached(name: &str) -> DeclaredFunction {
    let subnets = SUBNETS.map(str::to_owned).into();
    DeclaredFunction { subnets, security_groups: vec![GROUP.to_owned()], ..function(name) }
}

fn role() -> DeclaredRole {
    DeclaredRole { name: "r".to_owned(), policies: vec![VPC_ACCESS.to_owned()], ..DeclaredRole::default() }
}

/// The demo's network with this role and function, and a daemon whose file wants the function in this VPC.
fn history(role: DeclaredRole, function: DeclaredFunction, vpc: &str) -> History {
    let file = file(&function.name, "eu-west-1", vpc);
    let mut history = idle(role, function);
    history.load(&file);
    history
}

/// The same, before it has a file.
fn idle(role: DeclaredRole, function: DeclaredFunction) -> History {
    History::of(World { roles: vec![role], functions: vec![function], ..World::demo().unwrap() }, daemon())
}

fn file(name: &str, region: &str, vpc: &str) -> String {
    format!(
        "[defaults]\nregion = '{region}'\naccount = '123456789012'\n\
         [[vpc]]\nname = 'orders'\nid = 'vpc-0a1b2c3d4e5f60718'\n[[function]]\nname = '{name}'\nvpc = '{vpc}'\n"
    )
}

/// Somebody changes the function `f` by hand.
fn by_hand(history: &History, request: &UpdateFunctionConfiguration) {
    history.door.with(|aws, now| aws.update_function_configuration(&key("f").scope, "f", request, now).unwrap());
}

#[test]
fn a_function_stays_in_its_vpc_as_long_as_it_mounts_a_file_system() {
    let mounting = DeclaredFunction { access_points: vec![POINT.to_owned()], ..attached("f") };
    let mut history = history(role(), mounting, "none");
    history.pass(120 * MINUTE);
    assert_eq!((history.reason("f"), history.outcome("f").state()), (Reason::FileSystemMounted, State::Blocked));
    assert_eq!(history.detail("f"), POINT);
    assert_eq!(history.calls(), [""; 0], "what Lambda refuses for certain is not even tried");
    let unmounted = UpdateFunctionConfiguration { file_system_configs: Some(Vec::new()), ..Default::default() };
    by_hand(&history, &unmounted);
    history.pass(15 * MINUTE);
    assert_eq!(history.outcome("f"), Outcome::InSync);
    assert!(!history.network("f").is_attached());
}

#[test]
fn lambda_refuses_what_the_controller_does_not_try() {
    let mounting = DeclaredFunction { access_points: vec![POINT.to_owned()], ..attached("f") };
    let history = history(role(), mounting, "orders");
    let out = UpdateFunctionConfiguration { vpc_config: Some(VpcConfigRequest::none()), ..Default::default() };
    let scope = key("f").scope;
    let refused = history.door.with(|aws, now| aws.update_function_configuration(&scope, "f", &out, now)).unwrap_err();
    assert_eq!(
        refused.message,
        format!("Function VPC configuration cannot be removed with access point {POINT} referenced.")
    );
}

#[test]
fn a_customers_key_needs_a_right_that_iam_policy_prints_where_it_is_asked_for() {
    let mut history = history(role(), DeclaredFunction { kms_key: Some(KEY.to_owned()), ..function("f") }, "orders");
    history.pass(20 * MINUTE);
    assert_eq!(history.reason("f"), Reason::KmsAccessDenied);
    let named = format!("kms:Decrypt on {KEY}; lambda:UpdateFunctionConfiguration answered AccessDeniedException");
    assert!(history.detail("f").starts_with(&named), "{}", history.detail("f"));
    assert!(history.calls().len() <= 6, "it is tried again now and then: {:?}", history.calls());
    let policy = rights::of_controller(&settings(), "aws").with_keys(Some(&key("f").scope.account), "aws");
    let policy = IdentityPolicy::parse(&serde_json::to_string(&policy).unwrap()).unwrap();
    history.door.with(|aws, _| aws.permissions = Some(policy));
    history.pass(15 * MINUTE);
    assert_eq!(history.outcome("f"), Outcome::InSync);
}

#[test]
fn a_grant_that_is_void_is_told_with_the_command_that_helps_and_that_command_helps() {
    let void = DeclaredFunction { kms_key: Some(KEY.to_owned()), grant_void: true, ..function("f") };
    let mut history = history(role(), void, "orders");
    history.door.with(|aws, _| aws.permissions = None);
    history.pass(20 * MINUTE);
    assert_eq!((history.reason("f"), history.outcome("f").state()), (Reason::KmsGrantVoid, State::Blocked));
    let command = "aws lambda update-function-configuration --region eu-west-1 --function-name f --role ARN";
    assert!(history.detail("f").contains(command), "{}", history.detail("f"));
    let role = history.function("f").role.as_str().to_owned();
    by_hand(&history, &UpdateFunctionConfiguration { role: Some(role), ..Default::default() });
    history.pass(15 * MINUTE);
    assert_eq!(history.outcome("f"), Outcome::InSync);
}

#[test]
fn a_grant_that_spreads_is_waited_for_without_speaking_of_a_right_that_nobody_gave() {
    let mut history = idle(role(), function("f"));
    history.door.with(|aws, _| {
        let text = "Lambda was unable to configure access to your environment variables because the KMS key is invalid for \
                    CreateGrant. Please check your KMS key settings.";
        let (code, message) = ("InvalidParameterValueException".to_owned(), text.to_owned());
        let refusal = Misbehaviour::Error { status: 400, code, message };
        aws.faults.add(Fault::always(refusal).on("UpdateFunctionConfiguration").times(3));
    });
    history.load(&file("f", "eu-west-1", "orders"));
    history.pass(Duration::from_secs(70));
    let told: Vec<Reason> = history.reasons("f");
    assert!(told.contains(&Reason::RoleRefused) && !told.contains(&Reason::RolePropagation), "{told:?}");
    history.pass(10 * MINUTE);
    assert_eq!(history.outcome("f"), Outcome::InSync);
}

/// A world in the one region of Lambda@Edge, by both doors: whether a function whose role Lambda@Edge may assume, or may not,
/// is left alone.
#[test]
fn a_function_of_lambda_at_edge_is_never_attached() {
    let demo = include_str!("../src/simulator/world/demo.toml").replace("eu-west-1", "us-east-1");
    let demo = World::parse(&demo, "demo.toml").unwrap();
    let scope = ScopeKey { region: Region::parse("us-east-1").unwrap(), ..key("f").scope };
    let here = FunctionKey { scope, ..key("f") };
    for edge in [true, false] {
        let world =
            World { roles: vec![DeclaredRole { edge, ..role() }], functions: vec![function("f")], ..demo.clone() };
        let served = Served::world(&world);
        served.clock.pass(Duration::from_secs(24 * 3600));
        let by_wire = History::over_the_wire(&served, Default::default(), served::rates(), daemon());
        for mut history in [History::of(world, daemon()), by_wire] {
            history.load(&file("f", "us-east-1", "orders"));
            history.pass(180 * MINUTE);
            let Line { outcome, .. } = history.controller.line(&here).unwrap();
            let attached = history.accepted();
            match edge {
                true => {
                    assert_eq!(outcome.why().unwrap().reason, Reason::EdgeMaster);
                    assert_eq!(outcome.state(), State::Blocked);
                    assert_eq!(attached, [""; 0]);
                }
                false => assert_eq!(*outcome, Outcome::InSync),
            }
            let asked = history.door.count("GetRole");
            assert!((1..=5).contains(&asked), "{asked} times in three hours");
        }
    }
    let mut elsewhere = history(DeclaredRole { edge: true, ..role() }, function("f"), "orders");
    elsewhere.pass(10 * MINUTE);
    assert_eq!(
        (elsewhere.outcome("f"), elsewhere.door.count("GetRole")),
        (Outcome::InSync, 0),
        "CloudFront takes none there"
    );
}

#[test]
fn a_replica_alerts_and_an_idle_function_is_shown() {
    let replica = DeclaredFunction { master_arn: Some("arn:x:1".to_owned()), ..function("f") };
    let mut history = history(role(), replica, "orders");
    history.pass(20 * MINUTE);
    assert_eq!((history.reason("f"), history.outcome("f").state()), (Reason::EdgeReplica, State::Blocked));
    assert_eq!(history.calls(), [""; 0]);
    let mut history =
        self::history(role(), DeclaredFunction { state: Some("Inactive".to_owned()), ..attached("f") }, "orders");
    history.pass(20 * MINUTE);
    assert_eq!(history.outcome("f"), Outcome::InSync);
    let line = history.controller.line(&key("f")).unwrap();
    assert!(line.warnings.iter().any(|warning| warning.contains("Inactive")), "{:?}", line.warnings);
}

/// A function that is set back every two minutes, with these tags; what is told in the end, and how often its tags were read.
fn set_back(tags: &[(&str, &str)], forbidden: bool) -> (String, u64) {
    let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let mut history = idle(role(), DeclaredFunction { tags, ..function("f") });
    history.door.with(|aws, _| aws.denied.extend(forbidden.then(|| "ListTags".to_owned())));
    history.load(&file("f", "eu-west-1", "orders"));
    history.pass(5 * MINUTE);
    assert_eq!((history.outcome("f"), history.door.count("ListTags")), (Outcome::InSync, 0));
    let wants = Meddling::Network(key("f"), VpcConfigRequest::none());
    history.door.with(|aws, now| aws.add_meddler(Meddler { every: 2 * MINUTE, times: None, wants }, now));
    history.pass(50 * MINUTE);
    assert_eq!(history.reason("f"), Reason::Flapping);
    let told = history.detail("f");
    history.pass(600 * MINUTE);
    (told, history.door.count("ListTags"))
}

#[test]
fn whoever_sets_a_function_back_is_named_by_its_tags_which_are_read_once() {
    let stack = "its tags say that it belongs to the CloudFormation stack `orders-prod`";
    assert_eq!(set_back(&[("aws:cloudformation:stack-name", "orders-prod")], false), (stack.to_owned(), 1));
    assert_eq!(set_back(&[("ManagedBy", "terraform")], false), ("its tag says `ManagedBy = terraform`".to_owned(), 1));
    assert_eq!(set_back(&[("team", "orders")], false), (String::new(), 1));
    let (told, asked) = set_back(&[], true);
    assert!(told.contains("cannot be read: lambda:ListTags answered AccessDeniedException"), "{told}");
    assert_eq!(asked, 1);
}
