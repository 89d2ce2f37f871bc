//! Sweeps: what is to be found out, and which functions need a pass after one.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::Controller;
use crate::cloud::Listing;
use crate::desired::{AttachPolicy, Entry, Intent, Pattern, Pick, Terms, Want};
use crate::engine::backoff;
use crate::engine::event::{Effect, Notice};
use crate::engine::queue::Rank;
use crate::live::{Fault, FunctionNeeds, GroupNeeds, Needs, PatternNeeds, RoleNeeds, Seen, Simulate, Surveyed};
use crate::names::{AccountId, FunctionKey, RoleKey, ScopeKey, Time, VpcId};
use crate::plan::{self, LeftOut, Outcome, Pace, Reason, Verdict, Why};

/// The facts of a role are read again with the next look when they are older than this.
const ROLE_AGE: Duration = Duration::from_secs(60 * 60);
/// A person who waits for a plan waits for this many tries at a scope that fails.
const TRIES: u32 = 3;
/// A function that meets what seems to be a fault of its whole scope causes a sweep, to know; but not more often than this.
const BETWEEN_SUSPICIONS: Duration = Duration::from_secs(60);

/// How the sweeping of a scope stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Sweep {
    pub running: Option<Time>,
    pub again: bool,
    pub due: Option<Time>,
    pub faults: u32,
    /// What the whole scope suffers from, according to the last one.
    pub fault: Option<Reason>,
    /// Whether that keeps every function of the scope from being looked at.
    pub stops: bool,
    /// When the last one ended; none before.
    pub answered: Option<Time>,
    /// The patterns that meant no function then.
    pub unmatched: Vec<Arc<Pattern>>,
    /// The functions that patterns fitted then and did not mean, since services made them for themselves.
    pub left_out: Vec<LeftOut>,
    /// How many published versions ran another network then than the file says; none if that is not known.
    pub behind: Option<usize>,
    /// How many requests a second to Lambda are possible, as was last heard.
    pub rate: Option<f64>,
    /// When the process went on after it had stood still: what was seen before may be as old as that, and is not acted on.
    pub outdated: Option<Time>,
}

impl Sweep {
    /// When the scope is to be swept next; none while it is being swept.
    pub(super) fn next(&self) -> Option<Time> {
        self.due.filter(|_| self.running.is_none())
    }

    /// Whether it is to be swept now.
    pub(super) fn is_due(&self, now: Time) -> bool {
        self.next().is_some_and(|due| due <= now)
    }

    /// A sweep begins.
    pub(super) fn begin(&mut self, now: Time) {
        (self.running, self.again, self.due) = (Some(now), false, None);
    }

    /// Somebody asks for a sweep; one who asks while one is under way gets another.
    pub(super) fn want(&mut self, at: Time) {
        self.again = self.running.is_some();
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Whether somebody who waits for a plan need not wait any longer: all was seen, or will not be seen soon.
    pub(super) fn has_looked(&self) -> bool {
        let hopeless = self.fault.is_some_and(|reason| reason.pace() == Pace::Denied);
        self.answered.is_some() && (self.faults == 0 || self.faults >= TRIES || hopeless)
    }
}

impl Controller {
    /// What a sweep of this scope has to find out.
    pub(super) fn needs(&self, scope: &ScopeKey) -> Needs {
        let mut needs = Needs::default();
        let mut seen = HashSet::new();
        for entry in self.desired.iter().flat_map(|desired| &desired.entries).filter(|e| e.key.scope == *scope) {
            needs.functions.insert(entry.key.name.clone(), function_needs(&entry.terms));
            group_needs(&entry.terms.want, &mut needs.vpcs, &mut seen);
        }
        for pattern in self.desired.iter().flat_map(|desired| &desired.patterns).filter(|it| it.scope == *scope) {
            let (name, except, role) = (pattern.name.clone(), pattern.except.clone(), function_needs(&pattern.terms));
            needs.patterns.push(PatternNeeds { name, except, role });
            group_needs(&pattern.terms.want, &mut needs.vpcs, &mut seen);
        }
        let here = self.facts.roles.iter().filter(|((of, _), _)| of == scope);
        let known = here.filter_map(|((_, key), role)| match role {
            Seen::Present(facts) => Some((key.clone(), facts.clone())),
            Seen::Absent | Seen::Unknown(_) => None,
        });
        needs.roles = known.collect();
        needs.pages = self.facts.scopes.get(scope).and_then(|facts| facts.pages);
        needs.listing = self.cadence.listing;
        needs.identified = match self.facts.scopes.get(scope).map(|facts| &facts.identity) {
            Some(Seen::Present(identity)) => identity.account == scope.account,
            Some(Seen::Absent | Seen::Unknown(_)) | None => false,
        };
        if let Some(Seen::Present(published)) = self.facts.scopes.get(scope).map(|facts| &facts.published) {
            needs.published = published.clone();
        }
        needs
    }

    /// What a look must find out of the role: something only if that is missing, old, or called in question by Lambda.
    pub(super) fn role_needs(&self, key: &FunctionKey, now: Time) -> Option<RoleNeeds> {
        let function = self.desired.as_ref()?.get(key).and_then(|entry| function_needs(&entry.terms))?;
        let doubted = self.memory.shown_to_lack_right(key, now);
        let role = match self.facts.function(key) {
            Seen::Present(function) => Some(&function.role),
            Seen::Absent | Seen::Unknown(_) => None,
        };
        let facts = role.and_then(|role| match self.facts.role(&key.scope, role.key()) {
            Seen::Present(facts) => Some((role, facts)),
            Seen::Absent | Seen::Unknown(_) => None,
        });
        let known = facts.is_some_and(|(role, facts)| {
            let old = now.since(facts.at) >= ROLE_AGE || self.facts.old_role(&key.scope, role.key()).is_some();
            !old && facts.tells_of(&function.policies, role)
        });
        let before = facts.map(|(role, facts)| (role.key().clone(), facts.clone()));
        let simulate = match doubted {
            true if self.memory.wants_diagnosis(key, now) => Simulate::Always,
            true => Simulate::Never,
            false => function.simulate,
        };
        let function = FunctionNeeds { simulate, ..function };
        (doubted || !known).then_some(RoleNeeds { function, before })
    }

    pub(super) fn surveyed(&mut self, mut found: Surveyed, now: Time, effects: &mut Vec<Effect>) {
        found.believe(&self.facts);
        found.facts.functions.values_mut().for_each(|function| self.in_our_time(function, now));
        let scope = found.scope.clone();
        let (fault, begun) = (fault(&found), found.facts.at);
        let stops = fault_of_functions(&found).is_some_and(|fault| Why::unread(fault).reason.of_scope());
        let Some(sweep) = self.sweeps.get_mut(&scope) else { return };
        let took = now.since(sweep.running.take().unwrap_or(now));
        sweep.answered = Some(now);
        sweep.faults = if fault.is_some() { sweep.faults.saturating_add(1) } else { 0 };
        sweep.fault = fault.as_ref().map(|(why, _)| why.reason);
        sweep.stops = stops;
        // Where not all can be read, what is known from before has to do in the end.
        if sweep.outdated.is_some_and(|since| begun >= since) && (fault.is_none() || sweep.faults >= TRIES) {
            sweep.outdated = None;
        }
        let regular = self.cadence.resync.map(|every| now + every);
        sweep.due = match &fault {
            _ if sweep.again => Some(now),
            None => regular,
            Some((why, after)) => {
                let delay = backoff::delay(why.reason.pace(), sweep.faults - 1, &mut self.rng);
                let soon = now + after.map_or(delay, |after| delay.max(after));
                // A limited rate is not to be strained sooner than asked for.
                Some(regular.filter(|_| after.is_none()).map_or(soon, |regular| regular.min(soon)))
            }
        };
        for (role, facts) in &found.roles {
            if let Seen::Present(facts) = facts {
                self.memory.role_seen(role, facts, now);
            }
        }
        self.facts.surveyed(found);
        let fault = fault.map(|(why, _)| why);
        self.board.swept(&scope, took, fault.as_ref(), now);
        effects.push(Effect::Tell(Notice::Swept { scope: scope.clone(), took, fault }));
        self.match_patterns(&scope, now, effects);
        self.await_ends(now);
        let entries: Vec<Arc<Entry>> = match &self.desired {
            Some(desired) => desired.entries.iter().filter(|e| e.key.scope == scope).cloned().collect(),
            None => Vec::new(),
        };
        // Who may be under way is known before anybody else is sent.
        for entry in &entries {
            let Some(world) = self.world(now) else { continue };
            let unfinished = plan::may_be_unfinished(&world, &entry.key);
            // What is known from before has been seen before.
            if self.facts.read_at(&entry.key).is_none_or(|read| read < begun) {
                continue;
            }
            if let Seen::Present(function) = self.facts.function(&entry.key) {
                self.memory.seen(&entry.key, function, now);
                if unfinished {
                    self.memory.rollouts.may_lead(&entry.key, function, now);
                }
                self.memory.guard.perhaps_ours(entry, function, now);
            }
        }
        let known: BTreeSet<&RoleKey> = self.facts.roles.keys().map(|(_, role)| role).collect();
        // What is known of a role may come from a record, and its functions only be seen by the sweep of another region.
        let seen = |sweep: &Sweep| sweep.answered.is_some() && sweep.fault.is_none();
        let unseen: BTreeSet<&AccountId> =
            self.sweeps.iter().filter(|(_, sweep)| !seen(sweep)).map(|(scope, _)| &scope.account).collect();
        self.memory.keep_roles(|role| known.contains(role) || unseen.contains(&role.account), now);
        self.note_targets(&scope, now);
        self.look_at_plan(&scope, now, effects);
        let behind = entries.iter().map(|entry| self.select(entry, now, effects)).sum();
        self.tell_versions_behind(&scope, behind, effects);
    }

    /// Tells how many published versions of a scope run another network than the file says, if that is another number now.
    /// What a sweep with a fault could not see, the one before has counted.
    fn tell_versions_behind(&mut self, scope: &ScopeKey, behind: usize, effects: &mut Vec<Effect>) {
        let faulty = self.sweeps.get(scope).is_some_and(|sweep| sweep.fault.is_some());
        if faulty && self.cadence.listing == Listing::All {
            return;
        }
        let known = self.facts.scopes.get(scope).is_some_and(|facts| matches!(facts.published, Seen::Present(_)));
        let behind = known.then_some(behind);
        let Some(sweep) = self.sweeps.get_mut(scope) else { return };
        if std::mem::replace(&mut sweep.behind, behind) != behind {
            effects.push(Effect::Tell(Notice::Behind { scope: scope.clone(), versions: behind }));
        }
    }

    /// Notes what the VPC entries of a scope mean by this listing, as far as it could read their VPCs.
    fn note_targets(&mut self, scope: &ScopeKey, now: Time) {
        let Some(world) = self.world(now) else { return };
        let meant = plan::targets(&world, scope);
        let at = self.facts.scopes.get(scope).map_or(now, |facts| facts.at);
        self.memory.targets.listed(scope, at, meant);
    }

    /// What the sweep tells of one function: nothing to do, a pass, or that nothing can be done. Returns how many of its
    /// published versions run another network than the file says.
    fn select(&mut self, entry: &Arc<Entry>, now: Time, effects: &mut Vec<Effect>) -> usize {
        let Some(world) = self.world(now) else { return 0 };
        let comparison = plan::compare(&world, entry);
        let behind = comparison.behind.as_ref().map_or(0, |behind| behind.versions.len());
        let unfinished = match self.cadence.resync {
            Some(_) => plan::may_be_unfinished(&world, &entry.key),
            // A person who waits for a plan is not kept waiting for what may be a deploy of a moment ago.
            None => plan::is_unfinished(&world, &entry.key),
        };
        self.board.doubts(&entry.key, comparison.all_warnings().cloned().collect());
        if self.queue.is_processing(&entry.key) {
            self.queue.add(entry.key.clone(), Rank::Routine);
            return behind;
        }
        match comparison.verdict {
            Verdict::Stuck(outcome) => self.conclude(&entry.key, outcome, None, None, now, effects),
            Verdict::InSync if unfinished => self.queue.add(entry.key.clone(), Rank::Routine),
            Verdict::InSync => self.conclude(&entry.key, Outcome::InSync, None, None, now, effects),
            Verdict::Differs(change) => {
                let change = Arc::new(change);
                let waiting_for_it =
                    self.drifting.get(&entry.key) == Some(&change) && self.comes_later(&entry.key, now);
                self.note_drift(&change, now, effects);
                // A sweep that finds nothing new does not cut a backoff short.
                if !waiting_for_it {
                    self.take_in_hand(entry, change, Rank::Routine, now, effects);
                }
            }
        }
        behind
    }

    /// Whether a function has been told when it is looked at again, and that is yet to come.
    fn comes_later(&self, key: &FunctionKey, now: Time) -> bool {
        self.board.get(key).and_then(|line| line.next).is_some_and(|next| next > now)
    }

    /// A function meets what may be a fault of its whole scope, or lacks what only a sweep reads: a sweep tells.
    pub(super) fn suspect(&mut self, scope: &ScopeKey, reason: Reason, now: Time) {
        let Some(sweep) = self.sweeps.get_mut(scope).filter(|sweep| sweep.running.is_none()) else { return };
        let lately = sweep.answered.is_some_and(|at| now.since(at) < BETWEEN_SUSPICIONS);
        if (reason.of_scope() || reason == Reason::Unread) && !lately {
            sweep.want(now);
        }
    }
}

/// What must be known of the VPC that is wanted. Thousands of functions share an intent.
fn group_needs(want: &Want, vpcs: &mut BTreeMap<VpcId, GroupNeeds>, seen: &mut HashSet<*const Intent>) {
    let Want::Attached(intent) = want else { return };
    if !seen.insert(Arc::as_ptr(intent)) {
        return;
    }
    let needs = vpcs.entry(intent.vpc.clone()).or_default();
    match &intent.security_groups {
        // The default group is always the VPC's own.
        Pick::Default => {}
        Pick::Ids(ids) => needs.ids.extend(ids.iter().cloned()),
        Pick::Names(names) => needs.names.extend(names.iter().cloned()),
        Pick::Tags(_) => needs.tags = true,
    }
}

/// What must be known of a function's role; nothing where it shall not be in a VPC.
fn function_needs(terms: &Terms) -> Option<FunctionNeeds> {
    match &terms.want {
        Want::Detached | Want::Disputed(_) => None,
        Want::Attached(_) => Some(FunctionNeeds {
            policies: Arc::clone(&terms.policies),
            simulate: match terms.attach_policy {
                AttachPolicy::Always => Simulate::Never,
                AttachPolicy::WhenNeeded | AttachPolicy::Never => Simulate::WherePolicyMissing,
            },
        }),
    }
}

/// What a whole scope suffers from, and how long AWS asks to wait: nobody knows whose the credentials are, the functions
/// could not be listed, or none of them or no VPC could be read. A single function or role that could not be read is
/// looked at again by itself.
fn fault(found: &Surveyed) -> Option<(Why, Option<Duration>)> {
    let account = match &found.facts.identity {
        Seen::Present(identity) if identity.account != found.scope.account => {
            Some(Fault::WrongAccount(identity.account.clone()))
        }
        identity => unread(identity).cloned(),
    };
    account
        .or_else(|| fault_of_functions(found).cloned())
        .or_else(|| found.facts.vpcs.values().find_map(unread).cloned())
        .map(|fault| (Why::unread(&fault), fault.retry_after()))
}

/// Why the functions could not be listed, or none of them be read.
fn fault_of_functions(found: &Surveyed) -> Option<&Fault> {
    let functions = &found.facts.functions;
    let no_function = functions.values().all(|function| unread(function).is_some());
    let listing = unread(&found.facts.listed).filter(|fault| **fault != Fault::Unread);
    listing.or_else(|| functions.values().find_map(unread).filter(|_| no_function))
}

fn unread<T>(seen: &Seen<T>) -> Option<&Fault> {
    match seen {
        Seen::Unknown(fault) => Some(fault),
        Seen::Present(_) | Seen::Absent => None,
    }
}
