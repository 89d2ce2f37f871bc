//! Tools from the Python package index that a test needs, installed on first use.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The path of a program that a Python package brings, such as `aws` of `awscli`.
///
/// The tools live in a virtual environment under the build's own directory. It is made on first use, under a lock, so
/// that tests which run side by side do not get in each other's way; `cargo clean` removes it.
pub(crate) fn tool(name: &str, package: &str) -> PathBuf {
    let build = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (home, lock) = (build.join("python"), build.join("python.lock"));
    let program = home.join("bin").join(name);
    fs::create_dir_all(build).unwrap();
    let lock = File::create(lock).unwrap();
    lock.lock().unwrap();
    if program.exists() {
        return program;
    }
    let python = home.join("bin/python3");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&home), "making a virtual environment");
    }
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", package];
    run(Command::new(&python).args(install), &format!("installing {package}"));
    assert!(program.exists(), "{package} was installed but brought no program `{name}`");
    program
}

fn run(command: &mut Command, doing: &str) {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{doing} needs {:?} in the PATH (Python 3 with its venv module): {error}", command.get_program())
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{doing} failed ({:?}): {said}", command.get_args().collect::<Vec<_>>());
}
