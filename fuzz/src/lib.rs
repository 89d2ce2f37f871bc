//! What must hold for any bytes that stand where a file is expected.
//!
//! The rooms that read files are compiled in here by themselves, since the whole program has the AWS SDK in it, which
//! would take many minutes to build with counters. They need nothing of it, which the order of the rooms promises.

#[path = "../../src"]
#[allow(dead_code, unused_imports, reason = "only what reads files is called here")]
mod rooms {
    pub mod desired;
    pub mod file;
    pub mod names;
    pub mod settings;

    /// Stands for the door to AWS: reading a file goes through none.
    pub mod cloud {
        #[derive(Debug, thiserror::Error)]
        #[error("there is no AWS here")]
        pub struct CloudError;
    }
}

// The names by which the rooms know each other.
use rooms::{cloud, desired, file, names, settings};

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use desired::{Accounts, DesiredState};
use file::{Diagnostic, Level, Source, Unusable};
use names::AccountId;
use settings::{Overrides, Settings};

/// Bytes in place of a desired file: either a state whose keys are all different, or mistakes that can be shown; the same
/// each time.
pub fn desired(bytes: &[u8]) {
    let named = BTreeMap::from([("prod".to_owned(), AccountId::parse("210987654321").expect("twelve digits"))]);
    let accounts = Accounts::without_aws(named, None);
    twice(
        bytes,
        |source| DesiredState::check(source, &accounts),
        |state| {
            let keys: BTreeSet<_> = state.entries.iter().map(|entry| &entry.key).collect();
            assert_eq!(keys.len(), state.entries.len(), "a function stands twice");
            assert!(state.entries.iter().all(|entry| state.get(&entry.key) == Some(entry)));
            state.entries.iter().for_each(|entry| assert!(entry.place().line > 0));
            let ended = state.ended(names::Time(u64::MAX));
            state.warnings.iter().chain(&ended).for_each(can_be_shown);
            assert!(state.warnings.iter().all(|warning| warning.level() == Level::Warning));
            format!("{:?} {:?}", state.entries, state.warnings)
        },
    );
}

/// Bytes in place of the settings file.
pub fn settings(bytes: &[u8]) {
    twice(
        bytes,
        |source| Settings::check(source, &Overrides::default()),
        |settings| {
            assert!((1..=1000).contains(&settings.limits.workers));
            assert!(settings.limits.requests_per_second > 0.0 && settings.limits.requests_per_second <= 15.0);
            format!("{settings:?}")
        },
    );
}

/// Reads the bytes twice and compares.
fn twice<T>(bytes: &[u8], read: impl Fn(&Source) -> Result<T, Unusable>, valid: impl Fn(&T) -> String) {
    let path = Path::new("f.toml");
    let once =
        || match Source::from_bytes(path, bytes.to_vec()).map_err(Unusable::from).and_then(|source| read(&source)) {
            Ok(found) => Ok(valid(&found)),
            Err(unusable) => Err(refused(&unusable)),
        };
    assert_eq!(once(), once(), "it was read differently the second time");
}

/// What is said of a file that cannot be used.
fn refused(Unusable(said): &Unusable) -> String {
    assert!(said.iter().any(|diagnostic| diagnostic.level() == Level::Error), "refused without a mistake");
    said.iter().for_each(can_be_shown);
    Unusable(said.clone()).render(false)
}

/// Whether all that it marks is there to be marked, and people and programs can be told.
fn can_be_shown(diagnostic: &Diagnostic) {
    assert!(!diagnostic.message().is_empty());
    assert!(diagnostic.marked().all(|text| text.is_some()), "it marks what is not in the file: {diagnostic:?}");
    assert!(diagnostic.file().is_some(), "it is about no file: {diagnostic:?}");
    assert!(!diagnostic.render(true).is_empty());
    serde_json::to_string(diagnostic).expect("it is plain data");
    let (place, end) = (diagnostic.place(), diagnostic.end());
    assert!(place.map(|place| (place.line, place.column)) <= end, "it ends before it begins: {diagnostic:?}");
}
