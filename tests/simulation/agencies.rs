//! Agencies with their bets, and the client processes that send them. The conversation is the real one.

use std::rc::Rc;

use fastrand::Rng;
use loteria::bet::{Bet, Day, MAX_NAME_BYTES, Name, WINNER_NUMBER, store_bets};
use loteria::client::conversation::{Conversation, Failure, Manner};
use loteria::client::source::{BetSource, SourceError};
use loteria::config::Credential;

use crate::chance::Chance;
use crate::mistakes::{Mistake, makes};

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
        let winners = bets.iter().filter(|bet| bet.has_won()).map(|bet| bet.document).collect();
        let rows = bets.iter().map(|bet| row(*bet)).collect();
        Agency { number, bets, rows, winners, acknowledged: 0, is_told: false, newest_link: None, newest_heard: None }
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

/// A file of bets. It may have a bad row.
#[derive(Debug)]
pub struct SimulatedSource {
    bets: Rc<[Bet<'static>]>,
    next: usize,
    /// The position of a bet that is not valid.
    bad: Option<usize>,
}

impl BetSource for SimulatedSource {
    fn resume_after(&mut self, stored: u64) -> Result<(), SourceError> {
        let held = self.bets.len() as u64;
        if stored > held {
            return Err(SourceError::StoredMore { path: "simulated".into(), stored, held });
        }
        self.next = (stored as usize).saturating_sub(usize::from(makes(Mistake::ResumeOffByOne)));
        Ok(())
    }

    fn peek(&mut self) -> Result<Option<Bet<'_>>, SourceError> {
        let bet = self.bets.get(self.next).copied();
        Ok(bet.map(|bet| if self.bad == Some(self.next) { Bet { document: 0, ..bet } } else { bet }))
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
    pub is_legacy: bool,
    pub has_bad_row: bool,
}

/// The way in which a client is started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start {
    pub is_legacy: bool,
    pub has_bad_row: bool,
}

impl Client {
    pub fn new(name: usize, agency: &Agency, start: Start, random: &mut Rng) -> Client {
        let Start { is_legacy, has_bad_row } = start;
        let bad = (has_bad_row && !agency.bets.is_empty()).then(|| random.usize(0..agency.bets.len()));
        let manner = Manner {
            agency: agency.number,
            batch_max_amount: random.u32(1..=4),
            batch_window: random.pick(&[1, 1, 2, 3, 8]),
            handshake: !is_legacy,
            credential: Credential::default(),
        };
        let source = SimulatedSource { bets: Rc::clone(&agency.bets), next: 0, bad };
        let conversation = Conversation::new(manner, source);
        Client { name, agency: agency.number, conversation, link: None, is_legacy, has_bad_row }
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
