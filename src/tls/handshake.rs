//! How a handshake ends when it does not succeed: one [`Reason`] out of a closed set for metrics, the rest as text for
//! the debug log. Clients learn what the TLS alert says and no more.

use std::cell::Cell;
use std::future::Future;
use std::time::Duration;

use pingora_core::Result as PingoraResult;

tokio::task_local! {
    /// Why the handshake that runs in this task refuses its client. BoringSSL asks for the verdict in a callback, and
    /// by the time the handshake has failed the connection it could be kept in is gone.
    static REFUSAL: Cell<Option<Reason>>;
}

/// Why a handshake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// What came was plain HTTP.
    PlainHttp,
    /// What came was neither that nor TLS.
    NotTls,
    /// The client speaks no version of TLS that the listener does.
    ProtocolVersion,
    /// No cipher suite, group or signature algorithm in common.
    NoSharedCipher,
    /// The client insists on protocols that the listener does not offer (RFC 7301).
    NoApplicationProtocol,
    /// A certificate is required and none came.
    ClientCertificateRequired,
    /// The client's certificate is from no authority that the listener trusts.
    UnknownCa,
    ClientCertificateExpired,
    ClientCertificateRevoked,
    /// The client's certificate is bad in another way.
    ClientCertificateInvalid,
    /// No revocation list in force tells about the client's certificate.
    RevocationUnknown,
    /// The client gave up with an alert; often it does not trust our certificate.
    ClientAlert,
    /// The connection ended in mid-handshake.
    Closed,
    /// It took longer than it may.
    Timeout,
    Other,
}

/// What BoringSSL writes into its errors, and what it means. The first that occurs counts, so what is particular comes
/// before what is general.
const MEANINGS: [(&str, Reason); 21] = [
    ("HTTP_REQUEST", Reason::PlainHttp),
    ("HTTPS_PROXY_REQUEST", Reason::PlainHttp),
    ("WRONG_VERSION_NUMBER", Reason::NotTls),
    ("_ALERT_", Reason::ClientAlert),
    // OpenSSL says in the clear that it does not trust the certificate, where TLS 1.3 wants an encrypted record: two bytes
    // are too few for one.
    ("BAD_PACKET_LENGTH", Reason::ClientAlert),
    ("UNSUPPORTED_PROTOCOL", Reason::ProtocolVersion),
    ("UNKNOWN_PROTOCOL", Reason::ProtocolVersion),
    ("INAPPROPRIATE_FALLBACK", Reason::ProtocolVersion),
    ("NO_SHARED_CIPHER", Reason::NoSharedCipher),
    ("NO_SHARED_GROUP", Reason::NoSharedCipher),
    ("NO_COMMON_SIGNATURE_ALGORITHMS", Reason::NoSharedCipher),
    ("NO_APPLICATION_PROTOCOL", Reason::NoApplicationProtocol),
    ("PEER_DID_NOT_RETURN_A_CERTIFICATE", Reason::ClientCertificateRequired),
    ("CERTIFICATE_VERIFY_FAILED", Reason::ClientCertificateInvalid),
    ("BAD_SIGNATURE", Reason::ClientCertificateInvalid),
    ("CANNOT_PARSE_LEAF_CERT", Reason::ClientCertificateInvalid),
    ("unexpected EOF", Reason::Closed),
    ("session has been shut down", Reason::Closed),
    ("os error", Reason::Closed),
    ("broken pipe", Reason::Closed),
    ("connection reset", Reason::Closed),
];

impl Reason {
    /// The reason as metrics and logs name it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::PlainHttp => "plain_http",
            Self::NotTls => "not_tls",
            Self::ProtocolVersion => "protocol_version",
            Self::NoSharedCipher => "no_shared_cipher",
            Self::NoApplicationProtocol => "no_application_protocol",
            Self::ClientCertificateRequired => "client_certificate_required",
            Self::UnknownCa => "unknown_ca",
            Self::ClientCertificateExpired => "client_certificate_expired",
            Self::ClientCertificateRevoked => "client_certificate_revoked",
            Self::ClientCertificateInvalid => "client_certificate_invalid",
            Self::RevocationUnknown => "revocation_unknown",
            Self::ClientAlert => "client_alert",
            Self::Closed => "closed",
            Self::Timeout => "timeout",
            Self::Other => "other",
        }
    }

    fn of(error: &str) -> Self {
        MEANINGS.iter().find(|(text, _)| error.contains(text)).map_or(Self::Other, |(_, reason)| *reason)
    }
}

/// A handshake that did not succeed. The connection is closed.
#[derive(Debug, thiserror::Error)]
#[error("{}: {detail}", reason.label())]
pub struct HandshakeError {
    pub reason: Reason,
    /// What BoringSSL said.
    pub detail: String,
}

impl HandshakeError {
    pub(super) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// Runs a handshake for at most `limit` and says why it failed.
pub(super) async fn observe<T>(
    limit: Duration,
    handshake: impl Future<Output = PingoraResult<T>>,
) -> Result<T, HandshakeError> {
    let observed = async {
        let error = match tokio::time::timeout(limit, handshake).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error.to_string(),
            Err(_) => {
                return Err(HandshakeError::new(Reason::Timeout, format!("took longer than {limit:?}")));
            }
        };
        let reason = REFUSAL.with(Cell::get).unwrap_or_else(|| Reason::of(&error));
        Err(HandshakeError::new(reason, error))
    };
    REFUSAL.scope(Cell::new(None), observed).await
}

/// Notes why the handshake of this task refuses its client; the first reason stands. Outside [`observe`] it is lost.
pub(super) fn note(reason: Reason) {
    // an error here says that nobody observes this handshake
    let _unobserved = REFUSAL.try_with(|refusal| refusal.set(refusal.get().or(Some(reason))));
}
