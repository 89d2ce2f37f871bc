//! Reading a file that somebody else put there: a regular one, where it may be, and no larger than it may be.
//!
//! The way is followed and checked first ([`super::way`]), then what is at its end is opened step by step, without following any link. So
//! what was checked is what is read, whoever swaps links meanwhile. What is no regular file is not even opened: opening a
//! pipe waits for somebody who writes into it, and opening some devices does something.

use std::fs::{File, FileType, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{Mode, OFlags};

use super::{Link, ReadError, Way};

/// A file that is swapped or written while it is read is read again at once, this often in all.
const TRIES: u32 = 5;

/// What may be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The most bytes, of all files that belong together.
    pub bytes: u64,
    /// Where links may lead, beside what is below their own directory: directories or files.
    pub roots: Vec<PathBuf>,
}

impl Default for Allowed {
    fn default() -> Self {
        Self { bytes: 64 << 20, roots: Vec::new() }
    }
}

impl Allowed {
    /// For a file that the person at the terminal names: it may be anywhere.
    pub fn anywhere() -> Self {
        Self { roots: vec![PathBuf::from("/")], ..Self::default() }
    }

    /// Whether a link may lead to this path, which has no link in it.
    pub(super) fn reaches(&self, path: &Path) -> bool {
        self.roots.iter().any(|root| path.starts_with(root.canonicalize().as_ref().unwrap_or(root)))
    }
}

/// Which file was read, and in which state: what tells whether it has changed, and how it came to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Print {
    /// Where it really is: there is no link in this path.
    pub end: PathBuf,
    /// The links on the way to it.
    pub links: Vec<Link>,
    /// The file itself.
    pub stamp: Stamp,
}

/// A file as the file system describes it; moments are seconds and nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// Device and inode: which file it is, whatever its name.
    pub file: (u64, u64),
    /// When it was made, where the file system tells: the inode of a file that is gone is soon that of another.
    pub made: Option<SystemTime>,
    /// Its length in bytes.
    pub length: u64,
    /// When its content last changed. Programs can set this.
    pub modified: (i64, i64),
    /// When anything about it last changed: its content, its name, its rights. Nobody can set this.
    pub changed: (i64, i64),
}

impl Stamp {
    /// Whether both are of one file, in whatever state.
    pub fn is_of_the_file_of(&self, other: &Self) -> bool {
        self.file == other.file && self.made == other.made
    }

    /// The stamp of a file.
    pub fn of(about: &Metadata) -> Self {
        Self {
            file: (about.dev(), about.ino()),
            made: about.created().ok(),
            length: about.len(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        }
    }
}

/// Reads a regular file; `root` is the directory whose files may also be links to others in it.
pub fn read_regular(path: &Path, root: Option<&Path>, allowed: &Allowed) -> Result<(Vec<u8>, Print), ReadError> {
    let mut read = attempt(path, root, allowed);
    for _ in 1..TRIES {
        match &read {
            Err(ReadError::Unreadable { error, .. }) if may_be_swapped(error) => {}
            Err(ReadError::Restless { .. }) => {}
            _ => break,
        }
        read = attempt(path, root, allowed);
    }
    read
}

/// Whether the links on the way may have been swapped between its check and the opening.
fn may_be_swapped(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        || rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::LOOP)
}

fn attempt(path: &Path, root: Option<&Path>, allowed: &Allowed) -> Result<(Vec<u8>, Print), ReadError> {
    let unreadable = |error| ReadError::Unreadable { path: path.to_owned(), error };
    let too_large = || ReadError::TooLarge { path: path.to_owned(), most: allowed.bytes };
    let way = Way::of(path).checked(path, root, allowed)?;
    let (mut file, stamp) = open(path, &way)?;
    if stamp.length > allowed.bytes {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(stamp.length).unwrap_or_default());
    // The length of some files, those of /proc for one, is not told, and any may grow.
    let read = file.by_ref().take(allowed.bytes + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if read as u64 > allowed.bytes {
        return Err(too_large());
    }
    if Stamp::of(&file.metadata().map_err(unreadable)?) != stamp {
        return Err(ReadError::Restless { path: path.to_owned() });
    }
    Ok((bytes, Print { end: way.end, links: way.links, stamp }))
}

fn open(path: &Path, way: &Way) -> Result<(File, Stamp), ReadError> {
    let unreadable = |error| ReadError::Unreadable { path: path.to_owned(), error };
    let regular = |about: Metadata| match special(about.file_type()) {
        None => Ok(Stamp::of(&about)),
        Some(what) => Err(ReadError::Special { path: path.to_owned(), what }),
    };
    regular(way.end.symlink_metadata().map_err(unreadable)?)?;
    let file = without_links(&way.end).map_err(|error| unreadable(error.into()))?;
    let stamp = regular(file.metadata().map_err(unreadable)?)?;
    Ok((file, stamp))
}

/// What something is that is no regular file.
fn special(kind: FileType) -> Option<&'static str> {
    Some(match kind {
        _ if kind.is_file() => return None,
        _ if kind.is_dir() => "a directory",
        _ if kind.is_fifo() => "a named pipe",
        _ if kind.is_socket() => "a socket",
        _ if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "a link",
    })
}

/// Opens a path in which no step may be a link; waits for nobody.
fn without_links(path: &Path) -> rustix::io::Result<File> {
    #[cfg(target_os = "linux")]
    let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    let step = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let last = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut folder = rustix::fs::open("/", step, Mode::empty())?;
    let mut steps = path.components().skip(1).peekable();
    while let Some(name) = steps.next() {
        let flags = if steps.peek().is_some() { step } else { last };
        folder = rustix::fs::openat(&folder, name.as_os_str(), flags, Mode::empty())?;
    }
    Ok(File::from(folder))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::time::Instant;

    use rustix::fs::{CWD, mkfifoat};

    use super::*;

    fn read(path: &Path) -> Result<String, String> {
        let read = read_regular(path, None, &Allowed::default());
        read.map(|(bytes, _)| String::from_utf8(bytes).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_no_regular_file_is_refused_at_once_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        mkfifoat(CWD, at("pipe.toml"), Mode::RWXU).unwrap();
        let _socket = UnixListener::bind(at("socket.toml")).unwrap();
        fs::create_dir(at("directory.toml")).unwrap();
        let begun = Instant::now();
        for (path, what) in [
            (at("pipe.toml"), "pipe.toml is a named pipe; only regular files are read"),
            (at("socket.toml"), "socket.toml is a socket"),
            (at("directory.toml"), "directory.toml is a directory"),
            ("/dev/zero".into(), "/dev/zero is a device"),
            ("/dev/tty".into(), "/dev/tty is a device"),
            (at("none.toml"), "No such file"),
        ] {
            let said = read(&path).unwrap_err();
            assert!(said.contains(what), "{said}");
        }
        assert!(begun.elapsed().as_secs() < 5, "nothing was waited for");
    }

    #[test]
    fn no_more_is_read_than_may_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.toml");
        let ten = Allowed { bytes: 10, ..Allowed::default() };
        for (length, fits) in [(0, true), (10, true), (11, false), (1 << 40, false)] {
            // A terabyte that takes no room, and would take minutes to read.
            File::create(&path).unwrap().set_len(length).unwrap();
            match read_regular(&path, None, &ten) {
                Ok((bytes, _)) => assert!(fits && bytes.len() as u64 == length, "{length}"),
                Err(error) => assert!(!fits && matches!(error, ReadError::TooLarge { most: 10, .. }), "{error}"),
            }
        }
        // The length of this one is told as 0.
        let status = read_regular(Path::new("/proc/self/status"), None, &Allowed { roots: vec!["/".into()], ..ten });
        assert!(matches!(status, Err(ReadError::TooLarge { .. })), "{status:?}");
    }

    /// A tree in which links lead here and there; whoever reads `secret` knows what nobody is to know.
    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for made in ["git/.worktrees/sha/fleet/team", "mount/..2026", "secret", "shared", "links"] {
            fs::create_dir_all(root.join(made)).unwrap();
        }
        for file in [
            "git/.worktrees/sha/f.toml",
            "git/.worktrees/sha/fleet/f.toml",
            "git/.worktrees/sha/fleet/team/t.toml",
            "git/.worktrees/sha/other.toml",
            "git/.worktrees/sha/fleet/note.txt",
            "mount/..2026/f.toml",
            "secret/token",
            "secret/token.toml",
            "shared/s.toml",
        ] {
            fs::write(root.join(file), file).unwrap();
        }
        for (link, target) in [
            ("git/current", ".worktrees/sha"),
            ("git/absolute", root.join("git/.worktrees/sha").to_str().unwrap()),
            ("mount/..data", "..2026"),
            ("mount/f.toml", "..data/f.toml"),
            ("git/.worktrees/sha/fleet/in.toml", "team/t.toml"),
            ("git/.worktrees/sha/fleet/team/up.toml", "../f.toml"),
            ("git/.worktrees/sha/fleet/beside.toml", "../other.toml"),
            ("git/.worktrees/sha/fleet/note.toml", "note.txt"),
            ("git/.worktrees/sha/fleet/token.toml", "../../../../secret/token.toml"),
            ("git/.worktrees/sha/fleet/environ.toml", "/proc/self/environ"),
            ("git/.worktrees/sha/out", "../../../secret"),
            ("git/.worktrees/sha/back", "fleet/../fleet"),
            ("links/s.toml", "../shared/s.toml"),
            ("links/loop.toml", "loop.toml"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        folder
    }

    #[test]
    fn a_link_leads_below_its_own_directory_or_it_is_refused_by_name() {
        let folder = tree();
        let root = folder.path().canonicalize().unwrap();
        for (path, expected) in [
            // git-sync, and a ConfigMap.
            ("git/current/f.toml", Ok("git/.worktrees/sha/f.toml")),
            ("git/current/fleet/f.toml", Ok("git/.worktrees/sha/fleet/f.toml")),
            ("git/absolute/f.toml", Ok("git/.worktrees/sha/f.toml")),
            ("mount/f.toml", Ok("mount/..2026/f.toml")),
            ("git/current/fleet/in.toml", Ok("git/.worktrees/sha/fleet/team/t.toml")),
            ("git/current/back/f.toml", Ok("git/.worktrees/sha/fleet/f.toml")),
            // Not a link.
            ("secret/token", Ok("secret/token")),
            ("git/current/fleet/team/../f.toml", Ok("git/.worktrees/sha/fleet/f.toml")),
            ("git/current/fleet/beside.toml", Err("outside of its directory")),
            ("git/current/fleet/team/up.toml", Err("outside of its directory")),
            ("git/current/fleet/token.toml", Err("outside of its directory")),
            ("git/current/fleet/environ.toml", Err("outside of its directory")),
            ("git/current/out/token.toml", Err("outside of its directory")),
            ("git/current/fleet/note.toml", Err("which does not end in .toml")),
            ("links/s.toml", Err("outside of its directory")),
            ("links/loop.toml", Err("Too many levels of symbolic links")),
        ] {
            match (read(&root.join(path)), expected) {
                (Ok(read), Ok(expected)) => assert_eq!(read, expected, "{path}"),
                (Err(said), Err(words)) => {
                    assert!(
                        said.contains(words) && said.contains(path.rsplit('/').next().unwrap())
                            || path.contains("out/"),
                        "{path}: {said}"
                    );
                }
                (read, _) => panic!("{path}: {read:?}"),
            }
        }
    }

    #[test]
    fn of_a_directory_the_files_may_be_links_to_anything_in_it_and_the_settings_may_allow_more() {
        let folder = tree();
        let root = folder.path().canonicalize().unwrap();
        let fleet = root.join("git/.worktrees/sha/fleet");
        let up = fleet.join("team/up.toml");
        assert!(read_regular(&up, Some(&fleet), &Allowed::default()).is_ok(), "it stays in the directory");
        let allowing = |place: &str| Allowed { roots: vec![root.join(place)], ..Allowed::default() };
        for (path, place, fine) in [
            ("links/s.toml", "shared", true),
            ("links/s.toml", "shared/s.toml", true),
            ("links/s.toml", "git/current", false),
            // A root may be named by a link as well, here that of git-sync.
            ("git/current/fleet/beside.toml", "git/current", true),
            ("git/current/fleet/note.toml", "git/current", true),
            ("git/current/fleet/token.toml", "git/current", false),
        ] {
            let read = read_regular(&root.join(path), None, &allowing(place));
            assert_eq!(read.is_ok(), fine, "{path}, allowing {place}: {read:?}");
        }
    }

    #[test]
    fn a_link_that_appears_after_the_check_is_not_followed() {
        let folder = tree();
        let root = folder.path().canonicalize().unwrap();
        for path in ["mount/f.toml", "git/current/f.toml", "mount/..data/f.toml"] {
            assert!(without_links(&root.join(path)).is_err(), "{path}");
        }
        assert!(without_links(&root.join("secret/token")).is_ok());
    }
}
