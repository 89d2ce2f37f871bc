//! In what order a fleet is changed: in waves, and with one leader for each new pair.
//!
//! A mistake in a VPC entry shows with the first function that is moved into it; so of the functions of one entry one
//! goes first, then ten, then the rest, and a wave in which something is blocked stops the next one. And since Lambda
//! makes one network interface for each pair of subnet and set of groups, which takes minutes the first time and is
//! shared by all afterwards, of the functions that need the same new pair one leads and the others wait: they then take
//! seconds, and EC2 is not asked a hundred times for the same interface.
//!
//! A function that is selected for a pass reserves its place, so that no look is spent on one whose turn it is not.

mod leads;
mod waves;

use std::sync::Arc;

use self::leads::Leads;
use self::waves::{Group, Place, Waves};
use super::reason::{Outcome, Pace, Reason, State, Why};
use super::{Change, World};
use crate::cloud::{CloudError, Function, Update};
use crate::desired::{Entry, Want};
use crate::live::{Seen, VpcFacts};
use crate::names::{FunctionName, Network, Pair, Time};

/// Who goes first: what this process has begun, and whom it has told to wait.
#[derive(Clone, Debug, Default)]
pub struct Rollouts {
    waves: Waves,
    leads: Leads,
    /// Whether something has ended, so that somebody else may go.
    moved: bool,
}

/// Why a change is not to be begun now: others go first. None if it may be begun.
///
/// A policy is attached ahead of the wave that needs it, so that IAM's delay is waited for once and not in each wave.
pub fn turn(w: &World<'_>, entry: &Entry, change: &Change) -> Option<Outcome> {
    let to = &change.network.as_ref()?.to;
    let rollouts = &w.memory.rollouts;
    let (group, attaches) = (Group::of(entry), !change.attach.is_empty());
    match rollouts.waves.place(&group, &entry.key.name, w.now) {
        Place::Now => {}
        Place::Later(_) | Place::Pause(_) if attaches => return None,
        Place::Later(ahead) => return Some(Outcome::waiting(Reason::RolloutTurn, format!("{group} {ahead}"))),
        Place::Pause(until) => {
            let why = Why::new(Reason::RolloutTurn, format!("{group} pauses after a function with trouble of its own"));
            return Some(Outcome::Waiting { why, until: Some(until) });
        }
        Place::Stopped(failed, reason) => {
            return Some(Outcome::waiting(Reason::RolloutStopped, format!("{failed}: {}", reason.name())));
        }
    }
    if attaches {
        return None;
    }
    let new = new_pairs(w, entry, to);
    if let Some(leader) = rollouts.leads.leader(&entry.key.name, &new, w.now) {
        return Some(Outcome::waiting(Reason::PairLead, leader.to_string()));
    }
    let Seen::Present(function) = w.facts.function(&entry.key.name) else { return None };
    let probe = w.memory.probe(function.role.key(), w.now).filter(|probe| **probe != entry.key && to.is_attached())?;
    // A role serves all regions of its account, and a name may stand in several.
    let who = if probe.scope == entry.key.scope { probe.name.to_string() } else { probe.to_string() };
    Some(Outcome::waiting(Reason::RoleProbe, who))
}

/// The pairs of the network that an entry means for which no interface is known to be there.
pub(super) fn new_pairs(w: &World<'_>, entry: &Entry, network: &Network) -> Arc<[Pair]> {
    let Want::Attached(intent) = &entry.terms.want else { return Arc::default() };
    let there = match w.facts.vpc(&intent.vpc) {
        Seen::Present(VpcFacts { interfaces: Seen::Present(there), .. }) => Some(there),
        _ => None,
    };
    let seen = |pair: &Pair| there.is_some_and(|there| there.serve(pair));
    let known = |pair: &Pair| seen(pair) || w.memory.rollouts.leads.made(pair, w.now);
    let find = || network.pairs().filter(|pair| !known(pair)).collect();
    w.bound.new_pairs(intent, find)
}

impl Rollouts {
    /// Whether a function is in one of the first waves, which the others wait for.
    pub(super) fn goes_first(&self, entry: &Entry) -> bool {
        self.waves.goes_first(&Group::of(entry), &entry.key.name)
    }

    /// Reserves the place of a function whose turn it is.
    pub fn reserve(&mut self, entry: &Entry, change: &Change, now: Time) {
        let Some(network) = change.network.as_ref().filter(|_| change.attach.is_empty()) else { return };
        self.waves.admit(Group::of(entry), &entry.key.name);
        self.leads.reserve(&entry.key.name, &network.to, now);
    }

    /// An update is being sent.
    pub(super) fn sending(&mut self, name: &FunctionName, to: &Network) {
        self.leads.sending(name, to);
    }

    /// Lambda has accepted an update.
    pub(super) fn accepted(&mut self, name: &FunctionName, now: Time) {
        self.leads.accepted(name, now);
    }

    /// Lambda has refused an update, or has not answered.
    pub(super) fn refused(&mut self, name: &FunctionName, error: &CloudError, since: Time) {
        // Without an answer it may have been carried out.
        match super::memory::waits_for_iam(error.class) || error.status.is_none() {
            true => self.leads.hesitates(name, since),
            false => self.lead_ends(name),
        }
    }

    /// A function was looked at: its update may go on, though this process did not begin it, or have come to its end.
    pub(super) fn looked(&mut self, name: &FunctionName, function: &Function, now: Time) {
        match function.life.as_ref().map(|life| &life.update) {
            Some(Update::InProgress | Update::Unsaid) => self.may_lead(name, function, now),
            Some(Update::Successful) => {
                self.leads.arrived(&function.network, now);
                self.lead_ends(name);
            }
            Some(Update::Failed(_)) => self.lead_ends(name),
            None => {}
        }
    }

    /// An update of this function may be under way, so that it leads if nobody else does.
    pub fn may_lead(&mut self, name: &FunctionName, function: &Function, now: Time) {
        self.leads.found_under_way(name, &function.network, function.modified.unwrap_or(now), now);
    }

    /// It is known how a function stands.
    pub fn concluded(&mut self, entry: &Entry, outcome: &Outcome, now: Time) {
        let (group, name) = (Group::of(entry), &entry.key.name);
        match Step::of(outcome) {
            Step::Arrived => self.waves.done(&group, name),
            Step::UnderWay => self.waves.under_way(&group, name),
            Step::Waits => self.waves.waits(group, name),
            Step::Failed(reason) => self.waves.failed(&group, name, reason),
            Step::Troubled => self.waves.troubled(&group, name, now),
            Step::Left => self.waves.left(name),
        }
        if !matches!(Step::of(outcome), Step::UnderWay | Step::Waits) {
            self.lead_ends(name);
            self.moved = true;
        }
    }

    /// A function left the file, or its entry is another one now.
    pub fn left(&mut self, name: &FunctionName) {
        self.waves.left(name);
        self.lead_ends(name);
        self.moved = true;
    }

    /// Somebody's turn may have come.
    pub(super) fn wake(&mut self) {
        self.moved = true;
    }

    /// Whoever failed may try again, and holds up nobody until it has.
    pub(super) fn forgive(&mut self) {
        self.moved |= self.waves.forgive();
    }

    /// Whether somebody's turn may have come since this was last asked.
    pub(super) fn moved(&mut self, now: Time) -> bool {
        self.moved |= self.leads.expire(now);
        self.moved |= self.waves.expire(now);
        std::mem::take(&mut self.moved)
    }

    /// When a leader that is not heard of is replaced, or a pause ends.
    pub(super) fn next_expiry(&self) -> Option<Time> {
        [self.leads.next_expiry(), self.waves.next_expiry()].into_iter().flatten().min()
    }

    /// Those that wait for others.
    pub fn waiting(&self) -> impl Iterator<Item = &FunctionName> {
        self.waves.waiting()
    }

    fn lead_ends(&mut self, name: &FunctionName) {
        if self.leads.ends(name) {
            self.moved = true;
        }
    }
}

/// What an outcome means for the rollout that a function may be part of.
enum Step {
    Arrived,
    UnderWay,
    Waits,
    /// The network cannot be had, so that nobody else goes into it.
    Failed(Reason),
    /// It cannot be changed for a cause of its own: another one goes in its place.
    Troubled,
    /// Nothing is being done about it, for reasons that say nothing about its VPC entry.
    Left,
}

impl Step {
    fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::InSync => Self::Arrived,
            Outcome::Waiting { why, .. }
                if matches!(why.reason, Reason::GuardHolding | Reason::NetworkUnconfirmed | Reason::Settling) =>
            {
                Self::Left
            }
            Outcome::Waiting { why, .. } if why.reason.pace() == Pace::Turn => Self::Waits,
            Outcome::Waiting { why, .. } if why.reason.state() == State::Progressing => Self::UnderWay,
            Outcome::Waiting { .. } => Self::Left,
            Outcome::Retry { .. } | Outcome::Unread { .. } if outcome.rests() => Self::Left,
            Outcome::Retry { .. } | Outcome::Unread { .. } => Self::UnderWay,
            Outcome::Blocked { why, .. } => match why.reason {
                // Common to many functions of an entry, and known beforehand: none of them is worth a pause of the others.
                Reason::FunctionNotFound | Reason::Flapping | Reason::RuntimeRetired => Self::Left,
                Reason::EdgeMaster | Reason::EdgeReplica | Reason::FileSystemMounted => Self::Left,
                _ if outcome.state() == State::Excluded => Self::Left,
                reason if reason.stops_others() => Self::Failed(reason),
                _ => Self::Troubled,
            },
        }
    }
}
