//! One reconciler for each account and region: what is done about its functions, and when.
//!
//! A [`Scope`] is pure: an event and the time in, actions out. It owns all that is known of its functions and roles, and
//! knows of no other scope. Who runs it, reads the file and carries out its actions is the manager.

mod backoff;
mod event;
mod queue;
mod scope;

pub use event::{Action, Event, Notice, Pass, Recall};
pub use queue::{Queue, QueueStats, Rank, Work};
pub use scope::{Cadence, POLL, Scope, Start};
