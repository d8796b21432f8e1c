use super::*;

fn members(value: &str) -> Vec<&str> {
    list(value.as_bytes()).map(|member| std::str::from_utf8(member).unwrap()).collect()
}

fn negotiate(value: Option<&str>) -> Negotiated {
    negotiate_coding(value.map(str::as_bytes), &["br", "zstd", "gzip"])
}

#[test]
fn tells_tokens_from_everything_else() {
    assert!(is_token(b"X-Request_Id.~") && is_token(b"!#$%&'*+-.^_`|~09azAZ"));
    for text in [&b""[..], b"a b", b"a:", b"a\0", b"\xc3\xa9", b"\"a\"", b"a,b", b"a/b", b"(a)", b"{a}"] {
        assert!(!is_token(text), "{}", text.escape_ascii());
    }
    assert_eq!((0..=255).filter(|byte| is_token_byte(*byte)).count(), 62 + 15);
}

#[test]
fn trims_spaces_and_tabs_alone() {
    assert_eq!(trim_ows(b" \t a b\t "), b"a b");
    assert_eq!(trim_ows(b"\x0bchunked\r"), b"\x0bchunked\r");
    assert_eq!(trim_ows(b" \t"), b"");
}

#[test]
fn splits_lists_outside_of_quoted_strings() {
    assert_eq!(members("a, b ,,\t c"), ["a", "b", "c"]);
    assert_eq!(members(r#"a="x,y", b="\",", c"#), [r#"a="x,y""#, r#"b="\",""#, "c"]);
    assert_eq!(members(r#"a, "b, c"#), ["a", "\"b, c"]);
    assert_eq!(members(r"a\, b"), [r"a\", "b"], "a backslash outside of quotes escapes nothing");
    assert!(members(" , ,").is_empty() && members("").is_empty());
}

#[test]
fn names_what_connection_nominates() {
    let values: [&[u8]; 2] = [b"close, X-Internal", b"keep-alive, a b, x-other"];
    assert_eq!(nominated_names(values).collect::<Vec<_>>(), [&b"X-Internal"[..], b"keep-alive", b"x-other"]);
}

#[test]
fn knows_hop_by_hop_names_by_direction() {
    for name in ["Connection", "keep-alive", "TE", "Upgrade", "transfer-encoding", "proxy-authorization"] {
        assert!(is_hop_by_hop(name.as_bytes(), Direction::Request), "{name}");
    }
    assert!(is_hop_by_hop(b"Proxy-Authenticate", Direction::Response));
    assert!(!is_hop_by_hop(b"proxy-authenticate", Direction::Request));
    assert!(is_hop_by_hop(b"proxy-authorization", Direction::Response));
    assert!(!is_hop_by_hop(b"te", Direction::Response));
    assert!(!is_hop_by_hop(b"authorization", Direction::Both) && !is_hop_by_hop(b"", Direction::Both));
}

#[test]
fn negotiates_the_highest_quality_then_the_servers_order() {
    assert_eq!(negotiate(Some("gzip, deflate, br")), Negotiated::Coding(0));
    assert_eq!(negotiate(Some("gzip;q=1.0, br;q=0.8")), Negotiated::Coding(2));
    assert_eq!(negotiate(Some("X-GZIP")), Negotiated::Coding(2));
    assert_eq!(negotiate(Some("*")), Negotiated::Coding(0));
    assert_eq!(negotiate(Some("br;q=0, *;q=0.5")), Negotiated::Coding(1));
    assert_eq!(negotiate(Some("gzip;q=0.001")), Negotiated::Coding(2));
}

#[test]
fn leaves_identity_when_the_client_prefers_it_or_knows_no_coding() {
    assert_eq!(negotiate(None), Negotiated::Identity);
    assert_eq!(negotiate(Some("")), Negotiated::Identity);
    assert_eq!(negotiate(Some("deflate")), Negotiated::Identity);
    assert_eq!(negotiate(Some("gzip;q=0")), Negotiated::Identity);
    assert_eq!(negotiate(Some("identity, gzip;q=0.5")), Negotiated::Identity);
    assert_eq!(negotiate(Some("identity;q=0.5, gzip;q=0.5")), Negotiated::Coding(2));
    assert_eq!(negotiate(Some("identity;q=0")), Negotiated::Nothing);
    assert_eq!(negotiate(Some("*;q=0")), Negotiated::Nothing);
    assert_eq!(negotiate(Some("*;q=0, identity")), Negotiated::Identity);
}

#[test]
fn takes_a_malformed_weight_as_not_said() {
    for weight in ["q=2", "q=1.001", "q=0.1234", "q=", "q=-1", "q=.5", "q", "level=1", "q=0.a", "q=0;x=1"] {
        assert_eq!(negotiate(Some(&format!("gzip;{weight}"))), Negotiated::Identity, "{weight}");
    }
    for weight in ["q=1.", "q=1.000", "q=0.123", " Q=1"] {
        assert_eq!(negotiate(Some(&format!("gzip;{weight}"))), Negotiated::Coding(2), "{weight}");
    }
}
