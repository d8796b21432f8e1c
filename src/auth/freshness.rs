//! How long an answer says that it may be used (RFC 9111 §4.2), read by a cache of one user.

use std::time::Duration;

use http::{HeaderMap, HeaderName, header};

use crate::http::fields::list;

/// How much longer the answer is fresh; `None` where it does not say. Zero where it must not be kept, or says
/// something that nobody understands (RFC 9111 §4.2.1, §5.3).
pub(super) fn lifetime(headers: &HeaderMap) -> Option<Duration> {
    let whole = by_cache_control(headers).or_else(|| by_expires(headers))?;
    let age = headers.get(header::AGE).and_then(|age| seconds(age.as_bytes())).unwrap_or_default();
    Some(whole.saturating_sub(age))
}

fn by_cache_control(headers: &HeaderMap) -> Option<Duration> {
    let mut lifetime = None;
    for directive in headers.get_all(header::CACHE_CONTROL).iter().flat_map(|value| list(value.as_bytes())) {
        let (name, value) = match directive.iter().position(|byte| *byte == b'=') {
            Some(at) => (directive.get(..at)?, directive.get(at + 1..)),
            None => (directive, None),
        };
        if name.eq_ignore_ascii_case(b"no-store") || name.eq_ignore_ascii_case(b"no-cache") {
            return Some(Duration::ZERO);
        }
        if name.eq_ignore_ascii_case(b"max-age") {
            let said = value.and_then(|value| seconds(unquoted(value))).unwrap_or_default();
            // Of two, the shorter.
            lifetime = Some(lifetime.map_or(said, |known: Duration| known.min(said)));
        }
    }
    lifetime
}

fn by_expires(headers: &HeaderMap) -> Option<Duration> {
    headers.get(header::EXPIRES)?;
    let time = |name: HeaderName| httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok();
    let (Some(expires), Some(date)) = (time(header::EXPIRES), time(header::DATE)) else {
        return Some(Duration::ZERO);
    };
    Some(expires.duration_since(date).unwrap_or_default())
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}

/// Digits alone; more of them than fit mean for ever (RFC 9111 §1.2.2).
fn seconds(digits: &[u8]) -> Option<Duration> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let text = std::str::from_utf8(digits).ok()?;
    Some(Duration::from_secs(text.parse::<u32>().unwrap_or(u32::MAX).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifetime_of(fields: &[(&'static str, &'static str)]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        lifetime(&headers).map(|lifetime| lifetime.as_secs())
    }

    #[test]
    fn takes_what_cache_control_says_less_the_age() {
        assert_eq!(lifetime_of(&[]), None);
        assert_eq!(lifetime_of(&[("cache-control", "public, Max-Age=300, must-revalidate")]), Some(300));
        assert_eq!(lifetime_of(&[("cache-control", "max-age=\"60\"")]), Some(60));
        assert_eq!(lifetime_of(&[("cache-control", "max-age=300"), ("age", "100")]), Some(200));
        assert_eq!(lifetime_of(&[("cache-control", "max-age=300"), ("age", "400")]), Some(0));
        assert_eq!(lifetime_of(&[("cache-control", "max-age=300"), ("age", "soon")]), Some(300));
        assert_eq!(lifetime_of(&[("cache-control", "max-age=99999999999")]), Some(u64::from(u32::MAX)));
        assert_eq!(lifetime_of(&[("cache-control", "public"), ("cache-control", "max-age=9")]), Some(9));
        assert_eq!(lifetime_of(&[("cache-control", "max-age=9, max-age=5")]), Some(5));
    }

    #[test]
    fn what_must_not_be_kept_or_is_not_understood_is_fresh_for_no_time() {
        assert_eq!(lifetime_of(&[("cache-control", "max-age=300, no-store")]), Some(0));
        assert_eq!(lifetime_of(&[("cache-control", "no-cache")]), Some(0));
        assert_eq!(lifetime_of(&[("cache-control", "max-age=-5")]), Some(0));
        assert_eq!(lifetime_of(&[("cache-control", "max-age")]), Some(0));
        assert_eq!(lifetime_of(&[("expires", "0")]), Some(0));
        assert_eq!(
            lifetime_of(&[("expires", "Sun, 06 Nov 1994 08:49:37 GMT")]),
            Some(0),
            "no date to compare"
        );
    }

    #[test]
    fn expires_counts_from_the_servers_own_date_where_there_is_no_max_age() {
        let (date, later) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 09:49:37 GMT");
        assert_eq!(lifetime_of(&[("date", date), ("expires", later)]), Some(3600));
        assert_eq!(lifetime_of(&[("date", later), ("expires", date)]), Some(0));
        assert_eq!(
            lifetime_of(&[("date", date), ("expires", later), ("cache-control", "max-age=5")]),
            Some(5)
        );
    }
}
