//! The compact serialisation (RFC 7515 section 7.1) of a token from a stranger, taken apart before any cryptography.
//!
//! What always holds of a [`Token`]: it is three parts in the one spelling of base64url; its header is a JSON object
//! without a member twice, names an algorithm that exists, and asks for nothing that is not done here. That a header
//! names a key of its own is refused, except in a proof of possession, whose point that is.

use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::base64url;
use super::claims::Claims;
use super::fault::Fault;
use super::json::{self, JsonFault};
use super::jwks::KeySet;
use super::key::Key;

/// Longest token taken, unless the policy says otherwise.
pub const DEFAULT_MAX_BYTES: usize = 16 * 1024;

/// A token whose header was read and whose claims were not.
#[derive(Debug)]
pub struct Token<'a> {
    /// What was signed: header and claims as they came, with the dot between.
    signed: &'a [u8],
    claims: &'a [u8],
    signature: Vec<u8>,
    header: Header,
}

#[derive(Debug)]
struct Header {
    algorithm: Algorithm,
    key_id: Option<String>,
    kind: Option<String>,
    key: Option<Map<String, Value>>,
}

impl<'a> Token<'a> {
    /// Takes a token apart and reads its header.
    ///
    /// # Errors
    /// The first thing that is wrong with its form or header.
    pub fn parse(text: &'a [u8], max_bytes: usize) -> Result<Self, Fault> {
        Self::read(Parts::split(text, max_bytes)?)
    }

    /// The same for a token that was taken apart.
    pub(super) fn read(parts: Parts<'a>) -> Result<Self, Fault> {
        let token = Self::read_any(parts)?;
        if token.header.key.is_some() { Err(Fault::KeyInHeader) } else { Ok(token) }
    }

    /// The same for a proof, whose header holds its key.
    pub(super) fn parse_proof(text: &'a [u8], max_bytes: usize) -> Result<Self, Fault> {
        Self::read_any(Parts::split(text, max_bytes)?)
    }

    fn read_any(Parts { signed, header, claims, signature }: Parts<'a>) -> Result<Self, Fault> {
        let header = base64url::decode(header).map_err(|_| Fault::Malformed)?;
        let header = json::object(&header).map_err(|fault| match fault {
            JsonFault::Malformed => Fault::HeaderMalformed,
            JsonFault::Duplicate => Fault::DuplicateHeader,
            JsonFault::TooDeep => Fault::TooDeep,
        })?;
        let header = Header::read(header)?;
        let signature = base64url::decode(signature).map_err(|_| Fault::Malformed)?;
        if signature.is_empty() {
            return Err(Fault::SignatureMissing);
        }
        Ok(Self { signed, claims, signature, header })
    }

    /// `alg`.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.header.algorithm
    }

    /// `kid`. Only ever compared with the names of keys, never a path or a part of a query (RFC 8725 section 3.10).
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.header.key_id.as_deref()
    }

    /// `typ`.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        self.header.kind.as_deref()
    }

    /// `jwk`, which only a proof may have.
    pub(super) fn key(&self) -> Option<&Map<String, Value>> {
        self.header.key.as_ref()
    }

    /// What one of the keys signed, be it claims or not (RFC 7515).
    ///
    /// # Errors
    /// As [`KeySet::candidates`]; [`Fault::SignatureInvalid`].
    pub fn payload(&self, keys: &KeySet) -> Result<Vec<u8>, Fault> {
        self.check_signature(keys.candidates(self.key_id(), self.algorithm())?)?;
        base64url::decode(self.claims).map_err(|_| Fault::Malformed)
    }

    /// Reads the claims, which nobody has vouched for yet.
    pub(super) fn claims(&self) -> Result<Claims, Fault> {
        let bytes = base64url::decode(self.claims).map_err(|_| Fault::Malformed)?;
        Claims::parse(&bytes)
    }

    /// The first of the keys that signed it.
    pub(super) fn check_signature<'k>(
        &self,
        mut keys: impl Iterator<Item = &'k Key>,
    ) -> Result<&'k Key, Fault> {
        keys.find(|key| key.verifies(self.header.algorithm, self.signed, &self.signature))
            .ok_or(Fault::SignatureInvalid)
    }
}

/// The parts of a token, none of them decoded.
pub(super) struct Parts<'a> {
    signed: &'a [u8],
    header: &'a [u8],
    claims: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Parts<'a> {
    /// The second part.
    pub(super) const fn claims(&self) -> &'a [u8] {
        self.claims
    }

    pub(super) fn split(text: &'a [u8], max_bytes: usize) -> Result<Self, Fault> {
        if text.len() > max_bytes {
            return Err(Fault::TooLarge);
        }
        if text.trim_ascii_start().first() == Some(&b'{') {
            return Err(Fault::JsonSerialised);
        }
        let mut dots = memchr::memchr_iter(b'.', text);
        match [dots.next(), dots.next(), dots.next(), dots.next(), dots.next()] {
            [Some(first), Some(second), None, ..] => Ok(Self {
                signed: text.get(..second).ok_or(Fault::Malformed)?,
                header: text.get(..first).ok_or(Fault::Malformed)?,
                claims: text.get(first + 1..second).ok_or(Fault::Malformed)?,
                signature: text.get(second + 1..).ok_or(Fault::Malformed)?,
            }),
            [Some(_), Some(_), Some(_), Some(_), None] => Err(Fault::Encrypted),
            _ => Err(Fault::Malformed),
        }
    }
}

impl Header {
    fn read(mut header: Map<String, Value>) -> Result<Self, Fault> {
        // What a token must not ask for comes first: a forged token should be called what it is.
        if header.contains_key("crit") {
            return Err(Fault::CriticalHeader);
        }
        if ["jku", "x5u", "x5c"].iter().any(|name| header.contains_key(*name)) {
            return Err(Fault::KeyInHeader);
        }
        if header.contains_key("zip") {
            return Err(Fault::Compressed);
        }
        if header.contains_key("b64") {
            return Err(Fault::Unencoded);
        }
        if header.contains_key("enc") {
            return Err(Fault::Encrypted);
        }
        let algorithm = text(&mut header, "alg")?.ok_or(Fault::HeaderMalformed)?;
        let algorithm = match Algorithm::named(&algorithm) {
            Some(algorithm) => algorithm,
            None if algorithm.eq_ignore_ascii_case("none") => return Err(Fault::AlgorithmNone),
            None => return Err(Fault::AlgorithmUnknown),
        };
        if text(&mut header, "cty")?.is_some_and(|content| is_type(&content, "jwt")) {
            return Err(Fault::Nested);
        }
        let key = match header.remove("jwk") {
            Some(Value::Object(key)) => Some(key),
            Some(_) => return Err(Fault::HeaderMalformed),
            None => None,
        };
        Ok(Self { algorithm, key_id: text(&mut header, "kid")?, kind: text(&mut header, "typ")?, key })
    }
}

fn text(header: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Fault> {
    match header.remove(name) {
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Fault::HeaderMalformed),
        None => Ok(None),
    }
}

/// Whether a media type in a header is the one named, in lower case: `application/` may be left out and case does not
/// matter (RFC 7515 section 4.1.9).
pub(super) fn is_type(text: &str, name: &str) -> bool {
    const PREFIX: &str = "application/";
    let bare = match text.split_at_checked(PREFIX.len()) {
        Some((start, bare)) if start.eq_ignore_ascii_case(PREFIX) => bare,
        _ => text,
    };
    bare.eq_ignore_ascii_case(name)
}

#[cfg(test)]
mod tests;
