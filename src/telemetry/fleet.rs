//! The metrics of the fleet. They are read from the picture of the board when somebody asks, so that whatever is not on it
//! any more has no series, and nothing is kept twice.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};

use super::shown::Window;
use crate::board::Line;
use crate::names::ScopeKey;
use crate::plan::{Budget, Outcome, State};

/// Fills its gauges for each answer, and empties them again.
#[derive(Clone)]
pub(super) struct FleetMetrics {
    window: Arc<Window>,
    per_function: bool,
    gauges: Arc<Mutex<Gauges>>,
    descs: Vec<Desc>,
}

struct Gauges {
    functions: IntGaugeVec,
    guard_holding: IntGaugeVec,
    guard_changed: IntGaugeVec,
    guard_allowed: IntGaugeVec,
    in_sync: IntGaugeVec,
    blocked: IntGaugeVec,
}

impl Gauges {
    fn new() -> Result<Self, prometheus::Error> {
        let gauges = |name: &str, help: &str, labels: &[&str]| IntGaugeVec::new(Opts::new(name, help), labels);
        Ok(Self {
            functions: gauges(
                "lambda_vpc_functions",
                "Functions of the file, by state.",
                &["account", "region", "state"],
            )?,
            guard_holding: gauges(
                "lambda_vpc_guard_holding",
                "Functions whose change the guard holds until a person agrees.",
                &["account", "region"],
            )?,
            guard_changed: gauges(
                "lambda_vpc_guard_changed",
                "Functions that the guard counts as changed in the last hour, by cause.",
                &["account", "region", "cause"],
            )?,
            guard_allowed: gauges(
                "lambda_vpc_guard_allowed",
                "Functions that may be changed in an hour without a person's agreement, by cause.",
                &["account", "region", "cause"],
            )?,
            in_sync: gauges(
                "lambda_vpc_function_in_sync",
                "1 if the function is as the file says, 0 if not.",
                &["account", "region", "function"],
            )?,
            blocked: gauges(
                "lambda_vpc_function_blocked",
                "1 for a function that somebody has to do something about.",
                &["account", "region", "function", "reason"],
            )?,
        })
    }

    fn each(&self) -> [&IntGaugeVec; 6] {
        let Self { functions, guard_holding, guard_changed, guard_allowed, in_sync, blocked } = self;
        [functions, guard_holding, guard_changed, guard_allowed, in_sync, blocked]
    }

    fn function(&self, line: &Line) {
        let ScopeKey { account, region } = &line.entry.key.scope;
        let labels = [account.as_str(), region.as_str(), line.entry.key.name.as_str()];
        // A gauge is there when it is known.
        if !matches!(line.outcome, Outcome::Unread { .. }) {
            self.in_sync.with_label_values(&labels).set(i64::from(line.outcome == Outcome::InSync));
        }
        if let (State::Blocked, Some(why)) = (line.outcome.state(), line.outcome.why()) {
            let [account, region, function] = labels;
            self.blocked.with_label_values(&[account, region, function, why.reason.name()]).set(1);
        }
    }
}

impl FleetMetrics {
    pub(super) fn new(window: Arc<Window>, per_function: bool) -> Result<Self, prometheus::Error> {
        let gauges = Gauges::new()?;
        let descs = gauges.each().into_iter().flat_map(|gauge| gauge.desc()).cloned().collect();
        Ok(Self { window, per_function, gauges: Arc::new(Mutex::new(gauges)), descs })
    }
}

impl Collector for FleetMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let shown = self.window.latest();
        let gauges = self.gauges.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the first sweep has ended nothing is known.
        for (ScopeKey { account, region }, line) in
            shown.fleet.scopes.iter().filter(|(_, line)| line.last_sweep.is_some())
        {
            let scope = [account.as_str(), region.as_str()];
            for (state, count) in line.counts.each() {
                gauges.functions.with_label_values(&[scope[0], scope[1], state.name()]).set(number(count));
            }
            gauges.guard_holding.with_label_values(&scope).set(number(line.held_by_guard));
            for Budget { cause, changed, allowed } in &line.guard.budgets {
                let labels = [scope[0], scope[1], cause.name()];
                gauges.guard_changed.with_label_values(&labels).set(number(*changed));
                gauges.guard_allowed.with_label_values(&labels).set(number(*allowed));
            }
        }
        if self.per_function {
            shown.fleet.lines.iter().filter(|line| line.is_known()).for_each(|line| gauges.function(line));
        }
        let families = gauges.each().into_iter().flat_map(|gauge| gauge.collect()).collect();
        gauges.each().into_iter().for_each(|gauge| gauge.reset());
        families
    }
}

/// A count as a gauge has it.
pub(super) fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
