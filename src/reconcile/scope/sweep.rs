//! Sweeps: what is to be found out, and which functions need a pass after one.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::Scope;
use crate::cloud::Listing;
use crate::desired::{AttachPolicy, Entry, Intent, Pattern, Pick, Terms, Want};
use crate::live::{Fault, FunctionNeeds, GroupNeeds, Needs, PatternNeeds, RoleNeeds, Seen, Simulate, Surveyed};
use crate::names::{FunctionKey, Time, VpcId};
use crate::plan::{self, LeftOut, Outcome, Pace, Reason, Verdict, Why};
use crate::reconcile::backoff;
use crate::reconcile::event::{Action, Notice};
use crate::reconcile::queue::Rank;

/// The facts of a role are read again with the next look when they are older than this.
const ROLE_AGE: Duration = Duration::from_secs(60 * 60);
/// A person who waits for a plan waits for this many tries at a scope that fails.
const TRIES: u32 = 3;
/// A function that meets what seems to be a fault of its whole scope causes a sweep, to know; but not more often than this.
const BETWEEN_SUSPICIONS: Duration = Duration::from_secs(60);

/// How the sweeping stands.
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

impl Scope {
    /// What a sweep has to find out.
    pub(super) fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        let mut seen = HashSet::new();
        for entry in &self.desired.entries {
            needs.functions.insert(entry.key.name.clone(), function_needs(&entry.terms));
            group_needs(&entry.terms.want, &mut needs.vpcs, &mut seen);
        }
        for pattern in &self.desired.patterns {
            let (name, except, role) = (pattern.name.clone(), pattern.except.clone(), function_needs(&pattern.terms));
            needs.patterns.push(PatternNeeds { name, except, role });
            group_needs(&pattern.terms.want, &mut needs.vpcs, &mut seen);
        }
        let known = self.facts.roles.iter().filter_map(|(key, role)| match role {
            Seen::Present(facts) => Some((key.clone(), facts.clone())),
            Seen::Absent | Seen::Unknown(_) => None,
        });
        needs.roles = known.collect();
        needs.listing = self.cadence.listing;
        let Some(swept) = &self.facts.swept else { return needs };
        needs.pages = swept.pages;
        needs.identified = match &swept.identity {
            Seen::Present(identity) => identity.account == self.key.account,
            Seen::Absent | Seen::Unknown(_) => false,
        };
        if let Seen::Present(published) = &swept.published {
            needs.published = published.clone();
        }
        needs
    }

    /// What a look must find out of the role: something only if that is missing, old, or called in question by Lambda.
    pub(super) fn role_needs(&self, key: &FunctionKey, now: Time) -> Option<RoleNeeds> {
        let function = self.desired.get(key).and_then(|entry| function_needs(&entry.terms))?;
        let doubted = self.memory.shown_to_lack_right(key, now);
        let role = match self.facts.function(&key.name) {
            Seen::Present(function) => Some(&function.role),
            Seen::Absent | Seen::Unknown(_) => None,
        };
        let facts = role.and_then(|role| match self.facts.role(role.key()) {
            Seen::Present(facts) => Some((role, facts)),
            Seen::Absent | Seen::Unknown(_) => None,
        });
        let known = facts.is_some_and(|(role, facts)| {
            let old = now.since(facts.at) >= ROLE_AGE || self.facts.old_role(role.key()).is_some();
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

    pub(super) fn surveyed(&mut self, mut found: Surveyed, now: Time, actions: &mut Vec<Action>) {
        if self.desired.says_nothing() {
            return;
        }
        found.believe(&self.facts);
        found.facts.functions.values_mut().for_each(|function| self.in_our_time(function, now));
        let (fault, begun) = (fault(&found), found.facts.at);
        let stops = fault_of_functions(&found).is_some_and(|fault| Why::unread(fault).reason.of_scope());
        let sweep = &mut self.sweep;
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
        self.board.swept(took, fault.as_ref(), now);
        actions.push(Action::Tell(Notice::Swept { scope: self.key.clone(), took, fault }));
        self.match_patterns(now, actions);
        self.await_ends(now);
        let entries = self.desired.entries.clone();
        // Who may be under way is known before anybody else is sent.
        for entry in &entries {
            let unfinished = plan::may_be_unfinished(&self.world(now), &entry.key);
            // What is known from before has been seen before.
            if self.facts.read_at(&entry.key.name).is_none_or(|read| read < begun) {
                continue;
            }
            if let Seen::Present(function) = self.facts.function(&entry.key.name) {
                self.memory.seen(&entry.key, function, now);
                if unfinished {
                    self.memory.rollouts.may_lead(&entry.key.name, function, now);
                }
                self.memory.guard.perhaps_ours(entry, function, now);
            }
        }
        // Where not all could be read, what was recalled or heard of a role may be of one that was not seen yet.
        let seen = self.sweep.fault.is_none();
        self.memory.keep_roles(|role| self.facts.roles.contains_key(role) || !seen, now);
        self.note_targets(now);
        self.look_at_plan(now, actions);
        let behind = entries.iter().map(|entry| self.select(entry, now, actions)).sum();
        self.tell_versions_behind(behind, actions);
    }

    /// Tells how many published versions of a scope run another network than the file says, if that is another number now.
    /// What a sweep with a fault could not see, the one before has counted.
    fn tell_versions_behind(&mut self, behind: usize, actions: &mut Vec<Action>) {
        if self.sweep.fault.is_some() && self.cadence.listing == Listing::All {
            return;
        }
        let known = self.facts.swept.as_ref().is_some_and(|swept| matches!(swept.published, Seen::Present(_)));
        let behind = known.then_some(behind);
        if std::mem::replace(&mut self.sweep.behind, behind) != behind {
            actions.push(Action::Tell(Notice::Behind { scope: self.key.clone(), versions: behind }));
        }
    }

    /// Notes what the VPC entries mean by this listing, as far as it could read their VPCs.
    fn note_targets(&mut self, now: Time) {
        let meant = plan::targets(&self.world(now));
        let at = self.facts.swept.as_ref().map_or(now, |swept| swept.at);
        self.memory.targets.listed(at, meant);
    }

    /// What the sweep tells of one function: nothing to do, a pass, or that nothing can be done. Returns how many of its
    /// published versions run another network than the file says.
    fn select(&mut self, entry: &Arc<Entry>, now: Time, actions: &mut Vec<Action>) -> usize {
        let world = self.world(now);
        let comparison = plan::compare(&world, entry);
        let behind = comparison.behind.as_ref().map_or(0, |behind| behind.versions.len());
        let unfinished = match self.cadence.resync {
            Some(_) => plan::may_be_unfinished(&world, &entry.key),
            // A person who waits for a plan is not kept waiting for what may be a deploy of a moment ago.
            None => plan::is_unfinished(&world, &entry.key),
        };
        self.board.doubts(&entry.key.name, comparison.all_warnings().cloned().collect());
        if self.queue.is_processing(&entry.key.name) {
            self.queue.add(entry.key.name.clone(), Rank::Routine);
            return behind;
        }
        match comparison.verdict {
            Verdict::Stuck(outcome) => self.conclude(&entry.key, outcome, None, None, now, actions),
            Verdict::InSync if unfinished => self.queue.add(entry.key.name.clone(), Rank::Routine),
            Verdict::InSync => self.conclude(&entry.key, Outcome::InSync, None, None, now, actions),
            Verdict::Differs(change) => {
                let change = Arc::new(change);
                let waiting_for_it =
                    self.memory.differs(&entry.key.name) == Some(&change) && self.comes_later(&entry.key, now);
                self.note_drift(&change, now, actions);
                // A sweep that finds nothing new does not cut a backoff short.
                if !waiting_for_it {
                    self.take_in_hand(entry, change, Rank::Routine, now, actions);
                }
            }
        }
        behind
    }

    /// Whether a function has been told when it is looked at again, and that is yet to come.
    fn comes_later(&self, key: &FunctionKey, now: Time) -> bool {
        self.board.get(&key.name).and_then(|line| line.next).is_some_and(|next| next > now)
    }

    /// A function meets what may be a fault of its whole scope, or lacks what only a sweep reads: a sweep tells.
    pub(super) fn suspect(&mut self, reason: Reason, now: Time) {
        let sweep = &mut self.sweep;
        let lately = sweep.answered.is_some_and(|at| now.since(at) < BETWEEN_SUSPICIONS);
        if (reason.of_scope() || reason == Reason::Unread) && !lately && sweep.running.is_none() {
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
