//! From what is written to what it means: names parsed, defaults applied, references to VPCs and accounts resolved.
//!
//! Nothing stops at the first mistake. An entry with a mistake is left out of the result, and since any error makes the
//! whole file unusable, nobody ever sees a state with a hole in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::document::{Defaults, Document, Function, Vpc};
use super::words::{Named, function_name, moment, reason, vpc_name};
use super::{Accounts, AttachPolicy, Egress, Entry, Files, Intent, Pattern, Pick, Terms, Want, pick};
use crate::file::{self, Diagnostic, Field, Reader, Report, Source, Span, nearest};
use crate::names::{AccountId, FunctionArn, FunctionKey, NamePattern, Once, PolicyName, Region, ScopeKey, Time, VpcId};
use crate::settings::Mode;

/// IAM lets no role have more managed policies, however high its quota is raised.
const MOST_POLICIES: usize = 25;

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
        let defaults = Resolver::new(source, accounts, report).defaults(&document.defaults);
        documents.push((source, document, defaults));
    }
    let partial = !files.unread().is_empty() || documents.len() < files.sources().len();
    let mut vpcs = Vpcs { by_name: BTreeMap::new(), partial };
    for (source, document, defaults) in &documents {
        Resolver::new(source, accounts, report).vpcs(&document.vpc, defaults, &mut vpcs);
    }
    let mut entries = Entries::default();
    for (source, document, defaults) in &documents {
        Resolver::new(source, accounts, report).functions(&document.function, defaults, &vpcs, &mut entries);
    }
    doubtful(files.sources(), &vpcs, &entries, report);
    Resolved { entries: entries.list, patterns: entries.patterns }
}

/// One file's part of the work.
struct Resolver<'a> {
    accounts: &'a Accounts,
    reader: Reader<'a>,
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
    seen: BTreeMap<(ScopeKey, Named), Arc<Terms>>,
    // Thousands of entries ask for one place and the same policies.
    intents: Once<Arc<Intent>>,
    policies: Once<Arc<[PolicyName]>>,
}

impl Entries {
    fn add(&mut self, scope: ScopeKey, named: Named, except: Arc<[NamePattern]>, terms: Terms) {
        let want = match terms.want {
            Want::Attached(intent) => Want::Attached(self.intents.of(intent)),
            other => other,
        };
        let terms = Terms { want, policies: self.policies.of(terms.policies), ..terms };
        let terms = Arc::new(terms);
        self.seen.insert((scope.clone(), named.clone()), Arc::clone(&terms));
        match named {
            Named::One(name) => self.list.push(Entry { key: FunctionKey { scope, name }, pattern: None, terms }),
            Named::All(name) => self.patterns.push(Arc::new(Pattern { scope, name, except, terms })),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Terms>> {
        self.list.iter().map(|entry| &entry.terms).chain(self.patterns.iter().map(|pattern| &pattern.terms))
    }
}

impl<'a> Resolver<'a> {
    fn new(source: &'a Source, accounts: &'a Accounts, report: &'a mut Report) -> Self {
        Self { accounts, reader: Reader::new(source, report) }
    }

    fn defaults(&mut self, field: &Option<Field<Defaults>>) -> Fallback {
        let Some(raw) = self.reader.get(field) else { return Fallback::default() };
        Fallback {
            region: self.region(&raw.region),
            account: self.account(&raw.account),
            mode: self.reader.parse(&raw.mode, Mode::parse),
            policies: self.policies(&raw.policies),
            attach_policy: self.reader.parse(&raw.attach_policy, AttachPolicy::parse),
        }
    }

    fn vpcs(&mut self, field: &Option<Field<Vec<Field<Vpc>>>>, defaults: &Fallback, vpcs: &mut Vpcs) {
        for field in self.reader.items(field) {
            let Some(raw) = field.get(&mut self.reader) else { continue };
            let region = self.region(&raw.region).or_else(|| defaults.region.clone());
            let account = self.account(&raw.account).or_else(|| defaults.account.clone());
            let id = self.reader.required(&raw.id, field.span(), "id", "id = \"vpc-0a1b2c3d4e5f60718\"");
            let id = id.and_then(|id| self.reader.id(id, VpcId::parse));
            let subnets = pick::subnets(&mut self.reader, &raw.subnets);
            let security_groups = pick::security_groups(&mut self.reader, &raw.security_groups);
            let ipv6 = self.reader.get(&raw.ipv6).copied();
            let egress = self.reader.parse(&raw.egress, Egress::parse).unwrap_or_default();
            let Some(name) = self.reader.required(&raw.name, field.span(), "name", "name = \"orders\"") else {
                continue;
            };
            let Some(text) = name.parse(&mut self.reader, vpc_name) else { continue };
            if let Some(first) = vpcs.by_name.get(&text) {
                let again = self
                    .reader
                    .error(name.span(), format!("VPC `{text}` is defined twice"), "again")
                    .and(&first.source, &first.name, "first here")
                    .help("give one of them another name");
                self.report(again);
                continue;
            }
            let intent = match (id, subnets, security_groups) {
                (Some(vpc), Some(subnets), Some(security_groups)) => {
                    Some(Arc::new(Intent { name: Some(text.clone()), vpc, subnets, security_groups, ipv6, egress }))
                }
                _ => None,
            };
            let source = self.reader.source.clone();
            vpcs.by_name.insert(text, NamedVpc { source, name: name.span().clone(), region, account, intent });
        }
    }

    fn functions(
        &mut self,
        field: &Option<Field<Vec<Field<Function>>>>,
        defaults: &Fallback,
        vpcs: &Vpcs,
        entries: &mut Entries,
    ) {
        for field in self.reader.items(field) {
            let Some(raw) = field.get(&mut self.reader) else { continue };
            let except = self.except(raw);
            let Some((scope, named, terms)) = self.function(raw, field.span(), defaults, vpcs) else { continue };
            match entries.seen.get(&(scope.clone(), named.clone())) {
                None => entries.add(scope, named, except, terms),
                Some(first) => {
                    let message = format!("{named} is listed twice for {}", self.scope_in_words(&scope));
                    let again = self
                        .reader
                        .error(&terms.span, message, "again here")
                        .and(&first.source, &first.span, "first here")
                        .help("keep one of the two; a function belongs to one place");
                    self.report(again);
                }
            }
        }
    }

    fn scope_in_words(&self, scope: &ScopeKey) -> String {
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
    ) -> Option<(ScopeKey, Named, Terms)> {
        let identity = self.identity(raw, span);
        let mode = self.reader.parse(&raw.mode, Mode::parse).or(defaults.mode).unwrap_or(Mode::Enforce);
        let until = self.until(raw, mode);
        let reason = self.reader.parse(&raw.reason, reason);
        self.doubtful_mode(raw, mode);
        let policies = self.policies(&raw.policies).or_else(|| defaults.policies.clone());
        let attach_policy = self.reader.parse(&raw.attach_policy, AttachPolicy::parse).or(defaults.attach_policy);
        let want = self.want(raw, span, vpcs);
        let (Some((named, name_span, arn)), Some((want, vpc))) = (identity, want) else {
            // What is wrong with these is told as well.
            let _ = (self.region(&raw.region), self.account(&raw.account));
            return None;
        };
        let (region, account) = self.location(raw, span, arn, vpc, defaults)?;
        let account_stated = account.is_some() || self.accounts.stated(&self.accounts.own);
        let scope = ScopeKey { account: account.unwrap_or_else(|| self.accounts.own.clone()), region };
        let terms = Terms {
            account_stated,
            want,
            mode,
            until,
            reason,
            policies: policies.unwrap_or_else(|| Arc::from([PolicyName::vpc_access()])),
            attach_policy: attach_policy.unwrap_or_default(),
            source: self.reader.source.clone(),
            span: name_span,
        };
        Some((scope, named, terms))
    }

    /// The function's name, where that stands, and what an ARN says beside it.
    fn identity(&mut self, raw: &Function, span: &Span) -> Option<(Named, Span, Option<ScopeKey>)> {
        match (&raw.name, &raw.arn) {
            (Some(name), Some(arn)) => {
                let text = "a function has either a name or an ARN";
                let both = self.reader.error(arn.span(), text, "the ARN says account, region and name");
                self.report(both.and(self.reader.source, name.span(), "and so does this").help("keep one of the two"));
                None
            }
            (Some(name), None) => {
                let named = name.parse(&mut self.reader, function_name)?;
                Some((named, name.span().clone(), None))
            }
            (None, Some(arn)) => {
                let FunctionArn { key } = arn.parse(&mut self.reader, FunctionArn::parse)?;
                self.reader.known_region(arn.span(), key.scope.region.clone(), &self.accounts.new_regions)?;
                Some((Named::One(key.name), arn.span().clone(), Some(key.scope)))
            }
            (None, None) => {
                self.reader.required::<String>(&None, span, "name", "name = \"orders-api\"");
                None
            }
        }
    }

    /// What a pattern does not mean.
    fn except(&mut self, raw: &Function) -> Arc<[NamePattern]> {
        let Some(field) = &raw.except else { return Arc::default() };
        let name = raw.name.as_ref().and_then(|name| name.get(&mut self.reader));
        if !name.is_some_and(|name| NamePattern::is_meant(name)) {
            let text = "`except` leaves functions out of a pattern, but this entry names one function";
            let alone = self.reader.error(field.span(), text, "goes with a pattern");
            self.report(alone.help("leave it out, or write a pattern as the name: name = \"orders-*\""));
        }
        self.reader.list(&raw.except, NamePattern::parse).unwrap_or_default().into()
    }

    fn until(&mut self, raw: &Function, mode: Mode) -> Option<Time> {
        let field = raw.until.as_ref()?;
        if mode != Mode::Observe {
            let text = "`until` says when an observation ends, but this entry is enforced";
            let alone = self.reader.error(field.span(), text, "goes with mode = \"observe\"");
            self.report(alone.help("add `mode = \"observe\"`, or leave `until` out"));
        }
        field.parse(&mut self.reader, moment)
    }

    /// Points at an observation that nobody will remember the cause of, and at a cause where nothing is observed.
    fn doubtful_mode(&mut self, raw: &Function, mode: Mode) {
        match (mode, &raw.mode, &raw.reason) {
            (Mode::Enforce, _, Some(reason)) => {
                let text = "`reason` says why a function is only observed, but this entry is enforced";
                let alone = self.reader.warning(reason.span(), text, "goes with mode = \"observe\"");
                self.report(alone.help("add `mode = \"observe\"`, or make it a comment"));
            }
            (Mode::Observe, Some(mode), None) if raw.until.is_none() => {
                let text = "this observation has neither an end nor a reason";
                let forgotten = self.reader.warning(mode.span(), text, "observed for ever");
                self.report(forgotten.help("add `until = 2027-01-31T00:00:00Z`, or `reason = \"...\"`"));
            }
            (Mode::Enforce | Mode::Observe, ..) => {}
        }
    }

    /// Where the function belongs, and the entry of its VPC.
    fn want<'v>(&mut self, raw: &Function, span: &Span, vpcs: &'v Vpcs) -> Option<(Want, Option<&'v NamedVpc>)> {
        let subnets = pick::subnets(&mut self.reader, &raw.subnets);
        let groups = pick::security_groups(&mut self.reader, &raw.security_groups);
        let example = "vpc = \"orders\", or vpc = \"none\" for a function that must not be in a VPC";
        let field = self.reader.required(&raw.vpc, span, "vpc", example)?;
        let text = field.get(&mut self.reader)?;
        let (subnets, groups) = (subnets?, groups?);
        if text == "none" {
            for at in [raw.subnets.as_ref().map(Field::span), raw.security_groups.as_ref().map(Field::span)] {
                let Some(at) = at else { continue };
                let message = "a function outside every VPC has no subnets and no security groups";
                let both = self.reader.error(at, message, "").and(self.reader.source, field.span(), "not in a VPC");
                self.report(both.help("leave this out, or name the VPC"));
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
            let vpc = self.reader.id(field, VpcId::parse)?;
            return Some(Intent {
                name: None,
                vpc,
                subnets: Pick::Default,
                security_groups: Pick::Default,
                ipv6: None,
                egress: Egress::Any,
            });
        }
        if vpcs.partial {
            return None;
        }
        let unknown = self.reader.error(field.span(), format!("there is no VPC `{text}`"), "not defined");
        let known = vpcs.by_name.keys().map(String::as_str);
        self.report(unknown.help(match nearest(text, known.clone().chain(["none"])) {
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
        arn: Option<ScopeKey>,
        vpc: Option<&NamedVpc>,
        defaults: &Fallback,
    ) -> Option<(Region, Option<AccountId>)> {
        let own_region = self.region(&raw.region);
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
                    let other = self.reader.error(field.span(), text, "differs from the ARN");
                    self.report(other.help("leave it out: the ARN says account and region"));
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
                let other = self.reader.error(at, text, "the function's place").and(
                    &vpc.source,
                    &vpc.name,
                    "the VPC's entry says another account or region",
                );
                self.report(other.help("a function can only be attached to a VPC of its own account and region"));
                return None;
            }
        }
        let region = region
            .or_else(|| vpc.and_then(|vpc| vpc.region.clone()))
            .or_else(|| defaults.region.clone())
            .or_else(|| self.accounts.region.clone());
        let account = account.or_else(|| vpc.and_then(|vpc| vpc.account.clone())).or_else(|| defaults.account.clone());
        if region.is_none() {
            let missing = self.reader.error(span, "this function has no region", "no region here");
            let help = "write `region = \"eu-west-1\"` here, in its [[vpc]] or in [defaults], or set AWS_REGION";
            self.report(missing.help(help));
        }
        Some((region?, account))
    }

    fn policies(&mut self, field: &Option<Field<Vec<Field<String>>>>) -> Option<Arc<[PolicyName]>> {
        let policies = self.reader.list(field, PolicyName::parse)?;
        if let (Some(field), []) = (field, self.reader.items(field)) {
            let wrong = self.reader.error(field.span(), "this lists no policy", "empty");
            self.report(wrong.help("leave it out, or write attach_policy = \"never\" if none shall be attached"));
        }
        if let (Some(field), true) = (field, policies.len() > MOST_POLICIES) {
            let text = format!("{} policies, but a role can have at most {MOST_POLICIES}", policies.len());
            self.report(self.reader.error(field.span(), text, "too many"));
        }
        Some(policies.into())
    }

    fn region(&mut self, field: &Option<Field<String>>) -> Option<Region> {
        self.reader.region(field, &self.accounts.new_regions)
    }

    fn account(&mut self, field: &Option<Field<String>>) -> Option<AccountId> {
        let field = field.as_ref()?;
        match self.accounts.find(field.get(&mut self.reader)?) {
            Ok(id) => Some(id),
            Err(none) => {
                let unknown = self.reader.error(field.span(), none.to_string(), none.label());
                self.report(match none.help() {
                    Some(help) => unknown.help(help),
                    None => unknown,
                });
                None
            }
        }
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.reader.report.push(diagnostic);
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
