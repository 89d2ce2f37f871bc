//! Leads: of the functions that need the same new pair, one brings about its network interface and the others wait.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::names::{FunctionName, Network, Pair, Time};

/// A reservation lapses if no call follows it for this long.
const RESERVED: Duration = Duration::from_secs(60);
/// A leader whom Lambda refuses for its role's sake is replaced after this long: others may have roles that suffice.
const PATIENCE: Duration = Duration::from_secs(30);
/// A leader whose update has not ended after this long is replaced. The first interface of a pair takes some minutes.
const LONGEST: Duration = Duration::from_secs(10 * 60);
/// A pair that this process saw come about counts as there for this long; sweeps tell afterwards.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// Who leads, and which interfaces came about lately.
#[derive(Clone, Debug, Default)]
pub(super) struct Leads {
    leads: BTreeMap<Pair, Lead>,
    made: BTreeMap<Pair, Time>,
}

#[derive(Clone, Debug)]
struct Lead {
    who: FunctionName,
    /// When somebody else may take the lead; none while a call is being made, which has its own deadline.
    until: Option<Time>,
}

impl Lead {
    fn has_lapsed(&self, now: Time) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl Leads {
    /// Who else leads one of these pairs.
    pub(super) fn leader(&self, name: &FunctionName, pairs: &[Pair], now: Time) -> Option<&FunctionName> {
        let of = |pair: &Pair| self.leads.get(pair);
        let others = pairs.iter().filter_map(of).filter(|lead| lead.who != *name);
        others.filter(|lead| !lead.has_lapsed(now)).map(|lead| &lead.who).next()
    }

    /// Whether this process lately saw the interface of this pair come about.
    pub(super) fn made(&self, pair: &Pair, now: Time) -> bool {
        let at = self.made.get(pair);
        at.is_some_and(|at| now.since(*at) < REMEMBERED)
    }

    /// A function takes the lead of what nobody leads, to send its update soon.
    pub(super) fn reserve(&mut self, name: &FunctionName, to: &Network, now: Time) {
        self.take(to, &Lead { who: name.clone(), until: Some(now + RESERVED) }, now);
    }

    /// Its update is being sent: it was its turn.
    pub(super) fn sending(&mut self, name: &FunctionName, to: &Network) {
        let lead = Lead { who: name.clone(), until: None };
        self.leads.extend(to.pairs().map(|pair| (pair, lead.clone())));
    }

    /// Its update was accepted.
    pub(super) fn accepted(&mut self, name: &FunctionName, now: Time) {
        self.lasts_until(name, Some(now + LONGEST));
    }

    /// Its update is refused since then, for a reason that may pass.
    pub(super) fn hesitates(&mut self, name: &FunctionName, since: Time) {
        self.lasts_until(name, Some(since + PATIENCE));
    }

    /// An update to this network was found under way, begun at that moment.
    pub(super) fn found_under_way(&mut self, name: &FunctionName, to: &Network, begun: Time, now: Time) {
        self.take(to, &Lead { who: name.clone(), until: Some(begun + LONGEST) }, now);
    }

    /// The interfaces of a network are there.
    pub(super) fn arrived(&mut self, network: &Network, now: Time) {
        self.made.retain(|_, at| now.since(*at) < REMEMBERED);
        self.made.extend(network.pairs().map(|pair| (pair, now)));
    }

    /// A function leads nothing any more. Returns whether it did.
    pub(super) fn ends(&mut self, name: &FunctionName) -> bool {
        let before = self.leads.len();
        self.leads.retain(|_, lead| lead.who != *name);
        self.leads.len() < before
    }

    /// Forgets the leads that have lapsed. Returns whether there were any.
    pub(super) fn expire(&mut self, now: Time) -> bool {
        let before = self.leads.len();
        self.leads.retain(|_, lead| !lead.has_lapsed(now));
        self.leads.len() < before
    }

    pub(super) fn next_expiry(&self) -> Option<Time> {
        self.leads.values().filter_map(|lead| lead.until).min()
    }

    fn take(&mut self, to: &Network, lead: &Lead, now: Time) {
        for pair in to.pairs() {
            let of_pair = self.leads.entry(pair).or_insert_with(|| lead.clone());
            if of_pair.has_lapsed(now) {
                *of_pair = lead.clone();
            }
        }
    }

    fn lasts_until(&mut self, name: &FunctionName, until: Option<Time>) {
        self.leads.values_mut().filter(|lead| lead.who == *name).for_each(|lead| lead.until = until);
    }
}
