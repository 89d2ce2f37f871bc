//! Waves: of the functions of one VPC entry one goes first, then ten, then the rest.
//!
//! The first ones show whether the network is right. So a wave waits for the one before it, and stops where the network
//! turns out to be wrong. A function with a trouble of its own, a role at its quota or a key that is denied, shows nothing
//! of the network: another one goes in its place, after a pause that grows as long as none arrives. So what refuses
//! every function of a fleet costs a call a minute and not one for each function.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::desired::{Entry, Want};
use crate::names::{FunctionKey, ScopeKey, Time};
use crate::plan::reason::Reason;

/// How many functions go in the waves before the last one.
const SIZES: [usize; 2] = [1, 10];

/// The pause after a function that had a trouble of its own, as long as none has arrived; it doubles up to the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What is changed together: the functions of one VPC entry in one scope.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    scope: ScopeKey,
    /// The name of the VPC's entry, or its id; none for functions that shall be in no VPC.
    vpc: Option<String>,
}

impl Group {
    pub(super) fn of(entry: &Entry) -> Self {
        let vpc = match &entry.terms.want {
            Want::Detached | Want::Disputed(_) => None,
            Want::Attached(intent) => Some(intent.name.clone().unwrap_or_else(|| intent.vpc.to_string())),
        };
        Self { scope: entry.key.scope.clone(), vpc }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.vpc {
            Some(vpc) => write!(f, "`{vpc}`"),
            None => f.write_str("the detachment"),
        }
    }
}

/// The wave that others wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ahead<'a> {
    /// From 1.
    wave: usize,
    /// How many functions it has, and how many of them are under way.
    members: usize,
    under_way: usize,
    /// One of those that are under way.
    one: &'a FunctionKey,
}

impl fmt::Display for Ahead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wave, members, under_way, one } = self;
        let others = if *under_way > 1 { " and others" } else { "" };
        write!(f, "wave {wave}, {under_way} of {members} in progress: {}{others}", one.name)
    }
}

/// Whether it is a function's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// It is.
    Now,
    /// A wave before its own is still under way.
    Later(Ahead<'a>),
    /// The one before it had a trouble of its own; it may go at this moment.
    Pause(Time),
    /// This function of a wave before its own is blocked.
    Stopped(&'a FunctionKey, Reason),
}

/// The rollouts that are under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Waves {
    groups: BTreeMap<Group, Rollout>,
}

/// One group on its way. It is over when nobody is under way and nobody waits; the next change begins with one again.
#[derive(Clone, Debug, Default)]
struct Rollout {
    first: [BTreeMap<FunctionKey, Standing>; SIZES.len()],
    /// Those of the last wave that are under way.
    rest: BTreeSet<FunctionKey>,
    waiting: BTreeSet<FunctionKey>,
    /// How many functions in a row had troubles of their own, while none arrived.
    troubles: u32,
    /// Until when no other goes, for their sake.
    pause: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    UnderWay,
    Done,
    Failed(Reason),
}

impl Rollout {
    fn place(&self, key: &FunctionKey, now: Time) -> Place<'_> {
        if self.is_member(key) {
            return Place::Now;
        }
        if let Some(until) = self.pause.filter(|until| now < *until) {
            return Place::Pause(until);
        }
        for (number, (wave, size)) in self.first.iter().zip(SIZES).enumerate() {
            if wave.len() < size {
                return Place::Now;
            }
            for (member, standing) in wave {
                if let Standing::Failed(reason) = standing {
                    return Place::Stopped(member, *reason);
                }
            }
            let mut under_way = wave.iter().filter(|(_, standing)| **standing == Standing::UnderWay);
            if let Some((one, _)) = under_way.next() {
                let (members, under_way) = (wave.len(), 1 + under_way.count());
                return Place::Later(Ahead { wave: number + 1, members, under_way, one });
            }
        }
        Place::Now
    }

    fn is_member(&self, key: &FunctionKey) -> bool {
        self.rest.contains(key) || self.first.iter().any(|wave| wave.contains_key(key))
    }

    /// A member cannot be changed for a cause of its own.
    fn troubled(&mut self, key: &FunctionKey, now: Time) {
        let arrived = self.first.iter().flat_map(BTreeMap::values).any(|standing| *standing == Standing::Done);
        if self.is_member(key) && !arrived {
            self.pause = Some(now + PAUSE.saturating_mul(2_u32.saturating_pow(self.troubles)).min(LONGEST_PAUSE));
            self.troubles += 1;
        }
        self.left(key);
    }

    fn admit(&mut self, key: &FunctionKey) {
        self.waiting.remove(key);
        if let Some(standing) = self.standing(key) {
            *standing = Standing::UnderWay;
            return;
        }
        match self.first.iter_mut().zip(SIZES).find(|(wave, size)| wave.len() < *size) {
            Some((wave, _)) => {
                wave.insert(key.clone(), Standing::UnderWay);
            }
            None => {
                self.rest.insert(key.clone());
            }
        }
    }

    fn standing(&mut self, key: &FunctionKey) -> Option<&mut Standing> {
        self.first.iter_mut().find_map(|wave| wave.get_mut(key))
    }

    /// It has come to an end, in whichever way.
    fn ended(&mut self, key: &FunctionKey, how: Standing) {
        self.waiting.remove(key);
        self.rest.remove(key);
        if how == Standing::Done {
            (self.troubles, self.pause) = (0, None);
        }
        if let Some(standing) = self.standing(key) {
            *standing = how;
        }
    }

    fn left(&mut self, key: &FunctionKey) {
        self.waiting.remove(key);
        self.rest.remove(key);
        self.first.iter_mut().for_each(|wave| {
            wave.remove(key);
        });
    }

    fn is_over(&self) -> bool {
        let under_way = |wave: &BTreeMap<_, Standing>| wave.values().any(|standing| *standing == Standing::UnderWay);
        self.waiting.is_empty() && self.rest.is_empty() && !self.first.iter().any(under_way)
    }
}

impl Waves {
    pub(super) fn place(&self, group: &Group, key: &FunctionKey, now: Time) -> Place<'_> {
        self.groups.get(group).map_or(Place::Now, |rollout| rollout.place(key, now))
    }

    pub(super) fn goes_first(&self, group: &Group, key: &FunctionKey) -> bool {
        let is_there = |rollout: &Rollout| rollout.first.iter().any(|wave| wave.contains_key(key));
        self.groups.get(group).is_some_and(is_there)
    }

    pub(super) fn troubled(&mut self, group: &Group, key: &FunctionKey, now: Time) {
        self.change(group, |rollout| rollout.troubled(key, now));
    }

    /// When the next pause ends.
    pub(super) fn next_expiry(&self) -> Option<Time> {
        self.groups.values().filter_map(|rollout| rollout.pause).min()
    }

    /// Ends the pauses that are over. Returns where there were any.
    pub(super) fn expire(&mut self, now: Time) -> BTreeSet<ScopeKey> {
        let over = |(group, rollout): (&Group, &mut Rollout)| {
            rollout.pause.take_if(|until| *until <= now).map(|_| group.scope.clone())
        };
        self.groups.iter_mut().filter_map(over).collect()
    }

    pub(super) fn admit(&mut self, group: Group, key: &FunctionKey) {
        self.groups.entry(group).or_default().admit(key);
    }

    pub(super) fn waits(&mut self, group: Group, key: &FunctionKey) {
        self.groups.entry(group).or_default().waiting.insert(key.clone());
    }

    pub(super) fn under_way(&mut self, group: &Group, key: &FunctionKey) {
        if let Some(rollout) = self.groups.get_mut(group) {
            rollout.waiting.remove(key);
        }
    }

    pub(super) fn done(&mut self, group: &Group, key: &FunctionKey) {
        self.change(group, |rollout| rollout.ended(key, Standing::Done));
    }

    pub(super) fn failed(&mut self, group: &Group, key: &FunctionKey, reason: Reason) {
        self.change(group, |rollout| rollout.ended(key, Standing::Failed(reason)));
    }

    /// The function is no part of any rollout any more.
    pub(super) fn left(&mut self, key: &FunctionKey) {
        self.groups.retain(|group, rollout| {
            if group.scope == key.scope {
                rollout.left(key);
            }
            !rollout.is_over()
        });
    }

    /// Those that failed are no part of their rollouts any more. Returns where that was so.
    pub(super) fn forgive(&mut self) -> BTreeSet<ScopeKey> {
        let mut forgiven = BTreeSet::new();
        for (group, rollout) in &mut self.groups {
            for wave in &mut rollout.first {
                let before = wave.len();
                wave.retain(|_, standing| !matches!(standing, Standing::Failed(_)));
                if wave.len() < before {
                    forgiven.insert(group.scope.clone());
                }
            }
        }
        forgiven
    }

    /// Where functions are being changed, or wait for that.
    pub(super) fn scopes(&self) -> impl Iterator<Item = &ScopeKey> {
        self.groups.keys().map(|group| &group.scope)
    }

    pub(super) fn waiting(&self, scope: &ScopeKey) -> Vec<FunctionKey> {
        let here = self.groups.iter().filter(|(group, _)| group.scope == *scope);
        here.flat_map(|(_, rollout)| rollout.waiting.iter().cloned()).collect()
    }

    fn change(&mut self, group: &Group, change: impl FnOnce(&mut Rollout)) {
        let Some(rollout) = self.groups.get_mut(group) else { return };
        change(rollout);
        if rollout.is_over() {
            self.groups.remove(group);
        }
    }
}
