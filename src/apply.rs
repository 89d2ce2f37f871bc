//! A step becomes a call. The only holder of [`Write`], behind a journal: what cannot be recorded is not done.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::cloud::{Changed, CloudError, Receipt, Write};
use crate::names::{Clock, Digest, ScopeKey, Time, VpcId};
use crate::plan::{Answer, Cause, Step};

/// A turn is refused long before.
const LONGEST_TURN: Duration = Duration::from_secs(20);

/// A step with what it is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The number of the pass that gives it, in its account and region; the log has it in each line of that pass.
    pub pass: u64,
    pub step: Step,
    /// Why live and desired differ.
    pub cause: Cause,
    /// The digest of the file that asks for it.
    pub digest: Digest,
    /// The VPC that the function was in when it was looked at.
    pub was_in: Option<VpcId>,
    /// The VPC that the file says.
    pub goes_into: Option<VpcId>,
}

/// One try of an order.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// Tells it from every other: 32 hexadecimal digits, by chance.
    pub id: String,
    /// When it was about to be made.
    pub at: Time,
    /// What it is for.
    pub order: &'a Order,
}

/// What came of a call.
#[derive(Clone, Debug)]
pub struct Answered {
    /// When.
    pub at: Time,
    /// How long AWS took.
    pub took: Duration,
    /// What AWS said.
    pub answer: Result<Receipt, CloudError>,
}

/// A record on its way, to be awaited.
pub type Recording<'a> = Pin<Box<dyn Future<Output = io::Result<()>> + Send + 'a>>;

/// Records every call before it is made, and what came of it.
pub trait Journal: Send + Sync {
    /// A call is about to be made. On an error it is not made.
    fn intent<'a>(&'a self, call: &'a Call<'a>) -> Recording<'a>;

    /// A call has ended. An error is told; what was done is done.
    fn result<'a>(&'a self, call: &'a Call<'a>, answered: &'a Answered) -> Recording<'a>;
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

    /// How many requests a second to Lambda are possible in a scope now; none where nobody counts them.
    pub fn rate(&self, at: &ScopeKey) -> Option<f64> {
        self.write.rate(at)
    }

    /// Waits for the step's turn, records it, makes the call, and records the answer. Returns that with the time that the
    /// call took. A step whose turn is too far away leaves no record.
    pub async fn make(&self, order: &Order) -> (Answer, Duration) {
        let changed = match &order.step {
            Step::AttachPolicy { role, .. } => Changed::Role(role),
            Step::SetVpc { key, .. } => Changed::Function(key),
        };
        let ordered = self.clock.now();
        if let Err(after) = self.write.turn(changed).await {
            return (Answer::NotSent { after }, Duration::ZERO);
        }
        // No turn takes as long: the process stood still, and what was decided before is decided anew.
        if self.clock.now().since(ordered) > LONGEST_TURN {
            return (Answer::NotSent { after: Duration::ZERO }, Duration::ZERO);
        }
        let id = format!("{:032x}", fastrand::u128(..));
        let call = Call { id, at: self.clock.wall(), order };
        if let Err(error) = self.journal.intent(&call).await {
            return (Answer::NotJournaled(error.to_string()), Duration::ZERO);
        }
        let begun = self.clock.now();
        let answer = match &order.step {
            Step::AttachPolicy { role, policy, .. } => self.write.attach_policy(role, policy).await,
            Step::SetVpc { key, to, revision, .. } => self.write.set_vpc(key, to, revision.as_ref()).await,
        };
        let answered = Answered { at: self.clock.wall(), took: self.clock.now().since(begun), answer };
        if let Err(error) = self.journal.result(&call, &answered).await {
            tracing::error!(%error, "the answer to a change could not be recorded");
        }
        let Answered { took, answer, .. } = answered;
        (answer.map_or_else(Answer::Failed, |_| Answer::Done), took)
    }
}
