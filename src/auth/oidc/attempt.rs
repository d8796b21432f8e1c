//! One attempt to log in, from the redirect to the issuer until the browser comes back: kept by the browser, sealed, in a
//! cookie of its own, so that several tabs log in side by side and nobody completes what another browser began.

use base64::engine::{Engine, general_purpose::URL_SAFE_NO_PAD};
use boring::error::ErrorStack;
use boring::sha::sha256;
use serde::{Deserialize, Serialize};

use super::seal::Random;
use crate::auth::jose::base64url;

/// How long somebody may take to log in, in seconds.
pub(super) const LIFETIME: u64 = 600;
/// Attempts of one browser at a time; one more forgets the oldest.
pub(super) const MOST_PENDING: usize = 4;
/// Longest path that is returned to; a longer one would take the place of a session in the browser's head.
const MOST_RETURN_BYTES: usize = 1536;
/// Letters of the state that name its cookie: 96 bits.
const ID_LETTERS: usize = 16;

/// What must be the same when the browser comes back.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attempt {
    /// Goes to the issuer and back (RFC 6749 §10.12).
    #[serde(rename = "s")]
    pub state: String,
    /// Goes to the issuer and back in the ID token.
    #[serde(rename = "n")]
    pub nonce: String,
    /// Goes to the token endpoint, its hash before that to the issuer (RFC 7636).
    #[serde(rename = "v")]
    pub verifier: String,
    /// Where the browser was told to come back to; the token endpoint is told, too.
    #[serde(rename = "u")]
    pub redirect_uri: String,
    /// Where the browser wanted to go.
    #[serde(rename = "r")]
    pub return_to: String,
    /// In seconds since 1970.
    #[serde(rename = "b")]
    pub began: u64,
}

impl Attempt {
    /// With 256 random bits in each of its three secrets.
    pub(super) fn new(
        redirect_uri: String,
        wanted: &str,
        now: u64,
        random: &Random,
    ) -> Result<Self, ErrorStack> {
        let secret = || {
            let mut bytes = [0; 32];
            random(&mut bytes).map(|()| base64url::encode(&bytes))
        };
        let return_to = own_path(wanted).to_owned();
        Ok(Self {
            state: secret()?,
            nonce: secret()?,
            verifier: secret()?,
            redirect_uri,
            return_to,
            began: now,
        })
    }

    /// What names its cookie.
    pub(super) fn id(&self) -> &str {
        id_of(&self.state).unwrap_or_default()
    }

    /// `code_challenge` for S256 (RFC 7636 §4.2).
    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(sha256(self.verifier.as_bytes()))
    }

    /// Whether it took too long, or began in a future that no clock explains.
    pub(super) const fn is_over(&self, now: u64) -> bool {
        now > self.began.saturating_add(LIFETIME) || self.began > now.saturating_add(LIFETIME)
    }
}

/// The part of a state that names an attempt's cookie; `None` for what cannot be a state of ours.
pub(super) fn id_of(state: &str) -> Option<&str> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    state.get(..ID_LETTERS).filter(|id| id.bytes().all(is_letter))
}

/// A path and query of this very host to go to, or `/`.
///
/// `//evil` and `/\evil` are other hosts to a browser, and it drops tabs and line breaks before it looks (WHATWG URL
/// §4.4): so all that is not a visible ASCII character is refused, and a backslash anywhere.
#[must_use]
pub fn own_path(wanted: &str) -> &str {
    let is_plain = |byte: u8| matches!(byte, b'!'..=b'~') && byte != b'\\';
    let is_own = wanted.starts_with('/') && !wanted.starts_with("//");
    if is_own && wanted.len() <= MOST_RETURN_BYTES && wanted.bytes().all(is_plain) { wanted } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt() -> Attempt {
        Attempt::new("https://a/cb".into(), "/orders?a=b", 1000, &boring::rand::rand_bytes).unwrap()
    }

    #[test]
    fn every_attempt_has_secrets_of_its_own() {
        let (one, other) = (attempt(), attempt());
        let mut all = vec![one.state.as_str(), &one.nonce, &one.verifier];
        all.extend([other.state.as_str(), &other.nonce, &other.verifier]);
        // RFC 7636 §4.1: at least 43 letters.
        assert!(all.iter().all(|secret| secret.len() == 43));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 6);
        assert_ne!(one.id(), other.id());
    }

    #[test]
    fn the_challenge_is_that_of_rfc_7636() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned();
        let attempt = Attempt { verifier, ..attempt() };
        assert_eq!(attempt.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn an_attempt_lasts_ten_minutes() {
        let attempt = attempt();
        assert!(!attempt.is_over(1000) && !attempt.is_over(1600) && !attempt.is_over(990));
        assert!(attempt.is_over(1601) && attempt.is_over(399));
    }

    #[test]
    fn returns_to_paths_of_this_host_alone() {
        for own in
            ["/", "/orders/7", "/orders?next=//evil.example", "/a%5cb", "/a//b", "/?", "/~a!*'();:@&=+$,"]
        {
            assert_eq!(own_path(own), own);
        }
        for other in [
            "",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "/\r\nSet-Cookie: a=b",
            "\t//evil.example",
            " /a",
            "https://evil.example/",
            "javascript:alert(1)",
            "evil.example",
            "@evil.example",
            "/a b",
            "/a\\b",
            "/\u{e9}",
            "/\0",
        ] {
            assert_eq!(own_path(other), "/", "{other:?}");
        }
        let long = format!("/{}", "a".repeat(1535));
        assert_eq!(own_path(&long), long);
        assert_eq!(own_path(&format!("{long}a")), "/");
    }

    #[test]
    fn a_state_that_is_none_of_ours_names_no_cookie() {
        assert_eq!(id_of("abcdefghijklmno-p"), Some("abcdefghijklmno-"));
        for state in [
            "",
            "short",
            "abcdefghijklmno;p",
            "abcdefghijklmno p",
            "abcdefghijklmno\u{e9}",
            "a=b=c=d=e=f=g=h=",
        ] {
            assert_eq!(id_of(state), None, "{state}");
        }
    }
}
