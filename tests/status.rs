//! `status`, asked of a daemon that stands still.

use std::process::Output;
use std::time::Duration;

use lambda_vpc_controller::plan::Limits;
use serde_json::Value;

use crate::support::history::{History, settings};
use crate::support::process::{Process, eventually};
use crate::support::program;
use crate::support::window::Window;

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
        &["FunctionNotFound", "billing-report", "drifted", "Observed", "1 blocked, 1 drifted, 1 in sync\n"],
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
        "drifted for",
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
            "look\u{fffd}[2Jfirst",
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
    eventually("the first picture", || watching.output().contains("1 in sync").then_some(()));
    window.history.load(&format!("{FINE}{NOT_YET}"));
    window.history.until_rest(Duration::from_secs(1200));
    window.show();
    eventually("the next one", || watching.output().contains("1 blocked, 1 drifted, 1 in sync").then_some(()));
    assert!(!watching.output().contains('\u{1b}'), "where there is no terminal it is not told what to do");
    assert!(watching.runs());
}
