//! Media types (RFC 9110 section 8.3.1) that are dealt with otherwise than others. Case never counts.

/// Events that are sent as they happen, as long as both sides like (HTML standard, "Server-sent events").
pub const EVENT_STREAM: &str = "text/event-stream";
const GRPC: &[u8] = b"application/grpc";

/// The value of a `Content-Type` header without its parameters.
#[must_use]
pub fn essence(content_type: &str) -> &str {
    content_type.split_once(';').map_or(content_type, |(essence, _)| essence).trim_ascii()
}

/// Whether the value of a `Content-Type` header says gRPC or something of its kin, such as gRPC-Web: nothing that can be read
/// or shortened on its way. For those who leave it alone.
#[must_use]
pub fn is_of_grpc(content_type: &[u8]) -> bool {
    after_grpc(content_type).is_some()
}

/// Whether it says gRPC itself, and nothing that only begins alike: what lets a body pass unseen has to be sure.
#[must_use]
pub fn is_grpc(content_type: &[u8]) -> bool {
    after_grpc(content_type).is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

fn after_grpc(content_type: &[u8]) -> Option<&[u8]> {
    let (start, rest) = content_type.split_at_checked(GRPC.len())?;
    start.eq_ignore_ascii_case(GRPC).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_grpc_from_its_kin() {
        for (content_type, is, is_kin) in [
            ("application/grpc", true, true),
            ("Application/gRPC+proto", true, true),
            ("application/grpc;charset=a", true, true),
            ("application/grpc-web+proto", false, true),
            ("application/grpcs", false, true),
            ("application/grp", false, false),
            ("text/grpc", false, false),
        ] {
            let found = (is_grpc(content_type.as_bytes()), is_of_grpc(content_type.as_bytes()));
            assert_eq!(found, (is, is_kin), "{content_type}");
        }
    }

    #[test]
    fn the_essence_is_what_is_before_parameters() {
        assert_eq!(essence("text/html ; charset=utf-8"), "text/html");
        assert_eq!(essence(" text/html"), "text/html");
    }
}
