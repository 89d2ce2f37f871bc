//! Asking a daemon.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::commands::{Failure, asking_daemons};
use crate::http::answer::{Functions, Problem};
use crate::text::shown;

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
        Ok(Self { agent: asking_daemons(DEADLINE), url })
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

/// Reads an answer. Whoever gives it, each text in it can be shown.
fn read<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    let mut value = serde_json::from_slice(body)?;
    clean(&mut value);
    serde_json::from_value(value)
}

fn clean(value: &mut Value) {
    match value {
        Value::String(text) => *text = shown(text).into_owned(),
        Value::Array(values) => values.iter_mut().for_each(clean),
        Value::Object(values) => values.values_mut().for_each(clean),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::commands::status::text::{Left, Page};
    use crate::http::answer::{Details, Status};
    use crate::names::Time;
    use crate::text::hostile::{any_text, assert_harmless};

    /// An answer of whoever listens there, with a text in every place that may have any.
    fn answers(text: &str) -> (String, String, String) {
        let why = serde_json::json!({ "reason": text, "sentence": text, "detail": text });
        let function = serde_json::json!({
            "account": "123456789012", "region": "eu-west-1", "name": "orders-api", "state": "blocked",
            "since": "2026-11-23T07:00:00Z", "next_try": null, "cause": "file", "why": why, "vpc": "vpc-1",
            "vpc_name": text, "mode": "observe", "warnings": 1, "place": text, "observed_because": text,
            "doubts": [text, text], "history": [
                { "first": "2026-11-23T07:00:00Z", "last": "2026-11-23T07:00:00Z", "times": 2, "event": "called", "step": text,
                  "duration_ms": 1, "error": text },
                { "first": "2026-11-23T07:00:00Z", "last": "2026-11-23T07:00:00Z", "times": 1, "event": "became",
                  "state": "blocked", "reason": text, "detail": text },
            ],
        });
        let mut fault = why.clone();
        fault["since"] = "2026-11-23T07:00:00Z".into();
        let status = serde_json::json!({
            "version": text, "ready": true, "listed": 1, "behind": 0, "held_by_guard": 0,
            "states": { "in_sync": 0, "progressing": 0, "out_of_sync": 0, "awaiting_approval": 0, "blocked": 1, "unknown": 0, "excluded": 0 },
            "desired": { "digest": null, "since": null, "valid": false, "problem": text, "warnings": [text] },
            "settings_problem": text,
            "scopes": [{ "account": "123456789012", "region": "eu-west-1",
                "states": { "in_sync": 0, "progressing": 0, "out_of_sync": 0, "awaiting_approval": 0, "blocked": 1, "unknown": 0, "excluded": 0 },
                "held_by_guard": 0, "guard": [{ "cause": "file", "changed": 1, "allowed": 10 }], "last_sweep": null, "fault": fault }],
        });
        let functions = serde_json::json!({ "total": 1, "functions": [function], "next": text });
        (status.to_string(), functions.to_string(), function.to_string())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn whoever_answers_status_keeps_it_in_its_lines(text in any_text()) {
            let (status, functions, details) = answers(&text);
            let status: Status = read(status.as_bytes()).unwrap();
            let functions: Functions = read(functions.as_bytes()).unwrap();
            let details: Details = read(details.as_bytes()).unwrap();
            let page = || Page::here(Time(1_795_417_200_000));
            for shown in [
                page().fleet("http://127.0.0.1:9464", &status, &functions),
                page().details(&[details], &Left { count: 1, wrong: 1 }),
            ] {
                let shown = anstream::adapter::strip_str(&shown).to_string();
                // A long text goes over several lines, which are indented.
                assert_harmless(&shown, |line| !line.starts_with("All in sync"));
            }
        }
    }
}
