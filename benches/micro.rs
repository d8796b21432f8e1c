//! How long the parts of a request take, each by itself, on one core: `cargo bench --bench micro [PART]`.
//!
//! A part that fails to do its work panics.

#![allow(clippy::expect_used, clippy::panic, reason = "a part that fails to do its work panics")]
#![allow(clippy::format_push_string, reason = "shorter, and what is prepared is not timed")]

mod timing;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use edgeward::auth::jose::{Algorithm, SigningKey};
use edgeward::config::Document;
use edgeward::filters::chain::{Outcome, Shadows};
use edgeward::filters::{Exchange, Facts, Origin, Slots};
use edgeward::http::head::{HeadLimits, check_head};
use edgeward::http::path::{Rules, normalise};
use edgeward::net::IpSet;
use edgeward::policy::{Materials, Question, Snapshot, compile};
use edgeward::state::Quotas;
use edgeward::state::quota::Limit;
use edgeward::telemetry::access_log::{AccessLog, AccessRecord, Selection};
use edgeward::telemetry::writer::{Destination, LineWriter, Settings};
use http::{HeaderMap, Method};
use pingora::http::RequestHeader;
use timing::time;

const HEAD: &[u8] =
    b"GET /orders/7?fields=id,total HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: curl/8.5.0\r\n\
    Accept: application/json\r\nAccept-Encoding: gzip, br\r\nX-Api-Key: 0123456789abcdef0123456789abcdef\r\n\
    Cookie: sid=0123456789abcdef\r\n\r\n";

type Part = (&'static str, fn());

fn main() {
    // `cargo bench` passes `--bench`.
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let parts: [Part; 8] = [
        ("check_head", head),
        ("normalise", path),
        ("router", router),
        ("quota", quota),
        ("access_log", access_log),
        ("ip_set", ip_set),
        ("chain", chain),
        ("jwt", jwt),
    ];
    timing::heading();
    for (name, part) in parts {
        if wanted.as_ref().is_none_or(|wanted| name.contains(wanted.as_str())) {
            part();
        }
    }
}

fn head() {
    let limits = HeadLimits::default();
    time(&format!("check_head, {} bytes", HEAD.len()), || {
        check_head(black_box(HEAD), &limits).expect("a good head")
    });
}

fn path() {
    let rules = Rules::default();
    for (name, target) in [
        ("normalise, normal already", &b"/orders/7/items?fields=id"[..]),
        ("normalise, dot segments and escapes", b"/a/./b/../orders//%37/%69tems?fields=id"),
    ] {
        time(name, || normalise(black_box(target), &rules).expect("a good path").path().len());
    }
}

/// A snapshot with so many routes over a hundredth as many hosts, and one filter chain of eight.
fn snapshot(routes: usize) -> Snapshot {
    let mut policy = String::from(
        "listeners: [{ address: \"127.0.0.1:80\" }]\nchains:\n  eight:\n    - compress: {}\n    - error_pages: {}\n    \
         - response_headers: { security: strict }\n    - cors: { origins: [\"https://app.example.com\"] }\n    \
         - ip_access: { deny: [198.51.100.0/24] }\n    - rate_limit: { limit: 4000000000/1s }\n    \
         - request_limits: { max_query_args: 32 }\n    - request_headers: { set: { x-client: \"{ip.src}\" } }\nroutes:\n",
    );
    for route in 0..routes {
        let filters = if route == 0 { "filters: [{ chain: eight }], " } else { "" };
        policy += &format!(
            "  - {{ name: r{route}, match: {{ host: h{}.example.com, path: \"/api/s{}/{{id}}\" }}, {filters}respond: {{}} }}\n",
            route / 10,
            route % 10
        );
    }
    let materials = Materials::dry().expect("metrics");
    let document = Document::parse("bench", policy.as_bytes()).expect("YAML");
    compile(&document, &materials, None).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

fn router() {
    let headers = HeaderMap::new();
    for routes in [1, 1000] {
        let snapshot = snapshot(routes);
        let host = format!("h{}.example.com", (routes - 1) / 10);
        let path = format!("/api/s{}/42", (routes - 1) % 10);
        let question =
            Question { host: &host, path: &path, query: "a=b", method: &Method::GET, headers: &headers };
        assert_eq!(&*snapshot.route(&question).0.name, format!("r{}", routes - 1));
        time(&format!("router, {routes} routes"), || Arc::as_ptr(snapshot.route(black_box(&question)).0));
    }
}

fn quota() {
    let most = NonZeroU32::new(1_000_000_000).expect("not zero");
    let limit = Limit::new("bench", most, Duration::from_secs(1), most).expect("a limit");
    let quotas = Quotas::new(const { std::num::NonZeroUsize::new(1 << 20).expect("not zero") });
    let mut now = 0;
    for keys in [1_u32, 100_000] {
        let mut next = 0_u32;
        time(&format!("quota check, {keys} keys"), || {
            now += 100;
            next = (next + 1) % keys;
            assert!(quotas.check(&limit, &next.to_le_bytes(), 1, now).allowed);
        });
    }
}

fn access_log() {
    let writer = LineWriter::open(&Settings::new(Destination::Stderr)).expect("a writer");
    let log = AccessLog::compile(&Selection::default(), Arc::new(writer)).expect("a selection");
    let record = AccessRecord {
        time: SystemTime::now(),
        request_id: "951073e7c01c6756de61fe7726aa7abf",
        trace_id: "570e70f92101f359241a00210827abe8",
        client_ip: Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9))),
        method: "GET",
        host: b"api.example.com",
        path: b"/orders/7",
        protocol: "HTTP/1.1",
        tls_version: "TLSv1.3",
        route: "orders",
        upstream: "orders",
        backend: "10.0.0.1:8080",
        status: 200,
        upstream_status: Some(200),
        bytes_out: 1234,
        duration_us: 1303,
        upstream_duration_us: Some(730),
        user_agent: b"curl/8.5.0",
        ..AccessRecord::default()
    };
    let mut line = Vec::with_capacity(1024);
    time("access log line, rendered", || {
        line.clear();
        log.render(black_box(&record), &mut line);
        assert!(line.ends_with(b"}"));
    });
}

fn ip_set() {
    for networks in [1_u32, 100_000] {
        let set = IpSet::new((0..networks).map(|n| {
            let address = IpAddr::from((0x0a00_0000 + n * 256).to_be_bytes());
            ipnet::IpNet::new(address, 24).expect("a network")
        }));
        let (inside, outside) = (IpAddr::from([10, 0, 0, 7]), IpAddr::from([192, 0, 2, 7]));
        assert!(set.contains(inside) && !set.contains(outside));
        time(&format!("ip_set, {networks} networks, a hit and a miss"), || {
            (set.contains(black_box(inside)), set.contains(black_box(outside)))
        });
    }
}

fn chain() {
    let snapshot = snapshot(1);
    let mut request = RequestHeader::build("GET", b"/api/s0/42", Some(8)).expect("a request");
    request.insert_header("host", "h0.example.com").expect("a header");
    request.insert_header("accept-encoding", "gzip, br").expect("a header");
    let headers = HeaderMap::new();
    let question = Question {
        host: "h0.example.com",
        path: "/api/s0/42",
        query: "",
        method: &Method::GET,
        headers: &headers,
    };
    let route = snapshot.route(&question).0.clone();
    assert_eq!(route.chain.kinds().count(), 8);
    let facts = facts(&route.name);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut pass = || {
        let (mut slots, mut shadows) = (Slots::default(), Shadows::default());
        let mut exchange = Exchange::new(&mut request, &facts, Origin::Upstream, &mut slots, 0);
        let outcome = runtime.block_on(route.chain.request(&mut exchange, &mut shadows));
        assert!(matches!(outcome, Outcome::Pass));
    };
    time("chain of 8 filters, request (and block_on)", &mut pass);
    time("block_on of nothing, for comparison", || runtime.block_on(std::future::ready(())));
}

fn facts(route: &Arc<str>) -> Facts {
    Facts {
        client_ip: Ipv4Addr::new(203, 0, 113, 9).into(),
        peer_ip: Ipv4Addr::new(203, 0, 113, 9).into(),
        scheme: "https",
        host: "h0.example.com".into(),
        route: Arc::clone(route),
        request_id: "951073e7c01c6756de61fe7726aa7abf".into(),
        received_ns: 1,
        time: SystemTime::now(),
        tls: None,
        listener: "127.0.0.1:443".into(),
        segments: Vec::new(),
        sent_target: None,
        has_body: false,
        to_grpc: false,
    }
}

/// RFC 7515 appendix A.3.
const KEY: &str = r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;
const PRIVATE: &str = r#""d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI""#;

/// A token by ES256 that is verified for the first time, and again and again.
fn jwt() {
    let policy = format!(
        "listeners: [{{ address: \"127.0.0.1:80\" }}]\nissuers: {{ corp: {{ issuer: \"https://id.example.com\", \
         audience: orders-api, jwks: {{ inline: {{ \"keys\": [{{ {KEY} }}] }} }} }} }}\nroutes: [{{ name: a, filters: \
         [{{ jwt: {{ issuer: corp, scopes: [orders:read], hide_credentials: false }} }}], respond: {{}} }}]\n"
    );
    let materials = Materials::dry().expect("metrics");
    let document = Document::parse("bench", policy.as_bytes()).expect("YAML");
    let snapshot = compile(&document, &materials, None).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let key =
        SigningKey::from_jwk(format!("{{{KEY},{PRIVATE}}}").as_bytes(), Algorithm::Es256).expect("a key");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time").as_secs();
    let token = |id: usize| {
        let claims = format!(
            r#"{{"iss":"https://id.example.com","aud":"orders-api","sub":"user-{id}","scope":"orders:read orders:write","iat":{now},"exp":{},"client_id":"shop"}}"#,
            now + 3600
        );
        let token = key.sign_parts(br#"{"alg":"ES256","typ":"at+jwt"}"#, claims.as_bytes()).expect("a token");
        let mut request = RequestHeader::build("GET", b"/orders/7", Some(8)).expect("a request");
        request.insert_header("authorization", format!("Bearer {token}")).expect("a header");
        request
    };
    let headers = HeaderMap::new();
    let question =
        Question { host: "h", path: "/orders/7", query: "", method: &Method::GET, headers: &headers };
    let route = snapshot.route(&question).0.clone();
    let facts = facts(&route.name);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let pass = |request: &mut RequestHeader| {
        let (mut slots, mut shadows) = (Slots::default(), Shadows::default());
        let mut exchange = Exchange::new(request, &facts, Origin::Upstream, &mut slots, 0);
        let outcome = runtime.block_on(route.chain.request(&mut exchange, &mut shadows));
        assert!(matches!(outcome, Outcome::Pass));
    };
    let mut known = token(0);
    time("jwt, ES256, remembered (and block_on)", || pass(&mut known));
    let mut many: Vec<_> = (1..2048).map(token).collect();
    let began = std::time::Instant::now();
    many.iter_mut().for_each(&pass);
    println!(
        "{:<44} {:>7.0} ns",
        "jwt, ES256, for the first time",
        began.elapsed().as_secs_f64() * 1e9 / 2047.0
    );
    time("block_on of nothing, for comparison", || runtime.block_on(std::future::ready(())));
}
