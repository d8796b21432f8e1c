use super::*;
use crate::http::chance::Chance;

fn path_by(rules: Rules, target: &str) -> Result<String, PathError> {
    normalise(target.as_bytes(), &rules).map(|normal| normal.to_target())
}

fn path(target: &str) -> Result<String, PathError> {
    path_by(Rules::default(), target)
}

const KEEP: Rules = Rules { duplicate_slashes: DuplicateSlashes::Keep, encoded_slash: EncodedSlash::Refuse };
const REFUSE: Rules =
    Rules { duplicate_slashes: DuplicateSlashes::Refuse, encoded_slash: EncodedSlash::Refuse };
const DANGER: Rules =
    Rules { duplicate_slashes: DuplicateSlashes::Merge, encoded_slash: EncodedSlash::DangerKeep };

#[test]
fn borrows_what_is_normal_already() {
    for target in [
        "/",
        "/orders/7",
        "/orders/7/?a=b&c=%zz%00",
        "/.well-known/x/...",
        "/a..b/..c/.d;v=1/",
        "/%E2%82%AC%25%20x/@:!$&'()*+,=~",
        "/a?",
        "/%E0%B8%81/%F0%9F%98%80",
    ] {
        let normal = normalise(target.as_bytes(), &Rules::default()).unwrap();
        assert!(!normal.is_rewritten(), "{target}");
        assert_eq!(normal.to_target(), target);
    }
}

#[test]
fn writes_one_form_of_equivalent_paths() {
    for (target, expected) in [
        ("/%7Euser/%61%2Db", "/~user/a-b"),
        ("/a%c3%a9%3a", "/a%C3%A9%3A"),
        ("/a/./b/../c", "/a/c"),
        ("/a/%2e%2E/%2e/b", "/b"),
        ("/a/.%2e/", "/"),
        ("/a/b/..", "/a/"),
        ("/a/.", "/a/"),
        ("/.", "/"),
        ("/%252e%252e/", "/%252e%252e/"),
        ("/a[1]{x}|^`", "/a%5B1%5D%7Bx%7D%7C%5E%60"),
        ("/a/..//b?x=/../y", "/b?x=/../y"),
        ("//a///b//", "/a/b/"),
        ("/a//../b", "/b"),
        ("/a?b?c", "/a?b?c"),
        ("/a%3Bb;c", "/a%3Bb;c"),
    ] {
        assert_eq!(path(target).as_deref(), Ok(expected), "{target}");
    }
}

#[test]
fn treats_duplicate_slashes_by_rule() {
    assert_eq!(path_by(KEEP, "//a///b//").as_deref(), Ok("//a///b//"));
    assert_eq!(path_by(KEEP, "/a//../b").as_deref(), Ok("/a/b"));
    assert_eq!(path_by(REFUSE, "/a//b"), Err(PathError::DuplicateSlash));
    assert_eq!(path_by(REFUSE, "/a/%2e/b/").as_deref(), Ok("/a/b/"));
}

#[test]
fn keeps_encoded_slashes_only_where_the_danger_is_accepted() {
    assert_eq!(path("/a%2fb"), Err(PathError::EncodedSlash));
    assert_eq!(path_by(DANGER, "/a%2fb").as_deref(), Ok("/a%2Fb"));
    for target in
        ["/a/..%2fb", "/a%2F..", "/a%2f%2e%2e%2fb", "/a%2f..;x", "/a%2F..%3bx", "/a%2F.%3B/b", "/.%2F"]
    {
        assert_eq!(path_by(DANGER, target), Err(PathError::EncodedSlash), "{target}");
    }
    for target in ["/a%2Fb..%3Bx", "/a%2Fb;..", "/a%2F...%3B"] {
        assert_eq!(path_by(DANGER, target).as_deref(), Ok(target), "{target}");
    }
}

#[test]
fn refuses_what_servers_read_differently() {
    for (target, expected) in [
        ("", PathError::NotOriginForm),
        ("a", PathError::NotOriginForm),
        ("*", PathError::NotOriginForm),
        ("?a", PathError::NotOriginForm),
        ("http://h/", PathError::NotOriginForm),
        ("%2Fa", PathError::NotOriginForm),
        ("/%", PathError::BadEscape),
        ("/%2", PathError::BadEscape),
        ("/%2g", PathError::BadEscape),
        ("/%+1", PathError::BadEscape),
        ("/%u002e", PathError::BadEscape),
        ("/a%2Fb", PathError::EncodedSlash),
        ("/a\\b", PathError::Backslash),
        ("/a%5cb", PathError::Backslash),
        ("/a%00", PathError::Control),
        ("/a\0", PathError::Control),
        ("/a%0d%0a", PathError::Control),
        ("/a%7F", PathError::Control),
        ("/a\t", PathError::Control),
        ("/a\u{7f}", PathError::Control),
        ("/a b", PathError::BadByte),
        ("/<a>", PathError::BadByte),
        ("/\"a\"", PathError::BadByte),
        ("/é", PathError::NonAscii),
        ("/%c0%ae%c0%ae/", PathError::Overlong),
        ("/%C1%9c", PathError::Overlong),
        ("/%E0%80%AF", PathError::Overlong),
        ("/%f0%80%80%af", PathError::Overlong),
        ("/%f8%80%80%80%af", PathError::Overlong),
        ("/%fc%80%80%80%80%af", PathError::Overlong),
        ("/a#b", PathError::Fragment),
        ("/..", PathError::AboveRoot),
        ("/../a", PathError::AboveRoot),
        ("/a/../../b", PathError::AboveRoot),
        ("/a/%2e%2e/%2E./", PathError::AboveRoot),
        ("//..", PathError::AboveRoot),
        ("/a/..;/b", PathError::DotParameters),
        ("/a/.;x=1/b", PathError::DotParameters),
        ("/a/%2e%2e;/b", PathError::DotParameters),
        ("/a/..%3b/b", PathError::DotParameters),
    ] {
        assert_eq!(path(target), Err(expected), "{target}");
    }
    assert_eq!(normalise(b"/\xff", &Rules::default()), Err(PathError::NonAscii));
}

#[test]
fn checks_the_query_and_leaves_it_alone() {
    assert_eq!(path("/a?q=100%&x=%2F..\\|{}[]").as_deref(), Ok("/a?q=100%&x=%2F..\\|{}[]"));
    for (target, expected) in [
        ("/a?b c", PathError::BadByte),
        ("/a?<", PathError::BadByte),
        ("/a?b\r\nx: y", PathError::Control),
        ("/a?\0", PathError::Control),
        ("/a?é", PathError::NonAscii),
        ("/a?b#c", PathError::Fragment),
    ] {
        assert_eq!(path(target), Err(expected), "{target}");
    }
    let normal = normalise(b"/a?", &Rules::default()).unwrap();
    assert_eq!((normal.path(), normal.query()), ("/a", Some("")));
    assert_eq!(normalise(b"/a", &Rules::default()).unwrap().query(), None);
}

#[test]
fn what_is_accepted_is_normal_and_stays_so() {
    let pieces: [&[u8]; 26] = [
        b"/",
        b"/",
        b"/",
        b".",
        b"..",
        b"%2e",
        b"%2E",
        b"%2f",
        b"%5C",
        b"%",
        b"%25",
        b"2e",
        b";",
        b"%3b",
        b"a",
        b"Z",
        b"%41",
        b"%c3%A9",
        b"%c0",
        b"%E0%80",
        b"?",
        b"#",
        b" ",
        b"[",
        b"\\",
        b"\xc3\xa9",
    ];
    let mut chance = Chance::new(5);
    let mut accepted = 0;
    for round in 0..60_000 {
        let rules = *chance.pick(&[Rules::default(), KEEP, REFUSE, DANGER]);
        let mut target = b"/".to_vec();
        target.extend(chance.glue(&pieces, if round % 2 == 0 { 4 } else { 12 }));
        let Ok(normal) = normalise(&target, &rules) else { continue };
        accepted += 1;
        let shown = target.escape_ascii();
        let again = normal.to_target();
        let twice = normalise(again.as_bytes(), &rules).unwrap();
        assert_eq!(twice.to_target(), again, "{shown}");
        let slow = again.contains("%2F") || again.contains("%3B");
        assert!(slow || !twice.is_rewritten(), "{shown}: {again}");
        assert!(normal.path().starts_with('/') && !normal.path().contains(['?', '#', '\\', ' ']), "{shown}");
        let mut segments = normal.path().split('/').map(|segment| segment.split(';').next());
        assert!(!segments.any(|name| matches!(name, Some("." | ".."))), "{shown}: {again}");
        if rules.duplicate_slashes != DuplicateSlashes::Keep {
            assert!(!normal.path().contains("//"), "{shown}: {again}");
        }
    }
    assert!(accepted > 3_000, "{accepted}");
}
