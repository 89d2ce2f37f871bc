//! Files that somebody made to do harm, and answers of AWS that are made so: nothing of them gets out of the line that it
//! is shown on, and nothing hangs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lambda_vpc_controller::text::unseen;
use rustix::fs::{CWD, Mode, mkfifoat};
use serde_json::json;

use crate::served::aws_environment;
use crate::support::account::Account;
use crate::support::process::{Process, eventually, within};
use crate::support::{program, replace};

/// Ends a fence of code, forges a result, a workflow's command and a heading, and moves the cursor.
const EVIL: &str = "x\n```\nAll in sync\n::add-mask::y\r\u{1b}[2K\u{9b}1A\u{202e}\u{2028}##[group]z";

/// The same in a TOML string.
fn in_toml(text: &str) -> String {
    let escaped = |c: char| if c.is_ascii_graphic() { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) };
    format!("\"{}\"", text.chars().map(escaped).collect::<String>())
}

/// A file with evil in every place that takes any text.
fn evil_file() -> String {
    let evil = in_toml(EVIL);
    format!(
        "[defaults]\nregion = 'eu-west-1'\naccount = '123456789012'\n\
         [[vpc]]\nname = {evil}\nid = 'vpc-0a1b2c3d4e5f60718'\n\
         [[vpc]]\nname = 'unused {}'\nid = 'vpc-0a1b2c3d4e5f60718'\n\
         [[function]]\nname = 'orders-api'\nvpc = {evil}\nmode = 'observe'\nreason = {evil}\n\
         [[function]]\nname = 'orders-worker'\nvpc = {evil}\nsubnets = {{ names = [{evil}] }}\n\
         [[function]]\nname = 'orders-*'\nvpc = {evil}\nsecurity_groups = {{ tags = {{ {evil} = {evil} }} }}\n",
        "x".repeat(200),
    )
}

/// Demands that what was written has each text on one line, with nothing in it that is more than text.
#[track_caller]
fn assert_harmless(what: &str, text: &str) {
    let stray = text.chars().find(|c| unseen(*c) && *c != '\n');
    assert_eq!(stray, None, "{what}:\n{text:?}");
    for line in text.lines().map(str::trim_start) {
        let command = line.strip_prefix("::").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()));
        let ours = ["::error ", "::warning "].iter().any(|command| line.starts_with(command));
        assert!(!command || ours, "{what}: {line}");
        assert!(!line.contains("```") && !line.starts_with("All in sync") && !line.contains("##["), "{what}: {line}");
        assert!(line.chars().count() < 5000, "{what}: a line of {} characters", line.chars().count());
    }
}

fn said(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    format!("{}{}", String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn no_text_of_a_file_gets_out_of_its_line_in_any_output() {
    let account = Account::serve_at(include_str!("../src/simulator/world/demo.toml"), "100");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("desired")).unwrap();
    // Whoever may add a file to a repository chooses its name as well.
    let name = format!("desired/{}.toml", EVIL.replace('/', "_"));
    fs::write(path(&name), evil_file()).unwrap();
    let settings = "desired = 'desired'\nresync = '1s'\nsettle = '0s'\nlisten = '127.0.0.1:0'\n";
    fs::write(path("controller.toml"), settings).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = program();
        command.args(arguments).arg("--config").arg(path("controller.toml")).envs(aws_environment(&account.url));
        command
    };
    let mut daemons = Vec::new();
    for format in ["human", "json"] {
        let audit = path(&format!("{format}.jsonl"));
        daemons.push(Process::start(run(&["run", "--log-format", format]).arg("--audit").arg(audit)));
    }
    let at = daemons[1].told("\"at\":\"", '"');
    let get = |path: &str| ureq::get(format!("http://{at}{path}")).call().unwrap().body_mut().read_to_string().unwrap();
    eventually("a sweep", || get("/api/v1/functions").contains("SubnetNotFound").then_some(()));
    // AWS, or whoever stands before it, answers like this.
    // Its code travels in a header, which holds no such text.
    let odd = json!({
        "operation": "ListFunctions", "answer": "error", "status": 400, "code": "OddException",
        "message": format!("odd {EVIL}"),
    });
    account.fault(&json!({ "fault": [odd] }));
    eventually("an odd answer", || get("/api/v1/status").contains("odd").then_some(()));
    let mut told = vec![("metrics".to_owned(), get("/metrics")), ("status".to_owned(), get("/api/v1/status"))];
    account.no_faults();
    for function in ["orders-api", "orders-worker"] {
        let details = get(&format!("/api/v1/functions/123456789012/eu-west-1/{function}"));
        told.push((
            function.to_owned(),
            serde_json::to_string(&serde_json::from_str::<serde_json::Value>(&details).unwrap()).unwrap(),
        ));
        told.push((function.to_owned(), details));
    }
    told.push(("functions".to_owned(), get("/api/v1/functions")));
    let url = format!("http://{at}");
    for arguments in [
        &["validate"][..],
        &["validate", "--output", "json"],
        &["validate", "--output", "github"],
        &["plan"],
        &["plan", "--output", "json"],
        &["apply", "--yes", "--timeout", "20s"],
        &["status", "--url", &url],
        &["status", "--url", &url, "--output", "json"],
        &["status", "--url", &url, "orders-*"],
        &["import"],
    ] {
        let output = said(&mut run(arguments));
        assert!(
            output.contains("orders-api") || ["validate", "import"].contains(&arguments[0]),
            "{arguments:?}: {output}"
        );
        told.push((arguments.join(" "), output));
    }
    fs::write(path(&name), format!("{}\n# \u{1b}[2J \u{202e} ##[x]\n[[function]\n", evil_file())).unwrap();
    for output in ["human", "json", "github"] {
        told.push((format!("mistakes, {output}"), said(&mut run(&["validate", "--output", output]))));
    }
    daemons[0].says("cannot be used");
    for daemon in &daemons {
        told.push(("the log".to_owned(), daemon.output()));
    }
    for (what, text) in &told {
        assert_harmless(what, text);
    }
    assert!(told.iter().filter(|(_, text)| text.contains("add-mask")).count() > 10, "the text was to be seen");
}

#[test]
fn texts_that_push_the_rest_out_are_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.toml");
    let long = "x".repeat(60_000);
    for (entry, words) in [
        (format!("reason = '{long}'\nmode = 'observe'"), "it has at most 500 characters"),
        (format!("subnets = {{ names = ['{long}'] }}"), "AWS has none of more than 256 characters"),
        (format!("subnets = {{ tags = {{ t = '{long}' }} }}"), "AWS has none of more than 256 characters"),
        (format!("subnets = {{ tags = {{ {long} = 't' }} }}"), "with keys of at most 128 characters"),
        (format!("policies = [{}]", "'AWSLambdaVPCAccessExecutionRole',".repeat(26)), "a role can have at most 25"),
        (format!("{long} = 1"), "unknown key"),
        (format!("mode = '{long}'"), "is not a mode"),
        (
            format!("security_groups = {{ names = [{}] }}", (0..9).map(|it| format!("'g{it}',")).collect::<String>()),
            "Lambda takes at most 5",
        ),
    ] {
        let text = format!(
            "[[function]]\nname = 'f'\nvpc = 'vpc-11111111'\nregion = 'eu-west-1'\n{entry}\n[[vpc]]\nname = 'v'\nid = 'vpc-11111111'\n"
        );
        fs::write(&path, text).unwrap();
        for output in ["human", "json", "github"] {
            let said = said(program().args(["validate", "--output", output]).arg(&path));
            assert!(said.contains(words), "{words}: {said}");
            assert!(said.len() < 10_000, "{words}: {} bytes", said.len());
        }
    }
    let name = format!("[[vpc]]\nname = '{long}'\nid = 'vpc-11111111'\n");
    fs::write(&path, name).unwrap();
    let said = said(program().arg("validate").arg(&path));
    assert!(said.contains("it has at most 256 characters") && said.len() < 10_000, "{said}");
}

/// What stands in place of a file for a while: what it is, and how it comes to be at a path.
type OddFile = (&'static str, fn(&Path));

fn odd_files() -> [OddFile; 5] {
    [
        ("is a named pipe", |path| mkfifoat(CWD, path, Mode::RWXU).unwrap()),
        ("is a socket", |path| drop(std::os::unix::net::UnixListener::bind(path).unwrap())),
        ("outside of its directory", |path| symlink("/dev/zero", path).unwrap()),
        ("outside of its directory", |path| symlink("/proc/self/environ", path).unwrap()),
        ("no file that ends in .toml", |path| fs::create_dir(path).unwrap()),
    ]
}

fn remove(path: &Path) {
    if path.is_dir() { fs::remove_dir(path).unwrap() } else { fs::remove_file(path).unwrap() }
}

#[test]
fn validate_ends_with_1_on_what_is_no_file_and_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.toml");
    for (words, make) in odd_files() {
        make(&path);
        let begun = Instant::now();
        let mut command = program();
        let output =
            command.arg("validate").arg(&path).env("SECRET", "the-secret-of-the-environment").output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(words) && said.contains("f.toml"), "{said}");
        assert!(!said.contains("the-secret"), "{said}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{words}");
        remove(&path);
    }
}

#[test]
fn the_daemon_takes_up_the_next_good_file_after_what_was_none_in_place_of_either_of_its_two() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let desired = |number: usize| {
        format!("[[function]]\nname = 'f-{number}'\nvpc = 'none'\nregion = 'eu-west-1'\naccount = '123456789012'\n")
    };
    let settings = |mode: &str| format!("{mode}desired = 'functions.toml'\nlisten = '127.0.0.1:0'\nresync = '1h'\n");
    fs::write(path("functions.toml"), desired(0)).unwrap();
    fs::write(path("controller.toml"), settings("")).unwrap();
    let mut command = program();
    command.args(["run", "--log-format", "json", "--config"]).arg(path("controller.toml"));
    let daemon = Process::start(command.envs(aws_environment("http://127.0.0.1:9")));
    let at = daemon.told("\"at\":\"", '"');
    let get = |path: &str| ureq::get(format!("http://{at}{path}")).call().ok()?.body_mut().read_to_string().ok();
    let valid = |wanted: &'static str| {
        eventually(wanted, || get("/metrics").filter(|text| text.lines().any(|line| line == wanted)));
    };
    for (number, (words, make)) in odd_files().into_iter().enumerate() {
        fs::remove_file(path("functions.toml")).unwrap();
        make(&path("functions.toml"));
        valid("lambda_vpc_desired_valid 0");
        daemon.says(words);
        remove(&path("functions.toml"));
        replace(&path("functions.toml"), desired(number + 1));
        valid("lambda_vpc_desired_valid 1");
        let listed = format!("\"name\":\"f-{}\"", number + 1);
        within(
            Duration::from_secs(15),
            || listed.clone(),
            || get("/api/v1/functions").filter(|text| text.contains(&listed)),
        );
        assert_eq!(get("/livez").as_deref(), Some("ok\n"));
    }
    for (number, (_, make)) in odd_files().into_iter().enumerate() {
        let told = daemon.output().matches("the settings cannot be used").count();
        fs::remove_file(path("controller.toml")).unwrap();
        make(&path("controller.toml"));
        eventually("the settings to be refused", || {
            (daemon.output().matches("the settings cannot be used").count() > told).then_some(())
        });
        remove(&path("controller.toml"));
        let mode = if number % 2 == 0 { "mode = 'observe'\n" } else { "" };
        replace(&path("controller.toml"), settings(mode));
        let before = number + 1;
        let said = || format!("the settings were not read again, time {before}:\n{}", daemon.output());
        within(Duration::from_secs(15), said, || {
            (daemon.output().matches("new settings are in force").count() >= before).then_some(())
        });
    }
}
