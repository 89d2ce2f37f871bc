//! The shape of the source: which room may import which, and where the AWS SDK may be named.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms in their order. Each imports only rooms before it; the ones in one group never each other.
const ORDER: &[&[&str]] = &[
    &["names"],
    &["file"],
    &["cloud"],
    &["settings"],
    &["desired", "live"],
    &["plan"],
    &["apply"],
    &["board"],
    &["engine"],
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
    for (path, text) in sources().into_iter().filter(|(path, _)| room(path) == "plan" || room(path) == "board") {
        for word in banned {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
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

#[test]
fn the_readme_and_the_code_tell_of_the_same_metrics_and_commands() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, metrics) = sources().into_iter().find(|(path, _)| path.ends_with("telemetry/metrics.rs")).unwrap();
    let names = metrics.split('"').filter(|text| text.starts_with("lambda_vpc_"));
    let names: Vec<&str> = names.filter(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')).collect();
    assert!(names.len() > 10, "the names were not found");
    for name in names {
        assert!(readme.contains(&format!("`{name}")), "the README does not tell of {name}");
    }
    for command in ["run", "plan", "apply", "validate", "import", "schema", "undo", "demo", "simulate"] {
        assert!(readme.contains(&format!("`{command}")), "the README does not tell of {command}");
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
