//! Field lines: their syntax, and what the framing and connection fields among them add up to.

use super::{Body, Head, HeadFault, Upgrade, Version, authority, names, request_line::RequestLine};
use crate::http::fields::{is_token, is_token_byte, list, trim_ows};

/// More options than this in `Connection` are an attack: each costs a search.
const MAX_CONNECTION_OPTIONS: usize = 32;

/// Splits a field line, without its CRLF, into name and trimmed value (RFC 9112 §5).
///
/// # Errors
/// A stable reason: folding, space before the colon, a missing colon, an empty or invalid name, control
/// characters (bare CR and NUL included) in the value. A tab and bytes above 127 are let pass in values.
pub fn field_line(line: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let length = line.iter().take_while(|byte| is_token_byte(**byte)).count();
    let Some((name, [b':', value @ ..])) = line.split_at_checked(length) else {
        return Err(name_fault(line, length));
    };
    if name.is_empty() {
        return Err("empty_field_name");
    }
    // No early exit, so that it runs over many bytes at a time.
    let control = |byte: u8| (byte < b' ' && byte != b'\t') || byte == 0x7f;
    if value.iter().fold(false, |found, byte| found | control(*byte)) {
        return Err(if memchr::memchr(b'\r', value).is_some() { "bare_cr" } else { "control_in_value" });
    }
    Ok((name, trim_ows(value)))
}

fn name_fault(line: &[u8], length: usize) -> &'static str {
    match line.get(length) {
        Some(b' ' | b'\t') if length == 0 => "obs_fold",
        Some(b' ' | b'\t') if memchr::memchr(b':', line).is_some() => "space_before_colon",
        Some(b'\r') => "bare_cr",
        Some(_) if memchr::memchr(b':', line).is_some() => "bad_field_name",
        _ => "missing_colon",
    }
}

/// What the field lines said so far.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a field seen or not seen")]
pub(super) struct Fields<'a> {
    pub count: usize,
    host: Option<&'a [u8]>,
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    upgrade_nominated: bool,
    connection_options: usize,
    upgrade: Option<Upgrade>,
    expect_continue: bool,
    authorization: bool,
    underscored: bool,
}

impl<'a> Fields<'a> {
    /// Takes one line. Only fields that bear on framing, connection, routing or identity are looked into.
    pub(super) fn take(&mut self, line: &'a [u8]) -> Result<(), HeadFault> {
        let (name, value) = field_line(line).map_err(HeadFault::bad)?;
        self.count += 1;
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                once(self.host.replace(value).is_some(), "repeated_host")?;
            }
            6 if name.eq_ignore_ascii_case(b"expect") => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(HeadFault::new(417, "unknown_expectation"));
                }
                self.expect_continue = true;
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => self.take_upgrade(value)?,
            10 if name.eq_ignore_ascii_case(b"connection") => self.take_connection(value)?,
            13 if name.eq_ignore_ascii_case(b"authorization") => {
                once(std::mem::replace(&mut self.authorization, true), "repeated_authorization")?;
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let length = content_length(value).ok_or(HeadFault::bad("bad_content_length"))?;
                once(self.length.replace(length).is_some(), "repeated_content_length")?;
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                check_transfer_encoding(value)?;
                once(std::mem::replace(&mut self.chunked, true), "repeated_transfer_encoding")?;
            }
            _ if memchr::memchr(b'_', name).is_some() => {
                self.underscored = true;
                if names::is_underscore_variant(name) {
                    return Err(HeadFault::bad("underscore_variant"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn take_connection(&mut self, value: &[u8]) -> Result<(), HeadFault> {
        for option in list(value) {
            self.connection_options += 1;
            match option.len() {
                5 if option.eq_ignore_ascii_case(b"close") => self.close = true,
                7 if option.eq_ignore_ascii_case(b"upgrade") => self.upgrade_nominated = true,
                10 if option.eq_ignore_ascii_case(b"keep-alive") => self.keep_alive = true,
                _ if !is_token(option) => return Err(HeadFault::bad("bad_connection_option")),
                _ if names::is_guarded(option) => return Err(HeadFault::bad("guarded_field_nominated")),
                _ => {}
            }
        }
        if self.connection_options > MAX_CONNECTION_OPTIONS {
            return Err(HeadFault::bad("too_many_connection_options"));
        }
        Ok(())
    }

    fn take_upgrade(&mut self, value: &[u8]) -> Result<(), HeadFault> {
        let mut protocols = list(value).map(|protocol| match protocol {
            protocol if protocol.eq_ignore_ascii_case(b"websocket") => Some(Upgrade::WebSocket),
            protocol if protocol.eq_ignore_ascii_case(b"h2c") => Some(Upgrade::H2c),
            protocol if protocol.splitn(2, |byte| *byte == b'/').all(is_token) => Some(Upgrade::Other),
            _ => None,
        });
        let first = protocols.next().flatten().ok_or(HeadFault::bad("bad_upgrade"))?;
        let asked = protocols.try_fold(first, |_, next| next.map(|_| Upgrade::Other));
        let asked = asked.ok_or(HeadFault::bad("bad_upgrade"))?;
        self.upgrade = Some(if self.upgrade.is_some() { Upgrade::Other } else { asked });
        Ok(())
    }

    /// Puts the fields and the request line together.
    pub(super) fn conclude(self, request: &RequestLine<'_>) -> Result<Head, HeadFault> {
        self.check_host(request)?;
        let body = self.body(request)?;
        let modern = request.version == Version::Http11;
        let upgrade = match self.upgrade {
            Some(asked) if modern && self.upgrade_nominated => asked,
            _ => Upgrade::None,
        };
        Ok(Head {
            version: request.version,
            target: request.target,
            unescaped_target: request.unescaped,
            body,
            keep_alive: !self.close && (modern || self.keep_alive),
            upgrade,
            // RFC 9110 §10.1.1: of a 1.0 client, the expectation is ignored.
            expect_continue: self.expect_continue && modern,
            has_host: self.host.is_some() || request.authority.is_some(),
            fields: self.count,
            underscored_names: self.underscored,
        })
    }

    fn check_host(&self, request: &RequestLine<'_>) -> Result<(), HeadFault> {
        let Some(host) = self.host else {
            return once(request.version == Version::Http11, "missing_host");
        };
        if host.is_empty() {
            return Err(HeadFault::bad("empty_host"));
        }
        let host = authority(host).ok_or(HeadFault::bad("bad_host"))?;
        // RFC 9112 section 3.2.2: they are to be identical, and so they are to be spelled.
        let differs = request.authority.is_some_and(|target| !target.is_spelled_as(&host));
        once(differs, "host_differs_from_target")
    }

    fn body(&self, request: &RequestLine<'_>) -> Result<Body, HeadFault> {
        let body = match (self.chunked, self.length) {
            (true, Some(_)) => return Err(HeadFault::bad("te_and_cl")),
            (true, None) if request.version == Version::Http10 => {
                return Err(HeadFault::bad("te_in_http_10"));
            }
            (true, None) => Body::Chunked,
            (false, Some(length)) => Body::Length(length),
            (false, None) => Body::None,
        };
        if body.is_empty() {
            return Ok(body);
        }
        match request.method {
            b"CONNECT" => return Err(HeadFault::bad("connect_with_body")),
            b"TRACE" => return Err(HeadFault::bad("trace_with_body")),
            _ => {}
        }
        // A server that switches protocols reads the body as the new protocol's first bytes. Whether
        // `Connection` nominates the field does not matter: lax servers look at `Upgrade` alone.
        match self.upgrade {
            Some(Upgrade::WebSocket | Upgrade::Other) => Err(HeadFault::bad("upgrade_with_body")),
            _ => Ok(body),
        }
    }
}

/// A fault if it is so.
fn once(fault: bool, reason: &'static str) -> Result<(), HeadFault> {
    if fault { Err(HeadFault::bad(reason)) } else { Ok(()) }
}

/// Digits without leading zeros, up to 2^63 - 1: some servers read `010` as eight, some count in signed
/// numbers.
pub(super) fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 || (value.len() > 1 && value.starts_with(b"0")) {
        return None;
    }
    let length = value.iter().try_fold(0_u64, |length, byte| {
        byte.is_ascii_digit().then(|| length * 10 + u64::from(byte - b'0'))
    })?;
    i64::try_from(length).is_ok().then_some(length)
}

/// `chunked` alone is understood. 501 is for codings that are well-formed lists ending in `chunked` or
/// holding a coding of the IANA registry.
fn check_transfer_encoding(value: &[u8]) -> Result<(), HeadFault> {
    const KNOWN: [&str; 8] =
        ["gzip", "x-gzip", "deflate", "compress", "x-compress", "br", "zstd", "identity"];
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let mut codings = value.split(|byte| *byte == b',').map(trim_ows);
    let last = codings.next_back().unwrap_or_default();
    let known = |coding: &[u8]| KNOWN.iter().any(|known| coding.eq_ignore_ascii_case(known.as_bytes()));
    if codings.all(known) && (known(last) || last.eq_ignore_ascii_case(b"chunked")) {
        return Err(HeadFault::new(501, "unsupported_transfer_encoding"));
    }
    Err(HeadFault::bad("bad_transfer_encoding"))
}
