//! The lines of a file that a diagnostic shows: a few of bounded length, so that a thousand mistakes in a line of a megabyte
//! cost no more than elsewhere, and with nothing in them that a terminal takes for more than text.

use super::{Source, Span};
use crate::text;

/// Marks that are no further apart are shown in one piece, with what is between left out.
const NEAR: usize = 4096;
/// A line that is longer is shown in part.
const WIDE: usize = 400;
/// As much of such a line is shown before its mark, and behind the beginning of that.
const BEFORE: usize = 40;
const BEHIND: usize = 160;

/// A piece of a file.
pub(super) enum Excerpt {
    /// Whole lines.
    Lines {
        /// The number of the first, from 1.
        first: usize,
        text: String,
        /// What is marked in it: which mark, and where.
        marks: Vec<(usize, Span)>,
    },
    /// A part of a long line, with one mark somewhere in it.
    Part {
        /// Which mark.
        mark: usize,
        /// The part, with `…` where more is.
        text: String,
    },
}

/// The pieces of a file that show these marks, which are numbered.
pub(super) fn excerpts(source: &Source, marks: &[(usize, Span)]) -> Vec<Excerpt> {
    let from = marks.iter().map(|(_, span)| span.start).min().unwrap_or_default();
    let to = marks.iter().map(|(_, span)| span.end).max().unwrap_or_default();
    if to - from <= NEAR
        && let Some(all) = lines(source, &(from..to), marks)
    {
        return vec![all];
    }
    marks.iter().map(|mark| alone(source, mark)).collect()
}

fn alone(source: &Source, mark: &(usize, Span)) -> Excerpt {
    let (number, span) = mark;
    // Of what goes over many lines, its beginning.
    let line = source.lines(&(span.start..span.start)).1;
    let short = if span.len() <= NEAR { span.clone() } else { span.start..line.end.max(span.start) };
    lines(source, &short, &[(*number, short.clone())]).unwrap_or_else(|| part(source, *number, span))
}

/// The whole lines; none if one of them is too long.
fn lines(source: &Source, span: &Span, marks: &[(usize, Span)]) -> Option<Excerpt> {
    let (first, lines) = source.lines(span);
    let text = source.text().get(lines.clone()).unwrap_or_default();
    if text.len() > NEAR + 2 * WIDE || text.lines().any(|line| line.len() > WIDE) {
        return None;
    }
    let (text, moved) = text::masked(text);
    let moved = |at: usize| moved.get(at.saturating_sub(lines.start)).copied().unwrap_or(text.len());
    let marks = marks.iter().map(|(number, span)| (*number, moved(span.start)..moved(span.end))).collect();
    Some(Excerpt::Lines { first, text, marks })
}

fn part(source: &Source, mark: usize, span: &Span) -> Excerpt {
    let (text, line) = (source.text(), source.lines(&(span.start..span.start)).1);
    let from = text.floor_char_boundary(span.start.saturating_sub(BEFORE).max(line.start));
    let to = text.ceil_char_boundary((span.start + BEHIND).min(line.end));
    let shown = text::shown(text.get(from..to).unwrap_or_default().trim_end()).into_owned();
    let before = if from > line.start { "…" } else { "" };
    let behind = if to < line.end { "…" } else { "" };
    Excerpt::Part { mark, text: format!("{before}{shown}{behind}") }
}
