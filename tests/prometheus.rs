//! The metrics, as Prometheus itself understands them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use lambda_vpc_controller::cloud::{CallObserver as _, Called, Class, CloudError, Operation};
use lambda_vpc_controller::manager::Observer as _;
use lambda_vpc_controller::names::{Clock, Region, ScopeKey, Time};
use lambda_vpc_controller::plan::{Limits, Reason, State};
use lambda_vpc_controller::reconcile::Notice;
use lambda_vpc_controller::telemetry::Telemetry;
use serde_json::Value;

use crate::daemon::{FILE, Stage};
use crate::support::history::{History, key, settings};
use crate::support::installed::installed;
use crate::support::process::{Process, eventually, eventually_or};
use crate::support::window::Window;

fn throttled() -> CloudError {
    CloudError::local(Operation::ListFunctions, Class::Throttled, "TooManyRequestsException", "Rate exceeded")
}

/// A call that came to this.
fn refused<'a>(error: &'a CloudError, at: &'a ScopeKey) -> Called<'a> {
    Called { operation: Operation::ListFunctions, at: Some(at), error: Some(error), took: Duration::from_millis(30) }
}

#[test]
fn whatever_an_endpoint_answers_there_are_only_so_many_series() {
    let telemetry = Telemetry::new(true, Clock::new(|| Time(0))).unwrap();
    for number in 0..500 {
        let code = format!("MadeUp{number}");
        let error = CloudError { code, ..throttled() };
        telemetry.called(&refused(&error, &key("x").scope));
    }
    let text = telemetry.metrics_text();
    let codes =
        text.lines().filter(|line| line.contains("operation=\"ListFunctions\"") && line.contains("code=")).count();
    assert_eq!(codes, 102, "a hundred, `other`, and `ok`");
    assert!(text.contains("code=\"other\",operation=\"ListFunctions\",service=\"lambda\"} 400"), "{text}");
}

#[test]
fn promtool_finds_nothing_in_the_metrics() {
    let Some(promtool) = installed("promtool", "prometheus") else { return };
    let mut history = History::new(Limits::of(&settings()));
    history.load(
        "[defaults]\nregion = 'eu-west-1'\naccount = '123456789012'\n\
         [[function]]\nname = 'orders-api'\nvpc = 'vpc-0a1b2c3d4e5f60718'\n\
         [[function]]\nname = 'nobody'\nvpc = 'vpc-0a1b2c3d4e5f60718'\n",
    );
    history.until_rest(Duration::from_secs(1200));
    let window = Window::on(history);
    let at = key("orders-api").scope;
    window.telemetry.called(&refused(&throttled(), &at));
    window.telemetry.notice(&Notice::Stored { scope: at.clone(), error: None });
    window.telemetry.notice(&Notice::Behind { scope: at, versions: Some(1) });
    let text = window.get("/metrics").body;
    for described in window.telemetry.described() {
        assert!(
            text.contains(&format!("# TYPE {} {}", described.name, described.kind)),
            "{} is missing",
            described.name
        );
    }
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn a_daemon_without_a_desired_state_has_a_version_and_no_digest() {
    let mut window = Window::on(History::new(Limits::of(&settings())));
    let there = |window: &Window| {
        let text = window.get("/metrics").body;
        ["lambda_vpc_build_info{", "lambda_vpc_desired_info{"].map(|series| text.contains(series))
    };
    assert_eq!(there(&window), [true, false]);
    window.history.load(FILE);
    window.show();
    assert_eq!(there(&window), [true, true]);
}

#[test]
fn the_series_of_an_account_and_region_and_of_a_function_vanish_with_their_entries() {
    let entry = |region: &str| {
        format!(
            "[[function]]\nname = 'orders-api'\nregion = '{region}'\naccount = '123456789012'\nvpc = 'vpc-0a1b2c3d4e5f60718'\n"
        )
    };
    let mut history = History::new(Limits::of(&settings()));
    history.load(&(entry("eu-west-1") + &entry("us-east-1")));
    history.until_rest(Duration::from_secs(1200));
    let mut window = Window::on(history);
    let gone = ScopeKey { region: Region::parse("us-east-1").unwrap(), ..key("orders-api").scope };
    window.telemetry.called(&refused(&throttled(), &gone));
    let series =
        |window: &Window, words: &str| window.get("/metrics").body.lines().filter(|line| line.contains(words)).count();
    assert!(series(&window, "region=\"us-east-1\"") > 10);
    window.history.load(&entry("eu-west-1"));
    window.show();
    assert_eq!(series(&window, "region=\"us-east-1\""), 0, "{}", window.get("/metrics").body);
    assert_eq!(series(&window, "lambda_vpc_function_in_sync{"), 1);
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn passes(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn each_alert_comes_where_it_must_and_nowhere_else() {
    let Some(promtool) = installed("promtool", "prometheus") else { return };
    let folder = root().join("deploy/prometheus");
    passes(Command::new(&promtool).current_dir(&folder).args(["check", "rules", "rules.yml"]));
    passes(Command::new(&promtool).current_dir(&folder).args(["test", "rules", "tests.yml"]));
}

/// The words in a text that begin so.
fn words<'a>(text: &'a str, beginning: &'a str) -> impl Iterator<Item = String> + 'a {
    let rest = text.split(beginning).skip(1);
    rest.map(move |rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        format!("{beginning}{}", &rest[..end])
    })
}

#[test]
fn alerts_dashboard_and_runbook_speak_of_what_there_is() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let (rules, tests) = (read("deploy/prometheus/rules.yml"), read("deploy/prometheus/tests.yml"));
    let (board, runbook) = (read("deploy/grafana/lambda-vpc-controller.json"), read("docs/runbook.md"));
    let alerts: BTreeSet<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let sections: BTreeSet<&str> = runbook.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert!(alerts.len() > 8);
    assert_eq!(sections, alerts, "a section for each alert, and no other");
    for alert in &alerts {
        assert!(
            rules.contains(&format!("runbook: docs/runbook.md#{}", alert.to_lowercase())),
            "{alert} has no runbook"
        );
        let tried = tests.matches(&format!("alertname: {alert}")).count();
        assert!(tried > 1, "tests.yml tries {alert} {tried} times: once where it comes, once where it does not");
    }

    let metrics = Telemetry::new(true, Clock::new(|| Time(0))).unwrap();
    let known: BTreeSet<&str> = metrics.described().iter().map(|metric| metric.name.as_str()).collect();
    for (name, text) in [("rules.yml", &rules), ("tests.yml", &tests), ("the dashboard", &board)] {
        let of_histogram = |metric: &str| {
            ["_bucket", "_sum", "_count"]
                .iter()
                .any(|end| metric.strip_suffix(end).is_some_and(|it| known.contains(it)))
        };
        for metric in words(text, "lambda_vpc_").chain(words(text, "workqueue_")) {
            assert!(known.contains(metric.as_str()) || of_histogram(&metric), "{name} speaks of {metric}");
        }
        for state in text.split("state=\"").skip(1).filter_map(|rest| rest.split(['"', '\\']).next()) {
            assert!(State::ALL.iter().any(|known| known.name() == state), "{name} speaks of the state {state}");
        }
        for reason in text.split("reason=\"").skip(1).filter_map(|rest| rest.split(['"', '\\']).next()) {
            assert!(Reason::ALL.iter().any(|known| known.name() == reason), "{name} speaks of the reason {reason}");
        }
    }
    let is_reason = |word: &&str| {
        word.len() > 6
            && word.starts_with(|c: char| c.is_ascii_uppercase())
            && word.bytes().all(|b| b.is_ascii_alphabetic())
    };
    for reason in runbook.split('`').skip(1).step_by(2).filter(is_reason) {
        let known = Reason::ALL.iter().any(|known| known.name() == reason);
        assert!(
            known || ["UpdateFunctionConfiguration", "DetachRolePolicy", "VpcConfig"].contains(&reason),
            "{reason}"
        );
    }
}

#[test]
fn every_panel_of_the_dashboard_shows_something_of_a_daemon_that_prometheus_scrapes() {
    let Some(prometheus) = installed("prometheus", "prometheus") else { return };
    let file = format!(
        "{FILE}[[function]]\nname = 'nobody'\nvpc = 'orders'\n[[function]]\nname = 'billing-report'\nvpc = 'orders'\nmode = 'observe'\n"
    );
    let stage = Stage::open(&file);
    let folder = tempfile::tempdir().unwrap();
    let daemon = stage.url().replace("http://", "");
    let config = format!(
        "global: {{ scrape_interval: 500ms }}\n\
         scrape_configs: [{{ job_name: daemon, static_configs: [{{ targets: ['{daemon}'] }}] }}]\n"
    );
    fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    let mut command = Command::new(prometheus);
    command.current_dir(folder.path()).args(["--config.file=prometheus.yml", "--web.listen-address=127.0.0.1:0"]);
    let server = Process::start(command.arg("--storage.tsdb.path=data"));
    let url = format!("http://{}", server.told("msg=\"Listening on\" address=", ' '));

    let ask = |query: &str| -> Option<Value> {
        let encoded: String = form_urlencoded::Serializer::new(String::new()).append_pair("query", query).finish();
        let answer =
            ureq::get(format!("{url}/api/v1/query?{encoded}")).call().ok()?.body_mut().read_to_string().ok()?;
        serde_json::from_str(&answer).ok()
    };
    let shows = |answer: &Value| {
        let results = answer["data"]["result"].as_array()?;
        let number = |result: &Value| result["value"][1].as_str().is_some_and(|value| value != "NaN");
        (results.iter().any(number)).then_some(())
    };
    // A rate is that of what happens while somebody scrapes.
    eventually("a scrape", || shows(&ask("lambda_vpc_functions{state='in_sync'} == 1")?));
    stage.account.detach("orders-api");
    let throttled = "[[fault]]\noperation = 'GetFunctionConfiguration'\nanswer = 'throttled'\ntimes = 1\n";
    ureq::post(format!("{}/_simulator/faults", stage.account.url)).send(throttled).unwrap();

    let board: Value =
        serde_json::from_str(&fs::read_to_string(root().join("deploy/grafana/lambda-vpc-controller.json")).unwrap())
            .unwrap();
    let panels = board["panels"].as_array().unwrap();
    let queries: Vec<(String, String)> = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap().iter().map(move |target| (panel, target)))
        .map(|(panel, target)| {
            (panel["title"].as_str().unwrap().to_owned(), target["expr"].as_str().unwrap().to_owned())
        })
        .collect();
    assert!(queries.len() >= panels.len() && panels.len() > 15);
    for (title, query) in queries {
        let query = query.replace("$__rate_interval", "10m").replace("$account", ".*").replace("$region", ".*");
        assert!(!query.contains('$'), "{title}: a variable that the test does not know: {query}");
        eventually_or(|| format!("{title} stays empty: {query}: {:?}", ask(&query)), || shows(&ask(&query)?));
    }
}
