//! Any bytes decode to the same messages however they are cut, and those encode to the same bytes.

use loteria::buffer::Buffer;
use loteria::protocol::{Malformed, Message, MessageLimits, Scanner};

use super::script::Script;

/// The limits of [`decoder`]: small, so that a fuzzer's short inputs go beyond them.
const LIMITS: MessageLimits = MessageLimits { message_bytes: 512, batch_bets: 8 };

/// The first bytes say where to cut, the rest is the stream.
pub fn decoder(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let pieces: Vec<usize> = (0..script.below(8)).map(|_| script.below(64)).collect();
    let stream = script.rest();
    let whole = scan(stream, &[]);
    let cut = scan(stream, &pieces);
    assert_eq!(whole, cut, "cut into {pieces:?}");
    whole.0.iter().for_each(|frame| check_frame(frame));
}

/// The messages of a stream that arrives in pieces of these lengths, then the rest, and the error that ends it.
fn scan<'a>(stream: &'a [u8], pieces: &[usize]) -> (Vec<&'a [u8]>, Option<Malformed>) {
    let mut scanner = Scanner::new(LIMITS);
    let mut frames = Vec::new();
    let (mut start, mut arrived) = (0, 0);
    for piece in pieces.iter().copied().chain([stream.len()]) {
        arrived = stream.len().min(arrived + piece);
        loop {
            match scanner.scan(&stream[start..arrived]) {
                Ok(None) => break,
                Ok(Some(length)) => {
                    assert!(0 < length && length <= LIMITS.message_bytes, "a message of {length} bytes");
                    frames.push(&stream[start..start + length]);
                    start += length;
                }
                Err(malformed) => return (frames, Some(malformed)),
            }
        }
        assert!(arrived - start <= LIMITS.message_bytes, "bytes beyond the limit are kept");
    }
    (frames, None)
}

fn check_frame(frame: &[u8]) {
    let Ok(message) = Message::decode(frame) else { return };
    if let Message::RegisterBets(bets) = message {
        assert!(bets.remaining() <= LIMITS.batch_bets);
        assert_eq!(bets.count(), bets.remaining() as usize);
    }
    let mut encoded = Buffer::new();
    message.encode(&mut encoded);
    assert_eq!(*encoded, *frame, "{message:?}");
}
