//! `any_of` and `all_of`: several filters that stand as one, so that one of them, or each, has to let a request in.
//!
//! What always holds: an alternative that did not let the request in leaves no trace, neither in the request nor in who
//! calls; the filters that let it in, and only they, go on to its body and its response. A group in which nobody was asked
//! lets nobody in.

use std::ops::Range;

use bytes::Bytes;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderName, HeaderValue, StatusCode};
use pingora::http::ResponseHeader;

use super::chain::{Link, slots};
use super::http_signature::ACCEPT_SIGNATURE;
use super::{Exchange, Filter, Phases, Refusal, Reply, Step, Verdict};

/// How many of a group have to let a request in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// One, the first that does.
    Any,
    /// Each.
    All,
}

impl Way {
    /// Both, in the order of the documentation.
    pub const BOTH: [Self; 2] = [Self::Any, Self::All];

    /// The one of this name.
    #[must_use]
    pub fn of(kind: &str) -> Option<Self> {
        Self::BOTH.into_iter().find(|way| way.kind() == kind)
    }

    /// The name in a policy, metrics and logs.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Any => "any_of",
            Self::All => "all_of",
        }
    }

    /// What it is for, for the reference.
    #[must_use]
    pub const fn doc(self) -> &'static str {
        match self {
            Self::Any => {
                "Filters of which one has to find out who calls: they are asked in their order, and the first that lets the \
                 request pass decides. What another did to the request is undone. If none lets it pass, the refusal tells \
                 what was wrong with the credentials that were there, or 401 with all ways to show some; it is a 503 where \
                 one of them could not decide. Written `- any_of: [{ … }, { … }]`, or `- any_of: { filters: […], when: …, \
                 mode: … }`. Where the conditions of all of them leave them out: 403 `any_of_none`."
            }
            Self::All => {
                "Filters each of which has to find out who calls, as one alternative of `any_of`. Written as `any_of`. Where \
                 the conditions of all of them leave them out: 403 `all_of_none`."
            }
        }
    }

    const fn nobody_asked(self) -> &'static str {
        match self {
            Self::Any => "any_of_none",
            Self::All => "all_of_none",
        }
    }
}

/// Filters as one.
pub struct Group {
    way: Way,
    members: Box<[Link]>,
    /// Where the slots of each begin, counted from the group's own.
    offsets: Box<[usize]>,
    phases: Phases,
    /// The reasons with which members refuse a client that has shown nothing to go by.
    nothing_shown: Box<[&'static str]>,
}

/// The alternative that let the request in.
struct Chosen(usize);

impl Group {
    /// These filters as one. None of them may be in shadow mode.
    #[must_use]
    pub fn new(way: Way, members: Vec<Link>, nothing_shown: &[&'static str]) -> Self {
        let phases = members.iter().fold(Phases::REQUEST, |phases, link| phases.and(link.filter.phases()));
        let mut next = 1;
        let offset = |link: &Link| {
            let offset = next;
            next += slots(&*link.filter);
            offset
        };
        let offsets = members.iter().map(offset).collect();
        Self { way, members: members.into(), offsets, phases, nothing_shown: nothing_shown.into() }
    }

    /// The members, each with its slot.
    fn placed(&self, own: usize) -> impl DoubleEndedIterator<Item = (usize, &Link)> + ExactSizeIterator {
        self.offsets.iter().map(move |offset| own + offset).zip(&self.members)
    }

    /// Asks one after the other until one lets the request in.
    async fn any(&self, exchange: &mut Exchange<'_>) -> Verdict {
        let own = exchange.position();
        let mut turned_down = TurnedDown::default();
        for (index, (at, link)) in self.placed(own).enumerate() {
            if link.is_passed_by(exchange, at, None) {
                continue;
            }
            let before = exchange.mark();
            let verdict = ask(link, exchange.at(at)).await;
            if matches!(verdict, Verdict::Next) {
                if self.phases != Phases::REQUEST {
                    exchange.at(own).keep(Chosen(index));
                }
                return verdict;
            }
            exchange.back_to(before, at..at + slots(&*link.filter));
            turned_down.note(link.kind, verdict, &self.nothing_shown);
        }
        turned_down.verdict()
    }

    /// Asks each in turn until one does not let the request in.
    async fn all(&self, exchange: &mut Exchange<'_>) -> Verdict {
        let own = exchange.position();
        let mut asked = false;
        for (at, link) in self.placed(own) {
            if link.is_passed_by(exchange, at, None) {
                continue;
            }
            asked = true;
            match ask(link, exchange.at(at)).await {
                Verdict::Next => {}
                verdict => return verdict,
            }
        }
        if asked { Verdict::Next } else { nobody_asked(self.way) }
    }

    /// The members that take part in what comes after the request's head, each with its slot.
    fn going_on<'g>(
        &'g self,
        exchange: &mut Exchange<'_>,
        phase: Phases,
    ) -> impl DoubleEndedIterator<Item = (usize, &'g Link)> + use<'g> {
        let own = exchange.position();
        let range: Range<usize> = match (self.way, exchange.slot::<Chosen>()) {
            (Way::All, _) => 0..self.members.len(),
            (Way::Any, Some(Chosen(index))) => *index..*index + 1,
            (Way::Any, None) => 0..0,
        };
        let placed = self.placed(own).skip(range.start).take(range.len());
        placed.filter(move |(_, link)| link.filter.phases().contains(phase))
    }
}

async fn ask(link: &Link, exchange: &mut Exchange<'_>) -> Verdict {
    match link.filter.on_request(exchange) {
        Step::Now(verdict) => verdict,
        Step::Later(verdict) => verdict.await,
    }
}

/// With conditions, a group may come to be about nothing; it would let everybody in.
fn nobody_asked(way: Way) -> Verdict {
    Verdict::Refuse(Box::new(Refusal::new(StatusCode::FORBIDDEN, way.nobody_asked())))
}

impl Filter for Group {
    fn phases(&self) -> Phases {
        self.phases
    }

    fn members(&self) -> &[Link] {
        &self.members
    }

    fn on_request<'a>(&'a self, exchange: &'a mut Exchange<'_>) -> Step<'a> {
        Step::Later(Box::pin(async move {
            match self.way {
                Way::Any => self.any(exchange).await,
                Way::All => self.all(exchange).await,
            }
        }))
    }

    fn on_request_body(
        &self,
        exchange: &mut Exchange<'_>,
        body: &mut Option<Bytes>,
        end: bool,
    ) -> Result<(), Refusal> {
        for (at, link) in self.going_on(exchange, Phases::REQUEST_BODY) {
            if !link.is_passed_by(exchange, at, None) {
                link.filter.on_request_body(exchange.at(at), body, end)?;
            }
        }
        Ok(())
    }

    fn on_response(&self, exchange: &mut Exchange<'_>, response: &mut ResponseHeader) -> Result<(), Refusal> {
        for (at, link) in self.going_on(exchange, Phases::RESPONSE).rev() {
            if !link.is_passed_by(exchange, at, Some(response)) {
                link.filter.on_response(exchange.at(at), response)?;
            }
        }
        Ok(())
    }

    fn on_response_body(
        &self,
        exchange: &mut Exchange<'_>,
        body: &mut Option<Bytes>,
        end: bool,
    ) -> Result<(), Refusal> {
        for (at, link) in self.going_on(exchange, Phases::RESPONSE_BODY).rev() {
            if !link.is_passed_by(exchange, at, None) {
                link.filter.on_response_body(exchange.at(at), body, end)?;
            }
        }
        Ok(())
    }
}

/// Why no alternative let the request in so far. Of each sort the first is kept.
#[derive(Default)]
struct TurnedDown {
    /// It could not be decided whether the credentials are good.
    undecided: Option<Box<Refusal>>,
    /// There were credentials, and they are no good.
    wrong: Option<Box<Refusal>>,
    /// A filter would send the client somewhere to get credentials.
    reply: Option<Box<Reply>>,
    /// There were none.
    missing: Option<Box<Refusal>>,
    /// All ways to say who one is.
    challenges: Vec<Challenge>,
    /// Each alternative with its reason, for the log.
    why: String,
}

impl TurnedDown {
    fn note(&mut self, kind: &str, verdict: Verdict, nothing_shown: &[&str]) {
        match verdict {
            Verdict::Next | Verdict::Stored => {}
            Verdict::Respond(reply) => _ = self.reply.get_or_insert(reply),
            Verdict::Refuse(refusal) => {
                let parts = [if self.why.is_empty() { "" } else { ", " }, kind, ": ", refusal.reason];
                self.why.extend(parts);
                self.challenges.extend(challenges(&refusal));
                let unshown = nothing_shown.contains(&refusal.reason);
                let asks = refusal.status == StatusCode::UNAUTHORIZED;
                let place = if refusal.status.is_server_error() {
                    &mut self.undecided
                } else if unshown {
                    &mut self.missing
                } else {
                    &mut self.wrong
                };
                // Where one has no way to ask, the next one's way counts.
                let mute = |told: &Refusal| told.status == StatusCode::FORBIDDEN && told.answer.is_none();
                if place.as_ref().is_none_or(|told| unshown && asks && mute(told)) {
                    *place = Some(refusal);
                }
            }
        }
    }

    /// What the client is told: above all what it can do something about.
    fn verdict(self) -> Verdict {
        let refusal = match (self.undecided.or(self.wrong), self.reply) {
            (Some(refusal), _) => refusal,
            (None, Some(reply)) => return Verdict::Respond(reply),
            (None, None) => match self.missing {
                Some(refusal) => refusal,
                None => return nobody_asked(Way::Any),
            },
        };
        let mut refusal = Refusal { why: Some(self.why.into()), ..*refusal };
        if refusal.status == StatusCode::UNAUTHORIZED {
            challenge(&mut refusal, self.challenges);
        }
        Verdict::Refuse(Box::new(refusal))
    }
}

/// A way to say who one is, or what to sign.
type Challenge = (HeaderName, HeaderValue);

fn is_challenge(name: &HeaderName) -> bool {
    *name == WWW_AUTHENTICATE || *name == ACCEPT_SIGNATURE
}

/// The ways to say who one is that a refusal names.
fn challenges(refusal: &Refusal) -> Vec<Challenge> {
    let own = refusal.headers.iter().map(|(name, value)| (name, value));
    let answered = refusal.answer.iter().flat_map(|reply| reply.head.headers.iter());
    let all = own.chain(answered).filter(|(name, _)| is_challenge(name));
    all.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Has a refusal name these ways, each once, in place of its own.
fn challenge(refusal: &mut Refusal, mut challenges: Vec<Challenge>) {
    let mut told = Vec::new();
    challenges.retain(|challenge| {
        let new = !told.contains(challenge);
        told.push(challenge.clone());
        new
    });
    if let Some(reply) = &mut refusal.answer {
        reply.head.remove_header(&WWW_AUTHENTICATE);
        reply.head.remove_header(&ACCEPT_SIGNATURE);
        for (name, value) in challenges {
            // Fails for malformed values alone, and these were sent before.
            _ = reply.head.append_header(name, value);
        }
        return;
    }
    refusal.headers.retain(|(name, _)| !is_challenge(name));
    refusal.headers.extend(challenges);
}

#[cfg(test)]
mod tests;
