//! Puts a response into the store: a whole one as it is, a part together with what is there of the same already.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};

use crate::cache::content::Content;
use crate::cache::freshness::Received;
use crate::cache::memory::{Source, Stored};
use crate::cache::part::Piece;
use crate::cache::purge::Epoch;
use crate::cache::{Key, ResponseDirectives, tags};
use crate::filters::cache::{Place, Plan, Settings};

/// Where a response goes.
pub struct Spot<'a> {
    pub settings: &'a Settings,
    pub key: &'a Key,
    /// As [`crate::cache::key::Target`] prints it.
    pub url: &'a str,
    /// The fields by which the cache looked.
    pub asked: &'a HeaderMap,
    /// When the origin was asked.
    pub asked_in: Epoch,
}

impl<'a> Spot<'a> {
    /// Where the answer to a planned request goes.
    pub fn of(plan: &'a Plan, place: &'a Place) -> Self {
        let Place { key, url, fields } = place;
        Self { settings: &plan.settings, key, url, asked: fields, asked_in: plan.asked_in }
    }

    /// Stores a response that may be stored.
    pub fn put(&self, response: &Received<'_>, content: Content) {
        if let Some(stored) = self.make(response, content) {
            self.settings.shared.store.put(*self.key, stored);
        }
    }

    /// What is to be stored of it. `None` of a part that is not as long as it says.
    pub fn make(&self, response: &Received<'_>, content: Content) -> Option<Arc<Stored>> {
        let piece = Piece::new(response.status, response.headers.clone(), content)?;
        let piece = self.older(response.status).and_then(|older| piece.with(&older)).unwrap_or(piece);
        let response = Received { status: piece.status, headers: &piece.fields, ..*response };
        let directives = ResponseDirectives::read(&piece.fields);
        let tags = tags::read(&piece.fields, &self.settings.tags)?;
        self.stored(&response, &directives, &tags, piece.content)
    }

    /// What is to be stored of a response as it is.
    pub fn stored(
        &self,
        response: &Received<'_>,
        directives: &ResponseDirectives,
        tags: &[u64],
        content: Content,
    ) -> Option<Arc<Stored>> {
        let source = Source { url: self.url, tags, request: self.asked, asked_in: self.asked_in };
        Stored::new(&source, response, directives, &self.settings.rules, content)
    }

    /// What a part may be put to; what is on disk alone is not read for that.
    fn older(&self, status: StatusCode) -> Option<Piece> {
        let is_part = status == StatusCode::PARTIAL_CONTENT;
        let stored = is_part.then(|| self.settings.shared.store.memory().variant(self.key, self.asked))??;
        let (status, fields) = (stored.status, stored.record.to_fields());
        Some(Piece { status, fields, content: stored.content.clone() })
    }
}
