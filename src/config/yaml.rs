//! YAML: from bytes to a [`Tree`], and back from a path to its line and column. Nothing but this and [`yaml`] touches the
//! YAML library.
//!
//! The library keeps no positions of values. But an error raised inside a value carries the place where that
//! value starts. So a position is found by reading the document once more, walking down to the value, and
//! failing there.

mod seek;

use std::cell::RefCell;
use std::fs::File;
use std::io::Read;

use serde::de::{Deserialize, DeserializeSeed, IgnoredAny};

use self::seek::{Seek, Stop};
use super::diagnostic::{Diagnostics, Target};
use super::node::Node;
use super::path::{Path, Segment};
use super::tree::{Build, Tree, Watch};
use crate::values::nearest::nearest;
use crate::values::yaml::{self, DEEPEST, LARGEST_BYTES, first_document, syntax_message};

/// A parsed policy file: one YAML document, UTF-8 with or without a byte order mark.
///
/// Keys are unique, aliases are expanded up to [`MOST_VALUES`](yaml::MOST_VALUES), tags and merge keys
/// are refused.
#[derive(Debug)]
pub struct Document {
    name: String,
    text: String,
    root: Node,
}

/// Where a value or key is in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// What is written there, if it is a scalar or a key: without quotes, otherwise as it is written.
    pub text: String,
}

impl Document {
    /// Reads and parses a file. Messages call it by its path as given.
    ///
    /// # Errors
    /// When the file cannot be read, and all of [`parse`](Self::parse).
    pub fn load(path: &std::path::Path) -> Result<Self, Diagnostics> {
        let name = path.display().to_string();
        let mut bytes = Vec::new();
        let read =
            File::open(path).and_then(|file| file.take(LARGEST_BYTES as u64 + 1).read_to_end(&mut bytes));
        match read {
            Ok(_) => Self::parse(name, &bytes),
            Err(error) => Err(Diagnostics::of_file(&name, format_args!("cannot read the file: {error}"))),
        }
    }

    /// Parses a file's contents. `name` is what messages call the file.
    ///
    /// # Errors
    /// Larger than 4 MiB, not UTF-8, not YAML, more than one document, duplicate keys, nested deeper than 64
    /// levels, more than a million values, tags, merge keys. Only the first of these is reported.
    pub fn parse(name: impl Into<String>, bytes: &[u8]) -> Result<Self, Diagnostics> {
        let name = name.into();
        let text = decode(&name, bytes)?;
        let refuse = |error: &serde_yaml::Error, message: &str| {
            Diagnostics::at(&name, text, &position(error, String::new()), message)
        };
        // A pass that builds nothing, so that every error after it is a refusal of ours.
        let syntax = first_document(text, IgnoredAny::deserialize);
        syntax.map_err(|error| refuse(&error, &syntax_message(&error, text)))?;
        let watch = Watch::default();
        let tree =
            first_document(text, |document| Build { watch: &watch, depth: DEEPEST }.deserialize(document));
        let tree = tree.map_err(|error| {
            // Without a refusal it is the library's own limit on the same attack.
            let message = watch.refusal().unwrap_or_else(|| "aliases expand to too many values".to_owned());
            refuse(&error, &message)
        })?;
        if let Some(second) = serde_yaml::Deserializer::from_str(text).nth(1) {
            let Err(error) = Stop { written: &RefCell::default() }.deserialize(second);
            return Err(refuse(&error, "expected one YAML document, here a second one starts"));
        }
        Ok(Self { text: text.to_owned(), name, root: Node::new(tree, Path::root()) })
    }

    /// The whole document, ready to be read.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// What messages call the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where the value at `path` is, or its key. Where the document has no such value, the nearest thing
    /// around the place.
    ///
    /// A map, a list or nothing is pointed at by its key, if it has one: that is on the line where a reader
    /// looks for it. Costs a parse of the whole document.
    pub fn locate(&self, path: &Path, target: Target) -> Position {
        let (segments, value) = self.written_at(path);
        let target = if segments.len() < path.segments().len() { Target::Value } else { target };
        let has_key = matches!(segments.last(), Some(Segment::Key(_)));
        let at_key = has_key && (target == Target::Key || !value.is_scalar() || *value == Tree::Null);
        let written = RefCell::default();
        let seek = Seek { path: &segments, at_key, written: &written };
        match first_document(&self.text, |document| seek.deserialize(document)) {
            Err(error) => position(&error, written.take()),
            Ok(never) => match never {},
        }
    }

    /// As far as the document has it, a path as it is written there, and what stands at its end. A key that is not there may
    /// be there misspelt.
    fn written_at(&self, path: &Path) -> (Vec<Segment>, &Tree) {
        let (mut segments, mut here) = (Vec::new(), self.root.tree());
        for segment in path.segments() {
            let step = match (here.get(std::slice::from_ref(segment)), segment, here) {
                (Some(child), ..) => Some((segment.clone(), child)),
                (None, Segment::Key(key), Tree::Map(entries)) => entries
                    .iter()
                    .find(|(name, _)| nearest(name, [key.as_str()]).is_some())
                    .map(|(name, child)| (Segment::Key(name.clone()), child)),
                _ => None,
            };
            let Some((written, child)) = step else { break };
            segments.push(written);
            here = child;
        }
        (segments, here)
    }
}

/// The text of a policy file, its byte order mark removed.
fn decode<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str, Diagnostics> {
    yaml::decode(bytes).map_err(|fault| match fault.at {
        None => Diagnostics::of_file(name, fault.message),
        Some(at) => {
            let position = Position { line: at.line, column: at.column, text: String::new() };
            let valid = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
            let text = String::from_utf8_lossy(bytes.get(..valid).unwrap_or_default());
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
            Diagnostics::at(name, text, &position, &fault.message)
        }
    })
}

fn position(error: &serde_yaml::Error, text: String) -> Position {
    let (line, column) = error.location().map_or((1, 1), |location| (location.line(), location.column()));
    Position { line, column, text }
}

#[cfg(test)]
mod tests;
