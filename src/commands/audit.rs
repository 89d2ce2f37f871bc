//! Where `run` and `apply` record their changes. That it can be written is found out before anything is done.

use std::io::{self, IsTerminal as _};
use std::path::Path;

use super::Failure;
use crate::settings::{Audit, Settings};
use crate::telemetry::{AuditTrail, LogJournal};

/// The journal of the daemon. Its log goes to stderr, so that stdout is the trail's unless a file is named.
pub(super) fn of_daemon(settings: &Settings) -> Result<LogJournal, Failure> {
    match &settings.audit {
        Some(Audit::File(path)) => file(path),
        Some(Audit::None) => Ok(LogJournal::alone()),
        Some(Audit::Stdout) | None => stream("stdout", AuditTrail::stdout()),
    }
}

/// The journal of `apply`, whose stdout is the plan. A person at a terminal sees the changes made anyway.
pub(super) fn of_apply(settings: &Settings) -> Result<LogJournal, Failure> {
    match &settings.audit {
        Some(Audit::File(path)) => file(path),
        Some(Audit::None) => Ok(LogJournal::alone()),
        Some(Audit::Stdout) | None if io::stderr().is_terminal() => Ok(LogJournal::alone()),
        Some(Audit::Stdout) | None => stream("stderr", AuditTrail::stderr()),
    }
}

fn file(path: &Path) -> Result<LogJournal, Failure> {
    AuditTrail::file(path).map(LogJournal::with).map_err(|error| {
        Failure::Other(format!(
            "cannot write the audit trail {}: {error}; its directory must exist and be writable: mend that, name another \
             file with --audit or `audit` in the settings, or say \"none\" there to keep no trail",
            path.display()
        ))
    })
}

fn stream(name: &str, trail: io::Result<AuditTrail>) -> Result<LogJournal, Failure> {
    let wrong = |error| {
        Failure::Other(format!(
            "cannot write the audit trail to {name}: {error}; name a file with --audit, or say \"none\" to keep no trail"
        ))
    };
    trail.map(LogJournal::with).map_err(wrong)
}
