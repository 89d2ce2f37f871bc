//! The log: one line where something happened, none where nothing did.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::board::Board;
use crate::desired::LoadFailure;
use crate::engine::Notice;
use crate::names::{FunctionKey, Scope};
use crate::plan::{Outcome, Reason, Why, not_loaded};

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Begins to log, to stderr. Without a format: for people on a terminal, JSON otherwise. `RUST_LOG` goes
/// over the level.
pub fn init(format: Option<LogFormat>, level: &str) {
    let terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal { LogFormat::Human } else { LogFormat::Json });
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let done = match format {
        LogFormat::Human => builder.with_ansi(colour).finish().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
    };
    if let Err(error) = done {
        tracing::debug!(%error, "the log had begun already");
    }
}

/// What was logged last, so that the same is not said again.
#[derive(Debug, Default)]
pub(super) struct Log {
    reasons: BTreeMap<FunctionKey, Reason>,
    faults: BTreeMap<Scope, Reason>,
    /// Whether the file cannot be used as it was last read.
    unusable: bool,
    held: BTreeMap<Scope, usize>,
}

impl Log {
    pub(super) fn notice(&mut self, notice: &Notice) {
        match notice {
            Notice::Loaded { digest, functions, patterns, warnings } => {
                self.unusable = false;
                tracing::info!(digest = digest.short(), functions, patterns, "a new desired state is in force");
                for warning in warnings {
                    let place = warning.place().map(|place| place.to_string()).unwrap_or_default();
                    tracing::warn!(place, "{}", warning.message());
                }
            }
            Notice::Confirmed => {
                if std::mem::take(&mut self.unusable) {
                    tracing::info!("the desired state is valid again, and says what is in force");
                }
            }
            Notice::NotLoaded(failure) => {
                self.unusable = true;
                let stays = match **failure {
                    LoadFailure::File(_) => "the desired state cannot be used, the last good one stays in force: ",
                    LoadFailure::Identity(_) => "",
                };
                tracing::error!("{stays}{}", not_loaded(failure));
            }
            Notice::Released { key, network } => {
                self.reasons.remove(key);
                let network = network.as_ref().and_then(|network| serde_json::to_string(network).ok());
                let network = network.unwrap_or_else(|| "not known".to_owned());
                tracing::info!(function = %key, network, "left the file: the function stays as it is and is not looked at any more");
            }
            Notice::Gone(entry) => {
                self.reasons.remove(&entry.key);
                let pattern = entry.pattern.as_ref().map(|pattern| pattern.as_str()).unwrap_or_default();
                tracing::info!(function = %entry.key, pattern, "the function is gone, and the pattern lists it no longer");
            }
            Notice::Unmatched(pattern) => {
                let (scope, place) = (&pattern.scope, pattern.terms.place());
                tracing::warn!(%scope, %place, "the pattern `{}` means no function", pattern.name);
            }
            Notice::Sweeping(_) => {}
            Notice::Swept { scope, took, fault } => self.swept(scope, *took, fault.as_ref()),
            Notice::Behind { scope, versions: Some(count @ 1..) } => tracing::info!(
                %scope,
                count,
                "published versions run another network than the file says: `plan` shows them, and the aliases that lead there"
            ),
            Notice::Behind { .. } => {}
            Notice::Approved(id) => tracing::info!(plan = id.short(), "the plan is approved: its changes are made"),
            Notice::Resumed(key) => {
                tracing::info!(function = %key, "its observation has ended: the file is enforced from now on");
            }
            Notice::Drifted(change) => {
                let (cause, policies) = (change.cause.name(), change.attach.len());
                let network = change.network.is_some();
                tracing::info!(function = %change.key, cause, network, policies, "differs from the file");
            }
            // The journal tells of it.
            Notice::Stepped { .. } => {}
            Notice::Concluded { key, outcome, pass, .. } => self.concluded(key, outcome, pass.map(|pass| pass.number)),
        }
    }

    /// The loop has turned, and the guard holds as many functions as the board says.
    pub(super) fn turned(&mut self, board: &Board) {
        // A scope that comes back is told of anew.
        self.held.retain(|scope, _| board.scopes().contains_key(scope));
        self.faults.retain(|scope, _| board.scopes().contains_key(scope));
        for (scope, count) in board.held_by_guard() {
            let before = self.held.insert(scope.clone(), count).unwrap_or_default();
            if count > 0 && before == 0 {
                tracing::warn!(%scope, count, reason = Reason::GuardHolding.name(), "{}", Reason::GuardHolding.sentence());
            } else if count == 0 && before > 0 {
                tracing::info!(%scope, "the guard holds nothing any more");
            }
        }
    }

    fn swept(&mut self, scope: &Scope, took: std::time::Duration, fault: Option<&Why>) {
        let before = match fault {
            Some(why) => self.faults.insert(scope.clone(), why.reason),
            None => self.faults.remove(scope),
        };
        match (fault, before) {
            (Some(why), before) if before != Some(why.reason) => {
                tracing::error!(%scope, reason = why.reason.name(), "cannot be read: {why}");
            }
            (None, Some(_)) => tracing::info!(%scope, ?took, "can be read again"),
            _ => tracing::debug!(%scope, ?took, "swept"),
        }
    }

    fn concluded(&mut self, key: &FunctionKey, outcome: &Outcome, pass: Option<u64>) {
        let before = match outcome.why() {
            Some(why) => self.reasons.insert(key.clone(), why.reason),
            None => self.reasons.remove(key),
        };
        let Some(why) = outcome.why() else {
            if before.is_some() {
                tracing::info!(pass, function = %key, "in sync");
            }
            return;
        };
        // What a whole scope suffers from is told once, by its sweep or by the first function that meets it.
        if why.reason.of_scope() {
            if self.faults.insert(key.scope.clone(), why.reason) != Some(why.reason) {
                tracing::error!(scope = %key.scope, reason = why.reason.name(), "{why}");
            }
            return;
        }
        // How many the guard holds is told for all of them.
        if why.reason == Reason::GuardHolding {
            return;
        }
        if before == Some(why.reason) || self.faults.get(&key.scope) == Some(&why.reason) {
            return;
        }
        let reason = why.reason.name();
        match outcome {
            Outcome::Blocked { .. } => tracing::warn!(pass, function = %key, reason, "blocked: {why}"),
            _ => tracing::info!(pass, function = %key, reason, "{why}"),
        }
    }
}
