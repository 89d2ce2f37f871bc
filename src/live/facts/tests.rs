//! What a sweep or a look adds to what is known, and what it cannot take away.

use super::*;
use crate::cloud::{Class, Operation};
use crate::live::{Looked, Surveyed};
use crate::names::{AccountId, Network, Region, ScopeKey};

fn scope() -> ScopeKey {
    let account = AccountId::parse("123456789012").unwrap();
    ScopeKey { account, region: Region::parse("eu-west-1").unwrap() }
}

fn name() -> FunctionName {
    FunctionName::parse("f").unwrap()
}

impl Facts {
    fn swept(&self) -> &ScopeFacts {
        self.swept.as_ref().unwrap()
    }
}

fn vpc_id() -> VpcId {
    VpcId::parse("vpc-1").unwrap()
}

fn role() -> RoleArn {
    RoleArn::parse("arn:aws:iam::123456789012:role/r").unwrap()
}

fn fault() -> Fault {
    CloudError::local(Operation::ListFunctions, Class::Timeout, "Timeout", "no answer").into()
}

/// A function as it is seen at some time, told apart by its revision.
fn there(revision: &str) -> Seen<Function> {
    Seen::Present(Function {
        name: name(),
        role: role(),
        network: Arc::new(Network::default()),
        vpc: None,
        revision: crate::names::RevisionId::parse(revision).ok(),
        modified: None,
        life: None,
        excluded: None,
        mounts: Box::default(),
    })
}

fn vpc(dedicated: bool) -> Seen<VpcFacts> {
    let vpc = Vpc { id: vpc_id(), owner: None, tags: BTreeMap::new(), dedicated, encrypted_only: false };
    let (interfaces, endpoints) = (Seen::Unknown(Fault::Unread), Seen::Unknown(Fault::Unread));
    Seen::Present(VpcFacts { vpc, subnets: Vec::new(), security_groups: Vec::new(), interfaces, endpoints })
}

/// A sweep that began at some second and took two, and found this.
fn swept(second: u64, function: Seen<Function>, vpc: Seen<VpcFacts>) -> Surveyed {
    let identity = Identity { account: scope().account, arn: String::new() };
    let listed = match &function {
        Seen::Unknown(fault) => Seen::Unknown(fault.clone()),
        Seen::Present(_) | Seen::Absent => Seen::Present(()),
    };
    let facts = ScopeFacts {
        identity: Seen::Present(identity),
        functions: [(name(), function)].into(),
        vpcs: [(vpc_id(), vpc)].into(),
        pages: None,
        listed,
        published: Seen::Unknown(Fault::Unread),
        at: Time(second * 1000),
        vpcs_at: Time(second * 1000 + 1000),
        took: Duration::from_secs(2),
        old: OldFacts::default(),
    };
    Surveyed { scope: scope(), facts, roles: BTreeMap::new() }
}

fn after(sweeps: impl IntoIterator<Item = Surveyed>) -> Facts {
    let mut facts = Facts::default();
    sweeps.into_iter().for_each(|found| facts.surveyed(found));
    facts
}

fn unknown<T>() -> Seen<T> {
    Seen::Unknown(fault())
}

#[test]
fn what_a_sweep_cannot_read_stays_known_and_is_as_old_as_it_is() {
    let first = || swept(10, there("a"), vpc(false));
    for failures in 1..4 {
        let failing = (1..=failures).map(|number| swept(10 + number, unknown(), unknown()));
        let facts = after(std::iter::once(first()).chain(failing));
        assert_eq!(facts.function(&name()), &there("a"));
        assert_eq!(facts.vpc(&vpc_id()), &vpc(false));
        assert_eq!(facts.read_at(&name()), Some(Time(10_000)));
        assert_eq!(facts.vpc_read_at(&vpc_id()), Some(Time(11_000)));
        let old = &facts.swept().old;
        assert_eq!((old.functions.len(), old.vpcs.len()), (1, 1));
        assert_eq!(old.functions[&name()].fault, fault());
    }
    let mended = after([first(), swept(20, unknown(), unknown()), swept(30, there("b"), vpc(true))]);
    assert_eq!(mended.function(&name()), &there("b"));
    assert_eq!(mended.swept().old, OldFacts::default());
    assert_eq!((mended.read_at(&name()), mended.vpc_read_at(&vpc_id())), (Some(Time(30_000)), Some(Time(31_000))));
}

/// What is known of the function, and how many functions are known from before alone, after each sweep.
fn believed(sweeps: impl IntoIterator<Item = Surveyed>) -> Vec<(Seen<Function>, usize)> {
    let mut facts = Facts::default();
    let after_each = sweeps.into_iter().map(|mut found| {
        found.believe(&facts);
        facts.surveyed(found);
        (facts.function(&name()).clone(), facts.swept().old.functions.len())
    });
    after_each.collect()
}

#[test]
fn a_function_that_was_there_is_gone_when_two_listings_in_a_row_do_not_have_it() {
    let swept = |second, function| swept(second, function, vpc(false));
    let not_listed = || Seen::Unknown(Fault::NotListed);
    for (sweeps, expected) in [
        (vec![not_listed()], vec![(Seen::Absent, 0)]),
        (vec![unknown(), not_listed()], vec![(unknown(), 0), (Seen::Absent, 0)]),
        (
            vec![there("a"), not_listed(), not_listed(), not_listed()],
            vec![(there("a"), 0), (there("a"), 1), (Seen::Absent, 0), (Seen::Absent, 0)],
        ),
        (
            vec![there("a"), not_listed(), there("a"), not_listed()],
            vec![(there("a"), 0), (there("a"), 1), (there("a"), 0), (there("a"), 1)],
        ),
        (vec![there("a"), Seen::Absent], vec![(there("a"), 0), (Seen::Absent, 0)]),
    ] {
        let sweeps: Vec<_> = (1..).zip(sweeps).map(|(number, function)| swept(number * 10, function)).collect();
        assert_eq!(believed(sweeps), expected);
    }
}

#[test]
fn what_was_absent_stays_absent_and_what_was_never_known_is_not_known() {
    let facts = after([swept(10, Seen::Absent, Seen::Absent), swept(20, unknown(), unknown())]);
    assert_eq!((facts.function(&name()), facts.vpc(&vpc_id())), (&Seen::Absent, &Seen::Absent));
    let facts = after([swept(10, unknown(), unknown()), swept(20, unknown(), unknown())]);
    assert_eq!((facts.function(&name()), facts.vpc(&vpc_id())), (&unknown(), &unknown()));
    assert_eq!(facts.swept().old, OldFacts::default());
    let gone = after([swept(10, there("a"), vpc(false)), swept(20, Seen::Absent, Seen::Absent)]);
    assert_eq!((gone.function(&name()), gone.vpc(&vpc_id())), (&Seen::Absent, &Seen::Absent));
}

#[test]
fn whose_the_credentials_are_stays_known_until_they_are_seen_to_be_others() {
    let with = |second, identity| {
        let mut found = swept(second, there("a"), vpc(false));
        found.facts.identity = identity;
        found
    };
    let own = swept(10, there("a"), vpc(false)).facts.identity;
    let facts = after([with(10, own.clone()), with(20, unknown()), with(30, unknown())]);
    let swept = facts.swept();
    assert_eq!(swept.identity, own);
    assert_eq!(swept.old.identity, Some(Old { at: Time(10_000), fault: fault() }));
    let account = AccountId::parse("222222222222").unwrap();
    let other = Seen::Present(Identity { account, arn: String::new() });
    let facts = after([with(10, own), with(20, other.clone())]);
    assert_eq!((&facts.swept().identity, &facts.swept().old.identity), (&other, &None));
}

#[test]
fn a_look_is_newer_than_a_sweep_that_began_before_and_older_than_one_that_began_after() {
    let looked = |found| Looked { function: found, role: None };
    for (sweep, expected, read) in [(14, "looked", 15_000), (15, "looked", 15_000), (16, "swept", 16_000)] {
        let mut facts = after([swept(10, there("a"), vpc(false))]);
        facts.looked(&name(), looked(there("looked")), Time(15_000));
        facts.surveyed(swept(sweep, there("swept"), vpc(false)));
        assert_eq!((facts.function(&name()), facts.read_at(&name())), (&there(expected), Some(Time(read))), "{sweep}");
        facts.surveyed(swept(20, unknown(), unknown()));
        assert_eq!((facts.function(&name()), facts.read_at(&name())), (&there(expected), Some(Time(read))), "{sweep}");
    }
}

#[test]
fn a_look_that_fails_takes_nothing_away() {
    let mut facts = after([swept(10, there("a"), vpc(false))]);
    let looks = || Looked { function: unknown(), role: Some((role().key().clone(), unknown())) };
    let known = Seen::Present(RoleFacts {
        attached: BTreeSet::new(),
        asked: Asked::All,
        simulation: None,
        edge: None,
        at: Time(9_000),
    });
    facts.roles.insert(role().key().clone(), known.clone());
    facts.looked(&name(), looks(), Time(15_000));
    assert_eq!((facts.function(&name()), facts.read_at(&name())), (&there("a"), Some(Time(10_000))));
    assert_eq!((facts.role(role().key()), facts.old_role(role().key())), (&known, Some(&fault())));
    let found = Looked { function: there("b"), role: Some((role().key().clone(), Seen::Absent)) };
    facts.looked(&name(), found, Time(16_000));
    assert_eq!((facts.function(&name()), facts.read_at(&name())), (&there("b"), Some(Time(16_000))));
    assert_eq!((facts.role(role().key()), facts.old_roles.len()), (&Seen::Absent, 0));
    assert!(facts.swept().old.functions.is_empty());
    let mut nothing = after([swept(10, unknown(), unknown())]);
    nothing.looked(&name(), looks(), Time(15_000));
    assert_eq!((nothing.function(&name()), nothing.role(role().key())), (&unknown(), &unknown()));
}

#[test]
fn a_function_that_is_forgotten_leaves_nothing_behind() {
    let mut facts = after([swept(10, there("a"), vpc(false)), swept(20, unknown(), unknown())]);
    facts.forget(&name());
    assert_eq!((facts.read_at(&name()), facts.swept().old.functions.len()), (None, 0));
}

#[test]
fn how_long_a_sweep_takes_is_learnt_from_those_that_come_to_their_end() {
    let mut quick = swept(20, unknown(), unknown());
    quick.facts.took = Duration::from_millis(3);
    let facts = after([swept(10, there("a"), vpc(false)), quick]);
    assert_eq!(facts.swept().took, Duration::from_secs(2));
}
