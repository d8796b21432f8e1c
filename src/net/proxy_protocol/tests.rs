use super::*;
use crate::http::chance::Chance;

fn complete(buffer: &[u8]) -> (Header<'_>, usize) {
    match parse(buffer) {
        Parsed::Complete { header, consumed } => (header, consumed),
        other => panic!("{other:?} for {}", buffer.escape_ascii()),
    }
}

fn reason(buffer: &[u8]) -> &'static str {
    match parse(buffer) {
        Parsed::Invalid(reason) => reason,
        other => panic!("{other:?} for {}", buffer.escape_ascii()),
    }
}

fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let mut bytes = v2::SIGNATURE.to_vec();
    bytes.extend([command, family]);
    bytes.extend(u16::try_from(block.len()).unwrap().to_be_bytes());
    bytes.extend(block);
    bytes
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(value.len()).unwrap().to_be_bytes();
    [&[kind, high, low], value].concat()
}

const INET: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 0x04, 0x01, 0xbb];

/// A header with a right checksum and another field after it.
fn v2_with_crc() -> Vec<u8> {
    let mut bytes =
        v2(0x21, 0x11, &[&INET[..], &tlv(0x03, &[0; 4]), &tlv(0x02, b"api.example.com")].concat());
    let crc = !v2::crc32c(!0, &bytes);
    let at = 16 + 12 + 3;
    bytes[at..at + 4].copy_from_slice(&crc.to_be_bytes());
    bytes
}

#[test]
fn reads_version_1_and_leaves_what_follows() {
    let (header, consumed) = complete(b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\nGET /");
    assert_eq!(consumed, 45);
    assert_eq!(header.source(), Some("192.0.2.1:56324".parse().unwrap()));
    let (header, _) = complete(b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n");
    let expected = Origin::Inet {
        source: "[2001:db8::1]:1".parse().unwrap(),
        destination: "[2001:db8::2]:65535".parse().unwrap(),
    };
    assert_eq!((header.version, header.origin), (1, expected));
}

#[test]
fn ignores_what_follows_unknown_in_version_1() {
    for line in [&b"PROXY UNKNOWN\r\n"[..], b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n"] {
        let (header, consumed) = complete(line);
        assert_eq!((header.origin, consumed), (Origin::Unknown, line.len()));
        assert_eq!(header.source(), None);
    }
}

#[test]
fn refuses_every_other_spelling_of_version_1() {
    for (line, expected) in [
        (&b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\n"[..], "proxy_v1_line_end"),
        (b"PROXY TCP4 192.0.2.1\r198.51.100.2 56324 443\r\n", "proxy_v1_line_end"),
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\r\n", "proxy_v1_line_end"),
        (b"PROXY TCP4  192.0.2.1 198.51.100.2 56324 443\r\n", "proxy_v1_address"),
        (b"PROXY TCP4 192.0.2.01 198.51.100.2 56324 443\r\n", "proxy_v1_address"),
        (b"PROXY TCP4 ::1 ::1 56324 443\r\n", "proxy_v1_address"),
        (b"PROXY TCP6 192.0.2.1 198.51.100.2 56324 443\r\n", "proxy_v1_address"),
        (b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "proxy_v1_address"),
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 056 443\r\n", "proxy_v1_port"),
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 +56 443\r\n", "proxy_v1_port"),
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n", "proxy_v1_port"),
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 56\r\n", "proxy_v1_port"),
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 56 443 \r\n", "proxy_v1_extra"),
        (b"PROXY UDP4 192.0.2.1 198.51.100.2 56 443\r\n", "proxy_v1_family"),
        (b"PROXY UNKNOWNS\r\n", "proxy_v1_family"),
        (b"PROXY tcp4 192.0.2.1 198.51.100.2 56 443\r\n", "proxy_v1_family"),
        (b"proxy TCP4", "proxy_signature"),
        (b"GET / HTTP/1.1\r\n", "proxy_signature"),
    ] {
        assert_eq!(reason(line), expected, "{}", line.escape_ascii());
    }
}

#[test]
fn bounds_version_1_at_107_bytes() {
    let line = |padding: usize| [&b"PROXY UNKNOWN "[..], &vec![b'x'; padding], b"\r\n"].concat();
    assert_eq!(complete(&line(V1_MAX_BYTES - 16)).1, V1_MAX_BYTES);
    assert_eq!(reason(&line(V1_MAX_BYTES - 15)), "proxy_v1_too_long");
    assert_eq!(reason(&line(4000)), "proxy_v1_too_long");
}

#[test]
fn reads_every_family_of_version_2() {
    let (header, consumed) = complete(&v2(0x21, 0x11, &INET)[..]).to_owned_parts();
    assert_eq!((header, consumed), (Some("192.0.2.1:56324".parse().unwrap()), 28));
    let mut block = [0; 36];
    (block[15], block[31], block[33], block[35]) = (1, 2, 7, 8);
    assert_eq!(complete(&v2(0x21, 0x21, &block)).0.source(), Some("[::1]:7".parse().unwrap()));
    let mut block = [0; 216];
    block[..5].copy_from_slice(b"/a\0zz");
    let bytes = v2(0x21, 0x31, &block);
    assert_eq!(complete(&bytes).0.origin, Origin::Unix { source: b"/a", destination: b"" });
    assert_eq!(complete(&v2(0x21, 0x00, b"whatever")).0.origin, Origin::Unknown);
    assert_eq!(complete(&v2(0x20, 0xff, b"")).0.origin, Origin::Local);
    assert_eq!(complete(&v2(0x20, 0x11, b"\xff\xff")).1, 18, "a LOCAL block is discarded whole");
}

trait OwnedParts {
    fn to_owned_parts(&self) -> (Option<SocketAddr>, usize);
}
impl OwnedParts for (Header<'_>, usize) {
    fn to_owned_parts(&self) -> (Option<SocketAddr>, usize) {
        (self.0.source(), self.1)
    }
}

#[test]
fn refuses_unassigned_values_and_short_blocks_of_version_2() {
    for (bytes, expected) in [
        (v2(0x11, 0x11, &INET), "proxy_v2_command"),
        (v2(0x22, 0x11, &INET), "proxy_v2_command"),
        (v2(0x21, 0x10, &INET), "proxy_v2_family"),
        (v2(0x21, 0x13, &INET), "proxy_v2_family"),
        (v2(0x21, 0x41, &INET), "proxy_v2_family"),
        (v2(0x21, 0x01, &INET), "proxy_v2_family"),
        (v2(0x21, 0x11, &INET[..11]), "proxy_v2_addresses"),
        (v2(0x21, 0x21, &INET), "proxy_v2_addresses"),
        (v2(0x20, 0x00, &[0; 4097]), "proxy_v2_too_long"),
        (v2(0x21, 0x11, &[&INET[..], &[0x04, 0]].concat()), "proxy_v2_tlv"),
        (v2(0x21, 0x11, &[&INET[..], &[0x04, 0, 9, 1]].concat()), "proxy_v2_tlv"),
        (v2(0x21, 0x11, &[&INET[..], &tlv(5, &[1; 129])].concat()), "proxy_v2_unique_id"),
        (v2(0x21, 0x11, &[&INET[..], &tlv(2, b"a"), &tlv(2, b"b")].concat()), "proxy_v2_tlv_repeated"),
        (v2(0x21, 0x11, &[&INET[..], &tlv(3, &[0; 3])].concat()), "proxy_v2_crc"),
    ] {
        assert_eq!(reason(&bytes), expected, "{}", bytes.escape_ascii());
    }
    assert_eq!(complete(&v2(0x20, 0x00, &[0; 4096])).1, V2_MAX_BYTES);
}

#[test]
fn reads_the_fields_of_version_2() {
    let fields =
        [tlv(0x01, b"h2"), tlv(0x04, b""), tlv(0x04, b"\0"), tlv(0x02, b"api.example"), tlv(5, b"id")];
    let bytes = v2(0x21, 0x11, &[&INET[..], &fields.concat()].concat());
    let tlvs = complete(&bytes).0.tlvs;
    assert_eq!(tlvs.alpn(), Some(&b"h2"[..]));
    assert_eq!(tlvs.authority(), Some("api.example"));
    assert_eq!(tlvs.unique_id(), Some(&b"id"[..]));
    assert_eq!((tlvs.iter().count(), tlvs.first(0xea)), (5, None));
}

#[test]
fn checks_the_checksum_where_there_is_one() {
    assert_eq!(!v2::crc32c(!0, b"123456789"), 0xe306_9283, "the catalogue's check value");
    let bytes = v2_with_crc();
    assert_eq!(complete(&bytes).0.tlvs.authority(), Some("api.example.com"));
    for at in 16..bytes.len() {
        let mut broken = bytes.clone();
        broken[at] ^= 1;
        assert!(matches!(parse(&broken), Parsed::Invalid(_)), "byte {at}");
    }
}

#[test]
fn asks_for_more_at_every_cut_and_never_for_too_much() {
    for whole in [
        b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        v2_with_crc(),
    ] {
        for cut in 0..whole.len() {
            let Parsed::Incomplete { at_least } = parse(&whole[..cut]) else { panic!("cut at {cut}") };
            assert!(at_least > cut && at_least <= whole.len(), "cut at {cut}: {at_least}");
        }
    }
}

#[test]
fn holds_its_bounds_on_random_input() {
    let whole = v2_with_crc();
    let pieces: [&[u8]; 10] = [
        b"PROXY ",
        b"TCP4 ",
        b"TCP6 ",
        b"1.2.3.4 ",
        b"::1 ",
        b"80",
        b" ",
        b"\r\n",
        &whole[..16],
        &whole[16..],
    ];
    let mut chance = Chance::new(11);
    let mut completed = 0;
    for _ in 0..20_000 {
        let input = chance.glue(&pieces, 9);
        match parse(&input) {
            Parsed::Complete { header, consumed } => {
                completed += 1;
                assert!(consumed <= input.len() && consumed <= V2_MAX_BYTES);
                assert_eq!(parse(&input[..consumed]), Parsed::Complete { header, consumed });
            }
            Parsed::Incomplete { at_least } => assert!(at_least > input.len() && at_least <= V2_MAX_BYTES),
            Parsed::Invalid(_) => {}
        }
    }
    assert!(completed > 10);
}
