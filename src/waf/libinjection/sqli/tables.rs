//! The words of SQL and the fingerprints of attacks, as hash tables that are built at first use.
//!
//! `words.txt` has the kind and the word or phrase, `fingerprints.txt` a fingerprint a line, in capitals. Most words of a
//! benign value are not in the table, and most of those are told by their length and first letter alone.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::token::Kind;

/// The table, which is the same for all.
pub(super) static TABLES: LazyLock<Tables> = LazyLock::new(Tables::build);

const WORD_SLOTS: usize = 4096;
const FINGERPRINT_SLOTS: usize = 32768;

/// A word or phrase.
pub(super) struct Word {
    /// In capitals.
    pub text: &'static str,
    /// `None` if it only starts phrases.
    pub kind: Option<Kind>,
    /// Phrases start with it.
    pub leads: bool,
    /// Its place in the table plus one.
    pub number: u16,
}

impl Word {
    const fn new(text: &'static str) -> Self {
        Self { text, kind: None, leads: false, number: 0 }
    }
}

pub(super) struct Tables {
    words: Vec<Word>,
    /// Index into `words` plus one; 0 is free.
    word_slots: Vec<u16>,
    /// By first byte, which lengths occur.
    lengths: [u32; 256],
    /// 0 is free.
    fingerprint_slots: Vec<u32>,
}

impl Tables {
    fn build() -> Self {
        let mut words = BTreeMap::new();
        for (kind, text) in include_str!("words.txt").lines().filter_map(|line| line.split_once(' ')) {
            let word: &mut Word = words.entry(text).or_insert(Word::new(text));
            word.kind = kind.bytes().next().and_then(Kind::of_word);
            for lead in text.match_indices(' ').filter_map(|(space, _)| text.get(..space)) {
                words.entry(lead).or_insert(Word::new(lead)).leads = true;
            }
        }
        let mut tables = Self {
            words: words.into_values().collect(),
            word_slots: vec![0; WORD_SLOTS],
            lengths: [0; 256],
            fingerprint_slots: vec![0; FINGERPRINT_SLOTS],
        };
        for (word, number) in tables.words.iter_mut().zip(1..) {
            word.number = number;
            let text = word.text.as_bytes();
            insert(&mut tables.word_slots, hash(text), number);
            let first = text.first().copied().unwrap_or_default();
            tables.lengths[usize::from(first)] |= 1 << text.len();
            tables.lengths[usize::from(first.to_ascii_lowercase())] |= 1 << text.len();
        }
        for line in include_str!("fingerprints.txt").lines() {
            let key = pack(line.bytes());
            insert(&mut tables.fingerprint_slots, scatter(key), key);
        }
        tables
    }

    /// The entry of a word of at most 31 bytes in any case.
    #[inline]
    pub(super) fn word(&self, text: &[u8]) -> Option<&Word> {
        let first = *text.first()?;
        if self.lengths[usize::from(first)] >> text.len() & 1 == 0 {
            return None;
        }
        let mut at = hash(text);
        loop {
            let word = self.numbered(*self.word_slots.get(at % WORD_SLOTS)?)?;
            if word.text.as_bytes().eq_ignore_ascii_case(text) {
                return Some(word);
            }
            at += 1;
        }
    }

    /// The entry of this number, if it is one.
    #[inline]
    pub(super) fn numbered(&self, number: u16) -> Option<&Word> {
        usize::from(number).checked_sub(1).and_then(|index| self.words.get(index))
    }

    /// Whether these kinds, at most five, are the fingerprint of an attack.
    #[inline]
    pub(super) fn is_attack(&self, kinds: impl Iterator<Item = u8>) -> bool {
        let key = pack(kinds);
        let mut at = scatter(key);
        loop {
            match self.fingerprint_slots.get(at % FINGERPRINT_SLOTS) {
                None | Some(0) => return false,
                Some(found) if *found == key => return true,
                _ => at += 1,
            }
        }
    }
}

/// Case-blind. Words differ in their length, their first eight or their last eight bytes, or else share a slot.
#[inline]
fn hash(text: &[u8]) -> usize {
    const UPPER: u64 = 0xdfdf_dfdf_dfdf_dfdf;
    let (head, tail) = if let (Some(head), Some(tail)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        (u64::from_le_bytes(*head), u64::from_le_bytes(*tail))
    } else if let (Some(head), Some(tail)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        (u32::from_le_bytes(*head).into(), u32::from_le_bytes(*tail).into())
    } else if let (Some(head), Some(tail)) = (text.first_chunk::<2>(), text.last_chunk::<2>()) {
        (u16::from_le_bytes(*head).into(), u16::from_le_bytes(*tail).into())
    } else {
        (text.first().copied().unwrap_or(0).into(), 0)
    };
    let mixed = (head & UPPER).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ (tail & UPPER).wrapping_mul(0xc2b2_ae3d_27d4_eb4f).rotate_left(32)
        ^ (text.len() as u64).wrapping_mul(0x1656_67b1_9e37_79f9);
    (mixed >> 40) as usize
}

/// Five symbols of six bits each. In capitals, no two of them are the same modulo 61 and none is 0.
#[inline]
fn pack(kinds: impl Iterator<Item = u8>) -> u32 {
    kinds.fold(0, |key, kind| key << 6 | u32::from(kind.to_ascii_uppercase() % 61))
}

/// Into the first free slot; the tables have room.
fn insert<T: Copy + Default + PartialEq>(slots: &mut [T], at: usize, value: T) {
    let (before, after) = slots.split_at_mut(at % slots.len());
    if let Some(slot) = after.iter_mut().chain(before).find(|slot| **slot == T::default()) {
        *slot = value;
    }
}

#[inline]
fn scatter(key: u32) -> usize {
    (key.wrapping_mul(0x9e37_79b1) >> 17) as usize
}
