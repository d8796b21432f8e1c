//! A transformation changes a value or leaves it and the output alone, and only where it said that it might.
#![no_main]

use edgeward::waf::transform::{ByteSet, Transformation};
use libfuzzer_sys::fuzz_target;

const BEFORE: &[u8] = b"what was there";

fuzz_target!(|data: &[u8]| {
    let bytes = ByteSet::of(data);
    for transformation in Transformation::all() {
        let mut out = BEFORE.to_vec();
        if transformation.apply(data, &mut out) {
            assert_ne!(out, data, "{transformation:?}");
            assert!(transformation.triggers().apply_to(&bytes), "{transformation:?}");
            assert!(out.len() <= data.len() * 4 + 20, "{transformation:?}");
        } else {
            assert_eq!(out, BEFORE, "{transformation:?}");
        }
    }
    agree(data);
});

/// What is true of some together.
fn agree(data: &[u8]) {
    let text = |transformation: Transformation, input: &[u8]| {
        let mut out = Vec::new();
        if transformation.apply(input, &mut out) { out } else { input.to_vec() }
    };
    assert_eq!(text(Transformation::Base64Decode, &text(Transformation::Base64Encode, data)), data);
    assert_eq!(text(Transformation::HexDecode, &text(Transformation::HexEncode, data)), data);
    assert_eq!(text(Transformation::UrlDecode, &text(Transformation::UrlEncode, data)), data);
    let left = text(Transformation::TrimLeft, data);
    assert_eq!(text(Transformation::TrimRight, &left), text(Transformation::Trim, data));
    for once in [
        Transformation::Lowercase,
        Transformation::CompressWhitespace,
        Transformation::RemoveWhitespace,
        Transformation::RemoveNulls,
        Transformation::ParityZero7bit,
        Transformation::Trim,
    ] {
        let result = text(once, data);
        assert_eq!(text(once, &result), result, "{once:?} twice");
    }
}
