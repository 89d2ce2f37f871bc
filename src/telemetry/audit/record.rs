//! The shape of the audit trail's lines. Programs read it: what changes its meaning changes [`VERSION`].

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::apply::{Answered, Call, Order};
use crate::cloud::{Class, CloudError};
use crate::names::{
    AccountId, Digest, FunctionKey, FunctionName, Network, PolicyArn, Region, RevisionId, RoleArn, ScopeKey, Time,
    VpcId, milliseconds, moment,
};
use crate::plan::{Cause, Step};

/// The version of the shape.
const VERSION: u32 = 1;

/// One line: a call that is about to be made, or what came of it. Both say in full what the call is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    version: u32,
    /// When it was written, in UTC, to the millisecond.
    #[serde(with = "moment")]
    pub time: Time,
    /// The call: the same in its intent and its result.
    pub id: String,
    /// Before or after.
    #[serde(flatten)]
    pub phase: Phase,
    /// The function for whose sake it is made.
    pub function: FunctionName,
    /// The function's account.
    pub account: AccountId,
    /// The function's region.
    pub region: Region,
    /// What the call changes.
    #[serde(flatten)]
    pub what: What,
    /// Why live and desired differed.
    pub cause: Cause,
    /// The SHA-256 of the file that asked for it.
    pub file_digest: Digest,
}

/// Whether the call is yet to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// It is about to be made.
    Intent,
    /// It has ended.
    Result {
        /// How.
        result: Outcome,
        /// How long AWS took.
        duration_ms: u64,
        /// The id under which AWS's support finds the call; none where no answer told one.
        request_id: Option<String>,
        /// What went wrong.
        #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
        error: Option<Error>,
    },
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// AWS accepted it.
    Done,
    /// AWS refused it, or it was never sent: nothing was changed.
    Refused,
    /// No answer came that settles it: it may or may not have been carried out.
    Unanswered,
}

/// What AWS said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Error {
    class: Class,
    code: String,
    text: String,
}

/// What a call changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum What {
    /// A function's network.
    SetVpc {
        /// What it had.
        before: Place,
        /// What it shall have.
        after: Place,
        /// The revision that `before` was read at.
        revision: Option<RevisionId>,
    },
    /// A role's policies.
    AttachPolicy {
        role: RoleArn,
        /// The policy that it gets.
        policy: PolicyArn,
    },
}

/// A network, and the VPC that it is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The VPC; none where there is none, or where nobody told it.
    pub vpc: Option<VpcId>,
    /// The network.
    #[serde(flatten)]
    pub network: Arc<Network>,
}

impl Record {
    /// The record of a call that is about to be made.
    pub fn intent(call: &Call<'_>) -> Self {
        Self::of(call, call.at, Phase::Intent)
    }

    /// The record of what came of a call.
    pub fn result(call: &Call<'_>, answered: &Answered) -> Self {
        Self::of(call, answered.at, Phase::of(answered))
    }

    fn of(call: &Call<'_>, time: Time, phase: Phase) -> Self {
        let Order { pass: _, step, cause, digest, was_in: _, goes_into: _ } = call.order;
        let FunctionKey { scope: ScopeKey { account, region }, name } = step.key().clone();
        let (id, what) = (call.id.clone(), What::of(call.order));
        let (cause, file_digest) = (*cause, digest.clone());
        Self { version: VERSION, time, id, phase, function: name, account, region, what, cause, file_digest }
    }

    /// The record as a line, with its end.
    pub fn line(&self) -> std::io::Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }
}

impl Phase {
    fn of(answered: &Answered) -> Self {
        let duration_ms = milliseconds(answered.took);
        let (result, request_id, error) = match &answered.answer {
            Ok(receipt) => (Outcome::Done, receipt.request_id.clone(), None),
            Err(error) => (Outcome::of(error.class), error.request_id.clone(), Some(Error::of(error))),
        };
        Self::Result { result, duration_ms, request_id, error }
    }
}

impl Outcome {
    fn of(class: Class) -> Self {
        match class {
            Class::Unreachable | Class::Timeout | Class::Server | Class::Malformed => Self::Unanswered,
            _ => Self::Refused,
        }
    }
}

impl Error {
    fn of(error: &CloudError) -> Self {
        let CloudError { class, code, text, .. } = error;
        Self { class: *class, code: code.clone(), text: text.clone() }
    }
}

impl What {
    fn of(order: &Order) -> Self {
        match &order.step {
            Step::SetVpc { from, to, revision, .. } => Self::SetVpc {
                before: Place { vpc: order.was_in.clone(), network: from.clone() },
                after: Place { vpc: order.goes_into.clone(), network: to.clone() },
                revision: revision.clone(),
            },
            Step::AttachPolicy { role, policy, .. } => {
                Self::AttachPolicy { role: role.clone(), policy: policy.clone() }
            }
        }
    }
}

/// What a line of a file turns out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    Record(Box<Record>),
    /// A record of another version, which this program does not understand.
    OtherVersion(u64),
    /// Something else: a line that a crash cut off, or that another program wrote.
    Foreign,
}

impl Line {
    /// Reads a line.
    pub fn parse(bytes: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Versioned {
            version: u64,
            #[serde(rename = "phase")]
            _phase: String,
        }
        match serde_json::from_slice::<Versioned>(bytes) {
            Ok(Versioned { version, .. }) if version != u64::from(VERSION) => Self::OtherVersion(version),
            Ok(_) => serde_json::from_slice(bytes).map_or(Self::Foreign, |record| Self::Record(Box::new(record))),
            Err(_) => Self::Foreign,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::cloud::{Operation, Receipt};
    use crate::names::{SecurityGroupId, SubnetId};

    fn key() -> FunctionKey {
        let scope = ScopeKey {
            account: AccountId::parse("123456789012").unwrap(),
            region: Region::parse("eu-west-1").unwrap(),
        };
        FunctionKey { scope, name: FunctionName::parse("orders-api").unwrap() }
    }

    fn order(step: Step) -> Order {
        let vpc = VpcId::parse("vpc-1").unwrap();
        Order { pass: 1, step, cause: Cause::Live, digest: Digest::of(b"file"), was_in: None, goes_into: Some(vpc) }
    }

    fn set_vpc() -> Order {
        let to = Network {
            subnets: ["subnet-2", "subnet-1"].map(|id| SubnetId::parse(id).unwrap()).into(),
            security_groups: [SecurityGroupId::parse("sg-1").unwrap()].into(),
            ipv6: true,
        };
        order(Step::SetVpc {
            key: key(),
            from: Arc::default(),
            to: Arc::new(to),
            revision: RevisionId::parse("r1").ok(),
        })
    }

    fn attach_policy() -> Order {
        let role = RoleArn::parse("arn:aws:iam::123456789012:role/team/orders").unwrap();
        let policy = PolicyArn::parse("arn:aws:iam::aws:policy/service-role/X").unwrap();
        order(Step::AttachPolicy { key: key(), role, policy })
    }

    fn call(order: &Order) -> Call<'_> {
        Call { id: "c1".to_owned(), at: Time(1_795_417_200_042), order }
    }

    fn value(record: &Record) -> Value {
        let line = record.line().unwrap();
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert_eq!(
            match Line::parse(line.trim_end().as_bytes()) {
                Line::Record(read) => read.line().unwrap(),
                other => panic!("{other:?}"),
            },
            Record { phase: without_error(&record.phase), ..record.clone() }.line().unwrap(),
            "what is read is what was written"
        );
        serde_json::from_str(&line).unwrap()
    }

    /// Errors are written for people and programs outside; this program does not read them.
    fn without_error(phase: &Phase) -> Phase {
        match phase.clone() {
            Phase::Result { result, duration_ms, request_id, .. } => {
                Phase::Result { result, duration_ms, request_id, error: None }
            }
            Phase::Intent => Phase::Intent,
        }
    }

    #[test]
    fn an_intent_says_in_full_what_is_about_to_be_done() {
        let order = set_vpc();
        let expected = json!({
            "version": 1, "time": "2026-11-23T07:00:00.042Z", "id": "c1", "phase": "intent", "function": "orders-api",
            "account": "123456789012", "region": "eu-west-1", "step": "set_vpc", "cause": "live",
            "file_digest": Digest::of(b"file").as_str(), "revision": "r1",
            "before": { "vpc": null, "subnets": [], "security_groups": [], "ipv6": false },
            "after": { "vpc": "vpc-1", "subnets": ["subnet-1", "subnet-2"], "security_groups": ["sg-1"], "ipv6": true },
        });
        assert_eq!(value(&Record::intent(&call(&order))), expected);
        let order = attach_policy();
        let expected = json!({
            "version": 1, "time": "2026-11-23T07:00:00.042Z", "id": "c1", "phase": "intent", "function": "orders-api",
            "account": "123456789012", "region": "eu-west-1", "step": "attach_policy", "cause": "live",
            "file_digest": Digest::of(b"file").as_str(), "role": "arn:aws:iam::123456789012:role/team/orders",
            "policy": "arn:aws:iam::aws:policy/service-role/X",
        });
        assert_eq!(value(&Record::intent(&call(&order))), expected);
    }

    #[test]
    fn a_result_repeats_the_intent_and_says_how_it_ended() {
        let operation = Operation::UpdateFunctionConfiguration;
        let done = Ok(Receipt { request_id: Some("q1".to_owned()) });
        let refusal = CloudError::answered(operation, 409, "ResourceConflictException", "Busy.");
        let refused = Err(CloudError { request_id: Some("q2".to_owned()), ..refusal });
        let lost = Err(CloudError::local(operation, Class::Timeout, "Timeout", "no answer"));
        let failed = Err(CloudError::answered(operation, 500, "ServiceException", "?"));
        let unsent = Err(CloudError::local(operation, Class::Credentials, "NoCredentials", "none"));
        let cases = [
            (done, "done", json!("q1"), Value::Null),
            (
                refused,
                "refused",
                json!("q2"),
                json!({"class":"busy","code":"ResourceConflictException","text":"Busy."}),
            ),
            (lost, "unanswered", Value::Null, json!({"class":"timeout","code":"Timeout","text":"no answer"})),
            (failed, "unanswered", Value::Null, json!({"class":"server","code":"ServiceException","text":"?"})),
            (unsent, "refused", Value::Null, json!({"class":"credentials","code":"NoCredentials","text":"none"})),
        ];
        for (answer, result, request_id, error) in cases {
            for order in [set_vpc(), attach_policy()] {
                let call = call(&order);
                let took = Duration::from_millis(412);
                let answered = Answered { at: call.at + took, took, answer: answer.clone() };
                let mut found = value(&Record::result(&call, &answered));
                let mut take = |key: &str| found.as_object_mut().unwrap().remove(key).unwrap_or_default();
                assert_eq!(take("result"), result);
                assert_eq!(take("request_id"), request_id);
                assert_eq!(take("error"), error);
                assert_eq!(take("duration_ms"), 412);
                assert_eq!(take("time"), "2026-11-23T07:00:00.454Z");
                assert_eq!(take("phase"), "result");
                let mut intent = value(&Record::intent(&call));
                intent.as_object_mut().unwrap().retain(|key, _| key != "time" && key != "phase");
                assert_eq!(found, intent);
            }
        }
    }

    #[test]
    fn a_line_that_is_no_record_of_this_version_is_told_from_one() {
        let order = set_vpc();
        let line = Record::intent(&call(&order)).line().unwrap();
        let cases = [
            (line.replace("\"version\":1", "\"version\":2"), Line::OtherVersion(2)),
            (line[..line.len() / 2].to_owned(), Line::Foreign),
            (line.replace("subnet-1", "net-1"), Line::Foreign),
            ("{\"version\":\"0.1.0\",\"message\":\"started\"}".to_owned(), Line::Foreign),
            ("{\"version\":3,\"message\":\"from another program\"}".to_owned(), Line::Foreign),
            (String::new(), Line::Foreign),
        ];
        for (text, expected) in cases {
            assert_eq!(Line::parse(text.as_bytes()), expected, "{text}");
        }
    }
}
