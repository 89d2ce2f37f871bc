//! A controller in a simulated history, shown over HTTP as the daemon shows itself.

use std::sync::Arc;
use std::time::Duration;

use lambda_vpc_controller::http;
use lambda_vpc_controller::manager::Observer as _;
use lambda_vpc_controller::telemetry::Telemetry;
use serde_json::Value;

use super::history::History;
use super::server::Server;

/// An answer, whatever its status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name}")).to_str().unwrap()
    }
}

/// What is shown of a history; it stops when dropped.
pub(crate) struct Window {
    pub(crate) history: History,
    pub(crate) telemetry: Arc<Telemetry>,
    /// Its address, `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    /// It stops with this.
    _server: Server,
}

impl Window {
    /// Shows this history as it is now.
    pub(crate) fn on(history: History) -> Self {
        let telemetry = Arc::new(Telemetry::new(true, history.clock.clock()).unwrap());
        let serving = Arc::clone(&telemetry);
        let server = Server::start(async move |listener| {
            http::serve(listener, serving, std::future::pending()).await;
            Ok(())
        });
        let mut window = Self { history, telemetry, url: server.url.clone(), _server: server };
        window.show();
        window
    }

    /// What has happened since is shown as well.
    pub(crate) fn show(&mut self) {
        self.history.clock.pass(Duration::from_secs(1));
        self.history.notices.drain(..).for_each(|notice| self.telemetry.notice(&notice));
        self.history.controller.turned(&*self.telemetry, self.history.clock.now());
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.get_unless(path, None)
    }

    /// Asks, unless the answer is still the one with this tag.
    pub(crate) fn get_unless(&self, path: &str, tag: Option<&str>) -> Answer {
        let mut request = agent().get(format!("{}{path}", self.url));
        if let Some(tag) = tag {
            request = request.header("if-none-match", tag);
        }
        answer(request.call())
    }

    pub(crate) fn post(&self, path: &str) -> Answer {
        answer(agent().post(format!("{}{path}", self.url)).send("x"))
    }

    /// The names in a list of functions.
    #[track_caller]
    pub(crate) fn names(&self, query: &str) -> Vec<String> {
        let answer = self.get(&format!("/api/v1/functions?{query}"));
        assert_eq!(answer.status, 200, "{query}: {}", answer.body);
        let functions = answer.json()["functions"].as_array().unwrap().clone();
        functions.iter().map(|function| function["name"].as_str().unwrap().to_owned()).collect()
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

fn answer(answered: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
    let mut response = answered.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.body_mut().with_config().limit(100_000_000).read_to_string().unwrap();
    Answer { status, headers, body }
}
