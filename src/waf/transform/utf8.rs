//! `utf8toUnicode`: UTF-8 as `%uxxxx`, for `urlDecodeUni` to map to ASCII.

use super::rewrite::{Rewriter, find};

/// Two to four bytes that have the form of UTF-8 become `%u` and at least four digits. As in ModSecurity, overlong forms and
/// surrogates are written so too, with their first byte after them; the first byte of a form that breaks off goes,
/// others stay; NULs go.
pub(super) fn to_unicode(input: &[u8], out: &mut Vec<u8>) -> bool {
    let mut rewriter = Rewriter::new(input, out);
    let mut at = 0;
    while let Some(start) =
        input.get(at..).and_then(|rest| find(rest, |byte| byte == 0 || byte >= 0xc0)).map(|next| at + next)
    {
        let rest = input.get(start..).unwrap_or_default();
        let first = rest.first().copied().unwrap_or_default();
        at = start + 1;
        match Character::read(rest) {
            Some(character) => {
                at = start + character.length;
                character.write(first, |text| rewriter.replace(start, at, text));
            }
            None if matches!(first, 0 | 0xc0..0xf5) => rewriter.remove(start, at),
            None => {}
        }
    }
    rewriter.finish()
}

/// What has the form of a character.
struct Character {
    code: u32,
    length: usize,
    /// The least code point that needs this length.
    least: u32,
}

impl Character {
    fn read(text: &[u8]) -> Option<Self> {
        let (first, length, least) = match text.first()? {
            first @ 0xc0..0xe0 => (first & 0x1f, 2, 0x80),
            first @ 0xe0..0xf0 => (first & 0x0f, 3, 0x800),
            first @ 0xf0..0xf8 => (first & 0x07, 4, 0x1_0000),
            _ => return None,
        };
        let mut code = u32::from(first);
        for byte in text.get(1..length)? {
            if byte & 0xc0 != 0x80 {
                return None;
            }
            code = code << 6 | u32::from(byte & 0x3f);
        }
        Some(Self { code, length, least })
    }

    /// At most eleven bytes: the first byte, `%u`, six digits and the first byte twice.
    fn write(&self, first: u8, to: impl FnOnce(&[u8])) {
        let mut text = [0_u8; 11];
        let mut places = text.iter_mut();
        let mut length = 0;
        let mut push = |byte: u8| {
            if let Some(place) = places.next() {
                *place = byte;
                length += 1;
            }
        };
        // No characters start with it; ModSecurity keeps it besides.
        if first >= 0xf5 {
            push(first);
        }
        push(b'%');
        push(b'u');
        let digits = (8 - self.code.leading_zeros() / 4).max(4);
        for place in (0..digits).rev() {
            push(b"0123456789abcdef"[(self.code >> (4 * place) & 15) as usize]);
        }
        for is_wrong in [matches!(self.code, 0xd800..0xe000), self.code < self.least] {
            if is_wrong {
                push(first);
            }
        }
        to(text.get(..length).unwrap_or_default());
    }
}
