use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::auth::jose::mint::{NOW, keys, signer};
use crate::auth::jose::{Algorithm, Rules, Verifier};
use crate::auth::oauth::testing::secret;

fn proven(proof: ClientProof) -> (HeaderMap, Vec<(&'static str, String)>) {
    let (mut headers, mut form) = (HeaderMap::new(), Vec::new());
    let endpoint = "https://id.example/token".parse().unwrap();
    let now = UNIX_EPOCH + Duration::from_secs(NOW);
    Client { id: "a b".into(), proof }.prove(&endpoint, &mut headers, &mut form, now).unwrap();
    (headers, form)
}

#[test]
fn a_secret_goes_in_the_header_or_in_the_form() {
    let (headers, form) = proven(ClientProof::Basic(secret("s:t")));
    assert_eq!(
        (&headers[header::AUTHORIZATION], form.len()),
        (&"Basic YSUyMGI6cyUzQXQ=".parse().unwrap(), 0)
    );
    assert!(headers[header::AUTHORIZATION].is_sensitive());
    let (headers, form) = proven(ClientProof::Post(secret("s&t")));
    assert_eq!(form, [("client_id", "a b".to_owned()), ("client_secret", "s&t".to_owned())]);
    assert!(headers.is_empty());
}

#[test]
fn an_assertion_is_for_the_server_and_for_a_minute() {
    let key = Arc::new(signer(Algorithm::Es256, Some("k1")));
    let of = |audience: Option<&str>| {
        let audience = audience.map(ToOwned::to_owned);
        let (_, form) = proven(ClientProof::Assertion { key: key.clone(), audience });
        assert_eq!(form[0], ("client_id", "a b".to_owned()));
        assert_eq!(form[1], ("client_assertion_type", ASSERTION_TYPE.to_owned()));
        form[2].1.clone()
    };
    let verifier = |audience: &str| Verifier::new(Rules::new("a b", audience));
    let verify = |token: &str, audience: &str, now| {
        verifier(audience)
            .verify(token.as_bytes(), &keys([&*key]), now)
            .map(|token| token.claims.subject() == Some("a b"))
    };
    let token = of(None);
    assert_eq!(verify(&token, "https://id.example/token", NOW), Ok(true));
    assert!(verify(&token, "https://id.example/token", NOW + 120).is_err());
    assert!(verify(&token, "https://id.example", NOW).is_err());
    assert_eq!(verify(&of(Some("https://id.example")), "https://id.example", NOW), Ok(true));
    assert_ne!(of(None), of(None), "each has a name of its own");
}
