//! Which certificate, version and protocol a client gets.

use std::time::Duration;

use boring::ssl::SslVersion;
use tokio::io::AsyncWriteExt;

use super::super::certificate::Validity;
use super::super::fixtures::{Authority, FUTURE, Folder, Leaf, PAST, Visitor, ocsp};
use super::super::key::KeyKind;
use super::super::spec::{Protocol, ServerSpec};
use super::super::{Acceptor, Reason};
use super::{listener, load, pair, problems, spec};

const RSA_ONLY: Visitor<'_> = Visitor {
    name: None,
    alpn: b"",
    newest: None,
    algorithms: Some("rsa_pss_rsae_sha256:rsa_pkcs1_sha256"),
    ciphers: None,
    identity: None,
    wants_staple: false,
};

fn asking(name: &str) -> Visitor<'_> {
    Visitor { name: Some(name), ..Visitor::default() }
}

async fn served(acceptor: &Acceptor, visitor: &Visitor<'_>) -> String {
    let (facts, seen) = visitor.visit(acceptor).await;
    facts.unwrap();
    seen.name()
}

fn several(folder: &Folder, names: &[&[&str]]) -> ServerSpec {
    let authority = Authority::root("CA");
    let names = names.iter().enumerate();
    let certificates = names.map(|(index, names)| {
        folder.store(&index.to_string(), &authority.issue(&Leaf::named(names)));
        pair(&index.to_string())
    });
    ServerSpec { certificates: certificates.collect(), ..ServerSpec::default() }
}

#[tokio::test]
async fn prefers_an_exact_name_to_a_wildcard_and_a_wildcard_to_the_default() {
    let folder = Folder::new();
    let spec = several(&folder, &[&["first.example"], &["*.example.com"], &["api.example.com"]]);
    let acceptor = load(&spec, folder.path());
    assert_eq!(served(&acceptor, &asking("api.example.com")).await, "api.example.com");
    assert_eq!(served(&acceptor, &asking("API.Example.COM")).await, "api.example.com");
    assert_eq!(served(&acceptor, &asking("www.example.com")).await, "*.example.com");
    assert_eq!(
        served(&acceptor, &asking("a.b.example.com")).await,
        "first.example",
        "a wildcard is one label"
    );
    assert_eq!(served(&acceptor, &asking("example.com")).await, "first.example");
    assert_eq!(served(&acceptor, &Visitor::default()).await, "first.example");
}

#[tokio::test]
async fn serves_the_names_and_the_default_that_the_operator_chose() {
    let folder = Folder::new();
    let mut spec =
        several(&folder, &[&["first.example"], &["second.example", "both.example"], &["third.example"]]);
    spec.certificates[1].default = true;
    spec.certificates[2].names = vec!["both.example".to_owned(), "*.override.example".to_owned()];
    let acceptor = load(&spec, folder.path());
    assert_eq!(served(&acceptor, &Visitor::default()).await, "second.example");
    assert_eq!(served(&acceptor, &asking("a.override.example")).await, "third.example");
    assert_eq!(
        served(&acceptor, &asking("both.example")).await,
        "third.example",
        "a chosen name comes first"
    );
    assert_eq!(
        served(&acceptor, &asking("third.example")).await,
        "second.example",
        "its own name was overridden"
    );
}

#[tokio::test]
async fn serves_ecdsa_to_those_who_can_and_rsa_to_the_others() {
    let folder = Folder::new();
    let authority = Authority::root("CA");
    let leaf = Leaf::named(&["api.example.com"]);
    folder.store("rsa", &authority.issue(&leaf.clone().kind(KeyKind::Rsa)));
    folder.store("ecdsa", &authority.issue(&leaf));
    let spec = ServerSpec { certificates: vec![pair("rsa"), pair("ecdsa")], ..ServerSpec::default() };
    let acceptor = load(&spec, folder.path());
    let old = Some(SslVersion::TLS1_2);
    let kind = async |visitor: Visitor<'_>| {
        let (facts, seen) = visitor.visit(&acceptor).await;
        (facts.unwrap().version, seen.kind().unwrap())
    };
    let api = || asking("api.example.com");
    assert_eq!(kind(api()).await, ("TLSv1.3", KeyKind::EcdsaP256));
    assert_eq!(kind(Visitor { newest: old, ..api() }).await, ("TLSv1.2", KeyKind::EcdsaP256));
    assert_eq!(kind(Visitor { name: api().name, ..RSA_ONLY }).await, ("TLSv1.3", KeyKind::Rsa));
    let suites = Some("ECDHE-RSA-AES128-GCM-SHA256");
    assert_eq!(kind(Visitor { newest: old, ciphers: suites, ..api() }).await, ("TLSv1.2", KeyKind::Rsa));
    assert_eq!(kind(RSA_ONLY).await, ("TLSv1.3", KeyKind::Rsa), "the default has both keys too");
}

#[tokio::test]
async fn serves_every_kind_of_key_and_refuses_who_can_verify_none() {
    for kind in [KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::Ed25519, KeyKind::Rsa] {
        let folder = Folder::new();
        folder.store("api", &Authority::root("CA").issue(&Leaf::named(&["api.example.com"]).kind(kind)));
        let acceptor =
            load(&ServerSpec { certificates: vec![pair("api")], ..ServerSpec::default() }, folder.path());
        let all = "ed25519:ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:rsa_pss_rsae_sha256";
        for newest in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
            let visitor = Visitor { algorithms: Some(all), newest: Some(newest), ..Visitor::default() };
            let (facts, seen) = visitor.visit(&acceptor).await;
            assert!(facts.is_ok(), "{kind:?} in {newest:?}: {facts:?}");
            assert_eq!(seen.kind(), Some(kind));
        }
        if kind != KeyKind::Rsa {
            assert_eq!(
                RSA_ONLY.visit(&acceptor).await.0.unwrap_err().reason,
                Reason::NoSharedCipher,
                "{kind:?}"
            );
        }
    }
}

#[tokio::test]
async fn refuses_what_the_profile_leaves_out() {
    let folder = Folder::new();
    let intermediate = load(&listener(&folder, "{}"), folder.path());
    let modern = load(&listener(&folder, "profile: modern"), folder.path());
    let reach = async |acceptor: &Acceptor, newest, ciphers| {
        let visitor = Visitor { newest: Some(newest), ciphers, ..Visitor::default() };
        visitor.visit(acceptor).await.0.map(|facts| facts.version).map_err(|error| error.reason)
    };
    assert_eq!(reach(&intermediate, SslVersion::TLS1_3, None).await, Ok("TLSv1.3"));
    assert_eq!(reach(&intermediate, SslVersion::TLS1_2, None).await, Ok("TLSv1.2"));
    assert_eq!(reach(&intermediate, SslVersion::TLS1_1, None).await, Err(Reason::ProtocolVersion));
    assert_eq!(reach(&intermediate, SslVersion::TLS1, None).await, Err(Reason::ProtocolVersion));
    assert_eq!(reach(&modern, SslVersion::TLS1_3, None).await, Ok("TLSv1.3"));
    assert_eq!(reach(&modern, SslVersion::TLS1_2, None).await, Err(Reason::ProtocolVersion));
    let (newest, algorithms) = (Some(SslVersion::TLS1_2), Some("ecdsa_sha1"));
    let sha1 = Visitor { newest, algorithms, ..Visitor::default() }.visit(&intermediate).await.0;
    assert_eq!(sha1.unwrap_err().reason, Reason::NoSharedCipher);
    for weak in ["ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES256-SHA", "AES128-GCM-SHA256", "AES256-SHA"] {
        let refused = reach(&intermediate, SslVersion::TLS1_2, Some(weak)).await;
        assert_eq!(refused, Err(Reason::NoSharedCipher), "{weak}");
    }
}

#[tokio::test]
async fn agrees_on_the_protocol_it_prefers_and_refuses_strangers() {
    let folder = Folder::new();
    let both = load(&listener(&folder, "{}"), folder.path());
    let old = load(&listener(&folder, "protocols: [http/1.1]"), folder.path());
    let agree = async |acceptor: &Acceptor, alpn| {
        let (facts, seen) = Visitor { alpn, ..Visitor::default() }.visit(acceptor).await;
        let told = seen.alpn.as_deref().and_then(Protocol::from_name);
        facts
            .map_err(|error| error.reason)
            .inspect(|facts| assert_eq!(facts.alpn, told))
            .map(|facts| facts.alpn)
    };
    assert_eq!(agree(&both, b"\x08http/1.1\x02h2").await, Ok(Some(Protocol::H2)));
    assert_eq!(agree(&both, b"\x08http/1.1").await, Ok(Some(Protocol::Http11)));
    assert_eq!(agree(&both, b"").await, Ok(None));
    assert_eq!(agree(&both, b"\x06spdy/3").await, Err(Reason::NoApplicationProtocol));
    assert_eq!(agree(&old, b"\x02h2\x08http/1.1").await, Ok(Some(Protocol::Http11)));
    assert_eq!(agree(&old, b"\x02h2").await, Err(Reason::NoApplicationProtocol));
}

#[tokio::test]
async fn tells_what_was_agreed_on() {
    let folder = Folder::new();
    let acceptor = load(&listener(&folder, "{}"), folder.path());
    let (facts, seen) = Visitor { alpn: b"\x02h2", ..asking("Api.Example.COM") }.visit(&acceptor).await;
    let facts = facts.unwrap();
    assert_eq!(seen.group, Some("X25519MLKEM768"));
    assert_eq!(facts.sni.as_deref(), Some("api.example.com"));
    assert_eq!((facts.version, facts.alpn, facts.resumed), ("TLSv1.3", Some(Protocol::H2), false));
    assert!(facts.cipher.starts_with("TLS_"), "{}", facts.cipher);
    assert!(facts.client.is_none());
}

#[tokio::test]
async fn staples_a_response_to_those_who_ask_until_it_is_out_of_date() {
    let folder = Folder::new();
    folder.store("api", &Authority::root("CA").issue(&Leaf::named(&["api.example.com"]).serial(9)));
    let mut certificate = pair("api");
    certificate.ocsp = Some("api.ocsp".into());
    let spec = ServerSpec { certificates: vec![certificate], ..ServerSpec::default() };
    let fresh = ocsp(0, 9, 0x80, FUTURE);
    folder.write("api.ocsp", &fresh);
    let acceptor = load(&spec, folder.path());
    let asking = Visitor { wants_staple: true, ..Visitor::default() };
    for newest in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let asking = Visitor { newest: Some(newest), ..asking.clone() };
        assert_eq!(asking.visit(&acceptor).await.1.staple.as_deref(), Some(fresh.as_slice()), "{newest:?}");
    }
    assert_eq!(Visitor::default().visit(&acceptor).await.1.staple, None);

    folder.write("api.ocsp", ocsp(0, 9, 0x80, PAST));
    assert_eq!(asking.visit(&load(&spec, folder.path())).await.1.staple, None, "out of date");
    folder.write("api.ocsp", ocsp(0, 8, 0x80, FUTURE));
    assert!(problems(&spec, folder.path())[0].contains("about another certificate"));
}

#[tokio::test]
async fn says_why_a_handshake_failed() {
    let folder = Folder::new();
    let acceptor = load(&listener(&folder, "{}"), folder.path());
    let (silent, far) = tokio::io::duplex(1024);
    assert_eq!(acceptor.accept(far, Duration::from_millis(1)).await.unwrap_err().reason, Reason::Timeout);
    drop(silent);

    let after = async |bytes: &[u8]| {
        let (mut near, far) = tokio::io::duplex(1024);
        near.write_all(bytes).await.unwrap();
        drop(near);
        acceptor.accept(far, Duration::from_secs(10)).await.unwrap_err().reason
    };
    assert_eq!(after(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await, Reason::PlainHttp);
    assert_eq!(after(b"CONNECT a:443 HTTP/1.1\r\n\r\n").await, Reason::PlainHttp);
    assert_eq!(after(b"SSH-2.0-OpenSSH_9.2\r\n").await, Reason::NotTls);
    assert_eq!(after(b"").await, Reason::Closed);
    assert_eq!(after(&[0x16, 3, 1, 0, 60, 1]).await, Reason::Closed);
    assert_eq!(
        after(&[0x15, 3, 1, 0, 2, 2, 48]).await,
        Reason::ClientAlert,
        "unknown_ca, before anything else"
    );
}

#[tokio::test]
async fn makes_a_certificate_for_trials() {
    let folder = Folder::new();
    let acceptor = load(&spec("self_signed: [localhost, 127.0.0.1]"), folder.path());
    let (facts, seen) = asking("localhost").visit(&acceptor).await;
    assert_eq!(facts.unwrap().version, "TLSv1.3");
    let certificate = seen.certificate.unwrap();
    assert!(certificate.check_host("localhost").unwrap());
    assert!(certificate.check_ip_asc("127.0.0.1").unwrap());
    assert!(!certificate.check_host("example.com").unwrap());
    assert!(certificate.verify(&certificate.public_key().unwrap()).unwrap());
    assert_eq!(acceptor.certificates()[0].names(), ["localhost", "127.0.0.1"]);
    assert!(acceptor.invalid_certificates().is_empty());
}

#[tokio::test]
async fn serves_an_expired_certificate_and_says_so() {
    let folder = Folder::new();
    folder.store("old", &Authority::root("CA").issue(&Leaf::named(&["api.example.com"]).expired()));
    let acceptor =
        load(&ServerSpec { certificates: vec![pair("old")], ..ServerSpec::default() }, folder.path());
    assert_eq!(served(&acceptor, &Visitor::default()).await, "api.example.com");
    let invalid = acceptor.invalid_certificates();
    assert_eq!(invalid[0].1, Validity::Expired);
    assert_eq!(invalid[0].0.source(), folder.path().join("old.crt"));
}

#[test]
fn tells_everything_that_is_wrong_with_a_spec_at_once() {
    let folder = Folder::new();
    let mut broken =
        listener(&folder, "{ protocols: [], tickets: { rotate: 50h }, client: { mode: required } }");
    broken.certificates.push(pair("missing"));
    broken.certificates[0].names = vec!["*.example.com".to_owned(), "a.*.com".to_owned(), "a b".to_owned()];
    broken.certificates.iter_mut().for_each(|certificate| certificate.default = true);
    let found = problems(&broken, folder.path());
    let expected = [
        "certificates[1].default: ",
        "certificates[0].names[1]: ",
        "certificates[0].names[2]: ",
        "certificates[1]: cannot read ",
        "protocols: ",
        "tickets.rotate: ",
        "client.ca: ",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found} for {expected}");
    }
    assert_eq!(problems(&spec("{}"), folder.path()), ["needs `certificates`, or `self_signed` for trials"]);
    assert!(problems(&listener(&folder, "self_signed: [a]"), folder.path())[0].starts_with("self_signed: "));
    assert!(
        problems(&listener(&folder, "client: { ca: a.crt }"), folder.path())[0].starts_with("client.mode: ")
    );
}

#[test]
fn refuses_unknown_keys() {
    assert!(serde_yaml::from_str::<ServerSpec>("{ profil: modern }").is_err());
    assert!(serde_yaml::from_str::<ServerSpec>("{ profile: old }").is_err());
    assert!(
        serde_yaml::from_str::<ServerSpec>("{ profile: modern, client: { mode: optional, ca: a } }").is_ok()
    );
}
