//! The wire: Lambda's REST JSON and the query protocols of EC2, IAM and STS, as the SDKs and the AWS CLI speak them.
//!
//! All four services share one address, as behind an `AWS_ENDPOINT_URL`. Which one is meant, and for which account and
//! region, stands in the signature's credential scope; the signature itself is not verified, since there is no secret.

mod credential;
mod ec2;
mod form;
mod iam;
mod lambda;
mod sts;
mod xml;

use std::future::Future;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use self::credential::Credential;
use self::form::Form;
use super::account::{Aws, AwsError, Caller, function_arn};
use super::door::{Door, Incoming};
use crate::cloud::Service;
use crate::names::{Scope, Time};

/// The largest request body, in bytes.
const LARGEST_BODY: usize = 1 << 20;

/// The services of one world, as an application to serve or to test.
pub fn app(door: Door) -> Router {
    Router::new().fallback(handle).with_state(door)
}

/// Serves the world on this listener until `shutdown` is done; calls in hand are finished.
pub async fn serve(
    listener: tokio::net::TcpListener,
    door: Door,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, app(door)).with_graceful_shutdown(shutdown).await
}

/// The shape of answers.
#[derive(Clone, Copy)]
enum Protocol {
    /// Lambda's.
    RestJson,
    /// EC2's XML.
    Ec2,
    /// The XML of IAM and STS, with the namespace of the service's version.
    Query(&'static str),
}

impl Protocol {
    fn of(service: Service) -> Self {
        match service {
            Service::Lambda => Self::RestJson,
            Service::Ec2 => Self::Ec2,
            Service::Iam => Self::Query(iam::NAMESPACE),
            Service::Sts => Self::Query(sts::NAMESPACE),
        }
    }

    /// The protocol of a request whose signature does not say which service is meant.
    fn guess(path: &str) -> Self {
        if path.len() > 1 { Self::RestJson } else { Self::Query(sts::NAMESPACE) }
    }
}

/// An answer on its way out.
struct Answer {
    status: u16,
    body: String,
    /// Lambda's header for errors.
    error_type: Option<String>,
}

impl Answer {
    fn ok(body: String) -> Self {
        Self { status: 200, body, error_type: None }
    }
}

/// A request of a known caller.
struct Session<'a> {
    door: &'a Door,
    caller: Caller,
    at: Scope,
    request_id: &'a str,
}

impl Session<'_> {
    /// A call that only reads.
    fn read<T>(
        &self,
        operation: &'static str,
        carry_out: impl FnOnce(&mut Aws, Time) -> Result<T, AwsError>,
    ) -> Result<T, AwsError> {
        self.door.call(Incoming { operation, account: &self.at.account, change: None }, carry_out)
    }

    /// A call that changes a subject.
    fn change<T>(
        &self,
        operation: &'static str,
        subject: &str,
        detail: String,
        carry_out: impl FnOnce(&mut Aws, Time) -> Result<T, AwsError>,
    ) -> Result<T, AwsError> {
        let change = Some((subject.to_owned(), detail));
        self.door.call(Incoming { operation, account: &self.at.account, change }, carry_out)
    }
}

async fn handle(State(door): State<Door>, request: Request) -> Response {
    let request_id = door.fresh_request_id();
    let (parts, body) = request.into_parts();
    let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (protocol, answer) = match Credential::parse(authorization) {
        Err(error) => (Protocol::guess(parts.uri.path()), Err(error)),
        Ok(credential) => {
            let protocol = Protocol::of(credential.service);
            let answer = match to_bytes(body, LARGEST_BODY).await {
                Ok(body) => dispatch(&door, credential, &parts, &body, &request_id),
                Err(_) => Err(AwsError::new(
                    413,
                    "RequestTooLargeException",
                    format!("Request must be smaller than {LARGEST_BODY} bytes"),
                )),
            };
            (protocol, answer)
        }
    };
    respond(protocol, &request_id, answer.unwrap_or_else(|error| refuse(protocol, &error, &request_id)))
}

fn dispatch(
    door: &Door,
    credential: Credential,
    parts: &axum::http::request::Parts,
    body: &[u8],
    request_id: &str,
) -> Result<Answer, AwsError> {
    let Credential { key, region, service } = credential;
    let caller = door.with(|aws, now| aws.caller(&key, service, now))?;
    let at = Scope { account: caller.account.clone(), region };
    let session = Session { door, caller, at, request_id };
    if service == Service::Lambda {
        return lambda::handle(&session, &parts.method, &parts.uri, body);
    }
    let form = Form::parse(body);
    let body = match service {
        Service::Ec2 => ec2::handle(&session, &form),
        Service::Iam => iam::handle(&session, &form),
        _ => sts::handle(&session, &form),
    }?;
    Ok(Answer::ok(body))
}

/// An error in the shape that the service gives it.
fn refuse(protocol: Protocol, error: &AwsError, request_id: &str) -> Answer {
    let (body, error_type) = match protocol {
        Protocol::RestJson => (lambda::error_body(error), Some(error.code.to_string())),
        Protocol::Ec2 => (ec2::error_body(error, request_id), None),
        Protocol::Query(namespace) => (xml::error_body(namespace, error, request_id), None),
    };
    Answer { status: error.status, body, error_type }
}

fn respond(protocol: Protocol, request_id: &str, answer: Answer) -> Response {
    let content_type = match protocol {
        Protocol::RestJson => "application/json",
        Protocol::Ec2 | Protocol::Query(_) => "text/xml;charset=UTF-8",
    };
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    let texts = [("x-amzn-requestid", Some(request_id)), ("x-amzn-errortype", answer.error_type.as_deref())];
    for (name, text) in texts {
        if let Some(value) = text.and_then(|text| HeaderValue::from_str(text).ok()) {
            headers.insert(name, value);
        }
    }
    response
}

/// The answer to an action that the service does not have here.
fn invalid_action(action: Option<&str>) -> AwsError {
    match action {
        None => AwsError::new(400, "MissingAction", "The request must contain the parameter Action"),
        Some(action) => {
            let text = format!("The action {action} is not valid for this web service.");
            AwsError::new(400, "InvalidAction", text)
        }
    }
}
