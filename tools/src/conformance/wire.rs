//! The wire as `protocol.md` has it, written from that page. It shares nothing with the project's own protocol code, so that
//! it finds errors in it.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use byteorder::{BigEndian, ByteOrder};
use socket2::SockRef;

pub const ACK: &[u8] = &[0, 4];
pub const ALL_BETS_SENT: &[u8] = &[0, 5];
pub const REQUEST_WINNERS: &[u8] = &[0, 6];

/// Time in which something that must not come would have come.
pub const QUIET: Duration = Duration::from_millis(300);

/// Time between two bytes that must arrive apart.
pub const BETWEEN_PIECES: Duration = Duration::from_millis(3);

/// A bet, valid or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bet {
    pub agency: u32,
    pub first_name: Vec<u8>,
    pub last_name: Vec<u8>,
    pub document: u32,
    pub birthdate: i64,
    pub number: u32,
}

impl Bet {
    /// A valid bet, born on 2000-01-01.
    pub fn of(agency: u32, document: u32, number: u32) -> Bet {
        let (first_name, last_name) = ("Íñigo".as_bytes().to_vec(), b"Paz".to_vec());
        Bet { agency, first_name, last_name, document, birthdate: 946_684_800, number }
    }

    /// Its length and its fields, as RegisterBets carries it.
    pub fn bytes(&self) -> Vec<u8> {
        let mut fields = self.agency.to_be_bytes().to_vec();
        for name in [&self.first_name, &self.last_name] {
            fields.extend((name.len() as u32).to_be_bytes());
            fields.extend(name);
        }
        fields.extend(self.document.to_be_bytes());
        fields.extend(self.birthdate.to_be_bytes());
        fields.extend(self.number.to_be_bytes());
        let mut bytes = (fields.len() as u64).to_be_bytes().to_vec();
        bytes.append(&mut fields);
        bytes
    }

    /// The bet at the front of `bytes`, without its length, which must be all of them.
    fn parse(bytes: &[u8]) -> Option<Bet> {
        let (agency, rest) = split_u32(bytes)?;
        let (length, rest) = split_u32(rest)?;
        let (first_name, rest) = rest.split_at_checked(length as usize)?;
        let (length, rest) = split_u32(rest)?;
        let (last_name, rest) = rest.split_at_checked(length as usize)?;
        let (document, rest) = split_u32(rest)?;
        let (birthdate, rest) = rest.split_at_checked(8)?;
        let (number, rest) = split_u32(rest)?;
        let [first_name, last_name] = [first_name, last_name].map(<[u8]>::to_vec);
        let birthdate = BigEndian::read_i64(birthdate);
        rest.is_empty().then_some(Bet { agency, first_name, last_name, document, birthdate, number })
    }
}

fn split_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (value, rest) = bytes.split_at_checked(4)?;
    Some((BigEndian::read_u32(value), rest))
}

/// The bytes that `bets` are in a RegisterBets, behind its count.
pub fn encoded(bets: &[Bet]) -> Vec<u8> {
    bets.iter().flat_map(Bet::bytes).collect()
}

/// The checksum of `bets`, if they are all that is stored of an agency.
pub fn checksum(bets: &[Bet]) -> u32 {
    crc32fast::hash(&encoded(bets))
}

/// A RegisterBets.
pub fn batch(bets: &[Bet]) -> Vec<u8> {
    [&[0, 1], (bets.len() as u32).to_be_bytes().as_slice(), &encoded(bets)].concat()
}

/// A Hello.
pub fn hello(version: u16, agency: u32, credential: &str) -> Vec<u8> {
    let length = credential.len() as u16;
    [&[0, 8], &version.to_be_bytes()[..], &agency.to_be_bytes(), &length.to_be_bytes(), credential.as_bytes()].concat()
}

/// A message, or what comes in place of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    RegisterBets(Vec<Bet>),
    RegisterBetOk,
    /// RegisterBetFailed, or Refused if there is a position.
    Refused {
        code: u16,
        position: Option<u32>,
    },
    Ack,
    AllBetsSent,
    RequestWinners,
    InformWinners(Vec<u32>),
    Hello {
        version: u16,
        agency: u32,
        credential: Vec<u8>,
    },
    /// Welcome, or Welcome2 if there is a checksum.
    Welcome {
        stored: u64,
        state: u8,
        checksum: Option<u32>,
    },
    /// Bytes that are no message.
    Undefined(Vec<u8>),
    /// The end of the stream.
    End,
    /// The connection was reset.
    Reset,
    /// Nothing came in time.
    Nothing,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Seen::RegisterBets(bets) => write!(f, "RegisterBets with {} bets", bets.len()),
            Seen::Refused { code, position: None } => write!(f, "RegisterBetFailed with code {code}"),
            Seen::Refused { code, position: Some(position) } => {
                write!(f, "Refused with code {code}, position {position}")
            }
            Seen::InformWinners(documents) if documents.len() > 8 => {
                write!(f, "InformWinners of {}", documents.len())
            }
            Seen::InformWinners(documents) => write!(f, "InformWinners {documents:?}"),
            Seen::Hello { version, agency, .. } => write!(f, "Hello of version {version}, agency {agency}"),
            Seen::Welcome { stored, state, checksum: None } => write!(f, "Welcome with {stored} bets, state {state}"),
            Seen::Welcome { stored, state, checksum: Some(checksum) } => {
                write!(f, "Welcome2 with {stored} bets, state {state}, checksum {checksum:08x}")
            }
            Seen::Undefined(bytes) => write!(f, "no message: {:02x?}", &bytes[..bytes.len().min(16)]),
            Seen::End => f.write_str("the end of the stream"),
            Seen::Reset => f.write_str("a reset"),
            Seen::Nothing => f.write_str("nothing"),
            named => write!(f, "{named:?}"),
        }
    }
}

impl Seen {
    /// The bytes of a reply.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Seen::RegisterBetOk => vec![0, 2],
            Seen::Refused { code, position: None } => [&[0, 3][..], &code.to_be_bytes()].concat(),
            Seen::Refused { code, position: Some(position) } => {
                [&[0, 11][..], &code.to_be_bytes(), &position.to_be_bytes()].concat()
            }
            Seen::InformWinners(documents) => {
                let count = (documents.len() as u64).to_be_bytes();
                let documents: Vec<u8> = documents.iter().flat_map(|document| document.to_be_bytes()).collect();
                [&[0, 7], count.as_slice(), &documents].concat()
            }
            Seen::Welcome { stored, state, checksum } => {
                let checksum = checksum.map(u32::to_be_bytes);
                let message_type = if checksum.is_some() { 10 } else { 9 };
                let mut bytes = [&[0, message_type], stored.to_be_bytes().as_slice(), &[*state]].concat();
                bytes.extend(checksum.iter().flatten());
                bytes
            }
            Seen::Undefined(bytes) => bytes.clone(),
            _ => Vec::new(),
        }
    }
}

/// The reply that refuses with `code`, in the words of `version`, for no bet.
pub fn refused(version: u16, code: u16) -> Seen {
    Seen::Refused { code, position: (version == 2).then_some(0) }
}

/// One side of a connection.
#[derive(Debug)]
pub struct Wire {
    socket: TcpStream,
    /// Longest time for anything that must come.
    patience: Duration,
    received: Vec<u8>,
}

impl Wire {
    pub fn new(socket: TcpStream, patience: Duration) -> Wire {
        // Fails on a connection that is gone, which the next read reports.
        let _ = socket.set_nodelay(true);
        let _ = socket.set_write_timeout(Some(patience));
        Wire { socket, patience, received: Vec::new() }
    }

    pub fn connect(address: SocketAddr, patience: Duration) -> std::io::Result<Wire> {
        Ok(Wire::new(TcpStream::connect_timeout(&address, patience)?, patience))
    }

    /// Sends bytes. An error is seen by the next read.
    pub fn send(&mut self, bytes: &[u8]) -> &mut Wire {
        let _ = self.socket.write_all(bytes);
        self
    }

    /// Ends this side.
    pub fn end(&mut self) -> &mut Wire {
        let _ = self.socket.shutdown(Shutdown::Write);
        self
    }

    /// Lets the end of this side be a reset.
    pub fn reset(&self) {
        // Fails on a connection that is gone, which is as good.
        let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }

    /// Reads `count` bytes and drops them, unless the stream ends before.
    pub fn read_bytes(&mut self, count: usize) {
        let _ = self.socket.set_read_timeout(Some(self.patience));
        let _ = self.socket.read_exact(&mut vec![0; count]);
    }

    /// The next message, or what comes in its place, within its patience.
    pub fn read(&mut self) -> Seen {
        self.read_within(self.patience)
    }

    pub fn read_within(&mut self, time: Duration) -> Seen {
        let until = Instant::now() + time;
        loop {
            if let Some((seen, length)) = parse(&self.received) {
                self.received.drain(..length);
                return seen;
            }
            match self.fill(until) {
                Ok(()) => {}
                // A part of a message is not a message, whatever ends it.
                Err(_) if !self.received.is_empty() => return Seen::Undefined(std::mem::take(&mut self.received)),
                Err(seen) => return seen,
            }
        }
    }

    /// Bytes up to the end of the stream, and the end.
    pub fn read_to_end(&mut self) -> (Vec<u8>, Seen) {
        let until = Instant::now() + self.patience;
        loop {
            if let Err(seen) = self.fill(until) {
                return (std::mem::take(&mut self.received), seen);
            }
        }
    }

    fn fill(&mut self, until: Instant) -> Result<(), Seen> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || self.socket.set_read_timeout(Some(left)).is_err() {
            return Err(Seen::Nothing);
        }
        let mut bytes = [0; 1 << 16];
        match self.socket.read(&mut bytes) {
            Ok(0) => Err(Seen::End),
            Ok(count) => {
                self.received.extend(&bytes[..count]);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Err(Seen::Nothing),
            Err(_) => Err(Seen::Reset),
        }
    }
}

/// The message at the front of `bytes` and its length; `None` if it is not whole.
pub fn parse(bytes: &[u8]) -> Option<(Seen, usize)> {
    let (head, body) = bytes.split_at_checked(2)?;
    let (seen, length) = match BigEndian::read_u16(head) {
        1 => return parse_batch(bytes),
        2 => (Seen::RegisterBetOk, 0),
        3 => (Seen::Refused { code: BigEndian::read_u16(body.get(..2)?), position: None }, 2),
        4 => (Seen::Ack, 0),
        5 => (Seen::AllBetsSent, 0),
        6 => (Seen::RequestWinners, 0),
        7 => {
            let count = BigEndian::read_u64(body.get(..8)?);
            // A test has few bets: a count beyond is a lie, and its documents are not waited for.
            if count > 1 << 20 {
                return Some((Seen::Undefined(bytes.to_vec()), bytes.len()));
            }
            let documents = body.get(8..8 + 4 * count as usize)?;
            let documents: Vec<u32> = documents.chunks(4).map(BigEndian::read_u32).collect();
            (Seen::InformWinners(documents), 8 + 4 * count as usize)
        }
        8 => {
            let fixed = body.get(..8)?;
            let length = usize::from(BigEndian::read_u16(&fixed[6..]));
            let (version, agency) = (BigEndian::read_u16(fixed), BigEndian::read_u32(&fixed[2..]));
            (Seen::Hello { version, agency, credential: body.get(8..8 + length)?.to_vec() }, 8 + length)
        }
        9 => {
            let (stored, state) = (BigEndian::read_u64(body.get(..8)?), *body.get(8)?);
            (Seen::Welcome { stored, state, checksum: None }, 9)
        }
        10 => {
            let fields = body.get(..13)?;
            let (stored, checksum) = (BigEndian::read_u64(fields), Some(BigEndian::read_u32(&fields[9..])));
            (Seen::Welcome { stored, state: fields[8], checksum }, 13)
        }
        11 => {
            let fields = body.get(..6)?;
            let (code, position) = (BigEndian::read_u16(fields), Some(BigEndian::read_u32(&fields[2..])));
            (Seen::Refused { code, position }, 6)
        }
        _ => return Some((Seen::Undefined(bytes.to_vec()), bytes.len())),
    };
    Some((seen, 2 + length))
}

fn parse_batch(bytes: &[u8]) -> Option<(Seen, usize)> {
    let undefined = Some((Seen::Undefined(bytes.to_vec()), bytes.len()));
    let (count, _) = split_u32(bytes.get(2..)?)?;
    let (mut bets, mut at) = (Vec::new(), 6);
    for _ in 0..count {
        let length = BigEndian::read_u64(bytes.get(at..at + 8)?);
        if length > 1 << 16 {
            return undefined;
        }
        let Some(bet) = Bet::parse(bytes.get(at + 8..at + 8 + length as usize)?) else { return undefined };
        bets.push(bet);
        at += 8 + length as usize;
    }
    Some((Seen::RegisterBets(bets), at))
}
