//! What no person has looked at, a little at a time.

use super::rollout::fleet;
use super::*;

/// A fleet with a guard, in a process that has been there for hours.
pub(super) fn guarded(functions: usize, max_changes: usize, max_change_percent: usize) -> Scene {
    let mut scene = fleet(functions);
    scene.limits.guard = Some(GuardLimits { max_changes, max_change_percent, approved: Vec::new() });
    scene.memory.guard.begins(&[], ago(2 * 3600));
    scene
}

fn named(number: usize) -> String {
    format!("f{number:02}")
}

impl Scene {
    pub(super) fn change_of(&self, name: &str) -> Change {
        match compare(&self.world(), &self.entry(name)).verdict {
            Verdict::Differs(change) => change,
            other => panic!("{name}: {other:?}"),
        }
    }

    /// What keeps a function from being changed, if anything does.
    pub(super) fn gated(&self, name: &str) -> Option<String> {
        let outcome = gate(&self.world(), &self.entry(name), &self.change_of(name))?;
        Some(format!("{} {}", told(&outcome, self.now), outcome.why().unwrap().detail))
    }

    pub(super) fn takes_in_hand(&mut self, name: &str) {
        let (entry, change) = (self.entry(name), self.change_of(name));
        self.memory.reserve(&entry, &change, self.now);
    }

    /// A call is made for each of these.
    pub(super) fn changes(&mut self, names: impl IntoIterator<Item = usize>) {
        for number in names {
            let name = named(number);
            self.takes_in_hand(&name);
            let step = Step::SetVpc { key: key(&name), from: Arc::default(), to: home(), revision: None };
            self.answer(&step, Answer::Done);
        }
    }

    /// These functions were in sync by their entries as they stand, in this network.
    fn were_in(&mut self, network: &Arc<Network>, names: impl IntoIterator<Item = usize>) {
        for number in names {
            let entry = self.entry(&named(number));
            self.memory.agreed(&entry, network);
        }
    }

    fn changed(&self, cause: Cause) -> usize {
        let limits = self.limits.guard.as_ref().unwrap();
        let budgets = self.memory.guard.budgets(limits, self.desired.entries.len(), self.now);
        budgets.into_iter().find(|budget| budget.cause == cause).unwrap().changed
    }

    /// A process that begins now, with what the record of the one before says.
    fn restarts(&mut self, record: Option<ScopeRecord>) {
        self.memory = Memory::default();
        self.memory.guard.begins(&[], self.now);
        self.memory.recall(&scope(), record, self.now);
    }

    fn record(&self) -> ScopeRecord {
        let record = self.memory.record(&scope(), &self.desired, self.now);
        ScopeRecord::parse(&record.text().unwrap(), &scope()).unwrap()
    }

    pub(super) fn ends(&mut self, name: &str, outcome: &Outcome) {
        let entry = self.entry(name);
        self.memory.concluded(&entry, outcome, self.now);
    }
}

const HELD: &str = "waiting GuardHolding 10 an hour in 123456789012/eu-west-1 for edits of the file";
const OF_THE_VPC: &str = "waiting GuardHolding 10 an hour in 123456789012/eu-west-1 for changes of the VPC";

#[test]
fn so_many_functions_an_hour_and_one_that_was_counted_goes_on() {
    let mut scene = guarded(12, 50, 30);
    scene.changes(0..9);
    assert_eq!(scene.gated("f11"), None);
    scene.changes([9]);
    assert_eq!(scene.gated("f11").as_deref(), Some(HELD));
    assert_eq!(scene.gated("f03"), None, "it is being changed already");
    scene.wait(3599);
    assert_eq!(scene.gated("f11").as_deref(), Some(HELD));
    scene.wait(1);
    assert_eq!(scene.gated("f11"), None);
}

#[test]
fn a_function_that_is_changed_again_an_hour_later_counts_again() {
    let mut scene = guarded(12, 50, 30);
    scene.changes(0..10);
    scene.wait(3600);
    scene.changes(0..10);
    assert_eq!(scene.gated("f11").as_deref(), Some(HELD));
    scene.wait(3599);
    assert_eq!(scene.gated("f11").as_deref(), Some(HELD));
}

#[test]
fn a_place_that_came_to_nothing_is_free_again() {
    let not_recorded = |scene: &mut Scene| {
        scene.changes([10]);
        let step = Step::SetVpc { key: key("f10"), from: Arc::default(), to: home(), revision: None };
        scene.memory.answered(&step, None, &Answer::NotJournaled("disk full".to_owned()), scene.now);
        scene.ends("f10", &Outcome::blocked(Reason::NotJournaled, "disk full"));
    };
    type Way = fn(&mut Scene);
    let ways: [(&str, Way); 4] = [
        ("nothing is to be done now", |scene| {
            scene.takes_in_hand("f10");
            scene.ends("f10", &Outcome::waiting(Reason::Settling, ""));
        }),
        ("its entry is another one", |scene| {
            scene.takes_in_hand("f10");
            scene.memory.edited(&key("f10"));
        }),
        ("it left the file", |scene| {
            scene.takes_in_hand("f10");
            scene.memory.forget(&key("f10"));
        }),
        ("its call could not be recorded", not_recorded),
    ];
    for (way, comes_to_nothing) in ways {
        let mut scene = guarded(12, 50, 30);
        scene.changes(0..9);
        scene.takes_in_hand("f10");
        assert_eq!(scene.gated("f11").as_deref(), Some(HELD));
        scene.ends("f10", &Outcome::waiting(Reason::Settling, ""));
        comes_to_nothing(&mut scene);
        assert_eq!(scene.gated("f11"), None, "{way}");
        // What was done is not undone by its end.
        scene.changes([10]);
        scene.ends("f10", &Outcome::InSync);
        scene.memory.forget(&key("f10"));
        assert_eq!(scene.gated("f11").as_deref(), Some(HELD), "{way}");
    }
}

#[test]
fn what_is_reserved_for_hours_counts_when_it_is_changed() {
    let mut scene = guarded(12, 50, 30);
    for number in 0..10 {
        scene.takes_in_hand(&named(number));
    }
    scene.wait(3 * 3600);
    assert_eq!(scene.gated("f11").as_deref(), Some(HELD));
    scene.changes(0..10);
    scene.wait(3599);
    assert_eq!(scene.gated("f11").as_deref(), Some(HELD));
}

#[test]
fn the_allowance_is_the_smaller_of_number_and_share_and_never_less_than_ten() {
    for (listed, max_changes, max_change_percent, expected) in [
        (0, 50, 30, 10),
        (33, 50, 30, 10),
        (40, 50, 30, 12),
        (1000, 50, 30, 50),
        (1000, 500, 30, 300),
        (20, 50, 100, 20),
    ] {
        let limits = GuardLimits { max_changes, max_change_percent, approved: Vec::new() };
        assert_eq!(limits.allowance(listed), expected, "{listed} listed");
    }
}

#[test]
fn where_every_function_may_be_changed_in_an_hour_there_is_nothing_to_count() {
    for (functions, max_changes, max_change_percent) in [(12, 50, 100), (10, 0, 0)] {
        let mut scene = guarded(functions, max_changes, max_change_percent);
        // Nor does it matter what nobody knows.
        scene.memory.guard = Ledger::default();
        scene.memory.guard.begins(&[], scene.now);
        scene.changes(0..functions);
        for subnet in ["c", "d", "e"] {
            scene.vpc().subnets.push(self::subnet(subnet, false));
            assert_eq!(scene.change_of("f09").cause, Cause::File);
            assert_eq!(scene.gated("f09"), None, "{functions} functions");
            scene.changes([9]);
        }
    }
}

/// Twelve functions of each cause: edits, repairs of f12 and on, changes of the VPC from f24.
fn of_each_cause() -> Scene {
    let mut scene = guarded(36, 10, 100);
    scene.were_in(&home(), 12..24);
    scene.were_in(&network(&["subnet-a"], &["sg-default"]), 24..36);
    for (number, cause) in [(0, Cause::File), (12, Cause::Live), (24, Cause::Network)] {
        assert_eq!(scene.change_of(&named(number)).cause, cause);
    }
    scene
}

#[test]
fn no_cause_uses_up_what_another_has() {
    const FIRST: [usize; 3] = [0, 12, 24];
    for (used_up, words) in
        FIRST.into_iter().zip(["edits of the file", "repairs of what others changed", "changes of the VPC"])
    {
        let mut scene = of_each_cause();
        scene.changes(used_up..used_up + 10);
        for first in FIRST {
            let held = scene.gated(&named(first + 11));
            let expected = (first == used_up)
                .then(|| format!("waiting GuardHolding 10 an hour in 123456789012/eu-west-1 for {words}"));
            assert_eq!(held, expected, "{used_up} is used up, {first} is asked");
        }
    }
}

#[test]
fn of_changes_that_the_network_caused_never_more_than_ten() {
    let mut scene = guarded(40, 50, 100);
    scene.were_in(&network(&["subnet-a"], &["sg-default"]), 0..40);
    scene.changes(0..9);
    assert_eq!(scene.gated("f11"), None);
    scene.changes([9]);
    assert_eq!(scene.gated("f11").as_deref(), Some(OF_THE_VPC));
    // A change that has another cause still passes.
    scene.memory.forget(&key("f12"));
    assert_eq!(scene.change_of("f12").cause, Cause::File);
    assert_eq!(scene.gated("f12"), None);
}

#[test]
fn a_counted_function_goes_where_it_is_going_or_back_and_an_edit_may_be_corrected_once() {
    let mut scene = guarded(12, 50, 30);
    let places = |scene: &Scene| (scene.changed(Cause::File), scene.changed(Cause::Network));
    let elsewhere = |scene: &mut Scene, subnets: &[&str]| {
        scene.vpc().subnets = subnets.iter().map(|name| subnet(name, false)).collect();
    };
    scene.changes([0]);
    assert_eq!(places(&scene), (1, 0));
    scene.function("f00").network = home();
    elsewhere(&mut scene, &["c"]);
    scene.changes([0]);
    assert_eq!(places(&scene), (1, 0), "a correction");
    scene.function("f00").network = network(&["subnet-c"], &["sg-default"]);
    elsewhere(&mut scene, &["a", "b"]);
    scene.changes([0]);
    assert_eq!(places(&scene), (1, 0), "where it was before");
    elsewhere(&mut scene, &["d"]);
    scene.changes([0]);
    assert_eq!(places(&scene), (2, 0), "again and again counts again");
    // What nobody edited is not corrected.
    scene.memory.agreed(&scene.entry("f00"), &network(&["subnet-d"], &["sg-default"]));
    elsewhere(&mut scene, &["e"]);
    scene.changes([0]);
    assert_eq!(places(&scene), (2, 1));
    elsewhere(&mut scene, &["f"]);
    scene.changes([0]);
    assert_eq!(places(&scene), (2, 2));
}

#[test]
fn an_hour_that_nobody_knows_counts_as_used() {
    let mut scene = guarded(100, 50, 30);
    scene.restarts(None);
    scene.changes(0..10);
    let held = scene.gated("f11").unwrap();
    for part in
        [HELD, "until 2027-01-15T09:00:00Z", "no record says what was changed before", "`state` in the settings"]
    {
        assert!(held.contains(part), "{held}");
    }
    scene.wait(3599);
    assert!(scene.gated("f11").is_some());
    scene.wait(1);
    scene.changes(10..40);
    assert_eq!(
        scene.gated("f50").as_deref(),
        Some(HELD.replace("10 an", "30 an").as_str()),
        "from then on it is known"
    );
}

#[test]
fn what_somebody_changed_in_an_hour_that_nobody_knows_counts_if_it_may_have_been_this_controller() {
    let attached = network(&["subnet-a"], &["sg-default"]);
    let recent: Option<u64> = Some(60);
    for (changed_before, network, entry, known, counts) in [
        (recent, &attached, "f00", false, true),
        (Some(3599), &attached, "f00", false, true),
        (Some(3600), &attached, "f00", false, false),
        (None, &attached, "f00", false, false),
        // Never attached by anybody; but this controller may have taken it out of its VPC if it is to be in none.
        (recent, &Arc::default(), "f00", false, false),
        (recent, &Arc::default(), "out", false, true),
        // What is recorded is known, and nothing else was done.
        (recent, &attached, "f00", true, false),
    ] {
        let mut scene = guarded(12, 50, 30);
        scene.restarts(None);
        if known {
            scene.memory.guard = Ledger::default();
            scene.memory.guard.begins(&[], ago(3600));
        }
        let entry = match entry {
            "out" => Arc::clone(desired("vpc = 'none'").get(&key("api")).unwrap()),
            name => scene.entry(name),
        };
        let changed = Function {
            modified: changed_before.map(ago),
            network: Arc::clone(network),
            ..function("f00", role_arn("api"))
        };
        for _ in 0..2 {
            scene.memory.guard.perhaps_ours(&entry, &changed, scene.now);
        }
        let expected = usize::from(counts);
        for cause in Cause::ALL {
            assert_eq!(scene.changed(cause), expected, "{changed_before:?} {network:?} {known} {cause:?}");
        }
        if counts && entry.key.name.as_str() == "f00" {
            assert_eq!(scene.gated("f00"), None, "one counts, ten pass");
            scene.changes([0]);
            assert_eq!(scene.changed(Cause::File), 1, "it is no more than one function");
        }
    }
}

#[test]
fn with_a_record_exactly_what_is_left_passes() {
    let mut scene = guarded(100, 50, 30);
    scene.changes(0..12);
    // One of them is about to be changed.
    scene.takes_in_hand("f12");
    scene.wait(600);
    let record = scene.record();
    scene.restarts(Some(record.clone()));
    assert_eq!(scene.changed(Cause::File), 13);
    assert_eq!(scene.gated("f03"), None, "it goes on");
    scene.changes(20..37);
    assert_eq!(scene.gated("f50").as_deref(), Some(HELD.replace("10 an", "30 an").as_str()));
    // Of the twelve the hour is over fifty minutes later; of the one that was about to be changed it is not.
    scene.restarts(Some(record.clone()));
    scene.wait(3000);
    assert_eq!(scene.changed(Cause::File), 1);
    // It is the same record that goes from process to process.
    scene.restarts(Some(scene.record()));
    scene.restarts(Some(scene.record()));
    assert_eq!(scene.changed(Cause::File), 1);
    assert!(scene.memory.guard.unknown_until(scene.now).is_none());
}

#[test]
fn a_record_of_a_process_that_knew_too_little_does_not_know_more() {
    let mut scene = guarded(100, 50, 30);
    scene.restarts(None);
    scene.changes(0..10);
    for _ in 0..3 {
        scene.wait(600);
        let record = scene.record();
        scene.restarts(Some(record));
        assert!(scene.gated("f11").unwrap().contains("until 2027-01-15T09:00:00Z"));
    }
}

#[test]
fn a_clock_that_was_set_back_makes_no_hour_longer_than_an_hour() {
    let mut scene = guarded(12, 50, 30);
    scene.changes(0..10);
    let record = scene.record();
    scene.now = ago(5 * 3600);
    scene.restarts(Some(record));
    assert_eq!(scene.changed(Cause::File), 10);
    scene.wait(3600);
    assert_eq!(scene.changed(Cause::File), 0);
}
