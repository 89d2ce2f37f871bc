//! `validate`: files and directories without AWS.

mod github;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use super::connect::{clock, desired_at, named_accounts, region_of_environment};
use super::print::{self, counted, out, out_json};
use super::{Failure, ValidateArgs, ValidateOutput, exit};
use crate::desired::{Accounts, At, DesiredState, Files, Terms};
use crate::file::{Beside, Diagnostic, Unusable, render_all};
use crate::names::Time;
use crate::plan::{self, Limits};
use crate::settings::Settings;
use crate::text::shown;

/// What was found in one file, or in all files of one directory.
#[derive(Serialize)]
struct Checked {
    file: PathBuf,
    valid: bool,
    functions: usize,
    patterns: usize,
    diagnostics: Vec<Diagnostic>,
}

/// Validates; with limits, what exceeds them is told as well.
pub(super) async fn run(
    settings: &Settings,
    limits: Option<&Limits>,
    args: &ValidateArgs,
) -> Result<ExitCode, Failure> {
    let accounts = Accounts::without_aws(named_accounts(settings), region_of_environment());
    let accounts = Accounts { new_regions: settings.new_regions.clone(), ..accounts };
    let only = [settings.desired.clone()];
    let files = if args.files.is_empty() { only.as_slice() } else { args.files.as_slice() };
    let now = clock().wall();
    let mut checked = Vec::new();
    for file in files {
        let (at, accounts) = (At { path: file.clone(), ..desired_at(settings) }, accounts.clone());
        let read = move || DesiredState::of(&Files::read(&at.path, &at.allowed), &accounts);
        let state = Beside::default().at(file, read).await.map_err(Unusable::from).and_then(|state| state);
        checked.push(Checked::of(file, state, limits, now));
    }
    match args.output {
        ValidateOutput::Human => checked.iter().try_for_each(print)?,
        ValidateOutput::Github => checked.iter().try_for_each(annotate)?,
        ValidateOutput::Json => out_json(&checked)?,
    }
    Ok(if checked.iter().all(|file| file.valid) { exit::FINE } else { exit::ERROR })
}

impl Checked {
    fn of(file: &Path, state: Result<DesiredState, Unusable>, limits: Option<&Limits>, now: Time) -> Self {
        let file = file.to_owned();
        match state {
            Ok(state) => {
                let ended = state.ended(now);
                let exceeding = limits.map(|limits| exceeding(&state, limits)).unwrap_or_default();
                let diagnostics = state.warnings.iter().cloned().chain(ended).chain(exceeding).collect();
                let (functions, patterns) = (state.entries.len(), state.patterns.len());
                Self { file, valid: true, functions, patterns, diagnostics }
            }
            Err(unusable) => Self { file, valid: false, functions: 0, patterns: 0, diagnostics: unusable.0 },
        }
    }
}

/// Points at functions and patterns that the settings will not let through, whatever is found in AWS.
fn exceeding(state: &DesiredState, limits: &Limits) -> Vec<Diagnostic> {
    let told = |(name, terms): (&str, &Terms)| {
        let why = plan::refused(limits, &terms.want)?;
        let text = format!("the settings will keep `{name}` as it is");
        Some(Diagnostic::warning(&terms.source, &terms.span, text, why.reason.name()).help(why.to_string()))
    };
    state.written().filter_map(told).collect()
}

fn print(checked: &Checked) -> Result<(), Failure> {
    if !checked.diagnostics.is_empty() {
        print::tell(&format!("{}\n", render_all(&checked.diagnostics, true)));
    }
    out(&summary(checked))
}

fn annotate(checked: &Checked) -> Result<(), Failure> {
    let commands = checked.diagnostics.iter().map(|diagnostic| github::command(diagnostic) + "\n");
    out(&(commands.collect::<String>() + &summary(checked)))
}

fn summary(Checked { file, valid, functions, patterns, diagnostics: _ }: &Checked) -> String {
    let file = file.to_string_lossy();
    let file = shown(&file);
    let functions = counted(*functions, "function");
    match (valid, patterns) {
        (false, _) => format!("{file}: not valid\n"),
        (true, 0) => format!("{file}: valid, {functions}\n"),
        (true, _) => format!("{file}: valid, {functions}, {}\n", counted(*patterns, "pattern")),
    }
}
