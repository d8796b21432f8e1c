//! Tokens whose signature was good, remembered until they expire, so that the next request with the same token costs a
//! hash and not a signature.
//!
//! What always holds: a token is remembered under the SHA-256 of its whole text, so a hit is the very same token; what
//! is remembered is that a key signed it, and whoever recalls it asks the key set and the rules anew; nothing is
//! remembered of tokens that were refused, so strangers cannot fill the memory.
//!
//! **Memory** is bounded by tokens and by bytes. When it is full, the hand of a clock passes over a part of the tokens
//! and takes the first that was not used since it last came by.
//!
//! Outlives reloads. Sixty-four parts, each behind a lock that is held for well under a microsecond.

mod shard;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::shard::Shard;
use super::thumbprint::Thumbprint;
use super::verify::Verified;

const SHARDS: usize = 64;

/// The memory for verified tokens.
#[derive(Debug)]
pub struct Remembered {
    shards: Box<[Mutex<Shard>]>,
}

/// How the memory fares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Tokens that are remembered now.
    pub tokens: u64,
    /// What they take, in bytes, as far as it is counted.
    pub bytes: u64,
    /// Tokens found, since the start.
    pub hits: u64,
    /// Tokens not found, since the start.
    pub misses: u64,
    /// Tokens that made room for others before they expired, since the start.
    pub evictions: u64,
}

impl Remembered {
    /// Room for so many tokens and bytes, rounded down to a multiple of 64, at least one token in each part.
    #[must_use]
    pub fn new(max_tokens: usize, max_bytes: usize) -> Self {
        let shard = |_| Mutex::new(Shard::new((max_tokens / SHARDS).max(1), max_bytes / SHARDS));
        Self { shards: (0..SHARDS).map(shard).collect() }
    }

    /// The token of this text, if it is remembered and `now`, in seconds since 1970, is not past its end.
    #[must_use]
    pub fn recall(&self, text: &Thumbprint, now: u64) -> Option<Arc<Verified>> {
        self.shard(text).recall(text, now)
    }

    /// Remembers a token until `leeway` seconds after it expires. One without an expiry is not remembered.
    pub fn remember(&self, token: &Arc<Verified>, leeway: u64, now: u64) {
        let Some(expires) = token.claims.expires() else { return };
        self.shard(&token.text).remember(token, expires.saturating_add(leeway), now);
    }

    /// Forgets a token.
    pub fn forget(&self, text: &Thumbprint) {
        self.shard(text).forget(text);
    }

    /// How the memory fares. Locks every part in turn: for metrics, not for requests.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shards.iter().fold(Stats::default(), |total, shard| {
            let part = shard.lock().unwrap_or_else(PoisonError::into_inner).stats();
            Stats {
                tokens: total.tokens + part.tokens,
                bytes: total.bytes + part.bytes,
                hits: total.hits + part.hits,
                misses: total.misses + part.misses,
                evictions: total.evictions + part.evictions,
            }
        })
    }

    /// Whoever could choose a part could sign tokens at will.
    #[allow(clippy::indexing_slicing, reason = "the remainder is below the number of shards")]
    fn shard(&self, text: &Thumbprint) -> MutexGuard<'_, Shard> {
        let first = text.as_bytes().first().copied().unwrap_or_default();
        self.shards[usize::from(first) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
