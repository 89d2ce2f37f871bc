//! Lambda on the wire: REST with JSON.

use axum::http::{Method, Uri};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{Answer, Session, function_arn};
use crate::cloud::{Alias, Exclusion, Failure, Listing, Page, State, Update};
use crate::names::{ScopeKey, Time, Version};
use crate::simulator::account::{AwsError, CreateFunction, Function, Goal, UpdateFunctionConfiguration, VpcConfig};
use crate::simulator::door::Change;

/// The version of the API, the first segment of every path here.
const VERSION: &str = "2015-03-31";

/// The same for tags, whose paths name no function but its ARN.
const VERSION_OF_TAGS: &str = "2017-03-31";

pub(super) fn handle(session: &Session<'_>, method: &Method, uri: &Uri, body: &[u8]) -> Result<Answer, AwsError> {
    let path: Vec<String> = uri
        .path()
        .trim_matches('/')
        .split('/')
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let query = Query::parse(uri);
    match (method.as_str(), path.as_slice()) {
        ("GET", [VERSION, "functions"]) => list(session, &query),
        ("GET", [VERSION, "functions", name, "aliases"]) => list_aliases(session, name, &query),
        ("GET", [VERSION_OF_TAGS, "tags", arn]) => list_tags(session, arn),
        ("POST", [VERSION, "functions"]) => create(session, body),
        ("GET", [VERSION, "functions", name]) => get(session, &query.qualified(name)),
        ("DELETE", [VERSION, "functions", name]) => delete(session, &query.qualified(name)),
        ("GET", [VERSION, "functions", name, "configuration"]) => get_configuration(session, &query.qualified(name)),
        ("PUT", [VERSION, "functions", name, "configuration"]) => update(session, name, body),
        _ => Err(AwsError::new(
            404,
            "UnknownOperationException",
            format!("{method} {} is not an operation of this simulation", uri.path()),
        )),
    }
}

/// The parameters behind the path.
struct Query(Vec<(String, String)>);

impl Query {
    fn parse(uri: &Uri) -> Self {
        Self(form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).filter(|text| !text.is_empty())
    }

    fn max_items(&self) -> Result<Option<u64>, AwsError> {
        self.text("MaxItems").map(str::parse::<u64>).transpose().map_err(|_| {
            AwsError::new(400, "SerializationException", "The value of MaxItems cannot be converted to a number")
        })
    }

    /// A function's name with the version or alias that is asked for.
    fn qualified(&self, name: &str) -> String {
        self.text("Qualifier").map_or_else(|| name.to_owned(), |qualifier| format!("{name}:{qualifier}"))
    }
}

fn list(session: &Session<'_>, query: &Query) -> Result<Answer, AwsError> {
    let which = match query.text("FunctionVersion") {
        None => Listing::Latest,
        Some("ALL") => Listing::All,
        Some(other) => {
            let text = format!(
                "1 validation error detected: Value '{other}' at 'functionVersion' failed to satisfy constraint: \
                 Member must satisfy enum value set: [ALL]"
            );
            return Err(AwsError::new(400, "ValidationException", text));
        }
    };
    let (most, from) = (query.max_items()?, query.text("Marker"));
    let page = session.read("ListFunctions", |aws, now| aws.list_functions(&session.at, which, most, from, now))?;
    Ok(paged("Functions", page, |it| Value::Object(listed(&session.at, it))))
}

fn list_aliases(session: &Session<'_>, name: &str, query: &Query) -> Result<Answer, AwsError> {
    let (most, from) = (query.max_items()?, query.text("Marker"));
    let page = session.read_of("ListAliases", name, |aws, now| aws.list_aliases(&session.at, name, most, from, now))?;
    let function = function_arn(&session.at, name);
    Ok(paged("Aliases", page, |it| alias(&function, it)))
}

fn list_tags(session: &Session<'_>, arn: &str) -> Result<Answer, AwsError> {
    let name = arn.rsplit(':').next().unwrap_or_default();
    let function = session.read_of("ListTags", name, |aws, now| aws.get_function(&session.at, arn, now))?;
    Ok(Answer::ok(json!({ "Tags": function.tags }).to_string()))
}

/// One page of a listing.
fn paged<T>(list: &str, page: Page<T>, show: impl Fn(&T) -> Value) -> Answer {
    let items: Vec<Value> = page.items.iter().map(show).collect();
    let mut body = json!({ list: items });
    if let (Some(next), Some(body)) = (page.next, body.as_object_mut()) {
        body.insert("NextMarker".to_owned(), next.0.into());
    }
    Answer::ok(body.to_string())
}

/// An alias. Where it leads to two versions, the older one gets a tenth of the calls.
fn alias(function: &str, it: &Alias) -> Value {
    let mut versions = it.versions.iter().rev();
    let main = versions.next().map_or_else(|| Version::LATEST.to_owned(), ToString::to_string);
    let mut shown = json!({
        "AliasArn": format!("{function}:{}", it.name), "Name": it.name, "FunctionVersion": main, "Description": "",
    });
    let others: Map<String, Value> = versions.map(|version| (version.to_string(), 0.1.into())).collect();
    if let (false, Some(shown)) = (others.is_empty(), shown.as_object_mut()) {
        shown.insert("RoutingConfig".to_owned(), json!({ "AdditionalVersionWeights": others }));
    }
    shown
}

fn get_configuration(session: &Session<'_>, name: &str) -> Result<Answer, AwsError> {
    let function =
        session.read_of("GetFunctionConfiguration", name, |aws, now| aws.get_function(&session.at, name, now))?;
    Ok(Answer::ok(whole(&session.at, &function).to_string()))
}

fn get(session: &Session<'_>, name: &str) -> Result<Answer, AwsError> {
    let function = session.read_of("GetFunction", name, |aws, now| aws.get_function(&session.at, name, now))?;
    // The code is nowhere, and the address says so to whoever follows it.
    let location = format!("https://code.invalid/{}/{}", session.at, function.name);
    let code = json!({ "RepositoryType": "S3", "Location": location });
    Ok(Answer::ok(json!({ "Configuration": whole(&session.at, &function), "Code": code }).to_string()))
}

fn create(session: &Session<'_>, body: &[u8]) -> Result<Answer, AwsError> {
    let request: CreateFunction = parse(body)?;
    let (subject, settings) = (request.function_name.as_str(), &request.settings);
    let change = Change { subject, detail: settings.in_one_line(), goal: Goal::Settings(settings) };
    let function =
        session.change("CreateFunction", change, |aws, now| aws.create_function(&session.at, &request, now))?;
    Ok(Answer { status: 201, ..Answer::ok(whole(&session.at, &function).to_string()) })
}

fn update(session: &Session<'_>, name: &str, body: &[u8]) -> Result<Answer, AwsError> {
    let request: UpdateFunctionConfiguration = parse(body)?;
    let change = Change { subject: name, detail: request.in_one_line(), goal: Goal::Settings(&request) };
    let function = session.change("UpdateFunctionConfiguration", change, |aws, now| {
        aws.update_function_configuration(&session.at, name, &request, now)
    })?;
    Ok(Answer::ok(whole(&session.at, &function).to_string()))
}

fn delete(session: &Session<'_>, name: &str) -> Result<Answer, AwsError> {
    let change = Change { subject: name, detail: String::new(), goal: Goal::Nothing };
    session.change("DeleteFunction", change, |aws, now| aws.delete_function(&session.at, name, now))?;
    Ok(Answer { status: 204, ..Answer::ok(String::new()) })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, AwsError> {
    serde_json::from_slice(body).map_err(|error| {
        let text = format!("Could not parse request body into json: {error}");
        AwsError::new(400, "InvalidRequestContentException", text)
    })
}

/// An error of Lambda's. The field is `Message` or `message`, as each shape of the service model has it.
pub(super) fn error_body(error: &AwsError) -> String {
    let field = match error.code.as_ref() {
        "ResourceNotFoundException" | "ServiceException" | "AccessDeniedException" | "UnknownOperationException" => {
            "Message"
        }
        _ => "message",
    };
    let who = if error.status < 500 { "User" } else { "Service" };
    let mut body = json!({ "Type": who, field: error.message });
    if let ("TooManyRequestsException", Some(body)) = (error.code.as_ref(), body.as_object_mut()) {
        // Of the reasons that the service model lists, the one for callers of the control plane.
        body.insert("Reason".to_owned(), "CallerRateLimitExceeded".into());
    }
    body.to_string()
}

/// A function as a listing shows it: without state and last update.
fn listed(at: &ScopeKey, it: &Function) -> Map<String, Value> {
    let configuration = &it.configuration;
    let mut shown = Map::new();
    let mut show = |name: &str, value: Value| {
        shown.insert(name.to_owned(), value);
    };
    show("FunctionName", it.name.as_str().into());
    let arn = function_arn(at, it.name.as_str());
    show("FunctionArn", it.version.map_or_else(|| arn.clone(), |version| format!("{arn}:{version}")).into());
    show("Runtime", configuration.runtime.as_str().into());
    show("Role", configuration.role.as_str().into());
    show("Handler", configuration.handler.as_str().into());
    show("CodeSize", 1024.into());
    show("CodeSha256", "c2ltdWxhdGVk".into());
    show("Description", configuration.description.as_str().into());
    show("Timeout", configuration.timeout.into());
    show("MemorySize", configuration.memory_size.into());
    show("LastModified", last_modified(it.modified).into());
    show("Version", it.version.map_or_else(|| Version::LATEST.to_owned(), |version| version.to_string()).into());
    show("TracingConfig", json!({ "Mode": "PassThrough" }));
    show("RevisionId", it.revision.as_str().into());
    show("PackageType", "Zip".into());
    show("Architectures", json!(["x86_64"]));
    show("EphemeralStorage", json!({ "Size": 512 }));
    show("SnapStart", json!({ "ApplyOn": "None", "OptimizationStatus": "Off" }));
    show("LoggingConfig", json!({ "LogFormat": "Text", "LogGroup": format!("/aws/lambda/{}", it.name) }));
    if !configuration.environment.is_empty() {
        show("Environment", json!({ "Variables": configuration.environment }));
    }
    if !configuration.file_systems.is_empty() {
        show("FileSystemConfigs", json!(configuration.file_systems));
    }
    if let Some(key) = &configuration.kms_key {
        show("KMSKeyArn", key.as_str().into());
    }
    if let Some(network) = &configuration.vpc_config {
        show("VpcConfig", vpc_config(network));
    }
    match &it.excluded {
        None => {}
        Some(Exclusion::EdgeReplica(master)) => show("MasterArn", master.as_str().into()),
        Some(Exclusion::CapacityProvider(arn)) => {
            let instances = json!({ "CapacityProviderArn": arn });
            show("CapacityProviderConfig", json!({ "LambdaManagedInstancesCapacityProviderConfig": instances }));
        }
    }
    shown
}

/// A function as a single read shows it.
fn whole(at: &ScopeKey, it: &Function) -> Value {
    let mut shown = listed(at, it);
    let mut show = |name: &str, value: &str| {
        shown.insert(name.to_owned(), value.into());
    };
    // What Lambda says while it makes or updates something; the code is outside the service model's list for updates.
    let making = Failure { code: "Creating".to_owned(), text: "The function is being created.".to_owned() };
    let why = match &it.life.state {
        State::Pending => Some(&making),
        State::Failed(why) => Some(why),
        _ => None,
    };
    show("State", it.life.state.name());
    if let Some(Failure { code, text }) = why {
        show("StateReasonCode", code);
        show("StateReason", text);
    }
    let (update, why) = match &it.life.update {
        Update::Successful => ("Successful", None),
        Update::InProgress => ("InProgress", Some(&making)),
        Update::Failed(why) => ("Failed", Some(why)),
        Update::Unsaid => return Value::Object(shown),
    };
    show("LastUpdateStatus", update);
    if let Some(Failure { code, text }) = why {
        show("LastUpdateStatusReasonCode", code);
        show("LastUpdateStatusReason", text);
    }
    Value::Object(shown)
}

fn vpc_config(it: &VpcConfig) -> Value {
    json!({
        "Ipv6AllowedForDualStack": it.ipv6,
        "SecurityGroupIds": it.security_groups,
        "SubnetIds": it.subnets,
        "VpcId": it.vpc.as_ref().map(|vpc| vpc.as_str()).unwrap_or_default(),
    })
}

/// `2026-11-23T07:00:00.000+0000`, which is ISO 8601 but not RFC 3339.
fn last_modified(time: Time) -> String {
    format!("{}.{:03}+0000", time.to_string().trim_end_matches('Z'), time.0 % 1000)
}
