//! Content coding negotiation (RFC 9110 §12.5.3).

use super::{list, trim_ows};

/// What `Accept-Encoding` leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Negotiated {
    /// The offered coding of this index.
    Coding(usize),
    /// Send it as it is.
    Identity,
    /// Neither a coding offered nor identity is acceptable; RFC 9110 lets a server send identity all the
    /// same.
    Nothing,
}

/// Chooses among the `offered` codings (lower case, in the server's order of preference) by what the client's
/// `Accept-Encoding` values say.
///
/// The highest quality wins, the server's order breaks ties. Identity wins only when the client names it with
/// a higher quality than every coding offered. Without the field nothing is compressed: such clients are
/// often scripts that cannot decode. Members that do not parse count as not said. `x-gzip` means `gzip`.
pub fn negotiate_coding<'a, I>(values: I, offered: &[&str]) -> Negotiated
where
    I: IntoIterator<Item = &'a [u8], IntoIter: Clone>,
{
    let values = values.into_iter();
    let mut best: Option<(usize, u16)> = None;
    for (index, coding) in offered.iter().enumerate() {
        let quality = quality(values.clone(), coding).or_else(|| quality(values.clone(), "*")).unwrap_or(0);
        if quality > best.map_or(0, |(_, best)| best) {
            best = Some((index, quality));
        }
    }
    let identity = quality(values.clone(), "identity");
    match best {
        Some((_, quality)) if identity.is_some_and(|identity| identity > quality) => Negotiated::Identity,
        Some((index, _)) => Negotiated::Coding(index),
        None if identity.or_else(|| quality(values, "*")) == Some(0) => Negotiated::Nothing,
        None => Negotiated::Identity,
    }
}

/// The quality in thousandths that the first member of this name has.
fn quality<'a>(values: impl Iterator<Item = &'a [u8]>, coding: &str) -> Option<u16> {
    let same = |name: &[u8]| {
        name.eq_ignore_ascii_case(coding.as_bytes())
            || (coding == "gzip" && name.eq_ignore_ascii_case(b"x-gzip"))
    };
    values.flat_map(list).filter_map(member).find(|(name, _)| same(name)).map(|(_, quality)| quality)
}

/// `gzip`, `gzip;q=0.5`, `gzip ; q=1`; nothing else.
fn member(text: &[u8]) -> Option<(&[u8], u16)> {
    let Some(semicolon) = memchr::memchr(b';', text) else {
        return Some((text, 1000));
    };
    let weight = trim_ows(text.get(semicolon + 1..)?);
    let quality = weight.strip_prefix(b"q=").or_else(|| weight.strip_prefix(b"Q="))?;
    Some((trim_ows(text.get(..semicolon)?), thousandths(quality)?))
}

/// `0`, `1`, `0.123`, `1.000`: RFC 9110 §12.4.2.
fn thousandths(text: &[u8]) -> Option<u16> {
    let (whole, digits) = match text {
        [whole @ (b'0' | b'1')] => (*whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', digits @ ..] if digits.len() <= 3 => (*whole, digits),
        _ => return None,
    };
    let mut fraction = 0;
    for place in 0..3 {
        let digit = digits.get(place).copied().unwrap_or(b'0');
        fraction = fraction * 10 + u16::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    match (whole, fraction) {
        (b'0', fraction) => Some(fraction),
        (_, 0) => Some(1000),
        _ => None,
    }
}
