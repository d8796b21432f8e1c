//! Nonces for proofs (RFC 9449 section 8) that need no memory: the time they were given out at, and a MAC over it. All
//! workers, and all instances that share the secret, know each other's.

use boring::error::ErrorStack;
use boring::hash::hmac_sha256;

use super::base64url;
use super::fault::Fault;
use super::signature::is_same;

const MAC_BYTES: usize = 16;

/// Gives out nonces and knows them again.
pub struct Nonces {
    secret: [u8; 32],
    lifetime: u64,
}

/// What to do with a nonce that is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Nothing.
    Fresh,
    /// Send a new one with the response: half of its lifetime is over, and the client's next proof may come too late.
    Ageing,
}

impl Nonces {
    /// Nonces that are good for `lifetime` seconds. The secret must be random, and known to nobody else.
    #[must_use]
    pub const fn new(secret: [u8; 32], lifetime: u64) -> Self {
        Self { secret, lifetime }
    }

    /// A nonce given out at `now`, in seconds since 1970: 32 letters.
    ///
    /// # Errors
    /// When there is no memory for a MAC.
    pub fn issue(&self, now: u64) -> Result<String, ErrorStack> {
        let time = now.to_be_bytes();
        Ok(base64url::encode(&[&time[..], &self.mac(time)?].concat()))
    }

    /// Whether a nonce is one of ours and still good at `now`.
    ///
    /// # Errors
    /// [`Fault::ProofNonce`] and [`Fault::ProofNonceStale`].
    pub fn check(&self, nonce: &str, now: u64) -> Result<Freshness, Fault> {
        let bytes: [u8; 8 + MAC_BYTES] =
            base64url::decode_array(nonce.as_bytes()).map_err(|_| Fault::ProofNonce)?;
        let (time, mac) = bytes.split_first_chunk().ok_or(Fault::ProofNonce)?;
        let expected = self.mac(*time).map_err(|_| Fault::ProofNonce)?;
        if !is_same(&expected, mac) {
            return Err(Fault::ProofNonce);
        }
        // One from the future was given out before the clock was set back, or by an instance whose clock is ahead.
        match now.saturating_sub(u64::from_be_bytes(*time)) {
            age if age > self.lifetime => Err(Fault::ProofNonceStale),
            age if age > self.lifetime / 2 => Ok(Freshness::Ageing),
            _ => Ok(Freshness::Fresh),
        }
    }

    /// The label keeps a MAC made here from meaning something elsewhere, should the secret serve there too.
    fn mac(&self, time: [u8; 8]) -> Result<[u8; MAC_BYTES], ErrorStack> {
        let mac = hmac_sha256(&self.secret, &[&b"edgeward dpop nonce"[..], &time].concat())?;
        Ok(mac.first_chunk().copied().unwrap_or_default())
    }
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Nonces").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_own_for_their_lifetime() {
        let nonces = Nonces::new([7; 32], 60);
        let nonce = nonces.issue(1000).unwrap();
        assert_eq!(nonce.len(), 32);
        assert_eq!(nonces.check(&nonce, 1000), Ok(Freshness::Fresh));
        assert_eq!(nonces.check(&nonce, 1030), Ok(Freshness::Fresh));
        assert_eq!(nonces.check(&nonce, 1031), Ok(Freshness::Ageing));
        assert_eq!(nonces.check(&nonce, 1060), Ok(Freshness::Ageing));
        assert_eq!(nonces.check(&nonce, 1061), Err(Fault::ProofNonceStale));
        assert_eq!(nonces.check(&nonce, 990), Ok(Freshness::Fresh));
    }

    #[test]
    fn refuses_what_it_did_not_give_out() {
        let nonces = Nonces::new([7; 32], 60);
        let nonce = nonces.issue(1000).unwrap();
        assert_eq!(Nonces::new([8; 32], 60).check(&nonce, 1000), Err(Fault::ProofNonce));
        for place in 0..nonce.len() {
            let mut other = nonce.clone().into_bytes();
            other[place] = if other[place] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            assert_eq!(nonces.check(&other, 1000), Err(Fault::ProofNonce), "at {place}");
        }
        for text in ["", "A", &nonce[1..], &format!("{nonce}A"), &format!("{nonce}=")] {
            assert_eq!(nonces.check(text, 1000), Err(Fault::ProofNonce), "{text}");
        }
    }
}
