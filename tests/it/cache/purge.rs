//! Purges: by operators, by trusted clients, and by what writes make untrue.

use super::{cached, client, get, is_hit, numbered, policy};
use crate::harness::tools::edgeward;
use crate::harness::{Edge, Origin, Reply, Response, Seen};

const TAGGED: &[(&str, &str)] = &[
    ("cache-control", "max-age=60, stale-if-error=60"),
    ("etag", "\"a\""),
    ("cache-tag", "shoes, sale"),
    ("surrogate-key", "product-7 all"),
];

fn order(edge: &Edge, body: &str) -> Response {
    edge.client("admin").request("POST", "/cache/purge", &[], body.as_bytes())
}

/// Whether each of these paths is answered from the cache.
fn hits(edge: &Edge, paths: &[&str]) -> Vec<bool> {
    let mut client = client(edge);
    let mut hit =
        |path: &&str| is_hit(&client.request("GET", path, &[("cache-control", "only-if-cached")], b""));
    paths.iter().map(&mut hit).collect()
}

const PATHS: [&str; 4] = ["/a", "/a/b", "/a?c=d", "/other"];

fn filled() -> (Edge, Origin) {
    let (edge, origin) = cached("{}", |request: &Seen| {
        let tag = if request.target() == "/other" { "other" } else { "product-7 all" };
        Reply::status(200, &[("cache-control", "max-age=60"), ("surrogate-key", tag)], "x")
    });
    for path in PATHS {
        assert_eq!(get(&edge, path).status, 200);
    }
    assert_eq!(hits(&edge, &PATHS), [true; 4]);
    (edge, origin)
}

#[test]
fn operators_purge_by_url_prefix_tag_and_all() {
    for (body, left) in [
        (r#"{ "url": "http://LOCALHOST:80/a" }"#, [false, true, true, true]),
        (
            r#"{ "url": ["http://localhost/x/../a?c=d", "http://localhost/other"] }"#,
            [true, true, false, false],
        ),
        (r#"{ "prefix": "http://localhost/a" }"#, [false, false, false, true]),
        (r#"{ "tag": "all" }"#, [false, false, false, true]),
        (r#"{ "tag": ["product-8", "other"] }"#, [true, true, true, false]),
        (r#"{ "all": true }"#, [false; 4]),
    ] {
        let (edge, _origin) = filled();
        let answer = order(&edge, body);
        assert_eq!((answer.status, answer.json()["purged"].as_bool()), (200, Some(true)), "{body}");
        assert_eq!(hits(&edge, &PATHS), left, "{body}");
    }
}

#[test]
fn a_wrong_order_purges_nothing() {
    let (edge, _origin) = filled();
    for body in ["", "{}", "[]", r#"{ "url": "/a" }"#, r#"{ "everything": true }"#] {
        let answer = order(&edge, body);
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.json()["error"].is_string());
    }
    assert_eq!(edge.client("admin").get("/cache/purge").status, 405);
    assert_eq!(hits(&edge, &PATHS), [true; 4]);
}

#[test]
fn a_soft_purge_leaves_what_is_stale_for_bad_times() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let (edge, origin) =
        cached("{}", move |_: &Seen| match count.fetch_add(1, std::sync::atomic::Ordering::AcqRel) {
            0 => Reply::status(200, TAGGED, "good"),
            _ => Reply::status(503, &[], "bad"),
        });
    let first = get(&edge, "/");
    // Tags are for operators.
    assert!(first.header("surrogate-key").is_none() && first.header("cache-tag").is_none());
    assert_eq!(order(&edge, r#"{ "tag": "sale", "soft": true }"#).status, 200);
    let second = get(&edge, "/");
    assert_eq!((second.status, second.text().as_str(), origin.count()), (200, "good", 2));
    assert_eq!(order(&edge, r#"{ "tag": "sale" }"#).status, 200);
    assert_eq!(get(&edge, "/").status, 503);
}

#[test]
fn the_command_line_purges_too() {
    let (edge, _origin) = filled();
    let policy = edge.folder.path().join("policy.yaml").display().to_string();
    let run = |arguments: &[&str]| {
        let output = edgeward(&[&["cache", "purge", "--policy", &policy], arguments].concat());
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(run(&["--tag", "other"]), (Some(0), String::new()));
    assert_eq!(hits(&edge, &PATHS), [true, true, true, false]);
    let (code, told) = run(&[]);
    assert!(code == Some(64) && told.contains("nothing to purge"), "{told}");
    let (code, told) = run(&["--url", "/a"]);
    assert!(code == Some(1) && told.contains("expected an absolute URL"), "{told}");
    assert_eq!(run(&["--all"]), (Some(0), String::new()));
    assert_eq!(hits(&edge, &PATHS), [false; 4]);
}

#[test]
fn trusted_clients_purge_by_their_own_method() {
    let (edge, origin) = cached("{ purge_from: [127.0.0.0/8] }", numbered(TAGGED));
    get(&edge, "/a");
    let answer = client(&edge).request("PURGE", "/a", &[], b"");
    assert_eq!((answer.status, origin.count()), (204, 1));
    assert_eq!(get(&edge, "/a").text(), "answer 2");
    let (edge, origin) = cached("{ purge_from: [192.0.2.0/24] }", numbered(TAGGED));
    get(&edge, "/a");
    let answer = client(&edge).request("PURGE", "/a", &[], b"");
    assert_eq!((answer.status, answer.reason().as_str(), origin.count()), (403, "purge", 1));
    assert_eq!(hits(&edge, &["/a"]), [true]);
}

#[test]
fn a_write_that_succeeds_makes_what_is_stored_untrue() {
    for (method, status, hit) in [
        ("POST", 200, false),
        ("PUT", 204, false),
        ("DELETE", 302, false),
        ("PATCH", 200, false),
        ("POST", 404, true),
        ("PUT", 500, true),
        ("OPTIONS", 200, true),
        ("QUERY", 200, true),
    ] {
        let (edge, _origin) = cached("{}", move |request: &Seen| match request.method() {
            "GET" => Reply::status(200, TAGGED, "x"),
            _ => Reply::status(status, &[], ""),
        });
        get(&edge, "/a");
        let answer = client(&edge).request(method, "/a", &[], b"");
        assert_eq!(answer.header("cache-status"), Some("\"edgeward\"; fwd=method"));
        assert_eq!(hits(&edge, &["/a"]), [hit], "{method} {status}");
    }
}

#[test]
fn a_write_names_what_else_is_untrue_on_its_own_origin_alone() {
    for (name, value, hit) in [
        ("location", "/b", false),
        ("content-location", "http://localhost/b", false),
        ("location", "http://evil.example/b", true),
        ("content-location", "https://localhost/b", true),
    ] {
        let (edge, _origin) = cached("{}", move |request: &Seen| match request.method() {
            "GET" => Reply::status(200, TAGGED, "x"),
            _ => Reply::status(201, &[(name, value)], ""),
        });
        get(&edge, "/b");
        client(&edge).allow(&["content-location"]).request("POST", "/a", &[], b"");
        assert_eq!(hits(&edge, &["/b"]), [hit], "{name}: {value}");
    }
}

#[test]
fn without_a_cache_there_is_nothing_to_purge() {
    let origin = Origin::start(|_| Reply::text("x"));
    let text = policy("{}").replace("{ cache: {} }", "{ request_limits: { max_body: 1KiB } }");
    let edge = Edge::policy(&text).with("origin", origin.address()).start();
    assert_eq!(order(&edge, r#"{ "all": true }"#).status, 404);
}
