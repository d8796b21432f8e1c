use super::*;

fn parse(text: &str) -> Document {
    Document::parse("p.yaml", text.as_bytes()).unwrap()
}

fn refusal(bytes: &[u8]) -> String {
    Document::parse("p.yaml", bytes).unwrap_err().to_string()
}

fn value_at(document: &Document, path: &str) -> (usize, usize, String) {
    let Position { line, column, text } = document.locate(&Path::parse(path), Target::Value);
    (line, column, text)
}

#[test]
fn reads_scalars_as_yaml_1_2_does() {
    let document = parse("[1, -2, 0x10, 1.5, true, yes, on, ~, null, 010, '5', !!str 5, 1e3]");
    let Tree::List(items) = document.root().tree() else { panic!("a list") };
    let text = |text: &str| Tree::Text(text.to_owned());
    let expected = [
        Tree::Integer(1),
        Tree::Integer(-2),
        Tree::Integer(16),
        Tree::Float(1.5),
        Tree::Bool(true),
        text("yes"),
        text("on"),
        Tree::Null,
        Tree::Null,
        text("010"),
        text("5"),
        text("5"),
        Tree::Float(1000.0),
    ];
    assert!(items.iter().map(|(_, item)| item).eq(&expected), "{items:?}");
}

#[test]
fn reads_a_file_with_a_byte_order_mark() {
    let document = Document::parse("p.yaml", b"\xef\xbb\xbfa: [1, b]").unwrap();
    assert_eq!(value_at(&document, "a[1]"), (1, 8, "b".to_owned()));
}

#[test]
fn refuses_text_that_is_not_utf_8() {
    assert_eq!(
        refusal(b"a: 1\nb: \xff\n"),
        "p.yaml:2:4: not UTF-8: save the file as UTF-8\n    2 | b:\n      |   ^"
    );
    assert!(refusal(b"\xff\xfea\0").starts_with("p.yaml:1:1: not UTF-8"));
}

#[test]
fn refuses_files_over_the_limit() {
    let mut bytes = vec![b'#'; LARGEST_BYTES];
    assert!(Document::parse("p.yaml", &bytes).is_ok());
    bytes.push(b'#');
    assert_eq!(refusal(&bytes), "p.yaml: larger than 4 MiB");
}

#[test]
fn refuses_to_nest_deeper_than_the_limit() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(Document::parse("p.yaml", nested(DEEPEST).as_bytes()).is_ok());
    assert!(refusal(nested(DEEPEST + 1).as_bytes()).contains("nested deeper than 64 levels"));
    assert!(refusal("a: &a [*a]".as_bytes()).contains("nested deeper than 64 levels"));
    assert!(refusal("[".repeat(20_000).as_bytes()).starts_with("p.yaml:"));
}

#[test]
fn bounds_what_aliases_expand_to() {
    let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        laughs += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    assert!(refusal(laughs.as_bytes()).contains("aliases expand"));
    let wide = format!("a: &a [{}]\nb: [{}]\n", "x,".repeat(20_000), "*a,".repeat(100));
    assert!(refusal(wide.as_bytes()).contains("more than 1000000 values, aliases expanded"));
}

#[test]
fn expands_aliases_of_whole_values() {
    let document = parse("defaults: &timeouts { connect: 1s }\norders: *timeouts\n");
    assert_eq!(
        document.root().tree().get(Path::parse("orders.connect").segments()),
        Some(&Tree::Text("1s".into()))
    );
    assert_eq!(value_at(&document, "orders.connect"), (1, 32, "1s".to_owned()));
}

#[test]
fn locates_values_and_keys() {
    let document = parse("a:\n  - b: 1\n    'c d': \"x y\"\n  - [u, v]\né: { ü: z }\n");
    assert_eq!(value_at(&document, "a[0].b"), (2, 8, "1".to_owned()));
    assert_eq!(value_at(&document, "a[0][\"c d\"]"), (3, 12, "x y".to_owned()));
    assert_eq!(value_at(&document, "a[1][1]"), (4, 9, "v".to_owned()));
    assert_eq!(value_at(&document, "é.ü"), (5, 9, "z".to_owned()));
    let key = document.locate(&Path::parse("a[0][\"c d\"]"), Target::Key);
    assert_eq!((key.line, key.column, key.text.as_str()), (3, 5, "c d"));
}

#[test]
fn points_at_the_key_of_what_spans_lines_or_is_empty() {
    let document = parse("a:\n  b:\n    - c\n  empty:\n");
    assert_eq!(value_at(&document, "a.b"), (2, 3, "b".to_owned()));
    assert_eq!(value_at(&document, "a.empty"), (4, 3, "empty".to_owned()));
    assert_eq!(value_at(&document, ""), (1, 1, String::new()));
}

#[test]
fn points_near_what_is_not_there() {
    let document = parse("a:\n  - b: 1\n");
    assert_eq!(value_at(&document, "a[0].missing.deeper"), (2, 5, String::new()));
    assert_eq!(value_at(&document, "a[7]"), (1, 1, "a".to_owned()));
    assert_eq!(value_at(&document, "a[0].b.c"), (2, 8, "1".to_owned()));
    assert_eq!(value_at(&document, "zzz"), (1, 1, String::new()));
    assert_eq!(value_at(&parse(""), "a.b"), (1, 1, String::new()));
}

#[test]
fn loads_files_and_says_when_it_cannot() {
    let path = std::env::temp_dir().join(format!("edgeward-policy-{}.yaml", std::process::id()));
    std::fs::write(&path, "a: 1").unwrap();
    let loaded = Document::load(&path);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(loaded.unwrap().name(), path.display().to_string());
    let missing = Document::load(&path).unwrap_err().to_string();
    assert!(missing.starts_with(&format!("{}: cannot read the file: ", path.display())), "{missing}");
}
