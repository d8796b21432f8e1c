//! The keys that certificates may have, and what a client must be able to do for one of them to be used.

use boring::nid::Nid;
use boring::pkey::{HasPublic, Id, PKeyRef};
use boring::ssl::{ClientHello, ExtensionType};

const LEAST_RSA_BITS: u32 = 2048;

/// `supported_versions` value of TLS 1.3.
const TLS13: u16 = 0x0304;

/// TLS 1.2 cipher suites with ECDSA authentication among those that a listener allows: AES-128-GCM, AES-256-GCM and
/// `ChaCha20`.
const ECDSA_SUITES: [u16; 3] = [0xc02b, 0xc02c, 0xcca9];

/// The key types served, best first: what is cheap to sign with comes before what is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum KeyKind {
    EcdsaP256,
    EcdsaP384,
    Ed25519,
    Rsa,
}

impl KeyKind {
    /// The type of a key, or why it may not be used, as a fragment that follows "the key is".
    pub(super) fn of<T: HasPublic>(key: &PKeyRef<T>) -> Result<Self, String> {
        match key.id() {
            Id::RSA if key.bits() >= LEAST_RSA_BITS => Ok(Self::Rsa),
            Id::RSA => Err(format!("RSA of {} bits, at least {LEAST_RSA_BITS} are needed", key.bits())),
            Id::ED25519 => Ok(Self::Ed25519),
            Id::EC => match key.ec_key().ok().and_then(|key| key.group().curve_name()) {
                Some(Nid::X9_62_PRIME256V1) => Ok(Self::EcdsaP256),
                Some(Nid::SECP384R1) => Ok(Self::EcdsaP384),
                _ => Err("ECDSA on a curve other than P-256 and P-384".to_owned()),
            },
            _ => Err("of a type other than RSA, ECDSA and Ed25519".to_owned()),
        }
    }
}

/// Which key types a client can verify, told by its `ClientHello`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Abilities<'a> {
    tls13: bool,
    ecdsa_suites: bool,
    /// `signature_algorithms`, two bytes each (RFC 8446 section 4.2.3).
    algorithms: &'a [u8],
}

impl<'a> Abilities<'a> {
    pub(super) fn of(hello: &'a ClientHello<'_>) -> Self {
        let versions = hello.get_extension(ExtensionType::SUPPORTED_VERSIONS).and_then(|body| body.get(1..));
        let algorithms =
            hello.get_extension(ExtensionType::SIGNATURE_ALGORITHMS).and_then(|body| body.get(2..));
        Self {
            tls13: versions.is_some_and(|versions| values(versions).any(|version| version == TLS13)),
            ecdsa_suites: values(hello.ciphers()).any(|suite| ECDSA_SUITES.contains(&suite)),
            algorithms: algorithms.unwrap_or_default(),
        }
    }

    /// Whether a certificate with such a key is of use to the client. TLS 1.2 ties an ECDSA algorithm to no curve, but
    /// needs a cipher suite for it.
    pub(super) fn allow(&self, kind: KeyKind) -> bool {
        let any_of = |wanted: &[u16]| values(self.algorithms).any(|algorithm| wanted.contains(&algorithm));
        match (kind, self.tls13) {
            (KeyKind::EcdsaP256, true) => any_of(&[0x0403]),
            (KeyKind::EcdsaP384, true) => any_of(&[0x0503]),
            (KeyKind::EcdsaP256 | KeyKind::EcdsaP384, false) => {
                self.ecdsa_suites && any_of(&[0x0403, 0x0503])
            }
            (KeyKind::Ed25519, tls13) => (tls13 || self.ecdsa_suites) && any_of(&[0x0807]),
            (KeyKind::Rsa, true) => any_of(&[0x0804, 0x0805, 0x0806]),
            (KeyKind::Rsa, false) => any_of(&[0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601]),
        }
    }
}

fn values(bytes: &[u8]) -> impl Iterator<Item = u16> + '_ {
    bytes.chunks_exact(2).map(|pair| pair.iter().fold(0, |value, &byte| value << 8 | u16::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn abilities(tls13: bool, ecdsa_suites: bool, algorithms: &[u8]) -> Abilities<'_> {
        Abilities { tls13, ecdsa_suites, algorithms }
    }

    #[test]
    fn ties_the_curve_to_the_algorithm_in_tls_1_3_alone() {
        let client = abilities(true, false, &[0x04, 0x03]);
        assert!(client.allow(KeyKind::EcdsaP256));
        assert!(!client.allow(KeyKind::EcdsaP384));
        assert!(abilities(false, true, &[0x04, 0x03]).allow(KeyKind::EcdsaP384));
    }

    #[test]
    fn needs_a_suite_for_ecdsa_in_tls_1_2() {
        assert!(abilities(false, true, &[0x04, 0x03]).allow(KeyKind::EcdsaP256));
        assert!(!abilities(false, false, &[0x04, 0x03]).allow(KeyKind::EcdsaP256));
        assert!(!abilities(false, false, &[0x08, 0x07]).allow(KeyKind::Ed25519));
    }

    #[test]
    fn takes_pkcs1_signatures_for_rsa_in_tls_1_2_alone() {
        assert!(abilities(false, false, &[0x04, 0x01]).allow(KeyKind::Rsa));
        assert!(!abilities(true, false, &[0x04, 0x01]).allow(KeyKind::Rsa));
        assert!(abilities(true, false, &[0x04, 0x01, 0x08, 0x04]).allow(KeyKind::Rsa));
    }
}
