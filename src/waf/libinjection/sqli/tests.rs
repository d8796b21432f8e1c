use super::*;

fn fingerprint(value: &str) -> Option<String> {
    is_sqli(value.as_bytes()).map(|fingerprint| fingerprint.to_string())
}

/// Attacks and their fingerprints as libinjection 3.10 tells them.
const ATTACKS: &[(&str, &str)] = &[
    ("1 union select 2", "1UE1"),
    ("-1' and 1=1 union/* foo */select load_file('/etc/passwd')--", "s&1UE"),
    ("' or '1'='1", "s&sos"),
    ("admin'--", "sc"),
    ("1; drop table users", "1;Tnn"),
    ("1 or sleep(5)#", "1&f(1"),
    ("\" or \"\"=\"", "s&sos"),
    ("1)) or 1=1--", "1)&1c"),
    ("x' AND 1=(SELECT COUNT(*) FROM t);--", "s&1o("),
    ("1 and 1=1", "1&1"),
    ("foo' + 'bar", "sos"),
    ("1--", "1c"),
    ("1 --", "1c"),
    ("1/*", "1c"),
    ("'; exec xp_cmdshell('dir')--", "s;Tn("),
    ("1 group by 1 having 1=1", "1B1B1"),
    ("1 into outfile 'x'", "1ks"),
    ("a' like 'b", "sos"),
    ("q'[a]' or 1=1", "s&1"),
    ("n'a' or 1=1", "s&1"),
    ("$$a$$ or 1=1", "s&1"),
    ("$t$a$t$ or 1=1", "s&1"),
    ("@@version or 1=1", "v&1"),
    ("@`a` or 1=1", "v&1"),
    ("x'1f' or 1=1", "1&1"),
    ("b'01' or 1=1", "1&1"),
    ("1.5e3 or 1=1", "1&1"),
    ("0x1f or 1=1", "1&1"),
    ("1 or u&'a'='a'", "1&sos"),
    ("user() or 1=1", "f()&1"),
    ("\\N or 1=1", "1&1"),
    ("1 or {x 1}=1", "1&1"),
    ("if(1=1,sleep(1),0)", "f(1,f"),
    ("1 or password(1)", "1&f(1"),
    ("' or 1 -- sp_password", "s&1c"),
    ("1<=>1 or 2", "1&1"),
    ("1 order by 1--", "1B1c"),
    ("1||1 or 1", "1&1"),
];

#[test]
fn knows_attacks_in_every_context_by_their_fingerprints() {
    for (value, expected) in ATTACKS {
        assert_eq!(fingerprint(value).as_deref(), Some(*expected), "{value}");
    }
}

#[test]
fn lets_pass_what_people_write() {
    for value in [
        "",
        "hello world",
        "It's 5 o'clock",
        "John & Jane",
        "2024-01-01T00:00:00Z",
        "550e8400-e29b-41d4-a716-446655440000",
        "select a colour",
        "Union Square",
        "x-- and more",
        "foo and bar",
        "C# and F#",
        "a+b",
        "50% off",
        "price > 10",
        "user@example.com",
        "https://a.example/x?y=1&z=2",
        "O'Brien",
        "\"quoted\"",
        "don't \"do\" that",
        "1.e",
        "order by phone",
        "5 or 6",
        "a, b, c",
        "(555) 123-4567",
        "$1,000.00",
        "#1",
        "drop me a line",
        "/* comment */",
        "-- ",
        "insert coin",
    ] {
        assert_eq!(fingerprint(value), None, "{value}");
    }
}

#[test]
fn case_and_comments_between_words_hide_nothing() {
    for value in
        ["1 uNiOn sElEcT 2", "1/**/union/**/select/**/2", "1\nunion\tselect\u{b}2", "1 UNION(SELECT 2)"]
    {
        assert!(fingerprint(value).is_some(), "{value}");
    }
    assert_eq!(fingerprint("1 onion select 2"), None);
}

#[test]
fn nested_and_conditional_comments_are_attacks_by_themselves() {
    for value in ["1 /*!union*/ x", "a /* b /* c */ d", "{``.``.id}"] {
        assert_eq!(fingerprint(value).as_deref(), Some("X"), "{value}");
    }
    assert_eq!(fingerprint("a /* b */ d"), None);
}

#[test]
fn a_fingerprint_shows_as_its_letters() {
    let found = is_sqli(b"1 union select 2").unwrap();
    assert_eq!((found.to_string(), found.as_bytes()), ("1UE1".to_owned(), &b"1UE1"[..]));
    assert_eq!(format!("{found:?}"), "Fingerprint(1UE1)");
}

#[test]
fn every_word_and_fingerprint_is_found_again() {
    for (kind, text) in include_str!("words.txt").lines().map(|line| line.split_once(' ').unwrap()) {
        for text in [text.to_owned(), text.to_lowercase()] {
            let word = TABLES.word(text.as_bytes()).unwrap();
            assert_eq!(
                word.kind.map(|kind| char::from(kind as u8).to_string()).as_deref(),
                Some(kind),
                "{text}"
            );
            assert!(TABLES.word(format!("{text}X1").as_bytes()).is_none());
        }
    }
    assert!(TABLES.word(b"GROUP").unwrap().leads && !TABLES.word(b"GROUP BY").unwrap().leads);
    for line in include_str!("fingerprints.txt").lines() {
        assert!(TABLES.is_attack(line.bytes()) && TABLES.is_attack(line.to_lowercase().bytes()), "{line}");
    }
    for kinds in ["N", "NN", "NNNNN", "1", "", "1{C"] {
        assert!(!TABLES.is_attack(kinds.bytes()), "{kinds}");
    }
}

#[test]
fn any_bytes_are_read_to_the_end_and_come_to_a_known_fingerprint_or_none() {
    let mut rng = fastrand::Rng::with_seed(1);
    let bytes = b"'\"`\\/*-#$@.0x1e+({[])};,:<=>&|nqubexUNION select\0\xa0\xff\n";
    for _ in 0..20_000 {
        let value: Vec<u8> = (0..rng.usize(..40)).filter_map(|_| rng.choice(bytes).copied()).collect();
        if let Some(found) = is_sqli(&value) {
            assert!(TABLES.is_attack(found.as_bytes().iter().copied()), "{found}");
        }
    }
}
