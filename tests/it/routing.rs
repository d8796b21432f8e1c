//! Which route takes a request, and what a route does with it short of filters and upstreams.

use crate::harness::{Client, Edge, Origin, Reply, Response};

/// Routes that answer with their own names.
fn named(routes: &[(&str, &str)]) -> Edge {
    let mut text = "listeners: [{ address: '{listen}' }]\nroutes:\n".to_owned();
    for (name, matching) in routes {
        text.push_str(&format!("  - {{ name: {name}, match: {matching}, respond: {{ body: {name} }} }}\n"));
    }
    Edge::policy(&text).start()
}

fn ask(edge: &Edge, method: &str, target: &str, headers: &[(&str, &str)]) -> Response {
    edge.client("listen").request(method, target, headers, b"")
}

/// The route that takes a GET; `404` where none does.
fn taken(edge: &Edge, target: &str, headers: &[(&str, &str)]) -> String {
    let answer = ask(edge, "GET", target, headers);
    if answer.status == 200 { answer.text() } else { answer.status.to_string() }
}

#[test]
fn the_most_specific_host_wins() {
    let edge = named(&[
        ("any", "{ path: /** }"),
        ("wild", "{ host: '*.example.com', path: /** }"),
        ("deep", "{ host: '*.a.example.com', path: /** }"),
        ("exact", "{ host: [api.example.com, api.example.org], path: /** }"),
    ]);
    let by_host = |host: &str| taken(&edge, "/", &[("Host", host)]);
    assert_eq!(by_host("api.example.com"), "exact");
    assert_eq!(by_host("api.example.org"), "exact");
    assert_eq!(by_host("API.Example.COM:8443"), "exact");
    assert_eq!(by_host("api.example.com."), "exact");
    assert_eq!(by_host("other.example.com"), "wild");
    assert_eq!(by_host("x.y.example.com"), "wild");
    assert_eq!(by_host("x.a.example.com"), "deep");
    assert_eq!(by_host("example.com"), "any");
    assert_eq!(by_host("127.0.0.1"), "any");
}

#[test]
fn an_address_is_a_host_however_the_policy_writes_it() {
    let edge = named(&[("six", "{ host: '[2001:DB8:0::1]', path: /a }")]);
    assert_eq!(taken(&edge, "/a", &[("host", "[2001:db8::1]:8080")]), "six");
    assert_eq!(taken(&edge, "/a", &[("host", "[2001:db8::2]")]), "404");
}

#[test]
fn a_host_that_no_route_names_is_not_found() {
    let edge = named(&[("api", "{ host: api.example.com, path: /** }")]);
    assert_eq!(taken(&edge, "/", &[("Host", "api.example.com")]), "api");
    let stranger = ask(&edge, "GET", "/", &[("Host", "api.example.net")]);
    assert_eq!((stranger.status, stranger.reason()), (404, "no_route".to_owned()));
}

#[test]
fn the_most_specific_path_wins() {
    let edge = named(&[
        ("all", "{ path: /** }"),
        ("users", "{ path: /users/** }"),
        ("user", "{ path: '/users/{id}' }"),
        ("me", "{ path: /users/me }"),
        ("orders", "{ path: '/users/{id}/orders' }"),
        ("version", "{ path: { regex: '^/v[0-9]+/' } }"),
        ("two", "{ path: [/one, /two] }"),
    ]);
    for (path, route) in [
        ("/", "all"),
        ("/users", "users"),
        ("/users/7", "user"),
        ("/users/me", "me"),
        ("/users/7/orders", "orders"),
        ("/users/7/orders/1", "users"),
        ("/usersx", "all"),
        ("/v12/a", "version"),
        ("/vx/a", "all"),
        ("/one", "two"),
        ("/two", "two"),
    ] {
        assert_eq!(taken(&edge, path, &[]), route, "{path}");
    }
}

#[test]
fn one_path_is_seen_whatever_way_it_is_written() {
    let edge = named(&[("secret", "{ path: /secret/** }"), ("open", "{ path: /open/** }")]);
    for path in ["/secret/a", "/%73ecret/a", "/open/../secret/a", "/./secret/a", "/open/%2e%2e/secret/a"] {
        assert_eq!(taken(&edge, path, &[]), "secret", "{path}");
    }
    assert_eq!(taken(&edge, "http://localhost/secret/a", &[]), "secret");
    assert_eq!(taken(&edge, "/SECRET/a", &[]), "404");
    for path in ["/open/..%2fsecret", "/open/%00", "/open/..%5csecret", "/open/\\..\\secret"] {
        assert_eq!(taken(&edge, path, &[]), "400", "{path}");
    }
}

#[test]
fn only_the_methods_named_are_taken_and_the_others_are_told() {
    let edge = named(&[
        ("read", "{ path: /a, methods: [GET] }"),
        ("write", "{ path: /a, methods: [POST, PUT] }"),
        ("all", "{ path: /b }"),
    ]);
    assert_eq!(ask(&edge, "GET", "/a", &[]).text(), "read");
    assert_eq!(ask(&edge, "HEAD", "/a", &[]).status, 200);
    assert_eq!(edge.client("listen").request("POST", "/a", &[], b"x").text(), "write");
    let refused = ask(&edge, "DELETE", "/a", &[]);
    assert_eq!((refused.status, refused.reason()), (405, "method_not_allowed".to_owned()));
    let mut allowed: Vec<_> = refused.header("allow").unwrap().split(", ").collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST", "PUT"]);
    assert_eq!(ask(&edge, "DELETE", "/b", &[]).text(), "all");
}

#[test]
fn headers_tell_routes_apart() {
    let edge = named(&[
        ("plain", "{ path: /a }"),
        ("beta", "{ path: /a, headers: { x-track: beta } }"),
        ("gamma", "{ path: /a, headers: { x-track: gamma } }"),
        ("numbered", "{ path: /n, headers: { x-track: { regex: '^[0-9]+$' } } }"),
        ("keyed", "{ path: /a, headers: { x-key: { present: true }, x-track: beta } }"),
        ("anonymous", "{ path: /b, headers: { authorization: { present: false } } }"),
    ]);
    assert_eq!(taken(&edge, "/a", &[]), "plain");
    assert_eq!(taken(&edge, "/a", &[("X-Track", "beta")]), "beta");
    assert_eq!(taken(&edge, "/a", &[("X-Track", "Beta")]), "plain");
    assert_eq!(taken(&edge, "/a", &[("X-Track", "gamma")]), "gamma");
    assert_eq!(taken(&edge, "/n", &[("x-track", "12")]), "numbered");
    assert_eq!(taken(&edge, "/n", &[("x-track", "a12")]), "404");
    assert_eq!(taken(&edge, "/a", &[("x-track", "beta"), ("x-key", "")]), "keyed");
    assert_eq!(taken(&edge, "/b", &[]), "anonymous");
    assert_eq!(taken(&edge, "/b", &[("Authorization", "Bearer x")]), "404");
}

#[test]
fn query_parameters_tell_routes_apart() {
    let edge = named(&[
        ("plain", "{ path: /a }"),
        ("second", "{ path: /a, query: { version: '2' } }"),
        ("any", "{ path: /b, query: { debug: { present: true } } }"),
        ("hex", "{ path: /c, query: { id: { regex: '^[a-f]+$' } } }"),
        ("space", "{ path: /d, query: { 'a b': 'c&d e' } }"),
    ]);
    // As the application will read it.
    assert_eq!(taken(&edge, "/a?v%65rsion=%32", &[]), "second");
    assert_eq!(taken(&edge, "/d?a%20b=c%26d+e", &[]), "space");
    assert_eq!(taken(&edge, "/d?a%20b=c%2526d", &[]), "404");
    assert_eq!(taken(&edge, "/a?version=1", &[]), "plain");
    assert_eq!(taken(&edge, "/a?x=1&version=2", &[]), "second");
    assert_eq!(taken(&edge, "/b?debug", &[]), "any");
    assert_eq!(taken(&edge, "/b?bug", &[]), "404");
    assert_eq!(taken(&edge, "/c?id=abc", &[]), "hex");
    assert_eq!(taken(&edge, "/c?id=xyz", &[]), "404");
}

#[test]
fn a_route_answers_by_itself() {
    let edge = Edge::policy(
        "listeners: [{ address: '{listen}' }]
routes:
  - { name: text, match: { path: /text }, respond: { status: 202, body: hi, headers: { x-test-a: b, content-type: text/x } } }
  - { name: plain, match: { path: /plain }, respond: { body: hi } }
  - { name: json, match: { path: /json }, respond: { json: { a: [1, true] } } }
  - { name: typed, match: { path: /typed }, respond: { json: {}, headers: { content-type: application/x } } }
  - { name: file, match: { path: /file }, respond: { file: pages/a.txt } }
  - { name: empty, match: { path: /empty }, respond: { status: 204 } }
  - { name: gone, match: { path: /gone }, respond: { status: 410 } }
",
    )
    .file("pages/a.txt", "from a file")
    .start();
    let mut client = edge.client("listen");
    let text = client.get("/text");
    assert_eq!((text.status, text.text(), text.header("x-test-a")), (202, "hi".to_owned(), Some("b")));
    assert_eq!(text.header("content-type"), Some("text/x"));
    assert_eq!(client.get("/plain").header("content-type"), Some("text/plain; charset=utf-8"));
    let json = client.get("/json");
    assert_eq!(
        (json.text(), json.header("content-type")),
        ("{\"a\":[1,true]}".to_owned(), Some("application/json"))
    );
    assert_eq!(client.get("/typed").header("content-type"), Some("application/x"));
    assert_eq!(client.get("/file").text(), "from a file");
    let empty = client.get("/empty");
    assert_eq!((empty.status, empty.header("content-length")), (204, None));
    assert_eq!((client.get("/gone").status, client.get("/gone").body.len()), (410, 0));
    let head = client.request("HEAD", "/text", &[], b"");
    assert_eq!((head.header("content-length"), head.body.len()), (Some("2"), 0));
}

#[test]
fn a_route_redirects() {
    let edge = Edge::policy(
        "listeners: [{ address: '{listen}' }]
routes:
  - { name: default, match: { path: /a/** }, redirect: { to: 'https://{host}{path}{query}' } }
  - { name: moved, match: { path: '/old/{id}' }, redirect: { to: '/new/{id}', status: 301 } }
",
    )
    .start();
    let mut client = edge.client("listen");
    let location = |answer: Response| (answer.status, answer.header("location").map(str::to_owned));
    assert_eq!(location(client.get("/a/b?c=d")), (308, Some("https://localhost/a/b?c=d".to_owned())));
    assert_eq!(location(client.get("/a/b")), (308, Some("https://localhost/a/b".to_owned())));
    assert_eq!(location(client.get("/old/7?x")), (301, Some("/new/7".to_owned())));
    for (path, status) in [("/a/b", 400), ("/old/7", 301)] {
        let mut nameless = edge.client("listen");
        nameless.send(format!("GET {path} HTTP/1.0\r\n\r\n"));
        assert_eq!(nameless.response().status, status, "a client that names no host: {path}");
    }
}

#[test]
fn the_upstream_sees_what_the_route_rewrites() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = Edge::policy(
        "listeners: [{ address: '{listen}' }]
upstreams: { app: { backends: ['{origin}'] } }
routes:
  - { name: as-is, match: { path: /as-is/** }, upstream: app }
  - { name: path, match: { path: '/orders/{id}/items/{item}' }, rewrite: { path: '/v2/{item}/of/{id}' }, upstream: app }
  - { name: strip, match: { path: /api/** }, rewrite: { strip_prefix: /api }, upstream: app }
  - { name: host, match: { path: /host }, rewrite: { host: inner.example }, upstream: app }
",
    )
    .with("origin", origin.address())
    .start();
    let mut client = edge.client("listen");
    let mut seen = |target: &str| {
        assert_eq!(client.get(target).status, 200);
        let seen = origin.last();
        (seen.target().to_owned(), seen.header("host").unwrap().to_owned())
    };
    let at = |target: &str| (target.to_owned(), "localhost".to_owned());
    assert_eq!(seen("/as-is/a%20b?x=%2f&y"), at("/as-is/a%20b?x=%2f&y"));
    assert_eq!(seen("/orders/7/items/9?a=b"), at("/v2/9/of/7?a=b"));
    assert_eq!(seen("/api/a/b?c"), at("/a/b?c"));
    assert_eq!(seen("/api"), at("/"));
    assert_eq!(seen("/host"), ("/host".to_owned(), "inner.example".to_owned()));
    assert_eq!(origin.last().header("x-forwarded-host"), Some("localhost"));
}

#[test]
fn a_body_may_be_as_long_as_the_route_says() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = Edge::policy(
        "listeners: [{ address: '{listen}', limits: { body: 8B } }]
upstreams: { app: { backends: ['{origin}'] } }
routes:
  - { name: listener, match: { path: /listener }, upstream: app }
  - { name: more, match: { path: /more }, max_body: 16B, upstream: app }
  - { name: less, match: { path: /less }, max_body: 4B, upstream: app }
",
    )
    .with("origin", origin.address())
    .start();
    let ask = |path: &str, length: usize| {
        Client::connect(edge.address("listen")).request("POST", path, &[], &vec![b'x'; length])
    };
    for (path, most) in [("/listener", 8), ("/more", 16), ("/less", 4)] {
        assert_eq!(ask(path, most).status, 200, "{path}");
        let refused = ask(path, most + 1);
        assert_eq!((refused.status, refused.reason()), (413, "body_too_large".to_owned()), "{path}");
    }
    assert_eq!(origin.count(), 3);
    let chunked =
        "POST /less HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n";
    let mut client = edge.client("listen");
    client.send(chunked);
    assert_eq!(client.response().status, 413);
}

#[test]
fn the_rules_for_paths_can_be_changed() {
    let start = |rules: &str| {
        let route = "routes: [{ name: a, match: { path: '/a/{rest}' }, respond: { body: one } }, \
                     { name: b, match: { path: /a/b/c }, respond: { body: two } }]";
        Edge::policy(&format!("listeners: [{{ address: '{{listen}}' }}]\npaths: {rules}\n{route}\n")).start()
    };
    let usual = start("{}");
    assert_eq!(taken(&usual, "/a/b%2fc", &[]), "400");
    assert_eq!(taken(&usual, "/a//b/c", &[]), "two");
    let kept = start("{ encoded_slash: danger_keep, duplicate_slashes: keep }");
    assert_eq!(taken(&kept, "/a/b%2fc", &[]), "one");
    assert_eq!(taken(&kept, "/a//b/c", &[]), "404");
    assert_eq!(taken(&start("{ duplicate_slashes: refuse }"), "/a//b/c", &[]), "400");
}

#[test]
fn a_route_may_keep_websockets_out() {
    let origin = Origin::start(|_| {
        Reply::raw("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
            .hold()
    });
    let edge = Edge::policy(
        "listeners: [{ address: '{listen}' }]
upstreams: { app: { backends: ['{origin}'] } }
routes:
  - { name: open, match: { path: /open }, upstream: app }
  - { name: shut, match: { path: /shut }, upstream: app, websocket: false }
",
    )
    .with("origin", origin.address())
    .start();
    let headers = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let ask = |path: &str| edge.client("listen").allow(&["upgrade"]).request("GET", path, &headers, b"");
    assert_eq!(ask("/open").status, 101);
    let refused = ask("/shut");
    assert_eq!((refused.status, refused.reason()), (403, "websocket".to_owned()));
    assert_eq!(origin.count(), 1);
}
