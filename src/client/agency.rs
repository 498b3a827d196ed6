//! An agency's run: its conversation over a connection, and over the next one if that breaks.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use thiserror::Error;

use super::ClientError;
use super::conversation::{Conversation, Failure, Manner, Outcome};
use super::interrupt::Interrupt;
use super::pauses::Pauses;
use super::progress::Progress;
use super::source::{self, BetSource};
use crate::buffer::Buffer;
use crate::config::client::{BetsFrom, ClientConfig};
use crate::event;

/// Sends the bets that `config` names and, if they are all of the agency, waits for its winners.
///
/// # Errors
/// [`ClientError`]. What was acknowledged until then stays stored.
pub fn run(config: &ClientConfig, interrupt: &Interrupt) -> Result<Outcome, ClientError> {
    let source = source::open(&config.bets, config.id).map_err(Failure::from)?;
    let manner = Manner {
        agency: config.id,
        batch_max_amount: config.batch_max_amount,
        batch_window: config.batch_window,
        handshake: config.handshake,
        credential: config.credential.clone(),
    };
    let outcome = converse_until_done(Conversation::new(manner, source), config, interrupt);
    if let BetsFrom::File(path) = &config.bets {
        event!(Info, "close_file", success, "client_id": config.id, "file": path.display());
    }
    outcome
}

/// Takes as many connections as it needs; what it read the bets from is closed when it returns.
fn converse_until_done<S: BetSource>(
    mut conversation: Conversation<S>,
    config: &ClientConfig,
    interrupt: &Interrupt,
) -> Result<Outcome, ClientError> {
    let mut pauses = Pauses::new(config.retry_timeout);
    let mut progress = Progress::new(config);
    loop {
        let (began, stored_before) = (Instant::now(), conversation.stored());
        let broken = match converse(&mut conversation, &mut progress, config, interrupt) {
            Ok(outcome) => return Ok(outcome),
            Err(broken) => broken,
        };
        interrupt.check()?;
        if conversation.stored() > stored_before {
            pauses.reset();
        } else if conversation.awaits_winners() {
            pauses.note_wait(began.elapsed());
        }
        retry(broken, &conversation, &mut pauses, config, interrupt)?;
    }
}

/// What ends a connection before its time.
#[derive(Debug, Error)]
enum Broken {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Failure(#[from] Failure),
}

/// Waits before the next attempt, if there is to be one.
fn retry<S: BetSource>(
    broken: Broken,
    conversation: &Conversation<S>,
    pauses: &mut Pauses,
    config: &ClientConfig,
    interrupt: &Interrupt,
) -> Result<(), ClientError> {
    let why = match broken {
        Broken::Failure(failure) if !failure.is_passing() => return Err(failure.into()),
        broken => broken.to_string(),
    };
    if !conversation.can_begin_again() {
        return Err(ClientError::Unsure { why });
    }
    let Some(pause) = pauses.next(Instant::now()) else {
        return Err(ClientError::gave_up(&config.server_address, why, pauses));
    };
    event!(Warn, "connect", in_progress, "client_id": config.id, "server_address": config.server_address,
        "error": why, "retry_in": format_args!("{}ms", pause.as_millis()));
    Ok(interrupt.sleep(pause)?)
}

/// One connection, from its first byte to its last.
fn converse<S: BetSource>(
    conversation: &mut Conversation<S>,
    progress: &mut Progress,
    config: &ClientConfig,
    interrupt: &Interrupt,
) -> Result<Outcome, Broken> {
    let mut connection = interrupt.connect(&config.server_address)?;
    event!(Debug, "connect", success, "client_id": config.id, "server_address": config.server_address);
    connection.set_read_timeout(Some(config.reply_timeout))?;
    connection.set_write_timeout(Some(config.reply_timeout))?;
    conversation.begin();
    let outcome = exchange(conversation, progress, &mut connection);
    interrupt.release();
    drop(connection);
    event!(Info, "close_connection", success, "client_id": config.id);
    outcome
}

/// Winners aside, a reply is a few bytes.
const REPLY_BYTES: usize = 4096;

fn exchange<S: BetSource>(
    conversation: &mut Conversation<S>,
    progress: &mut Progress,
    connection: &mut TcpStream,
) -> Result<Outcome, Broken> {
    let mut output = Buffer::new();
    let mut reply = [0; REPLY_BYTES];
    let mut is_patient = false;
    loop {
        output.clear();
        conversation.speak(&mut output)?;
        let written = connection.write_all(&output);
        if let Some(outcome) = conversation.outcome() {
            // Only an Ack can have been left to say, which nobody needs.
            return Ok(outcome.clone());
        }
        if let Err(error) = written {
            // The central may have said why it stopped listening.
            hear_the_rest(conversation, connection, &mut reply)?;
            return Err(error.into());
        }
        if conversation.awaits_winners() && !std::mem::replace(&mut is_patient, true) {
            // The draw may be days away.
            connection.set_read_timeout(None)?;
        }
        match connection.read(&mut reply) {
            Ok(0) => {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the central closed the connection").into());
            }
            Ok(bytes) => {
                conversation.hear(&reply[..bytes])?;
                progress.advance(conversation.stored());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(
                    io::Error::new(io::ErrorKind::TimedOut, "the central says nothing, see reply.timeout").into()
                );
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn hear_the_rest<S: BetSource>(
    conversation: &mut Conversation<S>,
    connection: &mut TcpStream,
    reply: &mut [u8],
) -> Result<(), Failure> {
    while let Ok(bytes @ 1..) = connection.read(reply) {
        conversation.hear(&reply[..bytes])?;
    }
    Ok(())
}
