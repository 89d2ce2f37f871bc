//! A simulated account in a process of its own, asked over HTTP as any client would.

use lambda_vpc_controller::rights;
use serde_json::{Value, json};

use super::permitted::widest;
use super::process::Process;
use super::program;

const IAM_VERSION: &str = "2010-05-08";

/// A simulated account that is served; it ends with the test.
pub(crate) struct Account {
    pub(crate) process: Process,
    /// Its address, `http://127.0.0.1:PORT`.
    pub(crate) url: String,
}

impl Account {
    /// Serves what this world file says.
    pub(crate) fn serve(world: &str) -> Self {
        Self::serve_at(world, "1")
    }

    /// The same, where everything happens so many times as fast.
    pub(crate) fn serve_at(world: &str, time_scale: &str) -> Self {
        let (file, policy) = (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
        std::fs::write(file.path(), world).unwrap();
        std::fs::write(policy.path(), serde_json::to_vec(&rights::of_controller(&widest(), "aws")).unwrap()).unwrap();
        let mut command = program();
        command.args(["simulate", "--listen", "127.0.0.1:0", "--time-scale", time_scale, "--world"]).arg(file.path());
        let process = Process::start(command.arg("--policy").arg(policy.path()));
        // It has read the file when it says where it is.
        let url = process.told("is served at ", ' ');
        Self { process, url }
    }

    /// A function's configuration.
    pub(crate) fn configuration(&self, function: &str) -> Value {
        let answer = ureq::get(self.configuration_url(function)).header("authorization", &signed("lambda")).call();
        serde_json::from_str(&answer.unwrap().body_mut().read_to_string().unwrap()).unwrap()
    }

    /// Somebody takes a function out of its VPC.
    pub(crate) fn detach(&self, function: &str) {
        self.try_detach(function).unwrap();
    }

    /// The same, where it may be refused.
    pub(crate) fn try_detach(&self, function: &str) -> Result<(), ureq::Error> {
        let none = json!({"SubnetIds": [], "SecurityGroupIds": [], "Ipv6AllowedForDualStack": false});
        let body = json!({ "VpcConfig": none }).to_string();
        let url = self.configuration_url(function);
        ureq::put(url).header("authorization", &signed("lambda")).send(body).map(|_| ())
    }

    /// Somebody gives a function these environment variables.
    pub(crate) fn set_environment(&self, function: &str, variables: &Value) {
        let body = json!({ "Environment": { "Variables": variables } }).to_string();
        let request = ureq::put(self.configuration_url(function)).header("authorization", &signed("lambda"));
        request.send(body).unwrap();
    }

    /// Something goes wrong from now on, as a world file would say it.
    pub(crate) fn fault(&self, fault: &Value) {
        ureq::post(format!("{}/_simulator/faults", self.url)).send(fault.to_string()).unwrap();
    }

    /// Nothing goes wrong any more.
    pub(crate) fn no_faults(&self) {
        ureq::delete(format!("{}/_simulator/faults", self.url)).call().unwrap();
    }

    /// The ARNs of the managed policies on a role.
    pub(crate) fn policies(&self, role: &str) -> Vec<String> {
        let body = format!("Action=ListAttachedRolePolicies&Version={IAM_VERSION}&RoleName={role}");
        let request = ureq::post(&self.url).header("authorization", &signed("iam"));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.send(body).unwrap().body_mut().read_to_string().unwrap();
        let arns = answer.split("<PolicyArn>").skip(1).filter_map(|rest| rest.split("</PolicyArn>").next());
        arns.map(str::to_owned).collect()
    }

    /// How many calls it has seen, and those of them that change something.
    pub(crate) fn calls(&self) -> (u64, Vec<Value>) {
        let mut answer = ureq::get(format!("{}/_simulator/calls", self.url)).call().unwrap();
        let seen: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
        let counts = seen["counts"].as_object().unwrap().values();
        (counts.map(|count| count.as_u64().unwrap()).sum(), seen["changes"].as_array().unwrap().clone())
    }

    fn configuration_url(&self, function: &str) -> String {
        format!("{}/2015-03-31/functions/{function}/configuration", self.url)
    }
}

/// A signature for a service, as far as anybody looks at it.
fn signed(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=any/20261123/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}
