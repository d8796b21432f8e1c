//! Strings (RFC 8259 section 7). The input is valid UTF-8 already.

use memchr::memchr2;

use super::super::Fault;
use super::super::output::malformed;

/// The content of the string whose opening quote is at `at`, if it has no escape, and where the string ends, if so.
pub(super) fn borrowed(input: &[u8], at: usize) -> Result<(Option<(usize, usize)>, usize), Fault> {
    let start = at + 1;
    let length = plain(input, start)?;
    let end = start + length;
    match input.get(end) {
        Some(b'"') => Ok((Some((start, end)), end + 1)),
        _ => Ok((None, at)),
    }
}

/// Appends the decoded content of the string whose opening quote is at `at`; returns where the string ends.
pub(super) fn decode(input: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize, Fault> {
    let mut at = at + 1;
    loop {
        let end = at + plain(input, at)?;
        out.extend_from_slice(input.get(at..end).unwrap_or_default());
        match input.get(end) {
            Some(b'"') => return Ok(end + 1),
            _ => at = escape(input, end, out)?,
        }
    }
}

/// How many bytes from `at` on come before the next quote or backslash.
fn plain(input: &[u8], at: usize) -> Result<usize, Fault> {
    let rest = input.get(at..).unwrap_or_default();
    let length = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
    let run = rest.get(..length).unwrap_or_default();
    // Over all bytes, which the compiler makes vectors of; where it is matters only if there is one.
    if run.iter().fold(u8::MAX, |least, byte| least.min(*byte)) < 0x20 {
        let place = run.iter().position(|byte| *byte < 0x20).unwrap_or_default();
        return Err(malformed("json: control character in a string", at + place));
    }
    if length == rest.len() {
        return Err(malformed("json: unexpected end", at + length));
    }
    Ok(length)
}

/// Decodes the escape whose backslash is at `at`; returns where it ends.
fn escape(input: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize, Fault> {
    let byte = match input.get(at + 1) {
        Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
        Some(b'b') => 8,
        Some(b'f') => 12,
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'u') => return unicode(input, at, out),
        _ => return Err(malformed("json: invalid escape", at)),
    };
    out.push(byte);
    Ok(at + 2)
}

fn unicode(input: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize, Fault> {
    let unit = code_unit(input, at).ok_or(malformed("json: invalid escape", at))?;
    let (code, end) = match (unit, code_unit(input, at + 6)) {
        (0xd800..=0xdbff, Some(low @ 0xdc00..=0xdfff)) => {
            (0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00), at + 12)
        }
        _ => (unit, at + 6),
    };
    // Half of a pair is what is left of an emoji where a client cut its text (RFC 8259 section 8.2).
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Ok(end)
}

/// The number in an escape like `\u00e9` at `at`.
fn code_unit(input: &[u8], at: usize) -> Option<u32> {
    let digits = input.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |sum, digit| Some(sum << 4 | char::from(*digit).to_digit(16)?))
}
