//! The board as a story: what is told to it, and what is then on it.

use std::path::Path;

use super::*;
use crate::desired::Accounts;
use crate::file::Source;
use crate::names::{AccountId, FunctionName, PolicyArn, Region, RoleArn};
use crate::plan::{Cause, Step};

const ACCOUNT: &str = "123456789012";

fn desired(functions: &str) -> DesiredState {
    let text = format!(
        "defaults = {{ region = 'eu-west-1', account = '{ACCOUNT}' }}\n\
         vpc = [{{ name = 'orders', id = 'vpc-11111111' }}]\nfunction = [{functions}]\n"
    );
    let source = Source::from_bytes(Path::new("functions.toml"), text.into()).unwrap();
    let accounts = Accounts { own: AccountId::parse(ACCOUNT).unwrap(), ..Accounts::without_aws(BTreeMap::new(), None) };
    DesiredState::check(&source, &accounts).unwrap_or_else(|mistakes| panic!("{}", mistakes.render(false)))
}

const A: &str = "{ name = 'a', vpc = 'orders' }";
const A_OBSERVED: &str = "{ name = 'a', vpc = 'orders', mode = 'observe' }";
const B: &str = "{ name = 'b', vpc = 'orders' }";

fn key(name: &str) -> FunctionKey {
    let scope = ScopeKey { account: AccountId::parse(ACCOUNT).unwrap(), region: Region::parse("eu-west-1").unwrap() };
    FunctionKey { scope, name: FunctionName::parse(name).unwrap() }
}

/// A board on which a file is in force.
struct Story {
    board: Board,
    desired: DesiredState,
}

impl Story {
    fn of(functions: &str) -> Self {
        let mut story = Self { board: Board::default(), desired: desired(functions) };
        story.board.listed(&story.desired, Time(0));
        story
    }

    fn edit(&mut self, functions: &str, at: u64) {
        self.desired = desired(functions);
        self.board.listed(&self.desired, Time(at));
    }

    fn conclude(&mut self, name: &str, outcome: Outcome, at: u64) -> Option<State> {
        let entry = self.desired.get(&key(name)).unwrap();
        let digest = self.desired.digest.clone();
        let found = Found { outcome, change: None, next: None, live: None, digest };
        self.board.concluded(entry, found, Time(at))
    }

    fn step(&mut self, name: &str, answer: &Answer, at: u64) {
        let role = RoleArn::parse("arn:aws:iam::123456789012:role/r").unwrap();
        let policy = PolicyArn::parse("arn:aws:iam::aws:policy/p").unwrap();
        let order = Order {
            pass: 1,
            step: Step::AttachPolicy { key: key(name), role, policy },
            cause: Cause::File,
            digest: self.desired.digest.clone(),
            was_in: None,
            goes_into: None,
        };
        self.board.stepped(&order, answer, Duration::from_millis(7), Time(at));
    }

    fn line(&self, name: &str) -> Line {
        let lines = self.board.picture().lines;
        Line::clone(lines.iter().find(|line| line.entry.key.name.as_str() == name).unwrap())
    }

    /// The history of a function, an event a line.
    fn history(&self, name: &str) -> Vec<String> {
        let told = |event: &Event| {
            let what = match &event.what {
                What::Edited(_) => "edited".to_owned(),
                What::Differs(cause) => format!("differs: {}", cause.name()),
                What::Called { step, error, .. } => format!("{step}: {}", error.as_deref().unwrap_or("done")),
                What::Became { state, reason, .. } => {
                    format!("{} {}", state.name(), reason.map_or("", Reason::name)).trim().to_owned()
                }
            };
            format!("{}-{} {}x {what}", event.first.0, event.last.0, event.times)
        };
        self.line(name).history.events().iter().map(told).collect()
    }
}

fn counts(picture: &Picture) -> Counts {
    let key = key("a").scope;
    Fleet::of([(&key, picture)].into_iter()).counts()
}

fn waiting(reason: Reason) -> Outcome {
    Outcome::waiting(reason, "")
}

#[test]
fn what_the_file_lists_is_on_the_board_at_once_but_counts_only_when_something_is_known_of_it() {
    let mut story = Story::of(&format!("{A}, {B}"));
    assert!(story.board.get(&key("a").name).is_none() && story.board.lines().next().is_none());
    assert_eq!(counts(&story.board.picture()).of(State::Unknown), 2);
    assert_eq!(story.line("a").outcome.why().unwrap().reason, Reason::Unread);
    assert_eq!(story.conclude("a", Outcome::InSync, 5), None);
    let scope = story.board.scope();
    assert_eq!((scope.counts.of(State::InSync), scope.counts.of(State::Unknown)), (1, 0));
    story.board.released(&key("b").name);
    assert_eq!(story.board.picture().lines.len(), 1);
}

#[test]
fn a_state_lasts_from_when_it_began_and_its_reasons_are_told_in_between() {
    let mut story = Story::of(A);
    story.conclude("a", waiting(Reason::RolePropagation), 10);
    assert_eq!(story.conclude("a", waiting(Reason::UpdateInProgress), 20), Some(State::Progressing));
    assert_eq!(story.line("a").since, Time(10));
    story.conclude("a", Outcome::InSync, 30);
    assert_eq!(story.line("a").since, Time(30));
    let expected =
        ["10-10 1x progressing RolePropagation", "20-20 1x progressing UpdateInProgress", "30-30 1x in_sync"];
    assert_eq!(story.history("a"), expected);
}

#[test]
fn what_is_found_again_changes_nothing_and_copies_nothing() {
    let mut story = Story::of(A);
    story.conclude("a", Outcome::InSync, 10);
    let before = story.board.picture();
    for at in 11..100 {
        story.conclude("a", Outcome::InSync, at);
        story.board.doubts(&key("a").name, Vec::new());
    }
    let after = story.board.picture();
    assert_eq!(after.revision, before.revision);
    assert!(Arc::ptr_eq(&after.lines[0], &before.lines[0]));
    story.conclude("a", waiting(Reason::Settling), 100);
    assert!(story.board.revision() > after.revision);
    assert_eq!(after.lines[0].outcome, Outcome::InSync, "a picture that was taken stays as it was");
}

#[test]
fn calls_that_fail_again_and_again_are_one_event_with_their_number() {
    let mut story = Story::of(A);
    for at in [10, 20, 30] {
        story.step("a", &Answer::NotJournaled("disk full".to_owned()), at);
    }
    assert_eq!(story.line("a").last_change, None, "nothing was changed");
    story.step("a", &Answer::Done, 40);
    assert_eq!(story.history("a"), ["10-30 3x attach_policy: disk full", "40-40 1x attach_policy: done"]);
    let made = story.line("a").last_change.unwrap();
    assert_eq!((made.at, made.order.cause), (Time(40), Cause::File));
}

#[test]
fn twenty_events_are_kept_and_no_text_is_longer_than_a_paragraph() {
    let mut story = Story::of(A);
    for at in 0..50 {
        let outcome = if at % 2 == 0 { Outcome::InSync } else { waiting(Reason::Settling) };
        story.conclude("a", outcome, at);
    }
    let history = story.history("a");
    assert_eq!((history.len(), history[0].as_str()), (20, "30-30 1x in_sync"));
    story.step("a", &Answer::NotJournaled("é".repeat(1000)), 60);
    let last = story.history("a").pop().unwrap();
    assert!(last.len() < 300 && last.ends_with('…'), "{last}");
}

#[test]
fn the_digests_tell_by_which_file_a_function_was_looked_at_and_by_which_it_was_put_right() {
    let mut story = Story::of(&format!("{A}, {B}"));
    let first = story.desired.digest.clone();
    assert_eq!((story.line("a").attempted, story.line("a").applied), (None, None));
    story.conclude("a", waiting(Reason::Settling), 1);
    assert_eq!((story.line("a").attempted, story.line("a").applied), (Some(first.clone()), None));
    story.conclude("a", Outcome::InSync, 2);
    assert_eq!(story.line("a").applied, Some(first.clone()));

    // Another file that asks the same of it: it is as applied as before. Nobody has looked at `b` yet.
    story.edit(A, 3);
    let second = story.desired.digest.clone();
    assert_eq!((story.line("a").attempted, story.line("a").applied), (Some(second.clone()), Some(second.clone())));
    assert_eq!(story.line("b").attempted, None);

    // One that asks something else: not before it was looked at again.
    story.edit(A_OBSERVED, 4);
    assert_eq!((story.line("a").attempted, story.line("a").applied), (Some(second.clone()), Some(second.clone())));
    story.conclude("a", waiting(Reason::Observed), 5);
    let third = story.desired.digest.clone();
    assert_eq!((story.line("a").attempted, story.line("a").applied), (Some(third), Some(second)));
    assert_eq!(story.history("a").iter().filter(|event| event.ends_with("edited")).count(), 1);
}

#[test]
fn a_scope_tells_since_when_it_cannot_be_read_and_what_the_guard_holds() {
    let mut story = Story::of(&format!("{A}, {B}"));
    story.board.sweeping(Time(1));
    let why = Why::new(Reason::Unreachable, "one");
    story.board.swept(Duration::from_secs(1), Some(&why), Time(2));
    story.board.swept(Duration::from_secs(1), Some(&Why::new(Reason::Unreachable, "two")), Time(3));
    let line = story.board.scope();
    assert_eq!((line.sweeping, line.last_success), (None, None));
    assert_eq!(line.fault.as_ref().map(|(why, since)| (why.detail.as_str(), *since)), Some(("two", Time(2))));
    story.board.swept(Duration::from_secs(1), None, Time(4));
    assert_eq!((&story.board.scope().fault, story.board.scope().last_success), (&None, Some(Time(4))));

    story.conclude("a", waiting(Reason::GuardHolding), 5);
    story.conclude("b", waiting(Reason::GuardHolding), 5);
    story.conclude("b", Outcome::InSync, 6);
    assert_eq!(story.board.scope().held_by_guard, 1);
    story.board.released(&key("a").name);
    assert_eq!(story.board.scope().held_by_guard, 0);
}
