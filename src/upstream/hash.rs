//! What `consistent_hash` hashes, and how. The hash is the same in every process and version, so that several
//! proxies in front of the same backends send a key to the same one.

use std::net::IpAddr;
use std::sync::Arc;

use crate::expr::fields::Name;
use crate::expr::policy::Expression;
use crate::expr::{Scalar, Values};

/// The part of a request whose value decides the backend.
#[derive(Debug, Clone)]
pub struct HashKey(Arc<Expression>);

impl HashKey {
    /// The value of this expression.
    #[must_use]
    pub fn new(expression: Expression) -> Self {
        Self(Arc::new(expression))
    }

    /// The expression.
    #[must_use]
    pub fn expression(&self) -> &Expression {
        &self.0
    }

    /// The hash of what it is in this request; `None` where it is missing.
    pub fn hash(&self, values: &impl Values<Field = Name>) -> Option<u64> {
        Some(match self.0.evaluate(values).ok()? {
            Scalar::Ip(address) => match address.ip() {
                IpAddr::V4(ip) => key_hash(&ip.octets()),
                IpAddr::V6(ip) => key_hash(&ip.octets()),
            },
            value => key_hash(&value.into_text()?),
        })
    }
}

impl PartialEq for HashKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.source() == other.0.source()
    }
}

impl Eq for HashKey {}

/// Hashes a key for [`Upstream::pick`](super::Upstream::pick): FNV-1a of 64 bits, then the finaliser of
/// MurmurHash3, because FNV alone leaves the high bits of short keys close together. It resists no attacker:
/// who chooses the key chooses the backend, and that is what consistent hashing promises.
#[must_use]
pub fn key_hash(key: &[u8]) -> u64 {
    let hash = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_changes_between_versions() {
        assert_eq!(key_hash(b""), 0xefd0_1f60_ba99_2926);
        assert_ne!(key_hash(b"10.0.0.1"), key_hash(b"10.0.0.2"));
    }

    #[test]
    fn spreads_similar_keys_over_the_high_bits() {
        let mut buckets = [0_u32; 16];
        for number in 0..16_000 {
            let hash = key_hash(format!("10.0.0.{number}").as_bytes());
            buckets[usize::try_from(hash >> 60).unwrap()] += 1;
        }
        assert!(buckets.iter().all(|count| (850..1150).contains(count)), "{buckets:?}");
    }
}
