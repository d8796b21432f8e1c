//! Digits without a formatter and without an allocation, for what every request writes.

use std::net::IpAddr;

/// Room for the longest number.
pub type Buffer = [u8; 20];

/// A number in decimal, with leading zeros up to `width` digits.
#[must_use]
pub fn decimal(mut number: u64, width: usize, buffer: &mut Buffer) -> &[u8] {
    let mut count = 0;
    for digit in buffer.iter_mut().rev() {
        if number == 0 && count >= width {
            break;
        }
        // `% 10` leaves one digit, so the cast cannot lose anything.
        #[allow(clippy::cast_possible_truncation)]
        let last = (number % 10) as u8;
        *digit = b'0' + last;
        number /= 10;
        count += 1;
    }
    buffer.get(buffer.len() - count..).unwrap_or_default()
}

/// Appends `number` in decimal.
pub fn push(out: &mut Vec<u8>, number: u64) {
    push_padded(out, number, 1);
}

/// Appends `number` in decimal, with leading zeros up to `width` digits, 20 at most.
pub fn push_padded(out: &mut Vec<u8>, number: u64, width: usize) {
    out.extend_from_slice(decimal(number, width, &mut Buffer::default()));
}

/// All 16 hexadecimal digits of a number, letters in lower case. Without a branch or a table: ids of requests and traces are
/// random, and a branch on each digit is foretold wrongly as often as not.
#[must_use]
pub fn hex(number: u64) -> [u8; 16] {
    let mut out = [0; 16];
    let (high, low) = out.split_at_mut(8);
    high.copy_from_slice(&hex_of_half(number >> 32));
    low.copy_from_slice(&hex_of_half(number & 0xffff_ffff));
    out
}

/// The same of 32 bits. Each half digit gets a byte of its own, and all eight become letters or digits at once.
const fn hex_of_half(number: u64) -> [u8; 8] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let spread = (number | number << 16) & 0x0000_ffff_0000_ffff;
    let spread = (spread | spread << 8) & 0x00ff_00ff_00ff_00ff;
    let spread = (spread | spread << 4) & (0x0f * ONES);
    let letters = (spread + 6 * ONES) >> 4 & ONES;
    (spread + b'0' as u64 * ONES + letters * (b'a' - b'9' - 1) as u64).to_be_bytes()
}

/// Appends an address as text, an IPv6 one in the shape of RFC 5952.
pub fn push_ip(out: &mut Vec<u8>, address: IpAddr) {
    use std::io::Write;
    match address {
        IpAddr::V4(address) => {
            for (position, octet) in address.octets().into_iter().enumerate() {
                if position > 0 {
                    out.push(b'.');
                }
                push(out, u64::from(octet));
            }
        }
        // Writing to a `Vec` cannot fail.
        IpAddr::V6(address) => _ = write!(out, "{address}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = b"=".to_vec();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_every_digit_of_a_number_and_leaves_what_came_before() {
        for number in [0, 7, 10, 1_234_567_890, u64::MAX] {
            assert_eq!(text(|out| push(out, number)), format!("={number}"));
        }
    }

    #[test]
    fn pads_with_zeros_and_never_cuts() {
        assert_eq!(text(|out| push_padded(out, 7, 3)), "=007");
        assert_eq!(text(|out| push_padded(out, 0, 2)), "=00");
        assert_eq!(text(|out| push_padded(out, 12_345, 3)), "=12345");
    }

    #[test]
    fn writes_hexadecimal_as_the_standard_library_does() {
        for number in [0, 1, 9, 10, 15, 16, 0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210, u64::MAX] {
            assert_eq!(hex(number), *format!("{number:016x}").as_bytes());
        }
    }

    #[test]
    fn writes_addresses_as_the_standard_library_does() {
        for address in ["0.0.0.0", "192.0.2.255", "::1", "2001:db8::7", "::ffff:192.0.2.1"] {
            assert_eq!(text(|out| push_ip(out, address.parse().unwrap())), format!("={address}"));
        }
    }
}
