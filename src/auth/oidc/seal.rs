//! What browsers keep for us, so that nobody can read, change or move it: `XChaCha20-Poly1305` under keys derived from the
//! operator's secrets.
//!
//! Always holds: the first secret seals, all of them open, so that secrets are changed without logging anybody out; what
//! was sealed for one purpose, cookie, issuer and client opens for no other. Nonces are random, and with 24 bytes there
//! are enough of them for any number of cookies under one key, which AES-GCM's 12 bytes are not (NIST SP 800-38D §8.3:
//! 2³² at most).

use boring::aead::{AeadCtx, Algorithm};
use boring::error::ErrorStack;
use boring::hash::MessageDigest;
use boring::hkdf::HkdfSuite;

use crate::values::Problem;

/// Fills with random bytes.
pub type Random = dyn Fn(&mut [u8]) -> Result<(), ErrorStack> + Send + Sync;

/// Letters that a secret has at least: 32 are 192 bits in base64, 128 in hexadecimal.
const SHORTEST: usize = 32;
/// Secrets at a time: one in use, one that is going, and some to spare.
const MOST: usize = 8;
const VERSION: u8 = 1;
const ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const HEAD_BYTES: usize = 1 + ID_BYTES + NONCE_BYTES;

/// Seals and opens.
pub struct Seals {
    keys: Box<[Key]>,
}

struct Key {
    /// Tells which key it was; it says nothing of the key.
    id: [u8; ID_BYTES],
    key: [u8; 32],
}

/// What was sealed.
pub struct Opened {
    pub text: Vec<u8>,
    /// Whether by a key that seals no more.
    pub by_former_key: bool,
}

impl Seals {
    /// Keys from secrets, the one that seals first.
    ///
    /// # Errors
    /// When there is none or there are more than 8, and at `[N]`, when one is shorter than 32 bytes or is there twice.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Result<Self, Problem> {
        let mut keys: Vec<Key> = Vec::new();
        for (index, secret) in secrets.into_iter().enumerate() {
            let wrong = |message: &str| Problem::new(format!("[{index}]"), message);
            if secret.len() < SHORTEST {
                return Err(wrong("expected at least 32 characters, made with `openssl rand -base64 32`"));
            }
            let key = Key::derive(secret).map_err(|error| wrong(&error.to_string()))?;
            if keys.iter().any(|other| other.key == key.key) {
                return Err(wrong("is the same secret as one before it"));
            }
            keys.push(key);
        }
        match keys.len() {
            1..=MOST => Ok(Self { keys: keys.into() }),
            count => Err(Problem::whole(format_args!("expected 1 to {MOST} secrets, found {count}"))),
        }
    }

    /// Seals a text for one purpose, which `context` tells.
    ///
    /// # Errors
    /// When there are no random bytes, or no memory.
    pub fn seal(&self, context: &[u8], text: &[u8], random: &Random) -> Result<Vec<u8>, ErrorStack> {
        let Some(key) = self.keys.first() else { return Err(ErrorStack::get()) };
        let mut nonce = [0; NONCE_BYTES];
        random(&mut nonce)?;
        let head = [&[VERSION][..], &key.id, &nonce].concat();
        let mut body = text.to_vec();
        let mut tag = [0; TAG_BYTES];
        key.cipher()?.seal_in_place_mut(&nonce, &mut body, &mut tag, &[&head, context].concat())?;
        Ok([head, body, tag.to_vec()].concat())
    }

    /// Opens what was sealed for the same purpose; `None` for anything else.
    #[must_use]
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Option<Opened> {
        let (head, rest) = sealed.split_at_checked(HEAD_BYTES)?;
        let (body, tag) = rest.split_at_checked(rest.len().checked_sub(TAG_BYTES)?)?;
        let (version, id, nonce) = (head.first()?, head.get(1..=ID_BYTES)?, head.get(1 + ID_BYTES..)?);
        if *version != VERSION {
            return None;
        }
        let context = [head, context].concat();
        let named = self.keys.iter().enumerate().filter(|(_, key)| key.id == *id);
        named.into_iter().find_map(|(place, key)| {
            let mut text = body.to_vec();
            key.cipher().ok()?.open_in_place_mut(nonce, &mut text, tag, &context).ok()?;
            Some(Opened { text, by_former_key: place > 0 })
        })
    }
}

impl Key {
    fn derive(secret: &str) -> Result<Self, ErrorStack> {
        let suite = HkdfSuite::new(MessageDigest::sha256());
        let extracted = suite.extract(b"edgeward oidc_login", secret.as_bytes())?;
        let (mut key, mut id) = ([0; 32], [0; ID_BYTES]);
        suite.expand(&extracted, b"key 1", &mut key)?;
        suite.expand(&extracted, b"id 1", &mut id)?;
        Ok(Self { id, key })
    }

    fn cipher(&self) -> Result<AeadCtx, ErrorStack> {
        AeadCtx::new_default_tag(&Algorithm::xchacha20_poly1305(), &self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "a new secret with at least 32 letters";
    const OLD: &str = "an old secret with at least 32 letters";

    fn seals(secrets: &[&str]) -> Seals {
        Seals::new(secrets.iter().copied()).unwrap()
    }

    fn sealed(seals: &Seals, text: &str) -> Vec<u8> {
        seals.seal(b"purpose", text.as_bytes(), &boring::rand::rand_bytes).unwrap()
    }

    #[test]
    fn opens_what_it_sealed_for_the_same_purpose_alone() {
        let seals = seals(&[NEW]);
        let sealed = sealed(&seals, "text");
        assert_eq!(seals.open(b"purpose", &sealed).unwrap().text, b"text");
        for other in [&b""[..], b"purpos", b"purpose2", b"other"] {
            assert!(seals.open(other, &sealed).is_none());
        }
    }

    #[test]
    fn refuses_what_was_changed_at_any_place() {
        let seals = seals(&[NEW]);
        let sealed = sealed(&seals, "text");
        for place in 0..sealed.len() {
            let mut other = sealed.clone();
            other[place] ^= 1;
            assert!(seals.open(b"purpose", &other).is_none(), "at {place}");
            assert!(seals.open(b"purpose", &sealed[..place]).is_none(), "cut at {place}");
        }
        assert!(seals.open(b"purpose", &[&sealed[..], b"x"].concat()).is_none());
    }

    #[test]
    fn the_first_secret_seals_and_all_of_them_open() {
        let (before, during, after) = (seals(&[OLD]), seals(&[NEW, OLD]), seals(&[NEW]));
        let (old, new) = (sealed(&before, "old"), sealed(&during, "new"));
        let opened = during.open(b"purpose", &old).unwrap();
        assert_eq!((&*opened.text, opened.by_former_key), (&b"old"[..], true));
        let opened = during.open(b"purpose", &new).unwrap();
        assert_eq!((&*opened.text, opened.by_former_key), (&b"new"[..], false));
        assert!(after.open(b"purpose", &new).is_some());
        assert!(after.open(b"purpose", &old).is_none() && before.open(b"purpose", &new).is_none());
    }

    #[test]
    fn the_same_text_is_never_sealed_alike() {
        let seals = seals(&[NEW]);
        assert_ne!(sealed(&seals, "text"), sealed(&seals, "text"));
    }

    #[test]
    fn nothing_of_the_text_shows() {
        let sealed = sealed(&seals(&[NEW]), "refresh token");
        assert!(!sealed.windows(7).any(|window| window == b"refresh"));
    }

    #[test]
    fn refuses_secrets_that_are_weak_or_missing() {
        let problem = |secrets: &[&str]| Seals::new(secrets.iter().copied()).err().unwrap();
        assert_eq!(problem(&[]).message, "expected 1 to 8 secrets, found 0");
        assert_eq!(problem(&[NEW, "short"]).at, "[1]");
        assert_eq!(problem(&[NEW, OLD, NEW]).at, "[2]");
        let many: Vec<String> = (0..9).map(|number| format!("{NEW} {number}")).collect();
        assert_eq!(Seals::new(many.iter().map(String::as_str)).err().unwrap().at, "");
    }
}
