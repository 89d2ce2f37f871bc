//! A page of the documentation: its blocks, its links, its headings, and what stands in it as code.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// A page.
pub(super) struct Page {
    /// Where it is, from the root of the repository.
    pub(super) path: PathBuf,
    /// Its text, with the files that mdBook includes in it.
    text: String,
}

/// A fenced block.
pub(super) struct Block {
    /// The page and the line, for messages.
    pub(super) place: String,
    /// What stands behind the opening fence.
    pub(super) info: String,
    /// What stands in it, without the indentation of the fence.
    pub(super) body: String,
}

/// The root of the repository.
pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Page {
    /// Reads a page.
    pub(super) fn read(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let text = included(&path, &fs::read_to_string(root().join(&path)).unwrap());
        Self { path, text }
    }

    /// Every page: those of the book, those at the root, and those beside what is deployed.
    pub(super) fn all() -> Vec<Self> {
        let at_root = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(PathBuf::from);
        let folders = fs::read_dir(root().join("deploy")).unwrap().map(|entry| entry.unwrap().file_name());
        let mut deployed: Vec<_> = folders.map(|name| Path::new("deploy").join(name).join("README.md")).collect();
        deployed.retain(|path| root().join(path).exists());
        deployed.sort();
        at_root.into_iter().chain(of_the_book()).chain(deployed).map(Self::read).collect()
    }

    /// Whether it is a chapter of the book.
    pub(super) fn is_of_the_book(&self) -> bool {
        self.path.starts_with("docs")
    }

    /// Its lines, each with the info string of the block that it stands in.
    fn lines(&self) -> Vec<(Option<String>, &str)> {
        let mut fence: Option<String> = None;
        let mut lines = Vec::new();
        for line in self.text.lines() {
            match (&fence, line.trim_start().strip_prefix("```")) {
                (None, Some(info)) => fence = Some(info.trim().to_owned()),
                (Some(_), Some("")) => fence = None,
                (fence, _) => lines.push((fence.clone(), line)),
            }
        }
        assert!(fence.is_none(), "{}: a block has no end", self.path.display());
        lines
    }

    /// Its fenced blocks.
    pub(super) fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut open: Option<usize> = None;
        for (number, line) in self.text.lines().enumerate() {
            let indentation = line.len() - line.trim_start().len();
            match (open, line.trim_start().strip_prefix("```")) {
                (None, Some(info)) => {
                    open = Some(indentation);
                    let place = format!("{}:{}", self.path.display(), number + 1);
                    blocks.push(Block { place, info: info.trim().to_owned(), body: String::new() });
                }
                (Some(_), Some("")) => open = None,
                (Some(indented), _) => {
                    let body = &mut blocks.last_mut().unwrap().body;
                    body.push_str(line.get(indented..).unwrap_or_default());
                    body.push('\n');
                }
                (None, None) => {}
            }
        }
        blocks
    }

    /// What it says outside of blocks: plain text, and what stands in it as code, in turns.
    fn prose(&self) -> Vec<String> {
        let lines: Vec<&str> =
            self.lines().iter().filter(|(fence, _)| fence.is_none()).map(|(_, line)| *line).collect();
        let mut parts = Vec::new();
        // A code span ends with its paragraph or its row, so that one that has no end spoils nothing else.
        for paragraph in lines.join("\n").replace("\n|", "\n\n|").split("\n\n") {
            let of_paragraph: Vec<&str> = paragraph.split('`').collect();
            assert!(of_paragraph.len() % 2 == 1, "{}: a code span has no end: {paragraph}", self.path.display());
            parts.extend(of_paragraph.iter().map(|part| (*part).to_owned()));
            // Code stands at the odd places.
            parts.push(String::new());
        }
        parts
    }

    /// What stands in it as code, outside of blocks.
    pub(super) fn code(&self) -> Vec<String> {
        let flowing = |part: &String| part.split_whitespace().collect::<Vec<_>>().join(" ");
        self.prose().iter().skip(1).step_by(2).map(flowing).filter(|part| !part.is_empty()).collect()
    }

    /// Where its links and pictures lead.
    pub(super) fn links(&self) -> Vec<String> {
        let mut links = Vec::new();
        // A link's text may be code, its target is not.
        let without_code: String = self.prose().iter().step_by(2).map(|part| format!("{part}\u{1}")).collect();
        for rest in without_code.split("](").skip(1) {
            links.push(rest.split(')').next().unwrap_or_default().to_owned());
        }
        links
    }

    /// The names by which its headings can be linked to, as mdBook and code hosts make them.
    pub(super) fn anchors(&self) -> BTreeSet<String> {
        let mut seen: HashMap<String, usize> = HashMap::new();
        let headings = self.lines();
        let headings = headings.iter().filter(|(fence, line)| fence.is_none() && line.starts_with('#'));
        let anchors = headings.map(|(_, line)| {
            let kept = |c: char| match c {
                ' ' => Some('-'),
                c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c.to_ascii_lowercase()),
                _ => None,
            };
            let name: String = line.trim_start_matches('#').trim().chars().filter_map(kept).collect();
            let times = seen.entry(name.clone()).or_default();
            *times += 1;
            if *times == 1 { name } else { format!("{name}-{}", *times - 1) }
        });
        anchors.collect()
    }

    /// Every word of it that has only these characters and begins so.
    pub(super) fn words<'a>(&'a self, beginning: &'a str, of: fn(char) -> bool) -> impl Iterator<Item = String> + 'a {
        let rests = self.text.split(beginning).skip(1);
        rests.map(move |rest| format!("{beginning}{}", rest.chars().take_while(|c| of(*c)).collect::<String>()))
    }
}

/// The chapters of the book, and its table of contents.
pub(super) fn of_the_book() -> Vec<PathBuf> {
    let files = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut pages: Vec<_> = files.map(|name| Path::new("docs").join(name)).collect();
    pages.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.sort();
    assert!(pages.len() > 10, "the pages were not found");
    pages
}

/// The text with the files that `{{#include FILE:LINE:}}` puts in it.
fn included(path: &Path, text: &str) -> String {
    let line = |line: &str| {
        let Some(what) = line.strip_prefix("{{#include ") else { return format!("{line}\n") };
        let [file, from, ""] = what.trim_end_matches("}}").split(':').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let file = root().join(path).parent().unwrap().join(file);
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let from: usize = from.parse().unwrap();
        text.lines().skip(from - 1).map(|line| format!("{line}\n")).collect()
    };
    text.lines().map(line).collect()
}
