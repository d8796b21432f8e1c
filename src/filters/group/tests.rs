use http::{HeaderName, HeaderValue};

use super::*;
use crate::expr::Phase;
use crate::filters::Caller;
use crate::filters::chain::{Chain, Outcome, Shadows};
use crate::filters::exchange::Sample;
use crate::filters::testing::{EXPRESSIONS, run};

/// Lets in who sends its own name in `x-auth`; takes that header away, says who calls, and marks the response.
#[derive(Clone, Copy)]
struct Fake {
    kind: &'static str,
    /// What happens where there is another name, or none.
    otherwise: Otherwise,
}

#[derive(Clone, Copy, PartialEq)]
enum Otherwise {
    /// 401 `_invalid` or `_missing`.
    Refuse,
    /// 403 without a challenge, as where there is no way to ask.
    Forbid,
    Undecided,
    Reply,
}

struct Seen(u32);

impl Filter for Fake {
    fn phases(&self) -> Phases {
        Phases::REQUEST.and(Phases::REQUEST_BODY).and(Phases::RESPONSE).and(Phases::RESPONSE_BODY)
    }

    fn vouches_for(&self) -> &[HeaderName] {
        static WHO: [HeaderName; 1] = [HeaderName::from_static("x-who")];
        &WHO
    }

    fn on_request<'a>(&'a self, exchange: &'a mut Exchange<'_>) -> Step<'a> {
        Step::Later(Box::pin(async move {
            exchange.keep(Seen(1));
            exchange.request.insert_header("x-touched", self.kind).unwrap();
            let shown = exchange.header("x-auth").map(|names| names.split(' ').any(|name| name == self.kind));
            if shown == Some(true) {
                exchange.identify(Caller::named(self.kind, "someone"));
                return Verdict::Next;
            }
            let (status, reason) = match (self.otherwise, shown) {
                (Otherwise::Reply, _) => {
                    let head = ResponseHeader::build(303, None).unwrap();
                    return Verdict::Respond(Box::new(Reply { head, body: Bytes::new() }));
                }
                (Otherwise::Undecided, _) => (StatusCode::SERVICE_UNAVAILABLE, "fake_busy"),
                (Otherwise::Forbid, None) => {
                    return Verdict::Refuse(Box::new(Refusal::new(StatusCode::FORBIDDEN, "fake_missing")));
                }
                (Otherwise::Forbid, Some(_)) => (StatusCode::FORBIDDEN, "fake_not_allowed"),
                (Otherwise::Refuse, None) => (StatusCode::UNAUTHORIZED, "fake_missing"),
                (Otherwise::Refuse, Some(_)) => (StatusCode::UNAUTHORIZED, "fake_invalid"),
            };
            let challenge = HeaderValue::from_static(self.kind);
            Verdict::Refuse(Box::new(Refusal::new(status, reason).header(WWW_AUTHENTICATE, challenge)))
        }))
    }

    fn on_request_body(
        &self,
        exchange: &mut Exchange<'_>,
        body: &mut Option<Bytes>,
        _: bool,
    ) -> Result<(), Refusal> {
        let Some(Seen(times)) = exchange.slot() else { panic!("asked for the body without the head") };
        *times += 1;
        *body = body.take().map(|piece| [&piece, self.kind.as_bytes()].concat().into());
        Ok(())
    }

    fn on_response(&self, exchange: &mut Exchange<'_>, response: &mut ResponseHeader) -> Result<(), Refusal> {
        let times = exchange.slot::<Seen>().map_or(0, |seen| seen.0);
        response.append_header("x-by", format!("{}{times}", self.kind)).unwrap();
        Ok(())
    }

    fn on_response_body(
        &self,
        _: &mut Exchange<'_>,
        body: &mut Option<Bytes>,
        _: bool,
    ) -> Result<(), Refusal> {
        *body = body.take().map(|piece| [&piece, self.kind.as_bytes()].concat().into());
        Ok(())
    }
}

fn link(filter: impl Filter + 'static, kind: &'static str, when: Option<&str>) -> Link {
    let when = when.map(|when| EXPRESSIONS.condition("when", when, Phase::RequestHead).unwrap());
    Link { kind, shadow: false, when, filter: Box::new(filter) }
}

fn fake(kind: &'static str) -> Link {
    otherwise(kind, Otherwise::Refuse)
}

fn otherwise(kind: &'static str, otherwise: Otherwise) -> Link {
    link(Fake { kind, otherwise }, kind, None)
}

fn group(way: Way, links: Vec<Link>) -> Link {
    link(Group::new(way, links, &["fake_missing"]), way.kind(), None)
}

/// What a client that shows these is told: the status, 200 where it passes, the reason, and the challenges.
fn ask(chain: &Chain, sample: &mut Sample) -> (u16, &'static str, Vec<String>) {
    match run(chain.request(&mut sample.exchange(), &mut Shadows::default())).0 {
        Outcome::Pass | Outcome::Stored => (200, "", Vec::new()),
        Outcome::Respond { reply, .. } => (reply.head.status.as_u16(), "", Vec::new()),
        Outcome::Refuse(decision) => {
            let headers = decision.refusal.headers.iter();
            let challenges = headers.map(|(_, value)| value.to_str().unwrap().to_owned()).collect();
            (decision.refusal.status.as_u16(), decision.refusal.reason, challenges)
        }
    }
}

fn shows(names: &str) -> Sample {
    Sample::get("/", &[("x-auth", names)])
}

fn callers(sample: &mut Sample) -> Vec<&'static str> {
    sample.exchange().callers().iter().map(|caller| caller.method).collect()
}

#[test]
fn the_first_alternative_that_lets_pass_wins_and_others_leave_no_trace() {
    let chain = Chain::new(vec![group(Way::Any, vec![fake("a"), fake("b"), fake("c")])]);
    let mut sample = shows("c b");
    assert_eq!(ask(&chain, &mut sample).0, 200);
    assert_eq!(callers(&mut sample), ["b"]);
    assert_eq!(sample.request.headers["x-touched"], "b");
    let mut nobody = Sample::get("/", &[]);
    assert_eq!(ask(&chain, &mut nobody).0, 401);
    assert!(callers(&mut nobody).is_empty() && !nobody.request.headers.contains_key("x-touched"));
}

#[test]
fn only_the_winner_goes_on_with_a_slot_of_its_own() {
    let marks = |sample: &mut Sample, chain: &Chain| {
        let mut exchange = sample.exchange();
        let mut body = Some(Bytes::from("-"));
        run(chain.request_body(&mut exchange, &mut Shadows::default(), &mut body, true)).0.unwrap();
        let mut head = ResponseHeader::build(200, None).unwrap();
        chain.response(&mut exchange, &mut Shadows::default(), &mut head).unwrap();
        chain.response_body(&mut exchange, &mut Shadows::default(), &mut body, true).unwrap();
        let by: Vec<_> =
            head.headers.get_all("x-by").iter().map(|by| by.to_str().unwrap().to_owned()).collect();
        (String::from_utf8(body.unwrap().to_vec()).unwrap(), by.join(" "))
    };
    let chain = Chain::new(vec![fake("x"), group(Way::Any, vec![fake("a"), fake("b")]), fake("y")]);
    let mut sample = shows("x b y");
    assert_eq!(ask(&chain, &mut sample).0, 200);
    assert_eq!(marks(&mut sample, &chain), ("-xbyybx".to_owned(), "y2 b2 x2".to_owned()));
    // All of a group that has to be passed as a whole, in both directions.
    let all = group(Way::All, vec![fake("b"), fake("c")]);
    let chain = Chain::new(vec![group(Way::Any, vec![fake("a"), all]), fake("y")]);
    let mut sample = shows("b c y");
    assert_eq!(ask(&chain, &mut sample).0, 200);
    assert_eq!(callers(&mut sample), ["b", "c", "y"]);
    assert_eq!(marks(&mut sample, &chain), ("-bcyycb".to_owned(), "y2 c2 b2".to_owned()));
    // The answer to a request that nobody let in.
    let chain = Chain::new(vec![group(Way::Any, vec![fake("a"), fake("b")])]);
    let mut sample = shows("c");
    assert_eq!(ask(&chain, &mut sample).0, 401);
    let mut head = ResponseHeader::build(401, None).unwrap();
    chain.response(&mut sample.exchange(), &mut Shadows::default(), &mut head).unwrap();
    assert!(!head.headers.contains_key("x-by"));
}

#[test]
fn a_refusal_tells_what_the_client_can_do_something_about() {
    use Otherwise::{Refuse, Reply, Undecided};
    let any = |second, third| {
        Chain::new(vec![group(Way::Any, vec![fake("a"), otherwise("b", second), otherwise("c", third)])])
    };
    let all: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
    let nothing = || Sample::get("/", &[]);
    assert_eq!(ask(&any(Refuse, Refuse), &mut nothing()), (401, "fake_missing", all.clone()));
    assert_eq!(ask(&any(Refuse, Refuse), &mut shows("z")), (401, "fake_invalid", all));
    assert_eq!(ask(&any(Refuse, Undecided), &mut nothing()).1, "fake_busy");
    assert_eq!(ask(&any(Undecided, Refuse), &mut shows("z")).0, 503);
    assert_eq!(ask(&any(Undecided, Refuse), &mut shows("c")).0, 200);
    // Who has nothing is sent to get something; who has something wrong is told so.
    assert_eq!(ask(&any(Reply, Refuse), &mut nothing()).0, 303);
    assert_eq!(ask(&any(Reply, Refuse), &mut shows("z")).1, "fake_invalid");
    assert_eq!(ask(&any(Reply, Refuse), &mut shows("c")).0, 200);
    // Where one cannot ask for anything, another does.
    let either = |first, second| {
        Chain::new(vec![group(Way::Any, vec![otherwise("a", first), otherwise("b", second)])])
    };
    let asked = (401, "fake_missing", vec!["b".to_owned()]);
    assert_eq!(ask(&either(Otherwise::Forbid, Refuse), &mut nothing()), asked);
    assert_eq!(ask(&either(Otherwise::Forbid, Otherwise::Forbid), &mut nothing()).0, 403);
    assert_eq!(ask(&either(Otherwise::Forbid, Refuse), &mut shows("z")).1, "fake_not_allowed");
    // In the words of another server, but with all ways.
    let answered = |status: u16| {
        let mut head = ResponseHeader::build(status, None).unwrap();
        head.append_header(WWW_AUTHENTICATE, "theirs").unwrap();
        let refusal = Refusal::new(StatusCode::from_u16(status).unwrap(), "fake_missing");
        Verdict::Refuse(Box::new(refusal.answered(super::Reply { head, body: Bytes::new() })))
    };
    let ours = || {
        let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "fake_missing");
        let refusal = refusal.header(WWW_AUTHENTICATE, HeaderValue::from_static("ours"));
        Verdict::Refuse(Box::new(refusal.header(ACCEPT_SIGNATURE, HeaderValue::from_static("sig=()"))))
    };
    let (theirs, ours_too) = ((WWW_AUTHENTICATE, "theirs"), (WWW_AUTHENTICATE, "ours"));
    let to_sign = (ACCEPT_SIGNATURE, "sig=()");
    for (status, ways) in [(401, vec![theirs.clone(), ours_too, to_sign]), (302, vec![theirs])] {
        let mut turned_down = TurnedDown::default();
        turned_down.note("x", answered(status), &["fake_missing"]);
        turned_down.note("y", ours(), &["fake_missing"]);
        let Verdict::Refuse(refusal) = turned_down.verdict() else { panic!("no refusal") };
        assert_eq!(
            (refusal.status.as_u16(), challenges(&refusal)),
            (status, ways.into_iter().map(|(name, way)| (name, HeaderValue::from_static(way))).collect())
        );
    }
    let twice = Chain::new(vec![group(Way::Any, vec![fake("a"), fake("a")])]);
    assert_eq!(ask(&twice, &mut nothing()).2, ["a"]);
    let Outcome::Refuse(decision) =
        run(any(Refuse, Undecided).request(&mut shows("z").exchange(), &mut Shadows::default())).0
    else {
        panic!("passes")
    };
    assert_eq!(decision.filter, "any_of");
    assert_eq!(decision.refusal.why.as_deref(), Some("a: fake_invalid, b: fake_invalid, c: fake_busy"));
}

#[test]
fn a_group_that_has_to_be_passed_as_a_whole_leaves_nothing_behind_when_it_is_not() {
    let both = group(Way::All, vec![fake("a"), fake("b")]);
    let chain = Chain::new(vec![group(Way::Any, vec![both, fake("c")])]);
    let mut sample = shows("a c");
    assert_eq!(ask(&chain, &mut sample).0, 200);
    assert_eq!(callers(&mut sample), ["c"]);
    assert_eq!(sample.request.headers["x-touched"], "c");
    assert_eq!(ask(&chain, &mut shows("a")), (401, "fake_invalid", vec!["b".to_owned(), "c".to_owned()]));
    assert_eq!(ask(&chain, &mut shows("a b")).0, 200);
    let whole = Chain::new(vec![group(Way::All, vec![fake("a"), fake("b")])]);
    assert_eq!(ask(&whole, &mut shows("b")), (401, "fake_invalid", vec!["a".to_owned()]));
    let any = group(Way::Any, vec![fake("b"), fake("c")]);
    let either = Chain::new(vec![group(Way::All, vec![fake("a"), any])]);
    assert_eq!((ask(&either, &mut shows("a c")).0, ask(&either, &mut shows("a")).0), (200, 401));
}

#[test]
fn conditions_leave_out_members_but_never_all_of_them() {
    let only = |kind, method: &str| {
        let when = format!("http.request.method == \"{method}\"");
        link(Fake { kind, otherwise: Otherwise::Refuse }, kind, Some(&when))
    };
    let with = |method| Sample::new(method, "/", &[("x-auth", "a b")]);
    let any = Chain::new(vec![group(Way::Any, vec![only("a", "GET"), only("b", "PUT")])]);
    for (method, caller) in [("GET", "a"), ("PUT", "b")] {
        let mut sample = with(method);
        assert_eq!(ask(&any, &mut sample).0, 200);
        assert_eq!(callers(&mut sample), [caller]);
    }
    assert_eq!(ask(&any, &mut with("POST")), (403, "any_of_none", Vec::new()));
    let all = Chain::new(vec![group(Way::All, vec![only("a", "GET"), only("z", "PUT")])]);
    assert_eq!((ask(&all, &mut with("GET")).0, ask(&all, &mut with("PUT")).0), (200, 401));
    assert_eq!(ask(&all, &mut with("POST")), (403, "all_of_none", Vec::new()));
    // What is left out as a whole is no way in.
    let inner = group(Way::All, vec![only("a", "GET")]);
    let nested = Chain::new(vec![group(Way::Any, vec![inner, fake("z")])]);
    assert_eq!(ask(&nested, &mut with("POST")).0, 403);
    // A condition that cannot be known to fail leaves nobody out.
    let unknown = link(Fake { kind: "a", otherwise: Otherwise::Refuse }, "a", Some("jwt.sub == \"x\""));
    assert_eq!(ask(&Chain::new(vec![group(Way::Any, vec![unknown])]), &mut with("GET")).0, 200);
}

#[test]
fn vouches_for_what_its_members_vouch_for_and_has_room_for_all_of_them() {
    let chain = Chain::new(vec![group(Way::Any, vec![fake("a"), fake("b")])]);
    assert_eq!(chain.vouched().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-who", "x-who"]);
    assert!(chain.has_request_body() && chain.has_response() && chain.has_response_body());
    let inner = group(Way::All, vec![fake("b"), fake("c")]);
    let nested = Group::new(Way::Any, vec![fake("a"), inner, fake("d")], &[]);
    assert_eq!((slots(&nested), &*nested.offsets), (6, &[1, 2, 5][..]));
    let kinds = Chain::new(vec![link(nested, "any_of", None), fake("e")]);
    assert_eq!(kinds.kinds().collect::<Vec<_>>(), ["any_of", "a", "all_of", "b", "c", "d", "e"]);
}
