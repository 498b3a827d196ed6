//! The servers of the round: the active one and its standbys, which do not listen.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use super::interrupt::{Connection, Ending, Interrupt};

/// Longest time for one attempt to connect to the only server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time for one attempt to connect to one of several: a machine that is gone answers nothing, and another may serve the round already.
const CONNECT_TIMEOUT_OF_SEVERAL: Duration = Duration::from_secs(1);

/// The addresses of `server.address`, in turn.
#[derive(Debug)]
pub struct Servers<'a> {
    addresses: Vec<&'a str>,
    /// The address that is tried first.
    next: Cell<usize>,
}

impl<'a> Servers<'a> {
    /// The servers at `addresses`: each a `host:port`, with commas between them.
    pub fn new(addresses: &'a str) -> Servers<'a> {
        Servers { addresses: addresses.split(',').map(str::trim).collect(), next: Cell::new(0) }
    }

    /// Connects to the first of them that can be reached, each tried once, and gives its place in the list. The next attempt
    /// begins behind it: had it been of use, there would be none.
    ///
    /// # Errors
    /// The error of the last one.
    pub fn connect(&self, interrupt: &Interrupt, ending: Ending) -> io::Result<(usize, Connection)> {
        let mut last = io::ErrorKind::NotFound.into();
        let is_only = self.addresses.len() == 1;
        let timeout = if is_only { CONNECT_TIMEOUT } else { CONNECT_TIMEOUT_OF_SEVERAL };
        for _ in 0..self.addresses.len() {
            let place = self.next.get();
            self.next.set((place + 1) % self.addresses.len());
            match interrupt.connect(self.addresses[place], ending, timeout) {
                Ok(connection) => return Ok((place, connection)),
                Err(error) => last = error,
            }
            if interrupt.check().is_err() {
                break;
            }
        }
        Err(last)
    }
}
