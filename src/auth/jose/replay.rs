//! Proofs that were seen: each is good once (RFC 9449 section 11.1), for as long as its `iat` would let it pass again.
//!
//! What always holds: a proof that was admitted is not admitted again; memory is bounded. When there is no room, proofs
//! are refused: forgetting one that is still good would admit it twice.
//!
//! **Floods.** Only proofs of clients whose token was verified come here. Each key's proofs go into one part of 64, chosen
//! by a random key of the process, and fill no other. So a client that floods us shuts out itself, and those few that
//! share its part, for at most the lifetime of a proof.
//!
//! Outlives reloads.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use super::dpop::Proof;
use super::fault::Fault;

const SHARDS: usize = 64;

/// The memory for proofs.
#[derive(Debug)]
pub struct Replays {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
}

/// Half of a SHA-256 value: who finds two proofs that meet has made his own second one useless.
type Name = [u8; 16];

#[derive(Debug)]
struct Shard {
    seen: HashSet<Name>,
    /// Each with the second it is good until, in the order they came.
    order: VecDeque<(u64, Name)>,
    capacity: usize,
}

impl Replays {
    /// Room for so many proofs that are good at the same time, rounded down to a multiple of 64 but at least one in each
    /// part; up to about 80 bytes each.
    #[must_use]
    pub fn new(max_proofs: usize) -> Self {
        let capacity = (max_proofs / SHARDS).max(1);
        let shard = |_| Mutex::new(Shard { seen: HashSet::new(), order: VecDeque::new(), capacity });
        Self { shards: (0..SHARDS).map(shard).collect(), hasher: RandomState::new() }
    }

    /// Admits a proof for the first time it is seen, at `now` in seconds since 1970.
    ///
    /// # Errors
    /// [`Fault::ProofReplayed`], and [`Fault::ReplaysFull`] when it cannot be remembered.
    #[allow(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "the remainder is below the number of shards"
    )]
    pub fn admit(&self, proof: &Proof, now: u64) -> Result<(), Fault> {
        let shard = self.hasher.hash_one(proof.key.as_bytes()) as usize % SHARDS;
        let mut shard = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        shard.admit(proof.name, proof.until, now)
    }

    /// Proofs remembered now. Locks every part in turn: for metrics, not for requests.
    #[must_use]
    pub fn proofs(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).order.len()).sum()
    }
}

impl Shard {
    fn admit(&mut self, name: Name, until: u64, now: u64) -> Result<(), Fault> {
        // One that is good for longer may stand before others; those then stay a little longer than they must.
        while let Some((until, over)) = self.order.front()
            && *until < now
        {
            self.seen.remove(over);
            self.order.pop_front();
        }
        if self.seen.contains(&name) {
            return Err(Fault::ProofReplayed);
        }
        if self.order.len() >= self.capacity {
            return Err(Fault::ReplaysFull);
        }
        self.seen.insert(name);
        self.order.push_back((until, name));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::jose::nonce::Freshness;
    use crate::auth::jose::thumbprint::Thumbprint;

    fn proof(key: u32, id: u32, until: u64) -> Proof {
        let key = Thumbprint::of(&key.to_be_bytes());
        let name = *Thumbprint::of(&id.to_be_bytes()).as_bytes().first_chunk().unwrap();
        Proof { key, name, until, nonce: Freshness::Fresh }
    }

    #[test]
    fn admits_a_proof_once_for_as_long_as_it_is_good() {
        let replays = Replays::new(640);
        assert_eq!(replays.admit(&proof(1, 1, 100), 40), Ok(()));
        assert_eq!(replays.admit(&proof(1, 1, 100), 40), Err(Fault::ProofReplayed));
        assert_eq!(replays.admit(&proof(1, 1, 100), 100), Err(Fault::ProofReplayed));
        assert_eq!(replays.admit(&proof(1, 2, 100), 40), Ok(()));
        assert_eq!(replays.proofs(), 2);
        assert_eq!(replays.admit(&proof(1, 3, 200), 101), Ok(()));
        assert_eq!(replays.proofs(), 1, "those that are over make room");
    }

    #[test]
    fn refuses_rather_than_forgets_when_there_is_no_room() {
        let replays = Replays::new(128);
        assert_eq!(replays.admit(&proof(1, 1, 100), 40), Ok(()));
        assert_eq!(replays.admit(&proof(1, 2, 100), 40), Ok(()));
        assert_eq!(replays.admit(&proof(1, 3, 100), 40), Err(Fault::ReplaysFull));
        assert_eq!(replays.admit(&proof(1, 1, 100), 40), Err(Fault::ProofReplayed));
        assert_eq!(replays.admit(&proof(1, 3, 170), 101), Ok(()));
    }

    #[test]
    fn a_client_that_floods_shuts_out_few_others() {
        let replays = Replays::new(64 * 16);
        let flood = (0..10_000).filter(|id| replays.admit(&proof(0, *id, 100), 40).is_ok()).count();
        assert_eq!(flood, 16);
        let shut_out =
            (1..=1000).filter(|key| replays.admit(&proof(*key, 50_000 + key, 100), 40).is_err()).count();
        assert!(shut_out < 120, "{shut_out} of 1000");
    }
}
