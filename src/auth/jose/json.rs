//! JSON objects from strangers (RFC 8259): no member twice at any level, because two readers would take different ones;
//! no deeper than any real token; numbers that are numbers; valid UTF-8, and no half of a surrogate pair.

use std::cell::Cell;
use std::fmt;

use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Levels of objects and arrays, the outermost included.
const MAX_DEPTH: u8 = 16;

/// Why bytes are not such an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::auth) enum JsonFault {
    /// Not JSON, or not an object.
    Malformed,
    /// A member occurs twice in one object.
    Duplicate,
    /// Nested too deeply.
    TooDeep,
}

/// Reads one object, which must be all there is.
pub(in crate::auth) fn object(bytes: &[u8]) -> Result<Map<String, Value>, JsonFault> {
    let fault = Cell::new(JsonFault::Malformed);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let strict = Strict { levels_left: MAX_DEPTH, fault: &fault };
    match strict.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value)) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(JsonFault::Malformed),
        Err(_) => Err(fault.get()),
    }
}

/// Builds a value, and notes a fault that is not one of syntax.
#[derive(Clone, Copy)]
struct Strict<'a> {
    levels_left: u8,
    fault: &'a Cell<JsonFault>,
}

impl Strict<'_> {
    fn deserialize<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn deeper<E: Error>(self) -> Result<Self, E> {
        match self.levels_left.checked_sub(1) {
            Some(levels_left) => Ok(Self { levels_left, ..self }),
            None => Err(self.fail(JsonFault::TooDeep)),
        }
    }

    fn fail<E: Error>(self, fault: JsonFault) -> E {
        self.fault.set(fault);
        E::custom("refused")
    }
}

impl<'de> serde::de::DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Self::deserialize(self, deserializer)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(value) = access.next_element_seed(inner)? {
            list.push(value);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut map = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            if map.contains_key(&name) {
                return Err(self.fail(JsonFault::Duplicate));
            }
            let value = access.next_value_seed(inner)?;
            map.insert(name, value);
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Value, JsonFault> {
        object(text.as_bytes()).map(Value::Object)
    }

    #[test]
    fn reads_what_the_common_reader_reads() {
        let text =
            r#" {"a":[1,-2,0.5,true,null,{"b":"\ud83d\ude00\u00e9"}],"":{},"c":18446744073709551615} "#;
        assert_eq!(read(text), Ok(serde_json::from_str(text).unwrap()));
    }

    #[test]
    fn refuses_a_member_that_occurs_twice_at_any_level() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":[{"b":1,"c":2,"b":3}]}"#,
        ] {
            assert_eq!(read(text), Err(JsonFault::Duplicate), "{text}");
        }
        assert!(read(r#"{"a":{"a":{"a":1}},"b":{"a":1}}"#).is_ok());
    }

    #[test]
    fn refuses_what_is_nested_too_deeply() {
        let nested =
            |levels: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert!(read(&nested(16)).is_ok());
        assert_eq!(read(&nested(17)), Err(JsonFault::TooDeep));
        assert_eq!(read(&nested(100_000)), Err(JsonFault::TooDeep));
        assert_eq!(read(&"{\"a\":".repeat(100_000)), Err(JsonFault::TooDeep));
    }

    #[test]
    fn refuses_what_is_not_one_object_in_utf_8() {
        for text in [
            "",
            "null",
            "[]",
            "\"a\"",
            "1",
            "{",
            "{}{}",
            "{} x",
            "{\"a\":1,}",
            "{'a':1}",
            "{a:1}",
            "{\"a\":NaN}",
            "{\"a\":1e400}",
            "{\"a\":-1e400}",
            "{\"a\":01}",
            "{\"a\":+1}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\\udc00\\ud800\"}",
            "\u{feff}{}",
            "{\"a\":1}\0",
        ] {
            assert_eq!(read(text), Err(JsonFault::Malformed), "{text:?}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}"), Err(JsonFault::Malformed));
        assert_eq!(object(b"{\"a\xc0\xaf\":1}"), Err(JsonFault::Malformed));
    }
}
