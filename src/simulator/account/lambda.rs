//! Lambda's operations.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::attachment::Interfaces;
use super::{Aws, AwsError, Configuration, Due, FileSystem, Function, VpcConfig, VpcConfigRequest, function_arn};
use crate::cloud::{Life, Service, State, Update};
use crate::names::{FunctionKey, FunctionName, RoleArn, ScopeKey, Time};

/// The members of an update that this model knows; others are refused. What is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct UpdateFunctionConfiguration {
    /// The revision that the caller believes to be the latest; unchecked if left out.
    pub revision_id: Option<String>,
    /// The network.
    pub vpc_config: Option<VpcConfigRequest>,
    /// The execution role.
    pub role: Option<String>,
    /// What the function is for.
    pub description: Option<String>,
    pub runtime: Option<String>,
    /// The entry point.
    pub handler: Option<String>,
    /// Memory, in MiB.
    pub memory_size: Option<u32>,
    /// The longest run, in seconds.
    pub timeout: Option<u32>,
    /// The environment variables.
    pub environment: Option<Environment>,
    pub file_system_configs: Option<Vec<FileSystem>>,
}

impl UpdateFunctionConfiguration {
    /// What is asked for, for a list of calls: the network in full, of the rest the names alone.
    pub fn in_one_line(&self) -> String {
        let mut parts = Vec::new();
        if let Some(network) = &self.vpc_config {
            let list = |ids: &Option<Vec<String>>| ids.as_ref().map_or("kept".to_owned(), |ids| ids.join(","));
            let ipv6 = network.ipv6_allowed_for_dual_stack.map_or("kept".to_owned(), |ipv6| ipv6.to_string());
            let (subnets, groups) = (list(&network.subnet_ids), list(&network.security_group_ids));
            parts.push(format!("VpcConfig subnets={subnets} groups={groups} ipv6={ipv6}"));
        }
        let others = [
            ("Role", self.role.is_some()),
            ("Description", self.description.is_some()),
            ("Runtime", self.runtime.is_some()),
            ("Handler", self.handler.is_some()),
            ("MemorySize", self.memory_size.is_some()),
            ("Timeout", self.timeout.is_some()),
            ("Environment", self.environment.is_some()),
            ("FileSystemConfigs", self.file_system_configs.is_some()),
        ];
        parts.extend(others.into_iter().filter(|(_, given)| *given).map(|(name, _)| name.to_owned()));
        parts.join(" ")
    }
}

/// The environment of a function, as requests write it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Environment {
    /// The variables.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
}

/// A new function. Its code is accepted and forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateFunction {
    pub function_name: String,
    /// Everything that an update could set as well; the role is required.
    #[serde(flatten)]
    pub settings: UpdateFunctionConfiguration,
}

impl Aws {
    /// One function, by name, partial ARN or ARN, with its state and last update.
    pub fn get_function(&mut self, at: &ScopeKey, function: &str, now: Time) -> Result<Function, AwsError> {
        let key = identify(at, function)?;
        let unsaid = self.timings.unsaid;
        let mut shown = self.function(&key, now)?.clone();
        if shown.life.update == Update::InProgress && now.since(shown.modified) < unsaid {
            shown.life.update = Update::Unsaid;
        }
        Ok(shown)
    }

    /// Accepts an update and says what the configuration will be; it is in force some time after the answer.
    pub fn update_function_configuration(
        &mut self,
        at: &ScopeKey,
        function: &str,
        request: &UpdateFunctionConfiguration,
        now: Time,
    ) -> Result<Function, AwsError> {
        if let Some(network) = &request.vpc_config {
            network.check_shape(&self.quotas)?;
        }
        let key = identify(at, function)?;
        let current = self.function(&key, now)?;
        check_idle(current, &key)?;
        check_revision(current, request.revision_id.as_deref())?;
        let before = current.configuration.clone();
        let grant_void = current.grant_void && request.role.is_none();
        self.check_key(at, before.kms_key.as_deref(), grant_void)?;
        let after = self.changed(&key, &before, request, now)?;

        let interfaces = self.ask_for_interfaces(at, after.vpc_config.as_ref(), now)?;
        let takes = match interfaces {
            Interfaces::There => self.timings.update,
            Interfaces::ToBeMade => self.timings.new_interface,
        };
        let (revision, doom) = (self.fresh_uuid(), self.doom.take());
        let function = self.function(&key, now)?;
        function.configuration = after;
        function.listed = Some(Box::new((before.clone(), std::mem::replace(&mut function.revision, revision))));
        function.modified = now;
        function.life.update = Update::InProgress;
        function.grant_void = grant_void;
        function.before = Some(Box::new(before));
        function.doom = doom;
        let answer = function.clone();
        if interfaces == Interfaces::ToBeMade {
            self.slow.insert(key.clone());
            self.most_slow = self.most_slow.max(self.slow.len());
        }
        self.due.insert((now + takes, Due::Completion(key)));
        Ok(answer)
    }

    /// Makes a function: Pending for a while, then Active.
    pub fn create_function(
        &mut self,
        at: &ScopeKey,
        request: &CreateFunction,
        now: Time,
    ) -> Result<Function, AwsError> {
        if let Some(network) = &request.settings.vpc_config {
            network.check_shape(&self.quotas)?;
        }
        let key = identify(at, &request.function_name)?;
        if self.function(&key, now).is_ok() {
            return Err(AwsError::new(
                409,
                "ResourceConflictException",
                format!("Function already exist: {}", key.name),
            ));
        }
        let role = request.settings.role.as_deref().ok_or_else(|| {
            AwsError::new(
                400,
                "ValidationException",
                "1 validation error detected: Value null at 'role' failed to satisfy constraint: \
                 Member must not be null",
            )
        })?;
        let empty = Configuration::new(self.assumable(role)?);
        let configuration = self.changed(&key, &empty, &request.settings, now)?;
        let takes = match self.ask_for_interfaces(at, configuration.vpc_config.as_ref(), now)? {
            Interfaces::There => self.timings.pending,
            Interfaces::ToBeMade => self.timings.new_interface,
        };
        let life = Life { state: State::Pending, update: Update::Successful };
        let revision = self.fresh_uuid();
        let function = Function { life, ..Function::settled(key.name.clone(), configuration, revision, now) };
        let functions = &mut self.regional(at, Service::Lambda, now)?.functions;
        functions.insert(key.name.clone(), function.clone());
        self.due.insert((now + takes, Due::Completion(key)));
        Ok(function)
    }

    /// Deletes a function, whatever state it is in.
    pub fn delete_function(&mut self, at: &ScopeKey, function: &str, now: Time) -> Result<(), AwsError> {
        let key = identify(at, function)?;
        self.function(&key, now)?;
        let regional = self.regional(at, Service::Lambda, now)?;
        let deleted = regional.functions.remove(&key.name);
        regional.published.retain(|(name, _), _| *name != key.name);
        regional.aliases.retain(|(name, _), _| *name != key.name);
        self.slow.remove(&key);
        self.due.retain(|(_, due)| *due != Due::Completion(key.clone()));
        self.leave(at, deleted.and_then(|it| it.configuration.vpc_config).as_ref(), now);
        Ok(())
    }

    /// Fills a world with a function that has been there since `modified`, its interfaces with it. The network must
    /// exist; whether the role has the right to it is not asked.
    pub fn add_function(
        &mut self,
        key: &FunctionKey,
        mut configuration: Configuration,
        network: Option<&VpcConfigRequest>,
        modified: Time,
    ) -> Result<&mut Function, AwsError> {
        configuration.vpc_config = self.long_made(key, network, modified)?;
        let revision = self.fresh_uuid();
        let function = Function::settled(key.name.clone(), configuration, revision, modified);
        self.regional(&key.scope, Service::Lambda, modified)?.functions.insert(key.name.clone(), function);
        self.function(key, modified)
    }

    /// The network of what has long been there, with its interfaces.
    pub(super) fn long_made(
        &mut self,
        key: &FunctionKey,
        network: Option<&VpcConfigRequest>,
        made: Time,
    ) -> Result<Option<VpcConfig>, AwsError> {
        let Some(network) = network else { return Ok(None) };
        network.check_shape(&self.quotas)?;
        let config = self.existing_network(key, network, None, made)?;
        self.make_interfaces(key, Some(&config), made).map_err(|failure| invalid(&failure.text))?;
        Ok(Some(config))
    }

    /// Whether there is such a function.
    pub fn has_function(&self, key: &FunctionKey) -> bool {
        let regions = self.accounts.get(&key.scope.account).map(|account| &account.regions);
        regions.and_then(|it| it.get(&key.scope.region)).is_some_and(|it| it.functions.contains_key(&key.name))
    }

    pub(super) fn function(&mut self, key: &FunctionKey, now: Time) -> Result<&mut Function, AwsError> {
        let functions = &mut self.regional(&key.scope, Service::Lambda, now)?.functions;
        functions.get_mut(&key.name).ok_or_else(|| not_found(&function_arn(&key.scope, key.name.as_str())))
    }

    /// The configuration after an update, if the update is one that Lambda accepts.
    fn changed(
        &mut self,
        key: &FunctionKey,
        before: &Configuration,
        request: &UpdateFunctionConfiguration,
        now: Time,
    ) -> Result<Configuration, AwsError> {
        let mut after = before.clone();
        if let Some(role) = &request.role {
            after.role = self.assumable(role)?;
        }
        if let Some(network) = &request.vpc_config {
            let current = before.vpc_config.as_ref();
            after.vpc_config = Some(self.checked_network(key, network, current, &after.role, now)?);
        }
        let UpdateFunctionConfiguration {
            revision_id: _,
            vpc_config: _,
            role: _,
            description,
            runtime,
            handler,
            memory_size,
            timeout,
            environment,
            file_system_configs,
        } = request.clone();
        after.description = description.unwrap_or(after.description);
        after.runtime = runtime.unwrap_or(after.runtime);
        after.handler = handler.unwrap_or(after.handler);
        after.memory_size = memory_size.unwrap_or(after.memory_size);
        after.timeout = timeout.unwrap_or(after.timeout);
        after.environment = environment.map_or(after.environment, |environment| environment.variables);
        after.file_systems = file_system_configs.unwrap_or(after.file_systems);
        check_file_systems(&after, before)?;
        if self.retired_runtimes.contains(&after.runtime) {
            return Err(invalid(&format!(
                "The runtime parameter of {} is no longer supported for creating or updating AWS Lambda functions. \
                 We recommend you use a supported runtime while creating or updating functions.",
                after.runtime
            )));
        }
        Ok(after)
    }

    /// A role that Lambda can take on: one that exists.
    fn assumable(&self, role: &str) -> Result<RoleArn, AwsError> {
        RoleArn::parse(role)
            .ok()
            .filter(|arn| self.role(arn.key()).is_some())
            .ok_or_else(|| invalid("The role defined for the function cannot be assumed by Lambda."))
    }
}

/// A function that mounts a file system has to be in a VPC, and stays there. The first text is from a public report, the
/// second from an issue of cfn-lint (4408).
fn check_file_systems(after: &Configuration, before: &Configuration) -> Result<(), AwsError> {
    let is_attached = |it: &Configuration| it.vpc_config.as_ref().is_some_and(|config| config.vpc.is_some());
    let Some(FileSystem { arn, .. }) = after.file_systems.first().filter(|_| !is_attached(after)) else {
        return Ok(());
    };
    Err(invalid(&match is_attached(before) {
        true => format!("Function VPC configuration cannot be removed with access point {arn} referenced."),
        false => format!("Function must be configured to execute in a VPC to reference access point {arn}."),
    }))
}

pub(super) fn invalid(message: &str) -> AwsError {
    AwsError::new(400, "InvalidParameterValueException", message)
}

pub(super) fn not_found(arn: &str) -> AwsError {
    AwsError::new(404, "ResourceNotFoundException", format!("Function not found: {arn}"))
}

fn check_revision(function: &Function, given: Option<&str>) -> Result<(), AwsError> {
    if given.is_none_or(|given| given == function.revision) {
        return Ok(());
    }
    Err(AwsError::new(
        412,
        "PreconditionFailedException",
        "The Revision Id provided does not match the latest Revision Id. \
         Call the GetFunction/GetAlias API to retrieve the latest Revision Id",
    ))
}

/// Only a function at rest can be updated, and only in the states Active and Inactive.
pub(super) fn check_idle(function: &Function, key: &FunctionKey) -> Result<(), AwsError> {
    let why = match (&function.life.state, &function.life.update) {
        (State::Active | State::Inactive | State::Other(_), Update::InProgress) => {
            let arn = function_arn(&key.scope, key.name.as_str());
            format!("An update is in progress for resource: {arn}")
        }
        (State::Active | State::Inactive | State::Other(_), _) => return Ok(()),
        (state, _) => format!("The function is currently in the following state: {}", state.name()),
    };
    let text = format!("The operation cannot be performed at this time. {why}");
    Err(AwsError::new(409, "ResourceConflictException", text))
}

/// The function that a request names: by name, `ACCOUNT:function:NAME` or ARN, each perhaps with `:$LATEST`.
pub(super) fn identify(at: &ScopeKey, text: &str) -> Result<FunctionKey, AwsError> {
    let parts: Vec<&str> = text.split(':').collect();
    let (region, account, rest) = match parts.as_slice() {
        ["arn", _, "lambda", region, account, "function", rest @ ..] => (*region, *account, rest),
        [account, "function", rest @ ..] => (at.region.as_str(), *account, rest),
        rest => (at.region.as_str(), at.account.as_str(), rest),
    };
    let (name, qualifier) = match rest {
        [name] => (*name, None),
        [name, qualifier] => (*name, Some(*qualifier)),
        _ => ("", None),
    };
    let name = FunctionName::parse(name).map_err(|_| {
        AwsError::new(
            400,
            "ValidationException",
            format!(
                "1 validation error detected: Value '{text}' at 'functionName' failed to satisfy constraint: \
                 Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?\
                 ([a-z]{{2}}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{{1}}:)?(\\d{{12}}:)?(function:)?\
                 ([a-zA-Z0-9-_\\.]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?"
            ),
        )
    })?;
    if account != at.account.as_str() {
        return Err(AwsError::new(403, "AccessDeniedException", "Cross-account access is not part of this simulation"));
    }
    // Versions and aliases are only listed here, and another region's functions are not this endpoint's.
    match qualifier {
        Some(qualifier) if qualifier != "$LATEST" => {
            Err(not_found(&format!("{}:{qualifier}", function_arn(at, name.as_str()))))
        }
        _ if region != at.region.as_str() => Err(not_found(text)),
        _ => Ok(FunctionKey { scope: at.clone(), name }),
    }
}
