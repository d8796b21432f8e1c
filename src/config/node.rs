//! A part of a document that is kept as it is, to be read later by someone who knows its type.
//!
//! A spec holds a [`Node`] where the type depends on a name that a table knows: `filters: Vec<Node>`. A node
//! remembers where it was, so what is wrong with it is reported with the right line even when it is read much
//! later.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error, SeqAccess, Visitor};

use super::diagnostic::{Issue, Target};
use super::path::Path;
use super::read::{Outcome, read};
use super::tree::{Build, Tree, Watch, path_from_tree};
use crate::values::Problem;
use crate::values::yaml::DEEPEST;

/// Name under which a node asks our own deserializer to be handed over. No other deserializer knows it, so a
/// node cannot be read from anywhere else.
pub(super) const HANDED_OVER: &str = "$edgeward::config::Node";

/// A value and where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    tree: Tree,
    path: Path,
}

impl Node {
    pub(super) fn new(tree: Tree, path: Path) -> Self {
        Self { tree, path }
    }

    /// Where it is in the document.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The entries in their order, if it is a map.
    pub fn as_map(&self) -> Option<Vec<(&str, Self)>> {
        let Tree::Map(entries) = &self.tree else { return None };
        let node = |(key, tree): &'_ (String, Tree)| Self::new(tree.clone(), self.path.key(key));
        Some(entries.iter().map(|entry| (entry.0.as_str(), node(entry))).collect())
    }

    /// The items in their order; none if it is no list.
    #[must_use]
    pub fn items(&self) -> Vec<Self> {
        let Tree::List(items) = &self.tree else { return Vec::new() };
        items.iter().map(|(index, tree)| Self::new(tree.clone(), self.path.index(*index))).collect()
    }

    /// The value under `key`, if this is a map that has one, and this without it.
    #[must_use]
    pub fn take(&self, key: &str) -> (Option<Self>, Self) {
        let path = self.path.key(key);
        let step = path.segments().last().map(std::slice::from_ref).unwrap_or_default();
        let mut rest = self.clone();
        let taken = self.tree.get(step).cloned().map(|tree| Self::new(tree, path.clone()));
        rest.tree.remove(step);
        (taken, rest)
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.tree {
            Tree::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Reads it as a `T`. Everything that is wrong with it is added to `issues`.
    ///
    /// A value may come back although issues were added: it is what remains without the faulty parts, good
    /// for finding more issues and for nothing else.
    pub fn read<T: DeserializeOwned>(&self, issues: &mut Vec<Issue>) -> Option<T> {
        self.read_part(issues).value()
    }

    /// The same, and whether all of it was read.
    pub fn read_part<T: DeserializeOwned>(&self, issues: &mut Vec<Issue>) -> Outcome<T> {
        let (outcome, found) = read(self);
        issues.extend(found);
        outcome
    }

    /// An issue with the whole of it.
    pub fn issue(&self, message: impl fmt::Display) -> Issue {
        Issue::new(self.path.clone(), Target::Value, message)
    }

    /// What compiling it brought up, as an issue.
    pub fn problem(&self, problem: &Problem) -> Issue {
        Issue::from_problem(&self.path, problem)
    }

    /// An issue with one of its keys, rather than with the value there.
    pub fn key_issue(&self, key: &str, message: impl fmt::Display) -> Issue {
        Issue::new(self.path.key(key), Target::Key, message)
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(HANDED_OVER, NodeVisitor)
    }
}

impl JsonSchema for Node {
    fn schema_name() -> Cow<'static, str> {
        "Any".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        true.into()
    }
}

/// Takes what our deserializer hands over: the path, then the value.
struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a part of a policy")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Node, A::Error> {
        let watch = Watch::default();
        let mut part = || parts.next_element_seed(Build { watch: &watch, depth: DEEPEST });
        let (path, tree) = (part()?, part()?);
        match (path.as_ref().and_then(path_from_tree), tree) {
            (Some(path), Some(tree)) => Ok(Node { tree, path }),
            _ => Err(A::Error::custom("not handed over by the policy's own reader")),
        }
    }
}
