//! What the system's events tell of how a file came to be where it is: moved there as a whole, or written in its place.
//!
//! A stamp cannot always tell: a file that is written and renamed within the same tick of the system's clock looks like one that
//! was made in its place a moment ago. And no stamp tells whether somebody still has it open.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Who has not written for this long is waited for no longer, though they still have the file open.
const WRITES: Duration = Duration::from_secs(5 * 60);
/// So many files are remembered; a directory in which more are written says nothing of any.
const MOST: usize = 1000;

/// What events have told since a content was last taken up.
#[derive(Debug, Default)]
pub struct Traces {
    seen: Mutex<Seen>,
    happened: Notify,
}

#[derive(Debug, Default)]
struct Seen {
    /// Moved to where they are, and not written since; and the how manieth event that was.
    arrived: BTreeMap<PathBuf, u64>,
    /// How many events there were.
    events: u64,
    /// Written and not closed since, and when that was last done.
    written: BTreeMap<PathBuf, Instant>,
}

impl Traces {
    /// Takes an event in.
    pub(super) fn note(&self, event: &notify::Result<Event>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            // Events that were lost may have been about any file.
            Err(_) => seen.forget(),
            Ok(event) if event.need_rescan() => seen.forget(),
            Ok(event) => seen.note(event),
        }
    }

    /// Something has happened for which whoever waits is to look again.
    pub(super) fn wake(&self) {
        self.happened.notify_one();
    }

    /// Waits until that is so.
    pub(super) async fn happens(&self) {
        self.happened.notified().await;
    }

    /// Whether the last thing that happened to a file, or to a link, was that it was moved to where it is.
    pub(super) fn arrived(&self, path: &Path) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).arrived.contains_key(path)
    }

    /// Whether somebody is writing a file and has not closed it.
    pub(super) fn is_written(&self, path: &Path) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.written.get(path).is_some_and(|last| last.elapsed() < WRITES)
    }

    /// How many events there were: asked before a content is read, it tells which of them came before that.
    pub(super) fn events(&self) -> u64 {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).events
    }

    /// What had arrived when there were so many events was taken up; what has arrived since then was not read yet.
    pub(super) fn taken(&self, events: u64) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).arrived.retain(|_, event| *event > events);
    }
}

impl Seen {
    fn note(&mut self, event: &Event) {
        if self.arrived.len() > MOST || self.written.len() > MOST {
            self.forget();
        }
        self.events += 1;
        let (path, last) = (event.paths.first(), event.paths.last());
        match (event.kind, path, last) {
            (EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)), Some(from), Some(to)) => {
                for path in [from, to] {
                    self.gone(path);
                }
                self.arrived.insert(to.clone(), self.events);
            }
            (EventKind::Modify(ModifyKind::Data(_)), Some(path), _) => {
                self.arrived.remove(path);
                self.written.insert(path.clone(), Instant::now());
            }
            (EventKind::Access(AccessKind::Close(AccessMode::Write)), Some(path), _) => _ = self.written.remove(path),
            (EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)), Some(path), _) => {
                self.gone(path);
            }
            _ => {}
        }
    }

    fn forget(&mut self) {
        *self = Self { events: self.events, ..Self::default() };
    }

    /// What was known of what had this name holds no longer.
    fn gone(&mut self, path: &Path) {
        self.arrived.remove(path);
        self.written.remove(path);
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, Flag, RemoveKind};

    use super::*;

    const TO: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::To));
    const FROM: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::From));
    const DATA: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
    const MADE: EventKind = EventKind::Create(CreateKind::File);
    const REMOVED: EventKind = EventKind::Remove(RemoveKind::File);

    #[tokio::test(start_paused = true)]
    async fn what_happened_last_to_a_name_is_what_counts() {
        for (events, arrived, written) in [
            (&[TO][..], true, false),
            (&[MADE, DATA, CLOSED], false, false),
            (&[MADE, DATA], false, true),
            (&[DATA, TO], true, false),
            (&[TO, DATA], false, true),
            (&[TO, DATA, CLOSED], false, false),
            (&[TO, REMOVED], false, false),
            (&[TO, FROM], false, false),
            (&[TO, MADE], false, false),
            (&[DATA, REMOVED], false, false),
        ] {
            let traces = Traces::default();
            events.iter().for_each(|kind| traces.note(&Ok(Event::new(*kind).add_path("/d/f.toml".into()))));
            let path = Path::new("/d/f.toml");
            assert_eq!((traces.arrived(path), traces.is_written(path)), (arrived, written), "{events:?}");
            assert!(!traces.arrived(Path::new("/d/g.toml")));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn lost_events_a_taken_content_and_a_writer_that_never_ends_leave_nothing() {
        let path = Path::new("/d/f.toml");
        let with = |kinds: &[EventKind]| {
            let traces = Traces::default();
            kinds.iter().for_each(|kind| traces.note(&Ok(Event::new(*kind).add_path(path.into()))));
            traces
        };
        let lost = with(&[TO]);
        lost.note(&Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        assert!(!lost.arrived(path));
        let taken = with(&[TO]);
        taken.taken(0);
        assert!(taken.arrived(path), "it arrived after what was read");
        taken.taken(taken.events());
        assert!(!taken.arrived(path));
        let open = with(&[DATA]);
        open.taken(open.events());
        assert!(open.is_written(path), "who writes goes on writing");
        tokio::time::advance(WRITES).await;
        assert!(!open.is_written(path));
    }
}
