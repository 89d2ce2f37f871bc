//! Waves: of the functions of one VPC entry one goes first, then ten, then the rest.
//!
//! The first ones show whether the network is right. So a wave waits for the one before it, and stops where the network
//! turns out to be wrong. A function with a trouble of its own, a role at its quota or a name that is denied, shows nothing
//! of the network: another one goes in its place, after a pause that grows as long as none arrives. So what refuses
//! every function of a fleet costs a call a minute and not one for each function.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::desired::{Entry, Want};
use crate::names::{FunctionName, Time};
use crate::plan::reason::Reason;

/// How many functions go in the waves before the last one.
const SIZES: [usize; 2] = [1, 10];

/// The pause after a function that had a trouble of its own, as long as none has arrived; it doubles up to the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What is changed together: the functions of one VPC entry, by its name or its VPC's id; none for functions that shall be in
/// no VPC.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group(Option<String>);

impl Group {
    pub(super) fn of(entry: &Entry) -> Self {
        Self(match &entry.terms.want {
            Want::Detached | Want::Disputed(_) => None,
            Want::Attached(intent) => Some(intent.name.clone().unwrap_or_else(|| intent.vpc.to_string())),
        })
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
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
    one: &'a FunctionName,
}

impl fmt::Display for Ahead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wave, members, under_way, one } = self;
        let others = if *under_way > 1 { " and others" } else { "" };
        write!(f, "wave {wave}, {under_way} of {members} in progress: {}{others}", one)
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
    Stopped(&'a FunctionName, Reason),
}

/// The rollouts that are under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Waves {
    groups: BTreeMap<Group, Rollout>,
}

/// One group on its way. It is over when nobody is under way and nobody waits; the next change begins with one again.
#[derive(Clone, Debug, Default)]
struct Rollout {
    first: [BTreeMap<FunctionName, Standing>; SIZES.len()],
    /// Those of the last wave that are under way.
    rest: BTreeSet<FunctionName>,
    waiting: BTreeSet<FunctionName>,
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
    fn place(&self, name: &FunctionName, now: Time) -> Place<'_> {
        if self.is_member(name) {
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

    fn is_member(&self, name: &FunctionName) -> bool {
        self.rest.contains(name) || self.first.iter().any(|wave| wave.contains_key(name))
    }

    /// A member cannot be changed for a cause of its own.
    fn troubled(&mut self, name: &FunctionName, now: Time) {
        let arrived = self.first.iter().flat_map(BTreeMap::values).any(|standing| *standing == Standing::Done);
        if self.is_member(name) && !arrived {
            self.pause = Some(now + PAUSE.saturating_mul(2_u32.saturating_pow(self.troubles)).min(LONGEST_PAUSE));
            self.troubles += 1;
        }
        self.left(name);
    }

    fn admit(&mut self, name: &FunctionName) {
        self.waiting.remove(name);
        if let Some(standing) = self.standing(name) {
            *standing = Standing::UnderWay;
            return;
        }
        match self.first.iter_mut().zip(SIZES).find(|(wave, size)| wave.len() < *size) {
            Some((wave, _)) => {
                wave.insert(name.clone(), Standing::UnderWay);
            }
            None => {
                self.rest.insert(name.clone());
            }
        }
    }

    fn standing(&mut self, name: &FunctionName) -> Option<&mut Standing> {
        self.first.iter_mut().find_map(|wave| wave.get_mut(name))
    }

    /// It has come to an end, in whichever way.
    fn ended(&mut self, name: &FunctionName, how: Standing) {
        self.waiting.remove(name);
        self.rest.remove(name);
        if how == Standing::Done {
            (self.troubles, self.pause) = (0, None);
        }
        if let Some(standing) = self.standing(name) {
            *standing = how;
        }
    }

    fn left(&mut self, name: &FunctionName) {
        self.waiting.remove(name);
        self.rest.remove(name);
        self.first.iter_mut().for_each(|wave| {
            wave.remove(name);
        });
    }

    fn is_over(&self) -> bool {
        let under_way = |wave: &BTreeMap<_, Standing>| wave.values().any(|standing| *standing == Standing::UnderWay);
        self.waiting.is_empty() && self.rest.is_empty() && !self.first.iter().any(under_way)
    }
}

impl Waves {
    pub(super) fn place(&self, group: &Group, name: &FunctionName, now: Time) -> Place<'_> {
        self.groups.get(group).map_or(Place::Now, |rollout| rollout.place(name, now))
    }

    pub(super) fn goes_first(&self, group: &Group, name: &FunctionName) -> bool {
        let is_there = |rollout: &Rollout| rollout.first.iter().any(|wave| wave.contains_key(name));
        self.groups.get(group).is_some_and(is_there)
    }

    pub(super) fn troubled(&mut self, group: &Group, name: &FunctionName, now: Time) {
        self.change(group, |rollout| rollout.troubled(name, now));
    }

    /// When the next pause ends.
    pub(super) fn next_expiry(&self) -> Option<Time> {
        self.groups.values().filter_map(|rollout| rollout.pause).min()
    }

    /// Ends the pauses that are over. Returns whether there were any.
    pub(super) fn expire(&mut self, now: Time) -> bool {
        let mut over = false;
        for rollout in self.groups.values_mut() {
            over |= rollout.pause.take_if(|until| *until <= now).is_some();
        }
        over
    }

    pub(super) fn admit(&mut self, group: Group, name: &FunctionName) {
        self.groups.entry(group).or_default().admit(name);
    }

    pub(super) fn waits(&mut self, group: Group, name: &FunctionName) {
        self.groups.entry(group).or_default().waiting.insert(name.clone());
    }

    pub(super) fn under_way(&mut self, group: &Group, name: &FunctionName) {
        if let Some(rollout) = self.groups.get_mut(group) {
            rollout.waiting.remove(name);
        }
    }

    pub(super) fn done(&mut self, group: &Group, name: &FunctionName) {
        self.change(group, |rollout| rollout.ended(name, Standing::Done));
    }

    pub(super) fn failed(&mut self, group: &Group, name: &FunctionName, reason: Reason) {
        self.change(group, |rollout| rollout.ended(name, Standing::Failed(reason)));
    }

    /// The function is no part of any rollout any more.
    pub(super) fn left(&mut self, name: &FunctionName) {
        self.groups.retain(|_, rollout| {
            rollout.left(name);
            !rollout.is_over()
        });
    }

    /// Those that failed are no part of their rollouts any more. Returns whether there were any.
    pub(super) fn forgive(&mut self) -> bool {
        let mut forgiven = false;
        for wave in self.groups.values_mut().flat_map(|rollout| &mut rollout.first) {
            let before = wave.len();
            wave.retain(|_, standing| !matches!(standing, Standing::Failed(_)));
            forgiven |= wave.len() < before;
        }
        forgiven
    }

    pub(super) fn waiting(&self) -> impl Iterator<Item = &FunctionName> {
        self.groups.values().flat_map(|rollout| &rollout.waiting)
    }

    fn change(&mut self, group: &Group, change: impl FnOnce(&mut Rollout)) {
        let Some(rollout) = self.groups.get_mut(group) else { return };
        change(rollout);
        if rollout.is_over() {
            self.groups.remove(group);
        }
    }
}
