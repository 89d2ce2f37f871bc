//! A step becomes a call. The only holder of [`Write`], behind a journal: what cannot be recorded is not done.

use std::sync::Arc;
use std::time::Duration;

use crate::cloud::Write;
use crate::names::{Clock, Digest};
use crate::plan::{Answer, Cause, Step};

/// A step with what it is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The step.
    pub step: Step,
    /// Why live and desired differ.
    pub cause: Cause,
    /// The digest of the file that asks for it.
    pub digest: Digest,
}

/// Records every step before it is made, and what came of it.
pub trait Journal: Send + Sync {
    /// A step is about to be made. On an error it is not made.
    fn intent(&self, order: &Order) -> std::io::Result<()>;

    /// A step was answered after this time. An error is told; what was done is done.
    fn result(&self, order: &Order, answer: &Answer, took: Duration) -> std::io::Result<()>;
}

/// Makes steps.
pub struct Applier {
    write: Arc<dyn Write>,
    journal: Arc<dyn Journal>,
    clock: Clock,
}

impl Applier {
    /// An applier that writes through this door and records in this journal.
    pub fn new(write: Arc<dyn Write>, journal: Arc<dyn Journal>, clock: Clock) -> Self {
        Self { write, journal, clock }
    }

    /// Records the step, makes the call, and records the answer. Returns it with the time that the call took.
    pub async fn make(&self, order: &Order) -> (Answer, Duration) {
        if let Err(error) = self.journal.intent(order) {
            return (Answer::NotJournaled(error.to_string()), Duration::ZERO);
        }
        let begun = (self.clock)();
        let answered = match &order.step {
            Step::AttachPolicy { role, policy, .. } => self.write.attach_policy(role, policy).await,
            Step::SetVpc { key, to, revision, .. } => self.write.set_vpc(key, to, revision.as_ref()).await,
        };
        let answer = answered.map_or_else(Answer::Failed, |_| Answer::Done);
        let took = (self.clock)().since(begun);
        if let Err(error) = self.journal.result(order, &answer, took) {
            tracing::error!(%error, "the answer to a change could not be recorded");
        }
        (answer, took)
    }
}
