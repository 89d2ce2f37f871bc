//! The plan as a whole: its lines, its id, and for whom it is made.

use super::*;

#[test]
fn a_plan_tells_of_every_function_in_the_order_of_the_file() {
    let mut scene = scene(
        "vpc = 'orders'\n[[function]]\nname = 'b'\nvpc = 'orders'\nmode = 'observe'\n\
         [[function]]\nname = 'a'\nvpc = 'none'\n[[function]]\nname = 'gone'\nvpc = 'orders'",
    );
    let gone = FunctionName::parse("gone").unwrap();
    scene.swept().functions.insert(gone, Seen::Absent);
    let plan = plan(&scene.world());
    let lines: Vec<String> = plan
        .lines
        .iter()
        .map(|line| {
            let outcome = line.outcome().map_or("goes on".to_owned(), |outcome| told(outcome, NOW));
            let changes = if line.change().is_some() { ", differs" } else { "" };
            format!("{}: {outcome}{changes}", line.entry.key.name)
        })
        .collect();
    assert_eq!(
        lines,
        ["api: goes on, differs", "b: waiting Observed, differs", "a: in sync", "gone: blocked FunctionNotFound",]
    );
}

#[test]
fn the_id_of_a_plan_changes_with_what_it_would_do_and_with_what_was_before() {
    let id = |scene: &Scene| plan(&scene.world()).id;
    let first = scene(ORDERS);
    assert_eq!(id(&first), id(&scene(ORDERS)));
    let mut before = scene(ORDERS);
    before.api().network = network(&["subnet-x"], &["sg-x"]);
    let mut after = scene(ORDERS);
    after.vpc().subnets.push(subnet("c", false));
    let mut attach = scene(ORDERS);
    attach.without_policy(Some(Simulated::Missing));
    let mut nothing = scene(ORDERS);
    nothing.at_home();
    let ids: BTreeSet<Digest> = [&first, &before, &after, &attach, &nothing].map(id).into_iter().collect();
    assert_eq!(ids.len(), 5);
    // What makes no difference to what would be done makes none to the id.
    let mut later = scene(ORDERS);
    later.wait(3600);
    later.api().revision = Some(RevisionId::parse("r2").unwrap());
    assert_eq!(id(&first), id(&later));
}

#[test]
fn a_step_goes_by_its_name_in_metrics_logs_and_the_audit() {
    assert_eq!((attach_step().name(), set_step().name()), ("attach_policy", "set_vpc"));
}

#[test]
fn a_person_who_sees_the_plan_needs_neither_a_stated_account_nor_time_to_settle() {
    let settings = crate::settings::Settings::new(&crate::settings::Overrides::default());
    let (daemon, person) = (Limits::of(&settings), Limits::attended(&settings));
    assert_eq!((daemon.settle, daemon.writable), (settings.settle, Writable::Stated));
    assert_eq!((person.settle, person.writable), (Duration::ZERO, Writable::Shown));
    assert_eq!((daemon.guard.is_some(), person.guard), (true, None));
    assert!(!person.allow_detach, "what the settings forbid is forbidden to persons too");
}
