//! The best-fit map of code page 20127 (US-ASCII), by which IIS and others make ASCII of Unicode.
//!
//! An attacker writes `<` as U+2039 where a server maps it back. The map is the one that ModSecurity ships as
//! `unicode.mapping` and that CRS asks for.

use std::sync::LazyLock;

use super::rewrite::low_byte;

/// The last code point of the map, full-width forms aside.
const LAST: usize = 0x2122;

/// What is read as which byte of ASCII.
#[rustfmt::skip]
const GROUPS: &[(u8, &str)] = &[
    (b' ', "\u{a0}\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\u{2006}"),
    (b'!', "\u{a1}"),
    (b'"', "\u{2ba}\u{30e}\u{201c}\u{201d}\u{201e}"),
    (b'$', "¤"),
    (b'\'', "\u{2b9}\u{2bc}\u{2c8}\u{2018}\u{2019}\u{2032}"),
    (b',', "\u{b8}\u{201a}"),
    (b'-', "\u{ad}\u{2010}\u{2011}\u{2013}\u{2014}"),
    (b'.', "\u{b7}\u{2022}\u{2026}"),
    (b'1', "¹"),
    (b'2', "²"),
    (b'3', "³"),
    (b'<', "\u{ab}\u{2039}"),
    (b'>', "\u{bb}\u{203a}"),
    (b'A', "ÀÁÂÃÄÅÆĀĂĄǍǞ"),
    (b'C', "©ÇĆĈĊČ"),
    (b'D', "ÐĎĐƉ"),
    (b'E', "ÈÉÊËĒĔĖĘĚ"),
    (b'F', "Ƒ"),
    (b'G', "ĜĞĠĢǤǦ"),
    (b'H', "ĤĦ"),
    (b'I', "ÌÍÎÏĨĪĬĮİƗǏ"),
    (b'J', "Ĵ"),
    (b'K', "ĶǨ"),
    (b'L', "ĹĻĽŁ"),
    (b'N', "ÑŃŅŇ"),
    (b'O', "ÒÓÔÕÖØŌŎŐŒƟƠǑǪǬ"),
    (b'R', "®ŔŖŘ"),
    (b'S', "ŚŜŞŠ"),
    (b'T', "ŢŤŦƮ™"),
    (b'U', "ÙÚÛÜŨŪŬŮŰŲƯǓǕǗǙǛ"),
    (b'W', "Ŵ"),
    (b'Y', "¥ÝŶŸ"),
    (b'Z', "ŹŻŽ"),
    (b'^', "\u{2c4}\u{2c6}\u{302}"),
    (b'_', "\u{2cd}\u{331}\u{332}"),
    (b'`', "\u{2cb}\u{300}\u{2035}"),
    (b'a', "ªàáâãäåæāăąǎǟ"),
    (b'b', "ƀ"),
    (b'c', "¢çćĉċč"),
    (b'd', "ďđ"),
    (b'e', "èéêëēĕėęě"),
    (b'f', "ƒ"),
    (b'g', "ĝğġģǥǧɡ"),
    (b'h', "ĥħ"),
    (b'i', "ìíîïĩīĭįıǐ"),
    (b'j', "ĵǰ"),
    (b'k', "ķǩ"),
    (b'l', "ĺļľłƚ"),
    (b'n', "ñńņň"),
    (b'o', "ºòóôõöøōŏőœơǒǫǭ"),
    (b'r', "ŕŗř"),
    (b's', "śŝşš"),
    (b't', "ţťŧƫ"),
    (b'u', "ùúûüũūŭůűųưǔǖǘǚǜ"),
    (b'w', "ŵ"),
    (b'y', "ýÿŷ"),
    (b'z', "żžƶ"),
    (b'|', "¦"),
    (b'~', "\u{2dc}\u{303}"),
];

/// By code point; 0 is not in the map.
static MAP: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut map = vec![0; LAST + 1];
    for (byte, characters) in GROUPS {
        for character in characters.chars() {
            if let Some(entry) = map.get_mut(character as usize) {
                *entry = *byte;
            }
        }
    }
    map
});

/// The byte that a UTF-16 unit is read as: what the map says, ASCII for full-width forms, else the low byte.
pub(super) fn best_fit(high: u8, low: u8) -> u8 {
    match MAP.get(usize::from(high) << 8 | usize::from(low)) {
        Some(byte @ 1..) => *byte,
        _ => low_byte(high, low),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_look_alikes_to_ascii_and_the_rest_to_its_low_byte() {
        for (code, byte) in [
            (0x2039_u16, b'<'),
            (0x00e9, b'e'),
            (0x02b9, b'\''),
            (0xff07, b'\''),
            (0xff1f, b'?'),
            (0x2122, b'T'),
            (0x0041, b'A'),
            (0x4f27, 0x27),
            (0x00df, 0xdf),
            (0x2123, 0x23),
            (0xff5f, 0x5f),
            (0xffff, 0xff),
        ] {
            let [high, low] = code.to_be_bytes();
            assert_eq!(best_fit(high, low), byte, "{code:04x}");
        }
    }
}
