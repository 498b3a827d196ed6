//! A server core and up to eight peers that say and do anything, over a ledger that settles at once or turns later: no byte
//! of a reply exists before its commit, acknowledged bets are in the file, nothing is applied while a commit is in flight,
//! memory stays within the limits, and another server would recover to the same.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use loteria::bet::{Bet, Day, Name, load_bets};
use loteria::buffer::Buffer;
use loteria::central::credentials::Credentials;
use loteria::central::{Central, ConnectionId, Event, Limits, Now, Restore, Wants};
use loteria::config::Credential;
use loteria::ledger::file::{FileLedger, Files, SyncPolicy};
use loteria::ledger::{Ledger, Outcome};
use loteria::lottery::Lottery;
use loteria::protocol::{self, Batch, Message, MessageLimits, Scanner};
use slotmap::SlotMap;

use super::memory::Memory;
use super::script::Script;

const PEERS: usize = 8;
const AGENCIES: u32 = 3;
const SECRET: &[u8] = b"secreto";

/// Runs a core. The bytes decide what the peers do, when turns end, and when commits are settled.
pub fn central(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut world = World::new(script.is_true(), script.is_true());
    while !script.is_over() {
        world.step(&mut script);
    }
    world.settle();
    world.end_turn(false);
    world.check_recovery();
}

struct World {
    central: Central,
    ledger: FileLedger<Memory>,
    files: Files<Memory>,
    now: Now,
    ids: SlotMap<ConnectionId, ()>,
    peers: [Option<Peer>; PEERS],
    /// The outcome of the commit in flight, and the bytes that were staged when it began.
    in_flight: Option<(Outcome, usize)>,
}

struct Peer {
    id: ConnectionId,
    ended: bool,
    /// True if it began as an agency does: its replies are messages then.
    began: Option<bool>,
    /// Output that was there after the last commit and was not taken since.
    unsent: usize,
    heard: Vec<u8>,
}

fn limits() -> Limits {
    Limits {
        connections: PEERS,
        message_bytes: 600,
        batch_bets: 6,
        echo_line_bytes: 40,
        anonymous_bytes: 600,
        unsent_bytes: 64,
        ..Limits::default()
    }
}

fn recover(files: &Files<Memory>, agencies: u32) -> (FileLedger<Memory>, Lottery) {
    let mut restore = Restore::new(Lottery::new(agencies));
    let (ledger, _) = FileLedger::recover(files.clone(), SyncPolicy::Always, &mut restore).expect("it recovers");
    (ledger, restore.finish())
}

impl World {
    fn new(asks_for_credentials: bool, has_agencies: bool) -> World {
        let files = Files::default();
        let (ledger, lottery) = recover(&files, if has_agencies { AGENCIES } else { 0 });
        let secret = Credential::new(SECRET).expect("short");
        let credentials = (1..=AGENCIES).map(|agency| (agency, secret.clone()));
        let credentials = asks_for_credentials.then(|| Credentials::new(credentials));
        let today = "2026-01-01".parse().expect("a day");
        World {
            central: Central::new(limits(), credentials, lottery),
            ledger,
            files,
            now: Now { instant: Instant::now(), today },
            ids: SlotMap::new(),
            peers: std::array::from_fn(|_| None),
            in_flight: None,
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let peer = script.below(PEERS);
        match script.below(16) {
            0 => self.connect(peer),
            1 | 2 => {
                let length = script.below(256);
                let bytes = script.bytes(length).to_vec();
                self.say(peer, &bytes);
            }
            3 => self.say(peer, &hello(script)),
            4 | 5 => self.say(peer, &batch(script)),
            6 => self.say(peer, &encoded(&Message::AllBetsSent)),
            7 => self.say(peer, &encoded(&Message::RequestWinners)),
            8 => self.say(peer, &encoded(&Message::Ack)),
            9 => self.end_input(peer),
            10 => self.disconnect(peer),
            11 => self.pass_time(script.byte()),
            12 => self.files.bets.fill_up(script.below(64)),
            13 if script.is_true() => self.files.closings.fill_up(script.below(8)),
            13 => self.files.certificate.fill_up(0),
            end => {
                self.settle();
                self.end_turn(end == 15);
                (0..PEERS).for_each(|peer| self.hear(peer, script.byte()));
            }
        }
        self.check_barrier();
    }

    fn connect(&mut self, peer: usize) {
        if self.peers[peer].is_none() && !self.central.is_full() {
            let id = self.ids.insert(());
            self.central.connect(id, IpAddr::V4(Ipv4Addr::LOCALHOST), self.now);
            self.peers[peer] = Some(Peer { id, ended: false, began: None, unsent: 0, heard: Vec::new() });
        }
    }

    fn say(&mut self, peer: usize, bytes: &[u8]) {
        let Some(peer) = self.peers[peer].as_mut().filter(|peer| !peer.ended) else { return };
        if self.central.wants(peer.id) == Wants::Turn {
            self.central.on(peer.id, Event::Turn, self.now);
        }
        if self.central.wants(peer.id) == Wants::Input {
            peer.began = peer.began.or(bytes.first().map(|&first| first == protocol::FIRST_BYTE));
            self.central.on(peer.id, Event::Received(bytes), self.now);
        }
    }

    fn end_input(&mut self, peer: usize) {
        let Some(peer) = self.peers[peer].as_mut().filter(|peer| !peer.ended) else { return };
        if self.central.wants(peer.id) == Wants::Input {
            peer.ended = true;
            self.central.on(peer.id, Event::Ended, self.now);
        }
    }

    fn disconnect(&mut self, peer: usize) {
        if let Some(peer) = self.peers[peer].take() {
            self.central.on(peer.id, Event::Lost, self.now);
            self.ids.remove(peer.id);
        }
    }

    fn pass_time(&mut self, seconds: u8) {
        self.now.instant += Duration::from_secs(seconds.into());
        for peer in self.peers.iter_mut().flatten() {
            if self.central.deadline(peer.id).is_some_and(|deadline| deadline <= self.now.instant) {
                self.central.on(peer.id, Event::Expired, self.now);
                assert_eq!(self.central.wants(peer.id), Wants::Close, "a deadline passes, and nothing happens");
                peer.unsent = 0;
            }
        }
    }

    /// Takes up to `bytes` of the output to a peer, as a socket would.
    fn hear(&mut self, index: usize, bytes: u8) {
        let Some(peer) = self.peers[index].as_mut() else { return };
        let unsent = self.central.unsent(peer.id);
        let taken = unsent.len().min(bytes.into());
        peer.heard.extend_from_slice(&unsent[..taken]);
        self.central.on(peer.id, Event::Sent(taken), self.now);
        peer.unsent = self.central.unsent(peer.id).len();
        match self.central.wants(peer.id) {
            Wants::Close => {
                if peer.began == Some(true) {
                    check_replies(&peer.heard, self.central.lottery());
                }
                self.disconnect(index);
            }
            Wants::Turn => self.central.on(peer.id, Event::Turn, self.now),
            Wants::Input | Wants::Settlement | Wants::Room | Wants::Draw => {}
        }
    }

    /// Ends a turn. With `late`, the commit of what it has staged stays in flight.
    fn end_turn(&mut self, late: bool) {
        if let Some(commit) = self.central.seal(self.now) {
            self.ledger.begin(commit);
            let outcome = self.ledger.poll().expect("a file settles at once");
            self.in_flight = Some((outcome, self.central.staged_bytes()));
        }
        if !late {
            self.settle();
        }
        self.look_at_output();
    }

    fn settle(&mut self) {
        if let Some((outcome, _)) = self.in_flight.take() {
            self.central.settle(outcome, self.now).expect("cutting back never fails here");
            self.look_at_output();
        }
    }

    /// Replies may come to exist here.
    fn look_at_output(&mut self) {
        self.central.take_dirty();
        let lottery = self.central.lottery();
        let winners = (1..=lottery.agencies()).filter_map(|agency| lottery.winners(agency));
        let largest = Message::inform_winners_bytes(winners.map(<[u32]>::len).max().unwrap_or(0)).max(600);
        for peer in self.peers.iter_mut().flatten() {
            peer.unsent = self.central.unsent(peer.id).len();
            assert!(peer.unsent < limits().unsent_bytes + 2 * largest, "{} bytes of replies", peer.unsent);
        }
        if self.in_flight.is_none() {
            self.check_file();
        }
    }

    fn check_barrier(&self) {
        // An echo needs no commit.
        for peer in self.peers.iter().flatten().filter(|peer| peer.began != Some(false)) {
            let unsent = self.central.unsent(peer.id).len();
            assert!(unsent <= peer.unsent, "a reply exists before its commit");
        }
        assert_eq!(self.central.is_in_flight(), self.in_flight.is_some());
        if let Some((_, staged)) = &self.in_flight {
            assert_eq!(self.central.staged_bytes(), *staged, "bets are staged while a commit is in flight");
        }
        // The core compares its budget with what sessions keep.
        self.central.status();
    }

    /// The lottery counts the bets as stored that the file holds.
    fn check_file(&self) {
        let bytes = self.files.bets.bytes();
        let mut rows = load_bets(bytes.as_slice());
        let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
        while let Some(bet) = rows.next_bet().expect("only whole rows are committed") {
            *counts.entry(bet.agency).or_default() += 1;
        }
        let lottery = self.central.lottery();
        for agency in 1..=lottery.agencies() {
            assert_eq!(lottery.stored(agency).bets, counts.remove(&agency).unwrap_or(0), "of agency {agency}");
        }
        assert!(counts.is_empty(), "bets of agencies that do not take part: {counts:?}");
    }

    fn check_recovery(&self) {
        let before = self.central.lottery();
        let (_, after) = recover(&self.files, before.agencies());
        for agency in 1..=before.agencies() {
            assert_eq!(after.standing(agency), before.standing(agency));
            assert_eq!(after.stored(agency), before.stored(agency));
            assert_eq!(after.winners(agency), before.winners(agency));
        }
    }
}

/// A lottery session is told nothing but replies, and no winners before the draw.
fn check_replies(heard: &[u8], lottery: &Lottery) {
    let mut scanner = Scanner::new(MessageLimits { message_bytes: 1 << 20, batch_bets: 0 });
    let mut rest = heard;
    while let Some(length) = scanner.scan(rest).expect("messages") {
        match Message::decode(&rest[..length]).expect("a message") {
            Message::RegisterBetOk
            | Message::RegisterBetFailed(_)
            | Message::Refused { .. }
            | Message::Welcome { .. }
            | Message::Welcome2 { .. } => {}
            Message::InformWinners(_) => assert!(lottery.is_drawn(), "winners before the draw"),
            other => panic!("the server says {other:?}"),
        }
        rest = &rest[length..];
    }
}

fn encoded(message: &Message<'_>) -> Vec<u8> {
    let mut bytes = Buffer::new();
    message.encode(&mut bytes);
    bytes.into()
}

fn hello(script: &mut Script<'_>) -> Vec<u8> {
    let agency = script.below(AGENCIES as usize + 2) as u32;
    let credential: &[u8] = if script.is_true() { SECRET } else { script.bytes(3) };
    let version = script.below(usize::from(protocol::VERSION) + 2) as u16;
    encoded(&Message::Hello { version, agency, credential })
}

fn batch(script: &mut Script<'_>) -> Vec<u8> {
    let mut bytes = Buffer::new();
    let mut batch = Batch::begin(&mut bytes);
    let agency = script.below(AGENCIES as usize + 2) as u32;
    let ana = Name::try_from("Ana").expect("a name");
    for _ in 0..script.below(5) {
        let name = name(script);
        let bet = Bet {
            agency: if script.byte() == 1 { script.number() } else { agency },
            first_name: Name::try_from(name.as_str()).unwrap_or(ana),
            last_name: ana,
            document: if script.byte() == 1 { script.number() } else { 30_904_465 },
            birthdate: Day::OLDEST_BIRTHDATE,
            number: if script.byte() == 1 { script.number() } else { 7574 },
        };
        let _ = batch.push(&bet);
    }
    batch.finish();
    bytes.into()
}

/// A name, which is valid unless it begins with a control character.
fn name(script: &mut Script<'_>) -> String {
    let bytes = script.below(20);
    let name = String::from_utf8_lossy(script.bytes(bytes)).into_owned();
    if name.starts_with(char::is_control) { name } else { name.replace(char::is_control, "ñ") }
}
