//! Files that change under a running listener.

use boring::ssl::SslVersion;

use super::super::fixtures::{Authority, Crl, Folder, Leaf, Visitor, crl_pem};
use super::super::{Acceptor, Reason};
use super::{listener, load};

async fn serial(acceptor: &Acceptor) -> String {
    let (_, seen) = Visitor::default().visit(acceptor).await;
    seen.certificate.unwrap().serial_number().to_bn().unwrap().to_dec_str().unwrap().to_string()
}

#[tokio::test]
async fn takes_over_a_new_pair() {
    let folder = Folder::new();
    let acceptor = load(&listener(&folder, "{}"), folder.path());
    assert!(!acceptor.changed());
    assert!(acceptor.reload().replaced.is_empty());
    folder.store("api", &Authority::root("CA").issue(&Leaf::named(&["new.example.com"]).serial(8)));
    assert!(acceptor.changed());
    let reloaded = acceptor.reload();
    assert_eq!(reloaded.replaced, [folder.path().join("api.crt")]);
    assert_eq!(reloaded.problems, []);
    assert!(!acceptor.changed());
    assert_eq!(serial(&acceptor).await, "8");
    assert_eq!(acceptor.certificates()[0].names(), ["new.example.com"]);
}

#[tokio::test]
async fn keeps_the_old_pair_while_the_new_one_does_not_fit() {
    let folder = Folder::new();
    let acceptor = load(&listener(&folder, "{}"), folder.path());
    let new = Authority::root("CA").issue(&Leaf::named(&["api.example.com"]).serial(8));
    folder.write("api.crt", new.chain_pem());
    let reloaded = acceptor.reload();
    assert_eq!(reloaded.replaced, [] as [std::path::PathBuf; 0]);
    assert_eq!(reloaded.problems[0].at, "certificates[0]");
    assert!(reloaded.problems[0].message.contains("is not the one of the certificate"));
    assert!(!acceptor.changed(), "it is not tried again until a file changes");
    assert_eq!(serial(&acceptor).await, "7");

    folder.write("api.key", new.key.private_key_to_pem_pkcs8().unwrap());
    assert!(acceptor.changed());
    assert_eq!(acceptor.reload().problems, []);
    assert_eq!(serial(&acceptor).await, "8");
}

#[tokio::test]
async fn keeps_the_old_pair_when_the_new_one_is_gone_or_has_expired() {
    let folder = Folder::new();
    let acceptor = load(&listener(&folder, "{}"), folder.path());
    std::fs::remove_file(folder.path().join("api.key")).unwrap();
    assert!(acceptor.changed());
    assert!(acceptor.reload().problems[0].message.contains("cannot read"));
    folder.store("api", &Authority::root("CA").issue(&Leaf::named(&["api.example.com"]).serial(8).expired()));
    assert!(acceptor.reload().problems[0].message.contains("does not replace one that is"));
    assert_eq!(serial(&acceptor).await, "7");
}

#[tokio::test]
async fn takes_over_a_new_revocation_list_and_keeps_the_old_when_it_is_broken() {
    let (folder, authority) = (Folder::new(), Authority::root("Client CA"));
    folder.write("ca.crt", authority.pem());
    folder.write("ca.crl", crl_pem(&authority.crl(&Crl::of(&[1]))));
    let spec = listener(&folder, "client: { mode: required, ca: ca.crt, crl: ca.crl }");
    let acceptor = load(&spec, folder.path());
    let client = authority.issue(&Leaf::client().serial(2));
    let fate = async || {
        let visitor =
            Visitor { identity: Some(&client), newest: Some(SslVersion::TLS1_3), ..Visitor::default() };
        visitor.visit(&acceptor).await.0.map(|_| ()).map_err(|error| error.reason)
    };
    assert_eq!(fate().await, Ok(()));
    folder.write("ca.crl", "garbage");
    let reloaded = acceptor.reload();
    assert!(!reloaded.new_client_auth);
    assert_eq!(reloaded.problems[0].at, "client.crl");
    assert_eq!(fate().await, Ok(()));
    folder.write("ca.crl", crl_pem(&authority.crl(&Crl::of(&[1, 2]))));
    assert!(acceptor.reload().new_client_auth);
    assert_eq!(fate().await, Err(Reason::ClientCertificateRevoked));
}

#[test]
fn belongs_to_its_spec_and_no_other() {
    let folder = Folder::new();
    let spec = listener(&folder, "{}");
    let acceptor = load(&spec, folder.path());
    assert!(acceptor.serves(&spec, folder.path()));
    assert!(!acceptor.serves(&listener(&folder, "profile: modern"), folder.path()));
    assert!(!acceptor.serves(&spec, std::path::Path::new("/")));
}
