//! Email addresses as people have them: `dot-atom` before the `@`, a domain with a dot after it. Of the first part, the
//! first letter stays.

use std::ops::Range;

use super::Found;
use super::places::{before, byte, count};

/// RFC 5321 section 4.5.3.1.
const LOCAL_BYTES: usize = 64;
const DOMAIN_BYTES: usize = 253;

pub(super) const REACH: usize = LOCAL_BYTES + 1 + DOMAIN_BYTES + 1;

/// `icon@2x.png` is no address.
const FILES: [&[u8]; 8] = [b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp", b"js", b"css"];

pub(super) fn next(text: &[u8], within: Range<usize>, kind: usize) -> Option<Found> {
    let mut from = within.start;
    let end = text.len().min(within.end + LOCAL_BYTES + 1);
    while let Some(at) = memchr::memchr(b'@', text.get(from..end)?).map(|at| at + from) {
        if let Some((start, end)) = address(text, at)
            && within.contains(&start)
        {
            let hidden = if at - start > 1 { start + 1..at } else { start..at };
            return Some(Found { at: start..end, hidden, kind, then: None });
        }
        from = at + 1;
    }
    None
}

fn address(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut start = at;
    while at - start <= LOCAL_BYTES && is_local(before(text, start)) && start > 0 {
        start -= 1;
    }
    // The letter of an escape, as in `\nalice@example.com`, is not part of it.
    start += usize::from(start < at && before(text, start) == b'\\');
    let local = text.get(start..at)?;
    let domain = text.get(at + 1..)?;
    let mut length =
        count(domain, 0, DOMAIN_BYTES + 1, |byte| byte.is_ascii_alphanumeric() || b".-".contains(byte));
    while length > 0 && matches!(before(domain, length), b'.' | b'-') {
        length -= 1;
    }
    let domain = domain.get(..length)?;
    let (name, top) = domain.iter().rposition(|byte| *byte == b'.').map(|dot| domain.split_at(dot))?;
    let top = top.get(1..)?;
    let good = local.first().is_some_and(u8::is_ascii_alphanumeric)
        && local.len() <= LOCAL_BYTES
        && length <= DOMAIN_BYTES
        && byte(domain, 0).is_ascii_alphanumeric()
        && !name.windows(2).any(|pair| pair == b"..")
        && top.len() >= 2
        && top.iter().all(u8::is_ascii_alphabetic)
        && !FILES.contains(&top);
    good.then_some((start, at + 1 + length))
}

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte)
}
