//! Run of an agency: its conversation over a connection, and over the next one if that breaks.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use thiserror::Error;

use super::ClientError;
use super::conversation::{Conclusion, Conversation, Failure, Manner};
use super::interrupt::Interrupt;
use super::pauses::Pauses;
use super::progress::Progress;
use super::source::{self, BetSource};
use crate::buffer::Buffer;
use crate::config::client::{BetsFrom, ClientConfig};
use crate::event;

/// Sends the bets that `config` names and, if they are all the bets of the agency, waits for its winners.
///
/// # Errors
/// [`ClientError`]. The bets acknowledged until then stay stored.
pub fn run(config: &ClientConfig, interrupt: &Interrupt) -> Result<Conclusion, ClientError> {
    let source = source::open(&config.bets, config.id).map_err(Failure::from)?;
    let manner = Manner {
        agency: config.id,
        batch_max_amount: config.batch_max_amount,
        batch_window: config.batch_window,
        handshake: config.handshake,
        credential: config.credential.clone(),
    };
    let mut conversation = Conversation::new(manner, source);
    let concluded = converse_until_done(&mut conversation, config, interrupt);
    drop(conversation);
    if let BetsFrom::File(path) = &config.bets {
        event!(Info, "close_file", success, "client_id": config.id, "file": path.display());
    }
    concluded
}

/// Error that ends a connection early.
#[derive(Debug, Error)]
enum Broken {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl Broken {
    fn io(kind: io::ErrorKind, why: &'static str) -> Broken {
        io::Error::new(kind, why).into()
    }
}

/// Holds the conversation over as many connections as it needs, with pauses between them.
fn converse_until_done<S: BetSource>(
    conversation: &mut Conversation<S>,
    config: &ClientConfig,
    interrupt: &Interrupt,
) -> Result<Conclusion, ClientError> {
    let mut pauses = Pauses::new(config.retry_timeout);
    let mut progress = Progress::new(config);
    loop {
        let (began, stored_before) = (Instant::now(), conversation.stored());
        let broken = match converse(conversation, &mut progress, config, interrupt) {
            Ok(conclusion) => return Ok(conclusion),
            Err(broken) => broken,
        };
        interrupt.check()?;
        let why = match broken {
            Broken::Failure(failure) if !failure.is_transient() => return Err(failure.into()),
            broken => broken.to_string(),
        };
        if !conversation.can_begin_again() {
            return Err(ClientError::Unsure { why });
        }
        if conversation.stored() > stored_before {
            pauses.reset();
        } else if conversation.awaits_winners() {
            pauses.note_wait(began.elapsed());
        }
        let Some(pause) = pauses.next(Instant::now()) else {
            return Err(ClientError::gave_up(&config.server_address, why, &pauses));
        };
        event!(Warn, "connect", in_progress, "client_id": config.id, "server_address": config.server_address,
            "error": why, "retry_in": format_args!("{}ms", pause.as_millis()));
        interrupt.sleep(pause)?;
    }
}

/// Holds the conversation over one connection.
fn converse<S: BetSource>(
    conversation: &mut Conversation<S>,
    progress: &mut Progress,
    config: &ClientConfig,
    interrupt: &Interrupt,
) -> Result<Conclusion, Broken> {
    let connection = interrupt.connect(&config.server_address)?;
    event!(Debug, "connect", success, "client_id": config.id, "server_address": config.server_address);
    connection.set_read_timeout(Some(config.reply_timeout))?;
    connection.set_write_timeout(Some(config.reply_timeout))?;
    conversation.begin();
    let concluded = exchange(conversation, progress, &connection);
    drop(connection);
    event!(Info, "close_connection", success, "client_id": config.id);
    concluded
}

/// Bytes read at once. Every reply but InformWinners is shorter than 32.
const READ_BYTES: usize = 4096;

fn exchange<S: BetSource>(
    conversation: &mut Conversation<S>,
    progress: &mut Progress,
    mut connection: &TcpStream,
) -> Result<Conclusion, Broken> {
    let mut output = Buffer::new();
    let mut received = [0; READ_BYTES];
    loop {
        output.clear();
        conversation.speak(&mut output)?;
        let written = connection.write_all(&output);
        if let Some(conclusion) = conversation.conclusion() {
            // Only an Ack can have been left to write, and the server does not need it.
            return Ok(conclusion.clone());
        }
        if let Err(error) = written {
            // The server may have sent the reason before it closed the connection.
            while let Ok(bytes @ 1..) = connection.read(&mut received) {
                conversation.hear(&received[..bytes])?;
            }
            return Err(error.into());
        }
        if conversation.awaits_winners() {
            // The draw may be days away.
            connection.set_read_timeout(None)?;
        }
        match connection.read(&mut received) {
            Ok(0) => return Err(Broken::io(io::ErrorKind::UnexpectedEof, "the server closed the connection")),
            Ok(bytes) => {
                conversation.hear(&received[..bytes])?;
                progress.advance(conversation.stored());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(Broken::io(io::ErrorKind::TimedOut, "the server says nothing, see reply.timeout"));
            }
            Err(error) => return Err(error.into()),
        }
    }
}
