//! `schema`: the formats of the files, for editors.

use std::process::ExitCode;

use super::print::out_json;
use super::{Failure, SchemaArgs, exit};
use crate::desired::DesiredState;
use crate::settings::Settings;

pub(super) fn run(args: &SchemaArgs) -> Result<ExitCode, Failure> {
    let schema = if args.settings { Settings::schema() } else { DesiredState::schema() };
    out_json(&schema)?;
    Ok(exit::FINE)
}
