//! A chain: the filters of one route, in the order the policy names them. Requests pass it forwards, responses
//! backwards, so that the first filter is the outermost both ways.
//!
//! What always holds: a filter is called only in the phases it takes part in, only its own slot is open to it, and a
//! filter in shadow mode decides without changing anything that goes in either direction. The chain neither counts
//! nor logs; it says who decided what, and its caller does that for all filters alike.
//!
//! A filter with a condition is passed by, in all phases, when the condition is known not to hold. It runs when that
//! cannot be known: a filter mostly protects, and nobody gets around it by leaving something out.

use bytes::Bytes;
use http::HeaderName;
use pingora::http::{RequestHeader, ResponseHeader};

use super::{
    Condition, Exchange, Facts, Fields, Filter, Hold, Origin, Phases, Refusal, Reply, Slots, Step, Verdict,
};
use crate::state::labour::do_aside;

/// One filter of a chain.
pub struct Link {
    /// Its name in the policy, metrics and logs.
    pub kind: &'static str,
    /// Whether it only says what it would have done (`mode: shadow`).
    pub shadow: bool,
    /// Which exchanges it is for (`when:`); all without.
    pub when: Option<Condition>,
    /// The filter itself.
    pub filter: Box<dyn Filter>,
}

/// The filters of one route, with a dense list for each phase.
pub struct Chain {
    links: Box<[Link]>,
    request: Box<[Place]>,
    request_body: Box<[Place]>,
    response: Box<[Place]>,
    response_body: Box<[Place]>,
}

/// Where a filter is.
#[derive(Clone, Copy)]
struct Place {
    /// Among the links.
    link: usize,
    /// What it keeps of an exchange, and whether it is passed by.
    slot: usize,
}

/// What became of a request's head.
#[derive(Debug)]
pub enum Outcome {
    /// Every filter let it pass.
    Pass,
    /// A filter answered by itself; this is no refusal.
    Respond {
        /// The filter that answered.
        filter: &'static str,
        /// Its answer.
        reply: Box<Reply>,
    },
    /// A stored response answers it.
    Stored,
    /// A filter refused.
    Refuse(Decision),
}

/// A refusal, and the filter it comes from.
#[derive(Debug)]
pub struct Decision {
    /// The filter's name.
    pub filter: &'static str,
    /// What it decided.
    pub refusal: Box<Refusal>,
}

/// What a filter in shadow mode would have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shadow {
    /// The filter's name.
    pub filter: &'static str,
    /// The refusal's reason, or [`RESPONDS`].
    pub reason: &'static str,
    position: usize,
}

/// The reason in a [`Shadow`] where the filter would have answered by itself.
pub const RESPONDS: &str = "responds";

/// What the shadow filters of one exchange would have done: at most one entry for each. Allocates with the first.
#[derive(Debug, Default)]
pub struct Shadows(Vec<Shadow>);

impl Shadows {
    /// The entries, in the order they came about.
    pub fn iter(&self) -> impl Iterator<Item = &Shadow> {
        self.0.iter()
    }

    /// Whether no shadow filter would have interfered.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What comes of a filter's result: nothing but a note where the filter is in shadow mode.
    fn settle(&mut self, link: &Link, position: usize, result: Result<(), Refusal>) -> Result<(), Decision> {
        match result {
            Err(refusal) if link.shadow => self.push(link, position, refusal.reason),
            result => result.map_err(|refusal| link.decision(refusal))?,
        }
        Ok(())
    }

    fn push(&mut self, link: &Link, position: usize, reason: &'static str) {
        self.0.push(Shadow { filter: link.kind, reason, position });
    }

    /// Whether the filter has decided already, which it can have in shadow mode alone: in force it would have ended the
    /// exchange and seen no more of it.
    fn decided(&self, position: usize) -> bool {
        self.0.iter().any(|shadow| shadow.position == position)
    }
}

impl Chain {
    /// A chain of these filters.
    #[must_use]
    pub fn new(links: Vec<Link>) -> Self {
        let mut next = 0;
        let places: Vec<Place> = links
            .iter()
            .enumerate()
            .map(|(link, Link { filter, .. })| {
                let slot = next;
                next += slots(&**filter);
                Place { link, slot }
            })
            .collect();
        let of = |phase| {
            let places = links.iter().zip(&places).filter(|(link, _)| link.filter.phases().contains(phase));
            places.map(|(_, place)| *place).collect()
        };
        Self {
            request: of(Phases::REQUEST),
            request_body: of(Phases::REQUEST_BODY),
            response: of(Phases::RESPONSE),
            response_body: of(Phases::RESPONSE_BODY),
            links: links.into(),
        }
    }

    /// Whether a part of an answer is of no use to one of its filters.
    #[must_use]
    pub fn wants_whole(&self) -> bool {
        self.links.iter().any(|link| !link.shadow && link.filter.wants_whole())
    }

    /// The names of its filters, each followed by those of the filters in it.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        each(&self.links).map(|link| link.kind)
    }

    /// The request headers by which its filters tell upstreams who calls.
    pub fn vouched(&self) -> impl Iterator<Item = &HeaderName> {
        each(&self.links).flat_map(|link| link.filter.vouches_for())
    }

    /// The request headers by which its filters are given credentials.
    pub fn secret_headers(&self) -> impl Iterator<Item = &HeaderName> {
        each(&self.links).flat_map(|link| link.filter.secret_headers())
    }

    /// The query parameters by which its filters are given credentials.
    pub fn secret_parameters(&self) -> impl Iterator<Item = &str> {
        each(&self.links).flat_map(|link| link.filter.secret_parameters())
    }

    /// The cookies that are between browsers and its filters alone.
    pub fn secret_cookies(&self) -> impl Iterator<Item = &str> {
        each(&self.links).filter_map(|link| link.filter.secret_cookie())
    }

    /// The paths that its filters answer themselves, with the filter's name.
    pub fn answers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        each(&self.links).flat_map(|link| link.filter.answers().iter().map(|path| (link.kind, &**path)))
    }

    /// Whether any filter looks at response heads.
    #[must_use]
    pub fn has_response(&self) -> bool {
        !self.response.is_empty()
    }

    /// Whether any filter looks at request bodies.
    #[must_use]
    pub fn has_request_body(&self) -> bool {
        !self.request_body.is_empty()
    }

    /// Whether any filter looks at response bodies.
    #[must_use]
    pub fn has_response_body(&self) -> bool {
        !self.response_body.is_empty()
    }

    /// Passes the request's head through the filters until one ends it. Waits only where a filter does, and allocates
    /// nothing of its own unless a filter is in shadow mode.
    pub async fn request(&self, exchange: &mut Exchange<'_>, shadows: &mut Shadows) -> Outcome {
        for (position, link) in self.along(&self.request) {
            if link.is_passed_by(exchange, position, None) {
                continue;
            }
            let untouched: Option<(RequestHeader, Hold)> =
                link.shadow.then(|| (exchange.request.clone(), exchange.slots.hold));
            let verdict = match link.filter.on_request(exchange.at(position)) {
                Step::Now(verdict) => verdict,
                Step::Later(verdict) => verdict.await,
            };
            if let Some((request, hold)) = untouched {
                *exchange.request = request;
                exchange.slots.hold = hold;
                match verdict {
                    Verdict::Next => {}
                    Verdict::Respond(_) | Verdict::Stored => shadows.push(link, position, RESPONDS),
                    Verdict::Refuse(refusal) => shadows.push(link, position, refusal.reason),
                }
                continue;
            }
            match verdict {
                Verdict::Next => {}
                Verdict::Respond(reply) => return Outcome::Respond { filter: link.kind, reply },
                Verdict::Stored => return Outcome::Stored,
                Verdict::Refuse(refusal) => return Outcome::Refuse(Decision { filter: link.kind, refusal }),
            }
        }
        Outcome::Pass
    }

    /// Passes a piece of the request body through the filters; `end` marks the last call.
    ///
    /// # Errors
    /// The first refusal in force. The request must not be completed towards the upstream then.
    pub async fn request_body(
        &self,
        exchange: &mut Exchange<'_>,
        shadows: &mut Shadows,
        body: &mut Option<Bytes>,
        end: bool,
    ) -> Result<(), Decision> {
        for (position, link) in self.along(&self.request_body) {
            if link.is_passed_by(exchange, position, None) || shadows.decided(position) {
                continue;
            }
            let mut copy = link.shadow.then(|| body.clone());
            let piece = copy.as_mut().unwrap_or(body);
            let result = link.request_body(exchange.at(position), piece, end).await;
            shadows.settle(link, position, result)?;
        }
        Ok(())
    }

    /// Passes the response's head through the filters, last one first. Filters in shadow mode see a copy.
    ///
    /// # Errors
    /// The first refusal in force; the filters before it in the policy have not seen this head.
    pub fn response(
        &self,
        exchange: &mut Exchange<'_>,
        shadows: &mut Shadows,
        response: &mut ResponseHeader,
    ) -> Result<(), Decision> {
        for (position, link) in self.along(&self.response).rev() {
            if link.is_passed_by(exchange, position, Some(response)) || shadows.decided(position) {
                continue;
            }
            let holds = exchange.slots.holds_response;
            let mut copy = link.shadow.then(|| response.clone());
            let head = copy.as_mut().unwrap_or(response);
            let result = link.filter.on_response(exchange.at(position), head);
            if link.shadow {
                exchange.slots.holds_response = holds;
            }
            shadows.settle(link, position, result)?;
        }
        Ok(())
    }

    /// Passes a piece of the response body through the filters, last one first; `end` marks the last call. What takes long
    /// is done at once: the caller cannot wait.
    ///
    /// # Errors
    /// The first refusal in force. Unless the head waits, the response can only be cut short.
    pub fn response_body(
        &self,
        exchange: &mut Exchange<'_>,
        shadows: &mut Shadows,
        body: &mut Option<Bytes>,
        end: bool,
    ) -> Result<(), Decision> {
        for (position, link) in self.along(&self.response_body).rev() {
            if link.is_passed_by(exchange, position, None) || shadows.decided(position) {
                continue;
            }
            let mut copy = link.shadow.then(|| body.clone());
            let piece = copy.as_mut().unwrap_or(body);
            let result = link.response_body_now(exchange.at(position), piece, end);
            shadows.settle(link, position, result)?;
        }
        Ok(())
    }

    /// The same, and what takes long is done aside.
    ///
    /// # Errors
    /// As [`Chain::response_body`].
    pub async fn response_body_aside(
        &self,
        exchange: &mut Exchange<'_>,
        shadows: &mut Shadows,
        body: &mut Option<Bytes>,
        end: bool,
    ) -> Result<(), Decision> {
        for (position, link) in self.along(&self.response_body).rev() {
            if link.is_passed_by(exchange, position, None) || shadows.decided(position) {
                continue;
            }
            let mut copy = link.shadow.then(|| body.clone());
            let piece = copy.as_mut().unwrap_or(body);
            let result = link.response_body(exchange.at(position), piece, end).await;
            shadows.settle(link, position, result)?;
        }
        Ok(())
    }

    /// Shows a whole request to the filters of one kind alone, each by itself, and says what they decide: for a look at a
    /// request that is over. Conditions are not asked, and nothing of what the filters do to the request stays.
    pub async fn review(
        &self,
        kind: &str,
        sample: (&RequestHeader, &Facts),
        body: &Bytes,
    ) -> Vec<Result<(), Box<Refusal>>> {
        let mut decisions = Vec::new();
        for link in each(&self.links).filter(|link| link.kind == kind) {
            let (mut request, mut slots) = (sample.0.clone(), Slots::default());
            let mut exchange = Exchange::new(&mut request, sample.1, Origin::Upstream, &mut slots, 0);
            let verdict = match link.filter.on_request(&mut exchange) {
                Step::Now(verdict) => verdict,
                Step::Later(verdict) => verdict.await,
            };
            decisions.push(match verdict {
                Verdict::Refuse(refusal) => Err(refusal),
                Verdict::Respond(_) | Verdict::Stored => Ok(()),
                Verdict::Next if !sample.1.has_body => Ok(()),
                Verdict::Next => {
                    let body = &mut Some(body.clone());
                    link.request_body(&mut exchange, body, true).await.map_err(Box::new)
                }
            });
        }
        decisions
    }

    fn along<'a>(&'a self, phase: &'a [Place]) -> impl DoubleEndedIterator<Item = (usize, &'a Link)> {
        phase.iter().filter_map(|place| Some((place.slot, self.links.get(place.link)?)))
    }
}

/// These filters, each followed by those in it. Groups hold groups no deeper than a policy may nest them.
pub fn each(links: &[Link]) -> impl Iterator<Item = &Link> {
    let mut open = vec![links.iter()];
    std::iter::from_fn(move || {
        loop {
            match open.last_mut()?.next() {
                Some(link) => {
                    open.push(link.filter.members().iter());
                    return Some(link);
                }
                None => _ = open.pop(),
            }
        }
    })
}

/// How many slots a filter takes: its own, and those of the filters in it.
#[must_use]
pub fn slots(filter: &dyn Filter) -> usize {
    1 + each(filter.members()).count()
}

/// Does aside what a filter has asked to be done there.
async fn what_waits_aside(exchange: &mut Exchange<'_>) -> Result<(), Refusal> {
    match exchange.job() {
        Some(job) => do_aside(job).await,
        None => Ok(()),
    }
}

impl Link {
    /// Shows the filter a piece of the body, and waits for what it wants done aside.
    async fn request_body(
        &self,
        exchange: &mut Exchange<'_>,
        body: &mut Option<Bytes>,
        end: bool,
    ) -> Result<(), Refusal> {
        self.filter.on_request_body(exchange, body, end)?;
        what_waits_aside(exchange).await
    }

    /// The same of a piece of the response's body.
    async fn response_body(
        &self,
        exchange: &mut Exchange<'_>,
        body: &mut Option<Bytes>,
        end: bool,
    ) -> Result<(), Refusal> {
        self.filter.on_response_body(exchange, body, end)?;
        what_waits_aside(exchange).await
    }

    /// The same, where nobody can wait.
    fn response_body_now(
        &self,
        exchange: &mut Exchange<'_>,
        body: &mut Option<Bytes>,
        end: bool,
    ) -> Result<(), Refusal> {
        self.filter.on_response_body(exchange, body, end)?;
        exchange.job().map_or(Ok(()), |job| job())
    }

    /// Whether the exchange is none of the filter's. Decided once, in the first phase the filter takes part in.
    pub(super) fn is_passed_by(
        &self,
        exchange: &mut Exchange<'_>,
        position: usize,
        response: Option<&ResponseHeader>,
    ) -> bool {
        let Some(when) = &self.when else { return false };
        if let Some(decided) = exchange.slots.conditions.decided(position) {
            return decided;
        }
        let fields = match response {
            None => Fields::of_request(exchange),
            Some(response) => Fields::of_response(exchange, response),
        };
        let passed_by = when.evaluate(&fields).is_false();
        exchange.slots.conditions.decide(position, passed_by);
        passed_by
    }

    fn decision(&self, refusal: Refusal) -> Decision {
        Decision { filter: self.kind, refusal: Box::new(refusal) }
    }
}

#[cfg(test)]
mod tests;
