use super::*;
use crate::http::chance::Chance;

fn check(raw: &[u8]) -> Result<Head, HeadFault> {
    check_head(raw, &HeadLimits::default())
}

/// A head of these lines for `GET /` with a `Host`.
fn with(lines: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: api.example.com\r\n{lines}\r\n").into_bytes()
}

fn accepts(lines: &str) -> Head {
    check(&with(lines)).unwrap_or_else(|fault| panic!("{fault}: {}", lines.escape_debug()))
}

#[track_caller]
fn refuses(raw: impl AsRef<[u8]>, status: u16, reason: &str) {
    let raw = raw.as_ref();
    let fault = check(raw).expect_err(&raw.escape_ascii().to_string());
    assert_eq!((fault.status, fault.reason), (status, reason), "{}", raw.escape_ascii());
}

#[track_caller]
fn refuses_lines(lines: &str, reason: &str) {
    refuses(with(lines), 400, reason);
}

#[track_caller]
fn refuses_request_line(line: &str, status: u16, reason: &str) {
    refuses(format!("{line}\r\nHost: api.example.com\r\n\r\n"), status, reason);
}

#[test]
fn reads_an_ordinary_head() {
    let raw = b"POST /orders?x=1 HTTP/1.1\r\nhost: api.example.com:8443\r\nContent-Length: 12\r\nX-Tab: a\tb \r\n\r\n";
    let expected = Head {
        version: Version::Http11,
        target: Target::Origin,
        unescaped_target: false,
        body: Body::Length(12),
        keep_alive: true,
        upgrade: Upgrade::None,
        expect_continue: false,
        has_host: true,
        fields: 3,
        underscored_names: false,
    };
    assert_eq!(check(raw), Ok(expected));
    assert_eq!(accepts("X: \u{e9}\r\nEmpty:\r\n").fields, 3);
}

#[test]
fn skips_one_empty_line_and_no_more() {
    let head = with("");
    assert!(check(&[b"\r\n", &head[..]].concat()).is_ok());
    refuses([b"\r\n\r\n", &head[..]].concat(), 400, "blank_line_before_request");
    refuses([b"\n", &head[..]].concat(), 400, "bare_lf");
    refuses([b" ", &head[..]].concat(), 400, "space_before_request");
    refuses([b"\t", &head[..]].concat(), 400, "bad_method");
    refuses([b"\r", &head[..]].concat(), 400, "bare_cr");
    refuses([b"\0", &head[..]].concat(), 400, "bad_method");
    refuses([b"\xef\xbb\xbf", &head[..]].concat(), 400, "bad_method");
}

#[test]
fn refuses_every_line_end_but_crlf() {
    refuses(b"GET / HTTP/1.1\nHost: h\n\n", 400, "bare_lf");
    refuses(b"GET / HTTP/1.1\r\nHost: h\r\n\n", 400, "bare_lf");
    refuses(b"GET / HTTP/1.1\r\nHost: h\n\r\n", 400, "bare_lf");
    refuses(b"GET / HTTP/1.1\r\rHost: h\r\n\r\n", 400, "bare_cr");
    refuses(b"GET / HTTP/1.1\r\r\nHost: h\r\n\r\n", 400, "bare_cr");
    refuses(b"GET /\r HTTP/1.1\r\nHost: h\r\n\r\n", 400, "bare_cr");
    refuses_lines("X: a\nTransfer-Encoding: chunked\r\n", "bare_lf");
    refuses_lines("X: a\rTransfer-Encoding: chunked\r\n", "bare_cr");
    refuses_lines("X: a\r\r\n", "bare_cr");
    refuses_lines("\rX: a\r\n", "bare_cr");
    refuses_lines("X\r: a\r\n", "bare_cr");
    refuses_lines("\r\r\n", "bare_cr");
    refuses(b"GET / HTTP/1.1\r\nHost: h\r\n", 400, "incomplete_head");
    refuses(b"", 400, "incomplete_head");
    refuses(b"GET / HTTP/1.1\r\nHost: h\r\n\r\nX", 400, "bytes_after_head");
}

#[test]
fn refuses_request_lines_with_two_readings() {
    for (line, status, reason) in [
        ("GET", 400, "bad_request_line"),
        ("GET /", 400, "missing_version"),
        ("GET / HTTP/0.9", 400, "missing_version"),
        ("GET / ", 400, "bad_version"),
        ("GET  / HTTP/1.1", 400, "space_in_target"),
        ("GET /  HTTP/1.1", 400, "space_in_target"),
        ("GET / HTTP/1.1 ", 400, "bad_version"),
        ("GET / HTTP/1.1 HTTP/1.1", 400, "space_in_target"),
        ("GET /a b HTTP/1.1", 400, "space_in_target"),
        ("GET\t/ HTTP/1.1", 400, "missing_version"),
        ("GET /\tHTTP/1.1", 400, "missing_version"),
        ("GET /\x0b HTTP/1.1", 400, "bad_target_byte"),
        ("GET\x0b / HTTP/1.1", 400, "bad_method"),
        ("GE(T / HTTP/1.1", 400, "bad_method"),
        ("G\u{e9}T / HTTP/1.1", 400, "bad_method"),
        ("\"GET\" / HTTP/1.1", 400, "bad_method"),
        ("GET: / HTTP/1.1", 400, "bad_method"),
        ("get / HTTP/1.1", 501, "unknown_method"),
        ("GETS / HTTP/1.1", 501, "unknown_method"),
        ("PROPFIND / HTTP/1.1", 501, "unknown_method"),
        ("TRACE / HTTP/1.1", 501, "unknown_method"),
        ("GET / http/1.1", 400, "bad_version"),
        ("GET / HTTP/1.1x", 400, "bad_version"),
        ("GET / HTTP/1", 400, "bad_version"),
        ("GET / HTTP/1.", 400, "bad_version"),
        ("GET / HTTP/.1", 400, "bad_version"),
        ("GET / HTTP/01.1", 400, "bad_version"),
        ("GET / HTTP/1.10", 400, "bad_version"),
        ("GET / HTTP/1,1", 400, "bad_version"),
        ("GET / HTTP 1.1", 400, "bad_version"),
        ("GET / HTTPS/1.1", 400, "bad_version"),
        ("GET / XTTP/1.1", 400, "bad_version"),
        ("GET / HTTP/+1.1", 400, "bad_version"),
        ("GET / HTTP/1.\u{661}", 400, "bad_version"),
        ("GET / HTTP/1.2", 505, "unsupported_version"),
        ("GET / HTTP/2.0", 505, "unsupported_version"),
        ("GET / HTTP/9.9", 505, "unsupported_version"),
        ("PRI * HTTP/2.0", 505, "unsupported_version"),
    ] {
        refuses_request_line(line, status, reason);
    }
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"] {
        assert!(check(format!("{method} / HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).is_ok(), "{method}");
    }
    let limits = HeadLimits { more_methods: vec!["PROPFIND".into()], ..HeadLimits::default() };
    assert!(check_head(b"PROPFIND / HTTP/1.1\r\nHost: h\r\n\r\n", &limits).is_ok());
}

#[test]
fn quotes_angles_and_backticks_in_a_target_are_escaped() {
    for (before, after) in [
        (
            "GET /a?q=<b>\"c\" HTTP/1.1\r\nHost: h\r\nX: <\r\n\r\n",
            "GET /a?q=%3Cb%3E%22c%22 HTTP/1.1\r\nHost: h\r\nX: <\r\n\r\n",
        ),
        ("GET /`a`?`b` HTTP/1.1\r\nHost: h\r\n\r\n", "GET /%60a%60?%60b%60 HTTP/1.1\r\nHost: h\r\n\r\n"),
        ("\r\nGET /< HTTP/1.1\r\nHost: h\r\n\r\nbody\n<", "\r\nGET /%3C HTTP/1.1\r\nHost: h\r\n\r\nbody\n<"),
    ] {
        assert_eq!(escape_target(before.as_bytes()), after.as_bytes());
        assert!(
            check(&before.as_bytes()[..before.find("body").unwrap_or(before.len())])
                .unwrap()
                .unescaped_target
        );
        assert!(
            !check(&after.as_bytes()[..after.find("body").unwrap_or(after.len())]).unwrap().unescaped_target
        );
    }
    refuses_request_line("GET http://a<b/ HTTP/1.1", 400, "bad_target");
    refuses_request_line("GET /< > HTTP/1.1", 400, "space_in_target");
}

#[test]
fn refuses_targets_that_no_uri_holds() {
    for target in ["/\x01", "/\x7f", "/\0", "/\u{e9}", "/\u{2028}"] {
        refuses_request_line(&format!("GET {target} HTTP/1.1"), 400, "bad_target_byte");
    }
    refuses_request_line("GET /a#b HTTP/1.1", 400, "fragment_in_target");
    for target in
        ["a", "?a", "\\", ".", "api.example.com", "api.example.com:80", "**", "/../..".get(1..).unwrap()]
    {
        refuses_request_line(&format!("GET {target} HTTP/1.1"), 400, "bad_target");
    }
    assert!(check(b"GET /a|b?{c}[d]\\ HTTP/1.1\r\nHost: h\r\n\r\n").is_ok(), "these are the path's business");
}

#[test]
fn takes_each_target_form_with_its_own_method_alone() {
    let form = |line: &str, host: &str| check(format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
    assert_eq!(form("OPTIONS *", "h").map(|head| head.target), Ok(Target::Asterisk));
    assert_eq!(form("CONNECT h:443", "h:443").map(|head| head.target), Ok(Target::Authority));
    assert_eq!(form("GET http://h", "h").map(|head| head.target), Ok(Target::Absolute));
    assert_eq!(form("GET HTTPS://h:443/x", "h:443").map(|head| head.target), Ok(Target::Absolute));
    assert_eq!(form("GET http://[::1]:80?x", "[::1]:80").map(|head| head.target), Ok(Target::Absolute));
    for (line, host, reason) in [
        ("GET *", "h", "asterisk_without_options"),
        ("CONNECT h", "h", "bad_connect_target"),
        ("CONNECT /", "h", "bad_connect_target"),
        ("CONNECT *", "h", "bad_connect_target"),
        ("CONNECT http://h:80/", "h", "bad_connect_target"),
        ("CONNECT h:443", "h", "host_differs_from_target"),
        ("CONNECT h:443", "other:443", "host_differs_from_target"),
        ("GET http://h/", "other", "host_differs_from_target"),
        ("GET http://h:8080/", "h", "host_differs_from_target"),
        ("GET http://h/", "h:443", "host_differs_from_target"),
        ("GET http://h/", "H", "host_differs_from_target"),
        ("GET http://h:80/", "h", "host_differs_from_target"),
        ("GET https://h/", "h:80", "host_differs_from_target"),
        ("GET http://h.evil/", "h", "host_differs_from_target"),
        ("GET http://u@h/", "h", "bad_target"),
        ("GET http://u:p@h/", "h", "bad_target"),
        ("GET http:///", "h", "bad_target"),
        ("GET http:/h/", "h", "bad_target"),
        ("GET http://", "h", "bad_target"),
        ("GET http:h", "h", "bad_target"),
        ("GET http://h\\/", "h", "bad_target"),
        ("GET http://h;/", "h", "bad_target"),
        ("GET http://h:/", "h", "bad_target"),
        ("GET ftp://h/", "h", "bad_target"),
        ("GET javascript:x", "h", "bad_target"),
        ("GET h/", "h", "bad_target"),
    ] {
        assert_eq!(form(line, host), Err(HeadFault::bad(reason)), "{line} at {host}");
    }
}

#[test]
fn wants_exactly_one_valid_host() {
    let host = |value: &str| check(format!("GET / HTTP/1.1\r\nHost:{value}\r\n\r\n").as_bytes());
    for value in
        [" h", "h", "\th\t", "a-b.c_d.example.", "10.0.0.1:1", "[2001:db8::1]:65535", " [::1]", "H:80"]
    {
        assert!(host(value).is_ok(), "{value}");
    }
    for value in [
        " a b",
        " a\tb",
        " u@h",
        " h:",
        " h:0",
        " h:65536",
        " h:080",
        " h:+80",
        " h:8a",
        " h:80:80",
        " ::1",
        " [::1",
        " [::1]x",
        " [fe80::1%25eth0]",
        " [v1.x]",
        " []",
        " h/",
        " h?x",
        " h#x",
        " h\\",
        " %68",
        " h,h",
        " \"h\"",
        " h\u{e9}",
        " .h",
        " h..x",
        " h;",
        " http://h",
        " :80",
        " *",
        " 1.2.3.4.5:",
    ] {
        assert_eq!(host(value), Err(HeadFault::bad("bad_host")), "{value}");
    }
    assert!(host(&format!(" {}", "a".repeat(254))).is_ok());
    assert_eq!(host(&format!(" {}", "a".repeat(255))), Err(HeadFault::bad("bad_host")));
    refuses(b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, "empty_host");
    refuses(b"GET / HTTP/1.1\r\nHost: \t\r\n\r\n", 400, "empty_host");
    refuses(b"GET / HTTP/1.1\r\n\r\n", 400, "missing_host");
    refuses(b"GET http://h/ HTTP/1.1\r\n\r\n", 400, "missing_host");
    refuses_lines("Host: api.example.com\r\n", "repeated_host");
    refuses_lines("hOST: other\r\n", "repeated_host");
    refuses(b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400, "repeated_host");
    let old = |raw: &[u8]| check(raw).map(|head| head.has_host);
    assert_eq!(old(b"GET / HTTP/1.0\r\n\r\n"), Ok(false));
    assert_eq!(old(b"GET / HTTP/1.0\r\nHost: h\r\n\r\n"), Ok(true));
    assert_eq!(old(b"GET http://h/ HTTP/1.0\r\n\r\n"), Ok(true));
}

#[test]
fn refuses_field_lines_with_two_readings() {
    for (lines, reason) in [
        ("X: a\r\n b\r\n", "obs_fold"),
        ("X: a\r\n\tb\r\n", "obs_fold"),
        (" Content-Length: 5\r\n", "obs_fold"),
        ("Transfer-Encoding:\r\n chunked\r\n", "bad_transfer_encoding"),
        ("Transfer-Encoding: chunked\r\n , x\r\n", "obs_fold"),
        ("X: a\r\n \r\n", "obs_fold"),
        ("X : a\r\n", "space_before_colon"),
        ("X\t: a\r\n", "space_before_colon"),
        ("Content-Length : 5\r\n", "space_before_colon"),
        ("Transfer-Encoding : chunked\r\n", "space_before_colon"),
        ("X y: a\r\n", "space_before_colon"),
        (": a\r\n", "empty_field_name"),
        ("X\r\n", "missing_colon"),
        ("Content-Length 5\r\n", "missing_colon"),
        ("Transfer-Encoding\r\n", "missing_colon"),
        ("X\0: a\r\n", "bad_field_name"),
        ("\x0bTransfer-Encoding: chunked\r\n", "bad_field_name"),
        ("Transfer-Encoding\x0b: chunked\r\n", "bad_field_name"),
        ("Content-Length\u{a0}: 5\r\n", "bad_field_name"),
        ("X(y): a\r\n", "bad_field_name"),
        ("\"X\": a\r\n", "bad_field_name"),
        ("X/y: a\r\n", "bad_field_name"),
        ("X\x7f: a\r\n", "bad_field_name"),
        ("{X}: a\r\n", "bad_field_name"),
        ("X;y: a\r\n", "bad_field_name"),
        ("X: a\0b\r\n", "control_in_value"),
        ("X: a\x0bb\r\n", "control_in_value"),
        ("X: \x08\r\n", "control_in_value"),
        ("X: \x1b[0m\r\n", "control_in_value"),
        ("X: a\x7f\r\n", "control_in_value"),
        ("X: \x0c\r\n", "control_in_value"),
    ] {
        refuses_lines(lines, reason);
    }
    assert_eq!(accepts("!#$%&'*+-.^`|~Aa0: :;\"\\\t\u{ff}\r\n").fields, 2);
}

#[test]
fn takes_content_length_in_one_spelling() {
    for (value, length) in
        [("0", 0), (" 5 ", 5), ("\t42", 42), (" 9223372036854775807", i64::MAX.unsigned_abs())]
    {
        assert_eq!(accepts(&format!("Content-Length:{value}\r\n")).body, Body::Length(length));
    }
    for value in [
        "",
        " ",
        "+5",
        "-5",
        "-0",
        "5, 5",
        "5,5",
        "5,",
        ",5",
        "5 5",
        "0x5",
        "5h",
        "5.0",
        "5e0",
        "05",
        "00",
        "1_000",
        "5;",
        "\"5\"",
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999999",
        "\u{665}",
        "5\u{a0}",
        "five",
        "5\\",
    ] {
        refuses_lines(&format!("Content-Length: {value}\r\n"), "bad_content_length");
    }
    refuses_lines("Content-Length: 5\x0b\r\n", "control_in_value");
    refuses_lines("Content-Length: 5\r\nContent-Length: 5\r\n", "repeated_content_length");
    refuses_lines("Content-Length: 5\r\ncontent-length: 6\r\n", "repeated_content_length");
    refuses_lines("Content-Length: 0\r\nContent-Length: 0\r\n", "repeated_content_length");
}

#[test]
fn takes_transfer_encoding_as_chunked_alone() {
    for value in ["chunked", " chunked", "\tChunKED\t "] {
        assert_eq!(accepts(&format!("Transfer-Encoding:{value}\r\n")).body, Body::Chunked);
    }
    for value in
        ["gzip", "gzip, chunked", "Deflate,chunked", "identity", "compress, gzip", "x-gzip , chunked", "br"]
    {
        refuses(with(&format!("Transfer-Encoding: {value}\r\n")), 501, "unsupported_transfer_encoding");
    }
    for value in [
        "",
        "xchunked",
        "chunkedx",
        "x chunked",
        "chunked x",
        "chunk",
        "chunked,",
        ",chunked",
        "chunked, chunked",
        "chunked, identity",
        "chunked, gzip",
        "chunked;q=1",
        "chunked; ",
        "\"chunked\"",
        "'chunked'",
        "chunked/1",
        "c\u{200b}hunked",
        "chun\u{212a}ed",
        "cow",
        "cow, chunked",
        "trailers",
        "[chunked]",
        "chu\tnked",
        "\u{ff}chunked",
        "gzip chunked",
        "gzip,,chunked",
    ] {
        refuses_lines(&format!("Transfer-Encoding: {value}\r\n"), "bad_transfer_encoding");
    }
    refuses_lines("Transfer-Encoding: \x0bchunked\r\n", "control_in_value");
    refuses_lines("Transfer-Encoding: chunked\x0c\r\n", "control_in_value");
    refuses_lines("Transfer-Encoding: chunked\0\r\n", "control_in_value");
    refuses_lines(
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "repeated_transfer_encoding",
    );
    refuses_lines("Transfer-Encoding: chunked\r\nTransfer-encoding: x\r\n", "bad_transfer_encoding");
}

#[test]
fn refuses_two_framings_of_one_body() {
    refuses_lines("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "te_and_cl");
    refuses_lines("Content-Length: 0\r\ntransfer-encoding: chunked\r\n", "te_and_cl");
    refuses(b"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "te_in_http_10");
    assert_eq!(
        check(b"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\n").map(|head| head.body),
        Ok(Body::Length(3))
    );
}

fn tracing() -> HeadLimits {
    HeadLimits { more_methods: vec!["TRACE".into()], ..HeadLimits::default() }
}

#[test]
fn refuses_bodies_where_none_has_a_meaning() {
    for body in ["Content-Length: 1", "Transfer-Encoding: chunked"] {
        let trace = format!("TRACE / HTTP/1.1\r\nHost: h\r\n{body}\r\n\r\n");
        assert_eq!(check_head(trace.as_bytes(), &tracing()), Err(HeadFault::bad("trace_with_body")));
        refuses(format!("CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n{body}\r\n\r\n"), 400, "connect_with_body");
        refuses_lines(
            &format!("Upgrade: websocket\r\nConnection: upgrade\r\n{body}\r\n"),
            "upgrade_with_body",
        );
        refuses_lines(&format!("{body}\r\nUpgrade: tcp\r\n"), "upgrade_with_body");
        assert!(!accepts(&format!("Upgrade: h2c\r\nConnection: upgrade\r\n{body}\r\n")).body.is_empty());
        assert!(!accepts(&format!("{body}\r\n")).body.is_empty(), "GET may have a body");
    }
    assert_eq!(accepts("Upgrade: websocket\r\nContent-Length: 0\r\n").body, Body::Length(0));
}

#[test]
fn refuses_underscore_variants_of_guarded_fields() {
    for name in [
        "Content_Length",
        "transfer_encoding",
        "TRANSFER_ENCODING",
        "x_forwarded_for",
        "X-Forwarded_Proto",
        "x_real_ip",
        "keep_alive",
        "proxy_connection",
        "http2_settings",
        "content_type",
        "X_Original_URL",
        "set_cookie",
    ] {
        refuses_lines(&format!("{name}: 1\r\n"), "underscore_variant");
    }
    assert!(accepts("x_tenant: 1\r\n").underscored_names);
    assert!(!accepts("x-tenant: 1\r\n").underscored_names);
}

#[test]
fn refuses_connection_options_that_strip_guarded_fields() {
    for option in [
        "Host",
        "content-length",
        "close, transfer-encoding",
        "Authorization",
        "cookie",
        "x-forwarded-for",
        "content_length",
        "forwarded",
    ] {
        refuses_lines(&format!("Connection: {option}\r\n"), "guarded_field_nominated");
    }
    for option in ["a b", "close;", "\"close\"", "x@y"] {
        refuses_lines(&format!("Connection: {option}\r\n"), "bad_connection_option");
    }
    refuses_lines(&format!("Connection: {}\r\n", ["x"; 33].join(",")), "too_many_connection_options");
    assert!(accepts("Connection: te, x-internal, HTTP2-Settings, keep-alive,\r\n").keep_alive);
}

#[test]
fn tells_whether_the_connection_is_wanted_again() {
    let old = |line: &str| check(format!("GET / HTTP/1.0\r\n{line}\r\n").as_bytes()).unwrap().keep_alive;
    assert!(accepts("").keep_alive && accepts("Connection: keep-alive\r\n").keep_alive);
    assert!(!accepts("Connection: x, CLOSE\r\n").keep_alive);
    assert!(!accepts("Connection: keep-alive\r\nConnection: close\r\n").keep_alive);
    assert!(!old("") && old("Connection: Keep-Alive\r\n") && !old("Connection: keep-alive, close\r\n"));
}

#[test]
fn tells_what_the_client_wants_to_upgrade_to() {
    let upgrade =
        |value: &str| accepts(&format!("Connection: keep-alive, Upgrade\r\nUpgrade: {value}\r\n")).upgrade;
    assert_eq!(upgrade("WebSocket"), Upgrade::WebSocket);
    assert_eq!(upgrade("h2c"), Upgrade::H2c);
    assert_eq!(upgrade("h2c, websocket"), Upgrade::Other);
    assert_eq!(upgrade("TLS/1.3"), Upgrade::Other);
    assert_eq!(upgrade("websocket\r\nUpgrade: websocket"), Upgrade::Other);
    assert_eq!(accepts("Upgrade: websocket\r\n").upgrade, Upgrade::None, "not nominated");
    let old = check(b"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n").unwrap();
    assert_eq!(old.upgrade, Upgrade::None);
    for value in ["", "a b", "a/b/c", "/", "websocket, \"x\"", "websocket\x01"] {
        let reason = if value.contains('\x01') { "control_in_value" } else { "bad_upgrade" };
        refuses_lines(&format!("Connection: upgrade\r\nUpgrade: {value}\r\n"), reason);
    }
}

#[test]
fn knows_one_expectation() {
    assert!(accepts("Expect: 100-Continue\r\nContent-Length: 1\r\n").expect_continue);
    assert!(!accepts("").expect_continue);
    assert!(!check(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").unwrap().expect_continue);
    for value in ["", "100-continue, x", "y 100-continue", "200-ok", "100-continue;"] {
        refuses(with(&format!("Expect: {value}\r\n")), 417, "unknown_expectation");
    }
}

#[test]
fn refuses_a_second_authorization() {
    assert_eq!(accepts("Authorization: Basic eDp5\r\n").fields, 2);
    refuses_lines("Authorization: Basic eDp5\r\nauthorization: Bearer x\r\n", "repeated_authorization");
}

#[test]
fn holds_its_limits() {
    let limits = HeadLimits { target_bytes: 10, fields: 2, head_bytes: 60, more_methods: Vec::new() };
    let check = |raw: &str| {
        check_head(raw.as_bytes(), &limits).map(|_| ()).map_err(|fault| (fault.status, fault.reason))
    };
    assert_eq!(check("GET /234567890 HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n"), Ok(()));
    assert_eq!(check("GET /2345678901 HTTP/1.1\r\nHost: h\r\n\r\n"), Err((414, "target_too_long")));
    assert_eq!(check("GET / HTTP/1.1\r\nHost: h\r\nA: b\r\nB: c\r\n\r\n"), Err((431, "too_many_fields")));
    let padded =
        |length: usize| format!("GET / HTTP/1.1\r\nHost: h\r\nA: {}\r\n\r\n", "x".repeat(length - 32));
    assert_eq!((padded(60).len(), check(&padded(60))), (60, Ok(())));
    assert_eq!(check(&padded(61)), Err((431, "head_too_large")));
    assert_eq!(outgrown(padded(61).as_bytes(), &limits).status, 431);
    let endless = |start: &str| outgrown(format!("{start}{}", "x".repeat(61)).as_bytes(), &limits);
    assert_eq!(endless("GET /").status, 414);
    assert_eq!(endless("\r\nGET /").status, 414);
    assert_eq!(endless("").status, 431);
}

#[test]
fn finds_the_end_of_a_head_however_it_comes_in() {
    let head = with("X: y\r\n");
    let stream = [b"\r\n", &head[..], b"GET /next"].concat();
    let mut searched = 0;
    for length in 0..head.len() + 2 {
        assert_eq!(head_length(&stream[..length], searched), None, "{length}");
        searched = length;
    }
    assert_eq!(head_length(&stream, searched), Some(head.len() + 2));
    assert_eq!(head_length(&stream, 0), Some(head.len() + 2));
    for (stream, length) in [
        (&b"GET / HTTP/1.1\nHost: h\n\nrest"[..], 24),
        (b"GET / HTTP/1.1\r\nHost: h\r\n\nrest", 26),
        (b"\nGET", 1),
        (b"\r\n\r\nGET", 4),
        (b"\r\n\nGET", 3),
    ] {
        assert_eq!(head_length(stream, 0), Some(length), "{}", stream.escape_ascii());
        assert!(check_head(&stream[..length], &HeadLimits::default()).is_err());
    }
}

/// What must hold of every head that is let in, told without the code under test.
#[expect(clippy::naive_bytecount, reason = "heads are short, and a dependency is not")]
fn assert_one_reading(raw: &[u8]) {
    let text = raw.strip_prefix(b"\r\n").unwrap_or(raw).strip_suffix(b"\r\n\r\n").unwrap();
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    let shown = raw.escape_ascii();
    let (last, ended) = lines.split_last().unwrap();
    assert!(ended.iter().all(|line| line.ends_with(b"\r")) && !last.ends_with(b"\r"), "{shown}");
    assert_eq!(
        raw.iter().filter(|byte| **byte == b'\r').count(),
        raw.iter().filter(|byte| **byte == b'\n').count()
    );
    assert!(!raw.contains(&0), "{shown}");
    assert_eq!(lines[0].iter().filter(|byte| **byte == b' ').count(), 2, "{shown}");
    let lower: Vec<String> =
        lines[1..].iter().map(|line| line.escape_ascii().to_string().to_lowercase()).collect();
    let named = |name: &str| lower.iter().filter(|line| line.replace('_', "-").starts_with(name)).count();
    assert!(named("content-length:") + named("transfer-encoding:") <= 1, "{shown}");
    assert!(named("host:") <= 1, "{shown}");
}

#[test]
fn what_is_accepted_has_one_reading() {
    let pieces: [&[u8]; 34] = [
        b"\r\n",
        b"\r\n",
        b"\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b":",
        b",",
        b"Content-Length: 5",
        b"Content-Length",
        b": 5",
        b"Content-Length:0",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding:",
        b"chunked",
        b"transfer_encoding: x",
        b"Host: h",
        b"Host: h",
        b"X: y",
        b"X: y",
        b"X: y\r\n",
        b"Connection: close",
        b"Connection: upgrade",
        b"Upgrade: h2c",
        b"\0",
        b"\x0b",
        b"\xff",
        b"Expect: 100-continue",
        b"GET / HTTP/1.1",
        b"Cookie: a=b",
        b"_",
        b"x_y: z\r\n",
    ];
    let mut chance = Chance::new(13);
    let mut accepted = 0;
    for _ in 0..60_000 {
        let mut raw = chance
            .pick(&[
                &b"GET / HTTP/1.1\r\n"[..],
                b"POST /a HTTP/1.0\r\n",
                b"\r\nPUT / HTTP/1.1\r\nHost: h\r\n",
            ])
            .to_vec();
        raw.extend(chance.glue(&pieces, 7));
        raw.extend(*chance.pick(&[&b"\r\n\r\n"[..], b"\r\n"]));
        if let Ok(head) = check(&raw) {
            accepted += 1;
            assert_one_reading(&raw);
            assert_eq!(head_length(&raw, 0), Some(raw.len()), "{}", raw.escape_ascii());
            assert!(head.has_host || head.version == Version::Http10);
        }
    }
    assert!(accepted > 1_000, "{accepted}");
}

#[test]
fn a_handshake_of_tls_is_called_so() {
    refuses(b"\x16\x03\x01\x02\x00\x01\n\r\n\r\n", 400, "tls_on_plain_port");
    refuses(b"\x16\x04 / HTTP/1.1\r\n\r\n", 400, "bad_method");
}

#[test]
fn tells_a_fault_before_the_head_has_ended() {
    let limits = HeadLimits::default();
    let early = |text: &[u8], searched| early_fault(text, searched, &limits).map(|fault| fault.reason);
    for (text, reason) in [
        (&b"GET / HTTP/1.1\rHost: h\r\r"[..], "bare_cr"),
        (b"\x16\x03\x01", "tls_on_plain_port"),
        (b"GET / HTTP/1.1 \r\nHost", "bad_version"),
        (b"GET / HTTP/1.1\r\nHost : h\r\nX", "space_before_colon"),
        (b"GET / HTTP/1.1\r\nHost: h\nX", "bare_lf"),
        (b"GET / HTTP/1.1\r\nHost: h\r\n X: y\r\n", "obs_fold"),
        (b"GET / HTTP/1.1\r\nHost: \0", "control_in_head"),
        (b"GET /\x85", "control_in_head"),
        (b"\r\nGET /\0", "control_in_head"),
    ] {
        for searched in 0..text.len() {
            let before = text.get(..searched).unwrap();
            assert!(
                early(before, 0).is_some() || early(text, searched) == Some(reason),
                "{text:?} at {searched}"
            );
        }
    }
    let good = b"\r\nGET /a HTTP/1.1\r\nHost: h\r\nX:\ty \xff z\r\nCookie: a=b\r\n\r";
    for end in 0..good.len() {
        for searched in 0..=end {
            assert_eq!(early(good.get(..end).unwrap(), searched), None, "{end} {searched}");
        }
    }
}
