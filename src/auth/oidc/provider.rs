//! The issuer's side: where its endpoints are, asked for when somebody first logs in and kept while it is silent.

use std::sync::Arc;

use crate::auth::discovery::{DiscoveryError, Endpoint, Metadata, discover};
use crate::auth::found::Found;
use crate::http::fetch::{Fetch, Limits};
use crate::http::url::Url;
use crate::state::Clock;

/// Is told what goes wrong between us and the issuer: for the log.
pub trait Observer: Send + Sync {
    /// `what` was to be done; `why` it was not, without any secret.
    fn failed(&self, what: &'static str, why: &str);
}

/// An issuer that people log in at.
pub struct Provider {
    /// As tokens have it in `iss`.
    pub(super) url: Url,
    pub(super) fetch: Arc<dyn Fetch>,
    pub(super) observer: Arc<dyn Observer>,
    found: Found<Endpoints>,
}

/// Where the issuer is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoints {
    pub authorization: Url,
    pub token: Url,
    pub end_session: Option<Url>,
    /// Whether its answers always name it (RFC 9207).
    pub names_itself: bool,
}

/// The issuer says nothing that could be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unavailable;

impl Provider {
    /// An issuer of which nothing is known yet.
    #[must_use]
    pub fn new(url: Url, fetch: Arc<dyn Fetch>, observer: Arc<dyn Observer>, clock: Clock) -> Self {
        Self { url, fetch, observer, found: Found::nothing(clock) }
    }

    /// Where its endpoints are.
    pub(super) async fn endpoints(&self) -> Result<Arc<Endpoints>, Unavailable> {
        let told = |error: DiscoveryError| self.observer.failed("discovery", &error.to_string());
        self.found.get(async || self.ask().await, told).await.ok_or(Unavailable)
    }

    async fn ask(&self) -> Result<Endpoints, DiscoveryError> {
        Endpoints::of(&discover(&*self.fetch, &self.url, Limits::default()).await?)
    }
}

impl Endpoints {
    fn of(metadata: &Metadata) -> Result<Self, DiscoveryError> {
        Ok(Self {
            authorization: metadata.endpoint(Endpoint::Authorization)?,
            token: metadata.endpoint(Endpoint::Token)?,
            end_session: match metadata.endpoint(Endpoint::EndSession) {
                Ok(url) => Some(url),
                Err(DiscoveryError::Missing(_)) => None,
                Err(error) => return Err(error),
            },
            names_itself: metadata.names_itself_in_answers(),
        })
    }
}
