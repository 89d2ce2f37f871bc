//! `/api/v1`.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::answer::{Details, Status};
use super::query::{self, Query};
use super::{json, problem, tag, tagged};
use crate::names::FunctionKey;
use crate::telemetry::Telemetry;

pub(super) async fn status(
    State(telemetry): State<Arc<Telemetry>>,
    RawQuery(query): RawQuery,
    asked: HeaderMap,
) -> Response {
    if let Err(error) = query::none(query.as_deref()) {
        return problem(StatusCode::BAD_REQUEST, error);
    }
    let shown = telemetry.shown();
    tagged(&asked, &tag(&telemetry, &shown), || json(&Status::of(&shown)))
}

pub(super) async fn functions(
    State(telemetry): State<Arc<Telemetry>>,
    RawQuery(query): RawQuery,
    asked: HeaderMap,
) -> Response {
    let query = match Query::parse(query.as_deref().unwrap_or_default()) {
        Ok(query) => query,
        Err(error) => return problem(StatusCode::BAD_REQUEST, error),
    };
    let shown = telemetry.shown();
    tagged(&asked, &tag(&telemetry, &shown), || json(&query.answer(&shown.fleet.lines, shown.fleet.wall)))
}

pub(super) async fn function(
    State(telemetry): State<Arc<Telemetry>>,
    path: Result<Path<(String, String, String)>, PathRejection>,
    RawQuery(query): RawQuery,
    asked: HeaderMap,
) -> Response {
    let key = match path {
        Ok(Path((account, region, name))) => {
            FunctionKey::parse(&account, &region, &name).map_err(|error| error.to_string())
        }
        Err(rejection) => Err(rejection.body_text()),
    };
    let key = match query::none(query.as_deref()).and(key) {
        Ok(key) => key,
        Err(error) => return problem(StatusCode::BAD_REQUEST, error),
    };
    let shown = telemetry.shown();
    match shown.fleet.get(&key) {
        Some(line) => tagged(&asked, &tag(&telemetry, &shown), || json(&Details::of(line, shown.fleet.wall))),
        None => problem(StatusCode::NOT_FOUND, format!("the desired state lists no function {key}")),
    }
}

pub(super) async fn openapi() -> Response {
    ([(header::CACHE_CONTROL, "no-cache")], json(&super::openapi())).into_response()
}
