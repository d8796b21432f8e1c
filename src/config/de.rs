//! A strict deserializer over a [`Tree`]: nothing is converted silently, and every error knows its path.
//!
//! Strict means: `"true"` is no truth value and `"8"` no number, `8` is no string, a struct is read from a
//! map alone, and a key without a value is an error even where the key is optional, because `tls:` with its
//! lines commented out must not switch TLS off.

mod access;

use serde::de::{Deserializer, Error, Expected, Visitor};

use self::access::{Entries, Items, Variant};
use super::fault::Fault;
use super::node;
use super::path::{Path, Segment};
use super::tree::{Tree, path_to_tree};
use super::wording::{ListOf, MapOf, OneOf};

/// Reads one value of a tree.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) tree: &'a Tree,
    pub(super) trail: Trail<'a>,
}

/// The way down to a value, kept on the stack; a path is made of it only when one is needed.
#[derive(Clone, Copy)]
pub(super) enum Trail<'a> {
    Start(&'a Path),
    Key(&'a Trail<'a>, &'a str),
    Index(&'a Trail<'a>, usize),
}

impl Trail<'_> {
    pub(super) fn path(&self) -> Path {
        let mut segments = Vec::new();
        let mut here = *self;
        loop {
            match here {
                Self::Start(path) => {
                    segments.reverse();
                    return path.join(&segments.into());
                }
                Self::Key(parent, key) => {
                    segments.push(Segment::Key(key.to_owned()));
                    here = *parent;
                }
                Self::Index(parent, index) => {
                    segments.push(Segment::Index(index));
                    here = *parent;
                }
            }
        }
    }
}

impl Reader<'_> {
    fn wrong_type(&self, expected: &dyn Expected) -> Fault {
        Fault::invalid_type(self.tree.unexpected(), expected)
    }

    /// Hands a visitor of [`node::Node`] the value as it is and its path, as the two items of a list.
    fn visit_node<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let parts = Tree::List(vec![(0, path_to_tree(&self.trail.path())), (1, self.tree.clone())]);
        Reader { tree: &parts, trail: self.trail }.deserialize_seq(visitor)
    }
}

/// Implements methods that take a number of some width; the visitor checks its range.
macro_rules! integers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.tree {
                Tree::Integer(value) => visit_integer(visitor, *value),
                _ => Err(self.wrong_type(&visitor)),
            }
        })*
    };
}

/// Implements methods that take text.
macro_rules! texts {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.tree {
                Tree::Text(text) => visitor.visit_str(text),
                _ => Err(self.wrong_type(&visitor)),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Fault;

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    texts! {
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf
        deserialize_identifier
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.tree {
            Tree::Null => visitor.visit_unit(),
            Tree::Bool(value) => visitor.visit_bool(*value),
            Tree::Integer(value) => visit_integer(visitor, *value),
            Tree::Float(value) => visitor.visit_f64(*value),
            Tree::Text(text) => visitor.visit_str(text),
            Tree::List(_) => self.deserialize_seq(visitor),
            Tree::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.tree {
            Tree::Bool(value) => visitor.visit_bool(*value),
            _ => Err(self.wrong_type(&visitor)),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.tree {
            Tree::Float(value) => visitor.visit_f64(*value),
            Tree::Integer(value) => visit_integer(visitor, *value),
            _ => Err(self.wrong_type(&visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.tree {
            Tree::Null => Err(Fault::of_type("no value: give the key one, or remove the key")),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.tree {
            Tree::Null => visitor.visit_unit(),
            _ => Err(self.wrong_type(&visitor)),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match name {
            node::HANDED_OVER => self.visit_node(visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let Tree::List(items) = self.tree else { return Err(self.wrong_type(&visitor)) };
        visitor.visit_seq(Items::new(items, &self.trail))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Fault> {
        match self.tree {
            Tree::List(items) if items.len() == length => visitor.visit_seq(Items::new(items, &self.trail)),
            Tree::List(items) => Err(Fault::invalid_length(items.len(), &ListOf(length))),
            _ => Err(self.wrong_type(&ListOf(length))),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.tree {
            Tree::Map(entries) => visitor.visit_map(Entries::new(entries, &self.trail)),
            _ => Err(self.wrong_type(&visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.tree {
            Tree::Map(entries) => visitor.visit_map(Entries::new(entries, &self.trail)),
            _ => Err(self.wrong_type(&MapOf(keys))),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.tree {
            Tree::Text(name) => visitor.visit_enum(Variant { name, content: None, trail: &self.trail }),
            Tree::Map(entries) => match entries.as_slice() {
                [(name, content)] => {
                    visitor.visit_enum(Variant { name, content: Some(content), trail: &self.trail })
                }
                entries => Err(Fault::custom(format_args!(
                    "expected exactly {}, found {} keys",
                    OneOf(names),
                    entries.len()
                ))),
            },
            _ => Err(self.wrong_type(&OneOf(names).to_string().as_str())),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }
}

/// Gives a visitor the narrowest of the types that serde's own visitors know.
fn visit_integer<'de, V: Visitor<'de>>(visitor: V, value: i128) -> Result<V::Value, Fault> {
    match (u64::try_from(value), i64::try_from(value)) {
        (Ok(value), _) => visitor.visit_u64(value),
        (_, Ok(value)) => visitor.visit_i64(value),
        _ => visitor.visit_i128(value),
    }
}

#[cfg(test)]
mod tests;
