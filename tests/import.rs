//! `import` as a person calls it: what it writes is valid and needs no change; it overwrites nothing.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use lambda_vpc_controller::simulator::{Fault, Misbehaviour, World};

use crate::served::{Served, aws_environment};
use crate::support::permitted::{permit, widest};
use crate::support::program;

/// The demo's world and more: a second network in its VPC, a second region, a role that lacks the right.
const MORE: &str = r#"
[[vpc]]
id = "vpc-22222222"
name = "vpc-billing\n[[vpc]]"
[[vpc]]
id = "vpc-33333333"
name = "orders"
region = "us-east-1"
[[subnet]]
id = "subnet-22222222"
vpc = "vpc-22222222"
name = "\"]"
[[subnet]]
id = "subnet-33333333"
vpc = "vpc-33333333"
[[security_group]]
id = "sg-22222222"
vpc = "vpc-22222222"
[[security_group]]
id = "sg-33333333"
vpc = "vpc-33333333"
[[role]]
name = "lacking"
[[function]]
name = "billing-old"
role = "lacking"
subnets = ["subnet-22222222"]
security_groups = ["sg-22222222"]
[[function]]
name = "orders-old"
role = "lacking"
subnets = ["subnet-0a1a1a1a1a1a1a1a1"]
security_groups = ["sg-0e5e5e5e5e5e5e5e5"]
[[function]]
name = "legacy-report"
role = "lacking"
region = "us-east-1"
subnets = ["subnet-33333333"]
security_groups = ["sg-33333333"]
[[function]]
name = "provided"
role = "lacking"
capacity_provider = "arn:aws:lambda:eu-west-1:123456789012:capacity-provider:p"
"#;

/// A folder in which the program runs against a simulated account.
struct Desk {
    folder: tempfile::TempDir,
    account: Served,
}

impl Desk {
    fn new() -> Self {
        let mut world = World::demo().unwrap();
        let more = World::parse(MORE, "test").unwrap();
        world.vpcs.extend(more.vpcs);
        world.subnets.extend(more.subnets);
        world.security_groups.extend(more.security_groups);
        world.roles.extend(more.roles);
        world.functions.extend(more.functions);
        let account = Served::world(&world);
        permit(&account.door, &widest());
        Self { folder: tempfile::tempdir().unwrap(), account }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut program = program();
        program.args(arguments).current_dir(self.folder.path()).envs(aws_environment(&self.account.url));
        program.output().unwrap()
    }

    fn import(&self, arguments: &[&str]) -> Output {
        self.run(&[&["import"], arguments].concat())
    }
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The values of a key in its tables, in their order.
fn values(text: &str, table: &str, key: &str) -> Vec<String> {
    let document: toml::Table = text.parse().unwrap();
    let tables = document.get(table).and_then(toml::Value::as_array).cloned().unwrap_or_default();
    tables.iter().map(|table| table[key].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_fleet_that_was_imported_is_valid_and_nothing_is_to_be_done() {
    let desk = Desk::new();
    let written = desk.import(&["--output", "functions.toml", "--region", "us-east-1", "--region", "eu-west-1"]);
    assert_eq!(written.status.code(), Some(0), "{}", err(&written));
    assert_eq!(out(&written), "");
    for words in ["4 functions in 4 networks", "provided", "capacity provider", "plan --desired functions.toml"] {
        assert!(err(&written).contains(words), "`{words}` is missing in:\n{}", err(&written));
    }
    let text = fs::read_to_string(desk.path("functions.toml")).unwrap();
    let vpcs = values(&text, "vpc", "name");
    assert_eq!(vpcs, ["billing [[vpc]]", "orders-eu-west-1-default", "orders-eu-west-1-lambda", "orders-us-east-1"]);
    let functions = values(&text, "function", "name");
    assert_eq!(functions, ["billing-old", "legacy-report", "orders-old", "legacy-report"]);
    assert!(!text.contains("[defaults]\nregion"), "there are two regions:\n{text}");

    let valid = desk.run(&["validate", "functions.toml"]);
    assert_eq!((valid.status.code(), err(&valid).as_str()), (Some(0), ""), "{}", out(&valid));
    let plan = desk.run(&["plan", "--desired", "functions.toml"]);
    assert_eq!(plan.status.code(), Some(0), "{}{}", out(&plan), err(&plan));
    let applied = desk.run(&["apply", "--yes", "--desired", "functions.toml"]);
    assert_eq!(applied.status.code(), Some(0), "{}{}", out(&applied), err(&applied));
    assert_eq!(desk.account.door.changes(), []);
}

#[test]
fn a_file_that_is_there_is_left_as_it_is_and_nobody_is_asked() {
    let desk = Desk::new();
    fs::write(desk.path("functions.toml"), "mine").unwrap();
    let output = desk.import(&["--output", "functions.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("functions.toml is there already, and nothing is overwritten"), "{}", err(&output));
    assert_eq!(fs::read_to_string(desk.path("functions.toml")).unwrap(), "mine");
    assert!(desk.account.door.counts().is_empty(), "{:?}", desk.account.door.counts());
}

#[test]
fn only_what_is_asked_for_is_listed() {
    let desk = Desk::new();
    for (arguments, expected) in [
        (&[] as &[&str], &["billing-old", "legacy-report", "orders-old"] as &[&str]),
        (&["--name", "*-old"], &["billing-old", "orders-old"]),
        (&["--name", "billing*", "--name", "legacy-r?port"], &["billing-old", "legacy-report"]),
        (&["--vpc", "vpc-22222222"], &["billing-old"]),
        (&["--vpc", "vpc-0a1b2c3d4e5f60718", "--name", "legacy-*"], &["legacy-report"]),
        (&["--region", "us-east-1"], &["legacy-report"]),
        (&["--detached", "--name", "*-report"], &["legacy-report", "billing-report"]),
        (&["--account", "123456789012", "--vpc", "vpc-22222222"], &["billing-old"]),
    ] {
        let output = desk.import(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", err(&output));
        assert_eq!(values(&out(&output), "function", "name"), expected, "{arguments:?}");
    }
}

#[test]
fn where_nothing_can_be_listed_nothing_is_written() {
    let desk = Desk::new();
    for (arguments, words) in [
        (&["--name", "nobody-*"] as &[&str], "no function was found") as (&[&str], &str),
        (&["--vpc", "vpc-99999999"], "look at --name, --vpc"),
        (&["--name", "billing-report"], "1 is in no VPC (--detached lists it)"),
        (&["--name", "provided"], "capacity provider"),
        (&["--account", "999999999999"], "could not be listed"),
        (&["--account", "prod"], "the settings have no account `prod`"),
        (&["--vpc", "orders"], "`orders` is not a VPC id"),
        (&["--detached", "--vpc", "vpc-22222222"], "cannot be used with"),
    ] {
        let output = desk.import(&[arguments, &["--output", "new.toml"]].concat());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(err(&output).contains(words), "`{words}` is missing in:\n{}", err(&output));
        assert!(!desk.path("new.toml").exists(), "{arguments:?}");
    }
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_is_written_unless_functions_cannot_be_listed() {
    for (operation, expected) in [
        ("ListFunctions", None),
        ("GetCallerIdentity", None),
        ("DescribeVpcs", None),
        ("ListEntitiesForPolicy", Some(3)),
    ] {
        let desk = Desk::new();
        desk.account.door.with(|aws, _| aws.faults.add(Fault::always(Misbehaviour::Denied).on(operation)));
        let output = desk.import(&["--output", "new.toml"]);
        assert_eq!(output.status.code(), Some(1), "{operation}: {}", err(&output));
        assert!(err(&output).contains("error: "), "{operation}: {}", err(&output));
        let written = fs::read_to_string(desk.path("new.toml")).ok();
        assert_eq!(written.as_deref().map(|text| values(text, "function", "name").len()), expected, "{operation}");
        if written.is_some() {
            let plan = desk.run(&["plan", "--desired", "new.toml"]);
            assert_eq!(plan.status.code(), Some(0), "{operation}: {}", out(&plan));
        }
    }
}

#[test]
fn a_call_that_was_throttled_is_made_again() {
    let desk = Desk::new();
    let throttled = Fault::always(Misbehaviour::Throttled(None)).on("ListFunctions").times(1);
    desk.account.door.with(|aws, _| aws.faults.add(throttled));
    let output = desk.import(&["--vpc", "vpc-22222222"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(desk.account.door.count("ListFunctions"), 2);
}
