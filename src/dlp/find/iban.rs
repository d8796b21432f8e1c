//! International bank account numbers (ISO 13616): a country's length and the check digits (mod 97) agree, in one piece or
//! in groups of four with spaces. As machines and forms write them: in capitals.

use std::ops::Range;

use super::Found;
use super::places::{before, byte, continues_word, in_runs, last_four};

/// 34 characters, eight spaces, and what is looked at after them.
pub(super) const REACH: usize = 48;

const SHORTEST: usize = 15;

/// Country codes with their lengths, from the registry of ISO 13616, in order.
const COUNTRIES: [(&[u8; 2], usize); 88] = [
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HN", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
];

pub(super) fn next(text: &[u8], within: Range<usize>, kind: usize) -> Option<Found> {
    in_runs(text, within, SHORTEST, is_inside, |at| iban(text, at, kind))
}

fn is_character(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

/// A character, or one space between two.
fn is_inside(text: &[u8], at: usize) -> bool {
    match byte(text, at) {
        b' ' => is_character(before(text, at)) && is_character(byte(text, at + 1)),
        other => is_character(other),
    }
}

fn iban(text: &[u8], at: usize, kind: usize) -> Option<Found> {
    let [first, second, tens, ones] = *text.get(at..)?.first_chunk::<4>()?;
    let begins = first.is_ascii_uppercase() && second.is_ascii_uppercase();
    if !begins || !tens.is_ascii_digit() || !ones.is_ascii_digit() || continues_word(text, at) {
        return None;
    }
    let index = COUNTRIES.binary_search_by(|(country, _)| (*country).cmp(&[first, second])).ok()?;
    let (_, length) = COUNTRIES.get(index)?;
    let grouped = byte(text, at + 4) == b' ';
    let mut characters = Vec::with_capacity(*length);
    let mut end = at;
    while characters.len() < *length {
        if grouped && !characters.is_empty() && characters.len().is_multiple_of(4) {
            if byte(text, end) != b' ' {
                return None;
            }
            end += 1;
        }
        let character = byte(text, end);
        if !is_character(character) {
            return None;
        }
        characters.push(character);
        end += 1;
    }
    let goes_on = byte(text, end).is_ascii_alphanumeric() || byte(text, end) == b'_';
    (!goes_on && checks(&characters)).then(|| Found {
        at: at..end,
        hidden: at + 2..last_four(text, at..end),
        kind,
        then: None,
    })
}

/// ISO 7064 mod 97-10, with the first four characters behind the others and letters as 10 to 35.
fn checks(characters: &[u8]) -> bool {
    let (front, rest) = characters.split_at(characters.len().min(4));
    let rest = rest.iter().chain(front).fold(0_u32, |rest, character| {
        if character.is_ascii_digit() {
            (rest * 10 + u32::from(character - b'0')) % 97
        } else {
            (rest * 100 + u32::from(character - b'A') + 10) % 97
        }
    });
    rest == 1
}
