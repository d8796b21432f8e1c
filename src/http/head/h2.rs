//! The same strictness for requests that came by HTTP/2 (or 3), whose frames are decoded already.
//!
//! There is no text to read twice, but what HTTP/2 carries becomes HTTP/1 on the way to most backends, and
//! what is harmless in a frame splits a request there (RFC 9113 §8.2, §10.3).

use ::http::{HeaderMap, Method, Uri, header};

use super::{
    HeadFault, HeadLimits, authority, fields::content_length, names, request_line::check_target_bytes,
};

/// RFC 9113 §6.5.2: what a field counts besides its name and value.
const FIELD_OVERHEAD_BYTES: usize = 32;

/// What a well-formed head says about its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamHead {
    /// What the body must add up to; the frames end it.
    pub content_length: Option<u64>,
    pub expect_continue: bool,
    /// Whether a field name holds `_`; see [`super::Head::underscored_names`].
    pub underscored_names: bool,
}

/// Checks a request that came by HTTP/2. `uri` holds the pseudo-header fields: its authority is `:authority`.
///
/// # Errors
/// As [`super::check_head`] does, with the same reasons; the stream is to be answered or reset, the
/// connection may go on.
pub fn check_h2(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    limits: &HeadLimits,
) -> Result<StreamHead, HeadFault> {
    check_target(method, uri, limits)?;
    check_size(uri, headers, limits)?;
    if !limits.knows_method(method.as_str().as_bytes()) {
        return Err(HeadFault::new(501, "unknown_method"));
    }
    check_host(uri, headers)?;
    let underscored_names = check_fields(headers)?;
    let content_length = single_length(headers)?;
    if method == Method::TRACE && content_length.is_some_and(|length| length > 0) {
        return Err(HeadFault::bad("trace_with_body"));
    }
    Ok(StreamHead { content_length, expect_continue: expect_continue(headers)?, underscored_names })
}

fn check_target(method: &Method, uri: &Uri, limits: &HeadLimits) -> Result<(), HeadFault> {
    let Some(target) = uri.path_and_query().map(|target| target.as_str().as_bytes()) else {
        let named = method == Method::CONNECT && uri.authority().is_some();
        return if named { Ok(()) } else { Err(HeadFault::bad("bad_target")) };
    };
    if target.len() > limits.target_bytes {
        return Err(HeadFault::new(414, "target_too_long"));
    }
    if !matches!(uri.scheme_str(), None | Some("http" | "https")) {
        return Err(HeadFault::bad("bad_target"));
    }
    if check_target_bytes(target)? {
        return Err(HeadFault::bad("bad_target_byte"));
    }
    match target {
        [b'/', ..] => Ok(()),
        b"*" if method == Method::OPTIONS => Ok(()),
        b"*" => Err(HeadFault::bad("asterisk_without_options")),
        _ => Err(HeadFault::bad("bad_target")),
    }
}

fn check_size(uri: &Uri, headers: &HeaderMap, limits: &HeadLimits) -> Result<(), HeadFault> {
    if headers.len() > limits.fields {
        return Err(HeadFault::new(431, "too_many_fields"));
    }
    let target = uri.path().len()
        + uri.query().map_or(0, str::len)
        + uri.authority().map_or(0, |name| name.as_str().len());
    let fields: usize =
        headers.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD_OVERHEAD_BYTES).sum();
    if target + fields > limits.head_bytes {
        return Err(HeadFault::new(431, "head_too_large"));
    }
    Ok(())
}

/// `:authority` or `Host`, or both and the same (RFC 9113 §8.3.1).
fn check_host(uri: &Uri, headers: &HeaderMap) -> Result<(), HeadFault> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (host, another) = (hosts.next(), hosts.next());
    if another.is_some() {
        return Err(HeadFault::bad("repeated_host"));
    }
    let read = |text| match authority(text) {
        None => Err(HeadFault::bad(if text.is_empty() { "empty_host" } else { "bad_host" })),
        read => Ok(read),
    };
    let named = uri.authority().map_or(Ok(None), |named| read(named.as_str().as_bytes()))?;
    let host = host.map_or(Ok(None), |host| read(host.as_bytes()))?;
    match (named, host) {
        (None, None) => Err(HeadFault::bad("missing_host")),
        (Some(named), Some(host)) if !named.is_spelled_as(&host) => {
            Err(HeadFault::bad("host_differs_from_target"))
        }
        _ => Ok(()),
    }
}

/// Every field: its name, what stands around its value. Returns whether a name holds `_`.
fn check_fields(headers: &HeaderMap) -> Result<bool, HeadFault> {
    let (mut underscored, mut authorizations) = (false, 0);
    // One pass: a lookup of each name apart would cost more than the rest of the check.
    for (name, value) in headers {
        match name.as_str() {
            "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade" => {
                return Err(HeadFault::bad("connection_specific_field"));
            }
            "te" if !value.as_bytes().eq_ignore_ascii_case(b"trailers") => {
                return Err(HeadFault::bad("te_not_trailers"));
            }
            "authorization" => authorizations += 1,
            name if memchr::memchr(b'_', name.as_bytes()).is_some() => {
                underscored = true;
                if names::is_underscore_variant(name.as_bytes()) {
                    return Err(HeadFault::bad("underscore_variant"));
                }
            }
            _ => {}
        }
        if authorizations > 1 {
            return Err(HeadFault::bad("repeated_authorization"));
        }
        // RFC 9113 §8.2.1: a value must not start or end with whitespace.
        if let [b' ' | b'\t', ..] | [.., b' ' | b'\t'] = value.as_bytes() {
            return Err(HeadFault::bad("padded_value"));
        }
    }
    Ok(underscored)
}

fn single_length(headers: &HeaderMap) -> Result<Option<u64>, HeadFault> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(None) };
    if lengths.next().is_some() {
        return Err(HeadFault::bad("repeated_content_length"));
    }
    content_length(length.as_bytes()).map(Some).ok_or(HeadFault::bad("bad_content_length"))
}

fn expect_continue(headers: &HeaderMap) -> Result<bool, HeadFault> {
    let mut expects = false;
    for value in headers.get_all(header::EXPECT) {
        if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") {
            return Err(HeadFault::new(417, "unknown_expectation"));
        }
        expects = true;
    }
    Ok(expects)
}

#[cfg(test)]
mod tests;
