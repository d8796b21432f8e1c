//! What each signal does, and what does not end a process.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::soon;
use crate::load::{Kind, Load};
use crate::long::{Download, WebSocket, echoing, origin};
use crate::process::{Process, Site};

const POLICY: &str = r#"
server: { runtime_directory: {dir}/run, drain: 10s, workers: 2 }
access_log: { to: access.log }
log: { file: edgeward.log }
admin: { address: "unix:{dir}/admin.sock" }
listeners:
  - { address: "{listen}" }
  - { address: "{h2c}", h2c: true }
  - { address: "unix:{dir}/edge.sock" }
upstreams:
  origin: { backends: ["{origin}"] }
  echo: { backends: ["{echoing}"] }
routes:
  - { name: hello, match: { path: /hello }, respond: { body: hello } }
  - { name: ws, match: { path: /ws }, upstream: echo }
  - { name: rest, match: { path: /** }, upstream: origin }
"#;

fn site(policy: &str, origin: &crate::harness::Origin) -> Site {
    Site::new(policy, &[("origin", &origin.address()), ("echoing", &echoing())])
}

fn logging_to_stderr() -> String {
    POLICY.replace("log: { file: edgeward.log }\n", "")
}

#[test]
fn sigterm_lets_open_requests_end_and_closes_idle_connections_at_once() {
    let (origin, gate) = origin();
    let site = site(&logging_to_stderr(), &origin);
    let mut process = site.start();
    let mut idle = site.client("listen");
    assert_eq!(idle.get("/hello").status, 200);
    let mut silent = site.client("h2c");
    let mut open = site.client("listen");
    open.send("GET /held HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let download = Download::begin(site.client("listen"));
    soon("the request at the origin", || origin.count() == 2);

    process.signal(Signal::TERM);
    assert!(idle.is_closed() && silent.is_closed());
    assert!(std::net::TcpStream::connect(site.address("listen")).is_err());
    assert!(process.runs() && download.goes_on());
    // Operators see what is going on.
    let socket = site.folder.path().join("admin.sock");
    let ready = crate::harness::Client::unix(&socket).get("/readyz");
    assert_eq!((ready.status, ready.json()["status"].as_str()), (503, Some("draining")));
    gate.open();
    let answer = open.response();
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("held", Some("close")));
    assert!(download.came_whole());
    assert_eq!(process.ended().code(), Some(0));
    assert_eq!(process.says("stopped")["cut"], 0);
    let left: Vec<_> = ["admin.sock", "edge.sock", "run/edgeward.pid", "run/upgrade.sock"]
        .into_iter()
        .filter(|name| site.folder.path().join(name).exists())
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let logged = site.folder.read("access.log");
    assert!(["/hello", "/held", "/slow"].iter().all(|path| logged.contains(path)), "{logged}");
}

#[test]
fn what_does_not_end_is_cut_when_the_drain_ends_or_at_the_second_sigterm() {
    let (origin, _gate) = origin();
    for (drain, twice) in [("drain: 1s", false), ("drain: 10m", true)] {
        let site = site(&logging_to_stderr().replace("drain: 10s", drain), &origin);
        let mut process = site.start();
        let mut socket = WebSocket::open(site.client("listen"));
        process.signal(Signal::TERM);
        process.says("draining");
        if twice {
            assert!(socket.echoes("left alone"));
            process.signal(Signal::TERM);
        }
        assert!(socket.is_cut());
        assert_eq!(process.ended().code(), Some(0));
        assert_eq!(process.says("stopped")["cut"], 1);
    }
}

#[test]
fn the_drain_is_that_of_the_policy_in_force() {
    let (origin, _gate) = origin();
    let policy = logging_to_stderr().replace("drain: 10s", "drain: 10m");
    let site = site(&policy, &origin);
    let mut process = site.start();
    let mut socket = WebSocket::open(site.client("listen"));
    site.rewrite(&policy.replace("drain: 10m", "drain: 100ms"));
    process.signal(Signal::HUP);
    process.says("policy reloaded");
    process.signal(Signal::TERM);
    assert_eq!(process.ended().code(), Some(0));
    assert!(socket.is_cut());
}

#[test]
fn sigquit_without_a_successor_is_no_outage() {
    let (origin, _gate) = origin();
    let site = site(&logging_to_stderr(), &origin);
    let mut process = site.start();
    let load =
        Load::start(&[(Kind::Fresh, site.address("listen")), (Kind::H2c, site.address("h2c"))], &["/hello"]);
    process.signal(Signal::QUIT);
    process.says("SIGQUIT without a successor would be an outage");
    load.goes_on(20);
    load.stop();
    assert!(process.runs());
}

#[test]
fn a_process_that_has_handed_over_heeds_sigterm_only_when_nobody_serves() {
    let (origin, _gate) = origin();
    let site = site(&logging_to_stderr().replace("drain: 10s", "drain: 10m"), &origin);
    let mut first = site.start();
    let mut idle = site.client("listen");
    assert_eq!(idle.get("/hello").status, 200);
    let mut socket = WebSocket::open(site.client("listen"));
    let mut second = site.upgrade();
    first.says("draining");
    for (signal, name) in [(Signal::HUP, "SIGHUP"), (Signal::USR2, "SIGUSR2"), (Signal::QUIT, "SIGQUIT")] {
        first.signal(signal);
        first.says(&format!("{name} is ignored by a process that drains"));
    }
    // The service manager's to the whole service, once when it begins and once more when the main process has ended.
    first.signal(Signal::TERM);
    assert!(idle.is_closed());
    first.says("the others go on");
    second.signal(Signal::TERM);
    assert_eq!(second.ended().code(), Some(0));
    first.signal(Signal::TERM);
    let since = std::time::Instant::now();
    soon("a while in which nothing happens", || {
        assert!(socket.echoes("still here"));
        since.elapsed() > std::time::Duration::from_millis(300)
    });
    first.signal(Signal::INT);
    assert_eq!(first.ended().code(), Some(0));
    assert!(socket.is_cut());
}

#[test]
fn a_process_that_has_handed_over_makes_way_when_its_successor_died() {
    let (origin, _gate) = origin();
    let site = site(&logging_to_stderr().replace("drain: 10s", "drain: 10m"), &origin);
    let mut first = site.start();
    let mut socket = WebSocket::open(site.client("listen"));
    let mut second = site.upgrade();
    first.says("draining");
    second.signal(Signal::KILL);
    assert_eq!(second.ended().code(), None);
    assert!(socket.echoes("nothing was told yet"));
    first.signal(Signal::TERM);
    assert_eq!(first.ended().code(), Some(0));
    first.says("the successor is gone: stopping at once");
    let _third = site.start();
}

/// The paths in an access log, in order.
fn paths(text: &str) -> Vec<String> {
    let lines =
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{line}")));
    lines.map(|line| line["path"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn sigusr1_opens_log_files_anew_and_loses_no_line() {
    let (origin, _gate) = origin();
    let site = site(POLICY, &origin);
    let policy = site.folder.read("policy.yaml");
    let mut process = site.run(&[]);
    soon("the log file", || site.folder.read("edgeward.log").contains("\"serving\""));
    let rotate = |name: &str, number: u32| {
        let path = site.folder.path();
        std::fs::rename(path.join(name), path.join(format!("{name}.{number}"))).unwrap();
    };
    let mut client = site.client("listen");
    let mut asked = 0;
    let mut ask = |count: u32| {
        for _ in 0..count {
            // A path of its own, so that a line can be missing or be there twice.
            assert_eq!(client.get(&format!("/n/{asked}")).status, 200);
            asked += 1;
        }
    };
    ask(50);
    for number in 1..=3 {
        soon("lines in the old file", || !site.folder.read("access.log").is_empty());
        rotate("access.log", number);
        rotate("edgeward.log", number);
        ask(50);
        process.signal(Signal::USR1);
        soon("new files", || {
            ["access.log", "edgeward.log"].iter().all(|name| site.folder.path().join(name).exists())
        });
        ask(50);
    }
    // The new operational log is written to.
    std::fs::write(site.folder.path().join("policy.yaml"), "nonsense").unwrap();
    process.signal(Signal::HUP);
    soon("the new log", || site.folder.read("edgeward.log").contains("policy not reloaded"));
    std::fs::write(site.folder.path().join("policy.yaml"), policy).unwrap();
    process.signal(Signal::TERM);
    assert_eq!(process.ended().code(), Some(0));
    let files =
        ["access.log.1", "access.log.2", "access.log.3", "access.log"].map(|name| site.folder.read(name));
    assert!(files.iter().all(|text| !text.is_empty()));
    let mut lines = paths(&files.concat());
    lines.sort_by_key(|path| path[3..].parse::<u32>().unwrap());
    let expected: Vec<_> = (0..350).map(|number| format!("/n/{number}")).collect();
    assert_eq!(lines, expected);
    assert!(site.folder.read("edgeward.log").contains("\"stopped\""), "the last lines are written too");
}

#[test]
fn a_draining_process_opens_its_log_anew_too() {
    let (origin, _gate) = origin();
    let site = site(&logging_to_stderr(), &origin);
    let first = site.start();
    let _socket = WebSocket::open(site.client("listen"));
    let mut idle = site.client("listen");
    assert_eq!(idle.get("/before").status, 200);
    let _second = site.upgrade();
    first.says("draining");
    soon("the line before", || site.folder.read("access.log").contains("/before"));
    let path = site.folder.path();
    std::fs::rename(path.join("access.log"), path.join("access.log.1")).unwrap();
    first.signal(Signal::USR1);
    soon("a new file", || path.join("access.log").exists());
    assert_eq!(idle.get("/after").status, 200);
    soon("the line after", || site.folder.read("access.log").contains("/after"));
    assert!(!site.folder.read("access.log.1").contains("/after"));
}

fn refused(policy: &str, values: &[(&str, &dyn ToString)]) -> (Option<i32>, String) {
    let site = Site::new(policy, values);
    let mut process: Process = site.run(&[]);
    let code = process.ended().code();
    (code, process.text())
}

#[test]
fn a_bad_policy_is_told_with_all_its_errors_and_exit_64() {
    let bad = r#"
log: { level: loud }
listeners: [{ address: "{listen}", tsl: {} }]
routes:
  - { name: a, match: { path: /a }, respond: { stauts: 200 } }
  - { name: b, match: { path: /b }, upstream: nowhere }
"#;
    let (code, said) = refused(bad, &[]);
    assert_eq!(code, Some(64), "{said}");
    for expected in ["log.level", "tsl", "stauts", "nowhere"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn a_log_that_cannot_be_written_is_told_with_the_reason() {
    let policy = "listeners: [{ address: '{listen}' }]\naccess_log: { to: /nowhere/at/all.log }\nroutes: [{ name: a, respond: {} }]\n";
    let (code, told) = refused(policy, &[]);
    assert_eq!(code, Some(64), "{told}");
    assert!(told.contains("access_log.to: cannot open log file /nowhere/at/all.log: No such file"), "{told}");
}

#[test]
fn a_missing_policy_is_told_in_plain_words() {
    let site = Site::new("", &[]);
    std::fs::remove_file(site.folder.path().join("policy.yaml")).unwrap();
    let mut process = site.run(&[]);
    assert_eq!(process.ended().code(), Some(64));
    assert!(
        process.text().contains("policy.yaml") && process.text().contains("No such file"),
        "{}",
        process.text()
    );
}

#[test]
fn a_runtime_directory_that_others_may_write_to_is_refused() {
    let site = Site::new("listeners: [{ address: \"{listen}\" }]\nroutes: [{ name: a, respond: {} }]\n", &[]);
    let run = site.folder.path().join("run");
    std::fs::create_dir(&run).unwrap();
    std::fs::set_permissions(&run, Permissions::from_mode(0o777)).unwrap();
    let mut process = site.run(&[]);
    assert_eq!(process.ended().code(), Some(1));
    assert!(process.text().contains("use 0700"), "{}", process.text());
}

#[test]
fn a_start_tells_what_is_served_and_where() {
    let policy = r#"
listeners: [{ address: "{listen}" }]
routes: [{ name: hello, match: { path: / }, respond: { body: hello } }]
"#;
    let site = Site::new(policy, &[]);
    let told = site.start().logged("serving").remove(0);
    assert_eq!(told["addresses"], site.address("listen").to_string());
    assert!(told["policy"].as_str().unwrap().ends_with("policy.yaml"));
}
