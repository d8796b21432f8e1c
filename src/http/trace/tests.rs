use super::*;

const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn reads_and_writes_the_example_of_the_specification() {
    let parent = TraceParent::parse(GOOD.as_bytes()).unwrap();
    assert_eq!(parent.trace_id(), 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
    assert_eq!((parent.span_id(), parent.sampled()), (0xb7ad_6b71_6920_3331, true));
    assert_eq!(parent.to_bytes(), GOOD.as_bytes());
}

#[test]
fn goes_on_with_a_span_of_its_own() {
    let child = TraceParent::parse(GOOD.as_bytes()).unwrap().child(0xab);
    assert_eq!(child.to_bytes(), *b"00-0af7651916cd43dd8448eb211c80319c-00000000000000ab-01");
    assert_eq!(child.child(0).span_id(), 1);
}

#[test]
fn starts_a_trace_that_is_valid_whatever_the_random_source_says() {
    for (trace, span, sampled) in [(0, 0, false), (u128::MAX, u64::MAX, true)] {
        let started = TraceParent::start(trace, span, sampled);
        assert_eq!(TraceParent::parse(&started.to_bytes()), Some(started));
        assert_eq!(started.sampled(), sampled);
    }
}

#[test]
fn refuses_every_malformed_value() {
    for value in [
        "",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 ",
        " 0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "0x-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
        "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.what",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0X",
    ] {
        assert_eq!(TraceParent::parse(value.as_bytes()), None, "{value}");
    }
}

#[test]
fn reads_later_versions_and_answers_in_version_0() {
    let later = b"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff-what";
    let parent = TraceParent::parse(later).unwrap();
    assert_eq!(parent.to_bytes(), *b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03");
}

#[test]
fn passes_a_valid_tracestate_within_its_bounds() {
    let valid = |lines: &[&str]| tracestate_is_valid(lines.iter().map(|line| line.as_bytes()));
    assert!(valid(&["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "tenant@system=x y, 0a=b"]));
    assert!(valid(&[]) && valid(&[""]) && valid(&["a=1, ,b=2"]));
    let long = format!("a={}", "x".repeat(251));
    assert!(valid(&[&long, &long]), "507 bytes");
    assert!(!valid(&[&long, &long, "b=2345"]), "514 bytes");
    let members = |count: usize| vec!["a=1"; count].join(",");
    assert!(valid(&[&members(32)]) && !valid(&[&members(33)]) && !valid(&[&members(32), "b=1"]));
    for bad in ["a", "A=1", "=1", "a=", "a=1=2", "a=\u{e9}", "a b=1", "a=\x07"] {
        assert!(!valid(&["ok=1", bad]), "{bad}");
    }
}
