use serde_json::{Value, json};

use super::*;
use crate::filters::exchange::Sample;
use crate::filters::testing::{compile, compile_error};
use crate::filters::{Caller, TokenText};

fn spec(more: &Value) -> Value {
    let client = json!({ "id": "e", "secret": { "env": "PATH" } });
    let mut spec = json!({ "url": "http://127.0.0.1:9/token", "client": client });
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    spec
}

#[test]
fn without_a_verified_token_there_is_nothing_to_exchange() {
    let filter = compile::<Spec>(spec(&json!({})));
    let mut sample = Sample::get("/", &[("authorization", "Bearer unverified")]);
    let mut exchange = sample.exchange();
    exchange.identify(Caller::named("basic_auth", "alice"));
    let Step::Now(Verdict::Refuse(refusal)) = filter.on_request(&mut exchange) else { panic!("not refused") };
    assert_eq!((refusal.status.as_u16(), refusal.reason), (401, "token_exchange_missing"));
}

#[test]
fn the_token_that_proved_last_who_calls_is_kept_and_not_shown() {
    let mut sample = Sample::get("/", &[]);
    let mut exchange = sample.exchange();
    for value in ["Bearer first", "Bearer second"] {
        let token = TokenText::new(HeaderValue::from_static(value), 7);
        exchange.identify_by_token(Caller::named("jwt", "alice"), token);
    }
    exchange.identify(Caller::named("basic_auth", "bob"));
    let token = exchange.token().unwrap();
    assert_eq!((token.expose(), format!("{token:?}")), (&b"second"[..], "***".to_owned()));
}

#[test]
fn says_what_is_wrong_with_a_spec() {
    let error = |more: Value| compile_error::<Spec>(spec(&more));
    assert!(error(json!({ "scopes": ["a b"] })).starts_with("scopes[0]: "));
    assert!(error(json!({ "audience": [""] })).starts_with("audience[0]: "));
    let ours = |key: &str| error(json!({ "grant": "client_credentials", key: "urn:x" }));
    assert!(ours("subject_type").starts_with("subject_type: means nothing"));
    assert!(ours("requested_type").starts_with("requested_type: means nothing"));
    let actor = |actor: Value| error(json!({ "actor": actor }));
    assert!(actor(json!({})).starts_with("actor: expected exactly one of"));
    let both = json!({ "token": { "env": "PATH" }, "client_credentials": {} });
    assert!(actor(both).starts_with("actor: expected exactly one of"));
    assert!(actor(json!({ "token": { "file": "nowhere" } })).starts_with("actor.token: "));
    let scopes = json!({ "client_credentials": { "scopes": ["a b"] } });
    assert!(actor(scopes).starts_with("actor.client_credentials.scopes[0]: "));
    let idle = json!({ "grant": "client_credentials", "actor": { "client_credentials": {} } });
    assert!(error(idle).starts_with("actor: means nothing"));
    compile::<Spec>(spec(&json!({ "actor": { "token": { "env": "PATH" }, "type": "urn:x" } })));
}
