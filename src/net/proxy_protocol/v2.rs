//! Version 2: a binary header of 16 bytes, addresses, and type-length-value fields.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Header, Origin, Parsed};

pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
pub(super) const FIXED_BYTES: usize = 16;
pub(super) const MAX_BLOCK_BYTES: usize = 4096;

const TLV_ALPN: u8 = 0x01;
const TLV_AUTHORITY: u8 = 0x02;
const TLV_CRC32C: u8 = 0x03;
const TLV_UNIQUE_ID: u8 = 0x05;
const UNIQUE_ID_MAX_BYTES: usize = 128;

/// The type-length-value fields of a header, found whole when it was parsed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tlvs<'a>(&'a [u8]);

/// One field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    pub kind: u8,
    pub value: &'a [u8],
}

impl<'a> Tlvs<'a> {
    /// The fields in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = Tlv<'a>> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (tlv, after) = split_tlv(rest)?;
            rest = after;
            Some(tlv)
        })
    }

    /// The first field of a type, raw.
    #[must_use]
    pub fn first(&self, kind: u8) -> Option<&'a [u8]> {
        self.iter().find(|tlv| tlv.kind == kind).map(|tlv| tlv.value)
    }

    /// `PP2_TYPE_AUTHORITY`: the host name the client asked for (SNI), if it is UTF-8.
    #[must_use]
    pub fn authority(&self) -> Option<&'a str> {
        self.first(TLV_AUTHORITY).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// `PP2_TYPE_ALPN`: the protocol negotiated, such as `h2`.
    #[must_use]
    pub fn alpn(&self) -> Option<&'a [u8]> {
        self.first(TLV_ALPN)
    }

    /// `PP2_TYPE_UNIQUE_ID`: the sender's opaque connection id, at most 128 bytes.
    #[must_use]
    pub fn unique_id(&self) -> Option<&'a [u8]> {
        self.first(TLV_UNIQUE_ID)
    }
}

pub(super) fn parse(buffer: &[u8]) -> Parsed<'_> {
    let Some((&[.., version_command, family, high, low], _)) = buffer.split_first_chunk::<FIXED_BYTES>()
    else {
        return Parsed::Incomplete { at_least: FIXED_BYTES };
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_BLOCK_BYTES {
        return Parsed::Invalid("proxy_v2_too_long");
    }
    let local = match version_command {
        0x20 => true,
        0x21 => false,
        _ => return Parsed::Invalid("proxy_v2_command"),
    };
    let needed = if local { 0 } else { addresses_length(family).unwrap_or(usize::MAX) };
    match needed {
        usize::MAX => return Parsed::Invalid("proxy_v2_family"),
        needed if needed > length => return Parsed::Invalid("proxy_v2_addresses"),
        _ => {}
    }
    let consumed = FIXED_BYTES + length;
    let Some(whole) = buffer.get(..consumed) else {
        return Parsed::Incomplete { at_least: consumed };
    };
    if local {
        // "Must discard the protocol block including the family, which is ignored."
        let header = Header { version: 2, origin: Origin::Local, tlvs: Tlvs::default() };
        return Parsed::Complete { header, consumed };
    }
    match relayed(whole, family) {
        Ok(header) => Parsed::Complete { header, consumed },
        Err(reason) => Parsed::Invalid(reason),
    }
}

/// How long the addresses of a family are; `None` for combinations the specification does not list.
fn addresses_length(family: u8) -> Option<usize> {
    match family {
        0x00 => Some(0),
        0x11 | 0x12 => Some(12),
        0x21 | 0x22 => Some(36),
        0x31 | 0x32 => Some(216),
        _ => None,
    }
}

fn relayed(whole: &[u8], family: u8) -> Result<Header<'_>, &'static str> {
    let block = whole.get(FIXED_BYTES..).unwrap_or_default();
    let (origin, tlvs) = match family {
        0x11 | 0x12 => inet(block),
        0x21 | 0x22 => inet6(block),
        0x31 | 0x32 => unix(block),
        // Addresses of an unspecified family have no known length, so no field after them can be found.
        _ => Some((Origin::Unknown, &[][..])),
    }
    .ok_or("proxy_v2_addresses")?;
    check_tlvs(whole, tlvs)?;
    Ok(Header { version: 2, origin, tlvs: Tlvs(tlvs) })
}

fn inet(block: &[u8]) -> Option<(Origin<'_>, &[u8])> {
    let (source, rest) = block.split_first_chunk::<4>()?;
    let (destination, rest) = rest.split_first_chunk::<4>()?;
    let (from, to, rest) = ports(rest)?;
    let source = SocketAddr::new(Ipv4Addr::from(*source).into(), from);
    let destination = SocketAddr::new(Ipv4Addr::from(*destination).into(), to);
    Some((Origin::Inet { source, destination }, rest))
}

fn inet6(block: &[u8]) -> Option<(Origin<'_>, &[u8])> {
    let (source, rest) = block.split_first_chunk::<16>()?;
    let (destination, rest) = rest.split_first_chunk::<16>()?;
    let (from, to, rest) = ports(rest)?;
    let source = SocketAddr::new(Ipv6Addr::from(*source).into(), from);
    let destination = SocketAddr::new(Ipv6Addr::from(*destination).into(), to);
    Some((Origin::Inet { source, destination }, rest))
}

fn ports(block: &[u8]) -> Option<(u16, u16, &[u8])> {
    let (&[a, b, c, d], rest) = block.split_first_chunk::<4>()?;
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]), rest))
}

fn unix(block: &[u8]) -> Option<(Origin<'_>, &[u8])> {
    let (source, rest) = block.split_first_chunk::<108>()?;
    let (destination, rest) = rest.split_first_chunk::<108>()?;
    Some((Origin::Unix { source: until_nul(source), destination: until_nul(destination) }, rest))
}

fn until_nul(path: &[u8]) -> &[u8] {
    path.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Every field whole, the known ones well formed and at most once, the checksum right.
fn check_tlvs(whole: &[u8], tlvs: &[u8]) -> Result<(), &'static str> {
    let mut rest = tlvs;
    let mut seen = [false; 6];
    while !rest.is_empty() {
        let (tlv, after) = split_tlv(rest).ok_or("proxy_v2_tlv")?;
        let repeatable = !matches!(tlv.kind, TLV_ALPN | TLV_AUTHORITY | TLV_CRC32C | TLV_UNIQUE_ID);
        let seen = seen.get_mut(usize::from(tlv.kind)).map(|seen| std::mem::replace(seen, true));
        if !repeatable && seen == Some(true) {
            return Err("proxy_v2_tlv_repeated");
        }
        if tlv.kind == TLV_UNIQUE_ID && tlv.value.len() > UNIQUE_ID_MAX_BYTES {
            return Err("proxy_v2_unique_id");
        }
        if tlv.kind == TLV_CRC32C {
            let value_at = whole.len() - after.len() - tlv.value.len();
            check_crc(whole, value_at, tlv.value)?;
        }
        rest = after;
    }
    Ok(())
}

fn split_tlv(bytes: &[u8]) -> Option<(Tlv<'_>, &[u8])> {
    let (&[kind, high, low], rest) = bytes.split_first_chunk::<3>()?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
    Some((Tlv { kind, value }, rest))
}

/// The checksum covers the whole header with its own four bytes as zeros.
fn check_crc(whole: &[u8], value_at: usize, value: &[u8]) -> Result<(), &'static str> {
    let expected = <[u8; 4]>::try_from(value).map(u32::from_be_bytes).map_err(|_| "proxy_v2_crc")?;
    let before = whole.get(..value_at).unwrap_or_default();
    let after = whole.get(value_at + 4..).unwrap_or_default();
    let crc = crc32c(crc32c(crc32c(!0, before), &[0; 4]), after);
    if !crc == expected { Ok(()) } else { Err("proxy_v2_crc") }
}

/// CRC-32C (Castagnoli, RFC 9260 appendix A), a table entry a byte: a header is some hundred bytes long.
#[allow(clippy::indexing_slicing, reason = "the table has an entry for every byte")]
pub(super) fn crc32c(mut crc: u32, bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = crc_table();
    for byte in bytes {
        let [low, ..] = crc.to_le_bytes();
        crc = (crc >> 8) ^ TABLE[usize::from(low ^ byte)];
    }
    crc
}

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn crc_table() -> [u32; 256] {
    let mut table = [0_u32; 256];
    let mut seed = 0_u32;
    while seed < 256 {
        let mut value = seed;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { (value >> 1) ^ 0x82f6_3b78 } else { value >> 1 };
            bit += 1;
        }
        table[seed as usize] = value;
        seed += 1;
    }
    table
}
