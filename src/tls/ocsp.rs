//! OCSP responses (RFC 6960) for stapling: read far enough to know that one is good, is about the certificate it is
//! stapled to, and until when. Its signature is the client's to check.

use boring::x509::X509Ref;

use super::der::{self, Malformed, Reader};

/// id-pkix-ocsp-basic, 1.3.6.1.5.5.7.48.1.1 (RFC 6960 section 4.2.1).
const BASIC: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];

/// `CertStatus` good: `[0] IMPLICIT NULL`.
const GOOD: u8 = 0x80;

/// A response that may be stapled.
#[derive(Debug)]
pub(super) struct Staple {
    response: Vec<u8>,
    /// `nextUpdate`, in seconds since 1970.
    until: Option<i64>,
}

/// Why a file is not a response that may be stapled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OcspError {
    #[error("not an OCSP response in DER")]
    Malformed,
    #[error("the OCSP responder failed, with status {0}")]
    Unsuccessful(u8),
    #[error("the OCSP response is about another certificate")]
    OtherCertificate,
    #[error("the OCSP response does not call the certificate good")]
    NotGood,
}

impl From<Malformed> for OcspError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl Staple {
    /// Reads a response about `certificate`.
    pub(super) fn parse(response: Vec<u8>, certificate: Option<&X509Ref>) -> Result<Self, OcspError> {
        let serial = certificate.and_then(|certificate| certificate.serial_number().to_bn().ok());
        let serial = serial.ok_or(OcspError::OtherCertificate)?.to_vec();
        let until = read(&response, &serial)?;
        Ok(Self { response, until })
    }

    /// The response, unless it is out of date at `now`: a stale staple fails clients that no staple would not.
    pub(super) fn fresh(&self, now: i64) -> Option<&[u8]> {
        self.until.is_none_or(|until| now < until).then_some(&self.response)
    }
}

/// When the good answer about `serial` ends, if it says so.
fn read(response: &[u8], serial: &[u8]) -> Result<Option<i64>, OcspError> {
    let mut response = Reader::new(Reader::new(response).expect(der::SEQUENCE)?);
    match response.expect(der::ENUMERATED)? {
        [0] => {}
        [status] => return Err(OcspError::Unsuccessful(*status)),
        _ => return Err(OcspError::Malformed),
    }
    let mut bytes = Reader::new(Reader::new(response.expect(der::context(0))?).expect(der::SEQUENCE)?);
    if bytes.expect(der::OBJECT_IDENTIFIER)? != BASIC {
        return Err(OcspError::Malformed);
    }
    let mut basic = Reader::new(Reader::new(bytes.expect(der::OCTET_STRING)?).expect(der::SEQUENCE)?);
    let mut data = Reader::new(basic.expect(der::SEQUENCE)?);
    data.optional(der::context(0))?; // version
    data.any()?; // responderID
    data.optional_time()?.ok_or(Malformed)?; // producedAt
    let mut answers = Reader::new(data.expect(der::SEQUENCE)?);
    while !answers.at_end() {
        let mut answer = Reader::new(answers.expect(der::SEQUENCE)?);
        if answers_about(answer.expect(der::SEQUENCE)?, serial)? {
            return good_until(&mut answer);
        }
    }
    Err(OcspError::OtherCertificate)
}

fn answers_about(id: &[u8], serial: &[u8]) -> Result<bool, Malformed> {
    let mut id = Reader::new(id);
    id.expect(der::SEQUENCE)?; // hash algorithm
    id.expect(der::OCTET_STRING)?; // issuer's name
    id.expect(der::OCTET_STRING)?; // issuer's key
    Ok(der::magnitude(id.expect(der::INTEGER)?) == serial)
}

fn good_until(answer: &mut Reader<'_>) -> Result<Option<i64>, OcspError> {
    if answer.any()?.tag != GOOD {
        return Err(OcspError::NotGood);
    }
    answer.optional_time()?.ok_or(Malformed)?; // thisUpdate
    match answer.optional(der::context(0))? {
        Some(next_update) => Ok(Some(Reader::new(next_update).optional_time()?.ok_or(Malformed)?)),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests;
