//! Detection reads any bytes to the end, and no text hides the tag after it.
#![no_main]

use edgeward::waf::libinjection::{is_sqli, is_xss};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(found) = is_sqli(data) {
        assert!((1..=5).contains(&found.as_bytes().len()), "{found}");
        assert!(data.len() > 1, "{found}");
    }
    // A tag is seen after any text that has none.
    if !data.contains(&b'<') {
        assert!(is_xss(&[data, b"<script>"].concat()));
        assert!(data.contains(&b'=') || !is_xss(data), "no tag and no attribute");
    } else {
        let _ = is_xss(data);
    }
});
