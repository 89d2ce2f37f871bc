//! Programs of the system that a test needs and a developer may not have.

use std::io::Write as _;
use std::path::PathBuf;

/// Where `TOOLS=required` is set, as in CI, a program that is missing fails the test; elsewhere the test is skipped.
const DEMAND: &str = "TOOLS";

/// Where a program is. None, with a word about it, where it is missing and nobody demands it.
#[track_caller]
pub(crate) fn installed(program: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|place| place.is_file());
    if found.is_none() {
        let demanded = std::env::var_os(DEMAND).is_some_and(|value| value == "required");
        assert!(!demanded, "{program} is missing: apt-get install {package}");
        // Written past the test's own output, which nobody sees of a test that passes.
        let told = writeln!(std::io::stderr(), "SKIPPED: {program} is not in the PATH (Debian's package {package})");
        told.unwrap();
    }
    found
}
