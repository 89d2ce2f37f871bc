//! What a scope is told and what it asks for: events in, actions out, and what is worth telling.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use super::scope::Cadence;
use crate::apply::Order;
use crate::desired::{DesiredState, Entry, LoadFailure, Pattern};
use crate::file::Diagnostic;
use crate::live::{Looked, Needs, RoleNeeds, Surveyed};
use crate::names::{Digest, FunctionKey, Network, RoleKey, ScopeKey};
use crate::plan::{Answer, Change, LeftOut, Limits, Outcome, RoleNews, ScopeRecord, State, Why};

/// What happens to a scope.
#[derive(Debug)]
pub enum Event {
    /// The file says this of the scope from now on: nothing at all where it does not speak of the scope any more.
    Desired(Arc<DesiredState>),
    /// The scope was swept.
    Surveyed(Surveyed),
    /// A function was looked at.
    Looked(FunctionKey, Looked),
    /// Who else a function belongs to, in words, as far as its tags tell.
    Owner(FunctionKey, Option<String>),
    /// A step was answered after this time.
    Answered(Order, Answer, Duration),
    /// The record of the scope was looked for.
    Recalled(Recall),
    /// The record of the scope was stored; an error says why it was not.
    Stored(Result<(), String>),
    /// Work by these settings from now on.
    Settle(Box<Limits>, Cadence),
    /// Sweep, and try again what was refused.
    Retry,
    /// Whether this process leads the scope from now on. One that does not lead observes, and changes nothing.
    Lead(bool),
    /// Something has happened to a function: look at it now.
    Refresh(FunctionKey),
    /// Another scope of the account tells of a role that they share.
    Role(RoleKey, RoleNews),
    /// The plan of the scope with the first id is a part of the plan of all scopes, which has the second.
    PlanOfAll(Digest, Digest),
    /// Finish what is in hand, and stop.
    Stop,
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

/// What a scope wants to be done.
#[derive(Debug)]
pub enum Action {
    /// Sweep.
    Survey(Needs),
    /// Look at a function, and at its role as well if there are needs.
    Look(FunctionKey, Option<RoleNeeds>),
    /// Ask who else a function belongs to; AWS wants to know the partition.
    AskOwner(FunctionKey, String),
    /// Make a step.
    Do(Order),
    /// Look for the record.
    Recall,
    /// Store the record.
    Store(String),
    /// Tell the other scopes of the account this of a role.
    Share(RoleKey, RoleNews),
    /// The plan that is to be seen now has this id; none where nothing differs.
    Shows(Option<Digest>),
    /// Tell this.
    Tell(Notice),
}

/// What is worth telling.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A new desired state is in force.
    Loaded {
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
        scope: ScopeKey,
        /// How long it took.
        took: Duration,
        /// What could not be read, and why.
        fault: Option<Why>,
    },
    /// So many published versions run another network than the file says, after a sweep that found another number than the
    /// one before.
    Behind {
        scope: ScopeKey,
        /// How many; none if nobody wants to know any more.
        versions: Option<usize>,
    },
    /// A person has approved the plan with this id in a scope, and what is left of its changes is made.
    Approved {
        scope: ScopeKey,
        /// The plan's id there.
        id: Digest,
    },
    /// What processes before this one did in a scope is not known.
    NotRecalled {
        scope: ScopeKey,
        /// Why its record cannot be used; none where there is none.
        fault: Option<String>,
        /// The ids in the settings that count as spent, since nobody knows whether they are.
        doubted: Vec<String>,
    },
    /// The record of a scope cannot be read for now, so that nothing is done there.
    RecordUnread {
        scope: ScopeKey,
        /// Why not.
        error: String,
    },
    /// A scope has failed: a mistake in this program. It begins anew by itself, with what AWS, the file and its record say.
    Restarts {
        scope: ScopeKey,
        /// After how long.
        after: Duration,
    },
    /// The record of a scope was stored, or could not be.
    Stored {
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
        key: FunctionKey,
        /// How it stands.
        outcome: Outcome,
        before: Option<State>,
        /// The pass that has ended; none if the sweep told all.
        pass: Option<Pass>,
    },
}

/// A pass that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Which one it is of all that this account and region has had since the process began, from 1.
    pub number: u64,
    /// How long it took.
    pub took: Duration,
}
