//! From what is written to what it means: names parsed, defaults applied, references to VPCs and accounts resolved.
//!
//! Nothing stops at the first mistake. An entry with a mistake is left out of the result, and since any error makes the
//! whole file unusable, nobody ever sees a state with a hole in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::document::{Defaults, Document, Function, Moment, Selector, Vpc};
use super::{AttachPolicy, Entry, Files, Intent, Pattern, Pick, Terms, Want};
use crate::file::{self, Diagnostic, Field, Report, Source, Span, nearest};
use crate::names::{
    AccountId, FunctionArn, FunctionKey, FunctionName, NameError, NamePattern, Network, PolicyName, Region, Scope,
    SecurityGroupId, SubnetId, Time, VpcId,
};
use crate::settings::Mode;

/// What is known of accounts and regions outside the file.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// The accounts of the settings, by name.
    pub named: BTreeMap<String, AccountId>,
    /// The account of an entry that states none: whoever the credentials belong to.
    pub own: AccountId,
    /// The region of an entry that states none: `AWS_REGION`.
    pub region: Option<Region>,
}

impl Accounts {
    /// For checks without AWS: nobody knows whose the credentials are.
    pub fn without_aws(named: BTreeMap<String, AccountId>, region: Option<Region>) -> Self {
        Self { named, own: AccountId::nobody(), region }
    }

    fn stated(&self, id: &AccountId) -> bool {
        self.named.values().any(|named| named == id)
    }
}

/// What all files say together.
pub(super) struct Resolved {
    pub(super) entries: Vec<Entry>,
    pub(super) patterns: Vec<Arc<Pattern>>,
}

/// The entries and patterns of all files; what is wrong goes into the report.
///
/// Defaults hold within their own file. A VPC's name holds in all of them, so all VPCs are collected first.
pub(super) fn resolve(files: &Files, accounts: &Accounts, report: &mut Report) -> Resolved {
    files.unread().iter().for_each(|unread| report.push(unread.clone()));
    let mut documents: Vec<(&Source, Document, Fallback)> = Vec::new();
    for source in files.sources() {
        let Some(document) = file::read::<Document>(source, report) else { continue };
        let defaults = Resolver { source, accounts, report }.defaults(document.defaults.as_ref());
        documents.push((source, document, defaults));
    }
    let partial = !files.unread().is_empty() || documents.len() < files.sources().len();
    let mut vpcs = Vpcs { by_name: BTreeMap::new(), partial };
    for (source, document, defaults) in &documents {
        Resolver { source, accounts, report }.vpcs(document.vpc.as_ref(), defaults, &mut vpcs);
    }
    let mut entries = Entries::default();
    for (source, document, defaults) in &documents {
        Resolver { source, accounts, report }.functions(document.function.as_ref(), defaults, &vpcs, &mut entries);
    }
    doubtful(files.sources(), &vpcs, &entries, report);
    Resolved { entries: entries.list, patterns: entries.patterns }
}

/// One file's part of the work.
struct Resolver<'a> {
    source: &'a Source,
    accounts: &'a Accounts,
    report: &'a mut Report,
}

/// `[defaults]`, parsed.
#[derive(Default)]
struct Fallback {
    region: Option<Region>,
    account: Option<AccountId>,
    mode: Option<Mode>,
    policies: Option<Arc<[PolicyName]>>,
    attach_policy: Option<AttachPolicy>,
}

/// `[[vpc]]`, parsed. A mistaken one is kept by name alone, so that its functions are not reported as well.
struct NamedVpc {
    source: Source,
    name: Span,
    region: Option<Region>,
    account: Option<AccountId>,
    intent: Option<Arc<Intent>>,
}

/// The VPCs of all files.
struct Vpcs {
    by_name: BTreeMap<String, NamedVpc>,
    /// Whether some may be missing, since a file could not be read.
    partial: bool,
}

/// The functions and patterns so far, and where each stands.
#[derive(Default)]
struct Entries {
    list: Vec<Entry>,
    patterns: Vec<Arc<Pattern>>,
    seen: BTreeMap<(Scope, Named), Arc<Terms>>,
}

/// What an entry is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    One(FunctionName),
    All(NamePattern),
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::One(name) => write!(f, "function `{name}`"),
            Self::All(pattern) => write!(f, "the pattern `{pattern}`"),
        }
    }
}

impl Entries {
    fn add(&mut self, scope: Scope, named: Named, terms: Terms) {
        let terms = Arc::new(terms);
        self.seen.insert((scope.clone(), named.clone()), Arc::clone(&terms));
        match named {
            Named::One(name) => self.list.push(Entry { key: FunctionKey { scope, name }, pattern: None, terms }),
            Named::All(name) => self.patterns.push(Arc::new(Pattern { scope, name, terms })),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Terms>> {
        self.list.iter().map(|entry| &entry.terms).chain(self.patterns.iter().map(|pattern| &pattern.terms))
    }
}

impl<'a> Resolver<'a> {
    fn defaults(&mut self, field: Option<&Field<Defaults>>) -> Fallback {
        let Some(raw) = field.and_then(|field| field.get(self.source, self.report)) else {
            return Fallback::default();
        };
        Fallback {
            region: self.parse(&raw.region, Region::parse),
            account: self.account(&raw.account),
            mode: self.parse(&raw.mode, Mode::parse),
            policies: self.policies(&raw.policies),
            attach_policy: self.parse(&raw.attach_policy, AttachPolicy::parse),
        }
    }

    fn vpcs(&mut self, field: Option<&Field<Vec<Field<Vpc>>>>, defaults: &Fallback, vpcs: &mut Vpcs) {
        for field in self.items(field) {
            let Some(raw) = field.get(self.source, self.report) else { continue };
            let region = self.parse(&raw.region, Region::parse).or_else(|| defaults.region.clone());
            let account = self.account(&raw.account).or_else(|| defaults.account.clone());
            let id = self.required(&raw.id, field.span(), "id", "id = \"vpc-0a1b2c3d4e5f60718\"");
            let id = id.and_then(|id| id.parse(self.source, self.report, |text| VpcId::parse(text)));
            let subnets = self.pick(&raw.subnets, SubnetId::parse, Network::MOST_SUBNETS, "subnets");
            let security_groups = self.pick(
                &raw.security_groups,
                SecurityGroupId::parse,
                Network::MOST_SECURITY_GROUPS,
                "security groups",
            );
            let ipv6 = self.get(&raw.ipv6).copied().unwrap_or_default();
            let Some(name) = self.required(&raw.name, field.span(), "name", "name = \"orders\"") else { continue };
            let Some(text) = name.parse(self.source, self.report, |text| vpc_name(text)) else { continue };
            if let Some(first) = vpcs.by_name.get(&text) {
                let again =
                    Diagnostic::error(self.source, name.span(), format!("VPC `{text}` is defined twice"), "again")
                        .and(&first.source, &first.name, "first here")
                        .help("give one of them another name");
                self.report.push(again);
                continue;
            }
            let intent = match (id, subnets, security_groups) {
                (Some(vpc), Some(subnets), Some(security_groups)) => {
                    Some(Arc::new(Intent { name: Some(text.clone()), vpc, subnets, security_groups, ipv6 }))
                }
                _ => None,
            };
            let source = self.source.clone();
            vpcs.by_name.insert(text, NamedVpc { source, name: name.span().clone(), region, account, intent });
        }
    }

    fn functions(
        &mut self,
        field: Option<&Field<Vec<Field<Function>>>>,
        defaults: &Fallback,
        vpcs: &Vpcs,
        entries: &mut Entries,
    ) {
        for field in self.items(field) {
            let Some(raw) = field.get(self.source, self.report) else { continue };
            let Some((scope, named, terms)) = self.function(raw, field.span(), defaults, vpcs) else { continue };
            match entries.seen.get(&(scope.clone(), named.clone())) {
                None => entries.add(scope, named, terms),
                Some(first) => {
                    let message = format!("{named} is listed twice for {}", self.scope_in_words(&scope));
                    let again = Diagnostic::error(self.source, &terms.span, message, "again here")
                        .and(&first.source, &first.span, "first here")
                        .help("keep one of the two; a function belongs to one place");
                    self.report.push(again);
                }
            }
        }
    }

    fn scope_in_words(&self, scope: &Scope) -> String {
        match scope.account == self.accounts.own {
            true => scope.region.to_string(),
            false => format!("account {} in {}", scope.account, scope.region),
        }
    }

    fn function(
        &mut self,
        raw: &Function,
        span: &Span,
        defaults: &Fallback,
        vpcs: &Vpcs,
    ) -> Option<(Scope, Named, Terms)> {
        let identity = self.identity(raw, span);
        let mode = self.parse(&raw.mode, Mode::parse).or(defaults.mode).unwrap_or(Mode::Enforce);
        let until = self.until(raw, mode);
        let reason = self.get(&raw.reason).cloned();
        self.doubtful_mode(raw, mode);
        let policies = self.policies(&raw.policies).or_else(|| defaults.policies.clone());
        let attach_policy = self.parse(&raw.attach_policy, AttachPolicy::parse).or(defaults.attach_policy);
        let want = self.want(raw, span, vpcs);
        let (named, name_span, arn) = identity?;
        let (want, vpc) = want?;
        let (region, account) = self.location(raw, span, arn, vpc, defaults)?;
        let account_stated = account.is_some() || self.accounts.stated(&self.accounts.own);
        let scope = Scope { account: account.unwrap_or_else(|| self.accounts.own.clone()), region };
        let terms = Terms {
            account_stated,
            want,
            mode,
            until,
            reason,
            policies: policies.unwrap_or_else(|| Arc::from([PolicyName::vpc_access()])),
            attach_policy: attach_policy.unwrap_or_default(),
            source: self.source.clone(),
            span: name_span,
        };
        Some((scope, named, terms))
    }

    /// The function's name, where that stands, and what an ARN says beside it.
    fn identity(&mut self, raw: &Function, span: &Span) -> Option<(Named, Span, Option<Scope>)> {
        match (&raw.name, &raw.arn) {
            (Some(name), Some(arn)) => {
                let text = "a function has either a name or an ARN";
                let both = Diagnostic::error(self.source, arn.span(), text, "the ARN says account, region and name");
                self.report.push(both.and(self.source, name.span(), "and so does this").help("keep one of the two"));
                None
            }
            (Some(name), None) => {
                let named = name.parse(self.source, self.report, |text| function_name(text))?;
                Some((named, name.span().clone(), None))
            }
            (None, Some(arn)) => {
                let FunctionArn { key } = arn.parse(self.source, self.report, |text| FunctionArn::parse(text))?;
                Some((Named::One(key.name), arn.span().clone(), Some(key.scope)))
            }
            (None, None) => {
                self.required::<String>(&None, span, "name", "name = \"orders-api\"");
                None
            }
        }
    }

    fn until(&mut self, raw: &Function, mode: Mode) -> Option<Time> {
        let field = raw.until.as_ref()?;
        if mode != Mode::Observe {
            let text = "`until` says when an observation ends, but this entry is enforced";
            let alone = Diagnostic::error(self.source, field.span(), text, "goes with mode = \"observe\"");
            self.report.push(alone.help("add `mode = \"observe\"`, or leave `until` out"));
        }
        field.parse(self.source, self.report, moment)
    }

    /// Points at an observation that nobody will remember the cause of, and at a cause where nothing is observed.
    fn doubtful_mode(&mut self, raw: &Function, mode: Mode) {
        match (mode, &raw.mode, &raw.reason) {
            (Mode::Enforce, _, Some(reason)) => {
                let text = "`reason` says why a function is only observed, but this entry is enforced";
                let alone = Diagnostic::warning(self.source, reason.span(), text, "goes with mode = \"observe\"");
                self.report.push(alone.help("add `mode = \"observe\"`, or make it a comment"));
            }
            (Mode::Observe, Some(mode), None) if raw.until.is_none() => {
                let text = "this observation has neither an end nor a reason";
                let forgotten = Diagnostic::warning(self.source, mode.span(), text, "observed for ever");
                self.report.push(forgotten.help("add `until = 2027-01-31T00:00:00Z`, or `reason = \"...\"`"));
            }
            (Mode::Enforce | Mode::Observe, ..) => {}
        }
    }

    /// Where the function belongs, and the entry of its VPC.
    fn want<'v>(&mut self, raw: &Function, span: &Span, vpcs: &'v Vpcs) -> Option<(Want, Option<&'v NamedVpc>)> {
        let subnets = self.pick(&raw.subnets, SubnetId::parse, Network::MOST_SUBNETS, "subnets");
        let groups =
            self.pick(&raw.security_groups, SecurityGroupId::parse, Network::MOST_SECURITY_GROUPS, "security groups");
        let example = "vpc = \"orders\", or vpc = \"none\" for a function that must not be in a VPC";
        let field = self.required(&raw.vpc, span, "vpc", example)?;
        let text = field.get(self.source, self.report)?;
        let (subnets, groups) = (subnets?, groups?);
        if text == "none" {
            for at in [raw.subnets.as_ref().map(Field::span), raw.security_groups.as_ref().map(Field::span)] {
                let Some(at) = at else { continue };
                let message = "a function outside every VPC has no subnets and no security groups";
                let both =
                    Diagnostic::error(self.source, at, message, "").and(self.source, field.span(), "not in a VPC");
                self.report.push(both.help("leave this out, or name the VPC"));
            }
            return Some((Want::Detached, None));
        }
        let (base, named) = match vpcs.by_name.get(text) {
            Some(named) => (named.intent.clone()?, Some(named)),
            None => (Arc::new(self.bare_vpc(field, text, vpcs)?), None),
        };
        if matches!((&subnets, &groups), (Pick::Default, Pick::Default)) {
            return Some((Want::Attached(base), named));
        }
        let own = Intent {
            subnets: if matches!(subnets, Pick::Default) { base.subnets.clone() } else { subnets },
            security_groups: if matches!(groups, Pick::Default) { base.security_groups.clone() } else { groups },
            ..(*base).clone()
        };
        Some((Want::Attached(Arc::new(own)), named))
    }

    /// A VPC by its id alone: its private subnets and its default group.
    fn bare_vpc(&mut self, field: &Field<String>, text: &str, vpcs: &Vpcs) -> Option<Intent> {
        if text.starts_with("vpc-") {
            let vpc = field.parse(self.source, self.report, |text| VpcId::parse(text))?;
            return Some(Intent {
                name: None,
                vpc,
                subnets: Pick::Default,
                security_groups: Pick::Default,
                ipv6: false,
            });
        }
        if vpcs.partial {
            return None;
        }
        let unknown = Diagnostic::error(self.source, field.span(), format!("there is no VPC `{text}`"), "not defined");
        let known = vpcs.by_name.keys().map(String::as_str);
        self.report.push(unknown.help(match nearest(text, known.clone().chain(["none"])) {
            Some(near) => format!("did you mean `{near}`?"),
            None if vpcs.by_name.is_empty() => {
                format!("define it: `[[vpc]]` with `name = \"{text}\"` and its `id`, or write the id itself")
            }
            None => format!("the file defines {}", file::listed(known)),
        }));
        None
    }

    /// Region and stated account of a function: its own, its ARN's, its VPC's, the defaults'.
    fn location(
        &mut self,
        raw: &Function,
        span: &Span,
        arn: Option<Scope>,
        vpc: Option<&NamedVpc>,
        defaults: &Fallback,
    ) -> Option<(Region, Option<AccountId>)> {
        let own_region = self.parse(&raw.region, Region::parse);
        let own_account = self.account(&raw.account);
        if (raw.region.is_some() && own_region.is_none()) || (raw.account.is_some() && own_account.is_none()) {
            return None;
        }
        if let Some(arn) = &arn {
            for (field, wrong) in [
                (&raw.region, own_region.as_ref().is_some_and(|region| *region != arn.region)),
                (&raw.account, own_account.as_ref().is_some_and(|account| *account != arn.account)),
            ] {
                if let (Some(field), true) = (field, wrong) {
                    let text = "this is not what the ARN says";
                    let other = Diagnostic::error(self.source, field.span(), text, "differs from the ARN");
                    self.report.push(other.help("leave it out: the ARN says account and region"));
                    return None;
                }
            }
        }
        let (arn_region, arn_account) = arn.map(|scope| (scope.region, scope.account)).unzip();
        let region = own_region.or(arn_region);
        let account = own_account.or(arn_account);
        if let Some(vpc) = vpc {
            let elsewhere = region.is_some() && vpc.region.is_some() && region != vpc.region
                || account.is_some() && vpc.account.is_some() && account != vpc.account;
            if elsewhere {
                let at = raw.region.as_ref().or(raw.account.as_ref()).map_or(span, Field::span);
                let text = "the function is not where its VPC is";
                let other = Diagnostic::error(self.source, at, text, "the function's place").and(
                    &vpc.source,
                    &vpc.name,
                    "the VPC's entry says another account or region",
                );
                self.report.push(other.help("a function can only be attached to a VPC of its own account and region"));
                return None;
            }
        }
        let region = region
            .or_else(|| vpc.and_then(|vpc| vpc.region.clone()))
            .or_else(|| defaults.region.clone())
            .or_else(|| self.accounts.region.clone());
        let account = account.or_else(|| vpc.and_then(|vpc| vpc.account.clone())).or_else(|| defaults.account.clone());
        if region.is_none() {
            let missing = Diagnostic::error(self.source, span, "this function has no region", "no region here");
            let help = "write `region = \"eu-west-1\"` here, in its [[vpc]] or in [defaults], or set AWS_REGION";
            self.report.push(missing.help(help));
        }
        Some((region?, account))
    }

    fn pick<Id: Ord>(
        &mut self,
        field: &Option<Field<Selector>>,
        parse: impl Fn(&str) -> Result<Id, NameError>,
        most: usize,
        what: &str,
    ) -> Option<Pick<Id>> {
        let Some(field) = field else { return Some(Pick::Default) };
        let selector = field.get(self.source, self.report)?;
        let said = [selector.ids.is_some(), selector.names.is_some(), selector.tags.is_some()];
        if said.iter().filter(|said| **said).count() != 1 {
            let text = format!("{what} are picked in one way: by ids, by names or by tags");
            let label = if said.contains(&true) { "more than one way" } else { "nothing is picked" };
            let wrong = Diagnostic::error(self.source, field.span(), text, label);
            self.report.push(wrong.help("for example { ids = [\"...\"] } or { tags = { tier = \"private\" } }"));
            return None;
        }
        let tags = self.get(&selector.tags);
        if let Some(tags) = tags {
            let read: Vec<Option<(String, String)>> = tags
                .iter()
                .map(|(key, value)| Some((key.clone(), value.get(self.source, self.report)?.clone())))
                .collect();
            let tags: BTreeMap<String, String> = read.into_iter().collect::<Option<_>>()?;
            return self.some_of(tags.is_empty(), field, what).then_some(Pick::Tags(tags));
        }
        if let Some(names) = self.get(&selector.names) {
            let read: Vec<Option<String>> =
                names.iter().map(|name| name.get(self.source, self.report).cloned()).collect();
            let names: BTreeSet<String> = read.into_iter().collect::<Option<_>>()?;
            return self.some_of(names.is_empty(), field, what).then_some(Pick::Names(names));
        }
        let ids = self.get(&selector.ids)?;
        let parsed: Vec<Option<Id>> =
            ids.iter().map(|id| id.parse(self.source, self.report, |text| parse(text))).collect();
        let ids: BTreeSet<Id> = parsed.into_iter().collect::<Option<_>>()?;
        if ids.len() > most {
            let text = format!("{} {what}, but Lambda takes at most {most}", ids.len());
            self.report.push(Diagnostic::error(self.source, field.span(), text, "too many"));
            return None;
        }
        self.some_of(ids.is_empty(), field, what).then_some(Pick::Ids(ids))
    }

    fn some_of(&mut self, empty: bool, field: &Field<Selector>, what: &str) -> bool {
        if empty {
            let text = format!("this picks no {what}");
            let wrong = Diagnostic::error(self.source, field.span(), text, "empty");
            self.report.push(wrong.help("leave it out for the default, or say which"));
        }
        !empty
    }

    fn policies(&mut self, field: &Option<Field<Vec<Field<String>>>>) -> Option<Arc<[PolicyName]>> {
        let field = field.as_ref()?;
        let items = field.get(self.source, self.report)?;
        if items.is_empty() {
            let wrong = Diagnostic::error(self.source, field.span(), "this lists no policy", "empty");
            self.report.push(wrong.help("leave it out, or write attach_policy = \"never\" if none shall be attached"));
        }
        Some(
            items
                .iter()
                .filter_map(|item| item.parse(self.source, self.report, |text| PolicyName::parse(text)))
                .collect(),
        )
    }

    fn account(&mut self, field: &Option<Field<String>>) -> Option<AccountId> {
        let field = field.as_ref()?;
        let text = field.get(self.source, self.report)?;
        if let Some(id) = self.accounts.named.get(text) {
            return Some(id.clone());
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return field.parse(self.source, self.report, |text| AccountId::parse(text));
        }
        let text = format!("the settings have no account `{text}`");
        let unknown = Diagnostic::error(self.source, field.span(), text, "not a known name");
        let names = self.accounts.named.keys().map(String::as_str).collect::<Vec<_>>();
        self.report.push(unknown.help(match names.is_empty() {
            true => "write its id (twelve digits), or name it with [[account]] in the settings (--config)".to_owned(),
            false => format!("the settings have {}; an id of twelve digits works too", names.join(", ")),
        }));
        None
    }

    fn items<'f, T>(&mut self, field: Option<&'f Field<Vec<Field<T>>>>) -> &'f [Field<T>] {
        field.and_then(|field| field.get(self.source, self.report)).map(Vec::as_slice).unwrap_or_default()
    }

    fn get<'f, T>(&mut self, field: &'f Option<Field<T>>) -> Option<&'f T> {
        field.as_ref()?.get(self.source, self.report)
    }

    fn parse<U>(
        &mut self,
        field: &Option<Field<String>>,
        parse: impl FnOnce(&str) -> Result<U, NameError>,
    ) -> Option<U> {
        field.as_ref()?.parse(self.source, self.report, |text| parse(text))
    }

    fn required<'f, T>(
        &mut self,
        field: &'f Option<Field<T>>,
        entry: &Span,
        key: &str,
        example: &str,
    ) -> Option<&'f Field<T>> {
        if field.is_none() {
            let missing = Diagnostic::error(self.source, entry, format!("this entry has no `{key}`"), "");
            self.report.push(missing.help(format!("add `{example}`")));
        }
        field.as_ref()
    }
}

/// Points at what is legal but doubtful: VPCs that no function uses, and files that list nothing.
fn doubtful(sources: &[Source], vpcs: &Vpcs, entries: &Entries, report: &mut Report) {
    if report.has_errors() {
        return;
    }
    let used: BTreeSet<&str> = entries
        .all()
        .filter_map(|terms| match &terms.want {
            Want::Attached(intent) => intent.name.as_deref(),
            Want::Detached | Want::Disputed(_) => None,
        })
        .collect();
    for (name, vpc) in vpcs.by_name.iter().filter(|(name, _)| !used.contains(name.as_str())) {
        let text = format!("no function uses the VPC `{name}`");
        report.push(Diagnostic::warning(&vpc.source, &vpc.name, text, "unused"));
    }
    if let (None, Some(first)) = (entries.all().next(), sources.first()) {
        let nothing = Diagnostic::warning(first, &(0..0), "this lists no function", "");
        report.push(nothing.help("every function is then left as it is, and none is looked at"));
    }
}

fn function_name(text: &str) -> Result<Named, NameError> {
    let wrong = |rule| NameError { expected: "a function name", given: text.to_owned(), rule };
    match text {
        _ if NamePattern::is_meant(text) => NamePattern::parse(text).map(Named::All),
        _ if text.starts_with("arn:") => Err(wrong("this is an ARN: write it as `arn = ...`")),
        _ if text.contains('.') => Err(wrong("a function name has letters, digits, hyphens and underscores")),
        _ => FunctionName::parse(text).map(Named::One),
    }
}

/// Parses a name for a VPC: any text that functions can refer to it by.
pub(crate) fn vpc_name(text: &str) -> Result<String, NameError> {
    let wrong = |rule| NameError { expected: "a name for a VPC", given: text.to_owned(), rule };
    match text {
        "" => Err(wrong("it must not be empty")),
        "none" => Err(wrong("\"none\" means not in a VPC: choose another name")),
        _ if text.starts_with("vpc-") => {
            Err(wrong("it looks like an id: choose a name that tells what the VPC is for"))
        }
        _ => Ok(text.to_owned()),
    }
}

fn moment(moment: &Moment) -> Result<Time, NameError> {
    let given = moment.0.to_string();
    match given.parse::<jiff::Timestamp>() {
        Ok(stamp) => Ok(Time(u64::try_from(stamp.as_millisecond()).unwrap_or_default())),
        Err(_) => Err(NameError {
            expected: "a moment",
            given,
            rule: "write date, time and time zone, like 2027-01-31T00:00:00Z",
        }),
    }
}
