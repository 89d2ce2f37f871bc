//! What the file says: taking it over, and letting go of what it no longer says.

use std::sync::Arc;
use std::time::Duration;

use super::Scope;
use crate::desired::{DesiredState, Entry, Pattern, Want};
use crate::live::Seen;
use crate::names::{FunctionKey, Time};
use crate::plan::{self, Verdict};
use crate::reconcile::event::{Action, Notice};
use crate::reconcile::queue::Rank;

/// What is known of VPCs is good enough for an edited entry if it is not older than this; otherwise a sweep comes first.
const NETWORK_AGE: Duration = Duration::from_secs(10 * 60);

impl Scope {
    /// The file says this from now on.
    pub(super) fn specified(&mut self, desired: DesiredState, now: Time, actions: &mut Vec<Action>) {
        let before = std::mem::replace(&mut self.desired, desired);
        // By what is known already. A file that was just read has listed none by its patterns yet.
        let matched = plan::matched(&self.desired, &self.facts);
        self.desired.match_up(matched);
        self.board.listed(&self.desired, now);
        self.await_ends(now);
        self.release(&before, actions);
        if self.desired.says_nothing() {
            return self.leave(now, actions);
        }
        self.sweep_for_new_patterns(&before, now);
        self.take_up(&before, now, actions);
    }

    /// Functions that left the file are told, forgotten, and left as they are.
    fn release(&mut self, before: &DesiredState, actions: &mut Vec<Action>) {
        for entry in &before.entries {
            if self.desired.get(&entry.key).is_some() {
                continue;
            }
            let network = match self.facts.function(&entry.key.name) {
                Seen::Present(function) => Some(function.network.clone()),
                Seen::Absent | Seen::Unknown(_) => None,
            };
            self.forget(&entry.key);
            actions.push(Action::Tell(Notice::Released { key: entry.key.clone(), network }));
        }
    }

    /// Nobody asks for a function any more.
    fn forget(&mut self, key: &FunctionKey) {
        self.queue.remove(&key.name);
        self.memory.forget(key);
        self.facts.forget(&key.name);
        self.board.released(&key.name);
    }

    /// What patterns fit is known once functions were listed for them.
    fn sweep_for_new_patterns(&mut self, before: &DesiredState, now: Time) {
        let known = |pattern: &Pattern| {
            let mut patterns = before.patterns.iter();
            patterns.any(|before| (&before.name, &before.except) == (&pattern.name, &pattern.except))
        };
        if self.desired.patterns.iter().any(|pattern| !known(pattern)) {
            self.sweep.want(now);
        }
    }

    /// Finds out anew which functions the patterns mean. Those that are gone are forgotten.
    pub(super) fn match_patterns(&mut self, now: Time, actions: &mut Vec<Action>) {
        let matched = plan::matched(&self.desired, &self.facts);
        for entry in self.desired.match_up(matched) {
            self.forget(&entry.key);
            actions.push(Action::Tell(Notice::Gone(entry)));
        }
        let meant = self.desired.entries.iter().filter(|entry| entry.pattern.is_some());
        meant.for_each(|entry| self.board.appeared(entry, now));
        let unmatched = plan::unmatched(&self.desired, &self.facts);
        let left_out = plan::left_out(&self.desired, &self.facts);
        let known = std::mem::replace(&mut self.sweep.left_out, left_out);
        let new = self.sweep.left_out.iter().filter(|it| !known.contains(it));
        actions.extend(new.map(|it| Action::Tell(Notice::LeftOut(it.clone()))));
        let before = std::mem::replace(&mut self.sweep.unmatched, unmatched);
        let new = self.sweep.unmatched.iter().filter(|pattern| !before.contains(pattern));
        actions.extend(new.map(|pattern| Action::Tell(Notice::Unmatched(Arc::clone(pattern)))));
    }

    /// New and edited entries get a pass; where too little is known, a sweep comes first.
    fn take_up(&mut self, before: &DesiredState, now: Time, actions: &mut Vec<Action>) {
        let entries = self.desired.entries.clone();
        let mut fresh_ones = Vec::new();
        for entry in &entries {
            if before.get(&entry.key).is_some_and(|known| known.asks_the_same(entry)) {
                continue;
            }
            let unread = !matches!(self.facts.function(&entry.key.name), Seen::Present(_));
            let fresh = self.knows_enough(entry, now) && !(unread && self.awaits_approval());
            // A sweep that is under way was not asked for this entry.
            if !fresh || self.sweep.running.is_some() {
                self.sweep.want(now);
            }
            self.memory.edited(&entry.key);
            if fresh {
                fresh_ones.push(entry);
            }
        }
        // The plan as whoever approves it saw it: before any of it is carried out.
        if self.sweep.answered.is_some() {
            self.look_at_plan(now, actions);
        }
        for entry in fresh_ones {
            self.take_up_one(entry, now, actions);
        }
    }

    /// Whether an entry can be decided about without a sweep: its VPC was seen lately.
    fn knows_enough(&self, entry: &Entry, now: Time) -> bool {
        let fresh = |at: Time| now.since(at) < NETWORK_AGE;
        match &entry.terms.want {
            Want::Detached | Want::Disputed(_) => self.facts.swept.as_ref().is_some_and(|swept| fresh(swept.at)),
            Want::Attached(intent) => {
                matches!(self.facts.vpc(&intent.vpc), Seen::Present(_))
                    && self.facts.vpc_read_at(&intent.vpc).is_some_and(fresh)
            }
        }
    }

    /// An edited entry gets a pass, unless it clearly has to wait for others.
    fn take_up_one(&mut self, entry: &Arc<Entry>, now: Time, actions: &mut Vec<Action>) {
        match plan::compare(&self.world(now), entry).verdict {
            Verdict::Differs(change) if !self.queue.is_processing(&entry.key.name) => {
                let change = Arc::new(change);
                self.note_drift(&change, now, actions);
                self.take_in_hand(entry, change, Rank::Edit, now, actions);
            }
            Verdict::Differs(_) | Verdict::InSync | Verdict::Stuck(_) => {
                self.queue.add(entry.key.name.clone(), Rank::Edit);
            }
        }
    }
}
