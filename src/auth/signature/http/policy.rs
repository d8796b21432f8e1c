//! Which signatures count (RFC 9421 §3.2), and the search for one that does.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use sfv::{BareItem, Dictionary, InnerList, ListEntry};

use super::parameters::Parameters;
use super::{Component, FIELD, Form, MAX_COMPONENTS, MAX_TRIED, Message, Refusal, base};
use crate::auth::replay::{Novelty, Seen, Spent};
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

/// Who may have signed.
#[derive(Debug, Clone)]
pub struct Signatory {
    /// The key.
    pub key: Arc<VerifyingKey>,
    /// The nonces that were used with it. Whoever takes signatures by the key shares it.
    pub seen: Arc<Seen>,
}

/// One signature of a request, as far as it is understood.
struct Candidate {
    covered: InnerList,
    parameters: Parameters,
    signatories: Vec<Signatory>,
    signature: Vec<u8>,
}

impl Policy {
    /// Looks for a signature that counts, in the order in which `Signature-Input` has them, until at least four were tried
    /// with known keys. `keys` finds the keys of a `keyid`, or the only one there is for a signature that gives none; of
    /// those that fit at most four are tried. `now` is in seconds of the Unix time. The nonce of the one that counts is
    /// remembered as used by the request that has `spent` what it has.
    ///
    /// # Errors
    /// When there is none: why the first one does not count, and [`Refusal::WrongTag`] only if none has the right tag.
    pub fn verify(
        &self,
        message: &Message<'_>,
        keys: impl Fn(Option<&str>) -> Vec<Signatory>,
        spent: &mut Spent,
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
                    tried += candidate.signatories.len();
                    self.check(label.as_str(), candidate, message, spent, now)
                }
                Err(refusal) => Err(refusal),
            };
            match verified {
                Ok(verified) => return Ok(verified),
                Err(Refusal::WrongTag) => {}
                Err(refusal) => first = first.or(Some(refusal)),
            }
            if tried >= MAX_TRIED {
                break;
            }
        }
        Err(first.unwrap_or(Refusal::WrongTag))
    }

    /// All that can be told from the parameters alone.
    fn candidate(
        &self,
        input: ListEntry,
        signature: Option<ListEntry>,
        keys: &impl Fn(Option<&str>) -> Vec<Signatory>,
        now: i64,
    ) -> Result<Candidate, Refusal> {
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
        let mut signatories = keys(parameters.key_id.as_deref());
        if signatories.is_empty() {
            return Err(Refusal::UnknownKey);
        }
        if let Some(name) = &parameters.algorithm {
            signatories.retain(|signatory| signatory.key.algorithm().name() == name);
        }
        signatories.truncate(MAX_TRIED);
        if signatories.is_empty() {
            return Err(Refusal::WrongAlgorithm);
        }
        self.check_times(&parameters, now)?;
        if self.nonce_required && parameters.nonce.is_none() {
            return Err(Refusal::NonceMissing);
        }
        Ok(Candidate { covered, parameters, signatories, signature })
    }

    fn check_times(&self, parameters: &Parameters, now: i64) -> Result<(), Refusal> {
        let created = parameters.created.ok_or(Refusal::CreatedMissing)?;
        let skew = seconds(self.clock_skew);
        if created > now.saturating_add(skew) {
            return Err(Refusal::CreatedInFuture);
        }
        if created.saturating_add(self.lifetime()) < now {
            return Err(Refusal::TooOld);
        }
        match parameters.expires {
            Some(expires) if expires.saturating_add(skew) < now => Err(Refusal::Expired),
            _ => Ok(()),
        }
    }

    /// For how many seconds after it was created a signature may be accepted.
    pub fn lifetime(&self) -> i64 {
        seconds(self.max_age).saturating_add(seconds(self.clock_skew))
    }

    fn check(
        &self,
        label: &str,
        candidate: Candidate,
        message: &Message<'_>,
        spent: &mut Spent,
        now: i64,
    ) -> Result<Verified, Refusal> {
        let Candidate { covered, parameters, signatories, signature } = candidate;
        let components = understood(&covered)?;
        if !self.required.iter().all(|required| is_covered(required, &components, message)) {
            return Err(Refusal::Uncovered);
        }
        let base = base::build(message, covered, &components)?;
        let mut signatories = signatories.into_iter();
        let by = signatories.find(|signatory| signatory.key.verify(base.as_bytes(), &signature));
        let Signatory { key, seen } = by.ok_or(Refusal::Invalid)?;
        // After the signature: who has no key cannot use up anybody's nonces, nor fill the store.
        if let Some(nonce) = &parameters.nonce {
            let created = parameters.created.unwrap_or(now);
            match seen.remember(key.thumbprint().as_bytes(), nonce.as_bytes(), created, now, spent) {
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
