use serde_json::{Value, json};

use super::*;
use crate::auth::jose::algorithm::Algorithm;
use crate::auth::jose::claims::Claims;
use crate::auth::jose::mint::{self, NOW};
use crate::auth::jose::sign::SigningKey;
use crate::auth::jose::target::Target;
use crate::http::path;

const JWK: &str = r#"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const JKT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

fn token(confirmation: Value) -> Confirmation {
    Claims::read(mint::claims(json!({ "cnf": confirmation }))).unwrap().confirmation()
}

fn proof() -> String {
    let private =
        format!("{},\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\"}}", &JWK[..JWK.len() - 1]);
    let signer = SigningKey::from_jwk(private.as_bytes(), Algorithm::EdDsa).unwrap();
    let claims = json!({
        "jti": "1", "htm": "GET", "htu": "https://a.example/", "iat": NOW, "ath": Thumbprint::of(b"token").to_string(),
    });
    mint::token_of(&signer, &format!(r#"{{"typ":"dpop+jwt","alg":"EdDSA","jwk":{JWK}}}"#), claims.to_string())
}

fn check(
    demand: Demand,
    bound: &Confirmation,
    scheme: Scheme,
    proof: Option<&str>,
    certificate: Option<&[u8]>,
) -> Result<bool, Fault> {
    let possession = Possession { demand, ..Possession::default() };
    let certificate = certificate.map(Thumbprint::of);
    let presented = Presented { scheme, proof: proof.map(str::as_bytes), certificate: certificate.as_ref() };
    let path_rules = path::Rules::default();
    let target = Target { scheme: "https", authority: "a.example", path: "/", path_rules: &path_rules };
    let (text, request) = (Thumbprint::of(b"token"), Request { method: "GET", target });
    possession.check(*bound, &text, &presented, &request, NOW).map(|proof| proof.is_some())
}

#[test]
fn a_token_that_is_not_bound_needs_nothing_unless_the_policy_says_so() {
    let token = token(json!(null));
    assert_eq!(check(Demand::AsBound, &token, Scheme::Bearer, None, None), Ok(false));
    assert_eq!(check(Demand::AsBound, &token, Scheme::Bearer, Some("junk"), Some(b"cert")), Ok(false));
    for demand in [Demand::Key, Demand::Certificate, Demand::Any] {
        assert_eq!(check(demand, &token, Scheme::Bearer, None, Some(b"cert")), Err(Fault::TokenUnbound));
    }
    assert_eq!(check(Demand::AsBound, &token, Scheme::Dpop, Some(&proof()), None), Err(Fault::TokenUnbound));
}

#[test]
fn a_token_bound_to_a_key_is_no_bearer_token_whatever_the_policy_says() {
    let token = token(json!({ "jkt": JKT }));
    for demand in [Demand::AsBound, Demand::Key, Demand::Any] {
        assert_eq!(check(demand, &token, Scheme::Dpop, Some(&proof()), None), Ok(true));
        assert_eq!(check(demand, &token, Scheme::Bearer, None, None), Err(Fault::BoundTokenAsBearer));
        assert_eq!(
            check(demand, &token, Scheme::Bearer, Some(&proof()), None),
            Err(Fault::BoundTokenAsBearer)
        );
        assert_eq!(check(demand, &token, Scheme::Dpop, None, None), Err(Fault::ProofMissing));
        assert_eq!(check(demand, &token, Scheme::Dpop, Some("junk"), None), Err(Fault::ProofMalformed));
    }
    let demand = Demand::Certificate;
    assert_eq!(check(demand, &token, Scheme::Dpop, Some(&proof()), Some(b"cert")), Err(Fault::TokenUnbound));
}

#[test]
fn a_token_bound_to_a_certificate_needs_that_one_whatever_the_policy_says() {
    let token = token(json!({ "x5t#S256": Thumbprint::of(b"cert").to_string() }));
    for demand in [Demand::AsBound, Demand::Certificate, Demand::Any] {
        assert_eq!(check(demand, &token, Scheme::Bearer, None, Some(b"cert")), Ok(false));
        assert_eq!(check(demand, &token, Scheme::Bearer, None, Some(b"other")), Err(Fault::CertificateWrong));
        assert_eq!(check(demand, &token, Scheme::Bearer, None, None), Err(Fault::CertificateMissing));
    }
    assert_eq!(check(Demand::Key, &token, Scheme::Bearer, None, Some(b"cert")), Err(Fault::TokenUnbound));
}

#[test]
fn a_token_bound_to_both_needs_both() {
    let token = token(json!({ "jkt": JKT, "x5t#S256": Thumbprint::of(b"cert").to_string() }));
    let proof = proof();
    let proof = Some(proof.as_str());
    let check = |proof, certificate| check(Demand::AsBound, &token, Scheme::Dpop, proof, certificate);
    assert_eq!(check(proof, Some(b"cert")), Ok(true));
    assert_eq!(check(proof, Some(b"other")), Err(Fault::CertificateWrong));
    assert_eq!(check(proof, None), Err(Fault::CertificateMissing));
    assert_eq!(check(None, Some(b"cert")), Err(Fault::ProofMissing));
}
