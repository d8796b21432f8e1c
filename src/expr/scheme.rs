//! The fields an expression may name: their types, from when on they are known, and what they mean.

use std::fmt;

use crate::values::nearest::nearest;

/// The kind of a single value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Bool,
    /// A whole number of 64 bits.
    Int,
    /// A string of bytes.
    Bytes,
    /// An IPv4 or IPv6 address. An IPv4-mapped IPv6 address is the IPv4 address it maps.
    Ip,
    /// A JSON value, whose kind is known at evaluation only. It compares with its own kind; anything else is missing,
    /// as are `null` and numbers that are no whole number of 64 bits.
    Json,
}

impl Kind {
    /// As it follows "is" in a message.
    pub(super) const fn one(self) -> &'static str {
        match self {
            Self::Bool => "a boolean",
            Self::Int => "a number",
            Self::Bytes => "a string",
            Self::Ip => "an IP address",
            Self::Json => "a JSON value",
        }
    }

    /// As it follows "an array of" in a message.
    pub(super) const fn many(self) -> &'static str {
        match self {
            Self::Bool => "booleans",
            Self::Int => "numbers",
            Self::Bytes => "strings",
            Self::Ip => "IP addresses",
            Self::Json => "JSON values",
        }
    }

    /// Whether values of both kinds can be compared. JSON knows no addresses.
    pub(super) const fn meets(self, other: Self) -> bool {
        match (self, other) {
            (Self::Json, Self::Ip) | (Self::Ip, Self::Json) => false,
            (Self::Json, _) | (_, Self::Json) => true,
            _ => self as u8 == other as u8,
        }
    }
}

impl fmt::Display for Kind {
    /// As Cloudflare's documentation names it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Bool => "Boolean",
            Self::Int => "Integer",
            Self::Bytes => "String",
            Self::Ip => "IP address",
            Self::Json => "JSON",
        })
    }
}

/// How the keys of a map are compared and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// As they are, in brackets: `http.request.uri.args["page"]`.
    Exact,
    /// Without regard to case, in brackets: `http.request.headers["X-Env"]`. [`Values`](super::Values) is asked for
    /// keys in lower case.
    Folded,
    /// As they are, in brackets or behind a dot: `path["order"]`, `path.order`.
    Dotted,
}

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A single value.
    One(Kind),
    /// Values in an order.
    Array(Kind),
    /// Values by keys.
    Map(Keys, Kind),
    /// Arrays of values by keys.
    ArrayMap(Keys, Kind),
}

impl fmt::Display for Type {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(kind) => kind.fmt(formatter),
            Self::Array(kind) => write!(formatter, "Array<{kind}>"),
            Self::Map(_, kind) => write!(formatter, "Map<{kind}>"),
            Self::ArrayMap(_, kind) => write!(formatter, "Map<Array<{kind}>>"),
        }
    }
}

/// When an expression is evaluated; and of a field, from when on it is known. Later phases know what earlier ones do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The head of a request is there, and nothing else.
    RequestHead,
    /// The head of the response is there.
    Response,
}

impl fmt::Display for Phase {
    /// As it follows "known" in a message.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::RequestHead => "with the head of a request",
            Self::Response => "with the response",
        })
    }
}

/// A field that expressions may name.
#[derive(Debug, Clone, Copy)]
pub struct Field<F> {
    /// By what [`Values`](super::Values) is asked for it: best a field-less enum, so that a `match` covers all.
    pub id: F,
    /// Words of lower-case letters, digits and `_`, with dots between.
    pub name: &'static str,
    /// What it holds.
    pub ty: Type,
    /// From when on.
    pub known: Phase,
    /// One sentence for the reference.
    pub doc: &'static str,
}

/// A table of fields, each with a name of its own.
#[derive(Debug, Clone, Copy)]
pub struct Scheme<F: 'static> {
    fields: &'static [Field<F>],
}

impl<F> Scheme<F> {
    /// The scheme of these fields. The first one of a name counts.
    pub const fn new(fields: &'static [Field<F>]) -> Self {
        Self { fields }
    }

    /// All fields, in the order given: for a reference.
    pub const fn fields(&self) -> &'static [Field<F>] {
        self.fields
    }

    pub(super) fn find(&self, name: &str) -> Option<&'static Field<F>> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Whether a name is neither a field's, nor near one, nor made like one: a text without its quotes, most likely.
    pub(super) fn is_far_from(&self, name: &str) -> bool {
        !name.contains('.') && self.find(name).is_none() && self.nearest(name).is_none()
    }

    pub(super) fn nearest(&self, name: &str) -> Option<&'static str> {
        nearest(name, self.fields.iter().map(|field| field.name))
    }
}
