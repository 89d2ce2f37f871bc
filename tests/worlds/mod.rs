//! Any small world of two regions, any file, any faults that end: the controller comes to rest, and for a true reason.
//!
//! The pure controller and the pure account play each history without a runtime. Every call takes its time on the way, so
//! that answers cross; the process is killed in between; others work on the same functions. What must never happen is
//! watched all along, and at the end everything must be in sync, or not for a reason that is true of the world as it is.

mod made;
mod truth;

use std::path::Path;
use std::time::Duration;

use lambda_vpc_controller::plan::{Limits, Outcome, Verdict, Writable};
use lambda_vpc_controller::settings::Mode;
use lambda_vpc_controller::simulator::{Call, Door, StillClock};
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngAlgorithm, TestError, TestRng, TestRunner};

use self::made::{Deed, Dice, History};
use crate::support::history::{BEGINNING, desired, settings};
use crate::support::stage::Stage;

/// How often everything is listed without a cause.
const RESYNC: Duration = Duration::from_secs(20 * 60);
/// How long others, and faults, go on after the last deed. Some of them wait for what they want to undo, and a fault that
/// meets what is tried every half an hour lasts for hours.
const MEDDLING: Duration = Duration::from_secs(2 * 3600);
/// After that, this is long enough for all that waits an hour, and then some.
const AFTERWARDS: Duration = Duration::from_secs(5 * 3600);
/// Nothing may be changed any more in this time after that.
const QUIET: Duration = Duration::from_secs(2 * 3600);

/// How many histories are played: a thousand for whoever is at work, six thousand where `.ci/run` says `WORLDS=6000`.
fn cases() -> u32 {
    std::env::var("WORLDS").map_or(1000, |text| text.parse().expect("WORLDS is a number"))
}

/// The dice of a run. They fall the same way each time, so that nobody's change fails for the sake of a history that has
/// nothing to do with it; `WORLDS_SEED=2 WORLDS=100000 cargo test worlds` looks for others.
fn dice(half: u8) -> TestRng {
    let seed: u64 = std::env::var("WORLDS_SEED").map_or(1, |text| text.parse().expect("WORLDS_SEED is a number"));
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8] = half;
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

/// Plays a history; an error says what went wrong.
fn play(throws: &[u8]) -> Result<(), String> {
    let history = History::made(&mut Dice::new(throws));
    let clock = StillClock::at(BEGINNING);
    let aws = history.world.build(BEGINNING).map_err(|error| error.to_string())?;
    clock.pass(Duration::from_secs(24 * 3600));
    let door = Door::new(aws, clock.clock());
    history.begin(&door);
    let limits = Limits {
        writable: Writable::Stated,
        allow_detach: history.allow_detach,
        settle: history.settle,
        confirm: if history.confirms { RESYNC } else { Duration::ZERO },
        ..Limits::of(&settings())
    };
    let begun = clock.now();
    let mut stage = Stage::new(door, clock, limits, RESYNC, history.seed);
    (stage.flickers, stage.slower) = (history.flickers, history.slower);
    let mut file = history.file.clone();
    stage.load(desired(&file));
    for (minute, deed) in &history.deeds {
        stage.until(begun + Duration::from_secs(minute * 60));
        match deed {
            Deed::Edit(text) => {
                file.clone_from(text);
                stage.load(desired(&file));
            }
            Deed::Kill => stage.kill(desired(&file)),
            Deed::Set(seconds) => stage.set_wall_clock(seconds * 1000),
            Deed::KillOnABadDay(fault) => {
                stage.door.with(|aws, _| aws.faults.add(fault.clone()));
                stage.kill(desired(&file));
            }
            Deed::Observe(seconds) => {
                stage.mode(Mode::Observe);
                stage.until(stage.clock.now() + Duration::from_secs(*seconds));
                stage.mode(Mode::Enforce);
            }
        }
    }
    if let Some(bound) = history.bound() {
        stage.until(stage.clock.now() + bound);
        if !rests_between_tries(&mut stage) {
            let told = stage.controller.lines().map(|line| format!("{}: {:?}\n", line.entry.key, line.outcome));
            return Err(format!("not at rest after {bound:?}:\n{}{}", told.collect::<String>(), calls(&stage.door)));
        }
    }
    stage.until(stage.clock.now() + MEDDLING);
    stage.door.with(|aws, _| {
        aws.dismiss_meddlers();
        aws.faults.clear();
    });
    stage.flickers = false;
    stage.until(stage.clock.now() + AFTERWARDS);
    let at_rest = accepted(&stage.door);
    verdict_between_tries(&mut stage, &file)?;
    stage.until(stage.clock.now() + QUIET);
    if accepted(&stage.door) != at_rest {
        return Err(format!("something was changed after all was at rest: {:#?}", stage.door.changes()));
    }
    verdict_between_tries(&mut stage, &file)
}

/// What is blocked is tried again now and then, and in such a moment it does not rest.
fn rests_between_tries(stage: &mut Stage) -> bool {
    (0..5).any(|_| {
        let rests = stage.controller.at_rest();
        stage.until(stage.clock.now() + Duration::from_secs(7) * stage.slower);
        rests
    })
}

/// What is blocked is tried again now and then, and in such a moment others may be waiting for that, for a minute where all of
/// an entry have troubles of their own.
fn verdict_between_tries(stage: &mut Stage, file: &str) -> Result<(), String> {
    for _ in 0..20 {
        if verdict(stage, file).is_ok() {
            return Ok(());
        }
        stage.until(stage.clock.now() + Duration::from_secs(7) * stage.slower);
    }
    verdict(stage, file)
}

/// What was asked of the world and accepted, beside what others did.
fn accepted(door: &Door) -> usize {
    door.changes().iter().filter(|call| call.refused.is_none()).count()
}

fn verdict(stage: &Stage, file: &str) -> Result<(), String> {
    if let Some(broken) = stage.broken.first() {
        return Err(broken.clone());
    }
    let state = desired(file);
    for call in stage.door.changes() {
        let allowed = match call.operation {
            "UpdateFunctionConfiguration" => call.subject != made::UNLISTED,
            operation => operation == "AttachRolePolicy",
        };
        if !allowed {
            return Err(format!("this is never done: {call:?}"));
        }
    }
    let plan = stage.controller.plan(stage.clock.now()).ok_or("there is no plan")?;
    for line in &plan.lines {
        let key = &line.entry.key;
        let on_board = stage.controller.line(key).ok_or(format!("nothing is known of {key}"))?;
        let outcome = &on_board.outcome;
        if *outcome == Outcome::InSync && line.comparison.verdict != Verdict::InSync {
            return Err(format!("{key} is in sync, and is planned again: {:?}", line.comparison.verdict));
        }
        let true_ones = truth::of(stage, &state, &line.entry);
        if !true_ones.contains(&outcome.why().map(|why| why.reason)) {
            let told = format!("{key}: {outcome:?} is not true; one of these is: {true_ones:?}");
            return Err(format!("{told}\n{}", calls(&stage.door)));
        }
    }
    Ok(())
}

/// What was asked of the world, a line each.
fn calls(door: &Door) -> String {
    let line = |call: &Call| {
        let Call { at, operation, subject, refused, .. } = call;
        format!("{at} {operation} {subject} {}\n", refused.as_deref().unwrap_or("done"))
    };
    door.changes().iter().map(line).collect()
}

fn persistence() -> FileFailurePersistence {
    FileFailurePersistence::Direct(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/worlds/regressions.txt"))
}

/// In two halves, which the test run plays at the same time.
#[test]
fn whatever_happens_it_ends_in_sync_or_for_a_true_reason() {
    play_many(0);
}

#[test]
fn whatever_happens_it_ends_in_sync_or_for_a_true_reason_in_the_other_half() {
    play_many(1);
}

fn play_many(half: u8) {
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/worlds").exists(), "seeds would be lost");
    let config = ProptestConfig {
        cases: cases() / 2,
        failure_persistence: Some(Box::new(persistence())),
        max_shrink_iters: 4000,
        ..ProptestConfig::default()
    };
    let throws = prop::collection::vec(any::<u8>(), 0..200);
    let mut runner = TestRunner::new_with_rng(config, dice(half));
    match runner.run(&throws, |throws| play(&throws).map_err(TestCaseError::fail)) {
        Ok(()) => {}
        Err(TestError::Abort(reason)) => panic!("{reason}"),
        Err(TestError::Fail(reason, throws)) => {
            panic!("{reason}\n{}\n{throws:?}", History::made(&mut Dice::new(&throws)).in_words())
        }
    }
}

/// So that a history that fails can be looked at: what is in it, and that the dice make different ones.
#[test]
fn the_histories_are_not_all_alike() {
    let mut random = fastrand::Rng::with_seed(1);
    let throws = |random: &mut fastrand::Rng| (0..200).map(|_| random.u8(..)).collect::<Vec<u8>>();
    let made: Vec<History> = (0..500).map(|_| History::made(&mut Dice::new(&throws(&mut random)))).collect();
    let share = |what: fn(&History) -> bool| made.iter().filter(|history| what(history)).count();
    for (what, count) in [
        ("kills", share(|history| history.deeds.iter().any(|(_, deed)| matches!(deed, Deed::Kill)))),
        (
            "wall clocks that are set",
            share(|history| history.deeds.iter().any(|(_, deed)| matches!(deed, Deed::Set(_)))),
        ),
        ("pauses", share(|history| history.deeds.iter().any(|(_, deed)| matches!(deed, Deed::Observe(_))))),
        ("bad days", share(|history| history.deeds.iter().any(|(_, deed)| matches!(deed, Deed::KillOnABadDay(_))))),
        ("edits", share(|history| history.deeds.iter().any(|(_, deed)| matches!(deed, Deed::Edit(_))))),
        ("faults", share(|history| !history.faults.is_empty())),
        ("meddlers", share(|history| !history.world.meddlers.is_empty())),
        ("flickers", share(|history| history.flickers)),
        ("regions with other rates", share(|history| history.slower > 1)),
        ("refusals for want of a simulation", share(|history| history.no_simulation)),
        ("histories with a bound", share(|history| history.bound().is_some())),
        ("overruled roles", share(|history| history.world.roles.iter().any(|role| role.overruled.is_some()))),
        ("full subnets", share(|history| history.world.subnets.iter().any(|it| it.free_addresses == Some(0)))),
    ] {
        assert!((50..500).contains(&count), "{what}: {count} of 500");
    }
}
