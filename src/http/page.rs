//! The page for people: a few files that are part of the program, and a policy by which a browser runs nothing else.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::tagged;
use crate::names::Digest;
use crate::telemetry::Telemetry;

/// What the page consists of: path, kind and content.
const FILES: &[(&str, &str, &str)] = &[
    ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/page/style.css", "text/css; charset=utf-8", include_str!("page/style.css")),
    ("/page/main.js", "text/javascript; charset=utf-8", include_str!("page/main.js")),
    ("/page/api.js", "text/javascript; charset=utf-8", include_str!("page/api.js")),
    ("/page/dom.js", "text/javascript; charset=utf-8", include_str!("page/dom.js")),
    ("/page/overview.js", "text/javascript; charset=utf-8", include_str!("page/overview.js")),
    ("/page/table.js", "text/javascript; charset=utf-8", include_str!("page/table.js")),
    ("/page/details.js", "text/javascript; charset=utf-8", include_str!("page/details.js")),
    ("/page/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
];

/// Only what comes from here, nothing inline, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// The routes of these files.
pub(super) fn routes() -> Router<Arc<Telemetry>> {
    FILES.iter().fold(Router::new(), |router, (path, kind, content)| {
        let tag = Digest::of(content.as_bytes()).short().to_owned();
        router.route(path, get(move |asked: HeaderMap| async move { file(&asked, &tag, kind, content) }))
    })
}

fn file(asked: &HeaderMap, tag: &str, kind: &'static str, content: &'static str) -> Response {
    let headers: [(HeaderName, &str); 4] = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    tagged(asked, tag, || (headers, content).into_response())
}
