//! `host [ ":" port ]`, as `Host`, `:authority` and request targets carry it.

use std::net::Ipv6Addr;

/// The longest name DNS knows (RFC 1035 §2.3.4), with the final dot.
const MAX_HOST_BYTES: usize = 254;

/// A host and, if given, a port.
#[derive(Debug, Clone, Copy)]
pub struct Authority<'a> {
    /// A DNS name or IPv4 address as written, or an IPv6 address with its brackets.
    pub host: &'a [u8],
    pub port: Option<u16>,
}

impl Authority<'_> {
    /// Whether both are one host and port in one spelling, as RFC 9112 section 3.2.2 wants `Host` and target to be.
    #[must_use]
    pub fn is_spelled_as(&self, other: &Self) -> bool {
        self.host == other.host && self.port == other.port
    }
}

/// The host of an authority, as routes know it: lower-case, without port and final dot; empty if it is no authority.
#[must_use]
pub fn host(text: &[u8]) -> String {
    let host = authority(text).map_or(&b""[..], |authority| authority.host);
    let mut host = String::from_utf8_lossy(host).into_owned();
    host.make_ascii_lowercase();
    if host.ends_with('.') {
        host.pop();
    }
    host
}

/// Reads a host and port strictly; `None` if it is anything else.
///
/// Names are letters, digits, `-`, `_` and single dots between them (one at the end is let pass), at most 254
/// bytes. RFC 3986's sub-delimiters and percent-encodings name no host in DNS and are refused, as are user
/// information, zone identifiers, empty names, empty ports, port 0 and ports with leading zeros.
#[must_use]
pub fn authority(text: &[u8]) -> Option<Authority<'_>> {
    let length = match text.first()? {
        b'[' => memchr::memchr(b']', text)? + 1,
        _ => memchr::memchr(b':', text).unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at_checked(length)?;
    let valid = match host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")) {
        Some(address) => std::str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok()),
        None => is_name(host),
    };
    let port = match rest {
        [] => None,
        [b':', digits @ ..] => Some(port(digits)?),
        _ => return None,
    };
    valid.then_some(Authority { host, port })
}

fn is_name(host: &[u8]) -> bool {
    let mut after_dot = true;
    for byte in host {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => after_dot = false,
            b'.' if !after_dot => after_dot = true,
            _ => return false,
        }
    }
    !host.is_empty() && host.len() <= MAX_HOST_BYTES
}

fn port(digits: &[u8]) -> Option<u16> {
    if digits.len() > 5 || digits.first().is_none_or(|first| *first == b'0') {
        return None;
    }
    let value = digits
        .iter()
        .try_fold(0_u32, |value, byte| byte.is_ascii_digit().then(|| value * 10 + u32::from(byte - b'0')));
    value.and_then(|value| u16::try_from(value).ok())
}
