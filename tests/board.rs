//! What is on the board when the controller works: the story that people are told of a function.

use std::sync::Arc;
use std::time::Duration;

use lambda_vpc_controller::board::{Line, What};
use lambda_vpc_controller::plan::{Limits, Reason, State};

use crate::support::history::{History, desired, key, settings};

const FILE: &str = "[defaults]\nregion = 'eu-west-1'\naccount = '123456789012'\n\
                    [[vpc]]\nname = 'orders'\nid = 'vpc-0a1b2c3d4e5f60718'\n\
                    [[function]]\nname = 'orders-api'\nvpc = 'orders'\n\
                    [[function]]\nname = 'nobody'\nvpc = 'orders'\n";

fn line(history: &History, name: &str) -> Arc<Line> {
    Arc::clone(history.controller.fleet().get(&key(name)).unwrap())
}

fn told(line: &Line) -> Vec<String> {
    let one = |what: &What| match what {
        What::Edited(_) => "edited".to_owned(),
        What::Differs(cause) => format!("differs: {}", cause.name()),
        What::Called { step, error, .. } => format!("{step} {}", if error.is_some() { "failed" } else { "done" }),
        What::Became { state, reason, .. } => format!("{} {}", state.name(), reason.map_or("", Reason::name)),
    };
    line.history.events().iter().map(|event| one(&event.what).trim().to_owned()).collect()
}

#[test]
fn the_board_tells_how_a_function_came_into_its_vpc_and_a_quiet_day_adds_nothing() {
    let mut history = History::new(Limits::of(&settings()));
    history.door.with(|aws, _| aws.timings.propagation = Duration::from_secs(20));
    let file = desired(FILE);
    history.load(FILE);
    history.until_rest(Duration::from_secs(600));
    let api = line(&history, "orders-api");
    let story = told(&api);
    let expected = ["differs: file", "attach_policy done", "set_vpc failed", "set_vpc done", "in_sync"];
    let mut rest = story.iter();
    for event in expected {
        assert!(rest.any(|told| told == event), "{event} is missing, or too early, in {story:?}");
    }
    assert_eq!((api.applied.as_ref(), api.attempted.as_ref()), (Some(&file.digest), Some(&file.digest)));
    assert_eq!(api.last_change.as_ref().unwrap().order.step.name(), "set_vpc");
    let live = api.live.as_ref().unwrap();
    assert_eq!(live.vpc.as_ref().unwrap().as_str(), "vpc-0a1b2c3d4e5f60718");
    assert!(live.network.is_attached() && api.change.is_none());
    let nobody = line(&history, "nobody");
    assert_eq!((nobody.outcome.state(), nobody.live.as_ref()), (State::Blocked, None));
    assert_eq!(told(&nobody), ["blocked FunctionNotFound"]);

    history.pass(Duration::from_secs(24 * 3600));
    for (name, before) in [("orders-api", api), ("nobody", nobody)] {
        assert!(Arc::ptr_eq(&before, &line(&history, name)), "{name} was written anew by a sweep that found nothing");
    }
}

#[test]
fn a_function_that_a_pattern_means_has_its_whole_story_and_an_edit_elsewhere_leaves_it_as_applied_as_it_was() {
    let mut history = History::new(Limits::of(&settings()));
    let file = FILE.replace("orders-api", "orders-*");
    history.load(&file);
    let known = history.controller.fleet().lines.len();
    assert_eq!(known, 3, "what the first sweep has found is on the board before anything is done about it");
    history.until_rest(Duration::from_secs(600));
    let story = told(&line(&history, "orders-api"));
    assert_eq!(story.first().map(String::as_str), Some("differs: file"), "{story:?}");
    assert!(story.iter().any(|told| told == "set_vpc done"), "{story:?}");
    let edited = format!("{file}# nothing else\n");
    let digest = desired(&edited).digest;
    history.load(&edited);
    let api = line(&history, "orders-api");
    assert_eq!((api.attempted.as_ref(), api.applied.as_ref()), (Some(&digest), Some(&digest)));
}
