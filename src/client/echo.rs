//! Echo client of exercises 1 to 4: it sends each line over a connection of its own and reads it back.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::time::Instant;

use super::ClientError;
use super::interrupt::{Ending, Interrupt};
use super::link::{Dialer, Link};
use super::pauses::Pauses;
use crate::config::client::ClientConfig;
use crate::event;

/// Sends `loop.amount` messages, with `loop.period` between them.
///
/// # Errors
/// [`ClientError`] if a message is not answered within `retry.timeout`, or if a signal arrives.
pub fn run(config: &ClientConfig, interrupt: &Interrupt) -> Result<(), ClientError> {
    let dialer = Dialer::new(config, interrupt)?;
    for number in 1..=config.loop_amount {
        send_message(number, &dialer, config, interrupt)?;
        if number < config.loop_amount {
            interrupt.sleep(config.loop_period)?;
        }
    }
    event!(Info, "loop_finished", success, "client_id": config.id);
    Ok(())
}

fn send_message(
    number: u32,
    dialer: &Dialer<'_>,
    config: &ClientConfig,
    interrupt: &Interrupt,
) -> Result<(), ClientError> {
    let mut pauses = Pauses::new(config.retry_timeout);
    let message = format!("[CLIENT {}] Message N°{number}", config.id);
    loop {
        let error = match echo(&message, dialer, config) {
            Ok(answer) => {
                event!(Info, "receive_message", success, "client_id": config.id, "msg": answer);
                return Ok(());
            }
            Err(error) => error,
        };
        interrupt.check()?;
        if let Some(error) = dialer.final_error(&error) {
            return Err(error);
        }
        let Some(pause) = pauses.next(Instant::now()) else {
            return Err(ClientError::gave_up(&config.server_address, error.to_string(), &pauses));
        };
        event!(Warn, "receive_message", in_progress, "client_id": config.id, "server_address": config.server_address,
            "error": error, "retry_in": format_args!("{}ms", pause.as_millis()));
        interrupt.sleep(pause)?;
    }
}

fn echo(message: &str, dialer: &Dialer<'_>, config: &ClientConfig) -> io::Result<String> {
    let mut link = dialer.dial(Ending::Close)?;
    link.set_read_timeout(Some(config.reply_timeout))?;
    let answer = ask(&mut link, message);
    link.end_well();
    event!(Info, "close_connection", success, "client_id": config.id);
    answer
}

/// Most bytes read as an answer, so that a peer which is no echo server cannot send for ever.
const MAX_ANSWER_BYTES: u64 = 8192;

fn ask(link: &mut Link, message: &str) -> io::Result<String> {
    link.write_all(format!("{message}\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(link.take(MAX_ANSWER_BYTES)).read_line(&mut answer)?;
    match answer.strip_suffix('\n') {
        Some(line) => Ok(line.trim_end_matches('\r').to_owned()),
        None => Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the server closed the connection in the middle of the line",
        )),
    }
}
