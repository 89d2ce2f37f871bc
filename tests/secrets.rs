//! What AWS tells of a function beside its network, and what the program calls AWS with, is nowhere to be seen: not in the
//! log, not in errors, not in what is served, not in what is recorded.

use std::fs;

use serde_json::json;

use crate::served::aws_environment;
use crate::support::account::Account;
use crate::support::process::{Process, eventually};
use crate::support::program;

/// The value of an environment variable of a function.
const VALUE: &str = "the-password-of-the-database";
const SECRET: &str = "the-secret-of-the-access-key";
const TOKEN: &str = "the-token-of-the-session";

#[test]
fn environment_values_and_credentials_are_nowhere_to_be_seen() {
    let account = Account::serve(include_str!("../src/simulator/world/demo.toml"));
    account.set_environment("orders-api", &json!({ "DATABASE": VALUE }));
    let seen = account.configuration("orders-api").to_string();
    assert!(seen.contains(VALUE), "AWS tells it to whoever asks: {seen}");

    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(
        path("controller.toml"),
        "desired = 'functions.toml'\nresync = '1s'\nsettle = '0s'\nlisten = '127.0.0.1:0'\n",
    )
    .unwrap();
    fs::write(
        path("functions.toml"),
        "[defaults]\nregion = 'eu-west-1'\naccount = '123456789012'\n\
         [[vpc]]\nname = 'orders'\nid = 'vpc-0a1b2c3d4e5f60718'\n[[function]]\nname = 'orders-*'\nvpc = 'orders'\n",
    )
    .unwrap();
    let run = |arguments: &[&str]| {
        let mut command = program();
        command.args(arguments).arg("--config").arg(path("controller.toml")).envs(aws_environment(&account.url));
        command.env("AWS_SECRET_ACCESS_KEY", SECRET).env("AWS_SESSION_TOKEN", TOKEN);
        command.env("RUST_LOG", "warn,lambda_vpc_controller=trace");
        command
    };
    // Answers that nobody can read, whole or in part, are told as errors.
    for answer in ["malformed", "truncated", "error"] {
        let more =
            if answer == "error" { json!({ "status": 400, "code": "Odd", "message": "odd" }) } else { json!({}) };
        let mut fault = json!({ "answer": answer, "percent": 30 });
        fault.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        account.fault(&json!({ "fault": [fault] }));
    }
    let daemon = Process::start(run(&["run"]).arg("--audit").arg(path("audit.jsonl")));
    let at = daemon.told("\"at\":\"", '"');
    let get = |path: &str| ureq::get(format!("http://{at}{path}")).call().unwrap().body_mut().read_to_string().unwrap();
    eventually("some errors", || (daemon.output().matches("answered Odd").count() > 0).then_some(()));
    account.no_faults();
    let in_sync = "lambda_vpc_functions{account=\"123456789012\",region=\"eu-west-1\",state=\"in_sync\"} 2";
    eventually("all in sync", || get("/metrics").contains(in_sync).then_some(()));

    let mut told = vec![("the log", daemon.output()), ("the trail", fs::read_to_string(path("audit.jsonl")).unwrap())];
    for shown in
        ["/", "/metrics", "/api/v1/status", "/api/v1/functions", "/api/v1/functions/123456789012/eu-west-1/orders-api"]
    {
        told.push((shown, get(shown)));
    }
    for command in [&["plan"][..], &["plan", "--output", "json"], &["import"], &["import", "--detached"]] {
        let output = run(command).output().unwrap();
        told.push((
            command[0],
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)),
        ));
    }
    for (what, text) in &told {
        assert!(text.contains("orders-api") || *what == "/" || *what == "/api/v1/status", "{what} is empty: {text}");
        for secret in [VALUE, SECRET, TOKEN] {
            assert!(!text.contains(secret), "{what} has {secret}:\n{text}");
        }
    }
}
