//! The answers of the API, as programs read them. `docs/openapi.json` is made from these types; what is taken away or
//! means something else gets another version in the path, what is added does not.

mod from_board;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{
    AccountId, Digest, FunctionKey, FunctionName, Network, PolicyArn, Region, RoleName, ScopeKey, Time, VpcId,
    milliseconds,
};
use crate::plan::{Cause, Evidence, State};
use crate::settings::Mode;

/// What is wrong with a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// What is wrong, and what would be right, in a sentence.
    pub error: String,
}

/// The fleet at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// Whether a desired state is in force, and every account and region has answered or been refused once.
    pub ready: bool,
    /// How many functions the file lists.
    pub listed: usize,
    /// How many of them are in which state.
    pub states: States,
    /// How many of them have not been looked at since the file last changed what it says of them.
    pub behind: usize,
    /// How many of them have a change that the guard holds until a person agrees.
    pub held_by_guard: usize,
    /// The desired state.
    pub desired: Desired,
    /// What is wrong with the settings as they were last read, for people; null where they can be used. If not, what was in
    /// force before stays in force.
    pub settings_problem: Option<String>,
    /// Every account and region.
    pub scopes: Vec<ScopeStatus>,
}

/// How many functions are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct States {
    /// As the file says.
    pub in_sync: usize,
    /// On the way there.
    pub progressing: usize,
    /// Differing, and only observed.
    pub out_of_sync: usize,
    /// Differing, and held back.
    pub awaiting_approval: usize,
    /// Waiting for somebody to do something.
    pub blocked: usize,
    /// Not known: not read yet, or not to be read.
    pub unknown: usize,
    /// Not to be managed.
    pub excluded: usize,
}

/// How the desired state stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Desired {
    /// The SHA-256 of what is in force; null before the first.
    pub digest: Option<Digest>,
    /// Since when it is in force.
    pub since: Option<Time>,
    /// Whether the file as it was last read can be used; if not, what is in force is older.
    pub valid: bool,
    /// What is wrong with the file, for people; several lines.
    pub problem: Option<String>,
    /// What is doubtful in what is in force.
    pub warnings: Vec<String>,
}

/// How an account and region stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScopeStatus {
    /// The account.
    pub account: AccountId,
    /// The region.
    pub region: Region,
    /// How many functions are in which state, as far as something is known of them.
    pub states: States,
    /// How many of them the guard holds.
    pub held_by_guard: usize,
    /// Since when it is being looked at as a whole; null where it is not.
    pub sweeping_since: Option<Time>,
    /// When that last ended.
    pub last_sweep: Option<Time>,
    /// How long it took, in seconds.
    pub last_sweep_seconds: Option<f64>,
    /// When it last ended with everything read.
    pub last_success: Option<Time>,
    /// What the account and region suffers from.
    pub fault: Option<Fault>,
    /// The id by which exactly the changes of this account and region can be approved; null where nothing differs.
    pub plan_id: Option<Digest>,
    /// What the guard let through in the last hour, for each cause.
    pub guard: Vec<Budget>,
    /// Until when the guard lets less through, since nobody knows what was changed in the last hour; null where that is known.
    pub guard_unknown_until: Option<Time>,
}

/// What the guard let through in the last hour for one cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Budget {
    /// The cause.
    pub cause: Cause,
    /// How many functions were changed, or are about to be, or may have been.
    pub changed: usize,
    /// How many may be without a person's agreement.
    pub allowed: usize,
}

/// What an account and region suffers from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// Since when.
    pub since: Time,
    /// Why.
    #[serde(flatten)]
    pub why: Reason,
}

/// Why something is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// The reason's name, as in the metrics and in docs/reasons.md.
    pub reason: String,
    /// What it means and what to do.
    pub sentence: String,
    /// What is particular to this case: an id, AWS's answer. May be empty.
    pub detail: String,
}

/// Some of the functions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Functions {
    /// How many there are that were asked for.
    pub total: usize,
    /// The next of them, in the order that was asked for.
    pub functions: Vec<Function>,
    /// What to pass as `cursor` to get those that follow; null at the end.
    pub next: Option<String>,
}

/// How a function stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Function {
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// Its name.
    pub name: FunctionName,
    /// Its state.
    pub state: State,
    /// Since when it is in that state.
    pub since: Time,
    /// Why it is not in sync; null where it is.
    pub why: Option<Reason>,
    /// When it is looked at again, beside the sweeps of its whole account and region.
    pub next_try: Option<Time>,
    /// What caused the difference; null where there is none.
    pub cause: Option<Cause>,
    /// The VPC that the file wants it in; null for none.
    pub vpc: Option<VpcId>,
    /// The name of that VPC's entry.
    pub vpc_name: Option<String>,
    /// Whether a difference is put right or only shown.
    pub mode: Mode,
    /// How many doubts there are about its entry.
    pub warnings: usize,
    /// The SHA-256 of the file by which it was last looked at; null before.
    pub attempted_digest: Option<Digest>,
}

/// All that is known of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Details {
    /// How it stands.
    #[serde(flatten)]
    pub function: Function,
    /// Where the file speaks of it: path, line and column.
    pub place: String,
    /// Until when it is only observed.
    pub observed_until: Option<Time>,
    /// Why it is only observed, in the file's words.
    pub observed_because: Option<String>,
    /// The SHA-256 of the file by which it was last found in sync; null before.
    pub applied_digest: Option<Digest>,
    /// What differs, and so what would be done.
    pub change: Option<Change>,
    /// What it has; null where that is not known.
    pub live: Option<Placed>,
    /// What is doubtful about its entry.
    pub doubts: Vec<String>,
    /// The last change that was made for it since the daemon began.
    pub last_change: Option<LastChange>,
    /// What happened to it since the daemon began, the latest first: the last 20 events.
    pub history: Vec<Event>,
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The policies that its role has to get.
    pub attach: Vec<Attach>,
    /// The policies that its role gets if Lambda refuses without them.
    pub attach_if_refused: Vec<Attach>,
    /// The network that it has; null where that does not differ.
    pub from: Option<Arc<Network>>,
    /// The network that it has to get; null where that does not differ.
    pub to: Option<Arc<Network>>,
}

/// A policy for a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attach {
    /// The role.
    pub role: RoleName,
    /// The policy.
    pub policy: PolicyArn,
    /// What shows that it is needed.
    pub evidence: Evidence,
}

/// A network, and the VPC that it is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Placed {
    /// The VPC; null where there is none, or where Lambda did not tell it.
    pub vpc: Option<VpcId>,
    /// The network.
    #[serde(flatten)]
    pub network: Arc<Network>,
}

/// A change that AWS has accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastChange {
    /// When.
    pub at: Time,
    /// How long AWS took to accept it, in milliseconds.
    pub duration_ms: u64,
    /// `attach_policy` or `set_vpc`.
    pub step: String,
    /// Why it was made.
    pub cause: Cause,
    /// The SHA-256 of the file that asked for it.
    pub file_digest: Digest,
    /// The network before; null for a policy.
    pub from: Option<Arc<Network>>,
    /// The network after; null for a policy.
    pub to: Option<Arc<Network>>,
    /// The role that got the policy; null for a network.
    pub role: Option<RoleName>,
    /// The policy; null for a network.
    pub policy: Option<PolicyArn>,
}

/// Something that happened, or happened again and again with nothing else between.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// When, the first time.
    pub first: Time,
    /// When, the last time.
    pub last: Time,
    /// How many times.
    pub times: u32,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What can happen to a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// Its entry became another one.
    Edited {
        /// The SHA-256 of the file.
        file_digest: Digest,
    },
    /// A difference was found.
    Differs {
        /// What caused it.
        cause: Cause,
    },
    /// A call was made, or could not be recorded and so was not made.
    Called {
        /// `attach_policy` or `set_vpc`.
        step: String,
        /// How long AWS took, in milliseconds.
        duration_ms: u64,
        /// What went wrong; null where AWS accepted it.
        error: Option<String>,
    },
    /// Its state, or the reason for it, became another one.
    Became {
        /// The state.
        state: State,
        /// Why it is not in sync.
        reason: Option<String>,
        /// The particulars.
        detail: Option<String>,
    },
}
