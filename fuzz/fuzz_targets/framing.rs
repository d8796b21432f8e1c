//! How bytes are cut makes no difference to what a body is, and what is let in ends where the data says.
#![no_main]

use edgeward::http::framing::{ChunkLimits, Framing, FramingFault};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((cut, input)) = data.split_first() else { return };
    let whole = in_pieces(input, usize::MAX);
    assert_eq!(in_pieces(input, 1), whole);
    assert_eq!(in_pieces(input, usize::from(*cut).max(1)), whole);
    if let Ok((taken, true)) = whole {
        assert!(input[..taken].ends_with(b"\r\n\r\n"));
        let again = [&input[..taken], b"GET / HTTP/1.1\r\n"].concat();
        assert_eq!(in_pieces(&again, usize::MAX), whole, "what follows is not looked at");
    }
});

/// How many bytes belong to the body, and whether it is done.
fn in_pieces(input: &[u8], length: usize) -> Result<(usize, bool), FramingFault> {
    let mut framing = Framing::chunked(ChunkLimits::default());
    let mut taken = 0;
    for piece in input.chunks(length) {
        let count = framing.feed(piece)?;
        taken += count;
        if count < piece.len() {
            assert!(framing.is_done());
            break;
        }
    }
    Ok((taken, framing.is_done()))
}
