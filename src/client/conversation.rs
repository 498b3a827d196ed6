//! The agency's side of the protocol: bytes out, bytes in, no socket.
//!
//! An agency sends Hello and learns how many of its bets are stored, with a checksum which tells that they are the first of
//! its file. It sends the bets after those in batches, several of which may be unanswered. Once all are stored, it closes and asks for its winners. If the connection breaks, the
//! [next one begins](Conversation::begin) with Hello again, and the answer says exactly where to go on.
//!
//! ```text
//!          Hello              batches          AllBetsSent, RequestWinners
//! Greeting ───► AwaitingWelcome ───► Sending ──(all stored)──► AwaitingWinners ───► Done
//! ```

use std::collections::VecDeque;

use thiserror::Error;

use super::source::{BetSource, SourceError};
use crate::bet::Tally;
use crate::buffer::Buffer;
use crate::config::Credential;
use crate::event;
use crate::planted::{Fault, planted};
use crate::protocol::{self, AgencyState, Batch, ErrorCode, Malformed, Message, Scanner};

/// Options of a conversation.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Number of the agency, from 1.
    pub agency: u32,
    /// Most bets in a batch.
    pub batch_max_amount: u32,
    /// Most bytes of a batch, at least [`protocol::MIN_PACKET_BYTES`] and at most [`protocol::MAX_PACKET_BYTES`].
    pub batch_max_bytes: usize,
    /// Most batches sent and not answered, at least 1.
    pub batch_window: usize,
    /// Begins with Hello. If false, the agency acknowledges every reply and sends one batch at a time, as older servers
    /// expect.
    pub handshake: bool,
    /// Credential in the Hello.
    pub credential: Credential,
}

/// Result of a conversation that reached its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// The bets are stored. They are not all the bets of the agency, so it has no winners yet.
    Stored,
    /// The documents of the agency's winners.
    Winners(Vec<u32>),
}

/// Error that ends a conversation on this connection.
#[derive(Debug, Error)]
pub enum Failure {
    /// The next bet can't be read, or is not valid.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The server refused a request.
    #[error("the server refuses{}, code {}: {code}{}", of_bet(*bet), *code as u16, remedy(*code))]
    Refused {
        /// Reason of the refusal.
        code: ErrorCode,
        /// Position of the bet that is the reason among those of the agency, from 1; `None` if the reason is not one bet.
        bet: Option<u64>,
    },
    /// The bytes received are not a message.
    #[error("the server does not speak this protocol: {0}")]
    Malformed(#[from] Malformed),
    /// The message received does not answer any request.
    #[error("the server does not speak this protocol: an answer to no request")]
    Unexpected,
    /// The server has fewer bets than it had acknowledged, or than its last Welcome counted.
    #[error(
        "the server has {stored} bets of this agency, and {known} were stored before: its files were replaced or lost; \
         restore them, or start the agency again if a new round has begun"
    )]
    CountWentBack {
        /// Number of stored bets, as the server says now.
        stored: u64,
        /// Number of stored bets that it had reported before.
        known: u64,
    },
    /// More winners than the agency has bets.
    #[error("the server tells {winners} winners of the {stored} bets of this agency: does it speak of another round?")]
    TooManyWinners {
        /// Number of winners.
        winners: usize,
        /// Number of stored bets.
        stored: u64,
    },
    /// The agency has closed, and its source holds bets that are not stored.
    #[error("the agency has closed with {stored} bets, and there are more here: no more are taken")]
    ClosedBefore {
        /// Number of stored bets.
        stored: u64,
    },
}

fn of_bet(bet: Option<u64>) -> String {
    bet.map_or_else(String::new, |bet| format!(" bet {bet} of this agency"))
}

/// The setting that is probably wrong.
fn remedy(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::NoSuchAgency => "; see CLI_ID, and NUM_AGENCIES of the server",
        ErrorCode::Credential => "; see CLI_AGENCY_CREDENTIAL",
        _ => "",
    }
}

impl Failure {
    /// True if a later connection may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Failure::Refused { code: ErrorCode::NotStored | ErrorCode::Unavailable, .. })
    }

    /// True if a newer connection of the agency took over: another process, or one that this process had given up.
    pub fn is_takeover(&self) -> bool {
        matches!(self, Failure::Refused { code: ErrorCode::TakenOver, .. })
    }
}

/// Limits of a reply, 128 MiB: if every bet that a server accepts by default won, InformWinners would take 80 MB.
const REPLY_LIMITS: protocol::MessageLimits = protocol::MessageLimits { message_bytes: 1 << 27, batch_bets: 0 };

/// Most bytes of the batches that are spoken at once. A whole window of them, 256 KiB by default, costs a process 80 more page
/// faults, and the server waits until it is encoded.
const SPOKEN_AT_ONCE: usize = 64 * 1024;

const _: () = assert!(SPOKEN_AT_ONCE >= protocol::MAX_PACKET_BYTES, "there is room for a batch");

#[derive(Debug)]
enum Stage {
    /// Hello is sent next.
    Greeting,
    /// Hello was sent.
    AwaitingWelcome,
    /// Batches are sent, and their replies received. The agency was in this state before.
    Sending(AgencyState),
    /// The agency has closed and asked for its winners.
    AwaitingWinners,
    /// The conversation is over.
    Done(Conclusion),
}

fn first_stage(manner: &Manner) -> Stage {
    if manner.handshake { Stage::Greeting } else { Stage::Sending(AgencyState::Open) }
}

/// A batch sent and not answered.
#[derive(Debug)]
struct InFlight {
    bets: u32,
    /// Document and number of its last bet, for the log line of a single bet.
    last: (u32, u32),
}

/// Conversation of one agency, over as many connections as it needs.
#[derive(Debug)]
pub struct Conversation<S> {
    manner: Manner,
    source: S,
    stage: Stage,
    scanner: Scanner,
    /// Bytes received that do not form a whole message yet.
    input: Vec<u8>,
    in_flight: VecDeque<InFlight>,
    /// Acks that older servers expect and that are not sent yet.
    acks_owed: u32,
    /// Number of bets that the server has reported as stored, over all connections.
    stored: u64,
    /// Number of whole messages received on this connection.
    replies: u64,
}

impl<S: BetSource> Conversation<S> {
    /// A conversation that sends the bets of `source`.
    pub fn new(manner: Manner, source: S) -> Conversation<S> {
        let stage = first_stage(&manner);
        Conversation {
            manner,
            source,
            stage,
            scanner: Scanner::new(REPLY_LIMITS),
            input: Vec::new(),
            in_flight: VecDeque::new(),
            acks_owed: 0,
            stored: 0,
            replies: 0,
        }
    }

    /// Starts over on a new connection. Everything unfinished on the last one is forgotten.
    pub fn begin(&mut self) {
        self.stage = first_stage(&self.manner);
        self.scanner = Scanner::new(REPLY_LIMITS);
        self.input.clear();
        if !planted(Fault::StaleInFlight) {
            self.in_flight.clear();
        }
        self.acks_owed = 0;
        self.replies = 0;
    }

    /// True if another connection can go on without sending a bet twice: with Hello always, without it only as long as
    /// no batch was sent.
    pub fn can_begin_again(&self) -> bool {
        self.manner.handshake
            || (self.stored == 0 && self.in_flight.is_empty() && matches!(self.stage, Stage::Sending(_)))
    }

    /// Number of bets known to be stored.
    pub fn stored(&self) -> u64 {
        self.stored
    }

    /// Number of whole messages received on this connection.
    pub fn replies(&self) -> u64 {
        self.replies
    }

    /// True if the winners are requested, and nothing of them has been received.
    pub fn awaits_draw(&self) -> bool {
        matches!(self.stage, Stage::AwaitingWinners) && self.input.is_empty()
    }

    /// Result of the conversation, once it is over.
    pub fn conclusion(&self) -> Option<&Conclusion> {
        match &self.stage {
            Stage::Done(conclusion) => Some(conclusion),
            _ => None,
        }
    }

    /// Appends to `output` the messages that can be sent now. Batches may be left for the next call; if it appends nothing,
    /// a reply is needed first.
    ///
    /// # Errors
    /// [`Failure::Source`] if a bet can't be read; `output` then holds no part of its batch.
    pub fn speak(&mut self, output: &mut Buffer) -> Result<(), Failure> {
        for _ in 0..std::mem::take(&mut self.acks_owed) {
            Message::Ack.encode(output);
        }
        match self.stage {
            Stage::Greeting => {
                let Manner { agency, ref credential, .. } = self.manner;
                Message::Hello { version: protocol::VERSION, agency, credential: credential.as_bytes() }.encode(output);
                self.stage = Stage::AwaitingWelcome;
            }
            Stage::Sending(state) => self.send_bets(state, output)?,
            Stage::AwaitingWelcome | Stage::AwaitingWinners | Stage::Done(_) => {}
        }
        Ok(())
    }

    /// Handles bytes received from the server, in whatever pieces they arrive. Those behind the end of the conversation
    /// are dropped: the server may already be saying that it shuts down.
    ///
    /// # Errors
    /// [`Failure`], after which this connection is unusable.
    pub fn hear(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut input = std::mem::take(&mut self.input);
        input.extend_from_slice(bytes);
        let mut taken = 0;
        while self.conclusion().is_none()
            && let Some(length) = self.scanner.scan(&input[taken..])?
        {
            self.replies += 1;
            let message = Message::decode(&input[taken..taken + length])?;
            self.understand(message)?;
            taken += length;
        }
        input.drain(..taken);
        self.input = input;
        Ok(())
    }

    fn send_bets(&mut self, state: AgencyState, output: &mut Buffer) -> Result<(), Failure> {
        let window = if self.manner.handshake { self.manner.batch_window } else { 1 };
        let most = output.len() + SPOKEN_AT_ONCE - self.manner.batch_max_bytes;
        while self.in_flight.len() < window && output.len() <= most {
            match self.send_batch(output)? {
                Some(batch) => self.in_flight.push_back(batch),
                None => break,
            }
        }
        if self.in_flight.is_empty() {
            self.finish_sending(state, output);
        }
        Ok(())
    }

    /// Appends the next batch, if bets are left.
    fn send_batch(&mut self, output: &mut Buffer) -> Result<Option<InFlight>, Failure> {
        let mut batch = Batch::within(self.manner.batch_max_bytes, output);
        let last = self.source.fill(&mut batch, self.manner.batch_max_amount)?;
        let bets = batch.finish();
        Ok(last.map(|last| InFlight { bets, last }))
    }

    /// Closes the agency, now that every bet is stored. Had it closed earlier, the bets of a batch that the server then
    /// refused could never be sent again.
    fn finish_sending(&mut self, state: AgencyState, output: &mut Buffer) {
        debug_assert!(self.in_flight.is_empty(), "every batch is answered");
        if self.source.is_whole_agency() {
            Message::AllBetsSent.encode(output);
            Message::RequestWinners.encode(output);
            if state != AgencyState::Drawn {
                event!(Info, "esperando_sorteo", in_progress, "client_id": self.manner.agency, "almacenadas": self.stored);
            }
            self.stage = Stage::AwaitingWinners;
        } else {
            self.stage = Stage::Done(Conclusion::Stored);
        }
    }

    fn understand(&mut self, message: Message<'_>) -> Result<(), Failure> {
        match (message, &self.stage) {
            (Message::RegisterBetFailed(code), _) => Err(Failure::Refused { code, bet: None }),
            (Message::Refused { code, position }, _) => {
                let bet = (position > 0).then(|| self.stored + u64::from(position));
                Err(Failure::Refused { code, bet })
            }
            (Message::Welcome2 { stored, state }, Stage::AwaitingWelcome) => self.welcomed(stored, state),
            (Message::RegisterBetOk, Stage::Sending(_)) => {
                let batch = self.in_flight.pop_front().ok_or(Failure::Unexpected)?;
                self.batch_stored(&batch);
                Ok(())
            }
            (Message::InformWinners(documents), Stage::AwaitingWinners) => {
                // Without Hello, the agency may have bets that this process knows nothing of.
                if self.manner.handshake && documents.len() as u64 > self.stored {
                    return Err(Failure::TooManyWinners { winners: documents.len(), stored: self.stored });
                }
                self.owe_ack();
                self.stage = Stage::Done(Conclusion::Winners(documents.iter().collect()));
                Ok(())
            }
            _ => Err(Failure::Unexpected),
        }
    }

    fn welcomed(&mut self, tally: Tally, state: AgencyState) -> Result<(), Failure> {
        let (agency, stored) = (self.manner.agency, tally.bets);
        event!(Debug, "hello", success, "client_id": agency, "almacenadas": stored, "estado": format_args!("{state:?}"));
        if stored < self.stored {
            return Err(Failure::CountWentBack { stored, known: self.stored });
        }
        self.source.resume_after(tally)?;
        self.stored = stored;
        self.stage = Stage::Sending(state);
        if state != AgencyState::Open && self.source.peek()?.is_some() {
            return Err(Failure::ClosedBefore { stored });
        }
        if stored > 0 && self.source.is_whole_agency() {
            event!(Info, "reanudar", success, "client_id": agency, "almacenadas": stored);
        }
        Ok(())
    }

    fn batch_stored(&mut self, batch: &InFlight) {
        self.stored += u64::from(batch.bets);
        self.owe_ack();
        if self.source.is_whole_agency() {
            event!(Info, "apuesta_enviada", success, "cantidad": batch.bets);
        } else {
            let (document, number) = batch.last;
            event!(Info, "apuesta_enviada", success, "dni": document, "numero": number);
        }
    }

    fn owe_ack(&mut self) {
        if !self.manner.handshake {
            self.acks_owed += 1;
        }
    }
}
