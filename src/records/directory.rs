//! Records as files of a directory, one for each scope.
//!
//! A file is replaced as a whole: what is there is the record before or the one after, also when the process is killed or
//! the machine loses its power in between. Whoever may write to the directory decides what the process remembers; so it
//! belongs to the daemon's user alone.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::{Loading, Records, Storing};
use crate::names::ScopeKey;

/// A disk that has not answered in this time, such as a network mount that hangs, is one that does not work.
const DEADLINE: Duration = Duration::from_secs(10);
/// No record is as large: 100 000 functions that are not in sync take a tenth of it.
const MOST_BYTES: u64 = 64 << 20;
/// For the owner alone.
const MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// A directory of records. It is made when it is first needed, and may vanish and come back.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
    /// Held while the disk works, also beyond the deadline: what hangs keeps one thread, and what comes late is not
    /// written over what is newer.
    busy: Arc<Mutex<()>>,
}

impl Directory {
    /// The directory at this path; it need not be there.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), busy: Arc::default() }
    }

    /// Does a piece of work on the disk, beside the runtime's threads; an error names the file.
    async fn work<T: Send + 'static>(
        &self,
        scope: &ScopeKey,
        work: impl FnOnce(&Path, &str) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (folder, busy) = (self.path.clone(), Arc::clone(&self.busy));
        let name = format!("{}-{}.json", scope.account, scope.region);
        let path = folder.join(&name);
        let done = async move {
            let held = busy.lock_owned().await;
            tokio::task::spawn_blocking(move || {
                let done = work(&folder, &name);
                drop(held);
                done
            })
            .await
        };
        let done = match tokio::time::timeout(DEADLINE, done).await {
            Ok(done) => done.map_err(io::Error::from).flatten(),
            Err(_) => {
                Err(io::Error::new(io::ErrorKind::TimedOut, format!("the disk did not answer within {DEADLINE:?}")))
            }
        };
        done.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }
}

impl Records for Directory {
    fn load<'a>(&'a self, scope: &'a ScopeKey) -> Loading<'a> {
        Box::pin(self.work(scope, read))
    }

    fn store<'a>(&'a self, scope: &'a ScopeKey, record: String) -> Storing<'a> {
        Box::pin(self.work(scope, move |folder, name| replace(folder, name, &record)))
    }
}

/// Reads a file; none if it is not there. What is no regular file, or too large to be a record, is an error: a pipe would
/// be waited for without end.
fn read(folder: &Path, name: &str) -> io::Result<Option<String>> {
    let path = folder.join(name);
    let about = match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        about => about?,
    };
    if !about.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    if about.len() > MOST_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is larger than 64 MiB, so it is no record"));
    }
    let mut text = String::new();
    File::open(&path)?.take(MOST_BYTES).read_to_string(&mut text)?;
    Ok(Some(text))
}

/// Puts this text in place of a file: written beside it, brought to the disk, renamed over it, and the name brought to the
/// disk as well.
fn replace(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    make(folder)?;
    let (path, beside) = (folder.join(name), folder.join(format!(".{name}.new")));
    // What a process left that was killed in the midst of this; or what somebody laid out as a link to elsewhere.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, &path)?;
    File::open(folder)?.sync_all()
}

/// Makes a directory that is not there yet, and brings the name of each that it makes to the disk.
fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = match folder.parent() {
        Some(above) if above != Path::new("") => above,
        _ => Path::new("."),
    };
    make(above)?;
    match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    File::open(above)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::names::{AccountId, Region};

    fn scope() -> ScopeKey {
        ScopeKey { account: AccountId::parse("123456789012").unwrap(), region: Region::parse("eu-west-1").unwrap() }
    }

    const NAME: &str = "123456789012-eu-west-1.json";

    #[tokio::test]
    async fn what_was_stored_last_is_there_afterwards_for_its_owner_alone_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("not/there/yet");
        let directory = Directory::new(&path);
        assert_eq!(directory.load(&scope()).await.unwrap(), None);
        for text in ["one", "", "another, which is longer"] {
            directory.store(&scope(), text.to_owned()).await.unwrap();
            assert_eq!(Directory::new(&path).load(&scope()).await.unwrap().as_deref(), Some(text));
        }
        let files: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(files, [NAME]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path.join(NAME)), mode(&path)), (MODE, FOLDER_MODE));
    }

    #[tokio::test]
    async fn what_a_killed_process_left_half_written_is_not_read_and_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::new(folder.path());
        directory.store(&scope(), "whole".to_owned()).await.unwrap();
        fs::write(folder.path().join(format!(".{NAME}.new")), "ha").unwrap();
        assert_eq!(directory.load(&scope()).await.unwrap().as_deref(), Some("whole"));
        directory.store(&scope(), "the next".to_owned()).await.unwrap();
        assert_eq!(directory.load(&scope()).await.unwrap().as_deref(), Some("the next"));
    }

    #[tokio::test]
    async fn no_link_is_followed_when_a_record_is_stored() {
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (folder.path().join("state"), folder.path().join("elsewhere"));
        fs::create_dir(&path).unwrap();
        fs::write(&elsewhere, "precious").unwrap();
        for name in [NAME.to_owned(), format!(".{NAME}.new")] {
            std::os::unix::fs::symlink(&elsewhere, path.join(name)).unwrap();
        }
        let directory = Directory::new(&path);
        assert!(directory.load(&scope()).await.unwrap_err().to_string().contains("no regular file"));
        directory.store(&scope(), "record".to_owned()).await.unwrap();
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "precious");
        assert_eq!(directory.load(&scope()).await.unwrap().as_deref(), Some("record"));
    }

    #[tokio::test]
    async fn what_cannot_be_kept_is_an_error_that_names_the_file_and_what_is_mended_works_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        fs::write(&path, "a file where the directory should be").unwrap();
        let directory = Directory::new(&path);
        let error = directory.store(&scope(), "record".to_owned()).await.unwrap_err().to_string();
        assert!(error.contains(&path.join(NAME).display().to_string()), "{error}");
        fs::remove_file(&path).unwrap();
        directory.store(&scope(), "record".to_owned()).await.unwrap();
        assert_eq!(directory.load(&scope()).await.unwrap().as_deref(), Some("record"));
        fs::write(path.join(NAME), [0xff, 0xfe]).unwrap();
        assert!(directory.load(&scope()).await.is_err(), "what is no text is no record");
        File::create(path.join(NAME)).unwrap().set_len(MOST_BYTES + 1).unwrap();
        assert!(directory.load(&scope()).await.unwrap_err().to_string().contains("larger than"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_hangs_is_given_up_and_holds_one_thread() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::new(folder.path());
        let (release, hangs) = std::sync::mpsc::channel::<()>();
        // Time does not pass by itself while something works on the disk.
        let time_passes = || tokio::time::advance(2 * DEADLINE);
        let scope = scope();
        let hanging = directory.work(&scope, move |_, _| hangs.recv().map_err(io::Error::other));
        let (hung, ()) = tokio::join!(hanging, time_passes());
        assert_eq!(hung.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let (refused, ()) = tokio::join!(directory.store(&scope, "record".to_owned()), time_passes());
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::TimedOut, "the other has not ended yet");
        drop(release);
        directory.store(&scope, "record".to_owned()).await.unwrap();
    }
}
