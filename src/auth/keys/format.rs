//! The text of a key: how it is made, and how it is told from other texts.
//!
//! ```text
//! ew_k3v9x0q2ab_7Hq2…(32 characters)…x4kT0Lm2aZ
//! │  │          │                     └ CRC-32 of all before it, 6 base62 digits
//! │  │          └ secret: 32 base62 characters, 190 bits of chance
//! │  └ id: 10 lower-case letters and digits, a letter first. Names the key; no secret
//! └ prefix
//! ```
//!
//! Prefix and checksum let a scanner of repositories and logs find a leaked key ([`SCAN_PATTERN`]) and tell it from
//! chance without asking anybody. The checksum also refuses damaged and made-up keys before anything is hashed. It
//! proves nothing: who knows the format computes it.
//!
//! Keys made elsewhere are welcome too: any printable text of at most 512 bytes that does not begin with `ew_`. All
//! keys are found by the SHA-256 of their whole text, and nothing else of them is kept. For ours one fast hash is
//! enough, because 190 bits cannot be guessed; short passwords do not belong here.

use std::fmt;
use std::io;

use super::digest::Digest;
use super::names::KeyId;

/// The longest text that can be a key, in bytes.
pub const LONGEST_BYTES: usize = 512;
/// What every key of ours begins with.
pub const PREFIX: &str = "ew_";
/// A regular expression for scanners. What it finds is a key if its checksum fits ([`Presented::parse`]).
pub const SCAN_PATTERN: &str = r"\bew_[a-z][a-z0-9]{9}_[0-9A-Za-z]{38}\b";

const ID_CHARACTERS: usize = 10;
const SECRET_CHARACTERS: usize = 32;
const CHECKSUM_CHARACTERS: usize = 6;
const CHECKED_BYTES: usize = PREFIX.len() + ID_CHARACTERS + 1 + SECRET_CHARACTERS;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const LOWER: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";
const LOWER_AND_DIGITS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// Fills a buffer from a cryptographically secure generator.
pub type Random<'a> = dyn FnMut(&mut [u8]) -> io::Result<()> + 'a;

/// A key just made. Prints as its id; the text itself leaves by [`expose`](Self::expose) alone.
pub struct KeyText {
    text: String,
    id: KeyId,
}

impl KeyText {
    /// Makes a key.
    ///
    /// # Errors
    /// When there is no randomness to be had.
    pub fn generate(random: &mut Random<'_>) -> io::Result<Self> {
        let mut drawn = [[0_u8; 4]; ID_CHARACTERS + SECRET_CHARACTERS];
        random(drawn.as_flattened_mut())?;
        let (for_id, for_secret) = drawn.split_at(ID_CHARACTERS);
        let mut id = String::with_capacity(ID_CHARACTERS);
        for (at, drawn) in for_id.iter().enumerate() {
            // A letter first, so that no reader of YAML takes an id for a number.
            id.push(pick(if at == 0 { LOWER } else { LOWER_AND_DIGITS }, *drawn));
        }
        let secret: String = for_secret.iter().map(|drawn| pick(BASE62, *drawn)).collect();
        let mut text = format!("{PREFIX}{id}_{secret}");
        let checksum = checksum(text.as_bytes());
        text.extend(checksum.map(char::from));
        Ok(Self { text, id: id.parse().map_err(io::Error::other)? })
    }

    /// Names the key.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// What is kept of it.
    pub fn digest(&self) -> Digest {
        Digest::of(self.text.as_bytes())
    }

    /// The text. Whoever calls this shows it once, to its owner, and keeps it nowhere.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for KeyText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{PREFIX}{}_***", self.id)
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// One of `alphabet`, of at most 256 characters, from 32 random bits. Scaling instead of drawing again prefers some
/// characters by 62 in 2^32: less than a millionth of a bit is lost, and a broken generator cannot make it loop.
fn pick(alphabet: &[u8], drawn: [u8; 4]) -> char {
    let scaled = u64::from(u32::from_le_bytes(drawn)) * alphabet.len() as u64;
    let index = usize::try_from(scaled >> 32).unwrap_or_default();
    char::from(alphabet.get(index).copied().unwrap_or_default())
}

fn checksum(checked: &[u8]) -> [u8; CHECKSUM_CHARACTERS] {
    let mut rest = crc32fast::hash(checked) as usize;
    let mut digits = [b'0'; CHECKSUM_CHARACTERS];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62.get(rest % 62).copied().unwrap_or_default();
        rest /= 62;
    }
    digits
}

/// A text that may be a key, as a client sent it. It has no `Debug` and no `Display`: it is a secret until it is
/// proven to be none.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    text: &'a [u8],
    claimed_id: Option<&'a str>,
}

/// The text is no key: empty, too long, not printable, or with our prefix but damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the text of a key")]
pub struct Malformed;

impl<'a> Presented<'a> {
    /// Takes a text for a key if it can be one, without hashing it: some 60 ns.
    ///
    /// # Errors
    /// When it is empty, longer than [`LONGEST_BYTES`], or holds a control character; and when it begins with
    /// [`PREFIX`] and is not whole, with a checksum that fits.
    pub fn parse(text: &'a [u8]) -> Result<Self, Malformed> {
        // To the end even if the first is one: without an early exit the loop takes many bytes at a time.
        let controls = |found, byte: &u8| found | byte.is_ascii_control();
        if !(1..=LONGEST_BYTES).contains(&text.len()) || text.iter().fold(false, controls) {
            return Err(Malformed);
        }
        if !text.starts_with(PREFIX.as_bytes()) {
            return Ok(Self { text, claimed_id: None });
        }
        let id = whole(text).ok_or(Malformed)?;
        Ok(Self { text, claimed_id: Some(id) })
    }

    /// The id inside a key of ours. Anyone can write one; it names a key only after the digest was found.
    pub fn claimed_id(&self) -> Option<&'a str> {
        self.claimed_id
    }

    pub fn digest(&self) -> Digest {
        Digest::of(self.text)
    }
}

/// The id in `text` if it is a key of ours, undamaged.
fn whole(text: &[u8]) -> Option<&str> {
    let (checked, sum) = text.split_at_checked(CHECKED_BYTES)?;
    let (id, secret) = checked.strip_prefix(PREFIX.as_bytes())?.split_at_checked(ID_CHARACTERS)?;
    let (first, others) = id.split_first()?;
    let named = first.is_ascii_lowercase()
        && others.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let shaped = named && secret.strip_prefix(b"_")?.iter().all(u8::is_ascii_alphanumeric);
    if !shaped || sum != checksum(checked) {
        return None;
    }
    std::str::from_utf8(id).ok()
}

#[cfg(test)]
mod tests;
