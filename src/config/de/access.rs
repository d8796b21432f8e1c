//! Lists, maps, keys and enums, read element by element; errors get their path here.

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Unexpected, VariantAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

use super::super::diagnostic::Target;
use super::super::fault::Fault;
use super::super::path::Path;
use super::super::tree::Tree;
use super::{Reader, Trail};

/// The items of a list.
pub(super) struct Items<'a> {
    items: std::slice::Iter<'a, (usize, Tree)>,
    trail: &'a Trail<'a>,
}

impl<'a> Items<'a> {
    pub(super) fn new(items: &'a [(usize, Tree)], trail: &'a Trail<'a>) -> Self {
        Self { items: items.iter(), trail }
    }
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some((index, tree)) = self.items.next() else { return Ok(None) };
        let trail = Trail::Index(self.trail, *index);
        read_value(seed, tree, trail).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The entries of a map.
pub(super) struct Entries<'a> {
    rest: std::slice::Iter<'a, (String, Tree)>,
    /// The entry whose key was read and whose value was not yet.
    open: Option<&'a (String, Tree)>,
    trail: &'a Trail<'a>,
}

impl<'a> Entries<'a> {
    pub(super) fn new(entries: &'a [(String, Tree)], trail: &'a Trail<'a>) -> Self {
        Self { rest: entries.iter(), open: None, trail }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        self.open = self.rest.next();
        let Some((key, _)) = self.open else { return Ok(None) };
        read_key(seed, key, || Trail::Key(self.trail, key).path()).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let Some((key, tree)) = self.open.take() else {
            return Err(Fault::custom("value asked for before its key"));
        };
        read_value(seed, tree, Trail::Key(self.trail, key))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// An enum: a name alone, or a map of one name to its content.
pub(super) struct Variant<'a> {
    pub(super) name: &'a str,
    pub(super) content: Option<&'a Tree>,
    pub(super) trail: &'a Trail<'a>,
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Fault> {
        let value = match self.content {
            Some(_) => read_key(seed, self.name, || Trail::Key(self.trail, self.name).path())?,
            None => seed.deserialize(KeyReader(self.name))?,
        };
        Ok((value, self))
    }
}

impl Variant<'_> {
    fn content(&self) -> Result<(&Tree, Trail<'_>), Fault> {
        match self.content {
            Some(tree) => Ok((tree, Trail::Key(self.trail, self.name))),
            None => Err(Fault::of_type(format!("\"{0}\" needs settings: write {{ {0}: … }}", self.name))),
        }
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.content {
            None => Ok(()),
            Some(_) => Err(Fault::of_type(format!("\"{0}\" takes no settings: write {0} alone", self.name))),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        let (tree, trail) = self.content()?;
        read_value(seed, tree, trail)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Fault> {
        let (tree, trail) = self.content()?;
        Reader { tree, trail }
            .deserialize_tuple(length, visitor)
            .map_err(|fault| fault.at(Target::Value, || trail.path()))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let (tree, trail) = self.content()?;
        Reader { tree, trail }
            .deserialize_struct("", keys, visitor)
            .map_err(|fault| fault.at(Target::Value, || trail.path()))
    }
}

fn read_value<'de, S: DeserializeSeed<'de>>(
    seed: S,
    tree: &Tree,
    trail: Trail<'_>,
) -> Result<S::Value, Fault> {
    seed.deserialize(Reader { tree, trail }).map_err(|fault| fault.at(Target::Value, || trail.path()))
}

fn read_key<'de, S: DeserializeSeed<'de>>(
    seed: S,
    key: &str,
    path: impl FnOnce() -> Path,
) -> Result<S::Value, Fault> {
    seed.deserialize(KeyReader(key)).map_err(|fault| fault.of_key(key).at(Target::Key, path))
}

/// Reads a key. Keys are text in a tree, so a map from numbers parses them.
struct KeyReader<'a>(&'a str);

/// Implements methods that take a number, written as the key's text.
macro_rules! integers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.0.parse() {
                Ok(value) => super::visit_integer(visitor, value),
                Err(_) => Err(Fault::invalid_value(Unexpected::Str(self.0), &visitor)),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for KeyReader<'_> {
    type Error = Fault;

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_enum(serde::de::value::StrDeserializer::new(self.0))
    }

    forward_to_deserialize_any! {
        bool f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}
