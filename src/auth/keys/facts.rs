//! What metrics tell of keys. Labels are names from policies and stores, never what a client sent, and there are at
//! most as many as the caller asks for.

use std::collections::BTreeMap;

use super::directory::{Directory, Key};
use super::moment::Moment;
use super::names::ConsumerName;

/// The days that a key has left.
#[derive(Debug, Clone, Copy)]
pub struct Expiry<'a> {
    pub key: &'a Key,
    /// Negative once it has expired.
    pub days: f64,
}

/// Keys that expire, soonest first, at most `most`. Retired ones are done with, and not among them.
pub fn expiries(directory: &Directory, now: Moment, most: usize) -> Vec<Expiry<'_>> {
    let expires = |key: &'_ Key| key.expires.filter(|_| key.retired.is_none());
    let mut keys: Vec<_> =
        directory.keys().iter().filter_map(|key| Some((expires(key)?, key.as_ref()))).collect();
    keys.sort_by_key(|(expires, _)| *expires);
    keys.truncate(most);
    keys.into_iter().map(|(expires, key)| Expiry { key, days: days_between(now, expires) }).collect()
}

#[expect(clippy::cast_precision_loss, reason = "seconds up to the year 9999 fit into 52 bits")]
fn days_between(now: Moment, then: Moment) -> f64 {
    let seconds = then.since(now).as_secs() as f64 - now.since(then).as_secs() as f64;
    seconds / 86_400.0
}

/// Valid keys that have a successor, in the order of their documents, at most `most`.
pub fn old_keys(directory: &Directory, now: Moment, most: usize) -> impl Iterator<Item = &Key> {
    let old =
        directory.keys().iter().filter(move |key| key.deprecated.is_some() && key.invalid(now).is_none());
    old.map(AsRef::as_ref).take(most)
}

/// A consumer that uses an old key although there is a newer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Laggard<'a> {
    pub consumer: &'a ConsumerName,
    /// Its old keys that are valid and were used after their rotation.
    pub keys: usize,
    /// The latest of these uses.
    pub last_used: Moment,
}

/// Consumers that used an old key after its rotation, by name, at most `most`. Each can be told to change before the
/// key ends.
pub fn laggards(directory: &Directory, now: Moment, most: usize) -> Vec<Laggard<'_>> {
    let mut found: BTreeMap<&ConsumerName, Laggard<'_>> = BTreeMap::new();
    for key in directory.keys().iter().filter(|key| key.invalid(now).is_none()) {
        let Some(last_used) = used_since_rotation(key) else { continue };
        let consumer = &key.consumer.name;
        let laggard = found.entry(consumer).or_insert(Laggard { consumer, keys: 0, last_used });
        laggard.keys += 1;
        laggard.last_used = laggard.last_used.max(last_used);
    }
    found.into_values().take(most).collect()
}

/// The last use of an old key, if that was after its rotation.
pub(super) fn used_since_rotation(key: &Key) -> Option<Moment> {
    let since = key.deprecated.as_ref()?.since;
    key.tally.last_used().filter(|last_used| *last_used > since)
}

#[cfg(test)]
mod tests;
