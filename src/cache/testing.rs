//! Heads as text and times as numbers, for tests.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::freshness::Received;

/// When tests take place: Sun, 06 Nov 1994 08:49:37 GMT.
pub fn at(seconds: i64) -> SystemTime {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let offset = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { start - offset } else { start + offset }
}

/// `at(seconds)` as fields have it.
pub fn http_date(seconds: i64) -> String {
    httpdate::fmt_http_date(at(seconds))
}

/// Fields from lines such as `etag: "a"`; blank lines count for nothing.
pub fn fields(lines: &str) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        let (name, value) = line.trim_start().split_once(':').expect("a field has a colon");
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        fields.append(name, HeaderValue::from_str(value.trim()).expect("a value"));
    }
    fields
}

/// A response that came in no time at `at(0)`.
pub fn received(status: u16, headers: &HeaderMap) -> Received<'_> {
    let status = StatusCode::from_u16(status).expect("a status");
    Received { status, headers, requested_at: at(0), received_at: at(0) }
}
