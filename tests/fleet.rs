//! Many functions, several accounts: sweeps by pages, patterns, and nobody held up by somebody else's trouble.

use std::fmt::Write as _;
use std::time::Duration;

use futures_util::FutureExt as _;
use lambda_vpc_controller::cloud::{Class, CloudError, Operation};
use lambda_vpc_controller::live::{Facts, FunctionNeeds, Needs, Seen, Simulate, Surveyed, survey};
use lambda_vpc_controller::names::{FunctionName, PolicyName};
use lambda_vpc_controller::plan::{Limits, Outcome, Reason, State};
use lambda_vpc_controller::reconcile::Notice;
use lambda_vpc_controller::simulator::{
    CreateFunction, DeclaredFunction, Door, Fault, Misbehaviour, UpdateFunctionConfiguration, World,
};

use crate::support::account::Account;
use crate::support::between::Between;
use crate::support::history::{History, key, settings};
use crate::support::program;

const MINUTE: Duration = Duration::from_secs(60);
const VPC: &str = "vpc-0f1ee700000000000";

fn unguarded() -> Limits {
    Limits { guard: None, ..Limits::of(&settings()) }
}

fn file(entries: &str) -> String {
    format!("[defaults]\nregion = 'eu-west-1'\naccount = '123456789012'\n{entries}")
}

fn entry(name: &str, vpc: &str) -> String {
    format!("[[function]]\nname = '{name}'\nvpc = '{vpc}'\n")
}

fn function(number: usize) -> String {
    format!("function-{number:05}")
}

/// A fleet's world, with further lines.
fn fleet(functions: usize, more: impl FnOnce(&mut World)) -> History {
    let mut world = World::fleet(functions);
    more(&mut world);
    History::of(world, unguarded())
}

/// What a sweep finds that is asked for all functions of a fleet's world.
fn sweep_of(history: &History, functions: usize, read: &Between) -> Surveyed {
    let need = FunctionNeeds { policies: [PolicyName::vpc_access()].into(), simulate: Simulate::Never };
    let names = (0..functions).map(|number| FunctionName::parse(&function(number)).unwrap());
    let needs = Needs { functions: names.map(|name| (name, Some(need.clone()))).collect(), ..Needs::default() };
    let mut found = survey(read, &key("x").scope, &needs, &history.clock.clock()).now_or_never().unwrap();
    found.believe(&Facts::default());
    found
}

/// How many functions are there, gone, and not known.
fn counts(found: &Surveyed) -> [usize; 3] {
    let mut counts = [0; 3];
    for function in found.facts.functions.values() {
        counts[match function {
            Seen::Present(_) => 0,
            Seen::Absent => 1,
            Seen::Unknown(_) => 2,
        }] += 1;
    }
    counts
}

#[test]
fn pages_may_be_short() {
    let history = fleet(120, |world| {
        world.quotas.functions_per_page = Some(7);
        world.quotas.ec2_page = Some(2);
    });
    let found = sweep_of(&history, 120, &Between::new(&history.door, |_, _| Ok(())));
    assert_eq!(counts(&found), [120, 0, 0]);
    assert_eq!(history.door.count("ListFunctions"), 18);
}

#[test]
fn a_hundred_and_thirty_roles_that_have_the_policy_are_all_seen_in_short_pages() {
    let mut history = fleet(2600, |world| {
        world.quotas.entities_per_page = Some(9);
        for role in &mut world.roles {
            role.policies = vec!["service-role/AWSLambdaVPCAccessExecutionRole".to_owned()];
        }
    });
    let entries: String = (0..2600).map(|number| entry(&function(number), "none")).collect();
    history.load(&file(&entries));
    history.pass(MINUTE);
    assert_eq!(history.door.count("ListEntitiesForPolicy"), 0, "nobody has to be able to make interfaces");
    let entries: String = (0..2600).map(|number| entry(&function(number), VPC)).collect();
    history.load(&format!("{}mode = 'observe'\n{entries}", file("")));
    history.pass(MINUTE);
    assert_eq!(history.door.count("ListEntitiesForPolicy"), 15, "130 roles, nine a page");
    assert_eq!(history.door.count("SimulatePrincipalPolicy"), 0, "all of them have it");
    let plan = history.controller.plan(history.clock.now()).unwrap();
    assert!(plan.lines.iter().all(|line| line.change().is_some_and(|change| change.attach.is_empty())));
}

#[test]
fn a_page_that_fails_leaves_the_functions_after_it_unknown_and_the_others_known() {
    let history = fleet(200, |_| {});
    let failing = Between::new(&history.door, |_, page| match page {
        2 => Err(CloudError::local(Operation::ListFunctions, Class::Timeout, "Timeout", "no answer")),
        _ => Ok(()),
    });
    let found = sweep_of(&history, 200, &failing);
    assert_eq!(counts(&found), [100, 0, 100]);
    assert!(matches!(found.facts.listed, Seen::Unknown(_)));
}

#[test]
fn a_function_that_is_deleted_between_two_pages_is_gone_and_no_other() {
    for (deleted, expected) in [(150, [199, 1, 0]), (20, [200, 0, 0])] {
        let history = fleet(200, |_| {});
        let deleting = Between::new(&history.door, move |door, page| {
            if page == 1 {
                door.with(|aws, now| aws.delete_function(&key("x").scope, &function(deleted), now)).unwrap();
            }
            Ok(())
        });
        // One that was read before it was deleted is still believed to be there; the look before its step tells.
        assert_eq!(counts(&sweep_of(&history, 200, &deleting)), expected, "{deleted}");
    }
}

#[test]
fn few_functions_of_a_large_account_are_read_one_by_one_and_several_of_a_small_one_are_listed() {
    /// How many functions there are, those that are asked for, and the single reads and pages of the first two sweeps.
    type Row = (usize, &'static [usize], [(u64, u64); 2]);
    let rows: [Row; 5] = [
        (2000, &[0, 1000, 1999], [(2, 3), (3, 0)]),
        (2000, &[0, 1, 2], [(0, 1), (0, 1)]),
        (2000, &[1000], [(1, 0), (1, 0)]),
        (100, &[0, 60, 99], [(0, 2), (0, 2)]),
        (40, &[0, 10, 20, 30], [(0, 1), (0, 1)]),
    ];
    for (there, asked, expected) in rows {
        let mut history = fleet(there, |_| {});
        let entries: String = asked.iter().map(|number| entry(&function(*number), "none")).collect();
        history.load(&file(&entries));
        for (number, expected) in expected.into_iter().enumerate() {
            history.pass(if number == 0 { MINUTE } else { 5 * MINUTE });
            let calls = (history.door.count("GetFunctionConfiguration"), history.door.count("ListFunctions"));
            assert_eq!(calls, expected, "{asked:?} of {there}, sweep {number}");
            history.door.forget_calls();
        }
    }
}

const ORDERS: &str =
    "[[vpc]]\nname = 'orders'\nid = 'vpc-0a1b2c3d4e5f60718'\n[[function]]\nname = 'orders-*'\nvpc = 'orders'\n";

/// Somebody deploys a function.
fn create(door: &Door, name: &str) {
    door.with(|aws, now| {
        let role = aws.get_function(&key("x").scope, "orders-api", now).unwrap().configuration.role;
        let settings = UpdateFunctionConfiguration { role: Some(role.as_str().to_owned()), ..Default::default() };
        let request = CreateFunction { function_name: name.to_owned(), settings };
        aws.create_function(&key("x").scope, &request, now).unwrap();
    });
}

#[test]
fn a_function_that_is_created_later_is_picked_up_by_the_next_sweep_once_it_has_settled() {
    let mut history = History::new(unguarded());
    history.load(&file(ORDERS));
    history.pass(4 * MINUTE);
    for name in ["orders-api", "orders-worker"] {
        assert_eq!(history.outcome(name), Outcome::InSync);
    }
    // Just before the next sweep.
    history.pass(Duration::from_secs(50));
    create(&history.door, "orders-new");
    history.pass(Duration::from_secs(20));
    assert_eq!(history.outcome("orders-new").why().unwrap().reason, Reason::Settling);
    history.pass(2 * MINUTE);
    assert_eq!(history.outcome("orders-new"), Outcome::InSync);
    assert_eq!(history.network("orders-new"), history.network("orders-api"));
    history.assert_nothing_left_to_do();
}

#[test]
fn a_function_that_is_deleted_is_forgotten_and_one_that_cannot_be_listed_is_not() {
    let mut history = History::new(unguarded());
    history.load(&file(ORDERS));
    history.pass(6 * MINUTE);
    let listing = Fault::always(Misbehaviour::ServerError).on("ListFunctions");
    history.door.with(|aws, _| aws.faults.add(listing));
    history.pass(6 * MINUTE);
    assert_eq!(history.outcome("orders-worker"), Outcome::InSync, "it was seen a while ago");
    history.pass(12 * MINUTE);
    assert_eq!(history.outcome("orders-worker").state(), State::Unknown);
    history.door.with(|aws, now| {
        aws.faults.clear();
        aws.delete_function(&key("x").scope, "orders-worker", now).unwrap();
    });
    history.pass(6 * MINUTE);
    assert!(history.controller.line(&key("orders-worker")).is_none());
    assert_eq!(history.outcome("orders-api"), Outcome::InSync);
    let gone = history.notices.iter().filter(|notice| matches!(notice, Notice::Gone(_))).count();
    assert_eq!(gone, 1);
    assert!(!history.notices.iter().any(|notice| matches!(notice, Notice::Released { .. })), "the file still means it");
}

#[test]
fn a_pattern_takes_over_what_is_no_longer_named_as_an_ordinary_change() {
    let mut history = History::new(unguarded());
    let named = format!("{ORDERS}{}", entry("orders-api", "none"));
    history.load(&file(&named));
    history.pass(6 * MINUTE);
    assert!(!history.network("orders-api").is_attached(), "the name wins over the pattern");
    assert!(history.network("orders-worker").is_attached());
    history.load(&file(ORDERS));
    history.pass(MINUTE);
    assert_eq!(history.network("orders-api"), history.network("orders-worker"));
    assert!(!history.notices.iter().any(|notice| matches!(notice, Notice::Released { .. })));
}

#[test]
fn a_pattern_that_means_nothing_is_told_once_and_one_that_leaves_the_file_releases_its_functions() {
    let mut history = History::new(unguarded());
    history.load(&file(&format!("{ORDERS}{}", entry("ordres-*", "orders"))));
    history.pass(16 * MINUTE);
    let told = |history: &History, of: fn(&Notice) -> bool| history.notices.iter().filter(|notice| of(notice)).count();
    assert_eq!(told(&history, |notice| matches!(notice, Notice::Unmatched(_))), 1);
    let before = history.network("orders-api");
    history.load(&file(&entry("billing-report", "none")));
    history.pass(16 * MINUTE);
    assert_eq!(told(&history, |notice| matches!(notice, Notice::Released { network: Some(_), .. })), 2);
    assert_eq!(history.network("orders-api"), before, "released is not detached");
}

#[test]
fn a_pattern_leaves_out_what_it_says_and_what_services_made_for_themselves() {
    let mut world = World::demo().unwrap();
    let like = world.functions.iter().find(|function| function.name == "orders-api").unwrap().clone();
    for name in ["cwsyn-orders-1", "cwsyn-orders-2", "orders-edge"] {
        world.functions.push(DeclaredFunction { name: name.to_owned(), ..like.clone() });
    }
    let mut history = History::of(world, unguarded());
    let told = |history: &History| {
        let name = |notice: &Notice| match notice {
            Notice::LeftOut(it) => Some(format!("{}: {}", it.key.name, it.service)),
            _ => None,
        };
        history.notices.iter().filter_map(name).collect::<Vec<_>>()
    };
    let all = format!("{}except = ['orders-edge', 'legacy-*', 'billing-*']\n", entry("*", "vpc-0a1b2c3d4e5f60718"));
    history.load(&file(&all));
    history.pass(20 * MINUTE);
    assert!(history.network("orders-api").is_attached());
    for name in ["cwsyn-orders-1", "cwsyn-orders-2", "orders-edge"] {
        assert!(!history.network(name).is_attached(), "{name}");
        assert!(history.controller.line(&key(name)).is_none(), "{name}");
    }
    let both = ["cwsyn-orders-1: CloudWatch Synthetics", "cwsyn-orders-2: CloudWatch Synthetics"];
    assert_eq!(told(&history), both, "each is told once");
    // Less is left out, and one of them is named: both are found at once, and not at the next resync.
    let less = all.replace("'orders-edge', ", "");
    history.load(&file(&format!("{less}{}", entry("cwsyn-orders-2", "vpc-0a1b2c3d4e5f60718"))));
    history.pass(3 * MINUTE);
    assert!(history.network("orders-edge").is_attached());
    assert!(history.network("cwsyn-orders-2").is_attached());
    assert!(!history.network("cwsyn-orders-1").is_attached());
    assert_eq!(told(&history), both);
}

/// Twenty accounts with a VPC and two functions each, and the file that wants these in it.
fn twenty_accounts() -> (World, String) {
    let (mut world, mut text) = (String::new(), String::from("[defaults]\nregion = 'eu-west-1'\n"));
    for number in 0..20 {
        let account = format!("{:012}", 100_000_000_000_u64 + number);
        write!(
            world,
            "[[vpc]]\nid = 'vpc-{number:08}'\naccount = '{account}'\n[[subnet]]\nid = 'subnet-{number:08}'\nvpc = 'vpc-{number:08}'\n\
             [[role]]\nname = 'r'\naccount = '{account}'\n\
             policies = ['service-role/AWSLambdaVPCAccessExecutionRole']\n"
        )
        .unwrap();
        for name in ["a", "b"] {
            write!(world, "[[function]]\nname = '{name}'\nrole = 'r'\naccount = '{account}'\n").unwrap();
            write!(text, "[[function]]\nname = '{name}'\naccount = '{account}'\nvpc = 'vpc-{number:08}'\n").unwrap();
        }
    }
    (World::parse(&world, "twenty accounts").unwrap(), text)
}

/// How many functions are in sync, and how many updates were accepted.
fn standing(history: &History) -> (usize, usize) {
    let lines = history.controller.lines();
    (lines.filter(|line| line.outcome == Outcome::InSync).count(), history.accepted().len())
}

#[test]
fn a_throttled_account_holds_up_none_of_nineteen_others() {
    let all = |throttled: bool| {
        let (world, text) = twenty_accounts();
        let mut history = History::of(world, unguarded());
        if throttled {
            let mut fault = Fault::always(Misbehaviour::Throttled(None));
            fault.when.account = Some(lambda_vpc_controller::names::AccountId::parse("100000000000").unwrap());
            history.door.with(|aws, _| aws.faults.add(fault));
        }
        history.load(&text);
        let mut standings = Vec::new();
        for _ in 0..40 {
            history.pass(Duration::from_secs(15));
            standings.push(standing(&history));
        }
        standings
    };
    let (with, without) = (all(true), all(false));
    assert_eq!(without.last(), Some(&(40, 40)));
    assert_eq!(with.last(), Some(&(38, 38)));
    let done = |standings: &[(usize, usize)], number| standings.iter().position(|(in_sync, _)| *in_sync >= number);
    assert!(done(&with, 38) <= done(&without, 38), "{with:?} {without:?}");
}

#[test]
fn an_account_whose_role_is_refused_is_blocked_alone_with_the_reason() {
    let (own, other) = ("123456789012", "222222222222");
    let vpc = |account: &str, id: &str| {
        format!(
            "[[vpc]]\nid = 'vpc-{id:0>8}'\naccount = '{account}'\n[[subnet]]\nid = 'subnet-{id:0>8}'\nvpc = 'vpc-{id:0>8}'\n\
             [[role]]\nname = 'r'\naccount = '{account}'\n[[function]]\nname = 'f'\nrole = 'r'\naccount = '{account}'\n"
        )
    };
    let account = Account::serve(&format!("{}{}", vpc(own, "1"), vpc(other, "2")));
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let config = write(
        "controller.toml",
        format!(
            "[[account]]\nname = 'own'\nid = '{own}'\n[[account]]\nname = 'other'\nid = '{other}'\n\
             role_arn = 'arn:aws:iam::{other}:role/nobody'\n"
        ),
    );
    let functions = write(
        "functions.toml",
        "[defaults]\nregion = 'eu-west-1'\n[[function]]\nname = 'f'\naccount = 'own'\nvpc = 'vpc-00000001'\n\
         [[function]]\nname = 'f'\naccount = 'other'\nvpc = 'vpc-00000002'\n"
            .to_owned(),
    );
    let mut command = program();
    command.env("AWS_ENDPOINT_URL", &account.url).env("AWS_REGION", "eu-west-1");
    command.env("AWS_ACCESS_KEY_ID", "AKIAANY").env("AWS_SECRET_ACCESS_KEY", "any");
    let command = command.args(["plan", "--output", "json", "--config"]).arg(config).arg("--desired").arg(functions);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let [own, other] = [&plan["functions"][0], &plan["functions"][1]];
    assert_eq!(own["state"], "pending", "{plan:#}");
    assert_eq!((&other["state"], &other["reason"]), (&"unknown".into(), &"NotAssumed".into()), "{plan:#}");
    let told = other["message"].as_str().unwrap();
    assert!(told.contains("sts:AssumeRole answered AccessDenied"), "{plan:#}");
    assert!(
        told.contains("role/nobody") && !told.contains("ServiceError"),
        "it names the role, in AWS's words: {plan:#}"
    );
}

#[test]
fn an_edit_that_asks_for_another_policy_is_carried_out_although_the_last_sweep_did_not_ask_for_it() {
    let other = PolicyName::parse("service-role/AWSLambdaENIManagementAccess").unwrap();
    let allowed_policies = vec![PolicyName::vpc_access(), other];
    let mut history = History::new(Limits { allowed_policies, ..unguarded() });
    history.load(&file(ORDERS));
    history.pass(6 * MINUTE);
    assert_eq!(history.outcome("orders-api"), Outcome::InSync);
    let edited = "policies = ['service-role/AWSLambdaENIManagementAccess']\nattach_policy = 'always'\n";
    history.load(&file(&format!("{ORDERS}{edited}")));
    history.pass(Duration::from_secs(30));
    let attached = history.accepted().into_iter().filter(|call| call.starts_with("Attach")).count();
    assert_eq!(attached, 2, "one for each policy, whoever shares the role: {:?}", history.accepted());
    assert_eq!(history.outcome("orders-api"), Outcome::InSync);
}
