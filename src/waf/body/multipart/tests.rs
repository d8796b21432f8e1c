use super::super::Item;
use super::super::testing::{cpu_seconds, found, limits};
use super::*;
use crate::http::chance::Chance;

const TYPE: &[u8] = b"multipart/form-data; boundary=b";

/// Parses a body written with `\n` for CRLF.
fn read(body: &str) -> (Vec<(Kind, String, String)>, Report) {
    read_as(TYPE, body)
}

fn read_as(content_type: &[u8], body: &str) -> (Vec<(Kind, String, String)>, Report) {
    let body = body.replace('\n', "\r\n");
    found(body.as_bytes(), |arena, sink| parse(content_type, body.as_bytes(), arena, &limits(), sink))
}

/// One part with these headers, then a good one.
fn with_headers(headers: &str) -> (Vec<(Kind, String, String)>, Report) {
    read(&format!("--b\n{headers}\n\nvalue\n--b\nContent-Disposition: form-data; name=z\n\nlast\n--b--\n"))
}

fn of(kind: Kind, items: &[(Kind, String, String)]) -> Vec<(&str, &str)> {
    let wanted = items.iter().filter(|item| item.0 == kind);
    wanted.map(|(_, name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn reads_fields_and_files() {
    let (items, report) = read(
        "--b\nContent-Disposition: form-data; name=\"a\"\n\none\ntwo\n\
         --b\nContent-Disposition: form-data; name=\"f\"; filename=\"x.txt\"\nContent-Type: text/plain\n\n\n--x\n\n\
         --b\ncontent-disposition: form-data; name=e; filename=\"\"\n\n\
         --b--\n",
    );
    assert_eq!(of(Kind::Argument, &items), [("a", "one\r\ntwo"), ("e", "")]);
    assert_eq!(of(Kind::File, &items), [("f", "x.txt")]);
    assert_eq!(of(Kind::FileSize, &items), [("f", "7")]);
    assert_eq!(of(Kind::FileContent, &items), [("f", "\r\n--x\r\n")]);
    assert_eq!(of(Kind::PartName, &items), [("a", "a"), ("f", "f"), ("e", "e")]);
    assert_eq!(of(Kind::PartFilename, &items), [("x.txt", "x.txt"), ("", "")]);
    assert_eq!(
        of(Kind::PartHeader, &items),
        [
            ("a", "Content-Disposition: form-data; name=\"a\""),
            ("f", "Content-Disposition: form-data; name=\"f\"; filename=\"x.txt\""),
            ("f", "Content-Type: text/plain"),
            ("e", "content-disposition: form-data; name=e; filename=\"\""),
        ]
    );
    assert_eq!((report.files, report.files_bytes, report.unmatched_boundary), (1, 7, 2));
    assert_eq!(report.outcome, Ok(()));
    assert!(!report.flags.strict_error());
}

#[test]
fn what_some_backends_take_for_a_field_is_one_too() {
    let typed = "\nContent-Type: text/plain";
    for (disposition, content, is_field) in [
        (format!("filename=f{typed}"), "v", false),
        ("filename=f".to_owned(), "v", true),
        ("filename=f\nContent-Type: ".to_owned(), "v", true),
        ("filename=f".to_owned(), "\0v", false),
        (format!("filename=f; filename*=utf-8''g{typed}"), "v", false),
        (format!("filename*=utf-8''g{typed}"), "v", true),
        (format!("filename*=utf-8''g{typed}"), "\0v", true),
    ] {
        let body = format!("--b\nContent-Disposition: form-data; name=a; {disposition}\n\n{content}\n--b--");
        let (items, report) = read(&body);
        assert_eq!((report.files, report.outcome), (1, Ok(())), "{body}");
        assert_eq!(of(Kind::FileContent, &items).len(), 1, "{body}");
        assert_eq!(of(Kind::Argument, &items) == [("a", content)], is_field, "{body}");
    }
}

#[test]
fn takes_no_bytes_for_no_parts() {
    let (items, report) = read("");
    assert_eq!((items.len(), report.outcome), (0, Ok(())));
}

#[test]
fn decodes_names_as_browsers_write_them() {
    for (disposition, name, files) in [
        (r#"name="a\"b""#, "a\"b", vec![]),
        (r#"name="a\\b""#, r"a\b", vec![]),
        (r#"name="C:\temp\x""#, r"C:\temp\x", vec![]),
        (r#"name="a%22b;c=d'e""#, "a%22b;c=d'e", vec![]),
        (r#"name="";filename="f""#, "", vec!["f"]),
        (r#"name= "n" ; filename="x.php" "#, "n", vec!["x.php"]),
        (r"filename=x.php; name=n", "n", vec!["x.php"]),
        (r#"name="n"; "#, "n", vec![]),
        (r#"name=n; filename="a.txt"; filename*=UTF-8''b%2ephp"#, "n", vec!["a.txt", "b.php"]),
        (r"name=n; filename*=utf-8'en'%e2%82%ac.jsp", "n", vec!["€.jsp"]),
        (r#"name=n; filename=""; filename*=iso-8859-1''x"#, "n", vec!["x"]),
    ] {
        let (items, report) = with_headers(&format!("Content-Disposition: form-data; {disposition}"));
        assert_eq!(report.outcome, Ok(()), "{disposition}");
        assert!(!report.flags.strict_error(), "{disposition}");
        let found: Vec<_> = of(Kind::File, &items).iter().map(|file| file.1).collect();
        assert_eq!(found, files, "{disposition}");
        let names = of(Kind::PartName, &items);
        assert_eq!(names, [(name, name), ("z", "z")], "{disposition}");
    }
}

#[test]
fn tells_which_header_of_a_part_is_wrong_and_reads_on() {
    let many: String = (0..32).map(|number| format!("\nX-{number}: 1")).collect();
    let many = format!("Content-Disposition: form-data; name=a{many}");
    for (headers, what) in [
        ("Content-Type: text/plain", "a part without content-disposition"),
        ("Content-Disposition: attachment; name=a", "content-disposition is not form-data"),
        ("Content-Disposition: form-datax; name=a", "content-disposition is not form-data"),
        ("Content-Disposition: form-data, name=a", "expected a semicolon in content-disposition"),
        ("Content-Disposition: form-data; name=\"a\"b", "expected a semicolon in content-disposition"),
        ("Content-Disposition: form-data; name=a;;", "unknown parameter in content-disposition"),
        ("Content-Disposition: form-data; Name=a", "unknown parameter in content-disposition"),
        ("Content-Disposition: form-data; name=a; size=1", "unknown parameter in content-disposition"),
        ("Content-Disposition: form-data; name=a; filename*0=x", "unknown parameter in content-disposition"),
        ("Content-Disposition: form-data; name =a", "expected = in content-disposition"),
        ("Content-Disposition: form-data; name", "expected = in content-disposition"),
        ("Content-Disposition: form-data; name=\"a", "unfinished quotes in content-disposition"),
        ("Content-Disposition: form-data; name=\"a\\", "unfinished quotes in content-disposition"),
        ("Content-Disposition: form-data; name=a; name=b", "repeated parameter in content-disposition"),
        ("Content-Disposition: form-data; name=; name=b", "repeated parameter in content-disposition"),
        ("Content-Disposition: form-data; name=a; filename*=utf-7''x", "filename* of an unknown charset"),
        ("Content-Disposition: form-data; name=a; filename*=x.php", "filename* of an unknown charset"),
        ("Content-Disposition: form-data; name=a; filename*=utf-8''%2", "invalid filename*"),
        ("Content-Disposition: form-data; name=a; filename*=utf-8'x", "invalid filename*"),
        ("Content-Disposition: form-data; name=a; filename*=utf-8''\"x\"", "invalid filename*"),
        ("Content-Disposition: form-data; name=a\nX", "a part's header without a colon"),
        ("Content-Disposition: form-data; name=a\n: x", "a part's header without a name"),
        ("Content-Disposition: form-data; name=a\nX: 1\nx: 2", "repeated header in a part"),
        ("Content-Disposition: form-data; name=a\nX: \0", "control character in a part's header"),
        ("Content-Disposition: form-data; name=a\nX: 1\rY: 2", "control character in a part's header"),
        (" Content-Disposition: form-data; name=a", "a part's first header is folded"),
        (
            &format!("Content-Disposition: form-data; name=a\nX: {}", "x".repeat(4096)),
            "a part's header is too long",
        ),
        (&many, "too many headers in a part"),
    ] {
        let (items, report) = with_headers(headers);
        assert_eq!(report.outcome, Err(malformed_at(what, &report)), "{headers}");
        assert!(report.flags.has(Flag::Error) && report.flags.strict_error(), "{headers}");
        let contents = [Kind::Argument, Kind::FileContent].map(|kind| of(kind, &items));
        let contents: Vec<_> = contents.concat().iter().map(|content| content.1).collect();
        assert_eq!(contents.iter().filter(|content| **content == "value").count(), 1, "{headers}");
        assert!(contents.contains(&"last"), "{headers}");
    }
}

/// The fault that says `what`, wherever the report has it.
fn malformed_at(what: &str, report: &Report) -> Fault {
    match report.outcome {
        Err(Fault::Malformed { what: found, at }) => {
            assert_eq!(found, format!("multipart: {what}"));
            malformed(found, at)
        }
        other => panic!("{what}: {other:?}"),
    }
}

#[test]
fn tells_which_boundary_is_wrong() {
    let part = "--b\nContent-Disposition: form-data; name=a\n\nv\n";
    for (body, what) in [
        ("x".to_owned(), "no boundary in the body"),
        ("--bx\n".to_owned(), "invalid boundary line"),
        (part.to_owned(), "final boundary missing"),
        (format!("{part}--b"), "invalid boundary line"),
        (format!("{part}--b \n"), "invalid boundary line"),
        (format!("{part}--b-\n"), "invalid boundary line"),
        (format!("{part}--b--x\n"), "invalid boundary line"),
        (format!("{part}--\"b\"\n--b--"), "boundary line in quotes"),
        (format!("{part}-- b\n--b--"), "white space in a boundary line"),
        (format!("{part}x--b\n--b--"), "the boundary within a line"),
        (format!("{part}x\r--b\n--b--"), "the boundary within a line"),
        (format!("{part}--b--\nx--b"), "the boundary within a line"),
        ("--b\nContent-Disposition: form-data; name=a\n--b--".to_owned(), "headers of a part without end"),
    ] {
        let (_, report) = read(&body);
        assert_eq!(report.outcome, Err(malformed_at(what, &report)), "{body}");
    }
    let (items, report) = read(&format!("{part}--b--"));
    assert_eq!(report.outcome, Ok(()));
    assert_eq!(of(Kind::Argument, &items), [("a", "v")]);
    let (items, _) = read("--b\nContent-Disposition: form-data; name=a\n\nv\n--bx\nrest");
    assert_eq!(of(Kind::Argument, &items), [("a", "v\r\n--bx\r\nrest")]);
}

#[test]
fn tells_which_content_type_is_wrong() {
    let body = "--b\nContent-Disposition: form-data; name=a\n\nv\n--b--";
    let long = format!("multipart/form-data; boundary={}", "b".repeat(71));
    for (content_type, what) in [
        ("multipart/mixed; boundary=b", "invalid media type"),
        ("multipart/form-data", "no boundary in content-type"),
        ("multipart/form-data; boundary=b; boundary=c", "malformed content-type"),
        ("multipart/form-data; boundary=b, text/plain", "malformed content-type"),
        ("multipart/form-data; boundary=\"b", "malformed content-type"),
        ("multipart/form-data; boundary=", "malformed content-type"),
        ("multipart/form-data; boundary*0=b", "malformed content-type"),
        ("multipart/form-data; boundary=b!", "invalid boundary"),
        ("multipart/form-data; boundary=\"\"", "invalid boundary"),
        ("multipart/form-data; boundary=\"b \"", "invalid boundary"),
        ("multipart/form-data; boundary=Boundary=x", "invalid boundary"),
        (&long, "invalid boundary"),
    ] {
        let (items, report) = read_as(content_type.as_bytes(), body);
        assert_eq!(report.outcome, Err(malformed_at(what, &report)), "{content_type}");
        assert!(items.is_empty(), "{content_type}");
    }
    for content_type in
        ["multipart/form-data; charset=utf-8; boundary=b", "Multipart/Form-Data; BOUNDARY=b; x=y"]
    {
        let (items, report) = read_as(content_type.as_bytes(), body);
        assert_eq!(
            (report.outcome, of(Kind::Argument, &items)),
            (Ok(()), vec![("a", "v")]),
            "{content_type}"
        );
        assert!(!report.flags.strict_error());
    }
}

#[test]
fn raises_each_flag_for_its_own_oddity_alone() {
    let part = "--b\r\nContent-Disposition: form-data; name=a\r\n\r\nv";
    let whole = format!("{part}\r\n--b--\r\n");
    let headers = |line: &str| whole.replace("name=a\r\n", &format!("name=a\r\n{line}"));
    let files =
        "--b\r\nContent-Disposition: form-data; name=a; filename=f\r\n\r\nv\r\n".repeat(2) + "--b--\r\n";
    let plain = "multipart/form-data; boundary=b";
    for (content_type, body, flags) in [
        (plain, whole.clone(), vec![]),
        ("multipart/form-data; boundary=\"b\"", whole.clone(), vec![Flag::BoundaryQuoted]),
        ("multipart/form-data; boundary =b", whole.clone(), vec![Flag::BoundaryWhitespace]),
        ("multipart/form-data; boundary= b", whole.clone(), vec![Flag::BoundaryWhitespace]),
        ("multipart/form-data boundary=b", whole.clone(), vec![Flag::MissingSemicolon]),
        (plain, format!("\r\n{whole}"), vec![Flag::DataBefore]),
        (plain, format!("{whole}x"), vec![Flag::DataAfter]),
        (plain, whole.replace("data; ", "data;\r\n\t "), vec![Flag::HeaderFolding]),
        (plain, headers("X: y\r\n \u{b}z\r\n"), vec![Flag::HeaderFolding, Flag::InvalidHeaderFolding]),
        (plain, headers("X: y\n"), vec![Flag::LfLine]),
        (plain, whole.replace("v\r\n", "v\n"), vec![Flag::LfLine]),
        (plain, whole.replace("--b--\r\n", "--b--\n"), vec![Flag::LfLine]),
        (plain, whole.replace("name=a", "name='a'"), vec![Flag::InvalidQuoting]),
        (plain, whole.replace("name=a", "name=a'b"), vec![Flag::InvalidQuoting]),
        (plain, whole.replace("; name=a", ""), vec![Flag::InvalidPart]),
        (plain, whole.replace("name=a", "name=\"a\"b"), vec![Flag::Error, Flag::InvalidQuoting]),
        (plain, files, vec![Flag::FileLimitExceeded]),
    ] {
        let limits = Limits { files: 1, ..limits() };
        let (_, report) = found(body.as_bytes(), |arena, sink| {
            parse(content_type.as_bytes(), body.as_bytes(), arena, &limits, sink)
        });
        let mut expected = Flags::default();
        expected.set(Flag::CrlfLine);
        for flag in &flags {
            expected.set(*flag);
        }
        assert_eq!(report.flags, expected, "{content_type} {body}");
        assert_eq!(report.flags.strict_error(), !flags.is_empty());
        assert_eq!(report.flags.mixed_lines(), flags == [Flag::LfLine]);
    }
}

#[test]
fn tells_what_looks_like_a_boundary() {
    for (content, after, expected) in
        [("v", "", 0), ("v --x", "", 0), ("--x", "", 2), ("v", "--x", 1), ("--x", "--x", 1)]
    {
        let (items, report) =
            read(&format!("--b\nContent-Disposition: form-data; name=a\n\n{content}\n--b--\n{after}"));
        assert_eq!(report.unmatched_boundary, expected, "{content} {after}");
        assert_eq!(of(Kind::Argument, &items), [("a", content)]);
    }
}

#[test]
fn unfolds_headers() {
    let (items, report) =
        with_headers("Content-Disposition: form-data;\n name=a;\n\t  filename=\"x\n y\"\nX: 1\n 2");
    assert_eq!(of(Kind::File, &items), [("a", "x y")]);
    let line = "Content-Disposition: form-data; name=a; filename=\"x y\"";
    assert_eq!(of(Kind::PartHeader, &items)[..2], [("a", line), ("a", "X: 1 2")]);
    assert_eq!(report.outcome, Ok(()));
}

#[test]
fn stops_at_its_limits() {
    let limits = Limits { items: 6, name_bytes: 2, value_bytes: 50, arena_bytes: 3, ..limits() };
    let part = |disposition: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n")
    };
    for (body, expected) in [
        (part("name=aa", "v").repeat(2), Ok(())),
        (part("name=aa", "v").repeat(3), Err(Limit::Items)),
        (part("name=aaa", "v"), Err(Limit::NameBytes)),
        (part("name=a", &"v".repeat(50)), Ok(())),
        (part("name=a", &"v".repeat(51)), Err(Limit::ValueBytes)),
        (part("name=a; filename=f", &"\0".repeat(51)), Ok(())),
        (part(r#"name="\"\"\"""#, "v"), Err(Limit::NameBytes)),
        (part(r#"name="\"\"""#, "v").repeat(2), Err(Limit::ArenaBytes)),
    ] {
        let body = body + "--b--";
        let report = parse(TYPE, body.as_bytes(), &mut Arena::default(), &limits, &mut |_: Item| {});
        assert_eq!(report.outcome, expected.map_err(Fault::from), "{body}");
    }
}

#[test]
fn neither_panics_nor_loses_a_part_of_a_random_body() {
    let pieces: &[&[u8]] = &[
        b"--b",
        b"--b--",
        b"\r\n",
        b"\n",
        b"\r\n\r\n",
        b"Content-Disposition: form-data; name=a",
        b"; filename=\"f\"",
        b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n",
        b" x",
        b"\0",
        b"\"",
        b"'",
        b"\\",
        b";",
        b"=",
        b"--",
    ];
    let mut chance = Chance::new(3);
    for _ in 0..50_000 {
        let body = chance.glue(pieces, 12);
        let (items, report) = found(&body, |arena, sink| parse(TYPE, &body, arena, &limits(), sink));
        assert!(report.files == of(Kind::FileContent, &items).len());
        assert_eq!(report.outcome.is_err(), report.flags.has(Flag::Error));
    }
}

#[test]
fn reads_large_bodies_in_linear_time() {
    let start = "--b\r\nContent-Disposition: form-data; name=a\r\n";
    let dashes = format!("multipart/form-data; boundary={}x", "-".repeat(69));
    for (content_type, body) in [
        (TYPE, "--b\r\n".repeat(200_000)),
        (TYPE, format!("{start}\r\n").repeat(20_000)),
        (TYPE, format!("{start}{}", "\r\n ".repeat(300_000))),
        (TYPE, format!("{start}X: {}", " \r\n \r\n".repeat(300_000))),
        (TYPE, format!("{start}{}", "X: 1\r\n".repeat(200_000))),
        (TYPE, "\n--".repeat(400_000)),
        (TYPE, "\n-- ".repeat(400_000)),
        (dashes.as_bytes(), "-".repeat(1_000_000)),
        (dashes.as_bytes(), ("\n".to_owned() + &"-".repeat(70)).repeat(20_000)),
    ] {
        let seconds = cpu_seconds(|| {
            _ = parse(content_type, body.as_bytes(), &mut Arena::default(), &limits(), &mut |_: Item| {});
        });
        assert!(seconds < 3, "{}", &body[..40]);
    }
}
