//! Reading the TOML files that people write, so that every mistake in one is reported at once and in its place.
//!
//! Serde stops at the first error. Here each leaf is a [`Field`], which keeps its span and, where the value has the
//! wrong type, the error instead of the value; unknown keys are collected on the side. So one reading yields the whole
//! document with everything that is wrong in it, and the types stay the single description of the format: the JSON
//! schema, the known keys and the "did you mean" all come from them.

mod beside;
mod diagnostic;
mod excerpt;
mod field;
mod ids;
mod looks;
mod open;
mod reader;
mod schema;
mod source;
mod way;

pub use beside::{Beside, aside, ended};
pub use diagnostic::{Diagnostic, Level, Place, Report, render_all};
pub use field::{Field, Span, read};
pub use ids::wrong_digits;
pub use open::{Allowed, Print, Stamp, read_regular};
pub use reader::Reader;
pub use schema::schema;
pub use source::{ReadError, Source};
pub use way::{Link, Way};

/// Longer names than people mistype are like no other.
const LONGEST_NAME: usize = 128;
/// So many known names are compared with one that is not known: each of thousands of mistakes is to cost the same.
const COMPARED: usize = 200;

/// The known name nearest to the given one, if it is near enough to be meant.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if given.len() > LONGEST_NAME {
        return None;
    }
    known
        .into_iter()
        .take(COMPARED)
        .filter(|name| name.len().abs_diff(given.len()) <= given.len().max(name.len()).div_ceil(3))
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .filter(|(distance, name)| *distance <= given.len().max(name.len()).div_ceil(3))
        .min()
        .map(|(_, name)| name)
}

/// So many names are listed in a sentence.
const LISTED: usize = 10;

/// Names with commas between them; of many, the first, and how many more there are.
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str, IntoIter: ExactSizeIterator>) -> String {
    let mut names = names.into_iter();
    let first = names.by_ref().take(LISTED).collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// Why a file, or several that belong together, cannot be used: all that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable(pub Vec<Diagnostic>);

impl Unusable {
    /// What is wrong, for people; with the places marked.
    pub fn render(&self, styled: bool) -> String {
        render_all(&self.0, styled)
    }
}

impl From<ReadError> for Unusable {
    fn from(error: ReadError) -> Self {
        Self(vec![Diagnostic::unread(&error)])
    }
}

impl std::fmt::Display for Unusable {
    /// One line: the first mistake with its place, and how many more there are.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut errors = self.0.iter().filter(|diagnostic| diagnostic.level() == Level::Error);
        let Some(first) = errors.next() else { return f.write_str("no mistake found") };
        if let Some(place) = first.place() {
            write!(f, "{place}: ")?;
        }
        f.write_str(first.message())?;
        match errors.count() {
            0 => Ok(()),
            more => write!(f, " (and {more} more)"),
        }
    }
}

impl std::error::Error for Unusable {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_names_the_first_ten_are_listed() {
        let names: Vec<String> = (0..500).map(|number| format!("v{number}")).collect();
        let listed = |count: usize| listed(names[..count].iter().map(String::as_str));
        assert_eq!((listed(0).as_str(), listed(1).as_str(), listed(3).as_str()), ("", "v0", "v0, v1, v2"));
        assert_eq!(listed(10), "v0, v1, v2, v3, v4, v5, v6, v7, v8, v9");
        assert_eq!(listed(500), format!("{} and 490 more", listed(10)));
    }
}
