//! A request head that is let in has one reading, told here without the code under test.
#![no_main]

use edgeward::http::head::{Body, Head, HeadLimits, Version, check_head, escape_target, head_length};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let limits = HeadLimits::default();
    if let Some(length) = head_length(data, 0) {
        let cut = data.len() / 2;
        assert_eq!(head_length(data, cut.min(length - 1)), Some(length), "the search resumes");
        let _ = check_head(&data[..length], &limits);
    }
    let Ok(head) = check_head(data, &limits) else { return };
    assert_eq!(head_length(data, 0), Some(data.len()));
    assert!(data.len() <= limits.head_bytes && head.fields <= limits.fields);
    assert!(!data.contains(&0));
    for pair in data.windows(2) {
        assert_eq!(pair[0] == b'\r', pair[1] == b'\n', "line ends are CRLF alone");
    }
    let text = data.strip_prefix(b"\r\n").unwrap_or(data).strip_suffix(b"\r\n\r\n").expect("an end");
    let mut lines = text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let request: Vec<&[u8]> =
        lines.next().expect("a line").split(|byte| byte.is_ascii_whitespace()).collect();
    assert_eq!(request.len(), 3);
    assert!(request[2] == b"HTTP/1.1" || request[2] == b"HTTP/1.0");
    let (mut lengths, mut codings, mut hosts) = (0, 0, 0);
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':').expect("a colon");
        let name =
            String::from_utf8(line[..colon].to_vec()).expect("a token").to_lowercase().replace('_', "-");
        assert_eq!(name.trim(), name);
        match name.as_str() {
            "content-length" => lengths += 1,
            "transfer-encoding" => codings += 1,
            "host" => hosts += 1,
            _ => {}
        }
    }
    let expected = match head.body {
        Body::None => (0, 0),
        Body::Length(_) => (1, 0),
        Body::Chunked => (0, 1),
    };
    assert_eq!((lengths, codings), expected);
    assert!(hosts == 1 || (hosts == 0 && head.version == Version::Http10));
    let roomy = HeadLimits { target_bytes: usize::MAX, head_bytes: usize::MAX, ..limits };
    let escaped = Head { unescaped_target: false, ..head };
    assert_eq!(check_head(&escape_target(data), &roomy), Ok(escaped));
});
