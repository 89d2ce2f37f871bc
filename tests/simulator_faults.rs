//! What goes wrong on purpose, as both doors and the bare wire show it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use lambda_vpc_controller::cloud::{
    self, Class, Cloud, CloudError, Exclusion, Failure, Listing, Read as _, Simulated, State, Update, Write as _,
};
use lambda_vpc_controller::names::{
    AccountId, FunctionKey, FunctionName, Network, PolicyArn, Region, RevisionId, RoleArn, ScopeKey, VpcId,
};
use lambda_vpc_controller::simulator::{
    Door, Fault, Match, Meddler, Meddling, Misbehaviour, Overruler, Quotas, Rate, StillClock, VpcConfigRequest, World,
};
use serde_json::{Value, json};

use crate::served::{BEGIN, Served, runtime};
use crate::support::process::{Process, eventually};
use crate::support::program;

fn at() -> ScopeKey {
    let account = AccountId::parse("123456789012").unwrap();
    ScopeKey { account, region: Region::parse("eu-west-1").unwrap() }
}

fn key(name: &str) -> FunctionKey {
    FunctionKey { scope: at(), name: FunctionName::parse(name).unwrap() }
}

fn billing() -> RoleArn {
    RoleArn::parse("arn:aws:iam::123456789012:role/billing-role").unwrap()
}

fn access() -> PolicyArn {
    PolicyArn::parse("arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole").unwrap()
}

/// What is asked of each door. The update takes a function out of its VPC, which needs no right of its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Update,
    Get,
    Attach,
    Describe,
}

impl Ask {
    fn operation(self) -> &'static str {
        match self {
            Self::Update => "UpdateFunctionConfiguration",
            Self::Get => "GetFunctionConfiguration",
            Self::Attach => "AttachRolePolicy",
            Self::Describe => "DescribeVpcs",
        }
    }

    async fn of(self, cloud: &dyn Cloud) -> Result<(), CloudError> {
        let vpc = VpcId::parse("vpc-0a1b2c3d4e5f60718").unwrap();
        match self {
            Self::Update => cloud.set_vpc(&key("legacy-report"), &Network::none(), None).await.map(drop),
            Self::Get => cloud.get_function(&key("legacy-report")).await.map(drop),
            Self::Attach => cloud.attach_policy(&billing(), &access()).await.map(drop),
            Self::Describe => cloud.describe_vpcs(&at(), &[vpc], None).await.map(drop),
        }
    }

    /// Whether it was done, by looking at the world itself.
    fn done(self, served: &Served) -> bool {
        served.door.with(|aws, now| match self {
            Self::Update => aws.get_function(&at(), "legacy-report", now).unwrap().modified == now,
            Self::Attach => aws.role(billing().key()).unwrap().attached.len() == 2,
            Self::Get | Self::Describe => true,
        })
    }
}

/// What a fault makes of a call through each door: `ok` or the class, and whether it was done.
fn through_both_doors(ask: Ask, answer: &Misbehaviour) -> [(Result<(), CloudError>, bool); 2] {
    [true, false].map(|direct| {
        let served = Served::demo();
        let fault = Fault::always(answer.clone()).on(ask.operation()).times(1);
        served.door.with(|aws, _| aws.faults.add(fault));
        let answered = runtime().block_on(async {
            match direct {
                true => ask.of(&served.door).await,
                false => ask.of(&served.sdk().await).await,
            }
        });
        assert_eq!(served.door.count(ask.operation()), 1, "{ask:?} was tried again");
        let done = ask.done(&served);
        (answered, done)
    })
}

#[track_caller]
fn check(ask: Ask, answer: Misbehaviour, class: Option<Class>, done: bool) {
    let [direct, sdk] = through_both_doors(ask, &answer);
    for (door, (answered, was_done)) in [("direct", &direct), ("SDK", &sdk)] {
        let got = answered.as_ref().err().map(|error| error.class);
        assert_eq!((got, *was_done), (class, done), "{door}: {ask:?} {answer:?}: {answered:?}");
    }
    let known = |answered: &Result<(), CloudError>| {
        answered
            .as_ref()
            .err()
            .filter(|error| error.status.is_some())
            .map(|error| (error.status, error.code.clone(), error.retry_after))
    };
    assert_eq!(known(&direct.0), known(&sdk.0), "{ask:?} {answer:?}");
}

#[test]
fn errors_are_the_same_through_both_doors_and_nothing_is_done() {
    use Misbehaviour::{Denied, Ec2Throttled, Expired, Reset, ServerError, Throttled};
    let kms = Misbehaviour::Error {
        status: 400,
        code: "InvalidParameterValueException".to_owned(),
        message: "the KMS key is invalid for CreateGrant".to_owned(),
    };
    for (ask, answer, class) in [
        (Ask::Update, Throttled(Some(Duration::from_secs(7))), Class::Throttled),
        (Ask::Update, Throttled(None), Class::Throttled),
        (Ask::Attach, Throttled(None), Class::Throttled),
        (Ask::Update, Ec2Throttled, Class::Ec2Throttled),
        (Ask::Update, ServerError, Class::Server),
        (Ask::Attach, ServerError, Class::Server),
        (Ask::Update, Expired, Class::Credentials),
        (Ask::Attach, Expired, Class::Credentials),
        (Ask::Update, Denied, Class::AccessDenied),
        (Ask::Attach, Denied, Class::AccessDenied),
        (Ask::Update, kms, Class::KmsGrant),
        (Ask::Update, Reset, Class::Unreachable),
        (Ask::Attach, Reset, Class::Unreachable),
        (Ask::Update, Misbehaviour::Unavailable, Class::Server),
    ] {
        check(ask, answer, Some(class), false);
    }
    for (answer, class) in [
        (Throttled(None), Class::Throttled),
        (ServerError, Class::Server),
        (Expired, Class::Credentials),
        (Denied, Class::AccessDenied),
        (Reset, Class::Unreachable),
        (Misbehaviour::Unavailable, Class::Server),
    ] {
        check(Ask::Describe, answer, Some(class), true);
    }
}

#[test]
fn answers_that_do_not_arrive_are_the_same_through_both_doors_and_it_was_done() {
    use Misbehaviour::{Lost, Malformed, Slow, Truncated};
    for ask in [Ask::Update, Ask::Get, Ask::Attach, Ask::Describe] {
        check(ask, Lost, Some(Class::Unreachable), true);
        check(ask, Truncated, Some(Class::Malformed), true);
        check(ask, Slow(Duration::from_millis(10)), None, true);
    }
    // The body of an answer without a result is one that nobody reads.
    check(Ask::Attach, Malformed, None, true);
    for ask in [Ask::Update, Ask::Get, Ask::Describe] {
        let [(direct, _), (sdk, done)] = through_both_doors(ask, &Malformed);
        assert_eq!(direct.unwrap_err().class, Class::Malformed, "{ask:?}");
        assert_eq!(sdk.unwrap_err().class, Class::Malformed, "{ask:?}");
        assert!(done, "{ask:?}");
    }
}

#[test]
fn an_answer_after_the_deadline_is_none() {
    let served = Served::demo();
    served.door.with(|aws, _| aws.faults.add(Fault::always(Misbehaviour::Slow(Duration::from_secs(31)))));
    let late = runtime().block_on(Ask::Update.of(&served.door)).unwrap_err();
    assert_eq!((late.class, late.status), (Class::Timeout, None));
    assert!(Ask::Update.done(&served));
}

#[test]
fn an_update_that_is_to_fail_is_accepted_and_fails_with_any_code() {
    for code in ["EniLimitExceeded", "SomethingThatNoListHas"] {
        let served = Served::demo();
        let failure = Failure { code: code.to_owned(), text: "Because.".to_owned() };
        let fault = Fault::always(Misbehaviour::UpdateFails(failure.clone())).about("legacy-*").times(1);
        served.door.with(|aws, _| aws.faults.add(fault));
        runtime().block_on(async {
            let sdk = served.sdk().await;
            let before = sdk.get_function(&key("legacy-report")).await.unwrap();
            Ask::Update.of(&sdk).await.unwrap();
            let busy = Ask::Update.of(&sdk).await.unwrap_err();
            assert_eq!(busy.class, Class::Busy);
            served.clock.pass(Duration::from_secs(10));
            let after = sdk.get_function(&key("legacy-report")).await.unwrap();
            assert_eq!(after, served.door.get_function(&key("legacy-report")).await.unwrap());
            assert_eq!(after.life.unwrap().update, Update::Failed(failure));
            assert_eq!(after.network, before.network);
            assert_ne!(after.revision, before.revision);
            Ask::Update.of(&sdk).await.unwrap();
            served.clock.pass(Duration::from_secs(10));
            let after = sdk.get_function(&key("legacy-report")).await.unwrap();
            assert_eq!((after.life.unwrap().update, after.network), (Update::Successful, Arc::default()));
        });
    }
}

#[test]
fn a_refused_update_does_not_use_up_the_failure_of_an_accepted_one() {
    let served = Served::demo();
    let failure = Failure { code: "InvalidSubnet".to_owned(), text: String::new() };
    served.door.with(|aws, _| aws.faults.add(Fault::always(Misbehaviour::UpdateFails(failure)).times(1)));
    let stale = RevisionId::parse("0").unwrap();
    runtime().block_on(async {
        let refused = served.door.set_vpc(&key("legacy-report"), &Network::none(), Some(&stale)).await;
        assert_eq!(refused.map(drop).unwrap_err().class, Class::StaleRevision);
        Ask::Update.of(&served.door).await.unwrap();
        served.clock.pass(Duration::from_secs(10));
        let life = served.door.get_function(&key("legacy-report")).await.unwrap().life.unwrap();
        assert!(matches!(life.update, Update::Failed(_)), "{life:?}");
    });
}

#[test]
fn requests_over_the_quota_are_throttled_through_both_doors_and_time_helps() {
    for direct in [true, false] {
        let served = Served::demo();
        served.door.with(|aws, _| aws.quotas = Quotas::real());
        runtime().block_on(async {
            let sdk = served.sdk().await;
            let cloud: &dyn Cloud = if direct { &served.door } else { &sdk };
            for _ in 0..15 {
                Ask::Get.of(cloud).await.unwrap();
            }
            let refused = Ask::Update.of(cloud).await.unwrap_err();
            assert_eq!((refused.class, refused.status), (Class::Throttled, Some(429)));
            Ask::Attach.of(cloud).await.unwrap();
            served.clock.pass(Duration::from_millis(67));
            Ask::Update.of(cloud).await.unwrap();
        });
        let changes: Vec<_> = served.door.changes().into_iter().map(|call| call.refused.unwrap_or_default()).collect();
        assert_eq!(changes, ["TooManyRequestsException", "", ""]);
    }
}

#[test]
fn what_is_special_about_a_function_or_a_role_is_the_same_through_both_doors() {
    let declared = World::parse(include_str!("../src/simulator/world/faults.toml"), "faults.toml").unwrap();
    let served = Served::world(&declared);
    served.door.with(|aws, _| {
        aws.faults.clear();
        aws.quotas = Quotas::default();
    });
    let actions = ["ec2:CreateNetworkInterface"];
    runtime().block_on(async {
        let sdk = served.sdk().await;
        for name in ["provided", "us-east-1.edge", "idle", "broken", "contested"] {
            let direct = served.door.get_function(&key(name)).await.unwrap();
            assert_eq!(sdk.get_function(&key(name)).await.unwrap(), direct, "{name}");
        }
        assert_eq!(
            sdk.list_functions(&at(), Listing::Latest, None).await.unwrap(),
            served.door.list_functions(&at(), Listing::Latest, None).await.unwrap()
        );
        let provided = sdk.get_function(&key("provided")).await.unwrap();
        assert!(matches!(provided.excluded.as_deref(), Some(Exclusion::CapacityProvider(_))), "{provided:?}");
        let edge = sdk.get_function(&key("us-east-1.edge")).await.unwrap();
        assert!(matches!(edge.excluded.as_deref(), Some(Exclusion::EdgeReplica(_))), "{edge:?}");
        assert_eq!(sdk.get_function(&key("idle")).await.unwrap().life.unwrap().state, State::Inactive);
        for (role, expected) in [
            ("shared-role", Simulated::Allowed),
            ("bounded-role", Simulated::Overruled(cloud::Overruler::Boundary)),
            ("organised-role", Simulated::Overruled(cloud::Overruler::Organisation)),
            ("scoped-role", Simulated::Allowed),
        ] {
            let arn = RoleArn::parse(&format!("arn:aws:iam::123456789012:role/{role}")).unwrap();
            let region = at().region;
            let direct = served.door.simulate(&arn, &region, &actions).await.unwrap();
            let by_sdk = sdk.simulate(&arn, &region, &actions).await.unwrap();
            assert_eq!((direct, by_sdk), (expected, expected), "{role}");
        }
    });
}

#[test]
fn a_meddlers_changes_are_nobodys_calls() {
    let served = Served::demo();
    let wants = Meddling::Network(key("legacy-report"), VpcConfigRequest::none());
    let meddler = Meddler { every: Duration::from_secs(60), times: None, wants };
    served.door.with(|aws, now| aws.add_meddler(meddler, now));
    served.clock.pass(Duration::from_secs(120));
    let after = runtime().block_on(served.door.get_function(&key("legacy-report"))).unwrap();
    assert_eq!(*after.network, Network::none());
    assert_eq!(served.door.changes(), []);
    assert_eq!(served.door.count("UpdateFunctionConfiguration"), 0);
}

/// The bytes that come back for a request, until the connection is closed.
fn bytes(served: &Served, request: &str) -> String {
    bytes_from(&served.url, request)
}

fn bytes_from(url: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A connection that is reset has no more bytes either.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// A signed request, as it goes over the wire.
fn signed(service: &str, method: &str, path: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\nauthorization: \
         AWS4-HMAC-SHA256 Credential=AKIA/20261123/eu-west-1/{service}/aws4_request, SignedHeaders=host, \
         Signature=0\r\n\r\n{body}",
        body.len()
    )
}

/// Where Lambda has a function's configuration.
const CONFIGURATION: &str = "/2015-03-31/functions/orders-api/configuration";

fn get_function() -> String {
    signed("lambda", "GET", CONFIGURATION, "")
}

fn with_fault(answer: Misbehaviour) -> String {
    let served = Served::demo();
    served.door.with(|aws, _| aws.faults.add(Fault::always(answer)));
    bytes(&served, &get_function())
}

#[test]
fn a_closed_connection_has_not_a_byte_of_an_answer() {
    for answer in [Misbehaviour::Reset, Misbehaviour::Lost] {
        assert_eq!(with_fault(answer.clone()), "", "{answer:?}");
    }
}

#[test]
fn a_truncated_answer_is_shorter_than_its_header_says() {
    let whole = bytes(&Served::demo(), &get_function());
    let half = with_fault(Misbehaviour::Truncated);
    let parts = |answer: &str| {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        (head.lines().next().unwrap().to_owned(), length.parse::<usize>().unwrap(), body.to_owned())
    };
    let ((_, length, whole), (status, said, half)) = (parts(&whole), parts(&half));
    assert_eq!((status.as_str(), said, half.len()), ("HTTP/1.1 200 OK", length, length / 2));
    assert!(whole.starts_with(&half));
}

#[test]
fn the_wire_shows_a_429_a_page_and_a_body_that_means_nothing() {
    let throttled = with_fault(Misbehaviour::Throttled(Some(Duration::from_secs(3))));
    for part in [
        "HTTP/1.1 429 ",
        "retry-after: 3\r\n",
        "x-amzn-errortype: TooManyRequestsException\r\n",
        r#""message":"Rate exceeded""#,
        r#""Reason":"CallerRateLimitExceeded""#,
    ] {
        assert!(throttled.contains(part), "`{throttled}` does not contain `{part}`");
    }
    assert!(!with_fault(Misbehaviour::Throttled(None)).contains("retry-after"));
    let page = with_fault(Misbehaviour::Unavailable);
    assert!(page.starts_with("HTTP/1.1 503 ") && page.contains("content-type: text/html"), "{page}");
    assert!(!page.contains("x-amzn-errortype"), "{page}");
    let garbage = with_fault(Misbehaviour::Malformed);
    assert!(garbage.starts_with("HTTP/1.1 200 ") && !garbage.contains("orders-api"), "{garbage}");
}

#[test]
fn a_simulation_on_the_wire_says_who_overrules() {
    for (overruled, detail) in [
        (
            Overruler::Boundary,
            "<EvalDecision>implicitDeny</EvalDecision><MatchedStatements></MatchedStatements><MissingContextValues>\
             </MissingContextValues><PermissionsBoundaryDecisionDetail><AllowedByPermissionsBoundary>false<",
        ),
        (Overruler::Organisation, "<OrganizationsDecisionDetail><AllowedByOrganizations>false<"),
        (Overruler::Scoped, "<EvalDecision>allowed</EvalDecision>"),
    ] {
        let mut world = World::demo().unwrap();
        world.roles[2].overruled = Some(overruled);
        let served = Served::world(&world);
        let body = "Action=SimulatePrincipalPolicy&PolicySourceArn=arn:aws:iam::123456789012:role/legacy-role\
                    &ActionNames.member.1=ec2:CreateNetworkInterface";
        let answer = iam(&served, body);
        assert!(answer.contains(detail), "`{answer}` does not contain `{detail}`");
    }
}

#[test]
fn the_quota_of_policies_is_in_the_accounts_summary() {
    let answer = iam(&Served::demo(), "Action=GetAccountSummary");
    let entry = "<entry><key>AttachedPoliciesPerRoleQuota</key><value>10</value></entry>";
    assert!(answer.contains(entry), "`{answer}` does not contain `{entry}`");
}

fn iam(served: &Served, body: &str) -> String {
    bytes(served, &signed("iam", "POST", "/", body))
}

/// A request to the look from outside: its status and its body.
fn outside(served: &Served, method: &str, path: &str, body: &str) -> (u16, String) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
    let request = ureq::http::Request::builder().method(method).uri(format!("{}/_simulator/{path}", served.url));
    let mut response = agent.run(request.body(body.to_owned()).unwrap()).unwrap();
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

#[test]
fn tests_in_other_processes_see_the_calls() {
    let served = Served::demo();
    runtime().block_on(async {
        Ask::Get.of(&served.door).await.unwrap();
        Ask::Update.of(&served.door).await.unwrap();
        Ask::Update.of(&served.door).await.unwrap_err();
    });
    let (status, body) = outside(&served, "GET", "calls", "");
    let seen: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &seen["counts"]),
        (200, &json!({ "GetFunctionConfiguration": 1, "UpdateFunctionConfiguration": 2 }))
    );
    assert_eq!(
        seen["changes"][1],
        json!({
            "at": "2026-11-23T07:00:00Z",
            "account": "123456789012",
            "operation": "UpdateFunctionConfiguration",
            "subject": "legacy-report",
            "detail": "VpcConfig subnets= groups= ipv6=false",
            "refused": "ResourceConflictException",
        })
    );
    assert_eq!(seen["changes"][0]["refused"], Value::Null);
    assert_eq!(seen["changes"].as_array().unwrap().len(), 2);
}

#[test]
fn tests_in_other_processes_make_things_go_wrong_and_end_it() {
    let served = Served::demo();
    let ask = || runtime().block_on(Ask::Get.of(&served.door)).err().map(|error| error.class);
    for body in [
        "[[fault]]\noperation = 'Get*'\nanswer = 'denied'\n",
        r#"{"fault": [{"operation": "Get*", "answer": "denied"}]}"#,
    ] {
        assert_eq!(outside(&served, "POST", "faults", body), (200, "added 1\n".to_owned()));
        assert_eq!(ask(), Some(Class::AccessDenied));
        assert_eq!(outside(&served, "DELETE", "faults", "").0, 200);
        assert_eq!(ask(), None);
    }
    for (body, part) in [
        ("[[fault]]\n", "missing field `answer`"),
        ("{\"fault\": [{\"answer\": \"slow\"}]}", "fault 1: this answer needs `seconds`"),
        ("{", "EOF"),
        ("[[function]]\n", "unknown field `function`"),
    ] {
        let (status, text) = outside(&served, "POST", "faults", body);
        assert!(status == 400 && text.contains(part), "{status} `{text}` does not contain `{part}`");
    }
    assert_eq!(ask(), None, "what is refused adds nothing");
}

#[test]
fn in_a_hastened_world_all_that_takes_time_takes_less_and_the_clock_goes_on_as_before() {
    let clock = StillClock::at(BEGIN);
    let door = Door::new(World::demo().unwrap().build(BEGIN).unwrap(), clock.clock());
    let reset = Fault {
        when: Match { until: Some(Duration::from_secs(60)), ..Match::default() },
        ..Fault::always(Misbehaviour::Reset)
    };
    door.with(|aws, now| {
        aws.quotas.lambda_requests = Some(Rate::per_second(15));
        aws.faults.add(reset);
        aws.hasten(10, now);
        assert_eq!(aws.timings.propagation, Duration::from_millis(800));
        assert_eq!(aws.quotas.lambda_requests, Some(Rate { per_second: 150, burst: 150 }));
        assert_eq!(aws.faults.left().next().unwrap().when.until, Some(Duration::from_secs(6)));
    });
    clock.pass(Duration::from_secs(1));
    assert_eq!(door.now(), clock.now());
}

#[test]
fn minutes_of_aws_pass_in_moments() {
    let world = tempfile::NamedTempFile::new().unwrap();
    let text =
        "[timings]\npending = 600\nupdate = 600\n[[role]]\nname = 'r'\n[[function]]\nname = 'orders-api'\nrole = 'r'\n";
    std::fs::write(world.path(), text).unwrap();
    let mut command = program();
    command.args(["simulate", "--listen", "127.0.0.1:0", "--time-scale", "3600", "--world"]).arg(world.path());
    let process = Process::start(&mut command);
    let url = &process.told("is served at ", ' ');
    let update = signed("lambda", "PUT", CONFIGURATION, r#"{"MemorySize":512}"#);
    let answer = bytes_from(url, &update);
    assert!(answer.contains(r#""LastUpdateStatus":"InProgress""#), "{answer}");
    eventually("ten minutes at 3600 times the speed, which take a sixth of a second", || {
        bytes_from(url, &get_function()).contains(r#""LastUpdateStatus":"Successful""#).then_some(())
    });
}
