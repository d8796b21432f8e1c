use super::*;
use crate::tls::fixtures::{FUTURE, PAST, ocsp};

#[test]
fn reads_until_when_a_good_response_counts() {
    assert_eq!(read(&ocsp(0, 9, GOOD, FUTURE), &[9]), Ok(Some(4_070_908_800)));
    let staple = |until| Staple { response: vec![1], until };
    assert_eq!(staple(Some(10)).fresh(9), Some(&[1][..]));
    assert_eq!(staple(Some(10)).fresh(10), None);
    assert_eq!(staple(None).fresh(i64::MAX), Some(&[1][..]));
}

#[test]
fn refuses_responses_that_are_not_good_or_about_another_certificate() {
    assert_eq!(read(&ocsp(0, 9, GOOD, PAST), &[8]), Err(OcspError::OtherCertificate));
    assert_eq!(read(&ocsp(0, 9, 0xa1, FUTURE), &[9]), Err(OcspError::NotGood));
    assert_eq!(read(&ocsp(6, 9, GOOD, FUTURE), &[9]), Err(OcspError::Unsuccessful(6)));
}

#[test]
fn refuses_every_truncation() {
    let whole = ocsp(0, 9, GOOD, FUTURE);
    for end in 0..whole.len() {
        assert_eq!(read(&whole[..end], &[9]), Err(OcspError::Malformed), "cut at {end}");
    }
}
