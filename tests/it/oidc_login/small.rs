//! A small `OpenID` provider: strict in what it takes, and everybody is logged in as alice.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::harness::{Origin, Reply, Seen, Signer};

type Parameters = HashMap<String, String>;

struct Inner {
    signer: Signer,
    /// What was asked for with each code.
    codes: Mutex<HashMap<String, Parameters>>,
    /// The refresh tokens that are good now.
    refresh: Mutex<Vec<String>>,
    count: AtomicUsize,
    refreshes: AtomicUsize,
    expires_in: AtomicU64,
    down: AtomicBool,
    claims: Mutex<Value>,
}

/// The provider; ends when dropped.
pub struct SmallProvider {
    origin: Origin,
    inner: Arc<Inner>,
}

pub fn parameters(query: &str) -> Parameters {
    let decoded =
        |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8().unwrap().into_owned();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

impl SmallProvider {
    pub fn start() -> Self {
        let inner = Arc::new(Inner {
            signer: Signer::es256("k1"),
            codes: Mutex::default(),
            refresh: Mutex::default(),
            count: AtomicUsize::new(0),
            refreshes: AtomicUsize::new(0),
            expires_in: AtomicU64::new(300),
            down: AtomicBool::new(false),
            claims: Mutex::new(json!({})),
        });
        let shared = inner.clone();
        let origin = Origin::start(move |seen| shared.answer(seen));
        Self { origin, inner }
    }

    pub fn issuer(&self) -> String {
        format!("http://{}", self.origin.address())
    }

    /// What a browser does with the URL it is sent to: where it is sent back.
    pub fn authorize(&self, location: &str) -> String {
        let query = location.strip_prefix(&format!("{}/authorize?", self.issuer())).unwrap();
        let asked = parameters(query);
        assert_eq!((&*asked["response_type"], &*asked["code_challenge_method"]), ("code", "S256"));
        assert!(asked["scope"].split(' ').any(|scope| scope == "openid"), "{asked:?}");
        let back =
            format!("{}?code={}&state={}", asked["redirect_uri"], self.inner.next("code"), asked["state"]);
        let code = parameters(back.split_once('?').unwrap().1)["code"].clone();
        self.inner.codes.lock().unwrap().insert(code, asked);
        back
    }

    /// How often a session was renewed.
    pub fn refreshes(&self) -> usize {
        self.inner.refreshes.load(Ordering::SeqCst)
    }

    /// How long access tokens are good from now on, in seconds.
    pub fn set_lifetime(&self, seconds: u64) {
        self.inner.expires_in.store(seconds, Ordering::SeqCst);
    }

    /// Puts more claims into ID tokens.
    pub fn set_claims(&self, claims: Value) {
        *self.inner.claims.lock().unwrap() = claims;
    }

    /// Takes all refresh tokens back.
    pub fn lock_out(&self) {
        self.inner.refresh.lock().unwrap().clear();
    }

    /// Answers with 503, or as it should again.
    pub fn set_down(&self, down: bool) {
        self.inner.down.store(down, Ordering::SeqCst);
    }
}

impl Inner {
    fn next(&self, what: &str) -> String {
        format!("{what}-{}", self.count.fetch_add(1, Ordering::SeqCst))
    }

    fn answer(&self, seen: &Seen) -> Reply {
        if self.down.load(Ordering::SeqCst) {
            return Reply::status(503, &[], "");
        }
        let issuer = format!("http://{}", seen.header("host").unwrap());
        match seen.target() {
            "/.well-known/openid-configuration" => {
                let metadata = json!({
                    "issuer": issuer, "jwks_uri": format!("{issuer}/jwks"),
                    "authorization_endpoint": format!("{issuer}/authorize"),
                    "token_endpoint": format!("{issuer}/token"),
                    "end_session_endpoint": format!("{issuer}/end"),
                });
                Reply::status(200, &[], metadata.to_string())
            }
            "/jwks" => Reply::status(200, &[], json!({ "keys": [self.signer.jwk] }).to_string()),
            "/token" => match self.tokens(seen, &issuer) {
                Ok(tokens) => Reply::status(200, &[("content-type", "application/json")], tokens.to_string()),
                Err(error) => Reply::status(400, &[], json!({ "error": error }).to_string()),
            },
            _ => Reply::status(404, &[], ""),
        }
    }

    fn tokens(&self, seen: &Seen, issuer: &str) -> Result<Value, &'static str> {
        let expected = format!("Basic {}", STANDARD.encode("edge:the%20client%27s%20secret"));
        if seen.header("authorization") != Some(&expected) {
            return Err("invalid_client");
        }
        let form = parameters(std::str::from_utf8(&seen.body).unwrap());
        let mut claims = json!({ "aud": "edge", "sub": "alice", "scope": null, "client_id": null });
        match &*form["grant_type"] {
            "authorization_code" => {
                let asked = self.codes.lock().unwrap().remove(&form["code"]).ok_or("invalid_grant")?;
                let hashed = boring::sha::sha256(form["code_verifier"].as_bytes());
                if crate::harness::issuer::base64url(hashed) != asked["code_challenge"]
                    || form["redirect_uri"] != asked["redirect_uri"]
                {
                    return Err("invalid_grant");
                }
                claims["nonce"] = asked["nonce"].clone().into();
            }
            "refresh_token" => {
                self.refreshes.fetch_add(1, Ordering::SeqCst);
                let mut good = self.refresh.lock().unwrap();
                let Some(place) = good.iter().position(|token| *token == form["refresh_token"]) else {
                    // Used twice: taken for stolen, with all that came of it.
                    good.clear();
                    return Err("invalid_grant");
                };
                good.remove(place);
            }
            _ => return Err("unsupported_grant_type"),
        }
        let more = self.claims.lock().unwrap().as_object().unwrap().clone();
        claims.as_object_mut().unwrap().extend(more);
        let id_token = self.signer.key.sign(None, &crate::harness::issuer::claims(issuer, claims)).unwrap();
        let refresh = self.next("refresh");
        self.refresh.lock().unwrap().push(refresh.clone());
        Ok(json!({
            "access_token": self.next("access"), "token_type": "Bearer", "id_token": id_token,
            "expires_in": self.expires_in.load(Ordering::SeqCst), "refresh_token": refresh,
        }))
    }
}
