//! Responses that go the usual way and may be stored all the same, kept while they pass by: to a GET that nobody was to wait
//! for, to one for a part of what is too long, and to a POST that says what a GET would bring.
//!
//! What always holds: only what came to its end is stored, before the client has all of it.

use std::time::SystemTime;

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};

use super::keep::Spot;
use crate::cache::content::Gather;
use crate::cache::freshness::Received;
use crate::cache::invalidate::is_its_own_place;
use crate::cache::key::Target;
use crate::cache::purge::Epoch;
use crate::cache::status::Forward;
use crate::cache::store::{Asked, may_store, says_its_lifetime};
use crate::cache::vary::Selector;
use crate::cache::{ResponseDirectives, tags};
use crate::filters::cache::{Course, Plan};
use crate::http::length;
use crate::proxy::context::Context;
use crate::state::Clock;

/// What is kept of one exchange.
pub struct Capture {
    /// The fields that the origin was sent.
    sent: HeaderMap,
    kept: Option<Kept>,
}

struct Kept {
    status: StatusCode,
    fields: HeaderMap,
    requested_at: SystemTime,
    received_at: SystemTime,
    length: Option<u64>,
    asked_in: Epoch,
    gather: Gather,
}

/// Notes what the origin is sent, where what it answers may be stored.
pub fn sends(request: &RequestHeader, ctx: &mut Context) {
    if let Some(errand) = &mut ctx.errand {
        return errand.sends(&request.headers);
    }
    let is_of_use = ctx.slots.plan().is_some_and(|plan| match &plan.course {
        Course::Ask(..) => request.method == Method::GET,
        Course::Pass(Forward::Method, _) => request.method == Method::POST && plan.place.is_some(),
        _ => false,
    });
    ctx.capture = is_of_use.then(|| Box::new(Capture { sent: request.headers.clone(), kept: None }));
}

/// Begins to keep a response, if it may be stored. `asked_in` is when the origin was asked. Whether it does.
pub fn begin(
    request: &RequestHeader,
    response: &ResponseHeader,
    ctx: &mut Context,
    (clock, asked_in): (&Clock, Epoch),
) -> bool {
    let delay = ctx.attempts.since_start(clock.nanos());
    let Some(mut capture) = ctx.capture.take() else { return false };
    let Some(plan) = ctx.slots.plan() else { return false };
    let received_at = clock.wall();
    let requested_at = received_at.checked_sub(delay).unwrap_or(received_at);
    let received =
        Received { status: response.status, headers: &response.headers, requested_at, received_at };
    let is_vouched = |name| capture.sent.contains_key(name);
    let credentials = is_vouched(&AUTHORIZATION) || ctx.snapshot.vouched.iter().any(is_vouched);
    let is_a_gets = request.method == Method::GET || is_what_a_get_brings(plan, response, ctx);
    if !is_a_gets || !may_keep(plan, &received, &capture.sent, credentials) {
        return false;
    }
    let length = match response.status {
        StatusCode::NO_CONTENT => Some(0),
        _ => length::read(&response.headers),
    };
    let limit = plan.settings.max_object.min(plan.settings.shared.store.memory().largest());
    if length.is_some_and(|length| length > limit) {
        return false;
    }
    capture.kept = Some(Kept {
        status: response.status,
        fields: response.headers.clone(),
        requested_at,
        received_at,
        length,
        asked_in,
        gather: Gather::new(limit, plan.settings.shared.budget.clone()),
    });
    ctx.capture = Some(capture);
    // Where there is no content, no piece of it follows.
    if length == Some(0) {
        passes(None, true, ctx);
    }
    true
}

/// RFC 9110 §9.3.3: it says for how long, and that it is its own place.
fn is_what_a_get_brings(plan: &Plan, response: &ResponseHeader, ctx: &Context) -> bool {
    let target = plan.place.as_ref().and_then(|place| Target::parse(&place.url));
    let directives = ResponseDirectives::read(&response.headers);
    response.status == StatusCode::OK
        && says_its_lifetime(&response.headers, &directives)
        && target.is_some_and(|target| is_its_own_place(&target, &response.headers, ctx.snapshot.paths))
}

fn may_keep(plan: &Plan, response: &Received<'_>, sent: &HeaderMap, credentials: bool) -> bool {
    let Some(place) = &plan.place else { return false };
    let asked = Asked {
        method: &Method::GET,
        headers: &place.fields,
        has_content: false,
        has_credentials: plan.credentials || credentials,
        audience: plan.audience,
    };
    let directives = ResponseDirectives::read(response.headers);
    let may = may_store(&asked, &plan.wants, response, &directives, &plan.settings.rules).is_ok();
    let is_same = |selector: Selector| selector.fingerprint(&place.fields) == selector.fingerprint(sent);
    may && Selector::read(response.headers).is_some_and(is_same)
        && tags::read(response.headers, &plan.settings.tags).is_some()
}

/// Keeps a piece of the content as it came; the last one has all of it stored.
pub fn passes(piece: Option<&[u8]>, end: bool, ctx: &mut Context) {
    let Some(capture) = &mut ctx.capture else { return };
    let Some(kept) = &mut capture.kept else { return };
    if !kept.gather.push(piece.unwrap_or_default()) {
        ctx.capture = None;
        return;
    }
    let is_whole = kept.length.is_none_or(|length| length == kept.gather.length());
    if !(end && is_whole || kept.length == Some(kept.gather.length())) {
        return;
    }
    let (Some(capture), Some(plan)) = (ctx.capture.take(), ctx.slots.plan()) else { return };
    let (Some(kept), Some(place)) = (capture.kept, &plan.place) else { return };
    let Kept { status, fields, requested_at, received_at, asked_in, gather, .. } = kept;
    let response = Received { status, headers: &fields, requested_at, received_at };
    Spot { asked_in, ..Spot::of(plan, place) }.put(&response, gather.finish());
}
