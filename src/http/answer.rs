//! The answers of the API, as programs read them. `docs/openapi.json` is made from these types; what is taken away or
//! means something else gets another version in the path, what is added does not.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::board::{self, Counts, Fleet, GuardLine, Line, Made, ScopeLine};
use crate::desired::Want;
use crate::names::{
    AccountId, Digest, FunctionKey, FunctionName, Network, PolicyArn, Region, RoleName, Scope, Time, VpcId, WallClock,
    milliseconds,
};
use crate::plan::{self, Cause, Evidence, State, Step, Why};
use crate::settings::Mode;
use crate::telemetry::Shown;
use crate::text::shown;

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
    pub drifted: usize,
    /// Differing, and held back.
    pub held: usize,
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

impl Status {
    /// What a picture of the board shows.
    pub fn of(shown: &Shown) -> Self {
        let Fleet { revision: _, lines, scopes, file, settings, wall } = &shown.fleet;
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready: shown.ready,
            listed: lines.len(),
            states: shown.fleet.counts().into(),
            behind: lines.iter().filter(|line| line.attempted != file.digest).count(),
            held_by_guard: scopes.values().map(|scope| scope.held_by_guard).sum(),
            desired: Desired {
                digest: file.digest.clone(),
                since: file.since.map(|since| wall.shows(since)),
                valid: file.digest.is_some() && file.problem.is_none(),
                problem: file.problem.as_ref().map(ToString::to_string),
                warnings: file.warnings.to_vec(),
            },
            settings_problem: settings.as_ref().map(ToString::to_string),
            scopes: scopes.iter().map(|(scope, line)| ScopeStatus::of(scope, line, *wall)).collect(),
        }
    }

    /// Whether every function is as the file says that is there now, by the settings that are there now.
    pub fn is_in_sync(&self) -> bool {
        let valid = self.desired.valid && self.settings_problem.is_none();
        self.ready && valid && self.behind == 0 && self.states.in_sync == self.listed
    }
}

impl From<Counts> for States {
    fn from(counts: Counts) -> Self {
        Self {
            in_sync: counts.of(State::InSync),
            progressing: counts.of(State::Progressing),
            drifted: counts.of(State::Drifted),
            held: counts.of(State::Held),
            blocked: counts.of(State::Blocked),
            unknown: counts.of(State::Unknown),
            excluded: counts.of(State::Excluded),
        }
    }
}

impl States {
    /// Each state with its count, what needs somebody first.
    pub fn each(&self) -> [(State, usize); 7] {
        State::BY_URGENCY.map(|state| (state, self.of(state)))
    }

    fn of(&self, state: State) -> usize {
        match state {
            State::InSync => self.in_sync,
            State::Progressing => self.progressing,
            State::Drifted => self.drifted,
            State::Held => self.held,
            State::Blocked => self.blocked,
            State::Unknown => self.unknown,
            State::Excluded => self.excluded,
        }
    }
}

impl ScopeStatus {
    fn of(scope: &Scope, line: &ScopeLine, wall: WallClock) -> Self {
        let shows = |at: Time| wall.shows(at);
        let ScopeLine { counts, held_by_guard, sweeping, last_sweep, last_success, fault, guard } = line;
        let GuardLine { budgets, unknown_until, plan } = guard;
        let budget = |&plan::Budget { cause, changed, allowed }: &plan::Budget| Budget { cause, changed, allowed };
        Self {
            account: scope.account.clone(),
            region: scope.region.clone(),
            states: (*counts).into(),
            held_by_guard: *held_by_guard,
            sweeping_since: sweeping.map(shows),
            last_sweep: last_sweep.map(|swept| shows(swept.ended)),
            last_sweep_seconds: last_sweep.map(|swept| swept.took.as_secs_f64()),
            last_success: last_success.map(shows),
            fault: fault.as_ref().map(|(why, since)| Fault { since: shows(*since), why: why.into() }),
            plan_id: plan.clone(),
            guard: budgets.iter().map(budget).collect(),
            guard_unknown_until: unknown_until.map(shows),
        }
    }
}

impl From<&Why> for Reason {
    fn from(Why { reason, detail }: &Why) -> Self {
        Self { reason: reason.name().to_owned(), sentence: reason.sentence().to_owned(), detail: detail.clone() }
    }
}

impl Function {
    /// Whether it is as the file says that has this digest.
    pub fn is_in_sync_with(&self, file: Option<&Digest>) -> bool {
        self.state == State::InSync && self.attempted_digest.as_ref() == file
    }

    /// What identifies it.
    pub fn key(&self) -> FunctionKey {
        let scope = Scope { account: self.account.clone(), region: self.region.clone() };
        FunctionKey { scope, name: self.name.clone() }
    }
}

impl Function {
    /// What a line of the board shows, by a wall clock.
    pub fn of(line: &Line, wall: WallClock) -> Self {
        let FunctionKey { scope: Scope { account, region }, name } = &line.entry.key;
        let vpc_name = match &line.entry.terms.want {
            Want::Attached(intent) => intent.name.as_deref().map(|name| shown(name).into_owned()),
            Want::Detached | Want::Disputed(_) => None,
        };
        Self {
            account: account.clone(),
            region: region.clone(),
            name: name.clone(),
            state: line.outcome.state(),
            since: wall.shows(line.since),
            why: line.outcome.why().map(Reason::from),
            next_try: line.next.map(|next| wall.shows(next)),
            cause: line.change.as_ref().map(|change| change.cause),
            vpc: line.entry.terms.want.vpc().cloned(),
            vpc_name,
            mode: line.entry.terms.mode,
            warnings: line.warnings.len(),
            attempted_digest: line.attempted.clone(),
        }
    }
}

impl Details {
    /// What a line of the board shows, by a wall clock.
    pub fn of(line: &Line, wall: WallClock) -> Self {
        let entry = &line.entry;
        Self {
            function: Function::of(line, wall),
            place: entry.place().to_string(),
            observed_until: entry.terms.until,
            observed_because: entry.terms.reason.as_deref().map(|reason| shown(reason).into_owned()),
            applied_digest: line.applied.clone(),
            change: line.change.as_deref().map(Change::from),
            live: line.live.as_ref().map(|live| Placed { vpc: live.vpc.clone(), network: Arc::clone(&live.network) }),
            doubts: line.warnings.to_vec(),
            last_change: line.last_change.as_deref().map(|made| LastChange::of(made, wall)),
            history: line.history.events().iter().rev().map(|event| Event::of(event, wall)).collect(),
        }
    }
}

impl From<&plan::Change> for Change {
    fn from(change: &plan::Change) -> Self {
        let attach = |all: &[plan::Attach]| all.iter().map(Attach::from).collect();
        Self {
            attach: attach(&change.attach),
            attach_if_refused: attach(&change.attach_if_refused),
            from: change.network.as_ref().map(|network| network.from.clone()),
            to: change.network.as_ref().map(|network| network.to.clone()),
        }
    }
}

impl From<&plan::Attach> for Attach {
    fn from(plan::Attach { role, policy, evidence }: &plan::Attach) -> Self {
        Self { role: role.key().name.clone(), policy: policy.clone(), evidence: *evidence }
    }
}

impl LastChange {
    fn of(Made { at, took, order }: &Made, wall: WallClock) -> Self {
        let (from, to, role, policy) = match &order.step {
            Step::SetVpc { from, to, .. } => (Some(from.clone()), Some(to.clone()), None, None),
            Step::AttachPolicy { role, policy, .. } => {
                (None, None, Some(role.key().name.clone()), Some(policy.clone()))
            }
        };
        Self {
            at: wall.shows(*at),
            duration_ms: milliseconds(*took),
            step: order.step.name().to_owned(),
            cause: order.cause,
            file_digest: order.digest.clone(),
            from,
            to,
            role,
            policy,
        }
    }
}

impl Event {
    fn of(board::Event { first, last, times, what }: &board::Event, wall: WallClock) -> Self {
        let what = match what {
            board::What::Edited(digest) => What::Edited { file_digest: digest.clone() },
            board::What::Differs(cause) => What::Differs { cause: *cause },
            board::What::Called { step, took, error } => What::Called {
                step: (*step).to_owned(),
                duration_ms: milliseconds(*took),
                error: error.as_deref().map(str::to_owned),
            },
            board::What::Became { state, reason, detail } => What::Became {
                state: *state,
                reason: reason.map(|reason| reason.name().to_owned()),
                detail: detail.as_deref().map(str::to_owned),
            },
        };
        Self { first: wall.shows(*first), last: wall.shows(*last), times: *times, what }
    }
}
