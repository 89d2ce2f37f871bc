//! `run`: the daemon.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::connect::{self, Loader};
use super::follow::{self, SettingsFile};
use super::{Failure, audit, exit};
use crate::apply::Applier;
use crate::cloud::aws::Endpoint;
use crate::desired::{DesiredState, Traces, Watch};
use crate::http;
use crate::manager::{self, Controller, Event, Manager, Observer, Ports, Signal, Until};
use crate::plan::Limits;
use crate::reconcile::{Cadence, Notice, QueueStats, Scope};
use crate::records::{Directory, Records};
use crate::settings::{Overrides, Settings};
use crate::telemetry::{LostLines, Telemetry, doubts};

/// How long the address of a process that is just ending is waited for: longer than that takes.
const ENDING: Duration = Duration::from_secs(15);
const BETWEEN_TRIES: Duration = Duration::from_millis(200);
/// How long requests in hand may take at the end.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

pub(super) async fn run(config: Option<&Path>, overrides: Overrides, log: LostLines) -> Result<ExitCode, Failure> {
    leave_no_core()?;
    let settings = SettingsFile::read(config, overrides).await?;
    let (send, signals) = mpsc::channel(8);
    forward_signals(send.clone(), settings.asked())?;
    let listener = listen_in_time(settings.settings().listen, &signals).await?;
    let watching = Watching { log, listening: None };
    daemon(settings, &Endpoint::Environment, listener, send, signals, watching).await?;
    Ok(exit::FINE)
}

/// The environment of functions, which may hold secrets, passes through the memory of whoever lists them: a process that dies
/// leaves none of it on a disk.
fn leave_no_core() -> Result<(), Failure> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none)
        .map_err(|error| Failure::Other(format!("core dumps cannot be switched off: {error}")))
}

/// Listens; an error says on what, and what to do.
pub(super) async fn listen(at: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(at).await.map_err(|error| cannot_listen(at, &error))
}

/// Listens as soon as the address is free: a process before this one may still be ending. A signal ends the wait.
async fn listen_in_time(at: SocketAddr, signals: &mpsc::Receiver<Signal>) -> Result<TcpListener, Failure> {
    let is_in_use = |bound: &std::io::Result<_>| matches!(bound, Err(error) if error.kind() == ErrorKind::AddrInUse);
    let mut bound = TcpListener::bind(at).await;
    if is_in_use(&bound) {
        tracing::warn!("{at} is in use: it is tried again for {} s", ENDING.as_secs());
    }
    let begun = Instant::now();
    while is_in_use(&bound) && begun.elapsed() < ENDING && signals.is_empty() {
        tokio::time::sleep(BETWEEN_TRIES).await;
        bound = TcpListener::bind(at).await;
    }
    bound.map_err(|error| cannot_listen(at, &error))
}

fn cannot_listen(at: SocketAddr, error: &std::io::Error) -> Failure {
    Failure::Other(format!("cannot listen on {at}: {error}; choose another address with --listen"))
}

/// Done when SIGTERM or SIGINT has come.
pub(super) fn told_to_stop() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    let failed = |error| Failure::Other(format!("signals cannot be received: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    })
}

/// SIGTERM and SIGINT stop; SIGHUP reads both files again and sweeps.
fn forward_signals(send: mpsc::Sender<Signal>, settings: Arc<Notify>) -> Result<(), Failure> {
    let failed = |error| Failure::Other(format!("signals cannot be received: {error}"));
    let pairs = [
        (SignalKind::terminate(), Signal::Stop),
        (SignalKind::interrupt(), Signal::Stop),
        (SignalKind::hangup(), Signal::Reload),
    ];
    for (kind, meaning) in pairs {
        let mut arriving = signal(kind).map_err(failed)?;
        let (send, settings) = (send.clone(), Arc::clone(&settings));
        tokio::spawn(async move {
            while arriving.recv().await.is_some() {
                tracing::info!("received a signal: {meaning:?}");
                if matches!(meaning, Signal::Reload) {
                    settings.notify_one();
                }
                if send.send(meaning.clone()).await.is_err() {
                    break;
                }
            }
        });
    }
    Ok(())
}

/// Who watches the daemon.
#[derive(Default)]
pub(super) struct Watching {
    /// What its log loses.
    pub(super) log: LostLines,
    /// Who listens beside the telemetry.
    pub(super) listening: Option<Arc<dyn Observer>>,
}

/// The daemon, until it is told to stop. The first desired state must be valid; AWS need not answer yet.
pub(super) async fn daemon(
    file: SettingsFile,
    endpoint: &Endpoint,
    listener: TcpListener,
    send: mpsc::Sender<Signal>,
    signals: mpsc::Receiver<Signal>,
    Watching { log, listening }: Watching,
) -> Result<(), Failure> {
    let settings = &file.settings().clone();
    let journal = audit::of_daemon(settings)?;
    let clock = connect::clock();
    let telemetry = Telemetry::new(settings.metrics.per_function, clock.clone());
    let telemetry =
        Arc::new(telemetry.map_err(|error| Failure::Other(format!("the metrics are wrong: {error}")))?.counting(log));
    let aws = connect::aws(settings, endpoint, telemetry.clone(), clock.clone()).await?;
    let read = connect::reading(&aws, &clock);
    let (desired, at) = watch::channel(connect::desired_at(settings));
    let traces = Arc::<Traces>::default();
    let loader = Loader::new(settings, aws.region(), Arc::clone(&read)).following(at.clone(), Arc::clone(&traces));
    let place = at.borrow().path.clone();
    let watch = Watch::new(&place, Arc::clone(&traces)).await;
    let first = loader.unasked().await?.map(first);
    if let Ok(at) = listener.local_addr() {
        tracing::info!(%at, "serving the page, /api/v1, /metrics, /livez and /readyz");
    }
    let (stop_http, http_stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(http::serve(listener, telemetry.clone(), async {
        // Either way it is time to stop.
        let _ = http_stopped.await;
    }));
    let records = settings.state.as_deref().map(|state| Arc::new(Directory::new(state)) as Arc<dyn Records>);
    let ports = Arc::new(Ports {
        load: Arc::new(loader),
        applier: Arc::new(Applier::new(aws, Arc::new(journal), clock.clone())),
        read,
        records,
        clock,
        observer: Arc::new(Both(telemetry, listening)),
    });
    let mut following = JoinSet::new();
    following.spawn(follow::desired(watch, at, traces, send.clone()));
    following.spawn(follow::settings(file, desired, send));
    let controller = Controller::new(Limits::of(settings), Cadence::of(settings));
    let controller = match &ports.records {
        Some(_) => controller.with_records(),
        None => {
            forgets(settings);
            controller
        }
    };
    manager::run(controller, &ports, first.into_iter().collect(), signals, Until::Stopped).await;
    following.abort_all();
    drop(stop_http);
    stopped(serving).await;
    tracing::info!("stopped");
    Ok(())
}

/// Says what it means that nothing outlives the process.
fn forgets(settings: &Settings) {
    tracing::info!(
        "no `state` in the settings: what was changed before is not known, so the guard lets less through for an hour"
    );
    if !settings.guard.approved.is_empty() {
        tracing::warn!("{}", doubts(&settings.guard.approved));
    }
}

/// What happens first: the desired state that was read is in force, unless its account is yet to be found out.
fn first(state: DesiredState) -> Event {
    match state.region_of_nobody() {
        None => Event::Loaded(Ok(Some(state))),
        Some(_) => Event::Signal(Signal::Look),
    }
}

/// Waits a moment for requests in hand; a client that stalls must not keep the daemon.
async fn stopped(mut serving: JoinHandle<()>) {
    match tokio::time::timeout(LAST_REQUESTS, &mut serving).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the HTTP server ended"),
        Err(_) => serving.abort(),
    }
}

/// The daemon's telemetry, and somebody else who listens.
struct Both(Arc<Telemetry>, Option<Arc<dyn Observer>>);

impl Observer for Both {
    fn notice(&self, notice: &Notice) {
        self.0.notice(notice);
        if let Some(other) = &self.1 {
            other.notice(notice);
        }
    }

    fn turned(&self, scope: &Scope, queue: QueueStats) -> Option<Duration> {
        if let Some(other) = &self.1 {
            other.turned(scope, queue.clone());
        }
        self.0.turned(scope, queue)
    }

    fn managed(&self, manager: &Manager) {
        self.0.managed(manager);
        if let Some(other) = &self.1 {
            other.managed(manager);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::desired::Accounts;
    use crate::file::Source;

    #[test]
    fn what_was_read_at_the_start_is_not_parsed_again_unless_its_account_is_yet_to_be_found_out() {
        let begins_with = |account: &str| {
            let text = format!("[[function]]\nname = 'f'\nvpc = 'none'\nregion = 'eu-west-1'\n{account}");
            let source = Source::from_bytes(Path::new("functions.toml"), text.into()).unwrap();
            first(DesiredState::check(&source, &Accounts::without_aws(BTreeMap::new(), None)).unwrap())
        };
        let stated = begins_with("account = '123456789012'");
        let Event::Loaded(Ok(Some(state))) = &stated else { panic!("{stated:?}") };
        assert_eq!(state.entries.len(), 1);
        let left_open = begins_with("");
        assert!(matches!(left_open, Event::Signal(Signal::Look)), "{left_open:?}");
    }
}
