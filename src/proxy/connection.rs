//! One client connection, as the stream that guards it and the gateway that serves it both know it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Duration;

use http::HeaderValue;
use http::header::DATE;
use pingora::http::ResponseHeader;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_proxy::Session;
use tokio::sync::Notify;

use crate::http::head::{self, Glimpse};
use crate::net::forwarded;
use crate::policy::Door;
use crate::tls::TlsFacts;

/// How many times the least rate one write must reach.
const WRITE_RATE: u64 = 8;

/// The reason where a client does not read what it asked for.
pub const CLIENT_TOO_SLOW: &str = "client_too_slow";

/// Why the guard gave up on what a client sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What the client is told.
    pub status: u16,
    /// Stable `snake_case`.
    pub reason: &'static str,
}

/// What a connection is doing, as far as the guard must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Activity {
    /// Between requests.
    Idle = 0,
    /// A request is being served.
    Busy = 1,
    /// It has left HTTP/1.1 by a 101.
    Upgraded = 2,
}

/// Facts about a connection, and the few words guard and gateway exchange over it.
pub struct Connection {
    /// The listener as it was when the connection came.
    pub door: Arc<Door>,
    /// Who is at the other end of the socket.
    pub peer_ip: IpAddr,
    /// Who that speaks for, by the PROXY protocol; else the same.
    pub client_ip: IpAddr,
    /// The same as a value of `X-Forwarded-For`, for all requests of the connection.
    pub forwarded_for: HeaderValue,
    /// What TLS found out.
    pub tls: Option<Arc<TlsFacts>>,
    /// What was named last: most connections name one host.
    named: Mutex<Named>,
    activity: AtomicU8,
    faulty: AtomicBool,
    fault: Mutex<Option<Fault>>,
    refused: OnceLock<Box<Glimpse>>,
    waker: Mutex<Option<Waker>>,
    /// Whether there is a waker: most changes wake nobody.
    awaited: AtomicBool,
    requests: AtomicU32,
    /// HTTP/2 streams whose request body is still to come, and the bytes of it that have.
    bodies_open: AtomicU32,
    body_bytes: AtomicU64,
    /// Requests that the client gave up before there was an answer, less those that were answered (HTTP/2).
    given_up: AtomicU32,
    /// See [`Connection::told`].
    told: Notify,
    overran: AtomicBool,
    unread: AtomicBool,
    /// See [`Connection::set_date`].
    date: Mutex<Option<Date>>,
    dated: AtomicBool,
}

/// Whom a request is for.
#[derive(Clone)]
pub struct Named {
    /// As the client wrote it, as a value of `Host`.
    pub authority: HeaderValue,
    /// The host: lower-case, without port and final dot; empty if it is none.
    pub host: Arc<str>,
}

/// A `Date` as it is written today: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub type Date = [u8; 29];

impl Connection {
    /// A connection nothing has been read from.
    #[must_use]
    pub fn new(door: Arc<Door>, peer_ip: IpAddr, client_ip: IpAddr, tls: Option<Arc<TlsFacts>>) -> Arc<Self> {
        Arc::new(Self {
            door,
            peer_ip,
            client_ip,
            forwarded_for: forwarded::x_forwarded_for([], client_ip),
            tls,
            named: Mutex::new(Named { authority: HeaderValue::from_static(""), host: "".into() }),
            activity: AtomicU8::new(Activity::Idle as u8),
            faulty: AtomicBool::new(false),
            fault: Mutex::new(None),
            refused: OnceLock::new(),
            waker: Mutex::new(None),
            awaited: AtomicBool::new(false),
            requests: AtomicU32::new(0),
            bodies_open: AtomicU32::new(0),
            body_bytes: AtomicU64::new(0),
            given_up: AtomicU32::new(0),
            told: Notify::new(),
            overran: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            date: Mutex::new(None),
            dated: AtomicBool::new(false),
        })
    }

    /// The connection a session came by. `None` only where a session was not made from a guarded stream.
    #[must_use]
    pub fn of(session: &Session) -> Option<&Arc<Self>> {
        Self::behind(session.digest()?.proxy_digest.as_deref()?)
    }

    /// The connection that a stream's digest carries.
    #[must_use]
    pub fn behind(digest: &ProxyDigest) -> Option<&Arc<Self>> {
        digest.user_data.as_ref()?.downcast_ref::<Arc<Self>>()
    }

    /// What makes [`Connection::of`] find it: Pingora carries the digest of a stream into each of its sessions.
    #[must_use]
    pub fn digest(self: &Arc<Self>) -> Option<Arc<ProxyDigest>> {
        let unused = ResponseHeader::build(200, None).ok()?;
        Some(Arc::new(ProxyDigest { response: Box::new(unused), user_data: Some(Box::new(self.clone())) }))
    }

    /// What a client named, read; `None` if it cannot be a value of `Host`.
    pub fn named(&self, authority: &[u8]) -> Option<Named> {
        let mut last = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if last.authority.as_bytes() != authority {
            let host = head::host(authority).into();
            *last = Named { authority: HeaderValue::from_bytes(authority).ok()?, host };
        }
        Some(last.clone())
    }

    /// What it is doing.
    pub fn activity(&self) -> Activity {
        match self.activity.load(Ordering::SeqCst) {
            0 => Activity::Idle,
            1 => Activity::Busy,
            _ => Activity::Upgraded,
        }
    }

    /// Says what it is doing from now on, and wakes the guard if it waits for that. An upgrade is for good.
    pub fn set_activity(&self, activity: Activity) {
        if self.activity() == Activity::Upgraded {
            return;
        }
        // Sequentially consistent with `wake_on_change`: either this sees the waker, or its owner the activity.
        self.activity.store(activity as u8, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        if self.awaited.swap(false, Ordering::SeqCst) {
            let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Has `waker` woken at the next change of activity, or when a body is waited for.
    pub(super) fn wake_on_change(&self, waker: &Waker) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
        self.awaited.store(true, Ordering::SeqCst);
    }

    /// Why the client was given up, if it was.
    pub fn fault(&self) -> Option<Fault> {
        if !self.faulty.load(Ordering::Acquire) {
            return None;
        }
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first fault counts: what follows on a broken connection means nothing.
    pub(super) fn set_fault(&self, fault: Fault) {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
        self.faulty.store(true, Ordering::Release);
    }

    /// The head in whose place the stand-in was put.
    pub fn refused(&self) -> Option<&Glimpse> {
        self.refused.get().map(|head| &**head)
    }

    pub(super) fn set_refused(&self, head: Glimpse) {
        self.refused.get_or_init(|| Box::new(head));
    }

    /// Counts one more request and says how many there have been, this one included.
    pub fn count_request(&self) -> u32 {
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A request body is to come (HTTP/2, where the guard cannot see it).
    pub fn body_opened(&self) {
        self.bodies_open.fetch_add(1, Ordering::SeqCst);
        self.wake();
    }

    /// That body has ended, or nobody waits for it any more.
    pub fn body_closed(&self) {
        self.bodies_open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Some of a body came.
    pub fn body_progress(&self, bytes: usize) {
        self.body_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A request over HTTP/2 has ended: was it answered, or did the client reset it before (CVE-2023-44487)?
    pub fn request_ended(&self, answered: bool) {
        let next = |count: u32| if answered { count.saturating_sub(1) } else { count.saturating_add(1) };
        let before =
            self.given_up.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| Some(next(count)));
        if before.map_or(0, next) > self.door.limits.h2_resets {
            self.overrun(Fault { status: 429, reason: "http2_rapid_reset" });
        }
    }

    /// The client asks too much of us, or breaks rules that `h2` does not hold: the connection is to end.
    pub(super) fn overrun(&self, fault: Fault) {
        self.set_fault(fault);
        self.overran.store(true, Ordering::Release);
        self.told.notify_one();
    }

    /// The client does not take what it asked for on one of its streams (HTTP/2): it is to finish the others and leave.
    pub fn dismiss(&self) {
        self.told.notify_one();
    }

    /// Resolves once the client is to leave, or the connection to end at once: then it says why.
    pub async fn told(&self) -> Option<Fault> {
        self.told.notified().await;
        if self.overran.load(Ordering::Acquire) { self.fault() } else { None }
    }

    /// How long one write of so many bytes may take over HTTP/2, where the client's windows and not the socket hold it
    /// up: what a stall may last, and the length at a modest multiple of the least rate.
    pub fn write_patience(&self, bytes: usize) -> Duration {
        let limits = &self.door.limits;
        let millis =
            (bytes as u64).saturating_mul(1000).checked_div(limits.min_rate.saturating_mul(WRITE_RATE));
        limits.stall * 3 + Duration::from_millis(millis.unwrap_or(0))
    }

    /// Has the next final head, which must follow at once, say when the origin made the response: Pingora writes the present
    /// time into all of them, which is not true of what was stored (RFC 9110 §6.6.1). Of HTTP/2 the guard sees no heads.
    pub fn set_date(&self, head: &ResponseHeader) {
        let date = head.headers.get(DATE).and_then(|date| Date::try_from(date.as_bytes()).ok());
        self.dated.store(date.is_some(), Ordering::Release);
        if date.is_some() {
            *self.date.lock().unwrap_or_else(PoisonError::into_inner) = date;
        }
    }

    /// What the head that goes out now is to say.
    pub(super) fn take_date(&self) -> Option<Date> {
        let is_dated = self.dated.load(Ordering::Acquire) && self.dated.swap(false, Ordering::AcqRel);
        if is_dated { *self.date.lock().unwrap_or_else(PoisonError::into_inner) } else { None }
    }

    /// Says whether the client may still be sending what nobody reads.
    pub(super) fn set_unread(&self, unread: bool) {
        self.unread.store(unread, Ordering::Release);
    }

    /// Whether the client may still be sending what nobody has read, although the connection is over.
    pub fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Acquire)
    }

    /// Whether any body is awaited, and how many bytes came since the last call.
    pub(super) fn bodies(&self) -> (bool, u64) {
        (self.bodies_open.load(Ordering::SeqCst) > 0, self.body_bytes.swap(0, Ordering::Relaxed))
    }
}
