//! Numbers of payment cards (ISO/IEC 7812): 13 to 19 digits that an issuer's range and the check digit (Luhn) agree with, in
//! one piece or in the groups in which they are printed, with spaces or dashes.
//!
//! One number of digits in ten passes Luhn by chance, so the rest counts: no part of a longer number or word, of a decimal
//! fraction or of a row of numbers is a card.

use std::ops::Range;

use super::Found;
use super::places::{before, byte, continues_word, count, in_runs, last_four};

/// 19 digits, four separators, and what is looked at after them.
pub(super) const REACH: usize = 32;

const SHORTEST: usize = 13;
const LONGEST: usize = 19;

/// Groups of digits as printed on cards, the longest first.
const GROUPS: [&[usize]; 4] = [&[4, 4, 4, 4, 3], &[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4]];

pub(super) fn next(text: &[u8], within: Range<usize>, kind: usize) -> Option<Found> {
    let begins = |at| (!before(text, at).is_ascii_digit()).then(|| card(text, at, kind))?;
    in_runs(text, within, SHORTEST, is_inside, begins)
}

/// A digit, or one separator between two.
fn is_inside(text: &[u8], at: usize) -> bool {
    match byte(text, at) {
        b'0'..=b'9' => true,
        b' ' | b'-' => before(text, at).is_ascii_digit() && byte(text, at + 1).is_ascii_digit(),
        _ => false,
    }
}

/// The card that begins here, where no digit is before.
fn card(text: &[u8], at: usize, kind: usize) -> Option<Found> {
    if !matches!(byte(text, at), b'2'..=b'6' | b'9') || continues_word(text, at) {
        return None;
    }
    let digits = count(text, at, LONGEST + 1, u8::is_ascii_digit);
    let end = if digits >= SHORTEST { whole(text, at, digits) } else { grouped(text, at, digits) }?;
    Some(Found { at: at..end, hidden: at..last_four(text, at..end), kind, then: None })
}

fn whole(text: &[u8], at: usize, digits: usize) -> Option<usize> {
    let end = at + digits;
    let part_of_more = matches!(before(text, at), b'.' | b'-' | b'+')
        && before(text, at - 1).is_ascii_digit()
        || before(text, at) == b'+'
        || matches!(byte(text, end), b'.' | b'-') && byte(text, end + 1).is_ascii_digit()
        || ends_in_word(text, end);
    (!part_of_more && is_card(text.get(at..end)?)).then_some(end)
}

fn grouped(text: &[u8], at: usize, first: usize) -> Option<usize> {
    let separator = byte(text, at + first);
    if first != 4 || !matches!(separator, b' ' | b'-') {
        return None;
    }
    let digit_before = |back: usize| at.checked_sub(back).is_some_and(|at| byte(text, at).is_ascii_digit());
    if before(text, at) == separator && (2..=4).all(digit_before) {
        return None;
    }
    GROUPS.iter().find_map(|groups| {
        let mut digits = Vec::with_capacity(LONGEST);
        let mut end = at;
        for (index, size) in groups.iter().enumerate() {
            if index > 0 {
                end += usize::from(byte(text, end) == separator);
            }
            digits.extend_from_slice(text.get(end..end + size)?);
            end += size;
        }
        let row = byte(text, end) == separator && count(text, end + 1, 4, u8::is_ascii_digit) == 4;
        (!row && !ends_in_word(text, end) && is_card(&digits)).then_some(end)
    })
}

fn ends_in_word(text: &[u8], end: usize) -> bool {
    byte(text, end).is_ascii_alphanumeric() || byte(text, end) == b'_'
}

fn is_card(digits: &[u8]) -> bool {
    digits.iter().all(u8::is_ascii_digit) && is_issued(digits) && passes_luhn(digits)
}

/// Whether an issuer gives out numbers like this.
fn is_issued(digits: &[u8]) -> bool {
    let six = digits.iter().take(6).fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    let (two, three, four) = (six / 10_000, six / 1000, six / 100);
    match digits.len() {
        13 => two / 10 == 4,
        14 => matches!(three, 300..=305) || four == 3095 || matches!(two, 36 | 38 | 39),
        15 => matches!(two, 34 | 37),
        16 => {
            two / 10 == 4
                || matches!(two, 51..=55)
                || matches!(four, 2200..=2204 | 2221..=2720)
                || matches!(four, 5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763 | 9792)
                || matches!(three, 508 | 606)
                || matches!(six, 506_099..=506_198)
                || is_long(four)
        }
        19 => two / 10 == 4 || is_long(four),
        17 | 18 => is_long(four),
        _ => false,
    }
}

/// Discover, `RuPay` and `UnionPay`, JCB, Maestro: 16 to 19 digits.
const fn is_long(four: u32) -> bool {
    matches!(four, 6011 | 6440..=6599 | 6200..=6299 | 3528..=3589 | 6759)
}

/// ISO/IEC 7812-1 annex B.
fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(digit - b'0')) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}
