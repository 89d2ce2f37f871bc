//! Somebody who sets back what we set: once is a slip, again and again is another controller, which is not fought.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::names::{FunctionName, PolicyArn, RoleKey, Time};

/// So often within [`WITHIN`] is again and again.
const OFTEN: usize = 3;
/// The time in which it is counted, and for which nothing is done about it afterwards.
const WITHIN: Duration = Duration::from_secs(60 * 60);
/// Two times this close together are one set-back, told by the records of two regions: each has the wall clock of its own store,
/// and is stored anew when that clock is set by half of this.
const SAME: Duration = Duration::from_secs(10);

/// What is set back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Thing {
    /// The network of a function.
    Network(FunctionName),
    /// A policy on a role.
    Policy(RoleKey, PolicyArn),
}

/// When what was set back.
#[derive(Clone, Debug, Default)]
pub(super) struct SetBacks(BTreeMap<Thing, Vec<Time>>);

impl SetBacks {
    pub(super) fn note(&mut self, thing: Thing, now: Time) {
        let times = self.0.entry(thing).or_default();
        times.retain(|at| now.since(*at) < WITHIN);
        times.push(now);
    }

    /// Forgets what no longer counts.
    pub(super) fn expire(&mut self, now: Time) {
        self.0.retain(|_, times| times.last().is_some_and(|last| now.since(*last) < WITHIN));
    }

    /// Until when a thing is left alone, since it was set back again and again.
    pub(super) fn left_alone(&self, thing: &Thing, now: Time) -> Option<Time> {
        let times = self.0.get(thing).filter(|times| times.len() >= OFTEN)?;
        times.last().map(|last| *last + WITHIN).filter(|until| now < *until)
    }

    /// What still counts.
    pub(super) fn counting(&self, now: Time) -> impl Iterator<Item = (&Thing, Vec<Time>)> {
        let of = move |times: &[Time]| times.iter().copied().filter(|at| now.since(*at) < WITHIN).collect::<Vec<_>>();
        self.0.iter().map(move |(thing, times)| (thing, of(times))).filter(|(_, times)| !times.is_empty())
    }

    /// Adds what a process before this one saw. The records of several regions tell of the same role, each in the time of
    /// its own store: what is this close together is the same.
    pub(super) fn recall(&mut self, thing: Thing, times: impl Iterator<Item = Time>) {
        let known = self.0.entry(thing).or_default();
        known.extend(times);
        known.sort_unstable();
        known.dedup_by(|later, earlier| later.since(*earlier) <= SAME);
    }

    /// The function's entry is another one now: what was set back was set for the old one.
    pub(super) fn forget(&mut self, name: &FunctionName) {
        self.0.remove(&Thing::Network(name.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{AccountId, RoleName};

    fn policy() -> Thing {
        let role =
            RoleKey { account: AccountId::parse("123456789012").unwrap(), name: RoleName::parse("orders").unwrap() };
        Thing::Policy(role, PolicyArn::parse("arn:aws:iam::aws:policy/x").unwrap())
    }

    #[test]
    fn three_times_in_an_hour_is_again_and_again_and_an_hour_later_it_is_over() {
        let minutes = |count: u64| Time(count * 60_000);
        for (noted, asked, expected) in [
            (vec![0, 10], 11, None),
            (vec![0, 10, 20], 21, Some(80)),
            (vec![0, 10, 20], 80, None),
            (vec![0, 10, 60], 61, None),
            (vec![0, 10, 59], 60, Some(119)),
            (vec![0, 1, 2, 70], 71, None),
        ] {
            let mut backs = SetBacks::default();
            noted.iter().for_each(|at| backs.note(policy(), minutes(*at)));
            assert_eq!(backs.left_alone(&policy(), minutes(asked)), expected.map(minutes), "{noted:?} at {asked}");
        }
    }

    #[test]
    fn what_the_records_of_three_regions_tell_of_one_role_counts_once() {
        let mut backs = SetBacks::default();
        for millis in [600_000, 600_001, 604_900] {
            backs.recall(policy(), [Time(millis)].into_iter());
        }
        backs.note(policy(), Time(700_000));
        assert_eq!(backs.left_alone(&policy(), Time(700_001)), None, "twice is not again and again");
        backs.note(policy(), Time(800_000));
        assert!(backs.left_alone(&policy(), Time(800_001)).is_some());
    }
}
