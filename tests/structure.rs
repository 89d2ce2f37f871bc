//! The shape of the source: which room may import which, and where the AWS SDK may be named.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lambda_vpc_controller::names::{Clock, Time};
use lambda_vpc_controller::telemetry::{Described, Telemetry};

/// The rooms in their order. Each imports only rooms before it; the ones in one group never each other.
const ORDER: &[&[&str]] = &[
    &["text"],
    &["names"],
    &["records"],
    &["file"],
    &["cloud"],
    &["settings"],
    &["desired", "live", "rights"],
    &["plan"],
    &["apply"],
    &["board"],
    &["reconcile"],
    &["manager"],
    &["telemetry"],
    &["http"],
    &["commands"],
];
/// What the simulated account may use, and who may use it.
const SIMULATOR_USES: &[&str] = &["names", "cloud"];
const SIMULATOR_USERS: &[&str] = &["commands"];

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, into: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                into.push((path, text));
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 30, "the sources were not found");
    found
}

/// The room that a file is in, by its path below `src/`.
fn room(path: &Path) -> String {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let first = below.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// The rooms that a text names as `crate::room`, the tests in it and its comments left out.
fn imports(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = lines.flat_map(|line| [line, "\n"]).collect();
    let after = code.split("crate::").skip(1);
    after.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()).collect()
}

fn place(room: &str) -> Option<usize> {
    ORDER.iter().position(|group| group.contains(&room))
}

#[test]
fn each_room_imports_only_rooms_before_it() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let from = room(&path);
        if matches!(from.as_str(), "lib" | "main") || path.to_string_lossy().contains("/tests") {
            continue;
        }
        for to in imports(&text).into_iter().filter(|to| *to != from) {
            let fine = match (from.as_str(), to.as_str()) {
                ("simulator", to) => SIMULATOR_USES.contains(&to),
                (from, "simulator") => SIMULATOR_USERS.contains(&from),
                (from, to) => match (place(from), place(to)) {
                    (Some(from), Some(to)) => to < from,
                    _ => false,
                },
            };
            if !fine {
                wrong.push(format!("{} imports {to}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_sdk_is_named_in_the_cloud_room_alone() {
    let named = |text: &str| text.contains("aws_sdk_") || text.contains("aws_config") || text.contains("aws_smithy");
    let outside: Vec<_> = sources().into_iter().filter(|(path, text)| named(text) && room(path) != "cloud").collect();
    assert!(outside.is_empty(), "{:?}", outside.iter().map(|(path, _)| path).collect::<Vec<_>>());
    let inside = sources().iter().filter(|(_, text)| named(text)).count();
    assert!(inside > 0, "the search finds nothing any more");
}

#[test]
fn the_rooms_that_decide_know_no_clock_no_io_and_no_log() {
    let banned = ["std::fs", "std::net", "SystemTime", "Instant", "tokio::", "tracing::", "prometheus", "async fn"];
    let decides = |path: &Path| ["plan", "board", "reconcile"].contains(&room(path).as_str());
    for (path, text) in sources().into_iter().filter(|(path, _)| decides(path)) {
        for word in banned {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}

/// A scope is one account and region: what is keyed by either belongs to the manager.
#[test]
fn nothing_that_a_scope_owns_is_keyed_by_account_or_region() {
    let keyed = |line: &&str| {
        let keys = ["ScopeKey", "(ScopeKey", "FunctionKey", "AccountId", "(AccountId"];
        keys.iter().any(|key| line.contains(&format!("Map<{key}")) || line.contains(&format!("Set<{key}")))
    };
    let mut lines = Vec::new();
    for (path, text) in sources() {
        // What is about several scopes stands on the page of the room: a plan of all of them, and what a person agreed to.
        let of_one = ["reconcile", "plan", "live"].contains(&room(&path).as_str()) && !path.ends_with("plan/mod.rs");
        if of_one && !path.to_string_lossy().contains("/tests") {
            lines.extend(text.lines().filter(keyed).map(|line| format!("{}: {}", path.display(), line.trim())));
        }
    }
    assert!(lines.is_empty(), "{lines:#?}");
}

#[test]
fn only_apply_is_given_the_trait_that_changes_aws() {
    let mut users = Vec::new();
    for (path, text) in sources() {
        let lists = text.split("cloud::{").skip(1).filter_map(|rest| rest.split('}').next());
        let listed = lists.flat_map(|list| list.split(',')).any(|name| ["Write", "Cloud"].contains(&name.trim()));
        let word = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric()).collect::<String>();
        let named = text.split("cloud::").skip(1).any(|rest| ["Write", "Cloud"].contains(&word(rest).as_str()));
        if listed || named {
            users.push(room(&path));
        }
    }
    users.sort();
    users.dedup();
    // The page of the crate names it, and the simulated account implements it.
    assert_eq!(users, ["apply", "lib", "simulator"]);
}

/// Whoever comes anew finds by this page where something is.
#[test]
fn every_file_that_the_architecture_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let quoted = page.split('`').skip(1).step_by(2);
    let folders = ["src/", "tests/", "docs/", "deploy/", "config/", "benches/", "fuzz/"];
    let named: Vec<&str> = quoted.filter(|it| folders.iter().any(|folder| it.starts_with(folder))).collect();
    assert!(named.len() > 30, "the search finds nothing any more: {named:?}");
    let there = |name: &str| root.join(name).exists() || root.join(format!("{name}.rs")).exists();
    let missing: Vec<&&str> = named.iter().filter(|name| !there(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The metrics as the code has them: name, kind and labels.
fn metrics() -> BTreeMap<String, (String, Vec<String>)> {
    let metrics = Telemetry::new(true, Clock::new(|| Time(0))).unwrap();
    let one = |it: &Described| (it.name.clone(), (it.kind.to_owned(), it.labels.clone()));
    metrics.described().iter().map(one).collect()
}

#[test]
fn the_table_of_metrics_is_that_of_the_code() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md")).unwrap();
    let quoted = |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let mut table = BTreeMap::new();
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let [_, name, kind, labels, meaning, _] = row.split('|').collect::<Vec<_>>()[..] else { panic!("{row}") };
        assert!(!meaning.trim().is_empty(), "{row}");
        table.insert(quoted(name).remove(0), (kind.trim().to_owned(), quoted(labels)));
    }
    assert_eq!(table, metrics());
}

#[test]
fn the_readme_tells_of_metrics_that_there_are_and_of_every_command() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let known = metrics();
    let word = |rest: &str| rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>();
    let named: Vec<String> =
        readme.split("lambda_vpc_").skip(1).map(|rest| format!("lambda_vpc_{}", word(rest))).collect();
    assert!(named.len() > 3, "the names were not found");
    for name in named.iter().filter(|name| *name != "lambda_vpc_controller") {
        assert!(known.contains_key(name), "the README tells of {name}, which is not there");
    }
    let help = crate::support::program().arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, commands) = help.split_once("Commands:").unwrap();
    let names = commands.lines().take_while(|line| !line.starts_with("Options")).filter_map(|line| {
        let name = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '))?.split(' ').next()?;
        (name != "help").then_some(name)
    });
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 8, "{names:?}");
    for command in names {
        assert!(readme.contains(&format!("| `{command}")), "the README does not tell of {command}");
    }
}

#[test]
fn every_reason_has_its_sentence_in_the_docs_and_the_docs_have_no_other() {
    use lambda_vpc_controller::plan::Reason;
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reasons.md")).unwrap();
    let headings: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let mut names: Vec<&str> = Reason::ALL.iter().map(|reason| reason.name()).collect();
    let flowing = page.split_whitespace().collect::<Vec<_>>().join(" ");
    for reason in Reason::ALL {
        let expected = format!("### {} {}", reason.name(), reason.sentence());
        assert!(flowing.contains(&expected), "docs/reasons.md does not say: {expected}");
    }
    let mut documented = headings.clone();
    documented.sort_unstable();
    names.sort_unstable();
    assert_eq!(documented, names);
    for link in page.split("](#").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(headings.iter().any(|heading| heading.to_lowercase() == link), "no heading for #{link}");
    }
}
