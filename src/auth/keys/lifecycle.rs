//! What `edgeward keys` does to a document: make a key, rotate, list, retire, prune. Each operation leaves the document
//! it is given alone and returns a changed one that compiles, or says why not.
//!
//! A rotation refuses nobody: the new key is valid from the second it is made, and the old ones for the overlap after
//! that. Nor does it ever lengthen the life of a key.

use std::io;
use std::time::Duration;

use super::check::Reason;
use super::directory::{Directory, Fault, Source};
use super::document::{ConsumerSpec, Deprecation, Document, KeySpec, Limits};
use super::format::{KeyText, Random};
use super::moment::Moment;
use super::names::{ConsumerName, KeyId};
use super::usage::{Records, Usage};
use crate::values::Problem;

mod list;

pub use list::{Row, State, list};

/// How long a key must have been unused before it is retired without force, unless the caller says otherwise.
pub const IN_USE_WITHIN: Duration = Duration::from_secs(7 * 86_400);
/// How long retired and expired keys are kept, unless the caller says otherwise: as long as they are there, the log
/// tells them from unknown ones.
pub const KEPT_FOR: Duration = Duration::from_secs(30 * 86_400);

/// Why an operation was not done.
#[derive(Debug, thiserror::Error)]
pub enum LifecycleError {
    #[error("no consumer is called {0}")]
    NoConsumer(ConsumerName),
    #[error("no key has the id {0}")]
    NoKey(KeyId),
    #[error("no key of {0} is valid now, so there is none to rotate; make one with `edgeward keys new`")]
    NothingToRotate(ConsumerName),
    #[error("key {id} is not valid now ({}), so it is not rotated", .reason.as_str())]
    NotValid { id: KeyId, reason: Reason },
    #[error(
        "the keys of {0} differ in their scopes, and the new one can have those of one only: name the key"
    )]
    Scopes(ConsumerName),
    #[error("key {id} was used {last_used} (uses in all: {uses}): whoever uses it would be refused")]
    InUse { id: KeyId, last_used: Moment, uses: u64 },
    #[error("nobody knows whether key {0} is in use: there is no record of uses")]
    UseUnknown(KeyId),
    #[error("key {0} is retired already")]
    RetiredAlready(KeyId),
    #[error("a key that expires {0} would never be valid")]
    Over(Moment),
    #[error("no randomness to be had")]
    Random(#[source] io::Error),
    #[error("the store would be wrong: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Wrong(Vec<Problem>),
}

/// What a new key is to be.
#[derive(Debug, Clone, Default)]
pub struct NewKey {
    pub not_before: Option<Moment>,
    pub expires: Option<Moment>,
    /// `None` for all of the consumer's.
    pub scopes: Option<Vec<String>>,
    pub tags: Vec<String>,
}

/// A document with a key more.
#[derive(Debug)]
pub struct Made {
    pub document: Document,
    /// To be shown once.
    pub text: KeyText,
    pub id: KeyId,
    pub expires: Option<Moment>,
}

/// A document with the keys of a consumer rotated.
#[derive(Debug)]
pub struct Rotated {
    pub made: Made,
    /// The old keys, and when they end.
    pub replaced: Vec<(KeyId, Moment)>,
}

/// Makes a key for a consumer, who is added if there is none of the name, with the scopes of the key for its own.
///
/// # Errors
/// When the document is wrong, or would be.
pub fn new(
    document: &Document,
    consumer: &ConsumerName,
    mut wanted: NewKey,
    now: Moment,
    random: &mut Random<'_>,
) -> Result<Made, LifecycleError> {
    let mut document = document.clone();
    if document.consumers.iter().all(|other| other.name != *consumer) {
        let (name, limits) = (consumer.clone(), Limits::default());
        let (tags, scopes, keys) = (Vec::new(), wanted.scopes.take().unwrap_or_default(), Vec::new());
        document.consumers.push(ConsumerSpec { name, tags, scopes, limits, keys });
    }
    add(document, consumer, wanted, now, random)
}

/// How keys are rotated.
#[derive(Debug, Clone, Copy)]
pub struct Rotation<'a> {
    /// The one key to replace; `None` for all that are valid.
    pub only: Option<&'a KeyId>,
    /// How long the old keys stay valid, unless they expire earlier anyway.
    pub overlap: Duration,
    /// When the new key expires. `None` for as long a life as the one it replaces had from the start.
    pub expires: Option<Moment>,
}

/// Makes a new key for a consumer, and lets its old ones end. The new key has the scopes and tags of the youngest one
/// it replaces.
///
/// # Errors
/// When there is nothing to rotate, when the keys differ in scopes, and when the document is wrong.
pub fn rotate(
    document: &Document,
    consumer: &ConsumerName,
    rotation: Rotation<'_>,
    now: Moment,
    random: &mut Random<'_>,
) -> Result<Rotated, LifecycleError> {
    let Rotation { only, overlap, expires } = rotation;
    let found = document.consumers.iter().find(|other| other.name == *consumer);
    let spec = found.ok_or_else(|| LifecycleError::NoConsumer(consumer.clone()))?;
    let old = rotated_keys(spec, only, now)?;
    let Some(model) = old.iter().max_by_key(|key| (key.deprecated.is_none(), key.created)) else {
        return Err(LifecycleError::NothingToRotate(consumer.clone()));
    };
    if old.iter().any(|key| key.scopes != model.scopes) {
        return Err(LifecycleError::Scopes(consumer.clone()));
    }
    let lifetime = model.expires.zip(model.created).map(|(expires, created)| expires.since(created));
    let wanted = NewKey {
        not_before: None,
        expires: expires.or_else(|| lifetime.map(|lifetime| now.plus(lifetime))),
        scopes: model.scopes.clone(),
        tags: model.tags.clone(),
    };
    let old: Vec<KeyId> = old.iter().map(|key| key.id.clone()).collect();
    let mut made = add(document.clone(), consumer, wanted, now, random)?;
    let mut replaced = Vec::new();
    for key in keys_mut(&mut made.document).filter(|key| old.contains(&key.id)) {
        let end = now.plus(overlap);
        let end = key.expires.map_or(end, |expires| expires.min(end));
        key.expires = Some(end);
        let replaced_by = Some(made.id.clone());
        key.deprecated.get_or_insert(Deprecation { since: now, replaced_by });
        replaced.push((key.id.clone(), end));
    }
    made.document = checked(made.document)?;
    Ok(Rotated { made, replaced })
}

/// The keys that a rotation replaces: those valid now, or the one named.
fn rotated_keys<'a>(
    consumer: &'a ConsumerSpec,
    only: Option<&KeyId>,
    now: Moment,
) -> Result<Vec<&'a KeySpec>, LifecycleError> {
    let Some(id) = only else {
        return Ok(consumer.keys.iter().filter(|key| key.invalid(now).is_none()).collect());
    };
    let found = consumer.keys.iter().find(|key| key.id == *id);
    let key = found.ok_or_else(|| LifecycleError::NoKey(id.clone()))?;
    match key.invalid(now) {
        None => Ok(vec![key]),
        Some(reason) => Err(LifecycleError::NotValid { id: id.clone(), reason }),
    }
}

/// Whether a key that is still in use is withdrawn.
#[derive(Debug, Clone, Copy)]
pub enum Caution<'a> {
    /// Not if it was used within this time, by these records; nor without records.
    Unused { within: Duration, records: Option<&'a Records> },
    /// It is, whoever uses it.
    Forced,
}

/// Withdraws a key at once.
///
/// # Errors
/// When there is no such key, it is retired already, or it is in use as far as `caution` asks.
pub fn retire(
    document: &Document,
    id: &KeyId,
    caution: Caution<'_>,
    now: Moment,
) -> Result<Document, LifecycleError> {
    let mut document = document.clone();
    let found = keys_mut(&mut document).find(|key| key.id == *id);
    let key = found.ok_or_else(|| LifecycleError::NoKey(id.clone()))?;
    if key.retired.is_some() {
        return Err(LifecycleError::RetiredAlready(id.clone()));
    }
    if let (Caution::Unused { within, records }, None) = (caution, key.invalid(now)) {
        let records = records.ok_or_else(|| LifecycleError::UseUnknown(id.clone()))?;
        if let Some(record) = records.of(id).filter(|record| now.since(record.last_used) < within) {
            let (last_used, uses) = (record.last_used, record.uses);
            return Err(LifecycleError::InUse { id: id.clone(), last_used, uses });
        }
    }
    key.retired = Some(now);
    checked(document)
}

/// Removes keys that were retired or expired for at least `kept_for`, and tells which.
///
/// # Errors
/// When the document is wrong.
pub fn prune(
    document: &Document,
    kept_for: Duration,
    now: Moment,
) -> Result<(Document, Vec<KeyId>), LifecycleError> {
    let mut document = document.clone();
    let mut pruned = Vec::new();
    for consumer in &mut document.consumers {
        consumer.keys.retain(|key| {
            let ended = key.retired.into_iter().chain(key.expires).min();
            let kept = ended.is_none_or(|ended| ended > now || now.since(ended) < kept_for);
            if !kept {
                pruned.push(key.id.clone());
            }
            kept
        });
    }
    Ok((checked(document)?, pruned))
}

fn add(
    mut document: Document,
    consumer: &ConsumerName,
    wanted: NewKey,
    now: Moment,
    random: &mut Random<'_>,
) -> Result<Made, LifecycleError> {
    let text = KeyText::generate(random).map_err(LifecycleError::Random)?;
    let id = text.id().clone();
    let NewKey { not_before, expires, scopes, tags } = wanted;
    if let Some(expires) = expires.filter(|expires| *expires <= now) {
        return Err(LifecycleError::Over(expires));
    }
    let key = KeySpec {
        id: id.clone(),
        sha256: text.digest(),
        created: Some(now),
        not_before,
        expires,
        scopes,
        tags,
        deprecated: None,
        retired: None,
    };
    let found = document.consumers.iter_mut().find(|other| other.name == *consumer);
    found.ok_or_else(|| LifecycleError::NoConsumer(consumer.clone()))?.keys.push(key);
    Ok(Made { document: checked(document)?, text, id, expires })
}

fn keys_mut(document: &mut Document) -> impl Iterator<Item = &mut KeySpec> {
    document.consumers.iter_mut().flat_map(|consumer| &mut consumer.keys)
}

/// A store that a proxy would refuse to load is not written.
fn checked(document: Document) -> Result<Document, LifecycleError> {
    let source = Source { label: "the store", document: &document };
    let problem = |fault: Fault| fault.problem;
    match Directory::compile(&[source], &Usage::default()) {
        Ok(_) => Ok(document),
        Err(faults) => Err(LifecycleError::Wrong(faults.into_iter().map(problem).collect())),
    }
}

#[cfg(test)]
mod tests;
