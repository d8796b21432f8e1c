//! Nothing that a client writes into a forwarding header changes what trusted hops appended to it.
#![no_main]

use std::net::IpAddr;

use edgeward::net::{
    forwarded::{Style, client, forwarded_element},
    ip_set::IpSet,
};
use libfuzzer_sys::fuzz_target;

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
const OUTSIDE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 60));

fuzz_target!(|data: &[u8]| {
    let trusted: IpSet = [PEER.into()].into_iter().collect();
    let appended = [
        (Style::XForwardedFor, &b", 192.0.2.60, 10.0.0.1"[..]),
        (Style::Forwarded, b", for=192.0.2.60;host=\"a,\\\"b\", for=10.0.0.1"),
    ];
    for (style, appended) in appended {
        assert_eq!(client(OUTSIDE, &trusted, [data], style).address, OUTSIDE);
        let alone = client(PEER, &trusted, [data], style);
        assert!(alone.hops > 0 || alone.address == PEER);
        let value = [data, appended].concat();
        assert_eq!(client(PEER, &trusted, [&value[..]], style).address, OUTSIDE);
        assert_eq!(client(PEER, &trusted, [data, &appended[2..]], style).address, OUTSIDE);
    }
    if let Ok(host) = std::str::from_utf8(data) {
        let element = forwarded_element(OUTSIDE, Some(PEER), "https", Some(host));
        let value = format!("for=6.6.6.6, {element}");
        assert_eq!(client(PEER, &trusted, [value.as_bytes()], Style::Forwarded).address, OUTSIDE);
    }
});
