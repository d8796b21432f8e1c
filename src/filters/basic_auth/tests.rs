use std::fs;

use argon2::password_hash::Encoding;

use super::*;
use crate::filters::exchange::Sample;

/// `wonderland`, made with `htpasswd -nbB -C 5`.
const BCRYPT: &str = "$2y$05$ttWXLy8gW7v43jFpvsxPMeomR6hpAvTkiwULa0xcDFqDsaeZAKnfK";
/// `password`, with little memory.
const ARGON2: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

fn build(yaml: &str, base: &Path) -> Result<BasicAuth, Problem> {
    let verifier = Arc::new(Verifier::new(2, 8, [7; 32]));
    serde_yaml::from_str::<Spec>(yaml).unwrap().build(base, verifier)
}

/// A filter that knows alice (`wonderland`) and bob (`password`), with more keys.
fn filter(more: &str) -> BasicAuth {
    build(&format!("{{ users: ['alice:{BCRYPT}', 'bob:{ARGON2}'] {more} }}"), Path::new("/nowhere")).unwrap()
}

fn problem(yaml: &str) -> (String, String) {
    let problem = build(yaml, Path::new("/nowhere")).err().unwrap();
    (problem.at, problem.message)
}

fn basic(credentials: &str) -> String {
    let mut buffer = vec![0; credentials.len() * 2];
    format!("Basic {}", Encoding::B64.encode(credentials.as_bytes(), &mut buffer).unwrap())
}

async fn decide(filter: &BasicAuth, sample: &mut Sample) -> Verdict {
    match filter.on_request(&mut sample.exchange()) {
        Step::Now(verdict) => verdict,
        Step::Later(verdict) => verdict.await,
    }
}

/// Status and reason of a refusal, or `None` where the request goes on.
async fn refused(filter: &BasicAuth, sample: &mut Sample) -> Option<(u16, &'static str)> {
    match decide(filter, sample).await {
        Verdict::Next => None,
        Verdict::Refuse(refusal) => Some((refusal.status.as_u16(), refusal.reason)),
        Verdict::Respond(_) | Verdict::Stored => panic!("it answers nothing itself"),
    }
}

fn with(credentials: &str) -> Sample {
    Sample::get("/", &[("authorization", &basic(credentials))])
}

const INVALID: Option<(u16, &str)> = Some((401, "basic_auth_invalid"));
const MISSING: Option<(u16, &str)> = Some((401, "basic_auth_missing"));

#[tokio::test]
async fn lets_in_who_knows_the_password_and_nobody_else() {
    let filter = filter("");
    for credentials in ["alice:wonderland", "bob:password"] {
        assert_eq!(refused(&filter, &mut with(credentials)).await, None, "{credentials}");
    }
    for credentials in [
        "alice:Wonderland",
        "alice:",
        "alice:password",
        "bob:wonderland",
        "Alice:wonderland",
        "carol:wonderland",
        "carol:password",
        ":",
        "no colon",
    ] {
        assert_eq!(refused(&filter, &mut with(credentials)).await, INVALID, "{credentials}");
        assert_eq!(refused(&filter, &mut with(credentials)).await, INVALID, "{credentials} again");
    }
}

#[tokio::test]
async fn tells_missing_credentials_from_wrong_ones() {
    let filter = filter("");
    assert_eq!(refused(&filter, &mut Sample::get("/", &[])).await, MISSING);
    let mut bearer = Sample::get("/", &[("authorization", "Bearer abc")]);
    assert_eq!(refused(&filter, &mut bearer).await, MISSING);
    let mut malformed = Sample::get("/", &[("authorization", "Basic !")]);
    assert_eq!(refused(&filter, &mut malformed).await, INVALID);
}

#[tokio::test]
async fn asks_for_credentials_with_the_realm_and_utf8() {
    for (more, expected) in [
        ("", r#"Basic realm="Restricted", charset="UTF-8""#),
        (r#", realm: 'say "a\b"'"#, r#"Basic realm="say \"a\\b\"", charset="UTF-8""#),
    ] {
        let filter = filter(more);
        for mut sample in [Sample::get("/", &[]), with("alice:x")] {
            let Verdict::Refuse(refusal) = decide(&filter, &mut sample).await else { panic!("refused") };
            assert_eq!(refusal.headers, [(WWW_AUTHENTICATE, HeaderValue::from_static(expected))]);
        }
    }
}

#[tokio::test]
async fn answers_at_once_what_it_remembers() {
    let filter = filter("");
    for credentials in ["alice:wonderland", "alice:wrong", "carol:wonderland"] {
        let mut sample = with(credentials);
        assert!(matches!(filter.on_request(&mut sample.exchange()), Step::Later(_)), "{credentials}");
        let first = refused(&filter, &mut with(credentials)).await;
        let mut sample = with(credentials);
        let Step::Now(verdict) = filter.on_request(&mut sample.exchange()) else { panic!("{credentials}") };
        assert_eq!(matches!(verdict, Verdict::Next), first.is_none());
        let mut later = with(credentials);
        later.facts.received_ns = 300_000_000_000;
        assert!(
            matches!(filter.on_request(&mut later.exchange()), Step::Later(_)),
            "{credentials} is forgotten"
        );
    }
}

#[tokio::test]
async fn remembers_no_password_that_was_changed() {
    let verifier = Arc::new(Verifier::new(1, 0, [7; 32]));
    let build = |hash: &str| {
        let yaml = format!("users: ['alice:{hash}']");
        serde_yaml::from_str::<Spec>(&yaml).unwrap().build(Path::new("/"), Arc::clone(&verifier)).unwrap()
    };
    let before = build(BCRYPT);
    assert_eq!(refused(&before, &mut with("alice:wonderland")).await, None);
    let after = build(ARGON2);
    assert_eq!(refused(&after, &mut with("alice:wonderland")).await, INVALID);
    assert_eq!(refused(&after, &mut with("alice:password")).await, None);
}

#[tokio::test]
async fn says_that_it_is_busy_rather_than_queue_without_end() {
    let mut filter = filter("");
    filter.verifier = Arc::new(Verifier::new(0, 0, [7; 32]));
    for credentials in ["alice:wonderland", "carol:wonderland"] {
        let Verdict::Refuse(refusal) = decide(&filter, &mut with(credentials)).await else {
            panic!("refused")
        };
        assert_eq!((refusal.status.as_u16(), refusal.reason), (503, "basic_auth_busy"));
        assert_eq!(refusal.headers, [(RETRY_AFTER, HeaderValue::from_static("1"))]);
    }
}

#[tokio::test]
async fn hides_the_credentials_from_the_upstream_unless_told_otherwise() {
    for (more, hidden) in
        [("", true), (", hide_credentials: true", true), (", hide_credentials: false", false)]
    {
        let filter = filter(more);
        let mut sample = with("alice:wonderland");
        for round in ["checked", "remembered"] {
            sample.request.insert_header("authorization", basic("alice:wonderland")).unwrap();
            assert_eq!(refused(&filter, &mut sample).await, None);
            assert_eq!(!sample.request.headers.contains_key("authorization"), hidden, "{more} {round}");
        }
    }
}

#[tokio::test]
async fn tells_the_upstream_who_came_in() {
    let filter = filter(", forward_user_as: X-User");
    for (credentials, name) in [("alice:wonderland", "alice"), ("bob:password", "bob")] {
        let mut sample = with(credentials);
        sample.request.append_header("x-user", "admin").unwrap();
        sample.request.append_header("X-USER", "root").unwrap();
        assert_eq!(refused(&filter, &mut sample).await, None);
        let found: Vec<_> = sample.request.headers.get_all("x-user").iter().collect();
        assert_eq!(found, [name]);
    }
}

#[test]
fn vouches_for_the_header_that_names_the_user() {
    assert_eq!(filter(", forward_user_as: x-user").vouches_for(), ["x-user"]);
    assert!(filter("").vouches_for().is_empty());
}

#[tokio::test]
async fn reads_users_from_a_file_relative_to_the_policy() {
    let base = std::env::temp_dir().join(format!("edgeward-basic-auth-{}", std::process::id()));
    fs::create_dir_all(&base).unwrap();
    fs::write(base.join("good"), format!("# users\n\nalice:{BCRYPT}\n  bob:{ARGON2}  \n")).unwrap();
    fs::write(base.join("bad"), format!("alice:{BCRYPT}\n# next\nbob:$apr1$x$y\n")).unwrap();
    fs::write(base.join("empty"), "# nobody\n").unwrap();
    let good = build("users_file: good", &base);
    let bad = build("users_file: bad", &base).err().unwrap();
    let empty = build("users_file: empty", &base).err().unwrap();
    fs::remove_dir_all(&base).unwrap();
    let good = good.unwrap();
    assert_eq!(refused(&good, &mut with("bob:password")).await, None);
    assert_eq!(refused(&good, &mut with("carol:password")).await, INVALID);
    assert_eq!(bad.at, "users_file");
    assert!(
        bad.message.contains("bad:3: user \"bob\": an md5 hash (apr1) is not safe here"),
        "{}",
        bad.message
    );
    assert!(!bad.message.contains("$apr1$"));
    assert!(empty.message.ends_with("empty: no users: nobody could come in"), "{}", empty.message);
    assert!(problem("users_file: missing").1.starts_with("cannot read /nowhere/missing: "));
}

#[test]
fn says_which_line_of_the_policy_is_wrong() {
    for (line, expected) in [
        ("bob", "found no colon"),
        (":$2y$05$x", "expected a name of 1 to 255 bytes"),
        ("bob:secret", "user \"bob\": a plain password or a crypt hash is not safe here"),
        ("bob:$2y$15$abc", "user \"bob\": malformed bcrypt hash"),
    ] {
        let (at, message) = problem(&format!("users: ['alice:{BCRYPT}', '{line}']"));
        assert_eq!(at, "users[1]");
        assert!(message.contains(expected), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
    let (at, message) = problem(&format!("users: ['alice:{BCRYPT}', 'alice:{ARGON2}']"));
    assert_eq!((at.as_str(), message.as_str()), ("users[1]", "user \"alice\" is listed twice"));
}

#[test]
fn takes_its_users_from_one_place() {
    assert_eq!(problem("{}").0, "");
    assert_eq!(problem("users: []").0, "users");
    assert_eq!(problem(&format!("{{ users: ['alice:{BCRYPT}'], users_file: x }}")).0, "users");
}

#[test]
fn refuses_headers_and_realms_that_cannot_be() {
    let with = |more: &str| problem(&format!("{{ users: ['alice:{BCRYPT}'] {more} }}"));
    for name in ["authorization", "content-length", "host", "a b"] {
        assert_eq!(with(&format!(", forward_user_as: '{name}'")).0, "forward_user_as", "{name}");
    }
    for realm in ["''", "\"a\\nb\"", "é"] {
        assert_eq!(with(&format!(", realm: {realm}")).0, "realm", "{realm}");
    }
    assert!(serde_yaml::from_str::<Spec>("{ user: [] }").is_err());
}
