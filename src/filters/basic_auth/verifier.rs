//! Runs checks that are slow on purpose, and remembers how they ended.
//!
//! Hashing a password takes a core for tens of milliseconds and up to 256 MiB. So checks run off the request threads, a
//! few at a time for the whole process, with a short queue; beyond it callers hear [`Outcome::Busy`] at once. Outcomes
//! are remembered for a while under a digest that tells nothing without this process's key: what is kept is never a
//! password, nor anything a password could be guessed from.
//!
//! Remembering refusals is safe, since a check is a pure function of what the digest covers: the same name, password
//! and stored hash fail again. They have a memory of their own, so that guesses push no success out.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;

use boring::error::ErrorStack;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::task;

const SECOND_NS: u64 = 1_000_000_000;
const ACCEPTED_FOR_NS: u64 = 300 * SECOND_NS;
const REFUSED_FOR_NS: u64 = 5 * SECOND_NS;
/// Outcomes of each kind that are remembered at most; each takes about 60 bytes.
const MOST_REMEMBERED: usize = 10_000;
/// Checks that may wait for their turn.
const MOST_WAITING: usize = 64;

/// There is one set of cores and one memory to protect, and a reload must not forget who was let in: this belongs to
/// the process, like the pool of threads it guards.
static PROCESS: LazyLock<Result<Arc<Verifier>, ErrorStack>> = LazyLock::new(|| {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    // Half of the cores are left to requests that need no check.
    let running = (cores / 2).clamp(1, 8);
    Ok(Arc::new(Verifier::new(running, MOST_WAITING, random_key()?)))
});

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The password is right.
    Accepted,
    /// It is not, or the user is unknown.
    Refused,
    /// Too many checks are under way to begin another.
    Busy,
}

/// Stands for what one check is about, without revealing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket([u8; 32]);

/// A queue of checks and a memory of their outcomes.
pub struct Verifier {
    key: [u8; 32],
    /// One permit for each check that runs or waits.
    places: Arc<Semaphore>,
    /// One permit for each check that runs.
    running: Arc<Semaphore>,
    memory: Mutex<Memory>,
}

impl Verifier {
    /// The one of this process.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn of_process() -> Result<Arc<Self>, ErrorStack> {
        PROCESS.clone()
    }

    /// Runs at most `running` checks at a time while `waiting` others wait.
    pub fn new(running: usize, waiting: usize, key: [u8; 32]) -> Self {
        Self {
            key,
            places: Arc::new(Semaphore::new(running.saturating_add(waiting).min(Semaphore::MAX_PERMITS))),
            running: Arc::new(Semaphore::new(running.min(Semaphore::MAX_PERMITS))),
            memory: Mutex::new(Memory::default()),
        }
    }

    /// The ticket for a check that depends on these parts and on nothing else. The key stands first and digests are
    /// shown to nobody, so nothing can be appended to them; lengths keep the parts apart.
    pub fn ticket(&self, parts: &[&str]) -> Ticket {
        let mut digest = Sha256::new_with_prefix(self.key);
        for part in parts {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        Ticket(digest.finalize().into())
    }

    /// How the same check ended not long ago, if it did. `now_ns` is the time of the request.
    pub fn remembered(&self, ticket: &Ticket, now_ns: u64) -> Option<Outcome> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.accepted.holds(ticket, now_ns) {
            return Some(Outcome::Accepted);
        }
        memory.refused.holds(ticket, now_ns).then_some(Outcome::Refused)
    }

    /// Runs a check when its turn comes. It runs to its end even when nobody waits any longer, and takes its place
    /// until then, so that clients who hang up cannot start more than they could by waiting.
    pub async fn check(
        self: Arc<Self>,
        ticket: Ticket,
        now_ns: u64,
        check: impl FnOnce() -> bool + Send + 'static,
    ) -> Outcome {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return Outcome::Busy };
        let Ok(turn) = Arc::clone(&self.running).acquire_owned().await else { return Outcome::Busy };
        // Another request with the same password may have been first.
        if let Some(outcome) = self.remembered(&ticket, now_ns) {
            return outcome;
        }
        let ran = task::spawn_blocking(move || {
            let outcome = if check() { Outcome::Accepted } else { Outcome::Refused };
            self.remember(ticket, outcome, now_ns);
            drop((turn, place));
            outcome
        });
        ran.await.unwrap_or(Outcome::Busy)
    }

    fn remember(&self, ticket: Ticket, outcome: Outcome, now_ns: u64) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Outcome::Accepted => memory.accepted.insert(ticket, now_ns.saturating_add(ACCEPTED_FOR_NS)),
            Outcome::Refused => memory.refused.insert(ticket, now_ns.saturating_add(REFUSED_FOR_NS)),
            Outcome::Busy => {}
        }
    }
}

impl Ticket {
    /// A number that follows from the ticket.
    pub fn number(&self) -> usize {
        self.0.iter().take(size_of::<usize>()).fold(0, |number, byte| (number << 8) | usize::from(*byte))
    }
}

#[derive(Default)]
struct Memory {
    accepted: Generations,
    refused: Generations,
}

/// A map of tickets to the time they are valid until, in two halves: when the young one is full, the old one is
/// forgotten and the young one grows old. What is asked for stays young.
#[derive(Default)]
struct Generations {
    young: HashMap<Ticket, u64>,
    old: HashMap<Ticket, u64>,
}

impl Generations {
    fn holds(&mut self, ticket: &Ticket, now_ns: u64) -> bool {
        if let Some(until) = self.young.get(ticket) {
            return now_ns < *until;
        }
        let Some(until) = self.old.remove(ticket).filter(|until| now_ns < *until) else { return false };
        self.insert(*ticket, until);
        true
    }

    fn insert(&mut self, ticket: Ticket, until_ns: u64) {
        if self.young.len() >= MOST_REMEMBERED / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(ticket, until_ns);
    }
}

fn random_key() -> Result<[u8; 32], ErrorStack> {
    let mut key = [0; 32];
    boring::rand::rand_bytes(&mut key)?;
    Ok(key)
}

#[cfg(test)]
mod tests;
