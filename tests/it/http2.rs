//! HTTP/2 by its frames: what RFC 9113 wants refused is refused, and what merely costs us is bounded.

use std::time::Duration;

use crate::harness::{Client, Edge, Fault, Origin, Reply};

const POLICY: &str = r#"
listeners:
  - address: "{listen}"
    h2c: true
    limits:
      { head_timeout: 300ms, idle_timeout: 500ms, stall: 300ms, min_rate: 500B, headers: 30,
        http2: { streams: 8, resets: 10 } }
upstreams:
  origin: { backends: ["{origin}"] }
routes:
  - { name: here, match: { path: / }, respond: { body: "here" } }
  - { name: all, upstream: origin }
access_log: { to: "{dir}/access.log" }
"#;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
/// `END_STREAM` and `END_HEADERS`.
const WHOLE: u8 = 5;
const OPEN: u8 = 4;
const ENHANCE_YOUR_CALM: u32 = 11;

/// `:method GET`, `:scheme http`, `:path /`, `:authority h`.
const GET: &[u8] = b"\x82\x86\x84\x41\x01h";
/// `:method POST`, `:scheme http`, `:path /origin`, `:authority h`.
const POST: &[u8] = b"\x83\x86\x44\x07/origin\x41\x01h";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A literal field that no table keeps.
fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).ok().filter(|length| *length < 127).unwrap();
    [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

fn headers(flags: u8, block: &[&[u8]]) -> Vec<u8> {
    frame(HEADERS, flags, 1, &block.concat())
}

/// What becomes of stream 1, or of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// Answered; the block begins with the status, indexed or literal.
    Answered(u16),
    /// The stream was reset with this code.
    Reset(u32),
    /// The connection has ended, with the code of its last GOAWAY if there was one.
    Ended(Option<u32>),
}

struct Raw(Client);

impl Raw {
    fn connect(edge: &Edge, settings: &[u8]) -> Self {
        let mut client = edge.client("listen").patience(Duration::from_secs(5));
        client.send([PREFACE, &frame(SETTINGS, 0, 0, settings), &frame(SETTINGS, 1, 0, b"")].concat());
        Self(client)
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.try_send(bytes).is_ok()
    }

    /// The next frame: its type, flags, stream and payload.
    fn next(&mut self) -> Result<(u8, u8, u32, Vec<u8>), Fault> {
        let head = self.0.take(9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Ok((head[3], head[4], stream, self.0.take(length)?))
    }

    fn outcome(&mut self) -> Outcome {
        let mut last = None;
        loop {
            match self.next() {
                Ok((HEADERS, _, 1, block)) => return Outcome::Answered(status(&block)),
                Ok((RST_STREAM, _, 1, code)) => {
                    return Outcome::Reset(u32::from_be_bytes(code.try_into().unwrap()));
                }
                Ok((GOAWAY, _, _, told)) => last = Some(u32::from_be_bytes(told[4..8].try_into().unwrap())),
                Ok(_) => {}
                Err(Fault::Silence(_)) => panic!("neither answered nor ended"),
                Err(_) => return Outcome::Ended(last),
            }
        }
    }
}

/// The status at the start of a block: one of the static table, or `:status` with a literal value.
fn status(block: &[u8]) -> u16 {
    match block {
        [index @ 0x88..=0x8e, ..] => [200, 204, 206, 304, 400, 404, 500][usize::from(index - 0x88)],
        [0x48 | 0x08, 0x03, status @ ..] => std::str::from_utf8(&status[..3]).unwrap().parse().unwrap(),
        [0x48 | 0x08, 0x82, status @ ..] => huffman(u32::from_be_bytes([status[0], status[1], 0, 0])),
        [0x48 | 0x08, 0x83, status @ ..] => huffman(u32::from_be_bytes([status[0], status[1], status[2], 0])),
        // A change of the table's size comes first.
        [0x20..=0x3f, rest @ ..] => status(rest),
        other => panic!("{other:?}"),
    }
}

/// Three digits in Huffman's code: five bits for 0 to 2, six for the others.
fn huffman(mut bits: u32) -> u16 {
    let mut number = 0;
    for _ in 0..3 {
        let short = bits >> 27;
        let (digit, length) = if short < 3 { (short, 5) } else { ((bits >> 26) - 0x19 + 3, 6) };
        number = number * 10 + u16::try_from(digit).unwrap();
        bits <<= length;
    }
    number
}

fn start() -> (Origin, Edge) {
    let origin = Origin::start(|seen| match seen.target() {
        "/late" => Reply::nothing().hold(),
        _ => Reply::text("ok"),
    });
    let edge = Edge::policy(POLICY).with("origin", origin.address()).start();
    (origin, edge)
}

fn outcome(edge: &Edge, frames: &[Vec<u8>]) -> Outcome {
    let mut raw = Raw::connect(edge, b"");
    raw.send(frames.concat());
    raw.outcome()
}

#[test]
fn what_is_allowed_is_answered() {
    let (_origin, edge) = start();
    for frames in [
        vec![headers(WHOLE, &[GET])],
        vec![frame(0x16, 0, 0, b"unknown!"), headers(WHOLE, &[GET])],
        vec![frame(PING, 0x16, 0, b"x or not"), headers(WHOLE, &[GET])],
        vec![frame(SETTINGS, 0, 0, b"\0\xff\0\0\0\x01"), headers(WHOLE, &[GET])],
        vec![frame(PRIORITY, 0, 1, b"\0\0\0\0\x0a"), headers(WHOLE, &[GET])],
        vec![headers(WHOLE | 8, &[b"\x03", GET, b"\0\0\0"])],
        vec![headers(WHOLE | 0x20, &[b"\0\0\0\0\x10", GET])],
        vec![
            frame(HEADERS, 1, 1, &GET[..2]),
            frame(CONTINUATION, 0, 1, &GET[2..4]),
            frame(CONTINUATION, 4, 1, &GET[4..]),
        ],
        vec![headers(OPEN, &[POST]), frame(DATA, 9, 1, b"\x02te\0\0")],
        vec![headers(OPEN, &[POST, &field("content-length", "5")]), frame(DATA, 1, 1, b"hello")],
        vec![headers(OPEN, &[POST]), frame(DATA, 0, 1, b"x"), headers(WHOLE, &[&field("x", "y")])],
        vec![headers(WHOLE, &[GET, &field("te", "trailers")])],
        vec![headers(WHOLE, &[GET, &field("host", "h")])],
    ] {
        assert_eq!(outcome(&edge, &frames), Outcome::Answered(200), "{frames:?}");
    }
}

#[test]
fn a_connection_that_breaks_the_rules_ends() {
    let (origin, edge) = start();
    for frames in [
        vec![frame(DATA, 1, 1, b"x")],
        vec![frame(RST_STREAM, 0, 1, b"\0\0\0\x08")],
        vec![frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\x64")],
        vec![frame(CONTINUATION, 4, 1, GET)],
        vec![frame(HEADERS, WHOLE, 2, GET)],
        vec![frame(HEADERS, WHOLE, 0, GET)],
        vec![frame(DATA, 1, 0, b"x")],
        vec![headers(WHOLE | 8, &[b"\xff", GET])],
        vec![frame(PRIORITY, 0, 0, b"\0\0\0\0\x0a")],
        vec![frame(RST_STREAM, 0, 0, b"\0\0\0\x08")],
        vec![frame(SETTINGS, 1, 0, b"\0")],
        vec![frame(SETTINGS, 0, 1, b"")],
        vec![frame(SETTINGS, 0, 0, b"\0\x03\0")],
        vec![frame(SETTINGS, 0, 0, b"\0\x02\0\0\0\x02")],
        vec![frame(SETTINGS, 0, 0, b"\0\x04\x80\0\0\0")],
        vec![frame(SETTINGS, 0, 0, b"\0\x05\0\0\x3f\xff")],
        vec![frame(PING, 0, 1, b"12345678")],
        vec![frame(PING, 0, 0, b"123456")],
        vec![frame(GOAWAY, 0, 1, &[0; 8])],
        vec![frame(PUSH_PROMISE, 4, 1, &[b"\0\0\0\x02", GET].concat())],
        vec![frame(WINDOW_UPDATE, 0, 0, &[0; 4])],
        vec![
            frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"),
            frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"),
        ],
        vec![frame(HEADERS, 1, 1, GET), frame(PRIORITY, 0, 1, b"\0\0\0\0\x0a")],
        vec![frame(HEADERS, 1, 1, GET), frame(CONTINUATION, 4, 3, b"")],
        vec![headers(OPEN, &[POST]), frame(CONTINUATION, 4, 1, b"")],
        vec![headers(WHOLE, &[b"\x80"])],
        vec![headers(WHOLE, &[GET, b"\xff\x80\x7f"])],
        vec![headers(WHOLE, &[b"\x3f\xe1\xff\x0f", GET])],
        vec![headers(OPEN, &[POST]), frame(DATA, 1, 1, &[b'x'; 16_385])],
    ] {
        let outcome = outcome(&edge, &frames);
        assert!(matches!(outcome, Outcome::Ended(Some(code)) if code != 0), "{frames:?}: {outcome:?}");
    }
    assert_eq!(origin.count(), 0);
}

/// Fields that a request may not have, or not with this value, or not twice.
const BAD_FIELDS: [(&str, &str); 27] = [
    ("X-A", "b"),
    ("a b", "c"),
    ("", "c"),
    ("a:b", "c"),
    ("x", "a\r\nb"),
    ("x", "a\nb"),
    ("x", "a\0b"),
    ("x", " a"),
    ("x", "a "),
    ("connection", "keep-alive"),
    ("keep-alive", "1"),
    ("proxy-connection", "x"),
    ("transfer-encoding", "chunked"),
    ("upgrade", "h2c"),
    ("te", "gzip"),
    ("te", "trailers, gzip"),
    (":test", "x"),
    (":status", "200"),
    (":method", "POST"),
    (":path", "/b"),
    (":authority", "other"),
    ("host", "other"),
    ("content_length", "5"),
    ("x_forwarded_for", "1.1.1.1"),
    ("content-length", "x"),
    ("content-length", "-0"),
    ("content-length", "05"),
];

#[test]
fn a_request_that_breaks_the_rules_is_not_passed_on() {
    let (origin, edge) = start();
    let mut requests: Vec<_> =
        BAD_FIELDS.iter().map(|(name, value)| vec![headers(WHOLE, &[POST, &field(name, value)])]).collect();
    let of = |pseudo: &[(&str, &str)]| {
        let block: Vec<_> = pseudo.iter().map(|(name, value)| field(name, value)).collect();
        vec![frame(HEADERS, WHOLE, 1, &block.concat())]
    };
    let (method, scheme, path, authority) =
        ((":method", "POST"), (":scheme", "http"), (":path", "/a"), (":authority", "h"));
    for pseudo in [
        vec![scheme, path, authority],
        vec![method, path, authority],
        vec![method, scheme, authority],
        vec![method, scheme, path],
        vec![("x", "y"), method, scheme, path, authority],
        vec![method, scheme, ("x", "y"), path, authority],
        vec![method, scheme, (":path", ""), authority],
        vec![method, (":scheme", "ftp"), path, authority],
        vec![method, scheme, (":path", "*"), authority],
        vec![method, scheme, (":path", "a"), authority],
        vec![method, scheme, (":path", "/a b"), authority],
        vec![method, scheme, (":path", "/a\r\nX: y"), authority],
        vec![method, scheme, (":path", "http://other/"), authority],
        vec![method, scheme, path, (":authority", "u@h")],
        vec![method, scheme, path, (":authority", "a b")],
        vec![method, scheme, path, (":authority", "")],
        vec![(":method", "PO ST"), scheme, path, authority],
        vec![(":method", ""), scheme, path, authority],
        vec![(":method", "FOO"), scheme, path, authority],
        vec![(":method", "CONNECT"), (":authority", "h:443")],
        vec![(":method", "CONNECT"), scheme, path, authority],
    ] {
        requests.push(of(&pseudo));
    }
    for (length, data) in [("4", "hello"), ("6", "hello"), ("1", "")] {
        requests.push(vec![
            headers(OPEN, &[POST, &field("content-length", length)]),
            frame(DATA, 1, 1, data.as_bytes()),
        ]);
    }
    requests.push(vec![headers(OPEN, &[POST]), headers(OPEN, &[&field("x", "y")])]);
    requests.push(vec![headers(OPEN, &[POST]), frame(WINDOW_UPDATE, 0, 1, &[0; 4])]);
    requests.push(vec![headers(WHOLE | 0x20, &[b"\0\0\0\x01\x10", POST])]);
    requests.push(vec![headers(OPEN, &[POST]), headers(WHOLE, &[&field("connection", "x")])]);
    requests.push(vec![headers(OPEN, &[POST]), headers(WHOLE, &[&field(":method", "200")])]);
    requests.push(vec![
        headers(OPEN, &[POST]),
        frame(HEADERS, 1, 1, b""),
        frame(CONTINUATION, 4, 1, b"\x84"),
    ]);
    for frames in requests {
        let outcome = outcome(&edge, &frames);
        let good =
            matches!(outcome, Outcome::Answered(400 | 501) | Outcome::Reset(1..) | Outcome::Ended(Some(1..)));
        assert!(good, "{frames:?}: {outcome:?}");
    }
    assert_eq!(origin.count(), 0, "{:?}", origin.requests());
}

#[test]
fn too_many_fields_are_answered_with_431() {
    let (_origin, edge) = start();
    let many = |count: usize| vec![headers(WHOLE, &[GET, &field("x", "y").repeat(count)])];
    assert_eq!(outcome(&edge, &many(30)), Outcome::Answered(200));
    assert_eq!(outcome(&edge, &many(31)), Outcome::Answered(431));
}

#[test]
fn a_small_window_is_kept_to() {
    let (_origin, edge) = start();
    let mut raw = Raw::connect(&edge, b"\0\x04\0\0\0\x01");
    raw.send(headers(WHOLE, &[GET]));
    let data = |raw: &mut Raw| loop {
        let (kind, _, _, payload) = raw.next().unwrap();
        if kind == DATA {
            return payload;
        }
    };
    assert_eq!(data(&mut raw), b"h");
    raw.send(frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\x02"));
    assert_eq!(data(&mut raw), b"er");
}

/// Sends until the connection is taken away; how it ended.
fn flood(edge: &Edge, first: &[Vec<u8>], each: impl Fn(u32) -> Vec<u8>) -> Outcome {
    let mut raw = Raw::connect(edge, b"");
    raw.send(first.concat());
    for round in 0..1000 {
        let batch: Vec<_> = (0..100).flat_map(|place| each(round * 100 + place)).collect();
        if !raw.send(batch) {
            break;
        }
    }
    loop {
        match raw.outcome() {
            Outcome::Answered(_) | Outcome::Reset(_) => {}
            ended @ Outcome::Ended(_) => return ended,
        }
    }
}

#[test]
fn floods_of_frames_that_cost_only_us_end_with_enhance_your_calm() {
    let (origin, edge) = start();
    let calm = |outcome: Outcome| {
        assert!(matches!(outcome, Outcome::Ended(None | Some(ENHANCE_YOUR_CALM))), "{outcome:?}");
    };
    calm(flood(&edge, &[], |_| frame(PING, 0, 0, b"12345678")));
    calm(flood(&edge, &[], |_| frame(PING, 1, 0, b"12345678")));
    calm(flood(&edge, &[], |_| frame(SETTINGS, 0, 0, b"")));
    calm(flood(&edge, &[], |place| frame(PRIORITY, 0, 2 * place + 1, b"\0\0\0\0\x0a")));
    calm(flood(&edge, &[headers(OPEN, &[POST])], |_| frame(DATA, 0, 1, b"")));
    calm(flood(&edge, &[frame(HEADERS, 0, 1, POST)], |_| frame(CONTINUATION, 0, 1, b"")));
    let late = b"\x82\x86\x44\x05/late\x41\x01h";
    let rapid = flood(&edge, &[], |place| {
        let stream = 2 * place + 1;
        [frame(HEADERS, WHOLE, stream, late), frame(RST_STREAM, 0, stream, b"\0\0\0\x08")].concat()
    });
    calm(rapid);
    assert!(origin.count() < 100, "{} requests reached the backend", origin.count());
    assert_eq!(outcome(&edge, &[headers(WHOLE, &[GET])]), Outcome::Answered(200), "others are served");
}

#[test]
fn streams_beyond_the_limit_are_refused_and_do_no_harm() {
    let (_origin, edge) = start();
    let mut raw = Raw::connect(&edge, b"");
    raw.send((0..9).flat_map(|place| frame(HEADERS, OPEN, 2 * place + 1, POST)).collect::<Vec<_>>());
    let refused = loop {
        let (kind, _, stream, payload) = raw.next().unwrap();
        if kind == RST_STREAM {
            break (stream, payload);
        }
    };
    // REFUSED_STREAM: it may be tried again.
    assert_eq!(refused, (17, b"\0\0\0\x07".to_vec()));
    raw.send(frame(DATA, 1, 1, b""));
    assert_eq!(raw.outcome(), Outcome::Answered(200));
}

/// Sends a piece every 50 ms until the connection or the stream is taken away.
fn drip(edge: &Edge, settings: &[u8], first: &[Vec<u8>], piece: impl Fn(usize) -> Vec<u8>) -> bool {
    let mut raw = Raw::connect(edge, settings);
    raw.0 = raw.0.patience(Duration::from_millis(50));
    raw.send(first.concat());
    for place in 0..80 {
        match raw.next() {
            Ok((RST_STREAM, ..)) | Err(Fault::Closed | Fault::Cut(_)) => return true,
            Ok(_) => {}
            Err(_) => {
                if !raw.send(piece(place)) {
                    return true;
                }
            }
        }
    }
    false
}

#[test]
fn what_drips_in_or_is_not_taken_is_cut() {
    let (_origin, edge) = start();
    let slow_head =
        [GET, &field("x", "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy")]
            .concat();
    let slow_head = headers(WHOLE, &[&slow_head]);
    assert!(drip(&edge, b"", &[], |place| slow_head[place..=place].to_vec()), "a frame byte by byte");
    assert!(
        drip(&edge, b"", &[headers(0, &[GET])], |_| frame(CONTINUATION, 0, 1, &field("x", "y"))),
        "a block"
    );
    assert!(drip(&edge, b"", &[headers(OPEN, &[POST])], |_| frame(DATA, 0, 1, b"x")), "a body");
    assert!(drip(&edge, b"", &[headers(OPEN, &[POST])], |_| Vec::new()), "a body of which nothing comes");
    assert!(drip(&edge, b"", &[], |_| frame(PING, 0, 0, b"12345678")), "idle but for pings");
    let ping = |_| frame(PING, 0, 0, b"12345678");
    assert!(drip(&edge, b"\0\x04\0\0\0\0", &[headers(WHOLE, &[GET])], ping), "no window");
    edge.logged("no window", |line| line["reason"] == "client_too_slow");
    // Twice the least rate is enough.
    let mut raw = Raw::connect(&edge, b"");
    raw.send(headers(OPEN, &[POST]));
    for _ in 0..15 {
        std::thread::park_timeout(Duration::from_millis(50));
        assert!(raw.send(frame(DATA, 0, 1, &[b'x'; 50])));
    }
    raw.send(frame(DATA, 1, 1, b""));
    assert_eq!(raw.outcome(), Outcome::Answered(200));
}
