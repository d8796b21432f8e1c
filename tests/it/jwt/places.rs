//! Where a token comes from, where it goes, and what upstreams are told instead.

use serde_json::json;

use super::{Site, ask, told};

const ORDERS: &str = "audience: orders-api";

#[test]
fn a_token_may_stand_in_a_header_of_its_own() {
    let site = Site::new(ORDERS, "{ jwt: { issuer: corp, from: { header: x-token } } }");
    let token = site.token(json!({}));
    assert_eq!(
        ask(&site.edge, "/orders/7", &[("X-Token", &token), ("Authorization", "Basic YTpi")]).status,
        200
    );
    let seen = site.origin.only();
    assert_eq!((seen.header("x-token"), seen.header("authorization")), (None, Some("Basic YTpi")));
    assert_eq!(told(&site.bearer(&token)), (401, "token_missing".to_owned()), "there and nowhere else");
}

#[test]
fn a_token_may_stand_in_a_cookie() {
    let site = Site::new(ORDERS, "{ jwt: { issuer: corp, from: { cookie: token } } }");
    let token = site.token(json!({}));
    assert_eq!(ask(&site.edge, "/orders/7", &[("Cookie", &format!("a=1; token={token}; b=2"))]).status, 200);
    assert_eq!(site.origin.only().header("cookie"), Some("a=1; b=2"));
    let twice = ask(&site.edge, "/orders/7", &[("Cookie", &format!("token={token}; token={token}"))]);
    assert_eq!(told(&twice), (400, "token_repeated".to_owned()));
}

#[test]
fn a_token_in_the_query_reaches_neither_upstreams_nor_logs() {
    let filter = "{ rate_limit: { limit: 2/1h, headers: false } }, \
                  { jwt: { issuer: corp, from: { danger_query: access_token } } }";
    let site = Site::new(ORDERS, filter);
    let token = site.token(json!({}));
    let target = format!("/orders/7?a=1&access_token={token}&b=2");
    assert_eq!(ask(&site.edge, &target, &[]).status, 200);
    assert_eq!(site.origin.only().target(), "/orders/7?a=1&b=2");
    let refused = ask(&site.edge, "/orders/7?access_token=secret.bad.token", &[]);
    assert_eq!(told(&refused), (401, "token_malformed".to_owned()));
    // Before the filter, and on another route.
    assert_eq!(ask(&site.edge, "/orders/7?access_token=secret.early.token", &[]).status, 429);
    assert_eq!(ask(&site.edge, "/open/7?access%5Ftoken=secret.other.token&x", &[]).status, 200);
    assert_eq!(ask(&site.edge, "/nowhere?access_token=secret.lost.token", &[]).status, 404);
    site.edge.logged("the last", |line| line["path"] == "/nowhere");
    let log = site.edge.access_log();
    let mut queries: Vec<_> = log.iter().map(|line| line["query"].as_str().unwrap_or_default()).collect();
    queries.sort_unstable();
    assert_eq!(queries, ["", "", "", "a=1&b=2", "x"]);
    assert!(!site.edge.folder.read("access.log").contains("secret"));
}

#[test]
fn several_tokens_are_no_token() {
    let site = Site::new(ORDERS, "{ jwt: { issuer: corp } }");
    let token = format!("Bearer {}", site.token(json!({})));
    let twice = ask(&site.edge, "/orders/7", &[("Authorization", &token), ("Authorization", &token)]);
    assert!(matches!(twice.status, 400 | 401), "{}", twice.status);
    assert_eq!(site.origin.count(), 0);
}

#[test]
fn the_token_is_passed_on_where_the_policy_says_so() {
    let site = Site::new(ORDERS, "{ jwt: { issuer: corp, hide_credentials: false } }");
    let token = site.token(json!({}));
    assert_eq!(site.bearer(&token).status, 200);
    assert_eq!(site.origin.only().header("authorization"), Some(&*format!("Bearer {token}")));
}

#[test]
fn upstreams_are_told_claims_and_clients_cannot_tell_them() {
    let filter = "{ jwt: { issuer: corp, to_headers: { x-user: sub, x-groups: /acl/groups } } }";
    let site = Site::new(ORDERS, filter);
    let token = format!("Bearer {}", site.token(json!({ "acl": { "groups": ["a", "b,c"] } })));
    let forged = [("Authorization", token.as_str()), ("X-User", "root"), ("X_User", "root")];
    assert_eq!(ask(&site.edge, "/orders/7", &forged).status, 200);
    let seen = site.origin.last();
    assert_eq!((seen.header("x-user"), seen.header("x-groups")), (Some("user-1"), Some("a")));
    assert_eq!(seen.header("x_user"), None);
    // Where the filter is not on, nobody is anybody.
    assert_eq!(ask(&site.edge, "/open/7", &[("X-User", "root"), ("X-Groups", "a")]).status, 200);
    let seen = site.origin.last();
    assert_eq!((seen.header("x-user"), seen.header("x-groups")), (None, None));
}

#[test]
fn a_token_may_be_optional_and_is_never_taken_if_it_is_bad() {
    let site = Site::new(ORDERS, "{ jwt: { issuer: corp, optional: true, realm: 'Orders API' } }");
    assert_eq!(ask(&site.edge, "/orders/7", &[]).status, 200);
    let bad = site.bearer("a.b.c");
    assert_eq!(bad.status, 401);
    assert!(bad.header("www-authenticate").unwrap().starts_with("Bearer realm=\"Orders API\", "));
}
