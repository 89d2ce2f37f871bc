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
    pub mod text;

    /// Stands for the door to AWS: reading a file goes through none.
    pub mod cloud {
        #[derive(Debug, thiserror::Error)]
        #[error("there is no AWS here")]
        pub struct CloudError {
            pub class: (),
            pub code: String,
        }

        /// What the settings say of budgets.
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        pub struct Rates {
            pub lambda: f64,
            pub get_function: Option<f64>,
            pub iam: f64,
            pub ec2: f64,
        }
    }
}

// The names by which the rooms know each other.
use rooms::{cloud, desired, file, names, settings, text};

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use desired::{Accounts, DesiredState};
use file::{Diagnostic, Level, Source, Unusable};
use names::{AccountId, Time};
use settings::{Overrides, Settings};

/// Bytes in place of a desired file: either a state whose keys are all different, or mistakes that can be shown; the same
/// each time.
pub fn desired(bytes: &[u8]) {
    let named = BTreeMap::from([("prod".to_owned(), AccountId::parse("210987654321").expect("twelve digits"))]);
    let accounts = Accounts::without_aws(named, None);
    let same = |one: &DesiredState, other: &DesiredState| {
        (&one.entries, &one.warnings, &one.digest) == (&other.entries, &other.warnings, &other.digest)
    };
    let Some(state) = twice(bytes, |source| DesiredState::check(source, &accounts), same) else { return };
    let keys: BTreeSet<_> = state.entries.iter().map(|entry| &entry.key).collect();
    assert_eq!(keys.len(), state.entries.len(), "a function stands twice");
    assert!(state.entries.iter().all(|entry| state.get(&entry.key) == Some(entry)));
    let ended = state.ended(Time(u64::MAX));
    for warning in state.warnings.iter().chain(&ended) {
        assert_eq!(warning.level(), Level::Warning);
        can_be_shown(warning);
    }
}

/// Bytes in place of the settings file: either settings within their bounds, or mistakes that can be shown.
pub fn settings(bytes: &[u8]) {
    let read = |source: &Source| Settings::check(source, &Overrides::default());
    let Some(settings) = twice(bytes, read, PartialEq::eq) else { return };
    assert!((1..=1000).contains(&settings.limits.workers));
    // The defaults are those of the real door.
    let rates = settings.limits.rates;
    let bounds =
        [(rates.lambda, 15.0), (rates.iam, 100.0), (rates.ec2, 20.0), (rates.get_function.unwrap_or_default(), 100.0)];
    assert!(bounds.into_iter().all(|(rate, most)| (0.0..=most).contains(&rate)));
    assert!(settings.guard.max_change_percent <= 100);
    assert!(settings.resync.as_secs() >= 1);
}

/// Reads the bytes twice, which must give the same, and looks at the mistakes if there are any.
fn twice<T>(bytes: &[u8], read: impl Fn(&Source) -> Result<T, Unusable>, same: impl Fn(&T, &T) -> bool) -> Option<T> {
    let read = || read(&Source::from_bytes(Path::new("f.toml"), bytes.to_vec())?);
    match (read(), read()) {
        (Ok(one), Ok(other)) => {
            assert!(same(&one, &other), "valid both times, but not the same");
            Some(one)
        }
        (Err(one), Err(other)) => {
            assert_eq!(one, other, "refused both times, but not for the same");
            assert!(one.0.iter().any(|diagnostic| diagnostic.level() == Level::Error), "refused without a mistake");
            one.0.iter().for_each(can_be_shown);
            None
        }
        _ => panic!("valid one time, and refused the other"),
    }
}

/// Bytes in place of a text that is shown: it is one line, and JSON stays JSON.
pub fn shown(bytes: &[u8]) {
    let given = String::from_utf8_lossy(bytes);
    let line = text::shown(&given);
    assert!(is_one_line(&line), "{line:?}");
    assert_eq!(text::shown(&line), line, "to show it twice changes nothing");
    let (masked, moved) = text::masked(&given);
    assert!(!masked.lines().any(|line| line.replace('\t', " ").chars().any(text::unseen)));
    assert_eq!(moved.len(), given.len() + 1);
    assert!(moved.iter().all(|at| masked.is_char_boundary(*at)));
    let json = text::shown_json(serde_json::to_string(&given).expect("a text"));
    let read: String = serde_json::from_str(&json).expect("it is JSON still");
    assert!(!json.chars().chain(read.chars()).any(text::unseen), "{json:?}");
}

/// Whether a text is on one line, of bounded length, and nobody takes any of it for more than text.
fn is_one_line(line: &str) -> bool {
    let command = ["##[", "```"].iter().any(|command| line.contains(command));
    !line.chars().any(text::unseen) && !command && line.chars().count() <= text::LONGEST + 1
}

/// Whether all that it marks is there to be marked, and people and programs can be told.
fn can_be_shown(diagnostic: &Diagnostic) {
    assert!(!diagnostic.message().is_empty());
    assert!(is_one_line(diagnostic.message()), "{diagnostic:?}");
    for line in diagnostic.render(false).split('\n') {
        assert!(!line.replace('\t', " ").chars().any(text::unseen), "{line:?}");
        assert!(line.chars().count() < 4 * text::LONGEST, "{line}");
    }
    assert!(diagnostic.marked().all(|text| text.is_some()), "it marks what is not in the file: {diagnostic:?}");
    assert!(diagnostic.file().is_some(), "it is about no file: {diagnostic:?}");
    assert!(!diagnostic.render(false).is_empty());
    serde_json::to_string(diagnostic).expect("it is plain data");
    let (place, end) = (diagnostic.place(), diagnostic.end());
    assert!(place.map(|place| (place.line, place.column)) <= end, "it ends before it begins: {diagnostic:?}");
}
