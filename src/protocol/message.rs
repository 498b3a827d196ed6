//! The nine messages, their bytes, and the codes that some of them carry.

use std::fmt;

use byteorder::{BigEndian, ByteOrder, WriteBytesExt};
use thiserror::Error;

use super::bets::Bets;
use super::scanner::Malformed;
use crate::buffer::Buffer;

/// Bytes of a message's type.
pub(super) const TYPE_BYTES: usize = 2;

/// What a message is: its first two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum MessageType {
    /// Agency to central: a batch of bets.
    RegisterBets = 1,
    /// Central to agency: the batch is stored.
    RegisterBetOk = 2,
    /// Central to agency: what was asked is refused.
    RegisterBetFailed = 3,
    /// Agency to central: says nothing, needed by nobody.
    Ack = 4,
    /// Agency to central: no more bets will come.
    AllBetsSent = 5,
    /// Agency to central: who won, of mine?
    RequestWinners = 6,
    /// Central to agency: these won.
    InformWinners = 7,
    /// Agency to central: who I am.
    Hello = 8,
    /// Central to agency: how many of your bets are stored.
    Welcome = 9,
}

impl MessageType {
    /// The type with this code on the wire.
    ///
    /// # Errors
    /// [`Malformed::UnknownType`] if there is none.
    pub fn from_code(code: u16) -> Result<MessageType, Malformed> {
        Ok(match code {
            1 => MessageType::RegisterBets,
            2 => MessageType::RegisterBetOk,
            3 => MessageType::RegisterBetFailed,
            4 => MessageType::Ack,
            5 => MessageType::AllBetsSent,
            6 => MessageType::RequestWinners,
            7 => MessageType::InformWinners,
            8 => MessageType::Hello,
            9 => MessageType::Welcome,
            _ => return Err(Malformed::UnknownType(code)),
        })
    }
}

/// One whole message, its variable parts borrowed from the bytes it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A batch of bets, all of one agency.
    RegisterBets(Bets<'a>),
    /// Every bet of the batch is stored.
    RegisterBetOk,
    /// The request is refused, and why.
    RegisterBetFailed(ErrorCode),
    /// Nothing.
    Ack,
    /// The agency has no more bets.
    AllBetsSent,
    /// The agency asks for its winners.
    RequestWinners,
    /// The documents of the agency's winners, in the order of their bets.
    InformWinners(Documents<'a>),
    /// The agency says who it is.
    Hello {
        /// The protocol version it speaks, see [`super::VERSION`].
        version: u16,
        /// Its number, from 1.
        agency: u32,
        /// What proves that it is that agency; empty where nothing is asked.
        credential: &'a [u8],
    },
    /// The central says where the agency stands.
    Welcome {
        /// How many bets of the agency are stored.
        stored: u64,
        /// Whether more are taken.
        state: AgencyState,
    },
}

impl<'a> Message<'a> {
    /// The message that `frame` is: exactly the bytes that a [`super::Scanner`] found to be one.
    ///
    /// # Errors
    /// If the parts do not fit, or a value is not defined. The bets of a batch are looked at only as they are iterated.
    pub fn decode(frame: &'a [u8]) -> Result<Message<'a>, Malformed> {
        let (head, body) = frame.split_at_checked(TYPE_BYTES).ok_or(Malformed::Length)?;
        let message_type = MessageType::from_code(BigEndian::read_u16(head))?;
        let message = match (message_type, body) {
            (MessageType::RegisterBets, _) => {
                let (count, bets) = body.split_at_checked(4).ok_or(Malformed::Length)?;
                Message::RegisterBets(Bets::new(BigEndian::read_u32(count), bets))
            }
            (MessageType::RegisterBetOk, []) => Message::RegisterBetOk,
            (MessageType::RegisterBetFailed, [_, _]) => {
                let code = ErrorCode::from_code(BigEndian::read_u16(body)).ok_or(Malformed::Value)?;
                Message::RegisterBetFailed(code)
            }
            (MessageType::Ack, []) => Message::Ack,
            (MessageType::AllBetsSent, []) => Message::AllBetsSent,
            (MessageType::RequestWinners, []) => Message::RequestWinners,
            (MessageType::InformWinners, _) => {
                let (count, documents) = body.split_at_checked(8).ok_or(Malformed::Length)?;
                if BigEndian::read_u64(count).checked_mul(4) != Some(documents.len() as u64) {
                    return Err(Malformed::Length);
                }
                Message::InformWinners(Documents(documents))
            }
            (MessageType::Hello, _) => {
                let (head, credential) = body.split_at_checked(8).ok_or(Malformed::Length)?;
                if usize::from(BigEndian::read_u16(&head[6..])) != credential.len() {
                    return Err(Malformed::Length);
                }
                let (version, agency) = (BigEndian::read_u16(head), BigEndian::read_u32(&head[2..]));
                Message::Hello { version, agency, credential }
            }
            (MessageType::Welcome, &[.., state]) if body.len() == 9 => Message::Welcome {
                stored: BigEndian::read_u64(body),
                state: AgencyState::from_code(state).ok_or(Malformed::Value)?,
            },
            _ => return Err(Malformed::Length),
        };
        Ok(message)
    }

    /// Appends this message's bytes to `output`.
    pub fn encode(&self, output: &mut Buffer) {
        match *self {
            Message::RegisterBets(bets) => {
                put_type(output, MessageType::RegisterBets);
                put_u32(output, bets.remaining());
                output.extend_from_slice(bets.as_bytes());
            }
            Message::RegisterBetOk => put_type(output, MessageType::RegisterBetOk),
            Message::RegisterBetFailed(code) => {
                put_type(output, MessageType::RegisterBetFailed);
                put_u16(output, code as u16);
            }
            Message::Ack => put_type(output, MessageType::Ack),
            Message::AllBetsSent => put_type(output, MessageType::AllBetsSent),
            Message::RequestWinners => put_type(output, MessageType::RequestWinners),
            Message::InformWinners(documents) => {
                Message::encode_winners_head(documents.len(), output);
                output.extend_from_slice(documents.0);
            }
            Message::Hello { version, agency, credential } => {
                debug_assert!(credential.len() <= super::MAX_CREDENTIAL_BYTES, "checked where it was configured");
                put_type(output, MessageType::Hello);
                put_u16(output, version);
                put_u32(output, agency);
                put_u16(output, credential.len() as u16);
                output.extend_from_slice(credential);
            }
            Message::Welcome { stored, state } => {
                put_type(output, MessageType::Welcome);
                put_u64(output, stored);
                output.extend_from_slice(&[state as u8]);
            }
        }
    }

    /// Appends an InformWinners with `winners` documents, up to where [those](Message::encode_documents) follow.
    pub fn encode_winners_head(winners: usize, output: &mut Buffer) {
        put_type(output, MessageType::InformWinners);
        put_u64(output, winners as u64);
    }

    /// Appends documents of an InformWinners.
    pub fn encode_documents(documents: &[u32], output: &mut Buffer) {
        documents.iter().for_each(|&document| put_u32(output, document));
    }

    /// Bytes of an InformWinners with `winners` documents.
    pub fn inform_winners_bytes(winners: usize) -> usize {
        TYPE_BYTES + 8 + 4 * winners
    }
}

const BUFFER_GROWS: &str = "writing to a Buffer cannot fail";

pub(super) fn put_type(output: &mut Buffer, message_type: MessageType) {
    put_u16(output, message_type as u16);
}

fn put_u16(output: &mut Buffer, value: u16) {
    output.write_u16::<BigEndian>(value).expect(BUFFER_GROWS);
}

pub(super) fn put_u32(output: &mut Buffer, value: u32) {
    output.write_u32::<BigEndian>(value).expect(BUFFER_GROWS);
}

fn put_u64(output: &mut Buffer, value: u64) {
    output.write_u64::<BigEndian>(value).expect(BUFFER_GROWS);
}

/// The documents of an InformWinners, as they came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Documents<'a>(&'a [u8]);

impl Documents<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len() / 4
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.chunks_exact(4).map(BigEndian::read_u32)
    }
}

impl fmt::Debug for Documents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// What a Welcome says of an agency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AgencyState {
    /// Its bets are taken.
    Open = 0,
    /// Its AllBetsSent is stored.
    Closed = 1,
    /// The draw has happened.
    Drawn = 2,
}

impl AgencyState {
    fn from_code(code: u8) -> Option<AgencyState> {
        [AgencyState::Open, AgencyState::Closed, AgencyState::Drawn].into_iter().find(|state| *state as u8 == code)
    }
}

/// Why the central refuses, as RegisterBetFailed says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[repr(u16)]
pub enum ErrorCode {
    /// No message that an agency may send has this type.
    #[error("unknown message type")]
    UnknownType = 1,
    /// A bet of the batch is not valid; nothing of the batch is stored.
    #[error("a bet is not valid")]
    InvalidBet = 2,
    /// Lengths that do not fit, bad UTF-8, over a limit.
    #[error("malformed message")]
    Malformed = 3,
    /// A bet or a Hello names another agency than the connection's.
    #[error("another agency than the connection's")]
    OtherAgency = 4,
    /// The agency is not one of 1 to `NUM_AGENCIES`.
    #[error("no such agency")]
    NoSuchAgency = 5,
    /// The agency has closed, or the draw has happened, or it has as many bets as it may: no more bets.
    #[error("the agency has closed, or has as many bets as it may")]
    Closed = 6,
    /// AllBetsSent or RequestWinners before the connection has an agency.
    #[error("the connection has no agency yet")]
    NoAgency = 7,
    /// The credential is missing or wrong.
    #[error("credential missing or wrong")]
    Credential = 8,
    /// It could not be stored, and nothing of it was.
    #[error("could not be stored")]
    NotStored = 9,
    /// A newer connection of the same agency took over.
    #[error("a newer connection of the same agency took over")]
    TakenOver = 10,
    /// The Hello says a version that the central does not speak.
    #[error("protocol version not spoken")]
    Version = 11,
    /// Too many connections, or too much of unfinished messages of those without an agency, or shutting down.
    #[error("too many connections or unfinished messages, or shutting down")]
    Unavailable = 12,
}

impl ErrorCode {
    /// Every code, from 1 up.
    pub const ALL: [ErrorCode; 12] = [
        ErrorCode::UnknownType,
        ErrorCode::InvalidBet,
        ErrorCode::Malformed,
        ErrorCode::OtherAgency,
        ErrorCode::NoSuchAgency,
        ErrorCode::Closed,
        ErrorCode::NoAgency,
        ErrorCode::Credential,
        ErrorCode::NotStored,
        ErrorCode::TakenOver,
        ErrorCode::Version,
        ErrorCode::Unavailable,
    ];

    /// The code with this number on the wire.
    pub fn from_code(code: u16) -> Option<ErrorCode> {
        ErrorCode::ALL.into_iter().find(|error| *error as u16 == code)
    }

    /// Whether the central closes the connection after saying it.
    pub fn closes(self) -> bool {
        !matches!(self, ErrorCode::InvalidBet | ErrorCode::OtherAgency | ErrorCode::Closed)
    }
}

impl From<Malformed> for ErrorCode {
    fn from(malformed: Malformed) -> ErrorCode {
        match malformed {
            Malformed::UnknownType(_) => ErrorCode::UnknownType,
            _ => ErrorCode::Malformed,
        }
    }
}
