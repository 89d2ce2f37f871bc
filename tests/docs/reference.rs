//! The parts of the documentation that are made from the program: the keys of the two files, and the help of the commands.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clap::CommandFactory as _;
use lambda_vpc_controller::commands::Cli;
use lambda_vpc_controller::desired::DesiredState;
use lambda_vpc_controller::file::Source;
use lambda_vpc_controller::settings::{Overrides, Settings};
use serde_json::Value;

use super::page::root;
use crate::support::program;

/// A part of a page that is made from the program.
pub(super) struct Part {
    pub(super) page: &'static str,
    name: &'static str,
    make: fn() -> String,
}

pub(super) const PARTS: [Part; 3] = [
    Part { page: "docs/file.md", name: "desired", make: desired },
    Part { page: "docs/settings.md", name: "settings", make: settings },
    Part { page: "docs/commands.md", name: "commands", make: commands },
];

impl Part {
    /// The page as it stands, and with this part as it should be.
    pub(super) fn stands_and_should(&self) -> (String, String) {
        let page = fs::read_to_string(root().join(self.page)).unwrap();
        let (begin, end) = (format!("<!-- generated: {} -->\n", self.name), "<!-- end -->");
        let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("no part {}", self.name));
        let (_, after) = rest.split_once(end).unwrap_or_else(|| panic!("{} has no end", self.name));
        let should = format!("{before}{begin}\n{}\n\n{end}{after}", (self.make)().trim());
        (page, should)
    }
}

/// A table of a file: its heading, and where its keys stand in the schema.
struct Section {
    heading: &'static str,
    at: &'static str,
}

const OF_DESIRED: [Section; 4] = [
    Section { heading: "`[defaults]`", at: "/$defs/Defaults" },
    Section { heading: "`[[vpc]]`", at: "/$defs/Vpc" },
    Section { heading: "`[[function]]`", at: "/$defs/Function" },
    Section { heading: "Selectors", at: "/$defs/Selector" },
];

const OF_SETTINGS: [Section; 6] = [
    Section { heading: "The file itself", at: "" },
    Section { heading: "`[limits]`", at: "/$defs/RawLimits" },
    Section { heading: "`[guard]`", at: "/$defs/RawGuard" },
    Section { heading: "`[files]`", at: "/$defs/RawFiles" },
    Section { heading: "`[metrics]`", at: "/$defs/RawMetrics" },
    Section { heading: "`[[account]]`", at: "/$defs/RawAccount" },
];

/// The keys of a table of a schema that are no tables themselves, with what the schema says of them.
fn keys<'a>(schema: &'a Value, at: &str, sections: &'a [Section]) -> Vec<(&'a str, &'a Value)> {
    let properties = schema.pointer(&format!("{at}/properties")).and_then(Value::as_object);
    let properties = properties.unwrap_or_else(|| panic!("the schema has nothing at {at}"));
    let is_section = |about: &Value| {
        let target = about["$ref"].as_str().or_else(|| about["items"]["$ref"].as_str()).unwrap_or_default();
        sections.iter().any(|section| target == format!("#{}", section.at) && section.heading.starts_with('`'))
    };
    properties.iter().filter(|(_, about)| !is_section(about)).map(|(key, about)| (key.as_str(), about)).collect()
}

/// What a value is, in words.
fn kind(about: &Value) -> String {
    if let Some(words) = about["enum"].as_array() {
        return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    }
    let words = match (about["$ref"].as_str(), about["type"].as_str(), about["format"].as_str()) {
        (Some("#/$defs/Selector"), ..) => "[selector](#selectors)",
        (Some("#/$defs/Number"), ..) => "number",
        (None, Some("string"), Some("date-time")) => "date and time",
        (None, Some("string"), _) => "text",
        (None, Some("boolean"), _) => "true or false",
        (None, Some("integer"), _) => "whole number",
        (None, Some("array"), _) if about["items"]["type"] == "string" => "list of texts",
        (None, Some("object"), _) if about["additionalProperties"]["type"] == "string" => "table of texts",
        _ => panic!("no words for {about}"),
    };
    words.to_owned()
}

fn meaning(about: &Value) -> String {
    let text = about["description"].as_str().unwrap_or_else(|| panic!("not described: {about}"));
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn desired() -> String {
    let schema = DesiredState::schema();
    let mut text = String::new();
    for Section { heading, at } in OF_DESIRED {
        let about = schema.pointer(at).map(meaning).unwrap_or_default();
        let about = if about.starts_with('`') { String::new() } else { format!("{about}\n\n") };
        write!(text, "### {heading}\n\n{about}| key | value | meaning |\n|---|---|---|\n").unwrap();
        for (key, about) in keys(&schema, at, &OF_DESIRED) {
            writeln!(text, "| `{key}` | {} | {} |", kind(about), meaning(about)).unwrap();
        }
        text.push('\n');
    }
    text
}

fn settings() -> String {
    let schema = Settings::schema();
    let defaults: toml::Table = fs::read_to_string(root().join("config/controller.toml")).unwrap().parse().unwrap();
    let mut text = String::new();
    for Section { heading, at } in OF_SETTINGS {
        let table = heading.trim_matches(['`', '[', ']']);
        let table = if at.is_empty() { "" } else { table };
        write!(text, "### {heading}\n\n| key | value | default | meaning | in force |\n|---|---|---|---|---|\n")
            .unwrap();
        for (key, about) in keys(&schema, at, &OF_SETTINGS) {
            let of_table =
                if table.is_empty() { Some(&defaults) } else { defaults.get(table).and_then(|it| it.as_table()) };
            let default = match key {
                // The example names its own.
                "desired" => Some(format!("`{:?}`", Settings::new(&Overrides::default()).desired)),
                key => of_table.and_then(|table| table.get(key)).map(|value| format!("`{value}`")),
            };
            let restart = if needs_restart(table, key) { "after a restart" } else { "at once" };
            let (kind, default, meaning) = (kind(about), default.unwrap_or_default(), meaning(about));
            writeln!(text, "| `{key}` | {kind} | {default} | {meaning} | {restart} |").unwrap();
        }
        text.push('\n');
    }
    text
}

/// Whether a daemon has to be started again for a change of this setting: asked of the program.
fn needs_restart(table: &str, key: &str) -> bool {
    let id = "id = \"123456789012\"";
    let another = match (table, key) {
        ("", "desired") => "desired = \"other.toml\"",
        ("", "mode") => "mode = \"observe\"",
        ("", "listen") => "listen = \"127.0.0.1:1\"",
        ("", "resync") => "resync = \"7m\"",
        ("", "settle") => "settle = \"7m\"",
        ("", "versions") => "versions = true",
        ("", "audit") => "audit = \"stdout\"",
        ("", "state") => "state = \"state\"",
        ("limits", "requests_per_second") => "requests_per_second = 7",
        ("limits", "get_function_per_second") => "get_function_per_second = 7",
        ("limits", "iam_requests_per_second") => "iam_requests_per_second = 7",
        ("limits", "ec2_requests_per_second") => "ec2_requests_per_second = 7",
        ("limits", "workers") => "workers = 7",
        ("guard", "allow_detach") => "allow_detach = true",
        ("guard", "allowed_policies") => "allowed_policies = [\"ReadOnlyAccess\"]",
        ("guard", "allowed_roles") => "allowed_roles = [\"orders-*\"]",
        ("guard", "allowed_vpcs") => "allowed_vpcs = [\"vpc-0a1b2c3d4e5f60718\"]",
        ("guard", "max_changes") => "max_changes = 7",
        ("guard", "max_change_percent") => "max_change_percent = 7",
        ("guard", "approved") => "approved = [\"0123456789ab\"]",
        ("files", "roots") => "roots = [\"shared\"]",
        ("files", "new_regions") => "new_regions = [\"eu-west-9\"]",
        ("files", "max_megabytes") => "max_megabytes = 7",
        ("metrics", "per_function") => "per_function = false",
        ("account", "id") => id,
        ("account", "name") => &format!("{id}\nname = \"prod\""),
        ("account", "role_arn") => &format!("{id}\nrole_arn = \"arn:aws:iam::123456789012:role/controller\""),
        ("account", "external_id") => &format!("{id}\nexternal_id = \"orders-team\""),
        _ => panic!("write another value for `{key}` of [{table}] here, so that the program can be asked about it"),
    };
    let heading = match table {
        "" => String::new(),
        "account" => "[[account]]\n".to_owned(),
        table => format!("[{table}]\n"),
    };
    let source = Source::from_bytes(Path::new("controller.toml"), (heading + another).into_bytes()).unwrap();
    let next = Settings::check(&source, &Overrides::default()).unwrap_or_else(|said| panic!("{}", said.render(false)));
    let before = Settings::new(&Overrides::default());
    assert_ne!(next, before, "`{key}` is no other setting than the default");
    !before.needs_restart(&next).is_empty()
}

/// What `--help` prints, for the program and each of its commands.
fn commands() -> String {
    let mut text = format!("## The program\n\n```text\n{}\n```\n\n", help(&[]));
    for command in names() {
        write!(text, "## {command}\n\n```text\n{}\n```\n\n", help(&[&command])).unwrap();
    }
    text
}

/// The names of the commands.
pub(super) fn names() -> Vec<String> {
    let names: Vec<String> = Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
    names.into_iter().filter(|name| name != "help").collect()
}

fn help(command: &[&str]) -> String {
    let output = program().args(command).arg("--help").output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.trim().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}
