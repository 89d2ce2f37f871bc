//! `plan`: what would change, and why.

use std::process::ExitCode;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::connect::{self, Loader};
use super::print::{self, Summary};
use super::reading::Reading;
use super::{Failure, Output, PlanArgs, exit};
use crate::apply::{Applier, Journal};
use crate::cloud::aws::{Aws, Endpoint};
use crate::desired::DesiredState;
use crate::file::render_all;
use crate::manager::{self, Controller, Event, Observer, Ports, Until};
use crate::names::{Clock, Time};
use crate::plan::{Admitted, GuardLimits, Limits, Plan};
use crate::reconcile::Cadence;
use crate::settings::Settings;
use crate::telemetry::LogJournal;

pub(super) async fn run(settings: Settings, args: &PlanArgs) -> Result<ExitCode, Failure> {
    let session = Session::begin(&settings, LogJournal::alone()).await?;
    let (controller, plan) = session.look(&settings).await?;
    let Some(desired) = controller.desired() else { return Ok(exit::ERROR) };
    match args.output {
        Output::Human => print::out(&print::plan(&plan, &controller, &GuardLimits::of(&settings.guard)))?,
        Output::Json => print::out(&print::plan_json(&plan, desired)?)?,
    }
    Ok(exit_code(&Summary::of(&plan)))
}

fn exit_code(summary: &Summary) -> ExitCode {
    let Summary { in_sync: _, pending, waiting, blocked, unknown, excluded } = summary;
    match (blocked + unknown + excluded, pending + waiting) {
        (0, 0) => exit::FINE,
        (0, _) => exit::pending(),
        _ => exit::ERROR,
    }
}

/// A person's session: one connection, one clock, one file.
pub(super) struct Session {
    aws: Arc<Aws>,
    clock: Clock,
    journal: Arc<dyn Journal>,
    reading: Arc<Reading>,
}

impl Session {
    pub(super) async fn begin(settings: &Settings, journal: LogJournal) -> Result<Self, Failure> {
        let (clock, reading) = (connect::clock(), Arc::new(Reading::begin()));
        let aws = connect::aws(settings, &Endpoint::Environment, reading.clone(), clock.clone()).await?;
        Ok(Self { aws, clock, journal: Arc::new(journal), reading })
    }

    /// Reads the file and sweeps, admitting no change; then says what would be changed.
    pub(super) async fn look(&self, settings: &Settings) -> Result<(Controller, Plan), Failure> {
        let looked = self.read(settings).await;
        self.reading.end();
        looked
    }

    async fn read(&self, settings: &Settings) -> Result<(Controller, Plan), Failure> {
        let ports = self.ports(settings, self.reading.clone());
        let loaded = ports.load.load(None).await?;
        loaded.iter().for_each(|desired| self.reading.aside(|| warn(desired, self.clock.wall())));
        let limits = Limits { admitted: Admitted::Only(Default::default()), ..Limits::attended(settings) };
        let controller = Controller::new(limits, Cadence::once(settings));
        let (_stay, signals) = mpsc::channel(1);
        let first = vec![Event::Loaded(Ok(loaded))];
        let mut controller = manager::run(controller, &ports, first, signals, Until::HasLooked).await;
        controller.admit(&Admitted::All);
        let plan = controller.plan(self.clock.now());
        plan.map(|plan| (controller, plan)).ok_or_else(|| Failure::Other("no desired state was read".to_owned()))
    }

    pub(super) fn ports(&self, settings: &Settings, observer: Arc<dyn Observer>) -> Arc<Ports> {
        let (aws, clock) = (Arc::clone(&self.aws), self.clock.clone());
        let read = connect::reading(&aws, &clock);
        Arc::new(Ports {
            load: Arc::new(Loader::new(settings, aws.region(), Arc::clone(&read))),
            applier: Arc::new(Applier::new(aws, Arc::clone(&self.journal), clock.clone())),
            read,
            // A person looks at the plan; nothing needs to be known of what was done before.
            records: None,
            clock,
            observer,
        })
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }
}

/// Warnings go to stderr, so that stdout is the result alone.
fn warn(desired: &DesiredState, now: Time) {
    let warnings: Vec<_> = desired.warnings.iter().cloned().chain(desired.ended(now)).collect();
    if !warnings.is_empty() {
        print::tell(&format!("{}\n", render_all(&warnings, true)));
    }
}
