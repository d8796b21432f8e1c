//! A path that is let in is normal: no dot segment, nothing that a server may take for a slash, and the same
//! again.
#![no_main]

use edgeward::http::path::{DuplicateSlashes, EncodedSlash, Rules, normalise};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, target)) = data.split_first() else { return };
    let rules = Rules {
        duplicate_slashes: match choice % 3 {
            0 => DuplicateSlashes::Merge,
            1 => DuplicateSlashes::Keep,
            _ => DuplicateSlashes::Refuse,
        },
        encoded_slash: if choice & 4 == 0 { EncodedSlash::Refuse } else { EncodedSlash::DangerKeep },
    };
    let Ok(normal) = normalise(target, &rules) else { return };
    let path = normal.path();
    assert!(path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(!path.contains(['?', '#', '\\', '"', '<', '>']));
    assert!(rules.duplicate_slashes == DuplicateSlashes::Keep || !path.contains("//"));
    let decoded: Vec<u8> = percent_decode(path.as_bytes());
    assert!(!decoded.contains(&0) && !decoded.contains(&b'\\'));
    if rules.encoded_slash == EncodedSlash::Refuse {
        let slashes = |text: &[u8]| text.iter().filter(|byte| **byte == b'/').count();
        assert_eq!(slashes(&decoded), slashes(path.as_bytes()));
    }
    for segment in decoded.split(|byte| *byte == b'/') {
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        assert!(name != b"." && name != b"..");
    }
    let again = normal.to_target();
    let twice = normalise(again.as_bytes(), &rules).expect("normal");
    assert_eq!(twice.to_target(), again);
});

fn percent_decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'%' {
            let digits = std::str::from_utf8(&after[..2]).expect("two digits");
            decoded.push(u8::from_str_radix(digits, 16).expect("hexadecimal"));
            rest = &after[2..];
        } else {
            decoded.push(*byte);
        }
    }
    decoded
}
