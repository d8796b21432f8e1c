//! The token endpoint (RFC 6749 §3.2): a code, or a refresh token, for tokens.

use base64::engine::{Engine, general_purpose::STANDARD};
use http::{HeaderValue, Method, StatusCode, header};
use serde::Deserialize;

use super::form;
use crate::http::fetch::{Failure, Fetch, Request};
use crate::http::url::Url;
use crate::values::SecretString;

/// Who we are to an issuer.
#[derive(Debug, Clone)]
pub struct Client {
    /// `client_id`.
    pub id: String,
    /// How we prove it.
    pub proof: ClientProof,
}

/// How a client proves itself (`OpenID` Connect Core §9).
#[derive(Debug, Clone)]
pub enum ClientProof {
    /// Not at all: a public client. PKCE alone protects the code then.
    None,
    /// `client_secret_basic`.
    Basic(SecretString),
    /// `client_secret_post`.
    Post(SecretString),
}

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

/// Why there are no tokens. What is in it is for logs.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokensError {
    #[error(transparent)]
    Fetch(#[from] Failure),
    /// RFC 6749 §5.2: its code.
    #[error("the token endpoint answers {0:?}")]
    Refused(String),
    #[error("the token endpoint answers {0}")]
    Status(StatusCode),
    #[error("the token endpoint's answer is malformed: {0}")]
    Malformed(String),
}

#[derive(Deserialize)]
struct Refused {
    error: String,
}

/// Asks for tokens. The request is sent once: a code or a refresh token may be used up by it.
pub(super) async fn ask(
    fetch: &dyn Fetch,
    endpoint: &Url,
    client: &Client,
    grant: &[(&str, &str)],
) -> Result<Tokens, TokensError> {
    let mut form: Vec<(&str, &str)> = grant.to_vec();
    let mut request = Request::new(Method::POST, endpoint.clone());
    let headers = &mut request.headers;
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    match &client.proof {
        ClientProof::None => form.push(("client_id", &client.id)),
        ClientProof::Post(secret) => {
            form.extend([("client_id", client.id.as_str()), ("client_secret", secret.expose())]);
        }
        ClientProof::Basic(secret) => {
            // RFC 6749 §2.3.1: both are encoded before they are joined.
            let pair = format!("{}:{}", form::encoded(&client.id), form::encoded(secret.expose()));
            let value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)));
            let mut value = value.map_err(|error| TokensError::Malformed(error.to_string()))?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
    }
    request.body = form::encode(form).into();
    let response = fetch.fetch(request).await?;
    match response.status {
        StatusCode::OK => tokens(&response.body),
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            match serde_json::from_slice::<Refused>(&response.body) {
                Ok(refused) => Err(TokensError::Refused(refused.error)),
                Err(_) => Err(TokensError::Status(response.status)),
            }
        }
        status => Err(TokensError::Status(status)),
    }
}

fn tokens(body: &[u8]) -> Result<Tokens, TokensError> {
    // The error says where, never what: the text is full of secrets.
    let malformed = |error: serde_json::Error| {
        TokensError::Malformed(format!("{:?} at {}:{}", error.classify(), error.line(), error.column()))
    };
    let tokens: Tokens = serde_json::from_slice(body).map_err(malformed)?;
    if !tokens.token_type.eq_ignore_ascii_case("bearer") {
        // RFC 6749 §7.1: what is not understood is not used.
        return Err(TokensError::Malformed("token_type is not Bearer".to_owned()));
    }
    if tokens.access_token.is_empty() || !tokens.access_token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(TokensError::Malformed("access_token has characters that no header takes".to_owned()));
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::http::fetch::testing::{Scripted, answer};
    use crate::values::Secret;

    fn secret(folder: &str, value: &str) -> SecretString {
        let path = std::env::temp_dir().join(format!("edgeward-tokens-{}-{folder}", std::process::id()));
        std::fs::write(&path, value).unwrap();
        let secret = Secret::File(path.clone()).resolve(Path::new("/")).unwrap();
        std::fs::remove_file(path).unwrap();
        secret
    }

    async fn asked(proof: ClientProof, status: u16, body: &str) -> (Result<Tokens, TokensError>, Request) {
        let body = body.to_owned();
        let fetch = Scripted::new(move |_| Ok(answer(status, &[], &body)));
        let client = Client { id: "a b".into(), proof };
        let url = "https://id.example/token".parse().unwrap();
        let result = ask(&fetch, &url, &client, &[("grant_type", "x"), ("code", "c&d")]).await;
        (result, fetch.asked().remove(0))
    }

    const GOOD: &str =
        r#"{"access_token":"at","token_type":"bearer","expires_in":60,"id_token":"i","x":[1]}"#;

    #[tokio::test]
    async fn a_client_proves_itself_in_one_of_three_ways() {
        let (tokens, request) = asked(ClientProof::Basic(secret("basic", "s:t")), 200, GOOD).await;
        assert_eq!(tokens.ok().unwrap().access_token, "at");
        // "a%20b:s%3At"
        assert_eq!(request.headers[header::AUTHORIZATION], "Basic YSUyMGI6cyUzQXQ=");
        assert_eq!(request.body, "grant_type=x&code=c%26d");
        assert!(!request.repeatable);
        let (_, request) = asked(ClientProof::Post(secret("post", "s&t")), 200, GOOD).await;
        assert_eq!(request.body, "grant_type=x&code=c%26d&client_id=a%20b&client_secret=s%26t");
        assert!(!request.headers.contains_key(header::AUTHORIZATION));
        let (_, request) = asked(ClientProof::None, 200, GOOD).await;
        assert_eq!(request.body, "grant_type=x&code=c%26d&client_id=a%20b");
    }

    #[tokio::test]
    async fn errors_are_told_apart() {
        let failed = async |status, body: &str| asked(ClientProof::None, status, body).await.0.err().unwrap();
        let refused = failed(400, r#"{"error":"invalid_grant","error_description":"x"}"#).await;
        assert!(matches!(refused, TokensError::Refused(code) if code == "invalid_grant"));
        assert!(matches!(failed(400, "<html>").await, TokensError::Status(_)));
        assert!(matches!(failed(500, r#"{"error":"invalid_grant"}"#).await, TokensError::Status(_)));
        assert!(matches!(failed(302, GOOD).await, TokensError::Status(_)));
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
            let failed = asked(ClientProof::None, 200, body).await.0.err().unwrap();
            assert!(matches!(failed, TokensError::Malformed(_)), "{body}");
            assert!(!failed.to_string().contains("hush"), "{failed}");
        }
    }
}
