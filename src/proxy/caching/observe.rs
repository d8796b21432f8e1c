//! What the cache learns of responses that pass it by: a write makes what is stored untrue, a HEAD brings it up to date.

use http::{HeaderMap, Method, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};

use super::capture;
use super::keep::Spot;
use super::serve::tell;
use crate::cache::freshness::{Freshness, Received, Verdict};
use crate::cache::invalidate::invalidated;
use crate::cache::key::Target;
use crate::cache::memory::Stored;
use crate::cache::purge::{How, Scope};
use crate::cache::status::{Forward, Handled, Report};
use crate::cache::store::{Asked, may_store};
use crate::cache::tiered::Found;
use crate::cache::validate::{freshened, head_agrees};
use crate::cache::{RequestDirectives, ResponseDirectives, tags};
use crate::filters::cache::{Course, Place, Plan};
use crate::proxy::context::Context;
use crate::proxy::forward;
use crate::state::Clock;
use crate::telemetry::metrics::CacheOutcome;

/// Looks at the final head of an upstream's response, and says in it what the cache did.
pub fn observe(request: &RequestHeader, response: &mut ResponseHeader, ctx: &mut Context, clock: &Clock) {
    let Some(plan) = ctx.slots.plan() else { return };
    let (why, detail) = match &plan.course {
        Course::Pass(why, detail) => (*why, *detail),
        Course::Ask(why, _) => (*why, None),
        // Nothing of these comes by here.
        Course::Hit(_) | Course::Refresh(_) => (Forward::Bypass, None),
    };
    let mut asked_in = Some(plan.asked_in);
    if let Some(place) = &plan.place {
        match (&plan.course, &request.method) {
            (Course::Pass(Forward::Method, _), method) => {
                let store = &plan.settings.shared.store;
                // What another write made untrue meanwhile is not stored; what this one did, comes before its own answer.
                let is_alone = store.epoch() == plan.asked_in;
                invalidate(plan, place, method, response, ctx);
                asked_in = is_alone.then(|| store.epoch());
            }
            (Course::Ask(_, Some(found)), method) if *method == Method::HEAD => {
                compare(plan, place, found, response, clock);
            }
            (Course::Ask(_, None), method) if *method == Method::GET => {
                reconsider(plan, place, response, clock);
            }
            _ => {}
        }
    }
    let (settings, bypassed) = (plan.settings.clone(), matches!(plan.course, Course::Pass(..)));
    let stored = asked_in.is_some_and(|epoch| capture::begin(request, response, ctx, (clock, epoch)));
    let handled = Handled::Forwarded { why, status: None, stored, collapsed: false };
    let report = Report { handled, ttl: None, key: None, detail };
    forward::edit_response(response, |parts| tell(&mut parts.headers, &settings, &report));
    ctx.cache = Some(if bypassed { CacheOutcome::Bypass } else { CacheOutcome::Miss });
}

fn invalidate(plan: &Plan, place: &Place, method: &Method, response: &ResponseHeader, ctx: &Context) {
    let Some(target) = Target::parse(&place.url) else { return };
    let resources = invalidated(method, &target, response.status, &response.headers, ctx.snapshot.paths);
    let url = |resource: &crate::cache::invalidate::Resource| {
        let query = resource.query.as_deref().and_then(|query| plan.settings.query.apply(query));
        let target = Target { path: &resource.path, query: query.as_deref(), ..target };
        Scope::Url(target.to_string())
    };
    let scopes: Vec<_> = resources.iter().map(url).collect();
    if !scopes.is_empty() {
        // Nobody waits for the fleet or the disk: the client has its answer to come.
        plan.settings.shared.purge(&scopes, How::Hard).soon();
    }
}

/// A HEAD tells what a GET would (RFC 9111 §4.3.5).
fn compare(plan: &Plan, place: &Place, found: &Found, response: &ResponseHeader, clock: &Clock) {
    let (shared, stored) = (&plan.settings.shared, &found.stored);
    if response.status != StatusCode::OK || stored.status != StatusCode::OK {
        return;
    }
    let fields = stored.record.to_fields();
    if !head_agrees(&response.headers, &fields, found.length()) {
        shared.store.remove(&place.key, stored);
        return;
    }
    let mut answer = response.headers.clone();
    answer.remove(http::header::SET_COOKIE);
    let fields = freshened(&fields, &answer);
    match renewed(plan, place, stored, &fields, clock) {
        Some(renewed) => shared.store.update(place.key, found, renewed),
        None => shared.store.remove(&place.key, stored),
    }
}

fn renewed(
    plan: &Plan,
    place: &Place,
    stored: &Stored,
    fields: &HeaderMap,
    clock: &Clock,
) -> Option<std::sync::Arc<Stored>> {
    let now = clock.wall();
    let response = Received { status: stored.status, headers: fields, requested_at: now, received_at: now };
    let directives = ResponseDirectives::read(fields);
    may_store(&asked(plan, place), &plan.wants, &response, &directives, &plan.settings.rules).ok()?;
    let tags = tags::read(fields, &plan.settings.tags)?;
    Spot::of(plan, place).stored(&response, &directives, &tags, stored.content.clone())
}

/// A response that could be stored was asked for alone, because the one before could not: the next one is waited for again.
fn reconsider(plan: &Plan, place: &Place, response: &ResponseHeader, clock: &Clock) {
    let now = clock.wall();
    let headers = &response.headers;
    let received = Received { status: response.status, headers, requested_at: now, received_at: now };
    let directives = ResponseDirectives::read(headers);
    let rules = &plan.settings.rules;
    let may = may_store(&asked(plan, place), &plan.wants, &received, &directives, rules).is_ok();
    let freshness = Freshness::new(&received, &directives, rules);
    if may && freshness.judge(&RequestDirectives::default(), now) == Verdict::Fresh {
        plan.flight().iter().for_each(|flight| plan.settings.shared.flights.rejoin(flight));
    }
}

fn asked<'p>(plan: &Plan, place: &'p Place) -> Asked<'p> {
    Asked {
        method: &Method::GET,
        headers: &place.fields,
        has_content: false,
        has_credentials: plan.credentials,
        audience: plan.audience,
    }
}
