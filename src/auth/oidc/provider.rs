//! The issuer's side: where its endpoints are, asked for when somebody first logs in and kept while it is silent.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::auth::discovery::{DiscoveryError, Endpoint, Metadata, discover};
use crate::http::fetch::{Fetch, Limits};
use crate::http::url::Url;
use crate::state::Clock;

/// How long what the issuer says about itself is taken as it is.
const FRESH: Duration = Duration::from_secs(60 * 60);
/// How long it is used while the issuer says nothing new.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// Between two questions where the first had no answer.
const COOLDOWN: Duration = Duration::from_secs(2);

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
    clock: Clock,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    endpoints: Option<(Arc<Endpoints>, u64)>,
    failed_ns: Option<u64>,
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
        Self { url, fetch, observer, clock, known: Mutex::default() }
    }

    /// Where its endpoints are. One asks at a time, and those who come meanwhile wait for the answer.
    pub(super) async fn endpoints(&self) -> Result<Arc<Endpoints>, Unavailable> {
        let mut known = self.known.lock().await;
        let now = self.clock.nanos();
        let age = |since: u64| Duration::from_nanos(now.saturating_sub(since));
        let kept = |within| known.endpoints.as_ref().filter(|(_, since)| age(*since) < within);
        if let Some((endpoints, _)) = kept(FRESH) {
            return Ok(Arc::clone(endpoints));
        }
        if known.failed_ns.is_none_or(|since| age(since) >= COOLDOWN) {
            match self.ask().await {
                Ok(endpoints) => {
                    let endpoints = Arc::new(endpoints);
                    *known = Known { endpoints: Some((Arc::clone(&endpoints), now)), failed_ns: None };
                    return Ok(endpoints);
                }
                Err(error) => {
                    self.observer.failed("discovery", &error.to_string());
                    known.failed_ns = Some(self.clock.nanos());
                }
            }
        }
        let kept = known.endpoints.as_ref().filter(|(_, since)| age(*since) < STALE);
        kept.map(|(endpoints, _)| Arc::clone(endpoints)).ok_or(Unavailable)
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
