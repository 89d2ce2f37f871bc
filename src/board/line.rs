//! How one function stands.

use std::sync::Arc;
use std::time::Duration;

use super::Found;
use super::history::{History, What};
use crate::apply::Order;
use crate::desired::Entry;
use crate::live::Fault;
use crate::names::{Digest, Network, Time, VpcId};
use crate::plan::{Change, Outcome};

/// How one function stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What the file says of it.
    pub entry: Arc<Entry>,
    /// How its last pass ended.
    pub outcome: Outcome,
    /// Since when it has been in the state that this means.
    pub since: Time,
    /// When it is looked at again, beside the sweeps.
    pub next: Option<Time>,
    /// What differs.
    pub change: Option<Arc<Change>>,
    /// What it has, as far as that was seen.
    pub live: Option<Live>,
    /// What is doubtful about its entry, in sentences.
    pub warnings: Arc<[String]>,
    /// The digest of the file by which it was last looked at; none before.
    pub attempted: Option<Digest>,
    /// The digest of the file by which it was last found in sync; none before.
    pub applied: Option<Digest>,
    /// The last change that this process made for it.
    pub last_change: Option<Arc<Made>>,
    /// What happened to it.
    pub history: History,
}

/// What a function has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// The VPC that it is in.
    pub vpc: Option<VpcId>,
    /// Its subnets and groups.
    pub network: Arc<Network>,
}

/// A change that AWS has accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// When.
    pub at: Time,
    /// How long AWS took.
    pub took: Duration,
    /// What was done, and why.
    pub order: Order,
}

impl Line {
    /// A function that nobody has looked at yet.
    pub(super) fn unread(entry: Arc<Entry>, now: Time) -> Self {
        Self {
            entry,
            outcome: Outcome::unknown(&Fault::Unread),
            since: now,
            next: None,
            change: None,
            live: None,
            warnings: Arc::default(),
            attempted: None,
            applied: None,
            last_change: None,
            history: History::default(),
        }
    }

    /// Whether it is known how it stands.
    pub fn is_known(&self) -> bool {
        self.attempted.is_some()
    }

    /// A file with this digest says this of it.
    pub(super) fn listed(&mut self, entry: &Arc<Entry>, digest: &Digest, now: Time) {
        if !self.entry.asks_the_same(entry) {
            self.history.add(What::Edited(digest.clone()), now);
        } else if let Some(attempted) = self.attempted.replace(digest.clone()) {
            // It stands as it did: nothing else is asked for.
            self.applied =
                self.applied.take().map(|applied| if applied == attempted { digest.clone() } else { applied });
        } else {
            self.attempted = None;
        }
        self.entry = Arc::clone(entry);
    }

    /// Whether all of this is on the line already.
    pub(super) fn says(&self, entry: &Arc<Entry>, found: &Found<'_>) -> bool {
        let Found { outcome, change, next, live, digest } = found;
        let applied = *outcome != Outcome::InSync || self.applied.as_ref() == Some(digest);
        (&self.outcome, &self.change, &self.next, self.attempted.as_ref()) == (outcome, change, next, Some(digest))
            && applied
            && (Arc::ptr_eq(&self.entry, entry) || self.entry == *entry)
            && self.has(*live)
    }

    fn has(&self, live: Option<(Option<&VpcId>, &Arc<Network>)>) -> bool {
        self.live.as_ref().map(|live| (live.vpc.as_ref(), &live.network)) == live
    }

    /// It is known how it stands.
    pub(super) fn concluded(&mut self, entry: &Arc<Entry>, found: Found<'_>, now: Time) {
        if !self.has(found.live) {
            self.live = found.live.map(|(vpc, network)| Live { vpc: vpc.cloned(), network: Arc::clone(network) });
        }
        let Found { outcome, change, next, live: _, digest } = found;
        let reason = |outcome: &Outcome| outcome.why().map(|why| why.reason);
        let (state, known) = (outcome.state(), self.is_known());
        if !known || (state, reason(&outcome)) != (self.outcome.state(), reason(&self.outcome)) {
            self.history.add(What::became(&outcome), now);
        }
        if !known || state != self.outcome.state() {
            self.since = now;
        }
        if outcome == Outcome::InSync {
            self.applied = Some(digest.clone());
        }
        (self.entry, self.outcome, self.change, self.next) = (Arc::clone(entry), outcome, change, next);
        self.attempted = Some(digest);
    }
}
