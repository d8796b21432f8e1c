use serde_json::json;

use super::*;
use crate::auth::jose::mint::{keys, signer, verifying};

const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const ED: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

fn parse(set: Value, source: Source) -> (KeySet, Vec<Note>) {
    KeySet::parse(set.to_string().as_bytes(), source).unwrap()
}

#[test]
fn leaves_out_what_it_cannot_use_and_says_why() {
    let ec = json!({ "kty": "EC", "crv": "P-256", "x": X, "y": Y, "kid": "e" });
    let set = json!({ "keys": [
        { "kty": "AKP", "kid": "new" }, ec, 7, { "kty": "OKP", "crv": "Ed448", "x": "AA" },
        { "kty": "oct", "k": "A".repeat(43), "kid": "s" }, { "kty": "RSA", "use": "enc" },
    ]});
    let (keys, notes) = parse(set, Source::Public);
    assert_eq!(keys.keys().iter().map(Key::id).collect::<Vec<_>>(), [Some("e")]);
    let said: Vec<_> = notes.iter().map(|note| (note.index, note.oddity.to_string())).collect();
    assert_eq!(
        said,
        [
            (0, "left out: unsupported key type `AKP`".to_owned()),
            (2, "left out: `kty` is missing or malformed".to_owned()),
            (3, "left out: unsupported curve `Ed448`".to_owned()),
            (4, "left out: a secret key in a public set".to_owned()),
            (5, "left out: not a key for signatures".to_owned()),
        ]
    );
    assert_eq!(notes[0].id.as_deref(), Some("new"));
}

#[test]
fn takes_secrets_only_from_a_secret_set() {
    let set = || json!({ "keys": [{ "kty": "oct", "k": "A".repeat(43), "kid": "s" }] });
    assert!(parse(set(), Source::Public).0.keys().is_empty());
    let (keys, notes) = parse(set(), Source::Secret);
    assert_eq!((keys.keys().len(), notes.len()), (1, 0));
}

#[test]
fn uses_the_public_part_of_a_private_key_and_says_so() {
    let jwk = || json!({ "kty": "OKP", "crv": "Ed25519", "x": ED, "d": ED, "kid": "p" });
    let (keys, notes) = parse(json!({ "keys": [jwk()] }), Source::Public);
    assert_eq!(keys.keys().len(), 1);
    assert_eq!(notes, [Note { index: 0, id: Some("p".to_owned()), oddity: Oddity::PrivatePublished }]);
    assert_eq!(parse(json!({ "keys": [jwk()] }), Source::Secret).1, []);
}

#[test]
fn refuses_what_is_no_set() {
    let parse =
        |text: &str| KeySet::parse(text.as_bytes(), Source::Public).map(|(keys, _)| keys.keys().len());
    assert_eq!(parse(r#"{"keys":[]}"#), Ok(0));
    for text in ["", "{}", "[]", r#"{"keys":{}}"#, r#"{"keys":null}"#, "<html>", r#"{"kty":"RSA"}"#] {
        assert_eq!(parse(text), Err(SetError::Malformed), "{text}");
    }
    assert_eq!(parse(r#"{"keys":[],"keys":[]}"#), Err(SetError::Duplicate));
    assert_eq!(parse(r#"{"keys":[{"kid":"a","kid":"b"}]}"#), Err(SetError::Duplicate));
    assert_eq!(parse(&json!({ "keys": vec![json!({}); 100] }).to_string()), Ok(0));
    assert_eq!(parse(&json!({ "keys": vec![json!({}); 101] }).to_string()), Err(SetError::TooManyKeys));
    assert_eq!(parse(&" ".repeat(MAX_BYTES + 1)), Err(SetError::TooLarge));
}

fn found(set: &KeySet, id: Option<&str>, algorithm: Algorithm) -> Result<Vec<Thumbprint>, Fault> {
    set.candidates(id, algorithm).map(|keys| keys.map(Key::thumbprint).collect())
}

#[test]
fn finds_the_key_that_a_token_names() {
    let (a, b) = (signer(Algorithm::Es256, Some("a")), signer(Algorithm::Es256, Some("b")));
    let set = keys([&a, &b]);
    assert_eq!(found(&set, Some("b"), Algorithm::Es256), Ok(vec![b.verifying().thumbprint()]));
    assert_eq!(found(&set, Some("c"), Algorithm::Es256), Err(Fault::KeyUnknown));
    assert_eq!(found(&set, Some(""), Algorithm::Es256), Err(Fault::KeyUnknown));
    assert_eq!(found(&set, Some("A"), Algorithm::Es256), Err(Fault::KeyUnknown));
    assert_eq!(found(&set, Some("a"), Algorithm::Es384), Err(Fault::AlgorithmNotOfKey));
    assert_eq!(found(&KeySet::default(), Some("a"), Algorithm::Es256), Err(Fault::KeyUnknown));
}

#[test]
fn a_token_may_leave_out_the_name_of_the_only_key_it_can_mean() {
    let (a, b) = (signer(Algorithm::Es256, Some("a")), signer(Algorithm::EdDsa, Some("b")));
    let set = keys([&a, &b]);
    assert_eq!(found(&set, None, Algorithm::Es256), Ok(vec![a.verifying().thumbprint()]));
    assert_eq!(found(&set, None, Algorithm::Rs256), Err(Fault::KeyUnknown));
    let set = keys([&a, &b, &signer(Algorithm::Es256, Some("c"))]);
    assert_eq!(found(&set, None, Algorithm::Es256), Err(Fault::KeyAmbiguous));
    assert!(found(&set, None, Algorithm::EdDsa).is_ok());
}

#[test]
fn where_no_key_has_a_name_the_tokens_is_not_looked_at() {
    let (a, b) = (signer(Algorithm::Es256, None), signer(Algorithm::Es256, None));
    assert_eq!(found(&keys([&a]), Some("any"), Algorithm::Es256), Ok(vec![a.verifying().thumbprint()]));
    assert_eq!(found(&keys([&a, &b]), Some("any"), Algorithm::Es256), Err(Fault::KeyAmbiguous));
    let mixed = keys([&a, &signer(Algorithm::EdDsa, Some("named"))]);
    assert_eq!(found(&mixed, Some("any"), Algorithm::Es256), Err(Fault::KeyUnknown));
}

#[test]
fn two_keys_may_share_a_name_and_a_third_is_left_out() {
    let [a, b, c] = [(); 3].map(|()| signer(Algorithm::Es256, Some("k")));
    let mut set = keys([&a, &b]);
    assert_eq!(found(&set, Some("k"), Algorithm::Es256).unwrap().len(), 2);
    assert_eq!(set.add(verifying(&a)), Ok(()), "the same key once more is no third");
    assert_eq!(set.add(verifying(&c)), Err(KeyError::Name));
    assert_eq!(set.keys().len(), 2);
    assert_eq!(set.add(verifying(&signer(Algorithm::EdDsa, Some("k")))), Ok(()), "for another algorithm");
    assert_eq!(found(&set, Some("k"), Algorithm::EdDsa).unwrap().len(), 1);
}

#[test]
fn knows_which_of_its_keys_may_be_used_with_what() {
    let a = signer(Algorithm::Es256, Some("a"));
    let set = keys([&a]);
    assert!(set.allows(&a.verifying().thumbprint(), Algorithm::Es256));
    assert!(!set.allows(&a.verifying().thumbprint(), Algorithm::Es384));
    assert!(!set.allows(&Thumbprint::of(b"other"), Algorithm::Es256));
}
