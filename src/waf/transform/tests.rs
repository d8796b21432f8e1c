use fastrand::Rng;

use super::*;

/// What becomes of `input`, or `None` if it stands; checks what holds for all transformations.
fn apply(transformation: Transformation, input: &[u8]) -> Option<Vec<u8>> {
    let mut out = b"what was there".to_vec();
    if transformation.apply(input, &mut out) {
        assert_ne!(
            out,
            input,
            "{transformation:?} said that it changed {:?}",
            input.escape_ascii().to_string()
        );
        let triggers = transformation.triggers();
        assert!(triggers.apply_to(&ByteSet::of(input)), "{transformation:?} was not to change {input:?}");
        return Some(out);
    }
    assert_eq!(out, b"what was there", "{transformation:?} touched the output");
    None
}

#[track_caller]
fn changes(transformation: Transformation, cases: &[(&[u8], &[u8])]) {
    for (input, expected) in cases {
        let found = apply(transformation, input);
        let found = found.as_deref().map(|found| found.escape_ascii().to_string());
        assert_eq!(found, Some(expected.escape_ascii().to_string()), "{}", input.escape_ascii());
    }
}

#[track_caller]
fn keeps(transformation: Transformation, cases: &[&[u8]]) {
    for input in cases {
        assert_eq!(apply(transformation, input), None, "{}", input.escape_ascii());
    }
}

#[test]
fn names_are_read_in_any_case_and_written_as_in_the_manual() {
    assert_eq!(Transformation::from_name("base64decode"), Some(Transformation::Base64Decode));
    assert_eq!(Transformation::from_name("normalisePathWin"), Some(Transformation::NormalizePathWin));
    assert_eq!(Transformation::from_name("urlDecodeUn"), None);
    assert_eq!(Transformation::all().count(), 36);
    for transformation in Transformation::all() {
        assert_eq!(Transformation::from_name(transformation.name()), Some(transformation));
        assert_eq!(Transformation::from_name(&transformation.name().to_uppercase()), Some(transformation));
    }
}

#[test]
fn url_escapes_are_decoded_and_broken_ones_stay() {
    changes(
        Transformation::UrlDecode,
        &[(b"%3Cscript%3e+x", b"<script> x"), (b"%%41%4", b"%A%4"), (b"a+%u0041%zz", b"a %u0041%zz")],
    );
    keeps(Transformation::UrlDecode, &[b"", b"100%", b"%u0041", b"%4", b"plain"]);
    changes(
        Transformation::UrlDecodeUni,
        &[
            (b"%u003cscript%U003E", b"<script>"),
            (b"%uff1cx%u2039%u02b9", b"<x<'"),
            (b"%u00e9%u4f27%00", b"e'\0"),
            (b"%u00g9%41+", b"%u00g9A "),
        ],
    );
    keeps(Transformation::UrlDecodeUni, &[b"%u", b"%u004", b"%uzzzz", b"%"]);
    changes(Transformation::UrlEncode, &[(b"a b*\xff_-", b"a+b*%ff%5f%2d")]);
    keeps(Transformation::UrlEncode, &[b"aZ09*"]);
}

#[test]
fn character_references_are_decoded_with_and_without_a_semicolon() {
    changes(
        Transformation::HtmlEntityDecode,
        &[
            (b"&lt;&#x41;&#66&#X43;D", b"<ABCD"),
            (b"java&colon;&Tilde&nbsp;", b"java:~\xa0"),
            (b"&#99999999999999999999;&#256", b"\xff\0"),
            (b"&ltx&amp;lt;", b"&ltx&lt;"),
            (b"java&Tab;&NewLine;&lsqb;&lcub;&excl;&vert;", b"java\t\n[{!|"),
        ],
    );
    keeps(Transformation::HtmlEntityDecode, &[b"&", b"&#", b"&#x;", b"&#;", b"a&b=c", b"&eacute;"]);
}

#[test]
fn backslash_escapes_are_decoded_as_each_language_does() {
    changes(
        Transformation::JsDecode,
        &[
            (b"\\u0061\\x62\\143\\n", b"abc\n"),
            (b"\\uff1c\\u4f27\\777\\8\\'", b"<'?78'"),
            (b"\\\\u0041\\X41", b"\\u0041X41"),
            (b"a\\b\\", b"a\x08\\"),
        ],
    );
    keeps(Transformation::JsDecode, &[b"\\", b"u0041"]);
    changes(
        Transformation::EscapeSeqDecode,
        &[(b"\\x41\\X42\\103\\777\\x4\\q\\\"", b"ABC\xffx4q\""), (b"\\u0041\\", b"u0041\\")],
    );
    keeps(Transformation::EscapeSeqDecode, &[b"\\", b""]);
    changes(
        Transformation::CssDecode,
        &[
            (b"ja\\vasc\\72 ipt\\3A", b"javascript:"),
            (b"\\00ff1c\\0ff1e\\ff21 \\1ff1c", b"<>A\x1c"),
            (b"a\\\nb\\0c\\", b"ab\x0c"),
            (b"\\1234567", b"\x567"),
        ],
    );
    keeps(Transformation::CssDecode, &[b"a: b", b""]);
}

#[test]
fn base64_is_decoded_up_to_the_first_other_byte_or_in_spite_of_it() {
    changes(
        Transformation::Base64Decode,
        &[(b"YWJj", b"abc"), (b"YWI=", b"ab"), (b"YQ", b"a"), (b"YW\r\nJj*ZGVm", b"abc"), (b"*", b"")],
    );
    changes(
        Transformation::Base64DecodeExt,
        &[(b"Y.W-Jj*Z_GVm", b"ao\x89\x8d\x9f\xc6V"), (b"Y==", b""), (b"YWJjZ", b"abc"), (b"YW==", b"a")],
    );
    changes(Transformation::Base64Encode, &[(b"a", b"YQ=="), (b"ab", b"YWI="), (b"abc\xff", b"YWJj/w==")]);
    for transformation in
        [Transformation::Base64Decode, Transformation::Base64DecodeExt, Transformation::Base64Encode]
    {
        keeps(transformation, &[b""]);
    }
}

#[test]
fn hexadecimal_is_decoded_in_pairs() {
    changes(Transformation::HexDecode, &[(b"4142zz5", b"ABS"), (b"4", b"")]);
    changes(Transformation::HexEncode, &[(b"a\xff", b"61ff")]);
    changes(
        Transformation::SqlHexDecode,
        &[(b"0x414243 or 0X44", b"ABC or D"), (b"00x410x42\x000x434", b"0AB\0C4")],
    );
    keeps(Transformation::SqlHexDecode, &[b"0x4", b"x41", b"0xg1", b""]);
}

#[test]
fn shell_quotes_and_separators_are_read_as_the_shell_reads_them() {
    changes(
        Transformation::CmdLine,
        &[
            (b"C^o\"m'm\\and;,  ,/C", b"command/c"),
            (b"a \"'( b,c", b"a( b c"),
            (b"x\t", b"x "),
            (b"AB c", b"ab c"),
        ],
    );
    keeps(Transformation::CmdLine, &[b"cat etc/passwd", b" a", b""]);
}

#[test]
fn comments_go_or_become_a_space() {
    changes(Transformation::ReplaceComments, &[(b"a/**/b/*c*/d/*e", b"a b d "), (b"/*/b*/c", b" c")]);
    keeps(Transformation::ReplaceComments, &[b"a*/b", b"/ *", b"--#"]);
    changes(
        Transformation::RemoveComments,
        &[
            (b"a/*b*/c", b"ac"),
            (b"a<!--b-->c--d", b"ac"),
            (b"a/*b-->c", b"ac"),
            (b"a/*b*//*c*/", b"a/*c*/"),
            (b"a#b", b"a"),
            (b"a/*b", b"a "),
            (b"a/*b*/", b"a"),
        ],
    );
    keeps(Transformation::RemoveComments, &[b"a-b*c/d", b"<!-", b""]);
    changes(
        Transformation::RemoveCommentsChar,
        &[(b"a/*b*/c<!--d-->e--f#g", b"abcdefg"), (b"-->--->", b"->"), (b"/*/", b"/")],
    );
    keeps(Transformation::RemoveCommentsChar, &[b"a-b*c/d", b"<!-"]);
}

#[test]
fn paths_lose_doubled_slashes_and_dot_segments() {
    changes(
        Transformation::NormalizePath,
        &[(b"/a//b/./c/../d", b"/a/b/d"), (b"/../../etc/passwd", b"/etc/passwd")],
    );
    changes(
        Transformation::NormalizePath,
        &[(b"./a/", b"a/"), (b"a/..", b""), (b"....", b""), (b"a/../../b", b"../b")],
    );
    keeps(Transformation::NormalizePath, &[b"/a/b.html", b"../../a", b"..", b"a\\..\\b", b"/", b"", b"/a/"]);
    changes(Transformation::NormalizePathWin, &[(b"a\\..\\\\b\\.\\c", b"b/c"), (b"\\a", b"/a")]);
    keeps(Transformation::NormalizePathWin, &[b"/a/b.html", b"c:"]);
}

#[test]
fn white_space_and_nuls_are_removed_or_replaced() {
    changes(Transformation::CompressWhitespace, &[(b"a \t b\nc", b"a b c"), (b"\t", b" ")]);
    keeps(Transformation::CompressWhitespace, &[b"a b", b"a\xa0b", b""]);
    changes(Transformation::RemoveWhitespace, &[(b" a\t\xc2\xa0b\x0b", b"ab")]);
    keeps(Transformation::RemoveWhitespace, &[b"ab"]);
    changes(Transformation::RemoveNulls, &[(b"\0a\0", b"a")]);
    changes(Transformation::ReplaceNulls, &[(b"\0a\0", b" a ")]);
    changes(Transformation::Trim, &[(b" a b\n", b"a b"), (b"  ", b"")]);
    changes(Transformation::TrimLeft, &[(b" a ", b"a ")]);
    changes(Transformation::TrimRight, &[(b" a ", b" a")]);
    keeps(Transformation::Trim, &[b"a b", b"\0a"]);
    keeps(Transformation::TrimLeft, &[b"a "]);
    keeps(Transformation::TrimRight, &[b" a"]);
}

#[test]
fn letters_parity_length_and_digests() {
    changes(Transformation::Lowercase, &[(b"aB\xc3\x80", b"ab\xc3\x80")]);
    keeps(Transformation::Lowercase, &[b"ab\xc3"]);
    changes(Transformation::Uppercase, &[(b"aB1", b"AB1")]);
    changes(Transformation::ParityEven7bit, &[(b"a\xffbc", b"\xe1\x7f\xe2c")]);
    changes(Transformation::ParityOdd7bit, &[(b"a\xffbc", b"a\xffb\xe3")]);
    changes(Transformation::ParityZero7bit, &[(b"\xe1", b"a")]);
    keeps(Transformation::ParityZero7bit, &[b"a"]);
    changes(Transformation::Length, &[(b"", b"0"), (b"abcdefghij", b"10"), (b"2", b"1")]);
    keeps(Transformation::Length, &[b"1"]);
    let md5 = b"\xd4\x1d\x8c\xd9\x8f\x00\xb2\x04\xe9\x80\x09\x98\xec\xf8\x42\x7e";
    changes(Transformation::Md5, &[(b"", md5)]);
    let sha1 = b"\xda\x39\xa3\xee\x5e\x6b\x4b\x0d\x32\x55\xbf\xef\x95\x60\x18\x90\xaf\xd8\x07\x09";
    changes(Transformation::Sha1, &[(b"", sha1)]);
    keeps(Transformation::None, &[b"", b"A b\0%41"]);
}

#[test]
fn utf8_is_written_as_escapes() {
    changes(
        Transformation::Utf8toUnicode,
        &[
            (b"a\xc3\xa9\xe2\x80\xb9\xf0\x9f\x98\x80", b"a%u00e9%u2039%u1f600"),
            (b"a\0b\xc3\xff", b"ab\xff"),
            (b"\xc0\xaf\xed\xa0\x80", b"%u002f\xc0%ud800\xed"),
            (b"\xf5\x80\x80\x80", b"\xf5%u140000"),
            (b"\xf0\x8d\xa0\x80", b"%ud800\xf0\xf0"),
        ],
    );
    keeps(Transformation::Utf8toUnicode, &[b"abc", b"\xff\x80", b""]);
}

/// Texts of fragments that mean something to one transformation or another.
fn random_text(rng: &mut Rng) -> Vec<u8> {
    const FRAGMENTS: &[&[u8]] = &[
        b"%41",
        b"%u",
        b"%uff1c",
        b"+",
        b"%",
        b"\\",
        b"\\u0041",
        b"\\x41",
        b"\\377",
        b"\\00ff41",
        b"&",
        b"&#65;",
        b"&#x",
        b"&lt;",
        b"/*",
        b"*/",
        b"--",
        b"-->",
        b"<!--",
        b"#",
        b"/",
        b"..",
        b".",
        b"a",
        b"B",
        b"7",
        b" ",
        b"\t",
        b"\xa0",
        b"\0",
        b"'",
        b",",
        b"(",
        b"0x",
        b"YQ==",
        b"=",
        b"\xc3\xa9",
        b"\xe2",
        b"\xf0\x80\x80\x80",
        b"\xf5",
        b"\x80",
    ];
    let mut text = Vec::new();
    for _ in 0..rng.usize(..10) {
        match rng.choice(FRAGMENTS) {
            Some(fragment) if rng.u8(..6) > 0 => text.extend_from_slice(fragment),
            _ => text.push(rng.u8(..)),
        }
    }
    text
}

#[test]
fn a_value_is_changed_or_stands() {
    let mut rng = Rng::with_seed(1);
    for _ in 0..20_000 {
        let text = random_text(&mut rng);
        for transformation in Transformation::all() {
            let changed = apply(transformation, &text);
            assert!(changed.is_none_or(|changed| changed.len() <= text.len() * 4 + 20));
        }
    }
}

#[test]
fn a_value_without_any_trigger_stands() {
    let mut rng = Rng::with_seed(2);
    for transformation in Transformation::all() {
        let Triggers::Any(set) = transformation.triggers() else { continue };
        for _ in 0..2_000 {
            let mut text = random_text(&mut rng);
            text.retain(|byte| !set.contains(*byte));
            keeps(transformation, &[&text]);
        }
    }
}

#[test]
fn every_trigger_changes_something() {
    let mut rng = Rng::with_seed(3);
    for transformation in Transformation::all() {
        let Triggers::Any(set) = transformation.triggers() else { continue };
        for byte in (0..=255).filter(|byte| set.contains(*byte)) {
            let changes = (0..5_000).any(|_| {
                let mut text = random_text(&mut rng);
                text.insert(rng.usize(..=text.len()), byte);
                text.retain(|other| *other == byte || !set.contains(*other));
                apply(transformation, &text).is_some()
            });
            assert!(changes, "{transformation:?} {byte}");
        }
    }
}
