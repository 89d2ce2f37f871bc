//! The way that a path takes through links: which directories hold them, and whether each stays where it may lead.
//!
//! A link in a git repository is written by whoever may edit the files, and could lead to any file that the process can
//! read. git-sync's link (`current` to a tree beside it) and a ConfigMap's (`f.toml` to `..data/f.toml`, `..data` to a
//! directory beside it) lead to what is below the directory that they stand in. So that is what a link may do. One among
//! the files of a directory may lead to anything in that directory; anywhere else is for the settings to name.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use super::{Allowed, ReadError};

/// As many links on one path as Linux follows.
const MOST_LINKS: usize = 40;

/// A path with all its links followed, as far as that went.
#[derive(Debug)]
pub struct Way {
    /// The links, in the order in which they were met.
    pub links: Vec<Link>,
    /// Where it ends: a path without a link in it. Where something is missing, that.
    pub end: PathBuf,
    /// Why it did not get to the end of the path.
    broken: Option<io::Error>,
}

/// A link that is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it stands; there is no other link in this path.
    pub at: PathBuf,
    /// Where it leads, without a link either.
    to: PathBuf,
    /// Which link it is: device, inode, and when it was put there.
    print: (u64, u64, i64, i64),
}

impl Link {
    /// When it was put there, in seconds and nanoseconds since 1970: renaming it into its place counts.
    pub fn put_at(&self) -> (i64, i64) {
        (self.print.2, self.print.3)
    }
}

impl Way {
    /// Follows a path. An error on the way is kept, with the way up to there.
    pub fn of(path: &Path) -> Self {
        let mut way = Self { links: Vec::new(), end: PathBuf::from("/"), broken: None };
        if let Err(error) = std::path::absolute(path).and_then(|path| way.walk(&path)) {
            way.broken = Some(error);
        }
        way
    }

    fn walk(&mut self, path: &Path) -> io::Result<()> {
        let mut rest: Vec<OsString> = reversed(path);
        // Links whose target is not yet walked: which, and how much of the path is left behind it.
        let mut open: Vec<(usize, usize)> = Vec::new();
        while let Some(next) = rest.pop() {
            if next == ".." {
                self.end.pop();
            } else {
                self.end.push(&next);
                let about = self.end.symlink_metadata()?;
                if about.is_symlink() {
                    if self.links.len() == MOST_LINKS {
                        return Err(rustix::io::Errno::LOOP.into());
                    }
                    let target = std::fs::read_link(&self.end)?;
                    let print = (about.dev(), about.ino(), about.ctime(), about.ctime_nsec());
                    open.push((self.links.len(), rest.len()));
                    self.links.push(Link { at: self.end.clone(), to: PathBuf::new(), print });
                    rest.extend(reversed(&target));
                    match target.is_absolute() {
                        true => self.end = PathBuf::from("/"),
                        false => _ = self.end.pop(),
                    }
                    continue;
                }
            }
            while let Some((link, _)) = open.pop_if(|(_, left)| *left >= rest.len()) {
                self.links[link].to = self.end.clone();
            }
        }
        Ok(())
    }

    /// The directory of each link, and the one in which the way ends.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        self.links.iter().map(|link| link.at.as_path()).chain([self.end.as_path()]).filter_map(Path::parent)
    }

    /// Where the way ends, if it gets there and each link on it leads where it may: below its own directory, into `root`, or
    /// to where the settings allow it. A file that a link leads to ends in `.toml` as well, unless the settings allow it: no key and no token does.
    pub fn checked(self, path: &Path, root: Option<&Path>, allowed: &Allowed) -> Result<Self, ReadError> {
        if let Some(error) = self.broken {
            return Err(ReadError::Unreadable { path: path.to_owned(), error });
        }
        for link in &self.links {
            let strays = |rule| ReadError::Strays { path: link.at.clone(), to: link.to.clone(), rule };
            if allowed.reaches(&link.to) {
                continue;
            }
            let own = link.at.parent();
            if !own.into_iter().chain(root).any(|inside| link.to.starts_with(inside)) {
                return Err(strays("outside of its directory"));
            }
            if link.to == self.end && !self.end.is_dir() && self.end.extension().is_none_or(|ending| ending != "toml") {
                return Err(strays("which does not end in .toml"));
            }
        }
        Ok(self)
    }
}

/// The steps of a path, the last one first.
fn reversed(path: &Path) -> Vec<OsString> {
    let steps = path.components().filter(|step| matches!(step, Component::Normal(_) | Component::ParentDir));
    steps.rev().map(|step| step.as_os_str().to_owned()).collect()
}
