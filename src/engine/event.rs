//! What the loop and its tasks say to each other: events in, effects out, and what is worth telling.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use super::controller::Cadence;
use crate::apply::Order;
use crate::desired::{DesiredState, Entry, LoadFailure, Pattern};
use crate::file::Diagnostic;
use crate::live::{Looked, Needs, RoleNeeds, Surveyed};
use crate::names::{Digest, FunctionKey, Network, ScopeKey};
use crate::plan::{Answer, Change, LeftOut, Limits, Outcome, ScopeRecord, State, Why};

/// What happens.
#[derive(Debug)]
pub enum Event {
    /// The file was read; none if it says what is in force.
    Loaded(Result<Option<DesiredState>, LoadFailure>),
    /// A scope was swept.
    Surveyed(Surveyed),
    /// A function was looked at.
    Looked(FunctionKey, Looked),
    /// Who else a function belongs to, in words, as far as its tags tell.
    Owner(FunctionKey, Option<String>),
    /// A step was answered after this time.
    Answered(Order, Answer, Duration),
    /// The record of a scope was looked for.
    Recalled(ScopeKey, Recall),
    /// The record of a scope was stored; an error says why it was not.
    Stored(ScopeKey, Result<(), String>),
    /// Somebody asks for something.
    Signal(Signal),
    /// Time has passed.
    Tick,
}

/// What came of looking for a record.
#[derive(Debug)]
pub enum Recall {
    /// This.
    Known(Box<ScopeRecord>),
    /// There is none.
    Missing,
    /// There is one that cannot be used, and why.
    Unusable(String),
    /// Whether there is one could not be seen, and why.
    Unread(String),
}

impl Recall {
    /// What was found where the record of a scope is kept.
    pub fn of(scope: &ScopeKey, found: io::Result<Option<String>>) -> Self {
        match found.map(|text| text.map(|text| ScopeRecord::parse(&text, scope))) {
            Ok(Some(Ok(record))) => Self::Known(Box::new(record)),
            Ok(None) => Self::Missing,
            Ok(Some(Err(unusable))) => Self::Unusable(unusable.to_string()),
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData) => {
                Self::Unusable(error.to_string())
            }
            Err(error) => Self::Unread(error.to_string()),
        }
    }
}

/// What somebody asks for.
#[derive(Clone, Debug)]
pub enum Signal {
    /// Look at the file again.
    Look,
    /// Look at the file again, sweep everything, and try again what was refused.
    Reload,
    /// Work by these settings from now on.
    Settle(Box<Limits>, Cadence),
    /// The file of the settings was read: what is wrong with it, for people; none where it can be used.
    SettingsRead(Option<Arc<str>>),
    /// Finish what is in hand, and stop.
    Stop,
}

/// What is to be done about it.
#[derive(Debug)]
pub enum Effect {
    /// Read the file; what has this digest is in force.
    Load(Option<Digest>),
    /// Sweep a scope.
    Survey(ScopeKey, Needs),
    /// Look at a function, and at its role as well if there are needs.
    Look(FunctionKey, Option<RoleNeeds>),
    /// Ask who else a function belongs to; AWS wants to know the partition.
    AskOwner(FunctionKey, String),
    /// Make a step.
    Do(Order),
    /// Look for the record of a scope.
    Recall(ScopeKey),
    /// Store the record of a scope.
    Store(ScopeKey, String),
    /// Tell this.
    Tell(Notice),
    /// The end: nothing is in hand any more.
    Stop,
}

/// What is worth telling.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A new desired state is in force.
    Loaded {
        /// Its digest.
        digest: Digest,
        /// How many functions it names.
        functions: usize,
        /// How many patterns it has beside.
        patterns: usize,
        /// What is doubtful in it.
        warnings: Vec<Diagnostic>,
    },
    /// The file was read again and says the same.
    Confirmed,
    /// The file cannot be used; the last good state stays in force. Told once for each content.
    NotLoaded(Arc<LoadFailure>),
    /// Whether the settings as they were last read can be used. If not, what was in force stays in force.
    Settings {
        /// Whether they can.
        valid: bool,
    },
    /// A function left the file; it stays as it is, in AWS.
    Released {
        /// The function.
        key: FunctionKey,
        /// What it has, as far as that was seen.
        network: Option<Arc<Network>>,
    },
    /// A function that a pattern listed is not there any more.
    Gone(Arc<Entry>),
    /// A pattern means no function, though all were listed. Told once, until it has meant one.
    Unmatched(Arc<Pattern>),
    /// A pattern fits a function that a service made for itself, and so does not mean it. Told once.
    LeftOut(LeftOut),
    /// A sweep begins.
    Sweeping(ScopeKey),
    /// A scope was swept; where something could not be read, the first reason.
    Swept {
        /// The scope.
        scope: ScopeKey,
        /// How long it took.
        took: Duration,
        /// What could not be read, and why.
        fault: Option<Why>,
    },
    /// So many published versions run another network than the file says, after a sweep that found another number than the
    /// one before.
    Behind {
        /// The scope.
        scope: ScopeKey,
        /// How many; none if nobody wants to know any more.
        versions: Option<usize>,
    },
    /// A person has approved the plan with this id in a scope, and what is left of its changes is made.
    Approved {
        /// The scope.
        scope: ScopeKey,
        /// The plan's id there.
        id: Digest,
    },
    /// What processes before this one did in a scope is not known.
    NotRecalled {
        /// The scope.
        scope: ScopeKey,
        /// Why its record cannot be used; none where there is none.
        fault: Option<String>,
        /// The ids in the settings that count as spent, since nobody knows whether they are.
        doubted: Vec<String>,
    },
    /// The record of a scope cannot be read for now, so that nothing is done there.
    RecordUnread {
        /// The scope.
        scope: ScopeKey,
        /// Why not.
        error: String,
    },
    /// The record of a scope was stored, or could not be.
    Stored {
        /// The scope.
        scope: ScopeKey,
        /// Why it was not.
        error: Option<String>,
    },
    /// The observation of a function has ended, and the settings let its entry be enforced from now on.
    Resumed(FunctionKey),
    /// A difference was found that was not there before.
    Drifted(Arc<Change>),
    /// A step was answered.
    Stepped {
        /// What was done.
        order: Order,
        /// What AWS said.
        answer: Answer,
        /// How long it took.
        took: Duration,
    },
    /// Something is known about a function: its pass ended, or the sweep told all.
    Concluded {
        /// The function.
        key: FunctionKey,
        /// How it stands.
        outcome: Outcome,
        /// The state before.
        before: Option<State>,
        /// The pass that has ended; none if the sweep told all.
        pass: Option<Pass>,
    },
}

/// A pass that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Which one it is of all that this process has made, from 1.
    pub number: u64,
    /// How long it took.
    pub took: Duration,
}
