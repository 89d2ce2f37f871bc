//! From declarations to a world: every reference is followed, every default filled in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::networks::Place;
use super::{
    DeclaredFunction, DeclaredMeddler, DeclaredPolicy, DeclaredRole, DeclaredRoute, DeclaredVersion, Problem, World,
    WorldError, seconds,
};
use crate::cloud::{Alias, Exclusion, Failure, State, Tags};
use crate::names::{
    AccountId, AliasName, Digest, FunctionKey, FunctionName, PolicyArn, PolicyName, Region, RoleArn, RoleKey, RoleName,
    ScopeKey, Time, Version, VpcId, milliseconds,
};
use crate::simulator::account::{
    Aws, Configuration, FileSystem, Meddler, Meddling, Policy, Role, Trust, VpcConfigRequest, partition,
};
use crate::simulator::faults::Faults;

/// How long ago everything was made that a world holds at its start.
const AGE: Duration = Duration::from_secs(30 * 24 * 3600);

impl World {
    /// Builds the world as it is at `now`. Everything in it was made a month ago, so that no policy is still spreading.
    pub fn build(&self, now: Time) -> Result<Aws, WorldError> {
        let tell =
            |item: String| move |Problem(problem)| WorldError::Item { origin: self.origin.clone(), item, problem };
        let home = self.home().map_err(tell("defaults".to_owned()))?;
        let mut builder = Builder {
            aws: Aws::new(home.account.clone(), &home.region),
            home,
            made: Time(now.0.saturating_sub(milliseconds(AGE))),
            vpcs: BTreeMap::new(),
        };
        builder.aws.timings = self.timings.check().map_err(tell("timings".to_owned()))?;
        builder.aws.quotas = self.quotas.check().map_err(tell("quotas".to_owned()))?;
        builder.aws.faults = Faults::seeded(self.seed.unwrap_or(1));
        for it in &self.vpcs {
            builder.vpc(it).map_err(tell(format!("vpc `{}`", it.id)))?;
        }
        for it in &self.subnets {
            builder.subnet(it).map_err(tell(format!("subnet `{}`", it.id)))?;
        }
        builder.route_tables().map_err(tell("route tables".to_owned()))?;
        for it in &self.security_groups {
            builder.security_group(it).map_err(tell(format!("security_group `{}`", it.id)))?;
        }
        for it in &self.endpoints {
            builder.endpoint(it).map_err(tell(format!("endpoint `{}`", it.service)))?;
        }
        for it in &self.policies {
            builder.policy(it).map_err(tell(format!("policy `{}`", it.name)))?;
        }
        for it in &self.roles {
            builder.role(it).map_err(tell(format!("role `{}`", it.name)))?;
        }
        for it in &self.functions {
            builder.function(it).map_err(tell(format!("function `{}`", it.name)))?;
        }
        for (n, it) in self.faults.iter().enumerate() {
            let fault = it.check().map_err(tell(format!("fault {}", n + 1)))?;
            builder.aws.faults.add(fault);
        }
        for (n, it) in self.meddlers.iter().enumerate() {
            builder.meddler(it, now).map_err(tell(format!("meddler {}", n + 1)))?;
        }
        // Last, since the world itself holds functions that could not be made any more.
        builder.aws.retired_runtimes = self.retired_runtimes.iter().cloned().collect();
        builder.aws.refused_zones = self.refused_zones.iter().cloned().collect();
        builder.aws.begin(now);
        Ok(builder.aws)
    }

    fn home(&self) -> Result<ScopeKey, Problem> {
        let account = AccountId::parse(&self.defaults.account)?;
        Ok(ScopeKey { account, region: Region::parse(&self.defaults.region)? })
    }
}

pub(super) struct Builder {
    pub(super) aws: Aws,
    home: ScopeKey,
    made: Time,
    pub(super) vpcs: BTreeMap<VpcId, Place>,
}

impl Builder {
    pub(super) fn scope(&mut self, account: Option<&String>, region: Option<&String>) -> Result<ScopeKey, Problem> {
        let account = account.map_or_else(|| Ok(self.home.account.clone()), |id| AccountId::parse(id))?;
        let region = region.map_or_else(|| Ok(self.home.region.clone()), |name| Region::parse(name))?;
        self.aws.add_account(account.clone(), &region);
        Ok(ScopeKey { account, region })
    }

    fn policy(&mut self, it: &DeclaredPolicy) -> Result<(), Problem> {
        let at = self.scope(it.account.as_ref(), None)?;
        let path = checked_path(it.path.as_deref())?;
        let arn = format!("arn:{}:iam::{}:policy{path}{}", partition(&at.region), at.account, it.name);
        let policy = Policy {
            arn: PolicyArn::parse(&arn)?,
            actions: it.actions.clone(),
            resources: it.resources.clone().unwrap_or_else(|| vec!["*".to_owned()]),
        };
        self.aws.add_policy(&at.account, policy)?;
        Ok(())
    }

    fn role(&mut self, it: &DeclaredRole) -> Result<(), Problem> {
        let name = RoleName::parse(&it.name)?;
        let at = self.scope(it.account.as_ref(), None)?;
        let id = derived("AROA", &format!("{} {name}", at.account)).replace('-', "").to_ascii_uppercase();
        let mut role = Role::new(name.clone(), checked_path(it.path.as_deref())?, id, self.made);
        role.inline_vpc_access = it.inline_vpc_access;
        role.overruled = it.overruled;
        let (external_id, tags) = (it.external_id.clone(), it.tag_session);
        role.trust = match &it.trusts {
            Some(principals) => Some(Trust { principals: principals.clone(), external_id, tags }),
            None if external_id.is_some() => Some(Trust { principals: vec!["*".to_owned()], external_id, tags }),
            None => None,
        };
        role.edge = it.edge;
        let arn = RoleArn::parse(&self.aws.role_arn(&at.account, &role))?;
        if self.aws.role(arn.key()).is_some() {
            return Err(Problem("this role is declared twice".to_owned()));
        }
        self.aws.add_role(&at.account, role)?;
        for policy in &it.policies {
            let policy = PolicyName::parse(policy)?.for_role(&arn);
            self.aws.attach_role_policy(&at.account, &it.name, policy.as_str(), self.made)?;
        }
        Ok(())
    }

    fn function(&mut self, it: &DeclaredFunction) -> Result<(), Problem> {
        let at = self.scope(it.account.as_ref(), it.region.as_ref())?;
        let key = FunctionKey { scope: at, name: FunctionName::parse(&it.name)? };
        let account = key.scope.account.clone();
        let role = RoleKey { account: account.clone(), name: RoleName::parse(&it.role)? };
        let undeclared = || Problem(format!("the role {} is not declared in account {account}", it.role));
        let role = self.aws.role(&role).ok_or_else(undeclared)?;
        let mut configuration = Configuration::new(RoleArn::parse(&self.aws.role_arn(&account, role))?);
        configuration.description = it.description.clone();
        configuration.runtime = it.runtime.clone().unwrap_or(configuration.runtime);
        configuration.kms_key = it.kms_key.clone();
        configuration.file_systems = it.access_points.iter().map(|arn| mounted(arn)).collect();
        if self.aws.has_function(&key) {
            return Err(Problem("this function is declared twice".to_owned()));
        }
        let network = network(&it.subnets, &it.security_groups, it.ipv6);
        let (state, excluded) = (state(it)?, exclusion(it)?);
        let function = self.aws.add_function(&key, configuration, network.as_ref(), self.made)?;
        function.life.state = state;
        function.excluded = excluded;
        function.grant_void = it.grant_void;
        function.tags = it.tags.clone();
        self.versions(&key, it)
    }

    fn versions(&mut self, key: &FunctionKey, it: &DeclaredFunction) -> Result<(), Problem> {
        let mut published = BTreeSet::new();
        for DeclaredVersion { version, subnets, security_groups, ipv6 } in &it.versions {
            let version = Version::parse(&version.to_string())?;
            if !published.insert(version) {
                return Err(Problem(format!("version {version} is declared twice")));
            }
            let network = network(subnets, security_groups, *ipv6);
            self.aws.add_version(key, version, network.as_ref(), self.made)?;
        }
        for (name, route) in &it.aliases {
            let versions = match route {
                DeclaredRoute::One(version) => BTreeSet::from([Version(*version)]),
                DeclaredRoute::Shared(both) => both.map(Version).into(),
            };
            if let Some(version) = versions.difference(&published).next() {
                return Err(Problem(format!("the alias `{name}` leads to version {version}, which is not declared")));
            }
            let alias = Alias { name: AliasName::parse(name)?, versions };
            self.aws.set_alias(&key.scope, key.name.as_str(), alias, self.made)?;
        }
        Ok(())
    }

    fn meddler(&mut self, it: &DeclaredMeddler, now: Time) -> Result<(), Problem> {
        let at = self.scope(it.account.as_ref(), it.region.as_ref())?;
        let every = seconds(it.every)?;
        if every < Duration::from_millis(1) {
            return Err(Problem("`every` must say how many seconds pass between two turns".to_owned()));
        }
        let wants = match (&it.function, &it.role, &it.detach) {
            (Some(function), None, None) => {
                let key = FunctionKey { scope: at, name: FunctionName::parse(function)? };
                if !self.aws.has_function(&key) {
                    return Err(Problem(format!("the function {function} is not declared")));
                }
                Meddling::Network(key, meddled_network(it)?)
            }
            (None, Some(role), Some(policy)) => {
                let key = RoleKey { account: at.account.clone(), name: RoleName::parse(role)? };
                let undeclared = || Problem(format!("the role {role} is not declared in account {}", at.account));
                let found = self.aws.role(&key).ok_or_else(undeclared)?;
                let arn = RoleArn::parse(&self.aws.role_arn(&at.account, found))?;
                Meddling::Detached(key, PolicyName::parse(policy)?.for_role(&arn).to_string())
            }
            _ => {
                let text = "give either `function` and what network it gets, or `role` and the policy to `detach`";
                return Err(Problem(text.to_owned()));
            }
        };
        self.aws.add_meddler(Meddler { every, times: it.times, wants }, now);
        Ok(())
    }
}

/// The network that is declared; none if nothing is.
fn network(subnets: &[String], security_groups: &[String], ipv6: bool) -> Option<VpcConfigRequest> {
    let attached = !subnets.is_empty() || !security_groups.is_empty() || ipv6;
    attached.then(|| VpcConfigRequest {
        subnet_ids: Some(subnets.to_vec()),
        security_group_ids: Some(security_groups.to_vec()),
        ipv6_allowed_for_dual_stack: Some(ipv6),
    })
}

fn meddled_network(it: &DeclaredMeddler) -> Result<VpcConfigRequest, Problem> {
    match (it.network.as_deref(), it.subnets.is_empty(), it.security_groups.is_empty()) {
        (Some("none"), true, true) => Ok(VpcConfigRequest::none()),
        (None, false, false) => Ok(VpcConfigRequest {
            subnet_ids: Some(it.subnets.clone()),
            security_group_ids: Some(it.security_groups.clone()),
            ipv6_allowed_for_dual_stack: Some(false),
        }),
        _ => Err(Problem("give either `network = \"none\"`, or both `subnets` and `security_groups`".to_owned())),
    }
}

fn state(it: &DeclaredFunction) -> Result<State, Problem> {
    let why = || Failure {
        code: it.state_reason_code.clone().unwrap_or_default(),
        text: it.state_reason.clone().unwrap_or_default(),
    };
    let reasoned = it.state_reason_code.is_some() || it.state_reason.is_some();
    match it.state.as_deref().unwrap_or("Active") {
        "Failed" => Ok(State::Failed(why())),
        _ if reasoned => Err(Problem("only the state `Failed` has a reason here".to_owned())),
        "Active" => Ok(State::Active),
        "Inactive" => Ok(State::Inactive),
        "Pending" => Ok(State::Pending),
        "Deleting" => Ok(State::Deleting),
        "Deactivating" => Ok(State::Deactivating),
        "Deactivated" => Ok(State::Deactivated),
        "ActiveNonInvocable" => Ok(State::ActiveNonInvocable),
        other => Ok(State::Other(other.to_owned())),
    }
}

fn mounted(arn: &str) -> FileSystem {
    FileSystem { arn: arn.to_owned(), local_mount_path: "/mnt/data".to_owned() }
}

fn exclusion(it: &DeclaredFunction) -> Result<Option<Exclusion>, Problem> {
    match (&it.capacity_provider, &it.master_arn) {
        (None, None) => Ok(None),
        (Some(arn), None) => Ok(Some(Exclusion::CapacityProvider(arn.clone()))),
        (None, Some(arn)) => Ok(Some(Exclusion::EdgeReplica(arn.clone()))),
        (Some(_), Some(_)) => Err(Problem("a replica of Lambda@Edge runs on no capacity provider".to_owned())),
    }
}

pub(super) fn tags(name: Option<&String>, others: &BTreeMap<String, String>) -> Tags {
    let mut tags = others.clone();
    tags.extend(name.map(|name| ("Name".to_owned(), name.clone())));
    tags
}

/// An id that belongs to what it is made from, the same in every run.
pub(super) fn derived(prefix: &str, from: &str) -> String {
    let digest = Digest::of(format!("{prefix} {from}").as_bytes());
    format!("{prefix}-0{}", digest.as_str().get(..16).unwrap_or_default())
}

fn checked_path(path: Option<&str>) -> Result<&str, Problem> {
    let path = path.unwrap_or("/");
    if path.starts_with('/') && path.ends_with('/') {
        return Ok(path);
    }
    Err(Problem(format!("the path `{path}` must begin and end with `/`, like `/team/`")))
}
