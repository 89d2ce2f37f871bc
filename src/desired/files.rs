//! What is read at one moment: one file, or every `*.toml` of a directory.
//!
//! A directory that is swapped while it is read would give some files of before and some of after, a mixture that nobody
//! wrote. So what it holds is listed before and after the reading, and only a directory that stayed as it was counts.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::file::{Allowed, Diagnostic, Print, ReadError, Source, Stamp, Way, read_regular};
use crate::names::Digest;

/// A directory that changed while it was read is read again at once, this often in all.
const TRIES: u32 = 5;
/// So many files of a directory are read at most.
const MOST: usize = 10_000;

/// The files as they were read once. What could not be read is kept as well: all mistakes are told together.
#[derive(Clone, Debug)]
pub struct Files {
    sources: Vec<Source>,
    /// Which file each source was read from; none where nothing was read.
    prints: Vec<Print>,
    unread: Vec<Diagnostic>,
    digest: Digest,
}

/// A file that was read.
type Read = (Source, Print);

impl Files {
    /// Reads a file; or of a directory those files that end in `.toml`, in the order of their names, but neither hidden
    /// ones nor those of directories in it.
    pub fn read(path: &Path, allowed: &Allowed) -> Self {
        match path.is_dir() {
            true => directory(path, allowed, |file, root, allowed| read(file, Some(root), allowed))
                .unwrap_or_else(|error| Self::of_directory([Err(error)])),
            false => Self::of_file(read(path, None, allowed).and_then(says_something)),
        }
    }

    /// Reads the file of the settings, which may say nothing.
    pub fn settings(path: &Path) -> Self {
        Self::of_file(read(path, None, &Allowed::default()))
    }

    /// What was read, in the order of the files' names.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The same, each with the file that it was read from.
    pub(super) fn each(&self) -> impl Iterator<Item = (&Source, &Print)> {
        self.sources.iter().zip(&self.prints)
    }

    /// What could not be read, or says nothing.
    pub fn unread(&self) -> &[Diagnostic] {
        &self.unread
    }

    /// The digest of all of it, as [`super::DesiredState::digest`] explains it.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Whether all was read, and has this digest.
    pub fn have(&self, digest: &Digest) -> bool {
        self.unread.is_empty() && self.digest == *digest
    }

    /// Whether the same was read from files of the same names, so that the same is wrong with it.
    pub fn say_the_same(&self, other: &Self) -> bool {
        (&self.sources, &self.unread) == (&other.sources, &other.unread)
    }

    /// What came of a read that has not ended.
    pub fn of_error(error: ReadError) -> Self {
        Self::of_file(Err(error))
    }

    /// A single file, read so.
    #[cfg(test)]
    pub(super) fn read_so(source: Source, print: Print) -> Self {
        Self::of_file(Ok((source, print)))
    }

    fn of_file(read: Result<Read, ReadError>) -> Self {
        Self::of([read], |sources| sources.first().map_or_else(|| Digest::of(&[]), |only| only.digest().clone()))
    }

    fn of_directory(read: impl IntoIterator<Item = Result<Read, ReadError>>) -> Self {
        Self::of(read.into_iter().map(|read| read.and_then(says_something)), digest_of_all)
    }

    fn of(read: impl IntoIterator<Item = Result<Read, ReadError>>, digest: impl Fn(&[Source]) -> Digest) -> Self {
        let (mut sources, mut prints, mut unread) = (Vec::new(), Vec::new(), Vec::new());
        for read in read {
            match read {
                Ok((source, print)) => {
                    sources.push(source);
                    prints.push(print);
                }
                Err(error) => unread.push(Diagnostic::unread(&error)),
            }
        }
        Self { digest: digest(&sources), sources, prints, unread }
    }
}

impl From<Source> for Files {
    fn from(source: Source) -> Self {
        let (digest, sources) = (source.digest().clone(), vec![source]);
        match sources.iter().find_map(|source| source.must_say_something().err()) {
            None => Self { digest, sources, prints: Vec::new(), unread: Vec::new() },
            Some(error) => Self::of_error(error),
        }
    }
}

fn read(path: &Path, root: Option<&Path>, allowed: &Allowed) -> Result<Read, ReadError> {
    let (bytes, print) = read_regular(path, root, allowed)?;
    Ok((Source::from_bytes(path, bytes)?, print))
}

fn says_something((source, print): Read) -> Result<Read, ReadError> {
    source.must_say_something().map(|()| (source, print))
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

fn directory(
    path: &Path,
    allowed: &Allowed,
    mut read: impl FnMut(&Path, &Path, &Allowed) -> Result<Read, ReadError>,
) -> Result<Files, ReadError> {
    for _ in 0..TRIES {
        // The links on the way to it may be swapped meanwhile.
        let root = Way::of(path).checked(path, None, allowed)?.end;
        let before = list(path)?;
        if before.is_empty() {
            return Err(ReadError::NoFiles { path: path.to_owned() });
        }
        // What could not be read is only told of a directory that stayed as it was: a file may have gone with its tree.
        let mut left = allowed.clone();
        let all = before.iter().map(|file| {
            let read = read(&file.path, &root, &left)?;
            left.bytes = left.bytes.saturating_sub(read.0.text().len() as u64);
            Ok(read)
        });
        let too_large = |error| match error {
            ReadError::TooLarge { .. } => ReadError::TooLarge { path: path.to_owned(), most: allowed.bytes },
            other => other,
        };
        let files = Files::of_directory(all.map(|read| read.map_err(too_large)));
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
    /// Of what the path leads to; none where it leads nowhere.
    stamp: Option<Stamp>,
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
        if listed.len() == MOST {
            return Err(ReadError::TooMany { path: path.to_owned(), most: MOST });
        }
        listed.push(Listed { path: entry.path(), stamp: about.as_ref().map(Stamp::of) });
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

    fn read_all(path: &Path) -> Files {
        Files::read(path, &Allowed::default())
    }

    #[test]
    fn of_a_directory_the_toml_files_are_read_in_the_order_of_their_names_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.toml", "a.toml", "B.toml", ".hidden.toml", "..data.toml", "c.toml~", "d.md", "toml"] {
            fs::write(folder.path().join(name), format!("# {name}\nfunction = []")).unwrap();
        }
        fs::create_dir(folder.path().join("sub.toml")).unwrap();
        fs::write(folder.path().join("sub.toml/e.toml"), "function = []").unwrap();
        let files = read_all(folder.path());
        assert_eq!(names(&files), ["B.toml", "a.toml", "b.toml"]);
        assert_eq!(files.unread(), []);
    }

    #[test]
    fn the_digest_of_a_directory_is_that_of_what_sha256sum_prints() {
        let folder = tempfile::tempdir().unwrap();
        let digest = || read_all(folder.path()).digest().clone();
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
        assert_eq!(*read_all(&folder.path().join("a.toml")).digest(), sum, "that of a file is the one of its bytes");
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
        let files = directory(&current, &Allowed::default(), |path, inside, allowed| {
            if !std::mem::replace(&mut swapped, true) {
                symlink("new", root.join("next")).unwrap();
                fs::rename(root.join("next"), &current).unwrap();
                fs::remove_dir_all(root.join("old")).unwrap();
            }
            read(path, Some(inside), allowed)
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
        let growing = directory(folder.path(), &Allowed::default(), |path, inside, allowed| {
            length += 1;
            fs::write(path, "x".repeat(length)).unwrap();
            read(path, Some(inside), allowed)
        });
        assert!(matches!(growing, Err(ReadError::Restless { .. })), "{growing:?}");
        assert_eq!(length, TRIES as usize);
        let going = directory(folder.path(), &Allowed::default(), |path, inside, allowed| {
            fs::remove_dir_all(folder.path()).unwrap();
            read(path, Some(inside), allowed)
        });
        assert!(matches!(going, Err(ReadError::Unreadable { .. })), "{going:?}");
    }

    #[test]
    fn what_cannot_be_read_is_a_mistake_and_not_an_absence() {
        let folder = tempfile::tempdir().unwrap();
        let unread = || read_all(folder.path()).unread().iter().map(|it| it.message().to_owned()).collect::<Vec<_>>();
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
            !read_all(folder.path()).have(read_all(folder.path()).digest()),
            "it is never taken for what is in force"
        );
    }
}
