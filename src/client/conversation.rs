//! What an agency says to the central and what it understands of the answers: bytes out, bytes in, no socket.
//!
//! An agency says Hello and hears how many of its bets are stored; sends the bets after those, in batches, several of
//! which may be unanswered; and, once all are stored, closes and asks for its winners. If the connection breaks
//! anywhere, the [next one begins](Conversation::begin) with Hello again: the answer says where to go on, exactly.
//!
//! ```text
//!         Hello             batch...              AllBetsSent RequestWinners
//! Greeting ───► Welcome ───► Sending ──(all stored)──► AwaitingWinners ──► Done
//! ```

use std::collections::VecDeque;

use thiserror::Error;

use super::source::{BetSource, SourceError};
use crate::buffer::Buffer;
use crate::config::Credential;
use crate::event;
use crate::planted::{Fault, planted};
use crate::protocol::{self, AgencyState, Batch, ErrorCode, Malformed, Message, Scanner};

/// How an agency speaks.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Which agency it is.
    pub agency: u32,
    /// The most bets of a batch.
    pub batch_max_amount: u32,
    /// The most batches that are sent and not answered.
    pub batch_window: usize,
    /// Whether it says Hello. Without, it also acknowledges every reply and sends one batch at a time, as older centrals expect.
    pub handshake: bool,
    /// Sent with Hello.
    pub credential: Credential,
}

/// What came of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The bets are stored, and that was all that there was to do.
    Stored,
    /// The agency's winners.
    Winners(Vec<u32>),
}

/// Why a conversation can't go on.
#[derive(Debug, Error)]
pub enum Failure {
    /// The next bet can't be had.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The central refuses.
    #[error("the central refuses, code {}: {code}", *code as u16)]
    Refused {
        /// Why.
        code: ErrorCode,
    },
    /// What came is no message.
    #[error("the central does not speak this protocol: {0}")]
    Malformed(#[from] Malformed),
    /// What came is a message, but not an answer to what was said.
    #[error("the central does not speak this protocol: an answer to nothing that was said")]
    Unexpected,
    /// The agency had closed, but there are bets that are not stored.
    #[error("the agency has closed with {stored} bets, and there are more here: no more are taken")]
    ClosedBefore {
        /// How many are stored.
        stored: u64,
    },
}

impl Failure {
    /// Whether the same might go better on another connection, later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Failure::Refused { code: ErrorCode::NotStored | ErrorCode::Unavailable })
    }
}

/// What a reply of the central may take: its winners, above all. Were every bet that a central takes by default one of them, it
/// would be 80 MB.
const REPLY_LIMITS: protocol::Limits = protocol::Limits { message_bytes: 1 << 27, batch_bets: 0 };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Hello is to be said.
    Greeting,
    /// Hello was said.
    AwaitingWelcome,
    /// Bets are being sent, and replies to batches come.
    Sending,
    /// The winners were asked for.
    AwaitingWinners,
    /// There is an outcome.
    Done,
}

fn first_stage(manner: &Manner) -> Stage {
    if manner.handshake { Stage::Greeting } else { Stage::Sending }
}

/// A batch that was sent and not answered.
#[derive(Debug)]
struct InFlight {
    bets: u32,
    /// Document and number of its last bet, for the line about a single one.
    last: (u32, u32),
}

/// One agency's conversation, over as many connections as it takes.
#[derive(Debug)]
pub struct Conversation<S> {
    manner: Manner,
    source: S,
    stage: Stage,
    scanner: Scanner,
    /// What came and is not a whole message yet.
    input: Vec<u8>,
    in_flight: VecDeque<InFlight>,
    /// Acks that older centrals expect and that were not sent yet.
    acks_owed: u32,
    /// Bets that the central says are stored.
    stored: u64,
    outcome: Option<Outcome>,
}

impl<S: BetSource> Conversation<S> {
    /// The conversation about the bets of `source`.
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
            outcome: None,
        }
    }

    /// A new connection: nothing that the last one left unfinished counts.
    pub fn begin(&mut self) {
        self.stage = first_stage(&self.manner);
        self.scanner = Scanner::new(REPLY_LIMITS);
        self.input.clear();
        if !planted(Fault::StaleInFlight) {
            self.in_flight.clear();
        }
        self.acks_owed = 0;
    }

    /// Whether it can go on over another connection without sending a bet twice: with Hello always, without it only
    /// as long as nothing was sent.
    pub fn can_begin_again(&self) -> bool {
        self.manner.handshake || (self.stored == 0 && self.in_flight.is_empty() && self.stage == Stage::Sending)
    }

    /// Bets that are known to be stored.
    pub fn stored(&self) -> u64 {
        self.stored
    }

    /// Whether every bet is stored, as far as this connection knows, and the draw is waited for.
    pub fn awaits_winners(&self) -> bool {
        self.stage == Stage::AwaitingWinners
    }

    /// What came of it, once it is over.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// Appends to `output` everything that can be said now.
    ///
    /// # Errors
    /// [`Failure::Source`]; nothing of the bet's batch is in `output` then.
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
            Stage::Sending => self.send_bets(output)?,
            Stage::AwaitingWelcome | Stage::AwaitingWinners | Stage::Done => {}
        }
        Ok(())
    }

    /// Takes what came from the central.
    ///
    /// # Errors
    /// [`Failure`], after which this connection is of no use.
    pub fn hear(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut input = std::mem::take(&mut self.input);
        input.extend_from_slice(bytes);
        let mut taken = 0;
        while let Some(length) = self.scanner.scan(&input[taken..])? {
            let message = Message::decode(&input[taken..taken + length])?;
            self.understand(message)?;
            taken += length;
        }
        input.drain(..taken);
        self.input = input;
        Ok(())
    }

    fn send_bets(&mut self, output: &mut Buffer) -> Result<(), Failure> {
        let window = if self.manner.handshake { self.manner.batch_window } else { 1 };
        while self.in_flight.len() < window {
            match self.send_batch(output)? {
                Some(batch) => self.in_flight.push_back(batch),
                None => break,
            }
        }
        if self.in_flight.is_empty() {
            self.finish_sending(output);
        }
        Ok(())
    }

    /// Appends the next batch, if there are bets left.
    fn send_batch(&mut self, output: &mut Buffer) -> Result<Option<InFlight>, Failure> {
        let mut batch = Batch::begin(output);
        let last = self.source.fill(&mut batch, self.manner.batch_max_amount)?;
        let bets = batch.finish();
        Ok(last.map(|last| InFlight { bets, last }))
    }

    /// Every bet is stored. Only now the agency closes: had it closed behind a batch that was then refused, the bets of
    /// that batch could never be sent again.
    fn finish_sending(&mut self, output: &mut Buffer) {
        if self.source.is_whole_agency() {
            Message::AllBetsSent.encode(output);
            Message::RequestWinners.encode(output);
            self.stage = Stage::AwaitingWinners;
        } else {
            self.end(Outcome::Stored);
        }
    }

    fn end(&mut self, outcome: Outcome) {
        self.stage = Stage::Done;
        self.outcome = Some(outcome);
    }

    fn understand(&mut self, message: Message<'_>) -> Result<(), Failure> {
        match (message, self.stage) {
            (Message::RegisterBetFailed(code), _) => Err(Failure::Refused { code }),
            (Message::Welcome { stored, state }, Stage::AwaitingWelcome) => self.welcomed(stored, state),
            (Message::RegisterBetOk, Stage::Sending) => {
                let batch = self.in_flight.pop_front().ok_or(Failure::Unexpected)?;
                self.batch_stored(&batch);
                Ok(())
            }
            (Message::InformWinners(documents), Stage::AwaitingWinners) => {
                self.owe_ack();
                self.end(Outcome::Winners(documents.iter().collect()));
                Ok(())
            }
            _ => Err(Failure::Unexpected),
        }
    }

    fn welcomed(&mut self, stored: u64, state: AgencyState) -> Result<(), Failure> {
        let agency = self.manner.agency;
        event!(Debug, "hello", success, "client_id": agency, "almacenadas": stored, "estado": format_args!("{state:?}"));
        self.source.resume_after(stored.saturating_sub(planted(Fault::ResumeOffByOne).into()))?;
        self.stored = stored;
        self.stage = Stage::Sending;
        if state != AgencyState::Open && self.source.peek()?.is_some() {
            return Err(Failure::ClosedBefore { stored });
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
