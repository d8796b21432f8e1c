use super::*;
use crate::auth::keys::fixtures::document;

const EVERYTHING: &str = r##"{ "consumers": [
    { "name": "partner-a", "tags": ["gold", "eu"], "scopes": ["orders:read", "orders:write"], "limits": { "rate": "100/1m" },
      "keys": [
        { "id": "old", "sha256": "#abc", "created": "2026-01-01", "not_before": "2026-02-01", "expires": "2027-01-01",
          "scopes": ["orders:read"], "tags": ["batch"],
          "deprecated": { "since": "2026-03-01T12:00:00Z", "replaced_by": "new" }, "retired": "2026-04-01" },
        { "id": "new", "sha256": "#abd" } ] },
    { "name": "partner-b" } ] }"##;

const EVERYTHING_IN_YAML: &str = r#"# Kept by `edgeward keys`, which does not keep comments.
consumers:
  - name: "partner-a"
    tags: ["gold","eu"]
    scopes: ["orders:read","orders:write"]
    limits: {"rate":"100/1m"}
    keys:
      - id: "old"
        sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        created: "2026-01-01T00:00:00Z"
        not_before: "2026-02-01T00:00:00Z"
        expires: "2027-01-01T00:00:00Z"
        scopes: ["orders:read"]
        tags: ["batch"]
        deprecated: {"since":"2026-03-01T12:00:00Z","replaced_by":"new"}
        retired: "2026-04-01T00:00:00Z"
      - id: "new"
        sha256: "a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9"
  - name: "partner-b"
"#;

#[test]
fn reads_every_key_of_the_language() {
    let document = document(EVERYTHING);
    let [first, second] = document.consumers.as_slice() else { panic!("{document:?}") };
    assert_eq!((first.name.as_str(), second.name.as_str()), ("partner-a", "partner-b"));
    assert_eq!((first.tags.len(), first.scopes.len(), first.keys.len()), (2, 2, 2));
    assert_eq!(first.limits.rate, "100/1m".parse().ok());
    let old = &first.keys[0];
    let time = |text: &str| text.parse::<Moment>().ok();
    assert_eq!(old.sha256, Digest::of(b"abc"));
    assert_eq!((old.created, old.not_before), (time("2026-01-01"), time("2026-02-01")));
    assert_eq!((old.expires, old.retired), (time("2027-01-01"), time("2026-04-01")));
    assert_eq!(old.scopes.as_deref(), Some(&["orders:read".to_owned()][..]));
    assert_eq!(old.tags, ["batch"]);
    let deprecated = old.deprecated.as_ref().unwrap();
    assert_eq!(Some(deprecated.since), time("2026-03-01T12:00:00Z"));
    assert_eq!(deprecated.replaced_by, "new".parse().ok());
}

#[test]
fn refuses_unknown_keys_everywhere() {
    for json in [
        r#"{ "consumer": [] }"#,
        r#"{ "consumers": [{ "name": "a", "key": [] }] }"#,
        r#"{ "consumers": [{ "name": "a", "limits": { "rat": "1/1s" } }] }"#,
    ] {
        let error = serde_json::from_str::<Document>(json).unwrap_err().to_string();
        assert!(error.contains("unknown field"), "{json}: {error}");
    }
    let key = |more: &str| {
        let digest = "0".repeat(64);
        format!(
            r#"{{ "consumers": [{{ "name": "a", "keys": [{{ "id": "k", "sha256": "{digest}"{more} }}] }}] }}"#
        )
    };
    assert!(serde_json::from_str::<Document>(&key("")).is_ok());
    for more in [r#", "expire": "2027-01-01""#, r#", "deprecated": { "since": "2027-01-01", "by": "x" }"#] {
        let error = serde_json::from_str::<Document>(&key(more)).unwrap_err().to_string();
        assert!(error.contains("unknown field"), "{more}: {error}");
    }
}

#[test]
fn writes_yaml_of_a_fixed_shape() {
    assert_eq!(document(EVERYTHING).encode(Encoding::Yaml).unwrap(), EVERYTHING_IN_YAML);
    let empty = Document::default().encode(Encoding::Yaml).unwrap();
    assert_eq!(empty, "# Kept by `edgeward keys`, which does not keep comments.\nconsumers: []\n");
}

#[test]
fn writes_json_that_reads_the_same() {
    let document = document(EVERYTHING);
    let text = document.encode(Encoding::Json).unwrap();
    assert_eq!(serde_json::from_str::<Document>(&text).unwrap(), document);
    assert!(text.ends_with("}\n") && text.lines().count() > 20, "made for people too");
}

#[test]
fn a_file_is_json_by_its_name_and_yaml_otherwise() {
    for (name, expected) in [
        ("keys.json", Encoding::Json),
        ("/etc/KEYS.JSON", Encoding::Json),
        ("keys.yaml", Encoding::Yaml),
        ("keys.yml", Encoding::Yaml),
        ("json", Encoding::Yaml),
    ] {
        assert_eq!(Encoding::of(Path::new(name)), expected, "{name}");
    }
}
