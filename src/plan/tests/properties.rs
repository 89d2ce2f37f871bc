//! What holds in every world: many small ones, made from a row of throws.

use crate::cloud::Simulated;
use crate::live::{Asked, Simulation};
use proptest::prelude::*;

use super::*;
use crate::cloud::Failure;

/// Gives one throw after the other; when there are none left, always the first side.
struct Dice<'a>(std::slice::Iter<'a, u8>);

impl Dice<'_> {
    /// A number below `sides`.
    fn throw(&mut self, sides: u8) -> u8 {
        self.0.next().map_or(0, |throw| throw % sides)
    }

    fn one_of<T: Clone>(&mut self, sides: &[T]) -> T {
        sides[usize::from(self.throw(u8::try_from(sides.len()).unwrap()))].clone()
    }

    /// One time in eight.
    fn rarely(&mut self) -> bool {
        self.throw(8) == 7
    }
}

/// A world takes about eighty; fewer make one that is plain towards its end.
fn throws() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..160)
}

const NAMES: [&str; 3] = ["api", "b", "c"];
const OTHER_POLICY: &str = "arn:aws:iam::aws:policy/Other";

fn entry(dice: &mut Dice<'_>) -> String {
    let vpc = dice.one_of(&["orders", "vpc-1", "none"]);
    let attach = dice.one_of(&["when-needed", "always", "never"]);
    let mode = dice.one_of(&["", "", "", "mode = 'observe'", "mode = 'observe'\nuntil = 2027-01-15T07:00:00Z"]);
    let both = format!("policies = ['{OTHER_POLICY}', '{POLICY}']");
    let policies = dice.one_of(&["", "", &both]);
    format!("vpc = '{vpc}'\nattach_policy = '{attach}'\n{mode}\n{policies}\n")
}

fn world(dice: &mut Dice<'_>) -> Scene {
    let first = entry(dice);
    let others: String =
        NAMES[1..].iter().map(|name| format!("[[function]]\nname = '{name}'\n{}", entry(dice))).collect();
    let mut scene = scene(&format!("{first}{others}"));
    for name in NAMES {
        let role = dice.one_of(&NAMES);
        scene.add(name, role);
        live(scene.function(name), dice);
    }
    for seen in scene.facts.roles.values_mut() {
        *seen = role(dice);
    }
    for subnet in &mut scene.vpc().subnets {
        subnet.subnet.available = !dice.rarely();
        if dice.rarely() {
            subnet.way = dice.one_of(&[WayOut::Nowhere, WayOut::InternetGateway, WayOut::Blackhole, WayOut::Unseen]);
        }
    }
    if dice.rarely() {
        let gone = dice.one_of(&[Seen::Absent, Seen::Unknown(Fault::Unread)]);
        scene.set_api(gone);
    }
    if dice.rarely() {
        scene.limits.mode = Mode::Observe;
    }
    scene.limits.allow_detach = dice.throw(2) == 0;
    if dice.throw(2) == 0 {
        scene.limits.allowed_policies.push(PolicyName::parse(OTHER_POLICY).unwrap());
    }
    if dice.rarely() {
        let role = dice.one_of(&NAMES);
        scene.limits.allowed_roles = Some(vec![RolePattern::parse(role).unwrap()]);
    }
    if dice.rarely() {
        scene.limits.own_roles = BTreeSet::from([role_arn(dice.one_of(&NAMES)).key().clone()]);
    }
    if dice.rarely() {
        scene.limits.allowed_vpcs = Some(BTreeSet::from([vpc_id(dice.one_of(&["vpc-1", "vpc-2"]))]));
    }
    if dice.rarely() {
        let agreed: Vec<Change> = plan(&scene.world()).lines.iter().filter_map(Line::change).cloned().collect();
        let agreed = agreed.into_iter().filter(|_| dice.throw(2) == 0).map(|change| (change.key.clone(), change));
        scene.limits.admitted = Admitted::Only(agreed.collect());
    }
    for _ in 0..dice.throw(4) {
        past(&mut scene, dice);
    }
    scene
}

/// How a function stands in AWS.
fn live(function: &mut Function, dice: &mut Dice<'_>) {
    let lone = network(&["subnet-a"], &["sg-default"]);
    function.network = dice.one_of(&[
        Arc::default(),
        home(),
        lone,
        network(&["subnet-x"], &["sg-x"]),
        Arc::new(Network { ipv6: true, ..(*home()).clone() }),
    ]);
    function.modified = dice.one_of(&[Some(Time(0)), Some(ago(59)), Some(ago(61)), Some(NOW), None]);
    let update = dice.one_of(&[
        Update::Successful,
        Update::Successful,
        Update::InProgress,
        Update::Unsaid,
        Update::Failed(Failure::default()),
    ]);
    let state = dice.one_of(&[Lambda::Active, Lambda::Active, Lambda::Inactive, Lambda::Pending]);
    function.life = (!dice.rarely()).then_some(Box::new(Life { state, update }));
}

fn role(dice: &mut Dice<'_>) -> Seen<RoleFacts> {
    let attached = dice.one_of(&[vec![POLICY], vec![], vec![OTHER_POLICY], vec![POLICY, OTHER_POLICY]]);
    let said = [Some(Simulated::Allowed), Some(Simulated::Missing), Some(Simulated::Unclear), None];
    let simulation = dice.one_of(&said).map(|said| Simulation { said, at: NOW });
    let attached = attached.into_iter().map(policy).collect();
    let facts = RoleFacts { attached, asked: Asked::All, simulation, edge: None, at: NOW };
    match dice.throw(10) {
        8 => Seen::Absent,
        9 => Seen::Unknown(Fault::Unread),
        _ => Seen::Present(facts),
    }
}

/// Something that happened a while ago.
fn past(scene: &mut Scene, dice: &mut Dice<'_>) {
    let name = dice.one_of(&NAMES);
    let at = ago(dice.one_of(&[0, 1, 40, 400]));
    let step = match dice.throw(2) {
        0 => Step::AttachPolicy {
            key: key(name),
            role: role_arn(dice.one_of(&NAMES)),
            policy: policy(dice.one_of(&[POLICY, OTHER_POLICY])),
        },
        _ => Step::SetVpc { key: key(name), from: Arc::default(), to: home(), revision: None },
    };
    scene.begin(&step);
    let answer = dice.one_of(&[
        Some(Answer::Done),
        Some(failed(Class::RoleDenied)),
        Some(failed(Class::Network)),
        Some(failed(Class::PolicyQuota)),
        Some(failed(Class::Credentials)),
        None,
    ]);
    if let Some(answer) = answer {
        let role = scene.facts.role_of(&key(name).name).cloned();
        scene.memory.answered(&step, role.as_ref(), &answer, at);
    }
}

/// What every step must be like.
fn fits(scene: &Scene, asked: &FunctionKey, step: &Step) {
    let entry = scene.desired.get(asked).expect("the file does not list it");
    assert_eq!(step.key(), asked);
    assert_eq!(scene.limits.mode.min(entry.terms.mode_at(scene.now)), Mode::Enforce);
    let Seen::Present(function) = scene.facts.function(&asked.name) else { panic!("nobody saw the function") };
    match step {
        Step::SetVpc { key: _, from, to, revision } => {
            assert_ne!(from, to, "Lambda takes even this for an update");
            assert_eq!((from, revision), (&function.network, &function.revision));
            assert!(
                to.is_attached() || (scene.limits.allow_detach && entry.terms.want == crate::desired::Want::Detached)
            );
        }
        Step::AttachPolicy { key: _, role, policy } => {
            let Seen::Present(facts) = scene.facts.role(role.key()) else { panic!("nobody saw the role") };
            assert_eq!(role, &function.role);
            assert!(!facts.attached.contains(policy), "it is on the role already");
            assert!(scene.limits.allowed_policies.iter().any(|allowed| allowed.for_role(role) == *policy));
            assert!(scene.limits.allowed_roles.as_ref().is_none_or(|roles| roles.iter().any(|it| it.fits(role))));
            assert!(!scene.limits.own_roles.contains(role.key()), "the controller widens itself");
            let Verdict::Differs(change) = compare(&scene.world(), entry).verdict else { panic!("nothing differs") };
            let works =
                change.network.is_none() && entry.terms.attach_policy == crate::desired::AttachPolicy::WhenNeeded;
            assert!(!works, "the function is there, so its role suffices");
            assert_ne!(entry.terms.attach_policy, crate::desired::AttachPolicy::Never);
        }
    }
    let within = |vpcs: &BTreeSet<VpcId>| entry.terms.want.vpc().is_none_or(|vpc| vpcs.contains(vpc));
    assert!(scene.limits.allowed_vpcs.as_ref().is_none_or(within));
    let life = function.life.as_ref();
    assert!(life.is_none_or(|life| life.state != Lambda::Pending && life.update != Update::InProgress));
    if let Admitted::Only(agreed) = &scene.limits.admitted {
        assert!(agreed.contains_key(asked), "nobody agreed to it");
    }
}

/// A moment to look again that has passed would make a loop that never rests.
fn lies_ahead(outcome: &Outcome, now: Time) {
    if let Outcome::Waiting { until: Some(until), .. } | Outcome::Blocked { until: Some(until), .. } = outcome {
        assert!(*until > now, "{outcome:?}");
    }
}

/// Makes a step as an AWS would that is never late.
fn perform(scene: &mut Scene, step: &Step) {
    scene.answer(step, Answer::Done);
    match step {
        Step::AttachPolicy { role, policy, .. } => {
            present(scene.facts.roles.get_mut(&role.key().clone()).unwrap()).attached.insert(policy.clone());
        }
        Step::SetVpc { key, to, .. } => {
            let now = scene.now;
            let function = scene.function(key.name.as_str());
            function.network = to.clone();
            function.modified = Some(now);
            function.life = Some(Box::new(Life { state: Lambda::Active, update: Update::Successful }));
        }
    }
    scene.wait(3);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_step_changes_something_that_was_seen_and_is_allowed(throws in throws()) {
        let scene = world(&mut Dice(throws.iter()));
        for name in NAMES {
            let decision = decide(&scene.world(), &key(name)).expect("the file lists it");
            prop_assert_eq!(&Some(decision.clone()), &decide(&scene.world(), &key(name)));
            match decision {
                Decision::Do(step) => fits(&scene, &key(name), &step),
                Decision::Rest(outcome) => lies_ahead(&outcome, scene.now),
            }
        }
    }

    #[test]
    fn a_function_that_the_file_does_not_list_gets_no_step(throws in throws()) {
        let mut scene = world(&mut Dice(throws.iter()));
        scene.add("unlisted", "api");
        prop_assert_eq!(decide(&scene.world(), &key("unlisted")), None);
        scene.desired = reading("function = []");
        for name in NAMES {
            prop_assert_eq!(decide(&scene.world(), &key(name)), None);
        }
        prop_assert!(plan(&scene.world()).lines.is_empty());
    }

    #[test]
    fn the_same_world_gives_the_same_plan(throws in throws()) {
        let (first, again) = (world(&mut Dice(throws.iter())), world(&mut Dice(throws.iter())));
        let (first, again) = (plan(&first.world()), plan(&again.world()));
        prop_assert_eq!(&first.id, &again.id);
        let lines = |plan: &Plan| -> Vec<_> {
            let line = |line: &Line| (line.entry.key.clone(), line.comparison.clone(), line.gate.clone());
            plan.lines.iter().map(line).collect()
        };
        prop_assert_eq!(lines(&first), lines(&again));
        let order: Vec<String> = first.lines.iter().map(|line| line.entry.key.name.to_string()).collect();
        prop_assert_eq!(order, NAMES);
    }

    #[test]
    fn a_step_is_part_of_the_change_that_the_plan_shows(throws in throws()) {
        let scene = world(&mut Dice(throws.iter()));
        for line in plan(&scene.world()).lines {
            let Some(Decision::Do(step)) = decide(&scene.world(), &line.entry.key) else { continue };
            let change = line.change().expect("a step without a difference");
            prop_assert!(line.gate.is_none());
            match step {
                Step::AttachPolicy { role, policy, .. } => {
                    prop_assert!(change.attach.iter().any(|one| (&one.role, &one.policy) == (&role, &policy)));
                }
                Step::SetVpc { from, to, .. } => {
                    prop_assert!(change.attach.is_empty());
                    prop_assert_eq!(change.network.as_ref(), Some(&NetworkChange { from, to }));
                }
            }
        }
    }

    #[test]
    fn steps_that_succeed_come_to_an_end_and_a_network_that_was_set_is_in_sync(
        throws in throws(),
    ) {
        let mut scene = world(&mut Dice(throws.iter()));
        for name in NAMES {
            let mut last = None;
            for turn in 0.. {
                match decide(&scene.world(), &key(name)) {
                    Some(Decision::Do(step)) => {
                        // Two policies at the most, and the network.
                        prop_assert!(turn < 3, "{:?} after {:?}", step, last);
                        fits(&scene, &key(name), &step);
                        perform(&mut scene, &step);
                        last = Some(step);
                    }
                    Some(Decision::Rest(outcome)) => {
                        if let Some(Step::SetVpc { .. }) = last {
                            prop_assert_eq!(outcome, Outcome::InSync);
                        }
                        break;
                    }
                    None => unreachable!("the file lists it"),
                }
            }
        }
    }
}
