//! How requests are spread over backends.

use std::collections::HashSet;
use std::time::Duration;

use super::{WONDERLAND, backends, before, listed, shares, up};
use crate::harness::{Edge, Origin, Reply};

#[test]
fn round_robin_takes_turns_by_weight() {
    let origins = backends(3);
    assert_eq!(shares(&before(&listed(&origins), ""), 3, 12), [4, 4, 4], "the default");
    assert_eq!(shares(&before(&listed(&origins), ", balance: round_robin"), 3, 12), [4, 4, 4]);
    let (heavy, light) = (origins[0].address(), origins[1].address());
    let edge = before(&format!("{{ address: '{heavy}', weight: 3 }}, '{light}'"), "");
    assert_eq!(shares(&edge, 2, 12), [9, 3]);
}

#[test]
fn random_reaches_all_by_weight() {
    let origins = backends(2);
    let (heavy, light) = (origins[0].address(), origins[1].address());
    let edge = before(&format!("{{ address: '{heavy}', weight: 4 }}, '{light}'"), ", balance: random");
    let shares = shares(&edge, 2, 400);
    // 320 and 80 are expected; a deviation of 40 is five times the standard one.
    assert!((280..=360).contains(&shares[0]), "{shares:?}");
}

#[test]
fn least_connections_avoids_the_busy_backend() {
    let origins: Vec<_> = (0..2)
        .map(|at| {
            Origin::start(move |seen| match seen.target() {
                "/slow" => Reply::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n")
                    .then(format!("{at}\r\n"))
                    .hold(),
                _ => Reply::text(&at.to_string()),
            })
        })
        .collect();
    let edge = before(&listed(&origins), ", balance: least_connections");
    let mut slow = edge.client("listen");
    slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    slow.take_to(b"\r\n\r\n1\r\n").unwrap();
    let busy: usize = String::from_utf8(slow.take(1).unwrap()).unwrap().parse().unwrap();
    let shares = shares(&edge, 2, 20);
    assert_eq!((shares[busy], shares[1 - busy]), (0, 20));
}

#[test]
fn p2c_ewma_prefers_the_faster_backend() {
    let slow = Origin::start(|_| Reply::text("0").after(Duration::from_millis(60)));
    let fast = Origin::start(|_| Reply::text("1"));
    let edge = before(&format!("'{}', '{}'", slow.address(), fast.address()), ", balance: p2c_ewma");
    let shares = shares(&edge, 2, 60);
    assert!(shares[1] >= 50, "{shares:?}");
}

#[test]
fn consistent_hash_keeps_a_key_at_its_backend() {
    for (key, header, form) in [
        ("'http.request.headers[\"x-tenant\"][0]'", "X-Tenant", "KEY"),
        ("'http.request.cookies[\"session\"][0]'", "Cookie", "a=b; session=KEY; session2=x"),
        ("ip", "X-Forwarded-For", "192.0.2.KEY"),
    ] {
        let origins = backends(3);
        let edge = before(&listed(&origins), &format!(", balance: {{ consistent_hash: {key} }}"));
        let ask = |value: usize| {
            let value = form.replace("KEY", &value.to_string());
            edge.client("listen").request("GET", "/", &[(header, &value)], b"").text()
        };
        let first: Vec<_> = (0..40).map(ask).collect();
        let again: Vec<_> = (0..40).map(ask).collect();
        assert_eq!(first, again, "{key}");
        assert_eq!(first.iter().collect::<HashSet<_>>().len(), 3, "{key}: {first:?}");
    }
}

#[test]
fn consistent_hash_can_follow_the_user_a_filter_let_in() {
    let origins = backends(3);
    let edge = Edge::policy(&format!(
        "listeners: [{{ address: '{{listen}}' }}]
upstreams: {{ app: {{ backends: [{}], balance: {{ consistent_hash: basic_auth.user }} }} }}
routes: [{{ name: app, match: {{ path: /** }}, upstream: app, filters: [{{ basic_auth: {{ users_file: users }} }}] }}]
",
        listed(&origins)
    ))
    .file("users", (0..12).map(|at| format!("user{at}:{WONDERLAND}\n")).collect::<String>())
    .start();
    let ask = |user: usize| {
        let credentials = boring::base64::encode_block(format!("user{user}:wonderland").as_bytes());
        let headers = [("Authorization", &*format!("Basic {credentials}"))];
        edge.client("listen").request("GET", "/", &headers, b"").text()
    };
    let first: Vec<_> = (0..12).map(ask).collect();
    assert_eq!(first, (0..12).map(ask).collect::<Vec<_>>());
    assert!(first.iter().collect::<HashSet<_>>().len() > 1, "{first:?}");
}

#[test]
fn a_hash_moves_on_when_its_backend_is_gone_and_comes_back_with_it() {
    let origins = backends(3);
    let check = ", health_check: { tcp: {}, interval: 100ms, fall: 1, rise: 1 }";
    let edge = before(
        &listed(&origins),
        &format!(", balance: {{ consistent_hash: 'http.request.headers[\"x-tenant\"][0]' }}{check}"),
    );
    let ask = || edge.client("listen").request("GET", "/", &[("x-tenant", "a")], b"").text();
    let home: usize = ask().parse().unwrap();
    origins[home].kill();
    let address = origins[home].address();
    edge.wait_for_metric(&up(address), 0.0);
    let away = ask();
    assert_ne!(away, home.to_string());
    assert_eq!(ask(), away);
    let _back = Origin::start_at(address, move |_| Reply::text(&home.to_string()));
    edge.wait_for_metric(&up(address), 1.0);
    assert_eq!(ask(), home.to_string());
}
