//! Writing over what is hidden, byte for byte.
//!
//! What stays makes sure that valid JSON is valid afterwards, without knowing where strings begin and end: quotes, brackets
//! and escapes stay; and a number or keyword that stands where one may stand without quotes becomes another of its
//! length.

use std::ops::Range;

use super::find::BEHIND;

/// Bytes after a hidden one that may matter to its mask.
pub(super) const AHEAD: usize = WORD + SPACE + 2;

/// Longest run of characters that is looked at as one number.
const WORD: usize = 64;
/// Spaces around one that are looked over; after more, it is taken for a number.
const SPACE: usize = 16;

const _: () = assert!(BEHIND > WORD + SPACE + 8, "what is before a number has to be seen");

/// Writes the text of a range to `out`, hidden.
pub(super) fn mask(text: &[u8], range: Range<usize>, json: bool, out: &mut Vec<u8>) {
    let mut at = range.start;
    while let Some(byte) = text.get(at).copied().filter(|_| at < range.end) {
        if json
            && is_word(byte)
            && let Some(word) = bare(text, at)
        {
            let end = word.end.min(range.end);
            fill(text, at..end, word.start, out);
            at = end;
        } else {
            out.push(hide(text, at));
            at += 1;
        }
    }
}

/// The byte that takes the place of one in a string.
pub(super) fn hide(text: &[u8], at: usize) -> u8 {
    let byte = text.get(at).copied().unwrap_or(b'*');
    if stays(byte) || is_escape(text, at) { byte } else { b'*' }
}

const fn stays(byte: u8) -> bool {
    byte <= b' '
        || matches!(
            byte,
            b'"' | b'\\' | b'{' | b'}' | b'[' | b']' | b',' | b':' | b'<' | b'>' | b'&' | b'\'' | b'-'
        )
}

/// Whether it may be the letter of an escape, or one of the digits of `\u0041`.
fn is_escape(text: &[u8], at: usize) -> bool {
    let back = |count: usize| at.checked_sub(count).and_then(|at| text.get(at)).copied();
    back(1) == Some(b'\\') || (2..=5).any(|count| back(count) == Some(b'\\') && back(count - 1) == Some(b'u'))
}

/// The word around a place, if it may be a number or a keyword of JSON by what is before and after it.
fn bare(text: &[u8], at: usize) -> Option<Range<usize>> {
    let back = text.get(at.saturating_sub(WORD)..at)?.iter().rev().take_while(|byte| is_word(**byte)).count();
    let ahead = text.get(at..)?.iter().take(WORD).take_while(|byte| is_word(**byte)).count();
    let word = at - back..at + ahead;
    let opened = back == WORD || may_border(text.get(..word.start)?.iter().rev(), b":[,");
    let closed = ahead == WORD || may_border(text.get(word.end..)?.iter(), b",]}");
    let letters = text.get(word.clone())?;
    let value = letters.iter().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte))
        || [&b"true"[..], b"false", b"null"].contains(&letters);
    (opened && closed && value).then_some(word)
}

/// Whether one of these, or the end of a line or of the text, comes first, but for spaces.
fn may_border<'t>(mut bytes: impl Iterator<Item = &'t u8>, wanted: &[u8]) -> bool {
    let first = bytes.by_ref().take(SPACE).find(|byte| !matches!(byte, b' ' | b'\t'));
    first.is_none_or(|first| matches!(first, b'\n' | b'\r') || wanted.contains(first))
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

/// Another number with as many digits: `100…` of `4111…`. The first digit of one is no zero.
fn fill(text: &[u8], range: Range<usize>, word: usize, out: &mut Vec<u8>) {
    let first = word + usize::from(text.get(word) == Some(&b'-'));
    for (at, byte) in range.clone().zip(text.get(range).unwrap_or_default()) {
        out.push(match byte {
            b'0'..=b'9' if at == first => b'1',
            b'0'..=b'9' => b'0',
            other => *other,
        });
    }
}
