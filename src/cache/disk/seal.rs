//! What makes sure that bytes read from a file are those written there: a CRC, or AES-256-GCM where they are encrypted.
//!
//! Both cover where in which file a block lies, so that a block that turns up elsewhere, left over from another file or put
//! there, is none. **Keys**: the first of the operator's secrets seals and all of them open. Every file has a random salt
//! and a key of its own derived from secret and salt; its nonces are the offsets of its blocks. No offset of a file is
//! written twice with different content, so no nonce is used twice, however many blocks there are (random nonces would allow
//! 2³² under one key, NIST SP 800-38D §8.3, which a busy store writes in days).

use boring::aead::{AeadCtx, Algorithm};
use boring::error::ErrorStack;
use boring::hash::MessageDigest;
use boring::hkdf::HkdfSuite;

use crate::values::Problem;

/// Letters that a secret has at least: 32 are 192 bits in base64, 128 in hexadecimal.
const SHORTEST: usize = 32;
/// Secrets at a time: one in use, one that is going, and some to spare.
const MOST: usize = 8;

/// A file's salt, which is its identity, too.
pub type Salt = [u8; 32];
/// Tells which secret a file is sealed with; zero: none. It says nothing of the secret.
pub type KeyId = [u8; 4];

/// No key has it.
pub const NO_KEY: KeyId = [0; 4];
/// What a block takes beside its content at most.
pub const MAX_TAG: usize = 16;

const CRC_BYTES: usize = 4;
const KEY_BYTES: usize = 32;

/// The operator's secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys(Box<[(KeyId, [u8; KEY_BYTES])]>);

impl Keys {
    /// Keys from secrets, the one that seals first.
    ///
    /// # Errors
    /// When there is none or there are more than 8, and at `[N]`, when one is shorter than 32 bytes or is there twice.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Result<Self, Problem> {
        let mut keys: Vec<(KeyId, [u8; KEY_BYTES])> = Vec::new();
        for (index, secret) in secrets.into_iter().enumerate() {
            let wrong = |message: &str| Problem::new(format!("[{index}]"), message);
            if secret.len() < SHORTEST {
                return Err(wrong("expected at least 32 characters, made with `openssl rand -base64 32`"));
            }
            let key = derive(secret).map_err(|error| wrong(&error.to_string()))?;
            // One in four thousand million secrets would also have the number of none.
            if keys.iter().any(|(id, _)| *id == key.0) || key.0 == NO_KEY {
                return Err(wrong("is the same secret as one before it"));
            }
            keys.push(key);
        }
        match keys.len() {
            1..=MOST => Ok(Self(keys.into())),
            count => Err(Problem::whole(format_args!("expected 1 to {MOST} secrets, found {count}"))),
        }
    }

    /// The key that seals.
    #[must_use]
    pub fn first(&self) -> KeyId {
        self.0.first().map_or(NO_KEY, |(id, _)| *id)
    }
}

fn derive(secret: &str) -> Result<(KeyId, [u8; KEY_BYTES]), ErrorStack> {
    let suite = HkdfSuite::new(MessageDigest::sha256());
    let extracted = suite.extract(b"edgeward cache", secret.as_bytes())?;
    let (mut key, mut id) = ([0; KEY_BYTES], NO_KEY);
    suite.expand(&extracted, b"key 1", &mut key)?;
    suite.expand(&extracted, b"id 1", &mut id)?;
    Ok((id, key))
}

fn file_key(secret: &[u8; KEY_BYTES], salt: &Salt) -> Result<[u8; KEY_BYTES], ErrorStack> {
    let suite = HkdfSuite::new(MessageDigest::sha256());
    let extracted = suite.extract(salt, secret)?;
    let mut key = [0; KEY_BYTES];
    suite.expand(&extracted, b"file 1", &mut key)?;
    Ok(key)
}

/// Bytes are not those that were written, or cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not what was written")]
pub struct Broken;

/// Seals and opens the blocks of one file.
#[derive(Clone)]
pub struct Seal {
    salt: Salt,
    key: Option<[u8; KEY_BYTES]>,
}

impl Seal {
    /// Of a file with this salt, sealed by the key of this number; `None` if that key is not at hand, or the file is not
    /// sealed though there are keys: what lies open is not served where it should not lie open.
    #[must_use]
    pub fn new(keys: Option<&Keys>, id: KeyId, salt: &Salt) -> Option<Self> {
        let key = match keys {
            None if id == NO_KEY => None,
            None => return None,
            Some(keys) => {
                let (_, secret) = keys.0.iter().find(|(known, _)| *known == id)?;
                Some(file_key(secret, salt).ok()?)
            }
        };
        Some(Self { salt: *salt, key })
    }

    /// For what may be written twice at one offset.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn derived(&self, salt: &Salt) -> Result<Self, Broken> {
        let key = self.key.as_ref().map(|key| file_key(key, salt)).transpose();
        Ok(Self { salt: *salt, key: key.map_err(|_| Broken)? })
    }

    #[must_use]
    pub const fn salt(&self) -> &Salt {
        &self.salt
    }

    /// Bytes that a block takes beside its content.
    #[must_use]
    pub const fn tag_bytes(&self) -> usize {
        if self.key.is_some() { MAX_TAG } else { CRC_BYTES }
    }

    /// Seals what stands in `bytes` from `start` on, and appends its tag. It will lie at `offset`; `with` must be the same
    /// when it is opened.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn seal(&self, bytes: &mut Vec<u8>, start: usize, offset: u64, with: &[u8]) -> Result<(), Broken> {
        let block = bytes.get_mut(start..).ok_or(Broken)?;
        if let Some(key) = &self.key {
            let mut tag = [0; MAX_TAG];
            cipher(key)?.seal_in_place_mut(&nonce(offset), block, &mut tag, with).map_err(|_| Broken)?;
            bytes.extend_from_slice(&tag);
        } else {
            let crc = self.crc(block, offset, with);
            bytes.extend_from_slice(&crc.to_le_bytes());
        }
        Ok(())
    }

    /// Opens a block with its tag in place; what it held.
    ///
    /// # Errors
    /// When it is not what was sealed for this place.
    pub fn open<'b>(&self, block: &'b mut [u8], offset: u64, with: &[u8]) -> Result<&'b [u8], Broken> {
        let length = block.len().checked_sub(self.tag_bytes()).ok_or(Broken)?;
        let (content, tag) = block.split_at_mut_checked(length).ok_or(Broken)?;
        match &self.key {
            Some(key) => {
                let opened = cipher(key)?.open_in_place_mut(&nonce(offset), content, tag, with);
                opened.map_err(|_| Broken)?;
            }
            None if self.crc(content, offset, with).to_le_bytes() == *tag => {}
            None => return Err(Broken),
        }
        Ok(content)
    }

    /// For what must be readable without a key.
    #[must_use]
    pub fn crc(&self, bytes: &[u8], offset: u64, with: &[u8]) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        crc.update(bytes);
        for part in [&self.salt[..], &offset.to_le_bytes(), with] {
            crc.update(part);
        }
        crc.finalize()
    }
}

fn cipher(key: &[u8; KEY_BYTES]) -> Result<AeadCtx, Broken> {
    AeadCtx::new_default_tag(&Algorithm::aes_256_gcm(), key).map_err(|_| Broken)
}

fn nonce(offset: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    let (first, _) = nonce.split_at_mut(8);
    first.copy_from_slice(&offset.to_le_bytes());
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "a new secret with at least 32 letters";
    const OLD: &str = "an old secret with at least 32 letters";

    fn keys(secrets: &[&str]) -> Keys {
        Keys::new(secrets.iter().copied()).unwrap()
    }

    fn seals() -> [Seal; 2] {
        let keys = keys(&[NEW]);
        [Seal::new(None, NO_KEY, &[1; 32]).unwrap(), Seal::new(Some(&keys), keys.first(), &[1; 32]).unwrap()]
    }

    fn sealed(seal: &Seal, text: &[u8]) -> Vec<u8> {
        let mut bytes = text.to_vec();
        seal.seal(&mut bytes, 0, 64, b"with").unwrap();
        bytes
    }

    #[test]
    fn opens_what_it_sealed_for_the_same_place_alone() {
        for seal in seals() {
            let sealed = sealed(&seal, b"text");
            assert_eq!(sealed.len(), 4 + seal.tag_bytes());
            assert_eq!(seal.open(&mut sealed.clone(), 64, b"with").unwrap(), b"text");
            assert!(seal.open(&mut sealed.clone(), 65, b"with").is_err());
            assert!(seal.open(&mut sealed.clone(), 64, b"without").is_err());
        }
    }

    #[test]
    fn refuses_what_was_changed_at_any_bit() {
        for seal in seals() {
            let sealed = sealed(&seal, b"text");
            for bit in 0..sealed.len() * 8 {
                let mut other = sealed.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                assert!(seal.open(&mut other, 64, b"with").is_err(), "{bit}");
            }
            for length in 0..sealed.len() {
                assert!(seal.open(&mut sealed.clone()[..length], 64, b"with").is_err(), "{length}");
            }
        }
    }

    #[test]
    fn files_do_not_open_for_each_other() {
        let keys = keys(&[NEW]);
        let one = Seal::new(Some(&keys), keys.first(), &[1; 32]).unwrap();
        let other = Seal::new(Some(&keys), keys.first(), &[2; 32]).unwrap();
        assert!(other.open(&mut sealed(&one, b"text"), 64, b"with").is_err());
        assert_ne!(sealed(&one, b"text"), sealed(&other, b"text"));
    }

    #[test]
    fn the_first_secret_seals_and_all_of_them_open() {
        let (before, during, after) = (keys(&[OLD]), keys(&[NEW, OLD]), keys(&[NEW]));
        let old = before.first();
        assert_ne!(during.first(), old);
        assert!(Seal::new(Some(&during), old, &[1; 32]).is_some());
        assert!(Seal::new(Some(&after), old, &[1; 32]).is_none());
    }

    #[test]
    fn open_files_are_not_read_where_there_are_keys_nor_sealed_ones_without() {
        let keys = keys(&[NEW]);
        assert!(Seal::new(Some(&keys), NO_KEY, &[1; 32]).is_none());
        assert!(Seal::new(None, keys.first(), &[1; 32]).is_none());
    }

    #[test]
    fn nothing_of_the_text_shows() {
        let [open, closed] = seals();
        let shows = |seal: &Seal| sealed(seal, b"private").windows(7).any(|window| window == b"private");
        assert!(shows(&open) && !shows(&closed));
    }

    #[test]
    fn refuses_secrets_that_are_weak_or_missing() {
        let problem = |secrets: &[&str]| Keys::new(secrets.iter().copied()).err().unwrap();
        assert_eq!(problem(&[]).message, "expected 1 to 8 secrets, found 0");
        assert_eq!(problem(&[NEW, "short"]).at, "[1]");
        assert_eq!(problem(&[NEW, OLD, NEW]).at, "[2]");
        let many: Vec<String> = (0..9).map(|number| format!("{NEW} {number}")).collect();
        assert_eq!(Keys::new(many.iter().map(String::as_str)).err().unwrap().at, "");
    }
}
