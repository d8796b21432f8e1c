use super::{Algorithm, Check, Refusal, content_digest};

const BODY: &[u8] = b"{\"hello\": \"world\"}";
/// RFC 9421 §B.2 and RFC 9530 §B.1 have the digests of this body and the next.
const SHA512: &str =
    "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";
const SHA256: &str = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:";
const NEWLINE_SHA256: &str = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";

fn check(lines: &[&str], pieces: &[&[u8]]) -> Result<(), Refusal> {
    let mut check = Check::begin(lines.iter().map(|line| line.as_bytes()))?;
    for piece in pieces {
        check.update(piece);
    }
    check.finish()
}

#[test]
fn accepts_the_body_that_was_meant_however_it_is_cut() {
    for line in [SHA256, SHA512] {
        assert_eq!(check(&[line], &[BODY]), Ok(()));
        for cut in 0..=BODY.len() {
            let (first, second) = BODY.split_at(cut);
            assert_eq!(check(&[line], &[first, b"", second]), Ok(()));
        }
    }
    assert_eq!(check(&[NEWLINE_SHA256], &[BODY, b"\n"]), Ok(()));
}

#[test]
fn refuses_any_other_body() {
    for line in [SHA256, SHA512] {
        for other in [&b""[..], b"{\"hello\": \"world\"} ", b"{\"hello\": \"World\"}"] {
            assert_eq!(check(&[line], &[other]), Err(Refusal::Mismatch));
        }
    }
}

#[test]
fn checks_every_digest_that_counts() {
    assert_eq!(check(&[SHA256, SHA512], &[BODY]), Ok(()));
    assert_eq!(check(&[&format!("{SHA256}, {SHA512}")], &[BODY]), Ok(()));
    assert_eq!(check(&[NEWLINE_SHA256, SHA512], &[BODY]), Err(Refusal::Mismatch));
    assert_eq!(check(&[NEWLINE_SHA256, SHA512], &[BODY, b"\n"]), Err(Refusal::Mismatch));
}

#[test]
fn passes_over_algorithms_it_does_not_know_and_needs_one_that_it_does() {
    let old = "md5=:AAAAAAAAAAAAAAAAAAAAAA==:, sha=:AAAAAAAAAAAAAAAAAAAAAAAAAAA=:, unixsum=30637, crc32c=:AAAAAA==:, new=?0";
    assert_eq!(check(&[old, SHA256], &[BODY]), Ok(()));
    assert_eq!(check(&[old], &[BODY]), Err(Refusal::Unsupported));
    assert_eq!(check(&[""], &[BODY]), Err(Refusal::Unsupported));
    assert_eq!(check(&[], &[BODY]), Err(Refusal::Missing));
}

#[test]
fn refuses_a_digest_it_cannot_read() {
    let long = format!("{SHA256}, {}", "a=1, ".repeat(1000));
    for line in [
        "sha-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=",
        "sha-256=\"X48E\"",
        "sha-256=::",
        "sha-256",
        "sha-256=(:AAAA:)",
        "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBA==:",
        "SHA-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:",
        "sha-512=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:",
        &long,
    ] {
        assert_eq!(check(&[line], &[BODY]), Err(Refusal::Malformed), "{line}");
    }
}

#[test]
fn writes_what_it_accepts() {
    assert_eq!(content_digest(Algorithm::Sha256, BODY), SHA256);
    assert_eq!(content_digest(Algorithm::Sha512, BODY), SHA512);
}
