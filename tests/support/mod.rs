//! What several tests use.

pub(crate) mod account;
pub(crate) mod announced;
pub(crate) mod between;
pub(crate) mod browser;
pub(crate) mod history;
pub(crate) mod installed;
pub(crate) mod permitted;
pub(crate) mod process;
pub(crate) mod server;
pub(crate) mod stage;
pub(crate) mod window;

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// Writes a file elsewhere and renames it to its place, as editors and tools do that let nobody read half of it.
pub(crate) fn replace(path: &Path, text: impl AsRef<[u8]>) {
    let next = path.with_extension("next");
    std::fs::write(&next, text).unwrap();
    std::fs::rename(next, path).unwrap();
}

/// The program under test.
pub(crate) fn program() -> Command {
    bare(env!("CARGO_BIN_EXE_lambda-vpc-controller"))
}

/// A program with an environment that nobody's own settings get into, neither a developer's nor a CI's.
pub(crate) fn bare(program: impl AsRef<OsStr>) -> Command {
    let mut program = Command::new(program);
    program.env_clear();
    for name in ["PATH", "HOME", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            program.env(name, value);
        }
    }
    program
}
