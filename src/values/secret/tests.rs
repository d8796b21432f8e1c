use super::*;

const LARGEST: usize = 64 * 1024;

fn read(json: &str) -> Result<Secret, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

fn from_env(value: Option<&str>) -> Result<SecretString, SecretError> {
    Secret::Env("API_KEY".into()).resolve_in(Path::new("."), |name| {
        assert_eq!(name, "API_KEY");
        value.map(OsString::from)
    })
}

/// Resolves a file with these contents, named relative to its directory.
fn from_file(name: &str, contents: &[u8]) -> Result<SecretString, SecretError> {
    let directory = std::env::temp_dir().join(format!("edgeward-secret-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join(name), contents).unwrap();
    let resolved = Secret::File(name.into()).resolve(&directory);
    std::fs::remove_file(directory.join(name)).unwrap();
    resolved
}

#[test]
fn reads_both_sources() {
    assert_eq!(read(r#"{"env": "API_KEY"}"#).unwrap(), Secret::Env("API_KEY".into()));
    assert_eq!(read(r#"{"file": "/run/key"}"#).unwrap(), Secret::File("/run/key".into()));
}

#[test]
fn refuses_a_secret_written_in_the_clear_without_repeating_it() {
    for json in [r#""hunter2""#, "-12345", "12345", "1.5", "true"] {
        let message = read(json).unwrap_err();
        assert!(message.starts_with(WRITTEN_IN_THE_CLEAR), "{message}");
        assert!(!message.contains(json.trim_matches('"')), "{message}");
    }
}

#[test]
fn refuses_none_two_and_unknown_sources() {
    assert!(read("{}").unwrap_err().starts_with(ONE_SOURCE));
    assert!(read(r#"{"env": "A", "file": "b"}"#).unwrap_err().starts_with(ONE_SOURCE));
    assert!(read(r#"{"vault": "a"}"#).unwrap_err().starts_with("unknown field `vault`"));
}

#[test]
fn refuses_names_and_paths_that_cannot_exist() {
    for json in [r#"{"env": ""}"#, r#"{"env": "A=B"}"#, r#"{"env": "A\u0000"}"#] {
        assert!(
            read(json).unwrap_err().starts_with("expected the name of an environment variable"),
            "{json}"
        );
    }
    for json in [r#"{"file": ""}"#, r#"{"file": "a\u0000"}"#] {
        assert!(read(json).unwrap_err().starts_with("expected the path of a file"), "{json}");
    }
}

#[test]
fn resolves_a_variable_as_it_is() {
    assert_eq!(from_env(Some("s3cret\n")).unwrap().expose(), "s3cret\n");
    assert_eq!(from_env(None).unwrap_err().to_string(), "environment variable API_KEY is not set");
    assert_eq!(
        from_env(Some("")).unwrap_err().to_string(),
        "the secret from environment variable API_KEY is empty"
    );
}

#[test]
fn resolves_a_file_without_one_final_newline() {
    assert_eq!(from_file("lf", b"s3cret\n").unwrap().expose(), "s3cret");
    assert_eq!(from_file("crlf", b"s3cret\r\n").unwrap().expose(), "s3cret");
    assert_eq!(from_file("none", b"s3cret").unwrap().expose(), "s3cret");
    assert_eq!(from_file("two", b"s3cret\n\n").unwrap().expose(), "s3cret\n");
}

#[test]
fn refuses_files_that_are_missing_empty_too_large_or_not_text() {
    let missing = Secret::File("no/such/file".into()).resolve(Path::new("/")).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read the secret's file /no/such/file: "), "{missing}");
    assert!(matches!(from_file("empty", b"\n"), Err(SecretError::Empty(_))));
    assert!(matches!(from_file("binary", b"\xff\xfe"), Err(SecretError::NotUtf8(_))));
    assert!(matches!(from_file("large", &vec![b'a'; LARGEST + 1]), Err(SecretError::TooLarge(_))));
    assert!(matches!(from_file("huge", &vec![b'a'; 4 * LARGEST]), Err(SecretError::TooLarge(_))));
    let mut largest = vec![b'a'; LARGEST];
    largest.extend_from_slice(b"\r\n");
    assert_eq!(from_file("largest", &largest).unwrap().expose().len(), LARGEST);
}

#[test]
fn never_prints_its_value() {
    let secret = from_env(Some("s3cret")).unwrap();
    let printed =
        format!("{secret} {secret:?} {:?} {}", Some(&secret), serde_json::to_string(&secret).unwrap());
    assert_eq!(printed, "*** *** Some(***) \"***\"");
}

#[test]
fn matches_only_the_same_bytes() {
    let secret = from_env(Some("s3cret")).unwrap();
    assert!(secret.matches(b"s3cret"));
    for candidate in [b"s3creT".as_slice(), b"S3cret", b"s3cre", b"s3cret\0", b""] {
        assert!(!secret.matches(candidate));
    }
}

#[test]
fn serializes_its_source() {
    assert_eq!(serde_json::to_string(&Secret::Env("KEY".into())).unwrap(), r#"{"env":"KEY"}"#);
    assert_eq!(serde_json::to_string(&Secret::File("a/b".into())).unwrap(), r#"{"file":"a/b"}"#);
}

#[test]
fn tells_editors_both_forms() {
    let schema = serde_json::to_value(schemars::schema_for!(Secret)).unwrap();
    let required: Vec<_> =
        schema["oneOf"].as_array().unwrap().iter().map(|form| form["required"][0].clone()).collect();
    assert_eq!(required, ["env", "file"]);
}
