//! One backend: where it is, its share of the traffic, and what is known about how it does.
//!
//! A [`Backend`] belongs to a snapshot. Its [`BackendState`] is found again by upstream and address after a
//! reload, so verdicts, ejections, latencies and requests in flight carry over. All of it is atomic; nothing
//! here locks.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use pingora_core::upstreams::peer::HttpPeer;

use super::ewma::Ewma;

/// Identifies a backend within its upstream, for as long as its state lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BackendId(pub(super) u64);

/// A resolved backend, ready to be connected to.
#[derive(Debug)]
pub struct Backend {
    /// The resolved address, `10.0.0.1:8080` or `unix:/run/app.sock`: label in metrics, name in logs, place
    /// on the ring.
    pub label: Arc<str>,
    /// What a request carries as `Host` when nothing else is known, e.g. `orders.internal:8443`.
    pub authority: Arc<str>,
    /// Its share relative to the others, 1 to 256.
    pub weight: NonZeroU32,
    /// How it does.
    pub state: Arc<BackendState>,
    pub(super) peer: Box<HttpPeer>,
}

impl Backend {
    /// A peer to connect to, with all timeouts and TLS settings. The clone copies about half a kilobyte and
    /// allocates for the SNI alone.
    #[must_use]
    pub fn peer(&self) -> Box<HttpPeer> {
        self.peer.clone()
    }

    /// See [`BackendId`].
    #[must_use]
    pub fn id(&self) -> BackendId {
        self.state.id
    }
}

/// What active checks found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Never checked. Gets requests.
    Unknown,
    /// Passed the last checks. Gets requests.
    Up,
    /// Failed the last checks. Gets none.
    Down,
}

/// What outlives a reload.
#[derive(Debug)]
pub struct BackendState {
    id: BackendId,
    health: AtomicU8,
    /// Checks in a row that contradict the verdict.
    streak: AtomicU32,
    ejected_until_ns: AtomicU64,
    /// Requests in a row that failed.
    failures: AtomicU32,
    in_flight: AtomicU32,
    latency: Ewma,
}

impl BackendState {
    /// A backend of which nothing is known.
    #[must_use]
    pub fn new(id: BackendId) -> Self {
        Self {
            id,
            health: AtomicU8::new(Health::Unknown as u8),
            streak: AtomicU32::new(0),
            ejected_until_ns: AtomicU64::new(0),
            failures: AtomicU32::new(0),
            in_flight: AtomicU32::new(0),
            latency: Ewma::default(),
        }
    }

    /// The verdict of active checks.
    #[must_use]
    pub fn health(&self) -> Health {
        match self.health.load(Ordering::Relaxed) {
            0 => Health::Unknown,
            1 => Health::Up,
            _ => Health::Down,
        }
    }

    /// Whether it is kept out because requests to it failed.
    #[must_use]
    pub fn is_ejected(&self, now_ns: u64) -> bool {
        self.ejected_until_ns.load(Ordering::Relaxed) > now_ns
    }

    /// Requests that were sent and are not finished.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Its latency, decayed to `now_ns`.
    #[must_use]
    pub const fn latency(&self) -> &Ewma {
        &self.latency
    }

    /// Takes the outcome of one active check. Gives the new verdict if requests are routed differently from
    /// now on.
    ///
    /// The first check ever decides at once; later ones need `rise` passes or `fall` failures in a row.
    pub(super) fn checked(&self, passed: bool, rise: NonZeroU32, fall: NonZeroU32) -> Option<Health> {
        let verdict = if passed { Health::Up } else { Health::Down };
        let before = self.health();
        if before == verdict {
            self.streak.store(0, Ordering::Relaxed);
            return None;
        }
        let needed = match (before, passed) {
            (Health::Unknown, _) => 1,
            (_, true) => rise.get(),
            (_, false) => fall.get(),
        };
        if self.streak.fetch_add(1, Ordering::Relaxed).saturating_add(1) < needed {
            return None;
        }
        self.streak.store(0, Ordering::Relaxed);
        self.health.store(verdict as u8, Ordering::Relaxed);
        if passed {
            self.pardon();
        }
        (before == Health::Down || verdict == Health::Down).then_some(verdict)
    }

    pub(super) fn started(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn succeeded(&self) {
        // Reading first keeps the line shared between cores while all is well.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Counts a failure; gives how many there are in a row now.
    pub(super) fn failed(&self) -> u32 {
        self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Keeps it out until the given time. False when another thread did so first.
    pub(super) fn eject(&self, now_ns: u64, until_ns: u64) -> bool {
        let before = self.ejected_until_ns.load(Ordering::Relaxed);
        before <= now_ns
            && self
                .ejected_until_ns
                .compare_exchange(before, until_ns, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// It came back by active checks: what it did before no longer counts.
    fn pardon(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.ejected_until_ns.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: NonZeroU32 = NonZeroU32::new(2).unwrap();
    const THREE: NonZeroU32 = NonZeroU32::new(3).unwrap();

    fn state() -> BackendState {
        BackendState::new(BackendId(1))
    }

    #[test]
    fn the_first_check_decides_at_once() {
        let (good, bad) = (state(), state());
        assert_eq!(good.health(), Health::Unknown);
        assert_eq!(good.checked(true, TWO, THREE), None, "it got requests before and gets them now");
        assert_eq!(good.health(), Health::Up);
        assert_eq!(bad.checked(false, TWO, THREE), Some(Health::Down));
        assert_eq!(bad.health(), Health::Down);
    }

    #[test]
    fn rises_and_falls_after_checks_in_a_row() {
        let state = state();
        state.checked(true, TWO, THREE);
        assert_eq!(state.checked(false, TWO, THREE), None);
        assert_eq!(state.checked(false, TWO, THREE), None);
        assert_eq!(state.checked(true, TWO, THREE), None, "a pass in between starts the count anew");
        assert_eq!(state.checked(false, TWO, THREE), None);
        assert_eq!(state.checked(false, TWO, THREE), None);
        assert_eq!(state.checked(false, TWO, THREE), Some(Health::Down));
        assert_eq!(state.checked(true, TWO, THREE), None);
        assert_eq!(state.checked(true, TWO, THREE), Some(Health::Up));
    }

    #[test]
    fn coming_back_up_ends_an_ejection() {
        let state = state();
        state.checked(false, TWO, THREE);
        assert_eq!(state.failed(), 1);
        assert!(state.eject(10, 100));
        state.checked(true, TWO, THREE);
        assert!(state.is_ejected(50));
        state.checked(true, TWO, THREE);
        assert!(!state.is_ejected(50));
        assert_eq!(state.failed(), 1);
    }

    #[test]
    fn is_ejected_once_at_a_time() {
        let state = state();
        assert!(state.eject(10, 100));
        assert!(!state.eject(20, 120), "it is out already");
        assert!(state.is_ejected(99));
        assert!(!state.is_ejected(100));
        assert!(state.eject(100, 200));
    }
}
