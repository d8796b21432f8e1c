use std::path::Path;
use std::time::{Duration as StdDuration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::*;
use crate::filters::Verdict;
use crate::filters::exchange::Sample;
use crate::filters::testing::{Ground, read_error, try_compile};

/// The example of GitHub's documentation.
const GITHUB: (&str, &str) =
    ("x-hub-signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
const SECRET: &str = "It's a Secret to Everybody";
const SENT: u64 = 1_614_265_330;
/// Computed with Python's `hmac`: `hmac.new(b"x", b"1614265330.hello", "sha256")`.
const STRIPE: (&str, &str) =
    ("stripe-signature", "t=1614265330,v1=3b70f39c8409bdcb7dbc1d2565603b3a365f6c1dc847f5a1067f10df692983dd");

/// A directory with these secrets, `a`, `b` …
struct Secrets(std::path::PathBuf);

impl Secrets {
    fn new(test: &str, secrets: &[&str]) -> Self {
        let path = std::env::temp_dir().join(format!("edgeward-webhook-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        for (name, secret) in ["a", "b", "c"].iter().zip(secrets) {
            std::fs::write(path.join(name), secret).unwrap();
        }
        Self(path)
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

fn filter(spec: Value, ground: &Ground, base: &Path) -> Box<dyn Filter> {
    ground.try_compile::<Spec>(spec, base).unwrap_or_else(|problem| panic!("{problem}"))
}

fn message(headers: &[(&'static str, &str)], has_body: bool) -> Sample {
    let mut sample = Sample::new("POST", "/hooks", headers);
    sample.facts.time = UNIX_EPOCH + StdDuration::from_secs(SENT);
    sample.facts.has_body = has_body;
    sample
}

/// What becomes of a webhook.
fn sent(
    filter: &dyn Filter,
    sample: &mut Sample,
    pieces: &[&'static str],
) -> Result<String, (u16, &'static str)> {
    let told = |refusal: &Refusal| (refusal.status.as_u16(), refusal.reason);
    let mut exchange = sample.exchange();
    match filter.on_request(&mut exchange) {
        Step::Now(Verdict::Next) => {}
        Step::Now(Verdict::Refuse(refusal)) => return Err(told(&refusal)),
        _ => panic!("neither let in nor refused"),
    }
    for (at, piece) in pieces.iter().enumerate() {
        let mut piece = Some(Bytes::from_static(piece.as_bytes()));
        let result = filter.on_request_body(&mut exchange, &mut piece, at + 1 == pieces.len());
        result.map_err(|refusal| told(&refusal))?;
    }
    Ok(exchange.callers()[0].subject.to_string())
}

#[test]
fn lets_in_what_the_sender_signed() {
    let secrets = Secrets::new("signed", &["another", SECRET]);
    let filter = filter(
        json!({ "scheme": "github", "secrets": [{ "file": "a" }, { "file": "b" }] }),
        &Ground::new(),
        &secrets.0,
    );
    let github = || message(&[GITHUB], true);
    assert_eq!(sent(&*filter, &mut github(), &["Hello, ", "World!", ""]).as_deref(), Ok("github"));
    assert_eq!(
        sent(&*filter, &mut github(), &["Hello, World!"]).as_deref(),
        Ok("github"),
        "no time, no replay"
    );
    assert_eq!(sent(&*filter, &mut github(), &["Hello, World?"]), Err((401, "webhook_invalid")));
    assert_eq!(sent(&*filter, &mut message(&[], true), &[]), Err((401, "webhook_missing")));
    assert_eq!(
        sent(&*filter, &mut message(&[(GITHUB.0, "sha256=x")], true), &[]),
        Err((401, "webhook_malformed"))
    );
    assert_eq!(
        sent(&*filter, &mut message(&[GITHUB], false), &[]),
        Err((401, "webhook_invalid")),
        "without its body"
    );
    let mut held = github();
    assert!(sent(&*filter, &mut held, &["Hello, World!"]).is_ok());
    assert_eq!(held.slots.hold(), Hold { first: 1 << 20, last: true });
}

#[test]
fn refuses_what_is_too_old_or_known() {
    let secrets = Secrets::new("old", &["x"]);
    let ground = Ground::new();
    let stripe = |more: Value| {
        let mut spec = json!({ "scheme": "stripe", "secrets": [{ "file": "a" }] });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        filter(spec, &ground, &secrets.0)
    };
    let at = |filter: &dyn Filter, seconds: u64| {
        let mut sample = message(&[STRIPE], true);
        sample.facts.time += StdDuration::from_secs(seconds);
        sent(filter, &mut sample, &["hello"])
    };
    let first = stripe(json!({}));
    assert_eq!(at(&*first, 301), Err((401, "webhook_outside_tolerance")));
    assert_eq!(at(&*first, 0).as_deref(), Ok("stripe"));
    let reloaded = stripe(json!({ "tolerance": "1m", "sender": "payments" }));
    drop(first);
    assert_eq!(at(&*reloaded, 61), Err((401, "webhook_outside_tolerance")));
    assert_eq!(at(&*reloaded, 60).as_deref(), Ok("payments"), "another sender's messages are others");
    assert_eq!(at(&*reloaded, 0), Err((401, "webhook_replayed")));
    let again = stripe(json!({ "refuse_replays": false }));
    assert_eq!((at(&*again, 0).is_ok(), at(&*again, 0).is_ok()), (true, true));
}

#[test]
fn refuses_what_is_too_long_to_be_held() {
    let secrets = Secrets::new("long", &[SECRET]);
    let filter = filter(
        json!({ "scheme": "github", "secrets": [{ "file": "a" }], "max_body": "13B" }),
        &Ground::new(),
        &secrets.0,
    );
    assert!(sent(&*filter, &mut message(&[GITHUB], true), &["Hello, World!"]).is_ok());
    let too_large = Err((413, "webhook_too_large"));
    assert_eq!(sent(&*filter, &mut message(&[GITHUB], true), &["Hello, World!", "!"]), too_large);
    assert_eq!(sent(&*filter, &mut message(&[GITHUB, ("content-length", "14")], true), &[]), too_large);
}

#[test]
fn a_sender_of_its_own_kind_can_be_described() {
    let secrets = Secrets::new("own", &["x", "eA=="]);
    let ground = Ground::new();
    let stripe_like = json!({
        "header": "X-Sig", "elements": { "signature": "v1", "timestamp": "t" }, "signed": "{timestamp}.{body}", "secret": "base64",
    });
    let elements =
        filter(json!({ "scheme": stripe_like, "secrets": [{ "file": "b" }] }), &ground, &secrets.0);
    assert_eq!(
        sent(&*elements, &mut message(&[("x-sig", STRIPE.1)], true), &["hello"]).as_deref(),
        Ok("webhook")
    );
    let headers = json!({
        "header": "x-sig", "prefix": "v0=", "signed": "{timestamp}.{body}", "timestamp_header": "x-time", "encoding": "base64",
    });
    let values =
        filter(json!({ "scheme": headers, "secrets": [{ "file": "a" }] }), &Ground::new(), &secrets.0);
    let signed = [("x-sig", "v0=O3DznIQJvct9vB0lZWA7OjZfbB3IR/WhBn8Q32kpg90="), ("x-time", "1614265330")];
    assert_eq!(sent(&*values, &mut message(&signed, true), &["hello"]).as_deref(), Ok("webhook"));
    let later = [signed[0], ("x-time", "1614265331")];
    assert_eq!(sent(&*values, &mut message(&later, true), &["hello"]), Err((401, "webhook_invalid")));
    let with_id = json!({
        "header": "x-sig", "signed": "{id}|{timestamp}|{body}", "timestamp_header": "x-time", "id_header": "x-id",
    });
    let with_id =
        filter(json!({ "scheme": with_id, "secrets": [{ "file": "a" }] }), &Ground::new(), &secrets.0);
    let signed = [
        ("x-sig", "34218468dceec955f161958166550b0be2b32bfc1b92575f06aec69f79b8ed3a"),
        ("x-time", "1614265330"),
        ("x-id", "m1"),
    ];
    assert_eq!(sent(&*with_id, &mut message(&signed, true), &["hello"]).as_deref(), Ok("webhook"));
}

#[test]
fn says_what_is_wrong_with_a_spec() {
    let secrets = Secrets::new("wrong", &["x"]);
    let error = |spec: Value| match try_compile::<Spec>(spec, &secrets.0) {
        Ok(_) => panic!("compiled"),
        Err(problem) => problem.to_string(),
    };
    let scheme = |scheme: Value| json!({ "scheme": scheme, "secrets": [{ "file": "a" }] });
    for (spec, told) in [
        (json!({ "scheme": "github", "secrets": [] }), "secrets: expected 1 to 4 secrets"),
        (json!({ "scheme": "github", "secrets": [{ "file": "z" }] }), "secrets[0]: cannot read"),
        (
            json!({ "scheme": "standard", "secrets": [{ "file": "a" }] }),
            "secrets: the secret is not the base64",
        ),
        (
            json!({ "scheme": "github", "secrets": [{ "file": "a" }], "refuse_replays": true }),
            "refuse_replays: the scheme signs no time",
        ),
        (
            json!({ "scheme": "github", "secrets": [{ "file": "a" }], "max_body": "33MiB" }),
            "max_body: expected at most 32MiB",
        ),
        (
            json!({ "scheme": "github", "secrets": [{ "file": "a" }], "sender": "" }),
            "sender: expected a name",
        ),
        (scheme(json!({ "header": "a b" })), "scheme.header: expected a header name"),
        (scheme(json!({ "header": "a", "signed": "{boody}" })), "scheme.signed: expected text with {body}"),
        (scheme(json!({ "header": "a", "signed": "x" })), "scheme: what is signed must hold the body, once"),
        (
            scheme(json!({ "header": "a", "timestamp_header": "t" })),
            "scheme: what is signed must hold the time",
        ),
        (
            scheme(
                json!({ "header": "a", "prefix": "b", "elements": { "signature": "a", "timestamp": "b" } }),
            ),
            "scheme.elements: either prefix or elements",
        ),
        (
            scheme(json!({ "header": "a", "elements": { "signature": "a", "timestamp": "a" } })),
            "scheme.elements: expected two names",
        ),
    ] {
        let error = error(spec);
        assert!(error.starts_with(told), "{error}");
    }
    assert!(read_error::<Spec>(scheme(json!("gitlab"))).contains("unknown variant `gitlab`"));
    assert!(read_error::<Spec>(scheme(json!(7))).contains("the name of a sender"));
}
