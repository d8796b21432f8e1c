//! Holds back log records that repeat, so that a flood of errors that strangers cause stays a few lines a second.
//!
//! Within each second a text is printed once for each of the things it is about ([`NAMES`]), and one place in the code
//! prints at most [`PLACE_LIMIT`] lines: the second bound holds texts that differ in nothing but an address. Memory is
//! bounded by [`SLOTS`]; past that, what is new shares one slot. What was held back is told: by the next line of the same
//! text or place, or, where none comes, in one sum.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::mem;
use std::sync::{Mutex, PoisonError};

use log::Record;

/// The time in which texts count as repeated.
const WINDOW_MS: u64 = 1000;
/// Lines of one place in the code per window.
const PLACE_LIMIT: u32 = 50;
/// The fields that make a record another one: names from the policy, of which there are as many as the operator wrote. Of
/// ten backends that fail at once each is told. What strangers choose is no such name.
const NAMES: [&str; 4] = ["upstream", "backend", "issuer", "redis"];
/// Texts and places remembered at once.
const SLOTS: usize = 1024;
/// The slot of whatever finds no slot of its own.
const SHARED_SLOT: u64 = 0;

/// What to do with a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Print it, and say how many records like it were held back before.
    Print { suppressed: u64 },
    /// Print nothing.
    HoldBack,
}

/// Remembers what was printed in the last second.
pub(super) struct Sampler {
    hasher: RandomState,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    slots: HashMap<u64, Slot>,
    swept_ms: u64,
}

/// One text or one place, in the window that began last.
struct Slot {
    window_ms: u64,
    printed: u32,
    suppressed: u64,
}

impl Sampler {
    pub(super) fn new() -> Self {
        Self { hasher: RandomState::new(), table: Mutex::default() }
    }

    /// Judges a record, given the time of day. A clock that is set back begins new windows.
    pub(super) fn judge(&self, record: &Record<'_>, now_ms: u64) -> Verdict {
        let (place, text) = (self.place_key(record), self.text_key(record));
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let place_suppressed = match table.slot(place, now_ms) {
            slot if slot.printed >= PLACE_LIMIT => return slot.hold_back(),
            slot => mem::take(&mut slot.suppressed),
        };
        let text_suppressed = match table.slot(text, now_ms) {
            slot if slot.printed >= 1 => {
                slot.suppressed += place_suppressed;
                return slot.hold_back();
            }
            slot => {
                slot.printed += 1;
                mem::take(&mut slot.suppressed)
            }
        };
        table.slot(place, now_ms).printed += 1;
        Verdict::Print { suppressed: place_suppressed + text_suppressed }
    }

    /// How many records were held back of which nobody has been told, in windows that are over. Looks once a window.
    pub(super) fn take_forgotten(&self, now_ms: u64) -> u64 {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_over(table.swept_ms, now_ms) {
            return 0;
        }
        table.swept_ms = now_ms;
        let mut forgotten = 0;
        table.slots.retain(|_, slot| {
            let over = is_over(slot.window_ms, now_ms);
            forgotten += if over { slot.suppressed } else { 0 };
            !over
        });
        forgotten
    }

    fn place_key(&self, record: &Record<'_>) -> u64 {
        self.hasher.hash_one((record.target(), record.level(), record.file(), record.line()))
    }

    fn text_key(&self, record: &Record<'_>) -> u64 {
        let mut hasher = HashText(self.hasher.build_hasher());
        (record.target(), record.level()).hash(&mut hasher.0);
        // Hashing cannot fail; a value that refuses to print is as good as one that prints nothing.
        _ = fmt::write(&mut hasher, *record.args());
        for value in NAMES.iter().filter_map(|name| record.key_values().get((*name).into())) {
            _ = fmt::write(&mut hasher, format_args!("\0{value}"));
        }
        hasher.0.finish()
    }
}

impl Table {
    /// The slot of a key, in a window that is not over.
    fn slot(&mut self, key: u64, now_ms: u64) -> &mut Slot {
        let known = self.slots.len() < SLOTS || self.slots.contains_key(&key);
        let slot = self.slots.entry(if known { key } else { SHARED_SLOT });
        let slot = slot.or_insert(Slot { window_ms: now_ms, printed: 0, suppressed: 0 });
        if is_over(slot.window_ms, now_ms) {
            (slot.window_ms, slot.printed) = (now_ms, 0);
        }
        slot
    }
}

impl Slot {
    fn hold_back(&mut self) -> Verdict {
        self.suppressed += 1;
        Verdict::HoldBack
    }
}

fn is_over(window_ms: u64, now_ms: u64) -> bool {
    now_ms < window_ms || now_ms - window_ms >= WINDOW_MS
}

/// Hashes text as a formatter writes it, so that a message need not be printed to be compared.
struct HashText<H>(H);

impl<H: Hasher> fmt::Write for HashText<H> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use log::Level;

    use super::*;

    /// Judges a record at line `line` of some file.
    fn judge(sampler: &Sampler, line: u32, text: &str, now_ms: u64) -> Verdict {
        let mut builder = Record::builder();
        builder.level(Level::Error).target("t").file(Some("f.rs")).line(Some(line));
        sampler.judge(&builder.args(format_args!("{text}")).build(), now_ms)
    }

    fn printed(suppressed: u64) -> Verdict {
        Verdict::Print { suppressed }
    }

    #[test]
    fn prints_a_repeated_text_once_a_second_and_counts_the_rest() {
        let sampler = Sampler::new();
        assert_eq!(judge(&sampler, 1, "disk full", 5000), printed(0));
        for now_ms in 5001..5999 {
            assert_eq!(judge(&sampler, 1, "disk full", now_ms), Verdict::HoldBack);
        }
        assert_eq!(judge(&sampler, 1, "disk empty", 5999), printed(0), "another text is another matter");
        assert_eq!(judge(&sampler, 1, "disk full", 6000), printed(998));
        assert_eq!(judge(&sampler, 1, "disk full", 7000), printed(0), "what was told is told once");
    }

    #[test]
    fn tells_the_same_of_each_backend_but_not_of_each_client() {
        let sampler = Sampler::new();
        let of = |name: &str, value: &str| {
            let (fields, mut builder) = ((name, value), Record::builder());
            builder.level(Level::Warn).target("t").file(Some("f.rs")).line(Some(1)).key_values(&fields);
            sampler.judge(&builder.args(format_args!("down")).build(), 0)
        };
        assert_eq!(of("backend", "10.0.0.1:80"), printed(0));
        assert_eq!(of("backend", "10.0.0.2:80"), printed(0));
        assert_eq!(of("backend", "10.0.0.1:80"), Verdict::HoldBack);
        assert_eq!(of("client_ip", "192.0.2.1"), printed(0));
        assert_eq!(of("client_ip", "192.0.2.2"), Verdict::HoldBack);
    }

    #[test]
    fn bounds_what_one_place_prints_however_its_texts_differ() {
        let sampler = Sampler::new();
        for number in 0..PLACE_LIMIT {
            assert_eq!(judge(&sampler, 1, &format!("from {number}"), 0), printed(0));
        }
        assert_eq!(judge(&sampler, 1, "from 1000", 999), Verdict::HoldBack);
        assert_eq!(judge(&sampler, 2, "from 1001", 999), printed(0), "other places go on");
        assert_eq!(judge(&sampler, 1, "from 1002", 1000), printed(1));
    }

    #[test]
    fn texts_held_back_use_up_nothing_of_their_place() {
        let sampler = Sampler::new();
        for _ in 0..10 * PLACE_LIMIT {
            judge(&sampler, 1, "same", 0);
        }
        assert_eq!(judge(&sampler, 1, "different", 0), printed(0));
    }

    #[test]
    fn tells_of_texts_that_never_came_again_once() {
        let sampler = Sampler::new();
        for _ in 0..8 {
            judge(&sampler, 1, "gone", 5000);
        }
        assert_eq!(sampler.take_forgotten(5500), 0, "its window is not over");
        assert_eq!(sampler.take_forgotten(6500), 7);
        assert_eq!(sampler.take_forgotten(9000), 0);
    }

    #[test]
    fn remembers_a_bounded_number_of_texts_and_prints_on() {
        let sampler = Sampler::new();
        for line in 0..10_000 {
            judge(&sampler, line, &format!("text {line}"), 0);
        }
        assert!(sampler.table.lock().unwrap().slots.len() <= SLOTS + 1);
        assert_eq!(judge(&sampler, 20_000, "new", 500), Verdict::HoldBack, "all that is new shares a slot");
        assert!(sampler.take_forgotten(1500) > 0);
        assert_eq!(judge(&sampler, 20_000, "new", 1500), printed(0));
    }

    #[test]
    fn begins_a_new_window_when_the_clock_is_set_back() {
        let sampler = Sampler::new();
        assert_eq!(judge(&sampler, 1, "text", 50_000), printed(0));
        assert_eq!(judge(&sampler, 1, "text", 10), printed(0));
    }
}
