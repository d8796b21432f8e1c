//! Tokens of a real OpenID provider (npm `oidc-provider`): discovery, rotation under load, and its end.

use std::sync::Mutex;

use serde_json::{Value, json};

use crate::harness::issuer::until_the_ceiling;
use crate::harness::{Edge, Origin, Provider, Reply, Response, Signer, soon, under_load};

/// A route that lets in with tokens of the provider.
fn before(provider: &Provider, more: &str, filter: &str) -> (Edge, Origin) {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = Edge::policy(&format!(
        "admin: {{ address: '{{admin}}' }}
listeners: [{{ address: '{{listen}}' }}]
upstreams: {{ app: {{ backends: ['{{origin}}'] }} }}
issuers: {{ corp: {{ issuer: '{{iss}}', audience: orders-api{more} }} }}
routes: [{{ name: app, match: {{ path: /orders/** }}, upstream: app, filters: [{filter}] }}]
"
    ))
    .with("iss", provider.issuer())
    .with("origin", origin.address())
    .start();
    (edge, origin)
}

const READERS: &str = "{ jwt: { issuer: corp, scopes: [orders:read] } }";

fn ask(edge: &Edge, authorization: &str) -> Response {
    edge.client("listen").request("GET", "/orders/7", &[("Authorization", authorization)], b"")
}

#[test]
fn its_tokens_open_the_route_found_by_discovery() {
    for alg in ["ES256", "RS256", "PS256", "EdDSA"] {
        let Some(provider) = Provider::start(&json!({ "alg": alg })) else { return };
        let (edge, origin) = before(&provider, ", type: access", READERS);
        let answer = ask(&edge, &format!("Bearer {}", provider.token("orders:read")));
        assert_eq!(answer.status, 200, "{alg}: {}", answer.text());
        assert_eq!(origin.count(), 1);
        let poor = ask(&edge, &format!("Bearer {}", provider.token("orders:write")));
        assert_eq!((poor.status, poor.reason()), (403, "scope_missing".to_owned()));
        let other = provider.grant(
            "service",
            "grant_type=client_credentials&scope=orders:read&resource=https://billing.example.com",
            &[],
        );
        let other = other.json()["access_token"].as_str().unwrap().to_owned();
        let refused = ask(&edge, &format!("Bearer {other}"));
        assert_eq!((refused.status, refused.reason()), (401, "audience_not_accepted".to_owned()));
    }
}

#[test]
fn its_keys_rotate_under_load_without_a_refusal() {
    let Some(provider) = Provider::start(&Value::Null) else { return };
    let (edge, _origin) =
        before(&provider, ", refresh: { cooldown: 10ms, timeout: 1m, max_wait: 1m }", READERS);
    let tokens = Mutex::new(vec![provider.token("orders:read")]);
    let asker = || {
        let mut client = edge.client("listen");
        let tokens = &tokens;
        move || {
            let token = tokens.lock().unwrap().last().unwrap().clone();
            let headers = [("Authorization", &*format!("Bearer {token}"))];
            let answer = client.request("GET", "/orders/7", &headers, b"");
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    };
    under_load(3, asker, |askers| {
        for _ in 0..4 {
            provider.control("rotate?keep");
            let token = provider.token("orders:read");
            tokens.lock().unwrap().push(token);
            askers.have_asked(20);
        }
    });
    let fetches = provider.control("counts")["/jwks"].as_u64().unwrap();
    assert!((4..=17).contains(&fetches), "{fetches}");
    // All of them are still published, so the first token is still good.
    let first = tokens.lock().unwrap()[0].clone();
    assert_eq!(ask(&edge, &format!("Bearer {first}")).status, 200);
    provider.control("rotate");
    let newest = provider.token("orders:read");
    assert_eq!(ask(&edge, &format!("Bearer {newest}")).status, 200);
    let withdrawn = ask(&edge, &format!("Bearer {first}"));
    assert_eq!((withdrawn.status, withdrawn.reason()), (401, "key_unknown".to_owned()));
}

#[test]
fn when_it_is_down_known_keys_work_on_until_the_ceiling_closes() {
    let Some(provider) = Provider::start(&Value::Null) else { return };
    let refresh = ", refresh: { interval: 200ms, shortest: 200ms, longest: 1s, max_stale: 3s }";
    let (edge, _origin) = before(&provider, refresh, READERS);
    let token = format!("Bearer {}", provider.token("orders:read"));
    soon("its keys", || ask(&edge, &token).status == 200);
    provider.control("down");
    let closed = until_the_ceiling(&edge, 3.0, || ask(&edge, &token));
    assert_eq!((closed.status, closed.reason()), (503, "keys_unavailable".to_owned()));
    provider.control("up");
    soon("keys again", || ask(&edge, &token).status == 200);
}

#[test]
fn its_bound_tokens_open_with_proofs_alone() {
    let Some(provider) = Provider::start(&json!({ "dpop_nonce": true })) else { return };
    let (edge, origin) = before(&provider, "", "{ jwt: { issuer: corp, bound: dpop } }");
    let holder = Signer::es256("h");
    let endpoint = format!("{}/token", provider.issuer());
    let grant = |changes: Value| {
        let proof = holder.proof("POST", &endpoint, "", changes);
        provider.grant("dpop", "grant_type=client_credentials&scope=orders:read", &[("DPoP", &proof)])
    };
    let first = grant(json!({}));
    assert_eq!((first.status, first.json()["error"].as_str()), (400, Some("use_dpop_nonce")));
    let answer = grant(json!({ "nonce": first.header("dpop-nonce").unwrap() }));
    assert_eq!((answer.status, answer.json()["token_type"].as_str()), (200, Some("DPoP")));
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let host = edge.address("listen").to_string();
    let ask = |scheme: &str, proof: &str| {
        let authorization = format!("{scheme} {token}");
        let headers = [("Host", host.as_str()), ("Authorization", &authorization), ("DPoP", proof)];
        let answer = edge.client("listen").request("GET", "/orders/7", &headers, b"");
        (answer.status, if answer.status == 200 { String::new() } else { answer.reason() })
    };
    let proof = holder.proof("GET", &format!("http://{host}/orders/7"), &token, json!({}));
    assert_eq!(ask("DPoP", &proof), (200, String::new()));
    assert_eq!(ask("DPoP", &proof), (401, "dpop_replayed".to_owned()));
    assert_eq!(ask("Bearer", &proof), (401, "dpop_scheme_missing".to_owned()));
    assert_eq!(origin.count(), 1);
}
