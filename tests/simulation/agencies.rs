//! Agencies with their bets, and the client processes that send them. The conversation is the real one.

use std::rc::Rc;
use std::time::Instant;

use fastrand::Rng;
use loteria::bet::{Bet, Day, MAX_DOCUMENT, MAX_NAME_BYTES, Name, Tally, WINNER_NUMBER, store_bets};
use loteria::buffer::Buffer;
use loteria::client::conversation::{Conversation, Failure, Manner};
use loteria::client::pauses::Takeovers;
use loteria::client::source::{BetSource, SourceError};
use loteria::config::Credential;
use loteria::protocol;

use crate::chance::Chance;
use crate::mistakes::{Mistake, makes};
use crate::security::Secure;

/// One agency of a round, independent of the clients that speak for it.
#[derive(Debug)]
pub struct Agency {
    pub number: u32,
    pub bets: Rc<[Bet<'static>]>,
    /// Its bets as rows of the file.
    pub rows: Vec<Vec<u8>>,
    pub winners: Vec<u32>,
    /// Bets that its clients have heard to be stored.
    pub acknowledged: u64,
    /// True if a client of it has been told its winners.
    pub is_told: bool,
    /// The number of its newest connection.
    pub newest_link: Option<usize>,
    /// The newest connection of it that the server has read.
    pub newest_heard: Option<usize>,
    /// Clients that were started for it.
    pub started: usize,
}

const NAMES: [&str; 5] = ["Ana", "Ñata", "O'Higgins, \"el\"", "Paz", "\""];
/// The name that takes most room in the file: each of its quotes is doubled there.
const LONGEST_NAME: &str = match std::str::from_utf8(&[b'"'; MAX_NAME_BYTES]) {
    Ok(name) => name,
    Err(_) => unreachable!(),
};
const BIRTHDATE: Day = Day::OLDEST_BIRTHDATE;

impl Agency {
    pub fn new(number: u32, bets: usize, random: &mut Rng) -> Agency {
        let bet = |position: usize| Bet {
            agency: number,
            first_name: name(random.pick(&NAMES)),
            last_name: name(if random.one_in(20) { LONGEST_NAME } else { random.pick(&NAMES) }),
            document: number * 1000 + position as u32,
            birthdate: BIRTHDATE,
            number: if random.one_in(3) { WINNER_NUMBER } else { random.u32(0..100) },
        };
        let bets: Rc<[Bet<'static>]> = (0..bets).map(bet).collect();
        let winners = bets.iter().filter(|bet| bet.has_won(WINNER_NUMBER)).map(|bet| bet.document).collect();
        let rows = bets.iter().map(|bet| row(*bet)).collect();
        Agency {
            number,
            bets,
            rows,
            winners,
            acknowledged: 0,
            is_told: false,
            newest_link: None,
            newest_heard: None,
            started: 0,
        }
    }
}

fn name(text: &'static str) -> Name<'static> {
    text.try_into().expect("a name")
}

fn row(bet: Bet<'_>) -> Vec<u8> {
    let mut row = Vec::new();
    store_bets(&mut row, [bet]).expect("a Vec takes everything");
    row
}

/// The tally of `bets`, one by one.
pub fn tally(bets: &[Bet<'_>]) -> Tally {
    let mut tally = Tally::default();
    for bet in bets {
        let mut encoded = Buffer::new();
        protocol::encode_bet(bet, &mut encoded);
        tally.extend(1, &encoded);
    }
    tally
}

/// A file of bets. It may have a bad row.
#[derive(Debug)]
pub struct SimulatedSource {
    bets: Rc<[Bet<'static>]>,
    next: usize,
    /// The position of a bet that is not valid.
    bad: Option<usize>,
}

impl BetSource for SimulatedSource {
    fn resume_after(&mut self, stored: Tally) -> Result<(), SourceError> {
        let path = || "simulated".into();
        let Some(first) = self.bets.get(..stored.bets as usize) else {
            let held = self.bets.len() as u64;
            return Err(SourceError::StoredMore { path: path(), stored: stored.bets, held });
        };
        let held = tally(first);
        if held != stored && !makes(Mistake::OtherFileUnnoticed) {
            return Err(SourceError::StoredOthers { path: path(), stored, held });
        }
        self.next = first.len().saturating_sub(usize::from(makes(Mistake::ResumeOffByOne)));
        Ok(())
    }

    fn peek(&mut self) -> Result<Option<Bet<'_>>, SourceError> {
        let bet = self.bets.get(self.next).copied();
        Ok(bet.map(|bet| if self.bad == Some(self.next) { Bet { document: MAX_DOCUMENT + 1, ..bet } } else { bet }))
    }

    fn take(&mut self) {
        self.next += 1;
    }

    fn is_whole_agency(&self) -> bool {
        true
    }
}

/// A running client.
#[derive(Debug)]
pub struct Client {
    pub name: usize,
    pub agency: u32,
    pub conversation: Conversation<SimulatedSource>,
    /// Its connection, by number.
    pub link: Option<usize>,
    /// TLS on it.
    pub secure: Option<Secure>,
    pub start: Start,
    pub takeovers: Takeovers,
    /// It does not connect before.
    pub paused_until: Option<Instant>,
    /// Clients of its agency that had been started when it was.
    started: usize,
}

/// The way in which a client is started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start {
    pub is_legacy: bool,
    pub has_bad_row: bool,
    /// The position of a bet that is another one in its file.
    pub other_bet: Option<usize>,
}

impl Client {
    pub fn new(name: usize, agency: &Agency, start: Start, random: &mut Rng) -> Client {
        let Start { is_legacy, has_bad_row, other_bet } = start;
        let bad = (has_bad_row && !agency.bets.is_empty()).then(|| random.usize(0..agency.bets.len()));
        let mut bets = Rc::clone(&agency.bets);
        if let Some(position) = other_bet {
            bets = bets.iter().copied().collect();
            Rc::make_mut(&mut bets)[position].document += 500;
        }
        let manner = Manner {
            agency: agency.number,
            batch_max_amount: random.u32(1..=4),
            batch_max_bytes: protocol::MAX_PACKET_BYTES,
            batch_window: random.pick(&[1, 1, 2, 3, 8]),
            handshake: !is_legacy,
            credential: Credential::default(),
        };
        let source = SimulatedSource { bets, next: 0, bad };
        let conversation = Conversation::new(manner, source);
        Client {
            name,
            agency: agency.number,
            conversation,
            link: None,
            secure: None,
            start,
            takeovers: Takeovers::default(),
            paused_until: None,
            started: agency.started,
        }
    }

    /// True if no other client of `agency` was started since it was.
    pub fn is_alone(&self, agency: &Agency) -> bool {
        self.started == agency.started
    }
}

/// The end of a connection as its client hears it.
#[derive(Debug)]
pub enum Breakdown {
    /// The connection is over.
    Lost,
    /// The conversation can't go on.
    Failed(Failure),
}
