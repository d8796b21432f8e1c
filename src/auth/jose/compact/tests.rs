use super::*;
use crate::auth::jose::base64url::encode;

const CLAIMS: &str = r#"{"iss":"a"}"#;

fn read(header: &str) -> Result<(), Fault> {
    let text = format!("{}.{}.c2ln", encode(header.as_bytes()), encode(CLAIMS.as_bytes()));
    Token::parse(text.as_bytes(), DEFAULT_MAX_BYTES).and_then(|token| token.claims()).map(drop)
}

fn parse(text: &str) -> Result<(), Fault> {
    Token::parse(text.as_bytes(), DEFAULT_MAX_BYTES).and_then(|token| token.claims()).map(drop)
}

fn header() -> String {
    encode(br#"{"alg":"ES256"}"#)
}

#[test]
fn reads_algorithm_name_and_type_of_a_token() {
    let header = encode(br#"{"alg":"ES256","kid":"k1","typ":"at+jwt","x5t":"abc"}"#);
    let text = format!("{header}.{}.c2ln", encode(CLAIMS.as_bytes()));
    let token = Token::parse(text.as_bytes(), text.len()).unwrap();
    assert_eq!(token.algorithm(), Algorithm::Es256);
    assert_eq!((token.key_id(), token.kind()), (Some("k1"), Some("at+jwt")));
    assert_eq!(token.claims().unwrap().issuer(), Some("a"));
    assert_eq!(token.signed, format!("{header}.{}", encode(CLAIMS.as_bytes())).as_bytes());
}

#[test]
fn refuses_a_token_longer_than_the_limit() {
    let text = format!("{}.{}.c2ln", header(), encode(CLAIMS.as_bytes()));
    assert!(Token::parse(text.as_bytes(), text.len()).is_ok());
    assert_eq!(Token::parse(text.as_bytes(), text.len() - 1).unwrap_err(), Fault::TooLarge);
}

#[test]
fn refuses_every_number_of_parts_but_three() {
    let (header, claims) = (header(), encode(CLAIMS.as_bytes()));
    assert!(parse(&format!("{header}.{claims}.c2ln")).is_ok());
    for text in ["", ".", "a", "a.b", &format!("{header}.{claims}"), &format!("{header}.{claims}.c2ln.c2ln")]
    {
        assert_eq!(parse(text), Err(Fault::Malformed), "{text}");
    }
    assert_eq!(parse(&format!("{header}.a.b.c.d")), Err(Fault::Encrypted));
    assert_eq!(parse(&format!("{header}.a.b.c.d.e")), Err(Fault::Malformed));
    assert_eq!(parse(&".".repeat(10_000)), Err(Fault::Malformed));
}

#[test]
fn refuses_the_json_serialisation() {
    for text in [r#"{"payload":"a.b.c","signatures":[]}"#, r#"  {"protected":"a","payload":"b"}"#, "{a.b.c"] {
        assert_eq!(parse(text), Err(Fault::JsonSerialised), "{text}");
    }
}

#[test]
fn refuses_every_other_spelling_of_its_parts() {
    let (header, claims) = (header(), encode(CLAIMS.as_bytes()));
    for text in [
        format!(" {header}.{claims}.c2ln"),
        format!("{header}.{claims}.c2ln "),
        format!("{header}.{claims}.c2ln\n"),
        format!("{header}\n.{claims}.c2ln"),
        format!("{header}=.{claims}.c2ln"),
        format!("{header}.{claims}=.c2ln"),
        format!("Bearer {header}.{claims}.c2ln"),
        format!("{header}.{claims}\0.c2ln"),
        format!("{header}+.{claims}.c2ln"),
    ] {
        assert_eq!(parse(&text), Err(Fault::Malformed), "{text:?}");
    }
    // The last letter of the claims holds two bits that mean nothing; lax decoders do not look at them.
    assert!(claims.ends_with("In0") && parse(&format!("{header}.{claims}.c2ln")).is_ok());
    assert_eq!(parse(&format!("{header}.{}1.c2ln", &claims[..claims.len() - 1])), Err(Fault::Malformed));
    let bytes = [header.as_bytes(), b".\xff\xfe.c2ln"].concat();
    let token = Token::parse(&bytes, DEFAULT_MAX_BYTES).unwrap();
    assert_eq!(token.claims().unwrap_err(), Fault::Malformed);
}

#[test]
fn refuses_an_algorithm_that_is_none_or_unknown() {
    for name in ["none", "None", "NONE", "nOnE"] {
        assert_eq!(read(&format!(r#"{{"alg":"{name}"}}"#)), Err(Fault::AlgorithmNone));
    }
    for name in ["", "es256", "ES256 ", "HS1", "RSA-OAEP", "dir", "none "] {
        assert_eq!(read(&format!(r#"{{"alg":"{name}"}}"#)), Err(Fault::AlgorithmUnknown));
    }
    let text = format!("{}.{}.", encode(br#"{"alg":"none"}"#), encode(CLAIMS.as_bytes()));
    assert_eq!(parse(&text), Err(Fault::AlgorithmNone));
}

#[test]
fn refuses_a_header_whose_members_have_other_types() {
    assert_eq!(read(r#"{"alg":"ES256","kid":"a","typ":"JWT","cty":"json"}"#), Ok(()));
    for header in [
        "{}",
        r#"{"alg":null}"#,
        r#"{"alg":["ES256"]}"#,
        r#"{"alg":{"ES256":1}}"#,
        r#"{"alg":256}"#,
        r#"{"alg":"ES256","kid":1}"#,
        r#"{"alg":"ES256","kid":["a"]}"#,
        r#"{"alg":"ES256","typ":null}"#,
        r#"{"alg":"ES256","cty":1}"#,
        r#"{"alg":"ES256","jwk":"key"}"#,
        r#"["ES256"]"#,
        r#""ES256""#,
        "null",
        "",
        r#"{"alg":"ES256"}x"#,
        r#"{"alg":"ES256","x":"\ud800"}"#,
    ] {
        assert_eq!(read(header), Err(Fault::HeaderMalformed), "{header}");
    }
    assert_eq!(read(&format!(r#"{{"alg":"ES256","x":{}"#, "[".repeat(1000))), Err(Fault::TooDeep));
}

#[test]
fn refuses_a_member_of_the_header_that_occurs_twice() {
    for header in [
        r#"{"alg":"ES256","alg":"none"}"#,
        r#"{"alg":"none","alg":"ES256"}"#,
        r#"{"alg":"ES256","\u0061lg":"none"}"#,
        r#"{"alg":"ES256","kid":"a","kid":"b"}"#,
    ] {
        assert_eq!(read(header), Err(Fault::DuplicateHeader), "{header}");
    }
}

#[test]
fn refuses_what_a_header_asks_for_and_nobody_does() {
    for (member, fault) in [
        (r#""crit":["exp"]"#, Fault::CriticalHeader),
        (r#""crit":[]"#, Fault::CriticalHeader),
        (r#""crit":null"#, Fault::CriticalHeader),
        (r#""jku":"https://evil.example/jwks.json""#, Fault::KeyInHeader),
        (r#""x5u":"https://evil.example/cert.pem""#, Fault::KeyInHeader),
        (r#""x5c":["MIIB"]"#, Fault::KeyInHeader),
        (r#""jwk":{"kty":"oct","k":"AA"}"#, Fault::KeyInHeader),
        (r#""zip":"DEF""#, Fault::Compressed),
        (r#""b64":false"#, Fault::Unencoded),
        (r#""b64":true"#, Fault::Unencoded),
        (r#""enc":"A256GCM""#, Fault::Encrypted),
        (r#""cty":"JWT""#, Fault::Nested),
        (r#""cty":"application/jwt""#, Fault::Nested),
    ] {
        assert_eq!(read(&format!(r#"{{"alg":"ES256",{member}}}"#)), Err(fault), "{member}");
    }
}

#[test]
fn only_a_proof_may_hold_its_key() {
    let header = encode(br#"{"alg":"ES256","jwk":{"kty":"EC"}}"#);
    let text = format!("{header}.{}.c2ln", encode(CLAIMS.as_bytes()));
    assert_eq!(Token::parse(text.as_bytes(), DEFAULT_MAX_BYTES).unwrap_err(), Fault::KeyInHeader);
    assert!(Token::parse_proof(text.as_bytes(), DEFAULT_MAX_BYTES).unwrap().key().is_some());
}

#[test]
fn refuses_a_token_without_a_signature() {
    assert_eq!(parse(&format!("{}.{}.", header(), encode(CLAIMS.as_bytes()))), Err(Fault::SignatureMissing));
}

#[test]
fn refuses_claims_that_are_no_object_or_say_a_thing_twice() {
    let read = |claims: &[u8]| parse(&format!("{}.{}.c2ln", header(), encode(claims)));
    assert_eq!(read(b"{}"), Ok(()));
    for claims in [
        &b""[..],
        b"[]",
        b"null",
        b"\"a\"",
        b"{\"a\":1}}",
        b"{\"a\":\"\xff\"}",
        b"{\"exp\":1e400}",
        b"{\"a\":NaN}",
    ] {
        assert_eq!(read(claims), Err(Fault::ClaimsMalformed), "{:?}", String::from_utf8_lossy(claims));
    }
    assert_eq!(read(br#"{"exp":1,"exp":2}"#), Err(Fault::DuplicateClaim));
    assert_eq!(read(br#"{"a":{"b":[{"c":1,"c":2}]}}"#), Err(Fault::DuplicateClaim));
    assert_eq!(read("{\"a\":".repeat(2000).as_bytes()), Err(Fault::TooDeep));
}

#[test]
fn types_are_compared_without_case_and_with_or_without_application() {
    for text in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
        assert!(is_type(text, "at+jwt"), "{text}");
    }
    for text in [
        "",
        "jwt",
        "at+jwt ",
        "text/at+jwt",
        "application/",
        "application/x/at+jwt",
        "at+jwté",
        "éapplicatio",
    ] {
        assert!(!is_type(text, "at+jwt"), "{text}");
    }
}
