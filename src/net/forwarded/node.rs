//! The right-most element of a forwarding header, and the address in an element.
//!
//! Lists are taken apart from the right: an unbalanced quote at the left, where a client may write, then
//! cannot swallow the elements that trusted hops appended.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::http::fields::{is_token, is_token_byte, trim_ows as trim};

/// The longest node: 45 bytes of IPv6 text, brackets, a colon and an obfuscated port, with room to spare.
const MAX_NODE_BYTES: usize = 64;

/// Splits the last element off a list without quoting; the list left of it is `None` when there is none.
pub(super) fn last_plain(list: &[u8]) -> (Option<&[u8]>, &[u8]) {
    match memchr::memrchr(b',', list) {
        Some(comma) => split(list, comma),
        None => (None, trim(list)),
    }
}

/// The same for a list whose elements may hold commas inside quoted strings.
pub(super) fn last_quoted(list: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let mut end = list.len();
    while let Some(at) = list.get(..end).and_then(|list| memchr::memrchr2(b',', b'"', list)) {
        if list.get(at) == Some(&b',') {
            return split(list, at);
        }
        // A closing quote: go on left of its opening one. Without one, the element reaches to the start.
        let Some(open) = list.get(..at).and_then(opening_quote) else { break };
        end = open;
    }
    (None, trim(list))
}

fn split(list: &[u8], comma: usize) -> (Option<&[u8]>, &[u8]) {
    (list.get(..comma), trim(list.get(comma + 1..).unwrap_or_default()))
}

/// The last quote with an even number of backslashes in front of it.
fn opening_quote(text: &[u8]) -> Option<usize> {
    let mut text = text;
    loop {
        let at = memchr::memrchr(b'"', text)?;
        let before = text.get(..at)?;
        let backslashes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
        if backslashes % 2 == 0 {
            return Some(at);
        }
        text = before;
    }
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`; nothing else.
pub(super) fn address(text: &[u8]) -> Option<IpAddr> {
    if text.len() > MAX_NODE_BYTES {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    if let Some(bracketed) = text.strip_prefix('[') {
        let (address, rest) = bracketed.split_once(']')?;
        check_port(rest)?;
        return address.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    let (address, _) = text.split_once(':')?;
    check_port(text.get(address.len()..)?)?;
    address.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
}

/// Nothing, or a colon and a port: a number, or an obfuscated one (RFC 7239 §6.3).
fn check_port(text: &str) -> Option<()> {
    if text.is_empty() {
        return Some(());
    }
    let port = text.strip_prefix(':')?;
    let number = !port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    let good = match port.strip_prefix('_') {
        Some(name) => !name.is_empty() && name.bytes().all(is_obfuscated_byte),
        None => number && port.parse::<u16>().is_ok(),
    };
    good.then_some(())
}

fn is_obfuscated_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// The address of the `for` parameter of one well-formed `Forwarded` element; `None` too for `unknown` and
/// obfuscated identifiers, which name nobody. Spaces around `;` are let pass: proxies in use write them.
pub(super) fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    let mut rest = element;
    loop {
        let (pair, after) = split_pair(rest)?;
        if let Some((name, value)) = pair
            && name.eq_ignore_ascii_case(b"for")
            && found.replace(value).is_some()
        {
            return None;
        }
        match after {
            Some(after) => rest = after,
            None => break,
        }
    }
    let mut buffer = [0; MAX_NODE_BYTES];
    address(unquote(found?, &mut buffer)?)
}

/// A name and its value, still quoted; and what is right of the semicolon, if there is one.
type Pair<'a> = (Option<(&'a [u8], &'a [u8])>, Option<&'a [u8]>);

/// Takes `name=value` off the front. The pair itself may be empty (RFC 7239 §4).
fn split_pair(text: &[u8]) -> Option<Pair<'_>> {
    let text = trim(text);
    if text.is_empty() {
        return Some((None, None));
    }
    if let Some(after) = text.strip_prefix(b";") {
        return Some((None, Some(after)));
    }
    let equals = memchr::memchr(b'=', text)?;
    let (name, value) = (text.get(..equals)?, text.get(equals + 1..)?);
    let length = match value.first()? {
        b'"' => quoted_length(value)?,
        _ => value.iter().take_while(|byte| is_token_byte(**byte)).count(),
    };
    let (value, after) = value.split_at_checked(length)?;
    if !is_token(name) || value.is_empty() {
        return None;
    }
    match trim(after).split_first() {
        None => Some((Some((name, value)), None)),
        Some((b';', after)) => Some((Some((name, value)), Some(after))),
        Some(_) => None,
    }
}

/// The length of the quoted string at the front, quotes included.
fn quoted_length(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// A token as it is; a quoted string without its quotes and backslashes, copied when there are any.
fn unquote<'a>(value: &'a [u8], buffer: &'a mut [u8; MAX_NODE_BYTES]) -> Option<&'a [u8]> {
    let Some(inner) = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")) else {
        return Some(value);
    };
    if memchr::memchr(b'\\', inner).is_none() {
        return Some(inner);
    }
    let mut length = 0;
    let mut bytes = inner.iter();
    while let Some(byte) = bytes.next() {
        let byte = if *byte == b'\\' { bytes.next()? } else { byte };
        *buffer.get_mut(length)? = *byte;
        length += 1;
    }
    buffer.get(..length)
}
