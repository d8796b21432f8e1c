//! `hexDecode`, `hexEncode` and `sqlHexDecode`.

use memchr::memchr2_iter;

use super::rewrite::{Rewriter, hex_byte};

/// Two digits a byte. What is no digit is read as ModSecurity reads it, by arithmetic; an odd one at the end goes.
pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) -> bool {
    if input.is_empty() {
        return false;
    }
    out.clear();
    let (pairs, _) = input.as_chunks::<2>();
    out.extend(pairs.iter().map(|[high, low]| (digit(*high) << 4).wrapping_add(digit(*low))));
    true
}

const fn digit(byte: u8) -> u8 {
    if byte >= b'A' { (byte & 0xdf).wrapping_sub(b'A').wrapping_add(10) } else { byte.wrapping_sub(b'0') }
}

/// Two small digits a byte.
pub(super) fn encode(input: &[u8], out: &mut Vec<u8>) -> bool {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    if input.is_empty() {
        return false;
    }
    out.clear();
    out.extend(input.iter().flat_map(|byte| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]));
    true
}

/// `0x4142` becomes `AB`; an odd digit at the end stays.
pub(super) fn decode_sql(input: &[u8], out: &mut Vec<u8>) -> bool {
    let mut rewriter = Rewriter::new(input, out);
    let mut next = 0;
    for x in memchr2_iter(b'x', b'X', input) {
        let Some(start) = x.checked_sub(1).filter(|zero| *zero >= next && input.get(*zero) == Some(&b'0'))
        else {
            continue;
        };
        let mut end = x + 1;
        while let Some([high, low, ..]) = input.get(end..)
            && let Some(byte) = hex_byte(*high, *low)
        {
            if end == x + 1 {
                rewriter.replace_with_byte(start, end + 2, byte);
            } else {
                rewriter.replace_with_byte(end, end + 2, byte);
            }
            end += 2;
        }
        next = end;
    }
    rewriter.finish()
}
