//! `authorize`: who may do what, by who was found to call and by what is asked for.

use super::{ALICE, WONDERLAND};
use crate::harness::{Edge, Origin, Reply};

const BOB: (&str, &str) = ("Authorization", "Basic Ym9iOndvbmRlcmxhbmQ=");

/// A route on which people see what is theirs, behind these rules.
fn owned(authorize: &str) -> (Edge, Origin) {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = Edge::policy(&format!(
        r#"
server: {{ drain: 200ms }}
admin: {{ address: "{{admin}}" }}
access_log: {{ to: access.log }}
listeners: [{{ address: "{{listen}}" }}]
lists: {{ staff: {{ kind: string, entries: [bob] }} }}
upstreams: {{ app: {{ backends: ["{{origin}}"] }} }}
routes:
  - name: users
    match: {{ path: "/users/{{user}}/**" }}
    filters:
      - basic_auth: {{ users: ["alice:{WONDERLAND}", "bob:{WONDERLAND}"], when: 'exists(http.request.headers["authorization"])' }}
      - authorize: {authorize}
    upstream: app
"#
    ))
    .with("origin", origin.address())
    .start();
    (edge, origin)
}

const RULES: &str = r#"
          rules:
            - { deny: 'http.request.method == "DELETE" and not basic_auth.user in $staff', reason: only staff deletes }
            - { allow: 'basic_auth.user in $staff' }
            - { allow: 'path.user == basic_auth.user' }
          challenge: 'Basic realm="orders"'
"#;

#[test]
fn people_reach_what_is_theirs_and_staff_reaches_all() {
    let (edge, origin) = owned(RULES);
    let ask = |method: &str, path: &str, headers: &[(&str, &str)]| {
        let answer = edge.client("listen").request(method, path, headers, b"");
        let reason = if answer.status == 200 { String::new() } else { answer.reason() };
        (answer.status, reason)
    };
    let passes = (200, String::new());
    assert_eq!(ask("GET", "/users/alice/orders", &[ALICE]), passes);
    assert_eq!(ask("GET", "/users/%61lice/orders", &[ALICE]), passes);
    assert_eq!(ask("GET", "/users/alice/orders", &[BOB]), passes);
    assert_eq!(ask("DELETE", "/users/alice/orders", &[BOB]), passes);
    assert_eq!(origin.count(), 4);
    assert_eq!(ask("GET", "/users/bob/orders", &[ALICE]), (403, "authorize_no_rule".to_owned()));
    assert_eq!(ask("GET", "/users/alice%2e/orders", &[ALICE]), (403, "authorize_no_rule".to_owned()));
    assert_eq!(ask("GET", "/users/alice/../bob/orders", &[ALICE]), (403, "authorize_no_rule".to_owned()));
    assert_eq!(ask("DELETE", "/users/alice/orders", &[ALICE]), (403, "authorize_denied".to_owned()));
    assert_eq!(ask("GET", "/users/alice/orders", &[]), (401, "authorize_unauthenticated".to_owned()));
    assert_eq!(origin.count(), 4);
}

#[test]
fn the_log_says_which_rule_and_what_was_missing() {
    let (edge, _origin) = owned(RULES);
    let unknown = edge.client("listen").get("/users/alice/a");
    assert_eq!(unknown.header("www-authenticate"), Some("Basic realm=\"orders\""));
    assert!(!unknown.text().contains("basic_auth.user"), "clients are not told: {}", unknown.text());
    edge.client("listen").request("DELETE", "/users/alice/b", &[ALICE], b"");
    let why = |path: &str| edge.logged(path, |line| line["path"] == path)["why"].clone();
    assert_eq!(why("/users/alice/a"), "rules[1]: basic_auth.user is absent");
    assert_eq!(why("/users/alice/b"), "rules[0]: only staff deletes");
    let labels = ["route=\"users\"", "filter=\"authorize\"", "reason=\"authorize_denied\""];
    edge.wait_for_sum("edgeward_refusals_total", &labels, 1.0);
}

#[test]
fn a_bearer_token_is_asked_for_unless_the_challenge_says_otherwise_and_a_shadow_lets_pass() {
    let (edge, _origin) = owned("{ rules: [{ allow: 'path.user == basic_auth.user' }] }");
    assert_eq!(edge.client("listen").get("/users/alice/").header("www-authenticate"), Some("Bearer"));
    let (edge, origin) = owned("{ rules: [{ allow: 'path.user == basic_auth.user' }], mode: shadow }");
    assert_eq!(edge.client("listen").get("/users/alice/").status, 200);
    assert_eq!(origin.count(), 1);
    let line = edge.logged("/users/", |line| line["route"] == "users");
    assert_eq!(line["shadow_refusals"], serde_json::json!(["authorize:authorize_unauthenticated"]));
}
