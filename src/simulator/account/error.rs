//! Answers that are errors, and the ones that every operation can meet, each in the words of its service.

use std::borrow::Cow;
use std::time::Duration;

use crate::cloud::Service;
use crate::names::AccountId;

/// An answer that is an error, as it goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsError {
    /// The HTTP status.
    pub status: u16,
    /// AWS's code, such as `ResourceConflictException`.
    pub code: Cow<'static, str>,
    /// AWS's text.
    pub message: String,
    /// How long AWS asks to wait, where it does; a header in whole seconds.
    pub retry_after: Option<Duration>,
}

impl AwsError {
    /// An error with this status, code and text.
    pub fn new(status: u16, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), retry_after: None }
    }

    /// The refusal of credentials that belong to no account of this world.
    pub fn invalid_token(service: Service) -> Self {
        let text = "The security token included in the request is invalid.";
        match service {
            Service::Lambda => Self::new(403, "UnrecognizedClientException", text),
            Service::Iam | Service::Sts => Self::new(403, "InvalidClientTokenId", text),
            Service::Ec2 => {
                Self::new(401, "AuthFailure", "AWS was not able to validate the provided access credentials")
            }
        }
    }

    /// The refusal of credentials whose time is over.
    pub fn expired_token(service: Service) -> Self {
        let text = "The security token included in the request is expired";
        match service {
            Service::Lambda => Self::new(403, "ExpiredTokenException", text),
            Service::Iam | Service::Sts => Self::new(403, "ExpiredToken", text),
            Service::Ec2 => Self::new(400, "RequestExpired", "Request has expired."),
        }
    }

    /// The answer to a caller who calls too often.
    pub fn throttled(service: Service, retry_after: Option<Duration>) -> Self {
        let error = match service {
            Service::Lambda => Self::new(429, "TooManyRequestsException", "Rate exceeded"),
            Service::Iam | Service::Sts => Self::new(400, "Throttling", "Rate exceeded"),
            Service::Ec2 => Self::new(503, "RequestLimitExceeded", "Request limit exceeded."),
        };
        Self { retry_after, ..error }
    }

    /// Lambda's refusal of an update because its own calls to EC2 are too many: a 400, which no SDK retries.
    pub fn throttled_by_ec2() -> Self {
        let text = "Your request has been throttled by EC2, please make sure you have enough API rate limit. \
                    EC2 Error Code: RequestLimitExceeded. EC2 Error Message: Request limit exceeded.";
        Self::new(400, "InvalidParameterValueException", text)
    }

    /// A failure inside the service.
    pub fn server(service: Service) -> Self {
        let code = match service {
            Service::Lambda => "ServiceException",
            Service::Iam => "ServiceFailure",
            Service::Sts => "InternalFailure",
            Service::Ec2 => "InternalError",
        };
        Self::new(
            500,
            code,
            "An internal error has occurred. Retry your request, but if the problem persists, contact us.",
        )
    }

    /// The refusal of a caller who has no right to this. EC2 names no resource where it only describes.
    pub fn denied(service: Service, operation: &str, account: &AccountId, resource: &str) -> Self {
        let action = format!("{}:{operation}", service.name());
        let why = format!("because no identity-based policy allows the {action} action");
        let user = format!("User: arn:aws:iam::{account}:user/simulated is not authorized to perform: {action}");
        match service {
            Service::Lambda => Self::new(403, "AccessDeniedException", format!("{user} on resource: {resource} {why}")),
            Service::Iam | Service::Sts => {
                Self::new(403, "AccessDenied", format!("{user} on resource: {resource} {why}"))
            }
            Service::Ec2 => {
                let text = format!("You are not authorized to perform this operation. {user} {why}");
                Self::new(403, "UnauthorizedOperation", text)
            }
        }
    }
}
