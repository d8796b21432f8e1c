use std::path::PathBuf;

use serde_json::{Value, json};

use crate::auth::jose::Algorithm;
use crate::auth::jose::mint;
use crate::filters::oauth2_introspection::Spec;
use crate::filters::testing::{read_error, try_compile};

/// A directory with a secret and keys.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("edgeward-oauth-server-{:032x}", fastrand::u128(..)));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("secret"), "hush").unwrap();
        std::fs::write(path.join("rsa.pem"), mint::rsa_private_pem()).unwrap();
        std::fs::write(path.join("oct.json"), r#"{"kty":"oct","k":"aHVzaA"}"#).unwrap();
        Self(path)
    }

    fn compile(&self, more: Value) -> Result<(), String> {
        let mut spec = json!({ "client": { "id": "edge", "secret": { "file": "secret" } } });
        for (key, value) in more.as_object().unwrap() {
            spec[key] = value.clone();
        }
        try_compile::<Spec>(spec, &self.0).map(drop).map_err(|problem| problem.to_string())
    }

    fn error(&self, more: Value) -> String {
        self.compile(more).unwrap_err()
    }

    fn client(&self, client: Value) -> Result<(), String> {
        self.compile(json!({ "url": "https://id.example/i", "client": client }))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_server_is_named_in_one_way_and_reached_safely() {
    let folder = Folder::new();
    assert_eq!(folder.compile(json!({ "url": "https://id.example/introspect" })), Ok(()));
    assert_eq!(folder.compile(json!({ "issuer": "https://id.example/tenant" })), Ok(()));
    assert_eq!(folder.compile(json!({ "url": "http://127.0.0.1:1/i" })), Ok(()));
    assert_eq!(folder.error(json!({})), "name the server by `url` or by `issuer`");
    assert!(
        folder.error(json!({ "url": "https://a/", "issuer": "https://a/" })).starts_with("issuer: either")
    );
    assert!(folder.error(json!({ "issuer": "https://a/?b" })).starts_with("issuer: an issuer has no query"));
    assert!(folder.error(json!({ "url": "http://id.example/" })).starts_with("url: expected https"));
    assert!(folder.error(json!({ "issuer": "http://id.example/" })).starts_with("issuer: expected https"));
    assert_eq!(folder.compile(json!({ "url": "http://id.example/", "danger_http": true })), Ok(()));
    assert!(folder.error(json!({ "url": "https://a/", "tls": { "ca": "nowhere" } })).starts_with("tls.ca: "));
}

#[test]
fn a_client_proves_itself_in_one_way() {
    let folder = Folder::new();
    let secret = json!({ "file": "secret" });
    assert_eq!(folder.client(json!({ "id": "e", "secret": secret, "secret_in": "body" })), Ok(()));
    let key = json!({ "file": "rsa.pem" });
    let signs = json!({ "id": "e", "private_key": key, "algorithm": "PS256", "key_id": "k", "assertion_audience": "a" });
    assert_eq!(folder.client(signs), Ok(()));
    for (client, at) in [
        (json!({ "id": "e" }), "client: "),
        (json!({ "id": "", "secret": secret }), "client.id: "),
        (json!({ "id": "e", "secret": { "file": "nowhere" } }), "client.secret: "),
        (json!({ "id": "e", "secret": secret, "private_key": key }), "client.private_key: "),
        (json!({ "id": "e", "secret": secret, "algorithm": "ES256" }), "client.algorithm: "),
        (json!({ "id": "e", "secret": secret, "key_id": "k" }), "client.key_id: "),
        (json!({ "id": "e", "secret": secret, "assertion_audience": "a" }), "client.assertion_audience: "),
        (json!({ "id": "e", "private_key": key }), "client.algorithm: "),
        (json!({ "id": "e", "private_key": key, "algorithm": "ES256" }), "client.private_key: "),
        (
            json!({ "id": "e", "private_key": key, "algorithm": "RS256", "secret_in": "body" }),
            "client.secret_in: ",
        ),
        (
            json!({ "id": "e", "private_key": { "file": "secret" }, "algorithm": "ES256" }),
            "client.private_key: ",
        ),
        (
            json!({ "id": "e", "private_key": { "file": "oct.json" }, "algorithm": "HS256" }),
            "client.private_key: ",
        ),
    ] {
        let error = folder.client(client.clone()).unwrap_err();
        assert!(error.starts_with(at), "{client}: {error}");
        assert!(!error.contains("hush") && !error.contains("aHVzaA"), "{error}");
    }
    let clear = json!({ "url": "https://a/", "client": { "id": "e", "secret": "hush" } });
    assert!(!read_error::<Spec>(clear).contains("hush"));
    assert!(Algorithm::named("ES256").is_some());
}
