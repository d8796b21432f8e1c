//! The main job with real peers: nginx behind, curl and h2load in front, and the policy that the design promises.

use crate::harness::tools::{curl, has, run};
use crate::harness::{Authority, Client, Edge, Nginx, Origin, Reply, STRICT, Visitor};

/// The policy of the design, with addresses and files of our own in place of its.
const DESIGN: &str = r#"
listeners:
  - { address: "{listen}", redirect: https }
  - address: "{tls}"
    tls: { certificates: [{ cert: "{dir}/api.crt", key: "{dir}/api.key" }] }

upstreams:
  orders:
    backends: [{one}, {two}]
    balance: p2c_ewma
    health_check: { http: { path: /healthz }, interval: 1s }

routes:
  - name: orders
    match: { host: api.example.com, path: /orders/**, methods: [GET, POST] }
    filters:
      - rate_limit: { key: ip, limit: 100/1m }
      - response_headers: { security: strict, remove: [server, x-powered-by] }
    upstream: orders
"#;

#[test]
fn the_policy_of_the_design_works_as_written() {
    let backend =
        || Origin::start(|seen| Reply::status(200, &[("server", "x"), ("x-powered-by", "y")], seen.target()));
    let (one, two, ours) = (backend(), backend(), Authority::new("ours"));
    let issued = ours.server(&["api.example.com"]);
    let setup = Edge::policy(DESIGN).with("one", one.address()).with("two", two.address());
    let edge = setup.file("api.crt", issued.cert_pem()).file("api.key", issued.key_pem()).start();
    let visitor = Visitor { trust: Some(&ours), ..Visitor::named("api.example.com") };
    let mut client = Client::tls(edge.address("tls"), &visitor).allow(&STRICT);
    let host = ("Host", "api.example.com");
    let answer = client.request("GET", "/orders/7", &[host], b"");
    assert_eq!((answer.status, answer.text()), (200, "/orders/7".to_owned()));
    assert_eq!(answer.header("ratelimit-policy"), Some("\"default\";q=100;w=60"));
    assert!(answer.header("strict-transport-security").is_some());
    assert_eq!(client.request("POST", "/orders", &[host], b"{}").status, 200);
    assert_eq!(client.request("DELETE", "/orders/7", &[host], b"").status, 405);
    assert_eq!(client.request("GET", "/other", &[host], b"").status, 404);
    assert_eq!(client.request("GET", "/orders/7", &[("Host", "other.example.com")], b"").status, 404);
    let redirect = edge.client("listen").allow(&STRICT).request("GET", "/orders/7", &[host], b"");
    assert_eq!(redirect.status, 308);
}

fn before_nginx() -> Option<(Edge, [Nginx; 2])> {
    let server = "location / { return 200 'hello'; }";
    let (one, two) = (Nginx::start(server)?, Nginx::start(server)?);
    let edge = Edge::policy(
        "admin: { address: '{admin}' }
listeners: [{ address: '{tls}', tls: { self_signed: [localhost, 127.0.0.1] } }]
upstreams: { app: { backends: ['{one}', '{two}'], health_check: { http: { path: / }, interval: 200ms } } }
routes: [{ name: app, match: { path: /** }, upstream: app, filters: [{ response_headers: { remove: [server] } }] }]
",
    )
    .with("one", one.address())
    .with("two", two.address())
    .start();
    Some((edge, [one, two]))
}

#[test]
fn curl_reaches_nginx_over_both_versions_of_http() {
    if !has("curl") {
        return;
    }
    let Some((edge, _nginx)) = before_nginx() else { return };
    let url = format!("https://{}/", edge.address("tls"));
    for (option, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let told = curl(&["--insecure", option, "--write-out", " %{http_version} %{http_code}", &url]);
        assert_eq!(told, format!("hello {version} 200"));
    }
}

#[test]
fn h2load_sees_no_failure_when_a_backend_dies() {
    if !has("h2load") {
        return;
    }
    let Some((edge, [mut doomed, _other])) = before_nginx() else { return };
    let url = format!("https://{}/", edge.address("tls"));
    let load = std::thread::spawn(move || run("h2load", &["-n", "8000", "-c", "8", "-m", "8", &url], b""));
    crate::harness::soon("some of the load", || edge.metrics().sum("edgeward_requests_total", &[]) > 1000.0);
    doomed.kill();
    let told = load.join().unwrap();
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("8000 succeeded, 0 failed, 0 errored, 0 timeout"), "{told}");
    assert!(told.contains("status codes: 8000 2xx, 0 3xx, 0 4xx, 0 5xx"), "{told}");
}
