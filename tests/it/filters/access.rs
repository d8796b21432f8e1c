//! `ip_access` and `basic_auth`: who gets in.

use super::{ALICE, WONDERLAND, from, running, with_filters};
use crate::harness::{Origin, Reply};

#[test]
fn ip_access_lets_in_whom_the_lists_name() {
    let (edge, origin) =
        running("{ ip_access: { allow: [10.0.0.0/8, '2001:db8::/32'], deny: [10.6.0.0/16] } }");
    for (address, status) in
        [("10.1.2.3", 200), ("2001:db8::1", 200), ("10.6.6.6", 403), ("192.0.2.1", 403), ("2001:db9::1", 403)]
    {
        assert_eq!(from(&edge, address), status, "{address}");
    }
    assert_eq!(origin.count(), 2);
    let refused = edge.client("listen").request("GET", "/", &[("X-Forwarded-For", "192.0.2.1")], b"");
    assert_eq!(refused.reason(), "ip_access");
}

#[test]
fn ip_access_with_a_deny_list_alone_lets_in_everyone_else() {
    let (edge, _origin) = running("{ ip_access: { deny: [192.0.2.7] } }");
    assert_eq!((from(&edge, "192.0.2.7"), from(&edge, "192.0.2.8")), (403, 200));
}

#[test]
fn ip_access_reads_long_lists_from_files() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let allowed: String = (0..60_000).map(|at| format!("10.{}.{}.0/25\n", at / 256, at % 256)).collect();
    let edge = with_filters("{ ip_access: { allow_file: allow.txt, deny_file: lists/deny.txt } }")
        .with("origin", origin.address())
        .file("allow.txt", format!("# partners\n{allowed}"))
        .file("lists/deny.txt", "10.9.9.0/30 # the noisy ones\n\n")
        .start();
    for (address, status) in [("10.1.2.3", 200), ("10.1.2.200", 403), ("10.9.9.1", 403), ("10.9.9.4", 200)] {
        assert_eq!(from(&edge, address), status, "{address}");
    }
}

#[test]
fn basic_auth_asks_for_a_name_and_a_password() {
    let (edge, origin) =
        running(&format!("{{ basic_auth: {{ users: ['alice:{WONDERLAND}'], realm: Orders API }} }}"));
    let ask = |headers: &[(&str, &str)]| edge.client("listen").request("GET", "/", headers, b"");
    let missing = ask(&[]);
    assert_eq!((missing.status, missing.reason()), (401, "basic_auth_missing".to_owned()));
    assert_eq!(missing.header("www-authenticate"), Some("Basic realm=\"Orders API\", charset=\"UTF-8\""));
    for wrong in ["Basic YWxpY2U6d3Jvbmc=", "Basic Ym9iOndvbmRlcmxhbmQ=", "Basic !", "Basic YWxpY2U="] {
        let refused = ask(&[("Authorization", wrong)]);
        assert_eq!((refused.status, refused.reason()), (401, "basic_auth_invalid".to_owned()), "{wrong}");
    }
    assert_eq!(origin.count(), 0);
    assert_eq!(ask(&[ALICE]).status, 200);
    assert_eq!(origin.only().header("authorization"), None, "hidden by default");
    let line = edge.logged("alice", |line| line["consumer"] == "alice");
    assert_eq!(line["status"], 200);
}

#[test]
fn basic_auth_tells_the_upstream_who_came_and_nobody_else_can() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = with_filters(
        "{ basic_auth: { users_file: htpasswd, forward_user_as: x-user, hide_credentials: false } }",
    )
    .with("origin", origin.address())
    .file("htpasswd", format!("# made with htpasswd -B\nalice:{WONDERLAND}\n"))
    .start();
    let headers = [ALICE, ("X-User", "root")];
    assert_eq!(edge.client("listen").request("GET", "/", &headers, b"").status, 200);
    let seen = origin.only();
    assert_eq!((seen.all("x-user"), seen.header("authorization")), (vec!["alice"], Some(ALICE.1)));
}
