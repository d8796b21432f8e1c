//! What is to be done with a request, as the cache saw it when it was its turn.

use std::sync::Arc;

use http::HeaderMap;

use super::Settings;
use crate::cache::key::Target;
use crate::cache::parents::Child;
use crate::cache::purge::Epoch;
use crate::cache::status::Forward;
use crate::cache::store::Audience;
use crate::cache::tiered::Found;
use crate::cache::{Key, RequestDirectives};

/// See the module.
pub struct Plan {
    pub settings: Arc<Settings>,
    /// What the client asks for.
    pub wants: RequestDirectives,
    /// Whether the request proves who asks.
    pub credentials: bool,
    pub audience: Audience,
    /// What a child says that asks, see [`crate::cache::parents`].
    pub child: Option<Child>,
    /// Of purges: what is stored later than this was asked for later.
    pub asked_in: Epoch,
    /// Where the response is kept; `None` where none is to be.
    pub place: Option<Place>,
    pub course: Course,
}

/// What becomes of the request.
pub enum Course {
    /// It is answered with this.
    Hit(Found),
    /// It is answered with this, and the origin is asked for a better one.
    Refresh(Found),
    /// The origin is asked; there may be one that can be validated.
    Ask(Forward, Option<Found>),
    /// The cache stays out, and why.
    Pass(Forward, Option<&'static str>),
}

/// Where a response is kept.
pub struct Place {
    pub key: Key,
    /// As [`Target`] prints it.
    pub url: String,
    /// The request's fields as they were when it was looked for.
    pub fields: HeaderMap,
}

impl Place {
    #[must_use]
    pub fn new(key: Key, target: &Target<'_>) -> Self {
        Self { key, url: target.to_string(), fields: HeaderMap::new() }
    }
}

impl Plan {
    /// Whom the request waits with: the answers to those who prove who they are may be for them alone, and nobody else is to
    /// suffer from that.
    #[must_use]
    pub fn flight(&self) -> Option<Key> {
        let place = self.place.as_ref()?;
        let key = if self.credentials { place.key.of_callers() } else { place.key };
        Some(self.child.map_or(key, |child| key.of_children(child.purged)))
    }
}
