//! The settings file as it is written, and what that means.

use std::net::SocketAddr;
use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Account, Audit, Mode, Settings, parse_duration, parse_plan_id, parse_resync};
use crate::cloud::Rates;
use crate::file::{self, Field, Reader};
use crate::names::{AccountId, NameError, PolicyName, Region, RoleArn, RolePattern, VpcId};

/// The settings file as it is written.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "a table")]
pub(super) struct RawSettings {
    /// The desired state: a TOML file, or a directory of them. A relative path begins at this file's folder.
    desired: Option<Field<String>>,
    /// A ceiling over every entry's mode: "enforce" (default) or "observe".
    #[schemars(extend("enum" = ["enforce", "observe"]))]
    mode: Option<Field<String>>,
    /// Address and port of the metrics and health pages.
    listen: Option<Field<String>>,
    /// How often the whole fleet is looked at, such as "5m". What cannot be read again counts for three times as long.
    resync: Option<Field<String>>,
    /// How long a function that somebody else just changed is left alone, such as "60s".
    settle: Option<Field<String>>,
    /// Whether published versions are listed as well, and those counted and shown that run another network than the file says,
    /// with the aliases that lead to them: true or false (default).
    versions: Option<Field<bool>>,
    /// Where every change is recorded: "stdout", the path of a file, or "none". A relative path begins at this file's folder.
    audit: Option<Field<String>>,
    /// The directory in which the daemon keeps what is to outlive it: what the guard counted in the last hour, which approvals
    /// are spent, who sets back what, and since when functions are out of sync. It is made if it is not there. A relative path
    /// begins at this file's folder. Left out: nothing is kept, and a daemon that is started anew is more careful for an hour.
    state: Option<Field<String>>,
    /// How fast, and how much at once.
    limits: Option<Field<RawLimits>>,
    /// What no desired file may exceed.
    guard: Option<Field<RawGuard>>,
    /// An account that may be written into.
    account: Option<Field<Vec<Field<RawAccount>>>>,
    /// What is exported.
    metrics: Option<Field<RawMetrics>>,
    /// What is read of the desired state.
    files: Option<Field<RawFiles>>,
}

/// `[limits]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "a table: `[limits]`")]
struct RawLimits {
    /// Requests a second to Lambda's control plane, per account and region: more than 0, at most 15.
    requests_per_second: Option<Field<Number>>,
    /// Requests a second to GetFunction, per account and region: more than 0, at most 100. With it, states are polled by
    /// GetFunction, which AWS counts by itself; but whoever may call that can also read a function's code. Left out: states
    /// are polled by GetFunctionConfiguration, which counts for the control plane.
    get_function_per_second: Option<Field<Number>>,
    /// Requests a second to IAM, per account: more than 0, at most 100. AWS does not publish what it grants.
    iam_requests_per_second: Option<Field<Number>>,
    /// Reading requests a second to EC2, per account and region: more than 0, at most 20.
    ec2_requests_per_second: Option<Field<Number>>,
    /// How many functions of an account and region are worked on at the same time: 1 to 1000.
    workers: Option<Field<usize>>,
}

/// `[guard]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "a table: `[guard]`")]
struct RawGuard {
    /// Whether `vpc = "none"` may take a function out of its VPC.
    allow_detach: Option<Field<bool>>,
    /// The policies that may be attached, by ARN or by the path and name of one that AWS manages.
    allowed_policies: Option<Field<Vec<Field<String>>>>,
    /// The roles that may get a policy: names, paths that end with `/`, or both, with `*` for any text and `?` for one character.
    /// Left out: any. The controller's own role never gets one.
    allowed_roles: Option<Field<Vec<Field<String>>>>,
    /// The VPCs that functions may be attached to. Left out: any.
    allowed_vpcs: Option<Field<Vec<Field<String>>>>,
    /// The most functions of an account and region that the daemon changes in an hour without a person's agreement; ten
    /// always pass. Edits of the file and repairs of what others changed are counted each by themselves.
    max_changes: Option<Field<usize>>,
    /// The same as a share of those that the file lists there, in percent: 0 to 100.
    max_change_percent: Option<Field<usize>>,
    /// Plans that a person has looked at, by the ids that `plan` prints, of one account and region or of all. Each is good for
    /// exactly its changes or what is left of them, once.
    approved: Option<Field<Vec<Field<String>>>>,
}

/// `[[account]]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "a table: `[[account]]`")]
struct RawAccount {
    /// The name by which the desired state may call it.
    name: Option<Field<String>>,
    /// The account's id: twelve digits.
    id: Option<Field<String>>,
    /// The role to assume in it.
    role_arn: Option<Field<String>>,
    /// What the role's trust policy wants to see.
    external_id: Option<Field<String>>,
}

/// `[metrics]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "a table: `[metrics]`")]
struct RawMetrics {
    /// Whether there are series for each function.
    per_function: Option<Field<bool>>,
}

/// `[files]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "a table: `[files]`")]
struct RawFiles {
    /// Where links on the way to the desired state may lead, beside what is below the directory that they stand in: directories or
    /// files. A relative path begins at this file's folder.
    roots: Option<Field<Vec<Field<String>>>>,
    /// Regions that AWS opened after this version of the program: the desired state may name them too.
    new_regions: Option<Field<Vec<Field<String>>>>,
    /// The most that is read of the desired state, all its files together, in megabytes: 1 to 1024.
    max_megabytes: Option<Field<usize>>,
}

/// A number, with or without a point.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a number")]
enum Number {
    Whole(u32),
    Broken(f64),
}

/// Puts what the file says over these settings; what is wrong is reported.
pub(super) fn into(settings: &mut Settings, reader: &mut Reader<'_>) {
    let Some(raw) = file::read::<RawSettings>(reader.source, reader.report) else { return };
    let folder = reader.source.path().parent().unwrap_or(Path::new("")).to_owned();
    if let Some(desired) = reader.parse(&raw.desired, not_empty) {
        settings.desired = folder.join(desired);
    }
    set(&mut settings.mode, reader.parse(&raw.mode, Mode::parse));
    set(&mut settings.listen, reader.parse(&raw.listen, listen));
    set(&mut settings.resync, reader.parse(&raw.resync, parse_resync));
    set(&mut settings.settle, reader.parse(&raw.settle, parse_duration));
    set(&mut settings.versions, reader.get(&raw.versions).copied());
    settings.audit = reader.parse(&raw.audit, Audit::parse).map(|audit| audit.within(&folder));
    settings.state = reader.parse(&raw.state, not_empty).map(|state| folder.join(state));
    if let Some(limits) = reader.get(&raw.limits) {
        rates(limits, &mut settings.limits.rates, reader);
        set(&mut settings.limits.workers, reader.parse(&limits.workers, workers));
    }
    if let Some(raw) = reader.get(&raw.guard) {
        let guard = &mut settings.guard;
        set(&mut guard.allow_detach, reader.get(&raw.allow_detach).copied());
        set(&mut guard.allowed_policies, reader.list(&raw.allowed_policies, exact(PolicyName::parse)));
        guard.allowed_roles = reader.list(&raw.allowed_roles, RolePattern::parse);
        guard.allowed_vpcs = reader.ids(&raw.allowed_vpcs, VpcId::parse);
        set(&mut guard.max_changes, reader.get(&raw.max_changes).copied());
        set(&mut guard.max_change_percent, reader.parse(&raw.max_change_percent, percent));
        set(&mut guard.approved, reader.list(&raw.approved, parse_plan_id));
    }
    if let Some(metrics) = reader.get(&raw.metrics) {
        set(&mut settings.metrics.per_function, reader.get(&metrics.per_function).copied());
    }
    if let Some(raw) = reader.get(&raw.files) {
        let roots = reader.list(&raw.roots, not_empty).unwrap_or_default();
        settings.files.roots = roots.into_iter().map(|root| folder.join(root)).collect();
        set(&mut settings.new_regions, reader.list(&raw.new_regions, Region::parse));
        set(&mut settings.files.bytes, reader.parse(&raw.max_megabytes, megabytes));
    }
    for raw in reader.items(&raw.account) {
        account(raw, &mut settings.accounts, reader);
    }
}

fn account(field: &Field<RawAccount>, into: &mut Vec<Account>, reader: &mut Reader<'_>) {
    let Some(raw) = field.get(reader) else { return };
    let id = reader.parse(&raw.id, AccountId::parse);
    let role = reader.parse(&raw.role_arn, exact(RoleArn::parse));
    let name = reader.parse(&raw.name, not_empty);
    let external_id = reader.parse(&raw.external_id, not_empty);
    if raw.id.is_none() {
        let missing = reader.error(field.span(), "this account has no id", "");
        reader.report.push(missing.help("state it: `id = \"123456789012\"`; nothing is written anywhere else"));
    }
    let Some(id) = id else { return };
    let name = name.unwrap_or_else(|| id.to_string());
    if let (Some(role), Some(field)) = (&role, &raw.role_arn)
        && role.key().account != id
    {
        let text = format!("this role belongs to account {}, not to {id}", role.key().account);
        reader.report.push(reader.error(field.span(), text, "the role must be of this account"));
    }
    if into.iter().any(|other| other.id == id || other.name == name) {
        let text = format!("account `{name}` ({id}) is stated twice");
        reader.report.push(reader.error(field.span(), text, "name and id must be used once"));
        return;
    }
    into.push(Account { name, id, role, external_id });
}

fn rates(raw: &RawLimits, into: &mut Rates, reader: &mut Reader<'_>) {
    let lambda =
        "Lambda's whole control plane grants 15 a second per account and region: write more than 0, at most 15";
    let get_function = "Lambda grants 100 a second per account and region: write more than 0, at most 100";
    let iam = "IAM throttles an account long before 100 a second: write more than 0, at most 100";
    let ec2 = "EC2 grants 20 reads a second per account and region: write more than 0, at most 20";
    set(&mut into.lambda, reader.parse(&raw.requests_per_second, rate(15.0, lambda)));
    into.get_function = reader.parse(&raw.get_function_per_second, rate(100.0, get_function));
    set(&mut into.iam, reader.parse(&raw.iam_requests_per_second, rate(100.0, iam)));
    set(&mut into.ec2, reader.parse(&raw.ec2_requests_per_second, rate(20.0, ec2)));
}

fn set<T>(into: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *into = value;
    }
}

/// Parses what stands in a printed policy, where wildcards and variables would widen it.
fn exact<T>(parse: impl Fn(&str) -> Result<T, NameError>) -> impl Fn(&str) -> Result<T, NameError> {
    move |text| match text.contains(['*', '?', '$']) {
        true => Err(NameError {
            expected: "the ARN or name of one thing",
            given: text.to_owned(),
            rule: "it must have no `*`, `?` or `$`: IAM takes them for more than one",
        }),
        false => parse(text),
    }
}

fn not_empty(text: &str) -> Result<String, NameError> {
    let wrong = || NameError { expected: "a text", given: text.to_owned(), rule: "it must not be empty" };
    (!text.trim().is_empty()).then(|| text.to_owned()).ok_or_else(wrong)
}

fn listen(text: &str) -> Result<SocketAddr, NameError> {
    let rule = "write address and port, like 127.0.0.1:9464, or 0.0.0.0:9464 for all interfaces";
    text.parse().map_err(|_| NameError { expected: "an address to listen on", given: text.to_owned(), rule })
}

/// Parses a request rate: more than 0, and at most this.
fn rate(most: f64, rule: &'static str) -> impl FnOnce(&Number) -> Result<f64, NameError> {
    move |number| {
        let value = match *number {
            Number::Whole(value) => f64::from(value),
            Number::Broken(value) => value,
        };
        let wrong = || NameError { expected: "a request rate", given: value.to_string(), rule };
        (value > 0.0 && value <= most).then_some(value).ok_or_else(wrong)
    }
}

/// Parses a number of megabytes into one of bytes.
fn megabytes(number: &usize) -> Result<u64, NameError> {
    let wrong = || NameError { expected: "a number of megabytes", given: number.to_string(), rule: "write 1 to 1024" };
    u64::try_from(*number)
        .ok()
        .filter(|number| (1..=1024).contains(number))
        .map(|number| number << 20)
        .ok_or_else(wrong)
}

fn percent(number: &usize) -> Result<usize, NameError> {
    let wrong = || NameError { expected: "a percentage", given: number.to_string(), rule: "write 0 to 100" };
    (*number <= 100).then_some(*number).ok_or_else(wrong)
}

fn workers(number: &usize) -> Result<usize, NameError> {
    let wrong = || NameError { expected: "a number of workers", given: number.to_string(), rule: "write 1 to 1000" };
    (1..=1000).contains(number).then_some(*number).ok_or_else(wrong)
}
