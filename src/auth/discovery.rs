//! Where an issuer's endpoints are: `OpenID` Connect Discovery 1.0 §4, and RFC 8414 where that is not to be found.
//!
//! Always holds: the document names the issuer it was asked of, letter for letter, or nothing of it is used
//! (`OpenID` Connect Discovery §4.3, RFC 8414 §3.3); no endpoint of an `https` issuer is plain `http`.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::Deserialize;

use crate::http::fetch::{Failure, Fetch, Limits, Request};
use crate::http::url::{Url, UrlError};

/// Where the document is when the issuer speaks `OpenID` Connect: after the issuer's path.
const OPENID: &str = "/.well-known/openid-configuration";
/// Where it is for others: before the issuer's path (RFC 8414 §3.1).
const OAUTH: &str = "/.well-known/oauth-authorization-server";

/// What an issuer says about itself, as far as anybody here asks.
#[derive(Debug, Clone, Deserialize)]
pub struct Metadata {
    issuer: String,
    jwks_uri: Option<String>,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    introspection_endpoint: Option<String>,
    userinfo_endpoint: Option<String>,
    end_session_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// An endpoint that metadata may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    Jwks,
    Authorization,
    Token,
    Introspection,
    Userinfo,
    EndSession,
}

impl Endpoint {
    /// Its name in the document.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jwks => "jwks_uri",
            Self::Authorization => "authorization_endpoint",
            Self::Token => "token_endpoint",
            Self::Introspection => "introspection_endpoint",
            Self::Userinfo => "userinfo_endpoint",
            Self::EndSession => "end_session_endpoint",
        }
    }
}

/// Why an issuer's endpoints are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    #[error("the issuer's metadata cannot be fetched: {0}")]
    Fetch(#[from] Failure),
    #[error("asked for its metadata, the issuer answers {0}")]
    Status(StatusCode),
    #[error("the issuer's metadata is malformed: {0}")]
    Malformed(String),
    #[error("the metadata is that of another issuer, {0:?}")]
    OtherIssuer(String),
    #[error("the issuer names no {0}")]
    Missing(&'static str),
    #[error("{0} is not https, as the issuer is")]
    Insecure(&'static str),
    #[error("{0} is no URL: {1}")]
    Url(&'static str, UrlError),
}

/// Asks an issuer about itself. `issuer` is as tokens have it in `iss`, with neither query nor fragment.
///
/// # Errors
/// When there is no document that names this issuer.
pub async fn discover(fetch: &dyn Fetch, issuer: &Url, limits: Limits) -> Result<Metadata, DiscoveryError> {
    let path = issuer.path().trim_end_matches('/');
    let (after, before) = (format!("{path}{OPENID}"), format!("{OAUTH}{path}"));
    let first = match ask(fetch, issuer, &after, limits).await {
        Err(DiscoveryError::Status(status)) if status.is_client_error() => status,
        done => return done,
    };
    match ask(fetch, issuer, &before, limits).await {
        Err(DiscoveryError::Status(_)) => Err(DiscoveryError::Status(first)),
        done => done,
    }
}

async fn ask(
    fetch: &dyn Fetch,
    issuer: &Url,
    path: &str,
    limits: Limits,
) -> Result<Metadata, DiscoveryError> {
    let url = issuer.with_target(path).map_err(|error| DiscoveryError::Url("issuer", error))?;
    let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("application/json"))]);
    let response = fetch.fetch(Request { headers, limits, ..Request::new(Method::GET, url) }).await?;
    if response.status != StatusCode::OK {
        return Err(DiscoveryError::Status(response.status));
    }
    let metadata: Metadata = serde_json::from_slice(&response.body)
        .map_err(|error| DiscoveryError::Malformed(error.to_string()))?;
    if metadata.issuer != issuer.as_str() {
        return Err(DiscoveryError::OtherIssuer(metadata.issuer));
    }
    Ok(metadata)
}

impl Metadata {
    /// Where an endpoint is.
    ///
    /// # Errors
    /// When the issuer does not say, or names a place that must not be asked.
    pub fn endpoint(&self, endpoint: Endpoint) -> Result<Url, DiscoveryError> {
        let text = match endpoint {
            Endpoint::Jwks => &self.jwks_uri,
            Endpoint::Authorization => &self.authorization_endpoint,
            Endpoint::Token => &self.token_endpoint,
            Endpoint::Introspection => &self.introspection_endpoint,
            Endpoint::Userinfo => &self.userinfo_endpoint,
            Endpoint::EndSession => &self.end_session_endpoint,
        };
        let name = endpoint.name();
        let text = text.as_deref().ok_or(DiscoveryError::Missing(name))?;
        let url: Url = text.parse().map_err(|error| DiscoveryError::Url(name, error))?;
        if !url.is_secure() && !self.issuer_is_plain() {
            return Err(DiscoveryError::Insecure(name));
        }
        Ok(url)
    }

    /// Whether answers to authorization requests always name the issuer (RFC 9207 §3).
    #[must_use]
    pub const fn names_itself_in_answers(&self) -> bool {
        self.authorization_response_iss_parameter_supported
    }

    /// The issuer is the operator's word by now, and plain only where they accepted the danger.
    fn issuer_is_plain(&self) -> bool {
        self.issuer.parse::<Url>().is_ok_and(|issuer| !issuer.is_secure())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::fetch::testing::{Scripted, answer};

    /// Answers with metadata at one target and with 404 elsewhere.
    fn issuer_at(target: &'static str, body: String) -> Scripted {
        Scripted::new(move |request| {
            Ok(if request.url.target() == target { answer(200, &[], &body) } else { answer(404, &[], "") })
        })
    }

    fn document(issuer: &str, more: &str) -> String {
        format!(r#"{{ "issuer": "{issuer}", "scopes_supported": ["openid"]{more} }}"#)
    }

    async fn discovered(fetch: &Scripted, issuer: &str) -> Result<Metadata, DiscoveryError> {
        discover(fetch, &issuer.parse().unwrap(), Limits::default()).await
    }

    fn targets(fetch: &Scripted) -> Vec<String> {
        fetch.asked().iter().map(|request| request.url.to_string()).collect()
    }

    #[tokio::test]
    async fn asks_where_openid_says_first() {
        for issuer in ["https://id.example/tenant", "https://id.example/tenant/"] {
            let fetch = issuer_at("/tenant/.well-known/openid-configuration", document(issuer, ""));
            discovered(&fetch, issuer).await.unwrap();
            assert_eq!(targets(&fetch), ["https://id.example/tenant/.well-known/openid-configuration"]);
        }
    }

    #[tokio::test]
    async fn asks_where_rfc_8414_says_when_there_is_nothing() {
        let issuer = "https://id.example/tenant";
        let fetch = issuer_at("/.well-known/oauth-authorization-server/tenant", document(issuer, ""));
        discovered(&fetch, issuer).await.unwrap();
        assert_eq!(fetch.asked().len(), 2);
        let issuer = "https://id.example";
        let fetch = issuer_at("/.well-known/oauth-authorization-server", document(issuer, ""));
        discovered(&fetch, issuer).await.unwrap();
    }

    #[tokio::test]
    async fn asks_nowhere_else_when_the_issuer_is_unwell() {
        let fetch = Scripted::new(|_| Ok(answer(503, &[], "")));
        let failed = discovered(&fetch, "https://id.example").await.unwrap_err();
        assert_eq!(failed, DiscoveryError::Status(StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!(fetch.asked().len(), 1);
        let fetch = Scripted::new(|_| Ok(answer(404, &[], "")));
        let failed = discovered(&fetch, "https://id.example").await.unwrap_err();
        assert_eq!((failed, fetch.asked().len()), (DiscoveryError::Status(StatusCode::NOT_FOUND), 2));
    }

    #[tokio::test]
    async fn refuses_the_metadata_of_another_issuer() {
        let asked = "https://id.example/a";
        for other in ["https://id.example/b", "https://ID.example/a", "https://id.example/a/", ""] {
            let fetch = issuer_at("/a/.well-known/openid-configuration", document(other, ""));
            let failed = discovered(&fetch, asked).await.unwrap_err();
            assert_eq!(failed, DiscoveryError::OtherIssuer(other.to_owned()));
        }
    }

    #[tokio::test]
    async fn refuses_what_is_no_metadata() {
        for body in ["", "[]", "{}", "<html>", r#"{"issuer":"https://a","issuer":"https://b"}"#] {
            let fetch = issuer_at("/.well-known/openid-configuration", body.to_owned());
            let failed = discovered(&fetch, "https://a").await.unwrap_err();
            assert!(matches!(failed, DiscoveryError::Malformed(_)), "{body}: {failed}");
        }
    }

    #[tokio::test]
    async fn endpoints_are_as_secure_as_the_issuer() {
        let keys = |url: &str| format!(r#", "jwks_uri": "{url}""#);
        let found = async |issuer: &str, url: &str| {
            let fetch = issuer_at("/.well-known/openid-configuration", document(issuer, &keys(url)));
            discovered(&fetch, issuer).await.unwrap().endpoint(Endpoint::Jwks)
        };
        let good = found("https://a", "https://keys.example/k").await.unwrap();
        assert_eq!(good.as_str(), "https://keys.example/k");
        assert_eq!(found("https://a", "http://a/k").await, Err(DiscoveryError::Insecure("jwks_uri")));
        assert_eq!(found("http://a", "http://a/k").await.unwrap().as_str(), "http://a/k");
        assert_eq!(
            found("https://a", "file:///etc/passwd").await,
            Err(DiscoveryError::Url("jwks_uri", UrlError::Scheme))
        );
    }

    #[tokio::test]
    async fn an_endpoint_that_is_not_named_is_missing() {
        let more = r#", "token_endpoint": "https://a/token""#;
        let fetch = issuer_at("/.well-known/openid-configuration", document("https://a", more));
        let metadata = discovered(&fetch, "https://a").await.unwrap();
        assert_eq!(metadata.endpoint(Endpoint::Token).unwrap().as_str(), "https://a/token");
        let others = [
            Endpoint::Jwks,
            Endpoint::Authorization,
            Endpoint::Introspection,
            Endpoint::Userinfo,
            Endpoint::EndSession,
        ];
        for endpoint in others {
            assert_eq!(metadata.endpoint(endpoint), Err(DiscoveryError::Missing(endpoint.name())));
        }
    }
}
