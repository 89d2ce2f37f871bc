//! The file, or a directory of them, becomes the desired state: read once, every mistake reported at once, references resolved.
//!
//! What comes out is a list of entries, each with its place in the file, keyed by account, region and name. Nothing in
//! here knows what AWS says: whether a subnet exists is found out in `plan`.

mod document;
mod files;
mod resolve;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

pub use files::Files;
pub use resolve::Accounts;
pub(crate) use resolve::vpc_name;
pub use watch::{Nudge, POLL, Watch};

use crate::cloud::CloudError;
use crate::file::{self, Diagnostic, Place, Report, Source, Span, Unusable};
use crate::names::{
    AccountId, Digest, FunctionKey, NameError, PolicyName, Region, Scope, SecurityGroupId, SubnetId, Time, VpcId,
};
use crate::settings::Mode;

/// Why there is no desired state to be had.
#[derive(Debug, thiserror::Error)]
pub enum LoadFailure {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] Unusable),
    /// The file leaves the account to the credentials, and nobody can say whose those are.
    #[error("the file states no account, and the one of the credentials could not be found out: {0}")]
    Identity(CloudError),
}

impl LoadFailure {
    /// Whether this is what was wrong before, in a content that is the same.
    pub fn is_still(&self, before: &Self) -> bool {
        match (self, before) {
            (Self::File(now), Self::File(before)) => now == before,
            (Self::Identity(now), Self::Identity(before)) => now.to_string() == before.to_string(),
            (Self::File(_) | Self::Identity(_), _) => false,
        }
    }
}

/// What the file says, resolved.
#[derive(Clone, Debug)]
pub struct DesiredState {
    /// The functions, in the order of the files; each key stands once.
    pub entries: Vec<Arc<Entry>>,
    /// Of a file, the SHA-256 of its bytes. Of a directory, that of what `sha256sum *.toml` prints in it, with the names
    /// in the order of their bytes.
    pub digest: Digest,
    /// What is legal but doubtful.
    pub warnings: Vec<Diagnostic>,
    by_key: BTreeMap<FunctionKey, Arc<Entry>>,
    listed: BTreeMap<Scope, usize>,
}

/// One function and where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which function.
    pub key: FunctionKey,
    /// Whether the account was stated, in the settings or the file, rather than taken from the credentials.
    pub account_stated: bool,
    /// Where it belongs.
    pub want: Want,
    /// Whether a difference is put right or only shown.
    pub mode: Mode,
    /// When an observation ends.
    pub until: Option<Time>,
    /// Why it is only observed.
    pub reason: Option<String>,
    /// The policies that let its role make network interfaces.
    pub policies: Arc<[PolicyName]>,
    /// When they are attached.
    pub attach_policy: AttachPolicy,
    /// The file it stands in.
    pub source: Source,
    /// Where in that file.
    pub span: Span,
}

/// Where a function belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// Not in a VPC.
    Detached,
    /// In a VPC.
    Attached(Arc<Intent>),
}

impl Want {
    /// The VPC; none where the function belongs into none.
    pub fn vpc(&self) -> Option<&VpcId> {
        match self {
            Self::Detached => None,
            Self::Attached(intent) => Some(&intent.vpc),
        }
    }
}

/// A place in a VPC, in the words of the file: to be bound against what EC2 says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The name of the VPC's entry, where it has one.
    pub name: Option<String>,
    /// The VPC.
    pub vpc: VpcId,
    /// Which of its subnets; by default the private ones.
    pub subnets: Pick<SubnetId>,
    /// Which of its security groups; by default the group named `default`.
    pub security_groups: Pick<SecurityGroupId>,
    /// Whether outbound IPv6 is allowed.
    pub ipv6: bool,
}

/// How subnets or groups are picked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pick<Id> {
    /// Nothing is said.
    Default,
    /// These.
    Ids(BTreeSet<Id>),
    /// Those with these names, one for each.
    Names(BTreeSet<String>),
    /// All that have all of these tags.
    Tags(BTreeMap<String, String>),
}

/// When a missing policy is attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttachPolicy {
    /// When a simulation or Lambda's own refusal shows that the right is missing.
    #[default]
    WhenNeeded,
    /// Whenever the policy itself is not on the role.
    Always,
    /// Never; a missing right is reported.
    Never,
}

impl AttachPolicy {
    fn parse(text: &str) -> Result<Self, NameError> {
        match text {
            "when-needed" => Ok(Self::WhenNeeded),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err(NameError {
                expected: "a value of attach_policy",
                given: text.to_owned(),
                rule: "write \"when-needed\", \"always\" or \"never\"",
            }),
        }
    }
}

impl Entry {
    /// Where it stands, for people.
    pub fn place(&self) -> Place {
        Place::of(&self.source, &self.span)
    }

    /// The mode at a moment: an observation with an end is over then.
    pub fn mode_at(&self, now: Time) -> Mode {
        match self.until {
            Some(until) if now >= until => Mode::Enforce,
            _ => self.mode,
        }
    }

    /// Whether both ask for the same; where they stand makes no difference.
    pub fn asks_the_same(&self, other: &Self) -> bool {
        let Self { key, account_stated, want, mode, until, reason, policies, attach_policy, source: _, span: _ } = self;
        (key, account_stated, want, mode) == (&other.key, &other.account_stated, &other.want, &other.mode)
            && (until, reason) == (&other.until, &other.reason)
            && (policies, attach_policy) == (&other.policies, &other.attach_policy)
    }
}

impl DesiredState {
    /// Parses and resolves a single file that was read.
    pub fn check(source: &Source, accounts: &Accounts) -> Result<Self, Unusable> {
        Self::of(&Files::from(source.clone()), accounts)
    }

    /// Parses and resolves what was read. A single mistake in a single file makes all of it unusable, and all mistakes
    /// of all files are told.
    pub fn of(files: &Files, accounts: &Accounts) -> Result<Self, Unusable> {
        let mut report = Report::default();
        let entries = resolve::resolve(files, accounts, &mut report);
        if report.has_errors() {
            return Err(Unusable(report.sorted()));
        }
        let entries: Vec<Arc<Entry>> = entries.into_iter().map(Arc::new).collect();
        let by_key = entries.iter().map(|entry| (entry.key.clone(), Arc::clone(entry))).collect();
        let mut listed: BTreeMap<Scope, usize> = BTreeMap::new();
        entries.iter().for_each(|entry| *listed.entry(entry.key.scope.clone()).or_default() += 1);
        Ok(Self { entries, digest: files.digest().clone(), warnings: report.sorted(), by_key, listed })
    }

    /// Reads, parses and resolves a file, or every file of a directory.
    pub fn load(path: &Path, accounts: &Accounts) -> Result<Self, Unusable> {
        Self::of(&Files::read(path), accounts)
    }

    /// The JSON schema of a file.
    pub fn schema() -> serde_json::Value {
        file::schema::<document::Document>("The desired state of lambda-vpc-controller")
    }

    /// Points at observations that are over: legal, but what was to be remembered by then is perhaps forgotten.
    pub fn ended(&self, now: Time) -> Vec<Diagnostic> {
        let over = self.entries.iter().filter(|entry| entry.until.is_some_and(|until| until <= now));
        let told = |entry: &Arc<Entry>| {
            let text = format!("the observation of `{}` has ended", entry.key.name);
            let ended = Diagnostic::warning(&entry.source, &entry.span, text, "is enforced");
            ended.help("take `mode`, `until` and `reason` out, or set a later end")
        };
        over.map(told).collect()
    }

    /// The region of an entry whose account nobody knows yet, since the file leaves it to the credentials.
    pub fn region_of_nobody(&self) -> Option<&Region> {
        self.entries.iter().find(|e| e.key.scope.account == AccountId::nobody()).map(|entry| &entry.key.scope.region)
    }

    /// How many functions it lists in a scope.
    pub fn listed(&self, scope: &Scope) -> usize {
        self.listed.get(scope).copied().unwrap_or_default()
    }

    /// What the file says of a function.
    pub fn get(&self, key: &FunctionKey) -> Option<&Arc<Entry>> {
        self.by_key.get(key)
    }
}
