//! The wire: Lambda's REST JSON and the query protocols of EC2, IAM and STS, as the SDKs and the AWS CLI speak them.
//!
//! All four services share one address, as behind an `AWS_ENDPOINT_URL`. Which one is meant, and for which account and
//! region, stands in the signature's credential scope; the signature itself is not verified, since there is no secret.

mod credential;
mod delivery;
mod ec2;
mod form;
mod iam;
mod lambda;
mod outside;
mod sts;
mod xml;

use std::cell::Cell;
use std::future::Future;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use self::credential::Credential;
use self::form::Form;
use super::account::{Aws, AwsError, Caller, function_arn};
use super::door::{Change, Door, Incoming, Target};
use super::faults::Delivery;
use crate::cloud::Service;
use crate::names::{ScopeKey, Time};

/// The largest request body, in bytes.
const LARGEST_BODY: usize = 1 << 20;

/// The largest answer that can be cut off, in bytes; a page of functions is far smaller.
const LARGEST_ANSWER: usize = 64 << 20;

/// The services of one world, as an application to serve or to test; and below `/_simulator`, without any signature, a
/// look from outside: `GET calls`, `POST faults` (TOML or JSON as in a world file) and `DELETE faults`.
pub fn app(door: Door) -> Router {
    outside::routes().fallback(handle).with_state(door)
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
    /// How long to wait before the next call.
    retry_after: Option<Duration>,
}

impl Answer {
    fn ok(body: String) -> Self {
        Self { status: 200, body, error_type: None, retry_after: None }
    }
}

/// A request of a known caller.
struct Session<'a> {
    door: &'a Door,
    caller: Caller,
    at: ScopeKey,
    service: Service,
    request_id: &'a str,
    /// How the answer is to get to the caller.
    delivery: &'a Cell<Delivery>,
}

impl Session<'_> {
    /// A call that only reads.
    fn read<T>(
        &self,
        operation: &'static str,
        carry_out: impl FnOnce(&mut Aws, Time) -> Result<T, AwsError>,
    ) -> Result<T, AwsError> {
        self.call(operation, None, None, carry_out)
    }

    /// A call that only reads, about one function or role.
    fn read_of<T>(
        &self,
        operation: &'static str,
        subject: &str,
        carry_out: impl FnOnce(&mut Aws, Time) -> Result<T, AwsError>,
    ) -> Result<T, AwsError> {
        self.call(operation, Some(subject), None, carry_out)
    }

    /// A call that changes something.
    fn change<T>(
        &self,
        operation: &'static str,
        change: Change<'_>,
        carry_out: impl FnOnce(&mut Aws, Time) -> Result<T, AwsError>,
    ) -> Result<T, AwsError> {
        self.call(operation, Some(change.subject), Some(change), carry_out)
    }

    fn call<T>(
        &self,
        operation: &'static str,
        subject: Option<&str>,
        change: Option<Change<'_>>,
        carry_out: impl FnOnce(&mut Aws, Time) -> Result<T, AwsError>,
    ) -> Result<T, AwsError> {
        let Self { at: ScopeKey { account, region }, service, .. } = self;
        let of = Target {
            account,
            region: matches!(service, Service::Lambda | Service::Ec2).then_some(region),
            subject: subject.map(bare),
        };
        let (answer, delivery) = self.door.call(Incoming { service: *service, operation, of, change }, carry_out);
        self.delivery.set(delivery);
        answer
    }
}

/// The name of a function or role that is given as a name, a partial ARN or an ARN.
fn bare(subject: &str) -> &str {
    let function = subject.rsplit_once("function:").map_or(subject, |(_, name)| name);
    let role = function.rsplit('/').next().unwrap_or(function);
    role.split(':').next().unwrap_or(role)
}

async fn handle(State(door): State<Door>, request: Request) -> Response {
    let request_id = door.fresh_request_id();
    let mut delivery = Delivery::default();
    let (parts, body) = request.into_parts();
    let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (protocol, answer) = match Credential::parse(authorization) {
        Err(error) => (Protocol::guess(parts.uri.path()), Err(error)),
        Ok(credential) => {
            let protocol = Protocol::of(credential.service);
            let answer = match to_bytes(body, LARGEST_BODY).await {
                Ok(body) => {
                    let (answer, how) = dispatch(&door, credential, &parts, &body, &request_id);
                    delivery = how;
                    answer
                }
                Err(_) => Err(AwsError::new(
                    413,
                    "RequestTooLargeException",
                    format!("Request must be smaller than {LARGEST_BODY} bytes"),
                )),
            };
            (protocol, answer)
        }
    };
    let answer = answer.unwrap_or_else(|error| refuse(protocol, &error, &request_id));
    delivery::deliver(respond(protocol, &request_id, answer), delivery).await
}

fn dispatch(
    door: &Door,
    credential: Credential,
    parts: &axum::http::request::Parts,
    body: &[u8],
    request_id: &str,
) -> (Result<Answer, AwsError>, Delivery) {
    let Credential { key, region, service } = credential;
    let caller = match door.with(|aws, now| aws.caller(&key, &region, service, now)) {
        Ok(caller) => caller,
        Err(error) => return (Err(error), Delivery::Whole),
    };
    let at = ScopeKey { account: caller.account.clone(), region };
    let delivery = Cell::default();
    let session = Session { door, caller, at, service, request_id, delivery: &delivery };
    let answer = match service {
        Service::Lambda => lambda::handle(&session, &parts.method, &parts.uri, body),
        Service::Ec2 => ec2::handle(&session, &Form::parse(body)).map(Answer::ok),
        Service::Iam => iam::handle(&session, &Form::parse(body)).map(Answer::ok),
        Service::Sts => sts::handle(&session, &Form::parse(body)).map(Answer::ok),
    };
    (answer, delivery.get())
}

/// An error in the shape that the service gives it.
fn refuse(protocol: Protocol, error: &AwsError, request_id: &str) -> Answer {
    let (body, error_type) = match protocol {
        Protocol::RestJson => (lambda::error_body(error), Some(error.code.to_string())),
        Protocol::Ec2 => (ec2::error_body(error, request_id), None),
        Protocol::Query(namespace) => (xml::error_body(namespace, error, request_id), None),
    };
    Answer { status: error.status, body, error_type, retry_after: error.retry_after }
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
    let retry_after = answer.retry_after.map(|wait| wait.as_secs().to_string());
    let texts = [
        ("x-amzn-requestid", Some(request_id)),
        ("x-amzn-errortype", answer.error_type.as_deref()),
        ("retry-after", retry_after.as_deref()),
    ];
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
