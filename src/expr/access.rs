//! How the engine gets at values: the trait its user implements, and the form in which values pass.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::ControlFlow;

use serde_json::Value as Json;

use super::json;
use super::scheme::Kind;

/// A single value, borrowed from whoever holds it wherever that can be.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar<'v> {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A string of bytes.
    Bytes(Cow<'v, [u8]>),
    /// An address.
    Ip(Address),
    /// Any JSON value.
    Json(&'v Json),
}

/// An IP address. An IPv4-mapped IPv6 address (`::ffff:a.b.c.d`, RFC 4291 §2.5.5.2) is the IPv4 address it maps.
///
/// Kept as whole words: with [`IpAddr`] and its odd bytes inside, moving a [`Scalar`] took as long as comparing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    high: u64,
    low: u64,
}

impl Address {
    /// The address, as IPv4 if it can be.
    pub const fn ip(self) -> IpAddr {
        let bits = (self.high as u128) << 64 | self.low as u128;
        Ipv6Addr::from_bits(bits).to_canonical()
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        let bits = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        };
        #[allow(clippy::cast_possible_truncation, reason = "the two halves")]
        Self { high: (bits >> 64) as u64, low: bits as u64 }
    }
}

/// What is done with each element of a list. A break ends the visit.
pub type Visit<'f, 'v> = dyn FnMut(Scalar<'v>) -> ControlFlow<()> + 'f;

/// The values of fields at one moment, e.g. of one request.
///
/// Nothing is asked for that the [`Scheme`](super::Scheme) does not declare, and a value of another kind than declared
/// is taken for a missing one. Implementations should borrow: the engine allocates nothing on its own behalf.
pub trait Values {
    /// By what fields are asked for: [`Field::id`](super::Field::id).
    type Field: Copy;

    /// The value of a field of [`Type::One`](super::Type::One). `None` if there is none.
    fn scalar(&self, field: Self::Field) -> Option<Scalar<'_>>;

    /// The entry of a field of [`Type::Map`](super::Type::Map). `None` if there is none of this key.
    fn entry(&self, field: Self::Field, key: &str) -> Option<Scalar<'_>>;

    /// Visits many values in their order, until all are seen or the visitor breaks off: without a key, the elements of a
    /// field of [`Type::Array`](super::Type::Array) or the values of one of [`Type::Map`](super::Type::Map); with a key,
    /// the elements of that array of a field of [`Type::ArrayMap`](super::Type::ArrayMap).
    ///
    /// `None`, and no visit, if the field is absent or has no such key; an array that is there and empty is `Some`.
    fn each<'v>(&'v self, field: Self::Field, key: Option<&str>, visit: &mut Visit<'_, 'v>) -> Option<()>;
}

impl Scalar<'_> {
    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Bool(_) => Kind::Bool,
            Self::Int(_) => Kind::Int,
            Self::Bytes(_) => Kind::Bytes,
            Self::Ip(_) => Kind::Ip,
            Self::Json(_) => Kind::Json,
        }
    }

    /// The same value, borrowed from this one.
    pub(super) fn borrowed(&self) -> Scalar<'_> {
        match self {
            Self::Bool(value) => Scalar::Bool(*value),
            Self::Int(value) => Scalar::Int(*value),
            Self::Bytes(value) => Scalar::Bytes(Cow::Borrowed(value)),
            Self::Ip(value) => Scalar::Ip(*value),
            Self::Json(value) => Scalar::Json(value),
        }
    }
}

impl<'v> Scalar<'v> {
    /// As `to_string()` writes it; `None` for JSON that is neither string, whole number nor boolean.
    pub fn into_text(self) -> Option<Cow<'v, [u8]>> {
        Some(match self {
            Self::Bytes(bytes) => bytes,
            Self::Bool(true) => Cow::Borrowed(b"true"),
            Self::Bool(false) => Cow::Borrowed(b"false"),
            Self::Int(number) => Cow::Owned(number.to_string().into_bytes()),
            Self::Ip(address) => Cow::Owned(address.ip().to_string().into_bytes()),
            Self::Json(value) => json::plain(value)?.into_text()?,
        })
    }
}

impl<'v> From<&'v [u8]> for Scalar<'v> {
    fn from(bytes: &'v [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

impl<'v> From<&'v str> for Scalar<'v> {
    fn from(text: &'v str) -> Self {
        Self::Bytes(Cow::Borrowed(text.as_bytes()))
    }
}

impl From<Vec<u8>> for Scalar<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Cow::Owned(bytes))
    }
}

impl From<bool> for Scalar<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Scalar<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<IpAddr> for Scalar<'_> {
    fn from(address: IpAddr) -> Self {
        Self::Ip(address.into())
    }
}

impl<'v> From<&'v Json> for Scalar<'v> {
    fn from(value: &'v Json) -> Self {
        Self::Json(value)
    }
}
