//! The shapes of the simulated account's answers, byte by byte.

use lambda_vpc_controller::simulator::World;

use crate::served::Served;

const FORM: &str = "application/x-www-form-urlencoded";

struct Raw {
    status: u16,
    headers: ureq::http::HeaderMap,
    body: String,
}

impl Raw {
    #[track_caller]
    fn has(&self, status: u16, parts: &[&str]) {
        assert_eq!(self.status, status, "{}", self.body);
        for part in parts {
            assert!(self.body.contains(part), "`{}` does not contain `{part}`", self.body);
        }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

fn scope(key: &str, region: &str, service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={key}/20261123/{region}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

fn call(served: &Served, method: &str, path: &str, authorization: Option<&str>, body: &str) -> Raw {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
    let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", served.url));
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let request = request.header("content-type", FORM).body(body.to_owned()).unwrap();
    let mut response = agent.run(request).unwrap();
    let body = response.body_mut().read_to_string().unwrap();
    Raw { status: response.status().as_u16(), headers: response.headers().clone(), body }
}

fn query(served: &Served, service: &str, body: &str) -> Raw {
    call(served, "POST", "/", Some(&scope("AKIA", "eu-west-1", service)), body)
}

fn lambda(served: &Served, method: &str, path: &str, body: &str) -> Raw {
    call(served, method, path, Some(&scope("AKIA", "eu-west-1", "lambda")), body)
}

#[test]
fn lambda_names_functions_by_name_and_by_encoded_arn() {
    let served = Served::demo();
    for name in [
        "orders-api",
        "123456789012:function:orders-api",
        "arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Aorders-api",
    ] {
        let answer = lambda(&served, "GET", &format!("/2015-03-31/functions/{name}/configuration"), "");
        assert_eq!(answer.json()["FunctionName"], "orders-api", "{name}");
        assert_eq!(answer.json()["LastModified"], "2026-10-24T07:00:00.000+0000");
        assert_eq!(answer.header("x-amzn-requestid").len(), 36);
    }
    for path in ["/2015-03-31/functions", "/2015-03-31/functions/", "/2015-03-31/functions/?MaxItems=2&Marker=a"] {
        assert!(!lambda(&served, "GET", path, "").json()["Functions"].as_array().unwrap().is_empty(), "{path}");
    }
}

#[test]
fn lambda_shows_a_detached_function_with_empty_lists_and_a_new_one_with_none() {
    let served = Served::demo();
    let body = r#"{"VpcConfig":{"SubnetIds":[],"SecurityGroupIds":[],"Ipv6AllowedForDualStack":false}}"#;
    let answer = lambda(&served, "PUT", "/2015-03-31/functions/legacy-report/configuration", body);
    assert_eq!(
        answer.json()["VpcConfig"].to_string(),
        r#"{"Ipv6AllowedForDualStack":false,"SecurityGroupIds":[],"SubnetIds":[],"VpcId":""}"#
    );
    assert_eq!(answer.json()["LastUpdateStatusReasonCode"], "Creating");
    let listed = lambda(&served, "GET", "/2015-03-31/functions/", "").json();
    assert_eq!(listed["Functions"][0].get("VpcConfig"), None);
    assert_eq!(listed["Functions"][1].get("LastUpdateStatus"), None);
}

#[test]
fn lambda_says_what_is_wrong_in_body_and_header() {
    let served = Served::demo();
    let missing = lambda(&served, "GET", "/2015-03-31/functions/nothing", "");
    missing.has(404, &[r#""Type":"User""#, r#""Message":"Function not found: arn:aws:lambda:"#]);
    assert_eq!(missing.header("x-amzn-errortype"), "ResourceNotFoundException");
    let stale = lambda(&served, "PUT", "/2015-03-31/functions/orders-api/configuration", r#"{"RevisionId":"0"}"#);
    stale.has(412, &[r#""message":"The Revision Id provided does not match"#]);
    assert_eq!(stale.header("x-amzn-errortype"), "PreconditionFailedException");
    let malformed = lambda(&served, "PUT", "/2015-03-31/functions/orders-api/configuration", "{");
    malformed.has(400, &["Could not parse request body into json"]);
    lambda(&served, "GET", "/2015-03-31/layers", "").has(404, &["not an operation"]);
    assert_eq!(lambda(&served, "DELETE", "/2015-03-31/functions/orders-api", "").status, 204);
}

#[test]
fn ec2_answers_in_its_own_dialect() {
    let served = Served::demo();
    let vpcs = query(&served, "ec2", "Action=DescribeVpcs&Version=2016-11-15");
    vpcs.has(
        200,
        &[
            "<DescribeVpcsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>",
            "<vpcSet><item><vpcId>vpc-0a1b2c3d4e5f60718</vpcId>",
            "<tagSet><item><key>Name</key><value>orders</value></item></tagSet>",
        ],
    );
    assert!(vpcs.header("content-type").starts_with("text/xml"));
    let missing = query(&served, "ec2", "Action=DescribeSubnets&Version=2016-11-15&SubnetId.1=subnet-0bad");
    missing.has(
        400,
        &["<Response><Errors><Error><Code>InvalidSubnetID.NotFound</Code>\
             <Message>The subnet ID &apos;subnet-0bad&apos; does not exist</Message></Error></Errors><RequestID>"],
    );
    query(&served, "ec2", "Action=RunInstances&Version=2016-11-15").has(400, &["<Code>InvalidAction</Code>"]);
    query(&served, "ec2", "Action=DescribeVpcs&DryRun=true").has(400, &["<Code>UnknownParameter</Code>", "DryRun"]);
    query(&served, "ec2", "").has(400, &["<Code>MissingAction</Code>"]);
    let paged = query(&served, "ec2", "Action=DescribeVpcs&MaxResults=five");
    paged.has(400, &["is not a number"]);
}

#[test]
fn iam_and_sts_answer_with_results_and_metadata() {
    let served = Served::demo();
    query(&served, "iam", "Action=ListAttachedRolePolicies&RoleName=legacy-role").has(
        200,
        &[
            "<ListAttachedRolePoliciesResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\
             <ListAttachedRolePoliciesResult><AttachedPolicies><member>",
            "<IsTruncated>false</IsTruncated></ListAttachedRolePoliciesResult><ResponseMetadata><RequestId>",
        ],
    );
    query(&served, "iam", "Action=GetRole&RoleName=nobody").has(
        404,
        &[
            "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type>\
             <Code>NoSuchEntity</Code><Message>The role with name nobody cannot be found.</Message></Error><RequestId>",
        ],
    );
    query(&served, "iam", "Action=GetRole").has(400, &["<Code>MissingParameter</Code>", "RoleName"]);
    let made = query(&served, "iam", "Action=CreateRole&RoleName=new&Path=%2Fteam%2F&AssumeRolePolicyDocument=x");
    made.has(200, &["<Arn>arn:aws:iam::123456789012:role/team/new</Arn>"]);
    let attach = "Action=AttachRolePolicy&RoleName=new&PolicyArn=arn:aws:iam::aws:policy/AdministratorAccess";
    query(&served, "iam", attach).has(200, &["<AttachRolePolicyResponse", "<ResponseMetadata>"]);
    query(&served, "sts", "Action=GetCallerIdentity&Version=2011-06-15").has(
        200,
        &[
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>",
            "<Account>123456789012</Account>",
        ],
    );
    let calls: Vec<_> = served.door.changes().into_iter().map(|call| (call.operation, call.subject)).collect();
    assert_eq!(calls, [("CreateRole", "new".to_owned()), ("AttachRolePolicy", "new".to_owned())]);
}

#[test]
fn who_calls_and_where_stands_in_the_signature() {
    let mut world = World::demo().unwrap();
    world.roles.extend(World::parse("[[role]]\nname = 'r'\naccount = '222222222222'\n", "test").unwrap().roles);
    let served = Served::world(&world);
    let list = |key: &str, region: &str| {
        call(&served, "GET", "/2015-03-31/functions/", Some(&scope(key, region, "lambda")), "")
    };
    let count = |raw: &Raw| raw.json()["Functions"].as_array().unwrap().len();
    assert_eq!(count(&list("AKIAANYTHING", "eu-west-1")), 4);
    assert_eq!(count(&list("123456789012", "eu-west-1")), 4);
    assert_eq!(count(&list("AKIAANYTHING", "us-east-1")), 0);
    assert_eq!(count(&list("222222222222", "eu-west-1")), 0);
    let unknown = list("333333333333", "eu-west-1");
    assert_eq!((unknown.status, unknown.header("x-amzn-errortype")), (403, "UnrecognizedClientException"));
}

#[test]
fn a_request_without_a_signature_is_refused() {
    let served = Served::demo();
    let unsigned = call(&served, "GET", "/2015-03-31/functions/", None, "");
    unsigned.has(403, &["Authentication Token"]);
    assert_eq!(unsigned.header("x-amzn-errortype"), "MissingAuthenticationToken");
    call(&served, "POST", "/", None, "Action=GetCallerIdentity").has(403, &["<Code>MissingAuthenticationToken</Code>"]);
    call(&served, "POST", "/", Some("Bearer x"), "").has(400, &["<Code>IncompleteSignature</Code>"]);
    call(&served, "POST", "/", Some(&scope("AKIA", "eu-west-1", "s3")), "").has(404, &["UnknownOperationException"]);
    assert!(served.door.counts().is_empty(), "nothing of this is a call");
}

#[test]
fn a_body_over_a_mebibyte_is_refused() {
    let served = Served::demo();
    let body = "x".repeat((1 << 20) + 1);
    let answer = lambda(&served, "POST", "/2015-03-31/functions", &body);
    answer.has(413, &["smaller than 1048576 bytes"]);
    assert_eq!(answer.header("x-amzn-errortype"), "RequestTooLargeException");
}
