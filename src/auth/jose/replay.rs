//! Proofs that were seen: each is good once (RFC 9449 section 11.1), for as long as its `iat` would let it pass again.
//!
//! Only proofs of clients whose token was verified come here, and each client's fill a part of their own. Outlives
//! reloads.

use std::num::NonZeroUsize;

use super::dpop::Proof;
use super::fault::Fault;
use crate::auth::replay::{Novelty, Seen};

/// The memory for proofs.
#[derive(Debug)]
pub struct Replays(Seen);

impl Replays {
    /// Room for so many proofs that are good at the same time, as [`Seen::new`].
    #[must_use]
    pub fn new(max_proofs: usize) -> Self {
        Self(Seen::new(NonZeroUsize::new(max_proofs).unwrap_or(NonZeroUsize::MIN)))
    }

    /// Admits a proof for the first time it is seen, at `now` in seconds since 1970.
    ///
    /// # Errors
    /// [`Fault::ProofReplayed`], and [`Fault::ReplaysFull`] when it cannot be remembered.
    pub fn admit(&self, proof: &Proof, now: u64) -> Result<(), Fault> {
        let seconds = |time: u64| i64::try_from(time).unwrap_or(i64::MAX);
        match self.0.remember(proof.key.as_bytes(), &proof.name, seconds(proof.until), seconds(now)) {
            Novelty::Fresh => Ok(()),
            Novelty::Seen => Err(Fault::ProofReplayed),
            Novelty::Full => Err(Fault::ReplaysFull),
        }
    }

    /// Proofs remembered now. Locks every part in turn: for metrics, not for requests.
    #[must_use]
    pub fn proofs(&self) -> usize {
        self.0.len()
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
        assert_eq!(replays.admit(&proof(1, 1, 100), 100), Err(Fault::ProofReplayed));
        assert_eq!(replays.admit(&proof(2, 1, 100), 40), Ok(()));
        assert_eq!(replays.admit(&proof(1, 1, 200), 101), Ok(()));
    }

    #[test]
    fn refuses_rather_than_forgets_when_there_is_no_room() {
        let replays = Replays::new(1);
        assert_eq!(replays.admit(&proof(1, 1, 100), 40), Ok(()));
        assert_eq!(replays.admit(&proof(1, 2, 100), 40), Err(Fault::ReplaysFull));
        assert_eq!(replays.admit(&proof(1, 1, 100), 40), Err(Fault::ProofReplayed));
        assert_eq!(replays.proofs(), 1);
    }
}
