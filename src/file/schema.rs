//! The JSON schema of a file, for editors: completion, and what a key means.

use schemars::JsonSchema;
use schemars::transform::{Transform, transform_subschemas};
use serde_json::Value;

/// The schema of a type that is read with [`super::read`].
pub fn schema<T: JsonSchema>(title: &str) -> Value {
    let mut schema = schemars::schema_for!(T);
    Strict.transform(&mut schema);
    schema.insert("title".to_owned(), title.into());
    schema.to_value()
}

/// As files are read: a key that is not known is a mistake, and TOML has no null.
struct Strict;

impl Transform for Strict {
    fn transform(&mut self, schema: &mut schemars::Schema) {
        transform_subschemas(self, schema);
        if schema.get("properties").is_some() && schema.get("additionalProperties").is_none() {
            schema.insert("additionalProperties".to_owned(), false.into());
        }
        if let Some(Value::Array(types)) = schema.get_mut("type") {
            types.retain(|kind| kind != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                schema.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
            choices.retain(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
            if let [Value::Object(only)] = choices.as_slice() {
                let only = only.clone();
                schema.remove("anyOf");
                for (key, value) in only {
                    schema.insert(key, value);
                }
            }
        }
    }
}
