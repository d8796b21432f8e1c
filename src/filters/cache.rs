//! Looks for a stored response, and says what is to be done with the one that the origin will send.
//!
//! What always holds: what is looked for is told apart by everything that the key knows of a request ([`crate::cache::key`])
//! and by whom it comes from; filters before this one have let the request pass, also where it is answered from here. What
//! is not found here is asked for at the end of the chain, when all filters have seen the request: this one leaves its
//! [`Plan`] for that.

mod disk;
mod place;
mod plan;
mod spec;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, header};
use pingora::http::ResponseHeader;

use self::place::{credentials, subject};
pub use self::plan::{Course, Place, Plan};
pub use self::spec::{Purges, Settings, Spec, Store, shared};
use super::{Exchange, Filter, Phases, Refusal, Reply, Step, Verdict};
use crate::cache::fleet::Reach;
use crate::cache::freshness::{Verdict as Freshness, Why};
use crate::cache::parents::Child;
use crate::cache::purge::{How, Scope};
use crate::cache::status::Forward;
use crate::cache::store::{Asked, Audience, may_look_up};
use crate::cache::tiered::{Found, Look, Search};
use crate::cache::validate::is_for_the_origin;
use crate::cache::{RequestDirectives, invalidate};

/// How long a purge waits for the fleet to be told.
const PURGE_WITHIN: Duration = Duration::from_secs(3);

/// Looks at requests alone: responses are dealt with where they come in.
struct Cache {
    settings: Arc<Settings>,
    /// The same for children, which are caches, too, and ask no parents in turn.
    for_children: Arc<Settings>,
}

impl Filter for Cache {
    fn phases(&self) -> Phases {
        Phases::REQUEST
    }

    fn on_request<'a>(&'a self, exchange: &'a mut Exchange<'_>) -> Step<'a> {
        place::settle_query(exchange, &self.settings.query);
        if exchange.request.method.as_str() == "PURGE"
            && let Some(purgers) = &self.settings.purgers
        {
            if !purgers.contains(exchange.client_ip()) {
                return Step::refuse(StatusCode::FORBIDDEN, "purge");
            }
            return self.purge(exchange);
        }
        let plan = self.plan(exchange);
        match self.on_disk(&plan) {
            Some(search) => Step::Later(Box::pin(self.search(search, plan, exchange))),
            None => Step::Now(conclude(plan, exchange)),
        }
    }
}

/// Leaves the plan to those who carry it out.
fn conclude(plan: Plan, exchange: &mut Exchange<'_>) -> Verdict {
    let verdict = match &plan.course {
        Course::Hit(_) => Verdict::Stored,
        Course::Ask(..) if plan.wants.only_if_cached => {
            // RFC 9111 §5.2.1.7.
            Refusal::new(StatusCode::GATEWAY_TIMEOUT, "only_if_cached").into()
        }
        Course::Ask(..) | Course::Refresh(_) | Course::Pass(..) => Verdict::Next,
    };
    exchange.slots.plan = Some(Box::new(plan));
    verdict
}

impl Cache {
    fn new(settings: Settings) -> Self {
        let for_children = Settings { hidden: Vec::new(), parents: None, ..settings.clone() };
        Self { settings: Arc::new(settings), for_children: Arc::new(for_children) }
    }

    fn purge<'a>(&self, exchange: &Exchange<'_>) -> Step<'a> {
        let scheme = exchange.facts.scheme;
        let host = place::host(exchange, scheme);
        let target = host.as_deref().and_then(|host| place::target(exchange, scheme, host));
        let Some(target) = target else { return Step::NEXT };
        let telling = self.settings.shared.purge(&[Scope::Url(target.to_string())], How::Hard);
        Step::Later(Box::pin(async move {
            let status = match telling.within(PURGE_WITHIN).await {
                Reach::Alone | Reach::Fleet => StatusCode::NO_CONTENT,
                Reach::HereSoFar => StatusCode::ACCEPTED,
            };
            let (mut parts, ()) = Response::new(()).into_parts();
            parts.status = status;
            Verdict::Respond(Box::new(Reply { head: ResponseHeader::from(parts), body: Bytes::new() }))
        }))
    }

    /// Whether what is not in memory may be on disk.
    fn on_disk(&self, plan: &Plan) -> Option<Search> {
        match (&plan.course, &plan.place) {
            (Course::Ask(Forward::UriMiss | Forward::VaryMiss, None), Some(place)) => {
                self.settings.shared.store.on_disk(&place.key)
            }
            _ => None,
        }
    }

    async fn search(&self, search: Search, mut plan: Plan, exchange: &mut Exchange<'_>) -> Verdict {
        if let Some(place) = &plan.place {
            match self.settings.shared.store.search(search, &place.key, &place.fields).await {
                Look::Fitting(found) => plan.course = course(found, &plan.wants, exchange),
                Look::Others => plan.course = Course::Ask(Forward::VaryMiss, None),
                Look::Nothing => {}
            }
        }
        conclude(plan, exchange)
    }

    fn plan(&self, exchange: &Exchange<'_>) -> Plan {
        let headers = &exchange.request.headers;
        // Only a trusted one gets in.
        let child = Child::read(headers);
        let scheme = child.map_or(exchange.facts.scheme, |child| child.scheme);
        let mut wants = RequestDirectives::read(headers);
        if !self.settings.honours_requests {
            wants = RequestDirectives { no_store: wants.no_store, ..RequestDirectives::default() };
        }
        wants.no_cache |= self.is_behind(child.as_ref());
        let pass = |why, reason, place| Plan {
            settings: if child.is_some() { &self.for_children } else { &self.settings }.clone(),
            wants,
            credentials: credentials(exchange, child.as_ref()),
            audience: Audience::Anyone,
            child,
            asked_in: self.settings.shared.store.epoch(),
            place,
            course: Course::Pass(why, reason),
        };
        let method = &exchange.request.method;
        let asked = Asked {
            method,
            headers,
            has_content: exchange.facts.has_body,
            has_credentials: false,
            audience: Audience::Anyone,
        };
        let host = place::host(exchange, scheme);
        let target = host.as_deref().and_then(|host| place::target(exchange, scheme, host));
        let Some(target) = target else {
            return pass(Forward::Bypass, Some("target"), None);
        };
        let subject = if self.settings.per_identity { subject(exchange) } else { Vec::new() };
        let audience = if subject.is_empty() { Audience::Anyone } else { Audience::Subject };
        if let Err(refusal) = may_look_up(&asked) {
            let is_method = *method != Method::GET && *method != Method::HEAD;
            let why = if is_method { Forward::Method } else { Forward::Bypass };
            // What a write makes untrue is named by its place, where what a POST brings may be kept, too.
            let place = invalidate::is_unsafe(method).then(|| Place {
                fields: if *method == Method::POST { headers.clone() } else { HeaderMap::new() },
                ..Place::new(self.key(exchange, &target, &subject, None), &target)
            });
            return Plan { audience, ..pass(why, (!is_method).then_some(refusal.reason()), place) };
        }
        if is_for_the_origin(headers) || headers.contains_key(header::UPGRADE) {
            return pass(Forward::Bypass, Some("condition"), None);
        }
        let key = self.key(exchange, &target, &subject, child.as_ref());
        let course = match self.settings.shared.store.look(&key, headers) {
            Look::Fitting(found) => course(found, &wants, exchange),
            Look::Others => Course::Ask(Forward::VaryMiss, None),
            Look::Nothing => Course::Ask(Forward::UriMiss, None),
        };
        let place = match course {
            Course::Hit(_) => None,
            _ => Some(Place { fields: headers.clone(), ..Place::new(key, &target) }),
        };
        Plan { audience, place, course, ..pass(Forward::Bypass, None, None) }
    }

    /// Whether the child knows of a purge that is still on its way to here. It must not get what was purged.
    fn is_behind(&self, child: Option<&Child>) -> bool {
        child.and_then(|child| child.purged) > self.settings.shared.fleet.position()
    }
}

/// What becomes of a request for which something is stored.
fn course(found: Found, wants: &RequestDirectives, exchange: &Exchange<'_>) -> Course {
    if found.stored.is_part() && exchange.request.method == Method::HEAD {
        // Of a part nobody knows what a HEAD would say of the whole.
        return Course::Ask(Forward::UriMiss, None);
    }
    match found.freshness.judge(wants, exchange.facts.time) {
        Freshness::Fresh | Freshness::Stale => Course::Hit(found),
        // Nobody waits for the origin, and nobody may ask it for a client that does not want it asked.
        Freshness::StaleWhileRevalidate if wants.only_if_cached => Course::Hit(found),
        Freshness::StaleWhileRevalidate => Course::Refresh(found),
        Freshness::Validate(Why::Stale) => Course::Ask(Forward::Stale, Some(found)),
        Freshness::Validate(Why::Request) => Course::Ask(Forward::Request, Some(found)),
    }
}

impl From<Refusal> for Verdict {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(Box::new(refusal))
    }
}

#[cfg(test)]
mod tests;
