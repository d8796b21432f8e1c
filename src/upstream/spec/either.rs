//! Values written as one word or as a map: `balance: random`, `balance: { consistent_hash: ip }`.
//!
//! Unlike serde's untagged enums, a fault inside either form is reported as what it is: the unknown word with
//! the known ones, the unknown key with the known ones.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IntoDeserializer, MapAccess, Visitor};

/// Reads `W` from a text or `M` from a map. `expected` follows "expected" in a message.
pub(in crate::upstream) fn word_or_map<'de, D, W, M, T>(
    deserializer: D,
    expected: &'static str,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    W: Deserialize<'de> + Into<T>,
    M: Deserialize<'de> + Into<T>,
{
    deserializer.deserialize_any(Either::<W, M, T> { expected, forms: PhantomData })
}

struct Either<W, M, T> {
    expected: &'static str,
    forms: PhantomData<(W, M, T)>,
}

impl<'de, W, M, T> Visitor<'de> for Either<W, M, T>
where
    W: Deserialize<'de> + Into<T>,
    M: Deserialize<'de> + Into<T>,
{
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        W::deserialize(text.into_deserializer()).map(Into::into)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        M::deserialize(MapAccessDeserializer::new(map)).map(Into::into)
    }
}
