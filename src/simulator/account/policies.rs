//! Managed policies, reduced to the actions that they allow, and on which resources.
//!
//! Conditions and denials are left out: this controller asks whether a role may make network interfaces,
//! and a role that is overruled from outside is marked as such.

use crate::names::PolicyArn;

/// A managed policy that a customer wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub arn: PolicyArn,
    /// The actions that it allows; `*` stands for any text.
    pub actions: Vec<String>,
    /// The resources that it allows them on, by ARN; `*` stands for any text. Actions that EC2 knows no resource for (those
    /// that describe) are allowed on all.
    pub resources: Vec<String>,
}

impl Policy {
    /// Whether the policy allows this action on a resource.
    pub(super) fn allows(&self, action: &str, resource: &str) -> bool {
        let of_all = action.starts_with("ec2:Describe");
        self.actions.iter().any(|pattern| matches(pattern, action))
            && (of_all || self.resources.iter().any(|pattern| crate::names::fits(pattern, resource)))
    }
}

/// The policies of AWS's own that this world knows, by path and name, with the actions that matter here. The first is
/// version 3 of the policy, of 2024-01-05.
const AWS_MANAGED: &[(&str, &[&str])] = &[
    (
        "service-role/AWSLambdaVPCAccessExecutionRole",
        &[
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            "ec2:CreateNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSubnets",
            "ec2:DeleteNetworkInterface",
            "ec2:AssignPrivateIpAddresses",
            "ec2:UnassignPrivateIpAddresses",
        ],
    ),
    (
        "service-role/AWSLambdaENIManagementAccess",
        &[
            "ec2:CreateNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DeleteNetworkInterface",
            "ec2:AssignPrivateIpAddresses",
            "ec2:UnassignPrivateIpAddresses",
        ],
    ),
    ("service-role/AWSLambdaBasicExecutionRole", &["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]),
    (
        "service-role/AWSLambdaSQSQueueExecutionRole",
        &["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "logs:*"],
    ),
    ("service-role/AWSLambdaDynamoDBExecutionRole", &["dynamodb:*Stream*", "dynamodb:GetRecords", "logs:*"]),
    ("service-role/AWSLambdaKinesisExecutionRole", &["kinesis:*", "logs:*"]),
    ("service-role/AWSLambdaRole", &["lambda:InvokeFunction"]),
    ("AWSXRayDaemonWriteAccess", &["xray:*"]),
    ("AmazonS3ReadOnlyAccess", &["s3:Get*", "s3:List*"]),
    ("AmazonDynamoDBFullAccess", &["dynamodb:*"]),
    ("AmazonEC2FullAccess", &["ec2:*", "elasticloadbalancing:*", "cloudwatch:*", "autoscaling:*"]),
    ("AmazonEC2ReadOnlyAccess", &["ec2:Describe*"]),
    ("AdministratorAccess", &["*"]),
];

/// The actions of a policy that AWS manages, by its path and name.
pub(super) fn aws_managed(path: &str) -> Option<&'static [&'static str]> {
    AWS_MANAGED.iter().find(|(name, _)| *name == path).map(|(_, actions)| *actions)
}

/// Whether a pattern with `*` fits an action; IAM does not look at case.
pub(super) fn matches(pattern: &str, action: &str) -> bool {
    crate::names::fits(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase())
}
