//! Where the audit trail goes, and how a line gets there whole.
//!
//! A file is opened anew for each record: changes are rare, and so a file that was moved away (logrotate) or deleted is
//! followed by a new one, and a disk that was full is used again once it is not.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::Record;

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
    /// A trail in this file, which is made if it is not there. An error says that it cannot be written now.
    pub fn file(path: &Path) -> io::Result<Self> {
        open(path)?;
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
        Ok(Self::to(Destination::Stream { stream, torn: false }))
    }

    fn to(destination: Destination) -> Self {
        Self { to: Arc::new(Mutex::new(destination)) }
    }

    /// Appends a record. Where it ends in an error, a part of the line may be there; the next record begins a new one.
    pub(super) async fn append(&self, record: &Record) -> io::Result<()> {
        let line = record.line()?;
        let to = Arc::clone(&self.to);
        let written =
            tokio::task::spawn_blocking(move || to.lock().unwrap_or_else(PoisonError::into_inner).append(&line));
        written.await?
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
    OpenOptions::new().read(true).append(true).create(true).open(path)
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
