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

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use self::approvals::Approvals;
use self::hour::Hour;
use super::reason::{Outcome, Reason};
use super::record::{ApprovalsRecord, HourRecord};
use super::{Cause, Change, World};
use crate::cloud::Function;
use crate::desired::{Entry, Want};
use crate::names::{Digest, FunctionKey, FunctionName, ScopeKey, Time};
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
    /// The cause.
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
    scopes: BTreeMap<ScopeKey, Account>,
}

/// The books of one scope.
#[derive(Clone, Debug, Default)]
struct Account {
    hour: Hour,
    approvals: Approvals,
    /// Grows with each entry that has to be in the scope's record before a call is made.
    entries: u64,
}

/// What holds a change, if the guard does.
pub(super) fn holds(w: &World<'_>, change: &Change) -> Option<Outcome> {
    let limits = w.limits.guard.as_ref()?;
    let scope = &change.key.scope;
    let (ledger, listed) = (&w.memory.guard, w.desired.listed(scope));
    let account = ledger.scopes.get(scope);
    if account.is_some_and(|account| account.approvals.agree_to(change) || account.hour.admits(change, w.now)) {
        return None;
    }
    if limits.allowance(listed) >= listed && change.cause != Cause::Network {
        return None;
    }
    let Budget { cause, changed, allowed } = ledger.budget(change.cause, limits, scope, listed, w.now);
    if changed < allowed {
        return None;
    }
    let (what, unknown) = match cause {
        Cause::File => ("edits of the file", ledger.unknown_until(scope, w.now)),
        Cause::Live => ("repairs of what others changed", ledger.unknown_until(scope, w.now)),
        Cause::Network => ("changes of the VPC", None),
    };
    let unknown = unknown.map_or_else(String::new, |until| {
        format!(
            " until {}, since no record says what was changed before this process began: `state` in the settings keeps one",
            w.wall.shows(until)
        )
    });
    let id = account.and_then(|account| account.approvals.id());
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
        self.scopes.values_mut().for_each(|account| account.approvals.keep_doubts(approved));
    }

    /// What the record of a scope says; none where there is none that could be used.
    pub(super) fn recall(&mut self, scope: &ScopeKey, record: Option<(HourRecord, ApprovalsRecord)>, now: Time) {
        let account = self.scopes.entry(scope.clone()).or_default();
        match record {
            Some((hour, approvals)) => {
                account.hour.recall(hour, now);
                account.approvals.recall(approvals, now);
            }
            None => account.approvals.doubt(&self.before),
        }
    }

    /// What belongs into the record of a scope.
    pub(super) fn record(&self, scope: &ScopeKey, now: Time) -> (HourRecord, ApprovalsRecord) {
        let (mut hour, mut approvals) = self.scopes.get(scope).map_or_else(Default::default, |account| {
            (account.hour.record(now), account.approvals.record(&self.before, now))
        });
        hour.known_since = self.known_since(scope);
        if !self.scopes.contains_key(scope) {
            approvals.doubted.clone_from(&self.before);
        }
        (hour, approvals)
    }

    /// The ids in the settings that count as spent in a scope, since nobody knows whether they are.
    pub fn doubted(&self, scope: &ScopeKey) -> &[String] {
        self.scopes.get(scope).and_then(|account| account.approvals.doubted()).unwrap_or(&self.before)
    }

    /// The number of the last entry that has to be in the record of a scope before a call is made there.
    pub fn entries(&self, scope: &ScopeKey) -> u64 {
        self.scopes.get(scope).map_or(0, |account| account.entries)
    }

    /// The number of the entry that this change stands on.
    pub fn entry_of(&self, change: &Change) -> u64 {
        let Some(account) = self.scopes.get(&change.key.scope) else { return 0 };
        match account.approvals.agree_to(change) {
            true => account.approvals.entry(),
            false => account.hour.entry_of(change),
        }
    }

    fn known_since(&self, scope: &ScopeKey) -> Option<Time> {
        let recorded = self.scopes.get(scope).and_then(|account| account.hour.known_since());
        [recorded, self.begun].into_iter().flatten().min()
    }

    /// Until when less is let through since nobody knows what was changed in the last hour; none where that is known.
    pub fn unknown_until(&self, scope: &ScopeKey, now: Time) -> Option<Time> {
        let known = self.known_since(scope).map_or(now, |since| since) + WINDOW;
        Some(known).filter(|known| now < *known)
    }

    /// How the budget of a cause stands in a scope that lists so many functions.
    fn budget(&self, cause: Cause, limits: &GuardLimits, scope: &ScopeKey, listed: usize, now: Time) -> Budget {
        let allowance = limits.allowance(listed);
        let allowed = match cause {
            Cause::Network => FROM_THE_NETWORK,
            Cause::File | Cause::Live if allowance < listed && self.unknown_until(scope, now).is_some() => ALWAYS,
            Cause::File | Cause::Live => allowance,
        };
        let changed = self.scopes.get(scope).map_or(0, |account| account.hour.changed(cause, now));
        Budget { cause, changed, allowed }
    }

    /// How the budgets of a scope stand that lists so many functions.
    pub fn budgets(&self, limits: &GuardLimits, scope: &ScopeKey, listed: usize, now: Time) -> [Budget; 3] {
        Cause::ALL.map(|cause| self.budget(cause, limits, scope, listed, now))
    }

    /// A function is taken in hand; it counts from now on, unless nothing comes of it or a person has agreed to it.
    pub fn reserve(&mut self, change: &Change, now: Time) {
        let account = self.scopes.entry(change.key.scope.clone()).or_default();
        if !account.approvals.agree_to(change) && account.hour.reserve(change, account.entries + 1, now) {
            account.entries += 1;
        }
    }

    /// A call is made for a function.
    pub(super) fn made(&mut self, key: &FunctionKey) {
        self.with(key, |account| account.hour.made(&key.name));
    }

    /// The call was not made after all.
    pub(super) fn not_made(&mut self, key: &FunctionKey) {
        self.with(key, |account| account.hour.not_made(&key.name));
    }

    /// A pass has ended: a place that was only reserved is free again.
    pub(super) fn ended(&mut self, key: &FunctionKey) {
        self.with(key, |account| account.hour.ended(&key.name));
    }

    /// What a person agreed to has come about.
    pub(super) fn settled(&mut self, key: &FunctionKey) {
        self.with(key, |account| account.approvals.settled(&key.name));
    }

    /// The function left the file, or its entry is another one: nothing is agreed to or reserved any more.
    pub(super) fn left(&mut self, key: &FunctionKey) {
        self.settled(key);
        self.ended(key);
    }

    fn with(&mut self, key: &FunctionKey, then: impl FnOnce(&mut Account)) {
        if let Some(account) = self.scopes.get_mut(&key.scope) {
            then(account);
        }
    }

    /// A function was read of whose scope the last hour is not known. If somebody changed it then, it may have been this
    /// controller, before it was started anew: it counts, for each cause. A function that is in no VPC, and need not be in
    /// none, was not changed by this controller.
    pub fn perhaps_ours(&mut self, entry: &Entry, function: &Function, now: Time) {
        let scope = &entry.key.scope;
        let Some(known_since) = self.known_since(scope).filter(|_| self.unknown_until(scope, now).is_some()) else {
            return;
        };
        let before = |at: &Time| *at <= known_since + SKEW && now.since(*at) < WINDOW;
        let Some(at) = function.modified.filter(before) else { return };
        if function.network.is_attached() || entry.terms.want == Want::Detached {
            self.scopes.entry(scope.clone()).or_default().hour.perhaps(&entry.key.name, at, now);
        }
    }

    /// These are the changes that a plan of this scope shows now, by function.
    pub fn shows(&mut self, scope: &ScopeKey, changes: &[&Change], unread: BTreeSet<FunctionName>, now: Time) {
        let account = self.scopes.entry(scope.clone()).or_default();
        account.approvals.shows(super::scope_id(changes), changes, unread, now);
        let ids = self.scopes.iter().filter_map(|(scope, account)| {
            let id = account.approvals.id()?;
            Some((scope.clone(), id.clone()))
        });
        let all = super::whole_id(&ids.collect());
        self.scopes.values_mut().for_each(|account| account.approvals.also_shown_as(&all));
    }

    /// The id by which the changes of a scope can be approved, as they were shown last; none where nothing differs.
    pub fn plan_id(&self, scope: &ScopeKey) -> Option<&Digest> {
        self.scopes.get(scope)?.approvals.id()
    }

    /// Whether one of these ids may still be of use to a scope.
    pub fn awaits(&self, scope: &ScopeKey, approved: &[String]) -> bool {
        self.scopes
            .get(scope)
            .is_some_and(|account| approved.iter().any(|id| account.approvals.is_open(id, &self.before)))
    }

    /// A person has approved plans by their ids: what is left of those that were shown in this scope is agreed to, once.
    /// Returns the ids that are spent by that.
    pub fn approve(&mut self, scope: &ScopeKey, approved: &[String]) -> Vec<Digest> {
        let Some(account) = self.scopes.get_mut(scope) else { return Vec::new() };
        let spent = account.approvals.approve(approved, &self.before, account.entries + 1);
        account.entries += u64::from(!spent.is_empty());
        spent
    }
}
