//! `Content-Length` (RFC 9110 §8.6), and other fields that are a number.

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue};

use crate::values::digits::{Buffer, decimal};

/// What a head says of its body's length in bytes; `None` if it says nothing, or nothing that is a number.
#[must_use]
pub fn read(fields: &HeaderMap) -> Option<u64> {
    fields.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A number as a field's value, with one allocation where `HeaderValue::from` has two.
#[must_use]
pub fn value(number: u64) -> HeaderValue {
    // Digits can always stand in a field.
    HeaderValue::from_bytes(decimal(number, 1, &mut Buffer::default()))
        .unwrap_or(HeaderValue::from_static("0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let mut fields = HeaderMap::new();
        assert_eq!(read(&fields), None);
        for number in [0, 7, 1024, u64::MAX] {
            fields.insert(CONTENT_LENGTH, value(number));
            assert_eq!(
                (read(&fields), &fields[CONTENT_LENGTH]),
                (Some(number), &number.to_string().parse().unwrap())
            );
        }
        fields.insert(CONTENT_LENGTH, HeaderValue::from_static("many"));
        assert_eq!(read(&fields), None);
    }
}
