//! The next step for one function, from a fresh look; and what an answer means.

use std::sync::Arc;
use std::time::Duration;

use super::change::{incomplete, missing};
use super::guard;
use super::memory::{PROPAGATION, waiting_for_iam, waits_for_iam};
use super::reason::{Outcome, Reason, Why};
use super::rollout::turn;
use super::{Admitted, Answer, Attach, Cause, Change, NetworkChange, Step, Verdict, World, Writable};
use crate::cloud::{Class, CloudError, Function, Overruler, Simulated, State, Update};
use crate::desired::{AttachPolicy, Entry, Want};
use crate::live::{Fault, RoleFacts, Seen};
use crate::names::{FunctionKey, Time};
use crate::settings::Mode;

/// The pause between attaching a policy and the first try: what people's scripts wait, since IAM takes some seconds. Each
/// try that comes too soon costs a refused call, and a look.
const FIRST_TRY: Duration = Duration::from_secs(10);
/// How long a function waits for another that attaches a policy to the role they share.
const BETWEEN_TRIES: Duration = Duration::from_secs(2);
/// A function that is created, or woken after weeks, is Pending for a minute or two, or some minutes where an interface is
/// made; one that stays so for longer needs somebody.
const PENDING: Duration = Duration::from_secs(10 * 60);
/// How long a missing `LastUpdateStatus` counts as an update in progress.
const UNSAID: Duration = Duration::from_secs(5 * 60);

/// What was seen this lately is a ground to act on; later, too many calls would be refused since things have moved on.
const SEEN: Duration = Duration::from_secs(5 * 60);
/// When an accepted update is looked at for the first time: with interfaces that are there it takes some seconds.
const FIRST_LOOK: Duration = Duration::from_secs(5);
/// The same of a function in one of the first waves: there are few of them, and all others wait for them.
const FIRST_LOOK_AHEAD: Duration = Duration::from_secs(2);

/// A function that changed this lately may have an unfinished update, which a listing does not show.
const RECENT: Duration = Duration::from_secs(15 * 60);

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Make this call.
    Do(Step),
    /// Make none.
    Rest(Outcome),
}

/// Decides about a function that was just looked at and compared.
pub fn decide(w: &World<'_>, entry: &Arc<Entry>, verdict: &Verdict) -> Decision {
    let function = match (verdict, w.facts.function(&entry.key.name)) {
        (Verdict::Stuck(outcome), _) => return Decision::Rest(outcome.clone()),
        (_, Seen::Present(function)) => function,
        // A comparison that is not stuck has seen the function.
        (_, Seen::Absent | Seen::Unknown(_)) => return Decision::Rest(Outcome::unknown(&Fault::Unread)),
    };
    if let Some(wait) = busy(w, &entry.key, function) {
        return Decision::Rest(wait);
    }
    let Verdict::Differs(change) = verdict else { return Decision::Rest(Outcome::InSync) };
    match gate(w, entry, change).or_else(|| turn(w, entry, change)).or_else(|| outdated(w, entry)) {
        Some(outcome) => Decision::Rest(outcome),
        None => next_step(w, function, change),
    }
}

/// What a network is made of was read too long ago to change anything for it: a sweep comes first.
fn outdated(w: &World<'_>, entry: &Entry) -> Option<Outcome> {
    let read = w.facts.vpc_read_at(entry.terms.want.vpc()?)?;
    (!w.still_counts(read)).then(|| incomplete(&Fault::Unread))
}

/// How a function stands after a look that could not read it, or its role: as it did before, but nothing is done.
pub fn unread(w: &World<'_>, entry: &Entry, verdict: &Verdict, fault: &Fault) -> Outcome {
    match verdict {
        Verdict::Stuck(outcome) => outcome.clone(),
        Verdict::InSync if !may_be_unfinished(w, &entry.key) => Outcome::InSync,
        Verdict::InSync | Verdict::Differs(_) => Outcome::Retry { why: Why::unread(fault), after: fault.retry_after() },
    }
}

/// Whether a function has to be looked at before anything is decided about it, beyond what was seen a moment ago.
///
/// An update carries the revision that was seen, and Lambda refuses it if the function is another one by now. So a sweep,
/// which costs a call for fifty functions, is as safe a ground as a look at each; it only fails to show an update that is
/// going on, which can only be where something has changed lately. And a look is not made again for a change that was not
/// sent after it.
pub fn needs_look(w: &World<'_>, key: &FunctionKey) -> bool {
    let (Seen::Present(function), Some(entry)) = (w.facts.function(&key.name), w.desired.get(key)) else { return true };
    let lately = |at: Time| w.now.since(at) <= SEEN;
    let looked = w.facts.looked_at.contains_key(&key.name);
    let role_known = match (&entry.terms.want, w.facts.role(function.role.key())) {
        (Want::Attached(_), Seen::Present(role)) => {
            (looked || lately(role.at)) && role.tells_of(&entry.terms.policies, &function.role)
        }
        (Want::Attached(_), Seen::Absent | Seen::Unknown(_)) => false,
        (Want::Detached | Want::Disputed(_), _) => true,
    };
    let doubtful =
        may_be_unfinished(w, key) || w.memory.shown_to_lack_right(key, w.now) || w.memory.is_to_be_refreshed(key);
    let ground = w.facts.read_at(&key.name).is_some_and(lately) && role_known;
    !ground || function.revision.is_none() || function.modified.is_none() || doubtful
}

/// Whether a function that looks in sync in a sweep may be in the middle of an update all the same, so that only a look
/// tells: a listing shows neither state nor last update.
pub fn may_be_unfinished(w: &World<'_>, key: &FunctionKey) -> bool {
    let Seen::Present(function) = w.facts.function(&key.name) else { return false };
    let recent = function.modified.is_some_and(|at| w.now.since(at) < RECENT);
    is_unfinished(w, key) || (function.life.is_none() && recent)
}

/// Whether a function is known to be in the middle of an update: by a look, or since the update is ours.
pub fn is_unfinished(w: &World<'_>, key: &FunctionKey) -> bool {
    let Seen::Present(function) = w.facts.function(&key.name) else { return false };
    match &function.life {
        Some(life) => life.state == State::Pending || matches!(life.update, Update::InProgress | Update::Unsaid),
        None => w.memory.awaits_update(key),
    }
}

/// Whether Lambda is at work on the function, so that an update would be refused with 409.
pub(super) fn busy(w: &World<'_>, key: &FunctionKey, function: &Function) -> Option<Outcome> {
    let life = function.life.as_ref()?;
    if life.state == State::Pending {
        return Some(match w.memory.pending_since(key) {
            Some(since) if w.now.since(since) >= PENDING => {
                Outcome::blocked(Reason::StaysPending, format!("since {}", w.wall.shows(since)))
            }
            _ => Outcome::waiting(Reason::FunctionPending, ""),
        });
    }
    let recent = function.modified.is_some_and(|at| w.now.since(at) < UNSAID);
    match life.update {
        Update::InProgress => Some(Outcome::waiting(Reason::UpdateInProgress, "")),
        Update::Unsaid if recent => Some(Outcome::waiting(Reason::UpdateInProgress, "Lambda does not say how it went")),
        _ => None,
    }
}

/// Whether the function is in a state in which Lambda refuses updates, for days perhaps.
fn takes_no_update(w: &World<'_>, key: &FunctionKey) -> Option<Outcome> {
    let Seen::Present(function) = w.facts.function(&key.name) else { return None };
    let reason = match function.life.as_ref()?.state {
        State::Deleting => Reason::FunctionDeleting,
        State::Deactivating | State::Deactivated => Reason::FunctionDeactivated,
        State::ActiveNonInvocable => Reason::FunctionNotInvocable,
        State::Pending | State::Active | State::Inactive | State::Failed(_) | State::Other(_) => return None,
    };
    Some(Outcome::blocked(reason, ""))
}

/// The mode that counts now: the operator's is a ceiling over the entry's, and an observation with an end is over then.
pub fn mode(w: &World<'_>, entry: &Entry) -> Mode {
    w.limits.mode.min(entry.terms.mode_at(w.wall.shows(w.now)))
}

/// What keeps a difference from being put right now: the mode, the account, the agreement, other people at work, the guard.
pub fn gate(w: &World<'_>, entry: &Arc<Entry>, change: &Change) -> Option<Outcome> {
    if !w.leads {
        return Some(Outcome::waiting(Reason::NotLeader, ""));
    }
    if mode(w, entry) == Mode::Observe {
        let reason = entry.terms.reason.clone().unwrap_or_default();
        // Under the operator's ceiling the end of an observation passes without effect, and is nothing to wait for.
        let until = entry.terms.until.map(|until| w.wall.reaches(until)).filter(|until| w.now < *until);
        return Some(Outcome::Waiting { why: Why::new(Reason::Observed, reason), until });
    }
    if w.limits.writable == Writable::Stated && !entry.terms.account_stated {
        return Some(Outcome::blocked(Reason::AccountNotStated, entry.key.scope.account.to_string()));
    }
    if let Some(outcome) = takes_no_update(w, &entry.key) {
        return Some(outcome);
    }
    if let Admitted::Only(agreed) = &w.limits.admitted
        && !agreed.get(&entry.key).is_some_and(|agreed| agreed.covers(change))
    {
        return Some(Outcome::waiting(Reason::NotAdmitted, ""));
    }
    if let Some(until) = w.memory.flapping(change, w.now) {
        let owner = w.facts.owners.get(&entry.key.name).cloned().flatten().unwrap_or_default();
        return Some(Outcome::Blocked { why: Why::new(Reason::Flapping, owner), until: Some(until) });
    }
    settling(w, &entry.key)
        .or_else(|| unconfirmed(w, entry, change))
        .or_else(|| cooling_down(w, change))
        .or_else(|| guard::holds(w, change))
}

/// What AWS refused so lately that the very same is not tried again yet. It takes no place in a rollout meanwhile.
fn cooling_down(w: &World<'_>, change: &Change) -> Option<Outcome> {
    let Change { key, attach, network, .. } = change;
    let refusal = match (attach.first(), network) {
        (Some(Attach { role, policy, .. }), _) => w.memory.not_attached(role.key(), policy, w.now),
        (None, Some(NetworkChange { to, .. })) => {
            let Seen::Present(function) = w.facts.function(&key.name) else { return None };
            let own = w.memory.refusal(key, to, function.revision.as_ref(), w.now);
            own.or_else(|| w.memory.role_denial(function.role.key(), to, w.now).filter(|_| to.is_attached()))
        }
        (None, None) => None,
    };
    refusal.map(|refusal| refusal.outcome(w.now))
}

/// A network that no edit asked for is waited for until a second listing says the same. Where neither this process has seen
/// the function in sync nor a record tells of one before it, the entry of a function that is in the VPC already may have
/// been edited or not: so it waits as well.
fn unconfirmed(w: &World<'_>, entry: &Entry, change: &Change) -> Option<Outcome> {
    let (Want::Attached(intent), Some(NetworkChange { to, .. })) = (&entry.terms.want, &change.network) else {
        return None;
    };
    let asked_for = match change.cause {
        Cause::Network => false,
        Cause::Live => true,
        Cause::File => {
            let known = w.memory.ever_agreed(&entry.key) || w.memory.remembers();
            known || w.facts.vpc_of(&entry.key.name) != Some(&intent.vpc)
        }
    };
    let agreed = || w.memory.targets.agree(intent, to, w.limits.confirm);
    if asked_for || w.limits.confirm.is_zero() || agreed() {
        return None;
    }
    Some(Outcome::waiting(Reason::NetworkUnconfirmed, intent.vpc.to_string()))
}

/// A function that somebody else just changed is left alone: a deploy may be going on.
fn settling(w: &World<'_>, key: &FunctionKey) -> Option<Outcome> {
    let Seen::Present(function) = w.facts.function(&key.name) else { return None };
    let modified = function.modified.filter(|modified| !w.memory.ours(key, *modified))?;
    let settled = modified + w.limits.settle;
    (w.now < settled).then(|| Outcome::waiting_until(Reason::Settling, settled))
}

/// Policies first, then the network.
fn next_step(w: &World<'_>, function: &Function, change: &Change) -> Decision {
    let Change { key, attach, network, .. } = change.clone();
    if let Some(Attach { role, policy, .. }) = attach.into_iter().next() {
        if w.memory.attaching(role.key(), &policy) {
            return Decision::Rest(Outcome::waiting_until(Reason::RoleBusy, w.now + BETWEEN_TRIES));
        }
        return Decision::Do(Step::AttachPolicy { key, role, policy });
    }
    let Some(NetworkChange { from, to }) = network else { return Decision::Rest(Outcome::InSync) };
    let first_try = w.memory.last_attach(function.role.key()).map(|at| at + FIRST_TRY);
    if let Some(first_try) = first_try.filter(|at| w.now < *at && to.is_attached()) {
        return Decision::Rest(Outcome::waiting_until(Reason::RolePropagation, first_try));
    }
    Decision::Do(Step::SetVpc { key, from, to, revision: function.revision.clone() })
}

/// What an answer means. The memory has heard of it before.
pub fn conclude(w: &World<'_>, step: &Step, answer: &Answer) -> Outcome {
    let error = match (step, answer) {
        (_, Answer::NotSent { after }) => return Outcome::waiting_until(Reason::BudgetTurn, w.now + *after),
        (_, Answer::NotJournaled(text)) => return Outcome::blocked(Reason::NotJournaled, text),
        (Step::AttachPolicy { .. }, Answer::Done) => {
            return Outcome::waiting_until(Reason::RolePropagation, w.now + FIRST_TRY);
        }
        (Step::SetVpc { key, .. }, Answer::Done) => {
            let goes_first = w.desired.get(key).is_some_and(|entry| w.memory.rollouts.goes_first(entry));
            let look = if goes_first { FIRST_LOOK_AHEAD } else { FIRST_LOOK };
            return Outcome::waiting_until(Reason::UpdateInProgress, w.now + look);
        }
        (_, Answer::Failed(error)) => error,
    };
    match step {
        Step::AttachPolicy { .. } => rest(Why::attaching(error), error),
        Step::SetVpc { key, .. } if waits_for_iam(error.class) => denied(w, key, error),
        Step::SetVpc { key, .. } if error.class == Class::NotFound => {
            Outcome::blocked(Reason::FunctionNotFound, key.to_string())
        }
        Step::SetVpc { key, .. } => rest(Why::updating(error, key), error),
    }
}

/// The outcome of an error whose meaning does not depend on anything else.
fn rest(why: Why, error: &CloudError) -> Outcome {
    match error.class {
        Class::Busy => Outcome::Waiting { why, until: None },
        class if class.passes() || class == Class::StaleRevision => Outcome::Retry { why, after: error.retry_after },
        _ => Outcome::Blocked { why, until: None },
    }
}

/// Lambda refuses for the role's sake: a policy is missing, or IAM has not noticed it, or something overrules it.
fn denied(w: &World<'_>, key: &FunctionKey, error: &CloudError) -> Outcome {
    let (Some(entry), Seen::Present(function)) = (w.desired.get(key), w.facts.function(&key.name)) else {
        return rest(Why::answered(error), error);
    };
    let missing = match w.facts.role(function.role.key()) {
        Seen::Present(role) => missing(w, entry, function, role),
        _ => Vec::new(),
    };
    if error.class == Class::RoleDenied && !missing.is_empty() {
        return match entry.terms.attach_policy {
            AttachPolicy::Never => Outcome::blocked(Reason::PolicyMissing, error.to_string()),
            _ => Outcome::waiting_until(Reason::PolicyNeeded, w.now),
        };
    }
    let (attached, refused) = (w.memory.last_attach(function.role.key()), w.memory.refused_since(key));
    match attached.max(refused).is_none_or(|since| w.now.since(since) < PROPAGATION) {
        true => {
            let asked = w.memory.last_asked(function.role.key());
            Outcome::Waiting { why: waiting_for_iam(asked, refused, error.to_string()), until: None }
        }
        false if error.class == Class::RoleDenied => {
            let why = Why::answered(error);
            let detail = format!("{}; {}", diagnosis(w.facts.role(function.role.key())), why.detail);
            Outcome::Blocked { why: Why::new(why.reason, detail), until: None }
        }
        false => Outcome::Blocked { why: Why::answered(error), until: None },
    }
}

/// Why a role is refused that has the policy, as far as a simulation can tell.
fn diagnosis(role: &Seen<RoleFacts>) -> &'static str {
    let said = match role {
        Seen::Present(role) => role.simulation.map(|simulation| simulation.said),
        Seen::Absent | Seen::Unknown(_) => None,
    };
    match said {
        Some(Simulated::Overruled(Overruler::Boundary)) => "the role's permissions boundary overrules its policies",
        Some(Simulated::Overruled(Overruler::Organisation)) => {
            "a policy of the organisation (SCP) overrules the role's"
        }
        Some(Simulated::Overruled(Overruler::Denial)) => "a statement of the role's policies denies it explicitly",
        Some(Simulated::Missing) => "no policy on the role allows it, according to a simulation",
        Some(Simulated::Allowed) => {
            "a simulation allows it, so look for what that does not see: conditions such as ec2:Vpc, or a policy of the \
             organisation (SCP)"
        }
        Some(Simulated::Unclear) | None => "a simulation could not tell why",
    }
}
