//! What the API is, for programs that make clients and check answers: made from the types of the answers.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::answer::{Details, Functions, Problem, Status};
use super::query::{LONGEST, MOST, PARAMETERS, Sort};
use crate::plan::{Reason, State};

/// The OpenAPI document.
pub fn openapi() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.for_serialize().into_generator();
    let filters: Vec<Value> = PARAMETERS.iter().map(|(name, takes)| parameter("query", name, takes)).collect();
    let path = [
        parameter("path", "account", "an account id"),
        parameter("path", "region", "a region"),
        parameter("path", "name", "a function's name"),
    ];
    let paths = json!({
        "/api/v1/status": { "get": operation::<Status>(&mut generator, "status", "The fleet at a glance.", &[]) },
        "/api/v1/functions": {
            "get": operation::<Functions>(&mut generator, "functions", "The functions of the file, by page.", &filters),
        },
        "/api/v1/functions/{account}/{region}/{name}": {
            "get": operation::<Details>(&mut generator, "function", "All that is known of a function.", &path),
        },
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "lambda-vpc-controller",
            "version": "1",
            "summary": "How functions stand, and why. Read only.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": { "schemas": generator.take_definitions(true) },
    })
}

fn parameter(place: &str, name: &str, takes: &str) -> Value {
    let names = |all: Vec<String>| json!({ "type": "string", "enum": all });
    let schema = match name {
        "account" => json!({ "type": "string", "pattern": "^[0-9]{12}$" }),
        "region" => json!({ "type": "string", "pattern": "^[a-z]{2,}(-[a-z]+)+-[0-9]{1,2}$" }),
        "name" if place == "path" => json!({ "type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$" }),
        "name" | "vpc" => json!({ "type": "string", "maxLength": LONGEST }),
        "state" => {
            let states = names(State::ALL.iter().map(|state| state.name().to_owned()).collect());
            json!({ "type": "array", "minItems": 1, "items": states })
        }
        "reason" => names(Reason::ALL.iter().map(|reason| reason.name().to_owned()).collect()),
        "sort" => names(Sort::all().map(|sort| sort.to_string()).collect()),
        "limit" => json!({ "type": "integer", "minimum": 1, "maximum": MOST }),
        _ => json!({ "type": "string" }),
    };
    json!({ "name": name, "in": place, "required": place == "path", "description": takes, "schema": schema })
}

fn operation<T: JsonSchema>(generator: &mut SchemaGenerator, id: &str, summary: &str, parameters: &[Value]) -> Value {
    let mut responses = Map::new();
    let problem = generator.subschema_for::<Problem>().to_value();
    let content = |schema: Value| json!({ "application/json": { "schema": schema } });
    let fine = content(generator.subschema_for::<T>().to_value());
    responses.insert("200".to_owned(), json!({ "description": summary, "content": fine }));
    responses.insert("304".to_owned(), json!({ "description": "Nothing has changed since that ETag." }));
    let wrong = [("400", "The question is not understood."), ("404", "There is no such function.")];
    for (code, text) in wrong.into_iter().filter(|(code, _)| *code == "400" || id == "function") {
        responses.insert(code.to_owned(), json!({ "description": text, "content": content(problem.clone()) }));
    }
    json!({ "operationId": id, "summary": summary, "parameters": parameters, "responses": responses })
}
