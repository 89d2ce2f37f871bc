//! Published versions behind aliases: found with few calls, told and counted, and never acted upon.

use std::time::Duration;

use lambda_vpc_controller::cloud::{Alias, Listing};
use lambda_vpc_controller::manager::Observer as _;
use lambda_vpc_controller::names::{AliasName, Version};
use lambda_vpc_controller::plan::{Limits, Outcome};
use lambda_vpc_controller::reconcile::Notice;
use lambda_vpc_controller::simulator::{Fault, Misbehaviour, World};
use lambda_vpc_controller::telemetry::Telemetry;

use crate::support::history::{History, key, settings};

const MINUTE: Duration = Duration::from_secs(60);

/// The demo's functions, published: `legacy-report` once before it was attached and once after, `orders-api` before the
/// file wanted it in a VPC, and `billing-report` as it is.
pub(crate) fn published() -> World {
    let attached = "subnets = ['subnet-0a1a1a1a1a1a1a1a1', 'subnet-0b2b2b2b2b2b2b2b2'], security_groups = ['sg-0d0d0d0d0d0d0d0d1']";
    let rows = [
        (
            "legacy-report",
            format!("versions = [{{ version = 1 }}, {{ version = 2, {attached} }}]\naliases = {{ live = 2, old = 1 }}"),
        ),
        ("orders-api", "versions = [{ version = 1 }]\naliases = { live = 1 }".to_owned()),
        ("billing-report", "versions = [{ version = 1 }]\naliases = { live = 1 }".to_owned()),
    ];
    let mut world = World::demo().unwrap();
    for (name, lines) in rows {
        let more =
            World::parse(&format!("[[function]]\nname = '{name}'\n{lines}\n"), "test").unwrap().functions.remove(0);
        let function = world.functions.iter_mut().find(|function| function.name == name).unwrap();
        (function.versions, function.aliases) = (more.versions, more.aliases);
    }
    world
}

pub(crate) const FILE: &str = "[defaults]\nregion = 'eu-west-1'\naccount = '123456789012'\n\
    [[vpc]]\nname = 'orders'\nid = 'vpc-0a1b2c3d4e5f60718'\n\
    [[function]]\nname = 'legacy-report'\nvpc = 'orders'\n\
    subnets = { ids = ['subnet-0a1a1a1a1a1a1a1a1', 'subnet-0b2b2b2b2b2b2b2b2'] }\n\
    [[function]]\nname = 'orders-api'\nvpc = 'orders'\n\
    [[function]]\nname = 'orders-worker'\nvpc = 'orders'\n\
    [[function]]\nname = 'billing-report'\nvpc = 'none'\n";

fn limits() -> Limits {
    Limits { guard: None, ..Limits::of(&settings()) }
}

fn history(listing: Listing) -> History {
    let mut history = History::of(published(), limits());
    history.list(limits(), listing);
    history.load(FILE);
    history
}

/// How many versions were told to be behind, each time.
fn told(history: &History) -> Vec<Option<usize>> {
    let behind = |notice: &Notice| match notice {
        Notice::Behind { versions, .. } => Some(*versions),
        _ => None,
    };
    history.notices.iter().filter_map(behind).collect()
}

/// What is told of a function's versions.
fn warning(history: &History, name: &str) -> String {
    let plan = history.controller.plan(history.clock.now()).unwrap();
    let line = plan.lines.into_iter().find(|line| line.entry.key == key(name)).unwrap();
    line.comparison.warnings.join("; ")
}

#[test]
fn aliases_are_read_once_an_hour_where_a_version_lags_and_nowhere_else() {
    let mut history = history(Listing::All);
    let aliases = |history: &History| history.door.count("ListAliases");
    history.pass(4 * MINUTE);
    assert_eq!(aliases(&history), 1, "`legacy-report`: no other has a version that runs another network than $LATEST");
    assert_eq!(history.outcome("orders-api"), Outcome::InSync);
    history.pass(2 * MINUTE);
    assert_eq!(aliases(&history), 2, "`orders-api` has left its version behind");
    history.pass(50 * MINUTE);
    assert_eq!(aliases(&history), 2);
    history.pass(12 * MINUTE);
    assert_eq!(aliases(&history), 4, "an hour is over for both");
    assert_eq!(history.door.count("ListFunctions"), 14, "one page each five minutes");
    assert_eq!(told(&history), [Some(2)], "the number is told when it is another one");
    assert!(warning(&history, "legacy-report").contains("version 1 runs another network, and the alias `old`"));
    assert!(warning(&history, "orders-api").contains("version 1 runs another network, and the alias `live`"));
    assert_eq!([warning(&history, "billing-report"), warning(&history, "orders-worker")], ["", ""]);
    history.assert_nothing_left_to_do();
}

#[test]
fn whoever_publishes_and_moves_the_alias_is_told_so_by_the_next_sweep() {
    let mut history = history(Listing::All);
    history.pass(6 * MINUTE);
    let at = key("x").scope;
    history.door.with(|aws, now| {
        let version = aws.publish_version(&at, "orders-api", now).unwrap().version.unwrap();
        assert_eq!(version, Version(2));
        let alias = Alias { name: AliasName::parse("live").unwrap(), versions: [version].into() };
        aws.set_alias(&at, "orders-api", alias, now).unwrap();
    });
    let before = history.door.count("ListAliases");
    history.pass(5 * MINUTE);
    assert_eq!(history.door.count("ListAliases"), before + 1, "another version was published");
    assert!(warning(&history, "orders-api").ends_with("version 1 runs another network, but no alias leads there"));
    assert_eq!(told(&history), [Some(2)], "the old version is still there");
    history.door.with(|aws, now| aws.delete_function(&at, "legacy-report", now)).unwrap();
    history.pass(5 * MINUTE);
    assert_eq!(told(&history), [Some(2), Some(1)]);
}

#[test]
fn nobody_is_asked_about_versions_unless_the_operator_wants_to_know() {
    let mut history = history(Listing::Latest);
    history.pass(11 * MINUTE);
    assert_eq!(history.door.count("ListAliases"), 0);
    assert_eq!(told(&history), []);
    assert_eq!(warning(&history, "legacy-report"), "");
    history.list(limits(), Listing::All);
    assert_eq!(told(&history), [Some(2)], "at once");
    history.list(limits(), Listing::Latest);
    assert_eq!(told(&history), [Some(2), None]);
    assert_eq!(warning(&history, "legacy-report"), "");
    history.list(limits(), Listing::All);
    history
        .load("[defaults]\nregion = 'eu-west-1'\n[[function]]\nname = 'f'\naccount = '222222222222'\nvpc = 'none'\n");
    assert_eq!(told(&history), [Some(2), None, Some(2), None], "nobody asks about that account any more");
}

#[test]
fn aliases_that_cannot_be_read_keep_no_version_from_being_counted_and_no_function_from_its_network() {
    let rows = [
        // How often it was called again: for what may pass, at once in the first sweep; in the second one for one that lags
        // since then, and perhaps again for the other.
        (Misbehaviour::Denied, 1),
        (Misbehaviour::ServerError, 4 + 2),
        (Misbehaviour::Throttled(None), 4 + 2),
    ];
    for (answer, calls) in rows {
        let mut history = History::of(published(), limits());
        history.door.with(|aws, _| aws.faults.add(Fault::always(answer.clone()).on("ListAliases")));
        history.list(limits(), Listing::All);
        history.load(FILE);
        history.pass(4 * MINUTE);
        assert_eq!(history.outcome("orders-api"), Outcome::InSync, "{answer:?}");
        // The one that lags since.
        history.pass(2 * MINUTE);
        assert_eq!(history.door.count("ListAliases"), 1 + calls, "{answer:?}");
        assert!(history.notices.iter().all(|notice| !matches!(notice, Notice::Swept { fault: Some(_), .. })));
        assert_eq!(told(&history), [Some(2)], "{answer:?}");
        assert!(warning(&history, "legacy-report").contains("aliases may lead there"), "{answer:?}");
    }
}

#[test]
fn the_metric_is_there_as_long_as_somebody_wants_to_know() {
    let mut history = history(Listing::All);
    let telemetry = Telemetry::new(false, history.clock.clock()).unwrap();
    let tell = |history: &mut History| {
        history.notices.drain(..).for_each(|notice| telemetry.notice(&notice));
        telemetry.metrics_text()
    };
    let series = "lambda_vpc_versions_behind{account=\"123456789012\",region=\"eu-west-1\"}";
    assert!(tell(&mut history).contains(&format!("{series} 2\n")));
    history.list(limits(), Listing::Latest);
    assert!(!tell(&mut history).contains(series));
}

#[test]
fn a_listing_that_fails_changes_no_number_and_costs_no_further_call() {
    let mut history = history(Listing::All);
    history.pass(6 * MINUTE);
    let listing = Fault::always(Misbehaviour::ServerError).on("ListFunctions");
    history.door.with(|aws, _| aws.faults.add(listing));
    history.pass(6 * MINUTE);
    history.door.with(|aws, _| aws.faults.clear());
    history.pass(6 * MINUTE);
    assert_eq!(history.outcome("orders-api"), Outcome::InSync);
    assert_eq!(told(&history), [Some(2)]);
    assert_eq!(history.door.count("ListAliases"), 2, "what was known of the aliases still counts");
}
