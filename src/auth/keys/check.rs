//! Who presents a key, and whether it is valid now. Every refusal has a reason of its own, told to the client as well:
//! that a key is expired or retired learns nobody but who has all of it.
//!
//! A good key costs one SHA-256 and one lookup, about 0.3 µs, and no allocation. A damaged one costs less: it fails
//! before anything is hashed.

use std::sync::Arc;

use super::directory::{Directory, Key};
use super::document::KeySpec;
use super::format::Presented;
use super::moment::Moment;

/// A valid key. Whoever lets the request pass for it counts that: `admitted.key.tally.record(now)`.
#[derive(Debug, Clone, Copy)]
pub struct Admitted<'a> {
    pub key: &'a Arc<Key>,
    pub standing: Standing,
}

/// Whether a valid key is what its consumer should use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Current,
    /// There is a newer one.
    Deprecated {
        since: Moment,
        /// When this one will be refused, if ever.
        sunset: Option<Moment>,
    },
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal<'a> {
    pub reason: Reason,
    /// The key, for logs. If it is [`Reason::Unknown`] or [`Reason::StoreUnavailable`], this is what the client claims:
    /// bounded and plain, but unproven.
    pub id: Option<&'a str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// There is no key.
    Missing,
    /// It cannot be a key, or its checksum does not fit.
    Malformed,
    /// No consumer has this key.
    Unknown,
    /// Before `not_before`.
    NotYetValid,
    /// From `expires` on.
    Expired,
    /// Withdrawn, whatever its time.
    Retired,
    /// The store cannot be had, so nobody knows whether there is such a key. The client's fault it is not.
    StoreUnavailable,
}

impl Reason {
    /// The metric's label and the field of the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "key_missing",
            Self::Malformed => "key_malformed",
            Self::Unknown => "key_unknown",
            Self::NotYetValid => "key_not_yet_valid",
            Self::Expired => "key_expired",
            Self::Retired => "key_retired",
            Self::StoreUnavailable => "key_store_unavailable",
        }
    }
}

impl Directory {
    /// Judges the key that a request presents at `now`, without counting it.
    ///
    /// # Errors
    /// The reason of the refusal.
    pub fn check<'a>(
        &'a self,
        presented: Option<&'a [u8]>,
        now: Moment,
    ) -> Result<Admitted<'a>, Refusal<'a>> {
        let Some(text) = presented.filter(|text| !text.is_empty()) else {
            return Err(Refusal { reason: Reason::Missing, id: None });
        };
        let Ok(presented) = Presented::parse(text) else {
            return Err(Refusal { reason: Reason::Malformed, id: None });
        };
        let Some(key) = self.find(&presented.digest()) else {
            let reason = if self.is_partial() { Reason::StoreUnavailable } else { Reason::Unknown };
            return Err(Refusal { reason, id: presented.claimed_id() });
        };
        match key.invalid(now) {
            Some(reason) => Err(Refusal { reason, id: Some(key.id.as_str()) }),
            None => Ok(Admitted { key, standing: key.standing() }),
        }
    }
}

impl KeySpec {
    /// Why the key is not valid at `now`. It is from `not_before` on, and no longer at `expires`.
    pub fn invalid(&self, now: Moment) -> Option<Reason> {
        invalid(self.retired, self.expires, self.not_before, now)
    }
}

impl Key {
    /// Why the key is not valid at `now`. It is from `not_before` on, and no longer at `expires`.
    pub fn invalid(&self, now: Moment) -> Option<Reason> {
        invalid(self.retired, self.expires, self.not_before, now)
    }

    /// Whether there is a newer key.
    pub fn standing(&self) -> Standing {
        match &self.deprecated {
            None => Standing::Current,
            Some(deprecated) => Standing::Deprecated { since: deprecated.since, sunset: self.expires },
        }
    }
}

fn invalid(
    retired: Option<Moment>,
    expires: Option<Moment>,
    not_before: Option<Moment>,
    now: Moment,
) -> Option<Reason> {
    if retired.is_some() {
        Some(Reason::Retired)
    } else if expires.is_some_and(|expires| now >= expires) {
        Some(Reason::Expired)
    } else if not_before.is_some_and(|not_before| now < not_before) {
        Some(Reason::NotYetValid)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
