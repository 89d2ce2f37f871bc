//! `status`, asked of a daemon that stands still.

use std::process::{Output, Stdio};
use std::time::Duration;

use lambda_vpc_controller::cloud::{Class, CloudError, Operation};
use lambda_vpc_controller::desired::LoadFailure;
use lambda_vpc_controller::manager::{Event, Signal};
use lambda_vpc_controller::plan::Limits;
use lambda_vpc_controller::simulator::{Fault, Misbehaviour, World};
use serde_json::Value;

use crate::served::{Served, aws_environment};
use crate::support::history::{History, settings};
use crate::support::installed::installed;
use crate::support::process::{Process, eventually};
use crate::support::window::Window;
use crate::support::{bare, program};

const FINE: &str = "[defaults]\nregion = 'eu-west-1'\naccount = '123456789012'\n\
                    [[vpc]]\nname = 'orders'\nid = 'vpc-0a1b2c3d4e5f60718'\n\
                    [[function]]\nname = 'orders-api'\nvpc = 'orders'\n";
const NOT_YET: &str = "[[function]]\nname = 'nobody'\nvpc = 'orders'\n\
                       [[function]]\nname = 'billing-report'\nvpc = 'orders'\nmode = 'observe'\nreason = \"look\\u001B[2Jfirst\"\n";

fn at_rest(file: &str) -> Window {
    let mut history = History::new(Limits::of(&settings()));
    history.load(file);
    history.until_rest(Duration::from_secs(1200));
    Window::on(history)
}

fn status(url: &str, arguments: &[&str]) -> Output {
    program().args(["status", "--url", url]).args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is missing in:\n{text}");
    }
}

#[test]
fn a_fleet_that_is_in_sync_is_0_and_one_that_is_not_is_2() {
    let mut window = at_rest(FINE);
    let output = status(&window.url, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_says(&out(&output), &["eu-west-1 in account 123456789012: looked at", "1 function\n", "1 in sync\n"]);

    window.history.load(&format!("{FINE}{NOT_YET}"));
    window.show();
    let output = status(&window.url, &[]);
    assert_eq!(output.status.code(), Some(2), "what is not looked at yet is not in sync");
    window.history.until_rest(Duration::from_secs(1200));
    window.show();
    let output = status(&window.url, &[]);
    assert_eq!(output.status.code(), Some(2));
    let text = out(&output);
    assert_says(
        &text,
        &["FunctionNotFound", "billing-report", "out of sync", "Observed", "1 blocked, 1 out of sync, 1 in sync\n"],
    );
    assert!(!text.contains("orders-api"), "only what is not in sync is listed: {text}");
}

#[test]
fn a_function_is_explained_by_its_name_a_pattern_or_in_full() {
    let window = at_rest(&format!("{FINE}{NOT_YET}"));
    let output = status(&window.url, &["billing-report"]);
    let text = out(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    let words = [
        "out of sync for",
        "Observed: This function is only observed",
        "what differs, because the file asks for something else",
    ];
    assert_says(&text, &words);
    assert_says(
        &text,
        &[
            "    + subnet-0a1a1a1a1a1a1a1a1",
            "(functions.toml:14:8)",
            "history, the latest first",
            "look\\u{1b}[2Jfirst",
        ],
    );
    assert!(!text.contains('\u{1b}'), "no command for a terminal gets through: {text:?}");

    let output = status(&window.url, &["123456789012/eu-west-1/orders-api"]);
    assert_eq!(output.status.code(), Some(0));
    assert_says(&out(&output), &["orders-api in eu-west-1", "last change by this controller", "set_vpc accepted"]);
    let output = status(&window.url, &["*", "--output", "json"]);
    let all: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!((output.status.code(), all.as_array().unwrap().len()), (Some(2), 3));
}

#[test]
fn programs_get_all_of_it_as_json() {
    let window = at_rest(&format!("{FINE}{NOT_YET}"));
    let output = status(&window.url, &["--output", "json"]);
    assert_eq!(output.status.code(), Some(2));
    let whole: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!((&whole["states"]["blocked"], whole["functions"].as_array().unwrap().len()), (&1.into(), 3));
}

#[test]
fn a_pattern_that_fits_many_is_judged_by_all_of_them_and_what_is_wrong_is_explained_first() {
    let attached_to_none = |number: usize| format!("[[function]]\nname = 'function-{number:05}'\nvpc = 'none'\n");
    let fleet: String = (0..22).map(attached_to_none).collect();
    let head = "[defaults]\nregion = 'eu-west-1'\naccount = '123456789012'\n";
    let mut history = History::of(World::fleet(22), Limits::of(&settings()));
    history.load(&format!("{head}{fleet}"));
    history.until_rest(Duration::from_secs(1200));
    let mut window = Window::on(history);
    let output = status(&window.url, &["function-*"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_says(&out(&output), &["and 2 more, 0 of them not as the file says: a narrower pattern"]);
    assert!(!out(&output).contains("function-00020"));

    // There is none of this name.
    window.history.load(&format!("{head}{fleet}{}", attached_to_none(99_999)));
    window.history.until_rest(Duration::from_secs(1200));
    window.show();
    let output = status(&window.url, &["function-*"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(out(&output).starts_with("function-99999 "), "{}", out(&output));
    assert_says(&out(&output), &["and 3 more, 0 of them not as the file says"]);
    let output = status(&window.url, &["function-000??"]);
    assert_eq!(output.status.code(), Some(0), "the others are what they were: {output:?}");
    let output = status(&window.url, &["function-*", "--output", "json"]);
    let all: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!((output.status.code(), all.as_array().unwrap().len()), (Some(2), 23));

    let gone: String = (100..125).map(attached_to_none).collect();
    window.history.load(&format!("{head}{fleet}{gone}"));
    window.history.until_rest(Duration::from_secs(1200));
    window.show();
    let output = status(&window.url, &["function-*"]);
    assert_eq!(output.status.code(), Some(2));
    assert_says(&out(&output), &["and 27 more, 5 of them not as the file says"]);
}

#[test]
fn what_is_in_force_is_not_claimed_where_nothing_is() {
    let identity = || {
        let operation = Operation::GetCallerIdentity;
        let error = CloudError::local(operation, Class::Unreachable, "ConnectTimeout", "no connection");
        Event::Loaded(Err(LoadFailure::Identity(error)))
    };
    let (nothing, older) =
        ("cannot be used; nothing is in force", "cannot be used; what was in force before stays in force");
    let mut history = History::new(Limits::of(&settings()));
    history.feed(identity());
    let mut window = Window::on(history);
    let output = status(&window.url, &[]);
    let text = out(&output);
    assert!(output.status.code() == Some(2) && text.contains(nothing) && !text.contains(older), "{text}");
    assert_says(&text, &["no desired state is in force yet"]);
    window.history.load(FINE);
    window.history.feed(identity());
    window.show();
    let text = out(&status(&window.url, &[]));
    assert!(text.contains(older) && !text.contains(nothing), "{text}");
}

#[test]
fn settings_that_cannot_be_used_are_an_error_whatever_is_in_sync() {
    let mut window = at_rest(FINE);
    for (problem, code) in [(None, 0), (Some("controller.toml:1:8: `obsevre` is not a mode"), 1), (None, 0)] {
        window.history.feed(Event::Signal(Signal::SettingsRead(problem.map(Into::into))));
        window.show();
        for arguments in [&[][..], &["orders-api"]] {
            let output = status(&window.url, arguments);
            assert_eq!(output.status.code(), Some(code), "{output:?}");
        }
        let text = out(&status(&window.url, &[]));
        let told = text.contains("the settings cannot be used; those that were in force before stay in force");
        assert_eq!((told, text.contains("is not a mode")), (problem.is_some(), problem.is_some()), "{text}");
    }
}

#[test]
fn an_error_is_1_and_says_what_to_do() {
    let window = at_rest(FINE);
    for (url, arguments, words) in [
        ("http://127.0.0.1:9", &[][..], "no daemon answers at http://127.0.0.1:9"),
        ("https://127.0.0.1:9", &[], "it begins with http://"),
        (&window.url, &["else"], "lists no function else"),
        (&window.url, &["123456789012/eu-west-1/else"], "lists no function 123456789012/eu-west-1/else"),
        (&window.url, &["1/2/3"], "`1` is not an account id"),
    ] {
        let output = status(url, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains(words), "{arguments:?}: {said}");
    }
}

#[test]
fn what_is_watched_is_told_again_when_it_has_changed() {
    let mut window = at_rest(FINE);
    let mut command = program();
    let mut watching = Process::start(command.args(["status", "--watch", "--url", &window.url]));
    watching.says("1 in sync");
    window.history.load(&format!("{FINE}{NOT_YET}"));
    window.history.until_rest(Duration::from_secs(1200));
    window.show();
    watching.says("1 blocked, 1 out of sync, 1 in sync");
    assert!(!watching.output().contains('\u{1b}'), "where there is no terminal it is not told what to do");
    assert!(watching.runs());
}

#[test]
fn a_terminal_without_colours_is_cleared_as_well_and_one_that_cannot_be_is_told_what_is_new() {
    let Some(script) = installed("script", "bsdutils") else { return };
    let mut window = at_rest(FINE);
    let program = env!("CARGO_BIN_EXE_lambda-vpc-controller");
    let on_terminal = |kind: &str, colours: &[(&str, &str)]| {
        let watch = format!("{program} status --watch --url {}", window.url);
        let mut command = bare(&script);
        // Its standard input stays open: at its end `script` would type an end of file into the terminal.
        command.args(["-qfec", &watch, "/dev/null"]).stdin(Stdio::piped()).env("TERM", kind);
        Process::start(command.envs(colours.iter().copied()))
    };
    let (coloured, plain) = (on_terminal("xterm", &[]), on_terminal("xterm", &[("NO_COLOR", "1")]));
    let dumb = on_terminal("dumb", &[]);
    const CLEAR: &str = "\x1b[2J\x1b[H";
    for (watching, what) in [(&coloured, "with colours"), (&plain, "without")] {
        eventually(what, || (watching.output().matches(CLEAR).count() > 1).then_some(()));
    }
    assert!(coloured.output().contains("\x1b[1m"));
    assert!(!plain.output().replace(CLEAR, "").contains('\x1b'), "{:?}", plain.output());
    dumb.says("1 in sync");
    window.history.load(&format!("{FINE}{NOT_YET}"));
    window.history.until_rest(Duration::from_secs(1200));
    window.show();
    dumb.says("1 blocked, 1 out of sync, 1 in sync");
    let told = dumb.output();
    assert!(!told.contains('\x1b'), "{told:?}");
}

#[test]
fn a_probe_asks_the_daemon_of_its_settings_and_needs_no_good_ones_where_the_address_is_said() {
    let mut window = Window::on(History::new(Limits::of(&settings())));
    let listen = window.url.strip_prefix("http://").unwrap().to_owned();
    let probe = |arguments: &[&str], listen: Option<&str>| {
        let mut program = program();
        program.arg("probe").args(arguments).envs(listen.map(|listen| ("LAMBDA_VPC_LISTEN", listen)));
        // A proxy is there for AWS, and would ask itself at 127.0.0.1. Nothing listens on port 9.
        program.envs(["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map(|name| (name, "http://127.0.0.1:9")));
        let output = program.output().unwrap();
        (output.status.code(), out(&output), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(probe(&[], Some(&listen)), (Some(0), "ok\n".to_owned(), String::new()));
    let (code, said, _) = probe(&["readyz"], Some(&listen));
    assert_eq!((code, said.as_str()), (Some(1), "no desired state is in force yet\n"));
    window.history.load(FINE);
    window.history.until_rest(Duration::from_secs(1200));
    window.show();
    assert_eq!(probe(&["readyz"], Some(&listen)).0, Some(0));

    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("controller.toml");
    let by_settings = ["--config", config.to_str().unwrap()];
    std::fs::write(&config, format!("listen = '{listen}'\n")).unwrap();
    assert_eq!(probe(&by_settings, None).0, Some(0));
    std::fs::write(&config, "listen = 'now").unwrap();
    assert_eq!(probe(&by_settings, Some(&listen)).0, Some(0), "the daemon lives on with the last good settings");
    assert_eq!(probe(&by_settings, None).0, Some(1));

    let (code, _, error) = probe(&[], Some("127.0.0.1:9"));
    assert_eq!(code, Some(1));
    assert_says(&error, &["no daemon answers at http://127.0.0.1:9/livez", "--listen"]);
}

#[test]
fn a_plan_says_on_a_terminal_how_far_it_is_and_nothing_in_a_pipe() {
    let Some(script) = installed("script", "bsdutils") else { return };
    let account = Served::demo();
    let folder = tempfile::tempdir().unwrap();
    let desired = folder.path().join("functions.toml");
    std::fs::write(&desired, FINE).unwrap();
    // Long enough to be seen.
    let slow = Fault::always(Misbehaviour::Slow(Duration::from_millis(300))).on("DescribeVpcs");
    account.door.with(|aws, _| aws.faults.add(slow));
    let plan = format!("{} plan --desired {}", env!("CARGO_BIN_EXE_lambda-vpc-controller"), desired.display());
    let mut on_terminal = bare(&script);
    on_terminal.args(["-qfec", &plan, "/dev/null"]).stdin(Stdio::null()).env("TERM", "xterm");
    let seen = out(&on_terminal.envs(aws_environment(&account.url)).output().unwrap());
    assert_says(&seen, &["reading AWS: 0 of 1 accounts and regions, ", "1 to change"]);
    let mut piped = program();
    piped.args(["plan", "--desired"]).arg(&desired).envs(aws_environment(&account.url));
    let output = piped.output().unwrap();
    assert_says(&out(&output), &["1 to change"]);
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}
