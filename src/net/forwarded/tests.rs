use super::*;
use crate::http::chance::Chance;

fn trusted() -> IpSet {
    ["10.0.0.0/8", "fd00::/8"].iter().map(|network| network.parse().unwrap()).collect()
}

fn walk(style: Style, peer: &str, values: &[&str]) -> (String, usize, End) {
    let values = values.iter().map(|value| value.as_bytes());
    let client = client(peer.parse().unwrap(), &trusted(), values, style);
    (client.address.to_string(), client.hops, client.end)
}

fn xff(peer: &str, values: &[&str]) -> (String, usize, End) {
    walk(Style::XForwardedFor, peer, values)
}

fn forwarded(values: &[&str]) -> (String, usize, End) {
    walk(Style::Forwarded, "10.0.0.1", values)
}

fn is(address: &str, hops: usize, end: End) -> (String, usize, End) {
    (address.to_owned(), hops, end)
}

#[test]
fn believes_nothing_that_an_untrusted_peer_says() {
    assert_eq!(xff("192.0.2.9", &["198.51.100.1"]), is("192.0.2.9", 0, End::Untrusted));
    assert_eq!(xff("10.0.0.1", &["198.51.100.1"]), is("198.51.100.1", 1, End::Untrusted));
    assert_eq!(xff("::ffff:10.0.0.1", &["198.51.100.1"]), is("198.51.100.1", 1, End::Untrusted));
}

#[test]
fn takes_the_first_untrusted_address_from_the_right() {
    assert_eq!(xff("10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.2.2.2"]), is("198.51.100.1", 2, End::Untrusted));
    assert_eq!(xff("10.0.0.1", &["1.1.1.1,198.51.100.1", "fd00::2\t,10.2.2.2"]).0, "198.51.100.1");
    assert_eq!(xff("10.0.0.1", &["10.3.3.3, 10.2.2.2"]), is("10.3.3.3", 2, End::Exhausted));
    assert_eq!(xff("10.0.0.1", &[]), is("10.0.0.1", 0, End::Exhausted));
}

#[test]
fn stops_at_the_last_good_hop_before_garbage() {
    for garbage in [
        "",
        " ",
        "x",
        "unknown",
        "192.0.2",
        "192.0.2.01",
        "192.0.2.1.",
        "0x7f.0.0.1",
        "192.0.2.1:",
        "192.0.2.1:70000",
        "192.0.2.1:+80",
        "[192.0.2.1]",
        "[2001:db8::1",
        "2001:db8::1]",
        "[2001:db8::1]80",
        "[2001:db8::1%eth0]",
        "2001:db8::1::",
        "192.0.2.1 192.0.2.2",
        "\"192.0.2.1\"",
        "192.0.2.1;",
    ] {
        let value = format!("1.1.1.1, {garbage}, 10.2.2.2");
        assert_eq!(xff("10.0.0.1", &[&value]), is("10.2.2.2", 1, End::Unreadable), "{garbage}");
    }
    assert_eq!(xff("10.0.0.1", &["1.1.1.1", ""]), is("10.0.0.1", 0, End::Unreadable));
}

#[test]
fn reads_addresses_with_ports_and_brackets() {
    for (text, expected) in [
        ("192.0.2.1:80", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:65535", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ] {
        assert_eq!(xff("10.0.0.1", &[text]).0, expected);
    }
}

#[test]
fn bounds_the_number_of_hops() {
    let chain = |hops: usize| vec!["10.0.0.2"; hops].join(",");
    assert_eq!(xff("10.0.0.1", &[&format!("1.1.1.1,{}", chain(63))]), is("1.1.1.1", 64, End::Untrusted));
    assert_eq!(xff("10.0.0.1", &[&format!("1.1.1.1,{}", chain(64))]), is("10.0.0.2", 64, End::TooManyHops));
}

#[test]
fn reads_the_elements_of_rfc_7239() {
    for (value, expected) in [
        ("for=192.0.2.43", "192.0.2.43"),
        ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
        ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
        ("proto=http; for=\"192.0.2.60:_port\" ;by=_secret", "192.0.2.60"),
        (";;for=192.0.2.60;", "192.0.2.60"),
        ("for=1.1.1.1, for=192.0.2.60", "192.0.2.60"),
        ("for=\"192\\.0.2.60\"", "192.0.2.60"),
        ("for=1.1.1.1, for=192.0.2.60;host=\"a,for=6.6.6.6\"", "192.0.2.60"),
        ("for=1.1.1.1, for=192.0.2.60;host=\"a\\\",for=6.6.6.6\"", "192.0.2.60"),
        ("for=192.0.2.60, for=10.9.9.9;host=\"\\\\\"", "192.0.2.60"),
    ] {
        assert_eq!(forwarded(&[value]).0, expected, "{value}");
    }
    let (address, hops, end) = forwarded(&["for=6.6.6.6, for=192.0.2.60", "for=\"[fd00::1]\", for=10.1.1.1"]);
    assert_eq!((address.as_str(), hops, end), ("192.0.2.60", 3, End::Untrusted));
}

#[test]
fn an_open_quote_at_the_left_swallows_nothing_at_the_right() {
    for junk in ["for=\"", "for=\"6.6.6.6", "\\\"", "for=6.6.6.6;host=\"\\", "\"\"\"", "=\""] {
        assert_eq!(forwarded(&[&format!("{junk}, for=192.0.2.60")]).0, "192.0.2.60", "{junk}");
        let quoted = format!("{junk}, for=\"[2001:db8::1]\"");
        assert_eq!(forwarded(&[&quoted]).0, "2001:db8::1", "{junk}");
    }
}

#[test]
fn names_nobody_for_unknown_obfuscated_or_malformed_elements() {
    for element in [
        "for=unknown",
        "for=_hidden",
        "for=\"_hidden:80\"",
        "proto=http",
        "",
        "for",
        "for=",
        "for=\"\"",
        "for=\"192.0.2.1",
        "for=192.0.2.1;for=192.0.2.2",
        "for=192.0.2.1 proto=http",
        "for =192.0.2.1",
        "for= 192.0.2.1",
        "for=[2001:db8::1]",
        "for=\"2001:db8::1\" x",
        "f\u{e9}or=192.0.2.1",
        "for=192.0.2.1;=x",
        "for=192.0.2.1;host=\"a\" b",
    ] {
        let value = format!("for=6.6.6.6, {element}, for=10.5.5.5");
        assert_eq!(forwarded(&[&value]), is("10.5.5.5", 1, End::Unreadable), "{element}");
    }
}

#[test]
fn appends_the_peer_to_what_is_there() {
    let values = [HeaderValue::from_static("192.0.2.1"), HeaderValue::from_static("")];
    assert_eq!(x_forwarded_for(&values, "::ffff:10.0.0.1".parse().unwrap()), "192.0.2.1, 10.0.0.1");
    assert_eq!(x_forwarded_for(&[], "2001:db8::1".parse().unwrap()), "2001:db8::1");
}

#[test]
fn renders_elements_that_it_reads_back() {
    let by = Some("2001:db8::1".parse().unwrap());
    assert_eq!(
        forwarded_element("192.0.2.1".parse().unwrap(), by, "https", Some("api.example.com:8443")),
        "for=192.0.2.1;by=\"[2001:db8::1]\";proto=https;host=\"api.example.com:8443\""
    );
    let nasty =
        forwarded_element("2001:db8::7".parse().unwrap(), None, "http", Some("a\",for=6.6.6.6\\\r\n"));
    assert_eq!(nasty, "for=\"[2001:db8::7]\";proto=http;host=\"a\\\",for=6.6.6.6\\\\\"");
    assert_eq!(forwarded(&[&nasty]).0, "2001:db8::7");
}

#[test]
fn nothing_written_at_the_left_changes_what_trusted_hops_appended() {
    let pieces: [&[u8]; 14] = [
        b"for=",
        b"\"",
        b"\\",
        b",",
        b";",
        b" ",
        b"10.0.0.2",
        b"6.6.6.6",
        b"[::1]",
        b"host=",
        b"=",
        b"\\\"",
        b"_x",
        b"\xff",
    ];
    let mut chance = Chance::new(3);
    for _ in 0..20_000 {
        let junk = chance.glue(&pieces, 12);
        for (style, appended) in [
            (Style::XForwardedFor, &b", 192.0.2.60, 10.0.0.3"[..]),
            (Style::Forwarded, b", for=192.0.2.60, for=10.0.0.3"),
            (Style::Forwarded, b", for=\"192.0.2.60:1\";host=\"x,\\\\\\\"y\", for=10.0.0.3"),
        ] {
            let value = [&junk[..], appended].concat();
            let client = client([10, 0, 0, 1].into(), &trusted(), [&value[..]], style);
            assert_eq!(client.address.to_string(), "192.0.2.60", "{}", value.escape_ascii());
        }
        client([10, 0, 0, 1].into(), &trusted(), [&junk[..]], Style::Forwarded);
    }
}
