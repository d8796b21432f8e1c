use super::*;

fn render(text: &str, path: &str, target: Target, message: &str) -> String {
    let document = Document::parse("conf/edge.yaml", text.as_bytes()).unwrap();
    Diagnostics::new(&document, vec![Issue::new(Path::parse(path), target, message)]).to_string()
}

#[test]
fn shows_the_line_and_marks_a_value() {
    assert_eq!(
        render("routes:\n  - limit: 100\n", "routes[0].limit", Target::Value, "expected a rate"),
        "conf/edge.yaml:2:12: routes[0].limit: expected a rate\n    2 |   - limit: 100\n      |            ^^^"
    );
}

#[test]
fn marks_a_key_and_names_its_map() {
    assert_eq!(
        render("a: { brust: 5 }", "a.brust", Target::Key, "unknown key \"brust\""),
        "conf/edge.yaml:1:6: a: unknown key \"brust\"\n    1 | a: { brust: 5 }\n      |      ^^^^^"
    );
}

#[test]
fn marks_a_quoted_text_with_its_quotes() {
    assert!(render("a: \"x y\" # c", "a", Target::Value, "no").ends_with("\n      |    ^^^^^"));
    assert!(render("a: 'it''s'", "a", Target::Value, "no").ends_with("\n      |    ^"));
}

#[test]
fn keeps_the_width_of_long_lines_bounded() {
    let list = "abcdefgh, ".repeat(100);
    let rendered = render(&format!("a: [{list}wrong, {list}]"), "a[100]", Target::Value, "no");
    let [_, line, marks] = rendered.lines().collect::<Vec<_>>()[..] else { panic!("{rendered}") };
    assert!(line.chars().count() <= SHOWN_CHARACTERS + 10);
    let marked: String =
        line.chars().zip(marks.chars()).filter(|(_, mark)| *mark == '^').map(|(shown, _)| shown).collect();
    assert_eq!(marked, "wrong");
}

#[test]
fn bounds_the_marks_of_a_long_value() {
    let rendered = render(&format!("a: {}", "x".repeat(5000)), "a", Target::Value, "no");
    assert!(rendered.lines().all(|line| line.chars().count() <= SHOWN_CHARACTERS + 10), "{rendered}");
}

#[test]
fn shows_no_secret_that_was_written_in_the_clear() {
    let rendered = render("key: hunter2 # mine", "key", Target::Value, WRITTEN_IN_THE_CLEAR);
    assert!(rendered.ends_with("\n    1 | key: ***\n      |      ^^^"), "{rendered}");
    assert!(!rendered.contains("hunter2"));
}

#[test]
fn shows_characters_that_move_nothing_on_a_terminal() {
    let rendered = render("a: x\t# c", "a", Target::Value, "no");
    assert!(rendered.contains("    1 | a: x # c\n"), "{rendered:?}");
    let rendered = Document::parse("p", b"a: \x1b[31m").unwrap_err().to_string();
    assert_eq!(rendered, "p:1:4: character U+001B is not allowed\n    1 | a: \u{fffd}[31m\n      |    ^");
}

#[test]
fn counts_lines_as_yaml_does() {
    for (text, line) in [("a: 1\r\nb: x", 2), ("a: 1\rb: x", 2), ("a: 1\n\n\nb: x", 4)] {
        let rendered = render(text, "b", Target::Value, "no");
        assert!(rendered.contains(&format!(":{line}:4: b: no\n    {line} | b: x\n")), "{rendered}");
    }
}

#[test]
fn sorts_by_place_and_says_nothing_twice() {
    let document = Document::parse("p", b"a: 1\nb: 2\n").unwrap();
    let issue = |key: &str| Issue::new(Path::root().key(key), Target::Value, "no");
    let diagnostics = Diagnostics::new(&document, vec![issue("b"), issue("a"), issue("b")]);
    assert_eq!(diagnostics.iter().map(|diagnostic| diagnostic.line).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((diagnostics.len(), diagnostics.is_empty()), (2, false));
}

#[test]
fn says_what_is_wrong_with_a_file_as_a_whole() {
    assert_eq!(Diagnostics::of_file("a.yaml", "larger than 4 MiB").to_string(), "a.yaml: larger than 4 MiB");
}

#[test]
fn places_a_problem_inside_its_spec() {
    let base = Path::parse("routes[0].filters[1].ip_access");
    let path = |at: &str| Issue::from_problem(&base, &Problem::new(at, "no")).path.to_string();
    assert_eq!(path("allow[3]"), "routes[0].filters[1].ip_access.allow[3]");
    assert_eq!(path(""), base.to_string());
}

#[test]
fn serializes_for_programs() {
    let document = Document::parse("p", b"a: 1").unwrap();
    let diagnostics =
        Diagnostics::new(&document, vec![Issue::new(Path::root().key("a"), Target::Value, "no")]);
    assert_eq!(
        serde_json::to_string(&diagnostics).unwrap(),
        r#"[{"file":"p","line":1,"column":4,"path":"a","message":"no"}]"#
    );
}

#[test]
fn moves_nothing_on_a_terminal() {
    let rendered = render("a: \"1\\t2\"", "a", Target::Value, "found `1\t2\u{1b}[2J`");
    assert_eq!(
        rendered,
        "edge:1:4: a: found `1 2\u{fffd}[2J`\n    1 | a: \"1\\t2\"\n      |    ^"
            .replace("edge", "conf/edge.yaml")
    );
}
