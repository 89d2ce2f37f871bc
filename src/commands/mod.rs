//! The commands, one file each, and what they share: arguments, connection, exit codes.

mod apply;
mod audit;
mod completions;
mod connect;
mod demo;
mod follow;
mod iam_policy;
mod import;
mod plan;
mod print;
mod probe;
mod reading;
mod run;
mod schema;
mod simulate;
mod status;
#[cfg(test)]
mod tests;
mod undo;
mod validate;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::cloud::PARTITIONS;
use crate::file::Unusable;
use crate::names::{AccountId, FunctionName, NamePattern, Region, RoleArn, VpcId};
use crate::plan::Limits;
use crate::settings::{self, Audit, Mode, Overrides};
use crate::telemetry::{LogFormat, LogWriter};

/// Keeps AWS Lambda functions attached to the VPCs that a file says.
///
/// The file lists functions and the VPC that each belongs to. The controller compares it with AWS, attaches the policy
/// that a function's role needs to be in a VPC, and sets the function's VPC configuration. It changes nothing else, and
/// nothing that the file does not list.
#[derive(Debug, Parser)]
#[command(version = VERSION.as_str(), max_term_width = 100, propagate_version = true, after_help = FIRST_STEPS)]
pub struct Cli {
    /// The settings file [default: config/controller.toml, if it is there].
    #[arg(long, global = true, value_name = "FILE", env = "LAMBDA_VPC_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,

    /// The desired state: a TOML file, or a directory of them [default: what the settings say, or config/functions.toml].
    #[arg(long, global = true, value_name = "PATH", env = "LAMBDA_VPC_DESIRED", hide_env_values = true)]
    desired: Option<PathBuf>,

    /// A ceiling over the mode of every entry: with `observe`, nothing is changed anywhere.
    #[arg(long, global = true, value_name = "MODE", env = "LAMBDA_VPC_MODE", hide_env_values = true, value_parser = Mode::parse)]
    mode: Option<Mode>,

    /// A region that AWS opened after this version: the desired state may name it. May be repeated.
    #[arg(
        long = "new-region",
        global = true,
        value_name = "REGION",
        env = "LAMBDA_VPC_NEW_REGIONS",
        value_delimiter = ',',
        hide_env_values = true,
        value_parser = Region::parse
    )]
    new_regions: Vec<Region>,

    /// How the log is written, to stderr [default: human on a terminal, json otherwise]. RUST_LOG sets its level.
    #[arg(long, global = true, value_name = "FORMAT", env = "LAMBDA_VPC_LOG_FORMAT", hide_env_values = true)]
    pub log_format: Option<LogFormat>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon: keep AWS as the file says, show how it stands, and export metrics.
    ///
    /// It looks at the fleet every `resync`, and at once when the file changes. It writes only into accounts whose ids
    /// are stated in the settings or the file. SIGTERM ends it after the call in hand, SIGHUP makes it look again now.
    Run(RunArgs),
    /// Show what would change, and why. Changes nothing.
    ///
    /// Exit code: 0 if all is in sync, 2 if changes are pending, 1 on an error or if something is blocked or unknown.
    Plan(PlanArgs),
    /// Show what would change, ask, and carry it out.
    ///
    /// Waits until everything is in sync or blocked. Exit code: 0 if all is in sync, 1 otherwise.
    Apply(ApplyArgs),
    /// Check files without AWS: for pull requests.
    ///
    /// Every mistake is shown with its place and what to write instead. Exit code: 0 if all are valid, 1 otherwise.
    Validate(ValidateArgs),
    /// Write the desired state that describes a live fleet. Changes nothing in AWS, and overwrites no file.
    ///
    /// Every function that is in a VPC is listed with its network, by ids; a plan on the result is empty. Where the role
    /// cannot be read, the entry leaves it as it is (`attach_policy = "never"`). What cannot be managed or understood is not
    /// listed, and so left alone: comments tell of it. Exit code: 0; 1 if nothing was written, or if something could not be
    /// read and is therefore missing or left as it is.
    Import(ImportArgs),
    /// Ask a running daemon how the fleet stands, or why one function is as it is.
    ///
    /// Exit code: 0 if everything that was asked for is as the file says, 2 if not yet, 1 on an error, also one in the
    /// settings of the daemon.
    Status(StatusArgs),
    /// Ask the daemon of these settings whether it is alive, or ready: for the health check of a container.
    ///
    /// Exit code: 0 if it is, 1 if not.
    Probe(ProbeArgs),
    /// Print the JSON schema of a file of the desired state: for completion in editors.
    Schema(SchemaArgs),
    /// Print the policy that IAM must give the controller's role for these settings: the least, as JSON.
    ///
    /// What the settings forbid becomes a condition: policies that may not be attached, VPCs that may not be attached to,
    /// and taking functions out of their VPC. With a mode of `observe` it allows reading alone.
    IamPolicy(IamPolicyArgs),
    /// Print a script that completes commands and flags in a shell.
    Completions(CompletionsArgs),
    /// Print the entry that takes back a function's last change, as an audit trail has it. Changes nothing.
    ///
    /// Put the entry into the desired file in place of the function's present one: what is done in AWS is done by `run`
    /// or `apply`. Exit code: 0, or 1 if there is nothing to take back.
    Undo(UndoArgs),
    /// Try it out: a simulated AWS account, the daemon and its page in one process, and a file to edit.
    Demo(DemoArgs),
    /// Serve a simulated AWS account, for any AWS client: set AWS_ENDPOINT_URL to its address.
    ///
    /// A world file says what the account holds, how long things take, what is allowed and what goes wrong. Tests in
    /// other processes look on at the same address, without a signature: `GET /_simulator/calls` counts the calls and
    /// lists those that change something, `POST /_simulator/faults` adds faults as a world file has them (`[[fault]]`
    /// in TOML, or `{"fault": [...]}` in JSON), `DELETE /_simulator/faults` ends them all.
    Simulate(SimulateArgs),
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    /// Address and port of the page, the API, /metrics, /livez and /readyz [default: 127.0.0.1:9464].
    #[arg(long, value_name = "ADDR", env = "LAMBDA_VPC_LISTEN", hide_env_values = true)]
    listen: Option<SocketAddr>,
    /// How often the whole fleet is looked at without any cause [default: 5m].
    #[arg(long, value_name = "TIME", env = "LAMBDA_VPC_RESYNC", hide_env_values = true, value_parser = settings::parse_resync)]
    resync: Option<Duration>,
    /// How long a function that somebody else just changed is left alone [default: 60s].
    #[arg(long, value_name = "TIME", env = "LAMBDA_VPC_SETTLE", hide_env_values = true, value_parser = settings::parse_duration)]
    settle: Option<Duration>,
    /// Where every change is recorded before and after: a file, `stdout`, or `none` [default: stdout].
    #[arg(long, value_name = "FILE", env = "LAMBDA_VPC_AUDIT", hide_env_values = true, value_parser = Audit::parse)]
    audit: Option<Audit>,
    /// The state directory: guard counts and spent approvals, kept over restarts [default: none, nothing is kept].
    #[arg(long, value_name = "DIR", env = "LAMBDA_VPC_STATE", hide_env_values = true)]
    state: Option<PathBuf>,
}

/// How what was found in files is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ValidateOutput {
    /// For people.
    Human,
    /// For programs.
    Json,
    /// Workflow commands of GitHub Actions: an annotation at each place.
    Github,
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Human,
    /// For programs.
    Json,
}

#[derive(Debug, clap::Args)]
struct PlanArgs {
    /// How the plan is printed, to stdout.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct ApplyArgs {
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// Do not ask, if this is the id of the plan as it stands now, or of one account and region in it: agrees to what was
    /// looked at, and to nothing else.
    #[arg(long, value_name = "ID", value_parser = settings::parse_plan_id, conflicts_with = "yes")]
    approve: Option<String>,
    /// Give up after this time; what was begun in AWS goes on there.
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = settings::parse_duration)]
    timeout: Duration,
    /// Where every change is recorded before and after [default: stderr, where that is no terminal].
    #[arg(long, value_name = "FILE", env = "LAMBDA_VPC_AUDIT", hide_env_values = true, value_parser = Audit::parse)]
    audit: Option<Audit>,
}

#[derive(Debug, clap::Args)]
struct ValidateArgs {
    /// Files and directories, each as a desired state of its own [default: the desired state].
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How the result is printed.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    output: ValidateOutput,
}

#[derive(Debug, clap::Args)]
struct SchemaArgs {
    /// The schema of the settings file instead.
    #[arg(long)]
    settings: bool,
    /// The OpenAPI document of the daemon's API instead.
    #[arg(long, conflicts_with = "settings")]
    api: bool,
}

#[derive(Debug, clap::Args)]
struct StatusArgs {
    /// Explain this function: its name, a pattern like `orders-*`, or ACCOUNT/REGION/NAME [default: the whole fleet].
    function: Option<String>,
    /// Where the daemon listens.
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:9464",
        env = "LAMBDA_VPC_URL",
        hide_env_values = true
    )]
    url: String,
    /// Ask every two seconds, until Ctrl-C.
    #[arg(long, short)]
    watch: bool,
    /// How the answer is printed, to stdout.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    output: Output,
}

/// What a daemon can be asked about its health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Health {
    /// Whether its loop turns.
    Livez,
    /// Whether a desired state is in force, and every account and region has answered or been refused once.
    Readyz,
}

impl Health {
    fn name(self) -> &'static str {
        match self {
            Self::Livez => "livez",
            Self::Readyz => "readyz",
        }
    }
}

#[derive(Debug, clap::Args)]
struct ProbeArgs {
    /// What is asked.
    #[arg(default_value = "livez")]
    health: Health,
    /// Where the daemon listens [default: what the settings say].
    #[arg(long, value_name = "ADDR", env = "LAMBDA_VPC_LISTEN", hide_env_values = true)]
    listen: Option<SocketAddr>,
}

#[derive(Debug, clap::Args)]
struct IamPolicyArgs {
    /// The policy of the role that is assumed in this account of the settings, by its name or id, instead.
    #[arg(long, value_name = "NAME|ID")]
    account: Option<String>,
    /// That role's trust policy instead: who may assume it. This is the ARN of the role that the controller runs under.
    #[arg(long, value_name = "ARN", requires = "account", value_parser = RoleArn::parse)]
    trust: Option<RoleArn>,
    /// The ARN of the role that the controller runs under: a statement denies it any policy, whatever else allows that. The role of
    /// an account with `role_arn` has that statement anyway.
    #[arg(long, value_name = "ARN", conflicts_with = "trust", value_parser = RoleArn::parse)]
    own_role: Option<RoleArn>,
    /// Refuse every update that carries layers (a `Null` condition on `lambda:Layer`): a thief of the role's credentials then adds
    /// none. AWS does not say whether the condition also refuses an update of the VPC alone, for a function that has layers
    /// already. If IAM does refuse that, such a function stays `AccessDenied`: try the policy with one function before the fleet.
    #[arg(long, conflicts_with = "trust")]
    refuse_layers: bool,
    /// With the use of customer managed KMS keys, by way of Lambda alone: functions that have one are not updated without.
    #[arg(long, conflicts_with = "trust")]
    kms: bool,
    /// The partition of AWS that the accounts are in.
    #[arg(long, value_name = "NAME", default_value = "aws", value_parser = PARTITIONS.map(|(name, _)| name))]
    partition: String,
}

#[derive(Debug, clap::Args)]
struct CompletionsArgs {
    /// The shell.
    shell: clap_complete::Shell,
}

#[derive(Debug, clap::Args)]
struct ImportArgs {
    /// The file to write; one that is there is never overwritten. `-` is stdout.
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Only functions whose name fits: `orders-*`, with `*` for any text and `?` for one character. May be repeated.
    #[arg(long, value_name = "PATTERN", value_parser = NamePattern::parse)]
    name: Vec<NamePattern>,
    /// Only functions in this VPC. May be repeated.
    #[arg(long, value_name = "ID", value_parser = VpcId::parse)]
    vpc: Vec<VpcId>,
    /// The region to look at [default: the environment's]. May be repeated.
    #[arg(long, value_name = "REGION", value_parser = Region::parse)]
    region: Vec<Region>,
    /// The account: a name from the settings, or an id [default: the one of the credentials].
    #[arg(long, value_name = "NAME|ID")]
    account: Option<String>,
    /// Also list functions that are in no VPC, with `vpc = "none"`, which keeps them out of every VPC.
    #[arg(long, conflicts_with = "vpc")]
    detached: bool,
}

#[derive(Debug, clap::Args)]
struct UndoArgs {
    /// The audit trail that the change is in.
    #[arg(long, value_name = "FILE")]
    audit: PathBuf,
    /// The function.
    #[arg(long, value_name = "NAME", value_parser = FunctionName::parse)]
    function: FunctionName,
    /// Its account, where the trail tells of several.
    #[arg(long, value_name = "ID", value_parser = AccountId::parse)]
    account: Option<AccountId>,
    /// Its region, where the trail tells of several.
    #[arg(long, value_name = "REGION", value_parser = Region::parse)]
    region: Option<Region>,
}

#[derive(Debug, clap::Args)]
struct DemoArgs {
    /// Where the daemon's metrics are served [default: 127.0.0.1:9464, or any free port].
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Where the simulated account is served [default: 127.0.0.1:4599, or any free port].
    #[arg(long, value_name = "ADDR")]
    simulate: Option<SocketAddr>,
    /// The folder for the file to edit [default: a new one in the temporary folder].
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// End by itself after this time.
    #[arg(long, value_name = "TIME", value_parser = settings::parse_duration)]
    duration: Option<Duration>,
    /// How many times as fast everything happens in the account.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=3600))]
    time_scale: u32,
}

#[derive(Debug, clap::Args)]
struct SimulateArgs {
    /// Where to serve; port 0 takes any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4599")]
    listen: SocketAddr,
    /// What the account holds at the start: a TOML file [default: the world of the demo].
    #[arg(long, value_name = "FILE", conflicts_with = "functions")]
    world: Option<PathBuf>,
    /// How many times as fast everything happens, so that minutes of AWS are seconds. Its clock shows the time of day.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=3600))]
    time_scale: u32,
    /// All that its callers may do: a policy as `iam-policy` prints it [default: anything].
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// A large world instead, with this many functions: a role for each 20, a VPC for each 500.
    #[arg(long, value_name = "N")]
    functions: Option<usize>,
}

/// The version, and where the build was told it, the revision that it was made from.
static VERSION: LazyLock<String> = LazyLock::new(|| match option_env!("LAMBDA_VPC_REVISION") {
    Some(revision) if !revision.is_empty() => format!("{} ({revision})", env!("CARGO_PKG_VERSION")),
    _ => env!("CARGO_PKG_VERSION").to_owned(),
});

/// What `--help` ends with.
const FIRST_STEPS: &str = "\
First steps:
  lambda-vpc-controller demo                           try it without AWS
  lambda-vpc-controller import --output functions.toml begin with the functions that are in a VPC already
  lambda-vpc-controller validate functions.toml        check a file
  lambda-vpc-controller plan --desired functions.toml  see what would change";

/// Why a command could not do its work: a sentence for people, already complete.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// A file cannot be used.
    #[error("{}", .0.render(false))]
    File(#[from] Unusable),
    /// Something else; what was tried, on what, and what to do next.
    #[error("error: {0}")]
    Other(String),
}

/// Exit codes, as `--help` tells them.
mod exit {
    use std::process::ExitCode;

    /// All is as it should be.
    pub(super) const FINE: ExitCode = ExitCode::SUCCESS;
    /// An error, or something blocked or unknown.
    pub(super) const ERROR: ExitCode = ExitCode::FAILURE;

    /// Changes are pending.
    pub(super) fn pending() -> ExitCode {
        ExitCode::from(2)
    }
}

impl Cli {
    /// What is logged where `RUST_LOG` says nothing: the demo tells its story in plain words instead.
    pub fn log_level(&self) -> &'static str {
        match self.command {
            Command::Demo(_) => "off",
            Command::Plan(_)
            | Command::Apply(_)
            | Command::Validate(_)
            | Command::Schema(_)
            | Command::Status(_)
            | Command::Import(_)
            | Command::Probe(_)
            | Command::IamPolicy(_)
            | Command::Completions(_)
            | Command::Undo(_) => "error,lambda_vpc_controller=warn",
            Command::Run(_) | Command::Simulate(_) => "error,lambda_vpc_controller=info",
        }
    }

    /// Runs the command. What goes wrong is told on stderr.
    pub async fn run(self, log: &LogWriter) -> ExitCode {
        let (desired, mode, new_regions) = (self.desired, self.mode, self.new_regions);
        let overrides = Overrides { desired, mode, new_regions, ..Overrides::default() };
        let config = self.config.as_deref();
        let settings = async |overrides: &Overrides| connect::settings(config, overrides).await;
        let result = match self.command {
            Command::Run(RunArgs { listen, resync, settle, audit, state }) => {
                run::run(config, Overrides { listen, resync, settle, audit, state, ..overrides }, log.lost()).await
            }
            Command::Plan(args) => match settings(&overrides).await {
                Ok(settings) => plan::run(settings, &args).await,
                Err(failure) => Err(failure),
            },
            Command::Apply(args) => match settings(&Overrides { audit: args.audit.clone(), ..overrides }).await {
                Ok(settings) => apply::run(settings, &args).await,
                Err(failure) => Err(failure),
            },
            Command::Validate(args) => match settings(&overrides).await {
                Ok(settings) => {
                    let stated = settings::is_there(config.unwrap_or(Path::new(settings::DEFAULT_PATH)));
                    validate::run(&settings, stated.then(|| Limits::of(&settings)).as_ref(), &args).await
                }
                Err(failure) => Err(failure),
            },
            Command::Import(args) => match settings(&overrides).await {
                Ok(settings) => import::run(&settings, &args).await,
                Err(failure) => Err(failure),
            },
            Command::Status(args) => status::run(&args).await,
            // The settings may have become bad while the daemon runs on: they are read where nothing else says the address.
            Command::Probe(args) => match args.listen {
                Some(listen) => probe::run(listen, args.health),
                None => settings(&overrides).await.and_then(|settings| probe::run(settings.listen, args.health)),
            },
            Command::IamPolicy(args) => {
                settings(&overrides).await.and_then(|settings| iam_policy::run(&settings, &args))
            }
            Command::Completions(args) => completions::run(args.shell),
            Command::Schema(args) => schema::run(&args),
            Command::Undo(args) => undo::run(&args),
            Command::Demo(args) => demo::run(&args).await,
            Command::Simulate(args) => simulate::run(&args).await,
        };
        result.unwrap_or_else(|failure| {
            let text = match &failure {
                Failure::File(unusable) => unusable.render(true),
                Failure::Other(_) => failure.to_string(),
            };
            print::tell(&text);
            exit::ERROR
        })
    }
}

/// Asks daemons, on this machine or near it: a proxy of the environment is for AWS, and would ask itself at 127.0.0.1.
fn asking_daemons(deadline: Duration) -> ureq::Agent {
    let config = ureq::Agent::config_builder().proxy(None).timeout_global(Some(deadline)).http_status_as_error(false);
    config.build().into()
}
