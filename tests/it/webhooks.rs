//! `webhook_signature`: no forged webhook reaches a backend, in part or whole.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::harness::tools::{has, run};
use crate::harness::{Edge, Origin, Reply, Response};

/// The example of GitHub's documentation.
const GITHUB: (&str, &str) =
    ("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
const SECRET: &str = "It's a Secret to Everybody";

fn policy(filter: &str) -> String {
    format!(
        "server: {{ drain: 200ms }}
access_log: {{ to: access.log }}
listeners: [{{ address: '{{listen}}' }}]
upstreams: {{ app: {{ backends: ['{{origin}}'] }} }}
routes: [{{ name: hooks, match: {{ path: /** }}, upstream: app, filters: [{{ webhook_signature: {filter} }}] }}]
"
    )
}

fn running(filter: &str) -> (Edge, Origin) {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = Edge::policy(&policy(filter)).with("origin", origin.address());
    (edge.file("old", "an old secret").file("new", SECRET).start(), origin)
}

fn post(edge: &Edge, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
    told(&edge.client("listen").request("POST", "/", headers, body))
}

/// Posts without a length, in chunks of so many bytes.
fn chunked(edge: &Edge, signature: &str, body: &[u8], size: usize) -> (u16, String) {
    let mut client = edge.client("listen");
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\n{}: {signature}\r\nTransfer-Encoding: chunked\r\n\r\n",
        GITHUB.0
    ));
    for chunk in body.chunks(size) {
        client.send([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    }
    client.send("0\r\n\r\n");
    told(&client.response_to("POST"))
}

fn told(answer: &Response) -> (u16, String) {
    (answer.status, if answer.status == 200 { String::new() } else { answer.reason() })
}

fn passed() -> (u16, String) {
    (200, String::new())
}

fn refused(status: u16, reason: &str) -> (u16, String) {
    (status, reason.to_owned())
}

/// What `openssl` makes of a message and a secret.
fn hmac(secret: &str, message: &[u8]) -> String {
    let output = run("openssl", &["dgst", "-sha256", "-hmac", secret, "-r"], message);
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn a_forged_webhook_reaches_no_backend() {
    let (edge, origin) = running("{ scheme: github, secrets: [{ file: old }, { file: new }] }");
    assert_eq!(post(&edge, &[GITHUB], b"Hello, World?"), refused(401, "webhook_invalid"));
    assert_eq!(post(&edge, &[GITHUB], b""), refused(401, "webhook_invalid"));
    assert_eq!(post(&edge, &[], b"Hello, World!"), refused(401, "webhook_missing"));
    assert_eq!(origin.connections(), 0);
    assert_eq!(post(&edge, &[GITHUB], b"Hello, World!"), passed());
    assert_eq!(
        (origin.only().body.as_slice(), origin.only().header("x-hub-signature-256")),
        (&b"Hello, World!"[..], Some(GITHUB.1))
    );
    assert_eq!(edge.logged("the sender", |line| line["consumer"] == "github")["status"], 200);
    assert_eq!(edge.access_log().iter().filter(|line| line["consumer"] == "github").count(), 1);
    let refusal = edge.client("listen").request("POST", "/", &[], b"x");
    assert_eq!(refusal.header("www-authenticate"), Some("Signature"));
}

#[test]
fn secrets_change_without_a_gap() {
    if !has("openssl") {
        return;
    }
    let (edge, origin) = running("{ scheme: github, secrets: [{ file: old }, { file: new }] }");
    let signed = |secret: &str| format!("sha256={}", hmac(secret, b"x"));
    let of = |secret: &str| post(&edge, &[(GITHUB.0, &signed(secret))], b"x");
    assert_eq!(
        (of("an old secret"), of(SECRET), of("another")),
        (passed(), passed(), refused(401, "webhook_invalid"))
    );
    edge.rewrite(&policy("{ scheme: github, secrets: [{ file: new }] }"));
    edge.reload().unwrap();
    assert_eq!((of("an old secret"), of(SECRET)), (refused(401, "webhook_invalid"), passed()));
    assert_eq!(origin.count(), 3);
}

#[test]
fn a_timed_webhook_is_accepted_once_also_over_a_reload() {
    if !has("openssl") {
        return;
    }
    let (edge, origin) = running("{ scheme: stripe, secrets: [{ file: new }] }");
    let signed = |time: u64| format!("t={time},v1={}", hmac(SECRET, format!("{time}.x").as_bytes()));
    let message = signed(now());
    let of = |message: &str| post(&edge, &[("Stripe-Signature", message)], b"x");
    assert_eq!((of(&message), of(&message)), (passed(), refused(401, "webhook_replayed")));
    edge.rewrite(&policy("{ scheme: stripe, secrets: [{ file: new }], tolerance: 10m }"));
    edge.reload().unwrap();
    assert_eq!(of(&message), refused(401, "webhook_replayed"));
    assert_eq!(of(&signed(now() - 400)), passed(), "within the new tolerance");
    assert_eq!(of(&signed(now() - 700)), refused(401, "webhook_outside_tolerance"));
    assert_eq!(origin.count(), 2);
}

#[test]
fn a_long_webhook_is_held_to_its_end() {
    if !has("openssl") {
        return;
    }
    let (edge, origin) = running("{ scheme: github, secrets: [{ file: new }], max_body: 500KB }");
    let body = vec![b'x'; 400_000];
    let signature = format!("sha256={}", hmac(SECRET, &body));
    let mut forged = body.clone();
    forged[399_999] = b'y';
    assert_eq!(post(&edge, &[(GITHUB.0, &signature)], &forged), refused(401, "webhook_invalid"));
    assert_eq!(
        post(&edge, &[(GITHUB.0, &signature)], &[&body[..], &body].concat()),
        refused(413, "webhook_too_large")
    );
    assert_eq!(origin.connections(), 0);
    assert_eq!(post(&edge, &[(GITHUB.0, &signature)], &body), passed());
    assert_eq!(origin.only().body, body);
    let count = origin.connections();
    for length in [1, 50_000, 65_536] {
        for size in [length, 10_000] {
            let answer = chunked(&edge, &signature, &body[..length], size);
            assert_eq!(answer, refused(401, "webhook_invalid"), "{length} by {size}");
        }
    }
    assert_eq!(origin.connections(), count, "short enough to be verified before the upstream hears of it");
    // Longer and without a length: the head may go before the verdict, the body may not.
    for (body, expected) in [(&body, passed()), (&forged, refused(401, "webhook_invalid"))] {
        assert_eq!(chunked(&edge, &signature, body, 10_000), expected);
    }
    assert_eq!(origin.count(), 2);
}
