//! What the operator decides, and no desired file can widen: where to write, what may be attached, how fast.
//!
//! The settings file is read like the desired state, every mistake with its place. Flags and `LAMBDA_VPC_*` variables
//! go over the file, the file over the defaults.

mod read;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cloud::Rates;
use crate::file::{self, Allowed, Reader, Report, Source, Unusable};
use crate::names::{AccountId, NameError, PolicyName, Region, RoleArn, RolePattern, VpcId};

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
    /// What is read of the desired state.
    pub files: Allowed,
    /// Regions that the desired state may name although this version of the program does not know them.
    pub new_regions: Vec<Region>,
    /// Where every change is recorded; `None` where nothing was said.
    pub audit: Option<Audit>,
    /// The directory in which the daemon keeps what outlives it; none where nothing does.
    pub state: Option<PathBuf>,
}

/// Where every change is recorded, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audit {
    /// On the standard output.
    Stdout,
    /// In a file, which is only ever appended to.
    File(PathBuf),
    /// Nowhere, as somebody has said.
    None,
}

impl Audit {
    /// Parses `stdout`, `none`, or a path.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let rule = "write the path of a file, \"stdout\" or \"none\"";
        match text {
            "stdout" => Ok(Self::Stdout),
            "none" => Ok(Self::None),
            _ if text.trim().is_empty() => {
                Err(NameError { expected: "a place for the audit trail", given: text.to_owned(), rule })
            }
            _ => Ok(Self::File(PathBuf::from(text))),
        }
    }

    /// The same, where a relative path begins at this folder.
    fn within(self, folder: &Path) -> Self {
        match self {
            Self::Stdout | Self::None => self,
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
    /// The roles that may get a policy; `None` for any but the controller's own.
    pub allowed_roles: Option<Vec<RolePattern>>,
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
    /// `--new-region`, `LAMBDA_VPC_NEW_REGIONS`; beside those of the file.
    pub new_regions: Vec<Region>,
    /// `--listen`, `LAMBDA_VPC_LISTEN`.
    pub listen: Option<SocketAddr>,
    /// `--resync`, `LAMBDA_VPC_RESYNC`.
    pub resync: Option<Duration>,
    /// `--settle`, `LAMBDA_VPC_SETTLE`.
    pub settle: Option<Duration>,
    /// `--audit`, `LAMBDA_VPC_AUDIT`; relative to the working directory.
    pub audit: Option<Audit>,
    /// `--state`, `LAMBDA_VPC_STATE`; relative to the working directory.
    pub state: Option<PathBuf>,
}

/// Parses a duration as people write it: `90s`, `5m`, `1h 30m`.
pub fn parse_duration(text: &str) -> Result<Duration, NameError> {
    let rule = "write a time like 90s, 5m or 1h30m";
    let wrong = || NameError { expected: "a duration", given: text.to_owned(), rule };
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(parsed).map_err(|_| wrong())
}

/// Parses a resync interval: a duration of a second or more.
pub fn parse_resync(text: &str) -> Result<Duration, NameError> {
    let rule = "looking at the fleet more than once a second would only use up AWS's rate limits";
    let short = || NameError { expected: "a resync interval", given: text.to_owned(), rule };
    parse_duration(text).and_then(|time| (time >= Duration::from_secs(1)).then_some(time).ok_or_else(short))
}

/// Parses a plan's id, or enough of its first digits.
pub fn parse_plan_id(text: &str) -> Result<String, NameError> {
    let rule = "write the id that `plan` prints: at least its first twelve hexadecimal digits";
    let wrong = || NameError { expected: "the id of a plan", given: text.to_owned(), rule };
    let digits = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    ((12..=64).contains(&text.len()) && digits).then(|| text.to_owned()).ok_or_else(wrong)
}

impl Settings {
    /// Reads the settings. With no path, [`DEFAULT_PATH`] is read if it exists.
    pub fn load(path: Option<&Path>, overrides: &Overrides) -> Result<Self, Unusable> {
        match path {
            None if !is_there(Path::new(DEFAULT_PATH)) => Ok(Self::new(overrides)),
            path => {
                // How much may be read is not known before.
                let source = Source::read(path.unwrap_or(Path::new(DEFAULT_PATH)), &Allowed::default())?;
                Self::check(&source, overrides)
            }
        }
    }

    /// The JSON schema of the settings file.
    pub fn schema() -> serde_json::Value {
        file::schema::<read::RawSettings>("The settings of lambda-vpc-controller")
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
            files: _,
            new_regions,
            audit,
            state,
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
            ("files.new_regions", *new_regions != next.new_regions),
            ("audit", *audit != next.audit),
            ("state", *state != next.state),
        ];
        differ.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }

    /// The settings of a file.
    pub fn check(source: &Source, overrides: &Overrides) -> Result<Self, Unusable> {
        let mut report = Report::default();
        let mut settings = Self::new(&Overrides::default());
        read::into(&mut settings, &mut Reader::new(source, &mut report));
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
                allowed_roles: None,
                allowed_vpcs: None,
                max_changes: 50,
                max_change_percent: 30,
                approved: Vec::new(),
            },
            accounts: Vec::new(),
            metrics: Metrics { per_function: true },
            files: Allowed::default(),
            new_regions: Vec::new(),
            audit: None,
            state: None,
        };
        defaults.overridden(overrides)
    }

    fn overridden(mut self, by: &Overrides) -> Self {
        let Overrides { desired, mode, new_regions, listen, resync, settle, audit, state } = by.clone();
        self.desired = desired.unwrap_or(self.desired);
        self.mode = mode.unwrap_or(self.mode);
        self.new_regions.extend(new_regions);
        self.listen = listen.unwrap_or(self.listen);
        self.resync = resync.unwrap_or(self.resync);
        self.settle = settle.unwrap_or(self.settle);
        self.audit = audit.or(self.audit);
        self.state = state.or(self.state);
        self
    }
}

/// Whether there is anything of this name. A link that leads nowhere, or a folder that may not be entered, is not the same
/// as no file.
pub fn is_there(path: &Path) -> bool {
    !matches!(path.symlink_metadata(), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
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
            ("audit = 'none'", Some(Audit::None)),
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
            ("state = 'state'", &["state"]),
            ("[files]\nnew_regions = ['eu-west-9']\nroots = ['x']", &["files.new_regions"]),
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
