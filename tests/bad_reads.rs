//! AWS on bad days: calls that fail now and then, services that do not answer for a while, and a quota that others use.
//! Whole histories of the pure controller and the simulated account, with time that is set.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use futures_util::FutureExt as _;
use lambda_vpc_controller::cloud::{Class, CloudError, Listing, Operation};
use lambda_vpc_controller::live::{self, Seen};
use lambda_vpc_controller::manager::{Controller, Effect, Event, Signal};
use lambda_vpc_controller::plan::{Limits, Outcome, Reason, State};
use lambda_vpc_controller::reconcile::{self, Action, Cadence, Notice};
use lambda_vpc_controller::settings::Mode;
use lambda_vpc_controller::simulator::{
    DeclaredFunction, DeclaredRole, Fault, Misbehaviour, UpdateFunctionConfiguration, VpcConfigRequest, World,
};

use crate::support::history::{History, desired, key, settings, somebody_detaches};

const MINUTE: Duration = Duration::from_secs(60);
const VPC_ACCESS: &str = "service-role/AWSLambdaVPCAccessExecutionRole";
const HEAD: &str = "[defaults]\nregion = 'eu-west-1'\naccount = '123456789012'\n\
                    [[vpc]]\nname = 'orders'\nid = 'vpc-0a1b2c3d4e5f60718'\nsecurity_groups = { names = ['lambda'] }\n";

fn unguarded() -> Limits {
    Limits { guard: None, ..Limits::of(&settings()) }
}

/// The demo's VPC, with so many functions whose role has the policy.
fn world(functions: usize) -> World {
    let role = DeclaredRole { name: "r".to_owned(), policies: vec![VPC_ACCESS.to_owned()], ..DeclaredRole::default() };
    let function =
        |number| DeclaredFunction { name: name(number), role: "r".to_owned(), ..DeclaredFunction::default() };
    World { roles: vec![role], functions: (0..functions).map(function).collect(), ..World::demo().unwrap() }
}

fn name(number: usize) -> String {
    format!("f{number:02}")
}

/// The file that wants the first so many of them in the VPC.
fn file(functions: usize) -> String {
    (0..functions).fold(HEAD.to_owned(), |mut text, number| {
        write!(text, "[[function]]\nname = '{}'\nvpc = 'orders'\n", name(number)).unwrap();
        text
    })
}

/// A history in which the first so many of six functions were put into the VPC, and a quarter of an hour has passed.
fn settled(functions: usize) -> History {
    let mut history = History::of(world(6), unguarded());
    history.load(&file(functions));
    history.pass(16 * MINUTE);
    assert!((0..functions).all(|number| history.outcome(&name(number)) == Outcome::InSync));
    history
}

/// From now on calls of these operations get this.
fn fails(history: &History, operation: &str, answer: Misbehaviour) {
    history.door.with(|aws, _| aws.faults.add(Fault::always(answer).on(operation)));
}

fn mended(history: &History) {
    history.door.with(|aws, _| aws.faults.clear());
}

fn state(history: &History, name: &str) -> State {
    history.outcome(name).state()
}

fn reason(history: &History, name: &str) -> Option<Reason> {
    history.outcome(name).why().map(|why| why.reason)
}

/// All states that were told, in any order.
fn states(history: &History) -> BTreeSet<State> {
    let told = history.notices.iter().filter_map(|notice| match notice {
        Notice::Concluded { outcome, .. } => Some(outcome.state()),
        _ => None,
    });
    told.collect()
}

fn calls(history: &History) -> u64 {
    history.door.counts().values().sum()
}

/// One in so many calls fails, in each way in which a call can fail that may succeed a moment later.
fn now_and_then(history: &History, percent: f64) {
    use Misbehaviour::{Malformed, Reset, ServerError, Slow, Throttled, Truncated};
    let answers = [Throttled(None), ServerError, Reset, Truncated, Malformed, Slow(MINUTE)];
    let each = percent / answers.len() as f64;
    history.door.with(|aws, _| {
        for answer in answers {
            aws.faults.add(Fault::always(answer).percent(each));
        }
    });
}

// Calls that fail now and then.

#[test]
fn where_one_call_in_a_hundred_fails_every_resync_ends_and_costs_hardly_more() {
    let listed = |percent| {
        let mut history = History::of(World::fleet(4000), unguarded());
        now_and_then(&history, percent);
        let entries = (0..4000).fold(String::new(), |mut text, number| {
            write!(text, "[[function]]\nname = 'function-{number:05}'\nvpc = 'none'\n").unwrap();
            text
        });
        history.load(&format!("[defaults]\nregion = 'eu-west-1'\naccount = '123456789012'\n{entries}"));
        history.pass(60 * MINUTE);
        let swept = history.notices.iter().filter_map(|notice| match notice {
            Notice::Swept { fault, .. } => Some(fault.is_none()),
            _ => None,
        });
        let swept: Vec<bool> = swept.collect();
        assert!(swept.len() >= 12 && swept.iter().all(|fine| *fine), "{percent} %: {swept:?}");
        assert_eq!(states(&history), [State::InSync].into(), "{percent} %");
        calls(&history) as f64 / swept.len() as f64
    };
    let (without, with) = (listed(0.0), listed(1.0));
    assert!(without < with && with <= 1.05 * without, "{with} calls a resync instead of {without}");
}

#[test]
fn where_a_third_of_all_calls_fail_a_rollout_comes_to_its_end_and_nothing_is_unknown() {
    let mut history = History::of(world(25), unguarded());
    now_and_then(&history, 33.0);
    history.load(&file(25));
    history.pass(20 * MINUTE);
    let in_sync = (0..25).filter(|number| history.outcome(&name(*number)) == Outcome::InSync).count();
    assert!(in_sync >= 24, "{in_sync} of 25 in sync");
    assert!(!states(&history).contains(&State::Unknown), "{:?}", states(&history));
    mended(&history);
    history.pass(10 * MINUTE);
    assert!((0..25).all(|number| history.outcome(&name(number)) == Outcome::InSync));
    assert!((0..25).all(|number| history.network(&name(number)).subnets.len() == 3));
}

#[test]
fn a_write_that_fails_and_may_succeed_the_next_time_leaves_its_function_on_its_way() {
    use Misbehaviour::{Ec2Throttled, Malformed, Reset, ServerError, Slow, Throttled};
    for answer in [Throttled(None), Ec2Throttled, ServerError, Reset, Malformed, Slow(MINUTE)] {
        let mut history = History::of(world(1), unguarded());
        let shown = format!("{answer:?}");
        history.door.with(|aws, _| aws.faults.add(Fault::always(answer).on("UpdateFunctionConfiguration").times(3)));
        history.load(&file(1));
        history.pass(10 * MINUTE);
        assert_eq!(states(&history), [State::InSync, State::Progressing].into(), "{shown}");
        assert_eq!(history.outcome("f00"), Outcome::InSync, "{shown}");
    }
}

// What was known stays known.

#[test]
fn what_cannot_be_read_again_stands_as_it_did_for_three_resyncs() {
    for (operation, then) in [
        ("ListFunctions", (State::Unknown, Reason::ServerError)),
        ("Describe*", (State::Progressing, Reason::ServerError)),
        ("List*Polic*", (State::Progressing, Reason::ServerError)),
        ("GetCallerIdentity", (State::Unknown, Reason::ServerError)),
    ] {
        let mut history = settled(6);
        fails(&history, operation, Misbehaviour::ServerError);
        history.notices.clear();
        history.pass(14 * MINUTE);
        assert_eq!(states(&history), [State::InSync].into(), "{operation}");
        assert!(history.notices.iter().any(|notice| matches!(notice, Notice::Swept { .. })));
        history.pass(16 * MINUTE);
        for number in 0..6 {
            let stands = (state(&history, &name(number)), reason(&history, &name(number)).unwrap());
            assert_eq!(stands, then, "{operation}");
        }
        let before = history.calls();
        mended(&history);
        history.pass(6 * MINUTE);
        assert!((0..6).all(|number| history.outcome(&name(number)) == Outcome::InSync), "{operation}");
        assert_eq!(history.calls(), before, "nothing was to be done");
    }
}

#[test]
fn a_change_goes_on_by_what_is_known_of_the_network_until_that_is_too_old() {
    let mut history = settled(1);
    fails(&history, "Describe*", Misbehaviour::Reset);
    history.pass(6 * MINUTE);
    history.load(&file(2));
    history.pass(4 * MINUTE);
    assert_eq!(history.outcome("f01"), Outcome::InSync, "the network was read some minutes ago");
    assert_eq!(history.network("f01"), history.network("f00"));
    history.pass(10 * MINUTE);
    history.load(&file(3));
    history.pass(10 * MINUTE);
    assert_eq!((state(&history, "f02"), reason(&history, "f02")), (State::Progressing, Some(Reason::Unreachable)));
    assert!(!history.network("f02").is_attached(), "nobody knows what the network is by now");
    mended(&history);
    history.pass(6 * MINUTE);
    assert_eq!(history.outcome("f02"), Outcome::InSync);
}

#[test]
fn where_sts_alone_does_not_answer_what_somebody_changes_is_put_right_all_the_same() {
    let mut history = settled(2);
    fails(&history, "GetCallerIdentity", Misbehaviour::Reset);
    history.pass(MINUTE);
    somebody_detaches(&history, "f01");
    history.pass(10 * MINUTE);
    assert_eq!(history.outcome("f01"), Outcome::InSync);
    assert!(history.network("f01").is_attached());
}

#[test]
fn a_vpc_that_was_never_read_is_the_reason_and_makes_no_function_unknown() {
    for (answer, state_meanwhile) in [
        (Misbehaviour::Throttled(None), State::Progressing),
        (Misbehaviour::Reset, State::Progressing),
        (Misbehaviour::Denied, State::Blocked),
    ] {
        let mut history = History::of(world(2), unguarded());
        let shown = format!("{answer:?}");
        fails(&history, "DescribeSubnets", answer);
        history.load(&file(2));
        history.pass(20 * MINUTE);
        for number in 0..2 {
            assert_eq!(state(&history, &name(number)), state_meanwhile, "{shown}");
            let detail = history.outcome(&name(number)).why().unwrap().detail.clone();
            assert!(detail.contains("DescribeSubnets"), "{detail}");
        }
        assert_eq!(history.calls(), Vec::<String>::new(), "{shown}");
        let plan = history.controller.plan(history.clock.now()).unwrap();
        assert!(plan.lines.iter().all(|line| line.state() == Some(State::Unknown)), "a plan cannot tell what differs");
        let looks = history.door.count("GetFunctionConfiguration");
        assert!(looks <= 4, "{shown}: a look at each function tells nothing: {looks}");
        mended(&history);
        history.pass(16 * MINUTE);
        assert!((0..2).all(|number| history.outcome(&name(number)) == Outcome::InSync), "{shown}");
    }
}

#[test]
fn functions_on_the_pages_before_the_one_that_fails_are_as_new_as_that() {
    let mut history = settled(6);
    // The listing fails behind the third function.
    history.alter = |found| {
        let fault = CloudError::local(Operation::ListFunctions, Class::Timeout, "Timeout", "no answer");
        let later = found.facts.functions.iter_mut().filter(|(name, _)| name.as_str() > "f02");
        later.for_each(|(_, function)| *function = Seen::Unknown(fault.clone().into()));
        found.facts.listed = Seen::Unknown(fault.into());
    };
    somebody_detaches(&history, "f01");
    somebody_detaches(&history, "f04");
    history.pass(8 * MINUTE);
    assert_eq!(history.outcome("f01"), Outcome::InSync);
    assert!(history.network("f01").is_attached(), "it was seen, and put right");
    assert!(!history.network("f04").is_attached(), "nobody has seen it since");
    assert_eq!(history.outcome("f04"), Outcome::InSync, "as far as is known");
    history.alter = |_| {};
    history.pass(6 * MINUTE);
    assert!(history.network("f04").is_attached());
}

#[test]
fn for_a_person_at_a_terminal_a_network_that_became_old_meanwhile_is_read_again() {
    let mut history = History::of(world(3), Limits { settle: Duration::ZERO, ..unguarded() });
    let cadence = Cadence { resync: None, poll: None, workers: 16, listing: Listing::Latest, seed: 3 };
    history.signal(Signal::Settle(Box::new(Limits { settle: Duration::ZERO, ..unguarded() }), cadence));
    history.door.with(|aws, _| aws.timings.new_interface = 20 * MINUTE);
    history.load(&file(3));
    history.pass(19 * MINUTE);
    let reads = history.door.count("DescribeSubnets");
    history.until_rest(60 * MINUTE);
    assert!((0..3).all(|number| history.outcome(&name(number)) == Outcome::InSync));
    assert!(history.door.count("DescribeSubnets") > reads, "the first took longer than what was read then counts");
}

// A quota that others use.

#[test]
fn a_change_that_was_not_sent_leaves_no_trace_and_comes_in_its_turn_without_a_further_look() {
    let mut history = History::of(world(1), unguarded());
    history.crowd(&[7, 12]);
    history.load(&file(1));
    assert_eq!((state(&history, "f00"), reason(&history, "f00")), (State::Progressing, Some(Reason::BudgetTurn)));
    let (looks, begun) = (history.door.count("GetFunctionConfiguration"), history.clock.now());
    history.pass(Duration::from_secs(18));
    assert_eq!((history.calls(), history.audit()), (Vec::new(), String::new()), "not sent, and so not recorded");
    assert!(!history.notices.iter().any(|notice| matches!(notice, Notice::Stepped { .. })), "nor told");
    history.pass(Duration::from_secs(1));
    assert_eq!(history.accepted(), ["UpdateFunctionConfiguration f00"], "after seven and twelve seconds");
    assert_eq!(history.door.count("GetFunctionConfiguration"), looks, "what it was decided on still held");
    assert_eq!(history.door.changes()[0].at.since(begun), Duration::from_secs(19));
    history.pass(5 * MINUTE);
    assert_eq!(history.outcome("f00"), Outcome::InSync);
}

#[test]
fn what_was_not_sent_is_decided_anew_when_its_turn_comes() {
    let mut history = History::of(world(1), unguarded());
    history.crowd(&[30]);
    history.load(&file(1));
    history.limit(Limits { mode: Mode::Observe, ..unguarded() });
    history.pass(2 * MINUTE);
    assert_eq!((history.calls(), reason(&history, "f00")), (Vec::new(), Some(Reason::Observed)));
    let mut history = History::of(world(1), unguarded());
    history.crowd(&[30]);
    history.load(&file(1));
    let behind_our_back = VpcConfigRequest::default();
    let request = UpdateFunctionConfiguration { vpc_config: Some(behind_our_back), ..Default::default() };
    history.pass(Duration::from_secs(10));
    history.door.with(|aws, now| aws.update_function_configuration(&key("x").scope, "f00", &request, now).unwrap());
    history.pass(5 * MINUTE);
    assert_eq!(history.outcome("f00"), Outcome::InSync, "the revision was another one by then");
    assert_eq!(history.calls().len(), 2, "{:?}", history.calls());
}

#[test]
fn as_many_functions_are_worked_on_as_the_rate_that_aws_leaves_can_serve() {
    let busy = |rate: Option<f64>| {
        let cadence = Cadence { resync: Some(5 * MINUTE), poll: None, workers: 16, listing: Listing::Latest, seed: 3 };
        let (history, mut controller) = (History::of(world(40), unguarded()), Controller::new(unguarded(), cadence));
        let (mut looks, now) = (0, history.clock.now());
        let mut events = vec![Event::Loaded(Ok(Some(desired(&file(40).replace("vpc = 'orders'", "vpc = 'none'")))))];
        while let Some(event) = events.pop() {
            for effect in controller.handle(event, now) {
                let Effect::Of(scope, action) = effect else { continue };
                match action {
                    Action::Survey(needs) => {
                        if let Some(rate) = rate {
                            controller.leaves(&scope, rate);
                        }
                        let clock = history.clock.clock();
                        let mut found = live::survey(&history.door, &scope, &needs, &clock).now_or_never().unwrap();
                        // Each has to be looked at.
                        for function in found.facts.functions.values_mut() {
                            let Seen::Present(function) = function else { continue };
                            function.modified = Some(now);
                        }
                        events.push(Event::of(scope, reconcile::Event::Surveyed(found)));
                    }
                    Action::Look(..) => looks += 1,
                    _ => {}
                }
            }
        }
        looks
    };
    for (rate, looks) in [(None, 16), (Some(15.0), 16), (Some(2.0), 8), (Some(0.3), 1), (Some(0.0), 1)] {
        assert_eq!(busy(rate), looks, "{rate:?}");
    }
}
