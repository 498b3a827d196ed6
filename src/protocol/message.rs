//! The messages and their bytes. Numbers are big-endian.

use std::fmt;

use byteorder::{BigEndian, ByteOrder};

use super::bets::Bets;
use super::codes::{AgencyState, ErrorCode};
use super::scanner::Malformed;
use crate::bet::Tally;
use crate::buffer::Buffer;

/// Bytes of the type, which every message begins with.
pub(super) const TYPE_BYTES: usize = 2;

/// Type of a message: its first two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum MessageType {
    /// Agency to server: a batch of bets.
    RegisterBets = 1,
    /// Server to agency: the batch is stored.
    RegisterBetOk = 2,
    /// Server to agency: the request is refused.
    RegisterBetFailed = 3,
    /// Agency to server: no meaning. Older agencies send it after each reply.
    Ack = 4,
    /// Agency to server: no more bets will come.
    AllBetsSent = 5,
    /// Agency to server: asks for its winners.
    RequestWinners = 6,
    /// Server to agency: its winners.
    InformWinners = 7,
    /// Agency to server: number and credential.
    Hello = 8,
    /// Server to agency: number of its stored bets, and its state. Answers a Hello of version 1.
    Welcome = 9,
    /// Server to agency: the same and the checksum of those bets. Answers a Hello of version 2.
    Welcome2 = 10,
    /// Server to agency: the request is refused. In place of RegisterBetFailed for an agency that said Hello 2.
    Refused = 11,
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
            10 => MessageType::Welcome2,
            11 => MessageType::Refused,
            _ => return Err(Malformed::UnknownType(code)),
        })
    }
}

/// One whole message. Its variable parts are borrowed from the bytes it was decoded from.
///
/// ```
/// use loteria::buffer::Buffer;
/// use loteria::protocol::{Message, VERSION};
///
/// let hello = Message::Hello { version: VERSION, agency: 3, credential: b"" };
/// let mut output = Buffer::new();
/// hello.encode(&mut output);
/// assert_eq!(*output, [0, 8, 0, 2, 0, 0, 0, 3, 0, 0]);
/// assert_eq!(Message::decode(&output), Ok(hello));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A batch of bets, all of one agency.
    RegisterBets(Bets<'a>),
    /// Every bet of the batch is stored.
    RegisterBetOk,
    /// The request is refused for this reason.
    RegisterBetFailed(ErrorCode),
    /// No meaning.
    Ack,
    /// The agency has no more bets.
    AllBetsSent,
    /// The agency asks for its winners.
    RequestWinners,
    /// The documents of the agency's winners, in the order of their bets.
    InformWinners(Documents<'a>),
    /// The agency identifies itself.
    Hello {
        /// Protocol version of the agency, see [`super::VERSION`].
        version: u16,
        /// Number of the agency, from 1.
        agency: u32,
        /// Proof of its identity; empty if the server asks for none. At most [`super::MAX_CREDENTIAL_BYTES`].
        credential: &'a [u8],
    },
    /// The server accepts the agency on this connection.
    Welcome {
        /// Number of the agency's stored bets.
        stored: u64,
        /// State of the agency: open if more bets are accepted.
        state: AgencyState,
    },
    /// The same, for an agency of version 2.
    Welcome2 {
        /// The agency's stored bets.
        stored: Tally,
        /// State of the agency: open if more bets are accepted.
        state: AgencyState,
    },
    /// The request is refused, said to an agency of version 2.
    Refused {
        /// The reason.
        code: ErrorCode,
        /// Position in its batch, from 1, of the bet that is refused; 0 if the reason is not one bet.
        position: u32,
    },
}

impl<'a> Message<'a> {
    /// Decodes `frame`: exactly the bytes that a [`super::Scanner`] found to be one message.
    ///
    /// # Errors
    /// [`Malformed`] if a length is inconsistent or a value is not defined. The bets of a batch are decoded only when
    /// they are iterated.
    pub fn decode(frame: &'a [u8]) -> Result<Message<'a>, Malformed> {
        let (head, body) = frame.split_at_checked(TYPE_BYTES).ok_or(Malformed::Length)?;
        let message_type = MessageType::from_code(BigEndian::read_u16(head))?;
        let message = match (message_type, body) {
            (MessageType::RegisterBets, _) => {
                let (count, bets) = body.split_at_checked(4).ok_or(Malformed::Length)?;
                Message::RegisterBets(Bets::new(BigEndian::read_u32(count), bets))
            }
            (MessageType::RegisterBetOk, []) => Message::RegisterBetOk,
            (MessageType::RegisterBetFailed, [_, _]) => Message::RegisterBetFailed(read_code(body)?),
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
                state: AgencyState::from_code(state).ok_or(Malformed::UnknownState(state))?,
            },
            (MessageType::Welcome2, &[.., state, _, _, _, _]) if body.len() == 13 => Message::Welcome2 {
                stored: Tally { bets: BigEndian::read_u64(body), checksum: BigEndian::read_u32(&body[9..]) },
                state: AgencyState::from_code(state).ok_or(Malformed::UnknownState(state))?,
            },
            (MessageType::Refused, [_, _, position @ ..]) if position.len() == 4 => {
                Message::Refused { code: read_code(body)?, position: BigEndian::read_u32(position) }
            }
            _ => return Err(Malformed::Length),
        };
        Ok(message)
    }

    /// Appends this message's bytes to `output`.
    pub fn encode(&self, output: &mut Buffer) {
        match *self {
            Message::RegisterBets(bets) => {
                put_type(output, MessageType::RegisterBets);
                output.extend_from_slice(&bets.remaining().to_be_bytes());
                output.extend_from_slice(bets.as_bytes());
            }
            Message::RegisterBetOk => put_type(output, MessageType::RegisterBetOk),
            Message::RegisterBetFailed(code) => {
                put_type(output, MessageType::RegisterBetFailed);
                output.extend_from_slice(&(code as u16).to_be_bytes());
            }
            Message::Ack => put_type(output, MessageType::Ack),
            Message::AllBetsSent => put_type(output, MessageType::AllBetsSent),
            Message::RequestWinners => put_type(output, MessageType::RequestWinners),
            Message::InformWinners(documents) => {
                Message::encode_winners_head(documents.len(), output);
                output.extend_from_slice(documents.0);
            }
            Message::Hello { version, agency, credential } => {
                debug_assert!(credential.len() <= super::MAX_CREDENTIAL_BYTES, "Credential::new has checked it");
                put_type(output, MessageType::Hello);
                output.extend_from_slice(&version.to_be_bytes());
                output.extend_from_slice(&agency.to_be_bytes());
                output.extend_from_slice(&(credential.len() as u16).to_be_bytes());
                output.extend_from_slice(credential);
            }
            Message::Welcome { stored, state } => {
                put_type(output, MessageType::Welcome);
                output.extend_from_slice(&stored.to_be_bytes());
                output.extend_from_slice(&[state as u8]);
            }
            Message::Welcome2 { stored, state } => {
                put_type(output, MessageType::Welcome2);
                output.extend_from_slice(&stored.bets.to_be_bytes());
                output.extend_from_slice(&[state as u8]);
                output.extend_from_slice(&stored.checksum.to_be_bytes());
            }
            Message::Refused { code, position } => {
                put_type(output, MessageType::Refused);
                output.extend_from_slice(&(code as u16).to_be_bytes());
                output.extend_from_slice(&position.to_be_bytes());
            }
        }
    }

    /// Appends the start of an InformWinners of `winners` documents, which [`Message::encode_documents`] completes.
    ///
    /// The server sends a long list in parts, so that it never holds the whole message.
    pub fn encode_winners_head(winners: usize, output: &mut Buffer) {
        put_type(output, MessageType::InformWinners);
        output.extend_from_slice(&(winners as u64).to_be_bytes());
    }

    /// Appends some of the documents of an InformWinners.
    pub fn encode_documents(documents: &[u32], output: &mut Buffer) {
        documents.iter().for_each(|document| output.extend_from_slice(&document.to_be_bytes()));
    }

    /// Length in bytes of an InformWinners of `winners` documents.
    pub fn inform_winners_bytes(winners: usize) -> usize {
        TYPE_BYTES + 8 + 4 * winners
    }
}

/// The error code at the start of `body`.
fn read_code(body: &[u8]) -> Result<ErrorCode, Malformed> {
    let code = BigEndian::read_u16(body);
    ErrorCode::from_code(code).ok_or(Malformed::UnknownCode(code))
}

fn put_type(output: &mut Buffer, message_type: MessageType) {
    output.extend_from_slice(&(message_type as u16).to_be_bytes());
}

/// Documents of an InformWinners, not decoded yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Documents<'a>(&'a [u8]);

impl Documents<'_> {
    /// Number of documents.
    pub fn len(&self) -> usize {
        self.0.len() / 4
    }

    /// True if the agency has no winner.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The documents, in the order of their bets.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.chunks_exact(4).map(BigEndian::read_u32)
    }
}

impl fmt::Debug for Documents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
