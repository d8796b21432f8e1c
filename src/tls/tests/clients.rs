//! Certificates of clients: who gets in, who does not, and what is known of those who do.

use boring::ssl::SslVersion;

use super::super::fixtures::{Authority, Crl, Folder, Issued, Leaf, PAST, Visitor, crl_pem};
use super::super::{Acceptor, HandshakeError, Reason, TlsFacts};
use super::{listener, load, problems};

const VERSIONS: [SslVersion; 2] = [SslVersion::TLS1_2, SslVersion::TLS1_3];

async fn come(
    acceptor: &Acceptor,
    identity: Option<&Issued>,
    version: SslVersion,
) -> Result<TlsFacts, HandshakeError> {
    Visitor { identity, newest: Some(version), ..Visitor::default() }.visit(acceptor).await.0
}

/// How a client fares: whether it was identified, or why it was refused.
async fn fate(acceptor: &Acceptor, identity: Option<&Issued>, version: SslVersion) -> Result<bool, Reason> {
    come(acceptor, identity, version).await.map(|facts| facts.client.is_some()).map_err(|error| error.reason)
}

#[tokio::test]
async fn lets_in_whom_the_mode_lets_in() {
    let (folder, authority) = (Folder::new(), Authority::root("Client CA"));
    folder.write("ca.crt", authority.pem());
    let good = authority.issue(&Leaf::client());
    let expired = authority.issue(&Leaf::client().expired());
    let stranger = Authority::root("Other CA").issue(&Leaf::client());
    let namesake = Authority::root("Client CA").issue(&Leaf::client());
    let a_server = authority.issue(&Leaf::named(&["api.example.com"]));

    let off = load(&listener(&folder, "{}"), folder.path());
    let optional = load(&listener(&folder, "client: { mode: optional, ca: ca.crt }"), folder.path());
    let required = load(&listener(&folder, "client: { mode: required, ca: ca.crt }"), folder.path());
    for version in VERSIONS {
        assert_eq!(fate(&off, None, version).await, Ok(false));
        assert_eq!(fate(&off, Some(&good), version).await, Ok(false), "nobody asked");
        assert_eq!(fate(&optional, None, version).await, Ok(false));
        assert_eq!(fate(&required, None, version).await, Err(Reason::ClientCertificateRequired));
        for acceptor in [&optional, &required] {
            assert_eq!(fate(acceptor, Some(&good), version).await, Ok(true));
            assert_eq!(fate(acceptor, Some(&expired), version).await, Err(Reason::ClientCertificateExpired));
            assert_eq!(fate(acceptor, Some(&stranger), version).await, Err(Reason::UnknownCa));
            let forged = fate(acceptor, Some(&namesake), version).await;
            assert_eq!(forged, Err(Reason::ClientCertificateInvalid), "signed by another key");
            assert_eq!(fate(acceptor, Some(&a_server), version).await, Err(Reason::ClientCertificateInvalid));
        }
    }
}

#[tokio::test]
async fn tells_who_the_client_is() {
    let (folder, authority) = (Folder::new(), Authority::root("Client CA"));
    folder.write("ca.crt", authority.pem());
    let acceptor = load(&listener(&folder, "client: { mode: required, ca: ca.crt }"), folder.path());
    let names = ["Billing.Example.com", "spiffe://example.com/billing", "billing@example.com"];
    let issued = authority.issue(&Leaf { names: &names, ..Leaf::client() }.serial(0x00ab_cdef));
    let facts = come(&acceptor, Some(&issued), SslVersion::TLS1_3).await.unwrap();
    let client = facts.client.unwrap();
    assert_eq!(client.subject, "CN=Billing.Example.com");
    assert_eq!(client.issuer, "CN=Client CA");
    assert_eq!(client.serial, "abcdef");
    assert_eq!(client.san_dns, ["billing.example.com"]);
    assert_eq!(client.san_uri, ["spiffe://example.com/billing"]);
    assert_eq!(client.san_email, ["billing@example.com"]);
    assert_eq!(client.der, issued.certificate.to_der().unwrap());
    assert_eq!(client.fingerprint_sha256.len(), 64);
    assert!(client.not_after > super::system_clock());
}

#[tokio::test]
async fn tells_by_which_certificates_the_client_was_verified() {
    let (folder, root) = (Folder::new(), Authority::root("Client CA"));
    let upper = root.intermediate("Upper");
    let lower = upper.intermediate("Lower");
    let stranger = Authority::root("Stranger");
    let mut client = lower.issue(&Leaf::client());
    let der = |authority: &Authority| authority.certificate.to_der().unwrap();
    let above = async |ca: &Authority, client: &Issued, version| {
        folder.write("ca.crt", ca.pem());
        let acceptor = load(&listener(&folder, "client: { mode: required, ca: ca.crt }"), folder.path());
        come(&acceptor, Some(client), version).await.unwrap().client.unwrap().above.clone()
    };
    for version in VERSIONS {
        assert_eq!(above(&root, &client, version).await, [der(&lower), der(&upper)]);
        assert_eq!(above(&upper, &client, version).await, [der(&lower)], "the authority is left out");
        assert!(above(&lower, &client, version).await.is_empty());
    }
    client.above = vec![
        stranger.certificate,
        upper.certificate.clone(),
        lower.certificate.clone(),
        root.certificate.clone(),
    ];
    let found = above(&root, &client, SslVersion::TLS1_3).await;
    assert_eq!(found, [der(&lower), der(&upper)], "in their order, and no other");
}

#[tokio::test]
async fn refuses_revoked_clients_and_keeps_the_others() {
    let (folder, authority) = (Folder::new(), Authority::root("Client CA"));
    folder.write("ca.crt", authority.pem());
    folder.write("ca.crl", crl_pem(&authority.crl(&Crl::of(&[3, 0x0100_0007]))));
    let spec = listener(&folder, "client: { mode: optional, ca: ca.crt, crl: ca.crl }");
    let acceptor = load(&spec, folder.path());
    let good = authority.issue(&Leaf::client().serial(4));
    for version in VERSIONS {
        for serial in [3, 0x0100_0007] {
            let revoked = authority.issue(&Leaf::client().serial(serial));
            assert_eq!(fate(&acceptor, Some(&revoked), version).await, Err(Reason::ClientCertificateRevoked));
        }
        assert_eq!(fate(&acceptor, Some(&good), version).await, Ok(true));
        assert_eq!(fate(&acceptor, None, version).await, Ok(false));
    }
    folder.write("ca.crl", authority.crl(&Crl { until: PAST, ..Crl::of(&[]) }));
    let acceptor = load(&spec, folder.path());
    assert_eq!(
        fate(&acceptor, Some(&good), SslVersion::TLS1_3).await,
        Err(Reason::RevocationUnknown),
        "out of date"
    );
}

#[tokio::test]
async fn asks_every_issuer_in_the_chain_for_revocation() {
    let (folder, root) = (Folder::new(), Authority::root("Root"));
    let middle = root.intermediate("Middle");
    let client = middle.issue(&Leaf::client().serial(5));
    let spec = listener(&folder, "client: { mode: required, ca: ca.crt, crl: ca.crl }");
    let fare = async |authorities: &[&Authority], lists: &[Vec<u8>]| {
        folder.write("ca.crt", authorities.iter().flat_map(|authority| authority.pem()).collect::<Vec<_>>());
        folder.write("ca.crl", lists.iter().map(|list| crl_pem(list)).collect::<String>());
        fate(&load(&spec, folder.path()), Some(&client), SslVersion::TLS1_3).await
    };
    let (root_list, middle_list) = (root.crl(&Crl::of(&[])), middle.crl(&Crl::of(&[])));
    assert_eq!(fare(&[&root], std::slice::from_ref(&root_list)).await, Err(Reason::RevocationUnknown));
    assert_eq!(fare(&[&root, &middle], &[root_list, middle_list.clone()]).await, Ok(true));
    assert_eq!(fare(&[&middle], &[middle_list]).await, Ok(true), "an intermediate may be what is trusted");
    let revoked = middle.crl(&Crl::of(&[5]));
    assert_eq!(fare(&[&middle], &[revoked]).await, Err(Reason::ClientCertificateRevoked));
}

#[tokio::test]
async fn limits_the_depth_of_chains() {
    let (folder, root) = (Folder::new(), Authority::root("Root"));
    folder.write("ca.crt", root.pem());
    let client = root.intermediate("One").intermediate("Two").issue(&Leaf::client());
    let fare = async |depth: &str| {
        let spec = listener(&folder, &format!("client: {{ mode: required, ca: ca.crt{depth} }}"));
        fate(&load(&spec, folder.path()), Some(&client), SslVersion::TLS1_3).await
    };
    assert_eq!(fare("").await, Ok(true));
    assert_eq!(fare(", depth: 2").await, Ok(true));
    assert!(fare(", depth: 1").await.is_err());
}

#[test]
fn refuses_authorities_and_lists_that_cannot_be_used() {
    let (folder, authority) = (Folder::new(), Authority::root("Client CA"));
    let spec = listener(&folder, "client: { mode: required, ca: ca.crt, crl: ca.crl }");
    let told = |ca: Vec<u8>, crl: Vec<u8>| {
        folder.write("ca.crt", ca);
        folder.write("ca.crl", crl);
        problems(&spec, folder.path()).join("; ")
    };
    assert_eq!(told(authority.pem(), authority.crl(&Crl::of(&[1]))), "");
    assert!(told(b"nothing".to_vec(), Vec::new()).contains("client.ca: "));
    assert!(told(authority.pem(), b"nothing".to_vec()).contains("holds no revocation list"));
    assert!(told(authority.pem(), Authority::root("Other").crl(&Crl::of(&[]))).contains("not in `ca`"));
    assert!(
        told(authority.pem(), Authority::root("Client CA").crl(&Crl::of(&[]))).contains("is not signed by")
    );
    let critical = authority.crl(&Crl { critical: true, ..Crl::of(&[]) });
    assert!(told(authority.pem(), critical).contains("critical extension"));
}
