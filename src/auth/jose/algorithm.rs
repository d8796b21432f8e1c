//! Signature algorithms (RFC 7518 section 3, RFC 8037) and sets of them. `none` is not among them, and cannot be.

use schemars::JsonSchema;
use serde::Deserialize;

/// A signature algorithm, by the name tokens and key sets give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    #[serde(rename = "RS384")]
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    #[serde(rename = "RS512")]
    Rs512,
    /// RSASSA-PSS with SHA-256, MGF1 with the same, and a salt as long as the hash.
    #[serde(rename = "PS256")]
    Ps256,
    /// RSASSA-PSS with SHA-384, MGF1 with the same, and a salt as long as the hash.
    #[serde(rename = "PS384")]
    Ps384,
    /// RSASSA-PSS with SHA-512, MGF1 with the same, and a salt as long as the hash.
    #[serde(rename = "PS512")]
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384 with SHA-384.
    #[serde(rename = "ES384")]
    Es384,
    /// ECDSA on P-521 with SHA-512.
    #[serde(rename = "ES512")]
    Es512,
    /// Ed25519, also under its name of RFC 9864. BoringSSL has no Ed448.
    #[serde(rename = "EdDSA", alias = "Ed25519")]
    EdDsa,
    /// HMAC with SHA-256, by a secret of at least 32 bytes.
    #[serde(rename = "HS256")]
    Hs256,
    /// HMAC with SHA-384, by a secret of at least 48 bytes.
    #[serde(rename = "HS384")]
    Hs384,
    /// HMAC with SHA-512, by a secret of at least 64 bytes.
    #[serde(rename = "HS512")]
    Hs512,
}

/// The hash an algorithm signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::auth) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::EdDsa,
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
    ];

    /// The algorithm of this name, which is case-sensitive (RFC 7515 section 4.1.1).
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "Ed25519" => Some(Self::EdDsa),
            _ => Self::ALL.into_iter().find(|algorithm| algorithm.name() == name),
        }
    }

    /// Its name in a header, e.g. `RS256`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }

    /// The hash that is signed; Ed25519 has its own within.
    pub(in crate::auth) const fn hash(self) -> Hash {
        match self {
            Self::Rs256 | Self::Ps256 | Self::Es256 | Self::Hs256 => Hash::Sha256,
            Self::Rs384 | Self::Ps384 | Self::Es384 | Self::Hs384 => Hash::Sha384,
            Self::Rs512 | Self::Ps512 | Self::Es512 | Self::EdDsa | Self::Hs512 => Hash::Sha512,
        }
    }
}

impl Hash {
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// A set of algorithms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Algorithms(u16);

impl Algorithms {
    /// None at all.
    pub const NONE: Self = Self(0);
    /// RSASSA-PKCS1-v1_5 and RSASSA-PSS.
    pub const RSA: Self = Self(0b0_0000_0011_1111);
    /// All that a public key verifies: the default of an issuer, and what a proof of possession may be signed with.
    pub const ASYMMETRIC: Self = Self(0b0_0011_1111_1111);
    /// All that need a secret shared with the issuer.
    pub const SYMMETRIC: Self = Self(0b1_1100_0000_0000);

    /// The set of one.
    #[must_use]
    pub const fn only(algorithm: Algorithm) -> Self {
        Self(1 << algorithm as u16)
    }

    /// Whether it is in the set.
    #[must_use]
    pub const fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & Self::only(algorithm).0 != 0
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Their names, as `algs` of a challenge lists them (RFC 9449 section 7.1).
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Algorithm::ALL.into_iter().filter(move |algorithm| self.contains(*algorithm)).map(Algorithm::name)
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Algorithm> for Algorithms {
    fn from_iter<I: IntoIterator<Item = Algorithm>>(algorithms: I) -> Self {
        Self(algorithms.into_iter().fold(0, |set, algorithm| set | Self::only(algorithm).0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written_and_in_no_other_case() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::named(algorithm.name()), Some(algorithm));
            let json = format!("\"{}\"", algorithm.name());
            assert_eq!(serde_json::from_str::<Algorithm>(&json).unwrap(), algorithm);
        }
        for name in ["none", "None", "NONE", "nOnE", "", "rs256", "RS256 ", "RS1", "ES256K", "HS1", "Ed448"] {
            assert_eq!(Algorithm::named(name), None, "{name}");
        }
        assert_eq!(Algorithm::named("Ed25519"), Some(Algorithm::EdDsa));
    }

    #[test]
    fn the_named_sets_hold_what_they_say() {
        let starting = |letters: &[&str]| -> Algorithms {
            let within =
                |algorithm: &Algorithm| letters.iter().any(|start| algorithm.name().starts_with(start));
            Algorithm::ALL.into_iter().filter(within).collect()
        };
        assert_eq!(Algorithms::RSA, starting(&["RS", "PS"]));
        assert_eq!(Algorithms::ASYMMETRIC, starting(&["RS", "PS", "ES", "Ed"]));
        assert_eq!(Algorithms::SYMMETRIC, starting(&["HS"]));
        assert!(Algorithms::RSA.and(Algorithms::SYMMETRIC).is_empty());
        assert!(!Algorithms::only(Algorithm::Es512).contains(Algorithm::Es384));
        let two: Algorithms = [Algorithm::EdDsa, Algorithm::Es256].into_iter().collect();
        assert_eq!(two.names().collect::<Vec<_>>(), ["ES256", "EdDSA"]);
        assert_eq!(Algorithms::NONE.names().count(), 0);
    }
}
