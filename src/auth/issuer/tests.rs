use std::time::{Duration, SystemTime};

use serde_json::json;

use super::*;
use crate::auth::jose::mint::{
    AUDIENCE, ISSUER, NOW, SECRET, rsa_public_pem, signer, token, verifier, verifying,
};
use crate::auth::jose::{Algorithm, Algorithms, SigningKey};
use crate::auth::keyset::Keys as _;
use crate::auth::keyset::{Observer, Outcome, Settings, Setup, Source as Place};
use crate::http::fetch::Failure;
use crate::http::fetch::testing::Scripted;
use crate::state::Clock;

struct Nobody;

impl Observer for Nobody {
    fn fetched(&self, _: Outcome<'_>) {}
}

fn memory() -> Arc<Memory> {
    Arc::new(Memory::new(Clock::manual(SystemTime::UNIX_EPOCH).0).unwrap())
}

/// An issuer whose keys are at `place`, and which is down.
fn issuer(place: Place) -> Issuer {
    let memory = memory();
    let setup = Setup {
        settings: Settings { max_wait: Duration::ZERO, ..Settings::default() },
        fetch: Arc::new(Scripted::new(|_| Err(Failure::Connect("down".to_owned())))),
        observer: Arc::new(Nobody),
        chance: fastrand::Rng::with_seed(1),
    };
    let set = memory.keyring.open("corp", place, setup).unwrap();
    Issuer::new("corp", verifier(), Keys::Published(set), memory)
}

fn with_rsa() -> Issuer {
    let text = String::from_utf8(rsa_public_pem()).unwrap();
    issuer(Place::Inline(text.into()))
}

fn rsa(id: Option<&str>) -> SigningKey {
    signer(Algorithm::Rs256, id)
}

#[test]
fn a_token_by_a_key_of_the_issuer_is_good() {
    let issuer = with_rsa();
    let token = token(&rsa(None), json!({}));
    assert!(matches!(issuer.look(token.as_bytes(), NOW), Look::Good(_)));
    assert!(matches!(issuer.look(token.as_bytes(), NOW), Look::Good(_)), "and remembered");
    assert_eq!(issuer.memory.tokens.stats().hits, 1);
    assert!(matches!(issuer.look(token.as_bytes(), NOW + 700), Look::Bad(Fault::Expired)));
}

#[tokio::test]
async fn a_key_that_nobody_knows_is_asked_for_where_there_is_somebody_to_ask() {
    let issuer = with_rsa();
    let token = token(&signer(Algorithm::Es256, Some("new")), json!({}));
    let Look::Unknown { seen } = issuer.look(token.as_bytes(), NOW) else { panic!("known") };
    assert_ne!(seen, 0);
    let refused = issuer.look_again(token.as_bytes(), NOW, seen).await.unwrap_err();
    assert_eq!(refused, Refused::Fault(Fault::KeyUnknown), "the policy itself has no others");
}

#[tokio::test]
async fn nothing_is_good_where_there_are_no_keys_and_what_is_plainly_bad_is_bad() {
    let issuer = issuer(Place::Url("https://id.example.com/keys".parse().unwrap()));
    let good = token(&rsa(None), json!({}));
    assert!(matches!(issuer.look(good.as_bytes(), NOW), Look::Unknown { seen: 0 }));
    let refused = issuer.look_again(good.as_bytes(), NOW, 0).await.unwrap_err();
    assert_eq!(refused, Refused::KeysUnavailable);
    assert!(matches!(issuer.look(b"a.b", NOW), Look::Bad(Fault::Malformed)));
    let wrong = token(&signer(Algorithm::Hs256, None), json!({}));
    assert!(matches!(issuer.look(wrong.as_bytes(), NOW), Look::Bad(Fault::AlgorithmNotAllowed)));
}

#[test]
fn a_secret_verifies_what_was_signed_by_it_alone() {
    let mut keys = KeySet::default();
    keys.add(Key::secret(&SECRET, None, None).unwrap()).unwrap();
    let algorithms = Algorithms::only(Algorithm::Hs256);
    let verifier = Verifier { algorithms, ..verifier() };
    let issuer = Issuer::new("corp", verifier, Keys::Fixed(keys), memory());
    let good = token(&signer(Algorithm::Hs256, None), json!({}));
    assert!(matches!(issuer.look(good.as_bytes(), NOW), Look::Good(_)));
    let other = token(&rsa(None), json!({}));
    assert!(matches!(issuer.look(other.as_bytes(), NOW), Look::Bad(Fault::AlgorithmNotAllowed)));
}

#[test]
fn published_keys_are_a_set_or_one_in_pem_and_tell_what_is_odd() {
    let one = Published::parse(&rsa_public_pem()).unwrap();
    assert_eq!((one.count(), one.notes().len()), (1, 0));
    assert_eq!(one.keys.keys()[0].thumbprint(), verifying(&rsa(None)).thumbprint());
    let set = Published::parse(br#"{"keys":[{"kty":"oct","kid":"s","k":"AAAA"}]}"#).unwrap();
    assert_eq!(set.count(), 0);
    assert_eq!(set.notes(), ["key 0 (\"s\"): left out: a secret key in a public set"]);
    assert!(Published::parse(b"keys").is_err());
}

#[test]
fn a_placeholder_lets_nothing_in() {
    let mut issuers = Issuers::new(memory());
    issuers.add_placeholder("corp");
    assert_eq!(issuers.names().collect::<Vec<_>>(), ["corp"]);
    let good = token(&rsa(None), json!({ "iss": ISSUER, "aud": AUDIENCE }));
    let look = issuers.named("corp").unwrap().look(good.as_bytes(), NOW);
    assert!(matches!(look, Look::Bad(_)), "{look:?}");
    assert!(issuers.named("other").is_none());
}
