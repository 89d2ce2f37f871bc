//! What is said of a file with mistakes: each message as a person sees it, kept as a snapshot.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use lambda_vpc_controller::desired::{Accounts, DesiredState};
use lambda_vpc_controller::file::Source;
use lambda_vpc_controller::names::{AccountId, Time};
use lambda_vpc_controller::settings::{Overrides, Settings};
use lambda_vpc_controller::telemetry::audit::Line;
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;

/// What nobody has to wait for.
const AT_ONCE: Duration = Duration::from_millis(100);

/// The processor time that it takes, whatever else the machine does meanwhile; and its result.
fn time_of<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let begun = now();
    let result = work();
    (now() - begun, result)
}

fn check(text: &str) -> Result<DesiredState, String> {
    let source = Source::from_bytes(Path::new("functions.toml"), text.as_bytes().to_vec())
        .map_err(|error| format!("error: {error}"))?;
    let named = BTreeMap::from([("prod".to_owned(), AccountId::parse("210987654321").unwrap())]);
    DesiredState::check(&source, &Accounts::without_aws(named, None)).map_err(|unusable| unusable.render(false))
}

/// Every file under `tests/fixtures/broken` is refused, with the message in its snapshot.
#[test]
fn every_broken_file_is_refused_with_its_message() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/broken");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 60, "the broken files were not found");
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).unwrap();
        let (took, said) = time_of(|| check(&text).expect_err(&name));
        assert!(took < AT_ONCE, "{name} is refused after {took:?}: a mistake takes no longer than a good file");
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, said);
        });
    }
}

/// Mistakes of one kind, so many of them, and what is said of each.
type Mistakes = (&'static str, fn(usize) -> String, &'static str);

const MISTAKES: [Mistakes; 8] = [
    (
        "no region",
        |many| lines(many, |it| format!("[[function]]\nname = 'f{it}'\nvpc = 'vpc-0a1b2c3d'\n")),
        "this function has no region",
    ),
    (
        "duplicates",
        |many| lines(many, |_| "[[function]]\nname = 'a'\nvpc = 'none'\nregion = 'eu-west-1'\n".to_owned()),
        "is listed twice",
    ),
    (
        "duplicates in one line",
        |many| format!("function = [{}]", lines(many, |_| "{name='a',vpc='none',region='eu-west-1'},".to_owned())),
        "is listed twice",
    ),
    (
        "unknown VPCs among many",
        |many| {
            let vpcs = lines(many, |it| format!("[[vpc]]\nname = 'v{it}'\nid = 'vpc-0a1b2c3d'\n"));
            vpcs + &lines(many, |it| format!("[[function]]\nname = 'f{it}'\nvpc = 'w{it}'\nregion = 'eu-west-1'\n"))
        },
        "there is no VPC",
    ),
    ("unknown keys", |many| lines(many, |it| format!("k{it} = 1\n")), "unknown key"),
    (
        "unknown keys in entries",
        |many| lines(many, |it| format!("[[function]]\nname = 'f{it}'\nk{it} = 1\n")),
        "unknown key",
    ),
    ("wrong types", |many| format!("function = [{}]", lines(many, |_| "7,".to_owned())), "wrong type"),
    ("no TOML", |many| lines(many, |_| "= 1\n".to_owned()), "not valid TOML"),
];

fn lines(many: usize, line: impl Fn(usize) -> String) -> String {
    (0..many).map(line).collect()
}

/// Nothing about mistakes is quadratic: sixteen thousand duplicates took minutes. Of each there is its place.
#[test]
fn twice_as_many_mistakes_take_twice_as_long_and_each_has_its_place() {
    for (what, made, words) in MISTAKES {
        let (_, said) = time_of(|| check(&made(300)).unwrap_err());
        assert!(said.matches(words).count() >= 299, "{what}: {said}");
        assert!(said.contains("functions.toml:"), "{what}: {said}");
        let of = |many: usize| {
            let text = made(many);
            time_of(|| check(&text).unwrap_err()).0
        };
        let (few, many) = (of(4_000), of(16_000));
        assert!(many < 8 * few + Duration::from_millis(200), "{what}: {few:?} for 4 000, {many:?} for 16 000");
        assert!(many < Duration::from_secs(10), "{what}: {many:?}");
    }
    let all = check(&MISTAKES[0].1(10_000)).unwrap_err();
    assert_eq!(all.matches(MISTAKES[0].2).count(), 10_000);
    assert!(
        all.ends_with("this function has no region (functions.toml:29998:1)"),
        "{}",
        all.lines().next_back().unwrap()
    );
}

/// Where a place is in a line of megabytes is found out once for each part of the line.
#[test]
fn places_in_a_line_of_a_megabyte_cost_no_more_than_elsewhere() {
    let entry = |it: usize| format!("{{name='f{it}',vpc='none',region='eu-west-1'}},");
    let text = format!("function = [{}]", lines(30_000, entry));
    let state = check(&text).unwrap();
    let (took, places) = time_of(|| state.entries.iter().map(|entry| entry.place()).collect::<Vec<_>>());
    assert!(took < Duration::from_secs(2), "{took:?}");
    let last = places.last().unwrap();
    assert_eq!(last.column, 1 + text.rfind("'f29999'").unwrap());
}

/// Every file under `tests/fixtures/doubtful` is legal, with the warning in its snapshot. An end in the past has passed.
#[test]
fn every_doubtful_file_is_accepted_with_its_warning() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/doubtful");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 5, "the doubtful files were not found");
    for file in files {
        let name = format!("doubtful_{}", file.file_stem().unwrap().to_string_lossy());
        let state = check(&fs::read_to_string(&file).unwrap()).unwrap_or_else(|said| panic!("{name}: {said}"));
        let warnings: Vec<_> = state.warnings.iter().cloned().chain(state.ended(Time(1_795_417_200_000))).collect();
        assert!(!warnings.is_empty(), "nothing is said of {name}");
        let said: Vec<_> = warnings.iter().map(|warning| warning.render(false)).collect();
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, said.join("\n\n"));
        });
    }
}

#[test]
fn the_examples_are_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (functions, settings, entries) in [
        ("config/functions.toml", "config/controller.toml", 4),
        ("config/demo/functions.toml", "config/demo/controller.toml", 4),
    ] {
        let state = DesiredState::load(&root.join(functions), &Accounts::without_aws(BTreeMap::new(), None));
        let state = state.unwrap_or_else(|unusable| panic!("{}", unusable.render(false)));
        assert_eq!(state.entries.len(), entries);
        assert_eq!(state.warnings, []);
        let settings = Settings::load(Some(&root.join(settings)), &Overrides::default());
        let settings = settings.unwrap_or_else(|unusable| panic!("{}", unusable.render(false)));
        assert!(settings.desired.ends_with("functions.toml"));
    }
}

#[test]
fn the_documented_defaults_are_the_defaults() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documented = Settings::load(Some(&root.join("config/controller.toml")), &Overrides::default()).unwrap();
    let defaults = Settings::new(&Overrides { desired: Some(documented.desired.clone()), ..Overrides::default() });
    assert_eq!(format!("{documented:?}"), format!("{defaults:?}"));
}

/// Every JSON block of the page about the audit trail is a record of it.
#[test]
fn the_audit_record_of_the_docs_is_one() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/audit.md")).unwrap();
    let blocks: Vec<&str> = page.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let Line::Record(record) = Line::parse(block.as_bytes()) else { panic!("no record: {block}") };
        let (shown, written): (Value, Value) =
            (serde_json::from_str(block).unwrap(), serde_json::from_str(&record.line().unwrap()).unwrap());
        assert_eq!(shown, written, "the page shows exactly the fields that are written");
    }
}
