//! Writing: short replies first, then a share of the turn for each long one.
//!
//! Almost every reply is short: an interactive client waits for it, and it leaves in the turn that released it. A list of
//! winners may be megabytes, and a reader that is fast enough would take all of it in one turn while everybody else waits.
//! So connections with more than a slice to send stand in line and get a slice each, one after the other, until the turn
//! has written its share. The rest goes on in the next turn, without another event of the poll: an edge-triggered poll
//! reports a socket that was not filled only once.

use super::*;
use crate::protocol::MAX_PACKET_BYTES;

/// Bytes written to a connection before the next one's turn. No reply to a Hello or a batch comes near it.
pub(super) const SLICE: usize = 2 * MAX_PACKET_BYTES;
/// Bytes that a turn writes to connections in line: about 0.1 ms.
pub(super) const SHARE_OF_TURN: usize = 16 * SLICE;

/// The state of a connection behind a write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// There is more to send, and the socket may take it.
    More,
    /// All is sent, the socket is full, or the connection is gone.
    Nothing,
}

impl<S: Socket, L: Ledger> Server<S, L> {
    /// Writes what the commit has released, and what could not be written before: at most `share` bytes of long replies.
    pub(super) fn write(&mut self, share: usize, now: Now) {
        let mut ids = std::mem::take(&mut self.writable);
        ids.append(&mut self.central.take_dirty());
        for id in ids.drain(..) {
            let Some(connection) = self.connections.get(id) else { continue };
            let is_long = self.central.unsent(id).len() > SLICE;
            if !connection.is_in_line && (is_long || self.write_slice(id, now).1 == Rest::More) {
                self.put_in_line(id);
            }
        }
        self.writable = ids;

        let mut left = share;
        while left > 0
            && let Some(id) = self.in_line.pop_front()
        {
            let Some(connection) = self.connections.get_mut(id) else { continue };
            connection.is_in_line = false;
            let (bytes, rest) = self.write_slice(id, now);
            left = left.saturating_sub(bytes.max(1));
            if rest == Rest::More {
                self.put_in_line(id);
            }
        }
    }

    fn put_in_line(&mut self, id: ConnectionId) {
        self.connections[id].is_in_line = true;
        self.in_line.push_back(id);
    }

    /// Writes at most a slice. Gives the bytes that it was.
    fn write_slice(&mut self, id: ConnectionId, now: Now) -> (usize, Rest) {
        let Some(connection) = self.connections.get_mut(id).filter(|connection| !connection.is_lingering()) else {
            return (0, Rest::Nothing);
        };
        let (mut written, mut is_full) = (0, false);
        while written < SLICE && !is_full {
            let unsent = self.central.unsent(id);
            if unsent.is_empty() && !connection.transport.has_output() {
                break;
            }
            let is_reply = !unsent.is_empty();
            match connection.write(&unsent[..unsent.len().min(SLICE - written)]) {
                Written::Bytes(bytes) => {
                    if is_reply {
                        self.central.on(id, Event::Sent(bytes), now);
                    }
                    written += bytes;
                    is_full = bytes == 0;
                }
                Written::Broken(error) => {
                    self.lose(id, &error, now);
                    return (written, Rest::Nothing);
                }
            }
        }
        let has_more = !is_full && !self.central.unsent(id).is_empty();
        self.go_on(id, now);
        (written, if has_more { Rest::More } else { Rest::Nothing })
    }

    /// Closes a connection that has nothing more to say, and lets any other go on.
    fn go_on(&mut self, id: ConnectionId, now: Now) {
        if self.central.wants(id) != Wants::Close {
            self.reschedule(id, now);
        } else if self.connections[id].linger(now.instant) {
            self.schedule.list(id);
            self.set_deadline(id);
        } else {
            self.close(id, now);
        }
    }
}
