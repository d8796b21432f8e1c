//! A question to the origin that no client's connection carries, so that nobody's leaving ends it.
//!
//! It is one of Pingora's subrequests: it passes the same phases as a client's request from the choice of a backend on, with
//! the request as all filters of the chain have left it. What went before that, it skips: the filters have let it pass. What
//! comes back goes to no client but to whoever reads the errand's channel.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, Method, StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::subrequest::server::SubrequestHandle;
use pingora_proxy::subrequest::{BodyMode, Ctx as SubrequestContext};
use pingora_proxy::{PreparedSubrequest, Session};

use crate::cache::parents::Child;
use crate::cache::vary::Selector;
use crate::filters::chain::Decision;
use crate::filters::{Facts, Slots};
use crate::http::trace::TraceParent;
use crate::policy::{Route, Service, Snapshot};
use crate::proxy::connection::Connection;
use crate::proxy::context::Context;
use crate::proxy::wire::{Socket, Wire};

/// What the errand's request takes with it into its own context.
struct Luggage {
    snapshot: Arc<Snapshot>,
    route: Arc<Route>,
    connection: Option<Arc<Connection>>,
    facts: Facts,
    slots: Slots,
    trace: TraceParent,
    request: RequestHeader,
    errand: Errand,
}

/// Those who are asked before the origin, until one answers or all have failed.
pub struct Parents {
    pub service: Arc<Service>,
    /// Decides which of them.
    pub shard: u64,
    /// What they are told.
    pub child: Child,
}

/// What a context knows of the errand it belongs to.
pub struct Errand {
    /// Whom it goes to; `None`: to the origin.
    pub parents: Option<Parents>,
    /// The fields by which the cache looked.
    asked: Arc<HeaderMap>,
    /// The fields that the origin was sent.
    sent: HeaderMap,
    failure: Arc<OnceLock<Failure>>,
}

/// Why nothing came.
#[derive(Debug, Clone)]
pub struct Failure {
    pub status: StatusCode,
    pub reason: &'static str,
    pub told: Told,
}

/// What an errand tells of the backend beside its answer.
#[derive(Debug, Clone, Default)]
pub struct Told {
    pub upstream: Option<Arc<str>>,
    pub backend: Option<Arc<str>>,
    pub status: Option<u16>,
    pub duration: Option<Duration>,
    pub retries: u32,
    /// From the request to the head of the answer.
    pub delay: Duration,
    /// Whether a field that `Vary` names was another one when it was sent than when the cache looked. Nobody knows then whom
    /// the answer fits.
    pub varied: bool,
    /// Whether the origin was told who asks.
    pub credentials: bool,
}

/// An errand that is ready to go.
pub struct Ready {
    pub request: PreparedSubrequest,
    pub answer: SubrequestHandle,
    pub failure: Arc<OnceLock<Failure>>,
}

/// What Pingora copies a subrequest from: it reads the head anew, and knows no HTTP/2 there. So it is given this one to
/// read, and what is asked is put in its place.
const STUB: &[u8] = b"GET / HTTP/1.1\r\nhost: errand\r\n\r\n";

/// A session to prepare an errand from. `None` if Pingora cannot read what it says.
pub async fn stub() -> Option<ServerSession> {
    let mut session = ServerSession::new_http1(Box::new(Wire::new(Socket::Closed, STUB.to_vec())));
    session.read_request().await.ok()?.then_some(session)
}

/// Prepares a GET that is the client's request as it stands, but for what `edit` does to its fields: what answers a HEAD has
/// no content, and would be stored as if there were none. `asked` are those by which the cache looked; `parents` are asked
/// before the origin. `None` where Pingora offers no subrequests.
pub fn prepare(
    stub: &ServerSession,
    session: &Session,
    ctx: &Context,
    asked: Arc<HeaderMap>,
    parents: Option<Parents>,
    edit: impl FnOnce(&mut HeaderMap),
) -> Option<Ready> {
    let spawner = session.subrequest_spawner.as_ref()?;
    let mut request = session.req_header().clone();
    crate::proxy::forward::edit(&mut request, |parts| {
        (parts.method, parts.version) = (Method::GET, Version::HTTP_11);
        edit(&mut parts.headers);
    });
    let failure = Arc::new(OnceLock::new());
    let luggage = Luggage {
        snapshot: ctx.snapshot.clone(),
        route: ctx.route.clone(),
        connection: ctx.connection.clone(),
        facts: ctx.facts.clone(),
        slots: ctx.slots.of_same_caller(),
        trace: ctx.trace,
        request,
        errand: Errand { parents, asked, sent: HeaderMap::new(), failure: failure.clone() },
    };
    let context =
        SubrequestContext::builder().body_mode(BodyMode::NoBody).user_ctx(Box::new(Some(luggage))).build();
    let (request, answer) = spawner.create_subrequest(stub, context);
    Some(Ready { request, answer, failure })
}

/// Whether the session is an errand's. If so, it goes on as one.
pub fn begin(session: &mut Session, ctx: &mut Context) -> bool {
    let luggage = session.subrequest_ctx.as_mut().and_then(|context| context.user_ctx_mut());
    let Some(luggage) = luggage.and_then(|luggage| luggage.downcast_mut::<Option<Luggage>>()?.take()) else {
        return false;
    };
    *session.req_header_mut() = luggage.request;
    ctx.snapshot = luggage.snapshot;
    ctx.route = luggage.route;
    ctx.connection = luggage.connection;
    ctx.facts = luggage.facts;
    ctx.slots = luggage.slots;
    ctx.trace = luggage.trace;
    // The client's request is counted, and this is part of it.
    ctx.in_flight = None;
    ctx.errand = Some(Box::new(luggage.errand));
    true
}

impl Errand {
    /// Notes what the origin is sent.
    pub fn sends(&mut self, fields: &HeaderMap) {
        self.sent = fields.clone();
    }
}

/// Puts what the errand knows beside the final head of an answer.
pub fn answered(response: &mut ResponseHeader, ctx: &Context, now_ns: u64) {
    let Some(errand) = &ctx.errand else { return };
    let told = Told { varied: is_varied(errand, &response.headers), ..told(errand, ctx, now_ns) };
    response.extensions_mut().insert(told);
}

/// Notes why there is no answer.
pub fn failed(errand: &Errand, ctx: &Context, decision: &Decision, now_ns: u64) {
    let (status, reason) = (decision.refusal.status, decision.refusal.reason);
    // The first one counts; there is no other.
    _ = errand.failure.set(Failure { status, reason, told: told(errand, ctx, now_ns) });
}

fn told(errand: &Errand, ctx: &Context, now_ns: u64) -> Told {
    let attempts = &ctx.attempts;
    let vouched = |name: &HeaderName| errand.sent.contains_key(name);
    Told {
        upstream: attempts.upstream.clone(),
        backend: attempts.backend.clone(),
        status: attempts.status,
        duration: attempts.duration,
        retries: attempts.retries(),
        delay: attempts.since_start(now_ns),
        varied: false,
        credentials: vouched(&AUTHORIZATION) || ctx.snapshot.vouched.iter().any(vouched),
    }
}

fn is_varied(errand: &Errand, response: &HeaderMap) -> bool {
    Selector::read(response)
        .is_some_and(|selector| selector.fingerprint(&errand.asked) != selector.fingerprint(&errand.sent))
}
