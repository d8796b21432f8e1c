//! `urlDecode`, `urlDecodeUni` and `urlEncode`.

use memchr::memchr2_iter;

use super::best_fit::best_fit;
use super::rewrite::{Rewriter, find, hex_byte};

/// `+` and `%xx`; what is no valid escape stays.
pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) -> bool {
    let mut rewriter = Rewriter::new(input, out);
    for at in memchr2_iter(b'%', b'+', input) {
        decode_byte(input, at, &mut rewriter);
    }
    rewriter.finish()
}

/// As [`decode`], and `%uxxxx` of IIS, read with the best-fit map of code page 20127. A code point that is not in the map
/// is its low byte.
pub(super) fn decode_unicode(input: &[u8], out: &mut Vec<u8>) -> bool {
    let mut rewriter = Rewriter::new(input, out);
    for at in memchr2_iter(b'%', b'+', input) {
        if let Some([b'%', b'u' | b'U', digits @ ..]) = input.get(at..)
            && let Some([a, b, c, d]) = digits.first_chunk::<4>()
            && let (Some(high), Some(low)) = (hex_byte(*a, *b), hex_byte(*c, *d))
        {
            rewriter.replace_with_byte(at, at + 6, best_fit(high, low));
        } else {
            decode_byte(input, at, &mut rewriter);
        }
    }
    rewriter.finish()
}

#[inline]
fn decode_byte(input: &[u8], at: usize, rewriter: &mut Rewriter<'_>) {
    match input.get(at..) {
        Some([b'+', ..]) => rewriter.replace_with_byte(at, at + 1, b' '),
        Some([b'%', high, low, ..]) => {
            if let Some(byte) = hex_byte(*high, *low) {
                rewriter.replace_with_byte(at, at + 3, byte);
            }
        }
        _ => {}
    }
}

/// Letters, digits and `*` stay, a space becomes `+`.
pub(super) fn encode(input: &[u8], out: &mut Vec<u8>) -> bool {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let is_encoded = |byte: u8| !byte.is_ascii_alphanumeric() && byte != b'*';
    let Some(first) = find(input, is_encoded) else { return false };
    let mut rewriter = Rewriter::new(input, out);
    for (at, byte) in input.iter().copied().enumerate().skip(first).filter(|(_, byte)| is_encoded(*byte)) {
        if byte == b' ' {
            rewriter.replace_with_byte(at, at + 1, b'+');
        } else {
            let escape = [b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            rewriter.replace(at, at + 1, &escape);
        }
    }
    rewriter.finish()
}
