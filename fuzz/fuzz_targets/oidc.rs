//! Nobody is logged in by a cookie that was not sealed here, and no way back from an issuer is read in two ways; what is a
//! session's text is read or refused. The first byte says what the rest is.
#![no_main]

use std::sync::{Arc, LazyLock};

use edgeward::auth::issuer::Keys;
use edgeward::auth::jose::{KeySet, Rules, Verifier};
use edgeward::auth::oauth::{Client, ClientProof};
use edgeward::auth::oidc::{
    Answer, IdTokens, Lives, Look, Names, Observer, Party, Provider, Seals, Session, Settings, own_path,
};
use edgeward::auth::{Issuer, Memory};
use edgeward::http::cookie;
use edgeward::http::fetch::{Failure, Fetch, Fetching, Request};
use edgeward::state::Clock;
use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;

const NOW: u64 = 1_800_000_000;

struct Nobody;

impl Fetch for Nobody {
    fn fetch(&self, _: Request) -> Fetching<'_> {
        Box::pin(std::future::ready(Err(Failure::Busy)))
    }
}

impl Observer for Nobody {
    fn failed(&self, _: &'static str, _: &str) {}
}

static PARTY: LazyLock<Party> = LazyLock::new(|| {
    let clock = Clock::system();
    let memory = Arc::new(Memory::new(clock.clone()).expect("randomness"));
    let verifier = Verifier::new(Rules::new("https://i", "a"));
    let issuer = Issuer::new("i", verifier, Keys::Fixed(KeySet::default()), memory.clone());
    let settings = Settings {
        client: Client { id: "edge".into(), proof: ClientProof::None },
        scopes: "openid".into(),
        extra: Vec::new(),
        max_age: None,
        callback: "/cb".into(),
        names: Names::new("app"),
        seals: Seals::new(["a secret with at least thirty-two letters"]).expect("a secret"),
        lives: Lives { idle: 3600, whole: 43200 },
        forwards: false,
        random: Box::new(|bytes| {
            bytes.fill(7);
            Ok(())
        }),
    };
    let url = "https://i".parse().expect("a URL");
    let provider = Provider::new(url, Arc::new(Nobody), Arc::new(Nobody), clock);
    Party::new(settings, provider, IdTokens::new(Arc::new(issuer), "edge"), memory.sessions.clone())
});

fuzz_target!(|data: &[u8]| {
    let Some((choice, input)) = data.split_first() else { return };
    match choice % 4 {
        0 => check_cookies(input),
        1 => check_answer(input),
        2 => check_path(input),
        _ => check_session(input),
    }
});

/// Lines of `Cookie`, one after the other.
fn check_cookies(input: &[u8]) {
    let lines = input.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok());
    let headers: HeaderMap = lines.map(|line| (header::COOKIE, line)).collect();
    assert!(matches!(PARTY.look(&headers, NOW), Look::Nobody { over: false }), "nobody can seal");
    let names = PARTY.names();
    assert!(names.clear_session(names.present(&headers)).len() <= 4);
    let others = |headers: &HeaderMap| -> Vec<(Vec<u8>, Vec<u8>)> {
        let pairs = cookie::pairs(headers).filter(|(name, _)| !names.are(name));
        pairs.map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
    };
    let Some(left) = cookie::without(&headers, |name| names.are(name)) else {
        assert!(!cookie::pairs(&headers).any(|(name, _)| names.are(name)));
        return;
    };
    let left: HeaderMap = left.into_iter().map(|line| (header::COOKIE, line)).collect();
    assert!(!cookie::pairs(&left).any(|(name, _)| names.are(name)), "none of ours is left");
    assert_eq!(others(&left), others(&headers), "and all others are, as they were");
}

fn check_answer(input: &[u8]) {
    let Ok(query) = std::str::from_utf8(input) else { return };
    let Ok(answer) = Answer::read(query) else { return };
    assert!(!answer.outcome.unwrap_or_else(|error| error).is_empty());
    let count = |name| edgeward::http::query::values(query, name).count();
    assert_eq!((count("state"), count("code") + count("error")), (1, 1));
    assert!(count("iss") <= 1);
}

fn check_path(input: &[u8]) {
    let Ok(wanted) = std::str::from_utf8(input) else { return };
    let path = own_path(wanted);
    assert!(path == wanted || path == "/");
    assert!(path.starts_with('/') && !path.starts_with("//") && !path.contains('\\'));
    assert!(path.bytes().all(|byte| byte.is_ascii_graphic()));
}

fn check_session(input: &[u8]) {
    let Ok(session) = serde_json::from_slice::<Session>(input) else { return };
    if let Some(claims) = session.claims() {
        assert!(claims.expires().is_none_or(|expires| expires <= 253_402_300_799));
    }
    let written = serde_json::to_vec(&session).expect("JSON");
    assert!(serde_json::from_slice::<Session>(&written).is_ok_and(|read| read == session));
}
