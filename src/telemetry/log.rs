//! The log: one line where something happened, none where nothing did.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::thread;
use std::time::Duration;

use anstyle::Style;
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::board::ScopeLine;
use crate::desired::LoadFailure;
use crate::manager::Manager;
use crate::names::{FunctionKey, ScopeKey};
use crate::plan::{LeftOut, Outcome, Reason, Why, not_loaded};
use crate::reconcile::Notice;
use crate::text::{shown_json, shown_within};

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// So many lines wait to be written at most; those that come when that is full are lost.
const WAITING_LINES: usize = 10_000;

/// How long the end of the program waits for the lines that are still to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Writes the log in a thread of its own, so that a reader that stalls or goes away, or a full disk, holds up nobody: what
/// cannot be written is lost, and counted.
pub struct LogWriter(Lines);

impl LogWriter {
    fn begin(mut to: impl io::Write + Send + 'static) -> io::Result<Self> {
        let (send, receive) = mpsc::sync_channel(WAITING_LINES);
        let lost = LostLines::default();
        let refused = lost.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            for message in receive {
                match message {
                    Message::Line(line) => {
                        if to.write_all(&line).and_then(|()| to.flush()).is_err() {
                            refused.one_more();
                        }
                    }
                    // Whoever asked may have stopped waiting.
                    Message::End(ended) => drop(ended.send(())),
                }
            }
        })?;
        Ok(Self(Lines { send, lost }))
    }

    /// How many lines were lost so far, for whoever counts them.
    pub fn lost(&self) -> LostLines {
        self.0.lost.clone()
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        let (ended, end) = mpsc::sync_channel(1);
        // Where no line gets through, none is waited for.
        if self.0.send.try_send(Message::End(ended)).is_ok() {
            let _ = end.recv_timeout(LAST_LINES);
        }
    }
}

enum Message {
    Line(Vec<u8>),
    /// All lines before this one have been written.
    End(SyncSender<()>),
}

/// Takes the lines, one a write.
#[derive(Clone)]
struct Lines {
    send: SyncSender<Message>,
    lost: LostLines,
}

impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.send.try_send(Message::Line(line.to_vec())).is_err() {
            self.lost.one_more();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How many lines of the log were lost, since where it goes was too slow or refused them.
#[derive(Clone, Debug, Default)]
pub struct LostLines(Arc<AtomicU64>);

impl LostLines {
    fn one_more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The watcher of files tells of each event at the level `trace`: where the log lies beside the desired state, each line
/// would make the next one. So of that no more is logged, whatever is asked for.
const WATCHER: &str = "notify=info";

/// Begins to log, to stderr. Without a format: for people on a terminal, JSON otherwise. `RUST_LOG` goes
/// over the level.
pub fn init(format: Option<LogFormat>, level: &str) -> io::Result<LogWriter> {
    let log = LogWriter::begin(io::stderr())?;
    let lines = log.0.clone();
    let terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal { LogFormat::Human } else { LogFormat::Json });
    let asked = std::env::var(EnvFilter::DEFAULT_ENV).ok();
    let asked = asked.and_then(|asked| EnvFilter::try_new(format!("{asked},{WATCHER}")).ok());
    let filter = asked.unwrap_or_else(|| EnvFilter::new(format!("{level},{WATCHER}")));
    let colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let done = match format {
        LogFormat::Human => human(filter, colour, move || lines.clone()).try_init(),
        LogFormat::Json => json(filter, move || lines.clone()).try_init(),
    };
    if let Err(error) = done {
        tracing::debug!(%error, "the log had begun already");
    }
    Ok(log)
}

/// What to say of ids in the settings that count as spent.
pub fn doubts(ids: &[String]) -> String {
    format!(
        "guard.approved had {} before this process began, and no record says whether they are spent, so they count as spent: take \
         them out, look at the plan as it is now, and put its id in",
        ids.join(", ")
    )
}

/// The log for people.
fn human<W: for<'a> MakeWriter<'a> + Send + Sync + 'static>(
    filter: EnvFilter,
    colour: bool,
    writer: W,
) -> impl tracing::Subscriber + Send + Sync {
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false).with_writer(writer);
    builder.with_ansi(colour).fmt_fields(debug_fn(field).delimited(" ")).finish()
}

/// The log for programs.
fn json<W: std::io::Write>(
    filter: EnvFilter,
    writer: impl Fn() -> W + Send + Sync + 'static,
) -> impl tracing::Subscriber + Send + Sync {
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    builder.json().flatten_event(true).with_writer(move || Shown(writer())).finish()
}

/// A field of a line for people. Whatever is told, and whoever tells it, the line stays one.
fn field(writer: &mut Writer<'_>, field: &Field, value: &dyn std::fmt::Debug) -> std::fmt::Result {
    let value = format!("{value:?}");
    let value = shown_within(&value, LONGEST_FIELD);
    match field.name() {
        "message" => writer.write_str(&value),
        name => {
            let (name_style, sign_style) = match writer.has_ansi_escapes() {
                true => (Style::new().italic(), Style::new().dimmed()),
                false => (Style::new(), Style::new()),
            };
            write!(writer, "{name_style}{name}{name_style:#}{sign_style}={sign_style:#}{value}")
        }
    }
}

/// So many characters of a field are written for people.
const LONGEST_FIELD: usize = 1200;

/// Where lines of JSON go, each of which is written at once: every text in them can be shown as it is.
struct Shown<W>(W);

impl<W: std::io::Write> std::io::Write for Shown<W> {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(line).into_owned();
        self.0.write_all(shown_json(text).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// What was logged last, so that the same is not said again.
#[derive(Debug, Default)]
pub(super) struct Log {
    reasons: BTreeMap<FunctionKey, Reason>,
    faults: BTreeMap<ScopeKey, Reason>,
    /// Whether the file cannot be used as it was last read.
    unusable: bool,
    held: BTreeMap<ScopeKey, usize>,
    /// The scopes whose records could not be stored.
    no_records: BTreeSet<ScopeKey>,
}

impl Log {
    pub(super) fn notice(&mut self, notice: &Notice) {
        match notice {
            Notice::Loaded { digest, functions, patterns, warnings } => {
                self.unusable = false;
                tracing::info!(digest = digest.short(), functions, patterns, "a new desired state is in force");
                for warning in warnings {
                    let place = warning.place().map(|place| place.to_string()).unwrap_or_default();
                    tracing::warn!(place, "{}", warning.message());
                }
            }
            // Whoever reads them has told.
            Notice::Settings { .. } => {}
            Notice::Confirmed => {
                if std::mem::take(&mut self.unusable) {
                    tracing::info!("the desired state is valid again, and says what is in force");
                }
            }
            Notice::NotLoaded(failure) => {
                self.unusable = true;
                let stays = match **failure {
                    LoadFailure::File(_) => "the desired state cannot be used, the last good one stays in force: ",
                    LoadFailure::Identity(_) => "",
                };
                tracing::error!("{stays}{}", not_loaded(failure));
            }
            Notice::Released { key, network } => {
                self.reasons.remove(key);
                let network = network.as_ref().and_then(|network| serde_json::to_string(network).ok());
                let network = network.unwrap_or_else(|| "not known".to_owned());
                tracing::info!(function = %key, network, "left the file: the function stays as it is and is not looked at any more");
            }
            Notice::Gone(entry) => {
                self.reasons.remove(&entry.key);
                let pattern = entry.pattern.as_ref().map(|pattern| pattern.as_str()).unwrap_or_default();
                tracing::info!(function = %entry.key, pattern, "the function is gone, and the pattern lists it no longer");
            }
            Notice::Unmatched(pattern) => {
                let (scope, place) = (&pattern.scope, pattern.terms.place());
                tracing::warn!(%scope, %place, "the pattern `{}` means no function", pattern.name);
            }
            Notice::LeftOut(LeftOut { key, service }) => tracing::warn!(
                function = %key,
                "the function is left out of the patterns that fit it, since {service} made it for itself; an entry of its own \
                 would list it all the same"
            ),
            Notice::Sweeping(_) => {}
            Notice::Swept { scope, took, fault } => self.swept(scope, *took, fault.as_ref()),
            Notice::Behind { scope, versions: Some(count @ 1..) } => tracing::info!(
                %scope,
                count,
                "published versions run another network than the file says: `plan` shows them, and the aliases that lead there"
            ),
            Notice::Behind { .. } => {}
            Notice::Approved { scope, id } => {
                tracing::info!(%scope, plan = id.short(), "the plan is approved: what is left of its changes is made");
            }
            Notice::NotRecalled { scope, fault, doubted } => {
                match fault {
                    Some(fault) => tracing::error!(
                        %scope,
                        "the record of what was done before cannot be used and will be replaced, so the guard's hour counts as used \
                         until it is over: {fault}"
                    ),
                    None => tracing::info!(%scope, "there is no record of what was done before"),
                }
                if !doubted.is_empty() {
                    tracing::warn!(%scope, "{}", doubts(doubted));
                }
            }
            Notice::RecordUnread { scope, error } => {
                if self.no_records.insert(scope.clone()) {
                    tracing::error!(
                        %scope,
                        "the record cannot be read, and nothing is looked at or changed here until it can: mend the state \
                         directory, or remove the file to begin without: {error}"
                    );
                }
            }
            Notice::Restarts { scope, after } => tracing::error!(
                %scope,
                "this account and region has failed: a mistake in this program, which stands above; it begins anew in {after:?}, \
                 and all others go on"
            ),
            Notice::Stored { scope, error: Some(error) } => {
                if self.no_records.insert(scope.clone()) {
                    tracing::error!(
                        %scope,
                        "the record cannot be stored, and nothing is changed here until it can: make room in the state \
                         directory, or make it writable: {error}"
                    );
                }
            }
            Notice::Stored { scope, error: None } => {
                if self.no_records.remove(scope) {
                    tracing::info!(%scope, "the record can be stored again");
                }
            }
            Notice::Resumed(key) => {
                tracing::info!(function = %key, "its observation has ended: the file is enforced from now on");
            }
            Notice::Drifted(change) => {
                let (cause, policies) = (change.cause.name(), change.attach.len());
                let network = change.network.is_some();
                tracing::info!(function = %change.key, cause, network, policies, "differs from the file");
            }
            // The journal tells of it.
            Notice::Stepped { .. } => {}
            Notice::Concluded { key, outcome, pass, .. } => self.concluded(key, outcome, pass.map(|pass| pass.number)),
        }
    }

    /// A scope has turned, in which the guard holds so many functions.
    pub(super) fn turned(&mut self, scope: &ScopeKey, line: &ScopeLine) {
        let count = line.held_by_guard;
        let before = match count {
            0 => self.held.remove(scope),
            _ => self.held.insert(scope.clone(), count),
        };
        if count > 0 && before.is_none() {
            tracing::warn!(%scope, count, reason = Reason::GuardHolding.name(), "{}", Reason::GuardHolding.sentence());
        } else if count == 0 && before.is_some() {
            tracing::info!(%scope, "the guard holds nothing any more");
        }
    }

    /// The manager has turned. A scope that comes back is told of anew.
    pub(super) fn managed(&mut self, manager: &Manager) {
        self.held.retain(|scope, _| manager.knows(scope));
        self.faults.retain(|scope, _| manager.knows(scope));
    }

    fn swept(&mut self, scope: &ScopeKey, took: std::time::Duration, fault: Option<&Why>) {
        let before = match fault {
            Some(why) => self.faults.insert(scope.clone(), why.reason),
            None => self.faults.remove(scope),
        };
        match (fault, before) {
            (Some(why), before) if before != Some(why.reason) => {
                tracing::error!(%scope, reason = why.reason.name(), "cannot be read: {why}");
            }
            (None, Some(_)) => tracing::info!(%scope, ?took, "can be read again"),
            _ => tracing::debug!(%scope, ?took, "swept"),
        }
    }

    fn concluded(&mut self, key: &FunctionKey, outcome: &Outcome, pass: Option<u64>) {
        let before = match outcome.why() {
            Some(why) => self.reasons.insert(key.clone(), why.reason),
            None => self.reasons.remove(key),
        };
        let Some(why) = outcome.why() else {
            if before.is_some() {
                tracing::info!(pass, function = %key, "in sync");
            }
            return;
        };
        // What a whole scope suffers from is told once, by its sweep or by the first function that meets it.
        if why.reason.of_scope() {
            if self.faults.insert(key.scope.clone(), why.reason) != Some(why.reason) {
                tracing::error!(scope = %key.scope, reason = why.reason.name(), "{why}");
            }
            return;
        }
        // How many the guard holds is told for all of them.
        if why.reason == Reason::GuardHolding {
            return;
        }
        if before == Some(why.reason) || self.faults.get(&key.scope) == Some(&why.reason) {
            return;
        }
        let reason = why.reason.name();
        match outcome {
            Outcome::Blocked { .. } => tracing::warn!(pass, function = %key, reason, "blocked: {why}"),
            _ => tracing::info!(pass, function = %key, reason, "{why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::{Read as _, Write as _};
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;

    use super::*;
    use crate::text::hostile::{any_text, assert_harmless};

    #[test]
    fn a_full_disk_loses_lines_and_counts_them() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let log = LogWriter::begin(full).unwrap();
        (0..3).for_each(|_| log.0.clone().write_all(b"a line\n").unwrap());
        let lost = log.lost();
        drop(log);
        assert_eq!(lost.count(), 3);
    }

    #[test]
    fn a_reader_that_stalls_holds_up_nobody_and_what_does_not_fit_is_counted() {
        let (mut reader, pipe) = io::pipe().unwrap();
        let log = LogWriter::begin(pipe).unwrap();
        let line = [b'x'; 100];
        // More than the pipe and the lines that wait may hold.
        for _ in 0..WAITING_LINES * 2 {
            log.0.clone().write_all(&line).unwrap();
        }
        assert!(log.lost().count() > 0);
        let mut some = [0; 100];
        reader.read_exact(&mut some).unwrap();
        assert_eq!(some, line, "what came in time is whole");
    }

    /// Where a log goes that is looked at.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, colour: bool, log: impl FnOnce()) -> String {
        let (kept, filter) = (Kept::default(), EnvFilter::new("trace"));
        let writer = kept.clone();
        match format {
            LogFormat::Human => {
                tracing::subscriber::with_default(human(filter, colour, move || writer.clone()), log);
            }
            LogFormat::Json => {
                tracing::subscriber::with_default(json(filter, move || writer.clone()), log);
            }
        }
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_for_people_reads_as_ever() {
        let line = logged(LogFormat::Human, false, || tracing::warn!(count = 3, name = "x y", "told: {}", "a\nb"));
        assert!(line.ends_with("  WARN told: a\\nb count=3 name=\"x y\"\n"), "{line:?}");
        let line = logged(LogFormat::Human, true, || tracing::warn!(count = 3, "told"));
        assert!(line.contains("told \u{1b}[3mcount\u{1b}[0m\u{1b}[2m=\u{1b}[0m3"), "{line:?}");
    }

    proptest! {
        #[test]
        fn whatever_is_told_a_line_of_the_log_stays_one(text in any_text()) {
            for format in [LogFormat::Human, LogFormat::Json] {
                let log = || tracing::error!(place = %text, other = text.as_str(), debug = ?text, "so: {text}");
                let lines = logged(format, false, log);
                prop_assert_eq!(lines.matches('\n').count(), 1);
                match format {
                    LogFormat::Human => assert_harmless(&lines, |line| line.starts_with("20")),
                    LogFormat::Json => {
                        prop_assert!(!lines.trim_end().chars().any(crate::text::unseen));
                        serde_json::from_str::<serde_json::Value>(&lines).unwrap();
                    }
                }
            }
        }
    }
}
