//! The look from outside, for tests in other processes: what was called, and what is to go wrong.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{get, post};
use serde_json::json;

use crate::simulator::door::Door;
use crate::simulator::world::DeclaredFaults;

/// What an answer is made of.
type Answer = (StatusCode, [(header::HeaderName, &'static str); 1], String);

pub(super) fn routes() -> Router<Door> {
    Router::new()
        .route("/_simulator/calls", get(calls))
        .route("/_simulator/faults", post(add_faults).delete(clear_faults))
}

async fn calls(State(door): State<Door>) -> Answer {
    let body = json!({ "counts": door.counts(), "changes": door.changes() });
    (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n"))
}

/// Adds the faults of the body behind those that are there; their times begin with the world, as in a world file.
async fn add_faults(State(door): State<Door>, headers: HeaderMap, body: String) -> Answer {
    let json = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let declared = if json || body.trim_start().starts_with('{') {
        DeclaredFaults::from_json(&body)
    } else {
        DeclaredFaults::from_toml(&body)
    };
    match declared {
        Ok(faults) => {
            let added = faults.len();
            door.with(|aws, _| faults.into_iter().for_each(|fault| aws.faults.add(fault)));
            plain(StatusCode::OK, format!("added {added}"))
        }
        Err(problem) => plain(StatusCode::BAD_REQUEST, problem),
    }
}

async fn clear_faults(State(door): State<Door>) -> Answer {
    door.with(|aws, _| aws.faults.clear());
    plain(StatusCode::OK, "no faults any more".to_owned())
}

fn plain(status: StatusCode, text: String) -> Answer {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{text}\n"))
}
