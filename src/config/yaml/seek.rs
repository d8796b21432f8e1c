//! Seeds that walk down a document to one place and fail there, so that the error carries its line and
//! column.

use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::path::Segment;

/// Walks down to a value or its key and fails there. What is written there is kept in `written`.
pub(super) struct Seek<'a> {
    pub(super) path: &'a [Segment],
    pub(super) at_key: bool,
    pub(super) written: &'a RefCell<String>,
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = Infallible;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Infallible, D::Error> {
        if self.path.is_empty() {
            return Stop { written: self.written }.deserialize(deserializer);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = Infallible;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the way to a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Infallible, A::Error> {
        let Some((Segment::Key(wanted), path)) = self.path.split_first() else {
            return Err(A::Error::custom("a map"));
        };
        let stop = (self.at_key && path.is_empty()).then_some(self.written);
        while let Some(found) = map.next_key_seed(SeekKey { wanted, stop })? {
            if found {
                return map.next_value_seed(Self { path, ..self });
            }
            map.next_value::<IgnoredAny>()?;
        }
        Err(A::Error::custom("no such key"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Infallible, A::Error> {
        let Some((Segment::Index(wanted), path)) = self.path.split_first() else {
            return Err(A::Error::custom("a list"));
        };
        for _ in 0..*wanted {
            seq.next_element::<IgnoredAny>()?;
        }
        match seq.next_element_seed(Self { path, ..self })? {
            Some(never) => match never {},
            None => Err(A::Error::custom("no such item")),
        }
    }
}

/// Tells whether a key is the wanted one, or fails at it if told to stop there.
struct SeekKey<'a> {
    wanted: &'a str,
    stop: Option<&'a RefCell<String>>,
}

impl<'de> DeserializeSeed<'de> for SeekKey<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for SeekKey<'_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        match self.stop {
            Some(written) if key == self.wanted => match (Stop { written }).visit_str(key)? {},
            _ => Ok(key == self.wanted),
        }
    }
}

/// Fails at whatever comes, and keeps its text if it is a scalar.
pub(super) struct Stop<'a> {
    pub(super) written: &'a RefCell<String>,
}

impl<'de> DeserializeSeed<'de> for Stop<'_> {
    type Value = Infallible;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Infallible, D::Error> {
        // A scalar of any type can be read as text, as it is written; a map or list fails by itself.
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Stop<'_> {
    type Value = Infallible;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("to stop here")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Infallible, E> {
        text.clone_into(&mut self.written.borrow_mut());
        Err(E::custom("here"))
    }
}
