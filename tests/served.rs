//! A simulated world that is served on a port of its own, by a clock that stands still.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use lambda_vpc_controller::cloud::aws::{Access, Aws, Deadlines, Endpoint};
use lambda_vpc_controller::cloud::{Rates, Unobserved};
use lambda_vpc_controller::names::{AccountId, Clock, Time};
use lambda_vpc_controller::simulator::{Door, StillClock, World, http};

use crate::support::server::Server;

/// The moment at which every served world begins.
pub(crate) const BEGIN: Time = Time(1_795_417_200_000);

/// The access key of those who talk to a served world.
pub(crate) const ACCESS_KEY: &str = "AKIASIMULATED";

/// A budget of so many requests a second that no test waits for it.
pub(crate) const PLENTY: f64 = 10_000.0;

/// Budgets that no test waits for.
pub(crate) fn rates() -> Rates {
    Rates { lambda: PLENTY, get_function: None, iam: PLENTY, ec2: PLENTY }
}

/// A served world; it stops when dropped.
pub(crate) struct Served {
    /// The world, to look at it directly.
    pub(crate) door: Door,
    /// Its clock.
    pub(crate) clock: StillClock,
    /// Its address, `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    /// It stops with this.
    _server: Server,
}

impl Served {
    /// Serves this world. When this returns, the port accepts connections.
    pub(crate) fn world(world: &World) -> Self {
        let clock = StillClock::at(BEGIN);
        let door = Door::new(world.build(BEGIN).unwrap(), clock.clock());
        let serving = door.clone();
        let server = Server::start(move |listener| http::serve(listener, serving, std::future::pending()));
        Self { door, clock, url: server.url.clone(), _server: server }
    }

    /// AWS through its SDK, which finds this world in AWS's place.
    pub(crate) async fn sdk(&self) -> Aws {
        self.sdk_with(HashMap::new(), Deadlines::default(), rates()).await
    }

    /// The same, with access to other accounts, other deadlines and other budgets.
    pub(crate) async fn sdk_with(&self, access: HashMap<AccountId, Access>, deadlines: Deadlines, rates: Rates) -> Aws {
        let endpoint = Endpoint::Emulator { url: self.url.clone(), access_key: ACCESS_KEY.to_owned() };
        let clock = Clock::new(|| Time::from_system(SystemTime::now()));
        Aws::connect(&endpoint, access, deadlines, rates, Arc::new(Unobserved), clock).await.unwrap()
    }

    /// Serves the demo's world.
    pub(crate) fn demo() -> Self {
        Self::world(&World::demo().unwrap())
    }
}

/// A runtime for one thread.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// The environment in which an AWS client talks to this address and to nothing else.
pub(crate) fn aws_environment(url: &str) -> Vec<(&'static str, String)> {
    [
        ("AWS_ENDPOINT_URL", url),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_PAGER", ""),
        ("NO_PROXY", "127.0.0.1"),
        ("no_proxy", "127.0.0.1"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}
