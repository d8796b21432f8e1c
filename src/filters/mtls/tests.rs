use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::*;
use crate::filters::Verdict;
use crate::filters::exchange::Sample;
use crate::filters::testing::{compile, compile_error};
use crate::tls::TlsFacts;

fn identity() -> ClientIdentity {
    ClientIdentity {
        subject: "CN=billing,O=Example".into(),
        issuer: "CN=Services".into(),
        serial: "01".into(),
        san_dns: vec!["one.example".into(), "two.example".into()],
        san_uri: vec!["spiffe://example.com/billing/1".into()],
        san_email: vec!["billing@example.com".into()],
        fingerprint_sha256: "ab".repeat(32),
        not_after: 1000,
        der: b"\x30\x00".to_vec(),
        above: vec![b"\x30\x01\x00".to_vec()],
    }
}

fn sample(client: Option<ClientIdentity>) -> Sample {
    let mut sample = Sample::get("/", &[]);
    sample.facts.time = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
    let client = client.map(Arc::new);
    let tls = TlsFacts { sni: None, version: "TLSv1.3", cipher: "x", alpn: None, resumed: false, client };
    sample.facts.tls = Some(Arc::new(tls));
    sample
}

/// Who is let in, or why not.
fn asked(spec: Value, sample: &mut Sample) -> Result<String, (u16, &'static str)> {
    let filter = compile::<Spec>(spec);
    let mut exchange = sample.exchange();
    match filter.on_request(&mut exchange) {
        Step::Now(Verdict::Next) => {}
        Step::Now(Verdict::Refuse(refusal)) => return Err((refusal.status.as_u16(), refusal.reason)),
        _ => panic!("neither let in nor refused"),
    }
    Ok(exchange.callers()[0].subject.to_string())
}

fn of(spec: Value) -> Result<String, (u16, &'static str)> {
    asked(spec, &mut sample(Some(identity())))
}

const NOT_ALLOWED: (u16, &str) = (403, "mtls_not_allowed");

#[test]
fn any_verified_certificate_is_good_where_nothing_is_said() {
    assert_eq!(of(json!({})).as_deref(), Ok("spiffe://example.com/billing/1"));
    assert_eq!(asked(json!({}), &mut sample(None)), Err((403, "mtls_missing")));
    assert_eq!(asked(json!({}), &mut Sample::get("/", &[])), Err((403, "mtls_missing")));
}

#[test]
fn one_of_the_listed_names_is_enough() {
    for allowed in [
        json!({ "san_dns": "*.example" }),
        json!({ "san_uri": "spiffe://example.com/*" }),
        json!({ "san_email": "*@example.com" }),
        json!({ "subject": "CN=billing,O=Example" }),
        json!({ "fingerprint": "ab".repeat(32) }),
    ] {
        let spec = json!({ "allow": [{ "san_dns": "nobody" }, allowed], "subject_from": "subject" });
        assert_eq!(of(spec).as_deref(), Ok("CN=billing,O=Example"), "{allowed}");
    }
    assert_eq!(of(json!({ "allow": [{ "san_dns": "nobody" }] })), Err(NOT_ALLOWED));
    // A name counts for its own kind alone.
    assert_eq!(
        of(json!({ "allow": [{ "san_dns": "example.com" }, { "subject": "CN=Services" }] })),
        Err(NOT_ALLOWED)
    );
}

#[test]
fn the_issuer_must_be_the_one_that_is_named() {
    assert!(of(json!({ "issuer": "CN=Services" })).is_ok());
    assert_eq!(of(json!({ "issuer": "CN=Others" })), Err(NOT_ALLOWED));
}

#[test]
fn a_certificate_is_good_to_its_last_second() {
    let mut sample = sample(Some(identity()));
    assert!(asked(json!({}), &mut sample).is_ok());
    sample.facts.time += Duration::from_secs(1);
    assert_eq!(asked(json!({}), &mut sample), Err((403, "mtls_expired")));
}

#[test]
fn the_policy_says_what_names_the_caller() {
    for (source, name) in [
        ("san_dns", "one.example"),
        ("san_email", "billing@example.com"),
        ("subject", "CN=billing,O=Example"),
        ("fingerprint", &*"ab".repeat(32)),
    ] {
        assert_eq!(of(json!({ "subject_from": source })).as_deref(), Ok(name));
    }
    let listed = json!({ "subject_from": "san_dns", "allow": [{ "san_dns": "two.example" }] });
    assert_eq!(of(listed).as_deref(), Ok("two.example"), "the one that was listed");
    let without = ClientIdentity { san_uri: Vec::new(), ..identity() };
    assert_eq!(
        asked(json!({ "subject_from": "san_uri" }), &mut sample(Some(without.clone()))),
        Err(NOT_ALLOWED)
    );
    assert_eq!(asked(json!({}), &mut sample(Some(without))).as_deref(), Ok("one.example"));
    let bare = ClientIdentity {
        san_uri: vec![],
        san_dns: vec![],
        san_email: vec![],
        subject: String::new(),
        ..identity()
    };
    assert_eq!(asked(json!({}), &mut sample(Some(bare))), Ok("ab".repeat(32)));
}

#[test]
fn the_upstream_is_told_what_the_policy_says() {
    let mut told = sample(Some(identity()));
    assert!(
        asked(json!({ "forward": { "client_cert": true, "subject_as": "x-client" } }), &mut told).is_ok()
    );
    assert_eq!(told.request.headers["client-cert"], ":MAA=:");
    assert_eq!(told.request.headers["x-client"], "spiffe://example.com/billing/1");
    let mut untold = sample(Some(identity()));
    assert!(asked(json!({}), &mut untold).is_ok());
    assert!(untold.request.headers.is_empty());
    let filter = compile::<Spec>(json!({ "forward": { "subject_as": "x-client" } }));
    assert_eq!(filter.vouches_for(), ["x-client"]);
    let strange = ClientIdentity { san_uri: vec!["a:\n".into()], ..identity() };
    let spec = json!({ "forward": { "subject_as": "x-client" } });
    assert_eq!(asked(spec, &mut sample(Some(strange))), Err(NOT_ALLOWED));
}

#[test]
fn says_what_is_wrong_with_a_spec() {
    assert_eq!(compile_error::<Spec>(json!({ "allow": [] })), "allow: an empty list lets nobody in");
    let wrong = json!({ "allow": [{ "san_dns": "a" }, { "san_dns": "a.*" }] });
    assert!(compile_error::<Spec>(wrong).starts_with("allow[1].san_dns: expected a DNS name"));
    assert!(
        compile_error::<Spec>(json!({ "forward": { "subject_as": "host" } }))
            .starts_with("forward.subject_as: ")
    );
}

#[test]
fn the_chain_is_told_on_request_and_if_there_is_one() {
    let told = |forward: Value, above: &[&[u8]]| {
        let above = above.iter().map(|der| der.to_vec()).collect();
        let mut sample = sample(Some(ClientIdentity { above, ..identity() }));
        asked(json!({ "forward": forward }), &mut sample).unwrap();
        let chain = sample.request.headers.get("client-cert-chain")?;
        Some(chain.to_str().unwrap().to_owned())
    };
    let chain = json!({ "client_cert": true, "client_cert_chain": true });
    let above: &[&[u8]] = &[b"\x30\x00", b"\x30\x01\xff"];
    assert_eq!(told(chain.clone(), above).as_deref(), Some(":MAA=:, :MAH/:"));
    assert_eq!(told(chain, &[]), None);
    assert_eq!(told(json!({ "client_cert": true }), above), None);
    let error = compile_error::<Spec>(json!({ "forward": { "client_cert_chain": true } }));
    assert!(error.starts_with("forward.client_cert_chain: "), "{error}");
}
