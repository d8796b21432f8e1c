//! Reads values of a document as what they should be, and keeps all that is wrong with them.

use std::sync::Arc;

use crate::values::nearest::suggestion;
use crate::values::text::quoted;
use crate::values::yaml::{Key, Node, Place, Value};
use crate::waf::ir::Location;
use crate::waf::seclang::{Fault, Loader};

/// A file that is read.
pub(super) struct Reader<'a> {
    loader: &'a dyn Loader,
    file: Arc<str>,
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(loader: &'a dyn Loader, file: &str) -> Self {
        Self { loader, file: file.into(), faults: Vec::new() }
    }

    /// All that was wrong, from the top of the file.
    pub(super) fn finish(mut self) -> Vec<Fault> {
        self.faults.sort_by_key(|fault| (fault.at.line, fault.column));
        self.faults
    }

    /// How much was wrong so far.
    pub(super) fn faults(&self) -> usize {
        self.faults.len()
    }

    pub(super) fn at(&self, place: Place) -> Location {
        Location { file: Arc::clone(&self.file), line: narrow(place.line) }
    }

    pub(super) fn fault(&mut self, place: Place, what: impl Into<String>) {
        let at = self.at(place);
        self.faults.push(Fault { at, column: narrow(place.column), what: what.into() });
    }

    /// The value, if it is right.
    pub(super) fn right<T>(&mut self, place: Place, result: Result<T, String>) -> Option<T> {
        result.map_err(|what| self.fault(place, what)).ok()
    }

    /// Adds that a key is none of those that are known here.
    pub(super) fn unknown<'n>(&mut self, key: &Key, known: impl IntoIterator<Item = &'n str>) {
        let what = format!("unknown key {}{}", quoted(&key.name), suggestion(&key.name, known));
        self.fault(key.at, what);
    }

    pub(super) fn map<'n>(&mut self, node: &'n Node) -> &'n [(Key, Node)] {
        match &node.value {
            Value::Map(entries) => entries,
            other => {
                self.fault(node.at, format!("expected keys with values, found {}", other.kind()));
                &[]
            }
        }
    }

    /// The items of a list; a value that is none stands for a list of itself.
    pub(super) fn items<'n>(&mut self, node: &'n Node) -> &'n [Node] {
        match &node.value {
            Value::List(items) if items.is_empty() => {
                self.fault(node.at, "expected at least one");
                &[]
            }
            Value::List(items) => items,
            _ => std::slice::from_ref(node),
        }
    }

    pub(super) fn text<'n>(&mut self, node: &'n Node) -> Option<&'n str> {
        match &node.value {
            Value::Text(text) => Some(text),
            Value::Null | Value::List(_) | Value::Map(_) => {
                self.fault(node.at, format!("expected text, found {}", node.value.kind()));
                None
            }
            scalar => {
                self.fault(node.at, format!("expected text, found {}: write it in quotes", scalar.kind()));
                None
            }
        }
    }

    /// A text, or a list of them.
    pub(super) fn texts<'n>(&mut self, node: &'n Node) -> Vec<(&'n str, Place)> {
        let items = self.items(node);
        items.iter().filter_map(|item| Some((self.text(item)?, item.at))).collect()
    }

    pub(super) fn truth(&mut self, node: &Node) -> Option<bool> {
        if let Value::Bool(truth) = node.value {
            return Some(truth);
        }
        self.fault(node.at, format!("expected true or false, found {}", node.value.kind()));
        None
    }

    /// What says nothing unless it is `true`.
    pub(super) fn affirmed(&mut self, node: &Node) -> Option<()> {
        let truth = self.truth(node)?;
        if !truth {
            self.fault(node.at, "expected true: leave the key out, or put it under `not`");
        }
        truth.then_some(())
    }

    pub(super) fn number(&mut self, node: &Node, least: u32, most: u32) -> Option<u32> {
        let found = match node.value {
            Value::Integer(number) => u32::try_from(number).ok(),
            _ => None,
        };
        let number = found.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.fault(node.at, format!("expected {least} to {most}, found {}", node.value.kind()));
        }
        number
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, node: &Node, choices: &[(&'static str, T)]) -> Option<T> {
        let text = match &node.value {
            Value::Text(text) => text,
            Value::Bool(true) => "on",
            Value::Bool(false) => "off",
            _ => "",
        };
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice);
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            let near = suggestion(text, names.iter().copied());
            let (all, kind) = (names.join(", "), node.value.kind());
            self.fault(node.at, format!("expected one of {all}; found {kind}{near}"));
        }
        found
    }

    /// The lines of a file beside this one, without comments.
    pub(super) fn lines(&mut self, node: &Node) -> Option<Vec<Box<[u8]>>> {
        let name = self.text(node)?;
        let path = match self.file.rsplit_once('/') {
            Some((folder, _)) if !name.starts_with('/') => format!("{folder}/{name}"),
            _ => name.to_owned(),
        };
        let read = self.loader.read(&path).map_err(|error| format!("cannot read {path}: {error}"));
        let text = self.right(node.at, read)?;
        let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        Some(lines.filter(|line| !line.is_empty() && !line.starts_with(b"#")).map(Into::into).collect())
    }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
