//! What of tokens and issuers outlives a reload. The server owns one for its whole life.

use std::sync::Arc;

use boring::error::ErrorStack;

use super::answers::Answers;
use super::issuer::Published;
use super::jose::{Remembered, Replays};
use super::keyset::Keyring;
use super::oidc::Sessions;
use crate::state::Clock;

/// Verified tokens of all issuers.
const TOKENS: usize = 1 << 16;
const TOKEN_BYTES: usize = 64 << 20;
/// Proofs of possession: at 65 seconds each, one client may send 250 a second, all together sixty times as many.
const PROOFS: usize = 1 << 20;

/// What is known of tokens and issuers.
pub struct Memory {
    /// The keys of issuers.
    pub keyring: Keyring<Published>,
    /// Tokens whose signature was good.
    pub tokens: Remembered,
    /// Proofs of possession that were seen.
    pub proofs: Replays,
    /// Sessions of people who logged in.
    pub sessions: Arc<Sessions>,
    /// What nonces are made with where the policy names no secret for them.
    pub nonce_secret: [u8; 32],
    /// What others said about callers.
    pub answers: Arc<Answers>,
}

impl Memory {
    /// With nothing known.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new(clock: Clock) -> Result<Self, ErrorStack> {
        let mut nonce_secret = [0; 32];
        boring::rand::rand_bytes(&mut nonce_secret)?;
        Ok(Self {
            sessions: Arc::new(Sessions::new(clock.clone())),
            keyring: Keyring::new(clock),
            tokens: Remembered::new(TOKENS, TOKEN_BYTES),
            proofs: Replays::new(PROOFS),
            nonce_secret,
            answers: Arc::default(),
        })
    }
}
