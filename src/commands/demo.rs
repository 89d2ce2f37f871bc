//! `demo`: a simulated account, the daemon and its page in one process, and a file to edit.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::connect::clock;
use super::follow::SettingsFile;
use super::run::{Watching, daemon, told_to_stop};
use super::{DemoArgs, Failure, exit, simulate};
use crate::cloud::aws::Endpoint;
use crate::cloud::{Class, Operation};
use crate::manager::{Observer, Signal};
use crate::names::FunctionName;
use crate::plan::{Answer, Outcome, State, Step};
use crate::reconcile::{Notice, QueueStats, Scope};
use crate::settings::{Audit, Overrides};
use crate::simulator::{Door, Fault, Misbehaviour, UpdateFunctionConfiguration, VpcConfigRequest, World, http};

const FUNCTIONS: &str = include_str!("../../config/demo/functions.toml");
const SETTINGS: &str = include_str!("../../config/demo/controller.toml");
/// Where both are served unless somebody says otherwise; another free port is taken if these are in use.
const METRICS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9464);
const SIMULATED: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 4599);
/// How long a policy takes to count: longer than the first try waits, so that Lambda's refusal is to be seen.
const SLOW_IAM: Duration = Duration::from_secs(13);
/// How long all is quiet before the demo itself plays somebody who changes a function by hand.
const QUIET: Duration = Duration::from_secs(4);

pub(super) async fn run(args: &DemoArgs) -> Result<ExitCode, Failure> {
    let folder = Folder::prepare(args.directory.as_deref())?;
    let simulated = bind(args.simulate, SIMULATED).await?;
    let metrics = bind(args.listen, METRICS).await?;
    let (aws_at, metrics_at) = (address(&simulated)?, address(&metrics)?);
    let mut world = World::demo().map_err(simulate::wrong)?;
    world.timings.propagation = Some(SLOW_IAM.as_secs_f64());
    let door = simulate::open(&world, args.time_scale, clock()).map_err(simulate::wrong)?;
    let audit = Some(Audit::File(folder.audit()));
    let state = Some(folder.path.join("state"));
    let overrides = Overrides { listen: Some(metrics_at), audit, state, ..Overrides::default() };
    let settings = SettingsFile::read(Some(&folder.settings()), overrides).await?;
    let throttled = Misbehaviour::Throttled(Some(Duration::from_secs(1)));
    let fault = Fault::always(throttled).on(Operation::UpdateFunctionConfiguration.name()).times(1);
    door.with(|aws, _| aws.faults.add(fault));

    let (send, signals) = mpsc::channel(8);
    let story = Arc::new(Story {
        door: door.clone(),
        aws: format!("http://{aws_at}"),
        metrics: metrics_at,
        file: folder.file(),
        audit: folder.audit(),
        told: Told::default(),
    });
    story.begin();
    let serving = tokio::spawn(http::serve(simulated, door, std::future::pending()));
    let stop = told_to_stop()?;
    let (stopper, duration) = (send.clone(), args.duration);
    tokio::spawn(async move {
        match duration {
            None => stop.await,
            Some(duration) => tokio::select! { () = stop => {}, () = tokio::time::sleep(duration) => {} },
        }
        // The daemon may have ended by itself.
        let _ = stopper.send(Signal::Stop).await;
    });
    let endpoint = Endpoint::Emulator { url: format!("http://{aws_at}"), access_key: "demo".to_owned() };
    let ended =
        daemon(settings, &endpoint, metrics, send, signals, Watching { listening: Some(story), ..Watching::default() })
            .await;
    serving.abort();
    ended?;
    say("\nThe demo has ended.");
    Ok(exit::FINE)
}

async fn bind(wanted: Option<SocketAddr>, default: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = match wanted {
        Some(at) => TcpListener::bind(at).await,
        None => match TcpListener::bind(default).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                TcpListener::bind(SocketAddr::new(default.ip(), 0)).await
            }
            other => other,
        },
    };
    listener.map_err(|error| Failure::Other(format!("cannot listen on {}: {error}", wanted.unwrap_or(default))))
}

fn address(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|error| Failure::Other(format!("no address to listen on: {error}")))
}

/// The folder with the file to edit; removed at the end if the demo made it.
struct Folder {
    path: PathBuf,
    ours: bool,
}

impl Folder {
    /// Writes the demo's files. A file that is there already is used as it is.
    fn prepare(wanted: Option<&Path>) -> Result<Self, Failure> {
        let ours = wanted.is_none();
        let name = format!("lambda-vpc-controller-demo-{}", std::process::id());
        let path = wanted.map_or_else(|| std::env::temp_dir().join(name), Path::to_owned);
        let folder = Self { path, ours };
        let wrong = |path: &Path, error| Failure::Other(format!("cannot write {}: {error}", path.display()));
        std::fs::create_dir_all(&folder.path).map_err(|error| wrong(&folder.path, error))?;
        for (path, text) in [(folder.file(), FUNCTIONS), (folder.settings(), SETTINGS)] {
            if !path.exists() {
                std::fs::write(&path, text).map_err(|error| wrong(&path, error))?;
            }
        }
        Ok(folder)
    }

    fn file(&self) -> PathBuf {
        self.path.join("functions.toml")
    }

    fn settings(&self) -> PathBuf {
        self.path.join("controller.toml")
    }

    fn audit(&self) -> PathBuf {
        self.path.join("audit.jsonl")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.ours {
            // What is left behind is a small file in the temporary folder.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Tells in plain words what happens, and what to try.
struct Story {
    door: Door,
    aws: String,
    metrics: SocketAddr,
    file: PathBuf,
    audit: PathBuf,
    told: Told,
}

#[derive(Default)]
struct Told {
    invited: AtomicBool,
    refused: Mutex<Vec<FunctionName>>,
}

fn say(text: impl AsRef<str>) {
    // The demo goes on even where nobody reads.
    let _ = super::print::out(&format!("{}\n", text.as_ref()));
}

impl Story {
    fn begin(&self) {
        let Self { aws, metrics, file, .. } = self;
        say(format!(
            "A simulated AWS account is served at {aws}: four functions, three roles, one VPC.\n\
             The controller reads the desired state from {}\n\
             and shows how everything stands at http://{metrics}/\n",
            file.display()
        ));
    }

    /// Once everything rests for the first time: what to try, and a first interference by the demo itself.
    fn invite(&self) {
        let Self { aws, metrics, file, audit, .. } = self;
        say(format!(
            "\nEverything is as the file says. Now try:\n\
             \n\
             * edit the file: {}\n\
             \x20   for example, change \"observe\" to \"enforce\" for billing-report, or break it and see what is said\n\
             * change a function behind the controller's back, and see it put right:\n\
             \x20   AWS_ENDPOINT_URL={aws} AWS_REGION=eu-west-1 AWS_ACCESS_KEY_ID=demo AWS_SECRET_ACCESS_KEY=demo \\\n\
             \x20     aws lambda update-function-configuration --function-name orders-api \\\n\
             \x20     --vpc-config SubnetIds=[],SecurityGroupIds=[]\n\
             * ask for one function: lambda-vpc-controller status --url http://{metrics} orders-api\n\
             * look at the metrics: curl -s http://{metrics}/metrics | grep lambda_vpc_\n\
             * take the last change of a function back: what this prints goes into the file\n\
             \x20   lambda-vpc-controller undo --audit {} --function orders-api\n\
             * end with Ctrl-C\n",
            file.display(),
            audit.display()
        ));
        let door = self.door.clone();
        tokio::spawn(async move {
            tokio::time::sleep(QUIET).await;
            interfere(&door);
        });
    }

    fn stepped(&self, step: &Step, answer: &Answer) {
        let name = &step.key().name;
        match (step, answer) {
            (Step::AttachPolicy { role, policy, .. }, Answer::Done) => {
                say(format!("{name}: attached {} to its role {}", policy.short(), role.key().name));
            }
            (Step::SetVpc { to, .. }, Answer::Done) if to.is_attached() => say(format!(
                "{name}: Lambda accepted {} subnets and {} security group; it makes the network interfaces now",
                to.subnets.len(),
                to.security_groups.len()
            )),
            (Step::SetVpc { .. }, Answer::Done) => say(format!("{name}: Lambda takes it out of its VPC")),
            (_, Answer::Failed(error)) if error.class == Class::RoleDenied => {
                let mut refused = self.told.refused.lock().unwrap_or_else(PoisonError::into_inner);
                if !refused.contains(name) {
                    say(format!("{name}: Lambda refuses: the role's new right has not reached it yet; trying again"));
                    refused.push(name.clone());
                }
            }
            (_, Answer::Failed(error)) if error.class == Class::Throttled => {
                say(format!(
                    "{name}: Lambda says that it is called too often (the demo makes it say so once); trying again"
                ));
            }
            (_, Answer::Failed(error)) => say(format!("{name}: {error}")),
            (_, Answer::NotSent { .. }) => {}
            (_, Answer::NotJournaled(error)) => say(format!("{name}: not recorded, so not done: {error}")),
        }
    }
}

impl Observer for Story {
    fn notice(&self, notice: &Notice) {
        match notice {
            Notice::Loaded { functions, digest, .. } => {
                say(format!("read the file: {functions} functions (digest {})", digest.short()));
            }
            Notice::NotLoaded(failure) => say(format!("the file cannot be used, the last good one stays: {failure}")),
            Notice::Released { key, .. } => say(format!("{}: left the file; it stays as it is", key.name)),
            Notice::Gone(entry) => say(format!("{}: is gone", entry.key.name)),
            Notice::Unmatched(pattern) => say(format!("the pattern {} means no function", pattern.name)),
            Notice::LeftOut(it) => say(format!("{}: left out of patterns, {} made it", it.key.name, it.service)),
            Notice::Resumed(key) => say(format!("{}: its observation has ended", key.name)),
            Notice::Drifted(change) => {
                let network = change.network.as_ref().map(|network| match network.to.is_attached() {
                    true => "it is not in the VPC that the file names",
                    false => "it is in a VPC, and must not be",
                });
                let policy = (!change.attach.is_empty()).then_some("its role lacks the right to be there");
                let what: Vec<&str> = network.into_iter().chain(policy).collect();
                say(format!("{}: differs from the file: {}", change.key.name, what.join(", and ")));
            }
            Notice::Stepped { order, answer, .. } => self.stepped(&order.step, answer),
            Notice::Concluded { key, outcome: Outcome::InSync, before: Some(before), .. }
                if *before != State::InSync =>
            {
                say(format!("{}: in sync", key.name));
            }
            Notice::Concluded { key, outcome, before, .. }
                if matches!(outcome.state(), State::Blocked | State::OutOfSync | State::Unknown)
                    && *before != Some(outcome.state()) =>
            {
                let why = outcome.why().map(ToString::to_string).unwrap_or_default();
                say(format!("{}: {}: {why}", key.name, outcome.state().words()));
            }
            Notice::Confirmed
            | Notice::Settings { .. }
            | Notice::Approved { .. }
            | Notice::NotRecalled { .. }
            | Notice::RecordUnread { .. }
            | Notice::Stored { .. }
            | Notice::Sweeping(_)
            | Notice::Swept { .. }
            | Notice::Behind { .. }
            | Notice::Restarts { .. }
            | Notice::Concluded { .. } => {}
        }
    }

    /// The demo's file speaks of one account and region.
    fn turned(&self, scope: &Scope, _: QueueStats) -> Option<Duration> {
        let invited = self.told.invited.load(Ordering::Relaxed);
        if !invited && scope.ready() && scope.at_rest() && !self.told.invited.swap(true, Ordering::Relaxed) {
            self.invite();
        }
        None
    }
}

/// Somebody takes a function out of its VPC by hand.
fn interfere(door: &Door) {
    let request = UpdateFunctionConfiguration {
        vpc_config: Some(VpcConfigRequest::none()),
        ..UpdateFunctionConfiguration::default()
    };
    let done = door.with(|aws, now| {
        let scope = crate::names::ScopeKey {
            account: aws.home().clone(),
            region: crate::names::Region::parse("eu-west-1").ok()?,
        };
        aws.update_function_configuration(&scope, "orders-worker", &request, now).ok()
    });
    if done.is_some() {
        say(
            "(the demo plays somebody who takes orders-worker out of its VPC by hand; wait for the next look at the fleet)",
        );
    }
}
