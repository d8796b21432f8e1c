//! A successor takes over, or fails to: nobody notices.

use rustix::process::Signal;

use crate::harness::{Client, Visitor, soon};
use crate::load::{Kind, Load};
use crate::long::{Download, WebSocket, echoing, origin};
use crate::process::{Process, Site};

const POLICY: &str = r#"
server: { runtime_directory: {dir}/run, drain: 15s, workers: 2 }
access_log: { to: access.log }
admin: { address: "{admin}" }
listeners:
  - { address: "{listen}" }
  - { address: "{h2c}", h2c: true }
  - { address: "{tls}", tls: { self_signed: [localhost] } }
upstreams:
  origin: { backends: ["{origin}"] }
  echo: { backends: ["{echoing}"] }
routes:
  - { name: hello, match: { path: /hello }, respond: { body: hello } }
  - { name: ws, match: { path: /ws }, upstream: echo }
  - { name: rest, match: { path: /** }, upstream: origin }
"#;
const PATHS: [&str; 2] = ["/hello", "/proxied"];

fn load(site: &Site) -> Load {
    let (plain, tls, h2c) = (site.address("listen"), site.address("tls"), site.address("h2c"));
    let kinds = [
        (Kind::Fresh, plain),
        (Kind::Kept, plain),
        (Kind::Kept, plain),
        (Kind::TlsFresh, tls),
        (Kind::TlsKept, tls),
        (Kind::H2c, h2c),
        (Kind::H2, tls),
    ];
    Load::start(&kinds, &PATHS)
}

#[test]
fn three_upgrades_in_a_row_lose_nothing() {
    let (origin, _gate) = origin();
    let site = Site::new(POLICY, &[("origin", &origin.address()), ("echoing", &echoing())]);
    let first = site.start();
    let load = load(&site);
    load.goes_on(20);
    let download = Download::begin(site.client("listen"));
    let secret = Download::begin(Client::tls(site.address("tls"), &Visitor::named("localhost")));
    let mut socket = WebSocket::open(site.client("listen"));
    assert!(socket.echoes("before"));

    let mut former = vec![first];
    let mut current = site.upgrade();
    assert!(socket.echoes("during") && download.goes_on());
    for _ in 0..2 {
        load.goes_on(20);
        let next = site.upgrade();
        assert_eq!(site.pid_file(current.pid()), next.pid());
        former.push(std::mem::replace(&mut current, next));
    }
    load.goes_on(20);
    assert!(socket.echoes("after") && download.goes_on() && secret.goes_on());
    assert!(download.came_whole() && secret.came_whole());
    for process in &mut former {
        assert!(process.has("a successor serves"));
        assert_eq!(process.ended().code(), Some(0));
    }
    assert!(socket.is_cut(), "the drain has an end");
    let cut: Vec<_> = former.iter().map(|process| process.says("stopped")["cut"].clone()).collect();
    assert_eq!(cut, [1, 0, 0], "the WebSocket, and nothing else");
    assert!(load.stop().values().all(|answers| *answers > 60));

    current.signal(Signal::TERM);
    assert_eq!(current.ended().code(), Some(0));
    assert!(!site.folder.path().join("run/edgeward.pid").exists());
}

#[test]
fn a_kept_connection_learns_with_its_next_answer_that_it_was_the_last() {
    let (origin, _gate) = origin();
    let site = Site::new(POLICY, &[("origin", &origin.address()), ("echoing", &echoing())]);
    let mut first = site.start();
    let mut idle = site.client("listen");
    assert_eq!(idle.get("/hello").header("connection"), Some("keep-alive"));
    let mut untouched = site.client("listen");
    // Until it is accepted, it would be the successor's.
    soon("two connections", || {
        site.metrics().sum("edgeward_connections", &[&site.address("listen").to_string()]) == 2.0
    });
    let _second = site.upgrade();
    first.says("draining");
    for client in [&mut idle, &mut untouched] {
        let answer = client.get("/proxied");
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
        assert!(client.is_closed());
    }
    assert_eq!(first.ended().code(), Some(0));
    assert_eq!(site.client("listen").get("/hello").header("connection"), Some("keep-alive"));
}

#[test]
fn the_answer_to_a_request_that_was_open_says_that_it_is_the_last() {
    let (origin, gate) = origin();
    let site = Site::new(POLICY, &[("origin", &origin.address()), ("echoing", &echoing())]);
    let mut first = site.start();
    let mut client = site.client("listen");
    client.send("GET /held HTTP/1.1\r\nHost: localhost\r\n\r\n");
    soon("the request at the origin", || origin.count() == 1);
    let _second = site.upgrade();
    first.says("draining");
    gate.open();
    let answer = client.response();
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("held", Some("close")));
    assert_eq!(first.ended().code(), Some(0));
}

/// Frames of HTTP/2, by hand: what a client library does not let one do.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    [&[0, 0, u8::try_from(payload.len()).unwrap(), kind, flags, 0, 0, 0, stream], payload].concat()
}

/// Reads frames up to one of this type, and gives it whole.
fn next_frame(client: &mut Client, kind: u8) -> Vec<u8> {
    loop {
        let head = client.take(9).unwrap();
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        let payload = client.take(length).unwrap();
        if head[3] == kind {
            return [head, payload].concat();
        }
    }
}

#[test]
fn a_stream_that_was_opened_before_its_client_heard_of_the_end_is_answered() {
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const GOAWAY: u8 = 7;
    let (origin, _gate) = origin();
    let site = Site::new(POLICY, &[("origin", &origin.address()), ("echoing", &echoing())]);
    let mut first = site.start();
    let mut client = site.client("h2c");
    // GET http://localhost/hello, by RFC 7541.
    let block = [&[0x82, 0x86, 0x04, 6][..], b"/hello", &[0x01, 9], b"localhost"].concat();
    client.send([&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, b"")].concat());
    client.send(frame(HEADERS, 5, 1, &block));
    assert_eq!(next_frame(&mut client, HEADERS)[8], 1);

    let _second = site.upgrade();
    assert_eq!(next_frame(&mut client, GOAWAY)[9..13], [0x7f, 0xff, 0xff, 0xff], "no last stream yet");
    let ping = next_frame(&mut client, PING);
    // The client had opened a stream, and answers the ping first: both are on their way together.
    client.send([frame(PING, 1, 0, &ping[9..]), frame(HEADERS, 5, 3, &block)].concat());
    assert_eq!(next_frame(&mut client, HEADERS)[8], 3);
    assert_eq!(next_frame(&mut client, GOAWAY)[9..13], [0, 0, 0, 3]);
    assert!(client.is_closed());
    assert_eq!(first.ended().code(), Some(0));
}

#[test]
fn sigusr2_starts_a_successor_from_what_has_the_programs_name_now() {
    let (origin, _gate) = origin();
    let site = Site::new(POLICY, &[("origin", &origin.address()), ("echoing", &echoing())]);
    let mut first = site.start();
    let load = load(&site);
    load.goes_on(10);

    site.replace_program("#!/bin/sh\nexit 3\n");
    first.signal(Signal::USR2);
    assert_eq!(first.says("the successor did not take over")["status"], "exit status: 3");
    site.replace_program("no program at all");
    first.signal(Signal::USR2);
    first.says("cannot start a successor");
    load.goes_on(10);
    assert_eq!(site.pid_file(0), first.pid());

    site.install();
    first.signal(Signal::USR2);
    let pid = site.pid_file(first.pid());
    site.adopt(pid);
    assert_eq!(first.ended().code(), Some(0));
    load.goes_on(10);
    load.stop();
    assert_eq!(first.says("a successor serves")["pid"], pid);
}

/// Runs a successor that must fail, and says how.
fn failed(site: &Site) -> (Option<i32>, String) {
    let mut successor = site.run(&["--upgrade"]);
    let code = successor.ended().code();
    (code, successor.text())
}

#[test]
fn a_successor_that_cannot_start_leaves_the_predecessor_serving() {
    let (origin, _gate) = origin();
    let site = Site::new(POLICY, &[("origin", &origin.address()), ("echoing", &echoing())]);
    let mut first = site.start();
    let load = load(&site);
    load.goes_on(10);

    site.rewrite(&POLICY.replace("respond:", "answer:"));
    let (code, said) = failed(&site);
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("answer"), "{said}");
    assert!(!first.has("asks to take over"), "a bad policy is found before anybody is asked");

    let held = std::net::TcpListener::bind(crate::process::free()).unwrap();
    let taken = held.local_addr().unwrap();
    let listen = format!("- {{ address: \"{taken}\" }}\n  - {{ address: \"{{listen}}\" }}");
    site.rewrite(&POLICY.replace("- { address: \"{listen}\" }", &listen));
    let (code, said) = failed(&site);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("cannot listen on {taken}: address in use")), "{said}");
    let reason = first.says("did not take over, this one goes on")["message"].to_string();
    assert!(reason.contains("address in use"), "{reason}");

    load.goes_on(10);
    load.stop();
    assert!(first.runs() && !first.has("draining"));
    assert_eq!(site.pid_file(0), first.pid());
    // It can still be succeeded.
    site.rewrite(POLICY);
    let _second = site.upgrade();
    assert_eq!(first.ended().code(), Some(0));
}

/// The first words of a successor, in the words of the protocol.
fn half_a_successor(site: &Site, words: &[&str]) {
    use std::io::{Read as _, Write as _};
    let socket = site.folder.path().join("run/upgrade.sock");
    let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
    for word in words {
        let length = u32::try_from(word.len()).unwrap().to_be_bytes();
        stream.write_all(&[&length, word.as_bytes()].concat()).unwrap();
    }
    if !words.is_empty() {
        // The offer has come, and with it the sockets, which die with this stream.
        assert_eq!(stream.read(&mut [0; 4]).unwrap(), 4);
    }
}

#[test]
fn a_successor_that_dies_amid_the_hand_over_leaves_the_predecessor_serving() {
    let (origin, _gate) = origin();
    let site = Site::new(POLICY, &[("origin", &origin.address()), ("echoing", &echoing())]);
    let mut first = site.start();
    let load = load(&site);
    load.goes_on(10);
    half_a_successor(&site, &[]);
    half_a_successor(&site, &[r#"{"hello":{"version":1,"pid":1}}"#]);
    soon("two failures", || first.logged("did not take over, this one goes on").len() == 1);
    load.goes_on(10);
    load.stop();
    assert!(first.runs() && !first.has("draining"));
    let mut second = site.upgrade();
    assert_eq!(first.ended().code(), Some(0));
    assert!(second.runs());
}

#[test]
fn a_reload_during_a_hand_over_reaches_the_one_who_serves() {
    use std::os::unix::net::UnixStream;
    let (origin, _gate) = origin();
    let site = Site::new(POLICY, &[("origin", &origin.address()), ("echoing", &echoing())]);
    let first = site.start();
    // While somebody is on its way, the set of sockets must stay what was offered.
    let mut stream = UnixStream::connect(site.folder.path().join("run/upgrade.sock")).unwrap();
    let hello = br#"{"hello":{"version":1,"pid":1}}"#;
    std::io::Write::write_all(&mut stream, &[&[0, 0, 0, 31], &hello[..]].concat()).unwrap();
    std::io::Read::read_exact(&mut stream, &mut [0; 4]).unwrap();
    site.rewrite(&POLICY.replace("body: hello", "body: changed"));
    first.signal(Signal::HUP);
    let again = site.client("listen");
    drop(again);
    assert!(!first.has("policy reloaded"));
    assert_eq!(site.client("listen").get("/hello").text(), "hello");
    drop(stream);
    first.says("policy reloaded");
    assert_eq!(site.client("listen").get("/hello").text(), "changed");
}

#[test]
fn a_draining_process_has_no_part_in_what_its_successor_listens_to() {
    let (origin, _gate) = origin();
    let site = Site::new(POLICY, &[("origin", &origin.address()), ("echoing", &echoing())]);
    let first = site.start();
    let mut socket = WebSocket::open(site.client("listen"));
    let second = site.upgrade();
    first.says("draining");
    // The successor gives an address up: nobody else may keep it open.
    let without = POLICY.replace("  - { address: \"{h2c}\", h2c: true }\n", "");
    site.rewrite(&without);
    second.signal(Signal::HUP);
    second.says("policy reloaded");
    assert!(std::net::TcpStream::connect(site.address("h2c")).is_err());
    assert!(socket.echoes("still here"));
}

#[test]
fn without_a_predecessor_there_is_no_upgrade() {
    let site = Site::new(POLICY, &[("origin", &"127.0.0.1:9"), ("echoing", &"127.0.0.1:9")]);
    let (code, said) = failed(&site);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("no running edgeward at") && said.contains("start it without `--upgrade`"),
        "{said}"
    );
}

#[test]
fn a_plain_start_beside_a_live_process_is_refused() {
    let site = Site::new(POLICY, &[("origin", &"127.0.0.1:9"), ("echoing", &"127.0.0.1:9")]);
    let mut first = site.start();
    let mut second = site.run(&[]);
    assert_eq!(second.ended().code(), Some(1));
    let expected = format!("another edgeward (pid {}) runs with", first.pid());
    assert!(second.text().contains(&expected), "{}", second.text());
    assert!(first.runs());
    assert_eq!(site.client("listen").get("/hello").status, 200);
}

#[test]
fn a_start_that_fails_leaves_the_runtime_directory_free() {
    let held = std::net::TcpListener::bind(crate::process::free()).unwrap();
    let taken = held.local_addr().unwrap();
    let policy = POLICY.replace("{listen}", &taken.to_string());
    let site = Site::new(&policy, &[("origin", &"127.0.0.1:9"), ("echoing", &"127.0.0.1:9")]);
    let mut first = site.run(&[]);
    assert_eq!(first.ended().code(), Some(1));
    let said = first.text();
    assert!(said.contains(&format!("error: cannot listen on {taken}: address in use by ")), "{said}");
    assert_eq!(std::fs::read_dir(site.folder.path().join("run")).unwrap().count(), 0);
    drop(held);
    let _second: Process = site.start();
}
