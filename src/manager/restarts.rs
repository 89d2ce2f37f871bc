//! Scopes that failed, and when they begin anew.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::names::{ScopeKey, Time};

/// A scope that fails for the first time begins anew after this time; it doubles each time up to the longest.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// A scope that has run for this long fails for the first time again.
const FORGOTTEN: Duration = Duration::from_secs(10 * 60);

/// Scopes that failed lately.
#[derive(Clone, Debug, Default)]
pub(super) struct Restarts(BTreeMap<ScopeKey, Failed>);

#[derive(Clone, Copy, Debug)]
struct Failed {
    /// How often in a row.
    times: u32,
    last: Time,
    /// When it begins anew; none where it has.
    due: Option<Time>,
}

impl Restarts {
    /// A scope has failed. Returns after how long it begins anew.
    pub(super) fn failed(&mut self, scope: &ScopeKey, now: Time) -> Duration {
        let before = self.0.get(scope).filter(|failed| now.since(failed.last) < FORGOTTEN);
        let times = before.map_or(0, |failed| failed.times);
        let after = FIRST.saturating_mul(2_u32.saturating_pow(times)).min(LONGEST);
        self.0.insert(scope.clone(), Failed { times: times.saturating_add(1), last: now, due: Some(now + after) });
        after
    }

    /// Whether a scope has failed and is yet to begin anew.
    pub(super) fn is_due_later(&self, scope: &ScopeKey) -> bool {
        self.0.get(scope).is_some_and(|failed| failed.due.is_some())
    }

    /// When the next one begins anew.
    pub(super) fn next(&self) -> Option<Time> {
        self.0.values().filter_map(|failed| failed.due).min()
    }

    /// Those that begin anew now.
    pub(super) fn due(&mut self, now: Time) -> Vec<ScopeKey> {
        let due = self
            .0
            .iter_mut()
            .filter_map(|(scope, failed)| failed.due.take_if(|due| *due <= now).map(|_| scope.clone()));
        due.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{AccountId, Region};

    #[test]
    fn a_scope_that_fails_again_and_again_waits_longer_each_time_until_it_has_run_for_a_while() {
        let scope = ScopeKey {
            account: AccountId::parse("123456789012").unwrap(),
            region: Region::parse("eu-west-1").unwrap(),
        };
        let mut restarts = Restarts::default();
        let mut now = Time(0);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(restarts.failed(&scope, now), Duration::from_secs(seconds));
            assert!(restarts.is_due_later(&scope) && restarts.due(now).is_empty());
            now = restarts.next().unwrap();
            assert_eq!(restarts.due(now), std::slice::from_ref(&scope));
            assert!(!restarts.is_due_later(&scope) && restarts.next().is_none());
        }
        assert_eq!(restarts.failed(&scope, now + FORGOTTEN + FORGOTTEN), FIRST);
    }
}
