//! What holds for an account and region as a whole: who leads it, that one function can be looked at, what several of them tell
//! each other, and that one which leaves the file or fails concerns no other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambda_vpc_controller::apply::{Answered, Call, Journal, Recording};
use lambda_vpc_controller::manager::Event;
use lambda_vpc_controller::names::{Region, ScopeKey};
use lambda_vpc_controller::plan::{Outcome, Reason, Roles, State};
use lambda_vpc_controller::reconcile::{self, Action, Cadence, Notice, Recall, Scope, Start};
use lambda_vpc_controller::records::{self, Records};
use tokio::time::sleep;

use crate::guard::{approving, file, file_with_far, fleet, limits, updated, with_another_region};
use crate::paused::{Daemon, FILE, Full};
use crate::support::history::{BEGINNING, History, desired, key, settings, somebody_detaches};

const MINUTE: Duration = Duration::from_secs(60);

fn near() -> ScopeKey {
    key("x").scope
}

fn lead(history: &mut History, leads: bool) {
    history.feed(Event::of(near(), reconcile::Event::Lead(leads)));
}

#[test]
fn a_standby_observes_and_shows_and_changes_nothing() {
    let mut history = History::of(fleet(3), limits());
    history.load(&file(0, 1));
    history.pass(10 * MINUTE);
    assert_eq!(history.outcome("function-00000"), Outcome::InSync);
    lead(&mut history, false);
    let before = history.calls();
    history.load(&file(0, 3));
    history.pass(60 * MINUTE);
    assert_eq!(history.calls(), before, "not one call");
    assert_eq!(history.outcome("function-00000"), Outcome::InSync);
    let other = history.outcome("function-00001");
    assert_eq!((history.reason("function-00001"), other.state()), (Reason::NotLeader, State::OutOfSync));
    somebody_detaches(&history, "function-00000");
    history.pass(10 * MINUTE);
    assert_eq!(history.reason("function-00000"), Reason::NotLeader, "what others change is seen");
    assert_eq!(history.calls(), before);
}

#[test]
fn whoever_begins_to_lead_looks_before_it_acts() {
    let mut history = History::of(fleet(3), limits());
    history.load(&file(0, 1));
    history.pass(10 * MINUTE);
    lead(&mut history, false);
    history.load(&file(0, 3));
    history.pass(10 * MINUTE);
    assert_eq!(updated(&history), 1);
    let listings = history.door.count("ListFunctions");
    history.notices.clear();
    lead(&mut history, true);
    assert!(history.door.count("ListFunctions") > listings);
    history.pass(30 * MINUTE);
    let place = |of: fn(&Notice) -> bool| history.notices.iter().position(of).unwrap();
    let swept = place(|notice| matches!(notice, Notice::Swept { .. }));
    assert!(swept < place(|notice| matches!(notice, Notice::Stepped { .. })));
    assert_eq!(updated(&history), 3);
    history.assert_nothing_left_to_do();
}

#[test]
fn whoever_loses_the_lead_begins_nothing_more() {
    let mut history = History::of(fleet(30), limits());
    history.load(&file(0, 30));
    history.pass(Duration::from_secs(2));
    assert_eq!(updated(&history), 1, "the first of the first wave");
    lead(&mut history, false);
    history.pass(60 * MINUTE);
    assert_eq!(updated(&history), 1);
    assert_eq!(history.outcome("function-00000"), Outcome::InSync, "its end is seen all the same");
}

#[test]
fn one_function_that_something_happened_to_is_looked_at_at_once_and_no_other() {
    let mut history = History::of(fleet(3), limits());
    history.load(&file(0, 3));
    history.pass(20 * MINUTE);
    assert_eq!(updated(&history), 3);
    somebody_detaches(&history, "function-00001");
    let count =
        |history: &History| (history.door.count("GetFunctionConfiguration"), history.door.count("ListFunctions"));
    // Somebody who has just changed it is left alone for no time here.
    let (looks, listings) = count(&history);
    let refresh = || Event::of(near(), reconcile::Event::Refresh(key("function-00001")));
    history.feed(refresh());
    history.feed(Event::of(near(), reconcile::Event::Refresh(key("nobody"))));
    assert_eq!(count(&history), (looks + 1, listings));
    assert_ne!(history.outcome("function-00001"), Outcome::InSync);
    history.pass(MINUTE);
    assert_eq!(history.outcome("function-00001"), Outcome::InSync);
    assert_eq!(count(&history).1, listings, "long before the next resync");
    assert_eq!(updated(&history), 4);
    // One that is as it should be costs that one look.
    let (looks, _) = count(&history);
    history.feed(refresh());
    assert_eq!(count(&history), (looks + 1, listings));
    assert_eq!(updated(&history), 4);
}

#[test]
fn a_scope_that_leaves_the_file_is_over_and_begins_anew_when_it_comes_back() {
    let mut history = History::of(with_another_region(3), limits()).keeping();
    history.load(&file_with_far(3, 2));
    history.pass(30 * MINUTE);
    assert_eq!(updated(&history), 5);
    let far = ScopeKey { region: Region::parse("us-east-1").unwrap(), ..near() };
    history.load(&file(0, 3));
    assert!(history.controller.scope(&far).is_none() && history.controller.scope(&near()).is_some());
    assert!(history.records.as_ref().unwrap().contains_key(&far), "its record stays");
    let released = history.notices.iter().filter(|it| matches!(it, Notice::Released { .. })).count();
    assert_eq!(released, 2);
    history.load(&file_with_far(3, 2));
    history.pass(10 * MINUTE);
    assert!(history.controller.lines().all(|line| line.outcome == Outcome::InSync));
    assert_eq!((history.controller.lines().count(), updated(&history)), (5, 5), "nothing is done twice");
}

/// Keeps records in memory; so often the reading of the one in the other region fails as only a mistake of the program can.
struct Failing {
    times: AtomicU32,
    kept: Mutex<BTreeMap<ScopeKey, String>>,
}

impl Records for Failing {
    fn load<'a>(&'a self, scope: &'a ScopeKey) -> records::Loading<'a> {
        Box::pin(async move {
            let fails = scope.region.as_str() == "us-east-1";
            let left = |times: u32| times.checked_sub(1).filter(|_| fails);
            let failed = self.times.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok();
            assert!(!failed, "a mistake of the program, made by this test");
            Ok(self.kept.lock().unwrap().get(scope).cloned())
        })
    }

    fn store<'a>(&'a self, scope: &'a ScopeKey, record: String) -> records::Storing<'a> {
        self.kept.lock().unwrap().insert(scope.clone(), record);
        Box::pin(std::future::ready(Ok(())))
    }
}

#[tokio::test(start_paused = true)]
async fn a_scope_that_fails_begins_anew_by_itself_and_the_others_go_on() {
    let records = Failing { times: AtomicU32::new(3), kept: Mutex::default() };
    let text = format!("{FILE}[[function]]\nname = 'far'\nregion = 'us-east-1'\nvpc = 'none'\n");
    let daemon = Daemon::start_with(&text, Full(Mutex::new(u32::MAX)), Some(Arc::new(records)));
    let restarts = |times: u32| {
        format!("lambda_vpc_scope_restarts_total{{account=\"123456789012\",region=\"us-east-1\"}} {times}")
    };
    sleep(Duration::from_millis(2500)).await;
    assert!(daemon.metric(&restarts(2)), "after one second, and after two more");
    assert!(!daemon.telemetry.shown().ready && daemon.telemetry.is_live());
    sleep(Duration::from_secs(600)).await;
    assert!(daemon.metric(&restarts(3)));
    assert!(daemon.telemetry.shown().ready && daemon.telemetry.is_live());
    let fleet = &daemon.telemetry.shown().fleet;
    let far = fleet.lines.iter().find(|line| line.entry.key.name.as_str() == "far").unwrap();
    assert_eq!(far.outcome.why().unwrap().reason, Reason::FunctionNotFound, "it was looked for in the end");
    let controller = daemon.stop().await;
    assert_eq!(controller.line(&key("orders-api")).unwrap().outcome, Outcome::InSync);
}

/// Fails as only a mistake of the program can, where the first change is recorded.
struct FailsOnce(AtomicU32);

impl Journal for FailsOnce {
    fn intent<'a>(&'a self, _: &'a Call<'a>) -> Recording<'a> {
        Box::pin(async move {
            let first = self.0.fetch_add(1, Ordering::Relaxed) == 0;
            assert!(!first, "a mistake of the program, made by this test");
            Ok(())
        })
    }
    fn result<'a>(&'a self, _: &'a Call<'a>, _: &'a Answered) -> Recording<'a> {
        Box::pin(std::future::ready(Ok(())))
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_a_failed_scope_was_attaching_is_attached_by_the_one_that_begins_anew() {
    let daemon = Daemon::start_with(FILE, FailsOnce(AtomicU32::new(0)), None);
    sleep(Duration::from_secs(600)).await;
    assert!(daemon.metric("lambda_vpc_scope_restarts_total{account=\"123456789012\",region=\"eu-west-1\"} 1"));
    let controller = daemon.stop().await;
    let line = controller.line(&key("orders-api")).unwrap();
    assert_eq!(line.outcome, Outcome::InSync, "nothing waits for a call whose answer nobody tells");
}

#[test]
fn a_scope_that_was_not_told_what_the_file_says_stores_nothing_over_its_record() {
    let (key, spec) = desired(&file(0, 3)).by_scope().pop_first().unwrap();
    let cadence = Cadence::of(&settings());
    let start = Start { limits: limits(), cadence, since: BEGINNING, roles: Roles::default(), kept: true };
    let mut scope = Scope::new(key, spec.of_nothing(), start, BEGINNING);
    let stores = |actions: &[Action]| actions.iter().any(|action| matches!(action, Action::Store(_)));
    let asked = scope.handle(reconcile::Event::Tick, BEGINNING);
    assert!(asked.iter().any(|action| matches!(action, Action::Recall)) && !stores(&asked));
    let later = BEGINNING + MINUTE;
    assert!(!stores(&scope.handle(reconcile::Event::Recalled(Recall::Missing), later)));
    assert!(!stores(&scope.handle(reconcile::Event::Desired(Arc::new(spec.clone())), later)));
    let left = scope.handle(reconcile::Event::Desired(Arc::new(spec.of_nothing())), later + MINUTE);
    assert!(stores(&left), "a scope that leaves the file is recorded once more");
}

#[test]
fn after_a_restart_the_plan_of_all_is_approved_by_its_id_though_one_scope_s_plan_is_what_it_was() {
    let mut history = History::of(with_another_region(20), limits()).keeping();
    history.load(&file_with_far(20, 15));
    history.pass(30 * MINUTE);
    assert_eq!(updated(&history), 20, "ten in each region");
    history.restart(limits());
    history.load(&file_with_far(20, 14));
    history.pass(10 * MINUTE);
    let all = history.plan_id();
    history.limit(approving(&[&all]));
    history.pass(20 * MINUTE);
    assert_eq!(updated(&history), 34, "the rest of both regions");
}
