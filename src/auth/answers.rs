//! What others said about callers, remembered for the whole process: filters of one policy and the next find the same.
//!
//! Always holds: a key is the digest of everything that the answer depends on, the asking filter's settings among it, so
//! that filters share what is the same and nothing else.

use super::forward::Shared;
use super::jose::Thumbprint;
use super::oauth::exchange::Given;
use super::oauth::introspection::Worth;
use crate::state::Flights;

/// Answers of each kind, at most.
const MAX_ANSWERS: usize = 1 << 16;
/// Bytes that answers of each kind take, at most.
const MAX_BYTES: usize = 64 << 20;

/// Questions to others that are under way, and their answers. Outlives reloads.
pub struct Answers {
    /// Whether requests may pass (`forward_auth`).
    pub verdicts: Flights<Thumbprint, Shared>,
    /// What tokens are worth (`oauth2_introspection`).
    pub introspected: Flights<Thumbprint, Worth>,
    /// Tokens for upstreams (`token_exchange`).
    pub given: Flights<Thumbprint, Given>,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            verdicts: Flights::new(MAX_ANSWERS, MAX_BYTES),
            introspected: Flights::new(MAX_ANSWERS, MAX_BYTES),
            given: Flights::new(MAX_ANSWERS, MAX_BYTES),
        }
    }
}

/// The digest of a question that has these parts. Lengths keep them apart.
#[must_use]
pub fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Thumbprint {
    let mut question = Vec::with_capacity(512);
    for part in parts {
        question.extend_from_slice(&(part.len() as u64).to_le_bytes());
        question.extend_from_slice(part);
    }
    Thumbprint::of(&question)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_kept_apart() {
        let of = |parts: &[&str]| digest(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
        for other in [&["ab"][..], &["a", "b", ""], &["", "a", "b"], &["b", "a"], &["a"]] {
            assert_ne!(of(other), of(&["a", "b"]), "{other:?}");
        }
    }
}
