//! What the daemon tells of itself: metrics, the log, and whether it is alive and ready.

pub mod audit;
mod fleet;
mod log;
mod metrics;
mod shown;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use audit::{AuditTrail, LogJournal};
pub use log::{LogFormat, LogWriter, LostLines, doubts, init};
pub use metrics::Described;
pub use shown::Shown;

use self::metrics::Metrics;
use self::shown::Window;
use crate::cloud::{CallObserver, Called, Family};
use crate::manager::{Manager, Observer};
use crate::names::{Clock, Time};
use crate::reconcile::{Notice, QueueStats, Scope};

/// Everything that watches the daemon.
pub struct Telemetry {
    metrics: Metrics,
    log: Mutex<log::Log>,
    lost: LostLines,
    window: Arc<Window>,
    clock: Clock,
    begun: Time,
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

    /// Whether the manager and every scope turn, and do what is due.
    pub fn is_live(&self) -> bool {
        self.window.is_live(self.clock.now())
    }
}

impl Observer for Telemetry {
    fn notice(&self, notice: &Notice) {
        if let Notice::Restarts { scope, .. } = notice {
            self.window.restarts(scope);
        }
        self.metrics.notice(notice, self.clock.wall());
        self.log.lock().unwrap_or_else(PoisonError::into_inner).notice(notice);
    }

    fn turned(&self, scope: &Scope, queue: QueueStats) -> Option<Duration> {
        self.metrics.turned(&queue);
        self.log.lock().unwrap_or_else(PoisonError::into_inner).turned(scope.key(), scope.board().scope());
        self.window.turned(scope, (queue.begun, queue.depth), self.clock.now())
    }

    fn managed(&self, manager: &Manager) {
        self.window.managed(manager, self.clock.now());
        self.metrics.managed(manager);
        self.log.lock().unwrap_or_else(PoisonError::into_inner).managed(manager);
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
