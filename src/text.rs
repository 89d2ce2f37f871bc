//! Text that comes from outside, a file or AWS, as it is shown: on one line, of bounded length, and with nothing in it
//! that a terminal, a log viewer or a workflow runner takes for more than text.
//!
//! Every renderer shows such text through here. What is decided and compared stays as it was written.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The most characters of one text that are shown, escapes included.
pub const LONGEST: usize = 1000;

/// The text on one line, cut at [`LONGEST`] characters.
pub fn shown(text: &str) -> Cow<'_, str> {
    shown_within(text, LONGEST)
}

/// The same with another bound; a text that is cut ends in `…`.
pub fn shown_within(text: &str, most: usize) -> Cow<'_, str> {
    let plain = |b: &u8| matches!(b, b' '..=b'~') && !matches!(b, b'#' | b':' | b'`' | b'~');
    if text.len() <= most && text.as_bytes().iter().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len().min(4 * most));
    let mut left = most;
    for (at, c) in text.char_indices() {
        let escape = unseen(c) || is_command(&text[..at], &text[at..]);
        let needed = if escape { escaped(c).chars().count() } else { 1 };
        if needed > left {
            out.push('…');
            return Cow::Owned(out);
        }
        match escape {
            true => out.push_str(&escaped(c)),
            false => out.push(c),
        }
        left -= needed;
    }
    if out == text { Cow::Borrowed(text) } else { Cow::Owned(out) }
}

/// Whether a character has no shape of its own: a control character (C0, DEL, C1), a separator of lines or paragraphs, one
/// that turns the direction of the text, or one that nobody sees.
pub fn unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Whether what follows is taken for more than text by whoever shows it: `::name` at the beginning of a word (GitHub's
/// workflow runner takes it at that of a line, and a line may be wrapped at any word), `##[` and `##name` anywhere, and three
/// backticks or tildes, which end a fence of code.
fn is_command(before: &str, rest: &str) -> bool {
    let name = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphabetic());
    match rest.as_bytes().first() {
        Some(b':') => before.chars().next_back().is_none_or(ends_a_word) && rest.strip_prefix("::").is_some_and(name),
        Some(b'#') => before.ends_with('#') && (name(&rest[1..]) || rest[1..].starts_with('[')),
        Some(b'`') => before.ends_with("``"),
        Some(b'~') => before.ends_with("~~"),
        _ => false,
    }
}

fn ends_a_word(c: char) -> bool {
    c.is_whitespace() || unseen(c)
}

fn escaped(c: char) -> String {
    match c {
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        c => format!("\\u{{{:x}}}", u32::from(c)),
    }
}

/// A piece of a file of several lines, as it is shown with its places marked: each character that is more than text becomes
/// one that stands for it, and lines and tabs stay. With it, where each byte of the text is now, and its end.
pub fn masked(text: &str) -> (String, Vec<usize>) {
    let mut out = String::with_capacity(text.len());
    let mut moved = Vec::with_capacity(text.len() + 1);
    for (at, c) in text.char_indices() {
        moved.extend(std::iter::repeat_n(out.len(), c.len_utf8()));
        let rest = &text[at..];
        let stays = matches!(c, '\n' | '\t') || rest.starts_with("\r\n");
        let mask = (unseen(c) && !stays) || is_command(&text[..at], rest);
        out.push(if mask { '\u{fffd}' } else { c });
    }
    moved.push(out.len());
    (out, moved)
}

/// A JSON text whose strings, once read, can be shown: what [`unseen`] names is written out in them. Bounds nothing.
///
/// In JSON such a character stands in strings alone, raw or behind a backslash, so no other place can be meant.
pub fn shown_json(json: String) -> String {
    if json.bytes().all(|b| b.is_ascii() && b != b'\\' && b != 0x7f) {
        return json;
    }
    let mut out = String::with_capacity(json.len());
    let mut rest = json.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => out.push_str(&shown_escape(&mut rest)),
            // Between the lines of a text that is laid out.
            '\n' => out.push('\n'),
            c if unseen(c) => {
                let _ = write!(out, "\\{}", escaped(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// What follows a backslash in a string of JSON.
fn shown_escape(rest: &mut std::str::Chars<'_>) -> String {
    match rest.next() {
        Some(c @ ('n' | 'r' | 't')) => format!("\\\\{c}"),
        Some('b') => "\\\\u{8}".to_owned(),
        Some('f') => "\\\\u{c}".to_owned(),
        Some('u') => {
            let digits: String = rest.by_ref().take(4).collect();
            let meant = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
            match meant.filter(|c| unseen(*c)) {
                Some(c) => format!("\\{}", escaped(c)),
                None => format!("\\u{digits}"),
            }
        }
        Some(c) => format!("\\{c}"),
        None => "\\".to_owned(),
    }
}

/// What tests of renderers have in common.
#[cfg(test)]
pub(crate) mod hostile {
    use proptest::prelude::*;

    use super::unseen;

    /// Text with much of what is dangerous in it.
    pub(crate) fn any_text() -> impl Strategy<Value = String> {
        let evil = prop::sample::select(vec![
            "\n",
            "\r\n",
            "\x1b[31m",
            "\u{9b}",
            "\u{202e}",
            "\u{2028}",
            "::error::",
            " ::add-mask::",
            "##[",
            "\n```\n",
            "\\",
            "\"",
            "\0",
            "\u{7f}",
            "\u{feff}",
            "\nAll in sync",
        ]);
        let long = any::<char>().prop_map(|c| c.to_string().repeat(3000));
        let parts = prop_oneof![8 => evil.prop_map(str::to_owned), 4 => any::<String>(), 1 => long];
        prop::collection::vec(parts, 0..8).prop_map(|all| all.concat())
    }

    /// Whether nothing in a text is taken for more than text.
    pub(crate) fn is_harmless(text: &str) -> bool {
        let is_command = |word: &str| {
            word.strip_prefix("::").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()))
        };
        let fences = ["##[", "```", "~~~"];
        !text.chars().any(unseen)
            && !text.split_whitespace().any(is_command)
            && !fences.iter().any(|fence| text.contains(fence))
    }

    /// Demands that each line is harmless, begins as a line of ours does and is of bounded length.
    #[track_caller]
    pub(crate) fn assert_harmless(output: &str, begins: impl Fn(&str) -> bool) {
        for line in output.split('\n') {
            assert!(is_harmless(line), "{line:?} of {output}");
            assert!(line.is_empty() || begins(line), "{line:?} of {output}");
            assert!(line.chars().count() < 6000, "{} characters: {line}", line.chars().count());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::hostile::{any_text, is_harmless};
    use super::*;

    #[test]
    fn what_is_more_than_text_is_written_out() {
        for (text, expected) in [
            ("orders-api", "orders-api"),
            ("größer, 100 %, `x`", "größer, 100 %, `x`"),
            ("a\nb\r\tc\\n", "a\\nb\\r\\tc\\n"),
            ("\x1b[2K\u{9b}1A\x7f\0", "\\u{1b}[2K\\u{9b}1A\\u{7f}\\u{0}"),
            ("\u{2028}\u{2029}\u{85}", "\\u{2028}\\u{2029}\\u{85}"),
            ("\u{202e}evil\u{2066}\u{200b}\u{feff}", "\\u{202e}evil\\u{2066}\\u{200b}\\u{feff}"),
            ("\u{e0041}", "\\u{e0041}"),
            ("::add-mask::x", "\\u{3a}:add-mask::x"),
            ("so ::error::y", "so \\u{3a}:error::y"),
            ("a\n::error::y", "a\\n\\u{3a}:error::y"),
            ("arn:aws:iam::123456789012:role/x", "arn:aws:iam::123456789012:role/x"),
            ("::1 and ::/0", "::1 and ::/0"),
            ("a ``b`` ```` c", "a ``b`` ``\\u{60}\\u{60} c"),
            ("~~~", "~~\\u{7e}"),
            ("x##[group]y ##vso[z] ## title #1", "x#\\u{23}[group]y #\\u{23}vso[z] ## title #1"),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        assert_eq!(shown_within("abcdef", 6), "abcdef");
        assert_eq!(shown_within("abcdefg", 6), "abcdef…");
        assert_eq!(shown_within("ab\x1bcd", 6), "ab…", "no half of an escape");
        assert_eq!(shown(&"ä".repeat(60_000)).chars().count(), LONGEST + 1);
    }

    proptest! {
        #[test]
        fn whatever_it_is_it_is_one_harmless_line_of_bounded_length(text in any_text(), most in 0_usize..80) {
            let line = shown_within(&text, most);
            prop_assert!(is_harmless(&line), "{line:?}");
            prop_assert!(line.chars().count() <= most + 1);
            let once = shown(&text).into_owned();
            prop_assert_eq!(shown(&once), once.as_str(), "to show it twice changes nothing");
        }

        #[test]
        fn what_is_masked_keeps_its_lines_and_its_characters(text in any_text()) {
            let (masked, moved) = masked(&text);
            prop_assert!(!masked.replace("\r\n", "\n").chars().any(|c| unseen(c) && !matches!(c, '\n' | '\t')), "{masked:?}");
            prop_assert!(!masked.contains("##[") && !masked.contains("```"));
            prop_assert_eq!(masked.lines().count(), text.lines().count());
            prop_assert_eq!(masked.chars().count(), text.chars().count());
            for (at, _) in text.char_indices().chain([(text.len(), ' ')]) {
                prop_assert_eq!(masked[..moved[at]].chars().count(), text[..at].chars().count());
            }
        }

        #[test]
        fn json_stays_json_and_its_strings_can_be_shown(text in any_text(), pretty: bool) {
            let value = serde_json::json!({ "a": [text, { (text.clone()): 1 }] });
            let json = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let shown = shown_json(json);
            prop_assert!(!shown.chars().any(|c| unseen(c) && c != '\n'), "{shown:?}");
            let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
            let text: &str = read["a"][0].as_str().unwrap();
            prop_assert!(!text.chars().any(unseen), "{text:?}");
        }
    }
}
