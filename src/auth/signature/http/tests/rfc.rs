//! The signatures that RFC 9421 prints.

use super::super::{Refusal, Signer};
use super::{CREATED, Request, parsed, requiring, rfc_request, signing_key};

const B21: (&str, &str) = (
    "sig-b21=();created=1618884473;keyid=\"test-key-rsa-pss\";nonce=\"b3k2pp5k7z-50gnwp.yemd\"",
    "sig-b21=:d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG\
     52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKW\
     mAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==:",
);
const B22: (&str, &str) = (
    "sig-b22=(\"@authority\" \"content-digest\" \"@query-param\";name=\"Pet\");created=1618884473;keyid=\"test-key-rsa-pss\";tag=\"header-example\"",
    "sig-b22=:LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtA\
     mj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiK\
     Yd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==:",
);
const B23: (&str, &str) = (
    "sig-b23=(\"date\" \"@method\" \"@path\" \"@query\" \"@authority\" \"content-type\" \"content-digest\" \"content-length\");created=1618884473;keyid=\"test-key-rsa-pss\"",
    "sig-b23=:bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O\
     0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldml\
     u9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==:",
);
const B25: (&str, &str) = (
    "sig-b25=(\"date\" \"@authority\" \"content-type\");created=1618884473;keyid=\"test-shared-secret\"",
    "sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:",
);
const B26: (&str, &str) = (
    "sig-b26=(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\");created=1618884473;keyid=\"test-key-ed25519\"",
    "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:",
);
/// §3.2.
const SIG1: (&str, &str) = (
    "sig1=(\"@method\" \"@authority\" \"@path\" \"content-digest\" \"content-length\" \"content-type\");created=1618884473;keyid=\"test-key-rsa-pss\"",
    "sig1=:HIbjHC5rS0BYaa9v4QfD4193TORw7u9edguPh0AW3dMq9WImrlFrCGUDih47vAxi4L2YRZ3XMJc1uOKk/J0ZmZ+wcta4nKIgBkKq0rM9hs3CQyxXGxHLMCy8\
     uqK488o+9jrptQ+xFPHK7a9sRL1IXNaagCNN3ZxJsYapFj+JXbmaI5rtAdSfSvzPuBCh+ARHBmWuNo1UzVVdHXrl8ePL4cccqlazIJdC4QEjrF+Sn4IxBQzTZsL9\
     y9TP5FsZYzHvDqbInkTNigBcE9cKOYNFCn4D/WM7F6TNuZO9EgtzepLWcjTymlHzK7aXq6Am6sfOrpIC49yXjj3ae6HRalVc/g==:",
);
/// §4.3.
const PROXY: (&str, &str) = (
    "proxy_sig=(\"@method\" \"@authority\" \"@path\" \"content-digest\" \"content-type\" \"content-length\" \"forwarded\");created=1618884480;keyid=\"test-key-rsa\";alg=\"rsa-v1_5-sha256\";expires=1618884540",
    "proxy_sig=:S6ZzPXSdAMOPjN/6KXfXWNO/f7V6cHm7BXYUh3YD/fRad4BCaRZxP+JH+8XY1I6+8Cy+CM5g92iHgxtRPz+MjniOaYmdkDcnL9cCpXJleXsOckpU\
     Rl49GwiyUpZ10KHgOEe11sx3G2gxI8S0jnxQB+Pu68U9vVcasqOWAEObtNKKZd8tSFu7LB5YAv0RAGhB8tmpv7sFnIm9y+7X5kXQfi8NMaZaA8i2ZHwpBdg7a6CM\
     fwnnrtflzvZdXAsD3LH2TwevU+/PBPv0B6NMNk93wUs/vfJvye+YuI87HU38lZHowtznbLVdp770I6VHR6WfgS9ddzirrswsE1w5o0LV/g==:",
);
const CLIENT_CERT: &str = ":MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxB\
    IEludGVybWVkaWF0ZSBDQTAeFw0yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8YnX\
    XfaUgmnMtOXU/IncWalRhebrXmckC8vdgJ1p5Be5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9M6NyMHAwCQYDVR0TBAIwADAfBgNVHSMEGDAWgBRm3WjL\
    a38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0RAQH/BBMwEYEPYmRjQGV4YW1wbGUuY29tMAoGCCqGSM49\
    BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB4urmiZ0NX5r5XarmPk0wmuydBVoU4hBVZ1yhk=:";
/// §B.3.
const TTRP: (&str, &str) = (
    "ttrp=(\"@path\" \"@query\" \"@method\" \"@authority\" \"client-cert\");created=1618884473;keyid=\"test-key-ecc-p256\"",
    "ttrp=:xVMHVpawaAC/0SbHrKRs9i8I3eOs5RtTMGCWXm/9nvZzoHsIg6Mce9315T6xoklyy0yzhD9ah4JHRwMLOgmizw==:",
);
/// §B.4.
const TRANSFORM: (&str, &str) = (
    "transform=(\"@method\" \"@path\" \"@authority\" \"accept\");created=1618884473;keyid=\"test-key-ed25519\"",
    "transform=:ZT1kooQsEHpZ0I1IjCqtQppOmIqlJPeo7DHR3SoMn0s5JZ1eRGS0A+vyYP9t/LXlh5QMFFQ6cpLt2m0pmj3NDA==:",
);

fn carrying(request: Request, (input, signature): (&str, &str)) -> Request {
    request.with("signature-input", input).with("signature", signature)
}

#[test]
fn accepts_every_signature_of_a_request_in_the_appendix() {
    for (signature, key_id, covered) in [
        (B21, "test-key-rsa-pss", 0),
        (B22, "test-key-rsa-pss", 3),
        (B23, "test-key-rsa-pss", 8),
        (B25, "test-shared-secret", 3),
        (B26, "test-key-ed25519", 6),
        (SIG1, "test-key-rsa-pss", 6),
    ] {
        let verified = carrying(rfc_request(), signature).verified(&requiring(&[])).unwrap();
        assert_eq!(verified.key_id.as_deref(), Some(key_id));
        assert_eq!(verified.components.len(), covered, "{}", verified.label);
        assert!(signature.0.starts_with(&verified.label));
    }
}

#[test]
fn accepts_the_signature_of_a_proxy() {
    let mut request = rfc_request().with("forwarded", "for=192.0.2.123;host=example.com;proto=https");
    request.authority = "origin.host.internal.example";
    let request = carrying(request, PROXY);
    assert!(
        request
            .verified_at(&requiring(&["@method", "@authority", "@path", "content-digest"]), CREATED + 7)
            .is_ok()
    );
}

#[test]
fn accepts_the_signature_over_a_client_certificate() {
    let mut request = carrying(rfc_request().with("client-cert", CLIENT_CERT), TTRP);
    request.authority = "service.internal.example";
    assert!(request.verified(&requiring(&["client-cert", "@method"])).is_ok());
    let other = CLIENT_CERT.replace("MIIB", "MIIC");
    assert_eq!(request.replaced("client-cert", &other).refusal(&requiring(&[])), Some(Refusal::Invalid));
}

#[test]
fn refuses_every_one_of_them_when_something_it_covers_is_changed() {
    for (signature, name) in
        [(B22, "content-digest"), (B23, "date"), (B25, "content-type"), (B26, "content-length")]
    {
        let mut request = carrying(rfc_request(), signature);
        let value = format!("{}0", request.fields[name].to_str().unwrap());
        request.fields.insert(name, value.parse().unwrap());
        assert_eq!(request.refusal(&requiring(&[])), Some(Refusal::Invalid), "{name}");
        request.fields.remove(name);
        assert_eq!(request.refusal(&requiring(&[])), Some(Refusal::AbsentComponent), "{name}");
    }
    let mut request = carrying(rfc_request(), B22);
    request.query = Some("param=Value&Pet=cat".to_owned());
    assert_eq!(request.refusal(&requiring(&[])), Some(Refusal::Invalid));
    request.query = Some("param=Other&Pet=dog".to_owned());
    assert_eq!(request.refusal(&requiring(&[])), None);
}

/// §B.4: what may happen on the way, and what may not.
#[test]
fn allows_the_transformations_that_http_allows_and_no_others() {
    let plain = || Request::new("GET", "example.org", "/demo?name1=Value1&Name2=value2");
    let original = || {
        plain()
            .with("host", "example.org")
            .with("date", "Fri, 15 Jul 2022 14:24:55 GMT")
            .with("accept", "application/json")
            .with("accept", "*/*")
    };
    let mut query_added = original().with("accept-language", "en-US,en;q=0.5");
    query_added.query = Some("name1=Value1&Name2=value2&param=added".to_owned());
    let collapsed = plain()
        .with("host", "example.org")
        .with("referer", "https://developer.example.org/demo")
        .with("accept", "application/json, */*");
    let reordered = plain()
        .with("accept", "application/json")
        .with("accept", "*/*")
        .with("date", "Fri, 15 Jul 2022 14:24:55 GMT")
        .with("host", "example.org");
    for allowed in [original(), query_added, collapsed, reordered] {
        assert_eq!(carrying(allowed, TRANSFORM).refusal(&requiring(&[])), None);
    }
    let mut method_changed = original();
    method_changed.method = "POST";
    let mut authority_changed = original();
    authority_changed.authority = "example.com";
    let swapped = plain().with("accept", "*/*").with("accept", "application/json");
    for forbidden in [method_changed, authority_changed, swapped] {
        assert_eq!(carrying(forbidden, TRANSFORM).refusal(&requiring(&[])), Some(Refusal::Invalid));
    }
}

#[test]
fn signs_as_the_rfc_does_where_signatures_are_deterministic() {
    let expected = [
        ("sig-b25", "test-shared-secret", &["date", "@authority", "content-type"][..], B25),
        (
            "sig-b26",
            "test-key-ed25519",
            &["date", "@method", "@path", "@authority", "content-type", "content-length"][..],
            B26,
        ),
    ];
    for (label, key_id, components, (input, signature)) in expected {
        let signer = Signer::new(label, signing_key(key_id), key_id, parsed(components), None, None).unwrap();
        let ours = signer.sign(&rfc_request().message(), CREATED, None).unwrap();
        assert_eq!((&*ours.input, &*ours.signature), (input, signature));
    }
}
