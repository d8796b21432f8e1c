//! `edgeward schema`: what a policy may say, as a JSON Schema for editors and as the reference for people.
//!
//! Both are made from the specs that read policies, so they cannot fall behind: a key that is read is in the schema,
//! its description is its doc comment, and a default or example that a doc comment tells becomes the schema's own.
//! What the schema accepts may still be refused by `edgeward check`, which sees how parts belong together; what it
//! refuses is refused there too.

mod expressions;
mod notes;
mod reference;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

pub(super) use reference::markdown;

use crate::config::spec::Policy;
use crate::filters::Spec;
use crate::filters::group::Way;
use crate::filters::table::{self, KINDS, Visitor};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The JSON Schema of policies.
pub(super) fn json() -> String {
    format!("{:#}\n", schema())
}

fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let policy = Value::from(generator.subschema_for::<Policy>());
    let filters = filters(&mut generator);
    let mut definitions = generator.take_definitions(true);
    definitions.extend(filters);
    type_filter_lists(&mut definitions);
    let mut root = Map::from_iter([
        ("$schema".to_owned(), DIALECT.into()),
        ("title".to_owned(), "Edgeward policy".into()),
        ("$defs".to_owned(), Value::Object(definitions)),
    ]);
    if let Value::Object(policy) = policy {
        root.extend(policy);
    }
    let mut root = Value::Object(root);
    polish(&mut root);
    root
}

/// The schemas of entries in a list of filters and in a group, and those of the kinds they may name.
fn filters(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let (mut choices, mut members) = (Map::new(), Map::new());
    let mut definitions = Map::new();
    for kind in KINDS {
        let Some((spec, authenticates)) = table::visit(kind, SchemaOf(&mut *generator)) else { continue };
        let reference = json!({ "$ref": format!("#/$defs/{kind}") });
        if authenticates {
            members.insert((*kind).to_owned(), reference.clone());
        }
        choices.insert((*kind).to_owned(), reference);
        definitions.insert((*kind).to_owned(), spec);
    }
    let chain =
        json!({ "type": "string", "description": "All filters of a chain in `chains`, by its name." });
    choices.insert("chain".to_owned(), chain);
    for way in Way::BOTH {
        choices.insert(way.kind().to_owned(), group(way));
        members.insert(way.kind().to_owned(), group(way));
    }
    let entry = |description: &str, choices: Map<String, Value>| {
        json!({
            "description": description,
            "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false,
            "properties": choices,
        })
    };
    let filter = "One filter, written as `- kind: { … }`, a chain of them, `- chain: NAME`, or a group of them, \
                  `- any_of: […]`.";
    definitions.insert("Filter".to_owned(), entry(filter, choices));
    let member = "A filter that finds out who calls, or a group of them.";
    definitions.insert("Authenticator".to_owned(), entry(member, members));
    definitions
}

/// The schema of `any_of` and `all_of`: a list, or a map that has it.
fn group(way: Way) -> Value {
    let list = json!({ "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/Authenticator" } });
    let map = json!({
        "type": "object", "additionalProperties": false, "required": ["filters"],
        "properties": { "filters": list, "when": when(), "mode": mode() },
    });
    json!({ "description": way.doc(), "oneOf": [list, map] })
}

/// Makes the schema of a kind. It is a definition of its own, named as the kind.
struct SchemaOf<'a>(&'a mut SchemaGenerator);

impl Visitor for SchemaOf<'_> {
    /// With whether the filter may stand in a group.
    type Output = (Value, bool);

    fn visit<S: Spec>(self) -> (Value, bool) {
        let mut schema = Value::from(S::json_schema(self.0));
        let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
        if let Some(properties) = properties {
            properties.insert("when".to_owned(), when());
            if S::DECIDES {
                properties.insert("mode".to_owned(), mode());
            }
        }
        (schema, S::NOTHING_SHOWN.is_some())
    }
}

/// What every filter takes beside its own keys.
fn when() -> Value {
    json!({
        "description": "A condition, such as `http.request.method == \"POST\" and not ip.src in $offices`. The filter is \
                        left out where the condition is known not to hold, and stands where a value is missing on \
                        which it depends. The guide has the language. Default: always.",
        "type": "string",
    })
}

/// What every filter that can refuse takes beside its own keys.
fn mode() -> Value {
    json!({
        "description": "Whether the filter's decisions count.",
        "default": "enforce",
        "oneOf": [
            { "const": "enforce", "description": "They do." },
            { "const": "shadow", "description":
                "They are counted (`edgeward_shadow_refusals_total`) and logged (`shadow_refusals`), and the request \
                 goes on as if the filter were not there." },
        ],
    })
}

/// The specs leave lists of filters open, for the table knows the kinds.
fn type_filter_lists(definitions: &mut Map<String, Value>) {
    let list = json!({ "type": "array", "items": { "$ref": "#/$defs/Filter" } });
    let chains = json!({ "type": "object", "additionalProperties": list });
    for (owner, key, schema) in
        [("Policy", "filters", &list), ("Route", "filters", &list), ("Policy", "chains", &chains)]
    {
        let property =
            definitions.get_mut(owner).and_then(|owner| owner.pointer_mut(&format!("/properties/{key}")));
        if let (Some(Value::Object(property)), Value::Object(schema)) = (property, schema) {
            property.extend(schema.clone());
        }
    }
}

/// Adds what the generator does not know: that unknown keys are errors everywhere, and the defaults and examples that
/// descriptions tell.
fn polish(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(polish),
        Value::Object(object) => {
            let is_map = object.contains_key("properties") && !object.contains_key("additionalProperties");
            if is_map && object.get("type").is_some_and(|kind| kind == "object") {
                object.insert("additionalProperties".to_owned(), false.into());
            }
            if let Some(Value::Object(properties)) = object.get_mut("properties") {
                properties.values_mut().for_each(annotate);
            }
            // Values are not schemas.
            let inner = object
                .iter_mut()
                .filter(|(key, _)| !matches!(key.as_str(), "default" | "examples" | "const"));
            inner.for_each(|(_, value)| polish(value));
        }
        _ => {}
    }
}

fn annotate(property: &mut Value) {
    let Value::Object(property) = property else { return };
    let Some(text) = property.get("description").and_then(Value::as_str) else { return };
    let notes = notes::Notes::of(text);
    let (default, examples) = (notes.default_value(), notes.examples());
    if let Some(default) = default {
        property.entry("default").or_insert(default);
    }
    if !examples.is_empty() {
        property.entry("examples").or_insert(Value::Array(examples));
    }
}

#[cfg(test)]
mod tests;
