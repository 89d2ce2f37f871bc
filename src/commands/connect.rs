//! What the commands that talk to AWS share: the connection, the clock, and the reading of the desired state.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use tokio::sync::{OnceCell, watch};

use super::Failure;
use crate::cloud::aws::{Access, Aws, Deadlines, Endpoint};
use crate::cloud::{CallObserver, Read};
use crate::desired::{Accounts, DesiredState, Files, LoadFailure};
use crate::engine::{Load, Loading};
use crate::file::Unusable;
use crate::names::{AccountId, Clock, Digest, Region, Time};
use crate::plan;
use crate::settings::Settings;

/// The system's clock, except that it never goes back.
pub(super) fn clock() -> Clock {
    let latest = AtomicU64::new(0);
    Arc::new(move || {
        let now = Time::from_system(SystemTime::now());
        Time(latest.fetch_max(now.0, Ordering::Relaxed).max(now.0))
    })
}

/// The connection to AWS that these settings mean.
pub(super) async fn aws(
    settings: &Settings,
    endpoint: &Endpoint,
    observer: Arc<dyn CallObserver>,
    clock: Clock,
) -> Arc<Aws> {
    let access = settings.accounts.iter().map(|account| {
        (account.id.clone(), Access { role: account.role.clone(), external_id: account.external_id.clone() })
    });
    let access: HashMap<_, _> = access.collect();
    Arc::new(Aws::connect(endpoint, access, Deadlines::default(), settings.limits.rates, observer, clock).await)
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
    path: watch::Receiver<PathBuf>,
    named: BTreeMap<String, AccountId>,
    region: Option<Region>,
    read: Arc<dyn Read>,
    own: OnceCell<AccountId>,
}

impl Loader {
    pub(super) fn new(settings: &Settings, region: Option<Region>, read: Arc<dyn Read>) -> Self {
        let (_, path) = watch::channel(settings.desired.clone());
        Self { path, named: named_accounts(settings), region, read, own: OnceCell::new() }
    }

    /// The same, but what is read is where this says at the time.
    pub(super) fn following(self, path: watch::Receiver<PathBuf>) -> Self {
        Self { path, ..self }
    }

    async fn read_anew(&self, in_force: Option<Digest>) -> Result<Option<DesiredState>, LoadFailure> {
        let path = self.path.borrow().clone();
        let files = aside(move || Files::read(&path)).await;
        if in_force.is_some_and(|digest| files.have(&digest)) {
            return Ok(None);
        }
        let accounts = Accounts::without_aws(self.named.clone(), self.region.clone());
        let state = resolve(&files, &accounts).await?;
        let Some(region) = state.region_of_nobody() else { return Ok(Some(state)) };
        let asked = || async { self.read.caller_identity(None, region).await.map(|identity| identity.account) };
        let own = self.own.get_or_try_init(asked).await.map_err(LoadFailure::Identity)?;
        Ok(Some(resolve(&files, &Accounts { own: own.clone(), ..accounts }).await?))
    }
}

async fn resolve(files: &Files, accounts: &Accounts) -> Result<DesiredState, Unusable> {
    let (files, accounts) = (files.clone(), accounts.clone());
    aside(move || DesiredState::of(&files, &accounts)).await
}

/// Does what takes its time, a slow disk or a file of megabytes, beside the threads that everything else needs.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Given up at the program's end, and nobody waits for it any more.
            Err(_) => std::future::pending().await,
        },
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
