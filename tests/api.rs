//! What the daemon answers under `/api/v1`, and the page's files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lambda_vpc_controller::manager::Event;
use lambda_vpc_controller::plan::{Cause, Limits, State};
use lambda_vpc_controller::simulator::World;
use serde_json::{Value, json};

use crate::schema::check;
use crate::support::history::{History, desired, settings};
use crate::support::program;
use crate::support::window::Window;

const FILE: &str = "[defaults]\nregion = 'eu-west-1'\naccount = '123456789012'\n\
                    [[vpc]]\nname = 'orders'\nid = 'vpc-0a1b2c3d4e5f60718'\n\
                    [[function]]\nname = 'orders-api'\nvpc = 'orders'\n\
                    [[function]]\nname = 'orders-worker'\nvpc = 'orders'\n\
                    [[function]]\nname = 'nobody'\nvpc = 'vpc-0a1b2c3d4e5f60718'\n\
                    [[function]]\nname = 'billing-report'\nvpc = 'orders'\nmode = 'observe'\nreason = '<b>look</b>'\n\
                    [[function]]\nname = 'legacy-report'\nvpc = 'none'\n";
const FUNCTION: &str = "/api/v1/functions/123456789012/eu-west-1";

/// The demo's world, when all has come to rest: two in sync, one blocked, one observed, one that may not be detached.
fn at_rest() -> Window {
    let mut history = History::new(Limits::of(&settings()));
    history.load(FILE);
    history.until_rest(Duration::from_secs(1200));
    Window::on(history)
}

#[test]
fn the_status_tells_of_the_fleet_at_a_glance() {
    let mut window = Window::on(History::new(Limits::of(&settings())));
    let status = window.get("/api/v1/status").json();
    assert_eq!(
        (&status["ready"], &status["listed"], &status["desired"]["digest"]),
        (&false.into(), &0.into(), &Value::Null)
    );
    assert_eq!(status["scopes"], json!([]));

    window.history.load(FILE);
    window.history.until_rest(Duration::from_secs(1200));
    window.show();
    let status = window.get("/api/v1/status").json();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&status["ready"], &status["listed"], &status["behind"]), (&true.into(), &5.into(), &0.into()));
    let states = json!({ "in_sync": 2, "progressing": 0, "out_of_sync": 1, "awaiting_approval": 0, "blocked": 2, "unknown": 0, "excluded": 0 });
    assert_eq!(status["states"], states);
    assert_eq!((&status["desired"]["valid"], &status["desired"]["problem"]), (&true.into(), &Value::Null));
    let scope = &status["scopes"][0];
    assert_eq!(
        (&scope["account"], &scope["region"], &scope["states"]),
        (&"123456789012".into(), &"eu-west-1".into(), &states)
    );
    assert_eq!((&scope["fault"], scope["last_success"].is_string()), (&Value::Null, true));
}

#[test]
fn readiness_says_what_is_waited_for() {
    let mut window = Window::on(History::new(Limits::of(&settings())));
    let ready = |window: &Window| {
        let answer = window.get("/readyz");
        (answer.status, answer.body)
    };
    assert_eq!(ready(&window), (503, "no desired state is in force yet\n".to_owned()));
    // What the controller wants to have done for it is left undone.
    let loaded = Event::Loaded(Ok(Some(desired(FILE))));
    window.history.controller.handle(loaded, window.history.clock.now());
    window.show();
    assert_eq!(ready(&window), (503, "not every account and region has answered yet\n".to_owned()));
    assert_eq!(ready(&at_rest()), (200, "ok\n".to_owned()));
}

#[test]
fn functions_are_filtered_sorted_and_paged() {
    let window = at_rest();
    let all = ["billing-report", "legacy-report", "nobody", "orders-api", "orders-worker"];
    for (query, expected) in [
        ("", &all[..]),
        ("sort=-name", &["orders-worker", "orders-api", "nobody", "legacy-report", "billing-report"]),
        ("state=blocked", &["legacy-report", "nobody"]),
        ("state=blocked&state=in_sync", &["legacy-report", "nobody", "orders-api", "orders-worker"]),
        ("state=blocked&state=blocked", &["legacy-report", "nobody"]),
        ("reason=FunctionNotFound", &["nobody"]),
        ("vpc=orders", &["billing-report", "orders-api", "orders-worker"]),
        ("vpc=vpc-0a1b2c3d4e5f60718", &["billing-report", "nobody", "orders-api", "orders-worker"]),
        ("name=orders-*", &["orders-api", "orders-worker"]),
        ("name=%3Frders-api", &["orders-api"]),
        ("name=nothing", &[]),
        ("account=123456789012&region=eu-west-1", &all),
        ("account=222222222222", &[]),
        ("region=us-east-1", &[]),
        ("sort=state", &["legacy-report", "nobody", "billing-report", "orders-api", "orders-worker"]),
        ("sort=name&limit=2", &["billing-report", "legacy-report"]),
    ] {
        assert_eq!(window.names(query), expected, "{query}");
    }
    assert_eq!(window.names(&format!("name={}", "*".repeat(140))), all, "the longest name that may be asked for");
    for sort in ["name", "-name", "state", "-state", "since", "-since", "next_try", "-next_try"] {
        let whole = window.names(&format!("sort={sort}"));
        let mut paged = Vec::new();
        let mut cursor = String::new();
        loop {
            let answer = window.get(&format!("/api/v1/functions?sort={sort}&limit=2{cursor}")).json();
            assert_eq!(answer["total"], 5);
            paged.extend(
                answer["functions"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()),
            );
            match answer["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(paged, whole, "{sort}");
    }
}

#[test]
fn a_function_is_told_with_its_difference_its_change_and_its_history() {
    let window = at_rest();
    let api = window.get(&format!("{FUNCTION}/orders-api")).json();
    assert_eq!((&api["state"], &api["why"], &api["change"]), (&"in_sync".into(), &Value::Null, &Value::Null));
    assert_eq!((&api["vpc_name"], &api["live"]["vpc"]), (&"orders".into(), &"vpc-0a1b2c3d4e5f60718".into()));
    assert_eq!((&api["last_change"]["step"], &api["last_change"]["cause"]), (&"set_vpc".into(), &"file".into()));
    assert_eq!(api["attempted_digest"], window.get("/api/v1/status").json()["desired"]["digest"]);
    assert_eq!(api["applied_digest"], api["attempted_digest"]);
    let events: Vec<&str> = api["history"].as_array().unwrap().iter().map(|it| it["event"].as_str().unwrap()).collect();
    assert_eq!((events.first(), events.last()), (Some(&"became"), Some(&"differs")), "the latest first");

    let billing = window.get(&format!("{FUNCTION}/billing-report")).json();
    assert_eq!(
        (&billing["state"], &billing["mode"], &billing["cause"]),
        (&"out_of_sync".into(), &"observe".into(), &"file".into())
    );
    assert_eq!(
        (&billing["observed_because"], &billing["place"]),
        (&"<b>look</b>".into(), &"functions.toml:17:8".into())
    );
    assert_eq!(billing["change"]["from"]["subnets"], json!([]));
    assert!(!billing["change"]["to"]["subnets"].as_array().unwrap().is_empty());
    let nobody = window.get(&format!("{FUNCTION}/nobody")).json();
    assert_eq!((&nobody["why"]["reason"], &nobody["live"]), (&"FunctionNotFound".into(), &Value::Null));
    assert!(nobody["why"]["sentence"].as_str().unwrap().starts_with("There is no such function"));
}

#[test]
fn what_is_not_understood_is_refused_and_what_would_be_right_is_said() {
    let window = at_rest();
    let next = window.get("/api/v1/functions?sort=-since&limit=2").json()["next"].as_str().unwrap().to_owned();
    let cursor = format!("/api/v1/functions?sort=since&cursor={next}");
    for (path, status, words) in [
        ("/nowhere", 404, "there is nothing at /nowhere; there are /, /api/v1/status"),
        ("/api/v1/functions/", 404, "there is nothing at"),
        ("/api/v2/status", 404, "there is nothing at"),
        ("/page/../Cargo.toml", 404, "there is nothing at"),
        ("/api/v1/status?state=blocked", 400, "there is no parameter `state`; this takes none"),
        ("/api/v1/functions?colour=red", 400, "there is no parameter `colour`; there are state, reason, vpc"),
        ("/api/v1/functions?state=fine", 400, "it takes a state: in_sync, progressing"),
        ("/api/v1/functions?reason=None", 400, "`None` is no value of `reason`"),
        ("/api/v1/functions?limit=0", 400, "from 1 to 1000"),
        ("/api/v1/functions?limit=1001", 400, "from 1 to 1000"),
        ("/api/v1/functions?limit=1&limit=2", 400, "`limit` is given twice"),
        ("/api/v1/functions?sort=colour", 400, "it takes name (the default)"),
        ("/api/v1/functions?sort=name&sort=name", 400, "`sort` is given twice"),
        ("/api/v1/functions?cursor=5", 400, "it takes what the answer before called `next`"),
        (&cursor, 400, "the `cursor` is one of `sort=-since`, and what is asked for is `sort=since`"),
        (
            &cursor.replace("sort=since&", ""),
            400,
            "the `cursor` is one of `sort=-since`, and what is asked for is `sort=name`",
        ),
        (
            &format!("/api/v1/functions?name={}", "*".repeat(141)),
            400,
            "…` is no value of `name`: it takes a function's name of up to 140",
        ),
        (&format!("/api/v1/functions?vpc={}", "x".repeat(10_000)), 400, "of up to 140 characters"),
        ("/api/v1/functions?account=1", 400, "it takes an account id"),
        ("/api/v1/functions/1/eu-west-1/x", 400, "`1` is not an account id"),
        ("/api/v1/functions/123456789012/eu-west-1/a%20b", 400, "is not a function name"),
        ("/api/v1/functions/123456789012/eu-west-1/%FF", 400, "Invalid"),
        ("/api/v1/functions/123456789012/eu-west-1/orders-api?x=1", 400, "there is no parameter `x`"),
        ("/api/v1/functions/123456789012/eu-west-1/else", 404, "lists no function 123456789012/eu-west-1/else"),
    ] {
        let answer = window.get(path);
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(answer.status == status && error.contains(words), "{path}: {} {error}", answer.status);
        assert!(error.len() < 1000, "{path}: {} bytes", error.len());
        assert_eq!(answer.header("content-type"), "application/json", "{path}");
    }
    assert_eq!(window.get(&format!("/api/v1/functions?vpc={}", "x".repeat(60_000))).status, 431, "it is not even read");
    for path in ["/", "/metrics", "/livez", "/api/v1/status", "/api/v1/functions", &format!("{FUNCTION}/orders-api")] {
        let answer = window.post(path);
        assert_eq!((answer.status, answer.header("allow")), (405, "GET,HEAD"), "{path}");
        assert!(answer.json()["error"].as_str().unwrap().contains("read only"), "{path}");
    }
}

#[test]
fn an_answer_is_sent_again_only_when_something_has_changed() {
    let mut window = at_rest();
    let functions = format!("{FUNCTION}/orders-api");
    for path in ["/api/v1/status", "/api/v1/functions?limit=1", &functions, "/", "/page/main.js"] {
        let first = window.get(path);
        let tag = first.header("etag");
        assert_eq!((first.status, first.header("cache-control")), (200, "no-cache"), "{path}");
        for known in [tag, &format!("\"x\", W/{tag}"), "*"] {
            let again = window.get_unless(path, Some(known));
            assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", tag), "{path} {known}");
        }
        assert_eq!(window.get_unless(path, Some("\"x\"")).status, 200, "{path}");
    }
    let before = window.get("/api/v1/status");
    window.show();
    assert_eq!(window.get_unless("/api/v1/status", Some(before.header("etag"))).status, 304, "nothing has happened");
    window.history.load(&FILE.replace("observe", "enforce").replace("reason = '<b>look</b>'\n", ""));
    window.show();
    assert_eq!(window.get_unless("/api/v1/status", Some(before.header("etag"))).status, 200, "the file was edited");
}

/// The OpenAPI document, as a schema of one of its parts.
fn schema_of(folder: &Path, part: &str) -> PathBuf {
    let document: Value = serde_json::from_str(&fs::read_to_string(root().join("docs/openapi.json")).unwrap()).unwrap();
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": format!("#/components/schemas/{part}"),
        "components": document["components"],
    });
    let file = folder.join(format!("{part}.schema.json"));
    fs::write(&file, schema.to_string()).unwrap();
    file
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_openapi_document_in_the_docs_is_the_one_of_the_code() {
    let printed = program().args(["schema", "--api"]).output().unwrap().stdout;
    let file = fs::read(root().join("docs/openapi.json")).unwrap_or_default();
    let how = "run `lambda-vpc-controller schema --api > docs/openapi.json`";
    assert!(file == printed, "docs/openapi.json is not what the code says; {how}");
    let window = at_rest();
    assert_eq!(window.get("/api/v1/openapi.json").json(), serde_json::from_slice::<Value>(&printed).unwrap());
}

#[test]
fn the_openapi_document_is_one_and_real_answers_follow_it() {
    let mut validator =
        std::process::Command::new(crate::python::tool("openapi-spec-validator", "openapi-spec-validator==0.7.*"));
    let output = validator.arg(root().join("docs/openapi.json")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));

    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::on(History::new(Limits::of(&settings())));
    let mut kept: Vec<(&str, PathBuf)> = Vec::new();
    let mut keep = |window: &Window, part: &'static str, path: &str| {
        let file = folder.path().join(format!("{}.json", kept.len()));
        fs::write(&file, window.get(path).body).unwrap();
        kept.push((part, file));
    };
    keep(&window, "Status", "/api/v1/status");
    keep(&window, "Functions", "/api/v1/functions");
    window.history.load(FILE);
    window.history.until_rest(Duration::from_secs(1200));
    window.show();
    keep(&window, "Status", "/api/v1/status");
    keep(&window, "Functions", "/api/v1/functions");
    keep(&window, "Functions", "/api/v1/functions?limit=2");
    keep(&window, "Problem", "/nowhere");
    for name in ["orders-api", "orders-worker", "nobody", "billing-report", "legacy-report"] {
        keep(&window, "Details", &format!("{FUNCTION}/{name}"));
    }
    for part in ["Status", "Functions", "Details", "Problem"] {
        let files: Vec<PathBuf> = kept.iter().filter(|(of, _)| *of == part).map(|(_, file)| file.clone()).collect();
        let (fine, said) = check(&schema_of(folder.path(), part), &files);
        assert!(fine, "{part}: {said}");
    }
    let wrong = folder.path().join("wrong.json");
    fs::write(&wrong, "{\"version\": 1}").unwrap();
    assert!(!check(&schema_of(folder.path(), "Status"), &[wrong]).0, "the check refuses nothing");
}

#[test]
fn the_page_is_whole_takes_nothing_from_elsewhere_and_runs_nothing_inline() {
    let window = at_rest();
    let index = window.get("/");
    let policy = index.header("content-security-policy");
    for rule in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let mut files = vec!["/".to_owned()];
    let folder = root().join("src/http/page");
    for file in fs::read_dir(&folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        files.extend((name != "index.html").then(|| format!("/page/{name}")));
    }
    for path in files {
        let answer = window.get(&path);
        assert_eq!((answer.status, answer.header("x-content-type-options")), (200, "nosniff"), "{path}");
        assert!(!answer.header("content-type").contains("plain"), "{path}");
        let foreign = answer.body.replace("http://www.w3.org/2000/svg", "");
        for word in
            ["http://", "https://", "//cdn", "innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval("]
        {
            assert!(!foreign.contains(word), "{path} has {word}");
        }
        for word in [" style=", " onclick=\"", " onload=", "<style", "javascript:"] {
            assert!(!answer.body.contains(word), "{path} has {word}");
        }
    }
}

#[test]
fn the_page_has_a_word_for_each_state_and_each_cause() {
    let read = |name: &str| fs::read_to_string(root().join("src/http/page").join(name)).unwrap();
    let (words, causes) = (read("dom.js"), read("table.js"));
    let (_, words) = words.split_once("WORDS = {").unwrap();
    let keys = |text: &str| -> Vec<String> {
        let lines = text.lines().skip(1).take_while(|line| !line.starts_with('}'));
        lines.filter_map(|line| line.split_once(':')).map(|(key, _)| key.trim().to_owned()).collect()
    };
    assert_eq!(keys(words), State::BY_URGENCY.map(State::name), "in the order of the tiles");
    let (_, causes) = causes.split_once("CAUSES = {").unwrap();
    assert_eq!(keys(causes), Cause::ALL.map(Cause::name));
}

/// `cargo test --test main ten_thousand -- --ignored --nocapture` prints what ten thousand functions cost.
#[test]
#[ignore = "measures"]
fn ten_thousand_functions_are_shown_quickly() {
    const COUNT: usize = 10_000;
    let memory = || {
        let text = fs::read_to_string("/proc/self/status").unwrap();
        let line = text.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
    };
    let mut file = "[defaults]\nregion = 'eu-west-1'\naccount = '123456789012'\nmode = 'observe'\n".to_owned();
    let world = World::fleet(COUNT);
    for (number, vpc) in world.vpcs.iter().enumerate() {
        file += &format!("[[vpc]]\nname = 'fleet-{number}'\nid = '{}'\n", vpc.id);
    }
    for number in 0..COUNT {
        file += &format!("[[function]]\nname = 'function-{number:05}'\nvpc = 'fleet-{}'\n", number / 500);
    }
    let mut history = History::of(world, Limits::of(&settings()));
    println!("memory before the file: {} MB", memory());
    let time = |what: &str, act: &mut dyn FnMut()| {
        let begun = Instant::now();
        act();
        println!("{what}: {:?}", begun.elapsed());
    };
    time("load and first sweep", &mut || {
        history.load(&file);
        history.until_rest(Duration::from_secs(3600));
    });
    println!("memory at rest, account and all: {} MB", memory());
    time("a picture of the board", &mut || drop(history.controller.fleet()));
    time("another sweep, nothing new", &mut || history.pass(Duration::from_secs(301)));
    let mut window = Window::on(history);
    println!("memory with a picture: {} MB", memory());
    time("a turn of the loop, nothing changed", &mut || {
        window.history.controller.turned(&*window.telemetry, window.history.clock.now())
    });
    time("a turn of the loop with a new picture", &mut || window.show());
    for path in [
        "/api/v1/status",
        "/api/v1/functions",
        "/api/v1/functions?sort=state&limit=100",
        "/api/v1/functions?sort=-since&limit=1000",
        "/api/v1/functions?name=*99*&limit=100",
        "/metrics",
        "/api/v1/functions/123456789012/eu-west-1/function-09999",
    ] {
        let mut size = 0;
        time(path, &mut || size = window.get(path).body.len());
        println!("    {size} bytes");
    }
}
