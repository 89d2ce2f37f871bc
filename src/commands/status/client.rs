//! Asking a daemon.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::commands::Failure;
use crate::http::answer::{Functions, Problem};

/// A daemon answers at once, or not at all.
const DEADLINE: Duration = Duration::from_secs(10);
/// So many functions are asked for at once.
const PAGE: usize = 1000;

pub(super) struct Client {
    agent: ureq::Agent,
    url: String,
}

impl Client {
    pub(super) fn new(url: &str) -> Result<Self, Failure> {
        let url = url.trim_end_matches('/').to_owned();
        if !url.starts_with("http://") {
            let text = format!("{url} is no address of a daemon: it begins with http://, like http://127.0.0.1:9464");
            return Err(Failure::Other(text));
        }
        let config = ureq::Agent::config_builder().timeout_global(Some(DEADLINE)).http_status_as_error(false);
        Ok(Self { agent: config.build().into(), url })
    }

    /// The answer at a path. An error says what the daemon said, or that there is none.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let Self { agent, url } = self;
        let gone = |error: ureq::Error| {
            Failure::Other(format!(
                "no daemon answers at {url}: {error}; is it running, and does `listen` say this address? Pass --url"
            ))
        };
        let mut response = agent.get(format!("{url}{path}")).call().map_err(gone)?;
        let body = response.body_mut().with_config().limit(u64::MAX).read_to_vec().map_err(gone)?;
        if response.status().is_success() {
            return read(&body).map_err(|error| Failure::Other(format!("{url}{path} answers something else: {error}")));
        }
        let said = read(&body).map(|Problem { error }| error);
        Err(Failure::Other(said.unwrap_or_else(|_| format!("{url}{path} answers {}", response.status()))))
    }

    /// The functions that a query asks for, at most so many of them; the total is that of all.
    pub(super) fn functions(&self, query: &str, most: usize) -> Result<Functions, Failure> {
        let ask = |limit: usize, cursor: &str| -> Result<Functions, Failure> {
            self.get(&format!("/api/v1/functions?{query}&limit={limit}{cursor}"))
        };
        let mut all = ask(most.min(PAGE), "")?;
        while let Some(cursor) = all.next.take().filter(|_| all.functions.len() < most) {
            let more = ask((most - all.functions.len()).min(PAGE), &format!("&cursor={cursor}"))?;
            all.functions.extend(more.functions);
            all.next = more.next;
        }
        Ok(all)
    }
}

/// Reads an answer. What a terminal would take for a command in a text from the file or from AWS is made harmless.
fn read<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    let mut value = serde_json::from_slice(body)?;
    clean(&mut value);
    serde_json::from_value(value)
}

fn clean(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}"),
        Value::Array(values) => values.iter_mut().for_each(clean),
        Value::Object(values) => values.values_mut().for_each(clean),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
