//! Echo sessions, from exercises 1 to 4: one line comes back unaltered. They need no commit.

use super::{Central, ConnectionId};
use crate::event;

impl Central {
    /// Sends the first line of `input` back, once it is whole. Gives the bytes of `input` that need not be kept.
    pub(super) fn apply_echo(&mut self, id: ConnectionId, input: &[u8]) -> usize {
        let end = input.iter().position(|&byte| byte == b'\n');
        let limit = self.limits.echo_line_bytes;
        if end.unwrap_or(input.len()) > limit {
            event!(Warn, "receive_message", fail, "ip": self.sessions[id].peer, "error": format_args!("a line of more than {limit} bytes"));
            self.close(id);
            self.dirty.push(id);
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

    /// Sends `line` back and closes.
    pub(super) fn echo(&mut self, id: ConnectionId, line: &[u8]) {
        let session = &mut self.sessions[id];
        let text = String::from_utf8_lossy(line);
        event!(Info, "receive_message", success, "ip": session.peer, "msg": text.trim_end_matches(['\r', '\n']));
        if let Some(tail) = session.output.tail() {
            tail.extend_from_slice(line);
        }
        self.close(id);
        self.dirty.push(id);
    }
}
