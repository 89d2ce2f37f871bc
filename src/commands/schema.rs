//! `schema`: the formats of the files, for editors, and of the API, for those who make clients.

use std::process::ExitCode;

use super::print::out_json;
use super::{Failure, SchemaArgs, exit};
use crate::desired::DesiredState;
use crate::http;
use crate::settings::Settings;

pub(super) fn run(args: &SchemaArgs) -> Result<ExitCode, Failure> {
    let schema = match args {
        SchemaArgs { settings: true, .. } => Settings::schema(),
        SchemaArgs { api: true, .. } => http::openapi(),
        SchemaArgs { .. } => DesiredState::schema(),
    };
    out_json(&schema)?;
    Ok(exit::FINE)
}
