//! What a token endpoint gives (RFC 6749 §5.1): for a code, or for a refresh token.

use std::time::{Duration, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::Value;

use crate::auth::oauth::server::{Manner, put};
use crate::auth::oauth::{Client, Trouble};
use crate::http::fetch::{Fetch, Limits};
use crate::http::url::Url;

/// What a token endpoint gives.
#[derive(Deserialize)]
pub(super) struct Tokens {
    pub access_token: String,
    token_type: String,
    pub id_token: Option<String>,
    pub refresh_token: Option<String>,
    /// Seconds that the access token is good for.
    pub expires_in: Option<u64>,
}

/// Asks for tokens, at `now` in seconds since 1970. The question is put once: a code or a refresh token may be used up by it.
pub(super) async fn ask(
    fetch: &dyn Fetch,
    endpoint: &Url,
    client: &Client,
    grant: &[(&str, &str)],
    now: u64,
) -> Result<Tokens, Trouble> {
    let now = UNIX_EPOCH + Duration::from_secs(now);
    let manner = Manner { limits: Limits::default(), repeatable: false, now };
    let answer = put(fetch, endpoint, client, grant, manner).await?;
    // What serde has to say would repeat the values, and they are secrets.
    let malformed = |_| Trouble::Malformed("members are missing or not of their types");
    let tokens: Tokens = serde_json::from_value(Value::Object(answer)).map_err(malformed)?;
    if !tokens.token_type.eq_ignore_ascii_case("bearer") {
        // RFC 6749 §7.1: what is not understood is not used.
        return Err(Trouble::Malformed("token_type is not Bearer"));
    }
    if tokens.access_token.is_empty() || !tokens.access_token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Trouble::Malformed("access_token is none that a header takes"));
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::oauth::ClientProof;
    use crate::http::fetch::testing::{Scripted, answer};

    async fn asked(status: u16, body: &str) -> Result<Tokens, Trouble> {
        let body = body.to_owned();
        let fetch = Scripted::new(move |_| Ok(answer(status, &[], &body)));
        let client = Client { id: "a b".into(), proof: ClientProof::None };
        let url = "https://id.example/token".parse().unwrap();
        let result = ask(&fetch, &url, &client, &[("grant_type", "x"), ("code", "c&d")], 0).await;
        let request = fetch.asked().remove(0);
        assert_eq!(request.body, "grant_type=x&code=c%26d&client_id=a%20b");
        assert!(!request.repeatable);
        result
    }

    #[tokio::test]
    async fn a_question_is_put_once_and_its_answer_read() {
        let good = r#"{"access_token":"at","token_type":"bearer","expires_in":60,"id_token":"i","x":[1]}"#;
        let tokens = asked(200, good).await.unwrap_or_else(|trouble| panic!("{trouble}"));
        assert_eq!((&*tokens.access_token, tokens.id_token.as_deref()), ("at", Some("i")));
        assert_eq!((tokens.refresh_token, tokens.expires_in), (None, Some(60)));
    }

    #[tokio::test]
    async fn refuses_answers_that_are_none_and_tells_no_secret() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"access_token":"at"}"#,
            r#"{"access_token":"at","token_type":"mac"}"#,
            r#"{"access_token":"","token_type":"Bearer"}"#,
            r#"{"access_token":"hush hush","token_type":"Bearer"}"#,
            r#"{"access_token":"hush\r\nx: y","token_type":"Bearer"}"#,
            r#"{"access_token":"hush","access_token":"hush","token_type":"Bearer"}"#,
            r#"{"access_token":"hush","token_type":"Bearer","expires_in":"hush"}"#,
        ] {
            let failed = asked(200, body).await.err().unwrap();
            assert!(matches!(failed, Trouble::Malformed(_)), "{body}");
            assert!(!failed.to_string().contains("hush"), "{failed}");
        }
    }
}
