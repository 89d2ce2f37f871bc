//! The clients of the SDK: where AWS is, whose credentials are used, and how long a call may take.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::sts::AssumeRoleProvider;
use aws_config::{AppName, BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

use super::bounded::Bounded;
use super::trust::{self, TrustError};
use crate::names::{AccountId, Region, RoleArn};

/// The name under which CloudTrail shows what is done in an assumed role.
const SESSION: &str = "lambda-vpc-controller";

/// Where AWS is.
#[derive(Clone, Debug)]
pub enum Endpoint {
    /// Where the standard environment says: `AWS_REGION`, `AWS_PROFILE`, `AWS_ENDPOINT_URL`, web identity, containers.
    Environment,
    /// At an emulator, which does not check signatures.
    Emulator {
        url: String,
        /// The access key by which it tells accounts apart.
        access_key: String,
    },
}

/// How an account is reached.
#[derive(Clone, Debug)]
pub struct Access {
    /// The role to assume in it; without one, the process's own credentials are used.
    pub role: Option<RoleArn>,
    /// What the role's trust policy wants to see.
    pub external_id: Option<String>,
}

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// The time to a connection.
    pub connection: Duration,
    /// The time to the whole answer, the budget's wait not counted.
    pub answer: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { connection: Duration::from_secs(5), answer: Duration::from_secs(30) }
    }
}

/// The clients of one account in one region. They keep their connections, so they are made once.
#[derive(Clone)]
pub(super) struct Clients {
    pub(super) lambda: aws_sdk_lambda::Client,
    pub(super) ec2: aws_sdk_ec2::Client,
    pub(super) iam: aws_sdk_iam::Client,
    pub(super) sts: aws_sdk_sts::Client,
}

/// The connection to AWS: its clients, made once for each account and region.
pub(super) struct Connection {
    base: SdkConfig,
    access: HashMap<AccountId, Access>,
    clients: tokio::sync::Mutex<HashMap<(Option<AccountId>, Region), Clients>>,
    /// What was made for the accounts that are reached through a role; each has one session for all its regions.
    sessions: tokio::sync::Mutex<HashMap<AccountId, SdkConfig>>,
}

/// A service's client, whose answers end.
macro_rules! client {
    ($service:ident, $config:expr) => {
        $service::Client::from_conf($service::config::Builder::from($config).interceptor(Bounded).build())
    };
}

impl Connection {
    /// Opens it. An error where `AWS_CA_BUNDLE` names no file of certificates.
    pub(super) async fn open(
        endpoint: &Endpoint,
        access: HashMap<AccountId, Access>,
        deadlines: Deadlines,
    ) -> Result<Self, TrustError> {
        let Deadlines { connection, answer } = deadlines;
        let timeouts = TimeoutConfig::builder().connect_timeout(connection).operation_timeout(answer).build();
        // Whoever finds credentials may try again; what the clients do is set where they are made.
        let mut base = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts);
        if let Endpoint::Emulator { url, access_key } = endpoint {
            let credentials = Credentials::new(access_key, "emulated", None, None, "emulator");
            // Any region will do; without one the SDK would look for it in places that an emulator has not.
            let region = aws_config::Region::new("us-east-1");
            // A plain client: a proxy of the environment cannot reach an emulator on this machine.
            let client = aws_smithy_http_client::Builder::new().build_http();
            base = base.endpoint_url(url).credentials_provider(credentials).region(region).http_client(client);
        } else {
            trust::warn_of_proxied_credentials(|name| std::env::var(name).ok());
            if let Some(client) = trust::client()? {
                base = base.http_client(client);
            }
        }
        let mut base = base.load().await;
        if let (None, Ok(name)) = (base.app_name(), AppName::new(SESSION)) {
            base = base.into_builder().app_name(name).build();
        }
        let (clients, sessions) = (tokio::sync::Mutex::default(), tokio::sync::Mutex::default());
        Ok(Self { base, access, clients, sessions })
    }

    /// The region of the environment.
    pub(super) fn region(&self) -> Option<Region> {
        self.base.region().and_then(|region| Region::parse(region.as_ref()).ok())
    }

    /// The clients for an account (`None`: the process's own credentials) in a region; made once.
    pub(super) async fn clients(&self, account: Option<&AccountId>, region: &Region) -> Clients {
        let key = (account.cloned(), region.clone());
        let mut clients = self.clients.lock().await;
        if let Some(made) = clients.get(&key) {
            return made.clone();
        }
        let config = self.config(account, region).await;
        let made = Clients {
            lambda: client!(aws_sdk_lambda, &config),
            ec2: client!(aws_sdk_ec2, &config),
            iam: client!(aws_sdk_iam, &config),
            sts: client!(aws_sdk_sts, &config),
        };
        clients.insert(key, made.clone());
        made
    }

    async fn config(&self, account: Option<&AccountId>, region: &Region) -> SdkConfig {
        let region = aws_config::Region::new(region.as_str().to_owned());
        let session = match account {
            Some(account) => self.session(account, &region).await,
            None => self.base.clone(),
        };
        session.into_builder().region(region).retry_config(RetryConfig::disabled()).build()
    }

    /// What an account is reached with. Its role is assumed in the first region that was asked for, one that the file names: a
    /// network or an organisation may let no other be reached.
    async fn session(&self, account: &AccountId, region: &aws_config::Region) -> SdkConfig {
        let Some(Access { role: Some(role), external_id }) = self.access.get(account) else { return self.base.clone() };
        let mut sessions = self.sessions.lock().await;
        if let Some(made) = sessions.get(account) {
            return made.clone();
        }
        let provider = AssumeRoleProvider::builder(role.as_str()).session_name(SESSION).region(region.clone());
        let provider = external_id.iter().fold(provider, |provider, id| provider.external_id(id));
        let provider = provider.configure(&self.base).build().await;
        let session = self.base.to_builder();
        let session = session
            .credentials_provider(aws_sdk_lambda::config::SharedCredentialsProvider::new(provider))
            // A cache of its own: the base's would hand out the base's identity.
            .identity_cache(aws_sdk_lambda::config::IdentityCache::lazy().build())
            .build();
        sessions.insert(account.clone(), session.clone());
        session
    }
}
