//! Echo sessions, from exercises 1 to 4: one line comes back unaltered. They need no commit.

use thiserror::Error;

use super::{Central, ConnectionId};
use crate::logging::Excerpt;
use crate::peer_event;

/// Reason why a line is not echoed.
#[derive(Clone, Copy, Debug, Error)]
enum EchoRefusal {
    #[error("a line to echo, and ECHO is off")]
    Off,
    #[error("a line of more than {0} bytes")]
    TooLong(usize),
}

impl Central {
    /// Sends the first line of `input` back, once it is whole. Gives the bytes of `input` that need not be kept.
    pub(super) fn apply_echo(&mut self, id: ConnectionId, input: &[u8]) -> usize {
        let end = input.iter().position(|&byte| byte == b'\n');
        let limit = self.limits.echo_line_bytes;
        if !self.has_echo {
            self.refuse_echo(id, EchoRefusal::Off);
            return input.len();
        }
        if end.unwrap_or(input.len()) > limit {
            self.refuse_echo(id, EchoRefusal::TooLong(limit));
            return input.len();
        }
        match end {
            None => 0,
            Some(end) => {
                self.echo(id, &input[..=end]);
                input.len()
            }
        }
    }

    /// Closes without a reply: what speaks here would not understand the protocol's.
    fn refuse_echo(&mut self, id: ConnectionId, refusal: EchoRefusal) {
        let peer = self.sessions[id].peer;
        peer_event!(self.peer_log, peer, Warn, "receive_message", fail, "ip": peer, "error": refusal);
        self.close(id);
        self.dirty.push(id);
    }

    /// Sends `line` back and closes.
    pub(super) fn echo(&mut self, id: ConnectionId, line: &[u8]) {
        let session = &mut self.sessions[id];
        let text = String::from_utf8_lossy(line);
        peer_event!(self.peer_log, session.peer, Info, "receive_message", success, "ip": session.peer,
            "msg": Excerpt(text.trim_end_matches(['\r', '\n'])));
        if let Some(tail) = session.output.tail() {
            tail.extend_from_slice(line);
        }
        self.close(id);
        self.dirty.push(id);
    }
}
