//! What no person has looked at, a little at a time.

use super::rollout::fleet;
use super::*;

fn guarded(functions: usize, max_changes: usize, max_change_percent: usize) -> Scene {
    let mut scene = fleet(functions);
    scene.limits.guard = Some(GuardLimits { max_changes, max_change_percent, approved: Vec::new() });
    scene
}

impl Scene {
    fn change_of(&self, name: &str) -> Change {
        match compare(&self.world(), &self.entry(name)).verdict {
            Verdict::Differs(change) => change,
            other => panic!("{name}: {other:?}"),
        }
    }

    /// What keeps a function from being changed, if anything does.
    fn gated(&self, name: &str) -> Option<String> {
        let outcome = gate(&self.world(), &self.entry(name), &self.change_of(name))?;
        Some(format!("{} {}", told(&outcome, self.now), outcome.why().unwrap().detail))
    }

    fn takes_in_hand(&mut self, name: &str) {
        let (entry, change) = (self.entry(name), self.change_of(name));
        self.memory.reserve(&entry, &change, self.now);
    }

    /// A call is made for each of these.
    fn changes(&mut self, names: impl IntoIterator<Item = usize>) {
        for number in names {
            let name = format!("f{number:02}");
            self.takes_in_hand(&name);
            let step = Step::SetVpc { key: key(&name), from: Arc::default(), to: home(), revision: None };
            self.memory.begin(&step);
        }
    }

    fn ends(&mut self, name: &str, outcome: &Outcome) {
        let entry = self.entry(name);
        self.memory.concluded(&entry, outcome);
    }
}

const HELD: &str = "waiting GuardHolding 10 an hour in 123456789012/eu-west-1";

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
    let mut scene = guarded(12, 50, 30);
    scene.changes(0..9);
    scene.takes_in_hand("f10");
    assert_eq!(scene.gated("f11").as_deref(), Some(HELD));
    scene.ends("f10", &Outcome::waiting(Reason::Settling, ""));
    assert_eq!(scene.gated("f11"), None);
    // What was done is not undone by its end.
    scene.changes([10]);
    scene.ends("f10", &Outcome::InSync);
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
fn of_changes_that_the_network_caused_never_more_than_ten() {
    let mut scene = guarded(40, 50, 100);
    for number in 0..40 {
        // Each was in sync with another network before, and its entry is the same.
        let entry = scene.entry(&format!("f{number:02}"));
        scene.memory.agreed(&entry, &network(&["subnet-a"], &["sg-default"]));
    }
    assert_eq!(scene.change_of("f00").cause, Cause::Network);
    scene.changes(0..9);
    assert_eq!(scene.gated("f11"), None);
    scene.changes([9]);
    assert_eq!(scene.gated("f11").as_deref(), Some(format!("{HELD} for changes of the VPC").as_str()));
    // A change that has another cause still passes.
    scene.memory.forget(&key("f12"));
    assert_eq!(scene.change_of("f12").cause, Cause::File);
    assert_eq!(scene.gated("f12"), None);
}

#[test]
fn an_approval_is_good_for_its_plan_once_and_counts_for_nothing_else() {
    let mut scene = guarded(12, 50, 30);
    scene.changes(0..10);
    let plan = plan(&scene.world());
    let ids = |id: &Digest| vec![id.short().to_owned()];
    assert!(!scene.memory.guard.approve(&plan, &ids(&Digest::of(b"other"))));
    assert_eq!(scene.gated("f11").as_deref(), Some(HELD));
    let approved = ids(&plan.id);
    assert!(scene.memory.guard.awaits(&approved));
    assert!(scene.memory.guard.approve(&plan, &approved));
    assert!(!scene.memory.guard.awaits(&approved), "it is spent");
    assert!(!scene.memory.guard.approve(&plan, &approved));
    assert_eq!((scene.gated("f10"), scene.gated("f11")), (None, None));
    scene.ends("f11", &Outcome::InSync);
    assert_eq!(scene.gated("f11").as_deref(), Some(HELD), "what was agreed to has come about");
    scene.memory.edited(&key("f10"));
    assert_eq!(scene.gated("f10").as_deref(), Some(HELD), "this entry nobody has looked at");
}

#[test]
fn what_was_changed_shortly_before_the_start_may_have_been_our_doing() {
    let mut scene = guarded(12, 50, 30);
    let now = scene.now;
    for number in 0..10 {
        let changed = ago(if number == 0 { 3600 } else { 3599 });
        scene.memory.guard.changed_before(&key(&format!("f{number:02}")), changed, now);
    }
    assert_eq!(scene.gated("f11"), None, "one of them is an hour ago");
    scene.memory.guard.changed_before(&key("f10"), ago(60), now);
    assert_eq!(scene.gated("f11").as_deref(), Some(HELD));
}
