//! Digests of bodies (RFC 9530): `Content-Digest` of what is sent, `Repr-Digest` of what it represents.
//!
//! SHA-256 and SHA-512 count, and every one of these that a field gives is checked. All other algorithms are passed
//! over, the old ones too (`md5`, `sha`, `unixsum`, …, RFC 9530 §5): a field with nothing else proves nothing and is
//! refused.
//!
//! A digest alone shows that a body was not damaged. That nobody changed it follows from a signature over the field.

use boring::memcmp;
use sfv::{Dictionary, ListEntry};
use sha2::{Digest, Sha256, Sha512};

use crate::http::structured::{self, Limits};

const FIELD: Limits = Limits { bytes: 1024, parts: 32 };

/// Why a body is not what its digest says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The field is not there.
    Missing,
    /// It cannot be read, or a digest has the wrong length.
    Malformed,
    /// It holds no digest that counts.
    Unsupported,
    /// The body is another one.
    Mismatch,
}

impl Refusal {
    /// The stable reason for metrics and logs.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing => "digest_missing",
            Self::Malformed => "digest_malformed",
            Self::Unsupported => "digest_unsupported",
            Self::Mismatch => "digest_mismatch",
        }
    }
}

/// A body under examination: what it should be, and what came of it so far.
#[derive(Debug, Clone)]
pub struct Check {
    sha256: Option<Running<Sha256>>,
    sha512: Option<Running<Sha512>>,
}

#[derive(Debug, Clone)]
struct Running<D> {
    expected: Vec<u8>,
    hasher: D,
}

impl Check {
    /// Reads the lines of a `Content-Digest` or `Repr-Digest` field, at most 1 KiB.
    ///
    /// # Errors
    /// All but [`Refusal::Mismatch`].
    pub fn begin<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, Refusal> {
        let fields: Option<Dictionary> = structured::read(lines, FIELD).map_err(|_| Refusal::Malformed)?;
        let fields = fields.ok_or(Refusal::Missing)?;
        let check = Self { sha256: running(&fields, "sha-256")?, sha512: running(&fields, "sha-512")? };
        if check.sha256.is_none() && check.sha512.is_none() {
            return Err(Refusal::Unsupported);
        }
        Ok(check)
    }

    /// Takes the next piece of the body.
    pub fn update(&mut self, piece: &[u8]) {
        if let Some(running) = &mut self.sha256 {
            running.hasher.update(piece);
        }
        if let Some(running) = &mut self.sha512 {
            running.hasher.update(piece);
        }
    }

    /// Says whether the body, which is complete now, is the right one.
    ///
    /// # Errors
    /// [`Refusal::Mismatch`] when it is not.
    pub fn finish(self) -> Result<(), Refusal> {
        if self.sha256.is_none_or(Running::matches) && self.sha512.is_none_or(Running::matches) {
            Ok(())
        } else {
            Err(Refusal::Mismatch)
        }
    }
}

impl<D: Digest> Running<D> {
    fn matches(self) -> bool {
        memcmp::eq(&self.expected, &self.hasher.finalize())
    }
}

fn running<D: Digest>(fields: &Dictionary, name: &str) -> Result<Option<Running<D>>, Refusal> {
    let expected = match fields.get(name) {
        None => return Ok(None),
        Some(ListEntry::Item(item)) => item.bare_item.as_byte_sequence().ok_or(Refusal::Malformed)?.to_vec(),
        Some(ListEntry::InnerList(_)) => return Err(Refusal::Malformed),
    };
    // Comparing takes two of one length.
    if expected.len() != <D as Digest>::output_size() {
        return Err(Refusal::Malformed);
    }
    Ok(Some(Running { expected, hasher: D::new() }))
}

#[cfg(test)]
mod made;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub use made::{Algorithm, content_digest};
