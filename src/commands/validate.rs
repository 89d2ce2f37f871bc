//! `validate`: files without AWS.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use super::connect::{named_accounts, region_of_environment};
use super::print::{colour_on_stderr, out, out_json};
use super::{Failure, Output, ValidateArgs, exit};
use crate::desired::{Accounts, DesiredState};
use crate::file::Diagnostic;
use crate::settings::Settings;

/// What was found in one file.
#[derive(Serialize)]
struct Checked {
    file: PathBuf,
    valid: bool,
    functions: usize,
    diagnostics: Vec<Diagnostic>,
}

pub(super) fn run(settings: &Settings, args: &ValidateArgs) -> Result<ExitCode, Failure> {
    let accounts = Accounts::without_aws(named_accounts(settings), region_of_environment());
    let only = [settings.desired.clone()];
    let files = if args.files.is_empty() { only.as_slice() } else { args.files.as_slice() };
    let checked: Vec<Checked> = files.iter().map(|file| check(file, &accounts)).collect();
    match args.output {
        Output::Human => checked.iter().try_for_each(print)?,
        Output::Json => out_json(&checked)?,
    }
    Ok(if checked.iter().all(|file| file.valid) { exit::FINE } else { exit::ERROR })
}

fn check(file: &Path, accounts: &Accounts) -> Checked {
    let file = file.to_owned();
    match DesiredState::load(&file, accounts) {
        Ok(state) => Checked { file, valid: true, functions: state.entries.len(), diagnostics: state.warnings },
        Err(unusable) => Checked { file, valid: false, functions: 0, diagnostics: unusable.0 },
    }
}

fn print(checked: &Checked) -> Result<(), Failure> {
    for diagnostic in &checked.diagnostics {
        anstream::eprintln!("{}\n", diagnostic.render(colour_on_stderr()));
    }
    let file = checked.file.display();
    match checked.valid {
        true if checked.functions == 1 => out(&format!("{file}: valid, 1 function\n")),
        true => out(&format!("{file}: valid, {} functions\n", checked.functions)),
        false => out(&format!("{file}: not valid\n")),
    }
}
