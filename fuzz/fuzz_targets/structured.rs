//! A structured field that can be read is written in one way, and read from that as the same.
#![no_main]

use edgeward::http::structured::{Limits, Unreadable, read};
use libfuzzer_sys::fuzz_target;
use sfv::{Dictionary, FieldType, Item, List};

const LIMITS: Limits = Limits { bytes: 1024, parts: 64 };
const NONE: Limits = Limits { bytes: usize::MAX, parts: usize::MAX };

fuzz_target!(|data: &[u8]| {
    round_trip::<Item>(data);
    round_trip::<List>(data);
    round_trip::<Dictionary>(data);
});

fn round_trip<T: FieldType + PartialEq + std::fmt::Debug>(data: &[u8]) {
    let lines = || data.split(|byte| *byte == b'\n');
    let value = match read::<T>(lines(), LIMITS) {
        Ok(value) => value.expect("there is a line"),
        Err(Unreadable::TooLong | Unreadable::Malformed) => return,
    };
    let Some(text) = value.serialize().into() else { return };
    assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')));
    let again = read::<T>([text.as_bytes()], NONE).expect("what was written can be read");
    assert_eq!(again, Some(value));
}
