//! What a person approved, in one scope.
//!
//! An id is the digest of a plan's changes, and tells nothing of them. So the changes of the plans that were to be seen
//! lately are kept: whoever looks at one and types its id agrees to them, though some may have come about meanwhile. Each
//! change is agreed to for itself, from the same network to the same, with the same policies; what has become another
//! change is not.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::names::{Digest, FunctionName, Mark, Network, Time};
use crate::plan::record::{AgreedRecord, ApprovalsRecord, ShownRecord};
use crate::plan::{Change, NetworkChange};

/// So many plans are kept, and so many changes in all of them; beyond that, those go that were to be seen most shortly.
const SHOWN: usize = 32;
const CHANGES: usize = 50_000;
/// So many of them are kept in the record.
const RECORDED: usize = 8;
const RECORDED_CHANGES: usize = 2_000;
/// By so many ids a plan can be approved: its own, and those of the plans of all scopes that it was a part of.
const IDS: usize = 8;
/// So many spent ids are kept beyond those that the settings still have.
const SPENT: usize = 500;

/// What was approved, and what could be.
#[derive(Clone, Debug, Default)]
pub(super) struct Approvals {
    agreed: BTreeMap<FunctionName, Agreed>,
    /// The number of the last approval among the entries of the scope.
    entry: u64,
    /// The latest last: that is the one to be seen now.
    shown: Vec<Shown>,
    /// The functions of which it is not known now whether they differ; none before anything was to be seen.
    unread: Option<BTreeSet<FunctionName>>,
    spent: Vec<Digest>,
    /// Ids of the settings of which nobody knows whether they are spent; none as long as no record was looked for.
    doubted: Option<Vec<String>>,
}

/// A change, as far as agreeing to it goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Agreed {
    network: Option<Mark>,
    policies: Box<[Mark]>,
}

/// A plan that was to be seen.
#[derive(Clone, Debug)]
struct Shown {
    /// Its own id first.
    ids: Vec<Digest>,
    changes: BTreeMap<FunctionName, Agreed>,
    /// Since when it is to be seen, while it is.
    since: Time,
    /// How long it was to be seen before.
    seen: Duration,
}

impl Agreed {
    fn of(change: &Change, network: impl FnOnce(&NetworkChange) -> Mark) -> Self {
        let policies = change.attach.iter().chain(&change.attach_if_refused);
        let policies = policies.map(|attach| Mark::of(&(attach.role.as_str(), attach.policy.as_str())));
        Self { network: change.network.as_ref().map(network), policies: policies.collect() }
    }

    /// Whether agreeing to this agrees to `now` as well: the same network from the same before, no further policy.
    fn covers(&self, now: &Self) -> bool {
        let network = now.network.is_none() || self.network == now.network;
        network && now.policies.iter().all(|policy| self.policies.contains(policy))
    }
}

/// Changes as a record has them: what is the same stands once.
fn record_of(changes: &BTreeMap<FunctionName, Agreed>) -> Vec<AgreedRecord> {
    let mut same: BTreeMap<&Agreed, Vec<FunctionName>> = BTreeMap::new();
    for (name, agreed) in changes {
        same.entry(agreed).or_default().push(name.clone());
    }
    let record = |(Agreed { network, policies }, functions): (&Agreed, _)| AgreedRecord {
        network: *network,
        policies: policies.to_vec(),
        functions,
    };
    same.into_iter().map(record).collect()
}

fn recalled(records: Vec<AgreedRecord>) -> impl Iterator<Item = (FunctionName, Agreed)> {
    records.into_iter().flat_map(|AgreedRecord { network, policies, functions }| {
        let agreed = Agreed { network, policies: policies.into() };
        functions.into_iter().map(move |name| (name, agreed.clone()))
    })
}

impl Approvals {
    /// Whether a person has agreed to this change.
    pub(super) fn agree_to(&self, change: &Change) -> bool {
        let agreed = self.agreed.get(&change.key.name);
        agreed.is_some_and(|agreed| agreed.covers(&Agreed::of(change, Mark::of)))
    }

    /// The number of the last approval.
    pub(super) fn entry(&self) -> u64 {
        self.entry
    }

    /// What a person agreed to has come about, or is nothing to agree to any more.
    pub(super) fn settled(&mut self, name: &FunctionName) {
        self.agreed.remove(name);
    }

    /// The id of the plan that is to be seen now; none where nothing differs.
    pub(super) fn id(&self) -> Option<&Digest> {
        self.shown.last().filter(|shown| !shown.changes.is_empty())?.ids.first()
    }

    /// This plan is to be seen now, and these functions could not be read for it.
    pub(super) fn shows(&mut self, id: Digest, changes: &[&Change], unread: BTreeSet<FunctionName>, now: Time) {
        self.unread = Some(unread);
        if let Some(shown) = self.shown.last_mut() {
            if shown.ids.first() == Some(&id) {
                return;
            }
            shown.seen += now.since(shown.since);
        }
        let before = self.shown.iter().position(|shown| shown.ids.first() == Some(&id));
        let shown = match before {
            Some(place) => Shown { since: now, ..self.shown.remove(place) },
            None => Shown { ids: vec![id], changes: marked(changes), since: now, seen: Duration::ZERO },
        };
        self.shown.push(shown);
        self.forget_what_was_hardly_seen();
    }

    fn forget_what_was_hardly_seen(&mut self) {
        let changes = |shown: &[Shown]| shown.iter().map(|shown| shown.changes.len()).sum::<usize>();
        while self.shown.len() > SHOWN || (self.shown.len() > 1 && changes(&self.shown) > CHANGES) {
            let others = self.shown.len() - 1;
            let least = self.shown[..others].iter().enumerate().min_by_key(|(_, shown)| shown.seen);
            let Some(place) = least.map(|(place, _)| place) else { return };
            self.shown.remove(place);
        }
    }

    /// The plan with this id is a part of the one of all scopes that has the other.
    pub(super) fn also_shown_as(&mut self, id: &Digest, all: &Digest) {
        let means = |shown: &&mut Shown| !shown.changes.is_empty() && shown.ids.first() == Some(id);
        let Some(shown) = self.shown.iter_mut().rev().find(means) else { return };
        if !shown.ids.contains(all) {
            if shown.ids.len() == IDS {
                // Not its own, which is the first.
                shown.ids.remove(1);
            }
            shown.ids.push(all.clone());
        }
    }

    /// Whether an id of the settings may still be of use.
    pub(super) fn is_open(&self, id: &str, before: &[String]) -> bool {
        let doubted = self.doubted.as_deref().unwrap_or(before);
        !doubted.iter().any(|doubted| doubted == id) && !self.spent.iter().any(|spent| spent.as_str().starts_with(id))
    }

    /// Agrees to what is left of the plans that these ids mean. Returns the ids that are spent by that. A plan with a
    /// function that could not be read waits: what is left of it is not known.
    pub(super) fn approve(&mut self, approved: &[String], before: &[String], entry: u64) -> Vec<Digest> {
        let mut spent = Vec::new();
        let Some(unread) = &self.unread else { return spent };
        for id in approved {
            if !self.is_open(id, before) {
                continue;
            }
            let means = |shown: &&Shown| shown.ids.iter().any(|of| of.as_str().starts_with(id.as_str()));
            let (Some(shown), Some(now)) = (self.shown.iter().rev().find(means), self.shown.last()) else { continue };
            if shown.changes.keys().any(|name| unread.contains(name)) {
                continue;
            }
            for (name, change) in &now.changes {
                if let Some(agreed) = shown.changes.get(name).filter(|agreed| agreed.covers(change)) {
                    self.agreed.insert(name.clone(), agreed.clone());
                }
            }
            spent.extend(shown.ids.iter().cloned());
        }
        if !spent.is_empty() {
            self.entry = entry;
            self.spend(&spent);
            self.forget_what_nobody_has(approved);
        }
        spent
    }

    /// These ids are spent for good.
    fn spend(&mut self, ids: &[Digest]) {
        for id in ids {
            if !self.spent.contains(id) {
                self.spent.push(id.clone());
            }
        }
    }

    /// Of very many spent ids, the oldest go that are not in the settings any more.
    fn forget_what_nobody_has(&mut self, approved: &[String]) {
        let mut more = self.spent.len().saturating_sub(SPENT);
        self.spent.retain(|id| {
            let goes = more > 0 && !approved.iter().any(|typed| id.as_str().starts_with(typed.as_str()));
            more -= usize::from(goes);
            !goes
        });
    }

    pub(super) fn doubted(&self) -> Option<&[String]> {
        self.doubted.as_deref()
    }

    /// No record says which ids are spent: of those that were in the settings before, nobody knows.
    pub(super) fn doubt(&mut self, before: &[String]) {
        self.doubted.get_or_insert_with(|| before.to_vec());
    }

    /// These ids are in the settings now: one that was taken out is not doubted any more.
    pub(super) fn keep_doubts(&mut self, approved: &[String]) {
        self.doubted.iter_mut().for_each(|doubted| doubted.retain(|id| approved.contains(id)));
    }

    pub(super) fn record(&self, before: &[String], now: Time) -> ApprovalsRecord {
        let mut seen: Vec<(Duration, &Shown)> = self.shown.iter().map(|shown| (shown.seen, shown)).collect();
        if let Some((seen, shown)) = seen.last_mut() {
            *seen += now.since(shown.since);
        }
        ApprovalsRecord {
            spent: self.spent.clone(),
            doubted: self.doubted.clone().unwrap_or_else(|| before.to_vec()),
            agreed: record_of(&self.agreed),
            shown: recorded(seen),
        }
    }

    /// Adds what a record says.
    pub(super) fn recall(&mut self, record: ApprovalsRecord, now: Time) {
        let ApprovalsRecord { spent, doubted, agreed, shown } = record;
        self.doubted = Some(doubted);
        self.spend(&spent);
        self.agreed.extend(recalled(agreed));
        let shown = shown.into_iter().filter(|shown| !shown.ids.is_empty()).map(|shown| Shown {
            ids: shown.ids,
            changes: recalled(shown.changes).collect(),
            since: now,
            seen: Duration::from_secs(shown.seconds),
        });
        let known = std::mem::take(&mut self.shown);
        self.shown = shown.filter(|it| !known.iter().any(|known| known.ids.first() == it.ids.first())).collect();
        self.shown.extend(known);
        self.forget_what_was_hardly_seen();
    }
}

/// The plans that are kept in the record: those that were to be seen longest, in the order in which they were.
fn recorded(mut seen: Vec<(Duration, &Shown)>) -> Vec<ShownRecord> {
    seen.retain(|(_, shown)| !shown.changes.is_empty());
    let mut longest: Vec<usize> = (0..seen.len()).collect();
    longest.sort_by_key(|place| std::cmp::Reverse(seen[*place].0));
    let mut room = RECORDED_CHANGES;
    longest.truncate(RECORDED);
    longest.retain(|place| {
        let takes = seen[*place].1.changes.len();
        let fits = takes <= room;
        room -= if fits { takes } else { 0 };
        fits
    });
    longest.sort_unstable();
    let record = |place: usize| {
        let (seconds, shown) = seen[place];
        ShownRecord { ids: shown.ids.clone(), seconds: seconds.as_secs(), changes: record_of(&shown.changes) }
    };
    longest.into_iter().map(record).collect()
}

/// The changes by function. Thousands have both networks in common, which are marked once.
fn marked(changes: &[&Change]) -> BTreeMap<FunctionName, Agreed> {
    let mut marks: HashMap<[*const Network; 2], Mark> = HashMap::new();
    let mut mark = |network: &NetworkChange| {
        let address = [Arc::as_ptr(&network.from), Arc::as_ptr(&network.to)];
        *marks.entry(address).or_insert_with(|| Mark::of(network))
    };
    changes.iter().map(|change| (change.key.name.clone(), Agreed::of(change, &mut mark))).collect()
}
