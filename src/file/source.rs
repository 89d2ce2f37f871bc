//! A file as it was read once: its path, its text and the digest of its bytes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::{Allowed, Span, read_regular};
use crate::names::Digest;
use crate::text;

/// So many bytes are between two marks in a long line.
const BETWEEN_MARKS: usize = 1024;

/// A file's content at one moment. Cheap to clone; a desired state keeps it, to show where an entry stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    text: String,
    digest: Digest,
    /// Where each line but the first begins; found out when a place is first asked for, since of a long file each entry is.
    line_starts: OnceLock<Vec<usize>>,
    /// Marks within long lines, and how many characters of the line stand before each; so that a place in a line of megabytes
    /// costs no more than another.
    marks: OnceLock<Vec<(usize, usize)>>,
}

impl PartialEq for Inner {
    /// By the digest of the text: of a file with many mistakes, each is compared with what was told before.
    fn eq(&self, other: &Self) -> bool {
        (&self.digest, &self.path) == (&other.digest, &other.path)
    }
}

impl Eq for Inner {}

/// A file that gives no text to parse.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file could not be read at all.
    #[error("cannot read {}: {error}", named(path))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        error: std::io::Error,
    },
    /// It is no regular file, and reading it could wait for ever, never end, or do something.
    #[error("{} is {what}; only regular files are read", named(path))]
    Special {
        /// The file.
        path: PathBuf,
        /// What it is, with its article.
        what: &'static str,
    },
    /// A link leads to where no link may lead.
    #[error(
        "the link {} leads to {}, {rule}; put the file here, or name the place it leads to under `roots` in the settings' [files]",
        named(path),
        named(to)
    )]
    Strays {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        to: PathBuf,
        /// What is wrong with that.
        rule: &'static str,
    },
    /// The file, or a directory's files together, are larger than any that people write.
    #[error(
        "{} has more than {most} bytes, the most that is read; `max_megabytes` in the settings' [files] allows more",
        named(path)
    )]
    TooLarge {
        /// The file or directory.
        path: PathBuf,
        /// The most that is read.
        most: u64,
    },
    /// A directory has more files than anybody would keep there.
    #[error("{} has more than {most} files that end in .toml, the most that are read", named(path))]
    TooMany {
        /// The directory.
        path: PathBuf,
        /// The most that are read.
        most: usize,
    },
    /// The read has not come to an end in time; a network file system that hangs looks so.
    #[error("reading {} has not ended after {after:?}: its file system may hang; it is tried again", named(path))]
    Late {
        /// The file or directory.
        path: PathBuf,
        /// For how long it was waited.
        after: Duration,
    },
    /// The file holds bytes that are no text.
    #[error("{}:{line}: not UTF-8 text (byte {offset} is invalid); save the file as UTF-8", named(path))]
    NotText {
        /// The file.
        path: PathBuf,
        /// The line of the first invalid byte, from 1.
        line: usize,
        /// The offset of that byte, from 0.
        offset: usize,
    },
    /// The file holds nothing at all.
    #[error("{} is empty; that is taken for a mistake, since a write that was cut short looks just so", named(path))]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file holds comments alone where entries are expected.
    #[error("{} lists nothing; to list no function on purpose, write `function = []`", named(path))]
    Silent {
        /// The file.
        path: PathBuf,
    },
    /// A directory that is to hold files has none that counts.
    #[error(
        "{} has no file that ends in .toml; to list no function on purpose, write `function = []` into one",
        named(path)
    )]
    NoFiles {
        /// The directory.
        path: PathBuf,
    },
    /// A file or directory was never the same before and after it was read, or is written again and again.
    #[error("{} changes again and again while it is read", named(path))]
    Restless {
        /// The directory.
        path: PathBuf,
    },
}

impl ReadError {
    /// The file or directory that it is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::Unreadable { path, .. }
            | Self::Special { path, .. }
            | Self::Strays { path, .. }
            | Self::TooLarge { path, .. }
            | Self::TooMany { path, .. }
            | Self::Late { path, .. }
            | Self::NotText { path, .. }
            | Self::Empty { path }
            | Self::Silent { path }
            | Self::NoFiles { path }
            | Self::Restless { path } => path,
        }
    }
}

/// A path as it is shown: whoever may add a file to a repository chooses its name.
pub(super) fn named(path: &Path) -> String {
    text::shown(&path.to_string_lossy()).into_owned()
}

impl Source {
    /// Reads the file once. A file that holds nothing is an error: a truncated write looks just so.
    pub fn read(path: &Path, allowed: &Allowed) -> Result<Self, ReadError> {
        let (bytes, _) = read_regular(path, None, allowed)?;
        Self::from_bytes(path, bytes)
    }

    /// The content, where it was already read.
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, ReadError> {
        let digest = Digest::of(&bytes);
        let path = path.to_owned();
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let offset = error.utf8_error().valid_up_to();
                let line = 1 + error.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count();
                return Err(ReadError::NotText { path, line, offset });
            }
        };
        if text.trim().is_empty() {
            return Err(ReadError::Empty { path });
        }
        Ok(Self { inner: Arc::new(Inner { path, text, digest, line_starts: OnceLock::new(), marks: OnceLock::new() }) })
    }

    /// The path under which it was read.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.inner.text
    }

    /// An error if there are comments alone.
    pub fn must_say_something(&self) -> Result<(), ReadError> {
        let silent = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
        match self.text().lines().all(silent) {
            true => Err(ReadError::Silent { path: self.path().to_owned() }),
            false => Ok(()),
        }
    }

    /// The digest of its bytes.
    pub fn digest(&self) -> &Digest {
        &self.inner.digest
    }

    /// The line and column of a byte offset, both from 1; columns count characters.
    pub fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let text = self.text();
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let line = self.line(end);
        let start = self.line_start(line);
        let marks = self.inner.marks.get_or_init(|| self.marks());
        let last = marks.partition_point(|(at, _)| *at <= end).checked_sub(1).and_then(|last| marks.get(last));
        let (from, before) = last.copied().filter(|(at, _)| *at >= start).unwrap_or((start, 0));
        (1 + line, 1 + before + text[from..end].chars().count())
    }

    fn marks(&self) -> Vec<(usize, usize)> {
        let (text, mut marks) = (self.text(), Vec::new());
        let starts = std::iter::once(0).chain(self.line_starts().iter().copied());
        let ends = self.line_starts().iter().copied().chain([text.len()]);
        for (start, end) in starts.zip(ends).filter(|(start, end)| end - start > BETWEEN_MARKS) {
            let (mut at, mut before) = (start, 0);
            while end - at > BETWEEN_MARKS {
                let next = text.floor_char_boundary(at + BETWEEN_MARKS);
                before += text[at..next].chars().count();
                at = next;
                marks.push((at, before));
            }
        }
        marks
    }

    /// The whole lines that a span lies in: the number of the first, from 1, and where in the text they are. What follows the
    /// last line break is a line only if there is anything.
    pub(super) fn lines(&self, span: &Span) -> (usize, Span) {
        let text = self.text();
        let last = self.line(text.len());
        let last = if text.ends_with('\n') { last.saturating_sub(1) } else { last };
        let first = self.line(span.start).min(last);
        let end = self.line_starts().get(self.line(span.end)).copied().unwrap_or(text.len());
        (1 + first, self.line_start(first)..end)
    }

    /// The line that a byte is in, from 0.
    fn line(&self, offset: usize) -> usize {
        self.line_starts().partition_point(|start| *start <= offset)
    }

    fn line_start(&self, line: usize) -> usize {
        line.checked_sub(1).and_then(|line| self.line_starts().get(line)).copied().unwrap_or_default()
    }

    fn line_starts(&self) -> &[usize] {
        self.inner.line_starts.get_or_init(|| self.text().match_indices('\n').map(|(at, _)| at + 1).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_also_in_long_lines() {
        let long = "äb".repeat(5_000);
        let text = format!("x\n{long}\n{long}y");
        let source = Source::from_bytes(Path::new("f.toml"), text.clone().into()).unwrap();
        for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            let before = &text[..at];
            let line = before.rfind('\n').map_or(0, |at| at + 1);
            let expected = (1 + before.matches('\n').count(), 1 + before[line..].chars().count());
            assert_eq!(source.line_and_column(at), expected, "{at}");
        }
    }

    #[test]
    fn the_lines_of_a_span_are_whole_ones_and_no_more() {
        for (text, marked, expected) in [
            ("ab\ncd\nef", 0..0, (1, "ab\n")),
            ("ab\ncd\nef", 1..2, (1, "ab\n")),
            ("ab\ncd\nef", 2..2, (1, "ab\n")),
            ("ab\ncd\nef", 3..5, (2, "cd\n")),
            ("ab\ncd\nef", 4..7, (2, "cd\nef")),
            ("ab\ncd\nef", 7..8, (3, "ef")),
            // A mark behind the end belongs to the last line that there is.
            ("ab\ncd\n", 6..6, (2, "cd\n")),
            ("ab\ncd", 5..5, (2, "cd")),
            ("ab\n\n", 4..4, (2, "\n")),
            ("ä\r\ncd\r\n", 4..5, (2, "cd\r\n")),
        ] {
            let source = Source::from_bytes(Path::new("f.toml"), text.into()).unwrap();
            let (line, lines) = source.lines(&marked);
            assert_eq!((line, &source.text()[lines]), expected, "{marked:?} of {text:?}");
        }
    }
}
