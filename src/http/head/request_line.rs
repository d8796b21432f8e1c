//! The request line: `method SP request-target SP HTTP-version`, RFC 9112 §3, in its one strict spelling.

use super::{Authority, HeadFault, HeadLimits, Target, Version, authority};
use crate::http::fields::is_token;

/// What a well-formed request line says.
pub(super) struct RequestLine<'a> {
    pub method: &'a [u8],
    pub version: Version,
    pub target: Target,
    /// Whether the target holds `"`, `<`, `>` or a backtick.
    pub unescaped: bool,
    /// The host that the target itself names, in absolute and authority form.
    pub authority: Option<Authority<'a>>,
}

pub(super) fn parse<'a>(line: &'a [u8], limits: &HeadLimits) -> Result<RequestLine<'a>, HeadFault> {
    if line.is_empty() {
        return Err(HeadFault::bad("blank_line_before_request"));
    }
    let (method, target, version) = parts(line)?;
    if !is_token(method) {
        return Err(fault_in(line, "bad_method"));
    }
    if target.len() > limits.target_bytes {
        return Err(HeadFault::new(414, "target_too_long"));
    }
    let version = parse_version(version, line)?;
    // A backtick is for the parser to take in a query, where browsers leave it, and not in a path.
    let unescaped = check_target_bytes(target)? || memchr::memchr(b'`', target).is_some();
    let (form, authority) = form(method, target)?;
    if !limits.knows_method(method) {
        return Err(HeadFault::new(501, "unknown_method"));
    }
    Ok(RequestLine { method, version, target: form, unescaped, authority })
}

/// Method, target and version.
type Parts<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// The method up to the first space, the version behind the last one. What is between is the target, in which
/// any further space is a fault.
fn parts(line: &[u8]) -> Result<Parts<'_>, HeadFault> {
    let split = || {
        let first = memchr::memchr(b' ', line)?;
        let last = memchr::memrchr(b' ', line)?;
        Some((line.get(..first)?, line.get(first + 1..last), line.get(last + 1..)?))
    };
    match split() {
        Some(([], ..)) => Err(HeadFault::bad("space_before_request")),
        Some((method, Some(target), version)) => Ok((method, target, version)),
        // One space: a request of HTTP/0.9.
        Some((_, None, _)) => Err(fault_in(line, "missing_version")),
        None => Err(fault_in(line, "bad_request_line")),
    }
}

/// A carriage return inside the line is the fault to tell, whatever it broke.
fn fault_in(line: &[u8], reason: &'static str) -> HeadFault {
    match memchr::memchr(b'\r', line) {
        Some(_) => HeadFault::bad("bare_cr"),
        None => HeadFault::bad(reason),
    }
}

fn parse_version(text: &[u8], line: &[u8]) -> Result<Version, HeadFault> {
    match text {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        b"HTTP/0.9" => Err(HeadFault::bad("missing_version")),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            Err(HeadFault::new(505, "unsupported_version"))
        }
        _ => Err(fault_in(line, "bad_version")),
    }
}

/// No controls, spaces, non-ASCII and no fragment. Whether there is a `"`, `<` or `>`: no URI has them (RFC 3986 appendix
/// C), but people and programs write them, and nobody reads them in two ways. No early exit, so that it runs over many
/// bytes at a time.
pub(super) fn check_target_bytes(target: &[u8]) -> Result<bool, HeadFault> {
    let bad = |byte: u8| byte <= b' ' || byte >= 0x7f || byte == b'#';
    let found = target.iter().fold(0, |found, byte| {
        found | u8::from(bad(*byte)) | (u8::from(matches!(byte, b'"' | b'<' | b'>')) << 1)
    });
    if found & 1 == 0 {
        return Ok(found != 0);
    }
    Err(match target.iter().find(|byte| bad(**byte)) {
        Some(b' ') => HeadFault::bad("space_in_target"),
        Some(b'#') => HeadFault::bad("fragment_in_target"),
        _ => fault_in(target, "bad_target_byte"),
    })
}

/// The head with `"`, `<`, `>` and backticks of its target percent-encoded.
pub(super) fn escape_target(head: &[u8]) -> Vec<u8> {
    let line = memchr::memchr(b'\n', head.get(2..).unwrap_or_default()).map_or(head.len(), |end| end + 2);
    let (line, rest) = head.split_at_checked(line).unwrap_or((head, &[]));
    let mut out = Vec::with_capacity(head.len() + 64);
    for byte in line {
        match byte {
            b'"' => out.extend_from_slice(b"%22"),
            b'<' => out.extend_from_slice(b"%3C"),
            b'>' => out.extend_from_slice(b"%3E"),
            b'`' => out.extend_from_slice(b"%60"),
            byte => out.push(*byte),
        }
    }
    out.extend_from_slice(rest);
    out
}

fn form<'a>(method: &[u8], target: &'a [u8]) -> Result<(Target, Option<Authority<'a>>), HeadFault> {
    if method == b"CONNECT" {
        let named = authority(target).filter(|named| named.port.is_some());
        return named
            .map(|named| (Target::Authority, Some(named)))
            .ok_or(HeadFault::bad("bad_connect_target"));
    }
    match target {
        [b'/', ..] => Ok((Target::Origin, None)),
        b"*" if method == b"OPTIONS" => Ok((Target::Asterisk, None)),
        b"*" => Err(HeadFault::bad("asterisk_without_options")),
        _ => {
            let named = absolute(target).ok_or(HeadFault::bad("bad_target"))?;
            Ok((Target::Absolute, Some(named)))
        }
    }
}

/// The authority of `http://authority/path` or `https://authority?query`.
fn absolute(target: &[u8]) -> Option<Authority<'_>> {
    let colon = memchr::memchr(b':', target)?;
    let (scheme, rest) = target.split_at_checked(colon)?;
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return None;
    }
    let rest = rest.strip_prefix(b"://")?;
    let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
    authority(rest.get(..end)?)
}
