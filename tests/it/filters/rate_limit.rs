//! `rate_limit`: exact, whoever asks and however many at once.

use super::{ALICE, WONDERLAND, from, running, with};
use crate::harness::{Client, Edge, Origin, Reply};

/// The header fields of an answer about the quota.
fn told(edge: &Edge) -> (u16, Vec<String>) {
    let answer = edge.client("listen").get("/");
    let fields = ["ratelimit-policy", "ratelimit", "retry-after"];
    (answer.status, fields.iter().flat_map(|name| answer.all(name)).map(str::to_owned).collect())
}

#[test]
fn the_limit_is_told_and_then_enforced() {
    let (edge, origin) = running("{ rate_limit: { limit: 2/1h } }");
    let policy = "\"default\";q=2;w=3600";
    assert_eq!(told(&edge), (200, vec![policy.into(), "\"default\";r=1;t=1800".into()]));
    assert_eq!(told(&edge), (200, vec![policy.into(), "\"default\";r=0;t=1800".into()]));
    let (status, fields) = told(&edge);
    assert_eq!((status, &*fields[0]), (429, policy));
    assert!(fields[1].starts_with("\"default\";r=0;t="), "{fields:?}");
    let wait: u32 = fields[2].parse().unwrap();
    assert!((1790..=1800).contains(&wait), "{wait}");
    assert_eq!(origin.count(), 2);
    assert_eq!(edge.client("listen").get("/").reason(), "rate_limit");
}

#[test]
fn exactly_the_limit_passes_however_many_ask_at_once() {
    const CLIENTS: usize = 10;
    const EACH: usize = 40;
    let (edge, origin) = running("{ rate_limit: { limit: 150/1h } }");
    let address = edge.address("listen");
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            std::thread::spawn(move || {
                let mut client = Client::connect(address);
                (0..EACH).map(|_| client.get("/").status).collect::<Vec<_>>()
            })
        })
        .collect();
    let statuses: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    let passed = statuses.iter().filter(|status| **status == 200).count();
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert_eq!((passed, refused, origin.count()), (150, CLIENTS * EACH - 150, 150));
}

#[test]
fn a_burst_may_be_smaller_than_the_limit() {
    let (edge, _origin) = running("{ rate_limit: { limit: 100/1h, burst: 1 } }");
    assert_eq!((told(&edge).0, told(&edge).0), (200, 429));
}

#[test]
fn requests_are_counted_by_their_key() {
    let (edge, _origin) = running("{ rate_limit: { limit: 1/1h } }");
    assert_eq!(
        (from(&edge, "192.0.2.1"), from(&edge, "192.0.2.1"), from(&edge, "192.0.2.2")),
        (200, 429, 200)
    );
    let (edge, _origin) = running("{ rate_limit: { limit: 1/1h, key: route } }");
    assert_eq!((from(&edge, "192.0.2.1"), from(&edge, "192.0.2.2")), (200, 429));
    let (edge, _origin) =
        running("{ rate_limit: { limit: 1/1h, key: 'http.request.headers[\"x-key\"][0]' } }");
    assert_eq!(
        (with(&edge, "x-key", "a"), with(&edge, "x-key", "a"), with(&edge, "X-Key", "b")),
        (200, 429, 200)
    );
    let (edge, _origin) = running("{ rate_limit: { limit: 1/1h, key: 'http.request.cookies[\"sid\"][0]' } }");
    assert_eq!(
        (with(&edge, "Cookie", "x=y; sid=a"), with(&edge, "Cookie", "sid=a"), with(&edge, "Cookie", "sid=b")),
        (200, 429, 200)
    );
    let (edge, _origin) =
        running("{ rate_limit: { limit: 1/1h, key: [ip, 'http.request.headers[\"x-key\"][0]'] } }");
    let ask = |ip: &str, key: &str| {
        edge.client("listen").request("GET", "/", &[("X-Forwarded-For", ip), ("X-Key", key)], b"").status
    };
    assert_eq!(
        (ask("192.0.2.1", "a"), ask("192.0.2.1", "b"), ask("192.0.2.2", "a"), ask("192.0.2.1", "a")),
        (200, 200, 200, 429)
    );
}

#[test]
fn requests_are_counted_by_who_was_found_to_call() {
    let bob = ("Authorization", "Basic Ym9iOndvbmRlcmxhbmQ=");
    let (edge, _origin) = running(&format!(
        "{{ basic_auth: {{ users: ['alice:{WONDERLAND}', 'bob:{WONDERLAND}'] }} }}, \
         {{ rate_limit: {{ key: basic_auth.user, limit: 1/1h }} }}"
    ));
    let ask = |who, from: &str| {
        edge.client("listen").request("GET", "/", &[who, ("X-Forwarded-For", from)], b"").status
    };
    assert_eq!((ask(ALICE, "192.0.2.1"), ask(ALICE, "192.0.2.2"), ask(bob, "192.0.2.1")), (200, 429, 200));
}

#[test]
fn a_request_without_its_key_is_not_without_a_limit() {
    let (edge, _origin) =
        running("{ rate_limit: { limit: 1/1h, key: 'http.request.headers[\"x-key\"][0]' } }");
    assert_eq!(
        (from(&edge, "192.0.2.1"), from(&edge, "192.0.2.1"), from(&edge, "192.0.2.2")),
        (200, 429, 200)
    );
    let (edge, _origin) = running(
        "{ rate_limit: { limit: 1/1h, key: 'http.request.headers[\"x-key\"][0]', on_missing: refuse } }",
    );
    assert_eq!((from(&edge, "192.0.2.1"), with(&edge, "x-key", "a")), (400, 200));
    let (edge, _origin) = running(
        "{ rate_limit: { limit: 1/1h, key: 'http.request.headers[\"x-key\"][0]', on_missing: danger_unlimited } }",
    );
    assert_eq!((from(&edge, "192.0.2.1"), from(&edge, "192.0.2.1")), (200, 200));
}

#[test]
fn neighbours_share_a_limit_by_their_prefix() {
    let (edge, _origin) = running("{ rate_limit: { limit: 1/1h } }");
    assert_eq!(
        (from(&edge, "2001:db8::1"), from(&edge, "2001:db8::2"), from(&edge, "2001:db8:0:1::1")),
        (200, 429, 200)
    );
    let (edge, _origin) = running("{ rate_limit: { limit: 1/1h, ip_prefix: { v4: 24, v6: 128 } } }");
    assert_eq!((from(&edge, "2001:db8::1"), from(&edge, "2001:db8::2")), (200, 200));
    assert_eq!(
        (from(&edge, "192.0.2.1"), from(&edge, "192.0.2.2"), from(&edge, "192.0.3.1")),
        (200, 429, 200)
    );
}

#[test]
fn limits_of_one_name_share_their_counts() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let start = |name: &str| {
        Edge::policy(&format!(
            "listeners: [{{ address: '{{listen}}' }}]
upstreams: {{ app: {{ backends: ['{{origin}}'] }} }}
routes:
  - {{ name: a, match: {{ path: /a }}, upstream: app, filters: [{{ rate_limit: {{ limit: 1/1h {name} }} }}] }}
  - {{ name: b, match: {{ path: /b }}, upstream: app, filters: [{{ rate_limit: {{ limit: 1/1h {name} }} }}] }}
"
        ))
        .with("origin", origin.address())
        .start()
    };
    let both = |edge: &Edge| ["/a", "/b"].map(|path| edge.client("listen").get(path).status);
    assert_eq!(both(&start("")), [200, 200]);
    let shared = start(", name: api");
    let first = shared.client("listen").get("/a");
    assert_eq!(first.header("ratelimit-policy"), Some("\"api\";q=1;w=3600"));
    assert_eq!(both(&shared), [429, 429]);
}

#[test]
fn several_limits_hold_at_once_and_are_all_told() {
    let (edge, _origin) =
        running("{ rate_limit: { limit: 5/1s } }, { rate_limit: { limit: 1/1h, name: hour } }");
    let answer = edge.client("listen").get("/");
    assert_eq!(answer.all("ratelimit-policy").len(), 2, "{answer:?}");
    assert_eq!(edge.client("listen").get("/").status, 429);
}

#[test]
fn the_status_and_the_headers_can_be_chosen() {
    let (edge, _origin) = running("{ rate_limit: { limit: 1/1h, status: 503, headers: false } }");
    assert_eq!(told(&edge), (200, vec![]));
    let (status, fields) = told(&edge);
    assert_eq!((status, fields.len()), (503, 1), "Retry-After alone: {fields:?}");
}

#[test]
fn a_reload_does_not_reset_the_count() {
    let (edge, _origin) = running("{ rate_limit: { limit: 2/1h } }");
    assert_eq!((told(&edge).0, told(&edge).0, told(&edge).0), (200, 200, 429));
    edge.reload().unwrap();
    assert_eq!(told(&edge).0, 429);
}
