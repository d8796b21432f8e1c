//! One parameter of a query, as a signature covers it (RFC 9421 §2.2.8).
//!
//! Names and values are read as HTML forms write them and encoded anew, so that `+`, `%20` and a needless `%61` are one
//! spelling. A name that occurs twice is refused, in whatever spelling: servers differ in which one they take.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

use super::Refusal;

/// What is not left as it is (WHATWG URL, application/x-www-form-urlencoded percent-encode set).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');

/// The value of the parameter whose encoded name is `name`, encoded.
///
/// # Errors
/// When there is none or more than one of that name, or when its value is not UTF-8.
pub fn parameter(query: &str, name: &str) -> Result<String, Refusal> {
    let mut found = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if encode(key).is_none_or(|key| key != name) {
            continue;
        }
        if found.is_some() {
            return Err(Refusal::MalformedComponent);
        }
        found = Some(encode(value).ok_or(Refusal::MalformedComponent)?);
    }
    found.ok_or(Refusal::AbsentComponent)
}

/// `None` if it is not UTF-8: decoders put the same character for all that they cannot read, and so a signature over
/// one such value would do for another.
fn encode(text: &str) -> Option<String> {
    let spaced: Cow<'_, str> = if text.contains('+') { text.replace('+', " ").into() } else { text.into() };
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8().ok()?;
    Some(utf8_percent_encode(&decoded, ENCODED).collect())
}
