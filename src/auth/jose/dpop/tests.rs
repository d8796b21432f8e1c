use serde_json::{Map, Value, json};

use super::*;
use crate::auth::jose::algorithm::Algorithm;
use crate::auth::jose::base64url;
use crate::auth::jose::mint::{self, NOW, signer};
use crate::auth::jose::replay::Replays;
use crate::auth::jose::sign::SigningKey;
use crate::auth::replay::Spent;
use crate::http::path;

const TOKEN: &[u8] = b"header.claims.signature";

/// A client: its key, and its key's public JWK.
struct Client {
    signer: SigningKey,
    jwk: Value,
}

impl Client {
    fn new() -> Self {
        let group = boring::ec::EcGroup::from_curve_name(boring::nid::Nid::X9_62_PRIME256V1).unwrap();
        let key = boring::ec::EcKey::generate(&group).unwrap();
        let mut context = boring::bn::BigNumContext::new().unwrap();
        let [mut x, mut y] = [(); 2].map(|()| boring::bn::BigNum::new().unwrap());
        key.public_key().affine_coordinates_gfp(&group, &mut x, &mut y, &mut context).unwrap();
        let padded = |number: &boring::bn::BigNumRef| base64url::encode(&number.to_vec_padded(32).unwrap());
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": padded(&x), "y": padded(&y) });
        let pem = boring::pkey::PKey::from_ec_key(key).unwrap().private_key_to_pem_pkcs8().unwrap();
        Self { signer: SigningKey::from_pem(&pem, Algorithm::Es256, None).unwrap(), jwk }
    }

    /// A good proof but for these changes to its header and claims; `null` takes a member out.
    fn proof(&self, header: Value, claims: Value) -> String {
        let base = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk });
        let header = changed(base, header);
        let base = json!({
            "jti": "-BwC3ESc6acc2lTc", "htm": "POST", "htu": "https://api.example.com/orders", "iat": NOW,
            "ath": Thumbprint::of(TOKEN).to_string(),
        });
        mint::token_of(&self.signer, &header.to_string(), changed(base, claims).to_string())
    }

    fn thumbprint(&self) -> Thumbprint {
        self.signer.verifying().thumbprint()
    }
}

fn changed(base: Value, changes: Value) -> Value {
    let Value::Object(mut members) = base else { panic!() };
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    Value::Object(members)
}

fn check_by(rules: &ProofRules, client: &Client, proof: &str) -> Result<Proof, Fault> {
    let path_rules = path::Rules::default();
    let target =
        Target { scheme: "https", authority: "api.example.com", path: "/orders", path_rules: &path_rules };
    let request = Request { method: "POST", target };
    rules.check(proof.as_bytes(), &client.thumbprint(), &Thumbprint::of(TOKEN), &request, NOW)
}

fn check(client: &Client, proof: &str) -> Result<(), Fault> {
    check_by(&ProofRules::default(), client, proof).map(drop)
}

#[test]
fn takes_a_proof_for_this_request_and_token() {
    let client = Client::new();
    assert_eq!(check(&client, &client.proof(json!({}), json!({}))), Ok(()));
    let spelled = json!({ "htu": "HTTPS://API.example.com:443/orders?page=2#x" });
    assert_eq!(check(&client, &client.proof(json!({ "typ": "application/DPoP+jwt" }), spelled)), Ok(()));
}

/// RFC 9449 section 4.1, which is for a token request and so has no `ath`.
#[test]
fn takes_the_example_of_the_standard_but_for_its_token() {
    let proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
    let proof = Token::parse_proof(proof.as_bytes(), MAX_BYTES).unwrap();
    let key = own_key(&proof).unwrap();
    assert_eq!(key.thumbprint().to_string(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    assert!(proof.check_signature([&key].into_iter()).is_ok());
    assert_eq!(ProofRules::default().check_time(&proof.claims().unwrap(), 1_562_262_616), Ok(1_562_262_616));
}

#[test]
fn refuses_a_proof_of_another_request() {
    let client = Client::new();
    for (claims, fault) in [
        (json!({ "htm": "GET" }), Fault::ProofMethod),
        (json!({ "htm": "post" }), Fault::ProofMethod),
        (json!({ "htm": null }), Fault::ProofMethod),
        (json!({ "htm": ["POST"] }), Fault::ProofMethod),
        (json!({ "htu": "https://api.example.com/orders/7" }), Fault::ProofTarget),
        (json!({ "htu": "https://other.example.com/orders" }), Fault::ProofTarget),
        (json!({ "htu": "http://api.example.com/orders" }), Fault::ProofTarget),
        (json!({ "htu": "/orders" }), Fault::ProofTarget),
        (json!({ "htu": null }), Fault::ProofTarget),
        (json!({ "ath": Thumbprint::of(b"other").to_string() }), Fault::ProofTokenHash),
        (json!({ "ath": null }), Fault::ProofTokenHash),
        (json!({ "ath": "" }), Fault::ProofTokenHash),
    ] {
        assert_eq!(check(&client, &client.proof(json!({}), claims.clone())), Err(fault), "{claims}");
    }
}

#[test]
fn refuses_a_proof_that_is_too_old_or_from_the_future() {
    let client = Client::new();
    for (iat, expected) in [
        (json!(NOW - 65), Ok(())),
        (json!(NOW - 66), Err(Fault::ProofAge)),
        (json!(NOW + 5), Ok(())),
        (json!(NOW + 6), Err(Fault::ProofInFuture)),
        (json!(null), Err(Fault::ProofAge)),
        (json!("now"), Err(Fault::ProofAge)),
        (json!(-1), Err(Fault::ProofAge)),
    ] {
        assert_eq!(check(&client, &client.proof(json!({}), json!({ "iat": iat }))), expected, "{iat}");
    }
}

#[test]
fn refuses_a_proof_without_a_name_of_its_own() {
    let client = Client::new();
    let check = |id: Value| check(&client, &client.proof(json!({}), json!({ "jti": id })));
    assert_eq!(check(json!("x".repeat(256))), Ok(()));
    assert_eq!(check(json!("x".repeat(257))), Err(Fault::ProofId));
    assert_eq!(check(json!("")), Err(Fault::ProofId));
    assert_eq!(check(json!(null)), Err(Fault::ProofId));
    assert_eq!(check(json!(7)), Err(Fault::ProofMalformed));
}

#[test]
fn refuses_a_header_that_is_none_of_a_proof() {
    let client = Client::new();
    let mut private = client.jwk.clone();
    private["d"] = json!("AA");
    let secret = json!({ "kty": "oct", "k": base64url::encode(&mint::SECRET) });
    for (header, fault) in [
        (json!({ "typ": null }), Fault::ProofType),
        (json!({ "typ": "JWT" }), Fault::ProofType),
        (json!({ "typ": "at+jwt" }), Fault::ProofType),
        (json!({ "jwk": null }), Fault::ProofKey),
        (json!({ "jwk": {} }), Fault::ProofKey),
        (json!({ "jwk": private }), Fault::ProofKey),
        (json!({ "jwk": secret }), Fault::ProofKey),
        (json!({ "alg": "ES384" }), Fault::ProofKey),
        (json!({ "alg": "RS256" }), Fault::ProofKey),
        (json!({ "alg": "HS256", "jwk": secret }), Fault::ProofAlgorithm),
        (json!({ "alg": "none" }), Fault::ProofAlgorithm),
        (json!({ "alg": "ES256K" }), Fault::ProofAlgorithm),
        (json!({ "crit": ["x"] }), Fault::ProofMalformed),
        (json!({ "jku": "https://evil.example" }), Fault::ProofMalformed),
    ] {
        assert_eq!(check(&client, &client.proof(header.clone(), json!({}))), Err(fault), "{header}");
    }
    assert_eq!(check(&client, "a.b.c"), Err(Fault::ProofMalformed));
    assert_eq!(check(&client, ""), Err(Fault::ProofMalformed));
    assert_eq!(check(&client, &"a".repeat(MAX_BYTES + 1)), Err(Fault::ProofMalformed));
}

#[test]
fn refuses_another_key_and_another_keys_signature() {
    let (client, thief) = (Client::new(), Client::new());
    assert_eq!(check(&client, &thief.proof(json!({}), json!({}))), Err(Fault::ProofKeyWrong));
    let claimed = thief.proof(json!({ "jwk": client.jwk }), json!({}));
    assert_eq!(check(&client, &claimed), Err(Fault::ProofSignature));
    let unsigned = claimed.rsplit_once('.').unwrap().0.to_owned() + ".";
    assert_eq!(check(&client, &unsigned), Err(Fault::ProofSignature));
}

#[test]
fn takes_only_algorithms_that_the_policy_allows() {
    let client = Client::new();
    let proof = client.proof(json!({}), json!({}));
    let rules = ProofRules { algorithms: Algorithms::only(Algorithm::EdDsa), ..ProofRules::default() };
    assert_eq!(check_by(&rules, &client, &proof).map(drop), Err(Fault::ProofAlgorithm));
    let rules = ProofRules { algorithms: Algorithms::only(Algorithm::Es256), ..ProofRules::default() };
    assert!(check_by(&rules, &client, &proof).is_ok());
}

#[test]
fn demands_a_nonce_where_the_policy_does() {
    let client = Client::new();
    let nonces = Nonces::new([1; 32], 60);
    let (fresh, ageing, stale) = (nonces.issue(NOW), nonces.issue(NOW - 40), nonces.issue(NOW - 61));
    let rules = ProofRules { nonces: Some(nonces), ..ProofRules::default() };
    let check = |nonce: Value| {
        check_by(&rules, &client, &client.proof(json!({}), json!({ "nonce": nonce })))
            .map(|proof| proof.nonce)
    };
    assert_eq!(check(json!(fresh.unwrap())), Ok(Freshness::Fresh));
    assert_eq!(check(json!(ageing.unwrap())), Ok(Freshness::Ageing));
    assert_eq!(check(json!(stale.unwrap())), Err(Fault::ProofNonceStale));
    assert_eq!(check(json!(null)), Err(Fault::ProofNonce));
    assert_eq!(check(json!("x")), Err(Fault::ProofNonce));
    assert_eq!(check(json!(7)), Err(Fault::ProofNonce));
    let by_default = client.proof(json!({}), json!({ "nonce": "whatever" }));
    assert!(check_by(&ProofRules::default(), &client, &by_default).is_ok());
}

#[test]
fn a_proof_is_good_once_and_so_is_its_name() {
    let (client, other) = (Client::new(), Client::new());
    let replays = Replays::new(6400);
    replays.serve(&ProofRules::default());
    let admit = |client: &Client, claims: Value| {
        let proof = check_by(&ProofRules::default(), client, &client.proof(json!({}), claims)).unwrap();
        replays.admit(&proof, NOW, &mut Spent::default())
    };
    assert_eq!(admit(&client, json!({ "jti": "a" })), Ok(()));
    assert_eq!(admit(&client, json!({ "jti": "a" })), Err(Fault::ProofReplayed));
    assert_eq!(admit(&client, json!({ "jti": "a", "iat": NOW - 1 })), Err(Fault::ProofReplayed));
    assert_eq!(admit(&client, json!({ "jti": "b" })), Ok(()));
    assert_eq!(admit(&other, json!({ "jti": "a" })), Ok(()), "names of two clients do not meet");
}

#[test]
fn takes_proofs_of_every_kind_of_key() {
    let jwk = |members: Value| -> Map<String, Value> { members.as_object().unwrap().clone() };
    let seed = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    let public =
        json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    let private = changed(public.clone(), json!({ "d": seed }));
    let signer_ed = SigningKey::from_jwk(private.to_string().as_bytes(), Algorithm::EdDsa).unwrap();
    let client = Client { signer: signer_ed, jwk: public.clone() };
    assert_eq!(check(&client, &client.proof(json!({ "alg": "EdDSA" }), json!({}))), Ok(()));
    assert!(jwk::public(&jwk(public)).is_ok());

    let rsa = signer(Algorithm::Ps256, None);
    let pem = boring::rsa::Rsa::public_key_from_pem(&mint::rsa_public_pem()).unwrap();
    let number = |number: &boring::bn::BigNumRef| base64url::encode(&number.to_vec());
    let client =
        Client { jwk: json!({ "kty": "RSA", "n": number(pem.n()), "e": number(pem.e()) }), signer: rsa };
    assert_eq!(check(&client, &client.proof(json!({ "alg": "PS256" }), json!({}))), Ok(()));
}
