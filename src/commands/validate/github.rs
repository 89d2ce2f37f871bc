//! Workflow commands of GitHub Actions: what is wrong becomes an annotation in its line of the pull request.

use crate::file::{Diagnostic, Level};
use crate::text::shown;

/// The workflow command of a diagnostic, one line.
pub(super) fn command(diagnostic: &Diagnostic) -> String {
    let level = match diagnostic.level() {
        Level::Error => "error",
        Level::Warning => "warning",
    };
    let mut properties: Vec<(&str, String)> = Vec::new();
    if let Some(file) = diagnostic.file() {
        properties.push(("file", shown(&file.to_string_lossy()).into_owned()));
    }
    if let (Some(place), Some((line, column))) = (diagnostic.place(), diagnostic.end()) {
        properties.push(("line", place.line.to_string()));
        properties.push(("endLine", line.to_string()));
        // GitHub takes columns only where beginning and end are in one line.
        if line == place.line {
            properties.push(("col", place.column.to_string()));
            properties.push(("endColumn", column.to_string()));
        }
    }
    properties.push(("title", diagnostic.message().to_owned()));
    let properties: Vec<String> =
        properties.into_iter().map(|(name, value)| format!("{name}={}", escape_property(&value))).collect();
    let remarks = diagnostic.remarks();
    // An annotation without any text is not shown.
    let text = if remarks.is_empty() { diagnostic.message().to_owned() } else { remarks.join("\n") };
    format!("::{level} {}::{}", properties.join(","), escape(&text))
}

/// The text of a command must be one line.
fn escape(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Properties end at a comma, all of them at a colon.
fn escape_property(text: &str) -> String {
    escape(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::file::{ReadError, Source, render_all};
    use crate::text::hostile::{any_text, assert_harmless};

    #[test]
    fn a_diagnostic_becomes_one_line_that_nothing_in_it_can_break() {
        let text = "a = 1\nb = [\n]\n".to_owned();
        let source = Source::from_bytes(Path::new("dir,x/f:1.toml"), text.into_bytes()).unwrap();
        let within = Diagnostic::error(&source, &(4..5), "no `a`, 100%: wrong", "this, 50%: here").help("write\r\nb");
        assert_eq!(
            command(&within),
            "::error file=dir%2Cx/f%3A1.toml,line=1,endLine=1,col=5,endColumn=6,title=no `a`%2C 100%25%3A wrong::this, \
             50%25: here%0Ahelp: write\\r\\nb"
        );
        let lines = Diagnostic::warning(&source, &(6..13), "doubtful", "").and(&source, &(0..1), "see");
        assert_eq!(
            command(&lines),
            "::warning file=dir%2Cx/f%3A1.toml,line=2,endLine=3,title=doubtful::dir,x/f:1.toml:1:1: see"
        );
        let unread = Diagnostic::unread(&ReadError::Empty { path: "f.toml".into() });
        let line = command(&unread);
        assert!(
            line.starts_with("::error file=f.toml,title=f.toml is empty; ") && line.contains("::f.toml is"),
            "{line}"
        );
    }

    proptest! {
        /// As an annotation, for people and for programs.
        #[test]
        fn whatever_is_wrong_with_whatever_file_stays_in_its_lines(text in any_text(), path in any_text(), at in any::<prop::sample::Index>()) {
            let Ok(source) = Source::from_bytes(Path::new(&path), text.clone().into_bytes()) else { return Ok(()) };
            let mut begin = at.index(text.len() + 1);
            while !text.is_char_boundary(begin) { begin -= 1; }
            let found = Diagnostic::error(&source, &(begin..text.len()), text.clone(), text.clone());
            let found = found.and(&source, &(0..begin), text.clone()).help(text.clone());
            let line = command(&found);
            prop_assert!(line.starts_with("::error file=") && line.chars().count() < 20_000);
            let rest: String = line.chars().skip(2).collect();
            prop_assert!(!rest.chars().any(crate::text::unseen) && !rest.contains("##["), "{rest:?}");
            let gutter = |line: &str| line.starts_with("error: ") || line.trim_start().starts_with(|c: char| c.is_ascii_digit() || "-|=:.".contains(c));
            let human = render_all(std::slice::from_ref(&found), false).replace('\t', " ");
            // Where lines are quoted, they stand behind their number.
            assert_harmless(&human.replace(" ::: ", " --> "), gutter);
            assert_harmless(&format!("{}", crate::file::Unusable(vec![found])), |_| true);
        }
    }
}
