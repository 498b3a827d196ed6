//! Messages that own their parts, so that tests can generate and compare them.

use loteria::bet::{Bet, Day, Tally};
use loteria::buffer::Buffer;
use loteria::protocol::{AgencyState, Batch, ErrorCode, Malformed, Message, MessageLimits, Scanner};

/// A message that owns its parts.
#[derive(Clone, Debug, PartialEq)]
pub enum Owned {
    RegisterBets(Vec<OwnedBet>),
    RegisterBetOk,
    RegisterBetFailed(ErrorCode),
    Ack,
    AllBetsSent,
    RequestWinners,
    InformWinners(Vec<u32>),
    Hello { version: u16, agency: u32, credential: Vec<u8> },
    Welcome { stored: u64, state: AgencyState },
    Welcome2 { stored: Tally, state: AgencyState },
    Refused { code: ErrorCode, position: u32 },
}

/// A bet that owns its names, or the fault of one that is invalid.
#[derive(Clone, Debug, PartialEq)]
pub enum OwnedBet {
    Bet { agency: u32, names: [String; 2], document: u32, birthdate: Day, number: u32 },
    Fault(String),
}

impl Owned {
    pub fn encode(&self, output: &mut Buffer) {
        match self {
            Owned::RegisterBets(bets) => {
                let mut batch = Batch::begin(output);
                for bet in bets {
                    let OwnedBet::Bet { agency, names: [first_name, last_name], document, birthdate, number } = bet
                    else {
                        panic!("a fault has no bytes")
                    };
                    let (agency, document, birthdate, number) = (*agency, *document, *birthdate, *number);
                    let [first_name, last_name] =
                        [first_name, last_name].map(|name| name.as_str().try_into().expect("a name"));
                    batch.push(&Bet { agency, first_name, last_name, document, birthdate, number }).expect("room");
                }
                assert_eq!(batch.finish() as usize, bets.len());
            }
            Owned::RegisterBetOk => Message::RegisterBetOk.encode(output),
            Owned::RegisterBetFailed(code) => Message::RegisterBetFailed(*code).encode(output),
            Owned::Ack => Message::Ack.encode(output),
            Owned::AllBetsSent => Message::AllBetsSent.encode(output),
            Owned::RequestWinners => Message::RequestWinners.encode(output),
            Owned::InformWinners(documents) => {
                Message::encode_winners_head(documents.len(), output);
                Message::encode_documents(documents, output);
            }
            Owned::Hello { version, agency, credential } => {
                Message::Hello { version: *version, agency: *agency, credential }.encode(output);
            }
            Owned::Welcome { stored, state } => Message::Welcome { stored: *stored, state: *state }.encode(output),
            Owned::Welcome2 { stored, state } => Message::Welcome2 { stored: *stored, state: *state }.encode(output),
            Owned::Refused { code, position } => Message::Refused { code: *code, position: *position }.encode(output),
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Buffer::new();
        self.encode(&mut bytes);
        bytes.into()
    }

    pub fn name(&self) -> &'static str {
        match self {
            Owned::RegisterBets(_) => "RegisterBets",
            Owned::RegisterBetOk => "RegisterBetOk",
            Owned::RegisterBetFailed(_) => "RegisterBetFailed",
            Owned::Ack => "Ack",
            Owned::AllBetsSent => "AllBetsSent",
            Owned::RequestWinners => "RequestWinners",
            Owned::InformWinners(_) => "InformWinners",
            Owned::Hello { .. } => "Hello",
            Owned::Welcome { .. } => "Welcome",
            Owned::Welcome2 { .. } => "Welcome2",
            Owned::Refused { .. } => "Refused",
        }
    }
}

impl From<Message<'_>> for Owned {
    fn from(message: Message<'_>) -> Owned {
        match message {
            Message::RegisterBets(bets) => Owned::RegisterBets(
                bets.map(|bet| match bet {
                    Ok(Bet { agency, first_name, last_name, document, birthdate, number }) => {
                        let names = [first_name, last_name].map(|name| name.as_str().to_owned());
                        OwnedBet::Bet { agency, names, document, birthdate, number }
                    }
                    Err(fault) => OwnedBet::Fault(fault.to_string()),
                })
                .collect(),
            ),
            Message::RegisterBetOk => Owned::RegisterBetOk,
            Message::RegisterBetFailed(code) => Owned::RegisterBetFailed(code),
            Message::Ack => Owned::Ack,
            Message::AllBetsSent => Owned::AllBetsSent,
            Message::RequestWinners => Owned::RequestWinners,
            Message::InformWinners(documents) => Owned::InformWinners(documents.iter().collect()),
            Message::Hello { version, agency, credential } => {
                Owned::Hello { version, agency, credential: credential.to_vec() }
            }
            Message::Welcome { stored, state } => Owned::Welcome { stored, state },
            Message::Welcome2 { stored, state } => Owned::Welcome2 { stored, state },
            Message::Refused { code, position } => Owned::Refused { code, position },
        }
    }
}

/// The result of reading a stream: its messages, the error that ended it, and the number of bytes left.
#[derive(Debug, PartialEq)]
pub struct Read {
    pub messages: Vec<Owned>,
    pub malformed: Option<Malformed>,
    pub left: usize,
}

/// Reads `stream` in pieces of these sizes, which repeat. Every frame must be within `limits` and encode to the bytes that
/// it was decoded from.
pub fn read(stream: &[u8], pieces: &[usize], limits: MessageLimits) -> Read {
    let mut read = Read { messages: Vec::new(), malformed: None, left: 0 };
    let mut scanner = Scanner::new(limits);
    let (mut start, mut arrived) = (0, 0);
    for piece in pieces.iter().cycle() {
        arrived = stream.len().min(arrived + piece);
        loop {
            match scanner.scan(&stream[start..arrived]) {
                Ok(Some(length)) => {
                    assert!((2..=limits.message_bytes).contains(&length), "{length}");
                    let frame = &stream[start..start + length];
                    start += length;
                    match Message::decode(frame) {
                        Ok(message) => read.messages.push(check_frame(frame, message, limits)),
                        Err(malformed) => read.malformed = Some(malformed),
                    }
                }
                Ok(None) => break,
                Err(malformed) => read.malformed = Some(malformed),
            }
            if read.malformed.is_some() {
                return read;
            }
        }
        if arrived == stream.len() {
            break;
        }
    }
    read.left = stream.len() - start;
    read
}

fn check_frame(frame: &[u8], message: Message<'_>, limits: MessageLimits) -> Owned {
    let mut encoded = Buffer::new();
    message.encode(&mut encoded);
    assert_eq!(*encoded, *frame, "encode is the inverse of decode");
    let owned = Owned::from(message);
    if let Owned::RegisterBets(bets) = &owned {
        assert!(bets.len() <= limits.batch_bets as usize, "{}", bets.len());
    }
    owned
}
