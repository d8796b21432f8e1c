//! Backslash escapes: `jsDecode`, `escapeSeqDecode` and `cssDecode`.

use memchr::memchr_iter;

use super::rewrite::{Rewriter, hex_byte, hex_digit, is_space, low_byte};

/// What an escape stands for, and how long it is with its backslash.
struct Escape {
    /// `None`: nothing.
    byte: Option<u8>,
    length: usize,
}

impl Escape {
    const fn of(byte: u8, length: usize) -> Self {
        Self { byte: Some(byte), length }
    }
}

/// Replaces what `read` knows; it gets what follows a backslash.
#[inline]
fn rewrite(input: &[u8], out: &mut Vec<u8>, read: impl Fn(&[u8]) -> Option<Escape>) -> bool {
    let mut rewriter = Rewriter::new(input, out);
    let mut next = 0;
    for at in memchr_iter(b'\\', input) {
        if at < next {
            continue;
        }
        let Some(escape) = read(input.get(at + 1..).unwrap_or_default()) else { continue };
        next = at + escape.length;
        match escape.byte {
            Some(byte) => rewriter.replace_with_byte(at, next, byte),
            None => rewriter.remove(at, next),
        }
    }
    rewriter.finish()
}

/// JavaScript: `\uhhhh` (its low byte), `\xhh`, octal to `\377`, `\n` and the like; other backslashes go.
pub(super) fn decode_js(input: &[u8], out: &mut Vec<u8>) -> bool {
    rewrite(input, out, |after| {
        if let [b'u', a, b, c, d, ..] = after
            && let (Some(high), Some(low)) = (hex_byte(*a, *b), hex_byte(*c, *d))
        {
            return Some(Escape::of(low_byte(high, low), 6));
        }
        if let [b'x', high, low, ..] = after
            && let Some(byte) = hex_byte(*high, *low)
        {
            return Some(Escape::of(byte, 4));
        }
        let first = *after.first()?;
        // Three digits only up to one byte.
        let most = if first > b'3' { 2 } else { 3 };
        Some(octal(after, most).unwrap_or(Escape::of(control(first), 2)))
    })
}

/// C: as [`decode_js`] without `\u`, and octal numbers are cut to a byte.
pub(super) fn decode_c(input: &[u8], out: &mut Vec<u8>) -> bool {
    rewrite(input, out, |after| {
        if let [b'x' | b'X', high, low, ..] = after
            && let Some(byte) = hex_byte(*high, *low)
        {
            return Some(Escape::of(byte, 4));
        }
        let first = *after.first()?;
        Some(octal(after, 3).unwrap_or(Escape::of(control(first), 2)))
    })
}

fn octal(after: &[u8], most: usize) -> Option<Escape> {
    let digits = after.iter().take(most).take_while(|byte| matches!(byte, b'0'..=b'7'));
    let (value, length) =
        digits.fold((0_u8, 0), |(value, length), digit| (value << 3 | (digit - b'0'), length + 1));
    (length > 0).then_some(Escape::of(value, length + 1))
}

/// The control character that a letter after a backslash stands for; others stand for themselves.
const fn control(letter: u8) -> u8 {
    match letter {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        other => other,
    }
}

/// CSS: one to six digits and a space, of which the low byte counts. A backslash before a line break or at the end is
/// nothing, others go.
pub(super) fn decode_css(input: &[u8], out: &mut Vec<u8>) -> bool {
    rewrite(input, out, |after| {
        let count = after.iter().take(6).take_while(|byte| hex_digit(**byte).is_some()).count();
        let Some(digits) = after.get(..count).filter(|digits| !digits.is_empty()) else {
            return Some(match after {
                [] => Escape { byte: None, length: 1 },
                [b'\n', ..] => Escape { byte: None, length: 2 },
                [other, ..] => Escape::of(*other, 2),
            });
        };
        let space = usize::from(after.get(count).is_some_and(|byte| is_space(*byte)));
        let byte = match digits {
            [.., b'f' | b'F', b'f' | b'F', high, low] if is_short(digits) => {
                low_byte(0xff, hex_byte(*high, *low)?)
            }
            [.., high, low] => hex_byte(*high, *low)?,
            [digit] => hex_digit(*digit)?,
            [] => return None,
        };
        Some(Escape::of(byte, 1 + count + space))
    })
}

/// At most four digits but for zeros before them.
const fn is_short(digits: &[u8]) -> bool {
    matches!(digits, [_, _, _, _] | [b'0', _, _, _, _] | [b'0', b'0', _, _, _, _])
}
