use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::commands::tests::looked;
use crate::desired::Accounts;
use crate::file::Source;
use crate::names::Time;
use crate::settings::{Overrides, Settings};
use crate::simulator::{
    DeclaredFunction, DeclaredRole, DeclaredSecurityGroup, DeclaredSubnet, DeclaredVpc, Door, StillClock, World,
};
use crate::text::hostile::{any_text, assert_harmless};

const NOW: Time = Time(1_795_417_200_000);

/// An account in which everything that has a free name has this one.
fn world(name: &str) -> World {
    let (id, name) = (|id: &str| id.to_owned(), || Some(name.to_owned()));
    let function = |it: &str| DeclaredFunction { name: id(it), role: id("r"), ..DeclaredFunction::default() };
    let group =
        |it: &str, name| DeclaredSecurityGroup { id: id(it), vpc: id("vpc-11111111"), name, ..Default::default() };
    World {
        vpcs: vec![DeclaredVpc { id: id("vpc-11111111"), name: name(), ..DeclaredVpc::default() }],
        subnets: vec![DeclaredSubnet {
            id: id("subnet-11111111"),
            vpc: id("vpc-11111111"),
            name: name(),
            ..DeclaredSubnet::default()
        }],
        security_groups: vec![group("sg-11111111", name()), group("sg-22222222", Some(id("lambda")))],
        roles: vec![DeclaredRole { name: id("r"), ..DeclaredRole::default() }],
        functions: ["a", "b", "c", "d"].map(function).into(),
        ..World::default()
    }
}

/// A file with this text wherever a text may stand.
fn file(text: &str) -> String {
    let text: String = text.chars().take(200).collect();
    let text = serde_json::to_string(&text).unwrap().replace('\u{7f}', "\\u007f");
    format!(
        "[defaults]\nregion = 'eu-west-1'\naccount = '123456789012'\n[[vpc]]\nname = {text}\nid = 'vpc-11111111'\n\
         security_groups = {{ ids = ['sg-11111111'] }}\n\
         [[function]]\nname = 'a'\nvpc = {text}\n[[function]]\nname = 'b'\nvpc = {text}\nmode = 'observe'\nreason = {text}\n\
         [[function]]\nname = 'c'\nvpc = {text}\nsubnets = {{ names = [{text}] }}\n\
         [[function]]\nname = 'd'\nvpc = {text}\nsubnets = {{ tags = {{ {text} = {text} }} }}\n\
         [[function]]\nname = 'e*'\nvpc = {text}\n"
    )
}

/// The plan of such a file for such an account, for people and for programs; none where the text is no name.
fn plans(text: &str, path: &str) -> Option<(String, String)> {
    let source = Source::from_bytes(Path::new(path), file(text).into()).unwrap();
    let desired = DesiredState::check(&source, &Accounts::without_aws(BTreeMap::new(), None)).ok()?;
    let door = Door::new(world(text).build(Time(NOW.0 - 86_400_000)).ok()?, StillClock::at(NOW).clock());
    let controller = looked(&door, desired, NOW);
    let (found, desired) = (controller.plan(NOW)?, controller.desired()?);
    let human = plan(&found, &controller, &GuardLimits::of(&Settings::new(&Overrides::default()).guard));
    Some((anstream::adapter::strip_str(&human).to_string(), plan_json(&found, desired).ok()?))
}

/// Whether a line of a plan begins as one of ours.
fn is_ours(line: &str) -> bool {
    let begins =
        ["eu-west-1 in account ", "  ", "warning: the pattern ", "vpc-11111111 in ", "plan id ", "guard: ", "to let "];
    begins.iter().any(|begin| line.starts_with(begin)) || line.starts_with(|c: char| c.is_ascii_digit())
}

#[test]
fn a_plan_shows_what_a_file_and_aws_say() {
    let (human, json) = plans("größe \u{1b}[2J\n``", "f\n.toml").unwrap();
    for words in ["größe \\u{1b}[2J\\n``", "f\\n.toml:9:8"] {
        assert!(human.contains(words), "{words}: {human}");
    }
    assert!(json.contains("größe \\\\u{1b}[2J\\\\n``"), "{json}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_a_file_and_aws_say_a_plan_keeps_it_in_its_lines(text in any_text(), path in any_text()) {
        if let Some((human, json)) = plans(&text, &path) {
            assert_harmless(&human, is_ours);
            let begins = |line: &str| line.trim_start().starts_with(['{', '}', '[', ']', '"']);
            for line in json.lines() {
                prop_assert!(begins(line) && !line.chars().any(crate::text::unseen), "{line:?} of {json}");
            }
        }
    }
}
