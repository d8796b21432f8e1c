//! The cache at its work: what its filter planned ([`crate::filters::cache`]) is done here, once all filters have seen the
//! request.
//!
//! Every response that may be stored is asked for by an [errand](errand) and [comes](fetch) to everyone alike, the client
//! that asked first among them; so nobody's leaving takes it from the others. What is not for the cache, or is known to be
//! for one client alone, goes the usual way and is only [looked at](observe) as it passes, and [kept](capture) if it turns
//! out to be for others, too.

mod capture;
mod errand;
mod fetch;
mod keep;
mod observe;
mod serve;

use std::sync::Arc;

use http::header::{AGE, AUTHORIZATION, RANGE};
use http::{HeaderMap, Method, StatusCode};
use pingora_core::Result;
use pingora_core::protocols::http::ServerSession;
use pingora_proxy::Session;

pub use self::capture::{Capture, passes, sends};
pub use self::errand::{Errand, answered, begin, failed};
use self::errand::{Failure, Parents, Told, prepare, stub};
use self::fetch::{Arrived, Fetch, Own, Waiting};
pub use self::observe::observe;
use super::context::Context;
use super::forward;
use super::rescue::{self, decision};
use crate::cache::flights::{Follower, Leader, Turn};
use crate::cache::parents::Child;
use crate::cache::shared::Landing;
use crate::cache::status::{self, Forward, Handled, Report};
use crate::cache::store::Audience;
use crate::cache::tiered::{Found, Look};
use crate::cache::validate;
use crate::cache::vary::Fingerprint;
use crate::filters::cache::{Course, Place, Plan, Settings};
use crate::http::length;
use crate::policy::Action;
use crate::state::Clock;
use crate::telemetry::metrics::CacheOutcome;

/// Answers with what the filter found.
pub async fn hit(session: &mut Session, ctx: &mut Context, clock: &Clock) -> Result<()> {
    if ctx.route.chain.wants_whole() {
        forward::edit(session.req_header_mut(), |parts| validate::make_whole(&mut parts.headers));
    }
    let Some(plan) = ctx.slots.plan() else { return Ok(()) };
    let (Course::Hit(found) | Course::Refresh(found)) = &plan.course else { return Ok(()) };
    let (found, settings) = (found.clone(), plan.settings.clone());
    let stale = found.freshness.ttl(ctx.facts.time) < 0;
    ctx.cache = Some(if stale { CacheOutcome::Stale } else { CacheOutcome::Hit });
    serve::stored(session, ctx, (&found, &settings), Handled::Hit, Vec::new(), clock).await
}

/// Answers if the cache has to do with it. If not, the request goes its usual way.
pub async fn proceed(session: &mut Session, ctx: &mut Context, clock: &Clock) -> Result<bool> {
    let (Some(plan), Action::Upstream(_)) = (ctx.slots.plan(), &ctx.route.action) else { return Ok(false) };
    match &plan.course {
        Course::Refresh(found) => {
            refresh(session, ctx, found.clone(), clock).await;
            hit(session, ctx, clock).await?;
            Ok(true)
        }
        Course::Ask(why, found) if session.req_header().method == Method::GET && !plan.wants.no_store => {
            let (why, found) = (*why, found.clone());
            Asking { why, found, clock }.answer(session, ctx).await
        }
        _ => Ok(false),
    }
}

/// Asks the origin for what is stale, unless somebody does already.
async fn refresh(session: &mut Session, ctx: &mut Context, found: Found, clock: &Clock) {
    let Some(plan) = ctx.slots.plan() else { return };
    let (shared, Some(place), Some(flight)) = (&plan.settings.shared, &plan.place, plan.flight()) else {
        return;
    };
    let leader = match shared.flights.join(flight, clock.nanos()) {
        Turn::Lead(leader) => Some(leader),
        Turn::Alone => None,
        Turn::Follow(_) => return,
    };
    // Another leader may have stored it a moment ago.
    if let Look::Fitting(other) = shared.store.look(&place.key, &place.fields)
        && !Arc::ptr_eq(&other.stored, &found.stored)
    {
        return;
    }
    let Some(permit) = shared.background() else { return };
    let Some(stub) = stub().await else { return };
    let asking = Asking { why: Forward::Stale, found: Some(found), clock };
    if let Some((mut fetch, ready)) = asking.fetch(&stub, session, ctx, leader) {
        fetch.permit = Some(permit);
        drop(fetch.start(ready));
    }
}

/// Where following another's question has led.
enum Followed {
    Answered,
    /// What came is of another variant than this one.
    Other(Fingerprint),
    Nowhere,
}

/// A request that the origin must be asked for.
struct Asking<'c> {
    why: Forward,
    /// What may be validated.
    found: Option<Found>,
    clock: &'c Clock,
}

impl Asking<'_> {
    /// Whether it answered.
    async fn answer(mut self, session: &mut Session, ctx: &mut Context) -> Result<bool> {
        let Some(plan) = ctx.slots.plan() else { return Ok(false) };
        let (settings, Some(mut flight)) = (plan.settings.clone(), plan.flight()) else { return Ok(false) };
        let mut regrouped = false;
        loop {
            match settings.shared.flights.join(flight, self.clock.nanos()) {
                Turn::Lead(leader) => return self.lead(session, ctx, leader, &settings).await,
                Turn::Follow(follower) => match self.follow(session, ctx, follower, &settings).await? {
                    Followed::Answered => return Ok(true),
                    Followed::Other(variant) if !regrouped => {
                        (flight, regrouped) = (flight.of_variant(variant), true);
                        continue;
                    }
                    Followed::Other(_) | Followed::Nowhere => {}
                },
                Turn::Alone => {}
            }
            if self.found.is_none() {
                return Ok(false);
            }
            return self.ask(session, ctx, None, &settings).await;
        }
    }

    async fn lead(
        &mut self,
        session: &mut Session,
        ctx: &mut Context,
        leader: Leader<Landing>,
        settings: &Settings,
    ) -> Result<bool> {
        let Some((plan, place)) = ctx.slots.plan().and_then(|plan| Some((plan, plan.place.as_ref()?))) else {
            return Ok(false);
        };
        // Another leader may have stored it a moment ago.
        if let Look::Fitting(found) = settings.shared.store.find(&place.key, &place.fields).await {
            if found.is_fresh(&plan.wants, self.clock.wall()) {
                return self.reuse(session, ctx, &found, settings).await;
            }
            self.found = Some(found);
        }
        self.ask(session, ctx, Some(leader), settings).await
    }

    async fn follow(
        &self,
        session: &mut Session,
        ctx: &mut Context,
        follower: Follower<Landing>,
        settings: &Settings,
    ) -> Result<Followed> {
        let late = follower.is_late();
        let landing = tokio::select! {
            landing = follower.wait(settings.patience) => landing,
            gone = serve::gone(session) => return Err(gone),
        };
        let place = ctx.slots.plan().and_then(|plan| plan.place.as_ref());
        let variant = place.and_then(|place| variant(landing.as_ref(), &place.fields));
        if self.share(session, ctx, landing, late).await? {
            return Ok(Followed::Answered);
        }
        Ok(variant.map_or(Followed::Nowhere, Followed::Other))
    }

    /// Answers with what was stored since the filter looked.
    async fn reuse(
        &self,
        session: &mut Session,
        ctx: &mut Context,
        found: &Found,
        settings: &Settings,
    ) -> Result<bool> {
        ctx.cache = Some(CacheOutcome::Hit);
        serve::stored(session, ctx, (found, settings), Handled::Hit, Vec::new(), self.clock).await?;
        Ok(true)
    }

    /// Answers with what another asked for, if it is for this one, too.
    async fn share(
        &self,
        session: &mut Session,
        ctx: &mut Context,
        landing: Option<Landing>,
        late: bool,
    ) -> Result<bool> {
        let Some(plan) = ctx.slots.plan() else { return Ok(false) };
        let (settings, wants, Some(place)) = (plan.settings.clone(), plan.wants, &plan.place) else {
            return Ok(false);
        };
        let handled = |stored| Handled::Forwarded { why: self.why, status: None, stored, collapsed: true };
        match landing {
            Some(Landing::Coming(coming)) if coming.fits(&place.fields, &wants, late, self.clock.wall()) => {
                let Some(reader) = coming.content.reader() else { return Ok(false) };
                ctx.cache = Some(CacheOutcome::Collapsed);
                let now = self.clock.wall();
                let mut fields = coming.fields.clone();
                fields.insert(AGE, status::age(coming.freshness.age(now)));
                let ttl = Some(coming.freshness.ttl(now));
                serve::tell(
                    &mut fields,
                    &settings,
                    &Report { handled: handled(false), ttl, key: None, detail: None },
                );
                let head = (coming.status, fields);
                serve::coming(session, ctx, head, (reader, coming.length), self.clock).await?;
                Ok(true)
            }
            Some(Landing::Holds(found)) if found.stored.fits(&place.fields) => {
                if late && !found.is_fresh(&wants, self.clock.wall()) {
                    return Ok(false);
                }
                ctx.cache = Some(CacheOutcome::Collapsed);
                serve::stored(session, ctx, (&found, &settings), handled(false), Vec::new(), self.clock)
                    .await?;
                Ok(true)
            }
            Some(Landing::Failed(status)) => self.stand_in(session, ctx, &settings, status).await,
            _ => Ok(false),
        }
    }

    /// Answers with what is stale, if the origin's failure allows that.
    async fn stand_in(
        &self,
        session: &mut Session,
        ctx: &mut Context,
        settings: &Settings,
        status: Option<StatusCode>,
    ) -> Result<bool> {
        let (Some(found), Some(plan)) = (&self.found, ctx.slots.plan()) else { return Ok(false) };
        let least = if status.is_none() { settings.rules.stale_if_unreachable } else { 0 };
        if !found.stands_in(&plan.wants, least, self.clock.wall()) {
            return Ok(false);
        }
        ctx.cache = Some(CacheOutcome::Stale);
        let status = status.map(|status| status.as_u16());
        let handled = Handled::Forwarded { why: self.why, status, stored: false, collapsed: false };
        serve::stored(session, ctx, (found, settings), handled, Vec::new(), self.clock).await?;
        Ok(true)
    }

    /// Asks the origin and answers with what comes.
    async fn ask(
        &mut self,
        session: &mut Session,
        ctx: &mut Context,
        mut leader: Option<Leader<Landing>>,
        settings: &Settings,
    ) -> Result<bool> {
        // Twice at most: what does not hold is not asked about again.
        loop {
            let Some(stub) = stub().await else { return Ok(false) };
            let Some((fetch, ready)) = self.fetch(&stub, session, ctx, leader.take()) else {
                return Ok(false);
            };
            drop(stub);
            match wait(session, fetch.start(ready)).await? {
                Some(Own::Arrived(arrived)) => return self.arrive(session, ctx, arrived, settings).await,
                Some(Own::Holds(found, told, cookies)) => {
                    note(ctx, &told);
                    ctx.cache = Some(CacheOutcome::Revalidated);
                    let status = Some(StatusCode::NOT_MODIFIED.as_u16());
                    let handled =
                        Handled::Forwarded { why: self.why, status, stored: true, collapsed: false };
                    serve::stored(session, ctx, (&found, settings), handled, cookies, self.clock).await?;
                    return Ok(true);
                }
                Some(Own::Again) => self.found = None,
                Some(Own::Failed(failure)) => {
                    self.fail(session, ctx, settings, failure).await?;
                    return Ok(true);
                }
                None => return Ok(false),
            }
        }
    }

    async fn fail(
        &self,
        session: &mut Session,
        ctx: &mut Context,
        settings: &Settings,
        failure: Failure,
    ) -> Result<()> {
        note(ctx, &failure.told);
        if self.stand_in(session, ctx, settings, None).await? {
            return Ok(());
        }
        ctx.cache = Some(CacheOutcome::Miss);
        // What must be validated and cannot be (RFC 9111 §5.2.2.2).
        let status = if self.found.is_some() { StatusCode::GATEWAY_TIMEOUT } else { failure.status };
        rescue::refuse(session, ctx, decision(status, failure.reason)).await
    }

    async fn arrive(
        &self,
        session: &mut Session,
        ctx: &mut Context,
        arrived: Arrived,
        settings: &Settings,
    ) -> Result<bool> {
        let Arrived { head, content, kept, told } = arrived;
        if crate::cache::freshness::is_failure(head.status)
            && self.stand_in(session, ctx, settings, Some(head.status)).await?
        {
            note(ctx, &told);
            return Ok(true);
        }
        if kept.is_err() && head.status == StatusCode::OK && session.req_header().headers.contains_key(RANGE)
        {
            // It is too long to be kept, or for this client alone: of that, it gets the part it asked for from the origin.
            return Ok(false);
        }
        note(ctx, &told);
        ctx.cache = Some(CacheOutcome::Miss);
        let handled =
            Handled::Forwarded { why: self.why, status: None, stored: kept.is_ok(), collapsed: false };
        let (ttl, detail) = match kept {
            Ok(freshness) => (Some(freshness.ttl(self.clock.wall())), None),
            Err(reason) => (None, Some(reason)),
        };
        let report = Report { handled, ttl, key: None, detail };
        let mut head = *head;
        forward::edit_response(&mut head, |parts| serve::tell(&mut parts.headers, settings, &report));
        if detail.is_some() {
            serve::untouched(session, ctx, head, content).await?;
        } else {
            let length = length::read(&head.headers);
            let fields = serve::of_the_message(&head.headers);
            serve::coming(session, ctx, (head.status, fields), (content, length), self.clock).await?;
        }
        Ok(true)
    }

    /// What asks, and how its answer is taken.
    fn fetch(
        &self,
        stub: &ServerSession,
        session: &Session,
        ctx: &Context,
        leader: Option<Leader<Landing>>,
    ) -> Option<(Fetch, errand::Ready)> {
        let plan = ctx.slots.plan()?;
        let place = plan.place.as_ref()?;
        let asked = Arc::new(place.fields.clone());
        let stored = self.found.as_ref().map(|found| found.stored.record.to_fields());
        let parents = parents(session, ctx, plan, place);
        let ready = prepare(stub, session, ctx, asked.clone(), parents, |fields| match &stored {
            Some(stored) => _ = validate::make_conditional(fields, stored),
            None => validate::make_whole(fields),
        })?;
        let fetch = Fetch {
            settings: plan.settings.clone(),
            wants: plan.wants,
            credentials: plan.credentials,
            audience: plan.audience,
            key: place.key,
            url: place.url.clone(),
            asked,
            asked_in: plan.asked_in,
            validated: self.found.clone(),
            replaced: None,
            outlasts: false,
            leader,
            clock: self.clock.clone(),
            permit: None,
        };
        Some((fetch, ready))
    }
}

/// Whom to ask before the origin. Nobody where a request proves who asks: what parents make of that proof cannot be known
/// here. And nobody while there are purges that parents cannot know of.
fn parents(session: &Session, ctx: &Context, plan: &Plan, place: &Place) -> Option<Parents> {
    let name = plan.settings.parents.as_deref()?;
    let fields = &session.req_header().headers;
    let proven = plan.credentials
        || plan.audience == Audience::Subject
        || !ctx.slots.callers().is_empty()
        || fields.contains_key(AUTHORIZATION)
        || ctx.snapshot.vouched.iter().any(|name| fields.contains_key(name));
    if proven {
        return None;
    }
    let purged = plan.settings.shared.fleet.last_known().ok()?;
    let service = ctx.snapshot.services.get(name)?.clone();
    let child = Child { key: place.key, scheme: ctx.facts.scheme, purged };
    Some(Parents { service, shard: place.key.to_shard(), child })
}

/// Of which variant a request is that what comes does not fit: all of that variant wait for each other again.
fn variant(landing: Option<&Landing>, request: &HeaderMap) -> Option<Fingerprint> {
    let Some(Landing::Coming(coming)) = landing else { return None };
    let (selector, theirs) = &coming.variant;
    Some(selector.fingerprint(request)).filter(|own| own != theirs)
}

/// Waits for what comes, and passes on what is said before that. `None` if nothing comes at all.
async fn wait(session: &mut Session, waiting: Waiting) -> Result<Option<Own>> {
    let Waiting { mut own, mut interim } = waiting;
    loop {
        tokio::select! {
            biased;
            Some(head) = interim.recv() => session.write_response_header(head, false).await?,
            own = &mut own => return Ok(own.ok()),
            gone = serve::gone(session) => return Err(gone),
        }
    }
}

/// Notes of the backend what the log tells.
fn note(ctx: &mut Context, told: &Told) {
    let attempts = &mut ctx.attempts;
    attempts.upstream.clone_from(&told.upstream);
    attempts.backend.clone_from(&told.backend);
    (attempts.status, attempts.duration) = (told.status, told.duration);
    attempts.retries_elsewhere = told.retries;
}
