//! Certificates, revocation lists and OCSP responses for tests, and a client that shows what it saw in a handshake.

use std::fs;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};

use boring::asn1::{Asn1Integer, Asn1Time};
use boring::bn::BigNum;
use boring::ec::{EcGroup, EcKey};
use boring::hash::MessageDigest;
use boring::nid::Nid;
use boring::pkey::{Id, PKey, Private};
use boring::rsa::Rsa;
use boring::sign::Signer;
use boring::ssl::{Ssl, SslContext, SslMethod, SslVerifyMode, SslVersion};
use boring::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName};
use boring::x509::{X509, X509Name, X509NameRef};
use pingora_core::protocols::tls::SslStream;
use tokio::io::{AsyncReadExt, DuplexStream, duplex};

use super::der::{self, context};
use super::key::KeyKind;
use super::{Acceptor, HandshakeError, TlsFacts, system_clock};

pub(super) const DAY: i64 = 86_400;
pub(super) const PAST: &str = "20200101000000Z";
pub(super) const FUTURE: &str = "20990101000000Z";

/// A directory that goes away with its test.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("edgeward-tls-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Replaces a file as deployment tools do: a new one under the old name.
    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let (path, fresh) = (self.0.join(name), self.0.join(format!("{name}.new")));
        fs::write(&fresh, content).unwrap();
        fs::rename(fresh, &path).unwrap();
        path
    }

    /// Writes `NAME.crt` and `NAME.key`.
    pub(super) fn store(&self, name: &str, issued: &Issued) {
        self.write(&format!("{name}.crt"), issued.chain_pem());
        self.write(&format!("{name}.key"), issued.key.private_key_to_pem_pkcs8().unwrap());
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

/// A certificate to be issued. Times are seconds from now.
#[derive(Clone)]
pub(super) struct Leaf<'a> {
    pub names: &'a [&'a str],
    pub kind: KeyKind,
    pub serial: u32,
    pub starts: i64,
    pub ends: i64,
    pub for_clients: bool,
}

impl<'a> Leaf<'a> {
    pub(super) fn named(names: &'a [&'a str]) -> Self {
        Self { names, kind: KeyKind::EcdsaP256, serial: 7, starts: -DAY, ends: DAY, for_clients: false }
    }

    pub(super) fn client() -> Self {
        Self { for_clients: true, ..Leaf::named(&["billing.example.com"]) }
    }

    pub(super) fn kind(self, kind: KeyKind) -> Self {
        Self { kind, ..self }
    }

    pub(super) fn serial(self, serial: u32) -> Self {
        Self { serial, ..self }
    }

    pub(super) fn expired(self) -> Self {
        Self { starts: -2 * DAY, ends: -DAY, ..self }
    }
}

/// A certificate with its key and those above it.
#[derive(Clone)]
pub(super) struct Issued {
    pub certificate: X509,
    pub key: PKey<Private>,
    pub above: Vec<X509>,
}

impl Issued {
    pub(super) fn chain_pem(&self) -> Vec<u8> {
        std::iter::once(&self.certificate).chain(&self.above).flat_map(|one| one.to_pem().unwrap()).collect()
    }
}

/// An authority, root or intermediate.
#[derive(Clone)]
pub(super) struct Authority {
    pub certificate: X509,
    pub key: PKey<Private>,
    above: Vec<X509>,
}

impl Authority {
    pub(super) fn root(name: &str) -> Self {
        let (subject, key) = (common_name(name), make_key(KeyKind::EcdsaP256));
        let certificate = authority_certificate(&subject, &key, &subject, &key);
        Self { certificate, key, above: Vec::new() }
    }

    pub(super) fn intermediate(&self, name: &str) -> Self {
        let key = make_key(KeyKind::EcdsaP256);
        let certificate =
            authority_certificate(&common_name(name), &key, self.certificate.subject_name(), &self.key);
        let mut above = self.above.clone();
        above.insert(0, certificate.clone());
        Self { certificate, key, above }
    }

    pub(super) fn pem(&self) -> Vec<u8> {
        self.certificate.to_pem().unwrap()
    }

    pub(super) fn issue(&self, leaf: &Leaf<'_>) -> Issued {
        let key = make_key(leaf.kind);
        let issuer = self.certificate.subject_name();
        let mut builder =
            start(&common_name(leaf.names[0]), &key, issuer, leaf.serial, (leaf.starts, leaf.ends));
        let mut alternatives = SubjectAlternativeName::new();
        for name in leaf.names {
            match name {
                name if name.contains("://") => alternatives.uri(name),
                name if name.contains('@') => alternatives.email(name),
                name if name.parse::<std::net::IpAddr>().is_ok() => alternatives.ip(name),
                name => alternatives.dns(name),
            };
        }
        let alternatives = alternatives.build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(&alternatives).unwrap();
        let mut usage = ExtendedKeyUsage::new();
        if leaf.for_clients {
            usage.client_auth()
        } else {
            usage.server_auth()
        };
        builder.append_extension(&usage.build().unwrap()).unwrap();
        builder.sign(&self.key, MessageDigest::sha256()).unwrap();
        Issued { certificate: builder.build(), key, above: self.above.clone() }
    }

    /// A revocation list in DER.
    pub(super) fn crl(&self, list: &Crl<'_>) -> Vec<u8> {
        let entries = list.revoked.iter().map(|serial| {
            let entry = [tlv(der::INTEGER, &integer(*serial)), time(PAST)].concat();
            tlv(der::SEQUENCE, &entry)
        });
        let algorithm =
            tlv(der::SEQUENCE, &tlv(der::OBJECT_IDENTIFIER, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]));
        let mut parts = vec![
            tlv(der::INTEGER, &[1]),
            algorithm.clone(),
            self.certificate.subject_name().to_der().unwrap(),
            time(list.from),
            time(list.until),
            tlv(der::SEQUENCE, &entries.collect::<Vec<_>>().concat()),
        ];
        if list.critical {
            // issuing distribution point
            let extension = [tlv(der::OBJECT_IDENTIFIER, &[0x55, 0x1d, 0x1c]), tlv(der::BOOLEAN, &[0xff])];
            let extension = [extension.concat(), tlv(der::OCTET_STRING, &tlv(der::SEQUENCE, &[]))].concat();
            parts.push(tlv(context(0), &tlv(der::SEQUENCE, &tlv(der::SEQUENCE, &extension))));
        }
        let signed = tlv(der::SEQUENCE, &parts.concat());
        let signature =
            Signer::new(MessageDigest::sha256(), &self.key).unwrap().sign_oneshot_to_vec(&signed).unwrap();
        let signature = tlv(der::BIT_STRING, &[&[0][..], &signature].concat());
        tlv(der::SEQUENCE, &[signed, algorithm, signature].concat())
    }
}

/// A revocation list to be issued. Times as X.509 writes them.
pub(super) struct Crl<'a> {
    pub revoked: &'a [u32],
    pub from: &'a str,
    pub until: &'a str,
    pub critical: bool,
}

impl<'a> Crl<'a> {
    pub(super) fn of(revoked: &'a [u32]) -> Self {
        Self { revoked, from: PAST, until: FUTURE, critical: false }
    }
}

pub(super) fn crl_pem(der: &[u8]) -> String {
    format!("-----BEGIN X509 CRL-----\n{}\n-----END X509 CRL-----\n", boring::base64::encode_block(der))
}

/// An OCSP response in DER. `answer` is the tag of its `CertStatus`: 0x80 good, 0xa1 revoked.
pub(super) fn ocsp(status: u8, serial: u32, answer: u8, until: &str) -> Vec<u8> {
    let hash = tlv(der::SEQUENCE, &tlv(der::OBJECT_IDENTIFIER, &[0x2b, 0x0e, 3, 2, 0x1a]));
    let octets = tlv(der::OCTET_STRING, &[0; 20]);
    let id = [hash.clone(), octets.clone(), octets.clone(), tlv(der::INTEGER, &integer(serial))].concat();
    let certificate_status = if answer == 0x80 { tlv(answer, &[]) } else { tlv(answer, &time(PAST)) };
    let single =
        [tlv(der::SEQUENCE, &id), certificate_status, time(PAST), tlv(context(0), &time(until))].concat();
    let answers = tlv(der::SEQUENCE, &tlv(der::SEQUENCE, &single));
    let data = tlv(der::SEQUENCE, &[tlv(context(2), &octets), time(PAST), answers].concat());
    let basic = tlv(der::SEQUENCE, &[data, hash, tlv(der::BIT_STRING, &[0, 1])].concat());
    let kind = tlv(der::OBJECT_IDENTIFIER, &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1]);
    let bytes = tlv(der::SEQUENCE, &[kind, tlv(der::OCTET_STRING, &basic)].concat());
    tlv(der::SEQUENCE, &[tlv(der::ENUMERATED, &[status]), tlv(context(0), &bytes)].concat())
}

pub(super) fn make_key(kind: KeyKind) -> PKey<Private> {
    let on_curve =
        |curve| PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(curve).unwrap()).unwrap());
    match kind {
        KeyKind::EcdsaP256 => on_curve(Nid::X9_62_PRIME256V1).unwrap(),
        KeyKind::EcdsaP384 => on_curve(Nid::SECP384R1).unwrap(),
        KeyKind::Ed25519 => PKey::generate(Id::ED25519).unwrap(),
        KeyKind::Rsa => PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap(),
    }
}

/// How a client behaves in a handshake.
#[derive(Clone, Default)]
pub(super) struct Visitor<'a> {
    pub name: Option<&'a str>,
    /// ALPN, each name preceded by its length.
    pub alpn: &'a [u8],
    pub newest: Option<SslVersion>,
    pub algorithms: Option<&'a str>,
    pub ciphers: Option<&'a str>,
    pub identity: Option<&'a Issued>,
    pub wants_staple: bool,
}

/// What a client saw.
pub(super) struct Seen {
    pub certificate: Option<X509>,
    pub staple: Option<Vec<u8>>,
    pub alpn: Option<Vec<u8>>,
    /// Name of the key exchange's group.
    pub group: Option<&'static str>,
}

impl Seen {
    /// The first name in the server's certificate.
    pub(super) fn name(&self) -> String {
        let names = self.certificate.as_ref().and_then(|certificate| certificate.subject_alt_names());
        names
            .and_then(|names| names.iter().find_map(|name| name.dnsname().map(str::to_owned)))
            .unwrap_or_default()
    }

    pub(super) fn kind(&self) -> Option<KeyKind> {
        self.certificate.as_ref().and_then(|certificate| KeyKind::of(&certificate.public_key().unwrap()).ok())
    }
}

impl Visitor<'_> {
    /// Does a handshake with `acceptor` over a pipe: what the server says of it, and what the client saw.
    pub(super) async fn visit(&self, acceptor: &Acceptor) -> (Result<TlsFacts, HandshakeError>, Seen) {
        let (near, far) = duplex(64 * 1024);
        let server = async {
            let stream = acceptor.accept(far, std::time::Duration::from_secs(10)).await?;
            let digest = stream.ssl_digest().unwrap();
            Ok(digest.extension.get::<TlsFacts>().unwrap().clone())
        };
        tokio::join!(server, self.connect(near))
    }

    async fn connect(&self, pipe: DuplexStream) -> Seen {
        let mut stream = SslStream::new(self.ssl(), pipe).unwrap();
        if stream.connect().await.is_ok() {
            // to its end, so that the alert of a server that refuses the client's certificate is read
            let _alert = Pin::new(&mut stream).read(&mut [0]).await;
        }
        Seen {
            certificate: stream.ssl().peer_certificate(),
            staple: stream.ssl().ocsp_status().map(<[u8]>::to_vec),
            alpn: stream.ssl().selected_alpn_protocol().map(<[u8]>::to_vec),
            group: stream.ssl().curve_name(),
        }
    }

    fn ssl(&self) -> Ssl {
        let mut builder = SslContext::builder(SslMethod::tls()).unwrap();
        builder.set_verify(SslVerifyMode::NONE);
        builder.set_min_proto_version(Some(SslVersion::TLS1)).unwrap();
        builder.set_max_proto_version(self.newest).unwrap();
        if let Some(algorithms) = self.algorithms {
            builder.set_sigalgs_list(algorithms).unwrap();
        }
        if let Some(ciphers) = self.ciphers {
            builder.set_cipher_list(ciphers).unwrap();
        }
        if !self.alpn.is_empty() {
            builder.set_alpn_protos(self.alpn).unwrap();
        }
        if let Some(identity) = self.identity {
            builder.set_certificate(&identity.certificate).unwrap();
            builder.set_private_key(&identity.key).unwrap();
            identity.above.iter().for_each(|one| builder.add_extra_chain_cert(one.clone()).unwrap());
        }
        if self.wants_staple {
            builder.enable_ocsp_stapling();
        }
        let mut ssl = Ssl::new(&builder.build()).unwrap();
        if let Some(name) = self.name {
            ssl.set_hostname(name).unwrap();
        }
        ssl
    }
}

fn authority_certificate(
    subject: &X509Name,
    key: &PKey<Private>,
    issuer: &X509NameRef,
    by: &PKey<Private>,
) -> X509 {
    let mut builder = start(subject, key, issuer, 1, (-10 * DAY, 10 * DAY));
    builder.append_extension(&BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    builder
        .append_extension(&KeyUsage::new().critical().key_cert_sign().crl_sign().build().unwrap())
        .unwrap();
    builder.sign(by, MessageDigest::sha256()).unwrap();
    builder.build()
}

fn start(
    subject: &X509Name,
    key: &PKey<Private>,
    issuer: &X509NameRef,
    serial: u32,
    (starts, ends): (i64, i64),
) -> boring::x509::X509Builder {
    let mut builder = X509::builder().unwrap();
    let now = system_clock();
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

fn time(text: &str) -> Vec<u8> {
    tlv(der::GENERALIZED_TIME, text.as_bytes())
}

fn integer(value: u32) -> Vec<u8> {
    [&[0][..], der::magnitude(&value.to_be_bytes())].concat()
}

fn tlv(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[tag, 0x82], &length[..], body].concat()
}
