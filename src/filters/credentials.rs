//! What filters that ask for credentials have in common: challenges, and taking credentials out of a request.

use http::header::COOKIE;
use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};
use pingora::http::RequestHeader;

use super::header_edits::Head;
use crate::http::query;

/// `realm="…"` as a quoted string (RFC 9110 §5.6.4), for `WWW-Authenticate`.
///
/// # Errors
/// When it is empty or has other characters than printable ASCII.
pub fn realm(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err("expected printable ASCII characters".to_owned());
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    Ok(format!("realm=\"{escaped}\""))
}

/// The values of a cookie, as they came.
pub fn cookies<'r>(request: &'r RequestHeader, name: &str) -> impl Iterator<Item = &'r [u8]> {
    let lines = request.headers.get_all(COOKIE).iter();
    lines.flat_map(|line| pairs(line.as_bytes())).filter_map(move |pair| value_of(pair, name))
}

/// Takes a cookie out of the lines that have it; one with nothing else goes.
pub fn hide_cookie(request: &mut RequestHeader, name: &str) {
    if cookies(request, name).next().is_none() {
        return;
    }
    let all: Vec<HeaderValue> = request.headers.get_all(COOKIE).iter().cloned().collect();
    request.remove(&COOKIE);
    for line in all {
        if pairs(line.as_bytes()).all(|pair| value_of(pair, name).is_none()) {
            request.append(&COOKIE, line);
            continue;
        }
        let others: Vec<_> = pairs(line.as_bytes()).filter(|pair| value_of(pair, name).is_none()).collect();
        // What is left of a good line is one.
        if let (false, Ok(rest)) = (others.is_empty(), HeaderValue::from_bytes(&others.join(&b"; "[..]))) {
            request.append(&COOKIE, rest);
        }
    }
}

fn pairs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b';').map(<[u8]>::trim_ascii)
}

fn value_of<'p>(pair: &'p [u8], name: &str) -> Option<&'p [u8]> {
    pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}

/// Takes a parameter out of the query.
pub fn hide_parameter(request: &mut RequestHeader, name: &str) {
    let Some(rest) = request.uri.query().and_then(|query| query::without(query, name)) else { return };
    let path = request.uri.path();
    let target = if rest.is_empty() { path.to_owned() } else { format!("{path}?{rest}") };
    let mut parts = request.uri.clone().into_parts();
    // What is left of a good target is one.
    parts.path_and_query = PathAndQuery::try_from(target).ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        request.set_uri(uri);
    }
}
