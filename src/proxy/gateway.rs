//! Pingora's phases, each a few lines that call whoever knows. If you add more than a call here, stop and ask why.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora_core::apps::HttpServerOptions;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, Result};
use pingora_proxy::{FailToProxy, HttpProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora_timeout::fast_timeout;

use super::body::{self, Body};
use super::caching;
use super::context::Context;
use super::reply;
use super::rescue::{self, decision, refused};
use super::upstream::Attempts;
use super::{entrance, forward, ledger, response, upstream};
use crate::filters::chain::{Decision, Outcome, Shadows};
use crate::filters::{Facts, Origin, Slots};
use crate::http::trace::TraceParent;
use crate::policy::{Action, Filled, Snapshot};
use crate::state::State;
use crate::telemetry::metrics::Metrics;
use crate::upstream::{Protocol, Reached};
use crate::values::digits;

/// What all requests share.
pub struct Gateway {
    /// The policy in force.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// What outlives it.
    pub state: Arc<State>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// The host before one is named.
    pub nobody: Arc<str>,
    /// Whether connections are to end after their present request.
    pub draining: tokio::sync::watch::Receiver<bool>,
}

/// The proxy as Pingora runs it. This is the only place that makes one, for thousands of lines are compiled anew
/// wherever its type is completed.
pub fn proxy(gateway: Gateway, workers: usize) -> HttpProxy<Gateway> {
    // Pingora's own timers ask what time it is for every read and write that might have to wait; the runtime's, used from a
    // second on, only where one does.
    fast_timeout::set_fast_timeout_to_tokio_threshold(Some(Duration::ZERO));
    let conf = ServerConf {
        threads: workers,
        // More than any upstream's `retries.attempts`, which is what counts.
        max_retries: 16,
        upstream_keepalive_pool_size: 1024,
        ..ServerConf::default()
    };
    let mut proxy = HttpProxy::new(gateway, Arc::new(conf));
    // Pingora would refuse CONNECT without a word in the log; the entrance refuses it like anything else.
    let mut options = HttpServerOptions::default();
    options.allow_connect_method_proxying = true;
    proxy.server_options = Some(options);
    proxy
}

impl Gateway {
    fn now_ns(&self) -> u64 {
        self.state.clock.nanos()
    }

    /// Whether connections are to end after their present request. Takes no lock until that was ever said.
    fn is_draining(&self) -> bool {
        self.draining.has_changed().unwrap_or(true) && *self.draining.borrow()
    }

    /// Whatever does not go to an upstream ends here.
    async fn act(&self, session: &mut Session, ctx: &mut Context) -> Result<bool> {
        match &ctx.route.action {
            Action::Upstream(_) => {
                if session.is_upgrade_req() && !ctx.route.websocket {
                    rescue::refuse(session, ctx, decision(StatusCode::FORBIDDEN, "websocket")).await?;
                    return Ok(true);
                }
                Ok(false)
            }
            Action::Respond(response) => {
                let (head, body) = (response.head.clone(), response.body.clone());
                rescue::answer(session, ctx, head, body).await?;
                Ok(true)
            }
            Action::Redirect(_, template) if ctx.facts.host.is_empty() && template.names_host() => {
                Err(refused(ctx, nowhere()))
            }
            Action::Redirect(status, template) => {
                let uri = &session.req_header().uri;
                let filled = Filled {
                    host: &ctx.facts.host,
                    path: uri.path(),
                    query: uri.query().unwrap_or_default(),
                    patterns: &ctx.route.patterns,
                };
                let (status, location) = (*status, template.fill(&filled));
                redirect(session, ctx, status, &location).await?;
                Ok(true)
            }
            Action::Nothing => {
                let decision = unrouted(&ctx.allowed);
                rescue::refuse(session, ctx, decision).await?;
                Ok(true)
            }
        }
    }
}

async fn redirect(
    session: &mut Session,
    ctx: &mut Context,
    status: StatusCode,
    location: &str,
) -> Result<()> {
    let mut head = ResponseHeader::build(status, Some(3))?;
    head.insert_header(header::LOCATION, location)?;
    rescue::answer(session, ctx, head, Bytes::new()).await
}

/// Where a client of HTTP/1.0 that names no host would be sent to.
fn nowhere() -> Decision {
    decision(StatusCode::BAD_REQUEST, "missing_host")
}

fn unrouted(allowed: &[Method]) -> Decision {
    if allowed.is_empty() {
        return decision(StatusCode::NOT_FOUND, "no_route");
    }
    let methods: Vec<_> = allowed.iter().map(Method::as_str).collect();
    let mut decision = decision(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");
    if let Ok(value) = HeaderValue::from_str(&methods.join(", ")) {
        decision.refusal.headers.push((header::ALLOW, value));
    }
    decision
}

/// 128 bits at random: nobody else's, and telling nothing.
fn request_id() -> Box<str> {
    let text = [digits::hex(fastrand::u64(..)), digits::hex(fastrand::u64(..))];
    std::str::from_utf8(text.as_flattened()).unwrap_or_default().into()
}

#[async_trait]
impl ProxyHttp for Gateway {
    /// In a box, for Pingora moves it from hand to hand.
    type CTX = Box<Context>;

    fn new_ctx(&self) -> Box<Context> {
        let snapshot = self.snapshot.load_full();
        let route = snapshot.unrouted().clone();
        let facts = Facts {
            client_ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            peer_ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            scheme: "http",
            host: self.nobody.clone(),
            route: route.name.clone(),
            request_id: request_id(),
            received_ns: self.now_ns(),
            time: self.state.clock.wall(),
            tls: None,
            listener: route.name.clone(),
            segments: Vec::new(),
            sent_target: None,
            has_body: false,
            to_grpc: false,
        };
        Box::new(Context {
            snapshot,
            route,
            allowed: Vec::new(),
            connection: None,
            facts,
            slots: Slots::default(),
            shadows: Shadows::default(),
            decision: None,
            origin: Origin::Upstream,
            attempts: Attempts::default(),
            answered_whole: false,
            waiting: None,
            broken: false,
            interim: 0,
            cache: None,
            capture: None,
            errand: None,
            status: 0,
            body: Body::default(),
            trace: TraceParent::start(1, 1, false),
            in_flight: Some(self.metrics.begin_request()),
        })
    }

    fn init_downstream_modules(&self, _: &mut pingora_core::modules::http::HttpModules) {
        // Compression is a filter here; Pingora's module would only cost a step of each request.
    }

    fn allow_spawning_subrequest(&self, _: &Session, ctx: &Box<Context>) -> bool {
        ctx.errand.is_none() && ctx.snapshot.cache.is_some()
    }

    async fn early_request_filter(&self, session: &mut Session, ctx: &mut Box<Context>) -> Result<()> {
        if caching::begin(session, ctx) {
            return Ok(());
        }
        entrance::enter(session, ctx, self.is_draining())
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Box<Context>) -> Result<bool> {
        if ctx.errand.is_some() {
            return Ok(false);
        }
        if let Some(port) = ctx.connection.as_ref().and_then(|connection| connection.door.redirect) {
            let target = session.req_header().uri.path_and_query().map_or("/", |target| target.as_str());
            let target = if target == "*" { "/" } else { target };
            let host = &ctx.facts.host;
            if host.is_empty() {
                return Err(refused(ctx, nowhere()));
            }
            let location = match port {
                443 => format!("https://{host}{target}"),
                port => format!("https://{host}:{port}{target}"),
            };
            redirect(session, ctx, StatusCode::PERMANENT_REDIRECT, &location).await?;
            return Ok(true);
        }
        body::check_length(session, ctx).map_err(|decision| refused(ctx, decision))?;
        ctx.facts.has_body = !session.is_body_empty();
        if session.is_http2() && ctx.facts.has_body {
            ctx.body.open = true;
            ctx.connection.iter().for_each(|connection| connection.body_opened());
        }
        match body::ask_filters(session, ctx).await? {
            Outcome::Pass => {
                body::read_ahead(session, ctx).await?;
                Ok(caching::proceed(session, ctx, &self.state.clock).await? || self.act(session, ctx).await?)
            }
            Outcome::Stored => {
                caching::hit(session, ctx, &self.state.clock).await?;
                Ok(true)
            }
            Outcome::Respond { reply, .. } => {
                rescue::answer(session, ctx, reply.head, reply.body).await?;
                Ok(true)
            }
            Outcome::Refuse(decision) => {
                rescue::refuse(session, ctx, decision).await?;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(&self, session: &mut Session, ctx: &mut Box<Context>) -> Result<Box<HttpPeer>> {
        upstream::choose(session, ctx, self.now_ns()).map_err(|decision| refused(ctx, decision))
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut Box<Context>,
    ) -> Result<()> {
        ctx.body.begin_try(session);
        let protocol = upstream::service(ctx).map(|service| service.protocol()).unwrap_or_default();
        let alone = protocol == Protocol::Http1 && !session.is_body_empty() && !means_body(&request.method);
        forward::forward(request, ctx, protocol, alone, body::waits_to_be_asked(session.req_header()))?;
        caching::sends(request, ctx);
        Ok(())
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        piece: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Box<Context>,
    ) -> Result<()> {
        if ctx.errand.is_some() {
            return Ok(());
        }
        if ctx.answered_whole && !session.is_http2() {
            return Err(rescue::answered_early(session, ctx).await);
        }
        body::pass(session, ctx, piece, end).await.map_err(|decision| refused(ctx, decision))
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Box<Context>,
    ) -> Result<()> {
        reply::receive(response, session.is_upgrade_req(), &mut ctx.interim)?;
        if !response.status.is_informational() || response.status == StatusCode::SWITCHING_PROTOCOLS {
            let now_ns = self.now_ns();
            upstream::answered(ctx, response.status.as_u16(), now_ns);
            caching::answered(response, ctx, now_ns);
            caching::observe(session.req_header(), response, ctx, &self.state.clock);
        }
        Ok(())
    }

    fn upstream_response_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Box<Context>,
    ) -> Result<Option<Duration>> {
        caching::passes(body.as_deref(), end, ctx);
        Ok(None)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        ctx: &mut Box<Context>,
    ) -> Result<()> {
        if ctx.errand.is_some() {
            return Ok(());
        }
        if self.is_draining() {
            // The request may have come before that was so.
            session.set_keepalive(None);
        }
        response::head(session, ctx, head)
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        piece: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Box<Context>,
    ) -> Result<Option<Duration>> {
        if ctx.errand.is_some() {
            return Ok(None);
        }
        response::piece(session, ctx, piece, end)?;
        Ok(None)
    }

    async fn response_trailer_filter(
        &self,
        session: &mut Session,
        _: &mut HeaderMap,
        ctx: &mut Box<Context>,
    ) -> Result<Option<Bytes>> {
        if ctx.errand.is_some() {
            return Ok(None);
        }
        Ok(response::trailers(session, ctx))
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        _: &HttpPeer,
        ctx: &mut Box<Context>,
        mut error: Box<Error>,
    ) -> Box<Error> {
        ctx.broken = false;
        upstream::failed(session, ctx, &mut error, Reached::Nothing, self.now_ns());
        error
    }

    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        ctx: &mut Box<Context>,
        reused: bool,
    ) -> Box<Error> {
        let reached = upstream::reached(&error);
        error.retry.decide_reuse(reused);
        ctx.broken = true;
        upstream::failed(session, ctx, &mut error, reached, self.now_ns());
        error
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        ctx: &mut Box<Context>,
    ) -> FailToProxy {
        if ctx.errand.is_some() {
            let decision = rescue::decide(error, ctx);
            ctx.errand.iter().for_each(|errand| caching::failed(errand, ctx, &decision, self.now_ns()));
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        }
        let (error_code, can_reuse_downstream) = rescue::rescue(session, error, ctx).await;
        FailToProxy { error_code, can_reuse_downstream }
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Box<Context>) {
        let now_ns = self.now_ns();
        upstream::finished(ctx, error, now_ns);
        if ctx.errand.is_some() {
            return;
        }
        if error.is_none() {
            response::finish(session, ctx).await;
        }
        // Before it is counted as finished, so that nobody sees it as both.
        ctx.in_flight = None;
        ledger::record(session, ctx, now_ns);
        rescue::release(session, ctx);
    }

    fn suppress_error_log(&self, _: &Session, _: &Box<Context>, _: &Error) -> bool {
        // Its line in the access log has the reason.
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _: &Session,
        _: &Box<Context>,
        _: &Error,
        _: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}

/// Whether a body means something to the method (RFC 9110 section 9.3).
fn means_body(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS | Method::TRACE)
}
