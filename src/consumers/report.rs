//! What operators are told of keys: their state and use, and who still uses an old one. Never what a key is, nor its
//! digest.

use serde::Serialize;

use super::shared::Standing;
use super::{Consumers, Store};
use crate::auth::keys::document::Deprecation;
use crate::auth::keys::facts::{expiries, laggards, old_keys};
use crate::auth::keys::lifecycle::State;
use crate::auth::keys::{ConsumerName, Directory, Key, KeyId, Moment};
use crate::telemetry::metrics::KeyLabels;

/// Keys that metrics tell of, in each family.
const MOST_SHOWN: usize = 1000;

/// All keys, in the order of policy and store.
#[derive(Serialize)]
struct Report<'a> {
    /// Of a store that a fleet has in common.
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<Standing>,
    keys: Vec<Row<'a>>,
    /// Who used an old key after its rotation.
    still_on_old_keys: Vec<Laggard<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    consumer: &'a ConsumerName,
    id: &'a KeyId,
    state: State,
    created: Option<Moment>,
    not_before: Option<Moment>,
    expires: Option<Moment>,
    deprecated: Option<&'a Deprecation>,
    retired: Option<Moment>,
    scopes: &'a [String],
    last_used: Option<Moment>,
    uses: u64,
}

#[derive(Serialize)]
struct Laggard<'a> {
    consumer: &'a ConsumerName,
    keys: usize,
    last_used: Moment,
}

impl Consumers {
    /// Everything about keys that is no secret, as JSON.
    pub fn report(&self) -> serde_json::Value {
        let store = match &self.store {
            Some(Store::Shared(shared)) => Some(shared.standing()),
            _ => None,
        };
        report(&self.ring.load(), store, self.now())
    }

    /// Brings metrics up to date.
    pub fn refresh(&self) {
        let (directory, now) = (self.ring.load(), self.now());
        let expiries = expiries(&directory, now, MOST_SHOWN);
        let expiries =
            expiries.iter().filter_map(|expiry| Some((labels(expiry.key), expiry.key.expires?.unix())));
        let old = old_keys(&directory, now, MOST_SHOWN);
        let old_uses = old.map(|key| (labels(key), key.tally.deprecated_uses()));
        self.kept.metrics.show_keys(expiries, old_uses);
    }
}

fn labels(key: &Key) -> KeyLabels<'_> {
    KeyLabels { consumer: key.consumer.name.as_str(), key: key.id.as_str() }
}

fn report(directory: &Directory, store: Option<Standing>, now: Moment) -> serde_json::Value {
    let still_on_old_keys = laggards(directory, now, usize::MAX)
        .into_iter()
        .map(|found| Laggard { consumer: found.consumer, keys: found.keys, last_used: found.last_used })
        .collect();
    let keys = directory.keys().iter().map(|key| row(key, now)).collect();
    serde_json::json!(Report { store, keys, still_on_old_keys })
}

fn row(key: &Key, now: Moment) -> Row<'_> {
    Row {
        consumer: &key.consumer.name,
        id: &key.id,
        state: State::new(key.invalid(now), key.deprecated.is_some()),
        created: key.created,
        not_before: key.not_before,
        expires: key.expires,
        deprecated: key.deprecated.as_ref(),
        retired: key.retired,
        scopes: &key.scopes,
        last_used: key.tally.last_used(),
        uses: key.tally.uses(),
    }
}
