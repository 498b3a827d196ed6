//! Run of an agency: its conversation over a connection, and over the next one if that breaks.

use std::io::{self, Read, Write};
use std::time::Instant;

use thiserror::Error;

use super::ClientError;
use super::conversation::{Conclusion, Conversation, Failure, Manner};
use super::interrupt::{Ending, Interrupt};
use super::link::{self, Dialer, Link};
use super::pauses::{Pauses, Takeovers};
use super::progress::Progress;
use super::source::{self, BetSource};
use crate::buffer::Buffer;
use crate::config::client::{BetsFrom, ClientConfig};
use crate::event;
use crate::tls;

/// Sends the bets that `config` names and, if they are all the bets of the agency, waits for its winners.
///
/// # Errors
/// [`ClientError`]. The bets acknowledged until then stay stored.
pub fn run(config: &ClientConfig, interrupt: &Interrupt) -> Result<Conclusion, ClientError> {
    let dialer = Dialer::new(config, interrupt)?;
    let source = source::open(&config.bets, config.id).map_err(Failure::from)?;
    let manner = Manner {
        agency: config.id,
        batch_max_amount: config.batch_max_amount,
        batch_max_bytes: config.batch_max_bytes,
        // Of several batches in flight, all but the first would be sent without a pause.
        batch_window: if config.batch_period.is_some() { 1 } else { config.batch_window },
        handshake: config.handshake,
        credential: config.credential.clone(),
    };
    let mut conversation = Conversation::new(manner, source);
    let concluded = converse_until_done(&mut conversation, &dialer, config, interrupt);
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
    dialer: &Dialer<'_>,
    config: &ClientConfig,
    interrupt: &Interrupt,
) -> Result<Conclusion, ClientError> {
    let mut pauses = Pauses::new(config.retry_timeout);
    let mut takeovers = Takeovers::default();
    let mut progress = Progress::new(config);
    loop {
        let (began, stored_before) = (Instant::now(), conversation.stored());
        let broken = match converse(conversation, &mut progress, dialer, config, interrupt) {
            Ok(conclusion) => return Ok(conclusion),
            Err(broken) => broken,
        };
        interrupt.check()?;
        if conversation.stored() > stored_before {
            pauses.reset();
        } else if conversation.awaits_draw() && matches!(broken, Broken::Io(_)) {
            pauses.note_wait(began.elapsed());
        }
        if conversation.replies() > 0 {
            pauses.answered();
        }
        if let Broken::Io(error) = &broken
            && let Some(error) = dialer.final_error(error)
        {
            return Err(error);
        }
        let (why, now) = (broken.to_string(), Instant::now());
        let pause = match broken {
            Broken::Failure(failure) if failure.is_takeover() && config.handshake => {
                takeovers.next(now).ok_or(ClientError::Failed(failure))?
            }
            Broken::Failure(failure) if !failure.is_transient() => return Err(failure.into()),
            _ if !conversation.can_begin_again() => return Err(ClientError::Unsure { why }),
            _ => match pauses.next(now) {
                Some(pause) => pause,
                None => return Err(ClientError::gave_up(&config.server_address, why, &pauses)),
            },
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
    dialer: &Dialer<'_>,
    config: &ClientConfig,
    interrupt: &Interrupt,
) -> Result<Conclusion, Broken> {
    conversation.begin();
    // Without Hello, the agency can't go on after a reset, and what it sent may as well arrive.
    let ending = if config.handshake { Ending::Reset } else { Ending::Close };
    let mut link = dialer.dial(ending)?;
    let concluded = exchange(conversation, progress, &mut link, config, interrupt);
    match ending {
        Ending::Reset if concluded.is_err() => drop(link),
        Ending::Reset | Ending::Close => link.end_well(),
    }
    event!(Info, "close_connection", success, "client_id": config.id);
    concluded
}

fn exchange<S: BetSource>(
    conversation: &mut Conversation<S>,
    progress: &mut Progress,
    link: &mut Link,
    config: &ClientConfig,
    interrupt: &Interrupt,
) -> Result<Conclusion, Broken> {
    let mut output = Buffer::new();
    let mut not_written = None;
    let mut reply_due = None;
    loop {
        while not_written.is_none() {
            output.clear();
            conversation.speak(&mut output)?;
            if output.is_empty() {
                break;
            }
            not_written = link.write_all(&output).err();
        }
        if let Some(conclusion) = conversation.conclusion() {
            // Only an Ack can have been left to write, and the server does not need it.
            return Ok(conclusion.clone());
        }
        if conversation.awaits_draw() {
            progress.wait_for_draw(conversation.stored());
        }
        let (replies, stored) = (conversation.replies(), conversation.stored());
        let due = match conversation.awaits_draw() {
            // The draw may be days away.
            true => None,
            false => Some(*reply_due.get_or_insert_with(|| Instant::now() + config.reply_timeout)),
        };
        match listen(conversation, link, due) {
            // The server may have sent the reason before it closed the connection, and this was behind it.
            Err(Broken::Io(error)) if !tls::is_rejection(&error) => return Err(not_written.unwrap_or(error).into()),
            heard => heard?,
        }
        progress.advance(conversation.stored());
        if conversation.replies() > replies {
            reply_due = None;
        }
        if let Some(pause) = config.batch_period.filter(|_| conversation.stored() > stored) {
            interrupt.sleep(pause).map_err(|_| io::Error::from(io::ErrorKind::Interrupted))?;
        }
    }
}

/// Reads once, and no longer than until `due`, by which a reply must be whole.
fn listen<S: BetSource>(
    conversation: &mut Conversation<S>,
    link: &mut Link,
    due: Option<Instant>,
) -> Result<(), Broken> {
    let left = due.map(|due| due.saturating_duration_since(Instant::now()));
    if left.is_some_and(|left| left.is_zero()) {
        return Err(Broken::io(io::ErrorKind::TimedOut, link::NO_REPLY));
    }
    link.set_read_timeout(left)?;
    let mut received = [0; link::READ_BYTES];
    match link.read(&mut received) {
        Ok(0) => Err(Broken::io(io::ErrorKind::UnexpectedEof, "the server closed the connection")),
        Ok(bytes) => Ok(conversation.hear(&received[..bytes])?),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(Broken::io(io::ErrorKind::TimedOut, link::NO_REPLY))
        }
        Err(error) => Err(error.into()),
    }
}
