//! `run`: the daemon.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::connect::{self, Loader};
use super::follow::{self, SettingsFile};
use super::{Failure, audit, exit};
use crate::apply::Applier;
use crate::cloud::aws::Endpoint;
use crate::desired::{Accounts, DesiredState};
use crate::engine::{self, Cadence, Controller, Event, Notice, Observer, Ports, Signal};
use crate::http;
use crate::plan::Limits;
use crate::settings::Overrides;
use crate::telemetry::Telemetry;

/// How long requests in hand may take at the end.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

pub(super) async fn run(config: Option<&Path>, overrides: Overrides) -> Result<ExitCode, Failure> {
    let settings = SettingsFile::read(config, overrides)?;
    let (send, signals) = mpsc::channel(8);
    forward_signals(send.clone(), settings.asked())?;
    let listener = listen(settings.settings().listen).await?;
    daemon(settings, &Endpoint::Environment, listener, send, signals, None).await?;
    Ok(exit::FINE)
}

/// Listens; an error says on what, and what to do.
pub(super) async fn listen(at: SocketAddr) -> Result<TcpListener, Failure> {
    let wrong = |error| Failure::Other(format!("cannot listen on {at}: {error}; choose another address with --listen"));
    TcpListener::bind(at).await.map_err(wrong)
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

/// The daemon, until it is told to stop. The first desired state must be valid; AWS need not answer yet.
pub(super) async fn daemon(
    file: SettingsFile,
    endpoint: &Endpoint,
    listener: TcpListener,
    send: mpsc::Sender<Signal>,
    signals: mpsc::Receiver<Signal>,
    listening: Option<Arc<dyn Observer>>,
) -> Result<(), Failure> {
    let settings = &file.settings().clone();
    let journal = audit::of_daemon(settings)?;
    let clock = connect::clock();
    let telemetry = Telemetry::new(settings.metrics.per_function, Arc::clone(&clock));
    let telemetry = Arc::new(telemetry.map_err(|error| Failure::Other(format!("the metrics are wrong: {error}")))?);
    let aws = connect::aws(settings, endpoint, telemetry.clone(), Arc::clone(&clock)).await;
    let accounts = Accounts::without_aws(connect::named_accounts(settings), aws.region());
    let first = first(DesiredState::load(&settings.desired, &accounts)?);
    if let Ok(at) = listener.local_addr() {
        tracing::info!(%at, "serving the page, /api/v1, /metrics, /livez and /readyz");
    }
    let (stop_http, http_stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(http::serve(listener, telemetry.clone(), async {
        // Either way it is time to stop.
        let _ = http_stopped.await;
    }));
    let (desired, at) = watch::channel(settings.desired.clone());
    let ports = Ports {
        applier: Arc::new(Applier::new(aws.clone(), Arc::new(journal), Arc::clone(&clock))),
        load: Arc::new(Loader::new(settings, aws.region(), aws.clone()).following(at.clone())),
        read: aws,
        clock,
        observer: Arc::new(Both(telemetry, listening)),
    };
    let mut following = JoinSet::new();
    following.spawn(follow::desired(at, send.clone()));
    following.spawn(follow::settings(file, desired, send));
    let controller = Controller::new(Limits::of(settings), Cadence::of(settings));
    engine::run(controller, &ports, vec![first], signals, |_| false).await;
    following.abort_all();
    drop(stop_http);
    stopped(serving).await;
    tracing::info!("stopped");
    Ok(())
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

    fn turned(&self, controller: &Controller) {
        self.0.turned(controller);
        if let Some(other) = &self.1 {
            other.turned(controller);
        }
    }

    fn turn_within(&self) -> Duration {
        self.0.turn_within()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
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
