//! Proofs that were seen: each is good once (RFC 9449 section 11.1), for as long as its `iat` would let it pass again
//! anywhere.
//!
//! Only proofs of clients whose token was verified come here, and each client's fill a part of their own. Outlives
//! reloads.

use std::num::NonZeroUsize;

use super::dpop::{Proof, ProofRules};
use super::fault::Fault;
use crate::auth::replay::{Novelty, Seen, Spent};

/// The memory for proofs.
#[derive(Debug)]
pub struct Replays(Seen);

impl Replays {
    /// Room for so many proofs that are good at the same time, as [`Seen::new`].
    #[must_use]
    pub fn new(max_proofs: usize) -> Self {
        Self(Seen::new(NonZeroUsize::new(max_proofs).unwrap_or(NonZeroUsize::MIN)))
    }

    /// Says that there is somebody who takes proofs by these rules.
    pub fn serve(&self, rules: &ProofRules) {
        self.0.accept_for(seconds(rules.max_age.saturating_add(rules.leeway)));
    }

    /// Admits a proof for the first time it is seen, at `now` in seconds since 1970, and whenever the request that it was
    /// admitted for shows it.
    ///
    /// # Errors
    /// [`Fault::ProofReplayed`], and [`Fault::ReplaysFull`] when it cannot be remembered.
    pub fn admit(&self, proof: &Proof, now: u64, spent: &mut Spent) -> Result<(), Fault> {
        let (made, now) = (seconds(proof.issued_at), seconds(now));
        match self.0.remember(proof.key.as_bytes(), &proof.name, made, now, spent) {
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

fn seconds(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::jose::nonce::Freshness;
    use crate::auth::jose::thumbprint::Thumbprint;

    fn proof(key: u32, id: u32, issued_at: u64) -> Proof {
        let key = Thumbprint::of(&key.to_be_bytes());
        let name = *Thumbprint::of(&id.to_be_bytes()).as_bytes().first_chunk().unwrap();
        Proof { key, name, issued_at, nonce: Freshness::Fresh }
    }

    fn replays(max_proofs: usize) -> Replays {
        let replays = Replays::new(max_proofs);
        replays.serve(&ProofRules { max_age: 60, leeway: 0, ..ProofRules::default() });
        replays
    }

    fn admit(replays: &Replays, proof: &Proof, now: u64) -> Result<(), Fault> {
        replays.admit(proof, now, &mut Spent::default())
    }

    #[test]
    fn admits_a_proof_once_for_as_long_as_it_is_good() {
        let replays = replays(640);
        assert_eq!(admit(&replays, &proof(1, 1, 40), 40), Ok(()));
        assert_eq!(admit(&replays, &proof(1, 1, 40), 100), Err(Fault::ProofReplayed));
        assert_eq!(admit(&replays, &proof(2, 1, 40), 40), Ok(()));
        assert_eq!(admit(&replays, &proof(1, 1, 140), 101), Ok(()));
    }

    #[test]
    fn a_proof_is_remembered_for_as_long_as_anybody_takes_it() {
        let replays = replays(640);
        let long = ProofRules { max_age: 600, leeway: 5, ..ProofRules::default() };
        replays.serve(&long);
        replays.serve(&ProofRules::default());
        assert_eq!(admit(&replays, &proof(1, 1, 1000), 1000), Ok(()));
        for now in [1061, 1066, 1605] {
            assert_eq!(admit(&replays, &proof(1, 1, 1000), now), Err(Fault::ProofReplayed), "{now}");
        }
    }

    #[test]
    fn refuses_rather_than_forgets_when_there_is_no_room() {
        let replays = replays(1);
        assert_eq!(admit(&replays, &proof(1, 1, 40), 40), Ok(()));
        assert_eq!(admit(&replays, &proof(1, 2, 40), 40), Err(Fault::ReplaysFull));
        assert_eq!(admit(&replays, &proof(1, 1, 40), 40), Err(Fault::ProofReplayed));
        assert_eq!(replays.proofs(), 1);
    }
}
