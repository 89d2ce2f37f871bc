//! What happened to a function: its last changes of state and the calls made for it, a few bytes each.

use std::time::Duration;

use crate::names::{Digest, Time};
use crate::plan::{Answer, Cause, Outcome, Reason, State, Step};

/// So many events are kept for each function.
const KEPT: usize = 20;
/// So many bytes of a text that came from AWS are kept.
const TEXT: usize = 240;

/// The last events, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History(Vec<Event>);

/// Something that happened, or happened again and again with nothing else between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, the first time.
    pub first: Time,
    /// When, the last time.
    pub last: Time,
    /// How many times.
    pub times: u32,
    /// What.
    pub what: What,
}

/// What can happen to a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Its entry is another one, in the file with this digest.
    Edited(Digest),
    /// A difference was found that was not there before.
    Differs(Cause),
    /// A call was made for it, or could not be recorded and so was not made.
    Called {
        /// The step's name.
        step: &'static str,
        /// How long AWS took.
        took: Duration,
        /// What went wrong; none where AWS accepted it.
        error: Option<Box<str>>,
    },
    /// It stands otherwise than before.
    Became {
        state: State,
        /// Why it is not in sync.
        reason: Option<Reason>,
        /// The particulars.
        detail: Option<Box<str>>,
    },
}

impl What {
    pub(super) fn stepped(step: &Step, answer: &Answer, took: Duration) -> Self {
        let error = match answer {
            Answer::Done => None,
            Answer::Failed(error) => Some(short(&error.to_string())),
            Answer::NotJournaled(error) => Some(short(error)),
            Answer::NotSent { .. } => Some("its turn is too far away".into()),
        };
        Self::Called { step: step.name(), took, error }
    }

    pub(super) fn became(outcome: &Outcome) -> Self {
        let why = outcome.why();
        let detail = why.filter(|why| !why.detail.is_empty()).map(|why| short(&why.detail));
        Self::Became { state: outcome.state(), reason: why.map(|why| why.reason), detail }
    }

    /// Whether this is the same again, its particulars aside.
    fn repeats(&self, before: &Self) -> bool {
        match (self, before) {
            (Self::Edited(_), Self::Edited(_)) => false,
            (Self::Differs(now), Self::Differs(before)) => now == before,
            (Self::Called { step, error, .. }, Self::Called { step: before, error: failed, .. }) => {
                step == before && error.is_some() && failed.is_some()
            }
            (Self::Became { state, reason, .. }, Self::Became { state: before, reason: why, .. }) => {
                (state, reason) == (before, why)
            }
            _ => false,
        }
    }
}

impl History {
    /// Adds an event. What repeats the last one is counted with it, so that a call that is tried again and again does not
    /// push out what led to it.
    pub(super) fn add(&mut self, what: What, now: Time) {
        if let Some(last) = self.0.last_mut().filter(|last| what.repeats(&last.what)) {
            *last = Event { first: last.first, last: now, times: last.times.saturating_add(1), what };
            return;
        }
        if self.0.len() == KEPT {
            self.0.remove(0);
        }
        // Most functions have one or two for days; there may be ten thousand of them.
        self.0.reserve_exact(1);
        self.0.push(Event { first: now, last: now, times: 1, what });
    }

    /// The events, the oldest first.
    pub fn events(&self) -> &[Event] {
        &self.0
    }
}

/// The beginning of a text that may be long.
fn short(text: &str) -> Box<str> {
    match text.char_indices().map(|(at, _)| at).find(|at| *at > TEXT) {
        None => text.into(),
        Some(end) => format!("{}…", &text[..end]).into(),
    }
}
