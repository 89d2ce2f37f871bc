//! The whole daemon on the simulated account's direct door, with tokio's time paused: hours in milliseconds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambda_vpc_controller::apply::{Answered, Applier, Call, Journal, Recording};
use lambda_vpc_controller::desired::{Accounts, DesiredState};
use lambda_vpc_controller::file::{Source, Unusable};
use lambda_vpc_controller::manager::{self, Controller, Event, Load, Loading, Manager, Observer, Ports, Signal, Until};
use lambda_vpc_controller::names::{Clock, Digest};
use lambda_vpc_controller::plan::{Limits, Outcome};
use lambda_vpc_controller::reconcile::{Cadence, Notice, QueueStats, Scope};
use lambda_vpc_controller::records::Records;
use lambda_vpc_controller::simulator::{Door, World};
use lambda_vpc_controller::telemetry::Telemetry;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::support::history::{BEGINNING, key, settings};

pub(crate) const FILE: &str = "[defaults]\nregion = 'eu-west-1'\naccount = '123456789012'\n\
                    [[vpc]]\nname = 'orders'\nid = 'vpc-0a1b2c3d4e5f60718'\n\
                    [[function]]\nname = 'orders-api'\nvpc = 'orders'\n";

/// A file that a test writes; `None` cannot be read.
#[derive(Clone)]
struct File(Arc<Mutex<Option<String>>>, Arc<AtomicU64>);

impl Load for File {
    fn load(&self, in_force: Option<Digest>) -> Loading<'_> {
        self.1.fetch_add(1, Ordering::Relaxed);
        let text = self.0.lock().unwrap().clone();
        Box::pin(async move {
            let text = text.ok_or_else(|| Unusable(Vec::new()))?;
            let source = Source::from_bytes(Path::new("functions.toml"), text.into()).map_err(Unusable::from)?;
            let state = DesiredState::check(&source, &Accounts::without_aws(BTreeMap::new(), None))?;
            Ok(Some(state).filter(|state| in_force.as_ref() != Some(&state.digest)))
        })
    }
}

/// A journal that records until it is full.
pub(crate) struct Full(pub(crate) Mutex<u32>);

impl Journal for Full {
    fn intent<'a>(&'a self, _: &'a Call<'a>) -> Recording<'a> {
        let mut left = self.0.lock().unwrap();
        let room = left.checked_sub(1).ok_or_else(|| std::io::Error::other("no space left on device"));
        Box::pin(std::future::ready(room.map(|rest| *left = rest)))
    }
    fn result<'a>(&'a self, _: &'a Call<'a>, _: &'a Answered) -> Recording<'a> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A journal that loses what came of a call.
struct Forgetful;

impl Journal for Forgetful {
    fn intent<'a>(&'a self, _: &'a Call<'a>) -> Recording<'a> {
        Box::pin(std::future::ready(Ok(())))
    }
    fn result<'a>(&'a self, _: &'a Call<'a>, _: &'a Answered) -> Recording<'a> {
        Box::pin(std::future::ready(Err(std::io::Error::other("no space left on device"))))
    }
}

pub(crate) struct Daemon {
    door: Door,
    file: File,
    signals: mpsc::Sender<Signal>,
    pub(crate) telemetry: Arc<Telemetry>,
    running: tokio::task::JoinHandle<Controller>,
}

impl Daemon {
    fn start(journal: impl Journal + 'static) -> Self {
        Self::start_on(FILE, journal)
    }

    fn start_on(text: &str, journal: impl Journal + 'static) -> Self {
        Self::start_with(text, journal, None)
    }

    pub(crate) fn start_with(text: &str, journal: impl Journal + 'static, records: Option<Arc<dyn Records>>) -> Self {
        let begun = Instant::now();
        let clock = Clock::new(move || BEGINNING + Duration::from_secs(86_400) + begun.elapsed());
        let door = Door::new(World::demo().unwrap().build(BEGINNING).unwrap(), clock.clone());
        let telemetry = Arc::new(Telemetry::new(true, clock.clone()).unwrap());
        let file = File(Arc::new(Mutex::new(Some(text.to_owned()))), Arc::default());
        let ports = Arc::new(Ports {
            read: Arc::new(door.clone()),
            applier: Arc::new(Applier::new(Arc::new(door.clone()), Arc::new(journal), clock.clone())),
            load: Arc::new(file.clone()),
            records,
            clock,
            observer: Arc::new(Listener(Arc::clone(&telemetry))),
        });
        let (signals, receive) = mpsc::channel(8);
        let running = tokio::spawn(async move {
            let controller = Controller::new(Limits::of(&settings()), Cadence::of(&settings()));
            let controller = if ports.records.is_some() { controller.with_records() } else { controller };
            let first = vec![Event::Loaded(ports.load.load(None).await)];
            manager::run(controller, &ports, first, receive, Until::Stopped).await
        });
        Self { door, file, signals, telemetry, running }
    }

    pub(crate) async fn stop(self) -> Controller {
        self.signals.send(Signal::Stop).await.unwrap();
        self.running.await.unwrap()
    }

    pub(crate) fn metric(&self, line: &str) -> bool {
        self.telemetry.metrics_text().lines().any(|other| other == line)
    }
}

/// Telemetry, without the log.
struct Listener(Arc<Telemetry>);

impl Observer for Listener {
    fn notice(&self, notice: &Notice) {
        self.0.notice(notice);
    }
    fn turned(&self, scope: &Scope, queue: QueueStats) -> Option<Duration> {
        self.0.turned(scope, queue)
    }
    fn managed(&self, manager: &Manager) {
        self.0.managed(manager);
    }
}

#[tokio::test(start_paused = true)]
async fn the_daemon_attaches_and_then_rests_for_a_day() {
    let daemon = Daemon::start(Full(Mutex::new(u32::MAX)));
    sleep(Duration::from_secs(600)).await;
    let changes = daemon.door.changes();
    assert!(changes.iter().any(|call| call.operation == "UpdateFunctionConfiguration" && call.refused.is_none()));
    sleep(Duration::from_secs(24 * 3600)).await;
    assert_eq!(daemon.door.changes(), changes, "a day without a cause changes nothing");
    assert!(daemon.telemetry.shown().ready && daemon.telemetry.is_live());
    assert!(daemon.metric("lambda_vpc_functions{account=\"123456789012\",region=\"eu-west-1\",state=\"in_sync\"} 1"));
    let controller = daemon.stop().await;
    assert_eq!(controller.line(&key("orders-api")).unwrap().outcome, Outcome::InSync);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_used_leaves_the_last_good_state_in_force() {
    let daemon = Daemon::start(Full(Mutex::new(u32::MAX)));
    sleep(Duration::from_secs(600)).await;
    assert!(daemon.metric("lambda_vpc_desired_valid 1"));
    *daemon.file.0.lock().unwrap() = None;
    daemon.signals.send(Signal::Look).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert!(daemon.metric("lambda_vpc_desired_valid 0"));
    let changes = daemon.door.changes();
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(daemon.door.changes(), changes);
    assert!(daemon.metric("lambda_vpc_functions{account=\"123456789012\",region=\"eu-west-1\",state=\"in_sync\"} 1"));
    *daemon.file.0.lock().unwrap() = Some(FILE.to_owned());
    sleep(Duration::from_secs(30)).await;
    assert!(daemon.metric("lambda_vpc_desired_valid 1"), "the poll finds it without any event");
    daemon.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_recorded_is_not_done() {
    let daemon = Daemon::start(Full(Mutex::new(1)));
    sleep(Duration::from_secs(1800)).await;
    let operations: Vec<_> = daemon.door.changes().into_iter().map(|call| call.operation).collect();
    assert_eq!(operations, ["AttachRolePolicy"], "the journal had room for one change");
    assert!(daemon.telemetry.metrics_text().contains("reason=\"NotJournaled\",region=\"eu-west-1\"} 1"));
    daemon.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_result_that_cannot_be_recorded_is_a_result_all_the_same() {
    let daemon = Daemon::start(Forgetful);
    sleep(Duration::from_secs(1800)).await;
    let accepted = daemon.door.changes().into_iter().filter(|call| call.refused.is_none());
    let accepted: Vec<_> = accepted.map(|call| call.operation).collect();
    assert_eq!(accepted, ["AttachRolePolicy", "UpdateFunctionConfiguration"], "nothing is done twice");
    let controller = daemon.stop().await;
    assert_eq!(controller.line(&key("orders-api")).unwrap().outcome, Outcome::InSync);
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_file_is_read_by_the_poll_alone() {
    let daemon = Daemon::start(Full(Mutex::new(u32::MAX)));
    sleep(Duration::from_secs(3600)).await;
    let reads = daemon.file.1.load(Ordering::Relaxed);
    assert!((358..=362).contains(&reads), "{reads} reads in an hour at a poll of ten seconds");
    let text = daemon.telemetry.metrics_text();
    assert!(text.contains("lambda_vpc_desired_loads_total{result=\"success\"} 1"), "an unchanged file is no new state");
    let sweeps = daemon.door.count("DescribeVpcs");
    assert!((12..=14).contains(&sweeps), "{sweeps} sweeps in an hour at a resync of five minutes");
    daemon.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_broken_file_is_refused_once_for_each_content_and_not_at_each_poll() {
    let daemon = Daemon::start(Full(Mutex::new(u32::MAX)));
    sleep(Duration::from_secs(60)).await;
    let broken = |line: &str| Some(format!("{FILE}{line}"));
    // The second is the same mistake in another content, the last one is what was there before.
    let contents = [None, broken("x = 1\n"), broken("# more\nx = 1\n"), broken("[[x]"), None];
    for (content, refused) in contents.into_iter().zip(1..) {
        *daemon.file.0.lock().unwrap() = content;
        sleep(Duration::from_secs(600)).await;
        let metric = format!("lambda_vpc_desired_loads_total{{result=\"failure\"}} {refused}");
        assert!(daemon.metric(&metric), "{metric} is not in:\n{}", daemon.telemetry.metrics_text());
        assert!(daemon.metric("lambda_vpc_desired_valid 0"));
    }
    *daemon.file.0.lock().unwrap() = Some(FILE.to_owned());
    sleep(Duration::from_secs(60)).await;
    assert!(daemon.metric("lambda_vpc_desired_valid 1"));
    assert!(daemon.metric("lambda_vpc_desired_loads_total{result=\"success\"} 1"), "it says what is in force");
    daemon.stop().await;
}

#[tokio::test(start_paused = true)]
async fn observed_drift_shows_in_the_metrics_just_as_enforced_drift_does() {
    // Two hours after the daemon's first moment.
    let until = jiff::Timestamp::from_millisecond(i64::try_from(BEGINNING.0).unwrap()).unwrap()
        + Duration::from_secs(26 * 3600);
    let observed = Daemon::start_on(&format!("{FILE}mode = 'observe'\nuntil = {until}\n"), Full(Mutex::new(u32::MAX)));
    let enforced = Daemon::start(Full(Mutex::new(0)));
    sleep(Duration::from_secs(3600)).await;
    let drift = |daemon: &Daemon| -> Vec<String> {
        let text = daemon.telemetry.metrics_text();
        text.lines().filter(|line| line.starts_with("lambda_vpc_drift_total")).map(str::to_owned).collect()
    };
    assert_eq!(drift(&observed), drift(&enforced));
    for (daemon, state) in [(&observed, "out_of_sync"), (&enforced, "blocked")] {
        for line in [
            "lambda_vpc_drift_total{cause=\"file\",kind=\"network\"} 1".to_owned(),
            "lambda_vpc_drift_total{cause=\"file\",kind=\"policy\"} 1".to_owned(),
            "lambda_vpc_function_in_sync{account=\"123456789012\",function=\"orders-api\",region=\"eu-west-1\"} 0"
                .to_owned(),
            format!("lambda_vpc_functions{{account=\"123456789012\",region=\"eu-west-1\",state=\"{state}\"}} 1"),
        ] {
            assert!(daemon.metric(&line), "{line} is not in:\n{}", daemon.telemetry.metrics_text());
        }
        assert_eq!(daemon.door.changes(), []);
    }
    sleep(Duration::from_secs(2 * 3600)).await;
    assert!(observed.metric(
        "lambda_vpc_function_in_sync{account=\"123456789012\",function=\"orders-api\",region=\"eu-west-1\"} 1"
    ));
    assert_eq!(drift(&observed), drift(&enforced), "the same difference is not counted again when it is put right");
    observed.stop().await;
    enforced.stop().await;
}
