//! Each row of what AWS answers, and what it means.

use super::*;

#[track_caller]
fn check(service: Service, status: u16, code: &str, text: &str, expected: Class) {
    assert_eq!(classify(service, status, code, text), expected, "{code}: {text}");
}

/// The code of most refusals of an update.
const PARAMETER: &str = "InvalidParameterValueException";

#[test]
fn refusals_of_an_update() {
    for (text, class) in [
        (
            "The provided execution role does not have permissions to call CreateNetworkInterface on EC2",
            Class::RoleDenied,
        ),
        (
            "The provided execution role does not have permissions to call DescribeNetworkInterfaces on EC2",
            Class::RoleDenied,
        ),
        ("The role defined for the function cannot be assumed by Lambda.", Class::RoleNotAssumable),
        (
            "Your request has been throttled by EC2, please make sure you have enough API rate limit. EC2 Error \
             Code: RequestLimitExceeded. EC2 Error Message: Request limit exceeded.",
            Class::Ec2Throttled,
        ),
        (
            "Lambda was unable to configure access to your environment variables because the KMS key is invalid \
             for CreateGrant. Please check your KMS key settings.",
            Class::KmsGrant,
        ),
        (
            "Lambda was unable to configure access to your environment variables because the KMS key is invalid for \
             CreateGrant. Please check your KMS key settings. KMS Exception: InvalidArnException KMS Message: ARN does \
             not refer to a valid principal",
            Class::KmsGrantVoid,
        ),
        ("ARN does not refer to a valid principal", Class::KmsGrantVoid),
        (
            "Function VPC configuration cannot be removed with access point \
             arn:aws:elasticfilesystem:eu-west-1:123456789012:access-point/fsap-1 referenced.",
            Class::Mounted,
        ),
        (
            "Error occurred while DescribeSubnets. EC2 Error Code: InvalidSubnetID.NotFound. EC2 Error Message: \
             The subnet ID 'subnet-1' does not exist",
            Class::Network,
        ),
        (
            "Error occurred while DescribeSecurityGroups. EC2 Error Code: InvalidGroup.NotFound. EC2 Error \
             Message: The security group 'sg-1' does not exist",
            Class::Network,
        ),
        (
            "Error occurred while DescribeSecurityGroups. EC2 Error Code: InvalidGroupId.Malformed. EC2 Error \
             Message: Invalid id: \"sg-\"",
            Class::Network,
        ),
        ("Security Groups are required to be in the same VPC", Class::Network),
        ("SubnetIds and SecurityIds must coexist or be both empty list.", Class::Network),
        (
            "Ipv6AllowedForDualStack cannot be true without subnet or security groups. Please remove \
             Ipv6AllowedForDualStack value from your request and try again.",
            Class::Network,
        ),
        (
            "You have exceeded the maximum limit for HyperPlane ENIs for your account. Please request a limit \
             increase.",
            Class::InterfaceQuota,
        ),
        ("You have exceeded the maximum limit for Lambda HyperPlane ENIs for your VPC.", Class::InterfaceQuota),
        (
            "The runtime parameter of nodejs12.x is no longer supported for creating or updating AWS Lambda \
             functions.",
            Class::Runtime,
        ),
        (
            "The provided subnets contain availability zone Lambda doesn't support. Please use a different set of \
             subnets.",
            Class::Network,
        ),
        ("something that nobody has seen yet", Class::Invalid),
    ] {
        check(Service::Lambda, 400, PARAMETER, text, class);
    }
}

#[test]
fn other_answers_of_lambda() {
    for (status, code, text, class) in [
        (
            409,
            "ResourceConflictException",
            "The operation cannot be performed at this time. An update is in progress for resource: arn:x",
            Class::Busy,
        ),
        (
            409,
            "ResourceConflictException",
            "The operation cannot be performed at this time. The function is currently in the following state: \
             Pending",
            Class::Busy,
        ),
        (
            412,
            "PreconditionFailedException",
            "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to \
             retrieve the latest Revision Id",
            Class::StaleRevision,
        ),
        (
            400,
            "ValidationException",
            "1 validation error detected: Value '[x]' at 'vpcConfig.subnetIds' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: subnet-[0-9a-z]*",
            Class::Network,
        ),
        (400, "ValidationException", "1 validation error detected: Value 'x' at 'functionName'", Class::Invalid),
        (
            403,
            "AccessDeniedException",
            "Your access has been denied by EC2, please make sure your request credentials have permission to \
             DescribeSecurityGroups for sg-1. EC2 Error Code: UnauthorizedOperation.",
            Class::AccessDenied,
        ),
        (
            403,
            "AccessDeniedException",
            "Your access has been denied by EC2, please make sure your function execution role have permission to \
             CreateNetworkInterface. EC2 Error Code: UnauthorizedOperation.",
            Class::RoleDenied,
        ),
        (
            403,
            "AccessDeniedException",
            "User: arn:aws:sts::123456789012:assumed-role/lambda-vpc/s is not authorized to perform: kms:CreateGrant on \
             resource: arn:aws:kms:eu-west-1:123456789012:key/k because no resource-based policy allows the \
             kms:CreateGrant action",
            Class::KmsDenied,
        ),
        (502, "KMSAccessDeniedException", "x", Class::KmsGrant),
        (502, "KMSDisabledException", "x", Class::KmsKey),
        (502, "KMSInvalidStateException", "x", Class::KmsKey),
        (502, "KMSNotFoundException", "x", Class::KmsKey),
        (408, "EFSMountTimeoutException", "x", Class::FileSystem),
        (402, "ServiceQuotaExceededException", "x", Class::ServiceQuota),
        (404, "ResourceNotFoundException", "Function not found: arn:aws:lambda:x", Class::NotFound),
        (404, "CodeSigningConfigNotFoundException", "x", Class::Invalid),
        (400, "InvalidCodeSignatureException", "x", Class::Invalid),
        (400, "CodeVerificationFailedException", "x", Class::Invalid),
        (429, "TooManyRequestsException", "Rate exceeded", Class::Throttled),
        (429, "TooManyRequestsException", "Rate Exceeded.", Class::Throttled),
        (500, "ServiceException", "An internal error occurred.", Class::Server),
        (403, "ExpiredTokenException", "The security token included in the request is expired", Class::Credentials),
        (403, "UnrecognizedClientException", "The security token is invalid.", Class::Credentials),
    ] {
        check(Service::Lambda, status, code, text, class);
    }
}

#[test]
fn answers_of_iam() {
    for (status, code, text, class) in [
        (404, "NoSuchEntity", "The role with name my-policy-role cannot be found.", Class::NotFound),
        (
            404,
            "NoSuchEntity",
            "Policy arn:aws:iam::aws:policy/x does not exist or is not attachable.",
            Class::PolicyNotAttachable,
        ),
        (409, "LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10", Class::PolicyQuota),
        (400, "InvalidInput", "x", Class::Invalid),
        (400, "ValidationError", "Invalid ARN:  Could not be parsed!", Class::Invalid),
        (400, "UnmodifiableEntity", "Cannot perform the operation on the protected role", Class::RoleUnmodifiable),
        (400, "PolicyNotAttachable", "x", Class::PolicyNotAttachable),
        (409, "ConcurrentModification", "x", Class::Busy),
        (500, "ServiceFailure", "x", Class::Server),
        (400, "Throttling", "Rate exceeded", Class::Throttled),
        (403, "AccessDenied", "User: x is not authorized to perform: iam:AttachRolePolicy", Class::AccessDenied),
        (403, "ExpiredToken", "The security token included in the request is expired", Class::Credentials),
        (403, "InvalidClientTokenId", "The security token included in the request is invalid.", Class::Credentials),
    ] {
        check(Service::Iam, status, code, text, class);
    }
}

#[test]
fn answers_of_ec2_and_sts() {
    for (service, status, code, class) in [
        (Service::Ec2, 503, "RequestLimitExceeded", Class::Throttled),
        (Service::Ec2, 400, "InvalidSubnetID.NotFound", Class::NotFound),
        (Service::Ec2, 400, "InvalidGroup.NotFound", Class::NotFound),
        (Service::Ec2, 400, "InvalidVpcID.NotFound", Class::NotFound),
        (Service::Ec2, 403, "UnauthorizedOperation", Class::AccessDenied),
        (Service::Ec2, 401, "AuthFailure", Class::Credentials),
        (Service::Sts, 400, "MalformedPolicyDocument", Class::Invalid),
        (Service::Sts, 400, "PackedPolicyTooLarge", Class::Invalid),
        (Service::Sts, 403, "RegionDisabledException", Class::Credentials),
        (Service::Sts, 400, "ExpiredToken", Class::Credentials),
        (Service::Sts, 403, "AccessDenied", Class::AccessDenied),
    ] {
        check(service, status, code, "x", class);
    }
}

#[test]
fn reason_codes_of_failed_updates_and_those_that_nobody_knows() {
    for (codes, class) in [
        (&["EC2RequestLimitExceeded"][..], Class::Ec2Throttled),
        (&["InternalError", "InsufficientCapacity", "DependencyError"], Class::Server),
        (&["InsufficientRolePermissions"], Class::RoleDenied),
        (&["EniLimitExceeded"], Class::InterfaceQuota),
        (&["SubnetOutOfIPAddresses"], Class::NoAddress),
        (
            &["InvalidSubnet", "InvalidSecurityGroup", "InvalidConfiguration", "DisallowedByVpcEncryptionControl"],
            Class::Network,
        ),
        (&["InvalidRuntime"], Class::Runtime),
        (&["KMSKeyAccessDenied"], Class::KmsGrant),
        (&["KMSKeyNotFound", "InvalidStateKMSKey", "DisabledKMSKey"], Class::KmsKey),
        (&["EFSIOError", "EFSMountConnectivityError", "EFSMountFailure", "EFSMountTimeout"], Class::FileSystem),
        (&["ImageDeleted", "ImageAccessDenied", "InvalidImage"], Class::Image),
        (
            &[
                "FunctionError",
                "FunctionError.InitTimeout",
                "FunctionError.OneThatComesLater",
                "InvalidZipFileException",
            ],
            Class::Startup,
        ),
        (
            &["VcpuLimitExceeded", "CapacityProviderScalingLimitExceeded", "ServiceQuotaExceededException"],
            Class::ServiceQuota,
        ),
        (&["IncompatibleAcceleratorInstanceTypes", "Creating", ""], Class::Invalid),
    ] {
        for code in codes {
            assert_eq!(classify_failure(code), class, "{code}");
        }
    }
}

#[test]
fn what_the_controller_may_not_do_is_named() {
    let denied = |operation, text: &str| CloudError::answered(operation, 403, "AccessDenied", text).missing_right();
    for (text, expected) in [
        (
            "User: arn:aws:sts::123456789012:assumed-role/x/y is not authorized to perform: iam:AttachRolePolicy on \
             resource: role orders because no identity-based policy allows the iam:AttachRolePolicy action",
            "iam:AttachRolePolicy on role orders",
        ),
        (
            "User: x is not authorized to perform: lambda:UpdateFunctionConfiguration on resource: \
             arn:aws:lambda:eu-west-1:123456789012:function:f",
            "lambda:UpdateFunctionConfiguration on arn:aws:lambda:eu-west-1:123456789012:function:f",
        ),
        (
            "You are not authorized to perform this operation. User: x is not authorized to perform: \
             ec2:DescribeSubnets because no identity-based policy allows it",
            "ec2:DescribeSubnets",
        ),
        (
            "Your access has been denied by EC2, please make sure your request credentials have permission to \
             DescribeSecurityGroups for sg-1. EC2 Error Code: UnauthorizedOperation.",
            "ec2:DescribeSecurityGroups on sg-1",
        ),
        ("no", "iam:AttachRolePolicy"),
    ] {
        assert_eq!(denied(Operation::AttachRolePolicy, text), expected);
    }
}

#[test]
fn who_denies_is_named_where_aws_says_so() {
    let who = "User: arn:aws:sts::123456789012:assumed-role/x/y is not authorized to perform: iam:AttachRolePolicy";
    let overruler =
        |text: &str| match CloudError::answered(Operation::AttachRolePolicy, 403, "AccessDenied", text).denied_by() {
            Denier::Overruler(words) => words.to_owned(),
            other => format!("{other:?}"),
        };
    for (tail, expected) in [
        ("because no identity-based policy allows the iam:AttachRolePolicy action", "NobodyAllows"),
        ("", "NobodyAllows"),
        ("with an explicit deny in a service control policy", "(SCP)"),
        ("because no service control policy allows the iam:AttachRolePolicy action", "(SCP)"),
        ("with an explicit deny in a resource control policy", "(RCP)"),
        ("because no permissions boundary allows the iam:AttachRolePolicy action", "boundary"),
        ("because no session policy allows the iam:AttachRolePolicy action", "session"),
        ("with an explicit deny in a VPC endpoint policy: arn:aws:ec2:x", "VPC endpoint"),
        ("with an explicit deny in an identity-based policy: arn:aws:iam::1:policy/p", "its own policies"),
        ("with an explicit deny", "a statement that denies it"),
        ("because no resource-based policy allows the lambda:GetLayerVersion action", "Owner"),
    ] {
        let told = overruler(&format!("{who} on resource: role orders {tail}"));
        assert!(told.contains(expected), "{tail}: {told}");
    }
}

#[test]
fn what_is_told_of_an_error_is_short_and_has_no_secret() {
    let endless = "ä".repeat(5000);
    for (text, expected) in [
        ("is not authorized. Encoded authorization failure message: AAAA", "is not authorized."),
        (
            "does not match.\n\nThe Canonical String for this request should have been\n'POST\nx-amz-security-token:T'",
            "does not match.",
        ),
        ("two\n  lines", "two lines"),
        (&endless, &(endless[..2 * LONGEST_TEXT].to_owned() + "…")),
    ] {
        assert_eq!(CloudError::answered(Operation::DescribeVpcs, 403, "x", text).text, expected);
    }
    let code = CloudError::answered(Operation::DescribeVpcs, 403, &endless, "x").code;
    assert_eq!(code.chars().count(), LONGEST_CODE + 1);
}

#[test]
fn an_error_says_what_was_called_and_what_came_of_it_in_one_line() {
    let operation = Operation::AttachRolePolicy;
    let answered = CloudError::answered(operation, 400, "Throttling", "Rate\n  exceeded.");
    assert_eq!(answered.to_string(), "iam:AttachRolePolicy answered Throttling: Rate exceeded");
    let known = CloudError { request_id: Some("q1".to_owned()), ..answered };
    assert_eq!(known.to_string(), "iam:AttachRolePolicy answered Throttling: Rate exceeded (request q1)");
    let lost = CloudError::local(operation, Class::Timeout, "Timeout", "no answer within 30 s.");
    assert_eq!(lost.to_string(), "iam:AttachRolePolicy failed: no answer within 30 s");
}

/// The codes on which the SDKs' standard mode tries again by itself; ours makes one attempt, so we have to know them.
#[test]
fn what_the_sdks_take_for_throttling_and_for_passing_is_so_here() {
    for code in [
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottledException",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "TransactionInProgressException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "RequestThrottled",
        "SlowDown",
        "PriorRequestNotComplete",
        "EC2ThrottledException",
    ] {
        check(Service::Lambda, 400, code, "x", Class::Throttled);
    }
    for status in [500, 502, 503, 504] {
        check(Service::Lambda, status, "SomethingNew", "x", Class::Server);
    }
    for code in ["RequestTimeout", "RequestTimeoutException"] {
        check(Service::Ec2, 400, code, "x", Class::Timeout);
    }
}

#[test]
fn an_unknown_code_falls_back_on_the_status_and_absence_needs_a_known_one() {
    for (status, code, class) in [
        (404, "HTTP 404", Class::Malformed),
        (404, "SomethingNew", Class::Invalid),
        (403, "SomethingNew", Class::AccessDenied),
        (409, "SomethingNew", Class::Busy),
        (412, "SomethingNew", Class::StaleRevision),
        (429, "HTTP 429", Class::Throttled),
        (418, "SomethingNew", Class::Invalid),
    ] {
        check(Service::Lambda, status, code, "x", class);
    }
}
