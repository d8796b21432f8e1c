use boring::bn::BigNum;
use boring::ec::EcGroup;
use boring::nid::Nid;

use super::*;
use crate::auth::jose::algorithm::Algorithm;
use crate::auth::jose::mint;

#[test]
fn without_an_algorithm_a_key_is_for_all_that_its_type_can_do() {
    let public = |algorithm| mint::signer(algorithm, None);
    let rsa = Key::from_pem(&mint::rsa_public_pem(), Some("r"), None).unwrap();
    assert_eq!((rsa.algorithms(), rsa.id()), (Algorithms::RSA, Some("r")));
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512, Algorithm::EdDsa] {
        assert_eq!(public(algorithm).verifying().algorithms(), Algorithms::only(algorithm));
    }
    assert_eq!(Key::secret(&[1; 64], None, None).unwrap().algorithms(), Algorithms::SYMMETRIC);
}

#[test]
fn with_an_algorithm_a_key_is_for_nothing_else_and_must_be_able() {
    let pem = mint::rsa_public_pem();
    let pinned = Key::from_pem(&pem, None, Some(Algorithm::Ps256)).unwrap();
    assert_eq!(pinned.algorithms(), Algorithms::only(Algorithm::Ps256));
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Hs256] {
        let error = Key::from_pem(&pem, None, Some(algorithm)).unwrap_err();
        assert_eq!(error, KeyError::AlgorithmOfOtherKey(algorithm));
    }
}

#[test]
fn a_secret_is_as_long_as_the_hash_of_its_algorithm() {
    for (algorithm, bytes) in [(Algorithm::Hs256, 32), (Algorithm::Hs384, 48), (Algorithm::Hs512, 64)] {
        assert!(Key::secret(&vec![1; bytes], None, Some(algorithm)).is_ok());
        assert!(Key::secret(&vec![1; bytes - 1], None, Some(algorithm)).is_err());
    }
    assert_eq!(Key::secret(&[1; 31], None, None).unwrap_err(), KeyError::Secret(31));
    assert_eq!(Key::secret(b"", None, None).unwrap_err(), KeyError::Secret(0));
    let both: Algorithms = [Algorithm::Hs256, Algorithm::Hs384].into_iter().collect();
    assert_eq!(Key::secret(&[1; 48], None, None).unwrap().algorithms(), both);
    assert!(Key::secret(&[1; 64], None, Some(Algorithm::Rs256)).is_err());
}

fn rsa(n: BigNum, e: BigNum) -> Result<Key, KeyError> {
    // BoringSSL refuses some of these by itself, which is as well.
    Key::rsa(&Rsa::from_public_components(n, e)?, None, None)
}

/// An odd number of so many bits; that it is no product of primes is not looked at.
fn modulus(bits: usize) -> BigNum {
    let mut bytes = vec![0xff; bits.div_ceil(8)];
    bytes[0] >>= (8 - bits % 8) % 8;
    BigNum::from_slice(&bytes).unwrap()
}

#[test]
fn refuses_rsa_keys_that_are_weak_slow_or_none() {
    let exponent = |e: u32| BigNum::from_u32(e).unwrap();
    assert!(rsa(modulus(2048), exponent(65537)).is_ok());
    assert!(rsa(modulus(8192), exponent(3)).is_ok());
    for bits in [1024, 2047, 8193, 16384] {
        assert_eq!(
            rsa(modulus(bits), exponent(65537)).unwrap_err(),
            KeyError::Modulus(u32::try_from(bits).unwrap())
        );
    }
    for e in [0, 1, 2, 4, 65536] {
        assert!(rsa(modulus(2048), exponent(e)).is_err(), "{e}");
    }
    let long = BigNum::from_slice(&[1, 0, 0, 0, 1]).unwrap();
    assert_eq!(rsa(modulus(2048), long).unwrap_err(), KeyError::Exponent);
    let mut even = modulus(2048);
    even.clear_bit(0).unwrap();
    assert_eq!(rsa(even, exponent(65537)).unwrap_err(), KeyError::Exponent);
}

#[test]
fn refuses_curves_that_tokens_are_not_signed_on() {
    let group = EcGroup::from_curve_name(Nid::SECP224R1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let public = PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap();
    assert!(matches!(Key::public(&public, None, None), Err(KeyError::Curve(_))));
}

#[test]
fn reads_public_keys_and_certificates_from_pem_and_no_private_ones() {
    let rsa = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let id = Key::from_pem(&rsa.public_key_to_pem().unwrap(), None, None).unwrap().thumbprint();
    let pkcs1 = rsa.rsa().unwrap().public_key_to_pem_pkcs1().unwrap();
    assert_eq!(Key::from_pem(&pkcs1, None, None).unwrap().thumbprint(), id);

    let mut builder = X509::builder().unwrap();
    builder.set_pubkey(&rsa).unwrap();
    builder.set_not_before(&boring::asn1::Asn1Time::from_unix(0).unwrap()).unwrap();
    builder.set_not_after(&boring::asn1::Asn1Time::from_unix(1).unwrap()).unwrap();
    builder.sign(&rsa, boring::hash::MessageDigest::sha256()).unwrap();
    let certificate = builder.build().to_pem().unwrap();
    assert_eq!(Key::from_pem(&certificate, None, None).unwrap().thumbprint(), id);

    for pem in [rsa.private_key_to_pem_pkcs8().unwrap(), b"".to_vec(), b"MIIB".to_vec()] {
        assert_eq!(Key::from_pem(&pem, None, None).unwrap_err(), KeyError::Pem);
    }
    let broken = b"-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n";
    assert_eq!(Key::from_pem(broken, None, None).unwrap_err(), KeyError::Empty);
}

#[test]
fn nothing_prints_a_secret() {
    let key = Key::secret(&[0x41; 32], Some("s"), None).unwrap();
    assert_eq!(format!("{key:?}"), r#"oct { id: Some("s"), .. }"#);
}
