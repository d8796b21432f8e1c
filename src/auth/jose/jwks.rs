//! Sets of keys (RFC 7517 section 5): read as far as they can be used, and searched for the key of a token.
//!
//! A key that cannot be used is left out, with a [`Note`] for the log, and the others work on: an issuer may add a kind
//! of key that nobody here knows. A set that is no set is refused as a whole.
//!
//! **Names.** A token names its key, unless only one key could be meant. Two keys for one algorithm may share a name, as they
//! do where an issuer changes a key and keeps its name: both are the issuer's, so trying both opens nothing. A third is
//! left out, for each one costs a signature's check. Where no key of a set has a name (a PEM file), the name in a token is not
//! looked at, and there must be one key for its algorithm.

use serde_json::Value;

use super::algorithm::Algorithm;
use super::fault::Fault;
use super::json::{self, JsonFault};
use super::jwk;
use super::key::{Key, KeyError};
use super::thumbprint::Thumbprint;

/// Longest set that is read.
pub const MAX_BYTES: usize = 1 << 20;
/// Most keys in a set, usable or not.
pub const MAX_KEYS: usize = 100;
const MAX_NAMED_ALIKE: usize = 2;

/// Who can read a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Everybody: an issuer publishes it. A secret in it is none, and is left out.
    Public,
    /// The issuer and we alone: secrets in it are taken.
    Secret,
}

/// Why something is no set of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    #[error("larger than {} bytes", MAX_BYTES)]
    TooLarge,
    #[error("not a JSON object with a list `keys`")]
    Malformed,
    #[error("a member occurs twice")]
    Duplicate,
    #[error("more than {} keys", MAX_KEYS)]
    TooManyKeys,
}

/// What is odd about one key of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its place in the set, from zero.
    pub index: usize,
    /// Its name, if it has one.
    pub id: Option<String>,
    /// What is odd about it.
    pub oddity: Oddity,
}

/// What may be odd about a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Oddity {
    /// It is left out.
    #[error("left out: {0}")]
    LeftOut(KeyError),
    /// It is used, but whoever read the set can sign in the issuer's name.
    #[error("its private part is published")]
    PrivatePublished,
}

/// Keys to verify the tokens of one issuer with.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

impl KeySet {
    /// Reads a set.
    ///
    /// # Errors
    /// When it is no set at all, is too large or has too many keys; not for keys that cannot be used.
    pub fn parse(json: &[u8], source: Source) -> Result<(Self, Vec<Note>), SetError> {
        if json.len() > MAX_BYTES {
            return Err(SetError::TooLarge);
        }
        let set = json::object(json).map_err(|fault| match fault {
            JsonFault::Malformed | JsonFault::TooDeep => SetError::Malformed,
            JsonFault::Duplicate => SetError::Duplicate,
        })?;
        let list = set.get("keys").and_then(Value::as_array).ok_or(SetError::Malformed)?;
        if list.len() > MAX_KEYS {
            return Err(SetError::TooManyKeys);
        }
        let (mut keys, mut notes) = (Self::default(), Vec::new());
        for (index, value) in list.iter().enumerate() {
            if let Err(oddity) = keys.add_jwk(value, source) {
                let id = value.get("kid").and_then(Value::as_str).map(ToOwned::to_owned);
                notes.push(Note { index, id, oddity });
            }
        }
        Ok((keys, notes))
    }

    /// Adds a key, unless the same one is there under the same name.
    ///
    /// # Errors
    /// [`KeyError::Name`] when two keys for one of its algorithms have its name already.
    pub fn add(&mut self, key: Key) -> Result<(), KeyError> {
        let is_alike =
            |other: &&Key| other.id() == key.id() && !other.algorithms().and(key.algorithms()).is_empty();
        let alike = || self.keys.iter().filter(is_alike);
        let is_there =
            |other: &Key| other.thumbprint() == key.thumbprint() && other.algorithms() == key.algorithms();
        if alike().any(is_there) {
            return Ok(());
        }
        if key.id().is_some() && alike().count() >= MAX_NAMED_ALIKE {
            return Err(KeyError::Name);
        }
        self.keys.push(key);
        Ok(())
    }

    fn add_jwk(&mut self, value: &Value, source: Source) -> Result<(), Oddity> {
        let jwk = value.as_object().ok_or(Oddity::LeftOut(KeyError::Member("kty")))?;
        let key = match source {
            Source::Secret if jwk::is_secret(jwk) => jwk::secret(jwk),
            _ => jwk::public(jwk),
        };
        key.and_then(|key| self.add(key)).map_err(Oddity::LeftOut)?;
        match source {
            Source::Public if jwk::is_private(jwk) => Err(Oddity::PrivatePublished),
            _ => Ok(()),
        }
    }

    /// The keys, in their order.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Whether the key is in the set, and may be used with the algorithm.
    #[must_use]
    pub fn allows(&self, key: &Thumbprint, algorithm: Algorithm) -> bool {
        self.keys.iter().any(|known| known.thumbprint() == *key && known.algorithms().contains(algorithm))
    }

    /// The keys that may have signed a token with this name and algorithm, at most two.
    ///
    /// # Errors
    /// [`Fault::KeyUnknown`] when none is there, [`Fault::KeyAmbiguous`] when the token names none of several, and
    /// [`Fault::AlgorithmNotOfKey`] when the key named is for another algorithm.
    pub fn candidates(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<impl Iterator<Item = &Key>, Fault> {
        let nameless = self.keys.iter().all(|key| key.id().is_none());
        let id = if nameless { None } else { id };
        let named = move |key: &&Key| id.is_none() || key.id() == id;
        let fitting = move |key: &&Key| named(key) && key.algorithms().contains(algorithm);
        let found = self.keys.iter().filter(fitting);
        match (found.clone().count(), id) {
            (0, Some(_)) if self.keys.iter().any(|key| named(&key)) => Err(Fault::AlgorithmNotOfKey),
            (0, _) => Err(Fault::KeyUnknown),
            (2.., None) => Err(Fault::KeyAmbiguous),
            _ => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests;
