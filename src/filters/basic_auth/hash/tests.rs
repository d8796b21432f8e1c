use super::*;

/// Made with `htpasswd -nbB -C 5 alice wonderland`.
const HTPASSWD: &str = "$2y$05$ttWXLy8gW7v43jFpvsxPMeomR6hpAvTkiwULa0xcDFqDsaeZAKnfK";
/// Made with the reference implementation: `argon2 somesalt -id -t 2 -k 256 -p 1 -e`, password `password`.
const ARGON2: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

fn error(text: &str) -> String {
    Hash::parse(text).err().unwrap()
}

#[test]
fn verifies_what_other_tools_made() {
    for (text, password) in [(HTPASSWD, "wonderland"), (ARGON2, "password")] {
        let hash = Hash::parse(text).unwrap();
        assert!(hash.verify(password));
        assert!(!hash.verify("Password") && !hash.verify("") && !hash.verify("wonderland "));
        assert_eq!(hash.text(), text);
    }
}

#[test]
fn takes_every_safe_prefix_of_bcrypt() {
    for prefix in ["$2a$", "$2b$", "$2y$"] {
        let hash = Hash::parse(&HTPASSWD.replace("$2y$", prefix)).unwrap();
        assert!(hash.verify("wonderland") && !hash.verify("x"), "{prefix}");
    }
}

#[test]
fn refuses_hashes_that_are_not_safe_and_never_prints_them() {
    for (text, kind) in [
        ("$apr1$abcdefgh$ijklmnopqrstuvwxyz0123", "an md5 hash (apr1)"),
        ("$1$abcdefgh$ijklmnopqrstuvwxyz0123", "an md5 hash"),
        ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "a sha1 hash"),
        ("$6$salt$hash", "a sha512-crypt hash"),
        ("$5$salt$hash", "a sha256-crypt hash"),
        ("$2x$05$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyz01234", "a bcrypt hash of a broken"),
        ("$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR", "an argon2i hash"),
        ("$argon2d$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR", "an argon2d hash"),
        ("rl.3StKT.4T8M", "a plain password or a crypt hash"),
        ("wonderland", "a plain password or a crypt hash"),
        ("", "a plain password or a crypt hash"),
    ] {
        let message = error(text);
        assert!(message.starts_with(kind), "{message}");
        assert!(text.is_empty() || !message.contains(text), "{message}");
    }
}

#[test]
fn bounds_what_one_check_may_cost() {
    assert!(Hash::parse(&HTPASSWD.replace("$05$", "$14$")).is_ok());
    for cost in ["15", "31", "03", "99"] {
        assert!(error(&HTPASSWD.replace("$05$", &format!("${cost}$"))).contains("out of range"), "{cost}");
    }
    for (params, expected) in [
        ("m=262144,t=4,p=1", None),
        ("m=262144,t=4,p=16", None),
        ("m=262145,t=1,p=1", Some("m=262145 is out of range")),
        ("m=262144,t=5,p=1", Some("takes too long")),
        ("m=8,t=4294967295,p=1", Some("takes too long")),
        ("m=65536,t=2,p=17", Some("p=17 is out of range")),
    ] {
        let parsed = Hash::parse(&ARGON2.replace("m=256,t=2,p=1", params)).err();
        assert_eq!(parsed.is_some(), expected.is_some(), "{params}: {parsed:?}");
        assert!(parsed.unwrap_or_default().contains(expected.unwrap_or_default()), "{params}");
    }
}

#[test]
fn refuses_malformed_hashes() {
    for text in [
        "$2y$".to_owned(),
        "$2y$05".to_owned(),
        HTPASSWD.replace("$05$", "$5$"),
        HTPASSWD.replace("$05$", "$+5$"),
        HTPASSWD.replace("$05$", "$0é$"),
        format!("{HTPASSWD}a"),
        HTPASSWD.get(..59).unwrap().to_owned(),
        format!("{}!", HTPASSWD.get(..59).unwrap()),
        format!("{}/", HTPASSWD.get(..59).unwrap()),
        "$argon2id$".to_owned(),
        ARGON2.replace("v=19", "v=16"),
        ARGON2.replace("$v=19", ""),
        ARGON2.replace("m=256,", ""),
        ARGON2.replace("c29tZXNhbHQ", "c29tZQ"),
        ARGON2.replace("$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", ""),
    ] {
        assert!(error(&text).starts_with("malformed"), "{text}");
    }
}
