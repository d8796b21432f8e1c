//! YAML: from bytes to a [`Node`], in which everything knows its line and column. Nothing but this and the policy's own
//! reader touches the YAML library.
//!
//! Always holds: keys are text and unique in their map, numbers are finite, nothing is nested deeper than [`DEEPEST`]
//! levels, and a document has at most [`MOST_VALUES`] values.

mod build;

use serde::de::{Deserialize, DeserializeSeed, IgnoredAny};

use build::{Build, Watch};

/// Largest file, in bytes.
pub const LARGEST_BYTES: usize = 4 * 1024 * 1024;

/// Levels of maps and lists inside each other that a document may have.
pub const DEEPEST: usize = 64;

/// Values that a document may have once its aliases are expanded. A hundred thousand networks in a list fit;
/// a few lines of aliases to aliases ("billion laughs") don't.
pub const MOST_VALUES: usize = 1_000_000;

/// Why `<<` is refused.
pub(crate) const NO_MERGE_KEYS: &str = "merge keys (<<) are not part of YAML 1.2: use an alias for a whole value, \
     or a named list or chain";

/// A line and a column, in characters, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// What is wrong with a document, and where: lowercase, a fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `None`: with the whole of it.
    pub at: Option<Place>,
    pub message: String,
}

/// A value and where it is: a map, a list or nothing at its key, if it has one, for that is where a reader looks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub at: Place,
    pub value: Value,
}

/// A value of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a map, as it was written: `404: …` and `"404": …` are the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    pub at: Place,
    pub name: String,
}

impl Value {
    /// What it is, as it follows "found" in a message.
    pub fn kind(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Text(text) => super::text::quoted(text),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a map".to_owned(),
        }
    }
}

/// The text of a file, its byte order mark removed.
///
/// # Errors
/// Larger than [`LARGEST_BYTES`], not UTF-8, characters that YAML forbids.
pub fn decode(bytes: &[u8]) -> Result<&str, Fault> {
    if bytes.len() > LARGEST_BYTES {
        return Err(Fault { at: None, message: "larger than 4 MiB".to_owned() });
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let readable = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let at = Some(end_of(&String::from_utf8_lossy(readable)));
            return Err(Fault { at, message: "not UTF-8: save the file as UTF-8".to_owned() });
        }
    };
    match text.char_indices().find(|(_, character)| !is_printable(*character)) {
        None => Ok(text),
        Some((offset, character)) => {
            let message = format!("character U+{:04X} is not allowed", u32::from(character));
            let at = Some(end_of(text.get(..offset).unwrap_or_default()));
            Err(Fault { at, message })
        }
    }
}

/// Parses the one document that a text is.
///
/// # Errors
/// Not YAML, more than one document, duplicate keys, too deep or too many values, tags, merge keys. Only the first of
/// these is reported.
pub fn parse(text: &str) -> Result<Node, Fault> {
    let fault = |error: &serde_yaml::Error, message: String| Fault { at: Some(place(error)), message };
    // A pass that builds nothing, so that every error after it is a refusal of ours.
    let syntax = first_document(text, IgnoredAny::deserialize);
    syntax.map_err(|error| fault(&error, syntax_message(&error, text)))?;
    let watch = Watch::default();
    let start = Place { line: 1, column: 1 };
    let build = Build { watch: &watch, depth: DEEPEST, around: start };
    let node = watch.node(first_document(text, |document| build.deserialize(document)), start);
    let node = node.map_err(|error| {
        // Without a refusal it is the library's own limit on the same attack.
        let (at, message) =
            watch.refusal().unwrap_or_else(|| (None, "aliases expand to too many values".to_owned()));
        Fault { at: Some(at.unwrap_or_else(|| place(&error))), message }
    })?;
    let Some(second) = serde_yaml::Deserializer::from_str(text).nth(1) else { return Ok(node) };
    let stopped = build.deserialize(second);
    let second = watch.node(stopped, start).map_or_else(|error| place(&error), |second| second.at);
    let message = "one YAML document is expected, here a second one starts".to_owned();
    Err(Fault { at: Some(second), message })
}

/// Reads the first document of a text.
pub(crate) fn first_document<'a, T>(
    text: &'a str,
    read: impl FnOnce(serde_yaml::Deserializer<'a>) -> Result<T, serde_yaml::Error>,
) -> Result<T, serde_yaml::Error> {
    let mut documents = serde_yaml::Deserializer::from_str(text);
    match documents.next() {
        Some(document) => read(document),
        None => read(serde_yaml::Deserializer::from_str("")),
    }
}

/// YAML 1.2.2, section 5.1, less the byte order mark.
fn is_printable(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' | '\u{85}' => true,
        '\u{feff}' | '\u{fffe}' | '\u{ffff}' => false,
        _ => !character.is_control(),
    }
}

/// The place right behind a text.
fn end_of(text: &str) -> Place {
    let line = text.rsplit('\n').next().unwrap_or_default();
    Place { line: text.matches('\n').count() + 1, column: line.chars().count() + 1 }
}

fn place(error: &serde_yaml::Error) -> Place {
    let (line, column) = error.location().map_or((1, 1), |location| (location.line(), location.column()));
    Place { line, column }
}

/// The parser's message without its position, and with advice where the mistake is a usual one.
pub(crate) fn syntax_message(error: &serde_yaml::Error, text: &str) -> String {
    let place = place(error);
    let message =
        error.to_string().replacen(&format!(" at line {} column {}", place.line, place.column), "", 1);
    let line = text.lines().nth(place.line.saturating_sub(1)).unwrap_or_default();
    let indent = line.split(|character: char| !character.is_whitespace()).next().unwrap_or_default();
    let advice = if line.trim_start_matches(' ').starts_with('\t') || indent.contains('\t') {
        "indent with spaces, not tabs"
    } else if message.contains("alias") || message.contains("unknown anchor") {
        "quote a text that starts with *"
    } else if message.contains("mapping values are not allowed") {
        "quote a text that contains a colon and a space, and check the indentation"
    } else if message.contains("cannot start any token") {
        "quote a text that starts with a special character"
    } else if message.contains("',' or") {
        "inside { } and [ ], quote a text that contains any of { } [ ] ,"
    } else if message.contains("expected node content") && line.contains("[:") {
        "quote an address that starts with ["
    } else if message.contains("'-' indicator") || message.contains("did not find expected key") {
        "check the indentation: lines of one map or list begin in the same column"
    } else {
        return message;
    };
    format!("{message}: {advice}")
}

#[cfg(test)]
mod tests;
