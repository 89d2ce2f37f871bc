//! The program against moto, an AWS emulator that nobody here wrote: the wire protocols, end to end.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::python;
use crate::served::aws_environment;
use crate::support::{bare, program};

const POLICY: &str = "arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole";
/// What is installed from the Python package index.
pub(crate) const MOTO: &str = "moto[server]==5.2.*";
const DEFAULTS: &str = "# all defaults\n";
const ACCOUNT: &str = "123456789012";

/// A moto of its own, with functions and networks in some regions.
struct Moto {
    child: Child,
    url: String,
    seeded: Value,
    folder: tempfile::TempDir,
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Moto {
    fn start(regions: &[&str]) -> Self {
        let server = python::tool("moto_server", MOTO);
        let mut child = Command::new(server)
            .args(["-H", "127.0.0.1", "-p", "0"])
            // Without this the policies that AWS manages do not exist.
            .env("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
            .env("PYTHONUNBUFFERED", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("moto does not start");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("Running on ").map(|(_, url)| url.trim().to_owned()))
            .expect("moto ended before it served");
        // Its log has to be read, or it stops when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        let mut moto = Self { child, url, seeded: Value::Null, folder: tempfile::tempdir().unwrap() };
        moto.seeded = moto.python(&[&["seed"], regions].concat());
        moto
    }

    /// Runs the script that talks to moto through boto3.
    fn python(&self, arguments: &[&str]) -> Value {
        let python = python::tool("python3", "boto3");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/moto.py");
        let output = bare(python).arg(script).args(arguments).envs(aws_environment(&self.url)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn look(&self, region: &str) -> Value {
        self.python(&["look", region])
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Runs the program on this desired state.
    fn run(&self, command: &[&str], desired: &str, settings: &str) -> Output {
        let (desired, settings) = (self.write("functions.toml", desired), self.write("controller.toml", settings));
        let mut program = program();
        program.args(command).arg("--desired").arg(desired).arg("--config").arg(settings);
        program.envs(aws_environment(&self.url)).output().unwrap()
    }

    fn plan(&self, desired: &str) -> (i32, Value) {
        let output = self.run(&["plan", "--output", "json"], desired, DEFAULTS);
        let plan = serde_json::from_slice(&output.stdout);
        let plan = plan.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code().unwrap(), plan)
    }

    #[track_caller]
    fn apply(&self, desired: &str, settings: &str) {
        let output = self.run(&["apply", "--yes", "--timeout", "60s"], desired, settings);
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    }

    /// A file with all three functions of a region in its private subnets.
    fn desired(&self, region: &str) -> String {
        let vpc = self.seeded[region]["vpc"].as_str().unwrap();
        format!(
            "[defaults]\nregion = '{region}'\naccount = '{ACCOUNT}'\nattach_policy = 'always'\n\
             [[vpc]]\nname = 'v'\nid = '{vpc}'\nsecurity_groups = {{ names = ['lambda'] }}\n\
             [[function]]\nname = 'api'\nvpc = 'v'\n[[function]]\nname = 'worker'\nvpc = 'v'\n\
             [[function]]\nname = 'report'\nvpc = 'v'\n"
        )
    }

    #[track_caller]
    fn assert_attached(&self, region: &str) {
        let (seeded, live) = (&self.seeded[region], self.look(region));
        for name in ["api", "worker", "report"] {
            assert_eq!(live["functions"][name]["subnets"], seeded["private"], "{name} in {region}");
            assert_eq!(live["functions"][name]["groups"], serde_json::json!([seeded["group"]]), "{name} in {region}");
        }
        for role in ["shared", "own"] {
            assert_eq!(live["roles"][role], serde_json::json!([POLICY]), "{role}");
        }
    }
}

/// moto does not know the operation that tells of groups of other VPCs, and says so with a page.
#[test]
fn a_group_that_is_not_there_is_told_where_nobody_knows_of_groups_of_other_vpcs() {
    let moto = Moto::start(&["eu-west-1"]);
    let file = moto.desired("eu-west-1");
    for groups in ["ids = ['sg-0bad0bad0bad0bad0']", "tags = { no = 'group' }"] {
        let (code, plan) = moto.plan(&file.replace("names = ['lambda']", groups));
        assert_eq!(
            (code, &plan["functions"][0]["reason"]),
            (1, &serde_json::json!("SecurityGroupNotFound")),
            "{plan:#}"
        );
    }
}

#[test]
fn policy_and_network_are_applied_and_then_the_plan_is_empty() {
    let moto = Moto::start(&["eu-west-1"]);
    let desired = moto.desired("eu-west-1");
    let (code, plan) = moto.plan(&desired);
    assert_eq!((code, &plan["summary"]["pending"]), (2, &serde_json::json!(3)), "{plan:#}");
    let untouched = moto.look("eu-west-1");
    assert_eq!(untouched["roles"]["shared"], serde_json::json!([]), "a plan changes nothing");
    moto.apply(&desired, DEFAULTS);
    moto.assert_attached("eu-west-1");
    let (code, plan) = moto.plan(&desired);
    assert_eq!((code, &plan["summary"]["in_sync"]), (0, &serde_json::json!(3)), "{plan:#}");
}

#[test]
fn where_nothing_can_be_simulated_and_nothing_is_refused_no_policy_is_attached() {
    let moto = Moto::start(&["eu-west-1"]);
    let desired = moto.desired("eu-west-1").replace("attach_policy = 'always'\n", "");
    let (code, plan) = moto.plan(&desired);
    assert_eq!(code, 2);
    assert_eq!(plan["functions"][0]["change"]["attach_if_refused"][0]["policy"], POLICY, "{plan:#}");
    moto.apply(&desired, DEFAULTS);
    let live = moto.look("eu-west-1");
    assert_eq!(live["functions"]["api"]["subnets"], moto.seeded["eu-west-1"]["private"]);
    assert_eq!(live["roles"]["shared"], serde_json::json!([]), "moto accepts any role, so nothing showed a need");
    assert_eq!(moto.plan(&desired).0, 0);
}

#[test]
fn a_change_by_hand_is_planned_and_repaired() {
    let moto = Moto::start(&["eu-west-1"]);
    let desired = moto.desired("eu-west-1");
    moto.apply(&desired, DEFAULTS);
    moto.python(&["detach", "eu-west-1", "api"]);
    let (code, plan) = moto.plan(&desired);
    assert_eq!((code, &plan["summary"]["pending"]), (2, &serde_json::json!(1)), "{plan:#}");
    moto.apply(&desired, DEFAULTS);
    moto.assert_attached("eu-west-1");
}

#[test]
fn a_function_is_detached_only_where_the_settings_allow_it_and_its_policy_stays() {
    let moto = Moto::start(&["eu-west-1"]);
    moto.apply(&moto.desired("eu-west-1"), DEFAULTS);
    let out = format!("[[function]]\nname = 'api'\nregion = 'eu-west-1'\naccount = '{ACCOUNT}'\nvpc = 'none'\n");
    let refused = moto.run(&["apply", "--yes"], &out, DEFAULTS);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stdout).contains("DetachNotAllowed"));
    moto.assert_attached("eu-west-1");
    moto.apply(&out, "[guard]\nallow_detach = true\n");
    let live = moto.look("eu-west-1");
    assert_eq!(live["functions"]["api"]["subnets"], serde_json::json!([]));
    assert_eq!(live["functions"]["worker"]["subnets"], moto.seeded["eu-west-1"]["private"], "only what is listed");
    assert_eq!(live["roles"]["shared"], serde_json::json!([POLICY]), "the policy stays");
}

#[test]
fn a_published_version_that_stays_behind_is_shown_with_its_alias() {
    let moto = Moto::start(&["eu-west-1"]);
    let desired = moto.desired("eu-west-1");
    moto.python(&["publish", "eu-west-1", "api", "live"]);
    moto.apply(&desired, DEFAULTS);
    moto.python(&["publish", "eu-west-1", "worker", "live"]);
    let output = moto.run(&["plan", "--output", "json"], &desired, "versions = true\n");
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "all is in sync: {plan:#}");
    assert_eq!(plan["versions_behind"], 1, "{plan:#}");
    let behind = |number: usize| &plan["functions"][number]["behind"];
    assert_eq!(*behind(0), serde_json::json!({ "versions": [1], "aliases": ["live"] }), "{plan:#}");
    assert_eq!([behind(1), behind(2)], [&Value::Null; 2], "{plan:#}");
    let (_, plan) = moto.plan(&desired);
    assert_eq!(plan["versions_behind"], Value::Null, "nobody wants to know: {plan:#}");
}

#[test]
fn three_regions_of_one_account_are_applied_together() {
    let regions = ["eu-west-1", "us-east-1", "ap-southeast-2"];
    let moto = Moto::start(&regions);
    let mut desired = format!("[defaults]\naccount = '{ACCOUNT}'\nattach_policy = 'always'\n");
    for (number, region) in regions.iter().enumerate() {
        let vpc = moto.seeded[region]["vpc"].as_str().unwrap();
        desired += &format!(
            "[[vpc]]\nname = 'v{number}'\nid = '{vpc}'\nregion = '{region}'\nsecurity_groups = {{ names = ['lambda'] }}\n"
        );
        for name in ["api", "worker", "report"] {
            desired += &format!("[[function]]\nname = '{name}'\nvpc = 'v{number}'\n");
        }
    }
    moto.apply(&desired, DEFAULTS);
    for region in regions {
        moto.assert_attached(region);
    }
    let (code, _) = moto.plan(&desired);
    assert_eq!(code, 0);
}

#[test]
fn another_account_is_reached_through_its_role_and_a_wrong_one_is_refused() {
    let moto = Moto::start(&["eu-west-1"]);
    let elsewhere = moto.desired("eu-west-1").replace(ACCOUNT, "210987654321");
    let (code, plan) = moto.plan(&elsewhere);
    assert_eq!(code, 1);
    assert_eq!(plan["functions"][0]["reason"], "WrongAccount", "{plan:#}");
    let settings = "[[account]]\nname = 'other'\nid = '210987654321'\n\
                    role_arn = 'arn:aws:iam::210987654321:role/controller'\n";
    let output = moto.run(&["plan", "--output", "json"], &elsewhere, settings);
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(plan["functions"][0]["reason"], "FunctionNotFound", "the other account is empty: {plan:#}");
}
