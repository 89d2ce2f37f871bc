//! Somebody else who works on the same account: a deployment that sets a function back, a script that detaches a policy.
//!
//! A meddler comes at fixed times, acts only where something is not as it wants it, and is refused like anybody else.

use std::time::Duration;

use super::{Aws, Due, UpdateFunctionConfiguration, VpcConfigRequest};
use crate::names::{FunctionKey, RoleKey, Time};

/// Somebody who comes again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meddler {
    /// From one turn to the next, and from the beginning to the first; at least a millisecond.
    pub every: Duration,
    /// How often it gets its way before it stops; without end if left out.
    pub times: Option<u32>,
    /// What it wants.
    pub wants: Meddling,
}

/// What a meddler wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meddling {
    /// A function has this network. A busy function is left to the next turn.
    Network(FunctionKey, VpcConfigRequest),
    /// A role has no such policy.
    Detached(RoleKey, String),
}

impl Aws {
    /// Adds a meddler, whose first turn is `every` from now.
    pub fn add_meddler(&mut self, meddler: Meddler, now: Time) {
        let turn = now + meddler.every.max(Duration::from_millis(1));
        self.due.insert((turn, Due::Meddler(self.meddlers.len())));
        self.meddlers.push(meddler);
    }

    /// Sends all meddlers away.
    pub fn dismiss_meddlers(&mut self) {
        self.due.retain(|(_, due)| !matches!(due, Due::Meddler(_)));
        self.meddlers.clear();
    }

    /// A meddler's turn.
    pub(super) fn meddle(&mut self, number: usize, now: Time) {
        let Some(Meddler { every, times, wants }) = self.meddlers.get(number).cloned() else { return };
        if times == Some(0) {
            return;
        }
        if self.get_its_way(&wants, now)
            && let Some(Meddler { times: Some(left), .. }) = self.meddlers.get_mut(number)
        {
            *left -= 1;
        }
        self.due.insert((now + every.max(Duration::from_millis(1)), Due::Meddler(number)));
    }

    /// Whether something was changed.
    fn get_its_way(&mut self, wants: &Meddling, now: Time) -> bool {
        match wants {
            Meddling::Network(key, network) => {
                let Some(there) = self.stored(key) else { return false };
                let has = there.configuration.vpc_config.clone().unwrap_or_default();
                if network.is_met_by(&has) {
                    return false;
                }
                let request = UpdateFunctionConfiguration {
                    vpc_config: Some(network.clone()),
                    ..UpdateFunctionConfiguration::default()
                };
                self.update_function_configuration(&key.scope, key.name.as_str(), &request, now).is_ok()
            }
            Meddling::Detached(role, policy) => {
                self.detach_role_policy(&role.account, role.name.as_str(), policy).is_ok()
            }
        }
    }
}
