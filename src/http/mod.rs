//! What the daemon shows: `/metrics`, `/livez` and `/readyz` for machines, `/api/v1` for programs and `/` for people. Read
//! only.
//!
//! Nothing in here can hold up the work: answers are made from pictures that scopes leave behind ([`Shown`]), with no
//! lock between the two that is held for longer than it takes to copy a pointer.

pub mod answer;
mod api;
mod connections;
mod page;
mod query;
mod schema;

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::net::TcpListener;

use self::answer::Problem;
use self::connections::Apps;
pub use self::schema::openapi;
use crate::telemetry::{Shown, Telemetry};
use crate::text::shown_json;

/// Serves until `stop` is done, and lets requests in hand end.
pub async fn serve(listener: TcpListener, telemetry: Arc<Telemetry>, stop: impl Future<Output = ()>) {
    let loopback = listener.local_addr().is_ok_and(|at| at.ip().is_loopback());
    let named = |app: Router| if loopback { app.layer(middleware::from_fn(loopback_names)) } else { app };
    let apps = Apps { all: named(app(Arc::clone(&telemetry))), probes: named(busy(telemetry)) };
    connections::serve(listener, apps, stop).await;
}

fn probes() -> Router<Arc<Telemetry>> {
    Router::new().route("/livez", get(livez)).route("/readyz", get(readyz))
}

fn app(telemetry: Arc<Telemetry>) -> Router {
    probes()
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(api::status))
        .route("/api/v1/functions", get(api::functions))
        .route("/api/v1/functions/{account}/{region}/{name}", get(api::function))
        .route("/api/v1/openapi.json", get(api::openapi))
        .merge(page::routes())
        .fallback(nothing_here)
        .method_not_allowed_fallback(only_reading)
        .with_state(telemetry)
}

/// What is served where all connections are taken.
fn busy(telemetry: Arc<Telemetry>) -> Router {
    let busy = async || {
        let mut answer =
            problem(StatusCode::SERVICE_UNAVAILABLE, "all connections are taken: ask again soon".to_owned());
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        answer
    };
    probes().fallback(busy).with_state(telemetry)
}

/// Where only this machine can connect, only its own names are answered: a page from elsewhere whose name was made to lead
/// here (DNS rebinding) would read everything.
async fn loopback_names(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST);
    if host.is_none_or(|host| host.to_str().is_ok_and(is_loopback)) {
        return next.run(request).await;
    }
    let told = "this listens on a loopback address, and answers to localhost and loopback addresses alone";
    problem(StatusCode::MISDIRECTED_REQUEST, told.to_owned())
}

/// Whether the value of a `Host` header names this machine itself.
fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.is_ok_and(|address| address.is_loopback()) || name.eq_ignore_ascii_case("localhost")
}

async fn metrics(State(telemetry): State<Arc<Telemetry>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], telemetry.metrics_text())
}

async fn livez(State(telemetry): State<Arc<Telemetry>>) -> impl IntoResponse {
    match telemetry.is_live() {
        true => (StatusCode::OK, "ok\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "an account and region has not been worked on for a minute\n"),
    }
}

async fn readyz(State(telemetry): State<Arc<Telemetry>>) -> impl IntoResponse {
    let shown = telemetry.shown();
    match (shown.ready, &shown.fleet.file.digest) {
        (true, _) => (StatusCode::OK, "ok\n"),
        (false, None) => (StatusCode::SERVICE_UNAVAILABLE, "no desired state is in force yet\n"),
        (false, Some(_)) => (StatusCode::SERVICE_UNAVAILABLE, "not every account and region has answered yet\n"),
    }
}

async fn nothing_here(uri: Uri) -> Response {
    let paths = "/, /api/v1/status, /api/v1/functions, /api/v1/functions/ACCOUNT/REGION/NAME, /api/v1/openapi.json, \
                 /metrics, /livez and /readyz";
    problem(StatusCode::NOT_FOUND, format!("there is nothing at {}; there are {paths}", uri.path()))
}

async fn only_reading() -> Response {
    problem(StatusCode::METHOD_NOT_ALLOWED, "everything here is read only: use GET".to_owned())
}

/// An answer that says what is wrong with the question.
fn problem(status: StatusCode, error: String) -> Response {
    (status, json(&Problem { error })).into_response()
}

/// A value as JSON; each text in it can be shown as it is, by the page or by whoever asks.
fn json(value: &impl Serialize) -> Response {
    match serde_json::to_string(value).map(shown_json) {
        Ok(body) => {
            let headers = [(header::CONTENT_TYPE, "application/json"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
            (headers, body).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// An answer that stays the same as long as its tag does; without a body for whoever has it already.
fn tagged(asked: &HeaderMap, tag: &str, make: impl FnOnce() -> Response) -> Response {
    let tag = format!("\"{tag}\"");
    let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut known = known.flat_map(|value| value.split(',')).map(str::trim);
    let same = known.any(|known| known == "*" || known.trim_start_matches("W/") == tag);
    let mut response = if same { StatusCode::NOT_MODIFIED.into_response() } else { make() };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    // Kept, and asked about each time.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// The tag of whatever is made from this picture: another one after each change, and after each start.
fn tag(telemetry: &Telemetry, shown: &Shown) -> String {
    format!("{:x}-{:x}", telemetry.begun().0, shown.fleet.revision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_and_addresses_are_this_machine() {
        for host in ["localhost", "LOCALHOST:9090", "127.0.0.1", "127.1.2.3:80", "[::1]", "[::1]:9090"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com:80",
            "10.0.0.1",
            "[::2]",
            "127.0.0.1@x",
            "a b",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
