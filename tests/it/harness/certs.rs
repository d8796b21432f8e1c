//! Certificates for tests, issued on the spot.

use boring::asn1::{Asn1Integer, Asn1Time};
use boring::bn::BigNum;
use boring::ec::{EcGroup, EcKey};
use boring::hash::MessageDigest;
use boring::nid::Nid;
use boring::pkey::{PKey, Private};
use boring::rsa::Rsa;
use boring::ssl::{AlpnError, SslAcceptor, SslMethod, SslVerifyMode, select_next_proto};
use boring::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName};
use boring::x509::store::X509StoreBuilder;
use boring::x509::{X509, X509Builder, X509Name, X509NameRef};

use super::folder::Folder;

const DAY: i64 = 86_400;

/// A certificate to be issued.
#[derive(Clone)]
pub struct Leaf<'a> {
    /// DNS names, IP addresses, URIs and mail addresses; the first is the common name too.
    pub names: &'a [&'a str],
    /// An RSA key rather than one on P-256.
    pub rsa: bool,
    /// For clients rather than for servers.
    pub for_client: bool,
    /// Days from now until it ends; in the past if negative.
    pub days: i64,
    /// Its serial number.
    pub serial: u32,
}

impl<'a> Leaf<'a> {
    /// A server's, with an ECDSA key, good for a day.
    pub fn named(names: &'a [&'a str]) -> Self {
        Self { names, rsa: false, for_client: false, days: 1, serial: 7 }
    }

    /// A client's.
    pub fn client(names: &'a [&'a str]) -> Self {
        Self { for_client: true, ..Self::named(names) }
    }
}

/// A certificate with its key.
#[derive(Clone)]
pub struct Issued {
    pub certificate: X509,
    pub key: PKey<Private>,
    /// What is sent with it.
    pub above: Vec<X509>,
}

/// Who issues them.
#[derive(Clone)]
pub struct Authority {
    pub certificate: X509,
    pub key: PKey<Private>,
}

impl Authority {
    /// A root.
    pub fn new(name: &str) -> Self {
        let (subject, key) = (common_name(name), elliptic());
        Self::certified(&subject, key.clone(), &subject, &key)
    }

    /// One below this one.
    pub fn intermediate(&self, name: &str) -> Self {
        Self::certified(&common_name(name), elliptic(), self.certificate.subject_name(), &self.key)
    }

    fn certified(subject: &X509Name, key: PKey<Private>, issuer: &X509NameRef, by: &PKey<Private>) -> Self {
        let mut builder = begin(subject, &key, issuer, 1, (-10 * DAY, 10 * DAY));
        builder.append_extension(&BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        let usage = KeyUsage::new().critical().key_cert_sign().crl_sign().build().unwrap();
        builder.append_extension(&usage).unwrap();
        builder.sign(by, MessageDigest::sha256()).unwrap();
        Self { certificate: builder.build(), key }
    }

    /// Its certificate.
    pub fn pem(&self) -> Vec<u8> {
        self.certificate.to_pem().unwrap()
    }

    /// Issues a certificate.
    pub fn issue(&self, leaf: &Leaf<'_>) -> Issued {
        let key = if leaf.rsa { PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap() } else { elliptic() };
        let starts = leaf.days.min(0) * DAY - DAY;
        let issuer = self.certificate.subject_name();
        let subject = common_name(leaf.names[0]);
        let mut builder = begin(&subject, &key, issuer, leaf.serial, (starts, leaf.days * DAY));
        let mut names = SubjectAlternativeName::new();
        for name in leaf.names {
            match name.parse::<std::net::IpAddr>() {
                Ok(_) => names.ip(name),
                Err(_) if name.contains("://") => names.uri(name),
                Err(_) if name.contains('@') => names.email(name),
                Err(_) => names.dns(name),
            };
        }
        let names = names.build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(&names).unwrap();
        let mut usage = ExtendedKeyUsage::new();
        if leaf.for_client {
            usage.client_auth();
        } else {
            usage.server_auth();
        }
        builder.append_extension(&usage.build().unwrap()).unwrap();
        builder.sign(&self.key, MessageDigest::sha256()).unwrap();
        Issued { certificate: builder.build(), key, above: Vec::new() }
    }

    /// Issues a server's certificate.
    pub fn server(&self, names: &[&str]) -> Issued {
        self.issue(&Leaf::named(names))
    }
}

impl Issued {
    /// The certificate in PEM.
    pub fn cert_pem(&self) -> Vec<u8> {
        self.certificate.to_pem().unwrap()
    }

    /// The key in PEM.
    pub fn key_pem(&self) -> Vec<u8> {
        self.key.private_key_to_pem_pkcs8().unwrap()
    }

    /// Writes `NAME.crt` and `NAME.key`.
    pub fn store(&self, folder: &Folder, name: &str) {
        folder.write(&format!("{name}.crt"), self.cert_pem());
        folder.write(&format!("{name}.key"), self.key_pem());
    }

    /// Serves TLS with it: to everyone, or to clients of `clients` alone. Speaks the protocols of `alpn`, each with
    /// its length before it.
    pub fn acceptor(&self, clients: Option<&Authority>, alpn: &'static [u8]) -> SslAcceptor {
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
        builder.set_certificate(&self.certificate).unwrap();
        builder.set_private_key(&self.key).unwrap();
        if let Some(clients) = clients {
            let mut store = X509StoreBuilder::new().unwrap();
            store.add_cert(clients.certificate.clone()).unwrap();
            builder.set_cert_store_builder(store);
            builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        }
        builder.set_alpn_select_callback(move |_, offered| {
            select_next_proto(alpn, offered).ok_or(AlpnError::NOACK)
        });
        builder.build()
    }
}

fn elliptic() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn begin(
    subject: &X509Name,
    key: &PKey<Private>,
    issuer: &X509NameRef,
    serial: u32,
    (starts, ends): (i64, i64),
) -> X509Builder {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs().cast_signed();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&Asn1Integer::from_bn(&BigNum::from_u32(serial).unwrap()).unwrap()).unwrap();
    builder.set_subject_name(subject).unwrap();
    builder.set_issuer_name(issuer).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(now + starts).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(now + ends).unwrap()).unwrap();
    builder.set_pubkey(key).unwrap();
    builder
}

fn common_name(name: &str) -> X509Name {
    let mut builder = X509Name::builder().unwrap();
    builder.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
    builder.build()
}
