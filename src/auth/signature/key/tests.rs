use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use boring::ec::{EcGroup, EcKey};
use boring::nid::Nid;
use boring::pkey::{PKey, Private};
use boring::rsa::Rsa;

use super::super::rfc::{
    ED25519_PRIVATE, ED25519_PUBLIC, P256_PRIVATE, P256_PUBLIC, RSA_PRIVATE, RSA_PSS_PUBLIC, RSA_PUBLIC,
    secret, verifying_key,
};
use super::{Algorithm, KeyError, SigningKey, VerifyingKey, jose};

/// RFC 9421 §B.2.4, a response, of which only the base is of use here.
const RESPONSE: &str = "\"@status\": 200
\"content-type\": application/json
\"content-digest\": sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:
\"content-length\": 23
\"@signature-params\": (\"@status\" \"content-type\" \"content-digest\" \"content-length\");created=1618884473;keyid=\"test-key-ecc-p256\"";
const RESPONSE_SIGNATURE: &str =
    "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==";

const MESSAGE: &[u8] = b"\"@method\": GET";

fn pem_pair(key: &PKey<Private>) -> (Vec<u8>, Vec<u8>) {
    (key.private_key_to_pem_pkcs8().unwrap(), key.public_key_to_pem().unwrap())
}

fn p384() -> (Vec<u8>, Vec<u8>) {
    let group = EcGroup::from_curve_name(Nid::SECP384R1).unwrap();
    pem_pair(&PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap())
}

/// A pair of keys for each algorithm.
fn pairs() -> Vec<(SigningKey, VerifyingKey)> {
    let pair = |algorithm, private: &[u8], public: &[u8]| {
        let signing = SigningKey::from_pem(algorithm, private).unwrap();
        (signing, VerifyingKey::from_pem(algorithm, public).unwrap())
    };
    let (private, public) = p384();
    vec![
        pair(Algorithm::RsaPssSha512, RSA_PRIVATE.as_bytes(), RSA_PUBLIC.as_bytes()),
        pair(Algorithm::RsaV15Sha256, RSA_PRIVATE.as_bytes(), RSA_PUBLIC.as_bytes()),
        (SigningKey::from_secret(&secret()), VerifyingKey::from_secret(&secret()).unwrap()),
        pair(Algorithm::EcdsaP256Sha256, P256_PRIVATE.as_bytes(), P256_PUBLIC.as_bytes()),
        pair(Algorithm::EcdsaP384Sha384, &private, &public),
        pair(Algorithm::Ed25519, ED25519_PRIVATE.as_bytes(), ED25519_PUBLIC.as_bytes()),
    ]
}

#[test]
fn accepts_the_signature_of_the_rfc() {
    let signature = STANDARD.decode(RESPONSE_SIGNATURE).unwrap();
    let key = verifying_key("test-key-ecc-p256");
    assert!(key.verify(RESPONSE.as_bytes(), &signature));
    assert!(!key.verify(RESPONSE.replace("200", "201").as_bytes(), &signature));
}

#[test]
fn accepts_what_its_counterpart_signed_and_nothing_near_it() {
    let pairs = pairs();
    assert_eq!(pairs.iter().map(|(signing, _)| signing.algorithm()).collect::<Vec<_>>(), Algorithm::ALL);
    for (signing, verifying) in &pairs {
        let name = signing.algorithm().name();
        assert_eq!(verifying.algorithm(), signing.algorithm());
        let signature = signing.sign(MESSAGE).unwrap();
        assert!(verifying.verify(MESSAGE, &signature), "{name}");
        assert!(!verifying.verify(b"\"@method\": PUT", &signature), "{name}");
        assert!(!verifying.verify(b"", &signature), "{name}");
        for at in 0..signature.len() {
            let mut other = signature.clone();
            other[at] ^= 1;
            assert!(!verifying.verify(MESSAGE, &other), "{name} {at}");
        }
        for length in [0, 1, signature.len() / 2, signature.len() - 1] {
            assert!(!verifying.verify(MESSAGE, &signature[..length]), "{name} {length}");
        }
        assert!(!verifying.verify(MESSAGE, &[&signature[..], &[0]].concat()), "{name}");
        assert!(!verifying.verify(MESSAGE, &vec![0; signature.len()]), "{name}");
    }
}

#[test]
fn a_key_accepts_no_signature_of_another_algorithm() {
    let pairs = pairs();
    for (signing, _) in &pairs {
        let signature = signing.sign(MESSAGE).unwrap();
        for (_, verifying) in pairs.iter().filter(|(_, other)| other.algorithm() != signing.algorithm()) {
            assert!(!verifying.verify(MESSAGE, &signature), "{verifying:?}");
        }
    }
}

#[test]
fn ecdsa_signatures_always_have_their_full_length() {
    let (private, _) = p384();
    let keys = [
        (SigningKey::from_pem(Algorithm::EcdsaP256Sha256, P256_PRIVATE.as_bytes()).unwrap(), 64),
        (SigningKey::from_pem(Algorithm::EcdsaP384Sha384, &private).unwrap(), 96),
    ];
    // One of 128 signatures has a number that starts with a zero byte.
    for (key, length) in keys {
        for _ in 0..600 {
            assert_eq!(key.sign(MESSAGE).unwrap().len(), length);
        }
    }
}

#[test]
fn refuses_a_der_encoded_ecdsa_signature() {
    let key = SigningKey::from_pem(Algorithm::EcdsaP256Sha256, P256_PRIVATE.as_bytes()).unwrap();
    let raw = key.sign(MESSAGE).unwrap();
    let number = |half: &[u8]| boring::bn::BigNum::from_slice(half).unwrap();
    let signature = boring::ecdsa::EcdsaSig::from_private_components(number(&raw[..32]), number(&raw[32..]));
    assert!(!verifying_key("test-key-ecc-p256").verify(MESSAGE, &signature.unwrap().to_der().unwrap()));
}

#[test]
fn refuses_a_key_of_another_kind_than_its_algorithm() {
    let (_, p384) = p384();
    let keys = [
        RSA_PUBLIC.as_bytes(),
        RSA_PSS_PUBLIC.as_bytes(),
        P256_PUBLIC.as_bytes(),
        &p384,
        ED25519_PUBLIC.as_bytes(),
    ];
    let mut fits = 0;
    for algorithm in Algorithm::ALL {
        for key in keys {
            match VerifyingKey::from_pem(algorithm, key) {
                Ok(_) => fits += 1,
                Err(KeyError::WrongKind(named)) => assert_eq!(named, algorithm),
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert_eq!(fits, 4 + 3);
}

#[test]
fn refuses_keys_that_are_too_weak_or_unreadable() {
    let (_, public) = pem_pair(&PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap());
    let weak = VerifyingKey::from_pem(Algorithm::RsaPssSha512, &public);
    assert!(matches!(weak, Err(KeyError::Jose(jose::KeyError::Modulus(1024)))));
    let short = VerifyingKey::from_secret(&[1; 31]);
    assert!(matches!(short, Err(KeyError::Jose(jose::KeyError::Secret(31)))));
    assert!(VerifyingKey::from_secret(&[1; 32]).is_ok());
    for text in ["", "key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", ED25519_PRIVATE] {
        let key = VerifyingKey::from_pem(Algorithm::Ed25519, text.as_bytes());
        assert!(matches!(key, Err(KeyError::Jose(jose::KeyError::Pem | jose::KeyError::Empty))), "{text}");
    }
}

#[test]
fn says_what_a_key_is_for_and_never_what_it_is() {
    assert_eq!(format!("{:?}", verifying_key("test-shared-secret")), "VerifyingKey(hmac-sha256)");
}

/// A connection on the same thread would find errors that are none of its own.
#[test]
fn a_refused_signature_leaves_no_error_behind() {
    for (algorithm, public, length) in [
        (Algorithm::RsaPssSha512, RSA_PSS_PUBLIC, 256),
        (Algorithm::RsaV15Sha256, RSA_PUBLIC, 256),
        (Algorithm::EcdsaP256Sha256, P256_PUBLIC, 64),
        (Algorithm::Ed25519, ED25519_PUBLIC, 64),
    ] {
        let key = VerifyingKey::from_pem(algorithm, public.as_bytes()).unwrap();
        for signature in [vec![1; length], vec![0; length], vec![0xff; length], vec![1; 3]] {
            assert!(!key.verify(MESSAGE, &signature));
            assert!(boring::error::ErrorStack::get().errors().is_empty(), "{algorithm:?}");
        }
    }
}

#[test]
fn a_jwk_is_for_the_algorithm_that_it_says() {
    let jwk = |more: &str| {
        let text = format!(
            "{{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs\"{more}}}"
        );
        jose::Key::from_jwk(text.as_bytes()).unwrap()
    };
    let signing = SigningKey::from_pem(Algorithm::Ed25519, ED25519_PRIVATE.as_bytes()).unwrap();
    let key = VerifyingKey::from_jose(jwk(""), None).unwrap();
    assert!(
        key.verify(MESSAGE, &signing.sign(MESSAGE).unwrap())
            && !key.verify(b"other", &signing.sign(MESSAGE).unwrap())
    );
    assert_eq!(key.algorithm(), Algorithm::Ed25519);
    let wrong = VerifyingKey::from_jose(jwk(""), Some(Algorithm::RsaPssSha512));
    assert!(matches!(wrong, Err(KeyError::WrongKind(Algorithm::RsaPssSha512))));
    let rsa = |algorithm| jose::Key::from_pem(RSA_PUBLIC.as_bytes(), None, algorithm).unwrap();
    assert!(matches!(VerifyingKey::from_jose(rsa(None), None), Err(KeyError::SeveralAlgorithms)));
    let named = |algorithm| VerifyingKey::from_jose(rsa(Some(algorithm)), None).map(|key| key.algorithm());
    assert_eq!(named(jose::Algorithm::Ps512).unwrap(), Algorithm::RsaPssSha512);
    assert_eq!(named(jose::Algorithm::Rs256).unwrap(), Algorithm::RsaV15Sha256);
    assert!(matches!(named(jose::Algorithm::Ps256), Err(KeyError::NoAlgorithm)));
}
