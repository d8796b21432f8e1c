//! Forms and query strings: `application/x-www-form-urlencoded`, read as ModSecurity 3 reads it.
//!
//! Pairs are split at the separator and at their first `=`. An empty pair (`a&&b`) is nothing (version 2 makes it an
//! argument without a name); an empty name or value is one. `+` is a space, `%` with two hexadecimal digits a byte;
//! any other `%` stays as it is and is counted, because backends differ in what they make of it.

use memchr::{memchr, memchr2};

use super::output::{Output, nibble, span};
use super::{Arena, Fault, Kind, Limits, Sink, Text};

/// Hands over the decoded pairs of `input` as [`Kind::Argument`]s and returns how many escapes were invalid.
///
/// `separator` is `&` unless the application knows better. [`pairs`] has the same pairs undecoded.
pub fn parse<S: Sink + ?Sized>(
    input: &[u8],
    separator: u8,
    arena: &mut Arena,
    limits: &Limits,
    sink: &mut S,
) -> Result<usize, Fault> {
    let mut output = Output::new(input, arena, limits, sink)?;
    let mut invalid = 0;
    for (name, value) in pairs(input, separator) {
        let name = decode(name, &mut output, &mut invalid)?;
        let value = decode(value, &mut output, &mut invalid)?;
        output.item(Kind::Argument, name, value)?;
    }
    Ok(invalid)
}

/// The pairs of `input`, name and value, as they were sent: ranges of the input.
pub const fn pairs(input: &[u8], separator: u8) -> Pairs<'_> {
    Pairs { input, separator, at: 0 }
}

/// See [`pairs`].
#[derive(Debug, Clone)]
pub struct Pairs<'a> {
    input: &'a [u8],
    separator: u8,
    at: usize,
}

impl Iterator for Pairs<'_> {
    type Item = (Text, Text);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.input.get(self.at..).filter(|rest| !rest.is_empty())?;
            let start = self.at;
            let length = memchr(self.separator, rest).unwrap_or(rest.len());
            self.at = start + length + 1;
            let pair = rest.get(..length).unwrap_or_default();
            if pair.is_empty() {
                continue;
            }
            let end = start + length;
            return Some(match memchr(b'=', pair) {
                Some(equals) => (span(start, start + equals), span(start + equals + 1, end)),
                None => (span(start, end), span(end, end)),
            });
        }
    }
}

/// `text` itself, or what it says once decoded.
fn decode<S: Sink + ?Sized>(
    text: Text,
    output: &mut Output<'_, S>,
    invalid: &mut usize,
) -> Result<Text, Fault> {
    let Text::Input(start, end) = text else { return Ok(text) };
    let raw = output.input.get(start as usize..end as usize).unwrap_or_default();
    let Some(first) = memchr2(b'%', b'+', raw) else { return Ok(text) };
    let decoded = &mut output.arena.bytes;
    let begin = decoded.len();
    let (plain, mut rest) = raw.split_at_checked(first).unwrap_or((raw, &[]));
    decoded.extend_from_slice(plain);
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match (*byte, after) {
            (b'+', _) => decoded.push(b' '),
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                decoded.push(nibble(*high) << 4 | nibble(*low));
                rest = after;
            }
            (b'%', _) => {
                *invalid += 1;
                decoded.push(b'%');
            }
            (byte, _) => decoded.push(byte),
        }
    }
    output.since(begin)
}

#[cfg(test)]
mod tests;
