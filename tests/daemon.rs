//! The daemon as a process, against a simulated account in another process, over HTTP.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::Value;

use crate::served::aws_environment;
use crate::support::account::Account;
use crate::support::process::{Process, eventually, eventually_or};
use crate::support::{program, replace};

const WORLD: &str = include_str!("../src/simulator/world/demo.toml");
const SETTINGS: &str = "resync = '1s'\nsettle = '0s'\nlisten = '127.0.0.1:0'\n[limits]\nrequests_per_second = 15\n";
pub(crate) const FILE: &str = "[defaults]\nregion = 'eu-west-1'\naccount = '123456789012'\n\
                    [[vpc]]\nname = 'orders'\nid = 'vpc-0a1b2c3d4e5f60718'\n\
                    [[function]]\nname = 'orders-api'\nvpc = 'orders'\n";

pub(crate) struct Stage {
    folder: tempfile::TempDir,
    pub(crate) account: Account,
    pub(crate) daemon: Process,
}

impl Stage {
    /// A quick account and a daemon that works on this file.
    pub(crate) fn open(file: &str) -> Self {
        Self::open_with(file, SETTINGS)
    }

    fn open_with(file: &str, settings: &str) -> Self {
        Self::open_in("", file, settings)
    }

    /// The same, in an account that has this beside what the demo has.
    fn open_in(more: &str, file: &str, settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let quick = "[timings]\nupdate = 0.1\nnew_interface = 0.2\npropagation = 0.3\npending = 0.1";
        let (head, rest) = WORLD.split_once("[timings]").unwrap();
        let (_, rest) = rest.split_once("\n\n").unwrap();
        let account = Account::serve(&format!("{head}{quick}\n\n{rest}{more}"));
        fs::write(folder.path().join("functions.toml"), file).unwrap();
        fs::write(folder.path().join("controller.toml"), settings).unwrap();
        let daemon = Self::daemon(&folder, &account.url);
        Self { folder, account, daemon }
    }

    fn daemon(folder: &tempfile::TempDir, url: &str) -> Process {
        let (desired, config) = (folder.path().join("functions.toml"), folder.path().join("controller.toml"));
        let mut program = program();
        program.args(["run", "--log-format", "json", "--config"]).arg(config).arg("--desired").arg(desired);
        Process::start(program.envs(aws_environment(url)))
    }

    /// The settings say this from now on.
    fn settings(&self, text: &str) {
        replace(&self.folder.path().join("controller.toml"), text);
    }

    /// What `plan --output json` prints.
    fn plan(&self) -> Value {
        let config = self.folder.path().join("controller.toml");
        let mut program = program();
        program.args(["plan", "--output", "json", "--config"]).arg(config).arg("--desired").arg(self.file());
        let output = program.envs(aws_environment(&self.account.url)).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// How often each function was updated, by all that the account has accepted.
    fn updates(&self) -> BTreeMap<String, usize> {
        let mut updates = BTreeMap::new();
        for call in self.account.calls().1 {
            if call["operation"] == "UpdateFunctionConfiguration" && call["refused"].is_null() {
                *updates.entry(call["subject"].as_str().unwrap().to_owned()).or_default() += 1;
            }
        }
        updates
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("functions.toml")
    }

    /// The records of an audit trail.
    fn audit(text: &str) -> Vec<Value> {
        let records = text.lines().filter(|line| line.starts_with("{\"version\":1,"));
        records.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Where the daemon is served, `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.daemon.told("\"at\":\"", '"'))
    }

    fn get(&self, path: &str) -> Result<String, ureq::Error> {
        ureq::get(format!("{}{path}", self.url())).call()?.body_mut().read_to_string()
    }

    /// The value of a series; none as long as it is not there.
    fn metric(&self, series: &str) -> Option<f64> {
        let text = self.get("/metrics").ok()?;
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    #[track_caller]
    pub(crate) fn until(&self, series: &str, value: f64) {
        let said = || format!("{series} never was {value}:\n{:?}\n{}", self.get("/metrics"), self.daemon.output());
        eventually_or(said, || self.metric(series).filter(|now| *now == value));
    }

    /// Whether the function is in its VPC, as any client of the account sees it.
    fn attached(&self) -> bool {
        let subnets = &self.account.configuration("orders-api")["VpcConfig"]["SubnetIds"];
        subnets.as_array().is_some_and(|subnets| subnets.iter().any(|subnet| subnet == "subnet-0a1a1a1a1a1a1a1a1"))
    }
}

#[test]
fn the_daemon_attaches_repairs_and_ends_cleanly() {
    let mut stage = Stage::open(FILE);
    stage.until(
        "lambda_vpc_function_in_sync{account=\"123456789012\",function=\"orders-api\",region=\"eu-west-1\"}",
        1.0,
    );
    assert!(stage.attached());
    assert_eq!(stage.get("/livez").unwrap(), "ok\n");
    assert_eq!(stage.get("/readyz").unwrap(), "ok\n");
    assert_eq!(stage.metric("lambda_vpc_changes_total{result=\"success\",step=\"attach_policy\"}"), Some(1.0));
    let updates = "lambda_vpc_changes_total{result=\"success\",step=\"set_vpc\"}";
    stage.until(updates, 1.0);
    stage.account.detach("orders-api");
    stage.until(updates, 2.0);
    stage.until("lambda_vpc_drift_total{cause=\"live\",kind=\"network\"}", 1.0);
    stage.until("lambda_vpc_functions{account=\"123456789012\",region=\"eu-west-1\",state=\"in_sync\"}", 1.0);
    stage.daemon.signal("TERM");
    assert_eq!(stage.daemon.ended().code(), Some(0), "{}", stage.daemon.output());
    assert!(stage.account.process.runs(), "the account still runs");
}

#[test]
fn a_file_that_is_renamed_over_or_written_in_place_is_taken_over_each_time() {
    let stage = Stage::open(FILE);
    let loads = "lambda_vpc_desired_loads_total{result=\"success\"}";
    stage.until(loads, 1.0);
    // Twice each way: the first swap may kill a watch, and only the second shows it.
    for turn in 1..=2_u32 {
        replace(&stage.file(), format!("{FILE}# renamed {turn}\n"));
        stage.until(loads, f64::from(turn * 2));
        fs::write(stage.file(), format!("{FILE}# written {turn}\n")).unwrap();
        stage.until(loads, f64::from(turn * 2 + 1));
    }
}

#[test]
fn a_broken_edit_does_no_harm_and_is_told() {
    let stage = Stage::open(FILE);
    stage.until("lambda_vpc_functions{account=\"123456789012\",region=\"eu-west-1\",state=\"in_sync\"}", 1.0);
    for broken in
        ["", "[[function]\nname =", "[[function]]\nname = 'orders-api'\nvpc = 'nowhere'\nregion = 'eu-west-1'\n"]
    {
        fs::write(stage.file(), broken).unwrap();
        stage.until("lambda_vpc_desired_valid", 0.0);
        assert!(stage.attached());
        assert_eq!(stage.get("/readyz").unwrap(), "ok\n", "the last good state is in force");
        fs::write(stage.file(), FILE).unwrap();
        stage.until("lambda_vpc_desired_valid", 1.0);
    }
    assert_eq!(stage.metric("lambda_vpc_changes_total{result=\"success\",step=\"set_vpc\"}"), Some(1.0));
    assert!(stage.daemon.output().contains("there is no VPC `nowhere`"), "{}", stage.daemon.output());
}

#[test]
fn it_answers_to_names_of_this_machine_alone_and_leaves_no_core_dump() {
    let stage = Stage::open(FILE);
    let at = stage.daemon.told("\"at\":\"", '"');
    let asked = |host: &str| {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let answer = agent.get(format!("http://{at}/api/v1/status")).header("host", host).call().unwrap();
        answer.status().as_u16()
    };
    let answers = ["localhost", "127.0.0.1:9464", "rebound.example.com", "169.254.169.254"].map(asked);
    assert_eq!(answers, [200, 200, 421, 421]);
    let limits = fs::read_to_string(format!("/proc/{}/limits", stage.daemon.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
}

/// A line of the log beside the desired state would otherwise make the next one.
#[test]
fn the_log_does_not_tell_of_each_event_of_the_watched_directory() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("functions.toml"), FILE).unwrap();
    fs::write(folder.path().join("controller.toml"), SETTINGS).unwrap();
    let account = Account::serve(WORLD);
    let mut program = program();
    program
        .args(["run", "--log-format", "json", "--audit", "none", "--config"])
        .arg(folder.path().join("controller.toml"));
    program.arg("--desired").arg(folder.path().join("functions.toml")).env("RUST_LOG", "trace");
    let daemon = Process::start(program.envs(aws_environment(&account.url)));
    let taken_up = |editions: usize| {
        let count = || daemon.output().matches("a new desired state is in force").count();
        eventually("an edition to be in force", || (count() == editions).then_some(()));
    };
    for edition in 1..=3 {
        taken_up(edition);
        fs::write(folder.path().join("daemon.log"), "a line").unwrap();
        replace(&folder.path().join("functions.toml"), format!("{FILE}# edition {edition}\n"));
    }
    taken_up(4);
    let output = daemon.output();
    assert!(output.contains("\"level\":\"TRACE\"") && !output.contains("inotify event"), "{}", output.len());
}

#[test]
fn an_address_that_is_in_use_is_waited_for_until_a_signal_comes() {
    let folder = tempfile::tempdir().unwrap();
    let before = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("listen = '{}'", before.local_addr().unwrap());
    fs::write(folder.path().join("functions.toml"), FILE).unwrap();
    fs::write(folder.path().join("controller.toml"), SETTINGS.replace("listen = '127.0.0.1:0'", &listen)).unwrap();
    // Nothing listens on port 9 of the loopback interface.
    let start = || {
        let daemon = Stage::daemon(&folder, "http://127.0.0.1:9");
        daemon.says("is in use: it is tried again");
        daemon
    };
    let mut stopped = start();
    stopped.signal("TERM");
    assert_eq!(stopped.ended().code(), Some(1));
    stopped.says("cannot listen on");
    let patient = start();
    drop(before);
    patient.says("serving the page");
}

#[test]
fn a_hangup_looks_at_everything_again() {
    let stage = Stage::open(FILE);
    stage.until("lambda_vpc_desired_valid", 1.0);
    fs::write(stage.folder.path().join("controller.toml"), SETTINGS).unwrap();
    let sweeps = "lambda_vpc_aws_requests_total{code=\"ok\",operation=\"DescribeVpcs\",service=\"ec2\"}";
    let before = eventually("a sweep", || stage.metric(sweeps).filter(|count| *count > 0.0));
    stage.daemon.signal("HUP");
    eventually("another sweep", || stage.metric(sweeps).filter(|count| *count > before));
}

#[test]
fn a_daemon_without_a_valid_first_file_ends_with_1_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let desired = folder.path().join("functions.toml");
    for (content, words) in [
        (None, "cannot read"),
        (Some(""), "is empty"),
        (Some("[[function]]\nname = 'x'\n"), "has no `vpc`"),
        (Some("\u{feff}[[function"), "not valid TOML"),
    ] {
        if let Some(content) = content {
            fs::write(&desired, content).unwrap();
        }
        let mut program = program();
        program.args(["run", "--listen", "127.0.0.1:0", "--desired"]).arg(&desired);
        let output = program.envs(aws_environment("http://127.0.0.1:9")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(words) && said.contains("functions.toml"), "{said}");
    }
}

#[test]
fn without_a_network_the_daemon_lives_is_not_in_sync_and_says_so_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("functions.toml"), FILE).unwrap();
    fs::write(folder.path().join("controller.toml"), SETTINGS).unwrap();
    // Nothing listens on port 9 of the loopback interface.
    let daemon = Stage::daemon(&folder, "http://127.0.0.1:9");
    let at = daemon.told("\"at\":\"", '"');
    let metrics = || ureq::get(format!("http://{at}/metrics")).call().ok()?.body_mut().read_to_string().ok();
    let unknown = "lambda_vpc_functions{account=\"123456789012\",region=\"eu-west-1\",state=\"unknown\"} 1";
    eventually("unknown", || metrics().filter(|text| text.contains(unknown)));
    eventually("some sweeps", || {
        metrics().filter(|text| {
            text.lines()
                .any(|line| line.starts_with("lambda_vpc_resync_duration_seconds_count") && line.ends_with(" 3"))
        })
    });
    let output = daemon.output();
    assert_eq!(output.matches("cannot be read").count(), 1, "{output}");
    assert!(output.contains("cannot be reached; check network"), "{output}");
}

const BLOCKED: &str = "lambda_vpc_function_blocked{account=\"123456789012\",function=\"orders-api\",\
                       reason=\"NotJournaled\",region=\"eu-west-1\"}";

/// Demands a whole trail: after each intent its result, both of one call, and in the end the function is in its VPC.
#[track_caller]
fn assert_tells_all(records: &[Value]) {
    let (calls, rest) = records.as_chunks::<2>();
    assert!(rest.is_empty(), "an intent without a result: {rest:#?}");
    for [intent, result] in calls {
        assert_eq!((&intent["phase"], &result["phase"]), (&"intent".into(), &"result".into()));
        for key in ["id", "function", "account", "region", "step", "cause", "file_digest", "before", "after", "role"] {
            assert_eq!(intent[key], result[key], "{key}");
        }
        assert_eq!((&intent["function"], &intent["cause"]), (&"orders-api".into(), &"file".into()));
        assert!(result["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{result}");
        assert!(result["duration_ms"].is_u64(), "{result}");
        assert_eq!(result["result"] == "done", result["error"].is_null(), "{result}");
    }
    let first = &calls[0][1];
    assert_eq!((&first["step"], &first["result"]), (&"attach_policy".into(), &"done".into()));
    let last = &calls[calls.len() - 1][1];
    assert_eq!((&last["step"], &last["result"]), (&"set_vpc".into(), &"done".into()));
    assert_eq!(last["before"], serde_json::json!({"vpc": null, "subnets": [], "security_groups": [], "ipv6": false}));
    assert_eq!(last["after"]["vpc"], "vpc-0a1b2c3d4e5f60718");
    let done = calls.iter().filter(|[_, result]| result["result"] == "done").count();
    assert_eq!(done, 2, "all others were refused while IAM had not noticed");
}

#[test]
fn each_call_leaves_its_intent_and_its_result_on_stdout_or_in_the_file_that_the_settings_name() {
    let in_sync = "lambda_vpc_functions{account=\"123456789012\",region=\"eu-west-1\",state=\"in_sync\"}";
    let stage = Stage::open(FILE);
    stage.until(in_sync, 1.0);
    // What was written before the metric may still be on its way to us.
    let last = |records: &Vec<Value>| {
        records.last().is_some_and(|record| record["step"] == "set_vpc" && record["result"] == "done")
    };
    assert_tells_all(&eventually("the last record", || Some(Stage::audit(&stage.daemon.output())).filter(last)));
    // The log tells of it as well: of each call two lines, which have the pass and the call in common.
    let output = stage.daemon.output();
    let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines: Vec<Value> = lines.filter(|line| line["id"].is_string() && line["message"].is_string()).collect();
    let said = |message: &str| lines.iter().filter(|line| line["message"] == message).collect::<Vec<_>>();
    let changed = said("changed");
    assert_eq!((said("about to change").len(), changed.len()), (lines.len() / 2, 2), "{lines:#?}");
    for end in &changed {
        let begins = lines.iter().find(|line| line["id"] == end["id"]).unwrap();
        assert_eq!(begins["pass"], end["pass"]);
        assert!(
            end["pass"].as_u64() > Some(0) && end["milliseconds"].is_u64() && end["request_id"].is_string(),
            "{end}"
        );
    }
    assert_ne!(changed[0]["pass"], changed[1]["pass"], "a pass makes one step");

    let mut stage = Stage::open_with(FILE, &format!("audit = 'audit.jsonl'\n{SETTINGS}"));
    stage.until(in_sync, 1.0);
    stage.daemon.signal("TERM");
    assert_eq!(stage.daemon.ended().code(), Some(0));
    assert_tells_all(&Stage::audit(&fs::read_to_string(stage.folder.path().join("audit.jsonl")).unwrap()));
    assert_eq!(Stage::audit(&stage.daemon.output()), [] as [Value; 0], "stdout has nothing of it then");
}

#[test]
fn what_the_trail_cannot_record_is_not_changed_until_it_can() {
    let stage = Stage::open_with(FILE, &format!("audit = '/dev/full'\n{SETTINGS}"));
    stage.until(BLOCKED, 1.0);
    assert!(!stage.attached());
    for step in ["attach_policy", "set_vpc"] {
        for result in ["success", "failure"] {
            let changes = format!("lambda_vpc_changes_total{{result=\"{result}\",step=\"{step}\"}}");
            assert_eq!(stage.metric(&changes).unwrap_or_default(), 0.0, "{changes}");
        }
    }
    assert!(stage.daemon.output().contains("No space left on device"), "{}", stage.daemon.output());

    let folder = tempfile::tempdir().unwrap();
    let (away, trail) = (folder.path().join("away"), folder.path().join("audit"));
    fs::create_dir(&trail).unwrap();
    let settings = format!("audit = '{}'\n{SETTINGS}", trail.join("audit.jsonl").display());
    let stage = Stage::open_with("[defaults]\nregion = 'eu-west-1'\naccount = '123456789012'\n", &settings);
    stage.until("lambda_vpc_desired_valid", 1.0);
    fs::rename(&trail, &away).unwrap();
    replace(&stage.file(), FILE);
    stage.until(BLOCKED, 1.0);
    assert!(!stage.attached());
    fs::rename(&away, &trail).unwrap();
    stage.until("lambda_vpc_functions{account=\"123456789012\",region=\"eu-west-1\",state=\"in_sync\"}", 1.0);
    assert_tells_all(&Stage::audit(&fs::read_to_string(trail.join("audit.jsonl")).unwrap()));
}

#[test]
fn settings_that_change_are_taken_over_and_broken_ones_leave_the_last_good_in_force() {
    let stage = Stage::open_with(FILE, &format!("mode = 'observe'\n{SETTINGS}"));
    let state =
        |name| format!("lambda_vpc_functions{{account=\"123456789012\",region=\"eu-west-1\",state=\"{name}\"}}");
    let settings = |text: &str| stage.settings(text);
    stage.until(&state("out_of_sync"), 1.0);
    assert!(!stage.attached(), "nothing is changed while it is observed");
    settings(SETTINGS);
    stage.until(&state("in_sync"), 1.0);
    let updates = "lambda_vpc_changes_total{result=\"success\",step=\"set_vpc\"}";
    stage.until(updates, 1.0);

    settings(&format!("mode = 'watch'\n{SETTINGS}"));
    stage.daemon.says("`watch` is not a mode");
    assert!(stage.daemon.output().contains("controller.toml:1:8"), "{}", stage.daemon.output());
    stage.until("lambda_vpc_settings_valid", 0.0);
    let problem = |stage: &Stage| {
        let status: Value = serde_json::from_str(&stage.get("/api/v1/status").unwrap()).unwrap();
        status["settings_problem"].clone()
    };
    eventually("the problem", || Some(problem(&stage)).filter(|it| it.to_string().contains("`watch` is not a mode")));
    stage.account.detach("orders-api");
    stage.until(updates, 2.0);
    settings(SETTINGS);
    stage.until("lambda_vpc_settings_valid", 1.0);
    eventually("no problem", || Some(problem(&stage)).filter(Value::is_null));

    settings(&format!("audit = 'x.jsonl'\n{}", SETTINGS.replace("127.0.0.1:0", "127.0.0.1:1")));
    let told = stage.daemon.told("take effect when the daemon is started again: ", '"');
    assert_eq!(told, "listen, audit");
    assert_eq!(stage.get("/livez").unwrap(), "ok\n", "it is served where it was");
}

/// Functions that all have to be attached, and of which the guard lets ten through: what the account has of them, and what
/// the file says.
fn fourteen() -> (Vec<String>, String, String) {
    let names: Vec<String> = (0..14).map(|number| format!("f{number:02}")).collect();
    let functions = names.iter().map(|name| format!("[[function]]\nname = '{name}'\nrole = 'legacy-role'\n"));
    let (head, _) = FILE.split_once("[[function]]").unwrap();
    let entries = names.iter().map(|name| format!("[[function]]\nname = '{name}'\nvpc = 'orders'\n"));
    let file = entries.fold(head.to_owned(), |text, entry| text + &entry);
    let functions = functions.collect();
    (names, functions, file)
}

/// A series of the one account and region.
fn series(name: &str) -> String {
    format!("{name}{{account=\"123456789012\",region=\"eu-west-1\"}}")
}

fn state(name: &str) -> String {
    format!("lambda_vpc_functions{{account=\"123456789012\",region=\"eu-west-1\",state=\"{name}\"}}")
}

#[test]
fn what_outlives_the_daemon_is_in_its_directory_and_what_cannot_be_there_is_not_done() {
    let (names, functions, file) = fourteen();
    let settings = format!("state = 'state'\n{SETTINGS}");
    let mut stage = Stage::open_in(&functions, &file, &settings);
    let (holding, stored) = (series("lambda_vpc_guard_holding"), series("lambda_vpc_state_stored"));
    stage.until(&state("in_sync"), 10.0);
    stage.until(&holding, 4.0);
    stage.until(&stored, 1.0);
    let guard = |name: &str, cause: &str| {
        let series =
            format!("lambda_vpc_guard_{name}{{account=\"123456789012\",cause=\"{cause}\",region=\"eu-west-1\"}}");
        stage.metric(&series)
    };
    assert_eq!((guard("changed", "file"), guard("changed", "live")), (Some(10.0), Some(0.0)));
    assert_eq!((guard("allowed", "file"), guard("allowed", "network")), (Some(10.0), Some(10.0)));
    let scope = |stage: &Stage| -> Value {
        let status: Value = serde_json::from_str(&stage.get("/api/v1/status").unwrap()).unwrap();
        status["scopes"][0].clone()
    };
    let id = scope(&stage)["plan_id"].as_str().unwrap().to_owned();
    assert_eq!(stage.plan()["plans"][0]["plan_id"].as_str(), Some(id.as_str()));
    assert!(scope(&stage)["guard_unknown_until"].is_string());
    let since = |stage: &Stage| -> Vec<String> {
        let held: Value =
            serde_json::from_str(&stage.get("/api/v1/functions?state=awaiting_approval").unwrap()).unwrap();
        held["functions"].as_array().unwrap().iter().map(|it| it["since"].as_str().unwrap().to_owned()).collect()
    };
    let before = since(&stage);

    // It ends, and another begins a second later.
    stage.daemon.signal("TERM");
    assert_eq!(stage.daemon.ended().code(), Some(0), "{}", stage.daemon.output());
    let kept = stage.folder.path().join("state");
    let file = kept.join("123456789012-eu-west-1.json");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    // Moments are shown in whole seconds: the second process begins in another one.
    std::thread::sleep(std::time::Duration::from_secs(1));
    stage.daemon = Stage::daemon(&stage.folder, &stage.account.url);
    stage.until(&holding, 4.0);
    assert_eq!(since(&stage), before, "since they are held, and not since the start");
    assert_eq!(stage.updates().len(), 10);

    // The directory is lost and cannot be made, just when a person approves.
    fs::remove_dir_all(&kept).unwrap();
    fs::write(&kept, "in its place").unwrap();
    stage.settings(&format!("{settings}[guard]\napproved = ['{id}']\n"));
    stage.until(&stored, 0.0);
    stage.daemon.says("the record cannot be stored, and nothing is changed here until it can");
    let blocked = "lambda_vpc_reconcile_errors_total{reason=\"NotStored\"}";
    eventually("a change that is not made", || stage.metric(blocked).filter(|count| *count > 0.0));
    assert_eq!(stage.updates().len(), 10);
    assert_eq!(stage.get("/readyz").unwrap(), "ok\n", "everything else goes on");
    fs::remove_file(&kept).unwrap();
    stage.until(&state("in_sync"), 14.0);
    stage.until(&stored, 1.0);
    assert!(file.exists());
    let updates = stage.updates();
    assert!(names.iter().all(|name| updates.get(name) == Some(&1)), "each one once: {updates:?}");
}

#[test]
fn what_the_guard_holds_goes_through_once_when_the_settings_have_the_plan_s_id() {
    let (names, functions, file) = fourteen();
    let stage = Stage::open_in(&functions, &file, SETTINGS);
    let holding = &series("lambda_vpc_guard_holding");
    stage.until(&state("in_sync"), 10.0);
    stage.until(holding, 4.0);
    assert_eq!(stage.metric(&state("awaiting_approval")), Some(4.0));
    let said = stage.daemon.output();
    assert!(said.contains("GuardHolding") && said.contains("put the id into `guard.approved`"), "{said}");

    let plan = stage.plan();
    let differs = plan["functions"].as_array().unwrap().iter().filter(|function| function["state"] != "in_sync");
    let held: Vec<&str> = differs.map(|function| function["function"].as_str().unwrap()).collect();
    assert_eq!(held.len(), 4, "{plan:#}");
    let before = stage.updates();
    assert!(held.iter().all(|name| !before.contains_key(*name)), "nothing of what is held was touched: {before:?}");

    let id = plan["plan_id"].as_str().unwrap();
    let approving = format!("{SETTINGS}[guard]\napproved = ['{id}']\n");
    stage.settings(&approving);
    stage.until(&state("in_sync"), 14.0);
    stage.until(holding, 0.0);
    let after = stage.updates();
    for name in &names {
        assert_eq!(after.get(name), Some(&1), "each one once: {after:?}");
    }
    assert!(stage.daemon.output().contains("the plan is approved"), "{}", stage.daemon.output());

    // The ten count for this hour, and may be changed again; the four would be more than ten.
    replace(&stage.file(), file.replace("id = ", "security_groups = { names = ['lambda'] }\nid = "));
    stage.until(holding, 4.0);
    stage.until(&state("in_sync"), 10.0);
    assert_eq!(stage.metric(&state("awaiting_approval")), Some(4.0));
    let again = stage.updates();
    assert!(held.iter().all(|name| again[*name] == 1), "the approval is spent: {again:?}");
}
