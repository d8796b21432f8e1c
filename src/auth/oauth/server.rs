//! One endpoint of an authorisation server: where it is, and questions to it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value};

use super::client::Client;
use super::form;
use crate::auth::discovery::{DiscoveryError, Endpoint, discover};
use crate::auth::found::Found;
use crate::auth::jose::json;
use crate::http::fetch::{Failure, Fetch, Limits, Request, Response};
use crate::http::url::Url;
use crate::state::Clock;
use crate::values::text::quoted;

/// An endpoint, and who we are to it.
pub struct Server {
    /// How it is reached.
    pub fetch: Arc<dyn Fetch>,
    /// Where it is.
    pub place: Place,
    /// Who we are to it.
    pub client: Client,
    /// For one question.
    pub timeout: Duration,
    /// What assertions are dated with.
    pub clock: Clock,
}

/// Where an endpoint is.
pub enum Place {
    /// Here.
    Url(Url),
    /// Where its issuer says.
    Issuer {
        /// The issuer, as tokens have it in `iss`.
        issuer: Url,
        /// Which of its endpoints.
        endpoint: Endpoint,
        /// Where that was found to be.
        found: Found<Url>,
    },
}

/// Why there is no answer that could be used. What is in it is for logs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error(transparent)]
    Fetch(#[from] Failure),
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    #[error("where to ask could not be found out a moment ago")]
    Undiscovered,
    /// An error of RFC 6749 section 5.2, by its code.
    #[error("the server answers {status} {}", quoted(code))]
    Refused { status: StatusCode, code: Box<str> },
    #[error("the server answers {0}")]
    Status(StatusCode),
    #[error("the server's answer is malformed: {0}")]
    Malformed(&'static str),
    #[error("we cannot prove who we are")]
    Proof,
}

impl Place {
    /// At a URL, or where an issuer says.
    #[must_use]
    pub fn of_issuer(issuer: Url, endpoint: Endpoint, clock: Clock) -> Self {
        Self::Issuer { issuer, endpoint, found: Found::nothing(clock) }
    }

    /// What the policy says of it, to tell one from another.
    #[must_use]
    pub fn written(&self) -> &Url {
        match self {
            Self::Url(url) => url,
            Self::Issuer { issuer, .. } => issuer,
        }
    }

    async fn find(&self, fetch: &dyn Fetch, limits: Limits) -> Result<Arc<Url>, Trouble> {
        match self {
            Self::Url(url) => Ok(Arc::new(url.clone())),
            Self::Issuer { issuer, endpoint, found } => {
                let look = async || discover(fetch, issuer, limits).await?.endpoint(*endpoint);
                let mut why = Trouble::Undiscovered;
                let found = found.get(look, |error| why = error.into()).await;
                found.ok_or(why)
            }
        }
    }
}

impl Server {
    /// Puts a question, and reads the JSON object that answers it with 200.
    ///
    /// It is put once more where a kept connection turns out to be closed: what is asked here does no harm twice.
    ///
    /// # Errors
    /// Everything that is not such an answer.
    pub(super) async fn ask(&self, question: &[(&str, &str)]) -> Result<Map<String, Value>, Trouble> {
        let limits = Limits { deadline: self.timeout, ..Limits::default() };
        let url = self.place.find(&*self.fetch, limits).await?;
        let manner = Manner { limits, repeatable: true, now: self.clock.wall() };
        put(&*self.fetch, &url, &self.client, question, manner).await
    }
}

/// How a question is put.
pub(in crate::auth) struct Manner {
    pub limits: Limits,
    /// Whether it does no harm when it arrives twice: a code or a refresh token may be used up by it.
    pub repeatable: bool,
    /// What assertions are dated with.
    pub now: SystemTime,
}

/// Puts a question to an endpoint as a client, and reads the JSON object that answers it with 200.
///
/// # Errors
/// Everything that is not such an answer.
pub(in crate::auth) async fn put(
    fetch: &dyn Fetch,
    url: &Url,
    client: &Client,
    question: &[(&str, &str)],
    manner: Manner,
) -> Result<Map<String, Value>, Trouble> {
    let Manner { limits, repeatable, now } = manner;
    let mut request = Request { repeatable, limits, ..Request::new(Method::POST, url.clone()) };
    let mut form: Vec<(&str, String)> =
        question.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    client.prove(url, &mut request.headers, &mut form, now)?;
    let urlencoded = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers.insert(header::CONTENT_TYPE, urlencoded);
    request.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    request.body = form::encode(form.iter().map(|(name, value)| (*name, value.as_str()))).into();
    understand(&fetch.fetch(request).await?)
}

fn understand(response: &Response) -> Result<Map<String, Value>, Trouble> {
    let object = json::object(&response.body);
    match response.status {
        StatusCode::OK => object.map_err(|_| Trouble::Malformed("no JSON object")),
        status @ (StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            let object = object.unwrap_or_default();
            Err(match object.get("error").and_then(Value::as_str) {
                Some(code) => Trouble::Refused { status, code: code.into() },
                None => Trouble::Status(status),
            })
        }
        status => Err(Trouble::Status(status)),
    }
}
