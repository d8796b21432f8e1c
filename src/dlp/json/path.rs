//! Which fields, by their paths.

use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error as _};
use thiserror::Error;

use super::{DEEPEST, Fate};
use crate::values::text::quoted;

/// Longest name in a path, in bytes.
const LONGEST: usize = 256;
/// Paths of one set of rules.
const MOST: usize = 64;

/// The way to a value, such as `/items/*/cost`: names from the outside in, as in a JSON pointer (RFC 6901) with `~1` for a
/// slash and `~0` for a tilde, and `*` for any name and for every member of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Box<[Segment]>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Any,
    Name(Box<str>),
}

/// Why a text is no path.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected a path such as /user/email or /items/*/cost, found {}", quoted(.0))]
pub struct NotAPath(String);

/// More than 64 paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("at most 64 paths, all lists together")]
pub struct TooMany;

impl FromStr for Path {
    type Err = NotAPath;

    fn from_str(text: &str) -> Result<Self, NotAPath> {
        let refused = || NotAPath(text.to_owned());
        let names = text.strip_prefix('/').ok_or_else(refused)?;
        let segment = |name: &str| {
            let tildes = name.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
            let good = !name.is_empty() && name.len() <= LONGEST && tildes;
            good.then(|| match name {
                "*" => Segment::Any,
                name => Segment::Name(name.replace("~1", "/").replace("~0", "~").into()),
            })
        };
        let segments: Box<[Segment]> =
            names.split('/').map(segment).collect::<Option<_>>().ok_or_else(refused)?;
        if segments.len() < DEEPEST { Ok(Self(segments)) } else { Err(refused()) }
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Path {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "JsonPath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(/[^/]+)+$",
            "description": "a path into JSON such as /user/email or /items/*/cost",
        })
    }
}

/// What becomes of which fields. A field that several rules are about is removed if one says so, else masked.
#[derive(Debug, Clone)]
pub struct Rules {
    paths: Box<[Path]>,
    /// The rules of each kind, as bits.
    mask: u64,
    remove: u64,
    allow: u64,
}

impl Rules {
    /// Masks and removes these; if `allow` has any, removes everything that is not on the way to one of them or in one.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn new(mask: Vec<Path>, remove: Vec<Path>, allow: Vec<Path>) -> Result<Self, TooMany> {
        let counts = [mask.len(), remove.len(), allow.len()];
        let paths: Box<[Path]> = mask.into_iter().chain(remove).chain(allow).collect();
        if paths.len() > MOST {
            return Err(TooMany);
        }
        let bits = |from: usize, count: usize| (from..from + count).fold(0, |bits, at| bits | 1_u64 << at);
        let [mask, remove, allow] = counts;
        Ok(Self { paths, mask: bits(0, mask), remove: bits(mask, remove), allow: bits(mask + remove, allow) })
    }

    /// Whether there is no rule.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Whether something may be removed, so that the length changes.
    #[must_use]
    pub const fn removes(&self) -> bool {
        self.remove | self.allow != 0
    }

    /// Whether all is removed that is not allowed.
    #[must_use]
    pub const fn is_allow_list(&self) -> bool {
        self.allow != 0
    }

    /// What becomes of a document. One that is a single value and allowed by no path is masked, for something has to stay.
    pub(super) const fn root(&self, container: bool) -> Fate {
        let open = self.allow == 0;
        Fate { live: u64::MAX, open, masked: !open && !container, removed: false }
    }

    /// What becomes of a value so many containers deep: the member of an object by this name, or of a list.
    pub(super) fn below(&self, above: Fate, depth: usize, name: Option<&str>, container: bool) -> Fate {
        let (mut live, mut ends) = (0, 0);
        if above.live != 0 {
            for (index, Path(segments)) in self.paths.iter().enumerate() {
                let bit = 1 << index;
                let leads_here = above.live & bit != 0
                    && match segments.get(depth - 1) {
                        Some(Segment::Any) => true,
                        Some(Segment::Name(wanted)) => name == Some(&**wanted),
                        None => false,
                    };
                live |= if leads_here { bit } else { 0 };
                ends |= if leads_here && segments.len() == depth { bit } else { 0 };
            }
        }
        let open = above.open || ends & self.allow != 0;
        let on_the_way = container && live & !ends & self.allow != 0;
        Fate {
            live,
            open,
            masked: above.masked || ends & self.mask != 0,
            removed: ends & self.remove != 0 || !(open || on_the_way),
        }
    }
}
