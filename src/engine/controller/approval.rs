//! Plans and approvals: which plan is to be seen in each scope, and whether a person has approved it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Controller;
use crate::board::GuardLine;
use crate::engine::event::{Effect, Notice};
use crate::names::{ScopeKey, Time};
use crate::plan::{self, Verdict};

/// After a function has moved on where the guard may hold others, the plan is looked at anew within this time, and within
/// as much more for each [`MANY`] functions: whoever looks at one meanwhile sees it without what was done.
const AFTER_A_MOVE: Duration = Duration::from_secs(2);
const MANY: usize = 10_000;

/// When the plans of scopes are to be looked at anew.
#[derive(Clone, Debug, Default)]
pub(super) struct Plans(BTreeMap<ScopeKey, Time>);

impl Plans {
    pub(super) fn next(&self) -> Option<Time> {
        self.0.values().min().copied()
    }

    fn due(&mut self, now: Time) -> Vec<ScopeKey> {
        self.0.extract_if(.., |_, at| *at <= now).map(|(scope, _)| scope).collect()
    }
}

impl Controller {
    /// A function has moved on, while others of its scope may be held.
    pub(super) fn moved_on(&mut self, scope: &ScopeKey, now: Time) {
        let (Some(limits), Some(desired)) = (&self.limits.guard, &self.desired) else { return };
        let listed = desired.listed(scope);
        let held = self.board.scopes().get(scope).is_some_and(|line| line.held_by_guard > 0);
        if held || limits.allowance(listed) < listed {
            let times = u32::try_from(1 + listed / MANY).unwrap_or(u32::MAX);
            self.plans.0.entry(scope.clone()).or_insert(now + AFTER_A_MOVE * times);
        }
    }

    /// Whether a plan has to be known as a whole before anything of it is done, since a person may have approved it.
    pub(super) fn awaits_approval(&self, scope: &ScopeKey) -> bool {
        let guard = self.limits.guard.as_ref();
        guard.is_some_and(|guard| self.memory.guard.awaits(scope, &guard.approved))
    }

    /// Looks at the plans anew that are due.
    pub(super) fn look_at_plans_that_are_due(&mut self, now: Time, effects: &mut Vec<Effect>) {
        for scope in self.plans.due(now) {
            self.look_at_plan(&scope, now, effects);
        }
    }

    /// The plan of a scope is to be seen as it stands now; if a person has approved it, its changes are agreed to.
    pub(super) fn look_at_plan(&mut self, scope: &ScopeKey, now: Time, effects: &mut Vec<Effect>) {
        let Some(guard) = &self.limits.guard else { return };
        let (approved, Some(world)) = (guard.approved.clone(), self.world(now)) else { return };
        let entries = world.desired.entries.iter().filter(|entry| entry.key.scope == *scope);
        let (mut changes, mut unread) = (Vec::new(), BTreeSet::new());
        for entry in entries {
            match plan::compare(&world, entry).verdict {
                Verdict::Differs(change) => changes.push(change),
                verdict if verdict.is_unread() => drop(unread.insert(entry.key.name.clone())),
                Verdict::InSync | Verdict::Stuck(_) => {}
            }
        }
        self.memory.guard.shows(scope, &changes.iter().collect::<Vec<_>>(), unread, now);
        // What is to be seen in one scope makes another plan of all of them.
        let scopes: Vec<ScopeKey> =
            self.sweeps.keys().filter(|it| self.memory.guard.awaits(it, &approved)).cloned().collect();
        for scope in scopes {
            if let Some(id) = self.memory.guard.approve(&scope, &approved).into_iter().next() {
                self.reconsider = true;
                effects.push(Effect::Tell(Notice::Approved { scope, id }));
            }
        }
    }

    /// Writes on the board how the guard stands.
    pub(super) fn show_guard(&mut self, now: Time) {
        let Some(desired) = &self.desired else { return };
        for scope in self.sweeps.keys() {
            let guard = &self.memory.guard;
            let listed = desired.listed(scope);
            let line = self.limits.guard.as_ref().map(|limits| GuardLine {
                budgets: guard.budgets(limits, scope, listed, now).to_vec(),
                unknown_until: guard.unknown_until(scope, now).filter(|_| limits.allowance(listed) < listed),
                plan: guard.plan_id(scope).cloned(),
            });
            self.board.guarded(scope, line.unwrap_or_default());
        }
    }
}
