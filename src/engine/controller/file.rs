//! The file: taking over what it says, letting go of what it no longer says.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Controller;
use super::sweep::Sweep;
use crate::desired::{DesiredState, Entry, LoadFailure, Pattern, Want};
use crate::engine::event::{Effect, Notice};
use crate::engine::queue::Rank;
use crate::file::Diagnostic;
use crate::live::Seen;
use crate::names::{FunctionKey, ScopeKey, Time};
use crate::plan::{self, Verdict};

/// What is known of VPCs is good enough for an edited entry if it is not older than this; otherwise a sweep comes first.
const NETWORK_AGE: Duration = Duration::from_secs(10 * 60);

/// How the reading of the file stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    running: bool,
    again: bool,
    due: Option<Time>,
    /// What was wrong with the file when it was last read; none where it could be used.
    refused: Option<Arc<LoadFailure>>,
}

impl Load {
    /// When the file is to be read next; none while it is being read.
    pub(super) fn next(&self) -> Option<Time> {
        self.due.filter(|_| !self.running)
    }

    /// Whether it is to be read now, which then begins.
    pub(super) fn begins(&mut self, now: Time) -> bool {
        let due = self.next().is_some_and(|due| due <= now);
        if due {
            *self = Self { running: true, again: false, due: None, refused: self.refused.take() };
        }
        due
    }

    /// Somebody asks for it; one who asks while it is being read gets it again.
    pub(super) fn want(&mut self, at: Time) {
        self.again = self.running;
        self.due = Some(at);
    }
}

impl Controller {
    pub(super) fn loaded(
        &mut self,
        loaded: Result<Option<DesiredState>, LoadFailure>,
        now: Time,
        effects: &mut Vec<Effect>,
    ) {
        let again = std::mem::take(&mut self.load.again);
        self.load.running = false;
        self.load.due = if again { Some(now) } else { self.cadence.poll.map(|poll| now + poll) };
        let refused = self.load.refused.take();
        let state = match loaded {
            Err(failure) if refused.as_ref().is_some_and(|before| failure.is_still(before)) => {
                self.load.refused = refused;
                return;
            }
            Err(failure) => {
                self.board.refused(&failure);
                let failure = self.load.refused.insert(Arc::new(failure));
                return effects.push(Effect::Tell(Notice::NotLoaded(Arc::clone(failure))));
            }
            Ok(None) => {
                self.board.confirmed();
                return effects.push(Effect::Tell(Notice::Confirmed));
            }
            Ok(Some(state)) => state,
        };
        let (digest, named, patterns) = (state.digest.clone(), state.entries.len(), state.patterns.len());
        let warnings: Vec<Diagnostic> =
            state.warnings.iter().cloned().chain(state.ended(self.wall.shows(now))).collect();
        let before = self.desired.replace(state);
        self.match_all_patterns();
        if let Some(desired) = &self.desired {
            self.board.listed(desired, &warnings, now);
        }
        effects.push(Effect::Tell(Notice::Loaded { digest, functions: named, patterns, warnings }));
        self.await_ends(now);
        self.release(before.as_ref(), now, effects);
        self.sweep_new_scopes_and_patterns(before.as_ref(), now);
        self.take_up(before.as_ref(), now, effects);
    }

    /// Functions that left the file are told, forgotten, and left as they are.
    fn release(&mut self, before: Option<&DesiredState>, now: Time, effects: &mut Vec<Effect>) {
        let Some(desired) = &self.desired else { return };
        let left = before.iter().flat_map(|before| &before.entries).filter(|entry| desired.get(&entry.key).is_none());
        for entry in left.cloned().collect::<Vec<_>>() {
            let network = match self.facts.function(&entry.key) {
                Seen::Present(function) => Some(function.network.clone()),
                Seen::Absent | Seen::Unknown(_) => None,
            };
            self.forget(&entry.key);
            effects.push(Effect::Tell(Notice::Released { key: entry.key.clone(), network }));
        }
        let Some(desired) = &self.desired else { return };
        let scopes: BTreeSet<&ScopeKey> = desired.scopes().collect();
        self.sweeps.retain(|scope, sweep| {
            let stays = scopes.contains(scope);
            if !stays && sweep.behind.is_some() {
                effects.push(Effect::Tell(Notice::Behind { scope: scope.clone(), versions: None }));
            }
            stays
        });
        self.facts.keep_scopes(|scope| scopes.contains(scope));
        self.memory.targets.keep_scopes(|scope| scopes.contains(scope));
        self.board.keep_scopes(|scope| scopes.contains(scope));
        self.records.leave(|scope| scopes.contains(scope), now);
    }

    /// Nobody asks for a function any more.
    fn forget(&mut self, key: &FunctionKey) {
        self.queue.remove(key);
        self.memory.forget(key);
        self.facts.forget(key);
        self.attempts.remove(key);
        self.drifting.remove(key);
        self.board.released(key);
    }

    /// What a scope's patterns fit is known once it was listed for them.
    fn sweep_new_scopes_and_patterns(&mut self, before: Option<&DesiredState>, now: Time) {
        let Some(desired) = &self.desired else { return };
        for scope in desired.scopes() {
            if !self.sweeps.contains_key(scope) {
                self.sweeps.insert(scope.clone(), Sweep { due: Some(now), ..Sweep::default() });
            }
        }
        let known = |pattern: &Pattern| {
            let mut patterns = before.iter().flat_map(|before| &before.patterns);
            patterns.any(|before| {
                (&before.scope, &before.name, &before.except) == (&pattern.scope, &pattern.name, &pattern.except)
            })
        };
        for pattern in desired.patterns.iter().filter(|pattern| !known(pattern)) {
            if let Some(sweep) = self.sweeps.get_mut(&pattern.scope) {
                sweep.want(now);
            }
        }
    }

    /// Finds out anew which functions the patterns of a scope mean. Those that are gone are forgotten.
    pub(super) fn match_patterns(&mut self, scope: &ScopeKey, now: Time, effects: &mut Vec<Effect>) {
        let Some(desired) = &mut self.desired else { return };
        let matched = plan::matched(desired, &self.facts, scope);
        for entry in desired.match_up(scope, matched) {
            self.forget(&entry.key);
            effects.push(Effect::Tell(Notice::Gone(entry)));
        }
        let Some(desired) = &self.desired else { return };
        let meant = |entry: &&Arc<Entry>| entry.pattern.is_some() && entry.key.scope == *scope;
        desired.entries.iter().filter(meant).for_each(|entry| self.board.appeared(entry, now));
        let mut unmatched = plan::unmatched(desired, &self.facts);
        unmatched.retain(|pattern| pattern.scope == *scope);
        let left_out = plan::left_out(desired, &self.facts, scope);
        let Some(sweep) = self.sweeps.get_mut(scope) else { return };
        let known = std::mem::replace(&mut sweep.left_out, left_out);
        let new = sweep.left_out.iter().filter(|it| !known.contains(it));
        effects.extend(new.map(|it| Effect::Tell(Notice::LeftOut(it.clone()))));
        let before = std::mem::replace(&mut sweep.unmatched, unmatched);
        let new = sweep.unmatched.iter().filter(|pattern| !before.contains(pattern));
        effects.extend(new.map(|pattern| Effect::Tell(Notice::Unmatched(Arc::clone(pattern)))));
    }

    /// The same for a file that was just read, by what is known already.
    fn match_all_patterns(&mut self) {
        let Some(desired) = &mut self.desired else { return };
        let scopes: BTreeSet<ScopeKey> = desired.patterns.iter().map(|pattern| pattern.scope.clone()).collect();
        for scope in scopes {
            let matched = plan::matched(desired, &self.facts, &scope);
            // A file that was just read has listed none by its patterns yet.
            desired.match_up(&scope, matched);
        }
    }

    /// New and edited entries get a pass; a scope of which too little is known is swept first.
    fn take_up(&mut self, before: Option<&DesiredState>, now: Time, effects: &mut Vec<Effect>) {
        let entries = self.desired.as_ref().map(|desired| desired.entries.clone()).unwrap_or_default();
        let mut fresh_ones = Vec::new();
        for entry in &entries {
            let known = before.and_then(|before| before.get(&entry.key));
            if known.is_some_and(|known| known.asks_the_same(entry)) {
                continue;
            }
            let unread = !matches!(self.facts.function(&entry.key), Seen::Present(_));
            let fresh = self.knows_enough(entry, now) && !(unread && self.awaits_approval(&entry.key.scope));
            // A sweep that is under way was not asked for this entry.
            if let Some(sweep) = self.sweeps.get_mut(&entry.key.scope).filter(|it| !fresh || it.running.is_some()) {
                sweep.want(now);
            }
            // What was waited for, and what differed, was so for the old entry.
            self.memory.edited(&entry.key);
            self.drifting.remove(&entry.key);
            self.attempts.remove(&entry.key);
            if fresh {
                fresh_ones.push(entry);
            }
        }
        // The plan as whoever approves it saw it: before any of it is carried out.
        let answered = self.sweeps.iter().filter(|(_, sweep)| sweep.answered.is_some());
        for scope in answered.map(|(scope, _)| scope.clone()).collect::<Vec<_>>() {
            self.look_at_plan(&scope, now, effects);
        }
        for entry in fresh_ones {
            self.take_up_one(entry, now, effects);
        }
    }

    /// Whether an entry can be decided about without a sweep: its VPC was seen lately.
    fn knows_enough(&self, entry: &Entry, now: Time) -> bool {
        let scope = &entry.key.scope;
        let fresh = |at: Time| now.since(at) < NETWORK_AGE;
        match &entry.terms.want {
            Want::Detached | Want::Disputed(_) => self.facts.scopes.get(scope).is_some_and(|facts| fresh(facts.at)),
            Want::Attached(intent) => {
                matches!(self.facts.vpc(scope, &intent.vpc), Seen::Present(_))
                    && self.facts.vpc_read_at(scope, &intent.vpc).is_some_and(fresh)
            }
        }
    }

    /// An edited entry gets a pass, unless it clearly has to wait for others.
    fn take_up_one(&mut self, entry: &Arc<Entry>, now: Time, effects: &mut Vec<Effect>) {
        let Some(world) = self.world(now) else { return };
        match plan::compare(&world, entry).verdict {
            Verdict::Differs(change) if !self.queue.is_processing(&entry.key) => {
                let change = Arc::new(change);
                self.note_drift(&change, now, effects);
                self.take_in_hand(entry, change, Rank::Edit, now, effects);
            }
            Verdict::Differs(_) | Verdict::InSync | Verdict::Stuck(_) => self.queue.add(entry.key.clone(), Rank::Edit),
        }
    }
}
