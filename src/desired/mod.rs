//! The file, or a directory of them, becomes the desired state: read once, every mistake reported at once, references resolved.
//!
//! What comes out is a list of entries, each with its place in the file, keyed by account, region and name. Nothing in
//! here knows what AWS says: whether a subnet exists is found out in `plan`.

mod accounts;
mod calm;
mod document;
mod files;
mod pick;
mod reading;
mod resolve;
#[cfg(test)]
mod short;
mod traces;
mod watch;
mod words;

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

pub use accounts::{Accounts, NoAccount};
pub use files::Files;
pub use reading::{At, Reading};
pub use traces::Traces;
use watch::QUIET;
pub use watch::{Nudge, POLL, Watch};
pub(crate) use words::vpc_name;

use crate::cloud::CloudError;
use crate::file::{self, Allowed, Diagnostic, Place, Report, Source, Span, Unusable};
use crate::names::{
    AccountId, Digest, FunctionKey, FunctionName, NameError, NamePattern, PolicyName, Region, ScopeKey,
    SecurityGroupId, SubnetId, Time, VpcId, means,
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
            // The text has the request's id in it, which is another one each time.
            (Self::Identity(now), Self::Identity(before)) => (now.class, &now.code) == (before.class, &before.code),
            (Self::File(_) | Self::Identity(_), _) => false,
        }
    }
}

/// What the file says, resolved.
#[derive(Clone, Debug)]
pub struct DesiredState {
    /// The functions: those that the file names, in its order, and then those that its patterns fit, as far as these are
    /// known. Each key stands once.
    pub entries: Vec<Arc<Entry>>,
    /// The patterns, in the order of the files.
    pub patterns: Vec<Arc<Pattern>>,
    /// Of a file, the SHA-256 of its bytes. Of a directory, that of what `sha256sum *.toml` prints in it, with the names
    /// in the order of their bytes.
    pub digest: Digest,
    /// What is legal but doubtful.
    pub warnings: Vec<Diagnostic>,
    by_key: BTreeSet<ByKey>,
}

/// One function and where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which function.
    pub key: FunctionKey,
    /// The pattern that it is listed by; none if the file names it.
    pub pattern: Option<NamePattern>,
    /// What the file says of it.
    pub terms: Arc<Terms>,
}

/// A pattern: what the file says of every function of a scope that it fits, unless that is named by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Where its functions live.
    pub scope: ScopeKey,
    pub name: NamePattern,
    /// What it does not mean, though it fits.
    pub except: Arc<[NamePattern]>,
    /// What the file says of them.
    pub terms: Arc<Terms>,
}

impl Pattern {
    /// Whether it means a function of its scope that no entry names.
    pub fn means(&self, name: &FunctionName) -> bool {
        means(&self.name, &self.except, name)
    }
}

/// What the file says of a function, or of those that a pattern fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
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
    /// Nobody can say: these patterns fit it, and each wants something of its own.
    Disputed(Arc<[NamePattern]>),
}

impl Want {
    /// The VPC; none where the function belongs into none.
    pub fn vpc(&self) -> Option<&VpcId> {
        match self {
            Self::Detached | Self::Disputed(_) => None,
            Self::Attached(intent) => Some(&intent.vpc),
        }
    }
}

/// A place in a VPC, in the words of the file: to be bound against what EC2 says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Intent {
    /// The name of the VPC's entry, where it has one.
    pub name: Option<String>,
    pub vpc: VpcId,
    /// Which of its subnets; by default the private ones.
    pub subnets: Pick<SubnetId>,
    /// Which of its security groups; by default the group named `default`.
    pub security_groups: Pick<SecurityGroupId>,
    /// Whether outbound IPv6 is allowed; none if that is not said.
    pub ipv6: Option<bool>,
    /// Whether its functions need a way to the internet.
    pub egress: Egress,
}

/// Whether the functions of a VPC's entry need a way to the internet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Egress {
    /// Nobody has said: a missing one is a warning.
    #[default]
    Any,
    /// Without one they are not put there.
    Required,
    /// They are not to have one.
    None,
}

impl Egress {
    fn parse(text: &str) -> Result<Self, NameError> {
        match text {
            "any" => Ok(Self::Any),
            "required" => Ok(Self::Required),
            "none" => Ok(Self::None),
            _ => Err(NameError {
                expected: "a value of egress",
                given: text.to_owned(),
                rule: "write \"any\", \"required\" or \"none\"",
            }),
        }
    }
}

/// How subnets or groups are picked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// An entry, to be found by its key: the name of each of many thousands is not kept twice.
#[derive(Clone, Debug)]
struct ByKey(Arc<Entry>);

impl Borrow<FunctionKey> for ByKey {
    fn borrow(&self) -> &FunctionKey {
        &self.0.key
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for ByKey {}

impl PartialOrd for ByKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.key.cmp(&other.0.key)
    }
}

impl Entry {
    /// Where it stands, for people.
    pub fn place(&self) -> Place {
        self.terms.place()
    }

    /// Whether both ask for the same of the same function; where they stand makes no difference.
    pub fn asks_the_same(&self, other: &Self) -> bool {
        self.key == other.key && (Arc::ptr_eq(&self.terms, &other.terms) || self.terms.ask_the_same(&other.terms))
    }
}

impl Terms {
    /// Where they stand, for people.
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
    pub fn ask_the_same(&self, other: &Self) -> bool {
        let Self { account_stated, want, mode, until, reason, policies, attach_policy, source: _, span: _ } = self;
        (account_stated, want, mode) == (&other.account_stated, &other.want, &other.mode)
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
        let resolve::Resolved { entries, patterns } = resolve::resolve(files, accounts, &mut report);
        if report.has_errors() {
            return Err(Unusable(report.sorted()));
        }
        let (digest, warnings) = (files.digest().clone(), report.sorted());
        let mut state = Self { entries: Vec::new(), patterns, digest, warnings, by_key: BTreeSet::new() };
        entries.into_iter().for_each(|entry| state.list(Arc::new(entry)));
        Ok(state)
    }

    /// What it says of each account and region that it speaks of.
    pub fn by_scope(&self) -> BTreeMap<ScopeKey, Self> {
        let mut scopes = BTreeMap::new();
        let nothing = || self.of_nothing();
        for entry in &self.entries {
            scopes.entry(entry.key.scope.clone()).or_insert_with(nothing).list(Arc::clone(entry));
        }
        for pattern in &self.patterns {
            scopes.entry(pattern.scope.clone()).or_insert_with(nothing).patterns.push(Arc::clone(pattern));
        }
        scopes
    }

    /// The same file, as far as it says nothing.
    pub fn of_nothing(&self) -> Self {
        let (entries, patterns, warnings) = (Vec::new(), Vec::new(), Vec::new());
        Self { entries, patterns, digest: self.digest.clone(), warnings, by_key: BTreeSet::new() }
    }

    /// Whether it speaks of no function at all.
    pub fn says_nothing(&self) -> bool {
        self.entries.is_empty() && self.patterns.is_empty()
    }

    fn list(&mut self, entry: Arc<Entry>) {
        self.by_key.insert(ByKey(Arc::clone(&entry)));
        self.entries.push(entry);
    }

    /// These are the functions that patterns fit, from now on, in the order of a plan. Returns the entries of those that are not
    /// among them any more.
    pub fn match_up(&mut self, matched: Vec<Entry>) -> Vec<Arc<Entry>> {
        let before: Vec<Arc<Entry>> = self.entries.extract_if(.., |entry| entry.pattern.is_some()).collect();
        for entry in &before {
            self.by_key.remove(&entry.key);
        }
        matched.into_iter().for_each(|entry| self.list(Arc::new(entry)));
        before.into_iter().filter(|entry| !self.by_key.contains(&entry.key)).collect()
    }

    /// Reads, parses and resolves a file, or every file of a directory.
    pub fn load(path: &Path, accounts: &Accounts) -> Result<Self, Unusable> {
        Self::of(&Files::read(path, &Allowed::default()), accounts)
    }

    /// The JSON schema of a file.
    pub fn schema() -> serde_json::Value {
        file::schema::<document::Document>("The desired state of lambda-vpc-controller")
    }

    /// What is written: each name and each pattern, and what the file says of it.
    pub fn written(&self) -> impl Iterator<Item = (&str, &Terms)> {
        let named = self.entries.iter().filter(|entry| entry.pattern.is_none());
        let named = named.map(|entry| (entry.key.name.as_str(), &*entry.terms));
        named.chain(self.patterns.iter().map(|pattern| (pattern.name.as_str(), &*pattern.terms)))
    }

    /// Points at observations that are over: legal, but what was to be remembered by then is perhaps forgotten.
    pub fn ended(&self, now: Time) -> Vec<Diagnostic> {
        let over = self.written().filter(|(_, terms)| terms.until.is_some_and(|until| until <= now));
        let told = |(name, terms): (&str, &Terms)| {
            let text = format!("the observation of `{name}` has ended");
            let ended = Diagnostic::warning(&terms.source, &terms.span, text, "is enforced");
            ended.help("take `mode`, `until` and `reason` out, or set a later end")
        };
        over.map(told).collect()
    }

    /// The region of an entry whose account nobody knows yet, since the file leaves it to the credentials.
    pub fn region_of_nobody(&self) -> Option<&Region> {
        self.scopes().find(|scope| scope.account == AccountId::nobody()).map(|scope| &scope.region)
    }

    /// The scopes that it speaks of, more than once where more is said.
    pub fn scopes(&self) -> impl Iterator<Item = &ScopeKey> {
        let named = self.entries.iter().map(|entry| &entry.key.scope);
        named.chain(self.patterns.iter().map(|pattern| &pattern.scope))
    }

    /// What the file says of a function.
    pub fn get(&self, key: &FunctionKey) -> Option<&Arc<Entry>> {
        self.by_key.get(key).map(|ByKey(entry)| entry)
    }
}
