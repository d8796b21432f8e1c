//! A new policy in place of the old one, under load: all of it or nothing, and nobody is cut.

use rustix::process::Signal;

use crate::harness::{Client, Visitor, soon};
use crate::load::{Kind, Load};
use crate::long::{Download, WebSocket, echoing, origin};
use crate::process::{Process, Site, free};

const POLICY: &str = r#"
server: { runtime_directory: {dir}/run, drain: 1s, workers: 2, watch: {watch} }
access_log: { to: access.log }
admin: { address: "{admin}" }
listeners:
  - { address: "{listen}" }
  - { address: "{h2c}", h2c: true }
  - { address: "{tls}", tls: { self_signed: [localhost] } }
upstreams:
  origin: { backends: ["{origin}"] }
  echo: { backends: ["{echoing}"] }
  dead: { backends: ["{dead}"], health_check: { tcp: {}, interval: 100ms } }
routes:
  - { name: hello, match: { path: /hello }, respond: { body: generation-0 } }
  - { name: ws, match: { path: /ws }, upstream: echo }
  - { name: dead, match: { path: /dead }, upstream: dead }
  - name: limited
    match: { path: /limited }
    filters: [{ rate_limit: { key: ip, limit: 3/1h } }]
    respond: { body: within }
  - { name: rest, match: { path: /** }, upstream: origin }
"#;

fn generation(number: u32) -> String {
    POLICY.replace("generation-0", &format!("generation-{number}"))
}

fn site(origin: &crate::harness::Origin, watch: bool) -> Site {
    let (origin, echoing, dead) = (origin.address(), echoing(), free());
    Site::new(POLICY, &[("origin", &origin), ("echoing", &echoing), ("dead", &dead), ("watch", &watch)])
}

fn load(site: &Site) -> Load {
    let (plain, tls, h2c) = (site.address("listen"), site.address("tls"), site.address("h2c"));
    let kinds = [
        (Kind::Fresh, plain),
        (Kind::Kept, plain),
        (Kind::TlsFresh, tls),
        (Kind::TlsKept, tls),
        (Kind::H2c, h2c),
        (Kind::H2, tls),
    ];
    Load::start(&kinds, &["/hello", "/proxied"])
}

fn serves(site: &Site, number: u32) {
    let expected = format!("generation-{number}");
    soon(&expected, || site.client("listen").get("/hello").text() == expected);
}

/// Reloads under load, each as `ask` does it, and looks at what must outlive them.
fn reload_often(site: &Site, process: &mut Process, ask: impl Fn(&Process, u32)) {
    let load = load(site);
    load.goes_on(10);
    let download = Download::begin(site.client("listen"));
    let mut socket = WebSocket::open(site.client("listen"));
    let mut kept = site.client("listen").allow(&["x-generation"]);
    let mut secret = Client::tls(site.address("tls"), &Visitor::named("localhost"));
    assert_eq!(kept.get("/hello").text(), "generation-0");
    for number in 1..=5 {
        site.rewrite(&generation(number));
        ask(process, number);
        serves(site, number);
        assert!(socket.echoes(&format!("after reload {number}")));
        // The same connection, the new policy.
        for client in [&mut kept, &mut secret] {
            let answer = client.get("/hello");
            assert_eq!(
                (answer.text(), answer.header("connection")),
                (format!("generation-{number}"), Some("keep-alive"))
            );
        }
        load.goes_on(5);
    }
    assert!(download.goes_on() || download.came_whole());
    load.stop();
    assert!(process.runs());
    assert_eq!(site.metrics().value("edgeward_reloads_total{outcome=\"failure\"}").unwrap_or(0.0), 0.0);
}

#[test]
fn sighup_reloads_without_a_failure() {
    let (origin, _gate) = origin();
    let site = site(&origin, false);
    let mut process = site.start();
    reload_often(&site, &mut process, |process, _| process.signal(Signal::HUP));
}

#[test]
fn an_admin_request_reloads_without_a_failure() {
    let (origin, _gate) = origin();
    let site = site(&origin, false);
    let mut process = site.start();
    reload_often(&site, &mut process, |_, number| {
        let answer = site.client("admin").request("POST", "/reload", &[], b"");
        assert_eq!((answer.status, answer.json()["reloaded"].as_bool()), (200, Some(true)));
        // When it has answered, the policy is in force everywhere.
        assert_eq!(site.client("listen").get("/hello").text(), format!("generation-{number}"));
    });
}

#[test]
fn a_changed_file_reloads_by_itself_if_the_policy_says_so() {
    let (origin, _gate) = origin();
    let site = site(&origin, true);
    let mut process = site.start();
    reload_often(&site, &mut process, |_, _| {});
}

#[test]
fn a_changed_file_alone_does_nothing() {
    let (origin, _gate) = origin();
    let site = site(&origin, false);
    let process = site.start();
    site.rewrite(&generation(1));
    // Longer than a watcher would take: certificates are looked at meanwhile.
    let load = Load::start(&[(Kind::Kept, site.address("listen"))], &["/hello"]);
    load.goes_on(800);
    load.stop();
    assert!(!process.has("policy reloaded"));
    assert_eq!(site.client("listen").get("/hello").text(), "generation-0");
}

#[test]
fn counters_and_verdicts_outlive_a_reload() {
    let (origin, _gate) = origin();
    let site = site(&origin, false);
    let process = site.start();
    let limited = |times: u32| -> Vec<u16> {
        let allowed = ["ratelimit", "ratelimit-policy", "retry-after"];
        (0..times).map(|_| site.client("listen").allow(&allowed).get("/limited").status).collect()
    };
    assert_eq!(limited(2), [200, 200]);
    soon("the backend to be found dead", || {
        site.client("listen").get("/dead").reason() == "no_healthy_backend"
    });
    for number in 1..=3 {
        site.rewrite(&generation(number));
        process.signal(Signal::HUP);
        serves(&site, number);
        // Not even the first request tries it.
        assert_eq!(site.client("listen").get("/dead").reason(), "no_healthy_backend");
    }
    assert_eq!(limited(2), [200, 429]);
}

#[test]
fn a_bad_policy_changes_nothing_and_is_told_everywhere() {
    let (origin, _gate) = origin();
    let site = site(&origin, false);
    let process = site.start();
    let load = load(&site);
    load.goes_on(5);
    let bad =
        POLICY.replace("generation-0", "wrong").replace("respond: { body: within }", "upstream: nowhere");
    site.rewrite(&bad.replace("keep: ", "").replace("match: { path: /dead }", "match: { paht: /dead }"));

    process.signal(Signal::HUP);
    let told = process.says("policy not reloaded")["error"].to_string();
    assert!(told.contains("paht") && told.contains("nowhere"), "{told}");
    let answer = site.client("admin").request("POST", "/reload", &[], b"");
    assert_eq!(answer.status, 422);
    let said = answer.json();
    assert_eq!(said["reloaded"], false);
    let errors = said["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 2, "{said}");
    assert!(errors.iter().all(|error| error["line"].as_u64().is_some()), "{said}");
    let metrics = site.metrics();
    assert_eq!(metrics.value("edgeward_reloads_total{outcome=\"failure\"}"), Some(2.0));
    assert_eq!(metrics.value("edgeward_reloads_total{outcome=\"success\"}"), Some(1.0));
    assert_eq!(site.client("listen").get("/hello").text(), "generation-0");
    load.goes_on(5);
    load.stop();

    site.rewrite(&generation(1));
    process.signal(Signal::HUP);
    serves(&site, 1);
}

#[test]
fn listeners_come_and_go_with_the_policy() {
    let (origin, _gate) = origin();
    let site = site(&origin, false);
    let process = site.start();
    let mut kept = site.client("h2c");
    assert_eq!(kept.get("/hello").text(), "generation-0");
    let other =
        generation(1).replace("  - { address: \"{h2c}\", h2c: true }\n", "  - { address: \"{listen2}\" }\n");
    let moved = other.replace("{admin}", "unix:{dir}/admin.sock");
    site.rewrite(&moved);
    process.signal(Signal::HUP);
    serves(&site, 1);
    soon("the new listener", || std::net::TcpStream::connect(site.address("listen2")).is_ok());
    assert_eq!(site.client("listen2").get("/hello").text(), "generation-1");
    soon("the end of the old ones", || {
        ["h2c", "admin"].iter().all(|name| std::net::TcpStream::connect(site.address(name)).is_err())
    });
    // Who came by it may go on.
    assert_eq!(kept.get("/hello").text(), "generation-1");
    let admin = site.folder.path().join("admin.sock");
    assert_eq!(Client::unix(&admin).get("/readyz").status, 200);

    site.rewrite(&generation(2));
    process.signal(Signal::HUP);
    serves(&site, 2);
    soon("the first listener again", || std::net::TcpStream::connect(site.address("h2c")).is_ok());
    assert_eq!(site.client("h2c").get("/hello").text(), "generation-2");
    soon("the file to be gone", || !admin.exists());
}

#[test]
fn an_address_in_use_keeps_the_whole_policy_out() {
    let (origin, _gate) = origin();
    let site = site(&origin, false);
    let process = site.start();
    let held = std::net::TcpListener::bind(free()).unwrap();
    let taken = held.local_addr().unwrap();
    let two = format!("  - {{ address: \"{{listen2}}\" }}\n  - {{ address: \"{taken}\" }}\n");
    site.rewrite(&generation(1).replace("  - { address: \"{h2c}\", h2c: true }\n", &two));
    let answer = site.client("admin").request("POST", "/reload", &[], b"");
    assert_eq!(answer.status, 409);
    let told = answer.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    assert!(told.contains(&format!("cannot listen on {taken}: address in use")), "{told}");
    process.says("policy not reloaded");
    assert_eq!(site.client("listen").get("/hello").text(), "generation-0");
    assert_eq!(site.client("h2c").get("/hello").text(), "generation-0");
    assert!(
        std::net::TcpStream::connect(site.address("listen2")).is_err(),
        "the other new address is closed again"
    );

    drop(held);
    assert_eq!(site.client("admin").request("POST", "/reload", &[], b"").status, 200);
    assert_eq!(site.client("listen2").get("/hello").text(), "generation-1");
}
