//! Error statuses as a policy names them: one (`404`) or a class (`5xx`).

use std::borrow::Cow;
use std::fmt;

use http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::values::text::quoted;

/// One error status, or a class of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Statuses {
    /// 400 to 599.
    One(u16),
    /// 4 for `4xx`, 5 for `5xx`.
    Class(u16),
}

impl Statuses {
    /// Whether the status is one of them.
    #[must_use]
    pub fn contain(self, status: StatusCode) -> bool {
        match self {
            Self::One(code) => status.as_u16() == code,
            Self::Class(class) => status.as_u16() / 100 == class,
        }
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(code) => write!(formatter, "{code}"),
            Self::Class(class) => write!(formatter, "{class}xx"),
        }
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StatusesVisitor)
    }
}

struct StatusesVisitor;

const EXPECTED: &str = "an error status such as 404, or a class, 4xx or 5xx";

impl Visitor<'_> for StatusesVisitor {
    type Value = Statuses;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(EXPECTED)
    }

    fn visit_u64<E: Error>(self, code: u64) -> Result<Statuses, E> {
        match u16::try_from(code) {
            Ok(code @ 400..=599) => Ok(Statuses::One(code)),
            _ => Err(E::custom(format_args!("expected {EXPECTED}, found {code}"))),
        }
    }

    fn visit_i64<E: Error>(self, code: i64) -> Result<Statuses, E> {
        let refused = |_| E::custom(format_args!("expected {EXPECTED}, found {code}"));
        u64::try_from(code).map_err(refused).and_then(|code| self.visit_u64(code))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Statuses, E> {
        match text {
            "4xx" => Ok(Statuses::Class(4)),
            "5xx" => Ok(Statuses::Class(5)),
            _ => match text.parse() {
                Ok(code @ 400..=599) if text.len() == 3 => Ok(Statuses::One(code)),
                _ => Err(E::custom(format_args!("expected {EXPECTED}, found {}", quoted(text)))),
            },
        }
    }
}

impl JsonSchema for Statuses {
    fn schema_name() -> Cow<'static, str> {
        "Statuses".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": EXPECTED,
            "anyOf": [
                { "type": "integer", "minimum": 400, "maximum": 599 },
                { "type": "string", "pattern": "^[45](xx|[0-9][0-9])$" },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: Value) -> Result<Statuses, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_statuses_and_classes() {
        assert_eq!(read(json!(404)), Ok(Statuses::One(404)));
        assert_eq!(read(json!("404")), Ok(Statuses::One(404)));
        assert_eq!(read(json!("4xx")), Ok(Statuses::Class(4)));
        assert_eq!(read(json!("5xx")), Ok(Statuses::Class(5)));
    }

    #[test]
    fn refuses_what_is_no_error() {
        for value in [
            json!(200),
            json!(600),
            json!(-404),
            json!("399"),
            json!("+404"),
            json!("3xx"),
            json!("5XX"),
            json!(""),
        ] {
            assert!(read(value.clone()).unwrap_err().starts_with("expected an error status"), "{value}");
        }
        assert!(read(json!(true)).is_err());
    }

    #[test]
    fn a_class_contains_its_statuses() {
        assert!(Statuses::Class(5).contain(StatusCode::BAD_GATEWAY));
        assert!(!Statuses::Class(5).contain(StatusCode::NOT_FOUND));
        assert!(Statuses::One(404).contain(StatusCode::NOT_FOUND));
        assert!(!Statuses::One(404).contain(StatusCode::GONE));
    }

    #[test]
    fn prints_what_is_read() {
        assert_eq!(Statuses::One(404).to_string(), "404");
        assert_eq!(Statuses::Class(5).to_string(), "5xx");
    }
}
