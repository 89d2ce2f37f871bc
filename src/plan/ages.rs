//! How long counts what could not be read again.
//!
//! A failed read makes nothing unknown that was known a minute ago: it makes it older. What is older than a few resyncs is
//! not known any more, and before that nothing is changed on the ground of it without a fresh look.

use std::time::Duration;

use super::{Why, World};
use crate::cloud::{Function, Identity};
use crate::desired::Entry;
use crate::live::{Fault, Old, OldFacts, RoleFacts, Seen, VpcFacts};
use crate::names::{FunctionName, RoleKey, Time, VpcId};

/// After so many resyncs in which something could not be read, it is not known any more.
pub(super) const RESYNCS: u32 = 3;

impl<'a> World<'a> {
    /// Whether what was read at this time still counts. Sweeps that take long come to their end less often.
    pub(super) fn still_counts(&self, read: Time) -> bool {
        let took = self.facts.swept.as_ref().map_or(Duration::ZERO, |swept| swept.took);
        self.now.since(read) <= self.limits.max_age + took * RESYNCS
    }

    /// Whose credentials are used.
    pub(super) fn identity(&self) -> Seen<&'a Identity> {
        match &self.facts.swept {
            Some(swept) => self.lately(&swept.identity, swept.old.identity.as_ref()),
            None => Seen::Unknown(Fault::Unread),
        }
    }

    /// What is known of a function.
    pub(super) fn function(&self, name: &FunctionName) -> Seen<&'a Function> {
        let old = self.facts.swept.as_ref().and_then(|swept| swept.old.functions.get(name));
        self.lately(self.facts.function(name), old)
    }

    /// What is known of a VPC.
    pub(super) fn vpc(&self, id: &VpcId) -> Seen<&'a VpcFacts> {
        let old = self.facts.swept.as_ref().and_then(|swept| swept.old.vpcs.get(id));
        self.lately(self.facts.vpc(id), old)
    }

    /// What is known of the role of a function.
    pub(super) fn role(&self, role: &RoleKey) -> Seen<&'a RoleFacts> {
        match (self.facts.role(role), self.facts.old_role(role)) {
            (Seen::Present(facts), Some(fault)) if !self.still_counts(facts.at) => Seen::Unknown(fault.clone()),
            (seen, _) => seen.as_ref(),
        }
    }

    /// What is older than the last try to read it, of all that a function's comparison is made from, in sentences.
    pub(super) fn aged(&self, entry: &Entry, function: &Function) -> Vec<String> {
        let Some(OldFacts { functions, vpcs, .. }) = self.facts.swept.as_ref().map(|swept| &swept.old) else {
            return Vec::new();
        };
        let told = |what: &str, at: Time, fault: &Fault| {
            let (at, reason) = (self.wall.shows(at), Why::unread(fault).reason.name());
            if *fault == Fault::NotListed {
                return format!(
                    "{what} was last read at {at}; the last listing does not have it, and the next one decides"
                );
            }
            format!("{what} was last read at {at}, and could not be since: {reason}")
        };
        let vpc = entry.terms.want.vpc();
        let itself = functions.get(&entry.key.name).map(|old| told("it", old.at, &old.fault));
        let network = vpc.and_then(|vpc| vpcs.get(vpc).map(|old| told(vpc.as_str(), old.at, &old.fault)));
        let role = function.role.key();
        let role = match (self.facts.role(role), self.facts.old_role(role)) {
            (Seen::Present(facts), Some(fault)) if vpc.is_some() => {
                Some(told(&format!("its role {}", role.name), facts.at, fault))
            }
            _ => None,
        };
        [itself, network, role].into_iter().flatten().collect()
    }

    fn lately<T>(&self, seen: &'a Seen<T>, old: Option<&Old>) -> Seen<&'a T> {
        match old.filter(|old| !self.still_counts(old.at)) {
            Some(old) => Seen::Unknown(old.fault.clone()),
            None => seen.as_ref(),
        }
    }
}
