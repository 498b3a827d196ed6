//! One connection as the central sees it: what came and is not whole yet, what goes out, and what it may do next.

use std::net::IpAddr;
use std::time::Instant;

use super::limits::Limits;
use crate::buffer::Buffer;
use crate::planted::{Fault, planted};
use crate::protocol::{ErrorCode, FIRST_BYTE, MAX_HELLO_BYTES, Message, Scanner};

/// What a connection has turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has not said a byte.
    Silent,
    /// It began with another byte than a message does: one line comes back.
    Echo,
    /// It speaks for an agency, or will.
    Lottery,
    /// Nothing that it says matters any more; it closes once its replies are out.
    Closing,
}

#[derive(Debug)]
pub(super) struct Session {
    pub peer: IpAddr,
    /// How many connections were accepted before it.
    pub age: u64,
    pub phase: Phase,
    /// The agency that it speaks for.
    pub agency: Option<u32>,
    /// Whether it said Hello, and so knows how many of its bets are stored.
    pub greeted: bool,
    /// Why a batch of a session that said Hello was refused, until it says Hello again.
    pub refused: Option<ErrorCode>,
    /// Whether it waits for the draw.
    pub parked: bool,
    /// Whether its peer has ended its side.
    pub ended: bool,
    /// Whether the rest of this turn's answers to it are void: something before them could not be stored, or not be sent.
    pub void: bool,
    /// What came and is not whole yet. Empty, and then unallocated, most of the time.
    pub input: Vec<u8>,
    /// What `Central` has counted of it: see [`Session::anonymous_bytes`].
    pub counted_bytes: usize,
    pub scanner: Scanner,
    /// Whether `input` may hold whole messages that wait for the peer to read its replies.
    pub held: bool,
    output: Buffer,
    /// Bytes at the front of `output` that are sent.
    sent: usize,
    /// Bytes of the replies that this turn will add to `output`, and how many replies those are.
    promised: usize,
    answers: usize,
    /// The rest of a list of winners that is longer than what may be unsent at once.
    winners_left: Option<WinnersLeft>,
    /// Whether it was told its winners before.
    pub informed: bool,
    connected_at: Instant,
    /// When the message in `input` began.
    pub began_at: Option<Instant>,
    /// Since when the peer has left replies unread, and how many bytes it has taken since.
    unread_since: Option<Instant>,
    read: usize,
}

/// A part of an agency's winners that is yet to be said.
#[derive(Debug)]
struct WinnersLeft {
    agency: u32,
    /// The first of them.
    from: usize,
}

impl Session {
    pub fn new(peer: IpAddr, age: u64, limits: &Limits, now: Instant) -> Session {
        Session {
            peer,
            age,
            phase: Phase::Silent,
            agency: None,
            greeted: false,
            refused: None,
            parked: false,
            ended: false,
            void: false,
            input: Vec::new(),
            counted_bytes: 0,
            scanner: Scanner::new(limits.protocol),
            held: false,
            output: Buffer::new(),
            sent: 0,
            promised: 0,
            answers: 0,
            winners_left: None,
            informed: false,
            connected_at: now,
            began_at: None,
            unread_since: None,
            read: 0,
        }
    }

    /// Learns from the first byte what kind of connection this is.
    pub fn recognise(&mut self, first_byte: u8) {
        if self.phase == Phase::Silent {
            self.phase = if first_byte == FIRST_BYTE { Phase::Lottery } else { Phase::Echo };
        }
    }

    /// Nothing more of its input matters, and it does not wait for the draw.
    pub fn close(&mut self) {
        self.phase = Phase::Closing;
        self.parked = false;
        self.held = false;
        self.input = Vec::new();
        self.began_at = None;
    }

    pub fn unsent(&self) -> &[u8] {
        &self.output[self.sent..]
    }

    /// The end of the output, to append a reply to.
    pub fn output(&mut self) -> &mut Buffer {
        &mut self.output
    }

    /// Takes note of a reply of `bytes` that the end of the turn will append.
    pub fn promise(&mut self, bytes: usize) {
        self.promised += bytes;
        self.answers += 1;
    }

    /// The turn's replies are in the output.
    pub fn keep_promises(&mut self) {
        (self.promised, self.answers) = (0, 0);
        self.void = false;
    }

    /// Whether its peer has so many replies to read that nothing more is done for it.
    pub fn is_full(&self, limits: &Limits) -> bool {
        self.unsent().len() + self.promised >= limits.unsent_bytes
            || self.answers >= limits.turn_answers
            || self.winners_left.is_some()
    }

    /// Appends an InformWinners to the output, or as much of it as may be unsent: [`Session::refill`] appends the rest. However
    /// many connections ask, and however many winners there are, each holds a bounded part of the list.
    pub fn inform_winners(&mut self, agency: u32, winners: &[u32], limits: &Limits) {
        Message::encode_winners_head(winners.len(), &mut self.output);
        self.winners_left = Some(WinnersLeft { agency, from: 0 });
        self.refill(winners, limits);
    }

    /// Whose winners it has been told a part of.
    pub fn awaits_winners_of(&self) -> Option<u32> {
        self.winners_left.as_ref().map(|left| left.agency)
    }

    /// Appends the next of `winners`, those that [`Session::awaits_winners_of`] asks for.
    pub fn refill(&mut self, winners: &[u32], limits: &Limits) {
        let Some(left) = &mut self.winners_left else { return };
        let to = winners.len().min(left.from + limits.unsent_bytes / 4);
        Message::encode_documents(&winners[left.from..to], &mut self.output);
        left.from = to;
        if to == winners.len() {
            self.winners_left = None;
        }
    }

    /// The peer has taken `bytes` more of the output; if any is left, it has been left unread since `now` at the latest. A peer
    /// that takes as much as may be unsent within its time is reading, however much there is to read.
    pub fn take_sent(&mut self, bytes: usize, limits: &Limits, now: Instant) {
        self.sent += bytes;
        self.read += bytes;
        if self.sent == self.output.len() {
            self.clear_output();
        }
        if self.output.is_empty() && self.winners_left.is_none() {
            self.unread_since = None;
        } else if self.unread_since.is_none() || self.read >= limits.unsent_bytes {
            (self.unread_since, self.read) = (Some(now), 0);
        }
    }

    /// Forgets the output, and what the rest of the turn would add to it: behind a reply that was cut off, no other can be
    /// understood.
    pub fn abandon_output(&mut self) {
        self.drop_output();
        self.void = !planted(Fault::ReplyBehindCutReply);
    }

    fn drop_output(&mut self) {
        self.clear_output();
        self.unread_since = None;
        self.winners_left = None;
    }

    /// Forgets the output. What a burst allocated for it goes with it.
    fn clear_output(&mut self) {
        self.sent = 0;
        self.output.clear();
        self.output.shrink_to(KEPT_OUTPUT_BYTES);
    }

    /// Bytes that are allocated for what came and is not whole yet, if it does not speak for an agency. As little as a Hello in
    /// pieces is not counted, so that whoever has no room can still say whose it is.
    pub fn anonymous_bytes(&self) -> usize {
        let bytes = self.input.capacity();
        if self.agency.is_none() && bytes > UNCOUNTED_INPUT_BYTES { bytes } else { 0 }
    }

    /// Bytes that are allocated for what came and what goes out.
    pub fn buffered_bytes(&self) -> usize {
        self.input.capacity() + self.output.capacity()
    }

    /// When it is to be closed if nothing changes.
    pub fn deadline(&self, limits: &Limits) -> Option<Instant> {
        let is_known = self.agency.is_some() || self.phase == Phase::Closing;
        let silence = (!is_known).then(|| self.connected_at + limits.silence);
        let message = self.began_at.map(|began_at| began_at + limits.message);
        let unread = self.unread_since.map(|since| since + limits.unread);
        [silence, message, unread].into_iter().flatten().min()
    }

    /// Which deadline has passed, for the log.
    pub fn overdue(&self, limits: &Limits, now: Instant) -> &'static str {
        let passed = |since: Option<Instant>, limit| since.is_some_and(|since| since + limit <= now);
        if passed(self.unread_since, limits.unread) {
            "its replies stayed unread for longer than UNREAD_TIMEOUT"
        } else if passed(self.began_at, limits.message) {
            "a message took longer than MESSAGE_TIMEOUT"
        } else {
            "it did not say whose it is within SILENCE_TIMEOUT"
        }
    }
}

/// What is allocated for a Hello that comes in pieces, at most: a `Vec` that grows doubles.
const UNCOUNTED_INPUT_BYTES: usize = 2 * MAX_HELLO_BYTES;
/// What an idle session keeps for its next replies: a dozen of those to batches.
const KEPT_OUTPUT_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    /// Whether a peer that takes `bytes` of a long list of winners just before each deadline gets to its end in time.
    fn is_patience_enough_for(bytes: usize) -> bool {
        let limits = Limits { unsent_bytes: 64, ..Limits::default() };
        let (winners, step) = (vec![7574; 1000], limits.unread / 2);
        let mut now = Instant::now();
        let mut session = Session::new(Ipv4Addr::LOCALHOST.into(), 0, &limits, now);
        (session.phase, session.agency) = (Phase::Lottery, Some(1));
        session.inform_winners(1, &winners, &limits);
        let mut told = 0;
        session.take_sent(0, &limits, now);
        while !session.unsent().is_empty() {
            now += step;
            if session.deadline(&limits).is_some_and(|deadline| deadline <= now - Duration::from_nanos(1)) {
                return false;
            }
            let taken = session.unsent().len().min(bytes);
            told += taken;
            session.take_sent(taken, &limits, now);
            if session.unsent().is_empty() {
                session.refill(&winners, &limits);
            }
        }
        assert_eq!(told, Message::inform_winners_bytes(winners.len()));
        true
    }

    #[test]
    fn a_peer_that_reads_is_waited_for_however_long_its_list_is_and_one_that_drips_is_not() {
        assert!(is_patience_enough_for(64));
        assert!(is_patience_enough_for(40));
        assert!(!is_patience_enough_for(1));
    }
}
