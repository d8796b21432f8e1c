//! Nothing that a stranger writes into the fields of a signature passes for one, and what was signed is told from
//! anything else.
#![no_main]

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use edgeward::auth::replay::{Seen, Spent};
use edgeward::auth::signature::digest;
use edgeward::auth::signature::http::{Component, Message, Policy, Refusal, Signatory};
use edgeward::auth::signature::key::VerifyingKey;
use edgeward::auth::signature::webhook::{Scheme, Webhook};
use edgeward::values::{Secret, SecretString};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use sfv::FieldType;

/// The text of this file, which no input holds.
static SECRET: LazyLock<SecretString> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz_targets/signature.rs");
    Secret::File(path.into()).resolve(Path::new("")).expect("it is there")
});
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
    let key = VerifyingKey::from_secret(SECRET.expose().as_bytes()).expect("long enough");
    let policy = Policy {
        required: Vec::new(),
        max_age: Duration::MAX,
        clock_skew: Duration::MAX,
        nonce_required: false,
        tag: None,
    };
    let signatory = Signatory { key: Arc::new(key), seen: Arc::new(Seen::new(NonZeroUsize::MIN)) };
    let keys = |_: Option<&str>| vec![signatory.clone()];
    policy.verify(message, keys, &mut Spent::default(), NOW).map(|_| ())
}

/// Signs by a base that is written out here, so that two readings of the standard meet.
fn sign_and_change(message: Message<'_>) {
    let query = message.query.unwrap_or_default();
    let value = message.fields.get("x-value").map(HeaderValue::as_bytes).unwrap_or_default().trim_ascii();
    let is_printable = |text: &[u8]| text.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    let Ok(value) = std::str::from_utf8(value) else { return };
    if !query.bytes().all(|byte| byte.is_ascii_graphic()) || !is_printable(value.as_bytes()) {
        return;
    }
    let covered =
        format!("(\"@method\" \"@target-uri\" \"x-value\" \"x-value\";bs);created={NOW};keyid=\"k\"");
    let bytes = sfv::Item::new(value.as_bytes()).serialize();
    let base = format!(
        "\"@method\": POST\n\"@target-uri\": https://example.com/?{query}\n\"x-value\": {value}\n\
         \"x-value\";bs: {bytes}\n\"@signature-params\": {covered}"
    );
    // That of a webhook of this scheme is a plain HMAC.
    let hmac = Webhook::new(Scheme::shopify(), std::slice::from_ref(&*SECRET)).expect("one secret");
    let signature = format!("a=:{}:", hmac.sign(NOW, "", base.as_bytes()));
    let mut fields = message.fields.clone();
    fields.insert("signature-input", HeaderValue::from_str(&format!("a={covered}")).expect("ASCII"));
    fields.insert("signature", HeaderValue::from_str(&signature).expect("ASCII"));
    assert_eq!(verify(&Message { fields: &fields, ..message }), Ok(()));
    let query = format!("{}&", message.query.unwrap_or_default());
    let changed = Message { fields: &fields, query: Some(&query), ..message };
    assert_eq!(verify(&changed), Err(Refusal::Invalid));
    let mut more = fields.clone();
    more.append("x-value", HeaderValue::from_static(""));
    assert_eq!(verify(&Message { fields: &more, ..message }), Err(Refusal::Invalid));
}
