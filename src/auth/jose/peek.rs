//! What a token says of its issuer, before anybody has verified it: good for choosing whose rules and keys to verify it by,
//! and for nothing else.

use std::borrow::Cow;

use serde::Deserialize;

use super::base64url;
use super::compact::{Parts, Token};
use super::fault::Fault;

#[derive(Deserialize)]
struct Claims<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
}

/// `iss` of a token of at most `max_bytes`.
///
/// # Errors
/// What is wrong with the token's form, or [`Fault::IssuerMissing`].
pub fn unverified_issuer(text: &[u8], max_bytes: usize) -> Result<String, Fault> {
    let parts = Parts::split(text, max_bytes)?;
    let bytes = base64url::decode(parts.claims()).map_err(|_| Fault::Malformed)?;
    // Reads past whatever else is there: a good token is read strictly when it is verified.
    if let Ok(Claims { iss }) = serde_json::from_slice(&bytes) {
        return Ok(iss.into_owned());
    }
    let claims = Token::read(parts)?.claims()?;
    claims.issuer().map(ToOwned::to_owned).ok_or(Fault::IssuerMissing)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::auth::jose::Algorithm;
    use crate::auth::jose::compact::DEFAULT_MAX_BYTES;
    use crate::auth::jose::mint::{ISSUER, signer, token, token_of};

    fn peeked(token: &str) -> Result<String, Fault> {
        unverified_issuer(token.as_bytes(), DEFAULT_MAX_BYTES)
    }

    #[test]
    fn reads_the_issuer_of_a_token_that_nobody_verified() {
        let key = signer(Algorithm::Es256, None);
        assert_eq!(peeked(&token(&key, json!({}))).as_deref(), Ok(ISSUER));
        assert_eq!(peeked(&token(&key, json!({ "iss": "a\"\u{e9}" }))).as_deref(), Ok("a\"\u{e9}"));
    }

    #[test]
    fn says_what_is_wrong_with_a_token_that_has_none() {
        let key = signer(Algorithm::Es256, None);
        assert_eq!(peeked(&token(&key, json!({ "iss": null }))), Err(Fault::IssuerMissing));
        assert_eq!(peeked(&token(&key, json!({ "iss": 7 }))), Err(Fault::TextInvalid));
        let twice = token_of(&key, r#"{"alg":"ES256"}"#, r#"{"iss":"a","iss":"b"}"#);
        assert_eq!(peeked(&twice), Err(Fault::DuplicateClaim));
        assert_eq!(peeked("a.b"), Err(Fault::Malformed));
        assert_eq!(unverified_issuer(b"aaaa", 3), Err(Fault::TooLarge));
    }
}
