//! Translation, matching and what patterns require.

use super::{Caches, Case, Regex, Required, translate};

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
        (r"^(?>a|ab)c$", b"abc", b"b"),
        (r"(?i)^SELECT$", b"select", b"sel"),
        (r"^a(?#comment)b$", b"ab", b"a"),
        (r"^a.b$", b"a\nb", b"ab"),
        (r"^\v$", b"\n", b"v"),
        (r"\bx\b", b"a x b", b"axb"),
        (r"^[[:alpha:]]$", b"q", b"1"),
        (r"^\07\x7$", b"\x07\x07", b"77"),
        (r"a$", b"a", b"a\n"),
    ] {
        assert!(is_match(pattern, yes), "{pattern} {:?}", translate(pattern.as_bytes()));
        assert!(!is_match(pattern, no), "{pattern} {:?}", translate(pattern.as_bytes()));
    }
}

#[test]
fn refuses_what_is_not_linear_and_what_is_no_pattern() {
    for pattern in [r"(a)\1", r"a(?=b)", r"(?<!a)b", r"(?R)", r"(", r"[a", r"\", r"[b-a]", r"\x{100}", r"a\y"]
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
