//! Version 1: one line of text, `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443` CRLF.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use super::{Header, Origin, Parsed, Tlvs, V1_MAX_BYTES};

pub(super) const SIGNATURE: &[u8] = b"PROXY ";
/// `PROXY UNKNOWN` CRLF; both versions' shortest, as version 2 has 16 bytes.
pub(super) const SHORTEST: usize = 15;

pub(super) fn parse(buffer: &[u8]) -> Parsed<'_> {
    let window = buffer.get(..V1_MAX_BYTES).unwrap_or(buffer);
    let Some(line_feed) = memchr::memchr(b'\n', window) else {
        return unfinished(window);
    };
    let Some(line) = window.get(..line_feed).and_then(|line| line.strip_suffix(b"\r")) else {
        return Parsed::Invalid("proxy_v1_line_end");
    };
    match origin(line) {
        Ok(origin) => {
            let header = Header { version: 1, origin, tlvs: Tlvs::default() };
            Parsed::Complete { header, consumed: line_feed + 1 }
        }
        Err(reason) => Parsed::Invalid(reason),
    }
}

/// No line feed yet: tell how many bytes there must be at least, or that there can be none.
fn unfinished(window: &[u8]) -> Parsed<'static> {
    let carriage_return = memchr::memchr(b'\r', window);
    if carriage_return.is_some_and(|at| at + 1 < window.len()) {
        return Parsed::Invalid("proxy_v1_line_end");
    }
    let missing = if carriage_return.is_some() { 1 } else { 2 };
    if window.len() + missing > V1_MAX_BYTES {
        return Parsed::Invalid("proxy_v1_too_long");
    }
    Parsed::Incomplete { at_least: SHORTEST.max(window.len() + missing) }
}

fn origin(line: &[u8]) -> Result<Origin<'static>, &'static str> {
    if memchr::memchr(b'\r', line).is_some() {
        return Err("proxy_v1_line_end");
    }
    let rest = line.strip_prefix(SIGNATURE).ok_or("proxy_signature")?;
    // "The receiver must ignore anything presented before the CRLF is found" after UNKNOWN.
    if rest == b"UNKNOWN" || rest.starts_with(b"UNKNOWN ") {
        return Ok(Origin::Unknown);
    }
    let text = std::str::from_utf8(rest).map_err(|_| "proxy_v1_family")?;
    let mut parts = text.split(' ');
    let (source, destination) = match parts.next() {
        Some("TCP4") => addresses::<Ipv4Addr>(&mut parts)?,
        Some("TCP6") => addresses::<Ipv6Addr>(&mut parts)?,
        _ => return Err("proxy_v1_family"),
    };
    let (from, to) = (port(parts.next())?, port(parts.next())?);
    if parts.next().is_some() {
        return Err("proxy_v1_extra");
    }
    Ok(Origin::Inet { source: SocketAddr::new(source, from), destination: SocketAddr::new(destination, to) })
}

fn addresses<'a, A: FromStr + Into<IpAddr>>(
    parts: &mut impl Iterator<Item = &'a str>,
) -> Result<(IpAddr, IpAddr), &'static str> {
    let mut next = || parts.next().and_then(|text| text.parse::<A>().ok()).ok_or("proxy_v1_address");
    Ok((next()?.into(), next()?.into()))
}

/// Decimal, without sign and without leading zeros.
fn port(text: Option<&str>) -> Result<u16, &'static str> {
    let text = text.ok_or("proxy_v1_port")?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if !plain {
        return Err("proxy_v1_port");
    }
    text.parse().map_err(|_| "proxy_v1_port")
}
