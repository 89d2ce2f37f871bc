//! Functions that are only observed: for a time, for good, and under the operator's ceiling.

use std::time::Duration;

use lambda_vpc_controller::cloud::Listing;
use lambda_vpc_controller::manager::Signal;
use lambda_vpc_controller::names::Time;
use lambda_vpc_controller::plan::{Limits, Outcome, Reason, State};
use lambda_vpc_controller::reconcile::{Cadence, Notice};
use lambda_vpc_controller::settings::Mode;
use lambda_vpc_controller::simulator::World;

use crate::guard::{file, fleet, held, limits, updated};
use crate::support::history::History;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const SECOND: Duration = Duration::from_secs(1);

/// A history in which no sweep comes along by itself.
fn history(world: World, limits: Limits) -> History {
    let limits = Limits { max_age: 300 * HOUR, ..limits };
    let mut history = History::of(world, limits.clone());
    let cadence = Cadence { resync: Some(100 * HOUR), poll: None, workers: 16, listing: Listing::Latest, seed: 5 };
    history.signal(Signal::Settle(Box::new(limits), cadence));
    history
}

/// The same file with all of its functions observed until a moment.
fn observed(file: &str, until: Time) -> String {
    let until = jiff::Timestamp::from_millisecond(i64::try_from(until.0).unwrap()).unwrap();
    let mode = format!("vpc = 'fleet'\nmode = 'observe'\nuntil = {until}\nreason = 'incident 4711'\n[[function]]");
    // The last one has none after it.
    format!("{file}[[function]]")
        .replace("vpc = 'fleet'\n[[function]]", &mode)
        .trim_end_matches("[[function]]")
        .to_owned()
}

/// The names of those whose observation was told to have ended.
fn resumed(history: &History) -> Vec<String> {
    let resumed = history.notices.iter().filter_map(|notice| match notice {
        Notice::Resumed(key) => Some(key.name.to_string()),
        _ => None,
    });
    resumed.collect()
}

fn states(history: &History, state: State) -> usize {
    history.controller.lines().filter(|line| line.outcome.state() == state).count()
}

#[test]
fn an_observation_that_ends_resumes_at_that_moment_without_any_other_cause() {
    let mut history = history(fleet(1), limits());
    history.load(&observed(&file(0, 1), history.clock.now() + 3 * HOUR));
    history.pass(3 * HOUR - SECOND);
    assert_eq!(history.calls(), [] as [&str; 0]);
    let outcome = history.outcome("function-00000");
    assert_eq!(outcome.why().map(|why| (why.reason, why.detail.as_str())), Some((Reason::Observed, "incident 4711")));
    assert_eq!(resumed(&history), [] as [&str; 0]);
    let sweeps = history.door.count("DescribeVpcs");
    history.pass(SECOND);
    assert_eq!((updated(&history), resumed(&history)), (1, vec!["function-00000".to_owned()]));
    history.pass(10 * MINUTE);
    assert_eq!(history.outcome("function-00000"), Outcome::InSync);
    assert_eq!(history.door.count("DescribeVpcs"), sweeps, "no sweep was needed");
    history.assert_nothing_left_to_do();
    assert_eq!(resumed(&history).len(), 1, "it is told once");
}

#[test]
fn observations_that_end_together_pass_the_guard_like_any_other_change() {
    let mut history = history(fleet(20), limits());
    history.load(&observed(&file(0, 20), history.clock.now() + 3 * HOUR));
    history.pass(2 * HOUR);
    assert_eq!(
        (states(&history, State::OutOfSync), held(&history)),
        (20, 0),
        "the guard holds nothing that is observed"
    );
    history.pass(HOUR);
    assert_eq!(resumed(&history).len(), 20);
    assert_eq!(states(&history, State::OutOfSync), 0, "all are taken in hand at that moment, in waves");
    history.pass(30 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (10, 10));
    assert!(history.accepted().iter().all(|call| call.starts_with("Update")));
}

#[test]
fn under_the_operators_ceiling_all_stays_observed_whatever_the_file_says() {
    let ceiling = Limits { mode: Mode::Observe, ..limits() };
    let plain = file(0, 1);
    let begin = History::of(fleet(1), limits()).clock.now();
    for (text, name) in [
        (plain.clone(), "nothing said"),
        (plain.replace("vpc = 'fleet'", "vpc = 'fleet'\nmode = 'enforce'"), "enforced"),
        (observed(&plain, begin + HOUR), "an observation that ends"),
        (observed(&plain, Time(begin.0 - 1)), "an observation that has ended"),
    ] {
        let mut history = history(fleet(1), ceiling.clone());
        history.load(&text);
        history.pass(3 * HOUR);
        assert_eq!(history.calls(), [] as [&str; 0], "{name}");
        assert_eq!(history.outcome("function-00000").why().unwrap().reason, Reason::Observed, "{name}");
        assert_eq!(resumed(&history), [] as [&str; 0], "{name}");
        history.limit(limits());
        history.pass(10 * MINUTE);
        assert_eq!(history.outcome("function-00000"), Outcome::InSync, "{name}: until the ceiling is lifted");
    }
}

#[test]
fn the_end_of_an_observation_of_what_is_in_sync_is_told_and_costs_no_call() {
    let mut history = history(fleet(1), limits());
    history.load(&file(0, 1));
    history.pass(HOUR);
    history.load(&observed(&file(0, 1), history.clock.now() + HOUR));
    history.pass(HOUR - SECOND);
    assert_eq!(history.outcome("function-00000"), Outcome::InSync);
    history.door.forget_calls();
    history.pass(SECOND);
    assert_eq!(resumed(&history), ["function-00000"]);
    assert!(history.door.counts().is_empty(), "{:?}", history.door.counts());
}

#[test]
fn an_end_that_was_moved_or_taken_out_meanwhile_is_none() {
    let plain = file(0, 1);
    let begin = History::of(fleet(1), limits()).clock.now();
    let without_end = |text: &str| {
        text.lines().filter(|line| !line.starts_with("until")).fold(String::new(), |text, line| text + line + "\n")
    };
    for next in [observed(&plain, begin + 5 * HOUR), without_end(&observed(&plain, begin))] {
        let mut history = history(fleet(1), limits());
        history.load(&observed(&plain, begin + 2 * HOUR));
        history.pass(HOUR);
        history.load(&next);
        history.pass(3 * HOUR);
        assert_eq!((history.calls(), resumed(&history)), (Vec::new(), Vec::new()), "{next}");
        assert_eq!(states(&history, State::OutOfSync), 1);
    }
}

#[test]
fn an_observation_that_was_over_when_its_file_was_read_is_doubtful_and_enforced() {
    let mut history = history(fleet(1), limits());
    history.load(&observed(&file(0, 1), Time(history.clock.now().0 - 1)));
    history.pass(10 * MINUTE);
    assert_eq!(history.outcome("function-00000"), Outcome::InSync);
    let Some(Notice::Loaded { warnings, .. }) = history.notices.iter().find(|it| matches!(it, Notice::Loaded { .. }))
    else {
        panic!("nothing was loaded")
    };
    let said: Vec<_> = warnings.iter().map(|warning| warning.message()).collect();
    assert_eq!(said, ["the observation of `function-00000` has ended"]);
}
