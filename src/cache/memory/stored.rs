//! One stored response.

use http::header::DATE;
use http::{HeaderMap, StatusCode};
use std::sync::Arc;

use crate::cache::content::Content;
use crate::cache::freshness::{Freshness, Received, Rules};
use crate::cache::purge::{Epoch, Standing};
use crate::cache::record::Record;
use crate::cache::scalars::{date, unix_seconds};
use crate::cache::vary::{Fingerprint, Selector};
use crate::cache::{ResponseDirectives, store};

use super::OVERHEAD;

/// A response, whole and immutable, but for what purges make of it.
#[derive(Debug)]
pub struct Stored {
    pub status: StatusCode,
    pub record: Record,
    pub content: Content,
    pub freshness: Freshness,
    /// `Date`, in seconds of Unix time.
    pub(super) made_at: u64,
    pub(super) standing: Standing,
    selector: Selector,
    fingerprint: Fingerprint,
}

/// What is to be known to store a response.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// As [`crate::cache::key::Target`] prints it.
    pub url: &'a str,
    /// See [`crate::cache::purge::tag`].
    pub tags: &'a [u64],
    /// The request's fields as the origin got them.
    pub request: &'a HeaderMap,
    /// The epoch in which the origin was asked.
    pub asked_in: Epoch,
}

impl Stored {
    /// A response that [`store::may_store`] lets be stored. `None` if it has more than a record holds.
    #[must_use]
    pub fn new(
        source: &Source<'_>,
        response: &Received<'_>,
        directives: &ResponseDirectives,
        rules: &Rules,
        content: Content,
    ) -> Option<Arc<Self>> {
        let fields = store::stored_fields(response, directives);
        let selector = Selector::read(response.headers)?;
        Some(Arc::new(Self {
            status: response.status,
            record: Record::new(source.url, source.tags, &fields)?,
            content,
            freshness: Freshness::new(response, directives, rules),
            made_at: unix_seconds(fields.get(DATE).and_then(date).unwrap_or(response.received_at)),
            standing: Standing::new(source.asked_in),
            fingerprint: selector.fingerprint(source.request),
            selector,
        }))
    }

    /// Whether a request gets this variant.
    #[must_use]
    pub fn fits(&self, request: &HeaderMap) -> bool {
        self.selector.fingerprint(request) == self.fingerprint
    }

    pub(super) fn is_same_variant(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint && self.selector == other.selector
    }

    /// Bytes in memory.
    #[must_use]
    pub fn weight(&self) -> u64 {
        OVERHEAD + self.record.as_bytes().len() as u64 + self.content.len()
    }
}
