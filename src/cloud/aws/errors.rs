//! The SDK's errors, brought to what the table of errors needs: service, status, code and text.

use std::error::Error;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_lambda::operation::RequestId as _;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::cloud::error::{NO_CODE, PAGE, classify};
use crate::cloud::{Class, CloudError, Operation, Service};

/// The longest time that is waited for at AWS's request.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// What every error of an operation can do.
pub(super) trait SdkFailure: ProvideErrorMetadata + Error + Send + Sync + 'static {}
impl<E: ProvideErrorMetadata + Error + Send + Sync + 'static> SdkFailure for E {}

/// An error of the SDK.
pub(super) type Sdk<E> = SdkError<E, HttpResponse>;

/// An answer without what it must have.
pub(super) fn malformed(operation: Operation, what: &str) -> CloudError {
    CloudError::local(operation, Class::Malformed, "MalformedAnswer", what)
}

pub(super) fn convert<E: SdkFailure>(operation: Operation, error: Sdk<E>) -> CloudError {
    match &error {
        // The answer says that it was done, and then makes no sense.
        SdkError::ServiceError(context) if context.raw().status().is_success() => {
            malformed(operation, &innermost(&error))
        }
        SdkError::ServiceError(context) => {
            let (answer, raw) = (context.err(), context.raw());
            let status = raw.status().as_u16();
            let code = answer.code().map_or_else(|| without_code(raw), str::to_owned);
            let text = answer.message().unwrap_or("(no text)");
            CloudError {
                request_id: error.request_id().map(str::to_owned),
                retry_after: retry_after(raw),
                ..CloudError::answered(operation, status, &code, text)
            }
        }
        SdkError::ResponseError(context) if context.raw().status().as_u16() >= 500 => {
            let status = context.raw().status().as_u16();
            CloudError::answered(operation, status, &without_code(context.raw()), &innermost(&error))
        }
        SdkError::ResponseError(_) => malformed(operation, &innermost(&error)),
        SdkError::TimeoutError(_) => CloudError::local(operation, Class::Timeout, "Timeout", &innermost(&error)),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            CloudError::local(operation, Class::Timeout, "Timeout", &innermost(&error))
        }
        _ if chain(&error).any(|error| error.is::<CredentialsError>()) => match chain(&error).find_map(not_assumed) {
            Some(text) => CloudError::local(operation, Class::NotAssumed, "AssumeRoleDenied", &text),
            None => CloudError::local(operation, Class::Credentials, "NoCredentials", &innermost(&error)),
        },
        SdkError::ConstructionFailure(_) => CloudError::local(operation, Class::Invalid, "NotSent", &innermost(&error)),
        _ => CloudError::local(operation, Class::Unreachable, "Unreachable", &innermost(&error)),
    }
}

/// What stands for the code of an answer that has none.
fn without_code(raw: &HttpResponse) -> String {
    let begins = |body: &[u8]| body.get(..9).is_some_and(|begin| begin.eq_ignore_ascii_case(b"<!doctype"));
    match raw.status().as_u16() {
        500 if raw.body().bytes().is_some_and(begins) => PAGE.to_owned(),
        status => format!("{NO_CODE}{status}"),
    }
}

/// What STS says where a role may not be assumed: who asked, and for what.
fn not_assumed(error: &(dyn Error + 'static)) -> Option<String> {
    let SdkError::ServiceError(context) = error.downcast_ref::<Sdk<AssumeRoleError>>()? else { return None };
    let (code, text) = (context.err().code()?, context.err().message().unwrap_or("(no text)"));
    (classify(Service::Sts, context.raw().status().as_u16(), code, text) == Class::AccessDenied)
        .then(|| format!("sts:AssumeRole answered {code}: {text}"))
}

/// `Retry-After` in seconds, as Lambda sends it with a 429. What asks for more than an hour is taken for an hour: the
/// header may come from a proxy, and nobody is to be forgotten for its sake.
fn retry_after(raw: &HttpResponse) -> Option<Duration> {
    let seconds: f64 = raw.headers().get("retry-after")?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds.min(LONGEST_WAIT.as_secs_f64())).ok()
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// The cause at the bottom: the SDK's own words above it say only that a call failed.
fn innermost<E: SdkFailure>(error: &Sdk<E>) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}
