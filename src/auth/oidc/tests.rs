//! Whole logins, and everything that RFC 9700 warns of, between a browser and an issuer made up here.

mod attacks;
mod flows;
mod stays;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};

use super::*;
use crate::auth::Memory;
use crate::auth::issuer::{Issuer, Keys};
use crate::auth::jose::{Algorithm, SigningKey, mint};
use crate::auth::oauth::{Client, ClientProof};
use crate::http::fetch::testing::{Scripted, answer};
use crate::http::fetch::{Failure, Request, Response};
use crate::state::Clock;
use crate::state::clock::ClockHand;

const ORIGIN: &str = "https://app.example.com";
const SECRET: &str = "a secret of the operator with 32 letters";
const OLD_SECRET: &str = "a former secret of the operator, too";
const NOW: u64 = mint::NOW;

/// A browser: what it keeps, and nothing else.
#[derive(Default, Clone)]
struct Browser(BTreeMap<String, String>);

impl Browser {
    /// Takes cookies as browsers do, and checks that they would.
    fn take(&mut self, cookies: &[HeaderValue]) {
        for cookie in cookies {
            let cookie = cookie.to_str().unwrap();
            let (pair, attributes) = cookie.split_once("; ").unwrap();
            assert!(attributes.starts_with("Path=/; Secure; HttpOnly; SameSite=Lax"), "{cookie}");
            let (name, value) = pair.split_once('=').unwrap();
            assert!(name.starts_with("__Host-") && cookie.len() < 4096, "{cookie}");
            if attributes.ends_with("Max-Age=0") {
                self.0.remove(name);
            } else {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    fn headers(&self) -> HeaderMap {
        if self.0.is_empty() {
            return HeaderMap::new();
        }
        let pairs: Vec<_> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        HeaderMap::from_iter([(header::COOKIE, pairs.join("; ").parse().unwrap())])
    }

    fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

/// Parameters of a URL's query.
fn parameters(url: &str) -> BTreeMap<String, String> {
    let (_, query) = url.split_once('?').unwrap_or((url, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
    pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect()
}

/// What was told to the log.
#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Observer for Log {
    fn failed(&self, what: &'static str, why: &str) {
        self.0.lock().unwrap().push(format!("{what}: {why}"));
    }
}

/// An issuer and a client of it.
struct World {
    signer: SigningKey,
    fetch: Arc<Scripted>,
    log: Arc<Log>,
    party: Arc<Party>,
    hand: ClockHand,
}

fn metadata(more: Value) -> Value {
    let mut metadata = json!({
        "issuer": mint::ISSUER,
        "authorization_endpoint": "https://id.example.com/authorize?tenant=1",
        "token_endpoint": "https://id.example.com/token",
        "jwks_uri": "https://id.example.com/jwks",
        "end_session_endpoint": "https://id.example.com/end",
    });
    metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    metadata
}

fn settings(secrets: &[&str]) -> Settings {
    Settings {
        client: Client { id: "edge".into(), proof: ClientProof::None },
        scopes: "openid email".into(),
        extra: Vec::new(),
        max_age: None,
        callback: "/oauth2/callback".into(),
        names: Names::new("app"),
        seals: Seals::new(secrets.iter().copied()).unwrap(),
        lives: Lives { idle: 3600, whole: 43_200 },
        forwards: false,
        random: Box::new(boring::rand::rand_bytes),
    }
}

fn world() -> World {
    world_with(|_| {}, &metadata(json!({})))
}

fn world_with(change: impl FnOnce(&mut Settings), metadata: &Value) -> World {
    let mut settings = settings(&[SECRET, OLD_SECRET]);
    change(&mut settings);
    let signer = mint::signer(Algorithm::Es256, Some("k"));
    let (clock, hand) = Clock::manual(UNIX_EPOCH + Duration::from_secs(NOW));
    let memory = Arc::new(Memory::new(clock.clone()).unwrap());
    let keys = Keys::Fixed(mint::keys([&signer]));
    let issuer = Arc::new(Issuer::new("corp", mint::verifier(), keys, Arc::clone(&memory)));
    let metadata = metadata.to_string();
    let fetch = Arc::new(Scripted::new(move |_| Ok(answer(200, &[], &metadata))));
    let log = Arc::<Log>::default();
    let url = mint::ISSUER.parse().unwrap();
    let (asks, tells) =
        (fetch.clone() as Arc<dyn crate::http::fetch::Fetch>, log.clone() as Arc<dyn Observer>);
    let provider = Provider::new(url, asks, tells, clock);
    let id_tokens = IdTokens::new(issuer, &settings.client.id);
    let party = Arc::new(Party::new(settings, provider, id_tokens, Arc::clone(&memory.sessions)));
    World { signer, fetch, log, party, hand }
}

impl World {
    /// From here on the issuer answers everything so.
    fn answers(&self, script: impl Fn(&Request) -> Result<Response, Failure> + Send + Sync + 'static) {
        self.fetch.answers(script);
    }

    /// From here on the token endpoint gives these tokens.
    fn gives(&self, tokens: Value) {
        let tokens = tokens.to_string();
        self.answers(move |_| Ok(answer(200, &[], &tokens)));
    }

    fn refuses(&self, code: &str) {
        let body = json!({ "error": code }).to_string();
        self.answers(move |_| Ok(answer(400, &[], &body)));
    }

    /// A good ID token, but for these changes.
    fn id_token(&self, nonce: &str, changes: Value) -> String {
        let mut claims = json!({ "aud": "edge", "nonce": nonce, "scope": null, "client_id": null });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        self.signer.sign(None, &mint::claims(claims)).unwrap()
    }

    /// What a token endpoint answers, but for these changes.
    fn tokens(&self, nonce: &str, changes: Value) -> Value {
        let mut tokens = json!({
            "access_token": "access-0", "token_type": "Bearer", "expires_in": 300,
            "refresh_token": "refresh-0", "id_token": self.id_token(nonce, json!({})),
        });
        let changes = changes.as_object().unwrap().clone();
        tokens.as_object_mut().unwrap().extend(changes);
        tokens.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        tokens
    }

    /// Sends a browser to the issuer; what it is told to ask for there.
    async fn begin(&self, browser: &mut Browser, wanted: &str) -> BTreeMap<String, String> {
        let sent = self.party.begin(ORIGIN, wanted, &browser.headers(), NOW).await.unwrap();
        browser.take(&sent.cookies);
        parameters(&sent.location)
    }

    /// Comes back with a query. Where it goes next, or why not.
    async fn back(&self, browser: &mut Browser, query: &str) -> Result<String, Fault> {
        match self.party.complete(ORIGIN, query, &browser.headers(), NOW).await {
            Ok(sent) => {
                browser.take(&sent.cookies);
                Ok(sent.location)
            }
            Err(failed) => {
                browser.take(&failed.cookies);
                Err(failed.fault)
            }
        }
    }

    /// Logs a browser in, with these changes to the tokens.
    async fn log_in(&self, browser: &mut Browser, changes: Value) {
        let asked = self.begin(browser, "/").await;
        self.gives(self.tokens(&asked["nonce"], changes));
        self.back(browser, &format!("code=c&state={}", asked["state"])).await.unwrap();
    }

    fn look(&self, browser: &Browser, now: u64) -> Look {
        self.party.look(&browser.headers(), now)
    }

    fn guest(&self, browser: &Browser, now: u64) -> Guest {
        match self.look(browser, now) {
            Look::In(guest) => guest,
            other => panic!("not in: {other:?}"),
        }
    }

    /// Times the token endpoint was asked.
    fn token_requests(&self) -> Vec<Request> {
        let asked = self.fetch.asked();
        asked.into_iter().filter(|request| request.url.path() == "/token").collect()
    }

    fn logged(&self) -> Vec<String> {
        self.log.0.lock().unwrap().clone()
    }
}
