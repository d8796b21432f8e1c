use serde_json::json;

use super::*;
use crate::auth::jose::base64url;
use crate::auth::jose::jwks::Source;
use crate::auth::jose::mint::{NOW, keys, signer, token, token_of, verifier};
use crate::auth::jose::sign::SigningKey;

fn check(verifier: &Verifier, set: &KeySet, token: &str) -> Result<String, Fault> {
    let verified = verifier.verify(token.as_bytes(), set, NOW)?;
    Ok(verified.claims.subject().unwrap().to_owned())
}

#[test]
fn takes_a_good_token_of_every_algorithm_and_none_of_another_key() {
    let all = Verifier { algorithms: Algorithm::ALL.into_iter().collect(), ..verifier() };
    for algorithm in Algorithm::ALL {
        let good = signer(algorithm, Some("k"));
        let token = token(&good, json!({}));
        assert_eq!(check(&all, &keys([&good]), &token), Ok("user-1".to_owned()), "{algorithm:?}");
        let other = match algorithm {
            Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => {
                SigningKey::from_secret(&[9; 64], algorithm, Some("k")).unwrap()
            }
            _ if Algorithms::RSA.contains(algorithm) => {
                let pem = boring::rsa::Rsa::generate(2048).unwrap().private_key_to_pem().unwrap();
                SigningKey::from_pem(&pem, algorithm, Some("k")).unwrap()
            }
            _ => signer(algorithm, Some("k")),
        };
        assert_eq!(check(&all, &keys([&other]), &token), Err(Fault::SignatureInvalid), "{algorithm:?}");
    }
}

#[test]
fn one_changed_bit_anywhere_is_noticed() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Hs256] {
        let good = signer(algorithm, Some("k"));
        let verifier = Verifier { algorithms: Algorithms::only(algorithm), ..verifier() };
        let (set, token) = (keys([&good]), token(&good, json!({})));
        for place in (0..token.len()).step_by(7) {
            let mut bytes = token.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            assert!(verifier.verify(&bytes, &set, NOW).is_err(), "{algorithm:?} at {place}");
        }
        assert!(verifier.verify(token.as_bytes(), &set, NOW).is_ok());
    }
}

#[test]
fn takes_only_algorithms_that_the_policy_allows() {
    let good = signer(Algorithm::Es256, Some("k"));
    let (set, token) = (keys([&good]), token(&good, json!({})));
    let only_rsa = Verifier { algorithms: Algorithms::RSA, ..verifier() };
    assert_eq!(check(&only_rsa, &set, &token), Err(Fault::AlgorithmNotAllowed));
    assert!(check(&verifier(), &set, &token).is_ok());
    let secret = signer(Algorithm::Hs256, Some("k"));
    let by_secret = crate::auth::jose::mint::token(&secret, json!({}));
    assert_eq!(check(&verifier(), &keys([&secret]), &by_secret), Err(Fault::AlgorithmNotAllowed));
}

#[test]
fn tries_both_keys_of_one_name() {
    let (old, new) = (signer(Algorithm::Es256, Some("k")), signer(Algorithm::Es256, Some("k")));
    let set = keys([&old, &new]);
    for signer in [&old, &new] {
        assert!(check(&verifier(), &set, &token(signer, json!({}))).is_ok());
    }
    let stranger = signer(Algorithm::Es256, Some("k"));
    assert_eq!(check(&verifier(), &set, &token(&stranger, json!({}))), Err(Fault::SignatureInvalid));
}

#[test]
fn says_that_a_key_is_unknown_so_that_keys_may_be_fetched() {
    let (old, new) = (signer(Algorithm::Es256, Some("old")), signer(Algorithm::Es256, Some("new")));
    let token = token(&new, json!({}));
    assert_eq!(check(&verifier(), &keys([&old]), &token), Err(Fault::KeyUnknown));
    assert!(check(&verifier(), &keys([&old, &new]), &token).is_ok());
}

#[test]
fn an_expired_token_is_refused_before_its_signature_is_looked_at() {
    let (ours, stranger) = (signer(Algorithm::Es256, Some("k")), signer(Algorithm::Es256, Some("k")));
    let set = keys([&ours]);
    for (changes, fault) in [
        (json!({ "exp": NOW - 100 }), Fault::Expired),
        (json!({ "exp": null }), Fault::ExpiryMissing),
        (json!({ "nbf": NOW + 100 }), Fault::NotYetValid),
    ] {
        assert_eq!(check(&verifier(), &set, &token(&stranger, changes.clone())), Err(fault));
        assert_eq!(check(&verifier(), &set, &token(&ours, changes)), Err(fault));
    }
}

#[test]
fn an_unsigned_token_learns_nothing_of_the_rules() {
    let (ours, stranger) = (signer(Algorithm::Es256, Some("k")), signer(Algorithm::Es256, Some("k")));
    let set = keys([&ours]);
    for (changes, fault) in
        [(json!({ "iss": "x" }), Fault::IssuerWrong), (json!({ "aud": "x" }), Fault::AudienceWrong)]
    {
        assert_eq!(
            check(&verifier(), &set, &token(&stranger, changes.clone())),
            Err(Fault::SignatureInvalid)
        );
        assert_eq!(check(&verifier(), &set, &token(&ours, changes)), Err(fault));
    }
}

/// RFC 7515 appendices A.1 to A.4 and RFC 8037 appendix A.4.
#[test]
fn verifies_the_examples_of_the_standards() {
    let claims =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let rsa = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    let examples = [
        (
            json!({ "kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow" }),
            format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{claims}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        ),
        (
            json!({ "kty": "RSA", "n": rsa, "e": "AQAB" }),
            format!(
                "eyJhbGciOiJSUzI1NiJ9.{claims}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7\
                 AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6x\
                 BArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnv\
                 Wh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
            ),
        ),
        (
            json!({
                "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            }),
            format!(
                "eyJhbGciOiJFUzI1NiJ9.{claims}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQ\
                 xfKTUJqPP3-Kg6NU1Q"
            ),
        ),
        (
            json!({
                "kty": "EC", "crv": "P-521",
                "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
                "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
            }),
            "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-K\
             GDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn"
                .to_owned(),
        ),
        (
            json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }),
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWb\
             hijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
                .to_owned(),
        ),
    ];
    for (jwk, text) in examples {
        let (set, notes) =
            KeySet::parse(json!({ "keys": [jwk] }).to_string().as_bytes(), Source::Secret).unwrap();
        assert!(notes.is_empty(), "{notes:?}");
        let token = Token::parse(text.as_bytes(), DEFAULT_MAX_BYTES).unwrap();
        let payload = base64url::decode(text.split('.').nth(1).unwrap().as_bytes());
        assert_eq!(token.payload(&set), Ok(payload.unwrap()), "{jwk}");
        assert_eq!(token.payload(&KeySet::default()), Err(Fault::KeyUnknown));
    }
}

#[test]
fn a_remembered_token_is_found_again_and_judged_anew() {
    let good = signer(Algorithm::Es256, Some("k"));
    let (set, token, memory) = (keys([&good]), token(&good, json!({})), Remembered::new(64, 1 << 20));
    let ask = |verifier: &Verifier, set: &KeySet, now: u64| {
        verifier.verify_remembering(token.as_bytes(), set, &memory, now).map(|token| Arc::as_ptr(&token))
    };
    let first = ask(&verifier(), &set, NOW).unwrap();
    assert_eq!(ask(&verifier(), &set, NOW), Ok(first));
    assert_eq!((memory.stats().hits, memory.stats().tokens), (1, 1));

    let others = Verifier { rules: Rules::new("https://other.example", "orders-api"), ..verifier() };
    assert_eq!(ask(&others, &set, NOW), Err(Fault::IssuerWrong), "another route's rules");
    assert_eq!(ask(&verifier(), &set, NOW + 10_000), Err(Fault::Expired), "the clock");
    let rsa = Verifier { algorithms: Algorithms::RSA, ..verifier() };
    assert_eq!(ask(&rsa, &set, NOW), Err(Fault::AlgorithmNotAllowed), "another policy's algorithms");
    let short = Verifier { max_bytes: 10, ..verifier() };
    assert_eq!(ask(&short, &set, NOW), Err(Fault::TooLarge), "another policy's limit");
}

#[test]
fn a_remembered_token_goes_with_its_key() {
    let (old, new) = (signer(Algorithm::Es256, Some("old")), signer(Algorithm::Es256, Some("new")));
    let (token, memory) = (token(&old, json!({})), Remembered::new(64, 1 << 20));
    let ask = |set: &KeySet| verifier().verify_remembering(token.as_bytes(), set, &memory, NOW).map(drop);
    assert_eq!(ask(&keys([&old, &new])), Ok(()));
    assert_eq!(ask(&keys([&new])), Err(Fault::KeyUnknown));
    assert_eq!(memory.stats().tokens, 0);
    assert_eq!(ask(&keys([&old, &new])), Ok(()));
}

#[test]
fn nothing_is_remembered_of_a_token_that_was_refused() {
    let (good, memory) = (signer(Algorithm::Es256, Some("k")), Remembered::new(64, 1 << 20));
    let set = keys([&good]);
    for token in [
        token(&good, json!({ "aud": "other" })),
        token(&good, json!({ "exp": NOW - 100 })),
        token(&signer(Algorithm::Es256, Some("k")), json!({})),
        token_of(&good, r#"{"alg":"ES256","crit":["x"]}"#, "{}"),
        "a.b.c".to_owned(),
    ] {
        assert!(verifier().verify_remembering(token.as_bytes(), &set, &memory, NOW).is_err());
    }
    assert_eq!(memory.stats().tokens, 0);
}
