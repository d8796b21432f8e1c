//! TLS to upstreams, as Pingora's own connector does it.

use pingora_core::connectors::TransportConnector;
use pingora_core::upstreams::peer::{HttpPeer, Peer};
use tokio::net::TcpListener;

use super::super::fixtures::{Authority, Folder, Leaf};
use super::super::spec::{ClientSpec, ServerSpec};
use super::super::{Acceptor, Client, TlsFacts};
use super::{load, pair};

fn client(yaml: &str, folder: &Folder) -> Client {
    let spec: ClientSpec = serde_yaml::from_str(yaml).unwrap();
    Client::load(&spec, folder.path()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn told(yaml: &str, folder: &Folder) -> String {
    let spec: ClientSpec = serde_yaml::from_str(yaml).unwrap();
    let problems = Client::load(&spec, folder.path()).err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Connects to a backend written as `host`: what the backend learnt of us, or `None` if the handshake failed.
async fn reach(backend: &Acceptor, client: &Client, host: &str) -> Option<TlsFacts> {
    let sockets = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut peer = HttpPeer::new(sockets.local_addr().unwrap(), true, String::new());
    client.apply(&mut peer, host);
    let serve = async {
        let (socket, _) = sockets.accept().await.unwrap();
        let stream = backend
            .accept(
                pingora_core::protocols::l4::stream::Stream::from(socket),
                std::time::Duration::from_secs(10),
            )
            .await
            .ok()?;
        stream.ssl_digest()?.extension.get::<TlsFacts>().cloned()
    };
    let connect = async {
        let mut stream = TransportConnector::new(None).new_stream(&peer).await.ok()?;
        stream.shutdown().await;
        Some(())
    };
    let (facts, connected) = tokio::join!(serve, connect);
    connected.and(facts)
}

fn backend(folder: &Folder, authority: &Authority, yaml: &str) -> Acceptor {
    folder.write("backend-ca.crt", authority.pem());
    folder.store("backend", &authority.issue(&Leaf::named(&["orders.internal"])));
    load(&ServerSpec { certificates: vec![pair("backend")], ..super::spec(yaml) }, folder.path())
}

#[tokio::test]
async fn verifies_the_backend_unless_told_not_to() {
    let (folder, authority) = (Folder::new(), Authority::root("Backend CA"));
    let backend = backend(&folder, &authority, "{}");
    folder.write("other-ca.crt", Authority::root("Other CA").pem());
    let reach = async |yaml: &str, host: &str| reach(&backend, &client(yaml, &folder), host).await;

    let facts = reach("ca: backend-ca.crt", "orders.internal").await.unwrap();
    assert_eq!(facts.sni.as_deref(), Some("orders.internal"));
    assert!(reach("{ ca: backend-ca.crt, sni: orders.internal }", "10.0.0.1").await.is_some());
    assert!(reach("{ ca: backend-ca.crt, alternative_name: orders.internal }", "a.internal").await.is_some());
    for host in ["a.internal", ""] {
        assert!(reach("danger_accept_invalid_certificates: true", host).await.is_some());
    }

    assert!(reach("{}", "orders.internal").await.is_none(), "the system's roots do not know it");
    assert!(reach("ca: other-ca.crt", "orders.internal").await.is_none());
    assert!(reach("ca: backend-ca.crt", "other.internal").await.is_none());
    assert!(reach("ca: backend-ca.crt", "127.0.0.1").await.is_none(), "no name is no reason to trust");
    assert!(reach("ca: backend-ca.crt", "").await.is_none());
}

#[tokio::test]
async fn shows_its_certificate_to_the_backend() {
    let (folder, authority) = (Folder::new(), Authority::root("Backend CA"));
    let backend = backend(&folder, &authority, "client: { mode: required, ca: backend-ca.crt }");
    folder.store("edge", &authority.intermediate("Edge CA").issue(&Leaf::client()));
    let with = "{ ca: backend-ca.crt, client_certificate: { cert: edge.crt, key: edge.key } }";
    let facts = reach(&backend, &client(with, &folder), "orders.internal").await.unwrap();
    assert_eq!(facts.client.unwrap().san_dns, ["billing.example.com"]);
    assert!(reach(&backend, &client("ca: backend-ca.crt", &folder), "orders.internal").await.is_none());
}

#[test]
fn sets_connections_apart_by_every_certificate() {
    let (folder, authority) = (Folder::new(), Authority::root("CA"));
    folder.write("ca.crt", authority.pem());
    folder.store("edge", &authority.issue(&Leaf::client()));
    let yaml = "{ ca: ca.crt, client_certificate: { cert: edge.crt, key: edge.key } }";
    let first = client(yaml, &folder);
    assert_eq!(first.group_key(), client(yaml, &folder).group_key());
    assert!(!first.changed());
    // same serial, so that nothing but the contents differ
    folder.store("edge", &authority.issue(&Leaf::client()));
    assert!(first.changed());
    let second = client(yaml, &folder);
    folder.write("ca.crt", Authority::root("CA").pem());
    let third = client(yaml, &folder);
    let others = [client("ca: ca.crt", &folder), client("{}", &folder)];
    let keys: std::collections::HashSet<_> =
        [&first, &second, &third].into_iter().chain(&others).map(Client::group_key).collect();
    assert_eq!(keys.len(), 5);

    let hash = |client: &Client| {
        let mut peer = HttpPeer::new("127.0.0.1:1", true, String::new());
        client.apply(&mut peer, "orders.internal");
        peer.reuse_hash()
    };
    assert_eq!(hash(&third), hash(&client(yaml, &folder)));
    assert_ne!(hash(&second), hash(&third), "Pingora's pool sees it");
}

#[test]
fn refuses_what_would_not_verify_or_means_nothing() {
    let folder = Folder::new();
    let authority = Authority::root("CA");
    folder.write("ca.crt", authority.pem());
    folder.store("edge", &authority.issue(&Leaf::client()));
    assert_eq!(told("{ ca: ca.crt, sni: a.internal }", &folder), "");
    assert!(told("ca: none.crt", &folder).starts_with("ca: cannot read"));
    assert!(told("{ sni: '' }", &folder).starts_with("sni: "));
    assert!(told("{ ca: ca.crt, danger_accept_invalid_certificates: true }", &folder).starts_with("ca: "));
    let swapped = "client_certificate: { cert: ca.crt, key: edge.key }";
    assert!(told(swapped, &folder).starts_with("client_certificate: the key in"));

    assert!(client("{}", &folder).check_host("orders.internal").is_ok());
    assert_eq!(client("{}", &folder).check_host("10.0.0.1").unwrap_err().at, "sni");
    assert_eq!(client("{}", &folder).check_host("").unwrap_err().at, "sni");
    assert!(client("sni: orders.internal", &folder).check_host("10.0.0.1").is_ok());
    assert!(client("danger_accept_invalid_certificates: true", &folder).check_host("::1").is_ok());
}
