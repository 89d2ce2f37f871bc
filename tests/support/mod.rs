//! What several tests use.

pub(crate) mod account;
pub(crate) mod between;
pub(crate) mod browser;
pub(crate) mod history;
pub(crate) mod installed;
pub(crate) mod permitted;
pub(crate) mod process;
pub(crate) mod server;
pub(crate) mod stage;
pub(crate) mod window;

use std::process::Command;

/// The program under test, with an environment that no developer's own settings get into.
pub(crate) fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_lambda-vpc-controller"));
    program.env_clear();
    for name in ["PATH", "HOME", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            program.env(name, value);
        }
    }
    program
}
