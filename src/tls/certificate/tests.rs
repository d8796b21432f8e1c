use super::*;
use crate::tls::fixtures::{Authority, DAY, Folder, Leaf, make_key};
use crate::tls::system_clock;
use boring::rsa::Rsa;
use boring::symm::Cipher;

fn told(folder: &Folder) -> String {
    let files = PairFiles { cert: folder.path().join("a.crt"), key: folder.path().join("a.key"), ocsp: None };
    Certificate::load(&files).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn reads_a_chain_and_its_names() {
    let folder = Folder::new();
    let issuer = Authority::root("Root").intermediate("One").intermediate("Two");
    folder.store("a", &issuer.issue(&Leaf::named(&["API.example.com", "*.example.com", "10.0.0.1", "::1"])));
    let files = PairFiles { cert: folder.path().join("a.crt"), key: folder.path().join("a.key"), ocsp: None };
    let certificate = Certificate::load(&files).unwrap();
    assert_eq!(certificate.names(), ["api.example.com", "*.example.com", "10.0.0.1", "::1"]);
    assert_eq!(certificate.split().unwrap().1.len(), 2);
    let now = system_clock();
    assert_eq!(certificate.validity(now), Validity::Valid);
    assert_eq!(certificate.validity(now - 2 * DAY), Validity::NotYet);
    assert_eq!(certificate.validity(certificate.not_after()), Validity::Valid);
    assert_eq!(certificate.validity(certificate.not_after() + 1), Validity::Expired);
}

#[test]
fn refuses_a_chain_out_of_order() {
    let folder = Folder::new();
    let authority = Authority::root("Root").intermediate("One").intermediate("Two");
    let mut issued = authority.issue(&Leaf::named(&["a.example"]));
    folder.store("a", &issued);
    assert_eq!(told(&folder), "");
    issued.above.reverse();
    folder.store("a", &issued);
    assert!(
        told(&folder).contains("a.crt: certificate 2 did not issue the one before it"),
        "{}",
        told(&folder)
    );
    issued.above = vec![authority.certificate.clone(), Authority::root("One").certificate];
    folder.store("a", &issued);
    assert!(told(&folder).contains("certificate 3 did not issue"), "a namesake did not sign it");
}

#[test]
fn refuses_files_that_hold_something_else_and_names_them() {
    let folder = Folder::new();
    let issued = Authority::root("Root").issue(&Leaf::named(&["a.example"]));
    folder.store("a", &issued);
    folder.write("a.crt", "nothing");
    assert!(told(&folder).ends_with("a.crt holds no certificate in PEM"));
    folder.store("a", &issued);
    fs::copy(folder.path().join("a.key"), folder.path().join("a.crt")).unwrap();
    assert!(told(&folder).ends_with("a.crt holds no certificate in PEM, but a private key"));
    fs::write(folder.path().join("a.crt"), issued.certificate.to_der().unwrap()).unwrap();
    assert!(told(&folder).contains("a.crt holds no certificate in PEM, but DER: convert it"));
    folder.store("a", &issued);
    folder.write("a.key", "nothing");
    assert!(told(&folder).ends_with("a.key holds no private key in PEM"));
    fs::remove_file(folder.path().join("a.key")).unwrap();
    assert!(told(&folder).contains("cannot read") && told(&folder).contains("a.key"));
}

#[test]
fn refuses_keys_that_are_encrypted_or_weak_or_of_another_certificate() {
    let folder = Folder::new();
    let issued = Authority::root("Root").issue(&Leaf::named(&["a.example"]));
    folder.store("a", &issued);
    folder
        .write("a.key", issued.key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"x").unwrap());
    assert!(told(&folder).contains("is encrypted"));
    folder.write("a.key", make_key(KeyKind::EcdsaP256).private_key_to_pem_pkcs8().unwrap());
    assert!(told(&folder).contains("is not the one of the certificate"));
    folder.write("a.key", Rsa::generate(1024).unwrap().private_key_to_pem().unwrap());
    assert!(told(&folder).contains("is RSA of 1024 bits, at least 2048 are needed"));
    folder.write("a.key", issued.key.ec_key().unwrap().private_key_to_pem().unwrap());
    assert_eq!(told(&folder), "", "the older form of PEM will do");
}
