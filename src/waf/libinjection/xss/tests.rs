use super::*;

#[test]
fn finds_scripts_in_every_context() {
    for value in [
        "<script>alert(1)</script>",
        "<ScRiPt src=//a.example>",
        "<s\0cript>",
        "<img src=x onerror=alert(1)>",
        "<a href='javascript:alert(1)'>",
        "<a href=\"jav&#x61;script:x\">",
        "<svg/onload=x>",
        "<svgfoo>",
        "<xsl:value-of>",
        "<!doctype html>",
        "<!--[if IE]>",
        "<!--`-->",
        "<?xml version='1.0'>",
        "<?import x>",
        "<!ENTITY x>",
        "<%`%>",
        "<p style=x>",
        "<animate attributename=onload>",
        "<animate attributename=href>",
        "x onerror=alert(1)",
        "' onmouseover=x '",
        "\" onfocus=\"x",
        "` onclick=x",
        "\"><script>",
        "'/><iframe>",
        "xmlns:a=x",
        "action = data:x",
        "to=\u{b}vbscript:x",
    ] {
        assert!(is_xss(value.as_bytes()), "{value:?}");
    }
}

#[test]
fn lets_pass_what_runs_nothing() {
    for value in [
        "",
        "hello world",
        "a < b and c > d",
        "x = y",
        "a=b&c=d",
        "<p>Hello <b>world</b></p>",
        "<a href='https://a.example/'>",
        "<img src=x.png alt='a picture'>",
        "<!-- comment -->",
        "<![CDATA[ <script> ]]>",
        "</script>",
        "onions=3",
        "one=1",
        "onload",
        "on=x",
        "\"quoted\" = 'text'",
        "I <3 you",
        "<",
        "</",
        "<!",
        "<!-",
        "<%",
        "price=<10",
    ] {
        assert!(!is_xss(value.as_bytes()), "{value:?}");
    }
}

#[test]
fn a_byte_that_is_no_text_does_not_end_the_reading() {
    assert!(is_xss(b"\xff onload=x"));
    assert!(is_xss(b"<a \xff=x onload=x>"));
    assert!(!is_xss(b"\xff x=x"));
}

#[test]
fn no_bytes_without_a_tag_hide_the_tag_after_them() {
    let mut rng = fastrand::Rng::with_seed(1);
    let bytes = b">/!?%-[]=\"'`& \t\0\x0b\xffaonsrc&#x6;CDATA";
    for _ in 0..20_000 {
        let before: Vec<u8> = (0..rng.usize(..40)).filter_map(|_| rng.choice(bytes).copied()).collect();
        assert!(is_xss(&[&before[..], b"<script>"].concat()), "{}", before.escape_ascii());
    }
}
