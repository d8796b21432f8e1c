//! Puts a response into the store: a whole one as it is, a part together with what is there of the same already.

use http::{HeaderMap, StatusCode};

use crate::cache::content::Content;
use crate::cache::freshness::Received;
use crate::cache::memory::{Source, Stored};
use crate::cache::part::Piece;
use crate::cache::purge::Epoch;
use crate::cache::{Key, ResponseDirectives, tags};
use crate::filters::cache::Settings;

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

impl Spot<'_> {
    /// Stores a response that may be stored. One that is not as long as it says is not.
    pub fn put(&self, response: &Received<'_>, content: Content) {
        let shared = &self.settings.shared;
        let Some(piece) = Piece::new(response.status, response.headers.clone(), content) else { return };
        let older = (response.status == StatusCode::PARTIAL_CONTENT)
            .then(|| shared.store.variant(self.key, self.asked))
            .flatten()
            .map(|stored| Piece {
                status: stored.status,
                fields: stored.record.to_fields(),
                content: stored.content.clone(),
            });
        let piece = older.and_then(|older| piece.with(&older)).unwrap_or(piece);
        let response = Received { status: piece.status, headers: &piece.fields, ..*response };
        let directives = ResponseDirectives::read(&piece.fields);
        let Some(tags) = tags::read(&piece.fields, &self.settings.tags) else { return };
        let source = Source { url: self.url, tags: &tags, request: self.asked, asked_in: self.asked_in };
        let stored = Stored::new(&source, &response, &directives, &self.settings.rules, piece.content);
        if let Some(stored) = stored {
            shared.put(*self.key, stored);
        }
    }
}
