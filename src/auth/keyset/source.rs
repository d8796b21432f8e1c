//! Where the keys of an issuer come from, and reading them there once.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tokio::task::spawn_blocking;

use crate::auth::discovery::{DiscoveryError, Endpoint, discover};
use crate::auth::freshness;
use crate::http::fetch::{Failure, Fetch, Limits, Request};
use crate::http::url::Url;

/// Bytes of a document with keys. A hundred keys with their certificates have less.
pub(super) const MOST_BYTES: usize = 256 << 10;

/// Where the keys of an issuer are.
///
/// Plain `http` is for the policy to refuse, unless its author accepted the danger.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// A JWK Set at a URL.
    Url(Url),
    /// At the place that the issuer's metadata names: looked for each time, for it may move, and kept while the issuer does
    /// not say.
    Discovery { issuer: Url },
    /// A JWK Set in a file, read again when it changes.
    File(PathBuf),
    /// A JWK Set in the policy.
    Inline(Box<str>),
}

/// What is remembered between two readings.
#[derive(Default)]
pub(super) struct Memory {
    /// What discovery found.
    found: Option<Url>,
    /// The validator that came with the document in use.
    etag: Option<HeaderValue>,
    /// The document in use.
    document: Option<Bytes>,
}

/// What was read.
pub(super) struct Reading {
    /// `None` where it is the document in use.
    pub(super) document: Option<Bytes>,
    pub(super) etag: Option<HeaderValue>,
    /// How long it may be used, if that is said.
    pub(super) lifetime: Option<Duration>,
}

/// Why there are no new keys.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Fetch(#[from] Failure),
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    #[error("asked for its keys, the issuer answers {0}")]
    Status(StatusCode),
    #[error("{path}: {error}", path = .0.display(), error = .1)]
    File(PathBuf, io::Error),
    #[error("the document has more than {MOST_BYTES} bytes")]
    TooLarge,
    #[error("the document is of no use: {0}")]
    Document(String),
}

impl Trouble {
    /// One word, for a metric's label.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Fetch(failure) | Self::Discovery(DiscoveryError::Fetch(failure)) => failure.kind(),
            Self::Discovery(_) => "discovery",
            Self::Status(_) => "status",
            Self::File(..) => "file",
            Self::TooLarge => "too_large",
            Self::Document(_) => "document",
        }
    }
}

impl Memory {
    /// Takes note of the document that is in use from now on.
    pub(super) fn keep(&mut self, document: Bytes) {
        self.document = Some(document);
    }

    /// Takes note of the validator that came last with the document in use.
    pub(super) fn validate_by(&mut self, etag: Option<HeaderValue>) {
        self.etag = etag;
    }

    /// A reading of `document`, which may be what is in use already.
    fn reading(&self, document: Bytes, etag: Option<HeaderValue>, lifetime: Option<Duration>) -> Reading {
        let known = self.document.as_ref() == Some(&document);
        Reading { document: (!known).then_some(document), etag, lifetime }
    }
}

impl Source {
    /// Reads what is there now.
    pub(super) async fn read(
        &self,
        fetch: &dyn Fetch,
        deadline: Duration,
        memory: &mut Memory,
    ) -> Result<Reading, Trouble> {
        let limits = Limits { deadline, body_bytes: MOST_BYTES, ..Limits::default() };
        match self {
            Self::Url(url) => get(fetch, url, limits, memory).await,
            Self::Discovery { issuer } => {
                let place = match (discover(fetch, issuer, limits).await, &memory.found) {
                    (Err(DiscoveryError::Fetch(_) | DiscoveryError::Status(_)), Some(before)) => {
                        before.clone()
                    }
                    (metadata, _) => metadata?.endpoint(Endpoint::Jwks)?,
                };
                if memory.found.as_ref() != Some(&place) {
                    // A validator is one of a document at the place before.
                    (memory.found, memory.etag) = (Some(place.clone()), None);
                }
                get(fetch, &place, limits, memory).await
            }
            Self::File(path) => {
                let path = path.clone();
                let read = spawn_blocking(move || read_file(&path)).await;
                let document = read.map_err(|_| Trouble::Document("nobody could read it".to_owned()))??;
                Ok(memory.reading(document, None, None))
            }
            Self::Inline(text) => Ok(memory.reading(Bytes::copy_from_slice(text.as_bytes()), None, None)),
        }
    }
}

async fn get(fetch: &dyn Fetch, url: &Url, limits: Limits, memory: &Memory) -> Result<Reading, Trouble> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/jwk-set+json, application/json"));
    if let Some(etag) = &memory.etag {
        headers.insert(header::IF_NONE_MATCH, etag.clone());
    }
    let response = fetch.fetch(Request { headers, limits, ..Request::new(Method::GET, url.clone()) }).await?;
    let lifetime = freshness::lifetime(&response.headers);
    match response.status {
        StatusCode::OK => {
            let etag = response.headers.get(header::ETAG).cloned();
            Ok(memory.reading(response.body, etag, lifetime))
        }
        StatusCode::NOT_MODIFIED if memory.etag.is_some() => {
            Ok(Reading { document: None, etag: memory.etag.clone(), lifetime })
        }
        other => Err(Trouble::Status(other)),
    }
}

/// A file's content. A pipe or a device that never ends is cut off, too.
pub(super) fn read_file(path: &Path) -> Result<Bytes, Trouble> {
    let mut content = Vec::new();
    let file = File::open(path).and_then(|file| file.take(MOST_BYTES as u64 + 1).read_to_end(&mut content));
    match file {
        Ok(length) if length > MOST_BYTES => Err(Trouble::TooLarge),
        Ok(_) => Ok(content.into()),
        Err(error) => Err(Trouble::File(path.to_owned(), error)),
    }
}
