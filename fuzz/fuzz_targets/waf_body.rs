//! Whatever a body says, what is handed over is within the limits and in the input or the arena, and the same again.
#![no_main]

use edgeward::http::decompress;
use edgeward::waf::body::{
    Arena, Fault, Item, Limits, Sink, cookie, graphql, json, multipart, urlencoded, wide, xml,
};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits =
    Limits { items: 64, name_bytes: 256, value_bytes: 2048, arena_bytes: 16 << 10, depth: 8, files: 4 };

fuzz_target!(|data: &[u8]| {
    let Some((choice, input)) = data.split_first() else { return };
    match choice % 7 {
        6 => return inflate(choice / 7, input),
        5 => check(input, |arena, sink| {
            let content_type = b"multipart/form-data; boundary=b";
            let report = multipart::parse(content_type, input, arena, &LIMITS, sink);
            let is_malformed = matches!(report.outcome, Err(Fault::Malformed { .. }));
            assert!(!is_malformed || report.flags.has(multipart::Flag::Error));
            report.outcome
        }),
        4 => check(input, |arena, sink| xml::parse(input, arena, &LIMITS, sink)),
        3 => check(input, |arena, sink| graphql::parse(input, arena, &LIMITS, sink)),
        2 => {
            let outcome = check(input, |arena, sink| json::parse(input, arena, &LIMITS, sink));
            let many = check(input, |arena, sink| json::parse_many(input, arena, &LIMITS, sink));
            assert!(many.is_ok() || outcome.is_err());
            check(input, |arena, sink| json::loose::parse(input, b"json", arena, &LIMITS, sink)).ok();
            assert!(json::loose::begins(input) || !input.starts_with(b"{}"));
            assert!(wide::decoded(input).is_none_or(|text| text.len() <= input.len() * 3));
            let theirs = serde_json::from_slice::<serde_json::Value>(input);
            assert!(theirs.is_ok() || outcome.is_err() || input.is_empty() || is_good_to_us(theirs, input));
            outcome
        }
        1 => check(input, |arena, sink| cookie::parse(input, arena, &LIMITS, sink)),
        _ => check(input, |arena, sink| urlencoded::parse(input, b'&', arena, &LIMITS, sink).map(drop)),
    }
    .ok();
});

/// Runs a parser twice over one arena, as requests do.
fn check(input: &[u8], parse: impl Fn(&mut Arena, &mut dyn Sink) -> Result<(), Fault>) -> Result<(), Fault> {
    let mut arena = Arena::default();
    let mut runs = [(); 2].map(|()| {
        arena.clear(1024);
        let mut items: Vec<Item> = Vec::new();
        let outcome = parse(&mut arena, &mut |item| items.push(item));
        assert!(items.len() <= LIMITS.items);
        for item in &items {
            assert_eq!(arena.text(input, item.name).len(), item.name.len());
            assert_eq!(arena.text(input, item.value).len(), item.value.len());
            assert!(item.name.len() <= LIMITS.name_bytes);
        }
        (items, outcome)
    });
    assert_eq!(runs[0], runs[1]);
    std::mem::replace(&mut runs[0].1, Ok(()))
}

/// Numbers past 1e308, half a surrogate pair and a byte order mark are good JSON to us.
fn is_good_to_us(theirs: serde_json::Result<serde_json::Value>, input: &[u8]) -> bool {
    let of_us = ["out of range", "hex escape"];
    theirs.is_err_and(|error| of_us.iter().any(|text| error.to_string().contains(text)))
        || input.starts_with(b"\xef\xbb\xbf")
}

fn inflate(coding: u8, input: &[u8]) {
    let coding: &[u8] = match coding % 5 {
        0 => b"gzip",
        1 => b"deflate",
        2 => b"br",
        3 => b"zstd",
        _ => b"gzip, br",
    };
    let limits = decompress::DecodeLimits { output_bytes: 256 << 10, ratio: 20, codings: 2, members: true };
    let run = |most: usize| {
        let mut decoder = decompress::Decoder::new([coding], limits).ok().flatten().expect("a coding");
        let mut out = Vec::new();
        let outcome = input.chunks(most).try_for_each(|piece| decoder.write(piece, &mut out));
        assert!(out.len() <= limits.output_bytes);
        (outcome.and_then(|()| decoder.finish()), out)
    };
    let (whole, pieces) = (run(usize::MAX), run(3));
    if whole.0.is_ok() && pieces.0.is_ok() {
        assert_eq!(whole.1, pieces.1);
    }
}
