//! What the commands that talk to AWS share: the connection, the clock, and the reading of the desired state.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::{OnceCell, watch};

use super::Failure;
use crate::cloud::aws::{Access, Aws, Deadlines, Endpoint};
use crate::cloud::{CallObserver, Read, Retrying};
use crate::desired::{Accounts, At, DesiredState, Files, LoadFailure, Reading, Traces};
use crate::file::{self, Beside, Unusable};
use crate::manager::{Load, Loading};
use crate::names::{AccountId, Clock, Digest, Region, Time};
use crate::plan;
use crate::settings::{self, Overrides, Settings};

/// The machine's clocks: the wall clock, and the time of this process, which nobody sets.
pub(super) fn clock() -> Clock {
    let wall = || Time::from_system(SystemTime::now());
    let (begun, since) = (wall(), since_boot());
    Clock::with_wall(move || begun + since_boot().saturating_sub(since), wall)
}

/// How long the machine has been running, the time that it was suspended as well where the system counts that.
fn since_boot() -> Duration {
    #[cfg(target_os = "linux")]
    let clock = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::Monotonic;
    clock_gettime(clock).try_into().unwrap_or_default()
}

/// The connection to AWS that these settings mean.
pub(super) async fn aws(
    settings: &Settings,
    endpoint: &Endpoint,
    observer: Arc<dyn CallObserver>,
    clock: Clock,
) -> Result<Arc<Aws>, Failure> {
    let access = settings.accounts.iter().map(|account| {
        (account.id.clone(), Access { role: account.role.clone(), external_id: account.external_id.clone() })
    });
    let access: HashMap<_, _> = access.collect();
    let connected = Aws::connect(endpoint, access, Deadlines::default(), settings.limits.rates, observer, clock).await;
    connected.map(Arc::new).map_err(|error| Failure::Other(error.to_string()))
}

/// The same connection, for reading: what fails is tried again.
pub(super) fn reading(aws: &Arc<Aws>, clock: &Clock) -> Arc<dyn Read> {
    Arc::new(Retrying::new(Arc::<Aws>::clone(aws), clock.clone()))
}

/// The region of entries that state none, where no SDK is asked (profiles are not looked at).
pub(super) fn region_of_environment() -> Option<Region> {
    let region = ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().find_map(|name| std::env::var(name).ok());
    region.and_then(|text| Region::parse(&text).ok())
}

/// The accounts of the settings, by name.
pub(super) fn named_accounts(settings: &Settings) -> BTreeMap<String, AccountId> {
    settings.accounts.iter().map(|account| (account.name.clone(), account.id.clone())).collect()
}

/// Reads the desired state, and finds out whose the credentials are if the file leaves the account to them.
pub(super) struct Loader {
    at: watch::Receiver<At>,
    reading: Reading,
    named: BTreeMap<String, AccountId>,
    region: Option<Region>,
    new_regions: Vec<Region>,
    read: Arc<dyn Read>,
    own: OnceCell<AccountId>,
}

/// What these settings say is read.
pub(super) fn desired_at(settings: &Settings) -> At {
    At { path: settings.desired.clone(), allowed: settings.files.clone() }
}

/// The settings, where no daemon follows them.
pub(super) async fn settings(path: Option<&Path>, overrides: &Overrides) -> Result<Settings, Failure> {
    let (given, overrides) = (path.map(Path::to_owned), overrides.clone());
    let shown = path.unwrap_or(Path::new(settings::DEFAULT_PATH));
    let read = Beside::default().at(shown, move || Settings::load(given.as_deref(), &overrides)).await;
    Ok(read.map_err(Unusable::from)??)
}

impl Loader {
    pub(super) fn new(settings: &Settings, region: Option<Region>, read: Arc<dyn Read>) -> Self {
        let (_, at) = watch::channel(desired_at(settings));
        let reading = Reading::new(Arc::default());
        let (named, new_regions) = (named_accounts(settings), settings.new_regions.clone());
        Self { at, reading, named, region, new_regions, read, own: OnceCell::new() }
    }

    /// The same, but what is read is where this says at the time, and these are the traces of what happens there.
    pub(super) fn following(self, at: watch::Receiver<At>, traces: Arc<Traces>) -> Self {
        Self { at, reading: Reading::new(traces), ..self }
    }

    /// What the file says by itself: nothing is asked of AWS.
    pub(super) async fn unasked(&self) -> Result<Option<DesiredState>, Unusable> {
        Ok(self.next(None).await?.map(|(state, _)| state))
    }

    /// What the file says, and as what it was read; none if it is in force.
    async fn next(&self, in_force: Option<Digest>) -> Result<Option<(DesiredState, Files)>, Unusable> {
        let (at, accounts) = (self.at.borrow().clone(), self.accounts());
        let is_in_force = |files: &Files| in_force.as_ref().is_some_and(|digest| files.have(digest));
        let judge = move |files: &Files| DesiredState::of(files, &accounts).map(|state| (state, files.clone()));
        let read = |at: &At| Files::read(&at.path, &at.allowed);
        self.reading.next(&at, read, is_in_force, judge, |_| false).await
    }

    /// With the account of the credentials, once that was asked.
    fn accounts(&self) -> Accounts {
        let own = self.own.get().cloned().unwrap_or_else(AccountId::nobody);
        let (named, region, new_regions) = (self.named.clone(), self.region.clone(), self.new_regions.clone());
        Accounts { named, own, region, new_regions }
    }

    async fn read_anew(&self, in_force: Option<Digest>) -> Result<Option<DesiredState>, LoadFailure> {
        let Some((state, files)) = self.next(in_force).await? else { return Ok(None) };
        let Some(region) = state.region_of_nobody() else { return Ok(Some(state)) };
        let asked = || async { self.read.caller_identity(None, region).await.map(|identity| identity.account) };
        self.own.get_or_try_init(asked).await.map_err(LoadFailure::Identity)?;
        let accounts = self.accounts();
        Ok(Some(file::aside(move || DesiredState::of(&files, &accounts)).await?))
    }
}
impl Load for Loader {
    fn load(&self, in_force: Option<Digest>) -> Loading<'_> {
        Box::pin(self.read_anew(in_force))
    }
}

impl From<LoadFailure> for Failure {
    fn from(failure: LoadFailure) -> Self {
        match failure {
            LoadFailure::File(unusable) => Self::File(unusable),
            LoadFailure::Identity(_) => Self::Other(plan::not_loaded(&failure)),
        }
    }
}
