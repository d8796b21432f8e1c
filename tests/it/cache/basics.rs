//! What is stored, for how long, and what a hit is like.

use http::Request;

use super::{cached, client, get, get_with, is_hit, numbered, policy, told};
use crate::harness::message::Framing;
use crate::harness::{Edge, H2Client, H2Origin, H2Reply, Origin, Reply, eventually};

const FRESH: &[(&str, &str)] = &[("cache-control", "max-age=60"), ("content-type", "text/plain")];

#[test]
fn a_fresh_answer_is_given_again() {
    let (edge, origin) = cached("{}", numbered(FRESH));
    let first = get(&edge, "/a?b=c");
    assert_eq!((first.status, first.text().as_str()), (200, "answer 1"));
    assert_eq!(told(&first), "\"edgeward\"; fwd=uri-miss; stored; ttl=60");
    let second = get(&edge, "/a?b=c");
    assert_eq!((second.status, second.text().as_str()), (200, "answer 1"));
    assert!(is_hit(&second), "{}", told(&second));
    assert_eq!(second.header("content-type"), Some("text/plain"));
    assert!(second.header("age").unwrap().parse::<u32>().unwrap() < 10);
    assert_eq!((second.framing, origin.count()), (Framing::Length, 1));
    assert_eq!(get(&edge, "/a?b=d").text(), "answer 2");
    assert_eq!(get(&edge, "/a").text(), "answer 3");
}

#[test]
fn what_says_nothing_of_its_lifetime_is_asked_for_again() {
    let (edge, _origin) = cached("{}", numbered(&[]));
    assert_eq!((get(&edge, "/").text(), get(&edge, "/").text()), ("answer 1".into(), "answer 2".into()));
    let (edge, _origin) = cached("{ ttl: { '200': 1m } }", numbered(&[]));
    assert_eq!((get(&edge, "/").text(), get(&edge, "/").text()), ("answer 1".into(), "answer 1".into()));
}

#[test]
fn cookies_are_never_stored() {
    let headers = &[("cache-control", "max-age=60"), ("set-cookie", "session=1")];
    let (edge, _origin) = cached("{}", numbered(headers));
    let first = get(&edge, "/");
    assert_eq!(first.header("set-cookie"), Some("session=1"));
    assert!(told(&first).ends_with("detail=set_cookie"), "{}", told(&first));
    assert_eq!(get(&edge, "/").text(), "answer 2");
}

#[test]
fn clients_that_are_not_to_reach_the_upstream_do_not() {
    let (edge, origin) = cached("{ request_directives: false }", numbered(FRESH));
    get(&edge, "/");
    assert!(is_hit(&get_with(&edge, "/", &[("cache-control", "no-cache"), ("pragma", "no-cache")])));
    // What is not to be stored is not, all the same.
    get_with(&edge, "/b", &[("cache-control", "no-store")]);
    assert!(!is_hit(&get(&edge, "/b")));
    assert_eq!(origin.count(), 3);
}

#[test]
fn who_wants_it_from_the_cache_alone_gets_it_or_504() {
    let (edge, origin) = cached("{}", numbered(FRESH));
    let alone = [("cache-control", "only-if-cached")];
    let none = get_with(&edge, "/", &alone);
    assert_eq!((none.status, none.reason().as_str(), origin.count()), (504, "only_if_cached", 0));
    get(&edge, "/");
    assert!(is_hit(&get_with(&edge, "/", &alone)));
}

#[test]
fn variants_are_told_apart_by_what_vary_names() {
    let (edge, origin) = cached("{}", |request: &crate::harness::Seen| {
        let language = request.header("accept-language").unwrap_or("none").to_owned();
        Reply::status(200, &[("cache-control", "max-age=60"), ("vary", "Accept-Language")], language)
    });
    let ask = |language: &str| get_with(&edge, "/", &[("accept-language", language)]);
    assert_eq!(told(&ask("de")), "\"edgeward\"; fwd=uri-miss; stored; ttl=60");
    assert_eq!(told(&ask("fr")), "\"edgeward\"; fwd=vary-miss; stored; ttl=60");
    for language in ["de", "fr"] {
        let answer = ask(language);
        assert!(is_hit(&answer) && answer.text() == language);
    }
    assert!(is_hit(&ask("de;q=1.0")), "it means the same");
    assert_eq!((get(&edge, "/").text().as_str(), origin.count()), ("none", 3));
}

#[test]
fn what_varies_by_what_was_edited_later_is_not_stored() {
    let origin = Origin::start(numbered(&[("cache-control", "max-age=60"), ("vary", "x-tenant")]));
    let text = policy("{}").replace(
        "[{ cache: {} }]",
        "[{ cache: {} }, { request_headers: { set: { x-tenant: '{request.id}' } } }]",
    );
    let edge = Edge::policy(&text).with("origin", origin.address()).start();
    assert!(told(&get(&edge, "/")).ends_with("detail=vary"));
    assert_eq!(get(&edge, "/").text(), "answer 2");
}

#[test]
fn long_content_is_streamed_whole_and_given_again() {
    let body: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[0] ^ 0x5a).collect();
    let sent = body.clone();
    let (edge, origin) = cached("{}", move |request: &crate::harness::Seen| match request.target() {
        "/chunked" => Reply::chunked(&[("cache-control", "max-age=60")], &[&sent], &[]),
        _ => Reply::status(200, &[("cache-control", "max-age=60")], &sent),
    });
    for path in ["/length", "/chunked"] {
        let (first, second) = (get(&edge, path), get(&edge, path));
        assert!(first.body == body && second.body == body, "{path}");
        assert!(is_hit(&second) && second.framing == Framing::Length, "{path}");
    }
    assert_eq!(origin.count(), 2);
}

#[test]
fn what_is_too_long_is_passed_on_and_not_stored() {
    let (edge, origin) = cached("{ max_object: 1KiB }", |request: &crate::harness::Seen| {
        let body = vec![b'a'; 200_000];
        match request.target() {
            "/chunked" => Reply::chunked(&[("cache-control", "max-age=60")], &[&body], &[]),
            _ => Reply::status(200, &[("cache-control", "max-age=60")], &body),
        }
    });
    for path in ["/length", "/chunked"] {
        assert_eq!(get(&edge, path).body.len(), 200_000);
        let second = get(&edge, path);
        assert!(!is_hit(&second) && second.body.len() == 200_000);
    }
    assert_eq!(origin.count(), 4);
}

#[test]
fn half_an_answer_is_never_stored_nor_taken_for_whole() {
    for framing in ["content-length: 100\r\n\r\nhalf", "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
        let head = format!("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n{framing}");
        let (edge, origin) = cached("{}", move |_: &_| Reply::raw(&head).close());
        for _ in 0..2 {
            let mut client = client(&edge);
            client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
            assert!(client.try_response("GET").is_err(), "{framing}");
        }
        assert_eq!(origin.count(), 2, "{framing}");
    }
}

#[test]
fn an_answer_that_ends_with_its_connection_is_stored() {
    let head = "HTTP/1.0 200 OK\r\ncache-control: max-age=60\r\n\r\nold";
    let (edge, origin) = cached("{}", move |_: &_| Reply::raw(head).close());
    assert_eq!(get(&edge, "/").text(), "old");
    let second = get(&edge, "/");
    assert_eq!((second.text().as_str(), is_hit(&second), origin.count()), ("old", true, 1));
}

#[test]
fn errors_are_remembered_where_the_policy_says_so() {
    let (edge, origin) = cached("{ ttl: { '404': 1m, 5xx: 1m } }", |request: &crate::harness::Seen| {
        let status = request.target().trim_start_matches('/').parse().unwrap();
        Reply::status(status, &[], "no")
    });
    for (path, stored) in [("/404", true), ("/500", true), ("/410", false), ("/403", false)] {
        get(&edge, path);
        assert_eq!(is_hit(&get(&edge, path)), stored, "{path}");
    }
    assert_eq!(origin.count(), 6);
}

#[test]
fn interim_answers_reach_the_client_and_are_not_stored() {
    let (edge, _origin) = cached("{}", |_: &_| {
        Reply::raw(
            "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 2\r\n\r\nok",
        )
    });
    let mut client = client(&edge);
    assert_eq!(client.get("/").text(), "ok");
    assert_eq!(client.interim.iter().map(|response| response.status).collect::<Vec<_>>(), [103]);
    let second = client.get("/");
    assert!(is_hit(&second) && client.interim.is_empty() && second.header("link").is_none());
}

/// RFC 9111 §3.1 leaves it to a cache; where it stands aside, they pass.
#[test]
fn trailers_are_dropped_on_the_way_through_the_cache() {
    let origin = H2Origin::cleartext(|seen| {
        let mut reply = H2Reply::text("whole");
        let fresh = if seen.head.uri.path() == "/private" { "private" } else { "max-age=60" };
        reply.headers.push(("cache-control", fresh.into()));
        reply.trailers = vec![("x-checksum", "abc".into())];
        reply
    });
    let text = policy("{}").replace("retries:", "protocol: http2, retries:");
    let edge = Edge::policy(&text).with("origin", origin.address()).start();
    let client = H2Client::cleartext(edge.address("h2c")).allow(&["content-type"]);
    let ask = |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(format!("http://localhost{path}"));
        let answer = client.request(request.header("te", "trailers").body(()).unwrap(), b"", None);
        assert_eq!((answer.text().as_str(), answer.header("x-checksum")), ("whole", None));
        answer.trailers
    };
    for (path, asked) in [("/", 1), ("/", 1), ("/private", 2)] {
        assert_eq!((ask("GET", path), origin.requests().len()), (None, asked), "{path}");
    }
    assert_eq!(ask("POST", "/").unwrap()["x-checksum"], "abc");
}

#[test]
fn hits_are_the_same_over_http2() {
    let (edge, origin) = cached("{}", numbered(FRESH));
    assert_eq!(get(&edge, "/").text(), "answer 1");
    let client = H2Client::cleartext(edge.address("h2c")).allow(&["content-type"]);
    let second = client.get("/");
    assert_eq!((second.status, second.text().as_str()), (200, "answer 1"));
    assert!(second.header("cache-status").unwrap().starts_with("\"edgeward\"; hit"));
    let third = client.get("/b");
    assert_eq!((third.text().as_str(), get(&edge, "/b").text().as_str()), ("answer 2", "answer 2"));
    assert_eq!(origin.count(), 2);
}

#[test]
fn what_the_cache_did_is_logged_and_counted() {
    let (edge, _origin) = cached("{}", numbered(FRESH));
    get(&edge, "/a");
    get(&edge, "/a");
    client(&edge).request("POST", "/a", &[], b"");
    let series =
        |outcome: &str| format!("edgeward_cache_requests_total{{outcome=\"{outcome}\",route=\"app\"}}");
    for outcome in ["miss", "hit", "bypass"] {
        edge.wait_for_metric(&series(outcome), 1.0);
        edge.logged(outcome, |line| line["cache"] == outcome && line["path"] == "/a");
    }
    let miss = edge.logged("the miss", |line| line["cache"] == "miss");
    assert_eq!((&miss["upstream_status"], &miss["backend"].is_string()), (&200.into(), &true));
    let hit = edge.logged("the hit", |line| line["cache"] == "hit");
    assert!(hit["upstream_status"].is_null() && hit["backend"].is_null(), "{hit}");
    edge.wait_for_metric("edgeward_cache_stored_total", 1.0);
    assert_eq!(edge.metrics().value("edgeward_upstream_requests_total{backend=\"b\"}"), None);
}

#[test]
fn nothing_is_told_where_nothing_is_to_be() {
    let (edge, _origin) = cached("{ status_header: false }", numbered(FRESH));
    assert_eq!((told(&get(&edge, "/")), told(&get(&edge, "/"))), ("nothing", "nothing"));
    assert_eq!(get(&edge, "/").text(), "answer 1");
}

#[test]
fn what_is_stored_outlives_a_reload_of_other_things() {
    let (edge, _origin) = cached("{}", numbered(FRESH));
    get(&edge, "/");
    let text = policy("{}");
    edge.rewrite(&text.replace("drain: 200ms", "drain: 300ms"));
    edge.reload().unwrap();
    assert!(is_hit(&get(&edge, "/")));
    // Under another policy it might have been another answer.
    edge.rewrite(
        &text.replace("[{ cache: {} }]", "[{ request_headers: { set: { x-a: b } } }, { cache: {} }]"),
    );
    edge.reload().unwrap();
    assert_eq!(get(&edge, "/").text(), "answer 2");
    // A smaller cache holds less.
    edge.rewrite(&format!("cache: {{ memory: 1MiB }}\n{text}"));
    edge.reload().unwrap();
    eventually("the first policy's answer, or a new one", || (get(&edge, "/").status == 200).then_some(()));
}

#[test]
fn the_query_is_keyed_and_forwarded_as_the_policy_says() {
    let key = "{ key: { query: { except: [utm_*, gclid], sort: true } } }";
    let (edge, origin) = cached(key, numbered(FRESH));
    get(&edge, "/a?b=1&utm_source=x&a=2&gclid=7");
    assert_eq!(origin.only().target(), "/a?a=2&b=1");
    assert!(is_hit(&get(&edge, "/a?a=2&b=1&utm_campaign=y")));
    let (edge, origin) = cached("{ key: { query: { only: [] } } }", numbered(FRESH));
    get(&edge, "/a?b=1");
    assert_eq!(origin.only().target(), "/a");
    assert!(is_hit(&get(&edge, "/a?c=2")));
}

#[test]
fn headers_and_cookies_of_the_key_tell_requests_apart() {
    let (edge, _origin) = cached("{ key: { headers: [x-tenant], cookies: [currency] } }", numbered(FRESH));
    let ask = |headers: &[(&str, &str)]| get_with(&edge, "/", headers).text();
    assert_eq!(ask(&[("x-tenant", "a")]), "answer 1");
    assert_eq!(ask(&[("x-tenant", "b")]), "answer 2");
    assert_eq!(ask(&[("x-tenant", "a"), ("cookie", "currency=eur; other=1")]), "answer 3");
    assert_eq!(ask(&[("x-tenant", "a"), ("cookie", "other=2; currency=eur")]), "answer 3");
    assert_eq!(ask(&[("x-tenant", "a"), ("cookie", "other=2")]), "answer 1");
}
