//! `completions`: what a shell needs to complete commands and flags.

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, Failure, exit, print};

pub(super) fn run(shell: Shell) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "lambda-vpc-controller", &mut script);
    print::out(&String::from_utf8_lossy(&script))?;
    Ok(exit::FINE)
}
