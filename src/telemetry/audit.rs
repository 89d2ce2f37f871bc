//! The journal of changes: what was meant to be done, before it was done, and what came of it.

use std::time::Duration;

use crate::apply::{Journal, Order};
use crate::plan::{Answer, Step};

/// A journal that is part of the log.
pub struct LogJournal;

impl Journal for LogJournal {
    fn intent(&self, order: &Order) -> std::io::Result<()> {
        let Order { step, cause, digest } = order;
        let function = step.key().to_string();
        let (step_name, cause, digest) = (step.name(), cause.name(), digest.short());
        match step {
            Step::AttachPolicy { role, policy, .. } => {
                tracing::info!(function, step = step_name, role = role.as_str(), %policy, cause, digest, "about to change");
            }
            Step::SetVpc { from, to, .. } => {
                let (before, after) = (in_words(from), in_words(to));
                tracing::info!(function, step = step_name, before, after, cause, digest, "about to change");
            }
        }
        Ok(())
    }

    fn result(&self, order: &Order, answer: &Answer, took: Duration) -> std::io::Result<()> {
        let function = order.step.key().to_string();
        let (step, milliseconds) = (order.step.name(), took.as_millis());
        match answer {
            Answer::Done => tracing::info!(function, step, milliseconds, "changed"),
            Answer::Failed(error) => tracing::info!(function, step, milliseconds, %error, "not changed"),
            Answer::NotJournaled(error) => tracing::error!(function, step, error, "not changed"),
        }
        Ok(())
    }
}

fn in_words(network: &crate::names::Network) -> String {
    serde_json::to_string(network).unwrap_or_default()
}
