use std::sync::{Arc, Mutex};
use std::task::Poll;

use http::StatusCode;

use super::*;
use crate::filters::exchange::Sample;
use crate::filters::testing::run;

/// What a [`Fake`] does when its turn comes.
#[derive(Clone, Copy, PartialEq)]
enum Act {
    Pass,
    Refuse,
    Respond,
    /// Refuses, but only at the second time of asking.
    RefuseLater,
    PassLater,
}

/// Writes down each call, counts its calls in its slot, and edits whatever it can reach.
struct Fake {
    name: &'static str,
    phases: Phases,
    on_request: Act,
    on_body: Act,
    on_response: Act,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    fn note(&self, exchange: &mut Exchange<'_>, what: &str) {
        let count = exchange.slot::<u32>().map_or(1, |count| *count + 1);
        exchange.keep(count);
        self.calls.lock().unwrap().push(format!("{} {what} {count}", self.name));
    }

    fn result(act: Act) -> Result<(), Refusal> {
        match act {
            Act::Refuse => Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_much")),
            _ => Ok(()),
        }
    }

    fn edit(&self, body: &mut Option<Bytes>) {
        if let Some(piece) = body {
            *body = Some([piece.as_ref(), self.name.as_bytes()].concat().into());
        }
    }
}

impl Filter for Fake {
    fn phases(&self) -> Phases {
        self.phases
    }

    fn on_request<'a>(&'a self, exchange: &'a mut Exchange<'_>) -> Step<'a> {
        self.note(exchange, "request");
        exchange.request.insert_header("x-last", self.name).unwrap();
        let refusal = Refusal::new(StatusCode::FORBIDDEN, "not_you");
        match self.on_request {
            Act::Pass => Step::NEXT,
            Act::Refuse => refusal.into(),
            Act::Respond => {
                Reply { head: ResponseHeader::build(204, None).unwrap(), body: Bytes::new() }.into()
            }
            Act::PassLater | Act::RefuseLater => Step::Later(Box::pin(async move {
                pending_once().await;
                self.note(exchange, "later");
                match self.on_request {
                    Act::RefuseLater => Verdict::Refuse(Box::new(refusal)),
                    _ => Verdict::Next,
                }
            })),
        }
    }

    fn on_request_body(
        &self,
        exchange: &mut Exchange<'_>,
        body: &mut Option<Bytes>,
        _end: bool,
    ) -> Result<(), Refusal> {
        self.note(exchange, "request_body");
        self.edit(body);
        Self::result(self.on_body)
    }

    fn on_response(&self, exchange: &mut Exchange<'_>, response: &mut ResponseHeader) -> Result<(), Refusal> {
        self.note(exchange, "response");
        response.append_header("x-by", self.name).unwrap();
        Self::result(self.on_response)
    }

    fn on_response_body(
        &self,
        exchange: &mut Exchange<'_>,
        body: &mut Option<Bytes>,
        _end: bool,
    ) -> Result<(), Refusal> {
        self.note(exchange, "response_body");
        self.edit(body);
        Self::result(self.on_response)
    }
}

async fn pending_once() {
    let mut polled = false;
    std::future::poll_fn(|context| {
        if polled {
            return Poll::Ready(());
        }
        polled = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

const ALL: Phases =
    Phases::REQUEST.and(Phases::REQUEST_BODY).and(Phases::RESPONSE).and(Phases::RESPONSE_BODY);

/// Builds chains whose filters share one list of calls.
#[derive(Default)]
struct Builder {
    links: Vec<Link>,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Builder {
    fn with(mut self, name: &'static str, change: impl FnOnce(&mut Fake), shadow: bool) -> Self {
        let calls = Arc::clone(&self.calls);
        let mut fake = Fake {
            name,
            phases: ALL,
            on_request: Act::Pass,
            on_body: Act::Pass,
            on_response: Act::Pass,
            calls,
        };
        change(&mut fake);
        self.links.push(Link { kind: name, shadow, when: None, filter: Box::new(fake) });
        self
    }

    fn filter(self, name: &'static str, on_request: Act) -> Self {
        self.with(name, |fake| fake.on_request = on_request, false)
    }

    fn shadow(self, name: &'static str, on_request: Act) -> Self {
        self.with(name, |fake| fake.on_request = on_request, true)
    }

    fn build(self) -> (Chain, impl Fn() -> Vec<String>) {
        let calls = self.calls;
        (Chain::new(self.links), move || std::mem::take(&mut *calls.lock().unwrap()))
    }
}

fn reasons(shadows: &Shadows) -> Vec<(&'static str, &'static str)> {
    shadows.iter().map(|shadow| (shadow.filter, shadow.reason)).collect()
}

#[test]
fn passes_requests_forwards_and_responses_backwards() {
    let (chain, calls) = Builder::default().filter("a", Act::Pass).filter("b", Act::Pass).build();
    let mut sample = Sample::get("/", &[]);
    let mut exchange = sample.exchange();
    let mut shadows = Shadows::default();

    assert!(matches!(run(chain.request(&mut exchange, &mut shadows)).0, Outcome::Pass));
    let mut body = Some(Bytes::from("-"));
    run(chain.request_body(&mut exchange, &mut shadows, &mut body, true)).0.unwrap();
    assert_eq!(body.unwrap(), "-ab");
    let mut head = ResponseHeader::build(200, None).unwrap();
    chain.response(&mut exchange, &mut Shadows::default(), &mut head).unwrap();
    assert_eq!(head.headers.get_all("x-by").iter().collect::<Vec<_>>(), ["b", "a"]);
    let mut body = Some(Bytes::from("-"));
    chain.response_body(&mut exchange, &mut Shadows::default(), &mut body, true).unwrap();
    assert_eq!(body.unwrap(), "-ba");

    // The counts say that each filter found its own slot, and no other's, in every phase.
    let expected = [
        "a request 1",
        "b request 1",
        "a request_body 2",
        "b request_body 2",
        "b response 3",
        "a response 3",
        "b response_body 4",
        "a response_body 4",
    ];
    assert_eq!(calls(), expected);
    assert!(shadows.is_empty());
}

#[test]
fn stops_at_the_first_refusal_and_names_the_filter() {
    let chain = Builder::default().filter("a", Act::Pass).filter("b", Act::Refuse).filter("c", Act::Pass);
    let (chain, calls) = chain.build();
    let mut sample = Sample::get("/", &[]);
    let Outcome::Refuse(decision) = run(chain.request(&mut sample.exchange(), &mut Shadows::default())).0
    else {
        panic!("not refused");
    };
    assert_eq!((decision.filter, decision.refusal.reason), ("b", "not_you"));
    assert_eq!(decision.refusal.status, StatusCode::FORBIDDEN);
    assert_eq!(calls(), ["a request 1", "b request 1"]);
}

#[test]
fn stops_where_a_filter_answers_by_itself() {
    let (chain, calls) = Builder::default().filter("a", Act::Respond).filter("b", Act::Pass).build();
    let mut sample = Sample::get("/", &[]);
    let outcome = run(chain.request(&mut sample.exchange(), &mut Shadows::default())).0;
    assert!(matches!(outcome, Outcome::Respond { filter: "a", reply } if reply.head.status == 204));
    assert_eq!(calls(), ["a request 1"]);
}

#[test]
fn waits_only_for_filters_that_have_to_wait() {
    let (chain, _) = Builder::default().filter("a", Act::Pass).filter("b", Act::Pass).build();
    let mut sample = Sample::get("/", &[]);
    assert_eq!(run(chain.request(&mut sample.exchange(), &mut Shadows::default())).1, 1);

    let chain = Builder::default().filter("a", Act::PassLater).filter("b", Act::Pass);
    let (chain, calls) = chain.filter("c", Act::RefuseLater).filter("d", Act::Pass).build();
    let mut sample = Sample::get("/", &[]);
    let (outcome, polls) = run(chain.request(&mut sample.exchange(), &mut Shadows::default()));
    assert!(matches!(outcome, Outcome::Refuse(Decision { filter: "c", .. })));
    assert_eq!(polls, 3);
    assert_eq!(calls(), ["a request 1", "a later 2", "b request 1", "c request 1", "c later 2"]);
}

#[test]
fn a_shadow_decides_and_lets_pass() {
    let chain = Builder::default().shadow("a", Act::Refuse).shadow("b", Act::Respond);
    let (chain, _) = chain.shadow("c", Act::RefuseLater).shadow("d", Act::Pass).build();
    let mut sample = Sample::get("/", &[]);
    let mut shadows = Shadows::default();
    let outcome = run(chain.request(&mut sample.exchange(), &mut shadows)).0;
    assert!(matches!(outcome, Outcome::Pass));
    assert_eq!(reasons(&shadows), [("a", "not_you"), ("b", RESPONDS), ("c", "not_you")]);
}

#[test]
fn a_shadow_changes_neither_request_nor_response() {
    let (chain, calls) = Builder::default().filter("a", Act::Pass).shadow("b", Act::Pass).build();
    let mut sample = Sample::get("/", &[]);
    let mut exchange = sample.exchange();
    let mut shadows = Shadows::default();

    run(chain.request(&mut exchange, &mut shadows));
    assert_eq!(exchange.header("x-last"), Some("a"));
    let mut body = Some(Bytes::from("-"));
    run(chain.request_body(&mut exchange, &mut shadows, &mut body, true)).0.unwrap();
    assert_eq!(body.unwrap(), "-a");
    let mut head = ResponseHeader::build(200, None).unwrap();
    chain.response(&mut exchange, &mut Shadows::default(), &mut head).unwrap();
    assert_eq!(head.headers.get_all("x-by").iter().collect::<Vec<_>>(), ["a"]);
    let mut body = Some(Bytes::from("-"));
    chain.response_body(&mut exchange, &mut Shadows::default(), &mut body, true).unwrap();
    assert_eq!(body.unwrap(), "-a");
    assert!(calls().contains(&"b request_body 2".to_owned()));
}

#[test]
fn a_shadow_refuses_a_body_once() {
    let refuses = |fake: &mut Fake| fake.on_body = Act::Refuse;
    let (chain, calls) = Builder::default().with("a", refuses, true).build();
    let mut sample = Sample::get("/", &[]);
    let mut exchange = sample.exchange();
    let mut shadows = Shadows::default();
    for _ in 0..3 {
        let mut body = Some(Bytes::from("-"));
        run(chain.request_body(&mut exchange, &mut shadows, &mut body, false)).0.unwrap();
    }
    assert_eq!(reasons(&shadows), [("a", "too_much")]);
    assert_eq!(calls(), ["a request_body 1"]);

    // In force, the same filter ends the exchange, and the next one sees nothing.
    let (chain, calls) = Builder::default().with("a", refuses, false).filter("b", Act::Pass).build();
    let (mut shadows, mut body) = (Shadows::default(), Some(Bytes::from("-")));
    let decision = run(chain.request_body(&mut exchange, &mut shadows, &mut body, false)).0.unwrap_err();
    assert_eq!((decision.filter, decision.refusal.reason), ("a", "too_much"));
    assert_eq!(calls().len(), 1);
}

#[test]
fn a_shadow_that_refused_the_head_sees_no_body() {
    let (chain, calls) = Builder::default().shadow("a", Act::Refuse).build();
    let mut sample = Sample::get("/", &[]);
    let mut exchange = sample.exchange();
    let mut shadows = Shadows::default();
    run(chain.request(&mut exchange, &mut shadows));
    run(chain.request_body(&mut exchange, &mut shadows, &mut Some("-".into()), true)).0.unwrap();
    assert_eq!(calls(), ["a request 1"]);
}

#[test]
fn a_refused_response_stops_on_its_way_out() {
    let refuses = |fake: &mut Fake| fake.on_response = Act::Refuse;
    let (chain, calls) = Builder::default().filter("a", Act::Pass).with("b", refuses, false).build();
    let mut sample = Sample::get("/", &[]);
    let mut exchange = sample.exchange();
    let mut head = ResponseHeader::build(200, None).unwrap();
    assert_eq!(chain.response(&mut exchange, &mut Shadows::default(), &mut head).unwrap_err().filter, "b");
    assert_eq!(
        chain.response_body(&mut exchange, &mut Shadows::default(), &mut None, true).unwrap_err().filter,
        "b"
    );
    assert_eq!(calls(), ["b response 1", "b response_body 2"]);
}

#[test]
fn a_shadow_refuses_a_response_once_and_it_goes_out() {
    let refuses = |fake: &mut Fake| fake.on_response = Act::Refuse;
    let (chain, calls) = Builder::default().filter("a", Act::Pass).with("b", refuses, true).build();
    let mut sample = Sample::get("/", &[]);
    let mut exchange = sample.exchange();
    let mut shadows = Shadows::default();
    let mut head = ResponseHeader::build(200, None).unwrap();
    chain.response(&mut exchange, &mut shadows, &mut head).unwrap();
    chain.response_body(&mut exchange, &mut shadows, &mut Some("-".into()), true).unwrap();
    assert_eq!(reasons(&shadows), [("b", "too_much")]);
    assert_eq!(calls(), ["b response 1", "a response 1", "a response_body 2"]);
}

#[test]
fn calls_a_filter_only_in_its_phases() {
    let only = |phases| move |fake: &mut Fake| fake.phases = phases;
    let (chain, calls) = Builder::default()
        .with("a", only(Phases::REQUEST), false)
        .with("b", only(Phases::RESPONSE), false)
        .with("c", only(Phases::REQUEST), true)
        .build();
    assert_eq!(chain.kinds().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!(chain.has_response());
    assert!(!chain.has_request_body());
    assert!(!chain.has_response_body());
    let mut sample = Sample::get("/", &[]);
    let mut exchange = sample.exchange();
    run(chain.request(&mut exchange, &mut Shadows::default()));
    chain
        .response(&mut exchange, &mut Shadows::default(), &mut ResponseHeader::build(200, None).unwrap())
        .unwrap();
    assert_eq!(calls(), ["a request 1", "c request 1", "b response 1"]);

    let (chain, _) = Builder::default().filter("a", Act::Pass).build();
    assert!(chain.has_request_body() && chain.has_response_body());
}
