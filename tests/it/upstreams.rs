//! Choosing a backend: who gets how much, who is left out, and what becomes of a request when its backend fails.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::harness::{Client, Edge, H2Origin, H2Reply, Nginx, Origin, Reply, Response, eventually, soon};

/// Backends that answer with their own numbers.
fn backends(count: usize) -> Vec<Origin> {
    (0..count).map(|at| Origin::start(move |_| Reply::text(&at.to_string()))).collect()
}

fn listed(origins: &[Origin]) -> String {
    let all: Vec<_> = origins.iter().map(|origin| format!("'{}'", origin.address())).collect();
    all.join(", ")
}

/// An edge with one worker, so that whoever decides by turns decides for all.
fn before(backends: &str, more: &str) -> Edge {
    Edge::policy(&format!(
        "server: {{ drain: 200ms, workers: 1, trusted_proxies: [127.0.0.0/8] }}
admin: {{ address: '{{admin}}' }}
listeners: [{{ address: '{{listen}}' }}]
upstreams: {{ app: {{ backends: [{backends}] {more} }} }}
routes: [{{ name: app, match: {{ path: /** }}, upstream: app }}]
"
    ))
    .start()
}

/// How often each backend answers `count` requests.
fn shares(edge: &Edge, backends: usize, count: usize) -> Vec<usize> {
    let mut client = edge.client("listen");
    let mut shares = vec![0; backends];
    for _ in 0..count {
        let answer = client.get("/");
        assert_eq!(answer.status, 200, "{}", answer.text());
        shares[answer.text().parse::<usize>().unwrap()] += 1;
    }
    shares
}

fn error_of(answer: &Response) -> (u16, String, String) {
    let told = answer.header("proxy-status").unwrap_or_default().to_owned();
    (answer.status, answer.reason(), told)
}

/// What is answered for an upstream's failure, in `Proxy-Status` too.
fn failure(status: u16, reason: &str) -> (u16, String, String) {
    (status, reason.to_owned(), format!("edgeward; error={reason}"))
}

#[test]
fn round_robin_takes_turns_by_weight() {
    let origins = backends(3);
    assert_eq!(shares(&before(&listed(&origins), ""), 3, 12), [4, 4, 4], "the default");
    assert_eq!(shares(&before(&listed(&origins), ", balance: round_robin"), 3, 12), [4, 4, 4]);
    let (heavy, light) = (origins[0].address(), origins[1].address());
    let edge = before(&format!("{{ address: '{heavy}', weight: 3 }}, '{light}'"), "");
    assert_eq!(shares(&edge, 2, 12), [9, 3]);
}

#[test]
fn random_reaches_all_by_weight() {
    let origins = backends(2);
    let (heavy, light) = (origins[0].address(), origins[1].address());
    let edge = before(&format!("{{ address: '{heavy}', weight: 4 }}, '{light}'"), ", balance: random");
    let shares = shares(&edge, 2, 400);
    // 320 and 80 are expected; a deviation of 40 is five times the standard one.
    assert!((280..=360).contains(&shares[0]), "{shares:?}");
}

#[test]
fn least_connections_avoids_the_busy_backend() {
    let origins: Vec<_> = (0..2)
        .map(|at| {
            Origin::start(move |seen| match seen.target() {
                "/slow" => Reply::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n")
                    .then(format!("{at}\r\n"))
                    .hold(),
                _ => Reply::text(&at.to_string()),
            })
        })
        .collect();
    let edge = before(&listed(&origins), ", balance: least_connections");
    let mut slow = edge.client("listen");
    slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    slow.take_to(b"\r\n\r\n1\r\n").unwrap();
    let busy: usize = String::from_utf8(slow.take(1).unwrap()).unwrap().parse().unwrap();
    let shares = shares(&edge, 2, 20);
    assert_eq!((shares[busy], shares[1 - busy]), (0, 20));
}

#[test]
fn p2c_ewma_prefers_the_faster_backend() {
    let slow = Origin::start(|_| Reply::text("0").after(Duration::from_millis(60)));
    let fast = Origin::start(|_| Reply::text("1"));
    let edge = before(&format!("'{}', '{}'", slow.address(), fast.address()), ", balance: p2c_ewma");
    let shares = shares(&edge, 2, 60);
    assert!(shares[1] >= 50, "{shares:?}");
}

#[test]
fn consistent_hash_keeps_a_key_at_its_backend() {
    for (key, header, form) in [
        ("{ header: x-tenant }", "X-Tenant", "KEY"),
        ("{ cookie: session }", "Cookie", "a=b; session=KEY; session2=x"),
        ("ip", "X-Forwarded-For", "192.0.2.KEY"),
    ] {
        let origins = backends(3);
        let edge = before(&listed(&origins), &format!(", balance: {{ consistent_hash: {key} }}"));
        let ask = |value: usize| {
            let value = form.replace("KEY", &value.to_string());
            edge.client("listen").request("GET", "/", &[(header, &value)], b"").text()
        };
        let first: Vec<_> = (0..40).map(ask).collect();
        let again: Vec<_> = (0..40).map(ask).collect();
        assert_eq!(first, again, "{key}");
        assert_eq!(first.iter().collect::<HashSet<_>>().len(), 3, "{key}: {first:?}");
    }
}

#[test]
fn consistent_hash_can_follow_the_user_a_filter_let_in() {
    let origins = backends(3);
    let edge = Edge::policy(&format!(
        "listeners: [{{ address: '{{listen}}' }}]
upstreams: {{ app: {{ backends: [{}], balance: {{ consistent_hash: {{ filter: basic_auth }} }} }} }}
routes: [{{ name: app, match: {{ path: /** }}, upstream: app, filters: [{{ basic_auth: {{ users_file: users }} }}] }}]
",
        listed(&origins)
    ))
    .file("users", (0..12).map(|at| format!("user{at}:{WONDERLAND}\n")).collect::<String>())
    .start();
    let ask = |user: usize| {
        let credentials = boring::base64::encode_block(format!("user{user}:wonderland").as_bytes());
        let headers = [("Authorization", &*format!("Basic {credentials}"))];
        edge.client("listen").request("GET", "/", &headers, b"").text()
    };
    let first: Vec<_> = (0..12).map(ask).collect();
    assert_eq!(first, (0..12).map(ask).collect::<Vec<_>>());
    assert!(first.iter().collect::<HashSet<_>>().len() > 1, "{first:?}");
}

/// bcrypt of `wonderland`.
const WONDERLAND: &str = "$2y$05$ttWXLy8gW7v43jFpvsxPMeomR6hpAvTkiwULa0xcDFqDsaeZAKnfK";

#[test]
fn a_hash_moves_on_when_its_backend_is_gone_and_comes_back_with_it() {
    let origins = backends(3);
    let check = ", health_check: { tcp: {}, interval: 100ms, fall: 1, rise: 1 }";
    let edge = before(
        &listed(&origins),
        &format!(", balance: {{ consistent_hash: {{ header: x-tenant }} }}{check}"),
    );
    let ask = || edge.client("listen").request("GET", "/", &[("x-tenant", "a")], b"").text();
    let home: usize = ask().parse().unwrap();
    origins[home].kill();
    let address = origins[home].address();
    edge.wait_for_metric(&up(address), 0.0);
    let away = ask();
    assert_ne!(away, home.to_string());
    assert_eq!(ask(), away);
    let _back = Origin::start_at(address, move |_| Reply::text(&home.to_string()));
    edge.wait_for_metric(&up(address), 1.0);
    assert_eq!(ask(), home.to_string());
}

fn up(backend: SocketAddr) -> String {
    format!("edgeward_upstream_backend_up{{backend=\"{backend}\",upstream=\"app\"}}")
}

/// A backend whose `/healthz` answers what `healthy` says, and everything else with its number.
fn checked(number: &'static str, healthy: &Arc<AtomicBool>) -> Origin {
    let healthy = healthy.clone();
    Origin::start(move |seen| match (seen.target(), healthy.load(Ordering::Acquire)) {
        ("/healthz", true) => Reply::text("fine"),
        ("/healthz", false) => Reply::status(500, &[], "ill"),
        _ => Reply::text(number),
    })
}

#[test]
fn a_failing_health_check_takes_a_backend_out_until_it_passes_again() {
    let (well, ill) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
    let (zero, one) = (checked("0", &well), checked("1", &ill));
    let check = ", health_check: { http: { path: /healthz }, interval: 100ms, fall: 2, rise: 2 }";
    let edge = before(&format!("'{}', '{}'", zero.address(), one.address()), check);
    edge.wait_for_metric(&up(one.address()), 1.0);
    assert_eq!(shares(&edge, 2, 4), [2, 2]);
    ill.store(false, Ordering::Release);
    edge.wait_for_metric(&up(one.address()), 0.0);
    assert_eq!(shares(&edge, 2, 4), [4, 0]);
    well.store(false, Ordering::Release);
    edge.wait_for_metric(&up(zero.address()), 0.0);
    let answer = edge.client("listen").get("/");
    assert_eq!(error_of(&answer), failure(503, "no_healthy_backend"));
    ill.store(true, Ordering::Release);
    edge.wait_for_metric(&up(one.address()), 1.0);
    assert_eq!(shares(&edge, 2, 4), [0, 4]);
    assert!(edge.metrics().sum("edgeward_health_checks_total", &["outcome=\"failed\""]) >= 2.0);
}

/// Whether a backend that answers `reply` to checks is found healthy.
fn healthy(check: &str, reply: fn() -> Reply) -> bool {
    let origin = Origin::start(move |_| reply());
    let edge = before(
        &format!("'{}'", origin.address()),
        &format!(", health_check: {{ {check}, interval: 100ms, fall: 1 }}"),
    );
    soon("a check", || edge.metrics().sum("edgeward_health_checks_total", &[]) >= 1.0);
    edge.metrics().value(&up(origin.address())) == Some(1.0)
}

#[test]
fn each_part_of_a_health_check_counts() {
    let answer = || Reply::status(204, &[("x-state", "ready")], "");
    assert!(healthy("http: { path: /h }", answer));
    assert!(healthy("http: { path: /h, status: [204] }", answer));
    assert!(!healthy("http: { path: /h, status: [200] }", answer));
    assert!(healthy("http: { path: /h, headers: { x-state: ready } }", answer));
    assert!(!healthy("http: { path: /h, headers: { x-state: starting } }", answer));
    let text = || Reply::text("all is well");
    assert!(healthy("http: { path: /h, body: 'is w.ll' }", text));
    assert!(!healthy("http: { path: /h, body: '^well' }", text));
    let slow = || Reply::text("late").after(Duration::from_millis(600));
    assert!(!healthy("http: { path: /h }, timeout: 200ms", slow));
}

#[test]
fn a_health_check_asks_what_the_policy_says_where_it_says() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let elsewhere = Origin::start(|_| Reply::text("ok"));
    let check = format!(
        ", health_check: {{ http: {{ path: '/h?deep=1', host: health.internal, method: HEAD }}, interval: 100ms, port: {} }}",
        elsewhere.address().port()
    );
    let _edge = before(&format!("'{}'", origin.address()), &check);
    let seen = eventually("a check", || elsewhere.requests().pop());
    assert_eq!((seen.line(), seen.header("host")), ("HEAD /h?deep=1 HTTP/1.1", Some("health.internal")));
    let began = elsewhere.count();
    let start = Instant::now();
    soon("ten more checks", || elsewhere.count() >= began + 10);
    assert!(start.elapsed() > Duration::from_millis(500), "faster than the interval: {:?}", start.elapsed());
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_tcp_check_needs_nothing_but_a_connection() {
    let origin = Origin::start(|_| Reply::nothing().close());
    let edge =
        before(&format!("'{}'", origin.address()), ", health_check: { tcp: {}, interval: 100ms, fall: 1 }");
    edge.wait_for_metric(&up(origin.address()), 1.0);
    origin.kill();
    edge.wait_for_metric(&up(origin.address()), 0.0);
}

#[test]
fn a_grpc_check_asks_the_health_service() {
    let serving = Arc::new(AtomicUsize::new(1));
    let state = serving.clone();
    let origin = H2Origin::cleartext(move |_| {
        H2Reply::grpc(&[8, u8::try_from(state.load(Ordering::Acquire)).unwrap()], 0)
    });
    let check =
        ", protocol: grpc, health_check: { grpc: { service: orders.v1 }, interval: 100ms, fall: 1, rise: 1 }";
    let edge = before(&format!("'{}'", origin.address()), check);
    edge.wait_for_metric(&up(origin.address()), 1.0);
    let seen = eventually("a check", || origin.requests().pop());
    assert_eq!(seen.head.uri.path(), "/grpc.health.v1.Health/Check");
    assert_eq!(&seen.body[5..], b"\x0a\x09orders.v1");
    serving.store(2, Ordering::Release);
    edge.wait_for_metric(&up(origin.address()), 0.0);
}

#[test]
fn an_idempotent_request_is_tried_elsewhere() {
    let broken = Origin::start(|_| Reply::nothing().close());
    let good = Origin::start(|seen| Reply::status(200, &[], &seen.body));
    let edge = before(&format!("'{}', '{}'", broken.address(), good.address()), ", eject: off");
    let mut client = edge.client("listen");
    for _ in 0..4 {
        assert_eq!(client.get("/").status, 200);
        assert_eq!(client.request("PUT", "/", &[], b"again").text(), "again");
    }
    assert!(broken.count() >= 3, "{}", broken.count());
    assert!(edge.metrics().sum("edgeward_upstream_retries_total", &["outcome=\"tried\""]) >= 3.0);
}

#[test]
fn a_post_is_never_sent_twice() {
    let broken = Origin::start(|_| Reply::nothing().close());
    let good = Origin::start(|_| Reply::text("ok"));
    let edge = before(&format!("'{}', '{}'", broken.address(), good.address()), ", eject: off");
    let answers: Vec<_> = (0..6).map(|_| edge.client("listen").request("POST", "/", &[], b"pay")).collect();
    let failed = answers.iter().filter(|answer| answer.status == 502).count();
    assert_eq!((failed, broken.count(), good.count()), (3, 3, 3));
    let told = answers.iter().find(|answer| answer.status == 502).map(error_of);
    assert_eq!(told, Some(failure(502, "connection_terminated")));
}

#[test]
fn a_post_goes_elsewhere_where_nothing_of_it_was_sent() {
    let good = Origin::start(|_| Reply::text("ok"));
    let edge = before(&format!("'{}', '{}'", nobody(), good.address()), ", eject: off");
    for _ in 0..6 {
        assert_eq!(edge.client("listen").request("POST", "/", &[], b"pay").status, 200);
    }
    assert_eq!(good.count(), 6);
}

/// An address at which nobody listens.
fn nobody() -> SocketAddr {
    // Bound and thus nobody else's, but not listening: connections are refused. Left open until the process ends.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    std::mem::forget(socket);
    address
}

#[test]
fn retries_are_as_many_as_the_policy_says() {
    let broken: Vec<_> = (0..3).map(|_| Origin::start(|_| Reply::nothing().close())).collect();
    let tries = |retries: &str| {
        let before_count: usize = broken.iter().map(Origin::count).sum();
        let edge = before(&listed(&broken), &format!(", eject: off, retries: {retries}"));
        assert_eq!(edge.client("listen").get("/").status, 502);
        let exhausted =
            edge.metrics().sum("edgeward_upstream_retries_total", &["outcome=\"budget_exhausted\""]);
        (broken.iter().map(Origin::count).sum::<usize>() - before_count, exhausted)
    };
    assert_eq!(tries("{}").0, 3, "two beside the first by default");
    assert_eq!(tries("{ attempts: 0 }").0, 1);
    assert_eq!(tries("{ attempts: 1 }").0, 2);
    assert_eq!(tries("{ attempts: 2, budget: { percent: 0, min_per_second: 1 } }").0, 3);
    assert_eq!(tries("{ attempts: 2, budget: { percent: 100, min_per_second: 0 } }"), (2, 1.0));
}

#[test]
fn failures_are_told_apart() {
    let refused = before(&format!("'{}'", nobody()), "");
    assert_eq!(error_of(&refused.client("listen").get("/")), failure(502, "connection_refused"));
    let garbage = Origin::start(|_| Reply::raw("SSH-2.0-OpenSSH_9.2\r\n\r\n").close());
    let edge = before(&format!("'{}'", garbage.address()), ", retries: { attempts: 0 }");
    assert_eq!(error_of(&edge.client("listen").get("/")), failure(502, "http_protocol_error"));
    let closes = Origin::start(|_| Reply::nothing().close());
    let edge = before(&format!("'{}'", closes.address()), ", retries: { attempts: 0 }");
    assert_eq!(error_of(&edge.client("listen").get("/")), failure(502, "connection_terminated"));
    let silent = Origin::start(|_| Reply::nothing().hold());
    let edge =
        before(&format!("'{}'", silent.address()), ", timeouts: { read: 200ms }, retries: { attempts: 0 }");
    assert_eq!(error_of(&edge.client("listen").get("/")), failure(504, "http_response_timeout"));
    let own = Origin::start(|_| Reply::status(503, &[("x-test-own", "1")], "mine"));
    let edge = before(&format!("'{}'", own.address()), "");
    let answer = edge.client("listen").get("/");
    assert_eq!((answer.status, answer.text(), answer.header("proxy-status")), (503, "mine".to_owned(), None));
}

#[test]
fn a_connection_is_not_waited_for_longer_than_the_policy_says() {
    // A listener that does not accept, with its queue full: the kernel drops what asks for more.
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let queue: Vec<_> = (0..4)
        .map_while(|_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok())
        .collect();
    assert!(queue.len() < 4, "the queue takes all");
    let edge = before(&format!("'{address}'"), ", timeouts: { connect: 200ms }, retries: { attempts: 0 }");
    let start = Instant::now();
    assert_eq!(error_of(&edge.client("listen").get("/")), failure(504, "connection_timeout"));
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[test]
fn a_backend_that_takes_nothing_is_given_up() {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // Or the kernel would take all of it.
    listener.set_recv_buffer_size(4096).unwrap();
    listener.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    listener.listen(8).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let held = std::thread::spawn(move || listener.accept().unwrap());
    let edge = before(
        &format!("'{address}'"),
        ", timeouts: { write: 300ms, read: 500ms }, retries: { attempts: 0 }",
    );
    let mut client = edge.client("listen");
    let mut sender = client.socket().try_clone().unwrap();
    let sending = std::thread::spawn(move || {
        let _head = sender.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 16000000\r\n\r\n");
        // Stops when the connection is closed.
        let _body = sender.write_all(&vec![b'x'; 16_000_000]);
    });
    let answer = client.response();
    assert_eq!(error_of(&answer), failure(504, "connection_write_timeout"));
    drop(client);
    sending.join().unwrap();
    drop(held.join().unwrap());
}

#[test]
fn a_route_may_wait_longer_or_shorter_than_the_upstream() {
    let origin = Origin::start(|_| Reply::text("late").after(Duration::from_millis(500)));
    let edge = Edge::policy(&format!(
        "listeners: [{{ address: '{{listen}}' }}]
upstreams:
  patient: {{ backends: ['{0}'], retries: {{ attempts: 0 }} }}
  hasty: {{ backends: ['{0}'], retries: {{ attempts: 0 }}, timeouts: {{ read: 100ms }} }}
routes:
  - {{ name: a, match: {{ path: /patient }}, upstream: patient }}
  - {{ name: b, match: {{ path: /patient/short }}, upstream: patient, timeout: 100ms }}
  - {{ name: c, match: {{ path: /hasty }}, upstream: hasty }}
  - {{ name: d, match: {{ path: /hasty/long }}, upstream: hasty, timeout: 5s }}
",
        origin.address()
    ))
    .start();
    let status = |path: &str| edge.client("listen").get(path).status;
    assert_eq!((status("/patient"), status("/patient/short")), (200, 504));
    assert_eq!((status("/hasty"), status("/hasty/long")), (504, 200));
}

#[test]
fn an_idle_connection_is_kept_no_longer_than_the_policy_says() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let connections = |timeouts: &str| {
        let before_count = origin.connections();
        let edge = before(&format!("'{}'", origin.address()), timeouts);
        assert_eq!(edge.client("listen").get("/").status, 200);
        let start = Instant::now();
        soon("the idle time to pass", || start.elapsed() > Duration::from_millis(700));
        assert_eq!(edge.client("listen").get("/").status, 200);
        origin.connections() - before_count
    };
    assert_eq!(connections(", timeouts: { idle: 200ms }"), 2);
    assert_eq!(connections(", timeouts: { idle: 20s }"), 1);
}

#[test]
fn a_backend_that_keeps_failing_is_left_out() {
    let bad = Origin::start(|_| Reply::status(503, &[], "no"));
    let good = Origin::start(|_| Reply::text("ok"));
    let all = format!("'{}', '{}'", bad.address(), good.address());
    let edge = before(&all, ", eject: { failures: 2, for: 1h }");
    for _ in 0..20 {
        edge.client("listen").get("/");
    }
    assert_eq!((bad.count(), good.count()), (2, 18));
    assert_eq!(edge.metrics().sum("edgeward_upstream_ejections_total", &[]), 1.0);
    assert_eq!(edge.metrics().value(&up(bad.address())), Some(0.0));
    let edge = before(&all, ", eject: off");
    for _ in 0..20 {
        edge.client("listen").get("/");
    }
    assert_eq!((bad.count(), good.count()), (12, 28));
    let edge = before(&all, ", eject: { failures: 1, for: 1h, max_percent: 1 }");
    for _ in 0..4 {
        edge.client("listen").get("/");
    }
    assert_eq!(bad.count(), 14, "one percent of two is none");
    let edge = before(&all, ", eject: { failures: 1, for: 300ms }");
    for _ in 0..4 {
        edge.client("listen").get("/");
    }
    assert_eq!(bad.count(), 15);
    soon("another chance", || {
        edge.client("listen").get("/");
        bad.count() >= 16
    });
}

#[test]
fn a_name_stands_for_its_addresses() {
    let origin = Origin::start(|_| Reply::text("ok"));
    let edge = before(&format!("'localhost:{}'", origin.address().port()), "");
    for _ in 0..4 {
        assert_eq!(edge.client("listen").get("/").text(), "ok");
    }
    let edge = before("'nobody.invalid:80'", "");
    assert_eq!(error_of(&edge.client("listen").get("/")), failure(503, "no_healthy_backend"));
}

#[test]
fn a_backend_may_be_a_unix_socket() {
    let folder = crate::harness::Folder::new();
    let path = folder.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let serving = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut head = [0; 4096];
        let count = socket.read(&mut head).unwrap();
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
        String::from_utf8_lossy(&head[..count]).into_owned()
    });
    let edge = before(&format!("'unix:{}'", path.display()), "");
    assert_eq!(edge.client("listen").get("/a").text(), "ok");
    assert!(serving.join().unwrap().starts_with("GET /a HTTP/1.1\r\n"));
}

#[test]
fn streams_of_one_connection_are_as_many_as_the_policy_says() {
    let connections = |most: usize| {
        let origin = H2Origin::cleartext(|_| H2Reply::text("ok").after(Duration::from_millis(300)));
        let more = format!(", protocol: http2, connections: {{ max_h2_streams: {most} }}");
        let edge = before(&format!("'{}'", origin.address()), &more);
        let address = edge.address("listen");
        // The connection is there before the requests that share it.
        assert_eq!(Client::connect(address).get("/").status, 200);
        let asking: Vec<_> =
            (0..4).map(|_| std::thread::spawn(move || Client::connect(address).get("/").status)).collect();
        for asked in asking {
            assert_eq!(asked.join().unwrap(), 200);
        }
        origin.connections()
    };
    assert_eq!(connections(1), 4);
    assert_eq!(connections(100), 1);
}

#[test]
fn no_request_fails_when_one_of_two_backends_is_killed_under_load() {
    const CLIENTS: usize = 8;
    const REQUESTS: usize = 700;
    let server = "location / { return 200 'hello'; }";
    let (Some(mut doomed), Some(other)) = (Nginx::start(server), Nginx::start(server)) else { return };
    let all = format!("'{}', '{}'", doomed.address(), other.address());
    let edge =
        before(&all, ", balance: p2c_ewma, health_check: { http: { path: / }, interval: 200ms, fall: 1 }");
    let (address, done) = (edge.address("listen"), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let done = done.clone();
            std::thread::spawn(move || {
                let mut failed = Vec::new();
                let mut client = Client::connect(address).allow(&["server"]);
                for _ in 0..REQUESTS {
                    let answer = client.get("/");
                    if (answer.status, answer.text().as_str()) != (200, "hello") {
                        failed.push((answer.status, answer.text()));
                    }
                    done.fetch_add(1, Ordering::AcqRel);
                }
                failed
            })
        })
        .collect();
    soon("a quarter of the load", || done.load(Ordering::Acquire) > CLIENTS * REQUESTS / 4);
    doomed.kill();
    let failed: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    assert_eq!(done.load(Ordering::Acquire), CLIENTS * REQUESTS);
    assert!(failed.is_empty(), "{} of {} failed: {:?}", failed.len(), CLIENTS * REQUESTS, failed.first());
    edge.wait_for_metric(&up(doomed.address()), 0.0);
    for _ in 0..50 {
        assert_eq!(Client::connect(address).allow(&["server"]).get("/").status, 200);
    }
}
