//! Sessions, lottery and storage together: the turn of the server without its sockets.
//!
//! A [`Central`] is handed what arrived ([`Central::receive`]), is told to [commit](Central::commit), and then holds what
//! is to be sent ([`Central::unsent`]). In between, every message has been applied and every reply is an `Answer` that
//! waits for the commit: until then no byte of it exists, so none can slip past the barrier.
//!
//! The way of one batch: `receive` cuts the input into messages; `register` checks it and stages its rows in the store
//! and its counts in the lottery; `commit` makes the rows durable and the counts final, or takes both back; `release`
//! turns the answer into bytes, which say what the disk holds.

pub mod credentials;
mod limits;
mod session;

use std::net::IpAddr;
use std::time::Instant;

use slab::Slab;

use credentials::Credentials;
pub use limits::Limits;
use session::{Phase, Session};

use crate::bet::Day;
use crate::event;
use crate::ledger::file::{CommitError, Medium, Store};
use crate::lottery::Lottery;
use crate::planted::{Fault, planted};
use crate::protocol::{self, AgencyState, BetFault, Bets, ErrorCode, Malformed, Message, MessageType};

/// A connection, from [`Central::connect`] until the end of the turn in which it is [gone](Central::disconnect).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub usize);

/// What time it is: read for a turn, not for each message.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For deadlines.
    pub instant: Instant,
    /// The last birthdate that is taken.
    pub today: Day,
}

impl Now {
    /// The time it is.
    pub fn read() -> Now {
        Now { instant: Instant::now(), today: Day::today() }
    }
}

/// Where a central stands, for whoever asks.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Connections.
    pub connections: usize,
    /// Connections that wait for the draw.
    pub parked: usize,
    /// Bytes of input and output that are kept for connections.
    pub buffered_bytes: usize,
    /// Bets on disk.
    pub stored: u64,
    /// The agencies that have not closed, in order.
    pub open_agencies: Vec<u32>,
    /// How many have.
    pub closed_agencies: usize,
}

/// What the end of the turn will say to a session.
#[derive(Debug)]
enum Answer {
    /// A batch was staged: it is stored, or it is not.
    Batch { bets: u32, only: Option<(u32, u32)> },
    /// AllBetsSent was staged, by this session or by one before it. Nothing is said, unless it could not be stored.
    Closing { agency: u32, is_first: bool },
    /// Where the agency stands once what it said before its Hello is committed. What it says behind it in the same turn
    /// does not count: it may not have read the Welcome yet.
    Welcome { agency: u32, stored_at_most: u64, is_open: bool },
    /// Its winners. The draw has happened.
    Winners { agency: u32 },
    /// A refusal.
    Refusal(ErrorCode),
    /// The line of an echo session.
    Echo(Vec<u8>),
}

/// Who speaks for an agency.
#[derive(Clone, Copy, Debug, Default)]
struct Speaker {
    /// The session that does, if any.
    session: Option<SessionId>,
    /// The age of the newest one that ever did.
    newest: u64,
}

/// The central of one lottery, storing in a pair of `M`.
#[derive(Debug)]
pub struct Central<M> {
    limits: Limits,
    credentials: Option<Credentials>,
    lottery: Lottery,
    store: Store<M>,
    sessions: Slab<Session>,
    /// The sum of their [`Session::anonymous_bytes`].
    anonymous_bytes: usize,
    /// Connections accepted so far.
    connected: u64,
    /// Who speaks for each agency, from agency 1.
    speakers: Vec<Speaker>,
    /// What this turn will say, in order.
    answers: Vec<(SessionId, Answer)>,
    /// Sessions with something new to send, or that are to close, since the carrier last asked.
    touched: Vec<SessionId>,
    /// Sessions whose connection is gone, to be forgotten at the end of the turn.
    gone: Vec<SessionId>,
}

impl<M: Medium> Central<M> {
    /// A central that goes on where `lottery` and `store` are. Without `credentials`, whoever says to be an agency is one.
    pub fn new(limits: Limits, credentials: Option<Credentials>, lottery: Lottery, store: Store<M>) -> Central<M> {
        let speakers = vec![Speaker::default(); lottery.agencies() as usize];
        Central {
            limits,
            credentials,
            lottery,
            store,
            sessions: Slab::new(),
            anonymous_bytes: 0,
            connected: 0,
            speakers,
            answers: Vec::new(),
            touched: Vec::new(),
            gone: Vec::new(),
        }
    }

    /// The lottery, to look at.
    pub fn lottery(&self) -> &Lottery {
        &self.lottery
    }

    /// Where it stands. Looks at every session and every agency.
    pub fn standing(&self) -> Standing {
        let sessions = || self.sessions.iter().map(|(_, session)| session);
        debug_assert_eq!(self.anonymous_bytes, sessions().map(Session::anonymous_bytes).sum());
        debug_assert!(self.anonymous_bytes <= self.limits.anonymous_bytes);
        Standing {
            connections: self.sessions.len(),
            parked: sessions().filter(|session| session.parked).count(),
            buffered_bytes: sessions().map(Session::buffered_bytes).sum(),
            stored: self.lottery.total_stored(),
            open_agencies: (1..=self.lottery.agencies()).filter(|&agency| !self.lottery.is_closed(agency)).collect(),
            closed_agencies: self.lottery.closed(),
        }
    }

    /// Whether there is anything to make durable at the end of this turn.
    pub fn has_staged(&self) -> bool {
        self.staged_bytes() > 0 || self.lottery.staged_closings().next().is_some()
    }

    /// Bytes of bets that the next commit stores.
    pub fn staged_bytes(&self) -> usize {
        self.store.staged_bytes()
    }

    /// Whether there is no room for another connection. One that is gone takes none, though it is forgotten only later.
    pub fn is_full(&self) -> bool {
        self.sessions.len() - self.gone.len() >= self.limits.connections
    }

    /// A new connection, from `peer`.
    pub fn connect(&mut self, peer: IpAddr, now: Now) -> SessionId {
        let session = Session::new(peer, self.connected, &self.limits, now.instant);
        self.connected += 1;
        SessionId(self.sessions.insert(session))
    }

    /// Whether anything that `id` says would be taken now.
    pub fn wants_input(&self, id: SessionId) -> bool {
        let session = &self.sessions[id.0];
        session.phase != Phase::Closing && !session.ended && !session.is_full(&self.limits)
    }

    /// `bytes` came from `id`: applies every message that they complete.
    pub fn receive(&mut self, id: SessionId, bytes: &[u8], now: Now) {
        let session = &mut self.sessions[id.0];
        let Some(&first_byte) = bytes.first() else { return };
        session.recognise(first_byte);
        if session.input.is_empty() {
            let taken = self.apply(id, bytes, now);
            self.sessions[id.0].input.extend_from_slice(&bytes[taken..]);
            self.note_unfinished(id, taken, now);
        } else {
            session.input.extend_from_slice(bytes);
            self.apply_kept(id, now);
        }
    }

    /// Goes on with what `id` had said before its replies piled up, if it has been reading them since.
    pub fn resume(&mut self, id: SessionId, now: Now) {
        let session = &self.sessions[id.0];
        if session.held && !session.is_full(&self.limits) {
            self.apply_kept(id, now);
            self.finish_ended(id);
        }
    }

    /// The peer of `id` will say no more. It is closed once it has what it is owed.
    pub fn end_of_input(&mut self, id: SessionId) {
        self.sessions[id.0].ended = true;
        self.finish_ended(id);
    }

    /// The connection of `id` is gone, and what it was owed with it. The id stays taken until the end of the turn.
    pub fn disconnect(&mut self, id: SessionId) {
        self.close(id);
        self.sessions[id.0].abandon_output();
        self.gone.push(id);
    }

    /// The end of the turn: makes what was staged durable, then says what came of it.
    ///
    /// # Errors
    /// [`CommitError::Unknown`] only: the program must end without sending another byte.
    pub fn commit(&mut self) -> Result<(), CommitError> {
        let bets_fault = not_stored(self.store.commit_bets())?;
        match bets_fault {
            None => self.lottery.commit_bets(),
            Some(_) => self.lottery.rollback_bets(),
        }
        let closings_fault = not_stored(self.commit_closings())?;
        let is_draw = match closings_fault {
            None => self.lottery.commit_closings(),
            Some(_) => {
                self.lottery.rollback_closings();
                false
            }
        };
        self.release(bets_fault.as_deref(), closings_fault.as_deref());
        if is_draw {
            self.draw();
        }
        self.forget_gone();
        Ok(())
    }

    fn forget_gone(&mut self) {
        if !self.gone.is_empty() {
            let Central { sessions, touched, gone, .. } = self;
            gone.drain(..).for_each(|id| drop(sessions.remove(id.0)));
            touched.retain(|id| sessions.contains(id.0));
        }
    }

    fn commit_closings(&mut self) -> Result<(), CommitError> {
        for (agency, bets) in self.lottery.staged_closings() {
            self.store.stage_closing(agency, bets, self.lottery.agencies());
        }
        if planted(Fault::DrawBeforeClosing) {
            return Ok(());
        }
        self.store.commit_closings()
    }

    /// The sessions to look at after a commit: they have something to send, or are to close, or both.
    pub fn take_touched(&mut self) -> Vec<SessionId> {
        std::mem::take(&mut self.touched)
    }

    /// What is to be sent to `id`.
    pub fn unsent(&self, id: SessionId) -> &[u8] {
        self.sessions[id.0].unsent()
    }

    /// `bytes` more of [`Central::unsent`] were sent; the rest can't be sent now.
    pub fn sent(&mut self, id: SessionId, bytes: usize, now: Now) {
        let Central { limits, lottery, sessions, .. } = self;
        let session = &mut sessions[id.0];
        session.take_sent(bytes, limits, now.instant);
        if let Some(agency) = session.awaits_winners_of().filter(|_| session.unsent().is_empty()) {
            session.refill(lottery.winners(agency).unwrap_or_default(), limits);
        }
    }

    /// Whether `id` is to be closed now: it has been sent what it is owed, and nothing that it says matters.
    pub fn is_finished(&self, id: SessionId) -> bool {
        let session = &self.sessions[id.0];
        session.phase == Phase::Closing && session.unsent().is_empty()
    }

    /// Bytes that `id` said and that wait: for the rest of their message, or for room for their replies.
    pub fn kept_input(&self, id: SessionId) -> usize {
        self.sessions[id.0].input.len()
    }

    /// Whether `id` said more than has been applied, because its replies had piled up: see [`Central::resume`].
    pub fn is_held(&self, id: SessionId) -> bool {
        self.sessions[id.0].held
    }

    /// When [`Central::expire`] is to be called for `id`, if nothing changes until then.
    pub fn deadline(&self, id: SessionId) -> Option<Instant> {
        self.sessions[id.0].deadline(&self.limits)
    }

    /// Closes `id` if its deadline has passed.
    pub fn expire(&mut self, id: SessionId, now: Now) {
        let session = &self.sessions[id.0];
        if session.deadline(&self.limits).is_none_or(|deadline| deadline > now.instant) {
            return;
        }
        let why = session.overdue(&self.limits, now.instant);
        event!(Warn, "expire_connection", success, "ip": session.peer, "reason": why);
        self.close(id);
        self.sessions[id.0].abandon_output();
        self.touched.push(id);
    }

    /// Tells every agency that the server is going. The turn is yet to be committed.
    pub fn shut_down(&mut self) {
        let speaking = |(key, session): (usize, &Session)| (session.phase == Phase::Lottery).then_some(SessionId(key));
        let speaking: Vec<SessionId> = self.sessions.iter().filter_map(speaking).collect();
        for id in speaking {
            self.refuse(id, ErrorCode::Unavailable);
        }
    }

    fn apply_kept(&mut self, id: SessionId, now: Now) {
        let mut input = std::mem::take(&mut self.sessions[id.0].input);
        let taken = self.apply(id, &input, now);
        if taken < input.len() {
            input.drain(..taken);
            self.sessions[id.0].input = input;
        }
        self.note_unfinished(id, taken, now);
    }

    /// Applies the messages at the front of `input` and says how many bytes they were.
    fn apply(&mut self, id: SessionId, input: &[u8], now: Now) -> usize {
        match self.sessions[id.0].phase {
            Phase::Echo => self.apply_echo(id, input),
            Phase::Lottery => self.apply_messages(id, input, now),
            Phase::Silent | Phase::Closing => input.len(),
        }
    }

    fn apply_messages(&mut self, id: SessionId, input: &[u8], now: Now) -> usize {
        let mut taken = 0;
        loop {
            let session = &mut self.sessions[id.0];
            if session.phase == Phase::Closing {
                return input.len();
            }
            session.held = session.is_full(&self.limits);
            if session.held {
                return taken;
            }
            let rest = &input[taken..];
            if self.credentials.is_some() && session.agency.is_none() && is_for_agencies_only(rest) {
                event!(Warn, "hello", fail, "ip": session.peer, "error": "a message before Hello, where credentials are asked for");
                self.refuse(id, ErrorCode::Credential);
                continue;
            }
            match session.scanner.scan(rest) {
                Ok(None) => return taken,
                Ok(Some(length)) => {
                    self.apply_message(id, &rest[..length], now);
                    taken += length;
                }
                Err(malformed) => self.refuse_malformed(id, malformed),
            }
        }
    }

    fn apply_message(&mut self, id: SessionId, frame: &[u8], now: Now) {
        match Message::decode(frame) {
            Ok(Message::RegisterBets(bets)) => self.register(id, bets, now.today),
            Ok(Message::Ack) => {}
            Ok(Message::AllBetsSent) => self.all_bets_sent(id),
            Ok(Message::RequestWinners) => self.request_winners(id),
            Ok(Message::Hello { version, agency, credential }) => self.hello(id, version, agency, credential),
            Ok(
                Message::RegisterBetOk
                | Message::RegisterBetFailed(_)
                | Message::InformWinners(_)
                | Message::Welcome { .. },
            ) => self.refuse_malformed(id, Malformed::UnknownType(u16::from_be_bytes([frame[0], frame[1]]))),
            Err(malformed) => self.refuse_malformed(id, malformed),
        }
    }

    fn hello(&mut self, id: SessionId, version: u16, agency: u32, credential: &[u8]) {
        let session = &self.sessions[id.0];
        if version != protocol::VERSION {
            return self.refuse_hello(id, agency, ErrorCode::Version);
        }
        if let Err(code) = self.lottery.find(agency) {
            return self.refuse_hello(id, agency, code);
        }
        if self.credentials.as_ref().is_some_and(|credentials| !credentials.admit(agency, credential)) {
            return self.refuse_hello(id, agency, ErrorCode::Credential);
        }
        if session.agency.is_some_and(|own| own != agency) {
            return self.refuse_hello(id, agency, ErrorCode::OtherAgency);
        }
        if self.is_superseded(id, agency) {
            return self.refuse_hello(id, agency, ErrorCode::TakenOver);
        }
        self.claim(id, agency);
        let session = &mut self.sessions[id.0];
        (session.greeted, session.refused) = (true, None);
        let stored_at_most = if planted(Fault::WelcomeBeforeCommit) {
            self.lottery.stored(agency)
        } else {
            self.lottery.stored_once_committed(agency)
        };
        let is_open = self.lottery.may_register(agency).is_ok();
        self.answer(id, Answer::Welcome { agency, stored_at_most, is_open });
    }

    fn refuse_hello(&mut self, id: SessionId, agency: u32, code: ErrorCode) {
        event!(Warn, "hello", fail, "ip": self.sessions[id.0].peer, "agencia": agency, "error": code);
        self.refuse(id, code);
    }

    fn register(&mut self, id: SessionId, bets: Bets<'_>, today: Day) {
        let count = bets.remaining();
        let Session { agency: own_agency, peer, refused, .. } = self.sessions[id.0];
        let staged = if let Some(code) = refused {
            Err(BatchFault::FollowsRefused(code))
        } else {
            self.stage_batch(id, bets, today)
        };
        match staged {
            Ok(Staged { agency, only }) => {
                self.claim(id, agency);
                self.answer(id, Answer::Batch { bets: count, only });
            }
            Err(fault) => {
                event!(Error, "apuesta_recibida", fail, "cantidad": count, "ip": peer, "error": fault);
                if let (None, BatchFault::Closed { agency } | BatchFault::OverLimit { agency, .. }) =
                    (own_agency, &fault)
                {
                    // It named an agency that exists: it may go on to close, and to ask for its winners.
                    self.claim(id, *agency);
                }
                self.refuse_request(id, fault.code());
            }
        }
    }

    /// Stages all of a batch or nothing of it.
    fn stage_batch(&mut self, id: SessionId, bets: Bets<'_>, today: Day) -> Result<Staged, BatchFault> {
        let own_agency = self.sessions[id.0].agency;
        let first = bets.clone().next().transpose().map_err(|fault| BatchFault::Bet { position: 1, fault })?;
        let Some(agency) = own_agency.or(first.map(|bet| bet.agency)) else {
            return Err(BatchFault::Refused(ErrorCode::NoAgency));
        };
        self.lottery.find(agency).map_err(BatchFault::Refused)?;
        if self.is_superseded(id, agency) {
            return Err(BatchFault::Refused(ErrorCode::TakenOver));
        }
        match self.lottery.may_register(agency) {
            Ok(()) => {}
            Err(ErrorCode::Closed) => return Err(BatchFault::Closed { agency }),
            Err(code) => return Err(BatchFault::Refused(code)),
        }
        let limit = self.limits.agency_bets;
        if self.lottery.stored_once_committed(agency) + u64::from(bets.remaining()) > limit {
            return Err(BatchFault::OverLimit { agency, limit });
        }
        let (counts, rows) = (self.lottery.mark(agency), self.store.staged_bytes());
        let staged = self.stage_bets(agency, bets, today);
        if staged.is_err() && !planted(Fault::PartialBatchKept) {
            self.lottery.revert(agency, counts);
            self.store.revert(rows);
        }
        staged
    }

    /// Kept apart from what is done once a batch, so that the compiler sees the loop that is gone through for every bet.
    #[inline(never)]
    fn stage_bets(&mut self, agency: u32, bets: Bets<'_>, today: Day) -> Result<Staged, BatchFault> {
        let mut position = 0;
        let mut last = None;
        for bet in bets {
            position += 1;
            let fault = |fault| BatchFault::Bet { position, fault };
            let bet = bet.map_err(fault)?;
            if bet.agency != agency {
                return Err(BatchFault::OtherAgency { position, named: bet.agency });
            }
            bet.validate(today).map_err(|invalid| fault(invalid.into()))?;
            self.lottery.stage_bet(&bet);
            self.store.stage_bet(&bet);
            last = Some((bet.document, bet.number));
        }
        Ok(Staged { agency, only: last.filter(|_| position == 1) })
    }

    fn all_bets_sent(&mut self, id: SessionId) {
        let Session { agency, refused, .. } = self.sessions[id.0];
        let Some(agency) = agency else { return self.refuse(id, ErrorCode::NoAgency) };
        if let Some(code) = refused {
            return self.refuse_request(id, code);
        }
        let is_first = self.lottery.stage_closing(agency);
        if !self.lottery.is_closed(agency) {
            self.answer(id, Answer::Closing { agency, is_first });
        }
    }

    fn request_winners(&mut self, id: SessionId) {
        let Some(agency) = self.sessions[id.0].agency else { return self.refuse(id, ErrorCode::NoAgency) };
        if self.lottery.is_drawn() {
            self.answer(id, Answer::Winners { agency });
        } else {
            self.sessions[id.0].parked = true;
        }
    }

    /// Refuses a batch, or the closing behind one. A session that said Hello goes on from the number of bets it was told, so
    /// were a batch stored behind a refused one, that number would no longer say which of its bets those are. Until it
    /// says Hello again, nothing more of it is stored.
    fn refuse_request(&mut self, id: SessionId, code: ErrorCode) {
        let session = &mut self.sessions[id.0];
        if session.greeted && !planted(Fault::AcceptedBehindRefused) {
            session.refused = Some(code);
        }
        self.refuse(id, code);
    }

    fn apply_echo(&mut self, id: SessionId, input: &[u8]) -> usize {
        let session = &mut self.sessions[id.0];
        let end = input.iter().position(|&byte| byte == b'\n');
        if end.unwrap_or(input.len()) > self.limits.echo_line_bytes {
            let limit = self.limits.echo_line_bytes;
            event!(Warn, "receive_message", fail, "ip": session.peer, "error": format_args!("a line of more than {limit} bytes"));
            session.close();
            self.touched.push(id);
            return input.len();
        }
        match end {
            None => 0,
            Some(end) => {
                self.echo(id, input[..=end].to_vec());
                input.len()
            }
        }
    }

    fn echo(&mut self, id: SessionId, line: Vec<u8>) {
        self.answer(id, Answer::Echo(line));
        self.sessions[id.0].close();
    }

    /// Closes a session whose peer has ended its side, unless messages of it are still held.
    fn finish_ended(&mut self, id: SessionId) {
        let session = &mut self.sessions[id.0];
        if !session.ended || session.held || session.phase == Phase::Closing {
            return;
        }
        let input = std::mem::take(&mut session.input);
        match session.phase {
            Phase::Echo if !input.is_empty() => self.echo(id, input),
            Phase::Lottery if !input.is_empty() => {
                event!(Warn, "receive_message", fail, "ip": session.peer, "error": "the connection ended in the middle of a message");
            }
            _ => {}
        }
        self.close(id);
        self.touched.push(id);
    }

    /// Whether a newer connection than `id` speaks for `agency`, or did. What `id` says may have been on its way for long:
    /// its client may have gone on over the newer one since, so none of it may count.
    fn is_superseded(&self, id: SessionId, agency: u32) -> bool {
        let is_late = self.sessions[id.0].age < self.speakers[agency as usize - 1].newest;
        is_late && !planted(Fault::LateConnectionTakesOver) && !planted(Fault::NoFencing)
    }

    /// Makes `id` the session that speaks for `agency`. An older one is told, and nothing that it says later counts.
    fn claim(&mut self, id: SessionId, agency: u32) {
        let newest = self.sessions[id.0].age;
        let older = std::mem::replace(&mut self.speakers[agency as usize - 1], Speaker { session: Some(id), newest });
        self.sessions[id.0].agency = Some(agency);
        if let Some(older) = older.session.filter(|&older| older != id && !planted(Fault::NoFencing)) {
            let session = &mut self.sessions[older.0];
            event!(Warn, "take_over", success, "agencia": agency, "ip": session.peer);
            session.agency = None;
            self.refuse(older, ErrorCode::TakenOver);
        }
    }

    fn refuse_malformed(&mut self, id: SessionId, malformed: Malformed) {
        event!(Warn, "receive_message", fail, "ip": self.sessions[id.0].peer, "error": malformed);
        self.refuse(id, malformed.into());
    }

    fn refuse(&mut self, id: SessionId, code: ErrorCode) {
        self.answer(id, Answer::Refusal(code));
        if code.ends_connection() {
            self.close(id);
        }
    }

    /// Nothing that `id` says from here on counts, and it speaks for nobody.
    fn close(&mut self, id: SessionId) {
        let session = &mut self.sessions[id.0];
        session.close();
        if let Some(agency) = session.agency.take() {
            self.speakers[agency as usize - 1].session = None;
        }
        self.count_anonymous(id);
    }

    fn answer(&mut self, id: SessionId, answer: Answer) {
        let bytes = match &answer {
            Answer::Winners { agency } => {
                Message::inform_winners_bytes(self.lottery.winners(*agency).map_or(0, <[u32]>::len))
            }
            Answer::Echo(line) => line.len(),
            Answer::Batch { .. } | Answer::Closing { .. } | Answer::Welcome { .. } | Answer::Refusal(_) => {
                SMALL_REPLY_BYTES
            }
        };
        self.sessions[id.0].promise(bytes);
        self.answers.push((id, answer));
    }

    /// Turns the turn's answers into bytes. A fault is why its bets, or its closings, could not be stored.
    fn release(&mut self, bets_fault: Option<&str>, closings_fault: Option<&str>) {
        let mut answers = std::mem::take(&mut self.answers);
        for (id, answer) in answers.drain(..) {
            let session = &self.sessions[id.0];
            // In the middle of a list of winners nothing else can be said.
            if !session.void && session.awaits_winners_of().is_none() {
                self.release_one(id, answer, bets_fault, closings_fault);
            }
            self.touched.push(id);
        }
        self.answers = answers;
        for id in &self.touched {
            self.sessions[id.0].keep_promises();
        }
    }

    fn release_one(&mut self, id: SessionId, answer: Answer, bets_fault: Option<&str>, closings_fault: Option<&str>) {
        let Central { lottery, sessions, limits, .. } = self;
        let session = &mut sessions[id.0];
        match answer {
            Answer::Batch { bets, only } => match bets_fault {
                None => {
                    if let Some((document, number)) = only {
                        event!(Info, "apuesta_almacenada", success, "dni": document, "numero": number);
                    }
                    event!(Info, "apuesta_recibida", success, "cantidad": bets);
                    Message::RegisterBetOk.encode(session.output());
                }
                Some(error) => {
                    event!(Error, "apuesta_recibida", fail, "cantidad": bets, "ip": session.peer, "error": error);
                    self.release_not_stored(id);
                }
            },
            Answer::Closing { agency, is_first } if lottery.is_closed(agency) => {
                if is_first {
                    event!(Info, "cierre_agencia", success, "agencia": agency, "cantidad": lottery.stored(agency));
                }
            }
            Answer::Closing { agency, .. } => {
                let error = closings_fault.or(bets_fault).unwrap_or("not stored");
                event!(Error, "cierre_agencia", fail, "agencia": agency, "error": error);
                self.release_not_stored(id);
            }
            Answer::Welcome { agency, stored_at_most, is_open } => {
                let stored = lottery.stored(agency).min(stored_at_most);
                let state = if is_open { AgencyState::Open } else { lottery.state(agency) };
                event!(Debug, "hello", success, "ip": session.peer, "agencia": agency, "almacenadas": stored);
                Message::Welcome { stored, state }.encode(session.output());
            }
            Answer::Winners { agency } => release_winners(lottery, session, agency, limits),
            Answer::Refusal(code) => {
                event!(Debug, "refuse", success, "ip": session.peer, "codigo": code as u16, "error": code);
                Message::RegisterBetFailed(code).encode(session.output());
            }
            Answer::Echo(line) => {
                let text = String::from_utf8_lossy(&line);
                event!(Info, "receive_message", success, "ip": session.peer, "msg": text.trim_end_matches(['\r', '\n']));
                session.output().extend_from_slice(&line);
            }
        }
    }

    /// Tells `id` that something was not stored. What it said after that may build upon it, and is not answered.
    fn release_not_stored(&mut self, id: SessionId) {
        let session = &mut self.sessions[id.0];
        Message::RegisterBetFailed(ErrorCode::NotStored).encode(session.output());
        session.void = true;
        self.close(id);
    }

    /// Answers whoever has been waiting. It happens once, with the commit of the last closing.
    fn draw(&mut self) {
        event!(Info, "sorteo", success);
        let Central { lottery, sessions, touched, limits, .. } = self;
        for (key, session) in
            sessions.iter_mut().filter(|(_, session)| session.parked && !planted(Fault::ParkedForgotten))
        {
            let Some(agency) = session.agency else { continue };
            session.parked = false;
            release_winners(lottery, session, agency, limits);
            touched.push(SessionId(key));
        }
    }

    /// A message that is not whole yet must end in time, counted from when the first byte of it came; and there must be room
    /// for it. Where there is none, who asks for it pays, and nobody is searched for.
    fn note_unfinished(&mut self, id: SessionId, taken: usize, now: Now) {
        let session = &mut self.sessions[id.0];
        if session.input.is_empty() || session.held {
            session.began_at = None;
        } else if taken > 0 || session.began_at.is_none() {
            session.began_at = Some(now.instant);
        }
        self.count_anonymous(id);
        if self.anonymous_bytes > self.limits.anonymous_bytes {
            self.refuse_unfinished(id);
        }
    }

    fn count_anonymous(&mut self, id: SessionId) {
        let session = &mut self.sessions[id.0];
        let bytes = session.anonymous_bytes();
        self.anonymous_bytes += bytes;
        self.anonymous_bytes -= std::mem::replace(&mut session.counted_bytes, bytes);
    }

    /// There is no room for what `id` says before it says whose it is. It has no agency, so nothing of it is stored.
    fn refuse_unfinished(&mut self, id: SessionId) {
        let session = &self.sessions[id.0];
        event!(Warn, "receive_message", fail, "ip": session.peer,
            "error": "unfinished messages of connections without an agency are over MAX_ANONYMOUS_BYTES");
        if session.phase == Phase::Lottery {
            self.refuse(id, ErrorCode::Unavailable);
        } else {
            self.close(id);
            self.touched.push(id);
        }
    }
}

/// Whether `input` begins with a message that only an agency may say. Known from its type, so that of those who have not
/// proved who they are nothing longer than a Hello is ever kept.
fn is_for_agencies_only(input: &[u8]) -> bool {
    let Some(&[high, low]) = input.first_chunk() else { return false };
    let message_type = MessageType::from_code(u16::from_be_bytes([high, low]));
    !matches!(message_type, Ok(MessageType::Hello | MessageType::Ack))
}

fn release_winners(lottery: &Lottery, session: &mut Session, agency: u32, limits: &Limits) {
    let agency = if planted(Fault::WinnersBroadcast) { 1 } else { agency };
    // Asked for only after the draw.
    let winners = lottery.winners(agency).unwrap_or_default();
    if std::mem::replace(&mut session.informed, true) {
        event!(Debug, "informar_ganadores", success, "agencia": agency, "cantidad": winners.len());
    } else {
        event!(Info, "informar_ganadores", success, "agencia": agency, "cantidad": winners.len());
    }
    session.inform_winners(agency, winners, limits);
}

/// The reason why nothing was stored, apart from the error after which nothing is known.
fn not_stored(committed: Result<(), CommitError>) -> Result<Option<String>, CommitError> {
    match committed {
        Ok(()) => Ok(None),
        Err(CommitError::NotStored(error)) => Ok(Some(error.to_string())),
        Err(unknown) => Err(unknown),
    }
}

/// A bound on the replies of fixed size: a Welcome.
const SMALL_REPLY_BYTES: usize = 11;

/// A batch whose rows and counts are staged.
#[derive(Debug)]
struct Staged {
    /// Whose it is.
    agency: u32,
    /// Document and number of its bet, if it has just one.
    only: Option<(u32, u32)>,
}

/// Why nothing of a batch is staged.
#[derive(Debug, thiserror::Error)]
enum BatchFault {
    #[error("bet {position} of the batch: {fault}")]
    Bet { position: u32, fault: BetFault },
    #[error("bet {position} of the batch: agency {named} is not the connection's")]
    OtherAgency { position: u32, named: u32 },
    #[error("agency {agency} has closed")]
    Closed { agency: u32 },
    #[error("agency {agency} would have more than {limit} bets, see MAX_AGENCY_BETS")]
    OverLimit { agency: u32, limit: u64 },
    #[error("{0}")]
    Refused(ErrorCode),
    #[error("it follows a refused batch, and no Hello since: {0}")]
    FollowsRefused(ErrorCode),
}

impl BatchFault {
    fn code(&self) -> ErrorCode {
        match self {
            BatchFault::Bet { fault: BetFault::Invalid(_), .. } => ErrorCode::InvalidBet,
            BatchFault::Bet { fault: BetFault::Malformed(malformed), .. } => (*malformed).into(),
            BatchFault::OtherAgency { .. } => ErrorCode::OtherAgency,
            BatchFault::Closed { .. } | BatchFault::OverLimit { .. } => ErrorCode::Closed,
            BatchFault::Refused(code) | BatchFault::FollowsRefused(code) => *code,
        }
    }
}
