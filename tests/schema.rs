//! The JSON schemas, and the example workflow, as tools that nobody here wrote understand them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::python;
use crate::support::program;

fn checker() -> Command {
    Command::new(python::tool("check-jsonschema", "check-jsonschema==0.39.*"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Writes a schema as the program prints it.
fn schema(folder: &Path, arguments: &[&str]) -> PathBuf {
    let output = program().arg("schema").args(arguments).output().unwrap();
    assert!(output.status.success());
    let file = folder.join("schema.json");
    fs::write(&file, output.stdout).unwrap();
    file
}

/// Whether the checker takes these files, and what it says.
pub(crate) fn check(schema: &Path, files: &[PathBuf]) -> (bool, String) {
    let output = checker().arg("--schemafile").arg(schema).args(files).output().unwrap();
    (
        output.status.success(),
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
    )
}

/// The TOML blocks of the README, as files.
fn readme(folder: &Path, of_functions: fn(&str) -> bool) -> Vec<PathBuf> {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let blocks = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let written = blocks.filter(|block| of_functions(block)).enumerate().map(|(number, block)| {
        let file = folder.join(format!("readme{number}.toml"));
        fs::write(&file, block).unwrap();
        file
    });
    written.collect()
}

#[test]
fn the_examples_follow_the_schemas() {
    for (arguments, name, of_readme) in [
        (&[][..], "functions.toml", (|block| block.contains("[[function]]")) as fn(&str) -> bool),
        (&["--settings"][..], "controller.toml", |block| !block.contains("[[function]]")),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut files = readme(folder.path(), of_readme);
        assert!(!files.is_empty());
        files.extend([root().join("config").join(name), root().join("config/demo").join(name)]);
        let (fine, said) = check(&schema(folder.path(), arguments), &files);
        assert!(fine, "{said}");
    }
}

#[test]
fn the_schema_refuses_what_the_program_refuses_and_describes_every_key() {
    let folder = tempfile::tempdir().unwrap();
    let schema = schema(folder.path(), &[]);
    let broken = root().join("tests/fixtures/broken");
    for name in [
        "unknown_key",
        "unknown_table",
        "wrong_types",
        "bad_mode_and_attach_policy",
        "unknown_key_in_selector",
        "ids_with_wrong_digits",
    ] {
        let (fine, said) = check(&schema, &[broken.join(format!("{name}.toml"))]);
        assert!(!fine, "{name}: {said}");
    }
    let text = fs::read_to_string(&schema).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(schema["title"], "The desired state of lambda-vpc-controller");
    for kind in ["Function", "Vpc", "Defaults", "Selector"] {
        let properties = schema["$defs"][kind]["properties"].as_object().unwrap();
        for (key, about) in properties {
            assert!(about["description"].is_string(), "{kind} {key} is not described");
        }
    }
    assert!(!text.contains("null"), "TOML has no null");
}

#[test]
fn the_example_workflow_is_one_and_calls_what_there_is() {
    let file = root().join("deploy/github/lambda-vpc.yml");
    let output = checker().args(["--builtin-schema", "vendor.github-workflows"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let text = fs::read_to_string(&file).unwrap();
    for command in ["validate --output github", "plan --desired"] {
        assert!(text.contains(command), "{command}");
        let [name, flag, ..] = command.split(' ').collect::<Vec<_>>()[..] else { panic!("{command}") };
        let help = program().args([name, "--help"]).output().unwrap();
        assert!(String::from_utf8_lossy(&help.stdout).contains(flag), "{command}");
    }
}
