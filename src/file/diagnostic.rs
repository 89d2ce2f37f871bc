//! What is wrong in a file, with the place marked, in the manner of a good compiler.

use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level as SnippetLevel, Origin, Renderer, Snippet};
use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::excerpt::{Excerpt, excerpts};
use super::looks::odd_character;
use super::source::named;
use super::{ReadError, Source, Span};
use crate::text::shown;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The file cannot be used.
    Error,
    /// Legal, but doubtful.
    Warning,
}

/// One mistake in a file: what it is, where it stands, and what to write instead. Its texts can be shown anywhere: what they
/// quote of the file is on one line and of bounded length.
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
    #[serde(serialize_with = "as_shown")]
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

fn as_shown<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&named(path))
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
        write!(f, "{}:{}:{}", named(&self.file), self.line, self.column)
    }
}

impl Level {
    fn snippet(self) -> SnippetLevel<'static> {
        match self {
            Self::Error => SnippetLevel::ERROR,
            Self::Warning => SnippetLevel::WARNING,
        }
    }
}

impl Diagnostic {
    /// A mistake at a place; `label` is written under the marked text.
    pub fn error(source: &Source, span: &Span, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self { help: odd_character(source, span), ..Self::at(Level::Error, source, span, message, label) }
    }

    fn at(level: Level, source: &Source, span: &Span, message: impl Into<String>, label: impl Into<String>) -> Self {
        let message = shown(&message.into()).into_owned();
        Self { level, message, unread: None, labels: Vec::new(), help: None }.and(source, span, label)
    }

    /// A file that gives no text: there is no place in it to show.
    pub fn unread(error: &ReadError) -> Self {
        let (unread, message) = (Some(error.path().to_owned()), shown(&error.to_string()).into_owned());
        Self { level: Level::Error, message, unread, labels: Vec::new(), help: None }
    }

    /// Something doubtful at a place.
    pub fn warning(source: &Source, span: &Span, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self::at(Level::Warning, source, span, message, label)
    }

    /// The same with a further place that it has to do with.
    pub fn and(mut self, source: &Source, span: &Span, label: impl Into<String>) -> Self {
        let text = shown(&label.into()).into_owned();
        self.labels.push(Label { source: source.clone(), span: span.clone(), text });
        self
    }

    /// The same with what to write instead.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        let help = shown(&help.into()).into_owned();
        self.help = Some(match self.help.take() {
            Some(odd) => format!("{odd}; {help}"),
            None => help,
        });
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
        let mut group = Group::with_title(self.level.snippet().primary_title(&self.message));
        let mut shown: Vec<&Source> = Vec::new();
        for label in &self.labels {
            if !shown.contains(&&label.source) {
                shown.push(&label.source);
                for excerpt in self.excerpts(&label.source) {
                    group = self.element(group, &label.source, excerpt);
                }
            }
        }
        if let Some(help) = &self.help {
            group = group.element(SnippetLevel::HELP.message(help));
        }
        renderer(styled).render(&[group])
    }

    /// The diagnostic in one line, with its place.
    fn in_short(&self, styled: bool) -> String {
        let place = self.place().map(|place| format!(" ({place})")).unwrap_or_default();
        let (word, colour) = match self.level {
            Level::Error => ("error", AnsiColor::BrightRed),
            Level::Warning => ("warning", AnsiColor::Yellow),
        };
        let style = if styled { colour.on_default().bold() } else { Style::new() };
        format!("{style}{word}{style:#}: {}{place}", self.message)
    }

    fn excerpts(&self, source: &Source) -> Vec<Excerpt> {
        let marks = self.labels.iter().enumerate().filter(|(_, label)| label.source == *source);
        let marks: Vec<_> = marks.map(|(at, label)| (at, clamp(&label.span, source.text()))).collect();
        excerpts(source, &marks)
    }

    fn element<'a>(&'a self, group: Group<'a>, source: &Source, excerpt: Excerpt) -> Group<'a> {
        let label = |at: usize| self.labels.get(at).map(|label| label.text.as_str()).unwrap_or_default();
        match excerpt {
            Excerpt::Lines { first, text, marks } => {
                let annotations = marks.into_iter().map(|(at, span)| {
                    let kind = if at == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
                    kind.span(span).label(label(at))
                });
                let snippet = Snippet::source(text).line_start(first).path(named(source.path()));
                group.element(snippet.annotations(annotations))
            }
            Excerpt::Part { mark, text } => {
                let place = self.labels.get(mark).map(|label| Place::of(source, &label.span));
                let (line, column) = place.map(|place| (place.line, place.column)).unwrap_or_default();
                let label = label(mark);
                let text = if label.is_empty() { text } else { format!("{label}: {text}") };
                let origin = Origin::path(named(source.path())).line(line).char_column(column);
                group.element(origin).element(SnippetLevel::NOTE.message(text))
            }
        }
    }
}

/// So many diagnostics are shown with their lines; of more, each has one line. Nobody reads further, and it would take seconds.
const IN_FULL: usize = 100;

/// Diagnostics one after the other, for people.
pub fn render_all(diagnostics: &[Diagnostic], styled: bool) -> String {
    let (full, rest) = diagnostics.split_at(IN_FULL.min(diagnostics.len()));
    let mut parts: Vec<String> = full.iter().map(|diagnostic| diagnostic.render(styled)).collect();
    if !rest.is_empty() {
        parts.push(rest.iter().map(|diagnostic| diagnostic.in_short(styled)).collect::<Vec<_>>().join("\n"));
    }
    parts.join("\n\n")
}

fn renderer(styled: bool) -> Renderer {
    if styled { Renderer::styled() } else { Renderer::plain() }
}

impl Serialize for Diagnostic {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a> {
            level: Level,
            message: &'a str,
            file: Option<String>,
            line: Option<usize>,
            column: Option<usize>,
            label: Option<&'a str>,
            help: Option<&'a str>,
        }
        let label = self.labels.first().map(|label| label.text.as_str()).filter(|text| !text.is_empty());
        let (line, column) = self.place().map(|place| (place.line, place.column)).unzip();
        let (level, message, help) = (self.level, self.message.as_str(), self.help.as_deref());
        let file = self.file().map(named);
        Flat { level, message, file, line, column, label, help }.serialize(serializer)
    }
}

/// A span that lies within the text and is not empty where it can be marked.
fn clamp(span: &Span, text: &str) -> Span {
    let end = span.end.min(text.len());
    span.start.min(end)..end
}

/// So many mistakes are kept; a hostile file has millions.
const KEPT: usize = 20_000;

/// All that was found in one or several files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    diagnostics: Vec<Diagnostic>,
    errors: usize,
    warnings: usize,
}

impl Report {
    /// Adds one. Of many thousands, the first are kept.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let count = match diagnostic.level {
            Level::Error => &mut self.errors,
            Level::Warning => &mut self.warnings,
        };
        *count += 1;
        if *count <= KEPT {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Whether any of them makes the file unusable.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// All that are kept, in the order in which they stand in the files.
    pub fn sorted(mut self) -> Vec<Diagnostic> {
        let at = |diagnostic: &Diagnostic| (diagnostic.file().map(Path::to_owned), diagnostic.place());
        self.diagnostics.sort_by_cached_key(at);
        self.diagnostics
    }
}
