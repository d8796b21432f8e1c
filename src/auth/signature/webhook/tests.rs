use std::num::NonZeroUsize;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Encoding, Layout, Part, Refusal, Scheme, SchemeError, SecretForm, Webhook};
use crate::auth::replay::{Seen, Spent};
use crate::values::{Secret, SecretString};

/// When the examples were sent.
const SENT: i64 = 1_614_265_330;

/// A message as it is published by, or was made for, one sender.
struct Example {
    scheme: Scheme,
    secret: &'static str,
    sent: i64,
    headers: Vec<(&'static str, &'static str)>,
    body: &'static str,
}

/// The example of GitHub's documentation.
fn github() -> Example {
    Example {
        scheme: Scheme::github(),
        secret: "It's a Secret to Everybody",
        sent: SENT,
        headers: vec![(
            "x-hub-signature-256",
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        )],
        body: "Hello, World!",
    }
}

/// The example of Slack's documentation.
fn slack() -> Example {
    Example {
        scheme: Scheme::slack(),
        secret: "8f742231b10e8888abcd99yyyzzz85a5",
        sent: 1_531_420_618,
        headers: vec![
            ("x-slack-request-timestamp", "1531420618"),
            ("x-slack-signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
        ],
        body: "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&\
               user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2F\
               commands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&\
               trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
    }
}

/// The example of the Standard Webhooks libraries.
fn standard() -> Example {
    Example {
        scheme: Scheme::standard(),
        secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        sent: SENT,
        headers: vec![
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ],
        body: "{\"test\": 2432232314}",
    }
}

/// This and the next two were computed with Python's `hmac`.
fn stripe() -> Example {
    Example {
        scheme: Scheme::stripe(),
        secret: "whsec_test_secret",
        sent: SENT,
        headers: vec![(
            "stripe-signature",
            "t=1614265330,v1=c0fecc5705168924bace84f4d911f5cf844d3d442ba993d6e3ea5042f14d0f38,v0=6ffbb59b",
        )],
        body: "{\"id\": \"evt_test\"}",
    }
}

fn shopify() -> Example {
    Example {
        scheme: Scheme::shopify(),
        secret: "hush",
        sent: SENT,
        headers: vec![("x-shopify-hmac-sha256", "E9XxLgppVNX12rqWuu0/CN/43MeuZC0xdhRuMq1MPWg=")],
        body: "{\"id\": 1}",
    }
}

/// A sender that signs the body first.
fn other() -> Example {
    let bar = || Part::Text("|".to_owned());
    let scheme = Scheme {
        header: HeaderName::from_static("x-signature"),
        layout: Layout::Values { prefix: String::new() },
        encoding: Encoding::Hex,
        timestamp: Some(HeaderName::from_static("x-time")),
        id: Some(HeaderName::from_static("x-id")),
        signed: vec![Part::Body, bar(), Part::Timestamp, bar(), Part::Id],
        tolerance: Duration::from_secs(60),
        secret: SecretForm::Text,
    };
    Example {
        scheme,
        secret: "key-of-the-sender",
        sent: SENT,
        headers: vec![
            ("x-time", "1614265330"),
            ("x-id", "msg-7"),
            ("x-signature", "d93363504d23baed4dbaf1c2964ae182618d82954fc2e21a353e8e8bdb1e0f7c"),
        ],
        body: "{\"id\": 1}",
    }
}

fn examples() -> [Example; 6] {
    [github(), slack(), standard(), stripe(), shopify(), other()]
}

fn secret(text: &str) -> SecretString {
    let directory = std::env::temp_dir();
    let name = format!("edgeward-webhook-{}-{:?}", std::process::id(), std::thread::current().id());
    std::fs::write(directory.join(&name), text).unwrap();
    let secret = Secret::File(name.clone().into()).resolve(&directory);
    std::fs::remove_file(directory.join(name)).unwrap();
    secret.unwrap()
}

/// For messages that are good for five minutes.
fn seen() -> Seen {
    let seen = Seen::new(NonZeroUsize::new(4096).unwrap());
    seen.accept_for(300);
    seen
}

impl Example {
    fn webhook(&self) -> Webhook {
        Webhook::new(self.scheme.clone(), &[secret(self.secret)]).unwrap()
    }

    fn headers(&self) -> HeaderMap {
        let header = |(name, value): &(&str, &str)| (name.parse().unwrap(), value.parse().unwrap());
        self.headers.iter().map(header).collect()
    }

    fn header(&self) -> &HeaderName {
        &self.scheme.header
    }

    fn received(&self, headers: &HeaderMap, body: &[u8], now: i64) -> Result<(), Refusal> {
        receive(&self.webhook(), headers, body, now)
    }
}

fn receive(webhook: &Webhook, headers: &HeaderMap, body: &[u8], now: i64) -> Result<(), Refusal> {
    let mut check = webhook.begin(headers, now)?;
    check.update(body);
    check.finish("sender", Some(&seen()), now)
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_bytes(text.as_bytes()).unwrap()
}

#[test]
fn accepts_what_each_sender_sends_however_the_body_is_cut() {
    for example in examples() {
        assert_eq!(example.received(&example.headers(), example.body.as_bytes(), example.sent), Ok(()));
        for cut in 0..=example.body.len() {
            let (first, second) = example.body.as_bytes().split_at(cut);
            let mut check = example.webhook().begin(&example.headers(), example.sent).unwrap();
            for piece in [first, b"", second] {
                check.update(piece);
            }
            assert_eq!(check.finish("sender", Some(&seen()), example.sent), Ok(()), "{}", example.header());
        }
    }
}

#[test]
fn signs_as_each_sender_does() {
    for example in examples() {
        let headers = example.headers();
        let id = example.scheme.id.as_ref().map_or("", |name| headers[name].to_str().unwrap());
        let signed = example.webhook().sign(example.sent, id, example.body.as_bytes());
        let sent = headers[example.header()].to_str().unwrap();
        assert_eq!(Some(&*signed), sent.strip_suffix(",v0=6ffbb59b").or(Some(sent)));
    }
}

#[test]
fn refuses_another_body() {
    for example in examples() {
        for body in [String::new(), format!("{} ", example.body), example.body.replacen(['i', 'e'], "x", 1)] {
            let received = example.received(&example.headers(), body.as_bytes(), example.sent);
            assert_eq!(received, Err(Refusal::Invalid), "{}", example.header());
        }
    }
}

#[test]
fn refuses_another_secret_and_accepts_any_of_several() {
    for example in examples() {
        let body = example.body.as_bytes();
        let wrong = match example.scheme.secret {
            SecretForm::Text => secret("wrong"),
            SecretForm::Base64 { .. } => secret("whsec_d3Jvbmc="),
        };
        let receive = |secrets: &[SecretString]| {
            let webhook = Webhook::new(example.scheme.clone(), secrets).unwrap();
            receive(&webhook, &example.headers(), body, example.sent)
        };
        assert_eq!(receive(std::slice::from_ref(&wrong)), Err(Refusal::Invalid));
        assert_eq!(receive(&[wrong.clone(), secret(example.secret)]), Ok(()));
        assert_eq!(receive(&[secret(example.secret), wrong]), Ok(()));
    }
}

#[test]
fn refuses_a_time_that_is_off() {
    for example in [slack(), standard(), stripe(), other()] {
        let tolerance = i64::try_from(example.scheme.tolerance.as_secs()).unwrap();
        let at = |now| example.received(&example.headers(), example.body.as_bytes(), now);
        for now in [example.sent - tolerance, example.sent + tolerance] {
            assert_eq!(at(now), Ok(()));
        }
        for now in [example.sent - tolerance - 1, example.sent + tolerance + 1, i64::MIN, i64::MAX] {
            assert_eq!(at(now), Err(Refusal::OutsideTolerance));
        }
    }
    // Those that say no time are accepted at any.
    for example in [github(), shopify()] {
        assert_eq!(example.received(&example.headers(), example.body.as_bytes(), 0), Ok(()));
    }
}

#[test]
fn refuses_a_claim_that_was_replaced() {
    for (example, name, replaced) in [
        (slack(), "x-slack-request-timestamp", "1531420619"),
        (standard(), "webhook-timestamp", "1614265331"),
        (standard(), "webhook-id", "msg_other"),
        (other(), "x-time", "1614265331"),
        (other(), "x-time", "01614265330"),
        (other(), "x-id", "msg-8"),
    ] {
        let mut headers = example.headers();
        headers.insert(name, value(replaced));
        let received = example.received(&headers, example.body.as_bytes(), example.sent);
        assert_eq!(received, Err(Refusal::Invalid), "{name}");
    }
    let mut headers = stripe().headers();
    let moved = headers["stripe-signature"].to_str().unwrap().replace("1614265330", "1614265331");
    headers.insert("stripe-signature", value(&moved));
    assert_eq!(stripe().received(&headers, stripe().body.as_bytes(), SENT), Err(Refusal::Invalid));
}

/// What is signed is the same, but where the id, the time and the body begin is not.
#[test]
fn the_borders_between_id_time_and_body_cannot_be_moved() {
    let webhook = standard().webhook();
    let signature = webhook.sign(SENT, "a", format!("{SENT}.1.x").as_bytes());
    let headers = |id: &str| {
        let mut headers = standard().headers();
        headers.insert("webhook-id", value(id));
        headers.insert("webhook-signature", value(&signature));
        headers
    };
    assert_eq!(receive(&webhook, &headers("a"), format!("{SENT}.1.x").as_bytes(), SENT), Ok(()));
    let moved = format!("a.{SENT}");
    assert_eq!(receive(&webhook, &headers(&moved), b"1.x", SENT), Err(Refusal::Malformed));
}

#[test]
fn refuses_headers_that_are_missing_doubled_or_unreadable() {
    for example in examples() {
        for (name, good) in &example.headers {
            let received = |headers: &HeaderMap| {
                example.received(headers, example.body.as_bytes(), example.sent).unwrap_err()
            };
            let mut headers = example.headers();
            headers.remove(*name);
            assert_eq!(received(&headers), Refusal::Missing, "{name}");
            headers.append(*name, value(good));
            headers.append(*name, value(good));
            assert_eq!(received(&headers), Refusal::Malformed, "{name}");
            headers.insert(*name, value(&format!("{good}{}", "x".repeat(1024))));
            assert_eq!(received(&headers), Refusal::Malformed, "{name}");
            headers.insert(*name, value(""));
            assert!(matches!(received(&headers), Refusal::Missing | Refusal::Malformed), "{name}");
        }
    }
}

#[test]
fn refuses_signatures_and_times_that_cannot_be_read() {
    let hex = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    for (wrong, refusal) in [
        (hex.to_owned(), Refusal::Missing),
        (format!("sha1={hex}"), Refusal::Missing),
        (format!("SHA256={hex}"), Refusal::Missing),
        (format!("sha256={}", &hex[1..]), Refusal::Malformed),
        (format!("sha256={}", &hex[2..]), Refusal::Malformed),
        (format!("sha256={hex}00"), Refusal::Malformed),
        (format!("sha256=+{}", &hex[1..]), Refusal::Malformed),
        ("sha256=".to_owned(), Refusal::Malformed),
        (format!("sha256={}", "0".repeat(64)), Refusal::Invalid),
    ] {
        let headers = HeaderMap::from_iter([("x-hub-signature-256".parse().unwrap(), value(&wrong))]);
        assert_eq!(github().received(&headers, b"Hello, World!", SENT), Err(refusal), "{wrong}");
    }
    let upper = format!("sha256={}", hex.to_uppercase());
    let headers = HeaderMap::from_iter([("x-hub-signature-256".parse().unwrap(), value(&upper))]);
    assert_eq!(github().received(&headers, b"Hello, World!", SENT), Ok(()));
    for wrong in ["+1614265330", "-1", "1614265330.0", "0x10", "99999999999999999999", "1614265330 1", "16e8"]
    {
        let mut headers = standard().headers();
        headers.insert("webhook-timestamp", value(wrong));
        assert_eq!(standard().received(&headers, b"", SENT), Err(Refusal::Malformed), "{wrong}");
    }
    for wrong in [
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE",
        "v1,g0hM9SsE-OTPJTGt_tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "v1,AAAA",
    ] {
        let mut headers = standard().headers();
        headers.insert("webhook-signature", value(wrong));
        assert_eq!(standard().received(&headers, b"", SENT), Err(Refusal::Malformed), "{wrong}");
    }
}

#[test]
fn finds_its_signature_among_several_up_to_a_limit() {
    for (example, separator) in [(standard(), " "), (stripe(), ",")] {
        let good = example.headers()[example.header()].to_str().unwrap().to_owned();
        let junk = match example.scheme.encoding {
            Encoding::Hex => format!("v1={}", "0".repeat(64)),
            Encoding::Base64 => format!("v1,{}=", "A".repeat(43)),
        };
        let with_junk = |count: usize| {
            let junk = vec![junk.clone(); count].join(separator);
            let mut headers = example.headers();
            headers.insert(example.header(), value(&format!("{good}{separator}v9,x{separator}{junk}")));
            example.received(&headers, example.body.as_bytes(), example.sent)
        };
        assert_eq!(with_junk(1), Ok(()));
        assert_eq!(with_junk(7), Ok(()));
        assert_eq!(with_junk(8), Err(Refusal::Malformed));
    }
    let twice = "t=1,".to_owned() + stripe().headers[0].1;
    let headers = HeaderMap::from_iter([("stripe-signature".parse().unwrap(), value(&twice))]);
    assert_eq!(stripe().received(&headers, b"", SENT), Err(Refusal::Malformed));
}

#[test]
fn a_timed_message_is_accepted_once_from_each_sender() {
    for example in [standard(), stripe(), slack()] {
        let store = seen();
        let receive = |sender: &str, body: &str, now: i64| {
            let mut check = example.webhook().begin(&example.headers(), now)?;
            check.update(body.as_bytes());
            check.finish(sender, Some(&store), now)
        };
        let sent = example.sent;
        // One that is not genuine uses nothing up.
        assert_eq!(receive("a", "", sent), Err(Refusal::Invalid));
        assert_eq!(receive("a", example.body, sent), Ok(()));
        assert_eq!(receive("a", example.body, sent + 300), Err(Refusal::Replayed));
        assert_eq!(receive("b", example.body, sent + 300), Ok(()));
    }
}

#[test]
fn a_message_sent_again_with_a_new_time_is_another() {
    let (webhook, store) = (Example { secret: "x", ..stripe() }.webhook(), seen());
    let receive = |time: i64| {
        let headers = HeaderMap::from_iter([(
            "stripe-signature".parse().unwrap(),
            value(&webhook.sign(time, "", b"b")),
        )]);
        let mut check = webhook.begin(&headers, SENT)?;
        check.update(b"b");
        check.finish("a", Some(&store), SENT)
    };
    assert_eq!((receive(SENT), receive(SENT + 1), receive(SENT)), (Ok(()), Ok(()), Err(Refusal::Replayed)));
}

#[test]
fn a_replay_is_known_by_whichever_of_its_signatures_it_comes() {
    let (old, new) =
        (Example { secret: "old", ..stripe() }.webhook(), Example { secret: "new", ..stripe() }.webhook());
    let both = Webhook::new(Scheme::stripe(), &[secret("new"), secret("old")]).unwrap();
    let store = seen();
    let receive = |signature: &str| {
        let headers = HeaderMap::from_iter([("stripe-signature".parse().unwrap(), value(signature))]);
        let mut check = both.begin(&headers, SENT)?;
        check.update(b"b");
        check.finish("a", Some(&store), SENT)
    };
    assert_eq!(receive(&new.sign(SENT, "", b"b")), Ok(()));
    assert_eq!(receive(&old.sign(SENT, "", b"b")), Err(Refusal::Replayed));
}

#[test]
fn messages_are_accepted_again_where_nothing_tells_or_asks() {
    let (timeless, timed, store) = (github(), stripe(), seen());
    for _ in 0..2 {
        let receive = |example: &Example, seen: Option<&Seen>| {
            let mut check = example.webhook().begin(&example.headers(), SENT)?;
            check.update(example.body.as_bytes());
            check.finish("a", seen, SENT)
        };
        assert_eq!((receive(&timeless, Some(&store)), receive(&timed, None)), (Ok(()), Ok(())));
    }
    assert!(!timeless.webhook().is_timed() && timed.webhook().is_timed());
}

#[test]
fn without_room_to_remember_none_is_accepted() {
    let (example, full) = (stripe(), Seen::new(NonZeroUsize::MIN));
    let _ = full.remember(b"a", b"another", SENT, SENT, &mut Spent::default());
    let mut check = example.webhook().begin(&example.headers(), SENT).unwrap();
    check.update(example.body.as_bytes());
    assert_eq!(check.finish("a", Some(&full), SENT), Err(Refusal::ReplayStoreFull));
}

#[test]
fn refuses_a_scheme_that_contradicts_itself() {
    let standard = Scheme::standard;
    let dot = || Part::Text(".".to_owned());
    let signing = |signed: &[Part]| Scheme { signed: signed.to_vec(), ..standard() };
    for (scheme, error) in [
        (signing(&[Part::Id, dot(), Part::Timestamp]), SchemeError::Body),
        (signing(&[Part::Id, dot(), Part::Timestamp, dot(), Part::Body, Part::Body]), SchemeError::Body),
        (signing(&[Part::Id, dot(), Part::Body]), SchemeError::Timestamp),
        (signing(&[Part::Timestamp, dot(), Part::Body]), SchemeError::Id),
        (signing(&[Part::Id, Part::Timestamp, dot(), Part::Body]), SchemeError::IdNotApart),
        (signing(&[Part::Timestamp, dot(), Part::Body, Part::Id]), SchemeError::IdNotApart),
        (Scheme { timestamp: None, ..standard() }, SchemeError::Timestamp),
        (Scheme { id: None, ..standard() }, SchemeError::Id),
        (
            Scheme { timestamp: None, signed: vec![Part::Id, dot(), Part::Body], ..standard() },
            SchemeError::IdWithoutTimestamp,
        ),
        (Scheme { timestamp: standard().timestamp, ..Scheme::stripe() }, SchemeError::TwoTimestamps),
        (Scheme { signed: vec![Part::Body], ..Scheme::stripe() }, SchemeError::Timestamp),
    ] {
        let scheme = Scheme { secret: SecretForm::Text, ..scheme };
        assert_eq!(Webhook::new(scheme, &[secret("x")]).err(), Some(error));
    }
}

#[test]
fn refuses_secrets_it_cannot_use() {
    let error = |secrets: &[SecretString]| Webhook::new(Scheme::standard(), secrets).err();
    assert_eq!(error(&[]), Some(SchemeError::Secrets));
    assert_eq!(error(&vec![secret("AAAA"); 5]), Some(SchemeError::Secrets));
    assert_eq!(error(&vec![secret("AAAA"); 4]), None);
    for wrong in ["whsec_", "whsec_!", "not base64"] {
        assert_eq!(error(&[secret(wrong)]), Some(SchemeError::SecretForm), "{wrong}");
    }
}

#[test]
fn every_refusal_has_a_reason_of_its_own() {
    let all = [
        Refusal::Missing,
        Refusal::Malformed,
        Refusal::OutsideTolerance,
        Refusal::Invalid,
        Refusal::Replayed,
        Refusal::ReplayStoreFull,
    ];
    let reasons: std::collections::HashSet<_> = all.iter().map(|refusal| refusal.reason()).collect();
    assert_eq!(reasons.len(), all.len());
}
