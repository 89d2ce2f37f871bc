//! How an answer gets to the caller when it does not get there as it should.
//!
//! The server closes a connection when a body fails. If it fails before anything was sent, the caller sees no answer at
//! all; if it fails later, an answer that is shorter than its `Content-Length` says.

use std::io;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::stream;

use super::LARGEST_ANSWER;
use crate::simulator::faults::Delivery;

/// What a proxy says in AWS's place.
const PAGE: &str = "<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>\r\n";

/// What no service of AWS ever says.
const GARBAGE: &str = "\u{1}\u{2} this is neither JSON nor XML >";

pub(super) async fn deliver(mut response: Response, how: Delivery) -> Response {
    match how {
        Delivery::Whole => response,
        Delivery::Late(by) => {
            tokio::time::sleep(by).await;
            response
        }
        Delivery::None => Response::new(Body::from_stream(stream::iter([Err::<Bytes, _>(closed())]))),
        Delivery::Half => half(response).await,
        Delivery::Garbage => {
            *response.status_mut() = StatusCode::OK;
            response.headers_mut().remove("x-amzn-errortype");
            *response.body_mut() = Body::from(GARBAGE);
            response
        }
        Delivery::Page => {
            let mut page = Response::new(Body::from(PAGE));
            *page.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            page.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
            page
        }
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "closed on purpose")
}

/// The first half of a body behind the length of the whole.
async fn half(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    // The bodies here are in memory already.
    let whole = to_bytes(body, LARGEST_ANSWER).await.unwrap_or_default();
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    let first = whole.slice(..whole.len() / 2);
    let chunks = stream::unfold(Some(first), |state| async {
        match state {
            Some(first) => Some((Ok(first), None)),
            // The first half goes out while this waits; without waiting, nothing would.
            None => {
                tokio::task::yield_now().await;
                Some((Err(closed()), None))
            }
        }
    });
    Response::from_parts(parts, Body::from_stream(chunks))
}
