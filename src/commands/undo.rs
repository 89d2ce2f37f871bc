//! `undo`: the entry that takes back a function's last change. It writes nothing: git stays the only writer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::ExitCode;

use super::{Failure, UndoArgs, exit, print};
use crate::file::nearest;
use crate::names::{AccountId, FunctionName, Network, Region, ScopeKey, VpcId};
use crate::plan::Cause;
use crate::telemetry::audit::{Line, Outcome, Phase, Place, Record, What};

/// As many skipped lines are named; of more it is said how many there are.
const MOST_NAMED: usize = 10;

pub(super) fn run(args: &UndoArgs) -> Result<ExitCode, Failure> {
    let unreadable = |error| Failure::Other(format!("cannot read {}: {error}", args.audit.display()));
    let file = File::open(&args.audit).map_err(unreadable)?;
    let wanted = Wanted { name: &args.function, account: args.account.as_ref(), region: args.region.as_ref() };
    let found = Found::read(BufReader::new(file), wanted.name).map_err(unreadable)?;
    if let Some(text) = found.skipped_in_words(&args.audit) {
        print::tell(&text);
    }
    let entry = found.undo(&wanted).map_err(|text| Failure::Other(format!("{}: {text}", args.audit.display())))?;
    print::out(&entry)?;
    Ok(exit::FINE)
}

/// Which function is asked for.
struct Wanted<'a> {
    name: &'a FunctionName,
    account: Option<&'a AccountId>,
    region: Option<&'a Region>,
}

impl Wanted<'_> {
    fn is_in(&self, scope: &ScopeKey) -> bool {
        self.account.is_none_or(|account| *account == scope.account)
            && self.region.is_none_or(|region| *region == scope.region)
    }
}

/// What a trail tells of the functions of one name.
#[derive(Default)]
struct Found {
    by_scope: BTreeMap<ScopeKey, Vec<Record>>,
    others: BTreeSet<FunctionName>,
    /// Lines that are no records, and lines of another version, by number.
    skipped: Vec<usize>,
    not_understood: Option<(usize, u64)>,
}

impl Found {
    fn read(trail: impl BufRead, name: &FunctionName) -> io::Result<Self> {
        let mut found = Self::default();
        for (at, line) in trail.split(b'\n').enumerate() {
            let line = line?;
            match Line::parse(&line) {
                Line::Record(record) if record.function == *name => {
                    let scope = ScopeKey { account: record.account.clone(), region: record.region.clone() };
                    found.by_scope.entry(scope).or_default().push(*record);
                }
                Line::Record(record) => {
                    found.others.insert(record.function);
                }
                Line::OtherVersion(version) => found.not_understood = Some((at + 1, version)),
                Line::Foreign if line.trim_ascii().is_empty() => {}
                Line::Foreign => found.skipped.push(at + 1),
            }
        }
        Ok(found)
    }

    fn skipped_in_words(&self, path: &Path) -> Option<String> {
        let (path, count) = (path.display(), self.skipped.len());
        let numbers = self.skipped.iter().take(MOST_NAMED).map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match count {
            0 => None,
            1 => Some(format!("{path}: line {numbers} is no audit record and was skipped")),
            _ if count > MOST_NAMED => {
                Some(format!("{path}: {count} lines are no audit records and were skipped: {numbers}, and more"))
            }
            _ => Some(format!("{path}: {count} lines are no audit records and were skipped: {numbers}")),
        }
    }

    /// The entry; or, in words, why there is none.
    fn undo(&self, wanted: &Wanted<'_>) -> Result<String, String> {
        let name = wanted.name;
        if let Some((line, version)) = self.not_understood {
            return Err(format!(
                "line {line} is a record of version {version}, which this program does not understand; what it tells may \
                 be the latest, so use the program that wrote it"
            ));
        }
        let places: Vec<&ScopeKey> = self.by_scope.keys().filter(|scope| wanted.is_in(scope)).collect();
        let scope = match places.as_slice() {
            [scope] => scope,
            [] if self.by_scope.is_empty() => return Err(self.nothing_of(name)),
            [] => return Err(format!("{name} is not told of there, but {}", in_words(self.by_scope.keys()))),
            _ => return Err(format!("{name} is told of in several places; add one of these:{}", as_flags(&places))),
        };
        let records = self.by_scope.get(*scope).map(Vec::as_slice).unwrap_or_default();
        let change = Change::last(records).ok_or_else(|| {
            format!("no change of {name}'s network is told of in {scope}, or all of them were refused: nothing to undo")
        })?;
        if change.before.network.is_attached() && change.before.vpc.is_none() {
            return Err(format!(
                "the record of {} does not say in which VPC {name} was; its subnets were {}: find their VPC with `aws ec2 \
                 describe-subnets`, and write the entry with it",
                change.record.time,
                quoted(change.before.network.subnets.iter())
            ));
        }
        Ok(change.comment(scope) + &policies_comment(records) + &change.entry(scope))
    }

    fn nothing_of(&self, name: &FunctionName) -> String {
        let near = nearest(name.as_str(), self.others.iter().map(FunctionName::as_str));
        match near {
            Some(near) => format!("nothing is told of a function {name}; did you mean {near}?"),
            None => format!("nothing is told of a function {name}"),
        }
    }
}

fn in_words<'a>(scopes: impl Iterator<Item = &'a ScopeKey>) -> String {
    let places = scopes.map(|scope| format!("in account {}, region {}", scope.account, scope.region));
    places.collect::<Vec<_>>().join(", and ")
}

fn as_flags(scopes: &[&ScopeKey]) -> String {
    scopes.iter().map(|scope| format!("\n  --account {} --region {}", scope.account, scope.region)).collect()
}

/// The calls that certainly changed nothing.
fn refused(records: &[Record]) -> BTreeSet<&str> {
    let of_refusals = records.iter().filter(|record| result(record) == Some(Outcome::Refused));
    of_refusals.map(|record| record.id.as_str()).collect()
}

fn result(record: &Record) -> Option<Outcome> {
    match record.phase {
        Phase::Intent => None,
        Phase::Result { result, .. } => Some(result),
    }
}

/// A change of a function's network that was made, or may have been.
struct Change<'a> {
    record: &'a Record,
    before: &'a Place,
    after: &'a Place,
}

impl<'a> Change<'a> {
    /// The last one. An intent without a result counts: whoever was to write it was killed, or the disk was full.
    fn last(records: &'a [Record]) -> Option<Self> {
        let refused = refused(records);
        records.iter().rev().filter(|record| !refused.contains(record.id.as_str())).find_map(|record| {
            match &record.what {
                What::SetVpc { before, after, .. } => Some(Self { record, before, after }),
                What::AttachPolicy { .. } => None,
            }
        })
    }

    fn comment(&self, scope: &ScopeKey) -> String {
        let Record { function, time, cause, file_digest, .. } = self.record;
        let why = match cause {
            Cause::File => "the file asked for it",
            Cause::Live => "somebody had changed the function or its role",
            Cause::Network => "somebody had changed the VPC",
        };
        let mut text = format!(
            "# Takes back the change of {function} in account {}, {}, of {time}.\n\
             # Cause: {} ({why}). SHA-256 of the file:\n\
             # {}\n",
            scope.account,
            scope.region,
            cause.name(),
            file_digest.as_str()
        );
        if result(self.record) != Some(Outcome::Done) {
            text += "# No answer to it is recorded: it may not have been carried out.\n";
        }
        text + "# Put this into the file in place of the function's present entry; keep that one's other keys, such as\n\
               # mode, policies and attach_policy.\n"
    }

    fn entry(&self, scope: &ScopeKey) -> String {
        let (name, Network { ipv6, .. }) = (&self.record.function, &*self.before.network);
        let function = format!(
            "[[function]]\nname = \"{name}\"\naccount = \"{}\"\nregion = \"{}\"\n",
            scope.account, scope.region
        );
        let said = *ipv6 || self.after.network.ipv6;
        match self.before.vpc.as_ref().filter(|_| self.before.network.is_attached()) {
            // What an entry does not say is left as it is.
            Some(vpc) if said => {
                let (vpc, named) = (self.network(vpc), format!("before-{name}"));
                format!("\n[[vpc]]\nname = \"{named}\"\nid = {vpc}ipv6 = {ipv6}\n\n{function}vpc = \"{named}\"\n")
            }
            Some(vpc) => format!("\n{function}vpc = {}", self.network(vpc)),
            None => format!(
                "# It was in no VPC; taking it out again needs `allow_detach = true` under [guard] in the settings.\n\n\
                 {function}vpc = \"none\"\n"
            ),
        }
    }

    /// The VPC's id, and the lines of subnets and groups that follow it.
    fn network(&self, vpc: &VpcId) -> String {
        let Network { subnets, security_groups, .. } = &*self.before.network;
        format!(
            "\"{vpc}\"\nsubnets = {{ ids = [{}] }}\nsecurity_groups = {{ ids = [{}] }}\n",
            quoted(subnets.iter()),
            quoted(security_groups.iter())
        )
    }
}

fn quoted<T: std::fmt::Display>(items: impl Iterator<Item = T>) -> String {
    items.map(|item| format!("\"{item}\"")).collect::<Vec<_>>().join(", ")
}

/// What an entry cannot take back: a policy stays on its role until a person detaches it.
fn policies_comment(records: &[Record]) -> String {
    let refused = refused(records);
    let attached = records.iter().filter(|record| !refused.contains(record.id.as_str()));
    let attached: BTreeSet<_> = attached
        .filter_map(|record| match &record.what {
            What::AttachPolicy { role, policy } => Some((role, policy)),
            What::SetVpc { .. } => None,
        })
        .collect();
    let mut text = String::new();
    if !attached.is_empty() {
        text += "# What was attached to its role for its sake stays there. Where no other function needs it, detach it with\n";
    }
    for (role, policy) in attached {
        let name = &role.key().name;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "#   aws iam detach-role-policy --role-name {name} --policy-arn {policy}");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::desired::{Accounts, DesiredState, Pick, Want};
    use crate::file::Source;
    use crate::names::Digest;

    /// Account and region, as far as they are said.
    type Flags<'a> = (Option<&'a str>, Option<&'a str>);

    const ROLE: &str = "arn:aws:iam::123456789012:role/team/orders-role";
    const POLICY: &str = "arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole";

    fn record(id: &str, function: &str, more: Value) -> Value {
        let mut record = json!({
            "version": 1, "time": "2026-11-23T07:00:00.042Z", "id": id, "phase": "intent", "function": function,
            "account": "123456789012", "region": "eu-west-1", "cause": "file", "file_digest": Digest::of(b"").as_str(),
        });
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        record
    }

    fn place(vpc: Value, subnets: &[&str], ipv6: bool) -> Value {
        let groups = if subnets.is_empty() { json!([]) } else { json!(["sg-11111111", "sg-22222222"]) };
        json!({ "vpc": vpc, "subnets": subnets, "security_groups": groups, "ipv6": ipv6 })
    }

    /// A change to somewhere, from a subnet of this name; from none without one.
    fn set(id: &str, function: &str, from: &str) -> Value {
        let before = match from {
            "" => place(Value::Null, &[], false),
            subnet => place(json!("vpc-11111111"), &[subnet, "subnet-99999999"], false),
        };
        let after = place(json!("vpc-22222222"), &["subnet-after"], false);
        record(id, function, json!({ "step": "set_vpc", "before": before, "after": after, "revision": null }))
    }

    fn attach(id: &str) -> Value {
        record(id, "orders-api", json!({ "step": "attach_policy", "role": ROLE, "policy": POLICY }))
    }

    fn ended(intent: &Value, result: &str) -> Value {
        let mut record = intent.clone();
        let more = json!({ "phase": "result", "result": result, "duration_ms": 4, "request_id": null });
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        record
    }

    fn at(mut record: Value, account: &str, region: &str) -> Value {
        record["account"] = json!(account);
        record["region"] = json!(region);
        record
    }

    fn undo(lines: &[Value], flags: Flags<'_>) -> Result<String, String> {
        undo_text(&lines.iter().map(|line| format!("{line}\n")).collect::<String>(), flags)
    }

    fn undo_text(trail: &str, (account, region): Flags<'_>) -> Result<String, String> {
        let name = FunctionName::parse("orders-api").unwrap();
        let account = account.map(|id| AccountId::parse(id).unwrap());
        let region = region.map(|region| Region::parse(region).unwrap());
        let wanted = Wanted { name: &name, account: account.as_ref(), region: region.as_ref() };
        Found::read(trail.as_bytes(), &name).unwrap().undo(&wanted)
    }

    /// VPC, subnets and groups, and IPv6.
    type Wanting = (String, Vec<String>, Vec<String>, Option<bool>);

    /// What the one entry of a printed text wants.
    #[track_caller]
    fn wants(text: &str) -> Option<Wanting> {
        let source = Source::from_bytes(Path::new("undo.toml"), text.into()).unwrap();
        let state = DesiredState::check(&source, &Accounts::without_aws(BTreeMap::new(), None));
        let state = state.unwrap_or_else(|unusable| panic!("{}\n{text}", unusable.render(false)));
        assert!(state.warnings.is_empty(), "{text}");
        let [entry] = state.entries.as_slice() else { panic!("one entry: {text}") };
        assert!(entry.terms.account_stated, "{text}");
        let Want::Attached(intent) = &entry.terms.want else { return None };
        let (Pick::Ids(subnets), Pick::Ids(groups)) = (&intent.subnets, &intent.security_groups) else {
            panic!("by ids: {text}")
        };
        Some((
            intent.vpc.to_string(),
            subnets.iter().map(ToString::to_string).collect(),
            groups.iter().map(ToString::to_string).collect(),
            intent.ipv6,
        ))
    }

    #[test]
    fn the_last_change_that_was_or_may_have_been_made_is_taken_back() {
        let [a, b, c] = [("1", "subnet-aaaaaaaa"), ("2", "subnet-bbbbbbbb"), ("3", "subnet-cccccccc")]
            .map(|(id, from)| set(id, "orders-api", from));
        let other = set("4", "orders-worker", "subnet-dddddddd");
        let cases: &[(&str, Vec<Value>, &str)] = &[
            ("done", vec![a.clone(), ended(&a, "done")], "subnet-aaaaaaaa"),
            ("the latest", vec![a.clone(), ended(&a, "done"), b.clone(), ended(&b, "done")], "subnet-bbbbbbbb"),
            ("refused", vec![a.clone(), ended(&a, "done"), b.clone(), ended(&b, "refused")], "subnet-aaaaaaaa"),
            ("unanswered", vec![a.clone(), ended(&a, "done"), b.clone(), ended(&b, "unanswered")], "subnet-bbbbbbbb"),
            ("no result", vec![a.clone(), ended(&a, "done"), b.clone()], "subnet-bbbbbbbb"),
            ("no result, then refused", vec![a.clone(), b.clone(), ended(&b, "refused")], "subnet-aaaaaaaa"),
            ("its intent is in an older file", vec![ended(&c, "done")], "subnet-cccccccc"),
            (
                "another function",
                vec![a.clone(), ended(&a, "done"), other.clone(), ended(&other, "done")],
                "subnet-aaaaaaaa",
            ),
            ("a policy after it", vec![a.clone(), ended(&a, "done"), attach("5")], "subnet-aaaaaaaa"),
        ];
        for (name, lines, subnet) in cases {
            let text = undo(lines, (None, None)).unwrap();
            let groups = ["sg-11111111", "sg-22222222"].map(str::to_owned).to_vec();
            let subnets = vec!["subnet-99999999".to_owned(), (*subnet).to_owned()];
            assert_eq!(wants(&text), Some(("vpc-11111111".to_owned(), subnets, groups, None)), "{name}");
            let unsure = lines.last() != Some(&ended(&b, "done")) && text.contains("may not have been carried out");
            let open = ["unanswered", "no result", "no result, then refused"].contains(name);
            assert_eq!(unsure, open, "{name}: {text}");
        }
    }

    #[test]
    fn where_it_was_in_no_vpc_the_entry_says_none_and_what_that_needs() {
        let text = undo(&[set("1", "orders-api", "")], (None, None)).unwrap();
        assert_eq!(wants(&text), None);
        assert!(text.contains("vpc = \"none\"") && text.contains("allow_detach"), "{text}");
    }

    #[test]
    fn where_ipv6_was_allowed_before_or_after_the_vpc_has_an_entry_of_its_own() {
        // Where it was not allowed, and the change allowed it, the entry has to say so: what it leaves out is kept.
        for (name, before, after) in [
            ("orders-api", true, false),
            ("vpc-orders", true, false),
            ("orders-api", false, true),
            ("orders-api", true, true),
        ] {
            let mut change = set("1", name, "");
            change["before"] = place(json!("vpc-11111111"), &["subnet-aaaaaaaa"], before);
            change["after"] = place(json!("vpc-11111111"), &["subnet-bbbbbbbb"], after);
            let function = FunctionName::parse(name).unwrap();
            let wanted = Wanted { name: &function, account: None, region: None };
            let text = Found::read(change.to_string().as_bytes(), &function).unwrap().undo(&wanted).unwrap();
            let groups = ["sg-11111111", "sg-22222222"].map(str::to_owned).to_vec();
            assert_eq!(
                wants(&text),
                Some(("vpc-11111111".to_owned(), vec!["subnet-aaaaaaaa".to_owned()], groups, Some(before)))
            );
        }
    }

    #[test]
    fn the_entry_says_what_it_takes_back_and_what_stays() {
        let mut change = set("1", "orders-api", "subnet-aaaaaaaa");
        change["cause"] = json!("live");
        let lines = [attach("2"), ended(&attach("2"), "done"), attach("3"), change.clone(), ended(&change, "done")];
        let text = undo(&lines, (None, None)).unwrap();
        let digest = Digest::of(b"");
        for words in
            ["2026-11-23T07:00:00Z", "Cause: live (somebody had changed the function", digest.as_str(), "in place of"]
        {
            assert!(text.contains(words), "`{words}` is missing in:\n{text}");
        }
        let detach = format!("aws iam detach-role-policy --role-name orders-role --policy-arn {POLICY}\n");
        assert_eq!(text.matches(&detach).count(), 1, "once for two tries:\n{text}");
        let without = undo(&[attach("2"), ended(&attach("2"), "refused"), change], (None, None)).unwrap();
        assert!(!without.contains("detach-role-policy"), "it never was attached:\n{without}");
    }

    #[test]
    fn a_function_in_several_places_must_be_told_which() {
        let here = set("1", "orders-api", "subnet-aaaaaaaa");
        let there = at(set("2", "orders-api", "subnet-bbbbbbbb"), "222222222222", "us-east-1");
        let lines = [here, there];
        let text = undo(&lines, (None, None)).unwrap_err();
        for words in ["--account 123456789012 --region eu-west-1", "--account 222222222222 --region us-east-1"] {
            assert!(text.contains(words), "{text}");
        }
        for (flags, subnet) in [
            ((Some("123456789012"), None), "subnet-aaaaaaaa"),
            ((None, Some("us-east-1")), "subnet-bbbbbbbb"),
            ((Some("222222222222"), Some("us-east-1")), "subnet-bbbbbbbb"),
        ] {
            assert!(undo(&lines, flags).unwrap().contains(subnet));
        }
    }

    #[test]
    fn where_there_is_nothing_to_take_back_that_is_said() {
        let refused = set("1", "orders-api", "subnet-aaaaaaaa");
        let mut homeless = refused.clone();
        homeless["before"]["vpc"] = Value::Null;
        let mut newer = refused.clone();
        newer["version"] = json!(2);
        let cases: &[(Vec<Value>, Flags<'_>, &str)] = &[
            (vec![], (None, None), "nothing is told of a function orders-api"),
            (vec![set("1", "orders-apis", "")], (None, None), "did you mean orders-apis?"),
            (vec![refused.clone()], (None, Some("us-east-1")), "in account 123456789012, region eu-west-1"),
            (vec![refused.clone(), ended(&refused, "refused")], (None, None), "nothing to undo"),
            (vec![attach("1")], (None, None), "nothing to undo"),
            (vec![homeless], (None, None), "describe-subnets"),
            (vec![refused, newer], (None, None), "line 2 is a record of version 2"),
        ];
        for (lines, flags, words) in cases {
            let text = undo(lines, *flags).unwrap_err();
            assert!(text.contains(words), "`{words}` is missing in: {text}");
        }
    }

    #[test]
    fn lines_that_are_no_records_are_skipped_and_named() {
        let change = set("1", "orders-api", "subnet-aaaaaaaa").to_string();
        let name = FunctionName::parse("orders-api").unwrap();
        for (trail, said) in [
            (format!("{change}\n"), None),
            (format!("{change}\n\n"), None),
            (format!("{change}\n{}", &change[..50]), Some("t: line 2 is no audit record and was skipped")),
            (
                format!("\u{0}\u{7f}\nnot json\n{change}\n"),
                Some("t: 2 lines are no audit records and were skipped: 1, 2"),
            ),
            (format!("{}{change}\n", "x\n".repeat(11)), Some("skipped: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, and more")),
        ] {
            let found = Found::read(trail.as_bytes(), &name).unwrap();
            let text = found.skipped_in_words(Path::new("t"));
            assert_eq!(text.is_some(), said.is_some(), "{text:?}");
            assert!(text.unwrap_or_default().ends_with(said.unwrap_or_default()));
            assert!(undo_text(&trail, (None, None)).unwrap().contains("subnet-aaaaaaaa"));
        }
    }
}
