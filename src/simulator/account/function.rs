//! A function: its configuration, and how an update of it comes to its end.
//!
//! Lambda shows the new configuration from its answer on, but puts it in force later; if it cannot, the old one comes
//! back. The revision changes at both moments, so that whoever kept the one from the answer has a stale one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Aws, Network};
use crate::cloud::{Exclusion, Failure, Life, State, Tags, Update};
use crate::names::{FunctionKey, FunctionName, RoleArn, SecurityGroupId, SubnetId, Time, Version, VpcId};

/// A function's settings: what an update changes, and what a failed one gives back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// The execution role.
    pub role: RoleArn,
    /// The network; `None` only if the function never had one.
    pub vpc_config: Option<VpcConfig>,
    /// What the function is for.
    pub description: String,
    /// The runtime, such as `python3.13`.
    pub runtime: String,
    /// The entry point.
    pub handler: String,
    /// Memory, in MiB.
    pub memory_size: u32,
    /// The longest run, in seconds.
    pub timeout: u32,
    /// The environment variables.
    pub environment: BTreeMap<String, String>,
    /// The file systems that it mounts, for which it has to be in a VPC.
    pub file_systems: Vec<FileSystem>,
    /// The ARN of the customer's key for its environment variables.
    pub kms_key: Option<String>,
}

/// A file system of EFS or S3 Files, as Lambda reads and shows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct FileSystem {
    /// The ARN of the access point.
    pub arn: String,
    /// Where the function finds it.
    pub local_mount_path: String,
}

impl Configuration {
    /// What Lambda takes where a creation says no more than the role.
    pub fn new(role: RoleArn) -> Self {
        Self {
            role,
            vpc_config: None,
            description: String::new(),
            runtime: "python3.13".to_owned(),
            handler: "index.handler".to_owned(),
            memory_size: 128,
            timeout: 3,
            environment: BTreeMap::new(),
            file_systems: Vec::new(),
            kms_key: None,
        }
    }
}

/// A function's network as Lambda shows it. A detached function keeps one, with empty lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VpcConfig {
    /// The subnets, in the order in which they were given, each once.
    pub subnets: Vec<SubnetId>,
    /// The security groups, in the order in which they were given, each once.
    pub security_groups: Vec<SecurityGroupId>,
    /// Whether outbound IPv6 is allowed in dual-stack subnets.
    pub ipv6: bool,
    /// The VPC, derived from the subnets.
    pub vpc: Option<VpcId>,
}

impl VpcConfig {
    /// The same, as the rest of the program compares it.
    pub fn network(&self) -> Network {
        Network {
            subnets: self.subnets.iter().cloned().collect(),
            security_groups: self.security_groups.iter().cloned().collect(),
            ipv6: self.ipv6,
        }
    }
}

/// A function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    pub name: FunctionName,
    /// The version, of one that was published.
    pub version: Option<Version>,
    /// Its settings.
    pub configuration: Configuration,
    /// The revision that an update must name, if it names any.
    pub revision: String,
    /// When an update was last accepted, or the function was made.
    pub modified: Time,
    /// State and last update. Single reads show them, listings do not.
    pub life: Life,
    pub tags: Tags,
    /// Whether its role was deleted and made anew since Lambda was granted the use of the key in the role's name.
    pub grant_void: bool,
    /// What decides about its network in place of its own configuration, if anything does.
    pub excluded: Option<Exclusion>,
    /// The number of the last version that was published; 0 if none was.
    pub(super) published: u64,
    /// What listings go on to show for a while after an update: the settings and the revision before it.
    pub(super) listed: Option<Box<(Configuration, String)>>,
    /// What comes back if the update in progress fails.
    pub(super) before: Option<Box<Configuration>>,
    /// Why the update in progress will fail, if a fault says so.
    pub(super) doom: Option<Failure>,
}

impl Function {
    /// A function that has been there for long.
    pub fn settled(name: FunctionName, configuration: Configuration, revision: String, modified: Time) -> Self {
        let life = Life { state: State::Active, update: Update::Successful };
        Self {
            name,
            version: None,
            configuration,
            revision,
            modified,
            life,
            tags: Tags::new(),
            grant_void: false,
            excluded: None,
            published: 0,
            listed: None,
            before: None,
            doom: None,
        }
    }
}

impl Aws {
    /// A creation or an update comes to its end: the interfaces are made, or it fails, for want of an address or since
    /// a fault says so.
    pub(super) fn complete(&mut self, key: &FunctionKey, at: Time) {
        let revision = self.fresh_uuid();
        self.slow.remove(key);
        let wanted = self.stored(key).and_then(|function| function.configuration.vpc_config.clone());
        let doom = self.stored(key).and_then(|function| function.doom.take());
        let made = doom.map_or_else(|| self.make_interfaces(key, wanted.as_ref(), at), Err);
        let Some(function) = self.stored(key) else { return };
        let before = function.before.take();
        let mut left = None;
        match made {
            Ok(()) => {
                left = before.and_then(|before| before.vpc_config);
                function.life.update = Update::Successful;
                if function.life.state == State::Pending {
                    function.life.state = State::Active;
                }
            }
            // A creation has nothing to go back to.
            Err(failure) if before.is_none() => function.life.state = State::Failed(failure),
            Err(failure) => {
                function.life.update = Update::Failed(failure);
                function.configuration = before.map_or_else(|| function.configuration.clone(), |before| *before);
            }
        }
        function.revision = revision;
        self.leave(&key.scope, left.as_ref(), at);
    }

    /// The record of a function, if there is one; nothing is let happen.
    pub(super) fn stored(&mut self, key: &FunctionKey) -> Option<&mut Function> {
        self.accounts.get_mut(&key.scope.account)?.regions.get_mut(&key.scope.region)?.functions.get_mut(&key.name)
    }
}

/// The failure of an update for which no interface may be made any more.
pub(super) fn out_of_interfaces() -> Failure {
    let text = "You have exceeded the maximum limit for HyperPlane ENIs for your account.".to_owned();
    Failure { code: "EniLimitExceeded".to_owned(), text }
}

/// The failure of an update for which a subnet has no address left.
pub(super) fn out_of_addresses(subnet: &SubnetId) -> Failure {
    // The code is from the service model; the text is ours, since AWS's is not known from a public source.
    Failure {
        code: "SubnetOutOfIPAddresses".to_owned(),
        text: format!("Lambda was not able to set up VPC access: the subnet {subnet} has no available IP addresses."),
    }
}
