//! Signing requests (RFC 9421 §3.1): what the other side does, for tests to hold the verifier against.

use std::time::Duration;

use boring::error::ErrorStack;
use sfv::{BareItem, InnerList, Integer, Item, Key, StringRef, key_ref};

use super::{Component, MAX_COMPONENTS, Message, Refusal, base};
use crate::auth::signature::key::SigningKey;

/// Signs requests in one way, with one key.
pub struct Signer {
    label: Key,
    key: SigningKey,
    components: Vec<Component>,
    items: Vec<Item>,
    fixed: Vec<(Key, BareItem)>,
    lifetime: Option<Integer>,
}

/// Why a request cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    #[error("a label, key id, tag, nonce or component cannot be written into Signature-Input")]
    Unwritable,
    #[error("the request has nothing to sign there: {}", .0.reason())]
    Request(Refusal),
    #[error("the key cannot sign")]
    Key(#[from] ErrorStack),
}

/// The values of the two fields to append to the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// `Signature-Input`.
    pub input: String,
    /// `Signature`.
    pub signature: String,
}

impl Signer {
    /// Signatures called `label` (lower case letters, digits, `_ - . *`) by `key`, which the receiver knows as
    /// `key_id`, over `components`, at most 32. With a `lifetime` of whole seconds they expire. The algorithm is not
    /// named: the receiver knows it from the key.
    ///
    /// # Errors
    /// When one of the names holds what the field cannot, or there are too many components.
    pub fn new(
        label: &str,
        key: SigningKey,
        key_id: &str,
        components: Vec<Component>,
        tag: Option<&str>,
        lifetime: Option<Duration>,
    ) -> Result<Self, SignError> {
        if components.len() > MAX_COMPONENTS {
            return Err(SignError::Unwritable);
        }
        let items = components.iter().map(Component::to_item).collect::<Option<_>>();
        let mut fixed = vec![(key_ref("keyid").to_owned(), text(key_id)?)];
        if let Some(tag) = tag {
            fixed.push((key_ref("tag").to_owned(), text(tag)?));
        }
        let lifetime = lifetime.map(|lifetime| Integer::try_from(lifetime.as_secs())).transpose();
        Ok(Self {
            label: Key::from_string(label.to_owned()).map_err(|_| SignError::Unwritable)?,
            key,
            components,
            items: items.ok_or(SignError::Unwritable)?,
            fixed,
            lifetime: lifetime.map_err(|_| SignError::Unwritable)?,
        })
    }

    /// Signs `message` as of `created`, in seconds of the Unix time. A `nonce` makes it good for one use.
    ///
    /// # Errors
    /// When the message lacks a component that is to be signed, or has it in a form that cannot be.
    pub fn sign(
        &self,
        message: &Message<'_>,
        created: i64,
        nonce: Option<&str>,
    ) -> Result<Signed, SignError> {
        let mut covered = InnerList::new(self.items.clone());
        covered.params.insert(key_ref("created").to_owned(), time(created)?);
        if let Some(lifetime) = self.lifetime {
            let expires = created.saturating_add(lifetime.into());
            covered.params.insert(key_ref("expires").to_owned(), time(expires)?);
        }
        if let Some(nonce) = nonce {
            covered.params.insert(key_ref("nonce").to_owned(), text(nonce)?);
        }
        covered.params.extend(self.fixed.iter().cloned());
        let input = format!("{}={}", self.label.as_str(), base::member(covered.clone()));
        let base = base::build(message, covered, &self.components).map_err(SignError::Request)?;
        let signature = base::member(self.key.sign(base.as_bytes())?);
        Ok(Signed { input, signature: format!("{}={signature}", self.label.as_str()) })
    }
}

fn time(seconds: i64) -> Result<BareItem, SignError> {
    Integer::try_from(seconds).map(BareItem::from).map_err(|_| SignError::Unwritable)
}

fn text(value: &str) -> Result<BareItem, SignError> {
    StringRef::from_str(value).map(BareItem::from).map_err(|_| SignError::Unwritable)
}
