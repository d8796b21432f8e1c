//! A set of IP addresses given as networks, built once and asked on every request.
//!
//! Networks are merged into sorted, disjoint ranges. A lookup is a binary search in a small sample and one in
//! a block of 32 neighbours, on 32-bit keys for IPv4 and on 64-bit halves for IPv6 (comparing 128 bits at a
//! time took twice as long), so a million networks cost a few cache misses. IPv4-mapped IPv6 addresses
//! (`::ffff:a.b.c.d`, RFC 4291 §2.5.5.2) are IPv4 on both sides, so a dual-stack socket changes no verdict.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};

/// Neighbours behind one sample.
const BLOCK: usize = 32;

/// An immutable set of addresses. The empty set contains nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IpSet {
    v4: Ranges<u32>,
    /// IPv6 networks up to /64: ranges of first halves.
    v6_wide: Ranges<u64>,
    v6_narrow: Narrow,
}

impl IpSet {
    /// Builds the set from any number of networks, overlapping or not, in any order.
    ///
    /// An IPv6 network inside `::ffff:0:0/96` means the IPv4 network it maps. A wider one, such as `::/0`,
    /// means IPv6 addresses alone.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        let (mut v4, mut wide, mut narrow) = (Vec::new(), Vec::new(), Vec::new());
        for network in networks {
            match (network, network.network().to_canonical(), network.broadcast().to_canonical()) {
                (_, IpAddr::V4(first), IpAddr::V4(last)) => v4.push((first.to_bits(), last.to_bits())),
                (IpNet::V6(network), ..) => add_v6(network, &mut wide, &mut narrow),
                // An IPv4 network has IPv4 ends.
                (IpNet::V4(_), ..) => {}
            }
        }
        Self { v4: Ranges::new(v4), v6_wide: Ranges::new(wide), v6_narrow: Narrow::new(narrow) }
    }

    /// Whether the address is in one of the networks.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.contains(address.to_bits()),
            IpAddr::V6(address) => {
                let (first, second) = halves(address);
                self.v6_wide.contains(first) || self.v6_narrow.contains(first, second)
            }
        }
    }

    /// How many ranges are left after merging: at most the number of networks given.
    #[must_use]
    pub fn len(&self) -> usize {
        self.v4.ends.len() + self.v6_wide.ends.len() + self.v6_narrow.ranges.len()
    }

    /// Whether no address at all is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl FromIterator<IpNet> for IpSet {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        Self::new(networks)
    }
}

fn add_v6(network: Ipv6Net, wide: &mut Vec<(u64, u64)>, narrow: &mut Vec<(u64, (u64, u64))>) {
    let (first, last) = (halves(network.network()), halves(network.broadcast()));
    if network.prefix_len() <= 64 {
        wide.push((first.0, last.0));
    } else {
        narrow.push((first.0, (first.1, last.1)));
    }
}

/// The 64 bits of the network part and the 64 bits of the interface part.
fn halves(address: Ipv6Addr) -> (u64, u64) {
    let octets = address.octets();
    let (first, second) = octets.split_at(8);
    let number = |half: &[u8]| half.iter().fold(0, |number, octet| number << 8 | u64::from(*octet));
    (number(first), number(second))
}

/// Inclusive, disjoint, sorted ranges; starts and ends apart, so that a search touches half the memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Ranges<T> {
    starts: Sorted<T>,
    ends: Box<[T]>,
}

impl<T: Key> Ranges<T> {
    fn new(ranges: Vec<(T, T)>) -> Self {
        let (starts, ends): (Vec<_>, Vec<_>) = merge(ranges).into_iter().unzip();
        Self { starts: Sorted::new(starts), ends: ends.into() }
    }

    fn contains(&self, address: T) -> bool {
        let place = self.starts.last_up_to(address);
        place.and_then(|place| self.ends.get(place)).is_some_and(|end| address <= *end)
    }
}

/// IPv6 networks longer than /64: by first half, the ranges of second halves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Narrow {
    firsts: Sorted<u64>,
    /// Where the ranges of each first half start in `ranges`.
    places: Box<[usize]>,
    ranges: Box<[(u64, u64)]>,
}

impl Narrow {
    fn new(mut networks: Vec<(u64, (u64, u64))>) -> Self {
        networks.sort_unstable();
        let (mut firsts, mut places, mut ranges) = (Vec::new(), Vec::new(), Vec::new());
        for same in networks.chunk_by(|one, other| one.0 == other.0) {
            firsts.extend(same.first().map(|network| network.0));
            places.push(ranges.len());
            ranges.extend(merge(same.iter().map(|network| network.1).collect()));
        }
        Self { firsts: Sorted::new(firsts), places: places.into(), ranges: ranges.into() }
    }

    fn contains(&self, first: u64, second: u64) -> bool {
        let place = self.firsts.last_up_to(first).filter(|place| self.firsts.all.get(*place) == Some(&first));
        let Some(place) = place else { return false };
        let from = self.places.get(place).copied().unwrap_or_default();
        let until = self.places.get(place + 1).copied().unwrap_or(self.ranges.len());
        let ranges = self.ranges.get(from..until).unwrap_or_default();
        let not_behind = ranges.partition_point(|range| range.0 <= second);
        ranges.get(..not_behind).and_then(<[_]>::last).is_some_and(|range| second <= range.1)
    }
}

/// A sorted list with a sample of every `BLOCK`-th entry, which stays in the cache.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Sorted<T> {
    samples: Box<[T]>,
    all: Box<[T]>,
}

impl<T: Key> Sorted<T> {
    fn new(all: Vec<T>) -> Self {
        Self { samples: all.iter().step_by(BLOCK).copied().collect(), all: all.into() }
    }

    /// The place of the last entry that is not greater than the key.
    fn last_up_to(&self, key: T) -> Option<usize> {
        let block = self.samples.partition_point(|entry| *entry <= key).checked_sub(1)?;
        let entries = self.all.chunks(BLOCK).nth(block)?;
        (block * BLOCK + entries.partition_point(|entry| *entry <= key)).checked_sub(1)
    }
}

trait Key: Ord + Copy {
    /// The next key, or the last one again: neighbours merge, the end of the space does not wrap.
    fn successor(self) -> Self;
}

impl Key for u32 {
    fn successor(self) -> Self {
        self.saturating_add(1)
    }
}

impl Key for u64 {
    fn successor(self) -> Self {
        self.saturating_add(1)
    }
}

/// Sorts ranges and merges those that overlap or touch.
fn merge<T: Key>(mut ranges: Vec<(T, T)>) -> Vec<(T, T)> {
    ranges.sort_unstable();
    let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        match merged.last_mut() {
            Some((_, last)) if start <= last.successor() => *last = end.max(*last),
            _ => merged.push((start, end)),
        }
    }
    merged
}

#[cfg(test)]
mod tests;
