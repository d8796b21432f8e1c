//! Which signatures count (RFC 9421 §3.2), and the search for one that does.

use std::ops::Deref;
use std::time::Duration;

use http::HeaderMap;
use sfv::{BareItem, Dictionary, InnerList, ListEntry};

use super::parameters::Parameters;
use super::{Component, FIELD, Form, MAX_COMPONENTS, MAX_TRIED, Message, Refusal, base};
use crate::auth::replay::{Novelty, Seen};
use crate::auth::signature::key::VerifyingKey;
use crate::http::structured::{self, Unreadable};

/// What a signature must be like.
#[derive(Debug, Clone)]
pub struct Policy {
    /// What it has to cover. What is covered as part of a larger component counts: `@target-uri` covers `@path`. Two
    /// are asked for only where there is something to cover: `@query` of a request with a query, `content-digest` of
    /// one with a body. What was added or taken away on the way is noticed all the same.
    pub required: Vec<Component>,
    /// The oldest `created` that is accepted; a signature without one is not.
    pub max_age: Duration,
    /// How far the signer's clock may be off, either way.
    pub clock_skew: Duration,
    /// Whether every signature has to carry a nonce. One that is there is never accepted twice.
    pub nonce_required: bool,
    /// The `tag` that signatures for this purpose carry. Signatures with another are passed over.
    pub tag: Option<String>,
}

/// A signature that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// What the request calls it.
    pub label: String,
    /// Whose it is: the name of its key, if it gives one.
    pub key_id: Option<String>,
    /// What it covers. If `content-digest` is among it ([`Verified::covers_body`]), the body must be checked against
    /// it.
    pub components: Vec<Component>,
}

impl Verified {
    /// Whether the digest of the body is signed, so that the body is, once it has been compared with that digest. That
    /// has to be done also for a request without a body: somebody may have taken it away.
    pub fn covers_body(&self) -> bool {
        let digest = Component::Field("content-digest".to_owned(), Form::Joined);
        self.components.iter().any(|component| component.covers(&digest))
    }
}

/// One signature of a request, as far as it is understood.
struct Candidate<K> {
    covered: InnerList,
    parameters: Parameters,
    key: K,
    signature: Vec<u8>,
}

impl Policy {
    /// Looks for a signature that counts, in the order in which `Signature-Input` has them, among at most four whose
    /// keys are known. `keys` finds a key by its `keyid`, or the only one there is for a signature that gives none.
    /// `now` is in seconds of the Unix time. The nonce of the one that counts is remembered in `seen`.
    ///
    /// # Errors
    /// When there is none: why the first one does not count, and [`Refusal::WrongTag`] only if none has the right tag.
    pub fn verify<K: Deref<Target = VerifyingKey>>(
        &self,
        message: &Message<'_>,
        keys: impl Fn(Option<&str>) -> Option<K>,
        seen: &Seen,
        now: i64,
    ) -> Result<Verified, Refusal> {
        let inputs = dictionary(message.fields, "signature-input")?;
        let mut signatures = dictionary(message.fields, "signature")?;
        let mut first = None;
        let mut tried = 0;
        for (label, input) in inputs {
            let signature = signatures.swap_remove(&label);
            let verified = match self.candidate(input, signature, &keys, now) {
                Ok(candidate) => {
                    tried += 1;
                    self.check(label.as_str(), candidate, message, seen, now)
                }
                Err(refusal) => Err(refusal),
            };
            match verified {
                Ok(verified) => return Ok(verified),
                Err(Refusal::WrongTag) => {}
                Err(refusal) => first = first.or(Some(refusal)),
            }
            if tried == MAX_TRIED {
                break;
            }
        }
        Err(first.unwrap_or(Refusal::WrongTag))
    }

    /// All that can be told from the parameters alone.
    fn candidate<K: Deref<Target = VerifyingKey>>(
        &self,
        input: ListEntry,
        signature: Option<ListEntry>,
        keys: &impl Fn(Option<&str>) -> Option<K>,
        now: i64,
    ) -> Result<Candidate<K>, Refusal> {
        let ListEntry::InnerList(covered) = input else { return Err(Refusal::Malformed) };
        let parameters = Parameters::read(&covered)?;
        if self.tag.is_some() && self.tag != parameters.tag {
            return Err(Refusal::WrongTag);
        }
        let signature = match signature {
            Some(ListEntry::Item(item)) => match item.bare_item {
                BareItem::ByteSequence(bytes) => bytes,
                _ => return Err(Refusal::Malformed),
            },
            _ => return Err(Refusal::Malformed),
        };
        let key = keys(parameters.key_id.as_deref()).ok_or(Refusal::UnknownKey)?;
        if parameters.algorithm.as_ref().is_some_and(|name| name != key.algorithm().name()) {
            return Err(Refusal::WrongAlgorithm);
        }
        self.check_times(&parameters, now)?;
        if self.nonce_required && parameters.nonce.is_none() {
            return Err(Refusal::NonceMissing);
        }
        Ok(Candidate { covered, parameters, key, signature })
    }

    fn check_times(&self, parameters: &Parameters, now: i64) -> Result<(), Refusal> {
        let created = parameters.created.ok_or(Refusal::CreatedMissing)?;
        let skew = seconds(self.clock_skew);
        if created > now.saturating_add(skew) {
            return Err(Refusal::CreatedInFuture);
        }
        if self.last_second(created) < now {
            return Err(Refusal::TooOld);
        }
        match parameters.expires {
            Some(expires) if expires.saturating_add(skew) < now => Err(Refusal::Expired),
            _ => Ok(()),
        }
    }

    /// The last second in which what was created then is accepted.
    fn last_second(&self, created: i64) -> i64 {
        created.saturating_add(seconds(self.max_age)).saturating_add(seconds(self.clock_skew))
    }

    fn check<K: Deref<Target = VerifyingKey>>(
        &self,
        label: &str,
        candidate: Candidate<K>,
        message: &Message<'_>,
        seen: &Seen,
        now: i64,
    ) -> Result<Verified, Refusal> {
        let Candidate { covered, parameters, key, signature } = candidate;
        let components = understood(&covered)?;
        if !self.required.iter().all(|required| is_covered(required, &components, message)) {
            return Err(Refusal::Uncovered);
        }
        let base = base::build(message, covered, &components)?;
        if !key.verify(base.as_bytes(), &signature) {
            return Err(Refusal::Invalid);
        }
        // After the signature: who has no key cannot use up anybody's nonces, nor fill the store.
        if let Some(nonce) = &parameters.nonce {
            let owner = parameters.key_id.as_deref().unwrap_or_default();
            let until = self.last_second(parameters.created.unwrap_or(now));
            match seen.remember(owner.as_bytes(), nonce.as_bytes(), until, now) {
                Novelty::Fresh => {}
                Novelty::Seen => return Err(Refusal::Replayed),
                Novelty::Full => return Err(Refusal::ReplayStoreFull),
            }
        }
        Ok(Verified { label: label.to_owned(), key_id: parameters.key_id, components })
    }
}

fn dictionary(fields: &HeaderMap, name: &str) -> Result<Dictionary, Refusal> {
    let lines = fields.get_all(name).iter().map(http::HeaderValue::as_bytes);
    match structured::read::<Dictionary>(lines, FIELD) {
        Ok(Some(members)) if !members.is_empty() => Ok(members),
        Ok(_) => Err(Refusal::Missing),
        Err(Unreadable::TooLong) => Err(Refusal::TooLarge),
        Err(Unreadable::Malformed) => Err(Refusal::Malformed),
    }
}

fn understood(covered: &InnerList) -> Result<Vec<Component>, Refusal> {
    if covered.items.len() > MAX_COMPONENTS {
        return Err(Refusal::TooLarge);
    }
    let mut components = Vec::with_capacity(covered.items.len());
    for item in &covered.items {
        let component = Component::from_item(item).map_err(|_| Refusal::UnsupportedComponent)?;
        if components.contains(&component) {
            return Err(Refusal::DuplicateComponent);
        }
        components.push(component);
    }
    Ok(components)
}

fn is_covered(required: &Component, components: &[Component], message: &Message<'_>) -> bool {
    let applies = match required {
        Component::Query => message.query.is_some(),
        Component::Field(name, _) if name == "content-digest" => message.has_body,
        _ => true,
    };
    !applies || components.iter().any(|component| component.covers(required))
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
