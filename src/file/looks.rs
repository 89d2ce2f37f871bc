//! Mistakes that look right on the screen: characters that nobody sees or that look like others, keys that want quotes, merges
//! that nobody finished.

use super::{Diagnostic, Source, Span};
use crate::text::unseen;

/// What a mistake at a place has to do with a character that does not look like what it is: the first in the place, or else in
/// its line.
pub(super) fn odd_character(source: &Source, span: &Span) -> Option<String> {
    let (text, line) = (source.text(), line_of(source, span.start));
    const MOST: usize = 1000;
    let odd = |span: &Span| {
        let found = text.get(span.clone())?.char_indices().take(MOST).find(|(_, c)| is_odd(*c));
        found.map(|(at, c)| (span.start + at, c))
    };
    let (at, c) = odd(span).or_else(|| odd(&line))?;
    let (line, column) = source.line_and_column(at);
    let name = name_of(c).map(|name| format!(", {name}")).unwrap_or_default();
    Some(format!("line {line}, column {column} has the character U+{:04X}{name}: write it anew", u32::from(c)))
}

/// Whether a character is none of those that keys, names and ids are written with, though it may look like one of them.
fn is_odd(c: char) -> bool {
    let wanted = matches!(c, '\n' | '\r' | '\t');
    let alike = matches!(c, '\u{370}'..='\u{58f}' | '\u{2010}'..='\u{2015}' | '\u{2018}'..='\u{201f}' | '\u{2032}'..='\u{2037}'
        | '\u{2212}' | '\u{ff01}'..='\u{ff5e}');
    !wanted && (unseen(c) || alike || (!c.is_ascii() && c.is_whitespace()))
}

fn name_of(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{200b}' => "a zero-width space",
        '\u{200c}' | '\u{200d}' | '\u{2060}' => "a joiner without width",
        '\u{a0}' | '\u{202f}' => "a no-break space",
        '\u{feff}' => "a byte order mark",
        '\u{2018}'..='\u{201f}' => "a curly quote",
        '\u{370}'..='\u{3ff}' => "a Greek letter",
        '\u{400}'..='\u{52f}' => "a Cyrillic letter",
        '\u{2010}'..='\u{2015}' | '\u{2212}' => "a dash or minus that is no hyphen",
        _ => return None,
    })
}

/// The key of a line that TOML takes for something else unless it is in quotes: it has one of these characters.
pub(super) fn key_without_quotes<'a>(source: &'a Source, at: usize, with: &[char]) -> Option<&'a str> {
    let line = source.text().get(line_of(source, at))?;
    let before_equals = line.match_indices('=').map(|(equals, _)| line[..equals].trim_end());
    let keys = before_equals.map(|before| match before.rfind(|c: char| c.is_whitespace() || "{,[]\"'".contains(c)) {
        Some(end) => before[end..].trim_start_matches(|c: char| c.is_whitespace() || "{,[]\"'".contains(c)),
        None => before,
    });
    keys.into_iter().find(|key| key.contains(with))
}

/// What is left of a merge that nobody finished.
pub(super) fn unfinished_merge(source: &Source) -> Option<Diagnostic> {
    let begins = |mark: &str| match source.text().starts_with(mark) {
        true => Some(0),
        false => source.text().find(&format!("\n{mark}")).map(|at| at + 1),
    };
    let (ours, theirs) = (begins("<<<<<<< ")?, begins(">>>>>>> ")?);
    let found = Diagnostic::error(source, &line_of(source, ours), "a merge was not finished", "one side begins here");
    let found = found.and(source, &line_of(source, theirs), "the other one ends here");
    Some(found.help("keep what is meant of both sides, and take out the lines of `<<<<<<<`, `=======` and `>>>>>>>`"))
}

/// The line in which an offset is, without its end; of a long line what is around, so that many mistakes in it cost no more.
fn line_of(source: &Source, at: usize) -> Span {
    const AROUND: usize = 500;
    let text = source.text();
    let whole = |at: usize| (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    let at = whole(at.min(text.len()));
    let (first, last) = (whole(at.saturating_sub(AROUND)), whole((at + AROUND).min(text.len())));
    let start = text[first..at].rfind('\n').map_or(first, |end| first + end + 1);
    let end = text[at..last].find('\n').map_or(last, |end| at + end);
    start..end
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn source(text: &str) -> Source {
        Source::from_bytes(Path::new("f.toml"), text.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn a_character_that_looks_like_another_is_named_with_its_place() {
        for (text, expected) in [
            ("a = 1\nname = 'orders\u{200b}-api'", "line 2, column 15 has the character U+200B, a zero-width space"),
            ("name = 'ord\u{435}rs'", "line 1, column 12 has the character U+0435, a Cyrillic letter"),
            ("name\u{a0}= 'x'", "column 5 has the character U+00A0, a no-break space"),
            ("[defaults]\n\u{feff}x = 1", "line 2, column 1 has the character U+FEFF, a byte order mark"),
            ("name = \u{201c}x\u{201d}", "column 8 has the character U+201C, a curly quote"),
            ("vpc = 'vpc\u{2011}1'", "U+2011, a dash or minus"),
            ("vpc = 'vpc\u{ff0d}1'", "U+FF0D: write it anew"),
        ] {
            let source = source(text);
            let at = text.len() - 1;
            let told = odd_character(&source, &(at..at)).unwrap();
            assert!(told.contains(expected), "{told}");
        }
        for fine in ["name = 'x'", "reason = 'für München, 東京 🚀'", "\tx = 1\r"] {
            assert_eq!(odd_character(&source(fine), &(0..fine.len())), None, "{fine}");
        }
    }

    #[test]
    fn a_key_that_wants_quotes_is_found_in_its_line() {
        for (line, with, expected) in [
            (
                "subnets = { tags = { karpenter.sh/discovery = 'prod' } }",
                &['/', ':'][..],
                Some("karpenter.sh/discovery"),
            ),
            ("tags = {aws:cloudformation:logical-id='Private'}", &['/', ':'], Some("aws:cloudformation:logical-id")),
            ("tags = { kubernetes.io.role = 'internal' }", &['.'], Some("kubernetes.io.role")),
            ("tags = { 'kubernetes.io/role' = 'internal' }", &['/'], None),
            ("karpenter.sh/discovery = 'prod'", &['/'], Some("karpenter.sh/discovery")),
            ("x = 1", &['.', '/', ':'], None),
        ] {
            assert_eq!(key_without_quotes(&source(line), 0, with), expected, "{line}");
        }
    }

    #[test]
    fn of_a_long_line_what_is_around_is_looked_at() {
        let text = format!("{}\u{200b}{}", "ä".repeat(400), "ä".repeat(400));
        let line = line_of(&source(&text), 800);
        assert!(line.len() <= 1000 && text.get(line).is_some_and(|around| around.contains('\u{200b}')));
    }

    #[test]
    fn a_merge_that_was_not_finished_is_one_mistake() {
        let text = "a = 1\n<<<<<<< HEAD\nb = 1\n=======\nb = 2\n>>>>>>> theirs\n";
        assert!(unfinished_merge(&source(text)).is_some());
        for fine in ["a = 1\n=======\n", "reason = '<<<<<<< HEAD >>>>>>> theirs'\n"] {
            assert!(unfinished_merge(&source(fine)).is_none(), "{fine}");
        }
    }
}
