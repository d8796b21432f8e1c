//! HTTP message signatures (RFC 9421): requests verified against a [`Policy`].
//!
//! What always holds:
//! * A signature counts only if it covers what the policy requires, is young enough, and was made by a key that the
//!   caller knows, with that key's own algorithm.
//! * The signature base is built from what was parsed, so no two readings of `Signature-Input` can exist. What cannot
//!   be built exactly is refused: unknown components and parameters, fields that are not there, values that are not
//!   ASCII.
//! * The work for one request is bounded before anything is authenticated: by the bytes read, by the components, and by
//!   the signatures tried.
//!
//! Not supported, and refused where a signature covers it: trailers (`tr`), as they come after the decision, and parts
//! of another request (`req`, which RFC 9421 §2.4 forbids in requests).

mod base;
mod component;
mod parameters;
mod policy;
mod query;
#[cfg(test)]
mod sign;

use http::HeaderMap;

pub use component::{Component, Form, UnknownComponent};
pub use policy::{Policy, Signatory, Verified};
#[cfg(test)]
pub use sign::{SignError, Signed, Signer};

use crate::http::structured::Limits;

/// What `Signature-Input` and `Signature` may each have.
const FIELD: Limits = Limits { bytes: 4 * 1024, parts: 192 };
/// One signature may cover this many components.
const MAX_COMPONENTS: usize = 32;
/// Bytes that may be read to build a base and written into it, together. What has to be parsed costs eight times as
/// much.
const MAX_BASE_BYTES: usize = 32 * 1024;
/// After so many tries, of a signature by a known key each, no further one is looked at; those of other tags do not count.
const MAX_TRIED: usize = 4;
/// Longest `keyid`, `nonce` and `tag`.
const MAX_PARAMETER_BYTES: usize = 256;

/// A request as its client sent it, before anything rewrote it: what a signature covers is what the signer saw.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    pub method: &'a str,
    /// `https` or `http`.
    pub scheme: &'a str,
    /// Host and port, as in `Host` or `:authority`.
    pub authority: &'a str,
    /// With its escapes as they came. Empty is the same as `/`.
    pub path: &'a str,
    /// What came after the first `?`; `None` without a `?`.
    pub query: Option<&'a str>,
    pub fields: &'a HeaderMap,
    /// Whether a body comes with it: its length is not zero, or not known.
    pub has_body: bool,
}

/// Why no signature of a request counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no signature.
    Missing,
    /// The fields that carry it cannot be read, or do not fit together.
    Malformed,
    /// It, or what it covers, is larger than the limits allow.
    TooLarge,
    /// It has another `tag` than the policy demands.
    WrongTag,
    /// Its key is not known.
    UnknownKey,
    /// It names another algorithm than its key's.
    WrongAlgorithm,
    /// It does not say when it was made.
    CreatedMissing,
    /// It was made in the future.
    CreatedInFuture,
    /// It was made too long ago.
    TooOld,
    /// It says that it has expired.
    Expired,
    /// It has no nonce, and the policy demands one.
    NonceMissing,
    /// It covers a component that is unknown, or known with other parameters.
    UnsupportedComponent,
    /// It covers a component twice.
    DuplicateComponent,
    /// It covers something that the request does not have.
    AbsentComponent,
    /// It covers something whose value cannot be signed.
    MalformedComponent,
    /// It does not cover what the policy requires.
    Uncovered,
    /// It is not a signature of this request by this key.
    Invalid,
    /// Its nonce was used before.
    Replayed,
    /// Nonces cannot be remembered, so none is accepted: the fault is ours.
    ReplayStoreFull,
}

impl Refusal {
    /// The stable reason for metrics and logs.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing => "signature_missing",
            Self::Malformed => "signature_malformed",
            Self::TooLarge => "signature_too_large",
            Self::WrongTag => "signature_wrong_tag",
            Self::UnknownKey => "signature_unknown_key",
            Self::WrongAlgorithm => "signature_wrong_algorithm",
            Self::CreatedMissing => "signature_created_missing",
            Self::CreatedInFuture => "signature_created_in_future",
            Self::TooOld => "signature_too_old",
            Self::Expired => "signature_expired",
            Self::NonceMissing => "signature_nonce_missing",
            Self::UnsupportedComponent => "signature_unsupported_component",
            Self::DuplicateComponent => "signature_duplicate_component",
            Self::AbsentComponent => "signature_absent_component",
            Self::MalformedComponent => "signature_malformed_component",
            Self::Uncovered => "signature_uncovered",
            Self::Invalid => "signature_invalid",
            Self::Replayed => "signature_replayed",
            Self::ReplayStoreFull => "signature_replay_store_full",
        }
    }
}

#[cfg(test)]
mod tests;
