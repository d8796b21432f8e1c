//! What is at and around a place of a text.

use std::ops::Range;

use super::Found;

/// The byte at a place; a line end where there is none, for nothing goes on beyond either.
pub(super) fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(b'\n')
}

/// The byte before a place.
pub(super) fn before(text: &[u8], at: usize) -> u8 {
    at.checked_sub(1).map_or(b'\n', |at| byte(text, at))
}

/// Whether the byte before a place is part of a word that goes on there. The letter of an escape (`\n` as two bytes) is
/// not.
pub(super) fn continues_word(text: &[u8], at: usize) -> bool {
    let last = before(text, at);
    let escaped = last.is_ascii_lowercase() && before(text, at - 1) == b'\\';
    (last.is_ascii_alphanumeric() || last == b'_') && !escaped
}

/// How many bytes from a place on are of a class, counted up to `most`.
pub(super) fn count(text: &[u8], at: usize, most: usize, of_class: impl Fn(&u8) -> bool) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.iter().take(most).take_while(|byte| of_class(byte)).count()
}

/// The first thing that begins within a range, in runs of bytes of which each is inside such a thing: `find` looks at one
/// place. Nothing is shorter than `shortest`, so it has a byte at one of the places that far apart, and most of a text is
/// not looked at.
pub(super) fn in_runs(
    text: &[u8],
    within: Range<usize>,
    shortest: usize,
    is_inside: impl Fn(&[u8], usize) -> bool,
    find: impl Fn(usize) -> Option<Found>,
) -> Option<Found> {
    let mut sample = within.start;
    while sample < text.len().min(within.end + shortest) {
        if !is_inside(text, sample) {
            sample += shortest - 1;
            continue;
        }
        let mut start = sample;
        while start > within.start && is_inside(text, start - 1) {
            start -= 1;
        }
        let mut end = sample;
        while is_inside(text, end) {
            end += 1;
        }
        if end - start >= shortest
            && let Some(found) = (start..end.min(within.end)).find_map(&find)
        {
            return Some(found);
        }
        sample = end + shortest - 1;
    }
    None
}

/// Where the last four characters of a number begin, whatever separates them.
pub(super) fn last_four(text: &[u8], range: Range<usize>) -> usize {
    let characters = range.clone().rev().filter(|at| byte(text, *at).is_ascii_alphanumeric());
    characters.take(4).last().unwrap_or(range.end)
}
