//! `Cache-Status` (RFC 9211): what the cache did with a request, told to whoever reads the response, and `Age`.

use std::fmt::Write;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use crate::http::length;

/// The name of the field.
pub const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// How a request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handled {
    /// From the cache, without asking anyone.
    Hit,
    /// The origin was asked.
    Forwarded {
        why: Forward,
        /// The status that the origin answered with, where it is not the one the client gets.
        status: Option<u16>,
        /// Whether what it answered is stored now.
        stored: bool,
        /// Whether the question was another client's.
        collapsed: bool,
    },
}

/// Why a request was forwarded (RFC 9211 §2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forward {
    /// The cache was told to stay out of it.
    Bypass,
    /// The method is not answered from caches.
    Method,
    /// Nothing is stored for the key.
    UriMiss,
    /// Something is stored, but no variant that fits.
    VaryMiss,
    /// What is stored is fresh, and the client wants more.
    Request,
    /// What is stored is stale.
    Stale,
}

impl Forward {
    /// The word for `fwd`, and for metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Request => "request",
            Self::Stale => "stale",
        }
    }
}

/// What is told of one request.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    pub handled: Handled,
    /// Seconds that the response stays fresh; negative if it is stale.
    pub ttl: Option<i64>,
    /// The key, where clients may know it.
    pub key: Option<&'a str>,
    /// A word of ours, such as why a response is not stored: lower-case letters, digits and `_`.
    pub detail: Option<&'static str>,
}

impl Report<'_> {
    /// The member to append to `Cache-Status`, under the name of this cache. The field is a list in the order of the caches
    /// that a response passed, so ours goes last.
    #[must_use]
    pub fn to_value(&self, cache: &str) -> HeaderValue {
        let mut text = String::with_capacity(96);
        push_string(&mut text, cache);
        match self.handled {
            Handled::Hit => text.push_str("; hit"),
            Handled::Forwarded { why, status, stored, collapsed } => {
                text.push_str("; fwd=");
                text.push_str(why.word());
                if let Some(status) = status {
                    _ = write!(text, "; fwd-status={status}");
                }
                text.push_str(if stored { "; stored" } else { "" });
                text.push_str(if collapsed { "; collapsed" } else { "" });
            }
        }
        if let Some(ttl) = self.ttl {
            _ = write!(text, "; ttl={}", ttl.clamp(-MAX_INTEGER, MAX_INTEGER));
        }
        if let Some(key) = self.key {
            text.push_str("; key=");
            push_string(&mut text, key);
        }
        if let Some(detail) = self.detail {
            text.push_str("; detail=");
            text.push_str(detail);
        }
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("edgeward"))
    }
}

/// The largest integer of structured fields (RFC 9651 §3.3.1).
const MAX_INTEGER: i64 = 999_999_999_999_999;

/// A string of structured fields (RFC 9651 §3.3.3); what none may hold is left out.
fn push_string(text: &mut String, content: &str) {
    text.push('"');
    for byte in content.chars().filter(|byte| matches!(byte, ' '..='~')) {
        if matches!(byte, '"' | '\\') {
            text.push('\\');
        }
        text.push(byte);
    }
    text.push('"');
}

/// `Age` of a response that is so old (RFC 9111 §5.1), in whole seconds.
#[must_use]
pub fn age(age: Duration) -> HeaderValue {
    length::value(age.as_secs().min(u64::from(super::scalars::MAX_SECONDS)))
}

#[cfg(test)]
mod tests {
    use sfv::{FieldType, List, Parser};

    use super::*;

    const HIT: Report<'_> = Report { handled: Handled::Hit, ttl: Some(376), key: None, detail: None };

    fn forwarded(why: Forward) -> Handled {
        Handled::Forwarded { why, status: None, stored: false, collapsed: false }
    }

    #[test]
    fn tells_what_rfc_9211_has_words_for() {
        assert_eq!(HIT.to_value("edge"), r#""edge"; hit; ttl=376"#);
        let report = Report { handled: forwarded(Forward::UriMiss), ttl: None, ..HIT };
        assert_eq!(report.to_value("edge"), r#""edge"; fwd=uri-miss"#);
        let handled =
            Handled::Forwarded { why: Forward::Stale, status: Some(304), stored: true, collapsed: true };
        let report = Report { handled, ttl: Some(-3), key: Some("https://a/\"b"), detail: Some("private") };
        let told = report.to_value("edge");
        assert_eq!(
            told,
            r#""edge"; fwd=stale; fwd-status=304; stored; collapsed; ttl=-3; key="https://a/\"b"; detail=private"#
        );
    }

    #[test]
    fn is_a_structured_field_whatever_the_key() {
        for key in ["", "\\", "\"", "\u{e9}\n\u{0}", "https://a/?b=c;d, e"] {
            let value = Report { key: Some(key), ttl: Some(i64::MIN), ..HIT }.to_value("an \"edge\"\r\n");
            let parsed = List::parse(Parser::new(value.as_bytes())).unwrap();
            assert_eq!((parsed.len(), parsed.serialize().is_some()), (1, true), "{key:?}");
        }
    }

    #[test]
    fn age_is_in_whole_seconds_and_bounded() {
        assert_eq!(age(Duration::from_millis(1999)), "1");
        assert_eq!(age(Duration::MAX), "2147483648");
    }
}
