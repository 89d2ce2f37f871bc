//! Every reason why a function is not in sync, and the one sentence for people that says what to do.
//!
//! The set is bounded: these names are metric labels. What is particular to a case stands in [`Why::detail`].

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cloud::{Class, CloudError, Denier, Failure};
use crate::desired::LoadFailure;
use crate::live::Fault;
use crate::names::Time;
use crate::text::shown;

/// Declares the reasons: name, state, pace, sentence.
macro_rules! reasons {
    ($($Name:ident, $state:ident, $pace:ident, $sentence:literal;)*) => {
        /// Why a function is not in sync.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub enum Reason { $(#[doc = $sentence] $Name,)* }

        impl Reason {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$Name,)*];

            /// The name, as in metric labels.
            pub fn name(self) -> &'static str {
                match self { $(Self::$Name => stringify!($Name),)* }
            }

            /// What it means and what to do, for people.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$Name => $sentence,)* }
            }

            /// The state of a function for which this is the reason.
            pub fn state(self) -> State {
                match self { $(Self::$Name => State::$state,)* }
            }

            /// How soon it is worth looking again.
            pub fn pace(self) -> Pace {
                match self { $(Self::$Name => Pace::$pace,)* }
            }
        }
    };
}

reasons! {
    // Nothing is wrong: something takes its time.
    UpdateInProgress, Progressing, Poll, "Lambda is carrying out an update of this function; the controller waits for it to end.";
    Conflict, Progressing, Conflict, "Lambda answers that another operation on this function is going on (409); the controller tries again, less and less often.";
    FunctionPending, Progressing, Poll, "Lambda is still creating this function or waking it; the controller waits until it is active.";
    RolePropagation, Progressing, Propagation, "The role's new right has not reached Lambda yet; IAM takes up to a few minutes, the controller tries again.";
    RoleRefused, Progressing, Propagation, "Lambda refuses the function's role or its key, and the controller has attached nothing lately; it tries again for five minutes, since somebody else may just have changed one of the two.";
    PolicyNeeded, Progressing, Propagation, "Lambda refused because the role may not make network interfaces; the controller attaches the policy.";
    RoleBusy, Progressing, Propagation, "The same policy is being attached to this role for another function; the controller waits for that.";
    RoleProbe, Progressing, Turn, "Another function of the same role finds out whether Lambda accepts the role by now; the controller goes on with this one then.";
    NetworkUnconfirmed, Progressing, Turn, "The VPC means other subnets or groups than at the last listing, and no edit asked for that; the controller acts when the next listing says the same.";
    Settling, Progressing, Poll, "Somebody changed this function moments ago; the controller leaves it alone until that has settled.";
    RevisionConflict, Progressing, Propagation, "Somebody changed this function at the same moment; the controller reads it again and decides anew.";
    RolloutTurn, Progressing, Turn, "Others of the same VPC entry go first: one, then ten, then the rest; the controller goes on when they are in sync.";
    BudgetTurn, Progressing, Poll, "The change waits for its turn: the requests that AWS leaves us are used up for the moment; it is sent as soon as there is one.";
    PairLead, Progressing, Turn, "Another function leads: Lambda makes the network interface for it that this function will share, which takes minutes the first time.";
    RolloutStopped, AwaitingApproval, Turn, "A function of the same VPC entry that went first is blocked, so the others are held back; mend that one, or observe it or take it out of the file.";
    // Wanted so.
    Observed, OutOfSync, Invalid, "This function is only observed (mode = \"observe\"); set mode = \"enforce\" to put it right.";
    NotLeader, OutOfSync, Invalid, "Another replica leads this account and region and makes the changes; this one only observes.";
    NotAdmitted, AwaitingApproval, Invalid, "This is not what was agreed to; run `plan` again and look at what changed meanwhile.";
    GuardHolding, AwaitingApproval, Turn, "More functions differ than are changed in an hour without a person's agreement; look at `plan`, then approve it: `apply --approve ID`, or put the id into `guard.approved` in the settings.";
    CapacityProvider, Excluded, Invalid, "The function runs on a capacity provider, which decides about its network; remove it from the file.";
    // Nothing can be said, since it could not be read, or AWS did not answer.
    Unread, Unknown, Poll, "Nobody has looked at this function yet; the next sweep does.";
    WrongAccount, Unknown, Denied, "The credentials belong to another account; give the controller those of the account that the file names, or correct the id.";
    AccessDenied, Unknown, Denied, "The controller's own rights do not suffice; allow it the action that is named.";
    AccessOverruled, Unknown, Denied, "Something counts for more than the controller's policies, and denies it the action that is named; it has to be changed there.";
    NotSharedByOwner, Unknown, Denied, "The policy of a resource does not let it be used, such as that of another account's layer; its owner has to allow it.";
    Credentials, Unknown, Denied, "There are no valid AWS credentials; check the environment, the profile or the role of the controller.";
    NotAssumed, Unknown, Denied, "The role through which this account is reached may not be assumed; its trust policy has to name who asks, with the external id if it wants one, and the policy of who asks has to allow it.";
    Unreachable, Unknown, Server, "AWS, or the one service that is named, cannot be reached; check network, DNS, proxy and AWS_ENDPOINT_URL.";
    Timeout, Unknown, Server, "AWS did not answer in time; the controller tries again.";
    Throttled, Unknown, Throttled, "AWS limits the rate of requests; the controller slows down and tries again.";
    Ec2Throttled, Unknown, Throttled, "EC2 limits the rate of Lambda's own requests; the controller tries again.";
    ServerError, Unknown, Server, "AWS failed to answer; the controller tries again.";
    Malformed, Unknown, Server, "An answer came that cannot be understood; check what stands between the controller and AWS.";
    // Somebody has to do something.
    FunctionNotFound, Blocked, Invalid, "There is no such function in this account and region; create it, or correct the file.";
    AmbiguousPattern, Blocked, Invalid, "Several patterns of the file fit this function; name it in an entry of its own, or make one of them narrower.";
    StaysPending, Blocked, Quota, "Lambda has been creating or waking this function (state Pending) for ten minutes, and takes no update meanwhile; find out why, or create it again.";
    FunctionDeleting, Blocked, Quota, "This function is being deleted (state Deleting), and Lambda takes no update of it; take it out of the file.";
    FunctionDeactivated, Blocked, Quota, "This function is deactivated, or being deactivated (state Deactivating or Deactivated), and Lambda takes no update of it; activate it, or take it out of the file.";
    FunctionNotInvocable, Blocked, Quota, "This function is in the state ActiveNonInvocable, in which Lambda takes no update of it; wait until it is Active, or take it out of the file.";
    EdgeReplica, Blocked, Invalid, "This is a replica that Lambda@Edge made, and no function of Lambda@Edge can be in a VPC; take it out of the file.";
    EdgeMaster, Blocked, Invalid, "Lambda@Edge may take on this function's role, and no function of Lambda@Edge can be in a VPC; take it out of the file. If it is not one of Lambda@Edge's, take edgelambda.amazonaws.com out of the role's trust policy.";
    FileSystemMounted, Blocked, Invalid, "The function mounts a file system, for which it has to be in a VPC; take the access point that is named out of its configuration first.";
    CreationFailed, Blocked, Invalid, "The creation of this function failed; delete it and create it again.";
    AccountNotStated, Blocked, Invalid, "The daemon writes only into accounts that are stated; add this id as an account to the settings, or as `account` to the file.";
    VpcNotAllowed, Blocked, Invalid, "The settings do not allow this VPC; add it to guard.allowed_vpcs, or correct the file.";
    PolicyNotAllowed, Blocked, Invalid, "The settings do not allow this policy; add it to guard.allowed_policies, or correct the file.";
    RoleNotAllowed, Blocked, Invalid, "The settings do not allow a policy on this role; add it to guard.allowed_roles, or attach the policy yourself.";
    OwnRole, Blocked, Invalid, "The function runs with a role of the controller's own, which never gets a policy; give the function another role, or attach the policy yourself.";
    DetachNotAllowed, Blocked, Invalid, "The file wants this function out of its VPC, but the settings do not allow that; set guard.allow_detach = true.";
    VpcNotFound, Blocked, Invalid, "There is no such VPC in this account and region; correct its id, its region or its account.";
    SubnetNotFound, Blocked, Invalid, "A subnet that the file asks for is not in this VPC, or not available; correct the entry.";
    NoUsableSubnet, Blocked, Invalid, "The VPC has no subnet that could be used; create one, or name others.";
    TooManySubnets, Blocked, Invalid, "Lambda takes at most 16 subnets; name fewer.";
    SecurityGroupNotFound, Blocked, Invalid, "A security group that the file asks for is not in this VPC; correct the entry.";
    TooManySecurityGroups, Blocked, Invalid, "Lambda takes at most 5 security groups; name fewer.";
    ZoneRefused, Blocked, Invalid, "Lambda does not work in the availability zone of this subnet; name subnets in other zones.";
    SubnetUnfit, Blocked, Invalid, "Lambda does not take a subnet of this kind; name other ones.";
    NoWayOut, Blocked, Invalid, "The entry says egress = \"required\", and not all of its subnets lead to the internet; name others, or give these a route to a NAT gateway.";
    NoFreeAddress, Blocked, Quota, "A subnet has no free address for the network interface that Lambda would have to make; free some, or name other subnets.";
    DedicatedTenancy, Blocked, Invalid, "Lambda cannot use a VPC with dedicated tenancy; choose another VPC.";
    NotDualStack, Blocked, Invalid, "ipv6 = true needs an IPv6 range in every subnet; leave it out, or name dual-stack subnets.";
    RoleNotFound, Blocked, Denied, "The function's execution role does not exist; create it, or give the function another.";
    RoleElsewhere, Blocked, Invalid, "The function's execution role belongs to another account, where nothing may be attached.";
    RoleUnmodifiable, Blocked, Invalid, "The function's execution role belongs to an AWS service and cannot be changed; give the function another role.";
    RoleDenied, Blocked, Denied, "The role may still not make network interfaces although the policy is on it; something overrules or narrows it, as the diagnosis says.";
    RoleNotAssumable, Blocked, Denied, "Lambda may not assume the execution role; let its trust policy name lambda.amazonaws.com.";
    PolicyMissing, Blocked, Denied, "The role may not make network interfaces, and attach_policy = \"never\" forbids to change that; attach the policy yourself.";
    PolicyNotFound, Blocked, Invalid, "The policy does not exist or cannot be attached; correct `policies` in the file.";
    PolicyQuota, Blocked, Quota, "The role has as many managed policies as the quota allows; detach one, or have the quota raised.";
    InterfaceQuota, Blocked, Quota, "The quota of Lambda's network interfaces is used up; have it raised, or share subnets and groups.";
    NetworkRefused, Blocked, Invalid, "Lambda refuses these subnets and groups; correct the entry.";
    KmsGrant, Blocked, Denied, "Lambda may not use the function's KMS key; check the key and its policy.";
    KmsAccessDenied, Blocked, Denied, "The controller may not use this function's KMS key, as whoever updates the function has to; allow it the action that is named (`iam-policy --kms` prints a statement), in the key's policy too if that does not leave it to IAM.";
    KmsGrantVoid, Blocked, Denied, "The function's role was deleted and made anew, so that Lambda's grant on the function's KMS key is void; set the role again, as the detail says.";
    KmsKeyUnusable, Blocked, Denied, "The function's KMS key is gone, disabled or about to be deleted; enable it, or give the function another.";
    FileSystemFailed, Blocked, Quota, "Lambda could not mount the function's file system from there; it needs a mount target in the VPC, and security groups that let NFS (port 2049) through.";
    ImageUnusable, Blocked, Quota, "The function's container image is gone, or Lambda may not read it; deploy the function again.";
    StartFailed, Blocked, Quota, "The function does not start, so Lambda gave the update up, and what was before stays in force; see its answer.";
    ServiceQuota, Blocked, Quota, "A quota of Lambda's is used up; have it raised.";
    Flapping, Blocked, Invalid, "Somebody sets this function or its role back again and again; find out who, and let only one of the two decide. It is tried again after an hour.";
    RuntimeRetired, Blocked, Invalid, "AWS no longer updates functions on this runtime; move the function to a newer one.";
    UpdateFailed, Blocked, Quota, "Lambda gave the update up, and what was before stays in force; see its reason.";
    Refused, Blocked, Invalid, "AWS refuses the change; see its answer.";
    NotStored, Blocked, Server, "The change could not be counted first in the record that outlives the process, so it was not made; make the directory that `state` names writable, or take `state` out of the settings.";
    NotJournaled, Blocked, Server, "The change could not be recorded first, so it was not made; mend the audit trail.";
}

impl Reason {
    /// Whether a function that is blocked for this reason shows that others of its VPC entry would fare no better: the
    /// network cannot be had, or nothing can be changed at all. Anything else is the function's own trouble.
    pub fn stops_others(self) -> bool {
        matches!(
            self,
            Self::VpcNotFound
                | Self::SubnetNotFound
                | Self::NoUsableSubnet
                | Self::TooManySubnets
                | Self::SecurityGroupNotFound
                | Self::TooManySecurityGroups
                | Self::ZoneRefused
                | Self::SubnetUnfit
                | Self::NoFreeAddress
                | Self::DedicatedTenancy
                | Self::NotDualStack
                | Self::InterfaceQuota
                | Self::NetworkRefused
                | Self::NotJournaled
        )
    }

    /// Whether this is a matter of the whole account and region, and no fault of a single function.
    pub fn of_scope(self) -> bool {
        matches!(self, Self::Credentials | Self::NotAssumed | Self::Unreachable | Self::WrongAccount)
    }
}

/// How soon it is worth looking again; the backoff of each is in `reconcile::backoff`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Something is going on in Lambda.
    Poll,
    /// Lambda refuses for something that is going on, and does not say how long that takes.
    Conflict,
    /// IAM is spreading a change.
    Propagation,
    /// A rate is limited.
    Throttled,
    /// AWS or the network fails.
    Server,
    /// A quota is used up.
    Quota,
    /// Rights are missing, which is mended elsewhere.
    Denied,
    /// Another function must come to its end first, which then wakes this one.
    Turn,
    /// The entry or AWS must change first.
    Invalid,
}

/// The state of a function, for people and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As the file says.
    InSync,
    /// On the way there.
    Progressing,
    /// Differs, and is only observed.
    OutOfSync,
    /// Differs, and the change is held back.
    AwaitingApproval,
    /// Somebody has to do something.
    Blocked,
    /// Not known: it could not be read.
    Unknown,
    /// Cannot be managed.
    Excluded,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::InSync,
        Self::Progressing,
        Self::OutOfSync,
        Self::AwaitingApproval,
        Self::Blocked,
        Self::Unknown,
        Self::Excluded,
    ];

    /// All of them, what needs somebody first.
    pub const BY_URGENCY: [Self; 7] = [
        Self::Blocked,
        Self::Unknown,
        Self::AwaitingApproval,
        Self::OutOfSync,
        Self::Progressing,
        Self::Excluded,
        Self::InSync,
    ];

    /// The name, as in metric labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::InSync => "in_sync",
            Self::Progressing => "progressing",
            Self::OutOfSync => "out_of_sync",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Blocked => "blocked",
            Self::Unknown => "unknown",
            Self::Excluded => "excluded",
        }
    }

    /// The name as people read it.
    pub fn words(self) -> &'static str {
        match self {
            Self::InSync => "in sync",
            Self::OutOfSync => "out of sync",
            Self::AwaitingApproval => "awaiting approval",
            Self::Progressing | Self::Blocked | Self::Unknown | Self::Excluded => self.name(),
        }
    }
}

/// A reason, and what is particular to this case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Why {
    /// The reason.
    pub reason: Reason,
    /// The particulars: an id, AWS's answer. May be empty.
    pub detail: String,
}

/// Why there is no desired state to be had, in words that say what to do.
pub fn not_loaded(failure: &LoadFailure) -> String {
    match failure {
        LoadFailure::File(unusable) => unusable.to_string(),
        LoadFailure::Identity(error) => format!(
            "the file states no account, so it is the one of the credentials, but whose they are could not be found out: {}",
            Why::answered(error)
        ),
    }
}

impl Why {
    /// A reason with its particulars.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: shown(&detail.into()).into_owned() }
    }

    /// Why a read did not tell anything.
    pub fn unread(fault: &Fault) -> Self {
        match fault {
            Fault::Unread => Self::new(Reason::Unread, ""),
            Fault::NotListed => Self::new(Reason::Unread, "the last listing does not have it"),
            Fault::WrongAccount(actual) => {
                Self::new(Reason::WrongAccount, format!("the credentials belong to account {actual}"))
            }
            Fault::Failed(error) => Self::answered(error),
        }
    }

    /// What an error of AWS's means, where the step makes no difference.
    pub fn answered(error: &CloudError) -> Self {
        let reason = match (error.class, error.denied_by()) {
            (Class::AccessDenied, Denier::Overruler(_)) => Reason::AccessOverruled,
            (Class::AccessDenied, Denier::Owner) => Reason::NotSharedByOwner,
            (class, _) => meaning(class),
        };
        match error.class {
            Class::AccessDenied | Class::KmsDenied => {
                let right = error.missing_right();
                let right = match error.denied_by() {
                    Denier::Overruler(who) => format!("{right}, denied by {who}"),
                    Denier::NobodyAllows | Denier::Owner => right,
                };
                Self::new(reason, format!("{right}; {error}"))
            }
            _ => Self::new(reason, error.hint().map_or_else(|| error.to_string(), |hint| format!("{error}; {hint}"))),
        }
    }

    /// What it means that Lambda accepted an update and then gave it up.
    pub fn failed(failure: &Failure) -> Self {
        let reason = match failure.class() {
            Class::Invalid => Reason::UpdateFailed,
            class => meaning(class),
        };
        Self::new(reason, failure.to_string())
    }
}

/// The reason that a class of error stands for, where nothing else is known.
fn meaning(class: Class) -> Reason {
    match class {
        Class::AccessDenied => Reason::AccessDenied,
        Class::Credentials => Reason::Credentials,
        Class::NotAssumed => Reason::NotAssumed,
        Class::Unreachable => Reason::Unreachable,
        Class::Timeout => Reason::Timeout,
        Class::Throttled => Reason::Throttled,
        Class::Ec2Throttled => Reason::Ec2Throttled,
        Class::Server => Reason::ServerError,
        Class::Malformed => Reason::Malformed,
        Class::Busy => Reason::Conflict,
        Class::StaleRevision => Reason::RevisionConflict,
        Class::RoleDenied => Reason::RoleDenied,
        Class::RoleNotAssumable => Reason::RoleNotAssumable,
        Class::KmsGrant => Reason::KmsGrant,
        Class::KmsDenied => Reason::KmsAccessDenied,
        Class::KmsGrantVoid => Reason::KmsGrantVoid,
        Class::KmsKey => Reason::KmsKeyUnusable,
        Class::Mounted => Reason::FileSystemMounted,
        Class::FileSystem => Reason::FileSystemFailed,
        Class::Image => Reason::ImageUnusable,
        Class::Startup => Reason::StartFailed,
        Class::Network => Reason::NetworkRefused,
        Class::NoAddress => Reason::NoFreeAddress,
        Class::InterfaceQuota => Reason::InterfaceQuota,
        Class::ServiceQuota => Reason::ServiceQuota,
        Class::PolicyQuota => Reason::PolicyQuota,
        Class::RoleUnmodifiable => Reason::RoleUnmodifiable,
        Class::PolicyNotAttachable => Reason::PolicyNotFound,
        Class::Runtime => Reason::RuntimeRetired,
        Class::NotFound | Class::Invalid => Reason::Refused,
    }
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason.sentence())?;
        match self.detail.is_empty() {
            true => Ok(()),
            false => write!(f, " [{}]", self.detail),
        }
    }
}

/// How a pass ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As the file says.
    InSync,
    /// Something takes its time; not an error. With no moment, the backoff says when to look again.
    Waiting {
        /// What for.
        why: Why,
        /// When to look again.
        until: Option<Time>,
    },
    /// It did not work, and may work the next time.
    Retry {
        /// What went wrong.
        why: Why,
        /// How long AWS asks to wait.
        after: Option<Duration>,
    },
    /// Something could not be read without which nobody can tell what differs.
    Unread {
        /// Why not.
        why: Why,
        /// How long AWS asks to wait.
        after: Option<Duration>,
        /// Whether the function itself is known, and only its VPC or its role is not.
        seen: bool,
    },
    /// It will not work until somebody does something.
    Blocked {
        /// What stands in the way.
        why: Why,
        /// When it is tried again all the same.
        until: Option<Time>,
    },
}

impl Outcome {
    /// Waiting, as long as the backoff says.
    pub fn waiting(reason: Reason, detail: impl Into<String>) -> Self {
        Self::Waiting { why: Why::new(reason, detail), until: None }
    }

    /// Waiting until a moment.
    pub fn waiting_until(reason: Reason, until: Time) -> Self {
        Self::Waiting { why: Why::new(reason, ""), until: Some(until) }
    }

    /// Blocked.
    pub fn blocked(reason: Reason, detail: impl Into<String>) -> Self {
        Self::Blocked { why: Why::new(reason, detail), until: None }
    }

    /// A function that nobody knows.
    pub fn unknown(fault: &Fault) -> Self {
        Self::Unread { why: Why::unread(fault), after: fault.retry_after(), seen: false }
    }

    /// The reason; none where all is well.
    pub fn why(&self) -> Option<&Why> {
        match self {
            Self::InSync => None,
            Self::Waiting { why, .. }
            | Self::Retry { why, .. }
            | Self::Unread { why, .. }
            | Self::Blocked { why, .. } => Some(why),
        }
    }

    /// The state of a function whose pass ended so. Only what nobody knows is unknown; where a call failed, it is on its
    /// way as long as that may pass by itself, and otherwise blocked.
    pub fn state(&self) -> State {
        match self {
            Self::InSync => State::InSync,
            Self::Unread { seen: false, .. } => State::Unknown,
            Self::Retry { why, .. } | Self::Unread { why, .. } => match why.reason.pace() {
                Pace::Denied | Pace::Invalid => State::Blocked,
                _ => State::Progressing,
            },
            Self::Blocked { why, .. } if why.reason.state() != State::Excluded => State::Blocked,
            Self::Waiting { why, .. } | Self::Blocked { why, .. } => why.reason.state(),
        }
    }

    /// Whether only somebody else can change anything about it: waiting does not help.
    pub fn rests(&self) -> bool {
        match self {
            Self::InSync | Self::Blocked { .. } => true,
            Self::Waiting { why, .. } => {
                matches!(
                    why.reason,
                    Reason::Observed | Reason::NotAdmitted | Reason::RolloutStopped | Reason::GuardHolding
                )
            }
            Self::Retry { why, .. } | Self::Unread { why, .. } => why.reason.pace() == Pace::Denied,
        }
    }

    /// The outcome's name in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::InSync => "in_sync",
            Self::Waiting { .. } => "waiting",
            Self::Retry { .. } => "retry",
            Self::Unread { .. } => "unread",
            Self::Blocked { .. } => "blocked",
        }
    }
}
