//! Field names that smuggling plays with, compared with `_` read as `-` and in any case.

/// Fields that decide framing, routing, identity or the meaning of the method. A variant of one of these with
/// `_` is refused; `Connection` may not nominate them, as a hop that obeys would strip what a filter decided
/// by.
const GUARDED: [&str; 17] = [
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "origin",
    "range",
    "set-cookie",
    "traceparent",
    "transfer-encoding",
    "x-api-key",
    "x-http-method-override",
    "x-real-ip",
];

/// Fields of one hop: a variant with `_` is refused, nomination is right.
const HOP: [&str; 8] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
];

/// Families of guarded fields: who the client is, what it asked for.
const GUARDED_PREFIXES: [&str; 4] = ["x-forwarded-", "x-original-", "x-rewrite-", "x-client-cert"];

/// Fields that mean something only in front of a body (RFC 9110 §6.5.1): controls, conditions,
/// authentication.
const HEAD_ONLY: [&str; 24] = [
    "accept",
    "accept-encoding",
    "age",
    "content-disposition",
    "content-location",
    "content-range",
    "date",
    "expires",
    "grpc-timeout",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "retry-after",
    "tracestate",
    "vary",
    "via",
    "warning",
    "www-authenticate",
];

/// Whether the name holds `_` and would be a guarded or hop-by-hop field with `-` in its place.
#[must_use]
pub fn is_underscore_variant(name: &[u8]) -> bool {
    memchr::memchr(b'_', name).is_some() && (is_guarded(name) || any(&HOP, name))
}

/// Whether `Connection` may not nominate the field.
pub(super) fn is_guarded(name: &[u8]) -> bool {
    any(&GUARDED, name) || has_guarded_prefix(name)
}

/// Whether a trailer section may not hold a field of this name: framing, routing, identity, authentication,
/// control and conditions, in any spelling with `_` (RFC 9110 §6.5.1).
#[must_use]
pub fn is_forbidden_trailer(name: &[u8]) -> bool {
    is_guarded(name) || any(&HOP, name) || any(&HEAD_ONLY, name)
}

fn any(known: &[&str], name: &[u8]) -> bool {
    known.iter().any(|known| same(name, known.as_bytes()))
}

fn has_guarded_prefix(name: &[u8]) -> bool {
    let starts = |prefix: &&str| name.get(..prefix.len()).is_some_and(|name| same(name, prefix.as_bytes()));
    GUARDED_PREFIXES.iter().any(starts)
}

/// `known` is lower case and without `_`.
fn same(name: &[u8], known: &[u8]) -> bool {
    name.len() == known.len() && name.iter().zip(known).all(|(byte, known)| fold(*byte) == *known)
}

fn fold(byte: u8) -> u8 {
    match byte {
        b'_' => b'-',
        byte => byte.to_ascii_lowercase(),
    }
}
