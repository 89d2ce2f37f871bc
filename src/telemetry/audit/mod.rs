//! The journal of changes: what was meant to be done, before it was done, and what came of it.
//!
//! Each call is told twice over: as a line of the log, for people who watch, and as a record of the audit trail, for
//! those who ask later. Only the trail can forbid a call.

mod record;
mod trail;

pub use record::{Line, Outcome, Phase, Place, Record, What};
pub use trail::AuditTrail;

use crate::apply::{Answered, Call, Journal, Order, Recording};
use crate::names::milliseconds;
use crate::plan::Step;

/// A journal that is part of the log, with an audit trail beside it or without.
pub struct LogJournal {
    trail: Option<AuditTrail>,
}

impl LogJournal {
    /// The log alone: every call is allowed.
    pub fn alone() -> Self {
        Self { trail: None }
    }

    /// The log, and this trail: a call that the trail cannot record is not made.
    pub fn with(trail: AuditTrail) -> Self {
        Self { trail: Some(trail) }
    }

    async fn record(&self, record: Record) -> std::io::Result<()> {
        match &self.trail {
            Some(trail) => trail.append(&record).await,
            None => Ok(()),
        }
    }
}

impl Journal for LogJournal {
    fn intent<'a>(&'a self, call: &'a Call<'a>) -> Recording<'a> {
        Box::pin(async move {
            self.record(Record::intent(call)).await?;
            log_intent(call);
            Ok(())
        })
    }

    fn result<'a>(&'a self, call: &'a Call<'a>, answered: &'a Answered) -> Recording<'a> {
        Box::pin(async move {
            log_result(call, answered);
            self.record(Record::result(call, answered)).await
        })
    }
}

/// The call's id is the one of its records in the audit trail, and in both lines of the log.
fn log_intent(Call { id, order, .. }: &Call<'_>) {
    let Order { pass, step, cause, digest, was_in: _, goes_into: _ } = order;
    let function = step.key().to_string();
    let (step_name, cause, digest) = (step.name(), cause.name(), digest.short());
    match step {
        Step::AttachPolicy { role, policy, .. } => {
            tracing::info!(pass, id, function, step = step_name, role = role.as_str(), %policy, cause, digest, "about to change");
        }
        Step::SetVpc { from, to, .. } => {
            let (before, after) = (in_words(from), in_words(to));
            tracing::info!(pass, id, function, step = step_name, before, after, cause, digest, "about to change");
        }
    }
}

fn log_result(Call { id, order, .. }: &Call<'_>, answered: &Answered) {
    let function = order.step.key().to_string();
    let (pass, step) = (order.pass, order.step.name());
    let milliseconds = milliseconds(answered.took);
    match &answered.answer {
        Ok(receipt) => {
            let request_id = receipt.request_id.as_deref().unwrap_or_default();
            tracing::info!(pass, id, function, step, milliseconds, request_id, "changed");
        }
        // The error has the request's id in it.
        Err(error) => tracing::info!(pass, id, function, step, milliseconds, %error, "not changed"),
    }
}

fn in_words(network: &crate::names::Network) -> String {
    serde_json::to_string(network).unwrap_or_default()
}
