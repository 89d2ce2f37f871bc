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
pub use log::{LogFormat, LogWriter, LostLines, doubts, init};
pub use metrics::Described;
pub use shown::Shown;

use self::metrics::Metrics;
use self::shown::Window;
use crate::cloud::{CallObserver, Called, Family};
use crate::engine::{Controller, HEARTBEAT, Notice, Observer};
use crate::names::{Clock, Time};

/// If the loop has not turned for this long, or has not done for this long what was due, it is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// Everything that watches the daemon.
pub struct Telemetry {
    metrics: Metrics,
    log: Mutex<log::Log>,
    lost: LostLines,
    window: Arc<Window>,
    clock: Clock,
    begun: Time,
    turned: AtomicU64,
    /// When the loop has something to do next.
    due: AtomicU64,
}

impl Telemetry {
    /// Telemetry of a daemon that has done nothing yet.
    pub fn new(per_function: bool, clock: Clock) -> Result<Self, prometheus::Error> {
        let (begun, window) = (clock.now(), Arc::<Window>::default());
        Ok(Self {
            metrics: Metrics::new(Arc::clone(&window), per_function, clock.clone())?,
            log: Mutex::default(),
            lost: LostLines::default(),
            window,
            clock,
            begun,
            turned: AtomicU64::new(begun.0),
            due: AtomicU64::new(u64::MAX),
        })
    }

    /// The same, with the lines of the log that are lost.
    #[must_use]
    pub fn counting(self, lost: LostLines) -> Self {
        Self { lost, ..self }
    }

    /// The metrics, in Prometheus's text format.
    pub fn metrics_text(&self) -> String {
        self.metrics.log_lines_lost(self.lost.count());
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

    /// Whether the loop turns, and does what is due.
    pub fn is_live(&self) -> bool {
        let since = |moment: &AtomicU64| self.clock.now().since(Time(moment.load(Ordering::Relaxed)));
        since(&self.turned) < STUCK && since(&self.due) < STUCK
    }
}

impl Observer for Telemetry {
    fn notice(&self, notice: &Notice) {
        self.metrics.notice(notice, self.clock.wall());
        self.log.lock().unwrap_or_else(PoisonError::into_inner).notice(notice);
    }

    fn turned(&self, controller: &Controller) {
        let now = self.clock.now();
        self.turned.store(now.0, Ordering::Relaxed);
        self.due.store(controller.next_wake().map_or(u64::MAX, |due| due.0), Ordering::Relaxed);
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
