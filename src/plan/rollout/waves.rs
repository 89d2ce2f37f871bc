//! Waves: of the functions of one VPC entry one goes first, then ten, then the rest.

use std::collections::{BTreeMap, BTreeSet};

use crate::desired::{Entry, Want};
use crate::names::{FunctionKey, Scope};
use crate::plan::reason::Reason;

/// How many functions go in the waves before the last one.
const SIZES: [usize; 2] = [1, 10];

/// What is changed together: the functions of one VPC entry in one scope.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    scope: Scope,
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

/// Whether it is a function's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// It is.
    Now,
    /// A wave before its own is still under way.
    Later,
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    UnderWay,
    Done,
    Failed(Reason),
}

impl Rollout {
    fn place(&self, key: &FunctionKey) -> Place<'_> {
        if self.rest.contains(key) || self.first.iter().any(|wave| wave.contains_key(key)) {
            return Place::Now;
        }
        for (wave, size) in self.first.iter().zip(SIZES) {
            if wave.len() < size {
                return Place::Now;
            }
            for (member, standing) in wave {
                if let Standing::Failed(reason) = standing {
                    return Place::Stopped(member, *reason);
                }
            }
            if wave.values().any(|standing| *standing == Standing::UnderWay) {
                return Place::Later;
            }
        }
        Place::Now
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
    pub(super) fn place(&self, group: &Group, key: &FunctionKey) -> Place<'_> {
        self.groups.get(group).map_or(Place::Now, |rollout| rollout.place(key))
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
    pub(super) fn forgive(&mut self) -> BTreeSet<Scope> {
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

    pub(super) fn waiting(&self, scope: &Scope) -> Vec<FunctionKey> {
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
