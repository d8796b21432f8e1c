//! The reference as Markdown: a section for every part of a policy, under the path at which it is written, and below
//! it a table of its keys.

use std::collections::HashMap;
use std::fmt::Write;

use serde_json::{Map, Value};

use super::notes::Notes;
use super::schema;
use crate::filters::group::Way;
use crate::filters::table::KINDS;

/// The parts of a policy in the order in which it is written.
const PARTS: [&str; 13] = [
    "server",
    "log",
    "access_log",
    "admin",
    "limits",
    "paths",
    "listeners",
    "upstreams",
    "issuers",
    "redis",
    "chains",
    "filters",
    "routes",
];

/// Enumerations with more words are not written out where the type is told.
const MOST_WORDS: usize = 6;

const NOTATIONS: &str = "\n## Values\n\n\
    * **Durations** have a unit, `d`, `h`, `m`, `s` or `ms`, the largest first: `250ms`, `1s`, `1m30s`. Never zero \
    unless the key says so; at most `3650d`.\n\
    * **Sizes** have a unit: `B`, `KiB`, `MiB`, `GiB`, and the decimal `KB`, `MB`, `GB`; at most `1024GiB`.\n\
    * **Rates** are a count in a duration: `100/1m`, `5/1s`.\n\
    * **Secrets** are named, never written: `{ env: NAME }` or `{ file: PATH }`; one newline at the end of a file does \
    not count.\n\n\
    | type | written as |\n|---|---|\n";

const HEAD: &str = "# Reference\n\n\
    Every key of a policy. Made from the source by `edgeward schema --markdown`; do not edit. The same as a JSON \
    Schema for editors is in [policy.schema.json](policy.schema.json). How things work together is in the \
    [guide](guide.md).\n\n\
    Unknown keys are errors. Relative paths start at the policy's directory. Keys without a default may be left out \
    unless they are marked as needed.\n";

/// The reference.
pub(in crate::cli) fn markdown() -> String {
    let schema = schema();
    let empty = Map::new();
    let definitions = schema.get("$defs").and_then(Value::as_object).unwrap_or(&empty);
    let mut reference = Reference { definitions, places: HashMap::new(), sections: Vec::new() };
    reference.visit(&schema, "");
    reference.write()
}

struct Reference<'a> {
    definitions: &'a Map<String, Value>,
    /// The section of each definition that has one.
    places: HashMap<&'a str, String>,
    sections: Vec<(String, &'a Value)>,
}

impl<'a> Reference<'a> {
    /// The definition that a schema refers to.
    fn definition(&self, schema: &'a Value) -> Option<(&'a str, &'a Value)> {
        let name = schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")?;
        self.definitions.get_key_value(name).map(|(name, definition)| (name.as_str(), definition))
    }

    /// Gives a section to every map of keys below a schema, the first place at which it is written being its own.
    fn visit(&mut self, schema: &'a Value, path: &str) {
        if let Some((name, definition)) = self.definition(schema) {
            if self.places.contains_key(name) {
                return;
            }
            if matches!(name, "Filter" | "Authenticator") {
                self.places.insert(name, "Filters".to_owned());
                return;
            }
            if definition.get("properties").is_some() {
                self.places.insert(name, path.to_owned());
                self.sections.push((path.to_owned(), definition));
            }
            return self.visit(definition, path);
        }
        for (key, property) in ordered(schema) {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            self.visit(property, &path);
        }
        for choice in choices(schema) {
            self.visit(choice, path);
        }
        if let Some(items) = schema.get("items") {
            self.visit(items, &format!("{path}[]"));
        }
        if let Some(values) = values(schema) {
            self.visit(values, &format!("{path}.NAME"));
        }
    }

    fn write(mut self) -> String {
        let policy = std::mem::take(&mut self.sections);
        for kind in KINDS {
            if let Some((name, definition)) = self.definitions.get_key_value(*kind) {
                self.places.insert(name, (*kind).to_owned());
                self.sections.push(((*kind).to_owned(), definition));
                self.visit(definition, kind);
            }
        }
        let filters = std::mem::take(&mut self.sections);
        let mut out = String::from(HEAD);
        for (path, definition) in &policy {
            self.section(&mut out, "##", if path.is_empty() { "The policy" } else { path }, definition);
        }
        out.push_str(
            "\n## Filters\n\nEach entry of a list of filters is one of these, written `- kind: { … }`, or ",
        );
        out.push_str(
            "`- chain: NAME` for all filters of a chain. Requests pass them in order, responses backwards.\n",
        );
        for way in Way::BOTH {
            let _ = write!(out, "\n### `{}`\n\n{}\n", way.kind(), way.doc());
        }
        for (path, definition) in &filters {
            self.section(&mut out, "###", path, definition);
        }
        out.push_str(&super::expressions::markdown());
        self.notations(&mut out);
        out
    }

    fn section(&self, out: &mut String, level: &str, path: &str, schema: &'a Value) {
        let title = if path == "The policy" { path.to_owned() } else { format!("`{path}`") };
        let _ = write!(out, "\n{level} {title}\n\n{}\n", text(schema));
        out.push_str("\n| key | type | default | meaning |\n|---|---|---|---|\n");
        let required = schema.get("required").and_then(Value::as_array);
        let needed = |key: &str| required.is_some_and(|required| required.iter().any(|name| name == key));
        for (key, property) in ordered(schema) {
            let (default, meaning) = self.told(property);
            let default = if needed(key) { "*needed*".to_owned() } else { default };
            let _ = writeln!(
                out,
                "| `{key}` | {} | {} | {} |",
                self.kind(property),
                cell(&default),
                cell(&meaning)
            );
        }
    }

    /// The default of a key, and what else is said of it.
    fn told(&self, property: &'a Value) -> (String, String) {
        let whole = text(property);
        let (words, mut meaning) = match Notes::of(whole).default_words() {
            Some((words, rest)) => (words.to_owned(), rest),
            None => (String::new(), whole.to_owned()),
        };
        let default = match property.get("default") {
            _ if !words.is_empty() => words,
            _ if Notes::of(whole).marked_default().is_some() => {
                format!("`{}`", Notes::of(whole).marked_default().unwrap_or_default())
            }
            Some(Value::Array(list)) if list.is_empty() => "none".to_owned(),
            Some(Value::Object(map)) if map.is_empty() => "none".to_owned(),
            Some(Value::Null) | None => String::new(),
            Some(Value::String(text)) => format!("`{text}`"),
            Some(value) => format!("`{value}`"),
        };
        let mut seen = Vec::new();
        for (word, what) in self.words(property) {
            if !seen.contains(&word) {
                let _ = write!(meaning, "\n\n`{word}`: {what}");
                seen.push(word);
            }
        }
        (default, meaning)
    }

    /// The words of an enumeration, each with its meaning.
    fn words(&self, schema: &'a Value) -> Vec<(&'a str, &'a str)> {
        if let Some((_, definition)) = self.definition(schema) {
            return self.words(definition);
        }
        if let Some(word) = word(schema) {
            return vec![(word, text(schema))];
        }
        let items = schema.get("items").into_iter();
        choices(schema).chain(items).flat_map(|choice| self.words(choice)).collect()
    }

    /// A few words for a type, with a link where there is more to say.
    fn kind(&self, schema: &'a Value) -> String {
        if let Some((name, definition)) = self.definition(schema) {
            return match self.places.get(name) {
                Some(place) => format!("[{}]({})", readable(name), anchor(place)),
                None if is_notation(definition) => format!("[{}](#values)", readable(name)),
                None => self.kind(definition),
            };
        }
        if let Some(word) = word(schema) {
            return format!("`{word}`");
        }
        let all = choices(schema).collect::<Vec<_>>();
        if all.len() > MOST_WORDS && all.iter().all(|choice| word(choice).is_some()) {
            return "word".to_owned();
        }
        let kinds: Vec<_> =
            all.into_iter().map(|choice| self.kind(choice)).filter(|kind| kind != "null").collect();
        if !kinds.is_empty() {
            return kinds.join(" or ");
        }
        match schema.get("type") {
            Some(Value::String(kind)) => self.plain(kind, schema),
            Some(Value::Array(all)) => {
                let first = all.iter().filter_map(Value::as_str).find(|kind| *kind != "null");
                self.plain(first.unwrap_or("null"), schema)
            }
            _ => "anything".to_owned(),
        }
    }

    fn plain(&self, kind: &str, schema: &'a Value) -> String {
        match kind {
            "array" => {
                let items =
                    schema.get("items").map_or_else(|| "anything".to_owned(), |items| self.kind(items));
                let items = if items.contains(" or ") { format!("({items})") } else { items };
                format!("list of {items}")
            }
            "object" => match (values(schema), schema.get("properties").and_then(Value::as_object)) {
                (Some(values), _) => format!("map of names to {}", self.kind(values)),
                (None, Some(keys)) => {
                    let keys = keys.iter().map(|(key, value)| format!("{key}: {}", self.kind(value)));
                    format!("`{{` {} `}}`", keys.collect::<Vec<_>>().join(", "))
                }
                _ => "map".to_owned(),
            },
            "boolean" => "`true` or `false`".to_owned(),
            "integer" | "number" => "number".to_owned(),
            "string" => "text".to_owned(),
            other => other.to_owned(),
        }
    }

    /// How values with a notation of their own are written.
    fn notations(&self, out: &mut String) {
        out.push_str(NOTATIONS);
        for (name, definition) in self.definitions.iter().filter(|(_, definition)| is_notation(definition)) {
            let _ = writeln!(out, "| {} | {} |", readable(name), cell(text(definition)));
        }
    }
}

/// The keys of a map: those that are needed first, and the parts of a policy in their own order.
fn ordered(schema: &Value) -> Vec<(&String, &Value)> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let mut keys: Vec<_> = properties.into_iter().flatten().collect();
    let required: Vec<_> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let is_policy = keys.iter().any(|(key, _)| *key == "listeners");
    let part = |key: &str| PARTS.iter().position(|part| *part == key).unwrap_or(PARTS.len());
    keys.sort_by_key(|(key, _)| {
        if is_policy { (false, part(key)) } else { (!required.contains(&key.as_str()) && *key != "name", 0) }
    });
    keys
}

/// The alternatives of a union.
fn choices(schema: &Value) -> impl Iterator<Item = &Value> {
    ["anyOf", "oneOf"].into_iter().filter_map(|key| schema.get(key)?.as_array()).flatten()
}

/// The one word that the value must be, if it is one of an enumeration.
fn word(schema: &Value) -> Option<&str> {
    let only = schema.get("enum").and_then(Value::as_array).filter(|words| words.len() == 1);
    schema.get("const").or_else(|| only?.first())?.as_str()
}

/// What the values of a map with free names are.
fn values(schema: &Value) -> Option<&Value> {
    let patterns =
        schema.get("patternProperties").and_then(Value::as_object).and_then(|all| all.values().next());
    schema.get("additionalProperties").filter(|values| values.is_object()).or(patterns)
}

/// Whether it is a scalar with a notation of its own, rather than a map or one of a few words.
fn is_notation(definition: &Value) -> bool {
    let scalar = |schema: &Value| schema.get("pattern").is_some() || schema.get("minimum").is_some();
    let source =
        |schema: &Value| schema.pointer("/properties/env").or(schema.pointer("/properties/file")).is_some();
    let mut all = choices(definition).peekable();
    match all.peek() {
        None => word(definition).is_none() && definition.get("type").is_some_and(|kind| kind == "string"),
        Some(_) => all.all(|choice| scalar(choice) || source(choice)),
    }
}

fn text(schema: &Value) -> &str {
    schema.get("description").and_then(Value::as_str).unwrap_or_default()
}

/// `ListenAddress` as people write it: `listen address`.
fn readable(name: &str) -> String {
    let mut words = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(if character == '_' { ' ' } else { character.to_ascii_lowercase() });
    }
    words
}

/// The link to a section's heading, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ' '))
        .collect();
    let kept: String = kept;
    format!("#{}", kept.replace(' ', "-"))
}

/// Text for a cell of a table: no line breaks, no bars.
pub(super) fn cell(text: &str) -> String {
    let text = text.trim().replace("\n\n", "<br>").replace("\n* ", "<br>• ").replace("<br>* ", "<br>• ");
    text.replace('\n', " ").replace('|', "\\|")
}
