//! What a cache tells its parents, which stand between it and the origin: that it is a child, so that they ask no parents
//! themselves; under what it keeps the response, so that they mix nothing that it tells apart; by which scheme it was asked,
//! so that a URL is the same in all of them; and which purges it knows of, so that it does not get back what it purged.
//!
//! What always holds: nobody but a trusted hop says so (the entrance sees to that), and it goes no further than to the parent.

use std::fmt::Write;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::fleet::Position;
use super::key::Key;

/// The field in which it is told: `KEY;SCHEME`, or `KEY;SCHEME;POSITION`.
pub const EDGEWARD_CHILD: HeaderName = HeaderName::from_static("edgeward-child");

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child {
    pub key: Key,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The last purge that it knows of.
    pub purged: Option<Position>,
}

impl Child {
    /// What a request says; `None` if that is nothing, or nothing good.
    #[must_use]
    pub fn read(request: &HeaderMap) -> Option<Self> {
        let mut lines = request.get_all(EDGEWARD_CHILD).iter();
        let (line, None) = (lines.next()?, lines.next()) else { return None };
        let mut parts = line.to_str().ok()?.split(';');
        let key = Key::from_bytes(bytes(parts.next()?)?);
        let scheme = match parts.next()? {
            "https" => "https",
            "http" => "http",
            _ => return None,
        };
        let purged = parts.next().map(|position| position.parse().ok());
        if parts.next().is_some() || purged == Some(None) {
            return None;
        }
        Some(Self { key, scheme, purged: purged.flatten() })
    }

    /// How a request says it.
    #[must_use]
    pub fn to_value(&self) -> HeaderValue {
        let mut text = String::with_capacity(100);
        for byte in self.key.as_bytes() {
            // Writing to a text cannot fail.
            _ = write!(text, "{byte:02x}");
        }
        _ = write!(text, ";{}", self.scheme);
        if let Some(position) = self.purged {
            _ = write!(text, ";{position}");
        }
        HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

fn bytes(text: &str) -> Option<[u8; 32]> {
    let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2).filter(|_| is_hex)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::testing::fields;

    fn read(value: &str) -> Option<Child> {
        Child::read(&fields(&format!("edgeward-child: {value}")))
    }

    #[test]
    fn a_child_is_read_as_it_is_written() {
        for purged in [None, Some("1700000000000-7".parse().unwrap())] {
            let child = Child { key: Key::from_bytes([0xa7; 32]), scheme: "https", purged };
            let value = child.to_value();
            assert_eq!(read(value.to_str().unwrap()), Some(child));
        }
    }

    #[test]
    fn what_is_not_all_of_it_is_nothing() {
        let key = "0f".repeat(32);
        assert!(read(&format!("{key};http")).is_some());
        for wrong in [
            String::new(),
            key.clone(),
            format!("{key};"),
            format!("{key};ftp"),
            format!("{key}0;http"),
            format!("{};http", &key[1..]),
            format!("+{};http", &key[1..]),
            format!("{key};http;"),
            format!("{key};http;7"),
            format!("{key};http;7-0;"),
        ] {
            assert_eq!(read(&wrong), None, "{wrong}");
        }
        let twice = fields(&format!("edgeward-child: {key};http\nedgeward-child: {key};http"));
        assert_eq!((Child::read(&twice), Child::read(&fields("a: b"))), (None, None));
    }
}
