use serde_json::{Value, json};

use super::*;
use crate::filters::exchange::Sample;
use crate::filters::testing::{compile, compile_error, read_error};
use crate::filters::{Caller, Verdict};

/// Status, reason and why; `None` where the request passes.
fn decide(rules: Value, sample: &mut Sample) -> Option<(u16, &'static str, String)> {
    let filter = compile::<Spec>(json!({ "rules": rules }));
    match filter.on_request(&mut sample.exchange()) {
        Step::Now(Verdict::Next) => None,
        Step::Now(Verdict::Refuse(refusal)) => {
            let why = refusal.why.as_deref().unwrap_or_default().to_owned();
            Some((refusal.status.as_u16(), refusal.reason, why))
        }
        _ => panic!("neither passes nor refuses"),
    }
}

fn anonymous(method: &str) -> Sample {
    Sample::new(method, "/users/alice/orders", &[("x-plan", "free")])
}

fn alice(method: &str) -> Sample {
    let mut sample = anonymous(method);
    sample.facts.segments = vec![("user".into(), "alice".into())];
    sample.exchange().identify(Caller::named("basic_auth", "alice"));
    sample
}

#[test]
fn the_first_rule_that_matches_decides() {
    let rules = json!([
        { "deny": "http.request.method == \"DELETE\"" },
        { "allow": "http.request.method in {\"GET\" \"DELETE\"}" },
        { "deny": "http.request.method == \"GET\"" },
    ]);
    assert_eq!(decide(rules.clone(), &mut alice("GET")), None);
    let (status, reason, why) = decide(rules.clone(), &mut alice("DELETE")).unwrap();
    assert_eq!((status, reason), (403, "authorize_denied"));
    assert_eq!(why, "rules[0]: http.request.method == \"DELETE\"");
    let (status, reason, why) = decide(rules, &mut alice("PUT")).unwrap();
    assert_eq!((status, reason, why.as_str()), (403, "authorize_no_rule", "no rule matches"));
}

#[test]
fn lets_in_the_owner_of_an_object_and_nobody_else() {
    let rules = || json!([{ "allow": "path.user == basic_auth.user" }]);
    assert_eq!(decide(rules(), &mut alice("GET")), None);
    let mut bob = anonymous("GET");
    bob.facts.segments = vec![("user".into(), "alice".into())];
    bob.exchange().identify(Caller::named("basic_auth", "bob"));
    assert_eq!(decide(rules(), &mut bob).unwrap().1, "authorize_no_rule");
    // The same name, found out in another way, is another one.
    let mut other = anonymous("GET");
    other.facts.segments = vec![("user".into(), "alice".into())];
    other.exchange().identify(Caller::named("mtls", "alice"));
    let (status, reason, why) = decide(rules(), &mut other).unwrap();
    assert_eq!(
        (status, reason, why.as_str()),
        (403, "authorize_no_rule", "rules[0]: basic_auth.user is absent")
    );
}

#[test]
fn a_missing_value_allows_nothing() {
    for allow in
        ["jwt.claims[\"role\"] == \"admin\"", "not jwt.claims[\"role\"] == \"guest\"", "jwt.sub != \"eve\""]
    {
        let (status, reason, why) = decide(json!([{ "allow": allow }]), &mut alice("GET")).unwrap();
        assert_eq!((status, reason), (403, "authorize_no_rule"), "{allow}");
        assert!(why.starts_with("rules[0]: jwt.") && why.ends_with(" is absent"), "{why}");
    }
    assert_eq!(decide(json!([{ "allow": "exists(jwt.sub) or ssl or true" }]), &mut alice("GET")), None);
}

#[test]
fn a_missing_value_denies() {
    let rules = json!([{ "deny": "jwt.claims[\"blocked\"]", "reason": "blocked" }, { "allow": "true" }]);
    let (status, reason, why) = decide(rules, &mut alice("GET")).unwrap();
    assert_eq!((status, reason), (403, "authorize_denied"));
    assert_eq!(why, "rules[0]: jwt.claims[\"blocked\"] is absent: blocked");
    let known = json!([{ "deny": "http.request.headers[\"x-plan\"][0] == \"beta\"" }, { "allow": "true" }]);
    assert_eq!(decide(known, &mut alice("GET")), None);
}

#[test]
fn who_has_not_said_who_it_is_is_asked_to() {
    let filter = compile::<Spec>(json!({
        "rules": [{ "deny": "ip.src in {192.0.2.0/30}", "reason": "net" }, { "allow": "basic_auth.user == \"alice\"" }],
        "challenge": "Basic realm=\"orders\"",
    }));
    let mut sample = anonymous("GET");
    sample.facts.client_ip = [198, 51, 100, 1].into();
    let Step::Now(Verdict::Refuse(refusal)) = filter.on_request(&mut sample.exchange()) else {
        panic!("passes")
    };
    assert_eq!((refusal.status.as_u16(), refusal.reason), (401, "authorize_unauthenticated"));
    assert_eq!(refusal.headers, [(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"orders\""))]);
    assert_eq!(refusal.why.as_deref(), Some("rules[1]: basic_auth.user is absent"));
    // No credentials would help here.
    sample.facts.client_ip = [192, 0, 2, 1].into();
    let Step::Now(Verdict::Refuse(refusal)) = filter.on_request(&mut sample.exchange()) else {
        panic!("passes")
    };
    assert_eq!((refusal.status.as_u16(), refusal.why.as_deref()), (403, Some("rules[0]: net")));
    assert!(refusal.headers.is_empty());
    // What needs nobody in particular is open to everybody.
    assert_eq!(decide(json!([{ "allow": "http.request.method == \"GET\"" }]), &mut anonymous("GET")), None);
    let (status, reason, _) =
        decide(json!([{ "deny": "jwt.sub == \"eve\"" }]), &mut anonymous("GET")).unwrap();
    assert_eq!((status, reason), (401, "authorize_unauthenticated"));
}

#[test]
fn asks_for_a_bearer_token_by_default() {
    let filter = compile::<Spec>(json!({ "rules": [{ "allow": "ssl and false" }] }));
    let mut sample = anonymous("GET");
    let Step::Now(Verdict::Refuse(refusal)) = filter.on_request(&mut sample.exchange()) else {
        panic!("passes")
    };
    assert_eq!(refusal.headers, [(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))]);
}

#[test]
fn says_what_is_wrong_with_a_rule() {
    let error = |rules: Value| compile_error::<Spec>(json!({ "rules": rules }));
    assert!(error(json!([])).starts_with("rules: is empty"));
    for neither in [json!({}), json!({ "allow": "ssl", "deny": "ssl" }), json!({ "reason": "x" })] {
        assert_eq!(error(json!([neither])), "rules[0]: expected exactly one of `allow` and `deny`");
    }
    assert!(error(json!([{ "allow": "ssl", "reason": "x" }])).starts_with("rules[0].reason: has no effect"));
    assert!(
        error(json!([{ "allow": "ssl" }, { "deny": "sssl" }]))
            .starts_with("rules[1].deny: unknown field \"sssl\"")
    );
    assert!(
        error(json!([{ "allow": "http.response.code == 200" }])).contains("known only with the response")
    );
    assert!(read_error::<Spec>(json!({ "rules": [{ "permit": "ssl" }] })).contains("unknown field"));
    for challenge in ["", " ", "Bearer\n", "\"x\""] {
        let error = compile_error::<Spec>(json!({ "rules": [{ "allow": "ssl" }], "challenge": challenge }));
        assert!(error.starts_with("challenge: expected a challenge"), "{challenge:?}: {error}");
    }
}
