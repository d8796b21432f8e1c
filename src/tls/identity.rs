//! What a finished handshake tells about a connection: who the client proved to be, and what was agreed on.
//!
//! The same on a resumed session as on a full handshake: the ticket holds the client's certificate, and BoringSSL hands
//! it out only where it verified it.

use std::any::Any;
use std::fmt::Write;
use std::sync::Arc;

use async_trait::async_trait;
use boring::hash::MessageDigest;
use boring::ssl::{NameType, SslRef};
use boring::x509::{X509, X509NameRef, X509Ref};
use pingora_core::listeners::TlsAccept;

use super::der;
use super::spec::Protocol;
use super::trust::ClientAuth;

/// `XN_FLAG_RFC2253`: most specific first, commas between, everything outside ASCII escaped.
const RFC2253: i32 = 0x0111_0317;
/// Each connection keeps them, and an upstream gets them in one header.
const MOST_ABOVE_BYTES: usize = 16 << 10;

/// What was agreed on in a handshake. The `extension` of the connection's `SslDigest`.
#[derive(Debug, Clone)]
pub struct TlsFacts {
    /// Name the client asked for (SNI), in lower case and without a trailing dot. The client's claim: any name.
    pub sni: Option<String>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// Cipher suite, as OpenSSL names it.
    pub cipher: &'static str,
    /// Protocol agreed on by ALPN; `None` means HTTP/1.1.
    pub alpn: Option<Protocol>,
    /// Whether a session ticket saved the full handshake.
    pub resumed: bool,
    /// The client's certificate, verified. `None` if it showed none, or was not asked.
    pub client: Option<Arc<ClientIdentity>>,
}

/// A client's certificate that was verified against the listener's authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// Subject as RFC 2253 writes it, e.g. `CN=billing,O=Example`. ASCII.
    pub subject: String,
    /// Issuer, written likewise.
    pub issuer: String,
    /// Serial number in lower-case hexadecimal.
    pub serial: String,
    /// DNS names among the subject alternative names, in lower case.
    pub san_dns: Vec<String>,
    /// URIs among them, e.g. a SPIFFE ID.
    pub san_uri: Vec<String>,
    /// Mail addresses among them.
    pub san_email: Vec<String>,
    /// SHA-256 of the certificate in lower-case hexadecimal.
    pub fingerprint_sha256: String,
    /// End of its validity, in seconds since 1970.
    pub not_after: i64,
    /// The certificate in DER.
    pub der: Vec<u8>,
    /// The certificates between it and the listener's authority, as they were verified, each certified by the next, in
    /// DER. Neither the certificate itself nor the authority is among them. Empty if there are none, or if they have more
    /// than 16 KiB.
    pub above: Vec<Vec<u8>>,
}

impl ClientIdentity {
    /// The identity in a certificate, which the caller has verified by those `above` it. `None` if it cannot be read, so
    /// that nobody passes for an identity with holes.
    pub(super) fn of(certificate: &X509Ref, above: &[X509]) -> Option<Self> {
        let names = certificate.subject_alt_names();
        let names = || names.iter().flatten();
        Some(Self {
            subject: text(certificate.subject_name())?,
            issuer: text(certificate.issuer_name())?,
            serial: hex(&certificate.serial_number().to_bn().ok()?.to_vec()),
            san_dns: names().filter_map(|name| name.dnsname().map(str::to_ascii_lowercase)).collect(),
            san_uri: names().filter_map(|name| name.uri().map(str::to_owned)).collect(),
            san_email: names().filter_map(|name| name.email().map(str::to_owned)).collect(),
            fingerprint_sha256: hex(&certificate.digest(MessageDigest::sha256()).ok()?),
            not_after: der::unix_seconds(certificate.not_after())?,
            der: certificate.to_der().ok()?,
            above: bounded(above.iter().map(|one| one.to_der()).collect::<Result<_, _>>().ok()?),
        })
    }
}

impl TlsFacts {
    fn of(ssl: &SslRef, client_auth: &ClientAuth) -> Self {
        let client = ssl.peer_certificate().and_then(|certificate| {
            let sent = ssl.peer_cert_chain();
            let above = sent.map(|sent| client_auth.between(&certificate, sent)).unwrap_or_default();
            ClientIdentity::of(&certificate, &above)
        });
        Self {
            sni: ssl.servername(NameType::HOST_NAME).map(normalised),
            version: ssl.version_str(),
            cipher: ssl.current_cipher().map_or("", |cipher| cipher.name()),
            alpn: ssl.selected_alpn_protocol().and_then(Protocol::from_name),
            resumed: ssl.session_reused(),
            client: client.map(Arc::new),
        }
    }
}

/// Attaches [`TlsFacts`] to every connection whose handshake has succeeded.
#[derive(Clone)]
pub(super) struct Observer {
    /// By what clients were verified.
    pub client_auth: ClientAuth,
}

#[async_trait]
impl TlsAccept for Observer {
    async fn handshake_complete_callback(&self, ssl: &SslRef) -> Option<Arc<dyn Any + Send + Sync>> {
        Some(Arc::new(TlsFacts::of(ssl, &self.client_auth)))
    }
}

/// A host name as names are compared: lower case, no dot at the end.
pub(super) fn normalised(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn bounded(above: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    if above.iter().map(Vec::len).sum::<usize>() > MOST_ABOVE_BYTES { Vec::new() } else { above }
}

fn text(name: &X509NameRef) -> Option<String> {
    name.print_ex(RFC2253)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // writing to a String does not fail
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
