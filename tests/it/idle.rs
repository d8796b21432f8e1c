//! What an idle connection holds in memory, as docs/performance.md promises it.

use crate::harness::Client;
use crate::harness::tls::{H1, Visitor};
use crate::process::{Process, Site};

const POLICY: &str = r#"
access_log: { to: access.log }
listeners:
  - { address: "{listen}" }
  - { address: "{tls}", tls: { self_signed: [localhost] } }
routes:
  - { name: all, match: { path: /** }, respond: { body: hello } }
"#;
/// Enough to tell what one costs, and few enough for the descriptors a test may hold.
const CONNECTIONS: usize = 200;
/// Twice what it is in a release build for TLS, and less than half of what it was when an idle connection had a parser.
const MOST_KILOBYTES: usize = 20;

#[test]
fn an_idle_connection_holds_less_than_20_kilobytes() {
    let site = Site::new(POLICY, &[]);
    let process = site.start();
    let plain = || site.client("listen");
    let visitor = Visitor { sni: Some("localhost"), alpn: H1, ..Visitor::default() };
    let tls = || Client::tls(site.address("tls"), &visitor);
    for connect in [&plain as &dyn Fn() -> Client, &tls] {
        let warm: Vec<Client> = (0..CONNECTIONS / 4).map(|_| asked(connect())).collect();
        let before = resident_kilobytes(&process);
        let idle: Vec<Client> = (0..CONNECTIONS).map(|_| asked(connect())).collect();
        let each = resident_kilobytes(&process).saturating_sub(before) / CONNECTIONS;
        assert!(each < MOST_KILOBYTES, "{each} KB for each idle connection");
        for mut client in warm.into_iter().chain(idle) {
            assert_eq!(client.get("/").status, 200, "it is still there");
        }
    }
}

fn asked(mut client: Client) -> Client {
    assert_eq!(client.get("/").status, 200);
    client
}

fn resident_kilobytes(process: &Process) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
