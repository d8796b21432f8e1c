//! A certificate made at start, for trials: ECDSA P-256, new on every start, trusted by nobody.

use std::net::IpAddr;
use std::path::PathBuf;

use boring::asn1::{Asn1Integer, Asn1Time};
use boring::bn::{BigNum, MsbOption};
use boring::ec::{EcGroup, EcKey};
use boring::error::ErrorStack;
use boring::hash::MessageDigest;
use boring::nid::Nid;
use boring::pkey::{PKey, Private};
use boring::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName};
use boring::x509::{X509, X509Name};

use super::certificate::{Certificate, Unfit};

/// What Mozilla recommends; whoever checks how long certificates last is content with it.
const VALID_DAYS: u32 = 90;

/// X.509 version 3, as encoded.
const VERSION_3: i32 = 2;

/// A certificate for these names and addresses.
///
/// # Errors
/// When BoringSSL cannot make one, e.g. because a name is too long.
pub(super) fn make(names: &[String]) -> Result<Certificate, ErrorStack> {
    let key = PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?)?)?;
    let certificate = sign(names, &key)?;
    Certificate::new(PathBuf::from("self-signed"), vec![certificate], key).map_err(|unfit| match unfit {
        Unfit::Empty | Unfit::Key(_) | Unfit::Mismatch | Unfit::Period => ErrorStack::get(),
    })
}

fn sign(names: &[String], key: &PKey<Private>) -> Result<X509, ErrorStack> {
    let mut subject = X509Name::builder()?;
    subject.append_entry_by_nid(Nid::COMMONNAME, "Edgeward trial certificate")?;
    let subject = subject.build();
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    let mut alternatives = SubjectAlternativeName::new();
    for name in names {
        match name.parse::<IpAddr>() {
            Ok(_) => alternatives.ip(name),
            Err(_) => alternatives.dns(name),
        };
    }

    let mut builder = X509::builder()?;
    builder.set_version(VERSION_3)?;
    builder.set_serial_number(&*Asn1Integer::from_bn(&serial)?)?;
    builder.set_subject_name(&subject)?;
    builder.set_issuer_name(&subject)?;
    builder.set_not_before(&*Asn1Time::days_from_now(0)?)?;
    builder.set_not_after(&*Asn1Time::days_from_now(VALID_DAYS)?)?;
    builder.set_pubkey(key)?;
    let alternatives = alternatives.build(&builder.x509v3_context(None, None))?;
    builder.append_extension(&*BasicConstraints::new().critical().build()?)?;
    builder.append_extension(&*KeyUsage::new().critical().digital_signature().build()?)?;
    builder.append_extension(&*ExtendedKeyUsage::new().server_auth().build()?)?;
    builder.append_extension(&alternatives)?;
    builder.sign(key, MessageDigest::sha256())?;
    Ok(builder.build())
}
