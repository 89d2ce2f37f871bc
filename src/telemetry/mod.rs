//! What the daemon tells of itself: metrics, the log, and whether it is alive and ready.

pub mod audit;
mod fleet;
mod log;
mod metrics;
mod shown;
mod workqueue;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use audit::{AuditTrail, LogJournal};
pub use log::{LogFormat, init};
pub use metrics::Described;
pub use shown::Shown;

use self::metrics::Metrics;
use self::shown::Window;
use crate::cloud::{CallObserver, Called, Family};
use crate::engine::{Controller, HEARTBEAT, Notice, Observer};
use crate::names::{Clock, Time};

/// If the loop has not turned for this long, it is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// Everything that watches the daemon.
pub struct Telemetry {
    metrics: Metrics,
    log: Mutex<log::Log>,
    window: Arc<Window>,
    clock: Clock,
    begun: Time,
    turned: AtomicU64,
}

impl Telemetry {
    /// Telemetry of a daemon that has done nothing yet.
    pub fn new(per_function: bool, clock: Clock) -> Result<Self, prometheus::Error> {
        let (begun, window) = (clock(), Arc::<Window>::default());
        Ok(Self {
            metrics: Metrics::new(Arc::clone(&window), per_function, Arc::clone(&clock))?,
            log: Mutex::default(),
            window,
            clock,
            begun,
            turned: AtomicU64::new(begun.0),
        })
    }

    /// The metrics, in Prometheus's text format.
    pub fn metrics_text(&self) -> String {
        self.metrics.text()
    }

    /// All metrics but those of the process, as their documentation has them.
    pub fn described(&self) -> &[Described] {
        self.metrics.described()
    }

    /// How everything stands, as of the last moment at which that was written down.
    pub fn shown(&self) -> Arc<Shown> {
        self.window.latest()
    }

    /// When the daemon began.
    pub fn begun(&self) -> Time {
        self.begun
    }

    /// Whether the loop turns.
    pub fn is_live(&self) -> bool {
        (self.clock)().since(Time(self.turned.load(Ordering::Relaxed))) < STUCK
    }
}

impl Observer for Telemetry {
    fn notice(&self, notice: &Notice) {
        self.metrics.notice(notice, (self.clock)());
        self.log.lock().unwrap_or_else(PoisonError::into_inner).notice(notice);
    }

    fn turned(&self, controller: &Controller) {
        let now = (self.clock)();
        self.turned.store(now.0, Ordering::Relaxed);
        self.window.turned(controller, now);
        self.metrics.turned(controller, now);
        self.log.lock().unwrap_or_else(PoisonError::into_inner).turned(controller.board());
    }

    fn turn_within(&self) -> Duration {
        self.window.turn_within().unwrap_or(HEARTBEAT)
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
