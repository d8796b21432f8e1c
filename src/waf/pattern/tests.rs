//! Translation, matching and what patterns require.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Caches, Case, Groups, Regex, Required, check, plain, translate};
use crate::waf::Clock;

fn regex(pattern: &str) -> (Regex, Required) {
    Regex::new(pattern.as_bytes(), Case::Sensitive).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

fn is_match(pattern: &str, text: &[u8]) -> bool {
    regex(pattern).0.is_match(0, &mut Caches::default(), text)
}

#[test]
fn reads_patterns_as_pcre_does() {
    for (pattern, yes, no) in [
        (r"^[\--9]$", &b"."[..], &b","[..]),
        (r"^[a&&b]$", b"&", b"c"),
        (r"^[[a]$", b"[", b"b"),
        (r"^[]a]$", b"]", b"["),
        (r"^[^]a]$", b"b", b"]"),
        (r"^[a-\d]$", b"-", b"b"),
        (r"^[\w-]$", b"-", b"+"),
        (r"^[\x{bc}]$", b"\xbc", b"\xc2"),
        (r"^\x{bc}$", b"\xbc", b"\xc2\xbc"),
        ("^\u{e9}$", "\u{e9}".as_bytes(), b"\xe9"),
        (r"^a{,2}$", b"a{,2}", b"aa"),
        (r"^a{2}$", b"aa", b"a"),
        (r"^\Qa.b\E$", b"a.b", b"axb"),
        (r"^a++b$", b"aab", b"b"),
        (r"^(?>a|ab)c$", b"ac", b"abc"),
        (r"^a*+[^b]$", b"aac", b"aa"),
        (r"^a{1,2}+a$", b"aaa", b"aa"),
        (r"^[ab]?+b$", b"ab", b"b"),
        (r"^(?:(a)|ab)++c\1$", b"aaca", b"abca"),
        (r"^x(?:\s*+;\s*+(?:a|[^b]c)?)*$", b"x ; a;dc", b"x; c"),
        (r"(?i)^SELECT$", b"select", b"sel"),
        (r"^a(?#comment)b$", b"ab", b"a"),
        (r"^a.b$", b"a\nb", b"ab"),
        (r"^\v$", b"\n", b"v"),
        (r"\bx\b", b"a x b", b"axb"),
        (r"^[[:alpha:]]$", b"q", b"1"),
        (r"^\07\x7$", b"\x07\x07", b"77"),
        (r"a$", b"a", b"a\n"),
        (r"^\101\12$", b"A\n", b"101"),
        (r"^(a)\1$", b"aa", b"a\x01"),
        (r"^\1011$", b"A1", b"A"),
    ] {
        assert!(is_match(pattern, yes), "{pattern} {:?}", translate(pattern.as_bytes()));
        assert!(!is_match(pattern, no), "{pattern} {:?}", translate(pattern.as_bytes()));
    }
}

#[test]
fn refuses_what_is_not_linear_and_what_is_no_pattern() {
    for pattern in
        [r"(?<!a*)b", r"(?R)", r"(", r"[a", r"\", r"[b-a]", r"\x{100}", r"a\y", r"\19", r"\777", r"\89"]
    {
        assert!(Regex::new(pattern.as_bytes(), Case::Sensitive).is_err(), "{pattern}");
    }
}

#[test]
fn groups_are_those_of_the_leftmost_match_on_short_and_long_texts() {
    let (regex, _) = regex(r"(\w+)=(\d+)(x)?");
    let mut caches = Caches::default();
    for padding in [0, 100_000] {
        let text = [&b" ".repeat(padding)[..], b"- key=42; other=1x"].concat();
        let groups = regex.groups(0, &mut caches, &text, 0).unwrap();
        let part = |group: usize| groups[group].map(|(start, end)| &text[start..end]);
        assert_eq!(
            [part(0), part(1), part(2), part(3)],
            [Some(&b"key=42"[..]), Some(b"key"), Some(b"42"), None]
        );
    }
    assert!(regex.groups(0, &mut caches, b"nothing", 0).is_none());
}

#[test]
fn any_of_several_patterns_is_found() {
    let patterns = ["^a+$", "b{2}"].map(|pattern| regex(pattern).0);
    let any = Regex::any_of(patterns.iter()).unwrap();
    let mut caches = Caches::default();
    let found = [&b"aaa"[..], b"xbbx", b"ab"].map(|text| any.is_match(0, &mut caches, text));
    assert_eq!(found, [true, true, false]);
}

fn passes(required: &Required, text: &[u8]) -> bool {
    let text = text.to_ascii_lowercase();
    text.len() >= required.least_bytes
        && required.clauses.iter().all(|clause| {
            text.iter().any(|byte| clause.bytes.contains(*byte))
                || clause.literals.iter().any(|literal| memchr::memmem::find(&text, literal).is_some())
        })
}

#[test]
fn a_text_that_matches_has_what_is_required() {
    for (pattern, matching, lacking) in [
        (r"(?i)union[\s\x0b]+select", &b"1 UNION  SELECT 2"[..], &b"union jack"[..]),
        (r"(?:foo|bar)=\d", b"bar=1", b"baz=1"),
        (r"(?:a|bc)?xyz{2,4}", b"xyzz", b"xyab"),
        (r"<[^>]*script", b"<a script", b"script"),
        (r"a{3}b", b"aaab", b"aab"),
        (r"^(?:sleep|benchmark)\(", b"sleep(1)", b"sleep"),
        (r"[\n\r;`]\s*cat", b"; cat", b"the cat"),
    ] {
        let required = regex(pattern).1;
        assert!(is_match(pattern, matching) && passes(&required, matching), "{pattern} {required:?}");
        assert!(!passes(&required, lacking), "{pattern} {required:?}");
    }
}

#[test]
fn phrases_require_one_of_them() {
    let phrases = [&b"/etc/passwd"[..], b"/etc/shadow", b"x"];
    let required = Required::phrases(phrases.into_iter());
    assert!(passes(&required, b"cat /ETC/SHADOW") && passes(&required, b"x") && !passes(&required, b"/usr"));
}

#[test]
fn finds_the_same_matches_and_groups_as_the_library() {
    let patterns = [
        "a(b)?c",
        "(?i)(x+)(y*)z",
        "^(a|ab)(c|bcd)*$",
        "\\bfoo(\\d{2,5})\\b",
        "(a*)*b",
        "([^,]*),([^,]*)$",
        "(?:)",
        "a$",
        ".*(q).*",
        "^.*$",
        "x*",
        "[a-c]+?x?",
        "ab|a|abc",
        r"\b\w+\b,",
        "^(?:a|ab)?$",
    ];
    let mut random = fastrand::Rng::with_seed(7);
    for (id, pattern) in patterns.iter().enumerate() {
        let regex = Regex::new(pattern.as_bytes(), Case::Sensitive).unwrap().0;
        let oracle = regex::bytes::RegexBuilder::new(pattern)
            .unicode(false)
            .dot_matches_new_line(true)
            .build()
            .unwrap();
        let mut caches = Caches::default();
        for _ in 0..300 {
            let text: Vec<u8> =
                (0..random.usize(..200)).map(|_| b"abcxyzfo01,q \n"[random.usize(..14)]).collect();
            assert_eq!(regex.is_match(id, &mut caches, &text), oracle.is_match(&text), "{pattern} {text:?}");
            let from = random.usize(..=text.len());
            let expected = oracle.captures_at(&text, from).map(|found| {
                let mut groups = Groups::default();
                for (group, found) in groups.iter_mut().zip(found.iter()) {
                    *group = found.map(|found| (found.start(), found.end()));
                }
                groups
            });
            assert_eq!(regex.groups(id, &mut caches, &text, from), expected, "{pattern} {text:?} {from}");
        }
    }
}

#[test]
fn of_a_very_long_match_the_whole_alone_is_told() {
    let regex = Regex::new(b"<(a+)>", Case::Sensitive).unwrap().0;
    let text = |length: usize| [&b"xx<"[..], &vec![b'a'; length], b">xx"].concat();
    let groups = |length: usize| regex.groups(0, &mut Caches::default(), &text(length), 0).unwrap();
    assert_eq!(groups(4_000)[..2], [Some((2, 4_004)), Some((3, 4_003))]);
    assert_eq!(groups(100_000)[..2], [Some((2, 100_004)), None]);
}

/// A nanosecond passes each time it is asked.
struct Steps(AtomicU64);

impl Clock for Steps {
    fn monotonic_ns(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    fn unix_ms(&self) -> u64 {
        0
    }
}

#[test]
fn a_text_that_asks_for_a_new_state_with_each_byte_ends_with_the_time() {
    // Each of 300 places where the match may have begun is in the state, or is not.
    let regex = Regex::new(b"a[^!]{300}b!", Case::Sensitive).unwrap().0;
    let mut random = fastrand::Rng::with_seed(7);
    let text: Vec<u8> = (0..128 << 10).map(|_| b"ac"[random.usize(..2)]).collect();
    let looks = |text: &[u8]| {
        let clock = Arc::new(Steps(0.into()));
        let mut caches = Caches::default();
        caches.meter.begin(&(clock.clone() as Arc<dyn Clock>), 200_050);
        let found = regex.is_match(0, &mut caches, text);
        (found, caches.meter.is_empty(), clock.0.load(Ordering::Relaxed))
    };
    let (found, is_empty, looked) = looks(&text);
    assert!(!found && is_empty && looked < 60, "{looked}");
    // The same length, of few states.
    assert!(!looks(&vec![b'c'; 128 << 10]).1);
}

#[test]
fn looks_around_at_the_edges_of_a_pattern() {
    for (pattern, matching, lacking) in [
        (
            r"<\?(?!xml)",
            &[&b"<?php"[..], b"<?", b"<?x", b"<?xm", b"<?xmx", b"<?xml <?="][..],
            &[&b"<?xml"[..], b"?"][..],
        ),
        (
            r"(?<!&amp|&[aA]uml);|=",
            &[&b";"[..], b"amp;", b"&am;", b"&xuml;", b"&amp=", b"&amp;;"],
            &[&b"&amp;"[..], b"&Auml;", b"a"],
        ),
        ("a(?=bc|d)", &[&b"abc"[..], b"ad"], &[&b"ab"[..], b"a"]),
        (r"(?<=x\))a|b(?!\w)", &[&b"x)a"[..], b"b", b"b-d"], &[&b"xa"[..], b"bcd"]),
        ("a(?![)b])", &[&b"a"[..], b"ac"], &[&b"a)"[..], b"ab"]),
    ] {
        for text in matching {
            assert!(is_match(pattern, text), "{pattern:?} {text:?}");
        }
        for text in lacking {
            assert!(!is_match(pattern, text), "{pattern:?} {text:?}");
        }
    }
}

#[test]
fn looks_around_within_a_pattern_and_refers_to_groups() {
    for (pattern, matching, lacking) in [
        ("a(?!b)c?", &[&b"ac"[..], b"ab a", b"a"][..], &[&b"ab"[..], b"b"][..]),
        ("^(a(?!b))+$", &[&b"aa"[..]], &[&b"ab"[..]]),
        ("(?i)^a(?!b)", &[&b"Ac"[..]], &[&b"aB"[..]]),
        ("a(?!b+c)", &[&b"abb"[..]], &[&b"abbc"[..]]),
        ("^.b(?<!ab|cb)", &[&b"bb"[..]], &[&b"ab"[..], b"cb"]),
        ("a(?!(b)(?=c))", &[&b"abd"[..]], &[&b"abc"[..]]),
        ("a(?!b$)", &[&b"abc"[..]], &[&b"ab"[..]]),
        ("^(?=.*\\d)(?=.*[a-z])\\w+$", &[&b"a1"[..], b"1a"], &[&b"aa"[..], b"11"]),
        (r"\b(\w+)\s*=\s*\1\b", &[&b"x or a = a"[..], b"1=1"], &[&b"a = b"[..], b"a=ab"]),
        (r"(?i)^(['\x22])(a+?|b)*\1$", &[&b"'aab'"[..], b"\"\""], &[&b"'a\""[..]]),
        (r"(?i)(a)\1", &[&b"aA"[..]], &[&b"ab"[..]]),
        (r"(?:(a)|b)\1", &[&b"aa"[..]], &[&b"ba"[..]]),
        (r"^(a*)*\1$", &[&b"aa"[..], b""], &[&b"b"[..]]),
    ] {
        for text in matching {
            assert!(is_match(pattern, text), "{pattern:?} {text:?}");
        }
        for text in lacking {
            assert!(!is_match(pattern, text), "{pattern:?} {text:?}");
        }
    }
    let groups = regex(r"(\w)-(?=b)(\w)\1").0.groups(0, &mut Caches::default(), b"a-bb a-ba", 0).unwrap();
    assert_eq!(groups[..3], [Some((5, 9)), Some((5, 6)), Some((7, 8))]);
}

#[test]
fn what_gives_nothing_back_takes_no_depth() {
    let list = |items: usize| ["a", &", b".repeat(items)].concat();
    let pattern = r"^a(?:\s*+,\s*+(?:b|[^c]d))*$";
    assert!(is_match(pattern, list(100).as_bytes()));
    assert!(!is_match(pattern, [&list(100), ", d"].concat().as_bytes()), "the space is not given back");
}

#[test]
fn a_search_that_would_take_forever_runs_out_of_time() {
    let clock: Arc<dyn Clock> = Arc::new(Steps(AtomicU64::new(0)));
    for (pattern, text) in [
        (r"(x+x+)+\1y", [b"x".repeat(5_000), b" y".to_vec()].concat()),
        (r"^(?:(?:ab?)+)(?!c)(.)\1", [b"ab".repeat(20_000), b"c".to_vec()].concat()),
    ] {
        let mut caches = Caches::default();
        caches.meter.begin(&clock, 200_050);
        assert!(!regex(pattern).0.is_match(0, &mut caches, &text), "{pattern}");
        assert!(caches.meter.is_empty(), "{pattern}");
    }
}

#[test]
fn what_cannot_be_searched_is_refused() {
    for pattern in
        [r"\1", r"(a)\2", r"(a)\19", r"(a)\g1", r"(?<a>a)\k<a>", "b(?<!a+)", "a(?!b", "(?x)a b", "(?R)"]
    {
        assert!(check(pattern.as_bytes()).is_err(), "{pattern}");
    }
    assert!(plain(b"(a)\\1").is_err());
}
