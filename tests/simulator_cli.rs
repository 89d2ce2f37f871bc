//! The AWS CLI talks to the simulated account as it talks to AWS.

use std::process::{Command, Output};
use std::time::Duration;

use lambda_vpc_controller::simulator::World;
use serde_json::{Value, json};

use crate::python;
use crate::served::{Served, aws_environment};

const VPC_ACCESS: &str = "arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole";

struct Cli {
    environment: Vec<(&'static str, String)>,
}

impl Cli {
    fn of(served: &Served) -> Self {
        Self { environment: aws_environment(&served.url) }
    }

    fn output(&self, line: &str) -> Output {
        Command::new(python::tool("aws", "awscli"))
            .args(line.split_whitespace())
            .args(["--output", "json"])
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .output()
            .unwrap()
    }

    #[track_caller]
    fn answers(&self, line: &str) -> Value {
        let output = self.output(line);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        if output.stdout.is_empty() { Value::Null } else { serde_json::from_slice(&output.stdout).unwrap() }
    }

    #[track_caller]
    fn fails(&self, line: &str, part: &str) {
        let output = self.output(line);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(part), "{line}: `{said}` does not contain `{part}`");
    }
}

#[test]
fn the_aws_cli_attaches_a_function_to_a_vpc() {
    let served = Served::demo();
    let cli = Cli::of(&served);

    let listed = cli.answers("lambda list-functions");
    let names: Vec<&str> =
        listed["Functions"].as_array().unwrap().iter().map(|it| it["FunctionName"].as_str().unwrap()).collect();
    assert_eq!(names, ["billing-report", "legacy-report", "orders-api", "orders-worker"]);
    assert_eq!(listed["Functions"][2].get("State"), None);

    let update = "lambda update-function-configuration --function-name orders-api --vpc-config \
                  SubnetIds=subnet-0a1a1a1a1a1a1a1a1,subnet-0b2b2b2b2b2b2b2b2,SecurityGroupIds=sg-0e5e5e5e5e5e5e5e5";
    cli.fails(update, "(InvalidParameterValueException) when calling the UpdateFunctionConfiguration operation: The provided execution role does not have permissions to call CreateNetworkInterface on EC2");
    assert_eq!(
        cli.answers(&format!("iam attach-role-policy --role-name orders-role --policy-arn {VPC_ACCESS}")),
        Value::Null
    );
    served.clock.pass(Duration::from_secs(8));

    let answered = cli.answers(update);
    assert_eq!(answered["LastUpdateStatus"], "InProgress");
    assert_eq!(answered["VpcConfig"]["VpcId"], "vpc-0a1b2c3d4e5f60718");
    cli.fails(update, "(ResourceConflictException)");
    served.clock.pass(Duration::from_secs(6));
    let shown = cli.answers("lambda get-function-configuration --function-name orders-api");
    assert_eq!((&shown["State"], &shown["LastUpdateStatus"]), (&json!("Active"), &json!("Successful")));
    assert_ne!(shown["RevisionId"], answered["RevisionId"]);
    cli.fails(
        &format!("{update} --revision-id {}", answered["RevisionId"].as_str().unwrap()),
        "(PreconditionFailedException)",
    );
    cli.answers("lambda wait function-updated-v2 --function-name orders-api");
    let interfaces = cli.answers("ec2 describe-network-interfaces --filters Name=interface-type,Values=lambda");
    assert_eq!(interfaces["NetworkInterfaces"].as_array().unwrap().len(), 4);
}

#[test]
fn the_aws_cli_reads_roles_and_their_policies() {
    let served = Served::demo();
    let cli = Cli::of(&served);
    let attached = cli.answers("iam list-attached-role-policies --role-name legacy-role");
    assert_eq!(
        attached["AttachedPolicies"],
        json!([{ "PolicyName": "AWSLambdaVPCAccessExecutionRole", "PolicyArn": VPC_ACCESS }])
    );
    let holders = cli.answers(&format!("iam list-entities-for-policy --policy-arn {VPC_ACCESS} --entity-filter Role"));
    assert_eq!(holders["PolicyRoles"][0]["RoleName"], "legacy-role");
    let simulated = cli.answers(
        "iam simulate-principal-policy --policy-source-arn arn:aws:iam::123456789012:role/orders/orders-role \
         --action-names ec2:CreateNetworkInterface logs:PutLogEvents",
    );
    let decisions: Vec<&str> = simulated["EvaluationResults"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["EvalDecision"].as_str().unwrap())
        .collect();
    assert_eq!(decisions, ["implicitDeny", "allowed"]);
    let role = cli.answers("iam get-role --role-name orders-role");
    assert_eq!(role["Role"]["Arn"], "arn:aws:iam::123456789012:role/orders/orders-role");
    assert_eq!(role["Role"]["AssumeRolePolicyDocument"]["Statement"][0]["Action"], "sts:AssumeRole");
    let summary = cli.answers("iam get-account-summary");
    assert_eq!(summary["SummaryMap"]["AttachedPoliciesPerRoleQuota"], 10);
    cli.fails("iam list-attached-role-policies --role-name nobody", "(NoSuchEntity)");
    cli.answers(&format!("iam detach-role-policy --role-name legacy-role --policy-arn {VPC_ACCESS}"));
    cli.fails("iam get-user", "(InvalidAction)");
}

#[test]
fn the_aws_cli_reads_the_network() {
    let served = Served::demo();
    let cli = Cli::of(&served);
    let vpcs = cli.answers("ec2 describe-vpcs --filters Name=tag:Name,Values=orders");
    assert_eq!(vpcs["Vpcs"][0]["VpcId"], "vpc-0a1b2c3d4e5f60718");
    assert_eq!(vpcs["Vpcs"][0]["InstanceTenancy"], "default");
    let subnets = cli.answers(
        "ec2 describe-subnets --filters Name=vpc-id,Values=vpc-0a1b2c3d4e5f60718 Name=tag:tier,Values=private",
    );
    assert_eq!(subnets["Subnets"].as_array().unwrap().len(), 3);
    assert_eq!(subnets["Subnets"][0]["AvailabilityZoneId"], "euw1-az1");
    let groups = cli.answers("ec2 describe-security-groups --filters Name=group-name,Values=default");
    assert_eq!(groups["SecurityGroups"][0]["GroupId"], "sg-0d0d0d0d0d0d0d0d1");
    assert_eq!(groups["SecurityGroups"][0]["IpPermissionsEgress"][0]["IpRanges"][0]["CidrIp"], "0.0.0.0/0");
    let tables = cli.answers("ec2 describe-route-tables --filters Name=association.main,Values=true");
    assert_eq!(tables["RouteTables"][0]["Associations"][0]["Main"], true);
    cli.fails("ec2 describe-subnets --subnet-ids subnet-0bad", "(InvalidSubnetID.NotFound)");
    cli.fails("ec2 describe-security-groups --group-names default", "(UnknownParameter)");
}

#[test]
fn the_aws_cli_becomes_somebody_in_another_account() {
    let mut world = World::demo().unwrap();
    let other = World::parse("[[role]]\nname = 'controller'\naccount = '222222222222'\n", "test").unwrap();
    world.roles.extend(other.roles);
    let served = Served::world(&world);
    let mut cli = Cli::of(&served);
    assert_eq!(cli.answers("sts get-caller-identity")["Account"], "123456789012");
    let role = "arn:aws:iam::222222222222:role/controller";
    let given = cli.answers(&format!("sts assume-role --role-arn {role} --role-session-name trial"));
    let credentials = &given["Credentials"];
    for (name, field) in [
        ("AWS_ACCESS_KEY_ID", "AccessKeyId"),
        ("AWS_SECRET_ACCESS_KEY", "SecretAccessKey"),
        ("AWS_SESSION_TOKEN", "SessionToken"),
    ] {
        cli.environment.push((name, credentials[field].as_str().unwrap().to_owned()));
    }
    let identity = cli.answers("sts get-caller-identity");
    assert_eq!(identity["Account"], "222222222222");
    assert_eq!(identity["Arn"], "arn:aws:sts::222222222222:assumed-role/controller/trial");
    assert_eq!(cli.answers("lambda list-functions")["Functions"], json!([]));
}

#[test]
fn the_aws_cli_makes_and_deletes_a_function() {
    let served = Served::demo();
    let cli = Cli::of(&served);
    let made = cli.answers(
        "lambda create-function --function-name new --runtime python3.13 --handler index.handler \
         --role arn:aws:iam::123456789012:role/billing-role --code S3Bucket=code,S3Key=code.zip",
    );
    assert_eq!(made["State"], "Pending");
    assert_eq!(made.get("VpcConfig"), None);
    served.clock.pass(Duration::from_secs(3));
    let shown = cli.answers("lambda get-function --function-name arn:aws:lambda:eu-west-1:123456789012:function:new");
    assert_eq!(shown["Configuration"]["State"], "Active");
    cli.answers("lambda delete-function --function-name new");
    cli.fails("lambda get-function --function-name new", "(ResourceNotFoundException)");
}
