//! What a picture of the board shows, as answers.

use super::*;
use crate::board::{self, Counts, Fleet, GuardLine, Line, Made, ScopeLine};
use crate::desired::Want;
use crate::names::WallClock;
use crate::plan::{self, Step, Why};
use crate::telemetry::Shown;
use crate::text::shown;

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
            out_of_sync: counts.of(State::OutOfSync),
            awaiting_approval: counts.of(State::AwaitingApproval),
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
            State::OutOfSync => self.out_of_sync,
            State::AwaitingApproval => self.awaiting_approval,
            State::Blocked => self.blocked,
            State::Unknown => self.unknown,
            State::Excluded => self.excluded,
        }
    }
}

impl ScopeStatus {
    fn of(scope: &ScopeKey, line: &ScopeLine, wall: WallClock) -> Self {
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
        let scope = ScopeKey { account: self.account.clone(), region: self.region.clone() };
        FunctionKey { scope, name: self.name.clone() }
    }
}

impl Function {
    /// What a line of the board shows, by a wall clock.
    pub fn of(line: &Line, wall: WallClock) -> Self {
        let FunctionKey { scope: ScopeKey { account, region }, name } = &line.entry.key;
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
