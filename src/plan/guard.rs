//! The guard: what no person has looked at is let through a little at a time.
//!
//! A mistake in the file, or somebody's change to a VPC, could move a whole fleet. So of the functions of a scope only so
//! many are changed in any hour without a person's agreement; the rest is held, in that scope alone, and the state says how
//! to let it through. What is counted are functions, not calls: one that is being changed may go on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::reason::{Outcome, Reason};
use super::{Cause, Change, Plan, World};
use crate::names::{Digest, FunctionKey, Scope, Time};
use crate::settings::Guard;

/// So many functions of a scope may always be changed in an hour.
const ALWAYS: usize = 10;
/// Of changes that somebody caused who changed a VPC, never more than this in an hour.
const FROM_THE_NETWORK: usize = 10;
/// The time over which it is counted.
const WINDOW: Duration = Duration::from_secs(60 * 60);

/// What the operator decided about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardLimits {
    /// The most functions of a scope that are changed in an hour.
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

    /// How many of a scope's listed functions may be changed in an hour.
    pub fn allowance(&self, listed: usize) -> usize {
        let share = listed.saturating_mul(self.max_change_percent) / 100;
        self.max_changes.min(share).max(ALWAYS)
    }
}

/// Which functions were changed lately, and what a person has agreed to.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    counted: BTreeMap<Scope, BTreeMap<FunctionKey, Counted>>,
    agreed: BTreeMap<FunctionKey, Change>,
    spent: BTreeSet<Digest>,
}

#[derive(Clone, Copy, Debug)]
struct Counted {
    at: Time,
    cause: Cause,
    /// Whether a call was made; until then the place is only reserved.
    made: bool,
}

/// What holds a change, if the guard does.
pub(super) fn holds(w: &World<'_>, change: &Change) -> Option<Outcome> {
    let limits = w.limits.guard.as_ref()?;
    let ledger = &w.memory.guard;
    if ledger.is_agreed(change) {
        return None;
    }
    let scope = &change.key.scope;
    let of_scope = ledger.counted.get(scope);
    let counts = |counted: &&Counted| w.now.since(counted.at) < WINDOW;
    if of_scope.and_then(|all| all.get(&change.key)).filter(counts).is_some() {
        return None;
    }
    let (mut all, mut from_the_network) = (0, 0);
    for counted in of_scope.into_iter().flat_map(BTreeMap::values).filter(counts) {
        all += 1;
        from_the_network += usize::from(counted.cause == Cause::Network);
    }
    let allowance = limits.allowance(w.desired.listed(scope));
    let (most, why) = match change.cause {
        Cause::Network if from_the_network >= FROM_THE_NETWORK => (FROM_THE_NETWORK, " for changes of the VPC"),
        _ if all >= allowance => (allowance, ""),
        _ => return None,
    };
    Some(Outcome::waiting(Reason::GuardHolding, format!("{most} an hour in {scope}{why}")))
}

impl Ledger {
    /// Whether a person has agreed to this change.
    fn is_agreed(&self, change: &Change) -> bool {
        self.agreed.get(&change.key).is_some_and(|agreed| agreed.covers(change))
    }

    /// A function is taken in hand; it counts from now on, unless nothing comes of it or a person has agreed to it.
    pub fn reserve(&mut self, change: &Change, now: Time) {
        if self.is_agreed(change) {
            return;
        }
        let of_scope = self.counted.entry(change.key.scope.clone()).or_default();
        of_scope.retain(|_, counted| now.since(counted.at) < WINDOW);
        let reserved = Counted { at: now, cause: change.cause, made: false };
        of_scope.entry(change.key.clone()).or_insert(reserved);
    }

    /// A call is made for a function.
    pub(super) fn made(&mut self, key: &FunctionKey) {
        if let Some(counted) = self.counted.get_mut(&key.scope).and_then(|of_scope| of_scope.get_mut(key)) {
            counted.made = true;
        }
    }

    /// A pass has ended: a place that was only reserved is free again.
    pub(super) fn ended(&mut self, key: &FunctionKey) {
        if let Some(of_scope) = self.counted.get_mut(&key.scope)
            && of_scope.get(key).is_some_and(|counted| !counted.made)
        {
            of_scope.remove(key);
        }
    }

    /// A function was changed by somebody before this process began: it may have been us. What no longer counts is not kept.
    pub fn changed_before(&mut self, key: &FunctionKey, at: Time, now: Time) {
        if now.since(at) >= WINDOW {
            return;
        }
        let counted = Counted { at, cause: Cause::File, made: true };
        self.counted.entry(key.scope.clone()).or_default().entry(key.clone()).or_insert(counted);
    }

    /// What a person agreed to has come about, or is nothing to agree to any more.
    pub(super) fn settled(&mut self, key: &FunctionKey) {
        self.agreed.remove(key);
    }

    /// Whether one of these ids is still to be used.
    pub fn awaits(&self, approved: &[String]) -> bool {
        approved.iter().any(|id| !self.spent.iter().any(|spent| spent.as_str().starts_with(id.as_str())))
    }

    /// A person has approved a plan by its id: if this is it, exactly its changes are agreed to, once.
    pub fn approve(&mut self, plan: &Plan, approved: &[String]) -> bool {
        let fits = approved.iter().any(|id| plan.id.as_str().starts_with(id.as_str()));
        if !fits || !self.spent.insert(plan.id.clone()) {
            return false;
        }
        let changes = plan.lines.iter().filter_map(|line| line.change());
        self.agreed.extend(changes.map(|change| (change.key.clone(), change.clone())));
        true
    }
}
