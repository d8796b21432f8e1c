//! What a process remembers of sessions beside what browsers keep: which are being renewed, what came of it, and which
//! were ended.
//!
//! A refresh token is often good once (RFC 9700 §4.14.2): used twice, the issuer takes it for stolen and ends everything.
//! So of all requests that find a session due, one asks, the others wait for its answer, and those that come with the old
//! cookie later get the new session from here. A session that was logged out of is refused here though a copy of its
//! cookie may still open.
//!
//! Bounded: 16,384 sessions, for ten minutes each, those logged out of for as long as they would have lived. When there
//! is no room one is forgotten; a renewal is forgotten only when it is done. Nothing of it is told to other processes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::session::Session;
use crate::state::Clock;

/// Sessions that are remembered.
const MOST: usize = 16_384;
/// How long a renewed session is kept for requests that come with the old one.
const KEPT: Duration = Duration::from_secs(600);
/// How long a renewal may take before it counts as lost.
const LOST: Duration = Duration::from_secs(30);
/// How long the issuer is left alone after it did not answer.
const COOLDOWN: Duration = Duration::from_secs(5);
/// How often forgotten ones are looked for when there is no room.
const SWEEP: Duration = Duration::from_secs(1);

/// What a process remembers of sessions.
pub struct Sessions {
    clock: Clock,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    entries: HashMap<Box<str>, Entry>,
    swept_ns: u64,
}

struct Entry {
    what: What,
    until_ns: u64,
}

enum What {
    Renewing {
        generation: u32,
        told: watch::Receiver<Option<Renewal>>,
    },
    Renewed(Arc<Session>),
    /// The issuer did not answer when this generation was to be renewed.
    Failed {
        generation: u32,
    },
    Ended,
}

/// What came of a renewal.
#[derive(Debug, Clone)]
pub enum Renewal {
    /// This session takes the other's place.
    Renewed(Arc<Session>),
    /// The issuer says no: the session is over.
    Refused,
    /// The issuer does not answer.
    Unavailable,
}

/// What is known of a session that a browser shows.
#[derive(Debug, Clone)]
pub(super) enum Known {
    /// Nothing that it does not say itself.
    Nothing,
    /// It was renewed, and the browser does not know yet.
    Newer(Arc<Session>),
    /// It was logged out of, or the issuer ended it.
    Ended,
}

/// Who renews a session.
pub(super) enum Turn {
    /// Nobody: this came of it already.
    Done(Renewal),
    /// Somebody does.
    Wait(watch::Receiver<Option<Renewal>>),
    /// The caller: it must tell.
    Mine(watch::Sender<Option<Renewal>>, watch::Receiver<Option<Renewal>>),
}

impl Sessions {
    /// With nothing remembered.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, memory: Mutex::default() }
    }

    /// What is known of a session.
    pub(super) fn known(&self, session: &Session) -> Known {
        let now = self.clock.nanos();
        match self.held().live(&session.id, now) {
            Some(What::Ended) => Known::Ended,
            Some(What::Renewed(newer)) if newer.generation > session.generation => {
                Known::Newer(Arc::clone(newer))
            }
            _ => Known::Nothing,
        }
    }

    /// Whose turn it is to renew a session.
    pub(super) fn turn(&self, session: &Session) -> Turn {
        let now = self.clock.nanos();
        let mut memory = self.held();
        match memory.live(&session.id, now) {
            Some(What::Ended) => return Turn::Done(Renewal::Refused),
            Some(What::Renewed(newer)) if newer.generation > session.generation => {
                return Turn::Done(Renewal::Renewed(Arc::clone(newer)));
            }
            Some(What::Renewing { generation, told }) if *generation >= session.generation => {
                return Turn::Wait(told.clone());
            }
            Some(What::Failed { generation }) if *generation >= session.generation => {
                return Turn::Done(Renewal::Unavailable);
            }
            _ => {}
        }
        let (tell, told) = watch::channel(None);
        let what = What::Renewing { generation: session.generation, told: told.clone() };
        memory.put(&session.id, what, now, LOST);
        Turn::Mine(tell, told)
    }

    /// Takes note of what came of a renewal of `session`.
    pub(super) fn renewed(&self, session: &Session, renewal: &Renewal) {
        let now = self.clock.nanos();
        let mut memory = self.held();
        if matches!(memory.live(&session.id, now), Some(What::Ended)) {
            // Somebody logged out meanwhile.
            return;
        }
        let (what, time) = match renewal {
            Renewal::Renewed(newer) => (What::Renewed(Arc::clone(newer)), KEPT),
            Renewal::Refused => (What::Ended, KEPT),
            Renewal::Unavailable => (What::Failed { generation: session.generation }, COOLDOWN),
        };
        memory.put(&session.id, what, now, time);
    }

    /// Refuses a session from now on, for as long as it might live.
    pub(super) fn end(&self, session: &Session, left: Duration) {
        let now = self.clock.nanos();
        self.held().put(&session.id, What::Ended, now, left.max(KEPT));
    }

    /// The lock, also after a thread panicked with it: each change under it is a single step.
    fn held(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn live(&self, id: &str, now: u64) -> Option<&What> {
        self.entries.get(id).filter(|entry| entry.until_ns > now).map(|entry| &entry.what)
    }

    fn put(&mut self, id: &str, what: What, now: u64, time: Duration) {
        if self.entries.len() >= MOST && !self.entries.contains_key(id) {
            self.make_room(now);
        }
        let until_ns = now.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        self.entries.insert(id.into(), Entry { what, until_ns });
    }

    fn make_room(&mut self, now: u64) {
        if now.saturating_sub(self.swept_ns) >= SWEEP.as_nanos().try_into().unwrap_or(u64::MAX) {
            self.swept_ns = now;
            self.entries.retain(|_, entry| entry.until_ns > now);
        }
        if self.entries.len() >= MOST {
            // Any one: a table of random ids has no order. Sessions that were ended go last.
            let is_done = |entry: &Entry| !matches!(entry.what, What::Renewing { .. } | What::Ended);
            let done = self.entries.iter().find(|(_, entry)| is_done(entry)).map(|(id, _)| id.clone());
            let any = done.or_else(|| self.entries.keys().next().cloned());
            any.map(|id| self.entries.remove(&id));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::state::clock::ClockHand;

    fn sessions() -> (Sessions, ClockHand) {
        let (clock, hand) = Clock::manual(SystemTime::UNIX_EPOCH);
        (Sessions::new(clock), hand)
    }

    fn session(id: &str, generation: u32) -> Session {
        let json = serde_json::json!({ "i": id, "g": generation, "c": 0, "s": 0, "t": "", "n": 0 });
        serde_json::from_value(json).unwrap()
    }

    fn renewed(id: &str, generation: u32) -> Renewal {
        Renewal::Renewed(Arc::new(session(id, generation)))
    }

    #[test]
    fn one_renews_and_the_others_wait_for_the_same_answer() {
        let (sessions, _hand) = sessions();
        let old = session("a", 0);
        let Turn::Mine(tell, _) = sessions.turn(&old) else { panic!("the first") };
        let Turn::Wait(told) = sessions.turn(&old) else { panic!("the second") };
        assert!(matches!(sessions.turn(&session("b", 0)), Turn::Mine(..)));
        sessions.renewed(&old, &renewed("a", 1));
        tell.send_replace(Some(renewed("a", 1)));
        assert!(matches!(&*told.borrow(), Some(Renewal::Renewed(session)) if session.generation == 1));
        // One that comes with the old cookie later.
        assert!(matches!(sessions.turn(&old), Turn::Done(Renewal::Renewed(_))));
        assert!(matches!(sessions.known(&old), Known::Newer(_)));
        assert!(matches!(sessions.known(&session("a", 1)), Known::Nothing));
        // The next time it is due.
        assert!(matches!(sessions.turn(&session("a", 1)), Turn::Mine(..)));
    }

    #[test]
    fn a_renewal_that_nobody_finishes_is_begun_anew() {
        let (sessions, hand) = sessions();
        let old = session("a", 0);
        let Turn::Mine(..) = sessions.turn(&old) else { panic!("the first") };
        hand.advance(LOST);
        assert!(matches!(sessions.turn(&old), Turn::Mine(..)));
    }

    #[test]
    fn an_issuer_that_does_not_answer_is_left_alone_for_a_while() {
        let (sessions, hand) = sessions();
        let old = session("a", 0);
        sessions.renewed(&old, &Renewal::Unavailable);
        assert!(matches!(sessions.turn(&old), Turn::Done(Renewal::Unavailable)));
        assert!(matches!(sessions.known(&old), Known::Nothing));
        hand.advance(COOLDOWN);
        assert!(matches!(sessions.turn(&old), Turn::Mine(..)));
    }

    #[test]
    fn what_was_ended_stays_ended_also_for_a_renewal_under_way() {
        let (sessions, hand) = sessions();
        let old = session("a", 0);
        let Turn::Mine(..) = sessions.turn(&old) else { panic!("the first") };
        sessions.end(&old, Duration::from_secs(3600));
        sessions.renewed(&old, &renewed("a", 1));
        assert!(matches!(sessions.known(&old), Known::Ended));
        assert!(matches!(sessions.known(&session("a", 1)), Known::Ended));
        assert!(matches!(sessions.turn(&old), Turn::Done(Renewal::Refused)));
        hand.advance(Duration::from_secs(3599));
        assert!(matches!(sessions.known(&old), Known::Ended));
        hand.advance(Duration::from_secs(1));
        assert!(matches!(sessions.known(&old), Known::Nothing));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_renewals_under_way_are_kept() {
        let (sessions, _hand) = sessions();
        let Turn::Mine(..) = sessions.turn(&session("first", 0)) else { panic!("the first") };
        for number in 0..MOST + 100 {
            let id = number.to_string();
            sessions.renewed(&session(&id, 0), &renewed(&id, 1));
        }
        assert_eq!(sessions.held().entries.len(), MOST);
        assert!(matches!(sessions.turn(&session("first", 0)), Turn::Wait(_)));
    }
}
