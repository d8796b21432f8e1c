//! `application/x-www-form-urlencoded` (RFC 6749 appendix B): what we send to an issuer, and what it sends back by a
//! browser, whoever made it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::http::query;

/// All but unreserved characters (RFC 3986 §2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One value, encoded.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// `a=1&b=2`.
pub(super) fn encode<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs = pairs.into_iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// The one value of a name. `Err` where there are several, or it is not UTF-8.
pub(super) fn only(query: &str, name: &str) -> Result<Option<String>, ()> {
    let mut values = query::values(query, name);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(());
    }
    let spaced = value.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().map(|text| Some(text.into_owned())).map_err(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let odd = "a&b=c+d e%20/?:#\u{e9}~._-";
        let text = encode([("first", "1"), ("odd", odd), ("last", "")]);
        assert!(text.is_ascii() && text.matches('&').count() == 2);
        assert_eq!(only(&text, "odd"), Ok(Some(odd.to_owned())));
        assert_eq!(only(&text, "last"), Ok(Some(String::new())));
        assert_eq!(only(&text, "none"), Ok(None));
        assert_eq!(only("a=b+c", "a"), Ok(Some("b c".to_owned())));
    }

    #[test]
    fn a_name_that_is_there_twice_or_is_no_text_is_an_error() {
        assert_eq!(only("a=1&b=2&a=1", "a"), Err(()));
        assert_eq!(only("a=1&a", "a"), Err(()));
        assert_eq!(only("a=1&%61=2", "a"), Err(()));
        assert_eq!(only("a=%ff", "a"), Err(()));
        assert_eq!(only("a=%c0%af", "a"), Err(()));
    }
}
