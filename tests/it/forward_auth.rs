//! `forward_auth`: another server decides, and nothing passes without its yes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::Request;

use crate::harness::{Authority, Edge, H2Client, Origin, Reply, Response, Seen, Setup};

fn policy(more: &str) -> Setup {
    let text = "admin: { address: '{admin}' }
access_log: { to: access.log }
listeners: [{ address: '{listen}', h2c: true }]
upstreams: { app: { backends: ['{origin}'] } }
routes:
  - name: app
    match: { path: /** }
    upstream: app
    filters: [{ forward_auth: { url: '{scheme}://{auth}/verify'MORE } }]
  - { name: open, match: { path: /open/** }, upstream: app }
";
    Edge::policy(&text.replace("MORE", &format!("{}{more}", if more.is_empty() { "" } else { ", " })))
        .with("scheme", "http")
}

/// Edgeward with the filter, the server that is asked, and the upstream, which answers `ok`.
fn running(more: &str, answers: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (Edge, Origin, Origin) {
    let auth = Origin::start(answers);
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = policy(more).with("auth", auth.address()).with("origin", origin.address()).start();
    (edge, auth, origin)
}

fn yes(_: &Seen) -> Reply {
    Reply::status(200, &[], "")
}

fn ask(edge: &Edge, headers: &[(&str, &str)]) -> Response {
    edge.client("listen").allow(&["set-cookie"]).request("GET", "/orders/7?a=b", headers, b"")
}

/// How many of `threads` requests at a time passed.
fn passed_of(edge: &Edge, threads: usize, headers: &[(&str, &str)]) -> usize {
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..threads).map(|_| scope.spawn(|| ask(edge, headers).status == 200)).collect();
        asked.into_iter().map(|one| one.join().unwrap()).filter(|passed| *passed).count()
    })
}

#[test]
fn a_yes_lets_the_request_pass_and_tells_the_upstream_who_calls() {
    let more = "copy_headers: [x-user, authorization], subject_header: x-user";
    let (edge, auth, origin) = running(more, |_| {
        Reply::status(204, &[("X-User", "alice"), ("authorization", "Bearer inner"), ("x-secret", "1")], "")
    });
    let headers = [
        ("X-User", "root"),
        ("x_user", "root"),
        ("Authorization", "Bearer outer"),
        ("Cookie", "a=b"),
        ("X-Other", "1"),
    ];
    let answer = edge.client("listen").request("POST", "/./orders//7?a=b", &headers, b"body");
    assert_eq!((answer.status, answer.text()), (200, "ok".to_owned()));
    let asked = auth.only();
    assert_eq!((asked.line(), &*asked.body), ("GET /verify HTTP/1.1", &b""[..]));
    for (name, value) in [
        ("authorization", "Bearer outer"),
        ("cookie", "a=b"),
        ("x-forwarded-method", "POST"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "localhost"),
        ("x-forwarded-uri", "/orders/7?a=b"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-original-url", "http://localhost/orders/7?a=b"),
    ] {
        assert_eq!(asked.header(name), Some(value), "{name}");
    }
    assert_eq!((asked.header("x-other"), asked.header("x-user")), (None, None));
    let seen = origin.only();
    assert_eq!(
        (seen.header("x-user"), seen.header("x_user"), seen.header("x-secret")),
        (Some("alice"), None, None)
    );
    assert_eq!((seen.header("authorization"), &*seen.body), (Some("Bearer inner"), &b"body"[..]));
    edge.logged("who called", |line| line["consumer"] == "alice");
}

#[test]
fn a_yes_that_names_nobody_leaves_nobody_named() {
    let (edge, _auth, origin) = running("copy_headers: [x-user]", yes);
    assert_eq!(ask(&edge, &[("X-User", "root")]).status, 200);
    assert_eq!(origin.only().header("x-user"), None);
    edge.client("listen").request("GET", "/open/a", &[("X-User", "root")], b"");
    assert_eq!(origin.last().header("x-user"), None, "a route without the filter");
}

#[test]
fn a_no_reaches_the_client_in_the_servers_words() {
    let (edge, _auth, origin) = running("", |seen| match seen.header("cookie") {
        Some("login") => Reply::status(
            302,
            &[
                ("location", "https://id.example/?rd=x"),
                ("set-cookie", "state=1"),
                ("set-cookie", "n=2"),
                ("x-secret", "1"),
            ],
            "",
        ),
        Some("known") => {
            Reply::status(403, &[("content-type", "text/html"), ("cache-control", "private")], "<p>no")
        }
        _ => Reply::status(401, &[("www-authenticate", "Bearer realm=\"a\"")], "who?"),
    });
    let redirect = ask(&edge, &[("Cookie", "login")]);
    assert_eq!((redirect.status, redirect.header("location")), (302, Some("https://id.example/?rd=x")));
    assert_eq!((redirect.all("set-cookie"), redirect.all("x-secret")), (vec!["state=1", "n=2"], vec![]));
    assert_eq!(redirect.header("cache-control"), Some("no-store"));
    let forbidden = ask(&edge, &[("Cookie", "known")]);
    assert_eq!((forbidden.status, forbidden.text()), (403, "<p>no".to_owned()));
    assert_eq!(forbidden.header("content-type"), Some("text/html"));
    assert_eq!(forbidden.header("cache-control"), Some("private"));
    let unknown = ask(&edge, &[]);
    assert_eq!((unknown.status, unknown.text()), (401, "who?".to_owned()));
    assert_eq!(unknown.header("www-authenticate"), Some("Bearer realm=\"a\""));
    assert_eq!(origin.count(), 0);
    let line = edge.logged("the refusal", |line| line["status"] == 302);
    assert_eq!((&line["filter"], &line["reason"]), (&"forward_auth".into(), &"forward_auth".into()));
    edge.wait_for_metric(
        "edgeward_refusals_total{filter=\"forward_auth\",reason=\"forward_auth\",route=\"app\"}",
        3.0,
    );
}

#[test]
fn headers_of_a_no_are_those_that_are_listed() {
    let (edge, _auth, _origin) = running("refusal_headers: [x-test-why]", |_| {
        Reply::status(
            401,
            &[("x-test-why", "because"), ("set-cookie", "a=b"), ("www-authenticate", "Basic")],
            "",
        )
    });
    let refused = ask(&edge, &[]);
    assert_eq!((refused.status, refused.header("x-test-why")), (401, Some("because")));
    assert_eq!((refused.header("set-cookie"), refused.header("www-authenticate")), (None, None));
}

#[test]
fn headers_of_a_yes_reach_the_client_if_they_are_listed() {
    let answer = |_: &Seen| Reply::status(200, &[("set-cookie", "session=2"), ("x-test-no", "1")], "");
    let (edge, _auth, _origin) = running("response_headers: [set-cookie]", answer);
    let passed = ask(&edge, &[]);
    assert_eq!((passed.text(), passed.header("set-cookie")), ("ok".to_owned(), Some("session=2")));
    assert_eq!(passed.header("x-test-no"), None);
    let (edge, _auth, _origin) = running("", answer);
    assert_eq!(ask(&edge, &[]).header("set-cookie"), None);
}

#[test]
fn the_server_is_shown_the_headers_that_are_listed_and_asked_with_the_method_that_is_chosen() {
    let (edge, auth, _origin) = running("forward_headers: [x-api-key], method: original", yes);
    let headers = [("X-Api-Key", "k"), ("Authorization", "Bearer t"), ("Cookie", "a=b")];
    assert_eq!(edge.client("listen").request("DELETE", "/", &headers, b"").status, 200);
    let asked = auth.only();
    assert_eq!((asked.method(), asked.header("x-api-key")), ("DELETE", Some("k")));
    assert_eq!((asked.header("authorization"), asked.header("cookie")), (None, None));
    assert_eq!(edge.client("listen").request("POST", "/", &headers, b"abc").status, 200);
    assert_eq!((auth.last().method(), auth.last().body.len()), ("POST", 0));
}

#[test]
fn whatever_is_neither_yes_nor_no_is_503() {
    let (edge, _auth, origin) = running("timeout: 300ms", |seen| match seen.header("cookie").unwrap() {
        "500" => Reply::status(500, &[], "oops"),
        "404" => Reply::status(404, &[], ""),
        "304" => Reply::status(304, &[], ""),
        "nowhere" => Reply::status(302, &[], ""),
        "garbage" => Reply::raw("SSH-2.0-OpenSSH\r\n\r\n").close(),
        "cut" => Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").close(),
        "huge" => Reply::status(200, &[], vec![b'x'; 70_000]),
        "silent" => Reply::nothing().hold(),
        "trickle" => Reply::raw("HTTP/1.1 200 OK\r\n").hold(),
        "upgrade" => Reply::raw("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n").hold(),
        _ => Reply::nothing().close(),
    });
    for cookie in
        ["500", "404", "304", "nowhere", "garbage", "cut", "huge", "silent", "trickle", "upgrade", "gone"]
    {
        let began = Instant::now();
        let refused = ask(&edge, &[("Cookie", cookie)]);
        assert_eq!(
            (refused.status, refused.reason()),
            (503, "forward_auth_unavailable".to_owned()),
            "{cookie}"
        );
        assert_eq!(refused.header("retry-after"), Some("5"));
        assert!(began.elapsed() < Duration::from_secs(3), "{cookie}: {:?}", began.elapsed());
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_server_that_is_down_lets_nothing_pass() {
    let (edge, auth, origin) = running("", yes);
    assert_eq!(ask(&edge, &[]).status, 200);
    auth.kill();
    assert_eq!(ask(&edge, &[]).reason(), "forward_auth_unavailable");
    assert_eq!(origin.count(), 1);
}

#[test]
fn an_answer_adds_no_header_that_is_not_copied() {
    for value in [
        "a\r\nx-admin: 1",
        "a\nx-admin: 1",
        "a\rx-admin: 1",
        "a\0x-admin: 1",
        "a\r\n x-admin: 1",
        "a\r\n\r\nx-admin: 1",
    ] {
        let head = format!("HTTP/1.1 200 OK\r\nx-user: {value}\r\ncontent-length: 0\r\n\r\n");
        let (edge, _auth, origin) = running("copy_headers: [x-user]", move |_| Reply::raw(&head).close());
        let status = ask(&edge, &[]).status;
        assert!(matches!(status, 200 | 503), "{status}");
        for seen in origin.requests() {
            assert!(!seen.head.to_ascii_lowercase().contains("\nx-admin"), "{value:?}: {}", seen.head);
            assert!(!seen.head.contains(['\0']), "{value:?}: {}", seen.head);
        }
    }
}

#[test]
fn without_a_cache_every_request_is_asked_about() {
    let (edge, auth, _origin) = running("", yes);
    for _ in 0..3 {
        assert_eq!(ask(&edge, &[]).status, 200);
    }
    assert_eq!(auth.count(), 3);
}

#[test]
fn a_yes_is_remembered_for_the_same_request_alone() {
    let (edge, auth, _origin) =
        running("copy_headers: [x-user], cache: { ttl: 1h }", |seen| match seen.header("cookie") {
            Some("bad") => Reply::status(403, &[], ""),
            cookie => Reply::status(200, &[("x-user", cookie.unwrap_or("nobody"))], ""),
        });
    let get = |path: &str, cookie: &str| {
        edge.client("listen").request("GET", path, &[("Cookie", cookie)], b"").status
    };
    for (path, cookie, status, asked) in [
        ("/a", "alice", 200, 1),
        ("/a", "alice", 200, 1),
        ("/a", "bob", 200, 2),
        ("/a?x", "alice", 200, 3),
        ("/b", "alice", 200, 4),
        ("/a", "bad", 403, 5),
        ("/a", "bad", 403, 6),
        ("/a", "alice", 200, 6),
    ] {
        assert_eq!((get(path, cookie), auth.count()), (status, asked), "{path} {cookie}");
    }
    edge.client("listen").request("POST", "/a", &[("Cookie", "alice")], b"");
    assert_eq!(auth.count(), 7, "another method");
    edge.reload().unwrap();
    assert_eq!((get("/a", "alice"), auth.count()), (200, 7), "known beyond a reload");
}

#[test]
fn what_is_remembered_tells_the_upstream_the_same() {
    let (edge, auth, origin) = running("copy_headers: [x-user], cache: { ttl: 1h }", |_| {
        Reply::status(200, &[("x-user", "alice")], "")
    });
    for _ in 0..2 {
        ask(&edge, &[("x-user", "root")]);
    }
    assert_eq!(auth.count(), 1);
    assert!(origin.requests().iter().all(|seen| seen.header("x-user") == Some("alice")));
}

#[test]
fn a_key_says_what_counts_besides_what_the_server_is_shown() {
    let more = "cache: { ttl: 1h, key: ['http.request.headers[\"x-tenant\"][0]'] }";
    let (edge, auth, _origin) = running(more, yes);
    let get = |path: &str, headers: &[(&str, &str)]| {
        assert_eq!(edge.client("listen").request("GET", path, headers, b"").status, 200);
        auth.count()
    };
    assert_eq!(get("/a", &[("x-tenant", "1")]), 1);
    assert_eq!(get("/b", &[("x-tenant", "1")]), 1, "the path does not count");
    assert_eq!(get("/a", &[("x-tenant", "2")]), 2);
    assert_eq!(get("/a", &[("x-tenant", "1"), ("Cookie", "bob")]), 3, "what proves who calls always counts");
    assert_eq!(get("/a", &[]), 4);
    assert_eq!(get("/a", &[]), 5, "without a key nothing is remembered");
}

#[test]
fn what_is_remembered_is_asked_again_after_its_time() {
    let (edge, auth, _origin) = running("cache: { ttl: 50ms }", yes);
    assert_eq!((ask(&edge, &[]).status, auth.count()), (200, 1));
    crate::harness::eventually("another question", || {
        assert_eq!(ask(&edge, &[]).status, 200);
        (auth.count() > 1).then_some(())
    });
}

#[test]
fn what_must_not_be_kept_is_not() {
    for header in [("cache-control", "no-store"), ("set-cookie", "session=2"), ("cache-control", "max-age=0")]
    {
        let (edge, auth, _origin) = running("cache: { ttl: 1h }", move |_| Reply::status(200, &[header], ""));
        for asked in 1..3 {
            assert_eq!((ask(&edge, &[]).status, auth.count()), (200, asked), "{header:?}");
        }
    }
}

#[test]
fn a_hundred_requests_that_are_the_same_ask_once() {
    let (edge, auth, origin) =
        running("cache: { ttl: 1h }", |_| Reply::status(200, &[], "").after(Duration::from_millis(300)));
    assert_eq!(passed_of(&edge, 100, &[("Cookie", "alice")]), 100);
    assert_eq!((auth.count(), origin.count()), (1, 100));
}

#[test]
fn a_no_with_a_cookie_is_for_one_client_alone() {
    let number = AtomicU64::new(0);
    let (edge, auth, _origin) = running("cache: { ttl: 1h }", move |_| {
        let cookie = format!("state={}", number.fetch_add(1, Ordering::Relaxed));
        let headers = [("location", "/login"), ("set-cookie", cookie.as_str())];
        Reply::status(302, &headers, "").after(Duration::from_millis(100))
    });
    let cookies: std::collections::HashSet<_> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| ask(&edge, &[]).header("set-cookie").unwrap().to_owned()))
            .collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!((cookies.len(), auth.count()), (20, 20));
}

#[test]
fn the_server_is_verified_by_the_authority_that_is_named() {
    let authority = Authority::new("internal");
    let issued = authority.server(&["auth.test"]);
    let auth = Origin::start_tls(issued.acceptor(None, b"\x08http/1.1"), yes);
    let origin = Origin::start(|_| Reply::text("ok"));
    for (more, status) in [
        ("tls: { sni: auth.test, ca: ca.pem }", 200),
        ("tls: { sni: auth.test }", 503),
        ("tls: { sni: other.test, ca: ca.pem }", 503),
    ] {
        let edge = policy(more)
            .with("scheme", "https")
            .with("auth", auth.address())
            .with("origin", origin.address())
            .file("ca.pem", authority.pem())
            .start();
        assert_eq!(ask(&edge, &[]).status, status, "{more}");
    }
}

#[test]
fn in_shadow_mode_nothing_is_refused_and_nothing_is_told() {
    let (edge, _auth, origin) =
        running("mode: shadow, copy_headers: [x-user]", |seen| match seen.header("cookie") {
            Some(_) => Reply::status(200, &[("x-user", "alice")], ""),
            None => Reply::status(401, &[], ""),
        });
    assert_eq!((ask(&edge, &[]).status, ask(&edge, &[("Cookie", "a=b")]).status), (200, 200));
    assert!(origin.requests().iter().all(|seen| seen.header("x-user").is_none()));
}

/// Says yes to the bodies it is shown that are as long as they are said to be, and end in `ok`.
fn reads(seen: &Seen) -> Reply {
    let whole = seen.header("content-length") == Some(&*seen.body.len().to_string());
    let status = if whole && seen.body.ends_with(b"ok") { 200 } else { 403 };
    Reply::status(status, &[("x-user", "alice")], "")
}

fn body_of(length: usize) -> Vec<u8> {
    let mut body: Vec<u8> = (0..length - 2).map(|at| b'a' + u8::try_from(at % 23).unwrap()).collect();
    body.extend(b"ok");
    body
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut sent = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(5000) {
        sent.extend(format!("{:x}\r\n", chunk.len()).bytes());
        sent.extend(chunk);
        sent.extend(b"\r\n");
    }
    sent.extend(b"0\r\n\r\n");
    sent
}

#[test]
fn the_server_is_shown_the_body_before_the_upstream_hears_of_it() {
    let (edge, auth, origin) = running("body: { max: 1MiB }, copy_headers: [x-user]", reads);
    let headers = [("Content-Type", "application/json"), ("Content-Encoding", "br"), ("X-Other", "1")];
    for length in [2, 5000, 70_000, 300_000, 1 << 20] {
        let body = body_of(length);
        assert_eq!(edge.client("listen").request("POST", "/a", &headers, &body).status, 200, "{length}");
        let (asked, passed) = (auth.last(), origin.last());
        assert_eq!((asked.method(), asked.body == body), ("POST", true), "{length}");
        assert_eq!(asked.header("content-type"), Some("application/json"));
        assert_eq!((asked.header("content-encoding"), asked.header("x-other")), (Some("br"), None));
        assert_eq!(asked.header("x-forwarded-body-partial"), None);
        assert_eq!((passed.body == body, passed.header("x-user")), (true, Some("alice")), "{length}");
        assert_eq!(passed.header("content-type"), Some("application/json"));
    }
    let count = origin.count();
    let mut client = edge.client("listen");
    assert_eq!(client.request("PUT", "/", &[], &vec![b'x'; 70_000]).status, 403);
    assert_eq!((auth.last().method(), origin.count()), ("PUT", count));
    assert_eq!(client.request("POST", "/", &[], b"ok").status, 200, "on the same connection");
    assert_eq!(client.get("/").status, 403, "there is no body that could be right");
    assert_eq!((auth.last().method(), auth.last().body.len()), ("GET", 0));
}

#[test]
fn a_body_without_a_length_is_shown_as_far_as_it_can_be_read() {
    let (edge, auth, origin) = running("body: { max: 1MiB }", reads);
    for length in [2, 20_000, 45_000, 60_000, 65_536] {
        let body = body_of(length);
        let mut client = edge.client("listen");
        client.send(chunked(&body));
        assert_eq!(client.response().status, 200, "{length}");
        assert!(auth.last().body == body && origin.last().body == body, "{length}");
    }
    let (asked, passed) = (auth.count(), origin.count());
    let mut client = edge.client("listen");
    client.send(chunked(&body_of(300_000)));
    let refused = client.response();
    assert_eq!((refused.status, refused.reason()), (411, "forward_auth_length_required".to_owned()));
    assert_eq!((auth.count(), origin.count()), (asked, passed));
}

#[test]
fn a_body_that_is_too_long_to_be_shown_is_refused() {
    let (edge, auth, origin) = running("body: { max: 10B }", reads);
    assert_eq!(edge.client("listen").request("POST", "/", &[], &body_of(10)).status, 200);
    let refused = edge.client("listen").request("POST", "/", &[], &body_of(11));
    assert_eq!((refused.status, refused.reason()), (413, "forward_auth_body_too_large".to_owned()));
    let mut client = edge.client("listen");
    client.send(chunked(&body_of(11)));
    assert_eq!(client.response().status, 413);
    assert_eq!((auth.count(), origin.count()), (1, 1));
}

#[test]
fn a_beginning_is_shown_on_request_and_said_to_be_one() {
    let (edge, auth, origin) = running("body: { max: 10B, over_limit: partial }", yes);
    for length in [10, 11, 100_000] {
        let body = body_of(length);
        assert_eq!(edge.client("listen").request("POST", "/", &[], &body).status, 200, "{length}");
        let partial = (length > 10).then_some("true");
        let forged = auth.last();
        assert_eq!((&*forged.body, forged.header("x-forwarded-body-partial")), (&body[..10], partial));
        assert_eq!(forged.header("content-length"), Some("10"));
        assert!(origin.last().body == body, "{length}");
        let mut client = edge.client("listen");
        client.send(chunked(&body));
        assert_eq!(client.response().status, 200, "{length}");
        assert_eq!(
            (&*auth.last().body, auth.last().header("x-forwarded-body-partial")),
            (&body[..10], partial)
        );
        assert!(origin.last().body == body, "{length}");
    }
}

#[test]
fn a_client_that_waits_to_be_asked_for_the_body_is_asked() {
    let (edge, auth, origin) = running("body: {}", reads);
    let mut client = edge.client("listen");
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    assert_eq!(client.next_response("POST").unwrap().status, 100);
    client.send("42ok");
    assert_eq!(client.response().status, 200);
    assert_eq!((&*auth.only().body, &*origin.only().body), (&b"42ok"[..], &b"42ok"[..]));
    assert_eq!((auth.only().header("expect"), origin.only().header("expect")), (None, None));
    let mut client = edge.client("listen");
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 70000\r\n\r\n");
    assert_eq!(client.response().status, 413, "it is not asked for what is too long anyway");
}

#[test]
fn bodies_of_http2_are_shown_too() {
    let (edge, auth, origin) = running("body: { max: 256KiB }", reads);
    for (length, announced) in [(3, true), (40_000, true), (200_000, true), (3, false), (40_000, false)] {
        let body = body_of(length);
        let h2 = H2Client::cleartext(edge.address("listen"));
        let mut request = Request::post("http://localhost/");
        if announced {
            request = request.header("content-length", length);
        }
        assert_eq!(h2.request(request.body(()).unwrap(), &body, None).status, 200, "{length} {announced}");
        assert!(auth.last().body == body && origin.last().body == body, "{length} {announced}");
    }
    let h2 = H2Client::cleartext(edge.address("listen"));
    assert_eq!(h2.request(Request::post("http://localhost/").body(()).unwrap(), b"wrong", None).status, 403);
}

#[test]
fn a_yes_to_one_body_is_none_to_another() {
    let (edge, auth, _origin) = running("body: {}, cache: { ttl: 10s }", reads);
    let ask = |body: &[u8]| edge.client("listen").request("POST", "/", &[], body).status;
    assert_eq!((ask(b"1ok"), ask(b"1ok"), auth.count()), (200, 200, 1));
    assert_eq!((ask(b"2no"), auth.count()), (403, 2));
    assert_eq!((ask(b"2ok"), auth.count()), (200, 3));
}

#[test]
fn filters_after_it_see_the_body_and_who_calls() {
    let auth = Origin::start(reads);
    let origin = Origin::start(|_| Reply::text("ok"));
    let more = "body: { max: 1MiB }, subject_header: x-user } }, { request_limits: { max_body: 100KiB } }, { authorize: { rules: [{ allow: 'auth.subject == \"alice\"' }]";
    let edge = policy(more).with("auth", auth.address()).with("origin", origin.address()).start();
    assert_eq!(edge.client("listen").request("POST", "/", &[], &body_of(90_000)).status, 200);
    assert!(origin.last().body == body_of(90_000));
    let mut client = edge.client("listen");
    client.send(chunked(&body_of(40_000)));
    assert_eq!(client.response().status, 200);
    let edge = policy(&more.replace("100KiB", "30KiB"));
    let edge = edge.with("auth", auth.address()).with("origin", origin.address()).start();
    let mut client = edge.client("listen");
    client.send(chunked(&body_of(40_000)));
    assert_eq!((client.response().status, origin.count()), (413, 2));
}

#[test]
fn a_client_that_leaves_ends_the_request() {
    let (edge, auth, origin) = running("body: { max: 64KiB }", reads);
    let mut gone = edge.client("listen");
    gone.send("POST /gone HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n42");
    drop(gone);
    edge.logged("the request of who left", |line| line["reason"] == "incomplete_body");
    assert_eq!((auth.count(), origin.count()), (0, 0));
}

#[test]
fn in_shadow_mode_the_body_is_shown_and_goes_on() {
    let auth = Origin::start(|_| Reply::status(403, &[], ""));
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = policy("body: {}, mode: shadow").with("auth", auth.address()).with("origin", origin.address());
    let edge = edge.start();
    let mut client = edge.client("listen");
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    assert_eq!(client.next_response("POST").unwrap().status, 100);
    client.send("42ok");
    assert_eq!(client.response().status, 200);
    assert_eq!((&*auth.only().body, &*origin.only().body), (&b"42ok"[..], &b"42ok"[..]));
    assert_eq!(origin.only().header("expect"), None);
}

#[test]
fn a_body_that_is_longer_than_the_route_allows_is_shown_to_nobody() {
    let (auth, origin) = (Origin::start(reads), Origin::start(|_| Reply::text("ok")));
    let edge = Edge::policy(
        "listeners: [{ address: '{listen}' }]
upstreams: { app: { backends: ['{origin}'] } }
routes:
  - { name: app, match: { path: /** }, upstream: app, max_body: 8KiB, filters: [{ forward_auth: { url: 'http://{auth}/', body: {} } }] }
",
    );
    let edge = edge.with("auth", auth.address()).with("origin", origin.address()).start();
    for (length, status) in [(8192, 200), (8193, 413)] {
        let mut client = edge.client("listen");
        client.send(chunked(&body_of(length)));
        assert_eq!(client.response().status, status, "{length}");
    }
    assert_eq!((auth.count(), origin.count()), (1, 1));
}
