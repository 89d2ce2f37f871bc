//! When a content that was read is taken up: at once if it arrived as a whole, otherwise when it has been calm for a while.
//!
//! The beginning of a file is often valid as well, and says something else: an entry whose `mode = "observe"` is not written yet
//! is enforced. A file that was renamed to its place, or that a link was led to, was complete before. One that is written in its place may
//! be half written, and nobody can know; so it is taken up when nothing has happened to it for a while, and for a longer while if it
//! looks cut short beside what is in force. That costs seconds and never a wrong write, as long as whoever writes pauses
//! no longer than that, or keeps the file open meanwhile, which the system's events tell.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::Files;
use super::traces::Traces;
use crate::file::{Print, Source, Stamp};
use crate::text::shown_within;

/// A file that was modified a moment ago may be written at this moment; before there is anything to compare it with, this is waited.
const YOUNG: Duration = Duration::from_millis(300);
/// What was written in its place is taken up after this long without a change.
const IN_PLACE: Duration = Duration::from_secs(10);
/// The same of what looks cut short.
const CUT: Duration = Duration::from_secs(30);
/// What never comes to rest is told after this long, and never taken up.
const AT_MOST: Duration = Duration::from_secs(5 * 60);

/// Why a content is not taken up at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It may be written at this moment.
    Young,
    /// It was written in its place.
    InPlace,
    /// So it was, and it looks cut short: what is missing.
    Cut(String),
}

/// Whether a content is taken up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Now.
    Now,
    /// Not before this time has passed without a change.
    Wait(Duration, Doubt),
    /// Never: it is written again and again.
    Restless,
}

/// How long what was read has been as it is.
#[derive(Debug, Default)]
pub(super) struct Calm {
    /// Since when something else than what is in force is there.
    begun: Option<Instant>,
    /// What is there, and since when it has been so.
    seen: Option<(Vec<(PathBuf, Stamp)>, Instant)>,
}

impl Calm {
    /// Whether what was read is taken up; `before` was taken up last, and is none at the beginning. Where the disk is full, what
    /// is written in its place cannot be complete.
    pub(super) fn judge(&mut self, before: Option<&Files>, files: &Files, traces: &Traces, full: bool) -> Verdict {
        let now = Instant::now();
        let begun = *self.begun.get_or_insert(now);
        let stamps: Vec<_> = files.each().map(|(source, print)| (source.path().to_owned(), print.stamp)).collect();
        let since = match &self.seen {
            Some((seen, since)) if *seen == stamps => *since,
            _ => {
                self.seen = Some((stamps, now));
                now
            }
        };
        let Some(doubt) = doubt(before, files, traces) else { return Verdict::Now };
        let patience = match &doubt {
            Doubt::Young => YOUNG,
            Doubt::InPlace => IN_PLACE,
            Doubt::Cut(_) => CUT,
        };
        let left = patience.saturating_sub(now - since);
        let unfinished = full || files.each().any(|(_, print)| traces.is_written(&print.end));
        match (unfinished, left) {
            (false, Duration::ZERO) => Verdict::Now,
            _ if now - begun >= AT_MOST => Verdict::Restless,
            (true, _) => Verdict::Wait(left.max(IN_PLACE), doubt),
            (false, left) => Verdict::Wait(left, doubt),
        }
    }
}

/// What is doubtful about a content beside what was taken up before.
fn doubt(before: Option<&Files>, files: &Files, traces: &Traces) -> Option<Doubt> {
    let Some(before) = before else {
        let young = |print: &Print| is_young(print.stamp.modified);
        return files.each().any(|(_, print)| young(print)).then_some(Doubt::Young);
    };
    let known: BTreeMap<&Path, (&Source, &Print)> =
        before.each().map(|(source, print)| (source.path(), (source, print))).collect();
    let in_place: Vec<_> = files
        .each()
        .map(|(source, print)| (source, print, known.get(source.path()).copied()))
        .filter(|(_, print, before)| !is_whole(print, before.map(|(_, print)| print), traces))
        .collect();
    let names: BTreeSet<&Path> = files.sources().iter().map(Source::path).collect();
    let gone = known.iter().any(|(path, (_, print))| !names.contains(path) && !was_led_elsewhere(print, files));
    if in_place.is_empty() && !gone {
        return None;
    }
    let cut = in_place
        .iter()
        .find_map(|(source, _, before)| lost_its_end(source.text(), before.map(|(source, _)| source.text())));
    match cut.or_else(|| vanished(before, files)) {
        Some(what) => Some(Doubt::Cut(what)),
        None => Some(Doubt::InPlace),
    }
}

fn is_young((seconds, nanoseconds): (i64, i64)) -> bool {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let modified =
        Duration::new(u64::try_from(seconds).unwrap_or_default(), u32::try_from(nanoseconds).unwrap_or_default());
    since.saturating_sub(modified) < YOUNG
}

/// Whether a file is as it was, or was complete before it came to where it is.
fn is_whole(print: &Print, before: Option<&Print>, traces: &Traces) -> bool {
    if before.is_some_and(|before| before.stamp == print.stamp) {
        return true;
    }
    if before.is_some_and(|before| before.stamp.is_of_the_file_of(&print.stamp)) {
        return false;
    }
    let Stamp { modified, changed, .. } = print.stamp;
    let is_new = |link: &&crate::file::Link| before.is_none_or(|before| !before.links.contains(link));
    let led_to = print.links.iter().filter(is_new).any(|link| link.put_at() >= modified || traces.arrived(&link.at));
    // A rename counts as a change of the file, but not of its content.
    led_to || changed > modified || traces.arrived(&print.end)
}

/// Whether a link on the way to a file that was read before leads elsewhere now, and so all files of its tree are others.
fn was_led_elsewhere(print: &Print, files: &Files) -> bool {
    let now: Vec<&crate::file::Link> = files.each().flat_map(|(_, print)| &print.links).collect();
    print.links.iter().any(|link| now.iter().any(|other| other.at == link.at) && !now.contains(&link))
}

/// What shows that a file which was written in its place ends too early.
fn lost_its_end(text: &str, before: Option<&str>) -> Option<String> {
    if !text.ends_with('\n') && before.is_none_or(|before| before.ends_with('\n')) {
        return Some("its last line has no end".to_owned());
    }
    let before = before?;
    let last = |text: &str| text.trim_end().lines().next_back().unwrap_or_default().trim().to_owned();
    if text.len() < before.len() && last(text) != last(before) {
        return Some("it is shorter than before, and ends otherwise".to_owned());
    }
    let (now, then) = (Outline::of(text), Outline::of(before));
    let (table, keys) = now.last.as_ref()?;
    let mut others = then.tables.iter().filter(|(other, _)| other == table).map(|(_, keys)| keys).peekable();
    let lacks = |other: &BTreeSet<&str>| other.difference(keys).next().map(|key| (*key).to_owned());
    others.peek()?;
    let lost: Vec<Option<String>> = others.map(lacks).collect();
    let key = lost.into_iter().collect::<Option<Vec<_>>>()?.into_iter().next()?;
    Some(format!("`{}` of {} is missing", shown_within(&key, 40), table.in_words()))
}

/// A table that is in none of the files any more.
fn vanished(before: &Files, files: &Files) -> Option<String> {
    let all = |files: &Files| -> Vec<String> {
        let tables = files
            .sources()
            .iter()
            .flat_map(|source| Outline::of(source.text()).tables.into_iter().map(|(table, _)| table.in_words()));
        tables.collect()
    };
    let now: BTreeSet<String> = all(files).into_iter().collect();
    all(before).into_iter().find(|table| !now.contains(table)).map(|table| format!("{table} is missing"))
}

/// The tables of a file and their keys, as far as its lines tell. It need not be right of every legal file: what it takes for
/// missing costs seconds.
struct Outline<'a> {
    tables: Vec<(Table<'a>, BTreeSet<&'a str>)>,
    last: Option<(Table<'a>, BTreeSet<&'a str>)>,
}

/// A table: its header, and of an entry its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Table<'a> {
    header: &'a str,
    name: &'a str,
}

impl Table<'_> {
    fn in_words(&self) -> String {
        let Self { header, name } = self;
        let words = if name.is_empty() { (*header).to_owned() } else { format!("{header} {name}") };
        shown_within(&words, 100).into_owned()
    }
}

impl<'a> Outline<'a> {
    fn of(text: &'a str) -> Self {
        let mut tables: Vec<(Table<'a>, BTreeSet<&'a str>)> = vec![Default::default()];
        for line in text.lines().map(str::trim) {
            if line.starts_with('[') {
                let header = line.split('#').next().unwrap_or_default().trim();
                tables.push((Table { header, name: "" }, BTreeSet::new()));
            } else if let (Some((key, value)), Some((table, keys))) = (line.split_once('='), tables.last_mut())
                && !line.starts_with('#')
            {
                let key = key.trim();
                keys.insert(key);
                if matches!(key, "name" | "arn") {
                    table.name = value.split('#').next().unwrap_or_default().trim();
                }
            }
        }
        tables.retain(|(table, keys)| !table.header.is_empty() || !keys.is_empty());
        Self { last: tables.last().cloned(), tables }
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, AccessMode, DataChange, ModifyKind, RenameMode};
    use notify::{Event, EventKind};
    use proptest::prelude::*;

    use super::*;
    use crate::desired::{Accounts, DesiredState};

    const PATH: &str = "/d/f.toml";
    const DATA: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
    const MOVED: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::To));

    /// A file with this text, which is this one on its disk and was written at this time, and renamed at that if ever.
    fn file(text: &str, inode: u64, written: i64, renamed: Option<i64>) -> Files {
        let source = Source::from_bytes(Path::new(PATH), text.into()).unwrap();
        let changed = (renamed.unwrap_or(written), 0);
        let stamp = Stamp { file: (1, inode), made: None, length: text.len() as u64, modified: (written, 0), changed };
        Files::read_so(source, Print { end: PATH.into(), links: Vec::new(), stamp })
    }

    fn happens(traces: &Traces, kind: EventKind) {
        traces.note(&Ok(Event::new(kind).add_path(PATH.into())));
    }

    const TWO: &str =
        "[[function]]\nname = 'a'\nvpc = 'none'\n\n[[function]]\nname = 'b'\nvpc = 'none'\nmode = 'observe'\n";

    #[tokio::test(start_paused = true)]
    async fn how_long_is_waited_depends_on_how_a_file_arrived_and_on_what_it_lacks() {
        let before = file(TWO, 1, 100, None);
        let without = |words: &str| TWO.replacen(words, "", 1);
        let more = format!("{TWO}reason = 'x'\n");
        let longer = format!("# edited, and much longer than before\n{}", without("mode = 'observe'\n"));
        for (what, files, moved, expected) in [
            ("nothing was changed", file(TWO, 1, 100, None), false, Duration::ZERO),
            (
                "renamed, as its stamp tells",
                file(&without("mode = 'observe'\n"), 2, 200, Some(201)),
                false,
                Duration::ZERO,
            ),
            ("renamed, as an event tells", file(&without("mode = 'observe'\n"), 2, 200, None), true, Duration::ZERO),
            ("made in its place", file(&more, 2, 200, None), false, IN_PLACE),
            ("written in its place", file(&more, 1, 200, None), false, IN_PLACE),
            ("written in its place, its rights changed", file(&more, 1, 200, Some(201)), false, IN_PLACE),
            ("a key of the last entry is gone", file(&longer, 1, 200, None), false, CUT),
            ("the last line has no end", file(more.trim_end(), 1, 200, None), false, CUT),
            ("the last entry is gone", file(&TWO[..44], 1, 200, None), false, CUT),
            ("an entry is another one", file(&TWO.replace("'a'", "'c'"), 1, 200, None), false, CUT),
            ("a line of it is gone", file(&without("vpc = 'none'\n"), 1, 200, None), false, IN_PLACE),
        ] {
            let traces = Traces::default();
            if moved {
                happens(&traces, MOVED);
            }
            let wait = match Calm::default().judge(Some(&before), &files, &traces, false) {
                Verdict::Now => Duration::ZERO,
                Verdict::Wait(wait, _) => wait,
                Verdict::Restless => panic!("{what}"),
            };
            assert_eq!(wait, expected, "{what}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_still_has_the_file_open_is_waited_for_and_a_full_disk_and_an_unrest_without_end_are_never_taken_up() {
        let before = file(TWO, 1, 100, None);
        let (traces, mut calm) = (Traces::default(), Calm::default());
        let half = file(&TWO[..44], 1, 200, None);
        happens(&traces, DATA);
        for _ in 0..20 {
            let verdict = calm.judge(Some(&before), &half, &traces, false);
            assert!(matches!(verdict, Verdict::Wait(wait, _) if wait >= IN_PLACE), "{verdict:?}");
            tokio::time::advance(Duration::from_secs(10)).await;
        }
        happens(&traces, CLOSED);
        assert!(matches!(calm.judge(Some(&before), &half, &traces, true), Verdict::Wait(..)), "the disk is full");
        assert_eq!(calm.judge(Some(&before), &half, &traces, false), Verdict::Now);
        let mut calm = Calm::default();
        let verdicts = (0..100).map(|turn| {
            let writing = file(TWO, 1, 200 + turn, None);
            async {
                tokio::time::advance(Duration::from_secs(9)).await;
                writing
            }
        });
        let mut last = Verdict::Now;
        for writing in verdicts {
            last = calm.judge(Some(&before), &writing.await, &traces, false);
            assert_ne!(last, Verdict::Now);
        }
        assert_eq!(last, Verdict::Restless);
    }

    /// A table of a desired file.
    fn any_table() -> impl Strategy<Value = String> {
        let mode = prop::sample::select(vec!["", "mode = 'observe'\n", "mode = 'enforce'\n"]);
        let rest = prop::sample::select(vec!["", "reason = 'x'\n", "attach_policy = 'never'\n"]);
        let vpc = prop::sample::select(vec!["none", "vpc-1", "vpc-2"]);
        let name = prop::sample::select(vec!["a", "b", "c", "d*", "*"]);
        prop_oneof![
            1 => mode.clone().prop_map(|mode| format!("[defaults]\n{mode}region = 'eu-west-1'\n")),
            6 => (name, vpc, mode, rest).prop_map(|(name, vpc, mode, rest)| {
                format!("[[function]]\nname = '{name}'\nvpc = '{vpc}'\nregion = 'eu-west-1'\n{mode}{rest}\n")
            }),
        ]
    }

    /// A valid file, and what of it follows: an edited one.
    fn two_editions() -> impl Strategy<Value = (String, String)> {
        let tables = || prop::collection::vec(any_table(), 1..6);
        let valid = |text: &String| check(text).is_some();
        let editions = (tables(), tables(), 0_usize..4).prop_map(|(before, others, way)| match way {
            0 => (before.concat(), others.concat()),
            1 => (before.concat(), format!("{}{}", before.concat(), others.concat())),
            2 => (format!("{}{}", before.concat(), others.concat()), before.concat()),
            _ => (before.concat(), format!("# edited\n{}", before.concat())),
        });
        editions.prop_filter("both are valid", move |(before, after)| valid(before) && valid(after))
    }

    fn check(text: &str) -> Option<DesiredState> {
        let source = Source::from_bytes(Path::new(PATH), text.into()).ok()?;
        DesiredState::check(&source, &Accounts::without_aws(BTreeMap::new(), None)).ok()
    }

    /// What happens to the file: at a time, in seconds, it has a text and a stamp.
    fn played(
        before: &str,
        half: &str,
        after: &str,
        pause: Duration,
        inode: u64,
        open: bool,
    ) -> Vec<(Duration, String)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (traces, mut calm) = (Traces::default(), Calm::default());
            let mut force = file(before, 1, 100, None);
            let (begun, mut taken) = (Instant::now(), Vec::new());
            happens(&traces, DATA);
            if !open {
                happens(&traces, CLOSED);
            }
            // It is looked at four times a second, more often than it ever is.
            while begun.elapsed() < pause + CUT + IN_PLACE {
                let done = begun.elapsed() >= pause;
                if done {
                    happens(&traces, CLOSED);
                }
                let text = if done { after } else { half };
                let written = if done { 200 + i64::try_from(pause.as_millis()).unwrap() } else { 200 };
                if check(text).is_some() {
                    let files = file(text, inode, written, None);
                    if !files.say_the_same(&force) && calm.judge(Some(&force), &files, &traces, false) == Verdict::Now {
                        taken.push((begun.elapsed(), text.to_owned()));
                        (force, calm) = (files, Calm::default());
                    }
                }
                tokio::time::advance(Duration::from_millis(250)).await;
            }
            taken
        })
    }

    proptest! {
        /// Whatever beginning of a file is there for a while, nothing is asked of AWS that neither edition asks for.
        #[test]
        fn half_a_file_is_never_taken_up_before_the_pause_is_over(
            (before, after) in two_editions(),
            at in any::<prop::sample::Index>(),
            pause in 0_u64..29_000,
            inode in 1_u64..3,
            open: bool,
        ) {
            let mut cut = at.index(after.len() + 1);
            while !after.is_char_boundary(cut) { cut -= 1; }
            let half = &after[..cut];
            let pause = Duration::from_millis(pause);
            let taken = played(&before, half, &after, pause, inode, open);
            let never = open || pause < IN_PLACE || lost_its_end(half, Some(&before)).is_some();
            if never {
                prop_assert!(taken.iter().all(|(_, text)| *text == after), "{taken:?}");
            }
            if before != after {
                prop_assert_eq!(taken.last().map(|(_, text)| text.as_str()), Some(after.as_str()), "in the end it is in force");
                prop_assert!(taken.len() <= 2);
            }
        }
    }
}
