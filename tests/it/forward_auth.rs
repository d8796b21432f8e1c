//! `forward_auth`: another server decides, and nothing passes without its yes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Authority, Edge, Origin, Reply, Response, Seen, Setup};

fn policy(more: &str) -> Setup {
    let text = "admin: { address: '{admin}' }
access_log: { to: access.log }
listeners: [{ address: '{listen}' }]
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
