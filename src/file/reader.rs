//! What is read of one file, field by field.

use std::borrow::Borrow;

use super::{Diagnostic, Field, Report, Source, Span};
use crate::names::NameError;

/// Reads the fields of a file. A mistake goes into the report, and what is mistaken counts as not written.
#[derive(Debug)]
pub struct Reader<'a> {
    /// The file.
    pub source: &'a Source,
    /// What is wrong with it, and with others that belong to it.
    pub report: &'a mut Report,
}

impl<'a> Reader<'a> {
    /// Reads this file.
    pub fn new(source: &'a Source, report: &'a mut Report) -> Self {
        Self { source, report }
    }

    /// A value as it is written.
    pub fn get<'f, T>(&mut self, field: &'f Option<Field<T>>) -> Option<&'f T> {
        field.as_ref()?.get(self)
    }

    /// A value made into something better. What is parsed is what the value lends: the text of a `String`, say.
    pub fn parse<T: Borrow<B>, B: ?Sized, U>(
        &mut self,
        field: &Option<Field<T>>,
        parse: impl FnOnce(&B) -> Result<U, NameError>,
    ) -> Option<U> {
        field.as_ref()?.parse(self, parse)
    }

    /// The items of a list; none where it is not there.
    pub fn items<'f, T>(&mut self, field: &'f Option<Field<Vec<Field<T>>>>) -> &'f [Field<T>] {
        self.get(field).map(Vec::as_slice).unwrap_or_default()
    }

    /// A list of texts, each made into something better.
    pub fn list<U>(
        &mut self,
        field: &Option<Field<Vec<Field<String>>>>,
        parse: impl Fn(&str) -> Result<U, NameError>,
    ) -> Option<Vec<U>> {
        let items = self.get(field)?;
        Some(items.iter().filter_map(|item| item.parse(self, &parse)).collect())
    }

    /// A list of ids: see [`Self::id`].
    pub fn ids<Id>(
        &mut self,
        field: &Option<Field<Vec<Field<String>>>>,
        parse: impl Fn(&str) -> Result<Id, NameError>,
    ) -> Option<Vec<Id>> {
        let items = self.get(field)?;
        Some(items.iter().filter_map(|item| self.id(item, &parse)).collect())
    }

    /// A field that the entry at this place must have; its absence is a mistake.
    pub fn required<'f, T>(
        &mut self,
        field: &'f Option<Field<T>>,
        entry: &Span,
        key: &str,
        example: &str,
    ) -> Option<&'f Field<T>> {
        if field.is_none() {
            let missing = self.error(entry, format!("this entry has no `{key}`"), "");
            self.report.push(missing.help(format!("add `{example}`")));
        }
        field.as_ref()
    }

    /// A mistake in this file, to be completed and reported; `label` is written under the marked text.
    pub fn error(&self, span: &Span, message: impl Into<String>, label: impl Into<String>) -> Diagnostic {
        Diagnostic::error(self.source, span, message, label)
    }

    /// The same of something doubtful.
    pub fn warning(&self, span: &Span, message: impl Into<String>, label: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(self.source, span, message, label)
    }
}
