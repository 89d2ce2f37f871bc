//! The one table of errors: what AWS said, by service, code and text, becomes one of a few classes.
//!
//! Above this file nobody looks at a code or a text to decide. Texts are matched by substring, since AWS adds ids and
//! changes punctuation; a code that is not in the table falls back on the HTTP status, so that nothing unknown stops us.

use std::time::Duration;

use super::{Operation, Service};
use crate::text::shown_within;

/// What kind of error it is, as far as it makes a difference to what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The thing that was asked for does not exist.
    NotFound,
    /// The controller's own rights do not suffice.
    AccessDenied,
    /// There are no credentials, or they are not valid any more.
    Credentials,
    /// The role through which the account is reached may not be assumed.
    NotAssumed,
    /// No connection could be made, or it broke.
    Unreachable,
    /// No answer came within the deadline.
    Timeout,
    /// AWS limits our rate.
    Throttled,
    /// Lambda's own calls to EC2 are limited; a 400 that no SDK retries.
    Ec2Throttled,
    /// AWS failed.
    Server,
    /// An answer came that cannot be understood.
    Malformed,
    /// The function is being created or updated.
    Busy,
    /// The revision is not the latest one: somebody else was faster.
    StaleRevision,
    /// The execution role may not make network interfaces, or IAM has not noticed yet that it may.
    RoleDenied,
    /// Lambda may not assume the execution role, or IAM has not noticed yet that it may.
    RoleNotAssumable,
    /// Lambda may not use the function's KMS key for its role, or the grant has not spread yet.
    KmsGrant,
    /// The controller may not use the function's KMS key, as whoever updates the function has to.
    KmsDenied,
    /// The execution role is another one than the grant on the function's KMS key was made for.
    KmsGrantVoid,
    /// The function's KMS key is gone, disabled or in another state in which it cannot be used.
    KmsKey,
    /// The function mounts a file system, and so cannot leave its VPC.
    Mounted,
    /// The function's file system cannot be mounted.
    FileSystem,
    /// The function's container image is gone, or cannot be used.
    Image,
    /// The function does not start.
    Startup,
    /// A subnet or security group does not exist, or does not fit the others.
    Network,
    /// A subnet has no free address.
    NoAddress,
    /// The quota of Lambda's network interfaces is used up.
    InterfaceQuota,
    /// Another quota of Lambda's is used up.
    ServiceQuota,
    /// The quota of managed policies on a role is used up.
    PolicyQuota,
    /// The role cannot be changed: it belongs to a service.
    RoleUnmodifiable,
    /// The policy does not exist or cannot be attached.
    PolicyNotAttachable,
    /// The function's runtime is one that AWS no longer updates.
    Runtime,
    /// Refused for a reason that is not in the table; trying the same again will not help.
    Invalid,
}

impl Class {
    /// Whether the same call may well succeed a moment later: what passes by itself, and is no matter of credentials.
    pub fn passes_unchanged(self) -> bool {
        self.passes() && !matches!(self, Self::Credentials | Self::NotAssumed)
    }

    /// Whether such an error is likely to pass by itself, whatever was asked.
    pub fn passes(self) -> bool {
        matches!(
            self,
            Self::Credentials
                | Self::NotAssumed
                | Self::Unreachable
                | Self::Timeout
                | Self::Throttled
                | Self::Ec2Throttled
                | Self::Server
                | Self::Malformed
        )
    }
}

/// An answer that is an error, with all that a person needs to find out why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudError {
    /// What was called.
    pub operation: Operation,
    /// What kind of error it is.
    pub class: Class,
    /// The HTTP status; none where no answer came.
    pub status: Option<u16>,
    /// AWS's code, or the client's own word where no answer came.
    pub code: String,
    /// What AWS wrote.
    pub text: String,
    /// The id under which AWS's support finds the call.
    pub request_id: Option<String>,
    /// How long AWS asks to wait.
    pub retry_after: Option<Duration>,
}

impl CloudError {
    /// An error that AWS answered: its class comes from the table.
    pub fn answered(operation: Operation, status: u16, code: &str, text: &str) -> Self {
        let class = classify(operation.service(), status, code, text);
        Self { status: Some(status), ..Self::local(operation, class, code, text) }
    }

    /// An error for which there is no answer of AWS's: no connection, no credentials, no time left.
    pub fn local(operation: Operation, class: Class, code: &str, text: &str) -> Self {
        // Some texts go over several lines; a log line and a table have one.
        let text = UNTOLD.iter().fold(text, |text, part| text.split(part).next().unwrap_or_default());
        let text = shown_within(&text.split_whitespace().collect::<Vec<_>>().join(" "), LONGEST_TEXT).into_owned();
        let code = shown_within(code, LONGEST_CODE).into_owned();
        Self { operation, class, status: None, code, text, request_id: None, retry_after: None }
    }
}

impl CloudError {
    /// The right that the controller lacks, of an error of the class AccessDenied: what AWS names, or what was called.
    pub fn missing_right(&self) -> String {
        right_in_words(&self.text).unwrap_or_else(|| self.operation.to_string())
    }

    /// Whether who answered does not know the operation at all, as emulators do not know the younger ones.
    pub fn is_unheard_of(&self) -> bool {
        let said = matches!(&*self.code, PAGE | "InvalidAction" | "UnknownOperationException");
        self.operation == Operation::GetSecurityGroupsForVpc && (said || self.status == Some(501))
    }

    /// Who denies it, of an error of the class AccessDenied, as far as AWS says so.
    pub fn denied_by(&self) -> Denier {
        let says = |(part, _): &&(&str, Denier)| self.text.contains(*part);
        DENIERS.iter().find(says).map_or(Denier::NobodyAllows, |(_, denier)| *denier)
    }

    /// What AWS does not say of this answer, but whoever has met it knows.
    pub fn hint(&self) -> Option<&'static str> {
        // Other regions take the same credentials.
        let not_enabled = "The security token included in the request is invalid";
        let is_told = self.class == Class::Credentials && self.text.starts_with(not_enabled);
        is_told.then_some("if other regions answer, this one may not be enabled for the account")
    }
}

impl std::fmt::Display for CloudError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { operation, code, text, .. } = self;
        match self.status {
            Some(_) => write!(f, "{operation} answered {code}: {}", text.trim_end_matches('.'))?,
            None => write!(f, "{operation} failed: {}", text.trim_end_matches('.'))?,
        }
        match &self.request_id {
            Some(id) => write!(f, " (request {})", shown_within(id, LONGEST_CODE)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for CloudError {}

/// Where a text ends before it is told: EC2 adds kilobytes that only STS can decode, and where a signature does not fit,
/// AWS quotes the request, session token and all.
const UNTOLD: [&str; 2] = ["Encoded authorization failure message", "The Canonical String for this request"];
/// The most characters of a text that are told. It may not be AWS's own, and then be of any length.
const LONGEST_TEXT: usize = 1000;
/// The same of a code, which is a metric label too.
const LONGEST_CODE: usize = 100;

/// Where an answer has no code, its status stands for one behind this word.
pub(super) const NO_CODE: &str = "HTTP ";
/// What stands for the code where the answer is the page that a web framework has for a fault: so moto answers an operation that
/// it lacks. AWS answers no pages.
pub(super) const PAGE: &str = "HTTP 500, a page";

/// Who denies the controller what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denier {
    /// No policy of its own allows it.
    NobodyAllows,
    /// Something that counts for more than its own policies, in words.
    Overruler(&'static str),
    /// Whoever owns the resource: its policy does not allow it.
    Owner,
}

/// What a text says of who denies, the first that fits: "because no ... allows the action", or "with an explicit deny in ...".
/// Source: AWS's page on access denied error messages.
const DENIERS: &[(&str, Denier)] = &[
    ("service control policy", Denier::Overruler("a policy of the organisation (SCP)")),
    ("resource control policy", Denier::Overruler("a policy of the organisation for resources (RCP)")),
    ("permissions boundary", Denier::Overruler("a permissions boundary")),
    ("session policy", Denier::Overruler("the policy of the session")),
    ("VPC endpoint policy", Denier::Overruler("the policy of a VPC endpoint")),
    ("explicit deny in an identity-based policy", Denier::Overruler("a statement of its own policies that denies it")),
    ("resource-based policy", Denier::Owner),
    ("explicit deny", Denier::Overruler("a statement that denies it")),
];

/// A row of the table: the codes it holds for (none: any), a part of the text (empty: any), and the class.
type Row = (&'static [&'static str], &'static str, Class);

/// Answers that mean the same from every service. Sources: the public service models and AWS's error references.
const ANYWHERE: &[Row] = &[
    (
        &[
            "ExpiredToken",
            "ExpiredTokenException",
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "AuthFailure",
            "SignatureDoesNotMatch",
            "InvalidSignatureException",
            "IncompleteSignature",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "RequestExpired",
            "OptInRequired",
            "RegionDisabledException",
        ],
        "",
        Class::Credentials,
    ),
    (
        &["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedAccess", "NotAuthorized"],
        "",
        Class::AccessDenied,
    ),
    (
        &[
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "RequestThrottled",
            "RequestThrottledException",
            "TooManyRequestsException",
            "RequestLimitExceeded",
            "BandwidthLimitExceeded",
            "LimitExceededException",
            "SlowDown",
            "PriorRequestNotComplete",
            "EC2ThrottledException",
            "ProvisionedThroughputExceededException",
            "TransactionInProgressException",
        ],
        "",
        Class::Throttled,
    ),
    (&["RequestTimeout", "RequestTimeoutException"], "", Class::Timeout),
    (
        &[
            "InternalFailure",
            "InternalError",
            "ServiceUnavailable",
            "ServiceException",
            "ServiceFailure",
            "Unavailable",
        ],
        "",
        Class::Server,
    ),
];

/// Lambda's answers.
const LAMBDA: &[Row] = &[
    (&["ResourceNotFoundException"], "", Class::NotFound),
    (&["ResourceConflictException"], "", Class::Busy),
    (&["PreconditionFailedException"], "", Class::StaleRevision),
    (&[], "The provided execution role does not have permissions", Class::RoleDenied),
    // An older wording. Where it says "your request credentials" instead, EC2 has refused the caller.
    (&["AccessDeniedException"], "your function execution role", Class::RoleDenied),
    (&[], "cannot be assumed by Lambda", Class::RoleNotAssumable),
    (&[], "throttled by EC2", Class::Ec2Throttled),
    (&[], "does not refer to a valid principal", Class::KmsGrantVoid),
    (&[], "KMS key is invalid for CreateGrant", Class::KmsGrant),
    // The caller; what Lambda does in the role's name says CreateGrant instead.
    (&[], "is not authorized to perform: kms:", Class::KmsDenied),
    (&["KMSAccessDeniedException"], "", Class::KmsGrant),
    (&["KMSDisabledException", "KMSInvalidStateException", "KMSNotFoundException"], "", Class::KmsKey),
    (&[], "cannot be removed with access point", Class::Mounted),
    (&["EFSMountConnectivityException", "EFSMountFailureException", "EFSMountTimeoutException"], "", Class::FileSystem),
    (&["ServiceQuotaExceededException"], "", Class::ServiceQuota),
    (&[], "HyperPlane ENIs", Class::InterfaceQuota),
    (&[], "Error occurred while DescribeSubnets", Class::Network),
    (&[], "Error occurred while DescribeSecurityGroups", Class::Network),
    (&[], "Security Groups are required to be in the same VPC", Class::Network),
    (&[], "SubnetIds and SecurityIds must coexist", Class::Network),
    (&[], "Ipv6AllowedForDualStack", Class::Network),
    (&[], "availability zone Lambda doesn't support", Class::Network),
    (&["ValidationException"], "vpcConfig", Class::Network),
    (&[], "runtime parameter of", Class::Runtime),
];

/// IAM's answers.
const IAM: &[Row] = &[
    (&["NoSuchEntity", "NoSuchEntityException"], "does not exist or is not attachable", Class::PolicyNotAttachable),
    (&["NoSuchEntity", "NoSuchEntityException"], "Policy arn:", Class::PolicyNotAttachable),
    (&["NoSuchEntity", "NoSuchEntityException"], "", Class::NotFound),
    (&["LimitExceeded", "LimitExceededException"], "PoliciesPerRole", Class::PolicyQuota),
    (&["LimitExceeded"], "", Class::PolicyQuota),
    (&["UnmodifiableEntity", "UnmodifiableEntityException"], "", Class::RoleUnmodifiable),
    (&["PolicyNotAttachable", "PolicyNotAttachableException"], "", Class::PolicyNotAttachable),
    (&["ConcurrentModification", "ConcurrentModificationException"], "", Class::Busy),
];

/// EC2's answers. Reads go by filter, so that a missing id gives fewer items; these are for the exceptions.
const EC2: &[Row] =
    &[(&["InvalidVpcID.NotFound", "InvalidSubnetID.NotFound", "InvalidGroup.NotFound"], "", Class::NotFound)];

/// The class of an answer.
pub fn classify(service: Service, status: u16, code: &str, text: &str) -> Class {
    let own = match service {
        Service::Lambda => LAMBDA,
        Service::Iam => IAM,
        Service::Ec2 => EC2,
        Service::Sts => &[],
    };
    let fits = |row: &&Row| (row.0.is_empty() || row.0.contains(&code)) && text.contains(row.1);
    if let Some((_, _, class)) = own.iter().chain(ANYWHERE).find(fits) {
        return *class;
    }
    match status {
        401 | 403 => Class::AccessDenied,
        // Only AWS's own "not found", which is in the table, says that something is not there; this may be a proxy's.
        404 if code.starts_with(NO_CODE) => Class::Malformed,
        409 => Class::Busy,
        412 => Class::StaleRevision,
        429 => Class::Throttled,
        500.. => Class::Server,
        _ => Class::Invalid,
    }
}

/// The class of a creation or update that failed after it was accepted, by its reason code. The codes of the service
/// model are not all there are: an unknown one is of no particular class.
pub fn classify_failure(code: &str) -> Class {
    match code {
        "InsufficientRolePermissions" => Class::RoleDenied,
        "EC2RequestLimitExceeded" => Class::Ec2Throttled,
        "InternalError" | "InsufficientCapacity" | "DependencyError" => Class::Server,
        "SubnetOutOfIPAddresses" => Class::NoAddress,
        "EniLimitExceeded" => Class::InterfaceQuota,
        "InvalidSubnet" | "InvalidSecurityGroup" | "InvalidConfiguration" | "DisallowedByVpcEncryptionControl" => {
            Class::Network
        }
        "InvalidRuntime" => Class::Runtime,
        "KMSKeyAccessDenied" => Class::KmsGrant,
        "KMSKeyNotFound" | "InvalidStateKMSKey" | "DisabledKMSKey" => Class::KmsKey,
        "EFSIOError" | "EFSMountConnectivityError" | "EFSMountFailure" | "EFSMountTimeout" => Class::FileSystem,
        "ImageDeleted" | "ImageAccessDenied" | "InvalidImage" => Class::Image,
        "VcpuLimitExceeded" | "CapacityProviderScalingLimitExceeded" | "ServiceQuotaExceededException" => {
            Class::ServiceQuota
        }
        "InvalidZipFileException" => Class::Startup,
        code if code.starts_with("FunctionError") => Class::Startup,
        _ => Class::Invalid,
    }
}

/// The action and the resource that an AWS text says are not allowed, as far as it names them.
///
/// IAM's own texts say `is not authorized to perform: ACTION on resource: RESOURCE`; Lambda, where EC2 refuses what it
/// asks in the caller's name, says `permission to OPERATION for RESOURCE`.
fn right_in_words(text: &str) -> Option<String> {
    let words = |after: &str| {
        let rest = &text[text.find(after)? + after.len()..];
        let mut words = rest.split_whitespace().map(|word| word.trim_end_matches(['.', ',']).to_owned());
        Some((words.next()?, words.next()))
    };
    let word = |after: &str| words(after).map(|(first, _)| first);
    // IAM writes `role NAME` of what has a name in the account, and an ARN of all else.
    let resource = || match words("on resource: ")? {
        (kind, Some(name)) if matches!(kind.as_str(), "role" | "user" | "group" | "policy") => {
            Some(format!("{kind} {name}"))
        }
        (resource, _) => Some(resource),
    };
    let (action, resource) = match word("authorized to perform: ") {
        Some(action) => (action, resource()),
        None => (format!("ec2:{}", word("denied by EC2").and_then(|_| word("permission to "))?), word(" for ")),
    };
    Some(match resource {
        Some(resource) => format!("{action} on {resource}"),
        None => action,
    })
}

#[cfg(test)]
mod tests;
