//! Field syntax that must be exact: tokens, lists, hop-by-hop names, content coding negotiation.
//!
//! Nothing here allocates; values are bytes as received, already free of control characters.

mod coding;

pub use coding::{Negotiated, negotiate_coding};

/// Whether a byte may stand in a token (RFC 9110 §5.6.2).
#[must_use]
#[allow(clippy::indexing_slicing, reason = "the table has an entry for every byte")]
pub const fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// Whether the text is a token: a method, a field name, a coding.
#[must_use]
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| is_token_byte(*byte))
}

/// Strips optional whitespace from both ends: space and tab (RFC 9110 §5.6.3), no other.
#[must_use]
pub fn trim_ows(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// The members of a comma-separated list (RFC 9110 §5.6.1), trimmed; empty members are skipped.
///
/// Commas inside quoted strings do not split. A quoted string that never ends makes the rest one member.
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        loop {
            let text = rest?;
            let end = member_end(text);
            rest = text.get(end + 1..);
            let member = trim_ows(text.get(..end)?);
            if !member.is_empty() {
                return Some(member);
            }
        }
    })
}

/// Where the first member ends: at a comma outside quotes, or at the end of the text.
fn member_end(text: &[u8]) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

/// The names that `Connection` nominates (RFC 9110 §7.6.1): the fields of these names end at this hop, as
/// [`is_hop_by_hop`] ones do. `close` is an option without a field and is left out; what is no token, too.
pub fn nominated_names<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    values.into_iter().flat_map(list).filter(|name| is_token(name) && !name.eq_ignore_ascii_case(b"close"))
}

/// Where a field ends at this hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Request,
    Response,
    Both,
}

/// Fields that concern one connection alone and are never forwarded, lower case.
///
/// `connection`, `te`, `transfer-encoding`, `upgrade`, `keep-alive` and `proxy-connection`: RFC 9110 §7.6.1.
/// The `proxy-` ones are spoken between a client and its proxy (RFC 9110 §11.7): credentials end here on the
/// way in, challenges on the way out; what has the name of credentials in a response is not to be stored, either
/// (RFC 9111 §3.1). `trailer` announces fields that may be dropped, so it does not outlive its framing; `te` is
/// written anew where trailers are wanted. `http2-settings` belongs to the abandoned h2c upgrade (RFC 9113 §3.1).
/// To pass a WebSocket upgrade on, write `connection` and `upgrade` anew.
pub const HOP_BY_HOP: [(&str, Direction); 11] = [
    ("connection", Direction::Both),
    ("keep-alive", Direction::Both),
    ("proxy-connection", Direction::Both),
    ("transfer-encoding", Direction::Both),
    ("trailer", Direction::Both),
    ("upgrade", Direction::Both),
    ("te", Direction::Request),
    ("http2-settings", Direction::Request),
    ("proxy-authorization", Direction::Both),
    ("proxy-authenticate", Direction::Response),
    ("proxy-authentication-info", Direction::Response),
];

/// Whether a field of this name, in any case, ends at this hop in the given direction.
#[must_use]
pub fn is_hop_by_hop(name: &[u8], direction: Direction) -> bool {
    HOP_BY_HOP.iter().any(|(known, way)| {
        let applies = *way == Direction::Both || direction == Direction::Both || *way == direction;
        applies && name.eq_ignore_ascii_case(known.as_bytes())
    })
}

const TOKEN: [bool; 256] = token_table();

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn token_table() -> [bool; 256] {
    let marks = b"!#$%&'*+-.^_`|~";
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut mark = 0;
    while mark < marks.len() {
        table[marks[mark] as usize] = true;
        mark += 1;
    }
    table
}

#[cfg(test)]
mod tests;
