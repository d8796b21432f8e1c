//! Media ranges as a policy names them (`application/json`, `text/*`, `application/*+json`), compared with what a
//! `Content-Type` header says. Case never counts, and neither do parameters such as `charset`.

use std::borrow::Cow;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error};

use crate::http::media_type::essence;
use crate::values::text::quoted;

/// A set of media types (RFC 9110 section 12.5.1, and `type/*+suffix` for RFC 6839).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaRange {
    kind: Box<str>,
    subtype: Subtype,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Subtype {
    Any,
    Is(Box<str>),
    EndsIn(Box<str>),
}

/// Why a text is no media range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a media type such as application/json, text/* or application/*+json, found {}", quoted(.0))]
pub struct NotAMediaRange(String);

impl MediaRange {
    /// Whether the value of a `Content-Type` header is in the set.
    #[must_use]
    pub fn contains(&self, content_type: &str) -> bool {
        let Some((kind, subtype)) = essence(content_type).split_once('/') else { return false };
        kind.eq_ignore_ascii_case(&self.kind)
            && match &self.subtype {
                Subtype::Any => true,
                Subtype::Is(name) => subtype.eq_ignore_ascii_case(name),
                Subtype::EndsIn(suffix) => {
                    subtype.rsplit_once('+').is_some_and(|(_, end)| end.eq_ignore_ascii_case(suffix))
                }
            }
    }

    /// Whether it names this one media type, not a set that happens to contain it.
    #[must_use]
    pub fn names(&self, media_type: &str) -> bool {
        matches!(self.subtype, Subtype::Is(_)) && self.contains(media_type)
    }
}

impl FromStr for MediaRange {
    type Err = NotAMediaRange;

    fn from_str(text: &str) -> Result<Self, NotAMediaRange> {
        let refused = || NotAMediaRange(text.to_owned());
        let (kind, subtype) = text.split_once('/').ok_or_else(refused)?;
        let (name, subtype) = match (subtype, subtype.strip_prefix("*+")) {
            ("*", _) => (None, Subtype::Any),
            (_, Some(suffix)) => (Some(suffix), Subtype::EndsIn(suffix.into())),
            (name, None) => (Some(name), Subtype::Is(name.into())),
        };
        let well_formed = is_name(kind) && name.is_none_or(is_name);
        well_formed.then(|| Self { kind: kind.into(), subtype }).ok_or_else(refused)
    }
}

/// RFC 6838 section 4.2.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 127
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
}

impl<'de> Deserialize<'de> for MediaRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for MediaRange {
    fn schema_name() -> Cow<'static, str> {
        "MediaRange".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^[^/*;\s]+/(\*|(\*\+)?[^/*;\s]+)$",
            "description": "a media type such as application/json, text/* or application/*+json",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> MediaRange {
        text.parse().unwrap()
    }

    #[test]
    fn compares_without_case_and_parameters() {
        assert!(range("application/json").contains("Application/JSON ; charset=utf-8"));
        assert!(range("APPLICATION/JSON").contains("application/json"));
        assert!(!range("application/json").contains("application/json5"));
        assert!(!range("application/json").contains("text/json"));
        assert!(!range("application/json").contains("json"));
    }

    #[test]
    fn a_star_stands_for_any_subtype() {
        assert!(range("text/*").contains("text/plain"));
        assert!(!range("text/*").contains("texts/plain"));
        assert!(!range("text/*").contains("application/text"));
    }

    #[test]
    fn a_suffix_is_what_follows_the_last_plus() {
        assert!(range("application/*+json").contains("application/vnd.api+v2+json; a=b"));
        assert!(!range("application/*+json").contains("application/json"));
        assert!(!range("application/*+json").contains("application/x+jsonl"));
    }

    #[test]
    fn tells_a_name_from_a_set() {
        assert!(range("text/event-stream").names("text/event-stream"));
        assert!(!range("text/*").names("text/event-stream"));
    }

    #[test]
    fn refuses_what_is_no_media_range() {
        for text in ["json", "", "/json", "text/", "*/*", "text/*+", "text/a b", "text/html;q=1", "a/b/c"] {
            let message = text.parse::<MediaRange>().unwrap_err().to_string();
            assert!(message.starts_with("expected a media type such as"), "{text}: {message}");
        }
    }
}
