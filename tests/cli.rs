//! The commands as a person calls them: what they print, and their exit codes.

use std::fs;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use lambda_vpc_controller::names::{Region, ScopeKey};
use lambda_vpc_controller::simulator::UpdateFunctionConfiguration;
use serde_json::Value;

use crate::served::{Served, aws_environment};
use crate::support::permitted::{permit, widest};
use crate::support::program;

const ORDERS: &str = "[defaults]\nregion = 'eu-west-1'\n\
                      [[vpc]]\nname = 'orders'\nid = 'vpc-0a1b2c3d4e5f60718'\nsecurity_groups = { names = ['lambda'] }\n\
                      [[function]]\nname = 'orders-api'\nvpc = 'orders'\n";
/// What legacy-report has in the demo's world.
const IN_SYNC: &str = "[[function]]\nname = 'legacy-report'\nregion = 'eu-west-1'\nvpc = 'vpc-0a1b2c3d4e5f60718'\n\
                       subnets = { ids = ['subnet-0a1a1a1a1a1a1a1a1', 'subnet-0b2b2b2b2b2b2b2b2'] }\n";

/// A folder with files, in which the program runs against a simulated account.
struct Desk {
    folder: tempfile::TempDir,
    account: Served,
}

impl Desk {
    fn new(desired: &str) -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap(), account: Served::demo() };
        permit(&desk.account.door, &widest());
        desk.write("functions.toml", desired);
        desk
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, &[])
    }

    fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut program = program();
        program.args(arguments).current_dir(self.folder.path());
        program.envs(aws_environment(&self.account.url)).envs(environment.iter().copied());
        if !arguments.contains(&"--desired") && !environment.iter().any(|(name, _)| *name == "LAMBDA_VPC_DESIRED") {
            program.arg("--desired").arg("functions.toml");
        }
        program.output().unwrap()
    }
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is missing in:\n{text}");
    }
}

#[test]
fn a_plan_shows_each_change_with_names_beside_ids_and_ends_with_2() {
    let desk = Desk::new(ORDERS);
    let output = desk.run(&["plan"]);
    assert_eq!(output.status.code(), Some(2), "{}", err(&output));
    assert_says(
        &out(&output),
        &[
            "eu-west-1 in account 123456789012",
            "functions.toml:8:8",
            "role orders-role: attach AWSLambdaVPCAccessExecutionRole",
            "from no VPC to vpc-0a1b2c3d4e5f60718 (orders)",
            "+ subnet-0a1a1a1a1a1a1a1a1  orders-private-a euw1-az1 private",
            "+ sg-0e5e5e5e5e5e5e5e5  lambda",
            "1 to change",
        ],
    );
    assert!(!out(&output).contains('\u{1b}'), "colour where there is no terminal");
    assert_eq!(desk.account.door.changes(), []);
}

#[test]
fn a_plan_as_json_is_for_programs() {
    let desk = Desk::new(ORDERS);
    let first = desk.run(&["plan", "--output", "json"]);
    let plan: Value = serde_json::from_slice(&first.stdout).unwrap();
    let function = &plan["functions"][0];
    assert_eq!(function["state"], "pending");
    assert_eq!(function["place"]["line"], 8);
    assert_eq!(function["change"]["cause"], "file");
    assert_eq!(function["change"]["network"]["from"]["subnets"], serde_json::json!([]));
    assert_eq!(function["change"]["network"]["to"]["subnets"].as_array().unwrap().len(), 3);
    assert_eq!(function["change"]["attach"][0]["evidence"], "simulated");
    assert_eq!(desk.run(&["plan", "--output", "json"]).stdout, first.stdout, "the same world gives the same plan");
}

#[test]
fn a_plan_ends_with_0_where_all_is_in_sync_and_with_1_where_something_is_blocked() {
    let desk = Desk::new(IN_SYNC);
    let output = desk.run(&["plan"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", out(&output), err(&output));
    let blocked =
        format!("{IN_SYNC}[[function]]\nname = 'nobody'\nregion = 'eu-west-1'\nvpc = 'vpc-0a1b2c3d4e5f60718'\n");
    desk.write("functions.toml", &blocked);
    let output = desk.run(&["plan"]);
    assert_eq!(output.status.code(), Some(1));
    assert_says(&out(&output), &["nobody", "FunctionNotFound", "functions.toml:7:8", "1 blocked"]);
}

#[test]
fn an_update_that_goes_on_is_not_taken_for_its_end() {
    let desk = Desk::new(IN_SYNC);
    desk.account.door.with(|aws, now| {
        let scope = ScopeKey { account: aws.home().clone(), region: Region::parse("eu-west-1").unwrap() };
        let deploy = UpdateFunctionConfiguration { timeout: Some(9), ..UpdateFunctionConfiguration::default() };
        aws.update_function_configuration(&scope, "legacy-report", &deploy, now).unwrap();
    });
    let output = desk.run(&["plan"]);
    assert_eq!(output.status.code(), Some(2), "{}", out(&output));
    assert_says(&out(&output), &["Lambda is carrying out an update"]);
    let output = desk.run(&["apply", "--yes", "--timeout", "2s"]);
    assert_eq!(output.status.code(), Some(1), "the simulated clock stands still: {}", out(&output));
    desk.account.clock.pass(std::time::Duration::from_secs(600));
    assert_eq!(desk.run(&["apply", "--yes"]).status.code(), Some(0));
    assert_eq!(desk.account.door.changes(), [], "nothing differed");
}

#[test]
fn each_bad_input_gives_one_clear_message_changes_nothing_and_ends_with_1() {
    let vpc = "vpc = 'vpc-0a1b2c3d4e5f60718'\nregion = 'eu-west-1'\n";
    let cases: &[(&str, String, &[&str])] = &[
        ("empty", String::new(), &["functions.toml is empty"]),
        ("invalid", "[[function]\n".to_owned(), &["not valid TOML", "functions.toml:1:"]),
        (
            "unknown VPC",
            ORDERS.replace("vpc = 'orders'", "vpc = 'ordres'"),
            &["there is no VPC `ordres`", "did you mean"],
        ),
        ("VPC not in AWS", ORDERS.replace("60718", "60719"), &["VpcNotFound", "vpc-0a1b2c3d4e5f60719"]),
        (
            "subnet not in AWS",
            format!("[[function]]\nname = 'orders-api'\n{vpc}subnets = {{ ids = ['subnet-11111111'] }}\n"),
            &["SubnetNotFound", "has no subnet subnet-11111111"],
        ),
        ("no such function", ORDERS.replace("orders-api", "orders-ipa"), &["FunctionNotFound", "orders-ipa"]),
        (
            "wrong account",
            ORDERS.replace("[defaults]", "[defaults]\naccount = '999999999999'"),
            &["WrongAccount", "999999999999"],
        ),
        (
            "vpc = none",
            "[[function]]\nname = 'legacy-report'\nregion = 'eu-west-1'\nvpc = 'none'".to_owned(),
            &["DetachNotAllowed", "guard.allow_detach"],
        ),
    ];
    for (name, file, words) in cases {
        let desk = Desk::new(file);
        for command in [&["plan"] as &[&str], &["apply", "--yes"]] {
            let output = desk.run(command);
            assert_eq!(output.status.code(), Some(1), "{name}: {}", err(&output));
            assert_says(&(out(&output) + &err(&output)), words);
        }
        assert_eq!(desk.account.door.changes(), [], "{name}");
    }
}

#[test]
fn a_missing_file_an_empty_directory_and_wrong_usage_end_with_1() {
    let desk = Desk::new(ORDERS);
    fs::create_dir(desk.folder.path().join("empty")).unwrap();
    for (arguments, words) in [
        (&["plan", "--desired", "nowhere.toml"] as &[&str], &["cannot read nowhere.toml"] as &[&str]),
        (&["plan", "--desired", "empty"], &["empty has no file that ends in .toml"]),
        (&["plan", "--config", "nowhere.toml"], &["cannot read nowhere.toml"]),
        (&["validate", "nowhere.toml"], &["cannot read nowhere.toml"]),
        (&["plan", "--no-such-flag"], &["--no-such-flag", "--help"]),
        (&["run", "--resync", "soon"], &["`soon` is not a duration"]),
    ] {
        let output = desk.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert_says(&err(&output), words);
    }
}

#[test]
fn without_credentials_or_network_that_is_said_once() {
    let desk = Desk::new(&ORDERS.replace("[defaults]", "[defaults]\naccount = '123456789012'"));
    desk.write(
        "functions.toml",
        &format!("{}[[function]]\nname = 'orders-worker'\nvpc = 'orders'\n", {
            fs::read_to_string(desk.folder.path().join("functions.toml")).unwrap()
        }),
    );
    let nothing: &[(&str, &str)] = &[("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")];
    let nowhere: &[(&str, &str)] = &[("AWS_ENDPOINT_URL", "http://127.0.0.1:9")];
    for (environment, words) in [(nothing, "no valid AWS credentials"), (nowhere, "cannot be reached; check network")] {
        let output = desk.run_with(&["plan"], environment);
        assert_eq!(output.status.code(), Some(1));
        let said = out(&output) + &err(&output);
        assert_eq!(said.matches(words).count(), 1, "{said}");
        assert_says(&said, &["orders-api, orders-worker"]);
    }
    assert_eq!(desk.account.door.changes(), []);
}

#[test]
fn flags_go_over_the_environment_over_the_file_over_the_defaults() {
    let desk = Desk::new(ORDERS);
    for name in ["flag", "environment", "file"] {
        desk.write(&format!("{name}.toml"), IN_SYNC);
    }
    fs::create_dir(desk.folder.path().join("config")).unwrap();
    desk.write("config/functions.toml", IN_SYNC);
    desk.write("controller.toml", "desired = 'file.toml'");
    let validate = |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut program = program();
        program.arg("validate").args(arguments).envs(environment.iter().copied()).current_dir(desk.folder.path());
        out(&program.output().unwrap())
    };
    assert_says(&validate(&[], &[]), &["config/functions.toml: valid"]);
    let settings = ["--config", "controller.toml"];
    assert_says(&validate(&settings, &[]), &["file.toml: valid"]);
    let environment = [("LAMBDA_VPC_DESIRED", "environment.toml")];
    assert_says(&validate(&settings, &environment), &["environment.toml: valid"]);
    let flags = [&settings[..], &["--desired", "flag.toml"]].concat();
    assert_says(&validate(&flags, &environment), &["flag.toml: valid"]);
}

#[test]
fn without_a_terminal_nobody_can_agree_and_nothing_is_changed() {
    let desk = Desk::new(ORDERS);
    let output = desk.run(&["apply"]);
    assert_eq!(output.status.code(), Some(1));
    assert_says(&err(&output), &["--yes"]);
    assert_eq!(desk.account.door.changes(), []);
}

#[test]
fn apply_gives_up_after_its_timeout_and_says_how_things_stand() {
    // The simulated clock stands still, so that IAM never notices the policy.
    let desk = Desk::new(ORDERS);
    let output = desk.run(&["apply", "--yes", "--timeout", "3s"]);
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    assert_says(&(out(&output) + &err(&output)), &["giving up", "RolePropagation", "0 of 1 functions are in sync"]);
    let accepted: Vec<_> = desk.account.door.changes().into_iter().filter(|call| call.refused.is_none()).collect();
    assert_eq!(accepted.len(), 1, "the policy alone was accepted: {accepted:?}");
}

#[test]
fn apply_in_observe_mode_changes_nothing() {
    let desk = Desk::new(ORDERS);
    let output = desk.run(&["apply", "--yes", "--mode", "observe"]);
    assert_eq!(output.status.code(), Some(1));
    assert_says(&out(&output), &["only observed"]);
    assert_eq!(desk.account.door.changes(), []);
}

#[test]
fn validate_reports_every_file_for_people_and_for_programs() {
    let desk = Desk::new(ORDERS);
    desk.write("broken.toml", "[[function]]\nname = 'x'\nvcp = 'y'\n");
    let output = desk.run(&["validate", "functions.toml", "broken.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert_says(&out(&output), &["functions.toml: valid, 1 function\n", "broken.toml: not valid"]);
    assert_says(&err(&output), &["unknown key `vcp`", "did you mean `vpc`?", "broken.toml:3:1", "has no `vpc`"]);
    let output = desk.run(&["validate", "--output", "json", "functions.toml", "broken.toml"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json[0]["valid"], true);
    assert_eq!(json[1]["diagnostics"][0]["line"], 1);
}

#[test]
fn help_teaches_and_a_version_is_told() {
    let output = program().arg("--help").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_says(&out(&output), &["First steps:", "lambda-vpc-controller demo", "LAMBDA_VPC_CONFIG"]);
    let output = program().arg("--version").output().unwrap();
    assert_says(&out(&output), &[env!("CARGO_PKG_VERSION")]);
}

/// The records of an audit trail: phase, step and result of each.
fn records(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.starts_with("{\"version\":1,"));
    let told = |record: Value| {
        let words = ["phase", "step", "result"].map(|key| record[key].as_str().unwrap_or_default().to_owned());
        words.join(" ").trim_end().to_owned()
    };
    lines.map(|line| told(serde_json::from_str(line).unwrap())).collect()
}

#[test]
fn apply_records_its_changes_on_stderr_or_in_the_file_that_is_named() {
    let file = IN_SYNC.replace("'subnet-0a1a1a1a1a1a1a1a1', ", "");
    let expected = ["intent set_vpc", "result set_vpc done"];
    let apply = ["apply", "--yes", "--timeout", "1s"];
    for more in [&[] as &[&str], &["--audit", "stdout"]] {
        let desk = Desk::new(&file);
        let output = desk.run(&[&apply[..], more].concat());
        assert_eq!(records(&err(&output)), expected, "{}", err(&output));
        assert_eq!(records(&out(&output)), [] as [&str; 0], "stdout is the plan");
    }
    let desk = Desk::new(&file);
    desk.write("controller.toml", "audit = 'settings.jsonl'");
    let settings = ["--config", "controller.toml"];
    let trail = |name: &str| records(&fs::read_to_string(desk.folder.path().join(name)).unwrap_or_default());
    let output = desk.run(&[&apply[..], &settings, &["--audit", "flag.jsonl"]].concat());
    assert_eq!((trail("flag.jsonl"), trail("settings.jsonl").len()), (expected.map(str::to_owned).to_vec(), 0));
    assert_eq!(records(&err(&output)), [] as [&str; 0]);
}

#[test]
fn a_trail_that_cannot_be_opened_or_written_means_that_nothing_is_changed() {
    let desk = Desk::new(&ORDERS.replace("[defaults]", "[defaults]\naccount = '123456789012'"));
    for command in [&["run"] as &[&str], &["apply", "--yes"]] {
        for (path, words) in [("nowhere/audit.jsonl", "No such file"), (".", "directory")] {
            let output = desk.run(&[command, &["--audit", path]].concat());
            assert_eq!(output.status.code(), Some(1), "{}", err(&output));
            assert_says(&err(&output), &["cannot write the audit trail", path, words, "--audit"]);
        }
        let output = desk.run_with(command, &[("LAMBDA_VPC_AUDIT", "nowhere/audit.jsonl")]);
        assert_says(&err(&output), &["cannot write the audit trail nowhere/audit.jsonl"]);
    }
    let output = desk.run(&["apply", "--yes", "--timeout", "5s", "--audit", "/dev/full"]);
    assert_eq!(output.status.code(), Some(1));
    assert_says(&out(&output), &["NotJournaled", "/dev/full", "No space left on device"]);
    assert_eq!(desk.account.door.changes(), []);
}

#[test]
fn an_error_that_nobody_can_read_is_an_exit_code_and_no_panic() {
    for arguments in [&["run", "--config", "nowhere.toml"][..], &["validate", "nowhere.toml"], &["--no-such-flag"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let status = program().args(arguments).stdout(Stdio::null()).stderr(full).status().unwrap();
        assert_eq!(status.code(), Some(1), "{arguments:?}");
    }
}

#[test]
fn undo_prints_the_entry_alone_and_says_on_stderr_what_it_skipped() {
    let desk = Desk::new(&IN_SYNC.replace("'subnet-0a1a1a1a1a1a1a1a1', ", ""));
    desk.run(&["apply", "--yes", "--timeout", "1s", "--audit", "audit.jsonl"]);
    let trail = fs::read_to_string(desk.folder.path().join("audit.jsonl")).unwrap();
    desk.write("audit.jsonl", &(trail + "{\"version\":1,\"ti"));
    let output = desk.run(&["undo", "--audit", "audit.jsonl", "--function", "legacy-report"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(err(&output), "audit.jsonl: line 3 is no audit record and was skipped\n");
    desk.write("undo.toml", &out(&output));
    assert_eq!(desk.run(&["validate", "undo.toml"]).status.code(), Some(0));
    assert_says(&out(&output), &["ids = [\"subnet-0a1a1a1a1a1a1a1a1\", \"subnet-0b2b2b2b2b2b2b2b2\"]"]);
    for (file, name, words) in [
        ("nowhere.jsonl", "legacy-report", "cannot read nowhere.jsonl"),
        (".", "legacy-report", "cannot read ."),
        ("audit.jsonl", "legacy-repotr", "did you mean legacy-report?"),
        ("functions.toml", "legacy-report", "nothing is told of a function"),
    ] {
        let output = desk.run(&["undo", "--audit", file, "--function", name]);
        assert_eq!((output.status.code(), out(&output)), (Some(1), String::new()));
        assert_says(&err(&output), &[words]);
    }
}

#[test]
fn a_plan_says_how_many_interfaces_lambda_has_to_make_and_what_the_guard_would_hold() {
    let fleet = Served::world(&lambda_vpc_controller::simulator::World::fleet(20));
    let function = |number| format!("[[function]]\nname = 'function-{number:05}'\nvpc = 'vpc-0f1ee700000000000'\n");
    let head = "defaults = { region = 'eu-west-1' }\n".to_owned();
    let entries = (0..12).map(function).fold(head, |text, entry| text + &entry);
    let desk = Desk { account: fleet, ..Desk::new(&entries) };
    let output = desk.run(&["plan"]);
    let text = out(&output);
    assert_eq!(output.status.code(), Some(2), "{}", err(&output));
    assert!(
        text.contains("vpc-0f1ee700000000000 in 123456789012/eu-west-1: Lambda makes 3 new network interfaces"),
        "{text}"
    );
    assert!(text.contains("of these 12 in 123456789012/eu-west-1 the daemon changes 10 in an hour"), "{text}");
    let json: Value = serde_json::from_str(&out(&desk.run(&["plan", "--output", "json"]))).unwrap();
    let id = json["plan_id"].as_str().unwrap().to_owned();
    assert_eq!((json["interfaces"][0]["there"].as_u64(), json["interfaces"][0]["new"].as_u64()), (Some(0), Some(3)));
    assert!(text.contains(&format!("apply --approve {}", &id[..12])), "{text}");
}

#[test]
fn an_approval_is_of_the_plan_as_it_stands_and_of_no_other() {
    let desk = Desk::new(IN_SYNC);
    // The clock stands still, so that nothing that takes time comes to an end: what is refused shows without it.
    desk.write("functions.toml", ORDERS);
    let refused = desk.run(&["apply", "--approve", "0123456789ab"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        err(&refused).contains("not 0123456789ab: something has changed since it was looked at"),
        "{}",
        err(&refused)
    );
    assert!(desk.account.door.changes().is_empty());
    let json: Value = serde_json::from_str(&out(&desk.run(&["plan", "--output", "json"]))).unwrap();
    let id = json["plan_id"].as_str().unwrap();
    let begun = desk.run(&["apply", "--approve", &id[..12], "--timeout", "3s"]);
    assert!(!desk.account.door.changes().is_empty(), "{}", err(&begun));
    let short = desk.run(&["apply", "--approve", "0123"]);
    assert!(err(&short).contains("at least its first twelve hexadecimal digits"), "{}", err(&short));
}

#[test]
fn validate_takes_directories_annotates_for_github_and_points_at_what_is_doubtful() {
    let desk = Desk::new(ORDERS);
    for directory in ["good", "bad"] {
        fs::create_dir(desk.folder.path().join(directory)).unwrap();
    }
    desk.write("good/a.toml", ORDERS);
    let function = "[[function]]\nname = 'x'\nvpc = 'orders'\n";
    desk.write("good/b.toml", &format!("{function}until = 2020-01-31T00:00:00Z\nmode = 'observe'\nreason = 'old'\n"));
    desk.write("good/c.toml", &function.replace("'x'", "'y'\nmode = 'observe'"));
    desk.write("good/d.toml", &function.replace("'x'", "'z'\nreason = 'incident 4711'"));
    desk.write("bad/a.toml", &format!("{function}vcp = 1\n"));
    desk.write("bad/b.toml", "");
    let output = desk.run(&["validate", "--output", "github", "good", "bad"]);
    assert_eq!(output.status.code(), Some(1));
    let said = out(&output);
    let expected = [
        "::warning file=good/c.toml,line=3,endLine=3,col=8,endColumn=17,title=this observation has neither an end nor a \
         reason::observed for ever%0Ahelp: add",
        "::warning file=good/d.toml,line=3,endLine=3,",
        "::warning file=good/b.toml,line=2,endLine=2,col=8,endColumn=11,title=the observation of `x` has ended::is enforced",
        "good: valid, 4 functions",
        "::error file=bad/a.toml,line=4,endLine=4,col=1,endColumn=4,title=unknown key `vcp`::",
        "::error file=bad/b.toml,title=bad/b.toml is empty",
        "bad: not valid",
    ];
    for expected in expected {
        assert!(said.lines().any(|line| line.starts_with(expected)), "{expected} begins no line of:\n{said}");
    }
    assert_eq!(err(&output), "", "all of it is in the annotations");
    // One by one they are desired states of their own: the VPC of the other file is not theirs.
    let output = desk.run(&["validate", "good/a.toml", "good/c.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert_says(&out(&output), &["good/a.toml: valid, 1 function\n", "good/c.toml: not valid"]);
}

#[test]
fn validate_points_at_what_the_settings_will_not_let_through_if_there_are_settings() {
    let desk = Desk::new(ORDERS);
    let entry = |name: &str, vpc: &str| format!("[[function]]\nname = '{name}'\nvpc = '{vpc}'\n");
    let more = [
        ("elsewhere", "vpc-0b000000"),
        ("out", "none"),
        ("else-*", "vpc-0b000000"),
        ("out-*", "none"),
        ("orders-*", "orders"),
    ];
    desk.write("fleet.toml", &more.iter().fold(ORDERS.to_owned(), |text, (name, vpc)| text + &entry(name, vpc)));
    let validate = |settings: Option<&str>| {
        if let Some(settings) = settings {
            desk.write("limits.toml", settings);
        }
        let config: &[&str] = if settings.is_some() { &["--config", "limits.toml"] } else { &[] };
        let output = desk.run(&[&["validate", "--output", "github", "fleet.toml"], config].concat());
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        let said = out(&output);
        assert_says(&said, &["fleet.toml: valid, 3 functions, 3 patterns\n"]);
        let lines =
            said.lines().filter(|line| line.starts_with("::warning") && line.contains("the settings will keep"));
        let names = lines.map(|line| line.split('`').nth(1).unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(validate(None), [] as [&str; 0], "nobody knows what the operator allows");
    assert_eq!(validate(Some("mode = 'enforce'")), ["out", "out-*"]);
    let both = "[guard]\nallow_detach = true\nallowed_vpcs = ['vpc-0a1b2c3d4e5f60718']\n";
    assert_eq!(validate(Some(both)), ["elsewhere", "else-*"]);
    assert_eq!(validate(Some("[guard]\nallow_detach = true\n")), [] as [&str; 0]);
}

/// A region that AWS opens after a version is let through by name, so that a slip in another one is still found.
#[test]
fn a_region_that_aws_opened_lately_is_named_by_a_flag_a_variable_or_the_settings() {
    let desk = Desk::new(&ORDERS.replace("eu-west-1", "eu-west-9"));
    desk.write("new.toml", "[files]\nnew_regions = ['eu-west-9']\n");
    let validate = |arguments: &[&str], variable: Option<&str>| {
        let environment: Vec<_> = variable.map(|regions| ("LAMBDA_VPC_NEW_REGIONS", regions)).into_iter().collect();
        let output = desk.run_with(&[&["validate"], arguments].concat(), &environment);
        (output.status.code(), err(&output))
    };
    for (arguments, variable) in [
        (&["--new-region", "eu-west-9"][..], None),
        (&["--new-region", "eu-west-8", "--new-region", "eu-west-9"], None),
        (&[], Some("eu-west-8,eu-west-9")),
        (&["--config", "new.toml"], None),
        (&["--config", "new.toml", "--new-region", "eu-west-8"], None),
    ] {
        assert_eq!(validate(arguments, variable), (Some(0), String::new()), "{arguments:?} {variable:?}");
    }
    for (arguments, variable) in [(&[][..], None), (&["--new-region", "eu-west-8"], None), (&[], Some("eu-west-8"))] {
        let (code, said) = validate(arguments, variable);
        assert_eq!(code, Some(1), "{arguments:?} {variable:?}");
        assert_says(&said, &["AWS has no region `eu-west-9`", "did you mean `eu-west-1`?", "--new-region eu-west-9"]);
    }
}

#[test]
fn completions_are_scripts_that_the_shells_accept() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = program().args(["completions", shell]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        assert_says(&out(&output), &["lambda-vpc-controller", "validate", "iam-policy"]);
        if shell == "bash" {
            let folder = tempfile::tempdir().unwrap();
            let script = folder.path().join("completions");
            fs::write(&script, &output.stdout).unwrap();
            assert!(std::process::Command::new("bash").arg("-n").arg(&script).status().unwrap().success());
        }
    }
    assert_eq!(program().args(["completions", "cmd"]).output().unwrap().status.code(), Some(1));
}
