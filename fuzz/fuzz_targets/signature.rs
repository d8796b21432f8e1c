//! Nothing that a stranger writes into the fields of a signature passes for one, and what was signed is told from
//! anything else.
#![no_main]

use std::num::NonZeroUsize;
use std::time::Duration;

use edgeward::auth::replay::Seen;
use edgeward::auth::signature::digest;
use edgeward::auth::signature::http::{Component, Message, Policy, Refusal, Signer};
use edgeward::auth::signature::key::{SigningKey, VerifyingKey};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

const SECRET: &[u8] = b"no input knows the secret's bytes";
const NOW: i64 = 1_618_884_473;

fuzz_target!(|data: &[u8]| {
    let mut lines = data.split(|byte| *byte == b'\n');
    let mut next = || lines.next().unwrap_or_default();
    let (input, signature, query, value) = (next(), next(), next(), next());
    if let Ok(text) = std::str::from_utf8(input)
        && let Ok(component) = text.parse::<Component>()
    {
        assert_eq!(component.to_string().parse(), Ok(component), "an identifier is written as it is read");
    }
    if let Ok(mut check) = digest::Check::begin([value]) {
        check.update(data);
        let _ = check.finish();
    }
    let (Ok(query), Some(fields)) = (std::str::from_utf8(query), fields(input, signature, value)) else {
        return;
    };
    let message = message(query, &fields);
    assert!(verify(&message).is_err(), "forged");
    sign_and_change(message);
});

fn fields(input: &[u8], signature: &[u8], value: &[u8]) -> Option<HeaderMap> {
    let mut fields = HeaderMap::new();
    for (name, value) in [("signature-input", input), ("signature", signature), ("x-value", value)] {
        fields.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).ok()?);
    }
    Some(fields)
}

fn message<'a>(query: &'a str, fields: &'a HeaderMap) -> Message<'a> {
    Message {
        method: "POST",
        scheme: "https",
        authority: "example.com",
        path: "/",
        query: Some(query),
        fields,
        has_body: true,
    }
}

fn verify(message: &Message<'_>) -> Result<(), Refusal> {
    let key = VerifyingKey::from_secret(SECRET).expect("long enough");
    let policy = Policy {
        required: Vec::new(),
        max_age: Duration::MAX,
        clock_skew: Duration::MAX,
        nonce_required: false,
        tag: None,
    };
    let seen = Seen::new(NonZeroUsize::MIN);
    policy.verify(message, |_| Some(&key), &seen, NOW).map(|_| ())
}

fn sign_and_change(message: Message<'_>) {
    let components =
        ["@method", "@target-uri", "x-value", "x-value;bs"].map(|text| text.parse().expect("known"));
    let key = SigningKey::from_secret(SECRET).expect("long enough");
    let signer = Signer::new("a", key, "k", components.to_vec(), None, None).expect("writable");
    let Ok(signed) = signer.sign(&message, NOW, None) else { return };
    let mut fields = message.fields.clone();
    fields.insert("signature-input", HeaderValue::from_str(&signed.input).expect("ASCII"));
    fields.insert("signature", HeaderValue::from_str(&signed.signature).expect("ASCII"));
    assert_eq!(verify(&Message { fields: &fields, ..message }), Ok(()));
    let query = format!("{}&", message.query.unwrap_or_default());
    let changed = Message { fields: &fields, query: Some(&query), ..message };
    assert_eq!(verify(&changed), Err(Refusal::Invalid));
    let mut more = fields.clone();
    more.append("x-value", HeaderValue::from_static(""));
    assert_eq!(verify(&Message { fields: &more, ..message }), Err(Refusal::Invalid));
}
