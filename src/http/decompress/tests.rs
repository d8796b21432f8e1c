use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::*;
use crate::http::chance::Chance;

const LIMITS: DecodeLimits = DecodeLimits { output_bytes: 1 << 20, ratio: 100, codings: 2, members: false };

fn encode(coding: &str, text: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        "zlib" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        "raw" => {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        "br" => {
            let mut out = Vec::new();
            brotli::CompressorWriter::new(&mut out, 4096, 5, 20).write_all(text).unwrap();
            out
        }
        _ => zstd::encode_all(text, 3).unwrap(),
    }
}

/// The name of the coding in a header.
fn header(coding: &str) -> &str {
    match coding {
        "zlib" | "raw" => "deflate",
        other => other,
    }
}

fn decode_pieces<'a>(
    coding: &str,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    limits: DecodeLimits,
) -> (Vec<u8>, Result<(), DecodeFault>) {
    let mut decoder = Decoder::new([coding.as_bytes()], limits).unwrap().expect("a coding");
    let mut out = Vec::new();
    for piece in pieces {
        if let Err(fault) = decoder.write(piece, &mut out) {
            return (out, Err(fault));
        }
    }
    (out, decoder.finish())
}

fn decode(coding: &str, body: &[u8]) -> (Vec<u8>, Result<(), DecodeFault>) {
    decode_pieces(coding, [body], LIMITS)
}

const CODINGS: [&str; 5] = ["gzip", "zlib", "raw", "br", "zstd"];

fn sample() -> Vec<u8> {
    let mut chance = Chance::new(11);
    chance.glue(&[b"id=", b"name", b"&", b"%20", b"0123456789"], 100_000)
}

#[test]
fn decodes_whatever_the_pieces_are() {
    let text = sample();
    let mut chance = Chance::new(13);
    for coding in CODINGS {
        let body = encode(coding, &text);
        for most in [1, 7, 1000, 100_000] {
            let mut rest = &body[..];
            let mut pieces = Vec::new();
            while !rest.is_empty() {
                let (piece, after) = rest.split_at((1 + chance.below(most)).min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            let (out, outcome) = decode_pieces(header(coding), pieces, LIMITS);
            assert_eq!((outcome, out == text), (Ok(()), true), "{coding} {most}");
        }
    }
}

#[test]
fn knows_codings_by_their_names() {
    let new = |lines: &[&str]| Decoder::new(lines.iter().map(|line| line.as_bytes()), LIMITS);
    for lines in [&[][..], &[""], &["identity"], &[" , identity"]] {
        assert!(new(lines).unwrap().is_none(), "{lines:?}");
    }
    for lines in [&["GZIP"][..], &["x-gzip"], &["deflate, identity"], &["br"], &["zstd", "gzip"]] {
        assert!(new(lines).unwrap().is_some(), "{lines:?}");
    }
    for (lines, fault) in [
        (&["compress"][..], DecodeFault::Unknown),
        (&["gzip;q=1"], DecodeFault::Unknown),
        (&["gzip gzip"], DecodeFault::Unknown),
        (&["gzip, br", "gzip"], DecodeFault::Codings),
    ] {
        assert_eq!(new(lines).err(), Some(fault), "{lines:?}");
    }
}

#[test]
fn undoes_several_codings_in_reverse() {
    let text = sample();
    let body = encode("br", &encode("gzip", &text));
    let (out, outcome) = decode_pieces("gzip, br", body.chunks(100), LIMITS);
    assert_eq!((outcome, out == text), (Ok(()), true));
    let (_, outcome) = decode("br, gzip", &body);
    assert_eq!(outcome, Err(DecodeFault::Malformed));
}

#[test]
fn takes_no_bytes_for_a_complete_body_and_an_empty_stream_for_no_text() {
    for coding in CODINGS {
        assert_eq!(decode(header(coding), b""), (Vec::new(), Ok(())), "{coding}");
        assert_eq!(decode(header(coding), &encode(coding, b"")), (Vec::new(), Ok(())), "{coding}");
    }
}

#[test]
fn refuses_bodies_that_are_damaged() {
    let text = sample();
    for coding in CODINGS {
        let body = encode(coding, &text);
        let (out, outcome) = decode(header(coding), &body[..body.len() / 2]);
        assert_eq!(outcome, Err(DecodeFault::Truncated), "{coding}");
        // Half of a zstd block is nothing yet.
        assert!(text.starts_with(&out) && (!out.is_empty() || coding == "zstd"), "{coding}");
        let (out, outcome) = decode(header(coding), &[&body[..], b"x"].concat());
        assert_eq!((outcome, out == text), (Err(DecodeFault::Trailing), true), "{coding}");
        let twice = [&body[..], &body].concat();
        assert_eq!(decode(header(coding), &twice).1, Err(DecodeFault::Trailing), "{coding}");
        let (_, outcome) = decode(header(coding), b"\xff\xff\xff\xff no such stream \xff\xff");
        assert_eq!(outcome, Err(DecodeFault::Malformed), "{coding}");
    }
}

#[test]
fn reads_further_members_where_they_may_follow() {
    let limits = DecodeLimits { members: true, ..LIMITS };
    let text = sample();
    for coding in CODINGS {
        let body = encode(coding, &text);
        let twice = [&body[..], &body].concat();
        for size in [1, 7, twice.len()] {
            let (out, outcome) = decode_pieces(header(coding), twice.chunks(size), limits);
            if matches!(coding, "gzip" | "zstd") {
                assert_eq!((outcome, out == text.repeat(2)), (Ok(()), true), "{coding}");
            } else {
                assert_eq!((outcome, out == text), (Err(DecodeFault::Trailing), true), "{coding}");
            }
        }
        let outcome = decode_pieces(header(coding), [&body[..], b"x"], limits).1;
        let outcome = outcome.map_err(|fault| fault == DecodeFault::Trailing);
        assert_eq!(outcome, Err(!matches!(coding, "gzip" | "zstd")), "{coding}");
    }
}

#[test]
fn stops_bombs_where_they_pass_the_limit() {
    let zeros = vec![0; 4 << 20];
    for coding in CODINGS {
        let body = encode(coding, &zeros);
        let (out, outcome) =
            decode_pieces(header(coding), [&body[..]], DecodeLimits { ratio: usize::MAX, ..LIMITS });
        assert_eq!((outcome, out.len()), (Err(DecodeFault::OutputBytes), LIMITS.output_bytes), "{coding}");
        let (out, outcome) = decode_pieces(header(coding), [&body[..]], DecodeLimits { ratio: 2, ..LIMITS });
        assert_eq!(
            (outcome, out.len()),
            (Err(DecodeFault::Ratio), (2 * body.len()).max(FREE_BYTES)),
            "{coding}"
        );
        let short = encode(coding, &zeros[..FREE_BYTES]);
        let (out, outcome) = decode_pieces(header(coding), [&short[..]], DecodeLimits { ratio: 2, ..LIMITS });
        assert_eq!((outcome, out.len()), (Ok(()), FREE_BYTES), "{coding}");
        let twice = encode("gzip", &encode(coding, &encode(coding, &zeros)));
        let name = format!("{0}, {0}, gzip", header(coding));
        let limits = DecodeLimits { ratio: usize::MAX, codings: 3, ..LIMITS };
        let (out, outcome) = decode_pieces(&name, [&twice[..]], limits);
        assert_eq!((outcome, out.len()), (Err(DecodeFault::OutputBytes), LIMITS.output_bytes), "{coding}");
    }
}

#[test]
fn refuses_windows_that_no_sender_may_ask_for() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(24).unwrap();
    encoder.write_all(&sample()).unwrap();
    assert_eq!(decode("zstd", &encoder.finish().unwrap()).1, Err(DecodeFault::Malformed));
    // The first bits of a brotli stream with a window of 30 bits.
    assert_eq!(decode("br", &[0x11, 0x1e, 0, 0, 0, 0]).1, Err(DecodeFault::Malformed));
}

#[test]
fn never_panics_on_damaged_streams() {
    let text = sample();
    let mut chance = Chance::new(17);
    for coding in CODINGS {
        let body = encode(coding, &text[..5000]);
        for _ in 0..300 {
            let mut body = body.clone();
            let at = chance.below(body.len());
            body[at] ^= 1 << chance.below(8);
            let (out, outcome) = decode(header(coding), &body);
            assert!(out.len() <= LIMITS.output_bytes);
            assert!(outcome.is_err() || out.len() <= 2 * text.len(), "{coding}");
        }
    }
}
