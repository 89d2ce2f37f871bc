//! What is kept of a scope beyond the end of the process, as data: what the guard counted, what a person approved, what
//! others set back, and since when functions are out of sync.
//!
//! It holds only what cannot be seen in AWS or in the file. Without it decisions are as good, and more careful: an hour
//! that nobody knows counts as used. A field that is missing counts as empty, and one that is not known here is passed
//! over: only what changes its meaning changes its version.

use serde::{Deserialize, Serialize};

use super::{Cause, State};
use crate::names::{
    AccountId, Digest, FunctionName, Mark, Network, PolicyArn, Region, RoleName, ScopeKey, Time, moment,
};

/// The version of the shape.
const VERSION: u32 = 1;

/// The record of one scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeRecord {
    /// The version of the shape.
    pub version: u32,
    /// The scope's account.
    pub account: AccountId,
    /// The scope's region.
    pub region: Region,
    /// What the guard let through in the last hour.
    #[serde(default)]
    pub hour: HourRecord,
    /// What a person approved, and could approve.
    #[serde(default)]
    pub approvals: ApprovalsRecord,
    /// What others set back in the last hour.
    #[serde(default)]
    pub set_backs: Vec<SetBackRecord>,
    /// The updates that Lambda accepted in the last hour.
    #[serde(default)]
    pub sent: Vec<SentRecord>,
    /// The policies that IAM accepted in the last hour, for roles of the account.
    #[serde(default)]
    pub attached: Vec<AttachedRecord>,
    /// The functions that were not in sync.
    #[serde(default)]
    pub unsynced: Vec<UnsyncedRecord>,
    /// The digest of the file by which all others were in sync; none where that is not known of all of them.
    #[serde(default)]
    pub synced_by: Option<Digest>,
    /// What the words of entries meant, as far as functions were in sync with them.
    #[serde(default)]
    pub meant: Vec<MeantRecord>,
}

/// What the guard let through in the last hour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourRecord {
    /// Since when nothing is missing here; none where nobody knows.
    #[serde(default, with = "optional")]
    pub known_since: Option<Time>,
    /// The functions that were changed, or about to be.
    #[serde(default)]
    pub changed: Vec<ChangedRecord>,
    /// Functions that somebody changed before anything was known: it may have been this controller.
    #[serde(default)]
    pub perhaps: Vec<PerhapsRecord>,
}

/// Functions that were changed for the same cause, from the same network to the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedRecord {
    /// Why they differed.
    pub cause: Cause,
    /// The networks that they had and got; empty where only a policy was missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Mark>,
    pub functions: Vec<ChangedFunction>,
}

/// A function that was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedFunction {
    pub name: FunctionName,
    /// When the first call was made; none where it was about to be.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
}

/// A function that somebody changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerhapsRecord {
    pub function: FunctionName,
    /// When.
    #[serde(with = "moment")]
    pub at: Time,
}

/// What a person approved, and could approve.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalsRecord {
    /// The ids that are spent.
    #[serde(default)]
    pub spent: Vec<Digest>,
    /// Ids of the settings, as they stand there, of which nobody knows whether they are spent.
    #[serde(default)]
    pub doubted: Vec<String>,
    /// What is approved and not done yet.
    #[serde(default)]
    pub agreed: Vec<AgreedRecord>,
    /// Plans that were shown, the latest last.
    #[serde(default)]
    pub shown: Vec<ShownRecord>,
}

/// Changes that a person agreed to, or may agree to: the same for each function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgreedRecord {
    /// From which network to which; none where it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Mark>,
    /// Which policies for which roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Mark>,
    pub functions: Vec<FunctionName>,
}

/// A plan that was shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownRecord {
    /// The ids by which it can be approved: its own, and those of the plans of all scopes that it was a part of.
    pub ids: Vec<Digest>,
    /// For how many seconds it was the one to be seen.
    pub seconds: u64,
    pub changes: Vec<AgreedRecord>,
}

/// What somebody set back, and when: the network of a function, or a policy of a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SetBackRecord {
    Network {
        function: FunctionName,
        /// When.
        at: Vec<Moment>,
    },
    Policy {
        role: RoleName,
        policy: PolicyArn,
        /// When.
        at: Vec<Moment>,
    },
}

/// A moment in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(#[serde(with = "moment")] pub Time);

/// Updates to the same network that Lambda accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentRecord {
    pub to: Network,
    pub functions: Vec<SentFunction>,
}

/// A function whose update Lambda accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentFunction {
    pub name: FunctionName,
    /// When.
    #[serde(with = "moment")]
    pub at: Time,
    /// What became of it.
    pub fate: Fate,
}

/// What became of an update that Lambda has accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It has not been seen to end.
    Open,
    /// It came about.
    Arrived,
    /// Lambda gave it up: what was before stays in force, and nobody has set it back.
    GivenUp,
    /// Somebody has set another network since.
    SetBack,
}

/// A policy that IAM accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedRecord {
    pub role: RoleName,
    pub policy: PolicyArn,
    /// When.
    #[serde(with = "moment")]
    pub at: Time,
    /// Whether somebody had taken it off again.
    pub set_back: bool,
}

/// Functions that are not in sync, for the same reason since the same moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsyncedRecord {
    /// Their state.
    pub state: State,
    /// Why; a name that is not known here is one of another version.
    pub reason: String,
    /// Why they differ, where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Since when.
    #[serde(with = "moment")]
    pub since: Time,
    pub functions: Vec<FunctionName>,
}

/// The networks that an entry's words meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeantRecord {
    pub words: Mark,
    /// The networks, of which functions had one or another when they were last in sync.
    pub networks: Vec<Mark>,
}

/// Why a text is no record that can be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It is torn, or was never one.
    #[error("it cannot be read: {0}")]
    Torn(#[from] serde_json::Error),
    /// It was written by another version of the program.
    #[error("it has version {0}, and this program knows version {VERSION}")]
    OtherVersion(u64),
    /// It belongs to another scope.
    #[error("it is the record of {0}")]
    Elsewhere(ScopeKey),
}

impl ScopeRecord {
    /// A record of this scope with nothing in it.
    pub fn new(scope: &ScopeKey) -> Self {
        let ScopeKey { account, region } = scope.clone();
        Self {
            version: VERSION,
            account,
            region,
            hour: HourRecord::default(),
            approvals: ApprovalsRecord::default(),
            set_backs: Vec::new(),
            sent: Vec::new(),
            attached: Vec::new(),
            unsynced: Vec::new(),
            synced_by: None,
            meant: Vec::new(),
        }
    }

    /// Reads the record of this scope.
    pub fn parse(text: &str, scope: &ScopeKey) -> Result<Self, Unusable> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u64,
        }
        match serde_json::from_str::<Versioned>(text)?.version {
            version if version == u64::from(VERSION) => {}
            version => return Err(Unusable::OtherVersion(version)),
        }
        let record: Self = serde_json::from_str(text)?;
        let of = ScopeKey { account: record.account.clone(), region: record.region.clone() };
        if of == *scope { Ok(record) } else { Err(Unusable::Elsewhere(of)) }
    }

    /// The same, with its moments by another clock: a process has a time of its own, and only the wall clock's outlives it.
    #[must_use]
    pub fn with_moments(mut self, by: impl Fn(Time) -> Time) -> Self {
        let each = |at: &mut Time| *at = by(*at);
        let changed = self.hour.changed.iter_mut().flat_map(|changed| &mut changed.functions);
        changed.filter_map(|function| function.at.as_mut()).for_each(each);
        self.hour.known_since.iter_mut().for_each(each);
        self.hour.perhaps.iter_mut().for_each(|perhaps| each(&mut perhaps.at));
        for set_back in &mut self.set_backs {
            let (SetBackRecord::Network { at, .. } | SetBackRecord::Policy { at, .. }) = set_back;
            at.iter_mut().for_each(|Moment(at)| each(at));
        }
        self.sent.iter_mut().flat_map(|sent| &mut sent.functions).for_each(|function| each(&mut function.at));
        self.attached.iter_mut().for_each(|attached| each(&mut attached.at));
        self.unsynced.iter_mut().for_each(|unsynced| each(&mut unsynced.since));
        self
    }

    /// The record as a text; the same for the same.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self).map(|text| text + "\n")
    }
}

/// A moment that may not be there.
mod optional {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::{Moment, Time};

    pub(super) fn serialize<S: Serializer>(time: &Option<Time>, serializer: S) -> Result<S::Ok, S::Error> {
        time.map(Moment).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Time>, D::Error> {
        Ok(Option::<Moment>::deserialize(deserializer)?.map(|Moment(time)| time))
    }
}
