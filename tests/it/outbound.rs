//! Requests of our own: bounded, verified, and on connections that are kept as long as they are good.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use boring::ssl::{SslAcceptor, SslVersion};
use edgeward::http::fetch::{Failure, Fetch, Limits, Part, Request, Response};
use edgeward::outbound::{Client, Outbound, Terms};
use edgeward::state::Clock;
use edgeward::tls::{Client as Tls, ClientSpec};
use edgeward::upstream::resolve::{Answer, Lookup};
use http::Method;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::harness::{Authority, DEADLINE, Folder, Issued, Leaf, Origin, Reply, Seen};

const H1: &[u8] = b"\x08http/1.1";

/// Every name is this machine; one has an address more where nobody answers, one is not known.
struct Hosts;

#[async_trait]
impl Lookup for Hosts {
    async fn addresses(&self, name: &str) -> Result<Answer, String> {
        let here: IpAddr = Ipv4Addr::LOCALHOST.into();
        let addresses = match name {
            "unknown.test" => return Err("no such name".to_owned()),
            "twice.test" => vec![Ipv4Addr::new(127, 0, 0, 2).into(), here],
            _ => vec![here],
        };
        Ok(Answer { addresses, ttl: Duration::from_secs(60) })
    }
}

fn outbound() -> Arc<Outbound> {
    Outbound::new(Arc::new(Hosts), Clock::system())
}

fn terms(tls: &ClientSpec) -> Terms {
    Terms::new(Tls::load(tls, Path::new("/")).unwrap())
}

fn client() -> Client {
    Client::new(&outbound(), terms(&ClientSpec::default()))
}

fn get(url: &str) -> Request {
    let limits = Limits { deadline: DEADLINE, ..Limits::default() };
    Request { limits, ..Request::new(Method::GET, url.parse().unwrap()) }
}

fn post(url: &str, body: &'static str) -> Request {
    let limits = get(url).limits;
    Request { body: body.into(), limits, ..Request::new(Method::POST, url.parse().unwrap()) }
}

/// The URL of a path at an origin, by a name.
fn at(origin: &Origin, path: &str) -> String {
    format!("http://app.internal:{}{path}", origin.address().port())
}

fn text(response: &Response) -> &str {
    std::str::from_utf8(&response.body).unwrap()
}

/// What an origin that answers with these bytes makes of a GET.
async fn answered(bytes: &'static str) -> Result<Response, Failure> {
    let origin = Origin::start(move |_| Reply::raw(bytes).close());
    client().fetch(get(&at(&origin, "/"))).await
}

#[tokio::test]
async fn sends_what_was_asked_and_no_more() {
    let origin = Origin::start(|_| Reply::status(201, &[("x-kept", "yes")], "made"));
    let mut request = post(&at(&origin, "/token?x=%20y"), "grant=1");
    for (name, value) in [("x-mine", "1"), ("host", "evil"), ("content-length", "99"), ("upgrade", "h2c")] {
        request.headers.append(name, value.parse().unwrap());
    }
    let response = client().fetch(request).await.unwrap();
    assert_eq!((response.status.as_u16(), text(&response)), (201, "made"));
    assert_eq!(response.headers["x-kept"], "yes");
    let seen = origin.only();
    assert_eq!((seen.line(), &*seen.body), ("POST /token?x=%20y HTTP/1.1", &b"grant=1"[..]));
    assert_eq!(seen.names(), ["accept-encoding", "content-length", "host", "user-agent", "x-mine"]);
    assert_eq!(seen.header("host").unwrap(), format!("app.internal:{}", origin.address().port()));
    assert_eq!(seen.header("content-length"), Some("7"));
}

#[tokio::test]
async fn reads_every_framing_and_reads_over_informational_answers() {
    let informational =
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na";
    assert_eq!(text(&answered(informational).await.unwrap()), "a");
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n";
    assert_eq!(text(&answered(chunked).await.unwrap()), "abc");
    assert_eq!(text(&answered("HTTP/1.1 200 OK\r\n\r\nto the end").await.unwrap()), "to the end");
    assert_eq!(text(&answered("HTTP/1.1 204 No Content\r\n\r\n").await.unwrap()), "");
    let head = Origin::start(|_| Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n"));
    let request = Request { method: Method::HEAD, ..get(&at(&head, "/")) };
    assert_eq!(text(&client().fetch(request).await.unwrap()), "");
}

#[tokio::test]
async fn refuses_answers_that_two_readers_may_read_differently() {
    let answers = [
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
    ];
    for bytes in answers {
        assert_eq!(answered(bytes).await.unwrap_err().kind(), "malformed", "{bytes}");
    }
    let endless = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(50);
    let origin = Origin::start(move |_| Reply::raw(&endless).close());
    assert_eq!(client().fetch(get(&at(&origin, "/"))).await.unwrap_err().kind(), "malformed");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    for bytes in [
        "",
        "HTTP/1.1 200 OK\r\nx: ",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc",
    ] {
        assert_eq!(answered(bytes).await.unwrap_err().kind(), "closed", "{bytes}");
    }
}

#[tokio::test]
async fn follows_no_redirect() {
    let origin = Origin::start(|_| Reply::status(302, &[("location", "http://app.internal/")], ""));
    assert_eq!(client().fetch(get(&at(&origin, "/"))).await.unwrap().status.as_u16(), 302);
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn an_answer_has_its_bounds() {
    let origin = Origin::start(|seen| match seen.target() {
        "/announced" => Reply::text(&"a".repeat(101)),
        "/chunked" => Reply::chunked(&[], &[&[b'a'; 60], &[b'a'; 41]], &[]),
        "/endless" => Reply::raw("HTTP/1.1 200 OK\r\n\r\n").then("a".repeat(101)).hold(),
        "/fits" => Reply::text(&"a".repeat(100)),
        _ => Reply::status(200, &[("x-long", &"a".repeat(2000))], "a"),
    });
    let limited = |path: &str| {
        let limits = Limits { head_bytes: 1000, body_bytes: 100, deadline: DEADLINE };
        Request { limits, ..get(&at(&origin, path)) }
    };
    let client = client();
    for path in ["/announced", "/chunked", "/endless"] {
        let failed = client.fetch(limited(path)).await.unwrap_err();
        assert_eq!(failed, Failure::TooLarge { part: Part::Body, limit: 100 }, "{path}");
    }
    let failed = client.fetch(limited("/head")).await.unwrap_err();
    assert_eq!(failed, Failure::TooLarge { part: Part::Head, limit: 1000 });
    assert_eq!(client.fetch(limited("/fits")).await.unwrap().body.len(), 100);
}

#[tokio::test]
async fn an_exchange_ends_at_its_deadline_wherever_it_is() {
    let origin = Origin::start(|seen| match seen.target() {
        "/silent" => Reply::nothing().hold(),
        "/head" => Reply::raw("HTTP/1.1 200 OK\r\nx: y").hold(),
        _ => Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab").hold(),
    });
    let deadline = Duration::from_millis(150);
    for path in ["/silent", "/head", "/body"] {
        let limits = Limits { deadline, ..Limits::default() };
        let begun = Instant::now();
        let failed = client().fetch(Request { limits, ..get(&at(&origin, path)) }).await.unwrap_err();
        assert_eq!(failed, Failure::Timeout(deadline), "{path}");
        assert!(begun.elapsed() >= deadline && begun.elapsed() < DEADLINE);
    }
}

#[tokio::test]
async fn a_connection_is_kept_and_used_again() {
    let origin = Origin::start(|_| Reply::text("a"));
    let client = client();
    for _ in 0..3 {
        client.fetch(get(&at(&origin, "/"))).await.unwrap();
        client.fetch(post(&at(&origin, "/"), "x")).await.unwrap();
    }
    assert_eq!((origin.count(), origin.connections()), (6, 1));
}

#[tokio::test]
async fn a_connection_with_something_left_on_it_is_not_used_again() {
    for bytes in [
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\na",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\naHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        "HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na",
    ] {
        let origin = Origin::start(move |_| Reply::raw(bytes));
        let client = client();
        for _ in 0..2 {
            assert_eq!(text(&client.fetch(get(&at(&origin, "/"))).await.unwrap()), "a");
        }
        assert_eq!(origin.connections(), 2, "{bytes}");
    }
}

/// A thread with a runtime of its own, as a worker is; ends when the sender is dropped.
fn worker() -> (Handle, oneshot::Sender<()>) {
    let (stop, stopped) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let handle = runtime.handle().clone();
    std::thread::spawn(move || runtime.block_on(stopped));
    (handle, stop)
}

#[tokio::test]
async fn each_runtime_keeps_connections_of_its_own() {
    let origin = Origin::start(|_| Reply::text("a"));
    let (client, url) = (Arc::new(client()), at(&origin, "/"));
    let workers = [worker(), worker()];
    for turn in 0..20 {
        let (client, request) = (client.clone(), get(&url));
        let answer = workers[turn % 2].0.spawn(async move { client.fetch(request).await });
        assert_eq!(text(&answer.await.unwrap().unwrap()), "a");
    }
    assert_eq!((origin.count(), origin.connections()), (20, 2));
}

#[tokio::test]
async fn a_connection_that_was_closed_while_it_idled_is_replaced() {
    let origin = Origin::start(|_| Reply::text("a").close());
    let client = client();
    for _ in 0..20 {
        client.fetch(get(&at(&origin, "/"))).await.unwrap();
    }
    assert_eq!((origin.count(), origin.connections()), (20, 20));
}

/// Closes its first connection when a second request comes on it, as a server does whose patience ends just then.
fn impatient() -> Origin {
    let count = std::sync::atomic::AtomicUsize::new(0);
    Origin::start(move |seen: &Seen| {
        let before = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        if seen.connection == 0 && before > 0 { Reply::nothing().close() } else { Reply::text("a") }
    })
}

#[tokio::test]
async fn what_may_arrive_twice_is_sent_again_when_a_kept_connection_was_closed() {
    let safe = impatient();
    let asker = client();
    for _ in 0..2 {
        assert_eq!(text(&asker.fetch(get(&at(&safe, "/"))).await.unwrap()), "a");
    }
    assert_eq!((safe.count(), safe.connections()), (3, 2));

    let unsafe_ = impatient();
    asker.fetch(get(&at(&unsafe_, "/"))).await.unwrap();
    let failed = asker.fetch(post(&at(&unsafe_, "/"), "pay")).await.unwrap_err();
    assert_eq!((failed.kind(), unsafe_.count()), ("closed", 2));

    let harmless = impatient();
    asker.fetch(get(&at(&harmless, "/"))).await.unwrap();
    let request = Request { repeatable: true, ..post(&at(&harmless, "/"), "token=x") };
    assert_eq!(text(&asker.fetch(request).await.unwrap()), "a");
}

#[tokio::test]
async fn a_new_connection_that_breaks_is_not_tried_again() {
    let origin = Origin::start(|_| Reply::nothing().close());
    assert_eq!(client().fetch(get(&at(&origin, "/"))).await.unwrap_err().kind(), "closed");
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn no_more_than_so_many_are_under_way_and_wait() {
    let origin = Origin::start(|_| Reply::nothing().hold());
    let few = Terms { at_once: NonZeroUsize::MIN, waiting: 1, ..terms(&ClientSpec::default()) };
    let client = Arc::new(Client::new(&outbound(), few));
    let (first, second) = (client.clone(), client.clone());
    let (url, again) = (at(&origin, "/"), at(&origin, "/"));
    let first = tokio::spawn(async move { first.fetch(get(&url)).await.map(drop) });
    let second = tokio::spawn(async move { second.fetch(get(&again)).await.map(drop) });
    while origin.count() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(client.fetch(get(&at(&origin, "/"))).await.unwrap_err(), Failure::Busy);
    assert_eq!(origin.count(), 1, "the second waits");
    first.abort();
    while origin.count() == 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    second.abort();
}

#[tokio::test]
async fn finds_its_way() {
    let origin = Origin::start(|_| Reply::text("a"));
    let port = origin.address().port();
    let failed = client().fetch(get(&format!("http://unknown.test:{port}/"))).await.unwrap_err();
    assert_eq!(failed, Failure::Resolve("no such name".to_owned()));
    let answer = client().fetch(get(&format!("http://twice.test:{port}/"))).await.unwrap();
    assert_eq!(text(&answer), "a", "the second address is tried when the first refuses");
    let answer = client().fetch(get(&format!("http://127.0.0.1:{port}/"))).await.unwrap();
    assert_eq!(text(&answer), "a");
    origin.kill();
    let failed = client().fetch(get(&format!("http://127.0.0.1:{port}/"))).await.unwrap_err();
    assert_eq!(failed.to_string(), format!("no connection: 127.0.0.1:{port}: refused"));
}

#[tokio::test]
async fn what_failed_is_told_without_what_was_answered() {
    for (answer, told) in [
        (
            "HTTP/1.1 200 OK\r\nSet-Cookie: secret\r\nb\0d: x\r\n\r\n",
            "the answer is malformed: a head that is none",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsecret",
            "the connection broke: closed before all of the answer was there",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nsecret\r\n",
            "the answer is malformed: a body that does not end as its head says",
        ),
    ] {
        assert_eq!(answered(answer).await.unwrap_err().to_string(), told);
    }
    let secure = Secure::new();
    let origin = Secure::origin(secure.issued().acceptor(None, H1));
    let client = Client::new(&outbound(), terms(&ClientSpec::default()));
    let failed = client.fetch(get(&format!("https://app.internal:{}/", origin.address().port()))).await;
    let told = failed.unwrap_err().to_string();
    assert!(
        told.starts_with("the certificate is not to be trusted: ")
            && told.contains("CERTIFICATE_VERIFY_FAILED"),
        "{told}"
    );
    assert!(!told.contains("SNI") && !told.contains("connect()"), "{told}");
}

#[tokio::test]
async fn speaks_ipv6() {
    let Ok(listener) = std::net::TcpListener::bind("[::1]:0") else { return };
    let address = listener.local_addr().unwrap();
    drop(listener);
    let origin = Origin::start_at(address, |_| Reply::text("six"));
    let url = format!("http://[::1]:{}/", address.port());
    assert_eq!(text(&client().fetch(get(&url)).await.unwrap()), "six");
    assert_eq!(origin.only().header("host").unwrap(), address.to_string());
}

#[tokio::test]
async fn speaks_by_a_unix_socket_whatever_the_url_names() {
    let folder = Folder::new();
    let path = folder.path().join("auth.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = vec![0; 4096];
        let length = stream.read(&mut head).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nlocal").unwrap();
        String::from_utf8_lossy(&head[..length]).into_owned()
    });
    let socket = Some(UnixAddr::from_pathname(&path).unwrap());
    let client = Client::new(&outbound(), Terms { socket, ..terms(&ClientSpec::default()) });
    let answer = client.fetch(get("http://unknown.test/check")).await.unwrap();
    assert_eq!(text(&answer), "local");
    let head = server.join().unwrap();
    assert!(head.starts_with("GET /check HTTP/1.1\r\n"), "{head}");
    assert!(head.to_ascii_lowercase().contains("\r\nhost: unknown.test\r\n"), "{head}");
}

/// A server with a certificate for `app.internal`, and what an authority's client needs to know.
struct Secure {
    folder: Folder,
    ours: Authority,
}

impl Secure {
    fn new() -> Self {
        let (folder, ours) = (Folder::new(), Authority::new("ours"));
        folder.write("ours.crt", ours.pem());
        folder.write("other.crt", Authority::new("other").pem());
        ours.issue(&Leaf::client(&["edgeward"])).store(&folder, "edgeward");
        Self { folder, ours }
    }

    fn issued(&self) -> Issued {
        self.ours.server(&["app.internal"])
    }

    fn origin(acceptor: SslAcceptor) -> Origin {
        Origin::start_tls(acceptor, |_| Reply::text("safe"))
    }

    /// What comes of asking for `host` with these terms of TLS, as a policy has them.
    async fn asked(&self, origin: &Origin, host: &str, tls: &str) -> Result<String, &'static str> {
        let tls = Tls::load(&serde_yaml::from_str(tls).unwrap(), self.folder.path()).unwrap();
        let client = Client::new(&outbound(), Terms::new(tls));
        let request = get(&format!("https://{host}:{}/", origin.address().port()));
        let answer = client.fetch(request).await;
        answer.map(|answer| text(&answer).to_owned()).map_err(|failure| failure.kind())
    }
}

#[tokio::test]
async fn a_certificate_must_be_of_a_known_authority_and_have_the_name_that_was_asked_for() {
    let secure = Secure::new();
    let origin = Secure::origin(secure.issued().acceptor(None, H1));
    let good = Ok("safe".to_owned());
    assert_eq!(secure.asked(&origin, "app.internal", "{ ca: ours.crt }").await, good);
    assert_eq!(secure.asked(&origin, "app.internal.", "{ ca: ours.crt }").await, good);
    assert_eq!(secure.asked(&origin, "other.internal", "{ ca: ours.crt }").await, Err("certificate"));
    assert_eq!(secure.asked(&origin, "app.internal", "{ ca: other.crt }").await, Err("certificate"));
    assert_eq!(secure.asked(&origin, "app.internal", "{}").await, Err("certificate"));
    assert_eq!(secure.asked(&origin, "127.0.0.1", "{ ca: ours.crt }").await, Err("certificate"));
    let named = "{ ca: ours.crt, sni: app.internal }";
    assert_eq!(secure.asked(&origin, "127.0.0.1", named).await, good);
    let anyone = "{ danger_accept_invalid_certificates: true }";
    assert_eq!(secure.asked(&origin, "other.internal", anyone).await, good);
    assert_eq!(origin.count(), 4, "who is not verified sees no request");
}

#[tokio::test]
async fn shows_its_certificate_to_who_asks_for_one() {
    let secure = Secure::new();
    let origin = Secure::origin(secure.issued().acceptor(Some(&secure.ours), H1));
    let with = "{ ca: ours.crt, client_certificate: { cert: edgeward.crt, key: edgeward.key } }";
    assert_eq!(secure.asked(&origin, "app.internal", with).await, Ok("safe".to_owned()));
    assert!(secure.asked(&origin, "app.internal", "{ ca: ours.crt }").await.is_err());
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn speaks_no_tls_that_is_given_up() {
    let secure = Secure::new();
    let issued = secure.issued();
    for (newest, expected) in [(SslVersion::TLS1_2, Ok("safe".to_owned())), (SslVersion::TLS1_1, Err("tls"))]
    {
        let mut builder = SslAcceptor::mozilla_intermediate(boring::ssl::SslMethod::tls()).unwrap();
        builder.set_certificate(&issued.certificate).unwrap();
        builder.set_private_key(&issued.key).unwrap();
        builder.set_min_proto_version(Some(SslVersion::TLS1)).unwrap();
        builder.set_max_proto_version(Some(newest)).unwrap();
        let origin = Secure::origin(builder.build());
        assert_eq!(secure.asked(&origin, "app.internal", "{ ca: ours.crt }").await, expected);
        assert_eq!(origin.count(), usize::from(expected.is_ok()));
    }
}

#[tokio::test]
async fn connections_on_other_terms_are_not_shared() {
    let secure = Secure::new();
    let origin = Secure::origin(secure.issued().acceptor(None, H1));
    let common = outbound();
    let url = format!("https://app.internal:{}/", origin.address().port());
    let ask = async |tls: &str| {
        let tls = Tls::load(&serde_yaml::from_str(tls).unwrap(), secure.folder.path()).unwrap();
        let answer = Client::new(&common, Terms::new(tls)).fetch(get(&url)).await;
        answer.map(|answer| text(&answer).to_owned()).map_err(|failure| failure.kind())
    };
    assert_eq!(ask("{ ca: ours.crt }").await, Ok("safe".to_owned()));
    assert_eq!(ask("{ ca: ours.crt }").await, Ok("safe".to_owned()));
    assert_eq!(origin.connections(), 1);
    assert_eq!(ask("{ ca: other.crt }").await, Err("certificate"));
}

#[tokio::test]
async fn plain_text_where_tls_was_expected_is_no_answer() {
    let origin = Origin::start(|_| Reply::text("a"));
    let secure = Secure::new();
    let failed = secure.asked(&origin, "app.internal", "{ ca: ours.crt }");
    let failed = tokio::time::timeout(DEADLINE, failed).await.unwrap().unwrap_err();
    assert!(matches!(failed, "tls" | "connect"), "{failed}");
    assert_eq!(origin.count(), 0);
}
