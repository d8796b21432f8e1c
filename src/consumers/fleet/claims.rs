//! Who of a fleet sends a notice. Each process finds every event; the one that claims it first sends it, and says when it
//! was taken. A claim ends by itself, so that the notice of a process that died is sent by another.

use std::time::Duration;

use super::Fleet;
use crate::outbound::redis::{Failure, cmd};

/// Longer than a try to send takes.
const CLAIMED_FOR: Duration = Duration::from_secs(30);
/// Longer than any process looks back: past the longest time before expiry that is sensible.
const REMEMBERED_FOR: Duration = Duration::from_secs(400 * 86_400);
/// What stands for a notice that was taken. No claimant is called so.
const TAKEN: &str = "taken";

/// Whose a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// This process is to send it now.
    Ours,
    /// Another sends it, or failed a moment ago.
    Theirs,
    /// It was sent, and taken.
    Taken,
}

impl Fleet {
    /// Claims the notice of this id for half a minute.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn claim(&self, notice: &str) -> Result<Claim, Failure> {
        let (key, seconds) = (self.notice(notice), CLAIMED_FOR.as_secs());
        let mut claim = cmd("SET");
        claim.arg(&key).arg(&self.claimant).arg("NX").arg("EX").arg(seconds);
        if self.redis.ask::<Option<String>>(&claim).await?.is_some() {
            return Ok(Claim::Ours);
        }
        match self.redis.ask::<Option<String>>(cmd("GET").arg(&key)).await?.as_deref() {
            Some(TAKEN) => Ok(Claim::Taken),
            Some(claimant) if claimant == self.claimant => {
                self.redis.ask::<()>(cmd("EXPIRE").arg(&key).arg(seconds)).await?;
                Ok(Claim::Ours)
            }
            _ => Ok(Claim::Theirs),
        }
    }

    /// Tells all others that the notice was taken.
    ///
    /// # Errors
    /// When Redis does not answer: then it may be sent once more, by another.
    pub async fn taken(&self, notice: &str) -> Result<(), Failure> {
        let mut taken = cmd("SET");
        taken.arg(self.notice(notice)).arg(TAKEN).arg("EX").arg(REMEMBERED_FOR.as_secs());
        self.redis.ask(&taken).await
    }

    fn notice(&self, id: &str) -> String {
        self.redis.key(&format!("keys:notice:{id}"))
    }
}
