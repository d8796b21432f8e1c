//! Password hashes as htpasswd files hold them: bcrypt, and argon2id in PHC notation.
//!
//! What is malformed, unsafe or dearer than a server can bear is refused when the policy is loaded, so that checking a
//! password later can be slow but not wrong, and never takes much more than a second.

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordVerifier, Version};

/// Above it one check takes longer than a second.
const DEAREST_BCRYPT: u32 = 14;
/// 256 MiB, in KiB as argon2 counts.
const MOST_MEMORY_KIB: u32 = 256 * 1024;
/// Memory times passes: one GiB written takes about a second.
const MOST_WORK_KIB: u64 = 1024 * 1024;
const MOST_LANES: u32 = 16;

/// The order of bcrypt's base64, whose trailing bits have to be zero.
const BCRYPT_ALPHABET: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A checked password hash.
pub enum Hash {
    /// `$2a$`, `$2b$` or `$2y$`.
    Bcrypt(Box<str>),
    /// `$argon2id$v=19$…`.
    Argon2id(Box<str>),
}

impl Hash {
    /// Checks a hash from an htpasswd line.
    ///
    /// # Errors
    /// Says what kind of hash it is, or what is wrong with it, never the hash itself.
    pub fn parse(text: &str) -> Result<Self, String> {
        if ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| text.starts_with(prefix)) {
            check_bcrypt(text)?;
            return Ok(Self::Bcrypt(text.into()));
        }
        if text.starts_with("$argon2id$") {
            check_argon2id(text)?;
            return Ok(Self::Argon2id(text.into()));
        }
        Err(format!("{} is not safe here: use bcrypt (htpasswd -B) or argon2id", kind(text)))
    }

    /// Whether the password is the right one. Takes as long as the hash was made to take; the comparison itself takes
    /// the same time wherever it fails. Bcrypt sees the first 72 bytes of a password.
    pub fn verify(&self, password: &str) -> bool {
        match self {
            Self::Bcrypt(text) => bcrypt::verify(password, text).unwrap_or(false),
            Self::Argon2id(text) => PasswordHash::new(text)
                .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()),
        }
    }

    /// The text it was parsed from, which tells apart what verifies differently.
    pub const fn text(&self) -> &str {
        match self {
            Self::Bcrypt(text) | Self::Argon2id(text) => text,
        }
    }
}

/// `$2y$10$` and 53 characters: 22 of salt, 31 of hash.
fn check_bcrypt(text: &str) -> Result<(), String> {
    let malformed =
        || "malformed bcrypt hash: expected $2y$, two digits of cost, $ and 53 characters".to_owned();
    let (cost, digest) = text.get(4..).and_then(|rest| rest.split_once('$')).ok_or_else(malformed)?;
    let values: Option<Vec<usize>> =
        digest.bytes().map(|byte| BCRYPT_ALPHABET.iter().position(|known| *known == byte)).collect();
    let values = values.filter(|values| values.len() == 53).ok_or_else(malformed)?;
    // 16 bytes of salt end four bits before their last character does, 23 bytes of hash two.
    let zero = |at: usize, unit: usize| values.get(at).is_some_and(|value| value % unit == 0);
    let digits = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || !zero(21, 16) || !zero(52, 4) {
        return Err(malformed());
    }
    match cost.parse::<u32>() {
        Ok(4..=DEAREST_BCRYPT) => Ok(()),
        Ok(cost) => Err(format!("bcrypt cost {cost} is out of range: expected 4 to {DEAREST_BCRYPT}")),
        Err(_) => Err(malformed()),
    }
}

fn check_argon2id(text: &str) -> Result<(), String> {
    let malformed = || "malformed argon2id hash: expected $argon2id$v=19$m=…,t=…,p=…$salt$hash".to_owned();
    let hash = PasswordHash::new(text).map_err(|_| malformed())?;
    let params = Params::try_from(&hash).map_err(|_| malformed())?;
    let mut salt = [0; 64];
    let salted = hash.salt.and_then(|from| from.decode_b64(&mut salt).ok().map(<[u8]>::len));
    let complete = hash.algorithm == Algorithm::Argon2id.ident()
        && hash.version == Some(Version::V0x13.into())
        && hash.hash.is_some()
        && ["m", "t", "p"].iter().all(|name| hash.params.get_decimal(*name).is_some());
    if !complete || salted.is_none_or(|length| length < argon2::MIN_SALT_LEN) {
        return Err(malformed());
    }
    let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
    if memory > MOST_MEMORY_KIB {
        return Err(format!(
            "argon2id memory m={memory} is out of range: at most {MOST_MEMORY_KIB} (256 MiB)"
        ));
    }
    if u64::from(memory) * u64::from(passes) > MOST_WORK_KIB {
        return Err(format!(
            "argon2id m={memory},t={passes} takes too long: m times t is at most {MOST_WORK_KIB}"
        ));
    }
    if lanes > MOST_LANES {
        return Err(format!("argon2id p={lanes} is out of range: at most {MOST_LANES}"));
    }
    Ok(())
}

/// What kind of unsafe hash it is, for a message.
fn kind(text: &str) -> &'static str {
    let kinds = [
        ("$apr1$", "an md5 hash (apr1)"),
        ("$1$", "an md5 hash"),
        ("$2x$", "a bcrypt hash of a broken implementation (2x)"),
        ("$5$", "a sha256-crypt hash"),
        ("$6$", "a sha512-crypt hash"),
        ("$y$", "a yescrypt hash"),
        ("$argon2i$", "an argon2i hash"),
        ("$argon2d$", "an argon2d hash"),
        ("{SHA}", "a sha1 hash"),
        ("{SSHA}", "a sha1 hash"),
        ("{PLAIN}", "a plain password"),
        ("$", "this kind of hash"),
    ];
    kinds
        .iter()
        .find(|(prefix, _)| text.starts_with(prefix))
        .map_or("a plain password or a crypt hash", |(_, kind)| kind)
}

#[cfg(test)]
mod tests;
