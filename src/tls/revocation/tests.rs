use super::*;
use crate::tls::fixtures::{Authority, Crl, FUTURE, Leaf, PAST, crl_pem};
use crate::tls::system_clock;

fn verdict(lists: &[Vec<u8>], authority: &Authority, serial: u32) -> Result<(), X509VerifyError> {
    let pem: String = lists.iter().map(|list| crl_pem(list)).collect();
    let revocation = Revocation::parse(pem.as_bytes(), std::slice::from_ref(&authority.certificate)).unwrap();
    revocation.check(&authority.issue(&Leaf::client().serial(serial)).certificate, system_clock())
}

#[test]
fn finds_a_certificate_in_any_list_of_its_issuer() {
    let authority = Authority::root("CA");
    let lists = [authority.crl(&Crl::of(&[1])), authority.crl(&Crl::of(&[0x80, 0xffff_ffff]))];
    assert_eq!(verdict(&lists, &authority, 2), Ok(()));
    for serial in [1, 0x80, 0xffff_ffff] {
        assert_eq!(verdict(&lists, &authority, serial), Err(X509VerifyError::CERT_REVOKED), "{serial}");
    }
}

#[test]
fn needs_a_list_in_force_and_believes_a_stale_one_that_revokes() {
    let authority = Authority::root("CA");
    let stale = authority.crl(&Crl { until: PAST, ..Crl::of(&[1]) });
    let early = authority.crl(&Crl { from: FUTURE, ..Crl::of(&[]) });
    let fresh = authority.crl(&Crl::of(&[]));
    assert_eq!(verdict(std::slice::from_ref(&stale), &authority, 2), Err(X509VerifyError::CRL_HAS_EXPIRED));
    assert_eq!(verdict(&[early], &authority, 2), Err(X509VerifyError::CRL_NOT_YET_VALID));
    assert_eq!(verdict(&[stale.clone(), fresh.clone()], &authority, 2), Ok(()));
    assert_eq!(verdict(&[fresh, stale], &authority, 1), Err(X509VerifyError::CERT_REVOKED));
}

#[test]
fn knows_nothing_of_other_issuers() {
    let (authority, other) = (Authority::root("CA"), Authority::root("Other"));
    let revocation =
        Revocation::parse(&authority.crl(&Crl::of(&[])), std::slice::from_ref(&authority.certificate))
            .unwrap();
    let certificate = other.issue(&Leaf::client()).certificate;
    assert_eq!(revocation.check(&certificate, system_clock()), Err(X509VerifyError::UNABLE_TO_GET_CRL));
}

#[test]
fn believes_no_list_that_was_altered_or_cut() {
    let authority = Authority::root("CA");
    let list = authority.crl(&Crl::of(&[1, 2, 3]));
    let parse =
        |file: &[u8]| Revocation::parse(file, std::slice::from_ref(&authority.certificate)).map(|_| ());
    assert_eq!(parse(&list), Ok(()));
    let at = list.windows(7).position(|window| window == [INTEGER_TAG, 0x82, 0, 2, 0, 2, 0x18]).unwrap();
    let mut altered = list.clone();
    altered[at + 5] = 9;
    assert_eq!(parse(&altered), Err(RevocationError::Signature(1)));
    for end in 0..list.len() {
        assert!(parse(&list[..end]).is_err(), "cut at {end}");
    }
}

const INTEGER_TAG: u8 = der::INTEGER;
