//! What the daemon tells of itself: metrics, the log, and whether it is alive and ready.

pub mod audit;
mod log;
mod metrics;

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

pub use audit::{AuditTrail, LogJournal};
pub use log::{LogFormat, init};
pub use metrics::Metrics;

use crate::cloud::{CallObserver, Called, Family};
use crate::engine::{Controller, Notice, Observer};
use crate::names::Clock;

/// If the loop has not turned for this long, it is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// Everything that watches the daemon.
pub struct Telemetry {
    metrics: Metrics,
    log: Mutex<log::Log>,
    clock: Clock,
    turned: AtomicU64,
    ready: AtomicBool,
}

impl Telemetry {
    /// Telemetry of a daemon that has done nothing yet.
    pub fn new(per_function: bool, clock: Clock) -> Result<Self, prometheus::Error> {
        let turned = AtomicU64::new(clock().0);
        let metrics = Metrics::new(per_function)?;
        Ok(Self { metrics, log: Mutex::default(), clock, turned, ready: AtomicBool::new(false) })
    }

    /// The metrics, in Prometheus's text format.
    pub fn metrics_text(&self) -> String {
        self.metrics.text()
    }

    /// Whether the loop turns.
    pub fn is_live(&self) -> bool {
        (self.clock)().0.saturating_sub(self.turned.load(Ordering::Relaxed))
            < u64::try_from(STUCK.as_millis()).unwrap_or(0)
    }

    /// Whether a desired state is in force, and every scope has answered or been refused once.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }
}

impl Observer for Telemetry {
    fn notice(&self, notice: &Notice) {
        self.metrics.notice(notice, (self.clock)());
        self.log.lock().unwrap_or_else(PoisonError::into_inner).notice(notice);
    }

    fn turned(&self, controller: &Controller) {
        self.turned.store((self.clock)().0, Ordering::Relaxed);
        self.ready.store(controller.ready(), Ordering::Relaxed);
        self.metrics.board(controller.board());
        self.log.lock().unwrap_or_else(PoisonError::into_inner).turned(controller.board());
    }
}

impl CallObserver for Telemetry {
    fn called(&self, call: &Called<'_>) {
        self.metrics.called(call);
        tracing::debug!(operation = %call.operation, code = call.code(), took = ?call.took, "called AWS");
    }

    fn waits(&self, family: Family, wait: Duration) {
        self.metrics.waits(family, wait);
    }
}
