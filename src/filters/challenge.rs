//! Challenges of `WWW-Authenticate` (RFC 9110 §11.6.1).

/// `realm="…"` as a quoted string (RFC 9110 §5.6.4).
///
/// # Errors
/// When it is empty or has other characters than printable ASCII.
pub fn realm(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err("expected printable ASCII characters".to_owned());
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    Ok(format!("realm=\"{escaped}\""))
}
