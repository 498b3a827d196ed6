//! Echo client of exercises 1 to 4: it sends each line over a connection of its own and reads it back.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::time::{Duration, Instant};

use super::ClientError;
use super::interrupt::{Ending, Interrupt};
use super::link::{Dialer, Link};
use super::pauses::Pauses;
use crate::config::client::ClientConfig;
use crate::event;
use crate::logging::Excerpt;

/// Sends `loop.amount` messages, with `loop.period` between them, and none once `loop.lapse` has passed.
///
/// # Errors
/// [`ClientError`] if a message is not answered within `retry.timeout`, or if a signal arrives.
pub fn run(config: &ClientConfig, interrupt: &Interrupt) -> Result<(), ClientError> {
    let dialer = Dialer::new(config, interrupt)?;
    let end = config.loop_lapse.map(|lapse| Instant::now() + lapse);
    for number in 1..=config.loop_amount {
        if number > 1 {
            interrupt.sleep(until(end, config.loop_period))?;
        }
        send_message(number, end, &dialer, config, interrupt)?;
        if is_over(end) {
            event!(Info, "timeout_detected", success, "client_id": config.id);
            break;
        }
    }
    event!(Info, "loop_finished", success, "client_id": config.id);
    Ok(())
}

/// True once `end`, if there is one, has passed.
fn is_over(end: Option<Instant>) -> bool {
    end.is_some_and(|end| end <= Instant::now())
}

/// `pause`, or the time left until `end` if that is shorter.
fn until(end: Option<Instant>, pause: Duration) -> Duration {
    end.map_or(pause, |end| pause.min(end.saturating_duration_since(Instant::now())))
}

/// Sends a message until it is answered or `end` has passed.
fn send_message(
    number: u32,
    end: Option<Instant>,
    dialer: &Dialer<'_>,
    config: &ClientConfig,
    interrupt: &Interrupt,
) -> Result<(), ClientError> {
    let mut pauses = Pauses::new(config.retry_timeout);
    let message = format!("[CLIENT {}] Message N°{number}", config.id);
    while !is_over(end) {
        let error = match echo(&message, dialer, config) {
            Ok(answer) => {
                event!(Info, "receive_message", success, "client_id": config.id, "msg": Excerpt(&answer));
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
        interrupt.sleep(until(end, pause))?;
    }
    Ok(())
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
