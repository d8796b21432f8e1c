use std::io::Read;

use super::*;
use crate::http::chance::Chance;

const CODINGS: [Coding; 3] = [Coding::Zstd { level: 3 }, Coding::Br { level: 3 }, Coding::Gzip { level: 4 }];

/// Text that compresses about as well as JSON does.
fn text(chance: &mut Chance, length: usize) -> Vec<u8> {
    let words: [&[u8]; 6] = [b"{\"id\":", b"\"name\":\"", b"1049", b"\",\n", b"order", b"}, "];
    let mut text = Vec::new();
    while text.len() < length {
        text.extend_from_slice(chance.pick::<&[u8]>(&words));
        text.push(chance.below(256).to_le_bytes()[0]);
    }
    text.truncate(length);
    text
}

fn decoder<'a>(coding: Coding, encoded: &'a [u8]) -> Box<dyn Read + 'a> {
    match coding {
        Coding::Zstd { .. } => Box::new(zstd::stream::read::Decoder::new(encoded).unwrap()),
        Coding::Br { .. } => Box::new(brotli::Decompressor::new(encoded, 4096)),
        Coding::Gzip { .. } => Box::new(flate2::read::MultiGzDecoder::new(encoded)),
    }
}

fn decode(coding: Coding, encoded: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    decoder(coding, encoded).read_to_end(&mut decoded).unwrap();
    decoded
}

/// Encodes the body in random pieces, with random flushes.
fn encode(coding: Coding, told: Option<u64>, body: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut encoder = Encoder::new(coding, told).unwrap();
    let mut out = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let most = if chance.below(2) == 0 { 40 } else { 60_000 };
        let (piece, more) = rest.split_at(chance.below(rest.len().min(most)) + 1);
        rest = more;
        let then = *chance.pick(&[Then::GoOn, Then::GoOn, Then::Flush]);
        out.extend(encoder.encode(piece, then).unwrap());
    }
    out.extend(encoder.encode(&[], Then::Finish).unwrap());
    out
}

#[test]
fn decodes_to_the_same_bytes_however_the_body_is_cut() {
    let mut chance = Chance::new(7);
    for coding in CODINGS {
        for length in [0, 1, 100, 4096, 70_000, 700_000] {
            let body = text(&mut chance, length);
            for told in [None, Some(length as u64)] {
                let encoded = encode(coding, told, &body, &mut chance);
                assert!(decode(coding, &encoded) == body, "{coding:?}, {length} bytes, told {told:?}");
            }
        }
    }
}

#[test]
fn survives_a_wrong_length() {
    let mut chance = Chance::new(8);
    let body = text(&mut chance, 100_000);
    for coding in CODINGS {
        for told in [0, 1, 99_999, 10_000_000, u64::MAX] {
            let encoded = encode(coding, Some(told), &body, &mut chance);
            assert!(decode(coding, &encoded) == body, "{coding:?}, told {told}");
        }
    }
}

#[test]
fn encodes_what_cannot_be_compressed() {
    let mut chance = Chance::new(9);
    let body: Vec<u8> = (0..50_000).flat_map(|_| chance.next().to_le_bytes()).collect();
    for coding in CODINGS {
        let encoded = encode(coding, None, &body, &mut chance);
        assert!(decode(coding, &encoded) == body, "{coding:?}");
    }
}

#[test]
fn a_flush_gives_out_all_that_came_in() {
    for coding in CODINGS {
        let mut encoder = Encoder::new(coding, None).unwrap();
        let mut out = Vec::new();
        let mut sent = Vec::new();
        for piece in [&b"data: 1\n\n"[..], b"data: 2\n\n", &[b'x'; 9000]] {
            out.extend(encoder.encode(piece, Then::Flush).unwrap());
            sent.extend_from_slice(piece);
            let mut decoded = vec![0; sent.len()];
            decoder(coding, &out).read_exact(&mut decoded).unwrap();
            assert!(decoded == sent, "{coding:?}");
        }
    }
}

#[test]
fn holds_small_pieces_back_without_a_flush() {
    for coding in CODINGS {
        let mut encoder = Encoder::new(coding, None).unwrap();
        let bytes: usize = (0..100).map(|_| encoder.encode(b"{}", Then::GoOn).unwrap().len()).sum();
        assert!(bytes <= 10, "{coding:?} gave {bytes} bytes away, which are no more than its header");
    }
}

#[test]
fn fits_the_window_to_the_body() {
    assert_eq!(window_log(None, 10, 18), 18);
    assert_eq!(window_log(Some(1 << 30), 10, 18), 18);
    assert_eq!(window_log(Some(65_536), 10, 18), 16);
    assert_eq!(window_log(Some(65_537), 10, 18), 17);
    assert_eq!(window_log(Some(0), 10, 18), 10);
    assert_eq!(window_log(Some(u64::MAX), 9, 15), 15);
}

#[test]
fn never_asks_a_client_for_a_window_above_256_kib() {
    let mut chance = Chance::new(10);
    let body = text(&mut chance, 2 << 20);
    let encoded = encode(Coding::Zstd { level: 12 }, None, &body, &mut chance);
    let decodes_within = |log| {
        let mut decoder = zstd::stream::read::Decoder::new(&encoded[..]).unwrap();
        decoder.window_log_max(log).unwrap();
        decoder.read_to_end(&mut Vec::new()).is_ok()
    };
    assert!(decodes_within(18));
    assert!(!decodes_within(17));

    // RFC 7932 section 9.1: the low four bits 0011 say 18.
    let encoded = encode(Coding::Br { level: 6 }, None, &body, &mut chance);
    assert_eq!(encoded[0] & 0b1111, 0b0011);
}

#[test]
fn a_higher_level_compresses_better() {
    let mut chance = Chance::new(11);
    let body = text(&mut chance, 300_000);
    let length = |coding| Encoder::new(coding, None).unwrap().encode(&body, Then::Finish).unwrap().len();
    assert!(length(Coding::Zstd { level: 12 }) < length(Coding::Zstd { level: 1 }));
    assert!(length(Coding::Br { level: 6 }) < length(Coding::Br { level: 0 }));
    assert!(length(Coding::Gzip { level: 9 }) < length(Coding::Gzip { level: 1 }));
}
