//! SHA-256 values that name a thing: a key (RFC 7638), a certificate (RFC 8705), a token.

use std::fmt;

use super::base64url;

/// A SHA-256 value, printed in base64url. Two are compared in constant time, as one of them may be a guess.
#[derive(Clone, Copy, Eq)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// Of these bytes: of a certificate's DER, of a token's text.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(boring::sha::sha256(bytes))
    }

    /// From its base64url, 43 characters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        base64url::decode_array(text.as_bytes()).ok().map(Self)
    }

    /// The bytes themselves.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Thumbprint {
    fn eq(&self, other: &Self) -> bool {
        boring::memcmp::eq(&self.0, &other.0)
    }
}

impl std::hash::Hash for Thumbprint {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&base64url::encode(&self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints_and_nothing_else() {
        let thumbprint = Thumbprint::of(b"Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU");
        // RFC 9449 section 7.1
        assert_eq!(thumbprint.to_string(), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
        assert_eq!(Thumbprint::parse(&thumbprint.to_string()), Some(thumbprint));
        assert_ne!(Thumbprint::of(b"other"), thumbprint);
        for text in [
            "",
            "fUHy",
            "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo=",
            "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEp",
        ] {
            assert_eq!(Thumbprint::parse(text), None, "{text}");
        }
    }
}
