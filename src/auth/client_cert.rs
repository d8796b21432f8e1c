//! What an upstream is told of the client's certificate: `Client-Cert` and `Client-Cert-Chain` (RFC 9440).
//!
//! These are claims of ours. The copies that a client sends must be taken out of every request (RFC 9440 §2.4), also
//! where no certificate was asked for.

use http::HeaderName;
use sfv::{FieldType, Item, List};

/// The client's certificate.
pub const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
/// The certificates above it.
pub const CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");

/// The value of `Client-Cert`: the certificate that the client proved to own, as DER (RFC 9440 §2.2).
pub fn client_cert(der: &[u8]) -> String {
    Item::new(der).serialize()
}

/// The value of `Client-Cert-Chain`: the certificates above that one, as DER, each certified by the next
/// (RFC 9440 §2.3). `None` if there is none: then the field is left out.
pub fn client_cert_chain<'a>(above: impl IntoIterator<Item = &'a [u8]>) -> Option<String> {
    above.into_iter().map(|der| Item::new(der).into()).collect::<List>().serialize()
}

#[cfg(test)]
mod tests {
    use super::{client_cert, client_cert_chain};

    #[test]
    fn writes_certificates_as_byte_sequences() {
        assert_eq!(client_cert(b"\x30\x82\x01\x00"), ":MIIBAA==:");
        assert_eq!(client_cert_chain([&b"\x30\x00"[..], b"\x30\x01\xff"]).as_deref(), Some(":MAA=:, :MAH/:"));
    }

    #[test]
    fn leaves_out_an_empty_chain() {
        assert_eq!(client_cert_chain([]), None);
    }
}
