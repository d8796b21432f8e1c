use super::testing::limits;
use super::*;

#[test]
fn a_second_request_takes_no_new_memory() {
    let inputs: [(&[u8], Parse); 4] = [
        (br#"{"a":{"b\n":["\u0041",{"c":1}]},"d":[[[]]]}"#, |input, arena, sink| {
            json::parse(input, arena, &limits(), sink)
        }),
        (b"<a x='&lt;' y=''><b>&amp;</b><c><d/></c></a>", |input, arena, sink| {
            xml::parse(input, arena, &limits(), sink)
        }),
        (
            b"--b\r\nContent-Disposition: form-data;\r\n name=\"\\\"\"\r\n\r\n1\r\n--b--",
            |input, arena, sink| {
                multipart::parse(b"multipart/form-data; boundary=b", input, arena, &limits(), sink).outcome
            },
        ),
        (b"a=%41&b=+", |input, arena, sink| urlencoded::parse(input, b'&', arena, &limits(), sink).map(drop)),
    ];
    for (input, parse) in inputs {
        let mut arena = Arena::default();
        let mut run = || {
            arena.clear(1 << 20);
            parse(input, &mut arena, &mut |_: Item| {}).unwrap();
            assert!(!arena.is_empty());
            let bytes = [arena.bytes.capacity(), arena.side.capacity()];
            (
                bytes,
                arena.json_levels.capacity(),
                arena.xml_levels.capacity(),
                arena.xml_attributes.capacity(),
            )
        };
        assert_eq!(run(), run());
    }
}

type Parse = fn(&[u8], &mut Arena, &mut dyn Sink) -> Result<(), Fault>;

#[test]
fn a_cleared_arena_keeps_no_more_than_it_may() {
    let mut arena = Arena::default();
    let input = format!("a={}", "+".repeat(100_000));
    urlencoded::parse(input.as_bytes(), b'&', &mut arena, &limits(), &mut |_: Item| {}).unwrap();
    assert_eq!(arena.len(), 100_000);
    arena.clear(1000);
    assert!(arena.is_empty() && arena.bytes.capacity() <= 1000);
}

#[test]
fn gives_no_bytes_for_ranges_from_elsewhere() {
    let arena = Arena::default();
    assert_eq!(arena.text(b"abc", Text::Input(1, 3)), b"bc");
    for text in [Text::Input(2, 4), Text::Input(3, 2), Text::Arena(0, 1), Text::EMPTY] {
        assert_eq!(arena.text(b"abc", text), b"");
    }
    assert_eq!((Text::Input(3, 2).len(), Text::Arena(2, 5).len()), (0, 3));
    assert_eq!(Text::Arena(2, 5).part(1, 9), Text::Arena(3, 5));
}
