//! The life of an issuer's keys: rotated, gone, asked for too often, in files, found out.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use super::{Site, bearer, origin, policy, told};
use crate::harness::issuer::{key_set, until_the_ceiling};
use crate::harness::{Authority, Origin, Reply, Signer, TokenIssuer, soon, under_load};

const FILTER: &str = "{ jwt: { issuer: corp } }";

#[test]
fn keys_rotate_under_load_without_a_refusal() {
    let site =
        Site::new("audience: orders-api, refresh: { cooldown: 1ms, timeout: 1m, max_wait: 1m }", FILTER);
    let signers: Vec<_> = (0..6).map(|number| Signer::es256(&format!("k{}", number + 2))).collect();
    let (name, current) = (site.issuer.name(), AtomicUsize::new(0));
    let token = || {
        let at = current.load(Ordering::SeqCst);
        // A new token for each request: nothing is remembered.
        let changes = json!({ "jti": fastrand::u64(..).to_string() });
        if at == 0 { site.token(changes) } else { signers[at - 1].token(&name, changes) }
    };
    let token = &token;
    let asker = || {
        let mut client = site.edge.client("listen");
        move || {
            let token = format!("Bearer {}", token());
            let answer = client.request("GET", "/orders/7", &[("Authorization", &token)], b"");
            assert_eq!(told(&answer), (200, String::new()));
        }
    };
    let passed = under_load(4, asker, |askers| {
        for at in 1..=signers.len() {
            let before = if at == 1 { &site.signer } else { &signers[at - 2] };
            // What is signed with the key before is still on its way.
            site.issuer.publish([before, &signers[at - 1]]);
            current.store(at, Ordering::SeqCst);
            // And now no more.
            askers.have_asked(10);
        }
    });
    assert!(passed >= 240, "{passed}");
    // One for each key, and for each thread one more that did not see in time that it was there.
    assert!((6..=31).contains(&site.issuer.fetches()), "{}", site.issuer.fetches());
}

#[test]
fn an_issuer_that_is_down_at_the_start_holds_nothing_up() {
    let signer = Signer::es256("k1");
    let (issuer, origin) = (TokenIssuer::start([&signer]), origin());
    issuer.set_down(true);
    let corp =
        "corp: { issuer: '{iss}', jwks: '{iss}/jwks', audience: orders-api, refresh: { max_wait: 300ms } }";
    let edge = policy(corp, FILTER).with("iss", issuer.name()).with("origin", origin.address()).start();
    assert_eq!(super::ask(&edge, "/open/7", &[]).status, 200);
    let token = signer.token(&issuer.name(), json!({}));
    let answer = bearer(&edge, &token);
    assert_eq!(told(&answer), (503, "keys_unavailable".to_owned()));
    assert!(answer.header("retry-after").is_some());
    // What is plainly no token needs no key to be refused.
    assert_eq!(told(&bearer(&edge, "a.b")), (401, "token_malformed".to_owned()));
    assert_eq!(edge.metrics().value("edgeward_issuer_keys{issuer=\"corp\"}"), Some(0.0));
    issuer.set_down(false);
    soon("the issuer's keys", || bearer(&edge, &token).status == 200);
    edge.wait_for_metric("edgeward_issuer_keys{issuer=\"corp\"}", 1.0);
    let metrics = edge.metrics();
    assert!(
        metrics.value("edgeward_issuer_fetches_total{issuer=\"corp\",outcome=\"status\"}").unwrap() >= 1.0
    );
    assert_eq!(
        metrics.value("edgeward_issuer_fetches_total{issuer=\"corp\",outcome=\"replaced\"}"),
        Some(1.0)
    );
    assert!(metrics.value("edgeward_issuer_keys_age_seconds{issuer=\"corp\"}").unwrap() < 60.0);
}

#[test]
fn the_first_request_waits_for_the_keys() {
    let signer = Signer::es256("k1");
    let (set, name) = (key_set([&signer]), "https://id.example.com");
    let slow = Origin::start(move |_| Reply::status(200, &[], &set).after(Duration::from_millis(500)));
    let origin = origin();
    let corp = "corp: { issuer: 'https://id.example.com', jwks: 'http://{slow}/', audience: orders-api, refresh: { timeout: 1m, max_wait: 1m } }";
    let edge = policy(corp, FILTER).with("slow", slow.address()).with("origin", origin.address()).start();
    assert_eq!(told(&bearer(&edge, &signer.token(name, json!({}))).clone()), (200, String::new()));
    assert_eq!(slow.count(), 1);
}

#[test]
fn known_keys_work_on_without_their_issuer_until_the_ceiling() {
    let refresh = "refresh: { interval: 100ms, shortest: 100ms, longest: 500ms, max_stale: 2s }";
    let site = Site::new(&format!("audience: orders-api, {refresh}"), FILTER);
    let token = site.token(json!({}));
    soon("its keys", || site.bearer(&token).status == 200);
    site.issuer.set_down(true);
    let closed = until_the_ceiling(&site.edge, 2.0, || site.bearer(&token));
    assert_eq!(told(&closed), (503, "keys_unavailable".to_owned()));
    assert_eq!(site.edge.metrics().value("edgeward_issuer_keys{issuer=\"corp\"}"), Some(0.0));
    site.issuer.set_down(false);
    soon("keys again", || site.bearer(&token).status == 200);
}

#[test]
fn a_storm_of_unknown_keys_is_one_question_in_the_cooldown() {
    let site =
        Site::new("audience: orders-api, refresh: { cooldown: 1h, timeout: 1m, max_wait: 1m }", FILTER);
    assert_eq!(site.bearer(&site.token(json!({}))).status, 200);
    assert_eq!(site.issuer.fetches(), 1);
    let name = site.issuer.name();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = site.edge.client("listen");
                for _ in 0..25 {
                    let stranger = Signer::es256(&format!("{:x}", fastrand::u64(..)));
                    let token = format!("Bearer {}", stranger.token(&name, json!({})));
                    let answer = client.request("GET", "/orders/7", &[("Authorization", &token)], b"");
                    assert_eq!(told(&answer), (401, "key_unknown".to_owned()));
                }
            });
        }
    });
    assert_eq!(site.issuer.fetches(), 2);
    assert_eq!(site.bearer(&site.token(json!({}))).status, 200);
}

#[test]
fn an_issuer_that_hangs_holds_up_no_other() {
    let (signer, hanging) = (Signer::es256("k1"), Origin::start(|_| Reply::nothing().hold()));
    let (issuer, origin) = (TokenIssuer::start([&signer]), origin());
    let edge = policy(
        "a: { issuer: 'https://a.example', jwks: 'http://{hanging}/', audience: orders-api, refresh: { timeout: 1h, max_wait: 500ms } },
         b: { issuer: '{iss}', jwks: '{iss}/jwks', audience: orders-api }",
        "{ jwt: { issuer: [a, b] } }",
    )
    .with("hanging", hanging.address())
    .with("iss", issuer.name())
    .with("origin", origin.address())
    .start();
    let stuck = format!("Bearer {}", signer.token("https://a.example", json!({})));
    let mut waiting = edge.client("listen");
    waiting.send(format!("GET /orders/7 HTTP/1.1\r\nHost: localhost\r\nAuthorization: {stuck}\r\n\r\n"));
    soon("the question", || hanging.connections() > 0);
    for _ in 0..20 {
        assert_eq!(bearer(&edge, &signer.token(&issuer.name(), json!({}))).status, 200);
    }
    assert_eq!(
        told(&waiting.response()),
        (503, "keys_unavailable".to_owned()),
        "it waits no longer than it may"
    );
}

#[test]
fn keys_in_a_file_are_read_again_when_it_changes() {
    let (one, two, origin) = (Signer::es256("k1"), Signer::es256("k2"), origin());
    let corp = "corp: { issuer: us, jwks: { file: keys.json }, audience: orders-api }";
    let setup = policy(corp, FILTER).file("keys.json", key_set([&one]));
    let edge = setup.with("origin", origin.address()).start();
    assert_eq!(bearer(&edge, &one.token("us", json!({}))).status, 200);
    assert_eq!(bearer(&edge, &two.token("us", json!({}))).status, 401);
    edge.folder.write("keys.json", key_set([&two]));
    soon("the new file", || bearer(&edge, &two.token("us", json!({}))).status == 200);
    assert_eq!(told(&bearer(&edge, &one.token("us", json!({})))), (401, "key_unknown".to_owned()));
    edge.folder.write("keys.json", "{ no keys");
    let failures = "edgeward_issuer_fetches_total{issuer=\"corp\",outcome=\"document\"}";
    soon("a look at it", || edge.metrics().value(failures).is_some_and(|failures| failures > 0.0));
    assert_eq!(bearer(&edge, &two.token("us", json!({}))).status, 200, "a broken file replaces nothing");
}

#[test]
fn keys_may_stand_in_the_policy() {
    let (signer, origin) = (Signer::es256("k1"), origin());
    let corp = "corp: { issuer: us, jwks: { inline: {set} }, audience: orders-api }";
    let edge = policy(corp, FILTER).with("set", key_set([&signer])).with("origin", origin.address()).start();
    assert_eq!(bearer(&edge, &signer.token("us", json!({}))).status, 200);
    assert_eq!(
        told(&bearer(&edge, &Signer::es256("k2").token("us", json!({})))),
        (401, "key_unknown".to_owned())
    );
}

#[test]
fn without_a_word_about_keys_the_issuer_is_asked_where_they_are() {
    let signer = Signer::es256("k1");
    let (issuer, origin) = (TokenIssuer::start([&signer]), origin());
    for more in ["", ", discovery: true"] {
        let corp = format!("corp: {{ issuer: '{{iss}}', audience: orders-api{more} }}");
        let edge = policy(&corp, FILTER).with("iss", issuer.name()).with("origin", origin.address()).start();
        assert_eq!(bearer(&edge, &signer.token(&issuer.name(), json!({}))).status, 200);
    }
    assert_eq!(issuer.fetches(), 2);
}

/// Whether keys are fetched several times, by an issuer that says how long its answer is good, or does not.
fn is_fetched_often(max_age: Option<u32>, refresh: &str) {
    let signer = Signer::es256("k1");
    let (issuer, origin) = (TokenIssuer::start([&signer]), origin());
    if let Some(seconds) = max_age {
        issuer.say_max_age(seconds);
    }
    let corp = format!(
        "corp: {{ issuer: '{{iss}}', jwks: '{{iss}}/jwks', audience: orders-api, refresh: {{ {refresh} }} }}"
    );
    let _edge = policy(&corp, FILTER).with("iss", issuer.name()).with("origin", origin.address()).start();
    soon("more fetches", || issuer.fetches() >= 3);
}

#[test]
fn keys_are_fetched_as_often_as_the_answer_says() {
    is_fetched_often(Some(1), "shortest: 200ms");
}

#[test]
fn keys_are_fetched_as_often_as_the_policy_says_where_the_answer_does_not() {
    is_fetched_often(None, "interval: 300ms, shortest: 200ms");
}

#[test]
fn keys_are_fetched_at_least_as_often_as_the_policy_says() {
    is_fetched_often(Some(3600), "longest: 300ms");
}

#[test]
fn a_fetch_takes_no_longer_than_the_policy_says() {
    let (hanging, origin) = (Origin::start(|_| Reply::nothing().hold()), origin());
    let corp =
        "corp: { issuer: us, jwks: 'http://{hanging}/', audience: orders-api, refresh: { timeout: 100ms } }";
    let edge =
        policy(corp, FILTER).with("hanging", hanging.address()).with("origin", origin.address()).start();
    let timeouts = "edgeward_issuer_fetches_total{issuer=\"corp\",outcome=\"timeout\"}";
    // With the 5 s that a fetch may take otherwise, and the pauses between, there are two at most.
    soon("timeouts", || edge.metrics().value(timeouts).is_some_and(|timeouts| timeouts >= 3.0));
}

#[test]
fn an_issuer_must_be_whom_the_policy_trusts() {
    let (ours, signer, origin) = (Authority::new("ours"), Signer::es256("k1"), origin());
    let set = key_set([&signer]);
    let acceptor = ours.server(&["localhost"]).acceptor(None, b"\x08http/1.1");
    let secure = Origin::start_tls(acceptor, move |_| Reply::status(200, &[], &set));
    for (tls, status) in [(", tls: { ca: ca.pem }", 200), ("", 503)] {
        let corp = format!(
            "corp: {{ issuer: us, jwks: 'https://localhost:{{port}}/', audience: orders-api, refresh: {{ timeout: 1m, max_wait: 1m }}{tls} }}"
        );
        let setup = policy(&corp, FILTER).file("ca.pem", ours.pem()).with("port", secure.address().port());
        let edge = setup.with("origin", origin.address()).start();
        assert_eq!(bearer(&edge, &signer.token("us", json!({}))).status, status, "{tls}");
    }
}

#[test]
fn a_reload_keeps_the_keys() {
    let site = Site::new("audience: orders-api", FILTER);
    let token = site.token(json!({}));
    assert_eq!(site.bearer(&token).status, 200);
    site.issuer.set_down(true);
    let text = site.edge.folder.read("policy.yaml");
    site.edge.rewrite(&text.replace("name: open", "name: other"));
    site.edge.reload().unwrap();
    assert_eq!(site.bearer(&token).status, 200);
    assert_eq!(site.bearer(&site.token(json!({ "sub": "user-2" }))).status, 200);
    assert_eq!(site.issuer.fetches(), 1);
}

#[test]
fn a_key_that_was_withdrawn_opens_nothing_any_more() {
    let site = Site::new("audience: orders-api, refresh: { cooldown: 1ms }", FILTER);
    let old = site.token(json!({}));
    assert_eq!(site.bearer(&old).status, 200);
    let new = Signer::es256("k2");
    site.issuer.publish([&new]);
    assert_eq!(site.bearer(&new.token(&site.issuer.name(), json!({}))).status, 200);
    assert_eq!(told(&site.bearer(&old)), (401, "key_unknown".to_owned()), "not even one that is remembered");
}
