//! Turns over sockets in memory: who is written to, in which order, and how much of it in a turn.

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::rc::Rc;

use super::write::{SHARE_OF_TURN, SLICE};
use super::*;
use crate::bet::{Bet, Day};
use crate::central::Limits;
use crate::ledger::{Commit, Outcome};
use crate::lottery::Lottery;
use crate::protocol::Message;

/// A socket whose peer takes everything at once.
#[derive(Clone, Default)]
struct Peer(Rc<RefCell<Lines>>);

#[derive(Default)]
struct Lines {
    to_server: Vec<u8>,
    from_server: Vec<u8>,
}

impl Peer {
    fn say(&self, bytes: &[u8]) {
        self.0.borrow_mut().to_server.extend_from_slice(bytes);
    }

    /// Bytes that the server has written.
    fn told(&self) -> usize {
        self.0.borrow().from_server.len()
    }
}

impl Read for Peer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let said = &mut self.0.borrow_mut().to_server;
        let bytes = said.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&said[..bytes]);
        said.drain(..bytes);
        if bytes == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(bytes) }
    }
}

impl Write for Peer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().from_server.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket for Peer {
    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn reset_on_close(&mut self) {}
}

/// A ledger that stores everything at once.
#[derive(Default)]
struct Memory(Option<Outcome>);

impl Ledger for Memory {
    fn begin(&mut self, _: &Commit) {
        self.0 = Some(Outcome::Stored);
    }

    fn poll(&mut self) -> Option<Outcome> {
        self.0.take()
    }
}

/// A world in which nothing becomes ready by itself.
struct Still;

impl World for Still {
    fn now(&mut self) -> Now {
        Now::read()
    }

    fn poll(&mut self, _: &mut Vec<Ready>) -> io::Result<()> {
        Ok(())
    }
}

type Turns = Server<Peer, Memory>;

fn server(lottery: Lottery) -> Turns {
    Server::new(Central::new(Limits::default(), None, lottery), Memory::default(), 128 * 1024)
}

fn connect(server: &mut Turns) -> (ConnectionId, Peer) {
    let peer = Peer::default();
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let id = server.add(peer.clone(), address, Now::read(), |_, _| Ok(())).expect("added");
    (id, peer)
}

/// A turn in which a poll has reported these.
fn turn(server: &mut Turns, readable: &[ConnectionId]) {
    let ready = |&id| Ready { id, is_readable: true, is_writable: false, is_over: false };
    server.turn(&mut readable.iter().map(ready).collect(), &mut Still).expect("a turn");
}

/// A Hello of version 1, which has a Welcome of [`WELCOME`] bytes.
fn hello(agency: u32) -> Vec<u8> {
    [&[0, 8, 0, 1], agency.to_be_bytes().as_slice(), &[0, 0]].concat()
}

const WELCOME: usize = 11;
const EMPTY_BATCH: [u8; 6] = [0, 1, 0, 0, 0, 0];
const REQUEST_WINNERS: [u8; 2] = [0, 6];

const WINNERS: usize = 400_000;

/// A round of four that is drawn. Each of the first three has [`WINNERS`].
fn drawn() -> Lottery {
    let mut lottery = Lottery::new(4);
    let [first_name, last_name] = ["Ana", "Paz"].map(|name| name.try_into().expect("a name"));
    for agency in 1..=4 {
        let bets = if agency < 4 { WINNERS as u32 } else { 0 };
        for document in 1..=bets {
            let bet = Bet { agency, first_name, last_name, document, birthdate: Day::OLDEST_BIRTHDATE, number: 7574 };
            lottery.restore_bet(&bet).expect("counted");
        }
        lottery.restore_tally(agency, bets, &[]);
        lottery.restore_closing(agency, u64::from(bets)).expect("closed");
    }
    lottery
}

#[test]
fn readers_of_long_lists_share_a_turn_and_a_question_is_answered_in_it() {
    let mut server = server(drawn());
    let readers: Vec<_> = (1..=3).map(|agency| (agency, connect(&mut server))).collect();
    for (agency, (_, peer)) in &readers {
        peer.say(&[hello(*agency), REQUEST_WINNERS.to_vec()].concat());
    }
    let ids: Vec<_> = readers.iter().map(|&(_, (id, _))| id).collect();
    let (asking, honest) = connect(&mut server);
    turn(&mut server, &ids);
    let told =
        |peers: &[(u32, (ConnectionId, Peer))]| peers.iter().map(|(_, (_, peer))| peer.told()).collect::<Vec<_>>();
    let whole = WELCOME + Message::inform_winners_bytes(WINNERS);
    let mut before = vec![0; 3];
    let mut turns = 1;
    while told(&readers).iter().any(|&bytes| bytes < whole) {
        let after = told(&readers);
        let written: usize = after.iter().zip(&before).map(|(after, before)| after - before).sum();
        assert!(written <= SHARE_OF_TURN + SLICE, "{written} bytes in a turn");
        let difference = after.iter().max().zip(after.iter().min()).map(|(most, least)| most - least);
        assert!(difference <= Some(SLICE), "{after:?}");
        assert_eq!(server.time_to_sleep(Instant::now()), Some(Duration::ZERO), "no event is waited for");

        // One question a turn, and its answer in the same turn.
        let answered = honest.told();
        honest.say(&hello(4));
        turn(&mut server, &[asking]);
        assert_eq!(honest.told(), answered + WELCOME);
        before = after;
        turns += 1;
    }
    assert!(turns >= 3 * whole / (SHARE_OF_TURN + SLICE), "{turns} turns");
    assert_eq!(told(&readers), [whole; 3], "and no byte twice");
}

#[test]
fn floods_of_empty_batches_share_a_turn_and_a_question_is_answered_in_it() {
    const FLOODS: u32 = 200;
    let mut server = server(Lottery::new(FLOODS + 1));
    let floods: Vec<_> = (1..=FLOODS).map(|agency| (agency, connect(&mut server))).collect();
    let ids: Vec<_> = floods.iter().map(|&(_, (id, _))| id).collect();
    for (agency, (_, peer)) in &floods {
        peer.say(&[hello(*agency), EMPTY_BATCH.repeat(20_000)].concat());
    }
    // Each is read once, and has kept input from then on.
    while floods.iter().any(|(_, (_, peer))| peer.told() == 0) {
        turn(&mut server, &ids);
    }
    let (asking, honest) = connect(&mut server);
    for _ in 0..50 {
        let told = || floods.iter().map(|(_, (_, peer))| peer.told()).sum::<usize>();
        let (before, answered) = (told(), honest.told());
        honest.say(&hello(FLOODS + 1));
        turn(&mut server, &[asking]);
        assert_eq!(honest.told(), answered + WELCOME);
        let batches = (told() - before) / 2;
        assert!((1..=80 * 64).contains(&batches), "{batches} batches in a turn");
    }
}
