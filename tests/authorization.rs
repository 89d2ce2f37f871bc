//! What `iam-policy` prints, held against AWS's service authorization reference: that there are such actions, that they are about
//! such resources, and that the conditions are ones that AWS looks at. A policy with a misspelt key is valid, and allows nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::Stdio;

use clap::CommandFactory as _;
use lambda_vpc_controller::cloud::PARTITIONS;
use lambda_vpc_controller::commands::Cli;
use serde_json::{Value, json};

use crate::python;
use crate::rights::{ACCOUNTS, DEFAULTS, HUB, iam_policy};
use crate::support::bare;

/// What is wrong with each of these policies.
fn wrong(policies: &BTreeMap<String, Value>) -> BTreeMap<String, Vec<String>> {
    let installed = python::tool("policy_sentry", "policy_sentry==0.15.*");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/authorization.py");
    let mut python = bare(installed.with_file_name("python3"));
    let mut child = python.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&serde_json::to_vec(policies).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_policy_that_is_printed_is_one_that_aws_understands() {
    let accounts: String = (0..50)
        .map(|number| {
            format!("[[account]]\nid = '{0}'\nrole_arn = 'arn:aws:iam::{0}:role/x'\n", 100_000_000_000_u64 + number)
        })
        .collect();
    let vpcs = "allowed_vpcs = ['vpc-0a1b2c3d4e5f60718']\n";
    let all_settings = [
        DEFAULTS.to_owned(),
        ACCOUNTS.to_owned(),
        accounts,
        "[guard]\nallow_detach = true\n".to_owned(),
        format!("[guard]\n{vpcs}"),
        format!("[guard]\nallow_detach = true\n{vpcs}"),
        "[guard]\nallowed_roles = ['orders-*', 'service-role/', 'team/api', '*']\n".to_owned(),
    ];
    let partitions: Vec<[&str; 2]> = PARTITIONS.iter().map(|(name, _)| ["--partition", *name]).collect();
    let mut all_arguments: Vec<&[&str]> = vec![
        &[],
        &["--mode", "observe"],
        &["--refuse-layers"],
        &["--own-role", HUB],
        &["--refuse-layers", "--own-role", HUB],
        &["--kms"],
    ];
    all_arguments.extend(partitions.iter().map(|partition| partition.as_slice()));
    let of_an_account: [&[&str]; 4] = [
        &["--account", "shop", "--kms"],
        &["--account", "shop"],
        &["--account", "shop", "--refuse-layers", "--own-role", HUB],
        &["--account", "shop", "--trust", HUB],
    ];
    let asked =
        all_settings.iter().flat_map(|settings| all_arguments.iter().map(move |arguments| (settings, *arguments)));
    let asked = asked.chain(of_an_account.into_iter().map(|arguments| (&all_settings[1], arguments)));
    let printed = |(settings, arguments): (&String, &[&str])| {
        let output = iam_policy(settings, arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (format!("{settings} {arguments:?}"), serde_json::from_slice(&output.stdout).unwrap())
    };
    let policies: BTreeMap<String, Value> = asked.map(printed).collect();
    assert!(policies.len() > 80, "{}", policies.len());
    let wrong: Vec<_> = wrong(&policies).into_iter().filter(|(_, what)| !what.is_empty()).collect();
    assert_eq!(wrong, []);
}

#[test]
fn no_switch_of_it_is_left_out_of_that() {
    let command = Cli::command();
    let switches = command.find_subcommand("iam-policy").unwrap().get_arguments().filter_map(|it| it.get_long());
    let expected = ["account", "kms", "own-role", "partition", "refuse-layers", "trust"];
    assert_eq!(switches.collect::<BTreeSet<_>>(), BTreeSet::from(expected), "beside those of every command");
}

#[test]
fn what_aws_would_not_understand_is_found() {
    let role = "arn:aws:iam::123456789012:role/x";
    let policy = |statement: Value| json!({ "Statement": [statement] });
    for (statement, expected) in [
        (json!({ "Action": ["lambda:UpdateFunctionConfig"], "Resource": ["*"] }), "there is no action"),
        (json!({ "Action": ["lambda:UpdateFunctionConfiguration"], "Resource": [role] }), "is not about"),
        (json!({ "Action": ["lambda:ListFunctions"], "Resource": ["arn:aws:lambda:*:*:function:*"] }), "is not about"),
        (json!({ "Action": ["iam:AttachRolePolicy"], "Resource": [] }), "needs a role"),
        (
            json!({ "Action": ["iam:AttachRolePolicy"], "Resource": [role], "Condition": { "Null": { "lambda:Layer": ["true"] } } }),
            "no condition key lambda:Layer",
        ),
        (
            json!({ "Action": ["iam:AttachRolePolicy"], "Resource": [role], "Condition": { "StringEquals": { "iam:PolicyARN": ["x"] } } }),
            "StringEquals is not for iam:PolicyARN",
        ),
        (
            json!({ "Action": ["sts:TagSession"], "Principal": { "AWS": role }, "Condition": { "StringEquals": { "sts:ExternalId": ["x"] } } }),
            "sts:TagSession has no condition key sts:ExternalId",
        ),
    ] {
        let found = wrong(&BTreeMap::from([("it".to_owned(), policy(statement.clone()))]));
        assert!(found["it"].iter().any(|what| what.contains(expected)), "{statement}: {found:?}");
    }
}
