//! One loop owns all state; tasks around it do the IO.
//!
//! [`Controller`] is the loop's mind: pure, an event and the time in, effects out. [`run`] is its body: it performs the
//! effects with tokio and hands back what came of them as events. What is worth telling goes to an [`Observer`].

mod backoff;
mod controller;
mod event;
mod queue;
mod runtime;
mod stats;

pub use controller::{Cadence, Controller};
pub use event::{Effect, Event, Notice, Pass, Recall, Signal};
pub use queue::{Keyed, Queue, Rank, Work};
pub use runtime::{HEARTBEAT, Load, Loading, Observer, Ports, run};
pub use stats::{BUCKETS, Durations, QueueStats};
