//! Codes that messages carry: the error of a refusal and the state in a Welcome.

use thiserror::Error;

use super::scanner::Malformed;

/// State of an agency, as Welcome reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AgencyState {
    /// The server accepts its bets.
    Open = 0,
    /// Its AllBetsSent is stored.
    Closed = 1,
    /// The draw has happened.
    Drawn = 2,
}

impl AgencyState {
    pub(super) fn from_code(code: u8) -> Option<AgencyState> {
        [AgencyState::Open, AgencyState::Closed, AgencyState::Drawn].into_iter().find(|state| *state as u8 == code)
    }
}

/// Reason of a refusal, sent in RegisterBetFailed or Refused.
///
/// ```
/// use loteria::protocol::ErrorCode;
///
/// assert_eq!(ErrorCode::from_code(2), Some(ErrorCode::InvalidBet));
/// assert_eq!(ErrorCode::InvalidBet as u16, 2);
/// assert_eq!(ErrorCode::from_code(0), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[repr(u16)]
pub enum ErrorCode {
    /// No message from an agency has this type.
    #[error("unknown message type")]
    UnknownType = 1,
    /// A bet of the batch is not valid; nothing of the batch is stored.
    #[error("a bet is not valid")]
    InvalidBet = 2,
    /// Inconsistent lengths, invalid UTF-8, or a limit exceeded.
    #[error("malformed message")]
    Malformed = 3,
    /// A bet or a Hello names another agency than the connection's.
    #[error("another agency than the connection's")]
    OtherAgency = 4,
    /// The agency is not one of 1 to `NUM_AGENCIES`.
    #[error("no such agency")]
    NoSuchAgency = 5,
    /// No more bets are accepted: the agency has closed, the draw has happened, or the agency's quota is used up.
    #[error("the agency has closed, or has as many bets as it may")]
    Closed = 6,
    /// AllBetsSent or RequestWinners before the connection has an agency.
    #[error("the connection has no agency yet")]
    NoAgency = 7,
    /// The credential is missing or wrong.
    #[error("credential missing or wrong")]
    Credential = 8,
    /// The request could not be stored, and no part of it was.
    #[error("could not be stored")]
    NotStored = 9,
    /// A newer connection of the same agency took over.
    #[error("a newer connection of the same agency took over")]
    TakenOver = 10,
    /// The server does not speak the version that Hello names.
    #[error("protocol version not spoken")]
    Version = 11,
    /// Too many connections, too many bytes of incomplete messages from anonymous connections, or a shutdown.
    #[error("too many connections or unfinished messages, or shutting down")]
    Unavailable = 12,
    /// The server takes connections over TLS only.
    #[error("the server asks for TLS, see tls.caFile")]
    TlsRequired = 13,
}

impl ErrorCode {
    /// Every code, from 1 up.
    pub const ALL: [ErrorCode; 13] = [
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
        ErrorCode::TlsRequired,
    ];

    /// The code with this number on the wire.
    pub fn from_code(code: u16) -> Option<ErrorCode> {
        ErrorCode::ALL.into_iter().find(|error| *error as u16 == code)
    }

    /// True if the server closes the connection after this refusal.
    pub fn ends_connection(self) -> bool {
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
