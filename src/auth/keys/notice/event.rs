//! What can happen to a key, when it does, and what its owner is told of it.

use std::time::Duration;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::outbox::Pending;
use crate::auth::keys::directory::Key;
use crate::auth::keys::facts::used_since_rotation;
use crate::auth::keys::moment::Moment;
use crate::auth::keys::names::KeyId;

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A threshold before expiry was crossed.
    Expiring,
    Expired,
    /// A newer key was made.
    Rotated,
    /// The first use after a newer key was made.
    OldUsed,
    Retired,
}

impl Kind {
    /// The event's type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expiring => "key.expiring",
            Self::Expired => "key.expired",
            Self::Rotated => "key.rotated",
            Self::OldUsed => "key.old_used",
            Self::Retired => "key.retired",
        }
    }
}

/// Something that happened, or will, to a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    pub(super) kind: Kind,
    /// When.
    pub(super) at: Moment,
    /// What it belongs to: another expiry or another rotation makes another event.
    of: Moment,
    /// The threshold, of [`Kind::Expiring`] alone.
    before: Option<Duration>,
}

impl Event {
    /// Tells it from all other events of the key.
    pub(super) fn mark(&self) -> String {
        let Self { kind, of, before, .. } = self;
        match before {
            Some(before) => format!("{} {of} {}", kind.as_str(), before.as_secs()),
            None => format!("{} {of}", kind.as_str()),
        }
    }
}

/// All events of a key, past and future, in this order; thresholds from the longest to the shortest.
pub(super) fn events(key: &Key, thresholds: &[Duration]) -> Vec<Event> {
    let mut events = Vec::new();
    let event = |kind, at, of| Event { kind, at, of, before: None };
    let deprecated = key.deprecated.as_ref().map(|deprecated| deprecated.since);
    if let Some(since) = deprecated {
        events.push(event(Kind::Rotated, since, since));
        let at = used_since_rotation(key).unwrap_or(Moment::LAST);
        events.push(event(Kind::OldUsed, at, since));
    }
    if let Some(at) = key.retired {
        events.push(event(Kind::Retired, at, at));
        return events;
    }
    let Some(expires) = key.expires else { return events };
    // A key that is made or rotated to live for a week more needs no second notice that it does.
    let news_after = deprecated.max(key.created);
    for &before in thresholds {
        let at = expires.minus(before);
        if news_after.is_none_or(|news_after| at > news_after) {
            events.push(Event { before: Some(before), ..event(Kind::Expiring, at, expires) });
        }
    }
    events.push(event(Kind::Expired, expires, expires));
    events
}

/// What the receiver is told. The frame is that of Standard Webhooks: type, timestamp, data.
#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
    r#type: &'static str,
    timestamp: Moment,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    consumer: &'a str,
    key: &'a str,
    expires: Option<Moment>,
    /// Whole days, none of them begun.
    days_left: Option<u64>,
    last_used: Option<Moment>,
    uses: u64,
    replaced_by: Option<&'a str>,
}

pub(super) fn pending(key: &Key, event: &Event, mark: &str, now: Moment) -> Pending {
    let id = event_id(&key.id, mark);
    let replaced_by = key.deprecated.as_ref().and_then(|deprecated| deprecated.replaced_by.as_ref());
    let body = Body {
        id: &id,
        r#type: event.kind.as_str(),
        timestamp: now,
        data: Data {
            consumer: key.consumer.name.as_str(),
            key: key.id.as_str(),
            expires: key.expires,
            days_left: key.expires.map(|expires| expires.since(now).as_secs() / 86_400),
            last_used: key.tally.last_used(),
            uses: key.tally.uses(),
            replaced_by: replaced_by.map(KeyId::as_str),
        },
    };
    // Strings, numbers and moments have no way to fail as JSON; a notice without data would still be one.
    let body = serde_json::to_string(&body).unwrap_or_else(|_| format!("{{\"id\":\"{id}\"}}"));
    Pending::new(id, event.kind, body, now)
}

/// 128 bits of SHA-256 of what happened: the same wherever and whenever it is found out.
fn event_id(key: &KeyId, mark: &str) -> String {
    let digest = Sha256::digest(format!("{key} {mark}"));
    format!("msg_{}", HEXLOWER.encode(digest.get(..16).unwrap_or_default()))
}
