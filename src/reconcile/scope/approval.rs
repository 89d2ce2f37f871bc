//! Plans and approvals: which plan is to be seen, and whether a person has approved it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Scope;
use crate::board::GuardLine;
use crate::names::{Digest, Time};
use crate::plan::{self, Verdict};
use crate::reconcile::event::{Action, Notice};

/// After a function has moved on where the guard may hold others, the plan is looked at anew within this time, and within
/// as much more for each [`MANY`] functions: whoever looks at one meanwhile sees it without what was done.
const AFTER_A_MOVE: Duration = Duration::from_secs(2);
const MANY: usize = 10_000;

impl Scope {
    /// A function has moved on, while others may be held.
    pub(super) fn moved_on(&mut self, now: Time) {
        let Some(limits) = &self.limits.guard else { return };
        let listed = self.listed();
        if self.board.scope().held_by_guard > 0 || limits.allowance(listed) < listed {
            let times = u32::try_from(1 + listed / MANY).unwrap_or(u32::MAX);
            self.plan_due.get_or_insert(now + AFTER_A_MOVE * times);
        }
    }

    /// Whether a plan has to be known as a whole before anything of it is done, since a person may have approved it.
    pub(super) fn awaits_approval(&self) -> bool {
        self.limits.guard.as_ref().is_some_and(|guard| self.memory.guard.awaits(&guard.approved))
    }

    /// Looks at the plan anew if that is due.
    pub(super) fn look_at_plan_that_is_due(&mut self, now: Time, actions: &mut Vec<Action>) {
        if self.plan_due.take_if(|at| *at <= now).is_some() {
            self.look_at_plan(now, actions);
        }
    }

    /// The plan is to be seen as it stands now; if a person has approved it, its changes are agreed to.
    pub(super) fn look_at_plan(&mut self, now: Time, actions: &mut Vec<Action>) {
        if self.limits.guard.is_none() {
            return;
        }
        let world = self.world(now);
        let (mut changes, mut unread) = (Vec::new(), BTreeSet::new());
        for entry in &world.desired.entries {
            match plan::compare(&world, entry).verdict {
                Verdict::Differs(change) => changes.push(change),
                verdict if verdict.is_unread() => drop(unread.insert(entry.key.name.clone())),
                Verdict::InSync | Verdict::Stuck(_) => {}
            }
        }
        self.memory.guard.shows(&changes.iter().collect::<Vec<_>>(), unread, now);
        actions.push(Action::Shows(self.memory.guard.plan_id().cloned()));
        self.see_approvals(actions);
    }

    /// What is to be seen here is a part of the plan of all scopes, which a person may have approved.
    pub(super) fn part_of(&mut self, id: &Digest, all: &Digest, actions: &mut Vec<Action>) {
        self.memory.guard.also_shown_as(id, all);
        self.see_approvals(actions);
    }

    fn see_approvals(&mut self, actions: &mut Vec<Action>) {
        if !self.awaits_approval() {
            return;
        }
        let approved = self.limits.guard.as_ref().map_or(&[][..], |guard| &guard.approved);
        if let Some(id) = self.memory.guard.approve(approved).into_iter().next() {
            self.reconsider = true;
            actions.push(Action::Tell(Notice::Approved { scope: self.key.clone(), id }));
        }
    }

    /// Writes on the board how the guard stands.
    pub(super) fn show_guard(&mut self, now: Time) {
        let (guard, listed) = (&self.memory.guard, self.listed());
        let line = self.limits.guard.as_ref().map(|limits| GuardLine {
            budgets: guard.budgets(limits, listed, now).to_vec(),
            unknown_until: guard.unknown_until(now).filter(|_| limits.allowance(listed) < listed),
            plan: guard.plan_id().cloned(),
        });
        self.board.guarded(line.unwrap_or_default());
    }
}
