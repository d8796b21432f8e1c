use std::sync::Arc;

use super::*;
use crate::auth::jose::mint;
use crate::auth::keys::{Directory, Document, Source, Usage};
use crate::expr::fields::SCHEME;
use crate::expr::{Lists, Phase, Type};
use crate::filters::exchange::Sample;
use crate::filters::{Expressions, Proof};

fn token() -> Caller {
    let signer = mint::signer(crate::auth::jose::Algorithm::Es256, Some("one"));
    let claims =
        serde_json::json!({ "sub": "alice", "scope": "read write", "client_id": "app", "groups": ["ops"] });
    let verified =
        mint::verifier().verify(mint::token(&signer, claims).as_bytes(), &mint::keys([&signer]), mint::NOW);
    Caller { method: "jwt", subject: "alice".into(), proof: Proof::Token(verified.unwrap()) }
}

fn api_key() -> Caller {
    let document: Document = serde_json::from_value(serde_json::json!({ "consumers": [{
        "name": "billing", "tags": ["internal"], "scopes": ["orders:read"],
        "keys": [{ "id": "k1", "sha256": "00".repeat(32) }],
    }] }))
    .unwrap();
    let source = Source { label: "the policy", document: &document };
    let directory = Directory::compile(&[source], &Usage::default()).unwrap();
    Caller { method: "api_key", subject: "billing".into(), proof: Proof::Key(directory.keys()[0].clone()) }
}

fn handshake() -> TlsFacts {
    let client = ClientIdentity {
        subject: "CN=billing".into(),
        issuer: "CN=ca".into(),
        serial: "0a".into(),
        san_dns: vec!["billing.example".into()],
        san_uri: vec!["spiffe://example/billing".into()],
        san_email: Vec::new(),
        fingerprint_sha256: "ff".repeat(32),
        not_after: 0,
        der: Vec::new(),
        above: Vec::new(),
    };
    TlsFacts {
        sni: Some("api.example.com".into()),
        version: "TLSv1.3",
        cipher: "TLS_AES_128_GCM_SHA256",
        alpn: None,
        resumed: false,
        client: Some(Arc::new(client)),
    }
}

/// A request that has everything.
fn full() -> Sample {
    let headers = [
        ("host", "api.example.com"),
        ("user-agent", "curl/8"),
        ("referer", "https://example.com/"),
        ("cookie", "sid=1; theme=dark"),
        ("x-forwarded-for", "192.0.2.9"),
        ("x-env", "prod"),
        ("x-env", "eu"),
    ];
    let mut sample = Sample::get("/orders/7/invoice.PDF?page=2&page=3&q", &headers);
    sample.facts.tls = Some(Arc::new(handshake()));
    sample.facts.segments = vec![("order".into(), "7".into())];
    for caller in [Caller::named("basic_auth", "bob"), token(), api_key()] {
        sample.exchange().identify(caller);
    }
    sample
}

fn response() -> ResponseHeader {
    let mut response = ResponseHeader::build(200, None).unwrap();
    response.append_header("content-type", "Application/JSON; charset=utf-8").unwrap();
    response
}

fn holds(sample: &mut Sample, source: &str) -> bool {
    let lists = Lists::new();
    let condition = Expressions { lists: &lists, finders: None, segments: None }
        .condition("", source, Phase::Response)
        .unwrap();
    let response = response();
    let exchange = sample.exchange();
    condition.evaluate(&Fields::of_response(&exchange, &response)).is_true()
}

#[test]
fn every_field_has_a_value_in_an_exchange_that_has_everything() {
    let mut sample = full();
    for field in SCHEME.fields() {
        let key = match field.name {
            "http.request.headers" => "x-env",
            "http.response.headers" => "content-type",
            "http.request.cookies" => "sid",
            "http.request.uri.args" => "page",
            "jwt.claims" => "groups",
            "path" => "order",
            _ => "",
        };
        let operand = match field.ty {
            Type::One(_) | Type::Array(_) => field.name.to_owned(),
            Type::Map(..) | Type::ArrayMap(..) => format!("{}[\"{key}\"]", field.name),
        };
        assert!(holds(&mut sample, &format!("exists({operand})")), "{operand}");
    }
}

#[test]
fn values_are_those_of_the_request() {
    for source in [
        r#"http.request.method == "GET" and http.request.version == "HTTP/1.1""#,
        r#"http.request.uri == "/orders/7/invoice.PDF?page=2&page=3&q""#,
        r#"http.request.uri.path.extension == "pdf" and http.request.uri.query == "page=2&page=3&q""#,
        r#"http.request.full_uri == "https://api.example.com/orders/7/invoice.PDF?page=2&page=3&q""#,
        r#"http.request.uri.args["page"][1] == "3" and http.request.uri.args["q"][0] == """#,
        r#"http.request.headers["X-Env"][1] == "eu" and not exists(http.request.headers["x-none"])"#,
        r#"http.request.cookies["theme"][0] == "dark""#,
        r#"path.order == "7" and route.name == "orders""#,
        "ip.src in {192.0.2.0/24} and not ip.src.is_loopback",
        r#"jwt.sub == "alice" and "ops" in jwt.claims["groups"] and any(jwt.scopes[*] == "write")"#,
        r#"consumer.name == "billing" and any(consumer.tags[*] == "internal")"#,
        r#"basic_auth.user == "bob" and auth.method == "api_key""#,
        r#"any(tls.client.san[*] == "spiffe://example/billing") and tls.client.verified and ssl"#,
        r#"http.response.code == 200 and http.response.content_type.media_type == "application/json""#,
    ] {
        assert!(holds(&mut full(), source), "{source}");
    }
}

#[test]
fn nothing_is_known_of_a_caller_that_nobody_found_out() {
    let mut sample = Sample::get("/", &[]);
    for source in [
        r#"jwt.sub == "alice""#,
        r#"not jwt.sub == "alice""#,
        r#"not consumer.name == "billing""#,
        r#"not tls.client.subject == "CN=billing""#,
        r#"not http.request.headers["x-env"][0] == "prod""#,
        r#"auth.subject != "alice""#,
    ] {
        assert!(!holds(&mut sample, source), "{source}");
    }
    assert!(holds(&mut sample, "not exists(jwt.sub) and not ssl and not tls.client.verified"));
}

#[test]
fn a_response_is_not_there_before_there_is_one() {
    let mut sample = full();
    let exchange = sample.exchange();
    assert!(Fields::of_request(&exchange).scalar(Name::ResponseCode).is_none());
}
