//! What outlives the process: histories over restarts, with a directory of records, without one, and with one that is lost.

use std::collections::BTreeSet;
use std::time::Duration;

use lambda_vpc_controller::names::Time;
use lambda_vpc_controller::plan::{GuardLimits, Limits, Outcome, Reason, ScopeRecord, State};
use lambda_vpc_controller::reconcile::Notice;
use lambda_vpc_controller::simulator::{
    DeclaredFunction, DeclaredRole, Door, Fault, Misbehaviour, StillClock, UpdateFunctionConfiguration, World,
};

use crate::guard::{approving, detach, file, fleet, held, limits, updated};
use crate::support::history::{BEGINNING, History, desired, key};
use crate::support::stage::Stage;

const MINUTE: Duration = Duration::from_secs(60);

/// What the file says in these histories: forty functions, of which twelve may be changed in an hour.
fn forty() -> String {
    file(0, 40)
}

/// A daemon that has been there for hours, with a directory; its hour is used up.
fn used_up() -> History {
    let mut history = History::of(fleet(40), limits()).keeping();
    history.load(&forty());
    history.pass(20 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (12, 28));
    history
}

fn restart(history: &mut History, limits: Limits) {
    history.restart(limits);
    history.load(&forty());
}

fn record(history: &History) -> ScopeRecord {
    let scope = key("x").scope;
    ScopeRecord::parse(&history.records.as_ref().unwrap()[&scope], &scope).unwrap()
}

#[test]
fn however_often_it_is_restarted_no_more_passes_than_in_an_hour() {
    let mut history = used_up();
    for _ in 0..4 {
        restart(&mut history, limits());
        history.pass(8 * MINUTE);
        assert_eq!(updated(&history), 12);
    }
    history.pass(18 * MINUTE);
    assert_eq!(updated(&history), 24, "an hour after the first twelve, and not after the last restart");
}

#[test]
fn what_was_changed_counts_also_if_the_first_look_after_a_restart_fails() {
    for (keeps, operation) in [(true, "ListFunctions"), (true, "GetCallerIdentity"), (false, "ListFunctions")] {
        let mut history = used_up();
        if !keeps {
            history.records = None;
        }
        for _ in 0..3 {
            history.door.with(|aws, _| aws.faults.add(Fault::always(Misbehaviour::ServerError).on(operation).times(1)));
            restart(&mut history, limits());
            history.pass(8 * MINUTE);
            assert_eq!(updated(&history), 12, "{operation}");
        }
    }
}

#[test]
fn a_first_process_lets_no_more_through_than_always_passes_until_it_has_seen_an_hour() {
    for keeps in [true, false] {
        let mut history = History::of(fleet(40), limits());
        if keeps {
            history = history.keeping();
        }
        restart(&mut history, limits());
        history.pass(50 * MINUTE);
        assert_eq!((updated(&history), held(&history)), (10, 30));
        let of_a_held_one = history.outcome("function-00030");
        let said = of_a_held_one.why().unwrap().to_string();
        for part in ["apply --approve", "until 2026-11-24T08:00:00Z", "no record", "`state`", history.plan_id().short()]
        {
            assert!(said.contains(part), "{part}: {said}");
        }
        let line = history.controller.scope_line(&key("x").scope).unwrap();
        assert!(line.guard.unknown_until.is_some());
        history.pass(60 * MINUTE);
        assert_eq!(updated(&history), 22, "twelve in the hour that is known");
    }
}

#[test]
fn what_somebody_else_deployed_within_the_hour_is_no_way_past_the_guard() {
    let deploys = UpdateFunctionConfiguration { description: Some("1.2.3".to_owned()), ..Default::default() };
    for way in ["an edit alone", "a restart", "a restart without a directory", "a region that left and came back"] {
        let mut history = History::of(fleet(40), Limits { guard: None, ..limits() }).keeping();
        history.load(&forty());
        history.pass(60 * MINUTE);
        history.limit(limits());
        history.pass(60 * MINUTE);
        history.door.with(|aws, now| {
            for number in 0..40 {
                let name = format!("function-{number:05}");
                aws.update_function_configuration(&key("x").scope, &name, &deploys, now).unwrap();
            }
        });
        history.pass(10 * MINUTE);
        let before = updated(&history);
        let bad = forty().replace("id = ", "security_groups = { names = ['lambda'] }\nid = ");
        match way {
            "an edit alone" => {}
            "a restart" => history.restart(limits()),
            "a restart without a directory" => {
                history.records = None;
                history.restart(limits());
            }
            _ => {
                history.load(&forty().replace("eu-west-1", "us-east-1"));
                history.pass(10 * MINUTE);
            }
        }
        history.load(&bad);
        history.pass(30 * MINUTE);
        let changed = updated(&history) - before;
        // Without a record any of them may have been changed by the controller.
        let expected = if way == "a restart without a directory" { 0 } else { 12 };
        assert_eq!(changed, expected, "{way}");
    }
}

#[test]
fn a_region_that_leaves_the_file_and_comes_back_has_no_second_allowance() {
    for keeps in [true, false] {
        let mut history = used_up();
        if !keeps {
            history = History::of(fleet(40), limits());
            history.load(&forty());
            history.pass(20 * MINUTE);
        }
        for _ in 0..3 {
            history.load(&forty().replace("eu-west-1", "us-east-1"));
            history.pass(2 * MINUTE);
            history.load(&forty());
            history.pass(5 * MINUTE);
            assert_eq!((updated(&history), held(&history)), (12, 28), "kept: {keeps}");
        }
    }
}

#[test]
fn a_region_that_a_daemon_of_hours_never_saw_has_its_whole_allowance() {
    let mut history = History::of(fleet(40), limits()).keeping();
    history.load(&file(0, 0));
    history.pass(120 * MINUTE);
    history.load(&forty());
    history.pass(20 * MINUTE);
    assert_eq!(updated(&history), 12);
}

/// Functions that are where they should be, each with a role of its own that lacks the policy which the file demands.
fn without_policies(functions: usize) -> (World, String) {
    let mut world = fleet(functions);
    let network = |function: DeclaredFunction, number: usize| DeclaredFunction {
        role: format!("role-of-{number}"),
        subnets: world.subnets.iter().filter(|it| !it.public).map(|it| it.id.clone()).collect(),
        security_groups: vec!["sg-0f1ee700000000000".to_owned()],
        ..function
    };
    let functions: Vec<DeclaredFunction> =
        world.functions.iter().cloned().zip(0..).map(|(function, number)| network(function, number)).collect();
    let roles = (0..functions.len())
        .map(|number| DeclaredRole { name: format!("role-of-{number}"), ..DeclaredRole::default() });
    world.roles = roles.collect();
    let count = functions.len();
    world.functions = functions;
    let text = file(0, count).replace("vpc = 'fleet'", "vpc = 'fleet'\nattach_policy = 'always'");
    (world, text.replace("id = ", "security_groups = { names = ['lambda'] }\nid = "))
}

#[test]
fn policies_alone_count_as_well_also_after_a_restart() {
    let (world, text) = without_policies(40);
    let mut history = History::of(world, limits()).keeping();
    history.load(&text);
    history.pass(20 * MINUTE);
    let attached = |history: &History| history.accepted().iter().filter(|call| call.starts_with("Attach")).count();
    assert_eq!((attached(&history), updated(&history), held(&history)), (12, 0, 28));
    for _ in 0..3 {
        history.restart(limits());
        history.load(&text);
        history.pass(8 * MINUTE);
        assert_eq!(attached(&history), 12);
    }
}

#[test]
fn an_approval_is_spent_for_good() {
    for (keeps, lost) in [(true, false), (true, true), (false, false)] {
        let mut history = used_up();
        let id = history.plan_id();
        history.limit(approving(&[&id]));
        history.pass(15 * MINUTE);
        assert_eq!((updated(&history), held(&history)), (40, 0));
        history.pass(120 * MINUTE);
        // An incident: everything is taken out by hand, and the daemon is restarted. The id is still in the settings.
        detach(&history, 12..40);
        if !keeps {
            history.records = None;
        } else if lost {
            history.records = Some(Default::default());
        }
        for _ in 0..2 {
            restart(&mut history, approving(&[&id]));
            history.pass(10 * MINUTE);
            assert_eq!(history.notices.iter().filter(|it| matches!(it, Notice::Approved { .. })).count(), 1);
            let again = updated(&history) - 40;
            assert!(again <= 12, "kept: {keeps}, lost: {lost}: {again} without anybody's word");
            assert!(held(&history) >= 16);
        }
    }
}

#[test]
fn an_approval_that_was_put_in_while_nobody_ran_is_good_where_a_record_says_that_it_is_not_spent() {
    let mut history = used_up();
    let id = history.plan_id();
    restart(&mut history, approving(&[&id]));
    history.pass(15 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (40, 0));

    let mut history = used_up();
    let id = history.plan_id();
    history.records = Some(Default::default());
    restart(&mut history, approving(&[&id]));
    history.pass(15 * MINUTE);
    assert_eq!(updated(&history), 12, "it may be spent, for all that anybody knows");
    let doubted = history.notices.iter().find_map(|notice| match notice {
        Notice::NotRecalled { doubted, .. } if !doubted.is_empty() => Some(doubted.clone()),
        _ => None,
    });
    assert_eq!(doubted.unwrap(), [id.short()]);
    // A person takes it out and puts it in again.
    history.limit(limits());
    history.limit(approving(&[&id]));
    history.pass(15 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (40, 0));
}

#[test]
fn what_was_approved_is_carried_out_over_restarts() {
    let mut history = used_up();
    let id = history.plan_id();
    history.limit(approving(&[&id]));
    for _ in 0..30 {
        history.pass(Duration::from_secs(7));
        restart(&mut history, approving(&[&id]));
    }
    history.pass(15 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (40, 0));
    assert_eq!(history.notices.iter().filter(|it| matches!(it, Notice::Approved { .. })).count(), 1);
}

#[test]
fn a_record_that_cannot_be_used_is_told_once_and_costs_no_more_than_having_none() {
    let scope = key("x").scope;
    let whole = used_up().records.unwrap()[&scope].clone();
    for (text, words) in [
        (whole[..whole.len() / 2].to_owned(), "cannot be read"),
        (String::new(), "cannot be read"),
        (whole.replace("\"version\":1", "\"version\":7"), "version 7"),
        (whole.replace("eu-west-1", "eu-west-2"), "record of 123456789012/eu-west-2"),
    ] {
        let mut history = used_up();
        history.records.as_mut().unwrap().insert(scope.clone(), text);
        restart(&mut history, limits());
        history.pass(30 * MINUTE);
        let told: Vec<_> = history
            .notices
            .iter()
            .filter_map(|notice| match notice {
                Notice::NotRecalled { fault: Some(fault), .. } => Some(fault.clone()),
                _ => None,
            })
            .collect();
        assert!(told.len() == 1 && told[0].contains(words), "{told:?}");
        assert_eq!(updated(&history), 12, "twelve may have been changed by this controller");
        record(&history);
        history.pass(60 * MINUTE);
        assert!(updated(&history) > 12, "and it goes on");
    }
}

#[test]
fn a_record_that_cannot_be_read_for_now_is_waited_for_and_not_written_over() {
    let mut history = used_up();
    let (before, updates) = (history.records.clone(), updated(&history));
    history.stores = false;
    restart(&mut history, limits());
    history.notices.clear();
    history.pass(5 * MINUTE);
    assert_eq!(updated(&history), updates);
    assert!(!history.notices.iter().any(|it| matches!(it, Notice::Swept { .. } | Notice::Stored { .. })));
    let tried = history.notices.iter().filter(|it| matches!(it, Notice::RecordUnread { .. })).count();
    assert!((20..40).contains(&tried), "it is tried again, and not all the time: {tried}");
    assert_eq!(history.records, before);
    history.stores = true;
    history.pass(MINUTE);
    assert!(history.notices.iter().any(|it| matches!(it, Notice::Swept { fault: None, .. })));
    assert_eq!(updated(&history), updates, "the hour is known: it is used up");
}

#[test]
fn a_start_in_which_nothing_can_be_read_forgets_nothing_of_what_was_in_sync() {
    let mut history = History::of(fleet(40), limits()).keeping();
    history.load(&file(0, 1));
    history.pass(30 * MINUTE);
    assert_eq!(history.outcome("function-00000"), Outcome::InSync);
    let before = record(&history);
    assert!(before.synced_by.is_some());
    history.door.with(|aws, _| aws.faults.add(Fault::always(Misbehaviour::Reset)));
    restart(&mut history, limits());
    history.load(&file(0, 1));
    history.pass(30 * MINUTE);
    assert_ne!(history.outcome("function-00000"), Outcome::InSync);
    let after = record(&history);
    assert_eq!((after.synced_by, after.unsynced), (before.synced_by, vec![]));
}

#[test]
fn what_cannot_be_stored_first_is_not_done_and_everything_else_goes_on() {
    let mut history = History::of(fleet(40), limits()).keeping();
    history.load(&file(0, 1));
    history.pass(10 * MINUTE);
    assert_eq!(updated(&history), 1);
    history.stores = false;
    history.load(&forty());
    history.pass(30 * MINUTE);
    assert_eq!(updated(&history), 1, "not one call");
    let stopped: Vec<_> = history.controller.lines().filter(|it| it.outcome.state() == State::Blocked).collect();
    assert!(!stopped.is_empty());
    for line in stopped {
        let why = line.outcome.why().unwrap();
        assert_eq!((why.reason, why.detail.as_str()), (Reason::NotStored, "the disk is full"));
    }
    let sweeps = history.notices.iter().filter(|it| matches!(it, Notice::Swept { .. })).count();
    assert!(sweeps > 6, "it looks at the fleet as before");
    let failed = history.notices.iter().filter(|it| matches!(it, Notice::Stored { error: Some(_), .. })).count();
    assert!((10..400).contains(&failed), "it is tried again, and not all the time: {failed}");
    history.stores = true;
    history.pass(15 * MINUTE);
    assert_eq!((updated(&history), held(&history)), (12, 28), "mended, and nothing of the hour was lost");
}

#[test]
fn since_when_a_function_is_out_of_sync_is_known_over_restarts() {
    let blocked = |history: &History, name: &str| {
        let line = history.controller.line(&key(name)).unwrap();
        (line.outcome.state(), line.since)
    };
    let mut history = used_up();
    history.door.with(|aws, _| {
        let refused = Misbehaviour::Error {
            status: 400,
            code: "InvalidParameterValueException".to_owned(),
            message: "The role defined for the function cannot be assumed by Lambda.".to_owned(),
        };
        aws.faults.add(Fault::always(refused).on("UpdateFunctionConfiguration").about("function-00039"));
    });
    history.load(&file(39, 40));
    history.pass(30 * MINUTE);
    let (state, since) = blocked(&history, "function-00039");
    assert_eq!(state, State::Blocked);
    for _ in 0..3 {
        history.restart(limits());
        history.load(&file(39, 40));
        history.pass(30 * MINUTE);
        assert_eq!(blocked(&history, "function-00039"), (State::Blocked, since), "since it was first so");
    }
    // In sync for a moment, it is another matter.
    history.door.with(|aws, _| aws.faults.clear());
    history.pass(60 * MINUTE);
    assert_eq!(history.outcome("function-00039"), Outcome::InSync);
    history.pass(MINUTE);
    assert!(record(&history).unsynced.is_empty(), "and nothing is kept of what is in sync");
}

#[test]
fn a_change_of_the_network_while_nobody_ran_is_not_taken_for_an_edit() {
    let mut history = History::of(fleet(40), Limits { guard: None, ..limits() }).keeping();
    history.load(&forty());
    history.pass(60 * MINUTE);
    history.pass(60 * MINUTE);
    let scope = key("x").scope;
    history.door.with(|aws, now| {
        let all = aws.describe_subnets(&scope, &Default::default(), now).unwrap().items;
        let one = all.into_iter().find(|subnet| subnet.vpc.as_str() == "vpc-0f1ee700000000000").unwrap();
        let id = lambda_vpc_controller::names::SubnetId::parse("subnet-0ffff").unwrap();
        aws.add_subnet(&scope, lambda_vpc_controller::simulator::Subnet { id, ..one }).unwrap();
    });
    let before = updated(&history);
    for _ in 0..3 {
        restart(&mut history, limits());
        history.pass(10 * MINUTE);
        assert_eq!((updated(&history) - before, held(&history)), (10, 30));
        let held = history.outcome("function-00030");
        assert!(held.why().unwrap().detail.contains("for changes of the VPC"), "{held:?}");
    }
    detach(&history, 30..40);
    restart(&mut history, limits());
    history.pass(10 * MINUTE);
    let causes: BTreeSet<&str> = record(&history).hour.changed.iter().map(|it| it.cause.name()).collect();
    assert_eq!(causes, BTreeSet::from(["network"]), "what was held for the network's sake still is");
}

#[test]
fn a_repair_is_one_also_where_the_function_was_changed_while_nobody_ran() {
    let mut history = History::of(fleet(40), Limits { guard: None, ..limits() }).keeping();
    history.load(&forty());
    history.pass(60 * MINUTE);
    history.pass(60 * MINUTE);
    detach(&history, 0..5);
    restart(&mut history, limits());
    history.pass(10 * MINUTE);
    let changed = record(&history).hour.changed;
    let causes: Vec<(&str, usize)> = changed.iter().map(|it| (it.cause.name(), it.functions.len())).collect();
    assert_eq!(causes, [("live", 5)]);
}

#[test]
fn an_idle_fleet_stores_nothing() {
    let mut history = used_up();
    history.limit(approving(&[&history.plan_id()]));
    history.pass(180 * MINUTE);
    let stored = |history: &History| history.notices.iter().filter(|it| matches!(it, Notice::Stored { .. })).count();
    let before = stored(&history);
    history.pass(600 * MINUTE);
    assert_eq!(stored(&history), before);
    assert!(before < 60, "{before} for forty functions");
}

/// Whatever happens to the process, to its directory and around it: in no hour more functions are changed than always pass,
/// and in the end all are.
#[test]
fn by_chance_no_hour_ever_has_more_than_its_allowance_and_all_comes_about() {
    for seed in 0..60 {
        by_chance(seed);
    }
}

fn by_chance(seed: u64) {
    const FUNCTIONS: usize = 24;
    let mut random = fastrand::Rng::with_seed(seed);
    let clock = StillClock::at(BEGINNING);
    let aws = fleet(FUNCTIONS).build(BEGINNING).unwrap();
    clock.pass(Duration::from_secs(24 * 3600));
    let door = Door::new(aws, clock.clock());
    let guard = GuardLimits { max_changes: 0, max_change_percent: 0, approved: Vec::new() };
    let limits = Limits { guard: Some(guard), ..limits() };
    let mut stage = Stage::new(door, clock, limits, Duration::from_secs(300), seed);
    let text = file(0, FUNCTIONS);
    stage.load(desired(&text));
    for _ in 0..24 {
        stage.until(stage.clock.now() + MINUTE.mul_f64(15.0 * random.f64()));
        if random.u8(..3) == 0 {
            let operation = random.choice(["ListFunctions", "GetCallerIdentity", "Describe*"]).unwrap();
            let fault = Fault::always(Misbehaviour::ServerError).on(operation).times(random.u32(1..4));
            stage.door.with(|aws, _| aws.faults.add(fault));
        }
        match random.u8(..8) {
            0..4 => stage.kill(desired(&text)),
            4 => {
                stage.records.clear();
                stage.kill(desired(&text));
            }
            5 => {
                let torn = |record: &mut String| record.truncate(record.len() / 2);
                stage.records.values_mut().for_each(torn);
                stage.kill(desired(&text));
            }
            6 => {
                stage.load(desired(&text.replace("eu-west-1", "us-east-1")));
                stage.until(stage.clock.now() + MINUTE.mul_f64(5.0 * random.f64()));
                stage.load(desired(&text));
            }
            _ => {
                let some = random.usize(..FUNCTIONS);
                let deploys = UpdateFunctionConfiguration { description: Some("1".to_owned()), ..Default::default() };
                let name = format!("function-{some:05}");
                // One that is being updated cannot be deployed.
                stage.door.with(|aws, now| {
                    let _ = aws.update_function_configuration(&key("x").scope, &name, &deploys, now);
                });
            }
        }
    }
    stage.door.with(|aws, _| aws.faults.clear());
    stage.until(stage.clock.now() + 4 * 60 * MINUTE);
    assert_eq!(stage.broken, [] as [&str; 0], "seed {seed}");
    let changes: Vec<(Time, String)> = stage
        .door
        .changes()
        .into_iter()
        .filter(|call| call.refused.is_none() && call.detail.contains("VpcConfig"))
        .map(|call| (call.at, call.subject))
        .collect();
    for (at, _) in &changes {
        let hour = changes.iter().filter(|(other, _)| *other >= *at && other.since(*at) < 60 * MINUTE);
        let functions: BTreeSet<&String> = hour.map(|(_, function)| function).collect();
        assert!(functions.len() <= 10, "seed {seed}: {} in the hour after {at}: {changes:#?}", functions.len());
    }
    let changed: BTreeSet<&String> = changes.iter().map(|(_, function)| function).collect();
    assert_eq!((changed.len(), changes.len()), (FUNCTIONS, FUNCTIONS), "seed {seed}: each of them, and once");
}
