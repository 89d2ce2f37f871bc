//! `validate`: files without AWS.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use super::connect::named_accounts;
use super::print::colour_on_stderr;
use super::{Failure, Output, ValidateArgs, exit};
use crate::desired::{Accounts, DesiredState};
use crate::file::{Diagnostic, Unusable};
use crate::names::Region;
use crate::settings::Settings;

/// What was found in one file.
#[derive(Serialize)]
struct Checked {
    file: PathBuf,
    valid: bool,
    functions: usize,
    diagnostics: Vec<Diagnostic>,
    /// Why the file could not even be parsed.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<String>,
}

pub(super) fn run(settings: &Settings, args: &ValidateArgs) -> Result<ExitCode, Failure> {
    let region = ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().find_map(|name| std::env::var(name).ok());
    let region = region.and_then(|text| Region::parse(&text).ok());
    let accounts = Accounts::without_aws(named_accounts(settings), region);
    let only = [settings.desired.clone()];
    let files = if args.files.is_empty() { only.as_slice() } else { args.files.as_slice() };
    let checked: Vec<Checked> = files.iter().map(|file| check(file, &accounts)).collect();
    match args.output {
        Output::Human => checked.iter().for_each(print),
        Output::Json => {
            let json = serde_json::to_string_pretty(&checked);
            let json = json.map_err(|error| Failure::Other(format!("the result cannot be written: {error}")))?;
            anstream::println!("{json}");
        }
    }
    Ok(if checked.iter().all(|file| file.valid) { exit::FINE } else { exit::ERROR })
}

fn check(file: &Path, accounts: &Accounts) -> Checked {
    let file = file.to_owned();
    let bad =
        |diagnostics, unreadable| Checked { file: file.clone(), valid: false, functions: 0, diagnostics, unreadable };
    match DesiredState::load(&file, accounts) {
        Ok(state) => Checked {
            valid: true,
            functions: state.entries.len(),
            diagnostics: state.warnings,
            unreadable: None,
            file: file.clone(),
        },
        Err(Unusable::Mistaken(diagnostics)) => bad(diagnostics, None),
        Err(Unusable::Unread(error)) => bad(Vec::new(), Some(error.to_string())),
    }
}

fn print(checked: &Checked) {
    for diagnostic in &checked.diagnostics {
        anstream::eprintln!("{}\n", diagnostic.render(colour_on_stderr()));
    }
    if let Some(text) = &checked.unreadable {
        anstream::eprintln!("error: {text}\n");
    }
    let file = checked.file.display();
    match checked.valid {
        true if checked.functions == 1 => anstream::println!("{file}: valid, 1 function"),
        true => anstream::println!("{file}: valid, {} functions", checked.functions),
        false => anstream::println!("{file}: not valid"),
    }
}
