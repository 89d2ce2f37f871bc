//! Nudges: something about the file may have changed, look again. What counts is decided by its digest, not in here.
//!
//! Kubernetes renames a `..data` link, git-sync renames a link higher up, editors rename over the file. A watch on the
//! file dies with the first rename, and one on its parent never hears of a link higher up; so the directory of every
//! link on the path is watched, and worked out anew after each event. Where the path leads to a directory, so are that
//! directory and the way of each link among its files. Events are never filtered by name, except for writes to other files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::files::counts;
use super::traces::Traces;
use crate::file::{self, Way};

/// The file is looked at this often even where no event tells of a change.
pub const POLL: Duration = Duration::from_secs(10);
/// A change counts when nothing more has happened for this long.
pub(super) const QUIET: Duration = Duration::from_millis(300);
/// A file that never comes to rest is looked at after this long all the same.
const AT_MOST: Duration = Duration::from_secs(3);
/// What tells that somebody has written a file and is done with it.
const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
/// On a network file system that hangs, watches cannot be set; after this long the poll goes on without.
const TO_SET: Duration = Duration::from_secs(2);

/// Why one looks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nudge {
    /// Something has happened.
    Changed,
    /// Nothing has, for as long as [`POLL`].
    Due,
}

/// Watches the directories on the way to a file, or to each file of a directory.
pub struct Watch {
    path: PathBuf,
    events: mpsc::UnboundedReceiver<()>,
    watches: Watches,
}

/// The watches that are set; while they are being set, whoever does that has them.
enum Watches {
    /// The system gives no events.
    None,
    Set(Set),
    BeingSet(JoinHandle<Set>),
}

/// A watcher, and the directories that it watches.
struct Set {
    watcher: RecommendedWatcher,
    watched: BTreeSet<PathBuf>,
}

impl Watch {
    /// Begins to watch; what the events tell of single files is left in the traces. Where the system has no events to give,
    /// that is told, and the poll alone remains. What happened before has made no event, so the beginning counts as a change.
    pub async fn new(path: &Path, traces: Arc<Traces>) -> Self {
        let (send, events) = mpsc::unbounded_channel();
        // The other end is right here.
        let _ = send.send(());
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let name = path.file_name().unwrap_or_default().to_owned();
        let matters = move |path: &Path| path.file_name().is_none_or(|it| it == name || counts(it));
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            traces.note(&event);
            if may_be_a_change(&event, &matters) {
                traces.wake();
                // Nobody listens any more when the program ends.
                let _ = send.send(());
            } else if matches!(&event, Ok(event) if event.kind == CLOSED) {
                traces.wake();
            }
        });
        let watcher = watcher.inspect_err(|error| tracing::warn!(%error, "no file events: the file is polled"));
        let watches = watcher.map_or(Watches::None, |watcher| Watches::Set(Set { watcher, watched: BTreeSet::new() }));
        let mut watch = Self { path, events, watches };
        watch.watch_again().await;
        watch
    }

    /// Waits until the file may have changed and has come to rest. To be called again and again.
    pub async fn changed(&mut self) {
        while self.changed_or_due().await == Nudge::Due {}
    }

    /// The same, but waits no longer than [`POLL`] for something to happen: for one who looks each time.
    pub async fn changed_or_due(&mut self) -> Nudge {
        tokio::select! {
            event = self.events.recv() => if event.is_none() {
                // Without a watcher there are no events, and the poll remains.
                tokio::time::sleep(POLL).await;
                return Nudge::Due;
            },
            // What happened before they were set has made no event.
            set = self.watches.are_set() => self.watches = Watches::Set(set),
            () = tokio::time::sleep(POLL) => {
                self.watch_again().await;
                return Nudge::Due;
            }
        }
        let last = Instant::now() + AT_MOST;
        while let Ok(Some(())) = tokio::time::timeout_at((Instant::now() + QUIET).min(last), self.events.recv()).await {
            if Instant::now() >= last {
                break;
            }
        }
        self.watch_again().await;
        Nudge::Changed
    }

    /// Watches the directories that are on the path now, and no others. Where that hangs it goes on beside, and is not begun again
    /// before it has ended.
    async fn watch_again(&mut self) {
        self.watches = match std::mem::replace(&mut self.watches, Watches::None) {
            Watches::Set(set) => {
                let path = self.path.clone();
                Watches::BeingSet(tokio::task::spawn_blocking(move || set.again(&path)))
            }
            other => other,
        };
        // Whoever waits for this may stop to do so at any time; the task stays where it is.
        if let Watches::BeingSet(_) = &self.watches
            && let Ok(set) = tokio::time::timeout(TO_SET, self.watches.are_set()).await
        {
            self.watches = Watches::Set(set);
        }
    }
}

impl Watches {
    /// Waits for those that are being set; for others there is nothing to wait for.
    async fn are_set(&mut self) -> Set {
        match self {
            Self::BeingSet(task) => file::ended(task.await).await,
            Self::None | Self::Set(_) => std::future::pending().await,
        }
    }
}

impl Set {
    fn again(mut self, path: &Path) -> Self {
        let wanted = wanted(path);
        for gone in self.watched.difference(&wanted) {
            // The directory may be gone, and its watch with it.
            let _ = self.watcher.unwatch(gone);
        }
        // A directory that was removed and made again has the same path and needs a new watch, so all are set again;
        // for one that is watched already that changes nothing.
        let set = |directory: &PathBuf| match self.watcher.watch(directory, RecursiveMode::NonRecursive) {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, directory = %directory.display(), "this directory cannot be watched");
                false
            }
        };
        self.watched = wanted.into_iter().filter(set).collect();
        self
    }
}

/// Whether to look again. Reading the file makes an access event, which would wake us for ever; so would a log that is
/// written beside it and tells of each reading. An error, or an overflow of the system's queue, may hide any change, so
/// it counts as one.
fn may_be_a_change(event: &notify::Result<notify::Event>, matters: impl Fn(&Path) -> bool) -> bool {
    match event {
        Err(_) => true,
        Ok(event) => match event.kind {
            EventKind::Access(_) => false,
            EventKind::Modify(ModifyKind::Data(_)) => event.paths.iter().any(|path| matters(path)),
            _ => true,
        },
    }
}

/// The directories to watch for a desired state at this path.
fn wanted(path: &Path) -> BTreeSet<PathBuf> {
    let way = Way::of(path);
    let mut found = directories(&way);
    let Ok(files) = path.read_dir() else { return found };
    found.insert(way.end);
    for file in files.filter_map(Result::ok).filter(|file| counts(&file.file_name())) {
        if file.file_type().is_ok_and(|kind| kind.is_symlink()) {
            found.extend(directories(&Way::of(&file.path())));
        }
    }
    found
}

/// The directory of every link on a way, and of the file itself; where something is missing, the last that exists.
fn directories(way: &Way) -> BTreeSet<PathBuf> {
    way.directories().map(Path::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_directory_of_every_link_on_the_path_is_watched() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("mount/..2026")).unwrap();
        std::fs::write(root.join("mount/..2026/f.toml"), "x = 1").unwrap();
        symlink("..2026", root.join("mount/..data")).unwrap();
        symlink("..data/f.toml", root.join("mount/f.toml")).unwrap();
        let expected = BTreeSet::from([root.join("mount"), root.join("mount/..2026")]);
        assert_eq!(directories(&Way::of(&root.join("mount/f.toml"))), expected);
    }

    #[test]
    fn of_a_directory_its_own_and_the_way_of_each_link_among_its_files_are_watched() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for made in ["repo/rev1/desired", "elsewhere", "unrelated"] {
            std::fs::create_dir_all(root.join(made)).unwrap();
        }
        symlink("rev1", root.join("repo/current")).unwrap();
        symlink(root.join("elsewhere/a.toml"), root.join("repo/rev1/desired/a.toml")).unwrap();
        symlink(root.join("unrelated/b.md"), root.join("repo/rev1/desired/b.md")).unwrap();
        let expected = ["repo", "repo/rev1", "repo/rev1/desired", "elsewhere"].map(|name| root.join(name));
        assert_eq!(wanted(&root.join("repo/current/desired")), BTreeSet::from(expected));
    }

    #[tokio::test(start_paused = true)]
    async fn what_changed_before_the_watch_began_is_not_missed() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = Watch::new(&folder.path().join("f.toml"), Arc::default()).await;
        let begun = Instant::now();
        assert_eq!(watch.changed_or_due().await, Nudge::Changed);
        assert_eq!(begun.elapsed(), QUIET);
        assert_eq!(watch.changed_or_due().await, Nudge::Due, "it counts once");
    }

    #[tokio::test(start_paused = true)]
    async fn without_events_it_is_due_at_each_poll_and_never_changed() {
        let (_, events) = mpsc::unbounded_channel();
        let mut watch = Watch { path: "f.toml".into(), events, watches: Watches::None };
        for turn in 1..=3 {
            let begun = Instant::now();
            assert_eq!((turn, watch.changed_or_due().await), (turn, Nudge::Due));
            assert_eq!(begun.elapsed(), POLL, "no busy loop");
        }
        let changed = tokio::time::timeout(Duration::from_secs(3600), watch.changed()).await;
        assert!(changed.is_err(), "nothing is made up");
    }

    #[test]
    fn all_that_may_hide_or_be_a_change_counts_and_only_reading_does_not() {
        use notify::event::{CreateKind, DataChange, Flag, MetadataKind, RemoveKind, RenameMode};
        let happens = |kind| Ok(notify::Event::new(kind).add_path("/d/f.toml".into()));
        let beside = |kind| Ok(notify::Event::new(kind).add_path("/d/run.log".into()));
        for (event, expected) in [
            (happens(EventKind::Access(AccessKind::Open(AccessMode::Any))), false),
            (happens(EventKind::Access(AccessKind::Read)), false),
            (happens(EventKind::Access(AccessKind::Close(AccessMode::Read))), false),
            (happens(EventKind::Any), true),
            (happens(EventKind::Create(CreateKind::File)), true),
            (happens(EventKind::Modify(ModifyKind::Any)), true),
            (happens(EventKind::Modify(ModifyKind::Data(DataChange::Any))), true),
            // A log beside the file, which tells of each reading.
            (beside(EventKind::Modify(ModifyKind::Data(DataChange::Any))), false),
            (beside(EventKind::Create(CreateKind::File)), true),
            (happens(EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any))), true),
            (happens(EventKind::Modify(ModifyKind::Name(RenameMode::To))), true),
            (happens(EventKind::Remove(RemoveKind::Folder)), true),
            // What inotify's overflow becomes: IN_Q_OVERFLOW.
            (happens(EventKind::Other).map(|event| event.set_flag(Flag::Rescan)), true),
            (Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch)), true),
            (Err(notify::Error::generic("anything")), true),
        ] {
            let matters = |path: &Path| path.file_name().is_some_and(counts);
            assert_eq!(may_be_a_change(&event, matters), expected, "{event:?}");
        }
    }

    #[test]
    fn reading_wakes_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.toml");
        std::fs::write(&path, "function = []").unwrap();
        let (send, events) = std::sync::mpsc::channel();
        let mut watcher = notify::recommended_watcher(move |event| send.send(event).unwrap()).unwrap();
        watcher.watch(folder.path(), RecursiveMode::NonRecursive).unwrap();
        for _ in 0..3 {
            super::super::Files::read(&path, &file::Allowed::default());
            super::super::Files::read(folder.path(), &file::Allowed::default());
        }
        // Events come in their order, so all of the reading's are there when this one is.
        std::fs::write(folder.path().join("last"), "").unwrap();
        let is_last = |event: &notify::Result<notify::Event>| {
            event.as_ref().is_ok_and(|event| event.paths.iter().any(|path| path.ends_with("last")))
        };
        let before: Vec<_> = events.iter().take_while(|event| !is_last(event)).collect();
        assert!(!before.is_empty(), "reading makes events");
        assert!(!before.iter().any(|event| may_be_a_change(event, |_| true)), "{before:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_overflow_that_hid_a_swap_the_new_directory_is_watched() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for tree in ["rev1", "rev2"] {
            std::fs::create_dir(root.join(tree)).unwrap();
            std::fs::write(root.join(tree).join("f.toml"), tree).unwrap();
        }
        symlink("rev1", root.join("current")).unwrap();
        let (send, events) = mpsc::unbounded_channel();
        let watcher = notify::recommended_watcher(|_| {}).unwrap();
        let path = root.join("current/f.toml");
        let watches = Watches::Set(Set { watcher, watched: BTreeSet::new() });
        let mut watch = Watch { path, events, watches };
        watch.watch_again().await;
        let watched = |watch: &Watch| match &watch.watches {
            Watches::Set(set) => set.watched.clone(),
            Watches::None | Watches::BeingSet(_) => panic!("they are set"),
        };
        assert_eq!(watched(&watch), BTreeSet::from([root.clone(), root.join("rev1")]));
        std::fs::remove_file(root.join("current")).unwrap();
        symlink("rev2", root.join("current")).unwrap();
        send.send(()).unwrap();
        assert_eq!(watch.changed_or_due().await, Nudge::Changed);
        assert_eq!(watched(&watch), BTreeSet::from([root.clone(), root.join("rev2")]));
    }

    #[test]
    fn of_a_missing_directory_the_last_that_exists_is_watched() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        assert_eq!(directories(&Way::of(&root.join("later/f.toml"))), BTreeSet::from([root]));
    }
}
