//! What outlives the process: a record, and what is made of it.

use super::*;
use crate::plan::record::{
    AttachedRecord, Fate, MeantRecord, Moment, SentFunction, SentRecord, SetBackRecord, UnsyncedRecord,
};

fn recalled(scene: &mut Scene, record: ScopeRecord) {
    let record = ScopeRecord::parse(&record.text().unwrap(), &scope()).unwrap();
    scene.memory = Memory::default();
    scene.memory.recall(&scope(), Some(record), scene.now);
}

fn unsynced(names: &[&str], cause: Option<Cause>) -> UnsyncedRecord {
    let functions = names.iter().map(|name| FunctionName::parse(name).unwrap()).collect();
    UnsyncedRecord { state: State::Blocked, reason: "NoFreeAddress".to_owned(), cause, since: ago(60), functions }
}

#[test]
fn a_record_that_cannot_be_used_says_why() {
    let whole = ScopeRecord::new(&scope()).text().unwrap();
    let other = ScopeKey { region: Region::parse("us-east-1").unwrap(), ..scope() };
    for (text, words) in [
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        (&whole[..whole.len() / 2], "cannot be read"),
        (&whole.replace("\"version\":1", "\"version\":2"), "it has version 2, and this program knows version 1"),
        (&whole.replace("\"version\":1,", ""), "missing field `version`"),
        (&whole.replace("\"spent\":[]", "\"spent\":[\"x\"]"), "cannot be read"),
        (&ScopeRecord::new(&other).text().unwrap(), "it is the record of 123456789012/us-east-1"),
    ] {
        let said = ScopeRecord::parse(text, &scope()).map_err(|unusable| unusable.to_string()).unwrap_err();
        assert!(said.contains(words), "{text}: {said}");
    }
}

#[test]
fn what_a_record_lacks_is_empty_and_what_it_has_beyond_is_passed_over() {
    let least = "{\"version\":1,\"account\":\"123456789012\",\"region\":\"eu-west-1\",\"new\":{\"thing\":[1]}}";
    assert_eq!(ScopeRecord::parse(least, &scope()).unwrap(), ScopeRecord::new(&scope()));
}

#[test]
fn a_record_reads_as_it_was_written() {
    let function = || FunctionName::parse("api").unwrap();
    let (role, policy) = (role_arn("api").key().name.clone(), policy(POLICY));
    let record = ScopeRecord {
        set_backs: vec![
            SetBackRecord::Network { function: function(), at: vec![Moment(ago(1)), Moment(NOW)] },
            SetBackRecord::Policy { role: role.clone(), policy: policy.clone(), at: vec![Moment(NOW)] },
        ],
        sent: vec![SentRecord {
            to: Network::clone(&home()),
            functions: vec![SentFunction { name: function(), at: Time(NOW.0 + 1), fate: Fate::Open }],
        }],
        attached: vec![AttachedRecord { role, policy, at: NOW, set_back: true }],
        unsynced: vec![unsynced(&["a", "b"], None), unsynced(&["c"], Some(Cause::Network))],
        synced_by: Some(Digest::of(b"file")),
        meant: vec![MeantRecord { words: crate::names::Mark::of(&1), networks: vec![crate::names::Mark::of(&2)] }],
        ..ScopeRecord::new(&scope())
    };
    let text = record.text().unwrap();
    assert_eq!(ScopeRecord::parse(&text, &scope()).unwrap(), record);
    assert!(text.ends_with("}\n") && text.lines().count() == 1);
}

#[test]
fn who_sets_back_again_and_again_is_known_over_a_restart() {
    let mut scene = scene(ORDERS);
    for round in 0..3 {
        scene.answer(&set_step(), Answer::Done);
        let record = scene.memory.record(&scope(), &scene.desired, scene.now);
        recalled(&mut scene, record);
        let now = scene.now;
        (scene.api().network, scene.api().modified) = (home(), Some(now));
        let seen = scene.api().clone();
        scene.memory.looked(&key("api"), &seen, scene.now);
        scene.wait(60);
        let now = scene.now;
        (scene.api().network, scene.api().modified) = (Arc::default(), Some(now));
        let seen = scene.api().clone();
        scene.memory.looked(&key("api"), &seen, scene.now);
        let record = scene.memory.record(&scope(), &scene.desired, scene.now);
        recalled(&mut scene, record);
        scene.wait(100);
        let decided = decided(scene.decide().as_ref(), scene.now);
        assert_eq!(decided.starts_with("blocked Flapping"), round == 2, "{round}: {decided}");
    }
    scene.wait(3600);
    let record = scene.memory.record(&scope(), &scene.desired, scene.now);
    assert_eq!((record.set_backs.len(), record.attached.len()), (0, 0), "an hour later nothing of it is kept");
}

#[test]
fn the_cause_of_a_difference_is_known_over_a_restart() {
    let (narrow, elsewhere) = (network(&["subnet-a"], &["sg-default"]), network(&["subnet-x"], &["sg-x"]));
    let same = |scene: &mut Scene| scene.desired = desired(ORDERS);
    let edited = |scene: &mut Scene| scene.desired = desired("vpc = 'orders'\nsubnets = { ids = ['subnet-b'] }");
    let elsewhere_edited = |scene: &mut Scene| {
        scene.desired = desired("vpc = 'orders'\n[[function]]\nname = 'b'\nvpc = 'orders'");
        scene.add("b", "b");
    };
    type Then = fn(&mut Scene);
    let cases: [(&str, &Arc<Network>, Then, Cause); 6] = [
        ("somebody moved it", &elsewhere, same, Cause::Live),
        ("somebody took it out", &Arc::default(), same, Cause::Live),
        ("the VPC has a subnet more", &narrow, same, Cause::Network),
        ("the VPC has a subnet more, and another entry was added", &narrow, elsewhere_edited, Cause::Network),
        ("its entry was edited", &narrow, edited, Cause::File),
        ("somebody moved it, and the file is another one", &elsewhere, elsewhere_edited, Cause::File),
    ];
    for (what, live, then, expected) in cases {
        let mut scene = scene(ORDERS);
        // It was in sync while the VPC had one private subnet.
        let entry = Arc::clone(scene.desired.get(&key("api")).unwrap());
        scene.memory.agreed(&entry, &narrow);
        let record = scene.memory.record(&scope(), &scene.desired, scene.now);
        let synced_by = Some(scene.desired.digest.clone());
        recalled(&mut scene, ScopeRecord { synced_by, ..record });
        then(&mut scene);
        scene.api().network = Arc::clone(live);
        assert_eq!(scene.change().cause, expected, "{what}");
        // As long as nobody was in sync by other words, it is still known after the next one.
        let record = scene.memory.record(&scope(), &scene.desired, scene.now);
        let again = ScopeRecord {
            unsynced: vec![unsynced(&["api"], Some(expected))],
            synced_by: Some(scene.desired.digest.clone()),
            ..record
        };
        recalled(&mut scene, again);
        assert_eq!(scene.change().cause, expected, "{what}, and again");
        // Seen in sync, it is this process that knows.
        let entry = Arc::clone(scene.desired.get(&key("api")).unwrap());
        scene.memory.agreed(&entry, &home());
        if !what.contains("its entry") {
            assert_eq!(scene.change().cause, Cause::Live, "{what}, and then it was in sync");
        }
    }
}

#[test]
fn a_function_that_was_never_in_sync_differs_for_the_file_s_sake() {
    let mut scene = scene(ORDERS);
    let record = ScopeRecord {
        unsynced: vec![unsynced(&["api"], None)],
        synced_by: Some(scene.desired.digest.clone()),
        ..ScopeRecord::new(&scope())
    };
    recalled(&mut scene, record);
    assert_eq!(scene.change().cause, Cause::File);
    recalled(&mut scene, ScopeRecord::new(&scope()));
    assert_eq!(scene.change().cause, Cause::File);
}
