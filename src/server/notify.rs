//! The service manager, as sd_notify(3) speaks to it: ready, one line about the round, stopping.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use super::admin::snapshot::{Draw, Round, summary};
use crate::central::Central;
use crate::event;

/// The time between two looks at the round.
const INTERVAL: Duration = Duration::from_secs(1);

/// The socket of the service manager.
#[derive(Debug)]
pub(super) struct Notifier {
    socket: UnixDatagram,
    manager: SocketAddr,
    /// The line that was told last.
    told: String,
    due: Instant,
}

impl Notifier {
    /// The service manager that `NOTIFY_SOCKET` names. `None` if there is none.
    pub fn from_environment(now: Instant) -> Option<Notifier> {
        let name = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty())?;
        match Notifier::to(&name, now) {
            Ok(notifier) => Some(notifier),
            Err(error) => {
                event!(Warn, "notify", fail, "socket": name.display(), "error": error);
                None
            }
        }
    }

    fn to(name: &OsStr, now: Instant) -> io::Result<Notifier> {
        let manager = match name.as_bytes() {
            [b'@', abstract_name @ ..] => SocketAddr::from_abstract_name(abstract_name)?,
            _ => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        // The loop does not wait for a manager that does not read.
        socket.set_nonblocking(true)?;
        Ok(Notifier { socket, manager, told: String::new(), due: now })
    }

    /// The server takes connections.
    pub fn ready(&mut self) {
        self.tell("READY=1");
    }

    /// Tells the line about the round, if it is another one than before.
    pub fn update(&mut self, central: &Central, now: Instant) {
        if now < self.due {
            return;
        }
        self.due = now + INTERVAL;
        let line = summary(&Round::of(central, 0), Draw::of(central, None).as_ref());
        if line != self.told {
            self.tell(&format!("STATUS={line}"));
            self.told = line;
        }
    }

    /// The time to sleep until the next look at the round.
    pub fn time_to_sleep(&self, now: Instant) -> Duration {
        self.due.saturating_duration_since(now)
    }

    /// The server ends.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    fn tell(&self, what: &str) {
        // A manager that is gone or does not read misses it, and nothing depends on it.
        let _ = self.socket.send_to_addr(what.as_bytes(), &self.manager);
    }
}
