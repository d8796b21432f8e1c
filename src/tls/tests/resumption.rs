//! Session tickets, with OpenSSL as the client that returns.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::process::Command;

use super::super::fixtures::{Authority, Crl, DAY, Folder, Leaf, crl_pem};
use super::super::{Acceptor, HandshakeError, Reason, TlsFacts, system_clock};
use super::{listener, load};

/// A client that starts from the session in `session`, if there is one, and stores its new one there.
async fn openssl(acceptor: &Acceptor, folder: &Path, version: &str) -> Result<TlsFacts, HandshakeError> {
    let (socket, session) = (folder.join("socket"), folder.join("session"));
    let _none_before = std::fs::remove_file(&socket);
    let sockets = UnixListener::bind(&socket).unwrap();
    let mut client = Command::new("openssl");
    client.arg("s_client").arg("-unix").arg(&socket).args([version, "-ign_eof", "-sess_out"]).arg(&session);
    if session.exists() {
        client.arg("-sess_in").arg(&session);
    }
    if folder.join("client.crt").exists() {
        client.arg("-cert").arg(folder.join("client.crt")).arg("-key").arg(folder.join("client.key"));
    }
    client.stdin(std::process::Stdio::null()).kill_on_drop(true);
    let (outcome, output) = tokio::join!(serve(acceptor, &sockets), client.output());
    output.expect("openssl is installed");
    outcome
}

async fn serve(acceptor: &Acceptor, sockets: &UnixListener) -> Result<TlsFacts, HandshakeError> {
    let (stream, _): (UnixStream, _) = sockets.accept().await.unwrap();
    let mut stream = acceptor.accept(stream, std::time::Duration::from_secs(10)).await?;
    stream.write_all(b"bye").await.unwrap();
    AsyncWriteExt::shutdown(&mut stream).await.unwrap();
    let digest = stream.ssl_digest().unwrap();
    Ok(digest.extension.get::<TlsFacts>().unwrap().clone())
}

const VERSIONS: [&str; 2] = ["-tls1_2", "-tls1_3"];

#[tokio::test]
async fn resumes_sessions_over_a_reload_of_certificates() {
    for version in VERSIONS {
        let folder = Folder::new();
        let acceptor = load(&listener(&folder, "{}"), folder.path());
        assert!(!openssl(&acceptor, folder.path(), version).await.unwrap().resumed, "{version}");
        assert!(openssl(&acceptor, folder.path(), version).await.unwrap().resumed, "{version}");
        folder.store("api", &Authority::root("CA").issue(&Leaf::named(&["new.example.com"])));
        assert_eq!(acceptor.reload().problems, []);
        assert!(openssl(&acceptor, folder.path(), version).await.unwrap().resumed, "{version}");
    }
}

#[tokio::test]
async fn resumes_nothing_with_tickets_off() {
    for version in VERSIONS {
        let folder = Folder::new();
        let acceptor = load(&listener(&folder, "tickets: { mode: off }"), folder.path());
        assert!(!openssl(&acceptor, folder.path(), version).await.unwrap().resumed);
        assert!(!openssl(&acceptor, folder.path(), version).await.unwrap().resumed);
    }
}

#[tokio::test]
async fn retires_ticket_keys_when_they_are_due() {
    static NOW: AtomicI64 = AtomicI64::new(0);
    NOW.store(system_clock(), Ordering::Relaxed);
    let folder = Folder::new();
    let spec = listener(&folder, "tickets: { rotate: 1h }");
    let acceptor = Acceptor::load_at(&spec, folder.path(), || NOW.load(Ordering::Relaxed)).unwrap();
    openssl(&acceptor, folder.path(), "-tls1_3").await.unwrap();
    NOW.fetch_add(3599, Ordering::Relaxed);
    assert_eq!(acceptor.rotate_tickets(), Ok(false));
    assert!(openssl(&acceptor, folder.path(), "-tls1_3").await.unwrap().resumed);
    NOW.fetch_add(1, Ordering::Relaxed);
    assert_eq!(acceptor.rotate_tickets(), Ok(true));
    assert_eq!(acceptor.rotate_tickets(), Ok(false));
    assert!(!openssl(&acceptor, folder.path(), "-tls1_3").await.unwrap().resumed);
    assert!(openssl(&acceptor, folder.path(), "-tls1_3").await.unwrap().resumed, "with the new keys");
}

#[tokio::test]
async fn knows_a_returning_client_until_its_certificate_expires() {
    static NOW: AtomicI64 = AtomicI64::new(0);
    for version in VERSIONS {
        NOW.store(system_clock(), Ordering::Relaxed);
        let (folder, authority) = (Folder::new(), Authority::root("Client CA"));
        folder.write("ca.crt", authority.pem());
        folder.store("client", &authority.issue(&Leaf::client()));
        let spec = listener(&folder, "client: { mode: required, ca: ca.crt }");
        let acceptor = Acceptor::load_at(&spec, folder.path(), || NOW.load(Ordering::Relaxed)).unwrap();
        let first = openssl(&acceptor, folder.path(), version).await.unwrap();
        let second = openssl(&acceptor, folder.path(), version).await.unwrap();
        assert!(!first.resumed && second.resumed, "{version}");
        assert_eq!(first.client.unwrap(), second.client.unwrap());
        NOW.fetch_add(DAY + 1, Ordering::Relaxed);
        let refused = openssl(&acceptor, folder.path(), version).await.unwrap_err();
        assert_eq!(refused.reason, Reason::ClientCertificateExpired);
    }
}

#[tokio::test]
async fn verifies_a_returning_client_anew_when_a_list_revokes_it() {
    let (folder, authority) = (Folder::new(), Authority::root("Client CA"));
    folder.write("ca.crt", authority.pem());
    folder.write("ca.crl", crl_pem(&authority.crl(&Crl::of(&[]))));
    folder.store("client", &authority.issue(&Leaf::client().serial(5)));
    let acceptor =
        load(&listener(&folder, "client: { mode: required, ca: ca.crt, crl: ca.crl }"), folder.path());
    openssl(&acceptor, folder.path(), "-tls1_3").await.unwrap();
    assert!(openssl(&acceptor, folder.path(), "-tls1_3").await.unwrap().resumed);
    folder.write("ca.crl", crl_pem(&authority.crl(&Crl::of(&[5]))));
    assert!(acceptor.reload().new_client_auth);
    let refused = openssl(&acceptor, folder.path(), "-tls1_3").await.unwrap_err();
    assert_eq!(refused.reason, Reason::ClientCertificateRevoked);
}
