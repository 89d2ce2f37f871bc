//! Whatever changes something in AWS is announced in the audit trail before.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// A changing call: what the account saw, or what a record of the audit trail announces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct What {
    pub(crate) operation: &'static str,
    /// The function or the role.
    pub(crate) subject: String,
    pub(crate) detail: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) what: What,
    /// In whole seconds, as the account shows it.
    pub(crate) at: i64,
    pub(crate) accepted: bool,
}

pub(crate) const UPDATE: &str = "UpdateFunctionConfiguration";
pub(crate) const ATTACH: &str = "AttachRolePolicy";

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn second(value: &Value) -> i64 {
    text(value).parse::<jiff::Timestamp>().unwrap().as_second()
}

impl Seen {
    pub(crate) fn of(call: &Value) -> Self {
        let operation = [UPDATE, ATTACH].into_iter().find(|operation| call["operation"] == *operation);
        let operation = operation.unwrap_or_else(|| panic!("nothing else is ever called: {call}"));
        let what = What { operation, subject: text(&call["subject"]), detail: text(&call["detail"]) };
        Self { what, at: second(&call["at"]), accepted: call["refused"].is_null() }
    }
}

impl What {
    pub(crate) fn of_record(record: &Value) -> Self {
        if record["step"] == "attach_policy" {
            let role = text(&record["role"]).rsplit('/').next().unwrap().to_owned();
            return Self { operation: ATTACH, subject: role, detail: text(&record["policy"]) };
        }
        let list = |key: &str| record["after"][key].as_array().unwrap().iter().map(text).collect::<Vec<_>>().join(",");
        let (subnets, groups, ipv6) = (list("subnets"), list("security_groups"), &record["after"]["ipv6"]);
        let detail = format!("VpcConfig subnets={subnets} groups={groups} ipv6={ipv6}");
        Self { operation: UPDATE, subject: text(&record["function"]), detail }
    }
}

/// The records of an audit trail.
pub(crate) fn trail(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    let parsed = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    text.lines().map(parsed).collect()
}

/// Whatever the account saw, also what it refused, had been announced in the trail before: as often, and earlier.
pub(crate) fn assert_announced(changes: &[Seen], trail: &[Value]) {
    let mut announced: BTreeMap<What, Vec<i64>> = BTreeMap::new();
    for record in trail.iter().filter(|record| record["phase"] == "intent") {
        announced.entry(What::of_record(record)).or_default().push(second(&record["time"]));
    }
    let mut seen: BTreeMap<&What, usize> = BTreeMap::new();
    for Seen { what, at, .. } in changes {
        let count = seen.entry(what).or_default();
        *count += 1;
        let before = announced.get(what).into_iter().flatten().filter(|time| **time <= *at).count();
        assert!(before >= *count, "{what:?} came for the {count}. time at {at}, and was announced {before} times");
    }
}
