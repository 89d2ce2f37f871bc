//! What the operator decides, and no desired file can widen: where to write, what may be attached, how fast.
//!
//! The settings file is read like the desired state, every mistake with its place. Flags and `LAMBDA_VPC_*` variables
//! go over the file, the file over the defaults.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cloud::Rates;
use crate::file::{self, Diagnostic, Field, Report, Source, Unusable};
use crate::names::{AccountId, NameError, PolicyName, RoleArn, VpcId};

/// Where the settings are looked for when nobody says; it may be missing.
pub const DEFAULT_PATH: &str = "config/controller.toml";

/// The settings, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The desired state: a TOML file, or a directory of them.
    pub desired: PathBuf,
    /// A ceiling over every entry's mode.
    pub mode: Mode,
    /// Where the metrics and health pages listen.
    pub listen: SocketAddr,
    /// How often the whole fleet is looked at without any cause.
    pub resync: Duration,
    /// How long a function that somebody else just changed is left alone.
    pub settle: Duration,
    /// Whether published versions that run another network are looked for.
    pub versions: bool,
    /// How fast, and how much at once.
    pub limits: Limits,
    /// What no desired file may exceed.
    pub guard: Guard,
    /// The accounts that may be written into, and how to reach them.
    pub accounts: Vec<Account>,
    /// What is exported.
    pub metrics: Metrics,
    /// Where every change is recorded; `None` where nothing was said.
    pub audit: Option<Audit>,
}

/// Where every change is recorded, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audit {
    /// On the standard output.
    Stdout,
    /// In a file, which is only ever appended to.
    File(PathBuf),
}

impl Audit {
    /// Parses `stdout`, or a path.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let rule = "write the path of a file, or \"stdout\"";
        match text {
            "stdout" => Ok(Self::Stdout),
            _ if text.trim().is_empty() => {
                Err(NameError { expected: "a place for the audit trail", given: text.to_owned(), rule })
            }
            _ => Ok(Self::File(PathBuf::from(text))),
        }
    }

    /// The same, where a relative path begins at this folder.
    fn within(self, folder: &Path) -> Self {
        match self {
            Self::Stdout => Self::Stdout,
            Self::File(path) => Self::File(folder.join(path)),
        }
    }
}

/// Whether differences are put right or only shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Shown only.
    Observe,
    /// Put right.
    Enforce,
}

impl Mode {
    /// Parses the word.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        match text {
            "observe" => Ok(Self::Observe),
            "enforce" => Ok(Self::Enforce),
            _ => {
                Err(NameError { expected: "a mode", given: text.to_owned(), rule: "write \"enforce\" or \"observe\"" })
            }
        }
    }
}

/// How fast, and how much at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Requests a second, by what AWS counts together.
    pub rates: Rates,
    /// How many functions of an account and region are worked on at the same time.
    pub workers: usize,
}

/// What the file may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Whether `vpc = "none"` may take a function out of its VPC.
    pub allow_detach: bool,
    /// The policies that may be attached.
    pub allowed_policies: Vec<PolicyName>,
    /// The VPCs that functions may be attached to; `None` for any.
    pub allowed_vpcs: Option<Vec<VpcId>>,
    /// The most functions of an account and region that the daemon changes in an hour without a person's agreement.
    pub max_changes: usize,
    /// The same as a share of those that the file lists there, in percent.
    pub max_change_percent: usize,
    /// Plans that a person has looked at, by their ids or the first twelve digits of these.
    pub approved: Vec<String>,
}

/// An account that the operator states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name by which the desired state may call it.
    pub name: String,
    /// Its id.
    pub id: AccountId,
    /// The role to assume in it; without one, the process's own credentials are used.
    pub role: Option<RoleArn>,
    /// What the role's trust policy wants to see.
    pub external_id: Option<String>,
}

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Whether there are series for each function.
    pub per_function: bool,
}

/// What was said on the command line or in the environment; goes over the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--desired`, `LAMBDA_VPC_DESIRED`; relative to the working directory.
    pub desired: Option<PathBuf>,
    /// `--mode`, `LAMBDA_VPC_MODE`.
    pub mode: Option<Mode>,
    /// `--listen`, `LAMBDA_VPC_LISTEN`.
    pub listen: Option<SocketAddr>,
    /// `--resync`, `LAMBDA_VPC_RESYNC`.
    pub resync: Option<Duration>,
    /// `--settle`, `LAMBDA_VPC_SETTLE`.
    pub settle: Option<Duration>,
    /// `--audit`, `LAMBDA_VPC_AUDIT`; relative to the working directory.
    pub audit: Option<Audit>,
}

/// The settings file as it is written.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "a table")]
pub struct RawSettings {
    /// The desired state: a TOML file, or a directory of them. A relative path begins at this file's folder.
    desired: Option<Field<String>>,
    /// A ceiling over every entry's mode: "enforce" (default) or "observe".
    #[schemars(extend("enum" = ["enforce", "observe"]))]
    mode: Option<Field<String>>,
    /// Address and port of the metrics and health pages.
    listen: Option<Field<String>>,
    /// How often the whole fleet is looked at, such as "5m".
    resync: Option<Field<String>>,
    /// How long a function that somebody else just changed is left alone, such as "60s".
    settle: Option<Field<String>>,
    /// Whether published versions are listed as well, and those counted and shown that run another network than the file says,
    /// with the aliases that lead to them: true or false (default).
    versions: Option<Field<bool>>,
    /// Where every change is recorded: "stdout", or the path of a file. A relative path begins at this file's folder.
    audit: Option<Field<String>>,
    /// How fast, and how much at once.
    limits: Option<Field<RawLimits>>,
    /// What no desired file may exceed.
    guard: Option<Field<RawGuard>>,
    /// An account that may be written into.
    account: Option<Field<Vec<Field<RawAccount>>>>,
    /// What is exported.
    metrics: Option<Field<RawMetrics>>,
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
    /// The VPCs that functions may be attached to. Left out: any.
    allowed_vpcs: Option<Field<Vec<Field<String>>>>,
    /// The most functions of an account and region that the daemon changes in an hour without a person's agreement; ten
    /// always pass.
    max_changes: Option<Field<usize>>,
    /// The same as a share of those that the file lists there, in percent: 0 to 100.
    max_change_percent: Option<Field<usize>>,
    /// Plans that a person has looked at, by the ids that `plan` prints. Each is good once.
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

/// A number, with or without a point.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a number")]
enum Number {
    Whole(u32),
    Broken(f64),
}

/// Parses a duration as people write it: `90s`, `5m`, `1h 30m`.
pub fn parse_duration(text: &str) -> Result<Duration, NameError> {
    let rule = "write a time like 90s, 5m or 1h30m";
    let wrong = || NameError { expected: "a duration", given: text.to_owned(), rule };
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(parsed).map_err(|_| wrong())
}

impl Settings {
    /// Reads the settings. With no path, [`DEFAULT_PATH`] is read if it exists.
    pub fn load(path: Option<&Path>, overrides: &Overrides) -> Result<Self, Unusable> {
        match path {
            None if !is_there(Path::new(DEFAULT_PATH)) => Ok(Self::new(overrides)),
            path => Self::check(&Source::read(path.unwrap_or(Path::new(DEFAULT_PATH)))?, overrides),
        }
    }

    /// The JSON schema of the settings file.
    pub fn schema() -> serde_json::Value {
        file::schema::<RawSettings>("The settings of lambda-vpc-controller")
    }

    /// The keys that differ and that a daemon cannot take over while it runs.
    pub fn needs_restart(&self, next: &Self) -> Vec<&'static str> {
        // What is named with an underscore takes effect at once.
        let Self {
            desired: _,
            mode: _,
            listen,
            resync: _,
            settle: _,
            versions: _,
            limits,
            guard: _,
            accounts,
            metrics,
            audit,
        } = self;
        let Limits { rates, workers: _ } = limits;
        let differ = [
            ("listen", *listen != next.listen),
            ("limits.requests_per_second", rates.lambda != next.limits.rates.lambda),
            ("limits.get_function_per_second", rates.get_function != next.limits.rates.get_function),
            ("limits.iam_requests_per_second", rates.iam != next.limits.rates.iam),
            ("limits.ec2_requests_per_second", rates.ec2 != next.limits.rates.ec2),
            ("account", *accounts != next.accounts),
            ("metrics.per_function", *metrics != next.metrics),
            ("audit", *audit != next.audit),
        ];
        differ.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }

    /// The settings of a file.
    pub fn check(source: &Source, overrides: &Overrides) -> Result<Self, Unusable> {
        let mut report = Report::default();
        let raw: Option<RawSettings> = file::read(source, &mut report);
        let mut settings = Self::new(&Overrides::default());
        if let Some(raw) = raw {
            Reader { source, report: &mut report }.settings(&raw, &mut settings);
        }
        if report.has_errors() {
            return Err(Unusable(report.sorted()));
        }
        Ok(settings.overridden(overrides))
    }

    /// The defaults.
    pub fn new(overrides: &Overrides) -> Self {
        let defaults = Self {
            desired: PathBuf::from("config/functions.toml"),
            mode: Mode::Enforce,
            listen: SocketAddr::from(([127, 0, 0, 1], 9464)),
            resync: Duration::from_secs(300),
            settle: Duration::from_secs(60),
            versions: false,
            limits: Limits { rates: Rates::default(), workers: 16 },
            guard: Guard {
                allow_detach: false,
                allowed_policies: vec![PolicyName::vpc_access()],
                allowed_vpcs: None,
                max_changes: 50,
                max_change_percent: 30,
                approved: Vec::new(),
            },
            accounts: Vec::new(),
            metrics: Metrics { per_function: true },
            audit: None,
        };
        defaults.overridden(overrides)
    }

    fn overridden(mut self, by: &Overrides) -> Self {
        let Overrides { desired, mode, listen, resync, settle, audit } = by.clone();
        self.desired = desired.unwrap_or(self.desired);
        self.mode = mode.unwrap_or(self.mode);
        self.listen = listen.unwrap_or(self.listen);
        self.resync = resync.unwrap_or(self.resync);
        self.settle = settle.unwrap_or(self.settle);
        self.audit = audit.or(self.audit);
        self
    }
}

/// Whether there is anything of this name. A link that leads nowhere, or a folder that may not be entered, is not the same
/// as no file.
pub fn is_there(path: &Path) -> bool {
    !matches!(path.symlink_metadata(), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
}

/// Turns what is written into what it means, and collects the mistakes.
struct Reader<'a> {
    source: &'a Source,
    report: &'a mut Report,
}

impl Reader<'_> {
    fn settings(&mut self, raw: &RawSettings, into: &mut Settings) {
        let folder = self.source.path().parent().unwrap_or(Path::new("")).to_owned();
        if let Some(desired) = self.parse(&raw.desired, |text| not_empty(text)) {
            into.desired = folder.join(desired);
        }
        set(&mut into.mode, self.parse(&raw.mode, |text| Mode::parse(text)));
        set(&mut into.listen, self.parse(&raw.listen, |text| text.parse::<SocketAddr>().map_err(|_| listen(text))));
        set(&mut into.resync, self.parse(&raw.resync, |text| parse_resync(text)));
        set(&mut into.settle, self.parse(&raw.settle, |text| parse_duration(text)));
        set(&mut into.versions, self.get(&raw.versions).copied());
        into.audit = self.parse(&raw.audit, |text| Audit::parse(text)).map(|audit| audit.within(&folder));
        if let Some(limits) = self.get(&raw.limits) {
            self.rates(limits, &mut into.limits.rates);
            set(&mut into.limits.workers, self.parse(&limits.workers, |number| workers(*number)));
        }
        if let Some(guard) = self.get(&raw.guard) {
            set(&mut into.guard.allow_detach, self.get(&guard.allow_detach).copied());
            set(&mut into.guard.allowed_policies, self.list(&guard.allowed_policies, PolicyName::parse));
            into.guard.allowed_vpcs = self.list(&guard.allowed_vpcs, VpcId::parse);
            set(&mut into.guard.max_changes, self.get(&guard.max_changes).copied());
            set(&mut into.guard.max_change_percent, self.parse(&guard.max_change_percent, |number| percent(*number)));
            set(&mut into.guard.approved, self.list(&guard.approved, parse_plan_id));
        }
        if let Some(metrics) = self.get(&raw.metrics) {
            set(&mut into.metrics.per_function, self.get(&metrics.per_function).copied());
        }
        for raw in self.get(&raw.account).into_iter().flatten() {
            self.account(raw, &mut into.accounts);
        }
    }

    fn account(&mut self, field: &Field<RawAccount>, into: &mut Vec<Account>) {
        let Some(raw) = field.get(self.source, self.report) else { return };
        let id = self.parse(&raw.id, |text| AccountId::parse(text));
        let role = self.parse(&raw.role_arn, |text| RoleArn::parse(text));
        let name = self.parse(&raw.name, |text| not_empty(text));
        let external_id = self.parse(&raw.external_id, |text| not_empty(text));
        if raw.id.is_none() {
            let missing = Diagnostic::error(self.source, field.span(), "this account has no id", "");
            self.report.push(missing.help("state it: `id = \"123456789012\"`; nothing is written anywhere else"));
        }
        let Some(id) = id else { return };
        let name = name.unwrap_or_else(|| id.to_string());
        if let (Some(role), Some(field)) = (&role, &raw.role_arn)
            && role.key().account != id
        {
            let text = format!("this role belongs to account {}, not to {id}", role.key().account);
            self.report.push(Diagnostic::error(self.source, field.span(), text, "the role must be of this account"));
        }
        if into.iter().any(|other| other.id == id || other.name == name) {
            let text = format!("account `{name}` ({id}) is stated twice");
            self.report.push(Diagnostic::error(self.source, field.span(), text, "name and id must be used once"));
            return;
        }
        into.push(Account { name, id, role, external_id });
    }

    fn rates(&mut self, limits: &RawLimits, into: &mut Rates) {
        let lambda =
            "Lambda's whole control plane grants 15 a second per account and region: write more than 0, at most 15";
        let get_function = "Lambda grants 100 a second per account and region: write more than 0, at most 100";
        let iam = "IAM throttles an account long before 100 a second: write more than 0, at most 100";
        let ec2 = "EC2 grants 20 reads a second per account and region: write more than 0, at most 20";
        set(&mut into.lambda, self.parse(&limits.requests_per_second, |number| rate(*number, 15.0, lambda)));
        into.get_function = self.parse(&limits.get_function_per_second, |number| rate(*number, 100.0, get_function));
        set(&mut into.iam, self.parse(&limits.iam_requests_per_second, |number| rate(*number, 100.0, iam)));
        set(&mut into.ec2, self.parse(&limits.ec2_requests_per_second, |number| rate(*number, 20.0, ec2)));
    }

    fn get<'f, T>(&mut self, field: &'f Option<Field<T>>) -> Option<&'f T> {
        field.as_ref()?.get(self.source, self.report)
    }

    fn parse<T, U>(&mut self, field: &Option<Field<T>>, parse: impl FnOnce(&T) -> Result<U, NameError>) -> Option<U> {
        field.as_ref()?.parse(self.source, self.report, parse)
    }

    fn list<U>(
        &mut self,
        field: &Option<Field<Vec<Field<String>>>>,
        parse: impl Fn(&str) -> Result<U, NameError>,
    ) -> Option<Vec<U>> {
        let items = self.get(field)?;
        Some(items.iter().filter_map(|item| item.parse(self.source, self.report, |text| parse(text))).collect())
    }
}

fn set<T>(into: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *into = value;
    }
}

fn not_empty(text: &str) -> Result<String, NameError> {
    let wrong = || NameError { expected: "a text", given: text.to_owned(), rule: "it must not be empty" };
    (!text.trim().is_empty()).then(|| text.to_owned()).ok_or_else(wrong)
}

fn listen(text: &str) -> NameError {
    let rule = "write address and port, like 127.0.0.1:9464, or 0.0.0.0:9464 for all interfaces";
    NameError { expected: "an address to listen on", given: text.to_owned(), rule }
}

/// Parses a resync interval: a duration of a second or more.
pub fn parse_resync(text: &str) -> Result<Duration, NameError> {
    let rule = "looking at the fleet more than once a second would only use up AWS's rate limits";
    let short = || NameError { expected: "a resync interval", given: text.to_owned(), rule };
    parse_duration(text).and_then(|time| (time >= Duration::from_secs(1)).then_some(time).ok_or_else(short))
}

fn rate(number: Number, most: f64, rule: &'static str) -> Result<f64, NameError> {
    let value = match number {
        Number::Whole(value) => f64::from(value),
        Number::Broken(value) => value,
    };
    let wrong = || NameError { expected: "a request rate", given: value.to_string(), rule };
    (value > 0.0 && value <= most).then_some(value).ok_or_else(wrong)
}

fn percent(number: usize) -> Result<usize, NameError> {
    let wrong = || NameError { expected: "a percentage", given: number.to_string(), rule: "write 0 to 100" };
    (number <= 100).then_some(number).ok_or_else(wrong)
}

/// Parses a plan's id, or enough of its first digits.
pub fn parse_plan_id(text: &str) -> Result<String, NameError> {
    let rule = "write the id that `plan` prints: at least its first twelve hexadecimal digits";
    let wrong = || NameError { expected: "the id of a plan", given: text.to_owned(), rule };
    let digits = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    ((12..=64).contains(&text.len()) && digits).then(|| text.to_owned()).ok_or_else(wrong)
}

fn workers(number: usize) -> Result<usize, NameError> {
    let wrong = || NameError { expected: "a number of workers", given: number.to_string(), rule: "write 1 to 1000" };
    (1..=1000).contains(&number).then_some(number).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Settings, String> {
        let source = Source::from_bytes(Path::new("conf/controller.toml"), text.into()).unwrap();
        Settings::check(&source, &Overrides::default()).map_err(|unusable| unusable.render(false))
    }

    #[test]
    fn a_relative_path_begins_at_the_settings_file_and_flags_go_over_it() {
        let settings = check("desired = 'fleet.toml'\nresync = '1h30m'").unwrap();
        assert_eq!(settings.desired, Path::new("conf/fleet.toml"));
        assert_eq!(settings.resync, Duration::from_secs(5400));
        let over = Overrides { resync: Some(Duration::from_secs(9)), ..Overrides::default() };
        assert_eq!(settings.overridden(&over).resync, Duration::from_secs(9));
    }

    #[test]
    fn the_audit_trail_goes_to_a_file_beside_the_settings_or_to_stdout_and_a_flag_goes_over_both() {
        for (text, expected) in [
            ("audit = 'audit.jsonl'", Some(Audit::File("conf/audit.jsonl".into()))),
            ("audit = '/var/log/audit.jsonl'", Some(Audit::File("/var/log/audit.jsonl".into()))),
            ("audit = 'stdout'", Some(Audit::Stdout)),
            ("mode = 'observe'", None),
        ] {
            let settings = check(text).unwrap();
            assert_eq!(settings.audit, expected, "{text}");
            let flag = Some(Audit::File("here.jsonl".into()));
            let over = Overrides { audit: flag.clone(), ..Overrides::default() };
            assert_eq!(settings.overridden(&over).audit, flag, "{text}");
        }
        assert!(check("audit = ''").unwrap_err().contains("is not a place for the audit trail"));
    }

    #[test]
    fn what_cannot_be_taken_over_while_the_daemon_runs_is_named() {
        let before = Settings::new(&Overrides::default());
        for (text, expected) in [
            (
                "desired = 'x'\nmode = 'observe'\nresync = '1h'\nsettle = '1h'\nversions = true\n[limits]\nworkers = 3\n[guard]\nallow_detach = true",
                &[][..],
            ),
            ("listen = '127.0.0.1:1'", &["listen"]),
            ("[limits]\nrequests_per_second = 1", &["limits.requests_per_second"]),
            ("[[account]]\nid = '123456789012'", &["account"]),
            ("audit = 'stdout'\n[metrics]\nper_function = false", &["metrics.per_function", "audit"]),
        ] {
            assert_eq!(before.needs_restart(&check(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let found =
            check("mode = 'watch'\nresynk = '5m'\nsettle = 5\n[[account]]\nname = 'x'\n[limits]\nworkers = 0\n")
                .unwrap_err();
        for part in
            ["`watch` is not a mode", "unknown key `resynk`", "did you mean `resync`?", "has no id", "1 to 1000"]
        {
            assert!(found.contains(part), "{part} is missing in:\n{found}");
        }
        assert!(found.contains("expected a string"), "{found}");
    }

    #[test]
    fn by_default_no_file_can_detach_or_attach_any_other_policy() {
        let settings = Settings::new(&Overrides::default());
        assert!(!settings.guard.allow_detach);
        assert_eq!(settings.guard.allowed_policies, vec![PolicyName::vpc_access()]);
    }
}
