//! What an operator writes about TLS, at a listener and at an upstream. Plain data; `Acceptor::load` and `Client::load`
//! turn it into what runs. Paths are absolute or relative to the policy.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::values::Duration;

/// TLS at a listener. Give `certificates`, or `self_signed` for trials.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ListenerTls")]
pub struct ServerSpec {
    /// Certificates, chosen by the name the client asks for (SNI): an exact name before a wildcard, a wildcard before
    /// the default. Several for one name may differ in key type; ECDSA is preferred where the client can. Of two that
    /// fit equally the first is taken. Files are read again when they change.
    pub certificates: Vec<CertificateSpec>,
    /// Names and addresses for a certificate made at start, e.g. `[localhost, 127.0.0.1]`. For trials: no client
    /// trusts it.
    pub self_signed: Vec<String>,
    /// Mozilla's server side TLS profile: `intermediate` (default; TLS 1.2 and 1.3) or `modern` (TLS 1.3 alone).
    pub profile: Profile,
    /// Certificates of clients. Default: none is asked for.
    pub client: ClientAuthSpec,
    /// Session tickets, by which a returning client saves most of the handshake. Default: on, new keys every `12h`.
    pub tickets: TicketsSpec,
    /// Protocols offered by ALPN, best first. Default `[h2, http/1.1]`. A client that asks for others only is refused
    /// (RFC 7301 section 3.2); one that does not use ALPN speaks HTTP/1.1.
    pub protocols: Option<Vec<Protocol>>,
}

/// A certificate with its key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Certificate")]
pub struct CertificateSpec {
    /// PEM file: the certificate first, then each issuer in turn; the root is not needed.
    pub cert: PathBuf,
    /// PEM file with the key: RSA of at least 2048 bits, ECDSA P-256 or P-384, or Ed25519. Not encrypted.
    pub key: PathBuf,
    /// OCSP response for the certificate (DER), sent to clients that ask (stapling) until its own `nextUpdate`.
    pub ocsp: Option<PathBuf>,
    /// Names to serve it for, exact or `*.example.com`, in place of those it carries as subject alternative names.
    #[serde(default)]
    pub names: Vec<String>,
    /// Serve it to clients that name no host or one that no certificate has. Default: the first listed.
    #[serde(default)]
    pub default: bool,
}

/// A profile of Mozilla's "Server Side TLS" recommendations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "TlsProfile")]
pub enum Profile {
    /// TLS 1.2 and 1.3, forward secrecy and authenticated encryption alone.
    #[default]
    Intermediate,
    /// TLS 1.3 alone.
    Modern,
}

/// Certificates of clients (mutual TLS).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ClientCertificates")]
pub struct ClientAuthSpec {
    /// `off` (default), `optional` (a client may come without one, but not with a bad one) or `required`.
    pub mode: ClientAuthMode,
    /// PEM file with the authorities that clients' certificates must come from. A certificate listed here is trusted
    /// as it is, whether or not it is a root.
    pub ca: Option<PathBuf>,
    /// Revocation lists (PEM, any number; or one in DER), each issued by an authority in `ca`. Once given, every issuer
    /// in a client's chain must have one that is in force, or the client is refused.
    pub crl: Option<PathBuf>,
    /// Most intermediate certificates between a client's certificate and an authority in `ca`. Default 4.
    pub depth: Option<u32>,
}

/// Whether clients must show a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ClientCertificateMode")]
pub enum ClientAuthMode {
    /// None is asked for.
    #[default]
    Off,
    /// One is asked for. Without one the client gets in unidentified; with a bad one it does not get in.
    Optional,
    /// No handshake succeeds without a good one.
    Required,
}

/// Session tickets (RFC 5077, RFC 8446 section 4.6.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Tickets")]
pub struct TicketsSpec {
    /// `on` (default) or `off`.
    pub mode: TicketsMode,
    /// How long ticket keys are used, at most `48h`. Default `12h`. Tickets end with their key: a client that returns
    /// later does one full handshake.
    pub rotate: Option<Duration>,
}

/// Whether session tickets are issued.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TicketsMode {
    /// Tickets are issued and accepted.
    #[default]
    On,
    /// Every connection does a full handshake.
    Off,
}

/// An application protocol, as ALPN names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[schemars(rename = "AlpnProtocol")]
pub enum Protocol {
    /// HTTP/2.
    #[serde(rename = "h2")]
    H2,
    /// HTTP/1.1.
    #[serde(rename = "http/1.1")]
    Http11,
}

impl Protocol {
    /// Its name in ALPN and in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::H2 => "h2",
            Self::Http11 => "http/1.1",
        }
    }

    /// The protocol that ALPN calls `name`.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        [Self::H2, Self::Http11].into_iter().find(|protocol| protocol.name().as_bytes() == name)
    }
}

/// TLS to an upstream. Its certificate is verified against the system's roots and the backend's name unless said
/// otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "UpstreamTls")]
pub struct ClientSpec {
    /// Name to ask for (SNI) and to find in the backend's certificate. Default: the backend's host name; a backend
    /// written as an IP address needs it.
    pub sni: Option<String>,
    /// A second name that is as good as `sni` in the backend's certificate.
    pub alternative_name: Option<String>,
    /// PEM file with the authorities to trust in place of the system's.
    pub ca: Option<PathBuf>,
    /// Certificate to show to the backend (mutual TLS).
    pub client_certificate: Option<KeyPairSpec>,
    /// Take any certificate from anybody. Whoever sits between can then read and change everything. Default `false`.
    pub danger_accept_invalid_certificates: bool,
}

/// A certificate to show, with its key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KeyPair")]
pub struct KeyPairSpec {
    /// PEM file: the certificate first, then each issuer in turn.
    pub cert: PathBuf,
    /// PEM file with the key, not encrypted.
    pub key: PathBuf,
}
