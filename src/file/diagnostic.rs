//! What is wrong in a file, with the place marked, in the manner of a good compiler.

use std::path::{Path, PathBuf};

use annotate_snippets::{Annotation, AnnotationKind, Group, Level as SnippetLevel, Renderer, Snippet};
use serde::Serialize;

use super::{ReadError, Source, Span};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The file cannot be used.
    Error,
    /// Legal, but doubtful.
    Warning,
}

/// One mistake in a file: what it is, where it stands, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    level: Level,
    message: String,
    /// The file as a whole, where it could not be read.
    unread: Option<PathBuf>,
    /// The first place is where the mistake is; the others show what it conflicts with.
    labels: Vec<Label>,
    help: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Label {
    source: Source,
    span: Span,
    text: String,
}

/// A place in a file, for people and for editors.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl Place {
    /// The beginning of a span.
    pub fn of(source: &Source, span: &Span) -> Self {
        let (line, column) = source.line_and_column(span.start);
        Self { file: source.path().to_owned(), line, column }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

impl Diagnostic {
    /// A mistake at a place; `label` is written under the marked text.
    pub fn error(source: &Source, span: &Span, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self { level: Level::Error, message: message.into(), unread: None, labels: Vec::new(), help: None }
            .and(source, span, label)
    }

    /// A file that gives no text: there is no place in it to show.
    pub fn unread(error: &ReadError) -> Self {
        let unread = Some(error.path().to_owned());
        Self { level: Level::Error, message: error.to_string(), unread, labels: Vec::new(), help: None }
    }

    /// Something doubtful at a place.
    pub fn warning(source: &Source, span: &Span, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::error(source, span, message, label) }
    }

    /// The same with a further place that it has to do with.
    pub fn and(mut self, source: &Source, span: &Span, label: impl Into<String>) -> Self {
        self.labels.push(Label { source: source.clone(), span: span.clone(), text: label.into() });
        self
    }

    /// The same with what to write instead.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// How bad it is.
    pub fn level(&self) -> Level {
        self.level
    }

    /// What is wrong, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The file that it is in.
    pub fn file(&self) -> Option<&Path> {
        self.labels.first().map(|label| label.source.path()).or(self.unread.as_deref())
    }

    /// Where it is; nowhere where the file could not be read.
    pub fn place(&self) -> Option<Place> {
        self.labels.first().map(|label| Place::of(&label.source, &label.span))
    }

    /// Where the marked text ends: line and column, both from 1.
    pub fn end(&self) -> Option<(usize, usize)> {
        self.labels.first().map(|label| label.source.line_and_column(label.span.end))
    }

    /// The texts that it marks, that of the place itself first; none where a place is not in its file.
    pub fn marked(&self) -> impl Iterator<Item = Option<&str>> {
        self.labels.iter().map(|label| label.source.text().get(label.span.clone()))
    }

    /// All that is said beside the message: of the place itself, of others that it has to do with, and what to write.
    pub fn remarks(&self) -> Vec<String> {
        let said = self.labels.iter().enumerate().filter(|(_, label)| !label.text.is_empty());
        let places = said.map(|(at, label)| match at {
            0 => label.text.clone(),
            _ => format!("{}: {}", Place::of(&label.source, &label.span), label.text),
        });
        places.chain(self.help.iter().map(|help| format!("help: {help}"))).collect()
    }

    /// The diagnostic as a compiler prints it: message, place, the marked lines, what to write instead.
    /// Styled it is for `anstream`, which takes the colours out where nobody wants them.
    pub fn render(&self, styled: bool) -> String {
        let level = match self.level {
            Level::Error => SnippetLevel::ERROR,
            Level::Warning => SnippetLevel::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(&self.message));
        let mut shown: Vec<&Source> = Vec::new();
        for label in &self.labels {
            if !shown.contains(&&label.source) {
                shown.push(&label.source);
                group = group.element(self.snippet(&label.source));
            }
        }
        if let Some(help) = &self.help {
            group = group.element(SnippetLevel::HELP.message(help));
        }
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }

    /// The marked lines of one file. Only these are handed on: of a long file with many mistakes, the whole would be split
    /// into its lines for each.
    fn snippet<'a>(&'a self, source: &'a Source) -> Snippet<'a, Annotation<'a>> {
        let spans = self.labels.iter().enumerate().filter(|(_, label)| label.source == *source);
        let spans: Vec<_> = spans.map(|(at, label)| (at, clamp(&label.span, source.text()), &label.text)).collect();
        let from = spans.iter().map(|(_, span, _)| span.start).min().unwrap_or_default();
        let to = spans.iter().map(|(_, span, _)| span.end).max().unwrap_or_default();
        let (first, lines) = source.lines(&(from..to));
        let begin = lines.start;
        let annotations = spans.into_iter().map(move |(at, span, text)| {
            let kind = if at == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            kind.span(span.start - begin..span.end - begin).label(text)
        });
        let text = source.text().get(lines).unwrap_or_default();
        Snippet::source(text).line_start(first).path(source.path().display().to_string()).annotations(annotations)
    }
}

impl Serialize for Diagnostic {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a> {
            level: Level,
            message: &'a str,
            file: Option<&'a Path>,
            line: Option<usize>,
            column: Option<usize>,
            label: Option<&'a str>,
            help: Option<&'a str>,
        }
        let label = self.labels.first().map(|label| label.text.as_str()).filter(|text| !text.is_empty());
        let (line, column) = self.place().map(|place| (place.line, place.column)).unzip();
        let (level, message, help) = (self.level, self.message.as_str(), self.help.as_deref());
        Flat { level, message, file: self.file(), line, column, label, help }.serialize(serializer)
    }
}

/// A span that lies within the text and is not empty where it can be marked.
fn clamp(span: &Span, text: &str) -> Span {
    let end = span.end.min(text.len());
    span.start.min(end)..end
}

/// All that was found in one or several files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Whether any of them makes the file unusable.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.level == Level::Error)
    }

    /// All of them, in the order in which they stand in the files.
    pub fn sorted(mut self) -> Vec<Diagnostic> {
        let at = |diagnostic: &Diagnostic| (diagnostic.file().map(Path::to_owned), diagnostic.place());
        self.diagnostics.sort_by_cached_key(at);
        self.diagnostics
    }
}
