//! Character data: references, line ends, and the characters that may not be there.

use super::super::Fault;
use super::super::output::malformed;

/// Where text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Element,
    /// Without references.
    Cdata,
    /// White space is a space (XML 1.0 section 3.3.3), and `<` may not be there.
    Attribute,
}

impl Of {
    /// Whether the byte stands for itself.
    const fn is_plain(self, byte: u8) -> bool {
        match self {
            Self::Element => (byte >= b' ' && byte != b'&') || matches!(byte, b'\t' | b'\n'),
            Self::Cdata => byte >= b' ' || matches!(byte, b'\t' | b'\n'),
            Self::Attribute => byte >= b' ' && byte != b'&' && byte != b'<',
        }
    }
}

/// Whether the text is what it is once decoded.
pub(super) fn is_plain(text: &[u8], of: Of) -> bool {
    text.iter().all(|byte| of.is_plain(*byte))
}

/// Appends what `text` says, which is at `start` in the document.
pub(super) fn decode(text: &[u8], start: usize, of: Of, out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut rest = text;
    loop {
        let length = rest.iter().position(|byte| !of.is_plain(*byte)).unwrap_or(rest.len());
        let (plain, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        let at = start + text.len() - after.len();
        rest = match after {
            [] => return Ok(()),
            [b'&', after @ ..] => {
                let (character, after) = reference(after).map_err(|what| malformed(what, at))?;
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                after
            }
            // XML 1.0 section 2.11: CRLF and CR are LF.
            [b'\r', b'\n', after @ ..] | [b'\r' | b'\n' | b'\t', after @ ..] => {
                out.push(if of == Of::Attribute { b' ' } else { b'\n' });
                after
            }
            [b'<', ..] => return Err(malformed("xml: < in an attribute", at)),
            _ => return Err(malformed("xml: control character", at)),
        };
    }
}

/// What a reference stands for, and what follows it; `text` comes after its ampersand.
fn reference(text: &[u8]) -> Result<(char, &[u8]), &'static str> {
    // Leading zeros are allowed, so a character reference has no longest form.
    let end =
        text.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'#').unwrap_or(text.len());
    let (name, after) = text.split_at_checked(end).unwrap_or_default();
    let Some((b';', after)) = after.split_first() else { return Err("xml: unfinished reference") };
    let code = match name {
        b"lt" => Some(u32::from(b'<')),
        b"gt" => Some(u32::from(b'>')),
        b"amp" => Some(u32::from(b'&')),
        b"quot" => Some(u32::from(b'"')),
        b"apos" => Some(u32::from(b'\'')),
        [b'#', b'x', digits @ ..] => number(digits, 16),
        [b'#', digits @ ..] => number(digits, 10),
        _ => return Err("xml: reference to an undeclared entity"),
    };
    let allowed = |character: &char| !matches!(*character, '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    code.and_then(char::from_u32)
        .filter(|character| allowed(character) || matches!(*character, '\t' | '\n' | '\r'))
        .map(|character| (character, after))
        .ok_or("xml: reference to no character")
}

fn number(digits: &[u8], base: u32) -> Option<u32> {
    let add = |sum: u32, digit: &u8| sum.checked_mul(base)?.checked_add(char::from(*digit).to_digit(base)?);
    if digits.is_empty() { None } else { digits.iter().try_fold(0, add) }
}
