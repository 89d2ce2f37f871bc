//! What the daemon shows: `/metrics`, `/livez` and `/readyz` for machines, `/api/v1` for programs and `/` for people. Read
//! only.
//!
//! Nothing in here can hold up the loop: answers are made from a picture that the loop leaves behind ([`Shown`]), with no
//! lock between the two that is held for longer than it takes to copy a pointer.

pub mod answer;
mod api;
mod connections;
mod page;
mod query;
mod schema;

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::net::TcpListener;

use self::answer::Problem;
pub use self::schema::openapi;
use crate::telemetry::{Shown, Telemetry};

/// Serves until `stop` is done, and lets requests in hand end.
pub async fn serve(listener: TcpListener, telemetry: Arc<Telemetry>, stop: impl Future<Output = ()>) {
    connections::serve(listener, app(telemetry), stop).await;
}

fn app(telemetry: Arc<Telemetry>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/api/v1/status", get(api::status))
        .route("/api/v1/functions", get(api::functions))
        .route("/api/v1/functions/{account}/{region}/{name}", get(api::function))
        .route("/api/v1/openapi.json", get(api::openapi))
        .merge(page::routes())
        .fallback(nothing_here)
        .method_not_allowed_fallback(only_reading)
        .with_state(telemetry)
}

async fn metrics(State(telemetry): State<Arc<Telemetry>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], telemetry.metrics_text())
}

async fn livez(State(telemetry): State<Arc<Telemetry>>) -> impl IntoResponse {
    match telemetry.is_live() {
        true => (StatusCode::OK, "ok\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "the loop has not turned for a minute\n"),
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

/// A value as JSON.
fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
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
