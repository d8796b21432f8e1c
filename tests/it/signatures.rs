//! `http_signature`: signed requests and the bodies that belong to them, however they come and wherever they go.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use boring::pkey::{Id, PKey, Private};
use boring::sign::Signer;
use bytes::Bytes;
use edgeward::auth::jose;
use hmac::{Hmac, Mac};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::harness::issuer::{Signer as Issued, base64url, key_set};
use crate::harness::tools::{has, run};
use crate::harness::{Client, Edge, H2Client, H2Origin, H2Reply, Origin, Reply, TokenIssuer, soon};

const SECRET: &str = "what is shared with the signer, 32 bytes and more";

fn policy(filter: &str) -> String {
    format!(
        "server: {{ drain: 200ms }}
admin: {{ address: '{{admin}}' }}
access_log: {{ to: access.log }}
listeners: [{{ address: '{{listen}}', h2c: true }}]
upstreams: {{ app: {{ backends: ['{{origin}}'], protocol: {{protocol}} }} }}
routes: [{{ name: app, match: {{ path: /** }}, upstream: app, filters: [{{ http_signature: {filter} }}] }}]
"
    )
}

/// With the key `billing`.
fn keyed(more: &str) -> String {
    policy(&format!(
        "{{ keys: {{ billing: {{ algorithm: hmac-sha256, secret: {{ file: secret }}, subject: Billing }} }} {more} }}"
    ))
}

fn running(more: &str) -> (Edge, Origin) {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = Edge::policy(&keyed(more)).with("origin", origin.address()).with("protocol", "http1");
    (edge.file("secret", SECRET).start(), origin)
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed()
}

/// What signs requests.
#[derive(Clone)]
enum Key {
    Secret(&'static str),
    Ed25519(PKey<Private>),
}

impl Key {
    fn sign(&self, text: &str) -> Vec<u8> {
        match self {
            Self::Secret(secret) => {
                let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
                mac.chain_update(text).finalize().into_bytes().to_vec()
            }
            Self::Ed25519(pair) => {
                Signer::new_without_digest(pair).unwrap().sign_oneshot_to_vec(text.as_bytes()).unwrap()
            }
        }
    }
}

/// The fields of a signature over method, target and digest.
fn signed(method: &str, target: &str, body: &[u8], nonce: Option<&str>) -> Vec<(String, String)> {
    signed_by(&Key::Secret(SECRET), "billing", (method, target), body, nonce)
}

/// The same by any key. The base is written out here as RFC 9421 section 2.5 has it, so that two readings of it meet.
fn signed_by(
    key: &Key,
    id: &str,
    (method, target): (&str, &str),
    body: &[u8],
    nonce: Option<&str>,
) -> Vec<(String, String)> {
    let mut components =
        vec![("@method", method.to_owned()), ("@target-uri", format!("http://localhost{target}"))];
    if !body.is_empty() {
        components.push(("content-digest", content_digest(body)));
    }
    let names: Vec<_> = components.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let nonce = nonce.map(|nonce| format!(";nonce=\"{nonce}\"")).unwrap_or_default();
    let parameters = format!("({});created={}{nonce};keyid=\"{id}\"", names.join(" "), now());
    let lines = components.iter().map(|(name, value)| format!("\"{name}\": {value}\n"));
    let base = format!("{}\"@signature-params\": {parameters}", lines.collect::<String>());
    let signature = format!("sig=:{}:", STANDARD.encode(key.sign(&base)));
    let mut fields = vec![
        ("signature-input".to_owned(), format!("sig={parameters}")),
        ("signature".to_owned(), signature),
    ];
    fields.extend(components.into_iter().skip(2).map(|(name, value)| (name.to_owned(), value)));
    fields
}

fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)))
}

fn pairs(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn client(edge: &Edge) -> Client {
    edge.client("listen").allow(&["accept-signature", "want-content-digest"])
}

/// A POST with these fields and a body with a length, or in chunks of so many bytes.
fn post(edge: &Edge, fields: &[(String, String)], body: &[u8], chunks: Option<usize>) -> (u16, String) {
    let mut client = client(edge);
    let mut head = "POST /orders HTTP/1.1\r\nHost: localhost\r\n".to_owned();
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let answer = if let Some(size) = chunks {
        client.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n"));
        for chunk in body.chunks(size) {
            let framed = [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat();
            // Whoever is refused half-way need not listen to the end.
            if client.try_send(framed).is_err() {
                break;
            }
        }
        drop(client.try_send("0\r\n\r\n"));
        client.response_to("POST")
    } else {
        client.send(format!("{head}Content-Length: {}\r\n\r\n", body.len()));
        drop(client.try_send(body));
        client.response_to("POST")
    };
    (answer.status, if answer.status == 200 { String::new() } else { answer.reason() })
}

fn passed() -> (u16, String) {
    (200, String::new())
}

fn mismatch() -> (u16, String) {
    (400, "digest_mismatch".to_owned())
}

#[test]
fn a_signature_opens_the_route_to_its_signer() {
    let (edge, origin) = running("");
    let refused = client(&edge).get("/orders");
    assert_eq!((refused.status, refused.reason()), (401, "signature_missing".to_owned()));
    assert_eq!(refused.header("www-authenticate"), Some("Signature"));
    assert!(refused.header("accept-signature").unwrap().contains("\"@target-uri\""), "{refused:?}");
    let fields = signed("GET", "/orders?x=1", b"", None);
    assert_eq!(client(&edge).request("GET", "/orders?x=1", &pairs(&fields), b"").status, 200);
    assert_eq!(origin.only().header("signature"), None, "hidden by default");
    assert_eq!(edge.logged("its signer", |line| line["consumer"] == "Billing")["status"], 200);
    for target in ["/orders?x=2", "/orders"] {
        assert_eq!(client(&edge).request("GET", target, &pairs(&fields), b"").reason(), "signature_invalid");
    }
    assert_eq!(client(&edge).request("HEAD", "/orders?x=1", &pairs(&fields), b"").status, 401);
    assert_eq!(origin.count(), 1);
}

#[test]
fn what_openssl_signs_is_accepted() {
    if !has("openssl") {
        return;
    }
    let folder = crate::harness::Folder::new();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let openssl = |arguments: &[&str], input: &[u8]| {
        let output = run("openssl", arguments, input);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    openssl(&["genpkey", "-algorithm", "ed25519", "-out", &path("key")], b"");
    let public = openssl(&["pkey", "-in", &path("key"), "-pubout"], b"");
    let body = b"{\"pay\":1}";
    let digest = openssl(&["dgst", "-sha256", "-binary"], body);
    let digest = format!("sha-256=:{}:", STANDARD.encode(digest));
    let parameters = format!(
        "(\"@method\" \"@target-uri\" \"content-digest\");created={};keyid=\"me\";alg=\"ed25519\"",
        now()
    );
    folder.write(
        "base",
        format!(
            "\"@method\": POST\n\"@target-uri\": http://localhost/orders?x=1\n\"content-digest\": {digest}\n\
             \"@signature-params\": {parameters}"
        ),
    );
    let arguments = ["pkeyutl", "-sign", "-rawin", "-inkey", &path("key"), "-in", &path("base")];
    let signature = format!("sig1=:{}:", STANDARD.encode(openssl(&arguments, b"")));
    let origin = Origin::start(|_| Reply::text("ok"));
    let input = format!("sig1={parameters}");
    let fields = [("Content-Digest", &*digest), ("Signature-Input", &*input), ("Signature", &*signature)];
    let text: String =
        std::str::from_utf8(&public).unwrap().lines().filter(|line| !line.starts_with('-')).collect();
    let x = base64url(&STANDARD.decode(text).unwrap()[12..]);
    let jwk = format!("kty: OKP, crv: Ed25519, x: {x}");
    for keys in [
        "keys: { me: { algorithm: ed25519, public_key_file: me.pem } }".to_owned(),
        format!("keys: {{ me: {{ jwk: {{ {jwk} }} }} }}"),
    ] {
        let edge = Edge::policy(&policy(&format!("{{ {keys} }}"))).file("me.pem", &public);
        let edge = edge.with("origin", origin.address()).with("protocol", "http1").start();
        let count = origin.count();
        assert_eq!(client(&edge).request("POST", "/orders?x=1", &fields, body).status, 200, "{keys}");
        assert_eq!((origin.count(), &*origin.last().body), (count + 1, &body[..]));
        let other = client(&edge).request("POST", "/orders?x=1", &fields, b"{\"pay\":2}");
        assert_eq!((other.status, other.reason()), mismatch());
    }
}

#[test]
fn a_path_is_verified_as_it_was_signed_and_passed_on_as_it_is_read() {
    let (edge, origin) = running("");
    for (sent, read) in [("/a/../%6frders?x=%31", "/orders?x=%31"), ("//orders", "/orders")] {
        let fields = signed("GET", sent, b"", None);
        assert_eq!(client(&edge).request("GET", sent, &pairs(&fields), b"").status, 200, "{sent}");
        assert_eq!(origin.last().target(), read);
        assert_eq!(client(&edge).request("GET", read, &pairs(&fields), b"").reason(), "signature_invalid");
    }
}

#[test]
fn an_upstream_hears_nothing_of_a_short_body_that_is_another() {
    let (edge, origin) = running("");
    let body = vec![b'x'; 40_000];
    let fields = signed("POST", "/orders", &body, None);
    let mut other = body.clone();
    other[20_000] = b'y';
    for chunks in [None, Some(1000), Some(40_000)] {
        for wrong in [&other[..], &body[1..], b"", &[&body[..], b"x"].concat()] {
            assert_eq!(post(&edge, &fields, wrong, chunks), mismatch(), "{chunks:?} {}", wrong.len());
        }
    }
    assert_eq!(origin.connections(), 0);
    for chunks in [None, Some(1000), Some(40_000)] {
        assert_eq!(post(&edge, &fields, &body, chunks), passed());
        assert_eq!(origin.last().body, body);
    }
}

#[test]
fn an_upstream_gets_the_end_of_a_long_body_only_if_it_is_the_right_one() {
    let (edge, origin) = running("");
    let body: Vec<u8> = (0..300_000_u32).map(|at| at.to_le_bytes()[at as usize % 3]).collect();
    let fields = signed("POST", "/orders", &body, None);
    for chunks in [None, Some(1000), Some(70_000)] {
        assert_eq!(post(&edge, &fields, &body, chunks), passed(), "{chunks:?}");
        assert_eq!(origin.last().body, body);
    }
    let count = origin.count();
    for chunks in [None, Some(1000), Some(70_000)] {
        for at in [0, 299_999] {
            let mut other = body.clone();
            other[at] ^= 1;
            assert_eq!(post(&edge, &fields, &other, chunks), mismatch(), "{chunks:?} {at}");
        }
        assert_eq!(post(&edge, &fields, &body[..299_999], chunks), mismatch());
    }
    assert_eq!(origin.count(), count, "no whole request came of them");
}

#[test]
fn a_longer_body_can_be_held_where_its_length_is_announced() {
    let (edge, origin) = running(", buffer: 1MiB");
    for length in [65_536, 65_537, 131_072, 300_000] {
        let body = vec![b'x'; length];
        let fields = signed("POST", "/orders", &body, None);
        let mut other = body.clone();
        other[length - 1] = b'y';
        let connections = origin.connections();
        assert_eq!(post(&edge, &fields, &other, None), mismatch(), "{length}");
        assert_eq!(origin.connections(), connections, "{length}");
        assert_eq!(post(&edge, &fields, &body, None), passed(), "{length}");
        assert_eq!(origin.last().body.len(), length);
        assert_eq!(post(&edge, &fields, &body, Some(5000)), passed(), "{length} in chunks");
        assert_eq!(origin.last().body.len(), length);
    }
}

#[test]
fn a_nonce_is_good_once_over_reloads() {
    let (edge, _origin) = running(", nonce: required");
    let ask = |fields: &[(String, String)]| client(&edge).request("GET", "/", &pairs(fields), b"");
    assert_eq!(ask(&signed("GET", "/", b"", None)).reason(), "signature_nonce_missing");
    let fields = signed("GET", "/", b"", Some("n1"));
    assert_eq!(ask(&fields).status, 200);
    assert_eq!(ask(&fields).reason(), "signature_replayed");
    edge.rewrite(&keyed(", max_age: 4m"));
    edge.reload().unwrap();
    assert_eq!(ask(&fields).reason(), "signature_replayed");
    assert_eq!(ask(&signed("GET", "/", b"", Some("n2"))).status, 200);
}

#[test]
fn a_client_that_waits_to_be_asked_for_its_body_is_asked() {
    let (edge, origin) = running("");
    let fields = signed("POST", "/orders", b"hello", None);
    let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let mut client = client(&edge);
    client.send(format!(
        "POST /orders HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n{lines}\r\n"
    ));
    assert_eq!(client.next_response("POST").unwrap().status, 100);
    client.send("hello");
    assert_eq!(client.response_to("POST").status, 200);
    assert_eq!((client.interim.len(), origin.only().header("expect")), (0, None));
}

/// A POST over HTTP/2 whose `END_STREAM` comes in a frame of its own, as late as it gets.
fn late_end(client: &H2Client, fields: &[(String, String)], body: &'static [u8]) -> u16 {
    let (mut sender, runtime) = client.sender();
    let mut request = Request::post("http://localhost/orders");
    for (name, value) in fields {
        request = request.header(name, value);
    }
    runtime.block_on(async {
        let (response, mut stream) = sender.send_request(request.body(()).unwrap(), false).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        if !body.is_empty() {
            stream.send_data(Bytes::from_static(body), false).unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        stream.send_data(Bytes::new(), true).unwrap();
        response.await.unwrap().status().as_u16()
    })
}

#[test]
fn bodies_over_http2_are_held_too() {
    let (edge, origin) = running("");
    let client = H2Client::cleartext(edge.address("listen")).allow(&["want-content-digest"]);
    let fields = signed("POST", "/orders", b"hello", None);
    assert_eq!(late_end(&client, &fields, b""), 400, "the body was taken away");
    assert_eq!(late_end(&client, &fields, b"hellO"), 400);
    assert_eq!(origin.connections(), 0);
    assert_eq!(late_end(&client, &fields, b"hello"), 200);
    assert_eq!(
        (origin.last().body.as_slice(), &*origin.last().raw_body),
        (&b"hello"[..], &b"5\r\nhello\r\n0\r\n\r\n"[..])
    );
    let (long, trailers) = (
        vec![b'x'; 200_000],
        HeaderMap::from_iter([(HeaderName::from_static("x-end"), HeaderValue::from_static("1"))]),
    );
    for (body, trailers) in
        [(&b"hello"[..], None), (&long, None), (b"hello", Some(trailers.clone())), (&long, Some(trailers))]
    {
        let request = |body: &[u8]| {
            let mut request = Request::post("http://localhost/orders");
            for (name, value) in signed("POST", "/orders", body, None) {
                request = request.header(name, value);
            }
            request.body(()).unwrap()
        };
        assert_eq!(client.request(request(body), body, trailers.clone()).status, 200);
        assert_eq!(origin.last().body, body);
        let count = origin.count();
        assert_eq!(client.request(request(b"another"), body, trailers).status, 400);
        assert_eq!(origin.count(), count);
    }
}

#[test]
fn an_upstream_of_http2_gets_no_wrong_body_either() {
    let origin = H2Origin::cleartext(|_| H2Reply::text("ok"));
    let edge = Edge::policy(&keyed("")).with("origin", origin.address()).with("protocol", "http2");
    let edge = edge.file("secret", SECRET).start();
    for length in [5, 60_000, 200_000] {
        let body = vec![b'x'; length];
        let fields = signed("POST", "/orders", &body, None);
        for chunks in [None, Some(3000)] {
            assert_eq!(post(&edge, &fields, &body, chunks), passed(), "{length} {chunks:?}");
            assert_eq!(origin.requests().pop().unwrap().body.len(), length);
            let count = origin.requests().len();
            assert_eq!(post(&edge, &fields, &body[1..], chunks), mismatch());
            assert_eq!(post(&edge, &fields, b"", chunks), mismatch());
            assert_eq!(origin.requests().len(), count);
        }
    }
    let client = H2Client::cleartext(edge.address("listen")).allow(&["want-content-digest"]);
    let fields = signed("POST", "/orders", b"hello", None);
    let count = origin.requests().len();
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("x-end"), HeaderValue::from_static("1"))]);
    for length in [5, 200_000] {
        let mut request = Request::post("http://localhost/orders");
        for (name, value) in signed("POST", "/orders", b"another", None) {
            request = request.header(name, value);
        }
        let answer =
            client.try_request(request.body(()).unwrap(), &vec![b'x'; length], Some(trailers.clone()));
        assert!(answer.is_ok_and(|answer| answer.status == 400), "{length}");
    }
    assert_eq!((late_end(&client, &fields, b""), late_end(&client, &fields, b"hell0")), (400, 400));
    assert_eq!(origin.requests().len(), count);
    assert_eq!(late_end(&client, &fields, b"hello"), 200);
}

#[test]
fn a_held_body_goes_to_the_next_backend_when_one_fails() {
    let broken = Origin::start(|_| Reply::nothing().close());
    let good = Origin::start(|_| Reply::text("ok"));
    let text = keyed(", buffer: 1MiB").replace("['{origin}']", "['{broken}', '{good}']");
    let edge = Edge::policy(&text).with("broken", broken.address()).with("good", good.address());
    let edge = edge.with("protocol", "http1, eject: off").file("secret", SECRET).start();
    for length in [5, 60_000, 300_000] {
        let body = vec![b'x'; length];
        let fields = signed("PUT", "/orders", &body, None);
        let before = good.count();
        soon("a request that was sent twice", || {
            let tried = broken.count();
            let answer = client(&edge).request("PUT", "/orders", &pairs(&fields), &body);
            assert_eq!(answer.status, 200);
            assert_eq!(good.last().body, body);
            broken.count() > tried
        });
        assert!(good.count() > before && broken.last().body == body);
    }
}

#[test]
fn a_body_that_is_sent_again_is_counted_once() {
    let broken = Origin::start(|_| Reply::nothing().close());
    let good = Origin::start(|_| Reply::text("ok"));
    let edge = Edge::policy(
        "access_log: { to: access.log, fields: [path, bytes_in, retries] }
listeners: [{ address: '{listen}' }]
upstreams: { app: { backends: ['{broken}', '{good}'], eject: off } }
routes: [{ name: app, match: { path: /** }, upstream: app, filters: [{ request_limits: { max_body: 1500B } }] }]
",
    );
    let edge = edge.with("broken", broken.address()).with("good", good.address()).start();
    soon("a request that was sent twice", || {
        let tried = broken.count();
        assert_eq!(edge.client("listen").request("PUT", "/", &[], &[b'x'; 1000]).status, 200);
        assert_eq!(good.last().body.len(), 1000);
        broken.count() > tried
    });
    let line = edge.logged("the second try", |line| line["retries"] == 1);
    assert_eq!(line["bytes_in"], 1000);
}

#[test]
fn a_shadow_holds_nothing() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge =
        Edge::policy(&keyed(", mode: shadow")).with("origin", origin.address()).with("protocol", "http1");
    let edge = edge.file("secret", SECRET).start();
    let fields = signed("POST", "/orders", b"hello", None);
    assert_eq!(post(&edge, &fields, b"other", None), passed());
    assert_eq!(
        (origin.only().body.as_slice(), origin.only().header("signature").is_some()),
        (&b"other"[..], true)
    );
    let line = edge.logged("the shadow", |line| {
        line["shadow_refusals"].is_array() || line["shadow_refusals"].is_string()
    });
    assert!(line.to_string().contains("digest_mismatch"), "{line}");
}

/// A key pair of a partner: what is published of it, and what signs requests.
fn partner(id: &str) -> (Issued, impl Fn() -> Key) {
    let pair = PKey::generate(Id::ED25519).unwrap();
    let mut x = [0; 32];
    pair.raw_public_key(&mut x).unwrap();
    let pem = pair.private_key_to_pem_pkcs8().unwrap();
    let key = jose::SigningKey::from_pem(&pem, jose::Algorithm::EdDsa, Some(id)).unwrap();
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "x": base64url(x) });
    (Issued { key, jwk }, move || Key::Ed25519(pair.clone()))
}

/// What of the requests that a partner signs is answered.
fn asked_by(edge: &Edge, id: &str, key: Key) -> (u16, String) {
    let fields = signed_by(&key, id, ("GET", "/orders"), b"", None);
    let answer = client(edge).request("GET", "/orders", &pairs(&fields), b"");
    (answer.status, if answer.status == 200 { String::new() } else { answer.reason() })
}

/// A policy in which the keys of an issuer may sign.
fn published(issuer: &str, more: &str) -> String {
    let keys = format!("{{ issuer: partners{more} }}");
    policy(&keys).replace("routes:", &format!("issuers: {{ partners: {{ {issuer} }} }}\nroutes:"))
}

#[test]
fn keys_that_an_issuer_publishes_rotate_without_a_word_to_us() {
    let ((first, by_first), (second, by_second)) = (partner("k1"), partner("k2"));
    let (issuer, origin) = (TokenIssuer::start([&first]), Origin::start(|_| Reply::text("ok")));
    let text = published(
        "issuer: '{iss}', jwks: '{iss}/jwks', refresh: { cooldown: 1ms, timeout: 1m, max_wait: 1m }",
        ", keys: { billing: { algorithm: hmac-sha256, secret: { file: secret } } }",
    );
    let edge = Edge::policy(&text).with("iss", issuer.name()).with("origin", origin.address());
    let edge = edge.with("protocol", "http1").file("secret", SECRET).start();
    assert_eq!(asked_by(&edge, "k1", by_first()), passed());
    assert_eq!(edge.logged("its signer", |line| line["consumer"] == "k1")["status"], 200);
    assert_eq!(asked_by(&edge, "k2", by_second()), (401, "signature_unknown_key".to_owned()));
    issuer.publish([&first, &second]);
    assert_eq!(asked_by(&edge, "k2", by_second()), passed());
    assert_eq!(asked_by(&edge, "k1", by_first()), passed());
    assert_eq!(asked_by(&edge, "k1", by_second()), (401, "signature_invalid".to_owned()));
    issuer.publish([&second]);
    assert_eq!(asked_by(&edge, "k3", by_second()), (401, "signature_unknown_key".to_owned()));
    assert_eq!(asked_by(&edge, "k1", by_first()), (401, "signature_unknown_key".to_owned()));
    issuer.set_down(true);
    assert_eq!(asked_by(&edge, "k2", by_second()), passed(), "known keys work on");
    assert_eq!(asked_by(&edge, "k1", by_first()), (503, "keys_unavailable".to_owned()));
    let ours = signed("GET", "/orders", b"", None);
    assert_eq!(client(&edge).request("GET", "/orders", &pairs(&ours), b"").status, 200);
}

#[test]
fn all_keys_of_an_issuer_that_are_named_alike_sign() {
    let ((old, by_old), (new, by_new), (_, by_stranger)) = (partner("k"), partner("k"), partner("k"));
    let (issuer, origin) = (TokenIssuer::start([&old, &new]), Origin::start(|_| Reply::text("ok")));
    let text = published("issuer: '{iss}', jwks: '{iss}/jwks', refresh: { cooldown: 1ms }", "");
    let edge = Edge::policy(&text).with("iss", issuer.name()).with("origin", origin.address());
    let edge = edge.with("protocol", "http1").start();
    edge.wait_for_metric("edgeward_issuer_keys{issuer=\"partners\"}", 2.0);
    assert_eq!(asked_by(&edge, "k", by_old()), passed());
    assert_eq!(asked_by(&edge, "k", by_new()), passed());
    assert_eq!(asked_by(&edge, "k", by_stranger()), (401, "signature_invalid".to_owned()));
}

#[test]
fn a_shadow_uses_nothing_up() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let filter = |mode: &str| {
        let key = "billing: { algorithm: hmac-sha256, secret: { file: secret } }";
        format!("http_signature: {{ keys: {{ {key} }}{mode} }}")
    };
    let both =
        format!("filters: [{{ {} }}, {{ {} }}]", filter(", mode: shadow"), filter(", nonce: required"));
    let text = policy("{}").replace("filters: [{ http_signature: {} }]", &both);
    let edge = Edge::policy(&text).with("origin", origin.address()).with("protocol", "http1");
    let edge = edge.file("secret", SECRET).start();
    let fields = signed("POST", "/orders", b"hello", Some("n"));
    assert_eq!(post(&edge, &fields, b"hello", None), passed());
    assert_eq!(post(&edge, &fields, b"hello", None), (401, "signature_replayed".to_owned()));
}

#[test]
fn a_body_is_compared_with_its_digest_also_when_the_key_had_to_be_asked_for() {
    let (first, second) = (partner("k1").0, partner("k2"));
    let (issuer, origin) = (TokenIssuer::start([&first]), Origin::start(|_| Reply::text("ok")));
    let text = published("issuer: '{iss}', jwks: '{iss}/jwks', refresh: { cooldown: 1ms }", "");
    let edge = Edge::policy(&text).with("iss", issuer.name()).with("origin", origin.address());
    let edge = edge.with("protocol", "http1").start();
    edge.wait_for_metric("edgeward_issuer_keys{issuer=\"partners\"}", 1.0);
    let (second, by_second) = second;
    issuer.publish([&second]);
    let fields = signed_by(&by_second(), "k2", ("POST", "/orders"), b"hello", None);
    assert_eq!(post(&edge, &fields, b"hellO", Some(2)), mismatch());
    assert_eq!(origin.connections(), 0);
    assert_eq!(post(&edge, &fields, b"hello", Some(2)), passed());
    assert_eq!(origin.only().body, b"hello");
}

#[test]
fn keys_in_a_file_or_in_the_policy_sign_under_their_names() {
    let (issued, by) = partner("k1");
    let origin = Origin::start(|_| Reply::text("ok"));
    for jwks in ["{ file: set.json }", "{ inline: {set} }"] {
        let set = key_set([&issued]);
        let edge = Edge::policy(&published(&format!("issuer: us, jwks: {jwks}"), ""));
        let edge = edge.with("set", &set).with("origin", origin.address()).with("protocol", "http1");
        let edge = edge.file("set.json", set).start();
        assert_eq!(asked_by(&edge, "k1", by()), passed(), "{jwks}");
        assert_eq!(asked_by(&edge, "k2", by()), (401, "signature_unknown_key".to_owned()), "{jwks}");
    }
}
