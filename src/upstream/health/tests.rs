//! Checks against small real servers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ::http::{HeaderMap, Response};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;
use crate::upstream::resolve::{Answer, Lookup};
use crate::upstream::tests::{World, upstream};

/// An address where nothing listens, kept from others as long as the socket lives.
fn closed_port() -> (socket2::Socket, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

async fn serve<F, S>(serve: S) -> (SocketAddr, JoinHandle<()>)
where
    S: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    (address, server)
}

/// Answers every request with `response`; asserts that it starts with `request` and has the line `header`.
async fn http_server(response: &'static str, request: &'static str, header: &'static str) -> SocketAddr {
    let answer = move |mut stream: TcpStream| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let expected = head.starts_with(request) && head.contains(header);
        let response =
            if expected { response } else { "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n" };
        stream.write_all(response.as_bytes()).await.unwrap();
    };
    serve(answer).await.0
}

async fn probe(yaml: &str) -> Result<(), Failure> {
    let upstream = upstream(yaml);
    let backend = Arc::clone(&upstream.set.load().backends[0]);
    upstream.check.as_ref().unwrap().probe(&backend).await
}

async fn http_probe(address: SocketAddr, http: &str) -> Result<(), Failure> {
    probe(&format!("{{ backends: [\"{address}\"], health_check: {{ http: {http} }} }}")).await
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "not within ten seconds: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\nx-role: primary\r\n\r\nall ok\n";

#[tokio::test]
async fn tcp_passes_where_a_connection_is_accepted_and_nowhere_else() {
    let (open, _server) = serve(|_| async {}).await;
    assert_eq!(probe(&format!("{{ backends: [\"{open}\"], health_check: {{ tcp: {{}} }} }}")).await, Ok(()));
    let (_socket, closed) = closed_port();
    let result = probe(&format!("{{ backends: [\"{closed}\"], health_check: {{ tcp: {{}} }} }}")).await;
    assert_eq!(result, Err(Failure::Transport("connection refused")));
}

#[tokio::test]
async fn unix_sockets_are_probed_too() {
    let path = std::env::temp_dir().join(format!("edgeward-health-{}.sock", std::process::id()));
    let yaml = format!("{{ backends: [\"unix:{}\"], health_check: {{ tcp: {{}} }} }}", path.display());
    assert!(probe(&yaml).await.is_err());
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    assert_eq!(probe(&yaml).await, Ok(()));
    drop(listener);
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn probes_another_port_where_told() {
    let (open, _server) = serve(|_| async {}).await;
    let (_socket, closed) = closed_port();
    let yaml = |port| format!("{{ backends: [\"{closed}\"], health_check: {{ tcp: {{}}, port: {port} }} }}");
    assert_eq!(probe(&yaml(open.port())).await, Ok(()));
    assert!(probe(&yaml(closed.port())).await.is_err());
}

#[tokio::test]
async fn tcp_includes_tls_where_the_upstream_uses_it() {
    let (plain, _server) = serve(|_| async {}).await;
    let yaml =
        format!("{{ backends: [\"{plain}\"], tls: {{ sni: a.test }}, health_check: {{ tcp: {{}} }} }}");
    assert!(probe(&yaml).await.is_err(), "it accepts connections but speaks no TLS");
}

#[tokio::test]
async fn http_asks_what_the_policy_says() {
    let address = http_server(OK, "head /healthz?full http/1.1\r\n", "\r\nhost: orders.test\r\n").await;
    let asked = |http| http_probe(address, http);
    assert_eq!(asked("{ path: \"/healthz?full\", method: HEAD, host: orders.test }").await, Ok(()));
    for other in [
        "{ path: /, method: HEAD, host: orders.test }",
        "{ path: \"/healthz?full\", host: orders.test }",
        "{ path: \"/healthz?full\", method: HEAD }",
    ] {
        assert_eq!(asked(other).await, Err(Failure::Status(400)), "{other}");
    }
}

#[tokio::test]
async fn http_names_the_backend_as_written_by_default() {
    let address = http_server(OK, "get / http/1.1\r\n", "\r\nhost: 127.0.0.1:").await;
    assert_eq!(http_probe(address, "{ path: / }").await, Ok(()));
}

#[tokio::test]
async fn http_wants_the_expected_status() {
    let created = "HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n";
    let moved = "HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n";
    let (created, moved) = (http_server(created, "", "").await, http_server(moved, "", "").await);
    assert_eq!(http_probe(created, "{ path: / }").await, Ok(()));
    assert_eq!(http_probe(moved, "{ path: / }").await, Err(Failure::Status(302)));
    assert_eq!(http_probe(moved, "{ path: /, status: [200, 302] }").await, Ok(()));
    assert_eq!(http_probe(created, "{ path: /, status: [200, 302] }").await, Err(Failure::Status(201)));
}

#[tokio::test]
async fn http_wants_the_expected_headers_and_body() {
    let address = http_server(OK, "", "").await;
    assert_eq!(http_probe(address, "{ path: /, headers: { X-Role: primary } }").await, Ok(()));
    let wrong = http_probe(address, "{ path: /, headers: { x-role: replica } }").await;
    assert_eq!(wrong, Err(Failure::Header("x-role".parse().unwrap())));
    assert_eq!(http_probe(address, "{ path: /, body: '^all ok$' }").await, Err(Failure::Body));
    assert_eq!(http_probe(address, "{ path: /, body: '(?m)^all ok$' }").await, Ok(()));
}

#[tokio::test]
async fn http_reads_no_endless_body() {
    let endless = |mut stream: TcpStream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    };
    let (address, _server) = serve(endless).await;
    assert_eq!(http_probe(address, "{ path: /, body: xxx }").await, Ok(()));
}

#[tokio::test]
async fn a_backend_that_never_answers_fails_in_time() {
    let (address, _server) = serve(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    for kind in ["http: { path: / }", "grpc: {}"] {
        let check = format!("health_check: {{ {kind}, timeout: 50ms }}");
        let result = probe(&format!("{{ backends: [\"{address}\"], {check} }}")).await;
        assert_eq!(result, Err(Failure::TimedOut(Duration::from_millis(50))), "{kind}");
    }
}

/// Serves one h2c connection: `status` for `service`, `NOT_FOUND` in the headers alone for any other.
async fn grpc_connection(stream: TcpStream, service: &'static str, status: u8) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
            assert_eq!(request.headers()["te"], "trailers");
            assert_eq!(request.headers()["content-type"], "application/grpc");
            let body = request.into_body().data().await.unwrap().unwrap();
            let asked = body.get(7..).unwrap_or_default();
            let head = Response::builder().header("content-type", "application/grpc");
            if asked != service.as_bytes() {
                let head = head.header("grpc-status", "5").body(()).unwrap();
                respond.send_response(head, true).unwrap();
                return;
            }
            let mut stream = respond.send_response(head.body(()).unwrap(), false).unwrap();
            stream.send_data(Bytes::from(vec![0, 0, 0, 0, 2, 0x08, status]), false).unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            stream.send_trailers(trailers).unwrap();
        });
    }
}

#[tokio::test]
async fn grpc_wants_the_service_to_be_serving() {
    let (good, _good) = serve(|stream| grpc_connection(stream, "orders", 1)).await;
    let (bad, _bad) = serve(|stream| grpc_connection(stream, "orders", 2)).await;
    let ask = |address, service| {
        let check = format!("health_check: {{ grpc: {{ service: {service} }} }}");
        async move { probe(&format!("{{ backends: [\"{address}\"], {check} }}")).await }
    };
    assert_eq!(ask(good, "orders").await, Ok(()));
    assert_eq!(ask(good, "users").await, Err(Failure::GrpcStatus("5".to_owned())));
    assert_eq!(ask(bad, "orders").await, Err(Failure::NotServing(2)));
}

#[tokio::test]
async fn grpc_asks_for_the_whole_server_by_default() {
    let (address, _server) = serve(|stream| grpc_connection(stream, "", 1)).await;
    assert_eq!(
        probe(&format!("{{ backends: [\"{address}\"], health_check: {{ grpc: {{}} }} }}")).await,
        Ok(())
    );
}

#[tokio::test]
async fn grpc_fails_where_http_1_is_spoken() {
    let address = http_server(OK, "", "").await;
    assert!(
        probe(&format!("{{ backends: [\"{address}\"], health_check: {{ grpc: {{}} }} }}")).await.is_err()
    );
}

struct NoNames;

#[async_trait::async_trait]
impl Lookup for NoNames {
    async fn addresses(&self, _name: &str) -> Result<Answer, String> {
        Err("no names here".to_owned())
    }
}

fn no_names() -> Arc<dyn Lookup> {
    Arc::new(NoNames)
}

#[tokio::test]
async fn takes_backends_out_and_brings_them_back_and_tells_so() {
    static WELL: AtomicBool = AtomicBool::new(true);
    static PROBES: AtomicUsize = AtomicUsize::new(0);
    let (address, _server) = serve(|mut stream| async move {
        let mut head = [0; 1024];
        let _ = stream.read(&mut head).await;
        PROBES.fetch_add(1, Ordering::SeqCst);
        let status = if WELL.load(Ordering::SeqCst) { "200 OK" } else { "503 Service Unavailable" };
        let _ = stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
    })
    .await;
    let (_socket, closed) = closed_port();
    let world = World::default();
    let check = "{ http: { path: / }, interval: 100ms, rise: 2, fall: 2 }";
    let yaml = format!("{{ backends: [\"{address}\", \"{closed}\"], health_check: {check} }}");
    let upstream = world.compile(&yaml).unwrap();
    let health = |index: usize| upstream.status(0)[index].health;
    let tasks = upstream.start(&no_names());
    eventually("first verdicts", || health(0) == Health::Up && health(1) == Health::Down).await;
    WELL.store(false, Ordering::SeqCst);
    eventually("down", || health(0) == Health::Down).await;
    assert!(upstream.pick(None, &[], 0).is_none(), "all are down");
    WELL.store(true, Ordering::SeqCst);
    eventually("up again", || health(0) == Health::Up).await;
    let told = [
        format!("orders {closed} down connection refused"),
        format!("orders {address} down status 503"),
        format!("orders {address} up "),
    ];
    assert_eq!(world.told.all(), told);
    drop(tasks);
    eventually("no task holds it", || Arc::strong_count(&upstream) == 1).await;
    assert!(PROBES.load(Ordering::SeqCst) >= 5);
}

#[tokio::test]
async fn a_hanging_backend_does_not_delay_the_checks_of_others() {
    static PROBES: AtomicUsize = AtomicUsize::new(0);
    let (hanging, _hanging) = serve(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let (quick, _quick) = serve(|mut stream| async move {
        PROBES.fetch_add(1, Ordering::SeqCst);
        let _ = stream.write_all(OK.as_bytes()).await;
    })
    .await;
    let check = "{ http: { path: / }, interval: 100ms, timeout: 1h }";
    let upstream = upstream(&format!("{{ backends: [\"{hanging}\", \"{quick}\"], health_check: {check} }}"));
    let _tasks = upstream.start(&no_names());
    eventually("four probes", || PROBES.load(Ordering::SeqCst) >= 4).await;
    assert_eq!(upstream.status(0)[0].health, Health::Unknown);
}

#[tokio::test]
async fn checks_addresses_as_they_come_and_no_longer_when_they_go() {
    struct OneThenOther(AtomicUsize);
    #[async_trait::async_trait]
    impl Lookup for OneThenOther {
        async fn addresses(&self, _name: &str) -> Result<Answer, String> {
            let last = if self.0.fetch_add(1, Ordering::SeqCst) == 0 { 1 } else { 2 };
            Ok(Answer { addresses: vec![[127, 0, 0, last].into()], ttl: Duration::ZERO })
        }
    }
    let (_socket, closed) = closed_port();
    let world = World::default();
    let check = "health_check: { tcp: {}, interval: 100ms }";
    let upstream =
        world.compile(&format!("{{ backends: [\"orders.test:{}\"], {check} }}", closed.port())).unwrap();
    let lookup: Arc<dyn Lookup> = Arc::new(OneThenOther(AtomicUsize::new(0)));
    let _tasks = upstream.start(&lookup);
    let down = |last: u8| format!("orders 127.0.0.{last}:{} down connection refused", closed.port());
    eventually("the first is down", || world.told.all().contains(&down(1))).await;
    eventually("the second is down", || world.told.all().contains(&down(2))).await;
}
