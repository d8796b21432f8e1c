//! What a document says, free of how it was written: the values that specs are read from.
//!
//! Always holds: keys are text and unique in their map, numbers are finite, no value is nested deeper than
//! [`DEEPEST`] levels. Order is kept. List items carry their index, so that it stays right when a broken
//! neighbour is taken out.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Unexpected, Visitor,
};

use super::path::{Path, Segment};
use crate::values::text::quoted;
use crate::values::yaml::{DEEPEST, MOST_VALUES, NO_MERGE_KEYS};

/// A value of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<(usize, Tree)>),
    Map(Vec<(String, Tree)>),
}

impl Tree {
    /// The value at `path`, seen from here.
    pub fn get(&self, path: &[Segment]) -> Option<&Self> {
        let Some((first, rest)) = path.split_first() else { return Some(self) };
        let child = match (self, first) {
            (Self::Map(entries), Segment::Key(key)) => {
                entries.iter().find(|(name, _)| name == key).map(|(_, child)| child)
            }
            (Self::List(items), Segment::Index(index)) => {
                items.iter().find(|(position, _)| position == index).map(|(_, child)| child)
            }
            _ => None,
        };
        child?.get(rest)
    }

    /// Takes out the value at `path` (of a map: with its key). False when there is none, or when it is this
    /// value itself.
    pub(super) fn remove(&mut self, path: &[Segment]) -> bool {
        match (self, path) {
            (Self::Map(entries), [Segment::Key(key)]) => {
                let before = entries.len();
                entries.retain(|(name, _)| name != key);
                entries.len() < before
            }
            (Self::List(items), [Segment::Index(index)]) => {
                let before = items.len();
                items.retain(|(position, _)| position != index);
                items.len() < before
            }
            (Self::Map(entries), [Segment::Key(key), rest @ ..]) => {
                entries.iter_mut().find(|(name, _)| name == key).is_some_and(|(_, child)| child.remove(rest))
            }
            (Self::List(items), [Segment::Index(index), rest @ ..]) => items
                .iter_mut()
                .find(|(position, _)| position == index)
                .is_some_and(|(_, child)| child.remove(rest)),
            _ => false,
        }
    }

    /// Gives the value at `path`, which ends with a key, another key. False where there is none, or one has that key already.
    pub(super) fn rename(&mut self, path: &[Segment], to: &str) -> bool {
        match (self, path) {
            (Self::Map(entries), [Segment::Key(from)]) => {
                if entries.iter().any(|(name, _)| name == to) {
                    return false;
                }
                let entry = entries.iter_mut().find(|(name, _)| name == from);
                entry.map(|(name, _)| to.clone_into(name)).is_some()
            }
            (Self::Map(entries), [Segment::Key(key), rest @ ..]) => entries
                .iter_mut()
                .find(|(name, _)| name == key)
                .is_some_and(|(_, child)| child.rename(rest, to)),
            (Self::List(items), [Segment::Index(index), rest @ ..]) => items
                .iter_mut()
                .find(|(position, _)| position == index)
                .is_some_and(|(_, child)| child.rename(rest, to)),
            _ => false,
        }
    }

    /// The same value as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Integer(value) => {
                i64::try_from(*value).map_or_else(|_| value.to_string().into(), Value::from)
            }
            Self::Float(value) => (*value).into(),
            Self::Text(text) => text.as_str().into(),
            Self::List(items) => items.iter().map(|(_, item)| item.to_json()).collect(),
            Self::Map(entries) => {
                Value::Object(entries.iter().map(|(key, item)| (key.clone(), item.to_json())).collect())
            }
        }
    }

    pub fn is_scalar(&self) -> bool {
        !matches!(self, Self::List(_) | Self::Map(_))
    }

    /// This value as serde names it in messages.
    pub(super) fn unexpected(&self) -> Unexpected<'_> {
        match self {
            Self::Null => Unexpected::Unit,
            Self::Bool(value) => Unexpected::Bool(*value),
            Self::Integer(value) => match (u64::try_from(*value), i64::try_from(*value)) {
                (Ok(value), _) => Unexpected::Unsigned(value),
                (_, Ok(value)) => Unexpected::Signed(value),
                _ => Unexpected::Other("a number beyond 64 bits"),
            },
            Self::Float(value) => Unexpected::Float(*value),
            Self::Text(text) => Unexpected::Str(text),
            Self::List(_) => Unexpected::Seq,
            Self::Map(_) => Unexpected::Map,
        }
    }
}

/// Counts what was built so far, and keeps why building was refused: the parser's own error cannot be relied
/// on to hand a message through unchanged.
#[derive(Default)]
pub(super) struct Watch {
    values: Cell<usize>,
    refusal: RefCell<Option<String>>,
}

impl Watch {
    pub(super) fn refusal(self) -> Option<String> {
        self.refusal.into_inner()
    }

    fn refuse<E: Error>(&self, message: String) -> E {
        let error = E::custom(&message);
        *self.refusal.borrow_mut() = Some(message);
        error
    }
}

/// Builds a [`Tree`] from any self-describing deserializer, refusing what a tree never holds.
pub(super) struct Build<'a> {
    pub(super) watch: &'a Watch,
    /// Levels that may still be opened.
    pub(super) depth: usize,
}

impl Build<'_> {
    fn inner<E: Error>(&self) -> Result<Build<'_>, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Build { watch: self.watch, depth }),
            None => Err(self.watch.refuse(format!("nested deeper than {DEEPEST} levels"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Build<'_> {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Build<'_> {
    type Value = Tree;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Integer(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Integer(value.into()))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Tree, E> {
        Ok(Tree::Integer(value))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Tree, E> {
        i128::try_from(value)
            .map(Tree::Integer)
            .map_err(|_| self.watch.refuse("number out of range".to_owned()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Tree, E> {
        if value.is_finite() {
            return Ok(Tree::Float(value));
        }
        Err(self.watch.refuse("numbers are finite: .inf and .nan have no meaning here".to_owned()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self.inner()?)? {
            self.count()?;
            items.push((items.len(), item));
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        let mut names = HashSet::new();
        let plain = |error| {
            self.watch
                .refusal
                .borrow_mut()
                .get_or_insert_with(|| "a key is plain text, not a map or list".to_owned());
            error
        };
        while let Some(key) = map.next_key_seed(Key { names: &names, watch: self.watch }).map_err(plain)? {
            self.count()?;
            let value = map.next_value_seed(self.inner()?)?;
            names.insert(key.clone());
            entries.push((key, value));
        }
        Ok(Tree::Map(entries))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Tree, A::Error> {
        let (tag, _) = access.variant::<String>()?;
        Err(self.watch.refuse(format!("YAML tags have no meaning here: remove !{tag}")))
    }
}

impl Build<'_> {
    fn count<E: Error>(&self) -> Result<(), E> {
        self.watch.values.set(self.watch.values.get() + 1);
        if self.watch.values.get() <= MOST_VALUES {
            return Ok(());
        }
        Err(self.watch.refuse(format!("more than {MOST_VALUES} values, aliases expanded")))
    }
}

/// Reads a key as the text it was written as: `404: …` and `"404": …` are the same key.
struct Key<'a> {
    names: &'a HashSet<String>,
    watch: &'a Watch,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = String;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<String, E> {
        if key == "<<" {
            return Err(self.watch.refuse(NO_MERGE_KEYS.to_owned()));
        }
        if self.names.contains(key) {
            return Err(self.watch.refuse(format!("duplicate key {}", quoted(key))));
        }
        Ok(key.to_owned())
    }
}

/// A path as a tree, so that it can be handed through serde.
pub(super) fn path_to_tree(path: &Path) -> Tree {
    let segments = path.segments().iter().map(|segment| match segment {
        Segment::Key(key) => Tree::Text(key.clone()),
        Segment::Index(index) => Tree::Integer(*index as i128),
    });
    Tree::List(segments.enumerate().collect())
}

/// The reverse of [`path_to_tree`].
pub(super) fn path_from_tree(tree: &Tree) -> Option<Path> {
    let Tree::List(items) = tree else { return None };
    let segment = |tree: &Tree| match tree {
        Tree::Text(key) => Some(Segment::Key(key.clone())),
        Tree::Integer(index) => usize::try_from(*index).ok().map(Segment::Index),
        _ => None,
    };
    items.iter().map(|(_, item)| segment(item)).collect::<Option<Vec<_>>>().map(Path::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Tree {
        let list = Tree::List((0..3).map(|index| (index, Tree::Integer(index as i128))).collect());
        Tree::Map(vec![("a".to_owned(), list), ("b".to_owned(), Tree::Null)])
    }

    fn get(tree: &Tree, path: &str) -> Option<Tree> {
        tree.get(Path::parse(path).segments()).cloned()
    }

    #[test]
    fn items_keep_their_index_when_a_neighbour_is_taken_out() {
        let mut tree = sample();
        assert!(tree.remove(Path::parse("a[1]").segments()));
        assert_eq!((get(&tree, "a[1]"), get(&tree, "a[2]")), (None, Some(Tree::Integer(2))));
        assert!(!tree.remove(Path::parse("a[1]").segments()));
    }

    #[test]
    fn takes_out_entries_and_nothing_that_is_not_there() {
        let mut tree = sample();
        for path in ["", "c", "b.c", "a.b", "[0]", "a[3]"] {
            assert!(!tree.remove(Path::parse(path).segments()), "{path}");
        }
        assert_eq!(tree, sample());
        assert!(tree.remove(Path::parse("b").segments()) && get(&tree, "b").is_none());
    }

    #[test]
    fn paths_survive_being_handed_through() {
        for path in ["", "a[1].b", "[0][\"x.y\"]"].map(Path::parse) {
            assert_eq!(path_from_tree(&path_to_tree(&path)), Some(path));
        }
        assert_eq!(path_from_tree(&Tree::List(vec![(0, Tree::Null)])), None);
    }
}
