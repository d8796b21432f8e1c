use super::*;
use crate::http::chance::Chance;

fn set(networks: &[&str]) -> IpSet {
    networks.iter().map(|network| network.parse::<IpNet>().unwrap()).collect()
}

fn has(set: &IpSet, address: &str) -> bool {
    set.contains(address.parse().unwrap())
}

#[test]
fn contains_the_edges_of_a_network_and_nothing_beyond() {
    let set = set(&["10.1.0.0/16", "2001:db8::/32"]);
    for inside in ["10.1.0.0", "10.1.255.255", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"] {
        assert!(has(&set, inside), "{inside}");
    }
    for outside in ["10.0.255.255", "10.2.0.0", "2001:db7:ffff::", "2001:db9::", "::ffff:10.2.0.0"] {
        assert!(!has(&set, outside), "{outside}");
    }
}

#[test]
fn the_empty_set_contains_nothing() {
    let empty = IpSet::default();
    assert!(empty.is_empty() && empty == set(&[]));
    assert!(!has(&empty, "0.0.0.0") && !has(&empty, "::"));
}

#[test]
fn treats_mapped_addresses_as_ipv4_on_both_sides() {
    assert!(has(&set(&["192.0.2.0/24"]), "::ffff:192.0.2.7"));
    assert!(has(&set(&["::ffff:192.0.2.0/120"]), "192.0.2.7"));
    assert!(!has(&set(&["::ffff:192.0.2.0/120"]), "192.0.3.7"));
    assert!(!has(&set(&["::/0"]), "::ffff:192.0.2.7"), "all of IPv6 names no IPv4 address");
    assert!(has(&set(&["::/0"]), "2001:db8::1"));
}

#[test]
fn merges_overlapping_and_neighbouring_networks() {
    assert_eq!(set(&["10.0.0.0/9", "10.128.0.0/9", "10.3.0.0/16"]).len(), 1);
    assert_eq!(set(&["10.0.0.0/24", "10.0.2.0/24"]).len(), 2);
    let all = set(&["255.255.255.255/32", "0.0.0.0/0", "::/1", "8000::/1"]);
    assert_eq!(all.len(), 2);
    assert!(has(&all, "255.255.255.255") && has(&all, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
}

#[test]
fn agrees_with_a_linear_search_on_random_networks() {
    let mut chance = Chance::new(7);
    let networks: Vec<IpNet> = (0..700)
        .map(|_| {
            let high = chance.next() & 0xffff;
            let prefix = 22 + chance.below(11);
            format!("10.{}.{}.{}/{prefix}", high >> 12, high & 255, chance.below(256)).parse().unwrap()
        })
        .collect();
    let set = IpSet::new(networks.iter().copied());
    assert!(set.len() > 2 * BLOCK, "several blocks are searched");
    for _ in 0..20_000 {
        let mut byte = |bound| u8::try_from(chance.below(bound)).unwrap();
        let address = IpAddr::from([10, byte(16), byte(256), byte(256)]);
        let expected = networks.iter().any(|network| network.contains(&address));
        assert_eq!(set.contains(address), expected, "{address}");
    }
}

#[test]
fn agrees_with_a_linear_search_on_random_ipv6_networks_of_every_length() {
    let mut chance = Chance::new(9);
    let mut address = || {
        let nibbles = [(); 3].map(|()| chance.below(4));
        let text = format!("2001:{}:0:{}::{}", nibbles[0], nibbles[1], nibbles[2]);
        (text.parse::<Ipv6Addr>().unwrap(), u8::try_from(20 + chance.below(109)).unwrap())
    };
    let networks: Vec<IpNet> =
        (0..40).map(|_| address()).map(|(at, long)| IpNet::new(at.into(), long).unwrap()).collect();
    let narrow: Vec<IpNet> = networks.iter().copied().filter(|network| network.prefix_len() > 48).collect();
    for networks in [networks, narrow] {
        let set = IpSet::new(networks.iter().copied());
        for _ in 0..5_000 {
            let address = IpAddr::from(address().0);
            let expected = networks.iter().any(|network| network.contains(&address));
            assert_eq!(set.contains(address), expected, "{address}");
        }
    }
}
