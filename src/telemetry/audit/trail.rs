//! Where the audit trail goes, and how a line gets there whole.
//!
//! A file is opened anew for each record: changes are rare, and so a file that was moved away (logrotate) or deleted is
//! followed by a new one, and a disk that was full is used again once it is not. A record that is not written in time is an
//! error like any other; while the write hangs, no other is begun, so that neither threads nor records pile up behind it.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::OFlags;
use tokio::sync::Mutex;

use super::Record;

/// A record is written within this time, or the change that it tells of is not made. Syncing a disk takes milliseconds, or
/// seconds where that disk is busy.
const DEADLINE: Duration = Duration::from_secs(5);

/// Appends records, each as one whole line; for a file, it is on the disk when that has ended.
#[derive(Clone)]
pub struct AuditTrail {
    // Held while a line is written: records of several tasks do not mix.
    to: Arc<Mutex<Destination>>,
}

enum Destination {
    File(PathBuf),
    Stream {
        stream: File,
        /// Whether the last line may have been written in part.
        torn: bool,
    },
}

impl AuditTrail {
    /// A trail in this file, which is made if it is not there. An error says that it cannot be written now, or that what is
    /// written there is kept nowhere.
    pub fn file(path: &Path) -> io::Result<Self> {
        keeps(&open(path)?.metadata()?)?;
        Ok(Self::to(Destination::File(path.to_owned())))
    }

    /// A trail on the standard output.
    pub fn stdout() -> io::Result<Self> {
        Self::stream(io::stdout().as_fd())
    }

    /// A trail on the standard error output.
    pub fn stderr() -> io::Result<Self> {
        Self::stream(io::stderr().as_fd())
    }

    /// Past the buffers of the standard library: what it was given may not wait in one, nor come out later.
    fn stream(stream: BorrowedFd<'_>) -> io::Result<Self> {
        let stream = File::from(stream.try_clone_to_owned()?);
        keeps(&stream.metadata()?)?;
        Ok(Self::to(Destination::Stream { stream, torn: false }))
    }

    fn to(destination: Destination) -> Self {
        Self { to: Arc::new(Mutex::new(destination)) }
    }

    /// Appends a record. Where it ends in an error, a part of the line may be there; the next record begins a new one.
    pub(super) async fn append(&self, record: &Record) -> io::Result<()> {
        self.append_line(record.line()?, DEADLINE).await
    }

    async fn append_line(&self, line: String, deadline: Duration) -> io::Result<()> {
        let late = |_| {
            io::Error::new(
                io::ErrorKind::TimedOut,
                format!("the record was not written within {deadline:?}: the disk, or the reader of the trail, hangs"),
            )
        };
        let written = async {
            let mut to = Arc::clone(&self.to).lock_owned().await;
            tokio::task::spawn_blocking(move || to.append(&line)).await?
        };
        tokio::time::timeout(deadline, written).await.map_err(late)?
    }
}

impl Destination {
    fn append(&mut self, line: &str) -> io::Result<()> {
        match self {
            Self::File(path) => {
                let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
                append(path, line).map_err(named)
            }
            Self::Stream { stream, torn } => {
                let text = whole(line, *torn);
                *torn = true;
                stream.write_all(text.as_bytes())?;
                *torn = false;
                Ok(())
            }
        }
    }
}

/// The line, so that it is one whatever stands before it.
fn whole(line: &str, torn: bool) -> String {
    if torn { format!("\n{line}") } else { line.to_owned() }
}

fn open(path: &Path) -> io::Result<File> {
    let pipe = path.metadata().is_ok_and(|about| about.file_type().is_fifo());
    // Opened for reading as well, a pipe would have a reader in us.
    let mut options = OpenOptions::new();
    let options = if pipe { options.write(true) } else { options.read(true).append(true).create(true) };
    // A pipe without a reader is an error, and nothing to wait for.
    options.custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)
}

/// An error if what is written there is kept by nobody: it is /dev/null, which is also what a closed standard output
/// becomes.
fn keeps(about: &Metadata) -> io::Result<()> {
    let null = Path::new("/dev/null").metadata().is_ok_and(|null| null.rdev() == about.rdev());
    match about.file_type().is_char_device() && null {
        true => Err(io::Error::other(
            "nobody keeps what is written there: it is /dev/null, or a standard output that is closed",
        )),
        false => Ok(()),
    }
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut file = open(path)?;
    let metadata = file.metadata()?;
    let length = if metadata.is_file() { metadata.len() } else { 0 };
    let mut last = [b'\n'];
    if let Some(at) = length.checked_sub(1) {
        file.read_exact_at(&mut last, at)?;
    }
    file.write_all(whole(line, last != [b'\n']).as_bytes())?;
    // Pipes and devices cannot be synced.
    if metadata.is_file() {
        file.sync_data()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::Line;
    use super::*;

    fn lines(path: &Path) -> Vec<String> {
        fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn lines_are_appended_to_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        for (before, expected) in [
            (None, vec!["{1}", "{2}"]),
            (Some(""), vec!["{1}", "{2}"]),
            (Some("{0}\n"), vec!["{0}", "{1}", "{2}"]),
            (Some("{0}\n{\"version\":1,\"ti"), vec!["{0}", "{\"version\":1,\"ti", "{1}", "{2}"]),
        ] {
            if let Some(before) = before {
                fs::write(&path, before).unwrap();
            }
            append(&path, "{1}\n").unwrap();
            append(&path, "{2}\n").unwrap();
            assert_eq!(lines(&path), expected);
        }
    }

    #[tokio::test]
    async fn records_of_several_tasks_do_not_mix() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let trail = AuditTrail::file(&path).unwrap();
        let line = r#"{"version":1,"time":"2026-11-23T07:00:00.042Z","id":"1","phase":"intent","function":"f",
            "account":"123456789012","region":"eu-west-1","step":"attach_policy","cause":"file",
            "file_digest":"DIGEST","role":"arn:aws:iam::123456789012:role/r","policy":"arn:aws:iam::aws:policy/p"}"#;
        let line = line.replace("DIGEST", crate::names::Digest::of(b"").as_str());
        let Line::Record(record) = Line::parse(line.as_bytes()) else { panic!("it is a record") };
        let tasks = (0..50).map(|_| {
            let (trail, record) = (trail.clone(), record.clone());
            tokio::spawn(async move { trail.append(&record).await })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap().unwrap();
        }
        assert_eq!(lines(&path), vec![record.line().unwrap().trim_end(); 50]);
    }

    #[tokio::test]
    async fn a_write_that_hangs_is_an_error_in_time_and_no_other_is_begun_meanwhile() {
        let (_reader, pipe) = io::pipe().unwrap();
        let trail = AuditTrail::stream(pipe.as_fd()).unwrap();
        let moment = Duration::from_millis(100);
        // More than a pipe holds.
        let large = format!("{}\n", "x".repeat(1 << 20));
        for line in [large.as_str(), "{2}\n", "{3}\n"] {
            let error = trail.append_line(line.to_owned(), moment).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        }
        drop(_reader);
        // The first one has failed by now, or fails soon: nobody reads any more.
        let error = trail.append_line("{4}\n".to_owned(), Duration::from_secs(60)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe, "{error}");
    }

    #[test]
    fn where_nobody_keeps_what_is_written_there_is_no_trail() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(AuditTrail::file(Path::new("/dev/null")).is_err());
        let null = OpenOptions::new().write(true).open("/dev/null").unwrap();
        assert!(AuditTrail::stream(null.as_fd()).is_err(), "a standard output that was closed");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert!(AuditTrail::file(&pipe).is_err(), "a pipe without a reader");
        let _reader =
            OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(&pipe).unwrap();
        assert!(AuditTrail::file(&pipe).is_ok());
    }

    #[test]
    fn a_file_that_was_moved_away_is_followed_by_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("audit.jsonl"), folder.path().join("audit.jsonl.1"));
        append(&path, "{1}\n").unwrap();
        fs::rename(&path, &old).unwrap();
        append(&path, "{2}\n").unwrap();
        assert_eq!((lines(&old), lines(&path)), (vec!["{1}".to_owned()], vec!["{2}".to_owned()]));
    }

    #[test]
    fn what_cannot_be_written_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone");
        for (path, words) in [
            (gone.join("audit.jsonl"), "No such file"),
            (folder.path().to_owned(), "directory"),
            ("/dev/full".into(), "No space left"),
        ] {
            let error = Destination::File(path.clone()).append("{1}\n").unwrap_err().to_string();
            assert!(error.contains(words) && error.contains(&path.display().to_string()), "{error}");
        }
        assert!(AuditTrail::file(&gone.join("audit.jsonl")).is_err(), "it is found out at the start");
        assert!(!gone.exists(), "no directory is made");
        fs::create_dir(&gone).unwrap();
        assert!(Destination::File(gone.join("audit.jsonl")).append("{1}\n").is_ok(), "mended, it works again");
    }

    #[test]
    fn a_stream_that_failed_begins_its_next_line_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut destination = Destination::Stream { stream: full, torn: false };
        assert!(destination.append("{1}\n").is_err());
        if let Destination::Stream { stream, .. } = &mut destination {
            *stream = File::create(&path).unwrap();
        }
        destination.append("{2}\n").unwrap();
        destination.append("{3}\n").unwrap();
        assert_eq!(lines(&path), ["", "{2}", "{3}"]);
    }
}
