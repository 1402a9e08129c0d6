//! What must hold of whatever comes by a stream of SIP.

use adapter_sip::stack::frame::{Frame, Framer};
use adapter_sip::stack::wire::MAX_MESSAGE_BYTES;

/// A stream is cut alike however it arrives, and no message is above the limit. Whether all of it
/// could be cut is returned.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let whole = cut(bytes, usize::MAX);
    // Octet by octet a long one takes too long.
    let least_bytes = 1 + bytes.len() / 500;
    for chunk_bytes in [least_bytes, 3 * least_bytes, 1500] {
        assert!(cut(bytes, chunk_bytes) == whole, "in chunks of {chunk_bytes}");
    }
    let (frames, is_good) = whole;
    let length = |frame: &Frame| match frame {
        Frame::Message(message) => message.len(),
        Frame::Ping => 4,
    };
    assert!(frames.iter().map(length).sum::<usize>() <= bytes.len());
    assert!(frames.iter().all(|frame| length(frame) <= MAX_MESSAGE_BYTES));
    is_good
}

/// The frames of a stream that arrives in such chunks, and whether it could be cut to its end.
fn cut(bytes: &[u8], chunk_bytes: usize) -> (Vec<Frame>, bool) {
    let mut framer = Framer::default();
    let mut frames = Vec::new();
    for chunk in bytes.chunks(chunk_bytes) {
        framer.push(chunk);
        loop {
            match framer.poll_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(rest) => {
                    assert!(rest.0.len() <= MAX_MESSAGE_BYTES);
                    return (frames, false);
                }
            }
        }
    }
    (frames, true)
}
