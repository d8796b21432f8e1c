//! A header is read within its bounds, and from its own bytes alone.
#![no_main]

use edgeward::net::proxy_protocol::{Parsed, V1_MAX_BYTES, V2_MAX_BYTES, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    match parse(data) {
        Parsed::Complete { header, consumed } => {
            let longest = if header.version == 1 { V1_MAX_BYTES } else { V2_MAX_BYTES };
            assert!(consumed <= data.len() && consumed <= longest);
            assert_eq!(parse(&data[..consumed]), Parsed::Complete { header, consumed });
            for cut in [0, 1, consumed / 2, consumed - 1] {
                let Parsed::Incomplete { at_least } = parse(&data[..cut]) else { panic!("cut at {cut}") };
                assert!(at_least > cut && at_least <= consumed);
            }
            assert!(header.tlvs.iter().map(|tlv| tlv.value.len() + 3).sum::<usize>() <= consumed);
            assert!(header.tlvs.unique_id().is_none_or(|id| id.len() <= 128));
        }
        Parsed::Incomplete { at_least } => assert!(at_least > data.len() && at_least <= V2_MAX_BYTES),
        Parsed::Invalid(reason) => {
            let longer = [data, b"\r\n0"].concat();
            assert!(matches!(parse(&longer), Parsed::Invalid(_)), "{reason} was final");
        }
    }
});
