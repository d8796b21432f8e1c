//! TLS at listeners, from outside: which certificate, which version, whose clients, and all of it while files change.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use boring::ssl::SslVersion;

use crate::harness::tools::{has, run};
use crate::harness::{Authority, Client, Edge, H2Client, Leaf, Setup, Visitor, eventually, soon};

fn edge(tls: &str) -> Setup {
    Edge::policy(&format!(
        "admin: {{ address: '{{admin}}' }}
access_log: {{ to: access.log, fields: [path, protocol, tls_version, tls_cipher, tls_sni, scheme] }}
listeners: [{{ address: '{{tls}}', tls: {tls} }}]
routes: [{{ name: app, match: {{ path: /** }}, respond: {{ body: ok }} }}]
"
    ))
}

/// Certificates `a`, `b` … for these names.
fn with_certificates(ours: &Authority, tls: &str, names: &[&[&str]]) -> Edge {
    let mut setup = edge(tls);
    for (at, names) in names.iter().enumerate() {
        let letter = char::from(b'a' + u8::try_from(at).unwrap());
        let issued = ours.server(names);
        setup = setup
            .file(&format!("{letter}.crt"), issued.cert_pem())
            .file(&format!("{letter}.key"), issued.key_pem());
    }
    setup.start()
}

fn one(ours: &Authority, more: &str) -> Edge {
    let tls = format!("{{ certificates: [{{ cert: a.crt, key: a.key }}] {more} }}");
    with_certificates(ours, &tls, &[&["a.example.com"]])
}

#[test]
fn the_name_asked_for_chooses_the_certificate() {
    let ours = Authority::new("ours");
    let tls = "{ certificates: [{ cert: a.crt, key: a.key }, { cert: b.crt, key: b.key }, \
               { cert: c.crt, key: c.key, default: true }, { cert: d.crt, key: d.key, names: [d.example.org] }] }";
    let names: [&[&str]; 4] = [&["*.example.com"], &["api.example.com"], &["fallback.test"], &["wrong.test"]];
    let edge = with_certificates(&ours, tls, &names);
    let served = |sni: Option<&str>| {
        Visitor { sni, trust: Some(&ours), ..Visitor::default() }.visit(edge.address("tls")).unwrap().name()
    };
    assert_eq!(served(Some("api.example.com")), "api.example.com");
    assert_eq!(served(Some("API.example.com")), "api.example.com");
    assert_eq!(served(Some("other.example.com")), "*.example.com");
    assert_eq!(served(Some("x.y.example.com")), "fallback.test");
    assert_eq!(served(Some("d.example.org")), "wrong.test");
    assert_eq!(served(Some("wrong.test")), "fallback.test");
    assert_eq!(served(None), "fallback.test");
}

#[test]
fn rsa_and_ecdsa_stand_side_by_side() {
    let ours = Authority::new("ours");
    let (ecdsa, rsa) =
        (ours.server(&["a.example.com"]), ours.issue(&Leaf { rsa: true, ..Leaf::named(&["a.example.com"]) }));
    let edge = edge("{ certificates: [{ cert: r.crt, key: r.key }, { cert: e.crt, key: e.key }] }")
        .file("r.crt", rsa.cert_pem())
        .file("r.key", rsa.key_pem())
        .file("e.crt", ecdsa.cert_pem())
        .file("e.key", ecdsa.key_pem())
        .start();
    let is_rsa = |algorithms| {
        let visitor = Visitor { sni: Some("a.example.com"), algorithms, ..Visitor::default() };
        visitor.visit(edge.address("tls")).unwrap().is_rsa()
    };
    assert!(!is_rsa(None), "ECDSA is preferred");
    assert!(is_rsa(Some("rsa_pss_rsae_sha256")));
    assert!(!is_rsa(Some("ecdsa_secp256r1_sha256")));
}

#[test]
fn versions_are_those_of_the_profile() {
    let ours = Authority::new("ours");
    let version = |profile: &str, newest| {
        let edge = one(&ours, profile);
        let visitor = Visitor { sni: Some("a.example.com"), newest: Some(newest), ..Visitor::default() };
        visitor.visit(edge.address("tls")).ok().map(|met| met.version)
    };
    for intermediate in ["", ", profile: intermediate"] {
        assert_eq!(version(intermediate, SslVersion::TLS1_3), Some("TLSv1.3"));
        assert_eq!(version(intermediate, SslVersion::TLS1_2), Some("TLSv1.2"));
        assert_eq!(version(intermediate, SslVersion::TLS1_1), None);
    }
    assert_eq!(version(", profile: modern", SslVersion::TLS1_3), Some("TLSv1.3"));
    assert_eq!(version(", profile: modern", SslVersion::TLS1_2), None);
}

#[test]
fn weak_ciphers_are_refused() {
    let edge = one(&Authority::new("ours"), "");
    let met = |ciphers| {
        let newest = Some(SslVersion::TLS1_2);
        Visitor { sni: Some("a.example.com"), newest, ciphers: Some(ciphers), ..Visitor::default() }
            .visit(edge.address("tls"))
    };
    assert!(met("ECDHE-ECDSA-AES128-GCM-SHA256").is_ok());
    assert!(met("ECDHE-ECDSA-AES128-SHA").is_err());
}

#[test]
fn the_protocol_is_agreed_on_by_alpn() {
    let ours = Authority::new("ours");
    let agreed = |more: &str, alpn: &[u8]| {
        let edge = one(&ours, more);
        let met =
            Visitor { sni: Some("a.example.com"), alpn, ..Visitor::default() }.visit(edge.address("tls"));
        met.ok().map(|met| met.alpn.map(|alpn| String::from_utf8(alpn).unwrap()).unwrap_or_default())
    };
    let (both, other) = (&b"\x08http/1.1\x02h2"[..], &b"\x06spdy/3"[..]);
    assert_eq!(agreed("", both).as_deref(), Some("h2"));
    assert_eq!(agreed("", b"").as_deref(), Some(""));
    assert_eq!(agreed("", other), None);
    assert_eq!(agreed(", protocols: [http/1.1]", both).as_deref(), Some("http/1.1"));
    assert_eq!(agreed(", protocols: [http/1.1]", b"\x02h2"), None);
}

#[test]
fn client_certificates_are_asked_for_as_the_policy_says() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let good = ours.issue(&Leaf::client(&["me"]));
    let strange = other.issue(&Leaf::client(&["me"]));
    let expired = ours.issue(&Leaf { days: -1, ..Leaf::client(&["me"]) });
    let server = ours.server(&["a.example.com"]);
    for (mode, expected) in [
        ("off", [true, true, true, true]),
        ("optional", [true, true, false, false]),
        ("required", [false, true, false, false]),
    ] {
        let edge = edge(&format!(
            "{{ certificates: [{{ cert: a.crt, key: a.key }}], client: {{ mode: {mode} {} }} }}",
            if mode == "off" { "" } else { ", ca: ca.crt" }
        ));
        let edge = edge
            .file("a.crt", server.cert_pem())
            .file("a.key", server.key_pem())
            .file("ca.crt", ours.pem())
            .start();
        let enters = [None, Some(&good), Some(&strange), Some(&expired)].map(|identity| {
            let visitor = Visitor { identity, ..Visitor::named("a.example.com") };
            visitor.visit(edge.address("tls")).is_ok()
        });
        assert_eq!(enters, expected, "{mode}: without, good, strange, expired");
        let refused: u32 = expected.map(|enters| u32::from(!enters)).iter().sum();
        if refused > 0 {
            edge.wait_for_metric(&failures(&edge, "client_certificate"), refused.into());
        }
    }
}

/// Files of a small authority for the `openssl` program: serial 7 is revoked.
fn openssl_authority(folder: &crate::harness::Folder, ours: &Authority) {
    folder.write("ca.crt", ours.pem());
    folder.write("ca.key", ours.key.private_key_to_pem_pkcs8().unwrap());
    folder.write(
        "index.txt",
        "R\t300101000000Z\t250101000000Z\t07\tunknown\t/CN=me\nV\t300101000000Z\t\t08\tunknown\t/CN=a\n",
    );
    folder.write("crlnumber", "01\n");
    let dir = folder.path().display();
    folder.write(
        "ca.cnf",
        format!(
            "[ca]\ndefault_ca=one\n[one]\ndatabase={dir}/index.txt\ncrlnumber={dir}/crlnumber\ncertificate={dir}/ca.crt\n\
             private_key={dir}/ca.key\ndefault_md=sha256\ndefault_crl_days=1\n"
        ),
    );
}

fn openssl(arguments: &[&str]) {
    let output = run("openssl", arguments, b"");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_revoked_client_does_not_get_in() {
    if !has("openssl") {
        return;
    }
    let ours = Authority::new("ours");
    let folder = crate::harness::Folder::new();
    openssl_authority(&folder, &ours);
    let (config, list) = (folder.path().join("ca.cnf"), folder.path().join("list.pem"));
    openssl(&["ca", "-config", config.to_str().unwrap(), "-gencrl", "-out", list.to_str().unwrap()]);
    let server = ours.server(&["a.example.com"]);
    let edge = edge(
        "{ certificates: [{ cert: a.crt, key: a.key }], client: { mode: required, ca: ca.crt, crl: list.pem } }",
    )
    .file("a.crt", server.cert_pem())
    .file("a.key", server.key_pem())
    .file("ca.crt", ours.pem())
    .file("list.pem", folder.read("list.pem"))
    .start();
    let enters = |serial| {
        let identity = ours.issue(&Leaf { serial, ..Leaf::client(&["me"]) });
        Visitor { identity: Some(&identity), ..Visitor::named("a.example.com") }
            .visit(edge.address("tls"))
            .is_ok()
    };
    assert_eq!((enters(7), enters(8)), (false, true));
}

#[test]
fn an_ocsp_response_is_stapled() {
    if !has("openssl") {
        return;
    }
    let ours = Authority::new("ours");
    let folder = crate::harness::Folder::new();
    openssl_authority(&folder, &ours);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let arguments = [
        "ocsp",
        "-index",
        &path("index.txt"),
        "-CA",
        &path("ca.crt"),
        "-rsigner",
        &path("ca.crt"),
        "-rkey",
        &path("ca.key"),
        "-issuer",
        &path("ca.crt"),
        "-serial",
        "8",
        "-ndays",
        "1",
        "-respout",
        &path("staple.der"),
    ];
    openssl(&arguments);
    let staple = std::fs::read(path("staple.der")).unwrap();
    let server = ours.issue(&Leaf { serial: 8, ..Leaf::named(&["a.example.com"]) });
    let edge = edge("{ certificates: [{ cert: a.crt, key: a.key, ocsp: staple.der }] }")
        .file("a.crt", server.cert_pem())
        .file("a.key", server.key_pem())
        .file("staple.der", &staple)
        .start();
    let stapled = |wants_staple| {
        Visitor { wants_staple, ..Visitor::named("a.example.com") }.visit(edge.address("tls")).unwrap().staple
    };
    assert_eq!(stapled(true).as_deref(), Some(&*staple));
    assert_eq!(stapled(false), None);
}

#[test]
fn sessions_are_resumed_unless_tickets_are_off() {
    if !has("openssl") {
        return;
    }
    let ours = Authority::new("ours");
    let reused = |tickets: &str| {
        let edge = one(&ours, tickets);
        let address = edge.address("tls").to_string();
        let arguments =
            ["s_client", "-connect", &address, "-servername", "a.example.com", "-tls1_2", "-reconnect"];
        let output = run("openssl", &arguments, b"");
        String::from_utf8_lossy(&output.stdout).matches("Reused, TLSv1.2").count()
    };
    assert_eq!(reused(""), 5);
    assert_eq!(reused(", tickets: { mode: on, rotate: 1h }"), 5);
    assert_eq!(reused(", tickets: { mode: off }"), 0);
}

#[test]
fn a_handshake_may_not_take_for_ever() {
    let edge = Edge::policy(
        "admin: { address: '{admin}' }
listeners: [{ address: '{tls}', limits: { handshake_timeout: 200ms }, tls: { self_signed: [localhost] } }]
routes: [{ name: app, match: { path: /** }, respond: { body: ok } }]
",
    )
    .start();
    let mut silent = edge.client("tls").patience(Duration::from_secs(5));
    silent.send(b"\x16\x03\x01");
    assert!(silent.is_closed());
    edge.wait_for_metric(&failures(&edge, "timeout"), 1.0);
}

fn failures(edge: &Edge, reason: &str) -> String {
    format!("edgeward_handshake_failures_total{{listener=\"{}\",reason=\"{reason}\"}}", edge.address("tls"))
}

#[test]
fn who_speaks_plain_http_to_a_tls_port_is_told_so() {
    let edge = one(&Authority::new("ours"), "");
    let told = edge.client("tls").get("/");
    assert_eq!((told.status, told.reason().as_str()), (400, "plain_http"));
    assert_eq!(told.header("connection"), Some("close"));
    let mut other = edge.client("tls");
    other.send("SSH-2.0-OpenSSH_9.2\r\n");
    assert!(other.try_response("GET").is_err());
    edge.wait_for_metric(&failures(&edge, "protocol"), 2.0);
}

#[test]
fn a_client_that_does_not_trust_the_certificate_is_counted_as_such() {
    let edge = one(&Authority::new("ours"), "");
    let other = Authority::new("other");
    let visitor = Visitor { trust: Some(&other), ..Visitor::named("a.example.com") };
    assert!(visitor.visit(edge.address("tls")).is_err());
    edge.wait_for_metric(&failures(&edge, "client_alert"), 1.0);
    if has("openssl") {
        let address = edge.address("tls").to_string();
        run("openssl", &["s_client", "-connect", &address, "-verify_return_error"], b"");
        edge.wait_for_metric(&failures(&edge, "client_alert"), 2.0);
    }
}

#[test]
fn the_log_tells_what_was_agreed_on() {
    let edge = one(&Authority::new("ours"), "");
    let client = H2Client::tls(edge.address("tls"), &Visitor::named("a.example.com"));
    assert_eq!(client.get("/h2").status, 200);
    let line = edge.logged("/h2", |line| line["path"] == "/h2");
    assert_eq!(
        (&line["protocol"], &line["tls_version"], &line["scheme"]),
        (&"HTTP/2".into(), &"TLSv1.3".into(), &"https".into())
    );
    assert_eq!(line["tls_sni"], "a.example.com");
    assert!(line["tls_cipher"].as_str().unwrap().contains("AES"), "{line}");
}

fn serial(edge: &Edge) -> u64 {
    let met = Visitor::named("a.example.com").visit(edge.address("tls")).unwrap();
    met.certificate.serial_number().to_bn().unwrap().to_string().parse().unwrap()
}

#[test]
fn a_new_certificate_is_served_without_a_restart() {
    let ours = Authority::new("ours");
    let edge = one(&ours, "");
    let mut open = Client::tls(edge.address("tls"), &Visitor::named("a.example.com"));
    assert_eq!((open.get("/").status, serial(&edge)), (200, 7));
    let next = ours.issue(&Leaf { serial: 8, days: 5, ..Leaf::named(&["a.example.com"]) });
    next.store(&edge.folder, "a");
    soon("the new certificate", || serial(&edge) == 8);
    assert_eq!(open.get("/").status, 200, "open connections go on");
    let days = expiry_days(&edge);
    assert!((4.9..5.1).contains(&days), "{days}");
}

fn expiry_days(edge: &Edge) -> f64 {
    let metrics = edge.metrics();
    let (_, end) =
        metrics.matching("edgeward_certificate_expiry_timestamp_seconds", &["a.crt"]).next().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    (end - now) / 86_400.0
}

#[test]
fn a_certificate_without_its_key_is_not_taken_over() {
    let ours = Authority::new("ours");
    let edge = one(&ours, "");
    let days = expiry_days(&edge);
    assert!((0.9..1.1).contains(&days), "{days}");
    let next = ours.issue(&Leaf { serial: 8, ..Leaf::named(&["a.example.com"]) });
    edge.folder.write("a.crt", next.cert_pem());
    let start = std::time::Instant::now();
    // Twice the time after which it would have been taken over.
    eventually("the period to pass twice", || {
        assert_eq!(serial(&edge), 7);
        (start.elapsed() > Duration::from_secs(5)).then_some(())
    });
    edge.folder.write("a.key", next.key_pem());
    soon("the whole pair", || serial(&edge) == 8);
}

#[test]
fn a_self_signed_certificate_has_the_names_asked_for() {
    let edge = edge("{ self_signed: [trial.example, 127.0.0.1] }").start();
    let met = Visitor::named("trial.example").visit(edge.address("tls")).unwrap();
    assert_eq!(met.name(), "trial.example");
}
