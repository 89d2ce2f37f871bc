//! A value of a TOML file with its place, and the reading of a whole file into a type made of such values.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::ops::Range;

use schemars::JsonSchema;
use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::looks::{key_without_quotes, unfinished_merge};
use super::{Diagnostic, Reader, Report, Source, nearest};

/// A range of bytes in a file.
pub type Span = Range<usize>;

/// A value with its place; or, where it has the wrong type, what serde said of it.
///
/// Most of what an entry may say is left out, in thousands of entries: what is not there is no more than a pointer.
#[derive(Clone, Debug)]
pub struct Field<T>(Box<Written<T>>);

#[derive(Clone, Debug)]
struct Written<T> {
    span: Span,
    value: Result<T, String>,
}

/// Deserializes always: an error becomes a value, so that the rest of the document is read as well.
struct Captured<T>(Result<T, String>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Captured<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(T::deserialize(deserializer).map_err(|error| error.to_string().trim().to_owned())))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Captured<T>>::deserialize(deserializer)?;
        Ok(Self(Box::new(Written { span: spanned.span(), value: spanned.into_inner().0 })))
    }
}

impl<T: JsonSchema> JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

impl<T> Field<T> {
    /// Where the value stands.
    pub fn span(&self) -> &Span {
        &self.0.span
    }

    /// The value; where it has the wrong type that is reported, and there is none.
    pub fn get(&self, reader: &mut Reader<'_>) -> Option<&T> {
        match &self.0.value {
            Ok(value) => Some(value),
            Err(error) => {
                reader.report.push(wrong_type(reader.source, self.span(), error));
                None
            }
        }
    }

    /// The value made into something better; an error of that is reported at this place.
    pub fn parse<B: ?Sized, U, E: std::fmt::Display>(
        &self,
        reader: &mut Reader<'_>,
        parse: impl FnOnce(&B) -> Result<U, E>,
    ) -> Option<U>
    where
        T: Borrow<B>,
    {
        match parse(self.get(reader)?.borrow()) {
            Ok(value) => Some(value),
            Err(error) => {
                reader.report.push(reader.error(self.span(), error.to_string(), ""));
                None
            }
        }
    }
}

fn wrong_type(source: &Source, span: &Span, error: &str) -> Diagnostic {
    // Serde takes a list for the fields of a table in their order, which nobody means.
    let listed = error.strip_prefix("invalid length ").and_then(|rest| rest.split_once(", expected a table"));
    let plain = match listed {
        Some((_, rest)) => Some(format!("a list, expected a table{rest}")),
        None => error
            .strip_prefix("invalid type: ")
            .map(|rest| rest.replace("map", "a table").replace("a sequence", "a list")),
    };
    let found = Diagnostic::error(source, span, "this value has the wrong type", plain.as_deref().unwrap_or(error));
    if error.starts_with("invalid type: map, expected a string") {
        return quoted(found, source, span, &['.']);
    }
    if error.starts_with("invalid type: map, expected a sequence") {
        return found.help("an entry of a list begins with double brackets: `[[vpc]]`, `[[function]]`, `[[account]]`");
    }
    found
}

/// A mistake, with what helps if a key of its line has one of these characters and no quotes.
fn quoted(found: Diagnostic, source: &Source, span: &Span, with: &[char]) -> Diagnostic {
    match key_without_quotes(source, span.start, with) {
        Some(key) => found.help(format!("put the key in quotes: \"{key}\"")),
        None => found,
    }
}

/// Reads a document of type `T`: syntax errors, unknown keys and values of the wrong type are reported, all of them.
///
/// Nothing is returned where the syntax is broken, since what was meant is then not known.
pub fn read<T: DeserializeOwned + JsonSchema>(source: &Source, report: &mut Report) -> Option<T> {
    let (table, errors) = DeTable::parse_recoverable(source.text());
    if !errors.is_empty()
        && let Some(unfinished) = unfinished_merge(source)
    {
        report.push(unfinished);
        return None;
    }
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        let found = Diagnostic::error(source, &span, "this is not valid TOML", error.message());
        report.push(quoted(found, source, &span, &['/', ':']));
    }
    if !errors.is_empty() {
        return None;
    }
    let mut unknown: BTreeSet<Vec<String>> = BTreeSet::new();
    let document = serde_ignored::deserialize(toml::Deserializer::from(table), |path| {
        if unknown.len() < UNKNOWN {
            unknown.insert(steps(&path));
        }
    });
    if !unknown.is_empty() {
        let schema = schemars::schema_for!(T);
        // The first one became the document. Where a key stands is asked so seldom that nobody keeps a second.
        let (table, _) = DeTable::parse_recoverable(source.text());
        unknown.iter().for_each(|path| report.push(unknown_key(source, table.get_ref(), path, schema.as_value())));
    }
    match document {
        Ok(document) => Some(document),
        Err(error) => {
            report.push(wrong_type(source, &error.span().unwrap_or(0..0), error.message()));
            None
        }
    }
}

/// So many unknown keys are told.
const UNKNOWN: usize = 1000;

/// The keys and indexes of a path, without the inner workings of [`Spanned`].
fn steps(path: &serde_ignored::Path<'_>) -> Vec<String> {
    use serde_ignored::Path;
    let (parent, step) = match path {
        Path::Root => return Vec::new(),
        Path::Map { parent, key } => (parent, (!key.starts_with("$__")).then(|| key.clone())),
        Path::Seq { parent, index } => (parent, Some(index.to_string())),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => (parent, None),
    };
    let mut all = steps(parent);
    all.extend(step);
    all
}

fn unknown_key(source: &Source, table: &DeTable<'_>, path: &[String], schema: &serde_json::Value) -> Diagnostic {
    let key = path.last().map(String::as_str).unwrap_or_default();
    let span = key_span(table, path).unwrap_or(0..0);
    let known = known_keys(schema, schema, &path[..path.len().saturating_sub(1)]);
    let found = Diagnostic::error(source, &span, format!("unknown key `{key}`"), "nothing of this name exists here");
    match nearest(key, known.iter().map(String::as_str)) {
        Some(near) => found.help(format!("did you mean `{near}`?")),
        None if known.is_empty() => found,
        None => found.help(format!("the keys here are {}", known.join(", "))),
    }
}

/// Where the key at the end of the path stands.
fn key_span(table: &DeTable<'_>, path: &[String]) -> Option<Span> {
    let (first, rest) = path.split_first()?;
    let (key, value) = table.get_key_value(first.as_str())?;
    if rest.is_empty() { Some(key.span()) } else { value_span(value.get_ref(), rest) }
}

fn value_span(value: &DeValue<'_>, path: &[String]) -> Option<Span> {
    match value {
        DeValue::Table(table) => key_span(table, path),
        DeValue::Array(items) => {
            let (index, rest) = path.split_first()?;
            value_span(items.get(index.parse::<usize>().ok()?)?.get_ref(), rest)
        }
        _ => None,
    }
}

/// The keys that the schema knows at a path.
fn known_keys(root: &serde_json::Value, at: &serde_json::Value, path: &[String]) -> Vec<String> {
    if let Some(target) = at.get("$ref").and_then(|name| name.as_str()) {
        let target = root.pointer(target.trim_start_matches('#')).unwrap_or(&serde_json::Value::Null);
        return known_keys(root, target, path);
    }
    if let Some(choices) = at.get("anyOf").and_then(|choices| choices.as_array()) {
        return choices.iter().flat_map(|choice| known_keys(root, choice, path)).collect();
    }
    let Some((step, rest)) = path.split_first() else {
        let keys = at.get("properties").and_then(|properties| properties.as_object());
        return keys.map(|keys| keys.keys().cloned().collect()).unwrap_or_default();
    };
    let next = at.get("items").or_else(|| at.get("properties")?.get(step));
    next.map(|next| known_keys(root, next, rest)).unwrap_or_default()
}
