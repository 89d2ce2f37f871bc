//! What is carried from one process to the next: into a scope's record, and out of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::{Memory, Sent};
use crate::desired::{DesiredState, Entry, Intent, Want};
use crate::names::{Digest, FunctionKey, FunctionName, Mark, Network, RoleKey, ScopeKey, Time};
use crate::plan::record::{AttachedRecord, Fate, MeantRecord, Moment, SentFunction, SentRecord, SetBackRecord};
use crate::plan::setbacks::Thing;
use crate::plan::{Cause, ScopeRecord};

/// What was done longer ago than this says nothing any more about who sets it back.
const LATELY: Duration = Duration::from_secs(60 * 60);
/// The words of so many entries are kept, and for each so many networks.
const WORDS: usize = 1_000;
const NETWORKS: usize = 8;

/// What a process before this one was in sync with, in one scope.
#[derive(Clone, Debug, Default)]
pub(super) struct Recalled {
    /// The digest of the file by which all functions were in sync but those.
    synced_by: Option<Digest>,
    /// The functions that were not, and why they differed.
    unsynced: BTreeMap<FunctionName, Option<Cause>>,
    /// What words meant, as far as functions were in sync with them.
    meant: BTreeMap<Mark, Vec<Mark>>,
}

/// What an entry's words are, whatever its VPC is called.
fn words(Intent { name: _, vpc, subnets, security_groups, ipv6, egress }: &Intent) -> Mark {
    Mark::of(&(vpc, subnets, security_groups, ipv6, egress))
}

impl Recalled {
    /// Why a function differs that this process has not seen in sync yet. One that has a network which its entry's words
    /// meant was in sync: so they mean another one now, and nobody has edited them.
    pub(super) fn cause(&self, file: &Digest, entry: &Entry, from: &Network) -> Cause {
        let same_file = self.synced_by.as_ref() == Some(file);
        let meant = match &entry.terms.want {
            Want::Attached(intent) => self.meant.get(&words(intent)).is_some_and(|all| all.contains(&Mark::of(from))),
            Want::Detached | Want::Disputed(_) => false,
        };
        match self.unsynced.get(&entry.key.name) {
            Some(Some(cause)) if same_file => *cause,
            _ if meant => Cause::Network,
            // A function that a pattern means may be a new one.
            None if same_file && entry.pattern.is_none() => Cause::Live,
            _ => Cause::File,
        }
    }
}

impl Memory {
    /// Whether it is known what a process before this one was in sync with.
    pub(in crate::plan) fn remembers(&self) -> bool {
        self.recalled.is_some()
    }

    /// Whether a function was seen in sync by this process at all.
    pub(in crate::plan) fn ever_agreed(&self, key: &FunctionKey) -> bool {
        self.functions.get(&key.name).is_some_and(|function| function.agreed.is_some())
    }

    /// Whether a process before this one was in sync with a function by the file in force, and this one was never.
    pub fn left_in_sync(&self, desired: &DesiredState, key: &FunctionKey) -> bool {
        let left =
            |it: &Recalled| it.synced_by.as_ref() == Some(&desired.digest) && !it.unsynced.contains_key(&key.name);
        !self.ever_agreed(key) && self.recalled.as_ref().is_some_and(left)
    }

    /// Why a function differs from its entry.
    pub(in crate::plan) fn cause(&self, file: &Digest, entry: &Entry, from: &Network, to: &Network) -> Cause {
        match self.functions.get(&entry.key.name).and_then(|function| function.agreed.as_ref()) {
            Some((seen, _)) if !seen.asks_the_same(entry) => Cause::File,
            Some((_, network)) if **network != *to => Cause::Network,
            Some(_) => Cause::Live,
            None => self.recalled.as_ref().map_or(Cause::File, |it| it.cause(file, entry, from)),
        }
    }

    /// What the record of a scope says; none where there is none that could be used.
    pub fn recall(&mut self, scope: &ScopeKey, record: Option<ScopeRecord>, now: Time) {
        let Some(record) = record else { return self.guard.recall(None, now) };
        let ScopeRecord { hour, approvals, set_backs, sent, attached, unsynced, synced_by, meant, .. } = record;
        self.guard.recall(Some((hour, approvals)), now);
        let key = |name: FunctionName| FunctionKey { scope: scope.clone(), name };
        let role = |name| RoleKey { account: scope.account.clone(), name };
        for set_back in set_backs {
            let (thing, at) = match set_back {
                SetBackRecord::Network { function, at } => (Thing::Network(function), at),
                SetBackRecord::Policy { role: name, policy, at } => (Thing::Policy(role(name), policy), at),
            };
            self.set_backs.recall(thing, at.into_iter().map(|Moment(at)| at.min(now)));
        }
        for SentRecord { to, functions } in sent {
            let to = Arc::new(to);
            for SentFunction { name, at, fate } in functions {
                let sent = || Box::new(Sent { to: Arc::clone(&to), at: at.min(now), fate, refused: None });
                self.function(&key(name)).sent.get_or_insert_with(sent);
            }
        }
        for AttachedRecord { role: name, policy, at, set_back } in attached {
            self.roles.recall(role(name), policy, at.min(now), set_back);
        }
        let unsynced = unsynced.into_iter().flat_map(|it| it.functions.into_iter().map(move |name| (name, it.cause)));
        let recalled = Recalled {
            synced_by,
            unsynced: unsynced.collect(),
            meant: meant.into_iter().map(|MeantRecord { words, networks }| (words, networks)).collect(),
        };
        self.recalled = Some(recalled);
    }

    /// What belongs into the record of a scope, as far as it is known here.
    pub fn record(&self, scope: &ScopeKey, desired: &DesiredState, now: Time) -> ScopeRecord {
        let (hour, approvals) = self.guard.record(now);
        let lately = |at: Time| now.since(at) < LATELY;
        let set_backs = self.set_backs.counting(now).filter_map(|(thing, at)| {
            let at = at.into_iter().map(Moment).collect();
            match thing {
                Thing::Network(name) => Some(SetBackRecord::Network { function: name.clone(), at }),
                Thing::Policy(role, policy) if role.account == scope.account => {
                    Some(SetBackRecord::Policy { role: role.name.clone(), policy: policy.clone(), at })
                }
                Thing::Policy(..) => None,
            }
        });
        let mut sent: BTreeMap<&Network, Vec<SentFunction>> = BTreeMap::new();
        for entry in &desired.entries {
            let Some(function) = self.functions.get(&entry.key.name) else { continue };
            if let Some(Sent { to, at, fate, refused: _ }) = function.sent.as_deref()
                && (*fate == Fate::Open || lately(*at))
            {
                let function = SentFunction { name: entry.key.name.clone(), at: *at, fate: *fate };
                sent.entry(to).or_default().push(function);
            }
        }
        let sent = sent.into_iter().map(|(to, functions)| SentRecord { to: to.clone(), functions });
        let of_account = self.roles.iter().filter(|(role, _)| role.account == scope.account);
        let attached = of_account.flat_map(|(role, known)| known.accepted().map(move |accepted| (role, accepted)));
        let attached = attached.filter(|(_, (_, at, _))| lately(*at));
        let attached = attached.map(|(role, (policy, at, set_back))| AttachedRecord {
            role: role.name.clone(),
            policy: policy.clone(),
            at,
            set_back,
        });
        ScopeRecord {
            hour,
            approvals,
            set_backs: set_backs.collect(),
            sent: sent.collect(),
            attached: attached.collect(),
            meant: self.meant(desired),
            ..ScopeRecord::new(scope)
        }
    }

    /// What the words of a scope's entries mean, as far as functions were in sync with them: in this process, and of
    /// functions that were not yet in this process, in those before.
    fn meant(&self, desired: &DesiredState) -> Vec<MeantRecord> {
        let mut of_words: HashMap<*const Intent, Mark> = HashMap::new();
        let mut of_networks: HashMap<*const Network, Mark> = HashMap::new();
        let mut meant: BTreeMap<Mark, BTreeSet<Mark>> = BTreeMap::new();
        for entry in &desired.entries {
            let Want::Attached(intent) = &entry.terms.want else { continue };
            let words = *of_words.entry(Arc::as_ptr(intent)).or_insert_with(|| words(intent));
            let known = self.functions.get(&entry.key.name).and_then(|function| function.agreed.as_ref());
            match known {
                Some((seen, network)) if seen.terms.want == entry.terms.want => {
                    let network = *of_networks.entry(Arc::as_ptr(network)).or_insert_with(|| Mark::of(&**network));
                    meant.entry(words).or_default().insert(network);
                }
                _ => {
                    let before = self.recalled.as_ref().and_then(|recalled| recalled.meant.get(&words));
                    if let Some(before) = before {
                        meant.entry(words).or_default().extend(before);
                    }
                }
            }
        }
        let record = |(words, networks): (Mark, BTreeSet<Mark>)| MeantRecord {
            words,
            networks: networks.into_iter().take(NETWORKS).collect(),
        };
        meant.into_iter().take(WORDS).map(record).collect()
    }
}
