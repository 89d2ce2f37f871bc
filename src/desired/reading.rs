//! Reading what others write meanwhile: with a deadline, each content judged once, and taken up when it is whole or calm.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::calm::{Calm, Doubt, Verdict};
use super::traces::Traces;
use super::{Files, POLL, QUIET};
use crate::file::{self, Allowed, Beside, ReadError, Unusable};

/// What is read: where, and what may be read there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// The file, or the directory.
    pub path: PathBuf,
    /// What may be read.
    pub allowed: Allowed,
}

/// Reads one place again and again.
pub struct Reading {
    beside: Beside,
    traces: Arc<Traces>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// What was taken up last, and where it was read.
    taken: Option<(At, Files)>,
    /// What was refused last, and why.
    refused: Option<(Files, Unusable)>,
    calm: Calm,
    /// What was told last of what is waited for.
    told: Option<Doubt>,
}

impl Reading {
    /// Reading by these traces, which a [`super::Watch`] leaves.
    pub fn new(traces: Arc<Traces>) -> Self {
        Self { beside: Beside::default(), traces, known: Mutex::default() }
    }

    /// Reads what is at a place, judges it, and waits until it may be taken up; what is there by then is taken up. None if
    /// that is in force already.
    ///
    /// `judge` is asked once for each content. What `at_once` says yes to is not waited for.
    pub async fn next<T: Send + 'static>(
        &self,
        at: &At,
        read: fn(&At) -> Files,
        in_force: impl Fn(&Files) -> bool,
        judge: impl Fn(&Files) -> Result<T, Unusable> + Clone + Send + 'static,
        at_once: impl Fn(&T) -> bool,
    ) -> Result<Option<T>, Unusable> {
        let mut judged: Option<(Files, T)> = None;
        loop {
            let place = at.clone();
            let events = self.traces.events();
            let files = self.beside.at(&at.path, move || read(&place)).await.unwrap_or_else(Files::of_error);
            if in_force(&files) {
                self.taken(at, files, events);
                return Ok(None);
            }
            let good = match judged.take() {
                Some((same, good)) if same.say_the_same(&files) => good,
                _ => self.judge(&files, judge.clone()).await?,
            };
            let verdict = self.verdict(at, &files).await;
            let wait = match verdict {
                Verdict::Wait(wait, doubt) if !at_once(&good) => {
                    self.tell(at, &doubt, wait);
                    wait
                }
                Verdict::Restless => return Err(ReadError::Restless { path: at.path.clone() }.into()),
                Verdict::Now | Verdict::Wait(..) => {
                    self.taken(at, files, events);
                    return Ok(Some(good));
                }
            };
            judged = Some((files, good));
            tokio::select! {
                () = tokio::time::sleep(wait.min(POLL)) => {}
                () = self.traces.happens() => tokio::time::sleep(QUIET).await,
            }
        }
    }

    /// Whether there is anything at a place.
    pub async fn is_there(&self, at: &At) -> Result<bool, Unusable> {
        let path = at.path.clone();
        let about = self.beside.at(&at.path, move || path.symlink_metadata()).await?;
        Ok(!matches!(about, Err(error) if error.kind() == std::io::ErrorKind::NotFound))
    }

    /// Judges a content, unless it was refused before.
    async fn judge<T: Send + 'static>(
        &self,
        files: &Files,
        judge: impl Fn(&Files) -> Result<T, Unusable> + Send + 'static,
    ) -> Result<T, Unusable> {
        if let Some((before, unusable)) = &self.known().refused
            && before.say_the_same(files)
        {
            return Err(unusable.clone());
        }
        let these = files.clone();
        // Parsing needs memory and time, but it ends.
        let judged = file::aside(move || judge(&these)).await;
        self.known().refused = judged.as_ref().err().map(|unusable| (files.clone(), unusable.clone()));
        judged
    }

    async fn verdict(&self, at: &At, files: &Files) -> Verdict {
        let verdict = |full: bool| {
            let Known { taken, calm, .. } = &mut *self.known();
            let before = taken.as_ref().filter(|(before, _)| before.path == at.path).map(|(_, files)| files);
            calm.judge(before, files, &self.traces, full)
        };
        match verdict(false) {
            // What is cut short by a full disk stays so for as long as the disk is full.
            Verdict::Now if self.was_cut() && self.is_full(&at.path).await => verdict(true),
            verdict => verdict,
        }
    }

    fn was_cut(&self) -> bool {
        matches!(self.known().told, Some(Doubt::Cut(_)))
    }

    async fn is_full(&self, path: &Path) -> bool {
        let place = path.to_owned();
        let free = self.beside.at(path, move || rustix::fs::statvfs(&place)).await;
        matches!(free, Ok(Ok(about)) if about.f_bavail == 0)
    }

    /// What was read when there were so many events is in force.
    fn taken(&self, at: &At, files: Files, events: u64) {
        let mut known = self.known();
        *known = Known { taken: Some((at.clone(), files)), ..Known::default() };
        self.traces.taken(events);
    }

    /// Says what is waited for, once.
    fn tell(&self, at: &At, doubt: &Doubt, wait: Duration) {
        let mut known = self.known();
        if known.told.as_ref() == Some(doubt) {
            return;
        }
        let (path, wait) = (at.path.display(), wait.as_secs());
        match doubt {
            Doubt::Young => {}
            Doubt::InPlace => tracing::info!(
                "{path} was written in its place: it is taken up when it has not changed for {wait} s; what is renamed to \
                 its place is taken up at once"
            ),
            Doubt::Cut(what) => tracing::warn!(
                "{path} looks cut short ({what}): it is taken up when it has not changed for {wait} s; what is renamed to \
                 its place is taken up at once"
            ),
        }
        known.told = Some(doubt.clone());
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;
    use std::time::SystemTime;

    use notify::event::{ModifyKind, RenameMode};
    use tokio::time::Instant;

    use super::*;
    use crate::desired::{Accounts, DesiredState};

    /// A place with files, whoever reads it, and how often that was judged.
    struct Place {
        root: PathBuf,
        _folder: tempfile::TempDir,
        at: At,
        reading: Reading,
        judged: Arc<Mutex<usize>>,
    }

    impl Place {
        /// With these files, of which those at this path are taken up.
        async fn new(path: &str, lay_out: impl FnOnce(&Path)) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().canonicalize().unwrap();
            lay_out(&root);
            let at = At { path: root.join(path), allowed: Allowed::default() };
            let place =
                Self { root, _folder: folder, at, reading: Reading::new(Arc::default()), judged: Arc::default() };
            place.next(None).await.unwrap().unwrap();
            place
        }

        /// The names of the functions of what is taken up next, if it is another content than this.
        async fn next(&self, in_force: Option<&Files>) -> Result<Option<Vec<String>>, Unusable> {
            let judged = Arc::clone(&self.judged);
            let judge = move |files: &Files| {
                *judged.lock().unwrap() += 1;
                DesiredState::of(files, &Accounts::without_aws(std::collections::BTreeMap::new(), None))
            };
            let is_in_force = |files: &Files| in_force.is_some_and(|before| files.say_the_same(before));
            let read = |at: &At| Files::read(&at.path, &at.allowed);
            let state = self.reading.next(&self.at, read, is_in_force, judge, |_| false).await?;
            Ok(state.map(|state| state.entries.iter().map(|entry| entry.key.name.to_string()).collect()))
        }

        /// How long it takes until what is there now is taken up.
        async fn takes(&self) -> Duration {
            let begun = Instant::now();
            self.next(None).await.unwrap().unwrap();
            begun.elapsed()
        }

        fn judged(&self) -> usize {
            std::mem::take(&mut *self.judged.lock().unwrap())
        }
    }

    fn text(name: &str) -> String {
        format!("[[function]]\nname = '{name}'\nvpc = 'none'\nregion = 'eu-west-1'\n")
    }

    /// Writes a file elsewhere and renames it, so much later that its stamp shows it.
    fn renamed(path: &Path, text: &str) {
        let next = path.with_file_name("next");
        fs::write(&next, text).unwrap();
        File::options()
            .write(true)
            .open(&next)
            .unwrap()
            .set_modified(SystemTime::now() - Duration::from_secs(1))
            .unwrap();
        fs::rename(next, path).unwrap();
    }

    fn swap(link: &Path, target: &str) {
        let next = link.with_file_name("next");
        symlink(target, &next).unwrap();
        fs::rename(next, link).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_arrives_as_a_whole_is_taken_up_at_once_and_what_is_written_in_its_place_later() {
        let place = Place::new("f.toml", |root| fs::write(root.join("f.toml"), text("a")).unwrap()).await;
        renamed(&place.at.path, &text("b"));
        assert_eq!(place.takes().await, Duration::ZERO);
        fs::write(&place.at.path, format!("{}{}", text("b"), text("c"))).unwrap();
        assert_eq!(place.takes().await, Duration::from_secs(10));
        fs::write(&place.at.path, text("b")).unwrap();
        assert_eq!(place.takes().await, Duration::from_secs(30), "an entry has vanished");
        fs::write(place.root.join("next"), text("d")).unwrap();
        fs::rename(place.root.join("next"), &place.at.path).unwrap();
        // At this moment its stamp may not tell, since the system's clock ticks some hundred times a second.
        let to = notify::EventKind::Modify(ModifyKind::Name(RenameMode::To));
        place.reading.traces.note(&Ok(notify::Event::new(to).add_path(place.at.path.clone())));
        assert_eq!(place.takes().await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_git_sync_and_a_config_map_lead_to_is_taken_up_at_once_and_a_write_into_it_later() {
        let revision = |root: &Path, name: &str| {
            fs::create_dir_all(root.join(name).join("fleet")).unwrap();
            fs::write(root.join(name).join("fleet/f.toml"), text(&name.replace(['/', '.'], "-"))).unwrap();
        };
        for path in ["git/current/fleet/f.toml", "git/current/fleet", "git/current/fleet/"] {
            let place = Place::new(path, |root| {
                revision(root, "git/rev1");
                symlink("rev1", root.join("git/current")).unwrap();
            })
            .await;
            revision(&place.root, "git/rev2");
            swap(&place.root.join("git/current"), "rev2");
            fs::remove_dir_all(place.root.join("git/rev1")).unwrap();
            assert_eq!(place.takes().await, Duration::ZERO, "{path}");
            fs::write(place.root.join("git/rev2/fleet/f.toml"), format!("{}{}", text("git-rev2"), text("x"))).unwrap();
            assert_eq!(place.takes().await, Duration::from_secs(10), "{path}");
        }
        for path in ["mount/f.toml", "mount"] {
            let revision = |root: &Path, name: &str| {
                fs::create_dir_all(root.join("mount").join(name)).unwrap();
                fs::write(root.join("mount").join(name).join("f.toml"), text(&name.replace('.', "-"))).unwrap();
            };
            let place = Place::new(path, |root| {
                revision(root, "..rev1");
                symlink("..rev1", root.join("mount/..data")).unwrap();
                symlink("..data/f.toml", root.join("mount/f.toml")).unwrap();
            })
            .await;
            revision(&place.root, "..rev2");
            swap(&place.root.join("mount/..data"), "..rev2");
            fs::remove_dir_all(place.root.join("mount/..rev1")).unwrap();
            assert_eq!(place.takes().await, Duration::ZERO, "{path}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_leaves_a_directory_or_is_made_there_may_be_on_its_way() {
        let place = Place::new("d", |root| {
            fs::create_dir(root.join("d")).unwrap();
            fs::write(root.join("d/a.toml"), text("a")).unwrap();
            fs::write(root.join("d/b.toml"), text("b")).unwrap();
        })
        .await;
        // As git does it in a working tree: the old one goes, and the new one is written.
        fs::remove_file(place.root.join("d/b.toml")).unwrap();
        assert_eq!(place.takes().await, Duration::from_secs(30));
        fs::write(place.root.join("d/b.toml"), text("b")).unwrap();
        assert_eq!(place.takes().await, Duration::from_secs(10));
        renamed(&place.root.join("d/c.toml"), &text("c"));
        assert_eq!(place.takes().await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rename_ends_the_wait_for_what_was_written_in_its_place() {
        let place = Place::new("f.toml", |root| fs::write(root.join("f.toml"), text("a")).unwrap()).await;
        fs::write(&place.at.path, "[[function]]\nname = 'half'\nvpc = 'none'\nregion = 'eu-west-1'\n").unwrap();
        let (path, begun) = (place.at.path.clone(), Instant::now());
        let later = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            renamed(&path, &text("whole"));
            place.reading.traces.wake();
        };
        let (taken, ()) = tokio::join!(place.next(None), later);
        assert_eq!(taken.unwrap().unwrap(), ["whole"]);
        assert_eq!(begun.elapsed(), Duration::from_secs(3) + QUIET);
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_bytes_are_judged_once_though_they_are_refused_and_mistakes_are_told_at_once() {
        let place = Place::new("f.toml", |root| fs::write(root.join("f.toml"), text("a")).unwrap()).await;
        assert_eq!(place.judged(), 1);
        let before = Files::read(&place.at.path, &place.at.allowed);
        for _ in 0..3 {
            assert_eq!(place.next(Some(&before)).await, Ok(None), "it is in force");
        }
        assert_eq!(place.judged(), 0);
        fs::write(&place.at.path, "[[function]\n").unwrap();
        let begun = Instant::now();
        let said = place.next(Some(&before)).await.unwrap_err();
        assert_eq!(begun.elapsed(), Duration::ZERO, "nothing is changed by a mistake");
        for _ in 0..3 {
            assert_eq!(place.next(Some(&before)).await.unwrap_err(), said);
        }
        assert_eq!(place.judged(), 1);
        fs::write(&place.at.path, format!("{}{}", text("a"), text("b"))).unwrap();
        assert_eq!(place.next(Some(&before)).await.unwrap().unwrap(), ["a", "b"]);
        assert_eq!(place.judged(), 1, "also while it is waited for");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pipe_in_its_place_is_told_and_the_next_good_file_is_taken_up() {
        let place = Place::new("f.toml", |root| fs::write(root.join("f.toml"), text("a")).unwrap()).await;
        fs::remove_file(&place.at.path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &place.at.path, rustix::fs::Mode::RWXU).unwrap();
        let said = place.next(None).await.unwrap_err().to_string();
        assert!(said.contains("f.toml is a named pipe"), "{said}");
        fs::remove_file(&place.at.path).unwrap();
        let said = place.next(None).await.unwrap_err().to_string();
        assert!(said.contains("No such file"), "{said}");
        renamed(&place.at.path, &text("b"));
        assert_eq!(place.next(None).await.unwrap().unwrap(), ["b"]);
    }
}
