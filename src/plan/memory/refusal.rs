//! Refusals: what AWS refused, and until when the same is not tried again.

use std::time::Duration;

use super::PROPAGATION;
use crate::cloud::{Class, CloudError};
use crate::names::{FunctionKey, Time};
use crate::plan::{Outcome, Pace, Reason, Why};

/// How long an update is not tried again that AWS refuses for the function's runtime, unless the function changes.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a refusal that somebody has to mend keeps us from trying the very same again.
const COOL_DOWN: Duration = Duration::from_secs(30 * 60);
/// The same where it is a matter of quotas and addresses, or of rights that are mended elsewhere.
pub(super) const SHORT_COOL_DOWN: Duration = Duration::from_secs(5 * 60);
/// The same where it is likely to pass by itself.
pub(super) const MOMENT: Duration = Duration::from_secs(30);

/// Why something was refused, and until when the same is not tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub(in crate::plan) why: Why,
    pub(in crate::plan) until: Time,
    /// Whether it is likely to pass by itself.
    pub(in crate::plan) passing: bool,
}

impl Refusal {
    pub(in crate::plan) fn outcome(&self, now: Time) -> Outcome {
        let (why, until) = (self.why.clone(), self.until);
        match self.passing {
            true => Outcome::Retry { why, after: Some(until.since(now)) },
            false => Outcome::Blocked { why, until: Some(until) },
        }
    }
}

/// Whether waiting for IAM may be all that is needed.
pub(in crate::plan) fn waits_for_iam(class: Class) -> bool {
    matches!(class, Class::RoleDenied | Class::RoleNotAssumable | Class::KmsGrant)
}

/// What is told while Lambda refuses a role that it may yet accept. Only where the controller attached something before that
/// began, or meanwhile, is there a new right to wait for.
pub(in crate::plan) fn waiting_for_iam(attached: Option<Time>, refused_since: Option<Time>, detail: String) -> Why {
    let is_ours = attached.is_some_and(|at| refused_since.is_none_or(|since| since < at + PROPAGATION));
    Why::new(if is_ours { Reason::RolePropagation } else { Reason::RoleRefused }, detail)
}

/// Until when the same is not tried again; none where the queue's own backoff is enough.
pub(super) fn refusal(why: Why, now: Time) -> Option<Refusal> {
    let cool_down = match why.reason.pace() {
        // A matter of the whole scope: with new ones every function goes on.
        _ if matches!(why.reason, Reason::Credentials | Reason::NotAssumed) => return None,
        _ if why.reason == Reason::RuntimeRetired => DAY,
        Pace::Invalid => COOL_DOWN,
        Pace::Quota | Pace::Denied => SHORT_COOL_DOWN,
        Pace::Poll | Pace::Conflict | Pace::Propagation | Pace::Throttled | Pace::Server | Pace::Turn => return None,
    };
    Some(Refusal { why, until: now + cool_down, passing: false })
}

impl Why {
    /// What an error of AttachRolePolicy means.
    pub(in crate::plan) fn attaching(error: &CloudError) -> Self {
        match error.class {
            Class::NotFound => Self::new(Reason::RoleNotFound, error.to_string()),
            Class::Busy => Self::new(Reason::RoleBusy, error.to_string()),
            _ => Self::answered(error),
        }
    }

    /// What an error of UpdateFunctionConfiguration means, with what helps this function.
    pub(in crate::plan) fn updating(error: &CloudError, FunctionKey { scope, name }: &FunctionKey) -> Self {
        let why = Self::answered(error);
        match why.reason {
            // Lambda makes a grant only for a role that it takes for another one (AWS's page on KMS exceptions of Lambda).
            Reason::KmsGrantVoid => {
                let set = format!(
                    "aws lambda update-function-configuration --region {} --function-name {name}",
                    scope.region
                );
                let text =
                    format!("run `{set} --role ARN` twice, with another role first and its own then; {}", why.detail);
                Self::new(why.reason, text)
            }
            _ => why,
        }
    }
}
