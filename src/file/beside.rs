//! Work on files beside everything else, and no longer than a while: on a network file system that hangs, a read never ends,
//! and nobody can end it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinError;

use super::ReadError;

/// Longer than any file that people write takes to be read.
const DEADLINE: Duration = Duration::from_secs(10);
/// So many places may hang at the same time; work on further ones is not begun.
const MOST: usize = 4;

/// Does work on files in threads of their own. One that hangs is left to itself, and no other is begun at its place until it
/// has ended: so they do not pile up.
#[derive(Clone, Debug)]
pub struct Beside {
    deadline: Duration,
    /// Where work is under way.
    busy: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Default for Beside {
    fn default() -> Self {
        Self { deadline: DEADLINE, busy: Arc::default() }
    }
}

impl Beside {
    /// What the work at this place comes to; an error if it has not come to an end in time, or an earlier one still has not.
    pub async fn at<T: Send + 'static>(
        &self,
        path: &Path,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ReadError> {
        let late = || ReadError::Late { path: path.to_owned(), after: self.deadline };
        let ends = self.begin(path).ok_or_else(late)?;
        let work = tokio::task::spawn_blocking(move || {
            let _ends = ends;
            work()
        });
        match tokio::time::timeout(self.deadline, work).await {
            Err(_) => Err(late()),
            Ok(joined) => Ok(ended(joined).await),
        }
    }

    fn begin(&self, path: &Path) -> Option<Busy> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        (busy.len() < MOST && busy.insert(path.to_owned())).then(|| Busy { at: path.to_owned(), of: self.clone() })
    }
}

/// Does what takes its time, but ends, beside the threads that everything else needs.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    ended(tokio::task::spawn_blocking(work).await).await
}

/// What a task came to; a panic in it goes on here.
pub async fn ended<T>(joined: Result<T, JoinError>) -> T {
    match joined {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Given up at the program's end, and nobody waits for it any more.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Work that is under way; dropped when it has ended, however it did.
struct Busy {
    at: PathBuf,
    of: Beside,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.of.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.at);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn what_hangs_is_told_and_nothing_more_is_begun_there_until_it_ends() {
        let beside = Beside { deadline: Duration::from_millis(20), ..Beside::default() };
        let hangs = |release: mpsc::Receiver<()>| move || release.recv().is_ok();
        let (release, held) = mpsc::channel();
        let late = beside.at(Path::new("/net/f.toml"), hangs(held)).await;
        assert!(late.unwrap_err().to_string().contains("reading /net/f.toml has not ended after 20ms"));
        for _ in 0..100 {
            let again = beside.at(Path::new("/net/f.toml"), || panic!("it is not begun again")).await;
            assert!(matches!(again, Err(ReadError::Late { .. })), "{again:?}");
        }
        assert_eq!(beside.at(Path::new("/etc/f.toml"), || 7).await.unwrap(), 7, "another place is read meanwhile");
        release.send(()).unwrap();
        while !beside.busy.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(beside.at(Path::new("/net/f.toml"), || 7).await.unwrap(), 7, "it has ended, and it is read again");
    }

    #[tokio::test]
    async fn of_places_that_hang_there_are_only_so_many() {
        let beside = Beside { deadline: Duration::from_millis(5), ..Beside::default() };
        let mut releases = Vec::new();
        for place in 0..10 {
            let (release, held) = mpsc::channel::<()>();
            releases.push(release);
            let late = beside.at(&PathBuf::from(format!("/net/{place}")), move || held.recv().is_ok()).await;
            assert!(matches!(late, Err(ReadError::Late { .. })), "{late:?}");
        }
        assert_eq!(beside.busy.lock().unwrap().len(), MOST);
    }
}
