//! Nudges: something about the file may have changed, look again. What counts is decided by its digest, not in here.
//!
//! Kubernetes renames a `..data` link, git-sync renames a link higher up, editors rename over the file. A watch on the
//! file dies with the first rename, and one on its parent never hears of a link higher up; so the directory of every
//! link on the path is watched, and worked out anew after each event. Where the path leads to a directory, so are that
//! directory and the way of each link among its files. Events are never filtered by name.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::files::counts;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The file is looked at this often even where no event tells of a change.
pub const POLL: Duration = Duration::from_secs(10);
/// A change counts when nothing more has happened for this long.
const QUIET: Duration = Duration::from_millis(300);
/// A file that never comes to rest is looked at after this long all the same.
const AT_MOST: Duration = Duration::from_secs(3);
/// As many links on one path as Linux follows.
const MOST_LINKS: usize = 40;

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
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

impl Watch {
    /// Begins to watch. Where the system has no events to give, that is told, and the poll alone remains. What happened
    /// before has made no event, so the beginning counts as a change.
    pub fn new(path: &Path) -> Self {
        let (send, events) = mpsc::unbounded_channel();
        // The other end is right here.
        let _ = send.send(());
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if may_be_a_change(&event) {
                // Nobody listens any more when the program ends.
                let _ = send.send(());
            }
        });
        let watcher = watcher.inspect_err(|error| tracing::warn!(%error, "no file events: the file is polled")).ok();
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut watch = Self { path, events, watcher, watched: BTreeSet::new() };
        watch.watch_again();
        watch
    }

    /// Waits until the file may have changed and has come to rest. To be called again and again.
    pub async fn changed(&mut self) {
        while self.changed_or_due().await == Nudge::Due {}
    }

    /// The same, but waits no longer than [`POLL`] for something to happen: for one who looks each time.
    pub async fn changed_or_due(&mut self) -> Nudge {
        match tokio::time::timeout(POLL, self.events.recv()).await {
            Ok(Some(())) => {}
            // Without a watcher there are no events, and the poll remains.
            Ok(None) => {
                tokio::time::sleep(POLL).await;
                return Nudge::Due;
            }
            Err(_) => {
                self.watch_again();
                return Nudge::Due;
            }
        }
        let last = Instant::now() + AT_MOST;
        while let Ok(Some(())) = tokio::time::timeout_at((Instant::now() + QUIET).min(last), self.events.recv()).await {
            if Instant::now() >= last {
                break;
            }
        }
        self.watch_again();
        Nudge::Changed
    }

    /// Watches the directories that are on the path now, and no others.
    fn watch_again(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        let wanted = wanted(&self.path);
        for gone in self.watched.difference(&wanted) {
            // The directory may be gone, and its watch with it.
            let _ = watcher.unwatch(gone);
        }
        // A directory that was removed and made again has the same path and needs a new watch, so all are set again;
        // for one that is watched already that changes nothing.
        self.watched = wanted
            .into_iter()
            .filter(|directory| match watcher.watch(directory, RecursiveMode::NonRecursive) {
                Ok(()) => true,
                Err(error) => {
                    tracing::debug!(%error, directory = %directory.display(), "this directory cannot be watched");
                    false
                }
            })
            .collect();
    }
}

/// Whether to look again. Reading the file makes an access event, which would wake us for ever. An error, or an overflow
/// of the system's queue, may hide any change, so it counts as one.
fn may_be_a_change(event: &notify::Result<notify::Event>) -> bool {
    !matches!(event, Ok(event) if matches!(event.kind, EventKind::Access(_)))
}

/// The directories to watch for a desired state at this path.
fn wanted(path: &Path) -> BTreeSet<PathBuf> {
    let mut found = directories(path);
    let Ok(files) = path.read_dir() else { return found };
    found.extend(path.canonicalize());
    for file in files.filter_map(Result::ok).filter(|file| counts(&file.file_name())) {
        if file.file_type().is_ok_and(|kind| kind.is_symlink()) {
            found.extend(directories(&file.path()));
        }
    }
    found
}

/// The directory of every link on a path, and of the file itself; where something is missing, the last that exists.
fn directories(path: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut links = 0;
    let mut done = PathBuf::new();
    let mut rest: Vec<OsString> = reversed(path);
    while let Some(next) = rest.pop() {
        if next == ".." {
            done.pop();
            continue;
        }
        let parent = done.clone();
        done.push(&next);
        match done.symlink_metadata() {
            Err(_) => {
                found.insert(parent);
                return found;
            }
            Ok(about) if about.is_symlink() && links < MOST_LINKS => {
                links += 1;
                found.insert(parent.clone());
                let target = std::fs::read_link(&done).unwrap_or_default();
                rest.extend(reversed(&target));
                done = if target.is_absolute() { PathBuf::new() } else { parent };
            }
            Ok(_) if rest.is_empty() => {
                found.insert(parent);
            }
            Ok(_) => {}
        }
    }
    found
}

/// The steps of a path, the last one first.
fn reversed(path: &Path) -> Vec<OsString> {
    let steps = path.components().filter(|step| !matches!(step, Component::CurDir));
    steps.rev().map(|step| step.as_os_str().to_owned()).collect()
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
        assert_eq!(directories(&root.join("mount/f.toml")), expected);
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
        let mut watch = Watch::new(&folder.path().join("f.toml"));
        let begun = Instant::now();
        assert_eq!(watch.changed_or_due().await, Nudge::Changed);
        assert_eq!(begun.elapsed(), QUIET);
        assert_eq!(watch.changed_or_due().await, Nudge::Due, "it counts once");
    }

    #[tokio::test(start_paused = true)]
    async fn without_events_it_is_due_at_each_poll_and_never_changed() {
        let (_, events) = mpsc::unbounded_channel();
        let mut watch = Watch { path: "f.toml".into(), events, watcher: None, watched: BTreeSet::new() };
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
        use notify::event::{
            AccessKind, AccessMode, CreateKind, Flag, MetadataKind, ModifyKind, RemoveKind, RenameMode,
        };
        let happens = |kind| Ok(notify::Event::new(kind));
        for (event, expected) in [
            (happens(EventKind::Access(AccessKind::Open(AccessMode::Any))), false),
            (happens(EventKind::Access(AccessKind::Read)), false),
            (happens(EventKind::Access(AccessKind::Close(AccessMode::Read))), false),
            (happens(EventKind::Any), true),
            (happens(EventKind::Create(CreateKind::File)), true),
            (happens(EventKind::Modify(ModifyKind::Any)), true),
            (happens(EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any))), true),
            (happens(EventKind::Modify(ModifyKind::Name(RenameMode::To))), true),
            (happens(EventKind::Remove(RemoveKind::Folder)), true),
            // What inotify's overflow becomes: IN_Q_OVERFLOW.
            (happens(EventKind::Other).map(|event| event.set_flag(Flag::Rescan)), true),
            (Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch)), true),
            (Err(notify::Error::generic("anything")), true),
        ] {
            assert_eq!(may_be_a_change(&event), expected, "{event:?}");
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
            super::super::Files::read(&path);
            super::super::Files::read(folder.path());
        }
        // Events come in their order, so all of the reading's are there when this one is.
        std::fs::write(folder.path().join("last"), "").unwrap();
        let is_last = |event: &notify::Result<notify::Event>| {
            event.as_ref().is_ok_and(|event| event.paths.iter().any(|path| path.ends_with("last")))
        };
        let before: Vec<_> = events.iter().take_while(|event| !is_last(event)).collect();
        assert!(!before.is_empty(), "reading makes events");
        assert!(!before.iter().any(may_be_a_change), "{before:?}");
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
        let mut watch = Watch { path, events, watcher: Some(watcher), watched: BTreeSet::new() };
        watch.watch_again();
        assert_eq!(watch.watched, BTreeSet::from([root.clone(), root.join("rev1")]));
        std::fs::remove_file(root.join("current")).unwrap();
        symlink("rev2", root.join("current")).unwrap();
        send.send(()).unwrap();
        assert_eq!(watch.changed_or_due().await, Nudge::Changed);
        assert_eq!(watch.watched, BTreeSet::from([root.clone(), root.join("rev2")]));
    }

    #[test]
    fn of_a_missing_directory_the_last_that_exists_is_watched() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        assert_eq!(directories(&root.join("later/f.toml")), BTreeSet::from([root]));
    }
}
