//! `application/x-www-form-urlencoded` (RFC 6749 appendix B), as we send it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but unreserved characters (RFC 3986 section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One value, encoded.
pub(in crate::auth) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// `a=1&b=2`.
pub(in crate::auth) fn encode<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs = pairs.into_iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_value_ends_it() {
        let text = encode([("token", "a&b=c+d e%\r\n\u{e9}~._-"), ("last", "")]);
        assert_eq!(text, "token=a%26b%3Dc%2Bd%20e%25%0D%0A%C3%A9~._-&last=");
    }
}
