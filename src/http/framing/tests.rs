use super::*;
use crate::http::chance::Chance;

const LIMITS: ChunkLimits = ChunkLimits { extension_bytes: 32, trailers: 2, trailer_bytes: 40 };

/// How many bytes belong to the body, or the fault; the whole input at once.
fn chunked(input: &[u8]) -> Result<(usize, bool), &'static str> {
    let mut framing = Framing::chunked(LIMITS);
    let taken = framing.feed(input).map_err(|fault| fault.reason)?;
    Ok((taken, framing.is_done()))
}

#[track_caller]
fn refuses(input: &str, reason: &str) {
    assert_eq!(chunked(input.as_bytes()), Err(reason), "{}", input.escape_debug());
}

#[track_caller]
fn accepts(input: &str) {
    let stream = format!("{input}GET /next");
    assert_eq!(chunked(stream.as_bytes()), Ok((input.len(), true)), "{}", input.escape_debug());
}

#[test]
fn counts_a_length_off_and_leaves_the_next_request() {
    let mut framing = Framing::length(5);
    assert_eq!((framing.feed(b"abc"), framing.is_done()), (Ok(3), false));
    assert_eq!((framing.feed(b"deGET /"), framing.is_done()), (Ok(2), true));
    assert_eq!(framing.feed(b"GET /"), Ok(0));
    assert!(Framing::length(0).is_done());
    let mut endless = Framing::length(u64::MAX);
    assert_eq!((endless.feed(b"abc"), endless.is_done()), (Ok(3), false));
}

#[test]
fn frames_what_a_head_says() {
    assert!(Framing::of(Body::None, LIMITS).is_done());
    assert_eq!(Framing::of(Body::Length(2), LIMITS).feed(b"abc"), Ok(2));
    assert_eq!(Framing::of(Body::Chunked, LIMITS).feed(b"0\r\n\r\nx"), Ok(5));
}

#[test]
fn reads_well_formed_chunks() {
    accepts("0\r\n\r\n");
    accepts("5\r\nhello\r\n0\r\n\r\n");
    accepts("A\r\n0123456789\r\na\r\n0123456789\r\n000\r\n\r\n");
    accepts("0000000000000005\r\n\r\n\r\n0\r\n0\r\n\r\n");
    assert_eq!(chunked(b"7fffffffffffffff\r\nabc"), Ok((21, false)));
    assert_eq!(chunked(b"5\r\nhello"), Ok((8, false)));
}

#[test]
fn refuses_chunk_sizes_with_two_readings() {
    for size in [
        "", " 5", "5 ", "\t5", "5\t", "+5", "-5", "0x5", "0X5", "5h", "g", "5,", "\"5\"", "5_0", "\x0b5",
        "\0", "5\0", "5.0", "\u{665}", "=5",
    ] {
        refuses(&format!("{size}\r\nhello\r\n0\r\n\r\n"), "bad_chunk_size");
    }
    refuses("\n5\r\nhello\r\n0\r\n\r\n", "bad_chunk_size");
    refuses("5\nhello\r\n0\r\n\r\n", "chunk_size_line_end");
    refuses("5\rhello\r\n0\r\n\r\n", "chunk_size_line_end");
    refuses("5\r\rhello\r\n0\r\n\r\n", "chunk_size_line_end");
    refuses("0\n\n", "chunk_size_line_end");
    refuses("8000000000000000\r\n", "chunk_size_overflow");
    refuses("ffffffffffffffff\r\n", "chunk_size_overflow");
    refuses("10000000000000005\r\n", "chunk_size_overflow");
    refuses("00000000000000005\r\n", "chunk_size_overflow");
}

#[test]
fn refuses_data_that_is_not_as_long_as_told() {
    for end in ["\n0\r\n\r\n", "x\r\n0\r\n\r\n", "\r0\r\n\r\n", "\r\r\n", "0\r\n\r\n"] {
        refuses(&format!("5\r\nhello{end}"), "chunk_data_line_end");
    }
    refuses("5\r\nhell\r\n0\r\n\r\n", "chunk_data_line_end");
    refuses("5\r\nhello\r\n\r\n", "bad_chunk_size");
}

#[test]
fn checks_and_bounds_chunk_extensions() {
    for extension in [";a", ";a=b", ";a;b=c;d", ";a=\"b\"", ";a=\"\\\"\t ;=\";b", ";a=\"\"", ";a=\"\u{e9}\""]
    {
        accepts(&format!("5{extension}\r\nhello\r\n0{extension}\r\n\r\n"));
    }
    for extension in [
        ";",
        ";;",
        ";=",
        ";a=",
        ";a=;b",
        ";a b",
        "; a",
        ";a =b",
        ";a= b",
        ";a ",
        ";a=\"b",
        ";a=\"b\"c",
        ";a=\"b\" ",
        ";a=b=c",
        ";a=b\"",
        ";a=\"\\",
        ";\0",
        ";a=\"\0\"",
        ";a\n",
        ";a\nb",
        ";a=\"\n\"",
        ";a=\"\r\n\"",
        ";a\x0b",
        ";\u{e9}",
        ";a=\"\x7f\"",
        ";\n",
    ] {
        refuses(&format!("5{extension}\r\nhello\r\n0\r\n\r\n"), "bad_chunk_extension");
    }
    refuses("5;a\rhello\r\n0\r\n\r\n", "chunk_size_line_end");
    accepts(&format!("0;{}\r\n\r\n", "a".repeat(31)));
    refuses(&format!("0;{}\r\n\r\n", "a".repeat(32)), "chunk_extensions_too_long");
    refuses(&format!("{}0\r\n\r\n", "1;abcdef\r\nx\r\n".repeat(5)), "chunk_extensions_too_long");
}

#[test]
fn holds_trailers_to_the_rules_of_a_head() {
    accepts("0\r\nDigest: x\r\nX-Y:\tz\u{e9} \r\n\r\n");
    for (line, reason) in [
        ("X", "missing_colon"),
        ("X : y", "space_before_colon"),
        (" X: y", "obs_fold"),
        (": y", "empty_field_name"),
        ("X\0: y", "bad_field_name"),
        ("X: \0", "control_in_value"),
        ("X: a\nY: b", "bare_lf"),
        ("X: a\rY: b", "bare_cr"),
        ("X: a\n", "bare_lf"),
        ("GET / HTTP/1.1", "missing_colon"),
        ("GET http://h/ HTTP/1.1", "space_before_colon"),
    ] {
        refuses(&format!("0\r\n{line}\r\n\r\n"), reason);
    }
    refuses("0\r\n\n", "bare_lf");
    refuses("0\r\n\rx", "bare_cr");
    refuses("0\r\nX: y\r\n z: 1\r\n\r\n", "obs_fold");
}

#[test]
fn refuses_trailers_that_act_on_the_request() {
    for name in [
        "Content-Length",
        "transfer-encoding",
        "HOST",
        "Authorization",
        "cookie",
        "Trailer",
        "te",
        "Connection",
        "expect",
        "content_length",
        "X-Forwarded-For",
        "Content-Type",
        "If-Match",
        "cache-control",
    ] {
        refuses(&format!("0\r\n{name}: x\r\n\r\n"), "forbidden_trailer");
    }
}

#[test]
fn bounds_trailers() {
    refuses("0\r\na: 1\r\nb: 2\r\nc: 3\r\n\r\n", "too_many_trailers");
    accepts(&format!("0\r\nx: {}\r\n\r\n", "y".repeat(35)));
    refuses(&format!("0\r\nx: {}\r\n\r\n", "y".repeat(36)), "trailers_too_long");
    refuses(&format!("0\r\nx: {}", "y".repeat(4000)), "trailers_too_long");
}

#[test]
fn stays_at_its_fault_and_at_its_end() {
    let mut framing = Framing::chunked(LIMITS);
    let fault = framing.feed(b"x");
    assert_eq!((framing.feed(b"0\r\n\r\n"), framing.is_done()), (fault, false));
    assert!(fault.is_err());
    let mut framing = Framing::chunked(LIMITS);
    assert_eq!(framing.feed(b"0\r\n\r\n"), Ok(5));
    assert_eq!((framing.feed(b"\r\n"), framing.is_done()), (Ok(0), true));
}

/// Feeds the input in pieces: bytes taken before the end or the fault, and which of them it was.
fn in_pieces(input: &[u8], mut next: impl FnMut() -> usize) -> (usize, Result<bool, &'static str>) {
    let mut framing = Framing::chunked(LIMITS);
    let (mut taken, mut rest) = (0, input);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(next().clamp(1, rest.len()));
        match framing.feed(piece) {
            Ok(count) => {
                taken += count;
                if count < piece.len() {
                    assert!(framing.is_done());
                    break;
                }
            }
            Err(fault) => return (0, Err(fault.reason)),
        }
        rest = after;
    }
    (taken, Ok(framing.is_done()))
}

#[test]
fn makes_no_difference_how_bytes_are_cut() {
    let pieces: [&[u8]; 22] = [
        b"5\r\nhello\r\n",
        b"a\r\n0123456789\r\n",
        b"1;x=\"y\"\r\nz\r\n",
        b"0\r\n",
        b"\r\n",
        b"0",
        b"3",
        b"\r",
        b"\n",
        b";",
        b"=",
        b"\"",
        b"a",
        b" ",
        b"0;b\r\n",
        b"X: y\r\n",
        b"Host: h\r\n",
        b":",
        b"GET / HTTP/1.1\r\n",
        b"0\r\n\r\n",
        b"0\r\n\r\n",
        b"\xff",
    ];
    let mut chance = Chance::new(17);
    let (mut done, mut failed) = (0, 0);
    for _ in 0..30_000 {
        let input = chance.glue(&pieces, 8);
        let whole = in_pieces(&input, || usize::MAX);
        assert_eq!(in_pieces(&input, || 1), whole, "{}", input.escape_ascii());
        assert_eq!(in_pieces(&input, || 1 + chance.below(6)), whole, "{}", input.escape_ascii());
        match whole {
            (taken, Ok(true)) => {
                done += 1;
                assert!(input[..taken].ends_with(b"\r\n\r\n"), "{}", input.escape_ascii());
                let bare = |pair: &[u8]| pair[1] == b'\n' && pair[0] != b'\r';
                assert!(!input[..taken].windows(2).any(bare), "{}", input.escape_ascii());
            }
            (_, Err(_)) => failed += 1,
            _ => {}
        }
    }
    assert!(done > 500 && failed > 500, "{done} {failed}");
}
