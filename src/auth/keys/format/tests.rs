use std::collections::HashSet;

use regex::Regex;

use super::*;
use crate::auth::keys::fixtures::random;

fn key(seed: u64) -> KeyText {
    KeyText::generate(&mut random(seed)).unwrap()
}

#[test]
fn a_key_is_what_scanners_look_for_and_is_read_back() {
    let pattern = Regex::new(&format!("^{SCAN_PATTERN}$")).unwrap();
    for seed in 0..200 {
        let key = key(seed);
        assert!(pattern.is_match(key.expose()), "{}", key.expose());
        let presented = Presented::parse(key.expose().as_bytes()).unwrap();
        assert_eq!(presented.claimed_id(), Some(key.id().as_str()));
        assert_eq!(presented.digest(), key.digest());
    }
}

#[test]
fn a_known_key_stays_valid() {
    let text = b"ew_abcdefghij_0123456789ABCDEFGHIJKLMNOPQRSTUV";
    assert_eq!(text.len(), CHECKED_BYTES);
    // `zlib.crc32` of Python says 0xa557f396, which is 31jRKA in base 62.
    let whole = [&text[..], b"31jRKA"].concat();
    assert_eq!(Presented::parse(&whole).unwrap().claimed_id(), Some("abcdefghij"));
}

#[test]
fn every_secret_has_at_least_160_bits() {
    let characters = i32::try_from(SECRET_CHARACTERS).unwrap();
    assert!(62_f64.powi(characters) >= 2_f64.powi(160));
}

#[test]
fn keys_differ_and_use_every_character() {
    let keys: Vec<_> = (0..1000).map(key).collect();
    let texts: HashSet<_> = keys.iter().map(KeyText::expose).collect();
    assert_eq!(texts.len(), keys.len());
    let secrets = texts.iter().flat_map(|text| text[14..46].bytes());
    assert_eq!(secrets.collect::<HashSet<_>>().len(), 62);
    let ids = texts.iter().flat_map(|text| text[3..13].bytes());
    assert_eq!(ids.collect::<HashSet<_>>().len(), 36);
}

#[test]
fn makes_no_key_without_randomness() {
    let mut broken = |_: &mut [u8]| Err(io::Error::other("no entropy"));
    assert!(KeyText::generate(&mut broken).is_err());
}

#[test]
fn refuses_a_key_with_any_one_character_changed() {
    let key = key(1);
    let good = key.expose().as_bytes();
    for at in PREFIX.len()..good.len() {
        for byte in b' '..=b'~' {
            let mut forged = good.to_vec();
            forged[at] = byte;
            let same = byte == good[at];
            assert_eq!(Presented::parse(&forged).is_ok(), same, "{at} {byte}");
        }
    }
}

#[test]
fn refuses_a_key_cut_or_lengthened() {
    let key = key(2);
    let good = key.expose();
    for end in PREFIX.len()..good.len() {
        assert!(Presented::parse(&good.as_bytes()[..end]).is_err(), "{end}");
    }
    assert!(Presented::parse(format!("{good}0").as_bytes()).is_err());
    assert!(Presented::parse(format!("{good} ").as_bytes()).is_err());
    assert!(Presented::parse(format!("ew_{good}").as_bytes()).is_err());
}

#[test]
fn refuses_a_forged_checksum() {
    let key = key(3);
    let forged = format!("{}000000", &key.expose()[..CHECKED_BYTES]);
    assert!(Presented::parse(forged.as_bytes()).is_err());
}

#[test]
fn takes_keys_made_elsewhere_up_to_512_printable_bytes() {
    for text in ["x", "sk_live_51H", "0b4c1d2e-1111-4222-8333-444455556666", "with space", "größe"] {
        let presented = Presented::parse(text.as_bytes()).unwrap_or_else(|_| panic!("{text}"));
        assert_eq!(presented.claimed_id(), None);
        assert_eq!(presented.digest(), Digest::of(text.as_bytes()));
    }
    assert!(Presented::parse(&[b'x'; LONGEST_BYTES]).is_ok());
    assert!(Presented::parse(&[b'x'; LONGEST_BYTES + 1]).is_err());
    for text in [&b""[..], b"a\0b", b"a\nb", b"a\x7f"] {
        assert!(Presented::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn never_prints_a_key_whole() {
    let key = key(4);
    let secret = &key.expose()[14..];
    for printed in [format!("{key}"), format!("{key:?}"), format!("{:?}", Some(&key))] {
        assert!(printed.contains(key.id().as_str()) && !printed.contains(secret) && printed.contains("***"));
    }
}
