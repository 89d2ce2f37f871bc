//! Every decision, and nothing but decisions: no clock, no IO, no log. The same world gives the same answer.
//!
//! - [`matched`] says which functions the file's patterns mean.
//! - [`plan`] looks at the whole fleet and says what differs.
//! - [`turn`] says who goes first: waves, and a leader for each new pair.
//! - [`decide`] says what to do now for one function that was just looked at: one step, or none and why.
//! - [`conclude`] says what an answer of AWS means.
//!
//! `plan`, `apply`, `run` and observe mode are this one path, stopped at different stages.
//!
//! What is compared, for a function that is there and can be managed:
//!
//! | live network | desired | role | result |
//! |---|---|---|---|
//! | as desired | attached | any, unless Lambda gave the last update up for it | in sync: the role has made the interfaces |
//! | as desired | attached | lacks the right, and Lambda gave the last update up for it | attach the policy |
//! | other or none | attached | has the right | set the network |
//! | other or none | attached | lacks the right | attach the policy, then set the network |
//! | other or none | attached | not known to have it | set the network; attach the policy if Lambda refuses |
//! | none | detached | any | in sync |
//! | any | detached | any | set no network, if the settings allow it; the policy stays |
//!
//! `attach_policy = "always"` attaches a policy that is not on the role in any of these that are attached.

mod ages;
mod behind;
mod bind;
mod change;
mod decide;
mod egress;
mod guard;
mod memory;
mod patterns;
mod preflight;
mod reason;
pub mod record;
mod rollout;
mod setbacks;
mod targets;

pub use behind::Behind;
pub use bind::{Bindings, Bound, bind};
pub use change::{Attach, Cause, Change, Comparison, Evidence, NetworkChange, Verdict, compare, refused, targets};
pub use decide::{Decision, conclude, decide, gate, is_unfinished, may_be_unfinished, mode, needs_look, unread};
pub use guard::{Budget, GuardLimits, Ledger};
pub use memory::{Answer, AttachEnd, Memory, RoleNews, Roles};
pub use patterns::{LeftOut, left_out, matched, unmatched};
pub use preflight::NewInterfaces;
pub use reason::{Outcome, Pace, Reason, State, Why, not_loaded};
pub use record::ScopeRecord;
pub use rollout::{Rollouts, turn};
pub use targets::Targets;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crate::desired::{DesiredState, Entry, Pattern};
use crate::live::{Facts, Seen};
use crate::names::{
    Digest, FunctionKey, Network, PolicyArn, PolicyName, RevisionId, RoleArn, RoleKey, RolePattern, ScopeKey, Time,
    VpcId, WallClock,
};
use crate::settings::{Mode, Settings};

/// All that a decision is made from, of one account and region.
#[derive(Debug)]
pub struct World<'a> {
    /// What the file says of it.
    pub desired: &'a DesiredState,
    /// What AWS said.
    pub facts: &'a Facts,
    /// What this process saw.
    pub memory: &'a Memory,
    /// What the operator decided.
    pub limits: &'a Limits,
    /// Whether this process leads the scope; one that does not only observes.
    pub leads: bool,
    /// The moment.
    pub now: Time,
    /// What leads from there to the moments in the file.
    pub wall: WallClock,
    /// What the words of the file mean, as far as somebody has asked.
    pub bound: Bindings,
}

/// What the operator decided, as far as decisions depend on it. No file can widen it.
#[derive(Clone, Debug)]
pub struct Limits {
    /// A ceiling over every entry's mode.
    pub mode: Mode,
    /// How long a function that somebody else changed is left alone.
    pub settle: Duration,
    /// How far apart two listings of EC2 must be that agree on a network, before a function is moved that no edit asked to
    /// move.
    pub confirm: Duration,
    /// How long counts what could not be read again, beside the time that reading takes.
    pub max_age: Duration,
    /// Where writing is allowed.
    pub writable: Writable,
    /// Whether a function may be taken out of its VPC.
    pub allow_detach: bool,
    /// The policies that may be attached.
    pub allowed_policies: Vec<PolicyName>,
    /// The roles that may get a policy; `None` for any but the controller's own.
    pub allowed_roles: Option<Vec<RolePattern>>,
    /// The roles that the controller assumes, which never get a policy. The one whose credentials it has is known from AWS.
    pub own_roles: BTreeSet<RoleKey>,
    /// The VPCs that may be attached to; `None` for any.
    pub allowed_vpcs: Option<BTreeSet<VpcId>>,
    /// How much is changed in an hour without anybody's agreement; none where a person has seen the plan.
    pub guard: Option<GuardLimits>,
    /// Which changes may be made.
    pub admitted: Admitted,
}

/// The accounts that may be written into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writable {
    /// Those whose ids are stated, in the settings or the file: the daemon, since no person looks at what it does.
    Stated,
    /// The one that the credentials belong to as well: a person has seen the plan, with the account's id in it.
    Shown,
}

/// Which changes may be made.
#[derive(Clone, Debug)]
pub enum Admitted {
    /// Any that the plan finds.
    All,
    /// Those that a person has seen and agreed to.
    Only(BTreeMap<FunctionKey, Change>),
}

impl Limits {
    /// The limits that the settings set for the daemon.
    pub fn of(settings: &Settings) -> Self {
        Self {
            mode: settings.mode,
            settle: settings.settle,
            confirm: settings.resync,
            max_age: settings.resync * ages::RESYNCS,
            writable: Writable::Stated,
            allow_detach: settings.guard.allow_detach,
            allowed_policies: settings.guard.allowed_policies.clone(),
            allowed_roles: settings.guard.allowed_roles.clone(),
            own_roles: settings.accounts.iter().filter_map(|it| it.role.as_ref()).map(|it| it.key().clone()).collect(),
            allowed_vpcs: settings.guard.allowed_vpcs.as_ref().map(|vpcs| vpcs.iter().cloned().collect()),
            guard: Some(GuardLimits::of(&settings.guard)),
            admitted: Admitted::All,
        }
    }

    /// The limits for a person at a terminal, who sees the plan before it is carried out.
    pub fn attended(settings: &Settings) -> Self {
        Self {
            settle: Duration::ZERO,
            confirm: Duration::ZERO,
            writable: Writable::Shown,
            guard: None,
            ..Self::of(settings)
        }
    }
}

/// One mutating call, with all that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Attach a policy to an execution role.
    AttachPolicy {
        /// The function for whose sake it is done; others may share the role.
        key: FunctionKey,
        role: RoleArn,
        policy: PolicyArn,
    },
    /// Set a function's VPC configuration.
    SetVpc {
        key: FunctionKey,
        /// What it has.
        from: Arc<Network>,
        /// What it shall have.
        to: Arc<Network>,
        /// The revision that `from` was read at.
        revision: Option<RevisionId>,
    },
}

impl Step {
    /// The function that it is made for.
    pub fn key(&self) -> &FunctionKey {
        match self {
            Self::AttachPolicy { key, .. } | Self::SetVpc { key, .. } => key,
        }
    }

    /// Its name in metrics, logs and the audit.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AttachPolicy { .. } => "attach_policy",
            Self::SetVpc { .. } => "set_vpc",
        }
    }
}

/// The fleet: what differs, what stands in the way, and the id under which exactly this can be approved.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Every function of the file, in its order.
    pub lines: Vec<Line>,
    /// The network interfaces that Lambda would have to make.
    pub interfaces: Vec<NewInterfaces>,
    /// The patterns that mean no function.
    pub unmatched: Vec<Arc<Pattern>>,
    /// The functions that patterns leave out, since services made them for themselves.
    pub left_out: Vec<LeftOut>,
    /// Of each scope in which something differs, a digest of its exact changes and their before-values.
    pub ids: BTreeMap<ScopeKey, Digest>,
    /// The digest of those; where there is but one, that one.
    pub id: Digest,
}

/// One function of a plan.
#[derive(Clone, Debug)]
pub struct Line {
    /// What the file says.
    pub entry: Arc<Entry>,
    /// What the comparison gave.
    pub comparison: Comparison,
    /// What keeps a difference from being put right now, if anything does; or what keeps the function from being in
    /// sync, though it does not differ: an update that is going on.
    pub gate: Option<Outcome>,
}

impl Line {
    /// The outcome if nothing were done.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.comparison.verdict {
            Verdict::InSync => Some(self.gate.as_ref().unwrap_or(&Outcome::InSync)),
            Verdict::Differs(_) => self.gate.as_ref(),
            Verdict::Stuck(outcome) => Some(outcome),
        }
    }

    /// The state if nothing were done; none if a change would be made. Where nobody can tell what differs, that is unknown,
    /// whatever is known of the function itself.
    pub fn state(&self) -> Option<State> {
        match self.comparison.verdict.is_unread() {
            true => Some(State::Unknown),
            false => self.outcome().map(Outcome::state),
        }
    }

    /// The change that would be made, if any is to be made.
    pub fn change(&self) -> Option<&Change> {
        match &self.comparison.verdict {
            Verdict::Differs(change) => Some(change),
            _ => None,
        }
    }
}

impl Plan {
    /// The plan of a whole file from those of its scopes, in the file's order.
    pub fn of_all(plans: impl Iterator<Item = Self>, desired: &DesiredState) -> Self {
        let (mut of_entries, mut unmatched) = (BTreeMap::new(), Vec::new());
        let (mut interfaces, mut left_out, mut ids) = (Vec::new(), Vec::new(), BTreeMap::new());
        for plan in plans {
            of_entries.extend(plan.lines.into_iter().map(|line| (line.entry.key.clone(), line)));
            interfaces.extend(plan.interfaces);
            unmatched.extend(plan.unmatched);
            left_out.extend(plan.left_out);
            ids.extend(plan.ids);
        }
        let named = desired.entries.iter().filter_map(|entry| of_entries.remove(&entry.key));
        let mut lines: Vec<Line> = named.collect();
        lines.extend(of_entries.into_values());
        let place = |pattern: &Arc<Pattern>| desired.patterns.iter().position(|it| Arc::ptr_eq(it, pattern));
        unmatched.sort_by_key(place);
        let id = whole_id(&ids);
        Self { lines, interfaces, unmatched, left_out, ids, id }
    }

    /// How many published versions run another network than the file says; none where nobody looks for them.
    pub fn versions_behind(&self) -> Option<usize> {
        let known = self.lines.iter().filter_map(|line| line.comparison.behind.as_ref());
        known.map(|behind| behind.versions.len()).reduce(|one, other| one + other)
    }
}

/// Compares the whole fleet of a scope.
pub fn plan(w: &World<'_>) -> Plan {
    let line = |entry: &Arc<Entry>| {
        let comparison = compare(w, entry);
        let gate = match &comparison.verdict {
            Verdict::Differs(change) => decide::gate(w, entry, change),
            Verdict::InSync => match w.facts.function(&entry.key.name) {
                Seen::Present(function) => decide::busy(w, &entry.key, function),
                Seen::Absent | Seen::Unknown(_) => None,
            },
            Verdict::Stuck(_) => None,
        };
        Line { entry: Arc::clone(entry), comparison, gate }
    };
    let lines: Vec<Line> = w.desired.entries.iter().map(line).collect();
    let changes: Vec<&Change> = lines.iter().filter_map(Line::change).collect();
    let ids = changes.first().map(|change| (change.key.scope.clone(), scope_id(&changes))).into_iter().collect();
    let interfaces = preflight::new_interfaces(w, &lines);
    let id = whole_id(&ids);
    let (unmatched, left_out) = (unmatched(w.desired, w.facts), left_out(w.desired, w.facts));
    Plan { lines, interfaces, unmatched, left_out, ids, id }
}

/// The digest of what would be changed in a scope and from what; why it differs, how that is known, and in what order the
/// file lists it makes no difference.
fn scope_id(changes: &[&Change]) -> Digest {
    let mut text = String::new();
    let mut networks = Numbered::default();
    let mut changes = changes.to_vec();
    changes.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    for Change { key: FunctionKey { scope, name }, cause: _, attach, attach_if_refused, network } in changes {
        let network = network.as_ref().map(|network| networks.number(network, &mut text));
        text.extend([scope.account.as_str(), "/", scope.region.as_str(), "/", name.as_str()]);
        // Writing into a string cannot fail.
        let _ = write!(text, " {network:?}");
        let policies = attach.iter().chain(attach_if_refused);
        let policies: BTreeSet<_> = policies.map(|attach| (attach.role.as_str(), attach.policy.as_str())).collect();
        policies.into_iter().for_each(|(role, policy)| text.extend([" ", role, " ", policy]));
        text.push('\n');
    }
    Digest::of(text.as_bytes())
}

/// The digest of the plans of all scopes in which something differs.
pub fn whole_id(ids: &BTreeMap<ScopeKey, Digest>) -> Digest {
    match ids.first_key_value() {
        Some((_, only)) if ids.len() == 1 => only.clone(),
        _ => {
            let lines = ids.iter().map(|(scope, id)| format!("{scope} {}\n", id.as_str()));
            Digest::of(lines.collect::<String>().as_bytes())
        }
    }
}

/// Thousands of functions have both networks in common, which are written out where they are first seen.
#[derive(Default)]
struct Numbered<'a> {
    by_content: BTreeMap<&'a NetworkChange, usize>,
    /// Of those that are not only equal but the same.
    by_address: HashMap<[*const Network; 2], usize>,
}

impl<'a> Numbered<'a> {
    /// The number of a change; one that is new is written out.
    fn number(&mut self, change: &'a NetworkChange, text: &mut String) -> usize {
        let next = self.by_content.len();
        let by_content = || {
            *self.by_content.entry(change).or_insert_with(|| {
                // Debug output of names is the names themselves.
                let _ = writeln!(text, "{next} {change:?}");
                next
            })
        };
        let address = [Arc::as_ptr(&change.from), Arc::as_ptr(&change.to)];
        *self.by_address.entry(address).or_insert_with(by_content)
    }
}

#[cfg(test)]
mod tests;
