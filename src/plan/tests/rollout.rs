//! Who goes first: waves by VPC entry, and leaders for new pairs.

use super::*;

/// A file with this many functions, `f00` and so on, of which none is in the VPC `orders`; no interface is there yet.
pub(super) fn fleet(number: usize) -> Scene {
    let entries: String = (0..number).map(|i| format!("[[function]]\nname = 'f{i:02}'\nvpc = 'orders'\n")).collect();
    let text = format!(
        "defaults = {{ region = 'eu-west-1', account = '{ACCOUNT}' }}\n\
         vpc = [{{ name = 'orders', id = 'vpc-1' }}, {{ name = 'again', id = 'vpc-1' }}]\n{entries}"
    );
    let mut scene = Scene { desired: reading(&text), ..scene(ORDERS) };
    for i in 0..number {
        scene.add(&format!("f{i:02}"), "api");
    }
    scene.vpc().interfaces = Seen::Present(Interfaces::default());
    scene
}

impl Scene {
    pub(super) fn entry(&self, name: &str) -> Arc<Entry> {
        Arc::clone(self.desired.get(&key(name)).unwrap())
    }

    /// What a function waits for: none if it may go.
    fn waits(&self, name: &str) -> Option<String> {
        let entry = self.entry(name);
        let Verdict::Differs(change) = compare(&self.world(), &entry).verdict else { panic!("{name} does not differ") };
        let outcome = turn(&self.world(), &entry, &change)?;
        Some(format!("{} {}", told(&outcome, self.now), outcome.why().unwrap().detail).trim_end().to_owned())
    }

    /// Of these, the functions that may go now, one after the other, each with its place reserved.
    fn go(&mut self, names: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut gone = Vec::new();
        for name in names {
            let entry = self.entry(&name);
            let Verdict::Differs(change) = compare(&self.world(), &entry).verdict else { continue };
            match turn(&self.world(), &entry, &change) {
                Some(outcome) => self.memory.rollouts.concluded(&entry, &outcome, self.now),
                None => {
                    self.memory.rollouts.reserve(&entry, &change, self.now);
                    gone.push(name);
                }
            }
        }
        gone
    }

    fn concludes(&mut self, name: &str, outcome: &Outcome) {
        let entry = self.entry(name);
        if *outcome == Outcome::InSync {
            self.function(name).network = home();
        }
        self.memory.rollouts.concluded(&entry, outcome, self.now);
    }

    /// The update of this function is accepted.
    fn sends(&mut self, name: &str) {
        let step = Step::SetVpc { key: key(name), from: Arc::default(), to: home(), revision: None };
        self.answer(&step, Answer::Done);
    }
}

fn names(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|i| format!("f{i:02}")).collect()
}

/// The interfaces are there, so that nobody has to lead.
fn with_interfaces(number: usize) -> Scene {
    let mut scene = fleet(number);
    scene.vpc().interfaces = Seen::Present(home().pairs().collect());
    scene
}

#[test]
fn one_goes_first_then_ten_then_the_rest() {
    let mut scene = with_interfaces(30);
    assert_eq!(scene.go(names(0..30)), names(0..1));
    assert_eq!(scene.waits("f01").unwrap(), "waiting RolloutTurn `orders` wave 1, 1 of 1 in progress: f00");
    assert_eq!(scene.go(names(0..30)), names(0..1), "its place stays its own");
    scene.concludes("f00", &Outcome::InSync);
    assert_eq!(scene.go(names(0..30)), names(1..11));
    for name in names(1..10) {
        scene.concludes(&name, &Outcome::InSync);
        let waits = scene.waits("f11").unwrap();
        assert!(
            waits.starts_with("waiting RolloutTurn `orders` wave 2, "),
            "{name} is not the last of its wave: {waits}"
        );
    }
    scene.concludes("f10", &Outcome::InSync);
    assert_eq!(scene.go(names(0..30)), names(11..30));
}

#[test]
fn a_wave_in_which_something_is_blocked_stops_the_next_and_says_so() {
    let mut scene = with_interfaces(30);
    scene.go(names(0..30));
    scene.concludes("f00", &Outcome::InSync);
    scene.go(names(0..30));
    scene.concludes("f03", &Outcome::blocked(Reason::NetworkRefused, ""));
    for name in names(1..11).iter().filter(|name| *name != "f03") {
        scene.concludes(name, &Outcome::InSync);
    }
    assert_eq!(scene.go(names(4..30)), names(0..0));
    assert_eq!(scene.waits("f20").unwrap(), "waiting RolloutStopped f03: NetworkRefused");
    assert_eq!(scene.waits("f03"), None, "who is blocked may try again when that is due");
    scene.concludes("f03", &Outcome::InSync);
    assert_eq!(scene.go(names(4..30)), names(11..30));
}

#[test]
fn a_stopped_rollout_goes_on_when_the_one_that_failed_is_edited_or_taken_out_or_somebody_asks() {
    let undo: [fn(&mut Scene); 3] = [
        |scene| scene.memory.edited(&key("f00")),
        |scene| scene.memory.forget(&key("f00")),
        |scene| scene.memory.forget_refusals(),
    ];
    for undo in undo {
        let mut scene = with_interfaces(3);
        scene.go(names(0..3));
        scene.concludes("f00", &Outcome::blocked(Reason::NetworkRefused, ""));
        assert_eq!(scene.waits("f01").unwrap(), "waiting RolloutStopped f00: NetworkRefused");
        undo(&mut scene);
        assert_eq!(scene.go(names(1..3)), names(1..2), "again one goes first");
        assert!(scene.memory.moved(scene.now), "nobody would be woken");
    }
}

#[test]
fn a_function_with_a_trouble_of_its_own_is_replaced_after_a_pause_that_grows_until_one_arrives() {
    let mut scene = with_interfaces(30);
    for (number, pause) in [1, 2, 4, 8, 16, 32, 60, 60].into_iter().enumerate() {
        let name = &names(number..number + 1)[0];
        assert_eq!(scene.go(names(number..30)), std::slice::from_ref(name), "one goes first");
        scene.concludes(name, &Outcome::blocked(Reason::PolicyQuota, ""));
        let next = &names(number + 1..number + 2)[0];
        let waits = scene.waits(next).unwrap();
        assert_eq!(
            waits,
            format!("waiting RolloutTurn for {pause}s `orders` pauses after a function with trouble of its own")
        );
        assert_eq!(scene.memory.next_expiry(), Some(scene.now + seconds(pause)));
        scene.concludes(next, &Outcome::waiting(Reason::RolloutTurn, ""));
        scene.memory.moved(scene.now);
        scene.wait(pause);
        assert!(scene.memory.moved(scene.now), "nobody would be woken");
        assert!(!scene.memory.moved(scene.now), "it is told once");
    }
    assert_eq!(scene.go(names(8..30)), names(8..9));
    scene.concludes("f08", &Outcome::InSync);
    assert_eq!(scene.go(names(9..30)), names(9..19), "the network is right: the next wave goes");
    scene.concludes("f09", &Outcome::blocked(Reason::PolicyQuota, ""));
    assert_eq!(scene.go(names(19..30)), names(19..20), "another one goes in its place, at once");
}

#[test]
fn every_reason_that_is_not_the_networks_own_lets_the_others_go_on() {
    for reason in Reason::ALL.iter().filter(|reason| reason.state() == State::Blocked) {
        let mut scene = with_interfaces(3);
        scene.go(names(0..1));
        scene.concludes("f01", &Outcome::waiting(Reason::RolloutTurn, ""));
        scene.concludes("f00", &Outcome::blocked(*reason, ""));
        scene.wait(1);
        let gone = scene.go(names(1..3));
        assert_eq!(gone.is_empty(), reason.stops_others(), "{reason:?}");
    }
}

#[test]
fn what_says_nothing_about_the_vpc_stops_nobody() {
    let observed = || Outcome::waiting(Reason::Observed, "");
    let denied = || Outcome::Retry { why: Why::new(Reason::AccessDenied, ""), after: None };
    for outcome in [
        Outcome::blocked(Reason::FunctionNotFound, ""),
        Outcome::blocked(Reason::Flapping, ""),
        Outcome::blocked(Reason::RuntimeRetired, ""),
        Outcome::waiting(Reason::Settling, ""),
        observed(),
        denied(),
    ] {
        let mut scene = with_interfaces(3);
        scene.go(names(0..3));
        scene.concludes("f00", &outcome);
        assert_eq!(scene.go(names(1..3)), names(1..2), "{outcome:?}");
    }
}

#[test]
fn what_is_still_going_on_holds_up_the_next_wave() {
    let throttled = || Outcome::Retry { why: Why::new(Reason::Throttled, ""), after: None };
    for outcome in [
        Outcome::waiting(Reason::UpdateInProgress, ""),
        Outcome::waiting(Reason::RolePropagation, ""),
        Outcome::waiting(Reason::PolicyNeeded, ""),
        throttled(),
    ] {
        let mut scene = with_interfaces(3);
        scene.go(names(0..3));
        scene.concludes("f00", &outcome);
        assert_eq!(scene.go(names(1..3)), names(0..0), "{outcome:?}");
    }
}

#[test]
fn a_rollout_that_is_over_leaves_nothing_behind() {
    let mut scene = with_interfaces(13);
    scene.go(names(0..1));
    scene.concludes("f00", &Outcome::InSync);
    assert_eq!(scene.go(names(1..13)), names(1..2), "the next one begins with one again");
    scene.concludes("f01", &Outcome::InSync);
    for name in names(2..13) {
        scene.concludes(&name, &Outcome::InSync);
    }
    assert!(scene.memory.rollouts.waiting().next().is_none());
}

#[test]
fn functions_that_are_to_leave_their_vpc_are_a_group_of_their_own() {
    let mut scene =
        scene("vpc = 'none'\n[[function]]\nname = 'b'\nvpc = 'none'\n[[function]]\nname = 'c'\nvpc = 'orders'");
    scene.function("api").network = home();
    scene.function("b").network = home();
    let of = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(scene.go(of(&["api", "b", "c"])), of(&["api", "c"]));
}

#[test]
fn of_those_that_need_the_same_new_pair_one_leads() {
    let mut scene = fleet(12);
    scene.go(names(0..12));
    scene.sends("f00");
    scene.concludes("f00", &Outcome::InSync);
    // The pair did not come about: f00 was in sync for another reason.
    assert_eq!(scene.go(names(1..12)), names(1..2));
    assert_eq!(scene.waits("f02").unwrap(), "waiting PairLead f01");
    scene.sends("f01");
    scene.wait(300);
    assert_eq!(scene.waits("f02").unwrap(), "waiting PairLead f01");
    let mut arrived = scene.function("f01").clone();
    arrived.network = home();
    scene.memory.looked(&key("f01"), &arrived, scene.now);
    scene.concludes("f01", &Outcome::InSync);
    assert_eq!(scene.go(names(2..12)), names(2..11), "the pair is there, and nobody leads any more");
}

#[test]
fn a_leader_that_is_blocked_or_refused_for_long_or_not_heard_of_is_replaced() {
    let wave_of_ten = || {
        let mut scene = fleet(12);
        scene.go(names(0..1));
        scene.concludes("f01", &Outcome::waiting(Reason::RolloutTurn, ""));
        scene.concludes("f00", &Outcome::InSync);
        assert_eq!(scene.go(names(1..12)), names(1..2));
        scene
    };
    let mut blocked = wave_of_ten();
    blocked.concludes("f01", &Outcome::blocked(Reason::NoFreeAddress, ""));
    assert_eq!(blocked.go(names(2..12)), names(2..3));

    let mut silent = wave_of_ten();
    silent.sends("f01");
    assert!(silent.memory.moved(silent.now), "f00 has arrived");
    assert!(!silent.memory.moved(silent.now), "it is told once");
    silent.wait(599);
    assert_eq!(silent.waits("f02").unwrap(), "waiting PairLead f01");
    silent.wait(1);
    assert_eq!(silent.memory.next_expiry(), Some(silent.now));
    assert!(silent.memory.moved(silent.now), "nobody would be woken");
    assert_eq!(silent.go(names(2..12)), names(2..3));

    let mut refused = wave_of_ten();
    let step = Step::SetVpc { key: key("f01"), from: Arc::default(), to: home(), revision: None };
    refused.answer(&step, failed(Class::RoleDenied));
    refused.wait(29);
    refused.answer(&step, failed(Class::RoleDenied));
    assert_eq!(refused.waits("f02").unwrap(), "waiting PairLead f01");
    refused.wait(1);
    assert_eq!(refused.go(names(2..12)), names(2..3));

    let mut reserved = wave_of_ten();
    reserved.wait(60);
    assert_eq!(reserved.go(names(2..12)), names(2..3), "it never sent anything");
}

#[test]
fn a_leader_whose_answer_was_lost_goes_on_leading_for_a_while() {
    let mut scene = fleet(3);
    scene.sends("f00");
    let step = Step::SetVpc { key: key("f00"), from: Arc::default(), to: home(), revision: None };
    scene.answer(&step, Answer::Failed(CloudError { status: None, ..error(Class::Unreachable) }));
    assert_eq!(scene.waits("f01").unwrap(), "waiting PairLead f00", "it may have been carried out");
    scene.answer(&step, Answer::Failed(CloudError { status: Some(500), ..error(Class::Server) }));
    assert_eq!(scene.waits("f01"), None);
}

/// Updates of these functions to these networks have come to a good end.
fn arrive(scene: &mut Scene, name: &str, network: &Arc<Network>) {
    let arrived = Function { network: network.clone(), ..scene.function(name).clone() };
    scene.memory.looked(&key(name), &arrived, scene.now);
}

#[test]
fn a_pair_that_came_about_is_remembered_for_an_hour_whatever_else_comes_about() {
    let mut scene = fleet(3);
    arrive(&mut scene, "f00", &home());
    scene.wait(10);
    arrive(&mut scene, "f01", &network(&["subnet-public"], &["sg-lambda"]));
    let new_pairs = |scene: &Scene| compare(&scene.world(), &scene.entry("f02")).new_pairs.len();
    assert_eq!(new_pairs(&scene), 0);
    scene.wait(3589);
    assert_eq!(new_pairs(&scene), 0);
    scene.wait(1);
    assert_eq!(new_pairs(&scene), 2, "the sweeps tell now");
}

#[test]
fn where_a_lead_ends_others_are_woken() {
    let mut scene = fleet(3);
    arrive(&mut scene, "f01", &home());
    assert!(!scene.memory.moved(scene.now), "it led nothing");
    scene.sends("f00");
    arrive(&mut scene, "f00", &home());
    assert!(scene.memory.moved(scene.now));
}

/// Those that wait for others.
fn waiting(scene: &Scene) -> Vec<&str> {
    scene.memory.rollouts.waiting().map(FunctionName::as_str).collect()
}

#[test]
fn those_that_wait_are_known_and_those_that_the_guard_holds_are_not_among_them() {
    let mut scene = with_interfaces(4);
    scene.go(names(0..3));
    assert_eq!(waiting(&scene), ["f01", "f02"]);
    scene.concludes("f01", &Outcome::waiting(Reason::GuardHolding, ""));
    assert_eq!(waiting(&scene), ["f02"]);
    scene.concludes("f02", &Outcome::waiting(Reason::UpdateInProgress, ""));
    assert_eq!(waiting(&scene), [""; 0], "it is under way");
}

#[test]
fn a_function_that_leaves_its_rollout_leaves_the_rollout_to_the_others() {
    let mut scene = with_interfaces(4);
    scene.go(names(0..3));
    scene.memory.forget(&key("f02"));
    assert_eq!(
        scene.waits("f03").unwrap(),
        "waiting RolloutTurn `orders` wave 1, 1 of 1 in progress: f00",
        "f00 still goes first"
    );
}

#[test]
fn asking_to_try_again_wakes_where_something_has_failed_and_nowhere_else() {
    let mut scene = with_interfaces(3);
    scene.go(names(0..3));
    scene.memory.moved(scene.now);
    scene.memory.forget_refusals();
    assert!(!scene.memory.moved(scene.now), "nothing has failed");
    scene.concludes("f00", &Outcome::blocked(Reason::NetworkRefused, ""));
    scene.memory.moved(scene.now);
    scene.memory.forget_refusals();
    assert!(scene.memory.moved(scene.now));
}

#[test]
fn a_policy_is_attached_without_waiting_for_a_leader() {
    let mut scene = fleet(3);
    scene.sends("f00");
    assert_eq!(scene.waits("f01").unwrap(), "waiting PairLead f00");
    *scene.role() = RoleFacts { attached: BTreeSet::new(), ..role_facts() };
    let simulation = Some(Simulation { said: Simulated::Missing, at: NOW });
    scene.role().simulation = simulation;
    assert_eq!(scene.waits("f01"), None);
}

#[test]
fn an_update_that_was_found_under_way_leads_although_this_process_did_not_begin_it() {
    let mut scene = fleet(3);
    let mut found = scene.function("f02").clone();
    (found.network, found.modified) = (home(), Some(ago(60)));
    scene.memory.rollouts.may_lead(&key("f02").name, &found, NOW);
    assert_eq!(scene.waits("f00").unwrap(), "waiting PairLead f02");
    found.life = Some(Box::new(Life { state: Lambda::Active, update: Update::Successful }));
    scene.memory.looked(&key("f02"), &found, NOW);
    assert_eq!(scene.waits("f00"), None);
    let Verdict::Differs(_) = compare(&scene.world(), &scene.entry("f00")).verdict else { panic!() };
    assert!(compare(&scene.world(), &scene.entry("f00")).new_pairs.is_empty(), "its interfaces are there");
}

#[test]
fn a_pair_whose_interface_is_there_needs_no_leader() {
    let mut scene = with_interfaces(2);
    scene.sends("f00");
    assert_eq!(scene.waits("f01"), None);
    scene.vpc().interfaces = Seen::Unknown(Fault::Unread);
    assert_eq!(scene.waits("f01").unwrap(), "waiting PairLead f00", "nobody can say, so one goes first");
}
