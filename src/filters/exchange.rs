//! What a filter sees of one request and its response: heads, facts about the caller, and a slot of its own.

use std::any::Any;
use std::future::Future;
use std::net::IpAddr;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use pingora::http::RequestHeader;

use super::cache::Plan;
use super::{Caller, Refusal, TokenText};
use crate::auth::replay::Spent;
use crate::tls::TlsFacts;

/// Facts about the exchange that no filter may change.
#[derive(Clone)]
pub struct Facts {
    /// The caller, after trusted hops were taken off (RFC 7239, PROXY protocol).
    pub client_ip: IpAddr,
    /// Who is at the other end of the connection.
    pub peer_ip: IpAddr,
    /// `https` or `http`, as the client spoke it to us.
    pub scheme: &'static str,
    /// Lower-case host without port, as routing saw it; empty where HTTP/1.0 gave none.
    pub host: Arc<str>,
    /// The route's name.
    pub route: Arc<str>,
    /// Identifies the request in logs and answers.
    pub request_id: Box<str>,
    /// When the head was complete, in nanoseconds of the [`Clock`](crate::state::Clock).
    pub received_ns: u64,
    /// When the head was complete, by the calendar.
    pub time: SystemTime,
    /// What was agreed on in the TLS handshake, the client's verified certificate among it; `None` without TLS.
    pub tls: Option<Arc<TlsFacts>>,
    /// The listener's address, as the policy writes it.
    pub listener: Arc<str>,
    /// What the path has where the route's template has `{name}`, percent-decoded.
    pub segments: Vec<(Arc<str>, Box<str>)>,
    /// The path and query as the client wrote them, where that is not how they stand in the request: what it signed.
    pub sent_target: Option<Box<str>>,
    /// Whether a body comes: its length is not zero, or not known. Without one, [`Filter::on_request_body`] may not be
    /// called.
    ///
    /// [`Filter::on_request_body`]: super::Filter::on_request_body
    pub has_body: bool,
    /// Whether the upstream speaks gRPC, so that a body may be a conversation: what it says waits for the answer.
    pub to_grpc: bool,
}

/// How much of a request's body a filter wants to have seen before an upstream hears of the request.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Hold {
    /// So many bytes wait, until more have come or all have. Of a body without a length, what is beyond 64 KiB (48 KiB in
    /// HTTP/2) waits while the upstream has the head already, and of the body nothing.
    pub first: u64,
    /// Beyond those, the piece that came last waits for the next one, so that no upstream has all of a body before its
    /// end was seen.
    pub last: bool,
}

/// The beginning of a request's body.
#[derive(Debug, Clone)]
pub struct Beginning {
    /// The first bytes of it.
    pub bytes: Bytes,
    /// Whether that is all of it.
    pub whole: bool,
}

impl Beginning {
    /// Of a request without a body.
    pub const NO_BODY: Self = Self { bytes: Bytes::new(), whole: true };
}

/// A request's body while the head is with the filters: it can be read before an upstream is chosen.
pub trait Arriving: Send + Sync {
    /// See [`Exchange::read_body`].
    fn read(&mut self, most: u64) -> Reading<'_>;
}

/// A beginning that is being waited for.
pub type Reading<'a> = Pin<Box<dyn Future<Output = Result<Beginning, Refusal>> + Send + 'a>>;

/// What takes long, and says whether a request may go on.
pub type Job = Box<dyn FnOnce() -> Result<(), Refusal> + Send + Sync>;

/// Who made a response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// An upstream answered.
    Upstream,
    /// Edgeward did: a refusal, a failure, a `respond:` or a redirect.
    Edgeward,
}

/// One request and its response, as a filter sees them.
pub struct Exchange<'r> {
    /// The request's head with its normalised path. Edits reach the upstream.
    pub request: &'r mut RequestHeader,
    /// What is known about the caller and the route.
    pub facts: &'r Facts,
    /// Who made the response; [`Origin::Upstream`] until there is one.
    pub origin: Origin,
    pub(super) slots: &'r mut Slots,
    position: usize,
    arriving: Option<&'r mut dyn Arriving>,
}

impl<'r> Exchange<'r> {
    /// The exchange as the filter at `position` of the chain sees it.
    pub fn new(
        request: &'r mut RequestHeader,
        facts: &'r Facts,
        origin: Origin,
        slots: &'r mut Slots,
        position: usize,
    ) -> Self {
        Self { request, facts, origin, slots, position, arriving: None }
    }

    /// The same, with a body that can be read.
    #[must_use]
    pub fn with_body(mut self, arriving: &'r mut dyn Arriving) -> Self {
        self.arriving = Some(arriving);
        self
    }

    /// The caller's address.
    #[must_use]
    pub const fn client_ip(&self) -> IpAddr {
        self.facts.client_ip
    }

    /// The first value of a request header, if it is there and visible ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.request.headers.get(name)?.to_str().ok()
    }

    /// The value of a cookie, as sent. The first one counts when a name is repeated.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        cookie(self.request, name)
    }

    /// What this filter kept earlier in the same exchange.
    #[must_use]
    pub fn slot<T: Any + Send + Sync>(&mut self) -> Option<&mut T> {
        self.slots.kept.get_mut(self.position)?.as_mut()?.downcast_mut()
    }

    /// Keeps something for later phases of the same exchange.
    pub fn keep<T: Any + Send + Sync>(&mut self, value: T) {
        if self.slots.kept.len() <= self.position {
            self.slots.kept.resize_with(self.position + 1, || None);
        }
        if let Some(slot) = self.slots.kept.get_mut(self.position) {
            *slot = Some(Box::new(value));
        }
    }

    /// Tells everyone after this filter who calls.
    pub fn identify(&mut self, caller: Caller) {
        self.slots.callers.push(caller);
    }

    /// The same where a token proved it: whoever exchanges tokens finds this one, also when it goes no further.
    pub fn identify_by_token(&mut self, caller: Caller, token: TokenText) {
        self.slots.token = Some(token);
        self.identify(caller);
    }

    /// Has the body wait. What several filters ask for holds together. In shadow mode nothing waits.
    pub fn hold_body(&mut self, hold: Hold) {
        let held = &mut self.slots.hold;
        held.first = held.first.max(hold.first);
        held.last |= hold.last;
    }

    /// Has the response's head wait until something of its body goes on or all has come, so that a refusal is still an
    /// answer; one of more than 15 KiB goes at once. In shadow mode nothing waits.
    pub fn hold_response(&mut self) {
        self.slots.holds_response = true;
    }

    /// Waits until more than `most` bytes of the body have come, or all of it, and gives what has come by then. Of use in
    /// [`Filter::on_request`](super::Filter::on_request) alone, for a filter that cannot decide, or say who calls, without
    /// the body. Who comes after it sees the body all the same.
    ///
    /// Of a body without a length, no more than 64 KiB (48 KiB in HTTP/2) are sure to be read before an upstream hears of
    /// the request: the beginning may then be shorter than `most` and not whole.
    ///
    /// # Errors
    /// When there is nobody left to answer, or the body is longer than the route allows. What the filter then says is not
    /// asked any more.
    pub async fn read_body(&mut self, most: u64) -> Result<Beginning, Refusal> {
        match &mut self.arriving {
            Some(arriving) => arriving.read(most).await,
            None => Ok(Beginning::NO_BODY),
        }
    }

    /// Has this done before the body goes on; aside where the body can wait for it, so that nobody else does. Of use in
    /// [`Filter::on_request_body`](super::Filter::on_request_body) and
    /// [`Filter::on_response_body`](super::Filter::on_response_body) alone.
    pub fn do_aside(&mut self, job: Job) {
        self.slots.job = Some(match self.slots.job.take() {
            // Of several filters of a group, each has something to do.
            Some(before) => Box::new(move || before().and_then(|()| job())),
            None => job,
        });
    }

    /// What the filter wants done aside.
    pub(super) fn job(&mut self) -> Option<Job> {
        self.slots.job.take()
    }

    /// The token that proved last who calls.
    #[must_use]
    pub fn token(&self) -> Option<&TokenText> {
        self.slots.token.as_ref()
    }

    /// Who calls, as the filters before this one found out, in their order.
    #[must_use]
    pub fn callers(&self) -> &[Caller] {
        &self.slots.callers
    }

    /// Where the filter that sees it keeps what it keeps.
    pub(super) const fn position(&self) -> usize {
        self.position
    }

    /// What an alternative that does not let the request pass has to leave as it was.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            request: self.request.clone(),
            callers: self.slots.callers.len(),
            token: self.slots.token.clone(),
            hold: self.slots.hold,
        }
    }

    /// Undoes what these filters did since the mark.
    pub(super) fn back_to(&mut self, mark: Mark, positions: Range<usize>) {
        *self.request = mark.request;
        self.slots.callers.truncate(mark.callers);
        self.slots.token = mark.token;
        self.slots.hold = mark.hold;
        for slot in self.slots.kept.iter_mut().take(positions.end).skip(positions.start) {
            *slot = None;
        }
    }

    /// What the request has used up of what is good once.
    pub(super) fn spent(&mut self) -> &mut Spent {
        &mut self.slots.spent
    }

    /// Names the API key that the request presents, for the log: its id, whether or not it is good.
    pub fn name_key(&mut self, id: &str) {
        self.slots.key_id = id.into();
    }

    /// Notes for the log what was found in the response, by its name in the policy.
    pub fn note_finding(&mut self, kind: &str, count: u64) {
        match self.slots.findings.iter_mut().find(|(noted, _)| **noted == *kind) {
            Some((_, noted)) => *noted += count,
            None => self.slots.findings.push((kind.into(), count)),
        }
    }

    /// The same exchange, as the filter at `position` sees it.
    pub(super) const fn at(&mut self, position: usize) -> &mut Self {
        self.position = position;
        self
    }
}

/// An exchange at one moment.
pub(super) struct Mark {
    request: RequestHeader,
    callers: usize,
    token: Option<TokenText>,
    hold: Hold,
}

/// The value of a cookie, as sent. The first one counts when a name is repeated.
#[must_use]
pub fn cookie<'a>(request: &'a RequestHeader, name: &str) -> Option<&'a str> {
    let lines = request.headers.get_all(http::header::COOKIE).iter();
    lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';')).find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then_some(value)
    })
}

/// What filters keep of one exchange: a slot for each, filled only by those that have something to keep, and who calls.
#[derive(Default)]
pub struct Slots {
    kept: Vec<Option<Box<dyn Any + Send + Sync>>>,
    callers: Vec<Caller>,
    /// Of an API key that was refused.
    key_id: Box<str>,
    pub(super) hold: Hold,
    /// Whether the response's head waits for its body.
    pub(super) holds_response: bool,
    token: Option<TokenText>,
    pub(super) conditions: Conditions,
    pub(super) plan: Option<Box<Plan>>,
    /// What is still to be done before a filter's answer to a piece of the body is known.
    job: Option<Job>,
    spent: Spent,
    /// What was found in the response, and how often.
    findings: Vec<(Box<str>, u64)>,
}

impl Slots {
    /// How much of the body is to wait.
    #[must_use]
    pub const fn hold(&self) -> Hold {
        self.hold
    }

    /// Whether the response's head is to wait until something of its body goes on.
    #[must_use]
    pub const fn holds_response(&self) -> bool {
        self.holds_response
    }

    /// What the cache is to do; `None` where the request did not come by it.
    #[must_use]
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.as_deref()
    }

    /// The same, to be changed.
    pub fn plan_mut(&mut self) -> Option<&mut Plan> {
        self.plan.as_deref_mut()
    }

    /// Those of another request for the same caller.
    #[must_use]
    pub fn of_same_caller(&self) -> Self {
        Self { callers: self.callers.clone(), ..Self::default() }
    }

    /// Who calls, in the order in which filters found out.
    #[must_use]
    pub fn callers(&self) -> &[Caller] {
        &self.callers
    }

    /// What was found in the response that should not leave, for the log; empty if nothing was.
    #[must_use]
    pub fn findings(&self) -> String {
        let told: Vec<_> = self.findings.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        told.join(", ")
    }

    /// The id of the API key that was presented; empty without one.
    #[must_use]
    pub fn key_id(&self) -> &str {
        let proven = self.callers.iter().find_map(Caller::key);
        proven.map_or(&self.key_id, |key| key.id.as_str())
    }
}

/// Which filters of a chain a request passes by, for `when:` is decided once for all phases of a filter.
#[derive(Default)]
pub(super) struct Conditions {
    decided: u64,
    passed_by: u64,
}

impl Conditions {
    /// Whether the filter at `position` is passed by, if that is decided.
    pub const fn decided(&self, position: usize) -> Option<bool> {
        let bit = 1_u64 << position;
        if self.decided & bit == 0 { None } else { Some(self.passed_by & bit != 0) }
    }

    /// Decides it.
    pub const fn decide(&mut self, position: usize, passed_by: bool) {
        self.decided |= 1 << position;
        self.passed_by |= (passed_by as u64) << position;
    }
}

/// An exchange that owns its parts, so that a filter is tested without a socket.
#[cfg(test)]
pub struct Sample {
    pub request: RequestHeader,
    pub facts: Facts,
    pub slots: Slots,
}

#[cfg(test)]
impl Sample {
    /// `GET path` from 192.0.2.1 with the given headers.
    pub fn get(path: &str, headers: &[(&'static str, &str)]) -> Self {
        Self::new("GET", path, headers)
    }

    /// The same with any method.
    pub fn new(method: &str, path: &str, headers: &[(&'static str, &str)]) -> Self {
        let mut request = RequestHeader::build(method, path.as_bytes(), None).unwrap();
        for (name, value) in headers {
            request.append_header(*name, *value).unwrap();
        }
        let facts = Facts {
            client_ip: [192, 0, 2, 1].into(),
            peer_ip: [192, 0, 2, 1].into(),
            scheme: "https",
            host: "api.example.com".into(),
            route: "orders".into(),
            request_id: "0123456789abcdef".into(),
            received_ns: 0,
            time: SystemTime::UNIX_EPOCH,
            tls: None,
            listener: "0.0.0.0:443".into(),
            segments: Vec::new(),
            sent_target: None,
            has_body: false,
            to_grpc: false,
        };
        Self { request, facts, slots: Slots::default() }
    }

    /// The exchange at position 0 of a chain, as before a response.
    pub fn exchange(&mut self) -> Exchange<'_> {
        Exchange::new(&mut self.request, &self.facts, Origin::Upstream, &mut self.slots, 0)
    }
}
