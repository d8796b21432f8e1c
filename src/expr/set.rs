//! Sets of strings, numbers and addresses: built once, asked on every request, without allocating.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use serde_json::Value as Json;

use super::access::Scalar;
use super::json;
use crate::net::IpSet;

/// A set of one kind.
#[derive(Debug)]
pub(super) enum Set {
    Ip(IpSet),
    Strings(StringSet),
    Ints(IntSet),
}

impl Set {
    /// Whether the value is in the set; `None` if it is of another kind.
    #[inline]
    pub(super) fn contains(&self, value: &Scalar<'_>) -> Option<bool> {
        match (self, value) {
            (Self::Ip(set), Scalar::Ip(address)) => Some(set.contains(address.ip())),
            (Self::Strings(set), Scalar::Bytes(string)) => Some(set.contains(string)),
            (Self::Ints(set), Scalar::Int(number)) => Some(set.contains(*number)),
            (Self::Strings(set), Scalar::Json(Json::String(string))) => Some(set.contains(string.as_bytes())),
            (Self::Ints(set), Scalar::Json(Json::Number(number))) => {
                Some(set.contains(json::integer(number)?))
            }
            _ => None,
        }
    }
}

/// Strings in one piece of memory, sorted by length and then by content: a lookup is a binary search among neighbours
/// of the same length, and a million entries cost their bytes and no more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct StringSet {
    groups: Box<[Group]>,
    bytes: Box<[u8]>,
}

/// All strings of one length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Group {
    length: usize,
    /// Where they start in the bytes.
    start: usize,
    count: usize,
}

impl StringSet {
    /// Builds the set from strings in any order.
    pub(super) fn new(mut strings: Vec<Vec<u8>>) -> Self {
        strings.sort_unstable_by(|one, other| (one.len(), one).cmp(&(other.len(), other)));
        strings.dedup();
        let (mut groups, mut bytes) = (Vec::new(), Vec::new());
        for same in strings.chunk_by(|one, other| one.len() == other.len()) {
            let length = same.first().map_or(0, Vec::len);
            groups.push(Group { length, start: bytes.len(), count: same.len() });
            bytes.extend(same.iter().flatten());
        }
        Self { groups: groups.into(), bytes: bytes.into() }
    }

    /// Whether the string is in the set, whole and with its case.
    pub(super) fn contains(&self, string: &[u8]) -> bool {
        self.group(string.len()).is_some_and(|(count, bytes)| {
            let (mut first, mut behind) = (0, count);
            while first < behind {
                let middle = usize::midpoint(first, behind);
                let entry = bytes.get(middle * string.len()..(middle + 1) * string.len()).unwrap_or_default();
                match entry.cmp(string) {
                    std::cmp::Ordering::Less => first = middle + 1,
                    std::cmp::Ordering::Equal => return true,
                    std::cmp::Ordering::Greater => behind = middle,
                }
            }
            false
        })
    }

    /// How many different strings.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.groups.iter().map(|group| group.count).sum()
    }

    /// How many strings of a length there are, and their bytes.
    fn group(&self, length: usize) -> Option<(usize, &[u8])> {
        let place = self.groups.binary_search_by_key(&length, |group| group.length).ok()?;
        let group = self.groups.get(place)?;
        Some((group.count, self.bytes.get(group.start..)?))
    }
}

/// Numbers as sorted, disjoint, inclusive ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct IntSet(Box<[(i64, i64)]>);

impl IntSet {
    /// Builds the set from ranges, first and last included, in any order. One whose first exceeds its last is empty.
    pub(super) fn new(mut ranges: Vec<(i64, i64)>) -> Self {
        ranges.retain(|(first, last)| first <= last);
        ranges.sort_unstable();
        let mut merged: Vec<(i64, i64)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        Self(merged.into())
    }

    /// Whether the number is in the set.
    pub(super) fn contains(&self, number: i64) -> bool {
        let behind = self.0.partition_point(|(first, _)| *first <= number);
        self.0.get(..behind).and_then(<[_]>::last).is_some_and(|(_, last)| number <= *last)
    }

    /// How many ranges are left after merging.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The networks that together are all addresses from the first to the last: at most 254. `None` if the two are of
/// different families or in the wrong order.
pub(super) fn networks(first: IpAddr, last: IpAddr) -> Option<Vec<IpNet>> {
    match (first.to_canonical(), last.to_canonical()) {
        (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => {
            Some(Ipv4Subnets::new(first, last, 0).map(IpNet::V4).collect())
        }
        (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => {
            Some(Ipv6Subnets::new(first, last, 0).map(IpNet::V6).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
