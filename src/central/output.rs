//! The output side of a session: replies on their way to the peer, and replies promised for the end of the turn.

use std::time::Instant;

use super::Limits;
use crate::buffer::Buffer;
use crate::planted::{Fault, planted};
use crate::protocol::Message;

/// Replies that the peer has not taken yet.
#[derive(Debug)]
pub(super) struct Output {
    bytes: Buffer,
    /// Bytes at the front of `bytes` that are sent.
    sent: usize,
    promised: Promised,
    /// The rest of an InformWinners that is longer than what may be unsent at once.
    winners: Option<WinnersLeft>,
    /// Progress of a peer that leaves replies unread.
    unread: Option<Unread>,
    /// True once a reply was cut off or denies what followed it: nothing behind it could be understood.
    is_cut: bool,
}

/// Replies that the end of the turn will add.
#[derive(Clone, Copy, Debug, Default)]
struct Promised {
    bytes: usize,
    replies: usize,
}

#[derive(Debug)]
struct WinnersLeft {
    agency: u32,
    /// The position of the next document.
    next: usize,
}

#[derive(Clone, Copy, Debug)]
struct Unread {
    since: Instant,
    /// Bytes that the peer has taken since.
    taken: usize,
}

/// Bytes that an idle session keeps allocated for its next replies: a dozen of those to batches.
const KEPT_BYTES: usize = 64;

impl Output {
    pub const fn new() -> Output {
        Output {
            bytes: Buffer::new(),
            sent: 0,
            promised: Promised { bytes: 0, replies: 0 },
            winners: None,
            unread: None,
            is_cut: false,
        }
    }

    /// Bytes to send.
    pub fn unsent(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// True if everything is sent.
    pub fn is_flushed(&self) -> bool {
        self.unsent().is_empty() && self.winners.is_none()
    }

    /// True if everything is sent and nothing more will be added.
    pub fn is_done(&self) -> bool {
        self.is_flushed() && (self.promised.replies == 0 || self.is_cut)
    }

    /// Counts a reply of `bytes` that the end of the turn will append.
    pub fn promise(&mut self, bytes: usize) {
        self.promised.bytes += bytes;
        self.promised.replies += 1;
    }

    /// Forgets the promises of the turn: they are kept, or void.
    pub fn end_turn(&mut self) {
        self.promised = Promised::default();
    }

    /// The end of the replies, to append one. `None` if nothing can follow what is there.
    pub fn tail(&mut self) -> Option<&mut Buffer> {
        (!self.is_cut && self.winners.is_none()).then_some(&mut self.bytes)
    }

    /// Lets nothing follow the last reply.
    pub fn cut(&mut self) {
        self.is_cut = true;
    }

    /// True if the peer has so many replies to read that no further request of it is applied.
    pub fn is_full(&self, limits: &Limits) -> bool {
        self.unsent().len() + self.promised.bytes >= limits.unsent_bytes
            || self.promised.replies >= limits.turn_answers
            || self.winners.is_some()
    }

    /// Appends an InformWinners, or as much of it as may be unsent at once: [`Output::refill`] appends the rest. Each
    /// session holds a bounded part of the list, however many ask and however long it is.
    pub fn inform_winners(&mut self, agency: u32, winners: &[u32], limits: &Limits) {
        Message::encode_winners_head(winners.len(), &mut self.bytes);
        self.winners = Some(WinnersLeft { agency, next: 0 });
        self.refill(winners, limits);
    }

    /// The agency whose winners are not all appended yet.
    pub fn wants_winners_of(&self) -> Option<u32> {
        self.winners.as_ref().map(|left| left.agency)
    }

    /// Appends more of `winners`, the list of [`Output::wants_winners_of`].
    pub fn refill(&mut self, winners: &[u32], limits: &Limits) {
        let Some(left) = &mut self.winners else { return };
        let end = winners.len().min(left.next + limits.unsent_bytes / 4);
        Message::encode_documents(&winners[left.next..end], &mut self.bytes);
        left.next = end;
        if end == winners.len() {
            self.winners = None;
        }
    }

    /// Notes that the peer has taken `bytes` more. A peer that takes as much as may be unsent within its time is reading,
    /// however much there is to read.
    pub fn take_sent(&mut self, bytes: usize, limits: &Limits, now: Instant) {
        self.sent += bytes;
        if self.sent == self.bytes.len() {
            self.clear_bytes();
        }
        self.unread = match self.unread {
            _ if self.is_flushed() => None,
            Some(unread) if unread.taken + bytes < limits.unsent_bytes => {
                Some(Unread { taken: unread.taken + bytes, ..unread })
            }
            _ => Some(Unread { since: now, taken: 0 }),
        };
    }

    /// The moment since which the peer has not taken enough.
    pub fn unread_since(&self) -> Option<Instant> {
        self.unread.map(|unread| unread.since)
    }

    /// Drops everything, and what the turn would still add.
    pub fn abandon(&mut self) {
        self.clear_bytes();
        self.unread = None;
        self.winners = None;
        self.is_cut = !planted(Fault::ReplyBehindCutReply);
    }

    /// Bytes allocated.
    pub fn allocated(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives back what a burst allocated, too.
    fn clear_bytes(&mut self) {
        self.sent = 0;
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// True if a peer that takes `bytes` of a long list twice within each deadline gets to its end in time.
    fn is_read_in_time(bytes: usize) -> bool {
        let limits = Limits { unsent_bytes: 64, ..Limits::default() };
        let (winners, step) = (vec![7574; 1000], limits.unread / 2);
        let mut now = Instant::now();
        let mut output = Output::new();
        output.inform_winners(1, &winners, &limits);
        let mut told = 0;
        output.take_sent(0, &limits, now);
        while !output.is_flushed() {
            now += step;
            if output.unread_since().is_some_and(|since| since + limits.unread < now) {
                return false;
            }
            let taken = output.unsent().len().min(bytes);
            told += taken;
            output.take_sent(taken, &limits, now);
            if output.unsent().is_empty() {
                output.refill(&winners, &limits);
            }
        }
        assert_eq!(told, Message::inform_winners_bytes(winners.len()));
        true
    }

    #[test]
    fn no_request_is_applied_while_a_list_of_winners_is_not_all_appended() {
        let limits = Limits { unsent_bytes: 64, ..Limits::default() };
        let mut output = Output::new();
        output.inform_winners(1, &[7574; 20], &limits);
        output.take_sent(output.unsent().len(), &limits, Instant::now());
        assert!(output.unsent().is_empty() && output.is_full(&limits) && output.tail().is_none());
        output.refill(&[7574; 20], &limits);
        assert!(!output.is_full(&limits), "the rest fits");
    }

    #[test]
    fn a_peer_that_reads_a_long_list_is_waited_for_and_one_that_drips_is_not() {
        assert!(is_read_in_time(64));
        assert!(is_read_in_time(40));
        assert!(!is_read_in_time(1));
    }
}
