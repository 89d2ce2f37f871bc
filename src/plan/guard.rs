//! The guard: what no person has looked at is let through a little at a time.
//!
//! A mistake in the file, or somebody's change to a VPC, could move a whole fleet. So of the functions of a scope only so
//! many are changed in any hour without a person's agreement; the rest is held, in that scope alone, and the state says how
//! to let it through. There is a budget for each cause of a difference: edits of the file, changes of the functions by
//! others, changes of the VPC; none of them uses up another's. What is counted are functions, not calls: one that is being
//! changed may go on, to where it is going or back to where it was.
//!
//! The hour is the controller's own record, in this process and in those before it ([`super::record`]). What others
//! changed is never an allowance. Of the hour before a record begins nobody knows what was changed, so it counts as
//! used: until an hour is known, no more passes than always does. Where the limits let every function of a scope be changed
//! in an hour, there is nothing to count.

mod approvals;
mod hour;

use std::collections::BTreeSet;
use std::time::Duration;

use self::approvals::Approvals;
use self::hour::Hour;
use super::reason::{Outcome, Reason};
use super::record::{ApprovalsRecord, HourRecord};
use super::{Cause, Change, World};
use crate::cloud::Function;
use crate::desired::{Entry, Want};
use crate::names::{Digest, FunctionName, Time};
use crate::settings::Guard;

/// So many functions of a scope may always be changed in an hour, for each cause.
const ALWAYS: usize = 10;
/// Of changes that somebody caused who changed a VPC, never more than this in an hour.
const FROM_THE_NETWORK: usize = 10;
/// The time over which it is counted.
const WINDOW: Duration = Duration::from_secs(60 * 60);
/// AWS's clock and ours may differ by this much.
const SKEW: Duration = Duration::from_secs(10);

/// What the operator decided about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardLimits {
    /// The most functions of a scope that are changed in an hour, for each cause.
    pub max_changes: usize,
    /// The same as a share of the scope's listed functions, in percent.
    pub max_change_percent: usize,
    /// The ids of plans that a person has looked at; in full, or their first digits.
    pub approved: Vec<String>,
}

impl GuardLimits {
    /// What the settings say.
    pub fn of(guard: &Guard) -> Self {
        let Guard { max_changes, max_change_percent, approved, .. } = guard;
        Self { max_changes: *max_changes, max_change_percent: *max_change_percent, approved: approved.clone() }
    }

    /// How many of a scope's listed functions may be changed in an hour, for each cause.
    pub fn allowance(&self, listed: usize) -> usize {
        let share = listed.saturating_mul(self.max_change_percent) / 100;
        self.max_changes.min(share).max(ALWAYS)
    }
}

/// What was let through in the last hour for one cause, and how much may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    pub cause: Cause,
    /// How many functions were changed in the last hour, or are about to be, or may have been.
    pub changed: usize,
    /// How many may be.
    pub allowed: usize,
}

/// Which functions were changed lately, and what a person has agreed to.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// When this process began: since then it knows what it did; none in one that never said so.
    begun: Option<Time>,
    /// What the settings approved when the process began. Without a record nobody knows whether that is spent.
    before: Vec<String>,
    hour: Hour,
    approvals: Approvals,
    /// Grows with each entry that has to be in the record before a call is made.
    entries: u64,
}

/// What holds a change, if the guard does.
pub(super) fn holds(w: &World<'_>, change: &Change) -> Option<Outcome> {
    let limits = w.limits.guard.as_ref()?;
    let (scope, ledger, listed) = (&change.key.scope, &w.memory.guard, w.desired.entries.len());
    if ledger.approvals.agree_to(change) || ledger.hour.admits(change, w.now) {
        return None;
    }
    if limits.allowance(listed) >= listed && change.cause != Cause::Network {
        return None;
    }
    let Budget { cause, changed, allowed } = ledger.budget(change.cause, limits, listed, w.now);
    if changed < allowed {
        return None;
    }
    let (what, unknown) = match cause {
        Cause::File => ("edits of the file", ledger.unknown_until(w.now)),
        Cause::Live => ("repairs of what others changed", ledger.unknown_until(w.now)),
        Cause::Network => ("changes of the VPC", None),
    };
    let unknown = unknown.map_or_else(String::new, |until| {
        format!(
            " until {}, since no record says what was changed before this process began: `state` in the settings keeps one",
            w.wall.shows(until)
        )
    });
    let id = ledger.plan_id();
    let id = id.map_or_else(String::new, |id| format!("; the plan is {}", id.short()));
    Some(Outcome::waiting(Reason::GuardHolding, format!("{allowed} an hour in {scope} for {what}{unknown}{id}")))
}

impl Ledger {
    /// The process begins, with these ids in its settings. Nothing was changed by it before.
    pub fn begins(&mut self, approved: &[String], now: Time) {
        if self.begun.is_none() {
            (self.begun, self.before) = (Some(now), approved.to_vec());
        }
    }

    /// These ids are in the settings now. One that was taken out and comes back is a person's word of now.
    pub fn approved(&mut self, approved: &[String]) {
        self.before.retain(|id| approved.contains(id));
        self.approvals.keep_doubts(approved);
    }

    /// What the record says; none where there is none that could be used.
    pub(super) fn recall(&mut self, record: Option<(HourRecord, ApprovalsRecord)>, now: Time) {
        match record {
            Some((hour, approvals)) => {
                self.hour.recall(hour, now);
                self.approvals.recall(approvals, now);
            }
            None => self.approvals.doubt(&self.before),
        }
    }

    /// What belongs into the record.
    pub(super) fn record(&self, now: Time) -> (HourRecord, ApprovalsRecord) {
        let hour = HourRecord { known_since: self.known_since(), ..self.hour.record(now) };
        (hour, self.approvals.record(&self.before, now))
    }

    /// The ids in the settings that count as spent, since nobody knows whether they are.
    pub fn doubted(&self) -> &[String] {
        self.approvals.doubted().unwrap_or(&self.before)
    }

    /// The number of the last entry that has to be in the record before a call is made.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The number of the entry that this change stands on.
    pub fn entry_of(&self, change: &Change) -> u64 {
        match self.approvals.agree_to(change) {
            true => self.approvals.entry(),
            false => self.hour.entry_of(change),
        }
    }

    fn known_since(&self) -> Option<Time> {
        [self.hour.known_since(), self.begun].into_iter().flatten().min()
    }

    /// Until when less is let through since nobody knows what was changed in the last hour; none where that is known.
    pub fn unknown_until(&self, now: Time) -> Option<Time> {
        let known = self.known_since().unwrap_or(now) + WINDOW;
        Some(known).filter(|known| now < *known)
    }

    /// How the budget of a cause stands where so many functions are listed.
    fn budget(&self, cause: Cause, limits: &GuardLimits, listed: usize, now: Time) -> Budget {
        let allowance = limits.allowance(listed);
        let allowed = match cause {
            Cause::Network => FROM_THE_NETWORK,
            Cause::File | Cause::Live if allowance < listed && self.unknown_until(now).is_some() => ALWAYS,
            Cause::File | Cause::Live => allowance,
        };
        Budget { cause, changed: self.hour.changed(cause, now), allowed }
    }

    /// How the budgets stand where so many functions are listed.
    pub fn budgets(&self, limits: &GuardLimits, listed: usize, now: Time) -> [Budget; 3] {
        Cause::ALL.map(|cause| self.budget(cause, limits, listed, now))
    }

    /// A function is taken in hand; it counts from now on, unless nothing comes of it or a person has agreed to it.
    pub fn reserve(&mut self, change: &Change, now: Time) {
        if !self.approvals.agree_to(change) && self.hour.reserve(change, self.entries + 1, now) {
            self.entries += 1;
        }
    }

    /// A call is made for a function.
    pub(super) fn made(&mut self, name: &FunctionName) {
        self.hour.made(name);
    }

    /// The call was not made after all.
    pub(super) fn not_made(&mut self, name: &FunctionName) {
        self.hour.not_made(name);
    }

    /// A pass has ended: a place that was only reserved is free again.
    pub(super) fn ended(&mut self, name: &FunctionName) {
        self.hour.ended(name);
    }

    /// What a person agreed to has come about.
    pub(super) fn settled(&mut self, name: &FunctionName) {
        self.approvals.settled(name);
    }

    /// The function left the file, or its entry is another one: nothing is agreed to or reserved any more.
    pub(super) fn left(&mut self, name: &FunctionName) {
        self.settled(name);
        self.ended(name);
    }

    /// A function was read, and the last hour is not known. If somebody changed it then, it may have been this controller,
    /// before it was started anew: it counts, for each cause. A function that is in no VPC, and need not be in none, was not
    /// changed by this controller.
    pub fn perhaps_ours(&mut self, entry: &Entry, function: &Function, now: Time) {
        let Some(known_since) = self.known_since().filter(|_| self.unknown_until(now).is_some()) else { return };
        let before = |at: &Time| *at <= known_since + SKEW && now.since(*at) < WINDOW;
        let Some(at) = function.modified.filter(before) else { return };
        if function.network.is_attached() || entry.terms.want == Want::Detached {
            self.hour.perhaps(&entry.key.name, at, now);
        }
    }

    /// These are the changes that a plan shows now, by function.
    pub fn shows(&mut self, changes: &[&Change], unread: BTreeSet<FunctionName>, now: Time) {
        self.approvals.shows(super::scope_id(changes), changes, unread, now);
    }

    /// The plan with this id is a part of the plan of all scopes, by whose id it can be approved as well.
    pub fn also_shown_as(&mut self, id: &Digest, all: &Digest) {
        self.approvals.also_shown_as(id, all);
    }

    /// The id by which the changes can be approved, as they were shown last; none where nothing differs.
    pub fn plan_id(&self) -> Option<&Digest> {
        self.approvals.id()
    }

    /// Whether one of these ids may still be of use.
    pub fn awaits(&self, approved: &[String]) -> bool {
        approved.iter().any(|id| self.approvals.is_open(id, &self.before))
    }

    /// A person has approved plans by their ids: what is left of those that were shown is agreed to, once. Returns the ids
    /// that are spent by that.
    pub fn approve(&mut self, approved: &[String]) -> Vec<Digest> {
        let spent = self.approvals.approve(approved, &self.before, self.entries + 1);
        self.entries += u64::from(!spent.is_empty());
        spent
    }
}
