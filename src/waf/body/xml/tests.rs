use super::super::testing::{cpu_seconds, found, limits};
use super::super::{Item, Limit};
use super::*;
use crate::http::chance::Chance;

/// Attributes, then all text.
type Found = (Vec<(String, String)>, Vec<String>);

fn read(input: &[u8]) -> (Found, Result<(), Fault>) {
    let (items, outcome) = found(input, |arena, sink| parse(input, arena, &limits(), sink));
    let of = |wanted| {
        let items = items.iter().filter(move |item| item.0 == wanted);
        items.map(|(_, name, value)| (name.clone(), value.clone())).collect::<Vec<_>>()
    };
    let text = of(Kind::XmlText).into_iter().map(|(_, value)| value).collect();
    ((of(Kind::XmlAttribute), text), outcome)
}

fn text(input: &str) -> String {
    let ((_, text), outcome) = read(input.as_bytes());
    assert_eq!(outcome, Ok(()), "{input}");
    text.concat()
}

fn attributes(input: &str) -> Vec<(String, String)> {
    let ((attributes, _), outcome) = read(input.as_bytes());
    assert_eq!(outcome, Ok(()), "{input}");
    attributes
}

#[test]
fn concatenates_all_text() {
    for (input, expected) in [
        ("<a/>", ""),
        ("<a>x</a>", "x"),
        (
            "<?xml version=\"1.0\" encoding='UTF-8' standalone=\"yes\" ?>\r\n<!-- c --><a>x<b>y</b>\r\n<c/>z</a>\n<?p q?><!---->",
            "xy\nz",
        ),
        ("<a>&lt;&gt;&amp;&quot;&apos;&#65;&#x42;&#x1F600;&#0000067;&#13;</a>", "<>&\"'AB😀C\r"),
        ("<a><![CDATA[<b>&lt;]]]]><![CDATA[>]]></a>", "<b>&lt;]]>"),
        ("<a>x<!-- y -->z<?p w?></a>", "xz"),
        ("<!DOCTYPE a ><a>]]&gt;</a>", "]]>"),
        ("\u{feff}<n:a xmlns:n='urn:x'>\u{e9}\r</n:a >", "\u{e9}\n"),
        ("<?xml-stylesheet x?><\u{e9}.-1>t</\u{e9}.-1>", "t"),
    ] {
        assert_eq!(text(input), expected, "{input}");
    }
    let ((_, text), outcome) = read(b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9&#233;</a>");
    assert_eq!((text.concat().as_str(), outcome), ("\u{fffd}é", Ok(())));
}

#[test]
fn hands_over_attributes() {
    let input =
        "<a b='1' c = \"&lt;'\n\t\r\n&#10;\"><n:d n:e=\"\" xmlns='u' xmlns:n=\"v\" xmlns:o='v w'/></a>";
    let found = attributes(input);
    let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(found, [("b", "1"), ("c", "<'   \n"), ("e", ""), ("o", "v w")]);
}

const MALFORMED: &[(&[u8], &str)] = &[
    (b" ", "no root element"),
    (b"x", "text outside the root element"),
    (b"<a/>x", "text outside the root element"),
    (b"<a/><![CDATA[x]]>", "text outside the root element"),
    (b"&lt;<a/>", "text outside the root element"),
    (b"<a>", "unexpected end"),
    (b"<a", "unexpected end"),
    (b"<a b='", "unexpected end"),
    (b"<a><!-- ", "unexpected end"),
    (b"<a><![CDATA[ ]]", "unexpected end"),
    (b"<?xml version='1.0'", "unexpected end"),
    (b"<a><b></a></b>", "end tag without its start"),
    (b"</a>", "end tag without its start"),
    (b"<a></a></a>", "end tag without its start"),
    (b"<a></A>", "end tag without its start"),
    (b"<a></a x>", "expected the tag's end"),
    (b"<a/><b/>", "a second root element"),
    (b"<1a/>", "expected a name"),
    (b"< a/>", "expected a name"),
    (b"<a><></a>", "expected a name"),
    (b"<a b/>", "attribute without a value"),
    (b"<a b=c/>", "attribute value without quotes"),
    (b"<a b='<'/>", "< in an attribute"),
    (b"<a b='1'c='2'/>", "expected white space in a tag"),
    (b"<a / >", "expected a name"),
    (b"<a b='1' c='' b='2'/>", "repeated attribute"),
    (b"<a>]]></a>", "]]> in text"),
    (b"<a><!-- -- --></a>", "two dashes in a comment"),
    (b"<a><!-- ---></a>", "two dashes in a comment"),
    (b"<a><!x></a>", "unknown markup"),
    (b"<a><!ENTITY x 'y'></a>", "unknown markup"),
    (b" <?xml version='1.0'?><a/>", "declaration not at the start"),
    (b"<a><?XML?></a>", "declaration not at the start"),
    (b"<?xml encoding='utf-8'?><a/>", "invalid declaration"),
    (b"<?xml version='2.0'?><a/>", "invalid declaration"),
    (b"<?xml version='1.0' standalone='1'?><a/>", "invalid declaration"),
    (b"<?xml version='1.0'encoding='utf-8'?><a/>", "invalid declaration"),
    (b"<?xml version='1.0' x='y'?><a/>", "invalid declaration"),
    (b"<?xml version='1.0' encoding='utf-7'?><a/>", "unsupported encoding"),
    (b"<?xml version='1.0' encoding='cp037'?><a/>", "unsupported encoding"),
    (b"<?xml version='1.0' encoding='UTF-16'?><a/>", "unsupported encoding"),
    (b"\xff\xfe<\0a\0/\0>\0", "unsupported encoding"),
    (b"<a>\0</a>", "control character"),
    (b"<a b='\x01'/>", "control character"),
    (b"<a><![CDATA[\x1f]]></a>", "control character"),
    (b"<a>&#0;</a>", "reference to no character"),
    (b"<a>&#x1;</a>", "reference to no character"),
    (b"<a>&#xD800;</a>", "reference to no character"),
    (b"<a>&#x110000;</a>", "reference to no character"),
    (b"<a>&#4294967361;</a>", "reference to no character"),
    (b"<a>&#;</a>", "reference to no character"),
    (b"<a>&#xZ;</a>", "reference to no character"),
    (b"<a>&nbsp;</a>", "reference to an undeclared entity"),
    (b"<a>a & b</a>", "unfinished reference"),
    (b"<a b='&lt'/>", "unfinished reference"),
    (b"<a>\xff</a>", "invalid utf-8"),
];

#[test]
fn refuses_what_is_not_well_formed() {
    for (input, what) in MALFORMED {
        let (_, outcome) = read(input);
        let expected = format!("xml: {what}");
        assert!(
            matches!(outcome, Err(Fault::Malformed { what, .. }) if what == expected),
            "{}: {outcome:?}",
            input.escape_ascii()
        );
    }
}

#[test]
fn knows_no_entities_but_the_predefined_ones() {
    for document_type in [
        "<!DOCTYPE a [<!ENTITY x \"y\">]>",
        "<!DOCTYPE a [<!ENTITY l \"lol\"><!ENTITY m \"&l;&l;&l;\">]>",
        "<!DOCTYPE a SYSTEM \"file:///etc/passwd\">",
        "<!DOCTYPE a SYSTEM 'http://x/'[]>",
        "<!DOCTYPE a PUBLIC \"-//W3C//DTD XHTML 1.0//EN\" \"http://www.w3.org/x.dtd\">",
        "<!DOCTYPE a [",
    ] {
        let input = format!("{document_type}<a>&x;&m;</a>");
        let (_, outcome) = read(input.as_bytes());
        assert_eq!(outcome, Err(malformed("xml: document type with declarations", 0)), "{document_type}");
    }
    for input in ["<!DOCTYPE a><!DOCTYPE a><a/>", "<a><!DOCTYPE a></a>", "<a/><!DOCTYPE a>"] {
        let (_, outcome) = read(input.as_bytes());
        assert!(
            matches!(outcome, Err(Fault::Malformed { what: "xml: misplaced document type", .. })),
            "{input}"
        );
    }
}

#[test]
fn hands_over_what_comes_before_a_fault() {
    let ((attributes, text), outcome) = read(b"<a b='<x>'>");
    assert_eq!(outcome, Err(malformed("xml: < in an attribute", 6)));
    assert_eq!((attributes.len(), text), (0, vec![String::new()]));
    let ((attributes, text), outcome) = read(b"<a b='x'>one<c>two&three;");
    assert_eq!(outcome, Err(malformed("xml: reference to an undeclared entity", 18)));
    assert_eq!((attributes.len(), text.concat().as_str()), (1, "onetwo"));
}

#[test]
fn stops_at_its_limits() {
    let limits = Limits { items: 3, name_bytes: 7, value_bytes: 3, arena_bytes: 16, depth: 2, files: 0 };
    for (input, expected) in [
        ("<a><b/></a>", Ok(())),
        ("<a><b><c/></b></a>", Err(Limit::Depth)),
        ("<a x='1' y='2' z='3'/>", Err(Limit::Items)),
        ("<a><bcdefgh/><b/><b/><b/></a>", Ok(())),
        ("<a abcdefgh=''/>", Err(Limit::NameBytes)),
        ("<a b='123'/>", Ok(())),
        ("<a b='1234'/>", Err(Limit::ValueBytes)),
        ("<a>&#x9;<b/>123456789abcdef</a>", Ok(())),
        ("<a>&#x9;<b/>123456789abcdefg</a>", Err(Limit::ArenaBytes)),
    ] {
        let outcome = parse(input.as_bytes(), &mut Arena::default(), &limits, &mut |_: Item| {});
        assert_eq!(outcome, expected.map_err(Fault::from), "{input}");
    }
}

#[test]
fn never_panics() {
    let pieces: &[&[u8]] = &[
        b"<a>",
        b"</a>",
        b"<a ",
        b"b='",
        b"'",
        b"\"",
        b">",
        b"/>",
        b"<!--",
        b"-->",
        b"<![CDATA[",
        b"]]>",
        b"&lt;",
        b"&#",
        b"x41;",
        b"<?xml version='1.0'",
        b"?>",
        b"<!DOCTYPE",
        b" ",
        b"x",
        b"\xc3\xa9",
        b"\xff",
        b"&",
        b"=",
    ];
    let mut chance = Chance::new(5);
    let mut good = 0;
    for _ in 0..100_000 {
        good += usize::from(read(&chance.glue(pieces, 9)).1.is_ok());
    }
    assert!(good > 100, "{good}");
}

#[test]
fn reads_large_documents_in_linear_time() {
    let many = 300_000;
    for input in [
        "<a>".repeat(many),
        format!("<a{}/>", (0..100_000).map(|number| format!(" a{number}='1'")).collect::<Vec<_>>().concat()),
        format!("<a>{}</a>", "<b/>".repeat(many)),
        format!("<a>{}", "&amp;".repeat(many)),
        format!("<a>{}", "<!---->".repeat(many)),
        format!("<a>{}", "<![CDATA[]]>".repeat(many)),
        format!("<a>{}", "<!--".repeat(many)),
        format!("<a>{}", "]]".repeat(many)),
        format!("<a b='{}", "&".repeat(many)),
        format!("<a>&{};", "a".repeat(many)),
        format!("<a>&#{}65;</a>", "0".repeat(many)),
        format!("<{}>{}", "a".repeat(100_000), "<b></b>".repeat(100_000)),
    ] {
        let seconds = cpu_seconds(|| {
            _ = parse(input.as_bytes(), &mut Arena::default(), &limits(), &mut |_: Item| {});
        });
        assert!(seconds < 4, "{}", &input[..20]);
    }
}
