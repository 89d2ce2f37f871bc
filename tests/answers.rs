//! The answers of the simulated account, judged by the models of the services, which botocore has: what they do not allow, no
//! client may be tested with.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use lambda_vpc_controller::cloud::Operation;
use lambda_vpc_controller::simulator::World;
use serde_json::Value;

use crate::moto::MOTO;
use crate::python;
use crate::served::{Served, aws_environment};
use crate::support::bare;

/// One of each kind that answers tell of in members of their own.
const WORLD: &str = r#"
[[vpc]]
id = "vpc-0a1b2c3d4e5f60718"
name = "orders"
default_security_group = "sg-0d0d0d0d0d0d0d0d0"
[[vpc]]
id = "vpc-0c1b2c3d4e5f60718"
owner = "210987654321"
dedicated = true
[[subnet]]
id = "subnet-0a1a1a1a1a1a1a1a1"
vpc = "vpc-0a1b2c3d4e5f60718"
tags = { tier = "private" }
ipv6 = true
[[subnet]]
id = "subnet-0b2b2b2b2b2b2b2b2"
vpc = "vpc-0a1b2c3d4e5f60718"
[[subnet]]
id = "subnet-0c3c3c3c3c3c3c3c3"
vpc = "vpc-0a1b2c3d4e5f60718"
public = true
state = "pending"
[[security_group]]
id = "sg-0e5e5e5e5e5e5e5e5"
vpc = "vpc-0a1b2c3d4e5f60718"
name = "lambda"
description = "functions"
tags = { for = "lambda" }
[[security_group]]
id = "sg-0f6f6f6f6f6f6f6f6"
vpc = "vpc-0a1b2c3d4e5f60718"
lets_out = false
[[endpoint]]
vpc = "vpc-0a1b2c3d4e5f60718"
service = "s3"
[[role]]
name = "able"
policies = ["service-role/AWSLambdaVPCAccessExecutionRole", "service-role/AWSLambdaBasicExecutionRole"]
[[role]]
name = "lacking"
[[role]]
name = "controller"
[[role]]
name = "bounded"
overruled = "boundary"
[[role]]
name = "governed"
overruled = "organisation"
[[function]]
name = "outside"
role = "able"
[[function]]
name = "inside"
role = "able"
subnets = ["subnet-0a1a1a1a1a1a1a1a1"]
security_groups = ["sg-0e5e5e5e5e5e5e5e5"]
ipv6 = true
[[function]]
name = "broken"
role = "able"
state = "Failed"
state_reason_code = "InvalidSubnet"
state_reason = "The subnet is gone."
[[function]]
name = "idle"
role = "able"
state = "Inactive"
[[function]]
name = "published"
role = "able"
versions = [{ version = 1 }, { version = 2, subnets = ["subnet-0b2b2b2b2b2b2b2b2"], security_groups = ["sg-0e5e5e5e5e5e5e5e5"] }]
aliases = { live = 1, canary = [1, 2] }
[[function]]
name = "provided"
role = "able"
capacity_provider = "arn:aws:lambda:eu-west-1:123456789012:capacity-provider:p"
[[function]]
name = "us-east-1.edge"
role = "able"
master_arn = "arn:aws:lambda:us-east-1:123456789012:function:edge:1"
"#;

/// The operations that the account answers: the first argument of each call that the door takes in.
fn operations() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/simulator/http");
    let mut found = BTreeSet::new();
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for call in [".read(", ".read_of(", ".change("] {
            let named = text.split(call).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
            found.extend(named.filter_map(|rest| rest.split('"').next()).map(str::to_owned));
        }
    }
    found
}

/// What was called of this world, and what is wrong with the answers.
fn judged(world: &str) -> (BTreeSet<String>, Vec<String>) {
    let served = Served::world(&World::parse(world, "answers").unwrap());
    // It brings botocore.
    python::tool("moto_server", MOTO);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/answers.py");
    let mut command = bare(python::tool("python3", "botocore"));
    let output = command.arg(script).envs(aws_environment(&served.url)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let [called, wrong] = [&found["called"], &found["wrong"]].map(Value::clone);
    (serde_json::from_value(called).unwrap(), serde_json::from_value(wrong).unwrap())
}

#[test]
fn every_operation_of_the_simulated_account_answers_as_its_service_model_says() {
    let (called, wrong) = judged(WORLD);
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(called, operations(), "an operation has no call in tests/fixtures/answers.py");
    for operation in Operation::ALL {
        assert!(called.contains(operation.name()), "{operation}");
    }
}

/// The judge sees what a world has that AWS has not.
#[test]
fn a_value_that_the_model_does_not_have_is_found() {
    let odd = WORLD.replace("state = \"pending\"", "state = \"odd\"").replace("\"InvalidSubnet\"", "\"OddSubnet\"");
    let (_, wrong) = judged(&odd);
    for expected in
        ["DescribeSubnets.Subnets[].State is 'odd'", "GetFunctionConfiguration.StateReasonCode is 'OddSubnet'"]
    {
        assert!(wrong.iter().any(|it| it.starts_with(expected)), "{expected}: {wrong:?}");
    }
}
