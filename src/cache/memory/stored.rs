//! One stored response.

use bytes::{Buf, BufMut, Bytes};
use http::header::DATE;
use http::{HeaderMap, StatusCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::cache::content::Content;
use crate::cache::freshness::{Freshness, Received, Rules};
use crate::cache::part::Part;
use crate::cache::purge::{Epoch, Fate, Purges, Standing};
use crate::cache::record::Record;
use crate::cache::scalars::date;
use crate::cache::vary::{Fingerprint, Selector};
use crate::cache::{ResponseDirectives, store};
use crate::state::clock::unix_seconds;

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
    /// See [`note`](Self::note).
    noted: AtomicU32,
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
            noted: AtomicU32::new(0),
        }))
    }

    /// Whether a GET gets this variant, and if this is a part, nothing but what is in it.
    #[must_use]
    pub fn fits(&self, request: &HeaderMap) -> bool {
        self.is_variant_for(request) && (!self.is_part() || self.has(request))
    }

    /// Whether a request gets this variant, or would get it if all of it were here.
    #[must_use]
    pub fn is_variant_for(&self, request: &HeaderMap) -> bool {
        self.selector.fingerprint(request) == self.fingerprint
    }

    /// Whether this is a part of a representation.
    #[must_use]
    pub fn is_part(&self) -> bool {
        self.status == StatusCode::PARTIAL_CONTENT
    }

    fn has(&self, request: &HeaderMap) -> bool {
        let fields = self.record.to_fields();
        Part::read(&fields).is_some_and(|part| part.answer(request, &fields).is_some())
    }

    /// What became of it.
    #[must_use]
    pub fn fate(&self, purges: &Purges) -> Fate {
        purges.fate(&self.record, &self.standing)
    }

    /// Whether the origin made it when it made another, or later.
    #[must_use]
    pub const fn is_as_late_as(&self, other: &Self) -> bool {
        self.made_at >= other.made_at
    }

    pub(super) fn is_same_variant(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint && self.selector == other.selector
    }

    /// All but the content, as it is stored on disk. A change of it is a new [`VERSION`](crate::cache::disk::format::VERSION).
    #[must_use]
    pub fn to_metadata(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128 + self.record.as_bytes().len());
        bytes.put_u16_le(self.status.as_u16());
        bytes.put_u64_le(self.made_at);
        bytes.put_u64_le(self.standing.to_parts().1);
        bytes.put_u128_le(self.fingerprint.number());
        self.freshness.write(&mut bytes);
        self.selector.write(&mut bytes);
        bytes.put_slice(self.record.as_bytes());
        bytes
    }

    /// From what [`to_metadata`](Self::to_metadata) gave, and the [epoch](Self::epoch) of that; `None` if it is anything else.
    #[must_use]
    pub fn from_metadata(bytes: &Bytes, epoch: Epoch, content: Content) -> Option<Self> {
        let mut rest = &bytes[..];
        let status = StatusCode::from_u16(rest.try_get_u16_le().ok()?).ok()?;
        let (made_at, expired_at) = (rest.try_get_u64_le().ok()?, rest.try_get_u64_le().ok()?);
        let fingerprint = Fingerprint::from_number(rest.try_get_u128_le().ok()?);
        let (freshness, selector) = (Freshness::read(&mut rest)?, Selector::restore(&mut rest)?);
        let record = Record::parse(bytes.slice_ref(rest))?;
        let standing = Standing::restored(epoch, expired_at);
        Some(Self {
            status,
            record,
            content,
            freshness,
            made_at,
            standing,
            selector,
            fingerprint,
            noted: AtomicU32::new(0),
        })
    }

    /// Notes that it was of use in this round, counted from one; whether for the first time.
    #[must_use]
    pub fn note(&self, round: u32) -> bool {
        let is_new = self.noted.load(Ordering::Relaxed) != round;
        if is_new {
            self.noted.store(round, Ordering::Relaxed);
        }
        is_new
    }

    /// Until which epoch it was compared with what was purged.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.standing.to_parts().0
    }

    /// Tells it apart from the other variants of its key. Two of the same number take each other's place on disk, so that one
    /// of them is missed.
    #[must_use]
    pub fn variant(&self) -> u32 {
        let mut bytes = Vec::with_capacity(64);
        self.selector.write(&mut bytes);
        bytes.put_u128_le(self.fingerprint.number());
        crc32fast::hash(&bytes)
    }

    /// Bytes in memory.
    #[must_use]
    pub fn weight(&self) -> u64 {
        OVERHEAD + self.record.as_bytes().len() as u64 + self.content.len()
    }
}
