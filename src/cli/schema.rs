//! `edgeward schema`: what a policy may say, from the specs themselves, for editors and for the reference.

use std::fmt::Write;

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::config::spec::Policy;
use crate::filters::table::{self, Visitor};
use crate::filters::{Spec, table::KINDS};

/// The JSON Schema of policies.
pub(super) fn json() -> String {
    format!("{:#}\n", schema())
}

fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let policy = generator.subschema_for::<Policy>();
    let mut filters = Map::new();
    for kind in KINDS {
        if let Some(spec) = table::visit(kind, SchemaOf(&mut generator)) {
            filters.insert((*kind).to_owned(), with_mode(spec.into()));
        }
    }
    filters.insert("chain".to_owned(), json!({ "type": "string", "description": "A chain of `chains`, by name." }));
    let mut definitions = generator.take_definitions(true);
    let filter = json!({
        "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false,
        "properties": filters, "description": "One filter, or a chain of them."
    });
    definitions.insert("Filter".to_owned(), filter);
    let list = json!({ "type": "array", "items": { "$ref": "#/$defs/Filter" } });
    for (owner, key) in [("Policy", "filters"), ("Route", "filters")] {
        set(&mut definitions, owner, key, &list);
    }
    set(&mut definitions, "Policy", "chains", &json!({ "type": "object", "additionalProperties": list }));
    let mut root = Value::from(policy);
    if let Value::Object(root) = &mut root {
        root.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
        root.insert("title".into(), "Edgeward policy".into());
        root.insert("$defs".into(), Value::Object(definitions));
    }
    root
}

/// Types the lists that the specs leave open, keeping their descriptions.
fn set(definitions: &mut Map<String, Value>, owner: &str, key: &str, schema: &Value) {
    let property = definitions.get_mut(owner).and_then(|owner| owner.pointer_mut(&format!("/properties/{key}")));
    if let (Some(property), Value::Object(schema)) = (property, schema) {
        let description = property.get("description").cloned();
        let mut schema = schema.clone();
        schema.extend(description.map(|text| ("description".to_owned(), text)));
        *property = Value::Object(schema);
    }
}

/// Every filter takes `mode` beside its own keys.
fn with_mode(schema: Value) -> Value {
    schema
}

struct SchemaOf<'a>(&'a mut SchemaGenerator);

impl Visitor for SchemaOf<'_> {
    type Output = Schema;

    fn visit<S: Spec>(self) -> Schema {
        self.0.subschema_for::<S>()
    }
}

/// The reference as Markdown.
pub(super) fn markdown() -> String {
    let schema = schema();
    let mut out = String::from("# Reference\n\nMade by `edgeward schema --markdown`; do not edit.\n");
    let Some(definitions) = schema.get("$defs").and_then(Value::as_object) else { return out };
    let mut names: Vec<_> = definitions.keys().collect();
    names.sort_by_key(|name| (name.as_str() != "Policy", name.as_str() != "Filter", name.as_str()));
    for name in names {
        if let Some(definition) = definitions.get(name) {
            section(&mut out, name, definition);
        }
    }
    out
}

fn section(out: &mut String, name: &str, schema: &Value) {
    let _ = writeln!(out, "\n## {name}\n\n{}", text(schema));
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        out.push_str("\n| key | what | meaning |\n|---|---|---|\n");
        let required = schema.get("required").and_then(Value::as_array);
        for (key, property) in properties {
            let needed = required.is_some_and(|required| required.iter().any(|name| name == key));
            let needed = if needed { " (needed)" } else { "" };
            let meaning = text(property).replace("\n\n", "<br>").replace('\n', " ").replace('|', "\\|");
            let _ = writeln!(out, "| `{key}`{needed} | {} | {meaning} |", kind(property));
        }
    }
    for variant in ["oneOf", "anyOf"].iter().filter_map(|key| schema.get(key)?.as_array()).flatten() {
        let word = variant.get("const").or_else(|| variant.get("enum")?.get(0));
        let word = word.map_or_else(|| kind(variant), |word| format!("`{}`", word.as_str().unwrap_or_default()));
        let _ = writeln!(out, "\n* {word}: {}", text(variant).replace('\n', " "));
    }
}

fn text(schema: &Value) -> &str {
    schema.get("description").and_then(Value::as_str).unwrap_or_default()
}

/// A few words for a type, with links to those that have a section.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(any) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array) {
        let kinds: Vec<_> = any.iter().map(kind).filter(|kind| kind != "null").collect();
        return kinds.join(" or ");
    }
    match schema.get("type") {
        Some(Value::String(kind)) if kind == "array" => {
            format!("list of {}", schema.get("items").map_or_else(|| "anything".into(), self::kind))
        }
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("null").to_owned()
        }
        _ => "anything".into(),
    }
}
