//! Builds a document's nodes, each with its place.
//!
//! The library keeps no places. But an error raised at a scalar carries the place of the scalar, and reading goes on after
//! it where it would have gone on without. So each scalar and each key is read by failing at it.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::convert::Infallible;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};

use super::{DEEPEST, Key, MOST_VALUES, NO_MERGE_KEYS, Node, Place, Value};
use crate::values::text::quoted;

/// What errors say that are none.
const STOP: &str = "stop";

/// Counts what was built so far, holds the scalar that was failed at, and keeps why building was refused: the parser's own
/// error cannot be relied on to hand a message through unchanged.
#[derive(Default)]
pub(super) struct Watch {
    values: Cell<usize>,
    scalar: RefCell<Option<Value>>,
    refusal: RefCell<Option<(Option<Place>, String)>>,
}

impl Watch {
    /// Why, and where, if that is not where the error is.
    pub(super) fn refusal(&self) -> Option<(Option<Place>, String)> {
        self.refusal.take()
    }

    fn refuse<E: Error>(&self, message: impl Into<String>) -> E {
        let message = message.into();
        let error = E::custom(&message);
        *self.refusal.borrow_mut() = Some((None, message));
        error
    }

    fn refuse_at<E: Error>(&self, at: Place, message: impl Into<String>) -> E {
        *self.refusal.borrow_mut() = Some((Some(at), message.into()));
        E::custom("refused")
    }

    fn stop<E: Error>(&self, value: Value) -> E {
        *self.scalar.borrow_mut() = Some(value);
        E::custom(STOP)
    }

    /// What reading a value came to: a map or list, at its first thing or else `around`; or an error that is none.
    pub(super) fn node<E: fmt::Display>(&self, read: Result<Value, E>, around: Place) -> Result<Node, E> {
        match read {
            Ok(value) => Ok(Node { at: first(&value).unwrap_or(around), value }),
            Err(error) => match self.scalar.take() {
                Some(value) => Ok(Node { at: place(&error), value }),
                None => Err(error),
            },
        }
    }

    fn count<E: Error>(&self) -> Result<(), E> {
        self.values.set(self.values.get() + 1);
        if self.values.get() <= MOST_VALUES {
            return Ok(());
        }
        Err(self.refuse(format!("more than {MOST_VALUES} values, aliases expanded")))
    }
}

fn first(value: &Value) -> Option<Place> {
    match value {
        Value::List(items) => items.first().map(|item| item.at),
        Value::Map(entries) => entries.first().map(|(key, _)| key.at),
        _ => None,
    }
}

/// The place in an error's text; the first of the document has none.
fn place(error: &impl fmt::Display) -> Place {
    let text = error.to_string();
    let numbers = text.rsplit_once("stop at line ").and_then(|(_, place)| {
        let (line, column) = place.split_once(" column ")?;
        Some((line.parse().ok()?, column.parse().ok()?))
    });
    let (line, column) = numbers.unwrap_or((1, 1));
    Place { line, column }
}

/// Builds a value, or fails at it if it is a scalar: [`Watch::node`] has it then.
#[derive(Clone, Copy)]
pub(super) struct Build<'a> {
    pub(super) watch: &'a Watch,
    /// Levels that may still be opened.
    pub(super) depth: usize,
    /// Where the value is, if it has no place of its own.
    pub(super) around: Place,
}

impl Build<'_> {
    fn inner<E: Error>(&self, around: Place) -> Result<Self, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self { depth, around, ..*self }),
            None => Err(self.watch.refuse(format!("nested deeper than {DEEPEST} levels"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Build<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Build<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Err(self.watch.stop(Value::Null))
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Err(self.watch.stop(Value::Null))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Err(self.watch.stop(Value::Bool(value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.visit_i128(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.visit_i128(value.into())
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Value, E> {
        Err(self.watch.stop(Value::Integer(value)))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Value, E> {
        match i128::try_from(value) {
            Ok(value) => self.visit_i128(value),
            Err(_) => Err(self.watch.refuse("number out of range")),
        }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        if value.is_finite() {
            return Err(self.watch.stop(Value::Float(value)));
        }
        Err(self.watch.refuse("numbers are finite: .inf and .nan have no meaning here"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Err(self.watch.stop(Value::Text(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        loop {
            let item = match seq.next_element_seed(self.inner(self.around)?) {
                Ok(None) => return Ok(Value::List(items)),
                Ok(Some(value)) => Ok(value),
                Err(error) => Err(error),
            };
            items.push(self.watch.node(item, self.around)?);
            self.watch.count()?;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        let mut names = HashSet::new();
        loop {
            let key = match map.next_key_seed(KeySeed(self.watch)) {
                Ok(None) => return Ok(Value::Map(entries)),
                Ok(Some(never)) => match never {},
                Err(error) => self.key(error)?,
            };
            self.watch.count()?;
            if key.name == "<<" {
                return Err(self.watch.refuse_at(key.at, NO_MERGE_KEYS));
            }
            if !names.insert(key.name.clone()) {
                return Err(self.watch.refuse_at(key.at, format!("duplicate key {}", quoted(&key.name))));
            }
            let value = map.next_value_seed(self.inner(key.at)?);
            let mut node = self.watch.node(value, key.at)?;
            if matches!(node.value, Value::Null | Value::List(_) | Value::Map(_)) {
                node.at = key.at;
            }
            entries.push((key, node));
        }
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Value, A::Error> {
        let (tag, _) = access.variant::<String>()?;
        Err(self.watch.refuse(format!("YAML tags have no meaning here: remove !{tag}")))
    }
}

impl Build<'_> {
    fn key<E: fmt::Display>(&self, error: E) -> Result<Key, E> {
        if let Some(Value::Text(name)) = self.watch.scalar.take() {
            return Ok(Key { at: place(&error), name });
        }
        let plain = || (None, "a key is plain text, not a map or list".to_owned());
        self.watch.refusal.borrow_mut().get_or_insert_with(plain);
        Err(error)
    }
}

/// Reads a key as the text it was written as, and fails at it.
struct KeySeed<'a>(&'a Watch);

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Infallible;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Infallible, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Infallible;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Infallible, E> {
        Err(self.0.stop(Value::Text(key.to_owned())))
    }
}
