//! Notices: sent when they should be, signed, and until they are taken.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{new, origin, setup};
use crate::harness::{Authority, Origin, Reply, Seen, eventually, soon};

/// `new-secret-of-this-test!` and `old-secret-of-this-test!` in base64.
pub const SECRETS: [&str; 2] = ["whsec_bmV3LXNlY3JldC1vZi10aGlzLXRlc3Qh", "b2xkLXNlY3JldC1vZi10aGlzLXRlc3Qh"];

/// The value that a secret gives a notice, computed by the letter of Standard Webhooks 1.0.
pub fn signature(secret: &str, seen: &Seen) -> String {
    let key = STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    let (id, time) = (seen.header("webhook-id").unwrap(), seen.header("webhook-timestamp").unwrap());
    mac.update(format!("{id}.{time}.").as_bytes());
    mac.update(&seen.body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// What kind of notice it is, and of which key.
pub fn about(seen: &Seen) -> (String, String) {
    let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(body["id"], seen.header("webhook-id").unwrap());
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    (text(&body["type"]), text(&body["data"]["key"]))
}

#[test]
fn a_notice_comes_in_time_and_once_and_signed_by_both_secrets() {
    let (origin, hook) = (origin(), Origin::start(|_| Reply::status(204, &[], "")));
    let notices = format!(
        "notices: {{ url: \"http://{}/keys\", secret: [{{ file: new.secret }}, {{ file: old.secret }}], before: [30d] }}",
        hook.address()
    );
    let setup = setup("{ api_key: {} }", &origin)
        .with("more", notices)
        .file("new.secret", SECRETS[0])
        .file("old.secret", SECRETS[1]);
    let folder = setup.path().to_owned();
    let soon_over = new(&folder, &["partner-a", "--expires", "2090-01-01"]);
    new(&folder, &["partner-a", "--expires", "40d"]);
    let text = std::fs::read_to_string(folder.join("keys.yaml")).unwrap();
    // Made long ago, to end in 20 days.
    let ends = edgeward::auth::keys::Moment::from(std::time::SystemTime::now())
        .plus(std::time::Duration::from_secs(20 * 86_400 + 60));
    let text = text.replace("expires: \"2090-01-01T00:00:00Z\"", &format!("expires: {ends}"));
    let created = text.find("created: \"").unwrap() + "created: \"".len();
    let text = format!("{}2020{}", &text[..created], &text[created + 4..]);
    std::fs::write(folder.join("keys.yaml"), text).unwrap();
    let edge = setup.start();
    let seen = eventually("the notice", || hook.requests().pop());
    assert_eq!(
        (seen.method(), seen.target(), seen.header("content-type")),
        ("POST", "/keys", Some("application/json"))
    );
    assert_eq!(about(&seen), ("key.expiring".to_owned(), super::id(&soon_over).to_owned()));
    let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!((&body["data"]["consumer"], &body["data"]["days_left"]), (&"partner-a".into(), &20.into()));
    let expected = SECRETS.map(|secret| signature(secret, &seen)).join(" ");
    assert_eq!(seen.header("webhook-signature"), Some(&*expected));
    edge.wait_for_metric("edgeward_notices_total{outcome=\"delivered\"}", 1.0);
    edge.wait_for_metric("edgeward_notices_waiting", 0.0);

    // What was told is not told again, after a reload and after a restart.
    edge.reload().unwrap();
    let retired = new(edge.folder.path(), &["partner-b"]);
    assert!(super::keys(edge.folder.path(), &["retire", super::id(&retired), "--force"]).status.success());
    soon("the next notice", || hook.count() == 2);
    assert_eq!(about(&hook.last()), ("key.retired".to_owned(), super::id(&retired).to_owned()));
    let state = edge.stop().read("state/key-notices.json");
    assert!(state.contains("key.expiring") && state.contains("key.retired"), "{state}");
}

#[test]
fn a_notice_is_sent_until_it_is_taken() {
    static TRIES: AtomicUsize = AtomicUsize::new(0);
    let origin = origin();
    let authority = Authority::new("hooks");
    let tls = authority.server(&["hooks.test"]).acceptor(None, b"\x08http/1.1");
    let hook = Origin::start_tls(tls, |_| match TRIES.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::status(500, &[], ""),
        _ => Reply::status(200, &[], "taken"),
    });
    let notices = format!(
        "notices: {{ url: \"https://{}/\", secret: {{ file: secret }}, tls: {{ ca: ca.crt, sni: hooks.test }} }}",
        hook.address()
    );
    let setup = setup("{ api_key: {} }", &origin)
        .with("more", notices)
        .file("secret", SECRETS[0])
        .file("ca.crt", authority.pem());
    let key = new(setup.path(), &["partner-a"]);
    let edge = setup.start();
    soon("notices to be switched on", || edge.folder.path().join("state/key-notices.json").exists());
    // What happened before notices were switched on is not told, in whole seconds.
    let next_second = std::time::SystemTime::now() + std::time::Duration::from_secs(1);
    soon("another second", || std::time::SystemTime::now() > next_second);
    assert!(super::keys(edge.folder.path(), &["retire", super::id(&key), "--force"]).status.success());
    soon("the first try", || hook.count() >= 1);
    edge.wait_for_metric("edgeward_notices_total{outcome=\"failed\"}", 1.0);
    soon("the second try", || hook.count() >= 2);
    edge.wait_for_metric("edgeward_notices_total{outcome=\"delivered\"}", 1.0);
    let tries = hook.requests();
    assert_eq!(tries.len(), 2);
    assert_eq!(about(&tries[0]), ("key.retired".to_owned(), super::id(&key).to_owned()));
    assert_eq!(tries[0].header("webhook-id"), tries[1].header("webhook-id"));
    for seen in &tries {
        assert_eq!(seen.header("webhook-signature"), Some(&*signature(SECRETS[0], seen)));
    }
}
