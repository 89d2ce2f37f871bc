//! The metrics. Counters are there at 0 from the start; a gauge appears when it is known; no label is free text.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::{
    CounterVec, Encoder as _, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use super::fleet::{FleetMetrics, number};
use super::shown::Window;
use crate::cloud::{Called, Class, Family, Operation, Service};
use crate::desired::LoadFailure;
use crate::manager::Manager;
use crate::names::{Clock, ScopeKey, Time};
use crate::plan::{Answer, Cause, Outcome, Reason, State};
use crate::reconcile::{Notice, QueueStats};

/// Seconds that fit a call to AWS.
const CALL_BUCKETS: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Seconds that fit a pass or a resync.
const PASS_BUCKETS: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0];

/// Seconds from a pass that needs no call to one that waits for a budget.
const QUEUE_BUCKETS: &[f64] = &[0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// The work queue's metrics have the names, the meaning and the label that they have in Kubernetes controllers, so that
/// dashboards made for those show this one as well.
const QUEUE: &[&str] = &["name"];
const QUEUE_NAME: &[&str] = &["functions"];

/// The kinds of difference: a policy that is missing, a network that is another one.
const KINDS: [&str; 2] = ["policy", "network"];
/// So many error codes are told apart; what an endpoint makes up beyond is `other`.
const CODES: usize = 100;
const STEPS: [&str; 2] = ["attach_policy", "set_vpc"];
const OUTCOMES: [&str; 5] = ["in_sync", "waiting", "retry", "unread", "blocked"];

/// Declares the struct of metrics and its registration from one list.
macro_rules! metrics {
    ($($field:ident: $Type:ty = $make:expr;)*) => {
        /// The metrics of the daemon.
        pub(super) struct Metrics {
            registry: Registry,
            /// The scopes that have series.
            scopes: Mutex<BTreeSet<ScopeKey>>,
            /// The error codes that are told apart.
            codes: Mutex<BTreeSet<String>>,
            described: Vec<Described>,
            window: Arc<Window>,
            clock: Clock,
            $($field: $Type,)*
        }

        impl Metrics {
            /// All metrics, registered. An error is a mistake in their names.
            pub(super) fn new(
                window: Arc<Window>,
                per_function: bool,
                clock: Clock,
            ) -> Result<Self, prometheus::Error> {
                let registry = Registry::new();
                let mut described = Vec::new();
                $(
                    let $field: $Type = register(&registry, $make?)?;
                    described.extend(Described::of(&$field, |_| <$Type>::KIND));
                )*
                let fleet = register(&registry, FleetMetrics::new(Arc::clone(&window), per_function)?)?;
                described.extend(Described::of(&fleet, |_| "gauge"));
                let (scopes, codes) = (Mutex::default(), Mutex::default());
                let metrics = Self { registry, scopes, codes, described, window, clock, $($field,)* };
                metrics.begin();
                Ok(metrics)
            }
        }
    };
}

/// A metric, as its documentation has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The names of its labels.
    pub labels: Vec<String>,
    /// What it means.
    pub help: String,
}

impl Described {
    fn of(metric: &dyn Collector, kind: impl Fn(&str) -> &'static str) -> Vec<Self> {
        let describe = |desc: &Desc| Self {
            name: desc.fq_name.clone(),
            kind: kind(&desc.fq_name),
            labels: desc
                .const_label_pairs
                .iter()
                .map(|label| label.name().to_owned())
                .chain(desc.variable_labels.iter().cloned())
                .collect(),
            help: desc.help.clone(),
        };
        metric.desc().into_iter().map(describe).collect()
    }
}

/// The kind of a metric, as Prometheus names it.
trait Kind {
    const KIND: &'static str;
}

macro_rules! kinds {
    ($($Type:ty: $kind:literal,)*) => { $(impl Kind for $Type { const KIND: &'static str = $kind; })* };
}

kinds! {
    CounterVec: "counter",
    IntCounterVec: "counter",
    GaugeVec: "gauge",
    IntGaugeVec: "gauge",
    Histogram: "histogram",
    HistogramVec: "histogram",
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn counters(name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    IntCounterVec::new(Opts::new(name, help), labels)
}

fn gauges(name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
    IntGaugeVec::new(Opts::new(name, help), labels)
}

fn moments(name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, prometheus::Error> {
    GaugeVec::new(Opts::new(name, help), labels)
}

fn seconds(name: &str, help: &str, buckets: &[f64]) -> HistogramOpts {
    HistogramOpts::new(name, help).buckets(buckets.to_vec())
}

metrics! {
    queue_depth: IntGaugeVec = gauges(
        "workqueue_depth", "Functions that are due and wait for a worker.", QUEUE);
    queue_adds: IntCounterVec = counters(
        "workqueue_adds_total", "Functions that were added to the queue.", QUEUE);
    queue_seconds: HistogramVec = HistogramVec::new(seconds(
        "workqueue_queue_duration_seconds", "Time that a function waited in the queue before it was worked on.",
        QUEUE_BUCKETS), QUEUE);
    work_seconds: HistogramVec = HistogramVec::new(seconds(
        "workqueue_work_duration_seconds", "Time that the work on a function took.", QUEUE_BUCKETS), QUEUE);
    unfinished_seconds: GaugeVec = moments(
        "workqueue_unfinished_work_seconds", "Time that the work in hand has taken so far, all of it together.", QUEUE);
    longest_seconds: GaugeVec = moments(
        "workqueue_longest_running_processor_seconds", "Time that the oldest work in hand has taken so far.", QUEUE);
    queue_retries: IntCounterVec = counters(
        "workqueue_retries_total", "Functions that were to come again after a wait.", QUEUE);
    scope_restarts: IntCounterVec = counters(
        "lambda_vpc_scope_restarts_total", "Times that an account and region failed, by a mistake in this program, and began anew.",
        &["account", "region"]);
    build_info: IntGaugeVec = gauges(
        "lambda_vpc_build_info", "1, with the version that runs.", &["version"]);
    reconciles: IntCounterVec = counters(
        "lambda_vpc_reconcile_total", "Functions that were reconciled, by outcome.", &["outcome"]);
    errors: IntCounterVec = counters(
        "lambda_vpc_reconcile_errors_total", "Reconciles that ended in retry, unread or blocked, by reason.", &["reason"]);
    reconcile_seconds: Histogram = Histogram::with_opts(seconds(
        "lambda_vpc_reconcile_duration_seconds", "Time from the turn of a function to the outcome.", PASS_BUCKETS));
    drift: IntCounterVec = counters(
        "lambda_vpc_drift_total", "Differences found, by kind and by what caused them.", &["kind", "cause"]);
    changes: IntCounterVec = counters(
        "lambda_vpc_changes_total", "Mutating calls, by step and result.", &["step", "result"]);
    resync_seconds: HistogramVec = HistogramVec::new(seconds(
        "lambda_vpc_resync_duration_seconds", "Time that a resync of an account and region took.", PASS_BUCKETS), &["account", "region"]);
    resync_attempt: GaugeVec = moments(
        "lambda_vpc_last_resync_attempt_timestamp_seconds", "When the last resync of an account and region began.", &["account", "region"]);
    resync_success: GaugeVec = moments(
        "lambda_vpc_last_resync_success_timestamp_seconds", "When the last resync ended that could read everything.",
        &["account", "region"]);
    requests: IntCounterVec = counters(
        "lambda_vpc_aws_requests_total", "Requests to AWS, by AWS's error code or ok.", &["service", "operation", "code"]);
    request_seconds: HistogramVec = HistogramVec::new(seconds(
        "lambda_vpc_aws_request_duration_seconds", "Time that a request to AWS took.", CALL_BUCKETS),
        &["service", "operation"]);
    throttled: IntCounterVec = counters(
        "lambda_vpc_aws_throttled_total", "Requests that AWS refused since there were too many.",
        &["account", "region", "service"]);
    budget_wait: CounterVec = CounterVec::new(Opts::new(
        "lambda_vpc_aws_budget_wait_seconds_total", "Time that calls waited for our own budget of requests."), &["budget"]);
    versions_behind: IntGaugeVec = gauges(
        "lambda_vpc_versions_behind", "Published versions of the file's functions that run another network than it says.",
        &["account", "region"]);
    state_stored: IntGaugeVec = gauges(
        "lambda_vpc_state_stored", "1 if the record of a scope could be stored, 0 if it could not, or cannot be used.",
        &["account", "region"]);
    log_lost: IntCounterVec = counters(
        "lambda_vpc_log_lines_lost_total", "Lines of the log that were lost since their reader was too slow or refused them.",
        &[]);
    desired_valid: IntGaugeVec = gauges(
        "lambda_vpc_desired_valid", "1 if the desired file can be used, 0 if an older state stays in force.", &[]);
    settings_valid: IntGaugeVec = gauges(
        "lambda_vpc_settings_valid", "1 if the settings can be used, 0 if older ones stay in force.", &[]);
    loads: IntCounterVec = counters(
        "lambda_vpc_desired_loads_total", "Changed desired files that were taken over, and files that were refused.",
        &["result"]);
    load_success: GaugeVec = moments(
        "lambda_vpc_desired_last_success_timestamp_seconds", "When the desired file was last read and found valid.", &[]);
    desired_info: IntGaugeVec = gauges(
        "lambda_vpc_desired_info", "1, with the SHA-256 of the desired file in force.", &["digest"]);
}

impl Metrics {
    /// What is known at the start: the version, and every counter at 0.
    fn begin(&self) {
        self.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        // Without settings that can be used nothing begins.
        self.settings_valid.with_label_values::<&str>(&[]).set(1);
        for outcome in OUTCOMES {
            self.reconciles.with_label_values(&[outcome]);
        }
        for reason in Reason::ALL {
            self.errors.with_label_values(&[reason.name()]);
        }
        for (kind, cause) in KINDS.iter().flat_map(|kind| Cause::ALL.map(|cause| (kind, cause))) {
            self.drift.with_label_values(&[kind, cause.name()]);
        }
        for (step, result) in STEPS.iter().flat_map(|step| ["success", "failure"].map(|result| (step, result))) {
            self.changes.with_label_values(&[step, result]);
        }
        for result in ["success", "failure"] {
            self.loads.with_label_values(&[result]);
        }
        for operation in Operation::ALL {
            self.requests.with_label_values(&[operation.service().name(), operation.name(), "ok"]);
        }
        for family in Family::ALL {
            self.budget_wait.with_label_values(&[family.name()]);
        }
        self.queue_adds.with_label_values(QUEUE_NAME);
        self.queue_retries.with_label_values(QUEUE_NAME);
        self.queue_seconds.with_label_values(QUEUE_NAME);
        self.work_seconds.with_label_values(QUEUE_NAME);
        // The process metrics come from /proc; where there is none, the others are still worth having.
        #[cfg(target_os = "linux")]
        let _ = self.registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()));
    }

    /// All metrics in Prometheus's text format.
    pub(super) fn text(&self) -> String {
        self.in_hand();
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "the metrics could not be encoded");
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// What is in hand is measured when somebody asks.
    fn in_hand(&self) {
        let ((depth, begun), now) = (self.window.in_hand(), self.clock.now());
        let ages: Vec<f64> = begun.into_iter().map(|begun| now.since(begun).as_secs_f64()).collect();
        self.queue_depth.with_label_values(QUEUE_NAME).set(number(depth));
        self.unfinished_seconds.with_label_values(QUEUE_NAME).set(ages.iter().sum());
        self.longest_seconds.with_label_values(QUEUE_NAME).set(ages.iter().copied().fold(0.0, f64::max));
    }

    /// So many lines of the log were lost in all.
    pub(super) fn log_lines_lost(&self, count: u64) {
        let counter = self.log_lost.with_label_values::<&str>(&[]);
        counter.inc_by(count.saturating_sub(counter.get()));
    }

    pub(super) fn called(&self, call: &Called<'_>) {
        let (service, name) = (call.operation.service().name(), call.operation.name());
        self.requests.with_label_values(&[service, name, self.code(call.code())]).inc();
        self.request_seconds.with_label_values(&[service, name]).observe(call.took.as_secs_f64());
        let throttled = call.error.is_some_and(|error| error.class == Class::Throttled);
        if let Some(ScopeKey { account, region }) = call.at.filter(|_| throttled) {
            self.throttled.with_label_values(&[account.as_str(), region.as_str(), service]).inc();
        }
    }

    pub(super) fn waits(&self, family: Family, wait: Duration) {
        self.budget_wait.with_label_values(&[family.name()]).inc_by(wait.as_secs_f64());
    }

    /// All metrics but those of the process, as the documentation has them.
    pub(super) fn described(&self) -> &[Described] {
        &self.described
    }

    /// A scope has turned.
    pub(super) fn turned(&self, queue: &QueueStats) {
        let QueueStats { depth: _, begun: _, adds, retries, queued, worked } = queue;
        self.queue_adds.with_label_values(QUEUE_NAME).inc_by(*adds);
        self.queue_retries.with_label_values(QUEUE_NAME).inc_by(*retries);
        let (waited, took) =
            (self.queue_seconds.with_label_values(QUEUE_NAME), self.work_seconds.with_label_values(QUEUE_NAME));
        queued.iter().for_each(|time| waited.observe(time.as_secs_f64()));
        worked.iter().for_each(|time| took.observe(time.as_secs_f64()));
    }

    /// The manager has turned: scopes may have left.
    pub(super) fn managed(&self, manager: &Manager) {
        let mut known = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in known.extract_if(.., |scope| !manager.knows(scope)) {
            self.scope_left(&gone);
        }
        known.extend(manager.wanted().cloned());
    }

    /// An error code as a label: whatever an endpoint answers, there are only so many.
    fn code<'a>(&self, code: &'a str) -> &'a str {
        let mut known = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(code) {
            if known.len() >= CODES {
                return "other";
            }
            known.insert(code.to_owned());
        }
        code
    }

    /// An account and region that the file does not speak of any more must not look as if it were not swept.
    fn scope_left(&self, ScopeKey { account, region }: &ScopeKey) {
        let scope = [account.as_str(), region.as_str()];
        // Some of them may never have been there.
        for service in Service::ALL {
            let _ = self.throttled.remove_label_values(&[scope[0], scope[1], service.name()]);
        }
        let _ = self.resync_seconds.remove_label_values(&scope);
        let _ = self.resync_attempt.remove_label_values(&scope);
        let _ = self.resync_success.remove_label_values(&scope);
        let _ = self.state_stored.remove_label_values(&scope);
        let _ = self.scope_restarts.remove_label_values(&scope);
    }

    pub(super) fn notice(&self, notice: &Notice, now: Time) {
        match notice {
            Notice::Loaded { digest, .. } => {
                self.loads.with_label_values(&["success"]).inc();
                self.desired_info.reset();
                self.desired_info.with_label_values(&[digest.as_str()]).set(1);
                self.valid(now);
            }
            Notice::Confirmed => self.valid(now),
            Notice::Settings { valid } => self.settings_valid.with_label_values::<&str>(&[]).set(i64::from(*valid)),
            Notice::NotLoaded(failure) => {
                // A file whose account is not known yet is not a broken one.
                if matches!(**failure, LoadFailure::Identity(_)) {
                    return;
                }
                self.loads.with_label_values(&["failure"]).inc();
                self.desired_valid.with_label_values::<&str>(&[]).set(0);
            }
            Notice::Released { .. } | Notice::Gone(_) | Notice::Unmatched(_) | Notice::LeftOut(_) => {}
            Notice::Sweeping(ScopeKey { account, region }) => {
                self.resync_attempt.with_label_values(&[account.as_str(), region.as_str()]).set(now.as_seconds());
                self.scope_restarts.with_label_values(&[account.as_str(), region.as_str()]);
                for service in [Service::Lambda, Service::Ec2] {
                    self.throttled.with_label_values(&[account.as_str(), region.as_str(), service.name()]);
                }
            }
            Notice::Swept { scope: ScopeKey { account, region }, took, fault } => {
                let labels = [account.as_str(), region.as_str()];
                self.resync_seconds.with_label_values(&labels).observe(took.as_secs_f64());
                if fault.is_none() {
                    self.resync_success.with_label_values(&labels).set(now.as_seconds());
                }
            }
            Notice::Behind { scope: ScopeKey { account, region }, versions } => {
                let labels = [account.as_str(), region.as_str()];
                match versions {
                    Some(count) => self.versions_behind.with_label_values(&labels).set(number(*count)),
                    // It may never have been there.
                    None => drop(self.versions_behind.remove_label_values(&labels)),
                }
            }
            Notice::Restarts { scope: ScopeKey { account, region }, .. } => {
                self.scope_restarts.with_label_values(&[account.as_str(), region.as_str()]).inc();
            }
            Notice::Approved { .. } | Notice::Resumed(_) | Notice::NotRecalled { fault: None, .. } => {}
            Notice::NotRecalled { scope: ScopeKey { account, region }, fault: Some(_), .. }
            | Notice::RecordUnread { scope: ScopeKey { account, region }, .. } => {
                self.state_stored.with_label_values(&[account.as_str(), region.as_str()]).set(0);
            }
            Notice::Stored { scope: ScopeKey { account, region }, error } => {
                let stored = i64::from(error.is_none());
                self.state_stored.with_label_values(&[account.as_str(), region.as_str()]).set(stored);
            }
            Notice::Drifted(change) => {
                let kinds = [!change.attach.is_empty(), change.network.is_some()];
                for (kind, _) in KINDS.iter().zip(kinds).filter(|(_, is)| *is) {
                    self.drift.with_label_values(&[kind, change.cause.name()]).inc();
                }
            }
            // No call was made.
            Notice::Stepped { answer: Answer::NotJournaled(_) | Answer::NotSent { .. }, .. } => {}
            Notice::Stepped { order, answer, .. } => {
                let result = if *answer == Answer::Done { "success" } else { "failure" };
                self.changes.with_label_values(&[order.step.name(), result]).inc();
            }
            Notice::Concluded { outcome, pass, .. } => self.concluded(outcome, pass.map(|pass| pass.took)),
        }
    }

    fn valid(&self, now: Time) {
        self.desired_valid.with_label_values::<&str>(&[]).set(1);
        self.load_success.with_label_values::<&str>(&[]).set(now.as_seconds());
    }

    fn concluded(&self, outcome: &Outcome, took: Option<Duration>) {
        self.reconciles.with_label_values(&[outcome.name()]).inc();
        if let (Outcome::Retry { why, .. } | Outcome::Unread { why, .. } | Outcome::Blocked { why, .. }, true) =
            (outcome, outcome.state() != State::Excluded)
        {
            self.errors.with_label_values(&[why.reason.name()]).inc();
        }
        if let Some(took) = took {
            self.reconcile_seconds.observe(took.as_secs_f64());
        }
    }
}
