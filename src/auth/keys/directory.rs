//! All keys, compiled: found by digest, with consumers, windows and scopes that cannot be wrong. Immutable; a reload
//! makes another one, and the counts of use go on in [`Usage`].
//!
//! **Timing.** A key is found by the SHA-256 of its text in a hash table. That is no oracle: the table's hash is keyed
//! with randomness of the process, so nobody outside knows which place a digest comes to; digests are compared whole
//! ([`Digest`]'s equality); and even a full digest, learnt bit by bit, would not lead back to a key of 190 random bits.
//! What can be timed is the checksum, which is computed from the client's own text and compared with that text alone.

use std::collections::HashMap;
use std::sync::Arc;

use super::digest::Digest;
use super::document::{ConsumerSpec, Deprecation, Document, KeySpec};
use super::moment::Moment;
use super::names::{ConsumerName, KeyId, check_scope, check_tag};
use super::usage::{Tally, Usage};
use crate::state::quota::Limit;
use crate::values::{Problem, Rate};

/// Consumers of all sources together.
const MOST_CONSUMERS: usize = 100_000;
/// Keys of one consumer.
const MOST_KEYS: usize = 64;
const MOST_SCOPES: usize = 64;
const MOST_TAGS: usize = 32;
/// Faults that are told. Each costs whoever reports it a search for its line.
const MOST_FAULTS: usize = 100;

/// What the limits of consumers are counted under, each by its consumer's name.
const LIMIT: &str = "consumers";

/// Where a document comes from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// As messages about another source call it: `the policy`, `keys.yaml`.
    pub label: &'a str,
    pub document: &'a Document,
}

/// Something wrong with one of the documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which of the sources, counted from 0.
    pub source: usize,
    /// What and where, e.g. at `consumers[2].keys[0].expires`.
    pub problem: Problem,
}

/// Who may call.
#[derive(Debug)]
pub struct Consumer {
    pub name: ConsumerName,
    pub tags: Box<[String]>,
    /// What it may do, sorted.
    pub scopes: Arc<[String]>,
    /// How much all its keys together may call. Counted under the consumer's name.
    pub limit: Option<Limit>,
}

/// A key as it is compared with the clock.
#[derive(Debug)]
pub struct Key {
    pub id: KeyId,
    pub consumer: Arc<Consumer>,
    pub created: Option<Moment>,
    pub not_before: Option<Moment>,
    pub expires: Option<Moment>,
    pub deprecated: Option<Deprecation>,
    pub retired: Option<Moment>,
    /// What this key may do, sorted: the consumer's scopes, or some of them.
    pub scopes: Arc<[String]>,
    /// Beside the consumer's own.
    pub tags: Box<[String]>,
    /// How often it was used, and when last. Outlives this directory.
    pub tally: Arc<Tally>,
}

impl Key {
    /// Whether the key has exactly this scope.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.binary_search_by(|known| known.as_str().cmp(scope)).is_ok()
    }

    /// Whether the key or its consumer has exactly this tag.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().chain(&self.consumer.tags).any(|known| known == tag)
    }
}

/// All keys.
#[derive(Debug, Default)]
pub struct Directory {
    by_digest: HashMap<Digest, Arc<Key>>,
    keys: Box<[Arc<Key>]>,
    /// Whether there are keys that it does not know.
    partial: bool,
}

impl Directory {
    /// Compiles all sources into one directory.
    ///
    /// # Errors
    /// Everything that is wrong with any of them, the first hundred of it.
    pub fn compile(sources: &[Source<'_>], usage: &Usage) -> Result<Self, Vec<Fault>> {
        let mut build = Build::default();
        let total: usize = sources.iter().map(|source| source.document.consumers.len()).sum();
        if total > MOST_CONSUMERS {
            let message = format_args!("more than {MOST_CONSUMERS} consumers, found {total}");
            return Err(vec![Fault { source: 0, problem: Problem::new("consumers", message) }]);
        }
        for (index, source) in sources.iter().enumerate() {
            build.source = index;
            build.label = source.label;
            for (number, consumer) in source.document.consumers.iter().enumerate() {
                build.consumer(&format!("consumers[{number}]"), consumer, usage);
            }
        }
        if build.faults.is_empty() { Ok(build.directory()) } else { Err(build.faults) }
    }

    /// The same, as long as the store that has more keys is not known: of a key that is not found nobody can say what it
    /// is worth.
    #[must_use]
    pub fn without_store(self) -> Self {
        Self { partial: true, ..self }
    }

    /// Whether there are keys that it does not know.
    pub(super) fn is_partial(&self) -> bool {
        self.partial
    }

    /// The key of this digest, whatever the time. [`check`](Self::check) asks for the time as well.
    pub(super) fn find(&self, digest: &Digest) -> Option<&Arc<Key>> {
        self.by_digest.get(digest)
    }

    /// All keys, in the order of their documents.
    pub fn keys(&self) -> &[Arc<Key>] {
        &self.keys
    }
}

/// Where something was first named, for the message about the second.
struct Place<'a> {
    source: usize,
    label: &'a str,
    at: String,
}

#[derive(Default)]
struct Build<'a> {
    source: usize,
    label: &'a str,
    names: HashMap<&'a str, Place<'a>>,
    ids: HashMap<&'a str, Place<'a>>,
    digests: HashMap<Digest, Place<'a>>,
    keys: Vec<(Digest, Arc<Key>)>,
    faults: Vec<Fault>,
}

impl<'a> Build<'a> {
    fn consumer(&mut self, at: &str, spec: &'a ConsumerSpec, usage: &Usage) {
        let ConsumerSpec { name, tags, scopes, limits, keys } = spec;
        let taken = self.names.get(name.as_str()).map(|first| self.told(first));
        match taken {
            Some(first) => self.fault(format!("{at}.name"), format_args!("{first} has this name too")),
            None => drop(self.names.insert(name.as_str(), self.place(at))),
        }
        self.words(&format!("{at}.tags"), tags, MOST_TAGS, check_tag);
        self.words(&format!("{at}.scopes"), scopes, MOST_SCOPES, check_scope);
        if keys.len() > MOST_KEYS {
            let message = format_args!("expected at most {MOST_KEYS} keys, found {}", keys.len());
            self.fault(format!("{at}.keys"), message);
        }
        let limit = limits.rate.and_then(|rate| self.limit(at, rate));
        let (tags, scopes) = (tags.as_slice().into(), sorted(scopes));
        let consumer = Arc::new(Consumer { name: name.clone(), tags, scopes, limit });
        for (number, key) in keys.iter().enumerate() {
            self.key(&format!("{at}.keys[{number}]"), key, &consumer, usage);
        }
    }

    fn key(&mut self, at: &str, spec: &'a KeySpec, consumer: &Arc<Consumer>, usage: &Usage) {
        self.identity(at, spec);
        self.times(at, spec);
        self.words(&format!("{at}.tags"), &spec.tags, MOST_TAGS, check_tag);
        if let Some(scopes) = &spec.scopes {
            let subset = |scope: &str| {
                let known = consumer.scopes.iter().any(|known| known == scope);
                known
                    .then_some(())
                    .ok_or_else(|| format!("consumer {} does not have scope {scope:?}", consumer.name))
            };
            self.words(&format!("{at}.scopes"), scopes, MOST_SCOPES, subset);
        }
        let key = Key {
            id: spec.id.clone(),
            consumer: Arc::clone(consumer),
            created: spec.created,
            not_before: spec.not_before,
            expires: spec.expires,
            deprecated: spec.deprecated.clone(),
            retired: spec.retired,
            scopes: spec.scopes.as_deref().map_or_else(|| Arc::clone(&consumer.scopes), sorted),
            tags: spec.tags.as_slice().into(),
            tally: usage.tally(&spec.id),
        };
        self.keys.push((spec.sha256, Arc::new(key)));
    }

    fn limit(&mut self, at: &str, rate: Rate) -> Option<Limit> {
        let limit = Limit::new(LIMIT, rate.count(), rate.period(), rate.count());
        limit.map_err(|error| self.fault(format!("{at}.limits.rate"), error)).ok()
    }

    /// That no other key has its id or its digest.
    fn identity(&mut self, at: &str, spec: &'a KeySpec) {
        let taken = self.ids.get(spec.id.as_str()).map(|first| self.told(first));
        match taken {
            Some(first) => self.fault(format!("{at}.id"), format_args!("{first} has this id too")),
            None => drop(self.ids.insert(spec.id.as_str(), self.place(at))),
        }
        if spec.sha256 == Digest::of(b"") {
            self.fault(format!("{at}.sha256"), "this is the digest of an empty text, so of no key");
        }
        let taken = self.digests.get(&spec.sha256).map(|first| self.told(first));
        match taken {
            Some(first) => self.fault(format!("{at}.sha256"), format_args!("{first} is the same key")),
            None => drop(self.digests.insert(spec.sha256, self.place(at))),
        }
    }

    /// That there is a time at which the key is valid.
    fn times(&mut self, at: &str, spec: &KeySpec) {
        if let (Some(not_before), Some(expires)) = (spec.not_before, spec.expires)
            && not_before >= expires
        {
            self.fault(
                format!("{at}.expires"),
                format_args!("expected a time after not_before, {not_before}, found {expires}"),
            );
        }
        let Some(Deprecation { since, replaced_by }) = &spec.deprecated else { return };
        if let Some(expires) = spec.expires.filter(|expires| expires < since) {
            // RFC 9745 §4: Sunset is not earlier than Deprecation.
            let message = format_args!("expected a time no later than expires, {expires}, found {since}");
            self.fault(format!("{at}.deprecated.since"), message);
        }
        if replaced_by.as_ref() == Some(&spec.id) {
            self.fault(format!("{at}.deprecated.replaced_by"), "a key cannot replace itself");
        }
    }

    /// A list of words: not too many, each well formed, none twice.
    fn words<E: ToString>(
        &mut self,
        at: &str,
        words: &[String],
        most: usize,
        check: impl Fn(&str) -> Result<(), E>,
    ) {
        if words.len() > most {
            return self.fault(at, format_args!("expected at most {most}, found {}", words.len()));
        }
        for (number, word) in words.iter().enumerate() {
            if let Err(error) = check(word) {
                self.fault(format!("{at}[{number}]"), error.to_string());
            } else if words.iter().take(number).any(|earlier| earlier == word) {
                self.fault(format!("{at}[{number}]"), format_args!("{word:?} is in the list already"));
            }
        }
    }

    fn fault(&mut self, at: impl Into<String>, message: impl std::fmt::Display) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(Fault { source: self.source, problem: Problem::new(at, message) });
        }
    }

    fn place(&self, at: &str) -> Place<'a> {
        Place { source: self.source, label: self.label, at: at.to_owned() }
    }

    fn told(&self, place: &Place<'_>) -> String {
        if place.source == self.source {
            place.at.clone()
        } else {
            format!("{} of {}", place.at, place.label)
        }
    }

    fn directory(self) -> Directory {
        let keys = self.keys.iter().map(|(_, key)| Arc::clone(key)).collect();
        Directory { by_digest: self.keys.into_iter().collect(), keys, partial: false }
    }
}

fn sorted(words: &[String]) -> Arc<[String]> {
    let mut words = words.to_vec();
    words.sort_unstable();
    words.into()
}

#[cfg(test)]
mod tests;
