use boring::ec::{EcGroup, EcKey};
use boring::nid::Nid;
use boring::rsa::Rsa;
use serde_json::json;

use super::*;
use crate::auth::jose::compact::{DEFAULT_MAX_BYTES, Token};
use crate::auth::jose::mint::{claims, signer};

fn signs(key: &SigningKey) -> bool {
    let text = key.sign(Some("JWT"), &claims(json!({}))).unwrap();
    let token = Token::parse(text.as_bytes(), DEFAULT_MAX_BYTES).unwrap();
    assert_eq!(
        (token.algorithm(), token.key_id(), token.kind()),
        (key.algorithm(), key.verifying().id(), Some("JWT"))
    );
    token.check_signature([key.verifying()].into_iter()).is_ok()
}

fn number(number: &boring::bn::BigNumRef) -> String {
    base64url::encode(&number.to_vec())
}

fn rsa_jwk(rsa: &Rsa<Private>) -> Value {
    let part = |part: Option<&boring::bn::BigNumRef>| number(part.unwrap());
    json!({
        "kty": "RSA", "kid": "r", "n": number(rsa.n()), "e": number(rsa.e()), "d": number(rsa.d()), "p": part(rsa.p()),
        "q": part(rsa.q()), "dp": part(rsa.dmp1()), "dq": part(rsa.dmq1()), "qi": part(rsa.iqmp()),
    })
}

#[test]
fn signs_what_its_own_key_verifies() {
    for algorithm in Algorithm::ALL {
        assert!(signs(&signer(algorithm, Some("k"))), "{algorithm:?}");
    }
    let key = signer(Algorithm::Es256, None);
    let text = key.sign(None, &claims(json!({}))).unwrap();
    let token = Token::parse(text.as_bytes(), DEFAULT_MAX_BYTES).unwrap();
    assert_eq!((token.key_id(), token.kind()), (None, None));
}

/// RFC 8037 appendix A.4: Ed25519 signatures are the same each time.
#[test]
fn signs_the_example_of_the_standard() {
    let jwk = json!({
        "kty": "OKP", "crv": "Ed25519", "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    let key = SigningKey::from_jwk(jwk.to_string().as_bytes(), Algorithm::EdDsa).unwrap();
    let token = key.sign_parts(br#"{"alg":"EdDSA"}"#, b"Example of Ed25519 signing").unwrap();
    assert!(token.ends_with(
        ".hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    ));
}

#[test]
fn reads_private_keys_from_jwk() {
    let read = |jwk: &Value, algorithm| SigningKey::from_jwk(jwk.to_string().as_bytes(), algorithm);
    let rsa = rsa_jwk(&Rsa::generate(2048).unwrap());
    let key = read(&rsa, Algorithm::Ps256).unwrap();
    assert!(signs(&key) && key.verifying().id() == Some("r"));

    let group = EcGroup::from_curve_name(Nid::SECP384R1).unwrap();
    let (ec, mut context) = (EcKey::generate(&group).unwrap(), boring::bn::BigNumContext::new().unwrap());
    let [mut x, mut y] = [(); 2].map(|()| boring::bn::BigNum::new().unwrap());
    ec.public_key().affine_coordinates_gfp(&group, &mut x, &mut y, &mut context).unwrap();
    let padded = |number: &boring::bn::BigNumRef| base64url::encode(&number.to_vec_padded(48).unwrap());
    let ec = json!({ "kty": "EC", "crv": "P-384", "x": padded(&x), "y": padded(&y), "d": padded(ec.private_key()) });
    assert!(signs(&read(&ec, Algorithm::Es384).unwrap()));
    assert_eq!(read(&ec, Algorithm::Es256).unwrap_err(), KeyError::AlgorithmOfOtherKey(Algorithm::Es256));

    let secret = json!({ "kty": "oct", "k": base64url::encode(&[7; 32]) });
    assert!(signs(&read(&secret, Algorithm::Hs256).unwrap()));
    assert!(read(&secret, Algorithm::Hs512).is_err());
}

#[test]
fn refuses_private_keys_that_do_not_fit_together_or_are_for_something_else() {
    let read = |jwk: &Value, algorithm| SigningKey::from_jwk(jwk.to_string().as_bytes(), algorithm).map(drop);
    let good = rsa_jwk(&Rsa::generate(2048).unwrap());
    assert_eq!(read(&good, Algorithm::Rs256), Ok(()));
    let changed = |name: &str, value: Value| {
        let mut jwk = good.clone();
        jwk[name] = value;
        read(&jwk, Algorithm::Rs256)
    };
    assert!(changed("d", json!("AQAB")).is_err());
    assert!(changed("p", good["q"].clone()).is_err());
    assert_eq!(changed("use", json!("enc")), Err(KeyError::Use));
    assert_eq!(changed("key_ops", json!(["verify"])), Err(KeyError::Use));
    assert_eq!(changed("key_ops", json!(["sign"])), Ok(()));
    assert_eq!(changed("alg", json!("PS256")), Err(KeyError::AlgorithmOfOtherKey(Algorithm::Rs256)));
    assert_eq!(changed("alg", json!("RS256")), Ok(()));
    let okp = json!({
        "kty": "OKP", "crv": "Ed25519", "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "21qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    assert_eq!(read(&okp, Algorithm::EdDsa), Err(KeyError::Inconsistent));
    let weak = Rsa::generate(1024).unwrap().private_key_to_pem().unwrap();
    assert_eq!(SigningKey::from_pem(&weak, Algorithm::Rs256, None).unwrap_err(), KeyError::Modulus(1024));
    assert!(SigningKey::from_pem(b"no key", Algorithm::Rs256, None).is_err());
}

#[test]
fn nothing_prints_a_key() {
    let key = SigningKey::from_secret(&[0x41; 32], Algorithm::Hs256, Some("s")).unwrap();
    assert!(!format!("{key:?}").contains("65, 65"));
}
