//! Messages that two servers could read differently. Of requests, none reaches the backend, not even its head; each is
//! refused and ends its connection. Of responses, none reaches a client as it is, nor spoils the next one's.

use crate::harness::{Client, Edge, Fault, Origin, Reply};

const POLICY: &str = r#"
listeners: [{ address: "{listen}" }]
upstreams:
  origin: { backends: ["{origin}"], retries: { attempts: 0 } }
routes: [{ name: all, upstream: origin }]
access_log: { to: off }
"#;
/// What an attacker would have liked to be a request.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
const CHUNKED: &str = "5\r\nhello\r\n0\r\n\r\n";

fn start() -> (Origin, Edge) {
    let origin = Origin::start(|seen| Reply::text(seen.target()));
    let edge = Edge::policy(POLICY).with("origin", origin.address()).start();
    (origin, edge)
}

fn post(fields: &str, body: &str) -> Vec<u8> {
    latin(&format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n{body}{SMUGGLED}"))
}

/// Characters up to `\u{ff}` as bytes of that value.
fn latin(text: &str) -> Vec<u8> {
    text.chars().map(|char| u8::try_from(u32::from(char)).unwrap()).collect()
}

/// Sends it all and expects a refusal and the end.
fn is_refused(edge: &Edge, bytes: &[u8]) -> Result<u16, String> {
    let mut client = edge.client("listen");
    // It may be refused before all of it is sent.
    drop(client.try_send(bytes));
    let response = client.try_response("GET").map_err(|fault| format!("{fault:?}"))?;
    if !(400..600).contains(&response.status) || response.header("connection") != Some("close") {
        return Err(format!("{} {:?}", response.status, response.headers));
    }
    client.rest().map_err(|fault| format!("{fault:?}")).and_then(|rest| {
        if rest.is_empty() { Ok(response.status) } else { Err(format!("and then {rest:?}")) }
    })
}

/// Expects each to be refused, and the backend to hear nothing of any.
fn all_are_refused(vectors: impl IntoIterator<Item = Vec<u8>>) {
    let (origin, edge) = start();
    let mut failures = Vec::new();
    for bytes in vectors {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(120)]).into_owned();
        if let Err(error) = is_refused(&edge, &bytes) {
            failures.push(format!("{shown:?}: {error}"));
        }
        assert_eq!(origin.connections(), 0, "{shown:?} reached the backend: {:?}", origin.requests());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn refuses_lengths_with_more_than_one_reading() {
    let values = [
        "+5",
        "-5",
        "-0",
        "0x5",
        "5 5",
        "5,5",
        "5, 5",
        "5,6",
        "05",
        "00",
        "5.0",
        "5e0",
        "",
        "  ",
        "5;",
        "\"5\"",
        "5\x0b",
        "\x0c5",
        "5\0",
        "\u{a0}5",
        "5\u{a0}",
        "18446744073709551621",
        "9223372036854775808",
        "0b1",
        "5_0",
        "five",
        ",5",
        "5,",
        "5\r",
        "\u{d9}\u{a5}",
    ];
    let single = values.iter().map(|value| post(&format!("Content-Length: {value}"), "hello"));
    let twice = [("5", "5"), ("5", "6"), ("0", "5"), ("", "5"), ("5", "")];
    let twice = twice
        .iter()
        .map(|(one, two)| post(&format!("Content-Length: {one}\r\ncontent-length: {two}"), "hello"));
    all_are_refused(single.chain(twice));
}

#[test]
fn refuses_transfer_codings_with_more_than_one_reading() {
    let values = [
        "chunked, chunked",
        "chunked, identity",
        "identity, chunked",
        "identity",
        "gzip",
        "gzip, chunked",
        "xchunked",
        "chunkedx",
        "\"chunked\"",
        "chunked;q=1",
        ", chunked",
        "chunked,",
        "cow",
        "chunked, cow",
        "",
        "chunked\0",
        "\x0bchunked",
        "chunked\x0b",
        "chun ked",
        "chunked chunked",
        "trailers, chunked",
    ];
    let mut vectors = Vec::new();
    for value in values {
        vectors.push(post(&format!("Transfer-Encoding: {value}"), CHUNKED));
        vectors.push(post(&format!("Transfer-Encoding: {value}\r\nTransfer-Encoding: chunked"), CHUNKED));
        vectors.push(post(&format!("Transfer-Encoding: chunked\r\nTransfer-Encoding: {value}"), CHUNKED));
    }
    for length in ["0", "5", "15", "x"] {
        vectors.push(post(&format!("Transfer-Encoding: chunked\r\nContent-Length: {length}"), CHUNKED));
        vectors.push(post(&format!("Content-Length: {length}\r\nTransfer-Encoding: CHUNKED"), CHUNKED));
    }
    vectors
        .push(latin(&format!("POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{CHUNKED}")));
    all_are_refused(vectors);
}

#[test]
fn refuses_every_odd_byte_at_fields_that_frame_or_route() {
    let mut vectors = Vec::new();
    for byte in
        (0..=255_u8).filter(|byte| !byte.is_ascii_alphanumeric() && !b"!#$%&'*+-.^_`|~".contains(byte))
    {
        let odd = char::from(byte);
        for (name, value, body) in
            [("Content-Length", "5", "hello"), ("Transfer-Encoding", "chunked", CHUNKED), ("Host", "h", "")]
        {
            let host = if name == "Host" { "" } else { "Host: h\r\n" };
            let mut fields = Vec::new();
            if odd != ':' {
                fields.push(format!("{odd}{name}: {value}"));
                fields.push(format!("{name}{odd}: {value}"));
                fields.push(format!("{}{odd}{}: {value}", &name[..3], &name[3..]));
            }
            if !matches!(odd, ' ' | '\t') {
                fields.push(format!("{name}: {odd}{value}"));
                fields.push(format!("{name}: {value}{odd}"));
            }
            // CR and LF themselves end the line, and then it is another case.
            let fields = fields.iter().filter(|_| !matches!(odd, '\n'));
            vectors
                .extend(fields.map(|field| {
                    latin(&format!("POST / HTTP/1.1\r\n{host}{field}\r\n\r\n{body}{SMUGGLED}"))
                }));
        }
        vectors.push(latin(&format!("GE{odd}T / HTTP/1.1\r\nHost: h\r\n\r\n")));
        vectors.push(latin(&format!("GET / HTTP/1.1{odd}\r\nHost: h\r\n\r\n")));
    }
    all_are_refused(vectors);
}

/// Request lines that some reader takes for good.
const ODD_REQUEST_LINES: [&str; 36] = [
    "GET  / HTTP/1.1",
    "GET /  HTTP/1.1",
    "GET\t/ HTTP/1.1",
    "GET / HTTP/1.1 ",
    " GET / HTTP/1.1",
    "GET /a b HTTP/1.1",
    "GET / http/1.1",
    "GET / HTTP/1.10",
    "GET / HTTP/01.1",
    "GET / HTTP/2.0",
    "GET / HTTP/0.9",
    "GET /",
    "GET",
    "GET / HTTP/1.1.1",
    "GET / HTTP/+1.1",
    "/ HTTP/1.1",
    "get / HTTP/1.1",
    "G@T / HTTP/1.1",
    "GET a HTTP/1.1",
    "GET * HTTP/1.1",
    "GET /#a HTTP/1.1",
    "GET /\u{80} HTTP/1.1",
    "GET /%00 HTTP/1.1",
    "GET /%zz HTTP/1.1",
    "GET http:// HTTP/1.1",
    "GET http://other/ HTTP/1.1",
    "GET http://u@h/ HTTP/1.1",
    "GET http://h:81/ HTTP/1.1",
    "GET ftp://h/ HTTP/1.1",
    "GET http://h\\@other/ HTTP/1.1",
    "GET http://H/ HTTP/1.1",
    "PRI * HTTP/2.0",
    "CONNECT h:443 HTTP/1.1",
    "CONNECT / HTTP/1.1",
    "HTTP/1.1 200 OK",
    "GET / HTTP/1.1 HTTP/1.1",
];

#[test]
fn refuses_odd_line_ends_folding_and_request_lines() {
    let mut vectors = Vec::new();
    for end in ["\n", "\r", "\r\r\n", "\n\r", "\0", "\x0b", "\x0c"] {
        vectors.push(latin(&format!("GET / HTTP/1.1{end}Host: h\r\n\r\n")));
        vectors.push(latin(&format!("GET / HTTP/1.1\r\nHost: h{end}X: y\r\n\r\n")));
        vectors.push(latin(&format!("GET / HTTP/1.1{end}Host: h{end}{end}")));
        vectors.push(latin(&format!("{end}GET / HTTP/1.1\r\nHost: h\r\n\r\n")));
        vectors.push(post(&format!("Content-Length: 5{end}X: y"), "hello"));
    }
    for fold in ["\r\n ", "\r\n\t", "\n ", "\r "] {
        vectors.push(post(&format!("Transfer-Encoding:{fold}chunked"), CHUNKED));
        vectors.push(post(&format!("X: a{fold}Content-Length: 5"), "hello"));
        vectors.push(latin(&format!("GET / HTTP/1.1{fold}Host: h\r\n\r\n")));
    }
    for line in ODD_REQUEST_LINES {
        vectors.push(latin(&format!("{line}\r\nHost: h\r\n\r\n")));
    }
    for host in [
        "", "a, b", "a b", "a/", "u@a", "a:", "a:0", "a:99999", "a..b", "[::1", "::1", "a%2eb", "http://a",
        "*",
    ] {
        vectors.push(latin(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")));
    }
    vectors.push(latin("GET / HTTP/1.1\r\n\r\n"));
    vectors.push(latin("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"));
    vectors.push(latin("\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    vectors.push(latin("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}"));
    all_are_refused(vectors);
}

#[test]
fn refuses_fields_that_play_with_the_hop() {
    let fields = [
        "Content_Length: 5",
        "transfer_encoding: chunked",
        "X_Forwarded_For: 1.1.1.1",
        "Connection: Content-Length",
        "Connection: close, Transfer-Encoding",
        "Connection: Host",
        "Connection: authorization",
        "Connection: \"close\"",
        "Connection: x-forwarded-for",
        "Expect: 200-ok",
        "Expect: 100-continue, x",
        "Expect:",
        "Upgrade: a b",
        "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5",
        "Upgrade: foo\r\nTransfer-Encoding: chunked",
    ];
    let hop = fields.iter().map(|field| post(field, "hello"));
    let large = [
        latin(&format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(9_000))),
        latin(&format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "a".repeat(1 << 20))),
        latin(&format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(300))),
        "A".repeat(1 << 20).into_bytes(),
        "\r\n".repeat(20_000).into_bytes(),
    ];
    all_are_refused(hop.chain(large));
}

/// Sizes of a chunk that some reader takes for five.
const ODD_CHUNK_SIZES: [&str; 23] = [
    "+5",
    "-5",
    "0x5",
    "5 ",
    " 5",
    "5\t",
    "5;",
    "5; a=b",
    "5;a =b",
    "5;=b",
    "5;a=\"\r\n\"",
    "5;a\n",
    "5;a\rb",
    "5,6",
    "5g",
    "g",
    "",
    "5\0",
    "5.0",
    "ffffffffffffffff5",
    "00000000000000005",
    "\\5",
    "5\n",
];

#[test]
fn refuses_chunked_bodies_with_more_than_one_reading_before_they_are_begun() {
    let bodies = [
        "5\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello\r\n0\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "6\r\nhello\r\n0\r\n\r\n",
        "4\r\nhello\r\n0\r\n\r\n",
        "\r\n5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\n \r\n",
        "5\r\nhello\r\n-0\r\n\r\n",
    ];
    let trailers = [
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
        "Host: h",
        "Authorization: x",
        "X : y",
        " X: y",
        "X",
        "X: a\0",
        "X: a\rb",
        "X: a\nY: b",
        "Content_Length: 5",
        "Connection: close",
        "Cookie: a=b",
        "X-Forwarded-For: 1.1.1.1",
    ];
    let sizes = ODD_CHUNK_SIZES.iter().map(|size| format!("{size}\r\nhello\r\n0\r\n\r\n"));
    let bodies = bodies.iter().map(|body| (*body).to_owned());
    let trailers = trailers.iter().map(|line| format!("5\r\nhello\r\n0\r\n{line}\r\n\r\n"));
    let late = [format!("2000\r\n{}XX0\r\n\r\n", "x".repeat(0x2000))];
    let all = sizes.chain(bodies).chain(trailers).chain(late);
    all_are_refused(all.map(|body| post("Transfer-Encoding: chunked", &body)));
}

/// Good requests, and how many.
const GOOD: [(&str, usize); 10] = [
    ("GET /a HTTP/1.1\r\nHost: h\r\n\r\n", 1),
    ("\r\nGET /a HTTP/1.1\r\nHost:h\r\nX:\ty \r\n\r\n", 1),
    ("GET http://h/a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n", 2),
    ("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\nHost: h\r\n\r\n", 2),
    (
        "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n",
        2,
    ),
    ("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n", 2),
    (
        "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n05;a=\"b\"\r\nhello\r\n000\r\nX-T: y\r\n\r\n\
         GET /b HTTP/1.1\r\nHost: h\r\n\r\n",
        2,
    ),
    ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n", 2),
    (
        "GET /a HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n",
        2,
    ),
    ("GET /a HTTP/1.1\r\nHost: h\r\nUpgrade: foo\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n", 2),
];

#[test]
fn answers_good_requests_in_their_order_however_their_bytes_are_cut() {
    let (origin, edge) = start();
    for (text, count) in GOOD {
        for cut in (0..text.len()).step_by(7) {
            let before = origin.count();
            let mut client = edge.client("listen");
            client.send(&text[..cut]);
            // The two parts arrive apart more often than not; either way the answers are the same.
            std::thread::yield_now();
            client.send(&text[cut..]);
            let targets: Vec<_> = (0..count).map(|_| client.response().text()).collect();
            let expected = if text.starts_with("OPTIONS") { ["*", "/b"] } else { ["/a", "/b"] };
            assert_eq!(targets, expected[..count], "{text:?} cut at {cut}");
            assert_eq!(origin.count(), before + count, "{text:?} cut at {cut}");
        }
    }
}

#[test]
fn a_bad_request_behind_a_good_one_spoils_neither_the_answer_nor_the_backend() {
    let (origin, edge) = start();
    for bad in
        ["GET / HTTP/1.1\nHost: h\r\n\r\n", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\nhello"]
    {
        let before = origin.count();
        let mut client = edge.client("listen");
        client.send(format!("GET /good HTTP/1.1\r\nHost: h\r\n\r\n{bad}{SMUGGLED}"));
        assert_eq!(client.response().text(), "/good");
        assert_eq!(client.response().status, 400);
        assert!(client.is_closed());
        assert_eq!(origin.count(), before + 1);
    }
}

#[test]
fn framing_is_written_anew_for_the_backend() {
    let (origin, edge) = start();
    let mut client = edge.client("listen");
    client.send(post(
        "Transfer-Encoding:\tCHUNKED \r\nX-A: b",
        "5;ext=1\r\nhello\r\n0\r\nX-Trailer: y\r\n\r\n",
    ));
    assert_eq!((client.response().status, client.response().status), (200, 200));
    let [first, second] = <[_; 2]>::try_from(origin.requests()).unwrap();
    assert_eq!((first.header("transfer-encoding"), first.header("content-length")), (Some("chunked"), None));
    assert_eq!((first.body.as_slice(), second.target()), (&b"hello"[..], "/smuggled"));
    assert!(!first.raw_body.windows(3).any(|part| part == b"ext"), "extensions end at a hop");
}

#[test]
fn a_body_that_means_nothing_to_its_method_has_its_backend_connection_alone() {
    let (origin, edge) = start();
    for (number, method) in ["GET", "DELETE", "OPTIONS"].iter().enumerate() {
        let mut client = edge.client("listen");
        client.send(format!("{method} / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"));
        assert_eq!(client.response().status, 200);
        assert_eq!(origin.last().header("connection"), Some("close"), "{method}");
        assert_eq!(origin.connections(), number + 1);
    }
    let mut client = edge.client("listen");
    for _ in 0..3 {
        assert_eq!(client.request("POST", "/", &[], b"hello").status, 200);
        assert_eq!(origin.last().header("connection"), None);
    }
    assert_eq!(origin.connections(), 4, "the others share one");
}

/// Answers of a backend that must not be passed on.
const BROKEN: [&str; 18] = [
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
    "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfree at last",
    "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nX Y\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 99 OK\r\nContent-Length: 2\r\n\r\nok",
    "<html>hello</html>",
    "HTTP/1.1 200 OK\r\nCont",
    "",
];

/// A backend that answers as the request's target says, by its place in a table.
fn answering(table: &'static [&'static str], close: bool) -> (Origin, Edge) {
    let origin = Origin::start(move |seen| {
        let Some(broken) = seen.target()[1..].parse().ok().and_then(|place: usize| table.get(place)) else {
            return Reply::text("well");
        };
        if close { Reply::raw(broken).close() } else { Reply::raw(broken) }
    });
    let edge = Edge::policy(POLICY).with("origin", origin.address()).start();
    (origin, edge)
}

fn is_well(edge: &Edge) {
    for _ in 0..3 {
        assert_eq!(edge.client("listen").get("/well").text(), "well");
    }
}

#[test]
fn broken_answers_become_502_and_spoil_nothing() {
    let (_origin, edge) = answering(&BROKEN, true);
    for (place, broken) in BROKEN.iter().enumerate() {
        let response = edge.client("listen").get(&format!("/{place}"));
        assert_eq!(response.status, 502, "{broken:?}");
        is_well(&edge);
    }
}

#[test]
fn what_follows_an_answer_reaches_nobody() {
    const LONG: [&str; 6] = [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokEVIL",
        "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nEVIL",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nEVIL",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL",
        "HTTP/1.1 200 OK\nContent-Length: 2\n\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL",
    ];
    let (_origin, edge) = answering(&LONG, false);
    for (place, long) in LONG.iter().enumerate() {
        let mut client = edge.client("listen");
        let response = client.get(&format!("/{place}"));
        assert!(response.status < 400 && !response.text().contains("EVIL"), "{long:?}");
        // The same connection goes on with the next answer.
        assert_eq!(client.get("/well").text(), "well", "{long:?}");
        is_well(&edge);
    }
    let mut head = edge.client("listen");
    assert_eq!(head.request("HEAD", "/0", &[], b"").status, 200);
    is_well(&edge);
}

#[test]
fn half_an_answer_never_looks_like_a_whole_one() {
    const HALF: [&str; 5] = [
        "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n-1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokXX0\r\n\r\n",
    ];
    let (_origin, edge) = answering(&HALF, true);
    for (place, half) in HALF.iter().enumerate() {
        let mut client = edge.client("listen");
        client.send(format!("GET /{place} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert!(matches!(client.try_response("GET"), Err(Fault::Cut(_))), "{half:?}");
        is_well(&edge);
    }
}

#[test]
fn a_flood_of_interim_answers_is_cut() {
    const HINT: &str = "HTTP/1.1 103 Early Hints\r\nx-test-hint: a\r\n\r\n";
    let origin = Origin::start(|seen| {
        let hints = seen.target()[1..].parse().unwrap();
        Reply::raw(HINT.repeat(hints)).then("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    });
    let edge = Edge::policy(POLICY).with("origin", origin.address()).start();
    let mut client = edge.client("listen");
    assert_eq!(client.get("/3").text(), "ok");
    assert_eq!(client.interim.len(), 3);
    client.send("GET /1000 HTTP/1.1\r\nHost: h\r\n\r\n");
    let answer = client.try_response("GET");
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 502));
    assert!(client.interim.len() < 40);
    let mut old = edge.client("listen");
    old.send("GET /3 HTTP/1.0\r\nHost: h\r\n\r\n");
    assert_eq!((old.response().text(), old.interim.len()), ("ok".to_owned(), 0), "HTTP/1.0 knows no 1xx");
}

#[test]
fn an_answer_before_the_end_of_the_body_ends_the_connection() {
    // It takes what it has not read of a body for the next request.
    let origin = Origin::start_eager(|seen| Reply::text(seen.target()));
    let edge = Edge::policy(POLICY).with("origin", origin.address()).start();
    for length in [SMUGGLED.len(), 2 * SMUGGLED.len(), 10_000_000] {
        let mut client: Client = edge.client("listen");
        client.send(format!("POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n"));
        let response = client.response();
        assert_eq!((response.text(), response.header("connection")), ("/early".to_owned(), Some("close")));
        // What comes now is the body's rest, whatever it looks like.
        drop(client.try_send(SMUGGLED));
        drop(client.try_send(SMUGGLED));
        assert_eq!(client.rest().unwrap(), b"");
        let early = origin.requests().iter().rfind(|seen| seen.target() == "/early").unwrap().connection;
        for _ in 0..3 {
            assert_eq!(edge.client("listen").get("/well").text(), "/well");
            assert_ne!(origin.last().connection, early, "what is left of the first is not used again");
        }
    }
    assert!(origin.requests().iter().all(|seen| seen.target() != "/smuggled"), "{:?}", origin.requests());
}
