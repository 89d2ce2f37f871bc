//! What is read at one moment: one file, or every `*.toml` of a directory.
//!
//! A directory that is swapped while it is read would give some files of before and some of after, a mixture that nobody
//! wrote. So what it holds is listed before and after the reading, and only a directory that stayed as it was counts.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::file::{Diagnostic, ReadError, Source};
use crate::names::Digest;

/// A directory that changed while it was read is read again at once, this often in all.
const TRIES: u32 = 5;

/// The files as they were read once. What could not be read is kept as well: all mistakes are told together.
#[derive(Clone, Debug)]
pub struct Files {
    sources: Vec<Source>,
    unread: Vec<Diagnostic>,
    digest: Digest,
}

impl Files {
    /// Reads a file; or of a directory those files that end in `.toml`, in the order of their names, but neither hidden
    /// ones nor those of directories in it.
    pub fn read(path: &Path) -> Self {
        match path.is_dir() {
            true => directory(path, Source::read).unwrap_or_else(|error| Self::of_directory([Err(error)])),
            false => Self::of_file(Source::read(path)),
        }
    }

    /// What was read, in the order of the files' names.
    pub(super) fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// What could not be read, or says nothing.
    pub(super) fn unread(&self) -> &[Diagnostic] {
        &self.unread
    }

    /// The digest of all of it, as [`super::DesiredState::digest`] explains it.
    pub(super) fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Whether all was read, and has this digest.
    pub fn have(&self, digest: &Digest) -> bool {
        self.unread.is_empty() && self.digest == *digest
    }

    fn of_file(read: Result<Source, ReadError>) -> Self {
        Self::of([read], |sources| sources.first().map_or_else(|| Digest::of(&[]), |only| only.digest().clone()))
    }

    fn of_directory(read: impl IntoIterator<Item = Result<Source, ReadError>>) -> Self {
        Self::of(read, digest_of_all)
    }

    fn of(read: impl IntoIterator<Item = Result<Source, ReadError>>, digest: impl Fn(&[Source]) -> Digest) -> Self {
        let (mut sources, mut unread) = (Vec::new(), Vec::new());
        for source in read {
            match source.and_then(|source| source.must_say_something().map(|()| source)) {
                Ok(source) => sources.push(source),
                Err(error) => unread.push(Diagnostic::unread(&error)),
            }
        }
        Self { digest: digest(&sources), sources, unread }
    }
}

impl From<Source> for Files {
    fn from(source: Source) -> Self {
        Self::of_file(Ok(source))
    }
}

fn digest_of_all(sources: &[Source]) -> Digest {
    let mut lines = Vec::new();
    for source in sources {
        lines.extend_from_slice(source.digest().as_str().as_bytes());
        lines.extend_from_slice(b"  ");
        lines.extend_from_slice(source.path().file_name().unwrap_or_default().as_bytes());
        lines.push(b'\n');
    }
    Digest::of(&lines)
}

fn directory(path: &Path, mut read: impl FnMut(&Path) -> Result<Source, ReadError>) -> Result<Files, ReadError> {
    for _ in 0..TRIES {
        let before = list(path)?;
        if before.is_empty() {
            return Err(ReadError::NoFiles { path: path.to_owned() });
        }
        // What could not be read is only told of a directory that stayed as it was: a file may have gone with its tree.
        let files = Files::of_directory(before.iter().map(|file| read(&file.path)));
        if list(path)? == before {
            return Ok(files);
        }
    }
    Err(ReadError::Restless { path: path.to_owned() })
}

/// A file of a directory, and what shows that it has changed.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Listed {
    path: PathBuf,
    /// Device, inode, length and time of modification of what the path leads to; none where it leads nowhere.
    stamp: Option<(u64, u64, u64, i64, i64)>,
}

/// The files of a directory that count, in the order of their names. A link that leads nowhere is listed too: reading it
/// fails, which is right, since somebody means it to be there.
fn list(path: &Path) -> Result<Vec<Listed>, ReadError> {
    let failed = |error| ReadError::Unreadable { path: path.to_owned(), error };
    let mut listed = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !counts(&entry.file_name()) {
            continue;
        }
        let about = entry.path().metadata().ok();
        if about.as_ref().is_some_and(std::fs::Metadata::is_dir) {
            continue;
        }
        let stamp = about.map(|about| (about.dev(), about.ino(), about.len(), about.mtime(), about.mtime_nsec()));
        listed.push(Listed { path: entry.path(), stamp });
    }
    listed.sort();
    Ok(listed)
}

/// Whether a file of this name belongs to the desired state.
pub(super) fn counts(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.ends_with(b".toml") && !name.starts_with(b".")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(files: &Files) -> Vec<String> {
        files.sources().iter().map(|file| file.path().file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn of_a_directory_the_toml_files_are_read_in_the_order_of_their_names_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.toml", "a.toml", "B.toml", ".hidden.toml", "..data.toml", "c.toml~", "d.md", "toml"] {
            fs::write(folder.path().join(name), format!("# {name}\nfunction = []")).unwrap();
        }
        fs::create_dir(folder.path().join("sub.toml")).unwrap();
        fs::write(folder.path().join("sub.toml/e.toml"), "function = []").unwrap();
        let files = Files::read(folder.path());
        assert_eq!(names(&files), ["B.toml", "a.toml", "b.toml"]);
        assert_eq!(files.unread(), []);
    }

    #[test]
    fn the_digest_of_a_directory_is_that_of_what_sha256sum_prints() {
        let folder = tempfile::tempdir().unwrap();
        let digest = || Files::read(folder.path()).digest().clone();
        fs::write(folder.path().join("a.toml"), "function = []\n").unwrap();
        let one = digest();
        let sum = Digest::of(b"function = []\n");
        assert_eq!(one, Digest::of(format!("{}  a.toml\n", sum.as_str()).as_bytes()));
        fs::rename(folder.path().join("a.toml"), folder.path().join("b.toml")).unwrap();
        assert_ne!(digest(), one, "the name counts");
        fs::write(folder.path().join("a.toml"), "function = []\n").unwrap();
        let two = digest();
        fs::write(folder.path().join("a.toml"), "function = [ ]\n").unwrap();
        assert_ne!(digest(), two, "the bytes count");
        fs::remove_file(folder.path().join("b.toml")).unwrap();
        fs::write(folder.path().join("a.toml"), "function = []\n").unwrap();
        assert_eq!(digest(), one);
        assert_eq!(*Files::read(&folder.path().join("a.toml")).digest(), sum, "that of a file is the one of its bytes");
    }

    #[test]
    fn a_directory_that_is_swapped_while_it_is_read_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let (root, current) = (folder.path(), folder.path().join("current"));
        // The new tree lacks a file of the old one, as after a rename in the repository.
        for (tree, files) in [("old", ["a.toml", "b.toml"]), ("new", ["b.toml", "c.toml"])] {
            fs::create_dir(root.join(tree)).unwrap();
            files.iter().for_each(|name| fs::write(root.join(tree).join(name), format!("# {tree}\nx = 1")).unwrap());
        }
        symlink("old", &current).unwrap();
        let mut swapped = false;
        let files = directory(&current, |path| {
            if !std::mem::replace(&mut swapped, true) {
                symlink("new", root.join("next")).unwrap();
                fs::rename(root.join("next"), &current).unwrap();
                fs::remove_dir_all(root.join("old")).unwrap();
            }
            Source::read(path)
        });
        let files = files.unwrap();
        assert_eq!((names(&files), files.unread()), (vec!["b.toml".to_owned(), "c.toml".to_owned()], &[][..]));
        assert!(files.sources().iter().all(|file| file.text().starts_with("# new")), "all of it is of one tree");
    }

    #[test]
    fn a_directory_that_never_rests_is_a_mistake_and_so_is_one_that_goes_while_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        fs::write(&file, "x = 1").unwrap();
        let mut length = 0;
        let growing = directory(folder.path(), |path| {
            length += 1;
            fs::write(path, "x".repeat(length)).unwrap();
            Source::read(path)
        });
        assert!(matches!(growing, Err(ReadError::Restless { .. })), "{growing:?}");
        assert_eq!(length, TRIES as usize);
        let going = directory(folder.path(), |path| {
            fs::remove_dir_all(folder.path()).unwrap();
            Source::read(path)
        });
        assert!(matches!(going, Err(ReadError::Unreadable { .. })), "{going:?}");
    }

    #[test]
    fn what_cannot_be_read_is_a_mistake_and_not_an_absence() {
        let folder = tempfile::tempdir().unwrap();
        let unread =
            || Files::read(folder.path()).unread().iter().map(|it| it.message().to_owned()).collect::<Vec<_>>();
        let said = unread();
        assert!(said.len() == 1 && said[0].contains("has no file that ends in .toml"), "{said:?}");
        fs::write(folder.path().join("good.toml"), "function = []").unwrap();
        assert_eq!(unread(), [] as [&str; 0]);
        fs::write(folder.path().join("empty.toml"), "").unwrap();
        fs::write(folder.path().join("silent.toml"), "# nothing").unwrap();
        fs::write(folder.path().join("text.toml"), b"\xff").unwrap();
        symlink("nowhere", folder.path().join("gone.toml")).unwrap();
        let said = unread();
        let expected = ["empty.toml is empty", "cannot read", "silent.toml lists nothing", "not UTF-8"];
        assert_eq!(said.len(), expected.len(), "{said:?}");
        for (said, expected) in said.iter().zip(expected) {
            assert!(said.contains(expected), "{said}");
        }
        assert!(
            !Files::read(folder.path()).have(Files::read(folder.path()).digest()),
            "it is never taken for what is in force"
        );
    }
}
