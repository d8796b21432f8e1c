//! What is kept of a key: the SHA-256 of its whole text.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// SHA-256 of the text of a key, written as 64 hexadecimal digits. It is no secret: there is no way back to a key of
/// 190 bits.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(rename = "KeyDigest", extend("pattern" = "^[0-9A-Fa-f]{64}$"))]
pub struct Digest([u8; 32]);

/// What is said of a text that is none. It is one constant so that whoever reports it can mask the line it happened on.
pub const NOT_A_DIGEST: &str = "expected the SHA-256 of a key, 64 hexadecimal digits";

/// Why a text is not a [`Digest`]. Does not repeat the text: where a digest is asked for, someone may have put the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{NOT_A_DIGEST}")]
pub struct NotADigest;

impl Digest {
    pub fn of(text: &[u8]) -> Self {
        Self(Sha256::digest(text).into())
    }
}

/// Looks at all bytes whatever they are, so the time tells nothing of how alike two digests are.
impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        let difference =
            self.0.iter().zip(&other.0).fold(0_u8, |difference, (left, right)| difference | (left ^ right));
        std::hint::black_box(difference) == 0
    }
}

impl Eq for Digest {}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write(&self.0);
    }
}

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let mut digest = [0; 32];
        if text.len() != 2 * digest.len() {
            return Err(NotADigest);
        }
        match HEXLOWER_PERMISSIVE.decode_mut(text.as_bytes(), &mut digest) {
            Ok(_) => Ok(Self(digest)),
            Err(_) => Err(NotADigest),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl TryFrom<String> for Digest {
    type Error = NotADigest;

    fn try_from(text: String) -> Result<Self, NotADigest> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_digests_in_either_case_and_no_other_text() {
        // `printf abc | sha256sum`
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let digest: Digest = text.parse().unwrap();
        assert_eq!(digest, Digest::of(b"abc"));
        assert_eq!(text.to_uppercase().parse(), Ok(digest));
        assert_eq!(digest.to_string(), text);
        for wrong in
            ["", &text[1..], &format!("{text}0"), &text.replace('b', "g"), &format!(" {}", &text[1..])]
        {
            assert_eq!(wrong.parse::<Digest>(), Err(NotADigest), "{wrong}");
        }
        assert!(!NotADigest.to_string().contains("ba78"));
    }

    #[test]
    fn digests_differ_by_any_one_bit() {
        let digest = Digest::of(b"abc");
        for bit in 0..256 {
            let mut other = digest;
            other.0[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(digest, other);
        }
        assert_eq!(digest, Digest::of(b"abc"));
    }
}
