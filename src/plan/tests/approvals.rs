//! What a person approves by an id: what is left of a plan that was to be seen, once.

use super::guard::guarded;
use super::*;

impl Scene {
    /// The plan of the scope is to be seen as it stands; its id.
    fn shows(&mut self) -> Digest {
        let changes: Vec<Change> = plan(&self.world()).lines.iter().filter_map(Line::change).cloned().collect();
        self.memory.guard.shows(&changes.iter().collect::<Vec<_>>(), BTreeSet::new(), self.now);
        let plan = plan(&self.world());
        assert_eq!(self.memory.guard.plan_id(), plan.ids.get(&scope()), "as whoever runs `plan` sees it");
        plan.id
    }

    fn approves(&mut self, id: &Digest) -> bool {
        !self.memory.guard.approve(&[id.short().to_owned()]).is_empty()
    }

    /// The functions that a person has agreed to.
    fn agreed_to(&self) -> Vec<String> {
        let held = |name: &String| self.gated(name).is_none();
        let names = self.desired.entries.iter().map(|entry| entry.key.name.to_string());
        names
            .filter(|name| matches!(compare(&self.world(), &self.entry(name)).verdict, Verdict::Differs(_)))
            .filter(held)
            .collect()
    }

    fn is_put_right(&mut self, name: &str) {
        self.function(name).network = home();
        self.ends(name, &Outcome::InSync);
    }
}

/// Fourteen functions that differ, and all that may be changed in this hour is used up by others.
fn held() -> Scene {
    let mut scene = guarded(25, 0, 0);
    scene.function("f24").network = home();
    scene.changes(14..24);
    for number in 14..24 {
        scene.is_put_right(&format!("f{number}"));
    }
    assert_eq!(scene.agreed_to(), [] as [&str; 0]);
    scene
}

#[test]
fn an_approval_waits_while_a_function_of_its_plan_cannot_be_read() {
    let mut scene = held();
    let id = scene.shows();
    let unread = |name: &str| BTreeSet::from([key(name).name]);
    scene.memory.guard.shows(&[], unread("f00"), scene.now);
    assert!(!scene.approves(&id), "it would be spent for nothing");
    assert_eq!(scene.shows(), id);
    assert!(scene.approves(&id));
    assert!(scene.agreed_to().contains(&"f00".to_owned()));
}

#[test]
fn an_approval_is_not_held_up_by_a_function_that_its_plan_does_not_have() {
    let mut scene = held();
    let id = scene.shows();
    let changes: Vec<Change> = plan(&scene.world()).lines.iter().filter_map(Line::change).cloned().collect();
    let unread = BTreeSet::from([key("f24").name]);
    scene.memory.guard.shows(&changes.iter().collect::<Vec<_>>(), unread, scene.now);
    assert!(scene.approves(&id));
}

#[test]
fn an_approval_is_good_for_its_plan_once_and_for_nothing_else() {
    let mut scene = held();
    let id = scene.shows();
    assert!(!scene.approves(&Digest::of(b"other")));
    assert_eq!(scene.agreed_to().len(), 0);
    assert!(scene.approves(&id));
    assert_eq!(scene.agreed_to().len(), 14);
    assert!(!scene.approves(&id), "it is spent");
    scene.is_put_right("f00");
    scene.function("f00").network = Arc::default();
    assert!(!scene.agreed_to().contains(&"f00".to_owned()), "what was agreed to has come about");
    scene.memory.edited(&key("f01"));
    assert!(!scene.agreed_to().contains(&"f01".to_owned()), "this entry nobody has looked at");
    // The fleet is what it was when the id was approved.
    for number in 0..14 {
        scene.is_put_right(&format!("f{number:02}"));
        scene.function(&format!("f{number:02}")).network = Arc::default();
    }
    assert_eq!(scene.shows(), id);
    assert!(!scene.approves(&id));
    assert_eq!(scene.agreed_to().len(), 0);
}

#[test]
fn what_is_left_of_a_plan_is_approved_by_its_id_and_what_became_of_it_otherwise_is_not() {
    let mut scene = held();
    let id = scene.shows();
    scene.is_put_right("f00");
    scene.shows();
    // Somebody moved one to another place meanwhile, and one is in the file that was not.
    scene.function("f01").network = network(&["subnet-x"], &["sg-x"]);
    scene.function("f24").network = Arc::default();
    scene.shows();
    assert!(scene.approves(&id));
    let left: Vec<String> = (2..14).map(|number| format!("f{number:02}")).collect();
    assert_eq!(scene.agreed_to(), left);
}

#[test]
fn an_id_that_nothing_is_left_of_is_spent_all_the_same() {
    let mut scene = held();
    let id = scene.shows();
    (0..14).for_each(|number| scene.is_put_right(&format!("f{number:02}")));
    scene.shows();
    assert!(scene.approves(&id));
    (0..14).for_each(|number| scene.function(&format!("f{number:02}")).network = Arc::default());
    assert_eq!(scene.shows(), id);
    assert!(!scene.approves(&id));
}

#[test]
fn agreeing_to_a_change_agrees_to_its_second_half_and_to_no_further_policy() {
    for (then, agreed) in [
        ("the policy is there", true),
        ("the policy is only needed if Lambda refuses", true),
        ("another policy is missing as well", false),
    ] {
        let mut scene = held();
        scene.facts.roles.insert(
            role_arn("api").key().clone(),
            Seen::Present(RoleFacts { attached: BTreeSet::new(), ..role_facts() }),
        );
        if !then.starts_with("another") {
            // Both are in the plan that is approved.
            scene.limits.allowed_policies.push(PolicyName::parse("Other").unwrap());
        }
        let id = scene.shows();
        assert!(scene.approves(&id), "{then}");
        match then {
            "the policy is there" => {
                scene.facts.roles.insert(role_arn("api").key().clone(), Seen::Present(role_facts()))
            }
            "another policy is missing as well" => {
                let text = "defaults = { region = 'eu-west-1', account = '123456789012', policies = ['service-role/AWSLambdaVPCAccessExecutionRole', 'Other'] }\n";
                let entries: String =
                    (0..25).map(|i| format!("[[function]]\nname = 'f{i:02}'\nvpc = 'orders'\n")).collect();
                scene.desired = reading(&format!("{text}vpc = [{{ name = 'orders', id = 'vpc-1' }}]\n{entries}"));
                scene.limits.allowed_policies.push(PolicyName::parse("Other").unwrap());
                None
            }
            _ => None,
        };
        assert_eq!(scene.agreed_to().contains(&"f00".to_owned()), agreed, "{then}");
    }
}

#[test]
fn an_id_from_before_the_start_is_spent_unless_a_record_says_otherwise() {
    let mut scene = held();
    let id = scene.shows();
    let record = scene.memory.record(&scope(), &scene.desired, scene.now);
    let typed = vec![id.short().to_owned()];
    let restarts = |scene: &mut Scene, record: Option<ScopeRecord>| {
        scene.memory.guard = Ledger::default();
        scene.memory.guard.begins(&typed, scene.now);
        scene.memory.recall(&scope(), record, scene.now);
        assert_eq!(scene.shows(), id);
    };
    restarts(&mut scene, None);
    assert_eq!(scene.memory.guard.doubted(), typed);
    assert!(!scene.approves(&id));
    // That is remembered, too.
    let doubting = scene.memory.record(&scope(), &scene.desired, scene.now);
    restarts(&mut scene, Some(doubting));
    assert!(!scene.approves(&id));
    // A person takes it out, and puts it in again.
    scene.memory.guard.approved(&[]);
    scene.memory.guard.approved(&typed);
    assert!(scene.approves(&id));

    restarts(&mut scene, Some(record));
    assert!(scene.approves(&id), "it was put in while nobody ran, and the record says that it is not spent");
    let spent = scene.memory.record(&scope(), &scene.desired, scene.now);
    restarts(&mut scene, Some(spent));
    assert!(!scene.approves(&id));
}

#[test]
fn what_was_approved_and_what_was_to_be_seen_outlives_the_process() {
    let mut scene = held();
    let first = scene.shows();
    scene.wait(600);
    scene.is_put_right("f00");
    let second = scene.shows();
    let recalled = |scene: &mut Scene| {
        let record = scene.memory.record(&scope(), &scene.desired, scene.now);
        let record = ScopeRecord::parse(&record.text().unwrap(), &scope()).unwrap();
        scene.memory.guard = Ledger::default();
        scene.memory.guard.begins(&[], ago(2 * 3600));
        scene.memory.recall(&scope(), Some(record), scene.now);
    };
    recalled(&mut scene);
    scene.is_put_right("f01");
    scene.shows();
    assert!(scene.approves(&first), "it was seen in another life");
    recalled(&mut scene);
    assert_eq!(scene.agreed_to().len(), 12, "what is left is carried out in the next");
    assert!(!scene.approves(&first));
    assert!(!scene.approves(&second), "this process has not looked yet");
    scene.shows();
    assert!(scene.approves(&second), "another plan, with another id");
}

#[test]
fn plans_that_were_hardly_to_be_seen_are_forgotten_first() {
    let mut scene = held();
    let long = scene.shows();
    scene.wait(600);
    for round in 0..40 {
        scene.function("f00").network = network(&[&format!("subnet-{round}")], &["sg-x"]);
        scene.shows();
        scene.wait(2);
    }
    let short = Digest::of(b"the first of them");
    assert!(!scene.approves(&short));
    assert!(scene.approves(&long));
    assert_eq!(scene.agreed_to().len(), 13);
}

#[test]
fn the_id_for_all_is_one_of_each_scope_s_and_spent_in_each() {
    let mut scene = held();
    let elsewhere = ScopeKey { region: Region::parse("us-east-1").unwrap(), ..scope() };
    let key = FunctionKey { scope: elsewhere.clone(), name: FunctionName::parse("far").unwrap() };
    let change = Change { key, ..scene.change_of("f00") };
    let (near, mut far) = (scene.shows(), Ledger::default());
    far.shows(&[&change], BTreeSet::new(), scene.now);
    let of_far = far.plan_id().unwrap().clone();
    let all = whole_id(&BTreeMap::from([(scope(), near.clone()), (elsewhere, of_far.clone())]));
    scene.memory.guard.also_shown_as(&near, &all);
    far.also_shown_as(&of_far, &all);
    assert!(all != near && all != of_far && near != of_far);
    let typed = vec![all.short().to_owned()];
    // What changes in one scope does not void it for another.
    far.shows(&[], BTreeSet::new(), scene.now);
    assert_eq!(scene.memory.guard.approve(&typed).first(), Some(&near));
    assert_eq!(scene.agreed_to().len(), 14);
    assert!(!far.approve(&typed).is_empty());
    assert!(scene.memory.guard.approve(&typed).is_empty() && far.approve(&typed).is_empty());
    assert!(!scene.approves(&near), "with a plan all its ids are spent");
}
