//! Reading the TOML files that people write, so that every mistake in one is reported at once and in its place.
//!
//! Serde stops at the first error. Here each leaf is a [`Field`], which keeps its span and, where the value has the
//! wrong type, the error instead of the value; unknown keys are collected on the side. So one reading yields the whole
//! document with everything that is wrong in it, and the types stay the single description of the format: the JSON
//! schema, the known keys and the "did you mean" all come from them.

mod diagnostic;
mod field;
mod source;

pub use diagnostic::{Diagnostic, Level, Place, Report};
pub use field::{Field, Span, read};
pub use source::{ReadError, Source};

/// The known name nearest to the given one, if it is near enough to be meant.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .filter(|(distance, name)| *distance <= given.len().max(name.len()).div_ceil(3))
        .min()
        .map(|(_, name)| name)
}
